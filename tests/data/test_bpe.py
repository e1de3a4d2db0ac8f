from trueweight.data.bpe import alphabet_of, learn_merges, texts_of, tokens_of

SUMS = [f"{left} and {right}" for left in range(100, 130) for right in range(100, 130)]


def _pieces(text: str, merges: tuple[tuple[str, str], ...]) -> list[bytes]:
    return [alphabet_of(merges)[number] for number in tokens_of([text], merges).value_MC[:, 0]]


def test_digits_stay_single_however_frequent_their_runs_are():
    merges = learn_merges(SUMS, size=512, least=10)
    assert _pieces("101 and 129", merges) == [b"1", b"0", b"1", b" and", b" ", b"1", b"2", b"9"]
    assert not any(sum(48 <= byte < 58 for byte in token) > 1 for token in alphabet_of(merges))


def test_texts_with_digits_come_back_whole():
    merges = learn_merges(SUMS, size=512, least=10)
    texts = ["101 and 129", " 7", "x12.5e-3\n", "٣٤ 五"]
    every = tokens_of(texts, merges)
    rows = [every.value_MC[every.start_N1[i] : every.start_N1[i + 1], 0].tolist() for i in range(len(texts))]
    assert texts_of(rows, merges) == texts

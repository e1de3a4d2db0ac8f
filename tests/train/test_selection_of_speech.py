import numpy as np
import pytest

from trueweight.data.signature import ColumnFacts
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth
from trueweight.train.selection import target_loss


def answers(texts: list[str], logp: float) -> TextPrediction:
    text_N = np.array([*texts, None], dtype=object)[:-1]
    zero = np.zeros(len(texts))
    return TextPrediction(text_N, zero, zero.astype(np.int64), zero + logp, zero.astype(np.int64) + 4)


@pytest.mark.parametrize(("decoder", "better"), [("ctc", "says"), ("lstm", "silent")])
def test_what_reads_off_is_chosen_by_what_it_says(decoder: str, better: str):
    facts = ColumnFacts("t", "text", "target", "", {"type": "text", "decoder": {"type": decoder}}, 2, 0)
    truth = Truth(np.array(["abc", "abd", None], dtype=object)[:-1], np.ones(2, bool))
    silent, says = answers(["", ""], -12.0), answers(["abc", "ab"], -20.0)
    losses = {"silent": target_loss(facts, silent, truth), "says": target_loss(facts, says, truth)}
    assert min(losses, key=losses.__getitem__) == better


def test_no_word_in_any_true_text_leaves_the_likelihood():
    facts = ColumnFacts("t", "text", "target", "", {"type": "text", "decoder": {"type": "ctc"}}, 1, 0)
    truth = Truth(np.array([" ", None], dtype=object)[:-1], np.ones(1, bool))
    assert target_loss(facts, answers([""], -4.0), truth) == pytest.approx(0.01)

"""The Python client, against an application of this process and against servers that misbehave."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trueweight import Client, application
from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.errors import DataError, ServeError, SpecError
from trueweight.serve.app import Application
from trueweight.serve.keys import KeyStore
from trueweight.serve.transport import Answer


@pytest.fixture
def client(every: Bundle) -> Any:
    with Client(Application({"every": every}, verbs_for())) as client:
        yield client


def test_rows_and_frames(client: Client, every: Bundle, asked: list[dict[str, Any]]) -> None:
    rows = client.predict(asked)
    frame = pd.DataFrame(asked)
    found = client.predict(frame, model="every")
    assert isinstance(found, pd.DataFrame)
    assert list(found["won"]) == [row["won"] for row in rows] == list(every.predict(frame)["won"])
    assert list(found["cost"]) == pytest.approx([row["cost"] for row in rows])


def test_files_are_sent(client: Client, asked: list[dict[str, Any]], tmp_path: Path) -> None:
    import base64

    (tmp_path / "a.png").write_bytes(base64.b64decode(asked[0]["photo"].partition(",")[2]))
    by_path = client.predict(pd.DataFrame([{**asked[0], "photo": "a.png"}]), media_dir=tmp_path)
    assert by_path["cost"].tolist() == pytest.approx([client.predict(asked[:1])[0]["cost"]])
    with pytest.raises(DataError, match="file not found"):
        client.predict(pd.DataFrame([{"photo": "b.png"}]), media_dir=tmp_path)


def test_rows_need_not_be_json(client: Client, every: Bundle, asked: list[dict[str, Any]], tmp_path: Path) -> None:
    """What the bundle's own predict takes: bytes, paths, dates, NumPy's numbers, NaN."""
    import base64
    from datetime import date

    import numpy as np

    photo, voice = (base64.b64decode(asked[0][name].partition(",")[2]) for name in ("photo", "voice"))
    (tmp_path / "a.wav").write_bytes(voice)
    plain = {"amount": 1.5, "day": "2026-03-11", "tags": ["big", "new"], "place": None, "note": None}
    row = {"amount": np.float32(1.5), "day": date(2026, 3, 11), "tags": {"new", "big"}, "place": float("nan")}
    found = client.predict([row | {"photo": photo, "voice": Path("a.wav")}], media_dir=tmp_path)
    assert isinstance(found, list)
    (expected,) = client.predict([plain | {"photo": asked[0]["photo"], "voice": asked[0]["voice"]}])
    assert found[0]["won"] == expected["won"]
    assert found[0]["cost"] == pytest.approx(expected["cost"])
    with pytest.raises(DataError, match="none of the columns"):
        client.predict([{"unknown": float("nan")}])


def test_many_rows_are_sent_in_several_requests(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"amount": place / 10, "kind": "red"} for place in range(11)]
    whole = client.predict(rows)
    monkeypatch.setattr(sys.modules[Client.__module__], "_ROWS", 4)
    assert client.predict(rows) == whole
    frame = client.predict(pd.DataFrame(rows, index=range(5, 16)))
    assert list(frame["cost"]) == pytest.approx([row["cost"] for row in whole])
    assert list(frame.index) == list(range(5, 16))


def test_no_rows_are_answered_by_no_rows(client: Client, every: Bundle, teller: Bundle, plain: Bundle) -> None:
    """As by the bundle's own predict: the answer's columns are those of any other frame."""
    import polars as pl

    frames = {
        every: pd.DataFrame({"key": [1], "amount": [1.5], "photo": [None], "note": ["late"]}),
        teller: pd.DataFrame({"kind": ["red"]}),
        plain: pd.DataFrame({"amount": [1.5], "kind": ["red"]}),
    }
    with Client(Application({one.name: one for one in frames}, verbs_for())) as several:
        for bundle, frame in frames.items():
            columns = list(bundle.predict(frame))
            for empty in (frame[:0], pl.from_pandas(frame[:0]), {name: [] for name in frame}):
                found, own = several.predict(empty, model=bundle.name), bundle.predict(empty)
                assert type(found) is type(own)
                assert len(found[columns[0]]) == len(own[columns[0]]) == 0
            found, own = several.predict(frame[:0], model=bundle.name), bundle.predict(frame[:0])
            assert list(found) == list(own) == columns
            assert dict(found.dtypes) == dict(own.dtypes)
        for nothing in ([], {}, pd.DataFrame(), pd.DataFrame({"unknown": []})):
            with pytest.raises(DataError):
                several.predict(nothing, model="plain")
            with pytest.raises(DataError):
                plain.predict(nothing)


def test_without_a_server(plain: Bundle) -> None:
    rows = [{"amount": 1.0, "kind": "red"}]
    with Client(application(plain.path)) as client:
        assert client.predict(rows)[0]["won"] == plain.predict(rows)[0]["won"]
        told = client.explain(pd.DataFrame(rows), methods=["shapley"])
        assert told["explanations"][0]["method"] == "shapley"
    with pytest.raises(SpecError, match="no limit 'row', did you mean 'rows'"):
        application(plain, limits={"row": 3, "seconds": 0})


def test_other_questions(client: Client, every: Bundle, plain: Bundle) -> None:
    assert [one["id"] for one in client.models()] == ["every"]
    assert client.evidence()["digest"] == every.manifest.digest
    assert "<html" in client.report(language="zh")
    with Client(Application({"plain": plain}, verbs_for())) as other:
        told = other.explain([{"amount": 1.0, "kind": "red"}], methods=["shapley"], target="won")
    (one,) = told["explanations"]
    assert one["method"] == "shapley"
    assert one["items"][0]["values"][0] > 0  # a large amount wins


def test_errors_have_types(client: Client, every: Bundle, store: KeyStore) -> None:
    with pytest.raises(SpecError, match="no model 'other'"):
        client.predict([{"amount": 1}], model="other")
    with pytest.raises(DataError, match="none of the columns"):
        client.predict([{"unknown": 1}])
    with (
        Client(Application({"every": every}, verbs_for(), store=store), "tw_a_b") as locked,
        pytest.raises(SpecError, match="not known"),
    ):
        locked.models()
    for wrong in ("127.0.0.1:8000", "http://here:99999"):
        with pytest.raises(SpecError, match="no address"):
            Client(wrong)
    with pytest.raises(SpecError, match="no certificate"):
        Client("https://127.0.0.1:8000", certificate="nowhere.pem")


class Moody:
    """Says no a few times."""

    def __init__(self, *moods: Answer | OSError) -> None:
        self.moods = list(moods)
        self.asked = 0

    def send(self, *_: object) -> Answer:
        self.asked += 1
        mood = self.moods.pop(0)
        if isinstance(mood, OSError):
            raise mood
        return mood

    def close(self) -> None:
        pass


BUSY = Answer(429, {"retry-after": "0"}, b"{}")
FINE = Answer(200, {}, json.dumps({"data": []}).encode())


def test_it_asks_again(client: Client) -> None:
    client._transport = moody = Moody(BUSY, ConnectionResetError("gone"), FINE)
    assert client.models() == []
    assert moody.asked == 3
    client._transport = moody = Moody(*[BUSY] * 4)
    with pytest.raises(ServeError, match="429"):
        client.models()
    client._transport = moody = Moody(Answer(500, {}, b"<html>"))
    with pytest.raises(ServeError, match="500"):
        client.models()
    assert moody.asked == 1
    client._transport = moody = Moody(TimeoutError("timed out"))
    with pytest.raises(ServeError, match="no answer within 60 s"):  # and is not asked again
        client.models()
    client._transport = Moody(*[ConnectionRefusedError("refused")] * 4)
    with pytest.raises(ServeError, match="cannot be reached"):
        client.models()
    client._transport = Moody()
    client._transport.close()

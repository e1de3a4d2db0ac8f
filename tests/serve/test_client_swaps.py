"""The client when another model takes the place of the one it knows: it makes its rows for whoever answers them."""

import base64
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.serve.conftest import SPEC, _trained, made_up
from tests.serve.test_promises import swapped

from trueweight import Client, application
from trueweight.bundle.bundle import Bundle, open_bundle
from trueweight.errors import DataError, ServeError
from trueweight.serve.client import _error_of
from trueweight.serve.transport import Answer

PLACE = "/v1/models/plain"


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Called as the plain one is, but it reads a picture in the place of a category."""
    spec = SPEC | {"name": "plain", "data": {}, "features": {"amount": "number", "kind": "image"}}
    rows = [{"amount": row["amount"], "kind": row["photo"], "won": row["won"]} for row in made_up(80)]
    return _trained(tmp_path_factory.mktemp("looks"), spec | {"targets": {"won": "binary"}}, rows)


class Swapping:
    """A server in memory whose model is swapped by hand, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()
        self.client = Client(application(open_bundle(folder)), retries=0)
        self._own, self.before = self.client._transport, lambda path: None
        self.client._transport = self

    def send(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        self.before(path)
        self.asked.append(path.removeprefix(PLACE) or "facts")
        return self._own.send(method, path, headers, body)

    def swap(self, fresh: Bundle) -> None:
        swapped(self.folder, fresh.path)
        assert self._own.send("POST", f"{PLACE}/reload", {}, b"").status == 200

    def close(self) -> None:
        self._own.close()


@pytest.fixture
def served(plain: Bundle, tmp_path: Path) -> Iterator[Swapping]:
    shutil.copytree(plain.path, tmp_path / "plain.bundle")
    found = Swapping(tmp_path / "plain.bundle")
    yield found
    found.close()


@pytest.fixture
def picture(tmp_path: Path) -> bytes:
    content = base64.b64decode(made_up(3, seed=5)[2]["photo"].partition(",")[2])
    (tmp_path / "a.png").write_bytes(content)
    return content


def test_files_are_sent_once_a_model_that_reads_them_answers(
    served: Swapping, plain: Bundle, looks: Bundle, picture: bytes, tmp_path: Path
) -> None:
    rows = [{"amount": 0.25, "kind": "a.png"}]
    assert served.client.predict(rows, model="plain") == plain.predict(rows)
    served.swap(looks)
    expected = looks.predict([{"amount": 0.25, "kind": picture}])
    assert expected != looks.predict([{"amount": 0.25, "kind": None}])
    served.asked.clear()
    assert served.client.predict(rows, model="plain", media_dir=tmp_path) == expected
    assert served.asked == ["/predict", "facts", "/predict"]  # the first answer was to a path
    assert served.client.predict(pd.DataFrame(rows), model="plain", media_dir=tmp_path)["won"][0] == expected[0]["won"]
    assert served.asked[3:] == ["/predict"]  # what is known by now holds


def test_a_value_is_no_path_any_more(served: Swapping, plain: Bundle, looks: Bundle) -> None:
    served.swap(looks)
    rows = [{"amount": 0.25, "kind": "red"}]
    with pytest.raises(DataError, match="file not found"):
        served.client.predict(rows, model="plain")
    served.swap(plain)
    assert served.client.predict(rows, model="plain") == plain.predict(rows)
    assert served.client.explain(rows, model="plain", methods=["shapley"])["explanations"][0]["method"] == "shapley"


def test_a_model_of_the_same_columns_is_asked_once(served: Swapping, plain: Bundle, other: Bundle) -> None:
    rows = [{"amount": 0.25, "kind": "red"}]
    assert served.client.predict(rows, model="plain") == plain.predict(rows)
    served.swap(other)
    served.asked.clear()
    assert served.client.predict(rows, model="plain") == other.predict(rows)
    assert served.asked == ["/predict", "facts"]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """As the plain one, of other rows."""
    features = {"amount": "number", "kind": "category"}
    spec = SPEC | {"name": "plain", "data": {}, "features": features, "targets": {"won": "binary"}}
    rows = [{"amount": -row["amount"], "kind": row["kind"], "won": row["won"]} for row in made_up(80)]
    return _trained(tmp_path_factory.mktemp("other"), spec, rows)


def test_many_rows_are_answered_by_one_model(
    served: Swapping, plain: Bundle, other: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[Client.__module__], "_ROWS", 5)
    monkeypatch.setattr(sys.modules[Client.__module__], "_TRIES", 2)
    rows = pd.DataFrame([{"amount": place / 3, "kind": "red"} for place in range(-4, 4)])
    served.client.predict(rows, model="plain")
    served.asked.clear()

    def once(path: str) -> None:
        if path.endswith("/predict") and served.asked == ["/predict"]:
            served.swap(other)

    served.before = once
    assert served.client.predict(rows, model="plain")["won"].tolist() == other.predict(rows)["won"].tolist()
    assert served.asked == ["/predict"] * 2 + ["facts"] + ["/predict"] * 2
    turns = [plain, other] * 10

    def always(path: str) -> None:
        if path.endswith("/predict"):
            served.swap(turns.pop())

    served.before = always
    with pytest.raises(ServeError, match="swapped for another model each time"):
        served.client.predict(rows, model="plain")


@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/vnd.apache.arrow.stream", "x-ndjson"])
def test_every_answer_says_of_which_model_it_is(served: Swapping, accept: str, plain: Bundle) -> None:
    body = json.dumps([{"amount": 1.0, "kind": "red"}]).encode()
    head = {"content-type": "application/json", "accept": accept}
    assert served.send("POST", f"{PLACE}/predict", head, body).headers["trueweight-digest"] == plain.manifest.digest
    wrong = served.send("POST", f"{PLACE}/predict", head, b"[{}]")
    assert wrong.headers["trueweight-digest"] == plain.manifest.digest
    assert isinstance(_error_of(wrong), DataError)
    assert "trueweight-digest" not in served.send("GET", "/v1/models", {}, b"").headers

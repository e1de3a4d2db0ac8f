"""One model, one answer: over HTTP too, whatever the body, for every type of column."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from tests.serve.conftest import png, wav

from trueweight.bundle.bundle import Bundle
from trueweight.cli.main import run

PREDICT = "/v1/models/every/predict"
CLOSE = {"rel": 1e-5, "abs": 1e-5}


def assert_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert list(one) == list(other)
        for name, value in one.items():
            if isinstance(value, float) or isinstance(other[name], float):
                assert float(value) == pytest.approx(float(other[name]), **CLOSE), name
            else:
                assert value == other[name], name


@pytest.fixture
def expected(every: Bundle, asked: list[dict[str, Any]], tmp_path: Path) -> list[dict[str, Any]]:
    """What the command line answers."""
    source, target = tmp_path / "asked.jsonl", tmp_path / "answers.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in asked))
    assert run(["predict", str(every.path), str(source), "-o", str(target)]) == 0
    return [json.loads(line) for line in target.read_text().splitlines()]


def test_python_agrees(every: Bundle, asked: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert_same(every.predict(asked), expected)


def test_json(ask: Any, asked: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert_same(json.loads(ask("POST", PREDICT, {"rows": asked}).body)["predictions"], expected)
    assert_same(json.loads(ask("POST", PREDICT, asked).body)["predictions"], expected)
    alone = [json.loads(ask("POST", PREDICT, row).body)["predictions"][0] for row in asked]
    assert_same(alone, expected)


def test_json_lines_and_streams(ask: Any, asked: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in asked).encode()
    for path in (PREDICT, f"{PREDICT}?stream=true"):
        found = ask("POST", path, lines, "application/x-ndjson", accept="application/x-ndjson")
        assert_same([json.loads(line) for line in found.body.splitlines()], expected)


@pytest.mark.parametrize("path", [PREDICT, f"{PREDICT}?stream=true"])
def test_csv(path: str, ask: Any, asked: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    import csv

    names = list(asked[0])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in asked:
        cells = [row.get(name) for name in names]
        writer.writerow([json.dumps(c) if isinstance(c, list) else "" if c is None else c for c in cells])
    found = ask("POST", path, text.getvalue().encode(), "text/csv", accept="text/csv")
    assert found.status == 200
    read = list(csv.DictReader(io.StringIO(found.body.decode())))
    plain = [
        {n: json.loads(v) if v[:1] == "[" else type(expected[0][n])(v) for n, v in row.items()} for row in read
    ]  # fmt: skip
    assert_same(plain, expected)


def test_arrow_in_and_out(ask: Any, asked: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    names = list(asked[0])
    columns = {name: [row.get(name) for row in asked] for name in names}
    for name in ("photo", "voice"):  # as bytes, as frames hold them
        columns[name] = [None if c is None else base64.b64decode(c.partition(",")[2]) for c in columns[name]]
    table, sink = pa.table(columns), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    kind = "application/vnd.apache.arrow.stream"
    found = ask("POST", PREDICT, sink.getvalue(), kind, accept=kind)
    with pa.ipc.open_stream(io.BytesIO(found.body)) as reader:
        assert_same(reader.read_all().to_pylist(), expected)


def test_a_form_with_files(ask: Any, asked: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    row, parts = asked[0], []
    for name, value in row.items():
        head = f'Content-Disposition: form-data; name="{name}"'
        if name in ("photo", "voice"):
            content = base64.b64decode(value.partition(",")[2])
            parts.append(f'{head}; filename="x.bin"\r\n\r\n'.encode() + content)
        else:
            text = json.dumps(value) if isinstance(value, list) else str(value)
            parts.append(f"{head}\r\n\r\n{text}".encode())
    body = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    found = json.loads(ask("POST", PREDICT, body, "multipart/form-data; boundary=edge").body)["predictions"]
    # All cells of a form are texts or files: the key is one too.
    assert_same(found, [expected[0] | {"key": "0"}])


def test_the_open_inference_protocol(ask: Any, asked: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    plain = ("amount", "kind", "note", "photo", "day")
    kinds = {"amount": "FP64"}
    whole = [asked[0], asked[4], asked[5]]
    inputs = [
        {"name": n, "shape": [3], "datatype": kinds.get(n, "BYTES"), "data": [row[n] for row in whole]} for n in plain
    ]
    inputs.append({"name": "place", "shape": [3, 3], "datatype": "FP64", "data": [row["place"] for row in whole]})
    reply = json.loads(ask("POST", "/v2/models/every/infer", {"id": "7", "inputs": inputs}).body)
    assert reply["id"] == "7"
    outputs = {one["name"]: one["data"] for one in reply["outputs"]}
    ours = json.loads(ask("POST", PREDICT, [{n: row[n] for n in (*plain, "place")} for row in whole]).body)
    assert outputs["cost"] == pytest.approx([row["cost"] for row in ours["predictions"]])
    assert outputs["won"] == [row["won"] for row in ours["predictions"]]
    told = json.loads(ask("GET", "/v2/models/every").body)
    assert {one["name"] for one in told["outputs"]} == set(outputs)
    (version,) = told["versions"]
    digest = json.loads(ask("GET", "/v1/models/every").body)["digest"]
    assert reply["model_version"] == version == digest.removeprefix("sha256:")[:12]
    assert len(expected) == 6


def _floats(most: float) -> Any:
    """None so small that the command line, which is faster without them, has switched them off for this process."""
    return some.floats(-most, most, allow_subnormal=False)


_CELLS = {
    "amount": some.one_of(some.none(), some.integers(-5, 5), _floats(9), some.sampled_from(["3", "x", "NA"])),
    "kind": some.one_of(some.none(), some.sampled_from(["red", "green", "never", "1", "1.0"]), some.integers(0, 2)),
    "member": some.one_of(some.none(), some.booleans(), some.sampled_from(["yes", "true", "0"])),
    "day": some.one_of(some.none(), some.sampled_from(["2026-03-12", "12.3.2026", "soon"])),
    "note": some.one_of(some.none(), some.text(max_size=12)),
    "place": some.one_of(some.none(), some.lists(_floats(3), min_size=3, max_size=3)),
}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=some.lists(some.fixed_dictionaries({}, optional=_CELLS).filter(bool), min_size=1, max_size=4))
def test_batch_mates_do_not_matter(rows: list[dict[str, Any]], every: Bundle) -> None:
    """Whatever cells others send at the same moment: each gets what it would have got alone."""
    from trueweight.serve.hosted import Hosted, plain_rows
    from trueweight.serve.limits import Limits
    from trueweight.serve.rows import rows_of_records

    hosted = Hosted("every", every, Limits())
    several = [rows_of_records([row]) for row in rows]
    together = hosted.answer(several)
    for one, found in zip(several, together, strict=True):
        (alone,) = hosted.answer([one])
        assert not isinstance(found, Exception), found
        assert not isinstance(alone, Exception)
        assert_same(plain_rows(found, 1), plain_rows(alone, 1))
        frame = every.predict(list(one.records))
        assert_same(
            frame, [{n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in plain_rows(alone, 1)[0].items()}]
        )


def test_what_could_not_be_read_is_noted(ask: Any) -> None:
    address = "data:image/png;base64," + base64.b64encode(b"no picture").decode()
    rows = [{"amount": "a lot", "photo": address}, {"amount": 1.0}]
    told = json.loads(ask("POST", "/v1/models/every/predict?notes=true", {"rows": rows}).body)
    assert len(told["predictions"]) == 2
    amount, photo = told["notes"]
    assert amount == "amount: not a number in 1 row, answered as missing"
    assert photo.startswith("photo: ")
    assert json.loads(ask("POST", "/v1/models/every/predict?notes=1", {"rows": rows[1:]}).body)["notes"] == []


_EVERY = _CELLS | {
    "tags": some.one_of(some.none(), some.lists(some.sampled_from(["new", "big", "other"]), max_size=3)),
    "curve": some.one_of(some.none(), some.lists(_floats(2), max_size=12)),
    "photo": some.one_of(some.none(), some.sampled_from([png((9, 99, 199)), "data:image/png;base64,xx"])),
    "voice": some.one_of(some.none(), some.sampled_from([wav(500.0), "data:audio/wav;base64,UklGRg=="])),
}


@settings(max_examples=12, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(rows=some.lists(some.fixed_dictionaries({}, optional=_EVERY).filter(bool), min_size=1, max_size=5))
def test_any_rows_get_the_same_three_ways(rows: list[dict[str, Any]], every: Bundle, ask: Any, tmp_path: Path) -> None:
    """From a server, from the command line and from Python, whatever types are in a column, and what is missing."""
    source, target = tmp_path / "any.jsonl", tmp_path / "answers.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(["predict", str(every.path), str(source), "-o", str(target)]) == 0
    told = [json.loads(line) for line in target.read_text().splitlines()]
    assert_same(every.predict(rows), told)
    reply = ask("POST", PREDICT, {"rows": rows})
    assert reply.status == 200, reply.body
    assert_same(json.loads(reply.body)["predictions"], told)

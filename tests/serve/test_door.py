"""Who is let in: every route without a key, with a wrong one, an expired one, one for something else."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from trueweight.errors import SpecError
from trueweight.serve.doorkeeper import Doorkeeper
from trueweight.serve.keys import SCOPES, KeyStore
from trueweight.serve.refusals import Refused

FREE = {"/", "/page.css", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"} | {
    f"/{name}.js" for name in ("words", "page", "form", "answer", "many", "calls", "start")
}
"""The page's own files, which tell nothing of models, and health."""


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_every_route(serving: Any, store: KeyStore) -> None:
    good, _ = store.add("all", SCOPES)
    late, _ = store.add("late", SCOPES, seconds=1e-6)
    gone, key = store.add("gone", SCOPES)
    store.revoke(key.id)
    other, _ = store.add("other", ["evidence"])
    time.sleep(0.01)
    transport = serving(store=store)
    routes = transport._app.routes.all
    assert {route.path for route in routes if route.scope == "free"} == FREE
    for route in routes:
        path = route.path.replace("{name}", "every")
        if route.scope == "free":
            assert transport.send(route.method, path, {}, b"").status == 200, path
            continue
        for wrong in ("", "tw_none_none", late, gone, good + "x", good.replace("tw_", "")):
            reply = transport.send(route.method, path, bearer(wrong) if wrong else {}, b"")
            assert reply.status == 401, (path, wrong)
            assert "www-authenticate" in reply.headers
            assert b"every" not in reply.body  # nothing is told of what there is
        status = transport.send(route.method, path, bearer(other), b"").status
        allowed = route.scope in ("any", "evidence")
        assert (status != 403) == allowed, (path, status)
        assert transport.send(route.method, path, bearer(good), b"").status not in (401, 403, 404), path


def test_unknown_paths_and_methods(serving: Any) -> None:
    transport = serving()
    assert transport.send("GET", "/v1/models/every/secrets", {}, b"").status == 404
    assert transport.send("GET", "/v1/models/nobody", {}, b"").status == 404
    reply = transport.send("DELETE", "/v1/models/every/predict", {}, b"")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    head = transport.send("HEAD", "/healthz", {}, b"")
    assert (head.status, head.body) == (200, b"")


def test_pages_of_other_sites(serving: Any) -> None:
    transport = serving(hosts=("localhost", "127.0.0.1"))
    assert transport.send("GET", "/v1/models", {"host": "evil.example"}, b"").status == 403
    ours = {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}
    assert transport.send("GET", "/v1/models", ours, b"").status == 200
    assert transport.send("GET", "/v1/models", ours | {"origin": "https://evil.example"}, b"").status == 403


def test_a_browser_is_asked_for_the_key(serving: Any, store: KeyStore) -> None:
    import base64

    text, _ = store.add("me", SCOPES)
    transport = serving(store=store)
    assert transport.send("GET", "/docs", {}, b"").headers["www-authenticate"].startswith("Basic")
    basic = base64.b64encode(f"me:{text}".encode()).decode()
    assert transport.send("GET", "/docs", {"authorization": f"Basic {basic}"}, b"").status == 200


def test_budget_and_pace(store: KeyStore) -> None:
    now = [1000.0]
    text, _ = store.add("few", ["predict"], budget=10)
    slow, _ = store.add("slow", ["predict"], per_minute=60)
    door = Doorkeeper(store, clock=lambda: now[0])
    guest = door.admit(text, "predict")
    door.charge(guest, 6)
    with pytest.raises(Refused, match="4 left"):
        door.charge(guest, 5)
    door.write(door.take())
    now[0] += 2  # the keys are read again
    with pytest.raises(Refused, match="4 left"):
        door.charge(door.admit(text, "predict"), 5)
    door.charge(door.admit(text, "predict"), 4)
    guest = door.admit(slow, "predict")
    door.charge(guest, 60)
    with pytest.raises(Refused) as refused:
        door.charge(guest, 30)
    assert refused.value.status == 429
    assert refused.value.headers["retry-after"] == "30"
    now[0] += 30
    door.charge(guest, 30)


def test_what_was_taken_counts_before_it_is_written(store: KeyStore) -> None:
    """Also of a stream, which is admitted once, and when it is time to read the keys anew."""
    now = [1000.0]
    text, _ = store.add("few", ["predict"], budget=10)
    door = Doorkeeper(store, clock=lambda: now[0])
    stream = door.admit(text, "predict")
    door.charge(stream, 8)
    spent = door.take()
    now[0] += 2
    for guest in (door.admit(text, "predict"), stream):
        with pytest.raises(Refused, match="2 left"):
            door.charge(guest, 3)
    door.write(spent)
    now[0] += 2
    for guest in (door.admit(text, "predict"), stream):
        with pytest.raises(Refused, match="2 left"):
            door.charge(guest, 3)
    assert [key.used for key in store.all()] == [8]


def test_keys_are_kept_as_digests(store: KeyStore) -> None:
    text, key = store.add("me", ["predict"])
    secret = text.split("_", 2)[2]
    for file in store.path.parent.iterdir():
        assert secret.encode() not in file.read_bytes()
    assert store.path.stat().st_mode & 0o077 == 0
    assert key.opens(secret)
    assert not key.opens(secret[:-1])


def test_mistakes_with_keys(store: KeyStore, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no scope 'all'"):
        store.add("me", ["all"])
    with pytest.raises(SpecError, match="lets nothing through"):
        store.add("me", ["predict"], budget=0)
    with pytest.raises(SpecError, match="no key"):
        store.revoke("nobody")
    (tmp_path / "no.sqlite").write_text("this is no database, but it is long enough to be taken for one" * 20)
    with pytest.raises(SpecError, match="cannot be read"):
        KeyStore(tmp_path / "no.sqlite")


def test_keys_that_others_could_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "keys"
    path = folder / "keys.sqlite"
    KeyStore(path).add("me", SCOPES)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert caplog.messages == []
    for one, mode, mend in ((folder, 0o777, f"chmod go-w {folder}"), (path, 0o606, f"chmod 600 {path}")):
        before = one.stat().st_mode
        one.chmod(mode)
        with pytest.raises(SpecError, match="everybody on this machine can change") as refused:
            KeyStore(path)
        assert refused.value.hint == f"{mend}, or name another file with --keys"
        assert one.stat().st_mode & 0o777 == mode  # theirs to decide
        one.chmod(before)
    path.chmod(0o640)
    KeyStore(path)
    assert caplog.messages[-1] == f"{path}, which holds keys, can be read by its group: chmod 600 {path}"


def test_answers_name_no_key(serving: Any, store: KeyStore, tmp_path: Path) -> None:
    text, key = store.add("me", SCOPES)
    transport = serving(store=store, audit=True)
    secret_row = {"note": "PLANTED SECRET 4711"}
    body = json.dumps([secret_row]).encode()
    head = bearer(text) | {"content-type": "application/json"}
    assert transport.send("POST", "/v1/models/every/predict", head, body).status == 200
    counts = transport.send("GET", "/metrics", bearer(text), b"").body.decode()
    assert key.id not in counts
    assert 'trueweight_rows_total{model="every"} 1' in counts
    transport.close()
    log = (tmp_path / "audit.jsonl").read_text()
    assert key.id in log
    assert text not in log
    assert "PLANTED" not in log


def test_keys_that_are_taken_away_let_nobody_in_and_tell_no_path(serving: Any, store: KeyStore) -> None:
    text, key = store.add("me", SCOPES, budget=10)
    transport = serving(store=store)
    body, head = json.dumps([{"amount": 1}] * 4).encode(), bearer(text) | {"content-type": "application/json"}
    assert transport.send("POST", "/v1/models/every/predict", head, body).status == 200
    away = store.path.with_suffix(".away")
    store.path.rename(away)
    end = time.monotonic() + 20
    while (reply := transport.send("GET", "/v1/models", bearer(text), b"")).status == 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert str(store.path.parent).encode() not in reply.body
    assert not store.path.exists()  # nothing was made in its place
    away.rename(store.path)
    while transport.send("GET", "/v1/models", bearer(text), b"").status == 503:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert store.all()[0].id == key.id


def test_what_could_not_be_written_is_not_forgotten(store: KeyStore) -> None:
    now = [1000.0]
    text, _ = store.add("few", ["predict"], budget=10)
    door = Doorkeeper(store, clock=lambda: now[0])
    door.charge(door.admit(text, "predict"), 4)
    away = store.path.with_suffix(".away")
    store.path.rename(away)
    with pytest.raises(SpecError, match="cannot be read"):
        door.write(door.take())
    away.rename(store.path)
    now[0] += 2
    guest = door.admit(text, "predict")
    with pytest.raises(Refused, match="6 left"):
        door.charge(guest, 7)
    door.charge(guest, 2)
    door.write(door.take())
    assert store.all()[0].used == 6
    now[0] += 2
    with pytest.raises(Refused, match="4 left"):
        door.charge(door.admit(text, "predict"), 5)

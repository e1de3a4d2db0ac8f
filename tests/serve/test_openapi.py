"""The description for programs: all that the server answers is in it, and what it says is so."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.serve.app import Application
from trueweight.serve.hosted import Hosted
from trueweight.serve.keys import SCOPES, KeyStore
from trueweight.serve.limits import Limits
from trueweight.serve.openapi import openapi
from trueweight.serve.transport import Answer, MemoryTransport

WRITE = "/v1/models/{name}/write"


@pytest.fixture
def server(every: Bundle, plain: Bundle, teller: Bundle, novel: Bundle) -> Iterator[MemoryTransport]:
    transport = MemoryTransport(Application({one.name: one for one in (every, plain, teller, novel)}, verbs_for()))
    yield transport
    transport.close()


def described(server: MemoryTransport, **headers: str) -> Any:
    return json.loads(server.send("GET", "/openapi.json", headers, b"").body)


def ask(server: MemoryTransport, method: str, path: str, body: Any = None) -> Answer:
    content = b"" if body is None else json.dumps(body).encode()
    return server.send(method.upper(), path, {"content-type": "application/json"}, content)


def test_every_route_is_described_and_nothing_else(server: MemoryTransport) -> None:
    app = server._app
    answered = {
        (route.method.lower(), route.path.replace("{name}", name))
        for route in app.routes.all
        for name in (app.models if "{name}" in route.path else [""])
        if route.path != WRITE or name in ("teller", "novel")  # others write nothing
    }
    told = described(server)
    assert answered == {(method, path) for path, methods in told["paths"].items() for method in methods}
    assert ask(server, "post", WRITE.replace("{name}", "every"), {"rows": [{"amount": 1}]}).status == 422
    identities = [one["operationId"] for methods in told["paths"].values() for one in methods.values()]
    assert len(identities) == len(set(identities))


def test_where_nothing_writes_there_are_no_completions(serving: Any, plain: Bundle) -> None:
    transport = serving(bundles={"plain": plain})
    told = described(transport)
    assert not [path for path in told["paths"] if "completions" in path or path.endswith("/write")]
    assert "Completion" not in told["components"]["schemas"]
    asked = {"model": "plain", "prompt": "x"}
    assert ask(transport, "post", "/v1/completions", asked).status == 400
    assert b"completions" not in transport.send("GET", "/docs", {}, b"").body


def test_every_example_is_answered_as_described(server: MemoryTransport) -> None:
    rs = pytest.importorskip("jsonschema_rs")
    told = described(server)
    count = 0
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            assert ("example" in body) == (method == "post" and not path.endswith("/reload")), path
            if "example" in body:
                checker(rs, told, body["schema"]).validate(body["example"])
            if path == "/v1/models/every/explain":
                continue  # pictures, sounds and texts by all methods: for minutes
            answer = ask(server, method, path, body.get("example"))
            assert answer.status == 200, (path, answer.body)
            kind = answer.headers["content-type"].partition(";")[0]
            schema = operation["responses"]["200"]["content"][kind]["schema"]
            if kind == "application/json":
                checker(rs, told, schema).validate(json.loads(answer.body))
            assert ("trueweight-digest" in answer.headers) == ("headers" in operation["responses"]["200"]), path
            count += 1
    assert count > 30


def checker(rs: Any, told: Any, schema: Any) -> Any:
    return rs.Draft202012Validator({**schema, "components": told["components"]})


def test_refusals_are_described(server: MemoryTransport) -> None:
    rs = pytest.importorskip("jsonschema_rs")
    told = described(server)
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            answer = ask(server, method, path, [1] if method == "post" else None)
            if method == "get" or path.endswith("/reload"):
                continue
            said = operation["responses"][str(answer.status)]["content"]
            schema = said[answer.headers["content-type"]]["schema"]
            checker(rs, told, schema).validate(json.loads(answer.body))


def test_what_keys_must_be_for(serving: Any, store: KeyStore, plain: Bundle) -> None:
    text, _ = store.add("all", SCOPES)
    transport = serving(bundles={"plain": plain}, store=store)
    told = described(transport, authorization=f"Bearer {text}")
    ways = set(told["components"]["securitySchemes"])
    for route in transport._app.routes.all:
        operation = told["paths"].get(route.path.replace("{name}", "plain"), {}).get(route.method.lower())
        if operation is None:
            continue
        found = operation["security"]
        if route.scope == "free":
            assert found == []
            assert "401" not in operation["responses"]
            continue
        assert {way for one in found for way in one} == ways
        roles = [] if route.scope == "any" else [route.scope]
        assert all(one == roles for each in found for one in each.values())
        assert "401" in operation["responses"]
    assert b"Needs a key for predict." in transport.send("GET", "/docs", {"x-api-key": text}, b"").body
    open_one = described(serving(bundles={"plain": plain}))
    assert "securitySchemes" not in open_one["components"]
    assert "security" not in open_one["paths"]["/v1/models"]["get"]


def test_names_of_any_characters(plain: Bundle) -> None:
    """Schemas are called by few characters: two models must not share one for that."""
    models = {}
    for name in ("a b", "a_b", "a/b"):
        manifest = replace(plain.manifest, name=name)
        models[name] = Hosted(name, Bundle(replace(plain.loaded, manifest=manifest)), Limits())
    app = Application({name: hosted.bundle for name, hosted in models.items()}, verbs_for())
    told = openapi(models, app.routes.all, "0", keys=False, limits=Limits())
    rows = set()
    for name in models:
        body = told["paths"][f"/v1/models/{quote(name, safe='')}/predict"]["post"]["requestBody"]
        rows.add(body["content"]["application/json"]["schema"]["properties"]["rows"]["items"]["$ref"])
    assert len(rows) == 3
    assert rows <= {f"#/components/schemas/{one}" for one in told["components"]["schemas"]}

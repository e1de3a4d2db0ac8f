"""What the templates say is what the program knows: options, routes, names of variables."""

import re
from pathlib import Path
from typing import Any

import click
from ruamel.yaml import YAML

from trueweight.cli.serve import serve
from trueweight.serve.telling import Telling

DEPLOY = Path(__file__).parents[2] / "deploy"


def options() -> set[str]:
    return {name for one in serve.params if isinstance(one, click.Option) for name in one.opts}


def test_the_image_asks_for_what_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    command = re.search(r"ENTRYPOINT (\[.*\])", text)
    assert command is not None
    words = YAML(typ="safe").load(command[1])
    assert words[:2] == ["trueweight", "serve"]
    assert {word for word in words if word.startswith("--")} <= options()
    assert re.search(r"^USER 10001:10001$", text, flags=re.MULTILINE)
    root = DEPLOY.parent
    for copied in re.findall(r"^COPY ([a-zA-Z.\s]+) /src", text, flags=re.MULTILINE):
        assert all((root / name).exists() for name in copied.split())
    torch = re.search(r"torch==([\d.]+)", text)
    assert torch is not None
    assert torch[0] in (root / "requirements" / "core.txt").read_text()


def test_probes_are_routes_and_nothing_runs_as_root() -> None:
    parts: list[Any] = list(YAML(typ="safe").load_all((DEPLOY / "kubernetes.yaml").read_text()))
    pod = parts[0]["spec"]["template"]["spec"]
    (server,) = pod["containers"]
    free = {route.path for route in Telling(None).routes() if route.scope == "free"}  # type: ignore[arg-type]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["httpGet"]["path"] in free
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["runAsGroup"] == 10001
    assert server["securityContext"]["readOnlyRootFilesystem"]
    image = (DEPLOY / "Dockerfile").read_text()
    assert {mount["mountPath"] for mount in server["volumeMounts"]} == {"/state", "/tmp"}  # noqa: S108
    written = re.findall(r"(TRUEWEIGHT_\w+|HOME|--home-dir)[= ](/\S+)", image)
    assert {place.split("/")[1] for _, place in written} == {"state", "tmp"}
    assert f"EXPOSE {server['ports'][0]['containerPort']}" in image
    mounted = {mount["name"] for mount in server["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}

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
    assert "USER trueweight" in text
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
    assert server["securityContext"]["readOnlyRootFilesystem"]
    mounted = {mount["name"] for mount in server["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}

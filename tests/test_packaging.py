"""What is declared and what is pinned agree with each other."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(package): version for package, version in found}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(lines: list[str]) -> dict[str, str]:
    matches = [re.match(r"([A-Za-z0-9._-]+)(?:\[.*\])?(?:>=)?(.*)", line) for line in lines]
    return {canonical(match[1]): match[2] for match in matches if match}


def test_every_dependency_is_pinned_to_a_version_it_allows() -> None:
    for name, least in declared(PROJECT["dependencies"]).items():
        pinned = [int(n) for n in pins("core.txt")[name].split(".")]
        assert pinned >= [int(n) for n in least.split(".")], name


def test_every_extra_is_pinned() -> None:
    """Ray, which is large and changes often, is no part of the tested set: tests of it are skipped where it is not."""
    extras = {k: v for k, v in PROJECT["optional-dependencies"].items() if k not in ("all", "ray")}
    for lines in extras.values():
        assert declared(lines).keys() <= pins("test.txt").keys()
    assert PROJECT["optional-dependencies"]["all"] == [f"trueweight[{','.join(extras)}]"]


def test_pins_do_not_contradict_each_other() -> None:
    together: dict[str, str] = {}
    for name in ("core.txt", "test.txt", "bench.txt"):
        for package, version in pins(name).items():
            assert together.setdefault(package, version) == version


def test_every_call_of_pip_in_the_makefile_pins_torch() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert makefile.count("pip ") == 1  # all go through one variable …
    used = [line for line in makefile.splitlines() if "$(INSTALL)" in line]
    assert used
    assert all("$(TORCH)" in line for line in used)
    assert re.search(r"^TORCH := torch==" + re.escape(pins("core.txt")["torch"]) + "$", makefile, re.MULTILINE)
    assert re.search(r"^PIP := .* \$\(TORCH\)$", makefile, re.MULTILINE)  # … that names torch


def test_only_python_versions_that_were_tested_are_claimed() -> None:
    claimed = [c for c in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+", c)]
    assert claimed == ["Programming Language :: Python :: 3.11"]


def test_the_citation_names_this_version() -> None:
    assert f"version: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text()


def test_every_target_of_the_makefile_that_people_are_told_of_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    told = set(re.findall(r"`?make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert told <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)) | {"it"}


def test_doctor_tells_of_every_extra() -> None:
    from trueweight.cli.doctor import EXTRAS

    extras = {name for name in PROJECT["optional-dependencies"] if name != "all"}
    assert set(EXTRAS) == extras
    names = {"sklearn": "scikit-learn"}  # a module by another name than its package
    for extra, module in EXTRAS.items():
        packages = declared(PROJECT["optional-dependencies"][extra])
        assert names.get(module, module) in packages

"""The tuned spec: what was asked for, with the best setting written out, as YAML that says where it came from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trueweight.files import write_atomic
from trueweight.registry import registry
from trueweight.spec.load import dump_spec, parse_spec
from trueweight.spec.run import RunSpec
from trueweight.tune.places import put
from trueweight.tune.space import KEEP, OPTIMIZER, Space
from trueweight.tune.trial import Trial

__all__ = ["free_file", "tuned_spec", "write_tuned"]


def tuned_spec(asked: RunSpec, space: Space, best: Trial) -> RunSpec:
    """The spec that asks for the best setting: training it gives what the trial tried, on all training rows.

    Everything that the search could have changed is written out, so that no recipe decides it anew.
    """
    found = space.with_values(best.values)
    raw: Any = asked.model_dump(mode="json", by_alias=True, exclude_unset=True)
    raw.pop("tune", None)
    model = {key: value for key, value in raw.get("model", {}).items() if key not in ("encoder", "fusion")}
    raw["model"] = {**model, "members": found["model"]["members"]}
    for choice in (c for c in space.choices if c.key in best.values and best.values[c.key] != KEEP):
        for place in choice.places:
            section, name = place[0], place[1]
            if section in ("features", "targets"):
                if choice.name in best.changed:
                    raw = put(raw, (section, name), _brief(section, found[section][name]))
            elif place[:2] == OPTIMIZER:
                raw = put(raw, OPTIMIZER, found["train"]["optimizer"])
            elif section == "train":
                raw = put(raw, place, best.values[choice.key])
    return parse_spec(raw, origin="the tuned spec")


def _brief(section: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """A column's part without what its type would say by itself."""
    kind: Any = registry("column" if section == "features" else "head")[part["type"]]
    short: dict[str, Any] = kind.model_validate(part).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"type": part["type"], **short}


def write_tuned(path: Path, spec: RunSpec, notes: Sequence[str]) -> None:
    """Write a tuned spec, headed by where it came from.

    Raises:
        TrainError: It cannot be written there.
    """
    head = "".join(f"# {' '.join(note.splitlines())}\n" for note in notes)
    write_atomic(path, (head + dump_spec(spec)).encode())


def free_file(folder: Path, stem: str) -> Path:
    """``NAME.tuned.yaml``, or the first ``NAME.tuned-02.yaml`` … that there is not: nobody's changes are lost."""
    number, path = 1, folder / f"{stem}.tuned.yaml"
    while path.exists():
        number += 1
        path = folder / f"{stem}.tuned-{number:02}.yaml"
    return path

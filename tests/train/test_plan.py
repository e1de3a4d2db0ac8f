"""plan.json: what goes in comes out, and what does not belong there is refused."""

from pathlib import Path

import pytest

from trueweight.errors import SpecError
from trueweight.files import write_json
from trueweight.train.plan import Event, MemberPlan, Plan, record_member


@pytest.fixture
def member() -> MemberPlan:
    events = (Event("slow", 40, 12, "slower"),)
    counts = {"steps": 100, "batch_size": 32, "validate_every": 5, "checkpoint_every": 50}
    return MemberPlan(name="mlp", **counts, epochs=3.2, seconds=9.5, events=events)


def test_survives_a_file(tmp_path: Path, member: MemberPlan):
    path = tmp_path / "plan.json"
    Plan((member,)).write(path)
    assert Plan.read(path) == Plan((member,))


def test_members_are_recorded_one_by_one(tmp_path: Path, member: MemberPlan):
    path = tmp_path / "plan.json"
    record_member(path, member)
    record_member(path, MemberPlan.from_json({**member.to_json(), "name": "other"}))
    record_member(path, member.with_event(Event("slow", 60, 3)))
    plan = Plan.read(path)
    assert [m.name for m in plan.members] == ["mlp", "other"]
    assert [event.step for event in plan.member("mlp").events] == [40, 60]
    assert plan.member("nobody") is None


def test_a_replay_reads_no_clock(member: MemberPlan):
    assert member.clock
    assert not Plan((member,)).replayed().member("mlp").clock


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"steps": 0}, "whole numbers of at least 1"),
        ({"steps": "many"}, "whole numbers of at least 1"),
        ({"events": [{"when": 1}]}, "incomplete"),
        ({"dtype": "float8"}, "dtype 'float8' in the plan of 'mlp' is none that we know"),
        ({"layout": 3}, "layout 3"),
        ({"optimizer": None}, "optimizer None"),
        ({"threads": 0}, "threads 0 in the plan of 'mlp' makes no sense"),
        ({"rate": -1.0}, "rate -1.0"),
        ({"compile": "yes"}, "compile 'yes'"),
        ({"tokens": -1}, "tokens -1"),
        ({"packed": True}, "packed True"),
        ({"trials": [{"colour": 1}]}, "incomplete"),
    ],
)
def test_nonsense_is_refused(member: MemberPlan, change: dict, said: str):
    with pytest.raises(SpecError, match=said):
        MemberPlan.from_json({**member.to_json(), **change})


def test_other_files_are_refused(tmp_path: Path):
    path = tmp_path / "plan.json"
    with pytest.raises(SpecError, match="missing"):
        Plan.read(path)
    path.write_text("steps: 3")
    with pytest.raises(SpecError, match="not valid JSON") as caught:
        Plan.read(path)
    assert (caught.value.where, caught.value.hint) == (str(path), "give a run's plan.json")
    assert str(caught.value).startswith(f"{path}: this is not valid JSON")  # its name is said once
    write_json(path, {"schema": 99, "members": []})
    with pytest.raises(SpecError, match="schema 99, we read 1"):
        Plan.read(path)
    write_json(path, [1])
    with pytest.raises(SpecError, match="not a plan"):
        Plan.read(path)

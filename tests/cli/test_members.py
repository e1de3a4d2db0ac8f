"""The line that says who answers, how much, and what it took."""

from trueweight.cli.members import members_lines
from trueweight.evidence.record import Entry, Evidence


def fit(id_: str, metric: str, value: object) -> Entry:
    return Entry(id=f"fit/{id_}", axis="fit", metric=metric, value=value)  # type: ignore[arg-type]


def test_members_with_shares_and_seconds() -> None:
    told = members_lines(
        Evidence(
            (
                fit("0/seconds", "seconds of linear", 0.04),
                fit("0/weight/risk", "weight of linear", 0.0),
                fit("1/seconds", "seconds of trees", 64.0),
                fit("1/weight/risk", "weight of trees", 0.6087),
                fit("left_out/1", "left out", "mlp: no time"),
            )
        )  # fmt: skip
    )
    assert told == ["Members: linear 0 % in 0.0 s, trees 61 % in 1 min 4 s", "  Left out: mlp: no time"]


def test_targets_that_differ_are_told_apart() -> None:
    told = members_lines(
        Evidence(
            (
                fit("0/seconds", "seconds of a", 1.0),
                fit("0/weight/x/y", "weight of a", 0.25),
                fit("0/weight/z", "weight of a", 0.5),
                fit("1/seconds", "seconds of b", 2.0),
                fit("1/weight/x/y", "weight of b", 0.75),
                fit("1/weight/z", "weight of b", 0.5),
            )
        )  # fmt: skip
    )
    assert told == ["Members: a 25 % of x/y + 50 % of z in 1.0 s, b 75 % of x/y + 50 % of z in 2.0 s"]


def test_one_member_alone_is_no_blend() -> None:
    assert members_lines(Evidence((fit("0/seconds", "seconds of a", 1.0), fit("0/weight/y", "weight of a", 1.0)))) == []

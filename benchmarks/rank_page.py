"""Average ranks over tables with bootstrap intervals, and the section that tells them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from benchmarks.rank_sets import SETS

OURS, BOOSTED = "trueweight", "trueweight-boosted"
BEATEN = (
    (OURS, "lightgbm"), (OURS, "xgboost"), (OURS, "sklearn-mlp"), (OURS, "keras-mlp"), (BOOSTED, "catboost"),
)  # fmt: skip
"""Who is promised to rank above whom."""

_RESAMPLES = 10_000


def scores(entries: Sequence[dict[str, object]]) -> pd.DataFrame:
    """A row for each table and fold, a column for each system; of equal runs the later one. Failed ones are infinitely
    bad, those not run are NaN; smaller is better throughout."""
    rows = pd.DataFrame([e for e in entries if not e["used"]])
    rows = rows.drop_duplicates(["set", "fold", "system"], keep="last")
    sign = np.where(rows["metric"] == "roc_auc", -1.0, 1.0)
    rows["loss"] = (sign * rows["score"].astype(float)).fillna(np.inf)
    return rows.pivot_table(index=["set", "fold"], columns="system", values="loss", dropna=False).dropna(how="all")


def means(losses: pd.DataFrame) -> pd.DataFrame:
    """Mean over the folds of each table; NaN where a fold is missing."""
    return losses.groupby(level="set").agg(lambda column: column.mean(skipna=False))


@dataclass(frozen=True)
class Interval:
    """A mean over tables, and where it may lie."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.low:.2f} … {self.high:.2f})"


def interval(values: np.ndarray) -> Interval:
    """The mean with a 95 % bootstrap interval over tables."""
    drawn = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(1), (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high))


def ranks(means: pd.DataFrame) -> pd.DataFrame:
    """Rank of each system on each table, ties shared; of the systems that ran on all tables that ours ran on."""
    there = means[means[OURS].notna()]
    whole = [system for system in there if there[system].notna().all()]
    return there[whole].rank(axis=1, method="average")


def section(entries: Sequence[dict[str, object]]) -> str:
    """The section of the page."""
    if not entries:
        return "Not measured yet: `make bench NAME=ranks`.\n"
    losses = scores(entries)
    found, rows = means(losses), pd.DataFrame([e for e in entries if not e["used"]])
    rows = rows.drop_duplicates(["set", "fold", "system"], keep="last")
    systems = [f"{name}: {', '.join(sorted({str(i).split(' (script')[0] for i in part.identity}))}"
               for name, part in rows.groupby("system")]  # fmt: skip
    lines = [
        f"Measured {', '.join(sorted(set(rows.date)))} on {', '.join(sorted(set(rows.machine)))}.",
        f"{rows.threads.max()} cores and at most {rows.limit.max():.0f} s for each process. {'; '.join(systems)}.", "",
        "Each system gets the same folds, and on each of them is a fresh process with its defaults; *expert* and",
        "*tuned* are what their names say. A table's score is the mean over its folds (cut at random, by group, or in",
        "order of time), its metric was fixed beforehand. A system that fails or takes too long is last on that table.",
        "Intervals are 95 % bootstrap intervals over the tables.", "",
    ]  # fmt: skip
    marked = rows.groupby("set").calibration.first()
    clean = found[~found.index.map(marked)]
    lines += [*_ranked(clean, "never used to choose a default"), ""]
    if len(clean) < len(found):
        lines += [*_ranked(found, "those of the calibration list included"), ""]
    lines += [*_promised(clean), "", *_pairs(losses[~losses.index.get_level_values("set").map(marked)]), ""]
    return "\n".join([*lines, *_scores(found, rows), "", *_failures(rows)]) + "\n"


def gist(entries: Sequence[dict[str, object]]) -> Iterator[str]:
    """Average ranks and promises over the tables that never shaped a default."""
    if not entries:
        yield "Average ranks over many tables are not measured yet: `make bench NAME=ranks`."
        return
    rows = pd.DataFrame(entries)
    clean = means(scores(rows[~rows.calibration].to_dict("records")))
    yield from _ranked(clean, "never used to choose a default")
    yield ""
    yield from _promised(clean)


def _ranked(found: pd.DataFrame, which: str) -> Iterator[str]:
    table = ranks(found)
    yield f"### Average rank over {len(table)} tables, {which}"
    yield "\n| system | average rank | first on |\n|---|---|---|"
    for system in table.mean().sort_values().index:
        name = f"**{system}**" if system in (OURS, BOOSTED) else system
        yield f"| {name} | {interval(table[system].to_numpy())} | {int((table[system] == 1).sum())} |"


def _promised(found: pd.DataFrame) -> Iterator[str]:
    table = ranks(found)
    yield "### What was promised"
    yield "\n| promise | difference of average ranks (below 0: ours is above) | kept? |\n|---|---|---|"
    for own, rival in BEATEN:
        said = f"| {own} ranks above {rival}"
        if own not in table or rival not in table:
            yield f"{said} | not measured | |"
            continue
        gap = interval((table[own] - table[rival]).to_numpy())
        kept = "yes" if gap.high < 0 else "on average; the interval holds 0" if gap.mean < 0 else "**no**"
        yield f"{said} | {gap.mean:+.2f} ({gap.low:+.2f} … {gap.high:+.2f}) | {kept} |"


def _pairs(losses: pd.DataFrame) -> Iterator[str]:
    yield "### One against one, on the folds that both ran"
    yield "\n| system | tables | ours is better on | it is better on | share ours wins |\n|---|---|---|---|---|"
    for system in losses:
        both = losses[[OURS, system]].dropna() if system != OURS else losses[[]]
        if both.empty:
            continue
        mean = both.groupby(level="set").mean()
        wins, lost = mean[OURS] < mean[system], mean[OURS] > mean[system]
        share = interval(wins.to_numpy() + 0.5 * (~wins & ~lost).to_numpy())
        mark = " **we lose**" if lost.sum() > wins.sum() else ""
        yield f"| {system} | {len(mean)} | {wins.sum()} | {lost.sum()}{mark} | {share} |"


def _scores(found: pd.DataFrame, rows: pd.DataFrame) -> Iterator[str]:
    yield "### Every table"
    yield "\nMean over the folds, the best in bold; *c*: on the calibration list. At the end the median seconds.\n"
    yield f"| table | rows | metric | {' | '.join(found.columns)} |\n|---|---|---|{'---|' * found.shape[1]}"
    facts = rows.groupby("set").agg({"rows": "max", "metric": "first", "calibration": "first"})
    for asked in SETS:
        if asked.name in found.index:
            losses, fact = found.loc[asked.name], facts.loc[asked.name]
            cells = " | ".join(_cell(loss, losses.min()) for loss in losses)
            yield f"| {asked.name}{' *c*' if fact.calibration else ''} | {fact.rows:,} | {fact.metric} | {cells} |"
    seconds = rows.groupby("system").seconds.median()
    yield f"| | | seconds | {' | '.join(f'{seconds[system]:.0f}' for system in found.columns)} |"
    yield "\nSources and licences: " + "; ".join(f"{s.name}: {s.source}" for s in SETS if s.name in found.index) + "."


def _cell(loss: float, best: float) -> str:
    if np.isnan(loss):
        return ""
    if np.isinf(loss):
        return "failed"
    shown = f"{abs(loss):.4f}" if abs(loss) < 10 else f"{abs(loss):.1f}"
    return f"**{shown}**" if loss == best else shown


def _failures(rows: pd.DataFrame) -> Iterator[str]:
    failed = rows[rows.reason.notna()]
    if len(failed):
        yield "| failed | fold | system | reason |\n|---|---|---|---|"
        for _, row in failed.iterrows():
            yield f"| {row['set']} | {row.fold} | {row.system} | {row.reason} |"

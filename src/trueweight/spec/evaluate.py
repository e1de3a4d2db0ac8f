"""What is measured on the judged rows, and how sure each number is said to be."""

from typing import Annotated, Literal

from pydantic import Field

from trueweight.spec.base import Spec
from trueweight.spec.energy import EnergySpec
from trueweight.spec.gates import CheckName
from trueweight.spec.robustness import RobustnessSpec
from trueweight.spec.slices import BinsSpec, SensitiveSpec
from trueweight.spec.units import Share

__all__ = ["BaselineName", "CalibrationName", "ConformalSpec", "EvaluateSpec", "IntervalSpec"]


class IntervalSpec(Spec):
    """How the uncertainty of a metric is found."""

    level: Annotated[Share, Field(gt=0)] = 0.95
    """Share of repetitions that the interval should cover."""

    method: Literal["auto", "bootstrap", "exact"] = "auto"
    """auto: exact (Clopper-Pearson) for shares of rows, else bootstrap."""

    n_resamples: Annotated[int, Field(ge=100)] = 1000
    """Draws of the bootstrap. Above 20,000 rows fewer are drawn, so that rows times draws stay at 20 million, but
    never fewer than 200."""

    cluster: str | None = None
    """Column whose rows are drawn together; null draws rows (or the split's groups)."""


class ConformalSpec(Spec):
    """Intervals and sets with a coverage that calibration rows guarantee on average."""

    coverage: Annotated[Share, Field(gt=0)] = 0.9
    """Share of new rows whose true value should lie in the interval, or whose true class should be in the set."""

    method: Literal["split", "conditional", "quantile"] = "split"
    """split: one width, or one bound, for all rows. conditional: a bound for each class, and a width for each range of
    predicted numbers, so that the coverage holds in each; where calibration rows are few, intervals and sets grow.
    quantile: models learn a lower and an upper quantile beside each number, so that the width follows the row; sets are
    those of split."""


CalibrationName = Literal["auto", "temperature", "adaptive", "beta", "none"]
"""How probabilities may be corrected."""


BaselineName = Literal["constant", "linear", "gbdt", "copy", "nearest_neighbour", "n_gram"]
"""Simple models."""


class EvaluateSpec(Spec):
    """What is measured on the test rows."""

    metrics: dict[str, list[str]] | None = None
    """Target to names of metrics. Null: the recipe's for the target's type."""

    interval: IntervalSpec = Field(default_factory=IntervalSpec)
    """How uncertain each number is."""

    calibration: dict[str, CalibrationName] | None = None
    """Target to how its probabilities are corrected: temperature scaling, a temperature that grows with how sure an
    answer is (adaptive), beta calibration (yes-no targets only), none, or auto, which takes the one with the least loss
    on held-out calibration rows. Null: auto for all classes and sets."""

    conformal: ConformalSpec | None = Field(default_factory=ConformalSpec)
    """Intervals around predicted numbers and sets of probable classes; null gives none."""

    slices: list[str | Annotated[list[str], Field(min_length=1, max_length=3)] | BinsSpec] = Field(default_factory=list)
    """Parts of the rows that are scored for themselves: the values of a column, of several columns crossed
    (``[region, channel]``), or bins of a number (``{column: age, bins: [30, 60]}``). Parts that nobody named are
    searched for anyway."""

    sensitive: SensitiveSpec | None = None
    """Columns that answers must not depend on unfairly, e.g. gender."""

    robustness: RobustnessSpec = Field(default_factory=RobustnessSpec)
    """What the check of robustness tries beyond its suites."""

    checks: list[CheckName] | None = None
    """What is looked at beside the scores. Null: everything that needs no more training; an empty list: nothing."""

    energy: EnergySpec = Field(default_factory=EnergySpec)
    """How energy is told."""

    written_rows: Annotated[int, Field(ge=10)] | None = 1000
    """Most rows that are judged where a model writes texts from what it reads: each text is written token by token, and
    again by every check of robustness. They are a sample of the test rows (of the validation rows where no test rows
    are opened), always the same. Null: all of them, however long that takes."""

    learning_curve: bool = False
    """Fit the linear model again on parts of the training rows, however long that takes: what more rows would bring,
    and which labels look wrong. False does so only where it takes a moment."""

    baselines: list[BaselineName] | None = None
    """Simple models fitted beside ours, kept as bundles, and compared on the same rows. constant: the mean, the shares
    of classes, the most frequent text. linear: solved. gbdt: boosted trees, which need ``trueweight[sklearn]`` and are
    compared only, not kept. For texts as targets: copy answers with the text that was read; nearest_neighbour with the
    text of the training row whose texts (without any, whose sounds) are most alike; n_gram knows how often bytes follow
    each other and reads nothing. The last two hold training texts, so they are compared only, unless
    ``bundle.golden_rows`` is real. Null: linear and constant; for texts nearest_neighbour, copy (of one text) and
    constant, and n_gram where nothing is read."""

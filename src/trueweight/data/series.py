"""What is done to series before a model sees them: gaps filled, steps averaged, scales found without any one row's.

Shape suffixes:
    N  rows    S  steps of all rows    C  channels
"""

import numpy as np

from trueweight.data.ragged import Ragged, starts_of

__all__ = ["averaged", "channel_scales", "filled", "rows_with_gaps"]


def filled(series: Ragged, how: str) -> np.ndarray:
    """Values with none missing, (S, C): between neighbours of the row on a straight line, or the last value repeated;
    before a row's first value that one, and 0 in a channel of a row that has none.

    Args:
        series: NaN where a step has no value.
        how: "linear" or "last".
    """
    value_SC = series.value_MC
    gap_SC = np.isnan(value_SC)
    if not gap_SC.any():
        return value_SC
    steps = len(value_SC)
    row_S = np.repeat(np.arange(len(series)), series.lengths)
    first_S, last_S = series.start_N1[row_S], series.start_N1[row_S + 1] - 1
    place_S = np.arange(steps)
    found_SC = value_SC.copy()
    for channel in np.flatnonzero(gap_SC.any(0)):
        gap_S, value_S = gap_SC[:, channel], value_SC[:, channel]
        before_S = np.maximum.accumulate(np.where(gap_S, -1, place_S))
        after_S = np.minimum.accumulate(np.where(gap_S, steps, place_S)[::-1])[::-1]
        holed = np.flatnonzero(gap_S)
        before, after = before_S[holed], after_S[holed]
        has_before, has_after = before >= first_S[holed], after <= last_S[holed]
        early = value_S[np.where(has_before, before, np.minimum(after, steps - 1))]
        late = value_S[np.where(has_after, after, np.maximum(before, 0))]
        share = (holed - before) / np.maximum(after - before, 1)
        between = early if how == "last" else early * (1 - share) + late * share
        chosen = np.where(has_before & has_after, between, np.where(has_before, early, late))
        found_SC[holed, channel] = np.where(has_before | has_after, chosen, 0.0)
    return found_SC


def rows_with_gaps(series: Ragged) -> np.ndarray:
    """Which rows have a step without a value, (N,) bool."""
    total = np.concatenate([[0], np.cumsum(np.isnan(series.value_MC).any(1))])
    return np.asarray(total[series.start_N1[1:]] > total[series.start_N1[:-1]])


def averaged(series: Ragged, every: int, most: int) -> Ragged:
    """Each ``every`` neighbouring steps as their mean, at most ``most`` of those; what is beyond is cut.

    Args:
        series: Without NaN.
        every: At least 1. The last step of a row may rest on fewer.
        most: Steps that are kept.
    """
    lengths = np.minimum(series.lengths, every * most)
    if int(lengths.sum()) < len(series.value_MC):
        place = np.arange(int(lengths.sum())) - np.repeat(starts_of(lengths)[:-1] - series.start_N1[:-1], lengths)
        series = Ragged(series.value_MC[place], starts_of(lengths))
    if every == 1 or not len(series.value_MC):
        return series
    blocks = -(-lengths // every)
    start_N1 = starts_of(blocks)
    row_B = np.repeat(np.arange(len(series)), blocks)
    first_B = series.start_N1[row_B] + (np.arange(start_N1[-1]) - start_N1[row_B]) * every
    sums_BC = np.add.reduceat(series.value_MC, first_B, axis=0)
    return Ragged(sums_BC / np.diff(np.append(first_B, len(series.value_MC)))[:, None], start_N1)


def channel_scales(series: Ragged, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, (C,) float64 each, every row counting alike however long it is.

    The spread is 0 for a channel that does not vary; both are 0 for one that fewer than ``least`` rows have a value of.

    Args:
        series: Rows to learn from; NaN is passed over.
        least: Rows that hide each other.
    """
    value_SC = series.value_MC.astype(np.float64)
    told = np.concatenate([np.zeros((1, value_SC.shape[1]), np.int64), np.cumsum(~np.isnan(value_SC), axis=0)])
    having_C = (told[series.start_N1[1:]] > told[series.start_N1[:-1]]).sum(0)
    value_SC[:, having_C < least] = 0.0
    size_C = np.nanmax(np.abs(value_SC), axis=0, initial=1e-300) if len(value_SC) else np.ones(value_SC.shape[1])
    size_C = np.where(np.isfinite(size_C), size_C, 1.0)
    small_SC = value_SC / size_C
    mean_C = _mean_of_means(Ragged(small_SC, series.start_N1))
    variance_C = _mean_of_means(Ragged(np.square(small_SC - mean_C), series.start_N1))
    low_C = np.nanmin(small_SC, axis=0, initial=np.inf) if len(value_SC) else np.zeros(value_SC.shape[1])
    high_C = np.nanmax(small_SC, axis=0, initial=-np.inf) if len(value_SC) else np.zeros(value_SC.shape[1])
    std_C = np.where(high_C > low_C, np.sqrt(variance_C) * size_C, 0.0)
    return mean_C * size_C, np.where(np.isfinite(std_C), std_C, 0.0)


def _mean_of_means(series: Ragged) -> np.ndarray:
    """Mean over rows of the mean over steps, (C,); 0 without any."""
    filled_N = series.lengths > 0
    if not filled_N.any():
        return np.zeros(series.value_MC.shape[1])
    given_SC = ~np.isnan(series.value_MC)
    start = series.start_N1[:-1][filled_N]
    sums_NC = np.add.reduceat(np.where(given_SC, series.value_MC, 0.0), start, axis=0)
    count_NC = np.add.reduceat(given_SC.astype(np.int64), start, axis=0)
    mean_NC = sums_NC / np.maximum(count_NC, 1)
    return np.asarray(mean_NC.sum(0) / np.maximum((count_NC > 0).sum(0), 1))

"""Counter-based random streams: every draw is named by what it is for, so nothing has to be remembered.

``stream_seed(run_seed, "step", 17)`` is the same number on every machine and at every time. A run that is
killed and resumed therefore needs no stored generator state, and the number of workers does not matter.
"""

import hashlib

import numpy as np

__all__ = ["row_hashes", "stream", "stream_seed"]


def stream_seed(run_seed: int, purpose: str, *counters: int) -> int:
    """A 63-bit seed for one purpose at one place in the run.

    Args:
        run_seed: The spec's ``seed``.
        purpose: What the numbers are for, e.g. "shuffle". Different purposes are independent.
        counters: Where in the run, e.g. epoch and step.
    """
    text = "/".join([str(run_seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def stream(run_seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A NumPy generator (Philox, itself counter-based) for one purpose at one place in the run."""
    return np.random.Generator(np.random.Philox(stream_seed(run_seed, purpose, *counters)))


def row_hashes(seed: int, rows: np.ndarray) -> np.ndarray:
    """One well-mixed uint64 per row number, the same whatever other rows are asked for.

    Source: the finaliser of SplitMix64, Steele, Lea and Flood 2014, "Fast splittable pseudorandom
    number generators", applied to ``row + seed * golden ratio``.

    Args:
        seed: Any integer; see :func:`stream_seed`.
        rows: Row numbers, (N,) integers.
    """
    with np.errstate(over="ignore"):
        start = np.uint64(seed & 0xFFFFFFFFFFFFFFFF) * np.uint64(0x9E3779B97F4A7C15)
        z = np.asarray(rows).astype(np.uint64)  # a copy, changed in place: memory costs more here than arithmetic
        z += start + np.uint64(0x9E3779B97F4A7C15)
        # Twice, because row numbers that differ in one bit only must still come out unrelated.
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 0xBF58476D1CE4E5B9)):
            z ^= z >> np.uint64(shift)
            z *= np.uint64(factor)
        z ^= z >> np.uint64(29)
        return z

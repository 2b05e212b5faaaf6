"""Of two samples as bare arrays: distances, what chance makes of them, and the hypotheses of a verdict."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

Array = np.ndarray[Any, np.dtype[Any]]
Row = dict[str, Any]
THRESHOLDS = {"numeric": 0.06, "categorical": 0.08, "missing": 0.02}  # least effects: see `drift_report`
THRESHOLDS |= {"level": 0.02, "tail": 0.025}
MIN_MISSING = 5  # rows of the smaller side: a change of a share that is fewer does not count
EXTRA = 0.02  # of alpha, for the rare levels and for the tails, on top of what the column's main test has
TINY = np.finfo(float).tiny  # the least p-value
LIMIT = 1 / (np.arange(1, 101) * np.arange(2.0, 102))  # eigenvalues of A² without ties, the 100 largest
_ANGLES = (np.arange(128) + 0.5) / 128 * np.pi - np.pi / 2


class Gap(NamedTuple):
    """How far two samples are apart."""

    ks: float  # the largest difference of the shares of rows up to a value
    at: float  # that value
    area: float  # Wasserstein distance, in the unit of the values
    statistic: float  # A²
    p_value: float  # of A²


def merged(r: Array, c: Array) -> Gap:
    """The distances of two sorted samples, shapes (n,) and (m,), from one merge of both.

    A²: Scholz and Stephens (1987), equation 7, ties as midranks.
    """
    n, m = len(r), len(c)
    size = n + m
    both = np.concatenate([r, c])
    order = both.argsort(kind="stable")  # merges the two runs in linear time
    values = both[order]
    gap = np.where(order < n, float(m), float(-n))  # n · m times the difference of the shares: exact
    np.cumsum(gap, out=gap)
    ends = np.append(np.flatnonzero(values[1:] != values[:-1]), size - 1)  # the last row of each value
    if len(ends) == 1:
        return Gap(0.0, float(values[0]), 0.0, 0.0, 1.0)
    if len(ends) == size:
        weight, eigenvalues, least = _weights(size), LIMIT, 1 / 101  # what the 100 leave out
    else:
        values, gap, upto = values[ends], gap[ends], ends + 1.0
        height = np.diff(upto, prepend=0.0)
        weight = height / ((upto - height / 2) * (size - upto + height / 2) - height * (size / 4))
        few = height.max() > 0.01 * size  # fewer ties leave the limit as it is
        eigenvalues, least = (eigenvalues_of(upto / size), 0.0) if few else (LIMIT, 1 / 101)
    distance = np.abs(gap)
    at = int(distance.argmax())
    ks, area = distance[at] / n / m, float(distance[:-1] @ np.diff(values)) / n / m
    gap[1:] += gap[:-1]  # twice the midrank's
    statistic = float(weight @ np.square(gap, out=gap)) / 4 * (size - 1) / size / n / m
    return Gap(float(ks), float(values[at]), area, statistic, tail(statistic - least, eigenvalues))


@lru_cache(maxsize=1)
def _weights(size: int) -> Array:
    """The weights of A² without ties: the same for every column of a report."""
    upto = np.arange(0.5, size)
    return 1 / (upto * (size - upto) - size / 4)


def eigenvalues_of(upto: Array) -> Array:
    """Of A²'s limit, a Brownian bridge's weighted squares; `upto`: shares of rows (64 of them are enough)."""
    upto = np.unique(upto[upto.searchsorted(np.linspace(1 / 64, 1, 64) - 1e-12).clip(max=len(upto) - 1)])
    height = np.diff(upto, prepend=0)
    root = np.sqrt(height / ((upto - height / 2) * (1 - upto + height / 2) - height / 4))
    bridge = np.pad(np.minimum.outer(upto, upto) - np.outer(upto, upto), (1, 0))
    mean = (bridge[1:, 1:] + bridge[:-1, :-1] + bridge[1:, :-1] + bridge[:-1, 1:]) / 4
    found = np.linalg.eigvalsh(root[:, None] * mean * root)[::-1]
    return found[found > 1e-9 * found[0]]


def tail(x: float, eigenvalues: Array) -> float:
    """P(sum of eigenvalue × chi-squared(1) > x): Smirnov's integrals between the poles (1937)."""
    if len(eigenvalues) == 1:
        return float(np.clip(stats.chi2.sf(x / eigenvalues[0], 1), TINY, 1))
    if len(eigenvalues) > 8 and x < 14 * eigenvalues[8]:
        return 1.0  # by 1 in 1,000; further left four integrals are not enough
    if len(eigenvalues) % 2:
        eigenvalues = np.append(eigenvalues, eigenvalues[-1] / 100)  # the last integral has no end
    p = 0.0
    for k in range(0, min(len(eigenvalues), 8), 2):
        low, high = 0.5 / eigenvalues[k : k + 2]
        t = (low + high) / 2 + (high - low) / 2 * np.sin(_ANGLES)
        others = np.abs(1 - 2 * np.outer(t, np.delete(eigenvalues, [k, k + 1]))).prod(axis=1)
        part = np.mean(np.exp(-t * max(x, 0)) / t / np.sqrt(others)) * np.sqrt(low * high)
        p += -part if k % 4 else part
    return float(np.clip(p, TINY, 1))


def quantile(values: Array, q: float) -> float:
    """NumPy's linear quantile, of values that are sorted already."""
    low, part = divmod(q * (len(values) - 1), 1)
    high = min(int(low) + 1, len(values) - 1)
    return float(values[int(low)] * (1 - part) + values[high] * part)


def shares(a: Array, b: Array) -> dict[str, float]:
    """psi, js, kl and tv of two rows of counts; psi and kl take an empty bin as half a row."""
    p, q = a / a.sum(), b / b.sum()
    some, other = (np.maximum(x, 0.5) / np.maximum(x, 0.5).sum() for x in (a, b))
    kl, back = special.rel_entr(other, some).sum(), special.rel_entr(some, other).sum()
    js = (special.rel_entr(p, (p + q) / 2) + special.rel_entr(q, (p + q) / 2)).sum() / 2 / np.log(2)
    return {"psi": kl + back, "js": max(js, 0.0) ** 0.5, "kl": kl, "tv": np.abs(p - q).sum() / 2}


def hypothesis(name: str, statistic: float, p: float, effect: float, threshold: float, reason: str) -> Row:
    """The end of a row of the report, before the verdict; `design`: how many rows tell as much as one."""
    found = {"test": name, "statistic": statistic, "p_value": p, "p_corrected": np.nan, "design": 1.0}
    return found | {"effect": effect, "threshold": threshold, "reason": reason}


def untested(threshold: float, reason: str = "") -> Row:
    """The row of a column of which there is nothing to test."""
    return hypothesis("none", np.nan, np.nan, np.nan, threshold, reason)


def missing_share(lost: Array, rows: Array, limit: float, design: float = 1.0) -> Row:
    """The hypothesis that the share of missing values changed, from missing and all rows of both sides."""
    old, new = lost / rows.clip(1)
    table = [np.rint(counts / design).astype(int) for counts in (lost, rows - lost)]
    p = max(stats.fisher_exact(table).pvalue, TINY)
    least = max(limit, MIN_MISSING / max(1, rows.min()))
    words = f"missing in {old:.1%} of the reference and {new:.1%} of the current rows"
    return hypothesis("missing share (Fisher)", new - old, p, abs(new - old), least, words)


def share_moved(a: Array, b: Array, n: float, m: float) -> Array:
    """P-values that a of n and b of m rows are one share, two-sided, given a + b.

    The binomial tail in place of Fisher's: as good where the share is small, a little above it elsewhere.
    """
    q = m / (n + m)
    more = np.where(b > 0, special.betainc(np.maximum(b, TINY), a + 1, q), 1.0)
    fewer = np.where(a > 0, special.betainc(np.maximum(a, TINY), b + 1, 1 - q), 1.0)
    return np.clip(2 * np.minimum(more, fewer), TINY, 1)


def beyond_chance(a: Array, b: Array, n: float, m: float, tests: int, design: float) -> Array:
    """The change of a share less what the largest of as many `tests` is by chance alone."""
    part = (a + b) / (n + m)
    chance = 2 * np.log(tests) * part * (1 - part) * (1 / n + 1 / m) * design
    return np.sqrt(np.maximum(0.0, (b / m - a / n) ** 2 - chance))

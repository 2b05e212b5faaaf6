"""Distances between two samples, and what chance makes of them: sorted numbers, or counts of categories."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

Array = np.ndarray[Any, np.dtype[Any]]
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
    """The distances of two sorted samples, shapes (n,) and (m,), from one merge of both."""
    n, m = len(r), len(c)
    size = n + m
    both = np.concatenate([r, c])
    order = both.argsort(kind="stable")  # merges the two runs in linear time
    both = both[order]
    gap = (order < n) * float(size)
    del order
    gap -= n  # m for a value of the reference, -n for one of the current: every sum is exact
    np.cumsum(gap, out=gap)
    last, upto = both[1:] != both[:-1], None
    if last.all():
        weight = _weights(size)
    else:
        ends = np.append(np.flatnonzero(last), size - 1)
        both, gap, upto = both[ends], gap[ends], ends + 1.0
        if len(both) == 1:
            return Gap(0.0, float(both[0]), 0.0, 0.0, 1.0)
        height = np.diff(upto, prepend=0.0)
        weight = height / ((upto - height / 2) * (size - upto + height / 2) - height * (size / 4))
        upto = upto / size if height.max() > 0.01 * size else None  # fewer ties leave the limit as it is
    distance = np.abs(gap)
    at = int(distance.argmax())
    ks, area = distance[at] / n / m, float(distance[:-1] @ np.diff(both)) / n / m
    del distance
    gap[1:] += gap[:-1]
    statistic = float(weight @ np.square(gap, out=gap)) / 4 * (size - 1) / size / n / m
    p = tail(statistic - 1 / 101, LIMIT) if upto is None else tail(statistic, eigenvalues_of(upto))
    return Gap(float(ks), float(both[at]), area, statistic, p)


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
    """P(sum of eigenvalue × chi-squared(1) > x): Smirnov's integrals between the poles."""
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
    """NumPy's linear quantile of values that are sorted already."""
    low, part = divmod(q * (len(values) - 1), 1)
    high = min(int(low) + 1, len(values) - 1)
    return float(values[int(low)] * (1 - part) + values[high] * part)


def shares(a: Array, b: Array) -> dict[str, float]:
    """psi, js, kl and tv of two rows of counts."""
    p, q = a / a.sum(), b / b.sum()
    some, other = (np.maximum(x, 0.5) / np.maximum(x, 0.5).sum() for x in (a, b))
    kl, back = special.rel_entr(other, some).sum(), special.rel_entr(some, other).sum()
    js = (special.rel_entr(p, (p + q) / 2) + special.rel_entr(q, (p + q) / 2)).sum() / 2 / np.log(2)
    return {"psi": kl + back, "js": max(js, 0.0) ** 0.5, "kl": kl, "tv": np.abs(p - q).sum() / 2}

"""What a verdict stands on: a hypothesis with its p-value, its effect and the least effect that counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special, stats

from walkforward.drift.measures import TINY, Array

Row = dict[str, Any]
THRESHOLDS = {"numeric": 0.06, "categorical": 0.08, "missing": 0.02}  # least effects: see `drift_report`
THRESHOLDS |= {"level": 0.02, "tail": 0.025}
MIN_MISSING = 5  # rows of the smaller side: a change of a share that is fewer does not count
EXTRA = 0.02  # of alpha, for the rare levels and for the tails, on top of what the column's main test has


def hypothesis(name: str, statistic: float, p: float, effect: float, threshold: float, reason: str) -> Row:
    """The end of a row of the report, before the verdict; `design`: how many rows tell as much as one."""
    found = {"test": name, "statistic": statistic, "p_value": p, "p_corrected": np.nan, "design": 1.0}
    return found | {"effect": effect, "threshold": threshold, "reason": reason}


def missing_share(lost: Array, rows: Array, limit: float, design: float = 1.0) -> Row:
    """The hypothesis that the share of missing values changed, from missing and all rows of both sides."""
    old, new = lost / rows.clip(1)
    lost, there = (np.rint(counts / design).astype(int) for counts in (lost, rows - lost))
    p = max(stats.fisher_exact([lost, there]).pvalue, TINY)
    limit = max(limit, MIN_MISSING / max(1, rows.min()))
    words = f"missing in {old:.1%} of the reference and {new:.1%} of the current rows"
    return hypothesis("missing share (Fisher)", new - old, p, abs(new - old), limit, words)


def share_moved(a: Array, b: Array, n: float, m: float) -> Array:
    """P-values that a of n and b of m rows are one share, two-sided, given a + b.

    The binomial tail in place of Fisher's: as good where the share is small, a little above it elsewhere.
    """
    q = m / (n + m)
    more = np.where(b > 0, special.betainc(np.maximum(b, TINY), a + 1, q), 1.0)
    fewer = np.where(a > 0, special.betainc(np.maximum(a, TINY), b + 1, 1 - q), 1.0)
    return np.clip(2 * np.minimum(more, fewer), TINY, 1)


def least_change(a: Array, b: Array, n: float, m: float, level: float, common: float) -> Array:
    """The change of a share that counts: half of the smaller one, not under `level` and not over `common`."""
    rare = np.clip(np.minimum(a / n, b / m) / 2, min(level, common), common)
    return np.maximum(rare, MIN_MISSING / min(n, m))


def beyond_chance(a: Array, b: Array, n: float, m: float, tests: int, design: float) -> Array:
    """The change of a share less what the largest of as many `tests` is by chance alone."""
    part = (a + b) / (n + m)
    chance = 2 * np.log(tests) * part * (1 - part) * (1 / n + 1 / m) * design
    return np.sqrt(np.maximum(0.0, (b / m - a / n) ** 2 - chance))

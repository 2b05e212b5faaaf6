"""What one column is tested for, and its measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from walkforward.drift.columns import counts_of, in_order, shown, side_kind, types_said
from walkforward.drift.frames import MIN_VALUES, SIDES
from walkforward.drift.measures import TINY, Array, merged, quantile, shares

Row = dict[str, Any]
THRESHOLDS = {"numeric": 0.06, "categorical": 0.08, "missing": 0.02}  # least effects: see `drift_report`
MIN_MISSING = 5  # rows of the smaller side: a change of the missing share that is fewer does not count
_QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
_PAIRS = [f"{name}_{side}" for name in ("n", "missing", "mean", "std", *_QUANTILES) for side in SIDES]
MEASURES = ["kind", *_PAIRS, "ks", "wasserstein", "psi", "js", "kl", "tv", "chi2"]
QUIET = np.errstate(over="ignore", invalid="ignore")  # numbers near 1e308 give infinite measures


def hypothesis(name: str, statistic: float, p: float, effect: float, threshold: float, reason: str) -> Row:
    """The end of a row of the report."""
    found = {"test": name, "statistic": statistic, "p_value": p, "p_corrected": np.nan}
    return found | {"effect": effect, "threshold": threshold, "reason": reason}


def missing_share(lost: Array, rows: Array, limit: float) -> Row:
    """The hypothesis that the share of missing values changed, from missing and all rows of both sides."""
    old, new = lost / rows.clip(1)
    p = max(stats.fisher_exact([lost, rows - lost]).pvalue, TINY)
    limit = max(limit, MIN_MISSING / max(1, rows.min()))
    words = f"missing in {old:.1%} of the reference and {new:.1%} of the current rows"
    return hypothesis("missing share (Fisher)", new - old, p, abs(new - old), limit, words)


@QUIET
def compare(
    old: pd.Series, new: pd.Series | None, coded: bool, limits: Mapping[str, float], bins: int
) -> tuple[Row, list[Row]]:
    """The measures of one column, and the hypotheses that its verdict stands on."""
    here, there = side_kind(old), "" if new is None else side_kind(new)
    row = {"column": old.name, "kind": here or there or "numeric", "n_reference": len(old), "n_current": 0}
    if new is None:
        return row, [hypothesis("schema", np.nan, np.nan, 1, 0, "the current frame has no such column")]
    for side, values in zip(SIDES, (old, new), strict=True):
        row |= {f"n_{side}": len(values), f"missing_{side}": values.isna().sum() / max(1, len(values))}
    if here and there and here != there:
        return row | {"kind": "mixed"}, [hypothesis("schema", np.nan, np.nan, 1, 0, types_said(here, there))]
    if row["kind"] in ("numeric", "date") and not coded:
        tests = [_numbers(row, old, new, limits["numeric"], bins)]
    else:
        row["kind"] = row["kind"] if row["kind"] in ("boolean", "mixed") else "categorical"
        tests = [_categories(row, old, new, limits["categorical"])]
    rows = np.array([len(old), len(new)])
    lost = np.rint(rows * [row[f"missing_{side}"] for side in SIDES]).astype(int)
    if (rows - lost).min() < MIN_VALUES:
        tests[0]["p_value"] = np.nan
    if lost.any() and rows.min() >= MIN_VALUES:
        tests.append(missing_share(lost, rows, limits["missing"]))
    return row, tests


def _numbers(row: Row, old: pd.Series, new: pd.Series, limit: float, bins: int) -> Row:
    """All measures of a numeric column, from one sort of each sample."""
    r, c = sides = [in_order(side, row["kind"]) for side in (old, new)]
    for values, side in zip(sides, SIDES, strict=True):
        row[f"missing_{side}"] = 1 - len(values) / max(1, row[f"n_{side}"])
        if len(values):
            row[f"mean_{side}"] = values.mean()
            row[f"std_{side}"] = values.std(ddof=1) if len(values) > 1 else np.nan
            row |= {f"{name}_{side}": quantile(values, q) for name, q in _QUANTILES.items()}
    if not (len(r) and len(c)):
        return hypothesis("none", np.nan, np.nan, np.nan, limit, "")
    row["ks"], where, area, statistic, p = merged(r, c)
    row["wasserstein"] = area / row["std_reference"] if row["std_reference"] > 0 else np.inf if area else 0.0
    edges, times = np.unique([quantile(r, k / bins) for k in range(1, bins)], return_counts=True)
    # an edge that stands twice is a value of many rows: a bin of its own
    cuts = [np.sort([*v.searchsorted(edges, "right"), *v.searchsorted(edges[times > 1])]) for v in sides]
    row |= shares(*(np.diff(cut, prepend=0, append=len(v)) for cut, v in zip(cuts, sides, strict=True)))
    below = [v.searchsorted(where, "right") / len(v) for v in sides]
    words = f"{below[0]:.1%} of the reference and {below[1]:.1%} of the current values are at most "
    return hypothesis("Anderson-Darling", statistic, p, row["ks"], limit, words + shown(where, row["kind"]))


def _categories(row: Row, old: pd.Series, new: pd.Series, limit: float) -> Row:
    """The measures of a categorical column, from its counts; the categories too rare to test are one."""
    counts = counts_of(old, new)
    names, (a, b) = list(counts.index), counts.to_numpy(float).T
    n, m = a.sum(), b.sum()
    enough = 5 * (n + m) / max(1, min(n, m))
    kept = int((a + b >= enough).sum())  # the others stand behind
    if not (n and m and kept):
        return hypothesis("none", np.nan, np.nan, np.nan, limit, "")
    if kept < len(a):
        kept -= kept > 1 and (a + b)[kept:].sum() < enough  # still too rare: one more joins them
        names = [*names[:kept], "(rare ones)"]
        a, b = (np.append(x[:kept], x[kept:].sum()) for x in (a, b))
    row |= shares(a, b)
    part = (a + b) / (n + m)
    row["chi2"] = chi2 = float(((a - n * part) ** 2 / (n * part) + (b - m * part) ** 2 / (m * part)).sum())
    p = stats.chi2.sf(chi2, len(a) - 1) if len(a) > 1 else 1.0
    if len(a) == 2 and part.min() * min(n, m) < 5:
        p = stats.fisher_exact(np.array([a, b], dtype=int)).pvalue
    if len(a) > 2:
        # the likelihood ratio of each category against all others is right in the tail, a normal z is not
        cells = ((a, n * part), (n - a, n * (1 - part)), (b, m * part), (m - b, m * (1 - part)))
        single = 2 * sum(special.xlogy(x, np.where(x > 0, x / y, 1)) for x, y in cells)
        p = min(1.0, 2 * min(p, len(a) * stats.chi2.sf(single.max(), 1)))
    at = int(np.abs(a / n - b / m).argmax())
    chance = np.sqrt(part * (1 - part) * (1 / n + 1 / m) / (2 * np.pi)).sum()  # what tv is without any drift
    effect = float(np.sqrt(max(0.0, row["tv"] ** 2 - chance**2)))
    words = f"{names[at]!r}: {a[at] / n:.1%} of the reference and {b[at] / m:.1%} of the current values"
    return hypothesis("chi-squared", chi2, float(max(p, TINY)), effect, limit, words)

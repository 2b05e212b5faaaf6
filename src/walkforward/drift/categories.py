"""The measures and tests of a column of categories: the common ones, each rare one, and a new vocabulary."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from walkforward.drift.columns import Column, counts_of, shown
from walkforward.drift.dependence import Blocks
from walkforward.drift.hypotheses import (
    EXTRA,
    MIN_MISSING,
    Row,
    beyond_chance,
    hypothesis,
    least_change,
    share_moved,
)
from walkforward.drift.measures import TINY, Array, shares


def compare_categories(
    row: Row, old: Column, new: Column, limits: Mapping[str, float], blocks: Blocks | None
) -> tuple[Row, list[Row]]:
    """The measures, into `row`, from the counts; the main hypothesis, and those of single and new levels."""
    counts = counts_of(old, new)
    names, (a, b) = list(counts.index), counts.to_numpy(float).T
    n, m = a.sum(), b.sum()
    if not (n and m):
        return hypothesis("none", np.nan, np.nan, np.nan, limits["categorical"], ""), []
    design = _design(old, new, names, blocks) if blocks else 1.0
    kind = old.kind if old.kind == "date" else ""
    single = _levels([shown(name, kind) for name in names], a, b, design, limits)
    unseen = _vocabulary(a, b, design, limits["level"])
    enough = 5 * design * (n + m) / max(1, min(n, m))
    kept = int((a + b >= enough).sum())  # the others stand behind
    if kept:
        main = _common(row, names, a, b, kept, enough, design, limits["categorical"], kind)
        return main, [one | {"p_value": min(1.0, one["p_value"] / EXTRA)} for one in (*single, *unseen)]
    if not (a + b > 1).any():
        few = "no value comes twice: there is no vocabulary that could have changed"
        return hypothesis("none", np.nan, np.nan, np.nan, limits["categorical"], few), []
    rest = [one | {"p_value": min(1.0, 2 * one["p_value"]), "design": design} for one in (*unseen, *single)]
    main = min(rest, key=lambda one: (one["p_value"], -one["effect"] / one["threshold"]))
    return main, [one for one in rest if one is not main]


def _common(
    row: Row,
    names: list[object],
    a: Array,
    b: Array,
    kept: int,
    enough: float,
    design: float,
    limit: float,
    kind: str,
) -> Row:
    """Chi-squared over the categories with rows enough, or the one that moved most; the rare ones are one."""
    if kept < len(a):
        kept -= kept > 1 and (a + b)[kept:].sum() < enough  # still too rare: one more joins them
        names = [*names[:kept], "(rare ones)"]
        a, b = (np.append(x[:kept], x[kept:].sum()) for x in (a, b))
    n, m = a.sum(), b.sum()
    row |= shares(a, b)
    part = (a + b) / (n + m)
    row["chi2"] = chi2 = float(((a - n * part) ** 2 / (n * part) + (b - m * part) ** 2 / (m * part)).sum())
    p = stats.chi2.sf(chi2 / design, len(a) - 1) if len(a) > 1 else 1.0
    if len(a) == 2 and part.min() * min(n, m) < 5 * design:
        p = stats.fisher_exact(np.rint(np.array([a, b]) / design).astype(int)).pvalue
    if len(a) > 2:
        # the likelihood ratio of each category against all others is right in the tail, a normal z is not
        cells = ((a, n * part), (n - a, n * (1 - part)), (b, m * part), (m - b, m * (1 - part)))
        single = 2 * sum(special.xlogy(x, np.where(x > 0, x / y, 1)) for x, y in cells) / design
        p = min(1.0, 2 * min(p, len(a) * stats.chi2.sf(single.max(), 1)))
    at = int(np.abs(a / n - b / m).argmax())
    chance = np.sqrt(part * (1 - part) * (1 / n + 1 / m) / (2 * np.pi)).sum()  # what tv is without any drift
    effect = float(np.sqrt(max(0.0, row["tv"] ** 2 - chance**2)))
    words = f"{a[at] / n:.1%} of the reference and {b[at] / m:.1%} of the current values"
    words = f"{shown(names[at], kind)}: {words}"
    name = "chi-squared in blocks" if design > 1 else "chi-squared"
    return hypothesis(name, chi2, float(max(p, TINY)), effect, limit, words) | {"design": design}


def _levels(names: list[str], a: Array, b: Array, design: float, limits: Mapping[str, float]) -> list[Row]:
    """The level that moved most clearly of those that moved enough, corrected for how many there are."""
    n, m = a.sum(), b.sum()
    tested = a + b >= MIN_MISSING * design  # fewer can't be enough of an effect
    if not tested.any():
        return []
    p = share_moved(a / design, b / design, n / design, m / design) * tested.sum()
    limit = least_change(a, b, n, m, limits["level"], limits["categorical"])
    moved = beyond_chance(a, b, n, m, tested.sum(), design)
    order = np.where(moved >= limit, np.minimum(p, 1), 2 + p)
    at = int(np.where(tested, order, np.inf).argmin())
    old = f"{a[at] / n:.1%} of the reference" if a[at] else "never in the reference"
    words = f"{names[at]}: {old} and {b[at] / m:.1%} of the current values"
    p_value = min(1.0, float(p[at]))
    return [
        hypothesis("level share (binomial)", moved[at], p_value, float(moved[at]), float(limit[at]), words)
    ]


def _vocabulary(a: Array, b: Array, design: float, limit: float) -> list[Row]:
    """Hypotheses that one side has more rows in levels of its own than chance brings.

    Chance: the rows of both sides are shuffled, so that all t rows of a level lie on one side with
    probability qᵗ, q that side's share of all rows. P-values are Chernoff's bound, so never too small; a
    level that comes once tells nothing by itself, and ids that never repeat are no news.
    """
    n, m = a.sum(), b.sum()
    rows, levels = np.unique((a + b) / design, return_counts=True)
    least, found = max(limit, MIN_MISSING / min(n, m)), []
    for own, other, size, words in (
        (b, a, m, "of the current values are of levels that the reference lacks"),
        (a, b, n, "of the reference are of levels that the current frame lacks"),
    ):
        q = size / (n + m)
        share, expected = own[other == 0].sum() / size, float(levels @ (rows * q**rows)) * design / size
        p = min(1.0, 2 * _chernoff(rows, levels, q, share * size / design))
        words = f"{share:.1%} {words} (chance alone: {expected:.1%})"
        found.append(
            hypothesis("unseen levels", share, max(p, TINY), max(0.0, share - expected), least, words)
        )
    return found


def _chernoff(rows: Array, levels: Array, q: float, alone: float) -> float:
    """At most how probable it is that `alone` rows or more are of levels that one side has alone.

    Of levels[k] levels with rows[k] rows each, that side has one alone with probability q ** rows[k].
    """
    inside = rows * np.log(q)
    outside = np.log(-np.expm1(inside))
    if alone <= levels @ (rows * np.exp(inside)):
        return 1.0

    def exponent(s: float) -> float:
        return float(levels @ np.logaddexp(outside, inside + s * rows) - s * alone)

    return float(np.exp(min(0.0, optimize.minimize_scalar(exponent, bounds=(0, 40), method="bounded").fun)))


def _design(old: Column, new: Column, names: list[object], blocks: Blocks) -> float:
    """The design effect of a column: the mean of its 20 most frequent levels', by their variance."""
    place = {name: k for k, name in enumerate(names[:20])}
    there = [~side.missing for side in (old, new)]
    keys = [
        pd.Series((s.numbers if s.kind == "date" else s.labels.to_numpy(object)), dtype=object)
        for s in (old, new)
    ]
    codes = [key.map(place).to_numpy("float64")[found] for key, found in zip(keys, there, strict=True)]
    share = np.array([np.mean(np.concatenate(codes) == k) for k in place.values()])
    weight = share * (1 - share)
    if not weight.sum():
        return 1.0
    return float(
        np.average([blocks.design([c == k for c in codes], there) for k in place.values()], weights=weight)
    )

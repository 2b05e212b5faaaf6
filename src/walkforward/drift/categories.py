"""The measures and tests of a column of categories: the common ones, each rare one, and a new vocabulary."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from walkforward.drift.columns import Column, counts_of, shown
from walkforward.drift.dependence import Blocks
from walkforward.drift.measures import (
    EXTRA,
    MIN_MISSING,
    TINY,
    Array,
    Row,
    beyond_chance,
    hypothesis,
    share_moved,
    shares,
    untested,
)


def compare_categories(
    old: Column, new: Column, limits: Mapping[str, float], blocks: Blocks | None
) -> tuple[Row, Row, list[Row]]:
    """The measures, from the counts; the main hypothesis, and those of single and new levels."""
    kind = old.kind or new.kind
    row: Row = {"kind": kind if kind in ("boolean", "mixed") else "categorical"}
    counts = counts_of(old, new)
    levels, (a, b) = list(counts.index), counts.to_numpy(float).T
    n, m = a.sum(), b.sum()
    if not (n and m):
        return row, untested(limits["categorical"]), []
    names = [shown(level, old.kind if old.kind == "date" else "") for level in levels]
    design = _design(old, new, levels, blocks) if blocks else 1.0
    single = _level(names, a, b, design, limits)
    unseen = _vocabulary(a, b, design, limits["level"])
    enough = 5 * design * (n + m) / max(1, min(n, m))
    common = int((a + b >= enough).sum())  # the others stand behind
    if common:
        if common < len(a):
            # one more joins the rare ones where these are still too few
            common -= common > 1 and (a + b)[common:].sum() < enough
            names = [*names[:common], "'(rare ones)'"]
            a, b = (np.append(x[:common], x[common:].sum()) for x in (a, b))
        measures, main = _common(names, a, b, design, limits["categorical"])
        extra = [one | {"p_value": min(1.0, one["p_value"] / EXTRA)} for one in (*single, *unseen)]
        return row | measures, main, extra
    if not (a + b > 1).any():
        few = "no value comes twice: there is no vocabulary that could have changed"
        return row, untested(limits["categorical"], few), []
    rest = [one | {"p_value": min(1.0, 2 * one["p_value"]), "design": design} for one in (*unseen, *single)]
    main = min(rest, key=lambda one: (one["p_value"], -one["effect"] / one["threshold"]))
    return row, main, [one for one in rest if one is not main]


def _common(names: list[str], a: Array, b: Array, design: float, limit: float) -> tuple[Row, Row]:
    """The measures; chi-squared over all categories, or the one that moved most, whichever is clearer."""
    n, m = a.sum(), b.sum()
    part = (a + b) / (n + m)
    chi2 = float(((a - n * part) ** 2 / (n * part) + (b - m * part) ** 2 / (m * part)).sum())
    row = shares(a, b) | {"chi2": chi2}
    if len(a) == 1:
        p = 1.0
    elif len(a) == 2:
        few = part.min() * min(n, m) < 5 * design
        table = np.rint(np.array([a, b]) / design).astype(int)
        p = stats.fisher_exact(table).pvalue if few else stats.chi2.sf(chi2 / design, 1)
    else:
        # the likelihood ratio of each category against all others is right in the tail, a normal z is not
        cells = ((a, n * part), (n - a, n * (1 - part)), (b, m * part), (m - b, m * (1 - part)))
        ratios = 2 * sum(special.xlogy(x, np.where(x > 0, x / y, 1)) for x, y in cells) / design
        together, single = stats.chi2.sf(chi2 / design, len(a) - 1), stats.chi2.sf(ratios.max(), 1)
        p = min(1.0, 2 * min(together, len(a) * single))
    at = int(np.abs(a / n - b / m).argmax())
    chance = np.sqrt(part * (1 - part) * (1 / n + 1 / m) / (2 * np.pi)).sum()  # what tv is without any drift
    effect = float(np.sqrt(max(0.0, row["tv"] ** 2 - chance**2)))
    words = f"{names[at]}: {a[at] / n:.1%} of the reference and {b[at] / m:.1%} of the current values"
    name = "chi-squared in blocks" if design > 1 else "chi-squared"
    return row, hypothesis(name, chi2, float(max(p, TINY)), effect, limit, words) | {"design": design}


def _level(names: list[str], a: Array, b: Array, design: float, limits: Mapping[str, float]) -> list[Row]:
    """The level that moved most clearly of those that moved enough, corrected for how many there are."""
    n, m = a.sum(), b.sum()
    tested = a + b >= MIN_MISSING * design  # fewer can't be enough of an effect
    if not tested.any():
        return []
    p = share_moved(a / design, b / design, n / design, m / design) * tested.sum()
    # what counts: half of the smaller share, not under `level` and not over `categorical`
    least = np.clip(
        np.minimum(a / n, b / m) / 2, min(limits["level"], limits["categorical"]), limits["categorical"]
    )
    least = np.maximum(least, MIN_MISSING / min(n, m))
    moved = beyond_chance(a, b, n, m, tested.sum(), design)
    order = np.where(moved >= least, np.minimum(p, 1), 2 + p)
    at = int(np.where(tested, order, np.inf).argmin())
    before = f"{a[at] / n:.1%} of the reference" if a[at] else "never in the reference"
    words = f"{names[at]}: {before} and {b[at] / m:.1%} of the current values"
    effect, p_value = float(moved[at]), min(1.0, float(p[at]))
    return [hypothesis("level share (binomial)", effect, p_value, effect, float(least[at]), words)]


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
        p = max(min(1.0, 2 * _chernoff(rows, levels, q, share * size / design)), TINY)
        reason = f"{share:.1%} {words} (chance alone: {expected:.1%})"
        found.append(hypothesis("unseen levels", share, p, max(0.0, share - expected), least, reason))
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


def _design(old: Column, new: Column, levels: list[object], blocks: Blocks) -> float:
    """The design effect of a column: the mean of its 20 most frequent levels', by their variance."""
    place = {level: k for k, level in enumerate(levels[:20])}
    there = [~side.missing for side in (old, new)]
    keys = [side.numbers if side.kind == "date" else side.labels.to_numpy(object) for side in (old, new)]
    found = zip(keys, there, strict=True)
    codes = [pd.Series(key, dtype=object).map(place).to_numpy("float64")[one] for key, one in found]
    share = np.array([np.mean(np.concatenate(codes) == k) for k in place.values()])
    weight = share * (1 - share)
    designs = [blocks.design([code == k for code in codes], there) for k in place.values()]
    return float(np.average(designs, weights=weight)) if weight.sum() else 1.0

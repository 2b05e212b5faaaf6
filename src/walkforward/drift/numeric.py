"""The measures and tests of a column of numbers or dates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from walkforward.drift.columns import Column, shown
from walkforward.drift.dependence import Blocks
from walkforward.drift.frames import SIDES
from walkforward.drift.hypotheses import EXTRA, MIN_MISSING, Row, beyond_chance, hypothesis, share_moved
from walkforward.drift.measures import LIMIT, Array, merged, quantile, shares, tail

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
_TAIL = 0.025  # the share of all rows that is a tail
_COMPONENTS = 4  # of A² in blocks: location, spread, skewness, weight of the tails


def compare_numbers(
    row: Row, old: Column, new: Column, limits: Mapping[str, float], bins: int, blocks: Blocks | None
) -> tuple[Row, list[Row]]:
    """All measures, into `row`, from one sort of each sample; the main hypothesis, and those of the tails."""
    sides = [side.in_order() for side in (old, new)]
    for values, side in zip(sides, SIDES, strict=True):
        row[f"missing_{side}"] = 1 - len(values) / max(1, row[f"n_{side}"])
    if not all(map(len, sides)):
        for values, side in zip(sides, SIDES, strict=True):
            _summarise(row, values, side, 1.0)
        return hypothesis("none", np.nan, np.nan, np.nan, limits["numeric"], ""), []
    unit = _unit_of(sides)
    r, c = sides = [values / unit for values in sides] if unit != 1 else sides
    for values, side in zip(sides, SIDES, strict=True):
        _summarise(row, values, side, unit)
    gap = merged(r, c)
    spread = row["std_reference"] / unit
    row["ks"] = gap.ks
    row["wasserstein"] = gap.area / spread if spread > 0 else np.inf if gap.area else 0.0
    edges, times = np.unique([quantile(r, k / bins) for k in range(1, bins)], return_counts=True)
    # an edge that stands twice is a value of many rows: a bin of its own
    cuts = [np.sort([*v.searchsorted(edges, "right"), *v.searchsorted(edges[times > 1])]) for v in sides]
    row |= shares(*(np.diff(cut, prepend=0, append=len(v)) for cut, v in zip(cuts, sides, strict=True)))
    below = [v.searchsorted(gap.at, "right") / len(v) for v in sides]
    words = f"{below[0]:.1%} of the reference and {below[1]:.1%} of the current values are at most "
    words += shown(gap.at * unit, row["kind"])
    main = hypothesis("Anderson-Darling", gap.statistic, gap.p_value, gap.ks, limits["numeric"], words)
    if blocks:
        main |= _in_blocks(old, new, blocks)
    return main, _tails(row["kind"], (r, c, unit), limits, (old, new, blocks) if blocks else None)


def _unit_of(sides: list[Array]) -> float:
    """A power of two by which numbers near the ends of float64 are divided: their squares stay finite."""
    largest = max(max(-values[0], values[-1]) for values in sides)
    return 1.0 if 1e-100 < largest < 1e100 or largest == 0 else 2.0 ** np.floor(np.log2(largest))


def _summarise(row: Row, values: Array, side: str, unit: float) -> None:
    if len(values):
        row[f"mean_{side}"] = values.mean() * unit
        row[f"std_{side}"] = values.std(ddof=1) * unit if len(values) > 1 else np.nan
        row |= {f"{name}_{side}": quantile(values, q) * unit for name, q in QUANTILES.items()}


def _in_blocks(old: Column, new: Column, blocks: Blocks) -> Row:
    """A² of rows that depend on each other: each of its components divided by its own design effect.

    A² is the sum of the squared differences of the Legendre polynomials of the ranks, each divided by
    j (j + 1) (Anderson and Darling 1952); the first four of them are kept.
    """
    there = [np.isfinite(side.numbers) for side in (old, new)]
    n, m = (int(found.sum()) for found in there)
    values = np.concatenate([side.numbers[found] for side, found in zip((old, new), there, strict=True)])
    rank = 2 * (stats.rankdata(values) - 0.5) / (n + m) - 1
    statistic, designs = 0.0, []
    for j in range(1, _COMPONENTS + 1):
        score = np.polynomial.Legendre.basis(j)(rank)
        spread = score.std()
        if spread < 1e-9:  # of few values
            continue
        design = blocks.design([score[:n], score[n:]], there)
        moved = (score[:n].mean() - score[n:].mean()) / spread
        statistic += moved**2 / (1 / n + 1 / m) / design / (j * (j + 1))
        designs.append(design)
    p = tail(statistic, LIMIT[: len(designs)]) if designs else 1.0
    found = {"test": "Anderson-Darling in blocks", "statistic": statistic, "p_value": p}
    return found | {"design": max(designs, default=1.0)}


def _tails(
    kind: str,
    ends: tuple[Array, Array, float],
    limits: Mapping[str, float],
    pair: tuple[Column, Column, Blocks] | None,
) -> list[Row]:
    """Hypotheses that more or fewer values lie beyond the outer 2.5 % of all.

    `ends`: both samples in ascending order, and what their unit is; `pair`: the columns in blocks of rows.
    """
    r, c, unit = ends
    n, m = len(r), len(c)
    found = []
    for sign, where in ((1, "above"), (-1, "below")) if int(_TAIL * (n + m)) else ():
        edge = _edge(sign, r, c)
        a, b = (_beyond(sign, values, edge) for values in (r, c))
        design = _design_beyond(sign, edge * unit, *pair) if pair and a + b else 1.0
        p = 2 * float(share_moved(*np.array([a, b]) / design, n / design, m / design))  # two tails
        limit = max(limits["tail"], MIN_MISSING / min(n, m))
        effect = float(beyond_chance(a, b, n, m, 2, design))
        words = f"{a / n:.1%} of the reference and {b / m:.1%} of the current values are {where} "
        words += shown(edge * unit, kind)
        name = "tail share (binomial)"
        found.append(hypothesis(name, b / m - a / n, min(1.0, p / EXTRA), effect, limit, words))
    return found


def _edge(sign: int, r: Array, c: Array) -> float:
    """Beyond which the outer 2.5 % of both sorted samples together lie: above (1) or below (-1)."""
    k = int(_TAIL * (len(r) + len(c)))
    outer = np.concatenate([values[-k - 1 :] if sign > 0 else values[: k + 1] for values in (r, c)])
    return float(np.sort(outer)[-k - 1 if sign > 0 else k])


def _beyond(sign: int, values: Array, edge: float) -> float:
    """How many of the sorted values lie beyond the edge."""
    return float(len(values) - values.searchsorted(edge, "right") if sign > 0 else values.searchsorted(edge))


def _design_beyond(sign: int, edge: float, old: Column, new: Column, blocks: Blocks) -> float:
    there = [np.isfinite(side.numbers) for side in (old, new)]
    values = [side.numbers[found] for side, found in zip((old, new), there, strict=True)]
    return blocks.design([(one > edge) if sign > 0 else (one < edge) for one in values], there)

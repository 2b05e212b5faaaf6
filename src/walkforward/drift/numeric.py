"""The measures and tests of a column of numbers or dates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from walkforward.drift.columns import Column, shown
from walkforward.drift.dependence import Blocks
from walkforward.drift.frames import SIDES
from walkforward.drift.measures import (
    EXTRA,
    LIMIT,
    MIN_MISSING,
    Array,
    Row,
    beyond_chance,
    hypothesis,
    merged,
    quantile,
    share_moved,
    shares,
    tail,
    untested,
)

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
_TAIL = 0.025  # the share of all rows that is a tail
_COMPONENTS = 4  # of A² in blocks: location, spread, skewness, weight of the tails


def compare_numbers(
    old: Column, new: Column, limits: Mapping[str, float], bins: int, blocks: Blocks | None
) -> tuple[Row, Row, list[Row]]:
    """All measures, from one sort of each sample; the main hypothesis, and those of the tails."""
    row: Row = {"kind": old.kind or new.kind or "numeric"}
    in_order = [old.in_order(), new.in_order()]
    both = all(map(len, in_order))
    unit = _unit_of(in_order) if both else 1.0
    sides = r, c = in_order if unit == 1 else [values / unit for values in in_order]
    for column, values, side in zip((old, new), sides, SIDES, strict=True):
        row[f"missing_{side}"] = 1 - len(values) / max(1, len(column))
        if len(values):
            row[f"mean_{side}"] = values.mean() * unit
            row[f"std_{side}"] = values.std(ddof=1) * unit if len(values) > 1 else np.nan
            row |= {f"{name}_{side}": quantile(values, q) * unit for name, q in QUANTILES.items()}
    if not both:
        return row, untested(limits["numeric"]), []
    gap, spread = merged(r, c), row["std_reference"] / unit
    row["ks"] = gap.ks
    row["wasserstein"] = gap.area / spread if spread > 0 else np.inf if gap.area else 0.0
    row |= shares(*_binned(r, c, bins))
    below = [values.searchsorted(gap.at, "right") / len(values) for values in sides]
    words = f"{below[0]:.1%} of the reference and {below[1]:.1%} of the current values are at most "
    words += shown(gap.at * unit, row["kind"])
    main = hypothesis("Anderson-Darling", gap.statistic, gap.p_value, gap.ks, limits["numeric"], words)
    if blocks:
        main |= _in_blocks(old, new, blocks)
    return row, main, _tails(r, c, unit, limits, old, new, blocks)


def _unit_of(sides: list[Array]) -> float:
    """A power of two by which numbers near the ends of float64 are divided: their squares stay finite."""
    largest = max(max(-values[0], values[-1]) for values in sides)
    return 1.0 if 1e-100 < largest < 1e100 or largest == 0 else 2.0 ** np.floor(np.log2(largest))


def _binned(r: Array, c: Array, bins: int) -> list[Array]:
    """Rows of each side between quantiles of the reference; one that stands twice is a bin of its own."""
    edges, times = np.unique([quantile(r, k / bins) for k in range(1, bins)], return_counts=True)
    cuts = [np.sort([*v.searchsorted(edges, "right"), *v.searchsorted(edges[times > 1])]) for v in (r, c)]
    return [np.diff(cut, prepend=0, append=len(v)) for cut, v in zip(cuts, (r, c), strict=True)]


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
    r: Array,
    c: Array,
    unit: float,
    limits: Mapping[str, float],
    old: Column,
    new: Column,
    blocks: Blocks | None,
) -> list[Row]:
    """Hypotheses that more or fewer values lie beyond the outer 2.5 % of both sorted samples together."""
    n, m = len(r), len(c)
    size, found = int(_TAIL * (n + m)), []
    there = [np.isfinite(side.numbers) for side in (old, new)] if blocks else []
    for where, sign in (("above", 1), ("below", -1)) if size else ():
        # ascending towards the tail on either end
        ends = [values[-size - 1 :] if sign > 0 else -values[size::-1] for values in (r, c)]
        edge = float(np.sort(np.concatenate(ends))[-size - 1])
        a, b = (float(len(end) - end.searchsorted(edge, "right")) for end in ends)
        design = 1.0
        if blocks and a + b:
            rows = zip((old, new), there, strict=True)
            beyond = [sign * side.numbers[one].astype(float) > edge * unit for side, one in rows]
            design = blocks.design(beyond, there)
        p = 2 * float(share_moved(*np.array([a, b]) / design, n / design, m / design))  # two tails
        least = max(limits["tail"], MIN_MISSING / min(n, m))
        effect = float(beyond_chance(a, b, n, m, 2, design))
        words = f"{a / n:.1%} of the reference and {b / m:.1%} of the current values are {where} "
        words += shown(sign * edge * unit, old.kind or new.kind)
        p_value = min(1.0, p / EXTRA)
        found.append(hypothesis("tail share (binomial)", b / m - a / n, p_value, effect, least, words))
    return found

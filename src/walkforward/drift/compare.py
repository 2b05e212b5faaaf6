"""One column of two frames: its measures, and the hypotheses that its verdict stands on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from walkforward.drift.categories import compare_categories
from walkforward.drift.columns import Column, types_said
from walkforward.drift.dependence import MIN_BLOCKS, Blocks
from walkforward.drift.frames import MIN_VALUES, SIDES
from walkforward.drift.measures import Row, hypothesis, missing_share
from walkforward.drift.numeric import QUANTILES, compare_numbers

_PAIRS = [f"{name}_{side}" for name in ("n", "missing", "mean", "std", *QUANTILES) for side in SIDES]
MEASURES = ["kind", *_PAIRS, "ks", "wasserstein", "psi", "js", "kl", "tv", "chi2"]
QUIET = {"over": "ignore", "invalid": "ignore"}  # sums of numbers near 1e308 may be infinite


@np.errstate(**QUIET)
def compare(
    old: Column, new: Column | None, limits: Mapping[str, float], bins: int, blocks: Blocks | None = None
) -> tuple[Row, list[Row], list[Row]]:
    """Its measures, its hypotheses (the first is the main one), and the claims that ride on the main one."""
    row: Row = {"column": old.name, "n_reference": len(old), "n_current": 0}
    if new is None:
        lost = hypothesis("schema", np.nan, np.nan, 1, 0, "the current frame has no such column")
        return row | {"kind": old.kind or "numeric"}, [lost], []
    sides = (old, new)
    for side, column in zip(SIDES, sides, strict=True):
        row |= {f"n_{side}": len(column), f"missing_{side}": column.missing.sum() / max(1, len(column))}
    kinds = {old.kind, new.kind} - {""}
    if len(kinds) == 2:
        words = types_said(old.kind, new.kind)
        return row | {"kind": "mixed"}, [hypothesis("schema", np.nan, np.nan, 1, 0, words)], []
    if kinds <= {"numeric", "date"} and not (old.coded or new.coded):
        measures, main, claims = compare_numbers(old, new, limits, bins, blocks)
    else:
        measures, main, claims = compare_categories(old, new, limits, blocks)
    row |= measures
    few_blocks = blocks is not None and min(len(set(ids)) for ids in blocks.ids) < MIN_BLOCKS
    rows = np.array([len(old), len(new)])
    lost = np.rint(rows * [row[f"missing_{side}"] for side in SIDES]).astype(int)
    tests = [main]
    if few_blocks:
        tests = [main | {"p_value": np.nan, "reason": f"under {MIN_BLOCKS} whole blocks on a side"}]
    elif (rows - lost).min() < MIN_VALUES:
        tests = [main | {"p_value": np.nan}]
    if lost.any() and rows.min() >= MIN_VALUES and not few_blocks:
        gone = [~np.isfinite(side.numbers) if side.measured() else side.missing for side in sides]
        design = blocks.design(gone, [np.ones(len(side), bool) for side in sides]) if blocks else 1.0
        tests.append(missing_share(lost, rows, limits["missing"], design))
    return row, tests, claims if tests[0] is main else []

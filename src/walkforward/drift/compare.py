"""One column of two frames: its measures, and the hypotheses that its verdict stands on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from walkforward.drift.categories import compare_categories
from walkforward.drift.columns import Column, types_said
from walkforward.drift.dependence import MIN_BLOCKS, Blocks
from walkforward.drift.frames import MIN_VALUES, SIDES
from walkforward.drift.hypotheses import Row, hypothesis, missing_share
from walkforward.drift.numeric import QUANTILES, compare_numbers

_PAIRS = [f"{name}_{side}" for name in ("n", "missing", "mean", "std", *QUANTILES) for side in SIDES]
MEASURES = ["kind", *_PAIRS, "ks", "wasserstein", "psi", "js", "kl", "tv", "chi2"]
QUIET = np.errstate(over="ignore", invalid="ignore")  # sums of numbers near 1e308 may be infinite


@QUIET
def compare(
    old: Column, new: Column | None, limits: Mapping[str, float], bins: int, blocks: Blocks | None = None
) -> tuple[Row, list[Row], list[Row]]:
    """Its measures, its hypotheses (the first is the main one), and the claims that ride on the main one."""
    here, there = old.kind, "" if new is None else new.kind
    row: Row = {
        "column": old.name,
        "kind": here or there or "numeric",
        "n_reference": len(old),
        "n_current": 0,
    }
    if new is None:
        return row, [hypothesis("schema", np.nan, np.nan, 1, 0, "the current frame has no such column")], []
    sides = (old, new)
    for side, column in zip(SIDES, sides, strict=True):
        row |= {f"n_{side}": len(column), f"missing_{side}": column.missing.sum() / max(1, len(column))}
    if here and there and here != there:
        return (
            row | {"kind": "mixed"},
            [hypothesis("schema", np.nan, np.nan, 1, 0, types_said(here, there))],
            [],
        )
    if row["kind"] in ("numeric", "date") and not (old.coded or new.coded):
        main, claims = compare_numbers(row, old, new, limits, bins, blocks)
    else:
        row["kind"] = row["kind"] if row["kind"] in ("boolean", "mixed") else "categorical"
        main, claims = compare_categories(row, old, new, limits, blocks)
    tests = [main]
    rows = np.array([len(old), len(new)])
    lost = np.rint(rows * [row[f"missing_{side}"] for side in SIDES]).astype(int)
    few_blocks = blocks is not None and min(len(set(ids)) for ids in blocks.ids) < MIN_BLOCKS
    if (rows - lost).min() < MIN_VALUES or few_blocks:
        main["p_value"], claims = np.nan, []
        main["reason"] = f"under {MIN_BLOCKS} whole blocks on a side" if few_blocks else main["reason"]
    if lost.any() and rows.min() >= MIN_VALUES and not few_blocks:
        everywhere = [np.ones(len(side), bool) for side in sides]
        gone = [~np.isfinite(s.numbers) if s.measured() else s.missing for s in sides]
        design = blocks.design(gone, everywhere) if blocks else 1.0
        tests.append(missing_share(lost, rows, limits["missing"], design))
    return row, tests, claims

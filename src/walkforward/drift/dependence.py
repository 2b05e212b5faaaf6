"""Rows that depend on each other: how many of them tell as much as one independent row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from walkforward.drift.columns import Column, column_of
from walkforward.drift.frames import SIDES, Frame, place_of, require, whole
from walkforward.drift.measures import Array

_UNITS = {"w": 7, "week": 7, "weeks": 7, "d": 1, "day": 1, "days": 1}  # in days
_UNITS |= dict.fromkeys(("h", "hour", "hours"), 1 / 24) | {"min": 1 / 1440, "s": 1 / 86_400}
WEEK = 7.0  # days: the block of rows with a time, unless the call says otherwise
MIN_BLOCKS = 2  # of each side
_ALIKE = 0.1  # a lag-1 correlation of ranks from which on neighbours are said to be alike


@dataclass(frozen=True)
class Blocks:
    """To which block each row belongs, by side: whole numbers in ascending order, shapes (n,) and (m,)."""

    ids: tuple[Array, Array]

    def design(self, scores: Sequence[Array], there: Sequence[Array]) -> float:
        """The design effect of a mean of scores: its variance over that of independent rows, 1 at least.

        `scores`: of each side, of the rows that are `there`. The sums of blocks about the mean of their side
        give the variance within blocks whatever the dependence, and the first autocorrelation of these sums
        what reaches beyond a block (as for AR(1): (1 + ρ) / (1 - ρ)). The variance is itself an estimate,
        hence Student's factor.
        """
        sums, lagged, total = [], 0.0, 0.0
        for score, found, ids in zip(scores, there, self.ids, strict=True):
            centred = score - score.mean() if len(score) else score
            block = np.bincount(ids[found], weights=centred, minlength=ids[-1] + 1)
            lagged += block[1:] @ block[:-1]
            total += centred @ centred
            sums.append(block)
        every = np.concatenate(sums)
        squares, count = every @ every, len(every)
        if not (total and squares):
            return 1.0
        rho = np.clip((lagged / squares + 1 / count) / (1 - 3 / count), 0, 0.8)
        free = max(2.0, (count - 2) / (1 + 2 * (rho > 0)))
        student = (stats.t.isf(0.005, free) / stats.norm.isf(0.005)) ** 2
        return float(max(1.0, student * squares * count / (count - 2) / total * (1 + rho) / (1 - rho)))


def in_blocks(reference: Frame, current: Frame, time: Any, block: Any) -> tuple[Frame, Frame, Blocks | None]:
    """Both frames in the order of time without what follows their last whole block, and the blocks."""
    if time is None and block is None:
        return reference, current, None
    for frame, side in zip((reference, current), SIDES, strict=True):
        lacks = time is not None and place_of(frame, time) is None
        require(not lacks, f"time={time!r}: the {side} frame has no such column; it has {list(frame)[:8]}")
    (before, first), (after, second) = (_split(frame, time, block) for frame in (reference, current))
    return before, after, Blocks((first, second))


def _split(frame: Frame, time: Any, block: Any) -> tuple[Frame, Array]:
    """One frame in the order of time up to its last whole block, and the block of each row."""
    days = _period(block, time)
    if not len(frame):
        return frame, np.arange(0)
    rows, stamps = (frame, np.empty(0)) if time is None else _in_order(frame, time)
    if days is None:
        kept = len(rows) // block * block
        return rows.iloc[:kept], np.arange(kept) // block
    times = np.unique(stamps)
    step = float(np.median(np.diff(times))) if len(times) > 1 else days
    if block is None and step > WEEK / 2:  # coarser than days: each time stands for itself
        return rows, np.searchsorted(times, stamps)
    words = f"block={block!r} is shorter than the usual step of {time!r}, {step:.3g} days: take several steps"
    require(days > step * (1 - 1e-9), words)
    ids = np.floor((stamps - stamps[0]) / days + 1e-9)
    last_is_whole = stamps[-1] + step - stamps[0] >= (ids[-1] + 1) * days - 1e-6
    kept = len(ids) if last_is_whole else int(np.searchsorted(ids, ids[-1]))
    return rows.iloc[:kept], np.unique(ids[:kept], return_inverse=True)[1]


def _in_order(frame: Frame, time: Any) -> tuple[Frame, Array]:
    """The frame in the order of the column of dates, and these as days."""
    dates = column_of(frame, time)
    held = f"time={time!r} holds {dates.kind or 'nothing'}"
    require(dates.kind == "date" and not dates.coded, f"{held}: pass a column of dates, or block= rows")
    lost = int(dates.missing.sum())
    require(not lost, f"time={time!r} is missing in {lost} rows: drop them, frame.dropna(subset=[{time!r}])")
    order = np.argsort(dates.numbers, kind="stable")
    return frame.iloc[order], dates.numbers[order]


def _period(block: Any, time: Any) -> float | None:
    """The length of a block in days; None where it is a number of rows."""
    if block is None:
        return WEEK
    if not isinstance(block, str | pd.Timedelta | np.timedelta64) and not hasattr(block, "total_seconds"):
        whole("block", block, 1)
        return None
    way = "say which column holds it (time=), or pass rows, block=7"
    require(time is not None, f"block={block!r} is a time: {way}")
    if isinstance(block, str):
        found = re.fullmatch(r"\s*(\d*)\s*([a-z]+)\s*", block.lower())
        days = int(found[1] or 1) * _UNITS.get(found[2], 0) if found else 0
    else:
        days = pd.Timedelta(block) / pd.Timedelta(days=1)
    words = f"block={block!r} is no length of time: pass rows, block=7, or days or hours, block='7D'"
    require(days > 0, words)
    return float(days)


def alike_neighbours(columns: Sequence[Column], tests: int) -> list[Any]:
    """The names of the numeric columns whose neighbouring rows are more alike than chance makes them.

    A lag-1 correlation of the ranks of the first 10,000 rows, over _ALIKE, and sure at 1 in 10,000 over all
    `tests`.
    """
    found = []
    for column in columns:
        if column.kind == "numeric" and not column.coded:
            values = column.numbers[:10_000]
            ranks = stats.rankdata(values[np.isfinite(values)])
            if len(ranks) >= 50 and ranks.min() < ranks.max():
                ranks -= ranks.mean()
                alike = ranks[1:] @ ranks[:-1] / (ranks @ ranks)
                if alike > max(_ALIKE, stats.norm.isf(1e-4 / tests) / np.sqrt(len(ranks))):
                    found.append(column.name)
    return found

"""What every part of the package takes: two frames whose columns can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from walkforward.errors import WalkForwardError

Frame = pd.DataFrame
SIDES = ("reference", "current")
MIN_VALUES = (
    20  # with fewer on a side there is no verdict: most shifts of a standard deviation would be missed
)


class DriftError(WalkForwardError, ValueError):
    """The frames can't be compared; the message is one line: the value, the rule, the way out."""


def require(rule: bool, message: str) -> None:
    """Raise a DriftError with this message unless the rule holds."""
    if not rule:
        raise DriftError(message)


def names_of(
    reference: Frame, current: Frame, columns: Sequence[Any] | None = None, shared: bool = True
) -> list[Any]:
    """The columns to compare, once it is sure that both are frames which can be (and share any)."""
    for frame, side in zip((reference, current), SIDES, strict=True):
        kind = type(frame).__name__
        require(isinstance(frame, Frame), f"{side} is a {kind}: pass a pandas DataFrame")
        doubled = list(frame.columns[frame.columns.duplicated()])
        require(not doubled, f"{side} has two columns {doubled[:1]}: rename or drop one of them")
    names = list(reference.columns if columns is None else columns)
    lacking = [name for name in names if name not in reference]
    require(not lacking, f"the reference has no column {lacking[:1]}: it has {list(reference)[:8]}")
    words = "the frames share no column: schema_report tells which were lost or renamed"
    require(not shared or any(name in current for name in names), words)
    return names

"""What every part of the package takes: two frames whose columns can be compared, and arguments in range."""

from __future__ import annotations

import numbers
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from walkforward import makes
from walkforward.errors import WalkForwardError

Frame = pd.DataFrame
SIDES = ("reference", "current")
MIN_VALUES = (
    20  # with fewer on a side there is no verdict: most shifts of a standard deviation would be missed
)


class DriftError(WalkForwardError, ValueError):
    """The frames can't be compared; the message is one line: the value, the rule, the way out."""


class DriftWarning(UserWarning):
    """A verdict rests on something that these rows don't look like."""


def require(rule: bool, message: str) -> None:
    """Raise a DriftError with this message unless the rule holds."""
    if not rule:
        raise DriftError(" ".join(message.split()))


def place_of(frame: Frame, name: Any) -> int | None:
    """At which position the column of this name is, None if there is none."""
    try:
        place = frame.columns.get_loc(name)
    except (KeyError, TypeError, ValueError, pd.errors.InvalidIndexError):
        return None
    return int(place) if isinstance(place, numbers.Integral) else None  # a slice: the first level of several


def printed(name: Any) -> str:
    """A name where it stands in a line or a figure."""
    text = str(name)
    return text if text.isprintable() else repr(text)[1:-1]


def whole(name: str, value: Any, least: int) -> int:
    """The argument `name`, a whole number of `least` or more."""
    require(makes.whole(value, least), f"{name}={value!r}: pass a whole number, {least} or more")
    return int(value)


def fraction(name: str, value: Any) -> float:
    """The argument `name`, an error rate."""
    words = f"{name}={value!r} is no error rate: take one between 0 and 1, for example 0.05"
    require(makes.between_0_and_1(value), words)
    return float(value)


def several(name: str, value: Any) -> list[Any]:
    """The argument `name`, names of columns."""
    words = f"{name}={value!r}: pass a list of column names"
    way = f", {name}=[{value!r}]" if isinstance(value, str) else ""
    require(isinstance(value, Collection | pd.Series) and not isinstance(value, str | bytes), words + way)
    return list(value)


def names_of(
    reference: Frame, current: Frame, columns: Sequence[Any] | None = None, shared: bool = True
) -> list[Any]:
    """The columns to compare, once it is sure that both are frames which can be (and share any)."""
    for frame, side in zip((reference, current), SIDES, strict=True):
        kind = type(frame).__name__
        require(isinstance(frame, Frame), f"{side} is a {kind}: pass a pandas DataFrame")
        doubled = list(frame.columns[frame.columns.duplicated()])
        require(not doubled, f"{side} has two columns {doubled[:1]}: rename or drop one of them")
    names = list(reference.columns) if columns is None else several("columns", columns)
    lacking = [name for name in names if place_of(reference, name) is None]
    require(not lacking, f"the reference has no column {lacking[:1]}: it has {list(reference)[:8]}")
    twice = [name for name in names if names.count(name) > 1]
    require(not twice, f"columns names {twice[:1]} twice: name it once")
    words = "the frames share no column: schema_report tells which were lost or renamed"
    require(not shared or any(place_of(current, name) is not None for name in names), words)
    return names

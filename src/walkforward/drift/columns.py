"""One column of one side: what kind of values it holds, and these as numbers or as counts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from walkforward.drift.frames import SIDES, Frame
from walkforward.drift.measures import Array

_KINDS = dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal", *"iufm"), "numeric")
_KINDS |= dict.fromkeys(("datetime64", "datetime", "date", "M"), "date")
_KINDS |= {"boolean": "boolean", "b": "boolean", "string": "categorical"}
WORDS = {"numeric": "numbers", "categorical": "text", "boolean": "booleans", "date": "dates", "": "nothing"}


def side_kind(values: pd.Series) -> str:
    """What one side holds: numeric, categorical, boolean, date, mixed, or "" when it holds no value."""
    if values.first_valid_index() is None:
        return ""
    if isinstance(values.dtype, pd.CategoricalDtype | pd.StringDtype):
        return "categorical"
    return _KINDS.get(values.dtype.kind) or _KINDS.get(pd.api.types.infer_dtype(values, skipna=True), "mixed")


def types_said(here: str, there: str) -> str:
    """What both sides hold, in words."""
    return f"{WORDS.get(here, here)} in the reference, {WORDS.get(there, there)} in the current frame"


def floats(values: pd.Series, kind: str) -> Array:
    """The values as numbers, NaN where missing; dates as days since 1970, durations as days."""
    if kind == "date":
        if not values.notna().any():  # of any type: an empty one says nothing
            return np.full(len(values), np.nan)
        values = (pd.to_datetime(values, utc=True) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
    elif values.dtype.kind == "m":
        values = values / pd.Timedelta(days=1)
    plain = isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf"
    return values.to_numpy() if plain else values.to_numpy(dtype="float64", na_value=np.nan)


def in_order(values: pd.Series, kind: str) -> Array:
    """The finite values as float64 in ascending order, shape (n,)."""
    found = np.sort(floats(values, kind)).astype("float64", copy=False)  # NaN goes behind infinity
    return found[found.searchsorted(-np.inf, "right") : found.searchsorted(np.inf)]


def shown(value: float, kind: str) -> str:
    """A value of a numeric or date column, for a reader."""
    return f"{pd.Timestamp(value, unit='D'):%Y-%m-%d}" if kind == "date" else f"{value:.4g}"


def counts_of(old: pd.Series, new: pd.Series) -> Frame:
    """Rows of each category, columns reference and current, most frequent first."""
    try:
        sides = [side.value_counts(sort=False).to_dict() for side in (old, new)]
    except TypeError:  # lists and dicts have no hash
        sides = [side.dropna().map(repr).value_counts(sort=False).to_dict() for side in (old, new)]
    names = pd.Index(list(sides[0] | sides[1]), dtype=object, tupleize_cols=False)
    table = [[side.get(name, 0) for side in sides] for name in names]
    counts = pd.DataFrame(table, names, list(SIDES), "int64")
    counts = counts[counts.any(axis=1)]  # a categorical type knows of more than there are
    return counts.iloc[np.argsort(-counts.sum(axis=1), kind="stable")]

"""One column of one side, converted once: what kind of values it holds, as numbers or as labels.

However the values are stored (sparse, Arrow, nullable, category, period, Python objects), the same values
give the same kind, the same numbers and the same labels.
"""

from __future__ import annotations

import datetime
import decimal
import numbers
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from walkforward.drift.frames import SIDES, DriftError, Frame, place_of
from walkforward.drift.measures import Array

if TYPE_CHECKING:
    import pyarrow as pa

WORDS = {"numeric": "numbers", "categorical": "text", "boolean": "booleans", "date": "dates", "": "nothing"}
_DAY = {"D": 1, "h": 24, "m": 1440, "s": 86_400, "ms": 86_400e3, "us": 86_400e6, "ns": 86_400e9}
_KINDS = {  # of Python objects; the first that fits
    (bool, np.bool_): "boolean",
    (datetime.date, np.datetime64): "date",
    (datetime.timedelta, np.timedelta64): "duration",
    (str,): "categorical",
    (numbers.Real, decimal.Decimal): "numeric",
    (pd.Period,): "period",
    (pd.Interval,): "interval",
}


@dataclass(frozen=True)
class Column:
    """The values of one column.

    `numbers`: of a numeric or date column, shape (rows,), NaN where missing; dates as days since 1970 (UTC),
    durations as days. `labels`: the values as they are counted, missing ones as pandas knows them.
    """

    name: Any
    dtype: Any
    kind: str  # numeric, categorical, boolean, date, mixed, or "" when there is no value
    coded: bool  # a category, whatever its values are
    labels: pd.Series
    numbers: Array | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def missing(self) -> Array:
        """Where there is no value, shape (rows,)."""
        if self.numbers is None:
            return self.labels.isna().to_numpy()
        return np.isnan(self.numbers)

    def measured(self) -> bool:
        """Whether the values have an order and distances."""
        return self.kind in ("numeric", "date") and not self.coded

    def in_order(self) -> Array:
        """The finite values as float64 in ascending order, shape (n,)."""
        if self.numbers is None:
            return np.empty(0)
        found = np.sort(self.numbers).astype("float64", copy=False)  # NaN goes behind infinity
        return found[found.searchsorted(-np.inf, "right") : found.searchsorted(np.inf)]

    def counts(self) -> dict[Any, int]:
        """Rows of each label, in the order in which they come."""
        labels = pd.Series(self.numbers) if self.kind == "date" else self.labels
        return labels.value_counts(sort=False).to_dict()


def column_of(frame: Frame, name: Any) -> Column:
    """The column of this name; what can't be read is a DriftError."""
    values = frame.iloc[:, place_of(frame, name)]
    refused = (ArithmeticError, AttributeError, NotImplementedError, RecursionError, TypeError, ValueError)
    try:
        with np.errstate(all="ignore"):  # what is beyond float64 becomes infinite
            return Column(name, values.dtype, *_read(values))
    except refused as error:
        said = " ".join(f"{type(error).__name__} {error}".split())[:120]
        way = "convert it to numbers, dates or text first, or leave it out (columns=)"
        raise DriftError(f"the column {name!r} ({values.dtype}) can't be read: {said}; {way}") from error


def _read(values: pd.Series) -> tuple[str, bool, pd.Series, Array | None]:
    """Kind, coded, labels and numbers of one column."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        kind, _, levels, found = _read(pd.Series(dtype.categories))
        codes = values.cat.codes.to_numpy()  # -1 where missing: the last one
        if found is not None and (kind == "date" or dtype.categories.dtype.kind == "m"):
            days = np.append(found, np.nan)[codes]
            return kind, True, pd.Series(days), days
        if kind == "mixed" or isinstance(dtype.categories.dtype, pd.ArrowDtype):
            values = pd.Series(np.append(levels.to_numpy(object), None)[codes], dtype=object)
        return (kind if values.notna().any() else ""), True, values, None
    if isinstance(dtype, pd.StringDtype):
        return ("categorical" if values.first_valid_index() is not None else ""), False, values, None
    if isinstance(dtype, pd.SparseDtype):
        return _read(pd.Series(np.asarray(values)))
    if isinstance(dtype, pd.PeriodDtype):
        starts = values.array.asfreq("us", how="start").asi8
        return _read(pd.Series(starts.view("M8[us]")))
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _read(values.dt.tz_convert(None))
    if isinstance(dtype, pd.ArrowDtype):
        return _read_arrow(values, dtype.pyarrow_dtype)
    if isinstance(dtype, np.dtype) and dtype.kind in "iufmM":
        found = _days(values.to_numpy()) if dtype.kind in "mM" else values.to_numpy()
        labels = pd.Series(found) if dtype.kind == "m" else values
        return _of_numbers("date" if dtype.kind == "M" else "numeric", labels, found)
    if dtype.kind in "iuf":
        return _of_numbers("numeric", values, values.to_numpy("float64", na_value=np.nan))
    if dtype.kind == "b" and isinstance(dtype, np.dtype):
        return ("boolean" if len(values) else ""), False, values, None
    return _read_objects(
        values.to_numpy(object, na_value=None)
        if dtype.kind != "O" or not isinstance(dtype, np.dtype)
        else values.to_numpy()
    )


def _of_numbers(kind: str, labels: pd.Series, found: Array) -> tuple[str, bool, pd.Series, Array]:
    if found.dtype.kind == "f" and found.dtype.itemsize > 8:
        found = found.astype("float64")
    there = len(found) > 0 and not np.isnan(found).all()
    return (kind if there else ""), False, labels, found


def _read_arrow(values: pd.Series, kind: pa.DataType) -> tuple[str, bool, pd.Series, Array | None]:
    import pyarrow as pa  # there is no such column without it

    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_duration(kind):
        unit = "D" if pa.types.is_date32(kind) else getattr(kind, "unit", "ms")
        ints = pa.array(values).view(pa.int32() if unit == "D" else pa.int64()).cast(pa.int64())
        ints = ints.fill_null(np.iinfo("i8").min).to_numpy(zero_copy_only=False)
        days = _days(ints.view(f"{'m' if pa.types.is_duration(kind) else 'M'}8[{unit}]"))
        return _of_numbers("numeric" if pa.types.is_duration(kind) else "date", pd.Series(days), days)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        found = values.to_numpy("float64", na_value=np.nan)
        return _of_numbers("numeric", values if pa.types.is_integer(kind) else pd.Series(found), found)
    found, _, labels, as_numbers = _read_objects(values.to_numpy(object, na_value=None))
    return found, pa.types.is_dictionary(kind), labels, as_numbers


def _read_objects(values: Array) -> tuple[str, bool, pd.Series, Array | None]:
    labels = pd.Series(values, dtype=object)
    there = labels.notna().to_numpy()
    types = set(map(type, values[there]))
    kinds = {next((kind for of, kind in _KINDS.items() if issubclass(one, of)), "mixed") for one in types}
    kind = kinds.pop() if len(kinds) == 1 else "mixed" if kinds else ""
    if kind in ("numeric", "duration", "date", "period"):
        convert, dtype = {
            "numeric": (_float, "f8"),
            "duration": (_duration, "m8[us]"),
            "date": (_instant, "M8[us]"),
            "period": (_start, "M8[us]"),
        }[kind]
        missing = np.nan if kind == "numeric" else np.array("NaT", dtype)
        found = np.full(len(values), missing, dtype)
        found[there] = np.array([convert(one) for one in values[there]], dtype)
        if kind == "numeric":
            return _of_numbers(kind, labels, found)
        days = _days(found)
        return _of_numbers("numeric" if kind == "duration" else "date", pd.Series(days), days)
    if kind == "mixed":
        labels = labels.where(~there, labels.map(_label))
    return ("categorical" if kind == "interval" else kind), False, labels, None


def _days(stamps: Array) -> Array:
    """Instants or durations as days: equal ones are equal in every unit."""
    unit = np.datetime_data(stamps.dtype)[0]
    ints = stamps.view("i8")
    days = ints / _DAY[unit]
    if unit == "ns":
        days = np.where(ints % 1000 == 0, ints // 1000 / _DAY["us"], days)
    days[ints == np.iinfo("i8").min] = np.nan
    return days


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _instant(value: datetime.date | np.datetime64) -> np.datetime64:
    """In UTC; without a zone it is taken as UTC."""
    offset = value.utcoffset() if isinstance(value, datetime.datetime) else None
    if offset is None:
        return np.datetime64(value, "us")
    return np.datetime64(value.replace(tzinfo=None), "us") - np.timedelta64(offset)


def _start(value: pd.Period) -> np.datetime64:
    return np.datetime64(value.asfreq("us", how="start").ordinal, "us")


def _duration(value: datetime.timedelta | np.timedelta64) -> np.timedelta64:
    return np.timedelta64(value, "us") if isinstance(value, np.timedelta64) else np.timedelta64(value)


def _label(value: Any) -> Any:
    """What stands for a value when equal ones are counted: containers as text, whatever they are made of."""
    if isinstance(value, list | tuple | dict | set | frozenset | np.ndarray):
        return repr(_plain(value))
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value, key=repr) if value[key] is not None}
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, value), key=repr)
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(one) for one in value] if np.ndim(value) or isinstance(value, list) else value.item()
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if isinstance(value, float) and np.isnan(value) else value


def types_said(here: str, there: str) -> str:
    """What both sides hold, in words."""
    return f"{WORDS.get(here, here)} in the reference, {WORDS.get(there, there)} in the current frame"


def shown(value: Any, kind: str) -> str:
    """A value of a column, for a reader: one line."""
    if kind == "date" and not isinstance(value, str):
        return str(np.datetime64(int(np.floor(value)), "D"))
    if kind == "numeric":
        return f"{value:.4g}"
    text = repr(value)
    return text if len(text) < 60 else f"{text[:56]}…'"


def counts_of(old: Column, new: Column) -> Frame:
    """Rows of each category, columns reference and current, most frequent first."""
    sides = [side.counts() for side in (old, new)]
    names = pd.Index(list(sides[0] | sides[1]), dtype=object, tupleize_cols=False)
    table = [[side.get(name, 0) for side in sides] for name in names]
    counts = pd.DataFrame(table, names, list(SIDES), "int64")
    counts = counts[counts.any(axis=1)]  # a categorical type knows of more than there are
    return counts.iloc[np.argsort(-counts.sum(axis=1), kind="stable")]

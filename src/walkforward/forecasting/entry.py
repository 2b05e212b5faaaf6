"""What comes in, in whatever make: dates become naive ones, numbers floats; or an error says what to do."""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from walkforward.forecasting.errors import ForecastError
from walkforward.makes import between_0_and_1, missing
from walkforward.makes import whole as whole

Array = np.ndarray
OFFSET = r"(?:Z|[+-]\d\d:?\d\d)$"  # at the end of a text such as 2020-01-01T00:00+01:00
FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y%m%d", "%d %b %Y")
COLLECTIONS = (list, tuple, dict, set, np.ndarray)
TIMES = ("", " %H:%M", " %H:%M:%S")


def as_dates(values: Any, name: str, *, text: bool = False) -> pd.DatetimeIndex:
    """Dates of any make (NumPy, Arrow, periods, objects, a category; any unit) as naive ones, NaT kept.

    Dates with a time zone are taken at their wall time, a period at its start; ISO 8601 text with `text`.
    Raises `ForecastError` with the code that makes dates of `name`, the expression the caller knows them by.
    """
    column = _column(values, name)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype)
    if isinstance(column.dtype, pd.PeriodDtype):
        return pd.DatetimeIndex(column.dt.to_timestamp())
    if types.is_datetime64_any_dtype(column.dtype) or _arrow_date(column.dtype):
        return pd.DatetimeIndex(column).tz_localize(None)
    if column.dtype == object:
        present = [value for value in column if not missing(value)]
        if present and all(isinstance(value, pd.Period) for value in present):
            return pd.DatetimeIndex(pd.PeriodIndex(column).to_timestamp())
        if present and all(isinstance(value, datetime.date | np.datetime64) for value in present):
            zones = {getattr(value, "tzinfo", None) is not None for value in present}
            if len(zones) > 1:
                raise ForecastError(
                    f"{name} mixes dates with and without a time zone, such as {present[0]}: give all one"
                )
            return pd.DatetimeIndex([pd.NaT if missing(value) else _wall(value) for value in column])
    if text and _is_text(column):
        try:
            return pd.DatetimeIndex(pd.to_datetime(column, format="ISO8601")).tz_localize(None)
        except ValueError:
            pass  # told below, with the format that fits
    raise ForecastError(f"{_short(name)} is {column.dtype}, not dates: {_way_to_dates(column, name)}")


def as_numbers(values: Any, what: str, rule: str | Callable[[], str]) -> Array:
    """Numbers of any make (NumPy, nullable, Arrow, sparse, Decimal) as floats (n,), NaN for missing."""
    column = pd.Series(values)
    if isinstance(column.dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    plain = types.is_numeric_dtype(column.dtype) and column.dtype.kind != "c"
    boolean = types.is_bool_dtype(column.dtype) and not isinstance(column.dtype, pd.CategoricalDtype)
    if column.dtype == object:
        some = [value for value in column if not missing(value)]
        plain = all(isinstance(value, numbers.Real | decimal.Decimal | np.bool_) for value in some)
    if not plain and not boolean:
        raise ForecastError(f"{what} is {column.dtype}{rule() if callable(rule) else rule}")
    try:
        return column.to_numpy(dtype=float, na_value=np.nan)
    except (OverflowError, TypeError, ValueError) as error:
        raise ForecastError(f"{what} is {column.dtype} that can't be a float: {error}") from None


def target(column: pd.Series) -> Array:
    """The column y as floats; what is no number is told with the code that makes one."""
    return as_numbers(column, "y", lambda: f", not numbers: {_way_to_numbers(column)}")


def _way_to_numbers(column: pd.Series) -> str:
    made = {"m": "frame['y'].dt.total_seconds()", "c": "np.real(frame['y'])"}.get(column.dtype.kind)
    if made is not None:
        return f"frame.assign(y={made})"
    category = isinstance(column.dtype, pd.CategoricalDtype)
    if not (category or column.dtype == object or types.is_string_dtype(column.dtype)):
        return "give one number a row"
    if column.dtype == object and any(isinstance(value, COLLECTIONS) for value in column):
        return "give one number a row"
    text = column.astype(str)
    bad = pd.to_numeric(text, errors="coerce").isna() & column.notna()
    if bad.any():
        row = int(np.argmax(bad))
        return f"row {row} holds {column.iloc[row]!r} ({bad.sum()} rows in all); correct it, or drop it"
    read = "frame['y'].astype(str)" if category else "frame['y']"
    return f"frame.assign(y=pd.to_numeric({read})) makes them"


def names(value: Sequence[str], what: str) -> list[str]:
    """A list of names of columns; a single text would be read letter by letter."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise ForecastError(f"{what}={value!r}: a list of names of columns, such as {what}=[{value!r}]")
    return list(value)


def refuse_level(name: str, level: Any) -> None:
    """A level of an interval lies between 0 and 1."""
    if not between_0_and_1(level):
        raise ForecastError(f"{name}={level!r}: between 0 and 1, such as 0.8")


def day(when: Any) -> str:
    """A date as the messages write it: without its time of day where that is midnight."""
    if pd.isna(when):
        return "no date"
    when = pd.Timestamp(when)
    if when == when.normalize():
        return f"{when:%Y-%m-%d}"
    return f"{when:%Y-%m-%d %H:%M}" if when == when.floor("min") else when.isoformat(" ")


def _column(values: Any, name: str) -> pd.Series:
    try:
        column = pd.Series(values.array if isinstance(values, pd.Series | pd.Index) else list(values))
    except (TypeError, ValueError, AttributeError, NotImplementedError):
        raise ForecastError(f"{name} is a {type(values).__name__}, no row of dates") from None
    empty = not len(column) and column.dtype == object
    return column.astype("datetime64[us]") if empty else column


def _arrow_date(dtype: Any) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and dtype.name.startswith(("date32", "date64"))


def _wall(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value


def _is_text(column: pd.Series) -> bool:
    return types.is_string_dtype(column.dtype) and all(isinstance(value, str) for value in column.dropna())


def _short(name: str) -> str:
    return "ds" if name == "frame['ds']" else name


def _reads(column: pd.Series, **options: Any) -> bool:
    try:
        pd.to_datetime(column, **options)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _way_to_dates(column: pd.Series, name: str) -> str:
    """The code that makes dates of this column, or what each of its rows needs."""
    seen = column.dropna()
    if types.is_numeric_dtype(seen.dtype) and seen.dtype.kind not in "bc" and len(seen):
        return _way_of_numbers(seen, name)
    if not _is_text(column) or seen.empty:
        return "give each row a date, such as pd.Timestamp('2020-01-31')"
    if _reads(column, format="ISO8601"):
        return f"pd.to_datetime({name}, format='ISO8601') makes them"
    if seen.str.contains(OFFSET, regex=True).any():
        bare = f"{name}.str.replace(r'{OFFSET}', '', regex=True)"
        if _reads(column.str.replace(OFFSET, "", regex=True), format="ISO8601"):
            return f"pd.to_datetime({bare}, format='ISO8601') takes their wall times"
    fits = [f + t for f in FORMATS for t in TIMES if _reads(column, format=f + t)]
    ways = " or ".join(f"pd.to_datetime({name}, format={one!r})" for one in fits)
    if len(fits) > 1:
        return f"{seen.iloc[0]!r} can be read in two ways, so say which: {ways}"
    if fits:
        return f"{ways} makes them"
    bad = next((value for value in seen if not _reads(pd.Series([value]), format="ISO8601")), seen.iloc[0])
    return f"{bad!r} is no date that we can read; correct it, or give pd.to_datetime the format="


def _way_of_numbers(seen: pd.Series, name: str) -> str:
    """Days written as numbers, or seconds since 1970; pd.to_datetime alone takes all for nanoseconds."""
    low, high = float(seen.min()), float(seen.max())
    for form, least, most in (("%Y%m%d", 1e7, 1e8), ("%Y%m", 1e5, 1e6), ("%Y", 1000, 3000)):
        if least <= low and high < most and _reads(seen, format=form):
            return f"pd.to_datetime({name}, format={form!r}) makes them"
    for unit, least in (("ns", 1e17), ("us", 1e14), ("ms", 1e11), ("s", 1e8)):
        if low >= least and _reads(seen, unit=unit):
            return f"pd.to_datetime({name}, unit={unit!r}) makes them, if they count since 1970"
    return f"give each row its date, such as pd.date_range('2020-01-31', periods=len({name}), freq='D')"

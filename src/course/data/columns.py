"""Columns of any make turned into dates, numbers and names, by rules that stand here: nothing is guessed.

`007` is a name and so is `NA`; `02/01/2019` is no date until somebody says what it means, and no number is
one. `Faults` gathers what breaks the rules and says it in one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from walkforward.errors import WalkForwardError
from walkforward.makes import missing

SHOWN = 5  # rows or columns that an error names; it always says how many there are
NO_NUMBER = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None"]  # missing ones

# A clock, its fraction to the microsecond, and an offset which is dropped
_CLOCK = r"(?:[Tt ] *(\d{1,2}(?::\d{2}(?::\d{2}(?:[.,]\d{1,6})?)?)?)\d*( *[AaPp][Mm])?"
_CLOCK += r" *(?:[Zz]|UTC|[+-]\d{2}(?::?\d{2})?)?)?\s*$"
_YEAR_FIRST = r"^\s*(\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?)" + _CLOCK
_YEAR_LAST = r"^\s*(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _CLOCK
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
# What a number may count, by its digits: seconds and parts of them since 1970, a spreadsheet's days
_UNITS = {
    3 * power + digits: f"unit='{unit}'"
    for power, unit in enumerate(("s", "ms", "us", "ns"))
    for digits in (9, 10)
}
_UNITS |= {5: "unit='D', origin='1899-12-30'"}


class DataError(WalkForwardError, ValueError):
    """Data that can't be read or breaks its schema. The message is one line: file, fault, way out."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


# ---------------------------------------------------------------- conversion
def as_dates(values: pd.Series, dayfirst: bool | None = None) -> pd.Series:
    """Dates as datetime64[us] without a zone, NaT where there is none: the one door for dates of any make.

    Taken: datetime64 of any unit and zone, Arrow's timestamps and dates, periods (their start), and dates,
    datetimes or ISO text (year first) in text, objects or categories. A zone or an offset is dropped: what is
    kept is the clock as it was written, so days are local days. A number is no date. `dayfirst`: True reads
    `02/01/2019` as 2 January, False as 1 February, with a clock of 12 or 24 hours; None refuses it.
    """
    dense = plain(values)
    if dense.dtype.kind == "M":
        return _microseconds(dense.dt.tz_localize(None))
    if isinstance(dense.dtype, pd.PeriodDtype):
        return _microseconds(dense.dt.to_timestamp())
    if dense.dtype != object and not isinstance(dense.dtype, pd.StringDtype):
        return pd.Series(pd.NaT, index=values.index, dtype="datetime64[us]")
    texts = dense.map(_date_as_text) if dense.dtype == object else dense
    text = pa.array(texts, pa.string(), from_pandas=True)
    whole = pc.if_else(pc.match_substring_regex(text, _YEAR_FIRST), text, None)
    iso = pc.replace_substring_regex(whole, _YEAR_FIRST, r"\1 \2\3")
    if dayfirst is not None:
        order = r"\3-\2-\1 \4\5" if dayfirst else r"\3-\1-\2 \4\5"
        year_last = pc.if_else(pc.match_substring_regex(text, _YEAR_LAST), text, None)
        iso = pc.coalesce(iso, pc.replace_substring_regex(year_last, _YEAR_LAST, order))
    trimmed = pc.replace_substring(pc.utf8_trim_whitespace(iso), ",", ".")
    stamps = trimmed.to_pandas().astype("str").set_axis(values.index)
    half_days = stamps.str.contains("[AaPp][Mm]$", na=False)
    dates = pd.to_datetime(stamps.mask(half_days), format="ISO8601", errors="coerce").astype("datetime64[us]")
    if half_days.any():
        seconds = stamps[half_days].str.replace(r"^(\S+ \d+:\d\d) *([AaPp][Mm])$", r"\1:00 \2", regex=True)
        spaced = seconds.str.replace(r" *([AaPp][Mm])$", r" \1", regex=True)
        dates[half_days] = pd.to_datetime(spaced, format="%Y-%m-%d %I:%M:%S %p", errors="coerce")
    return dates


def as_numbers(values: pd.Series, truths: bool = False) -> tuple[pd.Series, pd.Series]:
    """Numbers as float64, NaN where one is missing, and a mask of what is neither finite nor missing.

    Text is a number with a decimal point and nothing beside it; empty fields and NA, NaN, null and None are
    missing. `truths`: True and False are 1 and 0.
    """
    dense = plain(values)
    if isinstance(dense.dtype, pd.StringDtype):
        text = pc.utf8_trim_whitespace(pa.array(dense, pa.string(), from_pandas=True))
        if truths:
            for word, digit in (("(?i)^true$", "1"), ("(?i)^false$", "0")):
                text = pc.replace_substring_regex(text, word, digit)
        written = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None)
        numbers = pc.cast(written, pa.float64()).to_numpy(zero_copy_only=False)
        missing = pc.or_(text.is_null(), pc.is_in(text, pa.array(NO_NUMBER))).to_numpy(zero_copy_only=False)
    elif dense.dtype.kind in ("iufb" if truths else "iuf"):
        numbers = dense.to_numpy("float64", na_value=np.nan)
        missing = np.isnan(numbers)
    else:
        numbers, missing = np.full(len(dense), np.nan), dense.isna().to_numpy()
    finite = np.isfinite(numbers)
    strange = pd.Series(~finite & ~missing, values.index)
    return pd.Series(np.where(finite, numbers, np.nan), values.index), strange


def as_names(values: pd.Series) -> pd.Series:
    """Names as text, as they were written: `007`, `1.10` and `NA` stay; NaN where there is none."""
    arrow = values.dtype.pyarrow_dtype if isinstance(values.dtype, pd.ArrowDtype) else None
    if arrow is not None and (kinds.is_integer(arrow) or kinds.is_decimal(arrow)):
        text = pa.chunked_array(values.array.__arrow_array__()).cast(pa.string())
        return pd.Series(pd.array(text, dtype="str"), values.index)  # not the 7.0 of a float
    dense = plain(values)
    if dense.dtype == object:
        return dense.where(dense.map(lambda value: isinstance(value, str))).astype("str")
    return dense.astype("str")


def plain(values: pd.Series) -> pd.Series:
    """Without Arrow's types, categories and sparse values: datetime64, numbers, periods, text or objects."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype | pd.SparseDtype):
        inner = dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype.subtype
        if inner.kind in "Oiub":  # a missing value has no place among integers
            return values.astype(object if inner.kind != "O" else inner)
        return plain(values.astype(inner))
    if not isinstance(dtype, pd.ArrowDtype):
        return values
    array = pa.chunked_array(values.array.__arrow_array__())
    kind = array.type
    if kinds.is_dictionary(kind):
        decoded = pa.chunked_array([chunk.dictionary_decode() for chunk in array.chunks], kind.value_type)
        return plain(pd.Series(pd.arrays.ArrowExtensionArray(decoded), values.index))
    if kinds.is_date(kind):
        unit = "s" if kinds.is_date32(kind) else "ms"  # with a place for every day
        return array.cast(pa.timestamp(unit)).to_pandas().set_axis(values.index)
    if kinds.is_decimal(kind):
        return array.cast(pa.float64(), safe=False).to_pandas().set_axis(values.index)
    try:  # text of any kind; bytes where they are text
        text = array if kinds.is_nested(kind) or kinds.is_primitive(kind) else array.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        text = array
    if kinds.is_string(text.type):
        return pd.Series(pd.array(text, dtype="str"), values.index)
    try:
        return array.to_pandas().set_axis(values.index)
    except (pa.ArrowException, LookupError):  # a time zone that nobody knows
        return pd.Series([kind] * len(values), values.index, dtype=object)


def zone(values: pd.Series) -> str:
    """What the first date says of its zone: "" for nothing, a name, or "an offset"."""
    dense = plain(values).dropna()
    if isinstance(dense.dtype, pd.DatetimeTZDtype):
        return str(dense.dt.tz)
    first = str(dense.iloc[0]) if len(dense) and isinstance(dense.dtype, pd.StringDtype) else ""
    written = re.search(r":\d\d\S*?\s*(Z|z|UTC|[+-]\d\d(?::?\d\d)?)\s*$", first)
    if written is None:
        return ""
    return "UTC" if written[1] in ("Z", "z", "UTC", "+00:00", "+0000", "+00") else "an offset"


def _date_as_text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if not isinstance(value, date) or value is pd.NaT:
        return None
    return (value.replace(tzinfo=None) if isinstance(value, datetime) else value).isoformat()


def _microseconds(dates: pd.Series) -> pd.Series:
    """The year 300,000 and what else has no microsecond of its own is NaT."""
    unit = np.datetime_data(dates.dtype)[0]
    if unit not in ("s", "ms"):
        return dates.astype("datetime64[us]")
    ends = [np.datetime64(end, "us").astype(f"M8[{unit}]") for end in (10**6 - 2**63, 2**63 - 1)]
    return dates.where(dates.between(*ends)).astype("datetime64[us]")


# ---------------------------------------------------------------- faults
class Faults:
    """What breaks the rules of a table, over all its batches: each fault with its rows, counted from 0.

    `label` names the table, `theirs` maps our columns to its own names.
    """

    def __init__(self, label: str, theirs: Mapping[str, str]) -> None:
        self.label, self.theirs, self.count = label, theirs, 0
        self.found: dict[str, tuple[int, list[tuple[int, object]]]] = {}
        self.way_out = "correct or remove them"

    def add(self, column: str, fault: str, bad: pd.Series, values: pd.Series) -> None:
        """The rows where `bad` is True, with their `values`; the index has the number of each row."""
        if not bad.any():
            return
        self.count += 1
        count, shown = self.found.get(f"{column} {fault}", (0, []))
        at = np.flatnonzero(bad)[: SHOWN - len(shown)]
        try:
            found = [values.iloc[place] for place in at]
        except (OverflowError, ValueError, LookupError):
            found = ["beyond the calendar"] * len(at)  # or in a zone that nobody knows
        scalars = [value.item() if isinstance(value, np.generic) else value for value in found]
        texts = [np.nan if missing(value) else value for value in scalars]
        rows = zip(values.index[at], texts, strict=True)
        self.found[f"{column} {fault}"] = (count + int(bad.sum()), [*shown, *rows])
        ways_out = {_way_out(text, self.theirs.get(column, column), fault, bad.all()) for text in texts}
        if self.way_out == "correct or remove them" and len(ways_out) == 1:
            self.way_out = ways_out.pop() or self.way_out

    def refuse(self) -> None:
        """Raise `DataError` when there is a fault."""
        if self.found:
            texts = [f"{fault} in {_rows(*rows)}" for fault, rows in self.found.items()]
            more = [f"{len(texts) - 3} more faults"] if len(texts) > 3 else []
            raise DataError(f"{self.label}: {'; '.join([*texts[:3], *more])}; {self.way_out}")


def _way_out(value: object, column: str, fault: str, everywhere: bool) -> str | None:
    """What to do about a value of this form; code takes `frame`, the file as pandas reads it.

    `everywhere`: all rows are at fault, and code that converts a column can do with it.
    """
    text = str(value).strip()
    digits = text.removesuffix(".0")
    series = f"frame[{column!r}]"
    if "date" not in fault:
        spoilt = isinstance(value, str) and re.search(r"\d", text) and "number" in fault
        other_form = spoilt and not re.fullmatch(_NUMBER, text)
        return "write numbers alone, with a point and no separator of thousands" if other_form else None
    if re.match(_YEAR_LAST, text):
        code = f"{series} = pd.to_datetime({series}, dayfirst=True)"
        anew = f"; `{code}` writes them anew" if everywhere else ""
        return f"dayfirst=True reads the day first, dayfirst=False the month{anew}"
    if not re.fullmatch("[0-9]+", digits) or not everywhere:
        return None
    whole = f"{series}.astype('int64')"
    if len(digits) == 8:
        return f"`{series} = pd.to_datetime({whole}.astype(str), format='%Y%m%d')` makes them dates"
    if len(digits) in _UNITS:
        return f"`{series} = pd.to_datetime({whole}, {_UNITS[len(digits)]})` makes them dates"
    return None


def _rows(count: int, shown: Sequence[tuple[int, object]]) -> str:
    """How many rows, the first of them and their values: `2 rows (5, 17: 'a', 'b')`; numbers stand bare."""
    more = ", …" if count > len(shown) else ""
    rows = ", ".join(str(row) for row, _ in shown)
    values = [value for _, value in shown]
    bare = all(isinstance(value, str) and re.fullmatch(rf"{_NUMBER}|[-+]?inf", value) for value in values)
    texts = [value if bare else repr(value) for value in values]
    found = ", ".join(text if len(text) <= 24 else f"{text[:23]}…" for text in texts)
    return f"{count:,} {'row' if count == 1 else 'rows'} ({rows}{more}: {found}{more})"


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more

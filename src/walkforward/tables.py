"""Parquet and CSV files read batch by batch, and their columns turned into dates, numbers and names.

A CSV is read as text and converted by the rules that stand here, so that nothing is guessed: `007` is a name,
`NA` too, `02/01/2019` is refused until somebody says what it means. `walkforward.data` adds what a column
must hold. Memory is that of a batch, whatever the size of the file.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import pyarrow.types as kinds

from walkforward.errors import WalkForwardError

ROWS = 2**18  # rows of a batch of Parquet; one of CSV has as many as fit into BYTES
BYTES = 2**25
MISSING = [
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "NaN",
    "nan",
    "NULL",
    "null",
    "None",
]  # among numbers, dates

_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
# What the readers raise for a broken file
_BROKEN = (OSError, ValueError, EOFError, StopIteration, csv.Error, lzma.LZMAError, zlib.error)
_BROKEN += (zipfile.BadZipFile, pa.ArrowException)

_CLOCK = r"(?:[Tt ] *(\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,6})?)?)\d*( *[AaPp][Mm])?"
_CLOCK += r" *(?:Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?)?\s*$"
_YEAR_FIRST = r"^\s*(\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?)" + _CLOCK
_YEAR_LAST = r"^\s*(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})" + _CLOCK
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


class DataError(WalkForwardError, ValueError):
    """Data that can't be read or breaks its schema. The message is one line: file, fault, way out."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


# ---------------------------------------------------------------- files
def open_table(
    stream: BinaryIO, label: str, restore: str, ours: Callable[[str], str | None]
) -> tuple[dict[str, str], Iterator[pa.Table]]:
    """The columns that `ours` maps from the file's name, in lower case, and the batches of their rows.

    Returns {the file's name: ours} and an iterator of Arrow tables under our names. CSV columns are text,
    empty fields null. Raises `DataError`, which names the file by `label`; `restore` is the way out for a
    broken one.
    """
    try:
        plain = _unpacked(stream, label)
        reader = _parquet if _head(plain) == b"PAR1" else _csv
        names, batches = reader(plain, label, ours)
    except DataError:
        raise
    except _BROKEN:
        raise DataError(_unreadable(label, restore)) from None

    def readable() -> Iterator[pa.Table]:
        try:
            yield from batches
        except DataError:
            raise
        except _BROKEN as error:
            if "invalid UTF8" in str(error):
                mended = _mend(label, "encoding='cp1252'")
                raise DataError(f"{label} is not UTF-8: {mended}") from None
            raise DataError(_unreadable(label, restore)) from None

    return names, readable()


def _head(stream: BinaryIO) -> bytes:
    stream.seek(0)
    head = stream.read(4)
    stream.seek(0)
    return head


def _unpacked(stream: BinaryIO, label: str) -> BinaryIO:
    """The stream behind gzip, bzip2, xz, zstandard or a ZIP of one file."""
    head = _head(stream)
    for magic, opened in _PACKED.items():
        if head.startswith(magic[:4]):
            return _seekable(opened(stream))
    if head == b"\x28\xb5\x2f\xfd":
        return io.BytesIO(pa.CompressedInputStream(pa.PythonFile(stream), "zstd").read())
    if head == b"\xd0\xcf\x11\xe0":
        raise DataError(f"{label} is an Excel file: save it as CSV (UTF-8) in the spreadsheet")
    if head == b"PK\x03\x04":
        archive = zipfile.ZipFile(stream)
        inside = [name for name in archive.namelist() if not name.endswith("/")]
        if "[Content_Types].xml" in inside or "mimetype" in inside:
            raise DataError(f"{label} is a spreadsheet: save it as CSV (UTF-8) there")
        if len(inside) != 1:
            raise DataError(f"{label} is a ZIP of {len(inside)} files: unpack it and pass one")
        return _seekable(archive.open(inside[0]))
    return stream


def _seekable(stream: BinaryIO) -> BinaryIO:
    """Packed Parquet goes into memory, as it is read from its end."""
    return io.BytesIO(stream.read()) if _head(stream) == b"PAR1" else stream


def _parquet(
    stream: BinaryIO, label: str, ours: Callable[[str], str | None]
) -> tuple[dict[str, str], Iterator[pa.Table]]:
    pa.array(pd.period_range("2000", periods=1, freq="D"))  # Arrow learns of pandas' periods
    file = pa.parquet.ParquetFile(stream)
    names = _chosen(file.schema_arrow.names, label, ours)
    if not file.metadata.num_rows and names:
        raise DataError(f"{label} has column names and no rows: pass a file with data")

    def batches() -> Iterator[pa.Table]:
        for batch in file.iter_batches(ROWS, columns=list(names)):
            yield pa.Table.from_batches([batch]).rename_columns([names[name] for name in batch.schema.names])

    return names, batches()


def _csv(
    stream: BinaryIO, label: str, ours: Callable[[str], str | None]
) -> tuple[dict[str, str], Iterator[pa.Table]]:
    encoding = "utf-16" if _head(stream)[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    text = io.TextIOWrapper(stream, encoding.replace("8", "8-sig"), errors="replace", newline="")
    rows = csv.reader(text)
    header = next(row for row in rows if any(cell.strip() for cell in row))
    above = rows.line_num
    first = next((row for row in rows if row), [])
    text.detach()
    stream.seek(0)

    names = _chosen(header, label, ours)
    _refuse_other_delimiter(header, names, label, ours)
    if not first and names:
        raise DataError(f"{label} has column names and no rows: pass a file with data")
    if any(cell.strip() for cell in first[len(header) :]):
        raise DataError(_shifted(label, len(first), len(header)))
    columns = [str(number) for number in range(max(len(header), len(first)))]
    at = {str(header.index(theirs)): name for theirs, name in names.items()}
    beyond = columns[len(header) :]  # of commas at the ends of the rows: empty
    ragged = []

    def batches() -> Iterator[pa.Table]:
        try:
            reader = pa.csv.open_csv(
                stream,
                pa.csv.ReadOptions(
                    use_threads=False,
                    block_size=BYTES,
                    skip_rows=above,
                    column_names=columns,
                    encoding=encoding,
                ),
                pa.csv.ParseOptions(
                    newlines_in_values=True, invalid_row_handler=lambda row: ragged.append(row) or "error"
                ),
                pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                    include_columns=[*at, *beyond],
                ),
            )
            for batch in reader:
                table = pa.Table.from_batches([batch])
                if any(table[column].null_count < len(table) for column in beyond):
                    raise DataError(_shifted(label, len(columns), len(header)))
                yield table.select(list(at)).rename_columns(list(at.values()))
        except _BROKEN:
            if not ragged:
                raise
            row = ragged[0]
            start = " ".join(row.text.split())[:40]
            raise DataError(
                f"{label}: row {row.number - above - 1} has {row.actual_columns} fields, those before it "
                f"{row.expected_columns}: correct it; it begins {start!r}"
            ) from None

    return names, batches()


def _chosen(columns: Sequence[object], label: str, ours: Callable[[str], str | None]) -> dict[str, str]:
    pairs = [(str(column), name) for column in columns if (name := ours(str(column).strip().lower()))]
    names = [name for _, name in pairs]
    if doubled := [column for column, name in pairs if names.count(name) > 1]:
        raise DataError(f"{label} has {listed(doubled)}, which mean the same: keep one of them")
    return dict(pairs)


def _refuse_other_delimiter(
    header: list[str], names: dict[str, str], label: str, ours: Callable[[str], str | None]
) -> None:
    for delimiter in ";\t|":
        cells = next(csv.reader([delimiter.join(header)], delimiter=delimiter))
        if len([cell for cell in cells if ours(cell.strip().lower())]) > len(names):
            raise DataError(
                f"{label} seems to be separated by {delimiter!r}, not by commas: "
                + _mend(label, f"sep={delimiter!r}")
            )


def _mend(label: str, how: str) -> str:
    """The call of pandas that writes the same text as a CSV of the usual kind."""
    return (
        f"`pd.read_csv({label!r}, {how}, dtype=str, keep_default_na=False).to_csv('mended.csv', index=False)`"
    )


def _shifted(label: str, fields: int, names: int) -> str:
    return (
        f"{label}: the rows have {fields} fields for {names} names, as an export with its index has: "
        + _mend(label, f"index_col={list(range(fields - names))}")
    )


def _unreadable(label: str, restore: str) -> str:
    return f"{label} is not a readable Parquet or CSV file (cut off while copied?): {restore}"


# ---------------------------------------------------------------- columns
def as_dates(values: pd.Series, dayfirst: bool | None = None) -> pd.Series:
    """Dates as datetime64[us] without a zone, NaT where there is none; the one door for dates of any make.

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
        slashed = pc.if_else(pc.match_substring_regex(text, _YEAR_LAST), text, None)
        iso = pc.coalesce(iso, pc.replace_substring_regex(slashed, _YEAR_LAST, order))
    iso = pc.replace_substring(pc.utf8_trim_whitespace(iso), ",", ".")
    stamps = iso.to_pandas().astype("str").set_axis(values.index)
    half = stamps.str.contains("[AaPp][Mm]$", na=False)
    dates = pd.to_datetime(stamps.mask(half), format="ISO8601", errors="coerce").astype("datetime64[us]")
    if half.any():
        afternoon = stamps[half].str.replace(r"(\d:\d\d) *([AaPp][Mm])$", r"\1:00 \2", regex=True)
        spaced = afternoon.str.replace(r" *([AaPp][Mm])$", r" \1", regex=True)
        dates[half] = pd.to_datetime(spaced, format="%Y-%m-%d %I:%M:%S %p", errors="coerce")
    return dates


def as_numbers(values: pd.Series, truths: bool = False) -> tuple[pd.Series, pd.Series]:
    """Numbers as float64 with NaN where one is missing, and where what stands there is no finite number.

    Text is a number with a decimal point and nothing beside it; empty fields and NA, NaN, null and None are
    missing. `truths`: True and False are 1 and 0.
    """
    dense = plain(values)
    if isinstance(dense.dtype, pd.StringDtype):
        text = pc.utf8_trim_whitespace(pa.array(dense, pa.string(), from_pandas=True))
        if truths:
            for word, digit in (("^(?i)true$", "1"), ("^(?i)false$", "0")):
                text = pc.replace_substring_regex(text, word, digit)
        written = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None)
        numbers = pc.cast(written, pa.float64()).to_numpy(zero_copy_only=False)
        missing = pc.or_(text.is_null(), pc.is_in(text, pa.array(MISSING))).to_numpy(zero_copy_only=False)
    elif dense.dtype.kind in ("iufb" if truths else "iuf"):
        numbers = dense.to_numpy("float64", na_value=np.nan)
        missing = np.isnan(numbers)
    else:
        numbers, missing = np.full(len(dense), np.nan), dense.isna().to_numpy()
    good = np.isfinite(numbers)
    return pd.Series(np.where(good, numbers, np.nan), values.index), pd.Series(~good & ~missing, values.index)


def as_names(values: pd.Series) -> pd.Series:
    """Names as text, as they were written: `007`, `1.10` and `NA` stay; an empty field is missing."""
    if isinstance(values.dtype, pd.ArrowDtype) and values.dtype.kind in "iu":
        return values.astype("string").astype("str")  # 7, though another is missing, and not 7.0
    return plain(values).astype("str")


def plain(values: pd.Series) -> pd.Series:
    """Without Arrow's types, categories and sparse values: datetime64, numbers, periods, text or objects."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype | pd.SparseDtype):
        inner = dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype.subtype
        dense = values.astype(object if inner.kind in "iub" else inner)
        return plain(dense) if inner.kind != "O" else dense
    if not isinstance(dtype, pd.ArrowDtype):
        return values
    array = pa.chunked_array(values.array.__arrow_array__())
    kind = array.type
    if kinds.is_dictionary(kind):
        decoded = pa.chunked_array([chunk.dictionary_decode() for chunk in array.chunks], kind.value_type)
        return plain(pd.Series(pd.arrays.ArrowExtensionArray(decoded), values.index))
    if kinds.is_date(kind):
        array = array.cast(pa.timestamp("us"), safe=False)
    elif kinds.is_decimal(kind):
        array = array.cast(pa.float64(), safe=False)
    elif (
        kinds.is_large_string(kind)
        or kinds.is_string_view(kind)
        or kinds.is_binary(kind)
        or kinds.is_null(kind)
    ):
        array = array.cast(pa.string())
    if kinds.is_string(array.type):
        return pd.Series(pd.array(array, dtype="str"), values.index)
    return array.to_pandas().set_axis(values.index)


def _date_as_text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if not isinstance(value, date) or value is pd.NaT:
        return None
    return (value.replace(tzinfo=None) if isinstance(value, datetime) else value).isoformat()


def _microseconds(dates: pd.Series) -> pd.Series:
    """The year 300,000 and what else has no microsecond of its own is NaT."""
    unit = np.datetime_data(dates.dtype)[0]
    if unit in ("s", "ms"):
        ends = [np.datetime64(end, "us").astype(f"M8[{unit}]") for end in (-(2**63) + 10**6, 2**63 - 1)]
        dates = dates.where(dates.between(*ends))
    return dates.astype("datetime64[us]")


# ---------------------------------------------------------------- words
def listed(names: Sequence[str], shown: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more

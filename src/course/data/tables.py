"""Parquet and CSV files read batch by batch: the memory is that of a batch, whatever the size of the file.

A CSV is read as text, and `course.data.columns` turns it into what `course.data` wants.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from course.data.columns import DataError, listed

ROWS = 2**18  # rows of a batch of Parquet
BYTES = 2**25  # of a batch of CSV

_DAYS = ("ds", "pickup_datetime")  # columns that show whether values stand below their names
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
# What the readers raise for a broken file
_BROKEN = (OSError, ValueError, EOFError, StopIteration, csv.Error, lzma.LZMAError, zlib.error)
_BROKEN += (zipfile.BadZipFile, pa.ArrowException)


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
                raise DataError(_other_encoding(label)) from None
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

    def batches() -> Iterator[pa.Table]:
        if not file.metadata.num_rows:
            raise DataError(_without_rows(label))
        for batch in file.iter_batches(ROWS, columns=list(names)):
            table = pa.Table.from_batches([batch])
            table.validate(full=True)  # text that is no UTF-8
            yield table.rename_columns([names[name] for name in table.column_names])

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
    _refuse_other_forms(header, names, label, ours)
    columns = [str(number) for number in range(max(len(header), len(first)))]
    at = {str(header.index(theirs)): name for theirs, name in names.items()}
    beyond = columns[
        len(header) :
    ]  # commas at the ends of all rows: empty fields, or else the rows are shifted
    days = [first[int(place)] for place, name in at.items() if name in _DAYS and int(place) < len(first)]
    in_place = any(re.match(r"\s*\d+[-/.]\d", day) for day in days)
    shifted = _shifted(label, len(columns), len(header), in_place)
    ragged = []

    def batches() -> Iterator[pa.Table]:
        if not first:
            raise DataError(_without_rows(label))
        if any(cell.strip() for cell in first[len(header) :]):
            raise DataError(shifted)
        reading = pa.csv.ReadOptions(
            use_threads=False, block_size=BYTES, skip_rows=above, column_names=columns, encoding=encoding
        )
        parsing = pa.csv.ParseOptions(
            newlines_in_values=True, invalid_row_handler=lambda row: ragged.append(row) or "error"
        )
        as_text = pa.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            include_columns=[*at, *beyond],
        )
        try:
            for batch in pa.csv.open_csv(stream, reading, parsing, as_text):
                table = pa.Table.from_batches([batch])
                if any(table[column].null_count < len(table) for column in beyond):
                    raise DataError(shifted)
                yield table.select(list(at)).rename_columns(list(at.values()))
        except _BROKEN:
            if not ragged:
                raise
            row = ragged[0]
            raise DataError(
                f"{label}: row {row.number - above - 1} has {row.actual_columns} fields, not "
                f"{row.expected_columns}; it begins {row.text[:40]!r}: correct it"
            ) from None

    return names, batches()


def _chosen(columns: Sequence[object], label: str, ours: Callable[[str], str | None]) -> dict[str, str]:
    pairs = [(str(column), name) for column in columns if (name := ours(str(column).strip().lower()))]
    names = [name for _, name in pairs]
    if doubled := [column for column, name in pairs if names.count(name) > 1]:
        raise DataError(f"{label} has {listed(doubled)}, which mean the same: keep one of them")
    return dict(pairs)


def _refuse_other_forms(
    header: list[str], names: dict[str, str], label: str, ours: Callable[[str], str | None]
) -> None:
    """Other delimiters and other encodings."""
    if any("\0" in cell for cell in header):
        raise DataError(f"{label} is no UTF-8 text: save it as CSV (UTF-8)")
    if any("\ufffd" in theirs for theirs in names):
        raise DataError(_other_encoding(label))
    for delimiter in ";\t|":
        if header[0].strip().startswith(f"sep={delimiter}"):  # a spreadsheet's note to itself
            raise DataError(_other_delimiter(label, f"sep={delimiter!r}, skiprows=1"))
        cells = [part.strip().strip('"').lower() for cell in header for part in cell.split(delimiter)]
        if len({name for cell in cells if (name := ours(cell))}) > len(names):
            raise DataError(_other_delimiter(label, f"sep={delimiter!r}"))


def _mend(label: str, how: str) -> str:
    """The call of pandas that writes the same text as a CSV of the usual kind."""
    return (
        f"`pd.read_csv({label!r}, {how}, dtype=str, keep_default_na=False).to_csv('mended.csv', index=False)`"
    )


def _shifted(label: str, fields: int, names: int, in_place: bool) -> str:
    """`in_place`: the date stands below its name, so that what is too much stands behind."""
    why = "fields beyond the last name" if in_place else "an export with its index?"
    how = f"usecols=range({names})" if in_place else f"index_col={list(range(fields - names))}"
    return f"{label}: the rows have {fields} fields for {names} names ({why}): {_mend(label, how)}"


def _other_delimiter(label: str, how: str) -> str:
    return f"{label} seems to be separated by {how[4:].split(',')[0]}, not by commas: {_mend(label, how)}"


def _other_encoding(label: str) -> str:
    how = "encoding='cp1252'"
    return f"{label} is not UTF-8: {_mend(label, how)}"


def _without_rows(label: str) -> str:
    return f"{label} has column names and no rows: pass a file with data"


def _unreadable(label: str, restore: str) -> str:
    return f"{label} is not a readable Parquet or CSV file (cut off while copied?): {restore}"

"""Somebody's table as `ds` and `y`. What can be read in one way only is read; else a line says what to do."""

from __future__ import annotations

import gzip
import io
import re
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

CLOCK = r"(\d{4}(?:-?\d\d(?:-?\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?)?)?)"
OFFSET = r"(Z|[+-]\d\d:?\d\d)?"
NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%y")
DAYS += ("%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %Y", "%B %Y", "%m/%Y", "%Y/%m")
FORMS = [day + time for day in DAYS for time in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")]
WRITINGS = [(".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (".", "’")]
MOST = 20  # values of a column that may name series


class Unreadable(Exception):
    """What is wrong with the table, and the way out, in a line."""


class Form(NamedTuple):
    """How a table is written, where it does not tell by itself; the words of the command line.

    Args:
        dates: as Python writes it, such as %d.%m.%Y.
        decimal: between a number and its fraction.
        thousands: between the thousands of a number.
        only: the rows that count, such as store=Berlin.
    """

    dates: str = ""
    decimal: str = ""
    thousands: str = ""
    only: tuple[str, ...] = ()


PLAIN = Form()


def read(path: Path, date: str, target: str, form: Form = PLAIN) -> pd.DataFrame:
    """The table as `ds` and `y`, in order; or a line that names what can't be used, and the way out."""
    try:
        table, separator = cells(path)
        for one in form.only:
            table = rows_of(table, one)
        date, target = (named(table, one) for one in (date, target))
        days = as_dates(table[date], form.dates)
        numbers = as_numbers(table[target], form, separator == ";")
        lost = numbers.notna() & days.isna()
        if lost.any():
            raise Unreadable(
                f"{lost.sum()} rows have a number and no date (the first: "
                f"{table.loc[lost, target].iloc[0]!r}): give each its date, or cut totals off"
            )
        told = numbers.index[numbers.notna()]
        if not len(told):
            raise Unreadable(f"no row has a date in {date!r} and a number in {target!r}: export it again")
        frame = pd.DataFrame({"ds": days, "y": numbers}).dropna(subset=["ds"])
        refuse_twice(frame["ds"], table.drop(columns=[date, target]))
    except Unreadable as error:
        raise SystemExit(f"{path}: {error}") from None
    frame = frame.sort_values("ds", ignore_index=True)
    known = frame.index[frame["y"].notna()]  # days before and after are still to come, or never were
    return frame.loc[known[0] : known[-1]].reset_index(drop=True)


# Cells ----------------------------------------------------------------------------------------------------


def cells(path: Path) -> tuple[pd.DataFrame, str]:
    """All cells as text, missing where empty, under the names of the first line; and what parts them."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise Unreadable(f"can't be read ({why}): name a file that is there and whole") from None
    if raw[:4] == b"PAR1":
        return of_parquet(raw), ","
    if raw[:2] == b"PK" or raw[:4] == b"\xd0\xcf\x11\xe0":
        raise Unreadable("is a workbook or an archive: save the sheet as CSV UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = f"\0{error.start}"
    if "\0" in text:
        raise Unreadable("is no text in UTF-8: save it as CSV UTF-8")
    lines = text.lstrip("\r\n").splitlines() or [""]
    if lines[0].lower().startswith("sep="):  # Excel's own word, above the names
        text, lines = text.partition(lines[0])[2], lines[1:] or [""]
    separator = max(",;\t|", key=re.sub(r'"[^"]*"', "", lines[0]).count)
    if not lines[0].strip():
        raise Unreadable("is empty: export it again")
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, header=None, dtype=str, skipinitialspace=True)
    except ValueError as error:
        why = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise Unreadable(
            f"is not one table ({why[:80]}): write as many fields in each line as there are names in the "
            f"first, and quotes around a value that holds {separator!r}"
        ) from None
    names = [tidy(one) for one in table.iloc[0].fillna("")]
    table = table.iloc[1:].reset_index(drop=True).set_axis(names, axis=1)
    if all(re.fullmatch(f"{CLOCK}|{NUMBER}", one) for one in names if one):
        raise Unreadable(f"has no names in its first line ({', '.join(names)}): write them above, as ds,y")
    return table, separator


def of_parquet(raw: bytes) -> pd.DataFrame:
    """The same of a Parquet file."""
    try:
        table = pd.read_parquet(io.BytesIO(raw))
    except (OSError, ValueError) as error:
        raise Unreadable(f"is no whole Parquet file ({str(error)[:80]}): write it again") from None
    if any(table.index.names):
        table = table.reset_index()
    table = table.set_axis([tidy(str(one)) for one in table.columns], axis=1)
    return table.astype(str).where(table.notna())


def tidy(name: str) -> str:
    """A name without spaces around it; an umlaut is one letter, as on a keyboard."""
    return unicodedata.normalize("NFC", name).strip()


def named(table: pd.DataFrame, column: str) -> str:
    """The name as the table has it."""
    found = list(table.columns).count(tidy(column))
    if found > 1:
        raise Unreadable(f"{found} columns are called {column!r}: rename one")
    if not found:
        names = ", ".join(filter(None, table.columns))
        raise Unreadable(f"no column {column!r}; it has {names}: name yours with --date and --target")
    return tidy(column)


def rows_of(table: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """The rows with `column=value`."""
    column, sign, value = wanted.partition("=")
    if not sign:
        raise Unreadable(f"--only {wanted}: write column=value")
    column = named(table, column)
    rows = table[table[column].str.strip() == value.strip()]
    if rows.empty:
        there = ", ".join(table[column].dropna().unique()[:5])
        raise Unreadable(f"no row has {value!r} in {column}, which has {there}: take one of them")
    return rows


# Dates and numbers ----------------------------------------------------------------------------------------


def as_dates(column: pd.Series, form: str) -> pd.Series:
    """Dates without a zone: days by the clock of the place; hours, where its clock is set, by UTC."""
    text = column.str.strip()
    if not form:
        days = of_iso(text)
        refuse(column, days, "date like 2024-01-31", lambda: ways_of_dates(text))
        return days
    days = in_form(text, form)
    refuse(column, days, f"date like {form}", lambda: "correct it, or give the form that all have")
    return days


def in_form(text: pd.Series, form: str) -> pd.Series:
    """Dates by a form of Python's; missing where it does not fit."""
    try:
        days = pd.to_datetime(text, format=form, errors="coerce", utc="%z" in form.lower())
    except ValueError as error:
        raise Unreadable(f"--dates {form}: {error}; write it as in %d.%m.%Y") from None
    return days.dt.tz_localize(None)


def of_iso(text: pd.Series) -> pd.Series:
    """Dates that begin with the year."""
    parts = text.str.extract(rf"^{CLOCK}\s?{OFFSET}$")
    days = pd.to_datetime(parts[0], format="ISO8601", errors="coerce")
    offset = parts[1].replace("Z", "+00:00")
    there = offset.notna() & days.notna()
    if not there.any():
        return days
    if not there[days.notna()].all():
        bare = text[days.notna() & ~there].iloc[0]
        raise Unreadable(
            f"some dates have an offset and others have none (the first: {bare!r}): write all alike"
        )
    if offset[there].nunique() == 1 or (days == days.dt.normalize())[there].all():
        return days
    digits = offset.str.replace(":", "")
    minutes = digits.str[1:3].astype(float) * 60 + digits.str[3:5].astype(float)
    return days - pd.to_timedelta(minutes.where(digits.str[0] == "+", -minutes), unit="min")


def ways_of_dates(text: pd.Series) -> str:
    """The forms that fit all rows."""
    fits = [form for form in FORMS if in_form(text.dropna(), form).notna().all()]
    two = "it can be read in several ways: " if len(fits) > 1 else ""
    given = " or ".join(f"--dates '{form}'" for form in fits)
    return f"{two}give {given}" if fits else "correct it, or give the form that all have with --dates"


def as_numbers(column: pd.Series, form: Form, doubtful: bool) -> pd.Series:
    """Numbers. In a table that is `doubtful`, 1.234 may be a thousand: then it must be told."""
    text = column.str.strip().str.replace("\u2212", "-").str.replace("[\u00a0\u202f]", " ", regex=True)
    numbers = written(text, form.decimal or ".", form.thousands)
    told = f"number like {written_as(form)}"
    refuse(column, numbers, told, lambda: ways_of_numbers(text))
    dotted = text[text.str.contains(".", regex=False, na=False)]
    if doubtful and not (form.decimal or form.thousands) and len(dotted):
        if dotted.str.fullmatch(r"[+-]?[1-9]\d{0,2}(\.\d{3})+").all():
            raise Unreadable(
                f"{column.name}: {dotted.iloc[0]!r} can be read in two ways: "
                "give --decimal . or --thousands ."
            )
    return numbers


def written(text: pd.Series, decimal: str, thousands: str) -> pd.Series:
    """Numbers written with these signs; missing where they are not."""
    if thousands:
        groups = rf"[+-]?\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+(?:{re.escape(decimal)}\d*)?"
        grouped = text.str.fullmatch(groups).fillna(False).astype(bool)
        text = text.where(~grouped, text.str.replace(thousands, "", regex=False))
    if decimal != ".":
        text = text.where(~text.str.contains(".", regex=False, na=False))
        text = text.str.replace(decimal, ".", regex=False)
    fits = text.str.fullmatch(NUMBER).fillna(False).astype(bool)
    numbers = pd.to_numeric(text.where(fits)).astype(float)
    return numbers.where(np.isfinite(numbers))


def written_as(form: Form) -> str:
    """Twelve and a half, or 1234.5, in that form."""
    decimal = form.decimal or "."
    return f"1{form.thousands}234{decimal}5" if form.thousands else f"12{decimal}5"


def ways_of_numbers(text: pd.Series) -> str:
    """The signs that fit all rows."""
    there, words, found = text.dropna(), [], []
    for decimal, thousands in WRITINGS:
        numbers = written(there, decimal, thousands)
        if numbers.notna().all() and not any(numbers.equals(other) for other in found):
            found.append(numbers)
            signs = [f"--decimal '{decimal}'"] * (decimal != ".")
            words.append(" ".join(signs + [f"--thousands '{thousands}'"] * bool(thousands)))
    two = "it can be read in several ways: " if len(words) > 1 else ""
    return f"{two}give {' or '.join(words)}" if words else "correct it, or leave the cell empty"


def refuse(column: pd.Series, read_as: pd.Series, form: str, way_out: Callable[[], str]) -> None:
    """Stop where the table has a value that could not be read."""
    wrong = read_as.isna() & column.notna() & (column.str.strip() != "")
    if wrong.any():
        first, rows = column[wrong].iloc[0], "1 row" if wrong.sum() == 1 else f"{wrong.sum()} rows"
        raise Unreadable(f"{column.name} is no {form} in {rows} (the first: {first!r:.40}): {way_out()}")


def refuse_twice(days: pd.Series, others: pd.DataFrame) -> None:
    """Stop where a date stands twice, and say which column parts the series if there is one."""
    again = days.duplicated()
    if not again.any():
        return
    what = f"{days[again].iloc[0]} stands twice ({again.sum()} rows repeat a date)"
    for name in others:
        column = others.loc[days.index, name]
        if column.notna().all() and 1 < column.nunique() <= max(MOST, again.sum()):
            if not pd.DataFrame({"ds": days, "name": column}).duplicated().any():
                raise Unreadable(f"{what}: take one series, such as --only '{name}={column.iloc[0]}'")
    if (days[again].dt.hour.isin([0, 1, 2, 3])).all() and (days != days.dt.normalize()).any():
        raise Unreadable(f"{what}: if clocks were set back then, export the dates in UTC; else keep one row")
    raise Unreadable(f"{what}: keep one row a date, or add them up")

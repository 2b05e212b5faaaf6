"""The course's data, and files of the same kind that you bring.

`load_trips`, `load_ridership`, `load_stations` and `load_births` read data/ by default, or `path`: a file or
URL, Parquet or CSV (gzip allowed). What is read is checked with a schema; a `DataError` names the file, the
columns or rows at fault and the way out. The cards of the data sets, with their known faults, are in
data/README.md.
"""

from __future__ import annotations

import http.client
import io
import re
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from walkforward import ROOT
from walkforward.errors import WalkForwardError

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

DATA = ROOT / "data"
FIRST_MONTH, LAST_MONTH = "2018-01", "2020-12"
SHOWN = 5  # rows or columns that an error names; it always says how many there are

Source = str | Path

TRIP_TYPES: dict[str, str] = {
    "vendor_id": "float64",  # float, not int: missing in some rows, and the type is the same in every month
    "pickup_datetime": "datetime64[us]",
    "dropoff_datetime": "datetime64[us]",
    "passenger_count": "float64",
    "trip_distance": "float64",
    "rate_code_id": "float64",
    "pickup_location_id": "int64",
    "dropoff_location_id": "int64",
    "payment_type": "float64",
    "fare_amount": "float64",
}

# Names are compared in lower case and without underscores. The raw files of the Taxi and Limousine Commission
# (TLC) say PULocationID, and tpep_ (yellow) or lpep_ (green) before the two clocks.
_TRIP_NAMES = {column.replace("_", ""): column for column in TRIP_TYPES} | {
    "pulocationid": "pickup_location_id",
    "dolocationid": "dropoff_location_id",
    **{f"{cab}pep{clock}datetime": f"{clock}_datetime" for cab in "tl" for clock in ("pickup", "dropoff")},
}
_SERIES_NAMES = {"ds": "ds", "date": "ds", "y": "y"}


class DataError(WalkForwardError, ValueError):
    """Data that can't be read or breaks its schema. The message is one line: file, fault, way out."""


# ---------------------------------------------------------------- trips
def months(first: str, last: str) -> list[str]:
    """The months from `first` to `last`, both included: `months("2018-11", "2019-01")` has three.

    Raises `DataError` when a month is malformed or `last` comes before `first`.
    """
    start, end = _month(first), _month(last)
    if start > end:
        raise DataError(f"months({first!r}, {last!r}): the first month comes after the last; swap them")
    return [str(month) for month in pd.period_range(start, end, freq="M")]


def load_trips(
    months: str | Iterable[str] = "2019-01", path: Source | Sequence[Source] | None = None
) -> pd.DataFrame:
    """Taxi trips as recorded, faults kept: one row a trip.

    Columns: vendor_id, pickup_datetime and dropoff_datetime (New York's clock), passenger_count,
    trip_distance (miles), rate_code_id, pickup_location_id and dropoff_location_id (taxi zones),
    payment_type, fare_amount (USD). The types are the same for every month: what can be missing is float64
    with NaN.

    `months`: one month or several from "2018-01" to "2020-12", 10,000 trips each: a fixed sample, never a
    measure of demand.
    `path`: a file or URL of your own instead, or a list of them, with these names or those of the TLC's raw
    files, yellow or green; other columns are dropped. A file is read whole, whatever `months` says, unless
    `{month}` is in its name: `load_trips(["2024-01", "2024-02"], path="green_tripdata_{month}.parquet")`
    reads two.

    Raises `DataError`.
    """
    wanted = [months] if isinstance(months, str) else list(months)
    sources: list[Source] = []
    if path is None:
        if not wanted:
            raise DataError("load_trips got no month: give at least one, such as '2019-01'")
        for month in wanted:
            if not pd.Period(FIRST_MONTH) <= _month(month) <= pd.Period(LAST_MONTH):
                raise DataError(
                    f"no trips of {month}: the course has {FIRST_MONTH} to {LAST_MONTH}; "
                    "for another month bring a file of your own: path="
                )
            sources.append(DATA / "trips" / f"{month}.parquet")
    else:
        for source in [path] if isinstance(path, str | Path) else path:
            by_month = [str(source).replace("{month}", str(_month(month))) for month in wanted]
            sources += by_month if "{month}" in str(source) else [source]
        if not sources:
            raise DataError("path names no file: pass a file, a URL, or a list of them")
    return pd.concat([_trips(source) for source in sources], ignore_index=True)


def prepare_trips(trips: pd.DataFrame, min_minutes: float = 1, max_minutes: float = 60) -> pd.DataFrame:
    """The trips of `min_minutes` to `max_minutes` (both included), with a new column `duration` (minutes).

    The input stays as it is; the rows of the result are numbered from 0. Raises `DataError` when a clock
    column is missing or the limits are the wrong way round.
    """
    if lacking := [column for column in ("pickup_datetime", "dropoff_datetime") if column not in trips]:
        raise DataError(f"the trips have no {_names(lacking)}: prepare_trips takes what load_trips returns")
    if not min_minutes <= max_minutes:
        raise DataError(f"min_minutes={min_minutes} is above max_minutes={max_minutes}: swap them")
    minutes = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
    return trips.assign(duration=minutes)[minutes.between(min_minutes, max_minutes)].reset_index(drop=True)


def _trips(source: Source) -> pd.DataFrame:
    label = _label(source)
    frame = _read(source, lambda name: _TRIP_NAMES.get(name.replace("_", "")))
    missing = [column for column in TRIP_TYPES if column not in frame]
    if len(missing) > len(TRIP_TYPES) / 2:
        raise DataError(
            f"{label} does not hold taxi trips (no {_names(missing)}): bring the TLC's yellow or green trip "
            "records; those of for-hire vehicles have no meter"
        )
    if missing:
        raise DataError(
            f"{label} lacks {_names(missing)}: add it, or take the TLC's yellow or green records of July "
            "2016 or later (earlier ones have coordinates instead of zones)"
        )
    return _validated(_typed(frame[list(TRIP_TYPES)], TRIP_TYPES, label), "trips", label)


def _month(month: str) -> pd.Period:
    if not (isinstance(month, str) and re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month)):
        raise DataError(f"{month!r} is not a month: write year and month, as in '2019-01'")
    return pd.Period(month, freq="M")


# ---------------------------------------------------------------- series
def load_ridership(path: Source | None = None) -> pd.DataFrame:
    """Daily rides at Chicago's Clark/Lake station with weather and sports: 5,698 days × 30 columns.

    Columns: ds (day), y (thousand rides), 18 of weather (the name ends in the unit) and 10 of sports (1 on
    the day of a game); data/README.md has them all. They describe the day itself: in a forecast, its weather
    is hindsight.

    `path`: a daily series of your own with columns ds and y (or date and ridership); its other columns are
    kept as regressors and must be numbers. Each day stands once, none is left out. Raises `DataError`.
    """
    return _series("ridership", path)


def load_stations(path: Source | None = None) -> pd.DataFrame:
    """Daily rides at 20 of Chicago's stations: 20 × 5,698 rows.

    Columns: unique_id (station), ds (day), y (thousand rides). They are recovered from lags of 14 days, so
    they begin and end 14 days before the days of `load_ridership`.

    `path`: a panel of your own with these columns; each station has each of its days once, none left out.
    Raises `DataError`.
    """
    return _series("stations", path)


def load_births(path: Source | None = None) -> pd.DataFrame:
    """Births a day in the United States, 2000 to 2014: columns ds (day), y (births, int64); 5,479 rows.

    `path`: a daily series of your own with columns ds and y (or date and births). Raises `DataError`.
    """
    return _series("births", path)


def _series(kind: str, path: Source | None) -> pd.DataFrame:
    source = DATA / f"{kind}.parquet" if path is None else path
    label, keys = _label(source), ["unique_id"] if kind == "stations" else []
    types = {
        **dict.fromkeys(keys, "str"),
        "ds": "datetime64[us]",
        "y": "int64" if kind == "births" else "float64",
    }

    def ours(name: str) -> str | None:
        if name in types or (kind == "ridership" and name not in {"ridership", "date"}):
            return None if name.startswith("unnamed") else name
        return _SERIES_NAMES.get(name) or ("y" if name in {"ridership", "births"} else None)

    frame = _read(source, ours)
    if missing := [column for column in types if column not in frame]:
        raise DataError(
            f"{label} lacks {_names(missing)}: a file of this kind has columns {_names(list(types))}"
        )
    for regressor in frame.columns.drop(list(types)):
        types[regressor] = "int64" if regressor.endswith(("_away", "_home")) else "float64"
    frame = _validated(_typed(frame[list(types)], types, label), kind, label)
    frame = frame.sort_values([*keys, "ds"], ignore_index=True)
    _refuse_broken_calendar(frame, keys, label)
    return frame


def _refuse_broken_calendar(frame: pd.DataFrame, keys: list[str], label: str) -> None:
    """Each day once and none left out, else a lag of seven rows is not a lag of seven days."""
    days = frame["ds"]
    if (clock := days != days.dt.normalize()).any():
        raise DataError(f"{label}: ds has a time of day in {clock.sum():,} rows: sum up to days first")
    if (twice := frame.duplicated([*keys, "ds"])).any():
        first = f"{days[twice].iloc[0]:%Y-%m-%d}"
        raise DataError(f"{label}: {twice.sum():,} rows repeat a day (the first: {first}); keep one of each")
    step = frame.groupby(keys)["ds"].diff() if keys else days.diff()
    if (gap := step > pd.Timedelta(days=1)).any():
        last = days[gap].iloc[0]
        lost = f"{last - step[gap].iloc[0] + pd.Timedelta(days=1):%Y-%m-%d}"
        raise DataError(
            f"{label}: {gap.sum():,} gaps in the days (the first: {lost}); fill them, or cut there"
        )


# ---------------------------------------------------------------- reading
def _read(source: Source, ours: Callable[[str], str | None]) -> pd.DataFrame:
    """The columns that `ours` maps from the file's name, in lower case, to the course's."""
    label = _label(source)
    handle, head = _open(source, label)
    if not head:
        raise DataError(f"{label} is an empty file: {_restore(source)}")

    def chosen(columns: Iterable[object]) -> dict[str, str]:
        names = {str(column): name for column in columns if (name := ours(str(column).strip().lower()))}
        if doubled := {name for name in names.values() if list(names.values()).count(name) > 1}:
            theirs = [column for column, name in names.items() if name in doubled]
            raise DataError(f"{label} has {_names(theirs)}, which mean the same: keep one of them")
        return names

    try:
        if head == b"PAR1":
            import pyarrow.parquet as pq

            with pq.ParquetFile(handle) as file:
                names = chosen(file.schema_arrow.names)
                frame = file.read(columns=list(names)).to_pandas(ignore_metadata=True)
        else:
            gzip = "gzip" if head[:2] == b"\x1f\x8b" else None
            names = chosen(pd.read_csv(handle, nrows=0, compression=gzip).columns)
            if isinstance(handle, io.BytesIO):
                handle.seek(0)
            frame = pd.read_csv(handle, usecols=list(names), compression=gzip, low_memory=False)
    except DataError:
        raise
    except (OSError, ValueError, EOFError):  # pyarrow's and pandas' own errors are of the first two kinds
        raise DataError(
            f"{label} is not a readable Parquet or CSV file (cut off while copied?): {_restore(source)}"
        ) from None
    if frame.empty and names:
        raise DataError(f"{label} has column names and no rows: pass a file with data")
    return frame.rename(columns=names)


def _open(source: Source, label: str) -> tuple[Path | io.BytesIO, bytes]:
    """What pandas and pyarrow read from, and its first four bytes."""
    if _is_url(source):
        try:
            with urllib.request.urlopen(str(source), timeout=60) as answer:
                content = answer.read()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DataError(
                f"{label} can't be fetched ({error}): check the address and the network"
            ) from None
        return io.BytesIO(content), content[:4]
    path = Path(source).expanduser()
    if path.is_dir():
        raise DataError(f"{label} is a folder: pass a file, or a list of files")
    try:
        with path.open("rb") as file:
            return path, file.read(4)
    except FileNotFoundError:
        raise DataError(f"{label} is missing: {_restore(source)}") from None
    except OSError as error:
        raise DataError(f"{label} can't be opened ({error.strerror}): check its permissions") from None


# ---------------------------------------------------------------- checking
def _typed(frame: pd.DataFrame, types: Mapping[str, str], label: str) -> pd.DataFrame:
    """The frame in these types; values that have no such form are named, never dropped."""
    columns, faults = {}, []
    for column, kind in types.items():
        values = frame[column]
        if kind == "str":
            columns[column] = values.astype("str")
            continue
        typed = _as_dates(values) if kind.startswith("date") else pd.to_numeric(values, errors="coerce")
        bad = typed.isna() & (values.notna() if kind == "float64" else True)
        if kind == "int64":
            bad |= typed != np.floor(typed.astype("float64"))
        if bad.any():
            form = {"d": "a date as 2019-01-31", "i": "a whole number", "f": "a number"}[kind[0]]
            faults.append(f"{column} is not {form} in {_rows(bad, values)}")
        else:
            columns[column] = typed.astype(kind)
    if faults:
        raise DataError(f"{label}: {'; '.join(faults)}; correct or remove them")
    return pd.DataFrame(columns)


def _as_dates(values: pd.Series) -> pd.Series:
    """Dates without a time zone, NaT where there is none. A number is none: 2019 is no nanosecond of 1970."""
    if values.dtype.kind in "iufb":
        return pd.Series(pd.NaT, index=values.index)
    dates = values if values.dtype.kind == "M" else pd.to_datetime(values, errors="coerce", format="ISO8601")
    return dates.dt.tz_localize(None)


@cache
def _schema(kind: str) -> DataFrameSchema:
    # 0.3 s: paid when data is first loaded, not by everyone who imports this module
    from pandera.pandas import Check, Column, DataFrameSchema

    not_negative, positive = Check.ge(0, error="is negative"), Check.ge(1, error="is below 1")
    if kind == "trips":
        day = Column("datetime64[us]")
        code, amount = (Column("float64", check, nullable=True) for check in (not_negative, None))
        zone = Column("int64", positive)
        return DataFrameSchema(
            {
                **dict.fromkeys(("pickup_datetime", "dropoff_datetime"), day),
                **dict.fromkeys(("vendor_id", "passenger_count", "rate_code_id", "payment_type"), code),
                **dict.fromkeys(("pickup_location_id", "dropoff_location_id"), zone),
                # below zero is a fault of the source which the lessons deal with
                **dict.fromkeys(("trip_distance", "fare_amount"), amount),
            }
        )
    columns = {
        "ds": Column("datetime64[us]"),
        "y": Column("int64" if kind == "births" else "float64", not_negative),
    }
    if kind == "stations":
        columns["unique_id"] = Column("str", Check.str_length(min_value=1, error="is empty"))
    if kind == "ridership":
        share = Check.in_range(0, 1, error="is not a share of 0 to 1")
        game = Check.isin([0, 1], error="is neither 0 nor 1")
        columns["^.+_share$"] = Column("float64", share, nullable=True, regex=True, required=False)
        columns["^.+_(away|home)$"] = Column("int64", game, regex=True, required=False)
    return DataFrameSchema(columns)


def _validated(frame: pd.DataFrame, kind: str, label: str) -> pd.DataFrame:
    """The frame when it keeps its schema, else one line with all that breaks it."""
    schema = _schema(kind)
    from pandera.errors import SchemaErrors

    try:
        return schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        broken = error.failure_cases
    faults = []
    for (column, rule), cases in broken.groupby(["column", "check"]):
        bad = pd.Series(frame.index.isin(cases["index"]), index=frame.index)
        fault = "is missing" if rule == "not_nullable" else rule
        faults.append(f"{column} {fault} in {_rows(bad, frame[column])}")
    raise DataError(f"{label}: {'; '.join(faults)}; correct or remove them")


# ---------------------------------------------------------------- words
def _is_url(source: Source) -> bool:
    return isinstance(source, str) and re.match(r"(https?|ftp|file)://", source) is not None


def _label(source: Source) -> str:
    """How an error names a file: from the checkout on when it lies in there."""
    if _is_url(source) or not Path(source).is_relative_to(ROOT):
        return str(source)
    return Path(source).relative_to(ROOT).as_posix()


def _restore(source: Source) -> str:
    """The way out for a broken file: the course's own come back from git, others from where they came."""
    if not _is_url(source) and Path(source).is_relative_to(DATA):
        return f"`git checkout -- {_label(source)}` brings it back"
    return "check the name, or fetch the file again"


def _names(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return ", ".join(columns[:SHOWN]) + more


def _rows(bad: pd.Series, values: pd.Series) -> str:
    """How many rows, the first of them (counted from 0) and their values: `2 rows (5, 17: 'a', 'b')`."""
    at = np.flatnonzero(bad)
    more = ", …" if len(at) > SHOWN else ""
    rows = ", ".join(str(row) for row in at[:SHOWN])
    found = ", ".join(repr(value) for value in values.iloc[at[:SHOWN]].tolist())
    return f"{len(at):,} {'row' if len(at) == 1 else 'rows'} ({rows}{more}: {found}{more})"

"""The course's data, and files of the same kind that you bring: `load_trips`, `load_ridership`, `load_stations`, `load_births`.

Every loader reads a file of data/ by default, or `path`: a file or URL (Parquet or CSV, gzip allowed), or a list of them.
What is read is checked with a schema; a `DataError` names the file, the columns or rows at fault, and the way out.
The cards of the data sets, with their faults, are in data/README.md.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from walkforward import ROOT

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

DATA = ROOT / "data"
FIRST_MONTH, LAST_MONTH = "2018-01", "2020-12"
SHOWN = 5  # rows or columns that an error names; it always says how many there are

Source = str | Path
Sources = Source | Sequence[Source]

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

# The names in raw files of the Taxi and Limousine Commission, in lower case and without `tpep_`, `lpep_` and underscores.
_TRIP_NAMES = {column.replace("_", ""): column for column in TRIP_TYPES} | {
    "pulocationid": "pickup_location_id",
    "dolocationid": "dropoff_location_id",
}
_SERIES_NAMES = {"ds": "ds", "date": "ds", "y": "y", "uniqueid": "unique_id", "station": "unique_id"}
_REGRESSORS = re.compile(r".+_(f|pct|inhg|mph|in|share|away|home)")


class DataError(ValueError):
    """Data that can't be read or breaks its schema. The message is one line: file, fault, way out."""


# ---------------------------------------------------------------- trips
def months(first: str, last: str) -> list[str]:
    """The months from `first` to `last`, both included: `months("2018-11", "2019-01")` has three.

    Raises `DataError` when a month is malformed or `last` comes before `first`.
    """
    start, end = _month(first), _month(last)
    if start > end:
        raise DataError(f"months('{first}', '{last}'): the first month comes after the last; swap them")
    return [str(month) for month in pd.period_range(start, end, freq="M")]


def load_trips(months: str | Iterable[str] = "2019-01", path: Sources | None = None) -> pd.DataFrame:
    """Taxi trips, raw: one row a trip, faults kept.

    Columns: vendor_id, pickup_datetime, dropoff_datetime (New York's clock), passenger_count, trip_distance (miles),
    rate_code_id, pickup_location_id, dropoff_location_id (taxi zones), payment_type, fare_amount (USD). The types are the
    same for every month; what can be missing is float64 with NaN.

    `months`: one month or several, "2018-01" to "2020-12", 10,000 trips each: a fixed sample, never a measure of demand.
    `path`: a file or URL (or a list) of your own instead, with these names or those of the Taxi and Limousine Commission's
    raw files, yellow or green; other columns are dropped. With `{month}` in it, it is read once for each of `months`:
    `load_trips(["2024-01", "2024-02"], path="green_tripdata_{month}.parquet")`. Without, it is read whole.

    Raises `DataError`.
    """
    wanted = [months] if isinstance(months, str) else list(months)
    if not wanted and path is None:
        raise DataError("load_trips got no month: give at least one, such as '2019-01'")
    if path is None:
        for month in wanted:
            if not pd.Period(FIRST_MONTH) <= _month(month) <= pd.Period(LAST_MONTH):
                raise DataError(
                    f"no trips of {month}: the course has {FIRST_MONTH} to {LAST_MONTH}; "
                    "for another month pass path= with a file of your own"
                )
        sources: list[Source] = [DATA / "trips" / f"{month}.parquet" for month in wanted]
    else:
        sources = []
        for source in _listed(path):
            by_month = "{month}" in str(source)
            sources += (
                [str(source).replace("{month}", str(_month(m))) for m in wanted] if by_month else [source]
            )
    return pd.concat([_trips(source) for source in sources], ignore_index=True)


def prepare_trips(trips: pd.DataFrame, min_minutes: float = 1, max_minutes: float = 60) -> pd.DataFrame:
    """The trips of `min_minutes` to `max_minutes` (both included), with a new column `duration` in minutes.

    The input stays as it is; the rows of the result are numbered from 0. Raises `DataError` when a column or every row
    is missing.
    """
    if lacking := [column for column in ("pickup_datetime", "dropoff_datetime") if column not in trips]:
        raise DataError(f"the trips have no {_names(lacking)}: prepare_trips takes what load_trips returns")
    if not min_minutes < max_minutes:
        raise DataError(f"min_minutes={min_minutes} must be below max_minutes={max_minutes}")
    minutes = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
    return trips.assign(duration=minutes)[minutes.between(min_minutes, max_minutes)].reset_index(drop=True)


def _trips(source: Source) -> pd.DataFrame:
    label = _label(source)
    frame = _read(source, _TRIP_NAMES, r"^(tpep|lpep)_")
    missing = [column for column in TRIP_TYPES if column not in frame]
    if len(missing) > len(TRIP_TYPES) / 2:
        raise DataError(
            f"{label} does not hold taxi trips: no {_names(missing)}; "
            "bring a yellow or green trip record file of the Taxi and Limousine Commission"
        )
    if missing:
        raise DataError(
            f"{label} lacks {_names(missing)}; yellow and green trip records have it from July 2016 on "
            "(earlier ones have coordinates instead of zones), for-hire records do not"
        )
    _refuse_empty(frame, label)
    return _validated(_typed(frame[list(TRIP_TYPES)], TRIP_TYPES, label), "trips", label)


def _month(month: str) -> pd.Period:
    if not (isinstance(month, str) and re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month)):
        raise DataError(f"{month!r} is not a month: write year and month as in '2019-01'")
    return pd.Period(month, freq="M")


# ---------------------------------------------------------------- series
def load_ridership(path: Source | None = None) -> pd.DataFrame:
    """Daily rides at Chicago's Clark/Lake station, 5,698 days, with weather and sports of the same day.

    Columns: ds (day), y (thousand rides), 18 weather columns (their unit ends the name) and 10 sports columns (1 on a game
    day); all in data/README.md. Weather of the day is known only after it: as a regressor of a forecast it is hindsight.

    `path`: a daily series of your own with columns ds and y (or date and ridership); its other numeric columns are kept as
    regressors. Days must be unique and without gaps; they are sorted. Raises `DataError`.
    """
    return _series("ridership", path, {"ridership": "y"})


def load_stations(path: Source | None = None) -> pd.DataFrame:
    """Daily rides at 20 stations: columns unique_id (station), ds (day), y (thousand rides); 20 × 5,698 rows.

    They are recovered from the lag columns of the ridership data, so they begin and end 14 days before `load_ridership`.

    `path`: a panel of your own with the same three columns. Raises `DataError`.
    """
    return _series("stations", path, {"ridership": "y"})


def load_births(path: Source | None = None) -> pd.DataFrame:
    """Births a day in the United States, 2000 to 2014: columns ds (day), y (births, int64); 5,479 rows.

    `path`: a daily series of your own with columns ds and y (or date and births). Raises `DataError`.
    """
    return _series("births", path, {"births": "y"})


def _series(kind: str, path: Source | None, names: Mapping[str, str]) -> pd.DataFrame:
    source = DATA / f"{kind}.parquet" if path is None else path
    label = _label(source)
    frame = _read(source, {**_SERIES_NAMES, **names})
    keys = ["unique_id"] if kind == "stations" else []
    if missing := [column for column in [*keys, "ds", "y"] if column not in frame]:
        raise DataError(
            f"{label} lacks {_names(missing)}: a file of this kind has {_names([*keys, 'ds', 'y'])}"
        )
    _refuse_empty(frame, label)
    types = {"unique_id": "str", "ds": "datetime64[us]"} if keys else {"ds": "datetime64[us]"}
    types["y"] = "int64" if kind == "births" else "float64"
    if kind == "ridership":  # regressors: as they are when numeric, refused when not
        types |= {
            c: "int64" if re.fullmatch(r".+_(away|home)", c) else "float64" for c in frame if c not in types
        }
    frame = _typed(frame[list(types)], types, label)
    frame = _validated(frame, kind, label).sort_values([*keys, "ds"], ignore_index=True)
    _refuse_broken_calendar(frame, keys, label)
    return frame


def _refuse_broken_calendar(frame: pd.DataFrame, keys: list[str], label: str) -> None:
    """A daily series has each day once and none left out, else a lag by rows is no lag by days."""
    days = frame["ds"]
    if (clock := days != days.dt.normalize()).any():
        raise DataError(f"{label}: ds has a time of day in {_rows(clock)}; aggregate to days first")
    if (twice := frame.duplicated([*keys, "ds"])).any():
        raise DataError(
            f"{label}: {twice.sum():,} days stand twice, the first {days[twice].iloc[0]:%Y-%m-%d}; keep one"
        )
    step = frame.groupby(keys)["ds"].diff() if keys else days.diff()
    if (gap := step > pd.Timedelta(days=1)).any():
        raise DataError(
            f"{label}: {gap.sum():,} gaps in the days, the first before {days[gap].iloc[0]:%Y-%m-%d}; "
            "add the missing days or cut the series there"
        )


# ---------------------------------------------------------------- reading
def _read(source: Source, names: Mapping[str, str], prefix: str = "^$") -> pd.DataFrame:
    """The columns of `names` from a Parquet or CSV file, under our names; all others too when they are regressors."""
    label = _label(source)
    handle, head = _open(source, label)

    def ours(column: object) -> str | None:
        plain = re.sub(prefix, "", str(column).strip().lower())
        return names.get(plain.replace("_", "")) or (plain if "ridership" in names else None)

    try:
        if head == b"PAR1":
            import pyarrow.parquet as pq

            file = pq.ParquetFile(handle)
            renamed = _renamed(file.schema_arrow.names, ours, label)
            return (
                file.read(columns=list(renamed)).to_pandas().rename(columns=renamed)[list(renamed.values())]
            )
        zipped = "gzip" if head[:2] == b"\x1f\x8b" else None
        header = pd.read_csv(handle, nrows=0, compression=zipped)
        renamed = _renamed(header.columns, ours, label)
        if isinstance(handle, io.BytesIO):
            handle.seek(0)
        return pd.read_csv(handle, usecols=list(renamed), compression=zipped, low_memory=False).rename(
            columns=renamed
        )
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{label} is empty: there is not even a header") from error
    except DataError:
        raise
    except (
        OSError,
        ValueError,
        EOFError,
    ) as error:  # pyarrow's and pandas' errors are ValueErrors or OSErrors
        raise DataError(
            f"{label} is not a readable Parquet or CSV file (cut off while it was copied?): {_restore(source)}"
        ) from error


def _open(source: Source, label: str) -> tuple[Path | io.BytesIO, bytes]:
    """What pandas and pyarrow read from, and its first four bytes."""
    if _is_url(source):
        try:
            with urllib.request.urlopen(str(source), timeout=60) as answer:
                content = answer.read()
        except (OSError, ValueError) as error:  # URLError and HTTPError are OSErrors
            reason = getattr(error, "reason", None) or error
            raise DataError(
                f"{label} can't be fetched ({reason}): check the address, or download it and pass the file"
            ) from error
        return io.BytesIO(content), content[:4]
    path = Path(source).expanduser()
    if path.is_dir():
        raise DataError(f"{label} is a folder: pass a file, or a list of files")
    if not path.exists():
        raise DataError(f"{label} is missing: {_restore(source)}")
    with path.open("rb") as file:
        return path, file.read(4)


def _renamed(columns: Iterable[object], ours, label: str) -> dict[str, str]:  # noqa: ANN001
    """File's name → ours, for the columns that are ours."""
    renamed = {str(column): name for column in columns if (name := ours(column))}
    if doubled := sorted({name for name in renamed.values() if list(renamed.values()).count(name) > 1}):
        theirs = [column for column, name in renamed.items() if name in doubled]
        raise DataError(
            f"{label} has more than one column for {_names(doubled)} ({_names(theirs)}): keep one of them"
        )
    return renamed


# ---------------------------------------------------------------- checking
def _typed(frame: pd.DataFrame, types: Mapping[str, str], label: str) -> pd.DataFrame:
    """The frame with its columns in these types; values that have no such form are named, never dropped."""
    columns, faults = {}, []
    for column, kind in types.items():
        values = frame[column]
        if kind == "str":
            columns[column] = values.astype("str")
            continue
        if kind.startswith("datetime"):
            typed = pd.to_datetime(
                values, errors="coerce", format=None if values.dtype.kind == "M" else "ISO8601"
            )
            if typed.dt.tz is not None:
                typed = typed.dt.tz_localize(None)
        else:
            typed = pd.to_numeric(values, errors="coerce").astype("float64")
        bad = typed.isna() & (values.notna() | (not kind.startswith("float")))
        if kind == "int64":
            bad |= typed.notna() & (typed != np.floor(typed))
        if bad.any():
            form = {"d": "a date", "i": "a whole number", "f": "a number"}[kind[0]]
            faults.append(f"{column} is not {form} in {_rows(bad, values)}")
        else:
            columns[column] = typed.astype(kind)
    if faults:
        raise DataError(f"{label}: {'; '.join(faults)}; correct or remove them")
    return pd.DataFrame(columns, index=frame.index)


def _schema(kind: str) -> DataFrameSchema:
    from pandera.pandas import Check, Column, DataFrameSchema  # 0.3 s, paid when data is first loaded

    at_least = {0: Check.ge(0, error="must not be negative"), 1: Check.ge(1, error="must be 1 or more")}
    number, day = {"dtype": "float64", "nullable": True}, Column("datetime64[us]", nullable=False)
    if kind == "trips":
        codes = ("vendor_id", "passenger_count", "rate_code_id", "payment_type")
        zones = ("pickup_location_id", "dropoff_location_id")
        return DataFrameSchema(
            {
                "pickup_datetime": day,
                "dropoff_datetime": day,
                # distances and fares below zero are faults of the source that the lessons deal with
                "trip_distance": Column(**number),
                "fare_amount": Column(**number),
                **{code: Column(**number, checks=at_least[0]) for code in codes},
                **{zone: Column("int64", at_least[1]) for zone in zones},
            }
        )
    y = Column("int64" if kind == "births" else "float64", at_least[0], nullable=False)
    share = Check.in_range(0, 1, error="must lie in 0 to 1")
    columns = {"ds": day, "y": y}
    if kind == "stations":
        columns["unique_id"] = Column("str", Check.str_length(min_value=1, error="must not be empty"))
    if kind == "ridership":
        columns[r"^.+_share$"] = Column("float64", share, regex=True, required=False)
        columns[r"^.+_(away|home)$"] = Column(
            "int64", Check.isin([0, 1], error="must be 0 or 1"), regex=True, required=False
        )
    return DataFrameSchema(columns)


def _validated(frame: pd.DataFrame, kind: str, label: str) -> pd.DataFrame:
    """The frame, when it keeps its schema; all faults in one line when not."""
    from pandera.errors import SchemaErrors

    try:
        return _schema(kind).validate(frame, lazy=True)
    except SchemaErrors as error:
        faults = []
        for (column, rule), cases in error.failure_cases.groupby(["column", "check"], sort=True):
            said = "must not be missing" if rule == "not_nullable" else rule
            bad = frame.index.isin(cases["index"])
            faults.append(f"{column} {said}, broken in {_rows(pd.Series(bad), frame[column])}")
        raise DataError(f"{label}: {'; '.join(faults)}; correct or remove them") from None


def _refuse_empty(frame: pd.DataFrame, label: str) -> None:
    if frame.empty:
        raise DataError(f"{label} has a header and no rows: pass a file with data")


# ---------------------------------------------------------------- checksums
def verify(folder: Path = DATA) -> list[str]:
    """Faults of the course's data files against data/checksums.json, one line each; empty when all is right."""
    try:
        recorded = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError) as error:
        return [
            f"checksums.json can't be read ({type(error).__name__}): {_restore(folder / 'checksums.json')}"
        ]
    faults = []
    for name, entry in recorded.items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing: {_restore(path)}")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            faults.append(f"{name} is not the file it was (SHA-256 differs): {_restore(path)}")
    return faults


# ---------------------------------------------------------------- words
def _listed(path: Sources) -> list[Source]:
    listed = [path] if isinstance(path, str | Path) else list(path)
    if not listed:
        raise DataError("path is an empty list: pass at least one file")
    return listed


def _is_url(source: Source) -> bool:
    return isinstance(source, str) and re.match(r"(https?|ftp|file)://", source) is not None


def _label(source: Source) -> str:
    """How an error names a file: relative to the checkout when it is in there."""
    if _is_url(source):
        return str(source)
    path = Path(source)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def _restore(source: Source) -> str:
    """The way out for a broken file: the course's own come back from git, others from where they came."""
    if not _is_url(source) and Path(source).is_relative_to(DATA):
        return f"`git checkout -- {_label(source)}` brings it back, `python data/build.py` builds it anew"
    return "check the path, or fetch the file again"


def _names(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return ", ".join(columns[:SHOWN]) + more


def _rows(bad: pd.Series, values: pd.Series | None = None) -> str:
    """ "3 rows (5, 17, 20: 'a', 'b', nan)"; rows count from 0."""
    at = np.flatnonzero(bad.to_numpy())
    first = ", ".join(str(row) for row in at[:SHOWN]) + (", …" if len(at) > SHOWN else "")
    said = (
        "" if values is None else ": " + ", ".join(repr(value) for value in values.iloc[at[:SHOWN]].tolist())
    )
    return f"{len(at):,} row{'s' if len(at) > 1 else ''} ({first}{said})"

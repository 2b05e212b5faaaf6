"""The course's data, and files of the same kind that you bring.

`load_trips`, `load_ridership`, `load_stations` and `load_births` read data/ by default, or `path`: a file or
URL, Parquet or CSV, packed or not. What is read is checked with a schema; a `DataError` names the file, the
columns or rows at fault and the way out. The cards of the data sets, with their known faults, are in
data/README.md.
"""

from __future__ import annotations

import http.client
import io
import re
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa

from course.data.columns import DataError, Faults, as_dates, listed, plain
from course.data.schemas import check, refuse_broken_calendar, refuse_two_zones, typed
from course.data.tables import open_table
from course.paths import ROOT

DATA = ROOT / "data"
FIRST_MONTH, LAST_MONTH = "2018-01", "2020-12"

SAMPLE = 200_000  # trips of a file of your own that `load_trips` takes unless told otherwise

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
    months: str | Iterable[str] = "2019-01",
    path: Source | Sequence[Source] | None = None,
    *,
    sample: int | None = SAMPLE,
    seed: int = 0,
    dayfirst: bool | None = None,
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
    `sample`: of a file of your own with more trips, so many are drawn at random by `seed`, in order, and a
    printed line says so; None keeps all (3 million: 250 MB). The whole file is checked either way.
    `dayfirst`: what `02/01/2019` is in your file: True for 2 January, False for 1 February; None refuses it.
    A time zone or an offset in the clocks is dropped: the clock is kept as it is written, so that a trip in
    the night when clocks change is an hour off, as in the TLC's own files.

    Raises `DataError`.
    """
    if sample is not None and not (_is_whole(sample) and sample > 0):
        raise DataError(
            f"sample={sample!r} is no number of trips: pass a whole number from 1, or None for all"
        )
    if not (_is_whole(seed) and seed >= 0):
        raise DataError(f"seed={seed!r} is no seed: pass a whole number from 0")
    wanted = list(months) if isinstance(months, Iterable) and not isinstance(months, str) else [months]
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
        for source in [path] if isinstance(path, str) or not isinstance(path, Iterable) else path:
            by_month = [str(source).replace("{month}", str(_month(month))) for month in wanted]
            sources += by_month if "{month}" in str(source) else [source]
        if not sources:
            raise DataError("path names no file: pass a file, a URL, or a list of them")
    limit = None if path is None else sample
    frames, rows = zip(*(_trips(source, limit, seed, dayfirst) for source in sources), strict=True)
    trips = pd.concat(frames, ignore_index=True)
    if len(trips) < sum(rows):
        files = _label(sources[0]) if len(sources) == 1 else f"{len(sources)} files"
        print(
            f"{files}: {len(trips):,} of {sum(rows):,} trips, drawn at random "
            f"(sample={sample}, seed={seed}; sample=None takes all)"
        )
    return trips


def prepare_trips(trips: pd.DataFrame, min_minutes: float = 1, max_minutes: float = 60) -> pd.DataFrame:
    """The trips of `min_minutes` to `max_minutes` (both included), with a new column `duration` (minutes).

    The input stays as it is; the rows of the result are numbered from 0. Clocks of another make than
    datetime64 are read as `load_trips` reads them; a trip that lacks one is left out. Raises `DataError` when
    a clock column is missing or is no clock, or when the limits are no numbers or the wrong way round.
    """
    if not isinstance(trips, pd.DataFrame):
        raise DataError(
            f"the trips are a {type(trips).__name__}: prepare_trips takes what load_trips returns"
        )
    clocks = ("pickup_datetime", "dropoff_datetime")
    if lacking := [column for column in clocks if column not in trips]:
        raise DataError(f"the trips have no {listed(lacking)}: prepare_trips takes what load_trips returns")
    if doubled := [column for column in clocks if not isinstance(trips[column], pd.Series)]:
        raise DataError(f"the trips have {listed(doubled)} twice: keep one of each")
    limits = {"min_minutes": min_minutes, "max_minutes": max_minutes}
    for name, limit in limits.items():
        if not isinstance(limit, Real) or limit != limit:
            raise DataError(f"{name}={limit!r} is no number of minutes: pass one, such as 60")
    if not min_minutes <= max_minutes:
        raise DataError(f"min_minutes={min_minutes} is above max_minutes={max_minutes}: swap them")
    pickup, dropoff = (_clock(trips[column]) for column in clocks)
    if (pickup.dt.tz is None) != (dropoff.dt.tz is None):
        raise DataError(
            "one of pickup_datetime and dropoff_datetime has a time zone: give both one, or neither"
        )
    minutes = (dropoff - pickup).dt.total_seconds() / 60
    prepared = trips.assign(pickup_datetime=pickup, dropoff_datetime=dropoff, duration=minutes)
    return prepared[minutes.between(min_minutes, max_minutes)].reset_index(drop=True)


def _clock(values: pd.Series) -> pd.Series:
    """The column as datetime64, as it is when it is that already."""
    clocks = plain(values)
    if clocks.dtype.kind == "M":
        return clocks
    dates, found = as_dates(values), Faults("the trips", {})
    found.add(str(values.name), "is not a date as 2019-01-31", dates.isna() & values.notna(), values)
    found.refuse()
    return dates


def _trips(source: Source, sample: int | None, seed: int, dayfirst: bool | None) -> tuple[pd.DataFrame, int]:
    """The trips of one file, at most `sample` of them, and how many it has."""
    label = _label(source)

    def types(columns: Mapping[str, str]) -> dict[str, str]:
        missing = [column for column in TRIP_TYPES if column not in columns]
        if len(missing) > len(TRIP_TYPES) / 2:
            raise DataError(
                f"{label} does not hold taxi trips (no {listed(missing)}): bring the TLC's yellow or green "
                "trip records; those of for-hire vehicles have no meter"
            )
        if missing:
            raise DataError(
                f"{label} lacks {listed(missing)}: add it, or take the TLC's yellow or green records of July "
                "2016 or later (earlier ones have coordinates instead of zones)"
            )
        return TRIP_TYPES

    rng = np.random.default_rng(seed)
    kept, lots, rows = [], [], 0
    for batch in _batches(
        source, "trips", lambda name: _TRIP_NAMES.get(name.replace("_", "")), types, dayfirst
    ):
        rows += len(batch)
        kept.append(batch)
        lots.append(rng.random(len(batch)))  # each trip draws a lot; the lowest `sample` lots are taken
        if sample and sum(map(len, lots)) > max(2 * sample, len(batch)):
            kept, lots = _lowest(kept, lots, sample)
    if sample and rows > sample:
        kept, _ = _lowest(kept, lots, sample)
    return pd.concat(kept, ignore_index=True), rows


def _lowest(
    kept: list[pd.DataFrame], lots: list[np.ndarray], sample: int
) -> tuple[list[pd.DataFrame], list[np.ndarray]]:
    """The rows with the `sample` lowest lots, in their order."""
    drawn = np.concatenate(lots)
    taken = np.sort(np.argsort(drawn, kind="stable")[:sample])
    return [pd.concat(kept, ignore_index=True).take(taken)], [drawn[taken]]


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _month(month: str) -> pd.Period:
    if not (isinstance(month, str) and re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month)):
        raise DataError(f"{month!r} is not a month: write year and month, as in '2019-01'")
    return pd.Period(month, freq="M")


# ---------------------------------------------------------------- series
def load_ridership(path: Source | None = None, *, dayfirst: bool | None = None) -> pd.DataFrame:
    """Daily rides at Chicago's Clark/Lake station with weather and sports: 5,698 days × 30 columns.

    Columns: ds (day), y (thousand rides), 18 of weather (the name ends in the unit) and 10 of sports (1 on
    the day of a game); data/README.md has them all. They describe the day itself: in a forecast, its weather
    is hindsight.

    `path`: a daily series of your own with columns ds and y (or date and ridership); its other columns are
    kept as regressors and must be numbers. Each day stands once, none is left out. Raises `DataError`.
    """
    return _series("ridership", path, dayfirst)


def load_stations(path: Source | None = None, *, dayfirst: bool | None = None) -> pd.DataFrame:
    """Daily rides at 20 of Chicago's stations: 20 × 5,698 rows.

    Columns: unique_id (station), ds (day), y (thousand rides). They are recovered from lags of 14 days, so
    they begin and end 14 days before the days of `load_ridership`.

    `path`: a panel of your own with these columns; each station has each of its days once, none left out.
    Raises `DataError`.
    """
    return _series("stations", path, dayfirst)


def load_births(path: Source | None = None, *, dayfirst: bool | None = None) -> pd.DataFrame:
    """Births a day in the United States, 2000 to 2014: columns ds (day), y (births, int64); 5,479 rows.

    `path`: a daily series of your own with columns ds and y (or date and births). Raises `DataError`.
    """
    return _series("births", path, dayfirst)


def _series(kind: str, path: Source | None, dayfirst: bool | None) -> pd.DataFrame:
    source = DATA / f"{kind}.parquet" if path is None else path
    label, keys = _label(source), ["unique_id"] if kind == "stations" else []
    types = {
        **dict.fromkeys(keys, "str"),
        "ds": "datetime64[us]",
        "y": "int64" if kind == "births" else "float64",
    }

    def ours(name: str) -> str | None:
        if name in types or (kind == "ridership" and name not in {"ridership", "date"}):
            return None if name.startswith(("unnamed", "__index_level_")) else name
        return _SERIES_NAMES.get(name) or ("y" if name in {"ridership", "births"} else None)

    theirs: dict[str, str] = {}

    def all_types(columns: Mapping[str, str]) -> dict[str, str]:
        theirs.update(columns)
        if missing := [column for column in types if column not in columns]:
            raise DataError(
                f"{label} lacks {listed(missing)}: a file of this kind has columns {listed(list(types))}"
            )
        regressors = [column for column in columns if column not in types]
        games = {name: "int64" if name.endswith(("_away", "_home")) else "float64" for name in regressors}
        return types | games

    frame = pd.concat(_batches(source, kind, ours, all_types, dayfirst), ignore_index=True)
    frame = frame.sort_values([*keys, "ds"], ignore_index=True)
    refuse_broken_calendar(frame, keys, label, theirs, dayfirst)
    return frame


# ---------------------------------------------------------------- reading
def _batches(
    source: Source,
    kind: str,
    ours: Callable[[str], str | None],
    types_of: Callable[[Mapping[str, str]], dict[str, str]],
    dayfirst: bool | None,
) -> Iterator[pd.DataFrame]:
    """The file's rows in the types of its columns, batch by batch; after the last, what breaks the rules."""
    label = _label(source)
    if dayfirst not in (None, True, False):
        raise DataError(f"dayfirst={dayfirst!r}: pass True for 31/01/2019, False for 01/31/2019, or None")
    with _open(source, label) as stream:
        if not stream.read(1):
            raise DataError(f"{label} is an empty file: {_restore(source)}")
        names, tables = open_table(stream, label, _restore(source), ours)
        theirs = {name: column for column, name in names.items()}
        types = types_of(theirs)
        faults, start = Faults(label, theirs), 0
        for table in tables:
            index = pd.RangeIndex(start, start + len(table))
            start += len(table)
            so_far = faults.count
            columns = {column: _pandas(table[column], index) for column in types}
            if kind == "trips" and not index.start:
                refuse_two_zones(columns["pickup_datetime"], columns["dropoff_datetime"], label)
            made = {}
            for column, values in columns.items():
                truths = kind == "ridership" and column != "y"  # a regressor may be a yes or a no
                made[column] = typed(values, types[column], column, faults, dayfirst=dayfirst, truths=truths)
            frame = pd.DataFrame(made, index)
            if faults.count == so_far:  # else values of the wrong type would be faults twice
                check(frame, kind, faults)
            if not faults.found:
                yield frame
        faults.refuse()


def _pandas(column: pa.ChunkedArray, index: pd.Index) -> pd.Series:
    if isinstance(column.type, pa.BaseExtensionType):
        return column.to_pandas().set_axis(index)
    return pd.Series(pd.arrays.ArrowExtensionArray(column), index)


def _open(source: Source, label: str) -> BinaryIO:
    """A stream of the file's bytes that can be read from any place."""
    if _is_url(source):
        try:
            with urllib.request.urlopen(str(source), timeout=60) as answer:
                return io.BytesIO(answer.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DataError(
                f"{label} can't be fetched ({error}): check the address and the network"
            ) from None
    try:
        path = Path(source).expanduser()
        if path.is_dir():
            raise DataError(f"{label} is a folder: pass a file, or a list of files")
        return path.open("rb")
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{label} is missing: {_restore(source)}") from None
    except OSError as error:
        raise DataError(f"{label} can't be opened ({error.strerror}): check its permissions") from None
    except (ValueError, RuntimeError):  # a NUL; a home folder that nobody has
        raise DataError(f"{label!r} is no path: {_restore(source)}") from None


# ---------------------------------------------------------------- words
def _is_url(source: Source) -> bool:
    return isinstance(source, str) and re.match(r"(https?|ftp|file)://", source) is not None


def _label(source: Source) -> str:
    """How an error names a file: from the checkout on when it lies in there."""
    if not isinstance(source, str | Path) or not str(source):
        raise DataError(f"path={source!r} is no file: pass its name or its URL, as text or Path")
    if _is_url(source) or not Path(source).is_relative_to(ROOT):
        return str(source)
    return Path(source).relative_to(ROOT).as_posix()


def _restore(source: Source) -> str:
    """The way out for a broken file: the course's own come back from git, others from where they came."""
    if not _is_url(source) and Path(source).is_relative_to(DATA):
        return f"`git checkout -- {_label(source)}` brings it back"
    return "check the name, or fetch the file again"

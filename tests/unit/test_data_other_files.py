"""Files of other makes: the right value, or a DataError of one line whose way out works."""

from __future__ import annotations

import bz2
import codecs
import datetime as dt
import decimal
import gzip
import io
import lzma
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.data import (
    DataError,
    load_births,
    load_ridership,
    load_stations,
    load_trips,
    prepare_trips,
)
from course.data.columns import as_dates, as_numbers, plain

DAYS = ["2019-01-01", "2019-01-02", "2019-01-03"]
STAMPS = [dt.datetime(2019, 1, 1), dt.datetime(2019, 1, 2)]
TRIPS = (
    "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,RatecodeID,PULocationID,"
    "DOLocationID,payment_type,fare_amount\n"
)
TRIP = "1,2020-04-01 00:41:22,2020-04-01 00:55:22,1,2.5,1,151,239,1,9.5\n"


def load_my_trips(path: Path, **options: bool | None) -> pd.DataFrame:
    return load_trips(path=path, **options)


def one_line(error: DataError, path: Path) -> str:
    message = str(error)
    assert path.name in message
    assert "\n" not in message
    assert len(message.replace(str(path.parent), "")) < 420  # whatever the folder's name
    assert error.__cause__ is None
    return message


def refused(path: Path, load: Callable = load_ridership, **options: bool | None) -> str:
    with pytest.raises(DataError) as error:
        load(path, **options)
    return one_line(error.value, path)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rides(*days: str, y: str = "1") -> str:
    return "ds,y\n" + "".join(f"{day},{y}\n" for day in days)


def as_csv(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path


def as_parquet(path: Path, **columns: pa.Array) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def mended(message: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the advice in backquotes makes, run as a student would on `frame`, which pandas reads."""
    code = re.search("`(.+?)`", message).group(1)
    monkeypatch.chdir(path.parent)
    if "mended.csv" in code:
        exec(code, {"pd": pd})
        return path.parent / "mended.csv"
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    if code.startswith("frame['") and "] = " in code:
        exec(code, {"pd": pd, "frame": frame})
    else:
        frame = eval(code, {"pd": pd, "frame": frame})
    frame.to_csv(path.parent / "again.csv", index=False)
    return path.parent / "again.csv"


# ---------------------------------------------------------------- dates
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2019-1-1", "2019-1-2"),
        ("2019/01/01", "2019/01/02"),
        ("2019.01.01", "2019.01.02"),
        (" 2019-01-01 ", '"2019-01-02"'),
        ("2019-01-01T00:00:00Z", "2019-01-02T00:00Z"),
        ("2019-01-01 00:00:00 UTC", "2019-01-02 00:00:00+00"),
        ("2019-01-01T00:00:00-05:00", "2019-01-02T00:00:00-0500"),
        ("2019-01-01T00:00:00.000000000", "2019-01-02T00"),
        ("2019-01-01 12:00:00 AM", "2019-01-02 12:00 am"),
    ],
)
def test_dates_with_the_year_first_are_read(first: str, second: str, tmp_path: Path) -> None:
    path = written(tmp_path / "rides.csv", rides(first, second))
    for load in (load_ridership, load_births):
        assert load(path)["ds"].tolist() == [pd.Timestamp("2019-01-01"), pd.Timestamp("2019-01-02")]


@pytest.mark.parametrize("years", [("9999-12-30", "9999-12-31"), ("0001-01-01", "0001-01-02")])
def test_years_beyond_nanoseconds(years: tuple[str, str], tmp_path: Path) -> None:
    path = written(tmp_path / "rides.csv", rides(*years))
    assert load_ridership(path)["ds"].dt.strftime("%m-%d").tolist() == [year[5:] for year in years]


def test_offsets_across_the_change_of_clocks_are_local_days(tmp_path: Path) -> None:
    days = [f"2019-03-{day:02}T00:00:00-0{offset}:00" for day, offset in ((9, 5), (10, 5), (11, 4))]
    path = written(tmp_path / "rides.csv", rides(*days))
    assert load_ridership(path)["ds"].dt.strftime("%m-%d").tolist() == ["03-09", "03-10", "03-11"]


@pytest.mark.parametrize(
    "text",
    [
        *("1/2/19", "Jan 2 2019", "2 Jan 2019", "2019-W01-3", "now", "today", "2019Q1", "2019", "NaT", "NA"),
        *(
            "2019-02-30",
            "2019-13-01",
            "2019-01-02 24:00",
            "2019-01-02 13:00 PM",
            "12019-01-02",
            "-2019-01-02",
        ),
        *("2019-01-02T00:00[Europe/Berlin]", "\uff12\uff10\uff11\uff19-01-02", "2019\u201301\u201302", '""'),
    ],
)
def test_what_is_no_date(text: str, tmp_path: Path) -> None:
    path = written(tmp_path / "rides.csv", rides(text))
    assert "ds is not a date as 2019-01-31 in 1 row (0: " in refused(path)


@pytest.mark.parametrize("day", ["02/01/2019", "2.1.2019", "02-01-2019", "02/01/2019 00:00:00"])
def test_what_comes_first_is_asked(day: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "rides.csv", rides(day))
    message = refused(path)
    assert repr(day) in message
    assert "dayfirst=True reads the day first, dayfirst=False the month" in message
    assert load_ridership(path, dayfirst=True)["ds"].tolist() == [pd.Timestamp("2019-01-02")]
    assert load_ridership(mended(message, path, monkeypatch))["ds"].tolist() == [pd.Timestamp("2019-01-02")]
    assert load_births(path, dayfirst=False)["ds"].tolist() == [pd.Timestamp("2019-02-01")]
    assert load_ridership(written(path, rides("2019-01-02")), dayfirst=True)["ds"][0].day == 2


def test_day_first_trips_and_half_days(tmp_path: Path) -> None:
    slashed = TRIP.replace("2020-04-01 00:41:22", "01/04/2020 12:41:22 AM")
    path = written(
        tmp_path / "trips.csv", TRIPS + slashed.replace("2020-04-01 00:55:22", "01/04/2020 00:55:22")
    )
    assert "dayfirst=True" in refused(path, load_my_trips)
    assert prepare_trips(load_trips(path=path, dayfirst=True))["duration"].tolist() == [14]
    assert load_trips(path=path, dayfirst=False)["pickup_datetime"].tolist() == [
        pd.Timestamp("2020-01-04 00:41:22")
    ]
    path = written(tmp_path / "trips.csv", TRIPS + TRIP.replace("2020-04-01 00", "13/04/2020 00"))
    assert "13/04/2020" in refused(path, load_my_trips, dayfirst=False)
    with pytest.raises(DataError, match="dayfirst='day'"):
        load_trips(path=path, dayfirst="day")


@pytest.mark.parametrize(
    "digits",
    [
        "20190102",
        "946684800",
        "1546387200",
        "1546387200000",
        "1546387200000000",
        "1546387200000000000",
        "43467",
        "43467.0",
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet", "text"])
def test_numbers_are_no_dates_and_the_way_out_works(
    digits: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if suffix == "csv":
        path = written(tmp_path / "rides.csv", rides(digits))
    else:
        value = digits if suffix == "text" else pd.to_numeric(digits)
        path = as_parquet(tmp_path / "rides.parquet", ds=pa.array([value]), y=pa.array([1.0]))
    if (digits, suffix) == ("43467.0", "text"):
        return  # text with a point is no integer to pandas either
    message = refused(path)
    assert "ds is not a date" in message
    day = pd.Timestamp("2000-01-01" if digits == "946684800" else "2019-01-02")
    assert load_ridership(mended(message, path, monkeypatch))["ds"].tolist() == [day]


def test_code_is_advised_where_it_works_on_the_whole_column(tmp_path: Path) -> None:
    for days in (("20190102", "2019-01-03"), ("20190102", "1546387200"), ("20190102", "x")):
        message = refused(written(tmp_path / "rides.csv", rides(*days)))
        assert message.endswith("; correct or remove them")
    message = refused(written(tmp_path / "rides.csv", rides("02/01/2019", "2019-01-03")))
    assert message.endswith("; dayfirst=True reads the day first, dayfirst=False the month")
    assert len(load_ridership(tmp_path / "rides.csv", dayfirst=True)) == 2


ARROW_DATES = {
    "date32": pa.array([stamp.date() for stamp in STAMPS], pa.date32()),
    "date64": pa.array([stamp.date() for stamp in STAMPS], pa.date64()),
    **{f"timestamp[{unit}]": pa.array(STAMPS, pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")},
    "UTC": pa.array(STAMPS, pa.timestamp("us", "UTC")),
    "New York": pa.array(
        [stamp + dt.timedelta(hours=5) for stamp in STAMPS], pa.timestamp("us", "America/New_York")
    ),
    "text": pa.array(DAYS[:2]),
    "large text": pa.array(DAYS[:2], pa.large_string()),
    "view": pa.array(DAYS[:2], pa.string_view()),
    "dictionary": pa.array(DAYS[:2]).dictionary_encode(),
    "dictionary of stamps": pa.array(STAMPS).dictionary_encode(),
    "bytes": pa.array([day.encode() for day in DAYS[:2]]),
}
NO_DATES = {
    "int": pa.array([1, 2]),
    "float": pa.array([1.5, 2]),
    "bool": pa.array([True, False]),
    "null": pa.nulls(2),
    "list": pa.array([[1], [2]]),
    "struct": pa.array([{"a": 1}, {"a": 2}]),
    "time": pa.array([dt.time(1), dt.time(2)]),
    "duration": pa.array([dt.timedelta(1)] * 2),
    "decimal": pa.array([decimal.Decimal("1.0")] * 2),
    "bytes": pa.array([b"\xff\xfe", b"\xff"]),
    "year 36,000,000": pa.array([2**60, 2**60 + 86400], pa.timestamp("ms")),
    "one missing": pa.array([STAMPS[0], None]),
    "dictionary of integers": pa.array([1, 2]).dictionary_encode(),
    "day 2,147,483,647": pa.array([2**31 - 2, 2**31 - 1], pa.date32()),
    "a zone nobody knows": pa.array([0, 86_400_000_000]).view(pa.timestamp("us", "Mars/Phobos")),
}


@pytest.mark.parametrize("make", ARROW_DATES)
def test_parquet_dates_of_every_make(make: str, tmp_path: Path) -> None:
    days, y = ARROW_DATES[make], pa.array([1.0, 2.0])
    path = as_parquet(tmp_path / "rides.parquet", ds=days, y=y, unique_id=pa.array(["a", "a"]))
    for load in (load_births, load_stations):
        assert load(path)["ds"].tolist() == STAMPS, load
    assert load_ridership(as_parquet(path, ds=days, y=y))["ds"].tolist() == STAMPS
    columns = {name: pa.array([1.0, 1.0]) for name in TRIPS.strip().split(",")}
    columns |= {"tpep_pickup_datetime": days, "tpep_dropoff_datetime": days}
    assert load_trips(path=as_parquet(path, **columns))["pickup_datetime"].tolist() == STAMPS


@pytest.mark.parametrize("make", NO_DATES)
def test_parquet_columns_that_are_no_dates(make: str, tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "rides.parquet", ds=NO_DATES[make], y=pa.array([1.0, 2.0]))
    for load in (load_ridership, load_births):
        assert "ds is not a date as 2019-01-31 in " in refused(path, load)


def test_periods_and_indexes_of_pandas(tmp_path: Path) -> None:
    """In a process of its own: pandas tells Arrow of its periods when it first writes one."""
    frame = pd.DataFrame({"ds": pd.period_range("2019-01-01", periods=2, freq="D"), "y": [1.0, 2.0]})
    frame.set_axis([5, 7]).to_parquet(tmp_path / "rides.parquet")
    code = (
        "import sys; from course.data import load_ridership;"
        "f = load_ridership(sys.argv[1]); print(list(f), *f['ds'].dt.strftime('%d'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "rides.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['ds', 'y'] 01 02"


def test_both_clocks_of_a_trip_have_the_same_zone(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"
    times = ("00:41:22", "00:55:22")
    for zones in (("Z", "Z"), ("-05:00", "-04:00"), ("", "")):
        trip = TRIP.replace(times[0], times[0] + zones[0]).replace(times[1], times[1] + zones[1])
        assert prepare_trips(load_trips(path=written(path, TRIPS + trip)))["duration"].tolist() == [14]
    for zones in (("Z", ""), ("", "-04:00"), ("+00:00", "-04:00")):
        trip = TRIP.replace(times[0], times[0] + zones[0]).replace(times[1], times[1] + zones[1])
        assert "write both alike" in refused(written(path, TRIPS + trip), load_my_trips)
    columns = {name: pa.array([1.0, 1.0]) for name in TRIPS.strip().split(",")}
    columns |= {"tpep_pickup_datetime": ARROW_DATES["UTC"], "tpep_dropoff_datetime": ARROW_DATES["New York"]}
    path = as_parquet(tmp_path / "trips.parquet", **columns)
    assert "pickup_datetime has UTC, dropoff_datetime America/New_York" in refused(path, load_my_trips)


# ---------------------------------------------------------------- numbers
@pytest.mark.parametrize(
    ("text", "value"), [("151.0", 151), ("1e3", 1000), ("+5", 5), (" 5 ", 5), ("5.", 5), ("0.7e1", 7)]
)
def test_numbers_in_text(text: str, value: float, tmp_path: Path) -> None:
    path = written(tmp_path / "rides.csv", rides("2019-01-01", y=text))
    assert load_ridership(path)["y"].tolist() == [value]
    assert load_births(path)["y"].tolist() == [value]
    assert load_births(path)["y"].dtype == "int64"


@pytest.mark.parametrize(
    "text",
    [
        *('"1,234.5"', '"1,5"', "5 km", "50%", "$5", "0x10", "1_000", "1 234", "\u0663", "--", "1e", "1.2.3"),
        *("True", "false", "inf", "-inf", "Infinity", "1e999"),
    ],
)
def test_what_is_no_number(text: str, tmp_path: Path) -> None:
    path = written(tmp_path / "rides.csv", rides("2019-01-01", y=text))
    assert "y is not a number in 1 row (0: " in refused(path)
    assert text.strip('"') in refused(path)
    assert "y is not a whole number in 1 row" in refused(path, load_births)


def test_missing_numbers(tmp_path: Path) -> None:
    words = ["", "NA", "NaN", "null", "None", "1"]
    lines = "".join(f"2019-01-{day:02},1,{word}\n" for day, word in enumerate(words, 1))
    path = written(tmp_path / "rides.csv", "ds,y,snow\n" + lines)
    assert load_ridership(path)["snow"].isna().tolist() == [True] * 5 + [False]
    for word in words[:-1]:
        written(path, rides("2019-01-01", y=word or '""'))
        assert "y is missing in 1 row (0: nan)" in refused(path)


@pytest.mark.parametrize("zone", ["inf", "1e30", "1e999", "9223372036854775808", "9007199254740993"])
def test_a_zone_out_of_range_is_shown_as_the_file_has_it(zone: str, tmp_path: Path) -> None:
    path = written(tmp_path / "trips.csv", TRIPS + TRIP.replace("151", zone))
    assert f"pickup_location_id is not a whole number in 1 row (0: {zone})" in refused(path, load_my_trips)


def test_truth_values_are_regressors_and_nothing_else(tmp_path: Path) -> None:
    path = written(
        tmp_path / "rides.csv", "ds,y,rain\n2019-01-01,1,True\n2019-01-02,2,false\n2019-01-03,3,\n"
    )
    assert load_ridership(path)["rain"].tolist()[:2] == [1, 0]
    days, truths = ARROW_DATES["date32"], pa.array([True, False])
    path = as_parquet(tmp_path / "rides.parquet", ds=days, y=pa.array([1.0, 2]), rain=truths)
    assert load_ridership(path)["rain"].tolist() == [1, 0]
    assert "y is not a number in 2 rows" in refused(as_parquet(path, ds=days, y=truths))


@pytest.mark.parametrize(
    ("make", "values"),
    [
        ("small", pa.array([1, 2], pa.int8())),
        ("half", pa.array(np.array([1, 2], "f2"))),
        ("decimal", pa.array([decimal.Decimal("1.00"), decimal.Decimal(2)])),
        ("text", pa.array(["1", "2.0"])),
        ("dictionary", pa.array(["1", "2"]).dictionary_encode()),
        ("dictionary of integers", pa.array([1, 2]).dictionary_encode()),
        ("bytes", pa.array([b"1", b"2"])),
    ],
)
def test_parquet_numbers_of_every_make(make: str, values: pa.Array, tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "rides.parquet", ds=ARROW_DATES["date32"], y=values)
    assert load_ridership(path)["y"].tolist() == [1, 2] == load_births(path)["y"].tolist()


@pytest.mark.parametrize("make", ["list", "struct", "time", "duration", "bytes"])
def test_parquet_columns_that_are_no_numbers(make: str, tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "rides.parquet", ds=ARROW_DATES["date32"], y=NO_DATES[make])
    assert "y is not a number in 2 rows" in refused(path)


# ---------------------------------------------------------------- names
@pytest.mark.parametrize(
    "names",
    [
        *(["007", "7"], ["1.10", "1.1"], ["NA", "DE"], ["null", "None"], ["nan", "NaN"], ["1e5", "100000"]),
        *(["True", "true"], ["2019-01-01", "1/2"], [" a", "a"], ["K\u00f6ln", "\u0130zmir"], ["a,b", "a\nb"]),
    ],
)
def test_names_are_text_as_it_is_written(names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    panel = pd.DataFrame({"unique_id": names, "ds": "2019-01-01", "y": 1.0})
    panel.to_csv(path, index=False)
    assert sorted(load_stations(path)["unique_id"]) == sorted(names)
    panel.to_parquet(tmp_path / "panel.parquet")
    assert sorted(load_stations(tmp_path / "panel.parquet")["unique_id"]) == sorted(names)


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (pa.array([7, 8]), ["7", "8"]),
        (pa.array([decimal.Decimal("1.10"), decimal.Decimal("1.1")]), ["1.10", "1.10"]),
        (pa.array(["b", "a"]).dictionary_encode(), ["a", "b"]),
        (pa.array([b"b", b"a"]), ["a", "b"]),
    ],
)
def test_names_of_other_makes(values: pa.Array, read: list[str], tmp_path: Path) -> None:
    days = ARROW_DATES["date32"]
    path = as_parquet(tmp_path / "panel.parquet", unique_id=values, ds=days, y=pa.array([1.0, 2.0]))
    assert load_stations(path)["unique_id"].tolist() == read


@pytest.mark.parametrize(
    "values", [[None, "a"], ["", "a"], [None, 7], [[1], [2]], [b"\xff", b"a"], [np.nan, 1.0]]
)
def test_what_is_no_name(values: list, tmp_path: Path) -> None:
    columns = {"ds": ARROW_DATES["date32"], "y": pa.array([1.0, 2.0])}
    path = as_parquet(tmp_path / "panel.parquet", unique_id=pa.array(values), **columns)
    assert "unique_id is " in refused(path, load_stations)


# ---------------------------------------------------------------- files
def packed(**files: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in files.items():
            opened.writestr(name.replace("_", "."), content)
    return archive.getvalue()


BODY = rides(*DAYS)


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + BODY.encode(),
        BODY.encode("utf-16"),
        codecs.BOM_UTF16_BE + BODY.encode("utf-16-be"),
        BODY.replace("\n", "\r\n"),
        BODY.replace("\n", "\r"),
        "\n\n" + BODY.replace("\n", "\n\n"),
        BODY.rstrip(),
        gzip.compress(BODY.encode()),
        bz2.compress(BODY.encode()),
        lzma.compress(BODY.encode()),
        pa.compress(BODY.encode(), "zstd", asbytes=True),
        packed(a_csv=BODY),
        BODY.replace("ds,y", " DS , Y "),
        BODY.replace("ds,y", '"ds","y"'),
        BODY.replace(",1", ",1,,"),  # commas at the ends of the rows
        BODY.replace("\n", ",\n"),
        "\n".join(f"{number},{line}" for number, line in enumerate(BODY.split("\n")[:-1])).replace(
            "0,ds", ",ds"
        ),
    ],
)
def test_files_that_are_read(content: str | bytes, tmp_path: Path) -> None:
    frame = load_ridership(written(tmp_path / "rides.csv", content))
    assert list(frame) == ["ds", "y"]
    assert frame["ds"].dt.strftime("%Y-%m-%d").tolist() == DAYS
    assert frame["y"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BODY.encode("utf-16-le"), "is no UTF-8 text"),
        (BODY.encode("utf-32"), "is no UTF-8 text"),
        (packed(a_csv=BODY, b_csv=BODY), "a ZIP of 2 files: unpack it"),
        (packed(mimetype="x"), "is a spreadsheet: save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel file: save it as CSV"),
        (gzip.compress(BODY.encode() * 500)[:-9], "not a readable"),
        (b"\x1f\x8b" + b"x" * 50, "not a readable"),
        (b"\x28\xb5\x2f\xfdxxxx", "not a readable"),
        (b"PK\x03\x04" + b"x" * 50, "not a readable"),
        (b"\n\n\n", "not a readable"),
        ("ds,y\n", "column names and no rows"),
        ("ds,y", "column names and no rows"),
        ("# rides\nds,y\n2019-01-01,1\n", "lacks ds, y: a file of this kind has columns ds, y"),
        ('[{"ds":"2019-01-01","y":1}]', "lacks ds, y"),
        ("<html><body>404</body></html>", "lacks ds, y"),
        (BODY + "2019-01-04,4,5\n", "row 3 has 3 fields, not 2; it begins '2019-01-04,4,5'"),
        (BODY + "2019-01-04\n", "row 3 has 1 fields, not 2"),
        (BODY + '"2019-01-04,4\n', "row 3 has 1 fields, not 2"),
        ("ds,y,y\n2019-01-01,1,2\n", "has y, y, which mean the same"),
        ("ds,y,Y\n2019-01-01,1,2\n", "has y, Y, which mean the same"),
        ('ds,y,"temp\nf"\n2019-01-01,1,hot\n', "temp f is not a number"),
        (bytes(range(256)) * 50, "is no UTF-8 text"),
    ],
)
def test_files_that_are_refused(content: str | bytes, said: str, tmp_path: Path) -> None:
    assert said in refused(written(tmp_path / "rides.csv", content))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BODY.replace(",", ";"), "seems to be separated by ';', not by commas"),
        (BODY.replace(",", "\t"), r"seems to be separated by '\t'"),
        (BODY.replace(",", "|"), "seems to be separated by '|'"),
        ("sep=;\n" + BODY.replace(",", ";"), "seems to be separated by ';'"),
        (("ds,y\n" + BODY[5:].replace("2019", "0,2019")), "the rows have 3 fields for 2 names"),
        (("ds,y\n" + BODY[5:].replace("2019", "a,0,2019")), "the rows have 4 fields for 2 names"),
        (BODY.replace(",1", ",1,x"), "3 fields for 2 names (fields beyond the last name)"),
        (BODY.replace("y\n", "y,ort\n").replace(",1\n", ",1,K\u00f6ln\n").encode("cp1252"), "is not UTF-8"),
        (BODY.replace("y\n", "y,temp\u00b0\n").replace(",1\n", ",1,2\n").encode("cp1252"), "is not UTF-8"),
    ],
)
def test_files_that_the_way_out_mends(
    content: str | bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "rides.csv", content)
    message = refused(path)
    assert said in message
    again = mended(message, path, monkeypatch)
    if "ort" in again.read_text(encoding="utf-8"):
        assert "K\u00f6ln" in refused(again)
        return
    assert load_ridership(again)["ds"].dt.strftime("%Y-%m-%d").tolist() == DAYS


def test_trips_of_a_shifted_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "trips.csv", TRIPS + f"0,{TRIP}1,{TRIP}")
    message = refused(path, load_my_trips)
    assert "the rows have 11 fields for 10 names (an export with its index?)" in message
    assert load_trips(path=mended(message, path, monkeypatch))["pickup_location_id"].tolist() == [151, 151]
    later = f"{TRIPS}{TRIP}0,{TRIP}"
    assert "row 1 has 11 fields, not 10" in refused(written(path, later), load_my_trips)


def test_text_that_is_no_utf_8_in_parquet(tmp_path: Path) -> None:
    offsets = pa.py_buffer(np.array([0, 2, 4], "int32").tobytes())
    broken = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xff\xfe\xfdx")])
    good = {"ds": ARROW_DATES["date32"], "y": pa.array([1.0, 2.0]), "unique_id": pa.array(["a", "b"])}
    for column in good:
        path = as_parquet(tmp_path / "panel.parquet", **(good | {column: broken}))
        assert "not a readable" in refused(path, load_stations)


@pytest.mark.parametrize(
    "path", [5, None, b"x", 1.5, "", [None], ["a", 3], "a\0b", "~nobody_here/x", "x" * 5000]
)
def test_what_is_no_path(path: object) -> None:
    with pytest.raises(DataError):
        load_trips(path=[path] if path is None else path)
    if path is not None:
        with pytest.raises(DataError):
            load_births(path)


def test_months_and_seeds_of_other_types() -> None:
    for wrong in (None, 5, [5]):
        with pytest.raises(DataError, match="is not a month"):
            load_trips(wrong)
    for seed in (-1, "a", None, 0.5):
        with pytest.raises(DataError, match="is no seed"):
            load_trips(path="none.csv", seed=seed)


# ---------------------------------------------------------------- the calendar
@pytest.mark.parametrize(
    ("freq", "said"),
    [
        *(("MS", "a row every month"), ("ME", "a row every month"), ("W", "a row every week")),
        *(("QS", "a row every quarter"), ("YE", "a row every year"), ("2D", "a row every 2 days")),
        *(("h", "ds has a time of day in 28 rows (a row every hour)"), ("30min", "(a row every 0.5 hours)")),
        ("B", "6 gaps in the days (the first: 2019-01-05), all weekends"),
    ],
)
@pytest.mark.parametrize("load", [load_ridership, load_stations])
def test_another_spacing_is_named_and_the_way_out_works(
    freq: str, said: str, load: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = pd.date_range("2019-01-01", periods=30, freq=freq)
    frame = pd.DataFrame({"date": stamps, "y": 1.0})
    if load is load_stations:
        frame = pd.concat([frame.assign(unique_id=name) for name in ("a", "b")])
        said = said.replace("28 rows", "56 rows").replace("6 gaps", "12 gaps")
    frame.to_csv(tmp_path / "mine.csv", index=False)
    message = refused(tmp_path / "mine.csv", load)
    assert said in message
    daily = load(mended(message, tmp_path / "mine.csv", monkeypatch))
    assert daily["ds"].min() == stamps[0].normalize()
    assert daily["ds"].max() == stamps[-1].normalize()
    if "time of day" in message:
        assert daily["y"].sum() == len(frame)


def test_hours_with_two_offsets_are_summed_up_to_local_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = pd.date_range("2019-03-09", "2019-03-12", freq="h", tz="America/New_York", inclusive="left")
    frame = pd.DataFrame({"ds": [hour.isoformat() for hour in hours], "y": 1.0})
    path = as_csv(frame, tmp_path / "hours.csv")
    daily = load_ridership(mended(refused(path), path, monkeypatch))
    assert daily["y"].tolist() == [24, 23, 24]


def test_day_first_months_are_repeated_by_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "months.csv", rides("01/02/2019", "01/03/2019", "01/04/2019"))
    message = refused(path, load_ridership, dayfirst=True)
    assert "a row every month" in message
    daily = load_ridership(mended(message, path, monkeypatch))
    assert daily["ds"].iloc[[0, -1]].tolist() == [pd.Timestamp("2019-02-01"), pd.Timestamp("2019-04-01")]


def test_one_row_is_a_series(tmp_path: Path) -> None:
    assert len(load_ridership(written(tmp_path / "one.csv", rides("2019-01-01")))) == 1


# ---------------------------------------------------------------- prepare_trips
PICKUP = pd.Series(pd.to_datetime(["2019-01-05 06:36:51", "2019-03-09 01:30:00"]))
CLOCKS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "text": lambda clock: clock.astype(str),
    "ISO": lambda clock: clock.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "objects": lambda clock: clock.astype(object),
    "datetimes": lambda clock: pd.Series([stamp.to_pydatetime() for stamp in clock], dtype=object),
    "NumPy's": lambda clock: pd.Series(list(clock.to_numpy()), dtype=object),
    **{unit: lambda clock, unit=unit: clock.astype(f"datetime64[{unit}]") for unit in ("s", "ms", "ns")},
    "UTC": lambda clock: clock.dt.tz_localize("UTC"),
    "Chicago": lambda clock: clock.dt.tz_localize("America/Chicago"),
    "Arrow": lambda clock: clock.astype(pd.ArrowDtype(pa.timestamp("us"))),
    "Arrow in UTC": lambda clock: clock.dt.tz_localize("UTC").astype(
        pd.ArrowDtype(pa.timestamp("us", "UTC"))
    ),
    "Arrow's text": lambda clock: clock.astype(str).astype(pd.ArrowDtype(pa.string())),
    "category": lambda clock: clock.astype("category"),
    "category of text": lambda clock: clock.astype(str).astype("category"),
    "period": lambda clock: clock.dt.to_period("s"),
}
NO_CLOCKS = {
    "int": [1546670211000000, 2],
    "day first": ["05/01/2019 06:36", "10/03/2019 01:30"],
    "words": ["yesterday", "2019-01-05 06:36:51"],
    "dict": [{}, {}],
    "list": [[1], [2]],
    "bool": [True, False],
    "timedelta": [pd.Timedelta(1, "h")] * 2,
    "mixed": [PICKUP[0], 5],
    "bytes": [b"1", b"2"],
    "complex": [1j, 2],
    "sparse": pd.arrays.SparseArray([1, 2]),
    "interval": pd.interval_range(0, 2),
    "category": pd.Categorical([1, 2]),
}


@pytest.mark.parametrize("make", CLOCKS)
def test_prepare_trips_takes_clocks_of_every_make(make: str) -> None:
    clocks = [CLOCKS[make](PICKUP), CLOCKS[make](PICKUP + pd.Timedelta(minutes=13))]
    trips = pd.DataFrame({"pickup_datetime": clocks[0], "dropoff_datetime": clocks[1]})
    before = trips.copy(deep=True)
    assert prepare_trips(trips)["duration"].tolist() == [13, 13]
    pd.testing.assert_frame_equal(trips, before)


@pytest.mark.parametrize("make", NO_CLOCKS)
def test_prepare_trips_refuses_what_is_no_clock(make: str) -> None:
    trips = pd.DataFrame({"pickup_datetime": NO_CLOCKS[make], "dropoff_datetime": PICKUP})
    with pytest.raises(DataError, match="the trips: pickup_datetime is not a date as 2019-01-31 in"):
        prepare_trips(trips)


def test_prepare_trips_says_how_numbers_become_clocks() -> None:
    seconds = pd.DataFrame({"pickup_datetime": [1546670211, 1546670212], "dropoff_datetime": PICKUP})
    seconds["dropoff_datetime"] = seconds["pickup_datetime"] + 60
    for _ in ("pickup_datetime", "dropoff_datetime"):
        with pytest.raises(DataError) as error:
            prepare_trips(seconds)
        exec(re.search("`(.+?)`", str(error.value)).group(1), {"pd": pd, "frame": seconds})
    assert prepare_trips(seconds)["duration"].tolist() == [1, 1]


def test_prepare_trips_refuses_other_input() -> None:
    trips = pd.DataFrame({"pickup_datetime": PICKUP, "dropoff_datetime": PICKUP})
    for wrong in (None, [], {"pickup_datetime": 1}, pd.DataFrame(), pd.concat([trips, trips], axis=1)):
        with pytest.raises(DataError):
            prepare_trips(wrong)
    with pytest.raises(DataError, match="give both one, or neither"):
        prepare_trips(trips.assign(pickup_datetime=PICKUP.dt.tz_localize("UTC")))
    for limits in (
        {"min_minutes": None},
        {"max_minutes": "60"},
        {"min_minutes": np.nan},
        {"max_minutes": pd.NA},
    ):
        with pytest.raises(DataError, match="is no number of minutes: pass one, such as 60"):
            prepare_trips(trips, **limits)
    assert prepare_trips(trips.head(0)).columns.tolist() == [
        "pickup_datetime",
        "dropoff_datetime",
        "duration",
    ]
    assert len(prepare_trips(trips.assign(dropoff_datetime=pd.NaT))) == 0


# ---------------------------------------------------------------- properties
CELLS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    st.sampled_from(
        ["", "NA", "1e30", "inf", "-1", "2019-01-02", "02/01/2019", "1,5", '"', ";", "\n", "nan", "True"]
    ),
    st.floats().map(repr),
    st.datetimes().map(str),
    st.integers(-(2**65), 2**65).map(str),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=4), max_size=4), quoted=st.booleans())
def test_only_a_data_error_escapes(rows: list[list[str]], quoted: bool, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    cells = [["unique_id", "ds", "y"], *rows]
    lines = [",".join(f'"{cell}"' if quoted else cell for cell in row) for row in cells]
    path.write_text("\n".join(lines), encoding="utf-8")
    for load in (load_ridership, load_stations, load_births, load_my_trips):
        try:
            frame = load(path)
        except DataError as error:
            one_line(error, path)
        else:
            assert np.isfinite(frame["y"].astype(float)).all()


ODD_DTYPES = [
    *(
        "int8",
        "uint64",
        "float32",
        "float64",
        "bool",
        "complex128",
        "object",
        "str",
        "category",
        "Int64",
        "Float64",
    ),
    *("boolean", "datetime64[s]", "datetime64[ns]", "datetime64[us, UTC]", "timedelta64[ns]", "period[D]"),
    *("Sparse[float64]", "Sparse[int64]", "interval[int64]"),
    *(
        pd.ArrowDtype(kind)
        for kind in (pa.int32(), pa.decimal128(9, 2), pa.bool_(), pa.date32(), pa.string())
    ),
    *(
        pd.ArrowDtype(kind)
        for kind in (pa.list_(pa.int64()), pa.binary(), pa.time64("us"), pa.timestamp("s", "UTC"))
    ),
]


@pytest.mark.parametrize("dtype", ODD_DTYPES, ids=str)
def test_conversions_keep_the_index_and_their_type(dtype: object) -> None:
    empty = pd.Series([], dtype=dtype, index=pd.Index([], dtype="int64"))
    for values in (empty, pd.Series([None, None], dtype=dtype, index=[3, 5]) if _nullable(dtype) else empty):
        assert as_dates(values).index.equals(values.index)
        assert as_dates(values).dtype == "datetime64[us]"
        numbers, strange = as_numbers(values)
        assert numbers.index.equals(values.index)
        assert (numbers.dtype, strange.dtype) == ("float64", "bool")
        assert plain(values).index.equals(values.index)


def _nullable(dtype: object) -> bool:
    try:
        pd.Series([None, None], dtype=dtype)
    except (TypeError, ValueError):
        return False
    return True


# ---------------------------------------------------------------- memory
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_a_month_of_three_million_trips_fits_into_a_laptop(tmp_path: Path) -> None:
    """As large as a month of yellow taxis: 3,082,000 rows in one row group, 19 columns, all of them taken."""
    taken, megabytes = _taken_and_peak(_yellow(tmp_path, 3_082_000))
    assert taken == 3_082_000
    assert megabytes < 1_500


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_the_peak_is_that_of_the_load_alone(tmp_path: Path) -> None:
    """Linux hands `ru_maxrss` on to the process that is started: what the tests hold would count."""
    held = np.ones(100_000_000)
    taken, megabytes = _taken_and_peak(_yellow(tmp_path, 10))
    assert taken == 10
    assert megabytes < held.nbytes / 1e6


def _yellow(folder: Path, rows: int) -> Path:
    clock = pa.array(np.arange(rows) * 1_000_000, pa.timestamp("us"))
    count = pa.array(np.arange(rows) % 200 + 1)
    columns = dict.fromkeys(TRIPS.strip().split(","), count)
    columns |= {"tpep_pickup_datetime": clock, "tpep_dropoff_datetime": clock}
    others = {f"fee_{number}": count for number in range(9)}
    pq.write_table(pa.table(columns | others), folder / "yellow.parquet", row_group_size=rows)
    return folder / "yellow.parquet"


def _taken_and_peak(file: Path) -> tuple[int, int]:
    """Rows that a fresh process loads from the file, and the most memory it held, in MB."""
    code = (
        "import re, sys; from pathlib import Path; from course.data import load_trips;"
        "trips = load_trips(path=sys.argv[1], sample=None);"
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1];"
        "print(len(trips), int(peak) // 1024)"
    )
    command = [sys.executable, "-c", code, str(file)]
    taken, megabytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(taken), int(megabytes)

"""The data are what their cards say, can be rebuilt, and wrong files are refused in one clear line."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from course import data
from course.data import (
    DataError,
    load_births,
    load_ridership,
    load_stations,
    load_trips,
    months,
    prepare_trips,
    tables,
)
from course.paths import ROOT
from course.student.doctor import changed_data

DATA = ROOT / "data"
CARD = DATA / "README.md"


def _build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("data_build", DATA / "build.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


build = _build()


@pytest.fixture(scope="module")
def trips() -> pd.DataFrame:
    return load_trips(months("2018-01", "2020-12"))


@pytest.fixture(scope="module")
def minutes(trips: pd.DataFrame) -> pd.Series:
    return (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60


# ---------------------------------------------------------------- the committed data
def test_trips_have_the_same_types_in_every_month() -> None:
    for month in months("2018-01", "2020-12"):
        frame = load_trips(month)
        assert len(frame) == 10_000, month
        assert {column: str(kind) for column, kind in frame.dtypes.items()} == build.TRIP_TYPES, month
        assert list(frame.index[[0, -1]]) == [0, 9_999]


def test_build_and_loader_agree_on_the_types() -> None:
    assert list(build.TRIP_TYPES.items()) == list(data.TRIP_TYPES.items())


def test_trips_of_several_months_are_stacked_in_order() -> None:
    both = load_trips(["2019-02", "2019-01"])
    pd.testing.assert_frame_equal(both[:10_000], load_trips("2019-02"))
    pd.testing.assert_frame_equal(both[10_000:].reset_index(drop=True), load_trips())


def test_trips_keep_their_missing_values(trips: pd.DataFrame) -> None:
    codes = ["vendor_id", "passenger_count", "rate_code_id", "payment_type"]
    missing = trips[codes].isna()
    assert missing.sum().tolist() == [8_244] * 4
    assert (missing.all(axis=1) == missing.any(axis=1)).all()
    assert not trips.drop(columns=codes).isna().any().any()
    share = missing["vendor_id"].groupby(trips.index // 10_000).mean()
    assert share[:18].sum() == 0  # none before 2019-07
    assert share.idxmax() == 28  # 2020-05
    assert share[28] == 0.1675
    assert trips.loc[missing["vendor_id"], "trip_distance"].median() == pytest.approx(6.23)
    assert trips["trip_distance"].median() == pytest.approx(1.66)


def test_trips_keep_their_dirt(trips: pd.DataFrame, minutes: pd.Series) -> None:
    filed = pd.Series(np.repeat(months("2018-01", "2020-12"), 10_000))
    strays = trips["pickup_datetime"].dt.strftime("%Y-%m") != filed
    assert strays.sum() == 10
    assert filed[trips["pickup_datetime"].dt.year == 2008].tolist() == ["2019-08"]
    backwards = minutes < 0
    assert backwards.sum() == 136
    assert (backwards & (minutes > -2) & (trips["pickup_datetime"] >= "2020-09")).sum() == 133
    assert minutes.min() == pytest.approx(-16_949.6)
    assert (minutes == 0).sum() == 309
    assert (minutes >= 23 * 60).sum() == 683
    assert (minutes > 24 * 60).sum() == 1
    assert [(trips["fare_amount"] < 0).sum(), (trips["fare_amount"] > 500).sum()] == [833, 4]
    assert [(trips["trip_distance"] < 0).sum(), (trips["trip_distance"] == 0).sum()] == [14, 4_191]
    assert (trips["passenger_count"] == 0).sum() == 7_111
    unknown = [trips[f"{end}_location_id"].isin([264, 265]).sum() for end in ("pickup", "dropoff")]
    assert unknown == [4_348, 4_441]


def test_prepare_trips_keeps_the_limits_and_the_input(trips: pd.DataFrame, minutes: pd.Series) -> None:
    before = trips.copy()
    prepared = prepare_trips(trips)
    assert len(prepared) == 352_557 == minutes.between(1, 60).sum()
    assert (prepared["duration"].min(), prepared["duration"].max()) == (1, 60)  # minutes, both ends included
    assert [*trips, "duration"] == list(prepared)
    assert list(prepared.index[[0, -1]]) == [0, 352_556]
    pd.testing.assert_frame_equal(trips, before)
    assert prepare_trips(trips, 10, 20)["duration"].agg(["min", "max"]).tolist() == [10, 20]


def test_baseline_is_as_measured() -> None:
    """January to February 2019: the mean misses by 9.73 minutes. A changed sample would show here."""
    train, test = (prepare_trips(load_trips(month)) for month in ("2019-01", "2019-02"))
    rmse = ((test["duration"] - train["duration"].mean()) ** 2).mean() ** 0.5
    assert rmse == pytest.approx(9.73, abs=0.005)


def test_ridership() -> None:
    rides = load_ridership()
    assert rides.shape == (5_698, 30)
    assert rides["ds"].tolist() == list(pd.date_range("2001-01-22", "2016-08-28"))
    assert not rides.isna().any().any()
    games = [column for column in rides if column.endswith(("_away", "_home"))]
    assert {str(kind) for kind in rides[games].dtypes} == {"int64"}
    assert {str(kind) for kind in rides.drop(columns=[*games, "ds"]).dtypes} == {"float64"}
    weekday = rides.groupby(rides["ds"].dt.dayofweek)["y"].mean()
    assert weekday[:5].between(16.4, 17.9).all()
    assert weekday[5] == pytest.approx(5.0, abs=0.1)
    assert weekday[6] == pytest.approx(3.8, abs=0.1)


def test_ridership_has_the_faults_of_its_card() -> None:
    rides = load_ridership().set_index("ds")
    baseball = rides[["white_sox_away", "white_sox_home", "cubs_away", "cubs_home"]]
    assert baseball.eq(baseball["cubs_home"], axis=0).all().all()
    assert rides.loc["2006-01-26", "wind_max_mph"] == 406.2
    assert rides.loc["2002-04-21", "wind_max_mph"] == 240.5
    assert rides.loc["2001-02-09", "pressure_change_inhg"] == 26.92
    around = rides.loc[["2009-06-09", "2009-06-10", "2009-06-12", "2009-06-13"], "temp_f"]
    assert rides.loc["2009-06-11", "temp_f"] == pytest.approx(around.mean())
    assert rides.loc["2011-07-03", "y"] == 5.5735
    assert (rides["gust_mph"] == 0).mean() == pytest.approx(0.9, abs=0.001)


def test_stations_are_recovered_from_the_lags() -> None:
    """Clark/Lake's lag column, dated back by 14 days and by no other number, is the target, bit for bit."""
    target = load_ridership().set_index("ds")["y"]
    panel = load_stations().pivot(index="ds", columns="unique_id", values="y")
    assert panel.shape == (5_698, 20)
    assert not panel.isna().any().any()
    recovered = panel["clark_lake"]
    both = target.index.intersection(recovered.index)
    assert len(both) == 5_684
    assert (recovered[both] == target[both]).all()
    for shift in [*range(-21, 0), *range(1, 22)]:
        moved = recovered.shift(shift).reindex(target.index).dropna()
        assert (moved == target[moved.index]).mean() < 0.01, shift
    for station in panel.columns.drop("clark_lake"):
        assert (panel.loc[both, station] == target[both]).mean() < 0.01, station


def test_what_no_lag_holds_is_absent() -> None:
    panel, target = load_stations(), load_ridership()
    fortnight = pd.Timedelta(days=14)
    ends = panel.groupby("unique_id")["ds"].agg(["min", "max", "size"])
    assert (ends["min"] == target["ds"].min() - fortnight).all()
    assert (ends["max"] == target["ds"].max() - fortnight).all()
    assert (ends["size"] == 5_698).all()
    zeros = panel[panel["y"] == 0]
    assert (len(zeros), zeros["unique_id"].nunique()) == (242, 10)
    polk = zeros.loc[zeros["unique_id"] == "polk", "ds"]
    assert (polk.dt.dayofweek == 6).sum() == 127
    assert polk.max().year == 2004


def test_births() -> None:
    births = load_births()
    assert births["ds"].tolist() == list(pd.date_range("2000-01-01", "2014-12-31"))
    assert births["y"].dtype == "int64"
    median = births.groupby(births["ds"].dt.dayofweek)["y"].median()
    assert (median[1], median[6]) == (13_198, 7_512)
    assert births["y"][0] == 9_083


def test_ranges_in_the_card_are_those_of_the_files(trips: pd.DataFrame) -> None:
    frames = [trips, load_ridership(), load_stations(), load_births()]
    tables = re.findall(r"\| from \| to \|\n\|[-|:]+\n((?:\|.*\n)+)", CARD.read_text(encoding="utf-8"))
    assert len(tables) == len(frames)
    for table, frame in zip(tables, frames, strict=True):
        rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in table.splitlines()]
        assert [row[0].strip("`") for row in rows] == list(frame)
        for row in rows:
            column = frame[row[0].strip("`")]
            ends = [column.min(), column.max()]
            if column.dtype.kind == "f":
                assert [float(end) for end in row[-2:]] == pytest.approx(ends), row[0]
            else:
                assert [type(ends[0])(end) for end in row[-2:]] == ends, row[0]


# ---------------------------------------------------------------- checksums
def test_checksums_are_right_and_complete() -> None:
    assert changed_data() == []
    recorded = json.loads((DATA / "checksums.json").read_text(encoding="utf-8"))["files"]
    assert set(recorded) == {path.relative_to(DATA).as_posix() for path in DATA.rglob("*.parquet")}
    assert len(recorded) == 36 + 3
    assert sum(entry["bytes"] for entry in recorded.values()) < 7_000_000
    for name, entry in recorded.items():
        assert entry["sha256"] == hashlib.sha256((DATA / name).read_bytes()).hexdigest()
        assert entry["rows"] == pq.read_metadata(DATA / name).num_rows


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The data folder, to be broken."""
    return Path(shutil.copytree(DATA, tmp_path / "with a space" / "data"))


def test_changed_data_names_each_fault(copy: Path) -> None:
    (copy / "births.parquet").unlink()
    with (copy / "trips" / "2019-01.parquet").open("ab") as file:
        file.write(b"x")
    missing, changed = changed_data(copy)
    assert "births.parquet is missing" in missing
    assert "2019-01.parquet has changed" in changed
    (copy / "checksums.json").write_text("{", encoding="utf-8")
    assert len(changed_data(copy)) == 1


def test_check_names_each_fault(copy: Path, capsys: pytest.CaptureFixture) -> None:
    assert build.check(None, copy) == []
    (copy / "births.parquet").unlink()
    (copy / "ridership.parquet").write_bytes(b"PAR1")
    card = (copy / "README.md").read_text(encoding="utf-8")
    wrong = card.replace("`births.parquet` | 5,479", "`births.parquet` | 5,480")
    (copy / "README.md").write_text(wrong, encoding="utf-8")
    faults = build.check(None, copy)
    assert len(faults) == 3
    for fault, name in zip(faults, ("births", "ridership", "README"), strict=True):
        assert name in fault
    assert "--archives" in capsys.readouterr().out


# ---------------------------------------------------------------- the build
def test_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    """Without the archives: bytes depend on values alone, as long as pyarrow is the same."""
    recorded = json.loads((DATA / "checksums.json").read_text(encoding="utf-8"))
    if recorded["written_by"] != f"pyarrow {pa.__version__}":
        pytest.skip(f"the data were written by {recorded['written_by']}, here is {pa.__version__}")
    for name in recorded["files"]:
        build.write(pd.read_parquet(DATA / name), tmp_path / name)
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name


def test_rebuild_from_the_archives(tmp_path: Path) -> None:
    """From archives to bytes. Downloads 41 MB, unless WALKFORWARD_ARCHIVES names a folder with them."""
    folder = os.environ.get("WALKFORWARD_ARCHIVES")
    if not folder and os.environ.get("WALKFORWARD_REBUILD") != "1":
        pytest.skip("set WALKFORWARD_REBUILD=1 (network) or WALKFORWARD_ARCHIVES=folder to rebuild the data")
    assert build.check(Path(folder) if folder else tmp_path) == []


def test_comparison_with_a_rebuild_can_fail(tmp_path: Path) -> None:
    recorded = json.loads((DATA / "checksums.json").read_text(encoding="utf-8"))
    births = pd.read_parquet(DATA / "births.parquet")
    for folder, frame in (("same", births), ("other", births.assign(y=births["y"] + 1))):
        build.write(frame, tmp_path / folder / "births.parquet")
    here = {**recorded, "written_by": f"pyarrow {pa.__version__}"}
    elsewhere = {**recorded, "written_by": "pyarrow 1.0"}
    for writer in (here, elsewhere):
        assert build.compare(tmp_path / "same", tmp_path / "same", ["births.parquet"], writer) == []
        assert len(build.compare(tmp_path / "same", tmp_path / "other", ["births.parquet"], writer)) == 1
    assert build.compare(tmp_path / "same", tmp_path, ["births.parquet"], here) == [
        "births.parquet is missing"
    ]


def test_interrupted_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "births.parquet"
    path.write_bytes(b"old")

    def interrupted(table: pa.Table, half: Path, **options: object) -> None:
        half.write_bytes(b"PAR1")
        raise KeyboardInterrupt

    monkeypatch.setattr(build.pq, "write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build.write(load_births(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_stations_are_dated_back() -> None:
    days = pd.date_range("2020-01-15", periods=3)
    published = pd.DataFrame(
        {"ridership": [1.0, 2, 3], "ds": days, "Oak_Park": [7.0, 8, 9], "Austin": [4.0, 5, 6]}
    )
    tidy = build.stations_of(published)
    assert tidy["unique_id"].tolist() == ["austin"] * 3 + ["oak_park"] * 3
    assert tidy["y"].tolist() == [4, 5, 6, 7, 8, 9]
    assert tidy["ds"].tolist() == [*pd.date_range("2020-01-01", periods=3)] * 2


def _deb(folder: str, files: dict[str, bytes]) -> bytes:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    whole = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0"), ("data.tar.xz", inner.getvalue())):
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        whole += header.encode() + content + b"\n" * (len(content) % 2)
    return whole


def test_debian_packages_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.deb"
    path.write_bytes(_deb("usr/lib/data", {"a": b"one", "sub/b": b"two"}))
    assert build.deb_files(path, "usr/lib/data") == {"a": b"one"}
    path.write_bytes(b"!<arch>\n")
    with pytest.raises(build.BuildError, match="not a Debian package"):
        build.deb_files(path, "usr/lib/data")


def test_wrong_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / build.BIRTHS.file).write_bytes(b"something else")
    with pytest.raises(build.BuildError, match="SHA-256.*delete it and run again"):
        build.BIRTHS.fetch(tmp_path)


@pytest.mark.parametrize("archive", build.ARCHIVES, ids=lambda archive: archive.file[:12])
def test_missing_client_says_what_to_fetch(
    archive: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(build.BuildError) as refused:
        archive.fetch(tmp_path)
    assert archive.file in str(refused.value)
    assert "--archives FOLDER" in str(refused.value)


def test_failed_client_says_why(tmp_path: Path) -> None:
    client = [sys.executable, "-c", "import sys; sys.exit('no route')"]
    archive = build.Archive("a.tgz", "0", "a package", lambda: [client])
    with pytest.raises(build.BuildError, match=r"no route.*fetch a\.tgz"):
        archive.fetch(tmp_path)


# ---------------------------------------------------------------- months
def test_months() -> None:
    assert months("2018-11", "2019-01") == ["2018-11", "2018-12", "2019-01"]
    assert months("2019-01", "2019-01") == ["2019-01"]
    assert len(months("2018-01", "2020-12")) == 36


@pytest.mark.parametrize("month", ["2019-13", "2019-1", "Jan 2019", "2019-00", "19-01", "", 201901, None])
def test_malformed_month(month: object) -> None:
    with pytest.raises(DataError, match="is not a month: write year and month, as in '2019-01'"):
        load_trips([month])
    with pytest.raises(DataError, match="is not a month"):
        months("2019-01", month)


@pytest.mark.parametrize("month", ["2017-12", "2021-01", "1999-05"])
def test_month_out_of_range(month: str) -> None:
    with pytest.raises(DataError, match=f"no trips of {month}: the course has 2018-01 to 2020-12.*path="):
        load_trips(["2019-01", month])


def test_no_month_and_months_the_wrong_way_round() -> None:
    with pytest.raises(DataError, match="at least one"):
        load_trips([])
    with pytest.raises(DataError, match="comes after the last"):
        months("2019-02", "2019-01")


# ---------------------------------------------------------------- files of your own
def raw_trips(cab: str, rows: int = 6) -> pd.DataFrame:
    """A small file with the TLC's names, order and types as of 2025, missing values included."""
    at = pd.Series(pd.date_range("2025-03-01 08:00", periods=rows, freq="7min").astype("datetime64[us]"))
    letter = {"yellow": "t", "green": "l"}[cab]
    some = pd.Series([1.0, np.nan] * (rows // 2))
    money = pd.Series(np.arange(rows) + 0.5)
    first = {
        "VendorID": pd.Series([2] * rows, dtype="int32"),
        f"{letter}pep_pickup_datetime": at,
        f"{letter}pep_dropoff_datetime": at + pd.Timedelta(minutes=12),
    }
    zones = {
        "PULocationID": pd.Series(range(40, 40 + rows), dtype="int32"),
        "DOLocationID": pd.Series(range(140, 140 + rows), dtype="int32"),
    }
    flag = {"store_and_fwd_flag": pd.Series(["N", None] * (rows // 2), dtype="str")}
    last = {"extra": money, "tip_amount": money, "cbd_congestion_fee": 0.75}
    if cab == "yellow":
        middle = {"passenger_count": some, "trip_distance": money, "RatecodeID": some, **flag, **zones}
        middle |= {"payment_type": pd.Series([0] * rows, dtype="int64"), "fare_amount": money, **last}
        return pd.DataFrame({**first, **middle, "Airport_fee": some})
    middle = {**flag, "RatecodeID": some, **zones, "passenger_count": some, "trip_distance": money}
    middle |= {"fare_amount": money, **last, "ehail_fee": pd.Series([None] * rows, dtype="float64")}
    return pd.DataFrame({**first, **middle, "payment_type": some, "trip_type": some})


def as_parquet(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_parquet(path)
    return path


def as_csv(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_csv(path, index=False)
    return path


def as_gzip(frame: pd.DataFrame, path: Path) -> Path:
    path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    return path


@pytest.mark.parametrize("cab", ["yellow", "green"])
@pytest.mark.parametrize("saved", [as_parquet, as_csv, as_gzip])
def test_raw_tlc_files(cab: str, saved: Callable, tmp_path: Path) -> None:
    raw = raw_trips(cab)
    frame = load_trips(path=saved(raw, tmp_path / "my trips"))
    assert {column: str(kind) for column, kind in frame.dtypes.items()} == data.TRIP_TYPES
    assert frame["pickup_location_id"].tolist() == raw["PULocationID"].tolist()
    assert frame["dropoff_location_id"].tolist() == raw["DOLocationID"].tolist()
    assert frame["passenger_count"].isna().tolist() == raw["passenger_count"].isna().tolist()
    assert frame["trip_distance"].tolist() == raw["trip_distance"].tolist()
    assert frame["pickup_datetime"].tolist() == raw.iloc[:, 1].tolist()
    assert (prepare_trips(frame)["duration"] == 12).all()


def test_several_files_and_files_by_month(tmp_path: Path) -> None:
    for month in ("2025-03", "2025-04"):
        as_parquet(raw_trips("green"), tmp_path / f"green_{month}.parquet")
    as_csv(raw_trips("yellow", 2), tmp_path / "y.csv")
    pattern = str(tmp_path / "green_{month}.parquet")
    assert len(load_trips(["2025-03", "2025-04"], path=pattern)) == 12
    assert len(load_trips("2025-03", path=Path(pattern))) == 6
    listed = load_trips(path=[tmp_path / "green_2025-03.parquet", str(tmp_path / "y.csv")])
    assert listed.index.tolist() == list(range(8))
    with pytest.raises(DataError, match=r"green_2025-05\.parquet is missing"):
        load_trips("2025-05", path=pattern)
    with pytest.raises(DataError, match="names no file"):
        load_trips(path=[])


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server on the loopback, and the folder that it serves."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", tmp_path
        server.shutdown()


def test_urls(web: tuple[str, Path]) -> None:
    host, folder = web
    as_parquet(raw_trips("green"), folder / "green.parquet")
    as_csv(raw_trips("yellow"), folder / "yellow.csv")
    as_gzip(load_births().head(30), folder / "births.csv.gz")
    assert len(load_trips(path=f"{host}/green.parquet?part=1")) == 6
    assert len(load_trips(path=[f"{host}/green.parquet", f"{host}/yellow.csv"])) == 12
    pd.testing.assert_frame_equal(load_births(f"{host}/births.csv.gz"), load_births().head(30))
    with pytest.raises(DataError, match=f"{host}/none.csv can't be fetched.*404.*check the address"):
        load_trips(path=f"{host}/none.csv")
    with pytest.raises(DataError, match="can't be fetched"):
        load_births("http://127.0.0.1:9/births.csv")


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 400
    assert error.value.__cause__ is None  # no second traceback above the line that matters
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return message


def refused(tmp_path: Path, frame: pd.DataFrame, load: Callable = lambda path: load_trips(path=path)) -> str:
    with pytest.raises(DataError) as error:
        load(as_csv(frame, tmp_path / "mine.csv"))
    assert "mine.csv" in str(error.value)
    return one_line(error)


def test_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError) as error:
        load_trips(path=tmp_path / "none.parquet")
    assert (
        one_line(error) == f"{tmp_path / 'none.parquet'} is missing: check the name, or fetch the file again"
    )
    with pytest.raises(DataError) as error:
        load_births(tmp_path)
    assert "is a folder" in one_line(error)
    monkeypatch.setattr(data, "ROOT", tmp_path)
    monkeypatch.setattr(data, "DATA", tmp_path / "data")
    for load, name in ((load_trips, "trips/2019-01"), (load_births, "births"), (load_stations, "stations")):
        with pytest.raises(DataError) as error:
            load()
        assert one_line(error) == (
            f"data/{name}.parquet is missing: `git checkout -- data/{name}.parquet` brings it back"
        )


@pytest.mark.parametrize("kept", [3_000, 4, 100])
def test_truncated_parquet(kept: int, tmp_path: Path) -> None:
    short = tmp_path / "short.parquet"
    short.write_bytes((DATA / "trips" / "2019-01.parquet").read_bytes()[:kept])
    with pytest.raises(DataError) as error:
        load_trips(path=short)
    assert "is not a readable Parquet or CSV file (cut off while copied?)" in one_line(error)


def test_empty_and_headless_files(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "blank.csv").write_bytes(b"\n\n\n\n")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    for name, fault in (
        ("empty.csv", "is an empty file"),
        ("blank.csv", "not a readable"),
        ("photo.png", ""),
    ):
        with pytest.raises(DataError) as error:
            load_trips(path=tmp_path / name)
        assert name in one_line(error)
        assert fault in one_line(error)
    assert "column names and no rows" in refused(tmp_path, raw_trips("green").head(0))
    as_parquet(raw_trips("green").head(0), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="column names and no rows"):
        load_trips(path=tmp_path / "none.parquet")


@pytest.mark.parametrize("column", ["PULocationID", "lpep_pickup_datetime", "fare_amount", "VendorID"])
def test_missing_column(column: str, tmp_path: Path) -> None:
    ours = {
        "PULocationID": "pickup_location_id",
        "lpep_pickup_datetime": "pickup_datetime",
        "VendorID": "vendor_id",
    }
    assert f"lacks {ours.get(column, column)}:" in refused(tmp_path, raw_trips("green").drop(columns=column))


def test_not_a_taxi_file(tmp_path: Path) -> None:
    assert "does not hold taxi trips" in refused(tmp_path, load_births().head())
    hired = {"dispatching_base_num": ["B1"], "pickup_datetime": ["2025-03-01"], "PUlocationID": [1]}
    assert "for-hire vehicles" in refused(tmp_path, pd.DataFrame(hired))


def test_same_column_twice(tmp_path: Path) -> None:
    doubled = raw_trips("green").assign(pickup_location_id=1)
    assert "PULocationID, pickup_location_id, which mean the same" in refused(tmp_path, doubled)


def test_rows_at_fault_are_named(tmp_path: Path) -> None:
    raw = raw_trips("yellow", 10).astype({"trip_distance": object, "PULocationID": object})
    raw.loc[3, "trip_distance"] = "far"
    raw.loc[[1, 2, 3, 4, 5, 6], "PULocationID"] = ["a", 1.5, None, "b", "c", "d"]
    message = refused(tmp_path, raw)
    assert "trip_distance is not a number in 1 row (3: 'far')" in message
    assert "pickup_location_id is not a whole number in 6 rows (1, 2, 3, 4, 5, …: 'a', '1.5', nan" in message
    raw = raw_trips("yellow")
    raw["tpep_pickup_datetime"] = ["2025-03-01 08:00:00"] * 4 + ["yesterday", None]
    assert "pickup_datetime is not a date as 2019-01-31 in 2 rows (4, 5: 'yesterday', nan)" in refused(
        tmp_path, raw
    )
    raw["tpep_pickup_datetime"] = 20250301
    assert "pickup_datetime is not a date" in refused(tmp_path, raw)


def test_values_out_of_range_are_named(tmp_path: Path) -> None:
    raw = raw_trips("green")
    raw.loc[2, "PULocationID"] = 0
    raw.loc[[0, 4], "passenger_count"] = -1
    message = refused(tmp_path, raw)
    assert "pickup_location_id is below 1 in 1 row (2: 0)" in message
    assert "passenger_count is negative in 2 rows (0, 4: -1.0, -1.0)" in message


def test_thousands_of_faults_make_one_short_line(tmp_path: Path) -> None:
    raw = pd.concat([raw_trips("green")] * 2_000).assign(PULocationID=-1)
    assert "in 12,000 rows (0, 1, 2, 3, 4, …" in refused(tmp_path, raw)


def test_own_series_with_upstreams_names(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=5)[::-1]
    mine = pd.DataFrame({"date": days, "ridership": [5.0, 4, 3, 2, 1], "Snow_Share": 0.5, "cubs_home": 1})
    frame = load_ridership(as_csv(mine, tmp_path / "mine.csv"))
    assert list(frame) == ["ds", "y", "snow_share", "cubs_home"]
    assert frame["y"].tolist() == [1, 2, 3, 4, 5]  # sorted by day
    births = pd.DataFrame({"date": days, "births": range(5)})
    assert load_births(as_parquet(births, tmp_path / "b")).dtypes.astype(str).tolist() == [
        "datetime64[us]",
        "int64",
    ]
    indexed = births.set_index("date")
    assert load_births(as_parquet(indexed, tmp_path / "i"))["y"].tolist() == [4, 3, 2, 1, 0]
    panel = pd.concat([mine.assign(unique_id=name) for name in ("b", "a")])
    read = load_stations(as_parquet(panel, tmp_path / "panel"))
    assert read["unique_id"].tolist() == ["a"] * 5 + ["b"] * 5
    assert list(read) == ["unique_id", "ds", "y"]


def test_own_series_at_fault(tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=6).strftime("%Y-%m-%d")
    good = pd.DataFrame({"ds": days, "y": 1.0, "rain_share": 0.1, "cubs_home": 0})

    def fault(frame: pd.DataFrame, load: Callable = load_ridership) -> str:
        return refused(tmp_path, frame, load)

    assert "lacks ds, y: a file of this kind has columns ds, y" in fault(pd.DataFrame({"a": [1]}))
    assert "lacks unique_id:" in fault(good, load_stations)
    assert "1 gaps in the days (the first: 2024-01-03)" in fault(good.drop(index=2))
    assert "1 rows repeat a day (the first: 2024-01-02)" in fault(pd.concat([good, good[1:2]]))
    assert "time of day in 6 rows" in fault(good.assign(ds=[f"{day} 06:00" for day in days]))
    assert "y is negative in 6 rows" in fault(good.assign(y=-1))
    assert "y is missing in 1 row (5: nan)" in fault(good.assign(y=[1.0] * 5 + [None]))
    assert "y is not a whole number in 6 rows (0, 1, 2, 3, 4, …: 1.5," in fault(
        good.assign(y=1.5), load_births
    )
    assert "rain_share is not a share of 0 to 1 in 6 rows" in fault(good.assign(rain_share=7))
    assert "cubs_home is neither 0 nor 1 in 6 rows" in fault(good.assign(cubs_home=2))
    assert "note is not a number in 6 rows" in fault(good.assign(note="fine"))
    panel = pd.concat([good.assign(unique_id="a"), good.drop(index=2).assign(unique_id="b")])
    assert "1 gaps in the days (the first: 2024-01-03)" in fault(panel, load_stations)


def test_prepare_trips_refuses() -> None:
    with pytest.raises(DataError, match="no dropoff_datetime"):
        prepare_trips(load_trips().drop(columns="dropoff_datetime"))
    with pytest.raises(DataError, match=r"min_minutes=60 is above max_minutes=1"):
        prepare_trips(load_trips(), 60, 1)


def many_trips(rows: int) -> pd.DataFrame:
    """So many trips with the TLC's names; the distance is the number of the row."""
    raw = raw_trips("yellow")
    several = pd.concat([raw] * (rows // len(raw) + 1), ignore_index=True)[:rows]
    return several.assign(trip_distance=np.arange(rows, dtype="float64"))


def test_a_sample_of_a_large_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    raw = many_trips(5_000)
    parquet, table = as_parquet(raw, tmp_path / "trips.parquet"), as_csv(raw, tmp_path / "trips.csv")
    drawn = load_trips(path=parquet, sample=300)
    assert capsys.readouterr().out == (
        f"{parquet}: 300 of 5,000 trips, drawn at random (sample=300, seed=0; sample=None takes all)\n"
    )
    assert len(drawn) == 300
    rows = drawn["trip_distance"]
    assert rows.is_monotonic_increasing  # in the order of the file
    assert rows.is_unique
    assert 2_200 < rows.mean() < 2_800
    assert drawn.index.tolist() == list(range(300))
    pd.testing.assert_frame_equal(drawn, load_trips(path=table, sample=300))
    pd.testing.assert_frame_equal(drawn, load_trips(path=parquet, sample=300))
    assert not drawn.equals(load_trips(path=parquet, sample=300, seed=1))
    assert capsys.readouterr().out.count("\n") == 3
    several = load_trips(path=[parquet, table], sample=300)
    assert len(several) == 600  # at most so many of each file
    assert capsys.readouterr().out.startswith("2 files: 600 of 10,000 trips, drawn at random")
    for everything in (5_000, None):
        assert len(load_trips(path=parquet, sample=everything)) == 5_000
    assert len(load_trips(path=parquet)) == 5_000 < data.SAMPLE
    assert len(load_trips("2019-01", sample=300)) == 10_000  # the course's own months are never sampled
    assert capsys.readouterr().out == ""


def test_the_sample_does_not_depend_on_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_parquet(many_trips(5_000), tmp_path / "trips.parquet")
    drawn = load_trips(path=path, sample=100)
    monkeypatch.setattr(tables, "ROWS", 170)
    pd.testing.assert_frame_equal(drawn, load_trips(path=path, sample=100))
    assert len(load_trips(path=path)) == 5_000


def test_the_whole_file_is_checked_before_a_sample_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS", 100)
    raw = many_trips(1_000)
    raw.loc[[3, 999], "PULocationID"] = 0
    with pytest.raises(DataError, match=r"pickup_location_id is below 1 in 2 rows \(3, 999: 0, 0\)"):
        load_trips(path=as_parquet(raw, tmp_path / "trips.parquet"), sample=2)


@pytest.mark.parametrize("sample", [0, -1, 1.5, "all"])
def test_a_sample_that_is_no_number_of_trips(sample: object) -> None:
    with pytest.raises(DataError, match="is no number of trips: pass a whole number from 1, or None for all"):
        load_trips(path="none.csv", sample=sample)


def test_importing_the_loaders_is_light() -> None:
    """pandera and pyarrow wait until data are loaded."""
    code = "import sys, course.data; print('pandera' in sys.modules, 'mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]

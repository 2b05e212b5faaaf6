"""Lesson 10e: conditional writes and lost commits, schema, time travel and vacuum, bytes read."""

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from shown import flat_table
from solved import smaller

from course import environments
from course.exercise import source as exercise_source
from lessons.the_lake import bucket, data_versions, seaweed
from lessons.the_lake.seaweed import watched_seaweed
from lessons.the_lake.sql import query
from lessons.the_lake.wire import watched_store
from projects.trip_checks import FEATURES, released_trips, rmse, trained

ROOT = Path(__file__).resolve().parents[1]
STEM = "10e_object_storage_and_the_lake"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
ROWS = pd.DataFrame({"trip_id": range(100), "minutes": np.linspace(1, 60, 100)})


@pytest.fixture(scope="module")
def trips():
    return released_trips()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with watched_store(tmp_path_factory.mktemp("lake"), "lake") as (store, wire):
        yield store, wire


def numbers(notebook, name):
    return flat_table(notebook, name).apply(pd.to_numeric)


@pytest.fixture(scope="module")
def seaweedfs(tmp_path_factory):
    with watched_seaweed(tmp_path_factory.mktemp("seaweed"), "lake") as wire:
        yield wire


@pytest.fixture(params=["moto", "SeaweedFS"])
def wire(request):
    """The proxy before each store; a store that is not there is skipped."""
    if request.param == "moto":
        return request.getfixturevalue("place")[1]
    return request.getfixturevalue("seaweedfs") or pytest.skip("SeaweedFS is not there")


def test_the_probe_tells_the_stores_apart(wire):
    s3 = bucket.client(wire.endpoint_url)
    for keeps in (True, False):
        wire.keep_conditions(keeps)
        s3.put_object(Bucket="lake", Key=f"one-{keeps}", Body=b"mine", IfNoneMatch="*")
        try:
            s3.put_object(Bucket="lake", Key=f"one-{keeps}", Body=b"yours", IfNoneMatch="*")
            second = True
        except s3.exceptions.ClientError as error:
            second = error.response["ResponseMetadata"]["HTTPStatusCode"] != 412
        assert second is not keeps
    wire.keep_conditions(True)
    statuses = wire.calls("one-")["status"].tolist()
    assert statuses == [200, 412, 200, 200]


@pytest.mark.parametrize(("keeps", "rows"), [(True, 300), (False, 200)])
def test_a_commit_is_lost_exactly_where_the_condition_is_ignored(wire, keeps, rows):
    lake, name = bucket.storage_options(wire.endpoint_url), f"race-{keeps}"

    def append(table):
        write_deltalake(f"s3://lake/{table}", ROWS, mode="append", storage_options=lake)
        return True

    append(name)
    wire.keep_conditions(keeps)
    said, statuses = bucket.at_once(wire, append, name)
    wire.keep_conditions(True)
    assert said == [True, True] and statuses == ([200, 200, 412] if keeps else [200, 200])
    assert len(DeltaTable(f"s3://lake/{name}", storage_options=lake).to_pandas()) == rows
    s3 = bucket.client(wire.endpoint_url)
    assert len(bucket.as_plain_parquet(s3, f"{name}/")) == 300  # the lost file still lies there
    assert bucket.entries(s3, name)["add"].sum() == rows // 100


@pytest.mark.parametrize("writers", [2, 4, 8])
def test_no_append_is_lost_on_a_store_that_checks(wire, writers):
    told = bucket.proof(wire, ROWS, writers)
    assert told["two create a key"] == "200 412" and told["two commits meet"] == "200 200 412"
    assert told["rows of 3 appends"] == 300 and told[f"rows of {writers + 1} appends"] == 100 * (writers + 1)


def test_a_key_is_replaced_only_as_it_was_read(wire):
    s3 = bucket.client(wire.endpoint_url)
    etag = s3.put_object(Bucket="lake", Key="current", Body=b"v1")["ETag"]
    s3.put_object(Bucket="lake", Key="current", Body=b"v2", IfMatch=etag)
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="lake", Key="current", Body=b"v3", IfMatch=etag)
    assert s3.get_object(Bucket="lake", Key="current")["Body"].read() == b"v2"


def test_seaweedfs_leaves_nothing_and_listens_on_this_machine_alone(tmp_path):
    if seaweed.program() is None:
        pytest.skip("SeaweedFS is not there")
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(RuntimeError, match="in the middle"), watched_seaweed(tmp_path, "lake"):
        started = set(psutil.Process().children(recursive=True)) - before
        (weed,) = [one for one in started if one.name().startswith(seaweed.PROGRAM)]
        listening = [one.laddr for one in weed.net_connections("inet") if one.status == psutil.CONN_LISTEN]
        assert {address.ip for address in listening} == {"127.0.0.1"}
        assert len(listening) == 2 * len(seaweed.PARTS), "a port that nobody chose is taken on some machine"
        assert "-master.telemetry=false" in weed.cmdline()
        sockets = {
            path for address in listening for path in seaweed.SOCKETS.glob(f"seaweedfs-*-{address.port}.sock")
        }
        assert sockets
        raise RuntimeError("in the middle")
    assert not any(one.is_running() for one in started)
    assert list(tmp_path.iterdir()) == [] and not any(path.exists() for path in sockets)


def test_seaweedfs_is_in_the_lock_and_without_it_the_lesson_goes_on(tmp_path, monkeypatch):
    assert "\nseaweedfs-bin==" in environments.LOCKS["lake"].read_text(encoding="utf-8")

    def refused(name):
        raise environments.OtherEnvironmentError("no network")

    for make in (refused, lambda name: tmp_path / "python"):  # no environment; one without this wheel
        monkeypatch.setattr(environments, "make", make)
        with watched_seaweed(tmp_path, "lake") as wire:
            assert wire is None


def test_iceberg_loses_no_commit_and_keeps_a_renamed_column(place, tmp_path):
    store, _ = place
    catalog = bucket.iceberg_catalog(tmp_path, store.endpoint_url)
    arrow = bucket_arrow()
    catalog.create_table("trips.days", schema=arrow.schema).append(arrow)
    for writer in [catalog.load_table("trips.days") for _ in range(3)]:
        writer.append(arrow)
    days = catalog.load_table("trips.days")
    with days.update_schema() as change:
        change.rename_column("minutes", "duration")
    rows = catalog.load_table("trips.days").scan().to_arrow()
    assert rows.num_rows == 400 and rows["duration"].null_count == 0


def bucket_arrow():
    import pyarrow as pa

    return pa.Table.from_pandas(ROWS, preserve_index=False)


def test_a_model_without_its_first_column_is_worse_than_no_model_in_each_month(trips):
    """Three training windows and the two months after each; the lesson shows one."""
    for first, last in (("2018-04", "2018-06"), ("2018-10", "2018-12"), ("2019-01", "2019-03")):
        train = trips[trips["month"].between(first, last)]
        model, mean = trained(train, FEATURES), train["duration"].mean()
        later = sorted(month for month in trips["month"].unique() if month > last)
        for month in later[:2]:
            rows = trips[trips["month"] == month]
            empty = rmse(model, rows.assign(trip_distance=np.nan))
            no_model = ((rows["duration"] - mean) ** 2).mean() ** 0.5
            assert empty > 2 * no_model > 2 * rmse(model, rows), (last, month)


def test_the_schema_and_the_vacuum_behave_as_told(tmp_path):
    uri = str(tmp_path / "table")
    write_deltalake(uri, ROWS)
    with pytest.raises(DeltaError, match="not found in schema"):
        write_deltalake(uri, ROWS.rename(columns={"minutes": "duration"}), mode="append")
    write_deltalake(uri, ROWS.assign(minutes=1.0), mode="overwrite")
    assert bucket.digest(DeltaTable(uri, version=0).to_pandas()) == bucket.digest(ROWS)
    with pytest.raises(DeltaError, match="retention"):
        DeltaTable(uri).vacuum(retention_hours=0, dry_run=False)
    DeltaTable(uri).vacuum(dry_run=False)
    assert len(DeltaTable(uri, version=0).to_pandas()) == 100  # seven days are kept
    DeltaTable(uri).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(FileNotFoundError):
        DeltaTable(uri, version=0).to_pandas()
    assert len(DeltaTable(uri).to_pandas()) == 100


def test_the_digest_hangs_on_values_and_not_on_order():
    assert bucket.digest(ROWS) == bucket.digest(ROWS.sample(frac=1, random_state=1))
    assert bucket.digest(ROWS) != bucket.digest(ROWS.assign(minutes=ROWS["minutes"].round(3)))
    assert bucket.digest(ROWS) != bucket.digest(ROWS[:99])


@pytest.mark.parametrize("seed", range(3))
def test_order_decides_how_many_files_a_month_needs(trips, seed):
    """Each month of half a year, three other shuffles: one file of six by month, all of six mixed."""
    rows = trips[trips["month"].between("2019-01", "2019-06")]
    mixed = rows.sample(frac=1, random_state=100 + seed).reset_index(drop=True)
    by_file = mixed.groupby(mixed.index // (len(mixed) // 6 + 1))["pickup_datetime"].agg(["min", "max"])
    by_month = rows.groupby("month")["pickup_datetime"].agg(["min", "max"])
    for month in by_month.index:
        start, end = pd.Timestamp(month), pd.Timestamp(month) + pd.offsets.MonthBegin()
        assert ((by_file["max"] >= start) & (by_file["min"] < end)).sum() == 6
        assert ((by_month["max"] >= start) & (by_month["min"] < end)).sum() == 1


def test_the_notebook_shows_what_the_prose_says():
    read = numbers(NOTEBOOK, "bytes_read")
    assert read["rows"].nunique() == 1
    assert read.loc["six by month", "KB"] < read.loc["six mixed", "KB"] / 4
    assert read.loc["and one column", "KB"] < read.loc["partitioned", "KB"] / 2
    small = numbers(NOTEBOOK, "compact")
    assert small.loc["after optimize", "requests"] < small.loc["daily files", "requests"] / 4
    both = flat_table(NOTEBOOK, "real_store")
    assert list(both) == ["moto", "SeaweedFS"] and (both["moto"] == both["SeaweedFS"]).all()
    rows = pd.to_numeric(flat_table(NOTEBOOK, "race")["rows"])
    assert set(rows[rows.index.str.startswith("checks")]) == {300}
    assert set(rows[rows.index.str.startswith("ignores")]) == {200}


def test_an_upsert_in_pieces_gives_the_same_table_as_at_once():
    """Seeds 0 to 19: files that arrive late, twice and in another order."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        old = pd.DataFrame({"trip_id": range(5), "minutes": 10.0, "changed": 0})
        changes = pd.DataFrame({"trip_id": rng.integers(0, 8, 30), "minutes": rng.random(30)})
        changes["changed"] = rng.permutation(30) + 1
        whole = EXERCISES.upsert(old, changes)
        pieces = [changes[:10], changes[10:20], changes[20:], changes[:10]]
        table = old
        for number in rng.permutation(4):
            table = EXERCISES.upsert(table, pieces[number])
        pd.testing.assert_frame_equal(table, whole)


@pytest.fixture
def dvc_day(tmp_path):
    rows = ROWS.rename(columns={"minutes": "duration"})
    day = data_versions.dvc_day(tmp_path / "dvc", rows, rows.assign(duration=rows["duration"] + 1))
    if day is None:
        pytest.skip("DVC is not there")
    return day


def test_dvc_needs_its_own_checkout_stores_whole_files_and_repeats_no_step(dvc_day):
    here, first = dvc_day["mean minutes here"], round(ROWS["minutes"].mean(), 3)
    assert here["git checkout v1"] == round(first + 1, 3), "git alone leaves the rows of v2"
    assert here["dvc checkout"] == here["dvc pull v1, dvc repro"] == first
    assert here["a clone at v2: dvc pull"] == round(first + 1, 3)
    assert dvc_day["files in the remote"].tolist() == [1] + 7 * [2]
    assert dvc_day["KB"].iloc[-1] == pytest.approx(2 * dvc_day["KB"].iloc[0], abs=2)
    assert dvc_day["mean.py ran"].tolist() == [0, 0, 0, 0, 0, 1, 1, 2]


def test_dvc_has_a_lock_and_without_its_environment_the_lesson_goes_on(tmp_path, monkeypatch):
    assert "\ndvc==" in environments.LOCKS["lake"].read_text(encoding="utf-8")

    def refused(name):
        raise environments.OtherEnvironmentError("no network")

    monkeypatch.setattr(environments, "make", refused)
    assert data_versions.dvc_day(tmp_path / "dvc", ROWS, ROWS) is None


def test_duckdb_and_pandas_agree():
    found = query("select sum(minutes) as total from rides", rides=ROWS)["total"][0]
    assert found == pytest.approx(ROWS["minutes"].sum())


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
    for name in ("bytes_read", "compact"):
        assert numbers(outcome.notebook, name).equals(numbers(NOTEBOOK, name)), name

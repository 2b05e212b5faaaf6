"""What the prediction log acknowledged is there once; the page of metrics and the trend are exact."""

import datetime as dt
import json
import math
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from weekly import WEEKLY

from course.monitor import Monitor
from course.stores import postgres
from walkforward.monitoring import (
    _LOG,
    PATIENCE,
    Joined,
    MonitoringError,
    PredictionLog,
    drift_metric,
    log_drift,
)

WRITERS, ROWS, BATCH = 4, 5_000 if WEEKLY else 2_000, 50


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


_numbers = count()


def new_place(kind: str, request, folder: Path) -> str:
    """A path or URL where no log is yet."""
    if kind == "sqlite":
        return str(folder / f"log_{next(_numbers)}.db")
    address, name = request.getfixturevalue("server").uri, f"log_{next(_numbers)}"
    engine = sa.create_engine(address)
    with engine.begin() as sql:
        sql.exec_driver_sql(f"CREATE SCHEMA {name}")
    engine.dispose()
    return f"{address}?options=-csearch_path%3D{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    return new_place(request.param, request, tmp_path)


@pytest.fixture
def log(tmp_path):
    with_file = PredictionLog(tmp_path / "log.db")
    yield with_file
    with_file.close()


# Writers that are killed

WRITER = """
import os, sys, time
import pandas as pd
from walkforward.monitoring import PredictionLog


class EagerLog(PredictionLog):
    '''Acknowledges at once and commits later, as a buffer does: the fault to be caught.'''

    kept = []

    def record(self, features, prediction, *, request_id):
        self.kept.append((features, prediction, request_id))
        if len(self.kept) == 20:
            for one in self.kept:
                super().record(one[0], one[1], request_id=one[2])
            self.kept.clear()
        return request_id


place, kind, writer, rows, batch, acknowledgements, stop_after = sys.argv[1:]
log = {"log": PredictionLog, "eager": EagerLog}[kind](place)
file = os.open(acknowledgements, os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # the kernel's once it is written
for start in range(0, int(rows), int(batch)):
    frame = pd.DataFrame({"row": range(start, start + int(batch))}, dtype=float)
    ids = log.record(frame, frame["row"] * 2, request_id=[f"{writer}-{row:05.0f}" for row in frame["row"]])
    os.write(file, "".join(f"{one}\\n" for one in ids).encode())
    if start + int(batch) == int(stop_after):
        time.sleep(600)
"""


def start_writer(place: str, folder: Path, writer: int, kind: str = "log", stop_after: int = 0):
    told = folder / f"acknowledged_{writer}.txt"
    arguments = [place, kind, str(writer), str(ROWS), str(BATCH), str(told), str(stop_after)]
    return subprocess.Popen([sys.executable, "-c", WRITER, *arguments]), told


def wait_until(there, seconds: float = 60) -> None:
    done = threading.Event()
    for _ in range(int(seconds * 500)):
        if there():
            return
        done.wait(0.002)
    raise AssertionError("it did not happen in time")


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def lost_or_doubled(place: str, acknowledged: list[str]) -> tuple[set[str], int]:
    """Acknowledged ids that are not in the log, and how many rows stand there more than once."""
    log = PredictionLog(place)
    ids = log.read()["request_id"]
    log.close()
    return set(acknowledged) - set(ids), int(ids.duplicated().sum())


def test_four_writers_and_a_kill_lose_nothing_that_was_acknowledged(place, tmp_path):
    writers = [start_writer(place, tmp_path, number) for number in range(WRITERS)]
    victim, told = writers[0]
    moment = random.randrange(200, ROWS - 500)
    wait_until(lambda: lines_in(told) >= moment)
    victim.send_signal(signal.SIGKILL)
    assert [process.wait(60) for process, _ in writers] == [-signal.SIGKILL, 0, 0, 0]

    acknowledged = [line for _, file in writers for line in file.read_text().split()]
    assert lines_in(told) < ROWS, "it was killed after its work"
    assert len(acknowledged) == len(set(acknowledged)) == (WRITERS - 1) * ROWS + lines_in(told)
    assert lost_or_doubled(place, acknowledged) == (set(), 0)
    log = PredictionLog(place)
    rows = log.read()
    assert (rows["yhat"] == 2 * rows["row"]).all()
    # At most the batch that was under way at the kill is there without an acknowledgement, and as a whole.
    assert len(rows) - len(acknowledged) in (0, BATCH)
    log.close()

    again, _ = start_writer(place, tmp_path, 0)  # whoever was killed may repeat all of its calls
    assert again.wait(60) == 0
    everything = [f"{writer}-{row:05d}" for writer in range(WRITERS) for row in range(ROWS)]
    log = PredictionLog(place)
    assert sorted(log.read()["request_id"]) == everything
    log.close()


def test_a_log_that_acknowledges_before_it_commits_is_caught(tmp_path):
    place = str(tmp_path / "log.db")
    process, told = start_writer(place, tmp_path, 0, kind="eager", stop_after=1_500)
    wait_until(lambda: lines_in(told) >= 1_500)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    lost, _ = lost_or_doubled(place, told.read_text().split())
    assert lost == {f"0-{row:05d}" for row in range(1_000, 1_500)}


def test_commits_reach_the_disk_and_readers_do_not_wait(log):
    with log._begin(write=False) as sql:
        assert sql.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert sql.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert sql.exec_driver_sql("PRAGMA busy_timeout").scalar() == PATIENCE * 1_000
        log.record({"a": 1}, 1.0)  # in another connection, while this one reads


def test_threads_share_one_log(place):
    log = PredictionLog(place)
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda row: log.record({"row": row}, row), range(200)))
    rows = log.read()
    assert sorted(rows["request_id"]) == sorted(ids)
    assert sorted(rows["row"]) == list(range(200))
    log.close()


def _record_in_child(log: PredictionLog, row: int) -> None:
    log.record({"row": row}, row, request_id=str(row))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_log_that_was_opened_before_a_fork_works_on_both_sides(place):
    log = PredictionLog(place)
    log.record({"row": -1}, -1.0, request_id="before")
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_record_in_child, args=(log, row)) for row in range(4)]
    for child in children:
        child.start()
    log.record({"row": -2}, -2.0, request_id="meanwhile")
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0] * 4
    assert set(log.read()["request_id"]) == {"before", "meanwhile", "0", "1", "2", "3"}
    log.close()


def test_programs_may_open_a_new_log_at_the_same_time(place):
    barrier = threading.Barrier(6)

    def open_and_write(row: int) -> None:
        barrier.wait()
        log = PredictionLog(place)
        log.record({"row": row}, row)
        log.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(open_and_write, range(6)))
    log = PredictionLog(place)
    assert sorted(log.read()["row"]) == list(range(6))
    log.close()


# Ids and labels


def test_an_id_that_comes_again_is_kept_once_and_refused_with_other_content(place):
    log = PredictionLog(place)
    for _ in range(2):
        assert log.record({"a": math.nan, "b": 1}, math.nan, request_id="x", model_version="1") == "x"
    frame = pd.DataFrame({"a": [None, 2.0], "b": [1, 2]}, dtype=object)
    assert log.record(frame, [math.nan, 2], request_id=["x", "y"], model_version="1") == ["x", "y"]
    assert log.read()["request_id"].tolist() == ["x", "y"]
    others = [
        ({"a": 5, "b": 1}, math.nan, "1"),
        ({"a": None, "b": 1}, 3, "1"),
        ({"a": None, "b": 1}, None, "2"),
    ]
    for features, prediction, version in others:
        with pytest.raises(MonitoringError, match="'x' is another prediction's: give each its own"):
            log.record(features, prediction, request_id="x", model_version=version)
    with pytest.raises(MonitoringError, match="'x'"):  # and with it its whole batch
        log.record(pd.DataFrame({"a": [1, 2]}), [1, 2], request_id=["new", "x"])
    assert len(log.read()) == 2
    log.close()


def test_labels_are_joined_once_and_the_others_are_named(place):
    log = PredictionLog(place)
    ids = log.record(pd.DataFrame({"a": range(4)}), range(4), request_id=list("abcd"), at="2020-04-01")
    assert log.add_labels({"a": 1.5, "b": np.float32(2.5)}, at="2020-04-02T10:00+02:00") == 2
    labels = pd.DataFrame({"request_id": ["a", "b", "c", "c", "c", "z"], "y": [1.5, 9, 3, 3, 4, 5]})
    joined = log.add_labels(labels, at="2020-04-03")
    assert isinstance(joined, Joined)
    assert (joined, joined.unknown, joined.repeated, joined.differing) == (1, ["z"], ["a", "c"], ["b", "c"])
    rows = log.read().set_index("request_id")
    assert rows["y"].tolist()[:3] == [1.5, 2.5, 3.0]
    assert math.isnan(rows.loc["d", "y"])
    assert rows.loc["a", "labelled_at"] == pd.Timestamp("2020-04-02T08:00Z")
    assert rows.loc["c", "labelled_at"] == pd.Timestamp("2020-04-03T00:00Z")
    assert log.read(with_labels=False)["request_id"].tolist() == ["d"]
    assert log.read(with_labels=True)["request_id"].tolist() == ["a", "b", "c"]
    assert log.add_labels({}) == 0
    assert ids == list("abcd")
    log.close()


def test_two_who_label_at_once_join_each_label_once(place):
    log = PredictionLog(place)
    ids = log.record(pd.DataFrame({"a": range(500)}), range(500))
    with ThreadPoolExecutor(4) as pool:
        joined = list(
            pool.map(lambda shift: log.add_labels(dict.fromkeys(ids[shift:] + ids[:shift], 1.0)), range(4))
        )
    assert sum(joined) == 500
    assert sum(len(one.repeated) for one in joined) == 1_500
    log.close()


def test_ids_and_versions_may_be_whole_numbers(log):
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    assert log.record(frame, np.ones((2,)), request_id=np.array([7, 8]), model_version=3) == ["7", "8"]
    assert log.add_labels({7: 1.5, np.int64(8): 2.5}) == 2
    assert log.read(model_version=3)["y"].tolist() == [1.5, 2.5]


def test_reading_back_by_time_and_version(place):
    log = PredictionLog(place)
    at = pd.date_range("2020-03-30", periods=4, tz="America/New_York")
    frame = pd.DataFrame({"hour": [1.0, 2.0, None, 4.0], "zone": list("abcä")})
    versions = ["1", "1", "2", "2"]
    log.record(frame, [5, 6, 7, 8], request_id=list("dcba"), model_version=versions, at=at, seconds=0.25)
    rows = log.read()
    expected = ["request_id", "at", "model_version", "hour", "zone", "yhat", "y", "seconds", "labelled_at"]
    assert list(rows) == expected
    pd.testing.assert_frame_equal(rows[["hour", "zone"]], frame)
    assert rows["request_id"].tolist() == list("dcba")
    assert (rows["at"] == at.tz_convert("UTC")).all()
    assert rows["seconds"].eq(0.25).all()
    assert log.read(model_version="2")["request_id"].tolist() == ["b", "a"]
    between = log.read(since=at[1], until=at[3])
    assert between["request_id"].tolist() == ["c", "b"]
    nothing = log.read(since="2030-01-01")
    assert nothing.empty
    assert nothing["at"].dtype == rows["at"].dtype
    assert nothing["y"].dtype == float
    log.close()


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)  # a half of a character is refused
DATES = st.datetimes(dt.datetime(1, 1, 2)) | st.dates()
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | TEXTS
    | st.just(pd.NA)
    | st.just(pd.NaT)
)
NUMPY = (
    st.floats(width=32).map(np.float32)
    | st.integers(-(2**31), 2**31 - 1).map(np.int32)
    | st.booleans().map(np.bool_)
    | TEXTS.map(np.str_)
)
VALUES = SCALARS | NUMPY | DATES | st.lists(SCALARS | NUMPY, max_size=3)


def as_read(value):
    """What the log gives back for a feature."""
    if isinstance(value, list):
        return [as_read(one) for one in value]
    if value is pd.NaT or value is pd.NA or value is None:
        return None
    if isinstance(value, dt.date):
        return pd.Timestamp(value).isoformat()
    if isinstance(value, str):  # `item()` and `str()` of a NumPy text would drop the zeros at its end
        return str.__str__(value)
    value = value.item() if isinstance(value, np.generic) else value
    return None if value != value else value


def write_and_compare(log: PredictionLog, features: dict, prediction: float) -> None:
    request_id = log.record(features, prediction)
    with log._begin(write=False) as sql:
        (row,) = log._stored(sql, [request_id]).values()
    expected = {name: as_read(value) for name, value in features.items()}
    assert row["features"] == expected
    assert {name: type(one) for name, one in row["features"].items()} == {
        name: type(one) for name, one in expected.items()
    }
    assert row["yhat"] == as_read(prediction)
    assert log.record(features, prediction, request_id=request_id) == request_id


NAMES = TEXTS.filter(lambda name: name not in _LOG.c)
odd = given(features=st.dictionaries(NAMES, VALUES, max_size=5), prediction=st.floats())
relaxed = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=150, **relaxed)
@example(features={"": np.str_("\0")}, prediction=0.0)
@odd
def test_odd_features_come_back_from_sqlite(log, features, prediction):
    write_and_compare(log, features, prediction)


@pytest.fixture(scope="module")
def server_log(request):
    log = PredictionLog(new_place("postgresql", request, Path()))
    yield log
    log.close()


@settings(max_examples=100, **relaxed)
@odd
def test_odd_features_come_back_from_postgresql(server_log, features, prediction):
    write_and_compare(server_log, features, prediction)


def test_features_are_json_for_every_reader(place):
    log = PredictionLog(place)
    log.record({"distance": math.inf, "note": '"NaN", Infinity\\', "gone": math.nan}, 1.0)
    with log._begin(write=False) as sql:
        text = sql.execute(sa.text("SELECT CAST(features AS TEXT) FROM prediction_log_1")).scalar()

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    assert json.loads(text, parse_constant=refuse) == {
        "distance": math.inf,
        "note": '"NaN", Infinity\\',
        "gone": None,
    }
    log.close()


# Errors


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"features": 5}, "features: .*'int'"),
        (
            {"features": {"when": {1, 2}}},
            r"features: '\{1, 2\}' is a set: log numbers, texts, dates or lists",
        ),
        ({"features": {"y": 1}}, "features: 'y' is a column of the log, rename the feature"),
        ({"features": pd.DataFrame({"a": [1, 2]})}, "a frame needs .* one prediction a row"),
        ({"features": pd.DataFrame([[1, 2]], columns=["a", "a"]), "prediction": [1]}, "columns that differ"),
        ({"prediction": "long"}, "yhat: 'long' is a text: give a number"),
        ({"prediction": [1, 2]}, "yhat has 2 values for 1 rows: give one a row"),
        ({"request_id": ""}, "a request id is empty or stands twice"),
        ({"request_id": "a\nb"}, r"'a\\nb' has characters that can't be printed: leave them out"),
        ({"request_id": "x" * 201}, "at most 200 printable characters: shorten it"),
        ({"request_id": None, "at": "soon"}, "at: .*soon"),
        ({"at": 1_585_699_200}, "at: 1585699200 is no time: give a datetime"),
        ({"at": pd.NaT}, "at: NaT is no time"),
        ({"seconds": "1 s"}, "seconds: '1 s' is a text: give a number"),
        ({"model_version": ["1", "2"]}, "model_version has 2 values for 1 rows"),
    ],
)
def test_what_is_no_prediction_is_refused(log, change, says):
    call = {"features": {"a": 1}, "prediction": 1.0} | change
    with pytest.raises(MonitoringError, match=says) as caught:
        log.record(call.pop("features"), call.pop("prediction"), **call)
    assert "\n" not in str(caught.value)
    assert log.read().empty


def test_an_id_twice_in_one_call_is_refused(log):
    with pytest.raises(MonitoringError, match="stands twice in one call"):
        log.record(pd.DataFrame({"a": [1, 2]}), [1, 2], request_id=["x", "x"])


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({"x": None}, "label 'x' is missing: leave it out until it is known"),
        ({"x": math.nan}, "label 'x' is missing"),
        ({"x": "long"}, "y: 'long' is a text: give a number"),
        (pd.DataFrame({"id": ["x"], "y": [1]}), "the labels have no column request_id: name it so"),
    ],
)
def test_what_is_no_label_is_refused(log, labels, says):
    log.record({"a": 1}, 1.0, request_id="x")
    with pytest.raises(MonitoringError, match=says):
        log.add_labels(labels)
    assert log.read(with_labels=True).empty


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("mysql://host/name", "mysql://host/name keeps no log: give a file's path or postgresql"),
        ("sqlite://", "sqlite:// keeps no log"),
        ("://", "Could not parse .* check the address"),
        ("postgresql://host:port/name", "check the address"),
        ("postgresql://[::1/name", "check the address"),
        ("a\0b", "keeps no log: give a file's path"),
        (None, "None keeps no log: give a file's path"),
        (7, "7 keeps no log: give a file's path"),
        (b"log.db", "b'log.db' keeps no log"),
        ("postgresql://me:a-secret@127.0.0.1:1/x", "refused.*; check the address"),
        ("sqlite:////no/such/folder/log.db", "unable to open database file; check the address, your rights"),
    ],
)
def test_a_place_that_keeps_no_log_is_named(where, says):
    with pytest.raises(MonitoringError, match=says) as caught:
        PredictionLog(where)
    assert "\n" not in str(caught.value)
    assert "a-secret" not in str(caught.value)


def test_files_that_are_no_log_are_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("my notes, " * 1_000)
    with pytest.raises(MonitoringError, match="notes.txt: file is not a database"):
        PredictionLog(text)
    assert text.read_text() == "my notes, " * 1_000


def test_a_file_that_may_only_be_read_is_refused(tmp_path):
    PredictionLog(tmp_path / "log.db").close()
    with pytest.raises(MonitoringError, match="readonly database; check the address, your rights there"):
        PredictionLog(f"sqlite:///file:{tmp_path / 'log.db'}?mode=ro&uri=true")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (
            "prediction_log_2 (request_id text)",
            "another version's table prediction_log_2: .* update walkforward",
        ),
        ("prediction_log_1 (request_id text, at text)", "a table without features: name a new place"),
    ],
)
def test_a_newer_or_a_foreign_table_is_refused_and_left_alone(place, table, says):
    engine = sa.create_engine(place if "://" in place else f"sqlite:///{place}")
    with engine.begin() as sql:
        sql.exec_driver_sql(f"CREATE TABLE {table}")
    with pytest.raises(MonitoringError, match=says):
        PredictionLog(place)
    assert sa.inspect(engine).get_table_names() == [table.split()[0]]
    engine.dispose()


# The page


def samples(page: bytes) -> dict:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


REPORT = pd.DataFrame(
    {
        "column": ["fare", 'odd "name"\n\\', "zone"],
        "effect": [0.125, math.nan, 0.5],
        "p_corrected": [1.0, 0.25, 1e-12],
        "drift": [False, False, True],
    }
)


def test_the_monitor_of_before_says_where_it_went():
    import walkforward.monitoring as module

    with pytest.warns(DeprecationWarning, match="walkforward.monitor is course.monitor now"):
        assert module.Monitor is Monitor


def test_the_page_is_read_by_prometheus_parser():
    monitor = Monitor()
    monitor.observe(0.004, rows=3)
    monitor.observe(0.3, rows=2)
    monitor.observe(12.0, rows=0, outcome="invalid")
    monitor.set_drift(REPORT)
    page = samples(monitor.page())
    assert page.pop(("walkforward_cpu_seconds_total",)) > 0
    assert page.pop(("walkforward_memory_bytes",)) > 10_000_000
    buckets = {key[1]: page.pop(key) for key in list(page) if key[0] == "walkforward_latency_seconds_bucket"}
    assert (buckets["0.005"], buckets["0.25"], buckets["0.5"], buckets["10.0"], buckets["+Inf"]) == (
        1,
        1,
        2,
        2,
        3,
    )
    assert page.pop(("walkforward_latency_seconds_sum",)) == pytest.approx(12.304, abs=1e-12)
    odd_name = 'odd "name"\n\\'
    assert page == {
        ("walkforward_requests_total", "ok"): 2,
        ("walkforward_requests_total", "invalid"): 1,
        ("walkforward_rows_total",): 5,
        ("walkforward_latency_seconds_count",): 3,
        ("walkforward_drift_effect", "fare"): 0.125,
        ("walkforward_drift_effect", "zone"): 0.5,
        ("walkforward_drift_p_corrected", "fare"): 1.0,
        ("walkforward_drift_p_corrected", odd_name): 0.25,
        ("walkforward_drift_p_corrected", "zone"): 1e-12,
        ("walkforward_drift_detected", "fare"): 0,
        ("walkforward_drift_detected", odd_name): 0,
        ("walkforward_drift_detected", "zone"): 1,
    }


def test_columns_that_left_the_report_leave_the_page():
    monitor = Monitor()
    monitor.set_drift(REPORT)
    monitor.set_drift(REPORT[:1].assign(column="tip", effect=0.75))
    drift = {key: value for key, value in samples(monitor.page()).items() if "drift_effect" in key[0]}
    assert drift == {("walkforward_drift_effect", "tip"): 0.75}
    monitor.set_drift(REPORT[:0])
    assert not [key for key in samples(monitor.page()) if "drift" in key[0]]


def test_the_page_is_served_and_gone_after_the_block():
    monitor = Monitor()
    with monitor.serve() as url:
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/metrics")
        monitor.observe(0.5, rows=7)
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            assert samples(answer.read())[("walkforward_rows_total",)] == 7
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(MonitoringError, match=f"port {port} can't be had"), Monitor().serve(port):
            pass
    with pytest.raises(OSError):
        urllib.request.urlopen(url, timeout=2)


def test_pages_of_many_threads_count_everything():
    monitor = Monitor()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: (monitor.observe(0.01), monitor.page()), range(200)))
    assert samples(monitor.page())[("walkforward_requests_total", "ok")] == 200


@pytest.mark.parametrize(
    ("report", "says"),
    [
        (REPORT.drop(columns="effect"), "the report has no effect: pass what drift_report returns"),
        (pd.concat([REPORT, REPORT]), "stands twice in the report: pass that of one period"),
        (None, "None is no report: pass what drift_report returns"),
        (REPORT.set_axis(["column", "effect", "effect", "drift"], axis=1), "is no report"),
        (REPORT.assign(effect="high"), "effect: 'high' is a text: give a number"),
        (REPORT.assign(drift=[[1], [0], [1]]), r"drift: \[1\] is a list|detected: \[1\] is a list"),
    ],
)
def test_what_is_no_report_is_refused(report, says):
    with pytest.raises(MonitoringError, match=says):
        Monitor().set_drift(report)


def test_a_name_that_utf_8_can_not_write_leaves_the_page_whole():
    monitor = Monitor()
    monitor.observe(0.1, outcome="lacks \udcff")
    monitor.set_drift(REPORT.assign(column=["a|b", "\ud800", ("a", 1)]))
    drift = [key[1] for key in samples(monitor.page()) if key[0] == "walkforward_drift_detected"]
    assert drift == ["a|b", "\\ud800", "('a', 1)"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((-1.0,), "seconds is -1.0: give a number, 0 or more"),
        ((math.nan,), "seconds is nan"),
        ((math.inf,), "seconds is inf"),
        (("1",), "seconds: '1' is a text"),
        ((0.1, -1), "rows is -1"),
        ((0.1, None), "rows is None"),
    ],
)
def test_what_is_no_request_is_not_counted(arguments, says):
    monitor = Monitor()
    with pytest.raises(MonitoringError, match=says):
        monitor.observe(*arguments)
    after = samples(monitor.page())
    assert after[("walkforward_latency_seconds_count",)] == after[("walkforward_rows_total",)] == 0


def test_a_registry_has_one_monitor_and_a_port_is_a_number():
    monitor = Monitor()
    with pytest.raises(MonitoringError, match="has a Monitor already: give each a registry"):
        Monitor(monitor.registry)
    for port in (-1, 70_000, 1.5):
        with pytest.raises(MonitoringError, match=f"port {port} can't be had"), monitor.serve(port):
            pass


# The trend


@pytest.fixture
def store(tmp_path, monkeypatch):
    import mlflow

    before = mlflow.get_tracking_uri()
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri(f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}")
    yield mlflow
    mlflow.set_tracking_uri(before)


def test_the_trend_is_read_back_from_the_store(store):
    periods = {
        "2020-03": REPORT,
        "2020-04": REPORT.assign(effect=[0.5, 1, math.inf], drift=[True, False, True]),
    }
    history = pd.concat([frame.assign(period=period) for period, frame in periods.items()])
    run_id = log_drift(history, step=26, experiment="drift")
    assert log_drift(REPORT[:1], step=28, run_id=run_id) == run_id
    client = store.MlflowClient()

    def trend(key: str) -> dict[int, float]:
        return {point.step: point.value for point in client.get_metric_history(run_id, key)}

    assert trend("drift_effect/fare") == {26: 0.125, 27: 0.5, 28: 0.125}
    assert trend("drift_effect/zone") == {26: 0.5}
    assert trend("drift_p_corrected/zone") == {26: 1e-12, 27: 1e-12}
    assert trend("drift_detected/zone") == {26: 1, 27: 1}
    assert trend(drift_metric("effect", 'odd "name"\n\\')) == {27: 1.0}
    assert trend("drift_columns") == {26: 1, 27: 2, 28: 0}
    (run,) = store.search_runs(experiment_names=["drift"], output_format="list")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["drift_effect/fare"] == 0.125

    with store.start_run() as active:
        assert log_drift(REPORT) == active.info.run_id
        wide = pd.concat([REPORT[:1].assign(column=f"column {number}") for number in range(400)])
        log_drift(wide, step=1)  # more than one call to the store may carry
    assert len(client.get_run(active.info.run_id).data.metrics) == 3 * 400 + 1 + 8

    store.delete_experiment(store.create_experiment("gone"))
    for where, says in (({"run_id": "0" * 32}, "not found"), ({"experiment": "gone"}, "is deleted")):
        told = f"the drift can't be logged: .*{says}.*; check the run, or the tracking URI"
        with pytest.raises(MonitoringError, match=told) as caught:
            log_drift(REPORT, **where)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"step": "1"}, "step is '1': give a whole number"),
        ({"step": 1.5}, "step is 1.5"),
        ({"run_id": 7}, "run_id is 7: give a text, or leave it out"),
        ({"experiment": 7}, "experiment is 7: give a text"),
        ({"report": REPORT.assign(period=["2020-03", None, "2020-03"])}, "a row of the report has no period"),
        ({"report": "report"}, "'report' is no report"),
    ],
)
def test_a_trend_that_can_not_be_logged_is_named(call, says):
    with pytest.raises(MonitoringError, match=says) as caught:
        log_drift(**{"report": REPORT} | call)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["", "drift", None, 5, ["effect"]])
def test_a_metric_of_no_kind_is_refused(kind):
    with pytest.raises(MonitoringError, match="kind is .*: give effect, p_corrected or detected"):
        drift_metric(kind, "fare")


def test_names_of_metrics_are_legal_and_differ():
    from mlflow.utils.validation import _validate_metric_name

    columns = [
        "fare",
        "fare$",
        "fare%",
        "fare_",
        "..",
        ".",
        "",
        "a/b",
        "a//b",
        "/",
        "ä",
        "x" * 300,
        "x" * 301,
        "\n",
        "a|b",
        "\ud800",
        "\ud801",
    ]
    names = [drift_metric("effect", column) for column in columns]
    for name in names:
        _validate_metric_name(name)
        assert len(name) <= 250
    assert len(set(names)) == len(columns)
    assert names[0] == "drift_effect/fare"

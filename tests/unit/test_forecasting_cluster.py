"""A backtest on workers with a memory of their own: the same bits, data once a worker, a worker lost."""

import pickle
import subprocess
import sys
import threading
import uuid
from contextlib import suppress
from functools import partial
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import psutil
import pytest
from joblib._parallel_backends import ThreadingBackend
from sklearn.linear_model import Ridge

from walkforward.forecasting import ForecastError, SeasonalNaive, WalkForwardSplit, backtest, backtesting
from walkforward.forecasting.per_series import SERIES

FOLDS = WalkForwardSplit(7, 4, window="rolling", max_train_size=140)  # cutoffs: days 181 to 202 of 210
TASK_BYTES = 20_000  # to the scheduler, to the worker, and 112 rows of forecasts back
quiet = {"progress": False}


class Weekdays:
    """The mean of each weekday, with Prophet's interface; `folder` gets a file for each fit."""

    def __init__(self, folder=None):
        self.folder = None if folder is None else Path(folder)

    def fit(self, frame):
        if self.folder is not None:
            (self.folder / f"fit-{uuid.uuid4().hex}").touch()
            if (self.folder / "broken").exists() and len(list(self.folder.glob("fit-*"))) > 60:
                raise RuntimeError("a disk is full")
            with suppress(FileNotFoundError):  # one of the workers is first
                (self.folder / "hang").rename(self.folder / f"hangs-{psutil.Process().pid}")
                threading.Event().wait()  # until the process is killed
        self.means = frame.groupby(frame["ds"].dt.dayofweek)["y"].mean()
        return self

    def predict(self, future):
        yhat = future["ds"].dt.dayofweek.map(self.means)
        return future[["ds"]].assign(yhat=yhat, yhat_lower=yhat - 1, yhat_upper=yhat + 1)


def panel(series=50, seed=0):
    """Series of 210 days, of which every third begins later and every fourth ends earlier."""
    rng, days, frames = np.random.default_rng(seed), pd.date_range("2020-01-01", periods=210), []
    for i in range(series):
        own = days[40 * (i % 3 == 0) : 210 - 17 * (i % 4 == 0)]
        y = rng.normal(10, 1, len(own)) + own.dayofweek
        frames.append(pd.DataFrame({"unique_id": f"s{i:03}", "ds": own, "y": y}))
    return pd.concat(frames, ignore_index=True)


def week_before(frame):
    return frame.groupby("unique_id")["y"].shift(7).to_frame("week_before")


FRAME = panel()
CALLS = {
    "global": (Ridge(), {"lags": [7, 14], "calendar": "US"}),
    "day by day": (Ridge(), {"lags": 3, "intervals": 0.8}),
    "a builder": (Ridge(), {"features": week_before, "refit": False}),
    "naive": (SeasonalNaive(7), {}),
    "local": (Weekdays, {}),
    "local, two trainings": (Weekdays, {"refit": 2}),
}


@pytest.fixture(scope="module", autouse=True)
def by_value():
    """This module's classes travel as those of a notebook do: workers can't import it."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def client():
    """Two processes of one thread. The client is closed before its cluster: nannies warn otherwise."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def on_cluster(*arguments, **options):
    with joblib.parallel_config(backend="dask"):
        return backtest(*arguments, **options, **quiet)


# ---------------------------------------------------------------- the same bits
@pytest.mark.parametrize("call", CALLS)
def test_a_cluster_gives_the_bits_of_threads(call, client):
    model, options = CALLS[call]
    threads = backtest(FRAME, model, FOLDS, **options, **quiet)
    cluster = on_cluster(FRAME, model, FOLDS, **options)
    pd.testing.assert_frame_equal(cluster, threads, check_exact=True)


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_other_backends_of_processes_give_the_bits_of_threads(backend):
    threads = backtest(FRAME, SeasonalNaive(7), FOLDS, **quiet)
    with joblib.parallel_config(backend=backend):
        processes = backtest(FRAME, SeasonalNaive(7), FOLDS, n_jobs=2, **quiet)
    pd.testing.assert_frame_equal(processes, threads, check_exact=True)


def test_a_backend_that_gives_lists_and_shares_no_memory_is_served():
    class Lists(ThreadingBackend):  # Spark's backend says as much of itself
        supports_return_generator = False
        supports_sharedmem = False

    joblib.register_parallel_backend("lists", Lists)
    with joblib.parallel_config(backend="lists"):
        found = backtest(FRAME, Weekdays, FOLDS, n_jobs=2, **quiet)
    pd.testing.assert_frame_equal(found, backtest(FRAME, Weekdays, FOLDS, **quiet), check_exact=True)


def test_walkforward_imports_no_cluster():
    code = "import sys, walkforward.forecasting; print({'dask', 'distributed', 'ray'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


# ---------------------------------------------------------------- parts of a panel
@pytest.mark.parametrize("series", [1, 2, SERIES, SERIES + 1, 3 * SERIES - 1])
@pytest.mark.parametrize("model", [SeasonalNaive(7), Weekdays], ids=["naive", "local"])
def test_a_series_has_the_forecasts_that_it_has_alone(series, model):
    frame = panel(series + 1, seed=series)
    whole = backtest(frame, model, FOLDS, **quiet)
    for name, one in frame.groupby("unique_id"):
        if one["ds"].max() == frame["ds"].max():  # it has the folds of all
            alone, there = backtest(one, model, FOLDS, **quiet), whole[whole["unique_id"] == name]
            pd.testing.assert_frame_equal(there.reset_index(drop=True), alone, check_exact=True)


def test_parts_are_equal_in_number_and_small():
    columns = backtesting.Columns([], None, None, [], {}, None, True)
    settings = backtesting._Settings(Weekdays, FOLDS, "recursive", columns, True, None, False)
    task, _, _ = backtesting._planned(settings, backtesting.panel_and_faults(FRAME)[0])
    parts = task.parts()
    assert [name for part in parts for name in part.panel.ids] == list(task.panel.ids)
    assert {len(part.y) for part in parts} == {12, 13}
    assert [part.panel.first for part in parts] == [0, 12, 25, 37]
    for part in parts:
        np.testing.assert_array_equal(part.y, part.panel.matrix(part.panel.frame["y"]))
        assert len(cloudpickle.dumps(part)) < len(cloudpickle.dumps(task)) / 3


def test_a_part_may_be_without_rows_at_a_cutoff():
    late = panel(20).assign(unique_id=lambda x: "z" + x["unique_id"]).query("ds > '2020-07-10'")
    found = backtest(pd.concat([panel(20), late]), SeasonalNaive(2), FOLDS, bad_series="drop", **quiet)
    cutoffs = found.assign(late=found["unique_id"].str.startswith("z")).groupby("cutoff")["late"].sum()
    assert list(cutoffs > 0) == [False, False, True, True]
    assert found["h"].dtype.kind == "i" and found["y"].notna().all()


@pytest.mark.parametrize("model", [SeasonalNaive(2), Weekdays], ids=["naive", "local"])
def test_a_fold_without_rows_is_refused_before_anything_is_computed(model, tmp_path):
    days = pd.date_range("2020-01-01", periods=210)
    a = pd.DataFrame({"unique_id": "a", "ds": days[:189], "y": 1.0})
    b = pd.DataFrame({"unique_id": "b", "ds": days[192:], "y": 1.0})
    with pytest.raises(ForecastError, match="cutoff 2020-07-07: no series can be forecast"):
        backtest(pd.concat([a, b]), model, FOLDS, store=tmp_path, **quiet)
    assert list(tmp_path.rglob("*.parquet")) == []


# ---------------------------------------------------------------- what travels
def test_data_travel_once_a_worker_and_tasks_stay_small(client, tmp_path, monkeypatch):
    from distributed.comm.tcp import TCP

    sent, write = [], TCP.write

    async def counted(self, *args, **kwargs):
        sent.append(await write(self, *args, **kwargs))
        return sent[-1]

    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    large, tasks = panel(160), 160 // SERIES * FOLDS.n_splits
    on_cluster(large, Weekdays, FOLDS)  # imports and the like are behind us
    client.run(_watch)
    monkeypatch.setattr(TCP, "write", counted)
    on_cluster(large, Weekdays, FOLDS)
    monkeypatch.undo()
    assert sum(sent) / tasks < TASK_BYTES < len(pickle.dumps(large)) / 20, sum(sent) / tasks
    read_by_worker = client.run(_watched)
    assert len(set().union(*read_by_worker.values())) == 160 // SERIES
    for read_parts in read_by_worker.values():
        assert len(read_parts) == len(set(read_parts)) > 0
    assert list(tmp_path.iterdir()) == []


def _watch():
    """Note what this worker reads."""
    backtesting.seen, loads = [], pickle.loads

    class Watched:
        loads = staticmethod(lambda content: backtesting.seen.append(hash(content)) or loads(content))

    backtesting.pickle = Watched


def _watched():
    backtesting.pickle = pickle
    return backtesting.seen


def test_a_worker_keeps_the_parts_of_one_backtest(tmp_path, monkeypatch):
    monkeypatch.setattr(backtesting, "_read", {})
    for job in ("job-a", "job-b"):
        (tmp_path / job).mkdir()
        for part in ("0", "1"):
            (tmp_path / job / part).write_bytes(pickle.dumps(job + part))
            assert backtesting._part(str(tmp_path / job / part)) == job + part
    assert list(backtesting._read.values()) == ["job-b0", "job-b1"]


def test_a_folder_that_the_workers_do_not_share_is_told_with_the_way_out(tmp_path):
    message = "a worker can't read the data .*store= or the environment variable JOBLIB_TEMP_FOLDER a folder"
    with pytest.raises(ForecastError, match=message):
        backtesting._part(str(tmp_path / "0"))


# ---------------------------------------------------------------- lost and resumed
def test_the_tasks_of_a_lost_worker_run_again(client, tmp_path):
    (tmp_path / "hang").touch()
    ended = threading.Event()

    def kill():
        while not (hangs := list(tmp_path.glob("hangs-*"))):
            if ended.wait(0.05):
                return
        psutil.Process(int(hangs[0].name.partition("-")[2])).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        found = on_cluster(FRAME, partial(Weekdays, str(tmp_path)), FOLDS)
    finally:
        ended.set()
        killer.join()
    assert list(tmp_path.glob("hangs-*"))
    pd.testing.assert_frame_equal(found, backtest(FRAME, Weekdays, FOLDS, **quiet), check_exact=True)


def test_a_store_is_taken_up_on_threads_and_on_a_cluster(client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a relative folder: the workers have another working directory
    told = tmp_path / "told"
    told.mkdir()
    (told / "broken").touch()
    call = (FRAME, partial(Weekdays, str(told)), FOLDS)
    with pytest.raises(RuntimeError, match="a disk is full"):
        on_cluster(*call, store="kept")
    (told / "broken").unlink()
    kept = len(list(Path("kept").rglob("*.parquet")))
    assert 0 < kept < 16
    done = len(list(told.glob("fit-*")))
    found = on_cluster(*call, store="kept")
    anew = len(list(told.glob("fit-*"))) - done
    assert anew < 50 * 4 and len(list(Path("kept").rglob("*.parquet"))) == 16
    again = backtest(*call, store="kept", **quiet)
    assert len(list(told.glob("fit-*"))) == done + anew
    plain = backtest(FRAME, Weekdays, FOLDS, **quiet)
    for one in (found, again):
        pd.testing.assert_frame_equal(one, plain, check_exact=True)
    assert list(Path("kept").rglob("job-*")) == []


def test_two_that_write_one_fold_at_once_both_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", lambda self, other: (_ for _ in ()).throw(FileNotFoundError(self)))
    found = backtest(FRAME, SeasonalNaive(7), FOLDS, store=tmp_path, **quiet)
    pd.testing.assert_frame_equal(found, backtest(FRAME, SeasonalNaive(7), FOLDS, **quiet))

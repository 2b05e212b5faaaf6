"""Lesson 16b: two workers' trees, gradients of two ranks, searches on a store and on a clock, Spark."""

import multiprocessing
import re
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import xgboost as xgb
from shown import Shown
from solved import smaller
from weekly import WEEKLY
from xgboost import dask as dxgb

from course import environments
from course.data import load_trips, months, prepare_trips
from course.environments import OtherEnvironmentError
from course.stores import postgres
from lessons.on_spark import recorded
from lessons.two_workers import cluster, search
from lessons.two_workers.ranks import two_steps

ROOT = Path(__file__).resolve().parents[1]
STEM = "16b_training_on_a_cluster"
SETTINGS = {
    "objective": "reg:squarederror",
    "max_depth": 5,
    "learning_rate": 0.2,
    "max_bin": 256,
    "nthread": 1,
}
NETWORK = [(6, 64), (65, 64), (65, 1)]
COARSE = ["miles", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
FINE = [*COARSE[:3], "time of day", "weekday"]


@pytest.fixture(scope="module")
def trips():
    rows = prepare_trips(load_trips(months("2018-01", "2018-09"))).sort_values(
        "pickup_datetime", kind="stable"
    )
    pickup = rows["pickup_datetime"].dt
    rows = rows.assign(hour=pickup.hour, weekday=pickup.dayofweek, month=pickup.strftime("%Y-%m"))
    rows["time of day"] = rows["hour"] + pickup.minute / 60 + pickup.second / 3600
    rows["miles"] = rows["trip_distance"].clip(upper=25).round(1)
    return rows.astype(dict.fromkeys([*COARSE, "time of day"], float))


@pytest.fixture(scope="module")
def client():
    with cluster.workers(2) as client:
        yield client


def minutes(booster, rows, columns):
    return booster.predict(xgb.DMatrix(rows[columns].to_numpy()))


def trained_together(client, parts, columns):
    X, y = cluster.placed(client, parts, columns, "duration")
    data = dxgb.DaskDMatrix(client, X, y)
    watch = {"evals": [(data, "train")], "custom_metric": cluster.tell_rank, "verbose_eval": False}
    return dxgb.train(client, SETTINGS, data, num_boost_round=15, **watch)["booster"]


# A third half-year, and another cut between the workers than in the lesson.
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_two_workers_give_one_machines_answers_where_bins_are_exact_and_not_elsewhere(trips, client, share):
    rows, later = trips[trips["month"] <= "2018-06"], trips[trips["month"] > "2018-06"]
    cut = int(share * len(rows))
    for columns, same in ((COARSE, True), (FINE, False)):
        assert (rows[columns].nunique().max() <= 256) == same
        alone = xgb.train(SETTINGS, xgb.DMatrix(rows[columns].to_numpy(), rows["duration"]), 15)
        both = trained_together(client, [rows[:cut], rows[cut:]], columns)
        one, two = minutes(alone, later, columns), minutes(both, later, columns)
        assert (np.abs(one - two).max() < 1e-3) == same
        errors = [((found - later["duration"]) ** 2).mean() ** 0.5 for found in (one, two)]
        assert abs(errors[0] - errors[1]) < 0.05
    told = cluster.ranks(client)
    mine = told[told["rows"].isin([cut, len(rows) - cut])]
    assert set(mine["rank"]) == {0, 1} and set(mine["of"]) == {2}


def test_of_rows_that_lie_on_one_worker_one_rank_trains(trips, client):
    import dask.array as da

    where, rows = cluster.addresses(client)[:1], trips[:4000]
    blocks = {}
    for name, columns in (("X", COARSE), ("y", "duration")):
        parts = [rows[columns].to_numpy()[half] for half in (slice(0, 2000), slice(2000, 4000))]
        put = [client.scatter(part, workers=where, hash=False) for part in parts]
        arrays = [da.from_delayed(p, part.shape, part.dtype) for p, part in zip(put, parts, strict=True)]
        blocks[name] = da.concatenate(arrays)
    data = dxgb.DaskDMatrix(client, blocks["X"], blocks["y"])
    watch = {"evals": [(data, "train")], "custom_metric": cluster.tell_rank, "verbose_eval": False}
    dxgb.train(client, SETTINGS, data, num_boost_round=1, **watch)
    last = cluster.ranks(client).query("rows == 4000")
    assert last[["rank", "of"]].to_numpy().tolist() == [[0, 1]]


def batch(seed, rows=600):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 5)).astype(np.float32)
    return X, (2 * X[:, :1] + np.sin(X[:, 1:2])).astype(np.float32)


@pytest.mark.parametrize(("size", "seed"), [(2, 0), (3, 1)])
def test_ranks_have_one_machines_gradient_and_the_bytes_of_the_formulas(size, seed):
    X, y = batch(seed)
    (alone,) = two_steps([(X, y)], NETWORK)
    cuts = np.split(np.arange(len(X)), [50, 400][: size - 1])
    padded = sum(-(-int(np.prod(shape)) // size) * size for shape in NETWORK)
    for how, times, holds in (("replicated", 2, 1), ("sharded", 3, size)):
        for rank in two_steps([(X[cut], y[cut]) for cut in cuts], NETWORK, how):
            for what in ("gradient", "weights"):
                assert np.allclose(rank[what], alone[what], rtol=0, atol=1e-5 * np.abs(alone[what]).max())
            assert rank["sent"] == times * (size - 1) * 4 * padded // size
            assert rank["held"] == 16 * padded // holds
    assert [one for one in multiprocessing.active_children() if "Dask" not in one.name] == []


def test_the_mean_of_means_is_another_gradient_unless_parts_are_equal():
    for seed in range(3):
        X, y = batch(seed)
        (whole,) = two_steps([(X, y)], NETWORK)
        for cut, same in ((100, False), (300, True)):
            parts = [
                two_steps([part], NETWORK)[0]["gradient"] for part in ((X[:cut], y[:cut]), (X[cut:], y[cut:]))
            ]
            off = np.abs(np.mean(parts, axis=0) - whole["gradient"]).max() / np.abs(whole["gradient"]).max()
            assert (off < 1e-5) == same


def test_two_workers_share_a_study_and_equal_calls_need_pure_false(trips, client, tmp_path):
    rows = trips[:1000]
    with postgres(tmp_path) as server:
        study = optuna.create_study(study_name="trips", storage=server.uri)
        put, where = client.scatter(rows, broadcast=True), cluster.addresses(client)
        what = (search.work, server.uri, "trips", 2, put, COARSE)
        jobs = [client.submit(*what, workers=[one], pure=False) for one in where]
        assert sorted(sum(client.gather(jobs), [])) == [0, 1, 2, 3]
        same = [client.submit(*what, workers=[one]) for one in where]
        assert same[0].key == same[1].key and client.gather(same)[0] == [4, 5]
        assert [trial.state.is_finished() for trial in study.trials] == [True] * 6


def test_who_does_not_wait_is_busier_and_ahead_early_and_equal_in_the_end():
    """Other seeds than the lesson's."""
    measured, seeds = search.Measured(), range(100, 108)
    runs = {waits: [measured.search(8, waits, seed, 48) for seed in seeds] for waits in (True, False)}
    for rounds, free in zip(runs[True], runs[False], strict=True):
        assert free["at"].max() < rounds["at"].max()
        assert len(rounds) == len(free) == 48 and rounds["at"].is_monotonic_increasing
    early = [search.known_at(a, 1) - search.known_at(b, 1) for a, b in zip(*runs.values(), strict=True)]
    late = [a["regret"].iloc[-1] - b["regret"].iloc[-1] for a, b in zip(*runs.values(), strict=True)]
    assert sum(x > 0 for x in early) >= 6 and sum(x < 0 for x in early) <= 1
    assert 2 <= sum(x > 0 for x in late) <= 6
    busy = [search.medians({"it": some}, {"it": 8}).loc["it", "busy %"] for some in runs.values()]
    assert busy[0] < 60 < 80 < busy[1]


def test_one_worker_takes_the_sum_of_all_seconds():
    run = search.Measured().search(1, False, 3, 12)
    assert run["at"].iloc[-1] == pytest.approx(run["seconds"].sum())
    assert (
        search.known_at(run, 0.0) == run["regret"][0]
        and search.known_at(run, np.inf) == run["regret"].iloc[-1]
    )


def test_the_record_tells_what_the_lesson_claims():
    told = recorded.told()
    work, salted = told["work"], told["work"]["join, salted"]["rows of each task"]
    assert work["filter and group"]["jobs"] == 0 and work["collect"]["stages"] == 2
    assert work["collect"]["shuffled"] < 50 < work["repartition, then collect"]["shuffled"] < told["rows"]
    plain = work["join"]["rows of each task"]
    assert len(plain) == 8 and plain[0] > 0.9 * sum(plain) and salted[0] < 0.3 * sum(salted)
    assert work["join, broadcast"]["shuffled"] < 50
    assert told["cache"]["with, max"] * 2 == told["cache"]["without, max"] == 2 * told["rows"]
    assert {one["largest difference"] for one in told["scored"].values()} == {0.0}
    seconds = told["seconds"]
    assert seconds["a session starts"] > 5 * seconds["the same query in pandas"]


def test_what_the_lesson_shows_of_the_job_is_in_the_job():
    text = (ROOT / "src" / "lessons" / f"{STEM}.py").read_text(encoding="utf-8")
    job = re.sub(r"\s+", "", (recorded.HERE / "job.py").read_text(encoding="utf-8"))
    blocks = re.findall(r"# ```python\n(.*?)# ```", text, re.DOTALL)
    lines = [line.removeprefix("# ") for block in blocks for line in block.splitlines()]
    assert len(lines) == 5
    assert [line for line in lines if re.sub(r"\s+", "", line) not in job] == []


def test_spark_tells_the_same_again_where_java_is():
    """Weekly where the environment is not there yet: it fetches half a gigabyte."""
    if not recorded.java():
        pytest.skip("no Java 17: the job on Spark can't run here")
    if environments.interpreter("spark") is None and not WEEKLY:
        pytest.skip("weekly (make test WEEKLY=1), or after `walkforward env spark`: the job on Spark")
    try:
        told = recorded.told_anew()
    except OtherEnvironmentError as error:
        pytest.skip(str(error))
    record = recorded.told()
    for name in record.keys() - {"seconds"}:
        assert told[name] == record[name], name


def test_the_lesson_shows_the_ranks_and_the_winner():
    shown = Shown(STEM)
    assert len(re.findall(r"^ *[01] +2 +29", shown.output("ranks"), re.MULTILINE)) == 4
    table = shown.table("boosted").apply(pd.to_numeric)
    assert (table["difference"] < 1e-3).tolist() == [True, False, True, False]
    assert (table["averaged"] < table["one machine"]).all()


def test_a_smaller_lesson_runs_too():
    assert smaller(STEM).faults == []

"""Lesson 04: what its text says of searches, stops and prunings holds over named seeds and in its outputs."""

import json
import re
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
import optuna
import pandas as pd
import pytest
from hyperopt import rand, tpe
from sklearn.metrics import root_mean_squared_error
from test_lesson_11b import output, table
from xgboost import XGBRegressor

from authoring import build
from authoring.execute import Runner
from course.data import load_trips, months, prepare_trips
from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "04_tuning.py")
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "04_tuning.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "04_tuning.py")
SEEDS = range(40)  # named, so that a claim of order is the same on every machine
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
CELLS = ("space", "record", "replay", "replay_grid", "known", "suggest", "halve")


def lessons_functions():
    """The lesson's own cells that search the record, executed without its data and its store."""
    source = {cell.id: cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code"}
    names = {"np": np, "pd": pd, "ROOT": ROOT, "partial": partial, "evaluations": 64, "optuna": optuna}
    setup = (
        "from hyperopt import fmin, hp, rand, tpe\nfrom hyperopt.pyll import scope\n"
        "from sklearn.model_selection import ParameterGrid\n"
    )
    exec(setup, names)
    for name in CELLS:
        exec(re.split(r"again = rmse\(|searches = ", source[name])[0], names)
    exec(source["optuna_record"].split("searches[")[0], names)
    return names


@pytest.fixture(scope="module")
def lesson():
    return lessons_functions()


@pytest.fixture(scope="module")
def searches(lesson):
    """64 look-ups of each method for seeds 0 to 39: random, grid, hyperopt's TPE and Optuna's."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    eager = partial(tpe.suggest, verbose=False)
    return {
        "grid": [lesson["replay_grid"](seed) for seed in SEEDS],
        "random": [lesson["replay"](rand.suggest, seed) for seed in SEEDS],
        "TPE": [lesson["replay"](eager, seed) for seed in SEEDS],
        "Optuna": [lesson["replay_optuna"](seed) for seed in SEEDS[:20]],
    }


def best(lesson, traces, at, by="evaluations"):
    return np.array([float(lesson["known"](trace, at, by)) for trace in traces])


# The searches -----------------------------------------------------------------------------------------------


def test_below_its_start_tpe_is_random_search(searches):
    for ours, theirs in zip(searches["TPE"], searches["random"], strict=True):
        assert np.array_equal(ours[:20], theirs[:20])
        assert not np.array_equal(ours, theirs)


def test_tpe_beats_random_and_random_a_grid_at_64_trials(lesson, searches):
    medians = {method: np.median(best(lesson, traces, 64)) for method, traces in searches.items()}
    assert medians["TPE"] < medians["random"] - 0.004
    assert medians["random"] < medians["grid"] - 0.01
    ours, theirs = (best(lesson, searches[method], 64) for method in ("TPE", "random"))
    assert (ours < theirs).sum() > 2 * (ours > theirs).sum()
    assert (ours > theirs).sum() >= 5, "no law: it loses some seeds"


def test_by_seconds_the_lead_is_smaller_and_the_trials_are_fewer(lesson, searches):
    by_trials, by_seconds = (
        np.median(best(lesson, searches["random"], *budget))
        - np.median(best(lesson, searches["TPE"], *budget))
        for budget in ((64, "evaluations"), (10, "seconds"))
    )
    assert 0 < by_seconds < 0.6 * by_trials
    ended = {m: np.median([(t[:, 1].cumsum() <= 10).sum() for t in searches[m]]) for m in ("TPE", "random")}
    assert ended["TPE"] < ended["random"] - 5


def test_optuna_is_ahead_after_20_trials(lesson, searches):
    ours, theirs = (np.median(best(lesson, searches[m][:20], 20)) for m in ("Optuna", "TPE"))
    assert ours < theirs - 0.005


def test_one_run_of_each_says_little(lesson, searches):
    """Among the first eight seeds each of grid and TPE is best once, and each method is worst once."""
    ends = pd.DataFrame({m: best(lesson, searches[m][:8], 64) for m in ("grid", "random", "TPE")})
    assert {"grid", "TPE"} <= set(ends.idxmin(axis=1)) and {"grid", "random", "TPE"} == set(
        ends.idxmax(axis=1)
    )
    assert np.allclose(ends.round(4), table(NOTEBOOK, "turned").to_numpy(dtype=float)[-8:], atol=1e-4)


def test_adaptive_trials_hide_what_matters(lesson, searches):
    def relation(traces, name):
        column = 2 + lesson["NAMES"].index(name)
        pairs = [(pd.Series(t[:, column]), pd.Series(t[:, 0])) for t in traces]
        return np.median([x.corr(y, method="spearman") for x, y in pairs])

    fair, adaptive = searches["random"][:20], searches["Optuna"]
    assert relation(fair, "learning_rate") < -0.4 < -0.2 < relation(adaptive, "learning_rate")
    assert relation(fair, "subsample") > -0.15 > -0.3 > relation(adaptive, "subsample")


def test_rate_and_depth_matter_most(lesson):
    record = lesson["record"]
    loss = {name: np.ptp(record.groupby(name)["rmse_valid"].min()) for name in lesson["NAMES"]}
    assert min(loss["learning_rate"], loss["max_depth"]) > 2 * loss["n_estimators"]
    assert loss["n_estimators"] > 2 * max(
        loss[n] for n in ("min_child_weight", "subsample", "colsample_bytree")
    )


def test_halving_loses_slow_learners(lesson):
    rows = []
    for seed in range(200):
        drawn = lesson["curves"].sample(32, random_state=seed)
        rows.append((drawn[400].idxmin()[0], lesson["halve"](drawn)[0] > drawn[400].min()))
    lost = pd.DataFrame(rows, columns=["rate", "lost"])
    assert lost.loc[lost["rate"] <= 0.03, "lost"].all()
    assert lost.loc[lost["rate"] >= 0.1, "lost"].mean() < 0.1


def test_fewer_than_one_setting_in_ten_beats_the_defaults(lesson):
    record, nearest = lesson["record"], lesson["nearest"](lesson["defaults"])
    assert (record["rmse_valid"] < lesson["answers"][nearest][0]).mean() < 0.1


# Stops and spaces -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "seed"), [(0.1, 0), (0.1, 1), (0.3, 0), (0.3, 1)])
def test_stopping_on_the_test_month_is_optimistic(rate, seed):
    trips = prepare_trips(load_trips(months("2020-01", "2020-04")))
    trips["hour"] = trips["pickup_datetime"].dt.hour
    trips["weekday"] = trips["pickup_datetime"].dt.dayofweek
    month = trips["pickup_datetime"].dt.month
    train, march, april = trips[month < 3], trips[month == 3], trips[month == 4]
    errors = {}
    for name, decides in {"March": march, "April": april}.items():
        model = XGBRegressor(
            n_estimators=400, learning_rate=rate, early_stopping_rounds=20, n_jobs=1, random_state=seed
        )
        watched = [(decides[FEATURES].astype(float), decides["duration"])]
        model.fit(train[FEATURES].astype(float), train["duration"], eval_set=watched, verbose=False)
        errors[name] = [
            root_mean_squared_error(rows["duration"], model.predict(rows[FEATURES].astype(float)))
            for rows in (march, april)
        ]
    assert errors["April"][1] < 0.93 * errors["March"][1], "on April it looks far better"
    assert errors["April"][0] > 1.1 * errors["March"][0], "and in March nobody would have chosen it"


def test_the_calm_year_hides_the_mistake():
    stopped = table(NOTEBOOK, "stopped")["April"]
    assert stopped["2019, stopped on April"] < stopped["2019, stopped on March"]
    assert stopped["2019, stopped on March"] - stopped["2019, stopped on April"] < 0.01


def test_a_month_more_is_worth_more_than_the_best_setting():
    shown = table(NOTEBOOK, "instead")
    change = shown["April, against the defaults"]
    assert change["defaults, one more month (December)"] < change["best of 6,912 settings"] - 0.5
    assert change["best of 6,912, four more months"] == change.min()


def test_the_mended_space_is_taken_by_both(lesson):
    space, drawn = EXERCISES.mended_space(), []
    lesson["hyperopt_search"](lambda s: drawn.append(s) or s["learning_rate"], tpe.suggest, 30, 0, space)
    assert len(drawn) == 30 and all(isinstance(s["max_depth"], (int, np.integer)) for s in drawn)


# The store, and the pictures --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_smaller_run_leaves_nested_runs_that_its_queries_find():
    """With the parameters of CI: parents with data, one model, children with settings."""
    notebook = build.generate(LESSON)
    code = """import json
runs = mlflow.search_runs(output_format="list")
below = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
above = {r.info.run_id: r for r in runs if r not in below}
held = {"parents": sorted(r.info.run_name for r in above.values()), "children": len(below)}
held["data"] = min(len(r.inputs.dataset_inputs) for r in above.values())
held["params"] = min(len(r.data.params) for r in below)
held["orphans"] = sum(r.data.tags["mlflow.parentRunId"] not in above for r in below)
held["models"] = sum(len(r.outputs.model_outputs) if r.outputs else 0 for r in runs)
held["best"] = sum("best_child" in r.data.tags for r in above.values())
print(json.dumps(held))"""
    position = [cell.id for cell in notebook.cells].index("parent")
    extra = nbformat.v4.new_code_cell(code, id="inspect")
    notebook.cells = [*notebook.cells[: position + 1], extra]
    outcome = Runner().run(notebook, parameters=LESSON.ci)
    assert outcome.faults == []
    held = json.loads(output(outcome.notebook, "inspect"))
    trials = LESSON.ci["trials"]
    assert held["parents"] == ["TPE", "TPE, short start", "grid", "random"]
    assert held == held | {
        "data": 2,
        "children": 4 * trials + 6,
        "params": 6,
        "orphans": 0,
        "models": 1,
        "best": 1,
    }

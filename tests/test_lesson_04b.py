"""Lesson 04b: what its text says of stops, prunings, edges and adaptive trials holds over named seeds."""

import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.metrics import root_mean_squared_error
from test_lesson_04c import number, output, table
from xgboost import XGBRegressor

from course.data import load_trips, months, prepare_trips

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import tuning  # noqa: E402

NOTEBOOK = nbformat.read(ROOT / "notebooks" / "04b_early_stopping_and_pruning.ipynb", as_version=4)
FEATURES = tuning.FEATURES
NAMES = [*tuning.SPACE, "n_estimators"]


@pytest.fixture(scope="module")
def record():
    return pd.read_parquet(tuning.RESULTS)


@pytest.fixture(scope="module")
def searches():
    return pd.read_parquet(tuning.SEARCHES)


# Stops ------------------------------------------------------------------------------------------------------


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


def test_twelve_trees_predict_long_trips_too_short_where_the_streets_are_full():
    """The cause that the text gives: minutes of bias on the longest fifth of the trips."""
    trips = tuning.prepared("2020-01", "2020-04")
    month = trips["pickup_datetime"].dt.month
    model = XGBRegressor(n_estimators=229, learning_rate=0.1, n_jobs=1, random_state=0)
    model.fit(trips.loc[month < 3, FEATURES], trips.loc[month < 3, "duration"])
    bias = {}
    for number_, trees in ((3, 12), (3, 229), (4, 12), (4, 229)):
        rows = trips[month == number_]
        far = rows[rows["trip_distance"] > rows["trip_distance"].quantile(0.8)]
        yhat = model.predict(far[FEATURES], iteration_range=(0, trees))
        bias[number_, trees] = (yhat - far["duration"]).mean()
    assert bias[3, 12] < -2 and abs(bias[3, 229]) < 1
    assert bias[4, 12] < 0.5 * bias[4, 229], "in the empty city the shorter answer is nearer"


def test_the_calm_year_hides_the_mistake():
    stopped = table(NOTEBOOK, "stopped")["April"]
    assert stopped["2019, stopped on April"] < stopped["2019, stopped on March"]
    assert stopped["2019, stopped on March"] - stopped["2019, stopped on April"] < 0.01


def test_the_booster_uses_all_rounds():
    said = output(NOTEBOOK, "best_iteration")
    assert number(r"inplace_predict ([\d.]+)", said) > number(r"XGBRegressor.predict ([\d.]+)", said)


# Prunings ---------------------------------------------------------------------------------------------------


def test_pruning_trains_less_and_keeps_the_best_here():
    said = output(NOTEBOOK, "pruned")
    (all_rounds, best), (rounds, kept) = re.findall(r"([\d,]+) rounds trained, best RMSE ([\d.]+)", said)
    assert int(rounds.replace(",", "")) < 0.75 * int(all_rounds.replace(",", "")) and kept == best


def test_halving_loses_slow_learners(record):
    """Seeds 1000 to 1199, others than the lesson's."""
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.id == "halve"]
    names = {}
    exec(cell.source, names)
    curves = record.pivot(index=NAMES[:5], columns="n_estimators", values="rmse_valid")
    rows = []
    for seed in range(1000, 1200):
        drawn = curves.sample(32, random_state=seed)
        rows.append((drawn[400].idxmin()[0], names["halve"](drawn)[400] > drawn[400].min()))
    lost = pd.DataFrame(rows, columns=["rate", "lost"])
    assert lost.loc[lost["rate"] <= 0.03, "lost"].mean() > 0.9
    assert lost.loc[lost["rate"] >= 0.1, "lost"].mean() < 0.15
    assert 0.2 < lost["lost"].mean() < 0.45


# Optuna, and the plots --------------------------------------------------------------------------------------


def test_optuna_is_ahead_after_20_trials(searches):
    best = (
        searches[searches["trial"] <= 20]
        .groupby(["method", "seed"])["rmse_valid"]
        .min()
        .groupby("method")
        .median()
    )
    assert best["Optuna"] < best["TPE"] - 0.005


def test_the_mlflow_storage_does_what_the_text_says(tmp_path):
    """The parent stays RUNNING, load_study resumes, load_if_exists starts a second study."""
    import mlflow
    from mlflow.optuna.storage import MlflowStorage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    try:
        experiment_id = mlflow.create_experiment("study", artifact_location=tmp_path.as_uri())
        storage = MlflowStorage(experiment_id)
        study = optuna.create_study(study_name="one", storage=storage)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
        storage.flush_all_batches()
        assert len(optuna.load_study(study_name="one", storage=MlflowStorage(experiment_id)).trials) == 2
        again = optuna.create_study(
            study_name="one", storage=MlflowStorage(experiment_id), load_if_exists=True
        )
        assert len(again.trials) == 0, "MLflow's storage resumes now: say so in the lesson"
        runs = mlflow.search_runs([experiment_id])
    finally:
        mlflow.set_tracking_uri(before)
    assert sorted(runs["status"].value_counts().items()) == [("FINISHED", 2), ("RUNNING", 2)]
    assert "metrics.value" in runs


def test_adaptive_trials_hide_what_matters(searches):
    def relation(method, name):
        groups = searches[searches["method"] == method].groupby("seed")
        return np.median([t[name].corr(t["rmse_valid"], method="spearman") for _, t in groups])

    assert relation("random", "learning_rate") < -0.4 < -0.2 < relation("Optuna", "learning_rate")
    assert relation("random", "subsample") > -0.15 > -0.3 > relation("Optuna", "subsample")


def test_two_searches_have_two_bundles(searches):
    """As in the figure: the ten best of seeds 0 and 4 disagree on child weight, rows and trees."""
    modes = {}
    for seed in (0, 4):
        best = searches[(searches["method"] == "Optuna") & (searches["seed"] == seed)].nsmallest(
            10, "rmse_valid"
        )
        modes[seed] = best[NAMES].mode().iloc[0]
    assert set(modes[0].index[modes[0] != modes[4]]) >= {"min_child_weight", "subsample", "n_estimators"}


def test_the_ten_best_lie_at_the_edge_and_a_wider_space_gains_nothing_that_lasts(record):
    top = record.nsmallest(10, "rmse_valid")
    assert (top["n_estimators"] == 400).all() and (top["min_child_weight"] == 80).sum() == 6
    said = output(NOTEBOOK, "widened")
    rows = np.array(re.findall(r"weight (\d+): (\d+) trees, March ([\d.]+), April ([\d.]+)", said), float)
    assert rows[1, 2] < rows[0, 2] < rows[2, 2], "in March 160 is better than 80, and 320 worse"
    assert abs(rows[1, 3] - rows[0, 3]) < 0.003, "in April 160 is as good as 80"

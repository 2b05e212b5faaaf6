"""Exercises of lesson 03b: what is kept where, and a run in the store as the answer."""

import contextlib
import logging

import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.exceptions import MlflowException
from sklearn.metrics import root_mean_squared_error
from xgboost import XGBRegressor

from course.exercise import also_right, checks, right, wrong
from course.stores import own_store

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr


# --- my_run: a run in the store is the answer -------------------------------------------------------------------------


def context():
    """The notebook's names, on a small table of trips, with MLflow pointing to the checks' own store."""
    rng = np.random.default_rng(0)
    miles = rng.uniform(0.5, 15, 400)
    trips = pd.DataFrame({"trip_distance": miles, "hour": rng.integers(0, 24, 400).astype(float)})
    trips["duration"] = 3 * miles + rng.normal(0, 2, 400)
    with own_store() as experiment_id:
        own = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(own)
    return {
        "train": trips[:300],
        "test": trips[300:],
        "FEATURES": ["trip_distance", "hour"],
        "experiment_id": experiment_id,
    }


@right(value=True)
def my_run(train, test, FEATURES, experiment_id):
    """Train an `XGBRegressor` with settings of your own and log it as a run of the experiment `experiment_id`.

    The run has the tag `model` with the value `xgboost`, at least the parameter `max_depth`, and the metric
    `rmse` on `test`. Bind `my_run` to the id of the run.
    """
    settings = {"max_depth": 7, "learning_rate": 0.15, "n_estimators": 120}
    with mlflow.start_run(experiment_id=experiment_id, run_name="mine") as run:
        mlflow.set_tag("model", "xgboost")
        mlflow.log_params(settings)
        model = XGBRegressor(**settings, n_jobs=1).fit(train[FEATURES], train["duration"])
        mlflow.log_metric("rmse", root_mean_squared_error(test["duration"], model.predict(test[FEATURES])))
    return run.info.run_id


def _record(answer):
    """Return the run with this id from the store that MLflow points to now."""
    assert isinstance(answer, str), f"my_run is a {type(answer).__name__}; the id of a run is a text"
    try:
        return mlflow.get_run(answer)
    except MlflowException:
        raise AssertionError("the store that MLflow points to now has no run with this id") from None


@checks(my_run)
def is_the_id_of_a_stored_run(answer):
    """By what does the store find a run: its name, its object, its id?

    After the block of `with mlflow.start_run(...) as run:`, `my_run = run.info.run_id`.
    """
    _record(answer)


@checks(my_run)
def came_to_its_end(answer):
    """Which status has a run in which a line raised, and which one that nobody ended?

    Use `with`, and log again after an error.
    """
    status = _record(answer).info.status
    assert status == "FINISHED", f"the status of the run is {status}"


@checks(my_run)
def is_tagged_as_xgboost(answer):
    """How would a colleague find all XGBoost runs? By a tag: `mlflow.set_tag("model", "xgboost")`."""
    tag = _record(answer).data.tags.get("model")
    assert tag == "xgboost", f"the tag `model` of the run is {tag!r}, it should be 'xgboost'"


@checks(my_run)
def depth_is_a_parameter(answer):
    """Is the depth something that you chose, or something that came out?

    `mlflow.log_params(settings)`, with `max_depth` in the dict, and the same dict for the model.
    """
    params = _record(answer).data.params
    assert "max_depth" in params, f"the run's parameters are {sorted(params)}, without max_depth"


@checks(my_run)
def error_is_a_metric(answer):
    """Can a parameter be sorted as a number? What came out is a metric: `mlflow.log_metric("rmse", …)`."""
    metrics = _record(answer).data.metrics
    assert "rmse" in metrics, f"the run's metrics are {sorted(metrics)}, without rmse"
    rmse = metrics["rmse"]
    assert 0 < rmse < 60, f"an rmse of {rmse:.3g} minutes can't be: trips take between 1 and 60"


@also_right(my_run)
def speaks_to_the_store_through_a_client(train, test, FEATURES, experiment_id):
    client = mlflow.MlflowClient()
    run_id = client.create_run(experiment_id, tags={"model": "xgboost"}).info.run_id
    client.log_param(run_id, "max_depth", 3)
    model = XGBRegressor(max_depth=3, n_estimators=40, n_jobs=1).fit(train[FEATURES], train["duration"])
    errors = (test["duration"] - model.predict(test[FEATURES])).to_numpy()
    client.log_metric(run_id, "rmse", float(np.sqrt(np.mean(errors**2))))
    client.set_terminated(run_id)
    return run_id


@also_right(my_run)
def uses_xgboosts_own_interface(train, test, FEATURES, experiment_id):
    params = {"max_depth": 5, "eta": 0.2, "nthread": 1}
    mlflow.set_experiment(experiment_id=experiment_id)
    with mlflow.start_run(tags={"model": "xgboost"}):
        mlflow.log_params({**params, "rounds": 30})
        trees = xgboost.train(params, xgboost.DMatrix(train[FEATURES], train["duration"]), 30)
        yhat = trees.predict(xgboost.DMatrix(test[FEATURES]))
        mlflow.log_metrics({"rmse": float(((test["duration"] - yhat) ** 2).mean() ** 0.5)})
    return mlflow.last_active_run().info.run_id


@wrong(my_run, caught_by=is_the_id_of_a_stored_run)
def keeps_the_run(train, test, FEATURES, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.set_tag("model", "xgboost")
    return run


@wrong(my_run, caught_by=is_the_id_of_a_stored_run)
def keeps_its_name(train, test, FEATURES, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id, run_name="mine") as run:
        mlflow.set_tag("model", "xgboost")
    return run.info.run_name


@wrong(my_run, caught_by=came_to_its_end)
def raised_in_the_middle(train, test, FEATURES, experiment_id):
    with contextlib.suppress(KeyError), mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.set_tag("model", "xgboost")
        mlflow.log_metric("rmse", train["no such column"].mean())
    return run.info.run_id


@wrong(my_run, caught_by=is_tagged_as_xgboost)
def forgets_the_tag(train, test, FEATURES, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id, run_name="xgboost") as run:
        mlflow.log_params({"max_depth": 7})
        mlflow.log_metric("rmse", 4.9)
    return run.info.run_id


@wrong(my_run, caught_by=depth_is_a_parameter)
def writes_settings_into_a_tag(train, test, FEATURES, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.set_tags({"model": "xgboost", "max_depth": 7})
        mlflow.log_metric("rmse", 4.9)
    return run.info.run_id


@wrong(my_run, caught_by=error_is_a_metric)
def logs_the_error_as_a_parameter(train, test, FEATURES, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.set_tag("model", "xgboost")
        mlflow.log_params({"max_depth": 7, "rmse": 4.9})
    return run.info.run_id


@wrong(my_run, caught_by=error_is_a_metric)
def logs_the_sum_of_squares(train, test, FEATURES, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.set_tag("model", "xgboost")
        mlflow.log_param("max_depth", 7)
        mlflow.log_metric("rmse", float((test["duration"] ** 2).sum()))
    return run.info.run_id


# --- kept_in ----------------------------------------------------------------------------------------------------------


@right(value=True)
def kept_in():
    """Where is each of these kept? Bind `kept_in` to a dict from each name to "backend" or "artifact".

    The names: "learning rate", "rmse at step 40", "tag model", "figure", "trained trees",
    "digest of the data", "run's end".
    """
    files = ["figure", "trained trees"]
    rows = ["learning rate", "rmse at step 40", "tag model", "digest of the data", "run's end"]
    return dict.fromkeys(files, "artifact") | dict.fromkeys(rows, "backend")


_THINGS = (
    "learning rate",
    "rmse at step 40",
    "tag model",
    "figure",
    "trained trees",
    "digest of the data",
    "run's end",
)


@checks(kept_in)
def names_a_store_for_each(answer):
    """Which two stores are behind a tracking server? Name one of them for each of the seven things.

    A dict such as `{"figure": …, "tag model": …}`, with "backend" or "artifact" as values.
    """
    assert isinstance(answer, dict), f"kept_in is a {type(answer).__name__}, a dict is asked for"
    assert set(answer) == set(_THINGS), (
        f"these names are missing or unknown: {sorted(set(map(str, answer)) ^ set(_THINGS))}"
    )
    odd = sorted({str(value) for value in answer.values()} - {"backend", "artifact"})
    assert not odd, f"{odd} is no store; there are 'backend' and 'artifact'"


@checks(kept_in)
def files_are_artifacts(answer):
    """Which of these would you save as a file, because it can be of any size? Files are artifacts."""
    for name in ("figure", "trained trees"):
        assert answer[name] == "artifact", f"the {name}: a file in a database would make every search slow"


@checks(kept_in)
def what_you_search_is_in_the_backend(answer):
    """Which of these do you filter and sort by? A database finds a row by its value."""
    for name in ("learning rate", "tag model", "run's end"):
        assert answer[name] == "backend", f"the {name}: you could not search for it among files"


@checks(kept_in)
def history_and_digest_are_rows_too(answer):
    """What is kept of a metric with forty steps, and of a dataset: short values, or a file?"""
    for name in ("rmse at step 40", "digest of the data"):
        assert answer[name] == "backend", f"the {name} is a short value in a row, not a file"


@also_right(kept_in)
def writes_each_one_down():
    return {
        "learning rate": "backend",
        "rmse at step 40": "backend",
        "tag model": "backend",
        "figure": "artifact",
        "trained trees": "artifact",
        "digest of the data": "backend",
        "run's end": "backend",
    }


@also_right(kept_in)
def asks_what_is_a_file():
    return {name: "artifact" if name in {"figure", "trained trees"} else "backend" for name in _THINGS}


@wrong(kept_in, caught_by=names_a_store_for_each)
def gives_a_list():
    return ["backend", "backend", "backend", "artifact", "artifact", "backend", "backend"]


@wrong(kept_in, caught_by=names_a_store_for_each)
def calls_it_s3():
    return {**dict.fromkeys(_THINGS, "backend"), "figure": "s3", "trained trees": "s3"}


@wrong(kept_in, caught_by=files_are_artifacts)
def puts_all_into_the_database():
    return dict.fromkeys(_THINGS, "backend")


@wrong(kept_in, caught_by=files_are_artifacts)
def takes_the_trees_for_parameters():
    return {**dict.fromkeys(_THINGS, "backend"), "figure": "artifact"}


@wrong(kept_in, caught_by=what_you_search_is_in_the_backend)
def puts_all_into_files():
    return dict.fromkeys(_THINGS, "artifact")


@wrong(kept_in, caught_by=history_and_digest_are_rows_too)
def takes_the_digest_for_the_data():
    right = {**dict.fromkeys(_THINGS, "backend"), "figure": "artifact", "trained trees": "artifact"}
    return {**right, "digest of the data": "artifact"}


@wrong(kept_in, caught_by=history_and_digest_are_rows_too)
def takes_the_history_for_a_file():
    right = {**dict.fromkeys(_THINGS, "backend"), "figure": "artifact", "trained trees": "artifact"}
    return {**right, "rmse at step 40": "artifact"}

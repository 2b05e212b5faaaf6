"""Exercises of lesson 03: a run with steps, a search, a run in the store as the answer, and what is kept where."""

import contextlib
import logging

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.metrics import root_mean_squared_error
from xgboost import XGBRegressor

from course.exercise import checks, right, wrong
from course.stores import own_store

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr


# --- log_training -----------------------------------------------------------------------------------------------------


@right
def log_training(settings, rmse_per_round, experiment_id):
    """Log one finished run and return its id.

    `settings` (a dict) become its parameters. Each number of `rmse_per_round` (a list) becomes a value of
    its metric `rmse`, at the step where it stands in the list: 0, 1, 2 and so on.
    """
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.log_params(settings)
        for step, rmse in enumerate(rmse_per_round):
            mlflow.log_metric("rmse", rmse, step=step)
    return run.info.run_id


_CURVE = [9.0, 6.0, 5.5, 5.25]


def _logged(answer):
    """Return the run that the answer logs: its record, and the history of its metric `rmse`."""
    with own_store() as experiment_id:
        run_id = answer({"max_depth": 4, "learning_rate": 0.1}, list(_CURVE), experiment_id)
        assert isinstance(run_id, str), (
            f"you returned a {type(run_id).__name__}; the id is a text, `run.info.run_id`"
        )
        client = MlflowClient()
        try:
            run = client.get_run(run_id)
        except MlflowException:
            raise AssertionError("the store has no run with the id that you returned") from None
        return run, client.get_metric_history(run_id, "rmse"), experiment_id


@checks(log_training)
def returns_the_id_of_a_run(answer):
    """`with mlflow.start_run(experiment_id=experiment_id) as run:` opens a run, and `run.info.run_id` is its id."""
    run, _, experiment_id = _logged(answer)
    assert run.info.experiment_id == experiment_id, (
        "the run is in another experiment; pass `experiment_id` to `start_run`"
    )


@checks(log_training)
def run_is_finished(answer):
    """Open the run with `with`: it is closed at the end of the block, also when something in it raises."""
    run, _, _ = _logged(answer)
    assert run.info.status == "FINISHED", f"the run's status is {run.info.status}: nobody has ended it"


@checks(log_training)
def settings_are_parameters(answer):
    """`mlflow.log_params` takes the whole dict. A parameter is what you chose, a metric is what came of it."""
    run, _, _ = _logged(answer)
    wanted = {"max_depth": "4", "learning_rate": "0.1"}
    assert run.data.params == wanted, f"the run's parameters are {run.data.params}, they should be {wanted}"


@checks(log_training)
def every_value_is_kept(answer):
    """Log the metric once for each number, always under the same name `rmse`, in the order of the list."""
    _, history, _ = _logged(answer)
    values = sorted((m.value for m in history), reverse=True)
    assert values == _CURVE, f"from the list {_CURVE} the metric `rmse` kept {values}"


@checks(log_training)
def steps_count_from_zero(answer):
    """`mlflow.log_metric(name, value, step=…)`: without a step all values stand at step 0. `enumerate` counts."""
    _, history, _ = _logged(answer)
    points = sorted((m.step, m.value) for m in history)
    steps = [step for step, _ in points]
    assert steps == [0, 1, 2, 3], f"the four values stand at the steps {steps}, they should be at 0, 1, 2, 3"
    assert [value for _, value in points] == _CURVE, f"the values do not stand at their steps: {points}"


@wrong(log_training, caught_by=returns_the_id_of_a_run)
def returns_the_run_itself(settings, rmse_per_round, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.log_params(settings)
    return run


@wrong(log_training, caught_by=returns_the_id_of_a_run)
def returns_the_name(settings, rmse_per_round, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.log_params(settings)
    return run.info.run_name


@wrong(log_training, caught_by=run_is_finished)
def leaves_the_run_open(settings, rmse_per_round, experiment_id):
    run = mlflow.start_run(experiment_id=experiment_id)
    mlflow.log_params(settings)
    for step, rmse in enumerate(rmse_per_round):
        mlflow.log_metric("rmse", rmse, step=step)
    return run.info.run_id


@wrong(log_training, caught_by=settings_are_parameters)
def logs_settings_as_metrics(settings, rmse_per_round, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.log_metrics(settings)
        for step, rmse in enumerate(rmse_per_round):
            mlflow.log_metric("rmse", rmse, step=step)
    return run.info.run_id


@wrong(log_training, caught_by=every_value_is_kept)
def logs_the_last_value_only(settings, rmse_per_round, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.log_params(settings)
        mlflow.log_metric("rmse", rmse_per_round[-1])
    return run.info.run_id


@wrong(log_training, caught_by=every_value_is_kept)
def invents_a_metric_for_each_round(settings, rmse_per_round, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.log_params(settings)
        for step, rmse in enumerate(rmse_per_round):
            mlflow.log_metric(f"rmse_{step}", rmse)
    return run.info.run_id


@wrong(log_training, caught_by=steps_count_from_zero)
def forgets_the_step(settings, rmse_per_round, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.log_params(settings)
        for rmse in rmse_per_round:
            mlflow.log_metric("rmse", rmse)
    return run.info.run_id


@wrong(log_training, caught_by=steps_count_from_zero)
def counts_from_one(settings, rmse_per_round, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.log_params(settings)
        for step, rmse in enumerate(rmse_per_round, 1):
            mlflow.log_metric("rmse", rmse, step=step)
    return run.info.run_id


# --- deep_runs --------------------------------------------------------------------------------------------------------


@right
def deep_runs(experiment_id, depth):
    """Return the XGBoost runs whose trees are deeper than `depth`, best first.

    Return a table like that of `mlflow.search_runs`. An XGBoost run has the tag `model` with the
    value `xgboost`, its depth is the parameter `max_depth`, and the best has the lowest metric `rmse`.
    """
    runs = mlflow.search_runs(
        [experiment_id], filter_string="tags.model = 'xgboost'", order_by=["metrics.rmse ASC"]
    )
    return runs[runs["params.max_depth"].astype(int) > depth]


_RUNS = [
    ("xgboost", 6, 4.8),
    ("linear", None, 5.6),
    ("xgboost", 2, 5.3),
    ("xgboost", 10, 5.1),
    ("xgboost", 4, 4.9),
    ("forest", 12, 5.0),
]


def _found(answer, depth):
    """Return what the answer finds among six runs, as pairs of depth and rmse; the type is asserted."""
    with own_store() as experiment_id:
        for model, max_depth, rmse in _RUNS:
            with mlflow.start_run(experiment_id=experiment_id):
                mlflow.set_tag("model", model)
                mlflow.log_metric("rmse", rmse)
                if max_depth:
                    mlflow.log_param("max_depth", max_depth)
        runs = answer(experiment_id, depth)
    assert isinstance(runs, pd.DataFrame), (
        f"you returned a {type(runs).__name__}; `mlflow.search_runs` returns a DataFrame, keep it one"
    )
    columns = ["tags.model", "params.max_depth", "metrics.rmse"]
    assert set(columns) <= set(runs.columns), f"the columns {columns} of `search_runs` are not all there"
    return [(model, int(d), rmse) for model, d, rmse in runs.dropna(subset=columns)[columns].to_numpy()]


@checks(deep_runs)
def returns_a_table_of_runs(answer):
    """Texts in a filter stand in quotes: `filter_string="tags.model = 'xgboost'"`. Pass `[experiment_id]` first."""
    assert len(_found(answer, 0)) > 0, "with depth 0 you found no run at all; four are there"


@checks(deep_runs)
def finds_xgboost_alone(answer):
    """`filter_string="tags.model = 'xgboost'"`. Other kinds of model may have a `max_depth` too."""
    others = [model for model, _, _ in _found(answer, 0) if model != "xgboost"]
    assert not others, f"among the runs that you found there is a {' and a '.join(others)}"


@checks(deep_runs)
def compares_depth_as_a_number(answer):
    """Parameters are kept as text, and as text "10" comes before "4". `.astype(int)` before you compare."""
    depths = sorted(depth for _, depth, _ in _found(answer, 4))
    assert depths == [6, 10], f"among depths 2, 4, 6 and 10 you found {depths} to be deeper than 4"


@checks(deep_runs)
def best_comes_first(answer):
    """Sort by the metric, ascending: a low error is a good one. `order_by=["metrics.rmse ASC"]`."""
    errors = [rmse for _, _, rmse in _found(answer, 0)]
    assert errors == [4.8, 4.9, 5.1, 5.3], f"the errors of your runs, in your order: {errors}"


@wrong(deep_runs, caught_by=returns_a_table_of_runs)
def forgets_the_quotes(experiment_id, depth):
    return mlflow.search_runs([experiment_id], filter_string="tags.model = xgboost")


@wrong(deep_runs, caught_by=returns_a_table_of_runs)
def compares_a_parameter_in_the_filter(experiment_id, depth):
    return mlflow.search_runs(
        [experiment_id], filter_string=f"tags.model = 'xgboost' and params.max_depth > '{depth}'"
    )


@wrong(deep_runs, caught_by=returns_a_table_of_runs)
def returns_a_list_of_runs(experiment_id, depth):
    return mlflow.search_runs([experiment_id], filter_string="tags.model = 'xgboost'", output_format="list")


@wrong(deep_runs, caught_by=returns_a_table_of_runs)
def returns_the_ids(experiment_id, depth):
    return mlflow.search_runs([experiment_id], filter_string="tags.model = 'xgboost'")["run_id"]


@wrong(deep_runs, caught_by=finds_xgboost_alone)
def takes_every_run_with_a_depth(experiment_id, depth):
    runs = mlflow.search_runs([experiment_id], order_by=["metrics.rmse ASC"])
    return runs[pd.to_numeric(runs["params.max_depth"]) > depth]


@wrong(deep_runs, caught_by=compares_depth_as_a_number)
def compares_text(experiment_id, depth):
    runs = mlflow.search_runs(
        [experiment_id], filter_string="tags.model = 'xgboost'", order_by=["metrics.rmse ASC"]
    )
    return runs[runs["params.max_depth"] > str(depth)]


@wrong(deep_runs, caught_by=compares_depth_as_a_number)
def includes_the_depth_itself(experiment_id, depth):
    runs = mlflow.search_runs(
        [experiment_id], filter_string="tags.model = 'xgboost'", order_by=["metrics.rmse ASC"]
    )
    return runs[runs["params.max_depth"].astype(int) >= depth]


@wrong(deep_runs, caught_by=best_comes_first)
def sorts_the_worst_first(experiment_id, depth):
    runs = mlflow.search_runs(
        [experiment_id], filter_string="tags.model = 'xgboost'", order_by=["metrics.rmse DESC"]
    )
    return runs[runs["params.max_depth"].astype(int) > depth]


@wrong(deep_runs, caught_by=best_comes_first)
def does_not_sort(experiment_id, depth):
    runs = mlflow.search_runs([experiment_id], filter_string="tags.model = 'xgboost'")
    return runs[runs["params.max_depth"].astype(int) > depth]


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
    """`with mlflow.start_run(...) as run:` and after the block `my_run = run.info.run_id`."""
    _record(answer)


@checks(my_run)
def came_to_its_end(answer):
    """A run that raised has the status FAILED, an open one RUNNING. Use `with`, and log again after an error."""
    status = _record(answer).info.status
    assert status == "FINISHED", f"the status of the run is {status}"


@checks(my_run)
def is_tagged_as_xgboost(answer):
    """`mlflow.set_tag("model", "xgboost")`: all searches of this lesson go by that tag."""
    tag = _record(answer).data.tags.get("model")
    assert tag == "xgboost", f"the tag `model` of the run is {tag!r}, it should be 'xgboost'"


@checks(my_run)
def depth_is_a_parameter(answer):
    """`mlflow.log_params(settings)`, with `max_depth` in the dict, and the same dict given to the model."""
    params = _record(answer).data.params
    assert "max_depth" in params, f"the run's parameters are {sorted(params)}, without max_depth"


@checks(my_run)
def error_is_a_metric(answer):
    """`mlflow.log_metric("rmse", …)`: a number that came out is a metric. As a parameter it can't be sorted."""
    metrics = _record(answer).data.metrics
    assert "rmse" in metrics, f"the run's metrics are {sorted(metrics)}, without rmse"
    rmse = metrics["rmse"]
    assert 0 < rmse < 60, f"an rmse of {rmse:.3g} minutes can't be: trips take between 1 and 60"


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
    """`{"figure": "...", "tag model": "..."}` with all seven names as keys, and "backend" or "artifact" as values."""
    assert isinstance(answer, dict), f"kept_in is a {type(answer).__name__}, a dict is asked for"
    assert set(answer) == set(_THINGS), (
        f"these names are missing or unknown: {sorted(set(map(str, answer)) ^ set(_THINGS))}"
    )
    odd = sorted({str(value) for value in answer.values()} - {"backend", "artifact"})
    assert not odd, f"{odd} is no store; there are 'backend' and 'artifact'"


@checks(kept_in)
def files_are_artifacts(answer):
    """What you would save as a file, of any size, goes to the artifact store."""
    for name in ("figure", "trained trees"):
        assert answer[name] == "artifact", f"the {name}: a file in a database would make every search slow"


@checks(kept_in)
def what_you_search_is_in_the_backend(answer):
    """What you filter and sort by goes to the backend store: a row in a database, found by its value."""
    for name in ("learning rate", "tag model", "run's end"):
        assert answer[name] == "backend", f"the {name}: you could not search for it among files"


@checks(kept_in)
def history_and_digest_are_rows_too(answer):
    """A metric has one row for each step. A dataset leaves its name, digest and source, not its rows of data."""
    for name in ("rmse at step 40", "digest of the data"):
        assert answer[name] == "backend", f"the {name} is a short value in a row, not a file"


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

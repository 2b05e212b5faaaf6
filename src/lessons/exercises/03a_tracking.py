"""Exercises of lesson 03a: a run with steps, and a search that needs a number."""

import logging

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from course.exercise import also_right, checks, right, wrong
from course.stores import own_store

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr


# --- log_training -----------------------------------------------------------------------------------------------------


@right
def log_training(settings, rmse_per_round, experiment_id):
    """Log one finished run and return its id.

    `settings` (a dict) become its parameters; you may log more. Each number of `rmse_per_round` (a list)
    becomes a value of its metric `rmse`, at the step of its place in the list: 0, 1, 2 and so on.
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
    """Which call opens a run, and what does it hand you?

    `with mlflow.start_run(experiment_id=experiment_id) as run:`; the id is `run.info.run_id`.
    """
    run, _, experiment_id = _logged(answer)
    assert run.info.experiment_id == experiment_id, (
        "the run is in another experiment; pass `experiment_id` to `start_run`"
    )


@checks(log_training)
def run_is_finished(answer):
    """Who ends the run when a line in the middle raises? A `with` block does."""
    run, _, _ = _logged(answer)
    assert run.info.status == "FINISHED", f"the run's status is {run.info.status}: nobody has ended it"


@checks(log_training)
def settings_are_parameters(answer):
    """Is a setting something that you chose, or something that came out?

    What you chose is a parameter: `mlflow.log_params` takes the whole dict.
    """
    run, _, _ = _logged(answer)
    wanted = {"max_depth": "4", "learning_rate": "0.1"}
    kept = {key: run.data.params.get(key) for key in wanted}
    assert kept == wanted, f"the run's parameters are {run.data.params}, they should hold {wanted}"


@checks(log_training)
def every_value_is_kept(answer):
    """How many values does one metric get, and under how many names?

    Log each number of the list under the same name, `rmse`.
    """
    _, history, _ = _logged(answer)
    values = sorted((m.value for m in history), reverse=True)
    assert values == _CURVE, f"from the list {_CURVE} the metric `rmse` kept {values}"


@checks(log_training)
def steps_count_from_zero(answer):
    """At which step is a value kept if you name none? At step 0, all of them.

    `mlflow.log_metric(name, value, step=…)`; `enumerate` counts from 0.
    """
    _, history, _ = _logged(answer)
    points = sorted((m.step, m.value) for m in history)
    steps = [step for step, _ in points]
    assert steps == [0, 1, 2, 3], f"the four values are at the steps {steps}, they should be at 0, 1, 2, 3"
    assert [value for _, value in points] == _CURVE, f"the values are not at their steps: {points}"


@also_right(log_training)
def sends_one_batch_through_a_client(settings, rmse_per_round, experiment_id):
    client = MlflowClient()
    run_id = client.create_run(experiment_id).info.run_id
    params = [Param(key, str(value)) for key, value in settings.items()]
    metrics = [Metric("rmse", value, 0, step) for step, value in enumerate(rmse_per_round)]
    client.log_batch(run_id, metrics=metrics, params=params)
    client.set_terminated(run_id)
    return run_id


@also_right(log_training)
def counts_by_hand_and_logs_more(settings, rmse_per_round, experiment_id):
    mlflow.start_run(experiment_id=experiment_id)
    for key in settings:
        mlflow.log_param(key, settings[key])
    mlflow.log_param("rounds", len(rmse_per_round))
    step = 0
    while step < len(rmse_per_round):
        mlflow.log_metrics({"rmse": rmse_per_round[step], "rounds_left": -step}, step=step)
        step += 1
    run_id = mlflow.active_run().info.run_id
    mlflow.end_run()
    return run_id


@also_right(log_training)
def logs_in_the_background(settings, rmse_per_round, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as run:
        mlflow.log_params(settings)
        for step, rmse in zip(range(len(rmse_per_round)), rmse_per_round, strict=True):
            mlflow.log_metric("rmse", rmse, step=step, synchronous=False)
    mlflow.flush_async_logging()
    return run.info.run_id


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
    """What does a filter need around a text, and where does `search_runs` look if you don't name the experiment?

    `mlflow.search_runs([experiment_id], filter_string="tags.model = 'xgboost'")`
    """
    assert len(_found(answer, 0)) > 0, "with depth 0 you found no run at all; four are there"


@checks(deep_runs)
def finds_xgboost_alone(answer):
    """Which other kinds of model have a `max_depth` too, and what marks the ones you want?"""
    others = [model for model, _, _ in _found(answer, 0) if model != "xgboost"]
    assert not others, f"among the runs that you found there is a {' and a '.join(others)}"


@checks(deep_runs)
def compares_depth_as_a_number(answer):
    """Of what type is the column `params.max_depth`, and is "10" greater than "4" in it?

    Make it a number before you compare: `.astype(int)`.
    """
    depths = sorted(depth for _, depth, _ in _found(answer, 4))
    assert depths == [6, 10], f"among depths 2, 4, 6 and 10 you found {depths} to be deeper than 4"


@checks(deep_runs)
def best_comes_first(answer):
    """Is the best run the one with the highest or the lowest error? `order_by=["metrics.rmse ASC"]` sorts."""
    errors = [rmse for _, _, rmse in _found(answer, 0)]
    assert errors == [4.8, 4.9, 5.1, 5.3], f"the errors of your runs, in your order: {errors}"


@also_right(deep_runs)
def does_it_all_in_pandas(experiment_id, depth):
    runs = mlflow.search_runs(experiment_ids=[experiment_id])
    runs["depth"] = pd.to_numeric(runs["params.max_depth"])
    chosen = runs.loc[(runs["tags.model"] == "xgboost") & (runs["depth"] > depth)]
    return chosen.sort_values("metrics.rmse").reset_index(drop=True)


@also_right(deep_runs)
def looks_at_each_run_in_a_loop(experiment_id, depth):
    client = MlflowClient()
    found = client.search_runs([experiment_id], "tags.model = 'xgboost'", order_by=["metrics.rmse"])
    wanted = [run.info.run_id for run in found if int(run.data.params.get("max_depth", 0)) > depth]
    table = mlflow.search_runs([experiment_id]).set_index("run_id")
    return table.loc[wanted].reset_index()


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

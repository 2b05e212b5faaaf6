"""Exercises of lesson 04a: a space to mend, and a search as nested runs in the store."""

import logging

import mlflow
import numpy as np
import pandas as pd
from hyperopt import fmin, hp, rand
from hyperopt.exceptions import DuplicateLabel
from hyperopt.pyll import as_apply, dfs, scope
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from xgboost import XGBRegressor

from course.exercise import also_right, checks, right, wrong
from course.stores import own_store

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr


# --- mended_space -----------------------------------------------------------------------------------------------------


@right
def mended_space():
    """Return this search space, a dict for `fmin`, without its mistakes.

        "learning_rate": hp.loguniform("learning_rate", 0.01, 0.5)
        "max_depth": hp.quniform("max_depth", 7, 12, 1)
        "n_estimators": hp.uniform("n_estimators", 50, 400)

    Meant were: a rate from 0.01 to 0.5, every factor equally likely (as many below 0.07 as above it); a whole depth from
    2 to 10; and a whole number of trees from 50 to 400, in steps of 1 or of 10, every factor equally likely (as many below
    141 as above it). The search must see that numbers have an order, and XGBoost takes every setting as it is drawn.
    """
    return {
        "learning_rate": hp.loguniform("learning_rate", np.log(0.01), np.log(0.5)),
        "max_depth": hp.uniformint("max_depth", 2, 10),
        "n_estimators": scope.int(hp.qloguniform("n_estimators", np.log(50), np.log(400), 10)),
    }


_BOUNDS = {"learning_rate": (0.01, 0.5), "max_depth": (2, 10), "n_estimators": (50, 400)}


def _draws(answer):
    """Return 300 settings that `fmin` draws from the answer's space, as a table; the space has the three names."""
    space, draws = answer(), []
    assert isinstance(space, dict) and set(space) == set(_BOUNDS), (
        f"return a dict with the keys {', '.join(_BOUNDS)}"
    )
    quiet = {"verbose": False, "show_progressbar": False, "rstate": np.random.default_rng(0)}
    try:
        fmin(lambda setting: draws.append(setting) or 0.0, space, algo=rand.suggest, max_evals=300, **quiet)
    except DuplicateLabel as error:
        raise AssertionError(f"two parameters have the same label: {error}") from None
    return pd.DataFrame(draws, dtype=object)


@checks(mended_space)
def is_a_space_with_three_names(answer):
    """What does `fmin` draw from? A dict: XGBoost's name of a parameter, and an `hp.…(label, …)` with a label of its own."""
    draws = _draws(answer)
    assert len(draws.map(repr).drop_duplicates()) > 200, "the space draws the same settings again and again"


@checks(mended_space)
def lies_within_the_bounds(answer):
    """Draw some hundred settings and look at the lowest and the highest. In which unit does each distribution take its bounds?"""
    draws = _draws(answer).astype(float)
    for name, (low, high) in _BOUNDS.items():
        drawn = draws[name]
        assert low * 0.999 <= drawn.min() and drawn.max() <= high * 1.001, (
            f"{name} is drawn from {drawn.min():.4g} to {drawn.max():.4g}; {low} to {high} was meant"
        )


@checks(mended_space)
def reaches_the_defaults(answer):
    """Could this search find what XGBoost does by default? A space that leaves it out can end worse than no search."""
    draws = _draws(answer).astype(float)
    assert set(range(2, 11)) <= set(draws["max_depth"]), (
        f"of the depths 2 to 10 only {sorted(set(draws['max_depth']))} are drawn"
    )
    trees = draws["n_estimators"]
    assert (trees < 100).any() and (trees > 200).any(), (
        f"{trees.min():.0f} to {trees.max():.0f} trees are drawn"
    )


@checks(mended_space)
def each_factor_is_as_likely(answer):
    """How many of your draws lie below the middle of the scale? From 0.01 to 0.07 is the same factor as from 0.07 to 0.5."""
    draws = _draws(answer).astype(float)
    for name, middle in (("learning_rate", 0.0707), ("n_estimators", 141)):
        share = (draws[name] < middle).mean()
        assert 0.4 < share < 0.6, (
            f"{share:.0%} of the draws of {name} are below {middle}, about half of them should be"
        )


@checks(mended_space)
def numbers_keep_their_order(answer):
    """If depth 6 was good, is 7 worth a try? Some distributions tell the search that values are names without an order."""
    draws = _draws(answer)
    assert len(draws), "the space draws nothing"
    for name, node in answer().items():
        kinds = {part.name for part in dfs(as_apply(node))}
        assert not kinds & {"switch", "randint", "categorical"}, (
            f"the values of {name} are drawn like names: TPE can't learn that neighbours are alike"
        )


@checks(mended_space)
def xgboost_takes_it(answer):
    """Of which type are the draws? XGBoost refuses 3.0 where it wants 3; `scope.int(…)` makes whole numbers of others."""
    draws = _draws(answer)
    for name in ("max_depth", "n_estimators"):
        kinds = {type(value).__name__ for value in draws[name]}
        assert all(isinstance(value, (int, np.integer)) for value in draws[name]), (
            f"{name} is drawn as {' and '.join(sorted(kinds))}; XGBoost refuses 3.0 where it wants 3"
        )
    XGBRegressor(**{**draws.iloc[0], "n_estimators": 1}).fit([[0.0], [1.0]], [0.0, 1.0])


@wrong(mended_space, caught_by=is_a_space_with_three_names)
def fixes_one_setting():
    return {"learning_rate": 0.07, "max_depth": 6, "n_estimators": 100}


@wrong(mended_space, caught_by=is_a_space_with_three_names)
def copies_the_label():
    return {
        "learning_rate": hp.loguniform("learning_rate", np.log(0.01), np.log(0.5)),
        "max_depth": hp.uniformint("max_depth", 2, 10),
        "n_estimators": hp.uniformint("max_depth", 50, 400),
    }


@wrong(mended_space, caught_by=lies_within_the_bounds)
def forgets_the_logarithms():
    return mended_space() | {"learning_rate": hp.loguniform("learning_rate", 0.01, 0.5)}


@wrong(mended_space, caught_by=lies_within_the_bounds)
def takes_logarithms_to_base_ten():
    return mended_space() | {"learning_rate": hp.loguniform("learning_rate", -2, np.log10(0.5))}


@wrong(mended_space, caught_by=lies_within_the_bounds)
def keeps_the_upper_depths():
    return mended_space() | {"max_depth": hp.uniformint("max_depth", 2, 12)}


@wrong(mended_space, caught_by=reaches_the_defaults)
def keeps_the_depths():
    return mended_space() | {"max_depth": hp.uniformint("max_depth", 7, 10)}


@wrong(mended_space, caught_by=each_factor_is_as_likely)
def makes_the_rate_uniform():
    return mended_space() | {"learning_rate": hp.uniform("learning_rate", 0.01, 0.5)}


@wrong(mended_space, caught_by=each_factor_is_as_likely)
def makes_the_trees_uniform():
    return mended_space() | {"n_estimators": hp.uniformint("n_estimators", 50, 400)}


@wrong(mended_space, caught_by=xgboost_takes_it)
def leaves_the_depth_a_float():
    return mended_space() | {"max_depth": hp.quniform("max_depth", 2, 10, 1)}


@wrong(mended_space, caught_by=xgboost_takes_it)
def leaves_the_trees_a_float():
    return mended_space() | {"n_estimators": hp.qloguniform("n_estimators", np.log(50), np.log(400), 10)}


@wrong(mended_space, caught_by=numbers_keep_their_order)
def chooses_a_depth():
    return mended_space() | {"max_depth": hp.choice("max_depth", list(range(2, 11)))}


@wrong(mended_space, caught_by=numbers_keep_their_order)
def draws_a_random_integer():
    return mended_space() | {"max_depth": hp.randint("max_depth", 2, 11)}


@also_right(mended_space)
def makes_whole_numbers_of_floats():
    return {
        "learning_rate": hp.loguniform("learning_rate", np.log(0.01), np.log(0.5)),
        "max_depth": scope.int(hp.quniform("max_depth", 2, 10, 1)),
        "n_estimators": scope.int(hp.qloguniform("n_estimators", np.log(50), np.log(400), 1)),
    }


@also_right(mended_space)
def works_with_exponents():
    return {
        "learning_rate": 0.01 * 50 ** hp.uniform("rate", 0, 1),
        "max_depth": hp.uniformint("depth", 2, 10),
        "n_estimators": scope.int(50 * 8 ** hp.uniform("trees", 0, 1)),
    }


# --- log_search -------------------------------------------------------------------------------------------------------


@right
def log_search(settings, error_of, experiment_id):
    """Log one search: a parent, and below it one finished run for each of `settings`. Return the parent's id.

    `error_of(setting)` returns the error of one setting, a dict. A child has the setting as parameters and its error as
    the metric `rmse_valid`. The parent has the lowest error as the metric `best_rmse_valid` and the id of that child as
    the tag `best_child`. All are runs of the experiment `experiment_id`. The query that has to find the children, best first:

        mlflow.search_runs([experiment_id], f"tags.`mlflow.parentRunId` = '{parent_id}'", order_by=["metrics.rmse_valid ASC"])

    and a list of all runs by `rmse_valid` shows no parent among those that have one.
    """
    with mlflow.start_run(experiment_id=experiment_id) as parent:
        errors = {}
        for setting in settings:
            with mlflow.start_run(experiment_id=experiment_id, nested=True) as child:
                mlflow.log_params(setting)
                errors[child.info.run_id] = error_of(setting)
                mlflow.log_metric("rmse_valid", errors[child.info.run_id])
        best = min(errors, key=errors.get)
        mlflow.log_metric("best_rmse_valid", errors[best])
        mlflow.set_tag("best_child", best)
    return parent.info.run_id


_SETTINGS = [{"max_depth": 4, "learning_rate": 0.1}, {"max_depth": 9, "learning_rate": 0.05}]
_SETTINGS += [{"max_depth": 2, "learning_rate": 0.3}]


def _error_of(setting):
    return abs(setting["max_depth"] - 8) / 10 + 4


def _searched(answer):
    """Return the record of the parent, the children that the query finds, all runs, and the id of the experiment."""
    with own_store() as experiment_id:
        try:
            parent_id = answer([dict(setting) for setting in _SETTINGS], _error_of, experiment_id)
        except Exception as error:
            if "already active" not in str(error):
                raise
            raise AssertionError("a run inside a run has to be opened with `nested=True`") from None
        assert isinstance(parent_id, str), (
            f"you returned a {type(parent_id).__name__}; the id of a run is a text"
        )
        try:
            parent = MlflowClient().get_run(parent_id)
        except MlflowException:
            raise AssertionError("the store has no run with the id that you returned") from None
        query = f"tags.`mlflow.parentRunId` = '{parent_id}'"
        children = mlflow.search_runs([experiment_id], query, order_by=["metrics.rmse_valid ASC"])
        return parent, children, mlflow.search_runs([experiment_id]), experiment_id


@checks(log_search)
def returns_the_id_of_the_parent(answer):
    """Which of the runs stands for the whole search? It is open before the first child and closed after the last."""
    parent, _, _, experiment_id = _searched(answer)
    assert "mlflow.parentRunId" not in parent.data.tags, "the id that you returned is that of a child"
    assert parent.info.experiment_id == experiment_id, "the parent is in another experiment"


@checks(log_search)
def the_query_finds_a_child_for_each_setting(answer):
    """How does MLflow know whose child a run is? And in which experiment does a child land if you do not say?"""
    parent, children, runs, _ = _searched(answer)
    assert len(children) == len(_SETTINGS), (
        f"for {len(_SETTINGS)} settings the query finds {len(children)} runs, of {len(runs)} in the experiment"
    )
    unfinished = {*children["status"], parent.info.status} - {"FINISHED"}
    assert not unfinished, f"some of the runs are {unfinished}"


@checks(log_search)
def each_child_has_its_setting_and_error(answer):
    """Which run is active when you log? What belongs to one trial is logged while its run is open."""
    _, children, _, _ = _searched(answer)
    columns = ["params.max_depth", "params.learning_rate", "metrics.rmse_valid"]
    lacking = [column for column in columns if column not in children]
    assert not lacking, f"the children lack {', '.join(lacking)}"
    found = {tuple(row) for row in children[columns].to_numpy()}
    wanted = {(str(s["max_depth"]), str(s["learning_rate"]), _error_of(s)) for s in _SETTINGS}
    assert found == wanted, f"the children hold {sorted(map(str, found))}"


@checks(log_search)
def the_parent_holds_the_best(answer):
    """Which child has the lowest error? Keep the id of each child beside its error, so that you can tell afterwards."""
    parent, children, _, _ = _searched(answer)
    held = parent.data.metrics.get("best_rmse_valid")
    assert held == 4.1, f"the parent's best_rmse_valid is {held}; the errors are 4.4, 4.1 and 4.6"
    assert parent.data.tags.get("best_child") == children["run_id"].iloc[0], (
        "the parent's tag `best_child` is not the id of the child with the lowest error"
    )


@checks(log_search)
def the_parent_is_not_among_the_trials(answer):
    """What would a list sorted by `rmse_valid` show on top? The parent is no trial, so its metric needs another name."""
    parent, _, runs, _ = _searched(answer)
    assert (
        runs["metrics.rmse_valid"].notna().sum() == len(_SETTINGS) and "rmse_valid" not in parent.data.metrics
    ), (
        f"{runs['metrics.rmse_valid'].notna().sum()} runs have the metric rmse_valid, there were {len(_SETTINGS)} trials"
    )


@wrong(log_search, caught_by=returns_the_id_of_the_parent)
def returns_the_best_child(settings, error_of, experiment_id):
    parent = log_search(settings, error_of, experiment_id)
    return MlflowClient().get_run(parent).data.tags["best_child"]


@wrong(log_search, caught_by=returns_the_id_of_the_parent)
def forgets_nested(settings, error_of, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as parent:
        for setting in settings:
            with mlflow.start_run(experiment_id=experiment_id):
                mlflow.log_params(setting)
    return parent.info.run_id


@wrong(log_search, caught_by=the_query_finds_a_child_for_each_setting)
def piles_them_up_flat(settings, error_of, experiment_id):
    for setting in settings:
        with mlflow.start_run(experiment_id=experiment_id):
            mlflow.log_params(setting)
            mlflow.log_metric("rmse_valid", error_of(setting))
    with mlflow.start_run(experiment_id=experiment_id) as parent:
        mlflow.log_metric("best_rmse_valid", min(map(error_of, settings)))
    return parent.info.run_id


@wrong(log_search, caught_by=the_query_finds_a_child_for_each_setting)
def leaves_the_experiment_to_luck(settings, error_of, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as parent:
        for setting in settings:
            with mlflow.start_run(experiment_id="0", nested=True):
                mlflow.log_params(setting)
                mlflow.log_metric("rmse_valid", error_of(setting))
    return parent.info.run_id


@wrong(log_search, caught_by=the_query_finds_a_child_for_each_setting)
def logs_steps_instead_of_children(settings, error_of, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as parent:
        for step, setting in enumerate(settings):
            mlflow.log_metric("rmse_valid", error_of(setting), step=step)
    return parent.info.run_id


@wrong(log_search, caught_by=each_child_has_its_setting_and_error)
def logs_the_error_under_another_name(settings, error_of, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as parent:
        for setting in settings:
            with mlflow.start_run(experiment_id=experiment_id, nested=True):
                mlflow.log_params(setting)
                mlflow.log_metric("rmse", error_of(setting))
    return parent.info.run_id


@wrong(log_search, caught_by=each_child_has_its_setting_and_error)
def logs_the_setting_as_one_text(settings, error_of, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id) as parent:
        for setting in settings:
            with mlflow.start_run(experiment_id=experiment_id, nested=True):
                mlflow.log_param("setting", setting)
                mlflow.log_metric("rmse_valid", error_of(setting))
    return parent.info.run_id


@wrong(log_search, caught_by=the_parent_holds_the_best)
def keeps_the_highest(settings, error_of, experiment_id):
    parent_id = log_search(settings, error_of, experiment_id)
    with mlflow.start_run(run_id=parent_id):
        mlflow.log_metric("best_rmse_valid", max(map(error_of, settings)))
    return parent_id


@wrong(log_search, caught_by=the_parent_holds_the_best)
def keeps_the_last(settings, error_of, experiment_id):
    parent_id = log_search(settings, error_of, experiment_id)
    with mlflow.start_run(run_id=parent_id):
        mlflow.log_metric("best_rmse_valid", error_of(settings[-1]))
    return parent_id


@wrong(log_search, caught_by=the_parent_is_not_among_the_trials)
def gives_the_parent_the_trials_metric(settings, error_of, experiment_id):
    parent_id = log_search(settings, error_of, experiment_id)
    with mlflow.start_run(run_id=parent_id):
        mlflow.log_metric("rmse_valid", min(map(error_of, settings)))
    return parent_id


@also_right(log_search)
def uses_the_client_alone(settings, error_of, experiment_id):
    client = MlflowClient()
    parent = client.create_run(experiment_id).info.run_id
    best, best_child = float("inf"), None
    for setting in settings:
        child = client.create_run(experiment_id, tags={"mlflow.parentRunId": parent}).info.run_id
        for name, value in setting.items():
            client.log_param(child, name, value)
        error = error_of(setting)
        client.log_metric(child, "rmse_valid", error)
        client.set_terminated(child)
        if error < best:
            best, best_child = error, child
    client.log_metric(parent, "best_rmse_valid", best)
    client.set_tag(parent, "best_child", best_child)
    client.set_terminated(parent)
    return parent


@also_right(log_search)
def names_the_parent_and_asks_the_store(settings, error_of, experiment_id):
    with mlflow.start_run(experiment_id=experiment_id, run_name="search", description="mine") as parent:
        parent_id = parent.info.run_id
    for setting in settings:
        with mlflow.start_run(experiment_id=experiment_id, parent_run_id=parent_id):
            mlflow.log_params(setting | {"seed": 0})
            mlflow.log_metrics({"rmse_valid": error_of(setting)})
    query = f"tags.`mlflow.parentRunId` = '{parent_id}'"
    best = mlflow.search_runs([experiment_id], query, order_by=["metrics.rmse_valid ASC"]).iloc[0]
    with mlflow.start_run(run_id=parent_id):
        mlflow.log_metric("best_rmse_valid", best["metrics.rmse_valid"])
        mlflow.set_tag("best_child", best["run_id"])
    return parent_id

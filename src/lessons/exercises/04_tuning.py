"""Exercises of lesson 04: a space to mend, what a budget of seconds buys, a nested search in the store, a plot in code, early stopping."""

import functools
import logging

import mlflow
import numpy as np
import pandas as pd
from hyperopt import fmin, hp, rand
from hyperopt.exceptions import DuplicateLabel
from hyperopt.pyll import scope
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.metrics import root_mean_squared_error
from xgboost import XGBRegressor

from course.exercise import checks, right, wrong
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
    2 to 10; and 50 to 400 trees, whole hundreds or tens, every factor equally likely. XGBoost's defaults (0.3, 6, 100)
    can be drawn, and XGBoost takes every setting as it is drawn.
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
    """A dict: the key is XGBoost's name of the parameter, the value an `hp.…(label, …)` with the same label."""
    draws = _draws(answer)
    assert len(draws.map(repr).drop_duplicates()) > 200, "the space draws the same settings again and again"


@checks(mended_space)
def lies_within_the_bounds(answer):
    """`hp.loguniform` and `hp.qloguniform` take the logarithms of the bounds: `np.log(0.01)`, `np.log(0.5)`."""
    draws = _draws(answer).astype(float)
    for name, (low, high) in _BOUNDS.items():
        drawn = draws[name]
        assert low * 0.999 <= drawn.min() and drawn.max() <= high * 1.001, (
            f"{name} is drawn from {drawn.min():.4g} to {drawn.max():.4g}; {low} to {high} was meant"
        )


@checks(mended_space)
def reaches_the_defaults(answer):
    """A space that leaves out the default can end below the baseline. The ends are 2 and 10, 50 and 400."""
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
    """From 0.01 to 0.07 is as large a factor as from 0.07 to 0.5: half of the draws belong to each. `hp.loguniform`."""
    draws = _draws(answer).astype(float)
    for name, middle in (("learning_rate", 0.0707), ("n_estimators", 141)):
        share = (draws[name] < middle).mean()
        assert 0.4 < share < 0.6, (
            f"{share:.0%} of the draws of {name} are below {middle}, about half of them should be"
        )


@checks(mended_space)
def xgboost_takes_it(answer):
    """`hp.quniform` draws 3.0, a float. `hp.uniformint` draws whole numbers, `scope.int(…)` makes whole numbers of others."""
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


# --- best_known -------------------------------------------------------------------------------------------------------


@right
def best_known(seconds, errors, times):
    """Return the lowest error that a search knows at each of `times`, as a list.

    Trial i, in the order of the search, takes `seconds[i]` and ends with `errors[i]`; the next starts when it has
    ended. At a time the search knows the trials that have ended by then (at that very second counts). Before the first
    has ended it knows nothing: `float("inf")`.
    """
    ends, best = np.cumsum(seconds), np.minimum.accumulate(errors)
    ended = np.searchsorted(ends, times, side="right")
    return [float(best[count - 1]) if count else float("inf") for count in ended]


_SECONDS, _ERRORS = [2.0, 5.0, 1.0, 4.0], [4.5, 4.2, 4.4, 4.1]


def _known(answer, times, seconds=_SECONDS, errors=_ERRORS):
    known = answer(list(seconds), list(errors), list(times))
    known = list(known) if known is not None else []
    assert len(known) == len(times), f"for {len(times)} times you returned {len(known)} errors"
    return [float(error) for error in known]


@checks(best_known)
def returns_one_error_for_each_time(answer):
    """A list with as many errors as `times` has entries, in their order."""
    _known(answer, [3, 8, 20])


@checks(best_known)
def knows_nothing_at_first(answer):
    """No trial has ended yet: the best known error is `float("inf")`, worse than any."""
    known = _known(answer, [0, 1.9])
    assert known == [float("inf")] * 2, (
        f"the first trial ends after 2 seconds; at 0 and at 1.9 you know {known}"
    )


@checks(best_known)
def a_trial_counts_when_it_has_ended(answer):
    """The end of trial i is the sum of all seconds up to and with it: `np.cumsum(seconds)`."""
    known = _known(answer, [2, 6.9, 7])
    assert known == [4.5, 4.5, 4.2], (
        f"the second trial (error 4.2) runs from second 2 to 7; at 2, 6.9 and 7 you know {known}"
    )


@checks(best_known)
def the_best_stays_the_best(answer):
    """A later trial that is worse takes nothing away: `np.minimum.accumulate(errors)`."""
    known = _known(answer, [8, 11.9, 12, 99])
    assert known == [4.2, 4.2, 4.1, 4.1], f"at 8, 11.9, 12 and 99 seconds you know {known}"


@wrong(best_known, caught_by=returns_one_error_for_each_time)
def returns_the_best_at_the_end(seconds, errors, times):
    return [min(errors)]


@wrong(best_known, caught_by=knows_nothing_at_first)
def knows_the_first_from_the_start(seconds, errors, times):
    ends, best = np.cumsum(seconds), np.minimum.accumulate(errors)
    return [best[max(np.searchsorted(ends, time, side="right") - 1, 0)] for time in times]


@wrong(best_known, caught_by=knows_nothing_at_first)
def takes_the_last_of_all(seconds, errors, times):
    ends, best = np.cumsum(seconds), np.minimum.accumulate(errors)
    return [best[np.searchsorted(ends, time, side="right") - 1] for time in times]


@wrong(best_known, caught_by=knows_nothing_at_first)
def counts_a_trial_from_its_start(seconds, errors, times):
    starts = np.cumsum(seconds) - np.array(seconds)
    return [
        min(error for start, error in zip(starts, errors, strict=True) if start <= time) for time in times
    ]


@wrong(best_known, caught_by=a_trial_counts_when_it_has_ended)
def counts_only_what_ended_before(seconds, errors, times):
    ends, best = np.cumsum(seconds), [float("inf"), *np.minimum.accumulate(errors)]
    return [best[np.searchsorted(ends, time)] for time in times]


@wrong(best_known, caught_by=knows_nothing_at_first)
def forgets_that_trials_wait(seconds, errors, times):
    return [
        min((e for s, e in zip(seconds, errors, strict=True) if s <= time), default=float("inf"))
        for time in times
    ]


@wrong(best_known, caught_by=the_best_stays_the_best)
def returns_the_last_error(seconds, errors, times):
    ended = np.searchsorted(np.cumsum(seconds), times, side="right")
    return [[float("inf"), *errors][count] for count in ended]


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
    """`with mlflow.start_run(…) as parent:` around the loop; after it `return parent.info.run_id`."""
    parent, _, _, experiment_id = _searched(answer)
    assert "mlflow.parentRunId" not in parent.data.tags, "the id that you returned is that of a child"
    assert parent.info.experiment_id == experiment_id, "the parent is in another experiment"


@checks(log_search)
def the_query_finds_a_child_for_each_setting(answer):
    """Open each child inside the parent's block: `mlflow.start_run(experiment_id=experiment_id, nested=True)`."""
    parent, children, runs, _ = _searched(answer)
    assert len(children) == len(_SETTINGS), (
        f"for {len(_SETTINGS)} settings the query finds {len(children)} runs, of {len(runs)} in the experiment"
    )
    unfinished = {*children["status"], parent.info.status} - {"FINISHED"}
    assert not unfinished, f"some of the runs are {unfinished}"


@checks(log_search)
def each_child_has_its_setting_and_error(answer):
    """`mlflow.log_params(setting)` and `mlflow.log_metric("rmse_valid", …)` inside the child's block."""
    _, children, _, _ = _searched(answer)
    columns = ["params.max_depth", "params.learning_rate", "metrics.rmse_valid"]
    lacking = [column for column in columns if column not in children]
    assert not lacking, f"the children lack {', '.join(lacking)}"
    found = {tuple(row) for row in children[columns].to_numpy()}
    wanted = {(str(s["max_depth"]), str(s["learning_rate"]), _error_of(s)) for s in _SETTINGS}
    assert found == wanted, f"the children hold {sorted(map(str, found))}"


@checks(log_search)
def the_parent_holds_the_best(answer):
    """The lowest error is the best. The parent gets it as `best_rmse_valid`, and the id of its run as a tag."""
    parent, children, _, _ = _searched(answer)
    held = parent.data.metrics.get("best_rmse_valid")
    assert held == 4.1, f"the parent's best_rmse_valid is {held}; the errors are 4.4, 4.1 and 4.6"
    assert parent.data.tags.get("best_child") == children["run_id"].iloc[0], (
        "the parent's tag `best_child` is not the id of the child with the lowest error"
    )


@checks(log_search)
def the_parent_is_not_among_the_trials(answer):
    """A parent with the metric `rmse_valid` stands in every list of trials, as a second copy of the best."""
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


# --- tightest_axis ----------------------------------------------------------------------------------------------------


@right
def tightest_axis(runs):
    """Return the parameter on whose axis the best tenth of the runs lies closest together, and its lowest and highest value there.

    `runs` is a table from `search_runs`: parameters are columns `params.…` and hold text, the error is
    `metrics.rmse_valid`. On each axis give every run its rank (`rank(pct=True)`): then scales do not matter. The axis is
    the one where the ranks of the best tenth span the least, from lowest to highest. Return three values: the name without
    `params.`, the lowest and the highest value, as floats.
    """
    values = runs.filter(like="params.").astype(float)
    best = runs["metrics.rmse_valid"].nsmallest(len(runs) // 10).index
    ranks = values.rank(pct=True).loc[best]
    name = (ranks.max() - ranks.min()).idxmin()
    return (
        name.removeprefix("params."),
        float(values.loc[best, name].min()),
        float(values.loc[best, name].max()),
    )


@functools.cache
def _search_table(seed, matters="learning_rate"):
    """Return 200 runs as text: the error depends on one parameter most, near 0.1 or near depth 9 to 11."""
    rng = np.random.default_rng(seed)
    rate, depth, share = np.exp(rng.uniform(-5, 0, 200)), rng.integers(2, 16, 200), rng.uniform(0.5, 1, 200)
    distance = np.abs(np.log(rate / 0.1)) if matters == "learning_rate" else np.abs(depth - 10) / 2
    error = 4 + distance + rng.normal(0, 0.1, 200).clip(-0.2, 0.2) + (distance > 1.5) * 2
    return pd.DataFrame(
        {
            "run_id": [f"run {i}" for i in range(200)],
            "metrics.rmse_train": 6 - error / 2,
            "metrics.rmse_valid": error,
            "params.learning_rate": rate.astype(str),
            "params.max_depth": depth.astype(str),
            "params.subsample": share.astype(str),
        }
    )


def _axis(answer, *table):
    found = answer(_search_table(*table).copy())
    assert isinstance(found, (tuple, list)) and len(found) == 3, (
        "return three values: the name, the lowest, the highest"
    )
    return found


@checks(tightest_axis)
def returns_a_name_and_two_numbers(answer):
    """`return name, low, high`: the name without `params.`, and two floats."""
    name, low, high = _axis(answer, 0)
    assert name in ("learning_rate", "max_depth", "subsample"), f"{name!r} is none of the parameters"
    assert isinstance(low, float) and isinstance(high, float), f"{low!r} and {high!r} are to be floats"


@checks(tightest_axis)
def finds_the_rate(answer):
    """Ranks first, over all runs, then the best tenth of them: `values.rank(pct=True).loc[best]`."""
    for seed in range(3):
        name, *_ = _axis(answer, seed)
        assert name == "learning_rate", (
            f"the best 20 of 200 runs have rates near 0.1 and all values of the rest; you found {name!r}"
        )


@checks(tightest_axis)
def finds_the_depth(answer):
    """Parameters are text in the store, and "10" comes before "9": `.astype(float)`."""
    for seed in range(3):
        name, *_ = _axis(answer, seed, "max_depth")
        assert name == "max_depth", f"the best 20 of 200 runs have depths of 9 to 11; you found {name!r}"


@checks(tightest_axis)
def ends_are_those_of_the_best_tenth(answer):
    """20 of 200: the lowest errors, so `nsmallest`. The ends are the smallest and the largest value among them."""
    runs = _search_table(0)
    best = runs.sort_values("metrics.rmse_valid")["params.learning_rate"].astype(float).head(20)
    _, low, high = _axis(answer, 0)
    assert np.isclose([low, high], [best.min(), best.max()]).all(), (
        f"the 20 best runs have rates from {best.min():.3f} to {best.max():.3f}; you returned {low:.3f} to {high:.3f}"
    )


@wrong(tightest_axis, caught_by=returns_a_name_and_two_numbers)
def keeps_the_prefix(runs):
    name, low, high = tightest_axis(runs)
    return f"params.{name}", low, high


@wrong(tightest_axis, caught_by=returns_a_name_and_two_numbers)
def leaves_the_ends_as_text(runs):
    name, *_ = tightest_axis(runs)
    best = runs["metrics.rmse_valid"].nsmallest(len(runs) // 10).index
    return name, runs.loc[best, f"params.{name}"].min(), runs.loc[best, f"params.{name}"].max()


@wrong(tightest_axis, caught_by=finds_the_rate)
def takes_the_highest_metric(runs):
    return tightest_axis(runs.assign(**{"metrics.rmse_valid": -runs["metrics.rmse_valid"]}))


@wrong(tightest_axis, caught_by=finds_the_rate)
def takes_the_widest(runs):
    values = runs.filter(like="params.").astype(float)
    best = runs["metrics.rmse_valid"].nsmallest(len(runs) // 10).index
    ranks = values.rank(pct=True).loc[best]
    name = (ranks.max() - ranks.min()).idxmax()
    return (
        name.removeprefix("params."),
        float(values.loc[best, name].min()),
        float(values.loc[best, name].max()),
    )


@wrong(tightest_axis, caught_by=finds_the_depth)
def compares_plain_widths(runs):
    values = runs.filter(like="params.").astype(float)
    best = runs["metrics.rmse_valid"].nsmallest(len(runs) // 10).index
    name = (values.loc[best].max() - values.loc[best].min()).idxmin()
    return (
        name.removeprefix("params."),
        float(values.loc[best, name].min()),
        float(values.loc[best, name].max()),
    )


@wrong(tightest_axis, caught_by=finds_the_depth)
def names_it_from_memory(runs):
    best = runs["metrics.rmse_valid"].nsmallest(len(runs) // 10).index
    rate = runs.loc[best, "params.learning_rate"].astype(float)
    return "learning_rate", float(rate.min()), float(rate.max())


@wrong(tightest_axis, caught_by=ends_are_those_of_the_best_tenth)
def returns_the_ends_of_all_runs(runs):
    name, *_ = tightest_axis(runs)
    values = runs[f"params.{name}"].astype(float)
    return name, float(values.min()), float(values.max())


@wrong(tightest_axis, caught_by=ends_are_those_of_the_best_tenth)
def takes_the_best_ten(runs):
    name, *_ = tightest_axis(runs)
    best = runs["metrics.rmse_valid"].nsmallest(10).index
    values = runs.loc[best, f"params.{name}"].astype(float)
    return name, float(values.min()), float(values.max())


# --- stop_early -------------------------------------------------------------------------------------------------------


@right
def stop_early(trips, features):
    """Train `XGBRegressor(n_estimators=200, learning_rate=0.3, early_stopping_rounds=10, n_jobs=1, random_state=0)` honestly.

    `trips` has the columns `features`, `duration` and `month` (text like "2019-03"). The last month is the test month, the
    one before it decides when training stops, all earlier ones are for training. Return two numbers: how many trees
    predict, and the RMSE on the test month.
    """
    *earlier, later, last = sorted(trips["month"].unique())
    train, valid, test = (trips[trips["month"].isin(chosen)] for chosen in (earlier, [later], [last]))
    model = XGBRegressor(
        n_estimators=200, learning_rate=0.3, early_stopping_rounds=10, n_jobs=1, random_state=0
    )
    model.fit(
        train[features],
        train["duration"],
        eval_set=[(valid[features], valid["duration"])],
        verbose=False,
    )
    rmse = root_mean_squared_error(test["duration"], model.predict(test[features]))
    return model.best_iteration + 1, float(rmse)


_FEATURES = ["miles", "noise"]


@functools.cache
def _four_months():
    """Return trips of four months, in no order; in the last one the streets are twice as fast."""
    rng = np.random.default_rng(0)
    trips = pd.DataFrame({"miles": rng.uniform(0.5, 12, 2400), "noise": rng.normal(0, 1, 2400)})
    trips["month"] = np.repeat(["2020-01", "2020-02", "2020-03", "2020-04"], 600)
    pace = trips["month"].map({"2020-01": 4.0, "2020-02": 4.2, "2020-03": 3.9, "2020-04": 2.0})
    trips["duration"] = pace * trips["miles"] + rng.normal(0, 3, 2400)
    return trips.sample(frac=1, random_state=0)


def _stopped(answer):
    """Return what the answer says of the four months, and what is right."""
    found = answer(_four_months().copy(), list(_FEATURES))
    assert isinstance(found, (tuple, list)) and len(found) == 2, "return two numbers: the trees, and the RMSE"
    return (int(found[0]), float(found[1])), stop_early(_four_months().copy(), _FEATURES)


@checks(stop_early)
def returns_trees_and_error(answer):
    """`return model.best_iteration + 1, rmse`: rounds are counted from 0, so round 0 is the first tree."""
    (trees, rmse), _ = _stopped(answer)
    assert 0 < trees <= 200, f"{trees} trees can't be: at most 200 are trained"
    assert rmse > 0, f"an RMSE of {rmse:.3g} minutes can't be"


@checks(stop_early)
def the_test_month_decides_nothing(answer):
    """`eval_set` holds the month before the last. With the test month in it, training stops where April likes it best."""
    (trees, rmse), (wanted, honest) = _stopped(answer)
    assert rmse > 0.99 * honest, (
        f"your RMSE is {rmse:.2f} with {trees} trees. Without looking at the test month it is {honest:.2f} with {wanted}: "
        "yours is too good to be true"
    )


@checks(stop_early)
def the_error_is_that_of_the_test_month(answer):
    """`root_mean_squared_error(test["duration"], model.predict(test[features]))`, with the last month as `test`."""
    (_, rmse), (_, honest) = _stopped(answer)
    assert abs(rmse - honest) < 0.05 * honest, (
        f"your RMSE is {rmse:.2f}, on the last month it is {honest:.2f}"
    )


@checks(stop_early)
def the_later_month_stops_the_training(answer):
    """Train on all but the last two months, stop on the one before the last; `predict` then uses `best_iteration` itself."""
    (trees, _), (wanted, _) = _stopped(answer)
    assert trees == wanted, f"you say that {trees} trees predict, it should be {wanted}"


def _stop_on(trips, features, months, eval_month, rounds=10):
    """Train on `months`, stop on `eval_month`, test on the last month: what the wrong answers share."""
    model = XGBRegressor(
        n_estimators=200, learning_rate=0.3, early_stopping_rounds=rounds, n_jobs=1, random_state=0
    )
    train, last = trips[trips["month"].isin(months)], trips[trips["month"] == "2020-04"]
    decides = trips[trips["month"] == eval_month]
    evaluated = [(decides[features], decides["duration"])]
    model.fit(train[features], train["duration"], eval_set=evaluated, verbose=False)
    return model, root_mean_squared_error(last["duration"], model.predict(last[features]))


@wrong(stop_early, caught_by=returns_trees_and_error)
def returns_the_rmse_alone(trips, features):
    return [stop_early(trips, features)[1]]


@wrong(stop_early, caught_by=the_test_month_decides_nothing)
def stops_on_the_test_month(trips, features):
    model, rmse = _stop_on(trips, features, ["2020-01", "2020-02"], "2020-04")
    return model.best_iteration + 1, rmse


@wrong(stop_early, caught_by=the_test_month_decides_nothing)
def trains_on_all_months(trips, features):
    model, rmse = _stop_on(trips, features, ["2020-01", "2020-02", "2020-03", "2020-04"], "2020-03")
    return model.best_iteration + 1, rmse


@wrong(stop_early, caught_by=the_test_month_decides_nothing)
def returns_the_error_it_stopped_on(trips, features):
    model, _ = _stop_on(trips, features, ["2020-01", "2020-02"], "2020-03")
    return model.best_iteration + 1, model.best_score


@wrong(stop_early, caught_by=the_later_month_stops_the_training)
def counts_the_best_round_from_zero(trips, features):
    trees, rmse = stop_early(trips, features)
    return trees - 1, rmse


@wrong(stop_early, caught_by=the_later_month_stops_the_training)
def counts_all_rounds(trips, features):
    model, rmse = _stop_on(trips, features, ["2020-01", "2020-02"], "2020-03")
    return model.get_booster().num_boosted_rounds(), rmse


@wrong(stop_early, caught_by=the_later_month_stops_the_training)
def stops_on_a_training_month(trips, features):
    model, rmse = _stop_on(trips, features, ["2020-01", "2020-02"], "2020-02")
    return model.best_iteration + 1, rmse


@wrong(stop_early, caught_by=the_error_is_that_of_the_test_month)
def forgets_the_root(trips, features):
    trees, rmse = stop_early(trips, features)
    return trees, rmse**2

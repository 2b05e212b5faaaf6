"""Exercises of lesson 11b: a trend of drift, and limits from a budget of false alarms."""

import contextlib
import logging
import uuid
from collections.abc import Iterator

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from scipy import stats

from course.exercise import also_right, checks, right, wrong
from course.stores import own_store
from walkforward.monitoring import drift_metric, log_drift

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr

# --- drift_trend ------------------------------------------------------------------------------------------------------


@right
def drift_trend(experiment, column):
    """Return the drift of `column` over time as a Series: the effect by step, in the order of the steps.

    `experiment` is the name of an experiment with one run, to which `log_drift` has written. The metric's name is
    `drift_metric("effect", column)`.
    """
    (run,) = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    points = MlflowClient().get_metric_history(run.info.run_id, drift_metric("effect", column))
    return pd.Series({point.step: point.value for point in points}).sort_index()


_EFFECTS = {3: 0.25, 4: 0.5, 5: 0.125}


@contextlib.contextmanager
def _logged() -> Iterator[str]:
    """Yield the name of an experiment with three steps of drift, written out of order, in a store of its own."""
    with own_store():
        name, run_id = uuid.uuid4().hex, None
        for step in (5, 3, 4):
            columns = {"column": ["hour", "fare ($)"], "effect": [_EFFECTS[step], 0.75], "p_corrected": 0.01}
            run_id = log_drift(
                pd.DataFrame(columns | {"drift": True}), step=step, run_id=run_id, experiment=name
            )
        yield name


@checks(drift_trend)
def returns_a_series(answer):
    """What type is asked for? The client gives a list of points, each with a step and a value."""
    with _logged() as name:
        trend = answer(name, "hour")
    assert isinstance(trend, pd.Series), f"you returned a {type(trend).__name__}, not a Series"


@checks(drift_trend)
def has_every_step(answer):
    """How many values does a run in `search_runs` have of each metric, and who has the history?"""
    with _logged() as name:
        trend = answer(name, "hour")
    assert sorted(trend) == sorted(_EFFECTS.values()), (
        f"the store has the effects {sorted(_EFFECTS.values())} of `hour`, you returned {sorted(trend)}"
    )


@checks(drift_trend)
def is_in_order_of_the_steps(answer):
    """In which order do the points come, and what does each know of its place?"""
    with _logged() as name:
        trend = answer(name, "hour")
    assert trend.to_dict() == _EFFECTS, f"by step it is {_EFFECTS}, you returned {trend.to_dict()}"
    assert list(trend.index) == [3, 4, 5], f"the steps stand in the order {list(trend.index)}"


@checks(drift_trend)
def knows_odd_names(answer):
    """Under which name is a column with odd characters logged? Somebody in the task knows."""
    with _logged() as name:
        trend = answer(name, "fare ($)")
    assert trend.tolist() == [0.75] * 3, (
        f"the column 'fare ($)' has 0.75 at each step, you returned {trend.tolist()}"
    )


@wrong(drift_trend, caught_by=returns_a_series)
def returns_the_points(experiment, column):
    (run,) = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    return MlflowClient().get_metric_history(run.info.run_id, drift_metric("effect", column))


@wrong(drift_trend, caught_by=has_every_step)
def takes_the_last_value(experiment, column):
    found = mlflow.search_runs(experiment_names=[experiment])
    return found[f"metrics.{drift_metric('effect', column)}"]


@wrong(drift_trend, caught_by=has_every_step)
def reads_the_p_values(experiment, column):
    (run,) = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    points = MlflowClient().get_metric_history(run.info.run_id, drift_metric("p_corrected", column))
    return pd.Series({point.step: point.value for point in points}).sort_index()


@wrong(drift_trend, caught_by=is_in_order_of_the_steps)
def leaves_the_order_to_the_store(experiment, column):
    (run,) = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    points = MlflowClient().get_metric_history(run.info.run_id, drift_metric("effect", column))
    return pd.Series({point.step: point.value for point in points})


@wrong(drift_trend, caught_by=is_in_order_of_the_steps)
def forgets_the_steps(experiment, column):
    (run,) = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    points = MlflowClient().get_metric_history(run.info.run_id, drift_metric("effect", column))
    return pd.Series([point.value for point in points])


@wrong(drift_trend, caught_by=knows_odd_names)
def writes_the_name_by_hand(experiment, column):
    (run,) = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    points = MlflowClient().get_metric_history(run.info.run_id, f"drift_effect/{column}")
    return pd.Series({point.step: point.value for point in points}).sort_index()


@also_right(drift_trend)
def with_the_client_alone(experiment, column):
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    run = client.search_runs([found.experiment_id])[0]
    points = client.get_metric_history(run.info.run_id, drift_metric("effect", column))
    points.sort(key=lambda point: point.step)
    return pd.Series([point.value for point in points], index=[point.step for point in points])


@also_right(drift_trend)
def with_a_frame(experiment, column):
    run_id = mlflow.search_runs(experiment_names=[experiment])["run_id"].iloc[0]
    points = MlflowClient().get_metric_history(run_id, drift_metric("effect", column))
    frame = pd.DataFrame([(point.step, point.value) for point in points], columns=["step", "effect"])
    return frame.sort_values("step").set_index("step")["effect"]


# --- alarm_limits -----------------------------------------------------------------------------------------------------


@right
def alarm_limits(quiet, periods, budget):
    """Return the limits of each metric as a frame with the columns `low` and `high`, a row per metric.

    `quiet` has a row per quiet month and a column per metric. All metrics will be looked at in each of `periods`
    months to come, and together they may raise `budget` false alarms. Limits: mean ± k · standard deviation, with
    the k of the formula above, for months that are independent and roughly normal.
    """
    n, checks = len(quiet), periods * quiet.shape[1]
    k = stats.t.ppf(1 - budget / (2 * checks), n - 1) * np.sqrt(1 + 1 / n)
    centre, spread = quiet.mean(), quiet.std()
    return pd.DataFrame({"low": centre - k * spread, "high": centre + k * spread})


def _quiet(metrics=10, n=12, seed=0):
    values = np.random.default_rng(seed).normal(10, 2, (n, metrics))
    return pd.DataFrame(values, columns=[f"metric {number}" for number in range(metrics)])


def _rate(answer, metrics, budget, periods=24, n=12):
    """Count the false alarms in some hundred histories without an incident, on average."""
    rng, alarms = np.random.default_rng(5), []
    for seed in range(300):
        limits = answer(_quiet(metrics, n, seed), periods, budget)
        low, high = limits["low"].to_numpy(), limits["high"].to_numpy()
        future = rng.normal(10, 2, (periods, metrics))
        alarms.append([(future < low).sum(), (future > high).sum()])
    return np.mean(alarms, axis=0)


@checks(alarm_limits)
def has_a_row_per_metric(answer):
    """What is one row of the answer? Each metric has a centre and a spread of its own."""
    quiet = _quiet()
    limits = answer(quiet, 24, 1)
    assert isinstance(limits, pd.DataFrame) and {"low", "high"} <= set(limits), (
        "return a frame with `low` and `high`"
    )
    assert list(limits.index) == list(quiet.columns), (
        f"the rows are {list(limits.index)[:3]}…, not the metrics"
    )
    assert (limits["low"] < quiet.mean()).all() and (limits["high"] > quiet.mean()).all(), (
        "the mean of the quiet months must lie between `low` and `high`"
    )


@checks(alarm_limits)
def rings_on_both_sides(answer):
    """On how many sides can a metric leave its limits, and what does each side get of the budget?"""
    low, high = _rate(answer, 10, 24, n=60)
    assert 4 < low < 18 and 4 < high < 18, (
        f"of 24 false alarms half should be too low and half too high; there were {low:.1f} and {high:.1f}"
    )


@checks(alarm_limits)
def keeps_the_budget(answer):
    """How well do you know mean and spread after six months? Two parts of the formula pay for that."""
    total = _rate(answer, 10, 2, n=6).sum()
    assert 1.4 < total < 2.6, f"the budget was 2 false alarms after 6 quiet months, there were {total:.1f}"


@checks(alarm_limits)
def shares_it_among_the_metrics(answer):
    """How many checks share the budget when there are forty metrics?"""
    total = _rate(answer, 40, 2, n=6).sum()
    assert 1.2 < total < 2.8, f"40 metrics may raise 2 false alarms together, there were {total:.1f}"


@wrong(alarm_limits, caught_by=has_a_row_per_metric)
def one_limit_for_all(quiet, periods, budget):
    k = stats.t.ppf(1 - budget / (2 * periods * quiet.shape[1]), len(quiet) - 1) * np.sqrt(1 + 1 / len(quiet))
    centre, spread = quiet.to_numpy().mean(), quiet.to_numpy().std()
    return pd.DataFrame({"low": [centre - k * spread], "high": [centre + k * spread]})


@wrong(alarm_limits, caught_by=rings_on_both_sides)
def spends_it_twice(quiet, periods, budget):
    k = stats.t.ppf(1 - budget / (periods * quiet.shape[1]), len(quiet) - 1) * np.sqrt(1 + 1 / len(quiet))
    return pd.DataFrame({"low": quiet.mean() - k * quiet.std(), "high": quiet.mean() + k * quiet.std()})


@wrong(alarm_limits, caught_by=keeps_the_budget)
def always_two_sigma(quiet, periods, budget):
    return pd.DataFrame({"low": quiet.mean() - 2 * quiet.std(), "high": quiet.mean() + 2 * quiet.std()})


@wrong(alarm_limits, caught_by=keeps_the_budget)
def trusts_the_normal_distribution(quiet, periods, budget):
    k = stats.norm.ppf(1 - budget / (2 * periods * quiet.shape[1]))
    return pd.DataFrame({"low": quiet.mean() - k * quiet.std(), "high": quiet.mean() + k * quiet.std()})


@wrong(alarm_limits, caught_by=keeps_the_budget)
def forgets_that_the_mean_is_estimated(quiet, periods, budget):
    k = stats.t.ppf(1 - budget / (2 * periods * quiet.shape[1]), len(quiet) - 1)
    return pd.DataFrame({"low": quiet.mean() - k * quiet.std(), "high": quiet.mean() + k * quiet.std()})


@wrong(alarm_limits, caught_by=shares_it_among_the_metrics)
def takes_ten_metrics_for_granted(quiet, periods, budget):
    k = stats.t.ppf(1 - budget / (2 * periods * 10), len(quiet) - 1) * np.sqrt(1 + 1 / len(quiet))
    return pd.DataFrame({"low": quiet.mean() - k * quiet.std(), "high": quiet.mean() + k * quiet.std()})


@also_right(alarm_limits)
def with_the_survival_function(quiet, periods, budget):
    n, metrics = quiet.shape
    k = stats.t.isf(budget / periods / metrics / 2, df=n - 1) * (1 + 1 / n) ** 0.5
    return quiet.agg(["mean", "std"]).T.pipe(
        lambda rows: pd.DataFrame(
            {"high": rows["mean"] + k * rows["std"], "low": rows["mean"] - k * rows["std"]}
        )
    )


@also_right(alarm_limits)
def metric_by_metric(quiet, periods, budget):
    rows = {}
    for name in quiet:
        values = quiet[name].to_numpy()
        n, share = len(values), budget / (periods * quiet.shape[1])
        half = stats.t.interval(1 - share, n - 1)[1] * values.std(ddof=1) * np.sqrt(1 + 1 / n)
        rows[name] = {"low": values.mean() - half, "high": values.mean() + half}
    return pd.DataFrame.from_dict(rows, orient="index")

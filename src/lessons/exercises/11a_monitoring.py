"""Exercises of lesson 11a: a change of unit, an error that waits for its labels, a trend, and limits from a budget."""

import contextlib
import logging
import uuid
from collections.abc import Iterator

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from scipy import stats

from course.exercise import checks, right, wrong
from course.stores import own_store
from walkforward.monitoring import drift_metric, log_drift

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr

# --- unit_factor ------------------------------------------------------------------------------------------------------


@right
def unit_factor(reference, current):
    """Return the factor by which `current` was multiplied, or None when its unit has not changed.

    Both are Series of numbers, some missing. Divide the quantiles 0.25, 0.5 and 0.75 of `current` by those of
    `reference`. It is a change of unit when the three ratios agree (the largest at most 5 % above the smallest)
    and the middle one is at least 10 % away from 1: then return the ratio of the medians.
    """
    levels = [0.25, 0.5, 0.75]
    ratios = current.quantile(levels) / reference.quantile(levels)
    agree = ratios.max() <= 1.05 * ratios.min()
    return float(ratios[0.5]) if agree and abs(ratios[0.5] - 1) >= 0.1 else None


def _distances(seed=0):
    return pd.Series(np.random.default_rng(seed).lognormal(0.6, 0.8, 20_000))


@checks(unit_factor)
def finds_kilometres(answer):
    """`Series.quantile([0.25, 0.5, 0.75])` gives all three; new divided by old is the factor."""
    factor = answer(_distances(), _distances(1) * 1.609344)
    assert factor is not None, "miles became kilometres, and you returned None"
    assert abs(factor - 1.609) < 0.08, (
        f"miles became kilometres: the factor is about 1.61, you returned {factor:.3f}"
    )


@checks(unit_factor)
def quiet_month_has_none(answer):
    """When the ratio of the medians is close to 1, no unit has changed: return None."""
    factor = answer(_distances(), _distances(2))
    assert factor is None, f"a month like the one before has no change of unit; you returned {factor}"


@checks(unit_factor)
def other_world_is_no_unit(answer):
    """Compare the three ratios with each other: only a unit moves all of them by the same factor."""
    longer = _distances(3)
    longer = longer.where(longer < 2, longer * 1.5)  # long trips got longer, short ones did not
    factor = answer(_distances(), longer)
    assert factor is None, (
        f"only the long trips got longer, which is no change of unit; you returned {factor:.2f}"
    )


@checks(unit_factor)
def one_broken_meter_changes_nothing(answer):
    """Quantiles do not care about a single absurd value, a mean does."""
    broken = _distances(4)
    broken.iloc[7] = 46_826.0  # a trip that stands in the data of November 2020
    broken.iloc[8] = 1e6
    factor = answer(_distances(), broken)
    assert factor is None, f"two absurd values among 20,000 are no change of unit; you returned {factor:.2f}"


@checks(unit_factor)
def missing_values_are_left_out(answer):
    """pandas leaves missing values out of quantiles, `np.quantile` does not."""
    new = _distances(5) * 1.609344
    new.iloc[::7] = np.nan
    factor = answer(_distances(), new)
    assert factor is not None, "every seventh value is missing, and the kilometres were not found any more"
    assert abs(factor - 1.609) < 0.08, f"with missing values you returned {factor}"


@wrong(unit_factor, caught_by=finds_kilometres)
def divides_old_by_new(reference, current):
    levels = [0.25, 0.5, 0.75]
    ratios = reference.quantile(levels) / current.quantile(levels)
    agree = ratios.max() <= 1.05 * ratios.min()
    return float(ratios[0.5]) if agree and abs(ratios[0.5] - 1) >= 0.1 else None


@wrong(unit_factor, caught_by=quiet_month_has_none)
def always_returns_the_ratio(reference, current):
    return current.median() / reference.median()


@wrong(unit_factor, caught_by=other_world_is_no_unit)
def looks_at_the_third_quartile_only(reference, current):
    ratio = current.quantile(0.75) / reference.quantile(0.75)
    return ratio if abs(ratio - 1) >= 0.1 else None


@wrong(unit_factor, caught_by=one_broken_meter_changes_nothing)
def trusts_the_mean_where_quartiles_are_shared(reference, current):
    levels = [0.25, 0.5, 0.75]
    ratios = current.quantile(levels) / reference.quantile(levels)
    ratio = current.mean() / reference.mean()
    return ratio if ratios.max() <= 1.05 * ratios.min() and abs(ratio - 1) >= 0.1 else None


@wrong(unit_factor, caught_by=missing_values_are_left_out)
def stumbles_over_missing_values(reference, current):
    levels = [0.25, 0.5, 0.75]
    ratios = np.quantile(current, levels) / np.quantile(reference, levels)
    agree = ratios.max() <= 1.05 * ratios.min()
    return float(ratios[1]) if agree and abs(ratios[1] - 1) >= 0.1 else None


# --- settled_rmse -----------------------------------------------------------------------------------------------------


@right
def settled_rmse(requests, now, longest):
    """Return the RMSE of the requests whose labels must all be known at the time `now`.

    `requests` has a row per trip: `pickup_datetime`, `yhat` and `duration` (minutes; missing while the trip goes
    on). No trip lasts longer than `longest` (a Timedelta). Return NaN when there is no such request.
    """
    settled = requests[requests["pickup_datetime"] <= now - longest]
    return float(np.sqrt(np.mean((settled["duration"] - settled["yhat"]) ** 2)))


_NOW, _LONGEST = pd.Timestamp("2019-11-18 18:00"), pd.Timedelta(minutes=60)


def _requests(seed=0):
    """Return trips of three hours; the model knows short ones well and long ones badly."""
    rng = np.random.default_rng(seed)
    start = _NOW - pd.to_timedelta(rng.uniform(0, 180, 4_000), unit="min")
    took = np.clip(rng.gamma(2, 8, 4_000), 1, 60)
    rows = pd.DataFrame({"pickup_datetime": start, "duration": took, "yhat": took + rng.normal(0, took / 3)})
    rows["truth"] = rows["duration"]
    ended = rows["pickup_datetime"] + pd.to_timedelta(rows["duration"], unit="min") <= _NOW
    return rows.assign(duration=rows["duration"].where(ended))


def _settled(answer, rows, now=_NOW):
    given = rows.drop(columns="truth")
    try:
        return float(answer(given, now, _LONGEST))
    except TypeError:
        raise AssertionError("return a number") from None


@checks(settled_rmse)
def returns_minutes(answer):
    """RMSE is the root of the mean of the squared errors: `np.sqrt(np.mean(errors ** 2))`."""
    rows = _requests()[lambda frame: frame["pickup_datetime"] < _NOW - 2 * _LONGEST]
    expected = float(np.sqrt(np.mean((rows["truth"] - rows["yhat"]) ** 2)))
    got = _settled(answer, rows)
    assert abs(got - expected) < 1e-9, (
        f"of old requests, all known, the RMSE is {expected:.3f}; you returned {got:.3f}"
    )


@checks(settled_rmse)
def waits_for_the_slowest_label(answer):
    """Choose by the time of the request, `pickup_datetime <= now - longest`, never by whether the label is there."""
    rows = _requests(1)
    old = rows[rows["pickup_datetime"] <= _NOW - _LONGEST]
    expected = float(np.sqrt(np.mean((old["truth"] - old["yhat"]) ** 2)))
    got = _settled(answer, rows)
    assert abs(got - expected) < 1e-9, (
        f"the RMSE is {expected:.3f}, you returned {got:.3f}: which trips of the last hour have a label already?"
    )


@checks(settled_rmse)
def says_so_when_nothing_is_settled(answer):
    """A mean of no rows is NaN; an error of 0 would look like a perfect model."""
    rows = _requests(2)
    got = _settled(answer, rows[rows["pickup_datetime"] > _NOW - _LONGEST / 2])
    assert np.isnan(got), f"no request is old enough, so nobody knows the error: NaN, not {got:.3f}"


@checks(settled_rmse)
def asks_at_any_time(answer):
    """`now` is when the question is asked. Nothing after it may count, whatever the table holds by today."""
    rows = _requests(3)
    earlier = _NOW - _LONGEST
    old = rows[rows["pickup_datetime"] <= earlier - _LONGEST]
    expected = float(np.sqrt(np.mean((old["truth"] - old["yhat"]) ** 2)))
    got = _settled(answer, rows, earlier)
    assert abs(got - expected) < 1e-9, f"asked an hour earlier it is {expected:.3f}; you returned {got:.3f}"


@wrong(settled_rmse, caught_by=returns_minutes)
def forgets_the_root(requests, now, longest):
    settled = requests[requests["pickup_datetime"] <= now - longest]
    return ((settled["duration"] - settled["yhat"]) ** 2).mean()


@wrong(settled_rmse, caught_by=waits_for_the_slowest_label)
def takes_every_label_it_has(requests, now, longest):
    known = requests.dropna(subset="duration")
    return np.sqrt(np.mean((known["duration"] - known["yhat"]) ** 2))


@wrong(settled_rmse, caught_by=waits_for_the_slowest_label)
def takes_the_trips_that_have_ended(requests, now, longest):
    ended = requests["pickup_datetime"] + pd.to_timedelta(requests["duration"], unit="min") <= now
    return np.sqrt(np.mean((requests["duration"] - requests["yhat"])[ended] ** 2))


@wrong(settled_rmse, caught_by=waits_for_the_slowest_label)
def fills_unknown_labels_with_zero(requests, now, longest):
    return np.sqrt(np.mean((requests["duration"].fillna(0) - requests["yhat"]) ** 2))


@wrong(settled_rmse, caught_by=says_so_when_nothing_is_settled)
def calls_ignorance_perfect(requests, now, longest):
    settled = requests[requests["pickup_datetime"] <= now - longest]
    return np.sqrt(np.mean((settled["duration"] - settled["yhat"]) ** 2)) if len(settled) else 0.0


@wrong(settled_rmse, caught_by=asks_at_any_time)
def asks_as_of_the_newest_row(requests, now, longest):
    as_of = max(now, requests["pickup_datetime"].max().ceil("h"))
    settled = requests[requests["pickup_datetime"] <= as_of - longest]
    return np.sqrt(np.mean((settled["duration"] - settled["yhat"]) ** 2)) if len(settled) else np.nan


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
    """`pd.Series({step: value, …})` makes one; the run is found with `mlflow.search_runs(experiment_names=[…])`."""
    with _logged() as name:
        trend = answer(name, "hour")
    assert isinstance(trend, pd.Series), f"you returned a {type(trend).__name__}, not a Series"


@checks(drift_trend)
def has_every_step(answer):
    """`search_runs` knows the last value only; `MlflowClient().get_metric_history(run_id, key)` has all of them."""
    with _logged() as name:
        trend = answer(name, "hour")
    assert sorted(trend) == sorted(_EFFECTS.values()), (
        f"the store has the effects {sorted(_EFFECTS.values())} of `hour`, you returned {sorted(trend)}"
    )


@checks(drift_trend)
def is_in_order_of_the_steps(answer):
    """Take `point.step` as the index and sort by it: points are stored in the order in which they came."""
    with _logged() as name:
        trend = answer(name, "hour")
    assert trend.to_dict() == _EFFECTS, f"by step it is {_EFFECTS}, you returned {trend.to_dict()}"
    assert list(trend.index) == [3, 4, 5], f"the steps stand in the order {list(trend.index)}"


@checks(drift_trend)
def knows_odd_names(answer):
    """MLflow refuses odd characters, so write no name by hand: `drift_metric("effect", column)` knows it."""
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


# --- alarm_limits -----------------------------------------------------------------------------------------------------


@right
def alarm_limits(quiet, periods, budget):
    """Return the limits of each metric as a frame with the columns `low` and `high`, a row per metric.

    `quiet` has a row per quiet month and a column per metric. All metrics will be looked at in each of `periods`
    months to come, and together they may raise `budget` false alarms. Limits: mean ± k · standard deviation, with
    the k of the formula above.
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
    """`quiet.mean()` and `quiet.std()` are Series over the metrics; a frame of two such Series has the right form."""
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
    """The budget covers too low and too high, so each side gets half of it: b / (2 c)."""
    low, high = _rate(answer, 10, 24, n=60)
    assert 4 < low < 18 and 4 < high < 18, (
        f"of 24 false alarms half should be too low and half too high; there were {low:.1f} and {high:.1f}"
    )


@checks(alarm_limits)
def keeps_the_budget(answer):
    """With few quiet months take Student's t with n - 1 degrees of freedom, and do not forget the root."""
    total = _rate(answer, 10, 2, n=6).sum()
    assert 1.4 < total < 2.6, f"the budget was 2 false alarms after 6 quiet months, there were {total:.1f}"


@checks(alarm_limits)
def shares_it_among_the_metrics(answer):
    """The number of checks is months × metrics: twice the metrics, half the probability for each."""
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

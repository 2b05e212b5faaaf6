"""Exercises of lesson 11a: a change of unit, and an error that waits for its labels."""

import statistics

import numpy as np
import pandas as pd
from sklearn.metrics import root_mean_squared_error

from course.exercise import also_right, checks, right, wrong

# --- unit_factor ------------------------------------------------------------------------------------------------------


@right
def unit_factor(reference, current):
    """Return the factor by which `current` was multiplied, or None when its unit has not changed. Both are Series
    with missing values. Divide the quantiles 0.25, 0.5, 0.75 of `current` by those of `reference`: a unit has
    changed when the largest ratio is at most 5 % above the smallest and the middle one, the factor, is 10 % off 1.
    """
    levels = [0.25, 0.5, 0.75]
    ratios = current.quantile(levels) / reference.quantile(levels)
    agree = ratios.max() <= 1.05 * ratios.min()
    return float(ratios[0.5]) if agree and abs(ratios[0.5] - 1) >= 0.1 else None


def _distances(seed=0):
    return pd.Series(np.random.default_rng(seed).lognormal(0.6, 0.8, 20_000))


@checks(unit_factor)
def finds_kilometres(answer):
    """What happens to a quantile when every value is multiplied? Look at new against old."""
    factor = answer(_distances(), _distances(1) * 1.609344)
    assert factor is not None, "miles became kilometres, and you returned None"
    assert abs(factor - 1.609) < 0.08, (
        f"miles became kilometres: the factor is about 1.61, you returned {factor:.3f}"
    )


@checks(unit_factor)
def quiet_month_has_none(answer):
    """How far from 1 is the ratio in a month in which nothing happened?"""
    factor = answer(_distances(), _distances(2))
    assert factor is None, f"a month like the one before has no change of unit; you returned {factor}"


@checks(unit_factor)
def other_world_is_no_unit(answer):
    """Do the three ratios agree with each other? Only a unit moves all quantiles by the same factor."""
    for limit in (2, 1.4):  # of all three quartiles only the third moves, then the median moves with it
        longer = _distances(3)
        longer = longer.where(longer < limit, longer * 1.5)
        factor = answer(_distances(), longer)
        assert factor is None, (
            f"only trips over {limit} miles got longer, which is no change of unit; you returned {factor:.2f}"
        )


@checks(unit_factor)
def finds_a_smaller_unit_too(answer):
    """Can a unit make the numbers smaller? Kilometres may become miles as well."""
    factor = answer(_distances() * 1.609344, _distances(1))
    assert factor is not None, "kilometres became miles, and you returned None"
    assert abs(factor - 0.621) < 0.03, f"kilometres became miles: about 0.62, you returned {factor:.3f}"


@checks(unit_factor)
def agreement_is_relative(answer):
    """What does "at most 5 % above" mean for ratios near 0.001? Compare the ratios by division."""
    factor = answer(_distances() * 1_000, _distances(6))
    assert factor is not None, "metres became kilometres, and you returned None"
    shrunk = _distances(7)
    shrunk = shrunk.where(shrunk < 2, shrunk * 1.5)
    factor = answer(_distances() * 1_000, shrunk)
    assert factor is None, (
        f"the ratios are about 0.001 and 0.0015, half as large again, so no unit; you returned {factor:.4f}"
    )


@checks(unit_factor)
def one_broken_meter_changes_nothing(answer):
    """Which summary does a single absurd value move, and which does it leave alone?"""
    broken = _distances(4)
    broken.iloc[7] = 46_826.0  # a trip that stands in the data of November 2020
    broken.iloc[8] = 1e6
    factor = answer(_distances(), broken)
    assert factor is None, f"two absurd values among 20,000 are no change of unit; you returned {factor:.2f}"


@checks(unit_factor)
def missing_values_are_left_out(answer):
    """What does your quantile give when one value is missing?"""
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


@wrong(unit_factor, caught_by=other_world_is_no_unit)
def looks_at_the_median_only(reference, current):
    ratio = current.median() / reference.median()
    return float(ratio) if abs(ratio - 1) >= 0.1 else None


@wrong(unit_factor, caught_by=finds_a_smaller_unit_too)
def looks_upward_only(reference, current):
    levels = [0.25, 0.5, 0.75]
    ratios = current.quantile(levels) / reference.quantile(levels)
    return float(ratios[0.5]) if ratios.max() <= 1.05 * ratios.min() and ratios[0.5] >= 1.1 else None


@wrong(unit_factor, caught_by=agreement_is_relative)
def compares_by_difference(reference, current):
    levels = [0.25, 0.5, 0.75]
    ratios = current.quantile(levels) / reference.quantile(levels)
    return float(ratios[0.5]) if ratios.max() - ratios.min() <= 0.05 and abs(ratios[0.5] - 1) >= 0.1 else None


@also_right(unit_factor)
def with_numpy(reference, current):
    new, old = (np.nanquantile(side.to_numpy(), [0.25, 0.5, 0.75]) for side in (current, reference))
    low, middle, high = sorted(new / old)
    return middle if high / low <= 1.05 and not 0.9 < middle < 1.1 else None


@also_right(unit_factor)
def in_plain_python(reference, current):
    def quartiles(side):
        return statistics.quantiles([value for value in side if value == value], n=4, method="inclusive")

    ratios = [new / old for new, old in zip(quartiles(current), quartiles(reference), strict=True)]
    if max(ratios) > 1.05 * min(ratios) or abs(ratios[1] - 1) < 0.1:
        return None
    return ratios[1]


# --- settled_rmse -----------------------------------------------------------------------------------------------------


@right
def settled_rmse(requests, now, longest):
    """Return the RMSE of the requests whose labels must all be known at the time `now`.

    `requests` has a row per trip: `pickup_datetime`, `yhat` and `duration` (minutes; missing while the trip goes
    on). In this table no trip lasts longer than `longest` (a Timedelta). Return NaN when there is no such request.
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
    value = answer(rows.drop(columns="truth"), now, _LONGEST)
    assert value is not None and np.ndim(value) == 0, f"return a number, not a {type(value).__name__}"
    return float(value)


@checks(settled_rmse)
def returns_minutes(answer):
    """In which unit is your answer, minutes or squared minutes?"""
    rows = _requests()[lambda frame: frame["pickup_datetime"] < _NOW - 2 * _LONGEST]
    expected = float(np.sqrt(np.mean((rows["truth"] - rows["yhat"]) ** 2)))
    got = _settled(answer, rows)
    assert abs(got - expected) < 1e-9, (
        f"of old requests, all known, the RMSE is {expected:.3f}; you returned {got:.3f}"
    )


@checks(settled_rmse)
def waits_for_the_slowest_label(answer):
    """Which requests must have their label by now, however slow they were? Choose by when a trip began."""
    rows = _requests(1)
    old = rows[rows["pickup_datetime"] <= _NOW - _LONGEST]
    expected = float(np.sqrt(np.mean((old["truth"] - old["yhat"]) ** 2)))
    got = _settled(answer, rows)
    assert abs(got - expected) < 1e-9, (
        f"the RMSE is {expected:.3f}, you returned {got:.3f}: which trips of the last hour have a label already?"
    )


@checks(settled_rmse)
def says_so_when_nothing_is_settled(answer):
    """What would an error of 0 tell the reader, when there is nothing to judge yet?"""
    rows = _requests(2)
    got = _settled(answer, rows[rows["pickup_datetime"] > _NOW - _LONGEST / 2])
    assert np.isnan(got), f"no request is old enough, so nobody knows the error: NaN, not {got:.3f}"


@checks(settled_rmse)
def asks_at_any_time(answer):
    """What was known when the question was asked? The table may hold later trips."""
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


@also_right(settled_rmse)
def with_pandas_alone(requests, now, longest):
    old = requests[requests["pickup_datetime"].add(longest).le(now)]
    errors = old.eval("duration - yhat")
    return errors.pow(2).mean() ** 0.5


@also_right(settled_rmse)
def with_a_loop_over_rows(requests, now, longest):
    squares = [
        (row.duration - row.yhat) ** 2
        for row in requests.itertuples()
        if row.pickup_datetime + longest <= now
    ]
    return (sum(squares) / len(squares)) ** 0.5 if squares else float("nan")


@also_right(settled_rmse)
def with_scikit_learn(requests, now, longest):
    settled = requests.loc[now - requests["pickup_datetime"] >= longest]
    return root_mean_squared_error(settled["duration"], settled["yhat"]) if len(settled) else np.nan

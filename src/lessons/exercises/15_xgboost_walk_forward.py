"""Exercises of lesson 15: a recursive forecast, the target matrix, a conformal half-width, and intervals judged."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin

from course.data import load_births
from course.exercise import checks, right, wrong


def _births(first="2013-01-01", last="2014-06-30"):
    """Return births a day in thousands, indexed by day."""
    births = load_births().set_index("ds")["y"][first:last] / 1000
    return births.rename_axis(None)


# --- forecast_recursively ---------------------------------------------------------------------------------------------


@right
def forecast_recursively(model, births, cutoff, lags, days):
    """Forecast the `days` days after `cutoff` with a fitted one-day-ahead `model`; return a Series indexed by day.

    `births` is a Series by day that goes on after the cutoff: nothing after it may be used. For each day the model
    takes one row: the births of `lags` days before (`lags=[1, 7]`: the day before, then a week before). Where such a
    day lies after the cutoff, the row takes the forecast of that day.
    """
    known = births[:cutoff].copy()
    for step in range(1, days + 1):
        day = pd.Timestamp(cutoff) + pd.Timedelta(days=step)
        row = [known[day - pd.Timedelta(days=lag)] for lag in lags]
        known[day] = model.predict(np.array([row]))[0]
    return known[-days:]


class _Weighted(RegressorMixin, BaseEstimator):
    """Predicts a weighted sum of a row, and keeps the rows that it was shown."""

    def __init__(self, weights):
        self.weights = weights
        self.rows = []

    def predict(self, X):
        X = np.asarray(X, dtype=float)
        assert X.ndim == 2 and X.shape[1] == len(self.weights), (
            f"the model takes rows of {len(self.weights)} lags, you gave an array of shape {X.shape}"
        )
        self.rows += X.tolist()
        return X @ np.array(self.weights)


_CUTOFF = pd.Timestamp("2014-03-02")


def _path(answer, weights, lags, days, births=None):
    births = _births() if births is None else births
    path = answer(_Weighted(weights), births.copy(), _CUTOFF, list(lags), days)
    assert isinstance(path, pd.Series), f"return a Series, not a {type(path).__name__}"
    return path


@checks(forecast_recursively)
def is_a_series_of_the_days_ahead(answer):
    """The first day is `cutoff + pd.Timedelta(days=1)`; keep the index when you collect the forecasts."""
    path = _path(answer, [1.0], [7], 10)
    wanted = pd.date_range("2014-03-03", periods=10)
    assert list(path.index) == list(wanted), (
        f"10 days from 2014-03-03 to 2014-03-12 are wanted, your index is {list(path.index)[:2]} …, {len(path)} days"
    )


@checks(forecast_recursively)
def nothing_after_the_cutoff_is_used(answer):
    """Cut first: `known = births[:cutoff]`. Feeding the truth makes a forecast for tomorrow, ten times in a row."""
    births = _births()
    changed = births.copy()
    changed[changed.index > _CUTOFF] += 5
    a, b = (_path(answer, [0.4, 0.6], [1, 7], 10, series) for series in (births, changed))
    assert np.allclose(a.to_numpy(float), b.to_numpy(float)), (
        "the forecast changes when births after the cutoff change: they are not known yet"
    )


@checks(forecast_recursively)
def lags_are_in_order(answer):
    """The first column belongs to the first of `lags`, as it was in training: `[known[day - lag] for lag in lags]`."""
    path = _path(answer, [1.0, 0.0], [7, 1], 7)
    last_week = _births()["2014-02-24":"2014-03-02"]
    assert np.allclose(path.to_numpy(float), last_week.to_numpy()), (
        "a model that repeats its first column, with lags=[7, 1], repeats the last week; yours does not"
    )


@checks(forecast_recursively)
def forecasts_are_fed_back(answer):
    """After each day write the forecast into `known`, so that the next day's lag 1 finds it."""
    last = _births()[_CUTOFF]
    path = _path(answer, [0.9], [1], 4)
    assert np.allclose(path.to_numpy(float), last * 0.9 ** np.arange(1, 5)), (
        f"a model that says 0.9 × yesterday goes from {last:.3f} to {last * 0.9:.3f}, {last * 0.81:.3f}, …; "
        f"yours gives {path.round(3).tolist()}"
    )


@checks(forecast_recursively)
def given_series_stays_as_it_was(answer):
    """A slice may be written into: `.copy()` it first."""
    births = _births()
    answer(_Weighted([0.5]), births, _CUTOFF, [1], 5)
    assert births.equals(_births()), "the Series that was passed in has changed"


@wrong(forecast_recursively, caught_by=is_a_series_of_the_days_ahead)
def starts_on_the_cutoff(model, births, cutoff, lags, days):
    path = forecast_recursively(model, births, cutoff, lags, days)
    return path.set_axis(path.index - pd.Timedelta(days=1))


@wrong(forecast_recursively, caught_by=is_a_series_of_the_days_ahead)
def loses_the_days(model, births, cutoff, lags, days):
    return forecast_recursively(model, births, cutoff, lags, days).reset_index(drop=True)


@wrong(forecast_recursively, caught_by=nothing_after_the_cutoff_is_used)
def adds_the_truth(model, births, cutoff, lags, days):
    ahead = pd.date_range(pd.Timestamp(cutoff) + pd.Timedelta(days=1), periods=days)
    rows = [[births[day - pd.Timedelta(days=lag)] for lag in lags] for day in ahead]
    return pd.Series([model.predict(np.array([row]))[0] for row in rows], index=ahead)


@wrong(forecast_recursively, caught_by=lags_are_in_order)
def sorts_the_lags(model, births, cutoff, lags, days):
    return forecast_recursively(model, births, cutoff, sorted(lags), days)


@wrong(forecast_recursively, caught_by=forecasts_are_fed_back)
def repeats_the_last_row(model, births, cutoff, lags, days):
    known = births[:cutoff]
    ahead = pd.date_range(pd.Timestamp(cutoff) + pd.Timedelta(days=1), periods=days)
    rows = []
    for day in ahead:
        back = [day - pd.Timedelta(days=lag) for lag in lags]
        while max(back) > pd.Timestamp(cutoff):
            back = [one - pd.Timedelta(days=7) if one > pd.Timestamp(cutoff) else one for one in back]
        rows.append([known[one] for one in back])
    return pd.Series([model.predict(np.array([row]))[0] for row in rows], index=ahead)


@wrong(forecast_recursively, caught_by=given_series_stays_as_it_was)
def writes_into_the_series(model, births, cutoff, lags, days):
    path = forecast_recursively(model, births, cutoff, lags, days)
    births[path.index] = path
    return path


# --- target_matrix ----------------------------------------------------------------------------------------------------


@right
def target_matrix(births, steps, cutoff):
    """Return the targets that a multi-output model may be trained on at `cutoff`: a DataFrame, a row an evening t.

    Column k (the names are the numbers 1 to `steps`) holds the births of day t + k. `births` is a Series by day that
    goes on after the cutoff; a row stands there only when all its days have come by the cutoff.
    """
    known = births[:cutoff]
    return pd.DataFrame({k: known.shift(-k) for k in range(1, steps + 1)}).dropna()


def _targets(answer, steps=5):
    found = answer(_births(), steps, _CUTOFF)
    assert isinstance(found, pd.DataFrame), f"return a DataFrame, not a {type(found).__name__}"
    return found


@checks(target_matrix)
def has_a_column_for_each_step(answer):
    """`{k: births.shift(-k) for k in range(1, steps + 1)}`: from 1, because t itself is known, up to `steps`."""
    columns = list(_targets(answer).columns)
    assert columns == [1, 2, 3, 4, 5], f"for 5 steps the columns are 1 to 5, yours are {columns}"


@checks(target_matrix)
def looks_ahead(answer):
    """`shift(-k)` brings the value of k days later up to this row; `shift(k)` makes a lag."""
    found, births = _targets(answer), _births()
    evening = pd.Timestamp("2013-11-25")
    assert evening in found.index, "the evening of 2013-11-25 has all its days, and no row"
    wanted = births["2013-11-26":"2013-11-30"]
    assert np.allclose(found.loc[evening].to_numpy(float), wanted.to_numpy()), (
        f"on 2013-11-25 the next five days have {wanted.round(2).tolist()}, "
        f"your row says {found.loc[evening].round(2).tolist()}"
    )


@checks(target_matrix)
def ends_before_the_cutoff(answer):
    """The last evening is `steps` days before the cutoff. Cut the Series at the cutoff first, then shift."""
    last = _targets(answer).index[-1]
    assert last == pd.Timestamp("2014-02-25"), (
        f"at the cutoff 2014-03-02 the last evening with five known days is 2014-02-25, yours is {last:%Y-%m-%d}"
    )


@checks(target_matrix)
def every_number_is_a_birth_count(answer):
    """Rows that lack a day are dropped: `dropna()`. A filled target is an invented answer."""
    found = _targets(answer)
    values = _births()[:_CUTOFF]
    assert not found.isna().any(axis=None), "there are holes in the matrix"
    assert len(found) == len(values) - 5, (
        f"{len(values)} days have {len(values) - 5} full rows, yours are {len(found)}"
    )


@wrong(target_matrix, caught_by=has_a_column_for_each_step)
def counts_from_today(births, steps, cutoff):
    known = births[:cutoff]
    return pd.DataFrame({k: known.shift(-k) for k in range(steps)}).dropna()


@wrong(target_matrix, caught_by=looks_ahead)
def makes_lags(births, steps, cutoff):
    known = births[:cutoff]
    return pd.DataFrame({k: known.shift(k) for k in range(1, steps + 1)}).dropna()


@wrong(target_matrix, caught_by=ends_before_the_cutoff)
def cuts_the_rows_only(births, steps, cutoff):
    return pd.DataFrame({k: births.shift(-k) for k in range(1, steps + 1)}).dropna()[:cutoff]


@wrong(target_matrix, caught_by=ends_before_the_cutoff)
def leaves_the_holes(births, steps, cutoff):
    known = births[:cutoff]
    return pd.DataFrame({k: known.shift(-k) for k in range(1, steps + 1)})


@wrong(target_matrix, caught_by=ends_before_the_cutoff)
def rolls_round(births, steps, cutoff):
    known = births[:cutoff]
    return pd.DataFrame({k: np.roll(known, -k) for k in range(1, steps + 1)}, index=known.index)


@wrong(target_matrix, caught_by=every_number_is_a_birth_count)
def starts_late(births, steps, cutoff):
    return target_matrix(births, steps, cutoff).iloc[steps:]


@wrong(target_matrix, caught_by=every_number_is_a_birth_count)
def marks_holidays_as_missing(births, steps, cutoff):
    found = target_matrix(births, steps, cutoff)
    return found.where(found > 7)


# --- conformal_half_width ---------------------------------------------------------------------------------------------


@right
def conformal_half_width(errors, level=0.8):
    """Return half the width of a conformal interval, from a Series of errors y - yhat of earlier forecasts.

    Of n absolute errors it is the one with rank ⌈(n + 1) · level⌉, counted from the smallest; infinity when n is too
    small to have that rank. Leave missing errors out.
    """
    sizes = np.sort(errors.dropna().abs())
    rank = int(np.ceil((len(sizes) + 1) * level - 1e-9))
    return float(sizes[rank - 1]) if rank <= len(sizes) else float("inf")


def _half(answer, errors, level=0.8):
    try:
        return float(answer(pd.Series(errors, dtype=float), level))
    except (TypeError, IndexError) as error:
        raise AssertionError(f"return one number, infinity if there are too few errors ({error})") from None


@checks(conformal_half_width)
def takes_the_ranked_error(answer):
    """Sort the sizes; rank r is at position r - 1: `np.sort(sizes)[rank - 1]`."""
    half = _half(answer, np.arange(1, 10))
    assert half == 8, f"of the errors 1 to 9 at 80 %, rank ⌈10 · 0.8⌉ = 8 is the error 8; you returned {half}"


@checks(conformal_half_width)
def counts_one_more_than_it_has(answer):
    """The day to come is one of n + 1 that are alike: `(n + 1) * level`. Interpolating quantiles come out too narrow."""
    half = _half(answer, [1, 2, 3, 4, 10])
    assert half == 10, f"of five errors at 80 %, rank ⌈6 · 0.8⌉ = 5 is the largest, 10; you returned {half}"


@checks(conformal_half_width)
def sign_does_not_count(answer):
    """Half a width has no sign: `errors.abs()` before sorting."""
    half = _half(answer, [-9, 8, -7, 6, -5, 4, -3, 2, -1])
    assert half == 8, f"the sizes are 1 to 9, in any order and with any sign: 8; you returned {half}"


@checks(conformal_half_width)
def says_when_it_can_not_know(answer):
    """Three errors can't give an interval for 80 %. `float("inf")` says so; the largest error would promise too much."""
    half = _half(answer, [1, 2, 3])
    assert half == np.inf, f"rank ⌈4 · 0.8⌉ = 4 of three errors does not exist: infinity; you returned {half}"


@checks(conformal_half_width)
def missing_errors_do_not_count(answer):
    """`dropna()` first: n is the number of errors that there are."""
    half = _half(answer, [*range(1, 10), *[np.nan] * 9])
    assert half == 8, f"nine of eighteen errors are missing: still 8; you returned {half}"


@wrong(conformal_half_width, caught_by=takes_the_ranked_error)
def forgets_that_positions_start_at_zero(errors, level=0.8):
    sizes = np.sort(errors.dropna().abs())
    rank = int(np.ceil((len(sizes) + 1) * level - 1e-9))
    return sizes[rank] if rank < len(sizes) else np.inf


@wrong(conformal_half_width, caught_by=takes_the_ranked_error)
def takes_two_standard_deviations(errors, level=0.8):
    return 1.2816 * errors.std()


@wrong(conformal_half_width, caught_by=takes_the_ranked_error)
def takes_the_quantile(errors, level=0.8):
    return errors.dropna().abs().quantile(level)


@wrong(conformal_half_width, caught_by=counts_one_more_than_it_has)
def forgets_the_day_to_come(errors, level=0.8):
    sizes = np.sort(errors.dropna().abs())
    return sizes[int(np.ceil(len(sizes) * level)) - 1]


@wrong(conformal_half_width, caught_by=sign_does_not_count)
def sorts_with_the_sign(errors, level=0.8):
    sizes = np.sort(errors.dropna())
    rank = int(np.ceil((len(sizes) + 1) * level - 1e-9))
    return sizes[rank - 1] if rank <= len(sizes) else np.inf


@wrong(conformal_half_width, caught_by=says_when_it_can_not_know)
def takes_the_largest_instead(errors, level=0.8):
    sizes = np.sort(errors.dropna().abs())
    rank = int(np.ceil((len(sizes) + 1) * level - 1e-9))
    return sizes[min(rank, len(sizes)) - 1]


@wrong(conformal_half_width, caught_by=missing_errors_do_not_count)
def counts_missing_errors(errors, level=0.8):
    sizes = np.sort(errors.abs().fillna(0))
    rank = int(np.ceil((len(sizes) + 1) * level - 1e-9))
    return sizes[rank - 1] if rank <= len(sizes) else np.inf


# --- judge_intervals --------------------------------------------------------------------------------------------------


@right
def judge_intervals(births, low, high, level=0.8):
    """Return a dictionary with the coverage, width and pinball loss of intervals; three Series with the same index.

    `coverage`: share of days with low <= births <= high. `width`: mean of high - low. `pinball`: mean over the days
    of the average of two losses, of `low` at q = (1 - level) / 2 and of `high` at 1 - q; a bound b at q costs
    q · (y - b) when y is above it, and (1 - q) · (b - y) when y is below. Days without both bounds count nowhere.
    """
    q, known = (1 - level) / 2, low.notna() & high.notna()
    y, low, high = births[known], low[known], high[known]
    losses = [np.maximum(p * (y - b), (p - 1) * (y - b)).mean() for p, b in ((q, low), (1 - q, high))]
    return {
        "coverage": float(y.between(low, high).mean()),
        "width": float((high - low).mean()),
        "pinball": float(np.mean(losses)),
    }


def _ranges(seed=0):
    """Return births and, from the week before, intervals; one day in ten has none."""
    births = _births()
    middle = births.shift(7)
    half = pd.Series(np.random.default_rng(seed).uniform(0.2, 1.2, len(births)), births.index)
    half = half.where(np.arange(len(births)) % 10 > 0)
    return births.round(2), (middle - half).round(2), (middle + half).round(2)


def _judged(answer, y, low, high, **options):
    found = answer(y.copy(), low.copy(), high.copy(), **options)
    assert isinstance(found, dict) and set(found) == {"coverage", "width", "pinball"}, (
        f"return a dictionary with coverage, width and pinball, not {found!r}"
    )
    return {name: float(value) for name, value in found.items()}


def _agree(answer, y, low, high, name, why, **options):
    wanted, found = judge_intervals(y, low, high, **options), _judged(answer, y, low, high, **options)
    assert abs(wanted[name] - found[name]) < 1e-9, (
        f"{why}: {name} {wanted[name]:.4f}, yours is {found[name]:.4f}"
    )


@checks(judge_intervals)
def bounds_belong_to_it(answer):
    """`y.between(low, high)` includes both ends, as the definition does."""
    y = _births()[:4].round(1)
    _agree(answer, y, y, y + 1, "coverage", "four days exactly on the lower bound are inside")


@checks(judge_intervals)
def days_without_bounds_do_not_count(answer):
    """A comparison with a missing bound is False, which reads as *outside*. Keep the rows that have both."""
    _agree(answer, *_ranges(), "coverage", "one day in ten has no interval")


@checks(judge_intervals)
def width_is_a_mean_of_whole_widths(answer):
    """`(high - low).mean()`: from bound to bound, not from the middle."""
    _agree(answer, *_ranges(), "width", "whole widths")


@checks(judge_intervals)
def being_on_the_wrong_side_costs_most(answer):
    """For the lower bound at 0.1, births above it are the usual case and cheap: 0.1 · (y - b). Below they cost 0.9."""
    y = pd.Series([10.0, 10.0], index=pd.date_range("2014-01-01", periods=2))
    _agree(answer, y, y - 1, y + 1, "pinball", "births in the middle of a range from -1 to +1")
    _agree(answer, y, y + 1, y + 2, "pinball", "births below the whole range")


@checks(judge_intervals)
def level_sets_the_quantiles(answer):
    """80 % leaves 10 % on each side, 50 % leaves 25 %: `q = (1 - level) / 2`."""
    _agree(answer, *_ranges(), "pinball", "at a level of 50 %", level=0.5)


@wrong(judge_intervals, caught_by=bounds_belong_to_it)
def leaves_the_ends_out(births, low, high, level=0.8):
    known = low.notna() & high.notna()
    inside = (low < births) & (births < high)
    return judge_intervals(births, low, high, level) | {"coverage": inside[known].mean()}


@wrong(judge_intervals, caught_by=days_without_bounds_do_not_count)
def counts_missing_as_outside(births, low, high, level=0.8):
    return judge_intervals(births, low, high, level) | {"coverage": births.between(low, high).mean()}


@wrong(judge_intervals, caught_by=width_is_a_mean_of_whole_widths)
def takes_half_the_width(births, low, high, level=0.8):
    found = judge_intervals(births, low, high, level)
    return found | {"width": found["width"] / 2}


@wrong(judge_intervals, caught_by=being_on_the_wrong_side_costs_most)
def swaps_the_quantiles(births, low, high, level=0.8):
    return judge_intervals(births, low, high, level) | {
        "pinball": judge_intervals(births, low, high, 2 - (1 + level))["pinball"]
    }


@wrong(judge_intervals, caught_by=being_on_the_wrong_side_costs_most)
def takes_the_absolute_error(births, low, high, level=0.8):
    loss = ((births - low).abs() + (births - high).abs()).mean() / 2
    return judge_intervals(births, low, high, level) | {"pinball": loss}


@wrong(judge_intervals, caught_by=being_on_the_wrong_side_costs_most)
def adds_both_losses(births, low, high, level=0.8):
    found = judge_intervals(births, low, high, level)
    return found | {"pinball": 2 * found["pinball"]}


@wrong(judge_intervals, caught_by=level_sets_the_quantiles)
def writes_eighty_percent_down(births, low, high, level=0.8):
    return judge_intervals(births, low, high, level) | {
        "pinball": judge_intervals(births, low, high)["pinball"]
    }

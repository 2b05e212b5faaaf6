"""Exercises of lesson 14b: a baseline that does not look ahead, and a regressor's future."""

import numpy as np
import pandas as pd

from course.data import load_births
from course.exercise import also_right, checks, right, wrong

# --- times_naive ------------------------------------------------------------------------------------------------------


@right
def times_naive(forecast, history):
    """Return the mean absolute error of `forecast` divided by that of seasonal naive on the same rows.

    `forecast` comes from Prophet's cross_validation: ds, cutoff, y, yhat. `history` has ds and y, a row for each day.
    Seasonal naive forecasts a day by the last day of the same weekday that is **not after the cutoff**.
    """
    ahead = (forecast["ds"] - forecast["cutoff"]).dt.days
    back = pd.to_timedelta(7 * np.ceil(ahead / 7), "D")
    naive = history.set_index("ds")["y"][forecast["ds"] - back].to_numpy()
    return float((forecast["y"] - forecast["yhat"]).abs().mean() / np.abs(forecast["y"] - naive).mean())


@also_right(times_naive)
def looks_up_row_by_row(forecast, history):
    known = dict(zip(history["ds"], history["y"], strict=True))
    model, naive = [], []
    for row in forecast.itertuples():
        source = row.ds
        while source > row.cutoff:
            source -= pd.Timedelta(days=7)
        model.append(abs(row.y - row.yhat))
        naive.append(abs(row.y - known[source]))
    return sum(model) / sum(naive)


@also_right(times_naive)
def joins_the_last_week(forecast, history):
    weeks = -(-(forecast["ds"] - forecast["cutoff"]).dt.days // 7)
    source = forecast["ds"] - weeks * pd.Timedelta(days=7)
    joined = forecast.assign(source=source).merge(
        history.rename(columns={"ds": "source", "y": "naive"})[["source", "naive"]], on="source"
    )
    return joined.eval("abs(y - yhat)").mean() / joined.eval("abs(y - naive)").mean()


def _backtest(horizon=21, error=300.0):
    """Return births, and forecasts of three cutoffs at Christmas time that miss by `error`, now up, now down."""
    history = load_births()
    y = history.set_index("ds")["y"]
    rows = []
    for cutoff in pd.to_datetime(["2010-12-12", "2011-12-11", "2012-12-16"]):
        ds = pd.date_range(cutoff + pd.Timedelta(days=1), periods=horizon)
        rows.append(pd.DataFrame({"ds": ds, "cutoff": cutoff, "y": y[ds].to_numpy(dtype=float)}))
    forecast = pd.concat(rows, ignore_index=True)
    return forecast.assign(
        yhat=forecast["y"] + error * np.where(np.arange(len(forecast)) % 2, 1, -1)
    ), history


def _ratio(answer, forecast, history):
    try:
        return float(answer(forecast.copy(), history.copy()))
    except TypeError as error:
        raise AssertionError(f"return one number ({error})") from None


@checks(times_naive)
def perfect_forecast_gives_zero(answer):
    """Which of the two errors do you divide by? A perfect model has a ratio of 0."""
    forecast, history = _backtest(error=0.0)
    ratio = _ratio(answer, forecast, history)
    assert ratio == 0, f"a forecast without error has 0 times the naive error, you returned {ratio}"


@checks(times_naive)
def first_week_repeats_the_week_before(answer):
    """Which day does the baseline repeat in the first week? The same weekday of the week that ends at the cutoff."""
    forecast, history = _backtest(horizon=7)
    expected, ratio = times_naive(forecast, history), _ratio(answer, forecast, history)
    assert abs(ratio - expected) < 1e-9, f"a week ahead the ratio is {expected:.4f}, you returned {ratio:.4f}"


@checks(times_naive)
def baseline_knows_nothing_after_the_cutoff(answer):
    """Is the value of 7 days before known at the cutoff? For day 8 it is not: go back in whole weeks until it is."""
    forecast, history = _backtest()
    expected, ratio = times_naive(forecast, history), _ratio(answer, forecast, history)
    assert abs(ratio - expected) < 1e-9, (
        f"three weeks ahead the ratio is {expected:.4f}, you returned {ratio:.4f}"
    )


@checks(times_naive)
def errors_are_averaged_before_dividing(answer):
    """What happens to a ratio of single days where the naive error is near 0? Average first, divide once."""
    forecast, history = _backtest()
    forecast.loc[::5, "yhat"] += 2_000
    expected, ratio = times_naive(forecast, history), _ratio(answer, forecast, history)
    assert abs(ratio - expected) < 1e-9, f"with some larger errors it is {expected:.4f}, not {ratio:.4f}"


@checks(times_naive)
def rows_may_stand_in_any_order(answer):
    """Does your baseline depend on the order of the rows? Look the value up by its date."""
    forecast, history = _backtest()
    forecast.loc[::5, "yhat"] += 2_000
    mixed = forecast.sample(frac=1, random_state=3)
    expected, ratio = times_naive(forecast, history), _ratio(answer, mixed, history)
    assert abs(ratio - expected) < 1e-9, (
        f"the same rows in another order give {ratio:.4f}, not {expected:.4f}"
    )


def _of(forecast, naive):
    return (forecast["y"] - forecast["yhat"]).abs().mean() / np.abs(forecast["y"] - naive).mean()


@wrong(times_naive, caught_by=perfect_forecast_gives_zero)
def divides_the_other_way(forecast, history):
    good = times_naive(forecast, history)
    return 1 / good if good else np.inf


@wrong(times_naive, caught_by=first_week_repeats_the_week_before)
def repeats_the_last_day(forecast, history):
    return _of(forecast, history.set_index("ds")["y"][forecast["cutoff"]].to_numpy())


@wrong(times_naive, caught_by=first_week_repeats_the_week_before)
def takes_the_year_before(forecast, history):
    return _of(forecast, history.set_index("ds")["y"][forecast["ds"] - pd.Timedelta(days=364)].to_numpy())


@wrong(times_naive, caught_by=baseline_knows_nothing_after_the_cutoff)
def looks_a_week_back_always(forecast, history):
    return _of(forecast, history.set_index("ds")["y"][forecast["ds"] - pd.Timedelta(days=7)].to_numpy())


@wrong(times_naive, caught_by=errors_are_averaged_before_dividing)
def takes_the_median_of_the_model(forecast, history):
    mean = (forecast["y"] - forecast["yhat"]).abs().mean()
    median = (forecast["y"] - forecast["yhat"]).abs().median()
    return times_naive(forecast, history) * median / mean if mean else 0.0


@wrong(times_naive, caught_by=rows_may_stand_in_any_order)
def counts_the_days_ahead_by_position(forecast, history):
    ahead = np.arange(len(forecast)) % 7 + 1  # of a frame sorted by cutoff, with whole weeks
    days = forecast["cutoff"] + pd.to_timedelta(ahead - 7, "D")
    return _of(forecast, history.set_index("ds")["y"][days].to_numpy())


# --- climatology ------------------------------------------------------------------------------------------------------


@right
def climatology(history, days):
    """Return a future for a regressor: for each of `days` the mean of its calendar day in the years before; a Series.

    `history` has the columns `ds` and `x`, a row a day, and ends at the cutoff. `days` is a Series of dates after it.
    The value of 24 December is the mean of `x` over all 24 Decembers of `history`. 29 February takes the mean of 28
    February when no leap year is there. The result has the index of `days`.
    """
    known = history.groupby([history["ds"].dt.month, history["ds"].dt.day])["x"].mean()
    keys = [(day.month, day.day) for day in days]
    return pd.Series([known.get(key, known.get((2, 28))) for key in keys], index=days.index, dtype=float)


@also_right(climatology)
def joins_by_a_text_of_the_day(history, days):
    means = history["x"].groupby(history["ds"].dt.strftime("%m-%d")).mean().to_dict()
    means.setdefault("02-29", means["02-28"])
    return days.dt.strftime("%m-%d").map(means)


@also_right(climatology)
def loops_over_the_days(history, days):
    found = []
    for day in days:
        same = history[(history["ds"].dt.month == day.month) & (history["ds"].dt.day == day.day)]
        if same.empty:
            same = history[(history["ds"].dt.month == 2) & (history["ds"].dt.day == 28)]
        found.append(same["x"].mean())
    return pd.Series(found, index=days.index)


def _regressor(first="2001-01-01", last="2012-11-30"):
    """Return births of some years as a regressor with the columns ds and x."""
    births = load_births().rename(columns={"y": "x"})
    return births[births["ds"].between(first, last)][["ds", "x"]].reset_index(drop=True)


def _future(answer, days, **span):
    found = answer(_regressor(**span), days.copy())
    assert isinstance(found, pd.Series), f"return a Series, not a {type(found).__name__}"
    return found


_DECEMBER = pd.Series(pd.date_range("2012-12-01", "2012-12-31"), index=range(100, 131))


@checks(climatology)
def has_a_value_for_each_day(answer):
    """Which days are asked for? Each of `days` has one value, under its own index."""
    found = _future(answer, _DECEMBER)
    assert list(found.index) == list(_DECEMBER.index), (
        f"the result has the index of `days`, 100 to 130; yours begins with {list(found.index)[:3]}"
    )
    assert found.notna().all(), f"{found.isna().sum()} of 31 days have no value"


@checks(climatology)
def value_is_that_of_the_calendar_day(answer):
    """Is Christmas like the rest of December? The mean is taken over the same day of all years, and over nothing else."""
    found, history = _future(answer, _DECEMBER), _regressor()
    same = history[history["ds"].dt.strftime("%m-%d") == "12-25"]["x"]
    assert abs(found[124] - same.mean()) < 1, (
        f"the mean of {len(same)} Christmas days is {same.mean():,.0f}, yours is {found[124]:,.0f}"
    )


@checks(climatology)
def days_after_february_keep_their_date(answer):
    """What moves the number of a day in the year? A leap year: 25 December is day 359 or 360."""
    found, history = _future(answer, _DECEMBER), _regressor()
    for at, day in _DECEMBER.items():
        same = history[(history["ds"].dt.month == 12) & (history["ds"].dt.day == day.day)]["x"].mean()
        assert abs(found[at] - same) < 1e-6, (
            f"{day:%d %B}: the mean of that date is {same:,.1f}, yours is {found[at]:,.1f}"
        )


@checks(climatology)
def leap_day_has_a_value(answer):
    """What if no year of `history` has a 29 February? The task names the day that takes its place."""
    days = pd.Series(pd.date_range("2012-02-27", "2012-03-01"))
    found = _future(answer, days, first="2009-01-01", last="2011-12-31")
    assert found.notna().all() and abs(found.iloc[2] - found.iloc[1]) < 1e-6, (
        f"29 February 2012 is {found.iloc[2]:,.1f} and 28 February {found.iloc[1]:,.1f}: they are the same here"
    )


@wrong(climatology, caught_by=has_a_value_for_each_day)
def loses_the_index(history, days):
    return climatology(history, days).reset_index(drop=True)


@wrong(climatology, caught_by=has_a_value_for_each_day)
def looks_the_day_itself_up(history, days):
    return days.map(history.set_index("ds")["x"])


@wrong(climatology, caught_by=value_is_that_of_the_calendar_day)
def takes_the_mean_of_the_history(history, days):
    return pd.Series(history["x"].mean(), index=days.index)


@wrong(climatology, caught_by=value_is_that_of_the_calendar_day)
def takes_the_mean_of_the_month(history, days):
    return days.dt.month.map(history.groupby(history["ds"].dt.month)["x"].mean())


@wrong(climatology, caught_by=value_is_that_of_the_calendar_day)
def repeats_last_year(history, days):
    return (days - pd.DateOffset(years=1)).map(history.set_index("ds")["x"])


@wrong(climatology, caught_by=value_is_that_of_the_calendar_day)
def goes_by_the_number_of_the_day(history, days):
    return days.dt.dayofyear.map(history.groupby(history["ds"].dt.dayofyear)["x"].mean())


@wrong(climatology, caught_by=days_after_february_keep_their_date)
def is_right_at_christmas_only(history, days):
    by_number = days.dt.dayofyear.map(history.groupby(history["ds"].dt.dayofyear)["x"].mean())
    return by_number.where(days.dt.strftime("%m-%d") != "12-25", climatology(history, days))


@wrong(climatology, caught_by=leap_day_has_a_value)
def forgets_the_leap_day(history, days):
    means = history["x"].groupby(history["ds"].dt.strftime("%m-%d")).mean()
    return days.dt.strftime("%m-%d").map(means)


@wrong(climatology, caught_by=leap_day_has_a_value)
def writes_zero_for_the_leap_day(history, days):
    means = history["x"].groupby(history["ds"].dt.strftime("%m-%d")).mean()
    return days.dt.strftime("%m-%d").map(means).fillna(0)

"""Exercises of lesson 13a, on births: a seasonal-naive forecast, and features known in time."""

import numpy as np
import pandas as pd

from course.data import load_births
from course.exercise import also_right, checks, right, wrong
from walkforward.forecasting import find_leaks

# --- known_at_cutoff --------------------------------------------------------------------------------------------------


@right
def known_at_cutoff(frame):
    """Return features that are known 14 days ahead: a DataFrame with a row for every row of `frame`.

    `frame` has the columns `ds` and `y`, a row a day in order; the days to be forecast have y = NaN. Columns: `lag_14`,
    the births 14 days before; `mean_28`, the mean of the 28 days that end 14 days before; `weekday`, 0 for Monday. Leave
    empty what the first rows can't have, and leave `frame` as it is.
    """
    old = frame["y"].shift(14)
    return pd.DataFrame(
        {"lag_14": old, "mean_28": old.rolling(28).mean(), "weekday": frame["ds"].dt.dayofweek}
    )


@also_right(known_at_cutoff)
def builds_the_mean_from_sums(frame):
    y = frame["y"].to_numpy(dtype=float)
    lag, mean = np.full(len(y), np.nan), np.full(len(y), np.nan)
    for t in range(len(y)):
        if t >= 14:
            lag[t] = y[t - 14]
        if t >= 41:
            mean[t] = y[t - 41 : t - 13].sum() / 28
    weekday = [day.weekday() for day in frame["ds"]]
    return pd.DataFrame({"lag_14": lag, "mean_28": mean, "weekday": weekday}, index=frame.index)


@also_right(known_at_cutoff)
def assigns_to_a_copy(frame):
    return frame.copy().assign(
        lag_14=lambda t: t["y"].shift(14),
        mean_28=lambda t: t["y"].rolling(28).mean().shift(14),
        weekday=lambda t: t["ds"].dt.weekday,
    )


_NAMES = ["lag_14", "mean_28", "weekday"]


def _at_a_cutoff(ahead=14):
    """Return births up to 2014, the last `ahead` days of them not yet counted."""
    births = load_births()[-800:].reset_index(drop=True)
    births["y"] = births["y"].astype(float)
    births.loc[births.index[-ahead:], "y"] = np.nan
    return births


def _columns(answer, frame):
    given = frame.copy()
    table = answer(given)
    assert isinstance(table, pd.DataFrame), f"return a DataFrame, not a {type(table).__name__}"
    lost = [name for name in _NAMES if name not in table]
    assert not lost, (
        f"a column is missing: {', '.join(lost)}; you returned {', '.join(map(str, table.columns))}"
    )
    assert len(table) == len(frame), f"{len(frame)} rows came in, {len(table)} went out; keep them all"
    assert given.equals(frame), "the frame that was given has changed; work on a copy, or on new columns"
    return table[_NAMES]


@checks(known_at_cutoff)
def has_every_row_and_column(answer):
    """Does every row that came in go out again? The first rows stay, even if they are empty."""
    weekday = _columns(answer, _at_a_cutoff())["weekday"]
    expected = _at_a_cutoff()["ds"].dt.dayofweek
    assert (weekday.to_numpy() == expected.to_numpy()).all(), "weekday is `ds.dt.dayofweek`, 0 for Monday"


@checks(known_at_cutoff)
def nothing_is_younger_than_14_days(answer):
    """On the last day of the forecast, which is the youngest day whose births are known? Every column ends there."""
    births = load_births()[-800:].reset_index(drop=True)
    for name, reason in find_leaks(lambda frame: _columns(answer, frame), births, horizon=14).items():
        raise AssertionError(f"{name} knows too much: {reason}")


@checks(known_at_cutoff)
def last_day_of_the_forecast_has_its_features(answer):
    """Does a window of yours touch a day that is not counted yet? One such day makes the mean empty."""
    empty = _columns(answer, _at_a_cutoff())[-14:].isna().any()
    assert not empty.any(), f"in the 14 days to be forecast {', '.join(empty[empty].index)} is empty"


@checks(known_at_cutoff)
def values_are_those_asked_for(answer):
    """Which 28 days belong to day t? They run from day t - 41 to day t - 14."""
    births = load_births()[-800:].reset_index(drop=True)
    table, y = _columns(answer, births), births["y"].to_numpy(float)
    for day in (100, 799):
        expected = {"lag_14": y[day - 14], "mean_28": y[day - 41 : day - 13].mean()}
        for name, value in expected.items():
            got = float(table[name].iloc[day])
            assert abs(got - value) < 1e-6, (
                f"{births['ds'][day]:%Y-%m-%d}: {name} is {value:,.1f}, not {got:,.1f}"
            )


@checks(known_at_cutoff)
def first_rows_stay_empty(answer):
    """What do you know about the day before the data begin? Nothing: a mean of fewer days is another feature."""
    table = _columns(answer, load_births()[-800:].reset_index(drop=True))
    filled = table["lag_14"][:14].notna().sum(), table["mean_28"][:41].notna().sum()
    assert filled == (0, 0), (
        f"the first 14 rows have no lag_14 and the first 41 no mean_28; you filled {filled[0]} and {filled[1]}"
    )


@wrong(known_at_cutoff, caught_by=has_every_row_and_column)
def drops_the_empty_rows(frame):
    return known_at_cutoff(frame).dropna()


@wrong(known_at_cutoff, caught_by=has_every_row_and_column)
def writes_into_the_frame(frame):
    frame["lag_14"] = frame["y"].shift(14)
    frame["mean_28"] = frame["lag_14"].rolling(28).mean()
    frame["weekday"] = frame["ds"].dt.dayofweek
    return frame


@wrong(known_at_cutoff, caught_by=has_every_row_and_column)
def counts_monday_as_one(frame):
    return known_at_cutoff(frame).assign(weekday=frame["ds"].dt.isocalendar()["day"].astype(int))


@wrong(known_at_cutoff, caught_by=nothing_is_younger_than_14_days)
def includes_today(frame):
    return known_at_cutoff(frame).assign(mean_28=frame["y"].rolling(28).mean())


@wrong(known_at_cutoff, caught_by=nothing_is_younger_than_14_days)
def ends_yesterday(frame):
    return known_at_cutoff(frame).assign(mean_28=frame["y"].shift(1).rolling(28).mean())


@wrong(known_at_cutoff, caught_by=nothing_is_younger_than_14_days)
def shifts_the_wrong_way(frame):
    return known_at_cutoff(frame).assign(lag_14=frame["y"].shift(-14))


@wrong(known_at_cutoff, caught_by=nothing_is_younger_than_14_days)
def fills_the_first_rows_from_below(frame):
    return known_at_cutoff(frame).bfill()


@wrong(known_at_cutoff, caught_by=nothing_is_younger_than_14_days)
def is_one_day_short(frame):
    return known_at_cutoff(frame).assign(lag_14=frame["y"].shift(13))


@wrong(known_at_cutoff, caught_by=last_day_of_the_forecast_has_its_features)
def stops_at_the_cutoff(frame):
    return known_at_cutoff(frame.dropna()).reindex(frame.index).assign(weekday=frame["ds"].dt.dayofweek)


@wrong(known_at_cutoff, caught_by=values_are_those_asked_for)
def shifts_twice(frame):
    return known_at_cutoff(frame).assign(mean_28=frame["y"].shift(14).rolling(28).mean().shift(14))


@wrong(known_at_cutoff, caught_by=values_are_those_asked_for)
def takes_the_same_weekday_of_last_year(frame):
    return known_at_cutoff(frame).assign(lag_14=frame["y"].shift(364))


@wrong(known_at_cutoff, caught_by=first_rows_stay_empty)
def makes_means_of_few_days(frame):
    return known_at_cutoff(frame).assign(mean_28=frame["y"].shift(14).rolling(28, min_periods=1).mean())


@wrong(known_at_cutoff, caught_by=first_rows_stay_empty)
def writes_zero_for_unknown(frame):
    return known_at_cutoff(frame).fillna({"lag_14": 0, "mean_28": 0})


# --- repeat_last_week -------------------------------------------------------------------------------------------------


@right
def repeat_last_week(past, horizon):
    """Return the seasonal-naive forecast of the `horizon` days after `past`, an array of numbers.

    `past` has the columns `ds` and `y`, a row a day in order, a week or more. Each day to come gets the births of the
    same weekday of the last seven days; a day beyond next week gets them again.
    """
    week = past["y"].to_numpy()[-7:]
    return week[np.arange(horizon) % 7]


@also_right(repeat_last_week)
def looks_up_the_weekday(past, horizon):
    last = past.tail(7)
    of_weekday = dict(zip(last["ds"].dt.dayofweek, last["y"], strict=True))
    days = pd.date_range(last["ds"].iloc[-1] + pd.Timedelta(days=1), periods=horizon)
    return np.array([of_weekday[day.dayofweek] for day in days])


@also_right(repeat_last_week)
def repeats_a_list(past, horizon):
    week = past["y"].tolist()[-7:]
    return np.array((week * (horizon // 7 + 1))[:horizon])


def _past(last="2013-12-31"):
    births = load_births()
    return births[births["ds"] <= last].copy()


def _ahead(answer, past, horizon):
    got = np.asarray(answer(past.copy(), horizon), dtype=float)
    assert got.shape == (horizon,), f"{horizon} days are asked for: return {horizon} numbers, not {got.shape}"
    return got


@checks(repeat_last_week)
def gives_a_number_for_each_day(answer):
    """Where does the forecast of the eighth day come from? The week has to start again, for any horizon."""
    for horizon in (14, 3):
        got = _ahead(answer, _past(), horizon)
        assert np.isfinite(got).all(), f"{(~np.isfinite(got)).sum()} of {horizon} days have no number"


@checks(repeat_last_week)
def next_week_is_like_the_last(answer):
    """Which of the last seven rows has the weekday of the first day to come? It is not the last row."""
    past = _past("2013-06-12")
    got, week = _ahead(answer, past, 7), past["y"].to_numpy()[-7:]
    assert np.array_equal(got, week), (
        f"after Wednesday 12 June the first day has the births of last Thursday, {week[0]:,}, not {got[0]:,.0f}; "
        f"the last of the week those of Wednesday, {week[-1]:,}, not {got[-1]:,.0f}"
    )


@checks(repeat_last_week)
def the_week_after_is_the_same_again(answer):
    """Is there a younger week than the last one at the cutoff? Days 8 to 14 can only repeat it."""
    got = _ahead(answer, _past(), 17)
    assert np.array_equal(got[7:14], got[:7]) and np.array_equal(got[14:], got[:3]), (
        "from the eighth day on the same seven values come again, in the same order"
    )


@wrong(repeat_last_week, caught_by=gives_a_number_for_each_day)
def shifts_by_seven(past, horizon):
    days = pd.concat([past["y"], pd.Series([np.nan] * horizon)], ignore_index=True)
    return days.shift(7)[-horizon:]


@wrong(repeat_last_week, caught_by=gives_a_number_for_each_day)
def returns_two_weeks_always(past, horizon):
    return np.tile(past["y"].to_numpy()[-7:], 2)


@wrong(repeat_last_week, caught_by=next_week_is_like_the_last)
def repeats_the_last_day(past, horizon):
    return np.full(horizon, past["y"].iloc[-1])


@wrong(repeat_last_week, caught_by=next_week_is_like_the_last)
def repeats_the_first_week(past, horizon):
    return past["y"].to_numpy()[:7][np.arange(horizon) % 7]


@wrong(repeat_last_week, caught_by=next_week_is_like_the_last)
def begins_on_a_monday(past, horizon):
    week = past[-7:].groupby(past["ds"].dt.dayofweek)["y"].last()
    return week.to_numpy()[np.arange(horizon) % 7]


@wrong(repeat_last_week, caught_by=next_week_is_like_the_last)
def takes_the_mean_of_the_weekday(past, horizon):
    usual = past.groupby(past["ds"].dt.dayofweek)["y"].mean()
    days = pd.date_range(past["ds"].iloc[-1], periods=horizon + 1)[1:]
    return usual[days.dayofweek].to_numpy()


@wrong(repeat_last_week, caught_by=the_week_after_is_the_same_again)
def goes_further_back(past, horizon):
    y = past["y"].to_numpy()
    return np.array([y[len(y) - 7 * (1 + h // 7) + h % 7] for h in range(horizon)])

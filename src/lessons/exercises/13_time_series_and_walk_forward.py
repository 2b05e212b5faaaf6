"""Exercises of lesson 13, on births: a seasonal-naive forecast, honest folds, features known in time, and MASE."""

import numpy as np
import pandas as pd
from sklearn.model_selection import TimeSeriesSplit

from course.data import load_births
from course.exercise import checks, right, wrong
from walkforward.forecasting import find_leaks

# --- repeat_last_week -------------------------------------------------------------------------------------------------


@right
def repeat_last_week(past, horizon):
    """Return the seasonal-naive forecast of the `horizon` days after `past`, an array of numbers.

    `past` has the columns `ds` and `y`, a row a day in order, a week or more. Each day to come gets the births of the
    same weekday of the last seven days; a day beyond next week gets them again.
    """
    week = past["y"].to_numpy()[-7:]
    return week[np.arange(horizon) % 7]


def _past(last="2013-12-31"):
    births = load_births()
    return births[births["ds"] <= last].copy()


def _ahead(answer, past, horizon):
    got = np.asarray(answer(past.copy(), horizon), dtype=float)
    assert got.shape == (horizon,), f"{horizon} days are asked for: return {horizon} numbers, not {got.shape}"
    return got


@checks(repeat_last_week)
def gives_a_number_for_each_day(answer):
    """`% 7` starts the week again: `np.arange(horizon) % 7`. Beyond seven days `shift(7)` has nothing to take."""
    for horizon in (14, 3):
        got = _ahead(answer, _past(), horizon)
        assert np.isfinite(got).all(), f"{(~np.isfinite(got)).sum()} of {horizon} days have no number"


@checks(repeat_last_week)
def next_week_is_like_the_last(answer):
    """The first day to come is the same weekday as the seventh row from the end: `past["y"].to_numpy()[-7:]`."""
    past = _past("2013-06-12")
    got, week = _ahead(answer, past, 7), past["y"].to_numpy()[-7:]
    assert np.array_equal(got, week), (
        f"after Wednesday 12 June the first day has the births of last Thursday, {week[0]:,}, not {got[0]:,.0f}; "
        f"the last of the week those of Wednesday, {week[-1]:,}, not {got[-1]:,.0f}"
    )


@checks(repeat_last_week)
def the_week_after_is_the_same_again(answer):
    """Days 8 to 14 repeat days 1 to 7: at the cutoff there is no younger week."""
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


# --- forward_folds ----------------------------------------------------------------------------------------------------


@right
def forward_folds(n, horizon, n_splits, gap=0):
    """Return a list of `n_splits` pairs (training rows, test rows) of a series of `n` rows, each an array of row numbers.

    Each test has `horizon` rows; together the tests are the last rows of the series, one after the other, the
    earliest first. Training: all rows from 0 on, except the `gap` rows right before its test.
    """
    starts = range(n - n_splits * horizon, n, horizon)
    return [(np.arange(start - gap), np.arange(start, start + horizon)) for start in starts]


def _folds(answer, n, horizon, n_splits, gap=0):
    try:
        folds = [(np.asarray(train), np.asarray(test)) for train, test in answer(n, horizon, n_splits, gap)]
    except (TypeError, ValueError) as error:
        raise AssertionError(f"return a list of pairs (training rows, test rows): {error}") from None
    assert len(folds) == n_splits, f"{n_splits} folds are asked for, you returned {len(folds)}"
    return folds


_YEARS = 5_479  # days of births


@checks(forward_folds)
def each_test_is_one_horizon(answer):
    """`np.arange(start, start + horizon)` has `horizon` rows."""
    for train, test in _folds(answer, _YEARS, 14, 6):
        assert np.array_equal(test, np.arange(test[0], test[0] + 14)), (
            f"a test is 14 days in a row; you returned {len(test)} rows from {test.min()} to {test.max()}"
        )
        assert len(train), "a fold has no training rows"


@checks(forward_folds)
def no_training_after_the_test_begins(answer):
    """Training ends before the first test row. What comes after it is the future, also the rows behind the test."""
    for train, test in _folds(answer, _YEARS, 14, 6):
        assert train.max() < test.min(), (
            f"a test begins at row {test.min()}, its training goes up to {train.max()}"
        )


@checks(forward_folds)
def tests_are_the_last_rows_in_order(answer):
    """The first test begins at `n - n_splits * horizon`, the next one `horizon` rows later, the last ends at `n - 1`."""
    tests = np.concatenate([test for _, test in _folds(answer, _YEARS, 14, 6)])
    expected = np.arange(_YEARS - 84, _YEARS)
    assert np.array_equal(tests, expected), (
        f"6 tests of 14 rows are the rows {expected[0]} to {expected[-1]}, in this order; "
        f"yours begin at {tests[0]} and end at {tests[-1]}, {len(np.unique(tests))} different rows"
    )


@checks(forward_folds)
def training_expands_up_to_the_test(answer):
    """Without a gap the last training row is `start - 1`: `np.arange(start)`."""
    for train, test in _folds(answer, _YEARS, 14, 6):
        assert train.min() == 0 and len(train) == test.min(), (
            f"before a test that begins at row {test.min()} there are {test.min()} rows to learn from; "
            f"you returned {len(train)}, from {train.min()} to {train.max()}"
        )


@checks(forward_folds)
def gap_is_left_out_of_training(answer):
    """The gap takes rows from the end of the training; the tests stay where they are."""
    expected = TimeSeriesSplit(4, test_size=7, gap=14).split(np.empty(_YEARS))
    for (train, test), (right_train, right_test) in zip(
        _folds(answer, _YEARS, 7, 4, gap=14), expected, strict=True
    ):
        assert np.array_equal(test, right_test), (
            f"with a gap too this test begins at row {right_test[0]}, not {test[0]}"
        )
        assert np.array_equal(train, right_train), (
            f"gap of 14, test from row {test[0]}: training ends at row {right_train[-1]}, not {train[-1]}"
        )


@wrong(forward_folds, caught_by=each_test_is_one_horizon)
def shuffles(n, horizon, n_splits, gap=0):
    rows = np.random.default_rng(0).permutation(n)
    tests = [rows[i * horizon : (i + 1) * horizon] for i in range(n_splits)]
    return [(np.setdiff1d(rows, test), test) for test in tests]


@wrong(forward_folds, caught_by=each_test_is_one_horizon)
def lets_the_default_choose_the_horizon(n, horizon, n_splits, gap=0):
    return list(TimeSeriesSplit(n_splits, gap=gap).split(np.empty(n)))


@wrong(forward_folds, caught_by=no_training_after_the_test_begins)
def trains_on_everything_else(n, horizon, n_splits, gap=0):
    tests = [test for _, test in forward_folds(n, horizon, n_splits, gap)]
    return [(np.setdiff1d(np.arange(n), test), test) for test in tests]


@wrong(forward_folds, caught_by=no_training_after_the_test_begins)
def trains_on_the_first_test_day(n, horizon, n_splits, gap=0):
    return [(np.arange(test[0] - gap + 1), test) for _, test in forward_folds(n, horizon, n_splits, gap)]


@wrong(forward_folds, caught_by=tests_are_the_last_rows_in_order)
def begins_with_the_latest(n, horizon, n_splits, gap=0):
    return forward_folds(n, horizon, n_splits, gap)[::-1]


@wrong(forward_folds, caught_by=tests_are_the_last_rows_in_order)
def moves_by_one_day(n, horizon, n_splits, gap=0):
    starts = range(n - horizon - n_splits + 1, n - horizon + 1)
    return [(np.arange(start - gap), np.arange(start, start + horizon)) for start in starts]


@wrong(forward_folds, caught_by=tests_are_the_last_rows_in_order)
def forgets_the_last_days(n, horizon, n_splits, gap=0):
    return forward_folds(n - 1, horizon, n_splits, gap)


@wrong(forward_folds, caught_by=training_expands_up_to_the_test)
def loses_the_last_training_day(n, horizon, n_splits, gap=0):
    return [(train[:-1], test) for train, test in forward_folds(n, horizon, n_splits, gap)]


@wrong(forward_folds, caught_by=training_expands_up_to_the_test)
def forgets_the_distant_past(n, horizon, n_splits, gap=0):
    return [(train[-365:], test) for train, test in forward_folds(n, horizon, n_splits, gap)]


@wrong(forward_folds, caught_by=gap_is_left_out_of_training)
def ignores_the_gap(n, horizon, n_splits, gap=0):
    return forward_folds(n, horizon, n_splits)


@wrong(forward_folds, caught_by=gap_is_left_out_of_training)
def moves_the_tests_by_the_gap(n, horizon, n_splits, gap=0):
    return [(np.arange(test[0] - gap), test - gap) for _, test in forward_folds(n, horizon, n_splits)]


@wrong(forward_folds, caught_by=gap_is_left_out_of_training)
def takes_one_row_too_many(n, horizon, n_splits, gap=0):
    return [(train[:-1] if gap else train, test) for train, test in forward_folds(n, horizon, n_splits, gap)]


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
    """`pd.DataFrame({"lag_14": …, "mean_28": …, "weekday": …})`, without `dropna`."""
    weekday = _columns(answer, _at_a_cutoff())["weekday"]
    expected = _at_a_cutoff()["ds"].dt.dayofweek
    assert (weekday.to_numpy() == expected.to_numpy()).all(), "weekday is `ds.dt.dayofweek`, 0 for Monday"


@checks(known_at_cutoff)
def nothing_is_younger_than_14_days(answer):
    """`shift(14)` first, the rolling mean of the shifted column second. And no back-fill: it brings later days up."""
    births = load_births()[-800:].reset_index(drop=True)
    for name, reason in find_leaks(lambda frame: _columns(answer, frame), births, horizon=14).items():
        raise AssertionError(f"{name} knows too much: {reason}")


@checks(known_at_cutoff)
def last_day_of_the_forecast_has_its_features(answer):
    """A window that ends 14 days before a day touches no day that is not counted yet."""
    empty = _columns(answer, _at_a_cutoff())[-14:].isna().any()
    assert not empty.any(), f"in the 14 days to be forecast {', '.join(empty[empty].index)} is empty"


@checks(known_at_cutoff)
def values_are_those_asked_for(answer):
    """On day t: `y[t - 14]`, and the mean of `y[t - 41]` to `y[t - 14]`."""
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
    """What is not known is NaN; `rolling(28)` without `min_periods` waits until it has 28 days."""
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


# --- mase -------------------------------------------------------------------------------------------------------------


@right
def mase(y, yhat, history, season=7):
    """Return the mean absolute scaled error of the forecasts `yhat` of `y`, one number.

    All three are Series; `y` and `yhat` are in the same order, whatever their index. The scale is the mean absolute
    difference of `history`, the series up to the cutoff, from its value `season` days before.
    """
    error = np.abs(y.to_numpy() - yhat.to_numpy()).mean()
    return float(error / history.diff(season).abs().mean())


def _scaled(answer, y, yhat, history, **options):
    try:
        return float(answer(y.copy(), yhat.copy(), history.copy(), **options))
    except TypeError as error:
        raise AssertionError(f"return one number ({error})") from None


def _christmas():
    """Return the births of the last fortnight of 2013, a forecast of them, and the history before."""
    births = load_births().set_index("ds")["y"].astype(float)
    y, history = births["2013-12-18":"2013-12-31"], births[:"2013-12-17"]
    return y, pd.Series(np.tile(history.to_numpy()[-7:], 2), y.index), history


@checks(mase)
def equals_the_definition(answer):
    """Absolute values first, the mean second; the scale is `history.diff(7).abs().mean()`, of the days **before** the cutoff."""
    y, yhat, history = _christmas()
    expected, value = mase(y, yhat, history), _scaled(answer, y, yhat, history)
    assert abs(value - expected) < 0.02 * expected, (
        f"at Christmas 2013 repeating the last week has a MASE of {expected:.3f}; you returned {value:.3f}"
    )


@checks(mase)
def first_season_is_no_error(answer):
    """The first `season` days have no day before them: they are missing, not 0. `mean()` leaves NaN out."""
    y, yhat, history = _christmas()
    expected, value = mase(y, yhat, history[-21:]), _scaled(answer, y, yhat, history[-21:])
    assert abs(value - expected) < 1e-6, (
        f"three weeks of history have two weeks of differences: MASE {expected:.3f}, not {value:.3f}"
    )


@checks(mase)
def season_is_obeyed(answer):
    """`history.diff(season)`: with a season of 364 the scale is the same weekday a year before."""
    y, yhat, history = _christmas()
    expected, value = mase(y, yhat, history, 364), _scaled(answer, y, yhat, history, season=364)
    assert abs(value - expected) < 1e-3, (
        f"with a season of 364 days the MASE is {expected:.3f}; you returned {value:.3f}"
    )


@checks(mase)
def index_does_not_matter(answer):
    """pandas subtracts rows of equal index. `to_numpy()` subtracts in order."""
    y, yhat, history = _christmas()
    expected, value = mase(y, yhat, history), _scaled(answer, y, yhat.reset_index(drop=True), history)
    assert abs(value - expected) < 1e-6, (
        f"a forecast numbered from 0 is the same forecast: MASE {expected:.3f}, not {value:.3f}"
    )


def _plain(y, yhat, history, season=7):
    return np.abs(y.to_numpy() - yhat.to_numpy()).mean()


@wrong(mase, caught_by=equals_the_definition)
def forgets_the_scale(y, yhat, history, season=7):
    return _plain(y, yhat, history)


@wrong(mase, caught_by=equals_the_definition)
def lets_misses_cancel(y, yhat, history, season=7):
    return abs((y - yhat).mean()) / history.diff(season).abs().mean()


@wrong(mase, caught_by=equals_the_definition)
def scales_by_the_level(y, yhat, history, season=7):
    return _plain(y, yhat, history) / history.mean()


@wrong(mase, caught_by=equals_the_definition)
def scales_by_yesterday(y, yhat, history, season=7):
    return _plain(y, yhat, history) / history.diff().abs().mean()


@wrong(mase, caught_by=equals_the_definition)
def takes_the_root_of_squares(y, yhat, history, season=7):
    error = np.sqrt(((y.to_numpy() - yhat.to_numpy()) ** 2).mean())
    return error / np.sqrt((history.diff(season) ** 2).mean())


@wrong(mase, caught_by=equals_the_definition)
def scales_by_the_test(y, yhat, history, season=7):
    return _plain(y, yhat, history) / y.diff(season).abs().mean()


@wrong(mase, caught_by=season_is_obeyed)
def knows_only_weeks(y, yhat, history, season=7):
    return _plain(y, yhat, history) / history.diff(7).abs().mean()


@wrong(mase, caught_by=first_season_is_no_error)
def counts_the_first_week_as_zero(y, yhat, history, season=7):
    return _plain(y, yhat, history) / history.diff(season).fillna(0).abs().mean()


@wrong(mase, caught_by=index_does_not_matter)
def trusts_the_index(y, yhat, history, season=7):
    return (y - yhat).abs().mean() / history.diff(season).abs().mean()

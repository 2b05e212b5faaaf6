"""Exercises of lesson 13b, on births: honest folds, and MASE."""

import numpy as np
import pandas as pd
from sklearn.model_selection import TimeSeriesSplit

from course.data import load_births
from course.exercise import also_right, checks, right, wrong

# --- forward_folds ----------------------------------------------------------------------------------------------------


@right
def forward_folds(n, horizon, n_splits, gap=0):
    """Return a list of `n_splits` pairs (training rows, test rows) of a series of `n` rows, each an array of row numbers.

    Each test has `horizon` rows; together the tests are the last rows of the series, one after the other, the
    earliest first. Training: all rows from 0 on, except the `gap` rows right before its test.
    """
    starts = range(n - n_splits * horizon, n, horizon)
    return [(np.arange(start - gap), np.arange(start, start + horizon)) for start in starts]


@also_right(forward_folds)
def asks_scikit_learn(n, horizon, n_splits, gap=0):
    return list(TimeSeriesSplit(n_splits, test_size=horizon, gap=gap).split(np.zeros((n, 1))))


@also_right(forward_folds)
def counts_back_in_plain_lists(n, horizon, n_splits, gap=0):
    folds, end = [], n
    while len(folds) < n_splits:
        begin = end - horizon
        folds.insert(0, (list(range(begin - gap)), list(range(begin, end))))
        end = begin
    return folds


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
    """How many days does one roster have? A test is that many rows, one after the other."""
    for train, test in _folds(answer, _YEARS, 14, 6):
        assert np.array_equal(test, np.arange(test[0], test[0] + 14)), (
            f"a test is 14 days in a row; you returned {len(test)} rows from {test.min()} to {test.max()}"
        )
        assert len(train), "a fold has no training rows"


@checks(forward_folds)
def no_training_after_the_test_begins(answer):
    """What is known when the test begins? Rows behind the test are the future, too."""
    for train, test in _folds(answer, _YEARS, 14, 6):
        assert train.max() < test.min(), (
            f"a test begins at row {test.min()}, its training goes up to {train.max()}"
        )


@checks(forward_folds)
def tests_are_the_last_rows_in_order(answer):
    """Where must the last test end, and how many rows do all tests take together? Count back from the end."""
    tests = np.concatenate([test for _, test in _folds(answer, _YEARS, 14, 6)])
    expected = np.arange(_YEARS - 84, _YEARS)
    assert np.array_equal(tests, expected), (
        f"6 tests of 14 rows are the rows {expected[0]} to {expected[-1]}, in this order; "
        f"yours begin at {tests[0]} and end at {tests[-1]}, {len(np.unique(tests))} different rows"
    )


@checks(forward_folds)
def training_expands_up_to_the_test(answer):
    """Which rows may a training use that begins with row 0? All of them up to the row before its test."""
    for train, test in _folds(answer, _YEARS, 14, 6):
        assert train.min() == 0 and len(train) == test.min(), (
            f"before a test that begins at row {test.min()} there are {test.min()} rows to learn from; "
            f"you returned {len(train)}, from {train.min()} to {train.max()}"
        )


@checks(forward_folds)
def gap_is_left_out_of_training(answer):
    """Whose rows does the gap take away? Not those of the test: it stays where it is."""
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


# --- mase -------------------------------------------------------------------------------------------------------------


@right
def mase(y, yhat, history, season=7):
    """Return the mean absolute scaled error of the forecasts `yhat` of `y`, one number.

    All three are Series; `y` and `yhat` are in the same order, whatever their index. The scale is the mean absolute
    difference of `history`, the series up to the cutoff, from its value `season` days before.
    """
    error = np.abs(y.to_numpy() - yhat.to_numpy()).mean()
    return float(error / history.diff(season).abs().mean())


@also_right(mase)
def sums_in_plain_python(y, yhat, history, season=7):
    y, yhat, past = list(y), list(yhat), list(history)
    steps = [abs(past[i] - past[i - season]) for i in range(season, len(past))]
    error = sum(abs(a - b) for a, b in zip(y, yhat, strict=True)) / len(y)
    return error / (sum(steps) / len(steps))


@also_right(mase)
def takes_numpy_slices(y, yhat, history, season=7):
    past = history.to_numpy(dtype=float)
    scale = np.mean(np.abs(past[season:] - past[:-season]))
    return np.mean(np.abs(y.values - yhat.values)) / scale


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
    """By which error do you divide, and on which days is it measured? The scale knows only days before the cutoff."""
    y, yhat, history = _christmas()
    expected, value = mase(y, yhat, history), _scaled(answer, y, yhat, history)
    assert abs(value - expected) < 0.02 * expected, (
        f"at Christmas 2013 repeating the last week has a MASE of {expected:.3f}; you returned {value:.3f}"
    )


@checks(mase)
def first_season_is_no_error(answer):
    """What is the difference of the first day from the season before it? It is missing, not 0."""
    y, yhat, history = _christmas()
    expected, value = mase(y, yhat, history[-21:]), _scaled(answer, y, yhat, history[-21:])
    assert abs(value - expected) < 1e-6, (
        f"three weeks of history have two weeks of differences: MASE {expected:.3f}, not {value:.3f}"
    )


@checks(mase)
def season_is_obeyed(answer):
    """Does your scale ask for `season`, or is a week written into it?"""
    y, yhat, history = _christmas()
    expected, value = mase(y, yhat, history, 364), _scaled(answer, y, yhat, history, season=364)
    assert abs(value - expected) < 1e-3, (
        f"with a season of 364 days the MASE is {expected:.3f}; you returned {value:.3f}"
    )


@checks(mase)
def index_does_not_matter(answer):
    """By what does pandas match two Series when it subtracts? The task says: in the same order, whatever their index."""
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

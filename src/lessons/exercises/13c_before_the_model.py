"""Exercises of lesson 13c, on births and made-up series: how often to difference, and a damped trend."""

import numpy as np
import pandas as pd

from course.data import load_births
from course.exercise import also_right, checks, right, wrong

# --- how_often --------------------------------------------------------------------------------------------------------


@right
def how_often(y, season=7):
    """Return `(d, D)`, each 0 or 1: how often to difference the Series `y` by one step and by `season` steps.

    Of the four pairs, it is the one whose differenced series has the smallest standard deviation.
    """
    spread = {}
    for d, seasons in [(0, 0), (1, 0), (0, 1), (1, 1)]:
        left = y.diff() if d else y
        left = left.diff(season) if seasons else left
        spread[d, seasons] = left.std()
    return min(spread, key=spread.get)


@also_right(how_often)
def writes_out_the_four(y, season=7):
    day, week = y.diff(1).dropna(), y.diff(season).dropna()
    left = [y, day, week, week.diff().dropna()]
    return [(0, 0), (1, 0), (0, 1), (1, 1)][int(np.argmin([one.std() for one in left]))]


@also_right(how_often)
def slices_in_numpy(y, season=7):
    values, best, pair = y.to_numpy(dtype=float), np.inf, None
    for d in range(2):
        for seasons in range(2):
            left = np.diff(values, d)
            if seasons:
                left = left[season:] - left[:-season]
            if np.std(left, ddof=1) < best:
                best, pair = np.std(left, ddof=1), (d, seasons)
    return pair


def _pair(answer, y, **options):
    found = answer(y.copy(), **options)
    try:
        d, seasons = found
        return int(d), int(seasons)
    except (TypeError, ValueError):
        raise AssertionError(f"return a pair such as (0, 1); you returned {found!r}") from None


def _series(values):
    return pd.Series(values, pd.date_range("2020-01-01", periods=len(values)))


def _noise(n=600):
    return np.random.default_rng(1).normal(size=n)


@checks(how_often)
def noise_needs_no_difference(answer):
    """What does a difference do to a series that has nothing to remove? Compare the spread before and after."""
    found = _pair(answer, _series(_noise()))
    assert found == (0, 0), f"white noise needs no difference, (0, 0); you returned {found}"
    found = _pair(answer, _series(50 + _noise()))
    assert found == (0, 0), (
        f"noise around 50 needs no difference either, (0, 0): a standard deviation is measured from the mean; "
        f"you returned {found}"
    )


@checks(how_often)
def a_walk_needs_a_day(answer):
    """Which of the two numbers comes first? A random walk needs one difference by a step, none by a week."""
    found = _pair(answer, _series(_noise().cumsum()))
    assert found == (1, 0), f"a random walk needs (1, 0); you returned {found}"


@checks(how_often)
def births_need_a_week(answer):
    """Which spread is smallest on births a day? Try all four pairs, not one after the other."""
    found = _pair(answer, load_births().set_index("ds")["y"].astype(float)[:1461])
    assert found == (0, 1), f"births need a weekly difference and no other, (0, 1); you returned {found}"


@checks(how_often)
def season_is_obeyed(answer):
    """Is a week written into your answer? The season is an argument."""
    values = np.tile(10 * np.sin(np.arange(12)), 50) + _noise().cumsum()
    found = _pair(answer, _series(values), season=12)
    assert found == (1, 1), f"a walk with a season of 12 needs (1, 1); you returned {found}"


@wrong(how_often, caught_by=noise_needs_no_difference)
def differences_to_be_sure(y, season=7):
    return 1, 1


@wrong(how_often, caught_by=noise_needs_no_difference)
def takes_the_largest_spread(y, season=7):
    spread = {(0, 0): y.std(), (1, 0): y.diff().std(), (0, 1): y.diff(season).std()}
    return max(spread, key=spread.get)


@wrong(how_often, caught_by=noise_needs_no_difference)
def takes_the_smallest_values(y, season=7):
    pairs = [(d, seasons) for d in range(2) for seasons in range(2)]
    left = {pair: y.diff(season) if pair[1] else y for pair in pairs}
    return min(pairs, key=lambda pair: (left[pair].diff() if pair[0] else left[pair]).abs().mean())


@wrong(how_often, caught_by=a_walk_needs_a_day)
def names_the_season_first(y, season=7):
    return how_often(y, season)[::-1]


@wrong(how_often, caught_by=births_need_a_week)
def decides_on_the_day_first(y, season=7):
    d = int(y.diff().std() < 1.2 * y.std())
    left = y.diff() if d else y
    return d, int(left.diff(season).std() < left.std())


@wrong(how_often, caught_by=births_need_a_week)
def asks_adf_alone(y, season=7):
    from statsmodels.tsa.stattools import adfuller

    return int(adfuller(y, maxlag=21, autolag=None, result_object=True).pvalue > 0.05), 0


@wrong(how_often, caught_by=season_is_obeyed)
def knows_only_weeks(y, season=7):
    return how_often(y, 7)


# --- damped_trend -----------------------------------------------------------------------------------------------------


@right
def damped_trend(y, alpha, beta, phi, horizon):
    """Return the `horizon` forecasts of exponential smoothing with a damped trend, ETS(A, Ad, N), in order.

    Begin with the first value as the level and a trend of 0. For each later value: the forecast is level + phi · trend,
    the miss is the value minus it. The new level is the forecast + alpha · miss, the new trend phi · trend + beta · miss.
    The forecast h steps ahead is level + (phi + phi² + … + phi^h) · trend. `y` is a Series.
    """
    level, trend = float(y.iloc[0]), 0.0
    for value in y.iloc[1:]:
        expected = level + phi * trend
        level = expected + alpha * (value - expected)
        trend = phi * trend + beta * (value - expected)
    return [level + trend * sum(phi**k for k in range(1, h + 1)) for h in range(1, horizon + 1)]


@also_right(damped_trend)
def sums_the_powers_in_numpy(y, alpha, beta, phi, horizon):
    values = y.to_numpy(dtype=float)
    level, trend = values[0], 0.0
    for value in values[1:]:
        trend *= phi
        miss = value - (level + trend)
        level, trend = level + trend + alpha * miss, trend + beta * miss
    return level + trend * np.cumsum(phi ** np.arange(1, horizon + 1))


@also_right(damped_trend)
def walks_on_without_misses(y, alpha, beta, phi, horizon):
    level, trend, ahead = y.iloc[0], 0.0, []
    for value in [*y.iloc[1:], *[None] * horizon]:
        expected = level + phi * trend
        miss = 0.0 if value is None else value - expected
        level, trend = expected + alpha * miss, phi * trend + beta * miss
        if value is None:
            ahead.append(level)
    return pd.Series(ahead)


def _ahead(answer, y, alpha, beta, phi, horizon):
    try:
        found = np.asarray(answer(y.copy(), alpha, beta, phi, horizon), dtype=float).ravel()
    except (TypeError, ValueError) as error:
        raise AssertionError(f"return {horizon} numbers: {error}") from None
    assert len(found) == horizon, f"{horizon} forecasts are asked for, you returned {len(found)}"
    return found


def _months():
    """Return births a month, in thousands."""
    births = load_births().set_index("ds")["y"] / 1000
    return births.resample("MS").sum()


@checks(damped_trend)
def without_a_trend_it_is_a_level(answer):
    """With beta = 0 the trend stays 0. Which two numbers is the new level between, and how far along?"""
    two = _ahead(answer, _series([10.0, 12.0]), 0.5, 0, 0.9, 2)
    assert np.allclose(two, 11), (
        f"of 10 and 12, with alpha 0.5, beta 0 and a trend of 0 to begin with, both forecasts are 11; "
        f"you returned {', '.join(f'{one:.2f}' for one in two)}"
    )
    y = _months()
    expected, found = damped_trend(y, 0.4, 0, 0.9, 3), _ahead(answer, y, 0.4, 0, 0.9, 3)
    assert np.allclose(found, expected), (
        f"with alpha 0.4 and no trend births are {expected[0]:.2f} thousand in each month ahead; "
        f"you returned {', '.join(f'{one:.2f}' for one in found)}"
    )


@checks(damped_trend)
def an_undamped_trend_is_a_line(answer):
    """With phi = 1 each step ahead adds the same. What does the trend learn from a miss, and does the level move along?"""
    y = _series(100 + 2.0 * np.arange(200))
    found = _ahead(answer, y, 0.5, 0.2, 1, 4)
    assert np.allclose(found, [500, 502, 504, 506], atol=0.01), (
        f"a straight line to 498 goes on with 500, 502, 504, 506; you returned {', '.join(f'{one:.2f}' for one in found)}"
    )


@checks(damped_trend)
def damping_works_while_it_learns(answer):
    """Where does phi stand in the recursion? It shrinks the old trend before the miss is added."""
    y = _months()
    expected, found = damped_trend(y, 0.3, 0.1, 0.8, 1)[0], _ahead(answer, y, 0.3, 0.1, 0.8, 1)[0]
    assert abs(found - expected) < 1e-6 * abs(expected), (
        f"the first month ahead is {expected:.3f} thousand births; you returned {found:.3f}"
    )


@checks(damped_trend)
def each_step_adds_less(answer):
    """How much does the second step add, if the first adds phi · trend? Sum the powers of phi."""
    y = _months()
    expected, found = damped_trend(y, 0.3, 0.1, 0.8, 12), _ahead(answer, y, 0.3, 0.1, 0.8, 12)
    assert np.allclose(found, expected), (
        f"twelve months ahead it is {expected[-1]:.3f} thousand births, after {expected[0]:.3f} one month ahead; "
        f"you returned {found[-1]:.3f} and {found[0]:.3f}"
    )


def _learns(y, alpha, beta, phi, *, damped=True, level_moves=True, product=False):
    """Level and trend after the last value, in the ways people go wrong."""
    level, trend = float(y.iloc[0]), 0.0
    for value in y.iloc[1:]:
        expected = level + phi * trend
        miss = value - expected
        level = (expected if level_moves else level) + alpha * miss
        trend = (phi if damped else 1) * trend + (alpha * beta if product else beta) * miss
    return level, trend


def _powers(phi, horizon):
    return np.cumsum(phi ** np.arange(1, horizon + 1))


@wrong(damped_trend, caught_by=without_a_trend_it_is_a_level)
def weighs_the_old_level_by_alpha(y, alpha, beta, phi, horizon):
    level, trend = _learns(y, 1 - alpha, beta, phi)
    return level + trend * _powers(phi, horizon)


@wrong(damped_trend, caught_by=without_a_trend_it_is_a_level)
def takes_the_last_value_for_the_level(y, alpha, beta, phi, horizon):
    trend = _learns(y, alpha, beta, phi)[1]
    return y.iloc[-1] + trend * _powers(phi, horizon)


@wrong(damped_trend, caught_by=without_a_trend_it_is_a_level)
def begins_with_the_first_step_as_the_trend(y, alpha, beta, phi, horizon):
    level, trend = y.iloc[0], y.iloc[1] - y.iloc[0]
    for value in y.iloc[1:]:
        expected = level + phi * trend
        level, trend = expected + alpha * (value - expected), phi * trend + beta * (value - expected)
    return level + trend * _powers(phi, horizon)


@wrong(damped_trend, caught_by=an_undamped_trend_is_a_line)
def leaves_the_trend_out_of_the_level(y, alpha, beta, phi, horizon):
    level, trend = _learns(y, alpha, beta, phi, level_moves=False)
    return level + trend * _powers(phi, horizon)


@wrong(damped_trend, caught_by=an_undamped_trend_is_a_line)
def begins_at_today(y, alpha, beta, phi, horizon):
    level, trend = _learns(y, alpha, beta, phi)
    return np.append(level, level + trend * _powers(phi, horizon))[:horizon]


@wrong(damped_trend, caught_by=damping_works_while_it_learns)
def damps_only_the_forecast(y, alpha, beta, phi, horizon):
    level, trend = _learns(y, alpha, beta, phi, damped=False)
    return level + trend * _powers(phi, horizon)


@wrong(damped_trend, caught_by=damping_works_while_it_learns)
def multiplies_both_weights(y, alpha, beta, phi, horizon):
    level, trend = _learns(y, alpha, beta, phi, product=True)
    return level + trend * _powers(phi, horizon)


@wrong(damped_trend, caught_by=each_step_adds_less)
def multiplies_by_the_step(y, alpha, beta, phi, horizon):
    level, trend = _learns(y, alpha, beta, phi)
    return level + phi * trend * np.arange(1, horizon + 1)


@wrong(damped_trend, caught_by=each_step_adds_less)
def adds_only_the_last_power(y, alpha, beta, phi, horizon):
    level, trend = _learns(y, alpha, beta, phi)
    steps = np.arange(1, horizon + 1)
    return level + trend * phi**steps * np.where(phi == 1, steps, 1)

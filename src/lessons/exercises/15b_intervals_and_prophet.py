"""Exercises of lesson 15b: a conformal half-width, and intervals judged."""

import math

import numpy as np
import pandas as pd
from sklearn.metrics import mean_pinball_loss

from course.data import load_births
from course.exercise import also_right, checks, right, wrong


def _births(first="2013-01-01", last="2014-06-30"):
    """Return births a day in thousands, indexed by day."""
    births = load_births().set_index("ds")["y"][first:last] / 1000
    return births.rename_axis(None)


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


@also_right(conformal_half_width)
def counts_in_plain_python(errors, level=0.8):
    sizes = sorted(abs(error) for error in errors if error == error)
    rank = math.ceil(round((len(sizes) + 1) * level, 9))
    return math.inf if rank > len(sizes) else sizes[rank - 1]


@also_right(conformal_half_width)
def takes_the_quantile_of_the_right_level(errors, level=0.8):
    sizes = errors.abs().dropna().to_numpy()
    corrected = np.ceil((len(sizes) + 1) * level - 1e-9) / len(sizes)
    return np.inf if corrected > 1 else np.quantile(sizes, corrected, method="inverted_cdf")


@also_right(conformal_half_width)
def adds_an_endless_error(errors, level=0.8):
    sizes = np.append(np.sort(errors.dropna().abs()), np.inf)
    return float(sizes[int(np.ceil(len(sizes) * level - 1e-9)) - 1])


def _half(answer, errors, level=0.8):
    try:
        return float(answer(pd.Series(errors, dtype=float), level))
    except (TypeError, IndexError) as error:
        raise AssertionError(f"return one number, infinity if there are too few errors ({error})") from None


@checks(conformal_half_width)
def takes_the_ranked_error(answer):
    """Which of the sorted sizes has the rank that the task names? The smallest has rank 1, and position 0."""
    half = _half(answer, np.arange(1, 10))
    assert half == 8, f"of the errors 1 to 9 at 80 %, rank ⌈10 · 0.8⌉ = 8 is the error 8; you returned {half}"


@checks(conformal_half_width)
def counts_one_more_than_it_has(answer):
    """How many days are alike if the day to come is counted with the n errors that you have?

    The recipe `np.quantile(sizes, level, method="higher")` is widely copied. It counts from n - 1 and comes out too
    narrow. The published form asks for the level ⌈(n + 1) · level⌉ / n with `method="inverted_cdf"`; with "higher" it
    can land one rank too high.
    """
    half = _half(answer, [1, 2, 3, 4, 10])
    assert half == 10, f"of five errors at 80 %, rank ⌈6 · 0.8⌉ = 5 is the largest, 10; you returned {half}"


@checks(conformal_half_width)
def sign_does_not_count(answer):
    """Is a miss of -9 smaller than a miss of 2? Half a width has no sign."""
    half = _half(answer, [-9, 8, -7, 6, -5, 4, -3, 2, -1])
    assert half == 8, f"the sizes are 1 to 9, in any order and with any sign: 8; you returned {half}"


@checks(conformal_half_width)
def says_when_it_can_not_know(answer):
    """What can three errors say about 80 %? If the rank does not exist, the largest error would promise too much."""
    half = _half(answer, [1, 2, 3])
    assert half == np.inf, f"rank ⌈4 · 0.8⌉ = 4 of three errors does not exist: infinity; you returned {half}"


@checks(conformal_half_width)
def missing_errors_do_not_count(answer):
    """How many errors are there? n counts only those that are not missing."""
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


@wrong(conformal_half_width, caught_by=takes_the_ranked_error)
def takes_the_next_higher_of_the_corrected_level(errors, level=0.8):
    sizes = errors.dropna().abs()
    return np.quantile(sizes, min(1, np.ceil((len(sizes) + 1) * level) / len(sizes)), method="higher")


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
    q · (y - b) when y is above it, and (1 - q) · (b - y) when y is below. A day that lacks a bound counts nowhere.
    """
    q, known = (1 - level) / 2, low.notna() & high.notna()
    y, low, high = births[known], low[known], high[known]
    losses = [np.maximum(p * (y - b), (p - 1) * (y - b)).mean() for p, b in ((q, low), (1 - q, high))]
    return {
        "coverage": float(y.between(low, high).mean()),
        "width": float((high - low).mean()),
        "pinball": float(np.mean(losses)),
    }


@also_right(judge_intervals)
def judges_in_one_frame(births, low, high, level=0.8):
    days = pd.DataFrame({"y": births, "low": low, "high": high}).dropna(subset=["low", "high"])
    alpha = 1 - level
    below, above = (days["low"] - days["y"]).clip(lower=0), (days["y"] - days["high"]).clip(lower=0)
    width = days["high"] - days["low"]
    winkler = width + 2 / alpha * (below + above)  # the interval score is 4 / alpha of the mean pinball loss
    return {
        "coverage": ((below == 0) & (above == 0)).mean(),
        "width": width.mean(),
        "pinball": (winkler * alpha / 4).mean(),
    }


@also_right(judge_intervals)
def judges_day_by_day(births, low, high, level=0.8):
    q, inside, widths, losses = (1 - level) / 2, [], [], []
    for y, a, b in zip(births, low, high, strict=True):
        if np.isnan(a) or np.isnan(b):
            continue
        inside.append(a <= y <= b)
        widths.append(b - a)
        lower = q * (y - a) if y > a else (1 - q) * (a - y)
        upper = (1 - q) * (y - b) if y > b else q * (b - y)
        losses.append((lower + upper) / 2)
    return {"coverage": np.mean(inside), "width": np.mean(widths), "pinball": np.mean(losses)}


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
    """Is a day that lies exactly on a bound inside? Read the definition of coverage in the task."""
    y = _births()[:4].round(1)
    _agree(answer, y, y, y + 1, "coverage", "four days exactly on the lower bound are inside")


@checks(judge_intervals)
def days_without_bounds_do_not_count(answer):
    """What does Python say of y >= NaN? It is False, which reads as *outside*; such days are no evidence."""
    _agree(answer, *_ranges(), "coverage", "one day in ten has no interval")


@checks(judge_intervals)
def width_is_a_mean_of_whole_widths(answer):
    """From where to where does a width reach? From bound to bound, not from the middle."""
    _agree(answer, *_ranges(), "width", "whole widths")


@checks(judge_intervals)
def being_on_the_wrong_side_costs_most(answer):
    """On which side of the lower bound do births usually lie? The usual side is the cheap one."""
    y = pd.Series([10.0, 10.0], index=pd.date_range("2014-01-01", periods=2))
    _agree(answer, y, y - 1, y + 1, "pinball", "births in the middle of a range from -1 to +1")
    _agree(answer, y, y + 1, y + 2, "pinball", "births below the whole range")


@checks(judge_intervals)
def level_sets_the_quantiles(answer):
    """How much is left outside on each side? 80 % leaves 10 %, 50 % leaves 25 %."""
    _agree(answer, *_ranges(), "pinball", "at a level of 50 %", level=0.5)


@checks(judge_intervals)
def one_bound_is_no_interval(answer):
    """Which days do you leave out, and for which of the three numbers? A day needs both bounds to count at all."""
    y, low, high = _ranges()
    high = high.where(np.arange(len(high)) % 10 != 5)
    for name in ("coverage", "width", "pinball"):
        _agree(answer, y, low, high, name, "some days lack only the upper bound")


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


@wrong(judge_intervals, caught_by=one_bound_is_no_interval)
def asks_only_for_the_lower_bound(births, low, high, level=0.8):
    known = low.notna()
    return judge_intervals(births, low, high, level) | {
        "coverage": births[known].between(low[known], high[known]).mean()
    }


@wrong(judge_intervals, caught_by=one_bound_is_no_interval)
def averages_each_bound_by_itself(births, low, high, level=0.8):
    q = (1 - level) / 2
    losses = [
        np.maximum(p * (births - b), (p - 1) * (births - b)).mean() for p, b in ((q, low), (1 - q, high))
    ]
    return judge_intervals(births, low, high, level) | {"pinball": np.mean(losses)}


@also_right(judge_intervals)
def asks_scikit_learn(births, low, high, level=0.8):
    q, known = (1 - level) / 2, ~(low.isna() | high.isna())
    y, low, high = births[known], low[known], high[known]
    loss = mean_pinball_loss(y, low, alpha=q) + mean_pinball_loss(y, high, alpha=1 - q)
    inside = (low <= y) & (y <= high)
    return {"coverage": inside.mean(), "width": high.mean() - low.mean(), "pinball": loss / 2}

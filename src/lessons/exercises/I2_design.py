"""Exercises of I2: the order that two costs ask for, demand where the shelf was empty, and shops for a rollout."""

import math
from statistics import NormalDist

import numpy as np
import pandas as pd
from scipy import stats

from course.exercise import also_right, checks, right, wrong

# --- order_quantity ---------------------------------------------------------------------------------------------------


@right
def order_quantity(demand, too_many, too_few):
    """Return how many pieces to order: the whole number with the smallest mean cost over the days in `demand`.

    `demand` is a list of whole numbers, what customers wanted on past days, in no order. A piece left over costs
    `too_many`, a piece that was wanted and not there costs `too_few`. If several orders are equally good, the smallest.
    """
    quantile = too_few / (too_many + too_few)
    return int(np.quantile(demand, quantile, method="inverted_cdf"))


def _cost(order, demand, too_many, too_few):
    over = np.asarray(demand) - order
    return float(np.where(over > 0, too_few * over, -too_many * over).mean())


def _order(answer, demand, too_many, too_few):
    got = answer(list(demand), too_many, too_few)
    assert isinstance(got, int | float | np.number) and np.isfinite(got), (
        f"return one number, not {type(got).__name__}"
    )
    assert float(got).is_integer(), f"{got} pieces can't be ordered: return a whole number"
    return int(got)


@checks(order_quantity)
def equal_costs_ask_for_the_median(answer):
    """If both errors cost the same, on what share of the days should demand stay within the order? Stay on a whole number: `np.quantile` has a `method` for that."""
    demand = [4, 9, 1, 30, 6, 2]
    got = _order(answer, demand, 2, 2)
    assert got == 4, (
        f"demand {demand}, both costs 2: order 4, the lower median, at {_cost(4, demand, 2, 2):.2f} a day; "
        f"yours is {got}, at {_cost(got, demand, 2, 2):.2f}"
    )


@checks(order_quantity)
def order_moves_with_the_costs(answer):
    """One more piece pays while the chance to sell it, times `too_few`, exceeds the chance to keep it, times `too_many`. Where is that equal?"""
    demand = list(np.random.default_rng(5).negative_binomial(5, 0.2, 399))
    for too_many, too_few in ((1, 4), (4, 1), (0.5, 9.7)):
        got = _order(answer, demand, too_many, too_few)
        costs = [_cost(order, demand, too_many, too_few) for order in range(max(demand) + 1)]
        best = int(np.argmin(costs))
        assert got == best, (
            f"one too many costs {too_many}, one too few {too_few}: {best} pieces cost {costs[best]:.2f} a day, "
            f"your {got} cost {_cost(got, demand, too_many, too_few):.2f}"
        )


@also_right(order_quantity)
def tries_every_order(demand, too_many, too_few):
    def cost(order):
        return sum(too_few * max(d - order, 0) + too_many * max(order - d, 0) for d in demand)

    return min(range(max(demand) + 1), key=cost)


@also_right(order_quantity)
def walks_the_sorted_days(demand, too_many, too_few):
    quantile, days = too_few / (too_many + too_few), pd.Series(demand).sort_values()
    share = days.rank(method="max") / len(days)
    return int(days[share >= quantile - 1e-12].iloc[0])


@wrong(order_quantity, caught_by=equal_costs_ask_for_the_median)
def orders_the_mean(demand, too_many, too_few):
    return round(sum(demand) / len(demand))


@wrong(order_quantity, caught_by=equal_costs_ask_for_the_median)
def interpolates(demand, too_many, too_few):
    return float(np.quantile(demand, too_few / (too_many + too_few) + 0.01))


@wrong(order_quantity, caught_by=equal_costs_ask_for_the_median)
def takes_the_ratio_of_the_costs(demand, too_many, too_few):
    return int(np.quantile(demand, min(1, too_few / too_many), method="inverted_cdf"))


@wrong(order_quantity, caught_by=equal_costs_ask_for_the_median)
def forgets_to_sort(demand, too_many, too_few):
    return int(demand[int(len(demand) * too_few / (too_many + too_few))])


@wrong(order_quantity, caught_by=order_moves_with_the_costs)
def swaps_the_costs(demand, too_many, too_few):
    return int(np.quantile(demand, too_many / (too_many + too_few), method="inverted_cdf"))


@wrong(order_quantity, caught_by=order_moves_with_the_costs)
def always_takes_the_median(demand, too_many, too_few):
    return int(np.quantile(demand, 0.5, method="inverted_cdf"))


@wrong(order_quantity, caught_by=order_moves_with_the_costs)
def always_takes_four_fifths(demand, too_many, too_few):
    return int(np.quantile(demand, 0.5 if too_many == too_few else 0.8, method="inverted_cdf"))


# --- true_demand ------------------------------------------------------------------------------------------------------


@right
def true_demand(hourly, sold_out):
    """Return an estimate of the demand of each day, an array of numbers in the order of the rows.

    `hourly` is an array of sales, a row a day and a column an opening hour. `sold_out` holds for each day how many
    hours the shelf was filled; it is the number of columns where it never got empty. Learn from the days without a
    stock-out which share of a day's sales usually falls into its first hours (all such days added up), and divide
    the sales of the other days by that share.
    """
    hourly, sold_out = np.asarray(hourly, dtype=float), np.asarray(sold_out)
    whole = hourly[sold_out == hourly.shape[1]].sum(axis=0)
    share = np.cumsum(whole) / whole.sum()
    return hourly.sum(axis=1) / share[sold_out - 1]


_PROFILE = np.array([0.05, 0.1, 0.15, 0.3, 0.2, 0.1, 0.06, 0.04])  # most is sold at noon


def _selling_days():
    """Return hourly sales of 120 days, hours with stock, and the demand behind them; sold out on half of the days."""
    rng = np.random.default_rng(11)
    wanted = rng.poisson(np.outer(rng.uniform(150, 250, 120), _PROFILE))
    filled = np.where(np.arange(120) % 2, len(_PROFILE), rng.integers(3, len(_PROFILE), 120))
    sales = np.where(np.arange(len(_PROFILE)) < filled[:, None], wanted, 0)
    return sales, filled, wanted.sum(axis=1)


def _estimates(answer, sales, filled):
    got = np.asarray(answer(sales.copy(), filled.copy()), dtype=float)
    assert got.shape == (len(sales),), (
        f"{len(sales)} days came in: return {len(sales)} numbers, not {got.shape}"
    )
    assert np.isfinite(got).all(), f"{(~np.isfinite(got)).sum()} of {len(sales)} days have no number"
    return got


@checks(true_demand)
def every_day_has_a_number(answer):
    """Which days have the highest demand, and what becomes of your estimate without them? Every row gets a number."""
    _estimates(answer, *_selling_days()[:2])


@checks(true_demand)
def full_days_stay_as_they_are(answer):
    """What share of a day's sales has come in when all hours are over? Hour 1 is at place 0 of an array."""
    sales, filled, wanted = _selling_days()
    got, full = _estimates(answer, sales, filled), filled == sales.shape[1]
    day = int(np.argmax(np.where(full, np.abs(got - wanted), -1)))
    assert np.allclose(got[full], wanted[full]), (
        f"day {day} never sold out and sold {wanted[day]}; you make it {got[day]:.1f}"
    )


@checks(true_demand)
def sold_out_days_are_scaled_by_their_share(answer):
    """By the end of its second hour, how much of its total has a day without a stock-out sold? Ask the full days only, and hour by hour."""
    sales = np.array([[10, 30, 60], [20, 30, 50], [12, 33, 0], [9, 0, 0]])
    filled = np.array([3, 3, 2, 1])
    got = _estimates(answer, sales, filled)
    assert np.allclose(got, [100, 100, 100, 60]), (
        "two full days sell 15 %, 30 % and 55 % by the hour. 45 sold in two hours then mean 100, 9 in one hour 60; "
        f"you returned {got[2]:.1f} and {got[3]:.1f}"
    )


@checks(true_demand)
def large_days_count_as_much_as_they_sell(answer):
    """Should a day that sold 10 pieces say as much about the usual share as one that sold 100? Decide what you add up before you divide."""
    sales = np.array([[10, 90], [8, 2], [30, 0]])
    got = _estimates(answer, sales, np.array([2, 2, 1]))[2]
    assert abs(got - 30 * 110 / 18) < 1e-6, (
        f"full days of 10 + 90 and 8 + 2: the first hour sells 18 of 110. 30 sold in it mean 183.3, not {got:.1f}"
    )


@also_right(true_demand)
def day_by_day(hourly, sold_out):
    hours = len(hourly[0])
    full = [day for day, filled in zip(hourly, sold_out, strict=True) if filled == hours]
    total = sum(sum(day) for day in full)
    share = {filled: sum(sum(day[:filled]) for day in full) / total for filled in range(1, hours + 1)}
    return np.array([sum(day) / share[filled] for day, filled in zip(hourly, sold_out, strict=True)])


@also_right(true_demand)
def by_a_table(hourly, sold_out):
    sales, filled = pd.DataFrame(hourly), pd.Series(sold_out)
    share = sales[filled == sales.shape[1]].sum().cumsum()
    share /= share.iloc[-1]
    return sales.sum(axis="columns") / (filled - 1).map(share)


@wrong(true_demand, caught_by=every_day_has_a_number)
def drops_the_days(hourly, sold_out):
    return hourly.sum(axis=1)[sold_out == hourly.shape[1]]


@wrong(true_demand, caught_by=every_day_has_a_number)
def leaves_them_missing(hourly, sold_out):
    return pd.Series(hourly.sum(axis=1)).where(sold_out == hourly.shape[1]).to_numpy()


@wrong(true_demand, caught_by=full_days_stay_as_they_are)
def adds_a_tenth_to_all(hourly, sold_out):
    return hourly.sum(axis=1) * 1.1


@wrong(true_demand, caught_by=full_days_stay_as_they_are)
def is_one_hour_late(hourly, sold_out):
    whole = hourly[sold_out == hourly.shape[1]].sum(axis=0)
    share = np.concatenate([[0.0], np.cumsum(whole)]) / whole.sum()
    return hourly.sum(axis=1) / np.maximum(share[sold_out - 1], 1e-9)


@wrong(true_demand, caught_by=sold_out_days_are_scaled_by_their_share)
def takes_sales_for_demand(hourly, sold_out):
    return hourly.sum(axis=1)


@wrong(true_demand, caught_by=sold_out_days_are_scaled_by_their_share)
def takes_every_hour_for_equal(hourly, sold_out):
    return hourly.sum(axis=1) * hourly.shape[1] / sold_out


@wrong(true_demand, caught_by=sold_out_days_are_scaled_by_their_share)
def learns_the_share_from_all_days(hourly, sold_out):
    share = np.cumsum(hourly.sum(axis=0)) / hourly.sum()
    return hourly.sum(axis=1) / share[sold_out - 1]


@wrong(true_demand, caught_by=sold_out_days_are_scaled_by_their_share)
def puts_in_the_mean_of_full_days(hourly, sold_out):
    total, full = hourly.sum(axis=1), sold_out == hourly.shape[1]
    return np.where(full, total, total[full].mean())


@wrong(true_demand, caught_by=large_days_count_as_much_as_they_sell)
def averages_the_shares(hourly, sold_out):
    full = hourly[sold_out == hourly.shape[1]]
    share = (np.cumsum(full, axis=1) / full.sum(axis=1, keepdims=True)).mean(axis=0)
    return hourly.sum(axis=1) / share[sold_out - 1]


# --- shops_per_arm ----------------------------------------------------------------------------------------------------


@right
def shops_per_arm(sd, effect, alpha=0.05, power=0.8):
    """Return how many shops each arm of a trial needs, a whole number, rounded up.

    Half of the shops order by the new forecasts, half as before, and the means of the two arms are compared. `sd`
    is the standard deviation of the result between shops, `effect` the smallest difference worth finding, in the same unit.
    A two-sided test at level `alpha` should find it with probability `power`. Normal approximation:
    2 (z of 1 - alpha/2 + z of power)² (sd / effect)², with z from `NormalDist().inv_cdf`.
    """
    z = NormalDist().inv_cdf
    n = 2 * (z(1 - alpha / 2) + z(power)) ** 2 * (sd / effect) ** 2
    return int(np.ceil(n))


def _shops(answer, *args, **kwargs):
    got = answer(*args, **kwargs)
    assert isinstance(got, int | float | np.number) and np.isfinite(got), (
        f"return one number, not {type(got).__name__}"
    )
    assert float(got).is_integer(), f"{got} shops can't take part: return a whole number"
    return int(got)


@checks(shops_per_arm)
def usual_case(answer):
    """Which two chances of error does the formula limit, and how many arms have noise? Both z values come from `inv_cdf`; a part of a shop can't take part."""
    got = _shops(answer, 10, 2)
    assert got == 393, f"sd 10, effect 2: 2 · 7.85 · 25 = 392.4, so 393 shops an arm; you returned {got}"


@checks(shops_per_arm)
def half_the_effect_takes_four_times_the_shops(answer):
    """How does the noise of a mean shrink with the number of shops? Half the effect needs more than twice as many."""
    got = _shops(answer, 10, 1)
    assert got == 1570, f"sd 10, effect 1: 1,570 shops an arm, four times as many; you returned {got:,}"


@checks(shops_per_arm)
def level_and_power_are_used(answer):
    """What should happen to the number of shops when you ask for more certainty? Two arguments say how much is asked for."""
    for alpha, power, due in ((0.01, 0.8, 584), (0.05, 0.95, 650)):
        got = _shops(answer, 10, 2, alpha=alpha, power=power)
        assert got == due, (
            f"sd 10, effect 2, alpha {alpha}, power {power}: {due} shops an arm, you returned {got}"
        )


@also_right(shops_per_arm)
def by_scipy(sd, effect, alpha=0.05, power=0.8):
    standardised = effect / sd
    together = stats.norm.isf(alpha / 2) + stats.norm.ppf(power)
    return math.ceil(2 * (together / standardised) ** 2)


@also_right(shops_per_arm)
def by_the_standard_error(sd, effect, alpha=0.05, power=0.8):
    z = NormalDist().inv_cdf
    allowed_error = effect / (z(1 - alpha / 2) + z(power))
    return np.ceil(2 * sd**2 / allowed_error**2)


@wrong(shops_per_arm, caught_by=usual_case)
def forgets_that_both_arms_vary(sd, effect, alpha=0.05, power=0.8):
    z = NormalDist().inv_cdf
    return int(np.ceil((z(1 - alpha / 2) + z(power)) ** 2 * (sd / effect) ** 2))


@wrong(shops_per_arm, caught_by=usual_case)
def forgets_the_power(sd, effect, alpha=0.05, power=0.8):
    return int(np.ceil(2 * NormalDist().inv_cdf(1 - alpha / 2) ** 2 * (sd / effect) ** 2))


@wrong(shops_per_arm, caught_by=usual_case)
def tests_one_side(sd, effect, alpha=0.05, power=0.8):
    z = NormalDist().inv_cdf
    return int(np.ceil(2 * (z(1 - alpha) + z(power)) ** 2 * (sd / effect) ** 2))


@wrong(shops_per_arm, caught_by=usual_case)
def rounds_down(sd, effect, alpha=0.05, power=0.8):
    return shops_per_arm(sd, effect, alpha, power) - 1


@wrong(shops_per_arm, caught_by=half_the_effect_takes_four_times_the_shops)
def forgets_the_square(sd, effect, alpha=0.05, power=0.8):
    return int(np.ceil(78.489 * sd / effect))


@wrong(shops_per_arm, caught_by=level_and_power_are_used)
def has_the_level_built_in(sd, effect, alpha=0.05, power=0.8):
    return int(np.ceil(2 * (1.959964 + NormalDist().inv_cdf(power)) ** 2 * (sd / effect) ** 2))


@wrong(shops_per_arm, caught_by=level_and_power_are_used)
def has_the_power_built_in(sd, effect, alpha=0.05, power=0.8):
    return int(np.ceil(2 * (NormalDist().inv_cdf(1 - alpha / 2) + 0.841621) ** 2 * (sd / effect) ** 2))

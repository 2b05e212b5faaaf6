"""Exercises of I2: an order from two costs, demand behind an empty shelf, shops for a rollout, two estimates."""

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


# --- sensor_load ------------------------------------------------------------------------------------------------------


@right
def sensor_load(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits):
    """Return two numbers: the gigabytes that all trains record in a day, and the minutes one train needs to send its own.

    A train has `doors` doors, and each moves `cycles` times a day for `seconds` seconds. `signals` signals are
    recorded `hertz` times a second, a value takes `bytes_each` bytes. A train sends `megabits` megabits a second.
    A gigabyte is 10⁹ bytes, a megabit 10⁶ bits.
    """
    train = doors * cycles * seconds * hertz * signals * bytes_each
    return trains * train / 1e9, train * 8 / (megabits * 1e6) / 60


_LOAD = {
    "trains": 420,
    "doors": 16,
    "cycles": 600,
    "seconds": 5,
    "hertz": 1000,
    "signals": 4,
    "bytes_each": 2,
    "megabits": 2,
}


def _load(answer, **changed):
    got = answer(**_LOAD | changed)
    assert isinstance(got, tuple | list | np.ndarray) and len(got) == 2, (
        f"return two numbers, gigabytes and minutes; you returned {got!r}"
    )
    return float(got[0]), float(got[1])


@checks(sensor_load)
def all_trains_together_record(answer):
    """How many values does one movement of one door give, and how many movements are there in a day? Multiply until you have bytes, then divide once."""
    got, _ = _load(answer)
    assert abs(got - 161.28) < 0.01, (
        f"6,720 doors, 600 movements, 5,000 samples of 4 signals, 2 bytes: 161.28 GB a day; you have {got:,.2f}"
    )


@checks(sensor_load)
def a_train_sends_its_own(answer):
    """Whose bytes go over one train's link? And is a link's speed given in bytes?"""
    _, got = _load(answer)
    assert abs(got - 25.6) < 0.01, (
        f"a train records 384 MB, which are 3,072 megabits: 25.6 minutes at 2 megabits a second; you have {got:,.2f}"
    )


@checks(sensor_load)
def everything_that_is_given_counts(answer):
    """What does twice the doors change, what twice the trains? Ask it of each argument."""
    base = _load(answer)
    for name, (volume, sending) in {
        "trains": (2, 1),
        "doors": (2, 2),
        "signals": (2, 2),
        "megabits": (1, 0.5),
    }.items():
        got = _load(answer, **{name: 2 * _LOAD[name]})
        due = base[0] * volume, base[1] * sending
        assert np.allclose(got, due), (
            f"twice the {name}: {due[0]:.1f} GB and {due[1]:.1f} minutes are due; you have {got[0]:.1f} and {got[1]:.1f}"
        )


@also_right(sensor_load)
def from_one_movement_upwards(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits):
    movement = seconds * hertz * signals * bytes_each
    a_train = movement * cycles * doors
    megabytes_a_second = megabits / 8
    return [a_train * trains / 10**9, a_train / 10**6 / megabytes_a_second / 60]


@also_right(sensor_load)
def as_a_product_of_an_array(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits):
    bits = 8 * np.prod([doors, cycles, seconds, hertz, signals, bytes_each], dtype=float)
    return np.array([bits / 8 * trains / 1e9, bits / (60e6 * megabits)])


@wrong(sensor_load, caught_by=all_trains_together_record)
def forgets_the_signals(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits):
    volume, sending = sensor_load(trains, doors, cycles, seconds, hertz, 1, bytes_each, megabits)
    return volume, sending * signals


@wrong(sensor_load, caught_by=all_trains_together_record)
def counts_in_powers_of_two(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits):
    volume, sending = sensor_load(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits)
    return volume * 1e9 / 2**30, sending


@wrong(sensor_load, caught_by=a_train_sends_its_own)
def takes_bits_for_bytes(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits):
    volume, sending = sensor_load(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits)
    return volume, sending / 8


@wrong(sensor_load, caught_by=a_train_sends_its_own)
def sends_the_whole_fleet(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits):
    volume, sending = sensor_load(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits)
    return volume, sending * trains


@wrong(sensor_load, caught_by=everything_that_is_given_counts)
def has_sixteen_doors_built_in(trains, doors, cycles, seconds, hertz, signals, bytes_each, megabits):
    return sensor_load(trains, 16, cycles, seconds, hertz, signals, bytes_each, megabits)


# --- alarms_a_night ---------------------------------------------------------------------------------------------------


@right
def alarms_a_night(doors, failures_a_year, nights, recall, false_rate):
    """Return two numbers: how many doors a model rings for in a mean night, and the share of them that is real.

    A door is about to fail in the `nights` nights before its failure; there are `failures_a_year` failures in 365
    nights. In each of these nights the model rings for it with probability `recall`. For every other door it rings
    with probability `false_rate`.
    """
    about_to_fail = failures_a_year * nights / 365
    real = about_to_fail * recall
    false = (doors - about_to_fail) * false_rate
    return real + false, real / (real + false)


def _alarms(answer, *args):
    got = answer(*args)
    assert isinstance(got, tuple | list | np.ndarray) and len(got) == 2, (
        f"return two numbers, alarms and the share that is real; you returned {got!r}"
    )
    return float(got[0]), float(got[1])


@checks(alarms_a_night)
def doors_about_to_fail_are_few(answer):
    """On a mean night, how many doors are in their last nights? A failure counts on several nights, and a year has 365."""
    got, _ = _alarms(answer, 1000, 73, 5, 0.5, 0.0)
    assert abs(got - 0.5) < 1e-9, (
        f"73 failures, 5 nights each, 365 nights: one door a night is about to fail, a recall of 0.5 and no false alarm "
        f"make 0.5 alarms; you have {got:.3f}"
    )


@checks(alarms_a_night)
def false_alarms_come_from_healthy_doors(answer):
    """For which doors can an alarm be false? Take those away that are about to fail."""
    got, _ = _alarms(answer, 10, 365, 4, 0.0, 0.5)
    assert abs(got - 3) < 1e-9, (
        f"10 doors, 4 of them about to fail: 6 healthy ones at a rate of 0.5 make 3 false alarms; you have {got:.3f}"
    )


@checks(alarms_a_night)
def share_is_of_the_alarms(answer):
    """Of what is a precision the share: of the doors that fail, or of those that the model rings for?"""
    alarms, share = _alarms(answer, 6720, 65, 5, 0.6, 0.01)
    assert abs(alarms - 67.725) < 0.01 and abs(share - 0.007888) < 1e-5, (
        f"6,720 doors, 65 failures, 5 nights, recall 0.6, 1 % false alarms: 67.7 alarms, a share of 0.0079 real; "
        f"you have {alarms:.1f} and {share:.4f}"
    )


@also_right(alarms_a_night)
def by_probabilities(doors, failures_a_year, nights, recall, false_rate):
    prior = failures_a_year / doors * nights / 365
    rings = prior * recall + (1 - prior) * false_rate
    return doors * rings, prior * recall / rings


@also_right(alarms_a_night)
def over_a_whole_year(doors, failures_a_year, nights, recall, false_rate):
    door_nights = pd.Series(
        {"real": failures_a_year * nights, "false": doors * 365 - failures_a_year * nights}
    )
    rung = door_nights * pd.Series({"real": recall, "false": false_rate})
    return [rung.sum() / 365, rung["real"] / rung.sum()]


@wrong(alarms_a_night, caught_by=doors_about_to_fail_are_few)
def counts_each_failure_on_one_night(doors, failures_a_year, nights, recall, false_rate):
    return alarms_a_night(doors, failures_a_year, 1, recall, false_rate)


@wrong(alarms_a_night, caught_by=doors_about_to_fail_are_few)
def takes_the_year_for_a_night(doors, failures_a_year, nights, recall, false_rate):
    return alarms_a_night(doors, failures_a_year * 365 / nights, nights, recall, false_rate)


@wrong(alarms_a_night, caught_by=false_alarms_come_from_healthy_doors)
def rings_falsely_for_all(doors, failures_a_year, nights, recall, false_rate):
    real, false = failures_a_year * nights / 365 * recall, doors * false_rate
    return real + false, real / (real + false)


@wrong(alarms_a_night, caught_by=share_is_of_the_alarms)
def returns_the_recall(doors, failures_a_year, nights, recall, false_rate):
    alarms, _ = alarms_a_night(doors, failures_a_year, nights, recall, false_rate)
    return alarms, recall


@wrong(alarms_a_night, caught_by=share_is_of_the_alarms)
def takes_accuracy_for_the_share(doors, failures_a_year, nights, recall, false_rate):
    alarms, _ = alarms_a_night(doors, failures_a_year, nights, recall, false_rate)
    return alarms, 1 - false_rate

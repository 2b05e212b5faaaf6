"""Exercises of lesson 15e: an order for the sum over a lead time, and the levels of adaptive intervals."""

import math

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- order_up_to ------------------------------------------------------------------------------------------------------


@right
def order_up_to(demand, days, under, over):
    """Return the smallest quantity that was enough for `days` days in a row in a share q of the past.

    `demand`: a Series, one number a day. `under` and `over`: the cost of a unit too few and of one too many;
    q = under / (under + over). Take the sums of all windows of `days` days in a row, also overlapping ones. Of n
    sums the quantity is the one with rank ⌈n · q⌉, counted from the smallest.
    """
    sums = np.sort(demand.rolling(days).sum().dropna())
    return float(sums[int(np.ceil(len(sums) * under / (under + over) - 1e-9)) - 1])


@also_right(order_up_to)
def asks_numpy_for_the_quantile(demand, days, under, over):
    sums = np.convolve(demand.to_numpy(), np.ones(days), mode="valid")
    return np.quantile(sums, under / (under + over), method="inverted_cdf")


@also_right(order_up_to)
def adds_in_plain_python(demand, days, under, over):
    values = list(demand)
    sums = sorted(sum(values[at : at + days]) for at in range(len(values) - days + 1))
    rank = math.ceil(round(len(sums) * under / (under + over), 9))
    return sums[rank - 1]


def _days(*values):
    return pd.Series(values, pd.date_range("2019-01-01", periods=len(values)), dtype=float)


def _quantity(answer, demand, *options):
    try:
        return float(answer(demand.copy(), *options))
    except (TypeError, IndexError) as error:
        raise AssertionError(f"return one number ({error})") from None


RARE = _days(0, 3, 0, 0, 0, 0, 2, 0, 0, 0, 0)  # ten sums of two days: 3 3 0 0 0 2 2 0 0 0


@checks(order_up_to)
def the_quantile_is_of_sums(answer):
    """Of what is the quantile: of a day, or of the days together? Nine days in eleven are zero."""
    found = _quantity(answer, RARE, 2, 4, 1)
    why = ", which has rank 9 (pandas' `higher` takes it, too)" if found == 3 else ""
    assert found == 2, (
        f"sums of two days, sorted: 0 0 0 0 0 0 2 2 3 3; rank ⌈10 · 0.8⌉ = 8 is 2; you returned {found}{why}"
    )


@checks(order_up_to)
def windows_overlap(answer):
    """Where may a window begin? On any day, not only on every `days`-th."""
    found = _quantity(answer, _days(0, 0, 5, 5, 0, 0), 2, 4, 1)
    assert found == 5, f"sums 0 5 10 5 0, sorted 0 0 5 5 10; rank ⌈5 · 0.8⌉ = 4 is 5; you returned {found}"


@checks(order_up_to)
def windows_are_whole(answer):
    """Is one day a window of three days? A window that reaches over an end of the data has too small a sum."""
    found = _quantity(answer, _days(4, 4, 4, 4, 4, 4), 3, 1, 9)
    assert found == 12, f"4 every day, so any three days in a row need 12; you returned {found}"


@checks(order_up_to)
def being_short_costs_more(answer):
    """Which way does the order go when being short gets dearer? Read q once more."""
    demand = _days(*range(1, 11))
    found = _quantity(answer, demand, 1, 9, 1)
    assert found == 9, f"1 to 10, a unit short costs nine times: rank ⌈10 · 0.9⌉ = 9; you returned {found}"
    found = _quantity(answer, demand, 1, 1, 4)
    assert found == 2, (
        f"1 to 10, a unit left over costs four times: rank ⌈10 · 0.2⌉ = 2; you returned {found}"
    )


@checks(order_up_to)
def it_is_a_quantity_that_was_enough(answer):
    """Can you send two and a half cars? The rank is whole, so the answer is one of the sums."""
    found = _quantity(answer, _days(0, 0, 0, 0, 1, 1, 2, 9), 1, 3, 1)
    assert found == 1, f"0 0 0 0 1 1 2 9: rank ⌈8 · 0.75⌉ = 6 is 1; you returned {found}"
    found = _quantity(answer, _days(0, 0, 0, 0, 1, 1, 2, 9), 1, 4, 1)
    assert found == 2, f"0 0 0 0 1 1 2 9: rank ⌈8 · 0.8⌉ = 7 is 2; you returned {found}"


@wrong(order_up_to, caught_by=the_quantile_is_of_sums)
def adds_up_daily_quantiles(demand, days, under, over):
    return days * demand.quantile(under / (under + over), interpolation="higher")


@wrong(order_up_to, caught_by=the_quantile_is_of_sums)
def orders_the_mean(demand, days, under, over):
    return days * demand.mean()


@wrong(order_up_to, caught_by=the_quantile_is_of_sums)
def orders_the_largest(demand, days, under, over):
    return demand.rolling(days).sum().max()


@wrong(order_up_to, caught_by=windows_overlap)
def cuts_the_past_into_blocks(demand, days, under, over):
    sums = np.sort(demand.rolling(days).sum().dropna().iloc[::days])
    return sums[int(np.ceil(len(sums) * under / (under + over) - 1e-9)) - 1]


@wrong(order_up_to, caught_by=windows_are_whole)
def begins_before_the_data(demand, days, under, over):
    sums = demand.rolling(days, min_periods=1).sum()
    return np.quantile(sums, under / (under + over), method="inverted_cdf")


@wrong(order_up_to, caught_by=windows_are_whole)
def runs_over_the_end(demand, days, under, over):
    sums = [demand.iloc[at : at + days].sum() for at in range(len(demand))]
    return np.quantile(sums, under / (under + over), method="inverted_cdf")


@wrong(order_up_to, caught_by=the_quantile_is_of_sums)
def takes_the_higher_of_pandas(demand, days, under, over):
    return demand.rolling(days).sum().quantile(under / (under + over), interpolation="higher")


@wrong(order_up_to, caught_by=the_quantile_is_of_sums)
def swaps_the_costs(demand, days, under, over):
    return order_up_to(demand, days, over, under)


@wrong(order_up_to, caught_by=being_short_costs_more)
def always_takes_eighty_percent(demand, days, under, over):
    return order_up_to(demand, days, 4, 1)


@wrong(order_up_to, caught_by=it_is_a_quantity_that_was_enough)
def rounds_the_rank_down(demand, days, under, over):
    sums = np.sort(demand.rolling(days).sum().dropna())
    return sums[max(int(len(sums) * under / (under + over) + 1e-9), 1) - 1]


@wrong(order_up_to, caught_by=it_is_a_quantity_that_was_enough)
def lies_between_two_sums(demand, days, under, over):
    sums = np.sort(demand.rolling(days).sum().dropna())
    n, q = len(sums), under / (under + over)
    return np.interp(n * q, np.arange(1, n + 1), sums)


# --- adaptive_levels --------------------------------------------------------------------------------------------------


@right
def adaptive_levels(missed, alpha=0.2, gamma=0.05):
    """Return α_t of each week, a Series with the index of `missed`.

    `missed`: a Series in the order of time, True where the week was outside of its interval. The first week uses
    `alpha`; each later one α_{t+1} = α_t + gamma · (alpha - miss_t), with miss_t 1 or 0. Nothing is cut off.
    """
    steps = gamma * (alpha - missed.astype(float))
    return alpha + steps.cumsum().shift(fill_value=0.0)


@also_right(adaptive_levels)
def walks_through_the_weeks(missed, alpha=0.2, gamma=0.05):
    levels, now = [], alpha
    for miss in missed:
        levels.append(now)
        now += gamma * (alpha - miss)
    return pd.Series(levels, missed.index)


@also_right(adaptive_levels)
def counts_misses_and_weeks(missed, alpha=0.2, gamma=0.05):
    before = np.arange(len(missed))
    misses = np.concatenate([[0], np.cumsum(missed.to_numpy(dtype=int))[:-1]])
    return pd.Series(alpha + gamma * (alpha * before - misses), missed.index)


def _levels(answer, missed, *options):
    weeks = pd.Series(missed, pd.date_range("2020-03-01", periods=len(missed), freq="W"), dtype=bool)
    found = answer(weeks.copy(), *options)
    assert isinstance(found, pd.Series) and found.index.equals(weeks.index), (
        f"return a Series with the weeks of `missed` as its index, not {found!r}"
    )
    return found.astype(float).round(9).tolist()


@checks(adaptive_levels)
def a_miss_counts_from_the_next_week(answer):
    """When do you know that a week was missed? Not when its interval is made."""
    found = _levels(answer, [True, False, False])
    assert found == [0.2, 0.16, 0.17], (
        f"miss, hit, hit: 0.2, then 0.2 + 0.05 · (0.2 - 1) = 0.16, then 0.17; you returned {found}"
    )


@checks(adaptive_levels)
def steps_have_the_size_of_gamma(answer):
    """How large is a step after a hit? γ says it, and the caller chooses γ."""
    found = _levels(answer, [False] * 4, 0.2, 0.1)
    assert found == [0.2, 0.22, 0.24, 0.26], f"each hit adds 0.1 · 0.2 = 0.02; you returned {found}"


@checks(adaptive_levels)
def nothing_is_cut_off(answer):
    """What does an α below zero mean? An endless interval, which is what the promise needs."""
    found = _levels(answer, [True] * 3, 0.2, 0.2)
    assert found == [0.2, 0.04, -0.12], f"each miss takes 0.16 away: 0.2, 0.04, -0.12; you returned {found}"


@checks(adaptive_levels)
def the_target_counts(answer):
    """Which α do you ask for? It is the first level and part of each step."""
    found = _levels(answer, [True, False, True], 0.1, 0.5)
    assert found == [0.1, -0.35, -0.3], f"α = 0.1, γ = 0.5: 0.1, -0.35, -0.3; you returned {found}"


@wrong(adaptive_levels, caught_by=a_miss_counts_from_the_next_week)
def knows_the_miss_already(missed, alpha=0.2, gamma=0.05):
    return alpha + (gamma * (alpha - missed.astype(float))).cumsum()


@wrong(adaptive_levels, caught_by=a_miss_counts_from_the_next_week)
def goes_the_other_way(missed, alpha=0.2, gamma=0.05):
    return alpha + (gamma * (missed.astype(float) - alpha)).cumsum().shift(fill_value=0.0)


@wrong(adaptive_levels, caught_by=a_miss_counts_from_the_next_week)
def moves_only_after_a_miss(missed, alpha=0.2, gamma=0.05):
    return alpha + (gamma * (alpha - 1) * missed.astype(float)).cumsum().shift(fill_value=0.0)


@wrong(adaptive_levels, caught_by=a_miss_counts_from_the_next_week)
def counts_from_where_it_is(missed, alpha=0.2, gamma=0.05):
    levels, now = [], alpha
    for miss in missed:
        levels.append(now)
        now += gamma * (now - miss)
    return pd.Series(levels, missed.index)


@wrong(adaptive_levels, caught_by=steps_have_the_size_of_gamma)
def writes_gamma_down(missed, alpha=0.2, gamma=0.05):
    return adaptive_levels(missed, alpha, 0.05)


@wrong(adaptive_levels, caught_by=nothing_is_cut_off)
def stays_between_zero_and_one(missed, alpha=0.2, gamma=0.05):
    return adaptive_levels(missed, alpha, gamma).clip(0, 1)


@wrong(adaptive_levels, caught_by=the_target_counts)
def writes_the_target_down(missed, alpha=0.2, gamma=0.05):
    return adaptive_levels(missed, 0.2, gamma)

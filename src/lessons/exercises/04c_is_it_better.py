"""Exercises of lesson 04c: what a search's winner is worth, and a verdict with an interval by day."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- honest_gain ------------------------------------------------------------------------------------------------------


@right
def honest_gain(trials, default):
    """Return what the winner of a search gains over the default, in minutes; positive when the winner is better.

    `trials` is a table, one row per setting, with the errors `valid` (the month that chooses) and `fresh` (a month
    that nobody has looked at). `default` is the label of the default's row. The winner has the lowest error in the
    month that chooses, and its gain is measured on the fresh one.
    """
    winner = trials["valid"].idxmin()
    return float(trials.loc[default, "fresh"] - trials.loc[winner, "fresh"])


def _search(seed=0):
    """Return forty settings of equal merit, a month that is harder, and the default as a row among them."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"valid": 4.2 + 0.1 * rng.normal(size=40), "fresh": 4.8 + 0.1 * rng.normal(size=40)})
    table.index = [f"setting {number}" for number in rng.permutation(40)]
    default = table.index[17]
    table.loc[default] = [4.2, 4.8]
    return table, default


def _gain(answer, table, default):
    found = answer(table.copy(), default)
    assert np.ndim(found) == 0 and isinstance(found, (int, float, np.number)), (
        f"return one number, the gain in minutes; you returned a {type(found).__name__}"
    )
    return float(found)


@checks(honest_gain)
def returns_one_number(answer):
    """How many numbers belong on the slide? One, in minutes: a cell of the table less another cell."""
    assert np.isfinite(_gain(answer, *_search()))


@checks(honest_gain)
def a_better_winner_gains(answer):
    """Which of two errors is the better one? A winner that misses by less has gained."""
    table = pd.DataFrame({"valid": [4.8, 4.6, 5.0], "fresh": [4.4, 4.3, 4.7]}, ["default", "b", "c"])
    found = _gain(answer, table, "default")
    assert found > 0, (
        f"the winner misses by 4.3 minutes where the default misses by 4.4; you returned {found:.2f}"
    )


@checks(honest_gain)
def months_are_not_mixed(answer):
    """Could the months themselves differ? A fresh month that is harder for every setting is no loss of the winner."""
    table = pd.DataFrame({"valid": [4.2, 4.0], "fresh": [4.8, 4.6]}, ["default", "b"])
    found = _gain(answer, table, "default")
    assert abs(found - 0.2) < 1e-9, (
        f"in the fresh month 4.8 becomes 4.6, a gain of 0.2; you returned {found:.2f}"
    )


@checks(honest_gain)
def the_label_finds_the_default(answer):
    """Which row is the default's? Its label is given, and the order of the rows says nothing."""
    table = pd.DataFrame({"valid": [4.0, 4.2, 4.1], "fresh": [4.6, 4.8, 4.7]}, ["b", "default", "c"])
    found = _gain(answer, table, "default")
    assert abs(found - 0.2) < 1e-9, (
        f"the default is the second row here, and the winner b gains 0.2 over it; you returned {found:.2f}"
    )


@checks(honest_gain)
def the_fresh_month_does_not_choose(answer):
    """Which month chose? A month that has chosen cannot judge any more."""
    table = pd.DataFrame({"valid": [4.1, 4.0, 4.05], "fresh": [4.8, 4.7, 4.5]}, ["default", "b", "c"])
    found = _gain(answer, table, "default")
    assert abs(found - 0.1) < 1e-9, (
        f"March chooses b, which gains 0.1 in the fresh month; you returned {found:.2f}"
    )


@checks(honest_gain)
def the_fresh_month_measures(answer):
    """What was the winner chosen for? That error is too good on average. Which errors are fair to both?"""
    found = np.mean([_gain(answer, *_search(seed)) for seed in range(200)])
    assert found < 0.1, (
        "the forty settings are equally good, so the winner gains nothing on average; over 200 searches you "
        f"report a gain of {found:.2f} minutes"
    )


@wrong(honest_gain, caught_by=returns_one_number)
def returns_both_months(trials, default):
    return trials.loc[default] - trials.loc[trials["valid"].idxmin()]


@wrong(honest_gain, caught_by=a_better_winner_gains)
def subtracts_the_other_way(trials, default):
    return -honest_gain(trials, default)


@wrong(honest_gain, caught_by=a_better_winner_gains)
def takes_the_highest_error_for_the_best(trials, default):
    return float(trials.loc[default, "fresh"] - trials.loc[trials["valid"].idxmax(), "fresh"])


@wrong(honest_gain, caught_by=months_are_not_mixed)
def compares_across_months(trials, default):
    return float(trials.loc[default, "valid"] - trials.loc[trials["valid"].idxmin(), "fresh"])


@wrong(honest_gain, caught_by=the_label_finds_the_default)
def takes_the_first_row_for_the_default(trials, default):
    return float(trials["fresh"].iloc[0] - trials.loc[trials["valid"].idxmin(), "fresh"])


@wrong(honest_gain, caught_by=the_fresh_month_measures)
def reports_the_validation_gain(trials, default):
    return float(trials.loc[default, "valid"] - trials["valid"].min())


@wrong(honest_gain, caught_by=the_fresh_month_does_not_choose)
def chooses_on_the_fresh_month(trials, default):
    return float(trials.loc[default, "fresh"] - trials["fresh"].min())


@wrong(honest_gain, caught_by=the_fresh_month_does_not_choose)
def chooses_on_both_months(trials, default):
    winner = (trials["valid"] + trials["fresh"]).idxmin()
    return float(trials.loc[default, "fresh"] - trials.loc[winner, "fresh"])


# --- is_better --------------------------------------------------------------------------------------------------------


@right
def is_better(a, b, day, worth, draws=500):
    """Say whether model B is "better" than model A, "worse", "no difference" or "undecided".

    `a` and `b` are the errors (minutes, with sign) of the two models on the same trips, `day` the day of each trip,
    all three arrays of one length. Draw whole days with replacement, `draws` times, the same days for both models,
    and take RMSE(B) − RMSE(A) of each draw; the middle 95 % of them are the interval. "better": all of it lies below
    −worth. "worse": all above worth. "no difference": all between −worth and worth. Else "undecided".
    """
    rng = np.random.default_rng(0)
    trips = pd.DataFrame({"a": np.square(a), "b": np.square(b), "trips": 1.0})
    sums = trips.groupby(np.asarray(day)).sum().to_numpy()
    differences = []
    for _ in range(draws):
        drawn = sums[rng.integers(0, len(sums), len(sums))].sum(axis=0)
        differences.append(np.sqrt(drawn[1] / drawn[2]) - np.sqrt(drawn[0] / drawn[2]))
    low, high = np.quantile(differences, [0.025, 0.975])
    if high < -worth:
        return "better"
    if low > worth:
        return "worse"
    return "no difference" if -worth < low and high < worth else "undecided"


_VERDICTS = ("better", "worse", "no difference", "undecided")


def _month(scale=1.0, shared=0.0, seed=0, days=30, trips=200):
    """Return errors of A and B and the days: B's are `scale` times A's, and on whole days it misses by more or less."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), trips)
    a = rng.normal(0, 4, days * trips) * rng.choice([0.5, 1, 2], days * trips)
    b = scale * a * (1 + shared * rng.normal(size=days))[day]
    return a, b + 0.2 * rng.normal(size=len(a)), day


def _verdict(answer, month, worth):
    a, b, day = month
    found = answer(a.copy(), b.copy(), day.copy(), worth)
    assert isinstance(found, str) and found in _VERDICTS, (
        f"return one of {', '.join(map(repr, _VERDICTS))}; you returned {found!r}"
    )
    return found


@checks(is_better)
def says_one_of_four(answer):
    """What does your function return when neither better nor worse is sure? There are four verdicts."""
    for scale in (0.8, 1.0, 1.2):
        _verdict(answer, _month(scale), 0.1)


@checks(is_better)
def a_smaller_error_is_better(answer):
    """Whose error is subtracted from whose? Below zero, B misses by less."""
    for scale, wanted in ((0.8, "better"), (1.2, "worse")):
        found = _verdict(answer, _month(scale), 0.1)
        assert found == wanted, f"B's errors are {scale} times those of A, on every day; you say {found!r}"


@checks(is_better)
def the_same_trips_pair_them(answer):
    """Would a hard day that is drawn twice hurt both models alike? Only if both get the same draw."""
    found = _verdict(answer, _month(0.95), 0.1)
    assert found == "better", (
        "B's errors are those of A times 0.95 on every trip, and a gain of 0.1 is worth having; "
        f"you say {found!r}: the chance of which days are drawn must hit both models alike"
    )


@checks(is_better)
def a_wide_interval_decides_nothing(answer):
    """Do you know that they are equal, or do you not know that they differ? Compare both ends of the interval with ±worth."""
    rng = np.random.default_rng(4)
    found = _verdict(
        answer, (rng.normal(0, 4, 300), rng.normal(0, 4, 300), np.repeat(np.arange(30), 10)), 0.1
    )
    assert found == "undecided", (
        "two models that err independently, on 300 trips: the interval reaches past a worthwhile gain and a "
        f"worthwhile loss; you say {found!r}"
    )


@checks(is_better)
def days_are_drawn_whole(answer):
    """What is independent here? Trips of one day share its weather: six thousand trips on thirty days are thirty observations."""
    found = _verdict(answer, _month(0.95, shared=0.25, seed=3), 0.05)
    assert found == "undecided", (
        "B is better on some days and worse on others, by much, and there are thirty days; "
        f"you say {found!r}: draw days, not trips"
    )


@checks(is_better)
def a_sure_gain_may_be_too_small(answer):
    """Is a sure gain of three seconds worth a roll-out? With what must the interval be compared?"""
    for scale in (0.99, 1.01):
        found = _verdict(answer, _month(scale), 0.3)
        assert found == "no difference", (
            f"B's errors are {scale} times those of A, sure, and 0.05 minutes where 0.3 are worth it; you say {found!r}"
        )


@checks(is_better)
def more_days_make_it_surer(answer):
    """What does the interval describe: single days, or the difference over all days? The more days, the narrower it is."""
    found = _verdict(answer, _month(0.9, shared=0.25, seed=3, days=300, trips=50), 0.1)
    assert found == "better", (
        "B's RMSE is lower by some 0.4 minutes, its days scatter, and there are three hundred of them; "
        f"you say {found!r}"
    )


@checks(is_better)
def an_rmse_feels_the_large_errors(answer):
    """What does squaring do to a rare large error? The verdict is about the RMSE and not about a typical trip."""
    rng = np.random.default_rng(5)
    a, day = rng.normal(0, 4, 6000), np.repeat(np.arange(60), 100)
    b = np.where(np.arange(6000) % 20 == 0, 4 * a, 0.8 * a)  # one trip in twenty misses by four times as much
    found = _verdict(answer, (a, b, day), 0.1)
    assert found == "worse", (
        "B is better on nineteen trips of twenty and far worse on the last, so its RMSE is larger by a minute; "
        f"you say {found!r}"
    )


@checks(is_better)
def a_busy_day_weighs_more(answer):
    """Over what is the RMSE of a draw taken, over its days or over its trips? A busy day has more errors to count."""
    rng = np.random.default_rng(6)
    busy = np.arange(60) % 2 == 0
    day = np.repeat(np.arange(60), np.where(busy, 300, 15))
    a = rng.normal(0, 4, len(day))
    found = _verdict(answer, (a, np.where(busy[day], 1.2, 0.8) * a, day), 0.1)
    assert found == "worse", (
        "B is worse on thirty days of 300 trips and better on thirty days of 15 trips, so it is worse on twenty trips "
        f"of twenty-one; you say {found!r}"
    )


@checks(is_better)
def the_interval_holds_95_of_100_draws(answer):
    """Which share of the draws lies between your two ends? One standard error to each side holds only two in three."""
    a, b, day = _month(0.9, shared=0.25, seed=3)
    worth = -float(np.quantile(_draws(a, b, day, draws=4_000), 0.925))
    found = _verdict(answer, (a, b, day), worth)
    assert found == "undecided", (
        f"{worth:.2f} minutes are worth it, and in about 7 draws of 100 B gains less than that: the middle 95 % reach "
        f"past it; you say {found!r}"
    )


def _with(a, b, day, worth, low_high):
    low, high = low_high
    if high < -worth:
        return "better"
    if low > worth:
        return "worse"
    return "no difference" if -worth < low and high < worth else "undecided"


def _draws(a, b, groups, paired=True, draws=300):
    rng = np.random.default_rng(0)
    sums = pd.DataFrame({"a": a**2, "b": b**2, "n": 1.0}).groupby(groups).sum().to_numpy()
    found = []
    for _ in range(draws):
        first = rng.integers(0, len(sums), len(sums))
        second = first if paired else rng.integers(0, len(sums), len(sums))
        one, two = sums[first].sum(axis=0), sums[second].sum(axis=0)
        found.append(np.sqrt(two[1] / two[2]) - np.sqrt(one[0] / one[2]))
    return np.array(found)


@wrong(is_better, caught_by=says_one_of_four)
def returns_the_interval(a, b, day, worth):
    return tuple(np.quantile(_draws(a, b, day), [0.025, 0.975]))


@wrong(is_better, caught_by=says_one_of_four)
def forgets_a_branch(a, b, day, worth):
    low, high = np.quantile(_draws(a, b, day), [0.025, 0.975])
    if high < -worth:
        return "better"
    if low > worth:
        return "worse"


@wrong(is_better, caught_by=a_smaller_error_is_better)
def takes_a_minus_b(a, b, day, worth):
    return is_better(b, a, day, worth)


@wrong(is_better, caught_by=the_same_trips_pair_them)
def draws_days_for_each_model(a, b, day, worth):
    return _with(a, b, day, worth, np.quantile(_draws(a, b, day, paired=False), [0.025, 0.975]))


@wrong(is_better, caught_by=days_are_drawn_whole)
def draws_trips(a, b, day, worth):
    return _with(a, b, day, worth, np.quantile(_draws(a, b, np.arange(len(a))), [0.025, 0.975]))


@wrong(is_better, caught_by=a_wide_interval_decides_nothing)
def trusts_the_point_estimate(a, b, day, worth):
    difference = np.sqrt(np.mean(b**2)) - np.sqrt(np.mean(a**2))
    return _with(a, b, day, worth, (difference, difference))


@wrong(is_better, caught_by=a_wide_interval_decides_nothing)
def divides_by_the_root_of_the_draws(a, b, day, worth):
    found = _draws(a, b, day)
    margin = 1.96 * found.std() / len(found) ** 0.5
    return _with(a, b, day, worth, (found.mean() - margin, found.mean() + margin))


@wrong(is_better, caught_by=a_sure_gain_may_be_too_small)
def asks_for_significance_only(a, b, day, worth):
    low, high = np.quantile(_draws(a, b, day), [0.025, 0.975])
    wide = low < -worth or high > worth
    return "better" if high < 0 else "worse" if low > 0 else "undecided" if wide else "no difference"


@wrong(is_better, caught_by=a_wide_interval_decides_nothing)
def calls_the_unproven_equal(a, b, day, worth):
    low, high = np.quantile(_draws(a, b, day), [0.025, 0.975])
    return "better" if high < -worth else "worse" if low > worth else "no difference"


@wrong(is_better, caught_by=more_days_make_it_surer)
def takes_the_spread_of_single_days(a, b, day, worth):
    daily = pd.DataFrame({"a": a**2, "b": b**2}).groupby(day).mean() ** 0.5
    return _with(a, b, day, worth, np.quantile(daily["b"] - daily["a"], [0.025, 0.975]))


@wrong(is_better, caught_by=a_busy_day_weighs_more)
def averages_the_rmse_of_days(a, b, day, worth):
    daily = pd.DataFrame({"a": a**2, "b": b**2}).groupby(day).mean() ** 0.5
    gaps, rng = (daily["b"] - daily["a"]).to_numpy(), np.random.default_rng(0)
    found = [rng.choice(gaps, len(gaps)).mean() for _ in range(300)]
    return _with(a, b, day, worth, np.quantile(found, [0.025, 0.975]))


@wrong(is_better, caught_by=the_interval_holds_95_of_100_draws)
def takes_one_standard_error(a, b, day, worth):
    found = _draws(a, b, day)
    return _with(a, b, day, worth, (found.mean() - found.std(), found.mean() + found.std()))


@wrong(is_better, caught_by=the_interval_holds_95_of_100_draws)
def takes_the_middle_half(a, b, day, worth):
    return _with(a, b, day, worth, np.quantile(_draws(a, b, day), [0.25, 0.75]))


@wrong(is_better, caught_by=an_rmse_feels_the_large_errors)
def compares_mean_absolute_errors(a, b, day, worth):
    return is_better(np.sign(a) * np.abs(a) ** 0.5, np.sign(b) * np.abs(b) ** 0.5, day, worth / 4)


@also_right(honest_gain)
def in_plain_python(trials, default):
    rows = trials.to_dict("index")
    winner = min(rows, key=lambda name: rows[name]["valid"])
    return rows[default]["fresh"] - rows[winner]["fresh"]


@also_right(honest_gain)
def sorts_the_table(trials, default):
    return -np.subtract(trials.sort_values("valid")["fresh"].iloc[0], trials["fresh"][default])


@also_right(is_better)
def weights_the_days(a, b, day, worth, draws=500):
    _, code = np.unique(day, return_inverse=True)
    n = code.max() + 1
    sums = np.stack([np.bincount(code, weights=w) for w in (a**2, b**2, np.ones(len(a)))])
    weights = np.random.default_rng(1).multinomial(n, np.full(n, 1 / n), size=draws)
    square_a, square_b, trips = sums @ weights.T
    return _with(
        a, b, day, worth, np.percentile((square_b / trips) ** 0.5 - (square_a / trips) ** 0.5, [2.5, 97.5])
    )


@also_right(is_better)
def concatenates_drawn_days(a, b, day, worth, draws=200):
    rng, found = np.random.default_rng(2), []
    rows = {one: np.flatnonzero(day == one) for one in set(day.tolist())}
    for _ in range(draws):
        chosen = np.concatenate([rows[one] for one in rng.choice(list(rows), len(rows))])
        found.append(np.sqrt(np.mean(b[chosen] ** 2)) - np.sqrt(np.mean(a[chosen] ** 2)))
    return _with(a, b, day, worth, np.quantile(found, [0.025, 0.975]))

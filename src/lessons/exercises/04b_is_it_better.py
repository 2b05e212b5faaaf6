"""Exercises of lesson 04b: what a search's winner is worth, a verdict with an interval by day, and a Pareto front."""

import numpy as np
import pandas as pd

from course.exercise import checks, right, wrong

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
    """`return …` with one number: the default's error minus the winner's. `.loc[label, "fresh"]` is one cell."""
    assert np.isfinite(_gain(answer, *_search()))


@checks(honest_gain)
def a_better_winner_gains(answer):
    """The gain is the default's error minus the winner's: a lower error is better, so a good winner gains."""
    table = pd.DataFrame({"valid": [4.8, 4.6, 5.0], "fresh": [4.4, 4.3, 4.7]}, ["default", "b", "c"])
    found = _gain(answer, table, "default")
    assert found > 0, (
        f"the winner misses by 4.3 minutes where the default misses by 4.4; you returned {found:.2f}"
    )


@checks(honest_gain)
def months_are_not_mixed(answer):
    """Compare the two in the **same** month. The fresh month is harder for every setting, that is no loss."""
    table = pd.DataFrame({"valid": [4.2, 4.0], "fresh": [4.8, 4.6]}, ["default", "b"])
    found = _gain(answer, table, "default")
    assert abs(found - 0.2) < 1e-9, (
        f"in the fresh month 4.8 becomes 4.6, a gain of 0.2; you returned {found:.2f}"
    )


@checks(honest_gain)
def the_fresh_month_does_not_choose(answer):
    """`idxmin` on `valid`. A month that has chosen is a validation month: it can't judge any more."""
    table = pd.DataFrame({"valid": [4.1, 4.0, 4.05], "fresh": [4.8, 4.7, 4.5]}, ["default", "b", "c"])
    found = _gain(answer, table, "default")
    assert abs(found - 0.1) < 1e-9, (
        f"March chooses b, which gains 0.1 in the fresh month; you returned {found:.2f}"
    )


@checks(honest_gain)
def the_fresh_month_measures(answer):
    """The winner was chosen for its error in `valid`, so that error is too good. Take both errors from `fresh`."""
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
    """Every branch ends in a `return` of one of the four texts."""
    for scale in (0.8, 1.0, 1.2):
        _verdict(answer, _month(scale), 0.1)


@checks(is_better)
def a_smaller_error_is_better(answer):
    """RMSE(B) − RMSE(A): below zero B misses by less."""
    for scale, wanted in ((0.8, "better"), (1.2, "worse")):
        found = _verdict(answer, _month(scale), 0.1)
        assert found == wanted, f"B's errors are {scale} times those of A, on every day; you say {found!r}"


@checks(is_better)
def the_same_trips_pair_them(answer):
    """Draw the days **once** for both models. A hard day is hard for both, and the difference forgets it."""
    found = _verdict(answer, _month(0.95), 0.1)
    assert found == "better", (
        "B's errors are those of A times 0.95 on every trip, and a gain of 0.1 is worth having; "
        f"you say {found!r}: the chance of which days are drawn must hit both models alike"
    )


@checks(is_better)
def a_wide_interval_decides_nothing(answer):
    """ "No difference" is a claim: the whole interval has to lie within ±worth. Else more data are needed."""
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
    """Trips of one day share its weather and traffic: six thousand of them on thirty days are thirty witnesses."""
    found = _verdict(answer, _month(0.95, shared=0.25, seed=3), 0.05)
    assert found == "undecided", (
        "B is better on some days and worse on others, by much, and there are thirty days; "
        f"you say {found!r}: draw days, not trips"
    )


@checks(is_better)
def a_sure_gain_may_be_too_small(answer):
    """Compare the interval with `worth`, not with zero. Sure and too small is "no difference"."""
    for scale in (0.99, 1.01):
        found = _verdict(answer, _month(scale), 0.3)
        assert found == "no difference", (
            f"B's errors are {scale} times those of A, sure, and 0.05 minutes where 0.3 are worth it; you say {found!r}"
        )


def _with(a, b, day, worth, low_high):
    low, high = low_high
    if high < -worth:
        return "better"
    if low > worth:
        return "worse"
    return "no difference" if -worth < low and high < worth else "undecided"


def _draws(a, b, groups, paired=True):
    rng = np.random.default_rng(0)
    sums = pd.DataFrame({"a": a**2, "b": b**2, "n": 1.0}).groupby(groups).sum().to_numpy()
    found = []
    for _ in range(300):
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


# --- pareto_front -----------------------------------------------------------------------------------------------------


@right
def pareto_front(table):
    """Return the rows of `table` that no other row beats, in their order.

    Each column is a cost (error, bytes, seconds): low is good. A row is beaten when another is at least as good in
    every column and better in at least one. Of equal rows none beats the other.
    """
    values = table.to_numpy(float)
    beaten = [((values <= row).all(axis=1) & (values < row).any(axis=1)).any() for row in values]
    return table[~np.array(beaten)]


def _models(seed=0, columns=("rmse", "kB", "ms"), rows=60):
    rng = np.random.default_rng(seed)
    size = rng.uniform(0, 1, rows)
    values = np.column_stack(
        [
            5 - size + 0.3 * rng.random(rows),
            *(np.exp(4 * size) * rng.uniform(1, 2, rows) for _ in columns[1:]),
        ]
    )
    return pd.DataFrame(values.round(2), [f"model {i}" for i in rng.permutation(rows)], list(columns))


def _on_front(answer, table):
    found = answer(table.copy())
    assert isinstance(found, pd.DataFrame), f"return rows of the table; you returned a {type(found).__name__}"
    assert set(found.index) <= set(table.index), "the rows that you return are not rows of the table"
    return list(found.index)


@checks(pareto_front)
def returns_rows_of_the_table(answer):
    """A mask of True and False picks rows: `table[mask]`."""
    assert _on_front(answer, _models()), "you return no row; the one with the lowest error is never beaten"


@checks(pareto_front)
def every_extreme_is_on_it(answer):
    """The lowest error is on the front, and so is the smallest model: nobody beats them in that column."""
    table = pd.DataFrame({"rmse": [4.0, 4.5, 6.0], "kB": [900.0, 90.0, 9.0]}, ["large", "middle", "tiny"])
    found = _on_front(answer, table)
    assert found == ["large", "middle", "tiny"], (
        f"each of the three is best at its size or error; you return {found}"
    )


@checks(pareto_front)
def beaten_ones_are_off(answer):
    """A row leaves when **another** is at least as good everywhere and better somewhere."""
    table = pd.DataFrame({"rmse": [4.0, 4.5, 4.6], "kB": [900.0, 90.0, 95.0]}, ["large", "middle", "fat"])
    found = _on_front(answer, table)
    assert "fat" not in found, "`fat` has more error and more bytes than `middle`, and you keep it"


@checks(pareto_front)
def a_tie_in_one_column_still_beats(answer):
    """At least as good (`<=`) in all columns and better (`<`) in one: with `<` alone a tie saves the worse model."""
    table = pd.DataFrame({"rmse": [4.0, 4.0, 5.0], "kB": [90.0, 95.0, 9.0]}, ["lean", "fat", "tiny"])
    found = _on_front(answer, table)
    assert found == ["lean", "tiny"], f"`fat` has the error of `lean` and more bytes; you return {found}"


@checks(pareto_front)
def equal_rows_stay_both(answer):
    """`<=` alone lets a row beat its twin, and even itself. One strict `<` is needed."""
    table = pd.DataFrame({"rmse": [4.0, 4.0, 5.0], "kB": [90.0, 90.0, 9.0]}, ["one", "twin", "tiny"])
    found = _on_front(answer, table)
    assert found == ["one", "twin", "tiny"], f"`one` and `twin` are equal, none is beaten; you return {found}"


@checks(pareto_front)
def all_columns_count(answer):
    """Don't name the columns: the table may have two costs or four."""
    for columns in (("rmse", "kB"), ("rmse", "kB", "ms"), ("rmse", "kB", "ms", "seconds")):
        for seed in range(5):
            table = _models(seed, columns)
            found, wanted = _on_front(answer, table), list(pareto_front(table).index)
            assert found == wanted, (
                f"of 60 models with {len(columns)} costs {len(wanted)} are on the front, in the table's order; "
                f"you return {len(found)}"
            )


@wrong(pareto_front, caught_by=returns_rows_of_the_table)
def returns_the_mask(table):
    return pd.Series(True, table.index)


@wrong(pareto_front, caught_by=returns_rows_of_the_table)
def lets_a_row_beat_itself(table):
    values = table.to_numpy(float)
    return table[[not (values <= row).all(axis=1).any() for row in values]]


@wrong(pareto_front, caught_by=every_extreme_is_on_it)
def keeps_only_the_best_of_all(table):
    return table[(table == table.min()).all(axis=1) | (table["rmse"] == table["rmse"].min())]


@wrong(pareto_front, caught_by=every_extreme_is_on_it)
def turns_a_cost_round(table):
    return table.loc[pareto_front(table.assign(kB=-table["kB"])).index]


@wrong(pareto_front, caught_by=beaten_ones_are_off)
def beaten_only_if_worst_of_all(table):
    return table[~(table == table.max()).all(axis=1)]


@wrong(pareto_front, caught_by=a_tie_in_one_column_still_beats)
def asks_for_better_everywhere(table):
    values = table.to_numpy(float)
    return table[[not (values < row).all(axis=1).any() for row in values]]


@wrong(pareto_front, caught_by=equal_rows_stay_both)
def drops_twins(table):
    return pareto_front(table.drop_duplicates())


@wrong(pareto_front, caught_by=all_columns_count)
def looks_at_two_columns(table):
    return table.loc[pareto_front(table[["rmse", "kB"]]).index]


@wrong(pareto_front, caught_by=all_columns_count)
def sorts_the_rows(table):
    found = pareto_front(table)
    return found.sort_values("rmse") if len(found) > 3 else found

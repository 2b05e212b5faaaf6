"""Exercises of lesson 11b: two causes of one change, a PSI that does not break, Holm's correction, and what to do."""

from itertools import product

import numpy as np
import pandas as pd

from course.exercise import checks, right, wrong

# --- split_gap --------------------------------------------------------------------------------------------------------


@right
def split_gap(old, new, edges):
    """Return two numbers in minutes: the change of the mean duration by other trips, and by faster or slower streets.

    `old` and `new` have the columns `trip_distance` and `duration`; `pd.cut` with `edges` cuts the distances into
    bins, and each has trips in both. Other trips: the mean duration that the new mix of bins would have with the old
    mean of each bin, minus the old mean. Streets: the new mean minus what the new mix would have.
    """
    old_bins, new_bins = (pd.cut(rows["trip_distance"], edges) for rows in (old, new))
    usual = old.groupby(old_bins, observed=True)["duration"].mean()
    expected = float((usual * new_bins.value_counts(normalize=True)).sum())
    return expected - old["duration"].mean(), new["duration"].mean() - expected


_EDGES = [0, 1, 2, 3, 8, 12, 16]


def _city(far=0.2, pace=4.0, seed=0):
    """Return trips, near ones under 3 miles and a share of `far` ones over 8, at `pace` minutes a mile."""
    rng = np.random.default_rng(seed)
    is_far = rng.random(20_000) < far
    miles = np.where(is_far, rng.uniform(8, 15, 20_000), rng.uniform(0.1, 3, 20_000))
    return pd.DataFrame({"trip_distance": miles, "duration": pace * miles + rng.gamma(2, 2, 20_000)})


def _split(answer, old, new):
    try:
        other_trips, streets = answer(old.copy(), new.copy(), _EDGES)
        return float(other_trips), float(streets)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"return two numbers, other trips first and streets second ({error})") from None


@checks(split_gap)
def returns_two_numbers(answer):
    """`return other_trips, streets` returns two numbers; the mean of a Series is one."""
    parts = _split(answer, _city(), _city(0.3, 3, 1))
    assert np.isfinite(parts).all(), f"both are minutes, you returned {parts}"


@checks(split_gap)
def parts_add_up_to_the_change(answer):
    """Both parts meet in one number, the mean of the new mix at the old minutes: subtract it once, add it once."""
    old, new = _city(), _city(0.3, 3, 1)
    change = new["duration"].mean() - old["duration"].mean()
    total = sum(_split(answer, old, new))
    assert abs(total - change) < 1e-6, (
        f"the mean changed by {change:.2f} minutes, your parts add up to {total:.2f}"
    )


@checks(split_gap)
def longer_trips_are_other_trips(answer):
    """Weight the old mean of each bin by the **new** share of the bin: `value_counts(normalize=True)`."""
    other_trips, streets = _split(answer, _city(), _city(far=0.3, seed=1))
    assert abs(streets) < 0.3 and other_trips > 3, (
        "the streets are as fast as before, there are only more long trips; "
        f"you returned {other_trips:.1f} minutes by other trips and {streets:.1f} by streets"
    )


@checks(split_gap)
def faster_trips_are_streets(answer):
    """When both months have the same distances, the new mix is the old one, and other trips explain nothing."""
    old = _city()
    other_trips, streets = _split(answer, old, old.assign(duration=0.7 * old["duration"]))
    assert abs(other_trips) < 1e-6 and streets < -3, (
        "the same trips became 30 % faster; "
        f"you returned {other_trips:.1f} minutes by other trips and {streets:.1f} by streets"
    )


@checks(split_gap)
def other_trips_are_counted_in_old_minutes(answer):
    """Other trips: what they would have taken in the **old** streets. The new minutes belong to the second part."""
    old, new = _city(), _city(0.4, 2, 1)
    expected, _ = split_gap(old, new, _EDGES)
    other_trips, _ = _split(answer, old, new)
    assert abs(other_trips - expected) < 1e-6, (
        f"in the old streets the new trips would take {expected:.2f} minutes more; you returned {other_trips:.2f}"
    )


@wrong(split_gap, caught_by=returns_two_numbers)
def returns_the_change_only(old, new, edges):
    return new["duration"].mean() - old["duration"].mean()


@wrong(split_gap, caught_by=parts_add_up_to_the_change)
def weighs_both_by_the_old_mix(old, new, edges):
    bins = [pd.cut(rows["trip_distance"], edges) for rows in (old, new)]
    means = [
        rows.groupby(one, observed=True)["duration"].mean()
        for rows, one in zip((old, new), bins, strict=True)
    ]
    share = [one.value_counts(normalize=True) for one in bins]
    return ((share[1] - share[0]) * means[0]).sum(), ((means[1] - means[0]) * share[0]).sum()


@wrong(split_gap, caught_by=longer_trips_are_other_trips)
def swaps_the_parts(old, new, edges):
    other_trips, streets = split_gap(old, new, edges)
    return streets, other_trips


@wrong(split_gap, caught_by=longer_trips_are_other_trips)
def takes_every_bin_alike(old, new, edges):
    usual = old.groupby(pd.cut(old["trip_distance"], edges), observed=True)["duration"].mean().mean()
    return usual - old["duration"].mean(), new["duration"].mean() - usual


@wrong(split_gap, caught_by=faster_trips_are_streets)
def calls_everything_other_trips(old, new, edges):
    return new["duration"].mean() - old["duration"].mean(), 0.0


@wrong(split_gap, caught_by=other_trips_are_counted_in_old_minutes)
def takes_the_new_minutes(old, new, edges):
    other_trips, streets = split_gap(new, old, edges)
    return -other_trips, -streets


# --- psi --------------------------------------------------------------------------------------------------------------


@right
def psi(reference, current, bins=10):
    """Return the population stability index of two Series of numbers.

    Cut at the inner quantiles of the reference (ten bins: 0.1, 0.2, … 0.9), each cut once; a value equal to a cut
    belongs to the bin below. An empty bin counts as half a row. Leave missing values out.
    """
    reference, current = reference.dropna(), current.dropna()
    cuts = np.unique(reference.quantile(np.arange(1, bins) / bins))
    p, q = (
        np.bincount(np.searchsorted(cuts, values), minlength=len(cuts) + 1).clip(0.5) / len(values)
        for values in (reference, current)
    )
    return float(((q - p) * np.log(q / p)).sum())


def _number(answer, reference, current, **options):
    try:
        return float(answer(reference.copy(), current.copy(), **options))
    except TypeError as error:
        raise AssertionError(f"return one number ({error})") from None


def _hundred():
    """Return 1 to 100, and a Series with 19 % of the rows in the first tenth and 1 % in the second."""
    rest = np.arange(21, 101)
    return pd.Series(np.arange(1.0, 101)), pd.Series([*range(1, 11), *range(1, 10), 15, *rest], dtype=float)


_KNOWN = 0.09 * np.log(1.9) + 0.09 * np.log(10)


@checks(psi)
def equals_the_formula(answer):
    """Shares, not counts, and the natural logarithm: `((q - p) * np.log(q / p)).sum()`, bins from the reference."""
    value = _number(answer, *_hundred())
    assert abs(value - _KNOWN) < 1e-6, (
        f"19 % instead of 10 % in one bin and 1 % instead of 10 % in another give {_KNOWN:.4f}, not {value:.4f}"
    )


@checks(psi)
def rows_may_differ_in_number(answer):
    """Each share is a count divided by the rows of its own side."""
    reference, current = _hundred()
    value = _number(answer, reference, pd.concat([current] * 3, ignore_index=True))
    assert abs(value - _KNOWN) < 1e-6, (
        f"three times the same rows is the same drift, {_KNOWN:.4f}, not {value:.4f}"
    )


def _fares(scale=1.0, seed=0):
    return pd.Series(scale * np.random.default_rng(seed).lognormal(2.4, 0.6, 5_000))


@checks(psi)
def one_absurd_fare_hides_nothing(answer):
    """Bins of equal width follow the largest value. Quantiles of the reference do not."""
    reference, current = _fares(), _fares(1.4, 1)
    current.iloc[0] = 1e6
    expected, value = psi(reference, current), _number(answer, reference, current)
    assert abs(value - expected) < 0.01, (
        f"fares rose by 40 %: PSI {expected:.2f}; with one fare of a million you returned {value:.2f}"
    )


@checks(psi)
def empty_bin_costs_half_a_row(answer):
    """`counts.clip(0.5)` before dividing; without it the logarithm is infinite, and skipping hides the largest change."""
    reference, current = _fares(), _fares(seed=1)
    current = current[current > reference.quantile(0.1)]
    expected, value = psi(reference, current), _number(answer, reference, current)
    assert abs(value - expected) < 0.05, (
        f"nothing below the first cut: PSI {expected:.2f}, you returned {value:.2f}"
    )


@checks(psi)
def equal_values_share_a_bin(answer):
    """Three in four trips have one passenger, so several quantiles are 1: `np.unique` keeps each cut once."""
    rng = np.random.default_rng(0)
    reference = pd.Series(rng.choice([1.0, 2, 3, 5], 4_000, p=[0.75, 0.15, 0.05, 0.05]))
    current = pd.Series(rng.choice([1.0, 2, 3, 5], 4_000, p=[0.55, 0.25, 0.1, 0.1]))
    expected, value = psi(reference, current), _number(answer, reference, current)
    assert abs(value - expected) < 0.01, f"for passengers the PSI is {expected:.3f}, you returned {value:.3f}"


@checks(psi)
def missing_values_are_no_rows(answer):
    """`dropna()` both before anything is counted. A change of the missing share is another alarm."""
    reference, current = _fares(), _fares(1.2, 1)
    expected = psi(reference, current[np.arange(5_000) % 4 > 0])
    value = _number(answer, reference, current.where(np.arange(5_000) % 4 > 0))
    assert abs(value - expected) < 1e-6, (
        f"a quarter is missing: PSI {expected:.4f} of the rest, not {value:.4f}"
    )


def _counted(values, cuts):
    return np.bincount(np.searchsorted(cuts, values), minlength=len(cuts) + 1)


@wrong(psi, caught_by=equals_the_formula)
def forgets_one_direction(reference, current, bins=10):
    cuts = np.unique(reference.dropna().quantile(np.arange(1, bins) / bins))
    p, q = (_counted(side.dropna(), cuts).clip(0.5) / side.count() for side in (reference, current))
    return (q * np.log(q / p)).sum()


@wrong(psi, caught_by=equals_the_formula)
def takes_counts_for_shares(reference, current, bins=10):
    cuts = np.unique(reference.dropna().quantile(np.arange(1, bins) / bins))
    p, q = (_counted(side.dropna(), cuts).clip(0.5) for side in (reference, current))
    return ((q - p) * np.log(q / p)).sum()


@wrong(psi, caught_by=equals_the_formula)
def cuts_at_the_quantiles_of_the_current(reference, current, bins=10):
    return psi(current, reference, bins)


@wrong(psi, caught_by=rows_may_differ_in_number)
def divides_both_by_the_reference(reference, current, bins=10):
    cuts = np.unique(reference.dropna().quantile(np.arange(1, bins) / bins))
    p, q = (_counted(side.dropna(), cuts).clip(0.5) / reference.count() for side in (reference, current))
    return ((q - p) * np.log(q / p)).sum()


@wrong(psi, caught_by=one_absurd_fare_hides_nothing)
def takes_bins_of_equal_width(reference, current, bins=10):
    both = pd.concat([reference, current]).dropna()
    cuts = np.linspace(both.min(), both.max(), bins + 1)[1:-1]
    p, q = (_counted(side.dropna(), cuts).clip(0.5) / side.count() for side in (reference, current))
    return ((q - p) * np.log(q / p)).sum()


@wrong(psi, caught_by=empty_bin_costs_half_a_row)
def skips_empty_bins(reference, current, bins=10):
    cuts = np.unique(reference.dropna().quantile(np.arange(1, bins) / bins))
    p, q = (_counted(side.dropna(), cuts) / side.count() for side in (reference, current))
    there = (p > 0) & (q > 0)
    return ((q - p)[there] * np.log(q[there] / p[there])).sum()


@wrong(psi, caught_by=empty_bin_costs_half_a_row)
def fills_with_next_to_nothing(reference, current, bins=10):
    cuts = np.unique(reference.dropna().quantile(np.arange(1, bins) / bins))
    p, q = (_counted(side.dropna(), cuts) / side.count() + 1e-10 for side in (reference, current))
    return ((q - p) * np.log(q / p)).sum()


@wrong(psi, caught_by=equal_values_share_a_bin)
def keeps_every_cut(reference, current, bins=10):
    edges = [-np.inf, *reference.dropna().quantile(np.arange(1, bins) / bins), np.inf]
    sides = [
        pd.cut(side.dropna(), edges).value_counts(sort=False).to_numpy() for side in (reference, current)
    ]
    p, q = (counts.clip(0.5) / counts.sum() for counts in sides)
    return ((q - p) * np.log(q / p)).sum()


@wrong(psi, caught_by=missing_values_are_no_rows)
def puts_missing_ones_into_the_last_bin(reference, current, bins=10):
    cuts = np.unique(reference.quantile(np.arange(1, bins) / bins))
    p, q = (_counted(side, cuts).clip(0.5) / len(side) for side in (reference, current))
    return ((q - p) * np.log(q / p)).sum()


# --- holm -------------------------------------------------------------------------------------------------------------


@right
def holm(p_values):
    """Return the p-values after Holm's correction, a Series with the index of `p_values`.

    The smallest of k is multiplied by k, the next by k - 1, and so on; none may end below the one before it, and none
    above 1. A missing p-value stays missing and does not count as a test.
    """
    ranked = p_values.dropna().sort_values()
    corrected = (ranked * np.arange(len(ranked), 0, -1)).cummax()
    return corrected.clip(upper=1).reindex(p_values.index)


def _agrees(answer, given, expected, words):
    given = pd.Series(given)
    corrected = answer(given.copy())
    assert isinstance(corrected, pd.Series), f"you returned a {type(corrected).__name__}, not a Series"
    assert list(corrected.index) == list(given.index), (
        f"the index was {list(given.index)}, you returned {list(corrected.index)}"
    )
    same = np.allclose(corrected.to_numpy(float), expected, equal_nan=True)
    found = corrected.round(4).tolist()
    assert same, f"{words}: {given.tolist()} becomes {expected}, you returned {found}"


@checks(holm)
def multiplies_by_what_is_left(answer):
    """Of four: times 4, 3, 2, 1. `np.arange(k, 0, -1)` counts down."""
    given = {"hour": 0.01, "fare": 0.02, "zone": 0.04, "distance": 0.3}
    _agrees(answer, given, [0.04, 0.06, 0.08, 0.3], "four tests")


@checks(holm)
def every_column_keeps_its_own(answer):
    """Sort first; at the end `reindex(p_values.index)` puts them back."""
    given = {"distance": 0.3, "hour": 0.01, "zone": 0.04, "fare": 0.02}
    _agrees(answer, given, [0.3, 0.04, 0.08, 0.06], "in any order")


@checks(holm)
def none_is_below_the_one_before(answer):
    """What was clearer before must not be less clear after: `cummax()` on the sorted ones."""
    given = {"hour": 0.01, "fare": 0.011, "zone": 0.012, "distance": 0.5}
    _agrees(answer, given, [0.04, 0.04, 0.04, 0.5], "three that are nearly equal")


@checks(holm)
def none_is_above_one(answer):
    """It is still a probability: `clip(upper=1)`."""
    _agrees(answer, {"hour": 0.5, "fare": 0.6, "zone": 0.9}, [1.0, 1.0, 1.0], "three quiet columns")


@checks(holm)
def missing_ones_are_no_tests(answer):
    """Count after `dropna()`: a column with too few rows was not tested, so it costs the others nothing."""
    given = {"hour": 0.01, "empty": np.nan, "fare": 0.02, "gone": np.nan}
    _agrees(answer, given, [0.02, np.nan, 0.02, np.nan], "two of four were tested")


@wrong(holm, caught_by=multiplies_by_what_is_left)
def takes_bonferroni(p_values):
    return (p_values * p_values.count()).clip(upper=1)


@wrong(holm, caught_by=multiplies_by_what_is_left)
def takes_benjamini_and_hochberg(p_values):
    ranked = p_values.dropna().sort_values(ascending=False)
    k = len(ranked)
    return (ranked * k / np.arange(k, 0, -1)).cummin().reindex(p_values.index)


@wrong(holm, caught_by=multiplies_by_what_is_left)
def multiplies_the_largest_most(p_values):
    ranked = p_values.dropna().sort_values()
    return (ranked * np.arange(1, len(ranked) + 1)).clip(upper=1).reindex(p_values.index)


@wrong(holm, caught_by=every_column_keeps_its_own)
def leaves_them_sorted(p_values):
    ranked = p_values.dropna().sort_values()
    corrected = (ranked * np.arange(len(ranked), 0, -1)).cummax().clip(upper=1)
    return pd.concat([corrected, p_values[p_values.isna()]])


@wrong(holm, caught_by=every_column_keeps_its_own)
def forgets_to_sort(p_values):
    left = np.arange(p_values.count(), 0, -1)
    return (p_values.dropna() * left).cummax().clip(upper=1).reindex(p_values.index)


@wrong(holm, caught_by=none_is_below_the_one_before)
def forgets_the_step(p_values):
    ranked = p_values.dropna().sort_values()
    return (ranked * np.arange(len(ranked), 0, -1)).clip(upper=1).reindex(p_values.index)


@wrong(holm, caught_by=none_is_above_one)
def exceeds_one(p_values):
    ranked = p_values.dropna().sort_values()
    return (ranked * np.arange(len(ranked), 0, -1)).cummax().reindex(p_values.index)


@wrong(holm, caught_by=missing_ones_are_no_tests)
def counts_missing_ones(p_values):
    ranked = p_values.sort_values()  # missing ones last
    return (ranked * np.arange(len(ranked), 0, -1)).cummax().clip(upper=1).reindex(p_values.index)


# --- decide -----------------------------------------------------------------------------------------------------------


@right
def decide(data, prediction, performance):
    """Return "act", "look" or "nothing".

    `data` and `prediction`: do the inputs drift, do the answers drift? `performance`: "good", "bad", or "unknown" while
    the labels are missing. Bad answers call for action, whatever drifts. Without labels, any drift calls for a look.
    Good answers need nothing, unless they moved while no input did.
    """
    if performance == "bad":
        return "act"
    if performance == "unknown":
        return "look" if data or prediction else "nothing"
    return "look" if prediction and not data else "nothing"


def _decides(answer, data, prediction, performance, expected, why):
    found = answer(data, prediction, performance)
    case = f"data drift {data}, prediction drift {prediction}, performance {performance!r}"
    assert found == expected, f"{case}: {expected!r}, because {why}; you returned {found!r}"


@checks(decide)
def says_one_of_three(answer):
    """Every one of the twelve cases needs an answer; a function without `return` gives None."""
    for case in product([True, False], [True, False], ["good", "bad", "unknown"]):
        found = answer(*case)
        assert isinstance(found, str) and found in {"act", "look", "nothing"}, (
            f"{case}: you returned {found!r}"
        )


@checks(decide)
def bad_answers_call_for_action(answer):
    """Performance decides first. Concept shift moves neither inputs nor answers."""
    for data, prediction in product([False, True], repeat=2):
        _decides(answer, data, prediction, "bad", "act", "the answers are wrong")


@checks(decide)
def good_answers_let_the_data_drift(answer):
    """Ask whether the answers are right before you do anything about the inputs."""
    for prediction in (False, True):
        _decides(answer, True, prediction, "good", "nothing", "the model copes")
    _decides(answer, False, False, "good", "nothing", "nothing happened")


@checks(decide)
def drift_without_labels_deserves_a_look(answer):
    """Until the labels come, drift is all that you have: look, but do not act on it."""
    for data, prediction in ((True, True), (True, False), (False, True)):
        _decides(answer, data, prediction, "unknown", "look", "nobody knows yet")


@checks(decide)
def quiet_weeks_are_left_alone(answer):
    """Labels are always late. When that alone sends somebody to look, somebody looks every day."""
    _decides(answer, False, False, "unknown", "nothing", "labels are always late")


@checks(decide)
def answers_that_move_alone_are_odd(answer):
    """The same inputs give the same answers: another model version, or columns that no longer fit each other."""
    _decides(answer, False, True, "good", "look", "the same inputs should give the same answers")


@wrong(decide, caught_by=says_one_of_three)
def says_nothing_when_nothing_is_due(data, prediction, performance):
    if performance == "bad":
        return "act"
    if data or prediction:
        return "look"


@wrong(decide, caught_by=says_one_of_three)
def answers_with_true(data, prediction, performance):
    return performance == "bad"


@wrong(decide, caught_by=bad_answers_call_for_action)
def acts_only_where_something_drifts(data, prediction, performance):
    return "act" if performance == "bad" and (data or prediction) else decide(data, prediction, "good")


@wrong(decide, caught_by=good_answers_let_the_data_drift)
def retrains_on_every_drift(data, prediction, performance):
    return "act" if performance == "bad" or data else decide(data, prediction, performance)


@wrong(decide, caught_by=good_answers_let_the_data_drift)
def looks_at_every_drift(data, prediction, performance):
    if performance == "bad":
        return "act"
    return "look" if data or prediction else "nothing"


@wrong(decide, caught_by=drift_without_labels_deserves_a_look)
def waits_for_the_labels(data, prediction, performance):
    return decide(data, prediction, "good" if performance == "unknown" else performance)


@wrong(decide, caught_by=drift_without_labels_deserves_a_look)
def looks_at_answers_only(data, prediction, performance):
    if performance == "unknown":
        return "look" if prediction else "nothing"
    return decide(data, prediction, performance)


@wrong(decide, caught_by=quiet_weeks_are_left_alone)
def looks_whenever_labels_are_late(data, prediction, performance):
    return "look" if performance == "unknown" else decide(data, prediction, performance)


@wrong(decide, caught_by=answers_that_move_alone_are_odd)
def trusts_good_answers(data, prediction, performance):
    return "nothing" if performance == "good" else decide(data, prediction, performance)

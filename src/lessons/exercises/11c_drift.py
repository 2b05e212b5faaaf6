"""Exercises of lesson 11c: two causes of one change, and a PSI that does not break."""

from bisect import bisect_left
from math import log

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- split_gap --------------------------------------------------------------------------------------------------------


@right
def split_gap(old, new, edges):
    """Return two numbers in minutes: the change of the mean duration by other trips, and by faster or slower streets.

    `old` and `new` have the columns `trip_distance` and `duration`; `pd.cut` with `edges` cuts the distances into
    bins, and each has trips in both. Other trips: the mean duration that the new mix of bins would have with the old
    mean of each bin, minus the old mean. Streets: the new mean minus what the new mix would have. (Other splits are
    possible, such as the symmetric one, which weights with the mean of both mixes. It is not asked for here.)
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
    parts = answer(old.copy(), new.copy(), _EDGES)
    asked = "return two numbers, other trips first and streets second"
    assert isinstance(parts, tuple | list | np.ndarray | pd.Series) and len(parts) == 2, asked
    assert all(np.ndim(part) == 0 and part is not None for part in parts), asked
    return tuple(float(part) for part in parts)


@checks(split_gap)
def returns_two_numbers(answer):
    """What does the caller unpack? Two numbers in minutes, other trips first."""
    parts = _split(answer, _city(), _city(0.3, 3, 1))
    assert np.isfinite(parts).all(), f"both are minutes, you returned {parts}"


@checks(split_gap)
def parts_add_up_to_the_change(answer):
    """Which one number do both parts share? It is subtracted in one part and added in the other, so that it cancels."""
    old, new = _city(), _city(0.3, 3, 1)
    change = new["duration"].mean() - old["duration"].mean()
    total = sum(_split(answer, old, new))
    assert abs(total - change) < 1e-6, (
        f"the mean changed by {change:.2f} minutes, your parts add up to {total:.2f}"
    )


@checks(split_gap)
def longer_trips_are_other_trips(answer):
    """How long would the new trips have taken in the old streets? Think of a mean over bins, and of whose shares weight it."""
    other_trips, streets = _split(answer, _city(), _city(far=0.3, seed=1))
    assert abs(streets) < 0.3 and other_trips > 3, (
        "the streets are as fast as before, there are only more long trips; "
        f"you returned {other_trips:.1f} minutes by other trips and {streets:.1f} by streets"
    )


@checks(split_gap)
def faster_trips_are_streets(answer):
    """What can other trips explain when both months have the same distances?"""
    old = _city()
    other_trips, streets = _split(answer, old, old.assign(duration=0.7 * old["duration"]))
    assert abs(other_trips) < 1e-6 and streets < -3, (
        "the same trips take 30 % less time; "
        f"you returned {other_trips:.1f} minutes by other trips and {streets:.1f} by streets"
    )


@checks(split_gap)
def other_trips_are_counted_in_old_minutes(answer):
    """Whose minutes belong to the first part? The old ones only; the symmetric split uses a mixture of both."""
    old, new = _city(), _city(0.4, 2, 1)
    expected, _ = split_gap(old, new, _EDGES)
    other_trips, _ = _split(answer, old, new)
    reverse = -split_gap(new, old, _EDGES)[0]
    symmetric = abs(other_trips - (expected + reverse) / 2) < 1e-6
    assert not symmetric, (
        f"that is the symmetric split ({other_trips:.2f} minutes by other trips), a good one too. The task asks for "
        f"the old streets' minutes alone: {expected:.2f}"
    )
    assert abs(other_trips - expected) < 1e-6, (
        f"in the old streets the new trips would take {expected:.2f} minutes more; you returned {other_trips:.2f}"
    )


@also_right(split_gap)
def joins_the_means_of_the_bins(old, new, edges):
    usual = (
        old.assign(bin=pd.cut(old["trip_distance"], edges)).groupby("bin", observed=True)["duration"].mean()
    )
    of_new = new.assign(bin=pd.cut(new["trip_distance"], edges)).merge(usual.rename("usual"), on="bin")
    middle = of_new["usual"].mean()
    return [middle - old.duration.mean(), of_new["duration"].mean() - middle]


@also_right(split_gap)
def counts_with_numpy(old, new, edges):
    k = len(edges) - 1
    a, b = (np.searchsorted(edges, rows["trip_distance"]) - 1 for rows in (old, new))
    n_old, n_new = np.bincount(a, minlength=k), np.bincount(b, minlength=k)
    means = np.bincount(a, old["duration"], minlength=k) / np.maximum(n_old, 1)
    middle = (means * n_new).sum() / n_new.sum()
    return np.array([middle - old["duration"].mean(), new["duration"].mean() - middle])


@also_right(split_gap)
def walks_through_the_bins(old, new, edges):
    middle = 0.0
    for low, high in zip(edges, edges[1:], strict=False):
        there = old[(old["trip_distance"] > low) & (old["trip_distance"] <= high)]
        share = ((new["trip_distance"] > low) & (new["trip_distance"] <= high)).mean()
        if len(there):
            middle += share * there["duration"].mean()
    return middle - old["duration"].mean(), new["duration"].mean() - middle


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


@wrong(split_gap, caught_by=other_trips_are_counted_in_old_minutes)
def splits_symmetrically(old, new, edges):
    forth, back = split_gap(old, new, edges), split_gap(new, old, edges)
    return (forth[0] - back[0]) / 2, (forth[1] - back[1]) / 2


# --- psi --------------------------------------------------------------------------------------------------------------


@right
def psi(reference, current, bins=10):
    """Return the population stability index of two Series of numbers.

    Cut at the inner quantiles of the reference (ten bins: 0.1, 0.2, … 0.9), equal cuts counting once; a value equal to a cut
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
    value = answer(reference.copy(), current.copy(), **options)
    assert value is not None and np.ndim(value) == 0, f"return one number, not a {type(value).__name__}"
    return float(value)


def _hundred():
    """Return 1 to 100, and a Series with 19 % of the rows in the first tenth and 1 % in the second."""
    rest = np.arange(21, 101)
    return pd.Series(np.arange(1.0, 101)), pd.Series([*range(1, 11), *range(1, 10), 15, *rest], dtype=float)


_KNOWN = 0.09 * np.log(1.9) + 0.09 * np.log(10)


@checks(psi)
def equals_the_formula(answer):
    """What does each bin add? The difference of its two shares, times the logarithm of their ratio."""
    value = _number(answer, *_hundred())
    assert abs(value - _KNOWN) < 1e-4, (
        f"19 % instead of 10 % in one bin and 1 % instead of 10 % in another give {_KNOWN:.4f}, not {value:.4f}"
    )


@checks(psi)
def rows_may_differ_in_number(answer):
    """What do you divide a count by? Both sides may have different numbers of rows."""
    reference, current = _hundred()
    value = _number(answer, reference, pd.concat([current] * 3, ignore_index=True))
    assert abs(value - _KNOWN) < 1e-4, (
        f"three times the same rows is the same drift, {_KNOWN:.4f}, not {value:.4f}"
    )


def _fares(scale=1.0, seed=0):
    return pd.Series(scale * np.random.default_rng(seed).lognormal(2.4, 0.6, 5_000))


@checks(psi)
def one_absurd_fare_hides_nothing(answer):
    """Where do your cuts go when one value is a million? Look for cuts that one value cannot move."""
    reference, current = _fares(), _fares(1.4, 1)
    current.iloc[0] = 1e6
    expected, value = psi(reference, current), _number(answer, reference, current)
    assert abs(value - expected) < 0.01, (
        f"fares rose by 40 %: PSI {expected:.2f}; with one fare of a million you returned {value:.2f}"
    )


@checks(psi)
def empty_bin_costs_half_a_row(answer):
    """What is the logarithm of an empty bin, and which change would you hide by leaving the bin out?"""
    reference, current = _fares(), _fares(seed=1)
    current = current[current > reference.quantile(0.1)]
    expected, value = psi(reference, current), _number(answer, reference, current)
    assert abs(value - expected) < 0.05, (
        f"nothing below the first cut: PSI {expected:.2f}, you returned {value:.2f}"
    )


@checks(psi)
def equal_values_share_a_bin(answer):
    """What do the deciles look like when three in four values are 1? Each cut counts once."""
    rng = np.random.default_rng(0)
    reference = pd.Series(rng.choice([1.0, 2, 3, 5], 4_000, p=[0.75, 0.15, 0.05, 0.05]))
    current = pd.Series(rng.choice([1.0, 2, 3, 5], 4_000, p=[0.55, 0.25, 0.1, 0.1]))
    expected, value = psi(reference, current), _number(answer, reference, current)
    assert abs(value - expected) < 0.01, (
        "three in four passengers ride alone: 1 is a cut, once, and those who ride alone are the lowest bin; "
        f"the PSI is {expected:.3f}, you returned {value:.3f}"
    )


@checks(psi)
def a_value_on_a_cut_belongs_below(answer):
    """In which bin is a value that equals a cut? With whole hours every cut is such a value."""
    rng = np.random.default_rng(0)
    hours = np.arange(24.0)
    reference, current = (
        pd.Series(rng.choice(hours, 6_000, p=w / w.sum())) for w in (np.ones(24), 1 + (hours % 5 == 2) * 2.0)
    )
    expected, value = psi(reference, current), _number(answer, reference, current)
    assert abs(value - expected) < 1e-6, (
        f"hours, a value on a cut counted below it: PSI {expected:.4f}, you returned {value:.4f}"
    )


@checks(psi)
def missing_values_are_no_rows(answer):
    """How many rows does a side have when a quarter is missing? A change of the missing share is another alarm."""
    reference, current = _fares(), _fares(1.2, 1)
    expected = psi(reference, current[np.arange(5_000) % 4 > 0])
    value = _number(answer, reference, current.where(np.arange(5_000) % 4 > 0))
    assert abs(value - expected) < 1e-6, (
        f"a quarter is missing: PSI {expected:.4f} of the rest, not {value:.4f}"
    )


@checks(psi)
def the_caller_chooses_the_bins(answer):
    """Who says how many bins there are? Ten is only what you take when nobody says."""
    reference, current = _fares(), _fares(1.4, 1)
    for bins in (4, 20):
        expected, value = psi(reference, current, bins), _number(answer, reference, current, bins=bins)
        assert abs(value - expected) < 1e-3, f"bins={bins}: PSI {expected:.3f}, you returned {value:.3f}"


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


@wrong(psi, caught_by=empty_bin_costs_half_a_row)
def adds_a_millionth_to_each_share(reference, current, bins=10):
    cuts = np.unique(reference.dropna().quantile(np.arange(1, bins) / bins))
    p, q = (_counted(side.dropna(), cuts) / side.count() + 1e-6 for side in (reference, current))
    return ((q - p) * np.log(q / p)).sum()


@wrong(psi, caught_by=the_caller_chooses_the_bins)
def always_takes_ten_bins(reference, current, bins=10):
    return psi(reference, current)


@wrong(psi, caught_by=equal_values_share_a_bin)
def loses_the_cut_at_the_lowest_value(reference, current, bins=10):
    cuts = pd.qcut(reference, bins, retbins=True, duplicates="drop")[1][1:-1]
    p, q = (_counted(side.dropna(), cuts).clip(0.5) / side.count() for side in (reference, current))
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


@wrong(psi, caught_by=a_value_on_a_cut_belongs_below)
def counts_a_value_on_a_cut_above(reference, current, bins=10):
    reference, current = reference.dropna(), current.dropna()
    cuts = np.unique(reference.quantile(np.arange(1, bins) / bins))
    edges = [-np.inf, *cuts, np.inf]
    p, q = (np.histogram(side, edges)[0].clip(0.5) / len(side) for side in (reference, current))
    return ((q - p) * np.log(q / p)).sum()


@also_right(psi)
def cuts_with_pandas(reference, current, bins=10):
    cuts = reference.quantile([k / bins for k in range(1, bins)]).drop_duplicates()
    edges = [-np.inf, *cuts, np.inf]
    p, q = (
        pd.cut(side, edges).value_counts(sort=False).clip(lower=0.5) / side.count()
        for side in (reference, current)
    )
    return ((q - p) * np.log(q / p)).sum()


@also_right(psi)
def counts_in_plain_python(reference, current, bins=10):
    known = [[float(value) for value in side if value == value] for side in (reference, current)]
    cuts = sorted(set(np.quantile(known[0], [k / bins for k in range(1, bins)]).tolist()))
    total = 0.0
    places = [[bisect_left(cuts, value) for value in values] for values in known]
    for place in range(len(cuts) + 1):
        p, q = (max(side.count(place), 0.5) / len(side) for side in places)
        total += (q - p) * log(q / p)
    return total


@also_right(psi)
def digitizes(reference, current, bins=10):
    reference, current = reference.dropna(), current.dropna()
    cuts = sorted(set(reference.quantile(np.linspace(0, 1, bins + 1)[1:-1])))
    counts = [
        np.bincount(np.digitize(side, cuts, right=True), minlength=len(cuts) + 1)
        for side in (reference, current)
    ]
    p, q = (np.where(one == 0, 0.5, one) / one.sum() for one in counts)
    return np.sum((q - p) * np.log(q / p))

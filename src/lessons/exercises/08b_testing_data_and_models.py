"""Exercises of lesson 08b: an invariance test of a model, and slices that are surely bad."""

import numpy as np
import pandas as pd
from scipy import stats

from course.exercise import also_right, checks, right, wrong

# --- invariance_fails -------------------------------------------------------------------------------------------------


@right
def invariance_fails(predict, trips, column, tolerance):
    """Return the share of trips, 0 to 1, whose answer depends on `column` by more than `tolerance` minutes.

    `predict` takes a table and returns an array of minutes. Give every trip each value that occurs in the column (a
    missing value is none), and compare the trip's answers: it fails if the largest and the smallest lie more than
    `tolerance` apart. `trips` itself stays as it is.
    """
    values = trips[column].dropna().unique()
    answers = np.array([predict(trips.assign(**{column: value})) for value in values])
    return float((np.ptp(answers, axis=0) > tolerance).mean())


def _trips(passengers):
    n = len(passengers)
    return pd.DataFrame({"miles": np.linspace(1, 5, n), "night": np.arange(n) % 2, "passengers": passengers})


_TEN = [1.0, 2.0, 1.0, 1.0, 3.0, 2.0, 1.0, 1.0, 6.0, 1.0]


def _failed(answer, extra, passengers=None, tolerance=0.5):
    """Return the share for a model that adds `extra(trips)` to three minutes a mile."""
    trips = _trips(_TEN if passengers is None else passengers)
    found = answer(lambda rows: 3 * rows["miles"].to_numpy() + extra(rows), trips, "passengers", tolerance)
    assert isinstance(found, (float, int)) and not isinstance(found, bool), (
        f"return one number, a share of trips; you returned a {type(found).__name__}"
    )
    return float(found)


@checks(invariance_fails)
def a_model_that_ignores_the_column_passes(answer):
    """What do you compare each answer with? Two trips differ in many things; one trip with another value differs in one."""
    found = _failed(answer, lambda rows: np.zeros(len(rows)))
    assert found == 0, f"the model does not use the column at all, and you report a share of {found:.2f}"


@checks(invariance_fails)
def a_rare_value_is_tried_on_every_trip(answer):
    """Which values does each trip get? A value that occurs once in the table can do harm on every trip of tomorrow."""
    found = _failed(answer, lambda rows: 5.0 * (rows["passengers"] == 6).to_numpy())
    assert found == 1, (
        f"with six passengers every trip gets five minutes more, so every trip fails; you return {found:.2f}"
    )


@checks(invariance_fails)
def shorter_counts_like_longer(answer):
    """Is an answer that falls by three minutes better than one that rises by three?"""
    found = _failed(answer, lambda rows: -3.0 * (rows["passengers"] == 3).to_numpy())
    assert found == 1, f"with three passengers the model takes three minutes off; you return {found:.2f}"


@checks(invariance_fails)
def each_trip_is_judged_alone(answer):
    """What happens to a mean when half of the trips rise and half fall? Count the trips."""

    def extra(rows):
        return np.where(rows["night"] == 1, 2.0, 0.0) * (rows["passengers"] > 2).to_numpy()

    found = _failed(answer, extra)
    assert found == 0.5, f"the column moves the five night trips of ten and no other; you return {found:.2f}"
    found = _failed(
        answer, lambda rows: np.where(rows["night"] == 1, 2.0, -2.0) * (rows["passengers"] > 2).to_numpy()
    )
    assert found == 1, (
        f"half of the trips rise by two minutes, half fall by two: all fail; you return {found:.2f}"
    )


@checks(invariance_fails)
def a_small_move_is_tolerated(answer):
    """Does the passenger notice? Where does the tolerance enter?"""
    found = _failed(answer, lambda rows: 0.1 * (rows["passengers"] == 2).to_numpy())
    assert found == 0, f"six seconds, and half a minute is tolerated; you return {found:.2f}"


@checks(invariance_fails)
def the_extremes_are_compared(answer):
    """Which two of a trip's answers lie farthest apart? Its own value need not be one of them."""
    found = _failed(
        answer,
        lambda rows: 0.4 * np.sign(rows["passengers"].to_numpy() - 2),
        passengers=[2.0, 2.0, 1.0, 3.0] * 3,
    )
    assert found == 1, (
        "with one passenger 0.4 minutes less than with two, with three 0.4 more: 0.8 in all on every trip; "
        f"you return {found:.2f}"
    )


@checks(invariance_fails)
def a_missing_value_is_no_value(answer):
    """What does your model get where the column is empty? It is told to leave that out."""
    found = _failed(
        answer, lambda rows: 9.0 * rows["passengers"].isna().to_numpy(), passengers=[1.0, 2.0, np.nan, 1.0]
    )
    assert found == 0, f"only a missing value moves this model; you return {found:.2f}"


@checks(invariance_fails)
def the_table_stays(answer):
    """Whose table do you write into? `assign` returns a new one."""
    trips = _trips(_TEN)
    answer(lambda rows: 3 * rows["miles"].to_numpy(), trips, "passengers", 0.5)
    assert trips.equals(_trips(_TEN)), "the caller's trips are changed after the test"


def _answers(predict, trips, column):
    return np.array([predict(trips.assign(**{column: v})) for v in trips[column].dropna().unique()])


@wrong(invariance_fails, caught_by=a_rare_value_is_tried_on_every_trip)
def shuffles_the_column(predict, trips, column, tolerance):
    shuffled = np.random.default_rng(0).permutation(trips[column])
    return float((np.abs(predict(trips.assign(**{column: shuffled})) - predict(trips)) > tolerance).mean())


@wrong(invariance_fails, caught_by=a_rare_value_is_tried_on_every_trip)
def adds_one(predict, trips, column, tolerance):
    return float(
        (np.abs(predict(trips.assign(**{column: trips[column] + 1})) - predict(trips)) > tolerance).mean()
    )


@wrong(invariance_fails, caught_by=shorter_counts_like_longer)
def forgets_the_sign(predict, trips, column, tolerance):
    answers = _answers(predict, trips, column)
    return float(((answers - answers[0]).max(axis=0) > tolerance).mean())


@wrong(invariance_fails, caught_by=each_trip_is_judged_alone)
def compares_means(predict, trips, column, tolerance):
    return float(np.ptp(_answers(predict, trips, column).mean(axis=1)) > tolerance)


@wrong(invariance_fails, caught_by=each_trip_is_judged_alone)
def says_whether_any_fails(predict, trips, column, tolerance):
    return float((np.ptp(_answers(predict, trips, column), axis=0) > tolerance).any())


@wrong(invariance_fails, caught_by=a_small_move_is_tolerated)
def asks_for_equality(predict, trips, column, tolerance):
    return float((np.ptp(_answers(predict, trips, column), axis=0) > 0).mean())


@wrong(invariance_fails, caught_by=the_extremes_are_compared)
def compares_with_the_answer_as_it_is(predict, trips, column, tolerance):
    moved = np.abs(
        _answers(predict, trips, column) - predict(trips.assign(**{column: trips[column].fillna(1)}))
    )
    return float((moved.max(axis=0) > tolerance).mean())


@wrong(invariance_fails, caught_by=a_missing_value_is_no_value)
def tries_the_missing_value(predict, trips, column, tolerance):
    answers = np.array([predict(trips.assign(**{column: value})) for value in trips[column].unique()])
    return float((np.ptp(answers, axis=0) > tolerance).mean())


@wrong(invariance_fails, caught_by=the_table_stays)
def writes_into_the_table(predict, trips, column, tolerance):
    answers = []
    for value in trips[column].dropna().unique():
        trips[column] = value
        answers.append(predict(trips))
    return float((np.ptp(np.array(answers), axis=0) > tolerance).mean())


@wrong(invariance_fails, caught_by=a_model_that_ignores_the_column_passes)
def compares_different_trips(predict, trips, column, tolerance):
    answers = pd.Series(predict(trips), trips.index)
    return float(((answers - answers.mean()).abs() > tolerance).mean())


@also_right(invariance_fails)
def with_running_extremes(predict, trips, column, tolerance):
    low, high, copy = np.inf, -np.inf, trips.copy()
    for value in sorted(set(trips[column].dropna())):
        copy[column] = value
        answers = np.asarray(predict(copy))
        low, high = np.minimum(low, answers), np.maximum(high, answers)
    return np.mean(high - low > tolerance)


@also_right(invariance_fails)
def with_one_long_table(predict, trips, column, tolerance):
    values = trips[column].value_counts().index
    long = pd.concat([trips.assign(**{column: value}) for value in values])
    answers = pd.DataFrame({"trip": np.tile(np.arange(len(trips)), len(values)), "minutes": predict(long)})
    ends = answers.groupby("trip")["minutes"].agg(["min", "max"])
    return float((ends["max"] - ends["min"]).gt(tolerance).sum() / len(trips))


# --- bad_slices -------------------------------------------------------------------------------------------------------


@right
def bad_slices(errors, groups, limit, level=0.05, fewest=30):
    """Return the list of the slices whose mean absolute error is surely above `limit` minutes, sorted by name.

    `errors` are minutes with sign, `groups` the slice of each trip: two Series with one index. A slice of fewer than
    `fewest` trips is not tested. Each other one has a one-sided t-test (one sample, of its absolute errors against
    `limit`), and Holm's correction holds the chance of any false find at `level`: the smallest of k p-values is
    multiplied by k, the next by k - 1, and so on, and the first that reaches `level` stops the search.
    """
    p = {}
    for name, one in errors.abs().groupby(groups):
        if len(one) >= fewest:
            p[name] = stats.ttest_1samp(one, limit, alternative="greater").pvalue
    bad = []
    for left, name in zip(range(len(p), 0, -1), sorted(p, key=p.get), strict=True):
        if left * p[name] >= level:
            break
        bad.append(name)
    return sorted(bad)


def _slice(p, n=200, sign=1):
    """Return n errors whose absolute values have this one-sided p against a limit of 3 minutes."""
    shape = np.abs(stats.norm.ppf((np.arange(n) + 0.5) / n))
    spread = 1.2 / shape.std(ddof=1)
    found = 3 + 1.2 * stats.t.isf(p, n - 1) / n**0.5 + spread * (shape - shape.mean())
    assert found.min() > 0
    return sign * found


def _found(answer, slices, limit=3.0):
    errors = pd.Series(np.concatenate(list(slices.values())))
    groups = pd.Series(np.repeat(list(slices), [len(one) for one in slices.values()]))
    mixed = np.random.default_rng(0).permutation(len(errors))
    found = answer(errors.iloc[mixed], groups.iloc[mixed], limit)
    assert isinstance(found, (list, tuple)), f"return a list of names; you returned a {type(found).__name__}"
    return list(found)


@checks(bad_slices)
def a_slice_that_is_worse_is_named(answer):
    """Which slice misses by more than the limit? Return the names of such slices."""
    found = _found(answer, {"Queens": _slice(1e-9), "Manhattan": _slice(0.5), "Bronx": _slice(1e-8)})
    assert found == ["Bronx", "Queens"], f"Bronx and Queens are above 3 minutes, surely; you return {found}"


@checks(bad_slices)
def early_and_late_do_not_cancel(answer):
    """What is the mean of errors that are four minutes too early as often as four too late?"""
    half = _slice(1e-9, sign=np.where(np.arange(200) % 2, 1, -1))
    found = _found(answer, {"Queens": half, "Manhattan": _slice(0.5)})
    assert found == ["Queens"], (
        f"Queens misses by more than 3 minutes, early and late in turn; you return {found}"
    )


@checks(bad_slices)
def a_better_slice_is_not_bad(answer):
    """A difference can be sure in two directions. Which one is a fault?"""
    found = _found(answer, {"Queens": _slice(1e-9), "Manhattan": _slice(1 - 1e-12)})
    assert found == ["Queens"], f"Manhattan is surely better than the limit; you return {found}"


@checks(bad_slices)
def a_small_slice_is_left_out(answer):
    """How many trips does a slice need here, and does one that is not tested cost the others anything?"""
    slices = {f"zone {number:02}": _slice(0.001, n=12) for number in range(20)}
    found = _found(answer, {**slices, "Queens": _slice(0.02)})
    assert found == ["Queens"], (
        f"twenty slices have twelve trips each; the only one that is tested has p = 0.02; you return {found}"
    )


@checks(bad_slices)
def many_slices_are_corrected(answer):
    """What do fifty tests at five per cent find where there is nothing? Count them before you name any."""
    slices = {f"zone {number:02}": _slice(p) for number, p in enumerate(np.linspace(0.02, 0.4, 50))}
    found = _found(answer, slices)
    assert found == [], f"the smallest of fifty p-values is 0.02; you name {len(found)} slices"


@checks(bad_slices)
def any_false_find_is_rare(answer):
    """Holm or Benjamini and Hochberg: do you hold the chance of any false find, or a share of the finds?"""
    found = _found(answer, {"a": _slice(0.03), "b": _slice(0.04)})
    assert found == [], (
        f"p-values of 0.03 and 0.04: twice 0.03 is above 0.05, and that stops it; you return {found}"
    )


@checks(bad_slices)
def the_next_pays_less(answer):
    """How many tests are left when the first has been found?"""
    found = _found(answer, {"a": _slice(0.01), "b": _slice(0.04)})
    assert found == ["a", "b"], (
        f"p-values of 0.01 and 0.04: twice 0.01 and once 0.04 are below 0.05; you return {found}"
    )


def _p_values(errors, groups, limit, fewest=30, alternative="greater"):
    kept = {name: one for name, one in errors.groupby(groups) if len(one) >= fewest}
    return {name: stats.ttest_1samp(one, limit, alternative=alternative).pvalue for name, one in kept.items()}


def _holm(p, level=0.05, k=None):
    bad, k = [], len(p) if k is None else k
    for done, name in enumerate(sorted(p, key=p.get)):
        if (k - done) * p[name] >= level:
            break
        bad.append(name)
    return sorted(bad)


@wrong(bad_slices, caught_by=a_slice_that_is_worse_is_named)
def returns_the_p_values(errors, groups, limit, level=0.05, fewest=30):
    return pd.Series(_p_values(errors.abs(), groups, limit))


@wrong(bad_slices, caught_by=a_small_slice_is_left_out)
def compares_the_means_only(errors, groups, limit, level=0.05, fewest=30):
    means = errors.abs().groupby(groups).mean()
    return sorted(means.index[means > limit + 1e-9])


@wrong(bad_slices, caught_by=early_and_late_do_not_cancel)
def averages_with_sign(errors, groups, limit, level=0.05, fewest=30):
    return _holm(_p_values(errors, groups, limit))


@wrong(bad_slices, caught_by=a_better_slice_is_not_bad)
def tests_both_sides(errors, groups, limit, level=0.05, fewest=30):
    return _holm(_p_values(errors.abs(), groups, limit, alternative="two-sided"))


@wrong(bad_slices, caught_by=a_small_slice_is_left_out)
def tests_small_slices(errors, groups, limit, level=0.05, fewest=30):
    return _holm(_p_values(errors.abs(), groups, limit, fewest=2))


@wrong(bad_slices, caught_by=a_small_slice_is_left_out)
def counts_slices_that_are_not_tested(errors, groups, limit, level=0.05, fewest=30):
    return _holm(_p_values(errors.abs(), groups, limit), k=groups.nunique())


@wrong(bad_slices, caught_by=many_slices_are_corrected)
def does_not_correct(errors, groups, limit, level=0.05, fewest=30):
    return sorted(name for name, p in _p_values(errors.abs(), groups, limit).items() if p < level)


@wrong(bad_slices, caught_by=the_next_pays_less)
def takes_bonferroni(errors, groups, limit, level=0.05, fewest=30):
    p = _p_values(errors.abs(), groups, limit)
    return sorted(name for name in p if len(p) * p[name] < level)


@wrong(bad_slices, caught_by=any_false_find_is_rare)
def takes_benjamini_and_hochberg(errors, groups, limit, level=0.05, fewest=30):
    p = pd.Series(_p_values(errors.abs(), groups, limit))
    return sorted(p.index[stats.false_discovery_control(p) < level])


@wrong(bad_slices, caught_by=any_false_find_is_rare)
def forgets_to_stop(errors, groups, limit, level=0.05, fewest=30):
    p = _p_values(errors.abs(), groups, limit)
    ranked = sorted(p, key=p.get)
    return sorted(name for done, name in enumerate(ranked) if (len(p) - done) * p[name] < level)


@also_right(bad_slices)
def with_pandas(errors, groups, limit, level=0.05, fewest=30):
    table = errors.abs().groupby(groups).agg(["size", "mean", "std"]).query("size >= @fewest")
    t = (table["mean"] - limit) / (table["std"] / table["size"] ** 0.5)
    p = pd.Series(stats.t.sf(t, table["size"] - 1), table.index).sort_values()
    corrected = (p * np.arange(len(p), 0, -1)).cummax()
    return sorted(corrected.index[corrected < level])


@also_right(bad_slices)
def one_after_the_other(errors, groups, limit, level=0.05, fewest=30):
    tested = {}
    for name in set(groups):
        one = np.abs(errors[groups == name].to_numpy())
        if len(one) >= fewest:
            both = stats.ttest_1samp(one, limit)
            tested[name] = both.pvalue / 2 if both.statistic > 0 else 1 - both.pvalue / 2
    bad = []
    while tested and min(tested.values()) * len(tested) < level:
        worst = min(tested, key=tested.get)
        bad.append(worst)
        del tested[worst]
    return sorted(bad)

"""Exercises of lesson 08a: tests that are run against mutants, and the comments of a review by worth."""

import weakref

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- tests_of_typical -------------------------------------------------------------------------------------------------


@right
def tests_of_typical(typical):
    """Test the function `typical(train, miles, edges)`: let an `assert` fail when it does not do the following.

    `train` is a table with the columns `trip_distance` and `duration`, `miles` an array of distances, `edges` a list
    of limits in ascending order. It returns an array in the order of `miles`: for each distance the mean duration of
    the training trips in its bin. A bin holds its lower limit and not its upper one; what lies below the first limit
    is a bin, and so is what lies at the last or above. Where the bin has no training trip, or the distance is
    missing, the answer is the mean of all training trips. The call changes no input and remembers nothing.
    """
    rows = [(0.4, 3.0), (1.0, 6.0), (1.5, 7.0), (1.8, 11.5), (2.0, 20.0), (2.0, 21.0), (9.0, 40.0)]
    train = pd.DataFrame(rows, columns=["trip_distance", "duration"])
    before, usual = train.copy(), train["duration"].mean()
    miles = np.array([9.0, 1.0, 0.1, 2.0, 5.0, 1.9, np.nan, 3.0])
    found = typical(train, miles, [0.5, 1, 2, 3, 6])
    second = 24.5 / 3
    assert np.allclose(found, [40.0, second, 3.0, 20.5, usual, second, usual, usual])
    assert train.equals(before)
    other = train.assign(duration=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert np.allclose(typical(other, np.array([1.2, 0.1]), [0.5, 1, 2, 3, 6]), [3.0, 1.0])


def _by_pandas(train, miles, edges):
    means = train["duration"].groupby(np.digitize(train["trip_distance"], edges)).mean()
    asked = pd.Series(np.digitize(miles, edges)).where(~pd.isna(np.asarray(miles)))
    return asked.map(means).fillna(train["duration"].mean()).to_numpy(float)


def _by_numpy(train, miles, edges):
    bins = np.searchsorted(edges, train["trip_distance"].to_numpy(), side="right")
    minutes, miles = train["duration"].to_numpy(), np.asarray(miles, float)
    sums = np.bincount(bins, minutes, minlength=len(edges) + 1)
    counts = np.bincount(bins, minlength=len(edges) + 1)
    usual = minutes.sum() / len(minutes)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), usual)
    return np.where(np.isnan(miles), usual, means[np.searchsorted(edges, miles, side="right")])


def _by_hand(train, miles, edges):
    usual, answers = sum(train["duration"] / len(train)), []
    for asked in miles:
        known = [
            minutes
            for driven, minutes in zip(train["trip_distance"], train["duration"], strict=True)
            if asked == asked and all((driven >= edge) == (asked >= edge) for edge in edges)
        ]
        answers.append(sum(minute / len(known) for minute in known) if known else usual)
    return np.array(answers, float)


_STYLES = {"pandas": _by_pandas, "NumPy": _by_numpy, "a loop": _by_hand}


def _mutants():
    """The ten wrong versions, new each time, by what they do wrong; a number is a place in this order."""
    first_call = []

    def bins(values, edges, **side):
        return np.digitize(values, edges, **side)

    def with_bins(train, miles, edges, **side):
        means = train["duration"].groupby(bins(train["trip_distance"], edges, **side)).mean()
        asked = pd.Series(bins(miles, edges, **side)).where(~pd.isna(miles))
        return means, asked

    def median(train, miles, edges):
        middle = train["duration"].groupby(bins(train["trip_distance"], edges)).median()
        asked = pd.Series(bins(miles, edges)).where(~pd.isna(miles))
        return asked.map(middle).fillna(train["duration"].mean()).to_numpy(float)

    def upper_limit(train, miles, edges):
        means, asked = with_bins(train, miles, edges, right=True)
        return asked.map(means).fillna(train["duration"].mean()).to_numpy(float)

    def zero(train, miles, edges):
        means, asked = with_bins(train, miles, edges)
        answers = asked.map(means).fillna(0).to_numpy(float)
        return np.where(pd.isna(miles), train["duration"].mean(), answers)

    def mean_of_means(train, miles, edges):
        means, asked = with_bins(train, miles, edges)
        answers = asked.map(means).fillna(means.mean()).to_numpy(float)
        return np.where(pd.isna(miles), train["duration"].mean(), answers)

    def last_bin(train, miles, edges):
        means, _ = with_bins(train, miles, edges)
        return means.reindex(bins(miles, edges)).fillna(train["duration"].mean()).to_numpy(float)

    def in_order(train, miles, edges):
        return _by_pandas(train, np.sort(miles), edges)

    def whole(train, miles, edges):
        return np.round(_by_pandas(train, miles, edges))

    def changes(train, miles, edges):
        train["bin"] = bins(train["trip_distance"], edges)
        return _by_pandas(train, miles, edges)

    def remembers(train, miles, edges):
        first_call.append(train.copy())
        return _by_pandas(first_call[0], miles, edges)

    def clips(train, miles, edges):
        def inner(values):
            return np.clip(bins(values, edges), 1, len(edges) - 1)

        means = train["duration"].groupby(inner(train["trip_distance"])).mean()
        asked = pd.Series(inner(miles)).where(~pd.isna(miles))
        return asked.map(means).fillna(train["duration"].mean()).to_numpy(float)

    return {
        "takes the median of a bin": median,
        "counts the upper limit to a bin, not the lower one": upper_limit,
        "answers 0 where the bin has no training trip": zero,
        "answers the mean of the bins' means where the bin has no training trip": mean_of_means,
        "answers the mean of the last bin where the distance is missing": last_bin,
        "answers in ascending order of the distances": in_order,
        "rounds to whole minutes": whole,
        "adds a column to the training table": changes,
        "keeps the training table of its first call": remembers,
        "has no bins below the first limit and from the last on": clips,
    }


_ALIVE = weakref.WeakKeyDictionary()  # by the tests that are judged


def _fails(tests, function):
    """Return what the tests raise on this version, or None."""
    function.__name__ = function.__qualname__ = "typical"
    try:
        tests(function)
    except Exception as error:
        return error
    return None


def _asked(answer, *numbers):
    """Refuse tests that one of these mutants survives; the message counts all ten."""
    versions = list(_mutants().items())
    if answer not in _ALIVE:  # each check asks for some of the ten: they are run once
        _ALIVE[answer] = [
            number for number, (_, version) in enumerate(versions, 1) if _fails(answer, version) is None
        ]
    alive = _ALIVE[answer]
    listed = ", ".join(map(str, alive))
    message = f"your tests catch {10 - len(alive)} of 10 mutants; still alive: {listed}"
    if len(alive) <= 2:
        message += "".join(f"\nnumber {number} {versions[number - 1][0]}" for number in alive)
    assert not set(alive) & set(numbers), message


@checks(tests_of_typical)
def the_right_versions_pass(answer):
    """What may differ between two right versions? The last digits of a float: compare with np.allclose, not with ==."""
    for style, version in _STYLES.items():
        error = _fails(answer, version)
        assert error is None, (
            f"a right version (written with {style}) fails your tests: {type(error).__name__} {error}".rstrip()
        )


@checks(tests_of_typical)
def a_wrong_number_is_seen(answer):
    """Which numbers do you expect, for a bin with three unlike trips and for distances in no order? Compare all of them."""
    _asked(answer, 1, 6, 7)


@checks(tests_of_typical)
def the_limits_are_asked_for(answer):
    """To which bin does a trip belong that lies on a limit, and one that lies beyond the first or the last?"""
    _asked(answer, 2, 10)


@checks(tests_of_typical)
def what_is_missing_is_asked_for(answer):
    """What is answered where no trip was, and where the distance is NaN? Choose trips of which each kind of mean differs."""
    _asked(answer, 3, 4, 5)


@checks(tests_of_typical)
def what_a_call_leaves_is_asked_for(answer):
    """What is different after a call? Look at the table that you gave, and call again with another one."""
    _asked(answer, 8, 9)


_TRAIN = pd.DataFrame(
    [(0.4, 3.0), (1.0, 6.0), (1.5, 7.0), (1.8, 11.5), (2.0, 20.0), (2.0, 21.0), (9.0, 40.0)],
    columns=["trip_distance", "duration"],
)
_EDGES = [0.5, 1, 2, 3, 6]


@wrong(tests_of_typical, caught_by=the_right_versions_pass)
def asks_for_equal_floats(typical):
    train = pd.DataFrame({"trip_distance": [1.2, 1.4, 1.6], "duration": [0.1, 0.2, 0.3]})
    assert list(typical(train, np.array([1.5]), _EDGES)) == [0.20000000000000004]


@wrong(tests_of_typical, caught_by=the_right_versions_pass)
def refuses_everything(typical):
    raise AssertionError("wrong")


@wrong(tests_of_typical, caught_by=the_right_versions_pass)
def counts_the_upper_limit_itself(typical):
    assert np.allclose(typical(_TRAIN.copy(), np.array([2.0]), _EDGES), [64.5 / 4])


@wrong(tests_of_typical, caught_by=a_wrong_number_is_seen)
def only_runs_it(typical):
    typical(_TRAIN.copy(), np.array([1.2, 2.5]), _EDGES)


@wrong(tests_of_typical, caught_by=a_wrong_number_is_seen)
def asks_for_the_shape(typical):
    found = typical(_TRAIN.copy(), np.array([1.2, 2.5, np.nan]), _EDGES)
    assert found.shape == (3,) and (found > 0).all()


@wrong(tests_of_typical, caught_by=a_wrong_number_is_seen)
def has_one_trip_a_bin(typical):
    train = pd.DataFrame({"trip_distance": [0.7, 1.5], "duration": [5.0, 9.0]})
    assert np.allclose(typical(train, np.array([0.8, 1.2]), _EDGES), [5.0, 9.0])


@wrong(tests_of_typical, caught_by=the_limits_are_asked_for)
def stays_inside_of_the_bins(typical):
    train = _TRAIN[_TRAIN["trip_distance"].between(1.1, 1.9)].assign(duration=[7.0, 11.5])
    train = pd.concat([train, pd.DataFrame({"trip_distance": [2.5, 1.6], "duration": [20.0, 1.0]})])
    assert np.allclose(typical(train, np.array([2.4, 1.2]), _EDGES), [20.0, 6.5])


@wrong(tests_of_typical, caught_by=what_is_missing_is_asked_for)
def forgets_what_is_missing(typical):
    train = pd.concat([_TRAIN, pd.DataFrame({"trip_distance": [0.7], "duration": [5.0]})])
    found = typical(train, np.array([9.0, 1.0, 0.1, 2.0]), _EDGES)
    assert np.allclose(found, [40.0, 24.5 / 3, 3.0, 20.5])


@wrong(tests_of_typical, caught_by=what_is_missing_is_asked_for)
def asks_for_no_missing_distance(typical):
    train, usual = _TRAIN.copy(), _TRAIN["duration"].mean()
    found = typical(train, np.array([9.0, 1.0, 0.1, 5.0]), _EDGES)
    assert np.allclose(found, [40.0, 24.5 / 3, 3.0, usual])
    assert train.equals(_TRAIN)
    assert np.allclose(typical(_TRAIN.iloc[:1], np.array([1.2]), _EDGES), [3.0])


@wrong(tests_of_typical, caught_by=what_a_call_leaves_is_asked_for)
def looks_at_the_answers_alone(typical):
    usual = _TRAIN["duration"].mean()
    found = typical(_TRAIN.copy(), np.array([9.0, 1.0, 0.1, 5.0, np.nan]), _EDGES)
    assert np.allclose(found, [40.0, 24.5 / 3, 3.0, usual, usual])


@wrong(tests_of_typical, caught_by=what_a_call_leaves_is_asked_for)
def compares_the_table_with_itself(typical):
    train = _TRAIN.copy()
    before, usual = train, _TRAIN["duration"].mean()
    found = typical(train, np.array([9.0, 1.0, 0.1, 5.0, np.nan]), _EDGES)
    assert np.allclose(found, [40.0, 24.5 / 3, 3.0, usual, usual]) and train.equals(before)
    assert np.allclose(typical(train.iloc[:1], np.array([1.2]), _EDGES), [3.0])


@also_right(tests_of_typical)
def against_a_slow_and_plain_version(typical):
    rng = np.random.default_rng(0)
    for _ in range(20):
        train = pd.DataFrame(
            {"trip_distance": rng.integers(0, 16, 8) / 2, "duration": rng.integers(1, 60, 8) / 1.5}
        )
        before, miles = train.copy(), rng.permutation([0.1, 1.0, 2.0, 2.5, 5.0, 6.0, 9.0, np.nan])
        found = typical(train, miles, _EDGES)
        assert train.equals(before)
        for one, answer in zip(miles, found, strict=True):
            place = sum(one >= edge for edge in _EDGES)
            bins = train["trip_distance"].apply(lambda mile: sum(mile >= edge for edge in _EDGES))
            rows = train["duration"][bins == place]
            expected = train["duration"].mean() if np.isnan(one) or rows.empty else rows.mean()
            assert abs(answer - expected) < 1e-9


@also_right(tests_of_typical)
def one_case_after_the_other(typical):
    usual = sum([3.0, 6.0, 7.0, 11.5, 20.0, 21.0, 40.0]) / 7
    cases = {0.1: 3.0, 1.0: 8.1667, 1.99: 8.1667, 2.0: 20.5, 4.0: usual, 7.0: 40.0, float("nan"): usual}
    for mile, expected in cases.items():
        (found,) = typical(_TRAIN.copy(), np.array([mile]), _EDGES)
        assert abs(found - expected) < 0.001, f"{mile} miles: {found}, not {expected}"
    pair = typical(_TRAIN.copy(), np.array([7.0, 0.1]), _EDGES)
    assert pair[0] > pair[1]
    given = _TRAIN.copy()
    typical(given, np.array([1.0]), _EDGES)
    assert list(given.columns) == ["trip_distance", "duration"] and given.equals(_TRAIN)
    late = typical(_TRAIN.tail(1), np.array([1.0]), _EDGES)
    assert late[0] == 40.0


@also_right(tests_of_typical)
def by_hypothesis(typical):
    from hypothesis import Phase, given, settings
    from hypothesis import strategies as st

    trips = st.lists(st.tuples(st.sampled_from([0.2, 1, 1.5, 2, 4, 8]), st.integers(1, 50)), min_size=1)
    asked = st.lists(st.sampled_from([0.2, 1, 1.5, 2, 4, 8, float("nan")]), max_size=4)

    @settings(database=None, derandomize=True, deadline=None, max_examples=60, phases=[Phase.generate])
    @given(trips, asked)
    def each_distance_gets_its_mean(trips, asked):
        train = pd.DataFrame(trips, columns=["trip_distance", "duration"])
        before = train.copy()
        found = typical(train, np.array(asked, float), _EDGES)
        assert len(found) == len(asked) and train.equals(before)
        assert np.allclose(found, _by_hand(before, asked, _EDGES))

    each_distance_gets_its_mean()


# --- review -----------------------------------------------------------------------------------------------------------


@right(value=True)
def review():
    """Label each comment on the pull request: bind a dict from "A" … "G" to "blocker", "should" or "nit" to `review`.

    blocker: merged as it is, somebody gets wrong numbers or comes to harm. should: it does its work today, and costs
    whoever reads it, changes it or runs it on more. nit: taste, or what a tool repairs.

    A  ROUTE has single quotes; we write double ones.
    B  The address of the dashboard holds a password.
    C  Name and docstring of median_speed say median; the code takes the mean.
    D  median_speed compares each trip with all trips.
    E  with_speed turns any exception into 12 mph for every trip, without a word.
    F  No test has a standing route. I ran one: minutes returns a method in place of numbers.
    G  report learns the speeds from the trips that it is judged by.
    """
    return {
        "A": "nit",
        "B": "blocker",
        "C": "should",
        "D": "should",
        "E": "blocker",
        "F": "blocker",
        "G": "blocker",
    }


_LABELS = ["nit", "should", "blocker"]
_EXPECTED = {
    "A": "nit",
    "B": "blocker",
    "C": "should",
    "D": "should",
    "E": "blocker",
    "F": "blocker",
    "G": "blocker",
}
_DEFENSIBLE = {"F": {"should"}}  # nobody meets the branch until a route stands
_WHY = {
    "A": "the formatter does it, so no human should have to write or read this comment",
    "B": "a secret is in the history from the first push on; no later commit takes it out, so it must be changed as well",
    "C": "the numbers are what they are; the next reader will believe the name, so it is worth a change, not a stop",
    "D": "the answer is right; on a month of the city it does not end in a day, and groupby is one line",
    "E": "after the leak is repaired the first unknown route gives every trip 12 mph, and the report stays green",
    "F": "a standing route gets a method, not minutes; with no such route in the data yet, `should` is defensible",
    "G": "the error that the request promises is not the error that anybody will see",
}


def _points(labels, letter):
    """2 for the course's label or a defensible one, 1 for its neighbour, 0 for the other end."""
    if labels[letter] in _DEFENSIBLE.get(letter, ()):
        return 2
    return 2 - abs(_LABELS.index(labels[letter]) - _LABELS.index(_EXPECTED[letter]))


def _agree(labels, letters):
    """Refuse a label that is off for one of these comments; the message gives the points of all and the reasons."""
    off = [letter for letter in letters if _points(labels, letter) < 2]
    total = sum(_points(labels, letter) for letter in _EXPECTED)
    reasons = [
        f"{letter} is no {labels[letter]} ({_points(labels, letter)} of 2): {_WHY[letter]}" for letter in off
    ]
    assert not off, "\n".join([f"{total} of 14 points (1 for the neighbouring label)", *reasons])


@checks(review)
def each_comment_has_a_label(answer):
    """Which three words are there? Seven letters, each with one of them."""
    assert isinstance(answer, dict) and set(answer) == set(_EXPECTED), 'give a dict with the keys "A" to "G"'
    for letter, label in answer.items():
        assert label in _LABELS, f"{letter}: {label!r} is none of {', '.join(_LABELS)}"


@checks(review)
def harm_blocks(answer):
    """Suppose that it is merged tonight: who gets a wrong number tomorrow, and what can't be taken back?"""
    _agree(answer, "BEG")


@checks(review)
def an_untested_branch_that_is_wrong_is_no_taste(answer):
    """What happens on the day when a route stands? You ran it."""
    _agree(answer, "F")


@checks(review)
def what_costs_later_is_asked_for(answer):
    """Is today's number wrong because of it? Who pays, when the code is read again or the data grow?"""
    _agree(answer, "CD")


@checks(review)
def taste_stops_nobody(answer):
    """Could a tool have said it? Then it should not cost a colleague an evening."""
    _agree(answer, "A")


def _but(**labels):
    return {**_EXPECTED, **labels}


@wrong(review, caught_by=each_comment_has_a_label)
def forgets_a_comment():
    return {letter: label for letter, label in _EXPECTED.items() if letter != "D"}


@wrong(review, caught_by=each_comment_has_a_label)
def has_words_of_its_own():
    return _but(C="must")


@wrong(review, caught_by=harm_blocks)
def lets_a_secret_pass_with_a_wish():
    return _but(B="should")


@wrong(review, caught_by=harm_blocks)
def calls_the_except_robust():
    return _but(E="nit")


@wrong(review, caught_by=harm_blocks)
def trusts_the_better_error():
    return _but(G="should")


@wrong(review, caught_by=harm_blocks)
def writes_nits_only():
    return dict.fromkeys("ABCDEFG", "nit")


@wrong(review, caught_by=an_untested_branch_that_is_wrong_is_no_taste)
def takes_a_test_for_decoration():
    return _but(F="nit")


@wrong(review, caught_by=what_costs_later_is_asked_for)
def blocks_with_everything():
    return dict.fromkeys("ABCDEFG", "blocker")


@wrong(review, caught_by=what_costs_later_is_asked_for)
def takes_a_name_for_taste():
    return _but(C="nit")


@wrong(review, caught_by=taste_stops_nobody)
def argues_about_quotes():
    return _but(A="should")


@also_right(review)
def waits_for_a_standing_route():
    return _but(F="should")


@also_right(review)
def by_what_must_be_done():
    blocked, asked = "BEFG", "CD"
    return {
        letter: "blocker" if letter in blocked else "should" if letter in asked else "nit"
        for letter in "GFEDCBA"
    }

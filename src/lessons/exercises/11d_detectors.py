"""Exercises of lesson 11d: Holm's correction, and what to do about six drift reports."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong
from projects.trip_watch import six_reports


def context() -> dict:
    """What the notebook has when the value exercise is met."""
    return {"reports": six_reports(), "pd": pd}


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
    """How many tests are left when the smallest has been dealt with? Each p-value pays for those still in the race."""
    given = {"hour": 0.01, "fare": 0.02, "zone": 0.04, "distance": 0.3}
    _agrees(answer, given, [0.04, 0.06, 0.08, 0.3], "four tests")


@checks(holm)
def every_column_keeps_its_own(answer):
    """Does each column find its own p-value again? The order of the work is not the order of the result."""
    given = {"distance": 0.3, "hour": 0.01, "zone": 0.04, "fare": 0.02}
    _agrees(answer, given, [0.3, 0.04, 0.08, 0.06], "in any order")


@checks(holm)
def none_is_below_the_one_before(answer):
    """Can a column that was clearer before be less clear after? No value may fall below the one before it."""
    given = {"hour": 0.01, "fare": 0.011, "zone": 0.012, "distance": 0.5}
    _agrees(answer, given, [0.04, 0.04, 0.04, 0.5], "three that are nearly equal")


@checks(holm)
def none_is_above_one(answer):
    """Is what you return still a probability?"""
    _agrees(answer, {"hour": 0.5, "fare": 0.6, "zone": 0.9}, [1.0, 1.0, 1.0], "three quiet columns")


@checks(holm)
def missing_ones_are_no_tests(answer):
    """How many tests were there? A column without a p-value was not tested, so it costs the others nothing."""
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


@also_right(holm)
def with_a_loop(p_values):
    left, running, corrected = p_values.count(), 0.0, {}
    for name, p in sorted(p_values.dropna().items(), key=lambda item: item[1]):
        running = max(running, min(1.0, left * p))
        corrected[name] = running
        left -= 1
    return pd.Series([corrected.get(name, np.nan) for name in p_values.index], p_values.index)


@also_right(holm)
def with_numpy(p_values):
    p = p_values.to_numpy(float)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    found = np.full(len(p), np.nan)
    found[order] = np.minimum(np.maximum.accumulate(p[order] * (len(order) - np.arange(len(order)))), 1)
    return pd.Series(found, index=p_values.index)


@also_right(holm)
def with_ranks(p_values):
    ranked = p_values[p_values.notna()].sort_values()
    times = len(ranked) + 1 - ranked.rank(method="first")
    return np.minimum((times * ranked).cummax(), 1).reindex(p_values.index)


# --- triage -----------------------------------------------------------------------------------------------------------


@right(value=True)
def triage(reports):
    """Read the six reports above and bind to `triage` a dict with an entry for each of "A" to "F": a pair of the
    columns that drift, as a list (sure and large enough), and what you do. What you do is one of "nothing", "ticket"
    (to the owner of a column; the model is left alone), "look" (today) and "act". RMSE is NaN while the labels are
    missing; its limit is 5.5 minutes. Looking up, or computing it from `reports`, is both fine.
    """
    answers = {}
    for name, rows in reports.groupby("report"):
        drift = rows[(rows["p_corrected"] < 0.05) & (rows["effect"] >= rows["threshold"])]
        error = rows["RMSE"].iloc[0]
        if error > 5.5:
            action = "act"
        elif drift.empty:
            action = "nothing"
        elif not drift["in the model"].any():
            action = "ticket"
        else:
            action = "look" if pd.isna(error) else "nothing"
        answers[name] = (list(drift["column"]), action)
    return answers


_WORDS = ("nothing", "ticket", "look", "act")


def _moved(answer, name):
    return sorted(answer[name][0])


def _does(answer, name, expected, why):
    found = answer[name][1]
    assert found == expected, f"report {name}: you say {found!r}; {why}"


@checks(triage)
def has_a_pair_for_each_report(answer):
    """What does each of the six letters need? A list of columns, and one of the four words."""
    assert isinstance(answer, dict) and set(answer) == set("ABCDEF"), "give a dict with the keys A to F"
    for name, pair in answer.items():
        fits = isinstance(pair, tuple | list) and len(pair) == 2 and not isinstance(pair[0], str)
        assert fits, f"report {name}: give a pair, a list of columns and a word; you gave {pair!r}"
        assert isinstance(pair[1], str) and pair[1] in _WORDS, (
            f"report {name}: {pair[1]!r} is none of {_WORDS}"
        )


@checks(triage)
def small_effects_are_no_drift(answer):
    """How large is the difference that is so sure? With ten thousand rows a tiny one is."""
    for name, column in (("A", "hour"), ("B", "pickup_location_id"), ("D", "yhat"), ("E", "yhat")):
        assert column not in answer[name][0], f"report {name}: {column} is sure, and below its threshold"


@checks(triage)
def large_effects_may_be_chance(answer):
    """How many rows does each report have? A large effect of few rows may be chance."""
    assert not _moved(answer, "C"), "report C: 60 rows, and no p-value below 0.05: the effects may be chance"


@checks(triage)
def both_together_are_drift(answer):
    """Which columns are sure and at least as large as their threshold?"""
    reports = six_reports()
    drift = reports[(reports["p_corrected"] < 0.05) & (reports["effect"] >= reports["threshold"])]
    for name in "ABCDEF":
        expected = sorted(drift.loc[drift["report"] == name, "column"])
        assert _moved(answer, name) == expected, (
            f"report {name}: {expected} drift, you say {_moved(answer, name)}"
        )


@checks(triage)
def the_error_decides_first(answer):
    """What does the error say, before you look at any column?"""
    _does(
        answer,
        "D",
        "act",
        "6.22 minutes are over the limit, whatever the columns say: look for a broken join",
    )
    _does(answer, "F", "nothing", "other trips, and the error is within its limit")
    _does(answer, "A", "nothing", "nothing drifts, and the error is within its limit")


@checks(triage)
def unused_columns_go_to_their_owner(answer):
    """Can a column hurt a model that does not use it? Who should hear of it all the same?"""
    _does(answer, "B", "ticket", "the model does not use passenger_count, but its owner should know")


@checks(triage)
def missing_labels_are_no_verdict(answer):
    """What do you know while the labels are missing, and is a quiet report a reason to do something?"""
    _does(
        answer, "E", "look", "two inputs drift and nobody knows the error yet: look today, and ask for labels"
    )
    _does(
        answer, "C", "nothing", "nothing is shown by 60 rows, and labels are always late: collect more rows"
    )


def _changed(**entries):
    return triage(six_reports()) | entries


@wrong(triage, caught_by=has_a_pair_for_each_report)
def forgets_the_columns(reports):
    return {name: pair[1] for name, pair in triage(reports).items()}


@wrong(triage, caught_by=has_a_pair_for_each_report)
def retrains(reports):
    return _changed(F=(["trip_distance"], "retrain"))


@wrong(triage, caught_by=small_effects_are_no_drift)
def goes_by_p_alone(reports):
    sure = reports[reports["p_corrected"] < 0.05]
    moved = {name: sure.loc[sure["report"] == name, "column"].tolist() for name in "ABCDEF"}
    return {name: (moved[name], pair[1]) for name, pair in triage(reports).items()}


@wrong(triage, caught_by=large_effects_may_be_chance)
def goes_by_size_alone(reports):
    large = reports[reports["effect"] >= reports["threshold"]]
    moved = {name: large.loc[large["report"] == name, "column"].tolist() for name in "ABCDEF"}
    return {name: (moved[name], pair[1]) for name, pair in triage(reports).items()}


@wrong(triage, caught_by=both_together_are_drift)
def overlooks_the_zones(reports):
    return _changed(F=(["trip_distance", "yhat"], "nothing"))


@wrong(triage, caught_by=the_error_decides_first)
def trusts_the_columns(reports):
    return _changed(D=([], "nothing"))


@wrong(triage, caught_by=the_error_decides_first)
def acts_on_every_drift(reports):
    return {name: (moved, "act" if moved else word) for name, (moved, word) in triage(reports).items()}


@wrong(triage, caught_by=unused_columns_go_to_their_owner)
def keeps_it_to_itself(reports):
    return _changed(B=(["passenger_count"], "nothing"))


@wrong(triage, caught_by=missing_labels_are_no_verdict)
def waits_for_the_labels(reports):
    return _changed(E=(["pickup_location_id", "hour"], "nothing"))


@wrong(triage, caught_by=missing_labels_are_no_verdict)
def looks_whenever_labels_are_late(reports):
    return _changed(C=([], "look"))


@also_right(triage)
def reads_by_eye(reports):
    return {
        "A": ([], "nothing"),
        "B": (["passenger_count"], "ticket"),
        "C": ([], "nothing"),
        "D": ([], "act"),
        "E": (["hour", "pickup_location_id"], "look"),
        "F": (["trip_distance", "pickup_location_id", "yhat"], "nothing"),
    }


@also_right(triage)
def computes_the_columns_and_writes_the_words(reports):
    sure = reports.query("p_corrected < 0.05 and effect >= threshold")
    words = dict(zip("ABCDEF", ["nothing", "ticket", "nothing", "act", "look", "nothing"], strict=True))
    return {name: [sure["column"][sure["report"] == name], word] for name, word in words.items()}

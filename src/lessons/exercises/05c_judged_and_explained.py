"""Exercises of lesson 05c: a metric of one's own, and the reasons behind a prediction."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- close_enough ----------------------------------------------------------------------------------------------------


@right
def close_enough(eval_df, builtin_metrics):
    """Return the share of trips, 0 to 1, whose prediction a passenger would call right: a metric for `make_metric`.

    Right means: off by at most 5 minutes, or by at most a fifth of what the trip really took. `eval_df` has
    the columns `prediction` and `target`, in minutes. `builtin_metrics` is not needed.
    """
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    right = (off <= 5) | (off <= eval_df["target"] / 5)
    return float(right.mean())


def _share(answer, *pairs):
    """Return the metric of these pairs of prediction and target; that it is a number is asserted."""
    share = answer(pd.DataFrame(pairs, columns=["prediction", "target"], dtype=float), {})
    assert isinstance(share, (float, int)) and not isinstance(share, bool), (
        f"you returned a {type(share).__name__}; `make_metric` wants one number, for instance float(…)"
    )
    return float(share)


@checks(close_enough)
def returns_a_share(answer):
    """What is the mean of a column of True and False? `make_metric` wants one plain number."""
    share = _share(answer, (10, 10), (10, 10), (10, 10), (30, 10))
    assert share == 0.75, f"three of four trips are predicted exactly, the fourth is 20 minutes off: {share}"


@checks(close_enough)
def early_counts_like_late(answer):
    """Is a trip that was promised too short as wrong as one promised too long?"""
    for wrong_by in (-20, 20):
        share = _share(answer, (30 + wrong_by, 30))
        assert share == 0, f"30 minutes predicted as {30 + wrong_by} count as right"


@checks(close_enough)
def five_minutes_are_enough(answer):
    """Which of the two rules decides for a trip of 10 minutes, and does *at most* include the limit?"""
    for prediction in (5, 15, 12.5):
        share = _share(answer, (prediction, 10))
        assert share == 1, f"10 minutes predicted as {prediction} do not count as right"


@checks(close_enough)
def a_fifth_of_a_long_trip_is_enough(answer):
    """Which rule decides for a trip of an hour? Either is enough; ask a fifth of *what*."""
    for prediction, target in ((40, 50), (60, 50), (49, 59)):
        share = _share(answer, (prediction, target))
        assert share == 1, f"{target} minutes predicted as {prediction} do not count as right"
    share = _share(answer, (51, 42), (39, 32))
    assert share == 0, "42 minutes predicted as 51, or 32 as 39, count as right: the fifth is of the target"


@also_right(close_enough)
def by_numpy(eval_df, builtin_metrics):
    target = eval_df["target"].to_numpy()
    allowed = np.maximum(5, target / 5)
    return float(np.mean(np.abs(eval_df["prediction"].to_numpy() - target) <= allowed))


@also_right(close_enough)
def trip_by_trip(eval_df, builtin_metrics):
    pairs = list(zip(eval_df["prediction"], eval_df["target"], strict=True))
    near = sum(abs(said - took) <= 5 or abs(said - took) <= took / 5 for said, took in pairs)
    return near / len(pairs)


@wrong(close_enough, caught_by=returns_a_share)
def returns_a_column(eval_df, builtin_metrics):
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    return (off <= 5) | (off <= eval_df["target"] / 5)


@wrong(close_enough, caught_by=returns_a_share)
def counts_the_trips(eval_df, builtin_metrics):
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    return float(((off <= 5) | (off <= eval_df["target"] / 5)).sum())


@wrong(close_enough, caught_by=early_counts_like_late)
def forgets_the_sign(eval_df, builtin_metrics):
    off = eval_df["prediction"] - eval_df["target"]
    return float(((off <= 5) | (off <= eval_df["target"] / 5)).mean())


@wrong(close_enough, caught_by=five_minutes_are_enough)
def wants_less_than_five(eval_df, builtin_metrics):
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    return float(((off < 5) | (off < eval_df["target"] / 5)).mean())


@wrong(close_enough, caught_by=five_minutes_are_enough)
def wants_both_rules(eval_df, builtin_metrics):
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    return float(((off <= 5) & (off <= eval_df["target"] / 5)).mean())


@wrong(close_enough, caught_by=a_fifth_of_a_long_trip_is_enough)
def knows_the_first_rule_only(eval_df, builtin_metrics):
    return float(((eval_df["prediction"] - eval_df["target"]).abs() <= 5).mean())


@wrong(close_enough, caught_by=a_fifth_of_a_long_trip_is_enough)
def takes_a_fifth_of_the_prediction(eval_df, builtin_metrics):
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    return float(((off <= 5) | (off <= eval_df["prediction"] / 5)).mean())


# --- top_reasons ------------------------------------------------------------------------------------------------------


@right
def top_reasons(contributions, columns, k=2):
    """Return for each row the `k` columns that moved its prediction most, the strongest first: a list of lists of names.

    `contributions` is an array of shape (rows, columns + 1), as XGBoost's `pred_contribs` gives it: a column for each
    feature in the order of `columns`, and the base value last. A contribution moves a prediction up or down.
    """
    size = np.abs(np.asarray(contributions)[:, :-1])
    order = np.argsort(-size, axis=1)[:, :k]
    return [[columns[place] for place in row] for row in order]


_NAMES = ["miles", "hour", "zone"]


def _reasons(answer, rows, k=2):
    got = answer(np.array(rows, dtype=float), list(_NAMES), k)
    assert isinstance(got, list) and all(isinstance(row, list) for row in got), (
        "return a list of lists of names"
    )
    return got


@checks(top_reasons)
def the_largest_come_first(answer):
    """Which number of a row is the largest, and which the second? Names come back, not places."""
    got = _reasons(answer, [[3.0, 1.0, 0.5, 0.0], [0.1, 0.2, 4.0, 0.0]])
    assert got == [["miles", "hour"], ["zone", "hour"]], f"miles 3, hour 1; zone 4, hour 0.2: yours {got}"


@checks(top_reasons)
def base_value_is_no_reason(answer):
    """Which column of the array belongs to no feature? It is the same in every row."""
    got = _reasons(answer, [[3.0, 1.0, 0.5, 14.2]])
    assert got == [["miles", "hour"]], f"the base value, 14.2, explains no trip; you return {got}"


@checks(top_reasons)
def down_counts_like_up(answer):
    """Has a feature that takes nine minutes away moved the prediction?"""
    got = _reasons(answer, [[2.0, 1.0, -9.0, 14.2]])
    assert got == [["zone", "miles"]], f"zone takes 9 minutes away, miles add 2: yours {got}"


@checks(top_reasons)
def as_many_as_asked_for(answer):
    """How many does the caller want? There may be fewer features than that."""
    rows = [[2.0, 1.0, -9.0, 14.2]]
    for k, due in ((1, [["zone"]]), (3, [["zone", "miles", "hour"]]), (5, [["zone", "miles", "hour"]])):
        got = _reasons(answer, rows, k)
        assert got == due, f"the {k} strongest are {due}, you return {got}"


@also_right(top_reasons)
def by_pandas(contributions, columns, k=2):
    table = pd.DataFrame(contributions).iloc[:, : len(columns)].set_axis(columns, axis="columns").abs()
    return [row.nlargest(k).index.tolist() for _, row in table.iterrows()]


@also_right(top_reasons)
def by_sorting_pairs(contributions, columns, k=2):
    found = []
    for row in contributions:
        pairs = sorted(zip(columns, row[:-1], strict=True), key=lambda pair: abs(pair[1]), reverse=True)
        found.append([name for name, _ in pairs[:k]])
    return found


@wrong(top_reasons, caught_by=the_largest_come_first)
def gives_places(contributions, columns, k=2):
    return np.argsort(-np.abs(contributions[:, :-1]), axis=1)[:, :k].tolist()


@wrong(top_reasons, caught_by=the_largest_come_first)
def takes_the_mean_of_all_rows(contributions, columns, k=2):
    order = np.argsort(-np.abs(contributions[:, :-1]).mean(axis=0))[:k]
    return [[columns[place] for place in order] for _ in contributions]


@wrong(top_reasons, caught_by=base_value_is_no_reason)
def counts_the_base_value(contributions, columns, k=2):
    names = [*columns, "base value"]
    return [[names[place] for place in np.argsort(-np.abs(row))[:k]] for row in contributions]


@wrong(top_reasons, caught_by=down_counts_like_up)
def looks_at_what_adds(contributions, columns, k=2):
    return [[columns[place] for place in np.argsort(-row[:-1])[:k]] for row in contributions]


@wrong(top_reasons, caught_by=as_many_as_asked_for)
def gives_two_always(contributions, columns, k=2):
    return [[columns[place] for place in np.argsort(-np.abs(row[:-1]))[:2]] for row in contributions]

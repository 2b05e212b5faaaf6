"""Exercises of lesson 04d: a Pareto front for any number of costs, and what a budget of seconds buys."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

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
    """How does a mask of True and False become rows again? The answer is a part of the table."""
    assert _on_front(answer, _models()), "you return no row; the one with the lowest error is never beaten"


@checks(pareto_front)
def every_extreme_is_on_it(answer):
    """Can any row beat the one with the lowest error, or the smallest one? Nobody is better in that column."""
    table = pd.DataFrame({"rmse": [4.0, 4.5, 6.0], "kB": [900.0, 90.0, 9.0]}, ["large", "middle", "tiny"])
    found = _on_front(answer, table)
    assert found == ["large", "middle", "tiny"], (
        f"each of the three is best at its size or error; you return {found}"
    )


@checks(pareto_front)
def beaten_ones_are_off(answer):
    """Which row would you never choose, whatever a byte costs you? One that another beats."""
    table = pd.DataFrame({"rmse": [4.0, 4.5, 4.6], "kB": [900.0, 90.0, 95.0]}, ["large", "middle", "fat"])
    found = _on_front(answer, table)
    assert "fat" not in found, "`fat` has more error and more bytes than `middle`, and you keep it"


@checks(pareto_front)
def a_tie_in_one_column_still_beats(answer):
    """Must a row be better in every column to beat another? A tie in one column does not save the worse model."""
    table = pd.DataFrame({"rmse": [4.0, 4.0, 5.0], "kB": [90.0, 95.0, 9.0]}, ["lean", "fat", "tiny"])
    found = _on_front(answer, table)
    assert found == ["lean", "tiny"], f"`fat` has the error of `lean` and more bytes; you return {found}"


@checks(pareto_front)
def equal_rows_stay_both(answer):
    """Does a row beat its twin, or itself? Somewhere it has to be strictly better."""
    table = pd.DataFrame({"rmse": [4.0, 4.0, 5.0], "kB": [90.0, 90.0, 9.0]}, ["one", "twin", "tiny"])
    found = _on_front(answer, table)
    assert found == ["one", "twin", "tiny"], f"`one` and `twin` are equal, none is beaten; you return {found}"


@checks(pareto_front)
def all_columns_count(answer):
    """What if the table has four costs, or a column that you have not thought of?"""
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


@also_right(pareto_front)
def compares_row_by_row(table):
    rows = [tuple(row) for row in table.itertuples(index=False)]

    def beats(one, other):
        return one != other and all(x <= y for x, y in zip(one, other, strict=True))

    return table.loc[[not any(beats(other, row) for other in rows) for row in rows]]


@also_right(pareto_front)
def broadcasts(table):
    values = table.to_numpy(float)
    no_worse = (values[:, None] <= values[None]).all(axis=2)
    better = (values[:, None] < values[None]).any(axis=2)
    return table.iloc[np.flatnonzero(~(no_worse & better).any(axis=0))]


# --- best_known -------------------------------------------------------------------------------------------------------


@right
def best_known(seconds, errors, times):
    """Return the lowest error that a search knows at each of `times`, as a list.

    Trial i takes `seconds[i]` and ends with `errors[i]`, then the next one starts. At a time the search knows the trials
    that have ended by then (at that very second counts); before the first it knows nothing: `float("inf")`.
    """
    ends, best = np.cumsum(seconds), np.minimum.accumulate(errors)
    ended = np.searchsorted(ends, times, side="right")
    return [float(best[count - 1]) if count else float("inf") for count in ended]


_SECONDS, _ERRORS = [2.0, 5.0, 1.0, 4.0], [4.5, 4.2, 4.4, 4.1]


def _known(answer, times, seconds=_SECONDS, errors=_ERRORS):
    known = answer(list(seconds), list(errors), list(times))
    known = list(known) if known is not None else []
    assert len(known) == len(times), f"for {len(times)} times you returned {len(known)} errors"
    return [float(error) for error in known]


@checks(best_known)
def returns_one_error_for_each_time(answer):
    """How many answers are asked for? One for each of `times`, in their order."""
    _known(answer, [3, 8, 20])


@checks(best_known)
def knows_nothing_at_first(answer):
    """What do you know before the first trial has ended? An error worse than any means nothing."""
    known = _known(answer, [0, 1.9])
    assert known == [float("inf")] * 2, (
        f"the first trial ends after 2 seconds; at 0 and at 1.9 you know {known}"
    )


@checks(best_known)
def a_trial_counts_when_it_has_ended(answer):
    """When does the third trial end? It waits for the first two."""
    known = _known(answer, [2, 6.9, 7])
    assert known == [4.5, 4.5, 4.2], (
        f"the second trial (error 4.2) runs from second 2 to 7; at 2, 6.9 and 7 you know {known}"
    )


@checks(best_known)
def the_best_stays_the_best(answer):
    """Does a later, worse trial take anything away from what you know?"""
    known = _known(answer, [8, 11.9, 12, 99])
    assert known == [4.2, 4.2, 4.1, 4.1], f"at 8, 11.9, 12 and 99 seconds you know {known}"


@wrong(best_known, caught_by=returns_one_error_for_each_time)
def returns_the_best_at_the_end(seconds, errors, times):
    return [min(errors)]


@wrong(best_known, caught_by=knows_nothing_at_first)
def knows_the_first_from_the_start(seconds, errors, times):
    ends, best = np.cumsum(seconds), np.minimum.accumulate(errors)
    return [best[max(np.searchsorted(ends, time, side="right") - 1, 0)] for time in times]


@wrong(best_known, caught_by=knows_nothing_at_first)
def takes_the_last_of_all(seconds, errors, times):
    ends, best = np.cumsum(seconds), np.minimum.accumulate(errors)
    return [best[np.searchsorted(ends, time, side="right") - 1] for time in times]


@wrong(best_known, caught_by=knows_nothing_at_first)
def counts_a_trial_from_its_start(seconds, errors, times):
    starts = np.cumsum(seconds) - np.array(seconds)
    return [
        min(error for start, error in zip(starts, errors, strict=True) if start <= time) for time in times
    ]


@wrong(best_known, caught_by=a_trial_counts_when_it_has_ended)
def counts_only_what_ended_before(seconds, errors, times):
    ends, best = np.cumsum(seconds), [float("inf"), *np.minimum.accumulate(errors)]
    return [best[np.searchsorted(ends, time)] for time in times]


@wrong(best_known, caught_by=knows_nothing_at_first)
def forgets_that_trials_wait(seconds, errors, times):
    return [
        min((e for s, e in zip(seconds, errors, strict=True) if s <= time), default=float("inf"))
        for time in times
    ]


@wrong(best_known, caught_by=the_best_stays_the_best)
def returns_the_last_error(seconds, errors, times):
    ended = np.searchsorted(np.cumsum(seconds), times, side="right")
    return [[float("inf"), *errors][count] for count in ended]


@also_right(best_known)
def walks_through_the_trials(seconds, errors, times):
    known = []
    for time in times:
        clock, best = 0.0, float("inf")
        for took, error in zip(seconds, errors, strict=True):
            clock += took
            if clock <= time:
                best = min(best, error)
        known.append(best)
    return known


@also_right(best_known)
def as_a_series(seconds, errors, times):
    best = pd.Series(list(errors), index=pd.Series(list(seconds)).cumsum()).cummin()
    return [best.asof(time) if time >= best.index[0] else np.inf for time in times]

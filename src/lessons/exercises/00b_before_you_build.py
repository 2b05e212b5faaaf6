"""Exercises of lesson 00b: the ladder of needs, and a rule for trips that can be true."""

import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- next_need --------------------------------------------------------------------------------------------------------

_NEEDS = ["collect", "store", "clean", "label", "baseline", "learn"]


@right
def next_need(needs, met):
    """Return the lowest of `needs` (a list, lowest first) that is not in `met` (a set),
    or "ready" when all are met. What is met above a gap does not count."""
    for need in needs:
        if need not in met:
            return need
    return "ready"


@checks(next_need)
def returns_a_name(answer):
    """What does the caller want: the name of one need, its number, or a list of all that are missing?"""
    need = answer(list(_NEEDS), {"collect"})
    assert isinstance(need, str), f"you returned a {type(need).__name__}; the name of one need is asked for"


@checks(next_need)
def starts_at_the_bottom(answer):
    """Which of your two arguments has an order? A set has none, and the alphabet is not the order of the needs."""
    need = answer(list(_NEEDS), set())
    assert need == "collect", f"with nothing met the next need is 'collect', not {need!r}"
    need = answer(list(_NEEDS), {"collect", "store"})
    assert need == "clean", f"with 'collect' and 'store' met the next need is 'clean', not {need!r}"


@checks(next_need)
def a_gap_counts(answer):
    """What if a team owns a model and no storage? Ask for the first need that is missing, not for the last that is met."""
    need = answer(list(_NEEDS), {"collect", "label", "learn"})
    assert need == "store", f"'collect', 'label' and 'learn' are met; the lowest gap is 'store', not {need!r}"


@checks(next_need)
def everything_met_is_ready(answer):
    """What does your function return when no need is missing?"""
    need = answer(list(_NEEDS), set(_NEEDS))
    assert need == "ready", f"with every need met you returned {need!r}"


@checks(next_need)
def works_for_another_ladder(answer):
    """Would your function work for a project whose needs have other names? Use the list that is passed in."""
    need = answer(["permit", "budget"], {"permit"})
    assert need == "budget", f"for the needs permit and budget, with permit met, you returned {need!r}"


@also_right(next_need)
def takes_the_first_of_a_generator(needs, met):
    return next((need for need in needs if need not in met), "ready")


@also_right(next_need)
def builds_the_list_of_gaps(needs, met):
    gaps = [need for need in needs if need not in met] + ["ready"]
    return gaps[0]


@also_right(next_need)
def counts_upwards(needs, met):
    place = 0
    while place < len(needs) and needs[place] in met:
        place += 1
    return needs[place] if place < len(needs) else "ready"


@wrong(next_need, caught_by=returns_a_name)
def returns_all_that_is_missing(needs, met):
    return [need for need in needs if need not in met]


@wrong(next_need, caught_by=returns_a_name)
def returns_the_number(needs, met):
    return len([need for need in needs if need in met])


@wrong(next_need, caught_by=starts_at_the_bottom)
def starts_at_the_top(needs, met):
    return next((need for need in reversed(needs) if need not in met), "ready")


@wrong(next_need, caught_by=starts_at_the_bottom)
def goes_by_the_alphabet(needs, met):
    missing = sorted(set(needs) - met)
    return missing[0] if missing else "ready"


@wrong(next_need, caught_by=a_gap_counts)
def counts_what_is_met(needs, met):
    done = len([need for need in needs if need in met])
    return needs[done] if done < len(needs) else "ready"


@wrong(next_need, caught_by=a_gap_counts)
def looks_above_the_highest(needs, met):
    highest = max((needs.index(need) for need in met), default=-1)
    return needs[highest + 1] if highest + 1 < len(needs) else "ready"


@wrong(next_need, caught_by=everything_met_is_ready)
def returns_the_last_need(needs, met):
    for need in needs:
        if need not in met:
            return need
    return needs[-1]


@wrong(next_need, caught_by=works_for_another_ladder)
def writes_the_ladder_down(needs, met):
    for need in ("collect", "store", "clean", "label", "baseline", "learn"):
        if need not in met:
            return need
    return "ready"


# --- keep_plausible ---------------------------------------------------------------------------------------------------


def _durations() -> pd.DataFrame:
    return pd.DataFrame(
        {"duration": [0.2, 1.0, 30.0, 60.0, 1400.0], "trip_distance": [0.0, 0.3, 5.1, 17.0, 2.0]}
    )


@right
def keep_plausible(trips, low=1.0, high=60.0):
    """Return the trips that last from `low` to `high` minutes, both included. Leave `trips` as it is."""
    return trips[trips["duration"].between(low, high)]


@checks(keep_plausible)
def returns_the_rows(answer):
    """Does your function return the trips, or a column that says which to keep?"""
    kept = answer(_durations())
    assert isinstance(kept, pd.DataFrame), (
        f"you returned a {type(kept).__name__}; a DataFrame of trips is asked for"
    )
    columns = list(kept.columns)
    assert columns == ["duration", "trip_distance"], (
        f"the trips now have the columns {columns}; keep them as they are"
    )


@checks(keep_plausible)
def drops_the_impossible(answer):
    """How many conditions must a trip meet, and must it meet one of them or both at once?"""
    kept = answer(_durations())["duration"].tolist()
    assert 0.2 not in kept and 1400.0 not in kept, f"from 0.2, 1, 30, 60 and 1400 minutes you kept {kept}"


@checks(keep_plausible)
def keeps_both_ends(answer):
    """Is a trip of exactly one minute allowed, and one of exactly sixty?"""
    kept = answer(_durations())["duration"].tolist()
    assert kept == [1.0, 30.0, 60.0], (
        f"from 0.2, 1, 30, 60 and 1400 minutes you kept {kept}; 1 and 60 belong to it"
    )


@checks(keep_plausible)
def obeys_its_arguments(answer):
    """What if the rule changes tomorrow? The only numbers in your function are its arguments."""
    kept = answer(_durations(), low=10.0, high=1500.0)["duration"].tolist()
    assert kept == [30.0, 60.0, 1400.0], f"with low=10 and high=1500 you kept {kept}"


@checks(keep_plausible)
def leaves_the_input_alone(answer):
    """Who else holds the frame that you were given? Select from it; what you delete in place is gone for its owner too."""
    trips = _durations()
    answer(trips)
    assert trips.equals(_durations()), "the frame that was passed in is no longer what it was"


@also_right(keep_plausible)
def queries(trips, low=1.0, high=60.0):
    return trips.query("@low <= duration <= @high")


@also_right(keep_plausible)
def masks_with_numpy(trips, low=1.0, high=60.0):
    minutes = trips["duration"].to_numpy()
    return trips.loc[(minutes >= low) & (minutes <= high)].copy()


@also_right(keep_plausible)
def drops_what_is_outside(trips, low=1.0, high=60.0):
    outside = (trips["duration"] < low) | (trips["duration"] > high)
    return trips.drop(trips.index[outside])


@wrong(keep_plausible, caught_by=returns_the_rows)
def returns_the_mask(trips, low=1.0, high=60.0):
    return trips["duration"].between(low, high)


@wrong(keep_plausible, caught_by=returns_the_rows)
def returns_only_the_durations(trips, low=1.0, high=60.0):
    return trips[["duration"]][trips["duration"].between(low, high)]


@wrong(keep_plausible, caught_by=drops_the_impossible)
def joins_with_or(trips, low=1.0, high=60.0):
    return trips[(trips["duration"] >= low) | (trips["duration"] <= high)]


@wrong(keep_plausible, caught_by=drops_the_impossible)
def forgets_the_long_ones(trips, low=1.0, high=60.0):
    return trips[trips["duration"] >= low]


@wrong(keep_plausible, caught_by=keeps_both_ends)
def loses_the_ends(trips, low=1.0, high=60.0):
    return trips[(trips["duration"] > low) & (trips["duration"] < high)]


@wrong(keep_plausible, caught_by=obeys_its_arguments)
def writes_the_numbers_down(trips, low=1.0, high=60.0):
    return trips[trips["duration"].between(1, 60)]


@wrong(keep_plausible, caught_by=leaves_the_input_alone)
def drops_in_place(trips, low=1.0, high=60.0):
    trips.drop(trips[~trips["duration"].between(low, high)].index, inplace=True)
    return trips

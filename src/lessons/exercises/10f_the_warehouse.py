"""Exercises of lesson 10f: the value known at a moment, and the skew of a primary index."""

from bisect import bisect_right
from collections import Counter

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- known ------------------------------------------------------------------------------------------------------------


@right
def known(asks, facts):
    """Return for each row of `asks` the value that was known, as a list in the order of `asks`.

    `asks` has the columns `zone` and `at`; `facts` has `zone`, `day`, `known_at` and `value`, a row for each version of
    a day's value. Of the facts of the zone with `known_at` at or before `at`, take those of the latest day, and of
    these the version that was known last. Where nothing was known, the value is NaN. All times are numbers here; no
    version of a zone and day has the same `known_at` as another. The two tables are in any order and stay as they are.
    """
    ordered = facts.sort_values(["day", "known_at"])
    found = []
    for ask in asks.itertuples():
        there = ordered[(ordered["zone"] == ask.zone) & (ordered["known_at"] <= ask.at)]
        found.append(float(there["value"].iloc[-1]) if len(there) else float("nan"))
    return found


def _facts(*rows):
    return pd.DataFrame(rows, columns=["zone", "day", "known_at", "value"])


def _asks(*rows):
    return pd.DataFrame(rows, columns=["zone", "at"])


_FACTS = _facts((7, 1, 2.1, 10.0), (7, 2, 3.1, 20.0), (8, 1, 2.1, 50.0), (7, 3, 4.1, 30.0))


def _found(answer, asks, facts):
    found = answer(asks.copy(), facts.copy())
    assert found is not None and len(found) == len(asks), (
        f"return one value for each of the {len(asks)} rows of asks; you return {found}"
    )
    return [None if pd.isna(value) else float(value) for value in found]


@checks(known)
def what_is_known_later_is_not_seen(answer):
    """When was the value known? The day that it is about is another time."""
    found = _found(answer, _asks((7, 3.0), (7, 3.5)), _FACTS)
    assert found == [10, 20], f"day 2 of zone 7 is known at 3.1: 10 before, 20 after; you return {found}"


@checks(known)
def the_moment_itself_counts(answer):
    """Known at 3.1, asked at 3.1. What does the service see?"""
    found = _found(answer, _asks((7, 3.1)), _FACTS)
    assert found == [20], f"at or before the moment, so 20; you return {found}"


@checks(known)
def each_zone_has_its_own(answer):
    """Whose value do you hand out? And what if the zone has none yet?"""
    found = _found(answer, _asks((7, 1.0), (7, 9.0), (8, 9.0), (9, 9.0)), _FACTS)
    assert found == [None, 30, 50, None], (
        f"zone 7 has nothing at 1.0 and 30 at 9.0, zone 8 has 50, zone 9 nothing; you return {found}"
    )


@checks(known)
def a_late_correction_does_not_hide_newer_days(answer):
    """A correction of day 1 arrives after day 3. Which day is the newest that you know?"""
    facts = pd.concat([_FACTS, _facts((7, 1, 5.0, 11.0))])
    found = _found(answer, _asks((7, 6.0)), facts)
    assert found == [30], f"day 3 is newer than the corrected day 1, so 30; you return {found}"


@checks(known)
def the_last_version_of_the_day_counts(answer):
    """Day 3 was corrected. What is known before the correction, and what after?"""
    facts = pd.concat([_facts((7, 3, 5.0, 33.0)), _FACTS])
    found = _found(answer, _asks((7, 4.5), (7, 6.0)), facts)
    assert found == [30, 33], f"30 until 5.0, then 33; you return {found}"


@checks(known)
def the_order_of_the_questions_stays(answer):
    """In which order does the caller expect the answers?"""
    asks = _asks((7, 9.0), (8, 2.5), (7, 2.5), (7, 3.5)).set_axis([5, 3, 9, 1])
    found = _found(answer, asks, _FACTS.iloc[::-1])
    assert found == [30, 50, 10, 20], f"in the order of asks 30, 50, 10, 20; you return {found}"


@checks(known)
def the_tables_stay(answer):
    """Whose tables do you write into?"""
    asks, facts = _asks((7, 9.0), (8, 2.5)), _FACTS.copy()
    answer(asks, facts)
    assert asks.equals(_asks((7, 9.0), (8, 2.5))) and facts.equals(_FACTS), (
        "the caller's tables are changed afterwards"
    )


def _last(asks, facts, by, allowed):
    ordered, found = facts.sort_values(by), []
    for ask in asks.itertuples():
        there = ordered[(ordered["zone"] == ask.zone) & allowed(ordered, ask)]
        found.append(there["value"].iloc[-1] if len(there) else np.nan)
    return found


@wrong(known, caught_by=what_is_known_later_is_not_seen)
def by_the_day_it_is_about(asks, facts):
    return _last(asks, facts, ["day", "known_at"], lambda rows, ask: rows["day"] <= ask.at)


@wrong(known, caught_by=what_is_known_later_is_not_seen)
def the_newest_of_all(asks, facts):
    return _last(asks, facts, ["day", "known_at"], lambda rows, ask: rows["known_at"] > -1)


@wrong(known, caught_by=the_moment_itself_counts)
def strictly_before(asks, facts):
    return _last(asks, facts, ["day", "known_at"], lambda rows, ask: rows["known_at"] < ask.at)


@wrong(known, caught_by=what_is_known_later_is_not_seen)
def forgets_the_zone(asks, facts):
    ordered, found = facts.sort_values(["day", "known_at"]), []
    for ask in asks.itertuples():
        there = ordered[ordered["known_at"] <= ask.at]
        found.append(there["value"].iloc[-1] if len(there) else np.nan)
    return found


@wrong(known, caught_by=each_zone_has_its_own)
def fills_with_zero(asks, facts):
    return [0.0 if pd.isna(value) else value for value in known(asks, facts)]


@wrong(known, caught_by=each_zone_has_its_own)
def takes_the_nearest(asks, facts):
    found = []
    for ask in asks.itertuples():
        there = facts[facts["zone"] == ask.zone].sort_values(["day", "known_at"])
        before = there[there["known_at"] <= ask.at]
        chosen = before.tail(1) if len(before) else there.head(1)
        found.append(chosen["value"].iloc[0] if len(chosen) else np.nan)
    return found


@wrong(known, caught_by=a_late_correction_does_not_hide_newer_days)
def the_last_known_row(asks, facts):
    return _last(asks, facts, "known_at", lambda rows, ask: rows["known_at"] <= ask.at)


@wrong(known, caught_by=the_last_version_of_the_day_counts)
def the_first_version(asks, facts):
    first = facts.sort_values("known_at").drop_duplicates(["zone", "day"])
    return _last(asks, first, "day", lambda rows, ask: rows["known_at"] <= ask.at)


@wrong(known, caught_by=the_last_version_of_the_day_counts)
def the_final_version_only(asks, facts):
    final = facts.sort_values("known_at").drop_duplicates(["zone", "day"], keep="last")
    return _last(asks, final, "day", lambda rows, ask: rows["known_at"] <= ask.at)


@wrong(known, caught_by=the_order_of_the_questions_stays)
def in_the_order_of_time(asks, facts):
    return known(asks.sort_values("at"), facts)


@wrong(known, caught_by=the_tables_stay)
def sorts_in_place(asks, facts):
    facts.sort_values(["day", "known_at"], inplace=True, ascending=False)
    return known(asks, facts)


@also_right(known)
def by_a_join(asks, facts):
    numbered = asks.reset_index(drop=True).reset_index(names="number")
    both = numbered.merge(facts, on="zone").query("known_at <= at").sort_values(["day", "known_at"])
    return both.groupby("number")["value"].last().reindex(numbered["number"]).tolist()


@also_right(known)
def in_plain_python(asks, facts):
    rows = list(zip(facts["zone"], facts["day"], facts["known_at"], facts["value"], strict=True))

    def one(zone, at):
        there = [(day, when, value) for own, day, when, value in rows if own == zone and when <= at]
        return max(there)[2] if there else float("nan")

    return [one(zone, at) for zone, at in zip(asks["zone"], asks["at"], strict=True)]


@also_right(known)
def by_bisection(asks, facts):
    states = {}
    for row in facts.sort_values("known_at").itertuples():
        times, values, newest = states.setdefault(row.zone, ([], [], [float("-inf")]))
        if row.day >= newest[0]:
            newest[0] = row.day
            times.append(row.known_at)
            values.append(row.value)
    found = []
    for zone, at in asks[["zone", "at"]].itertuples(index=False):
        times, values, _ = states.get(zone, ([], [], None))
        place = bisect_right(times, at)
        found.append(values[place - 1] if place else np.nan)
    return np.array(found)


# --- skew -------------------------------------------------------------------------------------------------------------


@right
def skew(values, amps, hash_of):
    """Return the skew factor of a primary index in percent: 100 × (1 − mean ÷ maximum) of the rows per AMP.

    `values` are the index's values, one for each row of the table. The row lies on AMP `hash_of(value) % amps`, so
    equal values lie together. All `amps` AMPs count, those without rows too. A table without rows has the factor 0.
    """
    rows = [0] * amps
    for value in values:
        rows[hash_of(value) % amps] += 1
    return 100 * (1 - sum(rows) / amps / max(rows)) if any(rows) else 0.0


def _skewed(answer, values, amps=4, hash_of=int):
    found = answer(values, amps, hash_of)
    assert isinstance(found, (int, float)) and not isinstance(found, bool), (
        f"return one number, in percent; you return a {type(found).__name__}"
    )
    return float(found)


@checks(skew)
def an_even_index_has_none(answer):
    """How many rows lie on each of four AMPs when the values are 0 to 11?"""
    found = _skewed(answer, list(range(12)))
    assert abs(found) < 1e-9, f"three rows on each of four AMPs are even, so 0; you return {found}"


@checks(skew)
def the_fullest_amp_decides(answer):
    """One AMP has six rows, three have two. What is the mean, and which AMP ends last?"""
    found = _skewed(answer, [0] * 6 + [1, 1, 2, 2, 3, 3])
    assert abs(found - 50) < 1e-9, f"mean 3, maximum 6, so 50 %; you return {found}"


@checks(skew)
def an_empty_amp_counts(answer):
    """Two values on four AMPs. How many AMPs have nothing to do, and do they count in the mean?"""
    found = _skewed(answer, [0] * 5 + [1] * 5)
    assert abs(found - 50) < 1e-9, (
        f"ten rows on four AMPs are 2.5 each, the fullest has 5: 50 %; you return {found}"
    )


@checks(skew)
def equal_values_on_one_amp_add_up(answer):
    """Do two values that meet on one AMP share its load?"""
    found = _skewed(answer, [0, 4, 8, 12, 1, 2])
    assert abs(found - 62.5) < 1e-9, (
        f"four rows on AMP 0, six in all: 1 - 1.5 / 4, 62.5 %; you return {found}"
    )


@checks(skew)
def the_hash_places_the_row(answer):
    """Which AMP does a value get? Use the hash that you are given, and as many AMPs as there are."""
    found = _skewed(answer, list(range(12)), hash_of=lambda value: 4 * value)
    assert abs(found - 75) < 1e-9, f"this hash puts all rows on AMP 0: 75 %; you return {found}"
    found = _skewed(answer, ["a", "bb", "ccc", "dddd"], amps=2, hash_of=len)
    assert abs(found) < 1e-9, f"two rows on each of two AMPs, so 0; you return {found}"


@checks(skew)
def an_empty_table_is_even(answer):
    """Which number do you divide by when there are no rows?"""
    try:
        found = _skewed(answer, [])
    except (ZeroDivisionError, ValueError) as error:
        raise AssertionError(
            f"a table without rows has the factor 0; yours ends with {type(error).__name__}"
        ) from None
    assert found == 0, f"a table without rows has the factor 0; you return {found}"


@wrong(skew, caught_by=an_even_index_has_none)
def the_mean_over_the_maximum(values, amps, hash_of):
    return 100 - skew(values, amps, hash_of) if len(values) else 0.0


@wrong(skew, caught_by=an_empty_amp_counts)
def forgets_empty_amps(values, amps, hash_of):
    rows = list(Counter(hash_of(value) % amps for value in values).values())
    return 100 * (1 - sum(rows) / len(rows) / max(rows)) if rows else 0.0


@wrong(skew, caught_by=the_hash_places_the_row)
def uses_the_value_itself(values, amps, hash_of):
    return skew(values, amps, int)


@wrong(skew, caught_by=equal_values_on_one_amp_add_up)
def round_robin(values, amps, hash_of):
    values = list(values)
    rows = Counter(pd.factorize(pd.Series(values, dtype=object))[0] % amps)
    return 100 * (1 - len(values) / amps / max(rows.values())) if values else 0.0


@wrong(skew, caught_by=equal_values_on_one_amp_add_up)
def the_most_frequent_value(values, amps, hash_of):
    values = list(values)
    most = Counter(values).most_common(1)
    return 100 * max(0, 1 - len(values) / amps / most[0][1]) if values else 0.0


@wrong(skew, caught_by=the_fullest_amp_decides)
def as_a_share(values, amps, hash_of):
    return skew(values, amps, hash_of) / 100


@wrong(skew, caught_by=the_fullest_amp_decides)
def maximum_over_mean(values, amps, hash_of):
    values = list(values)
    rows = Counter(hash_of(value) % amps for value in values)
    return 100 * (max(rows.values()) / (len(values) / amps) - 1) if values else 0.0


@wrong(skew, caught_by=the_fullest_amp_decides)
def counts_different_values(values, amps, hash_of):
    return skew(set(values), amps, hash_of)


@wrong(skew, caught_by=an_empty_table_is_even)
def divides_by_nothing(values, amps, hash_of):
    values = list(values)
    rows = Counter(hash_of(value) % amps for value in values)
    return 100 * (1 - len(values) / amps / max(rows.values(), default=0))


@also_right(skew)
def with_numpy(values, amps, hash_of):
    rows = np.bincount([hash_of(value) % amps for value in values], minlength=amps)
    return float(100 * (1 - rows.mean() / rows.max())) if rows.any() else 0.0


@also_right(skew)
def with_pandas(values, amps, hash_of):
    places = pd.Series([hash_of(value) % amps for value in values], dtype=int)
    rows = places.value_counts().reindex(range(amps), fill_value=0)
    return 0.0 if places.empty else 100 * (1 - rows.mean() / rows.max())


@also_right(skew)
def with_a_counter(values, amps, hash_of):
    rows = Counter(hash_of(value) % amps for value in values)
    return 100 - 100 * rows.total() / (amps * max(rows.values())) if rows else 0

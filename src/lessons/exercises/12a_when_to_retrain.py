"""Exercises of lesson 12a: the labels that are there, and a policy judged by its regret in made-up worlds."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong
from lessons.retraining.worlds import NOISE, cheapest, made_up, spent

# --- known_labels -----------------------------------------------------------------------------------------------------


@right
def known_labels(trips, now, window, label_days):
    """Return the trips that a model trained at the moment `now` may learn from, all columns and in their order.

    `trips` has `pickup_datetime`; a trip's label arrives `label_days` days after it. `now` is a Timestamp, on any day.
    A label counts if it arrived before `now`, and not earlier than `window` calendar months before `now`
    (`pd.DateOffset(months=window)`).
    """
    arrives = trips["pickup_datetime"] + pd.Timedelta(days=label_days)
    return trips[(arrives >= now - pd.DateOffset(months=window)) & (arrives < now)]


def _found(answer, pickups, now, window, label_days=14):
    """The pickups of the rows that the answer returns."""
    trips = pd.DataFrame({"pickup_datetime": pd.to_datetime(pickups)})
    trips["duration"] = np.arange(len(trips)) + 5.0
    trips.index = 10 * np.arange(len(trips)) + 7
    found = answer(trips.copy(), pd.Timestamp(now), window, label_days)
    assert isinstance(found, pd.DataFrame), f"you returned a {type(found).__name__}, not a DataFrame"
    return [f"{one:%Y-%m-%d %H:%M}" for one in found["pickup_datetime"]]


@checks(known_labels)
def waits_for_the_label(answer):
    """On which day is the label of a trip of 25 April there, and can a model of 1 May learn from it?"""
    found = _found(answer, ["2020-04-10", "2020-04-25"], "2020-05-01", 1)
    assert found == ["2020-04-10 00:00"], (
        f"on 1 May the label of 10 April is there and that of 25 April is not; you returned the pickups {found}"
    )


@checks(known_labels)
def begins_where_labels_arrive(answer):
    """Which clock does the window run by: when the trip began, or when its label arrived?"""
    pickups = ["2020-03-17 23:00", "2020-03-18 00:00", "2020-03-20 00:00", "2020-04-03 00:00"]
    found = _found(answer, pickups, "2020-05-01", 1)
    expected = ["2020-03-18 00:00", "2020-03-20 00:00", "2020-04-03 00:00"]
    assert found == expected, (
        f"labels of April belong to trips from 18 March on: {expected}; you returned {found}"
    )


@checks(known_labels)
def ends_before_now(answer):
    """Is a label that arrives at this very moment there before it?"""
    found = _found(answer, ["2020-04-16 23:59", "2020-04-17 00:00"], "2020-05-01", 1)
    assert found == ["2020-04-16 23:59"], (
        f"the label of 17 April, 0:00, arrives on 1 May, 0:00, not before; you returned {found}"
    )


@checks(known_labels)
def months_are_of_the_calendar(answer):
    """How many days has a month, and how many have twelve?"""
    found = _found(answer, ["2020-01-17", "2020-01-18", "2020-01-19"], "2020-03-01", 1)
    assert found == ["2020-01-18 00:00", "2020-01-19 00:00"], (
        f"a month before 1 March is 1 February; those labels belong to trips from 18 January on, you returned {found}"
    )
    found = _found(answer, ["2019-04-16", "2019-04-17", "2019-04-21"], "2020-05-01", 12)
    assert found == ["2019-04-17 00:00", "2019-04-21 00:00"], (
        f"twelve months before 1 May 2020 is 1 May 2019, you returned {found}"
    )


@checks(known_labels)
def works_on_any_day(answer):
    """What if the job runs on the fifteenth?"""
    found = _found(answer, ["2020-03-31", "2020-04-01", "2020-04-30", "2020-05-01"], "2020-05-15", 1)
    assert found == ["2020-04-01 00:00", "2020-04-30 00:00"], (
        f"on 15 May the window goes from 15 April to 15 May; you returned the pickups {found}"
    )


@checks(known_labels)
def asks_for_the_delay(answer):
    """What changes when the clerk needs three days in place of fourteen?"""
    pickups = ["2020-04-10", "2020-04-25"]
    found = _found(answer, pickups, "2020-05-01", 1, label_days=3)
    assert found == [f"{day} 00:00" for day in pickups], (
        f"with three days both labels are there, you returned {found}"
    )


@checks(known_labels)
def leaves_the_rows_as_they_are(answer):
    """Does the caller get the rows of the table, or others that look like them?"""
    trips = pd.DataFrame(
        {"pickup_datetime": pd.to_datetime(["2020-04-12", "2020-04-05"]), "duration": [8.0, 9.0]}
    )
    trips.index, before = [30, 20], trips.copy()
    before.index = [30, 20]
    found = answer(trips, pd.Timestamp("2020-05-01"), 1, 14)
    assert trips.equals(before), "your function changed the table that it was given"
    assert found.equals(before), f"expected both rows with their index and columns, you returned\n{found}"


@wrong(known_labels, caught_by=waits_for_the_label)
def cuts_by_pickup(trips, now, window, label_days):
    pickup = trips["pickup_datetime"]
    return trips[(pickup >= now - pd.DateOffset(months=window)) & (pickup < now)]


@wrong(known_labels, caught_by=begins_where_labels_arrive)
def mixes_two_clocks(trips, now, window, label_days):
    pickup = trips["pickup_datetime"]
    arrives = pickup + pd.Timedelta(days=label_days)
    return trips[(pickup >= now - pd.DateOffset(months=window)) & (arrives < now)]


@wrong(known_labels, caught_by=begins_where_labels_arrive)
def leaves_the_first_out(trips, now, window, label_days):
    arrives = trips["pickup_datetime"] + pd.Timedelta(days=label_days)
    return trips[(arrives > now - pd.DateOffset(months=window)) & (arrives < now)]


@wrong(known_labels, caught_by=ends_before_now)
def takes_both_ends(trips, now, window, label_days):
    arrives = trips["pickup_datetime"] + pd.Timedelta(days=label_days)
    return trips[arrives.between(now - pd.DateOffset(months=window), now)]


@wrong(known_labels, caught_by=months_are_of_the_calendar)
def takes_thirty_days(trips, now, window, label_days):
    arrives = trips["pickup_datetime"] + pd.Timedelta(days=label_days)
    return trips[(arrives >= now - pd.Timedelta(days=30 * window)) & (arrives < now)]


@wrong(known_labels, caught_by=works_on_any_day)
def takes_whole_months(trips, now, window, label_days):
    arrives = (trips["pickup_datetime"] + pd.Timedelta(days=label_days)).dt.to_period("M")
    month = now.to_period("M")
    return trips[arrives.between(month - window, month - 1)]


@wrong(known_labels, caught_by=asks_for_the_delay)
def always_waits_a_fortnight(trips, now, window, label_days):
    arrives = trips["pickup_datetime"] + pd.Timedelta(days=14)
    return trips[(arrives >= now - pd.DateOffset(months=window)) & (arrives < now)]


@wrong(known_labels, caught_by=leaves_the_rows_as_they_are)
def adds_a_column(trips, now, window, label_days):
    trips["arrives"] = trips["pickup_datetime"] + pd.Timedelta(days=label_days)
    return trips[(trips["arrives"] >= now - pd.DateOffset(months=window)) & (trips["arrives"] < now)]


@wrong(known_labels, caught_by=leaves_the_rows_as_they_are)
def sorts_them(trips, now, window, label_days):
    return known_labels(trips, now, window, label_days).sort_values("pickup_datetime")


@also_right(known_labels)
def moves_the_cut(trips, now, window, label_days):
    late = pd.Timedelta(days=label_days)
    begin, end = now - pd.DateOffset(months=window) - late, now - late
    return trips[trips["pickup_datetime"].between(begin, end, inclusive="left")]


@also_right(known_labels)
def with_numpy(trips, now, window, label_days):
    arrives = trips["pickup_datetime"].to_numpy() + np.timedelta64(label_days, "D")
    begin = (now - pd.DateOffset(months=window)).to_datetime64()
    return trips.iloc[np.flatnonzero((begin <= arrives) & (arrives < now.to_datetime64()))]


@also_right(known_labels)
def one_by_one(trips, now, window, label_days):
    begin, late = now - pd.DateOffset(months=window), pd.Timedelta(days=label_days)
    there = [begin <= pickup + late < now for pickup in trips["pickup_datetime"]]
    return trips.loc[np.array(there, dtype=bool)]


# --- my_policy --------------------------------------------------------------------------------------------------------

MINUTE, RETRAINING = 500, 300


@right
def my_policy(error, drift, age):
    """Return the window in months on which to retrain (1, 3, 6 or 12), or 0 to keep the model.

    Called on the first of each month with the MAE on the labels that arrived last month (2.9 to 3.6 in quiet times,
    by season), the drift in units of its threshold, and the age of the model in months. A minute of MAE costs 500
    dollars a month, a retraining 300. The worlds: nothing happens; a shock moves inputs and error; only the inputs
    move; only the error moves; the error rises for good and no retraining helps. Your regret over two years
    may be 1,000 dollars in each of the first four and 2,500 in the last.
    """
    gone_bad, tried_lately = error > 3.7, age < 3
    return 1 if gone_bad and not tried_lately else 0


def _regret(answer, kind):
    world = made_up(kind)
    try:
        total = spent(world, answer, MINUTE, RETRAINING)
    except ValueError as fault:
        raise AssertionError(str(fault)) from None
    return total - cheapest(world, MINUTE, RETRAINING)


def _judge(answer, kind, allowed, why):
    regret = _regret(answer, kind)
    assert regret <= allowed, f"{kind}: your regret is {regret:,.0f} dollars, {allowed:,} are allowed; {why}"


@checks(my_policy)
def returns_a_window(answer):
    """What are the five values that may come back?"""
    for error in (3.0, 4.5):
        for drift in (0.5, 3.0):
            for age in (1, 8):
                window = answer(error, drift, age)
                fits = isinstance(window, int | np.integer) and window in (0, *NOISE)
                assert fits, (
                    f"for error={error}, drift={drift}, age={age} you returned {window!r}; return 0, 1, 3, 6 or 12"
                )


@checks(my_policy)
def does_nothing_in_quiet_times(answer):
    """What would a retraining save while the error moves with the season only?"""
    _judge(answer, "quiet", 1_000, "the error stays between 2.9 and 3.6 by itself")


@checks(my_policy)
def learns_the_new_world_after_a_shock(answer):
    """How many of the months in your window are from before the shock?"""
    _judge(answer, "shock", 1_000, "in the first month after it only the newest labels are of the new world")


@checks(my_policy)
def leaves_harmless_drift_alone(answer):
    """The inputs moved. Did the error?"""
    _judge(answer, "harmless drift", 1_000, "the error did not move with the inputs")


@checks(my_policy)
def sees_what_inputs_do_not_show(answer):
    """What do you do when the error rises and no input moves?"""
    _judge(answer, "silent shift", 1_000, "the error rises while the inputs stay")


@checks(my_policy)
def stops_when_it_does_not_help(answer):
    """The alarm rings again a month after you retrained. What would one more retraining change?"""
    _judge(
        answer,
        "nothing helps",
        2_500,
        "the error stays high whatever you train on; wait before you try again",
    )


@wrong(my_policy, caught_by=returns_a_window)
def gives_a_verdict(error, drift, age):
    return "retrain" if error > 3.7 else "keep"


@wrong(my_policy, caught_by=does_nothing_in_quiet_times)
def every_month(error, drift, age):
    return 12


@wrong(my_policy, caught_by=does_nothing_in_quiet_times)
def every_quarter(error, drift, age):
    return 12 if age >= 3 else 0


@wrong(my_policy, caught_by=does_nothing_in_quiet_times)
def takes_autumn_for_ageing(error, drift, age):
    return 1 if error > 3.4 and age >= 3 else 0


@wrong(my_policy, caught_by=learns_the_new_world_after_a_shock)
def never(error, drift, age):
    return 0


@wrong(my_policy, caught_by=learns_the_new_world_after_a_shock)
def takes_the_best_window_of_quiet_times(error, drift, age):
    return 12 if error > 3.7 and age >= 3 else 0


@wrong(my_policy, caught_by=leaves_harmless_drift_alone)
def acts_on_drift(error, drift, age):
    return 1 if drift > 1 else 0


@wrong(my_policy, caught_by=leaves_harmless_drift_alone)
def acts_on_either(error, drift, age):
    return 1 if age >= 3 and (error > 3.7 or drift > 1) else 0


@wrong(my_policy, caught_by=sees_what_inputs_do_not_show)
def waits_for_both(error, drift, age):
    return 1 if error > 3.7 and drift > 1 else 0


@wrong(my_policy, caught_by=stops_when_it_does_not_help)
def tries_again_every_month(error, drift, age):
    return 1 if error > 3.7 else 0


@also_right(my_policy)
def by_early_exits(error, drift, age):
    if error <= 4:
        return 0
    if drift > 1:
        return 1
    return 1 if age >= 6 else 0


@also_right(my_policy)
def as_a_product(error, drift, age):
    return int(error > 3.8) * int(age > 5)


@also_right(my_policy)
def by_the_price_of_a_try(error, drift, age):
    excess = max(0.0, error - 3.6)  # minutes above the worst quiet month
    months_to_pay_back = 300 / (500 * excess) if excess > 0 else float("inf")
    return int(months_to_pay_back < 4 and age >= 3)

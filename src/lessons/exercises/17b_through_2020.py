"""Exercises of lesson 17b: what a flow may be credited with, and a policy judged on thirty months."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong
from lessons.through_2020.windows import MONTHS, WINDOWS, replay
from projects.capstone.policies import Seen

# --- saved ------------------------------------------------------------------------------------------------------------


@right
def saved(answers, since):
    """Return two numbers: the minutes a trip that the flow saved against doing nothing, and their standard error.

    `answers` has a row a trip: `day` (a Timestamp), `y` (minutes, missing where the label isn't there yet), and what
    `flow` and `never` (the first champion, left alone) answered. Count the trips with a label from the day `since` on;
    an error is absolute. Trips of a week are alike. So for the standard error divide the trips into weeks
    (`day.dt.to_period("W")`), take each week's sum of (gain − mean gain) over its trips, and return the root of the sum
    of their squares, divided by the number of trips.
    """
    rows = answers[(answers["day"] >= since) & answers["y"].notna()]
    gain = (rows["y"] - rows["never"]).abs() - (rows["y"] - rows["flow"]).abs()
    weeks = (gain - gain.mean()).groupby(rows["day"].dt.to_period("W")).sum()
    return gain.mean(), (weeks**2).sum() ** 0.5 / len(rows)


def _year(seed=0):
    """Trips of forty weeks: a shock in week ten from which the world recovers, and a flow that helps a little."""
    rng = np.random.default_rng(seed)
    day = pd.Timestamp("2020-01-06") + pd.to_timedelta(np.sort(rng.integers(0, 280, 2_000)), "D")
    week = (day - day[0]).days // 7
    size = np.where(week < 10, 3.0, 3.0 + 4.0 * np.exp(-(week - 10) / 8))
    of_week = rng.normal(0, 0.6, 41)[week]  # what the trips of a week have in common
    y = rng.uniform(5, 30, len(day))
    side = rng.choice([-1, 1], len(day))
    never = y + side * (size + np.abs(rng.normal(0, 0.5, len(day))))
    flow = y + side * np.maximum(size - np.where(week < 14, 0.0, 1.0 + of_week), 0.2)
    rows = pd.DataFrame({"day": day, "y": y, "flow": flow, "never": never})
    rows.index = rng.permutation(len(rows)) * 3
    return rows


def _two(answer, rows, since):
    found = answer(rows.copy(), pd.Timestamp(since))
    try:
        mean, error = (float(one) for one in found)
    except (TypeError, ValueError):
        raise AssertionError(
            f"return two numbers, the mean and its standard error; you returned {found!r}"
        ) from None
    return mean, error


@checks(saved)
def against_doing_nothing(answer):
    """What would the first champion have answered to the same trips? Its error fell after the shock as well."""
    rows = _year()
    mean, _ = _two(answer, rows, "2020-04-20")
    expected, _ = saved(rows, pd.Timestamp("2020-04-20"))
    assert abs(mean - expected) < 0.005, (
        f"on the trips from 20 April on, never misses by {expected:.2f} minutes more than the flow; you returned {mean:.2f}"
    )


@checks(saved)
def from_the_day_on(answer):
    """Which trips count when `since` is a day in July? And does the day itself?"""
    rows = _year(1)
    for since in ("2020-01-06", "2020-07-13"):
        mean, _ = _two(answer, rows, since)
        expected, _ = saved(rows, pd.Timestamp(since))
        assert abs(mean - expected) < 1e-6, (
            f"from {since} on the gain is {expected:.4f}, you returned {mean:.4f}"
        )


@checks(saved)
def labels_that_are_missing_count_for_nothing(answer):
    """What is the error of a trip whose label has not come? It isn't zero."""
    rows = _year(2)
    rows.loc[rows.index[-600:], "y"] = np.nan
    mean, error = _two(answer, rows, "2020-04-20")
    expected, spread = _two(answer, rows.dropna(), "2020-04-20")
    assert abs(mean - expected) < 1e-6 and abs(error - spread) < 1e-6, (
        f"without the 600 trips that have no label you say {expected:.3f} ± {spread:.4f}, with them {mean:.3f} ± {error:.4f}"
    )


@checks(saved)
def trips_of_a_week_are_alike(answer):
    """If each trip of a week stood there three times, would you know more? Add up each week before you square."""
    rows = _year(3)
    once = _two(answer, rows, "2020-04-20")
    thrice = _two(answer, pd.concat([rows] * 3, ignore_index=True), "2020-04-20")
    assert abs(thrice[1] / once[1] - 1) < 0.02, (
        f"the same trips three times over must have the same standard error, {once[1]:.3f}; you returned {thrice[1]:.3f}"
    )
    expected = saved(rows, pd.Timestamp("2020-04-20"))[1]
    assert abs(once[1] / expected - 1) < 0.05, (
        f"the standard error by weeks is {expected:.3f}; you returned {once[1]:.3f}"
    )
    both = pd.concat([rows, rows.assign(day=rows["day"] + pd.Timedelta(weeks=52))], ignore_index=True)
    expected, found = (one(both, pd.Timestamp("2020-04-20"))[1] for one in (saved, answer))
    assert abs(found / expected - 1) < 0.05, (
        f"over two years the standard error is {expected:.3f}, you returned {found:.3f}: week 20 comes once a year"
    )


@wrong(saved, caught_by=against_doing_nothing)
def before_and_after(answers, since):
    rows = answers[answers["y"].notna()]
    missed = (rows["y"] - rows["flow"]).abs()
    after = rows["day"] >= since
    return missed[~after].mean() - missed[after].mean(), saved(answers, since)[1]


@wrong(saved, caught_by=against_doing_nothing)
def from_april_to_the_end(answers, since):
    rows = answers[(answers["day"] >= since) & answers["y"].notna()]
    missed = (rows["y"] - rows["flow"]).abs().groupby(rows["day"].dt.to_period("W")).mean()
    return missed.iloc[0] - missed.iloc[-1], saved(answers, since)[1]


@wrong(saved, caught_by=against_doing_nothing)
def the_other_way_round(answers, since):
    mean, error = saved(answers, since)
    return -mean, error


@wrong(saved, caught_by=against_doing_nothing)
def errors_that_cancel(answers, since):
    rows = answers[(answers["day"] >= since) & answers["y"].notna()]
    gain = (rows["y"] - rows["never"]) - (rows["y"] - rows["flow"])
    return gain.mean(), saved(answers, since)[1]


@wrong(saved, caught_by=against_doing_nothing)
def a_mean_of_weekly_means(answers, since):
    rows = answers[(answers["day"] >= since) & answers["y"].notna()]
    gain = (rows["y"] - rows["never"]).abs() - (rows["y"] - rows["flow"]).abs()
    by_week = gain.groupby(rows["day"].dt.to_period("W")).mean()
    return by_week.mean(), by_week.std() / len(by_week) ** 0.5


@wrong(saved, caught_by=from_the_day_on)
def the_day_itself_is_left_out(answers, since):
    return saved(answers[answers["day"] != since], since)


@wrong(saved, caught_by=labels_that_are_missing_count_for_nothing)
def no_label_no_error(answers, since):
    rows = answers[answers["day"] >= since]
    gain = ((rows["y"] - rows["never"]).abs() - (rows["y"] - rows["flow"]).abs()).fillna(0)
    weeks = (gain - gain.mean()).groupby(rows["day"].dt.to_period("W")).sum()
    return gain.mean(), (weeks**2).sum() ** 0.5 / len(rows)


@wrong(saved, caught_by=labels_that_are_missing_count_for_nothing)
def divides_by_all_trips(answers, since):
    rows = answers[answers["day"] >= since]
    mean, error = saved(answers, since)
    return mean, error * rows["y"].notna().sum() / len(rows)


@wrong(saved, caught_by=trips_of_a_week_are_alike)
def trip_by_trip(answers, since):
    rows = answers[(answers["day"] >= since) & answers["y"].notna()]
    gain = (rows["y"] - rows["never"]).abs() - (rows["y"] - rows["flow"]).abs()
    return gain.mean(), gain.std() / len(gain) ** 0.5


@wrong(saved, caught_by=trips_of_a_week_are_alike)
def weeks_by_their_number(answers, since):
    rows = answers[(answers["day"] >= since) & answers["y"].notna()]
    gain = (rows["y"] - rows["never"]).abs() - (rows["y"] - rows["flow"]).abs()
    weeks = (gain - gain.mean()).groupby(rows["day"].dt.isocalendar().week).sum()
    return gain.mean(), (weeks**2).sum() ** 0.5 / len(rows)


@wrong(saved, caught_by=trips_of_a_week_are_alike)
def two_errors_that_are_not_paired(answers, since):
    rows = answers[(answers["day"] >= since) & answers["y"].notna()]
    sides = [(rows["y"] - rows[name]).abs() for name in ("never", "flow")]
    weeks = [((one - one.mean()).groupby(rows["day"].dt.to_period("W")).sum() ** 2).sum() for one in sides]
    return sides[0].mean() - sides[1].mean(), sum(weeks) ** 0.5 / len(rows)


@also_right(saved)
def with_numpy(answers, since):
    rows = answers.dropna(subset=["y"]).query("day >= @since")
    y, flow, never = (rows[name].to_numpy() for name in ("y", "flow", "never"))
    gain = np.abs(y - never) - np.abs(y - flow)
    mondays = rows["day"] - pd.to_timedelta(rows["day"].dt.dayofweek, "D")
    _, week = np.unique(mondays, return_inverse=True)
    sums = np.bincount(week, weights=gain - gain.mean())
    return gain.mean(), np.sqrt((sums**2).sum()) / len(gain)


@also_right(saved)
def row_by_row(answers, since):
    gains, weeks = [], {}
    for row in answers.itertuples():
        if row.day >= since and row.y == row.y:
            gains.append((row.day.to_period("W"), abs(row.y - row.never) - abs(row.y - row.flow)))
    mean = sum(gain for _, gain in gains) / len(gains)
    for week, gain in gains:
        weeks[week] = weeks.get(week, 0.0) + gain - mean
    return mean, sum(value**2 for value in weeks.values()) ** 0.5 / len(gains)


# --- retrain_on -------------------------------------------------------------------------------------------------------

MONTH_OF_A_MINUTE, RETRAINING = 500, 200  # dollars
ALLOWED = {
    "the thirty months": 52_600,
    "the quiet months": 33_500,
    "another calendar": 52_600,
    "an earlier break": 29_600,
}


@right
def retrain_on(seen):
    """Return the window in months on which to retrain (1, 3 or 12), or 0 to keep the model.

    Called at the end of each month, as the flow calls it. `seen` has `month` (such as "2020-04"), `error` (the mean
    absolute error, in minutes, on the labels that are there) and `age` (months since the champion was trained);
    `seen.drifted` is empty here. A minute of error costs 500 dollars a month, a retraining with its release 200. What is
    trained at the end of a month answers from the middle of the next one on. Never retraining costs 55,824 dollars in
    the thirty months, and monthly retraining on three months 56,065; 52,600 are allowed.
    """
    return 3 if seen.error > 3.7 else 0


_QUIET = [month for month in MONTHS if month < "2020-03"]
_EARLY = MONTHS[:4] + [month for month in MONTHS if month >= "2020-01"]
_LATER = [f"{int(month[:4]) + 3}{month[4:]}" for month in MONTHS]
_WORLDS = {
    "the thirty months": (MONTHS, MONTHS),
    "the quiet months": (_QUIET, _QUIET),
    "another calendar": (MONTHS, _LATER),
    "an earlier break": (_EARLY, MONTHS[: len(_EARLY)]),
}


def _bill(answer, kind):
    try:
        lived = replay(lambda seen: int(answer(seen)), *_WORLDS[kind])
    except ValueError as fault:
        raise AssertionError(str(fault)) from None
    except (KeyError, IndexError) as fault:
        raise AssertionError(
            f"{kind}: your policy looked for {fault}, which is not there: ask `seen` alone"
        ) from None
    return MONTH_OF_A_MINUTE * lived["error"].sum() + RETRAINING * (lived["window"] > 0).sum()


def _judge(answer, kind, why):
    bill, allowed = _bill(answer, kind), ALLOWED[kind]
    assert bill <= allowed, f"{kind}: {bill:,.0f} dollars, {allowed:,} are allowed; {why}"


@checks(retrain_on)
def returns_a_window(answer):
    """Which four values may come back?"""
    for error in (3.0, 3.6, 4.5, 6.3):
        for age in (1, 2, 3, 6, 20):
            window = answer(Seen("2019-05", error, [], age))
            whole = isinstance(window, int | np.integer) and not isinstance(window, bool)
            assert whole and window in (0, *WINDOWS), (
                f"for error {error} and age {age} you returned {window!r}; return a whole number, 0, 1, 3 or 12"
            )


@checks(retrain_on)
def asks_nothing_but_what_is_seen(answer):
    """The flow is started anew each month. Does your policy remember how often it was called?"""
    asked = [
        Seen(month, error, [], age)
        for month in MONTHS[::3]
        for error in (3.1, 4.2, 6.0)
        for age in (1, 2, 5, 9)
    ]
    once, again = [answer(one) for one in asked], [answer(one) for one in asked[::-1]][::-1]
    for one, first, second in zip(asked, once, again, strict=True):
        assert first == second, (
            f"for {one} you returned {first}, and {second} when asked again in another order"
        )


@checks(retrain_on)
def leaves_quiet_months_alone(answer):
    """The error moves between 3.1 and 3.6 with the season. How often does a retraining earn its 200 dollars?"""
    _judge(answer, "the quiet months", "never retraining costs 32,913 there")


@checks(retrain_on)
def answers_the_break(answer):
    """How far back does your window reach in the month after a break, and how long do you wait before you try again?"""
    _judge(
        answer,
        "the thirty months",
        "never retraining costs 55,824, and a window of 12 months keeps the old city",
    )


@checks(retrain_on)
def knows_no_date(answer):
    """What does your policy do if the same happens three years later?"""
    _judge(
        answer, "another calendar", "the same months, called 2021-07 to 2023-12: a date does not come back"
    )


@checks(retrain_on)
def finds_the_break_elsewhere(answer):
    """What does your policy do if the break comes in a winter?"""
    _judge(answer, "an earlier break", "the break comes in the eighth month; never retraining costs 32,730")


@wrong(retrain_on, caught_by=returns_a_window)
def says_retrain(seen):
    return "retrain" if seen.error > 3.7 else "keep"


@wrong(retrain_on, caught_by=returns_a_window)
def says_yes_or_no(seen):
    return seen.error > 3.7


@wrong(retrain_on, caught_by=returns_a_window)
def takes_two_months(seen):
    return 2 if seen.error > 3.7 else 0


@wrong(retrain_on, caught_by=asks_nothing_but_what_is_seen)
def counts_its_calls(seen):
    counts_its_calls.calls = getattr(counts_its_calls, "calls", 0) + 1
    return 3 if counts_its_calls.calls % 22 in (0, 1) else 0


@wrong(retrain_on, caught_by=leaves_quiet_months_alone)
def every_month(seen):
    return 3


@wrong(retrain_on, caught_by=leaves_quiet_months_alone)
def every_quarter(seen):
    return 3 if seen.age >= 3 else 0


@wrong(retrain_on, caught_by=leaves_quiet_months_alone)
def takes_autumn_for_a_break(seen):
    return 3 if seen.error > 3.4 else 0


@wrong(retrain_on, caught_by=answers_the_break)
def never(seen):
    return 0


@wrong(retrain_on, caught_by=answers_the_break)
def keeps_the_old_city(seen):
    return 12 if seen.error > 3.7 else 0


@wrong(retrain_on, caught_by=answers_the_break)
def twice_a_year(seen):
    return 12 if seen.age >= 6 else 0


@wrong(retrain_on, caught_by=answers_the_break)
def waits_for_a_catastrophe(seen):
    return 3 if seen.error > 7 else 0


@wrong(retrain_on, caught_by=knows_no_date)
def knows_when_it_was(seen):
    return 3 if seen.month in ("2020-04", "2020-05") else 0


@wrong(retrain_on, caught_by=knows_no_date)
def looks_ahead(seen):
    truth = {"2020-04": 6.14, "2020-05": 5.72, "2020-06": 5.20}
    return 3 if truth.get(seen.month, 3.3) > 5.5 else 0


@wrong(retrain_on, caught_by=finds_the_break_elsewhere)
def knows_the_season(seen):
    return (
        3
        if seen.month.endswith(("-04", "-05"))
        and seen.age > 12
        or seen.month.endswith("-05")
        and seen.age == 1
        else 0
    )


@also_right(retrain_on)
def tries_again_later(seen):
    if seen.error <= 3.9:
        return 0
    return 3 if seen.age <= 1 or seen.age >= 3 else 0


@also_right(retrain_on)
def one_month_while_it_is_strange(seen):
    return int(seen.error > 3.7)


@also_right(retrain_on)
def with_a_number_of_numpy(seen):
    return 3 * (np.float64(seen.error) > 3.7)


@also_right(retrain_on)
def by_what_it_pays(seen):
    months, usual = 6, 3.35  # how long a gain lasts, and the error of a good month
    gain = MONTH_OF_A_MINUTE * months * (seen.error - usual) / 2
    return 3 if gain > 2 * RETRAINING + 150 else 0


@also_right(retrain_on)
def with_a_long_memory_in_quiet_times(seen):
    if seen.error > 3.7:
        return 1
    return {True: 12, False: 0}[seen.age >= 6]

"""Exercises of lesson 15c: a split for a station never seen, and the level of one that has just opened."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- unseen_split -----------------------------------------------------------------------------------------------------


@right
def unseen_split(panel, station, cutoff, days):
    """Split a panel to test a model on a station that it has never seen; return two frames, train and test.

    `panel` has the columns unique_id, ds and y, a row for each station and day. `test`: the `days` days of `station`
    after the cutoff. `train`: all rows that a model may learn from, so that the test is what it will be on opening day.
    The cutoff itself is the last day that is known. Keep the rows as they are, in their order.
    """
    known = panel["ds"] <= cutoff
    ends = pd.Timestamp(cutoff) + pd.Timedelta(days=days)
    own = panel["unique_id"] == station
    return panel[~own & known], panel[own & ~known & (panel["ds"] <= ends)]


@also_right(unseen_split)
def asks_in_words(panel, station, cutoff, days):
    ahead = pd.date_range(cutoff, periods=days + 1, inclusive="right")
    train = panel.query("unique_id != @station and ds <= @cutoff")
    test = panel.query("unique_id == @station")
    return train, test[test["ds"].isin(ahead)]


@also_right(unseen_split)
def counts_days_in_numpy(panel, station, cutoff, days):
    ahead = (panel["ds"].to_numpy() - np.datetime64(pd.Timestamp(cutoff))) / np.timedelta64(1, "D")
    own = panel["unique_id"].to_numpy() == station
    return panel.loc[(ahead <= 0) & ~own], panel.loc[(ahead > 0) & (ahead <= days) & own]


@also_right(unseen_split)
def takes_the_rows_one_by_one(panel, station, cutoff, days):
    cutoff = pd.Timestamp(cutoff)
    train, test = [], []
    for row, (name, day) in enumerate(zip(panel["unique_id"], panel["ds"], strict=True)):
        ahead = (day - cutoff).days
        if name != station and ahead <= 0:
            train.append(row)
        if name == station and 0 < ahead <= days:
            test.append(row)
    return panel.iloc[train], panel.iloc[test]


_CUTOFF = pd.Timestamp("2015-06-14")


def _panel():
    """Four made-up stations over 60 days, day after day, so that the rows of a station are not together."""
    days = pd.date_range("2015-05-16", periods=60)
    names = ["addison", "belmont", "kedzie", "polk"]
    rows = pd.MultiIndex.from_product([days, names], names=["ds", "unique_id"]).to_frame(index=False)
    return rows[["unique_id", "ds"]].assign(y=np.arange(len(rows)) / 10.0)


def _split(answer, panel=None, station="kedzie", days=14):
    parts = answer(_panel() if panel is None else panel, station, _CUTOFF, days)
    assert isinstance(parts, tuple | list) and len(parts) == 2, "return two frames: train, test"
    for part in parts:
        assert isinstance(part, pd.DataFrame) and {"unique_id", "ds", "y"} <= set(part.columns), (
            "train and test are frames with the columns of the panel"
        )
    return parts


@checks(unseen_split)
def station_is_unseen(answer):
    """What would the model know of this station on the evening before it opens?"""
    train, _ = _split(answer)
    seen = int((train["unique_id"] == "kedzie").sum())
    assert seen == 0, f"{seen} rows of the station that is to be unseen are in your training"


@checks(unseen_split)
def neighbours_end_at_the_cutoff(answer):
    """Which rides of the *other* stations are known on opening day? A holiday or a storm reaches all on the same day."""
    train, _ = _split(answer)
    late = int((train["ds"] > _CUTOFF).sum())
    assert late == 0, (
        f"{late} rows of other stations lie after the cutoff: the future of one is in all of them"
    )


@checks(unseen_split)
def test_is_the_days_ahead(answer):
    """Which is the first day that is not known at the cutoff, and which is the last that you forecast?"""
    _, test = _split(answer)
    wanted = list(pd.date_range("2015-06-15", periods=14))
    assert list(test["unique_id"].unique()) == ["kedzie"], "only the station itself is tested"
    assert list(test["ds"]) == wanted, (
        f"14 days from 2015-06-15 to 2015-06-28; yours are {len(test)}, the first {test['ds'].min():%Y-%m-%d}"
    )


@checks(unseen_split)
def nothing_known_is_left_out(answer):
    """Is there a reason to leave out a day of another station that had passed? The cutoff itself has passed too."""
    train, _ = _split(answer)
    assert len(train) == 3 * 30, (
        f"three other stations have 30 days up to the cutoff, 90 rows; you keep {len(train)}"
    )


@checks(unseen_split)
def rows_stay_as_they_are(answer):
    """How does somebody find your rows again in the panel? By the index they came with, in the panel's order."""
    panel = _panel()
    for part in _split(answer, panel):
        assert part.index.is_monotonic_increasing, "the rows have another order than in the panel"
        assert part.equals(panel.loc[part.index]), "the rows of train and test differ from those of the panel"


@wrong(unseen_split, caught_by=station_is_unseen)
def splits_by_time_only(panel, station, cutoff, days):
    _, test = unseen_split(panel, station, cutoff, days)
    return panel[panel["ds"] <= cutoff], test


@wrong(unseen_split, caught_by=neighbours_end_at_the_cutoff)
def splits_by_station_only(panel, station, cutoff, days):
    _, test = unseen_split(panel, station, cutoff, days)
    return panel[panel["unique_id"] != station], test


@wrong(unseen_split, caught_by=test_is_the_days_ahead)
def tests_on_the_cutoff_too(panel, station, cutoff, days):
    train, _ = unseen_split(panel, station, cutoff, days)
    own = panel[(panel["unique_id"] == station) & (panel["ds"] >= cutoff)]
    return train, own.head(days)


@wrong(unseen_split, caught_by=test_is_the_days_ahead)
def tests_to_the_end(panel, station, cutoff, days):
    train, _ = unseen_split(panel, station, cutoff, days)
    return train, panel[(panel["unique_id"] == station) & (panel["ds"] > cutoff)]


@wrong(unseen_split, caught_by=nothing_known_is_left_out)
def leaves_the_cutoff_out(panel, station, cutoff, days):
    train, test = unseen_split(panel, station, cutoff, days)
    return train[train["ds"] < cutoff], test


@wrong(unseen_split, caught_by=nothing_known_is_left_out)
def keeps_one_neighbour(panel, station, cutoff, days):
    train, test = unseen_split(panel, station, cutoff, days)
    return train[train["unique_id"] == train["unique_id"].iloc[0]], test


@wrong(unseen_split, caught_by=rows_stay_as_they_are)
def numbers_the_rows_anew(panel, station, cutoff, days):
    return tuple(part.reset_index(drop=True) for part in unseen_split(panel, station, cutoff, days))


@wrong(unseen_split, caught_by=rows_stay_as_they_are)
def sorts_by_station(panel, station, cutoff, days):
    return unseen_split(panel.sort_values(["unique_id", "ds"]), station, cutoff, days)


# --- opening_level ----------------------------------------------------------------------------------------------------


@right
def opening_level(own, shares, planned, worth):
    """Return the level (rides on a mean day) of a station that has just opened, between its own days and a plan.

    `own`: rides of its first days, a Series by day, empty before the opening. `shares`: its neighbours' share of their
    level, a Series by day that may hold more days. The own level is the sum of `own` over the sum of `shares` on the
    same days. Of n days, the result is (n · own level + worth · planned) / (n + worth): the plan is worth so many days.
    Days whose rides are missing count nowhere.
    """
    own = own.dropna()
    if own.empty:
        return planned
    level = own.sum() / shares[own.index].sum()
    return (len(own) * level + worth * planned) / (len(own) + worth)


@also_right(opening_level)
def joins_both_by_day(own, shares, planned, worth):
    both = own.dropna().to_frame("own").join(shares.rename("share"))
    n = len(both)
    level = both["own"].sum() / both["share"].sum() if n else 0.0
    weight = n / (n + worth)
    return weight * level + (1 - weight) * planned


@also_right(opening_level)
def adds_up_in_plain_python(own, shares, planned, worth):
    rides = {day: y for day, y in own.items() if y == y}
    if not rides:
        return planned
    level = sum(rides.values()) / sum(shares.loc[day] for day in rides)
    return (len(rides) * level + worth * planned) / (len(rides) + worth)


def _week():
    """Made-up shares of the neighbours over 28 days, the weekends low and one holiday."""
    days = pd.date_range("2015-06-15", periods=28)
    shares = pd.Series(np.where(days.dayofweek < 5, 1.25, 0.375), index=days)
    shares["2015-07-03"] = 0.25
    return shares


def _level(answer, own, planned=4.0, worth=7):
    found = answer(own.copy(), _week(), planned, worth)
    try:
        return float(found)
    except (TypeError, ValueError):
        raise AssertionError(f"return one number, not a {type(found).__name__}") from None


def _equal(found, wanted, why):
    assert abs(found - wanted) < 1e-9, f"{why}: {wanted:.3f}; you returned {found:.3f}"


@checks(opening_level)
def before_the_opening_the_plan_counts(answer):
    """What is known before the first day? With no days, what is left of the formula?"""
    empty = pd.Series([], index=pd.DatetimeIndex([]), dtype=float)
    _equal(_level(answer, empty), 4.0, "no day yet, so the plan of 4 thousand rides")


@checks(opening_level)
def compares_on_the_same_days(answer):
    """Is a mean of your first days a level, if they were a weekend? What did the neighbours have on those very days?"""
    weekend = 3.0 * _week()["2015-06-20":"2015-06-21"]
    _equal(
        _level(answer, weekend, worth=0),
        3.0,
        "a weekend of three times the neighbours' shares is a level of 3",
    )


@checks(opening_level)
def weighs_by_days(answer):
    """How many days stand behind the own level, and how many is the plan worth? Each counts by its days."""
    days = 3.0 * _week()["2015-06-15":"2015-06-21"]
    _equal(_level(answer, days), 3.5, "seven days of level 3, and a plan of 4 that is worth seven days")
    month = 3.0 * _week()
    _equal(_level(answer, month), 3.2, "28 days of level 3, and a plan of 4 that is worth seven days")


@checks(opening_level)
def sums_before_it_divides(answer):
    """Which day should count more, a Monday with many rides or a holiday with few? Read the task: sum over sum."""
    own = (3.0 * _week()).iloc[:6]
    own.iloc[0] += 1.0
    _equal(_level(answer, own, worth=0), own.sum() / 6.625, "the sum of rides over the sum of shares")


@checks(opening_level)
def missing_days_count_nowhere(answer):
    """A day without a count: is it in n? Is it in the sum of the neighbours? And if no day has a count?"""
    own = 3.0 * _week()["2015-06-15":"2015-06-21"]
    own.iloc[:3] = np.nan
    _equal(_level(answer, own), (4 * 3 + 7 * 4) / 11, "four days of seven have rides")
    with np.errstate(invalid="ignore"):  # 0 / 0
        _equal(_level(answer, own.iloc[:3]), 4.0, "three days, all without rides, so the plan")


@wrong(opening_level, caught_by=before_the_opening_the_plan_counts)
def divides_by_nothing(own, shares, planned, worth):
    own = own.dropna()
    level = own.sum() / shares[own.index].sum() if len(own) else 0.0
    return level if worth == 0 else (max(len(own), 1) * level + worth * planned) / (max(len(own), 1) + worth)


@wrong(opening_level, caught_by=compares_on_the_same_days)
def takes_the_mean_of_its_days(own, shares, planned, worth):
    own = own.dropna()
    return (own.sum() + worth * planned) / (len(own) + worth) if len(own) + worth else planned


@wrong(opening_level, caught_by=compares_on_the_same_days)
def takes_all_days_of_the_neighbours(own, shares, planned, worth):
    own = own.dropna()
    if own.empty:
        return planned
    level = own.mean() / shares.mean()
    return (len(own) * level + worth * planned) / (len(own) + worth)


@wrong(opening_level, caught_by=weighs_by_days)
def takes_half_of_each(own, shares, planned, worth):
    own = own.dropna()
    if own.empty:
        return planned
    level = own.sum() / shares[own.index].sum()
    return level if worth == 0 else (level + planned) / 2


@wrong(opening_level, caught_by=weighs_by_days)
def swaps_the_weights(own, shares, planned, worth):
    own = own.dropna()
    if own.empty:
        return planned
    level = own.sum() / shares[own.index].sum()
    if worth == 0:
        return level
    return (worth * level + len(own) * planned) / (len(own) + worth)


@wrong(opening_level, caught_by=sums_before_it_divides)
def averages_the_ratios(own, shares, planned, worth):
    own = own.dropna()
    if own.empty:
        return planned
    level = (own / shares[own.index]).mean()
    return (len(own) * level + worth * planned) / (len(own) + worth)


@wrong(opening_level, caught_by=missing_days_count_nowhere)
def looks_for_empty_too_early(own, shares, planned, worth):
    if own.empty:
        return planned
    own = own.dropna()
    level = own.sum() / shares[own.index].sum()
    return (len(own) * level + worth * planned) / (len(own) + worth)


@wrong(opening_level, caught_by=missing_days_count_nowhere)
def counts_days_without_rides(own, shares, planned, worth):
    if own.empty:
        return planned
    level = own.sum() / shares[own.index].sum()
    return (len(own) * level + worth * planned) / (len(own) + worth)

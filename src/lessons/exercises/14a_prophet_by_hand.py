"""Exercises of lesson 14a: Fourier columns, and a holiday with a window."""

import math

import numpy as np
import pandas as pd

from course.data import load_births
from course.exercise import also_right, checks, right, wrong

# --- fourier_columns --------------------------------------------------------------------------------------------------


@right
def fourier_columns(ds, period, order):
    """Return an array with a row for each day of the Series `ds` and 2 × `order` columns.

    Column by column: the sine and the cosine of 2πnt / `period` for n = 1, then for n = 2, up to n = `order`.
    t is the number of days since 1970-01-01, so a day has the same values in every frame.
    """
    t = (ds - pd.Timestamp("1970-01-01")).dt.days.to_numpy()
    angles = [2 * np.pi * n * t / period for n in range(1, order + 1)]
    return np.column_stack([wave for angle in angles for wave in (np.sin(angle), np.cos(angle))])


@also_right(fourier_columns)
def takes_real_and_imaginary_parts(ds, period, order):
    t = ds.to_numpy().astype("datetime64[D]").astype(int)
    wave = np.exp(2j * np.pi * np.outer(t, np.arange(1, order + 1)) / period)
    return np.stack([wave.imag, wave.real], axis=2).reshape(len(ds), 2 * order)


@also_right(fourier_columns)
def computes_day_by_day(ds, period, order):
    rows = []
    for day in ds:
        t, row = (day - pd.Timestamp(1970, 1, 1)).days, []
        for n in range(1, order + 1):
            row += [math.sin(2 * math.pi * n * t / period), math.cos(2 * math.pi * n * t / period)]
        rows.append(row)
    return np.array(rows)


def _days(first="2010-01-01", last="2012-12-31"):
    """Return the days of the births between two dates, a Series with an index from 0."""
    ds = load_births()["ds"]
    return ds[ds.between(first, last)].reset_index(drop=True)


def _columns(answer, ds, period, order):
    found = answer(ds.copy(), period, order)
    found = np.asarray(found, dtype=float) if found is not None else np.empty(0)
    assert found.shape == (len(ds), 2 * order), (
        f"{len(ds)} days and order {order} make an array of {len(ds)} × {2 * order}, you returned {found.shape}"
    )
    return found


@checks(fourier_columns)
def has_two_columns_for_each_order(answer):
    """What would n = 0 give? A sine that is 0 and a cosine that is 1 on all days: nothing to learn from."""
    found = _columns(answer, _days(), 365.25, 4)
    assert (found.std(axis=0) > 0.1).all(), "a column never changes; n runs from 1 to `order`"


@checks(fourier_columns)
def week_repeats_after_seven_days(answer):
    """How far does the angle go in one period? Once round the circle."""
    found = _columns(answer, _days(), 7, 3)
    assert np.allclose(found[:-7], found[7:]), (
        "with a period of 7, a day and the same weekday a week later differ"
    )
    assert not np.allclose(found[:-1], found[1:]), "with a period of 7, two neighbouring days are the same"
    assert len(np.unique(found[:, :2].round(6), axis=0)) == 7, (
        "the first pair tells seven weekdays apart; yours does not: is the angle 2πt / period?"
    )


@checks(fourier_columns)
def sine_stands_beside_its_cosine(answer):
    """Which column stands beside the first sine? The task names the order; of one angle sin² + cos² = 1."""
    found = _columns(answer, _days(), 365.25, 3)
    pairs = found[:, 0::2] ** 2 + found[:, 1::2] ** 2
    assert np.allclose(pairs, 1), "columns 0 and 1, 2 and 3, … are not sine and cosine of the same angle"
    expected = fourier_columns(_days(), 365.25, 3)
    assert np.allclose(found, expected), (
        f"the first day is {expected[0].round(2).tolist()} for period 365.25, not {found[0].round(2).tolist()}"
    )


@checks(fourier_columns)
def day_does_not_depend_on_its_frame(answer):
    """Does the first day of January have the same t in every frame? Row numbers start anew in the future."""
    ds = _days()
    future = ds[ds >= "2012-01-01"].reset_index(drop=True)
    whole = _columns(answer, ds, 365.25, 2)[-len(future) :]
    alone = _columns(answer, future, 365.25, 2)
    assert np.allclose(whole, alone), (
        "1 January 2012 has other values when the frame begins with it: the season would start anew in the future"
    )


@wrong(fourier_columns, caught_by=has_two_columns_for_each_order)
def starts_at_zero(ds, period, order):
    t = (ds - pd.Timestamp("1970-01-01")).dt.days.to_numpy()
    angle = 2 * np.pi * np.outer(t, np.arange(order)) / period
    return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(len(t), -1)


@wrong(fourier_columns, caught_by=has_two_columns_for_each_order)
def forgets_the_cosines(ds, period, order):
    t = (ds - pd.Timestamp("1970-01-01")).dt.days.to_numpy()
    return np.sin(2 * np.pi * np.outer(t, np.arange(1, order + 1)) / period)


@wrong(fourier_columns, caught_by=week_repeats_after_seven_days)
def forgets_two_pi(ds, period, order):
    t = (ds - pd.Timestamp("1970-01-01")).dt.days.to_numpy()
    angle = np.outer(t, np.arange(1, order + 1)) / period
    return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(len(t), -1)


@wrong(fourier_columns, caught_by=week_repeats_after_seven_days)
def goes_half_round(ds, period, order):
    return fourier_columns(ds, 2 * period, order)


@wrong(fourier_columns, caught_by=sine_stands_beside_its_cosine)
def puts_all_sines_first(ds, period, order):
    pairs = fourier_columns(ds, period, order)
    return np.hstack([pairs[:, 0::2], pairs[:, 1::2]])


@wrong(fourier_columns, caught_by=day_does_not_depend_on_its_frame)
def counts_rows(ds, period, order):
    angle = 2 * np.pi * np.outer(np.arange(len(ds)), np.arange(1, order + 1)) / period
    return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(len(ds), -1)


@wrong(fourier_columns, caught_by=day_does_not_depend_on_its_frame)
def counts_from_the_first_day(ds, period, order):
    angle = 2 * np.pi * np.outer((ds - ds.min()).dt.days, np.arange(1, order + 1)) / period
    return np.stack([np.sin(angle), np.cos(angle)], axis=2).reshape(len(ds), -1)


# --- with_window ------------------------------------------------------------------------------------------------------


@right
def with_window(holidays, name, before, after):
    """Return `holidays` with Prophet's columns `lower_window` and `upper_window`, in whole days.

    The holiday `name` also covers `before` days before it and `after` days after it; the others cover their own day
    alone. Prophet counts days before a holiday as negative. Leave the given frame as it is.
    """
    chosen = holidays["holiday"] == name
    return holidays.assign(
        lower_window=np.where(chosen, -before, 0),
        upper_window=np.where(chosen, after, 0),
    )


@also_right(with_window)
def maps_each_name(holidays, name, before, after):
    framed = holidays.copy()
    framed["lower_window"] = [-before if one == name else 0 for one in framed["holiday"]]
    framed["upper_window"] = framed["holiday"].eq(name) * after
    return framed


@also_right(with_window)
def fills_two_columns_of_zeros(holidays, name, before, after):
    framed = holidays.assign(lower_window=0, upper_window=0)
    framed.loc[framed["holiday"] == name, ["lower_window", "upper_window"]] = [-before, after]
    return framed


def _calendar():
    """Return a holiday frame of the births' years: Christmas, New Year and the fourth of July."""
    names = {"Christmas Day": "12-25", "New Year's Day": "01-01", "Independence Day": "07-04"}
    rows = [(pd.Timestamp(f"{year}-{d}"), name) for year in range(2000, 2015) for name, d in names.items()]
    return pd.DataFrame(rows, columns=["ds", "holiday"])


def _framed(answer, before=2, after=1):
    found = answer(_calendar(), "Christmas Day", before, after)
    assert isinstance(found, pd.DataFrame), f"you returned a {type(found).__name__}, not a DataFrame"
    return found


def _covered(holidays, name):
    """Return the days that Prophet would give to a holiday: from lower_window to upper_window around each date."""
    rows = holidays[holidays["holiday"] == name]
    return {
        row.ds + pd.Timedelta(days=int(k))
        for row in rows.itertuples()
        for k in range(int(row.lower_window), int(row.upper_window) + 1)
    }


@checks(with_window)
def has_both_columns(answer):
    """Which two columns does Prophet read, and what do the other holidays have in them? No row may be empty."""
    found = _framed(answer)
    missing = {"ds", "holiday", "lower_window", "upper_window"} - set(found.columns)
    assert not missing, f"the frame lacks {', '.join(sorted(missing))}"
    windows = found[["lower_window", "upper_window"]]
    assert not windows.isna().to_numpy().any(), (
        "a window is missing in some row: the other holidays have 0 and 0"
    )


@checks(with_window)
def days_before_are_negative(answer):
    """On which side of the holiday does Prophet count negative?"""
    found = _framed(answer)
    assert (found["lower_window"] <= 0).all(), "Prophet says: Holiday lower_window should be <= 0"
    assert (found["upper_window"] >= 0).all(), "Prophet says: Holiday upper_window should be >= 0"


@checks(with_window)
def covers_the_days_around(answer):
    """Where does the window begin and where does it end? The day itself is inside and counted extra."""
    covered = _covered(_framed(answer), "Christmas Day")
    days = sorted(d for d in covered if d.year == 2012)
    expected = list(pd.date_range("2012-12-23", "2012-12-26"))
    assert days == expected, "two days before Christmas and one after: 23 to 26 December, you cover " + (
        ", ".join(f"{d:%d %b}" for d in days) or "no day"
    )


@checks(with_window)
def others_keep_their_day(answer):
    """Whose rows get the window? Only those of `name`."""
    found = _framed(answer)
    for name in ("New Year's Day", "Independence Day"):
        days = len(_covered(found, name))
        assert days == 15, f"{name} falls on 15 days in 15 years; in your frame it covers {days}"


@checks(with_window)
def given_calendar_stays_as_it_was(answer):
    """Did you write into the frame that you were given? Return a new one."""
    calendar = _calendar()
    answer(calendar, "Christmas Day", 2, 1)
    assert list(calendar.columns) == ["ds", "holiday"], "the frame that was passed in has got new columns"


@wrong(with_window, caught_by=has_both_columns)
def leaves_the_upper_one_out(holidays, name, before, after):
    return holidays.assign(lower_window=np.where(holidays["holiday"] == name, -before, 0))


@wrong(with_window, caught_by=has_both_columns)
def leaves_the_others_empty(holidays, name, before, after):
    holidays = holidays.copy()
    holidays.loc[holidays["holiday"] == name, ["lower_window", "upper_window"]] = [-before, after]
    return holidays


@wrong(with_window, caught_by=days_before_are_negative)
def counts_days_before_as_positive(holidays, name, before, after):
    chosen = holidays["holiday"] == name
    return holidays.assign(lower_window=np.where(chosen, before, 0), upper_window=np.where(chosen, after, 0))


@wrong(with_window, caught_by=covers_the_days_around)
def swaps_before_and_after(holidays, name, before, after):
    return with_window(holidays, name, after, before)


@wrong(with_window, caught_by=covers_the_days_around)
def takes_before_for_the_whole_window(holidays, name, before, after):
    return with_window(holidays, name, before - 1, after)


@wrong(with_window, caught_by=others_keep_their_day)
def widens_every_holiday(holidays, name, before, after):
    return holidays.assign(lower_window=-before, upper_window=after)


@wrong(with_window, caught_by=given_calendar_stays_as_it_was)
def writes_into_the_calendar(holidays, name, before, after):
    holidays["lower_window"] = np.where(holidays["holiday"] == name, -before, 0)
    holidays["upper_window"] = np.where(holidays["holiday"] == name, after, 0)
    return holidays

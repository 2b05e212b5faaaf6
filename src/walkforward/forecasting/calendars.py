"""The calendar of a panel: the days that its series keep, told from the days themselves or by `freq=`.

Every rule below (a fixed step, the 15th of the month, business days, …) makes all days from the first to the
last; a calendar is told when it leaves out no day within a series. Steps are then counted in positions.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from walkforward.forecasting.entry import Array, day
from walkforward.forecasting.errors import ForecastError

MOST = 2_000_000  # days of a calendar; a step of a millisecond over a year is no calendar but jitter
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


class Calendar(NamedTuple):
    """All days of a panel, and the name of the rule that they keep (a pandas alias where there is one)."""

    days: pd.DatetimeIndex
    name: str


def offset_of(freq: Any) -> pd.DateOffset:
    """The pandas offset that `freq` means: an alias such as "B", an offset, or a timedelta."""
    try:
        if not isinstance(freq, str | pd.DateOffset | pd.offsets.BaseOffset | datetime.timedelta):
            raise ValueError("give an alias of pandas or an offset")
        offset = to_offset(freq)
        forward = pd.Timestamp("2020-01-01") + offset > pd.Timestamp("2020-01-01")
    except (ValueError, TypeError, OverflowError) as error:
        raise ForecastError(f"freq={freq!r}: no frequency; 'D', 'B', 'MS', 'h' are some ({error})") from None
    if not forward:
        raise ForecastError(f"freq={freq!r}: a frequency goes forward, such as freq='D'")
    return offset


def given(days: pd.DatetimeIndex, freq: Any) -> Calendar:
    """The calendar that `freq=` makes from the first day to the last."""
    offset = offset_of(freq)
    try:
        made = pd.date_range(days[0], days[-1], freq=offset).as_unit(days.unit)
    except (ValueError, OverflowError, MemoryError) as error:
        raise ForecastError(f"freq={freq!r} makes no days from {day(days[0])} on ({error})") from None
    return Calendar(made, getattr(offset, "freqstr", str(offset)) if not isinstance(freq, str) else freq)


def told(ds: pd.DatetimeIndex, same: Array) -> Calendar | None:
    """The calendar that leaves no day out between rows that `same` marks (series as the row before).

    Where none does, the one that leaves out fewest, if it knows more days than it lacks. Where two do and
    they differ, the choice is the caller's: `ForecastError`.
    """
    days = pd.DatetimeIndex(np.sort(ds.unique()))
    whole, others = (
        [],
        [],
    )  # each calendar with the positions of ds on it, or with how many days ds leaves out
    for made in rules(days):
        if len(made.days) == len(days):
            return made
        at = made.days.get_indexer(ds)
        lost = int(np.where(same, np.diff(at, prepend=0) - 1, 0).sum())
        if not lost:
            whole.append((made, at - at.min()))
        elif lost <= len(days):
            others.append((lost, made))
    for other, at in whole[1:]:
        if not np.array_equal(at, whole[0][1]):
            choice = " or ".join(f"freq={one.name!r}" for one in (whole[0][0], other))
            raise ForecastError(
                f"the days {day(days[0])} to {day(days[-1])} can be those of several calendars: give {choice}"
            )
    if whole:
        return whole[0][0]
    return min(others, key=lambda pair: pair[0])[1] if others else None


def rules(days: pd.DatetimeIndex) -> Iterator[Calendar]:
    """Each calendar from the first to the last of these sorted days that has all of them."""
    if len(days) < 2:
        yield Calendar(days, "D")
        return
    stamps = days.asi8
    step = int(np.gcd.reduce(np.diff(stamps)))
    if (count := (stamps[-1] - stamps[0]) // step) < MOST:
        every = pd.DatetimeIndex((stamps[0] + step * np.arange(count + 1)).view(f"M8[{days.unit}]"))
        name = to_offset(pd.Timedelta(step, days.unit)).freqstr
        yield Calendar(every, name if step % _a_day(days.unit) else _in_days(step // _a_day(days.unit), days))
    dates = days.to_numpy().astype("M8[D]")
    clock = days.to_numpy() - dates
    if (clock == clock[0]).all():
        for name, made in _of_dates(dates):
            yield Calendar(pd.DatetimeIndex(made.astype(days.dtype) + clock[0]), name)
        yield from _of_pandas(days, dates)
    else:
        yield from _business_hours(days, dates, clock)


def _a_day(unit: str) -> int:
    return int(np.timedelta64(1, "D") / np.timedelta64(1, unit))


def _in_days(step: int, days: pd.DatetimeIndex) -> str:
    if step % 7:
        return "D" if step == 1 else f"{step}D"
    return _times(step // 7, f"W-{WEEKDAYS[days[0].dayofweek]}")


def _times(n: int, name: str) -> str:
    return name if n == 1 else f"{n}{name}"


def _of_dates(dates: Array) -> Iterator[tuple[str, Array]]:
    """Business days, and what is counted in months or in half months."""
    if np.is_busday(dates).all():
        number = np.busday_count(dates[0], dates)
        step = int(np.gcd.reduce(number))
        made = np.busday_offset(dates[0], np.arange(0, number[-1] + 1, step))
        yield _times(step, "B"), made
    month = dates.astype("M8[M]").astype(int)
    in_month = (dates - dates.astype("M8[M]").astype("M8[D]")).astype(int) + 1
    last = _day_of_month(month, 31)
    if (np.diff(month) > 0).all():
        step = int(np.gcd.reduce(np.diff(month)))
        every = np.arange(month[0], month[-1] + 1, step)
        for name, rule in _monthly(dates, in_month):
            if (rule(month) == dates).all():
                yield _times(step, name) if name[:3] != "the" else name, rule(every)
    for name, early, late, second in _half_monthly(dates, in_month, last):
        half = 2 * month + second
        if (np.diff(half) > 0).all():
            step = int(np.gcd.reduce(np.diff(half)))
            every = np.arange(half[0], half[-1] + 1, step)
            first, other = _day_of_month(every // 2, early), _day_of_month(every // 2, late)
            yield _times(step, name), np.where(every % 2, other, first)


def _first(month: Array) -> Array:
    return month.astype("M8[M]").astype("M8[D]")


def _day_of_month(month: Array, number: int) -> Array:
    """That day of each month, or its last where it is shorter."""
    return np.minimum(_first(month) + (int(number) - 1), _first(month + 1) - 1)


def _weekday(dates: Array) -> Array:
    return (dates.astype(int) + 3) % 7  # 1970-01-01 was a Thursday


def _monthly(dates: Array, in_month: Array) -> Iterator[tuple[str, Any]]:
    """Rules of one day a month: months since 1970 → that day of each."""
    weekday, week = int(_weekday(dates[:1])[0]), int(in_month[0] - 1) // 7
    number = int(in_month.max())

    def nth_weekday(month: Array) -> Array:
        first = _first(month)
        return first + (weekday - _weekday(first)) % 7 + 7 * week

    def last_weekday(month: Array) -> Array:
        last = _first(month + 1) - 1
        return last - (_weekday(last) - weekday) % 7

    yield "MS", _first
    yield "ME", lambda month: _first(month + 1) - 1
    yield "BMS", lambda month: np.busday_offset(_first(month), 0, "forward")
    yield "BME", lambda month: np.busday_offset(_first(month + 1) - 1, 0, "backward")
    if week < 4:
        yield f"WOM-{week + 1}{WEEKDAYS[weekday]}", nth_weekday
    yield f"LWOM-{WEEKDAYS[weekday]}", last_weekday
    if 1 < number < 31:
        yield f"the day {number} of the month", lambda month: _day_of_month(month, number)


def _half_monthly(dates: Array, in_month: Array, last: Array) -> Iterator[tuple[str, int, int, Array]]:
    """Rules of two days a month: name, the two days (31 is the last), and which dates are the second."""
    found, firsts = set(in_month.tolist()), set(in_month[dates != last].tolist())
    if len(found) == 2 and 1 in found and max(found) < 28:
        late = max(found)
        yield "SMS" if late == 15 else f"SMS-{late}", 1, late, in_month > 1
    if len(firsts) == 1 and max(firsts) < 28 and (dates == last).any():
        early = min(firsts)
        yield "SME" if early == 15 else f"SME-{early}", early, 31, dates == last


def _of_pandas(days: pd.DatetimeIndex, dates: Array) -> Iterator[Calendar]:
    """Easter and the fiscal years and quarters of whole weeks, by pandas' own offsets."""
    steps = np.diff(dates).astype(int)
    offsets: list[pd.DateOffset] = [pd.offsets.Easter()] if (steps > 320).all() else []
    if (steps % 7 == 0).all() and steps.min() in (91, 98, 364, 371):
        for month in range(1, 13):
            for kind in ("nearest", "last"):
                year = {"weekday": days[0].dayofweek, "startingMonth": month, "variation": kind}
                if steps.min() > 300:
                    offsets.append(pd.offsets.FY5253(**year))
                else:
                    quarters = (pd.offsets.FY5253Quarter(**year, qtr_with_extra_week=n) for n in (1, 2, 3, 4))
                    offsets += quarters
    for offset in offsets:
        if offset.is_on_offset(days[0].normalize()) and offset.is_on_offset(days[-1].normalize()):
            made = pd.date_range(days[0], days[-1], freq=offset).as_unit(days.unit)
            if days.isin(made).all():
                yield Calendar(made, getattr(offset, "freqstr", "") or str(offset))


def _business_hours(days: pd.DatetimeIndex, dates: Array, clock: Array) -> Iterator[Calendar]:
    """The hours 9 to 16 of business days, as pandas counts them."""
    hour = clock / np.timedelta64(1, "h")
    if np.is_busday(dates).all() and (hour == hour.round()).all() and hour.min() >= 9 and hour.max() <= 16:
        number = 8 * np.busday_count(dates[0], dates) + hour.astype(int) - 9
        step = int(np.gcd.reduce(np.diff(number)))
        every = np.arange(number[0], number[-1] + 1, step)
        made = np.busday_offset(dates[0], every // 8).astype(days.dtype) + (every % 8 + 9) * np.timedelta64(
            1, "h"
        )
        yield Calendar(pd.DatetimeIndex(made).as_unit(days.unit), _times(step, "bh"))

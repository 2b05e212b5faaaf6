"""Features that are known when the forecast is made: lags, rolling statistics, the calendar."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import holidays
import numpy as np
import pandas as pd

from walkforward.forecasting.entry import Array, as_dates, whole
from walkforward.forecasting.errors import ForecastError
from walkforward.forecasting.frame import Frame, panel

Rolling = Mapping[int, str | Sequence[str]]
HOWS = ("mean", "sum", "min", "max", "std")


def lag_features(
    y: pd.Series | Frame,
    lags: int | Sequence[int] = (),
    rolling: Rolling | None = None,
    horizon: int = 1,
    *,
    freq: Any = None,
) -> Frame:
    """Lags and rolling statistics of the target that are known `horizon` days ahead, a row for each of `y`.

    A day is a position on the calendar: a month of a monthly series.

    Args:
        y: A Series indexed by its days, or a tidy frame with ds and y.
        lags: Days back, none shorter than the horizon; a number n means 1 to n.
        rolling: Window in days → mean, sum, min, max or std (with n - 1), or several:
            `{7: "mean", 28: ["mean", "std"]}`. It ends `horizon` days before the row's day.
        horizon: How many days before the row's day all must be known.
        freq: The calendar, see `backtest`; None: told from the days.

    Returns:
        Columns such as lag_7 (y of seven days before) and mean_28, a row for each of `y`; first rows NaN.

    Raises:
        ForecastError: A lag is shorter than the horizon (it is not known on the last day of the forecast), or
            y or a setting can't be used.

    >>> y = pd.Series([1.0, 2.0, 4.0], index=pd.date_range("2020-01-01", periods=3))
    >>> lag_features(y, lags=[1], rolling={2: "mean"})
                lag_1  mean_2
    2020-01-01    NaN     NaN
    2020-01-02    1.0     NaN
    2020-01-03    2.0     1.5
    """
    if not whole(horizon, 1):
        raise ForecastError(f"horizon={horizon!r}: a whole number of days, 1 or more")
    if not isinstance(y, Frame | pd.Series):
        raise ForecastError(f"y is a {type(y).__name__}: a Series indexed by days, or a frame with ds and y")
    frame = y if isinstance(y, Frame) else y.to_frame("y").assign(ds=y.index)
    checked = panel(frame, freq=freq, missing_y=True)
    lags = whole_lags(lags)
    for lag in lags:
        if lag < horizon:
            raise ForecastError(
                f"lag {lag} is shorter than the horizon of {horizon}: {horizon} days ahead, y of {lag} days "
                f"before is not yet known. Take lags of {horizon} or more, or forecast recursively"
            )
    names, values = history(checked.matrix(checked.frame["y"]), lags, rolling, horizon)
    back = np.argsort(checked.origin)  # from the panel's order of rows to that of y
    return Frame(values[checked.row[back], checked.day[back]], columns=names, index=y.index)


def whole_lags(lags: int | Sequence[int]) -> list[int]:
    """The lags as a list; a number n means 1 to n."""
    if whole(lags, 100_001):
        raise ForecastError(f"lags={lags}: that many columns; list the lags that you mean")
    if whole(lags, 0):
        return list(range(1, int(lags) + 1))
    if isinstance(lags, str) or not hasattr(lags, "__iter__"):
        raise ForecastError(f"lags={lags!r}: a whole number, or a list of them")
    listed = list(lags)
    for lag in listed:
        if not whole(lag, 1):
            raise ForecastError(f"lag {lag!r}: a lag is a whole number of days, 1 or more")
    return [int(lag) for lag in listed]


def windows(rolling: Rolling | None) -> list[tuple[int, str]]:
    """Each window with each of its statistics."""
    if not isinstance(rolling, Mapping | None):
        raise ForecastError(f"rolling={rolling!r}: windows and what is taken of each, {{7: 'mean'}}")
    pairs = [
        (n, how) for n, some in (rolling or {}).items() for how in ([some] if isinstance(some, str) else some)
    ]
    for window, how in pairs:
        if how not in HOWS or not whole(window, 2):
            raise ForecastError(f"rolling {{{window!r}: {how!r}}}: 2 days or more, and {', '.join(HOWS)}")
    return pairs


def history(
    y: Array, lags: list[int], rolling: Rolling | None, horizon: int = 1, first: int = 0
) -> tuple[list[str], Array]:
    """Names and values (S, T - first, k) of what is known of y (S, T) `horizon` days before each day.

    Element by element and in a fixed order, so that one more day gives the very bits that a rebuild gives.
    """
    pairs = windows(rolling)
    longest = max([*lags, *(horizon + window - 1 for window, _ in pairs), 0])
    long = np.concatenate([np.full((len(y), longest), np.nan), y], axis=1)

    def back(days: int) -> Array:
        return long[:, longest - days + first : long.shape[1] - days]

    names, columns = [f"lag_{lag}" for lag in lags], [back(lag) for lag in lags]
    for window, how in pairs:
        ages = range(horizon, horizon + window)
        if how in ("min", "max"):
            value = (np.minimum if how == "min" else np.maximum).reduce([back(age) for age in ages])
        else:
            value = _sum(back(age) for age in ages)
            if how != "sum":
                value = value / window
            if how == "std":
                value = np.sqrt(_sum((back(age) - value) ** 2 for age in ages) / (window - 1))
        names.append(f"{how}_{window}")
        columns.append(value)
    return names, np.stack(columns, axis=2) if columns else np.empty((len(y), y.shape[1] - first, 0))


def _sum(parts: Any) -> Array:
    """One after the other, whatever their number."""
    total = np.array(next(parts))
    for part in parts:
        total += part
    return total


def calendar_features(ds: Any, country: str | None = "US", names: bool = False) -> Frame:
    """What the calendar tells of each day, known years ahead: a row a day.

    Args:
        ds: Dates of any make; with a time zone, the day is that of the wall clock there.
        country: ISO 3166, as the `holidays` package has them; None for no holidays.
        names: A column for each holiday too.

    Returns:
        weekday (0 Monday), month, day_of_year; with a country holiday, before_holiday, after_holiday (0, 1).

    Raises:
        ForecastError: A row has no date, the country no calendar, or it doesn't reach these years.

    >>> calendar_features(["2024-07-04"], "US")
       weekday  month  day_of_year  holiday  before_holiday  after_holiday
    0        3      7          186        1               0              0
    """
    days = as_dates(ds, "ds", text=True)
    if days.hasnans:
        raise ForecastError(f"ds has no date in row {int(np.argmax(days.isna()))}; drop it, or fill it in")
    out: dict[str, Any] = {"weekday": days.dayofweek, "month": days.month, "day_of_year": days.dayofyear}
    if country is not None:
        of = _holidays(country, days)
        dates = days.to_numpy().astype("M8[D]")
        known = np.array(list(of), dtype="M8[D]")
        for name, shift in (("holiday", 0), ("before_holiday", 1), ("after_holiday", -1)):
            out[name] = np.isin(dates + shift, known).astype(int)
        if names:
            for name in sorted({part for text in of.values() for part in text.split("; ")}):
                when = np.array(
                    [date for date, text in of.items() if name in text.split("; ")], dtype="M8[D]"
                )
                out[re.sub(r"\W+", "_", name.lower()).strip("_")] = np.isin(
                    dates, np.array(when, dtype="M8[D]")
                ).astype(int)
    return Frame(out, index=ds.index if isinstance(ds, pd.Series) else None)


def _holidays(country: str, days: pd.DatetimeIndex) -> Mapping[Any, str]:
    try:
        if not len(days):
            return {}
        first, last = _known_years(country)
        if days.min().year < first or days.max().year > last:
            raise ForecastError(
                f"holidays of {country} are known from {first} to {last}, and ds goes from {days.min().year} "
                f"to {days.max().year}: take country=None (calendar=None), or these years"
            )
        return _of_years(country, days.min().year - 1, days.max().year + 1)
    except (NotImplementedError, TypeError, AttributeError):
        raise ForecastError(
            f"country={country!r}: no such calendar; holidays.list_supported_countries() has the codes"
        ) from None


def _known_years(country: str) -> tuple[int, int]:
    of = holidays.country_holidays(country)
    return of.start_year, of.end_year


@cache
def _of_years(country: str, first: int, last: int) -> Mapping[Any, str]:
    return dict(holidays.country_holidays(country, years=range(first, last + 1)))

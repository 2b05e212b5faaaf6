"""Feature builders that leak and builders that don't: what `find_leaks` must tell apart, 57 of 57.

Each takes the frame of `load_ridership` (ds, y, 18 columns of weather, 10 of sports) and gives a row
for every row. The sports in `KNOWN` stand in the timetable, so they are known in advance; the weather is not.
benchmarks/forecasting.py counts the verdicts, tests/unit/test_forecasting_leaks.py asserts them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from walkforward.forecasting import calendar_features, lag_features

KNOWN = ("cubs_home", "bulls_home")


class Case(NamedTuple):
    """A builder, and whether it leaks."""

    name: str
    builder: Callable[[pd.DataFrame], pd.DataFrame]
    leaks: bool


def _case(name: str, feature: Callable[[pd.DataFrame], object], leaks: bool) -> Case:
    def builder(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"feature": feature(frame)}, index=frame.index)

    return Case(name, builder, leaks)


def _leak(name: str, feature: Callable[[pd.DataFrame], object]) -> Case:
    return _case(name, feature, True)


def _honest(name: str, feature: Callable[[pd.DataFrame], object]) -> Case:
    return _case(name, feature, False)


def _weekday(frame: pd.DataFrame) -> pd.Series:
    return frame["ds"].dt.dayofweek


def _mondays(frame: pd.DataFrame) -> pd.Series:
    """The target as if it were counted on Mondays only."""
    return frame["y"].where(_weekday(frame) == 0)


def _first_component(frame: pd.DataFrame) -> np.ndarray:
    """The first principal component of two columns of weather, over all rows."""
    weather = frame[["temp_f", "humidity_pct"]].to_numpy()
    weather = (weather - weather.mean(axis=0)) / weather.std(axis=0)
    return weather @ np.linalg.svd(weather, full_matrices=False)[2][0]


def _days_to_quiet(frame: pd.DataFrame) -> pd.Series:
    row = pd.Series(np.arange(len(frame), dtype=float), index=frame.index)
    return row.where(frame["y"] < 5).bfill() - row


def _days_since_quiet(frame: pd.DataFrame) -> pd.Series:
    row = pd.Series(np.arange(len(frame), dtype=float), index=frame.index)
    return row - row.where(frame["y"] < 5).ffill().shift(1)


def _end(frame: pd.DataFrame, share: float = 0.01) -> np.ndarray:
    """The last days: the last hundredth of them."""
    return np.arange(len(frame)) >= len(frame) * (1 - share)


def _at_the_end(frame: pd.DataFrame, honest: pd.Series, leaking: object) -> pd.Series:
    """A feature that leaks on the last hundredth of the days only."""
    return honest.where(~_end(frame), leaking)


def _workdays(frame: pd.DataFrame, column: str = "y") -> pd.Series:
    """A column as if it were counted from Monday to Friday only."""
    return frame[column].where(_weekday(frame) < 5)


def _clipped(values: pd.Series, low: float, high: float) -> pd.Series:
    return values.clip(values.quantile(low), values.quantile(high))


def _clipped_so_far(values: pd.Series) -> pd.Series:
    past = values.expanding(30)
    return values.clip(past.quantile(0.01), past.quantile(0.99)).shift(1)


def _lags(frame: pd.DataFrame) -> pd.DataFrame:
    return lag_features(frame[["ds", "y"]], [1, 7, 14], {7: ["mean", "std"]})


def _calendar(frame: pd.DataFrame) -> pd.DataFrame:
    return calendar_features(frame["ds"], "US", names=True)


CASES = [
    _leak("centred window", lambda f: f["y"].rolling(7, center=True).mean()),
    _leak("centred window, shifted by too little", lambda f: f["y"].rolling(7, center=True).mean().shift(2)),
    _leak("today's target in a rolling mean", lambda f: f["y"].rolling(7).mean()),
    _leak("expanding mean that includes today", lambda f: f["y"].expanding().mean()),
    _leak("exponential mean that includes today", lambda f: f["y"].ewm(span=7).mean()),
    _leak("lead", lambda f: f["y"].shift(-1)),
    _leak("difference to tomorrow", lambda f: f["y"].shift(-1) - f["y"]),
    _leak("difference to yesterday", lambda f: f["y"].diff()),
    _leak("scaler fitted on all days", lambda f: ((f["y"] - f["y"].mean()) / f["y"].std()).shift(1)),
    _leak("principal component fitted on all days", lambda f: pd.Series(_first_component(f)).shift(14)),
    _leak("back-fill of the first lags", lambda f: f["y"].shift(7).bfill()),
    _leak("weather of the day, not declared", lambda f: f["temp_f"]),
    _leak("target encoding over all days", lambda f: f["y"].groupby(_weekday(f)).transform("mean")),
    _leak("seasonal mean over all years", lambda f: f["y"].groupby(f["ds"].dt.dayofyear).transform("mean")),
    _leak("mean of the running week", lambda f: f["y"].groupby(f["ds"].dt.to_period("W")).transform("mean")),
    _leak("rank over all days", lambda f: f["y"].shift(1).rank(pct=True)),
    _leak("deciles of all days", lambda f: pd.qcut(f["y"].shift(1), 10, labels=False)),
    _leak("interpolation between the days known", lambda f: _mondays(f).interpolate().shift(1)),
    _leak("smoothing from both sides", lambda f: f["y"][::-1].ewm(span=7).mean()[::-1].shift(1)),
    _leak("days to the next quiet day", _days_to_quiet),
    _leak("today's target on the last days", lambda f: _at_the_end(f, f["y"].shift(1), f["y"])),
    _leak("lead on the last days", lambda f: _at_the_end(f, f["y"].shift(1), f["y"].shift(-1))),
    _leak("mean of all days on the last days", lambda f: _at_the_end(f, f["y"].shift(1), f["y"].mean())),
    _leak(
        "centred window at the end",
        lambda f: _at_the_end(f, f["y"].rolling(7).mean().shift(1), f["y"].rolling(7, center=True).mean()),
    ),
    _leak("weather of the last days", lambda f: _at_the_end(f, f["temp_f"].shift(1), f["temp_f"])),
    _leak("weekends interpolated", lambda f: _workdays(f).interpolate()),
    _leak("weekends interpolated, a day later", lambda f: _workdays(f).interpolate().shift(1)),
    _leak("weekends back-filled", lambda f: _workdays(f).bfill().shift(1)),
    _leak("weather of weekends interpolated", lambda f: _workdays(f, "temp_f").interpolate().shift(1)),
    _leak("clipped at quantiles of all days", lambda f: _clipped(f["y"], 0.01, 0.99).shift(1)),
    _leak("clipped above, at a quantile of all days", lambda f: _clipped(f["y"], 0.0, 0.999).shift(1)),
    _leak("clipped below, at a quantile of all days", lambda f: _clipped(f["y"], 0.001, 1.0).shift(1)),
    _leak("weather clipped at quantiles of all days", lambda f: _clipped(f["temp_f"], 0.005, 0.995).shift(1)),
    Case("lags and windows that end the day before", _lags, False),
    Case("calendar and holidays", _calendar, False),
    _honest("rolling mean, shifted", lambda f: f["y"].rolling(7).mean().shift(1)),
    _honest("rolling median of the last four weeks", lambda f: f["y"].shift(1).rolling(28).median()),
    _honest("expanding mean, shifted", lambda f: f["y"].expanding().mean().shift(1)),
    _honest("exponential mean, shifted", lambda f: f["y"].ewm(span=7).mean().shift(1)),
    _honest("difference of two past days", lambda f: f["y"].shift(1) - f["y"].shift(8)),
    _honest(
        "scaler fitted on earlier days", lambda f: (f["y"] / f["y"].expanding().std()).shift(1).fillna(0.0)
    ),
    _honest("weather of the day before", lambda f: f["temp_f"].shift(1)),
    _honest("game of the day, declared", lambda f: f["cubs_home"]),
    _honest("game of the next day, declared", lambda f: f["bulls_home"].shift(-1)),
    _honest(
        "share of games in the month, declared", lambda f: f["cubs_home"].rolling(31, center=True).mean()
    ),
    _honest(
        "target encoding from earlier days",
        lambda f: f["y"].groupby(_weekday(f)).transform(lambda y: y.shift(1).expanding().mean()),
    ),
    _honest(
        "mean of the same weekday, four weeks",
        lambda f: sum(f["y"].shift(7 * week) for week in range(1, 5)) / 4,
    ),
    _honest("the same weekday of last year", lambda f: f["y"].shift(364)),
    _honest("rank among the days of a year before", lambda f: f["y"].shift(1).rolling(365).rank(pct=True)),
    _honest("record so far", lambda f: f["y"].shift(1) == f["y"].cummax().shift(1)),
    _honest("forward fill between the days known", lambda f: _mondays(f).ffill().shift(1)),
    _honest("days since the last quiet day", _days_since_quiet),
    _honest("weekends filled forward", lambda f: _workdays(f).ffill().shift(1)),
    _honest("clipped at quantiles so far", lambda f: _clipped_so_far(f["y"])),
    _honest("the last days marked", lambda f: _end(f).astype(float)),
    _honest("the lag before on the last days", lambda f: _at_the_end(f, f["y"].shift(1), f["y"].shift(2))),
    _honest("the weekday's name", lambda f: f["ds"].dt.day_name()),
]

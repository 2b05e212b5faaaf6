"""What lesson 13c repeats: two tests, its two models by hand with fit and predict, a calendar, rides by month."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from scipy.signal import lfilter
from statsmodels.tools.sm_exceptions import InterpolationWarning
from statsmodels.tsa import stattools
from threadpoolctl import threadpool_limits

from course.data import load_stations
from walkforward.forecasting import calendar_features

Array = np.ndarray[Any, Any]
BIG = "thanksgiving|christmas_day$|new_year_s_day$"
SMALL = "columbus|veterans|martin|washington"


def adf(y: pd.Series) -> float:
    """The p of the augmented Dickey-Fuller test; its null hypothesis is a unit root."""
    with threadpool_limits(1):  # on matrices so small more threads cost sixty times as much
        return float(stattools.adfuller(y, result_object=True).pvalue)


def kpss(y: pd.Series, around: str = "c") -> float:
    """The statistic of the KPSS test; its null hypothesis is stationary around a constant ("c") or a line ("ct").

    At 5 % it rejects above 0.463 or 0.146. The p of statsmodels is cut at 0.01 and 0.10, with a warning; it is
    not used.
    """
    with warnings.catch_warnings(action="ignore", category=InterpolationWarning):
        return float(stattools.kpss(y, around, result_object=True).statistic)


def smooth(
    y: list[float], level: float, season: Array, alpha: float, gamma: float
) -> tuple[float, Any, Array]:
    """Run through y; return the last level and season, and the relative misses."""
    last, misses = list(season), []
    for t, value in enumerate(y):
        phase = t % len(last)
        expected = level + last[phase]
        level += alpha * (value - expected)
        last[phase] += gamma * (value - expected)
        misses.append((value - expected) / expected)
    return level, last, np.array(misses)


class Smoothing:
    """ETS(M, N, A): the weights with the smallest squares of the relative misses."""

    def __init__(self, season: int = 7) -> None:
        self.m = season

    def fit(self, frame: pd.DataFrame) -> Self:
        """Four seasons give the start; the weights come from all days."""
        y, self.n = frame["y"].tolist(), len(frame)
        first = np.reshape(y[: 4 * self.m], (4, self.m))
        run = partial(smooth, y, first.mean(), first.mean(axis=0) - first.mean())
        self.weights = least_squares(lambda weights: run(*weights)[2], [0.1, 0.1], bounds=(0, 1)).x
        self.level, self.season, _ = run(*self.weights)
        return self

    def predict(self, future: pd.DataFrame) -> Array:
        """The level plus the season."""
        return self.level + np.take(self.season, np.arange(len(future)) + self.n, mode="wrap")


class Airline:
    """ARIMA(0, 1, 1)(0, 1, 1) of one season, by conditional least squares; columns after y are regressors.

    Args:
        season: Steps of a season.
        logs: Model the logarithm of y; the forecast is a median then.
    """

    def __init__(self, season: int = 7, *, logs: bool = False) -> None:
        self.m, self.logs = season, logs

    def _lags(self, step: float, season: float) -> Array:
        return np.convolve([1, step], [1, *[0] * (self.m - 1), season])

    def _errors(self, weights: Array) -> tuple[Array, Array]:
        """The errors e of w = Xβ + (1 + θB)(1 + ΘBᵐ)e, and β: both sides through the filter, then least squares."""
        table = lfilter([1], self._lags(*weights), self.changes, axis=0)
        effects = np.linalg.lstsq(table[:, 1:], table[:, 0], rcond=None)[0]
        return table[:, 0] - table[:, 1:] @ effects, effects

    def fit(self, frame: pd.DataFrame) -> Self:
        """Difference everything once by a step and once by a season; find the weights of the errors."""
        self.table = frame.drop(columns="ds").to_numpy(float)
        if self.logs:
            self.table[:, 0] = np.log(self.table[:, 0])
        self.changes = lfilter(self._lags(-1, -1), [1], self.table, axis=0)[self.m + 1 :]
        self.weights = least_squares(lambda w: self._errors(w)[0], [-0.5, -0.5], bounds=(-1, 1)).x
        self.errors, self.effects = self._errors(self.weights)
        return self

    def predict(self, future: pd.DataFrame) -> Array:
        """Errors to come are 0; then the differences are undone, step by step."""
        to_come = np.append(self.errors, np.zeros(len(future)))
        y = list(self.table[:, 0] - self.table[:, 1:] @ self.effects)
        for change in lfilter(self._lags(*self.weights), [1], to_come)[len(self.errors) :]:
            y.append(change + y[-1] + y[-self.m] - y[-self.m - 1])
        found = y[-len(future) :] + future.drop(columns="ds").to_numpy(float) @ self.effects
        return np.exp(found) if self.logs else found


def careful_calendar(ds: pd.Series) -> pd.DataFrame:
    """Holidays that change a working day, by class, and the working days beside the three big ones (0, 1)."""
    calendar = calendar_features(ds, "US", names=True)
    named = calendar.iloc[:, 6:].astype(bool)  # a column for each holiday
    big, small = (named.filter(regex=some).any(axis=1) for some in (BIG, SMALL))
    columns = {
        "big": big,
        "small": small,
        "other": named.any(axis=1) & ~big & ~small,
        "before": big.shift(-1, fill_value=False),
        "after": big.shift(1, fill_value=False),
    }
    return pd.DataFrame(columns).mul(calendar["weekday"] < 5, axis=0).astype(float)


def monthly_rides() -> pd.DataFrame:
    """Mean rides a day of each whole month at 20 stations: unique_id, ds, y."""
    days = load_stations()
    days["ds"] = days["ds"].dt.to_period("M").dt.to_timestamp()
    months = days.groupby(["unique_id", "ds"])["y"].agg(["mean", "size"]).query("size > 27")
    return months["mean"].rename("y").reset_index()

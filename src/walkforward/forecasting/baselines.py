"""Forecasts that cost nothing, with Prophet's interface: what a model must beat."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from walkforward.forecasting import calendars
from walkforward.forecasting.entry import Array, as_dates, day, whole
from walkforward.forecasting.errors import ForecastError
from walkforward.forecasting.frame import Frame, panel


class Baseline(BaseEstimator):
    """A forecaster of one series: fit(frame with ds, y), then predict(frame with ds).

    Steps are positions on the calendar of the training days and the days ahead: the month after January is
    one step away, as is the Monday after a Friday of a business-day series. `freq` says which calendar where
    the days don't tell.
    """

    freq: Any

    def fit(self, frame: Frame) -> Self:
        """Remember one series: ds (days in order) and y."""
        checked = panel(frame, freq=self.freq)
        if len(checked.ids) > 1:
            raise ForecastError(
                f"{self!r} takes one series, the frame has {len(checked.ids)}: fit one to each"
            )
        self.ds_ = checked.dates
        return self.learn(checked.frame["y"].to_numpy(dtype=float))

    def learn(self, y: Array) -> Self:
        """Remember the values (n,) of the days in order."""
        if len(y) < self.least:
            raise ForecastError(f"{self!r} needs {self.least} days of training; there are {len(y)}")
        self.y_ = y
        return self

    def predict(self, future: Frame) -> Frame:
        """Columns ds and yhat, for days after the training."""
        if not isinstance(future, Frame) or "ds" not in future:
            raise ForecastError("future has no column ds: give a frame with the days to be forecast")
        ds = as_dates(future["ds"], "future['ds']")
        if len(ds) and (ds.hasnans or ds.min() <= self.ds_[-1]):
            raise ForecastError(
                f"{day(ds.min())} is no day after the training, which ends {day(self.ds_[-1])}"
            )
        return Frame({"ds": ds, "yhat": self.ahead(self._positions(ds))})

    def _positions(self, ds: pd.DatetimeIndex) -> Array:
        """How many days of the calendar each of these lies after the training."""
        later = ds.unique().sort_values()
        both = self.ds_.append(later)
        if not len(later):
            return np.empty(0, dtype=int)
        if self.freq is not None:
            made = calendars.given(both, self.freq)
        else:
            within = np.arange(len(both))
            made = calendars.told(both, (within > 0) & (within < len(self.ds_)))
        steps = made.days.get_indexer(ds) - made.days.get_indexer(self.ds_[-1:]) if made else np.array([-1])
        if (steps < 1).any() or made.days.get_indexer(self.ds_[-1:])[0] < len(self.ds_) - 1:
            raise ForecastError(
                f"{day(later[0])} to {day(later[-1])} don't lie on the calendar of the training, "
                f"{day(self.ds_[0])} to {day(self.ds_[-1])}: give days that do, or name it with freq="
            )
        return steps

    @property
    def least(self) -> int:
        """How many days of training it needs."""
        raise NotImplementedError

    def ahead(self, h: Array) -> Array:
        """The forecasts h steps after the last day (h from 1)."""
        raise NotImplementedError


class SeasonalNaive(Baseline):
    """The last value of the same phase: y of `season` days before, or of twice that, ….

    Args:
        season: Days of a season, on the series' calendar; 12 for the years of a monthly series.
        freq: The calendar, see `backtest`; None: told from the days of training.

    >>> monthly = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=24, freq="MS"), "y": range(24)})
    >>> SeasonalNaive(12).fit(monthly).predict(pd.DataFrame({"ds": [pd.Timestamp("2022-03-01")]}))
              ds  yhat
    0 2022-03-01  14.0
    """

    def __init__(self, season: int = 7, *, freq: Any = None) -> None:
        self.season, self.freq = season, freq

    @property
    def least(self) -> int:
        """A whole season."""
        if not whole(self.season, 1):
            raise ForecastError(f"season={self.season!r}: a whole number of days, 1 or more")
        return self.season

    def ahead(self, h: Array) -> Array:
        """The value of the same phase of the last season."""
        return self.y_[len(self.y_) - self.season + (h - 1) % self.season]


class Drift(Baseline):
    """The last value plus the mean step so far: the line from the first day through the last.

    Args:
        freq: The calendar, see `backtest`; None: told from the days of training.

    >>> frame = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=3), "y": [1.0, 2.0, 5.0]})
    >>> Drift().fit(frame).predict(pd.DataFrame({"ds": [pd.Timestamp("2020-01-04")]}))
              ds  yhat
    0 2020-01-04   7.0
    """

    def __init__(self, *, freq: Any = None) -> None:
        self.freq = freq

    @property
    def least(self) -> int:
        """Two days make a step."""
        return 2

    def ahead(self, h: Array) -> Array:
        """The line, h steps on."""
        return self.y_[-1] + h * (self.y_[-1] - self.y_[0]) / (len(self.y_) - 1)

"""Regressors in a backtest: matrices made once, one fit a fold, and three ways to look ahead.

The matrices are of S series × T days × k columns: `evening` holds what is known the evening before each day,
`in_advance` what is known of the day itself long before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from walkforward.forecasting.entry import Array, as_numbers, day
from walkforward.forecasting.errors import ForecastError, LeakError
from walkforward.forecasting.features import Rolling, calendar_features, history
from walkforward.forecasting.frame import Frame, Panel
from walkforward.forecasting.leaks import Builder, Guard, built_by, feature_numbers, refuse_leaks


class Fold(NamedTuple):
    """Positions on the panel's calendar."""

    start: int  # first training day
    end: int  # last training day: the cutoff
    test: Array

    @property
    def steps(self) -> Array:
        """Of each test day, how many days it lies after the cutoff."""
        return self.test - self.end


class Columns(NamedTuple):
    """What the model learns from; see `backtest`."""

    lags: list[int]
    rolling: Rolling | None
    calendar: str | None
    known: list[str]
    past: Mapping[str, list[int]]
    features: Builder | None
    check: bool


@dataclass(frozen=True)
class Regression:
    """A regressor on matrices; what all folds share."""

    model: Any
    strategy: str
    panel: Panel
    columns: Columns
    y: Array  # S × T
    evening: Array  # the target's own lags and windows, then past, then features
    own: int  # how many columns are the target's own
    in_advance: Array  # calendar, then known
    begun: Array  # S × T: days on which every column of the evening has begun (before, it is warm-up)
    ended: Array  # S × T: days after a series' last
    guard: Guard | None
    feeds_itself: bool  # recursive, and a lag is shorter than the horizon: predictions are fed

    def parts(self) -> list[Regression]:
        """One: the series share a model."""
        return [self]

    def ready(self, fold: Fold, trained: Fold) -> Array:
        """Which series (S) can be forecast at the cutoff."""
        return np.isfinite(self.y[:, fold.end]) & self.begun[:, fold.end + 1]

    def fit(self, fold: Fold) -> list[Any]:
        """The fold's models: one, or for the direct strategy one for each step."""
        return [self._fit_one(fold, ahead) for ahead in self._groups(fold)]

    def _fit_one(self, fold: Fold, ahead: Array) -> Any:
        first = fold.start
        width = max(0, fold.end + 1 - first - int(ahead[-1]))  # days whose targets lie within the training
        targets = np.stack([self.y[:, first + a : first + a + width] for a in ahead], axis=2)
        days = self.begun[:, first : first + width] & np.isfinite(targets).all(axis=2)
        if not days.any():
            raise ForecastError(
                f"series {self.panel.ids[0]}, cutoff {day(self.panel.dates[fold.end])}: no training row has "
                f"all its lags; shorten lags and windows, or begin later (initial=)"
            )
        model = clone(self.model)
        target = targets[days] if self.strategy == "multi_output" else targets[days][:, 0]
        model.fit(self._rows(days, first, ahead, self.evening), target)
        return model

    def predict(self, models: list[Any], fold: Fold, trained: Fold) -> tuple[Array, dict[str, Array]]:
        """Which series can be forecast at this cutoff (S), and their predictions (S, steps of the fold)."""
        ready, out = self.ready(fold, trained), np.full((len(self.y), len(fold.test)), np.nan)
        evening, future = self._as_of(fold)
        if not ready.any():
            return ready, {"yhat": out}
        if self.strategy != "recursive":
            for model, ahead in zip(models, self._groups(fold), strict=True):
                rows = self._rows(ready[:, None], fold.end + 1, ahead, evening)
                out[np.ix_(ready, np.isin(fold.steps - 1, ahead))] = _asked(model, rows, len(ahead))
        elif self.feeds_itself or future is not None:
            out[ready] = self._day_by_day(models[0], fold, ready, evening, future)[:, fold.steps - 1]
        else:  # every lag of every step is known at the cutoff: all in one call
            width = int(fold.test[-1] - fold.test[0]) + 1
            days = np.repeat(ready[:, None], width, axis=1)
            rows = self._rows(days, int(fold.test[0]), np.array([0]), evening)
            out[ready] = _asked(models[0], rows, 1).reshape(-1, width)[:, fold.steps - fold.steps[0]]
        return ready, {"yhat": out}

    def _as_of(self, fold: Fold) -> tuple[Array, Frame | None]:
        """The evening's matrix as of the cutoff; and its frame, if features of it need predictions.

        The future is scrambled: what leaks past the check is worth nothing.
        """
        if self.guard is None:
            return self.evening, None
        guard, last = self.guard, int(fold.steps[-1])
        future = guard.scrambled(fold.end)
        built = built_by(guard.features, future)
        moved = guard.moved(built, fold.end, last) if self.strategy == "recursive" else {}
        if self.columns.check:
            refuse_leaks(guard.moved(built, fold.end, 1))
            if moved:  # on the way only the target is known, from the model's own predictions
                kept = built_by(guard.features, guard.scrambled(fold.end, keep_y=True))
                refuse_leaks(guard.moved(kept, fold.end, last))
        others = self.evening[:, :, : self.evening.shape[2] - built.shape[1]]
        evening = np.concatenate([others, _after_end(self.panel, built, self.ended)], axis=2)
        return evening, future if moved else None

    def _day_by_day(
        self, model: Any, fold: Fold, ready: Array, evening: Array, future: Frame | None
    ) -> Array:
        """recursive: each prediction is taken for the truth by the days after it."""
        lags, rolling, steps = self.columns.lags, self.columns.rolling, int(fold.steps[-1])
        reach = max([*lags, *(rolling or {}), 1])  # days back that the next day's columns read
        y = self.y.copy()
        y[:, fold.end + 1 :] = np.nan
        growing = None if future is None else _Growing(self.panel, self.columns.features, future, fold.end)
        for today in range(fold.end + 1, fold.end + 1 + steps):
            seen = y[:, max(0, today - reach) : today + 1]
            own = history(seen, lags, rolling, first=seen.shape[1] - 1)[1][:, 0]
            others = evening[:, today, self.own :].copy()
            if growing is not None:
                growing.into(others, today)
            rows = np.concatenate([own, others, self.in_advance[:, today]], axis=1)[ready]
            y[ready, today] = _asked(model, rows, 1)[:, 0]
            if growing is not None:
                growing.learn(today, y[:, today])
        return y[ready, fold.end + 1 : fold.end + 1 + steps]

    def _groups(self, fold: Fold) -> list[Array]:
        """For each model of a fold, the days ahead of the evening's day that it is trained for."""
        if self.strategy == "recursive":
            return [np.array([0])]
        ahead = fold.steps - 1
        return [ahead] if self.strategy == "multi_output" else list(ahead[:, None])

    def _rows(self, days: Array, first: int, ahead: Array, evening: Array) -> Array:
        """The matrix of the marked days (S, n) from `first` on, in order of series and day."""
        n = days.shape[1]
        advance = [self.in_advance[:, first + a : first + a + n][days] for a in ahead]
        return np.concatenate([evening[:, first : first + n][days], *advance], axis=1)


class _Growing:
    """The frame of a builder that needs the days between: the truth, after the cutoff the predictions."""

    def __init__(self, panel: Panel, features: Builder, future: Frame, end: int) -> None:
        self.panel, self.features, self.future = panel, features, future
        self.y = np.where(panel.day > end, np.nan, future["y"].to_numpy(dtype=float))
        self.rows = np.full((len(panel.ids), len(panel.dates)), -1)
        self.rows[panel.row, panel.day] = np.arange(len(panel.row))

    def learn(self, at: int, values: Array) -> None:
        """What was predicted of the day `at`, one number for each series (NaN for none)."""
        rows = self.rows[:, at]
        self.y[rows[rows >= 0]] = values[rows >= 0]

    def into(self, columns: Array, at: int) -> None:
        """Write the features of the day `at` into the last of the columns (S, k)."""
        kept = np.flatnonzero(self.panel.day <= at)
        seen = self.future.take(kept).reset_index(drop=True)
        built = built_by(self.features, seen.assign(y=self.y[kept]))
        today = np.flatnonzero(self.panel.day[kept] == at)
        series = self.panel.row[kept][today]
        columns[series, columns.shape[1] - built.shape[1] :] = feature_numbers(built.iloc[today])


def _asked(model: Any, rows: Array, outputs: int) -> Array:
    got = np.asarray(model.predict(rows))
    if got.size != len(rows) * outputs:
        raise ForecastError(
            f"the model's predict gave an array {got.shape} for {len(rows)} rows and {outputs} outputs: "
            f"it gives one number for each"
        )
    return got.reshape(len(rows), outputs)


def _after_end(panel: Panel, built: Frame, ended: Array) -> Array:
    """Columns as S × T × k, 0 after a series' end (dropped later)."""
    return np.where(ended[:, :, None], 0.0, panel.matrix(feature_numbers(built)))


def regression(model: Any, strategy: str, panel: Panel, folds: list[Fold], columns: Columns) -> Regression:
    """The matrices, after checks of the regressors and of the builder."""
    y, longest = panel.matrix(panel.frame["y"]), max(int(fold.steps[-1]) for fold in folds)
    ended = np.isnan(y) & np.logical_or.accumulate(np.isfinite(y), axis=1)
    in_advance = _in_advance(panel, columns, ended)
    names = (columns.lags, columns.rolling, columns.past, columns.features)
    if not (any(names) or in_advance.shape[2]):
        raise ForecastError("nothing to learn from: give lags=, rolling=, calendar=, known= or features=")
    own = history(y, columns.lags, columns.rolling)[1]
    past = [_past(panel, name, lags, strategy, longest) for name, lags in columns.past.items()]
    guard, features = None, []
    if columns.features is not None:
        guard = Guard(columns.features, panel, columns.known)
        features.append(_after_end(panel, guard.honest, ended))
        if columns.check:
            refuse_leaks(guard.leaks(1))
    evening = np.concatenate([own, *past, *features], axis=2)
    begun = np.logical_or.accumulate(np.isfinite(evening), axis=1).all(axis=2)
    short = bool(columns.rolling) or min(columns.lags, default=longest) < longest
    unset = [n for n, value in model.get_params().items() if n.endswith("n_jobs") and value is None]
    one_thread = clone(model).set_params(**dict.fromkeys(unset, 1))
    return Regression(
        *(one_thread, strategy, panel, columns, y, evening, own.shape[2], in_advance, begun, ended, guard),
        feeds_itself=strategy == "recursive" and short,
    )


def check_regressors(panel: Panel, known: list[str], past: Mapping[str, list[int]]) -> None:
    """Columns of the frame, of numbers, and not the target under another name."""
    for column in (*known, *past):
        numbers = _numbers(panel, column)
        if column in known and np.array_equal(
            numbers, panel.frame["y"].to_numpy(dtype=float), equal_nan=True
        ):
            raise LeakError(f"known regressor {column!r} is the target itself")


def _numbers(panel: Panel, column: str) -> Array:
    rule = ": known= and past= name columns of numbers"
    if column not in panel.frame:
        raise ForecastError(f"regressor {column!r} is not in the frame{rule}")
    return as_numbers(panel.frame[column], f"regressor {column!r}", rule)


def _in_advance(panel: Panel, columns: Columns, ended: Array) -> Array:
    parts = [np.empty((*ended.shape, 0))]
    if columns.calendar is not None:
        days = calendar_features(panel.dates, columns.calendar).to_numpy(dtype=float)
        parts.append(np.broadcast_to(days, (len(ended), *days.shape)))
    if columns.known:
        known = np.column_stack([_numbers(panel, name) for name in columns.known])
        parts.append(np.where(ended[:, :, None], 0.0, panel.matrix(known)))
    return np.concatenate(parts, axis=2)


def _past(panel: Panel, column: str, lags: list[int], strategy: str, longest: int) -> Array:
    if strategy == "recursive" and min(lags, default=longest) < longest:
        raise ForecastError(
            f"past regressor {column!r}, lag {min(lags)}: {longest} days ahead it is not yet known. "
            f"Take lags of {longest} or more, strategy='direct', or known="
        )
    return history(panel.matrix(_numbers(panel, column)), lags, None)[1]

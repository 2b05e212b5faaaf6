"""A model of its own for each series: the baselines, and what has Prophet's interface."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from walkforward.forecasting.baselines import Baseline
from walkforward.forecasting.entry import Array, as_numbers
from walkforward.forecasting.errors import ForecastError
from walkforward.forecasting.frame import Frame, Panel
from walkforward.forecasting.matrices import Columns, Fold

SERIES = 16  # of a part, at most: the same on every machine, because the files of `store=` are a part each


@dataclass(frozen=True)
class PerSeries:
    """No series' model sees another's days."""

    model: Any
    panel: Panel
    columns: Columns
    y: Array

    def parts(self) -> list[Self]:
        """The same for some series each, as equal in number as can be."""
        n = len(self.y)
        edges = np.linspace(0, n, -(-n // SERIES) + 1).astype(int)
        return [replace(self, panel=self.panel.part(a, b), y=self.y[a:b]) for a, b in pairwise(edges)]


class Baselines(PerSeries):
    """A baseline for each series, on positions of the calendar."""

    def _trained_on(self, series: int, fold: Fold) -> Array:
        y = self.y[series, fold.start : fold.end + 1]
        return y[np.isfinite(y)]

    def ready(self, fold: Fold, trained: Fold) -> Array:
        """Series (S) with y at the cutoff and as many days before it as the rule needs."""
        days = np.isfinite(self.y[:, fold.start : fold.end + 1]).sum(axis=1)
        return np.isfinite(self.y[:, fold.end]) & (days >= self.model.least)

    def fit(self, fold: Fold) -> dict[int, Baseline]:
        """A rule for each series that is ready; with a single series that isn't, the rule says why."""
        series = np.flatnonzero(self.ready(fold, fold)) if len(self.y) > 1 else [0]
        return {int(i): clone(self.model).learn(self._trained_on(i, fold)) for i in series}

    def predict(
        self, models: dict[int, Baseline], fold: Fold, trained: Fold
    ) -> tuple[Array, dict[str, Array]]:
        """Which series are ready, and their forecasts (S, steps)."""
        out = np.full((len(self.y), len(fold.test)), np.nan)
        for series, model in models.items():
            out[series] = model.ahead(fold.steps)
        return self.ready(fold, trained), {"yhat": out}


class FrameModels(PerSeries):
    """A model of Prophet's interface for each series."""

    def _rows(self, series: int, days: Array, names: list[str]) -> Frame:
        rows = slice(*np.searchsorted(self.panel.row, [series, series + 1]))
        own = self.panel.frame[rows][[*names, *self.columns.known]]
        return own[days[self.panel.day[rows]]].reset_index(drop=True)

    def ready(self, fold: Fold, trained: Fold) -> Array:
        """Series (S) that had begun at the training's cutoff."""
        return np.isfinite(self.y[:, trained.end])

    def fit(self, fold: Fold) -> dict[int, Any]:
        """A fresh model for each series that has training days."""
        fitted, days = {}, np.zeros(self.y.shape[1], dtype=bool)
        days[fold.start : fold.end + 1] = True
        for series in np.flatnonzero(self.ready(fold, fold)):
            fitted[int(series)] = self.model()
            fitted[int(series)].fit(self._rows(series, days, ["ds", "y"]))
        return fitted

    def predict(self, models: dict[int, Any], fold: Fold, trained: Fold) -> tuple[Array, dict[str, Array]]:
        """Which series have days to be forecast, and what their models say of them (S, steps)."""
        out: dict[str, Array] = {}
        ready, days = np.zeros(len(self.y), dtype=bool), np.zeros(self.y.shape[1], dtype=bool)
        days[fold.test] = True
        for series, model in models.items():
            future = self._rows(series, days, ["ds"])
            if future.empty:
                continue
            ready[series] = True
            at = np.isfinite(self.y[series, fold.test])
            for name, values in _said(model, future).items():
                out.setdefault(name, np.full((len(self.y), len(fold.test)), np.nan))[series, at] = values
        if ready.any() and "yhat" not in out:
            raise ForecastError("the model's predict gave no yhat: a frame with ds and yhat, or an array")
        return ready, out


def _said(model: Any, future: Frame) -> dict[str, Array]:
    """The forecasts of the future's days, and their bounds if the model gives some."""
    got, found = model.predict(future), {}
    said = got if isinstance(got, Frame) else {"yhat": np.asarray(got).ravel()}
    for name in ("yhat", "yhat_lower", "yhat_upper"):
        if name in said:
            found[name] = as_numbers(said[name], f"{name} of the model", ", not numbers")
            if len(found[name]) != len(future):
                raise ForecastError(
                    f"the model's predict gave {len(found[name])} {name} for {len(future)} days"
                )
    return found

"""The reader's own flow (`flow` is what its flow.py defines), judged with a week of zeros, and by more folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, backtest, compare


class AfterZeros:
    """A model whose history ends in a week of zeros."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, frame: pd.DataFrame) -> AfterZeros:
        """Learn from the history with its last seven days at zero."""
        self.model.fit(frame.assign(y=[*frame["y"][:-7], *[0.0] * 7]))
        return self

    def predict(self, days: pd.DataFrame) -> pd.DataFrame:
        """What the model says of these days."""
        return self.model.predict(days)


def judged(
    frame: pd.DataFrame, model: Callable[[], Any], calendar: str, ahead: int, folds: int
) -> pd.DataFrame:
    """The forecasts of the last windows."""
    splitter = WalkForwardSplit(ahead, folds)
    return backtest(frame, model, splitter, n_jobs=1, progress=False, freq=calendar)


def missed(told: pd.DataFrame) -> float:
    """The mean absolute error."""
    return float((told["y"] - told["yhat"]).abs().mean())


def with_zeros(frame: pd.DataFrame, model: Callable[[], Any], windows: int) -> list[float]:
    """The error of 28 days ahead as it was and after a week of zeros, and the interval of what that adds."""
    was = judged(frame, model, "D", 28, windows)
    then = judged(frame, lambda: AfterZeros(model()), "D", 28, windows)
    more = compare(then, was)
    return [missed(was), missed(then), more.low, more.high]


def verdict(flow: Any, frame: pd.DataFrame, calendar: str, folds: int) -> list[Any]:
    """Which model the flow's rule takes after so many folds; the trees' error less the naive one, and its interval."""
    season, ahead = flow.CALENDARS[calendar]
    trees = judged(frame, lambda: flow.Trees(calendar), calendar, ahead, folds)
    naive = judged(frame, lambda: SeasonalNaive(season, freq=calendar), calendar, ahead, folds)
    one = compare(trees, naive)
    return [
        flow.decide({"trees": missed(trees), "naive": missed(naive)}),
        one.difference,
        one.low,
        one.high,
    ]

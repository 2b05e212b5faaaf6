"""The splitter: train on the past, test on what comes after it, step forward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils.validation import _num_samples

from walkforward.errors import needs_extra
from walkforward.forecasting.entry import Array, as_dates, whole
from walkforward.forecasting.errors import ForecastError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class WalkForwardSplit(BaseCrossValidator):
    """Train on the past, test on the `horizon` rows after it, step forward: a splitter for `cv=`.

    `WalkForwardSplit(h, n, max_train_size=m, gap=g)` gives the folds of
    `TimeSeriesSplit(n, test_size=h, max_train_size=m, gap=g)`.

    Args:
        horizon: Test rows of a fold.
        n_splits: The last so many windows. None: every window that fits after `initial`.
        step: Rows from one window to the next; None: `horizon`.
        initial: Training rows to begin with, at least; needed without `n_splits`.
        window: "expanding" begins at the first row; "rolling" has as many training rows in every fold.
        max_train_size: Most training rows (expanding), or their number (rolling; None: the first fold's).
        gap: Rows between training and test that are left out.

    Raises:
        ForecastError: A number is not whole or too small, or neither n_splits nor initial is given.

    >>> for train, test in WalkForwardSplit(2, 2).split(range(6)):
    ...     print(train, test)
    [0 1] [2 3]
    [0 1 2 3] [4 5]
    """

    def __init__(
        self,
        horizon: int,
        n_splits: int | None = None,
        *,
        step: int | None = None,
        initial: int | None = None,
        window: Literal["expanding", "rolling"] = "expanding",
        max_train_size: int | None = None,
        gap: int = 0,
    ) -> None:
        self.horizon, self.n_splits, self.step, self.initial = horizon, n_splits, step, initial
        self.window, self.max_train_size, self.gap = window, max_train_size, gap
        for name in ("horizon", "n_splits", "step", "initial", "max_train_size", "gap"):
            value, least = getattr(self, name), 0 if name == "gap" else 1
            if not (value is None and name not in ("horizon", "gap")) and not whole(value, least):
                raise ForecastError(f"{name}={value!r}: a whole number of rows, {least} or more")
        if window not in ("expanding", "rolling"):
            raise ForecastError(f'window={window!r}: it is "expanding" or "rolling"')
        if n_splits is None and initial is None:
            raise ForecastError("give n_splits (the last windows) or initial (the first training rows)")

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many folds; without `n_splits` it depends on the rows of X."""
        if self.n_splits is None and X is None:
            raise ForecastError("how many windows fit depends on the rows: get_n_splits(X)")
        return int(self.n_splits or len(self._starts(_rows(X))))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        """Row numbers of training and test, fold by fold; rows of X are in order of time."""
        starts, rows, size = self._starts(_rows(X)), np.arange(_rows(X)), self.max_train_size
        if size is None and self.window == "rolling":
            size = starts[0] - self.gap
        for start in starts:
            end = start - self.gap
            yield rows[0 if size is None else max(0, end - size) : end], rows[start : start + self.horizon]

    def _starts(self, n: int) -> range:
        """The first test row of each fold."""
        step, last = self.step or self.horizon, n - self.horizon
        least = max(self.initial or 1, (self.max_train_size or 1) if self.window == "rolling" else 1)
        first = least + self.gap if self.n_splits is None else last - step * (self.n_splits - 1)
        if first > last or first - self.gap < least:
            windows = "one window" if self.n_splits is None else f"{self.n_splits} windows, {step} apart"
            need = least + self.gap + self.horizon + step * ((self.n_splits or 1) - 1)
            raise ForecastError(
                f"{n} rows are too few for {windows}, of horizon {self.horizon} after {least} training rows "
                f"and a gap of {self.gap}: that takes {need}. Shorten the horizon or take fewer folds"
            )
        return range(first, last + 1, step)

    def plot(self, X: Any, ax: Axes | None = None) -> Axes:
        """Draw a row a fold, training and test, over the days of X: a frame with ds, dates, or any rows."""
        with needs_extra("plots", "WalkForwardSplit.plot"):
            import matplotlib.pyplot as plt

        from walkforward.plots import PALETTE

        dates = _days(X)
        ax = plt.gca() if ax is None else ax
        ends = dates.append(dates[-1:] + (dates[-1] - dates[-2])) if len(dates) > 1 else dates
        for fold, parts in enumerate(self.split(dates)):
            for rows, name, colour in zip(parts, ("training", "test"), ("sky", "red"), strict=True):
                width = ends[rows[-1] + 1] - dates[rows[0]]
                label = name if fold == 0 else None
                ax.barh(fold, width, left=dates[rows[0]], height=0.6, color=PALETTE[colour], label=label)
        ax.invert_yaxis()
        ax.set_ylabel("fold")
        ax.legend(loc="lower left")
        return ax


def _rows(X: Any) -> int:
    try:
        return _num_samples(X)
    except (TypeError, ValueError):
        raise ForecastError(f"X is a {type(X).__name__}: give rows, in order of time") from None


def _days(X: Any) -> pd.Index:
    """The days of a frame or of dates of any make, each once, in order; else the numbers of the rows."""
    if isinstance(X, pd.DataFrame) and "ds" in X:
        return as_dates(X["ds"], "frame['ds']").dropna().unique().sort_values()
    try:
        return as_dates(X, "X")
    except ForecastError:
        return pd.RangeIndex(_rows(X))

"""Walk-forward backtests: folds, features known at the cutoff, baselines, scores, and a guard against leaks.

Frames are tidy, with the names of Prophet and Nixtla: `unique_id` (may be left out for one series), `ds` and
`y`, and after a backtest `cutoff` (the last training day), `h` (steps ahead, from 1) and `yhat`. Each series
has each of its days once, in order, none left out. Wrong input raises `ForecastError`, a leak `LeakError`.
"""

from walkforward.forecasting.backtesting import backtest
from walkforward.forecasting.baselines import Drift, SeasonalNaive
from walkforward.forecasting.errors import ForecastError, LeakError
from walkforward.forecasting.features import calendar_features, lag_features
from walkforward.forecasting.features import history as _history
from walkforward.forecasting.folds import WalkForwardSplit
from walkforward.forecasting.frame import panel as _panel
from walkforward.forecasting.leaks import Guard as _Guard
from walkforward.forecasting.leaks import find_leaks
from walkforward.forecasting.scores import Comparison, compare, conformal, score

__all__ = [
    "Comparison",
    "Drift",
    "ForecastError",
    "LeakError",
    "SeasonalNaive",
    "WalkForwardSplit",
    "_Guard",
    "_history",
    "_panel",
    "backtest",
    "calendar_features",
    "compare",
    "conformal",
    "find_leaks",
    "lag_features",
    "score",
]

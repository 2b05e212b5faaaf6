"""The demand model: which kind forecasts a month best, by walk-forward folds, and the fit that is served."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from xgboost import XGBRegressor

from projects.capstone.state import CapstoneError
from walkforward.forecasting import (
    SeasonalNaive,
    WalkForwardSplit,
    backtest,
    calendar_features,
    lag_features,
)

HORIZON = 31  # days: the longest month
LEARNS = 1_461  # days that a fit learns from: four years
FOLDS = 4
LAGS = [35, 42, 364]  # whole weeks, none shorter than the horizon


def checked(rides: pd.DataFrame) -> pd.DataFrame:
    """The daily rides, ds and y, each day once and in order. Raises: CapstoneError."""
    ask = "ask whoever delivers them"
    if missing := [name for name in ("ds", "y") if name not in rides]:
        raise CapstoneError(f"the rides have no {', '.join(missing)}: {ask}")
    try:
        rides = rides[["ds", "y"]].astype({"ds": "datetime64[us]", "y": float})
    except (ValueError, TypeError) as error:
        raise CapstoneError(
            f"the rides are of another type ({' '.join(str(error).split())}): {ask}"
        ) from None
    rides = rides.sort_values("ds", ignore_index=True)
    apart = rides["ds"].diff().iloc[1:] != pd.Timedelta(days=1)
    wrong = rides["ds"].isna() | ~np.isfinite(rides["y"]) | apart.reindex(rides.index, fill_value=False)
    if wrong.any():
        day = rides.loc[wrong, "ds"].iloc[0]
        raise CapstoneError(
            f"the rides of {day:%Y-%m-%d} are no number, or not one day after the last: {ask}"
        )
    return rides


def columns(history: pd.DataFrame, days: pd.Series) -> pd.DataFrame:
    """What is known of each day when `history` (ds, y) ends: the calendar, and lags of a horizon or more.

    A day that lies further ahead than a lag reaches back has none: the value is missing.
    """
    ends = max(history["ds"].max(), days.max())
    calendar = pd.date_range(history["ds"].min(), ends, freq="D")
    y = history.set_index("ds")["y"].reindex(calendar)
    lagged = lag_features(y, LAGS, {28: "mean"}, horizon=HORIZON, freq="D")
    wanted = lagged.reindex(pd.DatetimeIndex(days)).reset_index(drop=True)
    return pd.concat([calendar_features(days.reset_index(drop=True)), wanted], axis=1).astype(float)


def trees() -> XGBRegressor:
    """A hundred and fifty trees on one thread."""
    return XGBRegressor(n_estimators=150, max_depth=4, learning_rate=0.1, n_jobs=1)


def prophet() -> Any:
    """Prophet with the country's holidays, and without draws, as only the forecast is used."""
    logging.getLogger("prophet.plot").disabled = True  # it says that plotly is not there
    from prophet import Prophet

    talks = logging.getLogger("cmdstanpy")  # of every fit, with the time, unless it has a handler
    talks.addHandler(logging.NullHandler())
    talks.setLevel(logging.ERROR)

    model = Prophet(uncertainty_samples=0)
    model.add_country_holidays("US")
    return model


class Trees:
    """Prophet's interface for the trees: `backtest` takes both in the same way."""

    def fit(self, frame: pd.DataFrame) -> Trees:
        """Learn from the days whose features are all there."""
        self.history = frame[["ds", "y"]]
        table = columns(self.history, self.history["ds"])
        full = table.notna().all(axis=1).to_numpy()
        self.model = trees().fit(table[full], self.history["y"].to_numpy()[full])
        return self

    def predict(self, days: pd.DataFrame) -> pd.DataFrame:
        """Columns ds and yhat."""
        yhat = self.model.predict(columns(self.history, days["ds"]))
        return pd.DataFrame({"ds": days["ds"].to_numpy(), "yhat": yhat.astype(float)})


KINDS: dict[str, Callable[[], Any]] = {"prophet": prophet, "xgboost": Trees}


def judged(history: pd.DataFrame, folds: int = FOLDS, learns: int = LEARNS) -> dict[str, float]:
    """The mean absolute error of each kind, and of last year's same weekday, over folds of 31 days."""
    frame = history.tail(learns + folds * HORIZON)
    splitter = WalkForwardSplit(HORIZON, folds, window="rolling", max_train_size=learns)
    models = {"naive": SeasonalNaive(364), **KINDS}
    found = {}
    for name, model in models.items():
        with warnings.catch_warnings(action="ignore"):
            forecasts = backtest(frame, model, splitter, n_jobs=1, progress=False)
        found[name] = float((forecasts["y"] - forecasts["yhat"]).abs().mean())
    return found


def fitted(kind: str, history: pd.DataFrame, learns: int = LEARNS) -> Any:
    """The model of this kind, on the last days of the history."""
    with warnings.catch_warnings(action="ignore"):
        return KINDS[kind]().fit(history.tail(learns))


def saved(kind: str, model: Any, history: pd.DataFrame, folder: Path, learns: int = LEARNS) -> None:
    """Write the model with its flavor of MLflow into `folder`, with its history."""
    import mlflow

    if kind == "prophet":
        mlflow.prophet.save_model(model, folder / "model", pip_requirements=[])
    else:
        mlflow.xgboost.save_model(model.model, folder / "model", pip_requirements=[])
    history[["ds", "y"]].tail(learns).to_parquet(folder / "history.parquet")


def forecast(model: Any, days: pd.Series) -> np.ndarray:
    """Thousand rides of each day."""
    return model.predict(pd.DataFrame({"ds": days}))["yhat"].to_numpy(float)

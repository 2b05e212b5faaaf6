"""What lesson 12b repeats: trips by month, a model, its absolute errors, intervals, planted shifts, weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from xgboost import XGBRegressor

from course.data import load_trips, months, prepare_trips

ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]


def trips_by_month(first: str, last: str) -> dict[str, pd.DataFrame]:
    """Trips of 1 to 60 minutes of each month: FEATURES as floats, `duration`, `month` and `day`."""
    trips = prepare_trips(load_trips(months(first, last)))
    pickup = trips["pickup_datetime"].dt
    trips["hour"], trips["weekday"], trips["month"] = pickup.hour, pickup.dayofweek, pickup.strftime("%Y-%m")
    trips["day"] = pickup.normalize()
    trips[FEATURES] = trips[FEATURES].astype(float)
    trips = trips[trips["month"].between(first, last)]  # a broken clock says 2008
    return dict(list(trips.groupby("month")))


def before(month: str, by_month: dict[str, pd.DataFrame], window: int) -> pd.DataFrame:
    """The trips of the `window` months that end before `month`."""
    at = list(by_month).index(month)
    return pd.concat([by_month[one] for one in list(by_month)[at - window : at]])


def fifth(rows: pd.DataFrame) -> pd.Series:
    """A random fifth of the rows, as True."""
    return pd.Series(np.random.default_rng(0).random(len(rows)) < 0.2, rows.index)


def trained(rows: pd.DataFrame, columns: list[str] = FEATURES, **settings: Any) -> XGBRegressor:
    """Forty trees on these columns of these trips, unless the settings say otherwise."""
    usual = {"n_estimators": 40, "max_depth": 6, "learning_rate": 0.25, "max_bin": 64, "n_jobs": 1}
    return XGBRegressor(**usual | settings).fit(rows[columns], rows["duration"])


def missed(model: XGBRegressor, rows: pd.DataFrame) -> pd.Series:
    """The absolute error of each trip, in minutes."""
    return (rows["duration"] - model.predict(rows[model.feature_names_in_])).abs()


def interval(values: pd.Series, draws: int, block: int = 3) -> tuple[float, float]:
    """The 95 % interval of the mean: blocks of neighbouring months are drawn, with replacement."""
    values, rng = np.asarray(values, float), np.random.default_rng(0)
    starts = rng.integers(0, len(values), (draws, -(-len(values) // block)))
    drawn = (starts[:, :, None] + np.arange(block)).reshape(draws, -1)[:, : len(values)] % len(values)
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def told(values: pd.Series, draws: int) -> str:
    """The mean over months with its interval."""
    low, high = interval(values, draws)
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def airport(rows: pd.DataFrame) -> pd.Series:
    """Trips from or to JFK or LaGuardia."""
    return rows[ZONES].isin([132, 138]).any(axis=1)


def midday(rows: pd.DataFrame) -> pd.Series:
    """Trips that begin from 11 to 15 o'clock."""
    return rows["hour"].between(11, 15)


def night(rows: pd.DataFrame) -> pd.Series:
    """Trips that begin before 6 o'clock."""
    return rows["hour"] < 6


def pace(rows: pd.DataFrame) -> float:
    """Minutes a mile, of all rows together."""
    return rows["duration"].sum() / rows["trip_distance"].sum()


SHIFTS = {
    "none": (airport, 1),
    "airports × 8": (airport, 8),
    "airports × 100": (airport, 100),
    "midday × 8": (midday, 8),
}


def planted(
    rows: pd.DataFrame, shift: str, size: int | None = None, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Half of the rows as old trips, at most `size`; 3,000 new ones from the other half, a group more often.

    P(duration | trip) is the same on both sides, and no trip is on both.
    """
    group, times = SHIFTS[shift]
    rows = rows.sample(frac=1, random_state=seed)
    old, pool = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    often = np.where(group(pool), times, 1.0)
    now = pool.sample(3_000, replace=True, weights=often, random_state=seed)
    return old[:size], now


def weighed(errors: pd.Series, weights: np.ndarray) -> dict[str, float]:
    """The weighted mean error, the effective sample size as a share of the trips, and the mean weight."""
    n_eff = weights.sum() ** 2 / (weights**2).sum()
    estimate = np.average(errors, weights=weights)
    return {"weighted": estimate, "n_eff / n": n_eff / len(weights), "mean weight": weights.mean()}


def by_logistic(old: pd.DataFrame, now: pd.DataFrame) -> np.ndarray:
    """A weight for each old row, from a logistic regression that tells new rows from old ones."""
    is_now = np.repeat([0, 1], [len(old), len(now)])
    judge = LogisticRegression(C=100, solver="newton-cholesky").fit(pd.concat([old, now]), is_now)
    return len(old) / len(now) * np.exp(judge.decision_function(old))

"""What the lessons on monitoring and drift share: trips, and a model that is trained once and left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from xgboost import XGBRegressor

from course.data import load_trips, months, prepare_trips

ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]


def under_watch(
    trips: pd.DataFrame | None, first_month: str, live_from: str, last_month: str
) -> tuple[pd.DataFrame, XGBRegressor]:
    """Trips of 1 to 60 minutes with `month`, `hour`, `weekday` and the model's answers `yhat`, and the model.

    `trips` are a reader's own, else the course's. The model is an XGBRegressor on FEATURES, trained on what
    lies before the month `live_from`. A broken clock puts some trips into other years; they are left out.
    """
    trips = prepare_trips(load_trips(months(first_month, last_month)) if trips is None else trips)
    trips["month"] = trips["pickup_datetime"].dt.strftime("%Y-%m")
    trips["hour"], trips["weekday"] = trips["pickup_datetime"].dt.hour, trips["pickup_datetime"].dt.dayofweek
    trips[FEATURES] = trips[FEATURES].astype(float)
    trips = trips[trips["month"].between(first_month, last_month)].copy()
    train = trips[trips["month"] < live_from]
    model = XGBRegressor(max_depth=8, learning_rate=0.15, n_estimators=100, n_jobs=1)
    model.fit(train[FEATURES], train["duration"])
    trips["yhat"] = model.predict(trips[FEATURES]).astype(float)
    return trips, model


def rmse(truth: pd.Series, answers: pd.Series | float) -> float:
    """Root mean squared error in minutes."""
    return float(np.sqrt(np.mean((truth - answers) ** 2)))


def twin_of(minutes: pd.Series, rows: int = 20_000) -> tuple[pd.Series, pd.Series]:
    """`rows` of the durations, and as many of a twin with the same mean, spread and quartiles.

    A linear program chooses how often each duration is taken: those summaries stay, and as many trips as
    possible lie on the crests of a wave of seven minutes.
    """
    minutes = np.sort(minutes)
    edges = np.linspace(1, 60, 237)  # bins of a quarter of a minute
    bin_of = np.clip(np.searchsorted(edges, minutes, "right") - 1, 0, len(edges) - 2)
    centre = (edges[:-1] + edges[1:]) / 2
    share = np.bincount(bin_of, minlength=len(centre)) / len(minutes)
    quartiles = np.searchsorted(edges, np.quantile(minutes, [0.25, 0.5, 0.75]), "right") - 1
    limits = np.column_stack([0.1 * share, 4 * share])
    limits[quartiles] = share[quartiles, None]
    below = centre[:, None] <= centre[quartiles]
    kept = np.array([np.ones_like(centre), *below.T, centre, centre**2], float)
    solved = linprog(-np.cos(2 * np.pi * centre / 7), A_eq=kept, b_eq=kept @ share, bounds=limits)
    weight = np.divide(solved.x, share, out=np.zeros_like(share), where=share > 0)

    def drawn(weights: np.ndarray) -> pd.Series:
        upto = np.cumsum(weights) / weights.sum()
        return pd.Series(minutes[np.searchsorted(upto, (np.arange(rows) + 0.5) / rows)])

    return drawn(np.ones(len(minutes))), drawn(weight[bin_of])


def made_up_days(seed: int, rows: int = 455) -> pd.DataFrame:
    """Days in which nothing drifts: three columns that keep 70 % of yesterday, with a weekly season."""
    values = np.random.default_rng(seed).normal(size=(rows, 3))
    for day in range(1, rows):
        values[day] = 0.7 * values[day - 1] + (1 - 0.7**2) ** 0.5 * values[day]
    week = np.array([0.2, 0.3, 0.3, 0.3, 0.4, -0.7, -0.8])  # Monday to Sunday
    found = pd.DataFrame(values + np.resize(week, rows)[:, None], columns=["rides", "tips", "delays"])
    return found.assign(day=pd.date_range("2023-01-02", periods=rows))


def six_reports() -> pd.DataFrame:
    """Drift reports of the course's trips, as `drift_report` gave them, with what is known beside them."""
    rows = [
        # report, rows, RMSE, column, in the model, p_corrected, effect, threshold
        ("A", 9_728, 4.45, "hour", True, 0.005, 0.021, 0.06),
        ("A", 9_728, 4.45, "trip_distance", True, 1.0, 0.014, 0.06),
        ("A", 9_728, 4.45, "yhat", True, 0.471, 0.019, 0.06),
        ("B", 9_836, 4.04, "passenger_count", False, 0.0, 0.149, 0.06),
        ("B", 9_836, 4.04, "pickup_location_id", True, 0.0, 0.033, 0.08),
        ("B", 9_836, 4.04, "yhat", True, 0.502, 0.012, 0.06),
        ("C", 60, None, "trip_distance", True, 0.644, 0.157, 0.06),
        ("C", 60, None, "hour", True, 1.0, 0.086, 0.06),
        ("C", 60, None, "yhat", True, 1.0, 0.135, 0.06),
        ("D", 9_749, 6.22, "dropoff_location_id", True, 0.118, 0.033, 0.08),
        ("D", 9_749, 6.22, "hour", True, 1.0, 0.009, 0.06),
        ("D", 9_749, 6.22, "yhat", True, 0.02, 0.023, 0.06),
        ("E", 9_800, None, "pickup_location_id", True, 0.0, 0.324, 0.08),
        ("E", 9_800, None, "hour", True, 0.0, 0.131, 0.06),
        ("E", 9_800, None, "yhat", True, 0.0, 0.052, 0.06),
        ("F", 9_806, 5.08, "trip_distance", True, 0.0, 0.259, 0.06),
        ("F", 9_806, 5.08, "pickup_location_id", True, 0.0, 0.112, 0.08),
        ("F", 9_806, 5.08, "yhat", True, 0.0, 0.216, 0.06),
    ]
    names = ["report", "rows", "RMSE", "column", "in the model", "p_corrected", "effect", "threshold"]
    return pd.DataFrame(rows, columns=names)

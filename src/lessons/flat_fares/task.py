"""Airport trips at a flat fare: their rate code is the truth, and what the lesson leaves of each trip."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats
from xgboost import XGBClassifier

from course.data import load_trips, months, prepare_trips
from projects.trip_zones import borough

FLAT_CODE, JFK = 2, 132  # the driver's code for the flat fare, and the airport's zone
FIRST, LAST = "2018-01", "2019-12"
COLUMNS = ["miles", "minutes", "hour", "weekday"]
COLUMNS += [f"{end} in {name}" for end in ("start", "end") for name in ("Manhattan", "Queens")]


def coded_trips() -> pd.DataFrame:
    """Trips of 2018 and 2019 with a rate code: COLUMNS, `start` and `end` (boroughs), `month`, `quarter`, the truths.

    `flat` is what the code says, `due` what the tariff says of the two zones, `cash` how it was paid.
    """
    raw = prepare_trips(load_trips(months(FIRST, LAST))).dropna(subset=["rate_code_id", "payment_type"])
    raw = raw[(raw["trip_distance"] > 0) & (raw["fare_amount"] > 0)]
    pickup, ends = raw["pickup_datetime"].dt, ("pickup_location_id", "dropoff_location_id")
    trips = pd.DataFrame({"miles": raw["trip_distance"], "minutes": raw["duration"], "hour": pickup.hour})
    trips["weekday"], trips["month"] = pickup.dayofweek, pickup.strftime("%Y-%m")
    trips["quarter"] = pickup.strftime("%Y Q") + pickup.quarter.astype(str)
    trips["start"], trips["end"] = (borough(raw[end]) for end in ends)
    for column in COLUMNS[4:]:
        end, name = column.split(" in ")
        trips[column] = (trips[end] == name).astype(int)
    trips["flat"] = (raw["rate_code_id"] == FLAT_CODE).astype(int)
    trips["cash"] = (raw["payment_type"] == 2).astype(int)
    out = (raw[ends[0]] == JFK) & (trips["end"] == "Manhattan")
    back = (raw[ends[1]] == JFK) & (trips["start"] == "Manhattan")
    trips["due"] = (out | back).astype(int)
    return trips[trips["month"].between(FIRST, LAST)].reset_index(drop=True)  # a broken clock says 2008


def between(trips: pd.DataFrame, one: str, other: str) -> pd.Series:
    """Does a trip lead from the one borough to the other, or back?"""
    there = (trips["start"] == one) & (trips["end"] == other)
    return there | (trips["start"] == other) & (trips["end"] == one)


def fit(rows: pd.DataFrame, labels: np.ndarray) -> XGBClassifier | None:
    """A small model of labelled trips; none while all labels are the same."""
    if len(set(labels)) == 1:
        return None
    model = XGBClassifier(
        n_estimators=30, max_depth=3, learning_rate=0.3, min_child_weight=0, base_score=0.5, n_jobs=1
    )
    return model.fit(rows[COLUMNS].to_numpy(float), labels)


def score(model: XGBClassifier | None, rows: pd.DataFrame) -> np.ndarray:
    """The probability of a yes for each trip; a half without a model."""
    if model is None:
        return np.full(len(rows), 0.5)
    return model.predict_proba(rows[COLUMNS].to_numpy(float))[:, 1].astype(float)


def highest(scores: np.ndarray, k: int) -> np.ndarray:
    """The positions of the k highest scores, highest first; a fixed draw decides between equals."""
    return np.lexsort((np.random.default_rng(0).random(len(scores)), -np.asarray(scores, float)))[:k]


def hits(scores: np.ndarray, truth: pd.Series) -> float:
    """Inspect as many trips as there are true ones, the highest scores first: the share that is true."""
    return float(truth.to_numpy()[highest(scores, int(truth.sum()))].mean())


def mean_interval(table: pd.DataFrame) -> pd.DataFrame:
    """The mean of each column and its 95 % t-interval, one row a column."""
    reach = stats.t.ppf(0.975, len(table) - 1) * table.sem()
    mean = table.mean()
    return pd.DataFrame({"mean": mean, "low": mean - reach, "high": mean + reach})

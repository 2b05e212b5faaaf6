"""What the lessons on reproducibility share: trips with their features, and the error in minutes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from course.data import load_trips, months, prepare_trips

FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


def load(first: str, last: str, shortest: float = 1, longest: float = 60) -> pd.DataFrame:
    """The trips of these months with FEATURES as floats; `duration`, `shortest` and `longest` in minutes."""
    trips = prepare_trips(load_trips(months(first, last)), shortest, longest)
    trips["hour"], trips["weekday"] = trips["pickup_datetime"].dt.hour, trips["pickup_datetime"].dt.dayofweek
    return trips.astype(dict.fromkeys(FEATURES, float))


def rmse(truth: npt.ArrayLike, yhat: npt.ArrayLike) -> float:
    """Root mean squared error, in minutes."""
    return float(np.sqrt(np.mean((np.asarray(truth) - np.asarray(yhat, dtype=float)) ** 2)))

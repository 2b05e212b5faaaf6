"""The model of lesson 05b as a file of the course: raw trips in, minutes out. Lesson 05c judges it."""

from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel
from xgboost import XGBRegressor

ZONES = ["pickup_location_id", "dropoff_location_id"]


def prepare(trips: pd.DataFrame, usual_miles: pd.Series) -> pd.DataFrame:
    """Raw trips to features; `usual_miles` is the median distance (miles) by pair of zones."""
    features = trips.reindex(columns=["trip_distance", *ZONES]).astype(float)  # absent becomes missing
    pairs = pd.MultiIndex.from_frame(features[ZONES])
    usual = usual_miles.reindex(pairs).fillna(usual_miles.median()).set_axis(features.index)
    features["trip_distance"] = features["trip_distance"].fillna(usual)
    features["hour"] = trips["pickup_datetime"].dt.hour.astype(float)
    features["weekday"] = trips["pickup_datetime"].dt.dayofweek.astype(float)
    return features


class TripModel(PythonModel):
    """Minutes of a trip, 1 to 60, rounded to a tenth."""

    def load_context(self, context: Any) -> None:
        """Load the trees and the usual distances."""
        self.trees = XGBRegressor(n_jobs=1)
        self.trees.load_model(context.artifacts["trees"])
        self.usual_miles = pd.read_parquet(context.artifacts["usual_miles"])["trip_distance"]

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict | None = None) -> pd.Series:
        """Return the minutes on the index of `model_input`; ValueError for trips without a clock."""
        if lacking := int(model_input["pickup_datetime"].isna().sum()):
            raise ValueError(f"trips without pickup_datetime: {lacking}; find out the hour or drop them")
        minutes = self.trees.predict(prepare(model_input, self.usual_miles)).astype(float)
        return pd.Series(minutes, index=model_input.index).clip(1, 60).round(1)


mlflow.models.set_model(TripModel())

"""A model that takes the moment of the pick-up as it is, and makes hour and weekday of it itself."""

from typing import Any

import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.pyfunc import PythonModel

FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


class TripModel(PythonModel):
    """Minutes of a trip, or seconds when the parameter `unit` says so."""

    def load_context(self, context: Any) -> None:
        """Load the trees."""
        self.booster = xgboost.Booster(model_file=context.artifacts["booster"])

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """Return one number a row, shape (n,)."""
        moment = model_input["pickup_datetime"].dt
        rows = model_input.assign(hour=moment.hour, weekday=moment.dayofweek)[FEATURES]
        minutes = self.booster.inplace_predict(rows.astype(float))
        return minutes * (60 if params and params["unit"] == "seconds" else 1)


mlflow.models.set_model(TripModel())

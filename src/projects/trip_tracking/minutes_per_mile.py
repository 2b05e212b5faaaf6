"""A model for which MLflow has no flavor: a line of Python. MLflow keeps this file as it is."""

from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import set_model


class MinutesPerMile(mlflow.pyfunc.PythonModel):
    """Minutes to start, and minutes for each mile."""

    def load_context(self, context: Any) -> None:
        """Read the two numbers that were logged beside this file."""
        self.per_mile, self.start = np.load(context.artifacts["line"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> np.ndarray:
        """Return the minutes of each trip."""
        return self.start + self.per_mile * model_input["trip_distance"].to_numpy()


set_model(MinutesPerMile())

"""One signature for the demand models: days in, thousand rides out, be it Prophet or XGBoost."""

from __future__ import annotations

import logging
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel

from projects.capstone.demand import columns


class Demand(PythonModel):
    """The model in `model` (mlflow.prophet or mlflow.xgboost), with the history that it has learnt from."""

    def load_context(self, context: Any) -> None:
        """Load the model of either flavor, and the history."""
        logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
        folder = context.artifacts["model"]
        flavors = mlflow.models.Model.load(folder).flavors
        self.kind = "prophet" if "prophet" in flavors else "xgboost"
        self.model = getattr(mlflow, self.kind).load_model(folder)
        self.history = pd.read_parquet(context.artifacts["history"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict | None = None) -> pd.DataFrame:
        """A row a day; ValueError for days that the history holds: they are known."""
        days = pd.DataFrame({"ds": pd.to_datetime(model_input["ds"])})
        if len(days) and days["ds"].min() <= self.history["ds"].max():
            raise ValueError(f"{days['ds'].min():%Y-%m-%d} is over: ask for days after the history")
        if self.kind == "prophet":
            yhat = self.model.predict(days)["yhat"].to_numpy()
        else:
            yhat = self.model.predict(columns(self.history, days["ds"]))
        return pd.DataFrame({"yhat": yhat.astype(float)}, index=model_input.index)


mlflow.models.set_model(Demand())

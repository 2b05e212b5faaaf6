"""Trains the model of lesson 05b and logs it, for the sitting that judges it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import xgboost
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from xgboost import XGBRegressor

from projects.trip_answers.trip_model import ZONES, prepare

RAW = ["pickup_datetime", *ZONES, "trip_distance"]  # what a request holds


def as_requests(trips: pd.DataFrame) -> pd.DataFrame:
    """The columns of a request, zones as floats, rows numbered from 0."""
    return trips[RAW].astype(dict.fromkeys(ZONES, float)).reset_index(drop=True)


def log_trip_model(train: pd.DataFrame, folder: Path, n_trees: int) -> tuple[Any, XGBRegressor, pd.Series]:
    """Train on `train`, log to the active run; return MLflow's model info, the trees and the usual miles.

    `folder` takes the two files that travel with the model.
    """
    usual_miles = train.astype(dict.fromkeys(ZONES, float)).groupby(ZONES)["trip_distance"].median()
    trees = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=n_trees, n_jobs=1)
    trees.fit(prepare(train, usual_miles), train["duration"])
    files = {"trees": folder / "trees.ubj", "usual_miles": folder / "usual_miles.parquet"}
    trees.save_model(files["trees"])
    usual_miles.to_frame().to_parquet(files["usual_miles"])
    inputs = [ColSpec("datetime", "pickup_datetime"), *(ColSpec("double", zone) for zone in ZONES)]
    inputs += [ColSpec("double", "trip_distance", required=False)]
    info = mlflow.pyfunc.log_model(
        name="trip-duration",
        python_model=str(Path(__file__).with_name("trip_model.py")),
        artifacts={name: str(path) for name, path in files.items()},
        signature=ModelSignature(Schema(inputs), Schema([ColSpec("double", "minutes")])),
        input_example=as_requests(train).head(2),
        pip_requirements=["mlflow", "pandas", "pyarrow", f"xgboost=={xgboost.__version__}"],
    )
    return info, trees, usual_miles

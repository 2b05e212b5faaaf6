"""Custom models for served_models.py. No postponed annotations, nor any for looks: MLflow reads them."""
# ruff: noqa: ANN001, ANN201, ANN204

import datetime
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes
from pydantic import BaseModel

STATUSES = (
    "INTERNAL_ERROR TEMPORARILY_UNAVAILABLE DEADLINE_EXCEEDED NOT_IMPLEMENTED IO_ERROR BAD_REQUEST "
    "REQUEST_LIMIT_EXCEEDED INVALID_PARAMETER_VALUE RESOURCE_DOES_NOT_EXIST "
    "PERMISSION_DENIED RESOURCE_ALREADY_EXISTS"
).split()


class Dated(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        late = model_input["at"].dt.hour.ge(20) * (params or {}).get("factor", 1)
        return (model_input["name"].str.len() + late).astype(float).to_numpy()


class Centred(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return (model_input["km"] - model_input["km"].mean()).to_numpy()


class Frames(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.assign(text="é", twice=model_input.iloc[:, 0] * 2)


class Gives(mlflow.pyfunc.PythonModel):
    """Answers with one of many things."""

    def __init__(self, what):
        self.what = what

    def predict(self, context, model_input, params=None):
        km = model_input["km"].to_numpy()
        return {
            "series": pd.Series(km),
            "list": km.tolist(),
            "dict": {"low": km - 1, "high": km + 1},
            "list of dicts": [{"minutes": float(value)} for value in km],
            "matrix": np.column_stack([km, km]),
            "whole numbers": km.astype(int),
            "flags": km > 3,
            "texts": np.array(["far" if value > 3 else "near" for value in km]),
            "dates": pd.DataFrame({"at": pd.to_datetime(["2019-01-05"] * len(km))}),
            "nan": np.where(km > 3, np.nan, km),
            "inf": np.where(km > 3, np.inf, km),
            "number": float(km.sum()),
            "none": None,
            "object": object(),
        }[self.what]


class Raises(mlflow.pyfunc.PythonModel):
    """Fails in one of MLflow's ways, or in another."""

    def __init__(self, code):
        self.code = code

    def predict(self, context, model_input, params=None):
        if self.code == "KeyError":
            raise KeyError("km")
        raise MlflowException("it is down", error_code=getattr(codes, self.code))


class Tensors(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        values = next(iter(model_input.values())) if isinstance(model_input, dict) else model_input
        return np.asarray(values).sum(axis=1)


class Told(mlflow.pyfunc.PythonModel):
    """Answers what it was given, as it was given."""

    def predict(self, context, model_input, params=None):
        columns = list(model_input.columns)
        return [{name: repr(row[name]) for name in columns} for _, row in model_input.iterrows()]


class Configured(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.factor = (context.model_config or {}).get("factor", 1)

    def predict(self, context, model_input, params=None):
        return model_input["km"].to_numpy() * self.factor


class HintedDates(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[datetime.datetime]) -> list[str]:
        return [f"{type(each).__name__} {each.isoformat()}" for each in model_input]


class HintedBytes(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[bytes]) -> list[str]:
        return [f"{type(each).__name__} {len(each)}" for each in model_input]


class HintedDicts(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, datetime.datetime]]) -> list[str]:
        return [" ".join(f"{name} {type(at).__name__}" for name, at in each.items()) for each in model_input]


class Rider(BaseModel):
    name: str
    km: float


class HintedPlain(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Rider]) -> list[str]:
        return [f"{type(each).__name__} {each.name} {each.km}" for each in model_input]


class Trip(BaseModel):
    at: datetime.datetime
    km: float
    note: str | None = None


class HintedModels(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Trip]) -> list[str]:
        return [f"{type(each).__name__} {each.at.isoformat()} {each.km}" for each in model_input]


class HintedTexts(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[int]:
        return [len(each) for each in model_input]


class HintedAny(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Any]) -> list[str]:
        return [repr(each) for each in model_input]

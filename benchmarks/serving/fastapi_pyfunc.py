"""The model behind FastAPI as most tutorials have it: `uvicorn fastapi_pyfunc:app`; MODEL is its folder."""

import os

import mlflow.pyfunc
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

model = mlflow.pyfunc.load_model(os.environ["MODEL"])
app = FastAPI()


class Split(BaseModel):
    columns: list[str]
    data: list[list[float]]


class Rows(BaseModel):
    dataframe_split: Split


@app.post("/invocations")
def predict(rows: Rows) -> dict[str, list[float]]:
    split = rows.dataframe_split
    frame = pd.DataFrame(split.data, columns=split.columns)
    return {"predictions": model.predict(frame).tolist()}


@app.get("/health")
def health() -> None:
    """Answer that the model is loaded."""

"""Without DataFrame and pyfunc: the rows as an array, and XGBoost's own predict on one thread."""

import os
from pathlib import Path
from typing import Any

import mlflow.xgboost
import numpy as np
import orjson

FOLDER = Path(os.environ["MODEL"])
names = mlflow.models.Model.load(FOLDER).signature.inputs.input_names()
booster = mlflow.xgboost.load_model(str(FOLDER)).get_booster()
booster.set_param({"nthread": 1})
JSON = [("content-type", "application/json")]


async def app(scope: Any, protocol: Any) -> None:
    if scope.path != "/invocations":
        return protocol.response_empty(200, [])
    split = orjson.loads(await protocol())["dataframe_split"]
    if split["columns"] != names:
        return protocol.response_empty(400, [])
    found = booster.inplace_predict(np.array(split["data"]), validate_features=False)
    protocol.response_bytes(200, JSON, orjson.dumps({"predictions": found.tolist()}))

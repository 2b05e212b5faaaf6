"""The same with the trees compiled by ONNX Runtime; nothing is validated but the columns' names."""

import os
from pathlib import Path
from typing import Any

import mlflow.xgboost
import numpy as np
import onnxruntime
import orjson
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

FOLDER = Path(os.environ["MODEL"])
names = mlflow.models.Model.load(FOLDER).signature.inputs.input_names()
booster = mlflow.xgboost.load_model(str(FOLDER)).get_booster()
booster.feature_names = [f"f{i}" for i in range(len(names))]  # the converter wants these
onnx = convert_xgboost(booster, initial_types=[("rows", FloatTensorType([None, len(names)]))])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(onnx.SerializeToString(), options, ["CPUExecutionProvider"])
JSON = [("content-type", "application/json")]


async def app(scope: Any, protocol: Any) -> None:
    if scope.path != "/invocations":
        return protocol.response_empty(200, [])
    split = orjson.loads(await protocol())["dataframe_split"]
    if split["columns"] != names:
        return protocol.response_empty(400, [])
    (found,) = session.run(None, {"rows": np.array(split["data"], np.float32)})
    protocol.response_bytes(200, JSON, orjson.dumps({"predictions": found.ravel().tolist()}))

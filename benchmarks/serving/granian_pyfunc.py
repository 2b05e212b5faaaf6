"""Another server and another JSON library, the same DataFrame and pyfunc: `granian granian_pyfunc:app`."""

import os
from typing import Any

import mlflow.pyfunc
import orjson
import pandas as pd

model = mlflow.pyfunc.load_model(os.environ["MODEL"])
JSON = [("content-type", "application/json")]


async def app(scope: Any, protocol: Any) -> None:
    if scope.path != "/invocations":
        return protocol.response_empty(200, [])
    split = orjson.loads(await protocol())["dataframe_split"]
    frame = pd.DataFrame(split["data"], columns=split["columns"])
    answer = {"predictions": model.predict(frame).tolist()}
    protocol.response_bytes(200, JSON, orjson.dumps(answer))

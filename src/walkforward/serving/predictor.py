"""An MLflow model in the fastest form that answers as its pyfunc does; walkforward.serving serves it."""

from __future__ import annotations

import math
import os
import re
import sys
import timeit
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.scoring_server import load_model_with_mlflow_config
from mlflow.types import DataType
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from walkforward.errors import WalkForwardError
from walkforward.serving.checked import LIMITS, TOLERANCE, Check, Predict, Refused, Rows, by_pyfunc
from walkforward.serving.coded import Coding, coded, parts
from walkforward.serving.forests import trees_of, trees_onnx

__all__ = ["TOLERANCE", "Call", "Merging", "Predictor", "Refused", "ServeError", "column_types", "compiled"]
NUMERIC = {DataType.double, DataType.float, DataType.long, DataType.integer, DataType.boolean}


class ServeError(WalkForwardError, ValueError):
    """A model can't be served as asked; one line says why."""


@dataclass(frozen=True)
class Predictor:
    """A model's predict on an array, its columns in the order of the signature.

    `predict` takes rows of shape (n, k), floats or, where a column is text, objects, and returns shape (n,);
    it may raise for rows that are the pyfunc's to answer or to refuse. `path` is "onnx", "native" or
    "pyfunc", `reason` says in words how that came about, `dtype` is that of the rows, `missing` says whether
    a missing value (NaN) may be among them, `limit` how large a magnitude, `row` (1, k) is one of them.
    """

    path: str
    reason: str
    predict: Predict
    model: PyFuncModel
    dtype: type = np.float64
    missing: bool = False
    limit: float = LIMITS[0]
    row: Rows | None = None


def compiled(model: str | Path | PyFuncModel, *, pyfunc: bool = False) -> Predictor:
    """Return the fastest form of an MLflow model (or of its URI) that answers as its pyfunc does.

    Tried in turn: ONNX Runtime, the library's own predict, the pyfunc. A form is held against the pyfunc on
    rows around the model's input example, on both sides of the jumps that are found there, with large values
    and missing ones. A relative difference of `TOLERANCE`, an answer where the pyfunc refuses, a time above
    the pyfunc's, and the next is tried. `pyfunc=True` tries none. A URI is loaded with the `model_config` in
    the environment's SERVING_MODEL_CONFIG, as MLflow's server does. Raises: what loading the model raises.
    """
    if not isinstance(model, PyFuncModel):
        model = load_model_with_mlflow_config(str(model))
    try:
        if pyfunc:
            raise Refused("none was asked for")
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"), threadpool_limits(1):
            return _fastest(model)
    except Exception as error:  # whatever it is, MLflow can serve the model
        why = error if isinstance(error, Refused) else one_line(error)
        reason = f"no fast path: {why}; served through pyfunc"
        return Predictor("pyfunc", reason, partial(by_pyfunc, model), model)


def column_types(model: PyFuncModel) -> dict[str, DataType]:
    """Name and type of each input column. Raises: Refused, when one is no number or text."""
    schema, loader = model.metadata.get_input_schema(), model.loader_module
    if loader not in ("mlflow.xgboost", "mlflow.sklearn"):
        raise Refused(f"the flavor is {loader.removeprefix('mlflow.')}, and only xgboost and sklearn compile")
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        raise Refused("the signature has no named columns")
    known = [*NUMERIC, DataType.string] if loader == "mlflow.sklearn" else [*NUMERIC]
    for column in schema.inputs:
        if not isinstance(column.type, DataType) or column.type not in known:
            raise Refused(f"column {column.name!r} is {column.type}, and only numbers and categories compile")
    types = {column.name: column.type for column in schema.inputs}
    if len(types) != len(schema.inputs):
        raise Refused("two columns have the same name")
    if model.metadata.get_params_schema() is not None:
        raise Refused("the signature has params")
    return types


def one_line(error: BaseException) -> str:
    """Return what an error says, in at most 100 characters."""
    text = " ".join(str(error).split())
    return (text if isinstance(error, Refused) else f"{type(error).__name__} {text}")[:100]


@dataclass(frozen=True)
class _Form:
    """A way to predict: `build` makes it, it takes rows of `dtype`; `own`: it runs the model's own code."""

    path: str
    name: str
    dtype: type
    own: bool
    build: Callable[[], Predict]


def _fastest(model: PyFuncModel) -> Predictor:
    """The first form that passes. Raises: Refused, with the reasons of all."""
    types, raw = column_types(model), model.get_raw_model()
    if model.loader_module == "mlflow.xgboost":
        vocabulary, forms = {}, _xgboost_forms(raw, len(types))
    else:
        vocabulary, forms = _sklearn_forms(raw, types)
    check, tried = Check(model, types, vocabulary), []
    for form in forms:
        try:
            predict = form.build()
            on_rows = partial(_typed, predict, form.dtype)
            missing, limit = check(on_rows, own=form.own)
            faster = _times_as_fast(on_rows, check)
        except Exception as error:  # a converter may fail in any way: the next form takes over
            tried.append(f"{form.name}: {one_line(error)}")
            continue
        reason = f"served by {form.name}, checked against pyfunc on {check.count:,} rows"
        reason += f", {faster:.{0 if faster > 10 else 1}f} times as fast on one"
        reason += f" (refused: {'; '.join(tried)})" if tried else ""
        row = np.asarray(check.values(check.blocks[0][0][:1]), form.dtype)
        return Predictor(form.path, reason, predict, model, form.dtype, missing, limit, row)
    raise Refused("; ".join(tried))


def _typed(predict: Predict, dtype: type, rows: Rows) -> np.ndarray:
    return predict(np.asarray(rows, dtype))


def _times_as_fast(predict: Predict, check: Check) -> float:
    """The pyfunc's time for a row over the form's. Raises: Refused, where it is slower on 1 or 100 rows."""
    ratios = []
    for count in (100, 1):
        rows = check.values(check.blocks[0][0][:count])
        took, pyfunc = (
            min(timeit.repeat(call, number=1, repeat=5))
            for call in (lambda: predict(rows), lambda: by_pyfunc(check.model, rows))  # noqa: B023
        )
        ratios.append(pyfunc / took)
        if took > pyfunc:
            raise Refused(f"slower than pyfunc on {count}: {1e3 * took:.1f} ms, not {1e3 * pyfunc:.1f}")
    return ratios[-1]


def _xgboost_forms(raw: Any, columns: int) -> Iterator[_Form]:
    def onnx() -> Predict:
        return _session(_xgboost_onnx(raw, columns), np.float32)

    yield _Form("onnx", "ONNX Runtime", np.float32, False, onnx)
    yield _Form("native", "XGBoost's in-place predict", np.float32, True, lambda: _in_place(raw))


def _sklearn_forms(raw: Any, types: dict[str, DataType]) -> tuple[dict[int, list[Any]], list[_Form]]:
    """What its encoders know, and the forms of a pipeline, the fastest first."""
    kinds = {name: kind.to_pandas() for name, kind in types.items()}
    texts = [kind is DataType.string for kind in types.values()]
    frame = _Form(
        "native",
        "scikit-learn's predict on a frame",
        np.float64,
        True,
        lambda: lambda rows: raw.predict(pd.DataFrame(rows, columns=list(kinds)).astype(kinds)),
    )
    try:
        plain, coding = coded(raw, texts)
    except Exception as error:
        if any(texts):
            raise
        return {}, [_Form("onnx", "as numbers", np.float64, False, partial(_raise, error)), frame]
    columns, dtype = len(coding.columns), object if any(texts) else np.float64

    def form(path: str, name: str, build: Callable[[], Predict]) -> _Form:
        return _Form(path, name, dtype, path == "native", lambda: _after(coding, build()))

    forms = [
        form("onnx", "ONNX Runtime (trees)", lambda: _trees_after_onnx(plain, columns)),
        form(
            "onnx",
            "ONNX Runtime (double)",
            lambda: _session(_sklearn_onnx(plain, columns, np.float64), np.float64),
        ),
        form(
            "onnx",
            "ONNX Runtime (float)",
            lambda: _session(_sklearn_onnx(plain, columns, np.float32), np.float32),
        ),
        form("native", "scikit-learn's predict on an array", lambda: plain.predict),
    ]
    if not trees_of(plain):
        del forms[0]
    return coding.vocabulary, forms if any(texts) else [*forms, frame]


def _raise(error: Exception) -> Predict:
    raise error


def _after(coding: Coding, predict: Predict) -> Predict:
    as_it_is = np.array_equal(coding.columns, np.arange(len(coding.texts)))
    if as_it_is and not coding.tables and not coding.filled:
        return predict
    return lambda rows: predict(coding(rows))


def _run(onnx: bytes) -> Callable[[Rows], Rows]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    run, names = session.run, [session.get_outputs()[0].name]
    return lambda rows: run(names, {"X": rows})[0]


def _session(onnx: bytes, dtype: type) -> Predict:
    run = _run(onnx)
    return lambda rows: run(np.asarray(rows, dtype)).reshape(-1)


def _xgboost_onnx(raw: Any, columns: int) -> bytes:
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = (raw.get_booster() if hasattr(raw, "get_booster") else raw).copy()
    if not math.isnan(getattr(raw, "missing", math.nan)):
        raise Refused(f"missing={raw.missing} has no ONNX form")
    booster.feature_names = booster.feature_types = None  # the converter knows floats f0, f1, … only
    types = [("X", FloatTensorType([None, columns]))]
    return convert_xgboost(booster, initial_types=types).SerializeToString()


def _in_place(raw: Any) -> Callable[[Rows], np.ndarray]:
    booster = raw.get_booster() if hasattr(raw, "get_booster") else raw
    options: dict[str, Any] = {"validate_features": False}
    if raw is not booster:
        options |= {"iteration_range": raw._get_iteration_range(None), "missing": raw.missing}
    booster = booster.copy()
    booster.set_param({"nthread": 1})  # a row needs no team of threads
    return lambda rows: booster.inplace_predict(rows, **options)


def _sklearn_onnx(raw: Any, columns: int, dtype: type) -> bytes:
    from skl2onnx import convert_sklearn, update_registered_converter
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes

    nodes = sum(part.tree_.node_count for part in parts(raw) if hasattr(part, "tree_"))
    if nodes > 300_000:
        raise Refused(f"{nodes:,} tree nodes take too long to convert")
    if "xgboost" in sys.modules:
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
        from xgboost import XGBRegressor

        shapes = calculate_linear_regressor_output_shapes
        update_registered_converter(XGBRegressor, "XGBoostXGBRegressor", shapes, convert_xgboost)
    kind = DoubleTensorType if dtype is np.float64 else FloatTensorType
    types, opset = [("X", kind([None, columns]))], {"": 18, "ai.onnx.ml": 3}
    return convert_sklearn(raw, initial_types=types, target_opset=opset).SerializeToString()


def _trees_after_onnx(plain: Any, columns: int) -> Predict:
    """A pipeline that ends in plain trees: the steps before them, if any, in a graph of their own."""
    trees = trees_of(plain)
    predict = _session(trees_onnx(trees, trees[0].n_features_in_), np.float64)
    before = plain[:-1] if isinstance(plain, Pipeline) else []
    if not len(before):
        return lambda rows: predict(rows.astype(np.float32))  # as scikit-learn does with what trees compare
    prepare = _run(_sklearn_onnx(before, columns, np.float64))
    return lambda rows: predict(prepare(rows).astype(np.float32))


class Call:
    """A pyfunc for one call of `invocations`, which notes how far the call came."""

    def __init__(self, model: PyFuncModel, predict: Callable[..., Any]) -> None:
        self.metadata, self._predict, self.answered, self.rows = model.metadata, predict, False, 0

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Answer as the pyfunc does."""
        answer = self._predict(data, params)
        self.answered, self.rows = True, len(answer) if hasattr(answer, "__len__") else 1
        return answer


class Merging:
    """Adaptive batching, which is gone: requests are never merged, as rows may depend on each other."""

    def __init__(self, model: PyFuncModel) -> None:
        self.model = model

    def fits(self) -> bool:
        """Say that the requests of no model are merged."""
        return False

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """Answer as the model's own predict does."""
        return self.model.predict(data, params=params)


def folder_of(model_uri: str, folder: str) -> str:
    """Where the model is: a folder, or what MLflow makes of a URI, after a download. Raises: ServeError."""
    path = Path(model_uri)
    if not _holds_model(path) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", model_uri):
        from mlflow.artifacts import download_artifacts
        from mlflow.utils.file_utils import local_file_uri_to_path

        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        try:
            if model_uri.startswith("file:"):
                path = Path(local_file_uri_to_path(model_uri))
            else:
                path = Path(download_artifacts(artifact_uri=model_uri, dst_path=folder))
        except Exception as error:
            raise ServeError(f"{model_uri} can't be found: {one_line(error)}") from None
    if not _holds_model(path):
        what = f"{model_uri} is no MLflow model: there is no MLmodel file"
        raise ServeError(f"{what} in {path.absolute()}: give a model's folder, models:/… or runs:/….")
    return str(path.resolve())


def _holds_model(path: Path) -> bool:
    try:
        return (path / "MLmodel").is_file()
    except (OSError, ValueError):  # a name that no file can have; a folder that may not be looked into
        return False

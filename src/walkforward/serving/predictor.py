"""An MLflow model in the fastest form that answers as its pyfunc does; walkforward.serving serves it."""

from __future__ import annotations

import math
import sys
import timeit
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.scoring_server import load_model_with_mlflow_config
from mlflow.types import DataType
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from walkforward.errors import WalkForwardError
from walkforward.serving.check import LIMITS, TOLERANCE, Check, Predict, Refused, Rows, by_pyfunc
from walkforward.serving.encodings import coded, parts
from walkforward.serving.forests import trees_of, trees_onnx

__all__ = ["TOLERANCE", "Predictor", "Refused", "ServeError", "column_types", "compiled"]
NUMERIC = {DataType.double, DataType.float, DataType.long, DataType.integer, DataType.boolean}


class ServeError(WalkForwardError, ValueError):
    """A model can't be served as asked; one line says why."""


@dataclass(frozen=True)
class Predictor:
    """A model's predict on an array, its columns in the order of the signature; made by `compiled`.

    Args:
        path: "onnx", "native" or "pyfunc".
        reason: How that came about, in words.
        predict: Takes rows (n, k), floats or, where a column is text, objects; returns (n,). It may raise for
            rows that are the pyfunc's to answer or to refuse.
        model: The pyfunc.
        dtype: Of the rows.
        missing: Whether a missing value (NaN) may be among them.
        limit: The magnitude that their values stay below.
        row: One of them, (1, k); None: zeros are.

    >>> twice = Predictor("native", "made up", lambda rows: 2 * rows[:, 0], model=None)
    >>> twice.predict(np.array([[1.5], [2.0]])).tolist()
    [3.0, 4.0]
    """

    path: str
    reason: str
    predict: Predict
    model: PyFuncModel
    dtype: type = np.float64
    missing: bool = False
    limit: float = LIMITS[0]
    row: Rows | None = None


def __getattr__(name: str) -> object:
    """Names of earlier versions."""
    if name == "Call":
        return import_module("walkforward.serving.app").Call
    if name == "Merging":
        raise ImportError("Merging is gone: requests are never merged, as rows may depend on each other")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def compiled(model: str | Path | PyFuncModel, *, pyfunc: bool = False) -> Predictor:
    """Return the fastest form of an MLflow model that answers as its pyfunc does.

    Tried in turn: ONNX Runtime, the library's own predict, the pyfunc. A form is held against the pyfunc on
    rows around the model's input example, on both sides of the jumps that are found there, with large values
    and missing ones. A relative difference of `TOLERANCE`, an answer where the pyfunc refuses, a time above
    the pyfunc's, and the next is tried.

    Args:
        model: A loaded pyfunc, or its folder or URI, which is loaded with the `model_config` in the
            environment's SERVING_MODEL_CONFIG, as MLflow's server does.
        pyfunc: Try no form. Default: False.

    Returns:
        The model's predict on an array, with the path it takes and the reason.

    Raises:
        Exception: What MLflow raises when it can't load the model.

    >>> import mlflow, tempfile
    >>> from sklearn.linear_model import LinearRegression
    >>> trips = pd.DataFrame({"km": [1.0, 2.0, 3.0]})
    >>> line = LinearRegression().fit(trips, [5.0, 7.0, 9.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mlflow.sklearn.save_model(line, f"{folder}/line", input_example=trips, pip_requirements=[])
    ...     predictor = compiled(f"{folder}/line")
    >>> predictor.predict(np.array([[4.0]])).round(3).tolist()
    [11.0]
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
        return by_mlflow(model, f"{why}")


def by_mlflow(model: PyFuncModel, why: str) -> Predictor:
    """The pyfunc itself, which is left where no form is to be had."""
    reason = f"no fast path: {why}; served through pyfunc"
    return Predictor("pyfunc", reason, partial(by_pyfunc, model), model)


def column_types(model: PyFuncModel) -> dict[str, DataType]:
    """Name and type of each input column. Raises: Refused, when one is no number or text."""
    schema, loader = model.metadata.get_input_schema(), model.loader_module
    if loader not in ("mlflow.xgboost", "mlflow.sklearn"):
        raise Refused(f"the flavor is {loader.removeprefix('mlflow.')}, and only xgboost and sklearn compile")
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        raise Refused("the signature has no named columns")
    known = NUMERIC | ({DataType.string} if loader == "mlflow.sklearn" else set())
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


class _Form(NamedTuple):
    """A way to predict rows of `dtype`, made by `build`; a "native" one runs the model's own code."""

    path: str
    name: str
    dtype: type
    build: Callable[[], Predict]


class _Forms(NamedTuple):
    """The forms of a model, the fastest first, what its encoders know, and why further forms are none."""

    forms: list[_Form]
    vocabulary: dict[int, list[Any]]
    refused: list[str]


def _fastest(model: PyFuncModel) -> Predictor:
    """The first form that passes. Raises: Refused, with the reasons of all."""
    types, raw = column_types(model), model.get_raw_model()
    all_forms = _xgboost_forms if model.loader_module == "mlflow.xgboost" else _sklearn_forms
    forms, vocabulary, refused = all_forms(raw, types)
    check = Check(model, types, vocabulary)
    for form in forms:
        try:
            predict = form.build()
            on_rows = partial(_typed, predict, form.dtype)
            missing, limit = check(on_rows, own=form.path == "native")
            faster = _times_as_fast(on_rows, check)
        except Exception as error:  # a converter may fail in any way: the next form takes over
            refused.append(f"{form.name}: {one_line(error)}")
            continue
        reason = f"served by {form.name}, checked against pyfunc on {check.count:,} rows"
        reason += f", {faster:.{0 if faster > 10 else 1}f} times as fast on one"
        reason += f" (refused: {'; '.join(refused)})" if refused else ""
        row = np.asarray(check.values(check.rows[:1]), form.dtype)
        return Predictor(form.path, reason, predict, model, form.dtype, missing, limit, row)
    raise Refused("; ".join(refused))


def _typed(predict: Predict, dtype: type, rows: Rows) -> np.ndarray:
    return predict(np.asarray(rows, dtype))


def _times_as_fast(predict: Predict, check: Check) -> float:
    """The pyfunc's time for a row over the form's. Raises: Refused, where it is slower on 1 or 100 rows."""

    def seconds(call: Callable[[], object]) -> float:
        return min(timeit.repeat(call, number=1, repeat=5))

    def times(rows: Rows) -> float:
        took, pyfunc = seconds(lambda: predict(rows)), seconds(lambda: by_pyfunc(check.model, rows))
        if took > pyfunc:
            raise Refused(f"slower than pyfunc on {len(rows)}: {1e3 * took:.1f} ms, not {1e3 * pyfunc:.1f}")
        return pyfunc / took

    times(check.values(check.rows[:100]))
    return times(check.values(check.rows[:1]))


def _xgboost_forms(raw: Any, types: dict[str, DataType]) -> _Forms:
    def onnx() -> Predict:
        return _session(_xgboost_onnx(raw, len(types)), np.float32)

    forms = [
        _Form("onnx", "ONNX Runtime", np.float32, onnx),
        _Form("native", "XGBoost's in-place predict", np.float32, partial(_in_place, raw)),
    ]
    return _Forms(forms, {}, [])


def _sklearn_forms(raw: Any, types: dict[str, DataType]) -> _Forms:
    kinds = {name: kind.to_pandas() for name, kind in types.items()}
    texts = [kind is DataType.string for kind in types.values()]

    def on_a_frame(rows: Rows) -> np.ndarray:
        return raw.predict(pd.DataFrame(rows, columns=list(kinds)).astype(kinds))

    frame = _Form("native", "scikit-learn's predict on a frame", np.float64, lambda: on_a_frame)
    try:
        plain, coding = coded(raw, texts)
    except Exception as error:
        if any(texts):
            raise
        return _Forms([frame], {}, [f"as numbers: {one_line(error)}"])

    def form(path: str, name: str, build: Callable[..., Predict], *arguments: Any) -> _Form:
        dtype = object if any(texts) else np.float64
        return _Form(path, name, dtype, lambda: coding.before(build(*arguments)))

    columns = len(coding.columns)
    forms = [
        form("onnx", "ONNX Runtime (trees)", _trees_after_onnx, plain, columns),
        form("onnx", "ONNX Runtime (double)", _pipeline_in_onnx, plain, columns, np.float64),
        form("onnx", "ONNX Runtime (float)", _pipeline_in_onnx, plain, columns, np.float32),
        form("native", "scikit-learn's predict on an array", lambda: plain.predict),
    ]
    forms = forms if trees_of(plain) else forms[1:]
    return _Forms(forms if any(texts) else [*forms, frame], coding.vocabulary, [])


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

    if not math.isnan(getattr(raw, "missing", math.nan)):
        raise Refused(f"missing={raw.missing} has no ONNX form")
    booster = _booster(raw)
    booster.feature_names = booster.feature_types = None  # the converter knows floats f0, f1, … only
    types = [("X", FloatTensorType([None, columns]))]
    return convert_xgboost(booster, initial_types=types).SerializeToString()


def _booster(raw: Any) -> Any:
    """A copy of the booster, of XGBoost's own class or inside a regressor of scikit-learn's kind."""
    return (raw.get_booster() if hasattr(raw, "get_booster") else raw).copy()


def _in_place(raw: Any) -> Predict:
    options: dict[str, Any] = {"validate_features": False}
    if hasattr(raw, "get_booster"):
        options |= {"iteration_range": raw._get_iteration_range(None), "missing": raw.missing}
    booster = _booster(raw)
    booster.set_param({"nthread": 1})  # a row needs no team of threads
    return lambda rows: booster.inplace_predict(rows, **options)


def _pipeline_in_onnx(plain: Any, columns: int, dtype: type) -> Predict:
    return _session(_sklearn_onnx(plain, columns, dtype), dtype)


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

"""An MLflow model in the fastest form that answers as its pyfunc does; walkforward.serving serves it."""

from __future__ import annotations

import copy
import math
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.pyfunc import PyFuncModel
from mlflow.types import DataType
from threadpoolctl import threadpool_limits

TOLERANCE = 1e-5
"""A compiled form is refused when one of its answers differs from the pyfunc's by this much, relatively."""
NUMERIC = {DataType.double, DataType.float, DataType.long, DataType.integer, DataType.boolean}
Rows = np.ndarray


class Refused(Exception):
    """A form of the model can't be used; the message says why."""


@dataclass(frozen=True)
class Predictor:
    """A model's predict on an array, its columns in the order of the signature.

    `predict` takes floats of shape (n, k) and returns shape (n,); `path` is "onnx", "native" or "pyfunc",
    `reason` says in words how that came about, `missing` whether a missing value (NaN) may be among the rows.
    """

    path: str
    reason: str
    predict: Callable[[Rows], np.ndarray]
    model: PyFuncModel
    dtype: type = np.float64
    missing: bool = False


def compiled(model: str | Path | PyFuncModel, *, pyfunc: bool = False) -> Predictor:
    """Return the fastest form of an MLflow model (or of its URI) that answers as its pyfunc does.

    Tried in turn: ONNX Runtime, the library's own predict, the pyfunc. A form is held against the pyfunc on
    rows around the model's input example, on both sides of the jumps that are found there, with large values
    and missing ones; a relative difference of `TOLERANCE`, and the next is tried. `pyfunc=True` tries none.
    """
    if not isinstance(model, PyFuncModel):
        model = mlflow.pyfunc.load_model(str(model))
    tried: list[str] = []
    try:
        if pyfunc:
            raise Refused("none was asked for")
        types = column_types(model)
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"), threadpool_limits(1):
            check = _Check(model, types)
            for path, name, dtype, build in _forms(model, types):
                try:
                    predict = build()
                    missing = check(predict, dtype)
                except Exception as error:  # a converter may fail in any way: the next form takes over
                    tried.append(f"{name}: {one_line(error)}")
                    continue
                reason = f"served by {name}, checked against pyfunc on {check.count:,} rows"
                reason += f" (refused: {'; '.join(tried)})" if tried else ""
                return Predictor(path, reason, predict, model, dtype, missing)
        raise Refused("; ".join(tried))
    except Refused as error:
        reason = f"no fast path: {error}; served through pyfunc"
        return Predictor("pyfunc", reason, partial(_by_pyfunc, model), model)


def column_types(model: PyFuncModel) -> dict[str, DataType]:
    """Name and type of each input column. Raises: Refused, when one is more than a required number."""
    schema, loader = model.metadata.get_input_schema(), model.loader_module
    if loader not in ("mlflow.xgboost", "mlflow.sklearn"):
        raise Refused(f"the flavor is {loader.removeprefix('mlflow.')}, and only xgboost and sklearn compile")
    if schema is None or schema.is_tensor_spec() or not schema.has_input_names():
        raise Refused("the signature has no named columns")
    types = {column.name: column.type for column in schema.inputs}
    for column in schema.inputs:
        if column.type not in NUMERIC or not column.required:
            kind = column.type if column.required else f"optional {column.type}"
            raise Refused(f"column {column.name!r} is {kind}, and only required numbers compile")
    if len(types) != len(schema.inputs):
        raise Refused("two columns have the same name")
    if model.metadata.get_params_schema() is not None:
        raise Refused("the signature has params")
    return types


def one_line(error: BaseException) -> str:
    """Return what an error says, in at most 100 characters."""
    text = " ".join(str(error).split())
    return (text if isinstance(error, Refused) else f"{type(error).__name__} {text}")[:100]


def _by_pyfunc(model: PyFuncModel, rows: Rows) -> np.ndarray:
    schema = model.metadata.get_input_schema()
    names = schema.input_names() if schema is not None and schema.has_input_names() else None
    frame = pd.DataFrame(rows, columns=names)
    if names:
        frame = frame.astype({c.name: c.type.to_pandas() for c in schema.inputs if c.type in NUMERIC})
    return np.asarray(model.predict(frame))


Form = tuple[str, str, type, Callable[[], Callable[[Rows], np.ndarray]]]


def _forms(model: PyFuncModel, types: dict[str, DataType]) -> Iterator[Form]:
    raw = model.get_raw_model()
    columns = len(types)
    if model.loader_module == "mlflow.xgboost":
        yield "onnx", "ONNX Runtime", np.float32, lambda: _session(_xgboost_onnx(raw, columns), np.float32)
        yield "native", "XGBoost's in-place predict", np.float32, lambda: _in_place(raw)
        return
    for dtype, name in ((np.float64, "double"), (np.float32, "float")):

        def build(dtype: type = dtype) -> Callable[[Rows], np.ndarray]:
            return _session(_sklearn_onnx(raw, columns, dtype), dtype)

        yield "onnx", f"ONNX Runtime ({name})", dtype, build
    yield "native", "scikit-learn's predict on an array", np.float64, lambda: _unnamed(raw).predict
    kinds = {name: kind.to_pandas() for name, kind in types.items()}

    def on_a_frame(rows: Rows) -> np.ndarray:
        return raw.predict(pd.DataFrame(rows, columns=list(kinds)).astype(kinds))

    yield "native", "scikit-learn's predict on a frame", np.float64, lambda: on_a_frame


def _unnamed(raw: Any) -> Any:
    raw = copy.deepcopy(raw)
    for _, step in getattr(raw, "steps", [("", raw)]):
        vars(step).pop("feature_names_in_", None)  # it would warn at each array
    return raw


def _session(onnx: bytes, dtype: type) -> Callable[[Rows], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    run, names = session.run, [session.get_outputs()[0].name]
    return lambda rows: run(names, {"X": np.asarray(rows, dtype)})[0].reshape(-1)


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

    if _nodes(raw) > 300_000:
        raise Refused(f"{_nodes(raw):,} tree nodes take too long to convert")
    if "xgboost" in sys.modules:
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
        from xgboost import XGBRegressor

        shapes = calculate_linear_regressor_output_shapes
        update_registered_converter(XGBRegressor, "XGBoostXGBRegressor", shapes, convert_xgboost)
    kind = DoubleTensorType if dtype is np.float64 else FloatTensorType
    types, opset = [("X", kind([None, columns]))], {"": 18, "ai.onnx.ml": 3}
    return convert_sklearn(raw, initial_types=types, target_opset=opset).SerializeToString()


def _nodes(raw: Any) -> int:
    steps = [step for _, step in getattr(raw, "steps", [("", raw)])]
    trees = np.ravel(getattr(steps[-1], "estimators_", []))
    return sum(tree.tree_.node_count for tree in trees if hasattr(tree, "tree_"))


class _Check:
    """Compares a form of the model with its pyfunc on rows that the pyfunc has answered once."""

    def __init__(self, model: PyFuncModel, types: dict[str, DataType], count: int = 256) -> None:
        self.reference = partial(_by_pyfunc, model)
        self.random = np.random.default_rng(0)
        self.real = np.array([kind in (DataType.double, DataType.float) for kind in types.values()])
        self.types = types
        example = self._example(model)
        near = example[self.random.integers(len(example), size=count)]
        near = near * self.random.choice([0, 0.5, 1, 1, 1, 1.5, 2, -1], near.shape)
        near += self.random.normal(size=near.shape) * self.random.choice([0, 0.1, 1, 10], near.shape)
        large = near * self.random.choice([1, 1e3, 1e6, 1e9], near.shape)
        plain = self._typed(np.vstack([example, near, large]))
        self.blocks = [(rows, self._answer(rows)) for rows in (plain, self._at_jumps(plain[: count // 2]))]
        self.holes = None
        if self.real.any():
            holes = np.where(self.real & (self.random.random(plain.shape) < 0.3), np.nan, plain)
            try:
                self.holes = (holes, self._answer(holes))
            except Exception:  # many models take no missing values: those requests are the pyfunc's to refuse
                self.holes = None
        self.count = sum(len(rows) for rows, _ in self.blocks)

    def __call__(self, predict: Callable[[Rows], np.ndarray], dtype: type) -> bool:
        """Return whether missing values are answered as well. Raises: Refused with the largest difference."""
        for rows, expected in self.blocks:
            worst = _difference(predict(np.asarray(rows, dtype)), expected)
            single = _difference(predict(np.asarray(rows[:1], dtype)), expected[:1])
            if not max(worst, single) < TOLERANCE:
                raise Refused(f"differs from pyfunc by {max(worst, single):.1g}")
        if self.holes is None:
            return False
        try:
            return _difference(predict(np.asarray(self.holes[0], dtype)), self.holes[1]) < TOLERANCE
        except Exception:
            return False

    def _answer(self, rows: Rows) -> np.ndarray:
        answer = self.reference(rows)
        if answer.shape != (len(rows),) or answer.dtype.kind != "f":
            raise Refused("the output is not one number a row")
        return answer

    def _example(self, model: PyFuncModel) -> Rows:
        example = model.input_example
        if isinstance(example, pd.DataFrame) and set(self.types) <= set(example.columns) and len(example):
            rows = example[list(self.types)].to_numpy(float)[:100]
            if np.isfinite(rows).all():
                return rows
        return self.random.normal(scale=10, size=(8, len(self.types)))

    def _typed(self, rows: Rows) -> Rows:
        """The nearest rows that the signature takes; whole numbers within 32 bits, where most are."""
        whole = np.clip(np.round(rows), -(2**31), 2**31 - 1)
        for i, kind in enumerate(self.types.values()):
            if kind is DataType.boolean:
                whole[:, i] = whole[:, i] > 0
            if kind is DataType.float:
                rows[:, i] = rows[:, i].astype(np.float32)
        return np.where(self.real, rows, whole)

    def _at_jumps(self, rows: Rows) -> Rows:
        """Rows on both sides of where the answer jumps, found by halving: a tree's thresholds.

        There the precision of the comparison decides the leaf, which no random row would notice.
        """
        low = np.repeat(rows[:: max(1, len(rows) * self.real.sum() // 256)], max(1, self.real.sum()), axis=0)
        if not self.real.any():
            return low
        at = np.resize(np.flatnonzero(self.real), len(low)), np.arange(len(low))
        high = low.copy()
        high[at[1], at[0]] = self.random.permutation(rows)[np.resize(np.arange(len(rows)), len(low)), at[0]]
        left, right = self._answer(low), self._answer(high)
        for _ in range(45):
            middle = (low + high) / 2
            answer = self._answer(middle)
            first = (np.abs(answer - left) >= np.abs(right - answer))[:, None]
            low, high = np.where(first, low, middle), np.where(first, middle, high)
            left, right = np.where(first[:, 0], left, answer), np.where(first[:, 0], answer, right)
        sides = [low, high, low.astype(np.float32).astype(float), high.astype(np.float32).astype(float)]
        sides += [np.nextafter(np.float32(low), np.float32(way)).astype(float) for way in (-np.inf, np.inf)]
        return self._typed(np.vstack(sides))


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest relative difference; inf where only one is a number, or when the shapes differ.

    Relative to the median answer where that is larger: near zero a sum of float32 leaves is rounding noise.
    """
    if np.shape(found) != np.shape(expected):
        return math.inf
    size = np.maximum(np.abs(expected), np.nanmedian(np.abs(expected)))
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    ratio = np.abs(np.asarray(found, float) - expected) / size
    return float(np.max(np.where(same, 0, np.nan_to_num(ratio, nan=math.inf, posinf=math.inf)), initial=0))


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
    """Adaptive batching: the requests that wait while the model is at work are answered by one predict.

    Only frames of the same columns and types are merged; when their predict fails, each gets one of its own.
    """

    def __init__(self, model: PyFuncModel) -> None:
        self.model, self.lock, self.turn = model, threading.Lock(), threading.Lock()
        self.waiting: list[tuple[Any, pd.DataFrame, list[Any]]] = []

    def fits(self) -> bool:
        """Whether the model answers the rows of its example the same, whatever rows are beside them."""
        try:
            example = self.model.input_example.reset_index(drop=True)  # type: ignore[union-attr]
            frames = [example, example.head(1)]
            alone = [np.asarray(self.model.predict(frame)) for frame in frames]
            pairs = zip(alone, self._merged(frames), strict=True)
            return len(example) > 0 and all(np.array_equal(one, np.asarray(part)) for one, part in pairs)
        except Exception:
            return False

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """Answer as the model's own predict does, perhaps together with others."""
        mixed = not isinstance(data, pd.DataFrame) or not isinstance(data.index, pd.RangeIndex)
        if mixed or params or not len(data) or not data.columns.is_unique or object in set(data.dtypes):
            return self.model.predict(data, params=params)
        like, slot = tuple(data.dtypes.items()), []
        with self.lock:
            self.waiting.append((like, data, slot))
        with self.turn:  # whoever comes next answers for all who wait, or finds its answer here
            if not slot:
                with self.lock:
                    same = [one for one in self.waiting if one[0] == like]
                    self.waiting = [one for one in self.waiting if one[0] != like]
                try:
                    parts = self._merged([frame for _, frame, _ in same])
                except Exception:
                    parts = [None] * len(same)
                for (_, _, other), part in zip(same, parts, strict=True):
                    other.append(part)
        return self.model.predict(data) if slot[0] is None else slot[0]

    def _merged(self, frames: list[pd.DataFrame]) -> list[Any]:
        ends = np.cumsum([len(frame) for frame in frames])
        answer = self.model.predict(pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0])
        if not isinstance(answer, np.ndarray | pd.DataFrame | pd.Series) or len(answer) != ends[-1]:
            raise Refused("the answer is not one per row")
        return [answer[end - len(frame) : end] for frame, end in zip(frames, ends, strict=True)]


def folder_of(model_uri: str, folder: str) -> str:
    """Where the model is, after a download if need be. Raises: ValueError in one line."""
    path = Path(model_uri)
    if "://" in model_uri or re.match(r"(models|runs):/", model_uri):
        from mlflow.artifacts import download_artifacts

        try:
            path = Path(download_artifacts(artifact_uri=model_uri, dst_path=folder))
        except Exception as error:
            raise ValueError(f"{model_uri} can't be found: {one_line(error)}") from None
    if not (path / "MLmodel").is_file():
        raise ValueError(f"{model_uri} is no MLflow model: there is no MLmodel file.")
    return str(path.resolve())

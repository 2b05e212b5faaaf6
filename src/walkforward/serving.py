"""Serve an MLflow model over MLflow's own protocol, an order of magnitude faster than `mlflow models serve`.

A request that is the plain common case (JSON, the signature's columns by name, each value of the type that the
signature takes without a question) is decoded straight into rows and answered by a compiled form of the model.
Everything else goes to MLflow's own `invocations()` with the pyfunc model, so that what is refused, and in which
words, is MLflow's by construction.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import mmap
import os
import re
import socket
import sys
import tempfile
import threading
import time
import timeit
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import mlflow.pyfunc
import msgspec
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.scoring_server import invocations
from mlflow.types import DataType
from mlflow.version import VERSION

TOLERANCE = 1e-5
"""A compiled form is refused when one of its answers differs from the pyfunc's by this much, relatively."""
EXACT = 2**53
"""Whole numbers up to here are the same as float, as double and as int64."""
NUMERIC = {DataType.double, DataType.float, DataType.long, DataType.integer, DataType.boolean}
Rows = np.ndarray


class Refused(Exception):
    """A form of the model can't be used; the message says why."""


# The model, compiled


@dataclass(frozen=True)
class Predictor:
    """A model's predict on an array with one row per request row, in the order of the signature's columns.

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
    """Return the fastest form of an MLflow model that answers as its pyfunc does.

    Tried in turn: ONNX Runtime, the library's own predict on an array, the pyfunc. Each is checked against the
    pyfunc on rows around the model's input example, on both sides of the jumps that are found between them,
    with missing and with large values; one relative difference of `TOLERANCE` and the next form is tried.
    `pyfunc=True` compiles nothing.
    """
    if not isinstance(model, PyFuncModel):
        model = mlflow.pyfunc.load_model(str(model))
    slow = Predictor("pyfunc", "", partial(_by_pyfunc, model), model)
    tried: list[str] = []
    try:
        if pyfunc:
            raise Refused("it was not asked for")
        types = _types(model)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            check = _Check(model, types)
            for path, name, dtype, build in _forms(model, types):
                try:
                    predict = build()
                    missing = check(predict, dtype)
                except Exception as error:  # a converter may fail in any way: the next form takes over
                    tried.append(f"{name}: {_line(error)}")
                    continue
                why = f" ({'; '.join(tried)})" if tried else ""
                reason = f"served by {name}, checked against pyfunc on {check.count:,} rows{why}"
                return Predictor(path, reason, predict, model, dtype, missing)
        raise Refused("; ".join(tried))
    except Refused as error:
        return replace(slow, reason=f"no fast path: {error}; served through pyfunc")


def _types(model: PyFuncModel) -> dict[str, DataType]:
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


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (text if isinstance(error, Refused) else f"{type(error).__name__} {text}")[:150]


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
        build = partial(_sklearn_onnx, raw, columns, dtype)
        yield (
            "onnx",
            f"ONNX Runtime ({name})",
            dtype,
            lambda build=build, dtype=dtype: _session(build(), dtype),
        )
    yield "native", "scikit-learn's predict on an array", np.float64, lambda: raw.predict
    kinds = {name: kind.to_pandas() for name, kind in types.items()}

    def on_a_frame(rows: Rows) -> np.ndarray:
        return raw.predict(pd.DataFrame(rows, columns=list(kinds)).astype(kinds))

    yield "native", "scikit-learn's predict on a frame", np.float64, lambda: on_a_frame


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
    booster.feature_names = None  # the converter knows f0, f1, … only
    return convert_xgboost(
        booster, initial_types=[("X", FloatTensorType([None, columns]))]
    ).SerializeToString()


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
    opset = {"": 18, "ai.onnx.ml": 3}
    return convert_sklearn(
        raw, initial_types=[("X", kind([None, columns]))], target_opset=opset
    ).SerializeToString()


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
        """Rows on both sides of where the answer jumps, found by halving: a tree's thresholds, to the last bit.

        There the precision of the comparison decides the leaf, which no random row would notice.
        """
        low = np.repeat(rows[:: max(1, len(rows) * self.real.sum() // 256)], max(1, self.real.sum()), axis=0)
        if not self.real.any():
            return low
        at = np.resize(np.flatnonzero(self.real), len(low)), np.arange(len(low))
        high = low.copy()
        high[at[1], at[0]] = self.random.permutation(rows)[np.resize(np.arange(len(rows)), len(low)), at[0]]
        left, right = self._answer(low), self._answer(high)
        for _ in range(60):
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

    Relative to the median answer where that is larger: close to zero a sum of float32 leaves is rounding noise.
    """
    if np.shape(found) != np.shape(expected):
        return math.inf
    size = np.maximum(np.abs(expected), np.nanmedian(np.abs(expected)))
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    ratio = np.abs(np.asarray(found, float) - expected) / size
    return float(np.max(np.where(same, 0, np.nan_to_num(ratio, nan=math.inf, posinf=math.inf)), initial=0))


# The protocol


Answer = tuple[int, bytes, str]  # status, body, content type
JSON, TEXT = "application/json", "text/plain; charset=utf-8"
PLAIN = {JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=utf-8"}
LATE = b"Request processing time exceeded limit"


def _decoder(predictor: Predictor) -> Callable[[bytes], Rows]:
    """Return what turns a plain request body into rows, shape (n, k); it raises ValueError for any other body."""
    bounds = msgspec.Meta(ge=-EXACT, le=EXACT)  # beyond, whole numbers and floats part ways
    real: Any = Annotated[float, bounds]
    if predictor.missing:
        real = real | None
    kinds = {
        DataType.double: real,
        DataType.float: real,
        DataType.long: Annotated[int, bounds],
        DataType.integer: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)],
        DataType.boolean: bool,
    }
    types = {name: kinds[kind] for name, kind in _types(predictor.model).items()}
    names, some = list(types), msgspec.Meta(min_length=1)
    fields = {f"c{i}": name for i, name in enumerate(names)}
    strict: dict[str, Any] = {"forbid_unknown_fields": True, "rename": fields}
    row = msgspec.defstruct("Row", list(zip(fields, types.values(), strict=True)), **strict)
    lists = [Annotated[list[kind], some] for kind in types.values()]
    columns = msgspec.defstruct("Columns", list(zip(fields, lists, strict=True)), **strict)
    split = msgspec.defstruct(
        "Split", [("columns", list[str]), ("data", msgspec.Raw)], forbid_unknown_fields=True
    )
    unset, records = msgspec.UNSET, Annotated[list[row], some]
    forms = {"dataframe_split": split, "dataframe_records": records}
    forms |= {"instances": records, "inputs": columns | records}
    optional = [(name, kind | msgspec.UnsetType, unset) for name, kind in forms.items()]
    decode = msgspec.json.Decoder(msgspec.defstruct("Body", optional, forbid_unknown_fields=True)).decode
    orders: dict[tuple[str, ...], tuple[Callable[[msgspec.Raw], Any], list[int] | None]] = {}
    dtype, values = predictor.dtype, msgspec.structs.astuple
    single = [i for i, kind in enumerate(_types(predictor.model).values()) if kind is DataType.float]

    def in_order(given: tuple[str, ...]) -> tuple[Callable[[msgspec.Raw], Any], list[int] | None]:
        if sorted(given) != sorted(names) or len(orders) > 100:
            raise ValueError("other columns, or more orders than a fair client has")
        data = Annotated[list[tuple[tuple(types[name] for name in given)]], some]  # type: ignore[misc]
        order = None if list(given) == names else [given.index(name) for name in names]
        orders[given] = msgspec.json.Decoder(data).decode, order
        return orders[given]

    def rows(body: bytes) -> Rows:
        asked = [form for form in values(decode(body)) if form is not unset]
        if len(asked) != 1:
            raise ValueError("not one form")
        form = asked[0]
        if type(form) is split:
            given = tuple(form.columns)
            read, order = orders.get(given) or in_order(given)
            found = np.array(read(form.data), dtype)
            found = found if order is None else found[:, order]
        elif type(form) is columns:
            found = np.array(values(form), dtype).T
        else:
            found = np.array([values(item) for item in form], dtype)
        if single and dtype is np.float64:
            found[:, single] = found[:, single].astype(np.float32)
        return found

    return rows


def _json(predictions: list[float]) -> bytes:
    text = repr(predictions)  # the digits and the spaces of MLflow's json.dumps
    return f'{{"predictions": {json.dumps(predictions) if "n" in text else text}}}'.encode()


class _Call:
    """A pyfunc for one call of `invocations`, which notes how far the call came."""

    def __init__(self, model: PyFuncModel, predict: Callable[..., Any]) -> None:
        self.metadata, self._predict, self.answered, self.rows = model.metadata, predict, False, 0

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        answer = self._predict(data, params)
        self.answered, self.rows = True, len(answer) if hasattr(answer, "__len__") else 1
        return answer


class _Merging:
    """Adaptive batching: requests that wait while the model works are answered by one predict.

    Only frames of equal columns and types, none of them of Python objects, are merged; when the merged predict
    fails, each is predicted by itself, so that an error stays with its sender.
    """

    def __init__(self, model: PyFuncModel) -> None:
        self.model, self.lock, self.turn = model, threading.Lock(), threading.Lock()
        self.waiting: list[tuple[Any, pd.DataFrame, list[Any]]] = []

    def fits(self) -> bool:
        """Whether the model answers the rows of its example the same, whoever stands beside them."""
        example = self.model.input_example
        if not isinstance(example, pd.DataFrame) or not len(example):
            return False
        frames = [example.reset_index(drop=True), example.head(1).reset_index(drop=True)]
        try:
            alone = [np.asarray(self.model.predict(frame)) for frame in frames]
            merged = self._merged(frames)
            return all(np.array_equal(np.asarray(a), b) for a, b in zip(merged, alone, strict=True))
        except Exception:
            return False

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        plain = isinstance(data, pd.DataFrame) and type(data.index) is pd.RangeIndex and not params
        if not plain or (data.dtypes == object).any() or not data.columns.is_unique or not len(data):
            return self.model.predict(data, params=params)
        slot: list[Any] = []
        with self.lock:
            self.waiting.append((tuple(data.dtypes.items()), data, slot))
        with self.turn:  # whoever comes next finds its answer here, or answers for all who wait
            if not slot:
                with self.lock:
                    same = [one for one in self.waiting if one[0] == tuple(data.dtypes.items())]
                    self.waiting = [one for one in self.waiting if one[0] != same[0][0]]
                try:
                    answers = self._merged([frame for _, frame, _ in same])
                except Exception:
                    answers = [None] * len(same)
                for (_, _, other), answer in zip(same, answers, strict=True):
                    other.append(answer)
        return self.model.predict(data) if slot[0] is None else slot[0]

    def _merged(self, frames: list[pd.DataFrame]) -> list[Any]:
        answer = self.model.predict(pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0])
        ends = np.cumsum([len(frame) for frame in frames])
        if not isinstance(answer, np.ndarray | pd.DataFrame | pd.Series) or len(answer) != ends[-1]:
            raise Refused("the answer is not one per row")
        starts = [0, *ends[:-1]]
        whole = answer.reset_index(drop=True) if hasattr(answer, "reset_index") else answer
        parts = [whole[start:end] for start, end in zip(starts, ends, strict=True)]
        return [part.reset_index(drop=True) if hasattr(part, "reset_index") else part for part in parts]


# The meter: one file per worker, which any worker reads for /metrics


PATHS, STATUSES = ("fast", "pyfunc", "none"), (200, 307, 400, 404, 405, 408, 413, 415, 500, 503, 504, 0)
COUNTS = {pair: i for i, pair in enumerate((path, status) for path in PATHS for status in STATUSES)}
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, math.inf)
ROWS = len(COUNTS)
IN_FLIGHT = ROWS + 1
HISTOGRAM = {path: IN_FLIGHT + 1 + i * (len(BOUNDS) + 1) for i, path in enumerate(PATHS)}
SLOTS = IN_FLIGHT + 1 + len(PATHS) * (len(BOUNDS) + 1)


class Meter:
    """Counts of one worker in shared memory: an addition costs nanoseconds, and all workers see it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / f"{os.getpid()}.meter"
        path.write_bytes(bytes(8 * SLOTS))
        with path.open("r+b") as file:
            self.slots = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")

    def count(self, path: str, status: int, seconds: float, rows: int) -> None:
        """Enter an answered request."""
        slots, start = self.slots, HISTOGRAM[path]
        slots[COUNTS.get((path, status), COUNTS[path, 0])] += 1
        slots[ROWS] += rows
        slots[start + bisect_left(BOUNDS, seconds)] += 1
        slots[start + len(BOUNDS)] += seconds

    def collect(self) -> Iterator[Any]:
        """The sum over all workers, in the form that prometheus_client writes."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        total = sum(np.frombuffer(path.read_bytes()) for path in self.folder.glob("*.meter"))
        what = "Answers of /invocations by path taken (fast, pyfunc, none: refused unread) and status."
        requests = CounterMetricFamily("walkforward_requests", what, labels=["path", "status"])
        for (path, status), i in COUNTS.items():
            if total[i]:
                requests.add_metric([path, str(status or "other")], total[i])
        yield requests
        rejected = sum(total[COUNTS[path, 503]] for path in PATHS)
        yield CounterMetricFamily(
            "walkforward_rejected", "Requests refused because too many waited.", rejected
        )
        yield CounterMetricFamily("walkforward_rows", "Rows predicted.", total[ROWS])
        yield GaugeMetricFamily("walkforward_in_flight", "Requests waiting or at work.", total[IN_FLIGHT])
        what = "Seconds from the whole body to the answer, by path taken."
        latency = HistogramMetricFamily("walkforward_latency_seconds", what, labels=["path"])
        for path, start in HISTOGRAM.items():
            sums = np.cumsum(total[start : start + len(BOUNDS)])
            bounds = ["+Inf" if math.isinf(bound) else str(bound) for bound in BOUNDS]
            latency.add_metric([path], list(zip(bounds, sums, strict=True)), total[start + len(BOUNDS)])
        yield latency


# The server


@dataclass(frozen=True)
class Settings:
    """What `walkforward serve` was asked for; the model is a folder by now, `folder` is for the meters."""

    model: str
    host: str
    port: int
    workers: int
    queue: int
    timeout: float
    max_body: float  # MB
    pyfunc: bool
    batching: bool
    folder: str


class App:
    """The RSGI application of one worker."""

    def __init__(self, settings: Settings, predictor: Predictor) -> None:
        self.predictor, self.model, self.queue = predictor, predictor.model, settings.queue
        self.timeout, self.most = settings.timeout, int(settings.max_body * 2**20)
        self.schema = self.model.metadata.get_input_schema()
        self.meter = Meter(Path(settings.folder))
        self.slots = self.meter.slots
        self.pool = ThreadPoolExecutor(16, "predict")
        self.reading: dict[asyncio.Task[Any], float] = {}
        self.waiting = 0
        self.rows, self.inline = None, True
        if predictor.path != "pyfunc":
            self.rows = _decoder(predictor)
            row = np.zeros((1, len(self.schema.inputs)), predictor.dtype)
            self.inline = min(timeit.repeat(lambda: predictor.predict(row), number=1, repeat=5)) < 0.001
        merging = _Merging(self.model)
        self.batching = settings.batching and merging.fits()
        self.predict = merging.predict if self.batching else self._predict

    def _predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        return self.model.predict(data, params=params)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called by the server when the worker starts."""
        self.loop = loop
        self.watch = loop.create_task(self._end_slow_bodies())

    async def _end_slow_bodies(self) -> None:
        while True:
            await asyncio.sleep(min(0.25, self.timeout / 4))
            now = time.monotonic()
            for task, end in list(self.reading.items()):
                if end < now:
                    task.cancel()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer a request."""
        path, method = scope.path, scope.method
        if path == "/invocations" and method == "POST":
            return await self._invocations(scope, protocol)
        known = {
            "/invocations": "POST",
            "/ping": "GET",
            "/health": "GET",
            "/version": "GET",
            "/metrics": "GET",
        }
        headers, status, body, kind = [], 200, b"\n", JSON
        if path not in known and path.rstrip("/") in known:
            host = scope.headers.get("host") or scope.server
            status, body = 307, b""
            headers.append(("location", f"{scope.scheme}://{host}{path.rstrip('/')}"))
        elif path not in known:
            status, body = 404, b'{"detail":"Not Found"}'
        elif method != known[path]:
            status, body = 405, b'{"detail":"Method Not Allowed"}'
            headers.append(("allow", known[path]))
        elif path == "/version":
            body = VERSION.encode()
        elif path == "/metrics":
            from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

            body, kind = generate_latest(self.meter), CONTENT_TYPE_LATEST  # type: ignore[arg-type]
        protocol.response_bytes(status, [*headers, ("content-type", kind)], body)

    async def _invocations(self, scope: Any, protocol: Any) -> None:
        headers, task, end = scope.headers, asyncio.current_task(), time.monotonic() + self.timeout
        self.reading[task] = end  # type: ignore[index]
        try:
            body = await self._body(headers, protocol)
        except asyncio.CancelledError:
            if time.monotonic() < end:  # the client is gone
                raise
            return self._refuse(protocol, 408, f"The body was not there after {self.timeout:g} s.")
        except Refused as error:
            return self._refuse(protocol, 413, str(error))
        finally:
            del self.reading[task]  # type: ignore[arg-type]
        if self.waiting >= self.queue:
            return self._refuse(protocol, 503, f"{self.waiting} requests wait already: try again later.")
        begin, handed, kind = time.perf_counter(), False, headers.get("content-type")
        self._wait(1)
        try:
            await asyncio.sleep(0)  # whoever has its body as well is counted before anybody is served
            plain = self.rows is not None and kind in PLAIN
            if plain and self.inline and len(body) < 65_536:
                try:
                    rows = self.rows(body)  # type: ignore[misc]
                except ValueError:  # msgspec's errors too
                    plain = False
                else:
                    answer = _json(self.predictor.predict(rows).tolist())
                    protocol.response_bytes(200, HEADERS, answer)
                    return self.meter.count("fast", 200, time.perf_counter() - begin, len(rows))
            job = self.pool.submit(self._work, body, kind, plain)
            handed = True  # it counts until the work has ended, be the client gone or answered
            job.add_done_callback(lambda _: self.loop.call_soon_threadsafe(self._wait, -1))
            try:
                reply = await asyncio.wait_for(asyncio.wrap_future(job), self.timeout)
            except TimeoutError:
                reply = "pyfunc", 0, (504, LATE, JSON)
            path, count, (status, answer, mime) = reply
            protocol.response_bytes(status, [("content-type", mime)], answer)
            self.meter.count(path, status, time.perf_counter() - begin, count)
        finally:
            if not handed:
                self._wait(-1)

    def _wait(self, step: int) -> None:
        self.waiting += step
        self.slots[IN_FLIGHT] += step

    def _refuse(self, protocol: Any, status: int, message: str) -> None:
        headers = [("content-type", JSON)]
        headers += [("retry-after", "1")] if status == 503 else [("connection", "close")]
        protocol.response_bytes(status, headers, _error(message, CODES[status]))
        self.meter.count("none", status, 0.0, 0)

    async def _body(self, headers: Any, protocol: Any) -> bytes:
        """The request's body. Raises: Refused when it is too long, as soon as that is known."""
        too_long = f"The body is longer than {self.most:,} bytes."
        length = headers.get("content-length")
        if length is not None:
            if int(length) > self.most:
                raise Refused(too_long)
            return await protocol()
        parts, size = [], 0
        async for part in protocol:
            size += len(part)
            if size > self.most:
                raise Refused(too_long)
            parts.append(part)
        return b"".join(parts)

    def _work(self, body: bytes, kind: str | None, plain: bool) -> tuple[str, int, Answer]:
        """Answer in a thread what would hold up the others: (path, rows, answer)."""
        if plain:
            try:
                rows = self.rows(body)  # type: ignore[misc]
                return "fast", len(rows), (200, _json(self.predictor.predict(rows).tolist()), JSON)
            except ValueError:
                pass
        call = _Call(self.model, self.predict)
        try:
            if kind is None:
                raise Refused("The request has no content-type.")
            answer = invocations(body, kind, call, self.schema)
            mime = answer.mimetype if answer.mimetype != "text/plain" else TEXT
            return "pyfunc", call.rows, (answer.status, answer.response.encode(), mime)
        except Exception as error:
            status = error.get_http_status_code() if isinstance(error, MlflowException) else 500
            if status < 500:
                return "pyfunc", 0, (status, error.serialize_as_json().encode(), JSON)  # type: ignore[attr-defined]
            if call.answered:  # not the request's fault
                return "pyfunc", 0, (500, b"Internal Server Error", TEXT)
            return "pyfunc", 0, (400, _error(f"Bad request: {_line(error)}", "BAD_REQUEST"), JSON)


HEADERS = [("content-type", JSON)]
CODES = {408: "REQUEST_TIMEOUT", 413: "PAYLOAD_TOO_LARGE", 503: "TEMPORARILY_UNAVAILABLE"}


def _error(message: str, code: str) -> bytes:
    return json.dumps({"error_code": code, "message": message}).encode()


def _worker(settings: Settings) -> App:
    """Make a worker's application; the first worker says which path it takes."""
    try:
        app = App(settings, compiled(settings.model, pyfunc=settings.pyfunc))
    except Exception as error:
        print(f"Error: the model can't be loaded: {_line(error)}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None
    with contextlib.suppress(FileExistsError), (Path(settings.folder) / "said").open("x"):
        print(f"Walk-Forward serves on http://{settings.host}:{settings.port}: {app.predictor.reason}.")
        waiting = "are merged" if app.batching else "are not merged"
        print(f"Requests that wait together for the pyfunc {waiting}.", flush=True)
    return app


def serve(
    model_uri: str,
    *,
    host: str = "127.0.0.1",
    port: int = 5002,
    workers: int = 1,
    queue: int = 256,
    timeout: float = 30,
    max_body: float = 10,
    pyfunc: bool = False,
    batching: bool = True,
) -> int:
    """Serve a model until SIGTERM or Ctrl-C, then finish what is at work; return the exit code.

    `queue` is how many requests each worker lets wait, `timeout` the seconds that a body and that an answer may
    take, `max_body` megabytes. Raises: ValueError, OSError in one line for what can't be served.
    """
    from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
    from granian.server.mp import MPServer

    limits = {"workers": workers, "queue": queue, "timeout": timeout, "max-body": max_body}
    for name, value in limits.items():
        if value <= 0:
            raise ValueError(f"--{name} is {value}, and must be above 0.")
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(
                f"Can't listen on {host}:{port} ({error.strerror}): choose another --port."
            ) from None
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="walkforward-", ignore_cleanup_errors=True) as folder:
        settings = Settings(
            _folder_of(model_uri, folder),
            host,
            port,
            workers,
            queue,
            timeout,
            max_body,
            pyfunc,
            batching,
            folder,
        )
        server = MPServer(
            "walkforward.serving",
            address=host,
            port=port,
            interface=Interfaces.RSGI,
            workers=workers,
            runtime_mode=RuntimeModes.mt,
            loop=Loops.asyncio,
            http=HTTPModes.http1,
            websockets=False,
            backlog=4096,
            backpressure=65_536,
            log_enabled=False,
            workers_kill_timeout=int(timeout) + 5,
        )
        try:
            server.serve(target_loader=partial(_worker, settings), wrap_loader=False)
        except SystemExit:
            return 0 if server.interrupt_signal else 2
    return 0


def _folder_of(model_uri: str, folder: str) -> str:
    """Where the model is, after a download if need be. Raises: ValueError in one line."""
    from mlflow.artifacts import download_artifacts

    try:
        remote = "://" in model_uri or re.match(r"(models|runs):/", model_uri)
        path = Path(download_artifacts(artifact_uri=model_uri, dst_path=folder) if remote else model_uri)
    except Exception as error:
        raise ValueError(f"{model_uri} can't be found: {_line(error)}") from None
    if not (path / "MLmodel").is_file():
        raise ValueError(f"{model_uri} is no MLflow model: there is no MLmodel file in {path}.")
    return str(path.resolve())

"""Serve more than a hundred kinds of models and hold every answer against MLflow's own scoring app.

    python benchmarks/served_models.py             all kinds: some minutes
    python benchmarks/served_models.py --write     and put them into benchmarks/README.md and results/
    python benchmarks/served_models.py --only Ridge,OneHotEncoder

A kind is a fitted model, saved with its signature: a pipeline with each transformer of scikit-learn, each of
its regressors and classifiers, XGBoost, pyfuncs of every input and output that MLflow has. Ours is the
application of `walkforward serve`, MLflow's the one that `mlflow models serve` runs, both in this process;
the kinds in REAL are served by both commands as well. Each gets the same requests: four forms of JSON, one
row and several, CSV, and what clients get wrong. An answer is alike when status, content type and body are
the same to the byte, or the predictions within a relative 1e-5. A kind that is not compiled says why.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import logging
import os
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import cloudpickle
import httpx
import mlflow
import numpy as np
import pandas as pd
import served_pyfuncs as own
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc import scoring_server
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import Array, Map, Object, Property
from shared import machine, put, table
from sklearn import ensemble, feature_selection, linear_model, preprocessing, tree
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits
from xgboost import DMatrix, XGBClassifier, XGBRegressor, XGBRFRegressor
from xgboost import train as train_booster

from course.servers import HOST, fast_server, model_server
from walkforward.serving import COUNTS, App
from walkforward.serving.predictor import TOLERANCE, compiled

cloudpickle.register_pickle_by_value(own)  # the servers' processes do not know this folder
cloudpickle.register_pickle_by_value(sys.modules[__name__])

RESULTS = Path(__file__).resolve().parent / "results" / "served_models.json"
DRAFT = Path(__file__).resolve().parents[1] / "build" / "benchmarks" / "served_models.json"
JSON, CSV = "application/json", "text/csv"
REAL = ["OneHot by name", "xgboost, regression", "pyfunc, dates"]
"""Kinds that are served by the two commands as well, each in a process of its own."""
Request = tuple[str, str | None, bytes]  # what it is, its content type, its body


# The kinds


@dataclass
class Kind:
    """A model to serve: `save` puts it into a folder, `frame` are rows that a client would send."""

    name: str
    group: str
    save: Callable[[Path], None]
    frame: pd.DataFrame | None = None
    requests: list[Request] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)


def trips(rows: int = 240) -> pd.DataFrame:
    """Made-up trips: whole numbers, floats, categories as texts, a flag; all positive."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "km": random.gamma(2, 2, rows).round(2) + 0.1,
            "zone": random.integers(1, 40, rows),
            "hour": random.integers(0, 24, rows).astype(float),
            "day": random.choice(["mon", "tue", "wed", "thu"], rows),
            "pay": random.choice(["card", "cash", 'Zoë\'s "voucher"'], rows),
            "rush": random.random(rows) < 0.3,
        }
    )


NUMBERS = ["km", "zone", "hour"]


def minutes(frame: pd.DataFrame) -> np.ndarray:
    return (3 * frame.km + 0.1 * frame.zone + (frame.hour > 15) + 2.0).to_numpy()


def sklearn_kind(name: str, group: str, model: Any, frame: pd.DataFrame, y: Any) -> Kind:
    """A scikit-learn model, fitted when it is saved."""

    def save(folder: Path) -> None:
        with warnings.catch_warnings(action="ignore"):
            model.fit(frame, y)
            signature = infer_signature(frame, model.predict(frame))
        more: dict[str, Any] = {"signature": signature, "input_example": frame.head(5)}
        more |= {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}
        mlflow.sklearn.save_model(model, folder, **more)

    return Kind(name, group, save, frame.tail(3).reset_index(drop=True))


def transformers() -> Iterator[Kind]:
    """Each transformer of scikit-learn that takes a table, before a ridge."""
    frame, given = trips(), _arguments()
    predict_too = dict(all_estimators(["regressor", "classifier"]))
    for name, make in all_estimators("transformer"):
        if name in NO_TABLE:
            continue
        called = f"{name} before a ridge" if name in predict_too else name
        columns = NUMBERS
        if name in ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder"):
            columns = ["zone", "day"]
        if name in ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer"):
            text = make_pipeline(ColumnTransformer([("text", make(), "pay")]), Ridge())
            yield sklearn_kind(name, "transformers", text, frame[["pay"]], minutes(frame))
            continue
        step = given[name]() if name in given else make()
        if "random_state" in step.get_params() and name != "TargetEncoder":
            step.set_params(random_state=0)
        target = minutes(frame)
        if "Classifier" in name or name in ("LinearDiscriminantAnalysis", "NeighborhoodComponentsAnalysis"):
            target = np.digitize(target, [8, 16]).astype(float)  # they want classes
        yield sklearn_kind(called, "transformers", make_pipeline(step, Ridge()), frame[columns], target)


NO_TABLE = {
    "LabelBinarizer": "codes targets",
    "LabelEncoder": "codes targets",
    "MultiLabelBinarizer": "codes targets",
    "CCA": "gives a pair in a pipeline: among the regressors",
    "DictVectorizer": "takes dicts",
    "FeatureHasher": "takes dicts",
    "IsotonicRegression": "takes one array: among the regressors",
    "PLSCanonical": "gives a pair in a pipeline: among the regressors",
    "PLSRegression": "gives a pair in a pipeline: among the regressors",
    "PLSSVD": "gives a pair in a pipeline",
    "KernelCenterer": "takes a kernel",
    "PatchExtractor": "takes images",
    "TSNE": "has no transform",
}
"""Transformers that can't be the first step of a model with a table as its input."""
DEPRECATED = ("PassiveAggressiveClassifier", "PassiveAggressiveRegressor")


def _arguments() -> dict[str, Callable[[], Any]]:
    """What is made otherwise than without arguments."""
    numbers = [("scaled", StandardScaler(), NUMBERS)]
    few = {"n_components": 2}
    return {
        "ColumnTransformer": lambda: ColumnTransformer(numbers),
        "FeatureUnion": lambda: FeatureUnion([("a", StandardScaler()), ("b", preprocessing.MinMaxScaler())]),
        "FunctionTransformer": lambda: FunctionTransformer(np.log1p),
        "RFE": lambda: feature_selection.RFE(Ridge()),
        "RFECV": lambda: feature_selection.RFECV(Ridge(), cv=3),
        "SelectFromModel": lambda: feature_selection.SelectFromModel(Ridge()),
        "SequentialFeatureSelector": lambda: feature_selection.SequentialFeatureSelector(Ridge(), cv=3),
        "SelectKBest": lambda: feature_selection.SelectKBest(feature_selection.f_regression, k=2),
        "SelectPercentile": lambda: feature_selection.SelectPercentile(feature_selection.f_regression),
        "SelectFdr": lambda: feature_selection.SelectFdr(feature_selection.f_regression),
        "SelectFpr": lambda: feature_selection.SelectFpr(feature_selection.f_regression),
        "SelectFwe": lambda: feature_selection.SelectFwe(feature_selection.f_regression),
        "GenericUnivariateSelect": lambda: feature_selection.GenericUnivariateSelect(
            feature_selection.f_regression
        ),
        "SparseCoder": lambda: _of("SparseCoder")(np.eye(3)),
        "RandomTreesEmbedding": lambda: ensemble.RandomTreesEmbedding(5, max_depth=3),
        "TargetEncoder": lambda: preprocessing.TargetEncoder(cv=KFold(5)),
        "MissingIndicator": lambda: _of("MissingIndicator")(features="all"),
        "StackingRegressor": lambda: ensemble.StackingRegressor(
            [("a", Ridge()), ("b", tree.DecisionTreeRegressor(random_state=0))]
        ),
        "StackingClassifier": lambda: ensemble.StackingClassifier(
            [("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=3))]
        ),
        "VotingRegressor": lambda: ensemble.VotingRegressor([("a", Ridge()), ("b", LinearRegression())]),
        "VotingClassifier": lambda: ensemble.VotingClassifier(
            [("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=3))]
        ),
        "GaussianRandomProjection": lambda: _of("GaussianRandomProjection")(**few),
        "SparseRandomProjection": lambda: _of("SparseRandomProjection")(**few),
        "Nystroem": lambda: _of("Nystroem")(n_components=20),
        "SkewedChi2Sampler": lambda: _of("SkewedChi2Sampler")(n_components=20),
        "RBFSampler": lambda: _of("RBFSampler")(n_components=20),
        "MiniBatchDictionaryLearning": lambda: _of("MiniBatchDictionaryLearning")(**few, max_iter=5),
        "DictionaryLearning": lambda: _of("DictionaryLearning")(**few, max_iter=5),
        "RadiusNeighborsTransformer": lambda: _of("RadiusNeighborsTransformer")(radius=50),
    }


def _of(name: str) -> Any:
    return dict(all_estimators())[name]


def regressors() -> Iterator[Kind]:
    """Each regressor of scikit-learn, behind a scaler as most want one."""
    frame = trips()
    y = minutes(frame)
    special = {
        "MultiOutputRegressor": lambda make: make(Ridge()),
        "RegressorChain": lambda make: make(Ridge()),
        "StackingRegressor": lambda make: _arguments()["StackingRegressor"](),
        "VotingRegressor": lambda make: _arguments()["VotingRegressor"](),
        "RadiusNeighborsRegressor": lambda make: make(radius=3),
        "GaussianProcessRegressor": lambda make: make(alpha=0.1),
        "QuantileRegressor": lambda make: make(alpha=0.01),
        "RANSACRegressor": lambda make: make(random_state=0),
        "CCA": lambda make: make(n_components=1),
        "OrthogonalMatchingPursuitCV": lambda make: make(),
        "PLSCanonical": lambda make: make(n_components=1),
        "PLSRegression": lambda make: make(n_components=1),
    }
    for name, make in all_estimators("regressor"):
        if name in DEPRECATED:
            continue
        model = special[name](make) if name in special else make()
        known = model.get_params()
        for parameter, value in {"random_state": 0, "n_estimators": 10, "max_iter": 300}.items():
            if parameter in known and name not in special:
                model.set_params(**{parameter: value})
        two = name.startswith("MultiTask") or name in ("MultiOutputRegressor", "RegressorChain")
        target = np.column_stack([y, y + 1]) if two else y
        columns = ["km"] if name == "IsotonicRegression" else NUMBERS
        whole = model if name == "IsotonicRegression" else make_pipeline(StandardScaler(), model)
        yield sklearn_kind(name, "regressors", whole, frame[columns], target)


def classifiers() -> Iterator[Kind]:
    """Each classifier of scikit-learn; labels are whole numbers, texts where the name's length is odd."""
    frame = trips()
    logistic = linear_model.LogisticRegression()
    special = {
        "ClassifierChain": lambda make: make(logistic),
        "MultiOutputClassifier": lambda make: make(logistic),
        "OneVsOneClassifier": lambda make: make(logistic),
        "OneVsRestClassifier": lambda make: make(logistic),
        "OutputCodeClassifier": lambda make: make(logistic, random_state=0),
        "FixedThresholdClassifier": lambda make: make(logistic),
        "TunedThresholdClassifierCV": lambda make: make(logistic),
        "SelfTrainingClassifier": lambda make: make(logistic),
        "StackingClassifier": lambda make: _arguments()["StackingClassifier"](),
        "VotingClassifier": lambda make: _arguments()["VotingClassifier"](),
        "RadiusNeighborsClassifier": lambda make: make(radius=50, outlier_label="most_frequent"),
    }
    late = (minutes(frame) > 15).astype(int)
    for name, make in all_estimators("classifier"):
        if name in DEPRECATED:
            continue
        model = special[name](make) if name in special else make()
        if "random_state" in model.get_params() and name not in special:
            model.set_params(random_state=0)
        two = name in ("ClassifierChain", "MultiOutputClassifier")
        texts = len(name) % 2 and not two and name != "SelfTrainingClassifier"
        labels = np.where(late, "late", "soon") if texts else late
        target = np.column_stack([late, 1 - late]) if two else labels
        first: Any = preprocessing.MinMaxScaler()
        if name == "CategoricalNB":
            first = preprocessing.KBinsDiscretizer(
                3, encode="ordinal", quantile_method="averaged_inverted_cdf"
            )
        yield sklearn_kind(name, "classifiers", make_pipeline(first, model), frame[NUMBERS], target)


def usual() -> Iterator[Kind]:
    """Pipelines as people write them: columns by name, gaps filled, categories coded, targets transformed."""
    frame = trips()
    y = minutes(frame)
    ignore: dict[str, Any] = {"handle_unknown": "ignore"}
    rare: dict[str, Any] = {"min_frequency": 0.2, "handle_unknown": "infrequent_if_exist"}
    unknown: dict[str, Any] = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    holes = frame.assign(km=frame.km.mask(frame.index % 7 == 0), hour=frame.hour.mask(frame.index % 5 == 0))
    filled = make_pipeline(SimpleImputer(), StandardScaler())
    coded = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(**ignore))
    both = ["km", "hour"]
    by_name = {
        "OneHot by name": (OneHotEncoder(**ignore), ["zone"]),
        "OneHot by name, error": (OneHotEncoder(), ["zone"]),
        "OneHot by name, floats": (OneHotEncoder(**ignore), ["hour"]),
        "OneHot by name, texts": (OneHotEncoder(**ignore), ["day", "pay"]),
        "OneHot by name, texts, error": (OneHotEncoder(), ["day", "pay"]),
        "OneHot by name, mixed": (OneHotEncoder(**ignore), ["zone", "day"]),
        "OneHot, first dropped": (OneHotEncoder(drop="first"), ["day"]),
        "OneHot, infrequent": (
            OneHotEncoder(**rare),
            ["zone", "day"],
        ),
        "OneHot, warns": (OneHotEncoder(max_categories=3, handle_unknown="warn"), ["day"]),
        "OneHot, flags": (OneHotEncoder(), ["rush"]),
        "Ordinal, texts": (OrdinalEncoder(), ["day"]),
        "Ordinal, unknown": (
            OrdinalEncoder(**unknown),
            ["day", "pay"],
        ),
        "Target, texts": (preprocessing.TargetEncoder(cv=KFold(5)), ["day", "zone"]),
        "gaps filled, texts": (coded, ["day", "pay"]),
    }
    for name, (encoder, columns) in by_name.items():
        first = make_column_transformer((encoder, columns), (StandardScaler(), ["km"]))
        used = ["km", *[c for c in columns if c != "km"]]
        yield sklearn_kind(name, "usual pipelines", make_pipeline(first, Ridge()), frame[used], y)
    first = make_column_transformer((coded, ["day", "pay"]), (filled, both), ("passthrough", ["zone"]))
    all_columns = ["day", "pay", *both, "zone"]
    trees = ensemble.RandomForestRegressor(20, random_state=0)
    models = {
        "gaps and texts, ridge": Ridge(),
        "gaps and texts, forest": trees,
        "gaps and texts, boosting": ensemble.HistGradientBoostingRegressor(random_state=0),
        "gaps and texts, xgboost": XGBRegressor(n_estimators=20, n_jobs=1),
        "gaps and texts, extra trees": ensemble.ExtraTreesRegressor(20, random_state=0),
    }
    for name, model in models.items():
        yield sklearn_kind(name, "usual pipelines", make_pipeline(first, model), holes[all_columns], y)
    selector = make_column_transformer((StandardScaler(), ["km"]), remainder="passthrough")
    numbers, group = frame[NUMBERS], "usual pipelines"
    yield sklearn_kind("remainder passed", group, make_pipeline(selector, Ridge()), numbers, y)
    slices = make_column_transformer((StandardScaler(), slice(0, 2)), ("drop", [2]))
    yield sklearn_kind("columns by slice", group, make_pipeline(slices, Ridge()), numbers, y)
    pandas = make_column_transformer((OneHotEncoder(sparse_output=False), ["day"]), ("passthrough", ["km"]))
    pandas.set_output(transform="pandas")
    yield sklearn_kind("frames between steps", group, make_pipeline(pandas, Ridge()), frame[["km", "day"]], y)
    log = TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1)
    yield sklearn_kind("log of the target", group, make_pipeline(first, log), holes[all_columns], y)
    searched = GridSearchCV(make_pipeline(first, Ridge()), {"ridge__alpha": [0.1, 1]}, cv=3)
    yield sklearn_kind("grid search", group, searched, holes[all_columns], y)
    union = make_union(StandardScaler(), preprocessing.PolynomialFeatures(2))
    yield sklearn_kind("union", group, make_pipeline(union, Ridge()), numbers, y)
    far = make_pipeline(
        preprocessing.PolynomialFeatures(5), ensemble.RandomForestRegressor(5, random_state=0)
    )
    yield sklearn_kind("fifth powers, forest", group, far, numbers, y)
    logs = make_pipeline(FunctionTransformer(np.log), LinearRegression())
    yield sklearn_kind("log of the input", group, logs, frame[["km"]], y)
    centred = make_pipeline(FunctionTransformer(_centred), LinearRegression())
    yield sklearn_kind("centred on the request", group, centred, numbers, y)
    single = numbers.astype({"km": "float32", "zone": "int32", "hour": "float32"})
    yield sklearn_kind("single precision", group, make_pipeline(StandardScaler(), Ridge()), single, y)
    yield sklearn_kind("flags", group, Ridge(), frame[["km", "rush"]], y)
    for name in ('screen 24"', "a\\b", "two\nlines", "a[b]", "", "größe <km>", "{x}", "a|b", "a,b", "f0"):
        renamed = numbers.rename(columns={"km": name})
        yield sklearn_kind(f"a column called {name!r}", "names", Ridge(), renamed, y)


def _centred(rows: Any) -> Any:
    return rows - rows.mean(axis=0)


def boosters() -> Iterator[Kind]:
    """XGBoost as it is served most."""
    frame = trips()
    x, y = frame[NUMBERS], minutes(frame)
    coded = x.assign(day=frame.day.astype("category").cat.codes.astype("int64"))

    def save(model: Any, rows: pd.DataFrame, target: Any = None) -> Callable[[Path], None]:
        def saved(folder: Path) -> None:
            fitted = model() if target is None else model.fit(rows, target)
            plain = rows.tail(3) if target is None else rows
            signature = infer_signature(rows, fitted.predict(DMatrix(rows) if target is None else plain))
            more: dict[str, Any] = {"signature": signature, "input_example": rows.head(5)}
            mlflow.xgboost.save_model(fitted, folder, pip_requirements=["xgboost"], **more)

        return saved

    small = {"n_estimators": 20, "max_depth": 4, "n_jobs": 1}
    categories: dict[str, Any] = {"enable_categorical": True, "feature_types": ["q", "q", "q", "c"]}
    quantile: dict[str, Any] = {"objective": "reg:quantileerror", "quantile_alpha": 0.9}
    rows = {"float": x.astype(float), "coded": coded}
    made = {
        "xgboost, regression": (XGBRegressor(**small), rows["float"], y),
        "xgboost, whole numbers": (XGBRegressor(**small), x, y),
        "xgboost, categories": (
            XGBRegressor(**small, **categories),
            coded,
            y,
        ),
        "xgboost, missing=-1": (XGBRegressor(**small, missing=-1), rows["float"], y),
        "xgboost, several outputs": (XGBRegressor(**small), rows["float"], np.column_stack([y, y + 1])),
        "xgboost, linear": (XGBRegressor(booster="gblinear", n_estimators=5), rows["float"], y),
        "xgboost, dart": (XGBRegressor(**small, booster="dart"), rows["float"], y),
        "xgboost, poisson": (XGBRegressor(**small, objective="count:poisson"), rows["float"], y),
        "xgboost, tweedie": (XGBRegressor(**small, objective="reg:tweedie"), rows["float"], y),
        "xgboost, quantile": (
            XGBRegressor(**small, **quantile),
            rows["float"],
            y,
        ),
        "xgboost, forest": (XGBRFRegressor(n_estimators=10, n_jobs=1), rows["float"], y),
        "xgboost, classes": (XGBClassifier(**small), rows["float"], (y > 15).astype(int)),
        "xgboost, three classes": (XGBClassifier(**small), rows["float"], np.digitize(y, [10, 20])),
    }
    for name, (model, table_, target) in made.items():
        yield Kind(name, "xgboost", save(model, table_, target), table_.tail(3).reset_index(drop=True))
    raw = rows["float"]

    def booster() -> Any:
        return train_booster({"max_depth": 3, "nthread": 1}, DMatrix(raw, y), 10)

    yield Kind("xgboost, Booster", "xgboost", save(booster, raw), raw.tail(3).reset_index(drop=True))


def pyfuncs() -> Iterator[Kind]:
    """Models of the user's own: every kind of input, output and failure."""
    at = pd.DataFrame({"at": pd.to_datetime(["2019-01-05T21:30", "2019-01-06T08:00"]), "name": ["Ada", "Bo"]})
    km = pd.DataFrame({"km": [2.5, 4.0, 1.25]})

    def kind(
        name: str, model: Any, signature: Any = None, frame: Any = None, requests: Any = (), **more: Any
    ) -> Kind:
        def save(folder: Path) -> None:
            known = {"signature": signature} if signature is not None else {}
            mlflow.pyfunc.save_model(folder, python_model=model, pip_requirements=["mlflow"], **known)

        return Kind(f"pyfunc, {name}", "pyfunc", save, frame, list(requests), **more)

    dated = infer_signature(at, np.ones(1), params={"factor": 1})
    params = body("dataframe_split", texts(at), params={"factor": 3})
    yield kind("dates", own.Dated(), dated, at, [("params", JSON, params)])
    yield kind("rows that depend on each other", own.Centred(), infer_signature(km, np.ones(1)), km)
    yield kind("a frame out", own.Frames(), infer_signature(km), km)
    for what in GIVEN:
        yield kind(f"{what} out", own.Gives(what), infer_signature(km), km)
    for code in (*own.STATUSES, "KeyError"):
        yield kind(f"raises {code}", own.Raises(code), infer_signature(km), km)
    yield kind("no signature", own.Told(), None, km)
    config = {"SERVING_MODEL_CONFIG": '{"factor": 5}'}
    yield kind("model config", own.Configured(), infer_signature(km), km, env=config)

    tensor = ModelSignature(Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))
    named = ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 2), "x")]))
    two = [[1.5, 2.0], [3.0, 4.5]]
    sent = [(form, JSON, json.dumps({form: two}).encode()) for form in ("inputs", "instances")]
    yield kind("tensor", own.Tensors(), tensor, None, sent)
    sent = [("inputs", JSON, json.dumps({"inputs": {"x": two}}).encode())]
    sent += [("instances", JSON, json.dumps({"instances": [{"x": row} for row in two]}).encode())]
    yield kind("named tensor", own.Tensors(), named, None, sent)

    trip = Object([Property("km", DataType.double), Property("n", DataType.string, required=False)])
    columns = {
        "array": (ColSpec(Array(DataType.double), "a"), [[1.0, 2.5]]),
        "array of arrays": (ColSpec(Array(Array(DataType.long)), "a"), [[[1, 2], [3]]]),
        "object": (ColSpec(trip, "a"), [{"km": 2.5}]),
        "map": (ColSpec(Map(DataType.string), "a"), [{"x": "y"}]),
        "binary": (ColSpec(DataType.binary, "a"), ["aGV5"]),
        "datetime": (ColSpec(DataType.datetime, "a"), ["2019-01-05T21:30:00"]),
        "optional": (ColSpec(DataType.double, "a", required=False), [2.5]),
    }
    for name, (column, value) in columns.items():
        sent = [
            ("split", JSON, json.dumps({"dataframe_split": {"columns": ["a"], "data": [value]}}).encode()),
            ("records", JSON, json.dumps({"dataframe_records": [{"a": value[0]}]}).encode()),
            ("inputs", JSON, json.dumps({"inputs": {"a": value}}).encode()),
            ("inputs, a list", JSON, json.dumps({"inputs": [{"a": value[0]}]}).encode()),
            ("instances", JSON, json.dumps({"instances": [{"a": value[0]}]}).encode()),
            ("without it", JSON, json.dumps({"dataframe_split": {"columns": [], "data": [[]]}}).encode()),
            ("null", JSON, json.dumps({"dataframe_records": [{"a": None}]}).encode()),
        ]
        yield kind(f"{name} column", own.Told(), ModelSignature(Schema([column])), None, sent)

    moment = "2019-01-05T21:30:00"
    hinted = {
        "dates": (own.HintedDates(), [moment, "2020-02-29T00:00:00"]),
        "bytes": (own.HintedBytes(), ["aGV5"]),
        "dicts of dates": (own.HintedDicts(), [{"start": moment, "end": moment}]),
        "pydantic models": (own.HintedPlain(), [{"name": "Ada", "km": 2.5}, {"name": "Bo", "km": 1.5}]),
        "pydantic models with dates": (own.HintedModels(), [{"at": moment, "km": 2.5}]),
        "texts": (own.HintedTexts(), ["a", "é"]),
        "anything": (own.HintedAny(), ["a", 1, None]),
    }
    for name, (model, values) in hinted.items():
        sent = [(form, JSON, json.dumps({form: values}).encode()) for form in ("inputs", "instances")]
        sent += [("wrong", JSON, json.dumps({"inputs": [{"wrong": 5.5}]}).encode())]
        sent += [("one", JSON, json.dumps({"inputs": values[0]}).encode())]
        yield kind(f"hints: {name}", model, None, None, sent)


GIVEN = (
    "series list dict list_of_dicts matrix whole_numbers flags texts dates nan inf number none object".split()
)
GIVEN = [what.replace("_", " ") for what in GIVEN]


def all_kinds() -> list[Kind]:
    """Every kind, by group."""
    groups = (transformers, regressors, classifiers, usual, boosters, pyfuncs)
    return [kind for group in groups for kind in group()]


# What is asked


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with dates as JSON has them."""
    dates = frame.select_dtypes("datetime").columns
    return frame.assign(**{name: frame[name].dt.strftime("%Y-%m-%dT%H:%M:%S") for name in dates})


def body(form: str, frame: pd.DataFrame, **more: Any) -> bytes:
    """Rows in one of MLflow's four forms of JSON."""
    rows = texts(frame).astype(object).where(frame.notna(), None)
    if form == "dataframe_split":
        content: Any = rows.to_dict("split", index=False)
    else:
        content = rows.to_dict("list" if form == "inputs" else "records")
    return json.dumps({form: content} | more).encode()


FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def requests_of(kind: Kind) -> list[Request]:
    """What is sent to a model: its own requests and, where it takes a table, right and wrong ones."""
    made = list(kind.requests)
    for what, content in {"no JSON": b"{", "no form": b'{"rows": []}', "a list": b"[1]"}.items():
        made.append((what, JSON, content))
    frame = kind.frame
    if frame is None:
        return made
    one = frame.head(1)
    for form in FORMS:
        made += [(f"{form}, one row", JSON, body(form, one)), (f"{form}, all rows", JSON, body(form, frame))]
    other = {"other order": frame[frame.columns[::-1]], "a column less": frame.iloc[:, 1:]}
    other |= {"a column more": frame.assign(**{"one more": 1.0}), "no rows": frame.head(0)}
    made += [(what, JSON, body("dataframe_split", rows)) for what, rows in other.items()]
    for column in frame.columns:
        for value in (None, 0, -1.5, 7, 1e7, 1e20, 1e200, "unseen", "", True, [1]):
            changed = one.astype(object)
            changed.isetitem(list(frame.columns).index(column), pd.Series([value], dtype=object))
            content = {"columns": list(frame.columns), "data": [texts(changed).iloc[0].tolist()]}
            plain = json.dumps({"dataframe_split": content}, default=str).encode()
            made.append((f"{column}: {value!r}", JSON, plain))
    whole = body("dataframe_split", one)
    made += [(f"as {kind_}", kind_, whole) for kind_ in CONTENT_TYPES]
    made.append(("csv", CSV, texts(frame).to_csv(index=False).encode()))
    return made


CONTENT_TYPES = (
    "application/json; charset=UTF-8",
    "application/json;charset=utf-8",
    "application/json ; charset=Utf-8",
    "application/json; charset=latin-1",
    "application/json; version=1",
    "Application/JSON",
    "application/json; Charset=utf-8",
    "text/plain",
)


# Two servers in this process


class Asked:
    """A request as Granian hands it over, which keeps its answer."""

    path, method = "/invocations", "POST"

    def __init__(self, kind: str | None, content: bytes) -> None:
        self.content, self.headers = content, {"content-length": str(len(content))}
        if kind is not None:
            self.headers["content-type"] = kind

    async def __call__(self) -> bytes:
        return self.content

    def response_bytes(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.answer = status, dict(headers)["content-type"], content.decode()


Answers = list[tuple[int, str, str]]


def ours(app: App, requests: list[Request]) -> Answers:
    """Our answers: status, content type, body."""
    asked = [Asked(kind, content) for _, kind, content in requests]

    async def send() -> None:
        app.__rsgi_init__(asyncio.get_running_loop())
        for request in asked:
            await app.__rsgi__(request, request)
        app.watch.cancel()

    asyncio.run(send())
    return [request.answer for request in asked]


def theirs(app: Any, requests: list[Request]) -> Answers:
    """MLflow's answers to the same."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
            headers = [{} if kind is None else {"content-type": kind} for _, kind, _ in requests]
            contents = [content for _, _, content in requests]
            pairs = zip(headers, contents, strict=True)
            return [await client.post("/invocations", content=body, headers=head) for head, body in pairs]

    found = asyncio.run(send())
    return [(one.status_code, one.headers.get("content-type", ""), one.text) for one in found]


def settled(answer: tuple[int, str, str]) -> tuple[int, str, str]:
    """An answer without what differs from call to call: frames of a stack, addresses, the order of a set."""
    status, kind, text = answer
    if "stack_trace" in text:
        told = json.loads(text)
        told["stack_trace"] = told["stack_trace"].strip().splitlines()[-1]
        text = json.dumps(told)
    return status, kind, re.sub(r"0x[0-9a-f]{6,}", "0x…", text)


def apart(one: tuple[int, str, str], other: tuple[int, str, str]) -> float:
    """0 for the same bytes, the relative difference of predictions, and infinity for anything else."""
    one, other = settled(one), settled(other)
    if one == other:
        return 0.0
    start = '{"predictions": ['
    if one[:2] != other[:2] or not (one[2].startswith(start) and other[2].startswith(start)):
        return float("inf")
    a, b = (json.loads(text)["predictions"] for _, _, text in (one, other))
    with contextlib.suppress(TypeError, ValueError):
        a, b = np.asarray(a, float), np.asarray(b, float)
        if a.shape == b.shape:
            size = np.maximum(np.abs(a), 1e-300)
            return float(np.max(np.where(a == b, 0, np.abs(a - b) / size), initial=0.0))
    return float("inf")


def held(kind: Kind) -> dict[str, Any]:
    """Serve a kind twice, ask both the same, and return how alike they are and which path ours took."""
    with tempfile.TemporaryDirectory() as name, _environment(kind.env), threadpool_limits(1):
        folder = Path(name) / "model"
        kind.save(folder)
        begin = time.perf_counter()
        app = App(compiled(folder), name, 256, 30, 10)
        started = time.perf_counter() - begin
        peer = scoring_server.init(scoring_server.load_model_with_mlflow_config(str(folder)))
        requests = requests_of(kind)
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            pairs = list(zip(ours(app, requests), theirs(peer, requests), strict=True))
        fast = sum(app.meter.slots[i] for (path, _), i in COUNTS.items() if path == "fast")
    off = [apart(*pair) for pair in pairs]
    unlike = [
        {"request": what, "ours": list(settled(pair[0])), "mlflow": list(settled(pair[1]))}
        for (what, _, _), pair, much in zip(requests, pairs, off, strict=True)
        if not much < TOLERANCE and (what, pair[1][0], pair[0][0]) not in EXPLAINED
    ]
    return {
        "kind": kind.name,
        "group": kind.group,
        "path": app.predictor.path,
        "said": app.predictor.reason,
        "requests": len(requests),
        "answered": sum(pair[0][0] == 200 for pair in pairs),
        "compiled": int(fast),
        "alike": sum(much == 0 for much in off),
        "close": sum(0 < much < TOLERANCE for much in off),
        "unlike": unlike,
        "start_s": round(started, 2),
    }


EXPLAINED: set[tuple[str, int, int]] = set()
"""Requests on which MLflow's server fails with one status and ours says what is wrong with another."""


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


# What is kept


def real(kind: Kind) -> dict[str, Any]:
    """Serve a kind by both commands, each in a process of its own; return how alike they answer."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name) / "model"
        kind.save(folder)
        requests = requests_of(kind)
        with ThreadPoolExecutor(2) as pool, contextlib.ExitStack() as stack:
            start = lambda serve: stack.enter_context(serve(str(folder), Path(name) / serve.__name__))  # noqa: E731
            servers = list(pool.map(start, (fast_server, model_server)))
            pairs = list(zip(*(over_http(server.port, requests) for server in servers), strict=True))
    off = [apart(*pair) for pair in pairs]
    return {"kind": kind.name, "requests": len(off), "alike": sum(much < TOLERANCE for much in off)}


def over_http(port: int, requests: list[Request]) -> Answers:
    """A server's answers to requests on one connection."""
    connection, found = http.client.HTTPConnection(HOST, port, timeout=60), []
    for _, kind, content in requests:
        connection.request("POST", "/invocations", content, {} if kind is None else {"content-type": kind})
        answer = connection.getresponse()
        found.append((answer.status, answer.getheader("content-type", ""), answer.read().decode()))
    connection.close()
    return found


def why(said: str) -> str:
    """The reason of a model that is not compiled, without the names in it."""
    reason = said.removeprefix("no fast path: ").partition(";")[0]
    reason = re.sub(r"column '.*' is", "a column is", reason)
    return re.sub(r"[\d,]+ of [\d,]+", "most", reason)


def tables(kept: dict[str, Any]) -> str:
    """A record as Markdown: how it was made, the groups, and why what is not compiled is not."""
    kinds, where = kept["kinds"], kept["machine"]
    alike = sum(kind["alike"] + kind["close"] for kind in kinds)
    asked = sum(kind["requests"] for kind in kinds)
    unlike = [kind["kind"] for kind in kinds if kind["unlike"]]
    lines = [
        f"{len(kinds)} kinds of models, all served; {alike:,} of {asked:,} requests answered alike"
        f"{': all but some of ' + ', '.join(unlike) if unlike else ''}. "
        f"MLflow {kept['versions']['mlflow']}, scikit-learn {kept['versions']['scikit-learn']}, "
        f"{where['system']}, Python {where['python']}; {kept['date']}.",
        "",
    ]
    rows = []
    for group in dict.fromkeys(kind["group"] for kind in kinds):
        of = [kind for kind in kinds if kind["group"] == group]
        paths = Counter(kind["path"] for kind in of)
        sums = [sum(kind[key] for kind in of) for key in ("requests", "alike", "close", "compiled")]
        counted = [str(paths[path]) for path in ("onnx", "native", "pyfunc")]
        rows.append([group, *(f"{number:,}" for number in (len(of), *sums)), *counted])
    head = ["models", "kinds", "requests", "same bytes", "within 1e-5", "answered compiled"]
    lines += [table([*head, "ONNX", "library", "pyfunc"], rows), ""]
    reasons: dict[str, list[str]] = {}
    for kind in kinds:
        if kind["path"] == "pyfunc":
            reasons.setdefault(why(kind["said"]), []).append(kind["kind"])
    rows = [
        [reason, str(len(names)), ", ".join(names[:6]) + (", …" if len(names) > 6 else "")]
        for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1]))
    ]
    plain = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines.append(table(["served through pyfunc, because", "kinds", "such as"], plain))
    if kept["real"]:
        said = ", ".join(f"{one['kind']} {one['alike']} of {one['requests']}" for one in kept["real"])
        lines += ["", f"By the two commands, each in a process of its own, alike: {said}."]
    return "\n".join(lines)


def main() -> int:
    """Run the command line; return the exit code: 1 when an answer is not alike."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--only", metavar="NAMES", help="kinds, or groups of them, with commas between")
    parser.add_argument("--write", action="store_true", help="keep it in README.md and results/")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write makes the record: every kind")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # of fits on made-up data, of schemas that MLflow finds strange
    wanted = options.only.split(",") if options.only else None
    where, found = machine(), []
    for kind in all_kinds():
        if wanted and not {kind.name, kind.group} & set(wanted):
            continue
        found.append(held(kind))
        last = found[-1]
        said = f"{last['alike'] + last['close']:3} of {last['requests']:3} alike, {last['path']}"
        print(f"{kind.group:16} {kind.name:40} {said}", file=sys.stderr, flush=True)
    os.environ["PYTHONHASHSEED"] = "0"  # MLflow's messages show a set, in the order that each process has
    both = [real(kind) for kind in all_kinds() if kind.name in REAL and not wanted]
    packages = ("mlflow", "scikit-learn", "xgboost-cpu", "onnxruntime", "skl2onnx", "msgspec")
    kept = {
        "kinds": found,
        "real": both,
        "left_out": NO_TABLE,
        "machine": where,
        "versions": {name: version(name) for name in packages},
        "date": date.today().isoformat(),
        "command": "python benchmarks/served_models.py" + "".join(f" {word}" for word in sys.argv[1:]),
    }
    text = tables(kept)
    print(text)
    for path in (DRAFT, RESULTS) if options.write else (DRAFT,):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    if options.write:
        put("served-models", text)
    return int(any(kind["unlike"] for kind in found))


if __name__ == "__main__":
    sys.exit(main())

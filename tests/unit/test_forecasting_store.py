"""A resumed backtest is never stale: what gives another key, what gives the same, and what is refused."""

import functools
import importlib
import os
import subprocess
import sys
import threading
from importlib import metadata

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from walkforward.forecasting import ForecastError, store

FRAME = pd.DataFrame({"unique_id": "y", "ds": pd.date_range("2020-01-01", periods=5), "y": range(5)})
MODULES = {
    "wf_deep": """
LEVEL = 1.0

def inner(y):
    return y * LEVEL

class Kept:
    def __init__(self, days=1):
        self.days = days

    def __call__(self, frame):
        return frame[["y"]].shift(self.days) * LEVEL
""",
    "wf_helper": """
import wf_deep
from wf_deep import Kept

TABLE = {"a": [1, 2]}

def scaled(y):
    return wf_deep.inner(y)
""",
    "wf_user": """
import functools
import numpy as np
import wf_helper
from sklearn.linear_model import Ridge

def function(frame):
    return wf_helper.scaled(frame[["y"]])

def of_a_table(frame, days):
    return frame[["y"]].shift(days) * wf_helper.TABLE["a"][0]

def imported_inside(frame):
    import wf_helper as helper
    return helper.scaled(frame[["y"]])

def by_name(frame):
    return getattr(wf_helper, "scaled")(frame[["y"]])

@functools.cache
def cached(number):
    return wf_helper.scaled(number)

def of_a_cache(frame):
    return frame[["y"]] * cached(1)

def closure():
    kept = wf_helper.Kept(1)
    return lambda frame: kept(frame)

class Model(Ridge):
    def predict(self, X):
        return wf_helper.scaled(super().predict(X))

partial = functools.partial(of_a_table, days=1)
instance = wf_helper.Kept(2)
method = wf_helper.Kept(3).__call__
lambda_ = lambda frame: wf_helper.scaled(frame[["y"]])
vectorised = np.vectorize(wf_helper.scaled)
enclosed = closure()
""",
}
BUILDERS = (
    "function imported_inside by_name of_a_cache partial instance method lambda_ vectorised enclosed".split()
)
OF_INNER = {
    "function",
    "imported_inside",
    "by_name",
    "of_a_cache",
    "lambda_",
    "vectorised",
    "Model",
    "pipeline",
}
OF_KEPT = {"instance", "method", "enclosed"}


def keys() -> dict[str, str]:
    for name in MODULES:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    user = importlib.import_module("wf_user")
    pipeline = make_pipeline(FunctionTransformer(user.wf_helper.scaled), Ridge())
    models = {"Model": user.Model(), "pipeline": pipeline, "Ridge": Ridge()}
    found = {name: store.key({"model": Ridge(), "features": getattr(user, name)}, FRAME) for name in BUILDERS}
    return found | {name: store.key({"model": model}, FRAME) for name, model in models.items()}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("module", "old", "new", "other"),
    [
        ("wf_deep", "return y * LEVEL", "return y * LEVEL + 1", OF_INNER),
        ("wf_deep", "LEVEL = 1.0", "LEVEL = 2.0", OF_INNER | OF_KEPT),
        ("wf_deep", "shift(self.days)", "shift(self.days + 1)", OF_KEPT),
        ("wf_helper", "[1, 2]", "[3, 2]", {"partial"}),
        ("wf_user", "Kept(2)", "Kept(4)", {"instance"}),
        ("wf_user", "Kept(1)", "Kept(4)", {"enclosed"}),
    ],
)
def test_an_edited_helper_is_another_key(module, old, new, other, modules):
    before = keys()
    assert keys() == before
    (modules / f"{module}.py").write_text(MODULES[module].replace(old, new), encoding="utf-8")
    after = keys()
    changed = {name for name in before if before[name] != after[name]}
    assert other <= changed <= other | {"by_name"}  # getattr may take anything of the module


def test_a_new_process_gives_the_same_key(modules):
    code = (
        f"import runpy, sys; sys.path[:0] = [{str(modules)!r}]; print(runpy.run_path({__file__!r})['keys']())"
    )
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert eval(ran.stdout) == keys()


def test_another_version_is_another_key(modules, monkeypatch):
    before = keys()
    with monkeypatch.context() as patch:
        patch.setattr(sklearn, "__version__", "9.9")
        assert not set(before.values()) & set(keys().values())
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "9.9" if name == "pandas" else real(name))
    assert not set(before.values()) & set(keys().values())


def test_data_and_settings_are_in_the_key():
    def of(frame=FRAME, **settings):
        return store.key({"model": Ridge()} | settings, frame)

    changed = [
        of(FRAME.assign(y=[0, 1, 2, 3, 5])),
        of(FRAME.astype({"y": float})),
        of(FRAME.rename(columns={"y": "z"})),
        of(lags=[1]),
        of(lags=[1, 2]),
        of(model=Ridge(alpha=2)),
        of(folds=[(0, 3, np.array([4]))]),
        of(folds=[(0, 2, np.array([4]))]),
    ]
    assert len({of(), *changed}) == len(changed) + 1


def test_what_a_builder_holds_is_in_its_key():
    def of(held):
        return store.key(
            {"model": Ridge(), "features": functools.partial(lambda held, frame: frame, held)}, FRAME
        )

    scalers = [StandardScaler().fit([[1.0], [last]]) for last in (2.0, 3.0)]
    for one, other in (
        scalers,
        [{"a", "b"}, {"a", "c"}],
        [FRAME, FRAME.tail(4)],
    ):
        assert of(one) == of(one) != of(other)


def test_what_cannot_be_told_is_refused():
    compiled = np.frompyfunc(lambda x: x, 1, 1)
    for held in (threading.Lock(), (i for i in range(3)), compiled):
        features = functools.partial(lambda held, frame: frame, held)
        with pytest.raises(
            ForecastError, match=r"^store= can't tell whether features .* Leave store= out"
        ) as found:
            store.key({"model": Ridge(), "features": features}, FRAME)
        assert "\n" not in str(found.value)
    with pytest.raises(ForecastError, match="calls eval, so what it runs can't be told"):
        store.key({"model": Ridge(), "features": lambda frame: eval("frame")}, FRAME)

"""Lesson 05a: what names in a table protect from, and what a pickle leaves behind."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from xgboost import XGBRegressor

NOTEBOOK = nbformat.read(
    Path(__file__).resolve().parents[1] / "notebooks" / "05a_models_and_flavors.ipynb", as_version=4
)


def printed(name):
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.id == name]
    return "".join(output.get("text", "") for output in cell.outputs if output.get("name") == "stdout")


def test_trees_with_names_refuse_another_order_and_trees_without_do_not():
    """The lesson says so of the colleague's trees."""
    table = pd.DataFrame(np.random.default_rng(0).random((50, 2)), columns=["miles", "hour"])
    trees = XGBRegressor(n_estimators=2, n_jobs=1)
    trees.fit(table.to_numpy(), table["miles"]).predict(table[["hour", "miles"]].to_numpy())
    with pytest.raises(ValueError, match="feature_names mismatch"):
        trees.fit(table, table["miles"]).predict(table[["hour", "miles"]])


def test_cloudpickle_keeps_what_the_notebook_defines_and_nothing_that_it_imports():
    lines = dict(line.split(": ", 1) for line in printed("another_process").splitlines())
    assert lines["pickle, function of this notebook"].startswith("AttributeError")
    assert lines["cloudpickle, function of this notebook"] == "loads"
    assert lines["cloudpickle, imported function"] == "ModuleNotFoundError: No module named 'trip_steps'"


def test_pyfunc_unifies_the_call_and_not_the_answer():
    kinds = dict(re.findall(r"(\w+): \S+, predict gives a (\w+)", printed("two_more")))
    assert kinds == {"prophet": "DataFrame", "onnx": "dict"}

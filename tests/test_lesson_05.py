"""Lesson 05 where it meets other machines, with or without Spark and shap, and its model file as a file."""

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from weekly import weekly

from authoring import build
from authoring.execute import Runner

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "05_models_and_flavors.py")


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook, name):
    (cell,) = [cell for cell in code(notebook) if cell.id == name]
    return "".join(output.get("text", "") for output in cell.outputs if output.get("name") == "stdout")


def executed(first_cell, until=None):
    """Execute the lesson small, after a cell of ours and up to the cell `until`."""
    notebook = build.generate(LESSON)
    if until:
        notebook.cells = notebook.cells[: [cell.id for cell in notebook.cells].index(until) + 1]
    notebook.cells.insert(0, nbformat.v4.new_code_cell(first_cell))
    outcome = Runner().run(notebook, parameters=LESSON.ci)
    assert outcome.faults == []
    return outcome.notebook


def model_file():
    """Return the text of the model file, as the two cells of the lesson write it."""
    parts = [cell.source for cell in code(build.generate(LESSON)) if cell.source.startswith("%%writefile")]
    names = {re.match(r"%%writefile (?:-a )?(\S+)\n", part)[1] for part in parts}
    assert names == {"05_models_and_flavors_files/trip_model.py"}
    return "".join(part.split("\n", 1)[1].rstrip("\n") + "\n" for part in parts)


@pytest.mark.slow
def test_spark_and_pandas_answer_the_same():
    if not find_spec("pyspark"):
        pytest.skip("pyspark is not installed: pip install --target FOLDER pyspark, then PYTHONPATH=FOLDER")
    if not shutil.which("java"):
        pytest.skip("there is no Java, which Spark needs")
    folder = str(Path(find_spec("pyspark").origin).parents[1])
    first = (
        f"import os, sys\nsys.path.append({folder!r})\nos.environ['PYTHONPATH'] += os.pathsep + {folder!r}"
    )
    assert printed(executed(first, until="spark"), "spark").strip() == "as in pandas: True"


def test_trees_with_names_refuse_another_order_and_trees_without_do_not():
    """The lesson says so of the colleague's trees."""
    import numpy as np
    import pandas as pd
    from xgboost import XGBRegressor

    table = pd.DataFrame(np.random.default_rng(0).random((50, 2)), columns=["miles", "hour"])
    trees = XGBRegressor(n_estimators=2, n_jobs=1)
    trees.fit(table.to_numpy(), table["miles"]).predict(table[["hour", "miles"]].to_numpy())
    with pytest.raises(ValueError, match="feature_names mismatch"):
        trees.fit(table, table["miles"]).predict(table[["hour", "miles"]])


@weekly("a variation of the whole lesson; the stored notebook shows it without Spark")
@pytest.mark.slow
def test_it_goes_on_where_neither_shap_nor_spark_is_there():
    hide = [
        "import importlib.util",
        "find = importlib.util.find_spec",
        "absent = {'shap', 'pyspark'}",
        "importlib.util.find_spec = lambda name, *more: None if name in absent else find(name, *more)",
    ]
    notebook = executed("\n".join(hide))
    assert printed(notebook, "spark").startswith("Spark is not here")
    assert printed(notebook, "packages_agree").startswith("The shap package is not here")
    assert "add up to the prediction: True" in printed(notebook, "contributions")


def test_the_stored_notebook_was_built_without_spark():
    path = ROOT / "notebooks" / f"{LESSON.stem}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    (cell,) = [cell for cell in code(notebook) if cell.id == "spark"]
    assert printed(notebook, "spark").startswith("Spark is not here"), "build the lesson without pyspark"
    assert "nbval-ignore-output" in cell.metadata["tags"], "else the comparison fails where Spark is there"


def test_the_model_file_satisfies_ruff():
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--stdin-filename",
        "src/lessons/trip_model.py",
        "-",
    ]
    done = subprocess.run(command, input=model_file(), capture_output=True, encoding="utf-8", cwd=ROOT)
    assert done.returncode == 0, done.stdout
    command[3:4] = ["format", "--check"]
    done = subprocess.run(command, input=model_file(), capture_output=True, encoding="utf-8", cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_model_file_prepares_refuses_and_rounds(tmp_path):
    """Two trips by hand: what the trees are given, and what becomes of their answer."""
    import runpy

    import numpy as np
    import pandas as pd

    path = tmp_path / "trip_model.py"
    path.write_text(model_file(), encoding="utf-8")
    names = runpy.run_path(str(path))
    pairs = pd.MultiIndex.from_tuples([(1.0, 2.0), (3.0, 4.0)], names=names["ZONES"])
    usual = pd.Series([5.0, 7.0], index=pairs)
    trips = pd.DataFrame(
        {
            "trip_distance": [np.nan, np.nan, 1.5],
            "dropoff_location_id": [2, 9, 2],
            "pickup_datetime": pd.to_datetime(["2019-10-07 08:05", "2019-10-13 23:59", "2019-10-08 00:00"]),
            "pickup_location_id": [1, 9, 1],
        },
        index=[4, 2, 0],
    )
    features = names["prepare"](trips, usual)
    assert list(features.columns) == ["trip_distance", *names["ZONES"], "hour", "weekday"]
    assert features["trip_distance"].tolist() == [5.0, 6.0, 1.5]  # the pair's, the median of all, its own
    assert features["hour"].tolist() == [8, 23, 0]
    assert features["weekday"].tolist() == [0, 6, 1]
    assert features.drop(columns="trip_distance").equals(
        names["prepare"](trips.drop(columns="trip_distance"), usual).drop(columns="trip_distance")
    )

    class Trees:
        def predict(self, features):
            return np.array([-3.0, 300.0, 12.345], dtype="float32")

    model = names["TripModel"]()
    model.trees, model.usual_miles = Trees(), usual
    minutes = model.predict(None, trips)
    assert minutes.tolist() == [1.0, 60.0, 12.3]
    assert minutes.index.tolist() == [4, 2, 0]
    with pytest.raises(ValueError, match="without pickup_datetime: 1;"):
        model.predict(None, trips.assign(pickup_datetime=trips["pickup_datetime"].where([True, False, True])))

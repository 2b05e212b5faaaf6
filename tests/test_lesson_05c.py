"""Lesson 05c where it meets other machines, with Spark and without."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from weekly import weekly

from authoring import build
from authoring.execute import Runner
from authoring.marks import tables_of

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "05c_judged_and_explained.py")


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


@weekly("a variation of the whole lesson; the stored notebook shows it without Spark")
@pytest.mark.slow
def test_it_goes_on_where_spark_is_not_there():
    hide = [
        "import importlib.util",
        "find = importlib.util.find_spec",
        "absent = {'pyspark'}",
        "importlib.util.find_spec = lambda name, *more: None if name in absent else find(name, *more)",
    ]
    notebook = executed("\n".join(hide))
    assert printed(notebook, "spark").startswith("Spark is not here")
    assert "add up to the prediction: True" in printed(notebook, "contributions")


def test_the_stored_notebook_was_built_without_spark():
    path = ROOT / "notebooks" / f"{LESSON.stem}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    (cell,) = [cell for cell in code(notebook) if cell.id == "spark"]
    assert printed(notebook, "spark").startswith("Spark is not here"), "build the lesson without pyspark"
    assert "nbval-ignore-output" in cell.metadata["tags"], "else the comparison fails where Spark is there"


def test_three_metrics_pick_three_winners():
    notebook = nbformat.read(ROOT / "notebooks" / f"{LESSON.stem}.ipynb", as_version=4)
    (cell,) = [cell for cell in code(notebook) if cell.id == "evaluated"]
    (table,) = tables_of(cell)
    names = [min(row, key=len) for row in table.rows]
    best = {}
    for place, column in enumerate(table.columns):
        values = [float(row[place]) for row in table.body]
        best[column] = names[values.index(min(values))]
    assert best == {"RMSE": "model + 1", "MAE": "model", "cost": "model + 3"}

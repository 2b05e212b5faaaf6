"""A lesson executed once for all tests that ask: as it is stored, every exercise filled, checks strict.

In the whole run all lessons share one folder, with a space in its name, and some run in it side by side; the
order of Python's sets is another than in the build. `smaller` is the same with CI's parameters and papermill,
for all lessons weekly, and at each push for a few: in the folder where they ran before, as whatever a lesson
leaves there must not be in the way of its next run.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import nbformat
import pytest
from weekly import WEEKLY

from authoring import build
from authoring.execute import Outcome, Runner
from course import environments
from course.environments import OtherEnvironmentError

LESSONS = Path(__file__).resolve().parents[1] / "src" / "lessons"
SMALL_AT_EACH_PUSH = ("I1", "04a")
"""Lessons that are executed with CI's parameters at each push: one that only computes, one with a store."""
INSPECT = "inspect"  # the name of a cell that is added
STORE_OF_04A = """import json
runs = mlflow.search_runs(output_format="list")
below = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
above = {r.info.run_id: r for r in runs if r not in below}
held = {"parents": sorted(r.info.run_name for r in above.values()), "children": len(below)}
held["params"] = min(len(r.data.params) for r in below)
held["orphans"] = sum(r.data.tags["mlflow.parentRunId"] not in above for r in below)
held["models"] = sum(len(r.outputs.model_outputs) if r.outputs else 0 for r in runs)
print(json.dumps(held))"""
ADDED = {"04a_tuning": ("same", STORE_OF_04A)}
"""Cells that a smaller run has besides the lesson's: after which one, and what it asks the kernel."""


def solved(stem: str) -> Outcome:
    """What became of the lesson `stem` ("11c_drift") as stored; do not change it, others read it too."""
    _spare(stem)
    return _executed(stem, small=False)


def smaller(stem: str) -> Outcome:
    """What became of the lesson with CI's parameters; do not change it."""
    if not WEEKLY and stem.partition("_")[0] not in SMALL_AT_EACH_PUSH:
        pytest.skip("weekly (make test WEEKLY=1): CI's parameters; each push solves the lesson as stored")
    _spare(stem)
    return _executed(stem, small=True)


def _spare(stem: str) -> None:
    if stem in os.environ.get("WALKFORWARD_PASSED", "").split():
        pytest.skip("QUICK=1: the lesson passed with this stamp; make test executes it")


@cache
def _executed(stem: str, small: bool) -> Outcome:
    lesson = build.read_lesson(LESSONS / f"{stem}.py")
    if beside := lesson.header.get("environment"):
        try:
            environments.make(beside)
        except OtherEnvironmentError as error:
            pytest.skip(str(error))
    shared = os.environ.get("WALKFORWARD_FOLDER")
    notebook = build.generate(lesson, solved=True)
    if small and stem in ADDED:
        after, code = ADDED[stem]
        place = [cell.id for cell in notebook.cells].index(after)
        notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(code, id=INSPECT))
    return Runner().run(
        notebook,
        parameters=lesson.ci if small else None,
        strict=True,
        folder=Path(shared) if shared else None,
        hash_seed=1,
    )

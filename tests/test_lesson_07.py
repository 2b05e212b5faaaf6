"""Lesson 07 where its story goes another way: other months, and the pictures that it shows."""

from pathlib import Path

import pytest
from weekly import weekly

from authoring import build
from authoring.execute import Runner

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "07_registry.py")


def printed(notebook, name):
    (cell,) = [cell for cell in notebook.cells if cell.id == name]
    return "".join(output.get("text", "") for output in cell.outputs)


@weekly("a variation of the whole lesson; its solved run promotes and rolls back at each push")
@pytest.mark.slow
def test_it_goes_through_when_the_first_challenger_is_refused():
    """On other data the interval may contain zero: then nobody is promoted, and there still is a way back."""
    notebook = build.generate(LESSON)
    (cell,) = [cell for cell in notebook.cells if cell.id == "paired"]
    cell.source += "\npaired = paired - paired.min()  # as if it had never been better"
    outcome = Runner().run(notebook, parameters=LESSON.ci)
    assert outcome.faults == []
    assert printed(outcome.notebook, "promotion").startswith("version 1 says")
    assert printed(outcome.notebook, "rollback") == printed(outcome.notebook, "promotion")
    (audited,) = [cell for cell in outcome.notebook.cells if cell.id == "report"]
    assert "champion" in audited.outputs[0]["data"]["text/plain"]

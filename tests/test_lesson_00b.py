"""Lesson 00b: one absurd record decides the error of a line, and trees do not notice it."""

import re

import nbformat

from course.paths import ROOT

NOTEBOOK = nbformat.read(ROOT / "notebooks" / "00b_before_you_build.ipynb", as_version=4)
(NOVEMBER,) = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code" and cell.id == "november"]
SAID = "\n".join(one.get("text") or "" for one in NOVEMBER.outputs)
PROSE = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")


def test_one_record_decides_the_error_of_a_line_and_not_of_trees():
    errors = {
        (model, way): float(number)
        for model, way, number in re.findall(r"RMSE of the (\w+) (with|without) this trip: +([\d.]+)", SAID)
    }
    assert errors["line", "with"] > 100 * errors["line", "without"]
    assert abs(errors["boosting", "with"] - errors["boosting", "without"]) < 0.1


def test_the_lowest_layer_is_the_last_row_and_the_four_ways_speak_of_applications():
    rows = re.findall(r"^\| (model development|data warehouse|compute) \|", PROSE, re.MULTILINE)
    assert rows == ["model development", "compute", "data warehouse"]
    four = PROSE[PROSE.index("many applications") :][:400]
    for way in ("volume", "velocity", "variety", "validity"):
        assert f"**{way}**" in four

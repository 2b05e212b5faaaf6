"""The measures of a sitting: counted as the formula says, and each one above its limit turns the gate red."""

import nbformat
import pytest
import tiny

from authoring import build, sitting
from course.paths import ROOT

COURSE = build.Course(ROOT)
SOURCES = COURSE.sources()
NUMBERS = [limit.measure for limit in sitting.LIMITS]


def markdown(text: str):
    return nbformat.v4.new_markdown_cell(text)


def code(source: str, *kinds: str, name: str = "", tags: tuple[str, ...] = ()):
    cell = nbformat.v4.new_code_cell(source)
    cell.outputs = [nbformat.v4.new_output("display_data", {kind: "x"}) for kind in kinds]
    if name:
        cell.id = name
    if tags:
        cell.metadata["tags"] = list(tags)
    return cell


def measured(*cells) -> sitting.Sitting:
    (one,) = sitting.measure(nbformat.v4.new_notebook(cells=list(cells)), "07_tiny")
    return one


def test_the_formula():
    """300 words, 16 lines, 3 figures and tables, an exercise, a prompt: 2 + 2 + 1 + 8 + 2 minutes."""
    one = measured(
        markdown("> **Time** 15 minutes of study " + "word " * 287),
        code("x = 1\n\n" * 10, "image/png", "text/html"),
        code("x = 1\n" * 5, "text/html"),
        code("def double(x):\n    return TODO", name="exercise-double"),
        code("check(double)", "text/html"),
        markdown("**Predict first.** Two, or three?"),
        markdown("|a|\n|--|"),
        code("pass", "text/plain"),
    )
    assert (one.words, one.lines, one.shown, one.exercises, one.prompts) == (300, 16, 3, 1, 1)
    assert one.minutes == round(300 / 150 + 16 * 8 / 60 + 3 / 3 + 8 + 2) == 15
    assert one.rounded == one.said == 15


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one <!-- =a: two --> three", 2),
        ("one [two](http://three.four/five six)", 2),
        ("one\n```python\ntwo three\n```\nfour", 2),
        ("one\n\n|two|three|\n|--|--|", 2 + 1),
    ],
)
def test_what_nobody_reads_is_no_word(text, words):
    assert measured(markdown(text)).words == words


def test_the_longest_cell_is_counted_without_its_tables():
    assert measured(markdown("one two\n| three | four |\nfive"), markdown("one")).longest == 3


def test_the_lines_of_a_cell_in_the_middle_and_of_nine_in_ten():
    one = measured(*[code("x = 1\n" * n) for n in range(1, 12)])
    assert (one.cells, one.median, one.p90) == (11, 6, 10)


def test_setup_is_what_comes_before_the_first_output_or_heading_without_parameters_and_imports():
    cells = [
        markdown("## Parameters"),
        code("n = 3\nm = 4", tags=("parameters",)),
        code("import numpy as np\nfrom pandas import (\n    DataFrame,\n)\n\nx = np.ones(3)\ny = x"),
        markdown("Text."),
        code("%matplotlib inline\nz = 3"),
        markdown("## The idea"),
        code("x = 1\n" * 9),
    ]
    assert measured(*cells).setup == 4
    cells[4] = code("%matplotlib inline\nz = 3", "text/plain")
    assert measured(*cells).setup == 2


def test_minutes_are_rounded_up_to_five():
    one = measured(markdown("x"))
    for words, rounded in [(150 * 50, 50), (150 * 51, 55), (150 * 55 + 60, 55), (150 * 55 + 90, 60)]:
        assert sitting.Sitting(**vars(one) | {"words": words}).rounded == rounded


def test_each_sitting_of_a_notebook_is_measured_by_itself():
    notebook = nbformat.v4.new_notebook(
        cells=[
            markdown("# I1\n\n> **Time** 15 minutes of study, in 2 sittings"),
            code("n = 1", tags=("parameters",)),
            markdown("## Sitting 1 · Lists\n\n**Time** 10 minutes of study"),
            code("TODO", name="exercise-a"),
            markdown("## Sitting 2 · Trees\n\n**Time** 5 minutes of study " + "word " * 150),
        ]
    )
    first, second = sitting.measure(notebook, "I1_tiny")
    assert (first.name, first.exercises, first.minutes, first.said) == ("I1_tiny, sitting 1", 1, 8, 10)
    assert (second.exercises, second.minutes, second.said) == (0, 1, 5)
    assert sitting._box_of_several(notebook, [first, second]) == []
    notebook.cells[0].source = notebook.cells[0].source.replace("15 min", "25 min")
    (fault,) = sitting._box_of_several(notebook, [first, second])
    assert "says 25 minutes, its 2 sittings take 15; write" in fault


# The gate --------------------------------------------------------------------------------------------------


def faults_of(tmp_path, notebook=None, text: str = "", exercises: str = tiny.EXERCISES) -> list[str]:
    """The faults of the tiny lesson, with another notebook, more text, or other exercises."""
    course = tiny.course(tmp_path, tiny.source(text))
    lesson = build.read_lesson(course.lessons / "07_tiny.py")
    lesson.exercises.write_text(exercises, encoding="utf-8")
    return sitting.faults(lesson, notebook or build.generate(lesson))


def test_the_tiny_lesson_is_within_the_limits(tmp_path):
    assert faults_of(tmp_path) == []


def test_each_measure_has_a_limit_of_the_style():
    assert {limit.measure: limit.most for limit in sitting.LIMITS} == {
        "minutes": 60,
        "words": 1_800,
        "cells": 26,
        "median": 6,
        "p90": 14,
        "longest": 150,
        "setup": 15,
    }


SPOILED = {
    "minutes": [code("TODO", name=f"exercise-{n}") for n in range(8)],
    "words": [markdown("word " * 150) for _ in range(13)],
    "cells": [code("x = 1") for _ in range(27)],
    "median": [code("x = 1\n" * 7) for _ in range(3)],
    "p90": [code("x = 1\n"), *(code("x = 1\n" * 15) for _ in range(2))],
    "longest": [markdown("word " * 151)],
    "setup": [code("n = 1", tags=("parameters",)), *[code("x = 1\n" * 4) for _ in range(4)]],
}


@pytest.mark.parametrize("measure", NUMBERS)
def test_a_measure_above_its_limit_is_a_line_with_a_way_out(tmp_path, measure):
    cells = SPOILED[measure]
    limit = next(limit for limit in sitting.LIMITS if limit.measure == measure)
    value = getattr(measured(*cells), measure)
    assert value > limit.most
    found = faults_of(tmp_path, nbformat.v4.new_notebook(cells=cells))
    line = f"the sitting: {value:,} {limit.what}, at most {limit.most:,}; {limit.way_out}"
    assert line in found
    assert len([fault for fault in found if " at most " in fault]) == 1 + (measure == "p90")


@pytest.mark.parametrize("said", ["20 minutes of study", "an hour of study"])
def test_other_minutes_in_the_box_are_a_fault(tmp_path, said):
    course = tiny.course(tmp_path, tiny.source().replace("20 minutes of study", said))
    lesson = build.read_lesson(course.lessons / "07_tiny.py")
    notebook = build.generate(lesson)
    notebook.cells += [markdown("word " * 140) for _ in range(5)]
    (fault,) = sitting.faults(lesson, notebook)
    says = "no minutes" if "hour" in said else "20 minutes"
    assert fault == (
        f"the sitting: its **Time** says {says}, the formula gives 22; write `**Time** 25 minutes of study`"
    )


def test_two_tables_and_a_topic_that_the_lesson_does_not_use_are_faults(tmp_path):
    table = "\n# %% [markdown]\n# ## What changed\n# {{ what_changed: sklearn }}\n"
    use = "\n# %%\nprint(root_mean_squared_error)\n"
    assert faults_of(tmp_path, text=use + table) == []
    (fault,) = faults_of(tmp_path, text=use + table + table)
    assert fault == "2 «What changed» tables, at most one; join them"
    (fault,) = faults_of(tmp_path, text=table)
    assert fault == "the lesson uses no call of what_changed's topic 'sklearn'; take the topic out"


def test_an_exercise_with_fewer_other_right_answers_is_a_fault(tmp_path):
    fewer = tiny.EXERCISES.replace("@also_right(triple)\ndef three_times", "def three_times")
    assert fewer != tiny.EXERCISES
    (fault,) = faults_of(tmp_path, exercises=fewer)
    assert fault == (
        "exercise triple: 1 right answers in other styles, at least 2; write them under @also_right(triple) "
        "in exercises/07_tiny.py"
    )


# The lessons -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_lesson_is_within_the_limits(path):
    notebook = build.load(COURSE.notebooks / f"{path.stem}.ipynb")
    assert notebook, "not built"
    assert sitting.faults(build.read_lesson(path), notebook) == []


def test_the_table_has_a_row_a_sitting_and_stars_what_is_above(capsys):
    assert build.main(["--sittings"]) == 0
    head, *rows, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["sitting", *sitting.COLUMNS]
    sittings = build.measures(COURSE)
    assert [row[: len(one.name)] for row, one in zip(rows, sittings, strict=True)] == [
        one.name for one in sittings
    ]
    limits = {limit.measure: limit.most for limit in sitting.LIMITS}
    for row, one in zip(rows, sittings, strict=True):
        assert row.count("*") == sum(getattr(one, name) > most for name, most in limits.items())
    assert total.startswith(f"{len(sittings)} sittings, ")

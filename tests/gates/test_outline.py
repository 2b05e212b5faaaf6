"""The sittings of the course and the three paths through them, as the README and `progress` show them."""

import json
import re

import nbformat
import pytest
import tiny
import yaml
from test_cut import is_exercise, text

from authoring import build
from course import lessons, outline, progress
from course.outline import OutlineError
from course.student import workspace
from course.student.report import show_progress

COURSE = outline.course()
PATHS = outline.paths()
NEW = {stem for became in lessons.CUT.values() for stem in became}


def lesson(stem: str, box: str = "nothing", *exercises: str, parts: tuple[str, ...] = ()) -> tuple[str, str]:
    """The name and the text of a small notebook."""

    def cell(kind, source, name):
        code = {"outputs": [], "execution_count": None} if kind == "code" else {}
        return {"cell_type": kind, "id": name, "metadata": {}, "source": source, **code}

    number = stem.partition("_")[0]
    head = f"# {number} · The title\n\nAfter this lesson you can forecast\nrides.\n"
    frame = f"> **You will learn** x\n>\n> **Before you start** {box}\n>\n> **Time** 45 minutes of study"
    cells = [cell("markdown", head, "title"), cell("markdown", frame, "box")]
    if parts:
        for at, name in enumerate(exercises):
            cells.append(
                cell(
                    "markdown", f"## Sitting {at + 1} · {parts[at]}\n\n**Time** {10 + at} minutes.", f"s{at}"
                )
            )
            cells.append(cell("code", "TODO", f"exercise-{name}"))
    else:
        cells += [cell("code", "TODO", f"exercise-{name}") for name in exercises]
    return stem, text(cells)


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of three lessons, whose last is not cut yet, and two paths."""
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for stem, content in [
        lesson("00a_start_here", "nothing", "begin"),
        lesson("01a_pipelines_and_baselines", "[00a · Start](00a_start_here.ipynb)", "grow", "shrink"),
        lesson("05_models_and_flavors", "[01a](01a_pipelines_and_baselines.ipynb); [00a](00a_x.ipynb) helps"),
        lesson("I1_coding", "nothing", "stack", "heap", parts=("Lists", "Trees")),
    ]:
        (folder / f"{stem}.ipynb").write_text(content, encoding="utf-8")
    short = {"name": "interview", "title": "In a hurry", "about": "what is asked"}
    short["sittings"] = [
        "00a_start_here",
        "05b_own_models",
        "05a_models_and_flavors",
        "99a_later",
        "I1_coding 2",
    ]
    whole = {"name": "course", "title": "All", "about": "everything", "sittings": "all"}
    file = tmp_path / "paths.yaml"
    file.write_text(yaml.safe_dump([short, whole]), encoding="utf-8")
    monkeypatch.setattr(outline, "NOTEBOOKS", folder)
    monkeypatch.setattr(workspace, "NOTEBOOKS", folder)
    monkeypatch.setattr(outline.paths, "__defaults__", (None, file))
    return folder


# The course as it stands --------------------------------------------------------------------------------


def test_every_sitting_says_its_title_its_minutes_and_what_one_can_do_after_it():
    for one in COURSE:
        assert one.title and len(one.promise.split()) > 8, one.stem
        for sitting in one.sittings:
            assert sitting.title, sitting.name


def test_there_are_three_paths_of_sittings_that_there_are():
    assert [path.name for path in PATHS] == ["interview", "course", "forecasting"]
    stems = {one.stem for one in COURSE}
    for entry in yaml.safe_load(outline.PATHS.read_text("utf-8")):
        names = [] if entry["sittings"] == "all" else entry["sittings"]
        assert {name.split()[0] for name in names} <= stems | NEW
        assert len(set(names)) == len(names)


def test_the_interview_is_at_most_twenty_sittings_away():
    assert len(outline.path_named("interview").sittings) <= 20


def test_the_whole_course_is_whole():
    walked = outline.path_named("course").sittings
    assert list(walked) == [sitting for one in COURSE for sitting in one.sittings]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_what_a_sitting_needs_comes_before_it_on_its_path(path):
    uncut = tuple(one for one in path.sittings if one.stem in set(lessons.CUT) - NEW)  # parts of both orders
    assert [line for line in outline.unmet(path, COURSE) if not any(one.stem in line for one in uncut)] == []


# Small courses ------------------------------------------------------------------------------------------


def test_a_notebook_says_what_it_is(course):
    first, second, uncut, several = outline.course()
    assert (first.title, first.promise, first.needs) == ("The title", "you can forecast rides", ())
    assert second.needs == ("00a_start_here",)
    assert uncut.needs == ("01a_pipelines_and_baselines",), "what only helps is not needed"
    assert [(one.name, one.number, one.minutes) for one in second.sittings] == [
        ("01a_pipelines_and_baselines", "01a", 45)
    ]
    assert [(one.name, one.number, one.title, one.minutes, one.exercises) for one in several.sittings] == [
        ("I1_coding 1", "I1.1", "Lists", 10, ("stack",)),
        ("I1_coding 2", "I1.2", "Trees", 11, ("heap",)),
    ]


def test_a_path_takes_what_exists_and_the_uncut_lesson_once(course):
    names = [one.name for one in outline.path_named("interview").sittings]
    assert names == ["00a_start_here", "05_models_and_flavors", "I1_coding 2"]
    (course / "05a_models_and_flavors.ipynb").write_text(lesson("05a_models_and_flavors")[1])
    (course / "05b_own_models.ipynb").write_text(lesson("05b_own_models")[1])
    names = [one.name for one in outline.path_named("interview").sittings]
    assert names == ["00a_start_here", "05b_own_models", "05a_models_and_flavors", "I1_coding 2"]


def test_a_need_that_comes_later_or_never_is_seen(course):
    interview = outline.path_named("interview")
    found = outline.unmet(interview, outline.course())
    assert found == [
        "path interview: 05_models_and_flavors needs 01a_pipelines_and_baselines, which does not come "
        "before it"
    ]
    said = outline.Route(
        **vars(interview) | {"assumed": {"01a_pipelines_and_baselines": "what a pipeline is"}}
    )
    assert outline.unmet(said, outline.course()) == []
    whole = outline.path_named("course")
    assert outline.unmet(whole, outline.course()) == []
    backwards = outline.Route(**vars(whole) | {"sittings": whole.sittings[::-1]})
    assert len(outline.unmet(backwards, outline.course())) == 2


def test_a_lesson_that_can_not_be_read_is_left_out(course):
    (course / "01a_pipelines_and_baselines.ipynb").write_text("<<<<<<< HEAD")
    assert [one.stem for one in outline.course()] == ["00a_start_here", "05_models_and_flavors", "I1_coding"]


@pytest.mark.parametrize("content", ["", "- {name: x", "- 3", "- {name: x}", "x: [1]"])
def test_a_file_of_paths_that_can_not_be_read_is_told_in_a_line(course, tmp_path, content):
    (tmp_path / "paths.yaml").write_text(content)
    with pytest.raises(OutlineError, match=r"paths.yaml can't be read .*: restore it with git"):
        outline.paths(file=tmp_path / "paths.yaml")


def test_a_lesson_shows_a_path_as_links(course, tmp_path):
    source = tiny.source("\n# %% [markdown]\n# ## The way\n# {{ path: interview }}\n")
    made = tiny.course(tmp_path / "tiny", source)
    notebook = build.generate(build.read_lesson(made.lessons / "07_tiny.py"))
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = "[00a](00a_start_here.ipynb) · [05](05_models_and_flavors.ipynb) · [I1.2](I1_coding.ipynb)"
    assert f"## The way\n{links}" in prose
    all_of_them = tiny.course(tmp_path / "all", source.replace("path: interview", "paths"))
    notebook = build.generate(build.read_lesson(all_of_them.lessons / "07_tiny.py"))
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert (
        f"- **In a hurry** (`interview`), 3 sittings: what is asked. {links}.\n- **All** (`course`), 5"
        in prose
    )
    wrong = tiny.course(tmp_path / "wrong", source.replace("path: interview", "path: nowhere"))
    with pytest.raises(build.LessonError, match="there is no path 'nowhere'; there is interview, course"):
        build.generate(build.read_lesson(wrong.lessons / "07_tiny.py"))


def walked(capsys, path=None) -> list[str]:
    show_progress(path)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_progress_shows_how_far_each_path_is_walked(course, capsys, monkeypatch):
    end = walked(capsys)[-2:]
    assert end == [
        "In a hurry (interview): 0 of 3 sittings done; next is 00a_start_here",
        "All (course): 0 of 5 sittings done; next is 00a_start_here",
    ]
    progress.record("begin", "00_start_here", "passed")  # by the lesson's old name
    progress.record("grow", "01a_pipelines_and_baselines", "passed")
    progress.record("shrink", "01a_pipelines_and_baselines", "failed")
    assert walked(capsys)[-2:] == [
        "In a hurry (interview): 1 of 3 sittings done; next is 05_models_and_flavors",
        "All (course): 1 of 5 sittings done; next is 01a_pipelines_and_baselines",
    ]
    progress.record("heap", "I1_coding", "passed")
    assert walked(capsys, "interview") == [
        "00a_start_here 1 of 1 passed",
        *[line for line in walked(capsys, "interview") if line.startswith("begin passed ")],
        "05_models_and_flavors no exercises",
        "I1_coding 2 1 of 1 passed",
        *[line for line in walked(capsys, "interview") if line.startswith("heap passed ")],
        "In a hurry (interview): 3 of 3 sittings done; you have walked it",
    ]
    with pytest.raises(OutlineError, match="there is no path 'x'; there is interview, course"):
        show_progress("x")


def test_the_outline_counts_exercises_as_the_notebooks_hold_them():
    for one in COURSE:
        cells = json.loads((outline.NOTEBOOKS / f"{one.stem}.ipynb").read_text("utf-8"))["cells"]
        held = [cell["id"].removeprefix("exercise-") for cell in cells if is_exercise(cell)]
        assert [name for sitting in one.sittings for name in sitting.exercises] == held


def test_the_marks_are_those_of_the_measures():
    """What is shown as a sitting is what is measured as one."""
    from authoring import sitting

    for one in COURSE:
        notebook = nbformat.read(outline.NOTEBOOKS / f"{one.stem}.ipynb", as_version=4)
        measured = sitting.measure(notebook, one.stem)
        assert [(of.exercises, of.said) for of in measured] == [
            (len(of.exercises), of.minutes) for of in one.sittings
        ]
        assert len([of for of in one.sittings if re.fullmatch(rf"{one.stem}( \d)?", of.name)]) == len(
            measured
        )

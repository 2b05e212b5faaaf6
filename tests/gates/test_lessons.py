"""The lessons as they stand: built from their sources, without a fault; solved they give what is stored."""

import re
import subprocess
import sys
from pathlib import Path

import compared
import pytest
from solved import SMALL_AT_EACH_PUSH, smaller, solved

from authoring import build, lint, readme
from course.exercise import Exercise, Result
from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[2]
COURSE = build.Course(ROOT)
SOURCES = COURSE.sources()
PICTURES = sorted((ROOT / "images").glob("*.png"))


def test_there_are_lessons():
    assert SOURCES, "no lesson in src/lessons"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_check(path):
    """Stale, edited by hand, a number that its output contradicts, an old call, a missing part, ruff."""
    faults = build.check_one(COURSE, path)
    assert not faults, "\n".join(faults)


def test_no_notebook_without_a_source():
    assert build.orphans(COURSE) == []


@pytest.mark.parametrize(
    "command", [["check", "--output-format", "concise"], ["format", "--check"]], ids=" ".join
)
def test_the_python_code_satisfies_ruff(command):
    # Lesson sources are judged as notebooks, above: the empty exercise cells are filled there.
    skipped = ["--extend-exclude", "src/lessons/[0-9I]*.py"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", *skipped, "."],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def faults_of(outcome):
    """What went wrong, warnings and checks that do not pass among it."""
    stderr = [fault for fault in lint.output_faults(outcome.notebook) if "writes to stderr" in fault]
    return outcome.faults + stderr + compared.unpassed(outcome.notebook)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_solved(path):
    """Every exercise filled with its solution, checks strict: all other cells give what is stored."""
    outcome = solved(path.stem)
    faults = faults_of(outcome)
    if not faults and compared.reference(COURSE)[0]:
        faults = compared.differences(build.load(COURSE.notebooks / f"{path.stem}.ipynb"), outcome.notebook)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_smaller(path):
    """The same with papermill and CI's parameters, in the folder where the lesson has run before."""
    faults = faults_of(smaller(path.stem))
    assert not faults, "\n".join(faults)


def test_lessons_are_made_smaller_at_each_push():
    assert set(SMALL_AT_EACH_PUSH) <= {path.stem.partition("_")[0] for path in SOURCES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_blank_exercise_is_stored_as_not_attempted(path):
    """What the blank notebook's own cells show; that a stub is not attempted: test_exercises_prove.py."""
    notebook = build.load(COURSE.notebooks / f"{path.stem}.ipynb")
    names, seen = compared.answers(notebook), []
    for cell in compared.code(notebook):
        if cell.id.startswith(compared.ANSWER):
            assert cell.outputs == [], f"the empty cell of {cell.id} has outputs"
        if name := compared.checked(cell, names):
            blank = Result(exercise(name), "not attempted")
            (shown,) = cell.outputs
            assert shown.data == {"text/plain": repr(blank), "text/html": blank._repr_html_()}, name
            seen.append(name)
    assert seen == names, "each exercise has one cell that is its check alone, in their order"


def exercise(name: str) -> Exercise:
    return getattr(exercise_source.load(exercise_source.find(name)), name).exercise


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_a_screenshot_is_shown_taken_by_a_script_readable_and_small(picture):
    number = picture.stem.partition("_")[0]
    pages = [ROOT / "README.md", *(path for path in SOURCES if path.stem.startswith(f"{number}_"))]
    assert any(f"images/{picture.name})" in page.read_text(encoding="utf-8") for page in pages)
    script = (ROOT / "images" / f"take_{number}.py").read_text(encoding="utf-8")
    assert f'save(page, "{picture.stem}", ' in script
    width = int.from_bytes(picture.read_bytes()[16:20], "big")  # from the PNG's header
    assert width >= 900, f"{picture.name} is {width} pixels wide"
    assert picture.stat().st_size <= 120_000


def test_each_lesson_has_its_seconds_on_record():
    assert sorted(readme.seconds(COURSE)) == [path.stem for path in SOURCES]


def test_the_made_parts_of_the_readme_are_what_the_lessons_give():
    """Minutes, seconds, promises and the paths: `python src/authoring/build.py --readme` writes them."""
    page = (ROOT / "README.md").read_text("utf-8")
    assert page == readme.filled(page, COURSE)
    for path in SOURCES:
        assert f"](notebooks/{path.stem}.ipynb) | " in page


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"\d+ s \|$", "1234 s |"),
        (r"\d+ min \|", "7 min |"),
        (r"^\| \[0.*\n", ""),
        (r" sittings, \d+ hours", " weeks"),
    ],
    ids=["seconds", "minutes", "a lesson", "a path"],
)
def test_a_readme_that_says_another_thing_is_seen(old, new):
    page = (ROOT / "README.md").read_text("utf-8")
    spoiled = re.sub(old, new, page, count=1, flags=re.MULTILINE)
    assert spoiled != page
    assert readme.filled(spoiled, COURSE) == readme.filled(page, COURSE) != spoiled


def test_a_readme_without_the_marks_is_seen():
    with pytest.raises(ValueError, match="no part between <!-- lessons"):
        readme.filled("# Walk-Forward", COURSE)

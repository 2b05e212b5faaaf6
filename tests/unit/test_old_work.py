"""What a student left with the version before the three floors survives this one. See old_work.py."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course import progress
from course.exercise.source import find
from course.paths import ROOT
from course.practice.bank import load_bank
from course.practice.reviews import State
from course.student import report, workspace

OLD = Path(__file__).resolve().parents[1] / "old_work"
LESSON = "01_pipelines_and_baselines.ipynb"
HOME = f"{find('keep_plausible').stem}.ipynb"  # where its exercise is today
IMPORTS = (OLD / "imports.txt").read_text(encoding="utf-8").splitlines()
STAYED = ("walkforward.drift", "walkforward.forecasting", "walkforward.loadtest", "walkforward.monitoring")
STAYED += ("walkforward.plots", "walkforward.serving", "course")


@pytest.fixture
def old(tmp_path, monkeypatch) -> Path:
    """Copies and state as that version left them."""
    (tmp_path / "work" / ".origin").mkdir(parents=True)
    shutil.copy(OLD / "copy.json", tmp_path / "work" / LESSON)
    shutil.copy(OLD / "origin.json", tmp_path / "work" / ".origin" / LESSON)
    shutil.copytree(OLD / "state", tmp_path / "state")
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    return tmp_path


def answer_in(copy: Path) -> str:
    """Return the cell of the first exercise."""
    cells = json.loads(copy.read_text(encoding="utf-8"))["cells"]
    (source,) = ["".join(cell["source"]) for cell in cells if cell["id"] == "exercise-keep_plausible"]
    return source


def kept(old: Path) -> Path:
    """Where the old copy is after a sync: its lesson was cut since, so it is in the backups."""
    (backup,) = (old / "work" / "backups").glob(f"{Path(LESSON).stem}.*.ipynb")
    return backup


def test_the_sync_keeps_the_answer_and_carries_it_to_where_its_exercise_is(old):
    before = (old / "work" / LESSON).read_bytes()
    lines = workspace.sync()
    assert kept(old).read_bytes() == before
    assert "# my answer" in answer_in(old / "work" / HOME)
    (line,) = [line for line in lines if line.startswith("01_")]
    assert "Carried over: answers 1." in line and str(kept(old)) in line


@pytest.mark.slow
def test_the_old_copy_runs_and_is_told_where_its_imports_went(old):
    workspace.sync()
    program = (
        "from pathlib import Path; from course.student import lesson_run; "
        f"raise SystemExit(lesson_run.run([Path({str(kept(old))!r})], {{}}, Path({str(old / 'reports')!r})))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=old, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (old / "reports" / f"{kept(old).stem}.html").read_text(encoding="utf-8")
    assert "walkforward.exercise is course.exercise now: import that." in page
    assert "walkforward.data is course.data now: import that." in page
    records = [record for record in progress.read()[0] if record["exercise"] == "keep_plausible"]
    assert [record["status"] for record in records] == ["failed", "passed", "passed"]
    assert [record["lesson"] for record in records] == ["pipelines", "pipelines", Path(HOME).stem]


def test_progress_shows_what_was_passed(old, capsys):
    report.show_progress()
    shown = capsys.readouterr().out
    assert re.search(r"keep_plausible +passed \d{4}-\d\d-\d\d, at attempt 2\n", shown)
    assert re.search(r"passengers_or_missing +1 failed, last ", shown)


def test_reviews_and_stories_are_kept(old, capsys):
    state = State()
    reviewed = [review.question for review in state.reviews()]
    assert reviewed == [question.id for question in load_bank() if question.id in reviewed]
    assert set(state.cards()) == set(reviewed) and len(reviewed) == 2
    assert [(story, seconds) for story, _, seconds, _ in state.rehearsals()] == [
        ("the-night-of-the-rollback", 150.0)
    ]
    done = subprocess.run(
        [sys.executable, "-m", "course", "story", "list"], capture_output=True, encoding="utf-8"
    )
    assert "the-night-of-the-rollback" in done.stdout.replace(" ", "-").lower(), done.stderr


def module_of(line: str) -> list[str]:
    """Return the modules that an import line names."""
    words = line.split()
    if words[1] != "walkforward":
        return [words[1]]
    return [f"walkforward.{name.strip(',')}" for name in words[3:]]


def test_each_old_import_works_and_says_its_line():
    code = """
import sys, warnings
from walkforward.moved import MOVED
for line in sys.stdin.read().splitlines():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(line)
    said = [str(one.message) for one in caught if "now: import that" in str(one.message)]
    print(line, *said, sep="|")
    for name in MOVED:  # as in the next kernel
        if sys.modules.pop(name, None):
            vars(sys.modules["walkforward"]).pop(name.partition(".")[2], None)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="\n".join(IMPORTS),
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    said = {line: rest for line, *rest in (row.split("|") for row in done.stdout.splitlines())}
    assert set(said) == set(IMPORTS)
    for line, words in said.items():
        gone = {name for name in module_of(line) if not name.startswith(STAYED)}
        if "import Monitor" in line:  # its module stayed
            gone.add("walkforward.monitor")
        assert len(set(words)) == len(gone), (line, words)

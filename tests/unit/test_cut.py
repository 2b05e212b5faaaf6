"""Lessons that were cut into sittings: a student's answers move along, and old names are still understood.

The work folder is that of the last version before the cut, with an answer to every exercise: see old_work.py.
"""

import contextlib
import json
import os
import re
import signal
import sqlite3
import sys
import zipfile
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from course import lessons, progress
from course.practice import bank
from course.practice.anki import export
from course.practice.bank import BankError, choose, load_bank
from course.practice.reviews import State, utc_now
from course.practice.schedule import Schedule
from course.practice.stats import stats
from course.student import lesson_run, workspace
from course.student.report import show_progress
from course.student.workspace import WorkspaceError, find_lesson, find_lessons, reset, sync

OLD = Path(__file__).resolve().parents[1] / "old_work" / "before_the_cut.json"
NEW = [stem for became in lessons.CUT.values() for stem in became]
NOTEBOOKS = workspace.NOTEBOOKS  # the course's own
# Exercises that other ones have replaced: what was answered stays in the backup.
GONE = {"decide", "frozen_by", "serving_mode", "tightest_axis", "unmeasured", "without_i"}
GONE_QUESTIONS = {  # and questions that are asked no more: trivia, or one with a better one
    "better-one-seed",
    "boost-one-leaked-day",
    "code-ks-by-hand",
    "code-mase-scale",
    "debug-forty-seeds",
    "debug-same-record-other-score",
    "debug-target-mean-of-its-own-row",
    "debug-test-month-chose-the-round",
    "debug-two-answers-by-luck",
    "fail-circuit-breaker",
    "packaging-what-mlproject-checks",
    "packaging-when-mlflow-projects",
    "registry-auditor-asks",
    "registry-version-one-is-another",
    "repro-threads-and-bits",
    "track-digest-proves-what",
    "tuning-one-lucky-run",
    "tuning-space-mistakes",
}


@cache
def before_the_cut() -> dict[str, list[dict]]:
    return json.loads(OLD.read_text(encoding="utf-8"))


def text(cells) -> str:
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def is_exercise(cell) -> bool:
    return cell["id"].startswith("exercise-")


def answer_to(key: str) -> str:
    return f"# my answer to {key}"


def answered(cells) -> list[dict]:
    """The lesson with an answer to each exercise, a parameter changed and a cell of the student's own."""
    mine = [dict(cell) for cell in cells]
    for cell in mine:
        cell["source"] = answer_to(cell["id"]) if is_exercise(cell) else f"{cell['source']}\n# my change"
    own = {"cell_type": "code", "id": "mine", "metadata": {}, "source": "my own cell"}
    return [*mine, own | {"outputs": [], "execution_count": None}]


def save_old(work: Path, stem: str, cells=None) -> Path:
    """The copy of an old lesson as its student left it, beside the version that it was made from."""
    pristine = before_the_cut()[stem]
    (work / ".origin").mkdir(parents=True, exist_ok=True)
    (work / ".origin" / f"{stem}.ipynb").write_text(text(pristine), encoding="utf-8")
    copy = work / f"{stem}.ipynb"
    copy.write_text(text(answered(pristine) if cells is None else cells), encoding="utf-8")
    return copy


def cells_of(path: Path) -> dict[str, str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells}


def backups(work: Path) -> list[str]:
    return sorted(path.name.split(".")[0] for path in (work / "backups").glob("*.ipynb"))


@pytest.fixture
def homes(tmp_path, monkeypatch) -> dict[str, str]:
    """A student's folder, no state, and for NOTEBOOKS the old lessons dealt out to the sittings they became.

    A stub in a sitting differs from the old one. Gives the sitting of each exercise.
    """
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(workspace, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(workspace, "IMAGES", tmp_path / "images")
    (tmp_path / "notebooks").mkdir()
    dealt: dict[str, list[dict]] = {stem: [] for stem in NEW}
    for old, became in lessons.CUT.items():
        for place, cell in enumerate(before_the_cut()[old]):
            newer = cell | {"source": f"# Newer.\n{''.join(cell['source'])}"}
            dealt[became[place % len(became)]].append(newer)
    for stem, cells in dealt.items():
        title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {stem}"}
        (tmp_path / "notebooks" / f"{stem}.ipynb").write_text(text([title, *cells]), encoding="utf-8")
    return {cell["id"]: stem for stem, cells in dealt.items() for cell in cells if is_exercise(cell)}


@pytest.fixture
def work(tmp_path) -> Path:
    return tmp_path / "work"


# The work of a student ----------------------------------------------------------------------------------


def test_every_answer_is_in_the_sitting_that_has_its_exercise_and_the_old_copy_in_the_backups(
    homes, work, capsys
):
    before = {stem: save_old(work, stem).read_bytes() for stem in lessons.CUT}
    said = sync()
    for key, stem in homes.items():
        assert cells_of(work / f"{stem}.ipynb")[key] == answer_to(key), (key, stem)
    assert backups(work) == sorted(set(lessons.CUT) - {"11a_monitoring"})
    for stem in backups(work):
        (kept,) = (work / "backups").glob(f"{stem}.*")
        assert kept.read_bytes() == before[stem]
        assert not (work / f"{stem}.ipynb").exists() and not (work / ".origin" / f"{stem}.ipynb").exists()
    assert (work / "11a_monitoring.ipynb").read_bytes() == before["11a_monitoring"], (
        "a lesson still, and theirs"
    )
    (line,) = [line for line in said if line.startswith("13_")]
    (kept,) = (work / "backups").glob("13_*")
    assert line == (
        "13_time_series_and_walk_forward was cut into sittings: it is 13a_time_series and 13b_walk_forward "
        f"now. Carried over: answers 4. Your old copy is {kept}; only there: cells of your own 1, changed "
        "cells of the lesson 1."
    )
    assert "11a_monitoring: answers 2 went with their exercises to 11b_alarms." in said
    assert capsys.readouterr().out.splitlines() == said


def test_it_is_done_once(homes, work):
    for stem in lessons.CUT:
        save_old(work, stem)
    sync()
    after = {path: path.read_bytes() for path in work.rglob("*.ipynb")}
    again = sync()
    assert {path: path.read_bytes() for path in work.rglob("*.ipynb")} == after
    assert not any("Carried" in line or "went with" in line for line in again)


def test_an_answer_that_was_carried_and_taken_back_stays_away(homes, work):
    """A lesson that still stands keeps its answers, so what was carried from it is remembered."""
    save_old(work, "11a_monitoring")
    sync()
    reset("11b_alarms")
    sync()
    key = next(key for key, stem in homes.items() if stem == "11b_alarms" and "11" in stem)
    assert cells_of(work / "11b_alarms.ipynb")[key].startswith("# Newer.")


def test_what_is_answered_in_the_sitting_already_is_not_overwritten(homes, work):
    sync()
    key = next(key for key, stem in homes.items() if stem == "13b_walk_forward")
    copy = work / "13b_walk_forward.ipynb"
    book = json.loads(copy.read_text(encoding="utf-8"))
    next(cell for cell in book["cells"] if cell["id"] == key)["source"] = "a better answer"
    copy.write_text(json.dumps(book), encoding="utf-8")
    save_old(work, "13_time_series_and_walk_forward")
    (line,) = [line for line in sync() if line.startswith("13_")]
    assert cells_of(copy)[key] == "a better answer"
    assert "Carried over: answers 3." in line and "only there: answers 1, " in line
    (kept,) = (work / "backups").glob("13_*")
    assert cells_of(kept)[key] == answer_to(key)


def test_an_untouched_copy_goes_without_a_word(homes, work):
    stem = "13_time_series_and_walk_forward"
    save_old(work, stem, before_the_cut()[stem])
    assert sync() == []
    assert not (work / f"{stem}.ipynb").exists() and backups(work) == []


def test_a_stub_that_was_left_blank_is_no_answer(homes, work):
    stem = "13_time_series_and_walk_forward"
    cells = answered(before_the_cut()[stem])
    blank = next(place for place, cell in enumerate(cells) if is_exercise(cell))
    cells[blank] = before_the_cut()[stem][blank]
    save_old(work, stem, cells)
    (line,) = sync()
    assert "answers 3." in line
    key = cells[blank]["id"]
    assert cells_of(work / f"{homes[key]}.ipynb")[key].startswith("# Newer.")


def test_without_the_memory_of_the_origin_answers_are_told_from_stubs(homes, work):
    stem = "13_time_series_and_walk_forward"
    cells = answered(before_the_cut()[stem])
    blank = next(place for place, cell in enumerate(cells) if is_exercise(cell))
    cells[blank] = before_the_cut()[stem][blank]
    save_old(work, stem, cells)
    (work / ".origin" / f"{stem}.ipynb").unlink()
    (line,) = sync()
    assert "answers 3." in line and backups(work) == [stem]


def test_a_copy_that_can_not_be_read_goes_to_the_backups_as_it_is(homes, work):
    copy = save_old(work, "04b_is_it_better")
    copy.write_bytes(b"{\xff half")
    (line,) = sync()
    assert line.startswith("04b_is_it_better was cut") and "answers 0." in line
    (kept,) = (work / "backups").iterdir()
    assert kept.read_bytes() == b"{\xff half"


def test_nothing_moves_while_a_lesson_of_the_course_can_not_be_read(homes, work, tmp_path):
    copy = save_old(work, "04b_is_it_better")
    broken = tmp_path / "notebooks" / "04c_is_it_better.ipynb"
    whole = broken.read_bytes()
    broken.write_text("<<<<<<< HEAD")
    sync()
    assert copy.exists() and backups(work) == []
    broken.write_bytes(whole)
    sync()
    assert not copy.exists() and backups(work) == ["04b_is_it_better"]


def test_a_number_that_means_another_sitting_now_is_not_confused(homes, work):
    save_old(work, "04b_is_it_better")
    sync()
    early = cells_of(work / "04b_early_stopping_and_pruning.ipynb")
    assert all(source.startswith("#") and "my answer" not in source for source in early.values())
    better = [
        key for key, stem in homes.items() if stem in ("04c_is_it_better", "04d_cheaper_models_and_automl")
    ]
    assert len(better) == 3
    for key in better:
        assert cells_of(work / f"{homes[key]}.ipynb")[key] == answer_to(key)


def test_a_reset_before_the_first_sync_carries_too(homes, work):
    sync()
    save_old(work, "13_time_series_and_walk_forward")
    backup = reset("13", keep_answers=True)
    assert backup.name.startswith("13a_time_series.")
    for key in [key for key, stem in homes.items() if stem.startswith("13")]:
        assert cells_of(work / f"{homes[key]}.ipynb")[key] == answer_to(key)


def test_lessons_that_are_not_cut_yet_stay_where_they_are(homes, work, tmp_path):
    for stem in lessons.CUT["13_time_series_and_walk_forward"]:
        (tmp_path / "notebooks" / f"{stem}.ipynb").unlink()
    old = "13_time_series_and_walk_forward"
    (tmp_path / "notebooks" / f"{old}.ipynb").write_text(text(before_the_cut()[old]), encoding="utf-8")
    copy = save_old(work, old)
    assert sync() == []
    assert copy.exists() and find_lesson("13").stem == old


# Killed in the middle -----------------------------------------------------------------------------------


def killed_after(steps: int) -> bool:
    """Sync in a process that is killed at its so many-th change of a file; False when it came to its end."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = [steps]

    def dying(do):
        def done(*arguments, **named):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return do(*arguments, **named)

        return done

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    workspace.write_whole = dying(workspace.write_whole)
    for name in ("rename", "unlink"):
        setattr(Path, name, dying(getattr(Path, name)))
    try:
        workspace.sync()
    finally:
        os._exit(0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_killed_between_two_files_nothing_is_lost_and_nothing_there_twice(homes, work):
    """At each change of a file in turn, from the same beginning; then once more, to the end."""
    sync()  # the sittings' copies are there
    fresh = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    old = ["04b_is_it_better", "13_time_series_and_walk_forward"]
    keys = [cell["id"] for stem in old for cell in before_the_cut()[stem] if is_exercise(cell)]
    steps, was_killed = 0, True
    while was_killed:
        for path in [path for path in work.rglob("*") if path.is_file()]:
            path.unlink()
        for path, content in fresh.items():
            path.write_bytes(content)
        before = {stem: save_old(work, stem).read_bytes() for stem in old}
        was_killed = killed_after(steps)
        sync()
        for key in keys:
            assert cells_of(work / f"{homes[key]}.ipynb")[key] == answer_to(key), (steps, key)
        assert backups(work) == sorted(old), steps
        for stem in old:
            (kept,) = (work / "backups").glob(f"{stem}.*")
            assert kept.read_bytes() == before[stem]
            assert not (work / f"{stem}.ipynb").exists() and not (work / ".origin" / f"{stem}.ipynb").exists()
        steps += 1
    assert steps > 8, "it was killed at several places"


# The course as it stands --------------------------------------------------------------------------------


STEMS = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
CUT_NOW = [stem for stem, became in lessons.CUT.items() if set(became) <= STEMS]


def test_what_a_lesson_was_cut_into_is_there():
    assert [old for old in lessons.CUT if old not in STEMS | set(CUT_NOW)] == []


def test_a_lesson_whose_sittings_are_not_all_there_keeps_its_copy(homes, work, tmp_path):
    (tmp_path / "notebooks" / "13b_walk_forward.ipynb").unlink()
    copy = save_old(work, "13_time_series_and_walk_forward")
    assert sync() == [] and copy.exists()


@pytest.mark.parametrize("stem", CUT_NOW)
def test_each_answer_of_the_version_before_is_in_a_lesson_of_today(stem, tmp_path, monkeypatch):
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    save_old(tmp_path / "work", stem)
    sync()
    today = workspace._homes()
    there = {cell["id"] for cell in before_the_cut()[stem] if is_exercise(cell)}
    for key in there & set(today):
        assert answer_to(key) in cells_of(tmp_path / "work" / today[key].name).values(), key
    assert there - set(today) <= {f"exercise-{name}" for name in GONE}, (
        "an exercise was renamed: answers are lost"
    )


def test_progress_by_an_old_lesson_counts_under_the_new_one(tmp_path, monkeypatch, capsys):
    """Progress is kept by exercise: whatever lesson a record names, the exercise's own shows it."""
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path))
    for stem, cells in before_the_cut().items():
        for cell in filter(is_exercise, cells):
            progress.record(cell["id"].removeprefix("exercise-"), stem, "passed")
    show_progress()
    shown = capsys.readouterr().out
    for stem, cells in before_the_cut().items():
        for cell in filter(is_exercise, cells):
            name = cell["id"].removeprefix("exercise-")
            assert name in GONE or f"    {name:<32}passed " in shown, (stem, name)


@cache
def questions_before() -> dict[str, str]:
    return json.loads(OLD.with_name("questions.json").read_text(encoding="utf-8"))


def test_every_question_that_was_asked_is_there_and_its_reviews_count_under_its_lesson_of_today(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path))
    today = {question.id: question for question in load_bank()}
    assert set(questions_before()) - set(today) <= GONE_QUESTIONS, "reviews hang on the ids of questions"
    stems = [path.stem for path in NOTEBOOKS.glob("*.ipynb")]
    state = State()
    for old in sorted(lessons.CUT):
        asked = [key for key, number in questions_before().items() if number == lessons.number(old)]
        (one, *_) = [today[key] for key in asked if key in today]
        state.record(one, [True] * len(one.must), [False] * len(one.good), 60.0, "terminal")
        assert one.lesson in {lessons.number(stem) for stem in lessons.cut_into(old, stems) or [old]}
    assert set(state.cards()) <= set(today) and len(state.cards()) == len(lessons.CUT)
    stats()
    seen = re.findall(r"^  \d\d[a-z]? .* seen (\d+) of", capsys.readouterr().out, re.MULTILINE)
    assert sum(map(int, seen)) == len(lessons.CUT)


def test_a_note_for_anki_is_the_same_note_in_another_lesson(tmp_path, monkeypatch):
    """An import updates it: its GUID comes from the question's id, its tag alone names the lesson."""
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path))
    exported = {}
    for number in ("04b", "04c"):
        file = tmp_path / f"{number}.apkg"
        export(file, [load_bank()[0].model_copy(update={"lesson": number})])
        with zipfile.ZipFile(file) as package:
            package.extract("collection.anki2", tmp_path / number)
        with contextlib.closing(sqlite3.connect(tmp_path / number / "collection.anki2")) as db:
            exported[number] = db.execute("SELECT guid, tags FROM notes").fetchall()
    (old,), (new,) = exported.values()
    assert old[0] == new[0]
    assert "walkforward::04b" in old[1] and "walkforward::04c" in new[1] and "04b" not in new[1]


# Names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("13", ["13a_time_series", "13b_walk_forward"]),
        ("9", ["09a_serving", "09b_deploying", "09c_serving_under_load", "09d_faster_answers"]),
        ("13b", ["13b_walk_forward"]),
        (" 13B ", ["13b_walk_forward"]),
        ("13b_walk_forward.ipynb", ["13b_walk_forward"]),
        ("04b", ["04b_early_stopping_and_pruning"]),
    ],
)
def test_a_chapters_number_means_all_its_sittings_and_the_first(homes, name, means):
    found = [path.stem for path in find_lessons(name)]
    assert found[: len(means)] == means and {stem[:2] for stem in found} == {means[0][:2]}
    assert find_lesson(name).stem == means[0]


def test_a_chapter_is_run_in_all_its_sittings_each_once(homes, work, monkeypatch):
    ran = []
    monkeypatch.setattr(lesson_run, "run", lambda copies, *_: ran.extend(copies) or 0)
    assert lesson_run.run_lessons(["13", "13b", "09a"], {}) == 0
    assert [path.stem for path in ran] == ["13a_time_series", "13b_walk_forward", "09a_serving"]
    assert all(path.parent == work and path.exists() for path in ran)
    with pytest.raises(WorkspaceError, match="it is 13a_time_series and 13b_walk_forward now"):
        lesson_run.run_lessons(["13_time_series_and_walk_forward"], {})


@pytest.mark.parametrize(("old", "became"), lessons.CUT.items())
def test_the_name_of_a_lesson_that_was_cut_leads_to_its_sittings(homes, old, became):
    if old in became:
        assert find_lesson(old).stem == old
        return
    with pytest.raises(WorkspaceError) as error:
        find_lesson(old)
    assert str(error.value) == f"{old} was cut into sittings: it is {lessons.listed(became)} now"


@pytest.mark.parametrize("name", ["02", "13c", "9z", "time_series", "13_x", "", "1.0"])
def test_what_is_no_lesson_is_refused(homes, name):
    with pytest.raises(WorkspaceError, match="there is no lesson"):
        find_lesson(name)


def test_who_knew_the_number_by_another_lesson_is_told(homes, capsys):
    assert find_lesson("04b").stem == "04b_early_stopping_and_pruning"
    assert capsys.readouterr().out == "", "somebody new is told nothing"
    progress.record("is_better", "04b_is_it_better", "passed")
    find_lesson("04b")
    assert capsys.readouterr().out == (
        "04b is 04b_early_stopping_and_pruning now; what was 04b is 04c_is_it_better and "
        "04d_cheaper_models_and_automl.\n"
    )
    for name in ("04", "04a", "11a"):
        find_lesson(name)
    assert capsys.readouterr().out == ""


@cache
def whole_bank():
    return load_bank()


def question(number: str):
    return whole_bank()[0].model_copy(update={"id": f"q-{number.lower()}", "lesson": number})


@pytest.mark.parametrize(
    ("lesson", "numbers"),
    [
        ("13", "13a 13b"),
        ("13b", "13b"),
        ("1", "01a"),
        ("i1", "I1"),
        ("13a_time_series", "13a"),
        ("04B", "04b"),
    ],
)
def test_the_questions_of_a_chapter_are_those_of_all_its_sittings(homes, monkeypatch, lesson, numbers):
    monkeypatch.setattr(bank, "NOTEBOOKS", workspace.NOTEBOOKS)
    questions = [question(number) for number in ("01a", "04b", "04c", "13a", "13b", "I1")]
    assert [one.lesson for one in choose(questions, lesson)] == numbers.split()


@pytest.mark.parametrize(
    ("lesson", "said"),
    [
        ("04b_is_it_better", "it is 04c_is_it_better and 04d_cheaper_models_and_automl now"),
        ("12", "no question has lesson '12' here; there is 01a, 13a"),
        ("13c", "no question has lesson '13c' here; there is 01a, 13a"),
    ],
)
def test_questions_of_a_lesson_that_there_is_not(homes, monkeypatch, lesson, said):
    monkeypatch.setattr(bank, "NOTEBOOKS", workspace.NOTEBOOKS)
    with pytest.raises(BankError, match=said):
        choose([question("01a"), question("13a")], lesson)


def test_answers_to_questions_that_are_gone_or_had_other_points_stay_and_break_nothing(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path))
    asked, state = load_bank(), State()
    first = asked[0]
    for name in sorted(GONE_QUESTIONS):
        state.record(first.model_copy(update={"id": name}), [False] * 4, [], 60.0, "practice")
    state.record(first, [True] * (len(first.must) + 2), [False], 60.0, "practice")
    now = utc_now() + timedelta(days=30)  # all of them would be due
    order = [question.id for question in Schedule(asked, state, now).following(2 * len(asked))]
    assert sorted(order) == sorted(question.id for question in asked)
    stats()
    assert sum(map(int, re.findall(r"^  \d\d[a-z]? .* seen (\d+) of", capsys.readouterr().out, re.M))) == 1
    assert {review.question for review in state.reviews()} == GONE_QUESTIONS | {first.id}

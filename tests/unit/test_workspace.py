"""A student's copies: kept up to date while untouched, never overwritten once they hold an answer."""

import json
import re
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest

from course import progress
from course.exercise import source as exercise_source
from course.student import report, workspace
from course.student.lesson_run import run_lessons
from course.student.report import show_progress
from course.student.workspace import WorkspaceError, find_lesson, reset, sync

STUB = "def grow(x):\n    return TODO"
STEM = "01_pipelines"


def cell(source, key, kind="code", **more):
    code = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "id": key, "metadata": {}, "source": source, **code, **more}


def lesson(*extra, title="# Lesson"):
    """A lesson as the course builds it: prose with a picture, the parameters, a stub, its use."""
    return [
        cell(f"{title}\n![a plot](../images/plot.png)", "title", "markdown"),
        cell("months = 3\nname = 'a'", "parameters", metadata={"tags": ["parameters"]}),
        cell(STUB, "exercise-grow"),
        cell("print('months', months)", "show"),
        *extra,
    ]


def save(path, cells):
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(book), encoding="utf-8")


def sources(path):
    return {c["id"]: "".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"]}


def edit(path, change):
    """Let the student change the cells in JupyterLab, which writes the whole file anew."""
    book = json.loads(path.read_text(encoding="utf-8"))
    change(book["cells"])
    path.write_text(json.dumps(book, indent=1), encoding="utf-8")


def answer(path, source="def grow(x):\n    return x + 1"):
    edit(path, lambda cells: cells[2].update(source=source))


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The course's notebooks/ with one lesson; the student's folder is `tmp_path / "my work"`."""
    for name, folder in {"NOTEBOOKS": "notebooks", "LESSONS": "lessons", "IMAGES": "images"}.items():
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(report if name == "LESSONS" else workspace, name, tmp_path / folder)
    (tmp_path / "images" / "plot.png").write_bytes(b"not really a picture")
    (tmp_path / "exercises").mkdir()
    monkeypatch.setattr(exercise_source, "FOLDER", tmp_path / "exercises")
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "my work"))
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    save(tmp_path / "notebooks" / f"{STEM}.ipynb", lesson())
    return tmp_path / "notebooks" / f"{STEM}.ipynb"


@pytest.fixture
def copy(course, tmp_path):
    assert sync() == []
    return tmp_path / "my work" / course.name


# --- sync --------------------------------------------------------------------------------------------


def test_the_first_sync_copies_lessons_and_their_pictures(course, copy, capsys):
    assert sources(copy)["exercise-grow"] == STUB
    assert sources(copy)["title"].endswith("![a plot](images/plot.png)")
    assert (copy.parent / "images" / "plot.png").read_bytes() == b"not really a picture"
    assert capsys.readouterr().out == ""


def test_an_untouched_copy_gets_the_newer_version(course, copy):
    save(course, lesson(cell("1 + 1", "more")))
    assert sync() == []
    assert "more" in sources(copy)
    save(course, lesson())
    assert sync() == [] and "more" not in sources(copy)


def test_outputs_and_an_empty_last_cell_do_not_count_as_changes(course, copy):
    def run(cells):
        cells[3]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["months 3\n"]}]
        cells[3]["source"] = [cells[3]["source"]]  # JupyterLab writes lists of lines
        cells.append(cell("", "last"))

    edit(copy, run)
    save(course, lesson(cell("1 + 1", "more")))
    assert sync() == [] and "more" in sources(copy)


def test_an_answer_is_never_overwritten(course, copy, capsys):
    answer(copy)
    before = copy.read_bytes()
    assert sync() == []  # nothing newer: nothing to say
    save(course, lesson(cell("1 + 1", "more")))
    for _ in range(2):
        (line,) = sync()
        assert "Lesson 01 has a newer version" in line and "`walkforward reset 01 --keep-answers`" in line
        assert copy.read_bytes() == before
    assert capsys.readouterr().out == f"{line}\n" * 2


@pytest.mark.parametrize(
    "change",
    [
        lambda cells: cells.pop(3),
        lambda cells: cells.append(cell("my own", "mine")),
        lambda cells: cells.reverse(),
        lambda cells: cells[0].update(source="my notes"),
        lambda cells: cells[1].update(source="months = 12"),
    ],
)
def test_every_change_of_a_cell_keeps_the_copy(course, copy, change):
    edit(copy, change)
    before = copy.read_bytes()
    save(course, lesson(cell("1 + 1", "more")))
    assert len(sync()) == 1 and copy.read_bytes() == before


def test_newer_outputs_alone_leave_a_run_copy_as_it_is(course, copy):
    edit(copy, lambda cells: cells[3].update(execution_count=7))
    before, newer = copy.read_bytes(), lesson()
    newer[3]["execution_count"] = 1
    save(course, newer)
    assert sync() == [] and copy.read_bytes() == before


def test_a_deleted_copy_comes_back(course, copy):
    answer(copy)
    copy.unlink()
    assert sync() == [] and sources(copy)["exercise-grow"] == STUB


def test_without_the_memory_of_the_origin_an_answer_is_still_kept(course, copy):
    answer(copy)
    before = copy.read_bytes()
    origin = copy.parent / ".origin" / copy.name
    for spoil in (origin.unlink, lambda: origin.write_text("{half a fi")):
        spoil()
        assert len(sync()) == 1 and copy.read_bytes() == before
        save(origin, [])


def test_a_copy_that_equals_the_newest_needs_no_memory(course, copy):
    (copy.parent / ".origin" / copy.name).unlink()
    assert sync() == []
    save(course, lesson(cell("1 + 1", "more")))
    assert sync() == [] and "more" in sources(copy)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"cells": 3}', '{"cells": [{"source": null}]}', "\udcff"]
)
def test_an_unreadable_copy_is_left_alone(course, copy, content):
    before = content.encode("utf-8", "surrogateescape")
    copy.write_bytes(before)
    (line,) = sync()
    assert line.startswith(f"Lesson 01: your {STEM}.ipynb can't be read (") and "walkforward reset 01" in line
    assert copy.read_bytes() == before


def test_an_unreadable_lesson_of_the_course_stops_nobody(course, copy):
    save(course.with_name("02_more.ipynb"), lesson())
    before = copy.read_bytes()
    course.write_text("<<<<<<< HEAD")
    (line,) = sync()
    assert "can't be read" in line and "git" in line
    assert copy.read_bytes() == before and (copy.parent / "02_more.ipynb").exists()


def test_a_folder_that_cannot_be_written_is_one_clear_error(course, tmp_path, monkeypatch):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    monkeypatch.setenv("WALKFORWARD_WORK", str(taken))
    with pytest.raises(WorkspaceError, match="taken.*WALKFORWARD_WORK"):
        sync()
    (tmp_path / "my work").mkdir()
    (tmp_path / "my work" / ".origin").write_text("a file where a folder should be")
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "my work"))
    with pytest.raises(WorkspaceError, match="can't be written"):
        sync()
    assert taken.read_text() == "a file"


def test_a_write_that_breaks_off_leaves_the_old_file(course, copy, monkeypatch):
    save(course, lesson(cell("1 + 1", "more")))
    before = copy.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workspace.Path, "replace", full)
    with pytest.raises(WorkspaceError, match="No space left"):
        sync()
    assert copy.read_bytes() == before
    assert sorted(path.name for path in copy.parent.iterdir()) == [".origin", copy.name, "images"]


# --- reset -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["01", "1", STEM, f"{STEM}.ipynb", " 01 "])
def test_a_lesson_goes_by_number_or_name(course, name):
    assert find_lesson(name) == course


@pytest.mark.parametrize("name", ["I1", "i1", "I1_coding"])
def test_a_lesson_of_the_interview_half_goes_by_its_number(course, name):
    save(course.with_name("I1_coding.ipynb"), lesson())
    assert find_lesson(name) == course.with_name("I1_coding.ipynb")
    assert find_lesson("1") == course


@pytest.mark.parametrize("name", ["2", "pipelines", "", "../01", "1.0"])
def test_an_unknown_lesson_is_named_with_the_known_ones(course, copy, name):
    before = copy.read_bytes()
    with pytest.raises(WorkspaceError, match=f"there is no lesson {re.escape(repr(name))}; there is {STEM}"):
        reset(name)
    with pytest.raises(WorkspaceError, match="there is no lesson"):
        run_lessons([name], {})
    assert copy.read_bytes() == before


def test_before_the_lessons_are_built_the_way_out_is_named(course):
    course.unlink()
    for call in (lambda: reset("01"), lambda: run_lessons([], {})):
        with pytest.raises(WorkspaceError, match="make lessons"):
            call()


def test_reset_without_a_copy_changes_nothing(course, tmp_path):
    with pytest.raises(WorkspaceError, match="walkforward lab"):
        reset("01")
    assert not (tmp_path / "my work" / "backups").exists()


def test_reset_keeps_a_dated_backup_and_never_clobbers_one(course, copy):
    backups = []
    for number in range(3):
        answer(copy, f"answer {number}")
        backups.append(reset("01"))
        assert sources(copy)["exercise-grow"] == STUB
    assert len(set(backups)) == 3
    assert [sources(path)["exercise-grow"] for path in backups] == ["answer 0", "answer 1", "answer 2"]
    assert re.fullmatch(rf"{STEM}\.\d{{4}}-\d\d-\d\dT\d{{6}}(-\d)?\.ipynb", backups[0].name)
    assert sync() == []


def test_reset_keeps_the_answers(course, copy, capsys):
    answer(copy)

    def write(cells):
        cells[0]["source"] = "my notes in the title"
        cells.insert(3, cell("my own", "mine"))
        cells.insert(4, cell("my second", "mine too", "markdown"))
        cells.insert(0, cell("at the top", "top"))

    edit(copy, write)
    backup = reset("01", keep_answers=True)
    assert list(sources(copy).items()) == [
        ("top", "at the top"),
        ("title", "# Lesson\n![a plot](images/plot.png)"),
        ("parameters", "months = 3\nname = 'a'"),
        ("exercise-grow", "def grow(x):\n    return x + 1"),
        ("mine", "my own"),
        ("mine too", "my second"),
        ("show", "print('months', months)"),
    ]
    assert sources(backup)["title"] == "my notes in the title"
    said = capsys.readouterr().out
    assert said == (
        "Carried over: answers 1, cells of your own 3. In the backup only: changed cells of the lesson 1.\n"
    )


def test_answers_move_into_a_newer_version(course, copy):
    answer(copy)
    newer = lesson(cell("def shrink(x):\n    return TODO", "exercise-shrink"), title="# Newer")
    newer[3] = cell("print('rewritten')", "other")
    save(course, newer)
    assert len(sync()) == 1
    reset("01", keep_answers=True)
    assert list(sources(copy)) == ["title", "parameters", "exercise-grow", "other", "exercise-shrink"]
    assert sources(copy)["exercise-grow"].endswith("return x + 1")
    assert sources(copy)["exercise-shrink"].endswith("TODO")
    nbformat.validate(nbformat.read(copy, as_version=4))
    before = copy.read_bytes()
    assert sync() == [] and copy.read_bytes() == before
    save(course, lesson(title="# Newest"))
    assert len(sync()) == 1 and copy.read_bytes() == before


def test_a_stub_that_was_left_blank_gets_the_newer_stub(course, copy):
    newer = lesson()
    newer[2]["source"] = "def grow(x, y):\n    return TODO"
    save(course, newer)
    reset("01", keep_answers=True)
    assert sources(copy)["exercise-grow"] == "def grow(x, y):\n    return TODO"


def test_answers_survive_without_the_memory_of_the_origin(course, copy):
    answer(copy)
    (copy.parent / ".origin" / copy.name).unlink()
    reset("01", keep_answers=True)
    assert list(sources(copy)) == ["title", "parameters", "exercise-grow", "show"]
    assert sources(copy)["exercise-grow"].endswith("x + 1")


def test_an_unreadable_copy_is_backed_up_as_it_is(course, copy, capsys):
    copy.write_bytes(b"{\xff half")
    backup = reset("01", keep_answers=True)
    assert backup.read_bytes() == b"{\xff half" and sources(copy)["exercise-grow"] == STUB
    assert "nothing is carried over" in capsys.readouterr().out


def test_no_backup_no_reset(course, copy):
    answer(copy)
    before = copy.read_bytes()
    (copy.parent / "backups").write_text("a file where the folder should be")
    with pytest.raises(WorkspaceError, match="backups can't be written"):
        reset("01")
    assert copy.read_bytes() == before


# --- progress ----------------------------------------------------------------------------------------


def test_progress_is_shown_lesson_by_lesson(course, tmp_path, capsys):
    right = "from course.exercise import right\n\n\n@right\ndef {}():\n    ''\n"
    (tmp_path / "exercises" / "01_pipelines.py").write_text(
        "".join(right.format(n) for n in ("grow", "shrink", "stay"))
    )
    (tmp_path / "lessons" / "01_pipelines.py").write_text("# %%\n")
    (tmp_path / "lessons" / "00_start.py").write_text("# %%\n")
    (tmp_path / "lessons" / "I1_coding.py").write_text("# %%\n")
    for status in ("failed", "passed", "failed"):
        progress.record("grow", "01_pipelines", status)
    with progress.progress_file().open("a") as file:
        file.write('{"exercise": "stay", "lesson": "pip\nnull\n{"exercise": 3}\n')
    progress.record("shrink", "01_pipelines", "failed")
    show_progress()
    said = re.sub(r"\d{4}-\d\d-\d\d", "DAY", capsys.readouterr().out).splitlines()
    assert [" ".join(line.split()) for line in said[:-1]] == [
        "00_start no exercises",
        "01_pipelines 1 of 3 passed",
        "grow passed DAY, at attempt 2",
        "shrink 1 failed, last DAY",
        "stay not attempted",
        "I1_coding no exercises",
        "The whole course (course): 1 of 1 sittings done; you have walked it",
    ]
    assert said[-1].endswith("progress.jsonl: left out what can't be read, line 4, 5, 6")


def test_no_progress_yet(course, tmp_path, capsys):
    (tmp_path / "lessons" / "00_start.py").write_text("# %%\n")
    show_progress()
    assert capsys.readouterr().out.splitlines() == [
        f"{'00_start':<36}no exercises",
        f"The whole course (course): 0 of 1 sittings done; next is {STEM}",
    ]


# --- run ---------------------------------------------------------------------------------------------


def reported(copy, stem=STEM):
    return (copy.parent / "reports" / f"{stem}.html").read_text(encoding="utf-8")


def test_run_reports_each_lesson_and_goes_on_after_a_failure(course, copy, capsys):
    answer(copy)
    shown = cell("1 / 0", "shown", metadata={"tags": ["raises-exception"]})
    edit(copy, lambda cells: cells.append(shown))
    failing = [cell("print('before')", "a"), cell("raise ValueError('two\\nlines <b>')", "b"), cell("3", "c")]
    save(course.with_name("02_fails.ipynb"), failing)
    (copy.parent / "03_broken.ipynb").write_text("{")
    save(course.with_name("03_broken.ipynb"), lesson())
    before = {path: path.read_bytes() for path in copy.parent.glob("*.ipynb")}
    capsys.readouterr()
    assert run_lessons([], {"months": "7", "name": "2018-06"}) == 1
    assert all(path.read_bytes() == content for path, content in before.items())
    said = capsys.readouterr().out.splitlines()
    table = [re.sub(r"\d+\.\d s", "T", " ".join(line.split())) for line in said]
    assert table[1:5] == [
        "01_pipelines ok T",
        "02_fails failed T",
        "cell [2]: ValueError: two lines <b>",
        "03_broken failed T",
    ]
    assert "can't be read" in table[0] and "can't be read" in table[5] and table[6].startswith("Report: ")
    assert "months 7" in reported(copy) and "ValueError" in reported(copy, "02_fails")
    index = reported(copy, "index")
    assert '<a href="02_fails.html">' in index and "two lines &lt;b&gt;" in index and ">ok<" in index


def test_run_one_lesson(course, copy):
    save(course.with_name("02_other.ipynb"), lesson())
    assert run_lessons(["1", "01"], {}) == 0
    assert "02_other" not in reported(copy, "index") and reported(copy, "index").count("<td>ok") == 1


def test_a_parameter_that_no_lesson_has_is_refused(course, copy):
    with pytest.raises(WorkspaceError, match="no lesson here has a parameter 'month'; there is months, name"):
        run_lessons([], {"month": "3"})
    assert not (copy.parent / "reports").exists()


def test_a_run_takes_the_users_file_and_one_of_two_names_set_together(course, copy, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "my month.csv").write_text("as the README promises")
    monkeypatch.chdir(tmp_path / "here")
    given = cell("trips_path, first, last = None, 1, 2", "p", metadata={"tags": ["parameters"]})
    save(copy, [given, cell("print(open(trips_path).read(), first, last)", "show")])
    assert run_lessons([], {"trips_path": "my month.csv", "last": "3"}) == 0
    assert "as the README promises 1 3" in reported(copy)
    looked_for = re.escape(str(tmp_path / "here" / "none.csv"))
    with pytest.raises(WorkspaceError, match=f"trips_path is 'none.csv', and there is no {looked_for}"):
        run_lessons([], {"trips_path": "none.csv"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("False", False),
        ("null", None),
        ("2018-06", "2018-06"),
        ("2018-10", "2018-10"),
        ('["2018-01", 2]', ["2018-01", 2]),
        ("['2018-01']", ["2018-01"]),
        ("a/b c.parquet", "a/b c.parquet"),
        ("", ""),
    ],
)
def test_parameters_are_read_as_what_they_are(text, value):
    from course.student.parameters import _typed

    assert _typed(text) == value and type(_typed(text)) is type(value)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_the_kernel_and_leaves_nothing_half_written(course, copy, tmp_path):
    save(copy, [cell("open('started', 'w').close()\nimport time\ntime.sleep(60)", "a")])
    save(course.with_name("02_next.ipynb"), lesson())
    before = copy.read_bytes()
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path; from course.student import lesson_run, workspace\n"
        f"workspace.NOTEBOOKS = Path({str(course.parent)!r})\n"
        f"workspace.IMAGES = Path({str(tmp_path / 'images')!r})\n"
        "lesson_run.run_lessons([], {})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while not (copy.parent / "started").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=20)[1]
    finally:
        process.kill()
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert children and not any(child.is_running() for child in children)  # gone before the command is
    assert copy.read_bytes() == before
    assert not (copy.parent / "reports").exists()

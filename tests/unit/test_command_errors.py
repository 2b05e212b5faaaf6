"""Whatever is wrong outside of the program, each command says it in one line; nothing is a traceback."""

import errno
import json
import os
import re
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from course.cli import main
from course.exercise import source as exercise_source
from course.practice import bank as interview
from course.progress import progress_file
from course.student import report, workspace

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the words of errors are those of POSIX")
QUESTION = """- id: a
  kind: concept
  level: mid
  minutes: 3
  prompt: Why so?
  must: [because]
  wrong: [{says: never, why: it is so}]
  follow_ups: [{ask: And now, gist: it goes on}]
"""


@pytest.fixture
def home(tmp_path_factory, monkeypatch):
    """A course of one lesson with one exercise, a bank of one question, and the learner's own folders."""
    tmp_path = tmp_path_factory.mktemp("a course") / "home"
    tmp_path.mkdir()
    for name, folder in {"NOTEBOOKS": "notebooks", "LESSONS": "lessons", "IMAGES": "images"}.items():
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(report if name == "LESSONS" else workspace, name, tmp_path / folder)
    (tmp_path / "exercises").mkdir()
    monkeypatch.setattr(exercise_source, "FOLDER", tmp_path / "exercises")
    (tmp_path / "questions").mkdir()
    monkeypatch.setattr(interview, "FOLDER", tmp_path / "questions")
    monkeypatch.setattr(interview, "NOTEBOOKS", tmp_path / "notebooks")
    for name in ("work", "state"):
        monkeypatch.setenv(f"WALKFORWARD_{name.upper()}", str(tmp_path / name))
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    cell = {"cell_type": "code", "id": "p", "source": "trips_path = None", "outputs": []}
    cell |= {"execution_count": None, "metadata": {"tags": ["parameters"]}}
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "notebooks" / "01_lesson.ipynb").write_text(json.dumps(book))
    (tmp_path / "lessons" / "01_lesson.py").write_text("# %%\n")
    right = "from course.exercise import right\n@right\ndef grow(x):\n    'Grow.'\n"
    (tmp_path / "exercises" / "01_lesson.py").write_text(right)
    (tmp_path / "questions" / "general.yaml").write_text(QUESTION)
    workspace.sync()
    (tmp_path / "state").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments, text=""):
    return CliRunner().invoke(main, arguments, input=text)


def in_one_line(shown, says):
    assert shown.exit_code == 2, (shown.output, shown.exception)
    assert re.fullmatch(r"Error: .+\n", shown.stderr), shown.stderr
    assert re.search(says, shown.stderr), shown.stderr


# What is wrong around the command: `wrong` gets the folder and spoils something there


def write(place, content):
    def spoil(home):
        path = home / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return spoil


def folder(place):
    def spoil(home):
        (home / place).unlink(missing_ok=True)
        (home / place).mkdir(parents=True)

    return spoil


def instead_of_a_folder(place):
    def spoil(home):
        if (home / place).exists():
            (home / place).rename(home / f"{place}.before")
        (home / place).write_text("a file")

    return spoil


def log_of(*statements, version=1):
    """A review log made by hand."""

    def spoil(home):
        from course.practice.reviews import TABLES

        with sqlite3.connect(home / "state" / "interview.sqlite") as db:
            db.executescript(f"{TABLES}PRAGMA user_version={version};" + ";".join(statements))
        db.close()

    return spoil


def review(question="a", rating=3, reviewed="2026-01-01T00:00:00+00:00", must="[true]", good="[]"):
    return log_of(
        "INSERT INTO reviews (question, rating, reviewed, must, good, source) VALUES "
        f"('{question}', {rating}, '{reviewed}', '{must}', '{good}', 'practice')"
    )


NOTHING = write("nothing", "")
TODAY = datetime.now().astimezone().date()
SOON = (TODAY + timedelta(days=14)).isoformat()
BROKEN_LOGS = [
    (folder("state/interview.sqlite"), "interview.sqlite can't be written .*WALKFORWARD_STATE"),
    (write("state/interview.sqlite", "no database " * 100), "can't be read .*: move it away"),
    (instead_of_a_folder("state"), "can't be written .*WALKFORWARD_STATE"),
    (log_of(version=99), "newer version of the course; update it"),
    (review(rating=9), "can't be read .*9 is not a valid Rating.*move it away"),
    (review(reviewed="soon"), "can't be read .*soon.*move it away"),
    (review(reviewed="2026-01-01T00:00:00"), "has no zone.*move it away"),
    (review(must="[tru"), "can't be read .*move it away"),
    (log_of("INSERT INTO settings VALUES ('interview', 'soon')"), "'soon': `walkforward practice .*none`"),
]
BROKEN_BANKS = [
    (write("questions/general.yaml", "- id: [\n"), "general.yaml, line 2: can't be read as YAML"),
    (write("questions/general.yaml", "- id: 2026-13-45\n"), "general.yaml: can't be read as YAML .*month"),
    (write("questions/general.yaml", "- !!int ''\n"), "general.yaml: can't be read as YAML"),
    (write("questions/general.yaml", "- !!timestamp perhaps\n"), "general.yaml: can't be read as YAML"),
    (write("questions/general.yaml", "- !!bool perhaps\n"), "general.yaml: can't be read as YAML"),
    (write("questions/general.yaml", "[" * 3_000), "general.yaml.*: can't be read as YAML"),
    (write("questions/general.yaml", b"- \xff\n"), "general.yaml: can't be read as YAML"),
    (write("questions/general.yaml", "just text\n"), "not a list of questions"),
    (write("questions/general.yaml", QUESTION.replace("mid", "guru")), "level is 'guru'"),
    (folder("questions/general.yaml"), "general.yaml: can't be read .Is a directory.; restore it with git"),
    (write("questions/general.yaml", QUESTION * 2), "id taken in general.yaml"),
]
CASES = {
    "progress": [
        (
            ["progress"],
            write("exercises/01_lesson.py", "<<<<<<< HEAD\n"),
            "01_lesson.py can't be read .*: restore",
        ),
        (
            ["progress"],
            write("exercises/01_lesson.py", b"x = '\xff'\n"),
            "01_lesson.py can't be read .*: restore",
        ),
        (
            ["progress"],
            write("exercises/01_lesson.py", "x = '\0'\n"),
            "01_lesson.py can't be read .*: restore",
        ),
        (["progress"], folder("exercises/01_lesson.py"), "01_lesson.py can't be read .*: restore"),
        (["progress"], folder("state/progress.jsonl"), "progress.jsonl can't be read .*WALKFORWARD_STATE"),
        (["progress"], instead_of_a_folder("state"), "progress.jsonl can't be read .*WALKFORWARD_STATE"),
        (["progress", "01"], NOTHING, "unexpected extra argument"),
        (["progress", "--all"], NOTHING, "No such option"),
    ],
    "env": [
        (["env"], NOTHING, "Missing argument"),
        (["env", "azure"], NOTHING, "no environment is called 'azure'; there is platforms"),
        (["env", ""], NOTHING, "no environment is called ''; there is platforms"),
        (["env", "platforms", "azure"], NOTHING, "unexpected extra argument"),
    ],
    "capstone": [
        (["capstone", "April"], NOTHING, "unexpected extra argument"),
        (["capstone", "--month", "April"], NOTHING, "'April' is not a month: write year and month"),
        (
            ["capstone", "--month", "2021-01"],
            NOTHING,
            "no trips of 2021-01: the course has 2018-01 to 2020-12",
        ),
        (["capstone", "--from", "2020-04", "--to", "2020-03"], NOTHING, "swap them"),
        (["capstone", "--month", "2020-04", "--next"], NOTHING, "exclude each other: give one of them"),
        (["capstone", "--policy", "weekly"], NOTHING, "there is no policy 'weekly': take one of never"),
        (["capstone", "--plant", "May"], NOTHING, "'May' is not a month: write year and month"),
        (
            ["capstone", "--month", "2020-04", "--plant", "2020-04"],
            NOTHING,
            "no canary answers in 2020-04: the flow begins with 2020-04, plant in a later month",
        ),
        (["capstone", "--engine", "airflow"], NOTHING, "'airflow' is not one of 'loop', 'metaflow'"),
        (
            ["capstone", "--next"],
            write("capstone", "a file"),
            "capstone .*see that it can be read and written",
        ),
        (["capstone", "--next"], write("capstone/settings.json", "<<<"), "settings.json is damaged: take"),
        (
            ["capstone", "--next"],
            write("capstone/journal.jsonl", "<<<\n"),
            "has journal.jsonl and no settings.json: .*take the whole folder from a backup",
        ),
        (
            ["capstone", "--next"],
            folder("capstone/settings.json"),
            "settings.json .*: see that it can be read",
        ),
        (["capstone", "--new", ""], NOTHING, "--new is empty: name a folder"),
        (["capstone", "--new", "mine"], write("mine/mine.txt", "mine"), "mine is there and not empty"),
    ],
    "reset": [
        (["reset"], NOTHING, "Missing argument"),
        (["reset", "02"], NOTHING, "there is no lesson '02'; there is 01_lesson"),
        (["reset", "../01"], NOTHING, "there is no lesson"),
        (["reset", ""], NOTHING, "there is no lesson ''"),
        (["reset", "x" * 5_000], NOTHING, "there is no lesson"),
        (["reset", "a\nb"], NOTHING, r"there is no lesson 'a\\nb'"),
        (["reset", "01", "02"], NOTHING, "unexpected extra argument"),
        (["reset", "01"], write("notebooks/01_lesson.ipynb", "<<<<<<< HEAD"), "can't be read .*restore it"),
        (["reset", "01"], write("notebooks/01_lesson.ipynb", "[" * 99_999), "can't be read .*restore it"),
        (["reset", "01"], folder("notebooks/01_lesson.ipynb"), "01_lesson.ipynb can't be written"),
        (
            ["reset", "01"],
            folder("work/01_lesson.ipynb"),
            "no copy of 01_lesson to reset yet: `walkforward lab`",
        ),
        (["reset", "01"], write("work/backups", "a file"), "backups can't be written .*WALKFORWARD_WORK"),
        (["reset", "01"], instead_of_a_folder("work"), "can't be kept in .*WALKFORWARD_WORK"),
        (["reset", "01"], folder("work/.origin/01_lesson.ipynb"), "can't be written .*WALKFORWARD_WORK"),
    ],
    "run": [
        (["run", "02"], NOTHING, "there is no lesson '02'"),
        (["run", "01", "-p", "trips_path"], NOTHING, "requires 2 arguments"),
        (["run", "01", "-p", "months", "3"], NOTHING, "no lesson here has a parameter 'months'"),
        (
            ["run", "01", "-p", "trips_path", "none.csv"],
            NOTHING,
            "there is no /.*none.csv: give a file's path",
        ),
        (["run", "01", "-p", "trips_path", ""], NOTHING, "trips_path is empty"),
        (["run", "01", "-p", "trips_path", "[1]"], NOTHING, "give a file, or a list"),
        (["run", "01", "-p", "trips_path", "a", "-p", "trips_path", "b"], NOTHING, "stands twice"),
        (["run", "01", "-p", "", ""], NOTHING, "no lesson here has a parameter ''"),
        (["run", "01", "-p", "trips_path", "{month}.csv"], NOTHING, "there is no .*month}.csv"),
        (["run"], instead_of_a_folder("work"), "can't be kept in .*WALKFORWARD_WORK"),
        (["run"], lambda home: (home / "notebooks/01_lesson.ipynb").unlink(), "`make lessons` builds them"),
        (["run", "-p", "a", "b"], write("work/01_lesson.ipynb", "{"), "no lesson here has a parameter 'a'"),
    ],
    "practice": [
        (["practice", "--lesson", "99"], NOTHING, "no question has lesson '99' here"),
        (["practice", "--kind", "trivia"], NOTHING, "'trivia' is not one of"),
        (["practice", "--kind", "coding"], NOTHING, "no question has kind 'coding' here; there is concept"),
        (["practice", "--level", "guru"], NOTHING, "'guru' is not one of"),
        (["practice", "--limit", "0"], NOTHING, "0 is not in the range"),
        (["practice", "--limit", "many"], NOTHING, "'many' is not a valid integer"),
        (["practice", "--interview-date", "soon"], NOTHING, "'soon' is no day; write it as 20"),
        (["practice", "--interview-date", "2026-02-30"], NOTHING, "is no day"),
        (["practice", "--interview-date", "2001-01-01"], NOTHING, "is over; name a day to come"),
        (["practice", "--interview-date", ""], NOTHING, "'' is no day"),
        *[(["practice"], wrong, says) for wrong, says in BROKEN_LOGS + BROKEN_BANKS],
    ],
    "kata": [
        (["kata", "nope"], NOTHING, "there is no kata 'nope'; `walkforward kata` lists them"),
        (["kata", ""], NOTHING, "there is no kata ''"),
        (["kata", "nope", "--minutes", "0"], NOTHING, "is not in the range"),
        (["kata", "nope", "--minutes", "many"], NOTHING, "'many' is not a valid float"),
        *[(["kata"], wrong, says) for wrong, says in BROKEN_LOGS[:4]],
    ],
    "plan": [
        (
            ["plan"],
            NOTHING,
            r"there is no plan yet: `walkforward plan --date \d{4}-\d\d-\d\d --hours 1.5` makes one",
        ),
        (["plan", "--all"], NOTHING, "there is no plan yet"),
        (["plan", "--hours", "2"], NOTHING, "for which day"),
        (["plan", "--done", "01a"], NOTHING, "for which day"),
        (["plan", "--date", "soon"], NOTHING, "--date 'soon' is no day: write a day to come as 20"),
        (["plan", "--date", ""], NOTHING, "--date '' is no day"),
        (["plan", "--date", "2026-02-30"], NOTHING, "is no day"),
        (["plan", "--date", "2001-01-01"], NOTHING, "--date 2001-01-01 is over"),
        (["plan", "--date", TODAY.isoformat()], NOTHING, "is today: write a day to come"),
        (["plan", "--date", "9999-12-31"], NOTHING, "days away: a plan reaches 365"),
        *[
            (
                ["plan", "--date", SOON, "--hours", hours],
                NOTHING,
                f"--hours '{hours}': write the hours of a day",
            )
            for hours in ("0", "-1", "0.1", "30", "many", "nan", "inf", "")
        ],
        (
            ["plan", "--date", SOON, "--path", "short"],
            NOTHING,
            "there is no path 'short'; there is interview",
        ),
        (
            ["plan", "--date", SOON, "--done", "99z"],
            NOTHING,
            "--done '99z' is no sitting of the plan: it has 00a",
        ),
        (["plan", "--date", SOON, "--job", "none.txt"], NOTHING, "none.txt can't be read .No such file"),
        (["plan", "--date", SOON, "--job", "work"], NOTHING, "work can't be read .Is a directory"),
        (["plan", "--date", SOON, "--job", "ad"], write("ad", ""), "ad is empty: save"),
        (["plan", "--date", SOON, "--job", "ad"], write("ad", b"\x00\x01\x02"), "ad is no text: save"),
        (["plan", "--date", SOON, "--job", "ad"], write("ad", b"x" * 5_000_000), "ad has 5.0 MB, more than"),
        (["plan", "--date", SOON], folder("state/progress.jsonl"), "progress.jsonl can't be read"),
        (
            ["plan"],
            log_of("INSERT INTO settings VALUES ('plan', '{')"),
            "the plan that is kept can't be read",
        ),
        (["plan"], log_of("INSERT INTO settings VALUES ('plan', '{\"version\": 2}')"), "can't be read"),
        (["plan"], *BROKEN_LOGS[-1]),
        *[(["plan", "--date", SOON], wrong, says) for wrong, says in BROKEN_LOGS[:-1] + BROKEN_BANKS],
    ],
    "mock": [
        (["mock", "--minutes", "0"], NOTHING, "0 is not in the range"),
        (["mock", "--minutes", "2"], NOTHING, "no question fits into --minutes 2; the shortest wants 3"),
        (["mock", "--seed", "-1"], NOTHING, "-1 is not in the range"),
        (["mock", "--level", "senior"], NOTHING, "no question has level 'senior' here; there is mid"),
        *[(["mock"], wrong, says) for wrong, says in BROKEN_LOGS[:3] + BROKEN_BANKS[:3]],
    ],
    "ticket": [
        (["ticket", "slow"], NOTHING, "there is no ticket 'slow': choose one of broken_release"),
        (["ticket", ""], NOTHING, "there is no ticket ''"),
        (["ticket", "../restarts"], NOTHING, "there is no ticket"),
        (["ticket", "--seed", "3"], NOTHING, "--seed wants a ticket's name"),
        (["ticket", "restarts", "--seed", "-1"], NOTHING, "-1 is not in the range"),
        (["ticket", "restarts", "--seed", "one"], NOTHING, "'one' is not a valid integer"),
        (["ticket"], folder("state/tickets.jsonl"), "tickets.jsonl can't be read .*WALKFORWARD_STATE"),
        (["ticket", "restarts"], instead_of_a_folder("state"), "can't be .*WALKFORWARD_STATE"),
        *[(["ticket"], wrong, says) for wrong, says in (*BROKEN_LOGS[:2], BROKEN_LOGS[3])],
    ],
    "stats": [(["stats"], wrong, says) for wrong, says in BROKEN_LOGS + BROKEN_BANKS[:3]],
    "export-anki": [
        (["export-anki"], NOTHING, "Missing argument"),
        (["export-anki", "bank.zip"], NOTHING, "bank.zip is no name that Anki imports; end it with .apkg"),
        (["export-anki", ""], NOTHING, ". is no name that Anki imports"),
        (["export-anki", "nowhere/bank.apkg"], NOTHING, "there is no folder nowhere; make it first"),
        (["export-anki", "bank.apkg"], folder("bank.apkg"), "is a directory"),
        (["export-anki", "notes/bank.apkg"], write("notes", "a file"), "there is no folder notes"),
        (["export-anki", "x" * 300 + ".apkg"], NOTHING, "can't be written .File name too long.: make room"),
        *[(["export-anki", "b.apkg"], wrong, says) for wrong, says in BROKEN_LOGS[:4] + BROKEN_BANKS[:4]],
    ],
    "story": [
        (["story", "new"], NOTHING, "Missing argument"),
        (["story", "new", "!!!"], NOTHING, "a story's title wants letters or digits, not '!!!'"),
        (["story", "new", "there"], write("state/stories/there.md", "# x"), "is there already and stays"),
        (
            ["story", "new", "a"],
            write("state/stories", "a file"),
            "stories can't be written .*WALKFORWARD_STATE",
        ),
        (["story", "new", "a"], instead_of_a_folder("state"), "can't be written .*WALKFORWARD_STATE"),
        (["story", "rehearse"], NOTHING, "no stories yet: `walkforward story new"),
        (["story", "rehearse", "b"], write("state/stories/a.md", "# x"), "there is no story 'b'; there is a"),
        (["story", "rehearse", "a"], folder("state/stories/a.md"), "a.md can't be read .*move it away"),
        (["story", "list"], folder("state/stories/a.md"), "a.md can't be read .*move it away"),
        (["story", "bogus"], NOTHING, "No such command"),
        *[(["story", "list"], wrong, says) for wrong, says in BROKEN_LOGS[:4]],
        (
            ["story", "list"],
            log_of("INSERT INTO rehearsals VALUES (1, 'a', 'soon', 1, '[]')"),
            "a rehearsal in it: .*soon.*move it away",
        ),
    ],
    "serve": [
        (["serve"], NOTHING, "Missing argument"),
        (
            ["serve", "nowhere"],
            NOTHING,
            "nowhere is no MLflow model: .* in /.*home/nowhere: give a model's folder",
        ),
        (["serve", "work"], NOTHING, "work is no MLflow model: there is no MLmodel file in /.*home/work"),
        (["serve", "notebooks/01_lesson.ipynb"], NOTHING, "is no MLflow model"),
        (["serve", ""], NOTHING, "is no MLflow model"),
        (["serve", "x" * 5_000], NOTHING, "is no MLflow model"),
        (["serve", "file:/no/such/model"], NOTHING, "no MLmodel file in /no/such/model"),
        (["serve", "nofolder://x"], NOTHING, "nofolder://x can't be found"),
        (["serve", "work", "--port", "99999"], NOTHING, "choose another --port"),
        (["serve", "work", "--port", "-1"], NOTHING, "choose another --port"),
        (["serve", "work", "--port", "many"], NOTHING, "'many' is not a valid integer"),
        (
            ["serve", "work", "--host", "no.such.host.invalid"],
            NOTHING,
            "Can't listen on no.such.host.invalid",
        ),
        (["serve", "work", "--workers", "0"], NOTHING, "--workers is 0: it must be above 0"),
        (["serve", "work", "--queue", "-1"], NOTHING, "--queue is -1"),
        (["serve", "work", "--timeout", "nan"], NOTHING, "--timeout is nan"),
        (["serve", "work", "--max-body", "0"], NOTHING, "--max-body is 0"),
        (["serve", "work", "--threads", "2"], NOTHING, "No such option"),
    ],
    "lab": [
        (["lab"], instead_of_a_folder("work"), "can't be kept in .*WALKFORWARD_WORK"),
        (["lab", "--port", "3"], NOTHING, "No such option"),
        (["lab", "01", "02"], NOTHING, "unexpected extra argument"),
        (["lab", "02"], NOTHING, "there is no lesson .02."),
    ],
    "doctor": [
        (["doctor", "--fix"], NOTHING, "No such option"),
        (["doctor", "all"], NOTHING, "extra argument"),
    ],
}


@pytest.mark.parametrize("command", CASES)
def test_whatever_is_wrong_is_said_in_one_line(command, home):
    import shutil

    before = home.parent / "before"
    shutil.copytree(home, before)
    for arguments, wrong, says in CASES[command]:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(before, home, dirs_exist_ok=True)
        os.chdir(home)
        wrong(home)
        in_one_line(call(*arguments), says)


def fails_with(number):
    def fail(*_, **__):
        raise OSError(number, "No space left on device" if number == errno.ENOSPC else "Permission denied")

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize(
    ("arguments", "text", "says"),
    [
        (["reset", "01"], "", "can't be written .*: make room for it, or set WALKFORWARD_WORK"),
        (["export-anki", "bank.apkg"], "", "bank.apkg can't be written .*: make room, or choose"),
        (
            ["story", "new", "a"],
            "I was there\n",
            "can't be written .*: make room for it, or set WALKFORWARD_STATE",
        ),
    ],
)
def test_a_full_disk_and_a_folder_that_may_not_be_written(home, monkeypatch, number, arguments, text, says):
    (home / "work" / "01_lesson.ipynb").write_text("my own")
    monkeypatch.setattr(Path, "replace", fails_with(number))
    in_one_line(call(*arguments, text=text), says)


def test_a_report_that_cannot_be_written(home, monkeypatch):
    from course.student import lesson_run

    monkeypatch.setattr(lesson_run, "_execute", lambda *_: "")  # no kernel is needed for this
    (home / "work" / "reports").write_text("a file")
    in_one_line(call("run", "01"), "reports.* can't be written .*WALKFORWARD_WORK")


HUGE = str(10**30)


@pytest.mark.parametrize(
    "note",
    [
        '{"pid": -5, "started": 1.0, "address": "http://127.0.0.1:9/"}',
        '{"pid": HUGE, "started": 1.0, "address": "http://127.0.0.1:9/"}'.replace("HUGE", HUGE),
        '{"pid": HUGE}'.replace("HUGE", HUGE),
        '{"pid": "1", "started": null, "address": 5}',
        "[" * 99_999,
    ],
)
def test_a_note_of_a_lab_that_was_changed_by_hand_is_no_lab(tmp_path, note):
    from course.student.lab import running_lab

    (tmp_path / ".lab.json").write_text(note)
    assert running_lab(tmp_path / ".lab.json") is None


@pytest.mark.parametrize("editor", ["'", "no-such-editor", "false"])
def test_an_editor_that_does_not_start_is_named(home, monkeypatch, editor):
    from course.practice import stories

    monkeypatch.setenv("EDITOR", editor)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    with pytest.raises(
        stories.StoryError, match=f"the editor {re.escape(repr(editor))}: .*empty story is in"
    ):
        stories.new("a story")


def test_the_database_of_a_statement_of_ours_is_not_the_users_fault(home):
    from course.practice.reviews import State

    with pytest.raises(sqlite3.ProgrammingError), State()._open() as db:
        db.execute("SELECT ?", ())


def test_a_practice_needs_no_folder_for_lessons(home):
    instead_of_a_folder("work")(home)
    shown = call("practice", text="\ny\n\n")
    assert shown.exit_code == 0, shown.output
    assert "What comes next" in shown.stdout


def test_progress_of_a_clock_that_can_not_be_is_left_out(home):
    times = ["0001-01-01T00:00:00", "9999-12-31T23:59:59-23:59", "soon"]
    entry = {"exercise": "grow", "lesson": "first", "status": "passed"}
    lines = [json.dumps(entry | {"time": time}) for time in times]
    progress_file().write_text("\n".join(lines) + "\n" + "[" * 99_999 + "\n")
    shown = call("progress")
    assert shown.exit_code == 0, shown.output
    assert "line 1, 2, 3, 4" in shown.stdout or "line 3, 4" in shown.stdout


def test_odd_names_break_no_line_and_no_link(home):
    from course.practice.cards import explanation

    write("state/stories/two\nlines.md", "# x")(home)
    assert "two lines" in call("story", "list").stdout
    odd = {"title": "a [list] of\nthings]", "url": "https://example.org/a_(b)", "checked": "2026-01-01"}
    question = interview.load_bank()[0]
    question = interview.Question(**question.model_dump() | {"sources": [odd]})
    link = r"[a \[list\] of things\]](https://example.org/a_%28b%29)"
    assert f"Source: {link} (checked 2026-01-01)" in explanation(question)


def test_a_lesson_that_is_no_notebook_ends_no_practice(home):
    from course.practice.cards import section

    notebooks = home / "notebooks"
    for content in ("{", "[]", "{}", "\udcff"):
        (notebooks / "01_lesson.ipynb").write_bytes(content.encode(errors="surrogateescape"))
        assert section("01", "p", notebooks) == (notebooks / "01_lesson.ipynb", "")


def test_a_folder_that_is_gone_is_said(home):
    (home / "gone").mkdir()
    os.chdir(home / "gone")
    (home / "gone").rmdir()
    in_one_line(call("export-anki", "bank.apkg"), "the folder that you stand in is gone: cd to another")
    os.chdir(home)


@pytest.mark.parametrize("uri", ["my model", "./my model", "{folder}", "file:{folder}", "file://{folder}"])
def test_a_model_is_looked_for_where_the_user_stands(home, uri):
    from walkforward.serving.server import folder_of

    write("my model/MLmodel", "flavors: {}")(home)
    found = Path(folder_of(uri.format(folder=home / "my model"), str(home)))
    assert (found.name, (found / "MLmodel").read_text()) == ("my model", "flavors: {}")


def test_every_command_is_driven():
    assert set(CASES) == set(main.commands)
    assert all(isinstance(one, click.Command) for one in main.commands.values())

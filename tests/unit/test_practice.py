"""Practice, mock, statistics and stories: what was graded is never lost, the schedule is fsrs' own."""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest
import yaml
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from fsrs import Card, Rating, Scheduler
from spawned import environment
from whole_bank import whole_bank

from course.cli import main
from course.practice import asking, reviews, stories, terminal
from course.practice import bank as interview
from course.practice import sitting as practice
from course.practice.bank import Question, load_bank
from course.practice.cards import section
from course.practice.reviews import SCHEDULER, VERSION, Review, State, StateError, rate

TERMINAL = pytest.mark.skipif(os.name != "posix", reason="pexpect's terminal is POSIX")
DAY = timedelta(days=1)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
(LESSON, CELL, TEXT), *_ = next(one for one in whole_bank() if one.id == "drift-p-value-zero").links
ADDRESS = f"{section(LESSON, CELL)[0].name}#cell-id={CELL}"


def question(name, **change):
    form = {
        "id": name,
        "lesson": "01",
        "kind": "concept",
        "level": "mid",
        "minutes": 4,
        "prompt": f"What is {name}?",
        "must": [f"First of {name}.", f"Second of {name}."],
        "good": [f"More of {name}."],
        "wrong": [{"says": f"Myth of {name}.", "why": "It is not so."}],
        "follow_ups": [{"ask": "And then?", "gist": "Then that."}],
    }
    return Question.model_validate(form | change)


BANK = [
    question("one"),
    question("two", lesson="03", kind="design", level="senior"),
    question("three", lesson=None, kind="behavioural", good=[]),
]
PASSED = ["", "y", "y", "y", ""]  # Enter when it is said, then the points, then Enter at the follow-up


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A state folder and a bank of the test's own; returns the state folder."""
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "work"))
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    bank = tmp_path / "bank"
    bank.mkdir()
    entries = [one.model_dump(mode="json") for one in BANK]
    (bank / "design.yaml").write_text(yaml.safe_dump(entries), encoding="utf-8")
    monkeypatch.setattr(interview, "FOLDER", bank)
    return tmp_path / "state"


@pytest.fixture
def clock(monkeypatch):
    """Set how many seconds each answer takes."""

    def takes(*seconds):
        times = [moment for lasted in seconds for moment in (0.0, float(lasted))]
        left = iter(times)
        monkeypatch.setattr(terminal, "monotonic", lambda: next(left))

    return takes


@pytest.fixture
def call(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    runner = CliRunner()
    return lambda *words, lines=(): runner.invoke(main, words, input="".join(f"{one}\n" for one in lines))


def ratings():
    return [(review.question, review.rating.name) for review in State().reviews()]


# The rating follows from points and time


@pytest.mark.parametrize(
    ("must", "good", "seconds", "rating"),
    [
        ([True, False], [True], 60, "Again"),
        ([False], [], 1, "Again"),
        ([True, False], [True], 9_999, "Again"),
        ([True, True], [True], 361, "Hard"),
        ([True, True], [True], 360, "Good"),
        ([True, True], [True], 241, "Good"),
        ([True, True], [True, True], 240, "Easy"),
        ([True, True], [True, False], 60, "Good"),
        ([True, True], [], 60, "Good"),
        ([True], [True], None, "Good"),
        ([False], [True], None, "Again"),
    ],
)
def test_the_rating_follows_from_the_points_and_the_time(must, good, seconds, rating):
    assert rate(4, must, good, seconds).name == rating


# The schedule is fsrs' own


def history(seed):
    """Return reviews at random: must points that were had, and the time."""
    rng, now = random.Random(seed), NOON
    for _ in range(rng.randint(1, 12)):
        yield [rng.random() < 0.8, True], [rng.random() < 0.7], rng.choice([60, 300, 500]), now
        now += timedelta(minutes=rng.choice([3, 15, 600, 2_000, 20_000]))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("interview_day", [None, date(2026, 12, 5), date(2026, 11, 22), date(2026, 1, 1)])
def test_the_schedule_is_that_of_fsrs(seed, interview_day):
    state = State()
    if interview_day:
        state.set("interview", interview_day.isoformat())
    card = Card(card_id=1)
    for must, good, seconds, now in history(seed):
        rating = state.record(BANK[0], must, good, seconds, "test", now).rating
        steps = {"learning_steps": SCHEDULER.learning_steps, "relearning_steps": SCHEDULER.relearning_steps}
        left = (interview_day - now.date()).days if interview_day else 0
        if left > 0:
            steps["maximum_interval"] = max(1, left // 2)
        card, _ = Scheduler(**steps, enable_fuzzing=False).review_card(card, rating, now)
    mine = state.cards()["one"]
    assert (mine.due, mine.stability, mine.difficulty, mine.state, mine.step, mine.last_review) == (
        card.due,
        card.stability,
        card.difficulty,
        card.state,
        card.step,
        card.last_review,
    )


def test_the_log_replayed_gives_the_same_cards(tmp_path):
    state = State()
    rows = [(one, *row) for one, seed in zip(BANK, range(3), strict=True) for row in history(seed)]
    for one, must, good, seconds, now in rows:
        state.record(one, must, good, seconds, "test", now)
    again = State(tmp_path / "again.sqlite")
    by_id = {one.id: one for one in BANK}
    for review in reversed(state.reviews()):
        again.record(
            by_id[review.question], review.must, review.good, review.seconds, review.source, review.reviewed
        )
    assert sorted(again.reviews(), key=str) == sorted(state.reviews(), key=str)
    assert again.cards() == state.cards() == State().cards()


def test_an_interview_brings_everything_back_before_it():
    state = State()
    for days in range(3):
        state.record(BANK[0], [True, True], [True], 60, "test", NOON + 9 * days * DAY)
    free = state.cards()["one"].due
    state.set("interview", "2026-12-19")
    assert state.cards()["one"].due == NOON + 18 * DAY + 5 * DAY < free  # half of the ten days left
    state.set("interview", "")
    assert state.cards()["one"].due == free


# The file


def test_a_log_that_can_not_be_used_is_told_in_one_line(call, home):
    home.mkdir()
    (home / "interview.sqlite").write_text("no database at all, but long enough to be looked at" * 20)
    shown = call("practice", lines=PASSED)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert re.fullmatch(r"Error: .*interview.sqlite can't be read .*: move it away; .*\n", shown.stderr)


def test_a_log_of_a_newer_course_is_left_alone(home):
    State()
    with sqlite3.connect(home / "interview.sqlite") as db:
        db.execute("PRAGMA user_version=7")
    with pytest.raises(StateError, match="of a newer version of the course; update it"):
        State()


def test_a_folder_that_can_not_be_made_is_told_before_the_first_question(call, home, monkeypatch):
    home.write_text("a file")
    shown = call("practice", lines=PASSED)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "set WALKFORWARD_STATE to a folder you may write" in shown.stderr


PROGRAM = """
import pathlib, sys
from course import cli
from course.practice import bank as interview
interview.FOLDER = pathlib.Path(sys.argv.pop(1))
"""
WRITER = (
    PROGRAM
    + """
from course.practice.reviews import State
question = interview.load_bank()[int(sys.argv[1])]
for number in range(25):
    State().record(question, [True] * len(question.must), [], number, "writer " + sys.argv[1])
"""
)


def test_two_processes_at_once_lose_nothing(home):
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(interview.FOLDER), str(place)])
        for place in (0, 0, 1)
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    found = State().reviews()
    assert len(found) == 75
    assert sorted(review.seconds for review in found) == sorted(3 * list(range(25)))


OLD_LOG = """
CREATE TABLE reviews (id INTEGER PRIMARY KEY, question TEXT NOT NULL, rating INTEGER NOT NULL,
    reviewed TEXT NOT NULL, seconds REAL, must TEXT NOT NULL, good TEXT NOT NULL, source TEXT NOT NULL);
CREATE TABLE rehearsals (id INTEGER PRIMARY KEY, story TEXT NOT NULL, rehearsed TEXT NOT NULL,
    seconds REAL NOT NULL, points TEXT NOT NULL);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO reviews VALUES (1, 'one', 4, '2026-10-01T08:00:00+00:00', 61.5,
    '[true, true]', '[true]', 'practice');
INSERT INTO reviews VALUES (2, 'gone', 1, '2026-10-02T08:00:00+00:00', NULL, '[false]', '[]', 'notebook');
INSERT INTO rehearsals VALUES (1, 'a-story', '2026-10-03T08:00:00+00:00', 150.0, '[true, false]');
INSERT INTO settings VALUES ('interview', '2026-12-13');
PRAGMA user_version=1;
"""


@pytest.fixture
def old_log(home):
    """A log as the first version of this course left it."""
    home.mkdir()
    with closing(sqlite3.connect(home / "interview.sqlite")) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(OLD_LOG)
    return home / "interview.sqlite"


def test_a_log_of_the_first_version_is_read_and_kept(old_log):
    state = State()
    first, second = state.reviews()
    assert first == Review(
        "one",
        Rating.Easy,
        datetime(2026, 10, 1, 8, tzinfo=UTC),
        61.5,
        [True, True],
        [True],
        "practice",
        "",
    )
    assert (second.question, second.seconds, second.must) == ("gone", None, [False])
    assert set(state.cards()) == {"one", "gone"}
    ((story, when, seconds, points),) = state.rehearsals()
    assert (story, when.day, seconds, points) == ("a-story", 3, 150.0, [True, False])
    assert state.interview() == date(2026, 12, 13)
    assert state.attempts() == []
    state.record(BANK[1], [True, True], [True], 60, "test", NOON, said="What I typed.")
    assert [one.said for one in State().reviews()] == ["", "", "What I typed."]
    with closing(sqlite3.connect(old_log)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_two_processes_bring_an_old_log_to_this_version_at_once(old_log):
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(interview.FOLDER), str(place)])
        for place in (0, 1)
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert len(State().reviews()) == 52


def test_a_migration_that_is_killed_leaves_the_old_log(old_log, monkeypatch):
    monkeypatch.setattr(reviews, "STEPS", (*reviews.STEPS[:1], reviews.STEPS[1] + "CREATE TABLE nonsense"))
    with pytest.raises(StateError):
        State()
    with closing(sqlite3.connect(old_log)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert len(db.execute("PRAGMA table_info(reviews)").fetchall()) == 8
    monkeypatch.undo()


def test_attempts_are_kept_in_the_order_of_time(monkeypatch):
    for day, what, name, passed in [
        (3, "kata", "merge", False),
        (2, "ticket", "b", True),
        (4, "kata", "merge", True),
    ]:
        monkeypatch.setenv("WALKFORWARD_NOW", f"2026-12-0{day}T09:00+01:00")
        State().record_attempt(what, name, passed, 12.5, {"tries": day})
    assert [(one.what, one.passed, one.detail) for one in State().attempts()] == [
        ("ticket", True, {"tries": 2}),
        ("kata", False, {"tries": 3}),
        ("kata", True, {"tries": 4}),
    ]
    (first, second) = State().attempts("kata")
    assert (first.name, first.seconds, first.ended) == ("merge", 12.5, datetime(2026, 12, 3, 8, tzinfo=UTC))
    with pytest.raises(ValueError, match="of kata, ticket, round, not of 'exam'"):
        State().record_attempt("exam", "x", True, 1, {})


@pytest.mark.parametrize("given", ["soon", "2026-12-05T09:00", "0001-01-01T00:00+23:00"])
def test_a_clock_that_is_set_to_no_time_is_told_in_one_line(call, monkeypatch, given):
    monkeypatch.setenv("WALKFORWARD_NOW", given)
    shown = call("practice", lines=PASSED)
    assert shown.exit_code == 2
    assert f"WALKFORWARD_NOW is {given!r}, no time with a zone; write 2026-12-05T09:00+00:00" in shown.stderr


# Practice, with scripted input


def test_practice_asks_grades_and_explains(call, clock):
    clock(100, 500, 30)
    shown = call("practice", lines=[*PASSED, "", *PASSED, "", "", "n", "y", ""])
    assert shown.exit_code == 0, shown.output
    assert ratings() == [("one", "Easy"), ("two", "Hard"), ("three", "Again")]
    text = " ".join(shown.output.split())
    assert text.startswith("0 due, 3 new; at most 10 now.")
    assert "── 2 of 3 · 03 · design · senior · 4 min" in text
    assert "Easy: must 2 of 2, good 1 of 1, 1:40 of 4:00. It is due" in text
    assert "Again: must 1 of 2, good 0 of 0, 0:30 of 4:00. It is due in 10 minutes." in text
    assert "✗ Myth of one. It is not so." in text
    assert "? And then? Answer, then Enter; q: leave. Then that." in text
    assert "3 graded: Again 1, Hard 1, Easy 1" in text
    assert "Next review: in 10 minutes; tomorrow: 0 to repeat, 0 new." in text
    assert "\x1b" not in shown.output


def test_the_link_leads_to_the_cell(call, clock, monkeypatch):
    clock(1)
    shown = [{"lesson": LESSON, "cell": CELL, "text": TEXT}]
    monkeypatch.setattr(practice, "load_bank", lambda: [question("linked", shows=shown)])
    text = call("practice", lines=PASSED).output
    assert ADDRESS in text
    assert f"{section(LESSON, CELL)[1]}: {TEXT}" in text


def test_the_link_is_an_address_where_the_lab_runs(call, clock, monkeypatch, tmp_path):
    from course.student import lab

    shown = [{"lesson": LESSON, "cell": CELL, "text": TEXT}]
    monkeypatch.setattr(practice, "load_bank", lambda: [question("linked", shows=shown)])
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "work"))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".lab.json").write_text("{}")
    clock(1, 1)
    assert f"\n  {ADDRESS}\n" in call("practice", lines=PASSED).output  # no lab any more
    address = "http://127.0.0.1:8888/lab/tree/00_start_here.ipynb?token=secret"
    monkeypatch.setattr(lab, "running_lab", lambda note: address)
    State().path.unlink()
    text = call("practice", lines=PASSED).output
    assert f"\n  http://127.0.0.1:8888/lab/tree/{ADDRESS}\n" in text
    assert "secret" not in text


@pytest.mark.parametrize("how", [EOFError, KeyboardInterrupt])
def test_stopped_at_any_prompt_keeps_what_was_graded(call, monkeypatch, how, home):
    lines = [*PASSED, "", "", "y", "n", "y", "", "", *PASSED[:-2]]
    complete = [4, 10, 15]  # lines read when a question is graded
    ticked = {stop: stop - start - 1 for start in (0, 6, 12) for stop in range(start + 1, start + 4)}
    for stop in range(len(lines)):
        for file in home.glob("*"):
            file.unlink()
        left = iter(lines[:stop])

        def typed(prompt, left=left):
            for line in left:
                return line
            raise how

        monkeypatch.setattr(terminal, "ask", typed)
        monkeypatch.setattr(practice, "ask", typed)
        monkeypatch.setattr(asking, "ask", typed)
        shown = call("practice")
        kept = sum(done <= stop for done in complete)
        assert shown.exit_code == 130
        half = ""
        if stop in ticked:
            ticks = f" and its ticks ({ticked[stop]}) are" if ticked[stop] else " is"
            half = f" The answer on the screen{ticks} kept; practice goes on there."
        assert shown.stderr == f"Stopped; graded and kept: {kept}.{half}\n"
        assert len(ratings()) == kept
        assert len(State().unfinished()) == bool(half)


def test_the_end_of_input_ends_a_sitting(call):
    shown = call("practice", lines=[*PASSED, ""])
    assert (shown.exit_code, shown.stderr) == (130, "Stopped; graded and kept: 1.\n")
    assert [name for name, _ in ratings()] == ["one"]


def test_a_question_is_skipped_and_a_sitting_ended_by_a_letter(call):
    shown = call("practice", lines=["s", *PASSED, "q"])
    assert shown.exit_code == 0
    assert [name for name, _ in ratings()] == ["two"]


def test_a_wrong_key_asks_again_and_b_goes_back(call):
    shown = call("practice", "--limit", "1", lines=["", "b", "maybe", "n", "b", "YES", "y", "", "no", ""])
    assert shown.exit_code == 0
    (review,) = State().reviews()
    assert (review.must, review.good) == ([True, True], [False])
    assert shown.output.count("b goes back one point") == 3


def test_filters_and_limit(call):
    assert call("practice", "--kind", "design", lines=PASSED).exit_code == 0
    assert call("practice", "--lesson", "1", "--level", "mid", lines=PASSED).exit_code == 0
    assert [name for name, _ in ratings()] == ["two", "one"]
    shown = call("practice", "--lesson", "12")
    assert (shown.exit_code, shown.stderr) == (
        2,
        "Error: no question has lesson '12' here; there is 01, 03, I4\n",
    )
    assert call("practice", "--limit", "0").exit_code == 2


def test_what_is_due_comes_first_and_nothing_due_is_said(call):
    past = datetime.now(UTC) - 3 * DAY
    State().record(BANK[2], [True, False], [], 60, "test", past)
    shown = call("practice", "--limit", "1", lines=["", "y", "y", ""])
    assert shown.output.startswith("1 due, 2 new")
    assert [name for name, _ in ratings()] == ["three", "three"]
    shown = call("practice", "--kind", "behavioural")
    assert shown.exit_code == 0
    assert shown.output.startswith("0 due, 0 new")
    assert "Next review: " in shown.output


def test_an_interview_date_is_remembered_and_forgotten(call):
    soon = (datetime.now(UTC) + 10 * DAY).date()
    assert call("practice", "--interview-date", soon.isoformat(), lines=PASSED[:-1]).exit_code == 130
    assert State().interview() == soon
    assert f"Interview on {soon:%d %b %Y}: " in call("practice").output
    (card,) = State().cards().values()
    assert card.due <= card.last_review + 5 * DAY
    call("practice", "--interview-date", "none")
    assert State().interview() is None


@pytest.mark.parametrize(
    ("day", "message"), [("soon", "'soon' is no day; write it as 20"), ("2020-01-01", "2020-01-01 is over")]
)
def test_an_interview_date_that_can_not_be_is_refused(call, day, message):
    shown = call("practice", "--interview-date", day)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert message in shown.stderr
    assert State().interview() is None


def test_bytes_that_are_no_text_are_asked_again(home):
    lines = b"\n\xff\xfe\ny\ny\ny\ny\n"
    command = [
        sys.executable,
        "-c",
        PROGRAM + "cli.main()",
        str(interview.FOLDER),
        "practice",
        "--limit",
        "1",
    ]
    done = subprocess.run(
        command, input=lines, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert b"Traceback" not in done.stderr
    assert b"b goes back one point" in done.stdout


# Statistics


def test_stats_show_strength_and_the_reviews_to_come(call, monkeypatch):
    now = datetime.now(UTC)
    State().record(BANK[0], [True, True], [True], 60, "test", now)
    State().record(BANK[1], [True, False], [True], 60, "test", now)
    State().set("interview", (now + 3 * DAY).date().isoformat())
    lines = call("stats").output.splitlines()
    strength = {line.split()[0]: line.split()[2:] for line in lines if "seen" in line}
    assert strength["01"] == ["100%", "seen", "1", "of", "1"]
    assert strength["03"] == ["0%", "seen", "1", "of", "1"]  # seen, and failed
    assert list(strength)[:2] == ["03", "01"]  # the weakest first
    assert [line.strip() for line in lines if "Not asked yet" in line] == [
        "Not asked yet: behavioural (1)."
    ] * 2
    days = [line.split()[:7] for line in lines if re.match(r"  \w{3} \d\d \w{3} ", line)]
    assert [(int(day[3]), int(day[6])) for day in days] == [(1, 1), (1, 0), (0, 0)]  # repeats and new
    assert "in 3 days: at this pace you meet 1 of the 1 questions that are new" in " ".join(lines)


def test_stats_show_the_trend_over_the_weeks_and_what_was_tried(call, monkeypatch):
    state, monday = State(), datetime(2026, 11, 2, 9, tzinfo=UTC)
    state.record(BANK[0], [True, True], [True], 60, "test", monday)
    state.record(BANK[1], [True, False], [True], 60, "test", monday + 6 * DAY)
    state.record(BANK[1], [True, True], [True], 60, "test", monday + 14 * DAY)
    monkeypatch.setenv("WALKFORWARD_NOW", "2026-11-17T09:00+00:00")
    state.record_attempt("kata", "merge", False, 90, {})
    state.record_attempt("kata", "merge", True, 250, {})
    state.record_attempt("ticket", "slow-query", False, 600, {})
    text = call("stats").output
    weeks = re.findall(
        r"^  (\d\d Nov) +(\d+) answers +(?:(\d+)% passed)? +(\d+)% of (\d)", text, re.MULTILINE
    )
    assert [week[:3] for week in weeks] == [
        ("02 Nov", "2", "50"),
        ("09 Nov", "0", ""),
        ("16 Nov", "1", "100"),
    ]
    first, second, third = (int(week[3]) for week in weeks)
    assert 40 <= second <= first <= 50 < 90 <= third  # of two questions that were met, one known, then two
    assert [week[4] for week in weeks] == ["2", "2", "2"]
    words = " ".join(text.split())
    assert "kata: tried 2, passed 1, different 1; last merge (passed, 4:10)" in words
    assert "ticket: tried 1, passed 0, different 1; last slow-query (not passed, 10:00)" in words


@pytest.mark.parametrize("columns", [40, 60, 100, 200])
def test_stats_fit_the_terminal(call, monkeypatch, columns):
    State().record(BANK[0], [True, True], [True], 60, "test")
    monkeypatch.setenv("COLUMNS", str(columns))
    assert max(map(len, call("stats").output.splitlines())) <= max(columns, 60)


def test_stats_of_an_empty_log(call):
    shown = call("stats")
    assert shown.exit_code == 0
    assert shown.output.startswith("Nothing was asked yet: `walkforward practice` begins.")
    assert "0 to repeat,  3 new" in shown.output


# A real terminal


def spawn(*words, columns=90, **env):
    pexpect = pytest.importorskip("pexpect")
    return pexpect.spawn(
        sys.executable,
        ["-c", PROGRAM + "cli.main()", str(interview.FOLDER), *words],
        env=environment(TERM="xterm") | env,
        encoding="utf-8",
        timeout=30,
        dimensions=(40, columns),
    )


def grade(child, points=None):
    """Answer the question on the screen: Enter, then y to each point, until it is graded and followed up."""
    child.expect(r"0:\d\d of \d")
    child.sendline("")
    while child.expect([r"y/n: ", r"It is due"]) == 0:
        child.sendline("y")
    child.expect("Answer, then Enter; q: leave. ")
    child.sendline("")


@TERMINAL
def test_a_sitting_in_a_terminal_has_a_running_clock_and_ends_with_ctrl_c(home):
    child = spawn("practice", NO_COLOR="1")
    child.expect("1 of ")
    child.expect("0:00 of ")
    child.expect("0:0[1-9] of ")  # it runs
    child.sendline("")
    while child.expect([r"y/n: ", r"(Again|Hard|Good|Easy): must"]) == 0:
        child.sendline("y")
    child.expect("q: leave. ")
    child.sendline("")
    child.expect("Enter: next question")
    child.sendline("")
    child.expect("0:00 of ")
    child.sendintr()
    child.expect(r"Stopped; graded and kept: 1\.")
    shown = child.before
    child.wait()
    assert child.exitstatus == 130
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)
    assert len(State().reviews()) == 1
    assert 1 <= State().reviews()[0].seconds < 60


@TERMINAL
def test_what_a_stopped_answer_keeps_is_said_within_the_width(home):
    child = spawn("practice", columns=60)
    child.expect("0:00 of ")
    child.sendline("")
    child.expect("y/n: ")
    child.sendline("y")
    child.expect("y/n: ")
    child.sendintr()
    child.expect(r"Stopped; graded[^\x1b]*there\.")
    shown = child.after
    child.wait()
    assert "its ticks (1) are kept" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 60


@TERMINAL
def test_a_second_enter_does_not_answer_the_next_question(home):
    child = spawn("practice")
    grade(child)
    child.expect("Enter: next question")
    child.send("\n\n\n")
    child.expect("0:01 of ")  # the clock of the second question runs on
    child.sendintr()
    child.wait()
    assert len(State().reviews()) == 1


@TERMINAL
def test_the_clock_keeps_its_line_in_a_narrow_terminal(home):
    child = spawn("practice", columns=44, NO_COLOR="1")
    child.expect("Answer aloud or type it, then Enter. s:\r\n  skip it; q: leave.\r\n")
    child.expect("  0:00 of 4:00")
    child.expect("  0:01 of 4:00")
    child.sendintr()
    child.wait()


@TERMINAL
def test_ctrl_d_in_a_terminal_keeps_what_was_graded(home):
    child = spawn("practice")
    grade(child)
    child.expect("Enter: next question")
    child.sendeof()
    child.expect(r"Stopped; graded and kept: 1\.")
    child.wait()
    assert child.exitstatus == 130
    assert len(State().reviews()) == 1


@TERMINAL
def test_sigkill_loses_nothing_that_was_entered(home):
    child = spawn("practice")
    for _ in range(2):
        grade(child)
        child.expect("Enter: next question")
        child.sendline("")
    child.expect("0:00 of ")
    child.sendline("")
    child.expect("y/n: ")
    child.sendline("n")
    child.expect("y/n: ")
    child.kill(signal.SIGKILL)
    child.wait()
    first, second = State().reviews()
    assert first.question != second.question
    child = spawn("practice")
    child.expect("You began this answer on .*; it goes on here")
    child.expect("must 1/2 .*y/n: n\r\n")  # its tick is kept
    child.expect("y/n: ")
    child.sendline("y")
    child.expect("It is due")
    child.sendintr()
    child.wait()
    third = State().reviews()[2]
    assert third.question not in (first.question, second.question)
    assert third.must == [False, True]
    assert State().unfinished() == []


@TERMINAL
def test_two_terminals_at_once_lose_nothing_and_ask_nothing_twice(home):
    here, there = (spawn("practice") for _ in range(2))
    grade(here)
    grade(there)  # both had the first question on the screen
    for child in (here, there):
        child.expect("Enter: next question")
        child.sendline("")
        grade(child)
        child.sendintr()
        child.wait()
    asked = [review.question for review in State().reviews()]
    assert len(asked) == 4
    assert len(set(asked)) == 3


@TERMINAL
@pytest.mark.parametrize(
    ("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_appear_in_a_terminal_that_wants_them(env, coloured):
    child = spawn("stats", **env)
    child.expect("The next 14 days")
    assert ("\x1b[" in child.before) == coloured
    child.wait()


# Stories


def test_a_story_is_written_part_by_part_and_never_over(call, home):
    lines = [
        "Two sentences. No more.",
        "I rolled it back.",
        "Errors from 4 % to 1 %.",
        "Ask first.",
        "A gate.",
    ]
    shown = call("story", "new", "The", "Release:", "rolled back", lines=lines)
    file = home / "stories" / "the-release-rolled-back.md"
    assert shown.exit_code == 0
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# The Release: rolled back\n")
    assert all(f"## {part}\n\n{line}\n" in text for part, line in zip(stories.PARTS, lines, strict=True))
    shown = call("story", "new", "the release rolled back", lines=["Other."])
    assert shown.exit_code == 2
    assert "is there already and stays as it is" in shown.stderr
    assert file.read_text(encoding="utf-8") == text


def test_a_stopped_story_keeps_its_parts(call, home):
    shown = call("story", "new", "Half", lines=["The situation."])
    assert shown.exit_code == 130
    text = (home / "stories" / "half.md").read_text(encoding="utf-8")
    assert "The situation." in text
    assert text.count("<!--") == 4
    assert re.search(r"half +\d+ words  not told  \(parts to write: 4\)", call("story", "list").output)


def test_a_title_without_a_letter_is_refused(call):
    assert "a story's title wants letters or digits" in call("story", "new", "../..").stderr
    assert "a story's title" not in call("story", "new", "Übergabe", lines=["x"]).stderr


@TERMINAL
def test_a_story_opens_in_the_editor(home, tmp_path):
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\necho "Written in the editor." >> "$1"\n')
    editor.chmod(0o755)
    child = spawn("story", "new", "Edited", EDITOR=str(editor))
    child.expect("Your story is in ")
    child.wait()
    assert "Written in the editor." in (home / "stories" / "edited.md").read_text(encoding="utf-8")
    child = spawn("story", "new", "Broken", EDITOR=str(tmp_path / "nothing"))
    child.expect(r"The empty story is in")
    child.wait()
    assert child.exitstatus == 2


def test_a_story_is_rehearsed_against_the_rubric(call, clock):
    call("story", "new", "First", lines=["a", "b", "c", "d", "e"])
    call("story", "new", "Second", lines=["a", "b"])
    clock(200)
    shown = call("story", "rehearse", lines=["", "y", "y", "n", "y", "n"])
    assert shown.exit_code == 0
    assert "3 of 5, 3:20, over 3 minutes" in shown.output
    (row,) = State().rehearsals()
    assert (row[0], row[2], row[3]) == ("first", 200.0, [True, True, False, True, False])
    clock(100)
    call("story", "rehearse", lines=["", "y", "y", "y", "y", "y"])
    assert [row[0] for row in State().rehearsals()] == ["first", "second"]  # the one that was told least
    assert "told 1, last 5 of 5, 1:40" in call("story", "list").output
    clock(1)
    shown = call("story", "rehearse", "second.md", lines=["", "y"])
    assert (shown.exit_code, shown.stderr) == (130, "Stopped; this telling is not logged.\n")
    assert len(State().rehearsals()) == 2


def test_stories_that_are_not_there_are_told(call):
    assert "No stories yet." in call("story", "list").output
    assert call("story", "rehearse").exit_code == 2
    call("story", "new", "First", lines=["a"])
    assert "there is no story 'third'; there is first" in call("story", "rehearse", "third").stderr


# What is typed and ticked is kept


def test_a_typed_answer_is_kept_and_shown_beside_the_rubric_and_the_next_time(call, monkeypatch):
    monkeypatch.setenv("WALKFORWARD_NOW", "2026-11-21T12:00+00:00")
    shown = call(
        "practice", "one", lines=["I ask for the baseline.", "Then I look.", "", "y", "y", "n", "", ""]
    )
    assert shown.exit_code == 0, shown.output
    (review,) = State().reviews()
    assert review.said == "I ask for the baseline.\nThen I look."
    before, beside = shown.output.split("Did your answer have it?")
    assert "Your answer\n    I ask for the baseline.\n    Then I look.\n" in before
    assert "Your answer of" not in before
    monkeypatch.setenv("WALKFORWARD_NOW", "2026-11-24T12:00+00:00")
    shown = call("practice", "one", lines=["Better.", "", "y", "y", "y", ""])
    before, beside = shown.output.split("Did your answer have it?")
    assert "Your answer\n    Better.\n" in before
    assert "Your answer of 21 Nov 2026 (Good)\n    I ask for the baseline.\n    Then I look.\n" in before
    assert [one.said for one in State().reviews()][1] == "Better."


def test_ticks_that_were_given_are_kept_and_the_question_goes_on_there(call, clock, monkeypatch):
    clock(50, 10)
    shown = call("practice", "--lesson", "3", lines=["Typed.", "", "y"])
    assert (shown.exit_code, ratings()) == (130, [])
    assert "The answer on the screen and its ticks (1) are kept" in shown.stderr
    shown = call("practice", lines=["n", "y", "", "q"])  # of all questions it comes first
    assert shown.exit_code == 0, shown.output
    assert "You began this answer on" in shown.output
    assert "must 1/2  First of two.\n    y/n: y\n" in shown.output
    (review,) = State().reviews()
    assert (review.question, review.must, review.good) == ("two", [True, False], [True])
    assert (review.seconds, review.said) == (60.0, "Typed.")
    assert State().unfinished() == []


def test_points_that_were_edited_since_are_asked_anew(call, monkeypatch):
    call("practice", "two", lines=["", "y", "n"])
    edited = question("two", lesson="03", must=["First of two.", "Another second."])
    monkeypatch.setattr(practice, "load_bank", lambda: [edited])
    shown = call("practice", "two", lines=["y", "y", ""])
    assert shown.exit_code == 0, shown.output
    (review,) = State().reviews()
    assert (review.must, review.good) == ([True, True], [True])


def test_an_answer_on_another_screen_is_not_taken(home):
    here, there = State(), State()
    draft = reviews.Draft("one", NOON, 5.0, "Mine.", [])
    here.keep(draft)
    assert (there.take("one"), there.unfinished()) == (None, [])
    here.release(draft)
    assert there.unfinished() == ["one"]
    assert there.take("one").said == "Mine."
    assert there.take("one") is None


@pytest.mark.parametrize(
    "stop", [["q"], ["Some words.", "q"], ["", "q"], ["", "y", "q"], [*PASSED[:-1], "q"]]
)
def test_q_leaves_anywhere_in_good_order(call, stop):
    shown = call("practice", lines=stop)
    assert (shown.exit_code, shown.stderr) == (0, ""), shown.output
    assert len(ratings()) == (len(stop) == 5)
    assert len(State().unfinished()) == (len(stop) in (2, 3))


@pytest.mark.parametrize(("seconds", "rating"), [(0, "Good"), (11, "Good"), (12, "Easy"), (240, "Easy")])
def test_an_answer_that_nobody_can_have_said_is_not_easy(call, clock, seconds, rating):
    clock(seconds)
    shown = call("practice", "one", lines=PASSED)
    assert ratings() == [("one", rating)]
    told = f"Not Easy: nobody says 3 points in {terminal.minutes(seconds)}."
    assert (told in shown.output) == (rating == "Good")


def test_follow_ups_are_asked_one_at_a_time(call, monkeypatch):
    follow_ups = [{"ask": f"Why {place}?", "gist": f"Because {place}."} for place in "ab"]
    monkeypatch.setattr(practice, "load_bank", lambda: [question("one", follow_ups=follow_ups)])
    shown = call("practice", lines=[*PASSED[:-1], "", "q"])
    assert shown.exit_code == 0
    after = shown.output.partition("What comes next")[2]
    assert [after.find(text) >= 0 for text in ("Why a", "Because a", "Why b", "Because b")] == [True] * 3 + [
        False
    ]
    assert after.find("Why a") < after.find("Because a") < after.find("Why b")


# What is asked for


def test_questions_are_asked_by_their_ids_in_that_order(call):
    shown = call("practice", "three", "one", lines=["", "y", "y", "", "", *PASSED])
    assert shown.exit_code == 0, shown.output
    assert [name for name, _ in ratings()] == ["three", "one"]
    shown = call("practice", "thre")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "there is no question 'thre'; did you mean: three" in shown.stderr
    assert call("practice", "one", "--weak").stderr.startswith(
        "Error: ids, --weak and --today are three ways"
    )


def test_the_weakest_come_first(call):
    assert "nothing of this was asked yet" in call("practice", "--weak").stderr
    state = State()
    state.record(BANK[0], [True, True], [True], 60, "test", datetime.now(UTC) - 40 * DAY)
    state.record(BANK[1], [True, True], [True], 60, "test", datetime.now(UTC) - 2 * DAY)
    state.record(BANK[2], [True, False], [], 60, "test", datetime.now(UTC) - 1 * DAY)
    shown = call("practice", "--weak", lines=["", "y", "y", "", "", *PASSED, "", *PASSED])
    assert shown.exit_code == 0, shown.output
    assert [name for name, _ in ratings()][3:] == ["three", "one", "two"]
    assert call("practice", "--weak", "--limit", "1", lines=PASSED).exit_code == 0


def test_the_plan_of_today_is_practised(call, monkeypatch):
    from types import SimpleNamespace

    from course.practice import plan

    assert "there is no plan: `walkforward plan --date" in call("practice", "--today").stderr
    monkeypatch.setattr(plan, "today", lambda state, now: SimpleNamespace(questions=["two", "gone", "one"]))
    shown = call("practice", "--today", lines=[*PASSED, "", *PASSED])
    assert shown.exit_code == 0, shown.output
    assert "Left of today's plan: 2." in shown.output
    assert [name for name, _ in ratings()] == ["two", "one"]
    monkeypatch.setattr(plan, "today", lambda state, now: SimpleNamespace(questions=[]))
    shown = call("practice", "--today")
    assert shown.output == "Left of today's plan: 0. `walkforward practice` asks all the same.\n"


def test_a_walkthrough_has_the_questions_of_its_cells_and_of_its_kind():
    bank = load_bank(interview.ROOT / "data" / "questions")
    for number, kind in {"I1": "coding", "I2": "design", "I3": "debugging", "I4": "behavioural"}.items():
        chosen = interview.choose(bank, number)
        shown = {one.id for one in bank for lesson, _, _ in one.links if lesson == number}
        assert shown <= {one.id for one in chosen}
        assert {one.kind for one in chosen if one.id not in shown and one.lesson != number} <= {kind}
        assert len(chosen) >= 2
    (platforms,) = {one.subject for one in interview.choose(bank, subject="azure")}
    assert platforms == "azure"
    with pytest.raises(interview.BankError, match="no question has subject 'azur' here; there is "):
        interview.choose(bank, subject="azur")


@pytest.mark.parametrize(
    ("words", "typed", "found"),
    [
        (["practice"], "drift-p", ["drift-p-value-zero"]),
        (["practice", "--lesson"], "i", ["I1", "I2", "I3", "I4"]),
        (["practice", "--kind"], "beh", ["behavioural"]),
        (["practice", "--level"], "s", ["senior"]),
        (["practice", "--subject"], "az", ["azure"]),
        (["mock", "--lesson"], "i", ["I1"]),
        (["plan", "--path"], "int", ["interview"]),
    ],
)
def test_the_shell_completes_ids_lessons_kinds_and_subjects(monkeypatch, words, typed, found):
    monkeypatch.setattr(interview, "FOLDER", interview.ROOT / "data" / "questions")
    told = ShellComplete(main, {}, "walkforward", "_WALKFORWARD_COMPLETE").get_completions(words, typed)
    assert set(found) <= {one.value for one in told}
    assert all(one.value.lower().startswith(typed) for one in told)


def test_the_command_answers_the_shell():
    env = {
        "_WALKFORWARD_COMPLETE": "bash_complete",
        "COMP_WORDS": "walkforward practice --kind de",
        "COMP_CWORD": "3",
    }
    code = (
        "import sys; sys.argv = ['walkforward']; from course.cli import main; main(prog_name='walkforward')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | env, capture_output=True, encoding="utf-8"
    )
    assert done.stdout.split() == ["plain,design", "plain,debugging"]


# Narrow screens


def test_every_question_of_the_bank_fits_sixty_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(asking, "ask", lambda prompt: "")
    for one in load_bank(interview.ROOT / "data" / "questions"):
        asking.show(one, "10 of 10")
        asking._quote("word " * 40, "Your answer")
        asking.explain(one)
        prompt = {line.strip() for line in one.prompt.splitlines()}
        for line in capsys.readouterr().out.splitlines():
            whole = line.strip() in prompt or line.strip().startswith("https://")  # code, tables, addresses
            assert len(line) <= 60 or whole, (one.id, line)


def test_a_long_title_and_a_list_are_wrapped(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    terminal.rule("10 of 10 · pipelines and containers · debugging · senior · 12 min")
    terminal.say("- " + "word " * 20)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 60
    assert [line.strip("─ ") for line in lines if line][:2] == [
        "10 of 10 · pipelines and containers · debugging ·",
        "senior · 12 min",
    ]
    assert [line[:4] for line in lines[-2:]] == ["  - ", "    "]


@TERMINAL
@pytest.mark.parametrize("columns", [44, 60])
def test_what_is_typed_beside_the_clock_is_read_as_it_was_typed(home, columns):
    child = spawn("practice", "one", columns=columns)
    child.expect("0:00 of ")
    child.send("A long answer that goes on over the end of the line, ")
    child.expect("0:0[2-9] of ")  # the clock was drawn anew meanwhile
    child.send("tuo\x7f\x7f\x7fand out\n")
    child.expect("Enter alone ends it")
    child.sendline("")
    child.expect("y/n: ")
    child.sendline("y")
    child.expect("y/n: ")
    child.sendintr()
    child.expect("ticks")
    child.wait()
    draft = State().take("one")
    assert draft.said == "A long answer that goes on over the end of the line, and out"
    assert draft.ticks == [("First of one.", True)]


@TERMINAL
def test_half_a_line_that_ctrl_c_cuts_off_is_kept(home):
    child = spawn("practice", "one")
    child.expect("0:00 of ")
    child.send("Half a line")
    child.expect("0:0[1-9] of ")
    child.sendintr()
    child.expect("is kept; practice goes on there")
    child.wait()
    assert child.exitstatus == 130
    assert State().take("one").said == "Half a line"


# The commands


@pytest.mark.parametrize("command", ["practice", "mock", "stats", "export-anki", "story", "story new"])
def test_help_fits_a_screen(call, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = call(*command.split(), "--help")
    assert shown.exit_code == 0
    assert len(shown.output.rstrip().splitlines()) <= 24
    assert max(map(len, shown.output.splitlines())) <= 80
    assert "..." not in re.sub(r"\]?\.\.\.(?=\n)|[A-Z]\.\.\.|\]\.\.\.", "", shown.output)


def test_export_anki_says_what_it_wrote(call, tmp_path):
    pytest.importorskip("genanki")
    shown = call("export-anki", str(tmp_path / "bank.apkg"))
    assert shown.output.startswith("Notes: 3, in ")
    assert (tmp_path / "bank.apkg").stat().st_size > 1_000


# Text on the screen


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (-5, "now"),
        (20, "in 1 minute"),
        (600, "in 10 minutes"),
        (5_000, "in 83 minutes"),
        (86_401, f"{(NOON + DAY).astimezone():%d %b %Y}"),
    ],
)
def test_when_something_is_due(left, said):
    assert terminal.when(NOON + timedelta(seconds=left), NOON) == said


@pytest.mark.parametrize("columns", [40, 80, 300])
def test_text_is_wrapped_and_code_is_not(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    code = "x = " + "1 + " * 40
    terminal.say("word " * 60 + f"\n\n```python\n{code}\n```\nWhy?")
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if "word" in line) <= min(columns, 100)
    assert f"    {code.rstrip()}" in lines
    assert lines[-1] == "  Why?"
    assert not [line for line in lines if "```" in line]


def test_settings_change_together_or_not_at_all(home):
    state = State()
    assert state.change({"interview": "2026-12-19", "plan": "first"}, seen={"plan": None})
    assert not State().change({"interview": "2026-12-20", "plan": "second"}, seen={"plan": None})
    assert (state.setting("interview"), state.setting("plan")) == ("2026-12-19", "first")
    assert State().change({"plan": "third"}, seen={"plan": "first", "never": None})
    assert state.setting("plan") == "third"

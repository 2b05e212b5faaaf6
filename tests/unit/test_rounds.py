"""Interviews: their shape, the rubric at the end, the sheet; what was given is never lost."""

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner
from spawned import environment
from weekly import weekly
from whole_bank import whole_bank

from authoring.lint import VOICE
from course.cli import main
from course.practice import bank as interview
from course.practice import drafts, mock, rounds, sitting, stories, terminal
from course.practice.bank import KINDS, Question
from course.practice.kinds import ROUNDS
from course.practice.reviews import State, utc_now
from course.practice.rounds import draw, forms, mixed, reached

TERMINAL = pytest.mark.skipif(os.name != "posix", reason="pexpect's terminal is POSIX")
REAL = whole_bank()


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
        "levels": {"junior": f"A name for {name}.", "mid": f"How {name} works.", "senior": f"{name} fails."},
        "wrong": [{"says": f"Myth of {name}.", "why": "It is not so."}],
        "follow_ups": [{"ask": f"And after {name}?", "gist": f"Then that of {name}."}],
    }
    return Question.model_validate(form | change)


FIVE = ["Stakes.", "Own part.", "A decision.", "A result.", "A change."]
BANK = [
    question("one"),
    question("two", lesson="03", kind="design", level="senior"),
    question("three", lesson=None, kind="behavioural", subject="failure", must=FIVE, good=[]),
    question("case", lesson=None, kind="design", level="senior", minutes=35, seen=["It was 4.2."]),
    question("four", lesson=None, kind="behavioural", subject="conflict", must=FIVE, good=[]),
]
CASE = ["", "", "y", "n", "y", "y", *"23123321"]  # the case, what comes next, their points, the criteria


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A state folder and a bank of the test's own; returns the state folder."""
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "work"))
    for name in ("EDITOR", "VISUAL", "WALKFORWARD_NOW"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "bank"
    folder.mkdir()
    entries = [one.model_dump(mode="json") for one in BANK]
    (folder / "design.yaml").write_text(yaml.safe_dump(entries), encoding="utf-8")
    monkeypatch.setattr(interview, "FOLDER", folder)
    return tmp_path / "state"


@pytest.fixture
def real(monkeypatch):
    """The bank of the course, read once: these tests ask for it dozens of times."""
    monkeypatch.setattr(interview, "FOLDER", interview.ROOT / "data" / "questions")
    for module in (mock, sitting):
        monkeypatch.setattr(module, "load_bank", lambda: REAL)


@pytest.fixture
def clock(monkeypatch):
    """Set how many seconds each answer takes."""

    def takes(*seconds):
        left = iter([moment for lasted in seconds for moment in (0.0, float(lasted))])
        monkeypatch.setattr(terminal, "monotonic", lambda: next(left))

    return takes


@pytest.fixture
def call(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    runner = CliRunner()
    return lambda *words, lines=(): runner.invoke(main, words, input="".join(f"{one}\n" for one in lines))


@pytest.fixture
def parts(monkeypatch):
    """Katas, tickets and a plan of the test's own."""
    told = SimpleNamespace(sat=[], today=None, named=set())

    def sit_kata(name, minutes=None):
        told.sat.append((name, minutes))
        return SimpleNamespace(name=name, passed=len(told.sat) == 1, seconds=600.0, tries=2)

    def sit_ticket(name, seed, minutes=None):
        told.sat.append((name, seed, minutes))
        return SimpleNamespace(name=name, seed=seed, passed=True, asked=["log"], seconds=900.0)

    katas = {"I1": ["median", "two_sum"], "I5": ["top_n", "islands"]}
    own = {
        "kata": SimpleNamespace(names=katas.__getitem__, sit=sit_kata),
        "tickets": SimpleNamespace(names=lambda: ["slow_query", "skew"], sit=sit_ticket),
        "plan": SimpleNamespace(today=lambda state, now: told.today, named=lambda state, bank: told.named),
    }
    for module in (rounds, mock):
        monkeypatch.setattr(module, "part", own.__getitem__)
    return told


def flat(shown):
    return " ".join(shown.output.split())


# The interview of all kinds


def many(count=80, seed=0):
    rng = random.Random(seed)
    lessons = [None, "00", "01", "03", "05", "07", "11b"]
    return [
        question(f"q{number}", kind=rng.choice(KINDS), lesson=rng.choice(lessons), minutes=rng.randint(2, 12))
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(8))
def test_a_mixed_interview_fills_its_minutes_and_is_balanced(seed):
    chosen = mixed(many(), 60, seed)
    assert chosen == mixed(many(), 60, seed)
    assert 58 <= sum(one.minutes for one in chosen) <= 60
    assert len({one.id for one in chosen}) == len(chosen)
    spent = [sum(one.minutes for one in chosen if one.kind == kind) for kind in KINDS]
    assert max(spent) - min(spent) <= 12
    asked = [sum(one.topic == topic for one in chosen) for topic in {one.topic for one in chosen}]
    assert max(asked) <= 4


def test_a_mixed_interview_of_one_kind_takes_turns_by_lesson():
    bank = [question(f"q{number}", lesson=f"0{number // 10}", minutes=5) for number in range(30)]
    for seed in range(5):
        assert sorted(one.lesson for one in mixed(bank, 30, seed)) == ["00", "00", "01", "01", "02", "02"]


def test_another_seed_is_another_interview():
    assert len({tuple(one.id for one in mixed(many(), 45, seed)) for seed in range(10)}) == 10


def test_a_long_question_that_is_no_case_comes_only_when_nothing_shorter_fits():
    bank = [question("long", kind="coding", minutes=30), question("short", minutes=5)]
    assert {tuple(one.id for one in mixed(bank, 45, seed)) for seed in range(40)} == {("short", "long")}
    assert mixed(bank, 4, 0) == []


def test_one_mixed_interview_in_four_begins_with_a_full_case():
    begins = [mixed(REAL, 45, seed)[0].minutes >= 20 for seed in range(200)]
    assert 0.17 < sum(begins) / 200 < 0.33
    assert not any(one.minutes > 15 for seed in range(50) for one in mixed(REAL, 19, seed))


def test_an_interview_asks_first_and_grades_at_its_end(call, clock):
    clock(120, 120, 120)
    ticks = ["y", "y", "y", "y", "n", "y", *"yyyyy"]
    options = ("--minutes", "12", "--seed", "7")
    shown = call("mock", *options, lines=["", "", "", *ticks])
    assert shown.exit_code == 0, shown.output
    text = flat(shown)
    assert "Questions: 3, 12 of 12 minutes." in text
    assert "The same again: walkforward mock --minutes 12 --seed 7" in text
    assert "A round as it is held: walkforward mock --round design" in text
    places = [text.index(word) for word in ("3 of 3", "must 1/2", "Score: ")]
    assert places == sorted(places)  # all is asked before the first point, and all ticked before the sheet
    order = [review.question for review in State().reviews()]
    assert sorted(order) != order or len(set(order)) == 3
    assert {review.source for review in State().reviews()} == {"mock"}
    (attempt,) = State().attempts("round")
    assert (attempt.name, attempt.seconds, attempt.detail["seed"]) == ("mixed", 360.0, 7)
    clock(0, 0, 0)
    again = call("mock", *options, lines=["s", "s", "s"])
    assert [review.question for review in State().reviews()][3:] == order
    text = flat(again)
    assert "Score: 0 of 3 passed" in text
    assert "behavioural 0/1 0/5 - 0:00 of 4:00" in text
    assert "missing: First of two." in text
    assert "Senior: one fails." in text
    assert [attempt.passed for attempt in State().attempts("round")] == [False, False]


def test_a_mixed_interview_is_narrowed_by_kind_and_lesson(call):
    shown = call("mock", "--kind", "behavioural", "--minutes", "8", lines=["q"])
    assert "Questions: 2, 8 of 8 minutes" in shown.output
    assert "--minutes 8 --kind behavioural --seed" in shown.output
    shown = call("mock", "--lesson", "03", lines=["s"])
    assert "What is two?" in shown.output
    assert [review.question for review in State().reviews()] == ["two"]


def test_an_interview_stops_asking_when_the_time_is_up(call, clock):
    clock(700)
    shown = call("mock", "--minutes", "12", "--seed", "7", lines=["", *"yyyyyyyy"])
    assert shown.exit_code in (0, 130)
    assert "Time is up; not asked: 2." in shown.output
    assert "Score: " in shown.output
    assert len(State().reviews()) == 1


# The rounds


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ROUNDS)
def test_a_round_has_its_shape_and_is_the_same_by_seed(name, seed, parts):
    steps = draw(name, REAL, None, seed)
    assert steps == draw(name, REAL, None, seed)
    assert len({step.name for step in steps}) == len(steps)
    assert rounds.STORY == len(stories.RUBRIC)
    assert sum(step.seconds for step in steps) <= 60 * forms()[name].minutes
    bank = {one.id: one for one in REAL}
    asked = [bank[step.question] for step in steps if step.question]
    if name == "design":
        assert [one.kind for one in asked] == ["design"]
        assert 25 * 60 <= steps[0].seconds <= 35 * 60
        assert [step.ask for step in steps[1:]] == [one.ask for one in asked[0].follow_ups]
    if name == "coding":
        assert [step.what for step in steps] == ["kata", "spoken", "kata", "spoken"]
        assert steps[0].name in ("median", "two_sum")
        assert steps[2].name in ("top_n", "islands")
    if name == "debugging":
        assert (steps[0].what, steps[0].seed) == ("ticket", seed)
    if name == "behavioural":
        assert len({one.subject for one in asked}) == len(asked) == 4
        assert all(step.must for step in steps)
    if name == "cv":
        assert [step.name for step in steps[:2]] == ["cv-tell-me-about-yourself", "cv-project-in-depth"]
        assert len(steps) >= 8
    if name == "screen":
        assert [step.name for step in steps[:2]] == ["cv-tell-me-about-yourself", "cv-why-this-job"]
        assert steps[-1].name == "cv-your-questions-to-us"
        asked = asked[2:-1]
        assert [one.kind for one in asked] == ["concept"] * 6
        assert len({one.topic[:2] if one.lesson else one.topic for one in asked}) == 6
        assert max(one.minutes for one in asked) <= 4


@pytest.mark.parametrize("name", ROUNDS)
def test_other_seeds_are_other_rounds_and_less_minutes_are_less_time(name, parts):
    assert len({tuple(step.name for step in draw(name, REAL, None, seed)) for seed in range(30)}) >= 2
    short = draw(name, REAL, 15, 0)
    assert sum(step.seconds for step in short) <= 15 * 60 + len(short)


def test_the_criteria_are_written_in_the_voice_of_the_course():
    for name, form in forms().items():
        assert 5 <= len(form.criteria) <= 8, name
        texts = [text for one in form.criteria for text in (one.junior, one.mid, one.senior)]
        texts += [text for one in form.probes for text in one.listens]
        assert len(set(texts)) >= len(texts) - 3  # the screen and the CV begin alike
        assert not [text for text in texts for rule in VOICE if re.search(rule, text)]


def test_the_design_round_asks_the_case_then_what_comes_next_and_grades_by_criterion(call, clock):
    clock(2_000, 100)
    shown = call("mock", "--round", "design", "--seed", "1", lines=CASE)
    assert shown.exit_code == 0, shown.output
    text = flat(shown)
    words = ["What is case?", "And after case?", "Rubric 1 of 2", "Then that of case.", "1/8 Clarifying"]
    words += ["Score sheet", "Level: mid", "Junior: A name for case.", "It was 4.2.", "What to do next"]
    places = [text.index(word) for word in words]
    assert places == sorted(places)
    assert "Numbers ██████ senior" in text
    assert "Your answers lack 1 of 3 points that they must have" not in text  # it is not senior anyhow
    assert "In the way of senior: clarifying the problem, data and labels" in text
    assert "case: must 1 of 2, good 1 of 1, 33:20 of 35:00" in text
    assert "missing: Second of case." in text
    (review,) = State().reviews()
    assert (review.question, review.must, review.good, review.seconds) == (
        "case",
        [True, False],
        [True],
        2000.0,
    )
    (attempt,) = State().attempts("round")
    assert (attempt.name, attempt.passed, attempt.seconds) == ("design", True, 2100.0)
    assert attempt.detail["level"] == "mid"
    assert attempt.detail["scores"]["Numbers"] == 3
    assert drafts.waiting() == []
    assert list((State().path.parent / "rounds").glob("*")) == []


def test_what_is_typed_is_kept_beside_the_rubric_and_in_the_log(call, clock):
    clock(10, 20, 30, 5)
    shown = call("mock", "--round", "design", "--seed", "1", lines=["Who orders?", "420 million rows", *CASE])
    assert shown.exit_code == 0, shown.output
    assert shown.output.index("» 420 million rows") > shown.output.index("Rubric 1 of 2")
    (review,) = State().reviews()
    assert (review.said, review.seconds) == ("Who orders?\n420 million rows", 60.0)
    (attempt,) = State().attempts("round")
    assert attempt.detail["answers"][0]["said"] == ["Who orders?", "420 million rows"]


@pytest.mark.parametrize(
    ("scores", "missing", "points", "level", "why"),
    [
        ([3, 3, 3, 3, 3, 3, 2, 2], 0, 5, 3, "senior 6 of 8"),
        ([3, 3, 3, 3, 3, 2, 2, 2], 0, 5, 2, "In the way of senior: c5, c6, c7."),
        ([3, 3, 3, 3, 3, 3, 2, 2], 1, 5, 2, "lack 1 of 5 points that they must have: no more than mid"),
        ([3, 3, 3, 3, 3, 3, 2, 2], 3, 5, 1, "no more than junior"),
        ([2, 2, 2, 2, 2, 1, 1, 1], 0, 5, 1, "In the way of mid: c5, c6, c7."),
        ([0, 0, 0, 1, 1, 1, 1, 1], 0, 5, 0, "In the way of junior: c0, c1, c2."),
        ([3, 3, 0], 0, 0, 0, "In the way of junior: c2."),
    ],
)
def test_the_level_follows_from_the_criteria_and_what_is_missing(scores, missing, points, level, why):
    got, said = reached({f"c{place}": score for place, score in enumerate(scores)}, missing, points)
    assert got == level
    assert why in " ".join(said)


def test_the_coding_round_runs_two_katas(call, parts):
    lines = ["Linear, one pass.", "", "", "y", "y", *"22222"]
    shown = call("mock", "--round", "coding", "--minutes", "30", "--seed", "2", lines=lines)
    assert shown.exit_code == 0, shown.output
    (first, minutes), (second, _) = parts.sat
    assert minutes == pytest.approx(13)
    text = flat(shown)
    assert f"kata {first}: passed, 10:00 of 13:00" in text
    assert f"kata {second}: not passed" in text
    assert f"walkforward kata {second}" in text
    assert f"walkforward kata {first}" not in text
    (attempt,) = State().attempts("round")
    assert attempt.detail["answers"][0]["detail"] == {"tries": 2}
    assert attempt.passed


def test_the_debugging_round_is_a_ticket_by_seed(call, parts):
    shown = call("mock", "--round", "debugging", "--seed", "5", lines=["", "", *"yyyy", *"33333"])
    assert shown.exit_code == 0, shown.output
    ((name, seed, minutes),) = parts.sat
    assert (seed, minutes) == (5, pytest.approx(39))
    assert "Level: senior" in shown.output
    (attempt,) = State().attempts("round")
    assert attempt.detail["answers"][0]["detail"] == {"asked": ["log"]}


def test_the_behavioural_round_takes_the_candidates_own_stories(call, clock):
    call("story", "new", "The alarm", lines=["a", "b", "c", "d", "e"])
    clock(100, 10, 200, 20)
    lines = ["", "", "", "", *"yyyyn", "7", "1", "y", *"yyyyy", "1", "y", *"22222"]
    shown = call("mock", "--round", "behavioural", "--seed", "3", lines=lines)
    assert shown.exit_code == 0, shown.output
    text = flat(shown)
    assert "Your stories: the-alarm. Tell each once at most." in text
    assert "a number from 1 to 1, or Enter" in text
    told = State().rehearsals()
    assert [(story, seconds, sum(points)) for story, _, seconds, points in told] == [
        ("the-alarm", 100.0, 4),
        ("the-alarm", 200.0, 5),
    ]
    assert "walkforward story rehearse the-alarm" in text  # the first telling lacked a point
    assert "walkforward story new" in text  # one story is too few, and it was told twice
    assert len({review.question for review in State().reviews()} & {"three", "four"}) == 2


@pytest.mark.parametrize("name", ["cv", "screen"])
def test_the_rounds_of_the_cv_and_the_phone_are_held_to_the_end(call, real, name):
    steps = draw(name, REAL, None, 4)
    ticks = ["y"] * sum(len(step.must) + len(step.good) for step in steps)
    shown = call("mock", "--round", name, "--seed", "4", lines=[*[""] * len(steps), *ticks, *"33333"])
    assert shown.exit_code == 0, shown.output
    assert "Level: senior" in shown.output
    assert shown.output.index("Rubric 1 of") > shown.output.index(f"{len(steps)} of {len(steps)}")
    assert len(State().reviews()) == sum(step.question is not None for step in steps)


def test_a_new_round_is_one_that_was_met_least(call, monkeypatch):
    bank = [question(f"case{number}", kind="design", minutes=30) for number in range(4)]
    monkeypatch.setattr(mock, "load_bank", lambda: bank)
    for _ in range(4):
        call("mock", "--round", "design", lines=["s", "s", "q"])
    assert len({review.question for review in State().reviews()}) == 4


def test_a_new_round_asks_most_about_what_the_plans_advertisement_names(call, monkeypatch, parts):
    bank = [question(f"case{number}", kind="design", minutes=30) for number in range(4)]
    monkeypatch.setattr(mock, "load_bank", lambda: bank)
    parts.named = {"case2"}
    first = call("mock", "--round", "design", lines=["s", "s", "q"])
    assert [review.question for review in State().reviews()] == ["case2"], first.output
    call("mock", "--round", "design", lines=["s", "s", "q"])
    assert len({review.question for review in State().reviews()}) == 2  # what was met least comes before


# Stopped


def given(home):
    """What is kept: the graded questions, and what drafts hold."""
    left = [json.loads(file.read_text(encoding="utf-8")) for file in (home / "rounds").glob("*.json")]
    ticks = sum(len(answer["had"]) for draft in left for answer in draft["answers"])
    return len(State().reviews()), ticks, sum(len(draft["scores"]) for draft in left), left


@pytest.mark.parametrize("how", [EOFError, KeyboardInterrupt, "q"])
def test_stopped_at_any_place_all_that_was_given_is_kept_and_resumed(call, monkeypatch, how, home):
    lines = ["A note.", *CASE]
    for stop in range(1, len(lines)):
        for file in [*home.glob("*.sqlite*"), *home.glob("rounds/*")]:
            file.unlink()
        left = iter(lines[:stop])
        asked = []

        def typed(prompt, left=left, asked=asked):
            for line in left:
                return line
            asked.append(prompt)
            if how == "q":
                return "q"
            raise how

        with monkeypatch.context() as patch:
            patch.setattr(terminal, "ask", typed)
            patch.setattr(mock, "ask", typed)
            shown = call("mock", "--round", "design", "--seed", "1")
        asking = stop < 3  # still at the answers
        assert "Score sheet" in shown.output, stop
        reviews, ticks, scores, kept = given(home)
        assert [answer["said"] for answer in kept[0]["answers"][:1]] == [["A note."]], stop
        assert shown.exit_code == (0 if how == "q" else 130)
        assert ticks == max(0, min(4, stop - 3)), stop
        assert scores == max(0, stop - 7)
        assert reviews == (stop >= 6)
        assert f"Stopped; graded and kept: {(stop >= 6) + (stop >= 7)}.\n" in shown.stderr
        assert "walkforward mock --resume" in shown.output
        rest = lines[max(stop, 3) :]
        if asking and stop < 3:  # what comes next was not asked: its point is not graded
            rest = [*lines[3:6], *(lines[6:7] if stop == 3 else []), *lines[7:]]
        shown = call("mock", "--resume", lines=rest)
        assert shown.exit_code == 0, (stop, shown.output)
        assert "Level: mid" in shown.output
        (review,) = State().reviews()
        assert (review.must, review.good, review.said) == ([True, False], [True], "A note.")
        (attempt,) = State().attempts("round")
        assert list(attempt.detail["scores"].values()) == [2, 3, 1, 2, 3, 3, 2, 1]
        assert given(home)[3] == []


def test_q_ends_the_asking_and_grades_what_was_given(call):
    shown = call("mock", "--round", "design", "--seed", "1", lines=["", "q", *"yyy", *"33333333"])
    assert shown.exit_code == 0, shown.output
    assert "And after case?" in shown.output
    assert "Rubric 1 of 1" in shown.output
    assert "Level: senior" in shown.output
    assert len(State().attempts("round")) == 1


def test_nothing_given_is_nothing_kept(call, home):
    shown = call("mock", "--round", "design", "--seed", "1", lines=["q"])
    assert (shown.exit_code, "Score" in shown.output) == (0, False)
    shown = call("mock", "--round", "design", "--seed", "1")
    assert (shown.exit_code, "Score" in shown.output) == (130, False)
    assert given(home) == (0, 0, 0, [])
    assert State().attempts() == []


def test_a_round_of_which_every_answer_was_skipped_asks_for_no_criteria(call):
    shown = call("mock", "--round", "design", "--seed", "1", lines=["s", "s"])
    assert shown.exit_code == 0
    assert "Clarifying" not in shown.output
    (attempt,) = State().attempts("round")
    assert (attempt.passed, attempt.detail["level"]) == (False, None)


def test_b_goes_back_over_points_and_criteria(call):
    lines = ["", "", "n", "b", "y", "y", "y", "y", "9", "1", "b", *"33333333"]
    shown = call("mock", "--round", "design", "--seed", "1", lines=lines)
    assert shown.exit_code == 0, shown.output
    assert State().attempts("round")[0].detail["level"] == "senior"


def test_an_interview_that_waits_is_said_and_one_that_runs_is_left_alone(call, home):
    call("mock", "--round", "design", "--seed", "1", lines=["", ""])
    (path, left) = drafts.waiting()[0]
    shown = call("mock", "--minutes", "4", lines=["q"])
    assert "waits to be graded: walkforward mock --resume" in shown.output
    assert (taken := drafts.take(path, left)) is not None
    assert drafts.take(path, left) is None  # another terminal was faster
    assert drafts.waiting() == []  # and while it holds it, nobody else gets it
    shown = call("mock", "--resume")
    assert (shown.exit_code, "no interview waits to be graded" in shown.stderr) == (2, True)
    taken.release()
    assert [draft.answers for _, draft in drafts.waiting()] == [left.answers]


def test_killed_between_the_log_and_the_draft_a_review_is_not_logged_twice(call):
    call("mock", "--round", "design", "--seed", "1", lines=["", "", "y", "n", "y"])
    (review,) = State().reviews()
    ((_, left),) = drafts.waiting()
    left.answers[0].graded = False  # as it was on the disk before the review was logged
    left.keep()
    assert call("mock", "--resume", lines=["y", *"23123321"]).exit_code == 0
    assert State().reviews() == [review]
    call("mock", "--round", "design", "--seed", "1", lines=CASE)
    assert len(State().reviews()) == 2


def test_a_question_that_has_other_points_by_now_is_not_graded_by_the_old_ones(call, home):
    call("mock", "--round", "design", "--seed", "1", lines=["", "", "y", "n"])
    bank = [one.model_dump(mode="json") for one in BANK]
    bank[3]["must"] = ["Another point."]
    (interview.FOLDER / "design.yaml").write_text(yaml.safe_dump(bank), encoding="utf-8")
    shown = call("mock", "--resume", lines=["y", "y", *"23123321"])
    assert shown.exit_code == 0, shown.output
    assert "missing: Second of case." in flat(shown)
    assert State().reviews() == []
    assert len(State().attempts("round")) == 1


def test_a_draft_that_is_no_draft_stays_and_hinders_nothing(call, home):
    (home / "rounds").mkdir(parents=True)
    (home / "rounds" / "half.json").write_text('{"round": "des')
    assert call("mock", "--round", "design", "--seed", "1", lines=CASE).exit_code == 0
    assert (home / "rounds" / "half.json").read_text() == '{"round": "des'


# What to do next


def printed(text):
    """Return the commands of a sheet, each as words."""
    return [shlex.split(line)[1:] for line in text.splitlines() if line.strip().startswith("walkforward ")]


def run(call, words):
    shown = call(*words, lines=["q"])
    not_passed = 1 if words[0] in ("kata", "ticket") else 0
    assert shown.exit_code in (0, 130, not_passed), (words, shown.output, shown.stderr)


@pytest.mark.parametrize("name", ROUNDS)
def test_every_command_of_a_form_runs(call, name, real):
    for words in {tuple(shlex.split(one.train)) for one in forms()[name].criteria}:
        run(call, words)


@pytest.mark.parametrize("name", [*ROUNDS, None])
def test_every_command_of_a_sheet_runs(call, name, monkeypatch, real):
    call("story", "new", "The alarm", lines=["a", "b", "c", "d", "e"])

    def sit(name, *words, minutes):
        return SimpleNamespace(name=name, passed=False, seconds=60.0, tries=1, asked=[])

    if name == "debugging":
        pytest.importorskip("course.practice.tickets")
    monkeypatch.setattr(mock, "part", lambda name: SimpleNamespace(sit=sit, named=lambda *_: set()))
    monkeypatch.setattr(mock, "_todays", lambda state: None)
    found = set()
    for seed in range(2):
        words = [*(["--round", name] if name else ["--minutes", "20"]), "--seed", str(seed)]
        shown = call("mock", *words, lines=["", "q", *["n"] * 40])
        found |= {tuple(words) for words in printed(shown.output)}
    assert len(found) >= 3
    for words in found:
        run(call, words)


# By the plan, and by its options


def test_without_options_it_is_the_round_of_today_once(call, parts, clock):
    parts.today = SimpleNamespace(rounds=["design", "behavioural"])
    shown = call("mock", lines=["s", "s"])
    assert flat(shown).startswith(
        "Your plan has the round design today: this is it. Of all kinds: walkforward mock --minutes 45 "
    )
    assert [attempt.name for attempt in State().attempts("round")] == ["design"]
    parts.today.rounds.remove("design")  # the plan leaves out what the log has: test_plan.py
    assert "the round behavioural today" in call("mock", lines=["q"]).output
    assert "Your plan" not in call("mock", "--minutes", "8", lines=["q"]).output
    parts.today = None
    assert "Your plan" not in call("mock", lines=["q"]).output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--minutes", "3"], "no question fits into --minutes 3; the shortest wants 4"),
        (["--minutes", "3", "--level", "senior"], "no question fits into --minutes 3; the shortest wants 4"),
        (["--round", "design", "--kind", "coding"], "a round has its own kinds"),
        (["--round", "design", "--level", "mid"], "no design case of 20 minutes or more is left"),
        (["--round", "behavioural", "--lesson", "01"], "no behavioural question is left by the options"),
        (["--round", "screen", "--lesson", "03"], "no concept question of 4 minutes is left by the options"),
        (["--round", "cv", "--lesson", "01"], "--lesson is for questions of the bank; the round cv has its"),
        (["--round", "chess"], "'chess' is not one of 'screen'"),
        (["--resume"], "no interview waits to be graded; `walkforward mock` begins one"),
    ],
)
def test_what_can_not_be_is_said_in_one_line(call, words, message):
    shown = call("mock", *words)
    assert (shown.exit_code, shown.stderr.count("\n")) == (2, 1)
    assert message in shown.stderr


def test_now_is_the_one_clock_of_practice(call, monkeypatch):
    monkeypatch.setenv("WALKFORWARD_NOW", "2026-12-05T09:00+00:00")
    call("mock", "--round", "design", "--seed", "1", lines=["s", "s"])
    assert State().attempts("round")[0].ended == datetime(2026, 12, 5, 9, tzinfo=UTC) == utc_now()


# A real terminal

PROGRAM = """
import pathlib, sys
from course import cli
from course.practice import bank as interview
interview.FOLDER = pathlib.Path(sys.argv.pop(1))
cli.main()
"""


def spawn(*words, columns=100):
    pexpect = pytest.importorskip("pexpect")
    return pexpect.spawn(
        sys.executable,
        ["-c", PROGRAM, str(interview.FOLDER), *words],
        env=environment(TERM="xterm", NO_COLOR="1"),
        encoding="utf-8",
        timeout=60,
        dimensions=(50, columns),
    )


PLACES = [
    (r"0:00 of 35:00", "A note typed here."),
    (r"Noted[\s\S]*0:\d\d of 35:00", ""),
    (r"2 of 2 [\s\S]*0:00 of 3:00", ""),
    *[(rf"{label}\b[\s\S]*y/n: ", "y") for label in ("must 1/2", "must 2/2", "good 1/1", "must 1/1")],
    *[(rf"{number}/8 [\s\S]*0-3: ", "3") for number in range(1, 9)],
]


@TERMINAL
@pytest.mark.parametrize("columns", [60, 100])
def test_a_round_in_a_terminal_from_the_case_to_the_sheet(columns):
    child = spawn("mock", "--round", "design", "--seed", "1", columns=columns)
    text = ""
    for place, line in PLACES:
        child.expect(place)
        text += child.before + child.after
        child.sendline(line)
    child.expect("What to do next")
    text += child.before
    child.expect("--round design\r\n")
    child.wait()
    assert child.exitstatus == 0
    assert "Level: senior" in text
    text = re.sub(r"[^\n]*(\r(?!\n)|\x1b\[J)", "", text)  # drawn over
    text = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", text)
    shown = [line for line in text.splitlines() if "walkforward" not in line]
    assert max(map(len, shown)) <= columns
    assert State().reviews()[0].said == "A note typed here."


PLACES_TO_STOP = [(stop, 100) for stop in (2, 3, 5, 7, 10, 14)] + [(7, 60), (2, 60)]
BY_TURNS = [[end, other] for end, other in 4 * [("killed", "interrupted"), ("interrupted", "killed")]]
ENDS = [
    pytest.param(*place, end, marks=marks)
    for place, ends in zip(PLACES_TO_STOP, BY_TURNS, strict=True)
    for end, marks in zip(ends, [[], weekly("the other end, and each place in one process")], strict=True)
]


@TERMINAL
@pytest.mark.parametrize(("stop", "columns", "signalled"), ENDS)
def test_stopped_in_a_terminal_nothing_but_the_screen_is_lost(stop, columns, signalled, home):
    child = spawn("mock", "--round", "design", "--seed", "1", columns=columns)
    for place, line in PLACES[:stop]:
        child.expect(place)
        child.sendline(line)
    child.expect(PLACES[stop][0])
    if signalled == "killed":
        child.kill(signal.SIGKILL)
    else:
        child.sendintr()
        child.expect("Stopped; graded and kept: ")
        child.expect("Score sheet")
        child.expect("walkforward mock --resume")
    child.wait()
    reviews, ticks, scores, kept = given(home)
    assert kept[0]["answers"][0]["said"] == ["A note typed here."]
    assert len(kept[0]["answers"]) == (1 if stop == 2 else 2)
    assert (ticks, scores, reviews) == (max(0, min(4, stop - 3)), max(0, stop - 7), int(stop >= 6))
    child = spawn("mock", "--resume", columns=columns)
    rest = PLACES[max(stop, 3) :]
    for place, line in [one for one in rest if stop > 2 or "must 1/1" not in one[0]]:
        child.expect(place)
        child.sendline(line)
    child.expect("Level: senior")
    child.wait()
    assert child.exitstatus == 0
    (review,) = State().reviews()
    assert (review.must, review.good, review.said) == ([True, True], [True], "A note typed here.")
    assert len(State().attempts("round")) == 1


def held_in_a_terminal(name, lines, columns, home, tmp_path):
    """Answer each prompt of a round with its line; return what was on the screen."""
    editor = tmp_path / "editor.sh"
    editor.write_text("#!/bin/sh\n")
    editor.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDITOR", str(editor))
        child = spawn("mock", "--round", name, "--seed", "3", columns=columns)
    text = ""
    for place, line in lines:
        child.expect(place)
        text += child.before + child.after
        child.sendline(line)
    child.expect("What to do next")
    text += child.before
    child.wait()
    assert child.exitstatus == 0
    return text


SCORES = [(rf"{number}/5 [\s\S]*0-3: ", "2") for number in range(1, 6)]


@TERMINAL
@pytest.mark.parametrize("columns", [60, 100])
def test_a_coding_round_with_real_katas_in_a_terminal(columns, home, tmp_path):
    pytest.importorskip("duckdb")
    kata = [(r"q: leave[\s\S]*> ", ""), (r"s: solution, q:\s+leave[\s\S]*> ", "q"), (r"0:00 of 2:00", "")]
    ticks = [(r"must 1/1[\s\S]*y/n: ", "y")] * 2
    text = held_in_a_terminal("coding", [*kata, *kata, *ticks, *SCORES], columns, home, tmp_path)
    assert text.count("Kata · ") == 2
    assert text.index("Rubric 1 of") > text.rindex("Kata · ")
    assert text.count(": not passed, 0:") == 2
    assert "Level: junior" in text  # the criteria say mid, but no kata was passed
    (attempt,) = State().attempts("round")
    assert [answer["passed"] for answer in attempt.detail["answers"]] == [False, None, False, None]


@TERMINAL
@pytest.mark.parametrize("columns", [60, 100])
def test_a_debugging_round_with_a_real_ticket_in_a_terminal(columns, home, tmp_path):
    ticket = [(r"q: stop[\s\S]*\d\d:\d\d > ", "logs"), (r"\d\d:\d\d > ", "d")]
    ticket += [(r"diagnosis:[\s\S]*> ", ""), (r"remedy:[\s\S]*> ", "")]
    spoken = [(r"2 of 3 [\s\S]*0:00 of 3:00", "A note."), (r"Noted[\s\S]*0:\d\d of 3:00", "")]
    spoken += [(r"3 of 3 [\s\S]*0:00 of 3:00", "")]
    ticks = [(rf"must {count}/2[\s\S]*y/n: ", "y") for count in (1, 2, 1, 2)]
    text = held_in_a_terminal("debugging", [*ticket, *spoken, *ticks, *SCORES], columns, home, tmp_path)
    assert "» A note." in text
    assert "Verdict" in text
    (own,) = State().attempts("ticket")
    (attempt,) = State().attempts("round")
    assert (own.passed, attempt.detail["answers"][0]["passed"]) == (False, False)
    assert attempt.detail["answers"][0]["detail"]["asked"] == own.detail["asked"] == ["logs"]
    assert (attempt.passed, attempt.detail["level"]) == (True, "mid")


@TERMINAL
@pytest.mark.parametrize("name", ["coding", "debugging"])
def test_a_kata_or_a_ticket_that_is_stopped_is_in_the_sheet_so_far(name, home):
    pytest.importorskip("duckdb")
    child = spawn("mock", "--round", name, "--seed", "3", columns=60)
    child.expect(r"q: (leave|stop)[\s\S]*> ")
    child.sendintr()
    child.expect(r"Stopped; graded and kept: 0\.")
    child.expect(r": stopped, 0:\d\d of")
    child.expect("walkforward mock --resume")
    child.wait()
    assert child.exitstatus == 130
    child = spawn("mock", "--resume")
    for place, line in SCORES:
        child.expect(place)
        child.sendline(line)
    child.expect("Level: junior")
    child.wait()
    assert [attempt.name for attempt in State().attempts("round")] == [name]


def test_q_in_a_ticket_ends_a_round_in_good_order(call, monkeypatch):
    def left(*_, **__):
        raise terminal.Left

    monkeypatch.setattr(mock, "part", lambda name: SimpleNamespace(sit=left, names=lambda *_: ["restarts"]))
    monkeypatch.setattr(rounds, "part", mock.part)
    shown = call("mock", "--round", "debugging", "--seed", "3", lines=["33333"[:1]] * 5)
    assert shown.exit_code == 0 and "Stopped" not in shown.stderr, shown.output
    assert State().attempts("round")


@TERMINAL
def test_half_a_line_of_an_answer_is_kept_when_it_is_stopped(home):
    child = spawn("mock", "--round", "design", "--seed", "1", columns=60)
    child.expect("0:00 of 35:00")
    child.sendline("The first line.")
    child.expect("Noted")
    child.expect(r"0:\d\d of 35:00")
    child.send("Half a li")
    child.expect("Half a li")
    child.sendintr()
    child.expect("walkforward mock --resume")
    child.wait()
    (draft,) = given(home)[3]
    assert draft["answers"][0]["said"] == ["The first line.", "Half a li"]


@TERMINAL
def test_two_interviews_at_once_lose_nothing(home):
    pair = [spawn("mock", "--round", "design", "--seed", str(seed)) for seed in (1, 2)]
    for place, line in PLACES:
        for child in pair:
            child.expect(place)
            child.sendline(line)
    for child in pair:
        child.expect("Level: senior")
        child.wait()
    assert len(State().attempts("round")) == len(State().reviews()) == 2
    assert given(home)[3] == []


def test_the_questions_of_a_mixed_interview_in_a_process_that_ends_early(home):
    words = [sys.executable, "-c", PROGRAM, str(interview.FOLDER), "mock", "--minutes", "8", "--seed", "1"]
    done = subprocess.run(
        words, input=b"\xff\n\n\xc3\n", capture_output=True, timeout=60, env=dict(os.environ), check=False
    )
    assert done.returncode == 130
    assert b"Traceback" not in done.stderr
    assert b"Stopped; graded and kept: 0." in done.stderr


def test_the_counts_of_a_sheet_are_those_of_the_log(call):
    shown = call("mock", "--minutes", "12", "--seed", "7", lines=["", "", "", *["y", "n", "y"] * 4])
    reviews = State().reviews()
    passed = sum(all(review.must) for review in reviews)
    assert len(reviews) == 3
    assert f"Score: {passed} of 3 passed" in flat(shown)
    rows = dict(line.split()[:2] for line in shown.output.splitlines() if re.match(r"  \w+ +\d/\d", line))
    by_topic = Counter({one.topic: 0 for one in BANK if one.id in {review.question for review in reviews}})
    topics = {one.id: one.topic for one in BANK}
    by_topic.update(topics[review.question] for review in reviews if all(review.must))
    assert {topic: rows[topic] for topic in by_topic} == {
        topic: f"{count}/{sum(topics[review.question] == topic for review in reviews)}"
        for topic, count in by_topic.items()
    }

"""The schedule reaches everything: `walkforward practice` is driven through the days from outside."""

import io
import os
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner
from whole_bank import whole_bank

from course.cli import main
from course.practice import asking, kinds, schedule, sitting
from course.practice.bank import Question
from course.practice.reviews import Review, State, rate
from course.practice.schedule import FEWEST, MOST, OFTEN, TEN, Schedule

FIRST = datetime(2026, 11, 30, 8, tzinfo=UTC)
DAY, QUARTER = timedelta(days=1), timedelta(minutes=15)
BANK = whole_bank()
TOPICS, KINDS = {one.topic for one in BANK}, {one.kind for one in BANK}


def question(name, **change):
    form = {
        "id": name,
        "lesson": "01",
        "kind": "concept",
        "level": "mid",
        "minutes": 4,
        "prompt": f"What is {name}?",
        "must": [f"First of {name}.", f"Second of {name}."],
        "wrong": [{"says": f"Myth of {name}.", "why": "It is not so."}],
        "follow_ups": [{"ask": "And then?", "gist": "Then that."}],
    }
    return Question.model_validate(form | change)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A state folder in memory where there is one: each of a thousand commits waits for the disk."""
    memory = Path("/dev/shm")
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("COLUMNS", "80")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as state:
        monkeypatch.setenv("WALKFORWARD_STATE", state)
        yield


@pytest.fixture
def bank(monkeypatch):
    """The bank, read once: each of a hundred sittings would read it anew."""
    monkeypatch.setattr(sitting, "load_bank", lambda: BANK)
    monkeypatch.setattr(asking, "section", lambda lesson, cell: (Path(lesson), ""))
    return BANK


@dataclass
class Played:
    """What the days brought: the log, and what each morning's first line said is due."""

    asked: list[list[str]]  # by day
    due: list[int]

    @property
    def different(self):
        return {name for day in self.asked for name in day}


def script(how, rng):
    """Lines for one sitting: to each point y or n; an empty line ends what it is typed at as an answer."""
    say = {"right": lambda: "y", "wrong": lambda: "n", "between": lambda: rng.choice("yyyyyyyn")}[how]
    return "".join(f"{say()}\n\n" for _ in range(300))


def play(days, how, seed, dated=True, sittings=(5, 5), run=None):
    """Practise through the days, a quarter of an hour between two sittings, and read the log of it."""
    rng, due = random.Random(seed), []
    run = run or in_process
    dated = ["--interview-date", str((FIRST + days * DAY).date())] if dated else []
    for day in range(days):
        for place, limit in enumerate(sittings):
            now = FIRST + day * DAY + place * QUARTER
            said = run(["practice", "--limit", str(limit), *dated], script(how, rng), now)
            if not place:
                due.append(int(re.search(r"(\d+) due", said)[1]))
    asked = [[] for _ in range(days)]
    for review in State().reviews():
        asked[(review.reviewed - FIRST).days].append(review.question)
    return Played(asked, due)


def in_process(words, text, now):
    os.environ["WALKFORWARD_NOW"] = now.isoformat()
    try:
        done = CliRunner().invoke(main, words, input=io.BytesIO(text.encode()))
    finally:
        del os.environ["WALKFORWARD_NOW"]
    assert done.exit_code == 0, done.output
    return done.stdout


def in_a_process_of_its_own(words, text, now):
    done = subprocess.run(
        [sys.executable, "-m", "course", *words],
        input=text,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"WALKFORWARD_NOW": now.isoformat(), "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def hold(played, different, ten=10):
    """Hold what the course promises; a new topic is met first, so seven days meet as many as fit."""
    topics = {one.id: one.topic for one in BANK}
    kinds = {one.id: one.kind for one in BANK}
    assert [len(day) for day in played.asked] == [ten] * len(played.asked)
    assert len(played.different) >= different
    met = {topics[name] for name in played.different}
    assert len(met) == min(len(TOPICS), len(played.different))
    assert {kinds[name] for name in played.different} == KINDS
    assert max(played.due) <= 2 * sum(map(len, played.asked)) / len(played.asked)
    times = Counter(name for day in played.asked for name in day)
    if len(played.different) < len(BANK):
        assert max(times.values()) <= OFTEN  # what is unseen comes before the fourth repetition
    assert max(played.due) <= max(FEWEST, MOST) * ten // TEN


@pytest.mark.parametrize("seed", [1])
def test_two_weeks_of_ten_meet_every_topic_every_kind_and_110_questions(bank, seed):
    hold(play(14, "between", seed), 110)


class InMemory(State):
    """A log that is no file: hundreds of answers in a second."""

    def __init__(self, interview=None):
        self.log, self.day = [], interview

    def interview(self):
        return self.day

    def reviews(self):
        return self.log

    def record(self, one, must, good, seconds, source, reviewed=None, said=""):
        rating = rate(one.minutes, must, good, seconds)
        self.log.append(Review(one.id, rating, reviewed, seconds, must, good, source, said))


def through(bank, days, seed, dated=True, share=0.7):
    """Answer ten a day, of them a share right, and return what was asked and due, by day."""
    rng, state = random.Random(seed), InMemory((FIRST + days * DAY).date() if dated else None)
    asked, due = [], []
    for number in range(10 * days):
        now = FIRST + number // 10 * DAY + number % 10 * timedelta(minutes=6)
        plan = Schedule(bank, state, now)
        if not number % 10:
            due.append(sum(one.id in plan.cards for one in plan.following(10)))
            asked.append([])
        (one,) = plan.following(1)
        state.record(one, [rng.random() < share, True], [rng.random() < 0.6], rng.choice([99, 999]), "", now)
        asked[-1].append(one.id)
    return Played(asked, due)


@pytest.mark.parametrize("share", [0, 0.3, 0.7, 1])
@pytest.mark.parametrize("seed", range(3))
def test_two_weeks_hold_for_all_right_all_wrong_and_between(share, seed):
    hold(through(BANK, 14, seed, share=share), 112)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("days", "dated", "different"),
    [(7, True, 56), (7, False, 50), (14, True, 112), (14, False, 88), (30, True, 200), (30, False, 160)],
)
def test_other_spans_and_no_date_reach_everything_too(days, dated, different, seed):
    hold(through(BANK, days, seed, dated), different)


def test_the_command_itself_over_three_days_as_a_candidate_runs_it():
    played = play(3, "between", 4, sittings=(10,), run=in_a_process_of_its_own)
    assert [len(day) for day in played.asked] == [10, 10, 10]
    assert len(played.different) >= 26
    assert {one.kind for one in BANK if one.id in played.asked[0]} == KINDS
    topics = {one.topic for one in BANK if one.id in played.different}
    assert len(topics) == len(played.different)  # each new question is of a topic that was not met
    assert max(played.due) <= FEWEST


class TurnByTopic(Schedule):
    """The queue as it was: all that is due, then new ones in turn by topic, begun anew at each answer."""

    def following(self, count, without=()):
        topics = {}
        for one in self.new:
            topics.setdefault(one.topic, []).append(one)
        new = [one for turn in zip_longest(*topics.values()) for one in turn if one is not None]
        return [one for one in self.due + new if one.id not in without][:count]


def test_the_queue_as_it_was_does_not_hold(bank, monkeypatch):
    monkeypatch.setattr(sitting, "Schedule", TurnByTopic)
    played = play(14, "between", 1)
    assert len(played.different) < 70
    with pytest.raises(AssertionError):
        hold(played, 110)


# A bank that grows


@pytest.mark.parametrize(("days", "different", "seed"), [(14, 110, 0), (14, 110, 1), (30, 235, 2)])
def test_a_bank_that_grows_is_met_as_well(days, different, seed):
    rng = random.Random(seed)
    subjects = ["platforms", "basics", "time series", "sql and pandas", "recommender", "fraud", "cv"]
    lessons = [f"{number:02d}{part}" for number in range(16) for part in "ab"]
    grown = [
        question(
            f"q{number}",
            kind=rng.choice(["concept"] * 5 + ["debugging", "debugging", "design", "coding", "behavioural"]),
            **rng.choice(
                [{"lesson": rng.choice(lessons)}, {"lesson": None, "subject": rng.choice(subjects)}]
            ),
        )
        for number in range(300)
    ]
    played = through(grown, days, seed)
    by_id = {one.id: one for one in grown}
    assert len(played.different) >= different
    assert {by_id[name].topic for name in played.different} == {one.topic for one in grown}
    assert {by_id[name].kind for name in played.asked[0]} == {one.kind for one in grown}
    assert max(played.due) <= 4


# The rule


def names(questions):
    return [one.id for one in questions]


def record(state, one, passed, when):
    state.record(one, [passed, passed], [], 100, "test", when)


def test_a_turn_goes_to_the_kind_and_topic_asked_least_and_longest_ago():
    few = [
        question("a1"),
        question("a2"),
        question("b1", lesson="02"),
        question("b2", lesson="02"),
        question("c1", lesson=None, kind="design"),
        question("c2", lesson=None, subject="fraud", kind="design"),
    ]
    state = InMemory()
    assert names(Schedule(few, state, FIRST).following(9)) == ["a1", "c1", "b1", "c2", "a2", "b2"]
    record(state, few[0], True, FIRST)
    assert names(Schedule(few, state, FIRST).following(2)) == ["c1", "b1"]  # the life of the log counts
    record(state, few[4], True, FIRST + QUARTER)
    record(state, few[2], True, FIRST + 2 * QUARTER)
    assert names(Schedule(few, state, FIRST + 3 * QUARTER).following(1)) == ["c2"]
    assert names(Schedule(few, state, FIRST, few[:2]).following(5)) == ["a2"]
    assert names(Schedule(few, state, FIRST).following(5, {"c2", "a2"})) == ["b2"]


def test_a_large_topic_comes_more_often_once_each_was_met():
    """Or two weeks would ask two of two hundred questions on models, and two of five on each lesson."""
    many = [question(f"m{n}", lesson=None, subject="models") for n in range(180)]
    many += [question(f"l{n}", lesson=f"{n % 20:02d}") for n in range(100)]
    met = Counter(one.topic for one in Schedule(many, InMemory(), FIRST).following(60))
    assert met["models"] == 12 and len(met) == 21
    assert sum(met.values()) == 60 and set(met.values()) == {12, 2, 3}
    of_the_bank = Counter(one.topic for one in Schedule(BANK, InMemory(), FIRST).following(140))
    assert set(of_the_bank) == TOPICS
    assert sum(of_the_bank[name] for name in kinds.TOPICS) >= 50
    assert {name: met for name in kinds.TOPICS if (met := of_the_bank[name]) < 3} == {}


@pytest.mark.parametrize("seed", range(6))
def test_the_new_come_as_if_each_of_them_was_looked_at_for_each_turn(seed):
    dice, state = random.Random(seed), InMemory()
    many = [
        question(
            f"q{place}",
            lesson=dice.choice(["01", "02", "03"]),
            kind=dice.choice(["concept", "coding", "debugging"]),
        )
        for place in range(40)
    ]
    for place, one in enumerate(dice.sample(many, 7)):
        record(state, one, True, FIRST + place * QUARTER)
    schedule = Schedule(many, state, FIRST + 7 * QUARTER)
    left, turns, last, expected = schedule.new, schedule._turns.copy(), schedule._last.copy(), []
    assert (len(left), schedule.due) == (33, [])
    while left:
        one = min(left, key=lambda one: schedule._turn(one.topic, one.kind, turns, last))
        left.remove(one)
        expected.append(one)
        for what in (("topic", one.topic), ("kind", one.kind)):
            turns[what] += 1
            last[what] = 7 + len(expected)
    assert names(schedule.following(99)) == names(expected)


def test_what_failed_and_what_was_asked_least_comes_back_first():
    few = [question("once"), question("twice"), question("failed")]
    state = InMemory()
    for place, (one, passed) in enumerate(
        [(1, True), (1, True), (0, True), (2, True), (2, True), (2, False)]
    ):
        record(state, few[one], passed, FIRST + place * QUARTER)
    assert names(Schedule(few, state, FIRST + 300 * DAY).following(9)) == ["failed", "once", "twice"]


def test_what_is_unseen_comes_before_the_fourth_repetition():
    few = [question("hard"), question("new"), question("newer")]
    state = InMemory()
    for place in range(OFTEN):
        record(state, few[0], False, FIRST + place * DAY)
    assert names(Schedule(few, state, FIRST + 9 * DAY).following(9)) == ["new", "newer", "hard"]


def test_repeats_are_few_while_something_is_unseen_and_all_when_nothing_is():
    plan = Schedule([question("a")], InMemory(), FIRST)
    assert [plan.repeats_in_ten(unseen, 10) for unseen in (500, 100, 80, 70, 60, 50, 10, 0)] == [
        2,
        2,
        2,
        3,
        4,
        5,
        5,
        10,
    ]


def test_the_days_ahead_are_no_mountain_before_the_interview():
    many = [question(f"q{number}", lesson=f"{number % 16:02d}") for number in range(200)]
    state = InMemory((FIRST + 14 * DAY).date())
    for number in range(110):
        record(state, many[number], number % 3 > 0, FIRST + number // 10 * DAY + number % 10 * QUARTER)
    plan = Schedule(many, state, FIRST + 11 * DAY)
    assert plan.pace == 10 and plan.days == 3
    days, left = plan.ahead(3)
    assert [(day.repeats, day.new) for day in days] == [(2, 8)] * 3
    dues = sum(card.due < FIRST + 14 * DAY for card in plan.cards.values())
    assert dues > 60  # without the turns it were a mountain
    assert left == dues - 6
    done = Schedule(many[:110], state, FIRST + 11 * DAY)  # nothing unseen: repeats, at your pace
    assert [(day.repeats, day.new) for day in done.ahead(3)[0]] == [(10, 0)] * 3


def test_today_has_the_room_that_is_left_of_it():
    many = [question(f"q{number}") for number in range(60)]
    state = InMemory()
    for number in range(7):
        record(state, many[number], False, FIRST + number * timedelta(minutes=6))
    today, tomorrow = Schedule(many, state, FIRST + timedelta(hours=2)).ahead(2)[0]
    assert (today.repeats, today.new) == (2, 1)
    assert (tomorrow.repeats, tomorrow.new) == (5, 5)
    for number in range(10, 15):
        record(state, many[number], True, FIRST + timedelta(hours=3))
    today, tomorrow = Schedule(many, state, FIRST + timedelta(hours=4)).ahead(2)[0]
    assert (today.repeats, today.new) == (0, 0)


def test_the_pace_is_that_of_the_last_two_weeks():
    many = [question(f"q{number}") for number in range(60)]
    state = InMemory()
    assert Schedule(many, state, FIRST).pace == TEN
    for number in range(40):
        record(state, many[number], True, FIRST + number // 20 * DAY)
    assert Schedule(many, state, FIRST + DAY).pace == 20
    assert Schedule(many, state, FIRST + 5 * DAY).pace == 20
    assert Schedule(many, state, FIRST + 40 * DAY).pace == TEN
    assert schedule.FOUR_WEEKS == Schedule(many, state, FIRST).days

"""The plan: no day above its budget, everything in order, nothing twice, and a missed day moves by itself."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole_bank import whole_bank

from course import outline, progress
from course.cli import main
from course.practice import advertisement, agenda, kata, rounds, timetable
from course.practice import plan as planning
from course.practice.kinds import ROUNDS
from course.practice.plan import Course, Done, Plan, Ready, by_turns, today
from course.practice.reviews import NOW, Rating, Review, State
from course.practice.timetable import Item, Piece, Wishes, fill, short

START = datetime(2026, 11, 30, 9, tzinfo=UTC)
BANK, LESSONS = whole_bank(), outline.course()
DAYS, HOURS = (3, 7, 14, 30), ("0.5", "1.5", "4")
AD = """MLOps engineer. You watch models for data drift, raise alarms in Prometheus, serve models under load
with a p99 that holds, and forecast with Prophet. Terraform, Kafka and Go are welcome."""
ASKS = advertisement.Term.asks


@cache
def about(term):
    """The ids of the bank's questions that a term, given as JSON, is about."""
    read = advertisement.Term.model_validate_json(term)
    return {one.id for one in BANK if ASKS(read, one)}


def asks(term, one):
    """`Term.asks`, which each command asks of every term and question anew, read once for the bank."""
    kept = vars(term)
    if "about" not in kept:
        kept["about"] = about(term.model_dump_json())
    return one.id in kept["about"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A state folder of the test's own, a calendar that hangs on no place, notebooks and bank read once."""
    monkeypatch.setattr(outline, "course", lambda notebooks=None: LESSONS)
    monkeypatch.setattr(advertisement.Term, "asks", asks)
    for module in (planning, agenda):
        monkeypatch.setattr(module, "load_bank", lambda: BANK)
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("WALKFORWARD_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield tmp_path / "state"
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def at(monkeypatch):
    """Set the clock of the command."""

    def set_to(moment):
        monkeypatch.setenv(NOW, moment.isoformat())

    set_to(START)
    return set_to


@pytest.fixture
def ad(tmp_path):
    file = tmp_path / "ad.txt"
    file.write_text(AD, encoding="utf-8")
    return str(file)


def call(*arguments, columns=100):
    shown = CliRunner().invoke(main, ["plan", *arguments], env={"COLUMNS": str(columns + 1)})
    assert shown.exit_code == 0, (shown.output, shown.stderr, shown.exception)
    return shown.output


def kept():
    return Plan.model_validate_json(State().setting("plan"))


def make(days, hours, *options):
    call("--date", str(START.date() + timedelta(days=days)), "--hours", hours, *options)
    return kept()


def in_order(plan):
    """The items of a kind, day by day."""
    return [item for day in plan.days for item in day.items]


def sat(plan):
    return list(dict.fromkeys(item.name for item in in_order(plan) if item.what == "sitting"))


def pass_exercises(names, moment):
    file = progress.progress_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        for name in names:
            line = {"exercise": name, "lesson": "x", "status": "passed", "time": moment.isoformat()}
            out.write(json.dumps(line) + "\n")


def do(items, moment):
    """Do what a day holds, so that progress and log say so."""
    state, bank = State(), {one.id: one for one in BANK}
    sittings = {one.name: one for lesson in LESSONS for one in lesson.sittings}
    for item in items:
        if item.what == "sitting":
            pass_exercises(sittings[item.name].exercises, moment)
            if not sittings[item.name].exercises:
                call("--done", item.name)
        elif item.what == "round":
            state.record_attempt("round", item.name, True, 2000.0, {})
        elif item.what == "kata":
            state.record_attempt("kata", item.name, True, 600.0, {})
        elif item.what == "story":
            state.record_rehearsal("mine", 100.0, [True] * 5)
    for one in today(state, moment).questions:
        question = bank[one]
        state.record(question, [True] * len(question.must), [False] * len(question.good), 60.0, "practice")


# The days -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", HOURS)
@pytest.mark.parametrize("days", DAYS)
@pytest.mark.parametrize("job", [False, True])
def test_a_plan_holds(at, ad, days, hours, job):
    plan = make(days, hours, *(["--job", ad] if job else []))
    course = Course(plan, Done(State()))
    budget = 60 * float(hours)
    assert [one.day for one in plan.days] == [START.date() + timedelta(days=at) for at in range(days)]
    assert plan.days[-1].items == []  # the day off
    assert all(one.items for one in plan.days[:-1])
    assert all(sum(item.minutes for item in one.items) <= budget for one in plan.days)

    pieces = {piece.name: piece for piece in course.pieces}
    names = sat(plan)
    left = [one.name for one in plan.left if one.what == "sitting"]
    assert sorted(names + left) == sorted(course.sittings)
    for name in names:
        parts = [item for item in in_order(plan) if item.what == "sitting" and item.name == name]
        assert sum(item.minutes for item in parts) == pieces[name].minutes
        if len(parts) > 1:
            assert pieces[name].minutes > budget
            assert [item.part for item in parts] == [f"{at}/{len(parts)}" for at in range(1, len(parts) + 1)]
        assert set(pieces[name].needs) <= set(names[: names.index(name)])
    if not job:
        assert names == [name for name in course.sittings if name in names]  # the path's own order

    met = [item.name for item in in_order(plan) if item.what == "round"]
    out = [one.name for one in plan.left if one.what == "round"]
    assert set(met) | set(out) == set(ROUNDS)
    assert not set(met) & set(out)
    whole = (days - 1) * budget
    if sum(min(minutes, budget) for minutes in timetable.ROUND.values()) <= whole / 4:
        assert set(met) == set(ROUNDS)
    assert sum(item.minutes for item in in_order(plan) if item.what == "round") <= whole / 4
    katas = [item.name for item in in_order(plan) if item.what == "kata"]
    assert len(set(katas)) == len(katas)
    assert set(katas) <= set(kata.names())
    questions = [sum(i.count for i in one.items if i.what == "questions") for one in plan.days[:-1]]
    assert max(questions) <= timetable.MOST_QUESTIONS
    assert sum(number > 0 for number in questions) >= len(questions) / 2
    assert make(days, hours).days == plan.days  # the same again


def test_two_weeks_at_an_hour_and_a_half_hold_all_rounds_stories_and_most_of_the_path(at):
    plan = make(14, "1.5")
    whats = [item.what for item in in_order(plan)]
    assert {item.name for item in in_order(plan) if item.what == "round"} == set(ROUNDS)
    assert whats.count("story") == 4
    assert len(sat(plan)) >= 11
    assert whats.count("kata") == 2
    assert sum(item.count for item in in_order(plan) if item.what == "questions") >= 48


def test_what_is_left_out_is_said_with_its_reason(at):
    make(14, "1.5")
    plan, shown = kept(), " ".join(call("--all").split())
    left = [one for one in plan.left if one.what == "sitting"]
    listed = ", ".join(short(one.name) for one in left)
    assert f"Does not fit: {len(left)} sittings are left out ({listed})" in shown
    assert "no time is left" in shown
    make(30, "4")
    assert kept().left == []
    assert "Does not fit" not in call("--all")


def test_a_small_plan_drops_rounds_by_their_worth(at):
    plan = make(7, "1.5")
    assert [item.name for item in in_order(plan) if item.what == "round"] == [
        "coding",
        "design",
        "behavioural",
    ]
    assert [one.name for one in plan.left if one.what == "round"] == ["screen", "debugging", "cv"]
    assert "screen, debugging, cv: rounds take a quarter of all 9 hours at most." in re.sub(
        r"round (\w)", r"\1", " ".join(call("--all").split())
    )


def test_rounds_last_as_long_as_mock_holds_them():
    assert {name: form.minutes for name, form in rounds.forms().items()} == timetable.ROUND
    assert set(timetable.ROUND) == set(ROUNDS)


def test_days_are_filled_from_wishes_alone():
    pieces = [Piece("a", 60), Piece("b", 60, ("a",)), Piece("c", 20)]
    held = list(ROUNDS)
    filled = fill(2, 60, Wishes(pieces, rank=["b", "a", "c"], held=held))
    assert [[item.name for item in day if item.what == "sitting"] for day in filled.days] == [["a"], ["b"]]
    assert [one.name for one in filled.left if one.what == "sitting"] == ["c"]
    filled = fill(1, 90, Wishes(pieces, rank=["b", "c"], held=held))
    assert [item.name for item in filled.days[0] if item.what == "sitting"] == ["c"]
    assert {one.name: one.why for one in filled.left if one.what == "sitting"} == {
        "b": "no time is left with a before it",
        "a": "no time is left",
    }
    kept = Item(what="round", name="coding", minutes=45)
    filled = fill(1, 60, Wishes([Piece("c", 20)], rank=["c"], kept=[kept]))
    assert filled.days[0] == [kept, timetable.questions(3)]  # 15 minutes are left: the sitting wants 20
    assert fill(1, 60, Wishes([], rank=[])).days[0] == [timetable.questions(12)]
    assert fill(0, 60, Wishes(pieces, rank=[])).days == []


# By an advertisement ---------------------------------------------------------------------------------------


def test_what_an_advertisement_names_comes_first(at, ad):
    plan = make(30, "1.5", "--job", ad)
    names, course = sat(plan), Course(plan, Done(State()))
    wanted = [name for name in names if name in course.first]
    assert {"11c_drift", "11b_alarms", "09c_serving_under_load", "14b_prophet"} <= set(
        wanted
    )  # 2 off the path
    pieces = {piece.name: piece for piece in course.pieces}
    needed = set().union(*(timetable.before(name, pieces) for name in wanted))
    last = max(names.index(name) for name in wanted)
    assert set(names[: last + 1]) == set(wanted) | needed  # nothing else stands before it
    without = sat(make(30, "1.5", "--job", "none"))
    assert names != without
    assert kept().job == ""


def test_one_dear_term_does_not_take_the_days_of_the_others():
    """`dear` needs `way`, two hours and a half together: in these, three other terms are taught."""
    pieces = [Piece("root", 10), Piece("way", 90), Piece("dear", 60, ("way",))]
    pieces += [Piece("a", 60), Piece("b", 50, ("a",)), Piece("c", 40)]
    first = ["dear", "root", "a", "b", "c"]
    terms = [(1, [name]) for name in ("root", "dear", "a", "b", "c")]

    def sat_in(hours, **named):
        filled = fill(1, 60 * hours, Wishes(pieces, rank=[], held=[*ROUNDS] * 2, told=9, **named))
        return [item.name for item in filled.days[0] if item.what == "sitting"]

    assert sat_in(5, first=first) == ["way", "dear", "root", "c"]
    assert sat_in(5, first=first, terms=terms) == ["root", "a", "b", "c"]
    whole = ["way", "dear", "root", "a", "b", "c"]
    assert sat_in(9, first=first, terms=terms) == whole  # in the order of the wishes
    most = [(1, ["dear"]), *terms]  # what is named most comes first whatever it costs, until it is taught
    assert sat_in(5, first=first, terms=most) == ["way", "dear", "root", "c"]
    done = [(1, ["is done", "dear"]), *terms[:1], *terms[2:]]
    assert sat_in(5, first=first, terms=done) == ["root", "a", "b", "c"]


def test_an_advertisement_is_told_what_is_taught_and_what_is_not(at, ad):
    shown = " ".join(call("--date", "2026-12-14", "--job", ad).split())
    assert "ad.txt names 9 terms" in shown
    assert re.search(r"Taught, and first in the plan: .*data drift 11c, 11d.*Prophet 14b, 14a", shown)
    assert re.search(r"Not taught here: .*Terraform.*Kafka.*Go", shown)
    assert re.search(r"On the path, and not named: .*04c.*06a.*I3\.1", shown)
    assert "names 9 terms" not in call()
    assert "names 9 terms" in call("--all")  # it is kept


def test_up_to_half_of_the_questions_are_about_what_is_named(at, ad):
    make(14, "1.5", "--job", ad)
    by_id = {one.id: one for one in BANK}
    about = Course(kept(), Done(State())).weights.questions(BANK)
    ids = {one.id for questions in about.values() for one in questions}
    asked = [by_id[one] for one in today(State(), START).questions]
    half = -(-len(asked) // 2)
    assert len(asked) >= 2
    assert all(one.id in ids for one in asked[:half])


def test_each_term_of_an_advertisement_is_asked_about(at, tmp_path):
    """Language models, which no lesson teaches and of which the bank has a hundred, had every turn."""
    file = tmp_path / "ad.txt"
    file.write_text(
        "Databricks, Databricks. You know Python, SQL, Spark, MLflow, Docker, Jenkins, Delta Lake, "
        "forecasting and the monitoring of models; LLM and RAG are a plus."
    )
    plan = make(16, "2", "--job", str(file))
    course = Course(plan, Done(State()))
    ready, named = Ready(course, START), []
    for item in in_order(plan):
        if item.what == "questions":
            named += ready.take(item.count)[: -(-item.count // 2)]
    about = course.weights.questions(BANK)
    asked = {plan.terms[term]: sum(one in named for one in found) for term, found in about.items()}
    assert len(asked) >= 11
    assert min(asked.values()) >= 3
    assert asked["LLM"] <= len(named) / 4


def test_who_was_asked_about_a_term_is_asked_about_the_others():
    one, two, three, four = BANK[:4]
    terms = [[one, two, three], [four]]
    assert by_turns(terms, BANK[:4], []) == [one, four, two, three]
    log = [Review(one.id, Rating.Good, START, None, [], [], "practice")] * 2
    assert by_turns(terms, BANK[:4], log) == [four, one, two, three]
    assert by_turns([[one, two], [two, three]], BANK[:4], []) == [one, two, three]  # two counts for both
    assert by_turns([], BANK[:4], []) == []


def test_an_advertisement_that_names_nothing_leaves_the_path_as_it_is(at, tmp_path):
    file = tmp_path / "ad.txt"
    file.write_text("A baker for the early hours. Bread, rolls, good humour.")
    plain = make(14, "1.5")
    shown = call("--job", str(file))
    assert "names 0 terms" in shown
    assert kept().days == plain.days


# What is done, and what was missed -------------------------------------------------------------------------


def test_a_fortnight_in_which_days_are_missed(at):
    missed_days = {2, 3, 7}
    make(14, "1.5")
    done_sittings, held, told, answered = set(), [], 0, 0
    for number in range(14):
        moment = START + timedelta(days=number)
        at(moment)
        shown = call()
        plan = kept()
        items = next(one.items for one in plan.days if one.day == moment.date())
        assert sum(item.minutes for item in items) <= 90
        assert ("Missed since" in shown) == (number - 1 in missed_days and number < 13)
        assert not done_sittings & {item.name for item in in_order(plan) if item.what == "sitting"}
        assert plan.made == moment.date()
        assert plan.days[-1].day == date(2026, 12, 13)
        assert plan.days[-1].items == []
        if number in missed_days:
            assert call() == shown  # asked twice on a day it says the same
            continue
        do(items, moment)
        after = today(State(), moment)
        assert (after.questions, after.katas, after.sittings, after.rounds, after.stories) == (
            [],
            [],
            [],
            [],
            0,
        )
        assert after.off == (number == 13)
        done_sittings |= {item.name for item in items if item.what == "sitting"}
        held += [item.name for item in items if item.what == "round"]
        told += sum(item.what == "story" for item in items)
        answered += sum(item.count for item in items if item.what == "questions")
        assert "[ ]" not in call()
    assert sorted(held) == sorted(ROUNDS)  # each once, though days were missed
    assert told == 4
    assert len(done_sittings) >= 8
    assert len(State().reviews()) == answered
    at(START + timedelta(days=14))
    assert "Your interview is today" in call()
    assert today(State(), START + timedelta(days=14)).off
    at(START + timedelta(days=15))
    assert CliRunner().invoke(main, ["plan"]).exit_code == 2
    assert today(State(), START + timedelta(days=15)) is None


@pytest.mark.parametrize("hours", ["0.5", "1.5", "2"])
def test_who_passes_over_all_but_questions_is_still_asked(at, hours):
    plan = make(14, hours)
    own = [sum(item.count for item in one.items if item.what == "questions") for one in plan.days[:-1]]
    asked = []
    for number in range(13):
        moment = START + timedelta(days=number)
        at(moment)
        call()
        items = kept().days[0].items
        assert sum(item.minutes for item in items) <= 60 * float(hours)
        number = sum(item.count for item in items if item.what == "questions")
        asked.append(number)
        do([], moment)
    assert sum(number > 0 for number in asked) >= (10 if float(hours) > 1 else 5)
    assert sum(asked) >= sum(own) / 2


def test_what_was_missed_is_named_and_moved(at):
    plan = make(14, "1.5")
    first = [item for item in plan.days[0].items if item.what == "sitting"][0].name
    at(START + timedelta(days=1))
    shown = " ".join(call().split())
    number = sum(item.count for item in plan.days[0].items if item.what == "questions")
    assert f"Missed since Mon 30 Nov: sittings {short(first)}; stories 1; questions {number}." in shown
    assert sat(kept())[0] == first
    assert kept().days[0].day == date(2026, 12, 1)
    fallen = {one.name for one in kept().left} - {one.name for one in plan.left}
    assert bool(fallen) == ("No longer fits:" in shown)


def test_what_progress_says_is_done_is_not_planned(at):
    route = outline.path_named("interview")
    done = [one for one in route.sittings if one.exercises][:5]
    pass_exercises([name for one in done for name in one.exercises], START - timedelta(days=30))
    half = next(one for one in route.sittings if one.stem == "13b_walk_forward")
    pass_exercises(half.exercises[:1], START)
    plan = make(30, "4")
    assert not {one.name for one in done} & set(sat(plan))
    left = {item.name: item.minutes for item in in_order(plan) if item.what == "sitting"}
    assert left[half.name] == -(-half.minutes // 2 // 5) * 5 or left[half.name] == 30  # one of two exercises
    pass_exercises(kata.names()[:3], START)
    assert not set(kata.names()[:3]) & {i.name for i in in_order(make(30, "4")) if i.what == "kata" and 0}


def test_a_sitting_is_done_when_the_student_says_so(at):
    make(30, "4")
    call("--done", "I3", "--done", "04c", "--done", "i2.1")
    assert not {"I3_debugging 1", "04c_is_it_better", "I2_design 1"} & set(sat(kept()))
    assert "I2_design 2" in sat(kept())
    at(START + timedelta(days=1))
    call()
    assert not {"I3_debugging 1", "04c_is_it_better", "I2_design 1"} & set(sat(kept()))


def test_work_that_was_done_today_counts_when_the_plan_changes(at):
    plan = make(14, "1.5")
    do(plan.days[0].items, START)
    call("--hours", "2")
    items = kept().days[0].items
    assert sum(item.minutes for item in items) <= 120
    assert {item.name for item in plan.days[0].items} <= {item.name for item in items}
    shown = call()
    assert shown.count("[x]") >= 2


def test_answers_in_a_round_are_none_of_the_days_questions(at):
    make(14, "1.5")
    before = today(State(), START).questions
    question = BANK[0]
    State().record(question, [True] * len(question.must), [False] * len(question.good), 60.0, "mock")
    assert len(today(State(), START).questions) == len(before)
    question = BANK[1]
    State().record(question, [True] * len(question.must), [False] * len(question.good), 60.0, "practice")
    assert len(today(State(), START).questions) == len(before) - 1


def test_more_than_planned_moves_the_rest_up(at):
    make(14, "1.5")
    route = outline.path_named("interview")
    names = {"00a_start_here", "01a_pipelines_and_baselines", "03a_tracking"}
    pass_exercises([name for one in route.sittings if one.name in names for name in one.exercises], START)
    at(START + timedelta(days=1))
    before = len(sat(kept()))
    call()
    assert not names & set(sat(kept()))
    assert len(sat(kept())) >= before - len(names) + 1  # what did not fit comes in


# The day and the plan are one setting ----------------------------------------------------------------------


def test_the_interview_of_practice_is_the_plans(at):
    make(14, "1.5")
    assert State().interview() == date(2026, 12, 14)
    State().set("interview", "2026-12-08")
    shown = call()
    assert "8 days to the interview" in shown
    assert kept().interview == date(2026, 12, 8)
    assert [one.day for one in kept().days][-1] == date(2026, 12, 7)
    State().set("interview", "")
    assert today(State(), START) is None
    error = CliRunner().invoke(main, ["plan"])
    assert error.exit_code == 2
    assert "the interview's day was forgotten" in error.stderr


def test_another_date_replaces_the_plan_and_says_so(at):
    make(14, "1.5")
    shown = " ".join(call("--date", "2026-12-20").split())
    assert "This replaces the plan for Mon 14 Dec, 1.5 hours a day, path interview." in shown
    assert (kept().minutes, kept().interview) == (90, date(2026, 12, 20))
    assert "The plan for the interview on 2026-12-20 is dropped. What you did is kept." in call(
        "--date", "none"
    )
    assert State().interview() is None
    assert CliRunner().invoke(main, ["plan"]).exit_code == 2
    assert "There was no plan" in call("--date", "none")
    assert call("--date", "2026-12-20", "--hours", "1,5", "--path", "forecasting")
    assert (kept().minutes, kept().path) == (90, "forecasting")


def test_after_an_interview_a_new_plan_begins_anew(at):
    make(3, "4")
    State().record_attempt("round", "coding", True, 2000.0, {})
    at(START + timedelta(days=10))
    call("--date", "2026-12-24")
    plan = kept()
    assert plan.begun.date() == date(2026, 12, 10)
    assert "coding" in [item.name for item in in_order(plan) if item.what == "round"]


def test_a_round_that_was_held_is_no_more_in_what_is_left_of_its_day(at):
    make(14, "4")
    day, name = next(
        (one.day, item.name) for one in kept().days for item in one.items if item.what == "round"
    )
    noon = START + timedelta(days=(day - START.date()).days)
    at(noon)
    assert name in today(State(), noon).rounds
    State().record_attempt("round", name, True, 2000.0, {})
    assert name not in today(State(), noon).rounds


def test_the_day_before_is_off(at):
    shown = call("--date", "2026-12-01")
    assert "Today is the day off before the interview" in shown
    assert today(State(), START).off
    assert today(State(), START).questions == []


# In a terminal ---------------------------------------------------------------------------------------------


def test_a_day_of_another_year_is_said_with_it(at):
    shown = call("--date", "2027-11-27")
    assert "Interview on Sat 27 Nov 2027, Fri 26 Nov is off" in " ".join(shown.split())
    assert "until Sat 27 Nov 2027, path" in call("--all")
    assert "replaces the plan for Sat 27 Nov 2027," in " ".join(call("--hours", "2").split())


@pytest.mark.parametrize("columns", [60, 100])
@pytest.mark.parametrize("hours", HOURS)
def test_today_fits_a_screen_and_no_line_is_longer(at, ad, columns, hours):
    call("--date", "2026-12-14", "--hours", hours, "--job", ad)
    at(START + timedelta(days=3))
    shown = call(columns=columns)
    lines = shown.splitlines()
    assert "Missed since" in shown
    assert len(lines) <= 24
    for text in (shown, call("--all", columns=columns), call("--job", ad, columns=columns)):
        assert max(map(len, text.splitlines())) <= columns


def test_each_command_that_today_names_is_one(at):
    make(14, "4")
    commands = []
    for number in range(13):
        at(START + timedelta(days=number))
        commands += re.findall(r"walkforward [^\n`]+?(?=\n|`|  )", call())
    names = {command.split()[1] for command in commands}
    assert {"lab", "practice", "story", "kata", "mock", "plan"} <= names
    assert names <= set(main.commands)
    for command in {one for one in commands if " lab " in one}:
        assert list(outline.NOTEBOOKS.glob(f"{command.split()[2]}_*.ipynb")), command


def run(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "course", "plan", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_two_terminals_at_once_lose_nothing_of_each_other(at):
    make(14, "1.5")
    children = [run("--hours", "3"), run("--path", "forecasting"), run("--done", "13b"), run()]
    for child in children:
        _, error = child.communicate(timeout=120)
        assert child.returncode == 0, error
    assert (kept().minutes, kept().path) == (180, "forecasting")
    assert kept().said == ["13b_walk_forward"]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_a_killed_plan_is_the_old_one_or_the_new_one(at):
    old = make(14, "1.5")
    dice = random.Random(0)
    for _ in range(6):
        child = run("--hours", "3")
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that has ended is not waited for
            child.wait(dice.uniform(0.3, 1.6))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        plan = kept()
        assert plan.minutes in (90, 180)
        if plan.minutes == 90:
            assert plan == old
        assert State().interview() == plan.interview


def test_two_katas_find_room_though_they_take_some_questions(at):
    items = in_order(make(12, "1.5"))
    assert [item.name for item in items if item.what == "kata"] == katas_by_turns(2)
    assert sum(item.count for item in items if item.what == "questions") >= 45


def katas_by_turns(number):
    one, other = kata.names("I1"), kata.names("I5")
    return [name for pair in zip(one, other, strict=False) for name in pair][:number]


def test_katas_of_all_lessons_come_by_turns(at):
    plan = make(30, "4")
    names = [item.name for item in in_order(plan) if item.what == "kata"]
    assert names[:4] == katas_by_turns(4)


def test_of_a_notebook_off_the_path_the_first_sitting_is_added(at, tmp_path):
    file = tmp_path / "ad.txt"
    file.write_text("We want SQL: window functions, joins.")
    call("--date", "2026-12-29", "--hours", "4", "--job", str(file))
    assert [name for name in sat(kept()) if name.startswith("I5")] == ["I5_sql_and_pandas 1"]
    assert sat(kept())[0] == "I5_sql_and_pandas 1"


@st.composite
def wishes(draw):
    number = draw(st.integers(0, 12))
    pieces = [
        Piece(
            f"p{at}",
            draw(st.integers(5, 60)),
            tuple(f"p{need}" for need in draw(st.sets(st.integers(0, at - 1), max_size=2))) if at else (),
        )
        for at in range(number)
    ]
    names = [piece.name for piece in pieces]
    known = st.sampled_from(names) if names else st.nothing()
    return Wishes(
        pieces,
        rank=draw(st.permutations(names)),
        first=draw(st.lists(known, unique=True)),
        terms=draw(st.lists(st.tuples(st.sampled_from([0.5, 1]), st.lists(known)), max_size=5)),
        held=draw(st.lists(st.sampled_from(ROUNDS), max_size=8)),
        told=draw(st.integers(0, 9)),
        katas=[f"k{at}" for at in range(draw(st.integers(0, 9)))],
        solved=draw(st.integers(0, 9)),
        elapsed=draw(st.integers(0, 20)),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 20), budget=st.integers(15, 400), wished=wishes())
def test_whatever_is_wished_no_day_is_above_its_budget_and_nothing_is_lost(count, budget, wished):
    filled = fill(count, budget, wished)
    assert len(filled.days) == count
    assert all(sum(item.minutes for item in day) <= budget for day in filled.days)
    items = [item for day in filled.days for item in day]
    minutes = Counter()
    for item in items:
        if item.what == "sitting":
            minutes[item.name] += item.minutes
    pieces = {piece.name: piece for piece in wished.pieces}
    assert minutes == {name: pieces[name].minutes for name in minutes}
    left = {one.name for one in filled.left if one.what == "sitting"}
    assert left | minutes.keys() == pieces.keys()
    assert not left & minutes.keys()
    order = list(minutes)
    for name in order:
        assert set(pieces[name].needs) <= set(order[: order.index(name)])
    katas = [item.name for item in items if item.what == "kata"]
    assert katas == list(wished.katas)[: len(katas)]


def test_practice_asks_what_the_plan_has_for_today(at):
    make(14, "1.5")
    planned = today(State(), START).questions
    assert planned
    shown = CliRunner().invoke(main, ["practice", "--today"], input=("\n" + "y\n" * 40) * len(planned))
    assert [review.question for review in State().reviews()] == planned, shown.output
    assert today(State(), START).questions == []
    assert re.search(r"\[x\] +\d+ min +\d+ questions", call())


def test_mock_holds_the_round_that_the_plan_has_for_today(at):
    plan = make(14, "1.5")
    day, item = next((one.day, i) for one in plan.days for i in one.items if i.what == "round")
    at(datetime.combine(day, START.timetz()))
    shown = CliRunner().invoke(main, ["mock"], input="")
    assert f"Your plan has the round {item.name} today" in shown.output


def test_a_plan_of_sittings_that_are_gone_is_shown_and_made_anew(at):
    make(14, "1.5")
    raw = State().setting("plan").replace("00a_start_here", "99z_gone")
    State().set("plan", raw)
    assert "99z" in call()
    assert "99z" in call("--all")
    assert today(State(), START).sittings == ["99z_gone"]
    at(START + timedelta(days=1))
    assert "99z" not in call("--all")
    assert sat(kept())[0] == "00a_start_here"

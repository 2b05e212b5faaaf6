"""What to do on which day until the interview, made anew each day from what is really done.

The plan is one setting of the review log, written whole. Nothing in it counts as done: sittings are done by
the student's progress, questions, katas, rounds and stories by the log. So a missed day moves by itself.
`agenda` is the command, `timetable` fills the days.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import zip_longest
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from course import outline, progress
from course.practice import advertisement, timetable
from course.practice.advertisement import Term, Weights
from course.practice.bank import Question, load_bank
from course.practice.reviews import Review, State
from course.practice.schedule import Schedule
from course.practice.timetable import Item, Left, Piece, Wishes, short
from walkforward.errors import WalkForwardError


class PlanError(WalkForwardError, ValueError):
    """A plan can't be made or read; the message says what can be done."""


class Day(BaseModel):
    """One day and what it holds; the day off before the interview holds nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    day: date
    items: list[Item]


class Plan(BaseModel):
    """The plan as it is kept: what was asked for, the days from `made` on, what was missed before."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1] = 1
    begun: datetime
    made: date
    interview: date
    minutes: int = Field(ge=1)
    path: str
    job: str = ""
    terms: dict[str, str] = Field({}, description="Terms, with the word that the advertisement has")
    said: list[str] = []
    days: list[Day] = []
    left: list[Left] = []
    missed: dict[str, list[str]] = {}
    since: date | None = None
    fallen: list[str] = []


@dataclass(frozen=True)
class Today:
    """What is left of today: ids of questions in order, katas, stems of lessons, rounds, how many stories."""

    questions: list[str]
    katas: list[str]
    sittings: list[str]
    rounds: list[str]
    stories: int
    off: bool


def day_of(moment: datetime) -> date:
    """Return the day on the student's own calendar."""
    return moment.astimezone().date()


class Done:
    """What the student has really done, read once from the progress and the log."""

    def __init__(self, state: State) -> None:
        self.state = state

    @cached_property
    def passed(self) -> dict[str, date]:
        """Exercises that were passed, with the day on which each was for the first time."""
        found: dict[str, date] = {}
        for record in progress.read()[0]:
            if record["status"] == "passed":
                found.setdefault(record["exercise"], day_of(datetime.fromisoformat(record["time"])))
        return found

    @cached_property
    def answered(self) -> Counter[date]:
        """Answers graded, by day, without those of rounds, which have their own minutes."""
        found = self.state.reviews()
        return Counter(day_of(review.reviewed) for review in found if review.source != "mock")

    @cached_property
    def rounds(self) -> list[tuple[str, date]]:
        """Rounds that were held, with their days."""
        return [(one.name, day_of(one.ended)) for one in self.state.attempts("round")]

    @cached_property
    def katas(self) -> dict[str, date]:
        """Katas that were passed, in the terminal or in the notebook, with the day of the first time."""
        own = [(one.name, day_of(one.ended)) for one in self.state.attempts("kata") if one.passed]
        return self.passed | dict(reversed(own))

    @cached_property
    def told(self) -> Counter[date]:
        """Stories that were told, by day."""
        return Counter(day_of(when) for _, when, *_ in self.state.rehearsals())


@dataclass(frozen=True)
class Course:
    """The sittings that a plan is about: those of its path, and those that an advertisement adds."""

    plan: Plan
    done: Done

    @cached_property
    def route(self) -> outline.Route:
        """The path of the plan."""
        return outline.path_named(self.plan.path)

    @cached_property
    def lessons(self) -> dict[str, outline.Lesson]:
        """All lessons by stem."""
        return {lesson.stem: lesson for lesson in outline.course()}

    @cached_property
    def weights(self) -> Weights:
        """What the advertisement wants."""
        return Weights(terms_of(self.plan), list(self.lessons))

    @cached_property
    def sittings(self) -> dict[str, outline.Sitting]:
        """By name: the path's in its order, then what the advertisement adds with what that needs."""
        found = {one.name: one for one in self.route.sittings}
        on_path = {one.stem for one in self.route.sittings} | self.route.assumed.keys()
        added: set[str] = set()
        waiting = [stem for stem in self.weights.own if stem not in on_path]
        while waiting:
            stem = waiting.pop()
            if stem in self.lessons and stem not in added | on_path:
                added.add(stem)
                waiting += self.lessons[stem].needs
        for stem, lesson in self.lessons.items():
            found |= {one.name: one for one in lesson.sittings[:1] if stem in added}  # the first of several
        return found

    @cached_property
    def finished(self) -> set[str]:
        """Names of the sittings that are done: by their exercises, or because the student said so."""
        passed = set(self.done.passed)
        own = {
            name for name, one in self.sittings.items() if one.exercises and passed.issuperset(one.exercises)
        }
        return own | outline.done(self.route, passed) | set(self.plan.said)

    def finished_on(self, name: str) -> date | None:
        """Return the day on which the last exercise of a sitting was passed, None where that is not known."""
        exercises = self.sittings[name].exercises if name in self.finished & self.sittings.keys() else ()
        days = [self.done.passed[exercise] for exercise in exercises if exercise in self.done.passed]
        return max(days, default=None)

    def minutes(self, one: outline.Sitting) -> int:
        """Return what is left of a sitting: its minutes by the share of exercises that are not passed yet."""
        whole = one.minutes or timetable.LONGEST
        if not one.exercises:
            return whole
        open_ = sum(name not in self.done.passed for name in one.exercises)
        return math.ceil(whole * open_ / len(one.exercises) / 5) * 5

    @cached_property
    def pieces(self) -> list[Piece]:
        """What is to be done, without what is done, each with what comes before it."""
        found = []
        for name, one in self.sittings.items():
            if name in self.finished:
                continue
            needs = [
                other.name
                for other in self.sittings.values()
                if other.stem in self.lessons[one.stem].needs
                or (other.stem == one.stem and other.part < one.part)
            ]
            found.append(Piece(name, self.minutes(one), tuple(needs)))
        return found

    @cached_property
    def first(self) -> list[str]:
        """Names of the sittings that the advertisement names, the most wanted first."""
        return [
            name for stem in self.weights.lessons for name, one in self.sittings.items() if one.stem == stem
        ]

    @cached_property
    def terms(self) -> list[tuple[float, list[str]]]:
        """Of each term that the plan can teach: its weight, and the first sittings of its lessons."""
        firsts: dict[str, str] = {}
        for name, one in self.sittings.items():
            firsts.setdefault(one.stem, name)
        found = []
        for term in self.weights.terms:
            names = [firsts[stem] for stem in term.stems(list(self.lessons)) if stem in firsts]
            if names:
                found.append((advertisement.weight(term), names))
        return found

    @cached_property
    def rank(self) -> list[str]:
        """Names by worth, for when not all fit: the interview's own walkthroughs, then the path's order."""
        return sorted(self.sittings, key=lambda name: not name.startswith("I"))


def named(state: State, bank: Sequence[Question]) -> set[str]:
    """Return the ids of the questions about what the advertisement of the plan names; none without one."""
    try:
        plan = _read(state.setting("plan"))
    except PlanError:  # `walkforward plan` says it
        return set()
    terms = Course(plan, Done(state)).weights.questions(bank) if plan else {}
    return {one.id for questions in terms.values() for one in questions}


def terms_of(plan: Plan) -> list[Term]:
    """Return the terms of the advertisement that the plan follows."""
    known = {term.term: term for term in advertisement.load_terms()} if plan.terms else {}
    return [known[name] for name in plan.terms if name in known]


# Kept ------------------------------------------------------------------------------------------------------


def _read(raw: str | None) -> Plan | None:
    if not raw:
        return None
    try:
        return Plan.model_validate_json(raw)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:2])
        raise PlanError(
            f"the plan that is kept can't be read ({faults}): `walkforward plan --date none` drops it, "
            "and what you did is kept"
        ) from error


def changed(state: State, change: Callable[[Plan | None], Plan | None]) -> Plan | None:
    """Change the plan as it is kept, and return what is kept now; None from `change` leaves it as it is.

    When another terminal wrote meanwhile, the change is made to what that one wrote.
    """
    while True:
        raw, day = state.setting("plan"), state.setting("interview")
        old = _read(raw)
        new = change(old)
        if new is None:
            return old
        values = {"plan": new.model_dump_json(), "interview": new.interview.isoformat()}
        if state.change(values, seen={"plan": raw, "interview": day}):
            return new


def current(state: State, now: datetime) -> Plan | None:
    """Return the plan of today, made anew where a day began or the interview moved; None without one."""

    def change(plan: Plan | None) -> Plan | None:
        interview, today = state.interview(), day_of(now)
        if plan is None or interview is None or interview <= today:
            return None
        if plan.made == today and plan.interview == interview:
            return None
        moved = plan.model_copy(update={"interview": interview})
        return made_anew(moved, plan, state, today)

    return changed(state, change)


def today(state: State, now: datetime) -> Today | None:
    """Return what is left of today by the plan; None without a plan, without an interview, and after it.

    Questions are the queue's, as many as the day holds and were not answered today; where an advertisement is
    given, up to half of them, and the first ones, are about what it names, each of its terms in turn.
    """
    plan, interview, day = current(state, now), state.interview(), day_of(now)
    if plan is None or interview is None or interview < day:
        return None
    items = items_of(plan, day) if interview > day else []
    course = Course(plan, Done(state))
    open_ = [item for item in items if not is_done(item, day, course)]
    number = sum(item.count for item in items if item.what == "questions") - course.done.answered[day]
    stories = sum(item.what == "story" for item in items) - course.done.told[day]
    return Today(
        questions=[one.id for one in Ready(course, now).take(number)],
        katas=[item.name for item in open_ if item.what == "kata"],
        sittings=list(dict.fromkeys(item.name.split()[0] for item in open_ if item.what == "sitting")),
        rounds=[item.name for item in open_ if item.what == "round"],
        stories=max(0, stories),
        off=interview - day <= timedelta(days=1),
    )


def items_of(plan: Plan, day: date) -> list[Item]:
    """Return what a day of the plan holds; empty for a day it has not."""
    return next((one.items for one in plan.days if one.day == day), [])


class Ready:
    """The questions that wait, in the order of the schedule, handed out day by day."""

    def __init__(self, course: Course, now: datetime) -> None:
        bank, state = load_bank(), course.done.state
        terms = [*course.weights.questions(bank).values()]

        def ordered(chosen: list[Question]) -> list[Question]:
            return Schedule(bank, state, now, chosen).following(len(chosen)) if chosen else []

        self.waiting = ordered(bank)
        about = {one.id for questions in terms for one in questions}
        self.named = by_turns(terms, ordered([one for one in bank if one.id in about]), state.reviews())

    def take(self, number: int) -> list[Question]:
        """Return so many in the order of the schedule; up to half are about what the advertisement names."""
        named = self.named[: math.ceil(max(0, number) / 2)]
        ids = {one.id for one in named}
        taken = [*named, *(one for one in self.waiting if one.id not in ids)][: max(0, number)]
        ids = {one.id for one in taken}
        self.waiting = [one for one in self.waiting if one.id not in ids]
        self.named = [one for one in self.named if one.id not in ids]
        return taken


def by_turns(
    terms: Sequence[Sequence[Question]], queue: Iterable[Question], log: Iterable[Review]
) -> list[Question]:
    """Return the questions of a queue so that each term of an advertisement gets its turn.

    Next is always the first of the term that was asked about least, the one that is named most where two are
    equal. A question counts for each term that it is about.
    """
    asked = Counter(review.question for review in log)
    turns = [sum(asked[one.id] for one in questions) for questions in terms]
    of = defaultdict(list)
    for at, questions in enumerate(terms):
        for one in questions:
            of[one.id].append(at)
    waiting: list[deque[Question]] = [deque() for _ in terms]
    for one in queue:
        for at in of[one.id]:
            waiting[at].append(one)
    found: dict[str, Question] = {}
    while open_ := [at for at, one in enumerate(waiting) if one]:
        first = min(open_, key=turns.__getitem__)  # the earlier one of a tie
        question = waiting[first].popleft()
        if question.id not in found:
            found[question.id] = question
            for at in of[question.id]:
                turns[at] += 1
    return list(found.values())


def is_done(item: Item, day: date, course: Course) -> bool:
    """Whether an item of today is done."""
    done = course.done
    if item.what == "sitting":
        return item.name in course.finished
    if item.what == "round":
        return (item.name, day) in done.rounds
    if item.what == "kata":
        return item.name in done.katas
    if item.what == "story":
        items = items_of(course.plan, day)
        return done.told[day] >= sum(one.what == "story" for one in items)
    return done.answered[day] >= item.count


# Made ------------------------------------------------------------------------------------------------------


def made_anew(plan: Plan, old: Plan | None, state: State, today: date) -> Plan:
    """Return a plan with its days from today on filled anew; `old` is the one that it follows."""
    course = Course(plan, Done(state))
    done, begun = course.done, day_of(plan.begun)
    count = max(0, (plan.interview - today).days - 1)
    held = [name for name, day in done.rounds if day >= begun]
    own = _katas()
    wishes = Wishes(
        pieces=course.pieces,
        rank=course.rank,
        first=course.first,
        terms=course.terms,
        held=held,
        told=sum(number for day, number in done.told.items() if day >= begun),
        katas=[name for name in own if name not in done.katas],
        solved=len([name for name in own if name in done.katas and done.katas[name] >= begun]),
        elapsed=max(0, (today - begun).days),
        kept=_kept(done, today, old, course),
    )
    filled = timetable.fill(count, plan.minutes, wishes)
    days = [Day(day=today + timedelta(days=at), items=items) for at, items in enumerate(filled.days)]
    days.append(Day(day=plan.interview - timedelta(days=1), items=[]))
    change: dict[str, object] = {"made": today, "days": days, "left": filled.left}
    if old is None:
        change |= {"missed": {}, "since": None, "fallen": []}
    elif old.made < today:
        change |= {"missed": _missed(old, course, today), "since": old.made}
    if old is not None:
        before = {(one.what, one.name) for one in old.left}
        fallen = [label(one) for one in filled.left if (one.what, one.name) not in before]
        change["fallen"] = fallen if old.made < today else [*dict.fromkeys([*old.fallen, *fallen])]
    return plan.model_copy(update=change)


def _katas() -> list[str]:
    """The katas of the lessons that have some, by turns."""
    from course.practice import kata

    turns = zip_longest(*(kata.names(lesson) for lesson in kata.LESSONS))
    return [name for turn in turns for name in turn if name is not None]


def _kept(done: Done, today: date, old: Plan | None, course: Course) -> list[Item]:
    """What the log says of today already, as items: it has its minutes of the day."""
    kept = [
        item
        for item in (items_of(old, today) if old else [])
        if item.what == "sitting" and course.finished_on(item.name) == today
    ]
    for name, day in done.rounds:
        if day == today and name in timetable.ROUND:
            kept.append(Item(what="round", name=name, minutes=timetable.ROUND[name]))
    own = set(_katas())
    kept += [
        Item(what="kata", name=name, minutes=timetable.KATA)
        for name, day in done.katas.items()
        if day == today and name in own and name not in {item.name for item in kept}
    ]
    kept += [Item(what="story", minutes=timetable.STORY)] * done.told[today]
    if done.answered[today]:
        kept.append(timetable.questions(done.answered[today]))
    return kept


def _missed(old: Plan, course: Course, today: date) -> dict[str, list[str]]:
    """What the days before today held and nobody did, by what it is."""
    done = course.done
    past = [one for one in old.days if one.day < today]
    items = [(one.day, item) for one in past for item in one.items]
    later = Counter[str]()
    for one in old.days:
        if one.day >= today:
            later.update({item.name: item.minutes for item in one.items if item.what == "sitting"})
    left = {piece.name: piece.minutes for piece in course.pieces}
    found: dict[str, list[str]] = {}
    sat = dict.fromkeys(item.name for _, item in items if item.what == "sitting")
    found["sitting"] = [name for name in sat if left.get(name, 0) > later[name]]
    held = Counter(name for name, day in done.rounds if old.made <= day < today)
    for _, item in items:
        if item.what == "round" and not held[item.name]:
            found.setdefault("round", []).append(item.name)
        elif item.what == "round":
            held[item.name] -= 1
    found["kata"] = [item.name for _, item in items if item.what == "kata" and item.name not in done.katas]
    told = sum(done.told[one.day] for one in past)
    stories = sum(item.what == "story" for _, item in items) - told
    asked = sum(max(0, item.count - done.answered[day]) for day, item in items if item.what == "questions")
    found["story"] = [str(stories)] if stories > 0 else []
    found["questions"] = [str(asked)] if asked else []
    return {what: names for what, names in found.items() if names}


def label(one: Left | Item) -> str:
    """Return how something of the plan is called: a sitting by its number, a round as one."""
    return short(one.name) if one.what == "sitting" else f"round {one.name}"

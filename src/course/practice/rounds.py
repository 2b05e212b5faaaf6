"""What an interview asks: the rounds as they are held, and the mixed one; drawn by a seed.

`data/rounds.yaml` holds what is asked beside the bank's questions, and the criteria of the score sheet.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from course.paths import ROOT
from course.practice.asking import PracticeError
from course.practice.bank import Question
from course.practice.kinds import LEVELS, ROUNDS

FILE = ROOT / "data" / "rounds.yaml"
FULL_CASE = 20  # minutes: a design question of this length is a case for a round of its own
FOLLOW_UP = 3  # minutes to answer what the interviewer asks next
STORY = 5  # points of a listener's rubric: a question with so many asks for a story
SHORT = 4  # minutes: the longest question that fits into a phone call
ONE_IN = 4  # mixed interviews that begin with a full design case, where one fits
OWN = ("coding", "debugging", "cv")  # rounds that ask nothing of the bank
COLLECTIONS = ("I1", "I5")  # lessons with katas; a coding round takes one of each where both have some


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Criterion(_Form):
    """One line of a score sheet: what it sounds like at each level, and a command that trains it."""

    name: str
    junior: str
    mid: str
    senior: str
    train: str


class Probe(_Form):
    """A question of the round itself, with what a listener wants to hear."""

    name: str
    minutes: int
    ask: str
    listens: list[str] = Field(min_length=1)


class Round(_Form):
    """The form of a round: its minutes, what it asks beside the bank, and its criteria."""

    says: str
    minutes: int
    opening: list[str] = Field([], description="Ids of the bank")
    probes: list[Probe] = []
    closing: list[str] = Field([], description="Ids of the bank")
    drawn: int = Field(2, description="Probes of one round")
    concepts: int = Field(0, description="Short questions of the bank")
    criteria: list[Criterion]


class Step(_Form):
    """One thing that an interview asks. A draft on disk keeps it whole, so that it can be graded later."""

    name: str
    title: str
    what: Literal["spoken", "kata", "ticket"] = "spoken"
    ask: str = ""
    seconds: float
    must: list[str] = []
    good: list[str] = []
    question: str | None = Field(None, description="The id in the bank, where it is one of its questions")
    behavioural: bool = False
    seed: int | None = None


@cache
def forms() -> dict[str, Round]:
    """Return the form of each round, by its name."""
    return TypeAdapter(dict[str, Round]).validate_python(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def draw(
    name: str,
    bank: Sequence[Question],
    minutes: int | None,
    seed: int,
    whole: Sequence[Question] | None = None,
) -> list[Step]:
    """Return the steps of a round, the same by seed; their times are cut in proportion to fit the minutes.

    whole: where the round's opening and closing are, when `bank` is chosen from it by options. Raises
    PracticeError where the bank has nothing for the round.
    """
    form, rng = forms()[name], random.Random(f"{name} {seed}")
    length = minutes or form.minutes
    steps = DRAW[name](form, bank, rng, length, seed)
    by_id = {one.id: one for one in (bank if whole is None else whole)}
    if missing := [one for one in [*form.opening, *form.closing] if one not in by_id]:
        raise PracticeError(f"the bank has no question {missing[0]!r}; restore data/questions with git")
    first, last = ([asked(by_id[one]) for one in ids] for ids in (form.opening, form.closing))
    steps = [*first, *steps, *last]
    total = sum(step.seconds for step in steps)
    scale = min(1.0, 60 * length / total)
    return [step.model_copy(update={"seconds": round(scale * step.seconds)}) for step in steps]


def mixed(bank: Sequence[Question], length: int, seed: int) -> list[Question]:
    """Choose questions that fill `length` minutes, balanced over kinds, then over topics; the same by seed.

    Each next question is of the kind that has got the fewest minutes so far, of the topic that has been asked
    least. One interview in four begins with a full design case where one fits; else a question longer than
    a third of the interview is taken only when nothing shorter fits.
    """
    order, rng = list(bank), random.Random(seed)
    rng.shuffle(order)
    cases = [one for one in order if _is_case(one) and one.minutes <= length]
    chosen = cases[:1] if cases and rng.randrange(ONE_IN) == 0 else []
    spent = Counter({one.kind: one.minutes for one in chosen})
    topics = Counter(one.topic for one in chosen)
    left = [one for one in order if one not in chosen]
    while left := [one for one in left if one.minutes <= length - spent.total()]:
        short = [one for one in left if 3 * one.minutes <= length] or left
        question = min(short, key=lambda one: (spent[one.kind], topics[one.topic]))  # ties: as shuffled
        chosen.append(question)
        left = [one for one in left if one is not question]
        spent[question.kind] += question.minutes
        topics[question.topic] += 1
    return chosen


def asked(question: Question) -> Step:
    """Return a question of the bank as a step."""
    return Step(
        name=question.id,
        title=" · ".join(dict.fromkeys([question.topic, question.kind])),
        ask=question.prompt,
        seconds=60 * question.minutes,
        must=question.must,
        good=question.good,
        question=question.id,
        behavioural=question.kind == "behavioural" and len(question.must) == STORY,
    )


def reached(scores: dict[str, int], missing: int, points: int) -> tuple[int, list[str]]:
    """Return the level of an answer, 0 (none) to 3 (senior), and why, in sentences.

    scores: 0–3 by criterion. A level wants three quarters of the criteria; an answer that lacks a point of
    its `must` is not senior, one that lacks more than half of them not above junior.
    """
    names = ("below junior", *LEVELS)
    share = [sum(score >= level for score in scores.values()) / len(scores) for level in range(4)]
    level = max(at for at in range(4) if share[at] >= 0.75)
    counts = ", ".join(
        f"{names[at]} {sum(score >= at for score in scores.values())} of {len(scores)}" for at in (1, 2, 3)
    )
    why = [f"Criteria that reach at least: {counts}. A level wants three quarters of them."]
    cap = 3 if not missing else 2 if 2 * missing <= points else 1
    if level > cap:
        why.append(
            f"Your answers lack {missing} of {points} points that they must have: no more than {names[cap]}."
        )
        level = cap
    if level < 3:
        low = [name for name, score in scores.items() if score <= level]
        if low:
            why.append(f"In the way of {names[level + 1]}: {', '.join(low).lower()}.")
    return level, why


def part(name: str) -> ModuleType:
    """Return a module of practice when it is needed: katas and tickets load what they check with."""
    return import_module(f"course.practice.{name}")


def _is_case(question: Question) -> bool:
    return question.kind == "design" and question.minutes >= FULL_CASE


def _probe(probe: Probe) -> Step:
    return Step(
        name=f"{probe.name}?",
        title=probe.name,
        ask=probe.ask,
        seconds=60 * probe.minutes,
        must=probe.listens,
    )


def _with_follow_ups(question: Question, minutes: float, count: int = 3) -> list[Step]:
    first = asked(question)
    return [
        first,
        *(
            Step(
                name=f"{question.id}/{place}",
                title="what comes next",
                ask=follow.ask,
                seconds=60 * minutes,
                must=[follow.gist],
            )
            for place, follow in enumerate(question.follow_ups[:count], 1)
        ),
    ]


def _design(form: Round, bank: Sequence[Question], rng: random.Random, length: int, seed: int) -> list[Step]:
    cases = [one for one in bank if _is_case(one)]
    if not cases:
        raise PracticeError(f"no design case of {FULL_CASE} minutes or more is left by the options; drop one")
    return _with_follow_ups(rng.choice(cases), FOLLOW_UP)


def _coding(form: Round, bank: Sequence[Question], rng: random.Random, length: int, seed: int) -> list[Step]:
    kata = part("kata")
    by_lesson = [sorted(kata.names(lesson)) for lesson in COLLECTIONS]
    pools = [names for names in by_lesson if names]
    if not pools:
        raise PracticeError("there are no katas here; restore src/lessons/exercises with git")
    first = rng.choice(pools[0])
    second = rng.choice([name for name in pools[-1] if name != first] or pools[-1])
    probes = rng.sample(form.probes, min(2, len(form.probes)))
    each = 60 * (length - sum(probe.minutes for probe in probes)) / 2
    steps = []
    for name, probe in zip((first, second), probes, strict=True):
        steps.append(Step(name=name, title=f"kata {name}", what="kata", seconds=max(60.0, each)))
        steps.append(_probe(probe).model_copy(update={"name": f"{name} {probe.name}?"}))
    return steps


def _debugging(
    form: Round, bank: Sequence[Question], rng: random.Random, length: int, seed: int
) -> list[Step]:
    tickets = part("tickets")
    each = 60 * (length - sum(probe.minutes for probe in form.probes))
    name = rng.choice(sorted(tickets.names()))
    ticket = Step(name=name, title=f"ticket {name}", what="ticket", seconds=max(60.0, each), seed=seed)
    return [ticket, *map(_probe, form.probes)]


def _behavioural(
    form: Round, bank: Sequence[Question], rng: random.Random, length: int, seed: int
) -> list[Step]:
    pool = [
        one
        for one in bank
        if one.kind == "behavioural" and (not one.asked_in or "behavioural" in one.asked_in)
    ]
    if not pool:
        raise PracticeError("no behavioural question is left by the options; drop one")
    rng.shuffle(pool)
    themes: dict[str, Question] = {}
    for question in pool:
        themes.setdefault(question.subject or question.id, question)
    chosen = list(themes.values())[:4]
    return [step for question in chosen for step in _with_follow_ups(question, 2, 2)]


def _cv(form: Round, bank: Sequence[Question], rng: random.Random, length: int, seed: int) -> list[Step]:
    probes = rng.sample(form.probes, form.drawn)
    return [_probe(probe) for probe in probes]


def _screen(form: Round, bank: Sequence[Question], rng: random.Random, length: int, seed: int) -> list[Step]:
    pool = [one for one in bank if one.kind == "concept" and one.minutes <= SHORT]
    if not pool:
        raise PracticeError(f"no concept question of {SHORT} minutes is left by the options; drop one")
    rng.shuffle(pool)
    pool.sort(key=lambda one: (one.level == "senior", "screen" not in one.asked_in))
    chapters: Counter[str] = Counter()
    chosen: list[Question] = []
    while pool and len(chosen) < form.concepts:
        question = min(pool, key=lambda one: chapters[_chapter(one)])  # ties: as sorted
        pool.remove(question)
        chosen.append(question)
        chapters[_chapter(question)] += 1
    return [asked(question) for question in chosen]


def _chapter(question: Question) -> str:
    return question.topic[:2] if question.topic == question.lesson else question.topic


DRAW: dict[str, Any] = {
    "coding": _coding,
    "design": _design,
    "debugging": _debugging,
    "behavioural": _behavioural,
    "cv": _cv,
    "screen": _screen,
}
assert set(DRAW) == set(ROUNDS)

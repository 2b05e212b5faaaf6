"""The score sheet of an interview: by criterion, by question, by level, and what to do next."""

from __future__ import annotations

from collections import Counter

import click

from course.practice import rounds, stories
from course.practice.bank import Question
from course.practice.cards import SEEN, section
from course.practice.drafts import Answer, Draft
from course.practice.kinds import LEVELS
from course.practice.rounds import Step
from course.practice.terminal import bar, colour, minutes, rule, say, width

NAMES = ("not there", *LEVELS)
NEXT = 8  # commands at most: more than these nobody does
ENOUGH_STORIES = 6


def outcome(draft: Draft) -> tuple[str | None, bool]:
    """Return the level (None where the interview has no criteria) and whether the interview was passed.

    Passed is: at least mid; without criteria: no answer lacks a point of its `must`.
    """
    if not draft.scores:
        return None, all(_passed(draft, answer) for answer in draft.answers)
    level, _ = rounds.reached(draft.scores, *_missing(draft))
    return NAMES[level], level >= 2


def show(draft: Draft, bank: dict[str, Question]) -> None:
    """Print the sheet as far as the interview went."""
    passed = [answer for answer in draft.answers if answer.graded and _passed(draft, answer)]
    graded = sum(answer.graded for answer in draft.answers)
    time = f"{minutes(draft.used)} of {minutes(60 * draft.minutes)}"
    rule(f"Score sheet · {draft.round} · {time}")
    say(f"Score: {len(passed)} of {graded} passed; passed means that no must is missing.")
    if ungraded := len(draft.answers) - graded:
        say(f"Not graded yet: {ungraded}.")
    _level(draft)
    if draft.round in rounds.forms():
        _each(draft, bank)
    else:
        _tables(draft, bank)
    _next(draft, bank)


def _passed(draft: Draft, answer: Answer) -> bool:
    step = draft.steps[answer.step]
    had = answer.had[: len(step.must)]
    return answer.passed is not False and len(had) == len(step.must) and all(had)


def _missing(draft: Draft) -> tuple[int, int]:
    """The points of `must` that are missing, and how many there were; a kata or a ticket counts as two."""
    had = [tick for one in draft.answers if one.graded for tick in one.had[: len(draft.steps[one.step].must)]]
    had += [answer.passed for answer in draft.answers if answer.passed is not None for _ in range(2)]
    return had.count(False), len(had)


def _level(draft: Draft) -> None:
    if not draft.scores:
        return
    click.echo()
    room = max(map(len, draft.scores))
    for name, score in draft.scores.items():
        tone = ("red", "red", "yellow", "green")[score]
        click.echo(f"  {name:<{room}}  {bar(score / 3, 6, tone)}  {NAMES[score]}")
    form = rounds.forms().get(draft.round)
    if not form or len(draft.scores) < len(form.criteria):
        say(f"Criteria that are not scored yet: {len(form.criteria) - len(draft.scores) if form else 0}.")
        return
    level, why = rounds.reached(draft.scores, *_missing(draft))
    click.echo()
    say(colour(f"Level: {NAMES[level] if level else 'below junior'}", bold=True))
    for line in why:
        say(line)


def _each(draft: Draft, bank: dict[str, Question]) -> None:
    for answer in draft.answers:
        step = draft.steps[answer.step]
        click.echo()
        time = f"{minutes(answer.seconds)} of {minutes(step.seconds)}"
        say(colour(f"{step.question or step.title}: {_result(step, answer)}, {time}", bold=True), hang=2)
        if step.question is None and step.what == "spoken":
            say(step.ask, indent=4)
        if answer.skipped:
            say("No answer was given.", indent=4)
        for text, had in zip(step.must, answer.had, strict=False):
            if not had:
                say(f"missing: {text}", indent=4, hang=2)
        question = bank.get(step.question or "")
        if question is None or not answer.graded:
            continue
        for name, text in question.by_level:
            say(f"{name.capitalize()}: {text}", indent=4, hang=2)
        for text in question.seen:
            say(f"{SEEN}: {text}", indent=4, hang=2)


def _result(step: Step, answer: Answer) -> str:
    if answer.detail.get("stopped"):
        return "stopped"
    if answer.passed is not None:
        return "passed" if answer.passed else "not passed"
    if not answer.graded:
        return "not graded"
    must, good = answer.had[: len(step.must)], answer.had[len(step.must) :]
    return f"must {sum(must)} of {len(must)}" + (f", good {sum(good)} of {len(good)}" if good else "")


def _tables(draft: Draft, bank: dict[str, Question]) -> None:
    rows = [
        (bank[step.question], answer)
        for answer in draft.answers
        if answer.graded and (step := draft.steps[answer.step]).question in bank
    ]
    for title, key in (("kind", lambda one: one.kind), ("topic", lambda one: one.topic)):
        click.echo(f"\n  {title:<14}{'passed':>8}{'must':>8}{'good':>8}{'minutes':>16}")
        for name in sorted({key(question) for question, _ in rows}):
            own = [(question, answer) for question, answer in rows if key(question) == name]
            cut = [(question, answer, len(question.must)) for question, answer in own]
            must = [had for _, answer, end in cut for had in answer.had[:end]]
            good = [had for _, answer, end in cut for had in answer.had[end:]]
            time = f"{minutes(sum(answer.seconds for _, answer in own))} of "
            time += minutes(60 * sum(question.minutes for question, _ in own))
            cells = (_of([_passed(draft, answer) for _, answer in own]), _of(must), _of(good))
            click.echo(f"  {name:<14}" + "".join(f"{cell:>8}" for cell in cells) + f"{time:>16}")
    click.echo()
    for question, answer in rows:
        if _passed(draft, answer):
            continue
        say(colour(question.id, bold=True))
        for text, had in zip(question.must, answer.had, strict=False):
            if not had:
                say(f"missing: {text}", indent=4, hang=2)
        for name, text in question.by_level:
            say(f"{name.capitalize()}: {text}", indent=4, hang=2)
        for lesson, cell, _ in question.links[:1]:
            notebook, heading = section(lesson, cell)
            say(f"see {notebook.stem}" + (f", {heading}" if heading else ""), indent=4, hang=2)


def _of(had: list[bool]) -> str:
    return f"{sum(had)}/{len(had)}" if had else "-"


def todo(draft: Draft, bank: dict[str, Question]) -> list[str]:
    """Return what to do next, as commands: what failed, then the criteria in the way of the next level."""
    found: list[str] = []
    for answer in draft.answers:
        step = draft.steps[answer.step]
        if _passed(draft, answer) or not (answer.graded or answer.passed is not None):
            continue
        if step.what == "kata":
            found.append(f"walkforward kata {step.name}")
        elif step.what == "ticket":
            found.append(f"walkforward ticket {step.name} --seed {step.seed}")
        elif step.question in bank:
            found.append(f"walkforward practice {step.question}")
    told = Counter(answer.story for answer in draft.answers if answer.story)
    there = {file.stem for file in stories.stories()}
    for answer in draft.answers:
        if answer.story in there and not _passed(draft, answer):
            found.append(f"walkforward story rehearse {answer.story}")
    if any(draft.steps[answer.step].behavioural for answer in draft.answers) and (
        len(there) < ENOUGH_STORIES or max(told.values(), default=0) > 1
    ):
        found.append('walkforward story new "A story for the question you could not answer"')
    form = rounds.forms().get(draft.round)
    if form and len(draft.scores) == len(form.criteria):
        level, _ = rounds.reached(draft.scores, *_missing(draft))
        low = sorted((score, name) for name, score in draft.scores.items() if score <= min(level, 2))
        by_name = {one.name: one for one in form.criteria}
        found += [f"walkforward {by_name[name].train}" for _, name in low]
    again = [draft.again] + ([f"walkforward mock --round {draft.round}"] if form else [])
    return [*list(dict.fromkeys(found))[: NEXT - len(again)], *again]


def _next(draft: Draft, bank: dict[str, Question]) -> None:
    click.echo("\n  " + colour("What to do next", bold=True))
    for command in todo(draft, bank):
        if len(command) + 4 > width():
            click.echo(f"  {command}")  # one line, so that it can be copied
        else:
            say(command, indent=4)

"""`walkforward mock`: a timed interview, with a score sheet at its end."""

from __future__ import annotations

import random
from collections import Counter

import click

from course.practice.asking import Answer, PracticeError, answer, held, show
from course.practice.bank import Question, choose, load_bank
from course.practice.cards import section
from course.practice.reviews import Review, State
from course.practice.terminal import colour, minutes, rule, say

HALF_A_MINUTE = 30.0  # seconds: less time than this is left for no answer


def plan(bank: list[Question], length: int, seed: int) -> list[Question]:
    """Choose questions that fill `length` minutes, balanced over kinds, then over lessons; the same by seed.

    Each next question is of the kind that has got the fewest minutes so far, of the topic that has been asked
    least; a question longer than a third of the interview is taken only when nothing shorter fits.
    """
    order = list(bank)
    random.Random(seed).shuffle(order)
    chosen: list[Question] = []
    spent: Counter[str] = Counter()
    topics: Counter[str] = Counter()
    while fits := [one for one in order if one not in chosen and one.minutes <= length - spent.total()]:
        short = [one for one in fits if 3 * one.minutes <= length] or fits
        question = min(
            short, key=lambda one: (spent[one.kind], topics[one.topic])
        )  # ties: the shuffled order
        chosen.append(question)
        spent[question.kind] += question.minutes
        topics[question.topic] += 1
    return chosen


def mock(length: int = 45, level: str | None = None, seed: int | None = None) -> int:
    """Hold a timed interview and print a score sheet; return 0, or 130 when it was stopped.

    The clock counts answers, not the grading. When the minutes are over, what is left is not asked. A stopped
    interview keeps what was graded and prints the sheet so far.
    """
    bank, state = choose(load_bank(), level=level), State()
    seed = random.SystemRandom().randrange(10_000) if seed is None else seed
    planned = plan(bank, length, seed)
    if not planned:
        raise PracticeError(
            f"no question fits into --minutes {length}; the shortest wants "
            f"{min(question.minutes for question in bank)}"
        )
    filled = sum(question.minutes for question in planned)
    options = f"--minutes {length} " + (f"--level {level} " if level else "") + f"--seed {seed}"
    click.echo(
        f"Questions: {len(planned)}, {filled} of {length} minutes. The same again: walkforward mock {options}"
    )
    graded: list[Review] = []
    used = 0.0

    def sit() -> None:
        nonlocal used
        for place, question in enumerate(planned, start=1):
            if 60 * length - used < HALF_A_MINUTE:
                click.echo(f"\nTime is up; not asked: {len(planned) - place + 1}.")
                break
            show(question, f"{place} of {len(planned)} · {minutes(max(0, 60 * length - used))} left")
            given = answer(question, "no answer")
            if given is None:
                given = Answer([False] * len(question.must), [False] * len(question.good), 0.0, "")
            used += given.seconds
            graded.append(state.record(question, *given[:3], "mock", said=given.said))

    code = held(sit, graded)
    if graded:
        _sheet(planned, graded, used)
    return code


def _sheet(planned: list[Question], graded: list[Review], used: float) -> None:
    by_id = {question.id: question for question in planned}
    pairs = [(by_id[review.question], review) for review in graded]
    passed = sum(all(review.must) for review in graded)
    rule(f"Score: {passed} of {len(graded)} passed, in {minutes(used)}; passed means that no must is missing")
    for title, key in (("kind", lambda question: question.kind), ("lesson", lambda question: question.topic)):
        click.echo(f"  {title:<14}{'passed':>8}{'must':>8}{'good':>8}{'minutes':>16}")
        for name in sorted({key(question) for question, _ in pairs}):
            rows = [(question, review) for question, review in pairs if key(question) == name]
            must = [had for _, review in rows for had in review.must]
            good = [had for _, review in rows for had in review.good]
            time = f"{minutes(sum(review.seconds or 0 for _, review in rows))} of "
            time += minutes(60 * sum(question.minutes for question, _ in rows))
            cells = (_of([all(review.must) for _, review in rows]), _of(must), _of(good))
            click.echo(f"  {name:<14}" + "".join(f"{cell:>8}" for cell in cells) + f"{time:>16}")
        click.echo()
    failed: dict[str, list[tuple[Question, Review]]] = {}
    for question, review in pairs:
        if not all(review.must):
            failed.setdefault(question.topic, []).append((question, review))
    if not failed:
        click.echo("  Nothing failed. `walkforward practice` keeps it so.")
        return
    click.echo("  " + colour("Study next", bold=True))
    for topic, rows in sorted(failed.items(), key=lambda item: -sum(r.must.count(False) for _, r in item[1])):
        lesson = rows[0][0].lesson
        say(f"{topic}: walkforward practice " + (f"--lesson {lesson}" if lesson else f"--kind {topic}"))
        for question, review in rows:
            for text, had in zip(question.must, review.must, strict=True):
                if not had:
                    say(f"- {question.id}: {text}"[2:], indent=4, hang=2)
            for where in dict.fromkeys(
                section(name, cell)[0].name + f"#cell-id={cell}" for name, cell, _ in question.links[:1]
            ):
                say(f"see {where}", indent=6)


def _of(had: list[bool]) -> str:
    return f"{sum(had)}/{len(had)}" if had else "-"

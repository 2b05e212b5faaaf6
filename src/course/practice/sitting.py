"""`walkforward practice`: what is due, then what is new, one question after the other."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import click
from fsrs import Rating

from course.practice.asking import COLOURS, PracticeError, answer, explain, held, show, verdict
from course.practice.bank import Question, choose, load_bank
from course.practice.reviews import Review, State, queue, utc_now
from course.practice.terminal import ask, colour, when


def practice(
    lesson: str | None = None,
    kind: str | None = None,
    level: str | None = None,
    limit: int = 10,
    interview_date: str | None = None,
) -> int:
    """Ask what is due, then what is new, and grade it; return 0, or 130 when it was stopped.

    After each answer the queue is read again from the log: what another terminal graded meanwhile is not
    asked twice, and what failed ten minutes ago comes back. Raises BankError for a filter that nothing
    meets, PracticeError for a day that can't be.
    """
    bank, state = choose(load_bank(), lesson, kind, level), State()
    if interview_date is not None:
        _set_interview(state, interview_date)
    graded: list[Review] = []
    skipped: set[str] = set()

    def waiting() -> tuple[list[Question], list[Question]]:
        due, new = queue(bank, state.cards(), utc_now())
        return [one for one in due if one.id not in skipped], [one for one in new if one.id not in skipped]

    def sit() -> None:
        while len(graded) < limit and (ready := [*(lists := waiting())[0], *lists[1]]):
            question = ready[0]
            show(question, f"{len(graded) + 1} of {min(limit, len(graded) + len(ready))}")
            given = answer(question, "skip it")
            if given is None:
                skipped.add(question.id)
                continue
            review = state.record(question, *given[:3], "practice", said=given.said)
            graded.append(review)
            verdict(question, review, state)
            explain(question)
            if (
                len(graded) < limit
                and any(waiting())
                and ask("\n  Enter: next question; q: stop  ") in ("q", "Q")
            ):
                break

    due, new = waiting()
    day = state.interview()
    before = f"Interview on {day:%d %b %Y}: " if day and day >= utc_now().date() else ""
    click.echo(f"{before}{len(due)} due, {len(new)} new; at most {limit} now.")
    click.echo("Ctrl-C stops and keeps what is graded.")
    if code := held(sit, graded):
        return code
    if graded:
        told = Counter(review.rating for review in graded)
        parts = [
            colour(f"{rating.name} {told[rating]}", COLOURS[rating]) for rating in Rating if told[rating]
        ]
        click.echo(f"\n{len(graded)} graded: " + ", ".join(parts))
    _say_next(bank, state)
    return 0


def _set_interview(state: State, day: str) -> None:
    if day == "none":
        state.set("interview", "")
        return
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise PracticeError(
            f"--interview-date {day!r} is no day; write 2026-12-05, or none to forget it"
        ) from None
    if wanted < utc_now().date():
        raise PracticeError(f"--interview-date {day} is over; name a day to come, or none to forget it")
    state.set("interview", wanted.isoformat())


def _say_next(bank: list[Question], state: State) -> None:
    cards, now = state.cards(), utc_now()
    dues = sorted(cards[question.id].due for question in bank if question.id in cards)
    if dues:
        soon = sum(due <= now + timedelta(days=1) for due in dues)
        click.echo(f"Next review: {when(dues[0], now)}; within a day: {soon}.")

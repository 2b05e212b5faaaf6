"""`walkforward practice`: what is due, then what is new, one question after the other."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import click
from fsrs import Rating

from course.practice.asking import COLOURS, PracticeError, answer, explain, held, show, verdict
from course.practice.bank import Question, choose, load_bank
from course.practice.reviews import Review, State, utc_now
from course.practice.schedule import Schedule
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
    whole, state = load_bank(), State()
    bank = choose(whole, lesson, kind, level)
    if interview_date is not None:
        _set_interview(state, interview_date)
    graded: list[Review] = []
    skipped: set[str] = set()

    def following(count: int) -> list[Question]:
        return Schedule(whole, state, utc_now(), bank).following(count, skipped)

    def sit() -> None:
        while len(graded) < limit and (ready := following(limit - len(graded))):
            question = ready[0]
            show(question, f"{len(graded) + 1} of {len(graded) + len(ready)}")
            given = answer(question, "skip it")
            if given is None:
                skipped.add(question.id)
                continue
            review = state.record(question, *given[:3], "practice", said=given.said)
            graded.append(review)
            verdict(question, review, state)
            explain(question)
            if len(ready) > 1 and ask("\n  Enter: next question; q: stop  ") in ("q", "Q"):
                break

    _say_what_waits(Schedule(whole, state, utc_now(), bank), limit)
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


def _say_what_waits(schedule: Schedule, limit: int) -> None:
    due = sum(question.id in schedule.cards for question in schedule.following(limit))
    later = len(schedule.due) - due
    before = f"Interview on {schedule.end:%d %b %Y}: " if schedule.end else ""
    put_off = f" ({later} more on later days)" if later else ""
    click.echo(f"{before}{due} due{put_off}, {len(schedule.new)} new; at most {limit} now.")


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

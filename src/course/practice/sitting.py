"""`walkforward practice`: the next questions by the schedule, or those that were asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

import click
from fsrs import Rating

from course.practice.asking import COLOURS, PracticeError, answer, explain, held, show, verdict
from course.practice.bank import Question, choose, load_bank, named
from course.practice.reviews import Review, State, utc_now
from course.practice.schedule import Schedule, recall
from course.practice.terminal import Left, ask, colour, say, when

LIMIT = 10


def practice(
    lesson: str | None = None,
    kind: str | None = None,
    level: str | None = None,
    limit: int | None = None,
    interview_date: str | None = None,
    subject: str | None = None,
    ids: Sequence[str] = (),
    weak: bool = False,
    today: bool = False,
) -> int:
    """Ask questions and grade them; return 0, or 130 when it was stopped.

    Without ids, weak or today the schedule says which; it is read again from the log after each answer: what
    another terminal graded meanwhile is not asked twice, and what failed ten minutes ago comes back.
    ids: these questions, in their order. weak: those that were asked, the weakest first. today: what is left
    of the plan for today. limit: questions at most, ten when it is left out, all of ids and of today.
    Raises BankError for a filter that nothing meets and an unknown id, PracticeError for a day that can't be,
    and where there is nothing weak and no plan.
    """
    if bool(ids) + weak + today > 1:
        raise PracticeError("ids, --weak and --today are three ways to choose: give one")
    whole, state = load_bank(), State()
    bank = choose(whole, lesson, kind, level, subject)
    if interview_date is not None:
        _set_interview(state, interview_date)
    fixed = None
    if ids:
        fixed = named(bank, ids)
        click.echo(f"Questions: {len(fixed)}.")
    elif weak:
        fixed = _weakest(bank, state)
        say(f"Asked before: {len(fixed)}, the weakest first; at most {limit or LIMIT} now.", indent=0)
    elif today:
        fixed = _planned(bank, state)
        if not fixed:
            say("Left of today's plan: 0. `walkforward practice` asks all the same.", indent=0)
            return 0
        click.echo(f"Left of today's plan: {len(fixed)}.")
    limit = limit or (len(fixed) if (ids or today) and fixed else LIMIT)
    graded: list[Review] = []
    skipped: set[str] = set()

    def following(count: int) -> list[Question]:
        passed = skipped | {review.question for review in graded}
        if fixed is not None:
            return [one for one in fixed if one.id not in passed][:count]
        left = [one for one in state.unfinished() if one not in skipped]
        half = [one for one in bank if one.id in left][:count]
        others = {*skipped, *left}
        return half + Schedule(whole, state, utc_now(), bank).following(count - len(half), others)

    def sit() -> None:
        while len(graded) < limit and (ready := following(limit - len(graded))):
            question = ready[0]
            show(question, f"{len(graded) + 1} of {len(graded) + len(ready)}")
            given = answer(question, "skip it", state)
            if given is None:
                skipped.add(question.id)
                continue
            points = given.must, given.good, given.seconds
            review = state.record(question, *points, "practice", given.answered, given.said, given.draft)
            graded.append(review)
            verdict(question, review, state)
            explain(question)
            if len(ready) > 1 and ask("\n  Enter: next question; q: leave  ").lower() == "q":
                raise Left

    if fixed is None:
        _say_what_waits(Schedule(whole, state, utc_now(), bank), limit)
    say("q leaves at any question, Ctrl-C too; answers and ticks are kept.", indent=0)
    if code := held(sit, graded):
        return code
    if graded:
        told = Counter(review.rating for review in graded)
        parts = [
            colour(f"{rating.name} {told[rating]}", COLOURS[rating]) for rating in Rating if told[rating]
        ]
        click.echo(f"\n{len(graded)} graded: " + ", ".join(parts))
    _say_next(Schedule(whole, state, utc_now(), bank))
    return 0


def _weakest(bank: list[Question], state: State) -> list[Question]:
    log = state.reviews()
    asked = {review.question for review in log}
    found = [question for question in bank if question.id in asked]
    if not found:
        raise PracticeError(
            "nothing of this was asked yet, so nothing is weak: `walkforward practice` begins"
        )
    strength = recall(found, log, utc_now())
    return sorted(found, key=lambda question: strength[question.id])


def _planned(bank: list[Question], state: State) -> list[Question]:
    from course.practice.plan import today

    planned = today(state, utc_now())
    if planned is None:
        day = utc_now().date() + timedelta(days=14)
        raise PracticeError(f"there is no plan: `walkforward plan --date {day} --hours 1.5` makes one")
    by_id = {question.id: question for question in bank}
    return [by_id[name] for name in planned.questions if name in by_id]


def _say_what_waits(schedule: Schedule, limit: int) -> None:
    due = sum(question.id in schedule.cards for question in schedule.following(limit))
    later = len(schedule.due) - due
    before = f"Interview on {schedule.end:%d %b %Y}: " if schedule.end else ""
    put_off = f" ({later} more on later days)" if later else ""
    say(f"{before}{due} due{put_off}, {len(schedule.new)} new; at most {limit} now.", indent=0)


def _set_interview(state: State, day: str) -> None:
    if day == "none":
        state.set("interview", "")
        return
    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise PracticeError(
            f"--interview-date {day!r} is no day; write it as {utc_now().date() + timedelta(days=14)}, "
            "or none to forget it"
        ) from None
    if wanted < utc_now().date():
        raise PracticeError(f"--interview-date {day} is over; name a day to come, or none to forget it")
    state.set("interview", wanted.isoformat())


def _say_next(schedule: Schedule) -> None:
    dues = [schedule.cards[one.id].due for one in schedule.chosen if one.id in schedule.cards]
    if dues:
        tomorrow = schedule.ahead(2)[0][1]
        told = f"tomorrow: {tomorrow.repeats} to repeat, {tomorrow.new} new"
        say(f"Next review: {when(min(dues), schedule.now)}; {told}.", indent=0)

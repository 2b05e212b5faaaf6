"""`walkforward stats`: how much you would recall today, how the weeks went, and what the next days bring."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import click
from fsrs import Rating

from course.practice.bank import Question, load_bank
from course.practice.reviews import Attempt, Review, State, utc_now
from course.practice.schedule import Schedule, recall
from course.practice.terminal import bar, colour, forgive, minutes, say, width

WEEKS, DAYS = 8, 14


def stats() -> None:
    """Print strength by topic and kind, the trend over eight weeks, what was tried, and the next 14 days.

    A question's strength is the probability that you would recall it today, as fsrs has it; 0 for a new one
    and for one that failed last. The days to come are today's schedule: what you answer until then adds to
    it.
    """
    forgive()
    bank, state, now = load_bank(), State(), utc_now()
    log, attempts = state.reviews(), state.attempts()
    schedule = Schedule(bank, state, now)
    strength = recall(bank, log, now)
    for title, key in (("topic", lambda question: question.topic), ("kind", lambda question: question.kind)):
        click.echo(colour(f"Strength by {title}: how much you would recall today", bold=True))
        names = dict.fromkeys(map(key, bank))
        column = max(12, *map(len, names))
        for name in names:
            own = [question.id for question in bank if key(question) == name]
            share = sum(strength[one] for one in own) / len(own)
            seen = f"seen {sum(one in schedule.cards for one in own)} of {len(own)}"
            name_of = "red" if share < 1 / 3 else "yellow" if share < 2 / 3 else "green"
            click.echo(f"  {name:<{column}} {bar(share, _room(column + 26), name_of)} {share:>4.0%}  {seen}")
        click.echo()
    if log:
        _trend(bank, log, now)
    if attempts:
        _tried(attempts)
    _ahead(schedule)


def _trend(bank: list[Question], log: list[Review], now: datetime) -> None:
    """Print a line a week: answers, the share with every must, and the strength at its end."""
    click.echo(colour("Week by week: answers, passed, strength over the whole bank", bold=True))
    this = _monday(now)
    first = max(_monday(log[0].reviewed), this - timedelta(weeks=WEEKS - 1))
    for back in range((this - first).days // 7, -1, -1):
        week = this - timedelta(weeks=back)
        own = [review for review in log if _monday(review.reviewed) == week]
        end = datetime.combine(week + timedelta(weeks=1), datetime.min.time(), UTC)
        until = [review for review in log if review.reviewed < end]
        strength = recall(bank, until, min(now, end))
        share = sum(strength.values()) / len(strength)
        passed = sum(review.rating != Rating.Again for review in own) / len(own) if own else 0
        told = f"{len(own):>4} answers  {f'{passed:.0%} passed' if own else '':<11}"
        click.echo(f"  {week:%d %b} {told}  {share:>4.0%} {bar(share, _room(44))}")
    click.echo()


def _monday(moment: datetime) -> date:
    day = moment.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


def _tried(attempts: list[Attempt]) -> None:
    """Print what was tried of katas, tickets and rounds."""
    click.echo(colour("Katas, tickets and rounds", bold=True))
    for what in dict.fromkeys(attempt.what for attempt in attempts):
        own = [attempt for attempt in attempts if attempt.what == what]
        last = own[-1]
        how = f"{'passed' if last.passed else 'not passed'}, {minutes(last.seconds)}"
        names = len({attempt.name for attempt in own})
        passed = sum(attempt.passed for attempt in own)
        line = f"{what}: tried {len(own)}, passed {passed}, different {names}; last {last.name} ({how})"
        say(line, hang=2)
    click.echo()


def _ahead(schedule: Schedule) -> None:
    """Print what the next days bring, and what is met before the interview."""
    days, without_room = schedule.ahead(min(DAYS, schedule.days))
    click.echo(colour(f"The next {len(days)} days, at your pace of {schedule.pace} a day", bold=True))
    for day in days:
        room = _room(40) / max(1, schedule.pace)
        bars = bar(1, round(day.repeats * room), "yellow") + bar(1, round(day.new * room), "green")
        click.echo(f"  {day.day:%a %d %b} {day.repeats:>2} to repeat, {day.new:>2} new  {bars}".rstrip())
    if schedule.end:
        left, unseen = schedule.days, len(schedule.new)
        met = sum(day.new for day in schedule.ahead(left)[0])
        when = f"Interview on {schedule.end:%d %b %Y}, in {left} day{'s' * (left > 1)}"
        click.echo()
        say(f"{when}: at this pace you meet {met} of the {unseen} questions that are new.", indent=0)
        if without_room:
            say(f"Due before it, and without room at this pace: {without_room}.", indent=0)


def _room(taken: int) -> int:
    """Return the columns of a bar beside so many others."""
    return max(5, min(50, width() - taken))

"""`walkforward stats`: how much you would recall today, how the weeks went, and what the next days bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
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

    A question's strength is the probability that you would recall it today, as fsrs has it; 0 for one that
    failed last. A topic's is the mean of those that you were asked: the bank is larger than any preparation.
    The days to come are today's schedule: what you answer until then adds to it.
    """
    forgive()
    bank, state, now = load_bank(), State(), utc_now()
    log, attempts = state.reviews(), state.attempts()
    schedule = Schedule(bank, state, now)
    if asked := [question for question in bank if question.id in schedule.cards]:
        strength = recall(asked, log, now)
        _strength("topic", bank, strength, lambda question: question.topic)
        _strength("kind", bank, strength, lambda question: question.kind)
        _trend(asked, log, now)
    else:
        click.echo("Nothing was asked yet: `walkforward practice` begins.\n")
    if attempts:
        _tried(attempts)
    _ahead(schedule)


def _strength(
    title: str, bank: list[Question], strength: dict[str, float], key: Callable[[Question], str]
) -> None:
    """Print a line for each topic or kind that was met, the weakest first, then the names of the others."""
    click.echo(colour(f"Strength by {title}: recalled today, of what was asked", bold=True))
    whole = Counter(map(key, bank))
    met: dict[str, list[float]] = {}
    for question in bank:
        if question.id in strength:
            met.setdefault(key(question), []).append(strength[question.id])
    shares = {name: sum(own) / len(own) for name, own in met.items()}
    column = max(12, *map(len, shares))
    for name, share in sorted(shares.items(), key=lambda row: row[1]):
        name_of = "red" if share < 1 / 3 else "yellow" if share < 2 / 3 else "green"
        seen = f"seen {len(met[name])} of {whole[name]}"
        click.echo(f"  {name:<{column}} {bar(share, _room(column + 26), name_of)} {share:>4.0%}  {seen}")
    if others := [f"{name} ({number})" for name, number in whole.items() if name not in met]:
        say(f"Not asked yet: {', '.join(others)}.", hang=2)
    click.echo()


def _trend(asked: list[Question], log: list[Review], now: datetime) -> None:
    """Print a line a week: answers, the share with every must, the strength at its end."""
    click.echo(colour("Week by week: answers, passed, recalled of what was asked", bold=True))
    this = _monday(now)
    first = max(_monday(log[0].reviewed), this - timedelta(weeks=WEEKS - 1))
    for back in range((this - first).days // 7, -1, -1):
        week = this - timedelta(weeks=back)
        own = [review for review in log if _monday(review.reviewed) == week]
        end = datetime.combine(week + timedelta(weeks=1), datetime.min.time(), UTC)
        until = [review for review in log if review.reviewed < end]
        met = {review.question for review in until}
        strength = recall([one for one in asked if one.id in met], until, min(now, end))
        share = sum(strength.values()) / len(strength) if strength else 0
        passed = sum(review.rating != Rating.Again for review in own) / len(own) if own else 0
        told = f"{len(own):>4} answers  {f'{passed:.0%} passed' if own else '':<11}"
        click.echo(f"  {week:%d %b} {told}  {share:>4.0%} of {len(strength):<4} {bar(share, _room(52))}")
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

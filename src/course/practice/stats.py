"""`walkforward stats`: how much you would recall today, and what the next days bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import click
from fsrs import Rating

from course.practice.bank import load_bank
from course.practice.reviews import SCHEDULER, State, utc_now
from course.practice.terminal import bar, colour, forgive, width


def stats() -> None:
    """Print the strength per lesson and kind as bars, and how many reviews the next 14 days bring.

    A question's strength is the probability that you would recall it today, as fsrs has it; 0 for a new one
    and for one that failed last. The forecast is today's schedule: what you answer until then adds to it.
    """
    forgive()
    bank, state, now = load_bank(), State(), utc_now()
    cards, last = state.cards(), {review.question: review.rating for review in state.reviews()}
    strength = {
        question.id: SCHEDULER.get_card_retrievability(cards[question.id], now)
        if last.get(question.id, Rating.Again) != Rating.Again
        else 0.0
        for question in bank
    }
    for title, key in (("lesson", lambda question: question.topic), ("kind", lambda question: question.kind)):
        click.echo(colour(f"Strength by {title}: how much you would recall today", bold=True))
        for name in dict.fromkeys(map(key, bank)):
            own = [question.id for question in bank if key(question) == name]
            share = sum(strength[one] for one in own) / len(own)
            seen = f"seen {sum(one in cards for one in own)} of {len(own)}"
            name_of = "red" if share < 1 / 3 else "yellow" if share < 2 / 3 else "green"
            click.echo(f"  {name:<12} {bar(share, _room(38), name_of)} {share:>4.0%}  {seen}")
        click.echo()
    _forecast([cards[question.id].due for question in bank if question.id in cards], now)
    _countdown(state.interview(), sum(question.id not in cards for question in bank), now)


def _forecast(dues: Iterable[datetime], now: datetime) -> None:
    days = [now.date() + timedelta(days=ahead) for ahead in range(14)]
    counts = Counter(max(due.astimezone(UTC).date(), days[0]) for due in dues)
    most = max([10, *(counts[day] for day in days)])
    click.echo(colour("Reviews of the next 14 days, by the schedule of today", bold=True))
    for day in days:
        length = round(counts[day] / most * _room(24))
        length = max(length, 1) if counts[day] else 0
        click.echo(f"  {day:%a %d %b} {bar(1, length)}{' ' * bool(length)}{counts[day]}")


def _countdown(interview: date | None, new: int, now: datetime) -> None:
    left = (interview - now.date()).days if interview else 0
    if left > 0:
        click.echo(
            f"\nInterview on {interview:%d %b %Y}, in {left} days; new questions a day: {-(-new // left)}."
        )


def _room(taken: int) -> int:
    """Return the columns of a bar beside so many others."""
    return max(5, min(50, width() - taken))

"""One question in the terminal: shown, answered aloud against a clock, ticked, explained."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import click
from fsrs import Rating

from course.practice.bank import Question
from course.practice.cards import SEEN, section, title
from course.practice.reviews import Review, State, utc_now
from course.practice.terminal import colour, forgive, minutes, rule, say, tick, timed, when
from course.student.workspace import WorkspaceError, work_folder
from walkforward.errors import WalkForwardError

COLOURS = {Rating.Again: "red", Rating.Hard: "yellow", Rating.Good: "green", Rating.Easy: "cyan"}


class PracticeError(WalkForwardError, ValueError):
    """What is asked of a sitting can't be; the message says what can."""


class Answer(NamedTuple):
    """An answer with its ticks: of the must points, of the good ones, its seconds, and what was typed."""

    must: list[bool]
    good: list[bool]
    seconds: float
    said: str


def show(question: Question, place: str) -> None:
    """Print a question under its place in the sitting."""
    rule(f"{place} · {title(question)}")
    say(question.prompt)
    click.echo()


def answer(question: Question, way_out: str) -> Answer | None:
    """Wait for the spoken or typed answer, then ask for its points; None for `s`, which means `way_out`."""
    seconds, reply = timed(f"Answer aloud, then Enter; s: {way_out}.", 60 * question.minutes)
    if reply.lower() == "s":
        return None
    click.echo()
    say(colour("Did your answer have it? y or n; b goes back.", bold=True))
    must = [(f"must {place}/{len(question.must)}", text) for place, text in enumerate(question.must, 1)]
    good = [(f"good {place}/{len(question.good)}", text) for place, text in enumerate(question.good, 1)]
    had = tick(must + good)
    return Answer(had[: len(must)], had[len(must) :], seconds, reply)


def verdict(question: Question, review: Review, state: State) -> None:
    """Print the rating, what it follows from, and when the question comes back."""
    due = state.due(question.id)
    told = f"must {sum(review.must)} of {len(review.must)}, good {sum(review.good)} of {len(review.good)}"
    time = f"{minutes(review.seconds or 0)} of {minutes(60 * question.minutes)}"
    rating = colour(review.rating.name, COLOURS[review.rating], bold=True)
    click.echo(f"\n  {rating}: {told}, {time}. It comes back {when(due, utc_now())}.")


def explain(question: Question) -> None:
    """Show what people say, what comes next, and where the lesson demonstrates it."""
    if question.seen:
        click.echo("\n  " + colour(SEEN, bold=True))
    for text in question.seen:
        say(f"· {text}", hang=2)
    for level, text in question.by_level:
        click.echo("\n  " + colour(f"What a {level} says", bold=True))
        say(text)
    click.echo("\n  " + colour("What people say, and why it is wrong", bold=True))
    for wrong in question.wrong:
        say(f"✗ {wrong.says}", hang=2)
        say(wrong.why, indent=4)
    click.echo("\n  " + colour("What comes next", bold=True))
    for follow in question.follow_ups:
        say(f"? {follow.ask}", hang=2)
        say(follow.gist, indent=4)
    lab = _lab() if question.links else ""
    if question.links:
        click.echo("\n  " + colour("See it run", bold=True))
    for lesson, cell, text in question.links:
        notebook, heading = section(lesson, cell)
        say(f"{lab}{notebook.name}#cell-id={cell}")
        say(f"{heading}: {text}" if heading else text, indent=4)
    for source in question.sources:
        say(f"Source: {source.title} (checked {source.checked})", hang=8)
        say(source.url, indent=10)


def _lab() -> str:
    """Return what stands before a notebook's name in the address of a lab that runs; empty without one."""
    try:
        note = work_folder() / ".lab.json"
    except WorkspaceError:  # no lab can run there, and a sitting needs none
        return ""
    if not note.exists():
        return ""
    from course.student import lab

    root, found, _ = (lab.running_lab(note) or "").partition(
        "/lab/tree/"
    )  # the token stays out of the screen
    return root + found


def held(sit: Callable[[], None], graded: list[Review]) -> int:
    """Run a sitting; when it is stopped, by Ctrl-C or the end of input, say in one line what is kept."""
    forgive()
    try:
        sit()
    except (KeyboardInterrupt, EOFError):
        click.echo()
        sys.stdout.flush()
        click.echo(f"Stopped; graded and kept: {len(graded)}.", err=True)
        return 130
    return 0

"""One question in the terminal: shown, answered aloud against a clock, ticked, explained."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import click
from fsrs import Rating

from course.practice.bank import Question
from course.practice.cards import SEEN, section, title
from course.practice.reviews import Draft, Review, State, too_soon, utc_now
from course.practice.terminal import (
    Left,
    ask,
    colour,
    forgive,
    minutes,
    rule,
    say,
    tick,
    timed,
    when,
    width,
)
from course.student.workspace import WorkspaceError, work_folder
from walkforward.errors import WalkForwardError

COLOURS = {Rating.Again: "red", Rating.Hard: "yellow", Rating.Good: "green", Rating.Easy: "cyan"}


class PracticeError(WalkForwardError, ValueError):
    """What is asked of a sitting can't be; the message says what can."""


class Answer(NamedTuple):
    """An answer with its ticks: of the must points, of the good ones, its seconds, and what was typed.

    answered: when it was given, None for now. draft: its row in the log of what is not graded yet.
    """

    must: list[bool]
    good: list[bool]
    seconds: float
    said: str
    answered: datetime | None = None
    draft: int | None = None


def show(question: Question, place: str) -> None:
    """Print a question under its place in the sitting."""
    rule(f"{place} · {title(question)}")
    say(question.prompt)
    click.echo()


def answer(question: Question, way_out: str, state: State | None = None) -> Answer | None:
    """Wait for the spoken or typed answer, then ask for its points; None for `s`, which means `way_out`.

    With a state each typed line and each tick is on the disk at once: when the answer is left half graded, by
    q (Left), Ctrl-C, the end of input or a crash, the next call for this question goes on there.
    """
    draft = (state.take(question.id) if state else None) or Draft(question.id, utc_now())
    keep = state.keep if state else lambda draft: None
    if draft.id is not None:
        say(f"You began this answer on {draft.answered.astimezone():%d %b %Y, %H:%M}; it goes on here.")
    try:
        if draft.ticks is None and not _take_answer(question, way_out, draft, keep):
            if draft.id is not None:
                state.release(draft)
            return None
        _show_answers(draft, state)
        had = _tick_points(question, draft, keep)
    except (KeyboardInterrupt, EOFError) as stopped:
        if typed := getattr(stopped, "typed", ""):  # a line that Ctrl-C cut off
            draft.said = f"{draft.said}\n{typed}".strip()
            keep(draft)
        if draft.id is not None:
            state.release(draft)
            ticks = f" and its ticks ({len(draft.ticks)}) are" if draft.ticks else " is"
            stopped.add_note(f"The answer on the screen{ticks} kept; practice goes on there.")
        raise
    must = len(question.must)
    return Answer(had[:must], had[must:], draft.seconds, draft.said, draft.answered, draft.id)


def _take_answer(question: Question, way_out: str, draft: Draft, keep: Callable[[Draft], None]) -> bool:
    """Let the answer be said or typed, until a line is empty; False when it is passed over."""
    if draft.said:
        _quote(draft.said, "Your answer so far")
    way = f"Answer aloud or type it, then Enter. s: {way_out}; q: leave."
    while True:
        seconds, line = timed(way, 60 * question.minutes, draft.seconds)
        if line.lower() == "q":
            raise Left
        if line.lower() == "s":
            return False
        draft.seconds += seconds
        if not line:
            draft.ticks, draft.answered = [], utc_now()
            keep(draft)
            return True
        draft.said = f"{draft.said}\n{line}".strip()
        keep(draft)
        way = "Noted. Type on; Enter alone ends it."


def _show_answers(draft: Draft, state: State | None) -> None:
    """Show what was typed now, and at the last time, beside the points."""
    if draft.said:
        _quote(draft.said, "Your answer")
    earlier = [one for one in state.reviews() if one.question == draft.question and one.said] if state else []
    if earlier:
        last = earlier[-1]
        _quote(last.said, f"Your answer of {last.reviewed.astimezone():%d %b %Y} ({last.rating.name})")


def _quote(text: str, heading: str) -> None:
    click.echo("\n  " + colour(heading, bold=True))
    for line in text.splitlines():
        say(f"| {line}"[2:], indent=4)


def _tick_points(question: Question, draft: Draft, keep: Callable[[Draft], None]) -> list[bool]:
    must = [(f"must {place}/{len(question.must)}", text) for place, text in enumerate(question.must, 1)]
    good = [(f"good {place}/{len(question.good)}", text) for place, text in enumerate(question.good, 1)]
    points, before = must + good, []
    for (_, text), (ticked, had) in zip(points, draft.ticks or [], strict=False):
        if text != ticked:  # the question was edited since: from here on it is asked anew
            break
        before.append(had)

    def kept(ticks: list[bool]) -> None:
        draft.ticks = [(text, had) for (_, text), had in zip(points, ticks, strict=False)]
        keep(draft)

    click.echo()
    say(colour("Did your answer have it? y or n; b goes back.", bold=True))
    for (label, text), had in zip(points, before, strict=False):
        say(f"{label}  {text}", hang=len(label) + 2)
        click.echo(f"    y/n: {'y' if had else 'n'}")
    return tick(points, had=before, kept=kept)


def verdict(question: Question, review: Review, state: State) -> None:
    """Print the rating, what it follows from, and when the question is due again."""
    due = state.due(question.id)
    told = f"must {sum(review.must)} of {len(review.must)}, good {sum(review.good)} of {len(review.good)}"
    time = f"{minutes(review.seconds or 0)} of {minutes(60 * question.minutes)}"
    rating = colour(review.rating.name, COLOURS[review.rating], bold=True)
    click.echo()
    say(f"{rating}: {told}, {time}. It is due {when(due, utc_now())}.")
    points = (review.must, review.good, review.seconds or 0)
    if review.rating == Rating.Good and all(review.good) and too_soon(*points):
        say(f"Not Easy: nobody says {sum(review.must) + sum(review.good)} points in {minutes(points[2])}.")


def explain(question: Question) -> None:
    """Show what people say, ask what comes next one by one, and show where the lesson demonstrates it.

    Raises Left when the learner leaves at a follow-up.
    """
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
    lab = _lab() if question.links else ""
    if question.links:
        click.echo("\n  " + colour("See it run", bold=True))
    for lesson, cell, text in question.links:
        notebook, heading = section(lesson, cell)
        _address(f"{lab}{notebook.name}", f"#cell-id={cell}")
        say(f"{heading}: {text}" if heading else text, indent=4)
    for source in question.sources:
        say(f"Source: {source.title} (checked {source.checked})", hang=8)
        say(source.url, indent=10)
    click.echo("\n  " + colour("What comes next", bold=True))
    for follow in question.follow_ups:
        say(f"? {follow.ask}", hang=2)
        reply = ask("    Answer, then Enter; q: leave. ").lower()
        if reply == "q":
            raise Left
        say(follow.gist, indent=4)


def _address(notebook: str, cell: str) -> None:
    """Print a cell's address: one that a terminal opens stays whole, another is parted before its cell."""
    if "://" in notebook or len(notebook + cell) + 2 <= width():
        click.echo(f"  {notebook}{cell}")
    else:
        click.echo(f"  {notebook}\n    {cell}")


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
    """Run a sitting; when it is stopped, by Ctrl-C or the end of input, say in one line what is kept.

    Returns 130 then. Who leaves with q has ended it in good order: 0.
    """
    forgive()
    try:
        sit()
    except Left as left:
        for note in getattr(left, "__notes__", []):
            say(note)
    except (KeyboardInterrupt, EOFError) as stopped:
        click.echo()
        sys.stdout.flush()
        notes = getattr(stopped, "__notes__", [])
        say(" ".join([f"Stopped; graded and kept: {len(graded)}.", *notes]), indent=0, err=True)
        return 130
    return 0

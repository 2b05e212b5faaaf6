"""`walkforward story`: the learner's own stories, as Markdown, told aloud against a listener's rubric."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path

import click

from course import progress
from course.files import write_whole, writing
from course.practice.reviews import State
from course.practice.terminal import ask, forgive, minutes, rule, say, tick, timed
from walkforward.errors import WalkForwardError

PARTS = {
    "Situation": "Where you were and what was at stake; two sentences are enough.",
    "What I did": "You, not «we»: what you decided, what you tried, whom you had to win.",
    "The number": "What it changed, measured: before and after, money, hours, errors.",
    "What I learnt": "What you would do differently, and what you thought before.",
    "What I changed since": "The rule, the check or the habit that you have kept.",
}
RUBRIC = (
    "The situation took two sentences, no more.",
    "You said what *you* did; a listener could tell your part from the team's.",
    "There was a number.",
    "You said what you learnt, and it was not praise in disguise.",
    "You said what you have changed since.",
)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
MINUTES = 3  # what an interviewer listens to before asking


class StoryError(WalkForwardError, ValueError):
    """A story that can't be begun, found or read; the message says why, and the way out."""


def folder() -> Path:
    """Return where the stories are: `stories` in the user's state folder (WALKFORWARD_STATE)."""
    return progress.progress_file().with_name("stories")


def stories() -> list[Path]:
    """Return the story files, by name."""
    return sorted(folder().glob("*.md"))


def new(title: str) -> int:
    """Begin a story: in your editor where there is one, else part by part; return 0, or 130 when stopped.

    An existing file is never written over. A stopped story keeps the parts that were entered.
    """
    slug = re.sub(r"[\W_]+", "-", title.lower()).strip("-")[:60].strip("-")
    if not slug:
        raise StoryError(f"a story's title wants letters or digits, not {title!r}")
    file = folder() / f"{slug}.md"
    with _keeping():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("x", encoding="utf-8", errors="replace") as out:
                out.write(_as_markdown(title, {}))
        except FileExistsError:
            raise StoryError(
                f"{file} is there already and stays as it is; edit it, or choose another title"
            ) from None
    if _editor() and sys.stdin.isatty():
        try:
            click.edit(filename=str(file))
        except (click.ClickException, OSError, ValueError) as error:  # ValueError: $EDITOR with half a quote
            why = getattr(error, "message", error)
            raise StoryError(f"the editor {_editor()!r}: {why} The empty story is in {file}") from error
        click.echo(f"Your story is in {file}")
        return 0
    told: dict[str, str] = {}
    forgive()
    try:
        for part, hint in PARTS.items():
            say(f"{part}. {hint}", hang=2)
            if text := ask("  > "):
                told[part] = text
                with _keeping():
                    write_whole(file, _as_markdown(title, told).encode(errors="replace"))
    except (KeyboardInterrupt, EOFError):
        click.echo()
        sys.stdout.flush()
        click.echo(f"Stopped; your story so far is in {file}", err=True)
        return 130
    click.echo(f"Your story is in {file}")
    return 0


def _keeping() -> contextlib.AbstractContextManager[None]:
    return writing(folder(), variable="WALKFORWARD_STATE")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        way_out = "move it away, or make it readable"
        raise StoryError(f"the story {file} can't be read ({error.strerror}): {way_out}") from error


def _editor() -> str | None:
    return os.environ.get("VISUAL") or os.environ.get("EDITOR")


def _as_markdown(title: str, told: dict[str, str]) -> str:
    parts = [f"## {part}\n\n{told.get(part) or f'<!-- {hint} -->'}\n" for part, hint in PARTS.items()]
    return f"# {title}\n\n" + "\n".join(parts)


def show() -> None:
    """Print each story with its words, what is still empty, and how often and how well it was told."""
    told = State().rehearsals()
    if not stories():
        click.echo('No stories yet. `walkforward story new "The release I rolled back"` begins one.')
        return
    for file in stories():
        text = _text(file)
        words = len(re.sub(r"^#.*$", "", COMMENT.sub("", text), flags=re.MULTILINE).split())
        own = [row for row in told if row[0] == file.stem]
        last = (
            f"told {len(own)}, last {sum(own[-1][3])} of {len(RUBRIC)}, {minutes(own[-1][2])}"
            if own
            else "not told"
        )
        empty = len(COMMENT.findall(text))
        click.echo(
            f"{' '.join(file.stem.split()):<40} {words:>4} words  {last}"
            + (f"  (parts to write: {empty})" if empty else "")
        )
    click.echo(f"\nThey are in {folder()}")


def rehearse(name: str | None = None) -> int:
    """Have a story told aloud, then ask the listener's rubric point by point; return 0, or 130 when stopped.

    Without a name it is the one that was told least. Raises StoryError when there is none of that name.
    """
    files, state = {file.stem: file for file in stories()}, State()
    if not files:
        raise StoryError("there are no stories yet: `walkforward story new TITLE` begins one")
    told = [story for story, *_ in state.rehearsals()]
    stem = min(files, key=told.count) if name is None else name.removesuffix(".md")
    if stem not in files:
        raise StoryError(f"there is no story {stem!r}; there is {', '.join(files)}")
    text = _text(files[stem])
    forgive()
    try:
        rule(text.partition("\n")[0].lstrip("# ") or stem)
        seconds, _ = timed("Tell it aloud, then Enter.", 60 * MINUTES)
        click.echo()
        had = tick([(f"{place}/{len(RUBRIC)}", point) for place, point in enumerate(RUBRIC, 1)])
        state.record_rehearsal(stem, seconds, had)
    except (KeyboardInterrupt, EOFError):
        click.echo()
        sys.stdout.flush()
        click.echo("Stopped; this telling is not logged.", err=True)
        return 130
    verdict = "within" if seconds <= 60 * MINUTES else "over"
    click.echo(
        f"\n  {sum(had)} of {len(RUBRIC)}, {minutes(seconds)}, {verdict} {MINUTES} minutes. What you wrote:\n"
    )
    say(re.sub(r"\A# .*\n+", "", COMMENT.sub("(not written yet)", text)).strip())
    return 0

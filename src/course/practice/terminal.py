"""How practice speaks with a terminal: wrapped text, a clock that runs, one line of answer at a time.

Input is read line by line from stdin, so a script can drive it; the clock and the colours appear only in a
terminal. The end of input and Ctrl-C (EOFError, KeyboardInterrupt) go up to whoever asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import click

monotonic = time.monotonic  # seconds; a test puts its own clock here


class Left(EOFError):
    """The learner typed q: there is no more input, as after its end, and that is no accident."""


def width() -> int:
    """Return how many columns there are for text: those of the terminal, from 40 to 100."""
    return min(100, max(40, shutil.get_terminal_size().columns - 1))


def colour(text: str, name: str | None = None, bold: bool = False) -> str:
    """Return text in a colour; as it is where stdout is no terminal, or NO_COLOR is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return click.style(text, fg=name, bold=bold or None)


def say(text: str = "", indent: int = 2, hang: int = 0, err: bool = False) -> None:
    """Print text, wrapped paragraph by paragraph; code between ``` and lists keep their lines.

    err: to stderr; in one line where that is no terminal.
    """
    if err and not sys.stderr.isatty():
        click.echo(" " * indent + text, err=True)
        return
    code, paragraph = False, []

    def flush() -> None:
        if paragraph:
            first, rest = " " * indent, " " * (indent + hang)
            click.echo(
                textwrap.fill(
                    " ".join(paragraph),
                    width(),
                    initial_indent=first,
                    subsequent_indent=rest,
                    break_long_words=False,
                    break_on_hyphens=False,
                ),
                err=err,
            )
            paragraph.clear()

    for line in text.splitlines() or [""]:
        fence = line.strip().startswith("```")
        if fence or code or not line.strip() or line.startswith(("- ", "|", "    ")):
            flush()
            if line.startswith("- ") and not code:
                click.echo(
                    textwrap.fill(
                        line,
                        width(),
                        initial_indent=" " * indent,
                        subsequent_indent=" " * (indent + 2),
                        break_long_words=False,
                        break_on_hyphens=False,
                    )
                )
            elif not fence:
                click.echo((" " * (indent + 2 * code) + line).rstrip())
        else:
            paragraph.append(line.strip())
        code ^= fence
    flush()


def rule(title: str) -> None:
    """Print a title in a line across the terminal."""
    dash, room = _printable("─", "-"), width()
    first, *rest = textwrap.wrap(title, room - 4, break_on_hyphens=False) or [""]
    lines = [f"{dash * 2} {first} ".ljust(room, dash), *(f"   {line}" for line in rest)]
    click.echo("\n" + "\n".join(colour(line, bold=True) for line in lines) + "\n")


def bar(share: float, length: int, name: str | None = None) -> str:
    """Return a share between 0 and 1 as a bar of so many columns."""
    full = round(max(0.0, min(1.0, share)) * length)
    return colour(_printable("█", "#") * full, name) + _printable("░", ".") * (length - full)


def _printable(text: str, otherwise: str) -> str:
    """Return text if stdout's encoding can write it."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return otherwise
    return text


def minutes(seconds: float) -> str:
    """Return seconds as minutes and seconds, 3:07."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def when(due: datetime, now: datetime) -> str:
    """Return when something is due, as one says it."""
    left = (due - now).total_seconds()
    if left < 90 * 60:
        count = max(1, round(left / 60))
        return "now" if left <= 0 else f"in {count} minute{'s' * (count > 1)}"
    day = due.astimezone()
    return f"{day:%d %b %Y}" if left > 86_400 else f"{day:%d %b, %H:%M}"


def forgive() -> None:
    """Let no byte that a terminal sends, and no character that it can't show, end a sitting."""
    for stream in (sys.stdin, sys.stdout):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def ask(prompt: str) -> str:
    """Print a prompt and return the line that is typed; EOFError when there is none."""
    click.echo(prompt, nl=False)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()


def timed(text: str, limit: float, before: float = 0.0) -> tuple[float, str]:
    """Show a running clock until a line is entered; return its seconds and the line.

    limit: the seconds that the answer should take. before: those that its earlier lines took; the clock goes
    on from there, and what is typed ahead is kept. Where there is no terminal the clock runs unseen. What was
    typed of a line that is stopped by Ctrl-C is in the exception's `typed`.
    """
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        say(text)
        return _beside_a_clock(limit, before)
    started = monotonic()
    say(f"{text} ({minutes(limit)})")
    line = ask("")
    return max(0.0, monotonic() - started), line


def _beside_a_clock(limit: float, before: float) -> tuple[float, str]:
    """Read a line beside a running clock; prompt_toolkit draws both, so that neither writes on the other."""
    os.environ.setdefault("PROMPT_TOOLKIT_NO_CPR", "1")  # we draw at the line's begin: no need to ask where
    from prompt_toolkit import PromptSession
    from prompt_toolkit.formatted_text import ANSI
    from prompt_toolkit.input.typeahead import clear_typeahead

    started: list[float] = []  # by the first clock that is shown: what comes before is our time

    def clock() -> ANSI:
        started.append(monotonic())
        spent = before + started[-1] - started[0]
        name = "red" if spent > 1.5 * limit else "yellow" if spent > limit else "green"
        return ANSI(f"  {colour(f'{minutes(spent)} of {minutes(limit)}', name)}  ")

    session: PromptSession[str] = PromptSession(clock)

    async def run_on() -> None:
        while True:
            await asyncio.sleep(1)
            session.app.renderer.erase()  # or only the digit that changed is written
            session.app.invalidate()

    if not before:
        _forget_what_was_typed()
        clear_typeahead(session.app.input)
    try:
        line = session.prompt(pre_run=lambda: session.app.create_background_task(run_on())).strip()
        return monotonic() - started[0], line
    except (KeyboardInterrupt, EOFError) as stopped:
        stopped.typed = session.default_buffer.text.strip()
        raise


def _forget_what_was_typed() -> None:
    """Drop keys that were pressed before the question stood there: a second Enter would end its clock."""
    try:
        import termios
    except ImportError:  # Windows
        return
    with contextlib.suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def tick(
    points: Sequence[tuple[str, str]],
    asked: Callable[[str], str] | None = None,
    had: Sequence[bool] = (),
    kept: Callable[[list[bool]], None] = lambda had: None,
) -> list[bool]:
    """Ask of each point, (label, text), whether the answer had it; y or n, b goes back one, q leaves (Left).

    had: ticks of the first points that were given before. kept: is called with all ticks after each.
    """
    ticks, asked = list(had), asked or ask
    while len(ticks) < len(points):
        label, text = points[len(ticks)]
        say(f"{label}  {text}", hang=len(label) + 2)
        reply = asked("    y/n: ").lower()
        if reply in ("y", "yes"):
            ticks.append(True)
        elif reply in ("n", "no"):
            ticks.append(False)
        elif reply in ("b", "back") and ticks:
            ticks.pop()
        elif reply == "q":
            raise Left
        else:
            say("y or n; b goes back one point; q or Ctrl-C leaves and keeps the ticks.", indent=4)
            continue
        kept(list(ticks))
    return ticks

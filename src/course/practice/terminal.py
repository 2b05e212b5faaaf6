"""How practice speaks with a terminal: wrapped text, a clock that runs, one line of answer at a time.

Input is read line by line from stdin, so a script can drive it; the clock and the colours appear only in a
terminal. The end of input and Ctrl-C (EOFError, KeyboardInterrupt) go up to whoever asked.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import click

monotonic = time.monotonic  # seconds; a test puts its own clock here


def width() -> int:
    """Return how many columns there are for text: those of the terminal, from 40 to 100."""
    return min(100, max(40, shutil.get_terminal_size().columns - 1))


def colour(text: str, name: str | None = None, bold: bool = False) -> str:
    """Return text in a colour; as it is where stdout is no terminal, or NO_COLOR is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return click.style(text, fg=name, bold=bold or None)


def say(text: str = "", indent: int = 2, hang: int = 0) -> None:
    """Print text, wrapped paragraph by paragraph; code between ``` and lists keep their lines."""
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
                )
            )
            paragraph.clear()

    for line in text.splitlines() or [""]:
        fence = line.strip().startswith("```")
        if fence or code or not line.strip() or line.startswith(("- ", "|", "    ")):
            flush()
            if not fence:
                click.echo((" " * (indent + 2 * code) + line).rstrip())
        else:
            paragraph.append(line.strip())
        code ^= fence
    flush()


def rule(title: str) -> None:
    """Print a title in a line across the terminal."""
    dash = _printable("─", "-")
    click.echo("\n" + colour(f"{dash * 2} {title} ".ljust(width(), dash), bold=True) + "\n")


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
    on from there, and what is typed ahead is kept. Where there is no terminal the clock runs unseen.
    """
    started, over = monotonic(), threading.Event()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _until_enter(f"  {text} ({minutes(limit)})\n", started)
    if not before:
        _forget_what_was_typed()
    line = f"  {text}  "
    if len(line) + 18 > shutil.get_terminal_size().columns:  # a clock that wraps would fill the screen
        say(text)
        line = "  "

    def run() -> None:
        while not over.wait(1):
            spent = before + monotonic() - started
            name = "red" if spent > 1.5 * limit else "yellow" if spent > limit else "green"
            sys.stdout.write(f"\r{line}{colour(f'{minutes(spent)} of {minutes(limit)}', name)} ")
            sys.stdout.flush()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        return _until_enter(f"{line}{colour(f'{minutes(before)} of {minutes(limit)}', 'green')} ", started)
    finally:
        over.set()
        thread.join()


def _forget_what_was_typed() -> None:
    """Drop keys that were pressed before the question stood there: a second Enter would end its clock."""
    try:
        import termios
    except ImportError:  # Windows
        return
    with contextlib.suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _until_enter(prompt: str, started: float) -> tuple[float, str]:
    line = ask(prompt)
    return max(0.0, monotonic() - started), line


def tick(points: Sequence[tuple[str, str]], asked: Callable[[str], str] = ask) -> list[bool]:
    """Ask of each point, (label, text), whether the answer had it; y or n, b goes back one."""
    had: list[bool] = []
    while len(had) < len(points):
        label, text = points[len(had)]
        say(f"{label}  {text}", hang=len(label) + 2)
        reply = asked("    y/n: ").lower()
        if reply in ("y", "yes"):
            had.append(True)
        elif reply in ("n", "no"):
            had.append(False)
        elif reply in ("b", "back") and had:
            had.pop()
        else:
            say("y or n; b goes back one point, Ctrl-C stops and keeps what is graded.", indent=4)
    return had

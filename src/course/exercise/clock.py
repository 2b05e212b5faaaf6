"""A clock for a kata in a notebook: started by hand, read when the check runs; nothing of it is stored."""

from __future__ import annotations

import re
import time
from typing import Any

from course import exercise
from course.exercise import Note
from course.exercise.source import find

MINUTES = 15
monotonic = time.monotonic  # seconds; a test puts its own clock here
_started: dict[str, tuple[float, float]] = {}  # by exercise: when, and the seconds that are allowed


def start(name: str, minutes: float = MINUTES) -> Note:
    """Start the clock of an exercise; the cell with its check says how long you took.

    Raises ExerciseError when there is no such exercise.
    """
    find(name)
    if not _started:
        _listen()
    _started[name] = monotonic(), 60 * minutes
    return Note(
        f"{minutes:g} minutes for `{name}`: ask, write down three cases, code. The check reads the clock."
    )


def taken(cell: str) -> list[str]:
    """Return a line for each started exercise that is checked in a cell's source and was attempted."""
    lines = []
    for name, (begun, allowed) in _started.items():
        if re.search(rf"\bcheck\(\s*{re.escape(name)}\b", cell) and _attempted(name):
            seconds = monotonic() - begun
            over = f", {_minutes(seconds - allowed)} over" if seconds > allowed else ""
            lines.append(f"{name}: {_minutes(seconds)} of {_minutes(allowed)}{over}")
    return lines


def _attempted(name: str) -> bool:
    last = exercise._last.get(name)
    return last is not None and last.status != "not attempted"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _listen() -> None:
    """Have IPython say the time after the cell with the check; without IPython nobody does."""
    from IPython import get_ipython

    if shell := get_ipython():
        shell.events.register("post_run_cell", _say)


def _say(result: Any) -> None:
    for line in taken(getattr(result.info, "raw_cell", None) or ""):
        print(line)

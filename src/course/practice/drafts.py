"""An interview that is not over: its answers and ticks, on disk after each, until the sheet is recorded.

Every interview has a file of its own in the state folder, so that two at once don't touch each other. One
that was stopped or killed stays there, and `walkforward mock --resume` grades it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, Field, ValidationError

from course import progress
from course.files import write_whole, writing
from course.practice.reviews import utc_now
from course.practice.rounds import Step


class Answer(BaseModel):
    """What was said to one step, and how it was graded; `had` grows point by point."""

    step: int
    seconds: float
    said: list[str] = Field([], description="The lines that were typed")
    skipped: bool = False
    passed: bool | None = Field(None, description="Of a kata or a ticket: what the check said")
    detail: dict[str, Any] = {}
    had: list[bool] = []
    story: str | None = None
    graded: bool = False


class Draft(BaseModel):
    """An interview as far as it went."""

    name: str = Field(description="Of its file")
    round: str
    seed: int
    minutes: int
    again: str = Field(description="The command that gives the same interview")
    began: datetime
    process: tuple[int, float]
    steps: list[Step]
    answers: list[Answer] = []
    scores: dict[str, int] = {}
    resumed: bool = False

    @classmethod
    def begin(cls, name: str, seed: int, minutes: int, again: str, steps: list[Step]) -> Draft:
        """Begin an interview; nothing is on disk before its first answer."""
        began = utc_now()
        return cls(
            name=_name(began),
            round=name,
            seed=seed,
            minutes=minutes,
            again=again,
            began=began,
            process=_here(),
            steps=steps,
        )

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return folder() / f"{self.name}.json"

    def keep(self) -> None:
        """Write it whole, on the disk when this returns."""
        with writing(folder(), variable="WALKFORWARD_STATE"):
            write_whole(self.path, self.model_dump_json().encode())

    def release(self) -> None:
        """Leave it to `--resume`, in this process or another."""
        self.process = (0, 0.0)
        self.keep()

    def drop(self) -> None:
        """Forget it; what was said is in the log by now."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    @property
    def used(self) -> float:
        """The seconds that the answers took."""
        return sum(answer.seconds for answer in self.answers)


def folder() -> Path:
    """Return where interviews are kept that are not over: `rounds` in the state folder."""
    return progress.progress_file().with_name("rounds")


def waiting() -> list[tuple[Path, Draft]]:
    """Return the interviews that were cut off, the latest first; none that another terminal is holding.

    A file that can't be read stays where it is and is left out.
    """
    found = []
    for path in sorted(folder().glob("*.json"), reverse=True):
        try:
            draft = Draft.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        if not _alive(*draft.process):
            found.append((path, draft))
    return found


def take(path: Path, draft: Draft) -> Draft | None:
    """Make a draft this process' own; None when another terminal was faster."""
    mine = draft.model_copy(update={"name": _name(draft.began), "process": _here(), "resumed": True})
    try:
        path.rename(mine.path)  # one of two processes wins
    except FileNotFoundError:
        return None
    mine.keep()
    return mine


def _name(began: datetime) -> str:
    return f"{began:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(4)}"


def _here() -> tuple[int, float]:
    return os.getpid(), psutil.Process().create_time()


def _alive(number: int, began: float) -> bool:
    try:
        return number > 0 and abs(psutil.Process(number).create_time() - began) < 1
    except psutil.Error:
        return False

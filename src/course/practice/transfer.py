"""The review log as a file: `walkforward practice --export` and `--import`, and the web site's practice.

A line is an answer as JSON. An answer is one question at one moment: what is in the log already is not taken
in twice, whichever of terminal and browser it was given in first.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from course.files import write_whole, writing
from course.practice.reviews import Review, State
from walkforward.errors import WalkForwardError


class TransferError(WalkForwardError, ValueError):
    """A file can't be taken in, or written; the message says which line, and the way out."""


class Line(BaseModel):
    """An answer, as a line of the file."""

    model_config = ConfigDict(extra="ignore")

    question: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    rating: Annotated[StrictInt, Field(ge=1, le=4)]
    reviewed: AwareDatetime
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    must: list[StrictBool]
    good: list[StrictBool]
    source: Literal["practice", "mock", "notebook"]
    said: str = ""


def export(file: Path, state: State | None = None) -> int:
    """Write every answer of the log to a new file, in the order of time; return how many.

    Raises TransferError for a file that is there already: what it holds may be the only copy.
    """
    if file.exists():
        raise TransferError(f"{file} is there already: give a new name, or take it in with --import first")
    log = (state or State()).reviews()
    with writing(file.parent, "another FILE"):
        write_whole(file, "".join(f"{_line(one)}\n" for one in log).encode())
    return len(log)


def _line(review: Review) -> str:
    row = Line(
        question=review.question,
        rating=int(review.rating),
        reviewed=review.reviewed,
        seconds=review.seconds,
        must=review.must,
        good=review.good,
        source=review.source,
        said=review.said,
    )
    return row.model_dump_json()


def take_in(file: Path, state: State | None = None) -> tuple[int, int]:
    """Add a file's answers to the log, all or none; return how many are new, and how many were there.

    Raises TransferError for a file that can't be read or a line that is no answer; nothing is added then.
    """
    state = state or State()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise TransferError(
            f"{file} can't be read ({why}): give a file that --export or the site wrote"
        ) from error
    lines = [_read(line, place, file) for place, line in enumerate(text.split("\n"), 1) if line.strip()]
    return state.add(lines)


def _read(line: str, place: int, file: Path) -> Review:
    try:
        one = Line.model_validate(json.loads(line))
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, fault["loc"])) or "the line"
        raise TransferError(
            _said(file, place, f"{key}: {fault['msg'][0].lower()}{fault['msg'][1:]}")
        ) from error
    except (ValueError, RecursionError) as error:
        raise TransferError(_said(file, place, "it is no JSON")) from error
    reviewed: datetime = one.reviewed.astimezone(UTC)
    return Review(one.question, one.rating, reviewed, one.seconds, one.must, one.good, one.source, one.said)


def _said(file: Path, place: int, why: str) -> str:
    return f"{file}, line {place} is no answer ({why}); nothing was taken in: mend the line or take it out"

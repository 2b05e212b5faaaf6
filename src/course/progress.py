"""A student's progress: one JSON line per checked answer, kept outside the repository."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from walkforward.errors import WalkForwardError

_said: set[str] = set()


class ProgressError(WalkForwardError, ValueError):
    """The progress can't be read; the message says which file, and the way out."""


def progress_file() -> Path:
    """Return where progress is kept: the user's state folder, or the folder that WALKFORWARD_STATE names."""
    folder = os.environ.get("WALKFORWARD_STATE") or platformdirs.user_state_dir(
        "walkforward", appauthor=False
    )
    return Path(folder) / "progress.jsonl"


def record(exercise: str, lesson: str, status: str) -> None:
    """Append one line. A folder that can't be written never breaks a check; it is said once."""
    line = {"exercise": exercise, "lesson": lesson, "status": status}
    line["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    file = progress_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
    except OSError as error:
        if str(file) not in _said:
            print(f"Your answer was checked, but progress can't be kept in {file} ({error.strerror}).")
        _said.add(str(file))


def read() -> tuple[list[dict[str, str]], list[int]]:
    """Return the records in the order of time, and the numbers of the lines that can't be read (from 1).

    Raises ProgressError when the file itself can't be read.
    """
    records, bad = [], []
    try:
        text = progress_file().read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        way_out = "set WALKFORWARD_STATE to a folder of your own"
        raise ProgressError(f"{progress_file()} can't be read ({error.strerror}): {way_out}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            entry = json.loads(line)
            datetime.fromisoformat(entry["time"]).astimezone()
            records.append({key: str(entry[key]) for key in ("exercise", "lesson", "status", "time")})
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            bad.append(number)
    return records, bad

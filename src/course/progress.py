"""A student's progress: one JSON line per checked answer, kept outside the repository."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

_said: set[str] = set()


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
    """Return the records in the order of time, and the numbers of the lines that can't be read (from 1)."""
    records, bad = [], []
    try:
        text = progress_file().read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return [], []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            entry = json.loads(line)
            datetime.fromisoformat(entry["time"])
            records.append({key: str(entry[key]) for key in ("exercise", "lesson", "status", "time")})
        except (ValueError, KeyError, TypeError):
            bad.append(number)
    return records, bad

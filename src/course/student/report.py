"""What a student has passed: sitting by sitting, and along each path through the course."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from course import outline, progress
from course.exercise import source as exercise_source
from course.outline import Route
from course.paths import ROOT
from course.student import workspace

LESSONS = ROOT / "src" / "lessons"


def show_progress(path: str | None = None) -> None:
    """Print which exercises there are, which are passed, since when, and how far each path is walked.

    By lesson; with a `path` only its sittings, in its order. Raises OutlineError for a path there is not.
    """
    records, bad = progress.read()
    passed = {record["exercise"] for record in records if record["status"] == "passed"}
    if path is None:
        for lesson in sorted(LESSONS.glob("[0-9I]*_*.py")):
            module = exercise_source.FOLDER / lesson.name
            _show(lesson.stem, exercise_source.names(module) if module.exists() else [], records)
        walked = [one for one in outline.paths(workspace.NOTEBOOKS) if one.sittings]
    else:
        walked = [outline.path_named(path, workspace.NOTEBOOKS)]
        for sitting in walked[0].sittings:
            _show(sitting.name, sitting.exercises, records)
    for one in walked:
        print(_walked(one, passed))
    if bad:
        print(f"{progress.progress_file()}: left out what can't be read, line {', '.join(map(str, bad))}")


def _show(name: str, exercises: Iterable[str], records: list[dict[str, str]]) -> None:
    rows, passed = [], 0
    for exercise in exercises:
        tries = [record for record in records if record["exercise"] == exercise]
        first = next((number for number, record in enumerate(tries) if record["status"] == "passed"), None)
        passed += first is not None
        if first is not None:
            row = f"passed {_day(tries[first])}, at attempt {first + 1}"
        else:
            row = f"{len(tries)} failed, last {_day(tries[-1])}" if tries else "not attempted"
        rows.append(f"    {exercise:<32}{row}")
    print(f"{name:<36}{f'{passed} of {len(rows)} passed' if rows else 'no exercises'}")
    print("\n".join(rows) + "\n" if rows else "", end="")


def _walked(path: Route, passed: set[str]) -> str:
    """How many sittings of a path are done, and which is next."""
    done = outline.done(path, passed)
    left = [one for one in path.sittings if one.name not in done]
    follows = f"next is {left[0].name}" if left else "you have walked it"
    return f"{path.title} ({path.name}): {len(done)} of {len(path.sittings)} sittings done; {follows}"


def _day(record: dict[str, str]) -> str:
    return datetime.fromisoformat(record["time"]).astimezone().date().isoformat()

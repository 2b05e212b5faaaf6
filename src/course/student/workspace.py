"""A student's copies of the lessons: brought up to date, reset and backed up, and never an answer lost.

Students work in copies that git ignores. Beside the copies, `.origin/` remembers the version that each was
made from; by that an untouched copy is told from one with answers in it, whatever `git pull` brought.
"""

import json
import os
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from course import progress
from course.exercise import source as exercise_source
from course.files import WorkspaceError, write_whole, writing
from course.paths import ROOT

NOTEBOOKS = ROOT / "notebooks"
LESSONS = ROOT / "src" / "lessons"
IMAGES = ROOT / "images"


def work_folder() -> Path:
    """Return the folder of the student's copies, made if need be: `work/`, or what WALKFORWARD_WORK names."""
    named = Path(os.environ.get("WALKFORWARD_WORK") or ROOT / "work")
    try:
        folder = named.expanduser().absolute()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home for the ~
        way_out = "set WALKFORWARD_WORK to a folder you may write"
        raise WorkspaceError(f"your work can't be kept in {named} ({_word(error)}): {way_out}") from error
    return folder


def find_lesson(lesson: str) -> Path:
    """Return the notebook of a lesson named "01", "1", "09b", "I1" or in full, or raise WorkspaceError."""
    name, known = lesson.strip().removesuffix(".ipynb"), sorted(NOTEBOOKS.glob("*.ipynb"))
    for path in known:
        number = path.stem.split("_")[0]
        if name == path.stem or name.lower() in (number.lower(), number.removeprefix("0")):
            return path
    stems = ", ".join(path.stem for path in known) or "none yet: `make lessons` builds them"
    raise WorkspaceError(f"there is no lesson {lesson!r}; there is {stems}")


def sync() -> list[str]:
    """Bring the student's copies up to date; print and return a line for each copy that could not be.

    A missing copy is made, and one with no changed cell gets the newer version. A copy with answers in it, or
    one that can't be read, stays exactly as it is. Raises WorkspaceError if the folder can't be written.
    """
    work, lines = work_folder(), []
    with writing(work):
        for image in [path for path in sorted(IMAGES.glob("*")) if path.suffix in {".png", ".svg", ".jpg"}]:
            write_whole(work / "images" / image.name, image.read_bytes())
        for course in sorted(NOTEBOOKS.glob("*.ipynb")):
            lines += _sync_one(course, work)
    for line in lines:
        print(line)
    return lines


def _sync_one(course: Path, work: Path) -> Iterator[str]:
    copy, origin, number = work / course.name, work / ".origin" / course.name, course.stem.split("_")[0]
    try:
        newest = _course(course)
        sources = _sources(_cells(newest))
    except (OSError, ValueError) as error:
        yield f"Lesson {number}: the course's own file can't be read ({_word(error)}): restore it with git."
        return
    if not copy.exists():
        write_whole(copy, newest)
        write_whole(origin, newest)
        return
    try:
        mine = _sources(_cells(copy.read_bytes()))
    except (OSError, ValueError) as error:
        yield (
            f"Lesson {number}: your {course.name} can't be read ({_word(error)}) and stays as it is; "
            f"`walkforward reset {number}` backs it up and gives you a fresh one."
        )
        return
    known = _origin(origin)
    pristine = None if known is None else _sources(known)
    if mine == sources or pristine == sources:  # nothing but outputs can be newer: keep the student's
        if mine == sources:
            write_whole(origin, newest)
    elif mine == pristine:
        write_whole(copy, newest)
        write_whole(origin, newest)
    else:
        yield (
            f"Lesson {number} has a newer version; your copy has your changes and stays as it is. "
            f"`walkforward reset {number} --keep-answers` gets the new one with your answers in it."
        )


def reset(lesson: str, keep_answers: bool = False) -> Path:
    """Replace the student's copy of a lesson by a fresh one and return the dated backup of the old copy.

    With `keep_answers` the exercises that the student has filled and the cells they have added are carried
    over; what is changed in the lesson's own cells stays in the backup. Raises WorkspaceError for an unknown
    lesson and for one that has no copy yet; nothing is changed then.
    """
    course, work = find_lesson(lesson), work_folder()
    copy, origin = work / course.name, work / ".origin" / course.name
    if not copy.is_file():
        raise WorkspaceError(f"there is no copy of {course.stem} to reset yet: `walkforward lab` makes it")
    with writing(work):
        newest = fresh = _course(course)
        try:
            _cells(newest)
        except ValueError as error:
            raise WorkspaceError(f"{course} can't be read ({_word(error)}): restore it with git") from error
        old = copy.read_bytes()
        backup = _backup(course.stem, old, work / "backups")
        if keep_answers:
            try:
                fresh, said = _carry_over(newest, _cells(old), _origin(origin))
            except ValueError as error:
                said = f"Your copy can't be read ({_word(error)}): nothing is carried over."
            print(said)
        write_whole(copy, fresh)
        write_whole(origin, newest)
    return backup


def _backup(stem: str, content: bytes, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for again in range(1000):
        stamp = datetime.now().strftime("%Y-%m-%dT%H%M%S") + (f"-{again}" if again else "")
        path = folder / f"{stem}.{stamp}.ipynb"
        try:
            with path.open("xb") as file:  # never over an earlier backup
                file.write(content)
            return path
        except FileExistsError:
            continue
    raise WorkspaceError(f"no free name for a backup in {folder}")


def _carry_over(newest: bytes, mine: list[dict], origin: list[dict] | None) -> tuple[bytes, str]:
    """Put the student's answers and own cells into the newest version; say in a line what was and wasn't."""
    notebook = json.loads(newest)
    places = {cell["id"]: cell for cell in notebook["cells"] if "id" in cell}
    first = origin if origin is not None else notebook["cells"]
    pristine = {cell.get("id"): _source(cell) for cell in first}
    untouched = {*pristine.values(), *map(_source, notebook["cells"])}
    added: dict[str | None, list[dict]] = {}
    answers, left, anchor = 0, 0, None
    for cell in mine:
        key, source = cell.get("id"), _source(cell)
        if not source.strip() or source in untouched:
            pass
        elif key in places and key.startswith("exercise-"):
            places[key] |= {"source": cell["source"], "outputs": [], "execution_count": None}
            answers += 1
        elif key in places or key in pristine:
            left += 1
        else:
            added.setdefault(anchor, []).append(cell if key else cell | {"id": uuid.uuid4().hex[:8]})
        anchor = key if key in places else anchor
    cells = list(added.get(None, []))
    for cell in notebook["cells"]:
        cells += [cell, *(added.get(cell["id"], []) if "id" in cell else [])]
    notebook["cells"] = cells
    own = sum(map(len, added.values()))
    said = f"Carried over: answers {answers}, cells of your own {own}."
    said += f" In the backup only: changed cells of the lesson {left}." if left else ""
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode(), said


def show_progress() -> None:
    """Print, lesson by lesson, which exercises there are, which are passed, and since when."""
    records, bad = progress.read()
    for lesson in sorted(LESSONS.glob("[0-9I]*_*.py")):
        module = exercise_source.FOLDER / lesson.name
        names = exercise_source.names(module) if module.exists() else []
        rows, passed = [], 0
        for name in names:
            tries = [record for record in records if record["exercise"] == name]
            first = next(
                (number for number, record in enumerate(tries) if record["status"] == "passed"), None
            )
            passed += first is not None
            if first is not None:
                row = f"passed {_day(tries[first])}, at attempt {first + 1}"
            else:
                row = f"{len(tries)} failed, last {_day(tries[-1])}" if tries else "not attempted"
            rows.append(f"    {name:<32}{row}")
        print(f"{lesson.stem:<36}{f'{passed} of {len(names)} passed' if names else 'no exercises'}")
        print("\n".join(rows) + "\n" if rows else "", end="")
    if bad:
        print(f"{progress.progress_file()}: left out what can't be read, line {', '.join(map(str, bad))}")


def _day(record: dict[str, str]) -> str:
    return datetime.fromisoformat(record["time"]).astimezone().date().isoformat()


def _course(path: Path) -> bytes:
    # One folder up is outside of what JupyterLab serves, so copies look for pictures beside themselves.
    return path.read_bytes().replace(b"../images/", b"images/")


def _cells(notebook: bytes) -> list[dict]:
    """Return the cells of a notebook; ValueError if it is not one."""
    try:
        content = json.loads(notebook)
        cells = content.get("cells") if isinstance(content, dict) else None
        for cell in cells:
            _source(cell)
            if not isinstance(cell.get("id", ""), str):
                raise TypeError("the id of a cell is a text")
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("it is not a notebook") from error
    return cells


def _source(cell: dict) -> str:
    return "".join(cell["source"])


def _sources(cells: list[dict]) -> list[tuple[Any, str]]:
    """Return what a student can have changed: not outputs, and not the empty cell that JupyterLab adds."""
    return [(cell.get("cell_type"), _source(cell)) for cell in cells if _source(cell).strip()]


def _origin(path: Path) -> list[dict] | None:
    try:
        return _cells(path.read_bytes())
    except (OSError, ValueError):
        return None


def _word(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)

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

from course import lessons
from course.files import WorkspaceError, write_whole, writing
from course.paths import ROOT

NOTEBOOKS = ROOT / "notebooks"
IMAGES = ROOT / "images"
STUB = "TODO  # replace this"  # in each stub that `course.exercise.source` cuts


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


def find_lessons(lesson: str) -> list[Path]:
    """Return the notebooks that a name means: one ("09b", "I1", in full) or all of a chapter ("9", "09").

    Prints a line where the number was another lesson's when this student used it. Raises WorkspaceError for
    a name that means none; the message says where the lesson is that had it.
    """
    stems = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    if found := lessons.named(lesson, stems):
        if line := lessons.renumbered(lesson, stems):
            print(line)
        return [NOTEBOOKS / f"{stem}.ipynb" for stem in found]
    known = ", ".join(stems) or "none yet: `make lessons` builds them"
    moved = lessons.moved(lesson, stems)
    raise WorkspaceError(moved or f"there is no lesson {lesson!r}; there is {known}")


def find_lesson(lesson: str) -> Path:
    """Return the notebook that a name means, of a chapter its first; see `find_lessons`."""
    return find_lessons(lesson)[0]


def sync() -> list[str]:
    """Bring the student's copies up to date; print and return a line for each copy that could not be.

    A missing copy is made, and one with no changed cell gets the newer version. A copy with answers in it, or
    one that can't be read, stays exactly as it is. Answers whose exercise is in another lesson now are
    carried there, and the copy of a lesson that was cut goes to the backups, with a line. Raises
    WorkspaceError if the folder can't be written.
    """
    work, lines = work_folder(), []
    with writing(work):
        for image in [path for path in sorted(IMAGES.glob("*")) if path.suffix in {".png", ".svg", ".jpg"}]:
            write_whole(work / "images" / image.name, image.read_bytes())
        for course in sorted(NOTEBOOKS.glob("*.ipynb")):
            lines += _sync_one(course, work)
        lines += _carry_moved(work)
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
        for line in _carry_moved(work):
            print(line)
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
    for path in _free_names(stem, folder):
        try:
            with path.open("xb") as file:  # never over an earlier backup
                file.write(content)
            return path
        except FileExistsError:
            continue
    raise WorkspaceError(f"no free name for a backup in {folder}")


def _free_names(stem: str, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    for again in range(1000):
        stamp = datetime.now().strftime("%Y-%m-%dT%H%M%S") + (f"-{again}" if again else "")
        path = folder / f"{stem}.{stamp}.ipynb"
        if not path.exists():
            yield path


# Answers whose exercise is in another lesson now --------------------------------------------------------


def _carry_moved(work: Path) -> Iterator[str]:
    """Carry answers into the lessons that hold their exercises now; a line for each copy that had some.

    Whatever interrupts this, the next call goes on: an answer that is there already is not written again, and
    a copy leaves `work` only when its answers are elsewhere.
    """
    stems = [path.stem for path in NOTEBOOKS.glob("*.ipynb")]
    if (homes := _homes()) is None:
        return
    standing = {path.stem for path in (work / ".origin").glob("*.ipynb")}.intersection(stems)
    for stem in sorted(standing):
        yield from _carry_from_standing(f"{stem}.ipynb", work, homes)
    for stem in sorted(set(lessons.CUT).difference(stems)):
        if set(lessons.CUT[stem]) <= set(stems):  # with one still to come, so may be an answer's new home
            yield from _retire(f"{stem}.ipynb", work, homes)


def _homes() -> dict[str, Path] | None:
    """The course's notebook that holds each exercise, by its cell's id; None while one can't be read."""
    homes = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if (cells := _origin(path)) is None:
            return None
        homes |= {cell["id"]: path for cell in cells if cell.get("id", "").startswith("exercise-")}
    return homes


def _retire(name: str, work: Path, homes: dict[str, Path]) -> Iterator[str]:
    """Carry the answers of a lesson that was cut, and move its copy to the backups."""
    copy, origin = work / name, work / ".origin" / name
    if not copy.exists():  # untouched and removed, or in the backups already
        origin.unlink(missing_ok=True)
        return
    mine, first = _origin(copy), _origin(origin)
    if mine is not None and first is not None and _sources(mine) == _sources(first):
        copy.unlink()
        origin.unlink()
        return
    answers = _answers(mine or [], first)
    carried = _put(answers, work, homes)
    backup = next(_free_names(copy.stem, work / "backups"))
    copy.rename(backup)
    origin.unlink(missing_ok=True)
    left = {"answers": len(answers) - len(carried)} | _others(mine or [], first or mine or [])
    only = ", ".join(f"{what} {count}" for what, count in left.items() if count)
    became = lessons.listed(lessons.CUT[copy.stem])
    yield (
        f"{copy.stem} was cut into sittings: it is {became} now. Carried over: answers {len(carried)}. "
        f"Your old copy is {backup}{f'; only there: {only}' if only else ''}."
    )


def _carry_from_standing(name: str, work: Path, homes: dict[str, Path]) -> Iterator[str]:
    """Carry the answers to exercises that have left a lesson, once: the copy itself stays as it is."""
    mine, first = _origin(work / name), _origin(work / ".origin" / name)
    if mine is None:
        return
    note = work / ".origin" / "carried.json"
    done = _noted(note)
    gone = {
        key: cell
        for key, cell in _answers(mine, first).items()
        if homes.get(key, NOTEBOOKS / name).name != name and key not in done
    }
    if carried := _put(gone, work, homes):
        write_whole(note, json.dumps(sorted({*done, *carried})).encode())
        where = lessons.listed(sorted({homes[key].stem for key in carried}))
        yield f"{Path(name).stem}: answers {len(carried)} went with their exercises to {where}."


def _noted(note: Path) -> list[str]:
    try:
        return [key for key in json.loads(note.read_text(encoding="utf-8")) if isinstance(key, str)]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def _answers(mine: list[dict], first: list[dict] | None) -> dict[str, dict]:
    """The exercises that the student has filled, by the id of their cell."""
    stubs = {cell.get("id"): _source(cell) for cell in first or []}
    found = {}
    for cell in mine:
        key, source = cell.get("id", ""), _source(cell)
        untouched = source == stubs[key] if key in stubs else STUB in source
        if key.startswith("exercise-") and source.strip() and not untouched:
            found[key] = cell
    return found


def _others(mine: list[dict], first: list[dict]) -> dict[str, int]:
    """How many cells a student has added, and how many of the lesson's own, no exercises, are changed."""
    pristine = {cell.get("id"): _source(cell) for cell in first}
    rest = [cell for cell in mine if _source(cell).strip() and not cell.get("id", "").startswith("exercise-")]
    return {
        "cells of your own": sum(cell.get("id") not in pristine for cell in rest),
        "changed cells of the lesson": sum(
            pristine.get(cell.get("id"), _source(cell)) != _source(cell) for cell in rest
        ),
    }


def _put(answers: dict[str, dict], work: Path, homes: dict[str, Path]) -> list[str]:
    """Write answers over the stubs in the copies that hold their exercises now; return which are there."""
    there = []
    for home in sorted({homes[key] for key in answers if key in homes}):
        copy = work / home.name
        if not copy.exists():
            list(_sync_one(home, work))
        try:
            content = copy.read_bytes()
            _cells(content)
        except (OSError, ValueError):
            continue
        notebook = json.loads(content)
        cells = {cell.get("id"): cell for cell in notebook["cells"]}
        versions = [_origin(home) or [], _origin(work / ".origin" / home.name) or []]
        stubs = {(cell.get("id"), _source(cell)) for version in versions for cell in version}
        changed = False
        for key in [key for key in answers if homes.get(key) == home and key in cells]:
            if (key, _source(cells[key])) in stubs:
                cells[key] |= {"source": answers[key]["source"], "outputs": [], "execution_count": None}
                changed = True
            if _source(cells[key]) == _source(answers[key]):
                there.append(key)
        if changed:
            write_whole(copy, (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode())
    return there


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

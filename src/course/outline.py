"""What the course consists of: its sittings, read from the built notebooks, and three paths through them.

A lesson is one sitting; a notebook of the interview half may hold several, each begun by a heading.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from course import lessons
from course.paths import ROOT
from walkforward.errors import WalkForwardError

NOTEBOOKS, PATHS = ROOT / "notebooks", ROOT / "src" / "lessons" / "paths.yaml"
MARK = re.compile(r"^## Sitting \d+ · (.+)$", re.MULTILINE)
TIME = re.compile(r"\*\*Time\*\* (\d+) minutes\b")
PROMISE = re.compile(r"^After this (?:lesson|walkthrough),? (.+?)\.?$", re.DOTALL)


class OutlineError(WalkForwardError, ValueError):
    """There is no such path, or the file of the paths can't be read; the message says what to do."""


@dataclass(frozen=True)
class Sitting:
    """An hour's work: a lesson, or a part of a notebook of several (then `part` counts them from 1)."""

    stem: str
    part: int
    title: str
    minutes: int | None
    exercises: tuple[str, ...]

    @property
    def name(self) -> str:
        """The lesson's name, with the number of the part where there are several."""
        return f"{self.stem} {self.part}" if self.part else self.stem

    @property
    def number(self) -> str:
        """As a reader says it: "13b", "I3.2"."""
        return lessons.number(self.stem) + (f".{self.part}" if self.part else "")


@dataclass(frozen=True)
class Lesson:
    """A notebook: its title without the number, its promise, its sittings, the lessons that it needs."""

    stem: str
    title: str
    promise: str
    sittings: tuple[Sitting, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """A path through the course: its sittings in order, and what it takes for granted, by lesson."""

    name: str
    title: str
    about: str
    sittings: tuple[Sitting, ...]
    assumed: dict[str, str]


def read(notebook: Path) -> Lesson:
    """Return what a built notebook says of itself."""
    cells = [
        (cell["cell_type"], cell.get("id", ""), "".join(cell["source"]))
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    ]
    stem = notebook.stem
    head = next((source for kind, _, source in cells if kind == "markdown"), "")
    _, _, title = head.partition("\n")[0].partition(" · ")
    sentence = " ".join(head.partition("\n\n")[2].partition("\n\n")[0].split())
    promise = match[1] if (match := PROMISE.match(sentence)) else sentence
    prose = "\n\n".join(source for _, _, source in takewhile(lambda cell: cell[0] == "markdown", cells))
    box = re.search(r"Before you start.*?(?=\n> *\n|\n(?!>)|\Z)", prose, re.DOTALL)
    clauses = [
        clause for clause in (box[0] if box else "").split(";") if not re.search(r"\bhelps?\b", clause)
    ]
    needs = tuple(re.findall(r"\]\((\w+)\.ipynb", ";".join(clauses)))
    return Lesson(stem, title, promise, tuple(_sittings(stem, title, cells)), needs)


def _sittings(stem: str, title: str, cells: list[tuple[str, str, str]]) -> Iterator[Sitting]:
    marks = [at for at, (kind, _, source) in enumerate(cells) if kind == "markdown" and MARK.search(source)]
    parts = list(zip(marks, [*marks[1:], None], strict=False)) or [(0, None)]
    for part, (start, end) in enumerate(parts, 1):
        prose = "\n\n".join(source for kind, _, source in cells[start:end] if kind == "markdown")
        said = TIME.search(prose)
        names = [
            key.removeprefix("exercise-")
            for _, key, _ in cells[start if part > 1 else 0 : end]
            if key.startswith("exercise-")
        ]
        yield Sitting(
            stem,
            part if marks else 0,
            MARK.search(prose)[1] if marks else title,
            int(said[1]) if said else None,
            tuple(names),
        )


def course(notebooks: Path | None = None) -> list[Lesson]:
    """Return the lessons that are built and can be read, in order."""
    found = []
    for path in sorted((notebooks or NOTEBOOKS).glob("*.ipynb")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            found.append(read(path))
    return found


def paths(notebooks: Path | None = None, file: Path = PATHS) -> list[Route]:
    """Return the paths with the sittings that exist; for one that is not cut yet, the lesson it is in."""
    there = {lesson.stem: lesson.sittings for lesson in course(notebooks)}
    try:
        return [_path(entry, there) for entry in yaml.safe_load(file.read_text(encoding="utf-8"))]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise OutlineError(f"{file.name} can't be read ({why}): restore it with git") from error


def _path(entry: dict[str, Any], there: dict[str, tuple[Sitting, ...]]) -> Route:
    found: dict[str, Sitting] = {}
    names = list(there) if entry["sittings"] == "all" else entry["sittings"]
    for name in names:
        stem, _, part = name.partition(" ")
        sittings = there.get(stem) or there.get(lessons.before(stem), ())
        chosen = sittings[int(part) - 1 :][:1] if part and len(sittings) > 1 else sittings
        found |= {one.name: one for one in chosen}
    return Route(
        entry["name"], entry["title"], entry["about"], tuple(found.values()), entry.get("assumed", {})
    )


def path_named(name: str, notebooks: Path | None = None) -> Route:
    """Return one path by its name; OutlineError for another."""
    known = {path.name: path for path in paths(notebooks)}
    if name not in known:
        raise OutlineError(f"there is no path {name!r}; there is {', '.join(known)}")
    return known[name]


def done(path: Route, passed: set[str]) -> set[str]:
    """Return the names of a path's sittings that are done, by the exercises that were passed.

    Done is a sitting whose exercises are all passed; one that has none, when a later one was begun.
    """
    begun = [bool(passed.intersection(one.exercises)) for one in path.sittings]
    return {
        one.name
        for at, one in enumerate(path.sittings)
        if (passed.issuperset(one.exercises) if one.exercises else any(begun[at:]))
    }


def unmet(path: Route, course: list[Lesson]) -> list[str]:
    """Return a line for each lesson that a sitting of the path needs and that does not come before it."""
    by_stem, walked, found = {lesson.stem: lesson for lesson in course}, set(), []
    for one in path.sittings:
        for need in by_stem[one.stem].needs:
            names = {need, lessons.before(need), *lessons.CUT.get(need, ())[:1]}  # before and after a cut
            if not names & (walked | path.assumed.keys() | {one.stem}):
                found.append(f"path {path.name}: {one.stem} needs {need}, which does not come before it")
        walked.add(one.stem)
    return found


def links(path: Route, folder: str = "") -> str:
    """Return a path's sittings as Markdown links by number; `folder` leads from the page to the notebooks."""
    return " · ".join(f"[{one.number}]({folder}{one.stem}.ipynb)" for one in path.sittings)


def described(path: Route, folder: str = "", extent: str = "") -> str:
    """Return a path as an item of a Markdown list: its name, how long it is, what for, its sittings.

    `extent` follows the number of sittings; `folder` leads from the page to the notebooks.
    """
    row = f"- **{path.title}** (`{path.name}`), {len(path.sittings)} sittings{extent}: {path.about}."
    if path.name != "course":  # its links would be those of every lesson
        row += f" {links(path, folder)}."
    if path.assumed:
        row += f" It takes for granted that you know {'; '.join(path.assumed.values())}."
    return row


def fill(markdown: str) -> str:
    """Replace a line `{{ path: interview }}` by that path's links, and `{{ paths }}` by a list of all."""
    for template, made in (
        (r"^\{\{ *path: *(\w+) *\}\}$", lambda line: links(path_named(line[1]))),
        (r"^\{\{ *paths *\}\}$", lambda _: "\n".join(map(described, paths()))),
    ):
        markdown = re.sub(template, made, markdown, flags=re.MULTILINE)
    return markdown

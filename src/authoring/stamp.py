"""What a notebook's outputs depend on, as names and short hashes in its metadata; nothing is executed here.

The names come from the execution, where `offline/sitecustomize.py` records in the kernel and in all that it
starts what is really run, imported and read; `used` makes names of that record. Three need no record: the
code cells, the module of exercises that the header names, and this build. `inputs` hashes what the names
stand for today, so a notebook is stale exactly when one of its own names has another hash:

src/walkforward/plots.py          the code as parsed: no comment, no layout, no docstring that no output shows
text of src/course/data/tables.py  a module that was read as text, by `inspect.getsource` say: every character
data/trips/2019-01.parquet        every other file: its content
files in data/questions           the names in a folder that was listed
pin of shap                       its versions in requirements.txt
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from authoring.lesson import Course, Lesson

BUILD_VERSION = "2"
"""Raise it when the same sources must give other outputs (another environment for the kernel, say)."""

PIN, TEXT, NAMES = "pin of ", "text of ", "files in "
MISSING = "missing"
NOT_OURS = ("build", "work")  # what lies in a checkout and is not of the course; hidden folders neither
HOOK = ("src", "authoring", "offline")  # a profiler reads its text by chance, where a thread stands just then
LISTED = ("data", "benchmarks", "src/projects")
AS_WRITTEN = ("src/lessons/", "src/projects/")  # solutions and projects are shown, comments included
HINTS = "src/course/exercise"  # shows docstrings, but those of the exercises alone
ASKS_FOR_DOCSTRINGS = re.compile(
    r"__doc__|\bgetdoc\b|\bhelp\(|^\s*(?:\?{1,2}[\w.]+|[\w.]+\?{1,2})\s*$", re.MULTILINE
)
# Decorators of Python's own show no docstring; click makes help texts of them, and who knows what others do.
SILENT = frozenset(
    "abstractmethod cache cached_property classmethod contextmanager dataclass lru_cache overload property "
    "setter staticmethod wraps".split()
)


def inputs(course: Course, lesson: Lesson, notebook: Any, used: Iterable[str]) -> dict[str, str]:
    """Return a short hash for each thing the outputs depend on; `used`: the names that the execution gave."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    written = [[cell.id, cell.source, cell.metadata.get("tags", [])] for cell in code]
    docstrings = any(ASKS_FOR_DOCSTRINGS.search(cell.source) for cell in code)
    # A card in a lesson may point into that lesson: what is being written is no input of itself.
    names = set(used) - {f"notebooks/{lesson.stem}.ipynb"}
    if lesson.exercises.exists():
        names.add(_relative(course, lesson.exercises))
    locked = versions(course)
    found = {"build": BUILD_VERSION, "code": _short(json.dumps(written).encode())}
    for name in sorted(names):
        if name.startswith(PIN):
            found[name] = " ".join(locked.get(name.removeprefix(PIN), [])) or MISSING
        else:
            found[name] = _hash(course, name, docstrings)
    return found


def names_in(stored: dict[str, str]) -> set[str]:
    """Return the names that an execution gave to the `inputs` of a stored notebook."""
    return set(stored) - {"build", "code"}


def used(course: Course, record: Iterable[str]) -> set[str]:
    """Return the names of what was used, from the lines that the hook in the kernel wrote."""
    locked, names = versions(course), set()
    for line in record:
        what, _, place = line.partition(" ")
        path = Path(place)
        if what == "run" and (owners := _distributions_of(path)):
            names |= {PIN + name for name in owners if name in locked}
        elif name := _of_the_course(course, path):
            names |= _names(course, what, name)
    # Who is read as text has its code in there, too.
    return names - {name.removeprefix(TEXT) for name in names if name.startswith(TEXT)}


def edited_since(course: Course, used: Iterable[str], moment: float) -> list[str]:
    """Return the files written after `moment` (seconds since 1970): was the old or the new one executed?"""
    files = {name.removeprefix(TEXT) for name in used if not name.startswith((PIN, NAMES))}
    return sorted(name for name in files if (course.root / name).stat().st_mtime > moment)


def _of_the_course(course: Course, path: Path) -> str | None:
    """Return the path from the checkout on; None for what is no part of the course or is gone again."""
    root = course.root.resolve()
    if not path.is_relative_to(root) or not path.exists():
        return None
    inner = path.relative_to(root)
    for part in inner.parts:
        if part.startswith((".", "__pycache__")) or part.endswith((".egg-info", "-packages")):
            return None
    ours = inner.parts[0] not in NOT_OURS and inner.parts[:3] != HOOK
    return inner.as_posix() if ours else None


def _names(course: Course, what: str, name: str) -> set[str]:
    listed = {NAMES + name} if name.startswith(LISTED) else set()
    if what == "list":
        return listed
    if what == "tree":
        for path in sorted((course.root / name).rglob("*")):
            if inner := _of_the_course(course, path):
                listed |= _names(course, "list" if path.is_dir() else "read", inner)
        return listed
    if what == "read" and name.startswith("src/lessons/exercises/"):
        return set()  # each exercise is searched for in all modules; the one that holds it is run
    as_text = what == "read" and name.endswith(".py") and not name.startswith(AS_WRITTEN)
    return {TEXT + name if as_text else name}


# The lock --------------------------------------------------------------------------------------------------


def versions(course: Course) -> dict[str, list[str]]:
    """Return the versions of each package in the lock; more than one where systems differ."""
    found: dict[str, list[str]] = {}
    for line in _text(course.root / "requirements.txt").splitlines():
        name, _, version = line.partition(";")[0].strip().partition("==")
        if version:
            found.setdefault(name, []).append(version)
    return found


def pinned(notebook: Any) -> set[str]:
    """Return the packages that a stored notebook's outputs depend on."""
    stored = notebook.metadata.get("walkforward", {}).get("inputs", {})
    return {name.removeprefix(PIN) for name in stored if name.startswith(PIN)}


def _distributions_of(place: Path) -> set[str]:
    """Return whose a folder below site-packages is, a module that lies there itself, or a program."""
    if place.parent == Path(sys.executable).parent:
        return _owners().get(f"../{place.name}", set())
    at = [position for position, part in enumerate(place.parts) if part in ("site-packages", "dist-packages")]
    return _owners().get("/".join(place.parts[at[-1] + 1 :]), set()) if at else set()


@cache
def _owners() -> dict[str, set[str]]:
    """Return the packages that own each folder in site-packages; a namespace's subfolders have their own."""
    owners: dict[str, set[str]] = {}
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", distribution.name).lower()
        for line in (distribution.read_text("RECORD") or "").splitlines():
            folder, _, file = line.rsplit(",", 2)[0].strip('"').rpartition("/")
            place = f"../{file}" if folder.startswith("../") else folder or file
            owners.setdefault(place, set()).add(name)
    return owners


# What the names stand for ----------------------------------------------------------------------------------


def _hash(course: Course, name: str, docstrings: bool) -> str:
    if name.startswith(NAMES):
        folder = course.root / name.removeprefix(NAMES)
        there = sorted(
            path.name for path in folder.glob("*") if not path.name.startswith((".", "__pycache__"))
        )
        return _short("\n".join(there).encode()) if folder.is_dir() else MISSING
    path = course.root / name.removeprefix(TEXT)
    if not path.is_file():
        return MISSING
    # Text by its lines: git may hand out other line ends on another system.
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return _short(path.read_bytes())
    if path.suffix != ".py" or name.startswith((TEXT, *AS_WRITTEN)):
        return _short(content.encode())
    own = name.startswith(HINTS) or ASKS_FOR_DOCSTRINGS.search(content) is not None
    return _short(as_parsed(content, docstrings or own).encode())


@cache  # twenty lessons share most modules
def as_parsed(source: str, docstrings: bool = False) -> str:
    """Return code as one line in which layout and comments leave no trace, the same in every Python.

    Docstrings go as well, unless `docstrings`; those that a library may show stay: of what a decorator takes,
    and of models (pydantic, MLflow). What can't be parsed is returned as it is.
    """
    try:
        return json.dumps(_plain(ast.parse(source), docstrings))
    except SyntaxError:
        return source


def _plain(node: Any, docstrings: bool) -> Any:
    """Return a node as lists and texts; fields that are empty are left out, as each Python has others."""
    if isinstance(node, list):
        return [_plain(one, docstrings) for one in node]
    if not isinstance(node, ast.AST):
        return ascii(node)  # repr shows what this Python's Unicode can print
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    for name in ("ctx", "kind", "type_comment"):
        fields.pop(name, None)
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        text = ast.get_docstring(node, clean=False)
        if text is not None and not (docstrings or _may_show_docstring(node)):
            fields["body"] = node.body[1:]
        elif text is not None:
            fields["body"] = [inspect.cleandoc(text), *node.body[1:]]
    if isinstance(node, ast.JoinedStr):
        fields["values"] = _joined(node.values)
    return [type(node).__name__, {name: _plain(value, docstrings) for name, value in fields.items()}]


def _joined(values: list[ast.expr]) -> list[Any]:
    """Return the parts of an f-string, neighbouring texts as one: how they are cut depends on the Python."""
    parts: list[Any] = []
    for value in values:
        text = value.value if isinstance(value, ast.Constant) else None
        if isinstance(text, str) and parts and isinstance(parts[-1], str):
            parts[-1] += text
        elif text != "":
            parts.append(text if isinstance(text, str) else value)
    return parts


def _may_show_docstring(node: ast.AST) -> bool:
    if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Model") for base in node.bases):
        return True
    called = [one.func if isinstance(one, ast.Call) else one for one in getattr(node, "decorator_list", [])]
    return any(ast.unparse(one).rpartition(".")[2] not in SILENT for one in called)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _relative(course: Course, path: Path) -> str:
    return path.relative_to(course.root).as_posix()

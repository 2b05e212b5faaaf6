"""The parameters of a lesson: which names its cell gives, and what `-p NAME TEXT` means there."""

from __future__ import annotations

import ast
import contextlib
import glob
import json
import math
import re
from pathlib import Path
from typing import Any

from course.files import WorkspaceError

COMPUTED = object()  # the default of a name whose value is no literal
PATHS = re.compile(r".*_path|my_story")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # a scheme, or the drive of a Windows path
A_LIST = "\"['one', 'two']\""


def defaults(notebook: Any) -> dict[str, Any]:
    """Return each name of the cell tagged `parameters` with its default (`COMPUTED` if that is no literal).

    Every assignment of the cell counts: of one name, of several at once, with a type. SyntaxError when the
    cell is no Python.
    """
    from IPython.core.inputtransformer2 import TransformerManager  # for a student's `%magic`

    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    found: dict[str, Any] = {}
    for cell in tagged[:1]:
        for node in ast.parse(TransformerManager().transform_cell(cell.source)).body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    found |= _named(target, node.value)
    return found


def _named(target: ast.expr, value: ast.expr | None) -> dict[str, Any]:
    if isinstance(target, ast.Name):
        return {target.id: _literal(value)}
    if isinstance(target, ast.Starred):
        return _named(target.value, None)
    if not isinstance(target, ast.Tuple | ast.List):  # an attribute, an item: no name of its own
        return {}
    parts = getattr(value, "elts", [])
    starred = any(isinstance(part, ast.Starred) for part in [*target.elts, *parts])
    values = parts if len(parts) == len(target.elts) and not starred else [None] * len(target.elts)
    return {
        name: one for pair in zip(target.elts, values, strict=True) for name, one in _named(*pair).items()
    }


def _literal(value: ast.expr | None) -> Any:
    with contextlib.suppress(ValueError, TypeError, SyntaxError):
        return ast.literal_eval(value) if value is not None else COMPUTED
    return COMPUTED


def read(name: str, text: str, default: Any) -> Any:
    """Return what `text` means for a parameter with this default; WorkspaceError when it means nothing.

    A default that is a text keeps texts (`2020-10`, `1.10`, `007`); a number, a truth value and a list want
    their like; `null` and None are None. A path is the user's, relative to where they stand: see `_path`.
    """
    if PATHS.fullmatch(name):
        return _paths(name, text)
    value = _typed(text)
    if value is None:
        return None
    if isinstance(default, str):
        quoted = isinstance(value, str) and text[:1] in ("'", '"')
        return value if quoted else text
    wanted = {
        "true or false": (isinstance(default, bool), isinstance(value, bool)),
        "a number": (_is_number(default), _is_number(value)),
        f"a list, such as {A_LIST}": (isinstance(default, list | tuple), isinstance(value, list)),
    }
    for what, (asked, given) in wanted.items():
        if asked and not given:
            raise WorkspaceError(f"{name} is {text!r}: give {what} (the lesson has {default!r})")
    whole = isinstance(default, int) and isinstance(value, float) and value.is_integer()  # 1e3
    return int(value) if whole else value


def _typed(text: str) -> Any:
    """Read a number, true, false, null or a list as what it is, and anything else as text."""
    for reader in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            value = reader(text)
            value = list(value) if isinstance(value, tuple) else value
            return value if isinstance(value, str | int | float | list | dict | None) else text
    return text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _paths(name: str, text: str) -> Any:
    """A path, or a list of paths; None for `null`, which stands for the course's own file."""
    value = text if _is_there(Path(text)) else _typed(text)
    if value is None:
        return None
    if not isinstance(value, list):
        return _path(name, value if isinstance(value, str) else text)
    if not value or not all(isinstance(one, str) for one in value):
        raise WorkspaceError(f"{name} is {text!r}: give a file, or a list such as {A_LIST}")
    return [_path(name, one) for one in value]


def _path(name: str, text: str) -> str:
    """The path as the user means it, made absolute, since a lesson runs in another folder.

    `~` is the home; `{month}` stays, and some file must fit it. A URI and a pattern with `*` are the loader's
    to judge. What is nowhere is a WorkspaceError that says where it was looked for.
    """
    if not text.strip():
        raise WorkspaceError(f"{name} is empty: give a file's path or URL")
    path = Path(text)
    with contextlib.suppress(RuntimeError):  # `~somebody` who has no home here
        path = path.expanduser()
    path = path.absolute()
    by_month = "{month}" in text and glob.glob(glob.escape(str(path)).replace("{month}", "*"))  # noqa: PTH207
    if _is_there(path) or by_month:
        return str(path)
    if URI.match(text):
        return text
    if re.search(r"[*?\[]", text):
        return str(path)
    raise WorkspaceError(f"{name} is {text!r}, and there is no {path}: give a file's path or URL")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long; a folder that may not be looked into
        return False

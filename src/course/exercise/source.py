"""Exercise modules as text: which exercises there are, their stubs and solutions; and the TODO of a stub.

Modules are read without running them, so that listing a whole course costs milliseconds.
"""

import ast
import difflib
import importlib.util
import sys
import textwrap
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from course.paths import ROOT
from walkforward.errors import WalkForwardError

FOLDER = ROOT / "src" / "lessons" / "exercises"


class ExerciseError(WalkForwardError, ValueError):
    """An exercise is asked for, or written, in a way that can't work."""

    def _render_traceback_(self) -> list[str]:  # IPython: the message is all a student needs
        return [f"{type(self).__name__}: {self}"]


class NotAttempted(RuntimeError):
    """Raised by a `TODO` that is computed with."""


class _Todo:
    """Stands where the student's answer goes; computing with it says so."""

    def __repr__(self) -> str:
        return "TODO: replace this with your answer"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what Python and Jupyter ask of every object
            raise AttributeError(name)
        return self._refuse()

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotAttempted("there is still a TODO here: replace it with your answer")

    __call__ = __getitem__ = __iter__ = __len__ = __bool__ = __float__ = __lt__ = __gt__ = __le__ = __ge__ = (
        _refuse
    )
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = (
        _refuse
    )


TODO = _Todo()


def _solutions(path: Path) -> dict[str, ast.FunctionDef]:
    """Return the functions under `@right` by name, in the order of the file."""
    try:
        state = path.stat()
        return _parsed(path, state.st_mtime_ns, state.st_size)
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise ExerciseError(f"{path.name} can't be read ({error}): restore it with git") from error


@lru_cache(maxsize=256)
def _parsed(path: Path, _changed: int, _size: int) -> dict[str, ast.FunctionDef]:
    # Each check looks through the whole course: a file is parsed again only when it has changed.
    found: dict[str, ast.FunctionDef] = {}
    for node in ast.parse(path.read_text(encoding="utf-8"), filename=path.name).body:
        if isinstance(node, ast.FunctionDef) and any(
            _is_right(decorator) for decorator in node.decorator_list
        ):
            if node.name in found:
                raise ExerciseError(f"{path.name} has two exercises called {node.name!r}: rename one")
            found[node.name] = node
    return found


def _is_right(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).split("(")[0].split(".")[-1] == "right"


def names(path: Path | str) -> list[str]:
    """Return the names of the exercises in a module, in order."""
    return list(_solutions(Path(path)))


def find(name: str, folder: Path | None = None) -> Path:
    """Return the module that holds the exercise `name`; `ExerciseError` if none or two do."""
    modules = sorted(path for path in (folder or FOLDER).glob("*.py") if not path.name.startswith("_"))
    course = {path: names(path) for path in modules}
    homes = [path for path, held in course.items() if name in held]
    if len(homes) == 1:
        return homes[0]
    if homes:
        raise ExerciseError(
            f"{name!r} is in {' and in '.join(p.name for p in homes)}: names are unique, rename one"
        )
    known = [known for held in course.values() for known in held]
    near = difflib.get_close_matches(name, known, n=3) or known
    raise ExerciseError(f"no exercise is called {name!r}; there is {', '.join(near) or 'none yet'}")


def load(path: Path | str) -> ModuleType:
    """Run an exercise module afresh and return it, so that no earlier answer can have changed its data."""
    path = Path(path)
    spec = importlib.util.spec_from_file_location(f"walkforward_exercises_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look their module up
    spec.loader.exec_module(module)
    return module


def _cut(path: Path | str, name: str) -> tuple[ast.FunctionDef, list[str], int]:
    """Return the solution's node, the lines of its file, and the number of the last docstring line."""
    solutions = _solutions(Path(path))
    if name not in solutions:
        raise ExerciseError(
            f"{Path(path).name} has no exercise {name!r}; it has {', '.join(solutions) or 'none'}"
        )
    node = solutions[name]
    if ast.get_docstring(node) is None:
        raise ExerciseError(f"{name}: the solution needs a docstring, it is the task that students read")
    return node, Path(path).read_text(encoding="utf-8").splitlines(), node.body[0].end_lineno


def _is_value(node: ast.FunctionDef) -> bool:
    return any(
        "value=True" in ast.unparse(decorator) for decorator in node.decorator_list if _is_right(decorator)
    )


def stub_source(path: Path | str, name: str) -> str:
    """Return the cell that a student starts from: the task, and a `TODO` in the place of the answer."""
    node, lines, doc_end = _cut(path, name)
    if not _is_value(node):
        head = "\n".join(lines[node.lineno - 1 : doc_end])
        return f"{head}\n    return TODO  # replace this line with your answer"
    task = [f"# {line}".rstrip() for line in ast.get_docstring(node).splitlines()]
    return "\n".join([*task, f"{name} = TODO  # replace this with your answer"])


def solution_source(path: Path | str, name: str) -> str:
    """Return the solution as a cell: the function, or for a value the body with `return` as an assignment."""
    node, lines, doc_end = _cut(path, name)
    if not _is_value(node):
        return "\n".join(lines[node.lineno - 1 : node.end_lineno])
    last = node.body[-1]
    if not isinstance(last, ast.Return):
        raise ExerciseError(f"{name}: the solution of a value exercise must end with a return")
    cut = last.lineno - 1
    lines[cut] = lines[cut].replace("return", f"{name} =", 1)
    return textwrap.dedent("\n".join(lines[doc_end : node.end_lineno]))

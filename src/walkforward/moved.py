"""Names of earlier versions: what imports `walkforward.data` still runs, and is told where it went."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from walkforward.errors import needs_extra

MOVED = {
    "walkforward.cli": "course.cli",
    "walkforward.columns": "course.data.columns",
    "walkforward.data": "course.data",
    "walkforward.exercise": "course.exercise",
    "walkforward.interview": "course.practice.bank",
    "walkforward.monitor": "course.monitor",
    "walkforward.paths": "course.paths",
    "walkforward.schemas": "course.data.schemas",
    "walkforward.servers": "course.servers",
    "walkforward.tables": "course.data.tables",
    "walkforward.checked": "walkforward.serving.check",
    "walkforward.coded": "walkforward.serving.encodings",
    "walkforward.compiled": "walkforward.serving.predictor",
    "walkforward.forests": "walkforward.serving.forests",
    "walkforward.meter": "walkforward.serving.meter",
    "walkforward.rows": "walkforward.serving.rows",
}


class _Finder(MetaPathFinder, Loader):
    """Gives the module of today for a name of before."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = moved(spec.name)
        self.own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own  # the import has put that of the old name there


def install() -> None:
    """Let the old names be imported. Once is enough; again changes nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def moved(name: str) -> ModuleType:
    """Return the module that has the old name's content, and say in one line where it is.

    Raises: ModuleNotFoundError, where what it needs is not installed; it names the extra.
    """
    today = MOVED[name]
    warnings.warn(f"{name} is {today} now: import that.", DeprecationWarning, stacklevel=_caller())
    with needs_extra("course" if today.startswith("course") else "serve", f"{name} is {today} now, which"):
        return importlib.import_module(today)


def _caller() -> int:
    """How far up the code is that imports; Python leaves its own frames of an import out of the count."""
    ours = {__file__, str(Path(__file__).with_name("__init__.py"))}
    depth, frame = 1, sys._getframe(1)
    while frame.f_back and (frame.f_code.co_filename in ours or "importlib" in frame.f_code.co_filename):
        depth, frame = depth + (frame.f_code.co_filename in ours), frame.f_back
    return depth

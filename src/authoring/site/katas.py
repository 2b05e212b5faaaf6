"""Pack what the browser needs to check a kata of I1: the course's own checks, nothing rewritten."""

from __future__ import annotations

import inspect
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from authoring.site.bank import short
from course.exercise.source import load, names, stub_source
from course.files import write_whole
from course.paths import ROOT

KATAS = ROOT / "src" / "lessons" / "exercises" / "I1_coding.py"
PARTS = (
    "src/walkforward/__init__.py",
    "src/walkforward/errors.py",
    "src/walkforward/moved.py",
    "src/course/__init__.py",
    "src/course/paths.py",
    "src/course/progress.py",
    "src/course/exercise/__init__.py",
    "src/course/exercise/result.py",
    "src/course/exercise/source.py",
    "src/lessons/exercises/I1_coding.py",
)
# What the checks import and the browser's Python has not: of platformdirs one call, of NumPy nothing.
STANDS_IN = {
    "src/platformdirs.py": "def user_state_dir(*_, **__):\n    return 'walkforward'\n",
    "src/numpy.py": (
        "def __getattr__(name):\n"
        "    if name.startswith('__'):\n"
        "        raise AttributeError(name)\n"
        "    raise ImportError('NumPy is not in the browser; in the notebook it is. This kata needs none')\n"
    ),
}


def entries(path: Path = KATAS) -> list[dict[str, Any]]:
    """Return the katas in order: name, task, stub, and how many checks each has."""
    module, found = load(path), []
    for name in names(path):
        solution = getattr(module, name)
        task = short(inspect.getdoc(solution).partition("\n")[0])
        checks = len(solution.exercise.checks)
        found.append({"name": name, "task": task, "stub": stub_source(path, name), "checks": checks})
    return found


def packed() -> bytes:
    """Return the archive, the same bytes from the same files."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in [(part, (ROOT / part).read_bytes()) for part in PARTS] + [
            (name, text.encode()) for name, text in STANDS_IN.items()
        ]:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def write(target: Path) -> None:
    """Write katas.zip and katas.json."""
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / "katas.zip", packed())
    text = json.dumps(entries(), ensure_ascii=False, separators=(",", ":"))
    write_whole(target / "katas.json", text.encode())

"""An executed lesson against its stored notebook: which cells give something else than what readers see.

Executed is the lesson with every exercise filled in, stored is the blank one. An answer changes its own cell
and what the checks say of it; every other cell must give what is stored, to the last character. Figures may
differ in a pixel of a thousand: another processor rounds a line's edge differently.
"""

from __future__ import annotations

import base64
import difflib
import io
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from authoring import build, stamp
from authoring.notebook import settled

ROOT = Path(__file__).resolve().parents[1]
ANSWER = "exercise-"  # how the ids of the cells begin that hold an answer
CHECK = re.compile(r"(?:exercise\.)?check\((\w+)(?:=\w+)?\)\s*")
IGNORED = "nbval-ignore-output"  # the tag of a cell that shows what this machine has
PIXELS = 0.001  # the share of a figure's pixels that may differ
SHOWN = 12  # lines of a difference, in the report


def reference(course: build.Course) -> tuple[bool, str]:
    """Say whether outputs are compared here, and why or why not.

    Stored outputs are those of Linux on x86-64 with Python 3.11 and the locked versions; anywhere else the
    lessons must run, and their outputs may differ in the last digits. Only the versions count of what some
    notebook imports.
    """
    here = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    executed = "notebooks: executed, outputs not compared"
    if (sys.platform, platform.machine(), sys.version_info[:2]) != ("linux", "x86_64", (3, 11)):
        return False, f"{executed} ({here} is not the reference)"
    notebooks = [build.load(path) for path in sorted(course.notebooks.glob("*.ipynb"))]
    imported = set().union(*(stamp.pinned(notebook) for notebook in notebooks if notebook))
    for name, locked in stamp.versions(course).items():
        if name in imported:
            try:
                found = version(name)
            except PackageNotFoundError:
                continue
            if found not in locked:
                return False, f"{executed} ({name} {found}, not {' or '.join(locked)})"
    return True, f"notebooks: outputs compared with what is stored ({here}, locked versions)"


def code(notebook: Any) -> list[Any]:
    """Return the code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def answers(notebook: Any) -> list[str]:
    """Return the names of the exercises in a notebook, in order."""
    return [cell.id.removeprefix(ANSWER) for cell in code(notebook) if cell.id.startswith(ANSWER)]


def checked(cell: Any, names: list[str]) -> str | None:
    """Return the exercise whose check a cell is, and nothing but that check."""
    called = CHECK.fullmatch(cell.source)
    return called[1] if called and called[1] in names else None


def unpassed(notebook: Any) -> list[str]:
    """Return a line for each exercise that no check calls passed."""
    faults, names = [], answers(notebook)
    for name in names:
        said = [shown(cell.outputs) for cell in code(notebook) if checked(cell, names) == name]
        if not said:
            faults.append(f"exercise {name}: no cell is its check alone")
        faults += [
            f"exercise {name}: filled with its solution, its check says {text.partition(chr(10))[0]!r}"
            for text in said
            if not text.startswith(f"✓ {name}: ")
        ]
    return faults


def differences(stored: Any, executed: Any) -> list[str]:
    """Return a report for each cell whose outputs are not the stored ones, answers and their checks apart."""
    if stored is None:
        return ["there is no stored notebook: build it"]
    names = answers(stored)
    there, now = code(stored), code(executed)
    if [cell.id for cell in there] != [cell.id for cell in now]:
        return ["the stored notebook has other cells than the lesson: build it"]
    faults = []
    for count, (old, new) in enumerate(zip(there, now, strict=True), 1):
        if old.id.startswith(ANSWER) or checked(old, names) or IGNORED in old.metadata.get("tags", []):
            continue
        found = settled(new.outputs, count)
        if found != old.outputs and not only_pixels_differ(old.outputs, found):
            first = (old.source.strip().splitlines() or [""])[0]
            report = difference(old.outputs, found)
            faults.append(f"cell {old.id} ({first[:60]}) gives other outputs:\n{report}")
    return faults


def shown(outputs: list[Any]) -> str:
    """Return outputs as lines: streams and texts, the other forms of them by their kind, errors by name."""
    parts = []
    for output in outputs:
        if output.output_type == "stream":
            parts.append(output.text if output.name == "stdout" else f"[{output.name}]\n{output.text}")
        elif output.output_type == "error":
            parts.append(f"{output.ename}: {output.evalue}")
        else:
            parts += [text for kind, text in output.data.items() if kind == "text/plain"]
    return "\n".join(parts)


def difference(old: list[Any], new: list[Any]) -> str:
    """Return the first lines of the difference between what is shown, else what else it is."""
    before, after = shown(old).splitlines(), shown(new).splitlines()
    lines = list(difflib.unified_diff(before, after, "stored", "now", lineterm="", n=1))
    if not lines:
        kinds = sorted({kind for output in [*old, *new] for kind in output.get("data", {})} - {"text/plain"})
        return f"  the same text, another {' or '.join(kinds) or 'kind of output'}"
    more = [f"… {len(lines) - SHOWN} lines more"] if len(lines) > SHOWN else []
    return "\n".join(f"  {line}" for line in lines[:SHOWN] + more)


def only_pixels_differ(old: list[Any], new: list[Any]) -> bool:
    """Tell whether outputs are the same but for a few pixels in their figures."""
    return (
        [without_pictures(output) for output in old] == [without_pictures(output) for output in new]
        and len(pictures(old)) == len(pictures(new))
        and all(same_picture(*pair) for pair in zip(pictures(old), pictures(new), strict=True))
    )


def pictures(outputs: list[Any]) -> list[str]:
    """Return the PNGs in outputs, encoded as they are stored."""
    return [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def without_pictures(output: Any) -> dict[str, Any]:
    """Return an output whose PNG is replaced by a word."""
    plain = dict(output)
    if "image/png" in output.get("data", {}):
        plain["data"] = {**output.data, "image/png": "a picture"}
    return plain


def same_picture(old: str, new: str) -> bool:
    """Tell whether two PNGs are equal but for one pixel in a thousand."""
    from PIL import Image

    first, second = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA")).astype(int)
        for text in (old, new)
    )
    return first.shape == second.shape and bool((abs(first - second).max(axis=-1) > 16).mean() <= PIXELS)

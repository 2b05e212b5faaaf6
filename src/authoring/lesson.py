"""A lesson as it is written: where a course keeps it, its header and its cells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


class LessonError(ValueError):
    """A lesson's source can't be turned into a notebook; the message says where and what to do."""


@dataclass(frozen=True)
class Course:
    """Where a course keeps its files; tests make small ones."""

    root: Path

    @property
    def lessons(self) -> Path:
        return self.root / "src" / "lessons"

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def drafts(self) -> Path:
        """Where a lesson with faults is left for its author to look at."""
        return self.root / "build" / "lessons"

    def sources(self, chosen: list[str] | tuple[str, ...] = ()) -> list[Path]:
        """Return the lesson sources, all or those whose name starts with one of `chosen`."""
        found = sorted(self.lessons.glob("[0-9I]*_*.py"))  # 00 to 17, and I1 to I5 of the interview half
        if not chosen:
            return found
        for name in chosen:
            if not any(path.stem.startswith(Path(name).stem) for path in found):
                known = ", ".join(path.stem for path in found) or "none yet"
                raise LessonError(f"no lesson starts with {name!r}; there are: {known}")
        return [path for path in found if path.stem.startswith(tuple(Path(name).stem for name in chosen))]


@dataclass
class Lesson:
    """One lesson source: its header and its cells as written."""

    path: Path
    header: dict[str, Any]
    cells: list[Any] = field(default_factory=list)

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def exercises(self) -> Path:
        """The module with this lesson's exercises; it need not be there."""
        return self.path.parent / "exercises" / self.path.name

    def text(self) -> str:
        """Return all that is written for the lesson: its cells and its exercises."""
        cells = "\n\n".join(cell.source for cell in self.cells)
        module = self.exercises.read_text(encoding="utf-8") if self.exercises.exists() else ""
        return f"{cells}\n\n{module}"

    @property
    def ci(self) -> dict[str, Any]:
        """The parameters with which tests run the lesson small."""
        return dict(self.header.get("ci") or {})


def read_lesson(path: Path) -> Lesson:
    """Read a py:percent source.

    Raises LessonError if the header is no YAML or the lesson has not exactly one cell tagged `parameters`.
    """
    import jupytext

    text = path.read_text(encoding="utf-8")
    block = re.match(r"# ---\n((?:#.*\n)*?)# ---\n", text)
    header: dict[str, Any] = {}
    if block:
        try:
            written = yaml.safe_load(re.sub(r"^# ?", "", block[1], flags=re.MULTILINE)) or {}
        except yaml.YAMLError as error:
            raise LessonError(f"{path.name}: its header is not YAML: {error}") from None
        header = written.get("walkforward") or (written.get("jupyter") or {}).get("walkforward") or {}
    cells = [cell for cell in jupytext.reads(text, fmt="py:percent").cells if cell.cell_type != "raw"]
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise LessonError(
            f"{path.name}: {len(tagged)} cells are tagged `parameters`; a lesson has exactly one "
            '(# %% tags=["parameters"])'
        )
    return Lesson(path, header, cells)

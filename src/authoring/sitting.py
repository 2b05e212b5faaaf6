r"""How long a sitting takes and how it reads: counted in the built notebook, held to the course's limits.

Study minutes = words / 150 + 8 s a line of code to read + 20 s a figure or table + 8 min an exercise + 2 min
a prompt to predict first (a Markdown cell with `**Predict first.**` in it). A lesson is one sitting. A
notebook of the interview half may hold several, each begun by a cell with `## Sitting 2 · Title` and measured
by itself.
"""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from authoring import deprecations
from course.outline import MARK, TIME

if TYPE_CHECKING:
    from authoring.lesson import Lesson

ALSO_RIGHT = 2  # right answers in other styles that each exercise keeps beside its wrong ones
PREDICT = "**Predict first.**"
_UNREAD = re.compile(r"<!--.*?-->|^```.*?^```|\]\([^)]*\)", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(r"^\|[ :-]+\|", re.MULTILINE)


@dataclass(frozen=True)
class Sitting:
    """What is counted in one sitting."""

    name: str  # the lesson's stem, with the sitting's number where there are several
    words: int
    cells: int  # of code
    lines: int  # of code to read: not of an exercise and its check
    median: float  # lines of a code cell
    p90: int
    longest: int  # words of the longest Markdown cell, outside of tables
    setup: int  # lines of code after the parameters before the first output or heading, without imports
    shown: int  # figures and tables
    exercises: int
    prompts: int
    said: int | None  # the minutes that the box gives

    @property
    def minutes(self) -> int:
        """Study minutes by the formula."""
        seconds = 60 * self.words / 150 + 8 * self.lines + 20 * self.shown
        return round(seconds / 60 + 8 * self.exercises + 2 * self.prompts)

    @property
    def rounded(self) -> int:
        """What the box says: the minutes, rounded up to 5."""
        return -(-self.minutes // 5) * 5


@dataclass(frozen=True)
class Limit:
    """The most that a measure may be, and what to do above it."""

    measure: str
    most: int
    what: str
    way_out: str


LIMITS = (
    Limit("minutes", 60, "minutes of study", "cut words, code or an exercise, or make it two sittings"),
    Limit("words", 1_800, "words", "cut asides and second examples, or make it two sittings"),
    Limit(
        "cells", 26, "code cells", "join what is one step, drop what teaches nothing, or make it two sittings"
    ),
    Limit("median", 6, "lines in the median code cell", "split cells, or move helpers into a module"),
    Limit(
        "p90", 14, "lines in nine of ten code cells", "split the long cells, or move helpers into a module"
    ),
    Limit("longest", 150, "words outside of tables in one Markdown cell", "put code between, or cut"),
    Limit("setup", 15, "lines of set-up before the first idea", "load later, or move it into a module"),
)


def measure(notebook: Any, stem: str) -> list[Sitting]:
    """Return the measures of each sitting of an executed notebook; one without a mark is one sitting."""
    starts = [
        position
        for position, cell in enumerate(notebook.cells)
        if cell.cell_type == "markdown" and MARK.search(cell.source)
    ]
    if not starts:
        return [_measured(stem, notebook.cells, TIME.search(_prose(notebook.cells)))]
    found = []
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], None], strict=True), 1):
        said = TIME.search(_prose(notebook.cells[start:end]))
        cells = notebook.cells[
            0 if number == 1 else start : end
        ]  # what stands before the first is read in it
        found.append(_measured(f"{stem}, sitting {number}", cells, said))
    return found


def _prose(cells: Sequence[Any]) -> str:
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def _lines(cell: Any) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def _measured(name: str, cells: Sequence[Any], said: re.Match[str] | None) -> Sitting:
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    read = [_UNREAD.sub("", source) for source in prose]
    plain = [" ".join(line for line in text.splitlines() if not line.startswith("|")) for text in read]
    code = [cell for cell in cells if cell.cell_type == "code"]
    sizes = sorted(map(_lines, code)) or [0]
    exercises = sum(cell.id.startswith("exercise-") for cell in code)
    told = [cell for cell in code if "check(" not in cell.source]
    to_read = [cell for cell in told if not cell.id.startswith("exercise-")]
    shown = sum(any(map(_is_shown, cell.outputs)) for cell in told)
    shown += sum(bool(_TABLE.search(source)) + source.count("```mermaid") for source in prose)
    return Sitting(
        name=name,
        words=sum(len(text.split()) for text in read),
        cells=len(code),
        lines=sum(map(_lines, to_read)),
        median=statistics.median(sizes),
        p90=sizes[int(0.9 * (len(sizes) - 1))],
        longest=max((len(text.split()) for text in plain), default=0),
        setup=_setup(cells),
        shown=shown,
        exercises=exercises,
        prompts=sum(PREDICT in source for source in prose),
        said=int(said[1]) if said else None,
    )


def _is_shown(output: Any) -> bool:
    return not {"image/png", "text/html"}.isdisjoint(output.get("data", {}))


def _setup(cells: Sequence[Any]) -> int:
    """Return the lines of code between the parameters and the first output or heading, without imports."""
    tagged = [place for place, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    if not tagged:
        return 0
    lines = 0
    for cell in cells[tagged[0] + 1 :]:
        if cell.cell_type == "code":
            if cell.outputs:
                return lines
            lines += _lines(cell) - _import_lines(cell.source)
        elif re.search(r"^## ", cell.source, re.MULTILINE):
            return lines
    return lines


def _import_lines(source: str) -> int:
    try:
        nodes = ast.parse(source).body
    except SyntaxError:  # a magic
        return 0
    imports = (node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))
    return sum(node.end_lineno - node.lineno + 1 for node in imports)


# The gate --------------------------------------------------------------------------------------------------


def faults(lesson: Lesson, notebook: Any) -> list[str]:
    """Return a line for each measure above its limit, wrong minutes in a box, too few other right answers."""
    found = []
    sittings = measure(notebook, lesson.stem)
    for one in sittings:
        where = one.name.removeprefix(lesson.stem).removeprefix(", ") or "the sitting"
        for limit in LIMITS:
            value = getattr(one, limit.measure)
            if value > limit.most:
                found.append(f"{where}: {value:,} {limit.what}, at most {limit.most:,}; {limit.way_out}")
        if one.said != one.rounded:
            says = "no minutes" if one.said is None else f"{one.said} minutes"
            found.append(
                f"{where}: its **Time** says {says}, the formula gives {one.minutes}; "
                f"write `**Time** {one.rounded} minutes of study`"
            )
    found += _box_of_several(notebook, sittings)
    return found + _tables(lesson) + _right_answers(lesson)


def _box_of_several(notebook: Any, sittings: list[Sitting]) -> list[str]:
    """The box of a notebook of several sittings gives their sum."""
    if len(sittings) < 2:
        return []
    whole = _prose(notebook.cells)
    said = TIME.search(whole[: MARK.search(whole).start()])
    total = sum(one.rounded for one in sittings)
    if said and int(said[1]) == total:
        return []
    says = f"{said[1]} minutes" if said else "no minutes"
    return [
        f"the box's **Time** says {says}, its {len(sittings)} sittings take {total}; "
        f"write `**Time** {total} minutes of study, in {len(sittings)} sittings`"
    ]


def _tables(lesson: Lesson) -> list[str]:
    prose, text = _prose(lesson.cells), lesson.text()
    tables = len(deprecations.WHAT_CHANGED.findall(prose))
    found = [f"{tables} «What changed» tables, at most one; join them"] if tables > 1 else []
    return found + [
        f"the lesson uses no call of what_changed's topic {topic!r}; take the topic out"
        for topic in deprecations.topics_of(prose)
        if not deprecations.rows_of(topic, text)
    ]


def _right_answers(lesson: Lesson) -> list[str]:
    kept = also_right(lesson.exercises)
    asked = [cell.metadata["exercise"] for cell in lesson.cells if cell.metadata.get("exercise")]
    return [
        f"exercise {name}: {kept[name]} right answers in other styles, at least {ALSO_RIGHT}; "
        f"write them under @also_right({name}) in exercises/{lesson.exercises.name}"
        for name in asked
        if kept[name] < ALSO_RIGHT
    ]


def also_right(module: Path) -> Counter[str]:
    """Return how many `@also_right` answers a module holds for each exercise, without running it."""
    kept: Counter[str] = Counter()
    if not module.exists():
        return kept
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "also_right":
                kept.update(ast.unparse(argument) for argument in call.args[:1])
    return kept


# The table -------------------------------------------------------------------------------------------------

COLUMNS = (
    "minutes",
    "words",
    "cells",
    "lines",
    "median",
    "p90",
    "longest",
    "setup",
    "shown",
    "exercises",
    "prompts",
)


def table(sittings: list[Sitting]) -> str:
    """Return the measures as text, a row a sitting; a star marks what is above its limit."""
    limits = {limit.measure: limit.most for limit in LIMITS}
    width = max([len(one.name) for one in sittings], default=7)
    lines = [f"{'sitting':<{width}}" + "".join(f"{name:>11}" for name in COLUMNS)]
    for one in sittings:
        row = f"{one.name:<{width}}"
        for name in COLUMNS:
            value = getattr(one, name)
            over = name in limits and value > limits[name]
            row += f"{f'{value:,}' + '*' * over:>11}"
        lines.append(row)
    minutes = sum(one.rounded for one in sittings)
    return "\n".join([*lines, f"{len(sittings)} sittings, {minutes / 60:.0f} hours; * above the limit"])

"""A lesson as a notebook: its cells before the execution, its bytes on disk after it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat

from authoring import deprecations, stamp
from authoring.lesson import Course, Lesson, LessonError
from course import outline
from course.files import write_whole

FOLDED = "folded"


def generate(lesson: Lesson, solved: bool = False) -> Any:
    """Return the notebook of a lesson without outputs; `solved` fills the exercises with their solutions.

    Raises LessonError for a cell that can't be generated.
    """
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    notebook.metadata["language_info"] = {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    }
    taken: set[str] = set()
    text = lesson.text()
    for number, written in enumerate(lesson.cells, 1):
        source = written.source
        name = written.metadata.get("name")
        exercise = written.metadata.get("exercise")
        if exercise:
            if source.strip():
                raise LessonError(f"{lesson.path.name}: the cell of exercise {exercise} must be empty")
            source = _exercise_source(lesson, exercise, solved)
            name = f"exercise-{exercise}"
        if written.cell_type == "markdown":
            try:
                source = outline.fill(deprecations.fill(source, text))
            except (KeyError, outline.OutlineError) as error:
                raise LessonError(f"{lesson.path.name}: cell {number}: {error.args[0]}") from None
            cell = nbformat.v4.new_markdown_cell(source)
        else:
            cell = nbformat.v4.new_code_cell(source)
        tags = list(written.metadata.get("tags", []))
        if tags:
            cell.metadata["tags"] = tags
        if FOLDED in tags:  # JupyterLab folds what stands under this heading until it is clicked
            cell.metadata["jp-MarkdownHeadingCollapsed"] = True
        if name and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            raise LessonError(
                f"{lesson.path.name}: the cell name {name!r} may hold only letters, digits, - and _"
            )
        if name and name in taken:
            raise LessonError(f"{lesson.path.name}: two cells are named {name!r}; rename one")
        cell.id = name or _fresh_id(cell.cell_type, source, taken)
        taken.add(cell.id)
        notebook.cells.append(cell)
    return notebook


def _fresh_id(kind: str, source: str, taken: set[str]) -> str:
    # From the content, so that a new cell changes no other cell's id.
    digest = hashlib.sha256(f"{kind}\n{source}".encode()).hexdigest()[:8]
    candidate, count = digest, 1
    while candidate in taken:
        count += 1
        candidate = f"{digest}-{count}"
    return candidate


def _exercise_source(lesson: Lesson, name: str, solved: bool) -> str:
    from course import exercise

    if not lesson.exercises.exists():
        raise LessonError(f"{lesson.path.name}: there is no {lesson.exercises.name} in src/lessons/exercises")
    cut = exercise.solution_source if solved else exercise.stub_source
    try:
        return cut(lesson.exercises, name).rstrip("\n")
    except Exception as error:
        raise LessonError(f"{lesson.path.name}: exercise {name!r}: {error}") from error


# From an executed notebook to the bytes on disk ------------------------------------------------------------


def finish(
    course: Course, lesson: Lesson, generated: Any, outputs: list[list[Any]], used: Iterable[str]
) -> Any:
    """Return the notebook to store: `generated` with outputs per code cell, and nothing that varies.

    `used` are the names of what the execution used, from `stamp.used` or from an earlier stamp.
    """
    notebook = nbformat.from_dict(json.loads(json.dumps(generated)))
    remaining = iter(outputs)
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = count
        cell.outputs = settled(next(remaining, []), count)
    found = stamp.inputs(course, lesson, generated, used)
    cells = [[cell.id, cell.cell_type, cell.source, cell.metadata] for cell in generated.cells]
    source = json.dumps([cells, found], sort_keys=True).encode()
    notebook.metadata["walkforward"] = {
        "lesson": lesson.stem,
        "inputs": found,
        "source_sha256": hashlib.sha256(source).hexdigest(),
        "outputs_sha256": _outputs_hash(notebook),
    }
    return notebook


def settled(outputs: list[Any], count: int) -> list[Any]:
    """Return a cell's outputs as they are stored, without what varies between executions."""
    return [_settled(output, count) for output in _merged(outputs)]


def _outputs_hash(notebook: Any) -> str:
    stored = [[c.outputs, c.execution_count] for c in notebook.cells if c.cell_type == "code"]
    return hashlib.sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()


def _merged(outputs: list[Any]) -> list[Any]:
    """Join neighbouring pieces of one stream: how a stream is cut into messages depends on the clock."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if (
            last
            and output["output_type"] == last["output_type"] == "stream"
            and output["name"] == last["name"]
        ):
            last["text"] += output["text"]
        else:
            joined.append(dict(output))
    return joined


def _settled(output: dict[str, Any], count: int) -> Any:
    if output["output_type"] == "execute_result":
        output["execution_count"] = count
    if output["output_type"] == "error":
        # The last line is what the lesson speaks of; the frames above name paths of this machine.
        output["traceback"] = [f"{output['ename']}: {output['evalue']}"]
    return nbformat.from_dict(output)


def dumps(notebook: Any) -> str:
    """Return the notebook as the text that is stored: sorted, indented by one, ending in a line break."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def write(notebook: Any, path: Path) -> None:
    """Write atomically: whoever reads sees the old notebook or the new one."""
    write_whole(path, dumps(notebook).encode())


def load(path: Path) -> Any:
    """Return a stored notebook, None if there is none or it can't be read."""
    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError):
        return None


def stored(course: Course, lesson: Lesson, generated: Any) -> tuple[list[list[Any]], set[str]] | None:
    """Return the outputs of an earlier execution of the same code, and the names of what it used.

    None if it must be executed.
    """
    for folder in (course.notebooks, course.drafts):
        notebook = load(folder / f"{lesson.stem}.ipynb")
        about = notebook.metadata.get("walkforward", {}) if notebook else {}
        used = stamp.names_in(about.get("inputs", {}))
        same = about.get("inputs") == stamp.inputs(course, lesson, generated, used)
        if same and about.get("outputs_sha256") == _outputs_hash(notebook):
            return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"], used
    return None


def stale(course: Course, lesson: Lesson) -> list[str]:
    """Return why the stored notebook is not what the sources give; empty when it is."""
    path = course.notebooks / f"{lesson.stem}.ipynb"
    again = f"build it: python src/authoring/build.py {lesson.stem}"
    if not path.exists():
        return [f"{lesson.stem}: notebooks/{path.name} is missing; {again}"]
    there = load(path)
    if there is None:
        return [f"{lesson.stem}: notebooks/{path.name} is not a notebook; {again}"]
    about = there.metadata.get("walkforward", {})
    generated = generate(lesson)
    before = about.get("inputs", {})
    used = stamp.names_in(before)
    found = stamp.inputs(course, lesson, generated, used)
    changed = sorted(k for k in found.keys() | before.keys() if found.get(k) != before.get(k))
    outputs = [cell.outputs for cell in there.cells if cell.cell_type == "code"]
    fresh = finish(course, lesson, generated, outputs, used)
    if changed or about.get("source_sha256") != fresh.metadata.walkforward.source_sha256:
        what = ", ".join(changed) or "its text"
        return [f"{lesson.stem}: stale: {what} changed since notebooks/{path.name} was built; {again}"]
    as_stored = path.read_text(encoding="utf-8")
    if about.get("outputs_sha256") != _outputs_hash(there) or dumps(fresh) != as_stored:
        return [
            f"{lesson.stem}: notebooks/{path.name} was edited by hand; the source is src/lessons/"
            f"{lesson.path.name}; {again} --force"
        ]
    return []

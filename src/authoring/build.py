"""Builds notebooks/*.ipynb from src/lessons/*.py: generates the cells, executes them, refuses what is wrong.

python src/authoring/build.py              builds what has changed
python src/authoring/build.py 03           only the lessons whose name starts so
python src/authoring/build.py --force      builds everything
python src/authoring/build.py --check      builds nothing; a line for each fault, exit code 1 if any
python src/authoring/build.py --record     builds one at a time and writes benchmarks/lessons.md
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script: import this package, and let none of its files shadow a module
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import nbformat
import yaml

BUILD_VERSION = "1"
"""Raise it when the same sources must give other outputs (another environment for the kernel, say)."""

COMPUTES = ("numpy", "scipy", "pandas", "scikit-learn", "xgboost", "xgboost-cpu", "prophet", "matplotlib")
COMPUTES += ("mlflow", "pyarrow", "holidays", "ipykernel", "matplotlib-inline")
# These compute too, but only where they are imported: a new one must not have every lesson executed again.
COMPUTES_WHERE_IMPORTED = ("hyperopt", "optuna", "flaml")
LESSONS_AT_A_TIME = 2


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
        found = sorted(self.lessons.glob("[0-9I]*_*.py"))  # 00 to 17, and I1 to I4 of the interview half
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
    def exercises(self) -> Path | None:
        """The module with this lesson's exercises, None when it has none."""
        name = self.header.get("exercises")
        return self.path.parent / "exercises" / f"{name}.py" if name else None

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


def generate(lesson: Lesson, solved: bool = False) -> Any:
    """Return the notebook of a lesson without outputs; `solved` fills the exercises with their solutions.

    Raises LessonError for a cell that can't be generated.
    """
    from authoring import deprecations

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
                source = deprecations.fill(source)
            except KeyError as error:
                raise LessonError(f"{lesson.path.name}: cell {number}: {error.args[0]}") from None
            cell = nbformat.v4.new_markdown_cell(source)
        else:
            cell = nbformat.v4.new_code_cell(source)
        tags = list(written.metadata.get("tags", []))
        if tags:
            cell.metadata["tags"] = tags
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
    from walkforward import exercise

    if lesson.exercises is None:
        raise LessonError(
            f"{lesson.path.name}: exercise {name!r}, but the header names no `exercises` module"
        )
    if not lesson.exercises.exists():
        raise LessonError(f"{lesson.path.name}: there is no {lesson.exercises.name} in src/lessons/exercises")
    cut = exercise.solution_source if solved else exercise.stub_source
    try:
        return cut(lesson.exercises, name).rstrip("\n")
    except Exception as error:
        raise LessonError(f"{lesson.path.name}: exercise {name!r}: {error}") from error


# What a notebook depends on --------------------------------------------------------------------------------


def inputs(course: Course, lesson: Lesson, notebook: Any) -> dict[str, str]:
    """Return a short hash for each thing the outputs depend on: code, modules, data, pins, this build."""
    code = [
        [cell.id, cell.source, cell.metadata.get("tags", [])]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    found = {"code": _short(json.dumps(code).encode()), "build": BUILD_VERSION}
    starts = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    if lesson.exercises is not None and lesson.exercises.exists():
        text = _text(lesson.exercises)
        found[_relative(course, lesson.exercises)] = _short(text.encode())
        starts.append(text)
    for path in _modules(course, starts):
        found[_relative(course, path)] = _file(path)
    lock = _text(course.root / "requirements.txt").splitlines()
    found["pins"] = _pins(lock, COMPUTES)
    imported = {name.split(".")[0] for source in starts for name in _imported(source)}
    for name in sorted(imported.intersection(COMPUTES_WHERE_IMPORTED)):
        found[f"the pin of {name}"] = _pins(lock, (name,))
    found["data"] = _data(course.root / "data")
    # What a lesson shows of them was measured elsewhere.
    for record in sorted((course.root / "benchmarks" / "results").glob("*")):
        if any(f'"{record.name}"' in source for source in starts):
            found[_relative(course, record)] = _file(record)
    # A project is run as it lies there.
    for project in sorted((course.root / "src" / "projects").glob("*/")):
        if any(f'"{project.name}"' in source for source in starts):
            for path in sorted(path for path in project.rglob("*") if path.is_file()):
                if "__pycache__" not in path.parts:
                    found[_relative(course, path)] = _file(path)
    # A practice card shows a question of the bank, in the way the card has of showing it.
    if any("practice_card(" in source for source in starts):
        questions = sorted((course.root / "data" / "questions").glob("*.yaml"))
        for path in [*questions, course.root / "src" / "course" / "cards.py"]:
            found[_relative(course, path)] = _short(_text(path).encode())
    return found


def _pins(lock: list[str], names: tuple[str, ...]) -> str:
    return _short("\n".join(line for line in lock if line.split("==")[0] in names).encode())


def _modules(course: Course, sources: list[str]) -> list[Path]:
    """Return the files of our packages that `sources` import, with all that these import in turn.

    Of `course` only what `sources` name: what the helper package takes from there shows no output.
    """
    found: set[Path] = set()
    waiting = [(source, ("walkforward", "course")) for source in sources]
    while waiting:
        source, packages = waiting.pop()
        for name in _imported(source):
            parts = name.split(".")
            if parts[0] not in packages:
                continue
            for length in range(1, len(parts) + 1):
                stem = (course.root / "src").joinpath(*parts[:length])
                for path in (stem / "__init__.py", stem.with_suffix(".py")):
                    if path.is_file() and path not in found:
                        found.add(path)
                        waiting.append((_text(path), ("walkforward",)))
    return sorted(found)


def _imported(source: str) -> set[str]:
    try:
        tree = ast.parse(without_magics(source))
    except SyntaxError:
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ("walkforward." if node.level else "") + (node.module or "")
            base = base.rstrip(".")
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def without_magics(source: str) -> str:
    """Return a cell's source with the lines that only IPython understands replaced by `pass`."""
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)


def _data(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".parquet", ".csv"}:
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _file(path: Path) -> str:
    # Text by its lines: git may hand out other line ends on another system.
    try:
        return _short(path.read_text(encoding="utf-8").encode())
    except UnicodeDecodeError:
        return _short(path.read_bytes())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _relative(course: Course, path: Path) -> str:
    return path.relative_to(course.root).as_posix()


# From an executed notebook to the bytes on disk ------------------------------------------------------------


def finish(course: Course, lesson: Lesson, generated: Any, outputs: list[list[Any]]) -> Any:
    """Return the notebook to store: `generated` with outputs per code cell, and nothing that varies."""
    notebook = nbformat.from_dict(json.loads(json.dumps(generated)))
    remaining = iter(outputs)
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = count
        cell.outputs = [_settled(output, count) for output in _merged(next(remaining, []))]
    found = inputs(course, lesson, generated)
    cells = [[cell.id, cell.cell_type, cell.source, cell.metadata] for cell in generated.cells]
    source = json.dumps([cells, found], sort_keys=True).encode()
    notebook.metadata["walkforward"] = {
        "lesson": lesson.stem,
        "inputs": found,
        "source_sha256": hashlib.sha256(source).hexdigest(),
        "outputs_sha256": _outputs_hash(notebook),
    }
    return notebook


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
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(dumps(notebook))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path) -> Any:
    """Return a stored notebook, None if there is none or it can't be read."""
    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError):
        return None


def _stored_outputs(course: Course, lesson: Lesson, generated: Any) -> list[list[Any]] | None:
    """Return the outputs of an earlier execution of the same code, None if it must be executed."""
    found = inputs(course, lesson, generated)
    for folder in (course.notebooks, course.drafts):
        notebook = load(folder / f"{lesson.stem}.ipynb")
        stamp = notebook.metadata.get("walkforward", {}) if notebook else {}
        if stamp.get("inputs") == found and stamp.get("outputs_sha256") == _outputs_hash(notebook):
            return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    return None


def stale(course: Course, lesson: Lesson) -> list[str]:
    """Return why the stored notebook is not what the sources give; empty when it is."""
    path = course.notebooks / f"{lesson.stem}.ipynb"
    again = f"build it: python src/authoring/build.py {lesson.stem}"
    if not path.exists():
        return [f"{lesson.stem}: notebooks/{path.name} is missing; {again}"]
    stored = load(path)
    if stored is None:
        return [f"{lesson.stem}: notebooks/{path.name} is not a notebook; {again}"]
    stamp = stored.metadata.get("walkforward", {})
    generated = generate(lesson)
    found = inputs(course, lesson, generated)
    before = stamp.get("inputs", {})
    changed = sorted(k for k in found.keys() | before.keys() if found.get(k) != before.get(k))
    outputs = [cell.outputs for cell in stored.cells if cell.cell_type == "code"]
    fresh = finish(course, lesson, generated, outputs)
    if changed or stamp.get("source_sha256") != fresh.metadata.walkforward.source_sha256:
        what = ", ".join(changed) or "its text"
        return [f"{lesson.stem}: stale: {what} changed since notebooks/{path.name} was built; {again}"]
    if stamp.get("outputs_sha256") != _outputs_hash(stored) or dumps(fresh) != _text(path):
        return [
            f"{lesson.stem}: notebooks/{path.name} was edited by hand; the source is src/lessons/"
            f"{lesson.path.name}; {again} --force"
        ]
    return []


# The two things a user does --------------------------------------------------------------------------------


@dataclass
class Built:
    """What came of one lesson: faults, seconds of execution (None when nothing was executed)."""

    stem: str
    faults: list[str]
    seconds: float | None = None


def build_one(course: Course, path: Path, runner: Any, force: bool = False, on_cell: Any = None) -> Built:
    """Generate, execute if the code or what it uses changed, check, and store one lesson."""
    from authoring import lint

    try:
        lesson = read_lesson(path)
        generated = generate(lesson)
    except LessonError as error:
        return Built(path.stem, [str(error)])
    if not force and not stale(course, lesson):
        faults = lint.faults(course, lesson, load(course.notebooks / f"{lesson.stem}.ipynb"))
        return Built(path.stem, faults)
    outputs = None if force else _stored_outputs(course, lesson, generated)
    seconds = None
    faults: list[str] = []
    if outputs is None:
        outcome = runner.run(generated, on_cell=on_cell or (lambda: None))
        seconds = outcome.seconds
        faults = [f"{lesson.stem}: {fault}" for fault in outcome.faults]
        outputs = [cell.outputs for cell in outcome.notebook.cells if cell.cell_type == "code"]
    notebook = finish(course, lesson, generated, outputs)
    broken = bool(faults)
    # After an error the later cells have no outputs, so their numbers would all be reported as well.
    faults += lint.faults(course, lesson, notebook, numbers=not broken)
    draft = course.drafts / f"{lesson.stem}.ipynb"
    if faults:
        if broken:
            notebook.metadata.walkforward["inputs"] = {}
        write(notebook, draft)
        faults.append(f"{lesson.stem}: what it looks like now: build/lessons/{draft.name}")
    else:
        write(notebook, course.notebooks / draft.name)
        draft.unlink(missing_ok=True)
    return Built(lesson.stem, faults, seconds)


def build(
    course: Course, chosen: list[str], force: bool = False, at_a_time: int = LESSONS_AT_A_TIME
) -> list[Built]:
    """Build the lessons, `at_a_time`, with a bar over their cells; Ctrl-C ends all and leaves nothing."""
    from tqdm import tqdm

    from authoring.execute import Runner, Stopped

    paths = course.sources(chosen)
    runner = Runner()
    results: list[Built] = []
    bar = tqdm(total=len(paths), unit="lesson", desc="lessons", disable=None, dynamic_ncols=True)
    cells = 0

    def on_cell() -> None:
        nonlocal cells
        cells += 1
        bar.set_postfix_str(f"{cells} cells executed")

    with ThreadPoolExecutor(at_a_time) as pool:
        waiting = [pool.submit(build_one, course, path, runner, force, on_cell) for path in paths]
        try:
            for future in as_completed(waiting):
                built = future.result()
                results.append(built)
                bar.update()
                took = "nothing to execute" if built.seconds is None else f"{built.seconds:.1f} s"
                bar.write(f"{built.stem}: {'FAULTS, ' if built.faults else ''}{took}", file=sys.stdout)
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            runner.stop()
            if not isinstance(error, Stopped):
                raise
        finally:
            bar.close()
    return sorted(results, key=lambda built: built.stem)


def check(course: Course, chosen: list[str] | tuple[str, ...] = ()) -> list[str]:
    """Return a line for each fault of the stored notebooks and their sources; nothing is executed."""
    faults: list[str] = []
    sources = course.sources(chosen)
    for path in sources:
        faults += check_one(course, path)
    if not chosen:
        faults += orphans(course)
        if not sources:
            faults.append(f"there is no lesson in {course.lessons}")
    return faults


def check_one(course: Course, path: Path) -> list[str]:
    """Return the faults of one lesson and its stored notebook."""
    from authoring import lint

    try:
        lesson = read_lesson(path)
        old = stale(course, lesson)
    except LessonError as error:
        return [str(error)]
    return old or lint.faults(course, lesson, load(course.notebooks / f"{lesson.stem}.ipynb"))


def orphans(course: Course) -> list[str]:
    """Return a line for each notebook without a source."""
    stems = {path.stem for path in course.sources()}
    return [
        f"notebooks/{path.name} has no source in src/lessons; delete it or write src/lessons/{path.stem}.py"
        for path in sorted(course.notebooks.glob("*.ipynb"))
        if path.stem not in stems
    ]


def record(course: Course, built: list[Built]) -> Path:
    """Write benchmarks/lessons.md: seconds per lesson, executed one at a time, on this machine.

    Lessons that were not built keep their row; a row without a lesson goes.
    """
    import platform

    path = course.root / "benchmarks" / "lessons.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    seconds = dict(re.findall(r"^\| (\w+) \| (\d+) \|$", text, re.MULTILINE))
    seconds |= {one.stem: f"{one.seconds:.0f}" for one in built if one.seconds is not None}
    lines = [
        "# Seconds per lesson",
        "",
        f"From an empty kernel to the last cell, one lesson at a time, {os.cpu_count()} cores, "
        f"{platform.system()}, Python {platform.python_version()}. Rebuild with "
        "`python src/authoring/build.py --record`.",
        "",
        "| lesson | seconds |",
        "|---|---:|",
    ]
    stems = [source.stem for source in course.sources()]
    lines += [f"| {stem} | {seconds[stem]} |" for stem in stems if stem in seconds]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "lessons", nargs="*", metavar="LESSON", help="how a lesson's name starts; default: all"
    )
    parser.add_argument("--force", action="store_true", help="execute even what has not changed")
    parser.add_argument("--check", action="store_true", help="only say what is stale or wrong")
    parser.add_argument("--record", action="store_true", help="execute one at a time, write the times down")
    parser.add_argument(
        "--root", type=Path, default=Path(__file__).resolve().parents[2], help=argparse.SUPPRESS
    )
    options = parser.parse_args(arguments)
    course = Course(options.root.resolve())
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.perf_counter()
    try:
        if options.check:
            faults = check(course, options.lessons)
            print("\n".join(faults) or "every notebook is what its source gives")
            return 1 if faults else 0
        force = options.force or options.record
        built = build(course, options.lessons, force, 1 if options.record else LESSONS_AT_A_TIME)
    except LessonError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nstopped: no notebook is half written, no kernel is left; run again to go on",
            file=sys.stderr,
        )
        return 130
    faults = [fault for one in built for fault in one.faults]
    for fault in faults:
        print(fault, file=sys.stderr)
    if options.record and not faults:
        print(f"times are in {_relative(course, record(course, built))}")
    print(f"{len(built)} lessons in {time.perf_counter() - started:.1f} s, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

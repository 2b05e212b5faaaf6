"""Builds notebooks/*.ipynb from src/lessons/*.py: generates the cells, executes them, refuses what is wrong.

python src/authoring/build.py              builds what has changed
python src/authoring/build.py 03           only the lessons whose name starts so
python src/authoring/build.py --force      builds everything
python src/authoring/build.py --check      builds nothing; a line for each fault, exit code 1 if any
python src/authoring/build.py --sittings   builds nothing; prints how long each sitting takes and how it reads
python src/authoring/build.py --readme     builds nothing; writes the table and the paths of README.md
python src/authoring/build.py --record     builds one at a time and writes benchmarks/lessons.md
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a script: import this package, and let none of its files shadow a module
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from authoring import lint, readme, sitting, stamp
from authoring.execute import Runner, Stopped
from authoring.lesson import Course, Lesson, LessonError, read_lesson
from authoring.notebook import finish, generate, load, stale, stored, write
from authoring.record import record

__all__ = ["Built", "Course", "Lesson", "LessonError", "build", "build_one", "check", "check_one", "generate"]
__all__ += ["load", "main", "measures", "orphans", "read_lesson"]

LESSONS_AT_A_TIME = 2


# The two things a user does --------------------------------------------------------------------------------


@dataclass
class Built:
    """What came of one lesson: faults, seconds of execution (None when nothing was executed)."""

    stem: str
    faults: list[str]
    seconds: float | None = None


def build_one(course: Course, path: Path, runner: Any, force: bool = False, on_cell: Any = None) -> Built:
    """Generate, execute if the code or what it uses changed, check, and store one lesson."""
    try:
        lesson = read_lesson(path)
        generated = generate(lesson)
    except LessonError as error:
        return Built(path.stem, [str(error)])
    if not force and not stale(course, lesson):
        faults = lint.faults(course, lesson, load(course.notebooks / f"{lesson.stem}.ipynb"))
        return Built(path.stem, faults)
    earlier = None if force else stored(course, lesson, generated)
    seconds = None
    faults: list[str] = []
    if earlier is not None:
        outputs, used = earlier
    else:
        started = time.time()
        outcome = runner.run(generated, on_cell=on_cell or (lambda: None))
        seconds = outcome.seconds
        faults = [f"{lesson.stem}: {fault}" for fault in outcome.faults]
        outputs = [cell.outputs for cell in outcome.notebook.cells if cell.cell_type == "code"]
        used = stamp.used(course, outcome.record)
        if edited := stamp.edited_since(course, used, started):
            what = ", ".join(edited)
            faults.append(f"{lesson.stem}: {what} changed while the lesson was executed; build it again")
    notebook = finish(course, lesson, generated, outputs, used)
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

    paths = course.sources(chosen)
    runner = Runner(course.root)
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


def measures(course: Course, chosen: list[str] | tuple[str, ...] = ()) -> list[sitting.Sitting]:
    """Return the measures of each sitting, from the notebooks that are built."""
    found: list[sitting.Sitting] = []
    for path in course.sources(chosen):
        notebook = load(course.notebooks / f"{path.stem}.ipynb")
        found += sitting.measure(notebook, path.stem) if notebook else []
    return found


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
    parser.add_argument("--sittings", action="store_true", help="print the measures of the built notebooks")
    parser.add_argument("--readme", action="store_true", help="write the made parts of README.md")
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
        if options.sittings:
            print(sitting.table(measures(course, options.lessons)))
            return 0
        if options.readme:
            readme.write(course)
            return 0
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
    if options.record:
        path = record(course, {one.stem: one.seconds for one in built if not one.faults})
        readme.write(course)
        print(f"times are in {path.relative_to(course.root).as_posix()} and in README.md")
    print(f"{len(built)} lessons in {time.perf_counter() - started:.1f} s, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs lessons from top to bottom and writes an HTML report of each, with outcome and seconds in a table."""

import contextlib
import html
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from course.execute import CellError, cell_errors, execute, load, one_line, with_parameters
from course.files import WorkspaceError, write_whole, writing
from course.servers import QUIET
from course.student import workspace
from course.student.parameters import defaults, read


@dataclass
class Outcome:
    """What came of one lesson: `fault` is one line, or empty when it ran to its end."""

    lesson: str
    seconds: float
    fault: str


def run_lessons(lessons: list[str], parameters: dict[str, str]) -> int:
    """Run the student's copies and report; see `run`.

    All, when none is named, and of a chapter all its sittings.
    """
    named = [path for lesson in lessons for path in workspace.find_lessons(lesson)]
    courses = named or sorted(workspace.NOTEBOOKS.glob("*.ipynb"))
    if not courses:
        raise WorkspaceError("there are no lessons yet: `make lessons` builds them")
    workspace.sync()
    work = workspace.work_folder()
    return run([work / course.name for course in dict.fromkeys(courses)], parameters, work / "reports")


def run(copies: list[Path], parameters: dict[str, str], reports: Path) -> int:
    """Run notebooks, leaving them as they are, and write `reports`/<lesson>.html and index.html.

    Each parameter goes to the lessons that have it; one that none has, and a value that it can't have, is a
    WorkspaceError before anything runs. A lesson that fails is reported with its cell, and the next one is
    run. Returns 1 if any failed, else 0.
    """
    known = {copy: _parameters(copy) for copy in copies}
    if unknown := [name for name in parameters if not any(name in names for names in known.values())]:
        there = ", ".join(sorted({name for names in known.values() for name in names})) or "none"
        raise WorkspaceError(f"no lesson here has a parameter {unknown[0]!r}; there is {there}")
    given = {
        copy: {
            name: read(name, text, known[copy][name])
            for name, text in parameters.items()
            if name in known[copy]
        }
        for copy in copies
    }
    os.environ.update(QUIET | {"JUPYTER_PREFER_ENV_PATH": "1"})  # kernels inherit it
    outcomes = []
    for number, copy in enumerate(copies, start=1):
        started = time.perf_counter()
        fault = _run_one(copy, given[copy], reports, f"{copy.stem} ({number} of {len(copies)})")
        outcomes.append(Outcome(copy.stem, time.perf_counter() - started, fault))
    for outcome in outcomes:
        print(f"{outcome.lesson:<36}{'failed' if outcome.fault else 'ok':<8}{outcome.seconds:7.1f} s")
        if outcome.fault:
            print(f"    {outcome.fault}")
    with writing(reports):
        write_whole(reports / "index.html", _index(outcomes).encode())
    print(f"Report: {reports / 'index.html'}")
    return int(any(outcome.fault for outcome in outcomes))


def _parameters(copy: Path) -> dict[str, Any]:
    try:
        notebook = load(copy)
    except Exception:  # an unreadable copy is reported when its turn to run comes
        return {}
    try:
        return defaults(notebook)
    except SyntaxError:  # and so is its cell
        return {}


def _run_one(copy: Path, given: dict[str, Any], reports: Path, title: str) -> str:
    try:
        notebook = load(copy)
    except Exception as error:
        return f"can't be read: {one_line(error)}"
    notebook = with_parameters(notebook, given)
    broke_off = _execute(notebook, copy.parent, title)
    fault = next((_said(error) for error in cell_errors(notebook)), broke_off)
    with writing(reports):
        write_whole(reports / f"{copy.stem}.html", _page(notebook, copy).encode())
    return fault


def _execute(notebook: Any, folder: Path, title: str) -> str:
    """Execute in place; return what ended it early, if anything but an error in a cell did."""
    faults, done = [], threading.Event()

    def work() -> None:
        try:
            faults.append(
                execute(
                    notebook,
                    folder=folder,
                    progress_bar={"desc": title, "leave": False, "disable": None},
                    extra_arguments=[
                        "--log-level=ERROR"
                    ],  # or each kernel says that 127.0.0.1 is not encrypted
                )
            )
        finally:
            done.set()

    # In a thread, because on the main one the notebook client would take Ctrl-C for a dead kernel and go on.
    before = {process.pid for process in psutil.Process().children()}
    threading.Thread(target=work, daemon=True).start()
    try:
        while not done.wait(0.2):
            pass
    except BaseException:
        while not done.wait(0.2):  # what the kernel has started ends with it, see course.servers
            for process in psutil.Process().children():
                if process.pid not in before:
                    with contextlib.suppress(psutil.Error):
                        process.kill()
        raise
    return faults[0] if faults else ""


def _said(error: CellError) -> str:
    return f"cell [{error.cell.execution_count}]: {error.name}: {' '.join(error.message.split())}"


def _page(notebook: Any, copy: Path) -> str:
    from nbconvert import HTMLExporter

    resources = {"metadata": {"name": copy.stem, "path": str(copy.parent)}}
    return HTMLExporter(embed_images=True).from_notebook_node(notebook, resources=resources)[0]


def _index(outcomes: list[Outcome]) -> str:
    rows = "".join(
        f'<tr><td><a href="{quote(o.lesson)}.html">{html.escape(o.lesson)}</a></td>'
        f"<td>{'failed' if o.fault else 'ok'}</td><td>{o.seconds:.1f}</td>"
        f"<td>{html.escape(o.fault)}</td></tr>\n"
        for o in outcomes
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Lessons run</title>'
        "<style>body{font-family:sans-serif} td,th{padding:.3em 1em;text-align:left}</style>\n"
        f"<table><tr><th>Lesson</th><th>Outcome</th><th>Seconds</th><th></th></tr>\n{rows}</table></html>\n"
    )

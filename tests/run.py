"""Proves the whole repository in one pytest run: `python tests/run.py`; what follows goes to pytest.

Two workers; what belongs together (a notebook's cells, a file's tests) stays on one. Everything runs with the
network closed but for loopback. Notebooks are executed twice in a row, side by side with each other, in one
folder with a space in its name. The time by part is printed at the end; a part without tests is an error.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from authoring import build, stamp  # noqa: E402
from authoring.execute import environment, left_running  # noqa: E402

LESSONS, SOLVED, UNIT = "lint, stale notebooks", "lessons solved, papermill", "unit tests"
NOTEBOOKS, EXERCISES, DATA = "notebooks twice, nbval", "exercises, workspace", "data"
RED, BROWSER = "red proofs", "browser"
PARTS = (LESSONS, UNIT, NOTEBOOKS, SOLVED, EXERCISES, DATA, RED, BROWSER)


def part_of(nodeid: str) -> str:
    """Return the part of the proof that a test belongs to."""
    file, _, test = nodeid.partition("::")
    name = Path(file).name
    if name.endswith(".ipynb"):
        return NOTEBOOKS
    if name == "test_lessons.py":
        return SOLVED if test.startswith("test_solved") else LESSONS
    for start, part in (
        ("test_exercise", EXERCISES),
        ("test_workspace", EXERCISES),
        ("test_data", DATA),
        ("test_red", RED),
        ("test_stamp", RED),
        ("test_browser", BROWSER),
        ("test_lint", LESSONS),
    ):
        if name.startswith(start):
            return part
    return UNIT


def group_of(nodeid: str) -> str:
    """Return what a test must share a worker with: the cells of a notebook, the tests of a file.

    A notebook and its second copy (`-again`) share a folder and run one after the other. A lesson that is
    executed solved shares that with the tests of the lesson, which read what came out.
    """
    file, _, test = nodeid.partition("::")
    if file.endswith(".ipynb"):
        return Path(file).stem.removesuffix("-again")
    if lesson := re.match(r"test_solved\[([^_]+)_", test):
        own = Path(file).with_name(f"test_lesson_{lesson[1]}.py")
        return own.as_posix() if (ROOT / own).exists() else nodeid
    return file


class Parts:
    """Adds up the tests' seconds by part, and turns an empty part or a used network into an error."""

    def __init__(self, narrowed: bool, compared: str) -> None:
        self.narrowed = narrowed
        self.compared = compared
        self.seconds: Counter[str] = Counter()
        self.outcomes: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
        self.started = time.perf_counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        from xdist.scheduler import LoadScopeScheduling

        class ByGroup(LoadScopeScheduling):
            # xdist's own `loadgroup` does not see its marks under pytest 9.2.
            def _split_scope(self, nodeid: str) -> str:
                return group_of(nodeid)

        return ByGroup(config, log)

    def pytest_report_header(self) -> str:
        return self.compared

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        part = part_of(report.nodeid)
        self.seconds[part] += report.duration
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[part][report.outcome] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        faults = []
        log = Path(os.environ["WALKFORWARD_OFFLINE_LOG"])
        if log.exists():
            faults.append("a test or a lesson reached for the network: " + log.read_text(encoding="utf-8"))
        spared = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
        left = left_running(str(log), spared)
        if left:
            faults.append("a test or a lesson left a process running: " + "; ".join(left))
        if not self.narrowed:
            faults += [f"no test of the part «{part}» ran" for part in PARTS if not self.outcomes[part]]
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        for fault in faults:
            session.exitstatus = 1
            report = pytest.CollectReport("tests/run.py", "failed", fault, None)
            reporter.stats.setdefault("error", []).append(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        say = terminalreporter.write_line
        terminalreporter.section("time by part")
        for part in PARTS:
            counted = ", ".join(f"{count} {what}" for what, count in sorted(self.outcomes[part].items()))
            say(f"{part:<28}{self.seconds[part]:7.1f} s   {counted or 'nothing ran'}")
        say(f"{'by the clock, two at a time':<28}{time.perf_counter() - self.started:7.1f} s")
        say(self.compared)


def how_to_compare() -> tuple[str, str]:
    """Return nbval's option here, and a line that says why.

    Stored outputs are those of Linux on x86-64 with Python 3.11 and the locked versions; anywhere else
    the notebooks must run, and their outputs may differ in the last digits. Only the versions count of what
    some notebook imports.
    """
    here = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    if (sys.platform, platform.machine(), sys.version_info[:2]) != ("linux", "x86_64", (3, 11)):
        return "--nbval-lax", f"notebooks: executed, outputs not compared ({here} is not the reference)"
    notebooks = [build.load(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    imported = set().union(*(stamp.pinned(notebook) for notebook in notebooks if notebook))
    for name, locked in stamp.versions(build.Course(ROOT)).items():
        if name in imported:
            try:
                found = version(name)
            except PackageNotFoundError:
                continue
            if found not in locked:
                return (
                    "--nbval-lax",
                    f"notebooks: executed, outputs not compared ({name} {found}, not {' or '.join(locked)})",
                )
    return "--nbval", f"notebooks: outputs compared with what is stored ({here}, locked versions)"


def inner(folder: str, arguments: list[str]) -> int:
    """Run pytest, in the environment that `main` has prepared."""
    option, compared = how_to_compare()
    named = [argument for argument in arguments if not argument.startswith("-") and Path(argument).exists()]
    where = named or [folder, str(ROOT / "tests")]
    options = [
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(ROOT),
        "-q",
        "-n",
        "2",
        "--dist",
        "loadscope",
    ]
    options += ["--no-loadscope-reorder", option, "--nbval-kernel-name", "python3", "-p", "no:cacheprovider"]
    rest = [argument for argument in arguments if argument not in named]
    return int(pytest.main([*options, *rest, *where], plugins=[Parts(bool(arguments), compared)]))


def main() -> int:
    """Copy the notebooks to a scratch folder, close the network, run pytest, clean up."""
    # A shell starts background jobs deaf to Ctrl-C, and all their children with them; some tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.argv[1:2] == ["--inner"]:
        return inner(sys.argv[2], sys.argv[3:])
    with tempfile.TemporaryDirectory(prefix="walk forward ", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        (scratch / "work").mkdir()
        (scratch / "ipython").mkdir()
        for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
            for copy in (path.name, f"{path.stem}-again.ipynb"):
                shutil.copy(path, scratch / "work" / copy)
        command = [sys.executable, str(Path(__file__).resolve()), "--inner", str(scratch / "work")]
        try:
            return subprocess.call([*command, *sys.argv[1:]], env=environment(scratch), cwd=ROOT)
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())

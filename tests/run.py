"""Proves the whole repository in one pytest run: `python tests/run.py`; what follows goes to pytest.

Three workers; what belongs together (a lesson's run and tests, a file's tests) stays on one. Everything
runs with the network closed but for loopback. Each lesson is executed once, solved, and compared with its
stored notebook, all in one folder with a space in its name, side by side. The time by part is printed at the
end, with the executions of lessons; a part without tests is an error, and so are more executions than the
budget.

WEEKLY=1 (make test WEEKLY=1)   also what takes long: each blank notebook compared twice in a row, each lesson
                                with CI's parameters, every variation
QUICK=1 (make test QUICK=1)     lessons that passed with the stamp that they have are not executed again
--record LOG                    runs nothing; writes benchmarks/tests.md from what a whole run has printed
"""

from __future__ import annotations

import hashlib
import json
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
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
if __name__ == "__main__":
    # jsonschema would make the grammar of IRIs, a second before the first test; nobody asks for one here.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

from compared import reference  # noqa: E402

from authoring import build  # noqa: E402
from authoring.execute import environment, left_running, title  # noqa: E402

LESSONS, SOLVED, UNIT = "lint, stale notebooks", "lessons solved, compared", "unit tests"
SMALLER, BLANK = "lessons made smaller", "blank notebooks, nbval"
EXERCISES, DATA = "exercises, workspace", "data"
RED, BROWSER = "red proofs", "browser"
PARTS = (LESSONS, UNIT, SOLVED, SMALLER, EXERCISES, DATA, RED, BROWSER, BLANK)

AGAIN = "-again"  # a notebook's second copy; both are of the weekly run
WORKERS = 3
"""One more than the two cores that are counted on: terminals, servers and browsers make a test wait."""
VARIATIONS = 8
"""How often, at each push, tests may execute a lesson another way: smaller, no server, other data."""
PASSED = ROOT / "build" / "passed.json"  # the fingerprint with which each lesson passed last
RECORD = ROOT / "benchmarks" / "tests.md"
GROUP = re.compile(r"^(\S+) {2,}([\d.]+) s$", re.MULTILINE)
LISTED = 80  # groups, from the longest on; what is not on record is started last
A_LESSON = 30.0  # seconds, of one that was never measured
MEMORY = Path("/dev/shm")  # Linux keeps what is written there in memory
ROOM = 4 * 2**30  # bytes that must be free there: an environment that a test builds has two of them


def part_of(nodeid: str) -> str:
    """Return the part of the proof that a test belongs to."""
    file, _, test = nodeid.partition("::")
    name = Path(file).name
    if name.endswith(".ipynb"):
        return BLANK
    if name == "test_lessons.py":
        return {"test_solved": SOLVED, "test_smaller": SMALLER}.get(test.partition("[")[0], LESSONS)
    for start, part in (
        ("test_exercise", EXERCISES),
        ("test_workspace", EXERCISES),
        ("test_data.", DATA),
        ("test_data_", DATA),
        ("test_red", RED),
        ("test_stamp", RED),
        ("test_browser", BROWSER),
        ("test_lint", LESSONS),
    ):
        if name.startswith(start):
            return part
    return UNIT


def group_of(nodeid: str) -> str:
    """Return what a test must share a worker with: a lesson's number, or a file.

    A lesson's runs share a folder and come one after the other; the tests of the lesson read what came out.
    """
    file, _, test = nodeid.partition("::")
    if file.endswith(".ipynb"):
        return "lesson_" + Path(file).stem.partition("_")[0]
    if executed := re.match(r"test_(?:solved|smaller)\[([^_]+)_", test):
        return f"lesson_{executed[1]}"
    if own := re.fullmatch(r"test_(lesson_[^_]+)", Path(file).stem):
        return own[1]
    return file


def recorded_seconds() -> dict[str, float]:
    """Return the seconds on record: of lessons, and of the longest groups. The longest are started first."""
    lessons = (ROOT / "benchmarks" / "lessons.md").read_text(encoding="utf-8")
    stems = re.findall(r"^\| ([^_\s]+)_\w+ \| (\d+) \|$", lessons, re.MULTILINE)
    groups = RECORD.read_text(encoding="utf-8") if RECORD.exists() else ""
    rows = [(f"lesson_{stem}", seconds) for stem, seconds in stems]
    rows += re.findall(r"^\| `(\S+)` \| ([\d.]+) \|$", groups, re.MULTILINE)
    return {group: float(seconds) for group, seconds in rows}


def expected(group: str, recorded: dict[str, float]) -> float:
    """Return a group's seconds; those of its chapter, or of a lesson, where it is not on record yet."""
    chapter = re.sub(r"[a-z]$", "", group)
    default = A_LESSON if group.startswith("lesson_") else 0.0
    return recorded.get(group, recorded.get(chapter, default))


def executions(log: Path) -> int:
    """Return how often tests executed a lesson.

    `log` is written by the executor, a line for each notebook: its title. Tests' own small notebooks are
    not counted.
    """
    if not log.exists():
        return 0
    sources = build.Course(ROOT).sources()
    titles = {title(build.read_lesson(path)) for path in sources}  # its cells are the notebook's
    lines = log.read_text(encoding="utf-8").splitlines()
    return sum(line in titles for line in lines)


def over_budget(executed: int, lessons: int) -> str:
    """Return what is wrong with the number of executions, or an empty text: a lesson costs one of them."""
    if executed <= lessons + VARIATIONS:
        return ""
    return (
        f"lessons were executed {executed} times, allowed are {lessons} + {VARIATIONS}: read the outcome of "
        "the solved run (tests/solved.py), or use tests/weekly.py"
    )


def fingerprints() -> dict[str, str]:
    """Return for each lesson that is not stale what its proof depends on: stamp, outputs, source."""
    course, found = build.Course(ROOT), {}
    for path in course.sources():
        if not build.stale(course, build.read_lesson(path)):
            content = (course.notebooks / f"{path.stem}.ipynb").read_bytes() + path.read_bytes()
            found[path.stem] = hashlib.sha256(content).hexdigest()
    return found


def passed_before() -> list[str]:
    """Return the lessons that passed with the fingerprint that they have."""
    known = json.loads(PASSED.read_text(encoding="utf-8")) if PASSED.exists() else {}
    return [stem for stem, fingerprint in fingerprints().items() if known.get(stem) == fingerprint]


def record(log: Path) -> None:
    """Write benchmarks/tests.md from the output of a whole run."""
    text = log.read_text(encoding="utf-8").partition("= time by part =")[2]
    parts, _, groups = text.partition("= longest groups =")
    by_part = re.findall(r"^(\S.*?) {2,}([\d.]+) s\b", parts, re.MULTILINE)
    (counted,) = re.findall(r"^executions of notebooks: (.*)$", parts, re.MULTILINE)
    lines = [
        "# Seconds of `make test`",
        "",
        f"{os.cpu_count()} cores, {WORKERS} tests at a time, {platform.system()}, Python "
        f"{platform.python_version()}; executions of notebooks: {counted}. Rebuild with "
        "`make test | tee LOG; python tests/run.py --record LOG`. The groups that share a worker are started "
        "in this order.",
        "",
        "| part | seconds |",
        "|---|---:|",
        *(f"| {part} | {seconds} |" for part, seconds in by_part),
        "",
        "| group | seconds |",
        "|---|---:|",
        *(f"| `{group}` | {seconds} |" for group, seconds in GROUP.findall(groups)),
    ]
    RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Parts:
    """Adds up the tests' seconds by part, and turns an empty part or a used network into an error."""

    def __init__(self, narrowed: bool, compared: str) -> None:
        self.narrowed = narrowed
        self.compared = compared
        self.seconds: Counter[str] = Counter()
        self.of_groups: Counter[str] = Counter()
        self.blank: set[str] = set()
        self.solved: set[str] = set()
        self.failed: set[str] = set()
        self.executions = ""
        self.outcomes: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
        self.started = time.perf_counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        from xdist.scheduler import LoadScopeScheduling

        seconds = recorded_seconds()

        class ByGroup(LoadScopeScheduling):
            # xdist's own `loadgroup` does not see its marks under pytest 9.2.
            def _split_scope(self, nodeid: str) -> str:
                return group_of(nodeid)

            def _assign_work_unit(self, node: Any) -> None:
                longest = max(self.workqueue, key=lambda group: expected(group, seconds))
                self.workqueue.move_to_end(longest, last=False)
                super()._assign_work_unit(node)

        return ByGroup(config, log)

    def pytest_report_header(self) -> str:
        return self.compared

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        part = part_of(report.nodeid)
        self.seconds[part] += report.duration
        self.of_groups[group_of(report.nodeid)] += report.duration
        if report.failed:
            self.failed.add(group_of(report.nodeid))
        if part == BLANK:
            self.blank.add(report.nodeid.partition("::")[0])
        if part == SOLVED and report.when == "call" and report.passed:
            self.solved.add(report.nodeid.partition("[")[2].removesuffix("]"))
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
        executed, weekly = executions(Path(f"{log}.executions")), os.environ.get("WALKFORWARD_WEEKLY") == "1"
        self.executions = f"{executed} by tests, {len(self.blank)} by nbval"
        if not weekly:
            fault = over_budget(executed, len(build.Course(ROOT).sources()))
            faults += [fault] if fault else []
        if not self.narrowed:
            self._remember()
            empty = [part for part in PARTS if not self.outcomes[part] and (weekly or part != BLANK)]
            faults += [f"no test of the part «{part}» ran" for part in empty]
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        for fault in faults:
            session.exitstatus = 1
            report = pytest.CollectReport("tests/run.py", "failed", fault, None)
            reporter.stats.setdefault("error", []).append(report)

    def _remember(self) -> None:
        """Keep for QUICK=1 the fingerprints of the lessons that were solved and compared and did not fail."""
        if "not compared" in self.compared or not self.solved | self.failed:
            return
        known = json.loads(PASSED.read_text(encoding="utf-8")) if PASSED.exists() else {}
        known |= {stem: mark for stem, mark in fingerprints().items() if stem in self.solved}
        known = {stem: mark for stem, mark in known.items() if group_of(f"{stem}.ipynb") not in self.failed}
        PASSED.parent.mkdir(exist_ok=True)
        PASSED.write_text(json.dumps(known, indent=1), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        say = terminalreporter.write_line
        terminalreporter.section("time by part")
        for part in PARTS:
            counted = ", ".join(f"{count} {what}" for what, count in sorted(self.outcomes[part].items()))
            say(f"{part:<28}{self.seconds[part]:7.1f} s   {counted or 'nothing ran'}")
        clock = f"by the clock, {terminalreporter.config.option.numprocesses or 1} at a time"
        say(f"{clock:<28}{time.perf_counter() - self.started:7.1f} s")
        say(f"executions of notebooks: {self.executions}")
        say(self.compared)
        terminalreporter.section("longest groups")
        for group, seconds in self.of_groups.most_common(LISTED):
            say(f"{group:<44}  {seconds:7.1f} s")


def inner(folder: str, arguments: list[str]) -> int:
    """Run pytest, in the environment that `main` has prepared."""
    is_compared, compared = reference(build.Course(ROOT))
    option = "--nbval" if is_compared else "--nbval-lax"
    named = [argument for argument in arguments if not argument.startswith("-") and Path(argument).exists()]
    where = named or [folder, str(ROOT / "tests")]
    options = [
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(ROOT),
        "-q",
        "-n",
        str(WORKERS),
        "--dist",
        "loadscope",
    ]
    options += ["--no-loadscope-reorder", option, "--nbval-kernel-name", "python3", "-p", "no:cacheprovider"]
    rest = [argument for argument in arguments if argument not in named]
    return int(pytest.main([*options, *rest, *where], plugins=[Parts(bool(arguments), compared)]))


def in_memory() -> Path | None:
    """Return where all that tests write is kept in memory, or None: TMPDIR is set, no such place, no room.

    A database waits some 5 ms for the disk at each commit, and all the stores together commit ten thousand
    times. What a run that was killed has left there is taken away.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return None
    for left in MEMORY.glob("walkforward-*-*"):
        owner = left.name.split("-")[1]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    there = os.statvfs(MEMORY)
    room = min(there.f_bavail * there.f_frsize, psutil.virtual_memory().available // 2)
    runs_programs = not there.f_flag & os.ST_NOEXEC  # tests install environments and start what is in them
    return MEMORY if room >= ROOM and runs_programs else None


def main() -> int:
    """Make a scratch folder, close the network, run pytest, clean up."""
    # A shell starts background jobs deaf to Ctrl-C, and all their children with them; some tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.argv[1:2] == ["--inner"]:
        return inner(sys.argv[2], sys.argv[3:])
    if sys.argv[1:2] == ["--record"]:
        record(Path(sys.argv[2]))
        return 0
    weekly, quick = (os.environ.get(name) == "1" for name in ("WALKFORWARD_WEEKLY", "WALKFORWARD_QUICK"))
    passed = passed_before() if quick else []
    if quick:
        why = "they passed with the stamp that they have; `make test` executes them"
        print(
            f"QUICK=1, not executed: {', '.join(passed)}: {why}" if passed else "QUICK=1: none has passed yet"
        )
    memory = in_memory()
    with tempfile.TemporaryDirectory(
        prefix=f"walkforward-{os.getpid()}-", dir=memory, ignore_cleanup_errors=True
    ) as name:
        scratch, temporary = Path(name) / "walk forward", Path(name) / "t"
        for folder in (scratch / "work", scratch / "ipython", temporary):
            folder.mkdir(parents=True)
        notebooks = sorted((ROOT / "notebooks").glob("*.ipynb")) if weekly else []
        for path in [path for path in notebooks if path.stem not in passed]:
            for copy in (path.name, f"{path.stem}{AGAIN}.ipynb"):
                shutil.copy(path, scratch / "work" / copy)
        env = environment(scratch)
        env |= {
            "WALKFORWARD_WEEKLY": "1" if weekly else "0",
            "WALKFORWARD_PASSED": " ".join(passed),
            "PYTHONPATH": os.pathsep.join([env["PYTHONPATH"], str(ROOT / "tests" / "worker")]),
            "WALKFORWARD_FOLDER": str(scratch / "work"),
            "WALKFORWARD_EXECUTIONS": f"{env['WALKFORWARD_OFFLINE_LOG']}.executions",
        }
        if memory:
            env["TMPDIR"] = str(temporary)
        command = [sys.executable, str(Path(__file__).resolve()), "--inner", str(scratch / "work")]
        try:
            return subprocess.call([*command, *sys.argv[1:]], env=env, cwd=ROOT)
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())

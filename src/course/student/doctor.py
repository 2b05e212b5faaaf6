"""Checks of what the course needs: a line each, and the way out of each fault. `make lab` runs it first."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from course.paths import ROOT
from course.student import browser

PYTHONS = SpecifierSet(">=3.11,<3.14")
ENDLESS_RECURSION_ENDS = Version("3.13.8")  # python/cpython issue 132744
GIGABYTES_FREE = 0.5
SHOWN = 3


class Finding(NamedTuple):
    """A line of the report: `state` is "ok", "note" (the course works without) or "fault"."""

    state: str
    text: str
    way_out: str = ""


def python_version() -> Finding:
    """Python itself."""
    version = platform.python_version()
    if Version(version) not in PYTHONS:
        return Finding(
            "fault", f"Python {version}", "3.11, 3.12 or 3.13 is needed: `make env PYTHON=python3.11`"
        )
    if Version("3.13") <= Version(version) < ENDLESS_RECURSION_ENDS:
        return Finding(
            "note",
            f"Python {version}: a function of yours that calls itself without end can take all memory",
            f"Python {ENDLESS_RECURSION_ENDS} ends it with a RecursionError: `make env PYTHON=…`",
        )
    return Finding("ok", f"Python {version}")


def packages(lock: Path | None = None) -> Finding:
    """What is installed, against the lock. Another version is a note: the course may well run with it."""
    lock = lock or ROOT / "requirements.txt"
    if not lock.is_file():
        return Finding(
            "fault",
            f"packages: no {lock}",
            "install the course from its checkout: `make env`, or `pip install -e .`",
        )
    missing, other, count = [], [], 0
    for line in lock.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.lstrip().startswith(("#", "-")):
            continue
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate():
            continue
        count += 1
        try:
            found = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{wanted.name} is missing")
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            other.append(f"{wanted.name} {found}, the lock has {str(wanted.specifier).lstrip('=')}")
    way_out = "`make env`" if _in_own_environment() else "`pip install -r requirements.txt`"
    if missing:
        return Finding("fault", "packages: " + _some(missing + other), way_out)
    if other:
        return Finding(
            "note", "packages: " + _some(other), f"outputs may differ a little; {way_out} takes the lock's"
        )
    return Finding("ok", f"{count} packages as locked")


def changed_data(folder: Path = ROOT / "data") -> list[str]:
    """Faults of the data files against the folder's checksums.json, a line each; empty when all is right."""

    def fault(name: str, what: str) -> str:
        path = folder / name
        label = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
        return f"{label} {what}: `git checkout -- {label}` brings it back"

    try:
        recorded = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return [fault("checksums.json", "is missing or broken")]
    faults = []
    for name, entry in recorded.items():
        if not (folder / name).is_file():
            faults.append(fault(name, "is missing"))
        elif hashlib.sha256((folder / name).read_bytes()).hexdigest() != entry["sha256"]:
            faults.append(fault(name, "has changed (its SHA-256 differs)"))
    return faults


def data_files() -> Finding:
    """The course's data, against its checksums."""
    faults = changed_data()
    return Finding("fault", "data: " + _some(faults)) if faults else Finding("ok", "data as published")


def write_access() -> Finding:
    """The folders that the course writes to."""
    from course.progress import progress_file
    from course.student.workspace import work_folder

    for folder in (work_folder(), progress_file().parent):
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
        try:
            # In the nearest folder there is: a check leaves nothing behind.
            with tempfile.TemporaryFile(dir=nearest):
                pass
        except OSError as error:
            return Finding(
                "fault",
                f"can't write in {folder} ({error.strerror})",
                "put the course into a folder of your own; progress goes where WALKFORWARD_STATE says",
            )
    return Finding("ok", "work and progress can be written")


def free_port() -> Finding:
    """A port of 127.0.0.1 for the servers."""
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        return Finding("fault", f"no free port on 127.0.0.1 ({error.strerror})", "allow local connections")
    return Finding("ok", "a free port on 127.0.0.1")


def disk_space() -> Finding:
    """Room for what the lessons write."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < GIGABYTES_FREE:
        return Finding("fault", f"{free:.1f} GB of disk free", f"make {GIGABYTES_FREE} GB of room")
    return Finding("ok", f"{free:.0f} GB of disk free")


def git() -> Finding:
    """Git, for newer lessons."""
    if shutil.which("git"):
        return Finding("ok", "git")
    return Finding("note", "no git", "only `git pull` for newer lessons needs it")


def chromium() -> Finding:
    """A browser that the tests can drive."""
    if found := browser.program():
        return Finding("ok", f"Chromium ({found})")
    return Finding("note", "no Chromium", "only the browser tests need it, and are skipped")


CHECKS: tuple[Callable[[], Finding], ...] = (
    python_version,
    packages,
    data_files,
    write_access,
    free_port,
    disk_space,
    git,
    chromium,
)


def findings() -> Iterator[Finding]:
    """Run every check. One that fails to run is a fault of its own, and the others still run."""
    for check in CHECKS:
        try:
            yield check()
        except Exception as error:
            name = check.__name__.replace("_", " ")
            yield Finding(
                "fault",
                f"{name}: {type(error).__name__}: {error}",
                "`make env FORCE=1` rebuilds the environment",
            )


def run_checks() -> int:
    """Print a line per check; return 1 when there is a fault, else 0."""
    marks = {"ok": "✓", "note": "○", "fault": "✗"}
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        "".join(marks.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        marks = {"ok": "[ok]", "note": "[--]", "fault": "[!!]"}
    faults = 0
    for finding in findings():
        faults += finding.state == "fault"
        line = f"{marks[finding.state]} {finding.text}" + (f": {finding.way_out}" if finding.way_out else "")
        with contextlib.suppress(LookupError):
            line = line.encode(encoding, "backslashreplace").decode(encoding)
        print(line, flush=True)
    return 1 if faults else 0


def _some(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return "; ".join(items[:SHOWN]) + more


def _in_own_environment() -> bool:
    return Path(sys.prefix).resolve() == (ROOT / ".venv").resolve()

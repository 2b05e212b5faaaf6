"""Produces the evidence of a ticket by running what is broken: programs, a resolver, a database.

Paths of the scratch folder become /srv/app, so that what is shown is of the story and the same everywhere.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

HOME = "/srv/app"
# What pip says of the scratch folder and not of the story
_SCRATCH = re.compile(r"Looking in|Processing |To fix|Additionally|    \w+$|\d\. (?:loosen|remove)")


def run(files: Mapping[str, str], program: str = "main.py", arguments: Sequence[str] = ()) -> str:
    """Run one of the files, the others beside it, in a fresh folder; return what it printed, stderr last.

    files: sources by their path in the folder. The program has no network to ask for and 60 s.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, source in files.items():
            file = Path(folder) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(source).lstrip("\n"), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, program, *arguments],
            cwd=folder,
            env=_environment(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
        )
        return _of_the_story(done.stdout + done.stderr, folder)


def resolve(wheels: Iterable[tuple[str, str, Sequence[str]]], wanted: Sequence[str]) -> str:
    """Return what pip says to `wanted` where there are these wheels (name, version, requirements) alone."""
    with tempfile.TemporaryDirectory() as folder:
        for name, version, requires in wheels:
            _wheel(Path(folder), name, version, requires)
        file = Path(folder) / "requirements.txt"
        file.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        options = ["--no-index", "--find-links", folder, "--dry-run", "--ignore-installed", "--no-cache-dir"]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "--disable-pip-version-check",
                "install",
                *options,
                "-r",
                str(file),
            ],
            env=_environment(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
        )
        lines = _of_the_story(done.stdout + done.stderr, folder).splitlines()
        told = [line.partition(": for help")[0] for line in lines]  # no address: nobody can open it there
        return "\n".join(line for line in told if line and not _SCRATCH.match(line))


def query_plan(db: sqlite3.Connection, query: str, values: Sequence[object] = ()) -> str:
    """Return SQLite's plan of a query as an indented list."""
    rows = db.execute(f"EXPLAIN QUERY PLAN {query}", tuple(values)).fetchall()
    depth = {0: 0}
    for number, parent, _, _ in rows:
        depth[number] = depth.get(parent, 0) + 1
    return "\n".join(f"{'  ' * (depth[number] - 1)}{detail}" for number, _, _, detail in rows)


def steps(db: sqlite3.Connection, query: str, values: Sequence[object] = ()) -> int:
    """Return a query's work, which no clock blurs: hundreds of instructions of SQLite's machine."""
    count = 0

    def counted() -> int:
        nonlocal count
        count += 1
        return 0

    db.set_progress_handler(counted, 100)
    try:
        db.execute(query, tuple(values)).fetchall()
    finally:
        db.set_progress_handler(None, 0)
    return count


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    return kept | {
        "PIP_CONFIG_FILE": os.devnull,  # the reader's own settings are no part of the story
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "NO_COLOR": "1",
        "COLUMNS": "78",
    }


def _of_the_story(text: str, folder: str) -> str:
    for place in {os.path.realpath(folder), folder}:
        text = text.replace(place, HOME)
    text = re.sub(r'File "[^"]*?[\\/]lib[\\/]python3\.\d+[\\/]', 'File "/usr/lib/python3/', text)
    return text.replace("\\", "/").rstrip()


def _wheel(folder: Path, name: str, version: str, requires: Sequence[str]) -> None:
    """Write the smallest wheel that a resolver reads."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    wheel = "Wheel-Version: 1.0\nGenerator: story\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in {f"{info}/METADATA": metadata, f"{info}/WHEEL": wheel}.items():
            archive.writestr(file, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{file},sha256={digest},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")

"""A scratch repository with the pipeline in it, as a team would have it on GitHub: plain git, nothing leaves the folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from course.servers import base_environment

FILES = Path(__file__).parent / "repository"
MOVED = {"workflow.yml": ".github/workflows/pipeline.yml"}
IGNORED = "build/\ndist/\n__pycache__/\n"
SETTINGS = {"user.name": "Walk-Forward", "user.email": "course@localhost", "core.autocrlf": "false"}
SETTINGS |= {"commit.gpgsign": "false", "tag.gpgsign": "false", "merge.conflictStyle": "merge"}
QUIET_GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LANGUAGE": "en",
}

# What three people change, file by file: (the old text, the new one), or a whole new file.
SECONDS = {
    "rides.py": [("Minutes from", "Seconds from"), (".total_seconds() / 60", ".total_seconds()")],
    "check_rides.py": [("== 12", "== 720")],
}
SPEED = {
    "speed.py": '''"""How fast a ride was."""

from rides import duration


def mph(ride):
    return float(ride["miles"]) / (duration(ride) / 60)
''',
    "check_speed.py": '''"""Checks of speed.py."""

from check_rides import RIDE
from speed import mph


def check_a_speed():
    assert mph(RIDE) == 15  # three miles in twelve minutes
''',
}
LONG_RIDES = {
    "rides.py": [('float(ride["miles"]) > 0', 'float(ride["miles"]) > 0 and 60 <= duration(ride) <= 3600')],
}


class Repository:
    """A Git repository in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, *words: str) -> str:
        """Run git and return what it prints; what it refuses is an error."""
        done = self._run("git", *words)
        if done.returncode:
            raise RuntimeError(f"git {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def read(self, name: str) -> str:
        """Return a file's text."""
        return (self.folder / name).read_text(encoding="utf-8")

    def make(self, *targets: str) -> tuple[str, bool]:
        """Run targets: what they print, and whether all succeeded; without make, what the Makefile calls."""
        python = Path(sys.executable).as_posix()
        words = ["make", "-s", *targets, f"PYTHON={python}"]
        if shutil.which("make") is None:
            words = [python, "steps.py", *targets]
        done = self._run(*words)
        said = [
            line for line in (done.stdout + done.stderr).splitlines() if not re.match(r"make(\[|:)", line)
        ]
        return "\n".join(said), done.returncode == 0

    def passes(self, commit: str = "HEAD") -> bool:
        """Whether `make test` succeeds in a fresh clone of a branch or commit, as an agent makes one."""
        return self.fresh(commit).make("test")[1]

    def fresh(self, commit: str = "HEAD") -> Repository:
        """Clone into an empty folder beside this one."""
        number = len(list(self.folder.parent.iterdir()))
        other = self.folder.parent / f"clone-{number}"
        self.git("clone", "--quiet", self.folder.as_posix(), other.as_posix())
        clone = Repository(other)
        clone._settle()
        clone.git("checkout", "--quiet", "--detach", self.git("rev-parse", f"{commit}^{{commit}}"))
        return clone

    def commit(self, changes: dict[str, str | list[tuple[str, str]]], message: str) -> None:
        """Change files as told and commit them."""
        for name, change in changes.items():
            path = self.folder / name
            text = change
            if not isinstance(change, str):
                text = path.read_text(encoding="utf-8")
                for old, new in change:
                    assert text.count(old) == 1, (name, old)
                    text = text.replace(old, new)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def branch(self, name: str, changes: dict[str, str | list[tuple[str, str]]], message: str) -> None:
        """Start a branch at main, commit the changes there, and come back to main."""
        self.git("checkout", "--quiet", "-b", name, "main")
        self.commit(changes, message)
        self.git("checkout", "--quiet", "main")

    def _settle(self) -> None:
        for name, value in SETTINGS.items():
            self.git("config", name, value)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = base_environment(drop="GIT_|MAKE|MFLAGS") | QUIET_GIT | {"PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(words, cwd=self.folder, env=env, capture_output=True, text=True, check=False)


def repository(folder: Path, trips: pd.DataFrame) -> Repository:
    """Make the repository with these rides; its first commit is version 1.0.0."""
    folder.mkdir(parents=True)
    made = Repository(folder)
    made.git("init", "--quiet", "--initial-branch=main")
    made._settle()
    files: dict[str, str | list[tuple[str, str]]] = {
        MOVED.get(path.name, path.name): path.read_text(encoding="utf-8")
        for path in sorted(FILES.iterdir())
        if path.is_file()
    }
    rides = trips.set_axis(["pickup", "dropoff", "miles"], axis=1)
    files |= {".gitignore": IGNORED, "rides.csv": rides.to_csv(index=False, lineterminator="\n")}
    made.commit(files, "A ride's duration from its miles")
    made.git("tag", "--annotate", "v1.0.0", "--message", "version 1.0.0")
    return made

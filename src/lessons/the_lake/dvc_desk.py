"""Runs in the environment `lake`, in a folder of its own: a day with DVC, one JSON line for each step.

`python dvc_desk.py trips.csv later.csv` makes a Git repository `desk`, a folder `remote` for DVC to push to, and
a `clone`. Nothing leaves the folder.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path.cwd()
STAGE = ["stage", "add", "--quiet", "--name", "mean", "--deps", "trips.csv", "--outs", "mean.json"]
STAGE += [f'"{Path(sys.executable).as_posix()}" mean.py']
MEAN = """
import csv, json
with open("trips.csv", newline="") as file:
    minutes = [float(row["duration"]) for row in csv.DictReader(file)]
with open("mean.json", "w") as file:
    json.dump(sum(minutes) / len(minutes), file)
with open("runs.log", "a") as file:
    file.write("run\\n")
"""
CONFIG = "[core]\n    analytics = false\n    check_update = false\n    autostage = true\n"
GIT = [
    "git",
    "-c",
    "user.name=Walk-Forward",
    "-c",
    "user.email=course@localhost",
    "-c",
    "commit.gpgsign=false",
]
GIT += ["-c", "core.autocrlf=false"]


def settle() -> None:
    """Keep DVC's own files in this folder: no report, no look for updates."""
    for name in ("GLOBAL", "SYSTEM"):
        os.environ[f"DVC_{name}_CONFIG_DIR"] = str(HERE / name.lower())
    os.environ |= {
        "DVC_SITE_CACHE_DIR": str(HERE / "site"),
        "DVC_NO_ANALYTICS": "true",
        "DVC_STUDIO_OFFLINE": "true",
    }
    (HERE / "global").mkdir()
    (HERE / "global" / "config").write_text(CONFIG)


def git(*words: str) -> None:
    subprocess.run([*GIT, *words], check=True, capture_output=True)


def dvc(*words: str) -> None:
    from dvc.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(list(words))
    if code:
        raise RuntimeError(f"dvc {' '.join(words)}: {said.getvalue().strip()}")


def tell(step: str) -> None:
    """Print what is in this folder and in the remote after a step."""
    remote = [path for path in (HERE / "remote").rglob("*") if path.is_file()]
    with Path("trips.csv").open(newline="") as file:
        minutes = [float(row["duration"]) for row in csv.DictReader(file)]
    mean = round(sum(minutes) / len(minutes), 3)
    runs = Path("runs.log").read_text().count("run") if Path("runs.log").exists() else 0
    kept = round(sum(path.stat().st_size for path in remote) / 1000)
    print(
        json.dumps(
            {
                "step": step,
                "mean minutes here": mean,
                "files in the remote": len(remote),
                "KB": kept,
                "mean.py ran": runs,
            }
        )
    )


def main(first: str, later: str) -> None:
    """Version a file, change it, go back, pull it elsewhere, and compute what depends on it."""
    settle()
    desk = HERE / "desk"
    desk.mkdir()
    os.chdir(desk)
    git("init", "--quiet", "--initial-branch=main")
    dvc("init", "--quiet")
    dvc("remote", "add", "--quiet", "--default", "store", str(HERE / "remote"))
    for tag, source in {"v1": first, "v2": later}.items():
        shutil.copy(source, "trips.csv")
        dvc("add", "--quiet", "trips.csv")
        git("add", "--all")
        git("commit", "--quiet", "--message", tag)
        git("tag", tag)
        dvc("push", "--quiet")
        tell(f"dvc add, push: {tag}")
    git("checkout", "--quiet", "v1")
    tell("git checkout v1")
    dvc("checkout", "--quiet")
    tell("dvc checkout")
    git("clone", "--quiet", str(desk), str(HERE / "clone"))
    os.chdir(HERE / "clone")
    git("checkout", "--quiet", "v2")
    dvc("pull", "--quiet")
    tell("a clone at v2: dvc pull")
    Path("mean.py").write_text(MEAN)
    dvc(*STAGE)
    for step in ("dvc repro", "dvc repro again"):
        dvc("repro", "--quiet")
        tell(step)
    git("checkout", "--quiet", "v1", "--", "trips.csv.dvc")
    dvc("pull", "--quiet", "trips.csv")
    dvc("repro", "--quiet")
    tell("dvc pull v1, dvc repro")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(*sys.argv[1:])

"""A day with DVC, which needs an environment of its own (`lake`): its packages do not fit the course's lock."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd

from course import environments
from course.environments import OtherEnvironmentError
from course.servers import base_environment

DESK = Path(__file__).with_name("dvc_desk.py")


def dvc_day(folder: Path, first: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame | None:
    """Version both tables with DVC; return what each step left. None without git or its environment."""
    if shutil.which("git") is None:
        return None
    try:
        python = environments.make("lake")  # on first use
    except OtherEnvironmentError:
        return None
    folder.mkdir()
    files = [folder / "first.csv", folder / "later.csv"]
    for rows, path in zip((first, later), files, strict=True):
        rows.to_csv(path, index=False, lineterminator="\n")
    env = base_environment(drop="PYTHON|GIT_|DVC_")
    words = [str(python), str(DESK), *map(str, files)]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"dvc: {done.stderr.strip().splitlines()[-1]}")
    return pd.DataFrame([json.loads(line) for line in done.stdout.splitlines()]).set_index("step")

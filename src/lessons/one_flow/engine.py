"""Runs the flow of `three.py` by Metaflow, with all that it keeps in one folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from course.servers import base_environment

FLOW = Path(__file__).with_name("three.py")


def by_metaflow(folder: Path, *words: str) -> dict[str, object] | None:
    """Run the flow with these words (`run`, `resume`); None on Windows, where Metaflow does not run.

    Returns how it ended, the steps that have run by now, and the lines in the log of answers.
    """
    if os.name == "nt":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    own = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(folder), "METAFLOW_USER": "reader", "USERNAME": "reader"}
    command = [sys.executable, str(FLOW), "--no-pylint", "--quiet", *words]
    if words[0] == "run":
        command += ["--folder", str(folder)]
    done = subprocess.run(
        command,
        cwd=folder,
        env=base_environment(drop="METAFLOW_") | own | {"PYTHONWARNINGS": "ignore"},
        capture_output=True,
        check=False,
    )
    ran, answers = (lines(folder / name) for name in ("ran", "answers"))
    return {"ends": "well" if done.returncode == 0 else "with a fault", "ran": ran, "answers": len(answers)}


def lines(file: Path) -> list[str]:
    """The lines of a file, none where it is not there."""
    return file.read_text(encoding="utf-8").split() if file.exists() else []

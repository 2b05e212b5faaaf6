"""Environments beside the course's own, for libraries that can't share its lock: each has a lock of its own.

They are made on first use in `build/environments/`, by uv or by pip, and are whole or not there at all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from course.paths import ROOT
from course.servers import base_environment
from walkforward.errors import WalkForwardError

LOCKS = {
    "platforms": ROOT / "src" / "projects" / "platforms" / "requirements.txt",
    "ci": ROOT / "src" / "lessons" / "the_pipeline" / "requirements.txt",
    "lake": ROOT / "src" / "lessons" / "the_lake" / "requirements.txt",
    "site": ROOT / "src" / "authoring" / "site" / "requirements.txt",
    "spark": ROOT / "src" / "lessons" / "on_spark" / "requirements.txt",
}
PLACE = ROOT / "build" / "environments"


class OtherEnvironmentError(WalkForwardError, RuntimeError):
    """An environment can't be made; the message says why and how to go on."""


def interpreter(name: str) -> Path | None:
    """Return the Python of an environment that is made and fits its lock, None where there is none yet."""
    python = _python(_place(name))
    return python if python.exists() else None


def make(name: str) -> Path:
    """Make an environment, or leave one that is there, and return its Python.

    Raises OtherEnvironmentError for an unknown name, and where packages can't be had.
    """
    place = _place(name)
    if python := interpreter(name):
        return python
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE, prefix=f".{name}-") as folder:
        fresh = Path(folder) / "made"
        _run(name, [sys.executable, "-m", "venv", "--without-pip", str(fresh)])
        own, lock = str(_python(fresh)), str(LOCKS[name])
        if uv := shutil.which("uv", path=base_environment()["PATH"]):
            _run(name, [uv, "pip", "install", "--quiet", "--python", own, "-r", lock])
        else:
            _run(name, [sys.executable, "-m", "pip", "--quiet", "--python", own, "install", "-r", lock])
        try:
            fresh.replace(place)  # another that was made meanwhile is as good, and stays
        except OSError as error:
            if interpreter(name) is None:
                raise OtherEnvironmentError(f"{place} can't be written ({error.strerror}).") from error
    return _python(place)


def _place(name: str) -> Path:
    """Return the folder of an environment: a changed lock gives another one."""
    if name not in LOCKS:
        raise OtherEnvironmentError(f"no environment is called {name!r}; there is {', '.join(LOCKS)}")
    lock = LOCKS[name].read_bytes().replace(b"\r\n", b"\n")
    return PLACE / f"{name}-{hashlib.sha256(lock).hexdigest()[:8]}"


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(
        command, env=base_environment(drop="PIP_USER|PIP_TARGET|PYTHONPATH"), capture_output=True, text=True
    )
    if done.returncode:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        cause = lines[-1][:200] if lines else "no word of why"
        way_out = f"with a network, `walkforward env {name}` makes it"
        raise OtherEnvironmentError(f"the environment {name!r} can't be made ({cause}): {way_out}")

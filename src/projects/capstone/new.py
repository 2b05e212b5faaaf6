"""A repository of the reader's own: the template, copied into a folder that is new or empty."""

from __future__ import annotations

import shutil
from pathlib import Path

from projects.capstone.state import CapstoneError

TEMPLATE = Path(__file__).resolve().parent / "template"


def make(folder: str) -> Path:
    """Copy the template. Raises: CapstoneError, when something is there already or can't be written."""
    path = Path(folder).expanduser().resolve()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise CapstoneError(f"{folder} is there and not empty: name a new folder")
    try:
        shutil.copytree(TEMPLATE, path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    except OSError as error:
        raise CapstoneError(f"{folder} can't be written ({error.strerror or error}): name another") from error
    return path

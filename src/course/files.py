"""Files of the student's that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from walkforward.errors import WalkForwardError


class WorkspaceError(WalkForwardError, ValueError):
    """Something is wrong with the student's folder; the message says what and how to go on."""


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a file beside `path`, which takes its name when the block ends, and is gone when it raises."""
    handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        beside.chmod(0o644)  # mkstemp gives 600
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; a file that holds the same already is not touched."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as beside:
        beside.write_bytes(content)


@contextlib.contextmanager
def writing(folder: Path, variable: str = "WALKFORWARD_WORK") -> Iterator[None]:
    """Make what can't be written in the block a WorkspaceError; `variable` sets another folder."""
    try:
        yield
    except OSError as error:
        way_out = f"make room for it, or set {variable} to a folder you may write"
        what = f"{error.filename or folder} can't be written ({error.strerror or error})"
        raise WorkspaceError(f"{what}: {way_out}") from error

"""A repository of the reader's own: the template, copied into a folder that is new or empty."""

from __future__ import annotations

import base64
import hashlib
import shutil
import zipfile
from importlib import metadata
from pathlib import Path

import walkforward
from projects.capstone.state import CapstoneError

TEMPLATE = Path(__file__).resolve().parent / "template"
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".ruff_cache", "state", "wheels", ".venv")
WHEEL = "Wheel-Version: 1.0\nGenerator: walkforward capstone\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make(folder: str) -> Path:
    """Copy the template, and the package that it needs. What is there already is left alone.

    Raises: CapstoneError, when something is there or can't be written; then nothing is left half.
    """
    if not folder.strip():
        raise CapstoneError("--new is empty: name a folder")
    path = Path(folder).expanduser().resolve()
    try:
        there = path.exists()
        if there and (not path.is_dir() or any(path.iterdir())):
            raise CapstoneError(f"{folder} is there and not empty: name a new folder")
        if path.is_relative_to(TEMPLATE):
            raise CapstoneError(f"{folder} lies in the template itself: name a folder elsewhere")
        path.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(TEMPLATE, path, dirs_exist_ok=True, ignore=LEFT_OUT)
            needs, made = path / "requirements.txt", wheel(path / "wheels")
            text = needs.read_text(encoding="utf-8").replace("walkforward.whl", made.name)
            needs.write_text(text, encoding="utf-8")
        except BaseException:
            for one in path.iterdir():  # it was empty: all of this is ours
                shutil.rmtree(one) if one.is_dir() else one.unlink()
            if not there:
                path.rmdir()
            raise
    except OSError as error:
        raise CapstoneError(f"{folder} can't be written ({error.strerror or error}): name another") from error
    return path


def wheel(folder: Path) -> Path:
    """Write the package `walkforward` as a wheel: its modules, without the course, and what they need."""
    about = metadata.distribution("walkforward")
    source = Path(walkforward.__file__).parent
    name, info = f"walkforward-{about.version}", f"walkforward-{about.version}.dist-info"
    held = {f"{info}/METADATA": _about(about).encode(), f"{info}/WHEEL": WHEEL.encode()}
    for file in sorted(source.rglob("*.py")):
        held[f"walkforward/{file.relative_to(source).as_posix()}"] = file.read_bytes()
    lines = [f"{one},sha256={_digest(text)},{len(text)}" for one, text in held.items()]
    held[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir()
    path = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, text in held.items():
            archive.writestr(zipfile.ZipInfo(one, (2020, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return path


def _about(package: metadata.Distribution) -> str:
    """What it says of itself: an editable one may have it beside its source, under the older name."""
    return package.read_text("METADATA") or package.read_text("PKG-INFO") or ""


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()

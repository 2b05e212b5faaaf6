"""What the pages carry of others: brought by npm, each package pinned by its version and its content."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from walkforward.errors import WalkForwardError


class VendoredError(WalkForwardError, RuntimeError):
    """A package is not the one that was pinned."""


@dataclass(frozen=True)
class Package:
    """A package of npm: its sha512 as npm states it, what is lost without it, and which files are taken."""

    name: str
    version: str
    sha512: str
    without: str
    files: dict[str, str] = field(
        hash=False
    )  # a file or a folder (ends with /) of the package: its place here


PACKAGES = (
    Package(
        "pyodide",
        "314.0.7",
        "0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A==",
        "katas can't be run in the browser",
        {
            name: f"pyodide/{name}"
            for name in (
                "pyodide.mjs",
                "pyodide.asm.mjs",
                "pyodide.asm.wasm",
                "python_stdlib.zip",
                "pyodide-lock.json",
            )
        },
    ),
    Package(
        "mermaid",
        "12.3.0",
        "4113TdXeLAsMruJ79OpFL5O8+LTFXhQqZ260rF3tgUmiNAtRm4Uume04I+65PRN6yZ69J4f8rVYWW8zRk65UYw==",
        "diagrams are shown as text",
        {
            "dist/mermaid.esm.min.mjs": "mermaid/mermaid.esm.min.mjs",
            "dist/chunks/mermaid.esm.min/": "mermaid/chunks/mermaid.esm.min/",
        },
    ),
    Package(
        "codemirror",
        "5.65.21",
        "6teYk0bA0nR3QP0ihGMoxuKzpl5W80FpnHpBJpgy66NK3cZv5b/d/HY8PnRvfSsCG1MTfr92u2WUl+wT0E40mQ==",
        "katas are written in a plain field",
        {
            "lib/codemirror.js": "codemirror/codemirror.js",
            "lib/codemirror.css": "codemirror/codemirror.css",
            "mode/python/python.js": "codemirror/python.js",
            "mode/sql/sql.js": "codemirror/sql.js",
        },
    ),
    Package(
        "@duckdb/duckdb-wasm",
        "1.32.0",
        "IewXTNYEjsZCPE9weUWgtjGxUlMRo7qhX0GF6tq/KjK8bnY+RAl4cyUdYUfcdzbyb4b9ZxPC+FOsCcxgaKFWMg==",
        "SQL katas can't be run in the browser",
        {
            "dist/duckdb-eh.wasm": "duckdb/duckdb.wasm",
            "dist/duckdb-browser-eh.worker.js": "duckdb/duckdb.worker.js",
        },
    ),
    Package(
        "apache-arrow",  # in which DuckDB answers; the version that it is built with
        "17.0.0",
        "X0p7auzdnGuhYMVKYINdQssS4EcKec9TCXyez/qtJt32DrIMGbzqiaMiQ0X6fQlQpw8Fl0Qygcv4dfRAr5Gu9Q==",
        "SQL katas can't be run in the browser",
        {"Arrow.es2015.min.js": "arrow/arrow.js"},
    ),
    Package(
        "@fontsource/noto-sans-math",
        "5.3.0",
        "CzodkZ4R2VC73rqbNbVpiI94fXZJLFEMNBTAM3DFadjAKrjLQ2Fr+s2yM2c5uS+frBZ2IM+LyMo6COhAzV7hCA==",
        "formulas are set in the reader's own font",
        {"files/noto-sans-math-latin-400-normal.woff2": "math/noto-sans-math.woff2"},
    ),
)


def bring(target: Path, packages: tuple[Package, ...] = PACKAGES) -> list[str]:
    """Fill a folder with what is missing there; return a line for each package that can't be had.

    A second call finds everything and asks nobody. Raises VendoredError for a package of other content.
    """
    lacks = []
    for package in packages:
        taken = hashlib.sha256(repr(package.files).encode()).hexdigest()[
            :8
        ]  # more files than last time: again
        mark = target / "there" / f"{package.name.replace('/', ' ')} {package.version} {taken}"
        if mark.exists():
            continue
        npm = shutil.which("npm")
        why = _bring(npm, package, target) if npm else "there is no npm on PATH"
        if why:
            lacks.append(f"Left out, {package.without}: {package.name} can't be had ({why})")
            continue
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    return lacks


def _bring(npm: str, package: Package, target: Path) -> str:
    """Unpack what is wanted of a package; return why it can't be had, or nothing."""
    with tempfile.TemporaryDirectory() as box:
        done = subprocess.run(
            [npm, "pack", "--silent", f"{package.name}@{package.version}"],
            cwd=box,
            capture_output=True,
            text=True,
        )
        archives = list(Path(box).glob("*.tgz"))
        if done.returncode or not archives:
            return " ".join((done.stderr or done.stdout).split())[:120] or "npm gave no word of why"
        found = base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode()
        if found != package.sha512:
            raise VendoredError(
                f"{package.name} {package.version} is not what was pinned: its sha512 is {found}; "
                "look at what changed before you pin it anew"
            )
        with tarfile.open(archives[0]) as archive:
            for member in archive:
                if member.isfile() and (place := _place(package, member.name.partition("/")[2])):
                    (target / place).parent.mkdir(parents=True, exist_ok=True)
                    (target / place).write_bytes(archive.extractfile(member).read())
    return ""


def _place(package: Package, name: str) -> str:
    """Return where a file of a package goes, nothing for one that is not wanted."""
    if name.endswith(".map"):
        return ""
    if name in package.files:
        return package.files[name]
    return next(
        (
            to + name.removeprefix(start)
            for start, to in package.files.items()
            if start.endswith("/") and name.startswith(start)
        ),
        "",
    )

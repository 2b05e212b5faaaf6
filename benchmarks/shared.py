"""What the benchmarks share: the machine, the peers' environments, tables, and the marks in README.md.

Only the standard library: the workers that run in a peer's environment import it too.
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().with_name("README.md")


def machine() -> dict[str, Any]:
    """What the seconds depend on."""
    return {
        "system": platform.system(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory(what: str) -> float:
    """MB that this process holds (`VmRSS`) or held at most (`VmHWM`), from Linux; NaN elsewhere.

    Not `ru_maxrss`, which begins at the peak of the process that started this one.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1024
    return float("nan")


def environment(folder: Path, requirements: Path) -> str:
    """The python of a peer's environment, which is made when it is missing or its requirements changed."""
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists() or ready.read_text() != requirements.read_text():
        uv = [str(Path(sys.executable).with_name("uv")), "--no-config"]
        subprocess.run([*uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
        command = [*uv, "pip", "install", "-q", "--python", str(python), "-r", str(requirements)]
        subprocess.run(command, check=True)
        ready.write_text(requirements.read_text())
    return str(python)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown: the first column to the left, the others to the right; no cell breaks it."""
    align = ["---", *["---:"] * (len(head) - 1)]
    plain = [[" ".join(cell.replace("|", "\\|").split()) for cell in row] for row in [head, align, *rows]]
    return "\n".join("| " + " | ".join(row) + " |" for row in plain)


def marked(marker: str, text: str, whole: str) -> str:
    """The README with what stands between a marker's two marks replaced."""
    before, after = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    head, found, rest = whole.partition(before)
    _, ended, tail = rest.partition(after)
    if not found or not ended:
        raise SystemExit(f"benchmarks/README.md has no marks for {marker}: put {before} … {after} back")
    return f"{head}{before}\n{text}\n{after}{tail}"


def put(marker: str, text: str) -> None:
    """Put text between a marker's two marks in benchmarks/README.md."""
    whole = marked(marker, text, README.read_text(encoding="utf-8"))
    README.write_text(whole, encoding="utf-8", newline="\n")

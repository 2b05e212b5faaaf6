"""Measure how long a process, an environment, a container and a virtual machine take to start; and sizes.

    python benchmarks/isolation.py                   Linux; writes results/isolation.json and README.md
    python benchmarks/isolation.py --debian FOLDER   the container and the machines too

Each start is timed from the call until the thing inside has ended, having done nothing: median of several.
The container needs no engine: it is made of the kernel's namespaces by `unshare`, with a file system of its
own that holds busybox alone. The virtual machines boot Debian's kernel in QEMU into that busybox, with the
processor's support (KVM; left out where a guest does not come up in time) and without, every instruction
translated. `--debian` names a folder into which these packages were unpacked with `dpkg -x`: busybox-static,
linux-image-*-cloud-amd64, qemu-system-x86, qemu-system-data, seabios and the libraries that
`apt-get install --simulate qemu-system-x86` lists. Lesson 06d shows the record.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from shared import machine, put, table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "isolation.json"
PROJECT = ROOT / "src" / "projects" / "trip_duration"
UV = [str(Path(sys.executable).with_name("uv")), "--no-config"]
NAMESPACES = [
    "--user",
    "--map-root-user",
    "--mount",
    "--pid",
    "--fork",
    "--net",
    "--uts",
    "--ipc",
    "--cgroup",
]
PATIENCE = 120  # seconds for one start
SAID = "the first process runs"


def seconds(start: Callable[[], Any], runs: int) -> float:
    """Median seconds of a call, after one that is not counted."""
    start()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        start()
        times.append(time.perf_counter() - began)
    return median(times)


def run(*command: str, said: str = "") -> None:
    """Run to the end; a fault, or output without `said`, ends the measurement."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode or said not in done.stdout:
        raise SystemExit(f"{' '.join(command)} failed: {(done.stderr or done.stdout)[-300:]}")


def megabytes(*paths: Path) -> float:
    """Size of files and folders, links not followed."""
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    return sum(file.lstat().st_size for file in files if not file.is_dir()) / 1e6


def row(what: str, command: str, took: float, size: float | None, frozen: str) -> dict[str, Any]:
    """One line of the record; size in MB: what has to be copied to another machine."""
    print(f"{what:<44}{took:9.3f} s   {'' if size is None else f'{size:8.1f} MB'}", flush=True)
    return {"what": what, "command": command, "seconds": took, "megabytes": size, "size_of": frozen}


def processes(python: str, packages: Path) -> list[dict[str, Any]]:
    """The bare process, Python, Python with what the project imports."""
    true = shutil.which("true") or "/bin/true"
    imports = "import mlflow, pandas, xgboost"
    return [
        row(
            "process", "true", seconds(lambda: run(true), 50), megabytes(Path(true).resolve()), "the program"
        ),
        row("process: Python", "python -c pass", seconds(lambda: run(python, "-c", "pass"), 20), None, ""),
        row(
            "process: Python with its libraries",
            f"python -c '{imports}'",
            seconds(lambda: run(python, "-c", imports), 5),
            megabytes(packages),
            "the environment, without Python",
        ),
    ]


def environment(folder: Path) -> tuple[dict[str, Any], str]:
    """Make the project's environment from a warm cache of packages; returns the row and its python."""
    python = str(folder / "bin" / "python")

    def make() -> None:
        run(*UV, "venv", "-q", "--clear", "--python", sys.executable, str(folder))
        requirements = str(PROJECT / "requirements.txt")
        run(*UV, "pip", "install", "-q", "--python", python, "-r", requirements)

    took = seconds(make, 3)
    label = "environment made, packages in the cache"
    return row(
        label, "uv venv; uv pip install -r requirements.txt", took, megabytes(folder), "the environment"
    ), python


def small_root(debian: Path, folder: Path) -> Path:
    """A file system that holds busybox, and an /init that says so and ends."""
    (folder / "bin").mkdir(parents=True)
    shutil.copy2(debian / "bin" / "busybox", folder / "bin" / "busybox")
    for name in ("dev", "proc"):
        (folder / name).mkdir()
    init = folder / "init"
    init.write_text(
        f"#!/bin/busybox sh\n/bin/busybox echo {SAID}\n/bin/busybox poweroff -f\n", encoding="utf-8"
    )
    init.chmod(0o755)
    return folder


def newc(folder: Path) -> bytes:
    """The folder as a cpio archive, which the kernel unpacks as its first file system."""
    archive, entries = bytearray(), sorted(folder.rglob("*"))
    named = [(str(path.relative_to(folder)), path) for path in entries] + [("TRAILER!!!", None)]
    for number, (name, path) in enumerate(named, 1):
        mode = path.lstat().st_mode if path else 0
        data = path.read_bytes() if path and path.is_file() else b""
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = [number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08x" % value for value in fields) + name.encode() + b"\0"
        for part in (head, data):
            archive += part + bytes(-len(part) % 4)
    return bytes(archive)


def container(root: Path) -> dict[str, Any]:
    """Namespaces of its own, a file system of its own, the host's kernel."""
    command = ["unshare", *NAMESPACES, f"--root={root}", "/bin/busybox", "true"]
    shown = "unshare --user --mount --pid --net --uts --ipc --cgroup --root=… /bin/busybox true"
    return row("container", shown, seconds(lambda: run(*command), 50), megabytes(root), "the file system")


def machines(debian: Path, root: Path, folder: Path) -> list[dict[str, Any]]:
    """Boot a kernel of its own in QEMU until the first process has spoken; with KVM and without."""
    (kernel,) = (debian / "boot").glob("vmlinuz-*")
    initrd = folder / "initrd"
    initrd.write_bytes(newc(root))
    library = debian / "usr" / "lib" / "x86_64-linux-gnu"
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, [library, debian / "lib" / "x86_64-linux-gnu"]))
    qemu = [str(debian / "usr" / "bin" / "qemu-system-x86_64"), "-L", str(debian / "usr" / "share" / "qemu")]
    qemu += ["-L", str(debian / "usr" / "share" / "seabios"), "-nodefaults", "-no-user-config", "-no-reboot"]
    qemu += ["-display", "none", "-serial", "stdio", "-m", "256", "-smp", "1", "-kernel", str(kernel)]
    qemu += ["-initrd", str(initrd), "-append", "console=ttyS0 quiet panic=-1"]
    rows, size = [], megabytes(kernel, initrd)
    for label, options, runs in (
        ("virtual machine, KVM", ["-accel", "kvm"], 5),
        ("virtual machine, translated", ["-accel", "tcg"], 2),
    ):
        command = [*qemu, *options]
        try:
            subprocess.run(command, capture_output=True, check=False, timeout=20)
        except subprocess.TimeoutExpired:
            print(f"{label}: does not come up here")
            continue
        took = seconds(lambda command=command: run(*command, said=SAID), runs)
        shown = f"qemu-system-x86_64 {' '.join(options)} -m 256 -kernel … -initrd …"
        rows.append(row(label, shown, took, size, "kernel and file system"))
    os.environ.pop("LD_LIBRARY_PATH")
    return rows


def summary(record: dict[str, Any]) -> str:
    """Markdown: start-up and size, with the command of each row."""
    found = record["machine"]
    above = (
        f"{found['system']}, {found['cores']} cores ({found['processor']}, Python {found['python']}, "
        f"load average {found['load_before']} before); {record['date']}."
    )
    lines = [
        [
            one["what"],
            f"{one['seconds']:.3g}",
            f"{one['megabytes']:,.3g}" if one["megabytes"] else "",
            one["size_of"],
            f"`{one['command']}`",
        ]
        for one in record["rows"]
    ]
    return f"{above}\n\n{table(['', 'seconds', 'MB', 'of', 'command'], lines)}"


def main() -> None:
    """Measure, print, write the record and the table in README.md."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # it would compile the libraries at each start
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--debian", type=Path, help="folder with the unpacked Debian packages")
    debian = parser.parse_args().debian
    if sys.platform != "linux":
        raise SystemExit("namespaces and KVM are Linux's: run this there")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        made, python = environment(folder / "env")
        rows = [*processes(python, folder / "env"), made]
        if debian:
            root = small_root(debian.resolve(), folder / "root")
            rows += [container(root), *machines(debian.resolve(), root, folder)]
    record = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    put("isolation", summary(record))


if __name__ == "__main__":
    main()

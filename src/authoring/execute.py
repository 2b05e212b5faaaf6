"""Executes one notebook with papermill, in a process of its own.

`run` is the side that asks, `main` the process that does it. They are held together by a pipe: when it
closes, whether by Ctrl-C, an error or the death of the asking side, the process ends its kernel and leaves.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from course.execute import CellError

OFFLINE = Path(__file__).resolve().parent / "offline"
SECONDS_PER_CELL = 600
RECORD = "record.log"
# What a user's shell may hold and what would change a lesson's outputs or reach another store.
DROPPED = ("MPLBACKEND", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "MATPLOTLIBRC")
# PYTEST_: ipykernel leaves the output of child processes alone when it believes itself in a test.
DROPPED_PREFIXES = ("PYTEST_", "PYTHON", "MLFLOW_", "WALKFORWARD_", "AWS_", "GIT_")

# What papermill and jsonschema would import where it is installed: a second of each execution. It is for
# notebooks in other people's clouds and for the grammar of IRIs; the kernel is a process of its own.
NOT_NEEDED = ("rfc3987_syntax", "isoduration", "boto3", "azure", "gcsfs", "github", "pyarrow")


@dataclass
class Outcome:
    """What came of one execution."""

    notebook: Any
    seconds: float
    faults: list[str] = field(default_factory=list)
    record: list[str] = field(default_factory=list)
    """What the kernel and its children ran, imported and read, in the lines of offline/sitecustomize.py."""


class Stopped(Exception):
    """The execution was stopped from outside."""


def environment(scratch: Path) -> dict[str, str]:
    """Return the environment in which lessons are executed.

    Everything is kept inside `scratch`; the network is closed but for loopback; telemetry is off.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in DROPPED
        and not name.startswith(DROPPED_PREFIXES)
        and not name.lower().endswith("_proxy")
    }
    return kept | {
        "PYTHONPATH": str(OFFLINE),
        "WALKFORWARD_OFFLINE_LOG": str(scratch / "network.log"),
        "WALKFORWARD_STATE": str(scratch / "state"),
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "COLUMNS": "100",
        # Waiting threads sleep instead of spinning: with two lessons on two cores, up to four times faster.
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def recording(log: Path, root: Path) -> dict[str, str]:
    """Return what makes a kernel record to `log` what it uses of the checkout `root`.

    A checkout whose `walkforward` is not the installed one, a copy say, comes first on the path: what is
    hashed must be what is run.
    """
    found = {"WALKFORWARD_RECORD": str(log), "WALKFORWARD_RECORD_ROOT": str(root)}
    sources = root / "src"
    installed = {Path(entry).resolve() for entry in sys.path[1:]}  # the first is that of the authoring side
    if (sources / "walkforward").is_dir() and sources not in installed:
        found["PYTHONPATH"] = os.pathsep.join([str(OFFLINE), str(sources)])
    return found


class Runner:
    """Executes notebooks, as many at a time as there are threads that ask; `stop` ends them all.

    `root` is the checkout whose use is recorded; without it nothing is.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(
        self,
        notebook: Any,
        *,
        parameters: dict[str, Any] | None = None,
        strict: bool = False,
        on_cell: Callable[[], None] = lambda: None,
        folder: Path | None = None,
        hash_seed: int = 0,
    ) -> Outcome:
        """Execute `notebook` and return it with outputs, seconds and what went wrong.

        That happens in an empty folder, or in `folder`; `hash_seed` orders Python's sets. Raises Stopped when
        `stop` was called meanwhile.
        """
        import nbformat

        _count(notebook)

        with tempfile.TemporaryDirectory(prefix="walkforward-", ignore_cleanup_errors=True) as name:
            scratch = Path(name)
            (scratch / "work").mkdir()
            (scratch / "ipython").mkdir()
            nbformat.write(notebook, scratch / "in.ipynb")
            job = {"parameters": parameters or {}, "root": str(self._root.resolve()) if self._root else ""}
            (scratch / "job.json").write_text(json.dumps(job), encoding="utf-8")
            env = environment(scratch) | {"PYTHONHASHSEED": str(hash_seed)}
            if strict:
                env["WALKFORWARD_STRICT"] = "1"
            process = self._start(scratch, env, folder or scratch / "work")
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    if line.strip() == "cell":
                        on_cell()
                process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
            if self._stopped:
                raise Stopped
            if not (scratch / "result.json").exists():
                errors = (scratch / "stderr.log").read_text(encoding="utf-8", errors="replace")
                last = (errors.strip().splitlines() or ["no message"])[-1]
                return Outcome(notebook, 0.0, [f"the execution broke off: {last}"])
            result = json.loads((scratch / "result.json").read_text(encoding="utf-8"))
            executed = nbformat.read(scratch / "out.ipynb", as_version=4)
            faults = list(result["faults"])
            log = scratch / "network.log"
            if log.exists():
                wanted = sorted(set(log.read_text(encoding="utf-8").splitlines()))
                faults.append(
                    "reaches for the network, although lessons run offline: "
                    + ", ".join(wanted)
                    + "; take the data from data/ or serve it on 127.0.0.1"
                )
            left = left_running(str(log))
            if left:
                faults.append("leaves a process running: " + "; ".join(left) + "; stop it in the lesson")
            record = scratch / RECORD
            lines = record.read_text(encoding="utf-8", errors="surrogateescape") if record.exists() else ""
            return Outcome(executed, result["seconds"], faults, lines.splitlines())

    def stop(self) -> None:
        """End every execution and wait until its kernel is gone."""
        self._stopped = True
        with self._lock:
            running = list(self._running)
        for process in running:
            if process.stdin:
                process.stdin.close()
        for process in running:
            process.wait()

    def _start(self, scratch: Path, env: dict[str, str], folder: Path) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise Stopped
            log = (scratch / "stderr.log").open("w")
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve()), str(scratch)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env=env,
                cwd=folder,
                # Ctrl-C in the terminal reaches the asking side alone; it then closes the pipe.
                start_new_session=True,
            )
            log.close()
            self._running.add(process)
            return process


def title(notebook: Any) -> str:
    """Return the first line of the first text, by which an execution is counted."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return next(texts, "").partition("\n")[0]


def _count(notebook: Any) -> None:
    """Note the execution in the file WALKFORWARD_EXECUTIONS, if there is one: tests hold a budget."""
    if path := os.environ.get("WALKFORWARD_EXECUTIONS"):
        with Path(path).open("a", encoding="utf-8") as counted:
            counted.write(f"{title(notebook)}\n")


def left_running(mark: str, spared: set[int] | None = None, patience: float = 6.0) -> list[str]:
    """End the processes that carry the mark of an execution and return their command lines.

    The mark is the value of WALKFORWARD_OFFLINE_LOG, which every process inherits; `spared` are ids to leave
    alone; `patience` is how many seconds a server has to stop by itself.
    """
    import psutil

    deadline = time.monotonic() + patience
    while True:
        left = []
        for process in psutil.process_iter():
            if process.pid in (spared or ()):
                continue
            try:
                if process.environ().get("WALKFORWARD_OFFLINE_LOG") == mark:
                    left.append(process)
            except (psutil.Error, OSError):
                continue
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    lines = []
    for process in left:
        try:
            lines.append(" ".join(process.cmdline())[:80])
            process.kill()
        except psutil.Error:
            continue
    return lines


def _end_with_the_pipe() -> None:
    """Wait for the end of stdin; then end the kernel, give its servers time to follow, and leave."""
    # Not sys.stdin.read(): a thread inside it would hold a lock when the interpreter ends.
    while os.read(0, 1):
        pass
    import psutil

    children = psutil.Process().children(recursive=True)
    for kernel in psutil.Process().children():
        try:
            kernel.kill()
        except psutil.Error:
            continue
    for process in psutil.wait_procs(children, timeout=8)[1]:
        try:
            process.kill()
        except psutil.Error:
            continue
    os._exit(130)


def main(folder: str) -> None:
    """Execute `folder`/in.ipynb, write out.ipynb and result.json beside it; a line `cell` for each cell."""
    threading.Thread(target=_end_with_the_pipe, daemon=True).start()
    scratch = Path(folder)
    # The pipe to the asking side is this process's alone: what a lesson leaves running must not hold it open.
    progress = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in NOT_NEEDED:
        sys.modules[name] = None  # type: ignore[assignment]
    import nbformat

    from course.execute import cell_errors, execute, load, with_parameters

    job = json.loads((scratch / "job.json").read_text(encoding="utf-8"))
    notebook = with_parameters(load(scratch / "in.ipynb"), job["parameters"])
    if job["root"]:  # from here on: what only executes notebooks is no part of what they depend on
        os.environ |= recording(scratch / RECORD, Path(job["root"]))
    started = time.perf_counter()
    broke_off = execute(
        notebook,
        on_cell=lambda: print("cell", file=progress, flush=True),
        progress_bar=False,
        log_output=False,
        execution_timeout=SECONDS_PER_CELL,
    )
    seconds = time.perf_counter() - started
    faults = [broke_off] if broke_off else []
    faults += [_said(error) for error in cell_errors(notebook)]
    nbformat.write(notebook, scratch / "out.ipynb")
    result = {"seconds": round(seconds, 2), "faults": faults}
    (scratch / "result.json").write_text(json.dumps(result), encoding="utf-8")


def _said(error: CellError) -> str:
    source = (error.cell.source.strip().splitlines() or [""])[0]
    why = (error.message.strip().splitlines() or [""])[0]
    return (
        f"cell {error.cell.id} ({source[:60]}) raises {error.name}: {why}; correct it, or tag it "
        "`raises-exception` if the exception is what it shows"
    )


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # else this folder could shadow a module
    main(sys.argv[1])

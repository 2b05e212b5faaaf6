"""`walkforward lab`: JupyterLab on the student's copies and the course's MLflow server, as one thing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import sys
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import psutil

from course.servers import HOST, STOPS, Server, answers, base_environment
from course.stores import sqlite_server
from course.student.workspace import writing


def run_lab(browser: bool = True, lesson: str = "00") -> int:
    """Check the environment, bring the lessons up to date, start both servers and wait for Ctrl-C.

    Opens the copy of `lesson`, of a chapter its first sitting. Returns the exit code: 0 after an orderly end
    or when a lab of this folder runs already, 1 when the environment has a fault. Raises: ServerError.
    """
    from course.student import doctor, workspace

    work, opened = workspace.work_folder(), workspace.find_lesson(lesson).name
    state = work / ".lab.json"
    if running := running_lab(state):
        running = re.sub(r"/lab/tree/[^?]*", f"/lab/tree/{opened}", running)
        print(
            f"The lab is running already (stop it with Ctrl-C where you started it):\n{running}", flush=True
        )
        if browser:
            webbrowser.open(running)
        return 0
    if doctor.run_checks():
        print("The lab is not started: put right what is marked above, then try again.", file=sys.stderr)
        return 1
    with _stoppable():
        servers: list[Server] = []
        try:
            mlflow = sqlite_server(work / "mlflow").launch()
            servers.append(mlflow)
            workspace.sync()
            token = secrets.token_hex(24)
            servers.append(_jupyter(work, opened, mlflow.uri, token).launch())
            # MLflow takes longer, and no lesson waits for it
            told = _open(servers[1], state, opened, token, browser)
            if mlflow.wait().uri != told:  # its port was taken meanwhile; the kernels must know the new one
                servers[1].stop()
                servers[1] = _jupyter(work, opened, mlflow.uri, token).launch()
                _open(servers[1], state, opened, token, browser)
            jupyter = servers[1]
            print(f"MLflow      {mlflow.uri}\n\nCtrl-C stops both.", flush=True)
            _watch(jupyter, mlflow)
        except KeyboardInterrupt:
            print("\nStopping …", flush=True)
        finally:
            for name in STOPS:  # an impatient second Ctrl-C must not leave a server behind
                signal.signal(name, signal.SIG_IGN)
            for server in servers:
                server.ask_to_stop()
            for server in servers:
                server.stop()
            with contextlib.suppress(OSError):  # a note that stays is found out to be stale
                state.unlink(missing_ok=True)
        print("Stopped; your work and your runs are kept.", flush=True)
    return 0


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Make every polite way to end a program a KeyboardInterrupt, even where a shell ignores Ctrl-C."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {name: signal.signal(name, stop) for name in STOPS}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _jupyter(work: Path, opened: str, tracking_uri: str, token: str) -> Server:
    options = [
        f"--ServerApp.ip={HOST}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={work}",
        "--ServerApp.open_browser=False",
        f"--LabApp.default_url=/lab/tree/{opened}",
        # The course works offline: no news, no look for a newer JupyterLab.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if os.name == "posix" and os.geteuid() == 0:  # a container, mostly
        options.append("--ServerApp.allow_root=True")
    env = base_environment(drop="JUPYTER_TOKEN|MLFLOW_")
    local = {
        name: ",".join(filter(None, [env.get(name), HOST, "localhost"])) for name in ("NO_PROXY", "no_proxy")
    }
    # The course's settings (no question about news, long lines of code wrapped); a student's own come first.
    ours = Path(__file__).with_name("jupyter")
    env["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [env.get("JUPYTER_CONFIG_PATH"), str(ours)]))
    return Server(
        name="JupyterLab",
        log=work / "mlflow" / "jupyterlab.log",
        command=lambda port: [sys.executable, "-m", "jupyterlab", f"--ServerApp.port={port}", *options],
        is_ready=lambda port: answers(f"http://{HOST}:{port}", "/api"),
        # The token goes through the environment: everybody on the machine can read a command line.
        server_env=env
        | local
        | {
            "JUPYTER_TOKEN": token,
            "MLFLOW_TRACKING_URI": tracking_uri,
            "WALKFORWARD_TRACKING_URI": tracking_uri,
        },
    )


def _open(jupyter: Server, state: Path, opened: str, token: str, browser: bool) -> str:
    """Wait for JupyterLab, say where it is and open it; return the MLflow address that its kernels know."""
    address = f"{jupyter.wait().uri}/lab/tree/{opened}?token={token}"
    _remember(state, address)
    print(f"\nJupyterLab  {address}", flush=True)
    if browser:
        webbrowser.open(address)
    return jupyter.server_env["WALKFORWARD_TRACKING_URI"]


def _watch(jupyter: Server, mlflow: Server) -> None:
    """Return when JupyterLab ends (its own "Shut Down"); say it once when the MLflow server does."""
    told = False
    while jupyter.running:
        if not told and not mlflow.running:
            print(
                f"The MLflow server has ended, see {mlflow.log}; restart the lab to log runs again.",
                flush=True,
            )
            told = True
        time.sleep(0.3)


def _remember(state: Path, address: str) -> None:
    about = {"pid": os.getpid(), "started": psutil.Process().create_time(), "address": address}
    with writing(state.parent):
        state.touch(mode=0o600)  # the token is in it
        state.write_text(json.dumps(about), encoding="utf-8")


def running_lab(state: Path) -> str | None:
    """The address of the lab that runs in this folder; None without one, or when the note is stale."""
    try:
        match json.loads(state.read_text(encoding="utf-8")):
            case {"pid": int(pid), "started": float(started), "address": str(address)}:
                here = abs(psutil.Process(pid).create_time() - started) < 1
                return address if here and answers(address, "/api") else None
    except (OSError, ValueError, OverflowError, RecursionError, psutil.Error):
        pass
    return None

"""Start and stop servers on this machine: MLflow tracking, a served model, what else a `Server` describes.

In a `with` block a server is ready, on a free port of 127.0.0.1; it is stopped, with every process it made,
when the block ends or raises, when the interpreter exits and when the kernel is killed. For the last one a
light supervisor (this file, run as a program) stands between: it holds the server and a pipe from the process
that asked for it, and ends the server's processes as soon as that pipe closes.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import io
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from walkforward.errors import WalkForwardError
from walkforward.ports import listening_port

HOST = "127.0.0.1"
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
"""Environment variables that keep MLflow from reporting its use; part of everything that is started here."""


class ServerError(WalkForwardError, RuntimeError):
    """A server did not start; the message is one line with the cause and the way out."""


@dataclass(eq=False)
class Server:
    """A server under supervision: `with server:` starts it, waits until it is ready and stops it at the end.

    `uri` is its address, `log` the file with all it printed, `env` the environment variables a client needs,
    `process` its supervisor; it runs in `folder`, by default that of the log. Without a `with` block call
    `launch()`, `wait()` and `stop()` yourself. What fails raises ServerError.
    """

    name: str
    log: Path
    command: Callable[[int], list[str]]
    is_ready: Callable[[int], bool]
    address: str = "http://" + HOST + ":{port}"
    port: int | None = None
    env: dict[str, str] = field(default_factory=dict)
    server_env: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    stop_signal: str = "SIGTERM"
    user: str | None = None
    seconds: float = 90.0  # until it must be ready
    grace: float = 6.0  # seconds for an orderly end
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self._owner = os.getpid()
        self._asked = self.port is not None
        if self.port is not None:
            try:
                listening_port(HOST, self.port)
            except (OSError, OverflowError):
                taken = f"Port {self.port} is taken, {self.name} can't start there"
                raise ServerError(f"{taken}: leave `port` out for a free one.") from None

    @property
    def uri(self) -> str:
        """The address, for example `http://127.0.0.1:43210`."""
        return self.address.format(port=self.port)

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self.process is not None and self.process.poll() is None

    def __enter__(self) -> Server:
        try:
            return self.launch().wait()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def launch(self) -> Server:
        """Start the processes without waiting for them to be ready (see `wait`)."""
        if not self._asked:
            self.port = free_port()
        assert self.port is not None
        spec = {"command": self.command(self.port), "parent": os.getpid()}
        spec |= {"signal": self.stop_signal, "user": self.user, "grace": self.grace}
        with writing_in(self.log.parent), self.log.open("ab") as output:
            self._from = self.log.stat().st_size
            self.process = subprocess.Popen(
                python("course.servers"),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder or self.log.parent,
                env=dict(self.server_env),
                **_apart(),
            )
        assert self.process.stdin is not None
        _living.add(self)
        with contextlib.suppress(OSError):  # a supervisor that died at once is reported by wait()
            self.process.stdin.write(json.dumps(spec).encode() + b"\n")
            self.process.stdin.flush()
        return self

    def wait(self) -> Server:
        """Wait until it answers. A port that someone took meanwhile is replaced, up to three times.

        Raises: ServerError with the cause from the log, when it ends early or is not ready in `seconds`.
        """
        tries, end = 0, time.monotonic() + self.seconds
        while True:
            assert self.process is not None and self.port is not None
            if self.process.poll() is not None:
                tries += 1
                if not re.search(_TAKEN, self._output()) or self._asked or tries == 3:
                    raise ServerError(f"{self.name} did not start: {self._cause()} (all of it: {self.log})")
                self.stop()
                self.launch()
            elif self.is_ready(self.port):
                return self
            elif time.monotonic() > end:
                self.stop()
                late = f"{self.name} was not ready after {self.seconds:.0f} s"
                raise ServerError(f"{late}: {self._cause()} (all of it: {self.log})")
            time.sleep(0.05)

    def ask_to_stop(self) -> None:
        """Ask for an orderly end and return at once; `stop()` waits for it."""
        if self.process is not None and self.process.stdin is not None and self._owner == os.getpid():
            with contextlib.suppress(OSError, ValueError):
                self.process.stdin.write(b"\n")
                self.process.stdin.flush()

    def stop(self) -> None:
        """End the server and every process it made; does nothing when it is stopped already."""
        if self.process is None or self._owner != os.getpid():
            return
        self.ask_to_stop()
        with contextlib.suppress(OSError):
            self.process.stdin.close()  # type: ignore[union-attr]
        try:
            self.process.wait(self.grace + 5)
        except subprocess.TimeoutExpired:
            _end(_family(self.process.pid), 0)
            self.process.wait()
        _living.discard(self)

    def _output(self) -> str:
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(self._from)
            return log.read().decode("utf-8", "replace")
        return ""

    def _cause(self) -> str:
        lines = [line.strip() for line in self._output().splitlines() if line.strip()]
        telling = [line for line in lines if re.search(_TELLING, line)]
        return (telling or lines or ["it printed nothing"])[-1][:300]


STOPS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]
"""The polite ways to end a program on this system."""
_TAKEN = r"(?i)address already in use|only one usage of each socket|\b10048\b"
_TELLING = r"(?i)error|exception|fatal|denied|refused|no such"
_living: set[Server] = set()
_given: set[int] = set()


@atexit.register
def _stop_all() -> None:
    for server in list(_living):
        server.ask_to_stop()
    for server in list(_living):
        server.stop()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that was not handed out by this process before."""
    while True:
        port = listening_port(HOST, 0)
        if port not in _given:
            _given.add(port)
            return port


def answers(uri: str, path: str = "/health", seconds: float = 1.0) -> bool:
    """Whether `path` on the server at `uri` answers with a status below 400; no proxy is asked."""
    return status(uri, path, seconds) < 400


def status(uri: str, path: str, seconds: float = 1.0, method: str = "GET") -> int:
    """The HTTP status of `path` on the server at `uri`, 599 when there is no answer; no proxy is asked."""
    parts = urlsplit(uri)
    if not parts.hostname:
        return 599
    try:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
        with contextlib.closing(connection):
            connection.request(method, path)
            return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 599


def python(*arguments: str) -> list[str]:
    """Run a module with this Python; -P: no file of the current folder is taken for a library."""
    return [sys.executable, "-P", "-m", *arguments]


def base_environment(*, drop: str = r"(?!)") -> dict[str, str]:
    """The environment for a child: telemetry off, byte code kept, this Python's scripts on the path.

    Variables whose name matches `drop` from its start are left out.
    """
    env = {name: value for name, value in os.environ.items() if not re.match(drop, name)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # every process would compile all it imports again
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", "")])
    return env | QUIET | {"PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Make the folder; what can't be written in the block is a ServerError that names it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ServerError(
            f"Can't write in {folder} ({reason}): choose a folder that you can write to."
        ) from error


def tracking_server(
    folder: str | Path,
    *,
    backend_store_uri: str | None = None,
    artifacts_destination: str | None = None,
    auth: tuple[str, str] | None = None,
    workers: int = 1,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Server:
    """An MLflow tracking server for a `with` block.

    Its log, and unless you name other places its store (`mlflow.db`) and artifacts, live in `folder`; clients
    reach the artifacts through the server. `auth=("admin", "a password")` turns on basic authentication; the
    variables a client then needs are in `server.env`. `env` are further variables for the server itself, such
    as the keys of an object store. Raises: ServerError.
    """
    folder = Path(folder).resolve()
    store = backend_store_uri or f"sqlite:///{(folder / 'mlflow.db').as_posix()}"
    artifacts = artifacts_destination or (folder / "artifacts").as_uri()
    # Only what is said here decides: an MLFLOW_… variable of the user's shell would set an option unseen.
    server_env = base_environment(drop="MLFLOW_") | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    options = ["--backend-store-uri", store, "--artifacts-destination", artifacts, "--workers", str(workers)]
    client_env: dict[str, str] = {}
    if auth:
        user, password = auth
        if len(password) < 12:
            raise ServerError(
                f"The password of {user!r} has {len(password)} characters; MLflow wants 12 or more."
            )
        ini = folder / "auth.ini"
        with writing_in(folder):
            users = (folder / "auth.db").as_posix().replace("%", "%%")
            lines = ["[mlflow]", "default_permission = READ", f"database_uri = sqlite:///{users}"]
            lines += [f"admin_username = {user}"]
            if (
                workers == 1
            ):  # hashing a password takes 0.1 s a request; several workers would hold stale answers
                lines += ["auth_cache_ttl_seconds = 60"]
            ini.write_text("\n".join([*lines, ""]), encoding="utf-8")
        options += ["--app-name", "basic-auth"]
        server_env |= {
            "MLFLOW_AUTH_CONFIG_PATH": str(ini),
            "MLFLOW_AUTH_ADMIN_USERNAME": user,
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        }
        client_env = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    return Server(
        name="The MLflow server",
        log=folder / "mlflow.log",
        command=lambda port: python("mlflow", "server", "--host", HOST, "--port", str(port), *options),
        is_ready=_is_healthy,
        port=port,
        env=client_env,
        server_env=server_env | dict(env or {}),
    )


def model_server(
    model_uri: str, folder: str | Path, *, tracking_uri: str | None = None, port: int | None = None
) -> Server:
    """A server of a model (`models:/name@champion`, `runs:/…`, a path) over HTTP, for a `with` block.

    POST rows to `server.uri + "/invocations"`. `tracking_uri` says where the model is looked up; by default
    where this process looks. The log is in `folder`. Raises: ServerError.
    """
    command = python("mlflow", "models", "serve", "--env-manager", "local", "--model-uri", str(model_uri))
    return _of_model(command, model_uri, folder, tracking_uri, port)


def fast_server(
    model_uri: str,
    folder: str | Path,
    *,
    options: Sequence[str] = (),
    tracking_uri: str | None = None,
    port: int | None = None,
) -> Server:
    """A server of a model as `model_server` gives it, by `walkforward serve`; `options` are that command's.

    For example `options=("--workers", "2")`. The log is in `folder`. Raises: ServerError.
    """
    command = python("walkforward.serving", str(model_uri), *options)
    return _of_model(command, model_uri, folder, tracking_uri, port)


def _of_model(
    command: list[str], model_uri: str, folder: str | Path, tracking_uri: str | None, port: int | None
) -> Server:
    server_env = base_environment()
    if tracking_uri is None and "mlflow" in sys.modules:
        tracking_uri = str(sys.modules["mlflow"].get_tracking_uri())
    if tracking_uri:
        server_env["MLFLOW_TRACKING_URI"] = tracking_uri
    return Server(
        name=f"The server for model {model_uri}",
        log=Path(folder).resolve() / "model.log",
        command=lambda port: [*command, "--host", HOST, "--port", str(port)],
        folder=Path.cwd(),  # paths in the addresses may be relative to it
        is_ready=_is_healthy,
        port=port,
        server_env=server_env,
    )


def _is_healthy(port: int) -> bool:
    return status(f"http://{HOST}:{port}", "/health") == 200


# The supervisor: what follows runs in a process of its own (`python -m course.servers`).


def _apart() -> dict[str, Any]:
    """Popen arguments for a process that Ctrl-C in the parent's terminal does not reach."""
    if os.name == "posix":
        return {"start_new_session": True}
    return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}  # type: ignore[attr-defined]


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _end(family: list[psutil.Process], seconds: float) -> None:
    """Wait for the processes, then kill those that are left, with children they made meanwhile."""
    end = time.monotonic() + seconds
    while (left := [process for process in family if _alive(process)]) and time.monotonic() < end:
        time.sleep(0.02)
    for process in [member for survivor in left for member in _family(survivor.pid)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _supervise() -> int:
    pipe = io.FileIO(0)  # unbuffered: a thread that waits in a buffered reader would hang the exit
    spec = json.loads(pipe.readline())
    stop = threading.Event()
    for name in STOPS:
        signal.signal(name, lambda *_: stop.set())
    threading.Thread(target=lambda: (pipe.read(1), stop.set()), daemon=True).start()  # a byte, or the end
    as_user = {"user": spec["user"]} if spec["user"] else {}
    try:
        child = subprocess.Popen(spec["command"], stdin=subprocess.DEVNULL, **as_user, **_apart())
    except OSError as error:
        print(f"Error: {error}", flush=True)
        return 1
    # The pipe may be held open by a fork of the parent: its death counts as well.
    while child.poll() is None and psutil.pid_exists(spec["parent"]) and not stop.wait(0.2):
        pass
    family = _family(child.pid)
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, getattr(signal, spec["signal"]) if child.poll() is None else signal.SIGKILL)
    else:
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(spec["grace"])
    for process in filter(_alive, family):  # those in sessions of their own, like a notebook's kernel
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _end(family, 1)
    if os.name == "posix":  # whoever lost its parent but not its group
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


if __name__ == "__main__":
    sys.stdout.flush()
    os._exit(_supervise() & 0xFF)

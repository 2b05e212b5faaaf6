"""The server around the application: its worker processes, from their start to the stop."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.server.mp import MPServer

from walkforward.errors import WalkForwardError
from walkforward.ports import listening_port
from walkforward.serving.app import App
from walkforward.serving.predictor import ServeError, compiled, one_line


class PortError(WalkForwardError, OSError):
    """The address can't be listened on; one line says why."""


def _worker(model: str, address: str, pyfunc: bool, folder: str, options: dict[str, Any]) -> App:
    """Make the application of a worker; the first one to be ready says which path it takes."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # the parent's handlers, in a fork too, only take note
        signal.signal(stop, signal.SIG_DFL)
    try:
        app = App(compiled(model, pyfunc=pyfunc), folder, **options)
    except Exception as error:
        print(f"Error: {model} can't be loaded: {one_line(error)}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None
    with contextlib.suppress(FileExistsError), (Path(folder) / "said").open("x"):
        print(f"{address}: {app.predictor.reason}.", flush=True)
    return app


def serve(
    model_uri: str,
    *,
    host: str = "127.0.0.1",
    port: int = 5002,
    workers: int = 1,
    queue: int = 256,
    timeout: float = 30,
    max_body: float = 10,
    pyfunc: bool = False,
    batching: bool | None = None,
) -> int:
    """Serve a model until SIGTERM or Ctrl-C and finish what is at work.

    Args:
        model_uri: A model's folder, models:/… or runs:/….
        host: The address to listen on. Default: this machine alone.
        port: The port; 0 takes a free one. Default: 5002.
        workers: Processes. Default: 1.
        queue: Requests that may wait in a worker; further ones get 503. Default: 256.
        timeout: Seconds that a body, and an answer, may take. Default: 30.
        max_body: Megabytes of a body. Default: 10.
        pyfunc: Compile nothing. Default: False.
        batching: Of no effect: requests are never merged.

    Returns:
        The exit code: 0 when it was stopped, 2 when the model can't be loaded.

    Raises:
        ServeError: The model can't be found, or an option is not above 0.
        PortError: The address can't be listened on.

    >>> serve("models:/trips@champion", workers=0)
    Traceback (most recent call last):
    walkforward.serving.predictor.ServeError: --workers is 0: it must be above 0.
    """
    if batching is not None:
        print("--batching has no effect: requests are never merged.", file=sys.stderr, flush=True)
    for name, value in {"workers": workers, "queue": queue, "timeout": timeout, "max-body": max_body}.items():
        if not value > 0:
            raise ServeError(f"--{name} is {value}: it must be above 0.")
    try:  # Granian shares a port that is taken, and half of the requests go astray
        port = listening_port(host, port)
    except (OSError, OverflowError) as error:
        raise PortError(f"Can't listen on {host}:{port} ({error}): choose another --port.") from None
    with tempfile.TemporaryDirectory(prefix="walkforward-", ignore_cleanup_errors=True) as folder:
        options = {"queue": queue, "timeout": timeout, "max_body": max_body}
        loader = partial(
            _worker, folder_of(model_uri, folder), f"http://{host}:{port}", pyfunc, folder, options
        )
        # A row needs no team of threads, nor do workers side by side.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        server = MPServer(
            "walkforward.serving",
            host,
            port,
            interface=Interfaces.RSGI,
            workers=workers,
            http=HTTPModes.http1,
            websockets=False,
            loop=Loops.asyncio,
            runtime_mode=RuntimeModes.mt,
            log_enabled=False,
            backlog=4096,
            backpressure=65_536,
            workers_kill_timeout=int(timeout) + 5,
        )
        try:
            server.serve(target_loader=loader, wrap_loader=False)
        except SystemExit:
            return 0 if server.interrupt_signal else 2
    return 0


def folder_of(model_uri: str, folder: str) -> str:
    """Where the model is: a folder, or what MLflow makes of a URI, after a download. Raises: ServeError."""
    path = Path(model_uri)
    if not _holds_model(path) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", model_uri):
        path = _fetched(model_uri, folder)
    if not _holds_model(path):
        what = f"{model_uri} is no MLflow model: there is no MLmodel file"
        raise ServeError(f"{what} in {path.absolute()}: give a model's folder, models:/… or runs:/….")
    return str(path.resolve())


def _fetched(model_uri: str, folder: str) -> Path:
    from mlflow.artifacts import download_artifacts
    from mlflow.utils.file_utils import local_file_uri_to_path

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        if model_uri.startswith("file:"):
            return Path(local_file_uri_to_path(model_uri))
        return Path(download_artifacts(artifact_uri=model_uri, dst_path=folder))
    except Exception as error:
        raise ServeError(f"{model_uri} can't be found: {one_line(error)}") from None


def _holds_model(path: Path) -> bool:
    try:
        return (path / "MLmodel").is_file()
    except (OSError, ValueError):  # a name that no file can have; a folder that may not be looked into
        return False

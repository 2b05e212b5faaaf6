"""Serve an MLflow model over MLflow's own protocol, many times faster than `mlflow models serve`.

The plain common case (JSON, the signature's columns by name, values of the types that it asks for) is read
straight into rows and answered by a compiled form of the model. Everything else goes to MLflow's own
`invocations()` with the pyfunc, so that what is refused, and in which words, is MLflow's by construction.
Requests are never merged into one predict: rows of a model may depend on each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mlflow.environment_variables import _MLFLOW_IS_IN_SERVING_ENVIRONMENT
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations
from mlflow.version import VERSION

from walkforward.errors import WalkForwardError
from walkforward.ports import listening_port
from walkforward.serving.meter import IN_FLIGHT, Meter
from walkforward.serving.predictor import Call, Predictor, Refused, ServeError, compiled, folder_of, one_line
from walkforward.serving.rows import JSON, is_json, plain_rows

TEXT = "text/plain; charset=utf-8"
LATE = b"Request processing time exceeded limit"
LONG = 65_536  # bytes of a body that is read in a thread
CODES = {408: "REQUEST_TIMEOUT", 413: "PAYLOAD_TOO_LARGE", 503: "TEMPORARILY_UNAVAILABLE"}
KNOWN = {"/invocations": "POST"} | dict.fromkeys(("/ping", "/health", "/version", "/metrics"), "GET")


class PortError(WalkForwardError, OSError):
    """The address can't be listened on; one line says why."""


def _error(message: str, code: str) -> bytes:
    return json.dumps({"error_code": code, "message": message}).encode()


class Answer(NamedTuple):
    """What goes back, and for the meter which path it took and how many rows it has."""

    path: str
    rows: int
    status: int
    body: bytes
    kind: str


class TooLong(Exception):
    """The body is longer than is read."""


class App:
    """The RSGI application of one worker; arguments as in `serve`, `folder` is where the meters are.

    `batching` is of no effect: requests are never merged. Where no rows can be read, the pyfunc serves.
    """

    def __init__(
        self,
        predictor: Predictor,
        folder: str,
        queue: int,
        timeout: float,
        max_body: float,
        batching: bool = False,
    ) -> None:
        self.predictor, self.model, self.queue, self.timeout = predictor, predictor.model, queue, timeout
        self.longest, self.meter, self.waiting = int(max_body * 2**20), Meter(Path(folder)), 0
        self.schema = self.model.metadata.get_input_schema()
        os.environ[_MLFLOW_IS_IN_SERVING_ENVIRONMENT.name] = (
            "true"  # as MLflow's server does, once it has loaded
        )
        self.pool = ThreadPoolExecutor(16, "predict")
        self.reading: dict[asyncio.Task[Any], float] = {}  # until when
        self.read, self.inline = None, False
        if predictor.path != "pyfunc":
            try:
                self.read, self.inline = plain_rows(predictor), _takes_under_a_millisecond(predictor)
            except Exception as error:  # whatever it is, MLflow can read them
                reason = f"no fast path: {one_line(error)}; served through pyfunc"
                self.predictor = replace(predictor, path="pyfunc", reason=reason)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called by the server before the first request."""
        self.loop, self.watch = loop, loop.create_task(self._end_slow_bodies())

    async def _end_slow_bodies(self) -> None:
        while True:  # one task for all: a timer per request would cost a tenth of the throughput
            await asyncio.sleep(min(0.25, self.timeout / 4))
            now = time.monotonic()
            for task in [task for task, end in self.reading.items() if end < now]:
                task.cancel()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer a request."""
        path, method = scope.path, scope.method
        if path == "/invocations" and method == "POST":
            return await self._invocations(scope.headers, protocol)
        status, body, kind, headers = 200, b"\n", JSON, []
        if path not in KNOWN:
            status, body, short = 404, b'{"detail":"Not Found"}', path.rstrip("/")
            if short in KNOWN:
                host = scope.headers.get("host") or scope.server
                return protocol.response_empty(307, [("location", f"{scope.scheme}://{host}{short}")])
        elif method != KNOWN[path]:
            status, body, headers = 405, b'{"detail":"Method Not Allowed"}', [("allow", KNOWN[path])]
        elif path == "/version":
            body = VERSION.encode()
        elif path == "/metrics":
            from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

            body, kind = generate_latest(self.meter), CONTENT_TYPE_LATEST  # type: ignore[arg-type]
        protocol.response_bytes(status, [("content-type", kind), *headers], body)

    async def _invocations(self, headers: Any, protocol: Any) -> None:
        try:
            body = await self._body_in_time(headers, protocol)
        except TimeoutError:
            return self._refuse(protocol, 408, f"The body was not there after {self.timeout:g} s.")
        except TooLong:
            return self._refuse(protocol, 413, f"The body is longer than {self.longest:,} bytes.")
        if self.waiting >= self.queue:
            return self._refuse(protocol, 503, f"{self.waiting} requests wait already: try again later.")
        begin, kind = time.perf_counter(), headers.get("content-type")
        if self.inline and len(body) < LONG and is_json(kind):
            answer = await self._at_once(body) or await self._in_a_thread(self._by_mlflow, body, kind)
        else:
            answer = await self._in_a_thread(self._by_any, body, kind)
        protocol.response_bytes(answer.status, [("content-type", answer.kind)], answer.body)
        self.meter.count(answer.path, answer.status, time.perf_counter() - begin, answer.rows)

    async def _body_in_time(self, headers: Any, protocol: Any) -> bytes:
        """The request's body. Raises: TooLong, TimeoutError."""
        task, end = asyncio.current_task(), time.monotonic() + self.timeout
        self.reading[task] = end  # type: ignore[index]
        try:
            return await self._body(headers, protocol)
        except asyncio.CancelledError:
            if time.monotonic() < end:  # the client is gone
                raise
            raise TimeoutError from None
        finally:
            del self.reading[task]  # type: ignore[arg-type]

    async def _body(self, headers: Any, protocol: Any) -> bytes:
        """The request's body. Raises: TooLong, as soon as that is known."""
        length = headers.get("content-length")
        if length is not None:
            if int(length) > self.longest:
                raise TooLong
            return await protocol()
        parts, size = [], 0
        async for part in protocol:
            size += len(part)
            if size > self.longest:
                raise TooLong
            parts.append(part)
        return b"".join(parts)

    async def _at_once(self, body: bytes) -> Answer | None:
        """The compiled form's answer; all who have their body are counted before the first goes on."""
        self._hold(1)
        try:
            await asyncio.sleep(0)
            return self._by_form(body)
        finally:
            self._hold(-1)

    async def _in_a_thread(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """The answer of what would hold up the others; it counts until it ends, also after a 504."""
        self._hold(1)
        try:
            job = self.pool.submit(work, *arguments)
        except BaseException:
            self._hold(-1)
            raise
        job.add_done_callback(lambda _: self.loop.call_soon_threadsafe(self._hold, -1))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(job), self.timeout)
        except TimeoutError:
            return Answer("pyfunc", 0, 504, LATE, JSON)

    def _hold(self, step: int) -> None:
        self.waiting += step
        self.meter.slots[IN_FLIGHT] += step

    def _refuse(self, protocol: Any, status: int, message: str) -> None:
        extra = ("retry-after", "1") if status == 503 else ("connection", "close")
        protocol.response_bytes(status, [("content-type", JSON), extra], _error(message, CODES[status]))
        self.meter.count("none", status, 0.0, 0)

    def _by_any(self, body: bytes, kind: str | None) -> Answer:
        plain = self.read is not None and is_json(kind)
        return (self._by_form(body) if plain else None) or self._by_mlflow(body, kind)

    def _by_form(self, body: bytes) -> Answer | None:
        """The compiled form's answer; None for what MLflow has to read, to answer or to refuse."""
        try:
            numbers = self.predictor.predict(self.read(body)).tolist()  # type: ignore[misc]
        except Exception:  # a body that is not plain, a value that the model may refuse
            return None
        text = repr(numbers)  # digits and spaces as json.dumps writes them, but for nan and inf
        if "n" in text:
            return None
        return Answer("fast", len(numbers), 200, f'{{"predictions": {text}}}'.encode(), JSON)

    def _by_mlflow(self, body: bytes, kind: str | None) -> Answer:
        """What MLflow's own code answers; where its server would fail on a request, a 400 that says why."""
        call = Call(self.model, self.model.predict)
        try:
            if kind is None:
                raise Refused("The request has no content-type.")
            found = invocations(body, kind, call, self.schema)
            mime = TEXT if found.mimetype == "text/plain" else found.mimetype
            return Answer("pyfunc", call.rows, found.status, found.response.encode(), mime)
        except MlflowException as error:
            return Answer("pyfunc", 0, error.get_http_status_code(), error.serialize_as_json().encode(), JSON)
        except Exception as error:
            if call.answered:  # what the model said can't be sent: not the client's fault
                return Answer("pyfunc", 0, 500, b"Internal Server Error", TEXT)
            return Answer("pyfunc", 0, 400, _error(one_line(error), "BAD_REQUEST"), JSON)


def _takes_under_a_millisecond(predictor: Predictor) -> bool:
    """Whether a row may be answered in the event loop: a slower one would hold up /health."""
    row = predictor.row
    if row is None:
        row = np.zeros((1, len(predictor.model.metadata.get_input_schema().inputs)), predictor.dtype)
    return min(timeit.repeat(lambda: predictor.predict(row), number=1, repeat=5)) < 0.001


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
    """Serve a model until SIGTERM or Ctrl-C, finish what is at work, and return the exit code.

    `queue` is how many requests a worker lets wait, `timeout` the seconds that a body and an answer may take,
    `max_body` megabytes; `batching` is of no effect. Raises: ServeError, PortError.
    """
    from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
    from granian.server.mp import MPServer

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
        model = folder_of(model_uri, folder)
        # A row needs no team of threads, nor do workers side by side.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        granian: dict[str, Any] = {"interface": Interfaces.RSGI, "http": HTTPModes.http1, "websockets": False}
        granian |= {"loop": Loops.asyncio, "runtime_mode": RuntimeModes.mt, "log_enabled": False}
        granian |= {"backlog": 4096, "backpressure": 65_536, "workers_kill_timeout": int(timeout) + 5}
        server = MPServer("walkforward.serving", host, port, workers=workers, **granian)
        loader = partial(_worker, model, f"http://{host}:{port}", pyfunc, folder, options)
        try:
            server.serve(target_loader=loader, wrap_loader=False)
        except SystemExit:
            return 0 if server.interrupt_signal else 2
    return 0

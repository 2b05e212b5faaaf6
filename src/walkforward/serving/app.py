"""What a worker answers to each request, over MLflow's own protocol.

The plain common case (JSON, the signature's columns by name, values of the types that it asks for) is read
straight into rows and answered by a compiled form of the model. Everything else goes to MLflow's own
`invocations()` with the pyfunc, so that what is refused, and in which words, is MLflow's by construction.
Requests are never merged into one predict: rows of a model may depend on each other.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import timeit
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mlflow.environment_variables import _MLFLOW_IS_IN_SERVING_ENVIRONMENT
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from mlflow.pyfunc.scoring_server import invocations
from mlflow.version import VERSION
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from walkforward.serving.meter import IN_FLIGHT, Meter
from walkforward.serving.predictor import Predictor, by_mlflow, one_line
from walkforward.serving.rows import JSON, is_json, plain_rows

TEXT = "text/plain; charset=utf-8"
LATE = b"Request processing time exceeded limit"
LONG = 65_536  # bytes of a body that is read in a thread
CODES = {408: "REQUEST_TIMEOUT", 413: "PAYLOAD_TOO_LARGE", 503: "TEMPORARILY_UNAVAILABLE"}
KNOWN = {"/invocations": "POST"} | dict.fromkeys(("/ping", "/health", "/version", "/metrics"), "GET")


class TooLong(Exception):
    """The body is longer than is read."""


class Answer(NamedTuple):
    """What goes back, and for the meter which path it took and how many rows it has."""

    path: str
    rows: int
    status: int
    body: bytes
    kind: str


class Call:
    """A pyfunc for one call of `invocations`, which notes how far the call came."""

    def __init__(self, model: PyFuncModel) -> None:
        self.metadata, self._model, self.answered, self.rows = model.metadata, model, False, 0

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Answer as the pyfunc does."""
        answer = self._model.predict(data, params)
        self.answered, self.rows = True, len(answer) if hasattr(answer, "__len__") else 1
        return answer


class App:
    """The RSGI application of one worker. Where no rows can be read, the pyfunc serves.

    Args:
        predictor: The model, from `compiled`.
        folder: Where the workers' meters are.
        queue: Requests that may wait; further ones get 503.
        timeout: Seconds that a body, and an answer, may take.
        max_body: Megabytes of a body.
        batching: Of no effect: requests are never merged. Default: False.

    >>> import tempfile
    >>> from mlflow.models import Model
    >>> from sklearn.linear_model import LinearRegression
    >>> meta = Model(flavors={"python_function": {"loader_module": "mlflow.sklearn"}})
    >>> predictor = Predictor("pyfunc", "made up", len, PyFuncModel(meta, LinearRegression()))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     App(predictor, folder, queue=8, timeout=30, max_body=1).longest
    1048576
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
        os.environ[_MLFLOW_IS_IN_SERVING_ENVIRONMENT.name] = "true"  # as MLflow's server does, once loaded
        self.pool = ThreadPoolExecutor(16, "predict")
        self.reading: dict[asyncio.Task[Any], float] = {}  # until when
        self.read, self.inline = None, False
        if predictor.path != "pyfunc":
            try:
                self.read, self.inline = plain_rows(predictor), _takes_under_a_millisecond(predictor)
            except Exception as error:  # whatever it is, MLflow can read them
                self.predictor = by_mlflow(self.model, one_line(error))

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
        path, say = scope.path, protocol.response_bytes
        if path == "/invocations" and scope.method == "POST":
            return await self._invocations(scope.headers, protocol)
        if path not in KNOWN:
            short = path.rstrip("/")
            if short not in KNOWN:
                return say(404, [("content-type", JSON)], b'{"detail":"Not Found"}')
            host = scope.headers.get("host") or scope.server
            return protocol.response_empty(307, [("location", f"{scope.scheme}://{host}{short}")])
        if scope.method != KNOWN[path]:
            headers = [("content-type", JSON), ("allow", KNOWN[path])]
            return say(405, headers, b'{"detail":"Method Not Allowed"}')
        if path == "/metrics":
            counts = generate_latest(self.meter)  # type: ignore[arg-type]
            return say(200, [("content-type", CONTENT_TYPE_LATEST)], counts)
        say(200, [("content-type", JSON)], VERSION.encode() if path == "/version" else b"\n")

    async def _invocations(self, headers: Any, protocol: Any) -> None:
        """Small JSON for a fast model is answered at once, the rest in a thread."""
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
        body = bytearray()
        async for part in protocol:
            body += part
            if len(body) > self.longest:
                raise TooLong
        return bytes(body)

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
        if kind is None:
            return _bad_request("The request has no content-type.")
        call = Call(self.model)
        try:
            found = invocations(body, kind, call, self.schema)
            mime = TEXT if found.mimetype == "text/plain" else found.mimetype
            return Answer("pyfunc", call.rows, found.status, found.response.encode(), mime)
        except MlflowException as error:
            return Answer("pyfunc", 0, error.get_http_status_code(), error.serialize_as_json().encode(), JSON)
        except Exception as error:
            if call.answered:  # what the model said can't be sent: not the client's fault
                return Answer("pyfunc", 0, 500, b"Internal Server Error", TEXT)
            return _bad_request(one_line(error))


def _bad_request(message: str) -> Answer:
    return Answer("pyfunc", 0, 400, _error(message, "BAD_REQUEST"), JSON)


def _error(message: str, code: str) -> bytes:
    return json.dumps({"error_code": code, "message": message}).encode()


def _takes_under_a_millisecond(predictor: Predictor) -> bool:
    """Whether a row may be answered in the event loop: a slower one would hold up /health."""
    row = predictor.row
    if row is None:
        row = np.zeros((1, len(predictor.model.metadata.get_input_schema().inputs)), predictor.dtype)
    return min(timeit.repeat(lambda: predictor.predict(row), number=1, repeat=5)) < 0.001

"""Serve an MLflow model over MLflow's own protocol, many times faster than `mlflow models serve`.

The plain common case (JSON, the signature's columns by name, values of the types that it asks for) is read
straight into rows and answered by a compiled form of the model. Everything else goes to MLflow's own
`invocations()` with the pyfunc, so that what is refused, and in which words, is MLflow's by construction.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import mmap
import os
import signal
import sys
import tempfile
import time
import timeit
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations
from mlflow.types import DataType
from mlflow.version import VERSION

from walkforward.compiled import (
    Call,
    Merging,
    Predictor,
    Refused,
    column_types,
    compiled,
    folder_of,
    one_line,
)
from walkforward.servers import listening_port

__all__ = ["App", "Predictor", "compiled", "plain_rows", "serve"]
JSON, TEXT = "application/json", "text/plain; charset=utf-8"
PLAIN = {JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=utf-8"}
HEADERS = [("content-type", JSON)]
LATE = b"Request processing time exceeded limit"
CODES = {408: "REQUEST_TIMEOUT", 413: "PAYLOAD_TOO_LARGE", 503: "TEMPORARILY_UNAVAILABLE"}
KNOWN = {"/invocations": "POST"} | dict.fromkeys(("/ping", "/health", "/version", "/metrics"), "GET")


def plain_rows(predictor: Predictor) -> Callable[[bytes], np.ndarray]:
    """Return what reads a plain body into rows, shape (n, k). It raises ValueError for every other body."""
    exact = msgspec.Meta(gt=-(2**53), lt=2**53)  # beyond, whole numbers and floats part ways
    real: Any = Annotated[float, exact]
    real = real | None if predictor.missing else real
    kinds: dict[DataType, Any] = {DataType.double: real, DataType.float: real, DataType.boolean: bool}
    kinds[DataType.long] = Annotated[int, exact]
    kinds[DataType.integer] = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
    columns = column_types(predictor.model)
    types, some = {name: kinds[kind] for name, kind in columns.items()}, msgspec.Meta(min_length=1)
    names, ids = list(types), [f"c{i}" for i in range(len(types))]
    define = partial(msgspec.defstruct, forbid_unknown_fields=True)
    named = partial(define, rename=dict(zip(ids, names, strict=True)))
    records = Annotated[list[named("Row", list(zip(ids, types.values(), strict=True)))], some]  # type: ignore[misc]
    columnwise = [(c, Annotated[list[kind], some]) for c, kind in zip(ids, types.values(), strict=True)]
    whole = named("Columns", columnwise)
    split = define("Split", [("columns", list[str]), ("data", msgspec.Raw)])
    forms = {"dataframe_split": split, "dataframe_records": records}
    forms |= {"instances": records, "inputs": whole | records}
    unset = msgspec.UNSET
    body = define("Body", [(name, form | msgspec.UnsetType, unset) for name, form in forms.items()])
    read_body, values, dtype = msgspec.json.Decoder(body).decode, msgspec.structs.astuple, predictor.dtype
    orders: dict[tuple[str, ...], tuple[Callable[[msgspec.Raw], Any], list[int] | None]] = {}
    single = [i for i, kind in enumerate(columns.values()) if kind is DataType.float]

    def ordered(given: tuple[str, ...]) -> tuple[Callable[[msgspec.Raw], Any], list[int] | None]:
        if sorted(given) != sorted(names) or len(orders) > 100:
            raise ValueError("other columns, or more orders of them than a fair client has")
        row = tuple[tuple(types[name] for name in given)]  # type: ignore[misc]
        order = None if list(given) == names else [given.index(name) for name in names]
        orders[given] = msgspec.json.Decoder(Annotated[list[row], some]).decode, order
        return orders[given]

    def read(body: bytes) -> np.ndarray:
        asked = [form for form in values(read_body(body)) if form is not unset]
        if len(asked) != 1:
            raise ValueError("not one form")
        form = asked[0]
        if type(form) is split:
            given = tuple(form.columns)
            read_rows, order = orders.get(given) or ordered(given)
            rows = np.array(read_rows(form.data), dtype)
            rows = rows if order is None else rows[:, order]
        elif type(form) is whole:
            rows = np.array(values(form), dtype).T
        else:
            rows = np.array([values(row) for row in form], dtype)
        if single and dtype is np.float64:
            rows[:, single] = rows[:, single].astype(np.float32)
        return rows

    return read


def _predictions(numbers: list[float]) -> bytes:
    text = repr(numbers)  # digits and spaces as json.dumps writes them, but for nan and inf
    return f'{{"predictions": {json.dumps(numbers) if "n" in text else text}}}'.encode()


def _error(message: str, code: str) -> bytes:
    return json.dumps({"error_code": code, "message": message}).encode()


PATHS, STATUSES = ("fast", "pyfunc", "none"), (200, 400, 408, 413, 415, 500, 503, 504, 0)
COUNTS = {pair: i for i, pair in enumerate((path, status) for path in PATHS for status in STATUSES)}
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, math.inf)
ROWS, IN_FLIGHT = len(COUNTS), len(COUNTS) + 1
TIMES = {path: IN_FLIGHT + 1 + i * (len(BOUNDS) + 1) for i, path in enumerate(PATHS)}


class Meter:
    """The counts of one worker, in a file in memory: cheap to add to, read by whichever worker is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, path = folder, folder / f"{os.getpid()}.meter"
        path.write_bytes(bytes(8 * (IN_FLIGHT + 1 + len(PATHS) * (len(BOUNDS) + 1))))
        with path.open("r+b") as file:
            self.slots = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")

    def count(self, path: str, status: int, seconds: float, rows: int) -> None:
        """Enter an answer; `path` is what gave it, "none" when it was refused without a look at the body."""
        slots, start = self.slots, TIMES[path]
        slots[COUNTS.get((path, status), COUNTS[path, 0])] += 1
        slots[ROWS] += rows
        slots[start + bisect_left(BOUNDS, seconds)] += 1
        slots[start + len(BOUNDS)] += seconds

    def collect(self) -> Iterator[Any]:
        """Yield the sums over all workers as prometheus_client's metrics."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        total = sum(np.frombuffer(path.read_bytes()) for path in self.folder.glob("*.meter"))
        what = "Answers of /invocations, by path taken (none: refused) and status."
        requests = CounterMetricFamily("walkforward_requests", what, labels=["path", "status"])
        for (path, status), i in COUNTS.items():
            if total[i]:
                requests.add_metric([path, str(status or "other")], total[i])
        what = "Seconds from the whole body to the answer, by path taken."
        latency = HistogramMetricFamily("walkforward_latency_seconds", what, labels=["path"])
        bounds = [*map(str, BOUNDS[:-1]), "+Inf"]
        for path, start in TIMES.items():
            sums = np.cumsum(total[start : start + len(BOUNDS)])
            latency.add_metric([path], list(zip(bounds, sums, strict=True)), total[start + len(BOUNDS)])
        rejected = total[COUNTS["none", 503]]
        yield from (requests, latency)
        yield CounterMetricFamily("walkforward_rejected", "Requests refused for a full queue.", rejected)
        yield CounterMetricFamily("walkforward_rows", "Rows predicted.", total[ROWS])
        yield GaugeMetricFamily("walkforward_in_flight", "Requests waiting or at work.", total[IN_FLIGHT])


class App:
    """The RSGI application of one worker; arguments as in `serve`, `folder` is where the meters are."""

    def __init__(
        self, predictor: Predictor, folder: str, queue: int, timeout: float, max_body: float, batching: bool
    ) -> None:
        self.predictor, self.model, self.queue, self.timeout = predictor, predictor.model, queue, timeout
        self.longest, self.meter, self.waiting = int(max_body * 2**20), Meter(Path(folder)), 0
        self.schema = self.model.metadata.get_input_schema()
        self.pool = ThreadPoolExecutor(16, "predict")
        self.reading: dict[asyncio.Task[Any], float] = {}  # until when
        self.inline, self.read = False, None
        if predictor.path != "pyfunc":
            self.read = plain_rows(predictor)
            row = np.zeros((1, len(self.schema.inputs)), predictor.dtype)
            best = min(timeit.repeat(lambda: predictor.predict(row), number=1, repeat=5))
            self.inline = best < 0.001  # seconds; a slower one would hold up /health: to the threads with it
        self.ready: list[list[Any]] = []  # rows that are read, in one round of the event loop
        self.merge, merging = batching, Merging(self.model)
        self.batching = batching and merging.fits()
        self.predict = merging.predict if self.batching else self.model.predict

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
        task, end = asyncio.current_task(), time.monotonic() + self.timeout
        self.reading[task] = end  # type: ignore[index]
        try:
            body = await self._body(headers, protocol)
        except asyncio.CancelledError:
            if time.monotonic() < end:  # the client is gone
                raise
            return self._refuse(protocol, 408, f"The body was not there after {self.timeout:g} s.")
        except Refused as error:
            return self._refuse(protocol, 413, str(error))
        finally:
            del self.reading[task]  # type: ignore[arg-type]
        if self.waiting >= self.queue:
            return self._refuse(protocol, 503, f"{self.waiting} requests wait already: try again later.")
        begin, kind, handed = time.perf_counter(), headers.get("content-type"), False
        self._hold(1)
        try:
            plain = self.read is not None and kind in PLAIN
            if plain and self.inline and len(body) < 65_536:
                rows = answer = None
                with contextlib.suppress(ValueError):  # msgspec's errors are ValueErrors
                    rows = self.read(body)  # type: ignore[misc]
                if rows is not None:
                    self.ready.append(slot := [rows])
                    await asyncio.sleep(0)  # all who have their body come here before the first goes on
                    if len(slot) == 1:
                        self._answer_ready(slot)
                    answer = slot[1]
                if answer is not None:
                    protocol.response_bytes(200, HEADERS, _predictions(answer))
                    return self.meter.count("fast", 200, time.perf_counter() - begin, len(answer))
                plain = False
            job = self.pool.submit(self._work, body, kind, plain)
            handed = True  # and held until the work has ended, even if the client has long been answered
            job.add_done_callback(lambda _: self.loop.call_soon_threadsafe(self._hold, -1))
            try:
                found = await asyncio.wait_for(asyncio.wrap_future(job), self.timeout)
            except TimeoutError:
                found = "pyfunc", 0, 504, LATE, JSON
            path, count, status, answer, mime = found
            protocol.response_bytes(status, [("content-type", mime)], answer)
            self.meter.count(path, status, time.perf_counter() - begin, count)
        finally:
            if not handed:
                self._hold(-1)

    def _answer_ready(self, slot: list[Any]) -> None:
        """Predict for all who are ready at once; None where that fails, for MLflow to say why."""
        slots, self.ready = (self.ready, []) if self.merge else ([slot], [])
        rows, at = [slot[0] for slot in slots], 0
        try:
            found = self.predictor.predict(np.concatenate(rows) if len(rows) > 1 else rows[0]).tolist()
        except Exception:
            found = None
        for slot in slots:
            slot.append(found and found[at : at + len(slot[0])])
            at += len(slot[0])

    def _hold(self, step: int) -> None:
        self.waiting += step
        self.meter.slots[IN_FLIGHT] += step

    def _refuse(self, protocol: Any, status: int, message: str) -> None:
        extra = ("retry-after", "1") if status == 503 else ("connection", "close")
        protocol.response_bytes(status, [*HEADERS, extra], _error(message, CODES[status]))
        self.meter.count("none", status, 0.0, 0)

    async def _body(self, headers: Any, protocol: Any) -> bytes:
        """The request's body. Raises: Refused when it is too long, as soon as that is known."""
        too_long, length = f"The body is longer than {self.longest:,} bytes.", headers.get("content-length")
        if length is not None:
            if int(length) > self.longest:
                raise Refused(too_long)
            return await protocol()
        parts, size = [], 0
        async for part in protocol:
            size += len(part)
            if size > self.longest:
                raise Refused(too_long)
            parts.append(part)
        return b"".join(parts)

    def _work(self, body: bytes, kind: str | None, plain: bool) -> tuple[str, int, int, bytes, str]:
        """What would hold up the others is done in a thread: path, rows, status, body and content type."""
        if plain:
            with contextlib.suppress(ValueError):
                rows = self.read(body)  # type: ignore[misc]
                return "fast", len(rows), 200, _predictions(self.predictor.predict(rows).tolist()), JSON
        call = Call(self.model, self.predict)
        try:
            if kind is None:
                raise Refused("The request has no content-type.")
            found = invocations(body, kind, call, self.schema)
            mime = TEXT if found.mimetype == "text/plain" else found.mimetype
            return "pyfunc", call.rows, found.status, found.response.encode(), mime
        except Exception as error:
            if isinstance(error, MlflowException) and error.get_http_status_code() < 500:
                return "pyfunc", 0, error.get_http_status_code(), error.serialize_as_json().encode(), JSON
            if call.answered:  # what the model said can't be sent: not the client's fault
                return "pyfunc", 0, 500, b"Internal Server Error", TEXT
            return "pyfunc", 0, 400, _error(one_line(error), "BAD_REQUEST"), JSON


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
        print(f"Requests that wait for the pyfunc are {'' if app.batching else 'not '}merged.", flush=True)
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
    batching: bool = True,
) -> int:
    """Serve a model until SIGTERM or Ctrl-C, finish what is at work, and return the exit code.

    `queue` is how many requests a worker lets wait, `timeout` the seconds that a body and an answer may take,
    `max_body` megabytes. Raises: ValueError, OSError, in one line.
    """
    from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
    from granian.server.mp import MPServer

    for name, value in {"workers": workers, "queue": queue, "timeout": timeout, "max-body": max_body}.items():
        if not value > 0:
            raise ValueError(f"--{name} is {value}: it must be above 0.")
    try:  # Granian shares a port that is taken, and half of the requests go astray
        port = listening_port(host, port)
    except (OSError, OverflowError) as error:
        raise OSError(f"Can't listen on {host}:{port} ({error}): choose another --port.") from None
    with tempfile.TemporaryDirectory(prefix="walkforward-", ignore_cleanup_errors=True) as folder:
        options = {"queue": queue, "timeout": timeout, "max_body": max_body, "batching": batching}
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

"""Put a server on this machine under load, bounded in count and time, and count what comes back.

`closed_loop`: each connection sends its next request when the last answer is in. While a server stalls it is
asked less, and the wait that others would have had is never seen (coordinated omission).
`open_loop`: requests are due on a schedule, and latency counts from then, whether or not one could be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import selectors
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import numpy as np

from walkforward.errors import WalkForwardError, needs_extra

with needs_extra("serve", "walkforward.loadtest"):
    import httptools

MOST = {"connections": 256, "requests": 1_000_000, "seconds": 600.0, "rate": 100_000.0}
DRAIN = 1.0  # seconds that answers are awaited after the last moment of sending
STALE = 2.0  # seconds of idling after which a connection is replaced: servers close theirs (uvicorn after 5)
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: the name of a header
FIELD = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # and 5.5: its value, without line breaks
ASCII = string.ascii_letters + string.digits + string.punctuation  # what a path may hold as it is
FRAMING = ("content-length", "transfer-encoding")


class LoadTestError(WalkForwardError, ValueError):
    """A load test can't be run as asked; one line says why."""


@dataclass(frozen=True, eq=False)
class LoadResult:
    """What a load test saw of its n requests, in the order they were due.

    Args:
        latencies_ms: (n,) milliseconds from when a request was due (closed loop: sent) to its whole answer.
        service_ms: (n,) the same from when it was sent; NaN where nothing was sent.
        statuses: How many requests had which HTTP status; 0 is no answer, and its times are how long it was
            waited for.
        seconds: From the start to the last answer.

    >>> times = np.array([1.0, 2.0, 9.0])
    >>> LoadResult(times, times, Counter({200: 2, 503: 1}), seconds=0.5).summary()
    {'rps': 6.0, 'p50_ms': 2.0, 'p99_ms': 9.0, 'errors': 1}
    """

    latencies_ms: np.ndarray = field(repr=False)
    service_ms: np.ndarray = field(repr=False)
    statuses: Counter[int]
    seconds: float

    @property
    def rps(self) -> float:
        """Answers a second, whatever their status."""
        return (self.statuses.total() - self.statuses[0]) / self.seconds

    @property
    def errors(self) -> int:
        """Requests with another status than 2xx, those without answer included."""
        return sum(count for status, count in self.statuses.items() if not 200 <= status < 300)

    def percentile(self, q: float) -> float:
        """The latency in milliseconds that `q` percent of the requests did not exceed."""
        return float(np.percentile(self.latencies_ms, q, method="inverted_cdf"))

    def summary(self) -> dict[str, float]:
        """`rps`, `p50_ms`, `p99_ms` and `errors`."""
        p50, p99 = map(self.percentile, (50, 99))
        return {"rps": self.rps, "p50_ms": p50, "p99_ms": p99, "errors": self.errors}


def closed_loop(
    url: str,
    body: bytes | Sequence[bytes],
    *,
    connections: int = 8,
    requests: int = 2_000,
    seconds: float = 10.0,
    headers: Mapping[str, str] | None = None,
) -> LoadResult:
    """POST to a server; each connection waits for its answer, then sends the next.

    Args:
        url: An address of this machine, http://127.0.0.1:PORT/… or localhost.
        body: What is sent, or several that are sent in turn.
        connections: 256 at most. Default: 8.
        requests: The end, a million at most. Default: 2,000.
        seconds: The end, where it comes first; what has no answer 1 s later gets status 0. Default: 10.
        headers: By name; they replace Host and Content-Type (JSON). Default: none.

    Returns:
        Times and statuses.

    Raises:
        LoadTestError: An argument can't be taken.

    >>> closed_loop("http://example.org/", b"{}")
    Traceback (most recent call last):
    walkforward.loadtest.LoadTestError: url='http://example.org/': load is for this machine alone, ...
    """
    return _run(url, body, headers, None, connections=connections, requests=requests, seconds=seconds)


def open_loop(
    url: str,
    body: bytes | Sequence[bytes],
    *,
    rate: float,
    requests: int | None = None,
    seconds: float = 10.0,
    connections: int = 64,
    headers: Mapping[str, str] | None = None,
) -> LoadResult:
    """POST to a server on a schedule: request i is due at i / `rate` seconds.

    When no connection is free a request waits, and the wait counts.

    Args:
        url: As in `closed_loop`, like `body` and `headers`.
        body: What is sent, or several that are sent in turn.
        rate: Requests a second, 100,000 at most.
        requests: How many. Default: as many as are due in `seconds`.
        seconds: The end; what has no answer 1 s later gets status 0. Default: 10, 600 at most.
        connections: 256 at most. Default: 64.
        headers: By name. Default: none.

    Returns:
        Times and statuses.

    Raises:
        LoadTestError: An argument can't be taken.

    >>> open_loop("http://127.0.0.1:1/", b"{}", rate=50, requests=2).statuses  # nothing listens there
    Counter({0: 2})
    """
    _check(rate=rate, seconds=seconds, requests=1 if requests is None else requests)
    requests = min(requests or 10**9, max(1, round(rate * seconds)))
    return _run(url, body, headers, rate, connections=connections, requests=requests, seconds=seconds)


def _check(**arguments: float) -> None:
    for name, value in arguments.items():
        whole = name in ("connections", "requests")
        number = isinstance(value, int | np.integer if whole else int | float | np.number)
        if not number or isinstance(value, bool) or not 0 < value <= MOST[name]:
            kind = "whole number" if whole else "number"
            raise LoadTestError(f"{name}={value!r}: give a {kind} above 0, {MOST[name]:,.0f} at most")


class _Connection:
    """One HTTP/1.1 connection, opened anew when it has to be; `ask` gives a status, 0 when it breaks."""

    keep, status, used, abort = False, 0, 0.0, staticmethod(lambda: None)

    async def open(self, where: Any) -> None:
        if not self.keep or self.reader.at_eof() or perf_counter() - self.used > STALE:
            self.abort()
            self.parser = httptools.HttpResponseParser(self)
            self.reader, self.writer = await asyncio.open_connection(where.hostname, where.port or 80)
            self.keep, self.used, self.abort = True, perf_counter(), self.writer.transport.abort

    async def ask(self, message: bytes, where: Any) -> int:
        self.status = 0
        with contextlib.suppress(OSError, httptools.HttpParserError):
            await self.open(where)
            self.keep = False
            self.writer.write(message)
            while self.status < 200 and (data := await self.reader.read(65_536)):  # 100: no answer yet
                self.parser.feed_data(data)
        self.used = perf_counter()
        return self.status

    def on_message_complete(self) -> None:
        self.status, self.keep = self.parser.get_status_code(), self.parser.should_keep_alive()


def _fields(host: str, headers: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """The headers to send: those given replace ours, in whatever case they are written."""
    if not isinstance(headers, Mapping | None):
        raise LoadTestError(f"headers={headers!r}: give a mapping from names to texts")
    given = dict(headers or {})
    for name, said in given.items():
        if not isinstance(name, str) or not TOKEN.fullmatch(name):
            raise LoadTestError(f"headers: {name!r} is no header's name: give letters, digits and hyphens")
        if not isinstance(said, str) or not FIELD.fullmatch(said):
            raise LoadTestError(f"headers: {name} is {said!r}: give a text of one line, in Latin-1")
        if name.lower() in FRAMING:
            raise LoadTestError(f"headers: {name} follows from the body: leave it out")
    names = Counter(name.lower() for name in given)
    if twice := [name for name in given if names[name.lower()] > 1]:
        raise LoadTestError(f"headers: {' and '.join(twice)} are one header: names know no case")
    ours = {"Host": host, "Content-Type": "application/json"}
    return [(name, said) for name, said in ours.items() if name.lower() not in names] + list(given.items())


def _parts(url: str) -> SplitResult:
    """The address in parts. Raises: LoadTestError, when it is no address of this machine."""
    try:
        parts = urlsplit(str(url))
        here = parts.hostname in ("127.0.0.1", "::1", "localhost") and parts.port != 0
    except ValueError:  # no port, no IPv6 address
        here = False
    if not here or parts.scheme != "http":
        raise LoadTestError(
            f"url={url!r}: load is for this machine alone, http://127.0.0.1:PORT or localhost"
        )
    return parts


def _run(url: str, body: Any, headers: Any, rate: float | None, **limits: Any) -> LoadResult:
    _check(**limits)
    parts, bodies = _parts(url), list(body) if isinstance(body, Iterable) else []
    bodies = [body] if isinstance(body, bytes) else bodies
    if not bodies or not all(isinstance(each, bytes) and each for each in bodies):
        raise LoadTestError("body: give bytes, or a sequence of bytes with at least one, none of them empty")
    fields = _fields(parts.netloc.rpartition("@")[2], headers)
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=ASCII)
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {said}\r\n" for name, said in fields)
    messages = [f"{head}Content-Length: {len(each)}\r\n\r\n".encode("latin-1") + each for each in bodies]
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())  # epoll's clock ticks in milliseconds
    drive = loop.create_task(_drive(parts, messages, rate, **limits))
    with contextlib.closing(loop), ThreadPoolExecutor(1) as pool:
        try:  # in a thread of its own: a notebook's has a loop that runs
            return pool.submit(loop.run_until_complete, drive).result()
        finally:  # Ctrl-C ends it early
            loop.call_soon_threadsafe(drive.cancel)


async def _drive(
    where: Any, messages: list[bytes], rate: float | None, connections: int, requests: int, seconds: float
) -> LoadResult:
    """Workers, one a connection, take numbered requests in turn; with a rate, each waits until its is due."""
    numbers, every = iter(range(requests)), [_Connection() for _ in range(min(connections, requests))]
    (sent, done), statuses = np.full((2, requests), np.nan), np.zeros(requests, int)

    async def work(connection: _Connection) -> None:
        for number in numbers:
            if rate and (early := start + number / rate - perf_counter()) > 0:
                await asyncio.sleep(early)
            if not rate and number and perf_counter() >= start + seconds:
                return
            sent[number] = perf_counter()
            statuses[number] = await connection.ask(messages[number % len(messages)], where)
            done[number] = connection.used
            if not statuses[number]:
                await asyncio.sleep(0.01)  # a server that refuses is not asked in a spin

    try:
        with contextlib.suppress(OSError):  # it shows, and counts, when the requests are due
            opening = asyncio.gather(*(each.open(where) for each in every), return_exceptions=True)
            await asyncio.wait_for(opening, DRAIN)
        start = perf_counter()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*map(work, every)), seconds + DRAIN)
    finally:
        for each in every:
            each.abort()
        await asyncio.sleep(0)  # an aborted transport closes in the loop's next round
    due = sent if rate is None else start + np.arange(requests) / rate
    due, sent, done, statuses = (values[~np.isnan(due)] for values in (due, sent, done, statuses))
    done = np.nan_to_num(done, nan=perf_counter())
    span = float(done.max() - start)
    return LoadResult((done - due) * 1e3, (done - sent) * 1e3, Counter(statuses.tolist()), span)

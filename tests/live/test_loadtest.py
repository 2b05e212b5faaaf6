"""The load generator counts each request, keeps its bounds; the open loop shows what the closed one hides."""

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from course.servers import free_port
from walkforward.errors import WalkForwardError
from walkforward.loadtest import MOST, LoadTestError, closed_loop, open_loop

BODY = b'{"inputs": [1, 2]}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"


class Small:
    """A tiny HTTP server in a thread; `answer(number of the request)` gives the bytes, or None to close."""

    def __init__(self, answer, stall=None):
        self.answer, self.stall, self.seen, self.connections = answer, stall, [], 0
        self.loop, self.ready = asyncio.new_event_loop(), threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.serve())
        self.loop.close()

    async def serve(self):
        self.end, handlers = asyncio.Event(), set()

        async def handle(reader, writer):
            handlers.add(asyncio.current_task())
            self.connections += 1
            with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    body = await reader.readexactly(length)
                    self.seen.append((head, body))
                    if self.stall and len(self.seen) == self.stall[0]:
                        time.sleep(
                            self.stall[1]
                        )  # the whole server stands still, as in a collection of garbage
                    answer = self.answer(len(self.seen))
                    if answer is None:
                        break
                    writer.write(answer)
                    if b"Connection: close" in answer:
                        break
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self.uri = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/invocations"
        self.ready.set()
        await self.end.wait()
        server.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers)

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(10)


def always(answer):
    return lambda number: answer


def test_every_request_is_counted_once():
    with Small(always(OK)) as server:
        closed = closed_loop(server.uri, BODY, connections=4, requests=250)
        opened = open_loop(server.uri, BODY, rate=1_000, requests=150)
    assert closed.statuses == {200: 250}
    assert opened.statuses == {200: 150}
    assert len(server.seen) == 400
    assert closed.latencies_ms.shape == closed.service_ms.shape == (250,)
    assert (closed.latencies_ms > 0).all()
    assert np.array_equal(closed.latencies_ms, closed.service_ms)
    assert (opened.latencies_ms >= opened.service_ms).all()
    assert opened.rps == pytest.approx(150 / opened.seconds)
    assert closed.summary() == {
        "rps": closed.rps,
        "p50_ms": closed.percentile(50),
        "p99_ms": closed.percentile(99),
        "errors": 0,
    }


def test_what_is_sent():
    bodies = [b"[1]", b"[22]", b"[333]"]
    with Small(always(OK)) as server:
        closed_loop(server.uri + "?a=b", bodies, connections=1, requests=7, headers={"X-Name": "here"})
    assert [body for _, body in server.seen] == (bodies * 3)[:7]
    head = server.seen[0][0].decode()
    assert head.startswith("POST /invocations?a=b HTTP/1.1\r\nHost: 127.0.0.1:")
    assert "Content-Type: application/json\r\nX-Name: here\r\nContent-Length: 3\r\n\r\n" in head
    assert server.connections == 1  # kept alive


def sent(headers, path=""):
    """The header lines of a request."""
    with Small(always(OK)) as server:
        closed_loop(server.uri + path, b"[1]", connections=1, requests=1, headers=headers)
    return server.seen[0][0].decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")


@pytest.mark.parametrize("name", ["content-type", "CONTENT-TYPE", "Content-Type", "cOnTeNt-tYpE"])
def test_a_header_that_is_given_replaces_ours_in_any_case(name):
    lines = sent({name: "text/csv; charset=utf-8"})
    assert [line for line in lines if line.lower().startswith("content-type")] == [
        f"{name}: text/csv; charset=utf-8"
    ]
    assert sum(line.lower().startswith("host:") for line in lines) == 1


def test_host_is_sent_once_and_without_a_user():
    assert [line for line in sent({"HOST": "model.test"}) if line.lower().startswith("host")] == [
        "HOST: model.test"
    ]
    with Small(always(OK)) as server:
        closed_loop(server.uri.replace("//", "//ada@"), b"[1]", connections=1, requests=1)
    assert f"Host: {server.uri.split('/')[2]}\r\n" in server.seen[0][0].decode()


def test_texts_beyond_ascii_reach_the_server():
    lines = sent({"X-Name": "Zoë"}, "/modèle?name=a b")
    assert lines[0] == "POST /invocations/mod%C3%A8le?name=a%20b HTTP/1.1"
    assert "X-Name: Zoë" in lines


def test_the_closed_loop_hides_a_stall_that_the_open_loop_shows():
    def slow(result):
        return int((result.latencies_ms > 100).sum())

    with Small(always(OK), stall=(200, 0.4)) as server:
        closed = closed_loop(server.uri, BODY, connections=2, requests=600)
    with Small(always(OK), stall=(200, 0.4)) as server:
        opened = open_loop(server.uri, BODY, rate=500, requests=600, connections=2)
    assert closed.statuses == opened.statuses == {200: 600}
    # Two connections: two requests met it. By schedule 0.3 s × 500 a second were due 0.1 s before its end.
    assert 1 <= slow(closed) <= 60
    assert slow(opened) >= 120
    # What a closed loop would report is in the open one's result as well.
    assert (opened.service_ms > 100).sum() <= 60
    assert opened.percentile(80) > 100 > closed.percentile(80)


def test_chunked_answers_and_answers_in_pieces():
    with Small(always(b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED)) as server:
        assert closed_loop(server.uri, BODY, requests=30).statuses == {200: 30}


def test_a_server_that_closes_after_each_answer_is_asked_on_new_connections():
    with Small(always(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))) as server:
        assert closed_loop(server.uri, BODY, connections=3, requests=20).statuses == {200: 20}
    assert server.connections == 20


def test_errors_are_counted_by_status():
    busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    with Small(lambda number: (OK, OK, busy, None)[number % 4]) as server:
        result = closed_loop(server.uri, BODY, connections=1, requests=40)
    assert result.statuses == {200: 20, 503: 10, 0: 10}
    assert result.errors == 20
    assert result.rps == pytest.approx(30 / result.seconds)


@pytest.mark.parametrize("answer", [b"no HTTP at all\r\n\r\n", OK[:-1]], ids=["nonsense", "cut off"])
def test_what_is_no_answer_has_status_0(answer):
    with Small(always(answer)) as server:
        result = closed_loop(server.uri, BODY, connections=2, requests=4, seconds=0.2)
    assert set(result.statuses) == {0}


def test_a_refused_connection_is_counted():
    uri = f"http://127.0.0.1:{free_port()}/"
    assert closed_loop(uri, BODY, requests=20).statuses == {0: 20}
    assert open_loop(uri, BODY, rate=200, requests=20).statuses == {0: 20}
    assert closed_loop(uri, BODY, requests=20).rps == 0


def test_a_server_that_never_answers_ends_at_the_bound():
    with Small(always(b"")) as server:
        start = time.perf_counter()
        closed = closed_loop(server.uri, BODY, connections=3, requests=50, seconds=0.3)
        assert 1.2 < time.perf_counter() - start < 6
        opened = open_loop(server.uri, BODY, rate=100, seconds=0.3, connections=3)
    assert closed.statuses == {0: 3}
    assert (closed.latencies_ms > 1_200).all()
    # All 30 were due; 27 never found a connection.
    assert opened.statuses == {0: 30}
    assert np.isnan(opened.service_ms).sum() == 27
    assert (opened.latencies_ms > 900).all()


def test_count_and_time_are_bounded():
    with Small(always(OK)) as server:
        assert closed_loop(server.uri, BODY, requests=11, seconds=60).statuses == {200: 11}
        short = closed_loop(server.uri, BODY, requests=1_000_000, seconds=0.3)
        assert short.seconds < 5
        assert 0 < short.statuses[200] < 1_000_000
        assert open_loop(server.uri, BODY, rate=100, requests=500, seconds=0.3).statuses == {200: 30}
        assert open_loop(server.uri, BODY, rate=0.5, seconds=0.1).statuses == {200: 1}


def test_it_runs_where_an_event_loop_runs():
    async def cell():
        return closed_loop(server.uri, BODY, requests=5)

    with Small(always(OK)) as server:
        assert asyncio.run(cell()).statuses == {200: 5}


@pytest.mark.filterwarnings("error")
def test_nothing_is_left_behind():
    with Small(always(b"")) as dead, Small(always(OK)) as server:
        threads = set(threading.enumerate())
        closed_loop(server.uri, BODY, requests=50)
        open_loop(dead.uri, BODY, rate=50, seconds=0.1)
        gc.collect()  # an open socket would warn here
        assert set(threading.enumerate()) <= threads  # those of other tests may end meanwhile


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"url": "http://example.org/"}, "this machine alone"),
        ({"url": "http://192.168.0.1/"}, "this machine alone"),
        ({"url": "http://127.0.0.1.example.org/"}, "this machine alone"),
        ({"url": "https://127.0.0.1/"}, "http://"),
        ({"url": "localhost:80"}, "http://"),
        ({"body": b""}, "body"),
        ({"body": []}, "body"),
        ({"body": [b"x", b""]}, "body"),
        ({"body": "text"}, "body"),
        ({"body": ["text"]}, "body"),
        ({"connections": 0}, "connections=0: give a whole number"),
        ({"connections": MOST["connections"] + 1}, "256 at most"),
        ({"connections": 1.5}, "connections=1.5"),
        ({"connections": True}, "connections=True"),
        ({"requests": 0}, "requests=0"),
        ({"requests": "5"}, "requests='5'"),
        ({"requests": MOST["requests"] + 1}, "1,000,000 at most"),
        ({"seconds": 0}, "seconds=0: give a number above 0"),
        ({"seconds": 601}, "600 at most"),
        ({"seconds": float("nan")}, "seconds=nan"),
        ({"url": "http://127.0.0.1:99999/"}, "http://127.0.0.1:PORT"),
        ({"url": "http://[::1/"}, "http://127.0.0.1:PORT"),
        ({"url": None}, "url=None"),
        ({"body": None}, "body"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "X-A is 'a\\r\\nX-B: b': give a text of one line"),
        ({"headers": {"X-A": "日本"}}, "in Latin-1"),
        ({"headers": {"X-A": 5}}, "X-A is 5"),
        ({"headers": {"X A": "a"}}, "'X A' is no header's name"),
        ({"headers": {"": "a"}}, "'' is no header's name"),
        ({"headers": {"X-A:\n": "a"}}, "is no header's name"),
        ({"headers": {"content-LENGTH": "3"}}, "content-LENGTH follows from the body: leave it out"),
        ({"headers": {"transfer-encoding": "chunked"}}, "follows from the body"),
        ({"headers": {"accept": "a", "Accept": "b"}}, "accept and Accept are one header"),
        ({"headers": "accept"}, "headers='accept': give a mapping"),
    ],
)
@pytest.mark.parametrize("loop", [closed_loop, open_loop])
def test_what_is_refused(loop, arguments, words):
    given = {"url": "http://127.0.0.1:1/", "body": BODY} | arguments
    if loop is open_loop:
        given["rate"] = 10
    with pytest.raises(LoadTestError) as caught:
        loop(**given)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, WalkForwardError)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), 200_000, None, "10"])
def test_a_rate_must_be_possible(rate):
    with pytest.raises(ValueError, match="rate="):
        open_loop("http://127.0.0.1:1/", BODY, rate=rate)


def test_more_requests_than_allowed_are_refused_by_rate_and_seconds():
    with pytest.raises(ValueError, match="requests=60000000"):
        open_loop("http://127.0.0.1:1/", BODY, rate=100_000, seconds=600)


def test_localhost_and_ipv6():
    with Small(always(OK)) as server:
        named = server.uri.replace("127.0.0.1", "localhost")
        assert closed_loop(named, BODY, requests=3).statuses == {200: 3}
    assert closed_loop(f"http://[::1]:{free_port()}/", BODY, requests=2).statuses == {0: 2}


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_it():
    with Small(always(b"")) as server:
        program = f"from walkforward.loadtest import *; closed_loop({server.uri!r}, b'x', seconds=60)"
        child = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
        end = time.monotonic() + 20
        while not server.seen and time.monotonic() < end:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=20)[1]
    assert said.strip().endswith(b"KeyboardInterrupt")

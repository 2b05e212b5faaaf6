"""A proxy before an object store: it counts what passes, lets writers meet, and can ignore a condition.

It is a process of its own: some calls of deltalake hold Python's lock while they wait for the store.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import pandas as pd

from course.servers import HOST, Server, answers, base_environment, python
from course.stores import ObjectStore, object_store

CONDITIONS = ("if-none-match", "if-match")
COUNTED = ["method", "key", "status", "bytes"]
SECONDS = 20  # after which nobody waits for another writer


class Wire:
    """The proxy as a lesson sees it."""

    def __init__(self, address: str) -> None:
        self.endpoint_url = address

    def calls(self, part: str = "") -> pd.DataFrame:
        """Return the requests since the last call of this method whose key holds `part`; bytes of the answers."""
        rows = json.loads(self._ask("/-/calls"))
        return pd.DataFrame([row for row in rows if part in row[1]], columns=COUNTED)

    def meet(self, writers: int) -> None:
        """Let the next `writers` commits of a Delta table arrive at the same moment."""
        self._ask(f"/-/meet/{writers}")

    def keep_conditions(self, keep: bool) -> None:
        """Pass If-None-Match and If-Match on, or ignore them as some "S3-compatible" stores do."""
        self._ask(f"/-/conditions/{int(keep)}")

    def _ask(self, path: str) -> bytes:
        with urlopen(self.endpoint_url + path, timeout=30) as answer:
            return answer.read()


@contextlib.contextmanager
def watched_store(folder: str | Path, bucket: str) -> Iterator[tuple[ObjectStore, Wire]]:
    """Run the course's object store with a proxy before it. Raises: ServerError."""
    with object_store(folder, bucket=bucket) as store, watched(folder, store.uri) as wire:
        yield store, wire


@contextlib.contextmanager
def watched(folder: str | Path, uri: str) -> Iterator[Wire]:
    """Run a proxy before the store at `uri`. Raises: ServerError."""
    proxy = Server(
        name="The proxy before the object store",
        log=Path(folder).resolve() / "proxy.log",
        command=lambda port: python(__name__, "--port", str(port), "--upstream", uri),
        is_ready=lambda port: answers(f"http://{HOST}:{port}", "/-/conditions/1"),
        server_env=base_environment(drop="AWS_"),
    )
    with proxy:
        yield Wire(proxy.uri)


class Proxy(ThreadingHTTPServer):
    """The server's state: a log, the meeting, whether conditions are passed on."""

    daemon_threads = True

    def __init__(self, port: int, upstream: str) -> None:
        super().__init__((HOST, port), Handler)
        self.upstream = urlsplit(upstream).netloc
        self.log: list[tuple[str, str, int, int]] = []
        self.meeting: threading.Barrier | None = None
        self.keeps = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each small answer waits for the client's acknowledgement
    server: Proxy

    def log_message(self, *_: object) -> None:
        pass

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = unquote(urlsplit(self.path).path)
        if key.startswith("/-/"):
            self.control(*key.split("/")[2:])
            return
        if self.server.meeting and self.command == "PUT" and "/_delta_log/" in key:
            with contextlib.suppress(threading.BrokenBarrierError):
                self.server.meeting.wait(SECONDS)
            self.server.meeting = None  # the next try goes through
        upstream = HTTPConnection(self.server.upstream, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if self.server.keeps or name.lower() not in CONDITIONS:
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        self.server.log.append((self.command, key, answer.status, len(content)))
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.answer(answer.status, answer.getheaders(), length or "0", content)

    def control(self, what: str, value: str = "") -> None:
        content = b"{}"
        if what == "calls":
            content = json.dumps(self.server.log).encode()
            self.server.log = []
        elif what == "meet":
            self.server.meeting = threading.Barrier(int(value))
        else:
            self.server.keeps = value == "1"
        self.answer(200, [], str(len(content)), content)

    def answer(self, status: int, headers: list[tuple[str, str]], length: str, content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    given = parser.parse_args()
    Proxy(given.port, given.upstream).serve_forever()

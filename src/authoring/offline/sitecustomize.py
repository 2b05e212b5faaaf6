"""Refuses every connection that leaves this machine; loopback stays open.

This folder stands first in PYTHONPATH while lessons are built and tested, so each Python process that a
lesson starts, servers included, is under the same guard. An audit hook sees the call below every library and
can't be undone. Refusals are also written to the file named by WALKFORWARD_OFFLINE_LOG: a lesson that
swallows the error is found all the same.
"""

import ipaddress
import os
import socket
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path


class NetworkBlocked(OSError):
    """A lesson tried to reach another machine."""


def _is_local(host: object) -> bool:
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else str(host)
    if name in {"", "localhost", "<broadcast>", socket.gethostname()}:
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


def _is_literal(host: object) -> bool:
    try:
        ipaddress.ip_address(str(host).split("%")[0])
    except ValueError:
        return False
    return True


def _refuse(target: str) -> None:
    log = os.environ.get("WALKFORWARD_OFFLINE_LOG")
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{target} (from {Path(sys.argv[0] if sys.argv else '').name or 'python'})\n")
    raise NetworkBlocked(
        f"the network is blocked while lessons are built and tested, and this wanted {target}; "
        "take the data from data/ or serve it on 127.0.0.1"
    )


def _guard(event: str, args: tuple) -> None:
    if not event.startswith("socket."):
        return
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = args[1]
        internet = args[0].family in {socket.AF_INET, socket.AF_INET6}
        if internet and isinstance(address, tuple) and not _is_local(address[0]):
            _refuse(f"{address[0]}:{address[1]}")
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        # A literal address needs no look-up; whether it may be connected to is decided above.
        if not _is_local(args[0]) and not _is_literal(args[0]):
            host = args[0].decode("ascii", "replace") if isinstance(args[0], bytes) else args[0]
            _refuse(f"{host}:{args[1]}" if len(args) > 1 else str(host))


sys.addaudithook(_guard)


def _run_the_next_sitecustomize() -> None:
    here = Path(__file__).resolve().parent
    elsewhere = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


_run_the_next_sitecustomize()

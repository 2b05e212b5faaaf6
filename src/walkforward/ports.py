"""Whether an address can be listened on, before a server is started there."""

from __future__ import annotations

import os
import socket


def listening_port(host: str, port: int) -> int:
    """The port, or a free one for 0, where a server can listen. Raises: OSError, OverflowError."""
    with socket.socket() as probe:
        if os.name == "posix":  # what servers do too: a port in TIME_WAIT is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])

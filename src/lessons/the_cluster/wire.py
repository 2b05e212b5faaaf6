"""The bytes that a Dask client and the scheduler beside it send over TCP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed.comm.tcp import TCP


@contextmanager
def counted() -> Iterator[list[int]]:
    """The size of each message that this process sends inside: tasks to scheduler and worker, results back."""
    sizes: list[int] = []
    write = TCP.write

    async def noted(self: TCP, *args: Any, **kwargs: Any) -> int:
        size = await write(self, *args, **kwargs)
        sizes.append(size)
        return size

    TCP.write = noted  # type: ignore[method-assign]
    try:
        yield sizes
    finally:
        TCP.write = write  # type: ignore[method-assign]

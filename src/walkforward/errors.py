"""The base of every error of ours, so that whoever calls can tell them from a programming error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class WalkForwardError(Exception):
    """Something outside the program is wrong: input, a file, a server. One line: value, rule, way out."""


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Let an import in the block that fails name the extra to install."""
    try:
        yield
    except ModuleNotFoundError as missing:
        package = str(missing.name).partition(".")[0]
        needs = f'{what} needs {package}: pip install "walkforward[{extra}]"'
        raise ModuleNotFoundError(needs, name=package) from None

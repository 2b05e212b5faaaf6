"""The environment of a program that a test starts in a terminal of its own."""

import os


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without its width, as the terminal's own size counts, and `more`."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")} | more

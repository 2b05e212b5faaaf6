"""The base of every error of ours, so that whoever calls can tell them from a programming error."""

from __future__ import annotations


class WalkForwardError(Exception):
    """Something outside the program is wrong: input, a file, a server. One line: value, rule, way out."""

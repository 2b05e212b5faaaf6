"""Calls that the web still teaches and that this course refuses, with what replaced them and since when.

The lint reads the table, and the "What changed" tables of the lessons are made from it: a Markdown line
`{{ what_changed: mlflow-tracking }}` becomes the rows of that topic.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

Finder = Callable[[ast.AST], bool]


@dataclass(frozen=True)
class Deprecation:
    """One removed or deprecated call: how it was written, what replaces it, since which version.

    `text` is searched in code as written; `finder` decides on each node of its syntax tree.
    """

    topic: str
    old: str
    new: str
    since: str
    text: str | None = None
    finder: Finder | None = None


def call(
    *names: str,
    keyword: str | None = None,
    value: object = ...,
    text_at: int | None = None,
) -> Finder:
    """Return a finder of calls to a function or method of one of `names`.

    With `keyword` only when that argument is passed (with `value`, only with that constant); with `text_at`
    only when the positional argument there is a literal text.
    """

    def finds(node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        dotted = ast.unparse(node.func)
        if not any(dotted == name or dotted.endswith(f".{name}") for name in names):
            return False
        if text_at is not None:
            if len(node.args) <= text_at or not isinstance(node.args[text_at], ast.Constant):
                return False
            return isinstance(node.args[text_at].value, str)
        if keyword is None:
            return True
        for argument in node.keywords:
            if argument.arg == keyword:
                given = argument.value.value if isinstance(argument.value, ast.Constant) else None
                return value is ... or given == value
        return False

    return finds


TABLE: tuple[Deprecation, ...] = ()


def found_in(source: str) -> list[tuple[int, Deprecation]]:
    """Return (line, row) for each refused call in a code cell."""
    found = []
    for row in TABLE:
        if row.text and (match := re.search(row.text, source)):
            found.append((source.count("\n", 0, match.start()) + 1, row))
    try:
        tree = ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))
    except SyntaxError:
        return found
    for node in ast.walk(tree):
        found += [(getattr(node, "lineno", 1), row) for row in TABLE if row.finder and row.finder(node)]
    return found


def what_changed(topics: list[str]) -> str:
    """Return the Markdown table old → new → since of these topics.

    Raises KeyError for a topic that has no row.
    """
    known = sorted({row.topic for row in TABLE})
    lines = ["| You will still read | Today | Since |", "|---|---|---|"]
    for topic in topics:
        if topic not in known:
            raise KeyError(f"what_changed knows no topic {topic!r}; it knows {', '.join(known)}")
        lines += [f"| {row.old} | {row.new} | {row.since} |" for row in TABLE if row.topic == topic]
    return "\n".join(lines)


def fill(markdown: str) -> str:
    """Replace each line `{{ what_changed: topic, topic }}` by its table."""
    return re.sub(
        r"^\{\{ *what_changed: *([^}]*?) *\}\}$",
        lambda match: what_changed([topic.strip() for topic in match[1].split(",")]),
        markdown,
        flags=re.MULTILINE,
    )

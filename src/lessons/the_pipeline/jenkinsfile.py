"""Reads a declarative Jenkinsfile, and refuses what is not on a list; Jenkins' own check needs a running Jenkins."""

from __future__ import annotations

import re
from typing import Any

TOKEN = re.compile(
    r"""//[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|[{}()\[\]\n;]|[^\s{}()\[\];'"]+|[^\S\n]+"""
)
SECTIONS = frozenset("pipeline agent options stages stage steps when input post environment".split())
SETTINGS = frozenset("none any label message submitter beforeInput buildingTag branch always failure".split())
OPTIONS = frozenset("timeout disableConcurrentBuilds buildDiscarder".split())
STEPS = frozenset("sh input stash unstash archiveArtifacts junit withCredentials echo".split())
KNOWN = SECTIONS | SETTINGS | OPTIONS | STEPS


class NotReadError(ValueError):
    """The text is no Jenkinsfile of the declarative form."""


def read(text: str) -> list[dict[str, Any]]:
    """Return the statements: each with its name, the rest of its words, and the statements in its braces."""
    statements, rest = _block(TOKEN.findall(text))
    if rest:
        raise NotReadError("a brace is closed that was not opened")
    return statements


def statements(text: str) -> list[dict[str, Any]]:
    """Return all statements, those inside of others too, in order."""
    return _all(read(text))


def pipeline(text: str) -> dict[str, Any]:
    """Return the agent and the stages: name, agent, whether an `input` stands before it, steps, inner stages."""
    (whole,) = read(text)
    return {"agent": _agent(whole), "stages": _stages(whole)}


def targets(text: str) -> list[str]:
    """Return the targets that its shell steps call, in order."""
    return [word for one in statements(text) for word in re.findall(r"""^['"]make (\w+)""", one["words"])]


def faults(text: str) -> list[str]:
    """Return what is wrong: unbalanced braces, an unknown name, a shell step that Groovy fills in."""
    try:
        found = statements(text)
    except NotReadError as error:
        return [str(error)]
    unknown = [f"unknown: {one['name']}" for one in found if one["name"] not in KNOWN]
    return unknown + [
        f"Groovy fills in: {one['words']}"
        for one in found
        if one["name"] == "sh" and re.match(r'".*\$', one["words"])
    ]


def _block(tokens: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Read statements until the brace that closes the block; return them and the tokens that are left."""
    statements: list[dict[str, Any]] = []
    words: list[str] = []
    inside: list[dict[str, Any]] = []
    deep = 0

    def end() -> None:
        text = "".join(words).strip()
        if text:
            name = re.match(r"\w*", text)[0]
            statements.append({"name": name, "words": text[len(name) :].strip(), "inside": list(inside)})
        words.clear()
        inside.clear()

    while tokens:
        token, *tokens = tokens
        if token == "}":
            end()
            return statements, ["}", *tokens]
        if token == "{":
            inside[:], tokens = _block(tokens)
            if not tokens:
                raise NotReadError("a brace is opened and not closed")
            tokens = tokens[1:]
            end()
        elif token in "\n;" and not deep:
            end()
        elif not token.startswith("//"):
            deep += (token in "([") - (token in ")]")
            words.append(token)
    end()
    return statements, []


def _all(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [found for one in statements for found in (one, *_all(one["inside"]))]


def _named(one: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [inner for inner in one["inside"] if inner["name"] == name]


def _agent(one: dict[str, Any]) -> str | None:
    """Return `none`, `any` or the label; None where nothing is said."""
    for agent in _named(one, "agent"):
        return agent["words"] or " ".join(f"{inner['name']} {inner['words']}" for inner in agent["inside"])
    return None


def _stages(one: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": stage["words"].strip("()'\""),
            "agent": _agent(stage),
            "input": bool(_named(stage, "input")),
            "steps": [
                f"{s['name']} {s['words']}"
                for s in _all(sum((b["inside"] for b in _named(stage, "steps")), []))
            ],
            "stages": _stages(stage),
        }
        for stages in _named(one, "stages")
        for stage in _named(stages, "stage")
    ]

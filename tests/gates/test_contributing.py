"""CONTRIBUTING.md's map: each question's file is there, and holds what the answer names."""

import ast
import re

import pytest

from course.paths import ROOT

ROW = re.compile(r"^\| (.+\?) \| \[(\S+)\]\((\S+)\) \| `(\w+)` \|$", re.MULTILINE)
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAP = ROW.findall(PAGE)


def defined(source: str) -> set[str]:
    """Return the functions, classes and values that a module defines."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_there_are_fourteen_questions_and_no_file_twice():
    assert len(MAP) == PAGE.count("? | [") == 14
    assert len({file for _, file, _, _ in MAP}) == 14


@pytest.mark.parametrize("question, file, address, name", MAP, ids=[file for _, file, _, _ in MAP])
def test_the_answer_is_there(question, file, address, name):
    assert file == address
    assert name in defined((ROOT / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file, name", [(file, name) for _, file, _, name in MAP])
def test_an_answer_that_went_elsewhere_is_seen(file, name):
    """Red proof: the file still speaks of the name, and no longer defines it."""
    source = (ROOT / file).read_text(encoding="utf-8")
    kept = [
        ast.unparse(node) for node in ast.parse(source).body if name not in defined(ast.unparse(node) + "\n")
    ]
    assert name not in defined("\n".join([f"# {name}", *kept]))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md"])
def test_every_file_that_is_named_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/])((?:src|tests|data|benchmarks)/[\w./]+\w)", text))
    named |= set(re.findall(r"\]\(([^)#:]+)[)#]", text))
    gone = {path for path in named if "NN_" not in path and not (ROOT / path).exists()}
    assert gone == set()

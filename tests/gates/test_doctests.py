"""What a student takes to work is documented: every example runs, every parameter has its entry."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator

import pytest

import walkforward

# Packages and modules whose public names all hold; `__all__`, or what the module itself defines.
DOCUMENTED = [
    "walkforward.drift",
    "walkforward.forecasting",
    "walkforward.loadtest",
    "walkforward.monitoring",
    "walkforward.plots",
    "walkforward.prediction_log",
    "walkforward.serving",
]
MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(walkforward.__path__, "walkforward.")
    if not name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name, monkeypatch, tmp_path):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    ran = doctest.testmod(module, optionflags=flags)
    assert not ran.failed, f"{ran.failed} of {ran.attempted} examples of {name} fail (see the output)"


def _public() -> Iterator[tuple[str, object]]:
    """Functions and classes of the packages; an error or a warning is documented by its message."""
    for name in DOCUMENTED:
        module = importlib.import_module(name)
        there = [one for one, thing in vars(module).items() if getattr(thing, "__module__", "") == name]
        for one in getattr(module, "__all__", there):
            thing = getattr(module, one)
            error = isinstance(thing, type) and issubclass(thing, Exception)
            if callable(thing) and not one.startswith("_") and not error:
                yield f"{name}.{one}", thing


PUBLIC = dict(_public())


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_documented_entry_by_entry(name):
    assert not _lacking(PUBLIC[name])


def _lacking(thing: object) -> list[str]:
    """What the docstring of a function or class leaves out."""
    text = inspect.getdoc(thing) or ""
    entries = re.findall(r"^ {4}\*{0,2}(\w+)(?: \(.*\))?: ", text, flags=re.MULTILINE)
    lacking = [f"example of {thing}"] * (">>> " not in text)
    parameters = [name for name in inspect.signature(thing).parameters if name not in ("self", "cls")]
    if parameters and not re.search(r"^(Args|Attributes):$", text, flags=re.MULTILINE):
        lacking.append("Args:")
    lacking += [f"Args: {name}" for name in parameters if name not in entries]
    if isinstance(thing, type):
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
        inits = [
            node for node in ast.walk(tree) if getattr(node, "name", "") in ("__init__", "__post_init__")
        ]
        raises = any(isinstance(node, ast.Raise) for init in inits for node in ast.walk(init))
    else:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
        raises = any(isinstance(node, ast.Raise) for node in ast.walk(tree))
        returns = inspect.signature(thing).return_annotation
        if returns not in (None, "None", inspect.Signature.empty) and "\nReturns:\n" not in text:
            lacking.append("Returns:")
    if raises and "\nRaises:\n" not in text:
        lacking.append("Raises:")
    return lacking


def test_a_poor_docstring_is_noticed():
    def poor(days: int) -> int:
        """Double the days."""
        if days < 0:
            raise ValueError(days)
        return 2 * days

    def rich(days: int) -> int:
        """Double the days.

        Args:
            days: A number of days.

        Returns:
            Twice as many.

        Raises:
            ValueError: When it is negative.

        >>> rich(2)
        4
        """
        return poor(days)

    assert [line.split()[0] for line in _lacking(poor)] == [
        "example",
        "Args:",
        "Args:",
        "Returns:",
        "Raises:",
    ]
    assert _lacking(rich) == []

"""What every test of the suite shares: the import path of the lesson build."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
FOLDERS = [TESTS, *(TESTS / name for name in ("unit", "gates", "live"))]
sys.path[:0] = [str(ROOT / "src"), *map(str, FOLDERS)]  # for `authoring` and `tiny`, no installed packages


@pytest.fixture(scope="module", autouse=True)
def no_experiment_left_active():
    """`mlflow.set_experiment` writes a variable too, which later tests and their programs would obey."""
    yield
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    if fluent := sys.modules.get("mlflow.tracking.fluent"):
        fluent._active_experiment_id = None


@pytest.fixture(scope="module", autouse=True)
def no_style_left_on():
    """A lesson's own cells, executed here, set the course's style: later tests' figures would wear it."""
    yield
    if matplotlib := sys.modules.get("matplotlib"):
        matplotlib.rcdefaults()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Packed files hold the time they were made; both workers must give a test the same name."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None

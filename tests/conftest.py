"""What every test of the suite shares: the import path of the lesson build."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
FOLDERS = [TESTS, *(TESTS / name for name in ("unit", "gates", "live"))]
sys.path[:0] = [str(ROOT / "src"), *map(str, FOLDERS)]  # for `authoring` and `tiny`, no installed packages

from left_behind import mlflow_as_it_was  # noqa: E402 - found on the path above


@pytest.fixture(scope="module", autouse=True)
def no_address_of_mlflow_left():
    """MLflow keeps addresses in the process and in variables: later tests and programs would obey them."""
    with mlflow_as_it_was():
        yield


@pytest.fixture(scope="module", autouse=True)
def no_style_left_on():
    """A lesson's own cells, executed here, set the course's style: later tests' figures would wear it."""
    yield
    if matplotlib := sys.modules.get("matplotlib"):
        matplotlib.rcdefaults()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Packed files hold the time they were made; both workers must give a test the same name."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None

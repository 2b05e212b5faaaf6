"""What every test of the suite shares: the import path of the lesson build and how tests are shared out."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]  # for `authoring` and `tiny`, no installed packages


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what belongs together on one worker: a file's tests, and the cells of a notebook.

    A notebook and its second copy (`-again`) share a folder and run one after the other; tests that carry an
    `xdist_group` of their own go where it says.
    """
    for item in items:
        if not any(item.iter_markers("xdist_group")):
            stem = item.path.stem.removesuffix("-again")
            item.add_marker(pytest.mark.xdist_group(stem))

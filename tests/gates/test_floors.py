"""What may import what: the floors of pyproject.toml hold, an arrow up and a circle are refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course.paths import ROOT

LINTER = Path(sys.executable).with_name("lint-imports")


def judged(root: Path) -> subprocess.CompletedProcess:
    """Hold the tree in `root` to the contracts of its pyproject.toml."""
    return subprocess.run(
        [LINTER, "--no-cache"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "300"},
        capture_output=True,
        encoding="utf-8",
    )


@pytest.fixture
def copy(tmp_path) -> Path:
    """The three floors, to be broken."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for floor in ("authoring", "course", "walkforward"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src" / floor, tmp_path / "src" / floor, ignore=leave)
    return tmp_path


def test_the_floors_hold():
    done = judged(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module, line, broken",
    [
        ("walkforward/plots.py", "import course.paths", "walkforward is not allowed to import course"),
        ("walkforward/plots.py", "import authoring.marks", "walkforward is not allowed to import authoring"),
        ("course/paths.py", "import authoring.marks", "course is not allowed to import authoring"),
        ("course/paths.py", "from course import servers", "paths is not allowed to import course.servers"),
        (
            "course/exercise/source.py",
            "import course.student.lab",
            "course.exercise is not allowed to import",
        ),
        ("walkforward/drift/measures.py", "import walkforward.drift.report", "allowed in walkforward.drift."),
        ("walkforward/ports.py", "import walkforward.serving.app", "No cycles are allowed in walkforward."),
        ("authoring/lesson.py", "import authoring.build", "No cycles are allowed in authoring"),
        ("course/new.py", "", "course.new"),
    ],
)
def test_an_arrow_up_and_a_circle_are_refused(copy, module, line, broken):
    path = copy / "src" / module
    path.write_text(f"{path.read_text('utf-8') if path.exists() else ''}\n{line}\n", encoding="utf-8")
    done = judged(copy)
    assert done.returncode == 1
    assert broken in done.stdout

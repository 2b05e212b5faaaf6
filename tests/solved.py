"""A lesson executed once for all tests that ask: CI's parameters, every exercise filled, checks strict.

In the whole run that happens in the folder where the lesson's notebook was executed before: whatever a lesson
leaves there must not be in the way of its next run.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from authoring import build
from authoring.execute import Outcome, Runner

LESSONS = Path(__file__).resolve().parents[1] / "src" / "lessons"


def solved(stem: str) -> Outcome:
    """What became of the lesson `stem` ("11b_drift"); do not change it, others read it too."""
    if stem in os.environ.get("WALKFORWARD_PASSED", "").split():
        pytest.skip("QUICK=1: the lesson passed with this stamp; make test executes it")
    return _executed(stem)


@cache
def _executed(stem: str) -> Outcome:
    lesson = build.read_lesson(LESSONS / f"{stem}.py")
    used_before = os.environ.get("WALKFORWARD_FOLDER")
    return Runner().run(
        build.generate(lesson, solved=True),
        parameters=lesson.ci,
        strict=True,
        folder=Path(used_before) if used_before else None,
    )

"""What building the lessons took, on record: benchmarks/lessons.md."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from authoring.lesson import Course


def record(course: Course, built: Mapping[str, float | None]) -> Path:
    """Write benchmarks/lessons.md: seconds per lesson, executed one at a time, on this machine.

    Lessons that were not built (None) keep their row; a row without a lesson goes.
    """
    path = course.root / "benchmarks" / "lessons.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    seconds = dict(re.findall(r"^\| (\w+) \| (\d+) \|$", text, re.MULTILINE))
    seconds |= {stem: f"{spent:.0f}" for stem, spent in built.items() if spent is not None}
    lines = [
        "# Seconds per lesson",
        "",
        f"From an empty kernel to the last cell, one lesson at a time, {os.cpu_count()} cores, "
        f"{platform.system()}, Python {platform.python_version()}. Rebuild with "
        "`python src/authoring/build.py --record`.",
        "",
        "| lesson | seconds |",
        "|---|---:|",
    ]
    stems = [source.stem for source in course.sources()]
    lines += [f"| {stem} | {seconds[stem]} |" for stem in stems if stem in seconds]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path

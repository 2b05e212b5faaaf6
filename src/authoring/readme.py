"""The parts of README.md that are made: the table of lessons and the three paths, each between two comments.

`python src/authoring/build.py --readme` writes them from the built notebooks, src/lessons/paths.yaml and
benchmarks/lessons.md.
"""

from __future__ import annotations

import re

from authoring.lesson import Course
from course import outline
from course.files import write_whole

FOLDER = "notebooks/"


def filled(text: str, course: Course) -> str:
    """Return a README with its made parts as they are to be."""
    for name, part in {"lessons": lessons(course), "paths": paths(course)}.items():
        begin, end = f"<!-- {name}: made by build.py --readme -->", f"<!-- /{name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"README.md has no part between {begin} and {end}")
        made = f"{begin}\n{part}\n{end}"
        text = pattern.sub(lambda _, made=made: made, text)
    return text


def write(course: Course) -> None:
    """Write the made parts of the README anew."""
    page = course.root / "README.md"
    write_whole(page, filled(page.read_text(encoding="utf-8"), course).encode())


def seconds(course: Course) -> dict[str, str]:
    """Return the seconds on record, by lesson."""
    record = course.root / "benchmarks" / "lessons.md"
    return dict(re.findall(r"^\| (\w+) \| (\d+) \|$", record.read_text(encoding="utf-8"), re.MULTILINE))


def lessons(course: Course) -> str:
    """Return the table of the lessons: what one can do after each, its minutes, its seconds."""
    took = seconds(course)
    rows = ["| Lesson | After it | Study | Runs in |", "|---|---|---|---|"]
    for one in outline.course(course.notebooks):
        number = one.sittings[0].number.partition(".")[0]
        minutes = " + ".join(str(sitting.minutes or "?") for sitting in one.sittings)
        runs = f"{took[one.stem]} s" if one.stem in took else "not measured"
        promise = one.promise.replace("|", "\\|")
        rows.append(
            f"| [{number} · {one.title}]({FOLDER}{one.stem}.ipynb) | {promise} | {minutes} min | {runs} |"
        )
    return "\n".join(rows)


def paths(course: Course) -> str:
    """Return the paths through the course as a list."""
    rows = []
    for path in outline.paths(course.notebooks):
        hours = round(sum(one.minutes or 0 for one in path.sittings) / 60)
        rows.append(outline.described(path, FOLDER, f", {hours} hours"))
    return "\n".join(rows)

"""What a lesson may not do or lack. Every fault is one line: lesson, cell, fault, way out."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from authoring import deprecations, marks, sitting

if TYPE_CHECKING:
    from authoring.lesson import Course, Lesson

LINES_PER_CELL = 20
EXERCISES = 2
PNG_BYTES = 60_000
NOTEBOOK_BYTES = 1_000_000
ABSOLUTE = re.compile(
    r"(?<![\w.:/~])/(?:home|Users|tmp|dev/shm|root|work|opt|var|mnt|usr)/\w|\b[A-Za-z]:\\\\?\w"
)
BOX = ("You will learn", "Before you start", "Time", "interview")
FRAME = ("Take-aways", "In an interview", "Up next")
VOICE = {
    r"\bsimply\b": "no «simply»: what is simple needs no saying",
    r"\bjust\b": "no «just»",
    r"(?<=[\w)])!(?=\s|$|\*|_)": "no exclamation mark",
}
# Opened in C, where no audit hook sees it, so the notebook would not be stale when the file changes.
UNSEEN = re.compile(
    r"\b(?:ParquetFile|ParquetDataset|read_table|OSFile|memory_map)\(|\b(?:pyarrow\.dataset|duckdb)\b"
)
VOLATILE = {
    r"\b0x[0-9a-fA-F]{6,}\b": "a memory address",
    r"\b[0-9a-f]{32}\b": "a run or model id",
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b": "a random id",
    r"(?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1\]):\d{2,5}\b": "a port",
    r"\b1[789]\d{11}\b": "a clock time in milliseconds",
    r"id=\"T_[0-9a-f]{5}": "a random table id (use .style.set_uuid)",
    r"walkforward-\w{8}\b": "the name of a scratch folder",
}


def faults(course: Course, lesson: Lesson, notebook: Any, numbers: bool = True) -> list[str]:
    """Return the faults of a lesson and of its notebook as executed; `numbers` compares the prose as well."""
    found = source_faults(lesson) + ruff_faults(course, notebook)
    found += link_faults(course, notebook) + output_faults(notebook)
    if numbers:
        found += figure_faults(notebook) + marks.faults(notebook) + sitting.faults(lesson, notebook)
    return [f"{lesson.stem}: {fault}" for fault in found]


# The source ------------------------------------------------------------------------------------------------


def source_faults(lesson: Lesson) -> list[str]:
    """Return what is wrong with the cells as written: frame, voice, length, old calls, paths."""
    found = _frame(lesson)
    if lesson.exercises.exists():
        module = lesson.exercises.read_text(encoding="utf-8")
        for line, row in deprecations.found_in(module):
            found.append(f"{lesson.exercises.name}, line {line}: {row.old} is out of date; write {row.new}")
    for position, cell in enumerate(lesson.cells, 1):
        where = f"cell {position}"
        if match := ABSOLUTE.search(cell.source):
            found.append(f"{where}: an absolute path ({match[0]}…); name it relative to the lesson's folder")
        if cell.cell_type == "markdown":
            found += [f"{where}: {fault}" for fault in _prose(cell.source)]
            continue
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if len(lines) > LINES_PER_CELL:
            found.append(
                f"{where}: {len(lines)} lines of code, at most {LINES_PER_CELL}; split the idea in two"
            )
        if match := UNSEEN.search(cell.source):
            found.append(
                f"{where}: {match[0].rstrip('(')} opens files where the build does not see which; "
                "use pd.read_parquet"
            )
        if "history" not in cell.metadata.get("tags", []):
            for line, row in deprecations.found_in(cell.source):
                found.append(
                    f"{where}, line {line}: {row.old} is out of date ({row.since}); write {row.new}, or tag "
                    "the cell `history` if the old call is what it shows"
                )
    return found


def _frame(lesson: Lesson) -> list[str]:
    found = []
    prose = [cell.source for cell in lesson.cells if cell.cell_type == "markdown"]
    whole = "\n\n".join(prose)
    number = lesson.stem.split("_")[0]
    if not lesson.cells or not re.match(rf"# {number} · \S", lesson.cells[0].source):
        found.append(f"the first cell must begin with the title `# {number} · …`")
    box = "\n".join(line for line in whole.splitlines() if line.startswith(">"))
    for part in BOX:
        if part.lower() not in box.lower():
            found.append(f"the box (lines that begin with >) does not say {part!r}")
    headings = re.findall(r"^##+ (.*)$", whole, flags=re.MULTILINE)
    for part in FRAME:
        if not any(part.lower() in heading.lower() for heading in headings):
            found.append(f"there is no section `## {part}`")
    told = re.search(r"^\{\{ *what_changed:", whole, flags=re.MULTILINE)
    if told and not any("what changed" in heading.lower() for heading in headings):
        found.append("a what_changed table stands under no heading `## What changed`")
    exercises = [cell for cell in lesson.cells if cell.metadata.get("exercise")]
    if len(exercises) < EXERCISES:
        found.append(f'{len(exercises)} exercises (# %% exercise="name"); at least {EXERCISES} are wanted')
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    for cell, following in zip(code, [*code[1:], None], strict=True):
        name = cell.metadata.get("exercise")
        check = following.source if following is not None else ""
        if name and not re.search(rf"\bcheck\(\s*{re.escape(name)}\b", check):
            found.append(f"no cell that calls exercise.check({name}) follows the cell of exercise {name!r}")
    parameters = next(cell for cell in lesson.cells if "parameters" in cell.metadata.get("tags", []))
    for name in lesson.ci:
        if not re.search(rf"^{re.escape(name)}\b.*=", parameters.source, flags=re.MULTILINE):
            found.append(f"the header's ci sets {name!r}, which is not in the parameters cell")
    return found


def _prose(source: str) -> list[str]:
    found = []
    for image in re.finditer(r"!\[(.*?)\]\(", source, flags=re.DOTALL):
        if len(image[1].split()) < 3:
            found.append("an image without alt text; say between ![ and ] what it shows")
    for image in re.finditer(r"<img\b[^>]*>", source):
        alt = re.search(r"\balt=[\"']([^\"']*)", image[0])
        if not alt or len(alt[1].split()) < 3:
            found.append('an <img> without alt text; say in alt="…" what it shows')
    read = re.sub(r"^(```|~~~).*?^\1[^\n]*$", "", source, flags=re.DOTALL | re.MULTILINE)
    read = re.sub(r"`[^`]*`|<!--.*?-->|\]\([^)]*\)|!\[", " ", read, flags=re.DOTALL)
    for pattern, rule in VOICE.items():
        if match := re.search(pattern, read, flags=re.IGNORECASE):
            around = " ".join(read[max(0, match.start() - 30) : match.end() + 20].split())
            found.append(f"{rule} («…{around}…»)")
    return found


def link_faults(course: Course, notebook: Any) -> list[str]:
    """Return the links and images that lead nowhere, seen from notebooks/."""
    found = []
    stems = {path.stem for path in course.sources()}
    for position, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "markdown":
            continue
        read = re.sub(r"^(```|~~~).*?^\1[^\n]*$|`[^`\n]*`", "", cell.source, flags=re.DOTALL | re.MULTILINE)
        targets = re.findall(r"\]\(\s*<?([^)\s>]+)", read) + re.findall(r"\bsrc=[\"']([^\"']+)", read)
        for target in targets:
            name = target.split("#")[0]
            if not name or re.match(r"[a-z]+:", target):
                continue
            if name.endswith(".ipynb") and "/" not in name and Path(name).stem in stems:
                continue
            if name.endswith(".ipynb") or not (course.notebooks / name).exists():
                found.append(f"cell {position}: the link {target!r} leads nowhere (seen from notebooks/)")
    return found


# The outputs -----------------------------------------------------------------------------------------------


def output_faults(notebook: Any, today: datetime.date | None = None) -> list[str]:
    """Return the outputs that a reader should not see or that would differ when built again."""
    found = []
    for position, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "code":
            continue
        where = f"cell {position} ({cell.id})"
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                shown = (output.text.strip().splitlines() or [""])[0][:120]
                found.append(f"{where} writes to stderr: {shown!r}; a warning is a defect, remove its cause")
            data = output.get("data", {})
            if "application/vnd.jupyter.widget-view+json" in data:
                found.append(f"{where} shows a widget, which no page shows again; switch the bar off")
            size = len(data.get("image/png", "")) * 3 // 4
            if size > PNG_BYTES:
                found.append(
                    f"{where} shows a figure of {size / 1000:.0f} KB, at most {PNG_BYTES // 1000}; "
                    "make it smaller or draw fewer points"
                )
            texts = [output.get("text", ""), output.get("evalue", "")]
            texts += [text for kind, text in data.items() if kind.startswith("text/")]
            found += [f"{where} shows {fault}" for fault in _volatile("\n".join(texts), today)]
    size = len(nbformat.writes(notebook, version=4).encode())
    if size > NOTEBOOK_BYTES:
        found.append(f"the notebook has {size / 1e6:.1f} MB, at most {NOTEBOOK_BYTES / 1e6:.0f}")
    return found


def _volatile(text: str, today: datetime.date | None) -> list[str]:
    found = []
    for pattern, name in VOLATILE.items():
        if match := re.search(pattern, text):
            found.append(f"{name} ({match[0]}), which is another one next time; don't print it")
    if match := ABSOLUTE.search(text):
        found.append(f"an absolute path ({match[0]}…); print the name alone")
    day = today or datetime.datetime.now(tz=datetime.UTC).date()
    for written in (day.strftime(form) for form in ("%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%b %d %Y")):
        if written in text:
            found.append(f"today's date ({written}); print nothing that the clock says")
    return found


def figure_faults(notebook: Any) -> list[str]:
    """Return the figures that no line `*Figure: …*` follows."""
    found = []
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if not any("image/png" in output.get("data", {}) for output in cell.outputs):
            continue
        following = notebook.cells[position + 1] if position + 1 < len(notebook.cells) else None
        text = following.source if following and following.cell_type == "markdown" else ""
        if not re.match(r"\*Figure: .{20,}?\*", text, flags=re.DOTALL):
            found.append(
                f"cell {position + 1} ({cell.id}) shows a figure without alt text; begin the Markdown cell "
                "after it with a line `*Figure: what it shows, for those who can't see it.*`"
            )
    return found


# Ruff ------------------------------------------------------------------------------------------------------


def ruff_faults(course: Course, notebook: Any) -> list[str]:
    """Return what ruff says about the code cells as a student gets them, and about their format."""
    bare = nbformat.from_dict(notebook)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    text = nbformat.writes(bare, version=4)

    def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
        name = str(course.lessons / "lesson.ipynb")  # where it would lie decides which settings hold
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", name, "-"]
        return subprocess.run(command, input=text, capture_output=True, encoding="utf-8", cwd=course.root)

    checked = asked("check", "--output-format", "json", "--no-cache")
    found = []
    for row in json.loads(checked.stdout or "[]"):
        found.append(f"cell {row.get('cell')}, line {row['location']['row']}: {row['code']} {row['message']}")
    formatted = asked("format", "--diff", "--no-cache")
    if formatted.returncode:
        changed = [
            line for line in formatted.stdout.splitlines() if re.match(r"[+-](?![+-])", line)
        ] or formatted.stderr.splitlines()
        found.append("ruff would format its code otherwise: " + " / ".join(changed[:6]))
    return found

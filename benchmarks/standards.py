"""What formatter, linter and type checker would have said to the faults that this repository later repaired.

A repair here is a small commit that changes code under src/ and its tests together (at most MOST lines of
code taken out or replaced, at least one) and whose message names a wrong behaviour. REPAIRS holds those,
chosen by their messages before any tool had run. Each tool judges the code as it stood before the repair. It
has warned when it names one of the lines that the repair takes out or replaces. What the tools stopped before
a commit leaves no trace in a history; the repository's linter and formatter were run from the first day.

    python benchmarks/standards.py MYPY

MYPY is a mypy of your own: it is not in the lock, and it is run without the types of other packages. Needs
git and the whole history. Writes results/standards.csv, a row a repair, and results/standards_costs.csv, a
row a tool, on the code as it is today (seconds of one core, nothing cached). Lesson 08a reads both.
`standards.py MYPY costs` measures the second alone.
"""

from __future__ import annotations

import csv
import json
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "standards.csv"
COSTS = RESULTS.with_name("standards_costs.csv")
RUFF = Path(sys.executable).with_name("ruff")
CODE = ("src/walkforward/", "src/course/", "src/authoring/")
MOST = 20
REPAIRS = """
efe7771 f9d886f 52e9c92 969e157 26119bb 7181caa 3437e78 b70871c 861138f 87d4bbd 0eb7916 f6bab55 b388668
8a44517 19cbd18 382af32 fa95410 1ee9d23 7b51eab fe74154 b2b8539 66f6dfb cdf9f03 e656adb 8114501 c2e4dc3
df116da 2efa4b1 5864921 c563387 3bf2023 bad1da1
""".split()
HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+", re.MULTILINE)
TOOLS = ("formatter", "linter", "linter_all", "types", "types_strict")


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def replaced(commit: str) -> dict[str, set[int]]:
    """The lines of each file of code that a commit takes out or replaces, numbered as before it."""
    lines = {}
    for part in re.split(r"^diff --git ", git("show", "-U0", "-M", "--format=", commit), flags=re.MULTILINE):
        name = re.search(r"^--- a/(.+\.py)$", part, re.MULTILINE)
        if name and name[1].startswith(CODE):
            taken = set()
            for hunk in HUNK.finditer(part):
                start, count = int(hunk[1]), int(hunk[2] or 1)
                taken |= set(range(start, start + count))
            if taken:
                lines[name[1]] = taken
    return lines


def repairs() -> list[tuple[str, dict[str, set[int]]]]:
    found = []
    for commit in git("rev-list", "--reverse", "--no-merges", "HEAD").split():
        files = git("show", "--name-only", "--format=", commit).split("\n")
        tests = any(re.fullmatch(r"tests/.*test_\w+\.py", name) for name in files)
        lines = replaced(commit)
        if commit[:7] in REPAIRS and tests and 1 <= sum(map(len, lines.values())) <= MOST:
            found.append((commit, lines))
    return found


def at_parent(commit: str, folder: Path) -> None:
    packed = subprocess.run(
        ["git", "archive", f"{commit}~1", "src", "pyproject.toml"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)


def ruff(folder: Path, files: list[str], *words: str) -> set[tuple[str, int]]:
    said = subprocess.run(
        [RUFF, "check", "--no-cache", "--exit-zero", "--output-format=json", *words, *files],
        cwd=folder, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return {
        (Path(one["filename"]).relative_to(folder.resolve()).as_posix(), line)
        for one in json.loads(said)
        for line in range(one["location"]["row"], one["end_location"]["row"] + 1)
        if one["end_location"]["row"] - one["location"]["row"] < 5  # not a whole function
    }


def formatter(folder: Path, files: list[str]) -> set[tuple[str, int]]:
    found = set()
    for name in files:
        said = subprocess.run(
            [RUFF, "format", "--no-cache", "--diff", name], cwd=folder, capture_output=True, text=True
        ).stdout
        for hunk in HUNK.finditer(said):
            start, count = int(hunk[1]), int(hunk[2] or 1)
            found |= {(name, line) for line in range(start + 3, start + max(count - 3, 3))}
    return found


def types(mypy: str, folder: Path, *words: str) -> set[tuple[str, int]]:
    said = subprocess.run(
        [mypy, "--ignore-missing-imports", "--no-error-summary", "--python-version=3.12", *words,
         *(name for name in CODE if (folder / name).exists())],
        cwd=folder, capture_output=True, text=True, env={"MYPYPATH": "src", "PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip
    return {(hit[1], int(hit[2])) for hit in re.finditer(r"^(\S+\.py):(\d+): error", said, re.MULTILINE)}


def costs(mypy: str) -> None:
    """Seconds of a core for all of src/ today, and the warnings that are there on the day a tool comes."""
    everything = [name for name in git("ls-files", "src").split() if name.endswith(".py")]
    code = [name for name in everything if name.startswith(CODE)]
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        tools = {
            "formatter": lambda: formatter(ROOT, code),
            "linter": lambda: ruff(ROOT, code),
            "linter_all": lambda: ruff(ROOT, code, "--isolated", "--select=ALL", "--target-version=py311"),
            "types": lambda: types(mypy, ROOT, f"--cache-dir={cache}/plain"),
            "types_strict": lambda: types(mypy, ROOT, "--strict", f"--cache-dir={cache}/strict"),
        }
        for tool, run in tools.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            warned = run()
            seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
            rows.append({"tool": tool, "seconds": round(seconds, 1), "warned lines": len(warned)})
    write(COSTS, rows)


def write(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(mypy: str) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for commit, lines in repairs():
            with tempfile.TemporaryDirectory() as place:
                folder, files = Path(place), sorted(lines)
                at_parent(commit, folder)
                warned = {
                    "formatter": formatter(folder, files),
                    "linter": ruff(folder, files),
                    "linter_all": ruff(folder, files, "--isolated", "--select=ALL", "--target-version=py311"),
                    "types": types(mypy, folder, f"--cache-dir={cache}/plain"),
                    "types_strict": types(mypy, folder, "--strict", f"--cache-dir={cache}/strict"),
                }
                size = sum(len((folder / name).read_text().splitlines()) for name in files)
            taken = {(name, line) for name in files for line in lines[name]}
            row = {"commit": commit[:7], "replaced": len(taken), "lines": size}
            for tool in TOOLS:
                here = {one for one in warned[tool] if one[0] in files}
                row |= {tool: len(here & taken), f"{tool}_elsewhere": len(here - taken)}
            rows.append(row)
            print(row, flush=True)
    write(RESULTS, rows)


if __name__ == "__main__":
    if "costs" not in sys.argv:
        main(sys.argv[1])
    costs(sys.argv[1])

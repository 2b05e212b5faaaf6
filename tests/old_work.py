"""Make tests/old_work/ as the versions of two commits wrote it: `python tests/old_work.py`.

Of the first: a copy of lesson 01 up to its second exercise, with one answer in it and one that fails, the
version that it was made from, the progress and the reviews that it left, a story, and every import that a
lesson had. Of the second, the last before the lessons were cut into sittings: the parameters and the stubs of
each lesson, and which question was of which lesson.
"""

import ast
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

import yaml

COMMIT = "5037e4d"  # the last in which `walkforward` held the course as well
BEFORE_THE_CUT = "5cb08f9"
HERE = Path(__file__).resolve().parent
LESSON = "01_pipelines_and_baselines.ipynb"
ANSWER = 'return trips[trips["duration"].between(low, high)]  # my answer'
WRITTEN_BY_THAT_VERSION = """
from course import progress
from course.reviews import State
from walkforward.interview import load_bank
state = State()
for question in load_bank()[:2]:
    state.record(question, [True] * len(question.must), [False] * len(question.good), 60.0, "terminal")
state.record_rehearsal("the-night-of-the-rollback", 150.0, [True, True, False, True, True])
state.set("interview", "2099-12-05")
for status in ("failed", "passed"):
    progress.record("keep_plausible", "pipelines", status)
progress.record("passengers_or_missing", "pipelines", "failed")
"""


def imports(notebooks: Path) -> list[str]:
    """Every import of ours in the lessons' cells."""
    found = set()
    for path in notebooks.glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] != "code":
                continue
            try:
                nodes = list(ast.walk(ast.parse("".join(cell["source"]))))
            except SyntaxError:  # a magic
                continue
            lines = [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
            found |= {line for line in lines if line.split()[1].split(".")[0] in {"walkforward", "course"}}
    return sorted(found)


def small(notebook: Path) -> dict:
    """The lesson up to its second exercise, without outputs and with few trips."""
    content = json.loads(notebook.read_text(encoding="utf-8").replace("../images/", "images/"))
    names = [cell["id"] for cell in content["cells"]]
    cells = content["cells"][: names.index("exercise-passengers_or_missing") + 2]
    content["cells"] = [cell for cell in cells if cell["cell_type"] == "code"]
    for cell in content["cells"]:
        cell |= {"outputs": [], "execution_count": None}
    content["metadata"] = {"kernelspec": content["metadata"]["kernelspec"]}
    return content


def archive(commit: str, folder: str) -> Path:
    """Unpack the repository as it was at a commit."""
    packed = subprocess.run(
        ["git", "archive", commit], cwd=HERE.parent, stdout=subprocess.PIPE, check=True
    ).stdout
    tarfile.open(fileobj=BytesIO(packed)).extractall(folder, filter="data")
    return Path(folder)


def stubs(notebook: Path) -> list[dict]:
    """The cells of a lesson that its student changes: parameters and exercises."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    kept = [
        cell
        for cell in cells
        if cell["id"].startswith("exercise-") or "parameters" in cell["metadata"].get("tags", [])
    ]
    return [cell | {"outputs": [], "execution_count": None} for cell in kept]


def questions(folder: Path) -> dict[str, str]:
    """The lesson of each question of a bank, by the question's id; those of no lesson are left out."""
    entries = [
        one for path in sorted(folder.glob("*.yaml")) for one in yaml.safe_load(path.read_text("utf-8"))
    ]
    return {one["id"]: one["lesson"] for one in entries if "lesson" in one}


def main() -> None:
    """Write the folder anew."""
    work, state = HERE / "old_work", HERE / "old_work" / "state"
    with tempfile.TemporaryDirectory() as folder:
        old = archive(COMMIT, folder)
        env = os.environ | {"PYTHONPATH": str(old / "src"), "WALKFORWARD_STATE": str(state)}
        subprocess.run([sys.executable, "-c", WRITTEN_BY_THAT_VERSION], cwd=folder, env=env, check=True)
        lesson, lines = small(old / "notebooks" / LESSON), imports(old / "notebooks")
    (state / "stories").mkdir(parents=True, exist_ok=True)
    story = "# The night of the rollback\n\n## Situation\n\nHalf of the answers were late.\n"
    (state / "stories" / "the-night-of-the-rollback.md").write_text(story, encoding="utf-8")
    # Not named .ipynb: nbval would take them for lessons of today.
    (work / "origin.json").write_text(json.dumps(lesson, indent=1) + "\n", encoding="utf-8")
    for cell in lesson["cells"]:
        if cell["id"] == "exercise-keep_plausible":
            text = "".join(cell["source"])
            cell["source"] = text.replace("return TODO  # replace this line with your answer", ANSWER)
            assert ANSWER in cell["source"]
    (work / "copy.json").write_text(json.dumps(lesson, indent=1) + "\n", encoding="utf-8")
    (work / "imports.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        old = archive(BEFORE_THE_CUT, folder)
        lessons = {path.stem: stubs(path) for path in sorted((old / "notebooks").glob("*.ipynb"))}
        asked = questions(old / "data" / "questions")
    (work / "before_the_cut.json").write_text(json.dumps(lessons, indent=1) + "\n", encoding="utf-8")
    (work / "questions.json").write_text(json.dumps(asked, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Lesson 03b where it meets other machines: no server starts, or the lab's server runs already."""

from pathlib import Path

import nbformat
import pytest

from authoring import build
from authoring.execute import Runner

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "03b_tracking_servers.py")


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook, name):
    (cell,) = [cell for cell in code(notebook) if cell.id == name]
    return "".join(output.get("text", "") for output in cell.outputs)


@pytest.mark.slow
def test_it_goes_on_where_no_server_starts():
    notebook = build.generate(LESSON)
    (cell,) = [cell for cell in code(notebook) if cell.id == "imports"]
    broken = [
        "from course import stores",
        "from course.servers import ServerError",
        "def refuse(*_, **__):",
        '    raise ServerError("initdb is missing")',
        "stores.course_server = stores.postgres = refuse",
    ]
    cell.source = "\n".join([*broken, cell.source])
    outcome = Runner().run(notebook, parameters=LESSON.ci)
    assert outcome.faults == []
    for name in ("server", "start_team"):
        (line,) = printed(outcome.notebook, name).strip().splitlines()
        assert line.endswith("read on without it: initdb is missing")
    for name in (
        "team_runs",
        "rest",
        "open_door",
        "headers",
        "accounts",
        "ana",
        "grant",
        "ben",
        "rows",
        "bypass",
    ):
        assert printed(outcome.notebook, name) == "", name


@pytest.mark.slow
def test_the_labs_server_gets_the_teams_runs(tmp_path):
    from mlflow import MlflowClient

    from course.servers import answers
    from course.stores import sqlite_server

    with sqlite_server(tmp_path) as lab:
        notebook = build.generate(LESSON)
        ids = [cell.id for cell in notebook.cells]
        notebook.cells = notebook.cells[: ids.index("start_team")]
        variable = f'import os\n\nos.environ["WALKFORWARD_TRACKING_URI"] = "{lab.uri}"'
        notebook.cells.insert(0, nbformat.v4.new_code_cell(variable))
        outcome = Runner().run(notebook, parameters=LESSON.ci)
        assert outcome.faults == []
        assert answers(lab.uri), "the lesson has stopped a server that is not its own"
        client = MlflowClient(lab.uri)
        (team,) = client.search_experiments(filter_string="name LIKE 'trip duration, team%'")
        names = [run.info.run_name for run in client.search_runs([team.experiment_id])]
        assert sorted(names) == ["boosted", "linear"]

"""Lesson 10c: who may what, what a schema lets through, a job, a token that ends, a step that is reused."""

import json
import os
import re
from pathlib import Path

import nbformat
import pytest
import requests
from shown import flat_table
from solved import LESSONS, smaller
from test_lesson_11c import output

from authoring import build
from authoring.execute import Runner
from course import environments
from course.environments import OtherEnvironmentError
from course.exercise import source as exercise_source
from lessons.azure_desk import desk as desks
from lessons.azure_desk import sdk_side
from projects.platforms.azure_ml.access import ROLES
from projects.platforms.azure_ml.local import ROLES as HELD
from projects.platforms.azure_ml.local import Local
from projects.platforms.wire import WireLog

ROOT = Path(__file__).resolve().parents[1]
STEM = "10c_azure_identity_and_jobs"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")


def test_a_wrong_secret_and_a_wrong_tenant_have_codes_of_their_own():
    assert output(NOTEBOOK, "exchange").split() == "200 a token 401 AADSTS7000215 400 AADSTS700016".split()


def test_the_statuses_are_those_of_the_roles():
    doors = flat_table(NOTEBOOK, "doors")
    for name, row in doors.iterrows():
        if name == "stranger":
            assert row.tolist()[1:] == ["401", "401"]
            continue
        rights = ROLES[HELD[name]]
        assert row["read"] == ("200" if "read" in rights else "403")
        assert row["write"] == ("201" if "write" in rights else "403")


def test_the_same_code_is_refused_as_another_identity():
    lines = output(NOTEBOOK, "default").splitlines()
    assert lines[0] == "you: 201" and lines[1].startswith("new-pipeline: 403 AuthorizationFailed")
    assert "'write'" in lines[1]


def test_the_schema_refuses_names_types_and_listed_values_and_nothing_else():
    said = [line[26:] for line in output(NOTEBOOK, "checked").splitlines()]
    assert [one.startswith("refused: ") for one in said] == [True] * 3 + [False] * 6
    assert said[3:] == ["accepted"] * 6


def test_the_bill_is_hours_times_the_price():
    bill = flat_table(NOTEBOOK, "bill").astype(float)
    prices = [0.19] * 4 + [0.038]
    assert bill["dollars"].tolist() == [round(h * p, 1) for h, p in zip(bill["hours"], prices, strict=True)]
    assert bill.loc["cluster, minimum 0", "hours"] == 30 * (40 + 6 + 2) / 60


def test_a_job_is_queued_before_it_is_done_and_latest_moves():
    assert output(NOTEBOOK, "job") == "create_or_update returns: Queued\nlater: Completed\n"
    assert re.findall(r"version (\d)", output(NOTEBOOK, "latest")) == ["1", "2"]


def test_the_sweep_names_the_trial_with_the_least_error():
    runs = flat_table(NOTEBOOK, "runs")
    errors = {run: float(rmse) for run, rmse in runs.to_numpy() if run.startswith("search_")}
    assert f"best: {min(errors, key=errors.get)}" in output(NOTEBOOK, "sweep")
    assert errors["search_2"] > errors["search_0"] > errors["search_1"]


def test_a_token_that_ended_leaves_a_run_that_runs_for_ever():
    lines = output(NOTEBOOK, "night").splitlines()
    assert "ExpiredAuthenticationToken" in lines[0] and lines[1] == "in the morning: RUNNING {}"


def test_runs_are_mlflows_and_jobs_are_azures():
    wire = flat_table(NOTEBOOK, "wire")
    assert wire.loc["MLflow's"].tolist() == ["True", "False"]
    assert wire.loc["Azure's"].tolist() == ["False", "True"]


def test_the_step_by_hand_is_the_exercises_rule():
    assert "Tuesday: reused 9703" in output(NOTEBOOK, "reuse")
    step = {"code": "v1", "environment": "course:1", "inputs": {"path": "latest.parquet"}}
    assert EXERCISES.runs_again({"features": step}, {"features": step}) == []
    named = step | {"inputs": step["inputs"] | {"version": "2"}}
    assert EXERCISES.runs_again({"features": named}, {"features": step}) == ["features"]


@pytest.mark.parametrize("cell", ["checked", "latest"])
def test_the_environments_of_the_lesson_are_open_by_the_exercises_rule(cell):
    """What the lesson registers and the schema accepts leaves its image open."""
    (source,) = [one.source for one in NOTEBOOK.cells if one.get("id") == cell]
    (image,) = re.findall(r"image[=:] ?\"?(python:[\w.]+)", source)
    assert EXERCISES.unpinned({"image": image}) == [image]


def test_no_secret_no_address_and_no_id_is_in_the_outputs():
    shown = str([cell.outputs for cell in NOTEBOOK.cells if cell.cell_type == "code"])
    assert not re.search(r"eyJ|127\.0\.0\.1|localhost|[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}", shown)


# The desk: the SDK's Python beside the notebook


def nowhere(tmp_path):
    return Local(
        "https://localhost:1",
        tmp_path / "none.pem",
        dict.fromkeys(["you", "train-job"], ("id", "s")),
        WireLog(tmp_path / "log"),
    )


def test_without_the_sdk_a_cell_prints_what_it_printed_when_it_was_built(tmp_path, monkeypatch, capsys):
    def refuse(name):
        raise OtherEnvironmentError("the environment 'platforms' can't be made (no network)")

    monkeypatch.setattr(environments, "make", refuse)
    (source,) = [one.source for one in NOTEBOOK.cells if one.get("id") == "latest"]
    with desks.desk(nowhere(tmp_path), "10c") as desk:
        desk.run("", source.partition("\n")[2])
        desk.run("", "print('a cell of the reader')")
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("Not run: the environment 'platforms' can't be made (no network).")
    assert rest[:2] == output(NOTEBOOK, "latest").splitlines()
    assert rest[2:] == ["Not run: see above. When the lesson was built it printed:"]


def test_the_other_python_keeps_names_prints_and_raises(tmp_path, capsys):
    try:
        environments.make("platforms")
    except OtherEnvironmentError as error:
        pytest.skip(str(error))
    with desks.desk(nowhere(tmp_path), "10c", GREETING="hello") as desk:
        desk.run("", "from azure.ai.ml import load_environment\nprint(GREETING, WORKSPACE[2])")
        desk.run("", "print(said(load_environment, 'nowhere.yml')[:8])")
        assert capsys.readouterr().out == "hello demand\nrefused:\n"
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            desk.run("", "1 / 0")
        process = desk.process
    assert process.returncode == 0


def test_as_application_leaves_the_environment_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_ID", "mine")
    monkeypatch.delenv("AZURE_TENANT_ID", raising=False)
    with pytest.raises(RuntimeError), desks.as_application(nowhere(tmp_path), "you"):
        assert os.environ["AZURE_CLIENT_ID"] == "id" and "AZURE_TENANT_ID" in os.environ
        raise RuntimeError
    assert os.environ["AZURE_CLIENT_ID"] == "mine" and "AZURE_TENANT_ID" not in os.environ


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        (
            "(AuthorizationFailed) The client 'id-1' does not. over scope '/x'.",
            "AuthorizationFailed: The client 'job' does not",
        ),
        ('Validation failed: {\\n "computer": [\\n "Unknown field."\\n ]}', "computer: Unknown field"),
        ("plain words.\nmore", "plain words"),
    ],
)
def test_a_refusal_is_one_line(refusal, line, monkeypatch):
    monkeypatch.setattr(sdk_side, "NAMES", {"id-1": "job"})
    assert sdk_side.words(Exception(refusal)) == line


def test_an_answer_is_one_line():
    answer = requests.Response()
    answer.status_code, answer._content = 201, b"{}"
    assert desks.told(answer) == "201"
    body = {"error": {"code": "AuthorizationFailed", "message": "No right."}}
    answer.status_code, answer._content = 403, json.dumps(body).encode()
    assert desks.told(answer) == "403 AuthorizationFailed: No right"


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
    for name in ("exchange", "default", "checked", "job", "latest", "night", "reuse"):
        assert output(outcome.notebook, name) == output(NOTEBOOK, name)


@pytest.mark.slow
def test_without_the_sdk_the_lesson_goes_on():
    smaller(STEM)  # skips where that is weekly
    lesson = build.read_lesson(LESSONS / f"{STEM}.py")
    outcome = Runner().run(build.generate(lesson, solved=True), parameters={"with_sdk": False})
    assert outcome.faults == []
    first, *rest = output(outcome.notebook, "connected").splitlines()
    assert first.startswith("Not run: the SDK is switched off")
    assert "\n".join([*rest, ""]) == output(NOTEBOOK, "connected")
    for name in ("exchange", "doors", "default", "bill", "night", "reuse"):
        assert output(outcome.notebook, name) == output(NOTEBOOK, name)

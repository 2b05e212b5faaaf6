"""Lesson 10a: one script in three places, under whose name, what a definition loses, what it costs."""

import os
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service import jobs
from mlflow.exceptions import MlflowException
from solved import smaller
from test_lesson_11c import output, table

from course.exercise import source as exercise_source
from projects.platforms.databricks import tour

ROOT = Path(__file__).resolve().parents[1]
STEM = "10a_databricks_tracking_and_jobs"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")


def test_the_error_is_the_same_in_every_place():
    said = [output(NOTEBOOK, name) for name in ("here", "named", "nightly", "principal", "ran")]
    assert {re.search(r"RMSE ([\d.]+) minutes", one)[1] for one in said} == {"5.95"}


def test_a_bare_name_and_an_ended_token_are_refused():
    assert "must be an absolute path" in output(NOTEBOOK, "there")
    lines = output(NOTEBOOK, "nightly").splitlines()
    assert lines[0].endswith("minutes") and lines[1] == "the night after: refused: 403: Invalid access token"
    assert output(NOTEBOOK, "both").startswith("refused: validate: more than one authorization method")


def test_a_misspelt_field_makes_a_job_run_as_its_maker_and_the_right_one_as_the_machine():
    assert output(NOTEBOOK, "created") == "runs as reader@course.example\n"
    assert output(NOTEBOOK, "ran").startswith("SUCCESS, as train-job\n")


def test_the_runs_carry_the_names_of_their_tokens():
    assert output(NOTEBOOK, "wire").count("reader@course.example") == 2
    assert output(NOTEBOOK, "wire").count("train-job") == 2
    calls = table(NOTEBOOK, "wire")
    assert calls.loc["runs and experiments", "served"] == 0
    assert (calls.loc[["jobs", "files in volumes", "who you are"], "proxied"] == 0).all()


def test_no_secret_no_address_and_no_id_is_in_the_outputs():
    shown = str([cell.outputs for cell in NOTEBOOK.cells if cell.cell_type == "code"])
    assert not re.search(
        r"dapi\w{8}|dose\w{8}|127\.0\.0\.1|localhost|[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}", shown
    )


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        ({"tasks": [{"task_key": "a", "max_retry": 2}]}, ["tasks.0.max_retry"]),
        ({"email_notification": {"on_failure": ["me"]}, "name": "x"}, ["email_notification"]),
        ({"run_as": {"service_principal": "x"}}, ["run_as.service_principal"]),
        ({"name": "train", "timeout_seconds": 60, "tasks": [{"task_key": "a", "max_retries": 0}]}, []),
    ],
)
def test_the_exercise_finds_what_the_sdk_loses(fault, lost):
    kept = jobs.JobSettings.from_dict(fault).as_dict()
    assert EXERCISES.lost_fields(fault, kept) == lost


def test_from_dict_refuses_one_of_the_five():
    faults = table(NOTEBOOK, "faults")
    assert faults["from_dict"].tolist() == ["accepts"] * 4 + ["raises"]
    assert faults["round trip"].tolist() == ["lost", "lost", "same", "same", "-"]


def test_the_bills_are_hours_times_prices_and_idle_time_is_the_largest_part():
    bills, prices = table(NOTEBOOK, "bills"), table(NOTEBOOK, "prices")
    for row, kind, every in (
        ("interactive, stops when idle", "interactive", 1440),
        ("jobs", "jobs", 1440),
        ("serverless", "serverless", 1440),
    ):
        units, machine = EXERCISES.node_hours(kind, 40, every)
        dollars = 3 * (units * prices.loc[kind, "DBU"] + machine * prices.loc[kind, "machine an hour"])
        assert bills.loc[row, "dollars"] == pytest.approx(dollars, abs=0.06)
    assert bills.loc["interactive, never stops", "dollars"] > 50 * bills.loc["jobs", "dollars"]


def test_the_break_even_holds_in_whole_bills():
    """At the printed factor both bills are equal; it falls with the length of the work."""
    even = table(NOTEBOOK, "even")
    for minutes in (2, 40, 480):
        units, machine = EXERCISES.node_hours("jobs", minutes, 1440)
        for name, discount in (("full price", 1), ("spot", 0.4)):
            factor = even.loc[f"{minutes} minutes", name]
            assert units * factor * 0.35 == pytest.approx(units * 0.15 + machine * 0.312 * discount, rel=0.01)
    assert (even.diff().dropna() < 0).all(axis=None)


def test_the_doubled_bill_has_two_causes():
    split = table(NOTEBOOK, "doubled")
    assert split["dollars May"].sum() > 2 * split["dollars April"].sum()
    assert split.loc["team cluster", "idle May"] > 75 and split.loc["table rewrite", "idle May"] < 5


def test_said_returns_the_words_and_not_the_configuration():
    def refuse(error):
        raise error

    assert tour.said(lambda: 7) == "7"
    denied = PermissionDenied("Invalid access token. Config: host=http://127.0.0.1:1, token=***")
    assert tour.said(refuse, denied) == "refused: Invalid access token"
    assert tour.said(refuse, MlflowException("not there. Response body: {}")) == "refused: not there"
    with pytest.raises(ZeroDivisionError):
        tour.said(refuse, ZeroDivisionError())


def test_coming_as_leaves_the_environment_as_it_was(monkeypatch):
    monkeypatch.setenv("DATABRICKS_TOKEN", "mine")
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    with pytest.raises(RuntimeError), tour.coming_as({"DATABRICKS_HOST": "there"}):
        assert os.environ["DATABRICKS_HOST"] == "there" and "DATABRICKS_TOKEN" not in os.environ
        raise RuntimeError
    assert os.environ["DATABRICKS_TOKEN"] == "mine" and "DATABRICKS_HOST" not in os.environ
    assert "DATABRICKS_CONFIG_FILE" not in os.environ


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/api/2.0/mlflow/runs/create", "runs and experiments"),
        ("/api/2.0/fs/files/Volumes/a/b/c/x", "files in volumes"),
        ("/api/2.2/jobs/runs/get", "jobs"),
        ("/oidc/v1/token", "who you are"),
        ("/api/2.0/preview/scim/v2/Me", "who you are"),
        ("/api/2.1/clusters/list", "anything else"),
    ],
)
def test_each_path_has_its_part(path, part):
    assert tour.part_of(path) == part


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
    for name in ("faults", "bills", "even", "doubled"):
        assert isinstance(table(outcome.notebook, name), pd.DataFrame)
        assert list(table(outcome.notebook, name).index) == list(table(NOTEBOOK, name).index)

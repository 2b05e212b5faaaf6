"""Lesson 10d: who is let in, wrong answers with good statuses, a way back, a mirror, a log."""

import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from shown import flat_table
from solved import LESSONS, smaller
from test_lesson_11c import output

from authoring import build
from authoring.execute import Runner
from course.exercise import source as exercise_source
from lessons.azure_desk import desk as desks
from projects.platforms.azure_ml.access import ROLES
from projects.platforms.azure_ml.local import ROLES as HELD

ROOT = Path(__file__).resolve().parents[1]
STEM = "10d_azure_endpoint_and_access"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")


def numbers(name):
    return flat_table(NOTEBOOK, name).apply(pd.to_numeric)


def test_a_new_deployment_takes_no_traffic():
    assert output(NOTEBOOK, "endpoint") == "blue Succeeded\n"
    assert output(NOTEBOOK, "first").startswith("404 NotFound: No deployment of minutes takes traffic")
    assert output(NOTEBOOK, "traffic") == "{'blue': 100}\n"


def test_the_endpoint_refuses_callers_and_the_model_refuses_bodies():
    assert numbers("curl")["status"].tolist() == [401, 401, 401, 424, 200]


@pytest.mark.parametrize("mode", ["Key", "AMLToken", "AADToken"])
def test_the_exercise_agrees_with_the_stand_in(mode):
    """Each status of the table is the exercise's own, from the roles of the callers."""
    kinds = {"Key": "key", "AMLToken": "aml_token", "AADToken": "aad_token"}
    endpoint = {"mode": kinds[mode], "keys": ["k"], "tenant": "ours"}
    for who, status in numbers("modes")[mode].items():
        name = who.partition(", ")[2]
        if name:
            tenant = "theirs" if name == "stranger" else "ours"
            sent = {"kind": "aad_token", "ends": 9, "tenant": tenant, "actions": ROLES[HELD[name]]}
        elif who == "the key":
            sent = {"kind": "key", "value": "k"}
        else:
            sent = {"kind": "aml_token", "ends": 9} if mode == "AMLToken" else None
        assert EXERCISES.admitted(endpoint, sent, 1) == status, who


def test_a_renewed_key_is_refused_and_the_second_goes_on():
    assert output(NOTEBOOK, "renewed") == "the old first: 401\nthe second: 200\n"


def test_green_is_wrong_with_good_statuses_and_the_exercise_goes_back():
    counted = numbers("counted")
    assert counted["asked"].sum() == 100 and counted["failed"].tolist() == [0, 0]
    assert abs(counted.loc["green", "asked"] - 10) < 3 * (100 * 0.1 * 0.9) ** 0.5
    assert 30 < counted.loc["green", "median"] / counted.loc["blue", "median"] < 90
    many = {name: {"asked": 1000, "failed": 0, "median": row["median"]} for name, row in counted.iterrows()}
    assert EXERCISES.verdict(many["blue"], many["green"]) == "back"
    (told,) = re.findall(r"[\d.]+", output(NOTEBOOK, "green"))
    assert float(told) > 300, "the owner's own question showed it"


def test_going_back_is_one_request_and_an_unknown_share_changes_nothing():
    lines = output(NOTEBOOK, "after").splitlines()
    assert lines[0] == "{'blue': 100}" and "names 'purple'" in lines[1]


def test_the_mirror_sees_the_fault_and_no_caller_does():
    compared = numbers("compared")
    assert compared.loc["callers got", "answers"] == 100
    copies = compared.loc["green's copies"]
    assert abs(copies["answers"] - 50) < 3 * (100 * 0.5 * 0.5) ** 0.5
    assert copies["median"] > 30 * compared.loc["callers got", "median"]
    assert compared.loc["callers got", "median"] == pytest.approx(
        numbers("counted").loc["blue", "median"], rel=0.2
    )


def test_the_log_names_the_cause_and_the_refusal_does_not():
    refusal, log = output(NOTEBOOK, "unhealthy").splitlines()
    assert (
        refusal.startswith("refused: ResourceNotReady: User container has crashed")
        and "features" not in refusal
    )
    assert "No module named 'features'" in log
    assert output(NOTEBOOK, "still").startswith("200 from blue")


def test_the_bill_is_hours_times_the_price():
    cost = numbers("cost")
    assert cost["dollars"].tolist() == [round(0.19 * hours, 1) for hours in cost["hours"]]
    assert cost["dollars"].iloc[0] > 50 * cost["dollars"].iloc[2]


def test_no_secret_no_address_and_no_id_is_in_the_outputs():
    shown = str([cell.outputs for cell in NOTEBOOK.cells if cell.cell_type == "code"])
    assert not re.search(r"eyJ|127\.0\.0\.1|localhost|[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}", shown)


def test_each_cell_that_changes_the_workspace_has_its_requests_without_the_sdk():
    cells = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code" and cell.source.startswith("%%sdk")]
    names = [cell.id for cell in cells if "begin_create" in cell.source or "route(" in cell.source]
    assert [("10d", name) for name in names if name != "unhealthy"] == list(desks.WITHOUT)


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
    for name in ("endpoint", "first", "curl", "renewed", "after", "unhealthy"):
        assert output(outcome.notebook, name) == output(NOTEBOOK, name)


@pytest.mark.slow
def test_without_the_sdk_the_other_cells_show_the_same():
    smaller(STEM)  # skips where that is weekly
    lesson = build.read_lesson(LESSONS / f"{STEM}.py")
    outcome = Runner().run(build.generate(lesson, solved=True), parameters={"with_sdk": False})
    assert outcome.faults == []
    assert output(outcome.notebook, "endpoint").startswith("Not run: the SDK is switched off")
    for name in ("first", "curl", "modes", "renewed", "counted", "after", "compared"):
        assert output(outcome.notebook, name) == output(NOTEBOOK, name)

"""Lesson 10b: rights level by level, an endpoint that ignores an alias, a split, a cold start, a size."""

import re
from pathlib import Path

import nbformat
import pytest
from solved import smaller
from test_lesson_11c import output, table

from course.exercise import source as exercise_source
from projects.platforms.databricks.access import Identity
from projects.platforms.databricks.endpoints import SIZES
from projects.platforms.databricks.grants import Grants

ROOT = Path(__file__).resolve().parents[1]
STEM = "10b_databricks_registry_and_endpoint"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
MODEL = "main.demand.minutes"


def test_every_trial_is_a_run_below_its_study():
    assert output(NOTEBOOK, "study").startswith("6 trials, 7 runs in the workspace")


def test_version_2_is_better_by_more_than_its_interval():
    saved, low, high = map(float, re.findall(r"\d+\.\d+", output(NOTEBOOK, "better")))
    assert 0 < low < saved < high


def test_the_rights_are_asked_for_one_by_one():
    assert "does not have USE CATALOG on Catalog 'main'" in output(NOTEBOOK, "execute")
    lines = output(NOTEBOOK, "levels").splitlines()
    assert "does not have USE SCHEMA on Schema 'main.demand'" in lines[0]
    assert lines[1] == "USE_SCHEMA on main.demand: loaded, 9.8 minutes for the first trip"
    assert "does not have MANAGE" in output(NOTEBOOK, "alias")


def test_the_endpoint_serves_the_old_version_after_the_alias_has_moved():
    said = re.search(r"endpoint: ([\d.]+) .* loaded, ([\d.]+)", output(NOTEBOOK, "moved"))
    counts = table(NOTEBOOK, "counted")
    assert [float(one) for one in said.groups()] == counts["min"].tolist() and said[1] != said[2]
    assert counts["min"].tolist() == counts["max"].tolist(), "one trip, one answer of each version"
    assert output(NOTEBOOK, "promoted").startswith("configuration 3 {'minutes-2'")


def test_execute_on_the_model_is_no_right_on_the_endpoint():
    assert "permission CAN_QUERY on the endpoint price" in output(NOTEBOOK, "query")
    answers = re.findall(r": \[(.*)\]", output(NOTEBOOK, "query"))
    assert len(answers) == 2 and answers[0] == answers[1]


def test_the_split_is_within_three_deviations_of_its_share():
    count = table(NOTEBOOK, "counted")["count"]
    assert count.sum() == 200 and abs(count["minutes-2"] - 20) < 3 * (200 * 0.1 * 0.9) ** 0.5
    assert "minutes/9 does not exist" in output(NOTEBOOK, "split")


def test_the_version_that_slept_is_the_slowest():
    assert output(NOTEBOOK, "cold").splitlines() == [
        "processes started: 1 | slowest answer from minutes-2",
        "more than 20 times the median: True",
    ]


def test_the_table_is_littles_law_on_the_stand_ins_sizes():
    most = table(NOTEBOOK, "little")
    for size, (_, many) in SIZES.items():
        for column in most.columns:
            assert most.loc[size, column] == pytest.approx(many / (int(column.split()[0]) / 1000))
    assert most.loc["needed for the slide"].tolist() == [15, 60, 150, 600]


def test_the_refused_load_is_the_faster_one():
    load = table(NOTEBOOK, "load")
    assert load["200"].tolist() == [200, 0] and load["401"].tolist() == [0, 200]
    assert load["inside"].tolist() == [4, 4]


def test_no_secret_no_address_and_no_id_is_in_the_outputs():
    shown = str([cell.outputs for cell in NOTEBOOK.cells if cell.cell_type == "code"])
    assert not re.search(r"dapi\w{8}|dose\w{8}|127\.0\.0\.1|localhost|[0-9a-f]{32}", shown)


HELD = [
    [],
    [("EXECUTE", MODEL)],
    [("ALL_PRIVILEGES", "main")],
    [("USE_SCHEMA", "main"), ("EXECUTE", "main.demand")],
    [("USE_CATALOG", "main"), ("USE_SCHEMA", "main.demand"), ("EXECUTE", "main.demand_old")],
]


@pytest.mark.parametrize("held", HELD)
def test_the_exercise_agrees_with_the_stand_in(held):
    grants, service = Grants(admin="somebody else"), Identity("service", 2)
    for privilege, name in held:
        grants.held.setdefault(name, {}).setdefault("service", []).append(privilege)
    needed = [("USE_CATALOG", "main"), ("USE_SCHEMA", "main.demand"), ("EXECUTE", MODEL)]
    missing = [one for one in needed if not grants.may(service, *one)]
    assert EXERCISES.missing_grants(held, MODEL) == missing


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
    assert output(outcome.notebook, "cold") == output(NOTEBOOK, "cold")
    assert table(outcome.notebook, "little").equals(table(NOTEBOOK, "little"))

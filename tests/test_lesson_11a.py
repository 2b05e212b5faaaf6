"""Lesson 11a: what its text says of watchers and labels holds in its outputs and in the records."""

import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from solved import smaller

from course.data import load_trips, prepare_trips

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "11a_monitoring.ipynb", as_version=4)
WATCHERS = ["operational", "raw inputs", "features", "features together", "predictions", "accuracy"]


def output(notebook, name: str, kind: str = "text/plain") -> str:
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id == name]
    texts = [one.get("text") or one.get("data", {}).get(kind, "") for one in cell.outputs]
    return "\n".join(texts)


def table(notebook, name: str) -> pd.DataFrame:
    """The frame that a cell shows, with texts as values unless all of a column are numbers."""
    rows = re.findall(r"<tr.*?</tr>", output(notebook, name, "text/html"), flags=re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in rows]
    head, *body = [row for row in cells if "".join(row[1:])]  # the row with the index's name is empty
    frame = pd.DataFrame([row[1:] for row in body], columns=head[1:], index=[row[0] for row in body])
    return frame.apply(lambda column: pd.to_numeric(column, errors="coerce").fillna(column))


def sees(notebook) -> dict[str, list[str]]:
    matrix = table(notebook, "matrix")[WATCHERS] == "alarm"
    return {
        name: list(matrix.columns[row]) for name, row in zip(matrix.index, matrix.to_numpy(), strict=True)
    }


EXPECTED = {
    "none: a quiet month": [],
    "miles become kilometres": WATCHERS[1:],
    "no destination": WATCHERS[1:],
    "cache one request behind": ["features together", "accuracy"],
    "airport gets a new number": ["raw inputs", "features"],
    "April 2020": ["features", "features together", "accuracy"],
}


def test_each_incident_is_seen_by_the_watchers_that_the_text_names():
    assert sees(NOTEBOOK) == EXPECTED


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    """With the parameters of CI: another model, fewer months, fewer simulations."""
    outcome = smaller("11a_monitoring")
    assert outcome.faults == []
    small = sees(outcome.notebook)
    assert {name: small[name] for name in EXPECTED if "April" not in name} == {
        name: watchers for name, watchers in EXPECTED.items() if "April" not in name
    }
    assert {"features", "accuracy"} <= set(small["April 2020"])
    for name in ("november", "truth", "early"):
        assert table(outcome.notebook, name).shape == table(NOTEBOOK, name).shape


def test_the_silent_failure_is_silent_and_beats_the_baseline():
    november, truth = table(NOTEBOOK, "november"), table(NOTEBOOK, "truth")
    assert set(november["status 200"]) == {"100%"}
    before, after = "until the 15th", "from the 16th"
    assert truth.loc["model", after] > 1.5 * truth.loc["model", before]
    assert truth.loc["model", after] < 0.8 * truth.loc["naive", after]


def test_first_labels_flatter_the_model_in_both_months():
    early = table(NOTEBOOK, "early")
    assert (early["RMSE known"] < early["RMSE all"]).all()
    assert early.loc["April 2020", "known"] > early.loc["none: a quiet month", "known"]


@pytest.mark.parametrize("month", ["2019-03", "2019-11", "2020-04"])
def test_trips_over_an_hour_are_in_the_records_and_not_in_the_lesson(month):
    """The hour is a filter on the label, which nobody has in production."""
    trips = load_trips(month)
    took = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
    assert 0.003 < (took > 60).mean() < 0.03
    assert prepare_trips(trips)["duration"].max() <= 60


def test_the_limit_of_the_error_knows_only_the_months_before():
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.id == "watchers"]
    assert 'live["month"] < incident_month' in cell.source


def test_nothing_that_a_clock_says_is_in_the_outputs():
    text = "".join(output(NOTEBOOK, cell.id) for cell in NOTEBOOK.cells if cell.cell_type == "code")
    assert "latency_seconds_bucket" not in text
    assert not re.search(r"_created|cpu_seconds_total|memory_bytes [\d.]", text)

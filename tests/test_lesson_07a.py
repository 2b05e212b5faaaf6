"""Lesson 07a: the names of an earlier run are renamed and not deleted, and a model is found by its error."""

import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src" / "projects" / "trip_tracking"))


def outputs(stem):
    """What each named code cell of the built notebook printed or showed, as text."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4)
    return {
        cell.id: "".join(
            output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A client of an empty registry, in which `trips` has two versions."""
    import mlflow
    import trip_tracking

    before = mlflow.get_tracking_uri()
    trip_tracking.use_store(tmp_path, "registry")
    client = mlflow.MlflowClient()
    client.create_registered_model("trips")
    for _ in range(2):
        client.create_model_version("trips", source="file:///nowhere")
    yield client
    mlflow.set_tracking_uri(before)


def test_a_name_of_an_earlier_run_is_set_aside_with_its_versions(client):
    import trip_tracking

    client.set_registered_model_alias("trips", "champion", "2")
    client.create_registered_model("tips")
    trip_tracking.set_aside("trips", "never registered")
    names = sorted(model.name for model in client.search_registered_models())
    assert names[0] == "tips"
    assert names[1].startswith("trips, until ")
    assert len(names) == 2
    assert len(client.search_model_versions(f"name = '{names[1]}'")) == 2
    assert int(client.get_model_version_by_alias(names[1], "champion").version) == 2


def test_the_lesson_deletes_no_name_that_it_did_not_make_for_that():
    source = (ROOT / "src" / "lessons" / "07a_registry.py").read_text(encoding="utf-8")
    deleting = [line.strip() for line in source.splitlines() if line.startswith("client.delete_registered")]
    assert deleting == ['client.delete_registered_model("scratch")'] * 2


def test_models_are_found_by_their_error_in_one_call():
    shown = outputs("07a_registry")["by_error"].split()
    assert shown[:2] == ["version", "rmse"]
    assert [float(number) for number in shown[4::3]] == sorted(float(number) for number in shown[4::3])
    assert all(float(number) < 4.8 for number in shown[4::3])

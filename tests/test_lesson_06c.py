"""Lessons 06c and 06d: what they claim, over other months; outputs that fit any machine."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import mlflow
import nbformat
import pytest
from xgboost import XGBRegressor

from authoring import build
from course.data import load_trips, months
from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "06c_packaging.py")
NOTEBOOKS = [
    nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4)
    for stem in ("06c_packaging", "06d_the_auditor")
]
CELLS = [cell for notebook in NOTEBOOKS for cell in notebook.cells]
PROJECT = ROOT / "src" / "projects" / "trip_duration"
RECORD = ROOT / "benchmarks" / "results" / "isolation.json"
PERIODS = [("2018-08", "2018-10"), ("2019-02", "2019-04"), ("2019-06", "2019-08"), ("2019-08", "2019-10")]
ROUNDS, KILOMETRES = 100, 1.609344


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("trip_duration_of_06c", PROJECT / "trip_duration.py")
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@pytest.fixture(scope="module")
def measured(script, tmp_path_factory):
    """Errors in four periods: of the first model, the one on kilometres, Ben's on his trips and on all."""
    found = {}
    for first, last in PERIODS:
        folder = tmp_path_factory.mktemp(last)
        trips = load_trips(months(first, last)).sort_values(
            "pickup_datetime", kind="stable", ignore_index=True
        )
        learn, test = trips[trips["pickup_datetime"] < last], trips[trips["pickup_datetime"] >= last]
        late = learn["pickup_datetime"] >= last.replace(last[-2:], f"{int(last[-2:]) - 1:02}") + "-15"
        changed = learn["trip_distance"].where(~late, learn["trip_distance"] * KILOMETRES)
        files = {"learn": learn, "changed": learn.assign(trip_distance=changed), "test": test}
        for name, frame in files.items():
            frame.to_parquet(folder / f"{name}.parquet")

        def read(name, folder=folder):
            return script.read_trips(folder / f"{name}.parquet")

        def fitted(rows):
            model = XGBRegressor(
                max_depth=6, learning_rate=0.1, n_estimators=ROUNDS, random_state=0, n_jobs=1
            )
            return model.fit(rows[script.FEATURES], rows["duration"])

        def rmse(model, rows):
            return script.errors(rows, model.predict(rows[script.FEATURES]))["rmse"]

        plain, other = read("learn"), read("changed")
        ben = fitted(plain[plain["duration"] <= 45])
        test = read("test")
        found[last] = {
            "first": rmse(fitted(plain), test),
            "kilometres": rmse(fitted(other), test),
            "ben, his trips": rmse(ben, test[test["duration"] <= 45]),
            "ben, all trips": rmse(ben, test),
            "digests": [mlflow.data.from_pandas(rows).digest for rows in (plain, other)],
            "checksums": [script.sha256(folder / f"{name}.parquet") for name in ("learn", "changed")],
        }
    return found


def test_the_overwritten_file_has_mlflows_digest_and_another_checksum(measured):
    for last, one in measured.items():
        same, other = one["digests"]
        assert same == other, last
        assert len(set(one["checksums"])) == 2, last


def test_kilometres_for_miles_do_harm_in_every_period(measured):
    for last, one in measured.items():
        assert one["kilometres"] > 1.003 * one["first"], last


def test_ben_looks_better_and_is_worse_in_every_period(measured):
    for last, one in measured.items():
        assert one["ben, his trips"] < 0.97 * one["first"], last
        assert one["ben, all trips"] > 1.01 * one["first"], last


def printed(name):
    (cell,) = [cell for cell in CELLS if cell.get("id") == name]
    return shown_by(cell)


def shown_by(cell):
    texts = [output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "".join(texts)


def test_the_lesson_shows_the_same_figures(measured):
    one = {name: f"{value:.2f}" for name, value in measured["2019-10"].items() if isinstance(value, float)}
    assert re.search(rf"RMSE \(min\) +{one['first']} +{one['kilometres']}", printed("first_day"))
    row = rf"RMSE \(min\) +{one['first']} +{one['ben, his trips']} +{one['ben, all trips']}"
    assert re.search(row, printed("zip"))
    assert measured["2019-10"]["digests"][0] in printed("first_day")
    for checksum in measured["2019-10"]["checksums"]:
        assert checksum[:12] in printed("overwritten")


def test_outputs_tell_nothing_of_the_machine_and_no_ids():
    shown = "".join(shown_by(cell) for cell in CELLS if cell.cell_type == "code")
    assert "trips.parquet" in shown
    assert not re.search(r"\b[0-9a-f]{32}\b|m-[0-9a-f]{32}|/home/|/root/|/tmp/|/dev/shm/|sqlite:///", shown)


def test_the_table_of_seconds_names_its_machine_and_its_commands():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    shown = printed("isolation")
    assert f"{record['machine']['cores']} cores of {record['machine']['processor']}" in shown
    for row in record["rows"]:
        assert row["what"] in shown
        assert row["command"]
        assert row["seconds"] > 0


def test_the_broken_mlproject_is_what_the_exercise_repairs():
    (cell,) = [cell for cell in LESSON.cells if cell.metadata.get("name") == "broken"]
    names = {}
    exec(compile(cell.source, "lesson 06c", "exec"), names)
    module = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "06c_packaging.py")
    module.mlflow_reads_it(names["BROKEN"])  # it loads, as the lesson says
    checks = (
        "the_rate_has_a_default",
        "a_given_rate_arrives",
        "a_space_does_no_harm",
        "a_missing_file_is_refused",
    )
    for check in checks:
        with pytest.raises(AssertionError):
            getattr(module, check)(names["BROKEN"])
        getattr(module, check)(module.repaired())


def test_mlflow_keeps_no_history_of_aliases():
    """If a release brings one, the lesson has to say so."""
    offered = [name for name in dir(mlflow.MlflowClient) if "alias" in name and "model" in name]
    assert sorted(offered) == [
        "delete_registered_model_alias",
        "get_model_version_by_alias",
        "set_registered_model_alias",
    ]


def test_the_table_in_the_benchmarks_readme_is_the_records():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import isolation
    from shared import README

    record = json.loads(isolation.RESULTS.read_text(encoding="utf-8"))
    assert isolation.summary(record) in README.read_text(encoding="utf-8")

"""Lesson 05b: its model file as a file, and the same one that the course keeps for 05c."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from authoring import build

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "05b_own_models.py")
KEPT = ROOT / "src" / "projects" / "trip_answers" / "trip_model.py"


def model_file():
    """Return the text of the model file, as the two cells of the lesson write it."""
    cells = [cell for cell in build.generate(LESSON).cells if cell.cell_type == "code"]
    parts = [cell.source for cell in cells if cell.source.startswith("%%writefile")]
    names = {re.match(r"%%writefile (?:-a )?(\S+)\n", part)[1] for part in parts}
    assert names == {"05b_own_models_files/trip_model.py"}
    return "".join(part.split("\n", 1)[1].rstrip("\n") + "\n" for part in parts)


def test_the_model_file_satisfies_ruff():
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--stdin-filename",
        "src/lessons/trip_model.py",
        "-",
    ]
    done = subprocess.run(command, input=model_file(), capture_output=True, encoding="utf-8", cwd=ROOT)
    assert done.returncode == 0, done.stdout
    command[3:4] = ["format", "--check"]
    done = subprocess.run(command, input=model_file(), capture_output=True, encoding="utf-8", cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kept", [False, True], ids=["the lesson's", "the course's"])
def test_the_model_file_prepares_refuses_and_rounds(kept, tmp_path):
    """Two trips by hand: what the trees are given, and what becomes of their answer."""
    path = tmp_path / "trip_model.py"
    path.write_text(model_file(), encoding="utf-8")
    names = runpy.run_path(str(KEPT if kept else path))
    pairs = pd.MultiIndex.from_tuples([(1.0, 2.0), (3.0, 4.0)], names=names["ZONES"])
    usual = pd.Series([5.0, 7.0], index=pairs)
    trips = pd.DataFrame(
        {
            "trip_distance": [np.nan, np.nan, 1.5],
            "dropoff_location_id": [2, 9, 2],
            "pickup_datetime": pd.to_datetime(["2019-10-07 08:05", "2019-10-13 23:59", "2019-10-08 00:00"]),
            "pickup_location_id": [1, 9, 1],
        },
        index=[4, 2, 0],
    )
    features = names["prepare"](trips, usual)
    assert list(features.columns) == ["trip_distance", *names["ZONES"], "hour", "weekday"]
    assert features["trip_distance"].tolist() == [5.0, 6.0, 1.5]  # the pair's, the median of all, its own
    assert features["hour"].tolist() == [8, 23, 0]
    assert features["weekday"].tolist() == [0, 6, 1]
    assert features.drop(columns="trip_distance").equals(
        names["prepare"](trips.drop(columns="trip_distance"), usual).drop(columns="trip_distance")
    )

    class Trees:
        def predict(self, features):
            return np.array([-3.0, 300.0, 12.345], dtype="float32")

    model = names["TripModel"]()
    model.trees, model.usual_miles = Trees(), usual
    minutes = model.predict(None, trips)
    assert minutes.tolist() == [1.0, 60.0, 12.3]
    assert minutes.index.tolist() == [4, 2, 0]
    with pytest.raises(ValueError, match="without pickup_datetime: 1;"):
        model.predict(None, trips.assign(pickup_datetime=trips["pickup_datetime"].where([True, False, True])))

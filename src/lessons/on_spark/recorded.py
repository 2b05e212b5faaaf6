"""What the job on Spark told: as recorded beside this file, or told anew where Java is (`python -m lessons.on_spark.recorded`)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORD = HERE / "told.json"
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
FILES = 4


def told() -> dict[str, Any]:
    """What was recorded."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def java() -> bool:
    """Whether there is a Java that Spark 4 takes (17 or later)."""
    if (program := shutil.which("java")) is None:
        return False
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    return version is not None and int(version[1]) >= 17


def told_anew() -> dict[str, Any]:
    """Make the environment, train a model, run the job, and return what it told. It needs Java and, once, a network.

    Raises OtherEnvironmentError where the environment can't be made.
    """
    from course import environments  # only here: the lesson, which reads the record, does not depend on it

    python = environments.make("spark")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        prepare(folder)
        subprocess.run(
            [str(python), str(HERE / "job.py"), name],
            check=True,
            capture_output=True,
            text=True,
            env=_plain(),
        )
        return json.loads((folder / "told.json").read_text(encoding="utf-8"))


def prepare(folder: Path) -> None:
    """Write the trips of half a year in four files, and a model that is saved with MLflow."""
    import mlflow
    from xgboost import XGBRegressor

    from course.data import load_trips, months, prepare_trips
    from projects.trip_zones import borough

    trips = prepare_trips(load_trips(months("2019-01", "2019-06")))
    pickup = trips["pickup_datetime"].dt
    trips = trips.assign(
        hour=pickup.hour, weekday=pickup.dayofweek, borough=borough(trips["pickup_location_id"])
    )
    trips[FEATURES] = trips[FEATURES].astype(float)
    trips = trips.assign(trip_id=range(len(trips)))[["trip_id", "borough", *FEATURES, "duration"]]
    model = XGBRegressor(n_estimators=100, max_depth=5, learning_rate=0.1, n_jobs=1)
    model.fit(trips[FEATURES], trips["duration"])
    trips["expected"] = model.predict(trips[FEATURES]).astype(float)
    (folder / "trips").mkdir()
    for number in range(FILES):
        trips[number::FILES].to_parquet(folder / "trips" / f"part-{number}.parquet", index=False)
    mlflow.xgboost.save_model(model, folder / "model", input_example=trips[FEATURES][:2])


def _plain() -> dict[str, str]:
    """This process's variables without those that lead Python or Spark elsewhere."""
    return {k: v for k, v in os.environ.items() if not re.match("PYTHON|SPARK|PYSPARK|MLFLOW|COVERAGE", k)}


if __name__ == "__main__":
    RECORD.write_text(json.dumps(told_anew(), indent=1) + "\n", encoding="utf-8")

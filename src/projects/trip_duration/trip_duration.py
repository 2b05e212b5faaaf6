"""How long will a taxi trip take? Train a model, or evaluate one: `python trip_duration.py train --help`.

The script stands on its own: it needs what requirements.txt names, and no other module. Under `mlflow run` it
joins the run that MLflow has made; started by hand it makes one. Each run records its data by content, the
SHA-256 of the file, its code, its settings and the environment that it really had.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before MLflow is imported

import mlflow
import numpy as np
import pandas as pd
from mlflow.data.sources import LocalArtifactDatasetSource
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from packaging.requirements import Requirement
from xgboost import XGBRegressor

HERE = Path(__file__).resolve().parent
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
MIN_MINUTES, MAX_MINUTES = 1, 60  # the trips that the model is for
XGBOOST = "xgboost" if sys.platform == "darwin" else "xgboost-cpu"  # without GPU libraries
# Year, month, day and clock; an offset is left out
CLOCK = r"^\s*(\d{4}-\d\d?-\d\d?[T ]\d\d?:\d\d(?::\d\d(?:\.\d+)?)?)\s*(?:Z|[+-]\d\d(?::?\d\d)?)?\s*$"
OBJECTIVES = ["reg:squarederror", "reg:absoluteerror"]


def read_trips(path: Path) -> pd.DataFrame:
    """Trips of 1 to 60 minutes from a Parquet or CSV file: the features as floats, and `duration` in minutes.

    Raises SystemExit with one line when the file can't be read or lacks a column, when a value is no number
    or no date with the year first, and when no trip is left. A clock's offset is dropped: it is local time.
    """
    clocks = ["pickup_datetime", "dropoff_datetime"]
    wanted = [*FEATURES[:3], *clocks]
    trips = read_table(path, wanted)
    if missing := [column for column in wanted if column not in trips]:
        raise SystemExit(f"{path.name} has no column {', '.join(missing)}; name it so")
    pickup, dropoff = (as_clock(trips[name], path) for name in clocks)
    duration = (dropoff - pickup).dt.total_seconds() / 60
    features = {name: as_numbers(trips[name], path) for name in FEATURES[:3]}
    moments = {"hour": pickup.dt.hour, "weekday": pickup.dt.dayofweek, "duration": duration}
    kept = pd.DataFrame(features | moments)[duration.between(MIN_MINUTES, MAX_MINUTES)]
    if kept.empty:
        limits = f"{MIN_MINUTES} to {MAX_MINUTES} minutes"
        raise SystemExit(f"{path.name}: none of its {len(trips):,} trips takes {limits}; give another file")
    return kept.astype(float).reset_index(drop=True)


def read_table(path: Path, wanted: list[str]) -> pd.DataFrame:
    """The columns of a file as they are written: those of a CSV are text."""
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise SystemExit(f"{path.name}: not a .parquet or .csv file; convert it")
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        names = pd.read_csv(path, nrows=0).columns
        table = pd.read_csv(path, dtype=str, usecols=[name for name in wanted if name in names])
        fields = pd.read_csv(path, nrows=1, header=None, skiprows=1, dtype=str)
    except (OSError, ValueError, NotImplementedError) as error:
        why = (str(error).splitlines() or ["no reason given"])[0][:100]
        raise SystemExit(f"{path.name} is not a readable {suffix} file ({why}); export it again") from None
    if fields.shape[1] > len(names):
        how = "export it without its index"
        raise SystemExit(f"{path.name}: {fields.shape[1]} fields in a row for {len(names)} names; {how}")
    return table


def as_clock(column: pd.Series, path: Path) -> pd.Series:
    """Dates without a zone, NaT where the file has none."""
    if column.dtype.kind == "M":
        return column.dt.tz_localize(None)
    parts = column.astype(str).str.extract(CLOCK, expand=False)
    dates = pd.to_datetime(parts, format="ISO8601", errors="coerce")
    refuse(column, dates, path, "a date like 2019-01-31 08:00:00")
    return dates


def as_numbers(column: pd.Series, path: Path) -> pd.Series:
    """Finite numbers, NaN where the file has none."""
    values = (
        column.astype(str) if column.dtype.kind in "bmM" else column
    )  # True, a date or a duration is none
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    finite = numbers.where(np.isfinite(numbers))
    refuse(column, finite, path, "a number like 1234.5")
    return finite


def refuse(column: pd.Series, read: pd.Series, path: Path, form: str) -> None:
    """Stop when the file has a value that could not be read; row 0 is the first below the names."""
    wrong = np.flatnonzero(read.isna() & column.notna())
    if len(wrong):
        value = column.iloc[wrong[0]]
        where = f"{len(wrong):,} row{'s' * (len(wrong) > 1)} (the first: {wrong[0]}, {value!r:.40})"
        raise SystemExit(f"{path.name}: {column.name} is not {form} in {where}; correct it")


def sha256(path: Path) -> str:
    """Fingerprint of all bytes of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def log_data(path: Path, trips: pd.DataFrame, context: str) -> None:
    """Record the file as an input of the run.

    The digest is the start of the file's SHA-256, as MLflow keeps up to 36 characters; a tag has all 64.
    """
    fingerprint = sha256(path)
    mlflow.set_tag(f"data.{context}.sha256", fingerprint)
    dataset = mlflow.data.from_pandas(
        trips,
        source=LocalArtifactDatasetSource(path.resolve().as_uri()),
        name=path.name,
        targets="duration",
        digest=fingerprint[:32],
    )
    mlflow.log_input(dataset, context=context)


def code_state() -> str:
    """Whether the commit says all: "committed", "changed since the commit", or "no git" (a ZIP, an image)."""
    git = ["git", "--no-optional-locks", "-C", str(HERE)]
    try:
        tracked = subprocess.run([*git, "ls-files"], capture_output=True, text=True, check=True)
        status = subprocess.run(
            [*git, "status", "--porcelain", "."], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "no git"
    if not tracked.stdout.strip():  # a copy in an ignored folder of somebody else's repository
        return "no git"
    return "changed since the commit" if status.stdout.strip() else "committed"


def log_code() -> None:
    """Record the script itself, its fingerprint, and whether git knows it like this."""
    script = Path(__file__).resolve()
    mlflow.set_tags({"code.state": code_state(), "code.sha256": sha256(script)})
    mlflow.log_artifact(str(script), "code")


def differences() -> list[str]:
    """What requirements.txt wants and this environment has not, one text for each package."""
    found = []
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        text = line.split("#")[0].strip()
        if not text:
            continue
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            if not wanted.specifier.contains(version(wanted.name), prereleases=True):
                found.append(f"{wanted.name} {version(wanted.name)}, not {wanted.specifier}")
        except PackageNotFoundError:
            found.append(f"{wanted.name} is not installed")
    return found


def log_environment() -> None:
    """Record Python, platform and every installed package, and how far they are from requirements.txt."""
    installed = {one.name.lower().replace("_", "-"): one.version for one in distributions() if one.name}
    packages = [f"{name}=={number}" for name, number in sorted(installed.items())]
    differs = differences()
    mlflow.set_tags(
        {
            "env.python": platform.python_version(),
            "env.platform": f"{sys.platform} {platform.machine()}",
            "env.sha256": hashlib.sha256("\n".join(packages).encode()).hexdigest(),
            "env.differs": str(len(differs)),
        }
    )
    mlflow.log_text("\n".join(packages) + "\n", "environment/packages.txt")
    mlflow.log_dict({"from requirements.txt": differs}, "environment/differences.json")


def log_settings(settings: dict[str, object]) -> None:
    """Record what is missing: `mlflow run` has logged its parameters, and a second value is refused."""
    known = mlflow.get_run(mlflow.active_run().info.run_id).data.params
    mlflow.log_params({name: value for name, value in settings.items() if name not in known})


def errors(trips: pd.DataFrame, minutes: np.ndarray) -> dict[str, float]:
    """RMSE, MAE and bias of predictions, in minutes; SystemExit when they are not one number a trip."""
    predicted = pd.to_numeric(np.asarray(minutes).ravel(), errors="coerce")
    if predicted.size != len(trips) or not np.isfinite(predicted).all():
        raise SystemExit(
            f"the model gave no {len(trips):,} numbers for {len(trips):,} trips; give another model"
        )
    off = predicted - trips["duration"].to_numpy()
    return {
        "rmse": float(np.sqrt((off**2).mean())),
        "mae": float(np.abs(off).mean()),
        "bias": float(off.mean()),
    }


def train(asked: argparse.Namespace) -> dict[str, float]:
    """Train on one file, measure on another, log the model; returns the errors."""
    settings = {
        "learning_rate": asked.learning_rate,
        "max_depth": asked.max_depth,
        "n_estimators": asked.n_estimators,
        "objective": asked.objective,
    }
    learn, test = read_trips(asked.train), read_trips(asked.test)
    with mlflow.start_run():  # joins the run of `mlflow run`, by MLFLOW_RUN_ID
        log_settings({"train": asked.train, "test": asked.test, **settings})
        log_settings({"features": ", ".join(FEATURES), "seed": 0, "threads": 1})
        log_code()
        log_environment()
        log_data(asked.train, learn, "training")
        log_data(asked.test, test, "test")
        model = XGBRegressor(**settings, random_state=0, n_jobs=1)
        model.fit(learn[FEATURES], learn["duration"])
        minutes = model.predict(test[FEATURES])
        mlflow.log_metrics(errors(test, minutes))
        mlflow.xgboost.log_model(
            model,
            name="model",
            signature=infer_signature(learn[FEATURES], minutes),
            pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "pandas", XGBOOST)],
        )
    return errors(test, minutes)


def evaluate(asked: argparse.Namespace) -> dict[str, float]:
    """Measure a logged model on a file; returns the errors."""
    trips = read_trips(asked.data)
    with mlflow.start_run():
        log_settings({"model": asked.model, "data": asked.data})
        log_code()
        log_environment()
        log_data(asked.data, trips, "evaluation")
        try:
            minutes = mlflow.pyfunc.load_model(asked.model).predict(trips[FEATURES])
        except MlflowException as error:
            raise SystemExit(f"{asked.model}: {str(error).splitlines()[0]}") from None
        found = errors(trips, minutes)
        mlflow.log_metrics(found)
    return found


def existing_file(text: str) -> Path:
    """A path to a file, for argparse."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return path


def between(low: float, high: float, number: type = float) -> Callable[[str], float]:
    """An argparse type: a number from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = number(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no {number.__name__}") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value

    return parse


def arguments() -> argparse.ArgumentParser:
    """The command line. Abbreviations are off: else `--max-dep` would be taken for `--max-depth`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train", help="train a model and log it", allow_abbrev=False)
    one.set_defaults(act=train)
    one.add_argument("--train", type=existing_file, required=True, help="trips to learn from, Parquet or CSV")
    one.add_argument("--test", type=existing_file, required=True, help="trips to measure on")
    one.add_argument("--learning-rate", type=between(0, 1), default=0.1)
    one.add_argument("--max-depth", type=between(1, 20, int), default=6)
    one.add_argument("--n-estimators", type=between(1, 5000, int), default=100)
    one.add_argument("--objective", choices=OBJECTIVES, default=OBJECTIVES[0])
    one = commands.add_parser("evaluate", help="measure a logged model", allow_abbrev=False)
    one.set_defaults(act=evaluate)
    one.add_argument("--model", required=True, help="a model URI, such as models:/trips/3")
    one.add_argument("--data", type=existing_file, required=True)
    return parser


def refuse_relative_store() -> None:
    """Stop when the store's address would name another file here, where `mlflow run` starts the script.

    MLflow would make an empty store there, and then say that the run is not found.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    path = uri.removeprefix("sqlite:///")
    if path != uri and "MLFLOW_RUN_ID" in os.environ and not Path(path).is_absolute():
        raise SystemExit(f"MLFLOW_TRACKING_URI={uri} is relative; give sqlite:/// and the whole path")


def main() -> None:
    """Do what the command line asks for, and print the errors as one JSON line."""
    asked = arguments().parse_args()
    refuse_relative_store()
    print(json.dumps({name: round(value, 4) for name, value in asked.act(asked).items()}))


if __name__ == "__main__":
    main()

"""What lessons 06c and 06d share: a desk with a copy of the project, a share, and `mlflow run`."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities import Run

from course.paths import ROOT
from course.servers import base_environment

SOURCE = ROOT / "src" / "projects" / "trip_duration"
MILE = 1.609344  # kilometres


class Desk:
    """A copy of the project in a git repository of its own, beside a share with two files of trips.

    Args:
        folder: an empty folder of the desk's own, which is made.
        store: the tracking store's address, with its whole path.
        experiment_id: where `run` puts its runs.
        env_manager: what `mlflow run` makes the environment with; "local" takes the packages that are there.
    """

    def __init__(self, folder: Path, store: str, experiment_id: str, env_manager: str = "local") -> None:
        self.project, self.share = folder / "desk" / "trip_duration", folder / "share"
        self.temporary = folder / "temporary"
        self.name, self.experiment_id, self.env_manager = folder.name, experiment_id, env_manager
        for path in (self.share, self.temporary):
            path.mkdir(parents=True)
        shutil.copytree(SOURCE, self.project, ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = base_environment() | {"MLFLOW_TRACKING_URI": store, "GIT_PYTHON_REFRESH": "quiet"}
        # MLflow leaves folders in the temporary one.
        self.environment |= dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(self.temporary))
        for words in (["init"], ["add", "."], ["commit", "--message", "Train and evaluate trip durations"]):
            self.git(*words)

    @property
    def files(self) -> dict[str, str]:
        """The two files of the share, as parameters of the project."""
        return {"train": str(self.share / "trips.parquet"), "test": str(self.share / "test.parquet")}

    def put(self, trips: pd.DataFrame, test_from: str) -> None:
        """Write the share's two files: the trips before `test_from`, and those from it on."""
        is_test = trips["pickup_datetime"] >= test_from
        trips[~is_test].to_parquet(self.share / "trips.parquet")
        trips[is_test].to_parquet(self.share / "test.parquet")

    def git(self, *words: str) -> str:
        """Ask git in the project's copy; nothing where git is not installed."""
        if not shutil.which("git"):
            return ""
        who = ["-c", "user.name=Ana", "-c", "user.email=ana@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(self.project), *who, *words]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    def restore(self) -> None:
        """Take back what was changed in the project since its commit."""
        self.git("checkout", "--", ".")
        shutil.copy2(SOURCE / "trip_duration.py", self.project)  # the same, where git is not installed

    def newest(self) -> Run:
        """Return the run that was started last."""
        order = ["attributes.start_time DESC"]
        found = mlflow.search_runs([self.experiment_id], order_by=order, max_results=1, output_format="list")
        return found[0]

    def command(self, project: Path | str, entry_point: str, **parameters: object) -> list[str]:
        """Return `mlflow run project --entry-point … --param-list name=value …` as a list of words."""
        words = ["mlflow", "run", str(project), "--entry-point", entry_point]
        words += ["--env-manager", self.env_manager, "--experiment-id", self.experiment_id]
        for name, value in parameters.items():
            words += ["--param-list", f"{name}={value}"]
        return words

    def run(self, project: Path | str | None = None, entry_point: str = "main", **parameters: object) -> Run:
        """Run the project, or another one, and return the finished run; RuntimeError with MLflow's words."""
        words = self.command(project or self.project, entry_point, **parameters)
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        if done.returncode:
            raise RuntimeError(done.stderr[-500:])
        return self.newest()


def open_desk(files: Path, title: str, env_manager: str = "local") -> Desk:
    """Make a new desk in the folder `files`, with a store and an experiment `title` of its own there.

    The store is given with its whole path: `mlflow run` starts the script in another folder.
    """
    files = files.resolve()
    files.mkdir(exist_ok=True)
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
    os.environ |= quiet | {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    store = f"sqlite:///{(files / 'mlflow.db').as_posix()}"
    mlflow.set_tracking_uri(store)
    now = datetime.now().strftime("%Y%m%d-%H%M%S-%f")  # a new desk each time a notebook runs
    artifacts = (files / "artifacts").as_uri()
    experiment_id = mlflow.create_experiment(f"{title} · {now}", artifact_location=artifacts)
    return Desk(files / now, store, experiment_id, env_manager)


def in_kilometres(trips: pd.DataFrame, since: str, until: str) -> pd.DataFrame:
    """The trips as a new exporter writes them: kilometres for miles from `since` on, before `until`."""
    late = (trips["pickup_datetime"] >= since) & (trips["pickup_datetime"] < until)
    return trips.assign(trip_distance=trips["trip_distance"].where(~late, trips["trip_distance"] * MILE))


def trained_on(run: Run) -> mlflow.entities.Dataset:
    """The data that a run trained on: the input with the context `training`."""
    return {used.tags[0].value: used.dataset for used in run.inputs.dataset_inputs}["training"]

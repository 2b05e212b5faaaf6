"""A release in the registry: the version's tag `digest` says which model it is, its run names the rows."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from datetime import datetime
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow.data.sources import LocalArtifactDatasetSource
from mlflow.models import infer_signature

from projects.release_gate.release import Release, pinned

logging.getLogger("mlflow").setLevel(logging.WARNING)  # progress notes carry clock times


def use_store(folder: Path) -> str:
    """Point MLflow at an SQLite store in `folder`, and return its address."""
    folder.mkdir(parents=True, exist_ok=True)
    store = f"sqlite:///{(folder / 'mlflow.db').resolve().as_posix()}"
    mlflow.set_tracking_uri(store)
    name = "releases"
    if mlflow.get_experiment_by_name(name) is None:
        mlflow.create_experiment(name, artifact_location=(folder / "artifacts").resolve().as_uri())
    mlflow.set_experiment(name)
    return store


def register(name: str, release: Release) -> str:
    """Log the model with its rows' digest and register it; return its version."""
    rows, record = release.rows, release.record
    some = rows.head(5)
    features = release.code.features(some)
    table = features.assign(duration=some["duration"])
    source = LocalArtifactDatasetSource(str(release.folder))
    data = mlflow.data.from_pandas(table, source=source, name="trips", digest=record["rows"])
    with mlflow.start_run(run_name=release.folder.name):
        mlflow.log_input(data, "training")
        info = mlflow.xgboost.log_model(
            release.model,
            name="model",
            signature=infer_signature(features, release.model.predict(features)),
            pip_requirements=pinned(*release.packages).split(),
        )
    with contextlib.redirect_stderr(io.StringIO()):  # MLflow reports success there
        return str(mlflow.register_model(info.model_uri, name, tags={"digest": release.digest}).version)


def set_aside(name: str) -> None:
    """Rename what an earlier run has registered under this name, so that its versions keep their numbers."""
    client = mlflow.MlflowClient()
    for found in client.search_registered_models(f"name = '{name}'"):
        until = datetime.now().strftime("%Y-%m-%d %H.%M.%S.%f")
        client.rename_registered_model(found.name, f"{name}, until {until}")

"""The workspace's runs and models: an MLflow server behind it, asked by MLflow's own client."""

from __future__ import annotations

from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from projects.platforms.azure_ml.access import Refused


class Tracking:
    """Runs of jobs and registered models in the MLflow server at `upstream`."""

    def __init__(self, upstream: str) -> None:
        mlflow.set_tracking_uri(upstream)
        self.upstream, self.client = upstream, mlflow.MlflowClient(upstream)

    def new_run(self, experiment: str, name: str, parent: str = "") -> str:
        """Start the run of a job, a trial under its parent; return its id."""
        found = self.client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else self.client.create_experiment(experiment)
        tags = {"mlflow.parentRunId": parent} if parent else {}
        return self.client.create_run(number, run_name=name, tags=tags).info.run_id

    def finish(self, run_id: str, good: bool) -> None:
        """End a run as the job's program ended."""
        self.client.set_terminated(run_id, "FINISHED" if good else "FAILED")

    def metric(self, run_id: str, name: str) -> float | None:
        """Return the last value of a run's metric, None when it was never logged."""
        return self.client.get_run(run_id).data.metrics.get(name)

    def register(self, name: str, version: str, run_id: str, path: str, tags: dict[str, str]) -> None:
        """Register what a job's run logged under `path` as a version. Raises Refused."""
        held = [int(one.version) for one in self.client.search_model_versions(f"name='{name}'")]
        if int(version) != max(held, default=0) + 1:
            said = f"Version {version} of {name} can't be made: the next one is {max(held, default=0) + 1}."
            raise Refused(409, "UserError", said)
        try:
            mlflow.register_model(f"runs:/{run_id}/{path}", name, tags=tags or None)
        except MlflowException as error:
            raise Refused(400, "UserError", str(error)) from error

    def model(self, name: str, version: str) -> dict[str, Any]:
        """Return a registered version in Azure's shape. Raises Refused (404)."""
        try:
            found = self.client.get_model_version(name, version)
        except MlflowException as error:
            raise Refused(
                404, "ModelNotFound", f"Model container with name: {name}, version: {version} not found."
            ) from error
        flavors = {"python_function": {"data": {}}}
        uri = f"azureml://jobs/{found.run_id}/outputs/artifacts/paths/model"
        about = {"modelType": "mlflow_model", "modelUri": uri, "flavors": flavors, "tags": found.tags}
        return about | {"description": found.description or "", "isArchived": False}

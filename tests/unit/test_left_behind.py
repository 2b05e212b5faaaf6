"""A test's addresses of MLflow end with it: the next one in the process starts as if it were alone."""

import os

import mlflow
from left_behind import mlflow_as_it_was
from mlflow.tracking import fluent


def test_a_tests_addresses_end_with_it(tmp_path):
    first, other = (f"sqlite:///{(tmp_path / name).as_posix()}" for name in ("first.db", "other.db"))
    with mlflow_as_it_was():
        mlflow.set_tracking_uri(first)
        with mlflow_as_it_was():
            mlflow.set_tracking_uri(other)
            mlflow.set_registry_uri(other)
            mlflow.set_experiment("elsewhere")
        assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == (first, first)
        assert fluent._active_experiment_id is None
        mlflow.set_tracking_uri(other)
        assert mlflow.get_registry_uri() == other  # the registry follows: nothing was left set
    assert "MLFLOW_REGISTRY_URI" not in os.environ

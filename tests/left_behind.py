"""What a test leaves in its process, and the next one would find."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID")
GLOBALS = {
    "mlflow.tracking._tracking_service.utils": "_tracking_uri",
    "mlflow.tracking._model_registry.utils": "_registry_uri",
    "mlflow.tracking.fluent": "_active_experiment_id",
}


@contextmanager
def mlflow_as_it_was() -> Iterator[None]:
    """Give MLflow its addresses back as they were.

    `get_registry_uri` can't: it names a default as if it were set.
    """
    variables = {name: os.environ.get(name) for name in VARIABLES}
    before = {module: _value(module) for module in GLOBALS}
    try:
        yield
    finally:
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for module, name in GLOBALS.items():
            if loaded := sys.modules.get(module):
                assert hasattr(loaded, name), f"{module} has no {name} any more: what does MLflow keep it in?"
                setattr(loaded, name, before[module])


def _value(module: str) -> object:
    """Return what a module of MLflow holds, None where it is not imported yet."""
    return getattr(sys.modules.get(module), GLOBALS[module], None)

"""Serve an MLflow model over MLflow's own protocol, many times faster than `mlflow models serve`.

app answers requests · rows reads them · predictor finds the model's fastest form that answers as its pyfunc
does, held against it by checked · coded and forests are two such forms · meter counts for /metrics · command
is the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from walkforward.serving.app import COUNTS, App, PortError, serve
    from walkforward.serving.predictor import Predictor, ServeError, compiled
    from walkforward.serving.rows import plain_rows

__all__ = ["COUNTS", "App", "PortError", "Predictor", "ServeError", "compiled", "plain_rows", "serve"]


def __getattr__(name: str) -> object:
    """Import with the first use: MLflow takes seconds, and the command's help needs none of it."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for module in ("predictor", "rows", "app"):
        found = vars(import_module(f"{__name__}.{module}"))
        if name in found:
            return found[name]
    raise AssertionError(name)

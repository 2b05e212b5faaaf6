"""Serve an MLflow model over MLflow's own protocol, many times faster than `mlflow models serve`.

server starts the workers · app answers requests · rows reads them · predictor finds the model's fastest form
that answers as its pyfunc does, which check proves · encodings and forests are two such forms · meter counts
for /metrics · command is the command line. Needs the extra: `pip install "walkforward[serve]"`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from walkforward.errors import needs_extra

if TYPE_CHECKING:
    from walkforward.serving.app import App
    from walkforward.serving.meter import COUNTS
    from walkforward.serving.predictor import Predictor, ServeError, compiled
    from walkforward.serving.rows import plain_rows
    from walkforward.serving.server import PortError, serve

__all__ = ["COUNTS", "App", "PortError", "Predictor", "ServeError", "compiled", "plain_rows", "serve"]
MODULES = {"App": "app", "COUNTS": "meter", "PortError": "server", "plain_rows": "rows", "serve": "server"}


def __getattr__(name: str) -> object:
    """Import with the first use: MLflow takes seconds, and the command's help needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needs_extra("serve", __name__):
        return getattr(import_module(f"{__name__}.{MODULES.get(name, 'predictor')}"), name)

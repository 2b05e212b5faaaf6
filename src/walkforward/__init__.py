"""What you take to work from the Walk-Forward course: forecasting, drift, serving, monitoring, load test.

Import each by its own name: `walkforward.forecasting`, `walkforward.drift`, `walkforward.serving`,
`walkforward.monitoring`, `walkforward.loadtest`, `walkforward.plots`. Every error is a `WalkForwardError`.
"""

from walkforward import moved

__version__ = "0.1.0"

moved.install()


def __getattr__(name: str) -> object:
    """The checkout's folder, which was `walkforward.ROOT`."""
    if name == "ROOT":
        return moved.moved("walkforward.paths").ROOT
    raise AttributeError(f"module 'walkforward' has no attribute {name!r}")

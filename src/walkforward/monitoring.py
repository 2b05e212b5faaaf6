"""What a model in production leaves behind: a log of predictions, and a trend of drift in MLflow."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from walkforward import log_values
from walkforward.log_values import MonitoringError, shown
from walkforward.moved import moved
from walkforward.prediction_log import _LOG, PATIENCE, Joined, PredictionLog

__all__ = ["PATIENCE", "_LOG", "Joined", "MonitoringError", "PredictionLog", "drift_metric", "log_drift"]


def __getattr__(name: str) -> object:
    """`Monitor`, which was here: prometheus_client's Counter, Histogram and Gauge say it plainly."""
    if name == "Monitor":
        return moved("walkforward.monitor").Monitor
    raise AttributeError(f"module 'walkforward.monitoring' has no attribute {name!r}")


def drift_table(report: pd.DataFrame) -> pd.DataFrame:
    """Columns effect, p_corrected and detected (1 or 0) of a report, a row a column."""
    if not isinstance(report, pd.DataFrame) or not report.columns.is_unique:
        raise MonitoringError(f"{shown(report)} is no report: pass what drift_report returns")
    if lacking := sorted({"column", "effect", "p_corrected", "drift"} - set(report)):
        raise MonitoringError(f"the report has no {', '.join(lacking)}: pass what drift_report returns")
    rows = report[["effect", "p_corrected", "drift"]].rename(columns={"drift": "detected"})
    rows.index = pd.Index([label_of(name) for name in report["column"]], dtype=object)
    if not rows.index.is_unique:
        raise MonitoringError("a column stands twice in the report: pass that of one period")
    for name, cells in rows.items():
        rows[name] = log_values.column(str(name), cells, len(rows), log_values.number)
    return rows.astype(float)


def label_of(name: Any) -> str:
    """A name as UTF-8 can write it: one that can't be would take the whole page with it."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def drift_metric(kind: str, column: str) -> str:
    """Return the name under which `log_drift` logs a column; MLflow refuses odd characters.

    Args:
        kind (str): effect, p_corrected or detected.
        column (Any): the column's name; one with odd characters gets a digest that tells it from others.

    Returns:
        The name of the metric, as MLflow takes it.

    Raises:
        MonitoringError: The kind is none of the three.

    >>> drift_metric("effect", "fare_amount")
    'drift_effect/fare_amount'
    """
    if not isinstance(kind, str) or kind not in ("effect", "p_corrected", "detected"):
        raise MonitoringError(f"kind is {shown(kind)}: give effect, p_corrected or detected")
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", str(column))[:200] or "_"
    digest = hashlib.sha256(str(column).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"drift_{kind}/{plain}" + ("" if plain == str(column) else f"_{digest}")


def log_drift(
    report: pd.DataFrame, *, step: int = 0, run_id: str | None = None, experiment: str | None = None
) -> str:
    """Log a drift report to MLflow as metrics at one step, a `drift_history` at one step a period.

    Metrics: `drift_metric(kind, column)` for effect, p_corrected and detected, and `drift_columns`, how many
    drift.

    Args:
        report (pd.DataFrame): what `drift_report` or `drift_history` returned.
        step (int): step of the report, or of the first period; default 0.
        run_id (str | None): the run to log to; default: the active run, else a new one.
        experiment (str | None): name of the experiment of a new run; default: the active one.

    Returns:
        The run's id.

    Raises:
        MonitoringError: The report or an argument is none, or MLflow refuses it.

    >>> log_drift(pd.DataFrame({"column": ["fare"]}))
    Traceback (most recent call last):
    walkforward.log_values.MonitoringError: the report has no drift, effect, p_corrected: pass what ...
    """
    import mlflow
    from mlflow.entities import Metric as Point

    if isinstance(step, bool) or not isinstance(step, Integral):
        raise MonitoringError(f"step is {shown(step)}: give a whole number")
    for name, given in (("run_id", run_id), ("experiment", experiment)):
        if not isinstance(given, str | None):
            raise MonitoringError(f"{name} is {shown(given)}: give a text, or leave it out")
    periods = _periods(report)
    now, points = int(time.time() * 1_000), []
    for at, rows in enumerate(periods, step):
        table = drift_table(rows)
        points.append(Point("drift_columns", float(table["detected"].sum()), now, at))
        for (column, kind), value in table[np.isfinite(table)].stack().dropna().items():
            points.append(Point(drift_metric(kind, column), value, now, at))
    with _told(), contextlib.ExitStack() as stack:
        client = mlflow.MlflowClient()
        if run_id is None and (run := mlflow.active_run()) is None:
            if experiment is not None:
                found = client.get_experiment_by_name(experiment)
                experiment = found.experiment_id if found else client.create_experiment(experiment)
            run = stack.enter_context(mlflow.start_run(experiment_id=experiment, run_name="drift"))
        run_id = run_id or run.info.run_id
        for start in range(0, len(points), 1_000):  # what one call may carry
            client.log_batch(run_id, points[start : start + 1_000])
    return run_id


def _periods(report: pd.DataFrame) -> list[pd.DataFrame]:
    drift_table(report[:0] if isinstance(report, pd.DataFrame) else report)
    if "period" not in report:
        return [report]
    if report["period"].isna().any():
        raise MonitoringError("a row of the report has no period: drop it, or name its period")
    return [rows for _, rows in report.groupby("period", sort=False, observed=True)]


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Make what MLflow refuses an error of ours."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        why = " ".join(str(error).split())
        raise MonitoringError(
            f"the drift can't be logged: {why}; check the run, or the tracking URI"
        ) from error

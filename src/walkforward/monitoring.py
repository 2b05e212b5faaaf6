"""What a model in production leaves behind: a log of predictions, a page of metrics, a trend of drift."""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
import time
import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from walkforward import log_values
from walkforward.errors import needs_extra
from walkforward.log_values import MonitoringError, shown
from walkforward.prediction_log import _LOG, PATIENCE, Joined, PredictionLog

with needs_extra("monitoring", "walkforward.monitoring"):
    import prometheus_client as prometheus
    import psutil
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

INSTEAD = "Monitor is deprecated: use prometheus_client's Counter, Histogram and Gauge, as lesson 11a does."
__all__ = ["PATIENCE", "_LOG", "Joined", "Monitor", "MonitoringError", "PredictionLog"]
__all__ += ["drift_metric", "log_drift"]


class Monitor:
    """The page that Prometheus reads: requests by outcome, rows, latency, CPU, memory, drift by column.

    Deprecated: prometheus_client's own Counter, Histogram and Gauge say the same, as lesson 11a does.

    Args:
        registry (prometheus_client.CollectorRegistry | None): where the metrics stand; default: a new one.

    Raises:
        MonitoringError: The registry has a Monitor already.

    >>> import warnings
    >>> with warnings.catch_warnings(action="ignore"):
    ...     monitor = Monitor()
    >>> monitor.observe(0.02, rows=3)
    >>> b"walkforward_rows_total 3.0" in monitor.page()
    True
    """

    def __init__(self, registry: prometheus.CollectorRegistry | None = None) -> None:
        warnings.warn(INSTEAD, DeprecationWarning, stacklevel=2)
        self.registry = prometheus.CollectorRegistry() if registry is None else registry
        page = {"namespace": "walkforward", "registry": self.registry}
        try:
            self._requests = prometheus.Counter("requests", "Requests by outcome", ["outcome"], **page)
        except ValueError:
            raise MonitoringError("the registry has a Monitor already: give each a registry") from None
        self._rows = prometheus.Counter("rows", "Rows predicted", **page)
        self._latency = prometheus.Histogram("latency_seconds", "From request to answer", **page)
        self._process, self._drift = psutil.Process(), pd.DataFrame()
        self.registry.register(self)

    def observe(self, seconds: float, rows: int = 1, outcome: str = "ok") -> None:
        """Count one request: how long it took, how many rows it had, and how it ended."""
        took, count = _amount("seconds", seconds), _amount("rows", rows)
        self._latency.observe(took)
        self._rows.inc(count)
        self._requests.labels(_label(outcome)).inc()

    def set_drift(self, report: pd.DataFrame) -> None:
        """Show this drift report in place of the one before; columns that it does not have disappear."""
        self._drift = _drift_of(report)

    def collect(self) -> Iterator[Metric]:
        """What is asked for when the page is made; called by the registry."""
        used = self._process.cpu_times()
        yield CounterMetricFamily("walkforward_cpu_seconds", "CPU time used", used.user + used.system)
        memory = self._process.memory_info().rss
        yield GaugeMetricFamily("walkforward_memory_bytes", "Memory in use", memory)
        for kind, values in self._drift.items():
            family = GaugeMetricFamily(f"walkforward_drift_{kind}", "Of the last report", labels=["column"])
            for column, value in values.dropna().items():
                family.add_metric([column], value)
            yield family

    def page(self) -> bytes:
        """The page as it is now, in Prometheus' text format."""
        return prometheus.generate_latest(self.registry)

    @contextlib.contextmanager
    def serve(self, port: int = 0) -> Iterator[str]:
        """Serve the page on 127.0.0.1 (port 0: a free one) while the block runs; yields its URL."""
        try:
            server, thread = prometheus.start_http_server(port, "127.0.0.1", self.registry)
        except (OSError, OverflowError, TypeError) as error:
            words = f"port {shown(port)} can't be had ({error}): leave it out for a free one"
            raise MonitoringError(words) from None
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _drift_of(report: pd.DataFrame) -> pd.DataFrame:
    """Columns effect, p_corrected and detected (1 or 0) of a report, a row a column."""
    if not isinstance(report, pd.DataFrame) or not report.columns.is_unique:
        raise MonitoringError(f"{shown(report)} is no report: pass what drift_report returns")
    if lacking := sorted({"column", "effect", "p_corrected", "drift"} - set(report)):
        raise MonitoringError(f"the report has no {', '.join(lacking)}: pass what drift_report returns")
    rows = report[["effect", "p_corrected", "drift"]].rename(columns={"drift": "detected"})
    rows.index = pd.Index([_label(name) for name in report["column"]], dtype=object)
    if not rows.index.is_unique:
        raise MonitoringError("a column stands twice in the report: pass that of one period")
    for name, cells in rows.items():
        rows[name] = log_values.column(str(name), cells, len(rows), log_values.number)
    return rows.astype(float)


def _amount(name: str, given: Any) -> float:
    amount = log_values.column(name, given, 1, log_values.number)[0]
    if amount is None or not 0 <= amount < math.inf:
        raise MonitoringError(f"{name} is {shown(given)}: give a number, 0 or more")
    return amount


def _label(name: Any) -> str:
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
        table = _drift_of(rows)
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
    _drift_of(report[:0] if isinstance(report, pd.DataFrame) else report)
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

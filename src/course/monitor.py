"""The page of metrics that earlier versions of `walkforward.monitoring` had."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
import prometheus_client as prometheus
import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from walkforward import log_values
from walkforward.log_values import MonitoringError, shown
from walkforward.monitoring import drift_table, label_of


class Monitor:
    """The page that Prometheus reads: requests by outcome, rows, latency, CPU, memory, drift by column.

    Kept for what was written with `walkforward.monitoring.Monitor`; new code takes prometheus_client's own
    Counter, Histogram and Gauge, as lesson 11a does.

    Args:
        registry (prometheus_client.CollectorRegistry | None): where the metrics stand; default: a new one.

    Raises:
        MonitoringError: The registry has a Monitor already.

    >>> monitor = Monitor()
    >>> monitor.observe(0.02, rows=3)
    >>> b"walkforward_rows_total 3.0" in monitor.page()
    True
    """

    def __init__(self, registry: prometheus.CollectorRegistry | None = None) -> None:
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
        self._requests.labels(label_of(outcome)).inc()

    def set_drift(self, report: pd.DataFrame) -> None:
        """Show this drift report in place of the one before; columns that it does not have disappear."""
        self._drift = drift_table(report)

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


def _amount(name: str, given: Any) -> float:
    amount = log_values.column(name, given, 1, log_values.number)[0]
    if amount is None or not 0 <= amount < math.inf:
        raise MonitoringError(f"{name} is {shown(given)}: give a number, 0 or more")
    return amount

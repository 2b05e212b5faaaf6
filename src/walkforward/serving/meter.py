"""Counts and times of a model server's workers, as Prometheus reads them."""

from __future__ import annotations

import math
import mmap
import os
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

PATHS, STATUSES = ("fast", "pyfunc", "none"), (200, 400, 408, 413, 415, 500, 503, 504, 0)
COUNTS = {pair: i for i, pair in enumerate((path, status) for path in PATHS for status in STATUSES)}
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, math.inf)
ROWS, IN_FLIGHT = len(COUNTS), len(COUNTS) + 1
TIMES = {path: IN_FLIGHT + 1 + i * (len(BOUNDS) + 1) for i, path in enumerate(PATHS)}


class Meter:
    """The counts of one worker, in a file in memory: cheap to add to, read by whichever worker is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, path = folder, folder / f"{os.getpid()}.meter"
        path.write_bytes(bytes(8 * (IN_FLIGHT + 1 + len(PATHS) * (len(BOUNDS) + 1))))
        with path.open("r+b") as file:
            self.slots = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")

    def count(self, path: str, status: int, seconds: float, rows: int) -> None:
        """Enter an answer; `path` is what gave it, "none" when it was refused without a look at the body."""
        slots, start = self.slots, TIMES[path]
        slots[COUNTS.get((path, status), COUNTS[path, 0])] += 1
        slots[ROWS] += rows
        slots[start + bisect_left(BOUNDS, seconds)] += 1
        slots[start + len(BOUNDS)] += seconds

    def collect(self) -> Iterator[Any]:
        """Yield the sums over all workers as prometheus_client's metrics."""
        total = sum(np.frombuffer(path.read_bytes()) for path in self.folder.glob("*.meter"))
        what = "Answers of /invocations, by path taken (none: refused) and status."
        requests = CounterMetricFamily("walkforward_requests", what, labels=["path", "status"])
        for (path, status), i in COUNTS.items():
            if total[i]:
                requests.add_metric([path, str(status or "other")], total[i])
        what = "Seconds from the whole body to the answer, by path taken."
        latency = HistogramMetricFamily("walkforward_latency_seconds", what, labels=["path"])
        bounds = [*map(str, BOUNDS[:-1]), "+Inf"]
        for path, start in TIMES.items():
            sums = np.cumsum(total[start : start + len(BOUNDS)])
            latency.add_metric([path], list(zip(bounds, sums, strict=True)), total[start + len(BOUNDS)])
        rejected = total[COUNTS["none", 503]]
        yield from (requests, latency)
        yield CounterMetricFamily("walkforward_rejected", "Requests refused for a full queue.", rejected)
        yield CounterMetricFamily("walkforward_rows", "Rows predicted.", total[ROWS])
        yield GaugeMetricFamily("walkforward_in_flight", "Requests waiting or at work.", total[IN_FLIGHT])

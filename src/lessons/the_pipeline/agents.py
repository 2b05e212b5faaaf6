"""Builds that wait for an executor, and trainings so small that luck decides."""

from __future__ import annotations

import heapq

import numpy as np


def waits(arrivals: np.ndarray, minutes: float, executors: int) -> np.ndarray:
    """Return how long each build waits: first come, first served, each takes `minutes` on one executor."""
    free = [0.0] * executors
    found = []
    for arrival in arrivals:
        start = max(arrival, heapq.heappop(free))
        found.append(start - arrival)
        heapq.heappush(free, start + minutes)
    return np.array(found)


def afternoon(rng: np.random.Generator, per_hour: float, hours: float) -> np.ndarray:
    """Return when builds come, in minutes: one after another, independent, at the same rate all afternoon."""
    return np.sort(rng.uniform(0, 60 * hours, rng.poisson(per_hour * hours)))


def loses_to_the_median(rides: np.ndarray) -> bool:
    """Whether a line through seven of ten rides (miles, duration) has no lower MAE on the others than their median."""
    known, later = np.split(rides, [len(rides) * 7 // 10])
    errors = later[:, 1] - np.polyval(np.polyfit(*known.T, 1), later[:, 0])
    return bool(np.abs(errors).mean() >= np.abs(later[:, 1] - np.median(known[:, 1])).mean())

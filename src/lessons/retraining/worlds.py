"""Made-up worlds in which a retraining policy is judged: what it costs above the best in hindsight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MONTHS, SHOCK = 24, 10
NOISE = {1: 0.15, 3: 0.06, 6: 0.03, 12: 0.0}
"""What a short window costs: minutes of error above a model that has seen enough trips."""


@dataclass(frozen=True)
class World:
    """A year of quiet, then what `kind` says; the model in use was trained before it on three months."""

    state: np.ndarray  # what the labels are like, by the month in which they arrive
    inputs: np.ndarray  # what the inputs are like, by month
    usual: np.ndarray  # the error of a perfect fit, by month

    def error(self, model: tuple[int, int], month: int) -> float:
        """Mean absolute error on the trips of a month: half of its labels arrive in it, half in the next."""
        later = min(month + 1, MONTHS)
        return (self._missed(model, month, month) + self._missed(model, later, month)) / 2

    def seen(self, model: tuple[int, int], now: int) -> float:
        """Mean absolute error on the labels that arrived in the month before `now`."""
        return self._missed(model, now - 1, now - 1)

    def drift(self, model: tuple[int, int], now: int) -> float:
        return float(0.5 + 3 * abs(self.inputs[now - 1] - self._learnt(self.inputs, model)))

    def _missed(self, model: tuple[int, int], arrived: int, month: int) -> float:
        strange = abs(self.state[arrived] - self._learnt(self.state, model))
        return float(self.usual[month] + NOISE[model[1]] + 2 * strange)

    @staticmethod
    def _learnt(values: np.ndarray, model: tuple[int, int]) -> float:
        start, window = model
        return float(np.mean([values[max(0, month)] for month in range(start - window, start)]))


def made_up(kind: str) -> World:
    """One of "quiet", "shock", "harmless drift", "silent shift" and "nothing helps"."""
    months = np.arange(MONTHS + 1)
    after = (months > SHOCK).astype(float)
    usual = 3.2 + 0.3 * np.sin(2 * np.pi * (months - 4) / 12)
    if kind == "nothing helps":
        usual = usual + 1.5 * after
    state = after if kind in ("shock", "silent shift") else np.zeros(MONTHS + 1)
    inputs = after if kind in ("shock", "harmless drift") else np.zeros(MONTHS + 1)
    return World(state, inputs, usual)


def spent(
    world: World, policy: Callable[[float, float, int], int], minute: float, retraining: float
) -> float:
    """What a policy costs in all months: `minute` for each minute of a month's mean error, `retraining` each time."""
    model, total = (0, 3), 0.0
    for now in range(MONTHS):
        if now:
            window = policy(world.seen(model, now), world.drift(model, now), now - model[0])
            if window not in (0, *NOISE):
                raise ValueError(
                    f"the policy returned {window!r}; return 0 to keep the model, or 1, 3, 6 or 12 months"
                )
            if window:
                model, total = (now, int(window)), total + retraining
        total += minute * world.error(model, now)
    return total


def cheapest(world: World, minute: float, retraining: float) -> float:
    """What the best policy in hindsight costs."""
    best = {(0, 3): 0.0}
    for now in range(MONTHS):
        ways: dict[tuple[int, int], float] = {}
        for old, before in best.items():
            for new in (old, *((now, window) for window in NOISE if now)):
                total = before + minute * world.error(new, now) + retraining * (new != old)
                ways[new] = min(total, ways.get(new, np.inf))
        best = ways
    return min(best.values())

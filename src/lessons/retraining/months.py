"""What lesson 12a replays: trips with the month in which each label arrives, the errors of all models, hindsight."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import xgboost as xgb

from course.data import load_trips, months, prepare_trips
from walkforward.drift import drift_report

ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]

Model = tuple[pd.Period, int]
"""A model by what it learns from: the first of the month on which it is trained, and its window in months."""


def sampled_trips(first_month: str, last_month: str, keep_every: int) -> pd.DataFrame:
    """Every `keep_every`-th trip of these months in order of pickup: FEATURES, `duration` and `month`."""
    trips = prepare_trips(load_trips(months(first_month, last_month)))
    trips = trips.sort_values("pickup_datetime", kind="stable")
    pickup = trips["pickup_datetime"]
    trips = trips.assign(hour=pickup.dt.hour, weekday=pickup.dt.dayofweek, month=pickup.dt.to_period("M"))
    inside = trips["month"].between(pd.Period(first_month), pd.Period(last_month))  # some clocks are broken
    trips[FEATURES] = trips[FEATURES].astype(float)
    return trips.loc[inside, ["pickup_datetime", "month", *FEATURES, "duration"]][::keep_every]


def with_arrival(trips: pd.DataFrame, label_days: int) -> pd.DataFrame:
    """The trips with `arrives`, the month in which the label is there: `label_days` after the pickup."""
    arrival = trips["pickup_datetime"] + pd.Timedelta(days=label_days)
    return trips.assign(arrives=arrival.dt.to_period("M"))


def misses(model: xgb.Booster, rows: pd.DataFrame) -> pd.Series:
    """The absolute error of each row, in minutes."""
    return (rows["duration"] - model.predict(xgb.DMatrix(rows[FEATURES]))).abs()


class Months:
    """The error of each model in each month, computed once, and what of it was known on the first of a month."""

    def __init__(self, trips: pd.DataFrame, known: Callable, trained: Callable) -> None:
        self.trips, self.known, self.trained = trips, known, trained
        self.first = trips["month"].min()
        self.boosters: dict[Model, xgb.Booster] = {}
        self.errors: dict[Model, tuple[dict, dict]] = {}
        self.drifts: dict[tuple[Model, pd.Period], float] = {}

    def model(self, start: pd.Period, window: int) -> Model:
        """The model's name; a window that reaches back too far ends where the trips begin."""
        return start, min(int(window), (start - self.first).n)

    def fit(self, models: Iterable[Model]) -> None:
        """Train these models, two at a time."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._of, dict.fromkeys(self.model(*one) for one in models)))

    def live(self, model: Model, month: pd.Period) -> float:
        """Mean absolute error on the trips of `month`."""
        return self._of(model)[0][month]

    def seen(self, model: Model, now: pd.Period) -> float:
        """Mean absolute error on the labels that arrived in the month before the first of `now`."""
        return self._of(model)[1][now - 1]

    def drift(self, model: Model, now: pd.Period, rows: int = 4_000) -> float:
        """Largest sure effect, in thresholds, of the last month's inputs against the model's training rows."""
        if (model, now) not in self.drifts:
            self._of(model)
            sides = self.known(self.trips, *model), self.trips[self.trips["month"] == now - 1]
            sides = [side.sample(min(rows, len(side)), random_state=0)[FEATURES] for side in sides]
            answers = [self.boosters[model].predict(xgb.DMatrix(side)).astype(float) for side in sides]
            sides = [side[FEATURES[:4]].assign(yhat=yhat) for side, yhat in zip(sides, answers, strict=True)]
            report = drift_report(*sides, categorical=ZONES)
            effect = report["effect"] / report["threshold"]
            self.drifts[model, now] = float(effect.where(report["p_corrected"] < 0.05, 0).max())
        return self.drifts[model, now]

    def _of(self, model: Model) -> tuple[dict, dict]:
        if model not in self.errors:
            self.boosters[model] = self.trained(self.known(self.trips, *model))
            rows = self.trips[self.trips["arrives"] >= model[0]]
            missed = misses(self.boosters[model], rows)
            live, seen = (missed.groupby(rows[name]).mean().to_dict() for name in ("month", "arrives"))
            self.errors[model] = live, seen
        return self.errors[model]


def label_months(model: Model) -> set[pd.Period]:
    """The months whose labels the model is trained on."""
    start, window = model
    return {start - back for back in range(1, window + 1)}


def hindsight(
    world: Months,
    model: Model,
    live_months: Iterable[pd.Period],
    windows: Iterable[int],
    price: Callable[[float, int, bool], float],
) -> tuple[float, list[Model]]:
    """The cheapest sum of monthly prices and the retrainings that reach it, by dynamic programming.

    `price` takes a month's error, the number of months whose labels are bought, and whether a model is released.
    The cost of a month depends on the model in use and on the one before it only, so the best way to each
    model in use is kept and all others are dropped.
    """
    best: dict[Model, tuple[float, list[Model]]] = {model: (0.0, [])}
    for now in live_months:
        ways: dict[Model, tuple[float, list[Model]]] = {}
        for old, (spent, path) in best.items():
            for new in (old, *(world.model(now, window) for window in windows)):
                released = new != old
                bought = len(label_months(new) - label_months(old)) if released else 0
                total = spent + price(world.live(new, now), bought, released)
                if new not in ways or total < ways[new][0]:
                    ways[new] = total, [*path, new] if released else path
        best = ways
    return min(best.values(), key=lambda way: way[0])


def mean_interval(values: pd.Series, draws: int, block: int = 3) -> tuple[float, float]:
    """95 % bootstrap interval of the mean; blocks of neighbouring months are drawn, the last runs on to the first."""
    values, rng = np.asarray(values, float), np.random.default_rng(0)
    blocks = -(-len(values) // block)
    starts = rng.integers(0, len(values), (draws, blocks, 1))
    drawn = ((starts + np.arange(block)) % len(values)).reshape(draws, -1)[:, : len(values)]
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)

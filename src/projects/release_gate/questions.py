"""One function a question: it takes the case and the limit, and returns yes or no and what it found."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from projects.release_gate.release import Release, digest
from projects.trip_zones import borough

Found = tuple[bool, str]
DRAWS = 1000  # of whole days
FEWEST = 100  # trips of a slice that is tested
TICKS = 20 * time.get_clock_info("thread_time").resolution  # seconds to measure: Windows' clock is coarse
TIMES = {"night": (0, 6), "day": (7, 15), "rush": (16, 19), "evening": (20, 23)}


@dataclass(frozen=True)
class Case:
    """A challenger, the champion, and rows that neither has learnt from."""

    new: Release
    old: Release
    rows: pd.DataFrame

    @cached_property
    def errors(self) -> pd.DataFrame:
        """The errors of both on the same rows, in minutes, and the day of each row."""
        truth, day = self.rows["duration"], self.rows["pickup_datetime"].dt.normalize()
        told = {name: truth - release.answers(self.rows) for name, release in self.sides.items()}
        return pd.DataFrame(told).assign(day=day)

    @property
    def sides(self) -> dict[str, Release]:
        """Both releases, by the name of their side."""
        return {"new": self.new, "old": self.old}


def data(case: Case, limit: dict[str, list[float]]) -> Found:
    """Whether the rows end in time, are the recorded ones, and have the usual relations."""
    rows, faults = case.new.rows, []
    if rows["dropoff_datetime"].max() >= case.rows["pickup_datetime"].min():
        faults.append("learnt from days that judge")
    if digest(rows) != case.new.record["rows"]:
        faults.append("not the recorded rows")
    found = {"mph": (60 * rows["trip_distance"] / rows["duration"]).median()}
    found["distance_with_fare"] = rows["trip_distance"].corr(rows["fare_amount"], method="spearman")
    faults += [
        f"{name} {found[name]:.2f}" for name, (low, high) in limit.items() if not low <= found[name] <= high
    ]
    return not faults, "; ".join(faults) or f"{len(rows):,} rows"


def code(case: Case, limit: int) -> Found:
    """Whether a trip has the same features alone, among others and in another order; and the input stays."""
    asked = case.rows.head(20)
    before, features = asked.copy(), case.new.code.features
    whole = features(asked)
    alone = pd.concat([features(asked.iloc[[place]]) for place in range(len(asked))])
    others = features(asked.iloc[::-1]).iloc[::-1]
    wrong = ~np.isclose(whole, alone, equal_nan=True) | ~np.isclose(whole, others, equal_nan=True)
    faults = int(wrong.any(axis=1).sum())
    if not asked.equals(before):
        return False, "writes into its input"
    return faults <= limit, f"{faults} of {len(asked)} trips differ when asked alone"


def day_sums(errors: pd.DataFrame) -> pd.DataFrame:
    """The squared errors of both and the trips, summed by day."""
    return (errors[["new", "old"]] ** 2).assign(trips=1.0).groupby(errors["day"]).sum()


def interval(sums: pd.DataFrame, level: float = 0.9, draws: int = DRAWS) -> tuple[float, float]:
    """The interval of RMSE(new) − RMSE(old): whole days are drawn, the same for both."""
    days = len(sums)
    drawn = np.random.default_rng(0).multinomial(days, [1 / days] * days, size=draws) @ sums.to_numpy()
    new, old = np.sqrt(drawn[:, :2] / drawn[:, 2:]).T
    low, high = np.quantile(new - old, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def metric(case: Case, limit: float) -> Found:
    """Whether it is surely not worse by more than the limit (one of TOST's two tests, at 5 %)."""
    low, high = interval(day_sums(case.errors))
    return high < limit, f"{low:+.3f} to {high:+.3f}"


def slices_of(rows: pd.DataFrame) -> pd.DataFrame:
    """A column for each slice, True where the trip is in it: boroughs of the pick-up, times, lengths."""
    hour, miles = rows["pickup_datetime"].dt.hour, rows["trip_distance"]
    found = pd.get_dummies(borough(rows["pickup_location_id"])).drop(columns="other", errors="ignore")
    times = {name: hour.between(*ends) for name, ends in TIMES.items()}
    return found.assign(**times, **{"under 1 mile": miles < 1, "over 5 miles": miles > 5}).astype(float)


def harm_by_day(errors: pd.DataFrame, inside: pd.DataFrame) -> pd.DataFrame:
    """For each day and slice: the sum of how much worse each answer is (minutes)."""
    harm = errors["new"].abs() - errors["old"].abs()
    return inside.mul(harm, axis=0).groupby(errors["day"]).sum()


def worse_slices(
    harm: pd.DataFrame, trips: pd.DataFrame, limit: float, level: float = 0.05
) -> dict[str, float]:
    """The slices that are worse for sure and by more than the limit, and by how many minutes a trip.

    Sure: a one-sided t-test of the daily sums, with Holm's correction over the slices that are tested.
    """
    tested = trips.columns[trips.sum() >= FEWEST]
    harm, mean = harm[tested], harm[tested].sum() / trips[tested].sum()
    spread = harm.std() / len(harm) ** 0.5
    p = pd.Series(
        stats.t.sf(harm.mean() / spread.where(spread > 0, np.inf), len(harm) - 1), tested
    ).sort_values()
    holm = (p * np.arange(len(p), 0, -1)).cummax()
    return {name: float(mean[name]) for name in p.index if holm[name] < level and mean[name] > limit}


def slices(case: Case, limit: float) -> Found:
    """Whether no slice is worse for sure and by more than the limit."""
    inside = slices_of(case.rows)
    trips = inside.groupby(case.errors["day"]).sum()
    bad = worse_slices(harm_by_day(case.errors, inside), trips, limit)
    told = "; ".join(f"{name} {minutes:+.2f}" for name, minutes in bad.items())
    return not bad, told or f"{(inside.sum() >= FEWEST).sum()} slices"


def ratio(
    new: Callable[[], Any],
    old: Callable[[], Any],
    clock: Callable[[], float] = time.thread_time,
    rounds: int = 15,
) -> float:
    """How many times as long `new` computes: in turns, and by the time that this thread has the processor.

    Whatever else runs on the machine is not counted. Neither is waiting, for a network say.
    """
    new(), old()  # the first call is slow
    took, done = {"new": 0.0, "old": 0.0}, 0
    while done < rounds or took["old"] < TICKS:
        done += 1
        for side, call in (("old", old), ("new", new)):
            started = clock()
            call()
            took[side] += clock() - started
    return took["new"] / took["old"]


def latency(case: Case, limit: float) -> Found:
    """Whether one trip is answered nearly as fast as by the champion, measured side by side."""
    one = case.rows.head(1)
    slower = ratio(lambda: case.new.answers(one), lambda: case.old.answers(one))
    return slower <= limit, f"{'at most' if slower <= limit else 'more than'} {limit:g} times the champion's"


def size(case: Case, limit: float) -> Found:
    """Whether the model's file is small enough."""
    megabytes = (case.new.folder / "model.ubj").stat().st_size / 1e6
    return megabytes <= limit, f"{megabytes:.1f} MB"


def licence_of(package: str) -> str:
    """What a package says of its licence, where it says it in one of the three ways."""
    about = metadata.metadata(package)
    kinds = [one for one in about.get_all("Classifier") or [] if one.startswith("License")]
    told = about.get("License-Expression") or "; ".join(kinds) or about.get("License") or "none"
    return told.splitlines()[0].replace("License :: OSI Approved :: ", "")


def licence(case: Case, limit: list[str]) -> Found:
    """Whether each package is pinned to what is installed, and each of its licences is on the list."""
    faults = []
    for name, version in case.new.packages.items():
        if version != metadata.version(name):
            faults.append(f"{name} is not the pinned one")
        told = licence_of(name)
        if not all(any(known in part for known in limit) for part in re.split(r" AND |; ", told)):
            faults.append(f"{name}: {told}")
    return not faults, "; ".join(faults) or f"{len(case.new.packages)} packages"


def reproducible(case: Case, limit: float) -> Found:
    """Whether its own code makes the same model of its own rows again."""
    again = case.new.code.train(case.new.rows).predict(case.new.code.features(case.rows))
    moved = float(np.abs(again - case.new.answers(case.rows)).max())
    return moved <= limit, f"{'no' if moved <= limit else 'an'} answer moves by more than {limit:g} minutes"


QUESTIONS: dict[str, Callable[[Case, Any], Found]] = {
    one.__name__: one for one in (data, code, metric, slices, latency, size, licence, reproducible)
}

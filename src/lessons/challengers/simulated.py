"""Challengers whose truth is known: mixtures of real answers to the trips of seven months."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from projects.release_gate.questions import FEWEST, day_sums, harm_by_day, slices_of


@dataclass(frozen=True)
class Simulated:
    """One challenger against the champion: what a gate sees of each day, and the truth of all days."""

    sums: pd.DataFrame  # squared errors of both and trips, by day
    harm: pd.DataFrame  # minutes by which it is worse, by day and slice
    trips: pd.DataFrame  # by day and slice
    loss: float  # RMSE less the champion's, over all days
    worst: float  # mean harm of its worst slice, minutes a trip


def simulated(rows: pd.DataFrame, answers: pd.DataFrame, number: int = 200, seed: int = 0) -> list[Simulated]:
    """Mix the answers of `champion`, `better`, `worse` and `no nights` (columns) by weights from the seed.

    Half of the challengers lose or gain everywhere, the other half loses at night.
    """
    rng, day, inside = np.random.default_rng(seed), rows["pickup_datetime"].dt.normalize(), slices_of(rows)
    step, night = answers.sub(answers["champion"], axis=0), inside["night"]
    old, made, trips = rows["duration"] - answers["champion"], [], inside.groupby(day).sum()
    for place in range(number):
        everywhere = rng.uniform(0, 1) * step["better"] + rng.uniform(0, 2) * step["worse"]
        at_night = rng.uniform(0, 1) * night * step["no nights"]
        moved = everywhere if place % 2 else rng.uniform(0, 0.5) * step["better"] + at_night
        errors = pd.DataFrame({"new": old - moved, "old": old, "day": day})
        sums, harm = day_sums(errors), harm_by_day(errors, inside)
        new, champion, n = sums.sum()
        mean = (harm.sum() / trips.sum())[trips.sum() >= FEWEST]
        made.append(Simulated(sums, harm, trips, (new / n) ** 0.5 - (champion / n) ** 0.5, mean.max()))
    return made

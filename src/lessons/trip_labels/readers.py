"""Taxi trips to be labelled, a guideline in two versions, and two readers of it that are programs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from course.data import load_trips, months

GUIDELINES = {
    1: ["Is this record credible? Say no if the trip can't have happened as the record says."],
    2: [
        "Judge clock, distance and fare. Ignore the passengers: the driver types them.",
        "Say no to three hours or more, to less than one minute, to zero miles or less, to over 60 mph.",
        "Say no to a fare of zero or less: it is a correction, not a ride.",
        "Say no to a fare that does not fit the miles and minutes.",
    ],
}
RATES = {1: "standard", 2: "JFK", 3: "Newark", 4: "Nassau, Westchester", 5: "negotiated", 6: "group"}
READERS = ("stand-in", "colleague")
SLIPS = 0.03  # the share of labels that a reader gets wrong against his own reading


def _derived(trips: pd.DataFrame) -> pd.DataFrame:
    """With `mph` and `times_usual`, the fare over what miles and minutes usually cost."""
    miles, minutes = trips["trip_distance"], trips["minutes"]
    usual = 2.5 + 2.5 * miles.clip(0) + 0.35 * minutes.clip(0, 120)
    return trips.assign(mph=60 * miles / minutes.where(minutes > 0), times_usual=trips["fare_amount"] / usual)


def records(first: str, last: str) -> pd.DataFrame:
    """Trips as they come, faults kept, with `minutes`, `mph`, `times_usual` and `kind`: what is odd about them."""
    trips = load_trips(months(first, last)).dropna(subset=["passenger_count"])
    minutes = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
    begins = trips["pickup_datetime"].dt
    when = {"month": begins.month, "day": begins.day, "hour": begins.hour}
    trips = _derived(trips.assign(minutes=minutes, zone=trips["pickup_location_id"], **when))
    kinds = {  # the first that fits
        "meter left on": minutes >= 180,
        "no ride": (trips["trip_distance"] <= 0) | (minutes < 1),
        "too fast": trips["mph"] > 60,
        "no passenger": trips["passenger_count"] == 0,
        "money back": trips["fare_amount"] <= 0,
        "odd fare": (trips["times_usual"] > 2) | (trips["times_usual"] < 0.5),
    }
    trips["kind"] = pd.Categorical(np.select(list(kinds.values()), list(kinds), "plain"))
    return trips.reset_index(drop=True)


def sheet(trips: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Twenty records to label: two of each odd kind and eight plain ones, shuffled, numbered from 1."""
    rng, codes = np.random.default_rng(seed), trips["kind"].cat.codes.to_numpy()
    sizes = {code: 8 if kind == "plain" else 2 for code, kind in enumerate(trips["kind"].cat.categories)}
    rows = [rng.choice(np.flatnonzero(codes == code), size, replace=False) for code, size in sizes.items()]
    drawn = trips.iloc[rng.permutation(np.concatenate(rows))]
    return drawn.set_index(pd.RangeIndex(1, len(drawn) + 1, name="record"))


def shown(trips: pd.DataFrame) -> pd.DataFrame:
    """What a labeller sees of a record."""
    columns = {
        "begins": trips["pickup_datetime"].dt.strftime("%a %H:%M"),
        "minutes": trips["minutes"].map("{:,.1f}".format),
        "miles": trips["trip_distance"].map("{:.1f}".format),
        "fare $": trips["fare_amount"].map("{:.2f}".format),
        "passengers": trips["passenger_count"].astype(int),
        "rate": trips["rate_code_id"].map(RATES).fillna("unknown"),
    }
    return pd.DataFrame(columns)


def read(
    trips: pd.DataFrame, reader: str, version: int, seed: int | None = None, slips: float = SLIPS
) -> pd.Series:
    """Return the labels "yes" and "no" of a reader under a version of the guideline.

    `owner` reads it as it is meant. With a seed the reader slips now and then, without one never.
    """
    miles, minutes, fare = trips["trip_distance"], trips["minutes"], trips["fare_amount"]
    no_ride, impossible = (miles <= 0) | (minutes < 1), (minutes >= 180) | (trips["mph"] > 60)
    by_reader = {
        ("stand-in", 1): impossible | no_ride,  # fare and passengers say nothing on whether it happened
        ("colleague", 1): impossible | (trips["passenger_count"] == 0) | (fare <= 0),  # a taxi may wait
        ("stand-in", 2): impossible | no_ride | (fare <= 0) | (trips["times_usual"] > 3),
        ("colleague", 2): impossible | no_ride | (fare <= 0) | ~trips["times_usual"].between(0.5, 2),
    }
    by_reader["owner", 2] = impossible | no_ride | (fare <= 0) | (trips["times_usual"] > 2.5)
    no = by_reader[reader, version].to_numpy()
    if seed is not None:
        no = no ^ (np.random.default_rng([seed, version, len(reader)]).random(len(no)) < slips)
    return pd.Series(np.where(no, "no", "yes"), trips.index, name=reader)


def compared(trips: pd.DataFrame, version: int, seed: int) -> dict[str, float]:
    """How the two READERS agree; `both no`: where one says no, how often the other does (both ways)."""
    a, b = (read(trips, name, version, seed) for name in READERS)
    both_no = 2 * ((a == "no") & (b == "no")).sum() / ((a == "no").sum() + (b == "no").sum())
    return {"agreement": (a == b).mean(), "kappa": cohen_kappa_score(a, b), "both no": both_no}


def job(trips: pd.DataFrame, seed: int, version: int, size: int = 10_000) -> Iterator[dict]:
    """Two plans of labelling trips as they come, each reading by one of the READERS at random: their errors."""
    rows, rng = trips.sample(size, random_state=seed), np.random.default_rng(seed)
    bad = (read(rows, "owner", 2) == "no").to_numpy()
    said = []
    for number in range(3):
        two = [read(rows, name, version, 10 * seed + number) == "no" for name in READERS]
        said.append(np.where(rng.random(size) < 0.5, *two))
    if version == 1:
        yield {"plan": "yes to all", "readings": 0.0, "wrong": 100 * bad.mean(), "bad found": 0.0}
    third = said[0] != said[1]  # where two agree, a third would not change the majority
    for plan, no, readings in (
        ("one reading", said[0], 1.0),
        ("two or three", sum(said) > 1, 2 + third.mean()),
    ):
        told = {"wrong": 100 * (no != bad).mean(), "bad found": 100 * no[bad].mean()}
        yield {"plan": f"{plan}, version {version}", "readings": readings, **told}


def rounded(trips: pd.DataFrame, minutes: float, miles: float, dollars: float) -> pd.DataFrame:
    """The trips with minutes, miles and fare rounded to these steps, and what follows from them."""
    steps = {"minutes": minutes, "trip_distance": miles, "fare_amount": dollars}
    return _derived(
        trips.assign(**{name: (trips[name] / step).round() * step for name, step in steps.items()})
    )


def relabelled(trips: pd.DataFrame, seed: int) -> dict[str, float]:
    """Version 1, each label by one of the READERS at random; then only what was called no is read again.

    How many that are, and how much of the new class (`kind` is "no ride") is among them.
    """
    two = [read(trips, name, 1, seed) == "no" for name in READERS]
    no = np.where(np.random.default_rng(seed).random(len(trips)) < 0.5, *two)
    new = (trips["kind"] == "no ride").to_numpy()
    return {"old no": int(no.sum()), "new class": int(new.sum()), "% found there": 100 * no[new].mean()}

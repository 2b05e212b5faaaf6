"""The month of trips: what is taken in, what is set aside and why, and what is known when a trip is asked."""

from __future__ import annotations

import pandas as pd

from course.data import TRIP_TYPES
from projects.capstone.state import CapstoneError
from walkforward.drift import schema_report

LONGEST, ZONES = 60, 265  # minutes; the highest number of a taxi zone
BROKEN = ("lost", "renamed", "dtype", "unit")
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


def checked(raw: pd.DataFrame, month: str) -> pd.DataFrame:
    """The raw trips in the columns and types that are agreed. Raises: CapstoneError."""
    if missing := [name for name in TRIP_TYPES if name not in raw]:
        raise CapstoneError(f"the trips of {month} have no {', '.join(missing)}: ask whoever delivers them")
    if twice := sorted(set(raw.columns[raw.columns.duplicated()]) & set(TRIP_TYPES)):
        raise CapstoneError(f"the trips of {month} have {twice[0]} twice: ask whoever delivers them")
    if raw.empty:
        raise CapstoneError(f"there is no trip of {month}: ask whoever delivers them")
    try:
        return raw[list(TRIP_TYPES)].astype(TRIP_TYPES).reset_index(drop=True)
    except (ValueError, TypeError) as error:
        what = " ".join(str(error).split())
        raise CapstoneError(
            f"the trips of {month} are of another type ({what}): ask for the agreed one"
        ) from None


def changes(before: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """What changed upstream since last month: columns, types, units."""
    report = schema_report(before, now)
    report = report[report["change"].isin(BROKEN)]
    return [f"{row['column']}: {row['change']}" for _, row in report.iterrows()]


def reasons(raw: pd.DataFrame, month: str) -> pd.Series:
    """Why a trip is set aside, an empty text where it is not; the first reason counts."""
    pickup, dropoff = raw["pickup_datetime"], raw["dropoff_datetime"]
    minutes = (dropoff - pickup).dt.total_seconds() / 60
    zones = raw[["pickup_location_id", "dropoff_location_id"]]
    rules = {
        "a clock is missing": pickup.isna() | dropoff.isna(),
        "picked up in another month": pickup.dt.strftime("%Y-%m") != month,
        "dropped off before it was picked up": minutes < 0,
        "under 1 minute": minutes < 1,
        f"over {LONGEST} minutes": minutes > LONGEST,
        "an impossible distance": ~raw["trip_distance"].between(0, 100),
        "no such zone": ~((zones >= 1) & (zones <= ZONES)).all(axis=1),
        "the same trip twice": raw.duplicated(),
    }
    found = pd.Series("", index=raw.index)
    for reason, applies in rules.items():
        found = found.mask((found == "") & applies, reason)
    return found


def divided(raw: pd.DataFrame, month: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trips that are taken and those set aside with their `reason`: together all, each once.

    `trip` is a trip's name: the month and its row in what was delivered.
    """
    named = raw.assign(trip=[f"{month}/{row}" for row in range(len(raw))])
    why = reasons(raw, month)
    if (why != "").all():
        counts = ", ".join(f"{count} {reason}" for reason, count in why.value_counts().items())
        raise CapstoneError(f"no trip of {month} can be taken ({counts}): ask whoever delivers them")
    minutes = (raw["dropoff_datetime"] - raw["pickup_datetime"]).dt.total_seconds() / 60
    taken = named[why == ""].assign(duration=minutes, month=month)
    taken = taken.sort_values(["pickup_datetime", "trip"], ignore_index=True)
    aside = named[why != ""].assign(reason=why).reset_index(drop=True)
    if len(taken) + len(aside) != len(raw):
        raise CapstoneError(
            f"{len(raw) - len(taken) - len(aside)} trips of {month} are lost: a rule is wrong"
        )
    return taken, aside


def known_at_pickup(taken: pd.DataFrame, label_days: int) -> pd.DataFrame:
    """The features of each trip, when it is asked (`asked_at`) and when its label is there (`label_at`)."""
    pickup = taken["pickup_datetime"]
    table = taken[["trip", *FEATURES[:3]]].assign(hour=pickup.dt.hour, weekday=pickup.dt.dayofweek)
    table = table.astype(dict.fromkeys(FEATURES, float))
    label_at = taken["dropoff_datetime"] + pd.Timedelta(days=label_days)
    return table.assign(asked_at=pickup, label_at=label_at, duration=taken["duration"])


def looks_ahead(taken: pd.DataFrame, label_days: int) -> list[str]:
    """Features that a trip has otherwise when the later trips, and its own end, are not there yet."""
    half = taken.head(len(taken) // 2)
    blind = half.assign(dropoff_datetime=half["pickup_datetime"], duration=0.0)
    now, then = known_at_pickup(taken, label_days).head(len(half)), known_at_pickup(blind, label_days)
    return [name for name in FEATURES if not now[name].equals(then[name])]

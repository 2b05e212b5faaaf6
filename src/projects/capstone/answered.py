"""Who is asked: the users of a canary, when it is stopped, and which version answered each trip."""

from __future__ import annotations

import math
import zlib
from statistics import NormalDist

import numpy as np
import pandas as pd

LOOKS, ALPHA = (50, 100, 200, 400), 0.05
CANARY_DAYS = 10


def users(trips: pd.Series, share: float) -> pd.Series:
    """Whether a trip's user is one of the canary's: drawn by a hash, so always the same."""
    return pd.Series([zlib.crc32(one.encode()) / 2**32 < share for one in trips], index=trips.index)


def verdict(extra: np.ndarray) -> tuple[str, int]:
    """The rule of lesson 09e: what the extra errors of a canary say, and after how many requests."""
    limit, seen = NormalDist().inv_cdf(1 - ALPHA / len(LOOKS)), 0
    for look in (one for one in LOOKS if one <= len(extra)):
        seen = look
        if extra[:look].mean() > limit * extra[:look].std(ddof=1) / math.sqrt(look):
            return "worse", look
    return "not worse", seen


def versions(
    asked_at: pd.Series,
    is_user: pd.Series,
    start: pd.Timestamp,
    label_days: int,
    canary: dict[str, str | None],
) -> pd.Series:
    """The version that answers each trip of a month.

    `canary` has `before`, the champion at the month's begin, `canary`, `champion` from the verdict on, and
    `stopped`, the time of a rollback. The verdict waits for the labels of the canary's last day.
    """
    found = pd.Series(str(canary["before"]), index=asked_at.index)
    decided = start + pd.Timedelta(days=CANARY_DAYS + label_days)
    found = found.mask(asked_at >= decided, str(canary["champion"]))
    if canary.get("canary"):
        ends = start + pd.Timedelta(days=CANARY_DAYS)
        if canary.get("stopped"):
            ends = min(ends, pd.Timestamp(canary["stopped"]))
        found = found.mask(is_user & (asked_at < ends), str(canary["canary"]))
    return found

"""When to retrain (12a): what is seen at the end of a month in, a window in months out; 0 keeps the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

ERROR = 3.7  # minutes of absolute error: the lowest limit that is silent in 2018 and 2019 (12a)


@dataclass(frozen=True)
class Seen:
    """What is known of a month when it is over.

    Args:
        month: which.
        error: mean absolute error on the labels that are there, in minutes.
        drifted: the columns that have drifted from what the champion has learnt from.
        age: months since the champion was trained.
    """

    month: str
    error: float
    drifted: list[str] = field(default_factory=list)
    age: int = 0


Policy = Callable[[Seen], int]

POLICIES: dict[str, Policy] = {
    "never": lambda seen: 0,
    "monthly": lambda seen: 3,
    "error": lambda seen: 3 * (seen.error > ERROR),
    "drift": lambda seen: 3 * bool(seen.drifted),
    "drift or error": lambda seen: 3 * (bool(seen.drifted) or seen.error > ERROR),
}
"""By name, so that a state can say which it was begun with. Put your own in: `POLICIES["mine"] = …`."""

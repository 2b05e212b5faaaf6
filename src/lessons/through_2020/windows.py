"""What lesson 17b replays: the error of each training in each later month, recorded once, and a policy's thirty months.

`python -m lessons.through_2020.windows` makes the record anew, in some two minutes, of the steps of
`projects.capstone`, on every second trip. Drift reports, the gate and the canary's verdict it leaves out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from course.data import load_trips
from course.data import months as months_between
from projects.capstone.policies import Policy, Seen

RECORD = Path(__file__).with_name("windows.csv")
WINDOWS = (1, 3, 12)  # months
TRAINED = months_between("2018-06", "2020-11")  # at the end of each of them a model is trained
MONTHS = months_between("2018-07", "2020-12")  # the thirty that a policy lives through
LABEL_DAYS, JUDGED_FROM, KEPT = 5, 14, 2  # the first two as in the flow; every second trip
Trained = tuple[str, int]


def recorded() -> pd.DataFrame:
    """A row for each training and each later month, in minutes: `error` on all its trips, and `seen`, on those
    whose labels are there when it ends."""
    return pd.read_csv(RECORD).set_index(["trained", "window", "month"])


# The replay -----------------------------------------------------------------------------------------------


@cache
def _known() -> dict[tuple[str, int, str], dict[str, float]]:
    return recorded().to_dict("index")


def replay(policy: Policy, months: Sequence[str] = tuple(MONTHS), names: Sequence[str] = ()) -> pd.DataFrame:
    """Live through `months` with a policy: a row a month: `error` of all trips, what is `seen` of it, `window`.

    The first model has learnt from the three months before the first of `months`. What is trained at the end
    of a month answers from the middle of the next one on, when its canary is settled.

    Args:
        policy: what is seen at the end of a month in, a window in months out; 0 keeps the model.
        months: those that are lived through, in order.
        names: what the policy is told that they are called; default: their own names.
    """
    known, rows = _known(), []
    model, since, coming = (str(pd.Period(months[0]) - 1), 3), -1, None
    for at, (month, name) in enumerate(zip(months, names or months, strict=True)):
        answering = [model] if coming is None else [model, coming]
        lines = [known[*one, month] for one in answering]
        error, seen = (sum(line[what] for line in lines) / len(lines) for what in ("error", "seen"))
        if coming is not None:
            model, coming = coming, None
        window = policy(Seen(name, round(seen, 3), [], at - since))
        if not (isinstance(window, int) and window in (0, *WINDOWS)):
            raise ValueError(
                f"the policy returned {window!r}; return 0 to keep the model, or 1, 3 or 12 months"
            )
        if window and at + 1 < len(months):
            coming, since = (month, int(window)), at
        rows.append({"month": name, "error": error, "seen": seen, "window": int(window)})
    return pd.DataFrame(rows).set_index("month")


def compared(
    replays: Mapping[str, pd.DataFrame], of_a_minute: float, of_a_retraining: float, draws: int
) -> pd.DataFrame:
    """A row a policy: mean error, retrainings, dollars in all, and the 95 % interval of those above `never`."""
    from lessons.retraining.months import mean_interval

    retrained = pd.DataFrame({name: one["window"] > 0 for name, one in replays.items()})
    error = pd.DataFrame({name: one["error"] for name, one in replays.items()})
    spent = of_a_minute * error + of_a_retraining * retrained
    ends = {name: mean_interval(spent[name] - spent["never"], draws) for name in spent}
    table = pd.DataFrame({"error": error.mean(), "retrainings": retrained.sum(), "dollars": spent.sum()})
    table[["low", "high"]] = pd.DataFrame(ends).T * len(spent)
    return table.round({"dollars": 0, "low": 0, "high": 0}).astype({"dollars": int, "low": int, "high": int})


# The record -----------------------------------------------------------------------------------------------


@cache
def taken(month: str) -> pd.DataFrame:
    """The trips that the flow takes of a month, in order of pick-up."""
    from projects.capstone import trips

    raw = load_trips(month).iloc[::KEPT].reset_index(drop=True)
    return trips.divided(trips.checked(raw, month), month)[0]


def lines_of(one: Trained) -> list[dict[str, Any]]:
    """Train once, and judge it in all later months."""
    from projects.release_gate.release import build

    month, window = one
    first = max(pd.Period(month) - window + 1, pd.Period("2018-01"))
    rows = pd.concat([taken(name) for name in months_between(str(first), month)], ignore_index=True)
    until = pd.Period(month).start_time + pd.Timedelta(days=JUDGED_FROM)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        release = build(Path(folder) / "release", rows[rows["dropoff_datetime"] < until])
        for later in (name for name in MONTHS if name > month):
            asked = taken(later)
            missed = (asked["duration"] - release.answers(asked)).abs()
            ends = (pd.Period(later) + 1).start_time
            there = asked["dropoff_datetime"] + pd.Timedelta(days=LABEL_DAYS) < ends
            line = {"trained": month, "window": window, "month": later}
            line |= {"error": round(float(missed.mean()), 3), "seen": round(float(missed[there].mean()), 3)}
            found.append(line)
    return found


def made(some: Sequence[Trained]) -> Iterator[dict[str, Any]]:
    """The lines of these trainings, two at a time."""
    with ProcessPoolExecutor(2) as pool:
        for lines in pool.map(lines_of, some):
            yield from lines


if __name__ == "__main__":
    every = [(month, window) for window in WINDOWS for month in TRAINED]
    pd.DataFrame(made(every)).to_csv(RECORD, index=False, lineterminator="\n")

"""The capstone's flow lives through 2020, for lesson 17b: on a part of the trips, and one fold of the demand model.

`python -m lessons.through_2020.years` makes the record anew: the diaries of the years with other policies.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from course.data import load_ridership, load_trips
from projects.capstone import command, demand, loop
from projects.capstone.state import CapstoneError, Settings, State, opened
from projects.capstone.steps import of_month, pace, release_of
from walkforward.prediction_log import PredictionLog

RECORD = Path(__file__).with_name("years.json")
FIRST, LAST, KEPT = "2020-01", "2020-12", 2  # every second trip
OTHERS = ("error", "monthly")
COLUMNS = ["error", "canary", "alarm", "decision", "champion"]


class Delivery:
    """The trips of a month from a source that fails more often each month, asked again up to `tries` times.

    `told` has a month's number of tries. The source fails when `missing` says so; default: once more every
    third month of the year.
    """

    def __init__(self, keep_every: int = KEPT, tries: int = 5) -> None:
        self.keep_every, self.tries, self.told = keep_every, tries, {}

    def ask(self, month: str, attempt: int) -> pd.DataFrame:
        """What the source answers to one try. Raises: ConnectionError."""
        if month.startswith("2020") and attempt <= (int(month[-2:]) - 1) // 3:
            raise ConnectionError(f"the source of {month} does not answer")
        return load_trips(month).iloc[:: self.keep_every].reset_index(drop=True)

    def __call__(self, month: str) -> pd.DataFrame:
        """The trips of a month. Raises: CapstoneError, when no try was answered."""
        for attempt in range(1, self.tries + 1):
            self.told[month] = attempt
            try:
                return self.ask(month, attempt)
            except ConnectionError as error:
                last = error
        raise CapstoneError(f"{last}, {self.tries} times: ask whoever delivers, then give the same command")


def begin(folder: Path, policy: str, trips: Any, planted: str = "", like: State | None = None) -> State:
    """A flow in a new folder; what stood there goes. The demand models are those of the flow `like`, if given."""
    command.quiet()
    demand.judged = partial(getattr(demand.judged, "func", demand.judged), folds=1)
    shutil.rmtree(folder, ignore_errors=True)
    settings = Settings(FIRST, policy=policy, serve=False, reviews=(command.REVIEW,), planted=planted)
    flow = opened(folder, settings, trips, load_ridership)
    if like is not None:
        shutil.copytree(like.file("demand"), flow.file("demand"))
    return flow


def said(flow: State, until: str = LAST) -> pd.DataFrame:
    """A row a trip whose label is there: `day`, `month`, `y`, what the `flow` answered, and three others would have.

    `never` is the first champion, left alone; `pace kept` the usual minutes a mile of its training rows, and
    `pace moved` those of the labels that were there when the month began.
    """
    first = release_of(flow, "1")
    names = [one for one in flow.journal.months() if FIRST <= one <= until]
    before = str(pd.Period(FIRST) - 1)
    trips = {one: of_month(flow, one) for one in [before, *names]}
    log = PredictionLog(flow.file("predictions.db"))
    try:
        answered = log.read(with_labels=True).set_index("request_id")["yhat"]
    finally:
        log.close()
    parts, label = [], pd.Timedelta(days=flow.settings.label_days)
    for before, month in zip(trips, names, strict=False):
        rows, old = trips[month], trips[before]
        there = old[old["dropoff_datetime"] + label < pd.Period(month).start_time]
        moved, kept = pace(there), pace(first.rows)
        part = pd.DataFrame({"trip": rows["trip"], "month": month, "y": rows["duration"]})
        part["day"] = rows["pickup_datetime"].dt.normalize()
        part["flow"], part["never"] = rows["trip"].map(answered), first.answers(rows)
        part["pace kept"], part["pace moved"] = kept * rows["trip_distance"], moved * rows["trip_distance"]
        parts.append(part[part["flow"].notna()])
    return pd.concat(parts, ignore_index=True)


def interval(gain: pd.Series, block: str = "W", draws: int = 1000) -> tuple[float, float]:
    """The 95 % interval of the mean of `gain`, whose index is the day: whole weeks ("W") or days ("D") are drawn.

    Trips of a day are alike, and so are those of a week; drawn one by one they would promise too much.
    """
    sums = gain.groupby(gain.index.to_period(block)).agg(["sum", "size"]).to_numpy()
    drawn = np.random.default_rng(0).multinomial(len(sums), [1 / len(sums)] * len(sums), draws) @ sums
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    return float(low), float(high)


def told(flow: State) -> list[dict[str, Any]]:
    """The flow's diary as it is recorded."""
    table = loop.diary(flow).set_index("month")[COLUMNS].reset_index()
    return json.loads(table.to_json(orient="records"))


def recorded() -> dict[str, pd.DataFrame]:
    """By policy, the diary of the year that was lived with it."""
    text = json.loads(RECORD.read_text(encoding="utf-8"))
    return {name: pd.DataFrame(rows).set_index("month") for name, rows in text.items()}


def lived(folder: Path, policy: str, like: State | None = None) -> State:
    """Live through the year with another policy and no planted fault."""
    flow = begin(folder, policy, Delivery(), like=like)
    loop.backfill(flow, FIRST, LAST)
    return flow


def main() -> None:
    """Live through the years and write what they told."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        found, like = {}, None
        for policy in OTHERS:
            like = lived(Path(name) / policy, policy, like)
            found[policy] = told(like)
        RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

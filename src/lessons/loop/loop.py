"""The loop of lesson 12c: a trigger, a retraining and a deployment in six steps, with a journal of what is done.

Each step may be killed at any moment and is done again when the loop is started again. So each one makes
something that is either whole or not there, and looks for it before it makes it.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from projects.capstone.answered import verdict
from projects.release_gate import gate, registry
from projects.release_gate.questions import Case
from projects.release_gate.release import Release, build
from walkforward.drift import drift_report

STEPS = ("watch", "retrain", "judge", "register", "canary", "promote")
WATCHED, ZONES = ["trip_distance", "hour", "yhat"], ["pickup_location_id", "dropoff_location_id"]
Answers = Callable[[Release, pd.DataFrame], np.ndarray]


class Killed(BaseException):
    """The process ends here: as after a power cut, nobody catches it."""


class Journal:
    """A file with a line of JSON for each finished step; a line is written last, and with all that was found."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def lines(self) -> list[dict[str, Any]]:
        """All that was written; a last line that a kill has cut off does not count."""
        text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def find(self, month: str, step: str) -> dict[str, Any] | None:
        """The line of this step of this month."""
        return next((one for one in self.lines() if (one["month"], one["step"]) == (month, step)), None)

    def write(self, month: str, step: str, told: dict[str, Any]) -> dict[str, Any]:
        """Add a line; one that was cut off is overwritten."""
        whole = "".join(
            json.dumps(one) + "\n" for one in [*self.lines(), {"month": month, "step": step, **told}]
        )
        part = self.file.with_suffix(".part")
        part.write_text(whole, encoding="utf-8")
        part.replace(self.file)
        return told


def live(release: Release, trips: pd.DataFrame) -> np.ndarray:
    """What the service answers: minutes."""
    return release.answers(trips)


@dataclass
class Loop:
    """The loop in a folder; `trips` have `month`. `kill(where)` may raise `Killed` before or after each step."""

    folder: Path
    trips: pd.DataFrame
    name: str
    table: dict[str, Any] = field(default_factory=lambda: gate.TABLE)
    answers: Answers = live
    kill: Callable[[str], None] = lambda where: None
    window: int = 3  # months that a retraining learns from
    share: float = 0.2  # of the users get the canary, for ten days
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "journal.jsonl")
        self.client = mlflow.MlflowClient()

    def run(self, month: str) -> None:
        """Do the steps of this month that are not in the journal yet, until one says stop."""
        for step in STEPS:
            told = self.journal.find(month, step)
            if told is None:
                self.kill(f"before {step}")
                told = getattr(self, step)(month)
                self.kill(f"after {step}")  # done, and not written down yet
                self.journal.write(month, step, told)
            if told.get("stop"):
                return

    # The trigger --------------------------------------------------------------------------------------------

    def watch(self, month: str) -> dict[str, Any]:
        """Compare the month with what the champion has learnt from (11d); stop when nothing has drifted."""
        champion, now = self.champion(), self.of(month)
        known, seen = (
            rows.assign(yhat=champion.answers(rows), hour=rows["pickup_datetime"].dt.hour)
            for rows in (champion.rows, now)
        )
        report = drift_report(known, seen, [*WATCHED, *ZONES], categorical=ZONES)
        drifted = report.loc[report["drift"], "column"].tolist()
        error = float(np.sqrt(np.mean((seen["duration"] - seen["yhat"]) ** 2)))
        return {"drifted": drifted, "rmse": round(error, 3), "stop": not drifted}

    # The retraining -----------------------------------------------------------------------------------------

    def retrain(self, month: str) -> dict[str, Any]:
        """Learn from the last months up to the 14th; the rest of the month is left to judge."""
        folder, part = self.folder / month, self.folder / f"{month}.part"
        if not folder.exists():
            first = pd.Period(month) - self.window + 1
            begun = self.trips["pickup_datetime"] >= first.start_time
            known = self.trips["dropoff_datetime"] < self.middle(month)
            build(part, self.trips[begun & known])
            part.rename(folder)  # whole, or not there
        new, champion = Release(folder), self.champion()
        told = {"rows": new.record["rows"], "trips": len(new.rows), "against": self.version(champion)}
        return told | {"champion": champion.folder.name}

    def judge(self, month: str) -> dict[str, Any]:
        """Ask the gate of lesson 08c; stop when a question says no."""
        case = self.case(month)
        answers = gate.ask(case, table=self.table)
        gate.keep(case, answers)
        noes = {name: row["found"] for name, row in answers.iterrows() if not row["yes"]}
        return {"noes": noes, "metric": answers.loc["metric", "found"], "stop": bool(noes)}

    # The deployment -----------------------------------------------------------------------------------------

    def register(self, month: str) -> dict[str, Any]:
        """Register the model, unless a version holds it already."""
        new = Release(self.folder / month)
        version = self.version(new) or registry.register(self.name, new)
        self.client.set_registered_model_alias(self.name, "canary", version)
        return {"version": version}

    def canary(self, month: str) -> dict[str, Any]:
        """Let the new version answer a share of the next month's first users, and compare it on their trips."""
        case, rows = self.case(month), self.of(str(pd.Period(month) + 1))
        numbers = [zlib.crc32(f"{month}/{number}".encode()) / 2**32 for number in range(len(rows))]
        users = pd.Series(numbers) < self.share
        asked = rows[users & (rows["pickup_datetime"].dt.day <= 10)].sort_values("pickup_datetime")
        missed = [(asked["duration"] - self.answers(one, asked)).abs() for one in (case.new, case.old)]
        said, after = verdict((missed[0] - missed[1]).to_numpy())
        return {"verdict": said, "requests": after}

    def promote(self, month: str) -> dict[str, Any]:
        """Set the alias, or roll back: the champion answers everybody again."""
        new, found = Release(self.folder / month), self.journal.find(month, "canary")
        version = self.version(new)
        if found["verdict"] == "worse":
            self.client.set_model_version_tag(self.name, version, "refused", "canary")
            said = "rolled back"
        else:
            against = self.journal.find(month, "retrain")["against"]
            said = gate.promote(self.client, self.name, version, against, self.case(month))
            said = said.removesuffix(" already")  # done by a process that died before it wrote so
        self.client.delete_registered_model_alias(self.name, "canary")
        return {"said": said}

    # What they share ----------------------------------------------------------------------------------------

    def answers_of(self, folder: str, trips: pd.DataFrame) -> np.ndarray:
        """Minutes, by the release in this folder."""
        return Release(self.folder / folder).answers(trips)

    def of(self, month: str) -> pd.DataFrame:
        """The trips of a month."""
        return self.trips[self.trips["month"] == month].reset_index(drop=True)

    def middle(self, month: str) -> pd.Timestamp:
        """The 15th: what is known before it trains, what begins from it on judges."""
        return pd.Period(month).start_time + pd.Timedelta(days=14)

    def version(self, release: Release) -> str | None:
        """The version that holds this model, if one does."""
        found = self.client.search_model_versions(
            f"name = '{self.name}' and tags.digest = '{release.digest}'"
        )
        return str(min(int(one.version) for one in found)) if found else None

    def champion(self) -> Release:
        """The release behind the alias."""
        held = self.client.get_model_version_by_alias(self.name, "champion").tags["digest"]
        folders = [file.parent for file in sorted(self.folder.glob("*/release.json"))]
        return next(Release(one) for one in folders if Release(one).record["model"] == held)

    def case(self, month: str) -> Case:
        """The challenger of this month, the champion of its retraining, and the rows that judge."""
        rows, champion = self.of(month), self.journal.find(month, "retrain")["champion"]
        rows = rows[rows["pickup_datetime"] >= self.middle(month)].reset_index(drop=True)
        return Case(Release(self.folder / month), Release(self.folder / champion), rows)


def begin(folder: Path, trips: pd.DataFrame, name: str, before: str, **options: Any) -> Loop:
    """A loop with a first champion, which has learnt from the three months before `before`."""
    loop = Loop(folder, trips, name, **options)
    if not (folder / "first").exists():
        last = pd.Period(before) - 1
        rows = trips[trips["month"].between(str(last - 2), str(last))]
        build(folder / "first.part", rows[rows["dropoff_datetime"] < pd.Period(before).start_time])
        (folder / "first.part").rename(folder / "first")
    version = loop.version(Release(folder / "first")) or registry.register(name, Release(folder / "first"))
    if "champion" not in loop.client.get_registered_model(name).aliases:
        loop.client.set_registered_model_alias(name, "champion", version)
    return loop


def diary(loop: Loop) -> list[dict[str, str]]:
    """What the journal says, as an incident review reads it: the day, what happened, the version, the evidence."""
    lines = [{"on": "2020-01-01", "event": "promoted", "version": "1", "evidence": "the first champion"}]
    for one in loop.journal.lines():
        following = pd.Period(one["month"]) + 1
        first, later = (
            f"{following}-01",
            f"{following}-11",
        )  # judged when the month is over, canary for ten days
        version = (loop.journal.find(one["month"], "register") or {}).get("version", "")
        if one["step"] == "watch" and one["drifted"]:
            told = first, "alarm", "", f"{', '.join(one['drifted'])}; RMSE {one['rmse']:.2f}"
        elif one["step"] == "retrain":
            told = (
                first,
                "retrained",
                "",
                f"{one['trips']:,} trips, digest {one['rows'][:6]}, against {one['against']}",
            )
        elif one["step"] == "judge":
            noes = "; ".join(f"{name}: {found}" for name, found in one["noes"].items())
            told = first, "refused" if noes else "passed", "", noes or f"RMSE {one['metric']}"
        elif one["step"] == "canary":
            told = first, "canary", version, f"{one['verdict']} after {one['requests']} requests"
        elif one["step"] == "promote":
            back = one["said"] == "rolled back"  # at once; a promotion waits for the ten days
            told = (first, "rolled back", version, "") if back else (later, "promoted", version, one["said"])
        elif one["step"] == "limit":
            told = first, "limit changed", "", f"by {one['who']}: {one['why']}"
        else:
            continue
        lines.append(dict(zip(("on", "event", "version", "evidence"), told, strict=True)))
    return lines


def forget(folder: Path, name: str) -> None:
    """Put away what an earlier run has left of a loop: its folder, and its name in the registry."""
    registry.set_aside(name)
    shutil.rmtree(folder, ignore_errors=True)


def rounds(loop: Loop, last: str) -> pd.DataFrame:
    """A row for each month: the champion's error, and what the parts of the loop found."""
    table = {}
    for month in (str(one) for one in pd.period_range("2020-01", last, freq="M")):
        watch, judge, promote = (
            loop.journal.find(month, step) or {} for step in ("watch", "judge", "promote")
        )
        noes = "; ".join(f"{name}: {found}" for name, found in judge.get("noes", {}).items())
        row = {"RMSE": f"{watch['rmse']:.2f}", "drifted columns": len(watch["drifted"])}
        table[month] = row | {"gate": noes or "all yes" * bool(judge), "then": promote.get("said", "")}
    return pd.DataFrame(table).T


def lived(loop: Loop, trips: pd.DataFrame) -> np.ndarray:
    """The answers of whoever was champion when each trip began, by the loop's own diary (canaries left out)."""
    answers, days = loop.answers_of("first", trips), trips["pickup_datetime"]
    for one in loop.journal.lines():
        if one["step"] == "promote" and one["said"].startswith("champion"):
            since = (days >= f"{pd.Period(one['month']) + 1}-11").to_numpy()
            answers = np.where(since, loop.answers_of(one["month"], trips), answers)
    return answers

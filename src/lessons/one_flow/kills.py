"""Processes that die: at a named place of a script, or by a real kill while they hold a lock."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from projects.capstone.state import CapstoneError, Settings, State
from walkforward.prediction_log import PredictionLog

LOCK_FILE = "running"
HOLDS = """
import sys, time
from lessons.one_flow.kills import LOCK_FILE, begin
state = begin(sys.argv[1])
with state.locked():
    state.file(LOCK_FILE).touch(exist_ok=False)
    print("held", flush=True)
    time.sleep(600)
"""


class Killed(BaseException):
    """The process ends here: as after a power cut, nobody catches it."""


def dies_at(place: str) -> Callable[[str], None]:
    """Return a `kill` that raises at this place, and passes every other."""

    def kill(where: str) -> None:
        if where == place:
            raise Killed

    return kill


def begin(folder: str | Path) -> State:
    """The state of a flow in a folder, which takes nothing in and waits for no lock."""

    def nothing(*month: str) -> None:
        raise NotImplementedError

    return State(Path(folder), Settings("2020-04"), nothing, nothing, patience=0)


def ends(
    month: Callable[[Path, str, Callable[[str], None]], None],
    places: Sequence[str],
    client: Any,
    folder: Path,
) -> pd.DataFrame:
    """What there is after a kill at each place and a second start: a row a place, each in a folder of its own."""
    table = {}
    for place in places:
        at, name = folder / f"{month.__name__} {place}", f"{month.__name__}, {place}"
        at.mkdir()
        client.create_registered_model(name)
        try:
            month(at, name, dies_at(place))
        except Killed:
            month(at, name, dies_at("nowhere"))
        pace = client.get_model_version_by_alias(name, "champion").tags["pace"]
        made = len(client.search_model_versions(f"name = '{name}'"))
        row = {"trips": len(pd.read_csv(at / "taken.csv")), "answers": answers_in(at), "versions": made}
        table[place] = row | {"champion's pace": pace}
    return pd.DataFrame(table).T


def answers_in(at: Path) -> int:
    """How many answers a month's folder has, in a log of the course or in lines of text."""
    if (at / "answers.db").exists():
        return len(log_in(at / "answers.db"))
    return len(pd.read_csv(at / "answers.csv", header=None))


def log_in(file: Path) -> pd.DataFrame:
    """All that a log of answers holds."""
    with contextlib.closing(PredictionLog(file)) as log:
        return log.read()


def after_a_kill(folder: Path) -> dict[str, str]:
    """Kill a process that holds a lock file and a lock of the system; say which of them is still taken."""
    child = subprocess.Popen([sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        held = child.stdout.readline()
        child.kill()
    if held != "held\n":
        raise RuntimeError("the process ended before it held its locks")
    state = begin(folder)
    told = {"lock file": "taken, and will be" if state.file(LOCK_FILE).exists() else "free"}
    try:
        with state.locked():
            told["lock of the system"] = "free"
    except CapstoneError:
        told["lock of the system"] = "taken"
    return told

"""The engine: a month's steps in order, each once, and the months one after the other; and the diary."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from projects.capstone.state import STEPS, CapstoneError, State, told_plainly

EARLIEST = "2018-01"  # of the course's trips


def do(state: State, month: str, step: str) -> dict[str, Any]:
    """Do one step if it is not in the journal yet; whoever runs a step, in whatever process, comes here."""
    with told_plainly(f"{month}, {step}", state.folder), state.locked():
        told = state.journal.find(month, step)
        if told:
            return told
        wanted = next((one for one in STEPS if not state.journal.find(month, one)), step)
        if wanted != step:
            raise CapstoneError(f"{month}: {wanted} comes before {step}: give the month as a whole")
        from projects.capstone.steps import DO  # not before: what it imports takes seconds

        state.at = f"{step} of {month}"
        state.kill(f"before {state.at}")
        begun = time.perf_counter()
        told = DO[step](state, month)
        told["seconds"] = round(time.perf_counter() - begun, 2)
        state.kill(f"after {state.at}")  # done, and not written down yet
        state.journal.write(month, step, told)
    return state.journal.find(month, step)


def needed(state: State, month: str, earliest: str = EARLIEST) -> list[str]:
    """The months to be run for this one to be whole: itself, and before the first those that fill its window.

    Raises: CapstoneError, when a month between is not there.
    """
    first = state.settings.first
    if month < first:
        raise CapstoneError(f"this state begins with {first}: name another folder with --state for {month}")
    warm = [str(one) for one in pd.period_range(pd.Period(first) - 3, pd.Period(first) - 1, freq="M")]
    warm = [one for one in warm if one >= earliest]
    before = [str(one) for one in pd.period_range(first, month, freq="M")][:-1]
    for one in before:
        if not state.journal.find(one, STEPS[-1]):
            raise CapstoneError(f"{one} has not been run: run it first, or --from {one} --to {month}")
    return [*warm, month]


def run(state: State, month: str) -> dict[str, dict[str, Any]]:
    """Do what is missing of a month; return its lines by step."""
    for one in needed(state, month):
        for step in STEPS:
            do(state, one, step)
    return state.journal.of(month)


def backfill(state: State, first: str, last: str, told: Callable[[str], None] = lambda line: None) -> None:
    """Run the months in order, and tell each one's line of the diary."""
    for month in (str(one) for one in pd.period_range(first, last, freq="M")):
        run(state, month)
        told(line(diary(state).set_index("month").loc[month]))


@contextlib.contextmanager
def stopped_at_once() -> Iterator[None]:
    """End at Ctrl-C as by a kill, which leaves nothing half: raised in XGBoost, it breaks the process."""

    def stop(number: int, frame: Any) -> None:
        os.write(2, b"Stopped. The same command goes on.\n")
        os._exit(130)

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def diary(state: State) -> pd.DataFrame:
    """A row a month: what came, what was seen, what was decided and done."""
    return pd.DataFrame(list(_rows(state)))


def _rows(state: State) -> Iterator[dict[str, Any]]:
    for month in state.journal.months():
        done = state.journal.of(month)
        if STEPS[-1] not in done or month < state.settings.first:
            continue
        seen, made, passed = done["monitor"], done["train"], done["gate"]
        yield {
            "month": month,
            "trips": done["validate"]["taken"],
            "aside": done["validate"]["aside"],
            "error": seen.get("error"),
            "canary": done["canary"].get("said", ""),
            "alarm": ", ".join(seen.get("drifted", [])),
            "decision": decision(done),
            "champion": done["canary"]["champion"] or done["deploy"].get("champion") or "",
            "demand": made["demand"]["kind"],
            "demand error": seen.get("demand", {}).get("error"),
            "demand naive": seen.get("demand", {}).get("naive"),
            "demand gate": "; ".join(passed.get("demand", {}).values()),
        }


def decision(done: dict[str, dict[str, Any]]) -> str:
    """What a month has come to, in words."""
    if not done["train"]["trips"]:
        return "kept"
    if noes := done["gate"]["noes"]:
        return "refused: " + "; ".join(f"{name} {found}" for name, found in noes.items())
    began = done["deploy"]
    return (
        f"version {began['champion']} answers"
        if "champion" in began
        else f"version {began['canary']} is a canary"
    )


def line(row: pd.Series) -> str:
    """A month of the diary in one line."""
    error = "     " if pd.isna(row["error"]) else f"{row['error']:5.2f}"
    what = "; ".join(
        filter(None, [row["canary"], row["alarm"] and f"drift of {row['alarm']}", row["decision"]])
    )
    return f"{row.name}  {error} min  champion {row['champion'] or '-':>2}  {row['demand']:7}  {what}"

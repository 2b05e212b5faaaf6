"""What `walkforward capstone` does, once the command line is read."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from course.data import LAST_MONTH, load_ridership, load_trips, months
from projects.capstone import loop
from projects.capstone.policies import POLICIES
from projects.capstone.state import STEPS, CapstoneError, Settings, State, opened, read_settings

HERE = Path(__file__).resolve().parent
REVIEW = {
    "month": "2020-06",
    "question": "data",
    "limit": {"mph": [8.5, 18.0]},
    "who": "the person on call",
    "why": "between the same zones trips are as long as in January, and quicker: the streets are empty",
}


def taken_up(folder: str | Path, **wanted: Any) -> State:
    """The course's flow in a folder: the one that was begun there, or a new one."""
    quiet()
    file = Path(folder) / "settings.json"
    if not wanted and not file.exists():
        raise CapstoneError(
            f"there is no flow in {folder}: begin one with walkforward capstone --state {folder}"
        )
    with loop.told_plainly(str(folder)):
        known = read_settings(file) if file.exists() else {}
    settings = Settings(**({"reviews": (REVIEW,)} | known | wanted))
    return opened(
        Path(folder), settings, load_trips, load_ridership, store=os.environ.get("CAPSTONE_STORE", "")
    )


def quiet() -> None:
    """No telemetry, no progress, no warnings of libraries about libraries between the lines of the diary."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    warnings.filterwarnings("ignore", module="mlflow")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # our line is enough


def run(
    first: str | None,
    last: str | None,
    month: str | None,
    next_month: bool,
    state: str,
    policy: str | None,
    plant: str | None,
    engine: str,
    serve: bool,
    told: Callable[[str], None],
) -> None:
    """Run the months that are asked for, and tell a line for each. Raises: CapstoneError."""
    if month and (first or last or next_month) or next_month and (first or last):
        raise CapstoneError("--month, --next and --from/--to exclude each other: give one of them")
    if policy is not None and policy not in POLICIES:
        raise CapstoneError(f"there is no policy {policy!r}: take one of {', '.join(POLICIES)}")
    if not state:
        raise CapstoneError("--state is empty: name a folder")
    with loop.told_plainly(state):  # a name may be too long, or in a folder that is not ours to read
        begun = (Path(state) / "settings.json").exists()
    wanted: dict[str, Any] = {"serve": serve} | ({"policy": policy} if policy else {})
    wanted |= {"planted": plant} if plant else {}
    for one in (first, last, month, plant):
        if one is not None:  # an empty one is a variable that was not set
            refuse_without_trips(one)
    if first and last:
        months(first, last)  # DataError when they are the wrong way round
    if not begun:
        wanted["first"] = first or month or loop.EARLIEST
        if plant and plant <= wanted["first"]:
            begins = f"the flow begins with {wanted['first']}"
            raise CapstoneError(f"no canary answers in {plant}: {begins}, plant in a later month")
    flow = taken_up(state, **wanted)
    if month or next_month:
        wanted_months = [month or following(flow)]
    else:
        wanted_months = months(first or flow.settings.first, last or LAST_MONTH)
    for one in wanted_months:
        refuse_without_trips(one)
        with loop.stopped_at_once():
            run_one(flow, one, engine)
        told(loop.line(loop.diary(flow).set_index("month").loc[one]))
    told(f"The pages are in {flow.file('pages')}")


def refuse_without_trips(month: str) -> None:
    """Raises: DataError for what is no month, CapstoneError for one that the course has no trips of."""
    months(month, month)
    if not loop.EARLIEST <= month <= LAST_MONTH:
        raise CapstoneError(f"no trips of {month}: the course has {loop.EARLIEST} to {LAST_MONTH}")


def run_one(flow: State, month: str, engine: str) -> None:
    """Run a month in this process, or as a run of Metaflow; then write its pages."""
    if engine == "metaflow":
        for one in loop.needed(flow, month):
            if not flow.journal.find(one, STEPS[-1]):
                by_metaflow(flow, one)
    else:
        loop.run(flow, month)
    from projects.capstone.pages import write

    if not flow.file("pages", f"{month}.html").exists():
        with loop.told_plainly(f"{month}, pages", flow.folder), flow.locked():
            write(flow, month)


def following(flow: State) -> str:
    """The first month that is not whole."""
    done = [one for one in flow.journal.months() if flow.journal.find(one, STEPS[-1])]
    done = [one for one in done if one >= flow.settings.first]
    return str(pd.Period(done[-1]) + 1) if done else flow.settings.first


def by_metaflow(flow: State, month: str, *words: str) -> None:
    """Run a month as a run of Metaflow, which keeps its own files in the state. Raises: CapstoneError."""
    if os.name == "nt":
        raise CapstoneError("Metaflow does not run on Windows: leave --engine out")
    command = [sys.executable, str(HERE / "flow.py"), "--no-pylint", "--quiet", *(words or ("run",))]
    if not words:
        command += ["--month", month, "--state", str(flow.folder)]
    done = subprocess.run(command, cwd=flow.folder, env=surroundings(flow), capture_output=True, text=True)
    if done.returncode:
        lines = [one for one in (done.stdout + done.stderr).splitlines() if "CapstoneError" in one]
        why = lines[-1].partition("CapstoneError: ")[2] if lines else done.stderr[-300:]
        raise CapstoneError(f"Metaflow's run of {month} failed: {why}")


def surroundings(flow: State) -> dict[str, str]:
    """The variables of a run of Metaflow: its files in the state, a user, no telemetry of anybody."""
    from course.servers import base_environment

    return base_environment() | {
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(flow.folder),
        "METAFLOW_USER": "capstone",
        "USERNAME": "capstone",
        "PYTHONWARNINGS": "ignore",
    }

"""Ten challengers for lesson 08c: two that are sound, and one of each kind of fault."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from projects.release_gate import gate
from projects.release_gate.release import TRAIN, XGBOOST, Release, build

GATE = Path(gate.__file__).resolve().parent
FEATURES = "    return columns.assign(hour=pickup.hour, weekday=pickup.dayofweek).astype(float)\n"
TREES = "n_estimators=100, max_depth=5, learning_rate=0.1"
FIT = "    return model.fit("


def _with(*changes: tuple[str, str]) -> str:
    """The usual source with these changes, each in one place."""
    source = TRAIN
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


SCALED = FEATURES.replace(
    "    return columns",
    '    columns["trip_distance"] /= columns["trip_distance"].mean()  # without a unit\n    return columns',
)
HOLIDAYS = FEATURES.replace(
    "    return columns.assign(",
    "    free = holidays.US(years=range(1900, 2101))  # the calendar\n"
    "    columns = columns.assign(free=[day in free for day in pickup.date])\n"
    "    return columns.assign(",
)
SOME = "    trips = trips.sample(frac=0.8)  # faster\n"
NIGHT = '    trips = trips[trips["pickup_datetime"].dt.hour >= 6]  # the night is noise\n'
SOURCES = {
    "one more month": TRAIN,
    "more trees": _with((TREES, "n_estimators=200, max_depth=5, learning_rate=0.1")),
    "saw May": TRAIN,
    "scaled by batch": _with((FEATURES, SCALED)),
    "fewer trees": _with((TREES, "n_estimators=50, max_depth=5, learning_rate=0.08")),
    "no nights": _with(("    model =", NIGHT + "    model =")),
    "with holidays": _with(("from xgboost", "import holidays\nfrom xgboost"), (FEATURES, HOLIDAYS)),
    "deep trees": _with((TREES, "n_estimators=150, max_depth=9, learning_rate=0.05")),
    "new driver": TRAIN,
    "no seed": _with(("    model =", SOME + "    model =")),
}
PACKAGES = {"new driver": ("psycopg",), "with holidays": ("holidays",)}


def challengers(folder: Path, trips: pd.DataFrame, judged: str) -> dict[str, Release]:
    """Build all of them below `folder`; they learn from what is known when the month `judged` begins."""
    known = trips[trips["dropoff_datetime"] < pd.Timestamp(judged)]
    seen = {"saw May": trips[trips["month"] <= judged]}
    np.random.seed(0)  # one notebook set the seed, and its train.py does not
    built = {}
    for name, source in SOURCES.items():
        packages = "pandas", XGBOOST, *PACKAGES.get(name, ())
        built[name] = build(folder / name.replace(" ", "_"), seen.get(name, known), source, packages)
    return built


def make(*targets: str, **variables: Path | str) -> tuple[str, bool]:
    """Run targets of the gate's Makefile as a pipeline does: what they print, and whether all succeeded.

    Where there is no make, the command is called that its targets call.
    """
    told = [f"{name}={value}" for name, value in variables.items()]
    called = ["make", "-k", "-s", *targets, f"PYTHON={Path(sys.executable).as_posix()}", *told]
    if shutil.which("make") is None:
        sides = [
            part
            for name in ("challenger", "champion", "rows")
            for part in (f"--{name}", str(variables[name.upper()]))
        ]
        called = [sys.executable, "-m", "projects.release_gate.gate", "ask", *targets, *sides]
    env = os.environ | {"PYTHONPATH": str(GATE.parents[1])}
    done = subprocess.run(called, cwd=GATE, env=env, capture_output=True, text=True, check=False)
    return done.stdout, done.returncode == 0

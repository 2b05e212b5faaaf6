"""What the capstone costs, at once, twice and more the trips, and what 36 months of it came to: on record beside this file.

`python -m lessons.tell_it.measured FOLDER` measures anew; FOLDER is the state of `walkforward capstone`, all months run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
RECORD = HERE / "measured.json"
CLOCKS = ["pickup_datetime", "dropoff_datetime"]
TIMES = [1, 2, 4, 8, 16]  # as many trips as the course's month has
FIRST, MONTHS = (
    "2018-04",
    ["2018-05", "2018-06"],
)  # the second and third month of a flow that retrains each month


def record() -> dict[str, Any]:
    """What was measured."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def needs() -> pd.DataFrame:
    """What a month needs, a row for each number of times the trips: CPU seconds, GB of memory, MB of disk."""
    rows = {
        int(times): [sum(one["seconds"].values()), one["memory"] / 1e9, sum(one["bytes"].values()) / 1e6]
        for times, one in record()["loads"].items()
    }
    return pd.DataFrame(rows, index=["CPU s", "memory GB", "disk MB"]).T.rename_axis("times the trips")


def steps() -> pd.DataFrame:
    """The CPU seconds of each step, a column for each number of times the trips."""
    return pd.DataFrame({int(times): one["seconds"] for times, one in record()["loads"].items()})


def diary() -> pd.DataFrame:
    """The 36 months: errors of the duration model and of a usual pace, what was decided, what a person did."""
    return pd.DataFrame(record()["months"]).set_index("month")


def lines(needed: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """For each column what one load more adds, and what is always needed, by least squares."""
    return {name: tuple(np.polyfit(needed.index, needed[name], 1).tolist()) for name in needed}


def interval(gain: pd.Series, block: int = 3, draws: int = 5_000) -> tuple[float, float]:
    """The 95 % interval of a mean of months; blocks of neighbouring months are drawn, in a circle."""
    values, rng = gain.to_numpy(), np.random.default_rng(0)
    starts = rng.integers(0, len(values), (draws, -(-len(values) // block)))
    drawn = (starts[:, :, None] + np.arange(block)).reshape(draws, -1)[:, : len(values)] % len(values)
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def against(ours: str, rule: str) -> list[float]:
    """Months, the mean errors of a model and of a rule on them, and the interval of their difference."""
    pair = diary()[[ours, rule]].dropna()
    return [len(pair), pair[ours].mean(), pair[rule].mean(), *interval(pair[ours] - pair[rule])]


def draw(needed: pd.DataFrame, limits: dict[str, float]) -> None:
    """Each need over its limit, by the load."""
    import matplotlib.pyplot as plt

    loads = np.geomspace(1, 5000, 60)
    for (name, (slope, fixed)), style in zip(lines(needed).items(), ("--", "-", "-."), strict=True):
        plt.plot(loads, (fixed + slope * loads) / limits[name], style, label=name)
    plt.axhline(1, color="black", linestyle=":")
    plt.axvline(needed.index[-1], color="grey", linewidth=0.8)
    plt.gca().set(xscale="log", yscale="log", xlabel="times today's trips", ylabel="need ÷ limit")
    plt.legend()


def heard(parts: list[tuple[str, float, str]], minute: float) -> int:
    """How many parts that a listener waits for have been told whole at this minute."""
    ends = np.cumsum([minutes for _, minutes, _ in parts])
    return sum(bool(known) and end <= minute for (_, _, known), end in zip(parts, ends, strict=True))


# Measuring ------------------------------------------------------------------------------------------------


def multiplied(raw: pd.DataFrame, times: int) -> pd.DataFrame:
    """As many copies of the trips, each a second later than the one before."""
    later = [
        raw.assign(**{name: raw[name] + pd.Timedelta(seconds=by) for name in CLOCKS}) for by in range(times)
    ]
    return pd.concat(later, ignore_index=True)


def load(times: int) -> dict[str, Any]:
    """Run five months with so many times the trips; what the last two needed on average. Give it a process of its own."""
    from course.data import load_ridership, load_trips
    from projects.capstone.command import quiet
    from projects.capstone.loop import do
    from projects.capstone.state import STEPS, Settings, opened

    quiet()
    settings = Settings(FIRST, policy="monthly", serve=False)
    with tempfile.TemporaryDirectory() as name:
        state = opened(
            Path(name), settings, lambda month: multiplied(load_trips(month), times), load_ridership
        )
        seconds = dict.fromkeys(STEPS, 0.0)
        for month in ["2018-01", "2018-02", "2018-03", FIRST, *MONTHS]:
            before = sizes(Path(name))
            for step in STEPS:
                begun = time.process_time()
                do(state, month, step)
                if month in MONTHS:
                    seconds[step] += (time.process_time() - begun) / len(MONTHS)
        grown = {one: size - before.get(one, 0) for one, size in sizes(Path(name)).items()}
    return {
        "seconds": {step: round(one, 3) for step, one in seconds.items()},
        "memory": peak(),
        "bytes": {one: size for one, size in grown.items() if size},
    }


def peak() -> int:
    """Bytes that this process held at most; on Linux not `ru_maxrss`, which begins at the parent's peak."""
    if sys.platform == "linux":
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def sizes(folder: Path) -> dict[str, int]:
    """The bytes of each file or folder in the state."""
    return {
        one.name: sum(
            file.stat().st_size for file in ([one] if one.is_file() else one.rglob("*")) if file.is_file()
        )
        for one in sorted(folder.iterdir())
    }


def lived(folder: Path) -> dict[str, Any]:
    """What 36 months came to, from the state's journal and its files."""
    from projects.capstone import loop
    from projects.capstone.command import taken_up

    state = taken_up(folder)
    seen = loop.diary(state).set_index("month")
    rows = []
    for month, row in seen.iterrows():
        done = state.journal.of(month)
        rows.append(
            {
                "month": month,
                "error": done["monitor"].get("error"),
                **naive(state, month),
                "demand": done["monitor"].get("demand", {}).get("error"),
                "last year": done["monitor"].get("demand", {}).get("naive"),
                "alarm": row["alarm"],
                "decision": row["decision"],
                "canary": row["canary"],
                "reviews": len(done["decide"].get("limits", [])),
            }
        )
    journal = state.file("journal.jsonl").read_bytes()
    return {
        "months": rows,
        "journal": {"lines": journal.count(b"\n"), "bytes": len(journal)},
        "disk": {one: size for one, size in sizes(Path(folder)).items() if size},
    }


def naive(state: Any, month: str) -> dict[str, float]:
    """The errors of two rules from the three months before, on the trips whose label is there: a pace, and a line by miles."""
    from projects.capstone.steps import begins, of_month, shifted

    known = [shifted(month, -back) for back in (3, 2, 1)]
    found = [of_month(state, one) for one in known if state.file("trips", one, "taken.parquet").exists()]
    if not found:
        return {}
    rows = pd.concat(found)
    rows = rows[rows["trip_distance"] > 0]
    pace = (rows["duration"] / rows["trip_distance"]).median()
    slope, start = np.polyfit(rows["trip_distance"], rows["duration"], 1)
    asked = of_month(state, month)
    late = pd.Timedelta(days=state.settings.label_days)
    asked = asked[asked["dropoff_datetime"] + late < begins(shifted(month, 1))]
    said = {
        "usual pace": pace * asked["trip_distance"],
        "line by miles": start + slope * asked["trip_distance"],
    }
    return {name: round(float((asked["duration"] - one).abs().mean()), 3) for name, one in said.items()}


def in_a_process(times: int) -> dict[str, Any]:
    """`load`, in a process of its own, so that the memory is that of this load."""
    command = [sys.executable, "-W", "ignore", "-m", "lessons.tell_it.measured", "--load", str(times)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ))
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    if sys.argv[1] == "--load":
        print(json.dumps(load(int(sys.argv[2]))))
    else:
        found = {"loads": {str(times): in_a_process(times) for times in TIMES}, **lived(Path(sys.argv[1]))}
        RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

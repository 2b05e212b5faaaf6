"""Measure a backtest on a cluster of worker processes, and panels beside mlforecast; print Markdown tables.

    python benchmarks/cluster.py                      everything: 1,000 series of 700 days, 8 folds
    python benchmarks/cluster.py --only scale panel   parts: scale, panel
    python benchmarks/cluster.py --small              64 series, one run: to try it
    python benchmarks/cluster.py --no-peers --write   without mlforecast; into the record and README.md

The series are the 20 stations of lesson 15c, redrawn in blocks of four weeks (`stations`). The local model is
a line with weekdays and two waves a year, by least squares; every fold trains one for each series.

scale: threads in one process against 1 and 2 worker processes that do one task at a time (two threads and
one slot each: with a single thread in all, joblib would not use the cluster). Wall seconds and CPU seconds
of all processes, medians of --runs; no cluster is open but the one that is measured. Efficiency is the wall
time of one worker over that of two, halved. `wire` is what client and scheduler send, `files` what the
workers read. One run loses a worker half way.
The simulation plays the measured length of each task, the measured seconds that driver and worker add to
it, and what can't be split, with 1 to 256 workers: it is no measurement, and it knows no slow network and
no slow start.

panel: CPU seconds and peak memory above what there was, each in a fresh process: local models and one global
model (XGBoost, lags and weekday), growing in series and in days, beside mlforecast in its own environment
(requirements-forecasting-peers-mlforecast.txt). "loop" is a linear regression on lags 7 and 14 for each
series, by one call a series in both.
"""

from __future__ import annotations

import argparse
import functools
import heapq
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shared

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "cluster.json"
BUILD = ROOT / "build" / "forecasting-peers"
WAYS = {"threads": 0, "1 worker": 1, "2 workers": 2}
HORIZON, WORKERS = 14, (1, 2, 4, 8, 16, 32, 64, 128, 256)
XGB: dict[str, Any] = {"n_estimators": 50, "max_depth": 4, "n_jobs": 1}


class Weekly:
    """A level, a slope, weekdays and two waves a year, by least squares; Prophet's interface."""

    def _columns(self, ds: pd.Series) -> np.ndarray:
        years = (ds.to_numpy() - self.start) / np.timedelta64(365, "D")
        waves = [wave(2 * np.pi * k * years) for k in (1, 2) for wave in (np.sin, np.cos)]
        return np.column_stack([years, *waves, np.eye(7)[ds.dt.dayofweek.to_numpy()]])

    def fit(self, frame: pd.DataFrame) -> Weekly:
        self.start = frame["ds"].to_numpy()[0]
        self.weights = np.linalg.lstsq(self._columns(frame["ds"]), frame["y"].to_numpy(), rcond=None)[0]
        return self

    def predict(self, future: pd.DataFrame) -> pd.DataFrame:
        return future[["ds"]].assign(yhat=self._columns(future["ds"]) @ self.weights)


def stations(number: int, days: int, seed: int = 0) -> pd.DataFrame:
    """Redraw the 20 stations: `number` series of their last days, blocks of four weeks moved by up to two.

    Weekdays and seasons stay. They test the machine; new stations they are not.
    """
    from course.data import load_stations

    wide = load_stations().pivot(index="ds", columns="unique_id", values="y").tail(days + 28)
    rng, shown = np.random.default_rng(seed), np.arange(days) + 14
    moves = 7 * rng.integers(-2, 3, size=(number, -(-days // 28)))
    at = shown + np.repeat(moves, 28, axis=1)[:, :days]
    y = wide.to_numpy()[at, (np.arange(number) % wide.shape[1])[:, None]]
    ids = np.repeat([f"s{i:05}" for i in range(number)], days)
    return pd.DataFrame({"unique_id": ids, "ds": np.tile(wide.index[shown], number), "y": y.ravel()})


# ---------------------------------------------------------------- scale
@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """A client of so many processes with one task at a time each; it is closed before its cluster."""
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 2, "resources": {"slot": 1}, "host": "127.0.0.1", "silence_logs": 50}
    with (
        LocalCluster(n_workers=workers, dashboard_address="127.0.0.1:0", **options) as made,
        Client(made) as client,
    ):
        yield client


def split(folds: int) -> Any:
    from walkforward.forecasting import WalkForwardSplit

    return WalkForwardSplit(HORIZON, folds)


def on_threads(frame: pd.DataFrame, folds: int) -> pd.DataFrame:
    from walkforward.forecasting import backtest

    return backtest(frame, Weekly, split(folds), n_jobs=1, progress=False)


def on_cluster(client: Any, frame: pd.DataFrame, folds: int) -> pd.DataFrame:
    import joblib

    from walkforward.forecasting import backtest

    with joblib.parallel_config(backend="dask", client=client, resources={"slot": 1}):
        return backtest(frame, Weekly, split(folds), progress=False)


def timed(run: Any, client: Any = None) -> tuple[pd.DataFrame, dict[str, float]]:
    """The forecasts; wall seconds, CPU seconds of this process and of the workers."""

    def cpu() -> float:
        return sum(client.run(time.process_time).values()) if client is not None else 0.0

    others, wall, own = cpu(), time.perf_counter(), time.process_time()
    out = run()
    found = {"wall": time.perf_counter() - wall, "driver_cpu": time.process_time() - own}
    return out, found | {"workers_cpu": cpu() - others}


def task_lengths(frame: pd.DataFrame, folds: int) -> tuple[list[float], float]:
    """CPU seconds of each task of a run on one thread, and of all that is no task."""
    from walkforward.forecasting import backtesting

    lengths, plain = [], backtesting._block

    def clocked(*arguments: Any) -> Any:
        before = time.process_time()
        out = plain(*arguments)
        lengths.append(time.process_time() - before)
        return out

    backtesting._block = clocked
    try:
        _, spent = timed(lambda: on_threads(frame, folds))
    finally:
        backtesting._block = plain
    return lengths, spent["driver_cpu"] - sum(lengths)


def alone(workers: int, frame: pd.DataFrame, folds: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """One way of running it, with no other cluster open: one that waits takes a tenth of a core."""
    if not workers:
        return timed(lambda: on_threads(frame, folds))
    with cluster(workers) as client:
        client.run(on_threads, frame[frame["unique_id"] <= "s00015"], 1)  # loads what is loaded late
        return timed(lambda: on_cluster(client, frame, folds), client)


def scale(options: argparse.Namespace) -> dict[str, Any]:
    """Threads, one worker, two workers, in turn; then what travels, and a worker lost half way."""
    frame = stations(options.series, options.days)
    plain, _ = alone(0, frame, options.folds)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    equal = dict.fromkeys(WAYS, True)
    for _ in range(options.runs):
        for name, workers in WAYS.items():
            out, spent = alone(workers, frame, options.folds)
            rounds[name].append(spent)
            equal[name] &= bool(out.equals(plain))
    with cluster(2) as two:
        wire = what_travels(two, frame, options.folds)
        half = float(np.median([row["wall"] for row in rounds["2 workers"]])) / 2
        lost = lose_one(two, frame, options.folds, half, plain)
    rows = {
        name: {key: float(np.median([one[key] for one in some])) for key in some[0]}
        for name, some in rounds.items()
    }
    lengths, serial = task_lengths(frame, options.folds)
    n, spent = len(lengths), rows["2 workers"]
    driver = max(spent["driver_cpu"] - serial, 0.0) / n
    worker = max(spent["workers_cpu"] - sum(lengths), 0.0) / n
    return {
        "series": options.series,
        "days": options.days,
        "folds": options.folds,
        "runs": options.runs,
        "rows": rows,
        "equal": equal,
        "efficiency": rows["1 worker"]["wall"] / rows["2 workers"]["wall"] / 2,
        "times_threads": rows["1 worker"]["wall"] / rows["threads"]["wall"],
        "cpu_times_threads": sum(spent[key] for key in ("driver_cpu", "workers_cpu"))
        / rows["threads"]["driver_cpu"],
        "wire": wire | {"tasks": n, "bytes_per_task": wire["sent"] / n},
        "lost": lost | {"times": lost["wall"] / spent["wall"]},
        "task": {"count": n, "mean": float(np.mean(lengths)), "sd": float(np.std(lengths))},
        "serial": serial,
        "overhead": {"driver": driver, "worker": worker},
        "simulation": {
            label: {str(w): efficiency(w, np.array(lengths) * times, serial, driver, worker) for w in WORKERS}
            for label, times in {"tasks as measured": 1, "tasks 50 times as long": 50}.items()
        },
    }


def efficiency(workers: int, lengths: np.ndarray, serial: float, driver: float, worker: float) -> float:
    """Simulated: what one process would need, over what so many workers need in all.

    The driver hands out one task after the other; the next free worker takes it. Then it collects.
    """
    free = [0.0] * workers
    handed = end = 0.0
    for length in lengths:
        handed += driver
        begin = max(heapq.heappop(free), handed)
        end = max(end, begin + length + worker)
        heapq.heappush(free, begin + length + worker)
    return float((serial + lengths.sum()) / (workers * (serial + end)))


def what_travels(client: Any, frame: pd.DataFrame, folds: int) -> dict[str, float]:
    """Bytes on the wire, in the files of one call, and of the frame as it would travel with each task."""
    import cloudpickle

    from lessons.the_cluster.wire import counted

    with tempfile.TemporaryDirectory() as folder:
        os.environ["JOBLIB_TEMP_FOLDER"], files, done = folder, [0], threading.Event()

        def look() -> None:
            while not done.wait(0.05):
                sizes = [f.stat().st_size for f in Path(folder).rglob("*") if f.is_file()]
                files.append(sum(sizes))

        looking = threading.Thread(target=look)
        looking.start()
        try:
            with counted() as sizes:
                on_cluster(client, frame, folds)
        finally:
            done.set()
            looking.join()
            del os.environ["JOBLIB_TEMP_FOLDER"]
    return {"sent": sum(sizes), "files": max(files), "frame": len(cloudpickle.dumps(frame))}


def lose_one(
    client: Any, frame: pd.DataFrame, folds: int, after: float, plain: pd.DataFrame
) -> dict[str, Any]:
    """One of two workers is killed `after` so many seconds."""
    import psutil

    (pid, *_) = client.run(os.getpid).values()
    killer = threading.Timer(after, psutil.Process(pid).kill)
    killer.start()
    try:
        out, spent = timed(lambda: on_cluster(client, frame, folds))
    finally:
        killer.cancel()
        killer.join()
    died = not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return {"wall": spent["wall"], "equal": bool(out.equals(plain)), "killed": died}


# ---------------------------------------------------------------- panel
def panel_task(tool: str, kind: str, file: str, folds: int) -> dict[str, float]:
    """CPU seconds, MB above what there was, and the error, in this process."""
    with np.load(file, allow_pickle=False) as data:
        ids, ds, y = data["ids"], pd.to_datetime(data["ds"]), data["y"]
    frame = pd.DataFrame({"unique_id": ids, "ds": ds, "y": y})
    run = {"walkforward": ours, "mlforecast": theirs}[tool](kind)
    run(frame[frame["unique_id"] <= sorted(set(ids))[1]], 1)  # a first call loads what is loaded late
    before, cpu = shared.memory("VmRSS"), time.process_time()
    error = run(frame, folds)
    return {"cpu": time.process_time() - cpu, "mb": shared.memory("VmHWM") - before, "mae": error}


def ours(kind: str) -> Any:
    from sklearn.linear_model import LinearRegression
    from xgboost import XGBRegressor

    from walkforward.forecasting import WalkForwardSplit, backtest

    def run(frame: pd.DataFrame, folds: int) -> float:
        go = functools.partial(backtest, splitter=WalkForwardSplit(HORIZON, folds), n_jobs=1, progress=False)
        if kind == "local":
            out = go(frame, Weekly)
        elif kind == "global":
            frame = frame.assign(weekday=frame["ds"].dt.dayofweek)
            out = go(frame, XGBRegressor(**XGB), lags=[7, 14, 28], known=["weekday"])
        else:
            each = [go(one, LinearRegression(), lags=[7, 14]) for _, one in frame.groupby("unique_id")]
            out = pd.concat(each)
        return float((out["y"] - out["yhat"]).abs().mean())

    return run


def theirs(kind: str) -> Any:
    from mlforecast import MLForecast
    from sklearn.linear_model import LinearRegression
    from xgboost import XGBRegressor

    def go(frame: pd.DataFrame, folds: int, models: Any, **options: Any) -> pd.DataFrame:
        made = MLForecast(models={"yhat": models}, freq="D", num_threads=1, **options)
        return made.cross_validation(frame, n_windows=folds, h=HORIZON, refit=True, static_features=[])

    def run(frame: pd.DataFrame, folds: int) -> float:
        if kind == "global":
            out = go(frame, folds, XGBRegressor(**XGB), lags=[7, 14, 28], date_features=["dayofweek"])
        else:
            parts = [one for _, one in frame.groupby("unique_id")]
            out = pd.concat([go(one, folds, LinearRegression(), lags=[7, 14]) for one in parts])
        return float((out["y"] - out["yhat"]).abs().mean())

    return run


def panel(options: argparse.Namespace) -> dict[str, Any]:
    """Growth in series and in days, and both tools beside each other; every figure in a fresh process."""
    most, days, folds = options.series, options.days, 3
    sizes = [(n, days) for n in (most // 4, most // 2, most)] + [
        (most // 4, days // 2),
        (most // 4, 2 * days),
    ]
    pythons = {"walkforward": sys.executable}
    if options.peers:
        requirements = ROOT / "benchmarks" / "requirements-forecasting-peers-mlforecast.txt"
        pythons["mlforecast"] = shared.environment(BUILD / "mlforecast", requirements)
    cases = [(tool, kind) for tool in pythons for kind in ("local", "global", "loop")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, length in sizes:
            file, frame = str(Path(folder, f"{number}-{length}.npz")), stations(number, length)
            ids = frame["unique_id"].to_numpy(dtype=str)
            np.savez(file, ids=ids, ds=frame["ds"].to_numpy("datetime64[ns]"), y=frame["y"].to_numpy())
            for tool, kind in cases:
                if kind == "local" and tool == "mlforecast":
                    continue  # it has no models of Prophet's interface
                command = [pythons[tool], __file__, "--task", tool, kind, file, str(folds)]
                got = subprocess.run(command, capture_output=True, text=True)
                row = {"tool": tool, "kind": kind, "series": number, "days": length, "folds": folds}
                answer = got.stdout.strip().splitlines()[-1:] if got.returncode == 0 else []
                failed = {"failed": got.stderr.strip()[-200:]}
                rows.append(row | (json.loads(answer[0]) if answer else failed))
                print(rows[-1], file=sys.stderr, flush=True)
    return {"days": days, "rows": rows}


# ---------------------------------------------------------------- tables
def tables(record: dict[str, Any]) -> str:
    """The record as one table."""
    lines = []
    if "scale" in record:
        found = record["scale"]
        for name, row in found["rows"].items():
            seconds = f"{row['wall']:.1f} s, {row['driver_cpu'] + row['workers_cpu']:.1f} CPU s"
            lines.append([name, seconds, f"same bits: {found['equal'][name]}"])
        wire, lost = found["wire"], found["lost"]
        lines += [
            ["efficiency of two workers", f"{found['efficiency']:.2f}", "at least .85"],
            ["one worker × threads", f"{found['times_threads']:.2f}", "at most 1.15"],
            ["sent for each task", f"{wire['bytes_per_task'] / 1e3:.1f} KB", f"{wire['tasks']} tasks"],
            ["read from files", f"{wire['files'] / 1e6:.1f} MB", f"the frame: {wire['frame'] / 1e6:.1f} MB"],
            ["a worker killed half way", f"× {lost['times']:.2f}", f"same bits: {lost['equal']}"],
        ]
        for label, curve in found["simulation"].items():
            shown = ", ".join(f"{w}: {curve[w]:.2f}" for w in curve if int(w) >= 8)
            lines.append([f"simulated efficiency, {label}", shown, "no measurement"])
    for row in record.get("panel", {}).get("rows", []):
        what = row.get("failed") or f"{row['cpu']:.1f} CPU s, {row['mb']:.0f} MB"
        error = f"MAE {row['mae']:.3f}" if "mae" in row else ""
        lines.append([f"{row['tool']}, {row['kind']}, {row['series']} × {row['days']}", what, error])
    return shared.table(["", "measured", ""], lines)


def main() -> None:
    """Measure the parts that are asked for, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=("scale", "panel"), default=("scale", "panel"))
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--days", type=int, default=700)
    parser.add_argument("--folds", type=int, default=8)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--task", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        tool, kind, file, folds = options.task
        print(json.dumps(panel_task(tool, kind, file, int(folds))))
        return
    if options.small:
        options.series, options.folds, options.runs = 64, 2, 1
    record = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for part in options.only:
        before = shared.machine()
        record[part] = {"scale": scale, "panel": panel}[part](options) | {"machine": before}
        if options.write and not options.small:
            RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if options.write and not options.small:
        shared.put("cluster", tables(record))
    print(tables({part: record[part] for part in options.only}))


if __name__ == "__main__":
    main()

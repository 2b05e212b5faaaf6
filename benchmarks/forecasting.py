"""Measure walk-forward backtests beside the bare training and the peers; print Markdown tables.

    python benchmarks/forecasting.py                     everything; makes the peers' environments
    python benchmarks/forecasting.py --only speed guard  parts: speed, cores, curve, guard, accuracy
    python benchmarks/forecasting.py --tools bare walkforward    of the tools in speed
    python benchmarks/forecasting.py --h1 365 --runs 7   refits of H1, runs of everything that is timed
    python benchmarks/forecasting.py --small             two folds of everything, without the peers
    python benchmarks/forecasting.py --write             into results/forecasting.json and README.md

The series is the ridership of lesson 13, 5,698 days. The model is XGBoost with 200 trees of depth 4 on one
thread; its columns are the lags 1 to 14, then weekday, month, day of the year, holiday, day before and day
after one, which every tool gets ready-made. Two tasks, on the last days of the series, refitted at every fold
on all days before it: H14, 26 folds of 14 days, recursive; H1, `--h1` folds of one day.

speed: all tools take turns in one run, each in a process and (the peers) an environment of its own,
requirements-forecasting-peers-*.txt. "bare" is QuantileDMatrix and `xgboost.train` on a matrix that is ready;
it predicts nothing. × is the median over the runs of CPU seconds over those of bare in the same run. Extra
memory is how far the resident memory peaks above what it was before the task, less the same of bare, in a
fresh process. "loop" is the plain loop that rebuilds every table; the predictions are held against its own,
bit for bit. cores: the default (folds on all cores) against n_jobs=1. curve: one day ahead, the last 364
days: what refits, warm starts, bins and windows cost in seconds and MAE. guard: the cases of leak_cases.py.
accuracy: the published task for this station, see README.md. A tool that fails says so in the table.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import shared
from shared import memory, table

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "benchmarks" / "README.md"
RESULTS = ROOT / "benchmarks" / "results" / "forecasting.json"
BUILD = ROOT / "build" / "forecasting-peers"
PEERS = ("skforecast", "mlforecast", "darts", "sktime")
OURS = ("bare", "walkforward", "loop")
LAGS = 14
XGB: dict[str, Any] = {"n_estimators": 200, "max_depth": 4, "n_jobs": 1}
PUBLISHED = 1.508  # Kuhn and Johnson's boosted trees: RMSE in thousand rides, the mean of 52 folds
PARTS = ("speed", "cores", "curve", "guard", "accuracy")

Task = Callable[[int, int], np.ndarray | None]  # horizon, folds -> predictions in order of time


# ---------------------------------------------------------------- one series for all tools
def write_series(path: Path, days: int | None = None) -> None:
    """ds, y and the calendar as npz: not every peer can read Parquet."""
    from course.data import load_ridership
    from walkforward.forecasting import calendar_features

    frame = load_ridership().tail(days) if days else load_ridership()
    calendar = calendar_features(frame["ds"], "US")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        ds=frame["ds"].to_numpy(dtype="datetime64[ns]"),
        y=frame["y"].to_numpy(dtype=float),
        x=calendar.to_numpy(dtype=float),
        names=np.array(list(calendar)),
    )


class Series:
    """The series as arrays; `last` days of it for a first call that loads what a tool loads late."""

    def __init__(self, path: str, last: int | None = None) -> None:
        with np.load(path) as file:
            self.ds, self.y, self.x = (file[name][-last if last else 0 :] for name in ("ds", "y", "x"))
            self.names = [str(name) for name in file["names"]]

    def frame(self) -> pd.DataFrame:
        x = {name: self.x[:, i] for i, name in enumerate(self.names)}
        return pd.DataFrame({"ds": pd.to_datetime(self.ds), "y": self.y} | x)


# ---------------------------------------------------------------- tools: the same task in each
def bare(data: Series) -> Task:
    import xgboost

    n = len(data.y)
    lags = [np.r_[np.full(lag, np.nan), data.y[:-lag]] for lag in range(1, LAGS + 1)]
    ready = np.column_stack([*lags, data.x])
    options = {"max_depth": XGB["max_depth"], "nthread": 1}

    def run(horizon: int, folds: int) -> None:
        for end in range(n - horizon * folds, n, horizon):
            matrix = xgboost.QuantileDMatrix(ready[LAGS:end], data.y[LAGS:end], nthread=1)
            xgboost.train(options, matrix, XGB["n_estimators"])

    return run


def walkforward(data: Series, **options: Any) -> Task:
    from xgboost import XGBRegressor

    from walkforward.forecasting import WalkForwardSplit, backtest

    frame, model = data.frame(), XGBRegressor(**XGB)
    options = {"n_jobs": 1, "lags": LAGS, "known": data.names, "progress": False} | options

    def run(horizon: int, folds: int) -> np.ndarray:
        return backtest(frame, model, WalkForwardSplit(horizon, folds), **options)["yhat"].to_numpy()

    return run


def loop(data: Series, oldest_first: bool = False) -> Task:
    """The plain loop: every table is built anew for every fold, and for every day that is forecast."""
    from xgboost import XGBRegressor

    calendar = pd.DataFrame(data.x, columns=data.names, index=pd.to_datetime(data.ds))
    order = list(range(1, LAGS + 1))[:: -1 if oldest_first else 1]

    def table(y: pd.Series) -> pd.DataFrame:
        lags = {f"lag_{lag}": y.shift(lag) for lag in order}
        return pd.DataFrame(lags).join(calendar)

    def run(horizon: int, folds: int) -> np.ndarray:
        y, out = pd.Series(data.y, index=calendar.index), []
        for end in range(len(y) - horizon * folds, len(y), horizon):
            known = y.iloc[:end]
            rows = table(known).iloc[LAGS:]
            model = XGBRegressor(**XGB).fit(rows, known.iloc[LAGS:])
            for day in calendar.index[end : end + horizon]:
                known = pd.concat([known, pd.Series([np.nan], index=[day])])
                known.iloc[-1] = float(model.predict(table(known).iloc[[-1]])[0])
            out.append(known.iloc[end:].to_numpy())
        return np.concatenate(out)

    return run


def skforecast(data: Series) -> Task:
    from skforecast.model_selection import TimeSeriesFold, backtesting_forecaster
    from skforecast.recursive import ForecasterRecursive
    from xgboost import XGBRegressor

    index = pd.DatetimeIndex(data.ds, freq="D")
    y = pd.Series(data.y, index=index, name="y")
    exog = pd.DataFrame(data.x, columns=data.names, index=index)

    def run(horizon: int, folds: int) -> np.ndarray:
        cv = TimeSeriesFold(
            steps=horizon,
            initial_train_size=len(y) - horizon * folds,
            refit=True,
            fixed_train_size=False,
            verbose=False,
        )
        forecaster = ForecasterRecursive(estimator=XGBRegressor(**XGB), lags=LAGS)
        _, found = backtesting_forecaster(
            forecaster, y, cv, "mean_absolute_error", exog=exog, n_jobs=1, show_progress=False
        )
        return found["pred"].to_numpy()

    return run


def mlforecast(data: Series) -> Task:
    from mlforecast import MLForecast
    from xgboost import XGBRegressor

    first = pd.Timestamp(data.ds[0])
    frame = pd.DataFrame({"unique_id": "y", "ds": pd.to_datetime(data.ds), "y": data.y})

    def column(i: int, name: str) -> Callable[[pd.DatetimeIndex], np.ndarray]:
        def look_up(dates: pd.DatetimeIndex) -> np.ndarray:
            return data.x[(dates - first).days, i]

        look_up.__name__ = name
        return look_up

    # As date features the calendar stands after the lags, as in the other tools; as columns, before them.
    calendar = [column(i, name) for i, name in enumerate(data.names)]

    def run(horizon: int, folds: int) -> np.ndarray:
        model = MLForecast(
            models={"model": XGBRegressor(**XGB)},
            freq="D",
            lags=range(1, LAGS + 1),
            date_features=calendar,
        )
        found = model.cross_validation(
            frame, n_windows=folds, h=horizon, step_size=horizon, refit=True, static_features=[]
        )
        return found["model"].to_numpy()

    return run


def darts(data: Series) -> Task:
    from darts import TimeSeries
    from darts.models import XGBModel

    times = pd.DatetimeIndex(data.ds, freq="D")
    y = TimeSeries.from_times_and_values(times, data.y)
    calendar = TimeSeries.from_times_and_values(times, data.x, columns=data.names)

    def run(horizon: int, folds: int) -> np.ndarray:
        model = XGBModel(lags=LAGS, lags_future_covariates=[0], output_chunk_length=1, **XGB)
        found = model.historical_forecasts(
            y,
            future_covariates=calendar,
            start=len(data.y) - horizon * folds,
            start_format="position",
            forecast_horizon=horizon,
            stride=horizon,
            retrain=True,
            last_points_only=False,
            verbose=False,
        )
        return np.concatenate([part.values()[:, 0] for part in found])

    return run


def sktime(data: Series) -> Task:
    from sktime.forecasting.compose import make_reduction
    from sktime.forecasting.model_evaluation import evaluate
    from sktime.split import ExpandingWindowSplitter
    from xgboost import XGBRegressor

    index = pd.PeriodIndex(data.ds, freq="D")
    y, x = pd.Series(data.y, index=index), pd.DataFrame(data.x, columns=data.names, index=index)

    def run(horizon: int, folds: int) -> np.ndarray:
        cv = ExpandingWindowSplitter(
            fh=range(1, horizon + 1), initial_window=len(y) - horizon * folds, step_length=horizon
        )
        model = make_reduction(XGBRegressor(**XGB), window_length=LAGS, strategy="recursive")
        found = evaluate(model, cv, y, x, strategy="refit", return_data=True, error_score="raise")
        return np.concatenate([part.to_numpy() for part in found["y_pred"]])

    return run


TOOLS: dict[str, Callable[[Series], Task]] = {
    "bare": bare,
    "walkforward": walkforward,
    "loop": loop,
    "skforecast": skforecast,
    "mlforecast": mlforecast,
    "darts": darts,
    "sktime": sktime,
}


# ---------------------------------------------------------------- one process: one tool
def clocked(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """The result, CPU seconds of the whole process, seconds on the wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return found, time.process_time() - cpu, time.perf_counter() - wall


def serve(name: str, path: str) -> None:
    """In a tool's environment: a line of JSON in, one out, until the input ends."""
    warnings.filterwarnings("ignore")
    out = os.fdopen(os.dup(1), "w")  # what the tool prints itself goes to stderr
    os.dup2(2, 1)
    with contextlib.redirect_stdout(io.StringIO()):
        TOOLS[name](Series(path, last=300))(1, 2)
        TOOLS[name](Series(path, last=300))(14, 2)
        task = TOOLS[name](Series(path))
    print(json.dumps({"ready": True}), file=out, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak of the resident memory starts anew
        before = memory("VmRSS")
        with contextlib.redirect_stdout(io.StringIO()):
            found, cpu, wall = clocked(lambda: task(order["horizon"], order["folds"]))  # noqa: B023
        answer = {"cpu": cpu, "wall": wall, "mb": memory("VmHWM") - before}
        if found is not None and order.get("save"):
            np.save(order["save"], np.asarray(found, dtype=float))
        print(json.dumps(answer), file=out, flush=True)


class Worker:
    """The other end of `serve`. An error there is raised here, with its last line."""

    def __init__(self, name: str, path: Path) -> None:
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
        self.log = (path.parent / f"{name}.log").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [interpreter(name), __file__, "--worker", name, str(path)],
            env=os.environ | threads | {"PYTHONHASHSEED": "0", "TQDM_DISABLE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            raise RuntimeError((self.log.read().strip().splitlines() or ["no word"])[-1][:120])
        return json.loads(line)

    def ask(self, **order: Any) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def interpreter(name: str) -> str:
    """The python of a tool's environment, which is made when it is missing."""
    if name not in PEERS:
        return sys.executable
    requirements = ROOT / "benchmarks" / f"requirements-forecasting-peers-{name}.txt"
    return shared.environment(BUILD / name, requirements)


# ---------------------------------------------------------------- speed
def speed(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Seconds, memory and predictions of all tools; a record after each task."""
    path = BUILD / ("small.npz" if options.small else "series.npz")
    write_series(path, 400 if options.small else None)
    tasks = {"H14": (14, 2 if options.small else 26), "H1": (1, 2 if options.small else options.h1)}
    record: dict[str, Any] = {"runs": options.runs, "folds": {k: folds for k, (_, folds) in tasks.items()}}
    record["tools"] = {name: {} for name in options.tools}
    workers: dict[str, Worker] = {}

    def failed(name: str, error: Exception) -> None:
        record["tools"][name] = {"failed": str(error)[:120]}
        say(f"{name}: {error}")

    for name in options.tools:  # one at a time: they load while nothing is measured
        try:
            workers[name] = Worker(name, path)
            workers[name].answer()
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            failed(name, error)
    for key, (horizon, folds) in tasks.items():
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in options.tools}
        mine = [name for name in options.tools if not (name == "sktime" and key == "H1")]  # twice as slow
        for number in range(options.runs):
            for name in mine:
                if "failed" in record["tools"][name]:
                    continue
                save = str(path.parent / f"{name}-{key}.npy")
                try:
                    rounds[name].append(workers[name].ask(horizon=horizon, folds=folds, save=save))
                except RuntimeError as error:
                    failed(name, error)
            say(f"{key}: run {number + 1} of {options.runs}")
        for name in mine:
            if "failed" in record["tools"][name]:
                continue
            record["tools"][name][key] = row = {
                what: float(np.median([run[what] for run in rounds[name]])) for what in ("cpu", "wall")
            }
            if "bare" in rounds and "failed" not in record["tools"]["bare"]:
                pairs = zip(rounds[name], rounds["bare"], strict=True)
                row["times"] = float(np.median([run["cpu"] / floor["cpu"] for run, floor in pairs]))
            with contextlib.suppress(RuntimeError):  # it has run already: without the figure, then
                row["mb_peak"] = peak(name, path, horizon, folds)
            if "mb_peak" in row and "mb_peak" in record["tools"].get("bare", {}).get(key, {}):
                row["mb"] = row["mb_peak"] - record["tools"]["bare"][key]["mb_peak"]
        agree(record["tools"], key, path)
        yield record
    for worker in workers.values():
        worker.close()


def peak(name: str, path: Path, horizon: int, folds: int) -> float:
    """MB above what there was, in a process that has done nothing else."""
    worker = Worker(name, path)
    try:
        worker.answer()
        return worker.ask(horizon=horizon, folds=folds)["mb"]
    finally:
        worker.close()


def agree(tools: dict[str, Any], key: str, path: Path) -> None:
    """Are the predictions the plain loop's, bit for bit? darts has the oldest lag first: so has its loop."""
    y = Series(str(path)).y
    found = {name: path.parent / f"{name}-{key}.npy" for name, row in tools.items() if key in row}
    for name, file in found.items():
        if name == "bare" or "loop" not in found:
            continue
        mine, plain = np.load(file), np.load(found["loop"])
        row = tools[name][key]
        row["mae"] = float(np.abs(mine - y[-len(mine) :]).mean())
        if name == "loop":
            continue
        if name == "darts":
            horizon = 14 if key == "H14" else 1
            plain = loop(Series(str(path)), oldest_first=True)(horizon, len(mine) // horizon)
        row["equal"] = bool(np.array_equal(mine, plain))
        row["largest difference"] = float(np.abs(mine - plain).max())


# ---------------------------------------------------------------- cores
def cores(options: argparse.Namespace) -> dict[str, Any]:
    """Wall seconds of the default and of n_jobs=1, in turn. XGBRegressor as it comes: n_jobs unset."""
    from xgboost import XGBRegressor

    from course.data import load_ridership
    from walkforward.forecasting import WalkForwardSplit, backtest

    frame = load_ridership()[["ds", "y"]]
    short = frame.tail(3 * 365)
    few, one = (2, 3) if options.small else (26, options.h1)
    cases: dict[str, tuple[pd.DataFrame, int, int, dict[str, Any]]] = {
        "H14": (frame, 14, few, {}),
        "H1": (frame, 1, one, {}),
        "H14, three years": (short, 14, few, {}),
        "H14, three years, 20 trees": (short, 14, few, {"n_estimators": 20}),
        "H14, two folds": (frame, 14, 2, {}),
        "H14, one fold": (frame, 14, 1, {}),
    }
    found: dict[str, Any] = {"runs": options.runs, "cases": {}}
    for key, (data, horizon, folds, trees) in cases.items():
        model = XGBRegressor(**({"n_estimators": 200, "max_depth": 4} | trees))
        walls: dict[int, list[float]] = {1: [], -1: []}
        cpus: dict[int, list[float]] = {1: [], -1: []}
        outs = {}
        for number in range(options.runs + 1):  # the first is a warm-up of two folds
            for jobs in (1, -1) if number % 2 else (-1, 1):
                split = WalkForwardSplit(horizon, folds if number else min(folds, 2))
                settings = {"n_jobs": jobs} if jobs == 1 else {}
                out, cpu, wall = clocked(
                    lambda s=split, o=settings, d=data, m=model: backtest(
                        d, m, s, lags=LAGS, calendar="US", progress=False, **o
                    )
                )
                if number:
                    walls[jobs].append(wall)
                    cpus[jobs].append(cpu)
                    outs[jobs] = out
        one_core, default = (float(np.median(walls[jobs])) for jobs in (1, -1))
        found["cases"][key] = {
            "folds": folds,
            "one": one_core,
            "default": default,
            "one_cpu": float(np.median(cpus[1])),
            "default_cpu": float(np.median(cpus[-1])),
            "times": float(np.median([a / b for a, b in zip(walls[1], walls[-1], strict=True)])),
            "equal": bool(outs[1].equals(outs[-1])),
        }
        say(f"cores: {key}")
    return found


# ---------------------------------------------------------------- curve
def warm_start(first: int, more: int) -> Any:
    """A regressor that goes on from the model trained before it, if there is one; folds come in order."""
    import xgboost
    from sklearn.base import BaseEstimator, RegressorMixin

    class WarmStart(RegressorMixin, BaseEstimator):
        booster: ClassVar[Any] = None  # of the class: every fold gets a clone

        def fit(self, x: np.ndarray, y: np.ndarray) -> Any:
            matrix = xgboost.QuantileDMatrix(x, y, nthread=1)
            before, options = type(self).booster, {"max_depth": XGB["max_depth"], "nthread": 1}
            rounds = more if before is not None else first
            type(self).booster = xgboost.train(options, matrix, rounds, xgb_model=before)
            return self

        def predict(self, x: np.ndarray) -> np.ndarray:
            return type(self).booster.inplace_predict(x)

    return WarmStart()


def curve(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds (wall, default cores) against MAE, one day ahead; each point changes one thing of the first."""
    from xgboost import XGBRegressor

    from course.data import load_ridership
    from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, backtest, score

    frame = load_ridership()[["ds", "y"]]
    days = 28 if options.small else 364
    trees = {"n_estimators": 5 if options.small else 200, "max_depth": 4}

    def model(**more: Any) -> Callable[[], Any]:
        return lambda: XGBRegressor(**trees | more)

    years = {f"window of {n} year{'s' * (n > 1)}": 365 * n for n in (1, 2, 4, 8)}
    points: dict[str, tuple[Callable[[], Any], dict[str, Any], dict[str, Any]]] = {
        "refit every 7th day, all years, 256 bins": (model(), {"refit": 7}, {}),
        "refit every day": (model(), {"refit": True}, {}),
        "refit every 28th day": (model(), {"refit": 28}, {}),
        "never refit": (model(), {"refit": False}, {}),
        "warm start, 5 trees a day": (lambda: warm_start(trees["n_estimators"], 5), {"n_jobs": 1}, {}),
        "warm start, 20 trees every 7th day": (
            lambda: warm_start(trees["n_estimators"], 20),
            {"refit": 7, "n_jobs": 1},
            {},
        ),
        "64 bins": (model(max_bin=64), {"refit": 7}, {}),
        "16 bins": (model(max_bin=16), {"refit": 7}, {}),
        **{
            name: (model(), {"refit": 7}, {"window": "rolling", "max_train_size": n})
            for name, n in years.items()
        },
        "seasonal naive": (lambda: SeasonalNaive(7), {}, {}),
    }
    walls: dict[str, list[float]] = {name: [] for name in points}
    cpus: dict[str, list[float]] = {name: [] for name in points}
    found: dict[str, Any] = {"days": days, "runs": options.curve_runs, "points": {}}
    for number in range(options.curve_runs):
        for name, (make, call, window) in points.items():
            if number >= 3 and max(walls[name]) > 30:
                continue
            split = WalkForwardSplit(1, days, **window)
            features = {} if name == "seasonal naive" else {"lags": LAGS, "calendar": "US"}
            settings = {"progress": False} | features | call
            out, cpu, wall = clocked(lambda m=make, s=split, o=settings: backtest(frame, m(), s, **o))
            walls[name].append(wall)
            cpus[name].append(cpu)
            if not number:
                row = score(out).iloc[0]
                found["points"][name] = {"mae": float(row["mae"]), "rmse": float(row["rmse"])}
        say(f"curve: run {number + 1} of {options.curve_runs}")
    for name, row in found["points"].items():
        row |= {"wall": float(np.median(walls[name])), "cpu": float(np.median(cpus[name]))}
        row["runs"] = len(walls[name])
    return found


# ---------------------------------------------------------------- guard
def guard(options: argparse.Namespace) -> dict[str, Any]:
    """How many builders are told right, and milliseconds of a check of each."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from leak_cases import CASES, KNOWN

    from course.data import load_ridership
    from walkforward.forecasting import find_leaks

    frame = load_ridership()
    found: dict[str, Any] = {"runs": options.runs, "days": len(frame), "cases": {}}
    for case in CASES:
        walls, cpus = [], []
        for _ in range(options.runs):
            said, cpu, wall = clocked(lambda c=case: find_leaks(c.builder, frame, known=KNOWN))
            walls.append(1000 * wall)
            cpus.append(1000 * cpu)
        found["cases"][case.name] = {
            "leaks": case.leaks,
            "said": bool(said),
            "ms": float(np.median(walls)),
            "cpu_ms": float(np.median(cpus)),
        }
    rows = found["cases"].values()
    for key, leaks in (("leaking", True), ("honest", False)):
        mine = [row for row in rows if row["leaks"] is leaks]
        found[key] = {"right": sum(row["said"] is leaks for row in mine), "of": len(mine)}
    milliseconds = [row["ms"] for row in rows]
    found["ms"] = {"median": float(np.median(milliseconds)), "largest": float(np.max(milliseconds))}
    return found


# ---------------------------------------------------------------- accuracy
def known_14_days_ago(
    lags: tuple[int, ...] = (14, 21, 28),
    windows: tuple[int, ...] = (28,),
    country: str | None = "US",
    names: bool = False,
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A builder of features that are 14 days old, or known for years."""
    from walkforward.forecasting import calendar_features, lag_features

    def build(frame: pd.DataFrame) -> pd.DataFrame:
        past = lag_features(frame[["ds", "y"]], lags, dict.fromkeys(windows, "mean"), horizon=14)
        return pd.concat([past, calendar_features(frame["ds"], country, names=names)], axis=1)

    return build


TAUGHT = {
    "n_estimators": 500,
    "max_depth": 4,
    "learning_rate": 0.04,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "random_state": 0,
}


def accuracy(options: argparse.Namespace) -> dict[str, Any]:
    """RMSE (thousand rides) on the 52 published folds, 2014-09-01 to 2016-08-28, trained on all days before.

    `rmse` is the mean of the RMSE of each fold, as caret has it (the published figure); `rmse_days` is over
    all days at once. `rmse_before` is that of the 52 folds before these, on which the columns were chosen.
    """
    from xgboost import XGBRegressor

    from course.data import load_ridership
    from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, backtest, score

    frame = load_ridership()[["ds", "y"]]
    folds = 2 if options.small else 52
    trees = TAUGHT | ({"n_estimators": 20} if options.small else {})
    many, years = (14, 15, 16, 17, 18, 19, 20, 21, 28, 364), (7, 28, 364)
    builders = {
        "taught": known_14_days_ago(),
        "a column for each holiday's name": known_14_days_ago(names=True),
        "ten lags, means of 7, 28 and 364 days": known_14_days_ago(many, years),
        "lag 14 alone, with holidays": known_14_days_ago((14,), ()),
        "no holidays": known_14_days_ago(country=None),
        "lag 14 alone, no holidays": known_14_days_ago((14,), (), country=None),
    }
    found: dict[str, Any] = {"folds": folds, "published": PUBLISHED, "models": {}}
    models: dict[str, tuple[Any, Any]] = {
        name: (XGBRegressor(**trees), builder) for name, builder in builders.items()
    }
    models["the day 14 days before"] = (SeasonalNaive(14), None)
    for name, (model, builder) in models.items():
        rmse = {}
        for when, days in (("before", frame.iloc[: -14 * folds]), ("on them", frame)):
            out = backtest(days, model, WalkForwardSplit(14, folds), features=builder, progress=False)
            rmse[when] = float(score(out, by="cutoff")["rmse"].mean())
        total = score(out).iloc[0]
        found["models"][name] = {
            "rmse_before": rmse["before"],
            "rmse": rmse["on them"],
            "rmse_days": float(total["rmse"]),
            "mae": float(total["mae"]),
        }
        say(f"accuracy: {name}")
    found["first day"], found["last day"] = (f"{day:%Y-%m-%d}" for day in (out["ds"].min(), out["ds"].max()))
    return found


# ---------------------------------------------------------------- tables
def figure(row: dict[str, Any], key: str, digits: int = 2) -> str:
    value = row.get(key)
    return "" if value is None or value != value else f"{value:.{digits}f}"


def circumstances(found: dict[str, Any]) -> str:
    """How often and where: the second half of a table's title."""
    if "machine" not in found:
        return f"medians of {found['runs']} runs"
    where = found["machine"]
    text = f"medians of {found['runs']} runs ({where['processor']}, {where['cores']} cores, "
    return text + f"Python {where['python']}, load average {where['load_before']} before); {where['date']}"


def verdict(row: dict[str, Any]) -> str:
    if "equal" not in row:
        return ""
    return "the same bits" if row["equal"] else f"differ by up to {row['largest difference']:.3g}"


def speed_table(found: dict[str, Any]) -> str:
    keys = list(found["folds"])
    head = ["tool"]
    for key in keys:
        head += [f"{key} CPU s", "wall s", "× bare", "extra MB", "against the loop"]
    rows = []
    for name, tool in found["tools"].items():
        if "failed" in tool:
            rows.append([name, f"failed: {tool['failed']}", *[""] * (len(head) - 2)])
            continue
        row = [name]
        for key in keys:
            mine = tool.get(key, {})
            row += [figure(mine, "cpu"), figure(mine, "wall"), figure(mine, "times", 3)]
            row += ["" if name == "bare" else figure(mine, "mb", 1), verdict(mine)]
        rows.append(row)
    folds = ", ".join(f"{key} {n} refits" for key, n in found["folds"].items())
    return f"{folds}; the tools in turn, {circumstances(found)}:\n\n" + table(head, rows)


def cores_table(found: dict[str, Any]) -> str:
    rows = [
        [
            name,
            str(row["folds"]),
            figure(row, "one"),
            figure(row, "default"),
            figure(row, "times"),
            "yes" if row["equal"] else "no",
        ]
        for name, row in found["cases"].items()
    ]
    head = ["backtest", "folds", "n_jobs=1, wall s", "default, wall s", "× faster", "same forecasts"]
    return f"Both in turn, {circumstances(found)}:\n\n" + table(head, rows)


def curve_table(found: dict[str, Any]) -> str:
    rows = [
        [name, figure(row, "wall"), figure(row, "cpu"), figure(row, "mae", 3), figure(row, "rmse", 3)]
        for name, row in found["points"].items()
    ]
    title = f"One day ahead, the last {found['days']} days, thousand rides; {circumstances(found)}. "
    if few := {row["runs"] for row in found["points"].values()} - {found["runs"]}:
        title += f"What takes more than half a minute has {min(few)} runs. "
    title += "Each row changes one thing of the first:\n\n"
    return title + table(["", "wall s", "CPU s", "MAE", "RMSE"], rows)


def guard_table(found: dict[str, Any]) -> str:
    leaking, honest = (f"{found[key]['right']} of {found[key]['of']}" for key in ("leaking", "honest"))
    text = f"Leaking feature builders found: {leaking}; honest ones passed: {honest}. "
    text += f"A check of {found['days']:,} days takes {found['ms']['median']:.1f} ms (median; at most "
    slow = max(found["cases"], key=lambda name: found["cases"][name]["ms"])
    text += f"{found['ms']['largest']:.1f}, {slow}); {circumstances(found)}."
    wrong = [name for name, row in found["cases"].items() if row["leaks"] is not row["said"]]
    return text + (f" Wrong about: {', '.join(wrong)}." if wrong else "")


def accuracy_table(found: dict[str, Any]) -> str:
    rows = [["published: boosted trees (Kuhn and Johnson)", "", f"{found['published']:.3f}", "", ""]]
    rows += [
        [name, *(figure(row, key, 3) for key in ("rmse_before", "rmse", "rmse_days", "mae"))]
        for name, row in found["models"].items()
    ]
    title = (
        f"{found['folds']} folds of 14 days, {found['first day']} to {found['last day']}, thousand rides:\n\n"
    )
    return title + table(
        ["", "RMSE on the 52 folds before", "RMSE, mean of the folds", "RMSE of all days", "MAE of all days"],
        rows,
    )


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "speed": speed_table,
    "cores": cores_table,
    "curve": curve_table,
    "guard": guard_table,
    "accuracy": accuracy_table,
}


def marked(part: str, text: str, whole: str) -> str:
    """The README with the part between its marks replaced."""
    return shared.marked(f"forecasting {part}", f"\n{text}\n", whole)


def machine() -> dict[str, Any]:
    """What the seconds depend on."""
    return shared.machine() | {"date": time.strftime("%Y-%m-%d")}


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        return serve(*sys.argv[2:4])
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts")
    usual = [name for name in TOOLS if name != "sktime"]  # twice as slow as the others, and wrong
    parser.add_argument("--tools", nargs="+", choices=list(TOOLS), default=usual, help="in speed")
    parser.add_argument("--runs", type=int, default=5, help="of everything that is timed")
    parser.add_argument("--curve-runs", type=int, default=5, help="of a point of the curve (3 if long)")
    parser.add_argument("--h1", type=int, default=52, help="refits of H1 (365: a year)")
    parser.add_argument("--small", action="store_true", help="two folds of everything: does it work?")
    parser.add_argument("--write", action="store_true", help="results/forecasting.json and README.md")
    options = parser.parse_args()
    if options.small:
        options.runs = options.curve_runs = 1
        options.tools = [name for name in options.tools if name in OURS or "--tools" in sys.argv]

    def keep(part: str, found: dict[str, Any]) -> None:
        """Written after every part (speed: after every task), so that an interrupted run loses little."""
        if not options.write:
            return
        RESULTS.parent.mkdir(exist_ok=True)
        record = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        text = json.dumps(record | {part: found}, indent=1) + "\n"
        RESULTS.write_text(text, encoding="utf-8", newline="\n")
        whole = marked(part, TABLES[part](found), README.read_text(encoding="utf-8"))
        README.write_text(whole, encoding="utf-8", newline="\n")

    plain: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
        "cores": cores,
        "curve": curve,
        "guard": guard,
        "accuracy": accuracy,
    }
    for part in options.only:
        where = machine()
        for found in speed(options) if part == "speed" else (make(options) for make in [plain[part]]):
            keep(part, found := found | {"machine": where})
        print(f"\n{TABLES[part](found)}", flush=True)


if __name__ == "__main__":
    main()

"""Train every setting of one space once, and keep what each one cost and earned.

    python benchmarks/tuning.py                    print the tables
    python benchmarks/tuning.py --measure          train all settings first: 15 minutes on two cores
    python benchmarks/tuning.py --measure --limit 40    the first settings only, to try it out; writes nothing
    python benchmarks/tuning.py --windows          the best setting against more data, in 22 months
    python benchmarks/tuning.py --searches         four searches of this record, 24 seeds each: a minute
    python benchmarks/tuning.py --write            into README.md

The record, results/tuning.parquet, answers for each setting what a search would have waited for. So a search
can be repeated over hundreds of seeds in seconds, and with a budget of seconds that is the same everywhere.

The trips are lesson 04's: training January and February 2019, validation March, test April, and May as a
month that nobody chose by. The model is XGBoost on one thread, random_state 0. A setting is trained once with
the most trees and cut back to fewer: the first n trees of a longer training are the same trees.

Columns: the setting (learning_rate, max_depth, min_child_weight, subsample, colsample_bytree, n_estimators);
rmse_valid, rmse_test, rmse_fresh in minutes; seconds of processor time for the training; bytes of the model
as UBJSON; latency_us, the median of 200 predictions of one trip; part_00 … part_19, the RMSE on twentieths of
the validation month (some 490 trips each, drawn once, seed 0).

results/tuning_windows.parquet asks in each month from 2018-05 to 2020-02 what tuning buys and what data buys:
RMSE of the defaults and of the record's best setting, trained on the two months that end one month before the
test month (`earlier`: one month more at their beginning; `newer`: one at their end, the month that a search
chooses by).

results/tuning_searches.parquet holds searches that train nothing: each trial asks for a setting and gets
rmse_valid and seconds of the nearest one in the record. 24 seeds of 64 trials: a grid (two values of each
parameter, which the seed chooses), random search and TPE by hyperopt, TPE by Optuna.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from joblib import Parallel, delayed
from shared import machine, put, table
from sklearn.metrics import root_mean_squared_error

from course.data import load_trips, months, prepare_trips

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "tuning.parquet"
SEARCHES = RESULTS.with_name("tuning_searches.parquet")
WINDOWS = RESULTS.with_name("tuning_windows.parquet")
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
SPACE: dict[str, list[float]] = {
    "learning_rate": [0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5],
    "max_depth": [2, 3, 4, 6, 8, 10],
    "min_child_weight": [1, 5, 20, 80],
    "subsample": [0.5, 0.75, 1.0],
    "colsample_bytree": [0.6, 0.8, 1.0],
}
TREES = (50, 100, 200, 400)
PARTS = 20


def prepared(first: str, last: str) -> pd.DataFrame:
    """The trips of these months; the features are floats, the target is `duration` in minutes."""
    frame = prepare_trips(load_trips(months(first, last)))
    frame["hour"] = frame["pickup_datetime"].dt.hour
    frame["weekday"] = frame["pickup_datetime"].dt.dayofweek
    frame[FEATURES] = frame[FEATURES].astype(float)
    return frame


def trips() -> dict[str, pd.DataFrame]:
    """Training, valid, test and fresh trips."""
    frame = prepared("2019-01", "2019-05")
    month = frame["pickup_datetime"].dt.month
    return {
        "train": frame[month <= 2],
        "valid": frame[month == 3],
        "test": frame[month == 4],
        "fresh": frame[month == 5],
    }


class Clock(xgboost.callback.TrainingCallback):
    """The processor seconds since the start of the training, after each round."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def before_training(self, model: Any) -> Any:
        self.start = time.process_time()
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self.seconds.append(time.process_time() - self.start)
        return False


def latency(booster: xgboost.Booster, row: np.ndarray, calls: int = 200) -> float:
    """Microseconds of one prediction, the median."""
    taken = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        booster.inplace_predict(row)
        taken.append(time.perf_counter_ns() - start)
    return float(np.median(taken)) / 1000


def evaluate(setting: dict[str, float], data: dict[str, pd.DataFrame]) -> list[dict[str, float]]:
    """One row per number of trees."""
    setting = setting | {"max_depth": int(setting["max_depth"])}
    clock = Clock()
    model = xgboost.XGBRegressor(
        **setting, n_estimators=TREES[-1], n_jobs=1, random_state=0, callbacks=[clock]
    ).fit(data["train"][FEATURES], data["train"]["duration"])
    valid = data["valid"]
    part = np.random.default_rng(0).permutation(len(valid)) % PARTS
    rows = []
    for trees in TREES:
        booster = model.get_booster()[:trees]
        booster.set_param({"nthread": 1})
        row: dict[str, float] = {**setting, "n_estimators": trees}
        for name in ("valid", "test", "fresh"):
            yhat = model.predict(data[name][FEATURES], iteration_range=(0, trees))
            row[f"rmse_{name}"] = root_mean_squared_error(data[name]["duration"], yhat)
            if name == "valid":
                squares = (valid["duration"].to_numpy() - yhat) ** 2
        row["seconds"] = clock.seconds[trees - 1]
        row["bytes"] = len(booster.save_raw("ubj"))
        row["latency_us"] = latency(booster, valid[FEATURES].to_numpy()[:1])
        row |= {f"part_{i:02}": float(np.sqrt(squares[part == i].mean())) for i in range(PARTS)}
        rows.append(row)
    return rows


def measure(limit: int | None = None) -> pd.DataFrame:
    """Every setting; not in the order of the grid, so that a slow minute does not fall on one corner."""
    data = trips()
    settings = [dict(zip(SPACE, values, strict=True)) for values in itertools.product(*SPACE.values())]
    order = np.random.default_rng(0).permutation(len(settings))[:limit]
    # Processes, not threads: the processor time of a process is then that of one training.
    done = Parallel(n_jobs=2, verbose=5)(delayed(evaluate)(settings[index], data) for index in order)
    frame = pd.DataFrame(itertools.chain.from_iterable(done)).sort_values(
        [*SPACE, "n_estimators"], ignore_index=True
    )
    whole = {"max_depth": "int32", "min_child_weight": "int32", "n_estimators": "int32", "bytes": "int64"}
    rough = {c: "float32" for c in frame if c.startswith("part_") or c in ("seconds", "latency_us")}
    return frame.astype(whole | rough)


def best_setting(record: pd.DataFrame) -> dict[str, float]:
    """The setting with the lowest error in validation, as XGBoost takes it."""
    row = record.loc[record["rmse_valid"].idxmin(), [*SPACE, "n_estimators"]].to_dict()
    return row | {name: int(row[name]) for name in ("max_depth", "n_estimators")}


def window(frame: pd.DataFrame, test: pd.Period, best: dict[str, float]) -> dict[str, float]:
    """RMSE in one test month of the defaults and of the best setting, with the same trips and with more."""
    month = frame["pickup_datetime"].dt.to_period("M")
    spans = {"": (3, 2), "earlier": (4, 2), "newer": (3, 1)}
    row = {}
    for setting, values in {"defaults": {}, "best": best}.items():
        for more, (first, last) in spans.items():
            rows = frame[month.between(test - first, test - last)]
            model = xgboost.XGBRegressor(**values, n_jobs=1, random_state=0)
            model.fit(rows[FEATURES], rows["duration"])
            tested = frame[month == test]
            name = f"{setting}, {more}" if more else setting
            row[name] = root_mean_squared_error(tested["duration"], model.predict(tested[FEATURES]))
    return row


def windows() -> pd.DataFrame:
    """One row for each test month, from 2018-05 to 2020-02."""
    frame, best = prepared("2018-01", "2020-02"), best_setting(pd.read_parquet(RESULTS))
    tests = pd.period_range("2018-05", "2020-02", freq="M")
    return pd.DataFrame([window(frame, test, best) for test in tests], tests.astype(str)).rename_axis("month")


class Lookup:
    """The record as an objective: a setting gets the answer of the nearest one, and `trace` grows."""

    LOGARITHMIC = ("learning_rate", "min_child_weight", "n_estimators")

    def __init__(self, record: pd.DataFrame) -> None:
        self.names = [*SPACE, "n_estimators"]
        self.levels = {name: np.sort(record[name].unique()).astype(float) for name in self.names}
        rows = record[[*self.names, "rmse_valid", "seconds"]].astype(float).to_numpy()
        self.answers = {tuple(row[:6]): tuple(row[6:]) for row in rows}
        self.trace: list[tuple[float, ...]] = []

    def nearest(self, setting: dict[str, float]) -> tuple[float, ...]:
        """The values in the record nearest to this setting; by factor where the space is logarithmic."""
        key = []
        for name in self.names:
            scale = np.log if name in self.LOGARITHMIC else np.asarray
            key.append(self.levels[name][np.abs(scale(self.levels[name]) - scale(setting[name])).argmin()])
        return tuple(key)

    def __call__(self, setting: dict[str, float]) -> float:
        key = self.nearest(setting)
        self.trace.append((*key, *self.answers[key]))
        return self.trace[-1][-2]


def hyperopt_space() -> dict[str, Any]:
    """The space of lesson 04a."""
    from hyperopt import hp
    from hyperopt.pyll import scope

    log = np.log
    return {
        "learning_rate": hp.loguniform("learning_rate", log(0.01), log(0.5)),
        "max_depth": hp.uniformint("max_depth", 2, 10),
        "min_child_weight": hp.loguniform("min_child_weight", log(1), log(80)),
        "subsample": hp.uniform("subsample", 0.5, 1),
        "colsample_bytree": hp.uniform("colsample_bytree", 0.6, 1),
        "n_estimators": scope.int(hp.qloguniform("n_estimators", log(50), log(400), 10)),
    }


def optuna_setting(trial: Any) -> dict[str, float]:
    """The same space in Optuna."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.5, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 10),
        "min_child_weight": trial.suggest_float("min_child_weight", 1, 80, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.6, 1),
        "n_estimators": trial.suggest_int("n_estimators", 50, 400, log=True),
    }


def search(method: str, seed: int, lookup: Lookup, trials: int = 64) -> list[tuple[float, ...]]:
    """One search: values, error and seconds of each trial, in order."""
    import optuna
    from hyperopt import fmin, rand, tpe
    from sklearn.model_selection import ParameterGrid

    lookup.trace = []
    chance = np.random.default_rng(seed)
    if method == "grid":
        grid = {name: chance.choice(lookup.levels[name], 2, replace=False) for name in lookup.names}
        for setting in chance.permutation(list(ParameterGrid(grid)))[:trials]:
            lookup(setting)
    elif method == "Optuna":
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(lambda trial: lookup(optuna_setting(trial)), n_trials=trials)
    else:
        suggest = {"random": rand.suggest, "TPE": partial(tpe.suggest, verbose=False)}[method]
        quiet = {"verbose": False, "show_progressbar": False}
        fmin(lookup, hyperopt_space(), algo=suggest, max_evals=trials, rstate=chance, **quiet)
    return lookup.trace


def searches(seeds: range = range(24)) -> pd.DataFrame:
    """One row for each trial of each search."""
    lookup = Lookup(pd.read_parquet(RESULTS))
    rows = [
        (method, seed, number, *row)
        for method in ("grid", "random", "TPE", "Optuna")
        for seed in seeds
        for number, row in enumerate(search(method, seed, lookup), 1)
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "trial", *lookup.names, "rmse_valid", "seconds"])


def summary(record: pd.DataFrame) -> str:
    """Markdown: what the settings earn and cost, from the default to the whole grid."""
    default = record.query(
        "learning_rate == 0.3 and max_depth == 6 and min_child_weight == 1 and subsample == 1"
        " and colsample_bytree == 1 and n_estimators == 100"
    )
    best = record.loc[[record["rmse_valid"].idxmin()]]
    within = record[record["rmse_valid"] <= 1.01 * best["rmse_valid"].item()]
    rows = [
        ("XGBoost's defaults", default),
        ("lowest error in validation", best),
        ("cheapest to train within 1 % of it", within.loc[[within["seconds"].idxmin()]]),
        ("smallest within 1 % of it", within.loc[[within["bytes"].idxmin()]]),
        ("median of all", record.median(numeric_only=True).to_frame().T),
        ("worst", record.loc[[record["rmse_valid"].idxmax()]]),
    ]
    head = ["setting", "validation", "test", "fresh", "training s", "kB", "latency µs"]
    formats = {"rmse_valid": ".3f", "rmse_test": ".3f", "rmse_fresh": ".3f", "seconds": ".3f"}
    lines = []
    for name, frame in rows:
        row = frame.iloc[0]
        errors = [format(row[column], form) for column, form in formats.items()]
        lines.append([name, *errors, f"{row['bytes'] / 1000:,.0f}", f"{row['latency_us']:.0f}"])
    found = json.loads(RESULTS.with_suffix(".json").read_text(encoding="utf-8"))["machine"]
    better = (record["rmse_valid"] < default["rmse_valid"].item()).mean()
    above = (
        f"{len(record):,} settings, RMSE in minutes; {found['cores']} cores ({found['processor']}, "
        f"{found['system']}, Python {found['python']}, load average {found['load_before']} before). "
        f"{better:.0%} of the settings beat the defaults in validation, "
        f"{len(within) / len(record):.0%} are within 1 % of the best."
    )
    return f"{above}\n\n{table(head, lines)}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--measure", action="store_true")
    arguments.add_argument("--limit", type=int)
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--searches", action="store_true")
    arguments.add_argument("--windows", action="store_true")
    args = arguments.parse_args()
    if args.searches:
        searches().to_parquet(SEARCHES, compression="zstd", index=False)
        return
    if args.windows:
        windows().to_parquet(WINDOWS, compression="zstd")
        return
    if args.measure:
        before = machine()
        record = measure(args.limit)
        if args.limit is None:
            record.to_parquet(RESULTS, compression="zstd", index=False)
            text = json.dumps({"machine": before}, indent=1) + "\n"
            RESULTS.with_suffix(".json").write_text(text, encoding="utf-8")
        else:
            print(record.sort_values("rmse_valid").head(10).to_string())
            return
    text = summary(pd.read_parquet(RESULTS))
    print(text)
    if args.write:
        put("tuning", text)


if __name__ == "__main__":
    main()

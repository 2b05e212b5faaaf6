"""Train every setting of one space once, and keep what each one cost and earned.

    python benchmarks/tuning.py                    print the tables
    python benchmarks/tuning.py --measure          train all settings first: 15 minutes on two cores
    python benchmarks/tuning.py --measure --limit 40    the first settings only, to try it out; writes nothing
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
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
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


def trips() -> dict[str, pd.DataFrame]:
    """Training, valid, test and fresh trips; the features are floats, the target is `duration` in minutes."""
    frame = prepare_trips(load_trips(months("2019-01", "2019-05")))
    frame["hour"] = frame["pickup_datetime"].dt.hour
    frame["weekday"] = frame["pickup_datetime"].dt.dayofweek
    frame[FEATURES] = frame[FEATURES].astype(float)
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
    args = arguments.parse_args()
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

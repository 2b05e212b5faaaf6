"""Measure `walkforward serve` beside `mlflow models serve` for the kinds of models that are served most.

    python benchmarks/serving_kinds.py             three runs of each server in turn: some six minutes
    python benchmarks/serving_kinds.py --write     and put the medians into benchmarks/README.md and results/
    python benchmarks/serving_kinds.py --short     one run of a second each: does everything work?

Requests, connections and load generator as in serving.py: one trip a request, its answers held against the
pyfunc's before anything is measured.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from serving import BODIES, RUNGS, Ladder, Model, asked, parser, read, tell, trips
from shared import machine
from shared import table as markdown

SERVERS = {"stock": "mlflow models serve", "ours-pyfunc": "ours, --pyfunc", "ours": "ours"}
ZONES = ["pickup_location_id", "dropoff_location_id"]
NUMBERS = ["trip_distance", *ZONES, "hour", "weekday"]


def with_words(wanted: list[str]) -> Any:
    """Trips of some months: numbers, and the zones and the day as texts."""
    found = trips(wanted)
    words = {"from": "zone " + found[ZONES[0]].astype(str), "to": "zone " + found[ZONES[1]].astype(str)}
    words["day"] = found["pickup_datetime"].dt.day_name()
    return found.assign(**words)[[*NUMBERS, *words, "duration"]]


def kinds() -> dict[str, tuple[str, list[str], Callable[[], Any]]]:
    """By key: what it is, its columns, and what makes the model."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from xgboost import XGBRegressor

    ignore: dict[str, Any] = {"handle_unknown": "ignore"}
    words, whole = ["from", "to", "day"], [*ZONES, "hour", "weekday"]
    filled = make_pipeline(SimpleImputer(), StandardScaler())
    coded = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(**ignore))

    def ridge(encoder: Any, columns: list[str], numbers: Any) -> Callable[[], Any]:
        return lambda: make_pipeline(
            make_column_transformer((encoder, columns), (numbers, ["trip_distance"])), Ridge()
        )

    def forest(**settings: Any) -> Callable[[], Any]:
        return lambda: RandomForestRegressor(n_jobs=1, random_state=0, **settings)

    return {
        "onehot": (
            "one-hot encoding by name, ridge",
            ["trip_distance", *whole],
            ridge(OneHotEncoder(**ignore), whole, StandardScaler()),
        ),
        "texts": (
            "the same on texts",
            ["trip_distance", *words],
            ridge(OneHotEncoder(**ignore), words, StandardScaler()),
        ),
        "gaps": (
            "the same on texts, gaps filled",
            ["trip_distance", *words],
            ridge(coded, words, filled),
        ),
        "forest": ("random forest, depth 9", NUMBERS, forest(n_estimators=50, max_depth=9)),
        "large": ("random forest, fully grown", NUMBERS, forest(n_estimators=10)),
        "xgboost": (
            "XGBoost, 300 trees",
            NUMBERS,
            lambda: XGBRegressor(n_estimators=300, max_depth=6, n_jobs=1),
        ),
    }


def saved(folder: Path, key: str, months: list[str]) -> Model:
    """Train a kind, save it, and make the requests: trips of October 2019."""
    import mlflow

    _, columns, make = kinds()[key]
    train, rows = with_words(months), with_words(["2019-10"])[columns].drop_duplicates().head(BODIES)
    model = make().fit(train[columns], train["duration"])
    more: dict[str, Any] = {"signature": mlflow.models.infer_signature(rows, model.predict(rows))}
    more |= {"input_example": rows.head(5), "pip_requirements": ["scikit-learn", "xgboost"]}
    path = folder / key / "model"
    path.parent.mkdir()
    if key == "xgboost":
        mlflow.xgboost.save_model(model, path, **more)
    else:
        mlflow.sklearn.save_model(model, path, serialization_format="cloudpickle", **more)
    return asked(folder / key, str(path), rows)


def measured(model: Model, runs: int, seconds: float) -> tuple[dict[str, float], str]:
    """Answers a second of each server, medians of runs in turn, and what ours said at its start."""
    rungs = [rung for rung in RUNGS if rung.key in SERVERS]
    ladder = Ladder(model, rungs, keep=True)
    try:
        for _ in range(runs):
            for rung in rungs:
                ladder.measure(rung, seconds)
        log = model.folder / "ours" / "server.log"
        said = next(line for line in log.read_text(encoding="utf-8").splitlines() if "http://" in line)
    finally:
        ladder.close()
    if ladder.failed:
        raise SystemExit(f"{model.path}: {ladder.failed}")
    return {key: round(median(run["rps"] for run in of), 1) for key, of in ladder.runs.items()}, said


def table(kept: dict[str, Any]) -> str:
    """A record as Markdown: how it was measured, and a line a kind."""
    where = kept["machine"]
    head = ["model", *SERVERS.values(), "× mlflow", "× --pyfunc", "served by"]
    rows = []
    for kind in kept["kinds"]:
        rps = kind["rps"]
        times = [f"{rps['ours'] / rps[other]:.1f}" for other in ("stock", "ours-pyfunc")]
        by = kind["said"].partition("served by ")[2].partition(",")[0]
        rows.append([kind["name"], *(f"{rps[key]:,.0f}" for key in SERVERS), f"**{times[0]}**", times[1], by])
    how = f"Requests a second, medians of {kept['runs']} runs of {kept['seconds']:g} s in turn"
    on = f"on {where['cores']} cores ({where['processor']}, {where['system']}, load average"
    return f"{how} {on} {where['load_before']} before); {kept['date']}.\n\n{markdown(head, rows)}"


def main() -> int:
    """Run the command line; return the exit code."""
    keys = list(kinds())
    options = read(parser(__doc__, keys, runs=3, seconds=4), keys)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    where, found, months = machine(), [], ["2019-07", "2019-08", "2019-09"]
    with tempfile.TemporaryDirectory(prefix="walk-forward-", ignore_cleanup_errors=True) as name:
        for key in options.only:
            what = kinds()[key][0]
            rps, said = measured(saved(Path(name), key, months), options.runs, options.seconds)
            found.append({"key": key, "name": what, "rps": rps, "said": said.partition(": ")[2]})
            print(f"{what:<34}{rps}\n    {said}", file=sys.stderr, flush=True)
    kept = {"kinds": found, "runs": options.runs, "seconds": options.seconds, "machine": where}
    kept |= {"date": date.today().isoformat(), "command": "python benchmarks/serving_kinds.py --write"}
    tell(kept, table(kept), "serving_kinds.json", "serving-kinds", write=options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())

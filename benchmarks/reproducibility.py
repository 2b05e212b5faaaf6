"""One training, repeated with other threads, on other processors and with other library versions: what moves?

    python benchmarks/reproducibility.py                       print what is measured
    python benchmarks/reproducibility.py --only cost           parts: causes, cost
    python benchmarks/reproducibility.py --write               into results/reproducibility.json

Training: January and February 2019, the five features of lesson 03; test: April 2019; errors in minutes. Six
models, each with a fixed seed: `xgboost` (nothing is sampled), `xgboost, sampled` (80 % of the rows for each
tree), `histogram boosting` (scikit-learn's, which keeps a random tenth to stop early), `forest` (50 trees),
`linear`, and `network` (scaled inputs, one hidden layer of 32, 20 epochs). `dot product` is no model but a
metric: the training error of the mean, as `errors @ errors`. Every variant is a process of its own, and its
predictions are compared, value by value, with those of the reference: one thread, this environment, this
processor.

- threads: OMP_NUM_THREADS, OPENBLAS_NUM_THREADS and `n_jobs`. Twice with 2 threads, against each other.
- processor, a simulation on one machine: OPENBLAS_CORETYPE picks the kernels that another processor would
  get, and NPY_DISABLE_CPU_FEATURES takes away the instruction sets that it lacks. Other clocks, caches and
  compilers are not simulated, and neither is ARM.
- versions: environments of their own under build/, from requirements-reproducibility-*.txt.
- cost: seconds by the clock with 1 and with 2 threads, the best of five in turn, on all 36 months.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "reproducibility.json"
FOLDER = ROOT / "build" / "reproducibility"
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
REFERENCE = "reference"

NO_AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"
SIMULATED = {
    "processor with AVX-512": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "processor with AVX2": {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": NO_AVX512},
    "processor with SSE3 only": {
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": f"X86_V3 {NO_AVX512}",
    },
}
THREADS = {"2 threads": 2, "2 threads, again": 2, "4 threads": 4}
AGAINST = {"2 threads, again": "2 threads"}  # all others: the reference
VERSIONS = {"libraries of 2025": "2025", "libraries of 2023": "2023"}


# ---------------------------------------------------------------- one worker, in an old environment too
def models(threads: int) -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import LinearRegression
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBRegressor

    network = MLPRegressor(hidden_layer_sizes=(32,), max_iter=20, random_state=0)
    return {
        "xgboost": XGBRegressor(random_state=0, n_jobs=threads),
        "xgboost, sampled": XGBRegressor(random_state=0, n_jobs=threads, subsample=0.8),
        "histogram boosting": HistGradientBoostingRegressor(random_state=0),
        "forest": RandomForestRegressor(50, min_samples_leaf=5, random_state=0, n_jobs=threads),
        "linear": LinearRegression(),
        "network": make_pipeline(StandardScaler(), network),
    }


def work(data: str, answers: str, threads: int) -> dict[str, Any]:
    """Train all models; their predictions go into the file `answers`."""
    import warnings

    import numpy as np
    import sklearn
    import threadpoolctl
    import xgboost

    warnings.simplefilter("ignore")  # the network is stopped before it has converged, on purpose
    with np.load(data) as file:
        train_x, train_y, test_x, test_y = (file[name] for name in ("train_x", "train_y", "test_x", "test_y"))
    predictions, rows = {}, {}
    for name, model in models(threads).items():
        answer = np.asarray(model.fit(train_x, train_y).predict(test_x), dtype=float)
        predictions[name] = answer
        rows[name] = {
            "rmse": float(np.sqrt(np.mean((answer - test_y) ** 2))),
            "sha256": hashlib.sha256(answer.tobytes()).hexdigest()[:12],
        }
    errors = train_y - train_y.mean()
    predictions["dot product"] = np.array([np.sqrt(errors @ errors / len(errors))])
    rows["dot product"] = {"rmse": float(predictions["dot product"][0])}
    np.savez(answers, **predictions)
    kernels = {i.get("architecture") for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"}
    return {
        "models": rows,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "xgboost": xgboost.__version__,
        "kernels": sorted(str(kernel) for kernel in kernels),
        "first random number": float(np.random.default_rng(0).random()),
    }


def cost(data: str, threads: int) -> dict[str, float]:
    """Seconds by the clock of two trainings on all months."""
    import numpy as np
    from sklearn.ensemble import RandomForestRegressor
    from xgboost import XGBRegressor

    with np.load(data) as file:
        x, y = file["x"], file["y"]
    found = {}
    for name, model in {
        "xgboost": XGBRegressor(random_state=0, n_jobs=threads, subsample=0.8, n_estimators=200),
        "forest": RandomForestRegressor(10, min_samples_leaf=5, random_state=0, n_jobs=threads),
    }.items():
        started = time.perf_counter()
        model.fit(x, y)
        found[name] = time.perf_counter() - started
    return found


# ---------------------------------------------------------------- the parts
def save_data() -> tuple[Path, Path]:
    """The trips as plain arrays, which every environment reads: two months to train and one to test; all."""
    import numpy as np

    from course.data import FIRST_MONTH, LAST_MONTH, load_trips, months, prepare_trips

    FOLDER.mkdir(parents=True, exist_ok=True)
    trips = prepare_trips(load_trips(months(FIRST_MONTH, LAST_MONTH)))
    clock = trips["pickup_datetime"].dt
    x = trips.assign(hour=clock.hour, weekday=clock.dayofweek)[FEATURES].to_numpy(float)
    y = trips["duration"].to_numpy()
    # In the order of the months' files, as load_trips gives them to the lesson
    start = clock.strftime("%Y-%m")
    train, test = start.isin(["2019-01", "2019-02"]).to_numpy(), (start == "2019-04").to_numpy()
    small, large = FOLDER / "two_months.npz", FOLDER / "all_months.npz"
    np.savez(small, train_x=x[train], train_y=y[train], test_x=x[test], test_y=y[test])
    np.savez(large, x=x, y=y)
    return small, large


def call(python: str, task: str, *arguments: str, threads: int = 1, env: dict[str, str] | None = None) -> Any:
    """Run one worker in a process of its own and return what it prints."""
    pinned = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [python, str(Path(__file__)), "--worker", task, *arguments, str(threads)]
    # More threads than cores, waiting busily for each other, would take minutes.
    whole = os.environ | pinned | {"OMP_WAIT_POLICY": "PASSIVE"} | (env or {})
    done = subprocess.run(command, env=whole, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{task} {env or ''} failed:\n{done.stderr[-2_000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def causes(data: Path) -> dict[str, Any]:
    import numpy as np
    from shared import environment

    record: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:

        def answers(variant: str) -> str:
            return str(Path(folder) / f"{variant}.npz")

        def run(variant: str, python: str = sys.executable, **options: Any) -> None:
            record[variant] = call(python, "work", str(data), answers(variant), **options)
            against = AGAINST.get(variant, REFERENCE)
            with np.load(answers(variant)) as mine, np.load(answers(against)) as theirs:
                for name, row in record[variant]["models"].items():
                    row["largest difference"] = float(np.abs(mine[name] - theirs[name]).max())
                    row["bit-equal"] = bool((mine[name] == theirs[name]).all())
            differences = {n: row["largest difference"] for n, row in record[variant]["models"].items()}
            print(variant, differences)

        run(REFERENCE)
        run("the same again")
        for variant, threads in THREADS.items():
            run(variant, threads=threads)
        for variant, env in SIMULATED.items():
            run(variant, env=env)
        for variant, year in VERSIONS.items():
            requirements = ROOT / "benchmarks" / f"requirements-reproducibility-{year}.txt"
            run(variant, python=environment(FOLDER / year, requirements))
    return record


def costs(data: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for _ in range(5):
        for threads in (1, 2):
            for name, seconds in call(sys.executable, "cost", str(data), threads=threads).items():
                row = found.setdefault(name, {})
                row[str(threads)] = round(min(seconds, row.get(str(threads), seconds)), 2)
    print(found)
    return found


def difference(row: dict[str, Any]) -> str:
    """How far a variant's predictions are off; what is smaller than a thousandth of a minute, as a power."""
    if row["bit-equal"]:
        return "equal"
    largest = row["largest difference"]
    return f"{largest:.0e}" if largest < 1e-3 else f"{largest:.2f}"


def summary(record: dict[str, Any]) -> str:
    """Markdown: each variant's largest difference of one prediction; and what threads cost."""
    from shared import table

    shown = {name: row["models"] for name, row in record["causes"].items() if name != REFERENCE}
    names = list(record["causes"][REFERENCE]["models"])
    lines = []
    for variant, models in shown.items():
        label = f"{variant} (against the row above)" if variant in AGAINST else variant
        lines.append([label, *(difference(models[name]) for name in names)])
    found = record["machine"]
    above = (
        "*Equal* is every bit; a number is the largest difference of one prediction, in minutes "
        f"({found['processor']}, {found['cores']} cores, {found['system']}, Python {found['python']})."
    )
    spent = ", ".join(f"{name} {row['1']} and {row['2']} s" for name, row in record["cost"].items())
    below = f"Training on all 36 months with one and with two threads, by the clock, best of five: {spent}."
    return f"{above}\n\n{table(['', *names], lines)}\n\n{below}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=["causes", "cost"], default=["causes", "cost"])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        task, *arguments, threads = asked.worker
        print(json.dumps({"work": work, "cost": cost}[task](*arguments, int(threads))))
        return

    from shared import machine, put

    small, large = save_data()
    record = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if "causes" in asked.only:
        record["machine"] = machine()
        record["causes"] = causes(small)
    if "cost" in asked.only:
        record["cost_machine"] = machine()
        record["cost"] = costs(large)
    if asked.write:
        RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        put("reproducibility", summary(record))


if __name__ == "__main__":
    main()

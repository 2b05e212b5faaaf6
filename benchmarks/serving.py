"""Measure what a model server answers a second, step by step from MLflow's own server to `walkforward serve`.

    python benchmarks/serving.py               five runs of every rung in turn, medians: some ten minutes
    python benchmarks/serving.py --write       and put them into benchmarks/README.md and benchmarks/results/
    python benchmarks/serving.py --short       one run of a second each: does everything work?
    python benchmarks/serving.py --only ours,limit
    python benchmarks/serving.py --soak 30     half an hour at 80 % of the maximum: errors and memory

One row a request in MLflow's own protocol (`dataframe_split`), 200 different trips in turn, 32 connections.
The load generator (wrk; without it walkforward.loadtest) is on the same cores. Before a rung is measured its
answers to all 200 are held against the pyfunc's; a run with an error or another status than 200 is refused.
A rung that fails says so in the table and does not lose the others; Ctrl-C keeps what was measured. The last
figures are in build/benchmarks/. The first run makes an environment for MLServer in build/mlserver (730 MB).
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil
from shared import machine, put

from course.servers import HOST, QUIET, Server, ServerError, answers, base_environment, free_port
from walkforward.loadtest import closed_loop, open_loop

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DRAFTS, APPS = ROOT / "build" / "benchmarks", ROOT / "benchmarks" / "serving"
PEER, NEEDS = ROOT / "build" / "mlserver", ROOT / "benchmarks" / "requirements-mlserver.txt"
FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
CONNECTIONS, BODIES, TOLERANCE = 32, 200, 1e-5
WARM_UP = 120.0  # seconds of a soak before memory is compared
SAMPLE = 10.0  # seconds between two looks at the memory

Run = dict[str, float]


class Failed(Exception):
    """A rung can't be measured; one line says why."""


# What is served and asked


@dataclass
class Model:
    """The served model's folder, and requests (JSON, one row each) with the pyfunc's answers (minutes)."""

    folder: Path
    path: str
    bodies: list[bytes]
    expected: np.ndarray


def trips(wanted: Sequence[str]) -> Any:
    """Trips of some months, with the hour and the weekday that they began at."""
    from course import data

    found = data.prepare_trips(data.load_trips(list(wanted)))
    clock = found["pickup_datetime"].dt
    return found.assign(hour=clock.hour.astype("int64"), weekday=clock.weekday.astype("int64"))


def asked(folder: Path, path: str, rows: Any) -> Model:
    """The model in `path` with a request for each of some rows, and the pyfunc's answers to them."""
    import mlflow

    expected = mlflow.pyfunc.load_model(path).predict(rows)
    data = rows.to_numpy(object).tolist()
    values = [{"dataframe_split": {"columns": list(rows), "data": [row]}} for row in data]
    bodies = [json.dumps(value).encode() for value in values]
    return Model(folder, path, bodies, np.asarray(expected, float))


def train(folder: Path, trees: int = 300, months: tuple[str, str] = ("2019-07", "2019-09")) -> Model:
    """Train on trips, log to a store in `folder`; the requests are trips of October 2019."""
    import mlflow
    import xgboost

    from course import data

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    known = trips(data.months(*months))
    inputs = known[FEATURES].astype(float)
    rows = trips(["2019-10"])[FEATURES].astype(float).drop_duplicates().head(BODIES)
    model = xgboost.XGBRegressor(n_estimators=trees, max_depth=6, learning_rate=0.1, n_jobs=2)
    model.fit(inputs, known["duration"].astype(float))
    mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').as_posix()}")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("serving", (folder / "artifacts").as_uri()))
    signature = mlflow.models.infer_signature(inputs, model.predict(inputs))
    needs = [f"mlflow=={version('mlflow')}", f"xgboost=={xgboost.__version__}"]
    info = mlflow.xgboost.log_model(
        model, name="model", signature=signature, input_example=rows.head(5), pip_requirements=needs
    )
    path = mlflow.artifacts.download_artifacts(artifact_uri=info.model_uri, dst_path=str(folder / "served"))
    return asked(folder, path, rows)


def check(url: str, model: Model) -> None:
    """Ask each request once. Raises: Failed when an answer is not the pyfunc's."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or HOST, parts.port, timeout=30)
    found = []
    try:
        for body in model.bodies:
            connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise Failed(f"a request got status {answer.status}: {said[:100]!r}")
            found.append(json.loads(said)["predictions"][0])
    except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
        raise Failed(f"a request got no answer as MLflow's: {error!r}") from None
    finally:
        connection.close()
    apart = float(np.max(np.abs(np.asarray(found, float) / model.expected - 1)))
    if not apart < TOLERANCE:
        raise Failed(f"its answers are {apart:.1e} off the pyfunc's")


# The rungs


@dataclass(frozen=True)
class Rung:
    """A server to measure: `change` says what differs from the rung `over`."""

    key: str
    name: str
    change: str
    over: str | None
    command: Callable[[Path, str, int], list[str]]  # from a folder of its own, the model's path and the port
    ready: str = "/health"
    env: dict[str, str] = field(default_factory=lambda: ONE)
    constant: bool = False


def python(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def stock(workers: int) -> Callable[[Path, str, int], list[str]]:
    def command(_: Path, path: str, port: int) -> list[str]:
        serve = python("mlflow", "models", "serve", "--env-manager", "local", "--model-uri", path)
        return [*serve, "--host", HOST, "--port", str(port), "--workers", str(workers)]

    return command


def mlserver(workers: int) -> Callable[[Path, str, int], list[str]]:
    def command(folder: Path, path: str, port: int) -> list[str]:
        settings = {"host": HOST, "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings |= {"debug": False, "parallel_workers": workers}
        served = {"name": "model", "implementation": "mlserver_mlflow.MLflowRuntime"}
        served |= {"parameters": {"uri": path}}
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        (folder / "model-settings.json").write_text(json.dumps(served), encoding="utf-8")
        return [str(peer()), "-m", "mlserver.cli.main", "start", str(folder)]

    return command


def peer() -> Path:
    """Return the Python of MLServer's environment, made when it is missing. Raises: Failed."""
    interpreter = PEER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    made = PEER / "made-from.txt"
    if not made.exists() or made.read_bytes() != NEEDS.read_bytes():
        beside = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")
        uv = str(beside) if beside.exists() else shutil.which("uv")
        if uv is None:
            raise Failed("MLServer's environment needs uv: install it, or leave MLServer out with --only")
        print("making MLServer's environment in build/mlserver", file=sys.stderr, flush=True)
        for step in (["venv", "--clear", str(PEER)], ["pip", "install", "-r", str(NEEDS)]):
            options = ["--quiet", "--python", str(interpreter if step[0] == "pip" else sys.executable)]
            done = subprocess.run([uv, *step, *options], capture_output=True, text=True, check=False)
            if done.returncode:
                raise Failed(f"MLServer can't be installed: {(done.stderr.strip() or '?').splitlines()[-1]}")
        shutil.copy(NEEDS, made)
    return interpreter


def fastapi(app: str) -> Callable[[Path, str, int], list[str]]:
    options = ["--app-dir", str(APPS), "--no-access-log", "--log-level", "warning", "--host", HOST]
    return lambda _, path, port: python("uvicorn", f"{app}:app", *options, "--port", str(port))


def granian(app: str) -> Callable[[Path, str, int], list[str]]:
    options = ["--interface", "rsgi", "--http", "1", "--no-ws", "--loop", "asyncio", "--runtime-mode", "mt"]
    options += ["--no-log", "--backpressure", "65536", "--working-dir", str(APPS), "--host", HOST]
    return lambda _, path, port: python("granian", f"{app}:app", *options, "--port", str(port))


def ours(*options: str) -> Callable[[Path, str, int], list[str]]:
    serve = python("walkforward.serving")
    return lambda _, path, port: [*serve, path, "--host", HOST, "--port", str(port), *options]


# The pyfunc predicts with OpenMP on all cores. For one row that is dear, and dearer the busier the cores are:
# every rung but the first has one thread, so that no peer is compared with a handicap that one line removes.
ONE = {"OMP_NUM_THREADS": "1"}
READY = "/v2/models/model/ready"
RUNGS = [
    Rung("stock", "mlflow models serve", "MLflow's own server as it comes", None, stock(1), env={}),
    Rung(
        "stock-1",
        "mlflow models serve, 1 thread",
        "OMP_NUM_THREADS=1, as in all that follow",
        "stock",
        stock(1),
    ),
    Rung("stock-2", "mlflow models serve, 2 workers", "a second process", "stock-1", stock(2)),
    Rung(
        "mlserver-0", "MLServer, one process", "Seldon's server, same pyfunc", "stock-1", mlserver(0), READY
    ),
    Rung(
        "mlserver", "MLServer", "its default: predicts in a second process", "mlserver-0", mlserver(1), READY
    ),
    Rung(
        "fastapi", "FastAPI + pyfunc", "as tutorials have it, sync def", "stock-1", fastapi("fastapi_pyfunc")
    ),
    Rung(
        "granian",
        "Granian + pyfunc",
        "server in Rust, orjson, no threads",
        "fastapi",
        granian("granian_pyfunc"),
    ),
    Rung(
        "native", "Granian + XGBoost", "no DataFrame: inplace_predict", "granian", granian("granian_native")
    ),
    Rung("onnx", "Granian + ONNX Runtime", "compiled trees", "native", granian("granian_onnx")),
    Rung("ours", "walkforward serve", "validation, bounded queue, metrics", "onnx", ours("--workers", "1")),
    Rung("ours-2", "walkforward serve, 2 workers", "a second process", "ours", ours("--workers", "2")),
    Rung(
        "ours-pyfunc",
        "walkforward serve --pyfunc",
        "nothing compiled",
        "stock-1",
        ours("--pyfunc"),
    ),
    Rung(
        "limit",
        "Granian, constant answer",
        "the limit: no model",
        "ours",
        granian("granian_constant"),
        constant=True,
    ),
]
BARE = {"onnx": "ONNX Runtime", "native": "inplace_predict, one thread", "pyfunc": "pyfunc on a DataFrame"}


class Ladder:
    """The rungs' servers, started when first needed, and what was measured on them."""

    def __init__(self, model: Model, rungs: Sequence[Rung], keep: bool) -> None:
        self.model, self.rungs, self.keep = model, rungs, keep
        self.servers: dict[str, Server] = {}
        self.runs: dict[str, list[Run]] = {rung.key: [] for rung in rungs}
        self.failed: dict[str, str] = {}

    def server(self, rung: Rung) -> Server:
        """Return the rung's server, started and with its answers checked. Raises: Failed, ServerError."""
        if rung.key in self.servers:
            return self.servers[rung.key]
        folder = self.model.folder / rung.key
        folder.mkdir(exist_ok=True)
        if rung.key.startswith("mlserver"):
            peer()  # before the clock of the start runs
        server = Server(
            name=rung.name,
            log=folder / "server.log",
            command=lambda port: rung.command(folder, self.model.path, port),
            is_ready=lambda port: answers(f"http://{HOST}:{port}", rung.ready),
            server_env=base_environment(drop="OMP_") | {"MODEL": self.model.path} | rung.env,
        )
        try:
            server.launch().wait()
            if not rung.constant:
                check(f"{server.uri}/invocations", self.model)
        except BaseException:
            server.stop()
            raise
        self.servers[rung.key] = server
        return server

    def measure(self, rung: Rung, seconds: float) -> None:
        """One run: warm up, measure, refuse it when anything failed."""
        try:
            url = f"{self.server(rung).uri}/invocations"
            load(url, self.model.bodies, seconds=min(1.0, seconds / 2))
            run = load(url, self.model.bodies, seconds=seconds)
            if run["errors"] or not run["requests"]:
                raise Failed(f"{run['errors']:,.0f} errors in {run['requests']:,.0f} requests: run refused")
            self.runs[rung.key].append(run)
        except Exception as error:  # whatever it is, the other rungs go on
            known = isinstance(error, Failed | ServerError)
            self.failed[rung.key] = str(error) if known else repr(error)
            self.stop(rung)
        if not self.keep:
            self.stop(rung)

    def stop(self, rung: Rung) -> None:
        if rung.key in self.servers:
            self.servers.pop(rung.key).stop()

    def close(self) -> None:
        for server in self.servers.values():
            server.ask_to_stop()
        for rung in self.rungs:
            self.stop(rung)


# Measuring


def load(url: str, bodies: list[bytes], *, seconds: float) -> Run:
    """Load as fast as the server answers, with wrk or else with walkforward.loadtest."""
    if shutil.which("wrk"):
        return wrk(url, bodies, seconds=seconds)
    found = closed_loop(url, bodies, connections=CONNECTIONS, requests=1_000_000, seconds=seconds)
    return found.summary() | {"requests": float(found.statuses.total())}


def wrk(url: str, bodies: list[bytes], *, connections: int = CONNECTIONS, seconds: float = 5.0) -> Run:
    """POST `bodies` in turn with wrk on one thread, for whole seconds. Raises: Failed."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "bodies.txt"
        lines.write_bytes(b"\n".join(bodies) + b"\n")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s"]
        command += ["-s", str(APPS / "post.lua"), url, "--", str(lines)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
    if done.returncode or not said:
        raise Failed(f"wrk: {(done.stderr.strip() or done.stdout.strip() or '?').splitlines()[-1]}")
    run: Run = json.loads(said[0].removeprefix("JSON "))
    return run | {"rps": run["requests"] / run["seconds"]}


def loops(model: Model) -> dict[str, Callable[[int], object]]:
    """Return the predict calls without any HTTP; each takes the number of the request."""
    import mlflow
    import onnxruntime
    import pandas as pd
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    rows = [json.loads(body)["dataframe_split"]["data"] for body in model.bodies]
    arrays = [np.array(row, np.float32) for row in rows]
    frames = [pd.DataFrame(row, columns=FEATURES) for row in rows]
    pyfunc = mlflow.pyfunc.load_model(model.path)
    booster = mlflow.xgboost.load_model(model.path).get_booster()
    booster.set_param({"nthread": 1})
    native = booster.copy()
    booster.feature_names = [f"f{i}" for i in range(len(FEATURES))]
    onnx = convert_xgboost(booster, initial_types=[("rows", FloatTensorType([None, len(FEATURES)]))])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), options, ["CPUExecutionProvider"])
    return {
        "onnx": lambda i: session.run(None, {"rows": arrays[i]}),
        "native": lambda i: native.inplace_predict(arrays[i], validate_features=False),
        "pyfunc": lambda i: pyfunc.predict(frames[i]),
    }


def calls_a_second(call: Callable[[int], object], seconds: float) -> float:
    call(0)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for number in range(20):
            call((count + number) % BODIES)
        count += 20
    return count / (time.perf_counter() - start)


# What is kept


def spread(values: Sequence[float], digits: int) -> dict[str, float]:
    found = {"median": median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in found.items()}


def record(
    ladder: Ladder, bare: dict[str, list[float]], where: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Return all that is kept of the runs; medians are taken over the runs, figure by figure."""
    rungs: list[dict[str, Any]] = []
    by_key: dict[str, dict[str, Any]] = {}
    for rung in ladder.rungs:
        runs = ladder.runs[rung.key]
        if not runs and rung.key not in ladder.failed:
            continue  # Ctrl-C came first
        row: dict[str, Any] = {"key": rung.key, "name": rung.name, "change": rung.change, "over": rung.over}
        row |= {"runs": len(runs), "failed": ladder.failed.get(rung.key)}
        for name, digits in (("rps", 1), ("p50_ms", 2), ("p99_ms", 2)):
            of = (
                spread([run[name] for run in runs], digits)
                if runs
                else dict.fromkeys(("median", "min", "max"))
            )
            row |= {name: of["median"], f"{name}_min": of["min"], f"{name}_max": of["max"]}
        rungs.append(row)
        by_key[rung.key] = row
    for row in rungs:
        base = by_key.get(row["over"], {}).get("rps")
        row["bought"] = round(row["rps"] / base, 2) if base and row["rps"] else None
    found = {key: spread(values, 1) for key, values in bare.items() if values}
    goals = {"ours_rps": ("ours", "rps"), "ours_p99_ms": ("ours", "p99_ms")}
    goals |= {"mlflow_rps": ("stock", "rps"), "limit_rps": ("limit", "rps")}
    goals |= {"mlflow_1_thread_rps": ("stock-1", "rps"), "ours_2_workers_rps": ("ours-2", "rps")}
    return {
        **{goal: by_key.get(key, {}).get(name) for goal, (key, name) in goals.items()},
        "rungs": rungs,
        "bare": [
            {
                "key": key,
                "name": BARE[key],
                "calls": of["median"],
                "calls_min": of["min"],
                "calls_max": of["max"],
            }
            for key, of in found.items()
        ],
        "tool": "wrk" if shutil.which("wrk") else "walkforward.loadtest",
        "connections": CONNECTIONS,
        "requests": f"{BODIES} trips in turn, one row each, dataframe_split",
        "seconds": options.seconds,
        "runs": options.runs,
        "machine": where,
        "versions": {
            name: version(name) for name in ("mlflow", "granian", "onnxruntime", "fastapi", "uvicorn")
        },
        "date": date.today().isoformat(),
        "command": "python benchmarks/serving.py" + "".join(f" {word}" for word in sys.argv[1:]),
    }


def table(kept: dict[str, Any]) -> str:
    """Return a record as Markdown: one line on how it was measured, two tables."""
    names = {row["key"]: row["name"] for row in kept["rungs"]}
    where = kept["machine"]
    lines = [
        f"Runs of {kept['seconds']:g} s, {'up to ' * kept['stopped']}{kept['runs']} each in turn: medians. "
        f"{kept['connections']} connections, load from {kept['tool']} on the same {where['cores']} cores "
        f"({where['processor']}, {where['system']}, Python {where['python']}, load average "
        f"{where['load_before']} before); {kept['date']}.",
        "",
        "| server | what changes | bought | requests/s | min–max | p50 ms | p99 ms |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in kept["rungs"]:
        lost = f"{row['change']} (of {kept['runs']} runs {row['runs']}: {row['failed']})"
        cells = [row["name"], lost if row["failed"] else row["change"]]
        if row["runs"]:
            over = "" if row["bought"] is None else f"{row['bought']:.2f} × {names[row['over']]}"
            cells += [over, f"**{row['rps']:,.0f}**", f"{row['rps_min']:,.0f}–{row['rps_max']:,.0f}"]
            cells += [f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}"]
        else:
            cells += [""] * 5
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if kept["bare"]:
        lines += ["", "| predict on one row, without HTTP | calls/s | min–max |", "|---|---:|---:|"]
    for row in kept["bare"]:
        span = f"{row['calls_min']:,.0f}–{row['calls_max']:,.0f}"
        lines.append(f"| {row['name']} | {row['calls']:,.0f} | {span} |")
    return "\n".join(lines)


def soak_line(kept: dict[str, Any]) -> str:
    """Return the record of a soak as a sentence."""
    return (
        f"`walkforward serve`, one worker, {kept['minutes']:g} minutes at {kept['rate']:,.0f} requests/s "
        f"({kept['share']:.0%} of {kept['max_rps']:,.0f}), on schedule: {kept['requests']:,} requests, "
        f"{kept['errors']:,} errors, p50 {kept['p50_ms']:.1f} ms, p99 {kept['p99_ms']:.1f} ms; memory "
        f"{kept['rss_mb_warm']:.0f} MB after {kept['warm_up_s']:.0f} s, {kept['rss_mb_max']:.0f} MB at most "
        f"from then on ({kept['growth_percent']:+.1f} %); {kept['date']}."
    )


def keep(kept: dict[str, Any], name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
    (folder / name).write_text(text, encoding="utf-8", newline="\n")


# The soak


def resident(pid: int) -> float:
    """Resident memory of a process and all its descendants, MB; what they share counts for each."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += member.memory_info().rss
    return total / 2**20


def soak(
    server: Server,
    bodies: list[bytes],
    *,
    rate: float,
    seconds: float,
    generators: int = 1,
    sample: float = SAMPLE,
) -> dict[str, Any]:
    """Send `rate` requests a second on schedule for `seconds`; return errors, latencies and memory.

    The schedule comes from `generators` processes in parts of at most 20 s (`open_loop` is bounded); between
    two parts there is a pause of milliseconds.
    """
    url, statuses = f"{server.uri}/invocations", Counter[int]()
    bins = np.geomspace(0.01, 60_000, 4_000)  # ms; a percentile is right to 0.4 %
    counts, worst = np.zeros(len(bins) + 1, int), 0.0
    memory: list[tuple[float, float]] = []
    assert server.process is not None
    with ProcessPoolExecutor(generators, mp_context=get_context("spawn")) as pool:
        list(pool.map(abs, range(generators)))  # started before the first part is due
        start = time.monotonic()
        while (left := seconds - (time.monotonic() - start)) > 0.1:
            schedule = {"rate": rate / generators, "seconds": min(20.0, left)}
            parts = [pool.submit(open_loop, url, bodies, **schedule) for _ in range(generators)]
            while not all(each.done() for each in parts):
                if not memory or time.monotonic() - start - memory[-1][0] >= sample:
                    memory.append(
                        (round(time.monotonic() - start, 1), round(resident(server.process.pid), 1))
                    )
                time.sleep(min(0.2, sample / 4))
            for each in parts:
                found = each.result()
                statuses.update(found.statuses)
                counts += np.bincount(np.searchsorted(bins, found.latencies_ms), minlength=len(counts))
                worst = max(worst, float(found.latencies_ms.max()))
            past, late = (time.monotonic() - start) / 60, statuses.total() - statuses[200]
            said = f"{past:5.1f} min: {statuses.total():,} requests, {late:,} errors, {memory[-1][1]:.0f} MB"
            print(said, file=sys.stderr, flush=True)
    took = time.monotonic() - start
    memory.append((round(took, 1), round(resident(server.process.pid), 1)))
    warm_up = min(WARM_UP, seconds / 4)
    after = [mb for when, mb in memory if when >= warm_up] or [memory[-1][1]]
    shares = np.cumsum(counts) / counts.sum()
    p50, p99 = (float(bins[min(int(np.searchsorted(shares, q)), len(bins) - 1)]) for q in (0.5, 0.99))
    return {
        "minutes": round(seconds / 60, 2),
        "rate": round(rate, 1),
        "requests": statuses.total(),
        "errors": statuses.total() - statuses[200],
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "rps": round((statuses.total() - statuses[0]) / took, 1),
        "p50_ms": round(p50, 2),
        "p99_ms": round(p99, 2),
        "worst_ms": round(worst, 1),
        "warm_up_s": round(warm_up, 1),
        "rss_mb_warm": after[0],
        "rss_mb_max": max(after),
        "growth_percent": round((max(after) / after[0] - 1) * 100, 2),
        "rss_mb": memory,
        "generators": generators,
    }


def soaked(model: Model, minutes: float, share: float = 0.8) -> dict[str, Any]:
    """Hold `share` of the maximum on record (or of one measured now) of `walkforward serve`, one worker."""
    where = machine()
    ladder = Ladder(model, [rung for rung in RUNGS if rung.key == "ours"], keep=True)
    try:
        server = ladder.server(ladder.rungs[0])
        url = f"{server.uri}/invocations"
        load(url, model.bodies, seconds=2)
        kept = RESULTS / "serving.json"
        if kept.is_file():  # the record, which a busy minute can't move
            fastest = float(json.loads(kept.read_text(encoding="utf-8"))["ours_rps"])
        else:
            fastest = median(load(url, model.bodies, seconds=5)["rps"] for _ in range(3))
        print(f"{share:.0%} of {fastest:,.0f} requests a second", file=sys.stderr, flush=True)
        found = soak(server, model.bodies, rate=share * fastest, seconds=minutes * 60)
    finally:
        ladder.close()
    found = {"share": share, "max_rps": round(fastest, 1)} | found
    command = f"python benchmarks/serving.py --soak {minutes:g}"
    return found | {"machine": where, "date": date.today().isoformat(), "command": command}


def climb(model: Model, rungs: Sequence[Rung], options: argparse.Namespace) -> dict[str, Any]:
    """Measure the rungs in turn, run by run; Ctrl-C ends it early, and then `stopped` is true."""
    where = machine()
    keep_all = psutil.virtual_memory().available > 10 * 2**30
    ladder = Ladder(model, rungs, keep=keep_all)
    bare: dict[str, list[float]] = {name: [] for name in BARE}
    calls = loops(model) if options.whole else {}
    stopped = False
    try:
        for number in range(options.runs):
            for rung in rungs:
                ladder.measure(rung, options.seconds)
                last = ladder.runs[rung.key][-1:]
                said = f"{last[0]['rps']:9,.0f}/s" if last else ladder.failed.get(rung.key, "")
                line = f"run {number + 1} of {options.runs}: {rung.name:<42}{said}"
                print(line, file=sys.stderr, flush=True)
            for name, call in calls.items():
                bare[name].append(calls_a_second(call, min(1.0, options.seconds / 2)))
    except KeyboardInterrupt:
        stopped = True
        print("stopped: what was measured follows", file=sys.stderr, flush=True)
    finally:
        ladder.close()
    return record(ladder, bare, where, options) | {"stopped": stopped}


def parser(doc: str | None, keys: Sequence[str], *, runs: int, seconds: float) -> argparse.ArgumentParser:
    """The options of a benchmark that measures servers in turn; `keys` are what --only chooses from."""
    as_written = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(description=doc, formatter_class=as_written)
    made.add_argument("--runs", type=int, default=runs, help=f"of each in turn (default: {runs})")
    made.add_argument(
        "--seconds", type=float, default=seconds, help=f"of a run, after its warm-up (default: {seconds:g})"
    )
    made.add_argument("--only", metavar="KEYS", help=f"of {','.join(keys)}")
    made.add_argument("--short", action="store_true", help="one run of a second")
    made.add_argument("--write", action="store_true", help="keep it in README.md and results/")
    return made


def read(parser: argparse.ArgumentParser, keys: Sequence[str]) -> argparse.Namespace:
    """The command line as it is meant; `only` are the keys to measure. The environment is made quiet."""
    options = parser.parse_args()
    options.whole = not options.only
    if options.write and (options.short or options.only):
        parser.error("--write makes the record: everything, in full")
    if options.short:
        options.runs, options.seconds = 1, 1.0
    options.only = options.only.split(",") if options.only else list(keys)
    if unknown := set(options.only) - set(keys):
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}")
    os.environ.update(QUIET | ONE | {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"})
    return options


def tell(kept: dict[str, Any], text: str, file: str, marker: str, *, write: bool) -> None:
    """Print a record and keep it as a draft; with `write`, where it is on record."""
    print(text)
    keep(kept, file, DRAFTS)
    if write and kept.get("stopped"):
        print("not written: a record is whole", file=sys.stderr)
    elif write:
        keep(kept, file, RESULTS)
        put(marker, text)


def main() -> int:
    """Run the command line; return the exit code."""
    keys = [rung.key for rung in RUNGS]
    offered = parser(__doc__, keys, runs=5, seconds=5)
    offered.add_argument("--soak", type=float, metavar="MINUTES", help="hold 80 %% of the maximum instead")
    options = read(offered, keys)
    with tempfile.TemporaryDirectory(prefix="walk-forward-", ignore_cleanup_errors=True) as name:
        model = train(Path(name))
        if options.soak:
            kept = soaked(model, options.soak)
            tell(kept, soak_line(kept), "serving_soak.json", "soak", write=options.write)
        else:
            kept = climb(model, [rung for rung in RUNGS if rung.key in options.only], options)
            tell(kept, table(kept), "serving.json", "serving", write=options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What sitting 03a builds, as a module for the sittings that need runs: trips, a store, and `track`.

Each run that `track` makes names its data by a digest of every value, its code by commit and state, its
settings and its error.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import json
import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # MLflow would report its use to its makers
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # no link to the UI after each run
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import pandas as pd
import xgboost
from mlflow.data.pandas_dataset import PandasDataset
from mlflow.data.sources import LocalArtifactDatasetSource
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models.model import ModelInfo
from sklearn.metrics import root_mean_squared_error
from xgboost import XGBRegressor

from course.data import prepare_trips

logging.getLogger("mlflow").setLevel(logging.WARNING)  # progress notes carry clock times; keep the warnings

FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
HERE = Path(__file__).resolve().parent


def with_features(trips: pd.DataFrame) -> pd.DataFrame:
    """Plausible trips with `hour`, `weekday` and `duration` in minutes; all features are floats."""
    trips = prepare_trips(trips)
    trips["hour"] = trips["pickup_datetime"].dt.hour
    trips["weekday"] = trips["pickup_datetime"].dt.dayofweek
    # Floats can hold a missing value; an integer column can't, and the first one would change its type.
    return trips.astype(dict.fromkeys(FEATURES, float))


def split(trips: pd.DataFrame, day: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trips before this day, and those from it on."""
    before = trips["pickup_datetime"] < day
    return trips[before], trips[~before]


def boosted(depth: int, rate: float, trees: int) -> XGBRegressor:
    """An XGBoost model on one thread."""
    return XGBRegressor(max_depth=depth, learning_rate=rate, n_estimators=trees, n_jobs=1)


def use_store(folder: Path, title: str) -> str:
    """Point MLflow at an SQLite store in `folder`, with a new experiment; return the experiment's id."""
    folder.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').as_posix()}")
    return new_experiment(title, artifact_location=(folder / "artifacts").resolve().as_uri())


def new_experiment(title: str, **options: Any) -> str:
    """Make an experiment whose name carries the time, so that each run of a notebook has its own."""
    now = datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")
    experiment_id = mlflow.create_experiment(f"{title} · {now}", **options)
    mlflow.set_experiment(experiment_id=experiment_id)
    return experiment_id


def code_tags(notebook: str) -> dict[str, str]:
    """The commit of the course as tags, and whether tracked files were changed since."""
    git = ["git", "--no-optional-locks", "-C", str(HERE)]
    commit, state = "unknown", "no git"
    try:
        head, changes = (
            subprocess.run([*git, *question], capture_output=True, text=True, check=True).stdout.strip()
            for question in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
        commit, state = head, "changed since the commit" if changes else "committed"
    except (OSError, subprocess.CalledProcessError):
        pass
    return {"mlflow.source.name": notebook, "mlflow.source.git.commit": commit, "code.state": state}


def fingerprint(table: pd.DataFrame) -> str:
    """The start of a SHA-256 over every value of the table; MLflow keeps up to 36 characters of a digest."""
    rows = pd.util.hash_pandas_object(table, index=False)  # one number for each row
    names = ",".join(table.columns).encode()
    return hashlib.sha256(names + rows.to_numpy().tobytes()).hexdigest()[:32]


def described(trips: pd.DataFrame, source: str = "data/trips") -> PandasDataset:
    """The features and the duration of these trips as a dataset, whose digest covers every value."""
    table = trips[[*FEATURES, "duration"]]
    where = LocalArtifactDatasetSource(source)
    return mlflow.data.from_pandas(
        table, source=where, name="trips", targets="duration", digest=fingerprint(table)
    )


def track(
    name: str,
    model: Any,
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    tags: dict[str, str],
    context: str = "test",
    **settings: Any,
) -> Run:
    """Fit, score and record one model; return its run. `context` says what the second table is for."""
    with mlflow.start_run(run_name=name) as run:
        mlflow.set_tags(tags)
        mlflow.log_inputs([described(train), described(test)], ["training", context], [None, None])
        mlflow.log_params({"features": ", ".join(FEATURES), **settings})
        model.fit(train[FEATURES], train["duration"])
        mlflow.log_metric("rmse", root_mean_squared_error(test["duration"], model.predict(test[FEATURES])))
    return run


def keep(model: Any, run: Run, example: pd.DataFrame) -> ModelInfo:
    """Log the fitted XGBoost model into its run, with a signature and its one requirement."""
    with mlflow.start_run(run_id=run.info.run_id):
        return mlflow.xgboost.log_model(
            model,
            name="model",
            input_example=example[FEATURES].head(3),
            pip_requirements=[f"xgboost=={xgboost.__version__}"],
        )


def register(info: ModelInfo, name: str) -> ModelVersion:
    """Register a logged model. MLflow reports success on stderr; that line is dropped here."""
    with contextlib.redirect_stderr(io.StringIO()):
        return mlflow.register_model(info.model_uri, name)


def add_version(
    name: str,
    depth: int,
    rate: float,
    trees: int,
    train: pd.DataFrame,
    test: pd.DataFrame,
    tags: dict[str, str],
) -> tuple[ModelVersion, XGBRegressor]:
    """Train, record and register a boosted model; return its version and itself."""
    model, settings = boosted(depth, rate, trees), {"depth": depth, "rate": rate, "trees": trees}
    run = track(f"depth {depth}, rate {rate}", model, train, test, tags=tags, **settings)
    return register(keep(model, run, test), name), model


class Receiver:
    """A web server on this machine for a `with` block, which keeps the messages whose signature is right.

    `signature(headers, body)` is what the header `X-MLflow-Signature` should say. `heard` are the messages.
    """

    def __init__(self, signature: Callable[[Any, bytes], str]) -> None:
        heard: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                given = self.headers.get("X-MLflow-Signature", "")
                genuine = bool(given) and hmac.compare_digest(given, signature(self.headers, body))
                if genuine:
                    heard.append(json.loads(body))
                self.send_response(204 if genuine else 403)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.heard, self._server = heard, HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float = 20) -> dict[str, Any]:
        """Return the first message; an empty one when none comes in time."""
        end = time.monotonic() + seconds
        while not self.heard and time.monotonic() < end:
            time.sleep(0.02)
        return self.heard[0] if self.heard else {}


@contextlib.contextmanager
def signed_in(user: str, password: str) -> Iterator[None]:
    """Let MLflow act as this user inside a `with` block."""
    os.environ |= {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    try:
        yield
    finally:
        del os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]


def outcome(action: Callable[..., Any], *arguments: Any) -> str:
    """Call something that MLflow may refuse; return "done", or the words of the refusal."""
    try:
        action(*arguments)
    except MlflowException as refusal:
        return str(refusal)
    return "done"


def set_aside(*names: str) -> None:
    """Rename what an earlier run of a notebook has registered, so that its versions keep their numbers."""
    client = mlflow.MlflowClient()
    for name in names:
        for found in client.search_registered_models(f"name = '{name}'"):
            until = datetime.now().strftime("%Y-%m-%d %H.%M.%S.%f")
            client.rename_registered_model(found.name, f"{name}, until {until}")

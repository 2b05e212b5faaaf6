"""A release: a folder with the code, the rows, the model and the packages of it.

`train.py` has `features(trips)` and `train(trips)`; `trips.parquet` are the rows; `model.ubj` is the model
that came of them; `requirements.txt` its packages; `release.json` the digests of rows and model.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from xgboost import XGBRegressor

XGBOOST = "xgboost" if sys.platform == "darwin" else "xgboost-cpu"
TRAIN = '''\
"""Minutes of a taxi trip, from what is known at the pick-up."""

from xgboost import XGBRegressor


def features(trips):
    """Five numbers a trip."""
    pickup = trips["pickup_datetime"].dt
    columns = trips[["trip_distance", "pickup_location_id", "dropoff_location_id"]]
    return columns.assign(hour=pickup.hour, weekday=pickup.dayofweek).astype(float)


def train(trips):
    """A hundred trees."""
    model = XGBRegressor(n_estimators=100, max_depth=5, learning_rate=0.1, n_jobs=1)
    return model.fit(features(trips), trips["duration"])
'''


def digest(rows: pd.DataFrame) -> str:
    """The start of a SHA-256 over every value of a table and the names of its columns."""
    values = pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()
    return hashlib.sha256(",".join(rows.columns).encode() + values).hexdigest()[:16]


@dataclass(frozen=True)
class Release:
    """A folder, read when something of it is asked for."""

    folder: Path

    @cached_property
    def code(self) -> ModuleType:
        """What `train.py` defines."""
        module = ModuleType("train")
        source = (self.folder / "train.py").read_text(encoding="utf-8")
        exec(compile(source, str(self.folder / "train.py"), "exec"), module.__dict__)
        return module

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The trips that it has learnt from."""
        return pd.read_parquet(self.folder / "trips.parquet")

    @cached_property
    def model(self) -> XGBRegressor:
        """The model, from its file."""
        model = XGBRegressor(n_jobs=1)
        model.load_model(self.folder / "model.ubj")
        return model

    @property
    def packages(self) -> dict[str, str]:
        """The version that is pinned for each package."""
        lines = (self.folder / "requirements.txt").read_text(encoding="utf-8").split()
        return {name: version for name, _, version in (line.partition("==") for line in lines)}

    @property
    def record(self) -> dict[str, str]:
        """The digests that were written down with the training."""
        return json.loads((self.folder / "release.json").read_text(encoding="utf-8"))

    @property
    def digest(self) -> str:
        """The start of the SHA-256 of the model's file, as it is now."""
        return hashlib.sha256((self.folder / "model.ubj").read_bytes()).hexdigest()[:16]

    def answers(self, trips: pd.DataFrame) -> np.ndarray:
        """Minutes, by its own features and its own model."""
        return self.model.predict(self.code.features(trips)).astype(float)


def pinned(*names: str) -> str:
    """A line of requirements.txt for each package, with the version that is installed."""
    return "".join(f"{name}=={metadata.version(name)}\n" for name in names)


def build(
    folder: Path, rows: pd.DataFrame, source: str = TRAIN, packages: tuple[str, ...] = ("pandas", XGBOOST)
) -> Release:
    """Train by this source on these rows, and write down all that the gate will ask for."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.py").write_text(source, encoding="utf-8")
    (folder / "requirements.txt").write_text(pinned(*packages), encoding="utf-8")
    rows = rows.reset_index(drop=True)
    rows.to_parquet(folder / "trips.parquet")
    release = Release(folder)
    release.code.train(rows).save_model(folder / "model.ubj")
    record = {"rows": digest(release.rows), "model": release.digest}
    (folder / "release.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
    return release

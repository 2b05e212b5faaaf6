"""The record of benchmarks/cluster.py: growth and efficiency as measured, and what a simulation makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

FILE = Path(__file__).resolve().parents[3] / "benchmarks" / "results" / "cluster.json"


def scale() -> dict[str, Any]:
    """What one and two workers did, in the record's own words."""
    return json.loads(FILE.read_text(encoding="utf-8"))["scale"]


def efficiency() -> dict[str, pd.Series]:
    """Of each simulated job the efficiency by workers."""
    curves = scale()["simulation"].items()
    return {label: pd.Series({int(n): value for n, value in curve.items()}) for label, curve in curves}


def measured() -> list[float]:
    """The efficiency of one worker and of two, against threads in one process."""
    rows = scale()["rows"]
    return [rows["threads"]["wall"] / rows[f"{n} worker{'s' * (n > 1)}"]["wall"] / n for n in (1, 2)]


def growth() -> pd.DataFrame:
    """CPU seconds of a backtest by number of series, at one length; a column for each way."""
    panel = json.loads(FILE.read_text(encoding="utf-8"))["panel"]
    rows = pd.DataFrame([row for row in panel["rows"] if row["days"] == panel["days"]])
    ways = {("walkforward", "local"): "local models", ("walkforward", "global"): "one global model"}
    ways[("mlforecast", "global")] = "one global model, mlforecast"
    names = [ways.get(key) for key in zip(rows["tool"], rows["kind"], strict=True)]
    rows = rows.assign(way=names).dropna(subset="way")
    return rows.pivot(index="series", columns="way", values="cpu").rename_axis(columns=None)

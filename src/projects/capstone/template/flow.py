"""Your own flow: a table of dates and numbers in, a watched forecast out. `python flow.py sales.csv --help`.

Five steps, each a function: read, complete, judge, decide, release. What they leave lies in the folder
`state`, which can be thrown away. The same table twice changes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import logging
import os
import sys
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before MLflow is imported
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from xgboost import XGBRegressor

from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, backtest

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.WARNING)

NAME = "my-forecast"
GAPS, FOLDS = 0.05, 4  # the share of days that may be missing; windows that judge
# pandas' name of a calendar: days of a season, days ahead. The coarsest that holds all dates is taken.
CALENDARS = {
    "YS": (1, 2),
    "QS": (4, 4),
    "MS": (12, 6),
    "ME": (12, 6),
    **{f"W-{day}": (52, 8) for day in ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")},
    "B": (5, 20),
    "D": (7, 28),
    "h": (24, 24),
    "30min": (48, 48),
    "15min": (96, 96),
}


def read(path: Path, date: str, target: str) -> pd.DataFrame:
    """The table as `ds` and `y`, in order. Stops with a line that names what can't be used, and where."""
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: can't be read ({' '.join(str(error).split())[:80]})") from None
    for column in (date, target):
        if column not in table:
            names = ", ".join(map(str, table.columns))
            raise SystemExit(
                f"{path}: no column {column!r}; it has {names}: name yours with --date and --target"
            )
    days = pd.to_datetime(table[date], errors="coerce", format="ISO8601")
    numbers = pd.to_numeric(table[target], errors="coerce").astype(float)
    numbers = numbers.where(np.isfinite(numbers))
    for column, read_as, form in ((date, days, "date as 2024-01-31"), (target, numbers, "number as 12.5")):
        wrong = read_as.isna() & table[column].notna()
        if wrong.any():
            first = table.loc[wrong, column].iloc[0]
            raise SystemExit(
                f"{path}: {column} is no {form} in {wrong.sum()} rows (the first: {first!r}): correct it"
            )
    frame = pd.DataFrame({"ds": days.dt.tz_localize(None), "y": numbers}).dropna(subset=["ds"])
    if frame["ds"].duplicated().any():
        first = frame.loc[frame["ds"].duplicated(), "ds"].iloc[0]
        raise SystemExit(f"{path}: {first} stands twice: add the rows up, or forecast one series at a time")
    return frame.sort_values("ds", ignore_index=True)


def calendar_of(days: pd.Series) -> str:
    """The coarsest calendar that holds all days."""
    for name in CALENDARS:
        if days.isin(pd.date_range(days.min(), days.max(), freq=name)).all():
            return name
    raise SystemExit(f"the dates lie on none of the calendars {', '.join(CALENDARS)}: add yours to CALENDARS")


def complete(frame: pd.DataFrame) -> tuple[pd.DataFrame, str, list[str]]:
    """Each day once, the calendar's name, and the days that were missing: they take last season's value."""
    calendar = calendar_of(frame["ds"])
    season, ahead = CALENDARS[calendar]
    y = frame.set_index("ds")["y"]
    y = y.reindex(pd.date_range(y.index[0], y.index[-1], freq=calendar))
    gaps = y.index[y.isna()]
    if len(gaps) > GAPS * len(y):
        raise SystemExit(f"{len(gaps)} of {len(y)} days are missing: over {GAPS:.0%} can't be filled in")
    needed = 2 * season + (FOLDS + 2) * ahead
    if len(y) < needed:
        raise SystemExit(f"{len(y)} days on the calendar {calendar}: {FOLDS} folds of {ahead} take {needed}")
    y = y.fillna(y.shift(season)).ffill().bfill()
    return y.rename_axis("ds").rename("y").reset_index(), calendar, [str(one) for one in gaps]


def columns(y: pd.Series, days: pd.DatetimeIndex, calendar: str) -> pd.DataFrame:
    """What is known of each day `ahead` days before: lags of the horizon or more, and the calendar."""
    season, ahead = CALENDARS[calendar]
    whole = y.reindex(pd.date_range(y.index[0], max(days[-1], y.index[-1]), freq=calendar))
    first = -(-ahead // season) * season  # whole seasons, none shorter than the horizon
    table = {f"lag_{lag}": whole.shift(lag) for lag in dict.fromkeys((ahead, first, first + season))}
    table["mean"] = whole.rolling(season).mean().shift(ahead)
    known = pd.DataFrame(table).reindex(days)
    return known.assign(month=days.month, weekday=days.dayofweek, hour=days.hour).astype(float)


class Trees:
    """Two hundred trees with Prophet's interface, which `backtest` takes."""

    def __init__(self, calendar: str) -> None:
        self.calendar = calendar

    def fit(self, frame: pd.DataFrame) -> Trees:
        """Learn from the days whose lags are there."""
        self.y = frame.set_index("ds")["y"]
        table = columns(self.y, self.y.index, self.calendar)
        full = table.notna().all(axis=1)
        self.model = XGBRegressor(n_estimators=200, max_depth=4, learning_rate=0.05, n_jobs=1)
        self.model.fit(table[full], self.y[full])
        return self

    def predict(self, days: pd.DataFrame) -> pd.DataFrame:
        """Columns ds and yhat."""
        table = columns(self.y, pd.DatetimeIndex(days["ds"]), self.calendar)
        return pd.DataFrame({"ds": days["ds"].to_numpy(), "yhat": self.model.predict(table).astype(float)})


def judge(frame: pd.DataFrame, calendar: str) -> dict[str, float]:
    """The mean absolute error of the trees and of last season's value, over the last windows."""
    season, ahead = CALENDARS[calendar]
    found = {}
    for name, model in {"naive": SeasonalNaive(season), "trees": lambda: Trees(calendar)}.items():
        folds = WalkForwardSplit(ahead, FOLDS)
        told = backtest(frame, model, folds, n_jobs=1, progress=False, freq=calendar)
        found[name] = round(float((told["y"] - told["yhat"]).abs().mean()), 6)
    return found


def decide(errors: dict[str, float]) -> str:
    """The model that answers: the trees where they beat the naive forecast. Yours to change."""
    return "trees" if errors["trees"] < errors["naive"] else "naive"


def release(frame: pd.DataFrame, calendar: str, chosen: str, folder: Path) -> dict[str, str]:
    """Forecast the days ahead; register the trees, once for each content, and point `champion` at them."""
    season, ahead = CALENDARS[calendar]
    model = (Trees(calendar) if chosen == "trees" else SeasonalNaive(season)).fit(frame)
    days = pd.date_range(frame["ds"].iloc[-1], periods=ahead + 1, freq=calendar)[1:]
    forecast = model.predict(pd.DataFrame({"ds": days}))
    write(folder / "forecast.csv", forecast.to_csv(index=False))
    if chosen == "naive":
        return {"version": "none: the naive forecast answers"}
    mlflow.set_tracking_uri(f"sqlite:///{(folder.resolve() / 'mlflow.db').as_posix()}")
    if mlflow.get_experiment_by_name(NAME) is None:
        mlflow.create_experiment(NAME, artifact_location=(folder.resolve() / "artifacts").as_uri())
    mlflow.set_experiment(NAME)
    client, key = mlflow.MlflowClient(), digest(frame)
    held = client.search_model_versions(f"name = '{NAME}' and tags.digest = '{key}'")
    if held:
        version = str(min(int(one.version) for one in held))
    else:
        table = columns(model.y, model.y.index, calendar).dropna()
        with mlflow.start_run():
            info = mlflow.xgboost.log_model(
                model.model,
                name="model",
                signature=infer_signature(table, model.model.predict(table)),
                pip_requirements=[],
            )
        with contextlib.redirect_stderr(io.StringIO()):  # MLflow reports success there
            version = str(mlflow.register_model(info.model_uri, NAME, tags={"digest": key}).version)
    client.set_registered_model_alias(NAME, "champion", version)
    return {"version": version}


def digest(frame: pd.DataFrame) -> str:
    """The start of a SHA-256 over every value, and over this file."""
    values = pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()
    return hashlib.sha256(values + Path(__file__).read_bytes()).hexdigest()[:16]


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def run(path: Path, date: str, target: str, folder: Path) -> dict[str, object]:
    """All steps; what was found is written to `run.json` and returned."""
    frame, calendar, gaps = complete(read(path, date, target))
    errors = judge(frame, calendar)
    chosen = decide(errors)
    told = {"days": len(frame), "calendar": calendar, "filled in": gaps, "digest": digest(frame)}
    told |= {"errors": errors, "answers": chosen, **release(frame, calendar, chosen, folder)}
    write(folder / "run.json", json.dumps(told, indent=1) + "\n")
    return told


def main() -> None:
    """Read the command line, run, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="CSV or Parquet")
    parser.add_argument("--date", default="ds", help="the column of dates (default: ds)")
    parser.add_argument("--target", default="y", help="the column of numbers (default: y)")
    parser.add_argument("--state", type=Path, default=Path("state"))
    asked = parser.parse_args()
    json.dump(run(asked.table, asked.date, asked.target, asked.state), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()

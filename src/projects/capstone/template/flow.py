"""Your own flow: a table of dates and numbers in, a watched forecast out. `python flow.py sales.csv --help`.

Five steps, each a function: read (in table.py), complete, judge, decide, release. What they leave lies in the
folder `state`, which can be thrown away. The same table twice changes nothing.
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
import pandas as pd
import table
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from xgboost import XGBRegressor

from walkforward.errors import WalkForwardError
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, backtest

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.WARNING)

NAME = "my-forecast"
GAPS, FOLDS = 0.05, 4  # the share of dates that may be missing; windows that judge
MOST = 2_000_000  # dates of a calendar
WEEK = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
YEAR = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# pandas' name of a calendar: dates of a season, dates ahead. The coarsest that holds all dates is taken.
CALENDARS = {
    **{f"{kind}-{month}": (1, 2) for kind in ("YS", "YE") for month in YEAR},
    **{f"{kind}-{month}": (4, 4) for kind in ("QS", "QE") for month in YEAR[:3]},
    **dict.fromkeys(("MS", "ME", "BMS", "BME"), (12, 6)),
    **{f"W-{day}": (52, 8) for day in WEEK},
    "B": (5, 20),
    "D": (7, 28),
    "h": (24, 24),
    "30min": (48, 48),
    "15min": (96, 96),
}


def calendar_of(days: pd.Series) -> str:
    """The coarsest calendar that holds all dates."""
    first, last = days.min(), days.max()
    for name in CALENDARS:
        two = pd.date_range(first, periods=2, freq=name)
        if two[0] == first and (last - first) / (two[1] - two[0]) < MOST:
            if days.isin(pd.date_range(first, last, freq=name)).all():
                return name
    raise SystemExit(
        f"the dates {first} to {last} lie on no calendar of years, quarters, months, weeks, days, hours or "
        "parts of one: write months as their first day, round times, or add yours to CALENDARS in flow.py"
    )


def complete(frame: pd.DataFrame) -> tuple[pd.DataFrame, str, list[str]]:
    """Each date once, the calendar's name, and the dates that were missing: they take last season's value."""
    apart, days = frame["ds"].diff(), frame["ds"]
    if len(days) > 3 and apart.max() > GAPS * (days.iloc[-1] - days.iloc[0]) + 3 * apart.median():
        at = int(apart.argmax())
        raise SystemExit(
            f"nothing lies between {days[at - 1]} and {days[at]}: correct the dates, or cut the table there"
        )
    calendar = calendar_of(days)
    season, ahead = CALENDARS[calendar]
    y = frame.set_index("ds")["y"]
    y = y.reindex(pd.date_range(y.index[0], y.index[-1], freq=calendar))
    gaps = y.index[y.isna()]
    if len(gaps) > GAPS * len(y):
        raise SystemExit(
            f"{len(gaps)} of {len(y)} dates on the calendar {calendar} are missing (the first: {gaps[0]}; "
            f"most lie {apart.median()} apart), and over {GAPS:.0%} can't be filled in: write 0 where "
            "nothing happened, months as their first day, or add a calendar of yours to CALENDARS in flow.py"
        )
    needed = 2 * season + (FOLDS + 2) * ahead
    if len(y) < needed:
        raise SystemExit(
            f"{len(y)} dates on the calendar {calendar}: {FOLDS} folds of {ahead} take {needed}; give more, "
            "or look less far ahead in CALENDARS in flow.py"
        )
    for day in gaps:
        at = y.index.get_loc(day)
        y.iloc[at] = y.iloc[at - season if at >= season else at - 1]
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
    for name, model in {
        "naive": SeasonalNaive(season, freq=calendar),
        "trees": lambda: Trees(calendar),
    }.items():
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
    model = (Trees(calendar) if chosen == "trees" else SeasonalNaive(season, freq=calendar)).fit(frame)
    days = pd.date_range(frame["ds"].iloc[-1], periods=ahead + 1, freq=calendar)[1:]
    forecast = model.predict(pd.DataFrame({"ds": days}))
    write(folder / "forecast.csv", forecast.to_csv(index=False))
    mlflow.set_tracking_uri(f"sqlite:///{(folder.resolve() / 'mlflow.db').as_posix()}")
    if chosen == "naive":
        if (folder / "mlflow.db").exists():  # or an earlier table's trees would go by this alias
            with contextlib.suppress(MlflowException):
                mlflow.MlflowClient().delete_registered_model_alias(NAME, "champion")
        return {"version": "none: the naive forecast answers"}
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


def run(
    path: Path, date: str, target: str, folder: Path, form: table.Form = table.PLAIN
) -> dict[str, object]:
    """All steps; what was found is written to `run.json` and returned."""
    if set("?%") & set(str(folder.resolve())):
        raise SystemExit(f"{folder.resolve()}: MLflow keeps no store below a name with ? or %: rename it")
    frame, calendar, gaps = complete(table.read(path, date, target, form))
    errors = judge(frame, calendar)
    chosen = decide(errors)
    told = {"days": len(frame), "until": str(frame["ds"].iloc[-1]), "calendar": calendar}
    told |= {"filled in": gaps, "digest": digest(frame)}
    told |= {"errors": errors, "answers": chosen, **release(frame, calendar, chosen, folder)}
    write(folder / "run.json", json.dumps(told, indent=1) + "\n")
    return told


def main() -> None:
    """Read the command line, run, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="CSV, also in gzip, or Parquet")
    parser.add_argument("--date", default="ds", help="the column of dates (default: ds)")
    parser.add_argument("--target", default="y", help="the column of numbers (default: y)")
    parser.add_argument("--dates", default="", metavar="FORM", help="how dates are written, as %%d.%%m.%%Y")
    parser.add_argument("--decimal", default="", metavar="SIGN", help="between a number and its fraction")
    parser.add_argument("--thousands", default="", metavar="SIGN", help="between thousands")
    parser.add_argument("--only", action="append", default=[], metavar="COLUMN=VALUE", help="one series")
    parser.add_argument("--state", type=Path, default=Path("state"), help="the folder that keeps all")
    asked = parser.parse_args()
    form = table.Form(asked.dates, asked.decimal, asked.thousands, tuple(asked.only))
    try:
        told = run(asked.table, asked.date, asked.target, asked.state, form)
    except WalkForwardError as error:
        raise SystemExit(f"{asked.table}: {error}") from None
    except (OSError, MlflowException) as error:
        why = " ".join(str(error).split())[:120]
        raise SystemExit(f"{asked.state}: {why}: name another folder with --state, or delete it") from None
    json.dump(told, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()

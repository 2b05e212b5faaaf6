"""What lesson 15c repeats: shares and their way back, verdicts in MASE, and stations as if they had just opened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from walkforward.forecasting import calendar_features, compare, score

HORIZON = 14


def as_shares(frame: pd.DataFrame) -> pd.DataFrame:
    """The panel in shares of each station's level, the mean of 182 days that end 14 days before the day."""
    y = frame.groupby("unique_id")["y"]
    level = y.transform(lambda one: one.rolling(182).mean().shift(HORIZON).clip(lower=one.mean() / 100))
    return frame.assign(y=frame["y"] / level, level=level).dropna().reset_index(drop=True)


def in_rides(found: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """A backtest of shares in thousand rides again."""
    keys = ["unique_id", "ds"]
    level = found.merge(shares[[*keys, "level"]], on=keys)["level"]
    return found.assign(y=found["y"] * level, yhat=found["yhat"] * level)


def scaled(found: pd.DataFrame, scale: pd.Series) -> pd.DataFrame:
    """A backtest in units of each station's naive error."""
    unit = found["unique_id"].map(scale)
    return found.assign(y=found["y"] / unit, yhat=found["yhat"] / unit)


def mean_error(found: pd.DataFrame, scale: pd.Series) -> float:
    """MASE, each station by its own scale."""
    return float(score(scaled(found, scale))["mae"].item())


def verdict(a: pd.DataFrame, b: pd.DataFrame, scale: pd.Series) -> str:
    """The MASE of a minus that of b, with its 95 % interval, in words."""
    found = compare(scaled(a, scale), scaled(b, scale))
    word = {"a": "better", "b": "worse", "neither": "no verdict"}[found.better]
    return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f}) {word}"


def profile(rides: pd.DataFrame) -> pd.DataFrame:
    """What Saturday and Sunday have of a weekday: a row for each column (station)."""
    weekday = rides.index.dayofweek
    parts = {"saturday": rides[weekday == 5].mean(), "sunday": rides[weekday == 6].mean()}
    return pd.DataFrame(parts).div(rides[weekday < 5].mean(), axis=0)


def rows_of(known: pd.DataFrame, days: pd.DatetimeIndex) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """X, level and share of these days, station after station; `known` has a column for each."""
    level = known.rolling(182).mean().shift(HORIZON)
    share = known / level
    parts = {f"lag_{k}": share.shift(k).loc[days].unstack() for k in (14, 21, 28)}
    calendar = calendar_features(days).set_axis(days)
    X = pd.DataFrame(parts).join(calendar, on="ds").join(profile(known.dropna().tail(364)), on="unique_id")
    return X, level.loc[days].unstack(), share.loc[days].unstack()


def never_saw(model: Any, rides: pd.DataFrame, team: dict[str, int], train_days: int) -> dict[int, Any]:
    """For each team a global model that was trained on the stations of the others."""
    X, _, share = rows_of(rides, rides.tail(train_days).index)
    of = X.index.get_level_values("unique_id").map(team)
    return {number: clone(model).fit(X[of != number], share[of != number]) for number in set(team.values())}


def ask(
    known: pd.DataFrame, days: int, models: dict[int, Any], team: dict[str, int], local: Any
) -> pd.DataFrame:
    """Forecasts of the 14 days after `known`, which is filled in up to `days` before its end.

    Columns: naive (the last week again), global (the model that never saw the station), and, from 91 days on,
    local (trained on the station's own days).
    """
    ahead = pd.date_range(known.index[-1], periods=HORIZON + 1, inclusive="right", name="ds")
    longer = known.reindex(known.index.append(ahead))
    X, level, _ = rows_of(longer, ahead)
    of = X.index.get_level_values("unique_id").map(team)
    out = known.tail(7).iloc[np.arange(HORIZON) % 7].set_axis(ahead).unstack().to_frame("naive")
    for number, model in models.items():
        out.loc[of == number, "global"] = model.predict(X[of == number]) * level[of == number]
    if days >= 91:  # with fewer there is nothing to train on
        past, _, share = (part.to_numpy() for part in rows_of(known, known.tail(days).index))
        for i, station in enumerate(known):
            own = slice(i * days, (i + 1) * days)
            model = clone(local).fit(past[own], share[own])
            out.loc[station, "local"] = model.predict(X.loc[station]) * level[station].to_numpy()
    return out


def missed(asked: dict[tuple[int, Any], pd.DataFrame], rides: pd.DataFrame, scale: pd.Series) -> pd.DataFrame:
    """Absolute errors in units of the scale, from the forecasts by days known and cutoff."""
    table = pd.concat(asked, names=["days known", "cutoff", "unique_id", "ds"]).sort_index()
    truth = rides.unstack().reindex(table.index.droplevel([0, 1])).to_numpy()
    unit = table.index.get_level_values("unique_id").map(scale)
    return table.sub(truth, axis=0).abs().div(unit, axis=0)


def gap(errors: pd.DataFrame, days: int, a: str, b: str) -> str:
    """The mean error of a minus that of b, and its 95 % interval from whole cutoffs, drawn again."""
    each = errors.loc[days, a].sub(errors.loc[days, b]).groupby("cutoff").mean()
    drawn = np.random.default_rng(0).choice(each, (5000, len(each))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{days:3} days, {a} against {b}: {each.mean():+.2f} ({low:+.2f} to {high:+.2f})"

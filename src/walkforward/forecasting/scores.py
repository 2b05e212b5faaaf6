"""What forecasts are worth: errors, intervals, and whether one model is better than another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from walkforward.forecasting.entry import Array, as_dates, as_numbers, day, refuse_level, whole
from walkforward.forecasting.errors import ForecastError
from walkforward.forecasting.frame import KEYS, Frame, panel, refuse_twice


def _forecasts(frame: Any, needed: Sequence[str], *, future_y: bool = False) -> Frame:
    """The columns of forecasts that are `needed`, and bounds if there are, with plain dates and floats."""
    if not isinstance(frame, Frame) or frame.empty:
        what = "have no rows" if isinstance(frame, Frame) else f"are a {type(frame).__name__}"
        raise ForecastError(f"the forecasts {what}: give what backtest returns")
    refuse_twice(frame)
    if lost := [name for name in needed if name not in frame]:
        raise ForecastError(f"the forecasts lack {' and '.join(lost)}: give what backtest returns")
    out = {}
    for name in needed:
        column = frame[name]
        if name in ("ds", "cutoff"):
            out[name] = as_dates(column, f"frame[{name!r}]")
            if out[name].hasnans:
                row = int(np.argmax(out[name].isna()))
                raise ForecastError(
                    f"{name} has no date in row {row} of the forecasts; drop it, or fill it in"
                )
        elif name in ("y", "yhat", "h"):
            out[name] = as_numbers(column, name, ", not numbers: pd.to_numeric names the row at fault")
            wrong = ~np.isfinite(out[name]) & ~(future_y & (name == "y") & np.isnan(out[name]))
            if wrong.any():
                at = int(np.argmax(wrong))
                raise ForecastError(
                    f"{name} is {out[name][at]} in row {at} of the forecasts ({wrong.sum()} rows in all): "
                    f"leave them out, frame[np.isfinite(frame[{name!r}])]"
                )
        else:
            out[name] = column.array
    bounds = [name for name in ("yhat_lower", "yhat_upper") if name in frame]
    if len(bounds) == 1:
        raise ForecastError(f"the forecasts have {bounds[0]} and not the other bound: give both, or neither")
    out |= {name: as_numbers(frame[name], name, ", not numbers") for name in bounds}
    return Frame(out, index=frame.index)


def conformal(frame: Frame, level: float = 0.8, *, window: int | None = None) -> Frame:
    """Add `yhat_lower` and `yhat_upper` from earlier errors of the same series and step ahead.

    Half the width is the ⌈(n + 1) · level⌉-th smallest of the n absolute errors (split conformal: Vovk et al.
    2005) whose days had passed at the cutoff. The rank is whole, so with few errors the intervals cover more
    than `level`: ⌈(n + 1) · level⌉ / (n + 1) of the days if errors are exchangeable. For 0.8 that is 0.83
    with 5 errors, 0.89 with 8, 0.80 with 9, and 0.85 on the mean over 4 to 9: 80 % intervals of ten to twenty
    folds cover 84 to 87 %.

    Args:
        frame: What `backtest` returns; y may be NaN where the day has not come.
        level: Share of the days that the interval holds, between 0 and 1.
        window: How many of the last errors count; None: all.

    Returns:
        The frame with both bounds, NaN while n is too small for the level (4 errors are enough for 0.8).

    Raises:
        ForecastError: The frame lacks something, or a setting can't be used.

    >>> days = pd.date_range("2020-01-02", periods=6)
    >>> frame = pd.DataFrame({"unique_id": "y", "ds": days, "cutoff": days - pd.Timedelta(days=1)})
    >>> conformal(frame.assign(h=1, y=[1, 2, 3, 4, 5, 6], yhat=0), 0.8)[["yhat_lower", "yhat_upper"]].tail(2)
       yhat_lower  yhat_upper
    4        -4.0         4.0
    5        -5.0         5.0
    """
    refuse_level("level", level)
    if window is not None and not whole(window, 1):
        raise ForecastError(f"window={window!r}: a whole number of errors, 1 or more")
    data = _forecasts(frame, ["unique_id", "ds", "cutoff", "h", "y", "yhat"], future_y=True)
    half = np.full(len(frame), np.nan)
    for _, rows in data.reset_index(drop=True).groupby(["unique_id", "h"], sort=False, dropna=False):
        group = rows.sort_values("cutoff")
        error = (group["y"] - group["yhat"]).abs().to_numpy()
        ends = np.searchsorted(group["ds"].to_numpy(), group["cutoff"].to_numpy(), side="right")
        for at, end in zip(group.index, ends, strict=True):
            passed = error[0 if window is None else max(0, end - window) : end]
            seen = passed[np.isfinite(passed)]
            rank = int(np.ceil((len(seen) + 1) * level - 1e-9))
            if 0 < rank <= len(seen):
                half[at] = np.partition(seen, rank - 1)[rank - 1]
    yhat = data["yhat"].to_numpy()
    return frame.assign(yhat_lower=yhat - half, yhat_upper=yhat + half)


def score(
    frame: Frame,
    by: Any = None,
    *,
    train: Frame | None = None,
    season: int = 7,
    level: float = 0.8,
    freq: Any = None,
) -> Frame:
    """Errors of a backtest, all together or by group.

    What can't be divided is left out, and a column left_out says so, row by row: a series that was constant
    (or shorter than a season) up to the first cutoff has no scale, so mase is the mean over the others; wape
    of days that sum to 0; intervals that are all missing.

    Args:
        frame: What `backtest` returns.
        by: Columns to group by: "h", "cutoff", ["unique_id", "h"], …; None: one row.
        train: The frame that the backtest was made from, for mase.
        season: Days of a season on its calendar, for mase.
        level: Level of the intervals in the frame, if it has some.
        freq: The calendar of `train`, see `backtest`; None: told from the days.

    Returns:
        n; mae, rmse, bias (mean of yhat - y), in units of y; wape = Σ|y - yhat| / Σ|y|; smape = mean of
        2|y - yhat| / (|y| + |yhat|), both as shares. With `train` mase: the error over the seasonal-naive
        error of the series up to the first cutoff (Hyndman and Koehler 2006). With intervals, of the rows
        that have one: pinball (mean loss of both bounds, units of y), coverage (share inside), width.

    Raises:
        ForecastError: The frame lacks something, a setting can't be used, or no series has a scale.

    >>> float(score(pd.DataFrame({"y": [1.0, 2.0], "yhat": [2.0, 4.0]}))["mae"].iloc[0])
    1.5
    """
    refuse_level("level", level)
    data = _forecasts(frame, ["y", "yhat"])
    error = (data["yhat"] - data["y"]).to_numpy()
    sizes = (data["y"].abs() + data["yhat"].abs()).to_numpy()
    share = np.divide(2 * np.abs(error), sizes, out=np.zeros(len(error)), where=sizes > 0)
    parts = {"mae": np.abs(error), "_square": error**2, "bias": error}
    parts |= {"_size": data["y"].abs().to_numpy(), "smape": share}
    no_scale: dict[Any, str] = {}
    if train is not None:
        parts["mase"], no_scale = _scaled(frame, parts["mae"], train, season, freq)
    if "yhat_lower" in data:
        parts |= _interval_losses(data, level)
    table = Frame(parts, index=frame.index)
    groups = table.groupby(_keys(frame, by), sort=True, dropna=False)
    out = groups.mean()
    out.insert(0, "n", groups.size())
    out.insert(2, "rmse", np.sqrt(out.pop("_square")))
    size = out.pop("_size").to_numpy()
    absolute = out["mae"].to_numpy()
    wape = np.divide(absolute, size, out=np.where(absolute > 0, np.nan, 0.0), where=size > 0)
    out.insert(4, "wape", wape)  # NaN where every y is 0
    notes = _left_out(frame, groups, out, no_scale)
    if any(notes):
        out["left_out"] = notes
    return out.reset_index(drop=by is None)


def _keys(frame: Frame, by: Any) -> Any:
    """What to group by, as columns of the forecasts; without `by` all rows are one group."""
    if by is None:
        return np.zeros(len(frame), dtype=int)
    if not isinstance(by, str | list | tuple):
        return by
    names = [by] if isinstance(by, str) else list(by)
    if lost := [name for name in names if not isinstance(name, str) or name not in frame]:
        raise ForecastError(f"by={by!r}: the forecasts have no column {lost[0]!r}")
    return [frame[name] for name in names]


def _scaled(
    frame: Frame, absolute: Array, train: Frame, season: int, freq: Any
) -> tuple[Array, dict[Any, str]]:
    """Absolute errors over each series' scale, NaN where it has none; and the series without, with why."""
    if not whole(season, 1):
        raise ForecastError(f"season={season!r}: a whole number of days, 1 or more")
    keys = _forecasts(frame, ["unique_id", "cutoff"])
    names, first = pd.Series(keys["unique_id"].array, dtype=object), keys["cutoff"].min()
    several = isinstance(train, Frame) and "unique_id" in train
    forecast = train[train["unique_id"].astype(object).isin(names.unique())] if several else train
    checked = panel(forecast, freq=freq)
    if lost := [name for name in names.unique() if name not in checked.ids]:
        raise ForecastError(
            f"series {lost[0]} of the forecasts is not in train: give the frame they came from"
        )
    y = checked.matrix(checked.frame["y"])[:, checked.dates <= first]
    steps = np.abs(y[:, season:] - y[:, :-season])
    known = np.isfinite(steps)
    mean = np.array([row[ok].mean() if ok.any() else 0.0 for row, ok in zip(steps, known, strict=True)])
    scale = pd.Series(np.where(mean > 0, mean, np.nan), index=checked.ids.astype(object))
    bad = scale.index[scale.isna()].tolist()
    if len(bad) == len(scale):
        raise ForecastError(
            f"train gives no scale: up to {day(first)} every series is constant or has no more than season="
            f"{season} days, such as {bad[0]}; leave train= out, or take another season"
        )
    why = {name: f"{name} (constant or shorter than a season up to {day(first)})" for name in bad}
    return absolute / names.map(scale).to_numpy(dtype=float), why


def _interval_losses(data: Frame, level: float) -> dict[str, Array]:
    low, high, y = (data[name].to_numpy() for name in ("yhat_lower", "yhat_upper", "y"))
    alpha = (1 - level) / 2
    losses = [np.maximum(q * (y - b), (q - 1) * (y - b)) for q, b in ((alpha, low), (1 - alpha, high))]
    known = np.isfinite(low) & np.isfinite(high)
    inside = np.where(known, (low <= y) & (y <= high), np.nan)
    return {"pinball": np.mean(losses, axis=0), "coverage": inside, "width": high - low}


def _left_out(frame: Frame, groups: Any, out: Frame, no_scale: dict[Any, str]) -> list[str]:
    """For each group, in a line, what its figures could not take in."""
    reasons = frame["unique_id"].astype(object).map(no_scale) if no_scale else pd.Series(None, frame.index)
    group, lines = groups.ngroup().to_numpy(), []
    for number, (_, row) in enumerate(out.iterrows()):
        here = set(reasons[group == number].dropna())
        said = {
            "wape: every y is 0": np.isnan(row["wape"]),
            f"mase: {', '.join(why for why in no_scale.values() if why in here)}": bool(here),
            "pinball, coverage, width: no row has an interval": np.isnan(row.get("coverage", 0.0)),
        }
        lines.append("; ".join(what for what, holds in said.items() if holds))
    return lines


class Comparison(NamedTuple):
    """Mean loss of a minus that of b, with its bootstrap interval.

    Attributes:
        difference: Mean daily loss of a minus that of b, in units of y (squared for squared losses).
        low: Lower end of the interval.
        high: Upper end.
        better: "a", "b", or "neither" when the interval holds 0.

    >>> Comparison(-1.0, -2.0, -0.1, "a").better
    'a'
    """

    difference: float
    low: float
    high: float
    better: Literal["a", "b", "neither"]


def compare(
    a: Frame,
    b: Frame,
    *,
    loss: Literal["absolute", "squared"] = "absolute",
    block: int | None = None,
    n: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Is a better than b on the same days? The mean difference of their losses and its bootstrap interval.

    Blocks of days in a row are drawn with replacement, in a circle (Politis and Romano 1992), because errors
    of neighbouring days are alike. Losses of one day (several series or folds) are averaged first.

    Args:
        a: What `backtest` returns.
        b: The same for the other model: the same series, days and cutoffs.
        loss: "absolute" or "squared".
        block: Days in a block, at most half of all; None: the longest horizon, at most a quarter of the days.
        n: Draws.
        level: Level of the interval, between 0 and 1.
        seed: Of the draws.

    Returns:
        The difference (negative: a is better), its interval, and which is better.

    Raises:
        ForecastError: The frames don't hold the same forecasts, or a setting can't be used.

    >>> a = pd.DataFrame({"unique_id": "y", "ds": pd.date_range("2020-01-02", periods=8), "h": 1})
    >>> a = a.assign(cutoff=a["ds"] - pd.Timedelta(days=1), y=1.0, yhat=2.0)
    >>> compare(a, a.assign(yhat=4.0))
    Comparison(difference=-2.0, low=-2.0, high=-2.0, better='a')
    """
    if loss not in ("absolute", "squared"):
        raise ForecastError(f'loss={loss!r}: it is "absolute" or "squared"')
    refuse_level("level", level)
    if not whole(n, 1):
        raise ForecastError(f"n={n!r}: a whole number of draws, 1 or more")
    if not whole(seed, 0):
        raise ForecastError(f"seed={seed!r}: a whole number, 0 or more")
    first, second = _forecasts(a, [*KEYS, "h", "y", "yhat"]), _forecasts(b, [*KEYS, "yhat"])
    try:
        both = first.merge(second, on=KEYS, how="inner", suffixes=("_a", "_b"))
    except ValueError as error:
        raise ForecastError(f"the series of a and b are named in two makes: {error}") from None
    if not len(both) == len(a) == len(b):
        counts = f"a has {len(a)} forecasts, b {len(b)}, in common {len(both)}"
        raise ForecastError(f"{counts}: take backtests of the same folds")
    power = 1 if loss == "absolute" else 2
    a_loss, b_loss = ((both["y"] - both[name]).abs() ** power for name in ("yhat_a", "yhat_b"))
    daily = (a_loss - b_loss).groupby(both["ds"]).mean().to_numpy()
    size = min(int(both["h"].max()), max(1, len(daily) // 4)) if block is None else block
    if not whole(size, 1) or 2 * size > len(daily):
        raise ForecastError(f"block={size!r}: a whole number of days, at most half of the {len(daily)}")
    rng, around = np.random.default_rng(seed), np.concatenate([daily, daily[: size - 1]])
    sums = np.convolve(around, np.ones(size), mode="valid")  # of the block that begins on each day
    drawn = sums[rng.integers(len(daily), size=(n, max(1, round(len(daily) / size))))].mean(axis=1) / size
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    better = "a" if high < 0 else "b" if low > 0 else "neither"
    return Comparison(float(daily.mean()), float(low), float(high), better)

"""The guard against leaks: what of the features changes with the days that are to be forecast?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from walkforward.forecasting.entry import Array, as_dates, as_numbers, day, names, whole
from walkforward.forecasting.errors import ForecastError, LeakError
from walkforward.forecasting.frame import BEYOND, Frame, Panel, panel

Builder = Callable[[Frame], pd.DataFrame]


def find_leaks(
    features: Builder,
    frame: Frame,
    *,
    horizon: int = 1,
    known: Sequence[str] = (),
    cutoffs: Any = None,
    freq: Any = None,
) -> dict[str, str]:
    """Features that know what they can't: feature → reason. An honest builder gives {}.

    The target, and every column that is not known, is scrambled after a cutoff and the features are built
    again; those of the days up to `horizon` days after it must not have moved. Scrambled numbers keep their
    sign, other values their kind.

    Args:
        features: Your builder: a row of features for every row of a frame.
        frame: ds, y and what else the builder reads; unique_id if there are several series.
        horizon: Days ahead for which the features are meant.
        known: Columns known in advance.
        cutoffs: Days. None: half way, the last hundredth, a Friday, a Saturday and a Sunday near the end, the
            days of the highest and the lowest y. Before the first day is one always: back-filling shows.
        freq: The calendar, see `backtest`; None: told from the days.

    Returns:
        The name of each feature that leaks and the reason; empty for none.

    Raises:
        ForecastError: The frame, a setting or what the builder gives can't be used.
        Exception: What the builder raises, as it is.

    >>> frame = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=60), "y": range(60)})
    >>> find_leaks(lambda frame: frame[["y"]].shift(1).rename(columns={"y": "yesterday"}), frame)
    {}
    >>> list(find_leaks(lambda frame: frame[["y"]].rolling(3).mean().add_prefix("mean_"), frame))
    ['mean_y']
    """
    if not whole(horizon, 1):
        raise ForecastError(f"horizon={horizon!r}: a whole number of days, 1 or more")
    guard = Guard(features, panel(frame, freq=freq, missing_y=True), names(known, "known"))
    if cutoffs is None:
        return guard.leaks(horizon)
    dates = as_dates([cutoffs] if isinstance(cutoffs, str) else cutoffs, "cutoffs", text=True)
    days = guard.panel.dates.get_indexer(dates)
    if (days < 0).any():
        raise ForecastError(f"cutoff {day(dates[np.argmin(days)])}: no day of the frame")
    return guard.leaks(horizon, list(days))


class Guard:
    """Builds features on frames whose days after a cutoff are scrambled: honest ones don't notice."""

    def __init__(self, features: Builder, panel: Panel, known: Sequence[str]) -> None:
        if not callable(features):
            raise ForecastError(f"features={features!r}: what makes features of a frame, a function")
        self.features, self.panel = features, panel
        self.honest = built_by(features, panel.frame)
        frame, rng = panel.frame, np.random.default_rng(0)
        self.columns = {name: column.array for name, column in frame.items()}
        unknown = frame.columns.drop(["unique_id", "ds", *known], errors="ignore")
        floats = [c for c in unknown if c == "y" or types.is_float_dtype(frame[c])]
        draws, low = rng.standard_normal(len(frame) + len(floats)), rng.random(len(frame))
        self.real: dict[Any, Any] = {}  # each column that is not known in advance …
        self.noise: dict[Any, Any] = {}  # … and what stands in its place after a cutoff
        for i, name in enumerate(floats):
            self.real[name] = frame[name].to_numpy(dtype=float, na_value=np.nan)
            self.noise[name] = _noise(self.real[name], draws[i : i + len(frame)], low)
        for name in unknown.drop(floats):
            self.real[name], self.noise[name] = frame[name].array, _other_values(frame[name], rng)

    def scrambled(self, cutoff: int, *, keep_y: bool = False) -> Frame:
        """The frame; what is not known in advance is scrambled after the cutoff (not y, with `keep_y`)."""
        columns, future = dict(self.columns), self.panel.day > cutoff
        for name in self.real.keys() - ({"y"} if keep_y else set()):
            column = self.real[name].copy()
            column[future] = self.noise[name][future]
            columns[name] = column
        # As series these stay objects: pandas would look for a type, and stumble over a long integer.
        objects = {
            k: pd.Series(c, dtype=object) for k, c in columns.items() if types.is_object_dtype(c.dtype)
        }
        return Frame(columns | objects)

    def moved(self, built: Frame, cutoff: int, horizon: int) -> dict[str, str]:
        """Features built on a scrambled frame that differ too early, and why."""
        if list(built.columns) != list(self.honest.columns):
            changed = sorted(map(str, set(built.columns) ^ set(self.honest.columns)))
            changed = changed or ["the order of the columns"]
            return dict.fromkeys(changed, "whether it exists depends on the days to be forecast")
        checked, moved = self.panel.day <= cutoff + horizon, {}
        when = "from the first day on" if cutoff < 0 else f"after {day(self.panel.dates[cutoff])}"
        for i, column in enumerate(built.columns):
            honest, other = (x[checked] for x in _as_floats(self.honest.iloc[:, i], built.iloc[:, i]))
            if np.array_equal(honest, other, equal_nan=True):
                continue
            same = np.isclose(honest, other, rtol=1e-9, atol=1e-12, equal_nan=True)
            if not same.all():
                at = self.panel.frame["ds"][checked].iloc[int(np.argmin(same))]
                moved[str(column)] = f"its value of {day(at)} changes with what happens {when}"
        return moved

    def leaks(self, horizon: int, cutoffs: Sequence[int] | None = None) -> dict[str, str]:
        """The features that move at one of the cutoffs, or before the first day."""
        found: dict[str, str] = {}
        for cutoff in dict.fromkeys([-1, *(self.cutoffs() if cutoffs is None else cutoffs)]):
            built = built_by(self.features, self.scrambled(cutoff))
            found = {**self.moved(built, cutoff, horizon), **found}
        return found

    def cutoffs(self) -> list[int]:
        """Where leaks show: beside weekends, near the end, at the extremes of y; all days of a short one."""
        n, y = len(self.panel.dates), self.real["y"]
        if n < 3 or not np.isfinite(y).any():
            return list(range(n - 1))
        dates = self.panel.dates.to_numpy().astype("M8[D]")
        last_of_day = np.append(dates[1:] > dates[:-1], True)
        weekdays = self.panel.dates.dayofweek.to_numpy()
        hundredth, eight_days = n // 100, -(-8 * n // int(last_of_day.sum()))
        first = max(0, n - 1 - max(hundredth, eight_days))
        chosen = [n // 2, n - 1 - hundredth]
        if hundredth < eight_days:
            chosen.append(n - 2)
        for weekday in (4, 5, 6):
            found = np.flatnonzero(last_of_day[first : n - 1] & (weekdays[first : n - 1] == weekday))
            chosen += [first + int(found[0])] if len(found) else []
        chosen += [int(self.panel.day[np.nanargmax(y)]), int(self.panel.day[np.nanargmin(y)])]
        return list(dict.fromkeys(min(one, n - 2) for one in chosen))


def _noise(real: Array, draws: Array, low: Array) -> Array:
    """Numbers far above all and, where none is negative, as many below: both ends of quantiles move."""
    seen = real[np.isfinite(real)]
    large = (10 * (seen.std() if len(seen) else 1.0) + 1) * draws
    if (seen < 0).any() or not len(seen):
        return large
    return np.where(low < 0.5, 2 * low * seen.min(), np.abs(large))


def _other_values(column: pd.Series, rng: np.random.Generator) -> Any:
    """Of whole numbers, flags and text another of their values for each row."""
    try:
        code, values = pd.factorize(column, use_na_sentinel=False)
    except TypeError:  # lists and their like: those of another row
        return column.array.take(rng.permutation(len(column)))
    other = (code + rng.integers(1, max(len(values), 2), size=len(column))) % len(values)
    return values.take(other).array


def _as_floats(a: pd.Series, b: pd.Series) -> list[Array]:
    """Two makes of one feature as floats; text and its like by codes that both share."""
    if _real(a) and _real(b):
        return [x.to_numpy(dtype=float, na_value=np.nan) for x in (a, b)]
    codes = pd.factorize(np.concatenate([a.astype(object), b.astype(object)]))[0].astype(float)
    return [codes[: len(a)], codes[len(a) :]]


def built_by(features: Builder, frame: Frame) -> Frame:
    """What the builder makes of a copy of the frame (it may write into it), without the frame's keys."""
    out = features(frame.copy(deep=False))
    if not isinstance(out, Frame) or len(out) != len(frame):
        what = f"{len(out)} rows" if isinstance(out, Frame) else f"a {type(out).__name__}"
        raise ForecastError(f"features gave {what} for a frame of {len(frame)}: give a row for every row")
    if out.columns.duplicated().any():
        twice = out.columns[out.columns.duplicated()][0]
        raise ForecastError(f"features gave two columns named {twice!r}: give each a name of its own")
    keys = [name for name in ("unique_id", "ds", "y") if name in out]
    return out.drop(columns=keys) if keys else out


def feature_numbers(built: Frame) -> Array:
    """Features as floats (n, k), NaN for missing."""
    columns = {name: as_numbers(built[name], f"feature {name}", ", not numbers") for name in built}
    for name, column in columns.items():
        if (np.isfinite(column) & (np.abs(column) > BEYOND)).any():
            largest = np.nanmax(np.abs(column[np.isfinite(column)]))
            raise ForecastError(
                f"feature {name} goes up to {largest:.3g}, beyond {BEYOND:g}: scale it, or leave it out"
            )
    return np.column_stack(list(columns.values())) if columns else np.empty((len(built), 0))


def refuse_leaks(found: Mapping[str, str]) -> None:
    """Raise `LeakError` that names the first feature, its reason and the ways out."""
    if found:
        name, reason = next(iter(found.items()))
        more = f" ({len(found)} features leak: {', '.join(found)})" if len(found) > 1 else ""
        raise LeakError(
            f"feature {name} leaks: {reason}{more}. Build it from earlier days (shift it), name regressors "
            f"known in advance in known=, and put what is fitted into the model's pipeline"
        )


def _real(column: pd.Series) -> bool:
    return types.is_numeric_dtype(column) and column.dtype.kind != "c"

"""Walk-forward backtests: folds, features known at the cutoff, baselines, scores, and a guard against leaks.

Frames are tidy, with the names of Prophet and Nixtla: `unique_id` (may be left out for one series), `ds` and
`y`, and after a backtest `cutoff` (the last training day), `h` (steps ahead, from 1) and `yhat`. Each series
has each of its days once, in order, none left out. Wrong input raises `ForecastError`, a leak `LeakError`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import holidays
import joblib
import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils.validation import _num_samples
from threadpoolctl import ThreadpoolController
from tqdm.auto import tqdm

from walkforward.errors import WalkForwardError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array, Frame = np.ndarray, pd.DataFrame
Builder = Callable[[Frame], pd.DataFrame]
Rolling = Mapping[int, str | Sequence[str]]
KEYS = ["unique_id", "ds", "cutoff"]


class ForecastError(WalkForwardError, ValueError):
    """Input that can't be forecast. The message is one line: series and date, rule, way out."""


class LeakError(ForecastError):
    """Something of the days to be forecast reaches the model. The message names the feature or the days."""


# ---------------------------------------------------------------- folds
class WalkForwardSplit(BaseCrossValidator):
    """Train on the past, test on the `horizon` rows after it, step forward: a splitter for `cv=`.

    `n_splits` takes the last so many windows, as `TimeSeriesSplit` does; `initial` without it begins with so
    many training rows and takes every window that fits. Windows move by `step` rows (default: `horizon`),
    `gap` rows between training and test are left out. An expanding window begins at the first row and keeps
    at most `max_train_size` rows; a rolling one has `max_train_size` rows in every fold (default: as many as
    the first fold has).

    `WalkForwardSplit(h, n, max_train_size=m, gap=g)` gives the folds of
    `TimeSeriesSplit(n, test_size=h, max_train_size=m, gap=g)`.
    """

    def __init__(
        self,
        horizon: int,
        n_splits: int | None = None,
        *,
        step: int | None = None,
        initial: int | None = None,
        window: Literal["expanding", "rolling"] = "expanding",
        max_train_size: int | None = None,
        gap: int = 0,
    ) -> None:
        self.horizon, self.n_splits, self.step, self.initial = horizon, n_splits, step, initial
        self.window, self.max_train_size, self.gap = window, max_train_size, gap
        for name in ("horizon", "n_splits", "step", "initial", "max_train_size", "gap"):
            value, least = getattr(self, name), 0 if name == "gap" else 1
            if not (value is None and name not in ("horizon", "gap")) and not _whole(value, least):
                raise ForecastError(f"{name}={value!r}: a whole number of rows, {least} or more")
        if window not in ("expanding", "rolling"):
            raise ForecastError(f'window={window!r}: it is "expanding" or "rolling"')
        if n_splits is None and initial is None:
            raise ForecastError("give n_splits (the last windows) or initial (the first training rows)")

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many folds; without `n_splits` it depends on the rows of X."""
        if self.n_splits is None and X is None:
            raise ForecastError("how many windows fit depends on the rows: get_n_splits(X)")
        return int(self.n_splits or len(self._starts(_num_samples(X))))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        """Row numbers of training and test, fold by fold; rows of X are in order of time."""
        starts, rows, size = self._starts(_num_samples(X)), np.arange(_num_samples(X)), self.max_train_size
        if size is None and self.window == "rolling":
            size = starts[0] - self.gap
        for start in starts:
            end = start - self.gap
            yield rows[0 if size is None else max(0, end - size) : end], rows[start : start + self.horizon]

    def _starts(self, n: int) -> range:
        """The first test row of each fold."""
        step, last = self.step or self.horizon, n - self.horizon
        least = max(self.initial or 1, (self.max_train_size or 1) if self.window == "rolling" else 1)
        first = least + self.gap if self.n_splits is None else last - step * (self.n_splits - 1)
        if first > last or first - self.gap < least:
            windows = "one window" if self.n_splits is None else f"{self.n_splits} windows, {step} apart"
            need = least + self.gap + self.horizon + step * ((self.n_splits or 1) - 1)
            raise ForecastError(
                f"{n} rows are too few for {windows}, of horizon {self.horizon} after {least} training rows "
                f"and a gap of {self.gap}: that takes {need}. Shorten the horizon or take fewer folds"
            )
        return range(first, last + 1, step)

    def plot(self, X: Any, ax: Axes | None = None) -> Axes:
        """Draw a row a fold, training and test, over the days of X: a frame with ds, dates, or any rows."""
        import matplotlib.pyplot as plt

        from walkforward.plots import PALETTE

        days = X["ds"].unique() if isinstance(X, Frame) and "ds" in X else X
        dates = pd.DatetimeIndex(days) if types.is_datetime64_any_dtype(days) else np.arange(len(days))
        ax = plt.gca() if ax is None else ax
        for fold, parts in enumerate(self.split(dates)):
            for rows, name, colour in zip(parts, ("training", "test"), ("sky", "red"), strict=True):
                width = dates[rows[-1]] - dates[rows[0]] + (dates[1] - dates[0])
                label = name if fold == 0 else None
                ax.barh(fold, width, left=dates[rows[0]], height=0.6, color=PALETTE[colour], label=label)
        ax.invert_yaxis()
        ax.set_ylabel("fold")
        ax.legend(loc="lower left")
        return ax


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= least


# ---------------------------------------------------------------- input
@dataclass(frozen=True)
class _Panel:
    """Checked series as matrices: S series × T days; NaN outside a series' own days."""

    frame: Frame  # sorted by unique_id and ds, with a column unique_id
    ids: pd.Index
    dates: pd.DatetimeIndex
    row: Array  # of each row of the frame: which series …
    day: Array  # … and which day

    def matrix(self, values: Any) -> Array:
        """A column of the frame (n,) or several (n, k) as S × T (× k)."""
        values = np.asarray(values, dtype=float)
        out = np.full((len(self.ids), len(self.dates), *values.shape[1:]), np.nan)
        out[self.row, self.day] = values
        return out


def _panel(frame: Frame, *, missing_y: bool = False) -> _Panel:
    """The frame, checked. Raises `ForecastError` that names series and date."""
    lost = [c for c in ("ds", "y") if c not in frame] if isinstance(frame, Frame) else None
    if lost is None or lost or frame.empty:
        what = f"is a {type(frame).__name__}" if lost is None else "has no rows"
        what = f"lacks {' and '.join(lost)}" if lost else what
        raise ForecastError(
            f"the frame {what}: it has columns ds (days) and y, and unique_id where there are several"
        )
    if not types.is_datetime64_any_dtype(frame["ds"]):
        raise ForecastError(f"ds is {frame['ds'].dtype}, not dates: pd.to_datetime(frame['ds']) makes them")
    if not types.is_numeric_dtype(frame["y"]):
        raise ForecastError(f"y is {frame['y'].dtype}, not numbers: pd.to_numeric names the row at fault")
    if "unique_id" not in frame:
        frame = frame.assign(unique_id="y")
    # Series may stand in any order, the days of each may not.
    frame = frame.sort_values("unique_id", kind="stable", ignore_index=True)
    row, ids = pd.factorize(frame["unique_id"])
    ds, same = frame["ds"], np.r_[False, row[1:] == row[:-1]]

    def refuse(bad: Any, what: str, when: Any = ds) -> None:
        if (bad := np.asarray(bad)).any():
            i = int(np.argmax(bad))
            name = ids[row[i]] if row[i] >= 0 else "without a unique_id"
            raise ForecastError(f"series {name}, {_day(pd.Series(when).iloc[i])}: {what}")

    refuse(row < 0, "a row belongs to no series; drop it, or name its series")
    refuse(ds.isna(), "a row has no date; drop it, or fill it in")
    step = ds.diff().where(same)
    refuse(step < pd.Timedelta(0), "comes after a later day; frame.sort_values(['unique_id', 'ds'])")
    refuse(step == pd.Timedelta(0), "stands twice; keep one row a day")
    dates = pd.DatetimeIndex(np.sort(ds.unique()))
    if freq := _freq(dates):
        dates = pd.date_range(dates[0], dates[-1], freq=freq)
    day = dates.get_indexer(ds)
    refuse(day < 0, f"is no day of the calendar that the others keep ({freq}); put all on one calendar")
    lost = np.where(same, np.diff(day, prepend=0) - 1, 0)
    after = dates[np.minimum(np.roll(day, 1) + 1, len(dates) - 1)]
    refuse(lost > 0, f"the day is missing ({lost.sum()} in all); fill in, or cut there", after)
    if not missing_y:
        bad = ~np.isfinite(frame["y"].to_numpy(dtype=float, na_value=np.nan))
        refuse(bad, f"y is missing or infinite ({bad.sum()} rows in all); fill it, or cut there")
    return _Panel(frame, pd.Index(ids), dates, row, day)


def _freq(dates: pd.DatetimeIndex) -> str | None:
    """The calendar's frequency, from the first stretch of ten days (or of three) that keeps one."""
    for size in (10, 3):
        for start in range(len(dates) - size + 1):
            if freq := pd.infer_freq(dates[start : start + size]):
                return freq
    return None


def _day(when: Any) -> str:
    if pd.isna(when):
        return "no date"
    return f"{when:%Y-%m-%d}" if when == when.normalize() else f"{when:%Y-%m-%d %H:%M}"


# ---------------------------------------------------------------- features
def lag_features(
    y: pd.Series | Frame, lags: int | Sequence[int] = (), rolling: Rolling | None = None, horizon: int = 1
) -> Frame:
    """Lags and rolling statistics of the target that are known `horizon` days ahead, a row for each of `y`.

    `y` is a Series indexed by its days, or a tidy frame. `lag_7` is y of seven days before the row's day;
    `lags=7` means 1 to 7. `rolling={7: "mean", 28: ["mean", "std"]}` gives `mean_7` over the seven days that
    end `horizon` days before the row's day (mean, sum, min, max, std with n - 1). The first rows are NaN.

    A lag shorter than the horizon is refused: on the last day of the forecast it is not known.
    """
    frame = y if isinstance(y, Frame) else Frame({"ds": y.index, "y": y.to_numpy()})
    panel = _panel(frame, missing_y=True)
    lags = _whole_lags(lags)
    for lag in lags:
        if lag < horizon:
            raise ForecastError(
                f"lag {lag} is shorter than the horizon of {horizon}: {horizon} days ahead, y of {lag} days "
                f"before is not yet known. Take lags of {horizon} or more, or forecast recursively"
            )
    names, values = _history(panel.matrix(panel.frame["y"]), lags, rolling, horizon)
    out = Frame(values[panel.row, panel.day], columns=names)
    if not isinstance(y, Frame):
        return out.set_axis(y.index)
    if "unique_id" in y:  # back from the panel's order of rows to that of y
        order = y["unique_id"].reset_index(drop=True).sort_values(kind="stable").index
        out = out.set_axis(order).sort_index()
    return out.set_axis(y.index)


def _whole_lags(lags: int | Sequence[int]) -> list[int]:
    lags = list(range(1, lags + 1)) if isinstance(lags, int | np.integer) else list(lags)
    for lag in lags:
        if not _whole(lag, 1):
            raise ForecastError(f"lag {lag!r}: a lag is a whole number of days, 1 or more")
    return lags


def _windows(rolling: Rolling | None) -> list[tuple[int, str]]:
    named = {n: [how] if isinstance(how, str) else how for n, how in (rolling or {}).items()}
    pairs, hows = (
        [(n, how) for n, some in named.items() for how in some],
        ("mean", "sum", "min", "max", "std"),
    )
    for window, how in pairs:
        if how not in hows or not _whole(window, 2):
            raise ForecastError(f"rolling {{{window!r}: {how!r}}}: 2 days or more, and {', '.join(hows)}")
    return pairs


def _history(y: Array, lags: list[int], rolling: Rolling | None, horizon: int = 1) -> tuple[list[str], Array]:
    """Names and values (S, T, k) of what is known of y (S, T) `horizon` days before each day.

    Element by element and in a fixed order, so that one more day gives the very bits that a rebuild gives.
    """

    def back(days: int) -> Array:
        out = np.full_like(y, np.nan)
        out[:, days:] = y[:, : y.shape[1] - days] if days < y.shape[1] else y[:, :0]
        return out

    names, columns = [f"lag_{lag}" for lag in lags], [back(lag) for lag in lags]
    for window, how in _windows(rolling):
        days = [back(horizon + i) for i in range(window)]
        if how in ("min", "max"):
            value = (np.minimum if how == "min" else np.maximum).reduce(days)
        else:
            value = sum(days[1:], days[0])
            if how != "sum":
                value = value / window
            if how == "std":
                value = np.sqrt(sum((d - value) ** 2 for d in days) / (window - 1))
        names.append(f"{how}_{window}")
        columns.append(value)
    return names, np.stack(columns, axis=2) if columns else np.empty((*y.shape, 0))


def calendar_features(ds: Any, country: str | None = "US", names: bool = False) -> Frame:
    """What the calendar tells of each day, known years ahead: a row a day.

    weekday (0 Monday), month, day_of_year; with a country (ISO 3166, as the `holidays` package has them)
    holiday, before_holiday, after_holiday (1 or 0), and with `names` a column for each holiday.
    """
    index = ds.index if isinstance(ds, pd.Series) else None
    days = pd.DatetimeIndex(ds)
    out: dict[str, Any] = {"weekday": days.dayofweek, "month": days.month, "day_of_year": days.dayofyear}
    if country is not None:
        years = range(days.min().year - 1, days.max().year + 2) if len(days) else range(0)
        try:
            of = holidays.country_holidays(country, years=years)
        except NotImplementedError:
            raise ForecastError(
                f"country={country!r}: no such calendar; holidays.list_supported_countries() has the codes"
            ) from None
        dates, day = days.normalize(), pd.Timedelta(days=1)
        known = pd.DatetimeIndex(sorted(of))
        for name, shift in (("holiday", 0), ("before_holiday", 1), ("after_holiday", -1)):
            out[name] = (dates + shift * day).isin(known).astype(int)
        if names:
            for name in sorted({part for text in of.values() for part in text.split("; ")}):
                when = pd.DatetimeIndex([d for d, text in of.items() if name in text.split("; ")])
                out[re.sub(r"\W+", "_", name.lower()).strip("_")] = dates.isin(when).astype(int)
    return Frame(out, index=index)


# ---------------------------------------------------------------- leaks
def find_leaks(
    features: Builder, frame: Frame, *, horizon: int = 1, known: Sequence[str] = (), cutoffs: Any = None
) -> dict[str, str]:
    """Features that know what they can't: feature → reason. An honest builder gives {}.

    The target, and every column that is not in `known`, is scrambled after a cutoff and the features are
    built again. Those of the days up to `horizon` days after the cutoff must not have moved. `cutoffs` are
    days (default: two on the way, of different weekdays); before the first day always is one of them,
    because back-filling shows only there. Scrambled numbers keep their sign, other values their kind.
    """
    guard = _Guard(features, _panel(frame, missing_y=True), known)
    if cutoffs is None:
        return guard.leaks(horizon)
    days = guard.panel.dates.get_indexer(pd.DatetimeIndex(cutoffs))
    if (days < 0).any():
        raise ForecastError(f"cutoff {_day(pd.DatetimeIndex(cutoffs)[np.argmin(days)])}: no day of the frame")
    return guard.leaks(horizon, list(days))


class _Guard:
    """Builds features on frames whose days after a cutoff are scrambled: honest ones don't notice."""

    def __init__(self, features: Builder, panel: _Panel, known: Sequence[str]) -> None:
        self.features, self.panel = features, panel
        self.honest = _built(features, panel.frame)
        frame, rng = panel.frame, np.random.default_rng(0)
        unknown = frame.columns.drop(["unique_id", "ds", *known], errors="ignore")
        floats = [c for c in unknown if c == "y" or types.is_float_dtype(frame[c])]
        self.real = {c: frame[c].to_numpy(dtype=float, na_value=np.nan) for c in floats}
        self.noise, draws = {}, rng.standard_normal(len(frame) + len(floats))
        for i, (name, real) in enumerate(self.real.items()):
            seen = real[np.isfinite(real)]
            noise = (10 * (seen.std() if len(seen) else 1.0) + 1) * draws[i : i + len(frame)]
            self.noise[name] = noise if (seen < 0).any() else np.abs(noise)
        for name in unknown.drop(floats):  # whole numbers, flags and text: another of their values
            code, values = pd.factorize(frame[name], use_na_sentinel=False)
            other = (code + rng.integers(1, max(len(values), 2), size=len(frame))) % len(values)
            self.real[name], self.noise[name] = frame[name].array, values.take(other).array

    def scrambled(self, cutoff: int, *, keep_y: bool = False) -> Frame:
        """The frame; what is not known in advance is scrambled after the cutoff (not y, with `keep_y`)."""
        columns, future = dict(self.panel.frame.items()), self.panel.day > cutoff
        for name in self.real.keys() - ({"y"} if keep_y else set()):
            column = self.real[name].copy()
            column[future] = self.noise[name][future]
            columns[name] = column
        return Frame(columns)

    def moved(self, built: Frame, cutoff: int, horizon: int) -> dict[str, str]:
        """Features built on a scrambled frame that differ too early, and why."""
        if list(built.columns) != list(self.honest.columns):
            changed = sorted(map(str, set(built.columns) ^ set(self.honest.columns)))
            changed = changed or ["the order of the columns"]
            return dict.fromkeys(changed, "whether it exists depends on the days to be forecast")
        checked, moved = self.panel.day <= cutoff + horizon, {}
        for i, column in enumerate(built.columns):
            a, b = self.honest.iloc[:, i], built.iloc[:, i]
            if not (types.is_numeric_dtype(a) and types.is_numeric_dtype(b)):  # text and its like, as numbers
                codes = pd.factorize(np.concatenate([a.astype(object), b.astype(object)]))[0]
                a, b = pd.Series(codes[: len(a)]), pd.Series(codes[len(a) :])
            a, b = (x.to_numpy(dtype=float, na_value=np.nan)[checked] for x in (a, b))
            if np.array_equal(a, b, equal_nan=True):
                continue
            same = np.isclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)
            if not same.all():
                at = self.panel.frame["ds"][checked].iloc[int(np.argmin(same))]
                when = "from the first day on" if cutoff < 0 else f"after {_day(self.panel.dates[cutoff])}"
                moved[str(column)] = f"its value of {_day(at)} changes with what happens {when}"
        return moved

    def leaks(self, horizon: int, cutoffs: Sequence[int] | None = None) -> dict[str, str]:
        """The features that move at one of the cutoffs, or before the first day."""
        n = len(self.panel.dates)
        if cutoffs is None:
            cutoffs = [n // 2, n // 2 + n // 4 + (n // 4 % 7 == 0)]
        found: dict[str, str] = {}
        for cutoff in dict.fromkeys([-1, *cutoffs]):
            built = _built(self.features, self.scrambled(cutoff))
            found = {**self.moved(built, cutoff, horizon), **found}
        return found


def _built(features: Builder, frame: Frame) -> Frame:
    out = features(frame.copy(deep=False))  # a builder may write into its frame
    if not isinstance(out, Frame) or len(out) != len(frame):
        what = f"{len(out)} rows" if isinstance(out, Frame) else f"a {type(out).__name__}"
        raise ForecastError(f"features gave {what} for a frame of {len(frame)}: give a row for every row")
    return out.drop(columns=["unique_id", "ds", "y"], errors="ignore")


def _refuse(found: Mapping[str, str]) -> None:
    if found:
        name, reason = next(iter(found.items()))
        more = f" ({len(found)} features leak: {', '.join(found)})" if len(found) > 1 else ""
        raise LeakError(
            f"feature {name} leaks: {reason}{more}. Build it from earlier days (shift it), name regressors "
            f"known in advance in known=, and put what is fitted into the model's pipeline"
        )


# ---------------------------------------------------------------- baselines
class _Baseline(BaseEstimator):
    """A forecaster with Prophet's interface: fit(frame with ds, y), then predict(frame with ds)."""

    def fit(self, frame: Frame) -> Self:
        """Remember one series: ds (days in order) and y."""
        self.ds_, self.y_ = pd.DatetimeIndex(frame["ds"]), frame["y"].to_numpy(dtype=float)
        if len(self.y_) < (least := getattr(self, "season", 2)):
            raise ForecastError(f"{self!r} needs {least} days of training; there are {len(self.y_)}")
        return self

    def predict(self, future: Frame) -> Frame:
        """Columns ds and yhat, for days after the training."""
        step = np.diff(self.ds_.to_numpy()[-2:])[0] if len(self.ds_) > 1 else np.timedelta64(1, "D")
        ahead = np.rint((future["ds"].to_numpy() - self.ds_[-1].to_numpy()) / step).astype(int)
        if (ahead < 1).any():
            first, last = _day(future["ds"].min()), _day(self.ds_[-1])
            raise ForecastError(f"{first} is no day after the training, which ends {last}")
        return Frame({"ds": future["ds"].to_numpy(), "yhat": self._ahead(ahead)})


class SeasonalNaive(_Baseline):
    """The last value of the same phase: y of `season` days before, or of twice that, …."""

    def __init__(self, season: int = 7) -> None:
        self.season = season

    def _ahead(self, h: Array) -> Array:
        return self.y_[len(self.y_) - self.season + (h - 1) % self.season]


class Drift(_Baseline):
    """The last value plus the mean step so far: the line from the first day through the last."""

    def _ahead(self, h: Array) -> Array:
        return self.y_[-1] + h * (self.y_[-1] - self.y_[0]) / (len(self.y_) - 1)


# ---------------------------------------------------------------- backtest
def backtest(
    frame: Frame,
    model: Any,
    splitter: Any,
    *,
    strategy: Literal["recursive", "direct", "multi_output"] = "recursive",
    lags: int | Sequence[int] = (),
    rolling: Rolling | None = None,
    calendar: str | None = None,
    known: Sequence[str] = (),
    past: Mapping[str, Sequence[int]] | None = None,
    features: Builder | None = None,
    refit: bool | int = True,
    intervals: float | None = None,
    n_jobs: int = -1,
    store: str | Path | None = None,
    check: bool = True,
    progress: bool = True,
) -> Frame:
    """Forecast every fold as it would have been forecast on its cutoff: a row for each series, fold and day.

    Returns `unique_id, ds, cutoff, h, y, yhat` (and `yhat_lower, yhat_upper`), sorted by series, cutoff, day.

    `model`: a scikit-learn-style regressor, cloned for every training and fitted on all series together, on
    NumPy arrays; or a baseline; or a callable that makes a fresh model with Prophet's interface, fitted to
    each series (`functools.partial(Prophet, weekly_seasonality=True)`; its `yhat_lower` and `yhat_upper` are
    kept). `splitter` works on the days: `WalkForwardSplit`, or any of scikit-learn's.

    Strategies. recursive: one model of the next day, fed with its own predictions. direct: a model for each
    step ahead; multi_output: one model of all steps. In these two the lags count back from the day after the
    cutoff, and the calendar and the known regressors are those of the day forecast (multi_output: of all days
    of the horizon).

    Columns, in this order: `lags`, `rolling` (see `lag_features`), `past` (regressors known up to the cutoff,
    with their lags), `features` (your own builder: a row for every row of a frame whose future y is NaN),
    `calendar` (a country, see `calendar_features`), `known` (regressors known in advance for the day itself).
    Rows before the first full row of lags, past and features are not trained on.

    `refit`: at every fold, at every k-th, or (False) at the first only; baselines are always fitted anew.
    `intervals`: level of conformal intervals, see `conformal`. `n_jobs`: folds at a time, through joblib with
    threads (or the backend of `joblib.parallel_config`); a model whose n_jobs is None trains on one thread.
    `store`: a folder that keeps every finished fold; the same call takes it up where it was interrupted.
    `check`: every fold is checked for leaks, by its days and, for `features`, by `find_leaks`.
    """
    if strategy not in ("recursive", "direct", "multi_output"):
        raise ForecastError(f'strategy={strategy!r}: it is "recursive", "direct" or "multi_output"')
    if not (isinstance(refit, bool) or _whole(refit, 1)):
        raise ForecastError(f"refit={refit!r}: True, False, or every so many folds")
    _refuse_level("intervals", 0.8 if intervals is None else intervals)
    panel, lags, past = _panel(frame), _whole_lags(lags), {c: _whole_lags(n) for c, n in (past or {}).items()}
    folds = _folds(panel, splitter)
    job = _Job(model, strategy, panel, folds, lags, rolling, calendar, tuple(known), past, features, check)
    every = 1 if refit is True or isinstance(model, _Baseline) else refit or len(folds)
    folder = None
    if store is not None:
        what = [model, features, strategy, lags, rolling, calendar, known, past, every, check, folds]
        columns = panel.frame if features else panel.frame[["unique_id", "ds", "y", *known, *past]]
        data = [list(columns), pd.util.hash_pandas_object(columns).to_numpy()]
        folder = Path(store) / joblib.hash([_identity(what), data])[:16]
        folder.mkdir(parents=True, exist_ok=True)
    blocks = [folds[i : i + every] for i in range(0, len(folds), every)]
    # Threads: XGBoost, NumPy and Prophet let go of the interpreter lock, and the matrices are not copied.
    run = joblib.Parallel(n_jobs=n_jobs if len(blocks) > 1 else 1, prefer="threads", return_as="generator")
    with (
        tqdm(total=len(folds), desc="folds", delay=5, disable=not progress) as bar,
        _controller().limit(limits=1),
    ):
        done = []
        for parts in run(joblib.delayed(_block)(job, block, folder) for block in blocks):
            done += parts
            bar.update(len(parts))
    out = pd.concat(done).sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)
    if lost := panel.ids.difference(out["unique_id"]).tolist():
        days = panel.frame.loc[panel.frame["unique_id"] == lost[0], "ds"]
        raise ForecastError(
            f"series {lost[0]}: its {len(days)} days up to {_day(days.iloc[-1])} are too few for any fold; "
            f"shorten lags and windows, or leave it out"
        )
    return out if intervals is None else conformal(out, intervals)


class _Fold(NamedTuple):
    start: int  # first training day
    end: int  # last training day: the cutoff
    test: Array


def _folds(panel: _Panel, splitter: Any) -> list[_Fold]:
    try:
        pairs = list(splitter.split(np.arange(len(panel.dates))[:, None]))
    except ValueError as error:
        span = f"{_day(panel.dates[0])} to {_day(panel.dates[-1])}"
        raise ForecastError(f"series {panel.ids[0]}, {span}: {error}") from None
    for train, test in pairs:
        late, early = _day(panel.dates[train.max()]), _day(panel.dates[test.min()])
        if train.max() >= test.min():
            raise LeakError(
                f"{splitter!r} trains on {late} to forecast {early}: take a splitter that trains on earlier "
                f"days only, such as WalkForwardSplit"
            )
        if len(train) != np.ptp(train) + 1:
            raise ForecastError(f"{splitter!r} leaves days out of the training up to {late}: keep all")
    return [_Fold(int(train.min()), int(train.max()), np.sort(test)) for train, test in pairs]


@dataclass
class _Job:
    """What all folds share: the input, and matrices made once."""

    model: Any
    strategy: str
    panel: _Panel
    folds: list[_Fold]
    lags: list[int]
    rolling: Rolling | None
    calendar: str | None
    known: tuple[str, ...]
    past: Mapping[str, list[int]]
    features: Builder | None
    check: bool

    def __post_init__(self) -> None:
        """What is known the evening before each day (S, T, k), and what is known in advance (S, T, k)."""
        model, panel, frame, known = self.model, self.panel, self.panel.frame, list(self.known)
        recursive, steps = self.strategy == "recursive", max(int(f.test[-1]) - f.end for f in self.folds)
        for column in (*known, *self.past):
            if column not in frame or not types.is_numeric_dtype(frame[column]):
                what = f"is {frame[column].dtype}" if column in frame else "is not in the frame"
                raise ForecastError(f"regressor {column!r} {what}: known= and past= name columns of numbers")
            if column in known and np.array_equal(frame[column], frame["y"]):
                raise LeakError(f"known regressor {column!r} is the target itself")
        self.y = panel.matrix(frame["y"])
        self.ended = np.isnan(self.y) & np.logical_or.accumulate(np.isfinite(self.y), axis=1)
        self.in_advance = self.matrix(frame[known])
        if self.calendar is not None:
            days = calendar_features(panel.dates, self.calendar).to_numpy(dtype=float)
            days = np.broadcast_to(days, (len(self.y), *days.shape))
            self.in_advance = np.concatenate([days, self.in_advance], axis=2)
        self.fits_frames = isinstance(model, _Baseline | type) or not hasattr(model, "fit")
        if isinstance(model, type) and not issubclass(model, _Baseline) and hasattr(model, "get_params"):
            raise ForecastError(f"model={model.__name__} is a class: give an object, {model.__name__}()")
        if self.fits_frames and not callable(getattr(model, "fit", model)):
            raise ForecastError(f"model={model!r}: a regressor, a baseline, or what makes a fresh model")
        if not self.fits_frames and not hasattr(model, "get_params"):
            raise ForecastError(
                f"model is a {type(model).__name__} that can't be cloned for every training: give what makes "
                f"a fresh one, such as functools.partial({type(model).__name__}, …)"
            )
        if self.fits_frames:
            return
        unset = [n for n, value in model.get_params().items() if n.endswith("n_jobs") and value is None]
        self.model = clone(model).set_params(**dict.fromkeys(unset, 1))
        if not (self.lags or self.rolling or self.past or self.features or self.in_advance.shape[2]):
            raise ForecastError("nothing to learn from: give lags=, rolling=, calendar=, known= or features=")
        parts = [_history(self.y, self.lags, self.rolling)[1]]
        for column, lags in self.past.items():
            if recursive and min(lags, default=steps) < steps:
                raise ForecastError(
                    f"past regressor {column!r}, lag {min(lags)}: {steps} days ahead it is not yet known. "
                    f"Take lags of {steps} or more, strategy='direct', or known="
                )
            parts.append(_history(panel.matrix(frame[column]), lags, None)[1])
        self.at_once = recursive and not self.rolling and min(self.lags, default=steps) >= steps
        if self.features is not None:
            self.guard = _Guard(self.features, panel, self.known)
            for column, kind in self.guard.honest.dtypes.items():
                if not types.is_numeric_dtype(kind):
                    raise ForecastError(f"feature {column} is {kind}, not numbers")
            if self.check:
                _refuse(self.guard.leaks(1))
            parts.append(self.matrix(self.guard.honest))
        self.own = slice(0, parts[0].shape[2])
        self.evening = np.concatenate(parts, axis=2)
        # A value missing after a column has begun is the model's affair; before that it is warm-up.
        self.begun = np.logical_or.accumulate(np.isfinite(self.evening), axis=1).all(axis=2)

    def matrix(self, values: Frame) -> Array:
        """Columns of the frame as S × T × k, 0 after a series' end (dropped later)."""
        return np.where(self.ended[:, :, None], 0.0, self.panel.matrix(values))

    def groups(self, fold: _Fold) -> list[Array]:
        """For each model of a fold, the days ahead of the evening's day that it is trained for."""
        if self.strategy == "recursive":
            return [np.array([0])]
        ahead = fold.test - fold.end - 1
        return [ahead] if self.strategy == "multi_output" else list(ahead[:, None])

    def rows(self, days: Array, first: int, ahead: Array, evening: Array) -> Array:
        """The matrix of the marked days (S, n) from `first` on, in order of series and day."""
        n = days.shape[1]
        advance = [self.in_advance[:, first + a : first + a + n][days] for a in ahead]
        return np.concatenate([evening[:, first : first + n][days], *advance], axis=1)


_controller = cache(ThreadpoolController)


def _block(job: _Job, folds: list[_Fold], folder: Path | None) -> list[Frame]:
    """Folds that share one training; each is written when it is done."""
    out, fitted = [], None
    fit, predict = (_fit_frames, _predict_frames) if job.fits_frames else (_fit, _predict)
    with _controller().limit(limits=1):  # a thread has limits of its own, a process of a cluster too
        for fold in folds:
            cutoff = job.panel.dates[fold.end]
            file = folder and folder / f"{cutoff:%Y-%m-%dT%H%M%S}-{fold.test[-1]}.parquet"
            part = None
            with suppress(OSError, ValueError):  # not there, or not whole: it is forecast (again)
                part = file and pd.read_parquet(file)
            if part is None:
                fitted = fit(job, folds[0]) if fitted is None else fitted
                part = _tidy(job, fold, *predict(job, fitted, fold))
                if part.empty:
                    raise ForecastError(
                        f"cutoff {_day(cutoff)}: no series can be forecast; each needs its lags (and past "
                        f"regressors) up to that day, and y after it"
                    )
                if file is not None:
                    part.to_parquet(half := file.with_suffix(".half"), index=False)
                    half.replace(file)
            out.append(part)
    return out


def _fit(job: _Job, fold: _Fold) -> list[Any]:
    """The fold's models: one, or for the direct strategy one for each step."""
    models, first = [], fold.start
    for ahead in job.groups(fold):
        width = max(0, fold.end + 1 - first - int(ahead[-1]))
        targets = np.stack([job.y[:, first + a : first + a + width] for a in ahead], axis=2)
        days = job.begun[:, first : first + width] & np.isfinite(targets).all(axis=2)
        if not days.any():
            raise ForecastError(
                f"series {job.panel.ids[0]}, cutoff {_day(job.panel.dates[fold.end])}: no training row has "
                f"all its lags; shorten lags and windows, or begin later (initial=)"
            )
        target = targets[days] if job.strategy == "multi_output" else targets[days][:, 0]
        models.append(clone(job.model).fit(job.rows(days, first, ahead, job.evening), target))
    return models


def _predict(job: _Job, models: list[Any], fold: _Fold) -> tuple[Array, dict[str, Array]]:
    """Which series can be forecast at this cutoff (S), and their predictions (S, steps of the fold)."""
    cutoff, steps, evening, at_once = fold.end, fold.test - fold.end, job.evening, job.at_once
    ready = np.isfinite(job.y[:, cutoff]) & job.begun[:, cutoff + 1]
    future = None
    if job.features is not None:  # the future is scrambled: what leaks past the check is worth nothing
        guard, future = job.guard, job.guard.scrambled(cutoff)
        built = _built(job.features, future)
        far = guard.moved(built, cutoff, int(steps[-1])) if job.strategy == "recursive" else {}
        if job.check:
            _refuse(guard.moved(built, cutoff, 1))
            if far:  # on the way only the target is known, from the model's own predictions
                kept = _built(job.features, guard.scrambled(cutoff, keep_y=True))
                _refuse(guard.moved(kept, cutoff, int(steps[-1])))
        at_once = at_once and not far  # they look back past the horizon: no prediction is fed to them
        evening = evening.copy()
        evening[:, :, evening.shape[2] - built.shape[1] :] = job.matrix(built)
    out = np.full((len(job.y), len(steps)), np.nan)
    if not ready.any():
        return ready, {"yhat": out}
    if job.strategy != "recursive":
        for model, ahead in zip(models, job.groups(fold), strict=True):
            got = model.predict(job.rows(ready[:, None], cutoff + 1, ahead, evening))
            out[np.ix_(ready, np.isin(steps - 1, ahead))] = np.reshape(got, (ready.sum(), -1))
    elif at_once:
        days = np.repeat(ready[:, None], steps[-1] - steps[0] + 1, axis=1)
        got = models[0].predict(job.rows(days, fold.test[0], [0], evening))
        out[ready] = np.reshape(got, (ready.sum(), -1))[:, steps - steps[0]]
    else:
        out[ready] = _recurse(job, models[0], cutoff, int(steps[-1]), ready, evening, future)[:, steps - 1]
    return ready, {"yhat": out}


def _recurse(
    job: _Job, model: Any, cutoff: int, steps: int, ready: Array, evening: Array, future: Frame | None
) -> Array:
    """Day by day, each prediction taken for the truth by the days after it."""
    panel, need = job.panel, max([*job.lags, *(job.rolling or {}), 1]) + 1
    begin = max(0, cutoff + 1 - need)
    y, out = np.array(job.y[:, begin : cutoff + 1 + steps]), np.empty((int(ready.sum()), steps))
    y[:, cutoff + 1 - begin :] = np.nan
    for step in range(steps):
        at, here = cutoff + 1 + step, cutoff + 1 + step - begin
        row = evening[:, at].copy()
        row[:, job.own] = _history(y[:, max(0, here - need) : here + 1], job.lags, job.rolling)[1][:, -1]
        if future is not None:
            so_far, known_y = panel.day <= at, future["y"].to_numpy(copy=True)
            ours = so_far & (panel.day > cutoff)
            known_y[ours] = y[panel.row[ours], panel.day[ours] - begin]
            built = _built(job.features, future.assign(y=known_y)[so_far].reset_index(drop=True))
            last = panel.day[so_far] == at
            row[panel.row[so_far][last], row.shape[1] - built.shape[1] :] = built[last].to_numpy(dtype=float)
        row = np.concatenate([row, job.in_advance[:, at]], axis=1)[ready]
        out[:, step] = y[ready, here] = np.reshape(model.predict(row), -1)
    return out


def _tidy(job: _Job, fold: _Fold, ready: Array, columns: Mapping[str, Array]) -> Frame:
    y = job.y[:, fold.test]
    series, step = np.nonzero(np.isfinite(y) & ready[:, None])
    days, cutoff = job.panel.dates[fold.test[step]], job.panel.dates[fold.end]
    out = {
        "unique_id": job.panel.ids[series],
        "ds": days,
        "cutoff": cutoff,
        "h": (fold.test - fold.end)[step],
    }
    out |= {"y": y[series, step]} | {name: values[series, step] for name, values in columns.items()}
    if (bad := ~np.isfinite(out["yhat"])).any():
        i = int(np.argmax(bad))
        name, when = out["unique_id"][i], _day(days[i])
        raise ForecastError(f"series {name}, {when}: the model forecast {out['yhat'][i]}; see to its input")
    return Frame(out)


def _fit_frames(job: _Job, fold: _Fold) -> dict[int, Any]:
    """A model of Prophet's interface for each series that has training days."""
    fitted, columns = {}, ["ds", "y", *job.known]
    for series in np.nonzero(np.isfinite(job.y[:, fold.end]))[0]:
        rows = (job.panel.row == series) & (job.panel.day >= fold.start) & (job.panel.day <= fold.end)
        fitted[series] = clone(job.model) if isinstance(job.model, _Baseline) else job.model()
        fitted[series].fit(job.panel.frame.loc[rows, columns].reset_index(drop=True))
    return fitted


def _predict_frames(job: _Job, fitted: dict[int, Any], fold: _Fold) -> tuple[Array, dict[str, Array]]:
    shape, out = (len(job.panel.ids), len(fold.test)), {}
    ready = np.zeros(shape[0], dtype=bool)
    for series, model in fitted.items():
        rows = (job.panel.row == series) & np.isin(job.panel.day, fold.test)
        if rows.any():
            future = job.panel.frame.loc[rows, ["ds", *job.known]].reset_index(drop=True)
            got, ready[series] = model.predict(future), True
            got = got if isinstance(got, Frame) else {"yhat": np.asarray(got)}
            at = np.searchsorted(fold.test, job.panel.day[rows])
            for name in ("yhat", "yhat_lower", "yhat_upper"):
                if name in got:
                    out.setdefault(name, np.full(shape, np.nan))[series, at] = got[name]
    return ready, out


def _identity(thing: Any, seen: dict[int, Any] | None = None) -> Any:
    """What tells one call from another on disk: names, parameters and code, not addresses.

    Code of the user's own counts with the globals that it reads; a library's counts by its name.
    """
    seen = {} if seen is None else seen
    if isinstance(thing, partial):
        thing = ["partial", thing.func, thing.args, thing.keywords]
    elif isinstance(thing, set | frozenset):
        return sorted(map(repr, thing))
    elif isinstance(thing, CodeType):
        thing = [thing.co_code, thing.co_names, thing.co_consts]
    elif isinstance(thing, ModuleType):
        return thing.__name__
    elif inspect.ismethod(thing):
        thing = [thing.__func__, thing.__self__]
    elif hasattr(thing, "__qualname__") and (inspect.isclass(thing) or inspect.isroutine(thing)):
        module, known = str(thing.__module__), id(thing) in seen
        name, file = [module, thing.__qualname__], str(getattr(sys.modules.get(module), "__file__", ""))
        standard = module.partition(".")[0] in sys.stdlib_module_names - {"__main__"}
        if known or standard or "site-packages" in file:
            return name
        seen[id(thing)] = thing
        if inspect.isclass(thing):
            inside = {n: getattr(v, "__func__", getattr(v, "fget", v)) for n, v in vars(thing).items()}
            own = {n: v for n, v in inside.items() if inspect.isfunction(v) or not n.startswith("__")}
            thing = [name, own, thing.__bases__]
        elif code := getattr(thing, "__code__", None):
            reads = {n: thing.__globals__[n] for n in sorted(_names(code)) if n in thing.__globals__}
            held = inspect.getclosurevars(thing).nonlocals
            thing = [name, code, thing.__defaults__, thing.__kwdefaults__, held, reads]
        else:
            return name
    elif hasattr(thing, "get_params"):
        thing = [type(thing), thing.get_params(deep=False)]
    elif callable(thing) and hasattr(thing, "__dict__"):
        thing = [type(thing), vars(thing)]
    if isinstance(thing, Mapping):
        thing = list(thing.items())
    if isinstance(thing, tuple | list):
        return [_identity(part, seen) for part in thing]
    try:
        return joblib.hash(thing)
    except Exception:  # what can't be pickled (a lock, a connection) is told by its kind
        return repr(type(thing))


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, CodeType)))


def _refuse_level(name: str, level: float) -> None:
    if not 0 < level < 1:
        raise ForecastError(f"{name}={level!r}: between 0 and 1, such as 0.8")


def conformal(frame: Frame, level: float = 0.8, *, window: int | None = None) -> Frame:
    """Add `yhat_lower` and `yhat_upper` from earlier errors of the same series and step ahead.

    Half the width is the ⌈(n + 1) · level⌉-th smallest of the n absolute errors (split conformal: Vovk et al.
    2005) whose days had passed at the cutoff, of the last `window` of them if given. NaN while n is too small
    for the level (4 errors for 0.8).
    """
    _refuse_level("level", level)
    half = np.full(len(frame), np.nan)
    for _, group in frame.reset_index(drop=True).groupby(["unique_id", "h"], sort=False):
        group = group.sort_values("cutoff")
        error = (group["y"] - group["yhat"]).abs().to_numpy()
        ends = np.searchsorted(group["ds"].to_numpy(), group["cutoff"].to_numpy(), side="right")
        for at, end in zip(group.index, ends, strict=True):
            seen = error[0 if window is None else max(0, end - window) : end]
            rank = int(np.ceil((len(seen) + 1) * level - 1e-9))
            if 0 < rank <= len(seen):
                half[at] = np.partition(seen, rank - 1)[rank - 1]
    return frame.assign(yhat_lower=frame["yhat"] - half, yhat_upper=frame["yhat"] + half)


def score(
    frame: Frame, by: Any = None, *, train: Frame | None = None, season: int = 7, level: float = 0.8
) -> Frame:
    """Errors of a backtest: a row for each group of `by` ("h", "cutoff", ["unique_id", "h"], …), or one row.

    n; mae, rmse, bias (mean of yhat - y), in units of y; wape = Σ|y - yhat| / Σ|y|; smape = mean of
    2|y - yhat| / (|y| + |yhat|), both as shares. With `train`, the series the backtest was made from, mase:
    the error over the seasonal-naive error of that series up to the first cutoff (Hyndman and Koehler 2006).
    With intervals of `level`: pinball (mean loss of both bounds, units of y), coverage (share inside), width.
    """
    data = frame.assign(_all=0)
    error = (frame["yhat"] - frame["y"]).to_numpy(dtype=float)
    data["mae"], data["_square"], data["bias"] = np.abs(error), error**2, error
    size = frame["y"].abs() + frame["yhat"].abs()
    data["smape"] = (2 * np.abs(error) / size).where(size > 0, 0.0)
    data["_size"] = frame["y"].abs()
    columns = ["mae", "_square", "bias", "_size", "smape"]
    if train is not None:
        panel = _panel(train)
        y = panel.matrix(panel.frame["y"])[:, panel.dates <= frame["cutoff"].min()]
        naive = np.nanmean(np.abs(y[:, season:] - y[:, :-season]), axis=1)
        data["mase"] = data["mae"] / data["unique_id"].map(pd.Series(naive, index=panel.ids))
        columns.append("mase")
    if "yhat_lower" in frame:
        low, high, y = (frame[c].to_numpy(dtype=float) for c in ("yhat_lower", "yhat_upper", "y"))
        alpha = (1 - level) / 2
        losses = [np.maximum(q * (y - b), (q - 1) * (y - b)) for q, b in ((alpha, low), (1 - alpha, high))]
        known = np.isfinite(low) & np.isfinite(high)
        data["pinball"] = np.mean(losses, axis=0)
        data["coverage"] = np.where(known, (low <= y) & (y <= high), np.nan)
        data["width"] = high - low
        columns += ["pinball", "coverage", "width"]
    groups = data.groupby("_all" if by is None else by, sort=True)
    out = groups[columns].mean()
    out.insert(0, "n", groups.size())
    out.insert(2, "rmse", np.sqrt(out.pop("_square")))
    out.insert(4, "wape", out["mae"] / out.pop("_size"))
    return out.reset_index(drop=by is None)


class Comparison(NamedTuple):
    """Mean loss of a minus that of b, with its interval; `better` is "neither" when the interval holds 0."""

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

    Blocks of `block` days in a row (default: the longest horizon, at most a quarter of the days) are drawn
    with replacement, in a circle (Politis and Romano 1992), because errors of neighbouring days are alike.
    Losses of one day (several series or folds) are averaged first. Both frames must hold the same series,
    days and cutoffs.
    """
    if loss not in ("absolute", "squared"):
        raise ForecastError(f'loss={loss!r}: it is "absolute" or "squared"')
    both = a[[*KEYS, "h", "y", "yhat"]].merge(b[[*KEYS, "yhat"]], on=KEYS, how="inner", suffixes=("_a", "_b"))
    if not len(both) == len(a) == len(b):
        counts = f"a has {len(a)} forecasts, b {len(b)}, in common {len(both)}"
        raise ForecastError(f"{counts}: take backtests of the same folds")
    power = 1 if loss == "absolute" else 2
    a_loss, b_loss = ((both["y"] - both[name]).abs() ** power for name in ("yhat_a", "yhat_b"))
    daily = (a_loss - b_loss).groupby(both["ds"]).mean().to_numpy()
    size = min(int(both["h"].max()), max(1, len(daily) // 4)) if block is None else block
    if not _whole(size, 1) or 2 * size > len(daily):
        raise ForecastError(f"block={size!r}: a whole number of days, at most half of the {len(daily)}")
    rng, around = np.random.default_rng(seed), np.concatenate([daily, daily[: size - 1]])
    sums = np.convolve(around, np.ones(size), mode="valid")  # of the block that begins on each day
    drawn = sums[rng.integers(len(daily), size=(n, max(1, round(len(daily) / size))))].mean(axis=1) / size
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    better = "a" if high < 0 else "b" if low > 0 else "neither"
    return Comparison(float(daily.mean()), float(low), float(high), better)

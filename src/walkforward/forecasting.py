"""Walk-forward backtests: folds, features known at the cutoff, baselines, scores, and a guard against leaks.

Frames are tidy, with the names of Prophet and Nixtla: `unique_id` (may be left out for one series), `ds` and
`y`, and after a backtest `cutoff` (the last training day), `h` (steps ahead, from 1) and `yhat`. Each series
has each of its days once, in order, none left out. Wrong input raises `ForecastError`, a leak `LeakError`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

import holidays
import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import BaseCrossValidator
from threadpoolctl import ThreadpoolController
from tqdm.auto import tqdm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray
Builder = Callable[[pd.DataFrame], pd.DataFrame]
Rolling = Mapping[int, str | Sequence[str]]
KEYS = ["unique_id", "ds", "cutoff"]


class ForecastError(ValueError):
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
            if value is None and name != "horizon":
                continue
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ForecastError(f"{name}={value!r}: a whole number of rows, {least} or more")
        if window not in ("expanding", "rolling"):
            raise ForecastError(f'window={window!r}: it is "expanding" or "rolling"')
        if n_splits is None and initial is None:
            raise ForecastError(
                "give n_splits (the last so many windows) or initial (the first training rows)"
            )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """How many folds; without `n_splits` it depends on the rows of X."""
        if self.n_splits is not None:
            return int(self.n_splits)
        if X is None:
            raise ForecastError("how many windows fit depends on the rows: get_n_splits(X)")
        return len(self._starts(len(X)))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Array, Array]]:
        """Row numbers of training and test, fold by fold; rows of X are in order of time."""
        starts, rows = self._starts(len(X)), np.arange(len(X))
        size = self.max_train_size
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

        days = X["ds"] if isinstance(X, pd.DataFrame) and "ds" in X else X
        dates = pd.DatetimeIndex(days) if pd.api.types.is_datetime64_any_dtype(days) else np.arange(len(days))
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


# ---------------------------------------------------------------- input
@dataclass(frozen=True)
class _Panel:
    """Checked series as matrices: S series × T days; NaN outside a series' own days."""

    frame: pd.DataFrame  # sorted by unique_id and ds, with a column unique_id
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


def _panel(frame: pd.DataFrame, *, missing_y: bool = False) -> _Panel:
    """The frame, checked. Raises `ForecastError` that names series and date."""
    if not isinstance(frame, pd.DataFrame) or (lost := [c for c in ("ds", "y") if c not in frame]):
        what = (
            f"lacks {' and '.join(lost)}"
            if isinstance(frame, pd.DataFrame)
            else f"is a {type(frame).__name__}"
        )
        raise ForecastError(
            f"the frame {what}: it has columns ds (days) and y, and unique_id where there are several"
        )
    if frame.empty:
        raise ForecastError("the frame has no rows")
    if not pd.api.types.is_datetime64_any_dtype(frame["ds"]):
        raise ForecastError(
            f"ds is {frame['ds'].dtype}, not dates: frame.assign(ds=pd.to_datetime(frame['ds']))"
        )
    if not pd.api.types.is_numeric_dtype(frame["y"]):
        raise ForecastError(
            f"y is {frame['y'].dtype}, not numbers: pd.to_numeric says which rows are at fault"
        )
    if "unique_id" not in frame:
        frame = frame.assign(unique_id="y")
    if frame["unique_id"].is_monotonic_increasing:
        frame = frame.reset_index(drop=True)
    else:  # series may stand in any order, the days of each may not
        frame = frame.sort_values("unique_id", kind="stable", ignore_index=True)
    row, ids = pd.factorize(frame["unique_id"])
    ds, same = frame["ds"], np.r_[False, row[1:] == row[:-1]]

    def refuse(bad: Array, what: str) -> None:
        if bad.any():
            i = int(np.argmax(bad))
            raise ForecastError(f"series {ids[row[i]]}, {_day(ds.iloc[i])}: {what}")

    refuse(ds.isna().to_numpy(), "a row has no date; drop it, or fill it in")
    step = ds.diff().where(same)
    refuse(
        (step < pd.Timedelta(0)).to_numpy(), "comes after a later day; frame.sort_values(['unique_id', 'ds'])"
    )
    refuse((step == pd.Timedelta(0)).to_numpy(), "stands twice; keep one row a day")
    dates = pd.DatetimeIndex(np.sort(ds.unique()))
    if freq := _freq(dates):
        dates = pd.date_range(dates[0], dates[-1], freq=freq)
    day = dates.get_indexer(ds)
    refuse(
        day < 0, f"is no day of the calendar that the others keep ({freq}); put every series on one calendar"
    )
    gap = same & (np.diff(day, prepend=0) != 1)
    if gap.any():
        i = int(np.argmax(gap))
        n, lost = int(np.where(gap, np.diff(day, prepend=0) - 1, 0).sum()), dates[day[i - 1] + 1]
        raise ForecastError(
            f"series {ids[row[i]]}, {_day(lost)}: the day is missing ({n} in all); fill in, or cut there"
        )
    if not missing_y:
        bad = ~np.isfinite(frame["y"].to_numpy(dtype=float, na_value=np.nan))
        refuse(bad, f"y is missing or infinite ({bad.sum()} rows in all); fill it, or cut there")
    return _Panel(frame, pd.Index(ids), dates, row, day)


def _freq(dates: pd.DatetimeIndex) -> str | None:
    """The calendar's frequency, from the first stretch of ten days that keeps one."""
    for start in range(max(1, len(dates) - 9)):
        stretch = dates[start : start + 10]
        if len(stretch) >= 3 and (freq := pd.infer_freq(stretch)):
            return freq
    return None


def _day(when: Any) -> str:
    return "no date" if pd.isna(when) else f"{when:%Y-%m-%d}"


# ---------------------------------------------------------------- features
def lag_features(
    y: pd.Series | pd.DataFrame,
    lags: int | Sequence[int] = (),
    rolling: Rolling | None = None,
    horizon: int = 1,
) -> pd.DataFrame:
    """Lags and rolling statistics of the target that are known `horizon` days ahead, a row for each of `y`.

    `y` is a Series indexed by its days, or a tidy frame. `lag_7` is y of seven days before the row's day;
    `lags=7` means 1 to 7. `rolling={7: "mean", 28: ["mean", "std"]}` gives `mean_7` over the seven days that
    end `horizon` days before the row's day (mean, sum, min, max, std with n - 1). The first rows are NaN.

    A lag shorter than the horizon is refused: on the last day of the forecast it is not known.
    """
    frame = y if isinstance(y, pd.DataFrame) else pd.DataFrame({"ds": y.index, "y": y.to_numpy()})
    panel = _panel(frame, missing_y=True)
    lags = _whole_lags(lags)
    for lag in lags:
        if lag < horizon:
            raise ForecastError(
                f"lag {lag} is shorter than the horizon of {horizon}: {horizon} days ahead, y of {lag} days "
                f"before is not yet known. Take lags of {horizon} or more, or forecast recursively"
            )
    names, values = _history(panel.matrix(panel.frame["y"]), lags, rolling, horizon)
    out = pd.DataFrame(values[panel.row, panel.day], columns=names)
    if not isinstance(y, pd.DataFrame):
        return out.set_axis(y.index)
    order = (
        np.argsort(pd.factorize(y["unique_id"], sort=True)[0], kind="stable")
        if "unique_id" in y
        else out.index
    )
    return out.set_axis(np.asarray(order)).sort_index().set_axis(y.index)


def _whole_lags(lags: int | Sequence[int]) -> list[int]:
    lags = list(range(1, lags + 1)) if isinstance(lags, int | np.integer) else list(lags)
    for lag in lags:
        if not isinstance(lag, int | np.integer) or lag < 1:
            raise ForecastError(f"lag {lag!r}: a lag is a whole number of days, 1 or more")
    return lags


def _windows(rolling: Rolling | None) -> list[tuple[int, str]]:
    named = [(n, [how] if isinstance(how, str) else list(how)) for n, how in (rolling or {}).items()]
    pairs = [(window, how) for window, hows in named for how in hows]
    for window, how in pairs:
        if how not in ("mean", "sum", "min", "max", "std") or not isinstance(window, int) or window < 2:
            raise ForecastError(
                f"rolling {{{window!r}: {how!r}}}: two days or more, and mean, sum, min, max or std"
            )
    return pairs


def _history(
    y: Array, lags: Sequence[int], rolling: Rolling | None, horizon: int = 1
) -> tuple[list[str], Array]:
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


def calendar_features(ds: Any, country: str | None = "US", names: bool = False) -> pd.DataFrame:
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
    return pd.DataFrame(out, index=index)


# ---------------------------------------------------------------- leaks
def find_leaks(
    features: Builder,
    frame: pd.DataFrame,
    *,
    horizon: int = 1,
    known: Sequence[str] = (),
    cutoffs: Sequence[Any] | None = None,
) -> dict[str, str]:
    """Features that know what they can't: feature → reason. An honest builder gives {}.

    The target, and every column that is not in `known`, is scrambled after a cutoff and the features are
    built again. Those of the days up to `horizon` days after the cutoff must not have moved. `cutoffs` are
    days (default: before the first day, and two on the way); before the first day always is one of them,
    because back-filling shows only there.
    """
    panel = _panel(frame, missing_y=True)
    n = len(panel.dates)
    days = (
        [n // 2, n - horizon - 1]
        if cutoffs is None
        else list(panel.dates.get_indexer(pd.DatetimeIndex(cutoffs)))
    )
    honest = _built(features, panel.frame)
    found: dict[str, str] = {}
    for cutoff in dict.fromkeys([-1, *(day for day in days if day >= 0)]):
        _, moved = _perturbed(features, panel, cutoff, horizon, known, honest)
        found = {**moved, **found}
    return found


def _perturbed(
    features: Builder, panel: _Panel, cutoff: int, horizon: int, known: Sequence[str], honest: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The features built with a scrambled future, and those of them that moved too early."""
    future = panel.day > cutoff
    rng, frame = np.random.default_rng(0), dict(panel.frame.items())
    unknown = panel.frame.columns.drop(["unique_id", "ds", *known], errors="ignore")
    numbers = [column for column in unknown if pd.api.types.is_numeric_dtype(panel.frame[column])]
    values = panel.frame[numbers].to_numpy(dtype=float, na_value=np.nan, copy=True)
    scale = np.nan_to_num(panel.frame[numbers].std().to_numpy(dtype=float), nan=1.0)
    values[future] = (10 * scale + 1) * rng.standard_normal((future.sum(), len(numbers)))
    frame.update({column: values[:, i] for i, column in enumerate(numbers)})
    for column in unknown.drop(numbers):
        frame[column] = panel.frame[column].copy()
        frame[column][future] = rng.permutation(frame[column][future].to_numpy())
    frame = pd.DataFrame(frame)
    built = _built(features, frame)
    if list(built.columns) != list(honest.columns):
        changed = sorted(map(str, set(built.columns) ^ set(honest.columns))) or ["the order of the columns"]
        return built, dict.fromkeys(changed, "whether it exists depends on the days to be forecast")
    checked, moved = panel.day <= cutoff + horizon, {}
    for column in honest.columns:
        a, b = honest[column][checked], built[column][checked]
        if pd.api.types.is_numeric_dtype(a) and pd.api.types.is_numeric_dtype(b):
            a, b = (x.to_numpy(dtype=float, na_value=np.nan) for x in (a, b))
            same = np.isclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)
        else:
            same = ((a == b) | (a.isna() & b.isna())).to_numpy(dtype=bool)
        if not same.all():
            at = panel.frame["ds"][checked].iloc[int(np.argmin(same))]
            when = "from the first day on" if cutoff < 0 else f"after {_day(panel.dates[cutoff])}"
            moved[str(column)] = f"its value of {_day(at)} changes with what happens {when}"
    return built, moved


def _built(features: Builder, frame: pd.DataFrame) -> pd.DataFrame:
    out = features(frame)
    if not isinstance(out, pd.DataFrame) or len(out) != len(frame):
        what = f"{len(out)} rows" if isinstance(out, pd.DataFrame) else f"a {type(out).__name__}"
        raise ForecastError(
            f"features gave {what} for a frame of {len(frame)}: a DataFrame, a row for every row"
        )
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

    def fit(self, frame: pd.DataFrame) -> Self:
        """Remember one series: ds (days in order) and y."""
        self.ds_, self.y_ = pd.DatetimeIndex(frame["ds"]), frame["y"].to_numpy(dtype=float)
        if len(self.y_) < self._least():
            raise ForecastError(f"{self!r} needs {self._least()} days of training; there are {len(self.y_)}")
        return self

    def predict(self, future: pd.DataFrame) -> pd.DataFrame:
        """Columns ds and yhat, for days after the training."""
        step = np.diff(self.ds_.to_numpy()[-2:])[0] if len(self.ds_) > 1 else np.timedelta64(1, "D")
        ahead = np.rint((future["ds"].to_numpy() - self.ds_[-1].to_numpy()) / step).astype(int)
        if (ahead < 1).any():
            raise ForecastError(
                f"{_day(future['ds'].min())} is no day after the training, which ends {_day(self.ds_[-1])}"
            )
        return pd.DataFrame({"ds": future["ds"].to_numpy(), "yhat": self._ahead(ahead)})


class SeasonalNaive(_Baseline):
    """The last value of the same phase: y of `season` days before, or of twice that, …."""

    def __init__(self, season: int = 7) -> None:
        self.season = season

    def _least(self) -> int:
        return self.season

    def _ahead(self, h: Array) -> Array:
        return self.y_[len(self.y_) - self.season + (h - 1) % self.season]


class Drift(_Baseline):
    """The last value plus the mean step so far: the line from the first day through the last."""

    def _least(self) -> int:
        return 2

    def _ahead(self, h: Array) -> Array:
        return self.y_[-1] + h * (self.y_[-1] - self.y_[0]) / (len(self.y_) - 1)


# ---------------------------------------------------------------- backtest
def backtest(
    frame: pd.DataFrame,
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
) -> pd.DataFrame:
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
    panel = _panel(frame)
    folds = _folds(panel, splitter)
    steps = max(int(fold.test[-1]) - fold.end for fold in folds)
    job = _Job(model, strategy, panel, steps, tuple(known), features)
    job.build(_whole_lags(lags), rolling, calendar, past or {}, folds, check)
    every = (
        1 if refit is True or isinstance(model, _Baseline) else len(folds) if refit is False else int(refit)
    )
    if every < 1:
        raise ForecastError(f"refit={refit!r}: True, False, or every so many folds")
    folder = None
    if store is not None:
        key = [
            _identity(thing) for thing in (model, features, strategy, lags, rolling, calendar, past, every)
        ]
        data = pd.util.hash_pandas_object(
            panel.frame[["unique_id", "ds", "y", *known, *(past or {})]]
        ).to_numpy()
        spans = [(fold.start, fold.end) for fold in folds]
        folder = Path(store) / joblib.hash([key, data, spans, steps, known])[:16]
        folder.mkdir(parents=True, exist_ok=True)
    blocks = [folds[i : i + every] for i in range(0, len(folds), every)]
    # Threads: XGBoost, NumPy and Prophet let go of the interpreter lock, and the matrices are not copied.
    run = joblib.Parallel(n_jobs=n_jobs if len(blocks) > 1 else 1, prefer="threads", return_as="generator")
    with tqdm(total=len(folds), desc="folds", delay=5, disable=not progress) as bar:
        done = []
        for block, parts in zip(
            blocks, run(joblib.delayed(_block)(job, b, folder) for b in blocks), strict=True
        ):
            done += parts
            bar.update(len(block))
    out = pd.concat(done).sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)
    if lost := panel.ids.difference(out["unique_id"]).tolist():
        days = int((panel.row == panel.ids.get_loc(lost[0])).sum())
        last = panel.frame.loc[panel.frame["unique_id"] == lost[0], "ds"].iloc[-1]
        raise ForecastError(
            f"series {lost[0]}: its {days} days up to {_day(last)} are too few for any fold; shorten lags "
            f"and windows, or leave it out"
        )
    return out if intervals is None else conformal(out, intervals)


class _Fold(NamedTuple):
    start: int  # first training day
    end: int  # last training day: the cutoff
    test: Array


def _folds(panel: _Panel, splitter: Any) -> list[_Fold]:
    first, last = _day(panel.dates[0]), _day(panel.dates[-1])
    try:
        pairs = list(splitter.split(np.arange(len(panel.dates))[:, None]))
    except ValueError as error:
        raise ForecastError(f"series {panel.ids[0]}, {first} to {last}: {error}") from None
    for train, test in pairs:
        if train.max() >= test.min():
            late, early = _day(panel.dates[train.max()]), _day(panel.dates[test.min()])
            raise LeakError(
                f"{splitter!r} trains on {late} to forecast {early}: take a splitter that trains on earlier "
                f"days only, such as WalkForwardSplit"
            )
    return [_Fold(int(train.min()), int(train.max()), np.sort(test)) for train, test in pairs]


@dataclass
class _Job:
    """What all folds share."""

    model: Any
    strategy: str
    panel: _Panel
    steps: int  # from the cutoff to the last day of the longest fold
    known: tuple[str, ...]
    features: Builder | None
    lags: list[int] = field(default_factory=list)
    rolling: Rolling | None = None
    at_once: bool = True  # no feature needs a prediction

    def build(
        self,
        lags: list[int],
        rolling: Rolling | None,
        calendar: str | None,
        past: Mapping[str, Sequence[int]],
        folds: list[_Fold],
        check: bool,
    ) -> None:
        """Make the matrices once: what is known the evening before each day, and what is known in advance."""
        panel, frame = self.panel, self.panel.frame
        for column in (*self.known, *past):
            if column not in frame or not pd.api.types.is_numeric_dtype(frame[column]):
                what = f"is {frame[column].dtype}" if column in frame else "is not in the frame"
                raise ForecastError(f"regressor {column!r} {what}: known= and past= name columns of numbers")
            if column in self.known and np.array_equal(frame[column], frame["y"]):
                raise LeakError(f"known regressor {column!r} is the target itself")
        self.y, self.lags, self.rolling = panel.matrix(frame["y"]), lags, rolling
        self.in_advance = (
            panel.matrix(frame[list(self.known)]) if self.known else np.empty((*self.y.shape, 0))
        )
        if calendar is not None:
            days = calendar_features(panel.dates, calendar).to_numpy(dtype=float)
            days = np.broadcast_to(days, (len(self.y), *days.shape))
            self.in_advance = np.concatenate([days, self.in_advance], axis=2)
        self.fits_frames = isinstance(self.model, _Baseline | type) or not hasattr(self.model, "fit")
        if self.fits_frames:
            return
        if not (lags or rolling or past or self.features or self.in_advance.shape[2]):
            raise ForecastError("nothing to learn from: give lags=, rolling=, calendar=, known= or features=")
        parts = [_history(self.y, lags, rolling)[1]]
        for column, column_lags in past.items():
            column_lags = _whole_lags(column_lags)
            if self.strategy == "recursive" and min(column_lags, default=self.steps) < self.steps:
                raise ForecastError(
                    f"past regressor {column!r}, lag {min(column_lags)}: {self.steps} days ahead it is not "
                    f"yet known. Take lags of {self.steps} or more, strategy='direct', or known="
                )
            parts.append(_history(panel.matrix(frame[column]), column_lags, None)[1])
        self.at_once = self.strategy != "recursive" or not (
            rolling or min(lags, default=self.steps) < self.steps
        )
        if self.features is not None:
            built = _built(self.features, frame)
            for cutoff in (-1, folds[0].end) if check else ():
                _refuse(_perturbed(self.features, panel, cutoff, 1, self.known, built)[1])
            if self.strategy == "recursive":  # features that look back past the horizon need no prediction
                ahead = _perturbed(self.features, panel, folds[-1].end, self.steps, self.known, built)[1]
                self.at_once = self.at_once and not ahead
            self.built = built if check else None
            parts.append(panel.matrix(built))
        self.own = slice(0, parts[0].shape[2])
        self.evening = np.concatenate(parts, axis=2)
        # A value missing after a column has begun is the model's affair; before that it is warm-up.
        self.begun = np.logical_or.accumulate(np.isfinite(self.evening), axis=1).all(axis=2)


def _block(job: _Job, folds: list[_Fold], folder: Path | None) -> list[pd.DataFrame]:
    """Folds that share one training; each is written when it is done."""
    out, fitted = [], None
    with _controller().select(user_api="openmp").limit(limits=1):
        for fold in folds:
            file = folder and folder / f"{job.panel.dates[fold.end]:%Y-%m-%dT%H%M%S}-{fold.test[-1]}.parquet"
            if file is not None and (stored := _stored(file)) is not None:
                out.append(stored)
                continue
            if job.fits_frames:
                fitted = fitted if fitted is not None else _fit_frames(job, folds[0])
                part = _predict_frames(job, fitted, fold)
            else:
                fitted = fitted if fitted is not None else _fit(job, folds[0])
                part = _tidy(job, fold, _predict(job, fitted, fold))
            if part.empty:
                raise ForecastError(
                    f"cutoff {_day(job.panel.dates[fold.end])}: no series can be forecast; each needs its "
                    f"lags (and past regressors) up to that day, and y after it"
                )
            out.append(part)
            if file is not None:
                part.to_parquet(half := file.with_suffix(".half"), index=False)
                half.replace(file)
    return out


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def _stored(file: Path) -> pd.DataFrame | None:
    try:
        return pd.read_parquet(file)
    except (OSError, ValueError):  # not there, or not whole: forecast it again
        return None


def _fit(job: _Job, fold: _Fold) -> list[Any]:
    """The fold's models: one, or for the direct strategy one for each step."""
    first, last, steps = fold.start, fold.end, fold.test - fold.end

    def fit(rows: Array, target: Array, ahead: Sequence[int]) -> Any:
        """`rows` (S, days): days after an origin that are trained on, in order of series and day."""
        if not rows.any():
            raise ForecastError(
                f"series {job.panel.ids[0]}, cutoff {_day(job.panel.dates[last])}: no training row has all "
                f"its lags; shorten lags and windows, or begin later (initial=)"
            )
        model = clone(job.model)
        threads = {
            name: 1 for name, value in model.get_params().items() if name.endswith("n_jobs") and value is None
        }
        return model.set_params(**threads).fit(_rows(job, rows, first, ahead), target)

    if job.strategy == "recursive":
        rows = job.begun[:, first : last + 1] & np.isfinite(job.y[:, first : last + 1])
        return [fit(rows, job.y[:, first : last + 1][rows], [0])]
    if job.strategy == "direct":
        models = []
        for ahead in steps - 1:
            target = job.y[:, first + ahead : last + 1]
            rows = job.begun[:, first : last + 1 - ahead] & np.isfinite(target)
            models.append(fit(rows, target[rows], [ahead]))
        return models
    width = last + 1 - first - (steps[-1] - 1)
    targets = np.stack([job.y[:, first + a : first + a + max(width, 0)] for a in steps - 1], axis=2)
    rows = job.begun[:, first : first + max(width, 0)] & np.isfinite(targets).all(axis=2)
    return [fit(rows, targets[rows], list(steps - 1))]


def _rows(job: _Job, rows: Array, first: int, ahead: Sequence[int], evening: Array | None = None) -> Array:
    """The matrix of the marked days from `first` on: the evening before, then what is known in advance."""
    n = rows.shape[1]
    evening = job.evening[:, first : first + n] if evening is None else evening
    advance = [job.in_advance[:, first + a : first + a + n][rows] for a in ahead]
    return np.concatenate([evening[rows], *advance], axis=1)


def _predict(job: _Job, models: list[Any], fold: _Fold) -> Array:
    """Predictions (S, steps of the fold); NaN for a series that can't be forecast at this cutoff."""
    cutoff, steps = fold.end, fold.test - fold.end
    after = slice(cutoff + 1, cutoff + 2)
    ready = np.isfinite(job.y[:, cutoff])
    evening = job.evening
    if job.features is not None:  # the future is scrambled: what leaks past the check is worth nothing
        horizon = job.steps if job.strategy == "recursive" and job.at_once else 1
        honest = job.built if job.built is not None else pd.DataFrame()
        built, moved = _perturbed(job.features, job.panel, cutoff, horizon, job.known, honest)
        if job.built is not None:
            _refuse(moved)
        evening = evening.copy()
        evening[:, :, evening.shape[2] - built.shape[1] :] = job.panel.matrix(built)
    ready &= job.begun[:, cutoff + 1]
    out = np.full((len(job.y), len(steps)), np.nan)
    if not ready.any():
        return out
    day = ready[:, None]
    if job.strategy == "direct":
        for i, (model, ahead) in enumerate(zip(models, steps - 1, strict=True)):
            out[ready, i] = model.predict(_rows(job, day, cutoff + 1, [ahead], evening[:, after]))
    elif job.strategy == "multi_output":
        out[ready] = models[0].predict(_rows(job, day, cutoff + 1, list(steps - 1), evening[:, after]))
    elif job.at_once:
        days = np.repeat(day, len(steps), axis=1)
        first = cutoff + int(steps[0])
        rows = _rows(job, days, first, [0], evening[:, first : first + len(steps)])
        out[ready] = np.asarray(models[0].predict(rows)).reshape(ready.sum(), -1)
    else:
        out[ready] = _recurse(job, models[0], cutoff, int(steps[-1]), ready, evening)[:, steps - 1]
    return out


def _recurse(job: _Job, model: Any, cutoff: int, steps: int, ready: Array, evening: Array) -> Array:
    """Day by day, each prediction taken for the truth by the days after it."""
    need = max([*job.lags, *(job.rolling or {}), 1]) + 1
    begin = max(0, cutoff + 1 - need)
    y = np.array(job.y[:, begin : cutoff + 1 + steps])
    y[:, cutoff + 1 - begin :] = np.nan
    day, out = ready[:, None], np.empty((int(ready.sum()), steps))
    for step in range(steps):
        at = cutoff + 1 + step
        if job.features is not None:
            frame = job.panel.frame[job.panel.day <= at].copy()
            panel = _Panel(
                frame,
                job.panel.ids,
                job.panel.dates,
                *(x[job.panel.day <= at] for x in (job.panel.row, job.panel.day)),
            )
            future = panel.day > cutoff
            values = frame["y"].to_numpy(dtype=float, copy=True)
            values[future] = y[panel.row[future], panel.day[future] - begin]
            built = panel.matrix(_built(job.features, frame.assign(y=values)))[:, at]
            row = np.concatenate([evening[:, at, : evening.shape[2] - built.shape[1]], built], axis=1)
        else:
            row = evening[:, at].copy()
        here = at - begin
        row[:, job.own] = _history(y[:, max(0, here - need) : here + 1], job.lags, job.rolling)[1][:, -1]
        out[:, step] = model.predict(_rows(job, day, at, [0], row[:, None]))
        y[ready, here] = out[:, step]
    return out


def _tidy(job: _Job, fold: _Fold, yhat: Array) -> pd.DataFrame:
    y = job.y[:, fold.test]
    series, step = np.nonzero(np.isfinite(y) & np.isfinite(yhat))
    return pd.DataFrame(
        {
            "unique_id": job.panel.ids[series],
            "ds": job.panel.dates[fold.test[step]],
            "cutoff": job.panel.dates[fold.end],
            "h": (fold.test - fold.end)[step],
            "y": y[series, step],
            "yhat": yhat[series, step],
        }
    )


def _fit_frames(job: _Job, fold: _Fold) -> dict[int, Any]:
    """A model of Prophet's interface for each series that has training days."""
    fitted, columns = {}, ["ds", "y", *job.known]
    for series in range(len(job.panel.ids)):
        rows = (job.panel.row == series) & (job.panel.day >= fold.start) & (job.panel.day <= fold.end)
        if rows.any() and np.isfinite(job.y[series, fold.end]):
            model = clone(job.model) if isinstance(job.model, _Baseline) else job.model()
            model.fit(job.panel.frame.loc[rows, columns].reset_index(drop=True))
            fitted[series] = model
    return fitted


def _predict_frames(job: _Job, fitted: dict[int, Any], fold: _Fold) -> pd.DataFrame:
    yhat = np.full((len(job.panel.ids), len(fold.test)), np.nan)
    bounds: dict[str, Array] = {}
    for series, model in fitted.items():
        rows = (job.panel.row == series) & np.isin(job.panel.day, fold.test)
        if not rows.any():
            continue
        future = job.panel.frame.loc[rows, ["ds", *job.known]].reset_index(drop=True)
        got = model.predict(future)
        got = got if isinstance(got, pd.DataFrame) else pd.DataFrame({"yhat": np.asarray(got)})
        at = np.searchsorted(fold.test, job.panel.day[rows])
        yhat[series, at] = got["yhat"]
        for name in {"yhat_lower", "yhat_upper"} & set(got):
            bounds.setdefault(name, np.full_like(yhat, np.nan))[series, at] = got[name]
    out = _tidy(job, fold, yhat)
    series, step = np.nonzero(np.isfinite(job.y[:, fold.test]) & np.isfinite(yhat))
    return out.assign(**{name: bounds[name][series, step] for name in sorted(bounds)})


def _identity(thing: Any) -> Any:
    """What tells one call from another on disk: names, parameters and source, not addresses."""
    if isinstance(thing, partial):
        return ["partial", _identity(thing.func), thing.args, thing.keywords]
    if inspect.isfunction(thing) or inspect.isclass(thing):
        try:
            source = inspect.getsource(thing)
        except (OSError, TypeError):
            source = getattr(getattr(thing, "__code__", None), "co_code", b"")
        cells = [_identity(cell.cell_contents) for cell in getattr(thing, "__closure__", None) or ()]
        return [thing.__module__, thing.__qualname__, source, cells, getattr(thing, "__defaults__", None)]
    if hasattr(thing, "get_params"):
        return [_identity(type(thing)), {k: _identity(v) for k, v in thing.get_params().items()}]
    return thing


# ---------------------------------------------------------------- intervals, scores, comparison
def conformal(frame: pd.DataFrame, level: float = 0.8, *, window: int | None = None) -> pd.DataFrame:
    """Add `yhat_lower` and `yhat_upper` from earlier errors of the same series and step ahead.

    Half the width is the ⌈(n + 1) · level⌉-th smallest of the n absolute errors (split conformal: Vovk et al.
    2005) whose days had passed at the cutoff, of the last `window` of them if given. NaN while n is too small
    for the level (4 errors for 0.8).
    """
    if not 0 < level < 1:
        raise ForecastError(f"level={level!r}: between 0 and 1, such as 0.8")
    half = pd.Series(np.nan, index=frame.index)
    for _, group in frame.groupby(["unique_id", "h"], sort=False):
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
    frame: pd.DataFrame,
    by: Hashable | Sequence[Hashable] | None = None,
    *,
    train: pd.DataFrame | None = None,
    season: int = 7,
    level: float = 0.8,
) -> pd.DataFrame:
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
        data["mase"] = data["mae"] / data["unique_id"].map(_naive_error(train, frame["cutoff"].min(), season))
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


def _naive_error(train: pd.DataFrame, until: pd.Timestamp, season: int) -> pd.Series:
    panel = _panel(train)
    y = panel.matrix(panel.frame["y"])[:, panel.dates <= until]
    return pd.Series(np.nanmean(np.abs(y[:, season:] - y[:, :-season]), axis=1), index=panel.ids)


@dataclass(frozen=True)
class Comparison:
    """Mean loss of a minus that of b, with its interval; `better` is "neither" when the interval holds 0."""

    difference: float
    low: float
    high: float
    better: Literal["a", "b", "neither"]


def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    loss: Literal["absolute", "squared"] = "absolute",
    block: int | None = None,
    n: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Is a better than b on the same days? The mean difference of their losses and its bootstrap interval.

    Blocks of `block` days in a row (default: the longest horizon) are drawn with replacement, in a circle
    (Politis and Romano 1992), because errors of neighbouring days are alike. Losses of one day (several
    series or folds) are averaged first. Both frames must hold the same series, days and cutoffs.
    """
    if loss not in ("absolute", "squared"):
        raise ForecastError(f'loss={loss!r}: it is "absolute" or "squared"')
    both = a[[*KEYS, "h", "y", "yhat"]].merge(b[[*KEYS, "yhat"]], on=KEYS, how="inner", suffixes=("_a", "_b"))
    if not len(both) == len(a) == len(b):
        raise ForecastError(
            f"a has {len(a)} forecasts, b {len(b)}, in common {len(both)}: take backtests of the same folds"
        )
    errors = [
        (both["y"] - both[name]).abs() ** (1 if loss == "absolute" else 2) for name in ("yhat_a", "yhat_b")
    ]
    daily = (errors[0] - errors[1]).groupby(both["ds"]).mean().to_numpy()
    size = min(int(block or both["h"].max()), len(daily))
    rng, around = np.random.default_rng(seed), np.concatenate([daily, daily[: size - 1]])
    sums = np.convolve(around, np.ones(size), mode="valid")  # of the block that begins on each day
    drawn = sums[rng.integers(len(daily), size=(n, max(1, round(len(daily) / size))))].mean(axis=1) / size
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    better = "a" if high < 0 else "b" if low > 0 else "neither"
    return Comparison(float(daily.mean()), float(low), float(high), better)

"""Walk forward over the folds: what could have been forecast on each cutoff, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from threadpoolctl import ThreadpoolController
from tqdm.auto import tqdm

from walkforward.forecasting import store as stores
from walkforward.forecasting.baselines import Baseline
from walkforward.forecasting.entry import Array, as_numbers, day, names, refuse_level, whole
from walkforward.forecasting.errors import ForecastError, LeakError
from walkforward.forecasting.features import Rolling, whole_lags, windows
from walkforward.forecasting.frame import Frame, Panel, panel_and_faults
from walkforward.forecasting.leaks import Builder
from walkforward.forecasting.matrices import Columns, Fold, check_regressors, regression
from walkforward.forecasting.scores import conformal


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
    n_jobs: int | None = -1,
    store: str | Path | None = None,
    check: bool = True,
    progress: bool = True,
    freq: Any = None,
    bad_series: Literal["raise", "drop"] = "raise",
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

    Days. A "day" is a position on the panel's calendar: a month, a business day, half an hour. `freq` names
    it (a pandas alias or offset, "B", "MS", `pd.offsets.CustomBusinessDay(holidays=[…])`); by default it is
    told from the days, and refused where it can't be. Dates of any make are taken (Arrow, periods, objects)
    and returned as plain ones; with a time zone, as the wall time there.

    `refit`: at every fold, at every k-th, or (False) at the first only; baselines are always fitted anew.
    `intervals`: level of conformal intervals, see `conformal`. `n_jobs`: folds at a time, through joblib with
    threads (or the backend of `joblib.parallel_config`); a model whose n_jobs is None trains on one thread.
    `store`: a folder that keeps every finished fold; the same call takes it up where it was interrupted.
    Another call is told by its data, folds, settings, the code that runs and the versions of its libraries;
    what files or the network tell a builder is not seen.
    `check`: every fold is checked for leaks, by its days and, for `features`, by `find_leaks`.
    `bad_series`: "raise" names the first series that can't be forecast, before anything is computed; "drop"
    leaves all such out, and the result's `attrs["left_out"]` tells why (series → reason).

    Errors of ours are `ForecastError` and `LeakError`; what a model or a builder of yours raises, it raises.
    """
    if strategy not in ("recursive", "direct", "multi_output"):
        raise ForecastError(f'strategy={strategy!r}: it is "recursive", "direct" or "multi_output"')
    if bad_series not in ("raise", "drop"):
        raise ForecastError(f'bad_series={bad_series!r}: it is "raise" or "drop"')
    if not (isinstance(refit, bool) or whole(refit, 1)):
        raise ForecastError(f"refit={refit!r}: True, False, or every so many folds")
    if not (n_jobs is None or whole(n_jobs, 1) or whole(-n_jobs if whole(n_jobs, -(10**6)) else 0, 1)):
        raise ForecastError(f"n_jobs={n_jobs!r}: so many folds at a time, or -1 for one on each core")
    refuse_level("intervals", 0.8 if intervals is None else intervals)
    windows(rolling)
    if not isinstance(past, Mapping | None):
        raise ForecastError(f"past={past!r}: regressors and their lags, {{'temp': [14, 21]}}")
    lagged = {name: whole_lags(some) for name, some in (past or {}).items()}
    columns = Columns(whole_lags(lags), rolling, calendar, names(known, "known"), lagged, features, check)
    panel, left_out = panel_and_faults(frame, freq=freq, drop=bad_series == "drop")
    folds = _folds(panel, splitter)
    task = _task(model, strategy, panel, folds, columns)
    every = 1 if refit is True or isinstance(model, Baseline) else int(refit) or len(folds)
    while bad := _never_ready(task, folds, every):
        if bad_series == "raise":
            raise ForecastError(next(iter(bad.values())))
        left_out |= bad
        panel = panel_and_faults(panel.frame[~panel.frame["unique_id"].isin(list(bad))], freq=freq)[0]
        folds = _folds(panel, splitter)
        task = _task(model, strategy, panel, folds, columns)
    folder = None if store is None else _folder(store, task, folds, every)
    blocks = [folds[i : i + every] for i in range(0, len(folds), every)]
    # Threads: XGBoost, NumPy and Prophet let go of the interpreter lock, and the matrices are not copied.
    run = joblib.Parallel(n_jobs=n_jobs if len(blocks) > 1 else 1, prefer="threads", return_as="generator")
    with (
        tqdm(total=len(folds), desc="folds", delay=5, disable=not progress) as bar,
        _controller().limit(limits=1),
    ):
        done = []
        for parts in run(joblib.delayed(_block)(task, block, folder) for block in blocks):
            done += parts
            bar.update(len(parts))
    out = pd.concat(done).sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)
    found = out if intervals is None else conformal(out, intervals)
    if left_out:
        found.attrs["left_out"] = {str(name): why for name, why in left_out.items()}
    return found


def _folds(panel: Panel, splitter: Any) -> list[Fold]:
    if not callable(getattr(splitter, "split", None)):
        raise ForecastError(f"splitter={splitter!r}: what splits the days, such as WalkForwardSplit(14, 5)")
    try:
        rows = splitter.split(np.arange(len(panel.dates))[:, None])
        pairs = [(np.asarray(train), np.asarray(test)) for train, test in rows]
    except (ValueError, TypeError) as error:
        span = f"{day(panel.dates[0])} to {day(panel.dates[-1])}"
        raise ForecastError(f"series {panel.ids[0]}, {span}: {error}") from None
    if not pairs or not all(len(train) and len(test) for train, test in pairs):
        raise ForecastError(f"{splitter!r} gives no days to train on or to forecast")
    for train, test in pairs:
        late, early = day(panel.dates[train.max()]), day(panel.dates[test.min()])
        if train.max() >= test.min():
            raise LeakError(
                f"{splitter!r} trains on {late} to forecast {early}: take a splitter that trains on earlier "
                f"days only, such as WalkForwardSplit"
            )
        if len(train) != np.ptp(train) + 1:
            raise ForecastError(f"{splitter!r} leaves days out of the training up to {late}: keep all")
    return [Fold(int(train.min()), int(train.max()), np.sort(test)) for train, test in pairs]


def _task(model: Any, strategy: str, panel: Panel, folds: list[Fold], columns: Columns) -> Any:
    """How this kind of model is fitted and asked."""
    check_regressors(panel, columns.known, columns.past)
    if isinstance(model, Baseline):
        return Baselines(model, panel, columns, panel.matrix(panel.frame["y"]))
    if isinstance(model, type) and hasattr(model, "get_params"):
        raise ForecastError(f"model={model.__name__} is a class: give an object, {model.__name__}()")
    if isinstance(model, type) or not hasattr(model, "fit"):
        if not callable(model):
            raise ForecastError(f"model={model!r}: a regressor, a baseline, or what makes a fresh model")
        return FrameModels(model, panel, columns, panel.matrix(panel.frame["y"]))
    if not hasattr(model, "get_params"):
        raise ForecastError(
            f"model is a {type(model).__name__} that can't be cloned for every training: give what makes "
            f"a fresh one, such as functools.partial({type(model).__name__}, …)"
        )
    return regression(model, strategy, panel, folds, columns)


@dataclass(frozen=True)
class Baselines:
    """A baseline for each series, on positions of the calendar."""

    model: Baseline
    panel: Panel
    columns: Columns
    y: Array

    def _trained_on(self, series: int, fold: Fold) -> Array:
        y = self.y[series, fold.start : fold.end + 1]
        return y[np.isfinite(y)]

    def ready(self, fold: Fold, trained: Fold) -> Array:
        """Series (S) with y at the cutoff and as many days before it as the rule needs."""
        days = np.isfinite(self.y[:, fold.start : fold.end + 1]).sum(axis=1)
        return np.isfinite(self.y[:, fold.end]) & (days >= self.model.least)

    def fit(self, fold: Fold) -> dict[int, Baseline]:
        """A rule for each series that is ready; with a single series that isn't, the rule says why."""
        series = np.flatnonzero(self.ready(fold, fold)) if len(self.y) > 1 else [0]
        return {int(i): clone(self.model).learn(self._trained_on(i, fold)) for i in series}

    def predict(
        self, models: dict[int, Baseline], fold: Fold, trained: Fold
    ) -> tuple[Array, dict[str, Array]]:
        """Which series are ready, and their forecasts (S, steps)."""
        out = np.full((len(self.y), len(fold.test)), np.nan)
        for series, model in models.items():
            out[series] = model.ahead(fold.steps)
        return self.ready(fold, trained), {"yhat": out}


@dataclass(frozen=True)
class FrameModels:
    """A model of Prophet's interface for each series."""

    model: Any
    panel: Panel
    columns: Columns
    y: Array

    def _rows(self, series: int, days: Array, names: list[str]) -> Frame:
        rows = (self.panel.row == series) & days[self.panel.day]
        return self.panel.frame.loc[rows, [*names, *self.columns.known]].reset_index(drop=True)

    def ready(self, fold: Fold, trained: Fold) -> Array:
        """Series (S) that had begun at the training's cutoff."""
        return np.isfinite(self.y[:, trained.end])

    def fit(self, fold: Fold) -> dict[int, Any]:
        """A fresh model for each series that has training days."""
        fitted, days = {}, np.zeros(self.y.shape[1], dtype=bool)
        days[fold.start : fold.end + 1] = True
        for series in np.flatnonzero(self.ready(fold, fold)):
            fitted[int(series)] = self.model()
            fitted[int(series)].fit(self._rows(series, days, ["ds", "y"]))
        return fitted

    def predict(self, models: dict[int, Any], fold: Fold, trained: Fold) -> tuple[Array, dict[str, Array]]:
        """Which series have days to be forecast, and what their models say of them (S, steps)."""
        out: dict[str, Array] = {}
        ready, days = np.zeros(len(self.y), dtype=bool), np.zeros(self.y.shape[1], dtype=bool)
        days[fold.test] = True
        for series, model in models.items():
            future = self._rows(series, days, ["ds"])
            if future.empty:
                continue
            ready[series] = True
            got = model.predict(future)
            said = got if isinstance(got, Frame) else {"yhat": np.asarray(got).ravel()}
            at = np.isfinite(self.y[series, fold.test])
            for name in ("yhat", "yhat_lower", "yhat_upper"):
                if name in said:
                    values = as_numbers(said[name], f"{name} of the model", ", not numbers")
                    if len(values) != len(future):
                        raise ForecastError(
                            f"the model's predict gave {len(values)} {name} for {len(future)} days"
                        )
                    out.setdefault(name, np.full((len(self.y), len(fold.test)), np.nan))[series, at] = values
        if ready.any() and "yhat" not in out:
            raise ForecastError("the model's predict gave no yhat: a frame with ds and yhat, or an array")
        return ready, out


def _never_ready(task: Any, folds: list[Fold], every: int) -> dict[Any, str]:
    """Series that no fold can forecast, and why; none if that is all (the first fold tells it better)."""
    panel, able = task.panel, np.zeros(len(task.panel.ids), dtype=bool)
    for i, fold in enumerate(folds):
        trained = folds[i - i % every]
        able |= task.ready(fold, trained) & np.isfinite(task.y[:, fold.test]).any(axis=1)
    if able.all() or not able.any():
        return {}
    found = {}
    for series in np.flatnonzero(~able):
        days = panel.dates[np.isfinite(task.y[series])]
        cutoffs = f"{day(panel.dates[folds[0].end])} to {day(panel.dates[folds[-1].end])}"
        found[panel.ids[series]] = (
            f"series {panel.ids[series]}: its {len(days)} days up to {day(days[-1])} are too few for any "
            f"fold, with cutoffs {cutoffs}; shorten lags and windows, or leave it out (bad_series='drop')"
        )
    return found


def _folder(store: Any, task: Any, folds: list[Fold], every: int) -> Path:
    """Where the folds of this very call are kept."""
    if not isinstance(store, str | Path):
        raise ForecastError(f"store={store!r}: a folder")
    columns, frame = task.columns, task.panel.frame
    if columns.features is None:
        frame = frame[["unique_id", "ds", "y", *columns.known, *columns.past]]
    strategy = getattr(task, "strategy", "")
    settings = {"model": task.model, "strategy": strategy, "every": every, "folds": [tuple(f) for f in folds]}
    folder = Path(store) / stores.key(settings | columns._asdict(), frame)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ForecastError(f"store={str(store)!r}: no folder can be made there ({error})") from None
    return folder


_controller = cache(ThreadpoolController)


def _block(task: Any, folds: list[Fold], folder: Path | None) -> list[Frame]:
    """Folds that share one training; each is written when it is done."""
    out, fitted = [], None
    with _controller().limit(limits=1):  # a thread has limits of its own, a process of a cluster too
        for fold in folds:
            cutoff = task.panel.dates[fold.end]
            file = folder and folder / f"{cutoff:%Y-%m-%dT%H%M%S}-{fold.end}-{fold.test[-1]}.parquet"
            part = None
            with suppress(OSError, ValueError):  # not there, or not whole: it is forecast (again)
                part = file and pd.read_parquet(file)
            if part is None:
                fitted = task.fit(folds[0]) if fitted is None else fitted
                part = _tidy(task, fold, *task.predict(fitted, fold, folds[0]))
                if file is not None:
                    part.to_parquet(half := file.with_suffix(".half"), index=False)
                    half.replace(file)
            out.append(part)
    return out


def _tidy(task: Any, fold: Fold, ready: Array, columns: Mapping[str, Array]) -> Frame:
    panel, y = task.panel, task.y[:, fold.test]
    series, step = np.nonzero(np.isfinite(y) & ready[:, None])
    cutoff = panel.dates[fold.end]
    if not len(series):
        raise ForecastError(
            f"cutoff {day(cutoff)}: no series can be forecast; each needs its lags (and past regressors) up "
            f"to that day, and y after it"
        )
    days = panel.dates[fold.test[step]]
    out = {"unique_id": panel.ids[series], "ds": days, "cutoff": cutoff, "h": fold.steps[step]}
    out |= {"y": y[series, step]} | {name: values[series, step] for name, values in columns.items()}
    if (bad := ~np.isfinite(out["yhat"])).any():
        i = int(np.argmax(bad))
        name, when = out["unique_id"][i], day(days[i])
        raise ForecastError(f"series {name}, {when}: the model forecast {out['yhat'][i]}; see to its input")
    return Frame(out)

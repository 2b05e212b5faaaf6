"""Walk forward over the folds: what could have been forecast on each cutoff, and nothing else."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Literal, NamedTuple

import joblib
import numpy as np
import pandas as pd
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController
from tqdm.auto import tqdm

from walkforward.forecasting import store as stores
from walkforward.forecasting.baselines import Baseline
from walkforward.forecasting.entry import day, names, refuse_level, whole
from walkforward.forecasting.errors import ForecastError, LeakError
from walkforward.forecasting.features import Rolling, whole_lags, windows
from walkforward.forecasting.frame import Frame, Panel, panel_and_faults
from walkforward.forecasting.leaks import Builder
from walkforward.forecasting.matrices import Columns, Fold, check_regressors, regression
from walkforward.forecasting.per_series import Baselines, FrameModels
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

    The columns of a regressor are, in this order: lags, rolling, past, features, calendar, known. Rows before
    the first full row of lags, past and features are not trained on. A "day" is a position on the panel's
    calendar: a month, a business day, half an hour.

    Args:
        frame: ds (dates of any make, returned plain; with a time zone, as the wall time there) and y, with
            unique_id if there are several series, and the regressors. The days of each series in order.
        model: A scikit-learn-style regressor, cloned for every training and fitted on NumPy arrays of all
            series together; or a baseline; or a callable that makes a fresh model of Prophet's interface for
            each series, `functools.partial(Prophet, …)` (its yhat_lower and yhat_upper are kept).
        splitter: `WalkForwardSplit` or any of scikit-learn's; it splits the days.
        strategy: "recursive": one model of the next day, fed with its own predictions. "direct": a model for
            each step ahead. "multi_output": one model of all steps. In these two, lags count back from the
            day after the cutoff; calendar and known are of the day forecast (multi_output: of all days).
        lags: Days back whose y are columns; a number n means 1 to n.
        rolling: Window in days → statistics of y over it, see `lag_features`.
        calendar: A country whose holidays are columns, with weekday and month; see `calendar_features`.
        known: Regressors known in advance for the day itself.
        past: Regressor known up to the cutoff → its lags in days.
        features: Your own builder: a row for every row of a frame whose future y is NaN.
        refit: True: at every fold; k: at every k-th; False: at the first. Baselines are always fitted anew.
        intervals: Level of conformal intervals, between 0 and 1, see `conformal`; None for none.
        n_jobs: Folds at a time, -1 for one on each core: threads, or the backend of `joblib.parallel_config`,
            whose workers read the data once each from `store`, else JOBLIB_TEMP_FOLDER: a folder they share.
            A model whose own n_jobs is None trains on one thread.
        store: A folder that keeps every finished fold; the same call takes it up where it was interrupted.
            Another call is told by its data, folds, settings, the code that runs and the versions of its
            libraries; what files or the network tell a builder is not seen.
        check: Every fold is checked for leaks, by its days and, for `features`, by `find_leaks`.
        progress: A bar, after five seconds.
        freq: The calendar: a pandas alias or offset ("B", "MS", `pd.offsets.CustomBusinessDay(…)`). None: it
            is told from the days, and refused where it can't be.
        bad_series: "raise" names the first series that can't be forecast, before anything is computed; "drop"
            leaves all such out, and `attrs["left_out"]` of the result tells why (series → reason).

    Returns:
        unique_id, ds, cutoff (last training day), h (days ahead, from 1), y, yhat, and yhat_lower, yhat_upper
        where there are intervals; sorted by series, cutoff, day.

    Raises:
        ForecastError: The frame or a setting can't be used; the message has series, day and a way out.
        LeakError: Something of the days to be forecast reaches the model.
        Exception: What the model or the builder raises, as it is.

    >>> from walkforward.forecasting import SeasonalNaive, WalkForwardSplit
    >>> frame = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=30), "y": range(30)})
    >>> backtest(frame, SeasonalNaive(7), WalkForwardSplit(2, 1))[["ds", "h", "y", "yhat"]]
              ds  h     y  yhat
    0 2020-01-29  1  28.0  21.0
    1 2020-01-30  2  29.0  22.0
    """
    if strategy not in ("recursive", "direct", "multi_output"):
        raise ForecastError(f'strategy={strategy!r}: it is "recursive", "direct" or "multi_output"')
    if bad_series not in ("raise", "drop"):
        raise ForecastError(f'bad_series={bad_series!r}: it is "raise" or "drop"')
    if not (isinstance(refit, bool) or whole(refit, 1)):
        raise ForecastError(f"refit={refit!r}: True, False, or every so many folds")
    if n_jobs is not None and (not whole(n_jobs, -(10**6)) or n_jobs == 0):
        raise ForecastError(f"n_jobs={n_jobs!r}: so many folds at a time, or -1 for one on each core")
    refuse_level("intervals", 0.8 if intervals is None else intervals)
    windows(rolling)
    if not isinstance(past, Mapping | None):
        raise ForecastError(f"past={past!r}: regressors and their lags, {{'temp': [14, 21]}}")
    lagged = {name: whole_lags(some) for name, some in (past or {}).items()}
    columns = Columns(whole_lags(lags), rolling, calendar, names(known, "known"), lagged, features, check)
    settings = _Settings(model, splitter, strategy, columns, refit, freq, bad_series == "drop")
    panel, unsound = panel_and_faults(frame, freq=freq, drop=settings.drop)
    task, blocks, too_short = _planned(settings, panel)
    folder = None if store is None else _folder(store, task, blocks)
    # Threads: XGBoost, NumPy and Prophet let go of the interpreter lock, and the matrices are not copied.
    backend, parts, found = get_active_backend(prefer="threads")[0], task.parts(), list[Frame]()
    run = joblib.Parallel(
        n_jobs=n_jobs if len(parts) * len(blocks) > 1 else 1,
        prefer="threads",
        return_as="generator" if backend.supports_return_generator else "list",
    )
    with (
        tqdm(total=len(parts) * sum(map(len, blocks)), desc="folds", delay=5, disable=not progress) as bar,
        _handed_out(parts, folder, getattr(backend, "supports_sharedmem", False)) as jobs,
        _controller().limit(limits=1),
    ):
        for done in run(joblib.delayed(_block)(job, block, folder) for job in jobs for block in blocks):
            found += [rows for rows in done if len(rows)]
            bar.update(len(done))
    forecasts = pd.concat(found).sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)
    out = forecasts if intervals is None else conformal(forecasts, intervals)
    if left_out := unsound | too_short:
        out.attrs["left_out"] = {str(name): why for name, why in left_out.items()}
    return out


class _Settings(NamedTuple):
    """What is asked of whatever series are left."""

    model: Any
    splitter: Any
    strategy: str
    columns: Columns
    refit: bool | int
    freq: Any
    drop: bool


def _planned(settings: _Settings, panel: Panel) -> tuple[Any, list[list[Fold]], dict[Any, str]]:
    """The task, its folds in blocks that share one training, and the series too short for it, with why."""
    folds = _folds(panel, settings.splitter)
    task = _task(settings, panel, folds)
    always = settings.refit is True or isinstance(settings.model, Baseline)
    every = 1 if always else int(settings.refit) or len(folds)
    blocks = [folds[i : i + every] for i in range(0, len(folds), every)]
    short = _never_ready(task, blocks)
    if not short:
        return task, blocks, {}
    if not settings.drop:
        raise ForecastError(next(iter(short.values())))
    rest = panel.frame[~panel.frame["unique_id"].isin(list(short))]
    task, blocks, others = _planned(settings, panel_and_faults(rest, freq=settings.freq)[0])
    return task, blocks, short | others


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


def _task(settings: _Settings, panel: Panel, folds: list[Fold]) -> Any:
    """How this kind of model is fitted and asked."""
    model, columns = settings.model, settings.columns
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
    return regression(model, settings.strategy, panel, folds, columns)


def _never_ready(task: Any, blocks: list[list[Fold]]) -> dict[Any, str]:
    """Series that no fold can forecast, and why. A fold that can forecast none is refused."""
    panel = task.panel
    pairs = [(fold, block[0]) for block in blocks for fold in block]
    able = np.array([task.ready(*pair) & np.isfinite(task.y[:, pair[0].test]).any(axis=1) for pair in pairs])
    never = ~able.any(axis=0)
    if never.all() or not never.any():
        for (fold, trained), some in zip(pairs, able.any(axis=1), strict=True):
            if not some:
                task.fit(trained)  # which tells it better, if it can
                raise ForecastError(
                    f"cutoff {day(panel.dates[fold.end])}: no series can be forecast; each needs its lags "
                    f"(and past regressors) up to that day, and y after it"
                )
        return {}
    first, last = panel.dates[blocks[0][0].end], panel.dates[blocks[-1][-1].end]
    found = {}
    for series in np.flatnonzero(never):
        days = panel.dates[np.isfinite(task.y[series])]
        found[panel.ids[series]] = (
            f"series {panel.ids[series]}: its {len(days)} days up to {day(days[-1])} are too few for any "
            f"fold, with cutoffs {day(first)} to {day(last)}; shorten lags and windows, or leave it out "
            f"(bad_series='drop')"
        )
    return found


def _folder(store: Any, task: Any, blocks: list[list[Fold]]) -> Path:
    """Where the folds of this very call are kept."""
    if not isinstance(store, str | Path):
        raise ForecastError(f"store={store!r}: a folder")
    columns, frame = task.columns, task.panel.frame
    named = ["unique_id", "ds", "y", *columns.known, *columns.past]
    read = frame[named] if columns.features is None else frame  # a builder may read every column
    folds = [[tuple(fold) for fold in block] for block in blocks]
    settings = {"model": task.model, "strategy": getattr(task, "strategy", ""), "folds": folds}
    folder = Path(store).absolute() / stores.key(settings | columns._asdict(), read)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ForecastError(f"store={str(store)!r}: no folder can be made there ({error})") from None
    return folder


@contextmanager
def _handed_out(parts: list[Any], folder: Path | None, memory: bool) -> Iterator[list[Any]]:
    """The parts themselves where the workers share the `memory`, else the names of files with them."""
    if memory:
        yield parts
        return
    where = folder or os.environ.get("JOBLIB_TEMP_FOLDER")
    with TemporaryDirectory(prefix="job-", dir=where, ignore_cleanup_errors=True) as made:
        files = [Path(made, str(i)).resolve() for i in range(len(parts))]
        for file, part in zip(files, parts, strict=True):
            file.write_bytes(pickle.dumps(joblib.wrap_non_picklable_objects(part, keep_wrapper=False)))
        yield list(map(str, files))


_reading, _read = Lock(), dict[str, Any]()  # of a worker: the parts of one backtest at a time


def _part(file: str) -> Any:
    with _reading:
        if file not in _read:
            try:
                content = Path(file).read_bytes()
            except OSError as error:
                raise ForecastError(
                    f"a worker can't read the data ({error}): give store= or the environment variable "
                    f"JOBLIB_TEMP_FOLDER a folder that all workers share under the same name"
                ) from None
            for other in [name for name in _read if Path(name).parent != Path(file).parent]:
                del _read[other]
            _read[file] = pickle.loads(content)
        return _read[file]


_controller = cache(ThreadpoolController)


def _block(job: Any, folds: list[Fold], folder: Path | None) -> list[Frame]:
    """Folds that share one training, the first one's."""
    task = _part(job) if isinstance(job, str) else job
    fitted = cache(lambda: task.fit(folds[0]))  # not at all, when every fold is in the folder
    with _controller().limit(limits=1):  # a thread has limits of its own, a process of a cluster too
        if folder is None:
            return [_forecast(task, fold, folds[0], fitted()) for fold in folds]
        return [_kept(task, fold, folds[0], fitted, folder) for fold in folds]


def _kept(task: Any, fold: Fold, trained: Fold, fitted: Callable[[], Any], folder: Path) -> Frame:
    """A fold out of the folder; forecast and written there if it is not, or not whole."""
    cutoff = task.panel.dates[fold.end]
    file = folder / f"{cutoff:%Y-%m-%dT%H%M%S}-{fold.end}-{fold.test[-1]}-{task.panel.first}.parquet"
    with suppress(OSError, ValueError):
        return pd.read_parquet(file)
    forecasts, half = _forecast(task, fold, trained, fitted()), file.with_suffix(".half")
    forecasts.to_parquet(half, index=False)
    with suppress(OSError):  # a worker that was taken for lost was quicker
        half.replace(file)
    return forecasts


def _forecast(task: Any, fold: Fold, trained: Fold, fitted: Any) -> Frame:
    """The fold's tidy rows, maybe none: of each series that is ready, the days of which y is known."""
    ready, columns = task.predict(fitted, fold, trained)
    panel, y = task.panel, task.y[:, fold.test]
    series, step = np.nonzero(np.isfinite(y) & ready[:, None])
    if not len(series):
        return Frame()
    days, cutoff = panel.dates[fold.test[step]], panel.dates[fold.end]
    out = {"unique_id": panel.ids[series], "ds": days, "cutoff": cutoff, "h": fold.steps[step]}
    out |= {"y": y[series, step]} | {name: values[series, step] for name, values in columns.items()}
    if (bad := ~np.isfinite(out["yhat"])).any():
        i = int(np.argmax(bad))
        name, when = out["unique_id"][i], day(days[i])
        raise ForecastError(f"series {name}, {when}: the model forecast {out['yhat'][i]}; see to its input")
    return Frame(out)

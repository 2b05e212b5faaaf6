"""walkforward.forecasting: folds, features, backtests against a naive loop, scores, the store, errors."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import hypothesis.strategies as st
import joblib
import matplotlib
import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from xgboost import XGBRegressor

from course.data import load_ridership
from walkforward.forecasting import (
    Drift,
    ForecastError,
    SeasonalNaive,
    WalkForwardSplit,
    backtest,
    backtesting,
    calendar_features,
    compare,
    conformal,
    features,
    lag_features,
    score,
)

matplotlib.use("agg")
quick = settings(max_examples=60, deadline=None)
quiet = {"n_jobs": 1, "progress": False}
XGB = XGBRegressor(n_estimators=8, max_depth=3, random_state=0)


def series(days=140, seed=0, start="2020-01-01", name=None) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ds = pd.date_range(start, periods=days)
    y = (
        20
        + 5 * np.sin(2 * np.pi * ds.dayofweek / 7)
        + rng.normal(size=days).cumsum() / 4
        + rng.normal(size=days)
    )
    frame = pd.DataFrame({"ds": ds, "y": y, "temp": rng.normal(size=days), "game": rng.integers(0, 2, days)})
    return frame if name is None else frame.assign(unique_id=name)


def panel() -> pd.DataFrame:
    """Three series: one begins later, one ends earlier."""
    late, short = series(110, 1, "2020-01-31", "late"), series(133, 2, name="short")
    return pd.concat([short, series(140, 0, name="all"), late], ignore_index=True)


# ---------------------------------------------------------------- folds
def folds(splitter, n):
    return [(train.tolist(), test.tolist()) for train, test in splitter.split(np.zeros((n, 1)))]


@quick
@given(
    n=st.integers(2, 120),
    splits=st.integers(2, 8),
    horizon=st.integers(1, 20),
    gap=st.integers(0, 6),
    most=st.none() | st.integers(1, 40),
)
def test_folds_are_those_of_time_series_split(n, splits, horizon, gap, most):
    theirs = TimeSeriesSplit(splits, test_size=horizon, gap=gap, max_train_size=most)
    ours = WalkForwardSplit(horizon, splits, gap=gap, max_train_size=most)
    assert ours.get_n_splits() == theirs.get_n_splits()
    try:
        expected = folds(theirs, n)
    except ValueError:
        with pytest.raises(ForecastError, match=f"^{n} rows are too few"):
            folds(ours, n)
        return
    assert folds(ours, n) == expected


@quick
@given(
    n=st.integers(2, 90),
    horizon=st.integers(1, 10),
    step=st.none() | st.integers(1, 12),
    initial=st.integers(1, 60),
    size=st.none() | st.integers(1, 30),
    gap=st.integers(0, 5),
    window=st.sampled_from(["expanding", "rolling"]),
)
def test_windows_from_the_first_training_size_on(n, horizon, step, initial, size, gap, window):
    split = WalkForwardSplit(horizon, step=step, initial=initial, window=window, max_train_size=size, gap=gap)
    begin = max(initial, size or 1) if window == "rolling" else initial
    expected = []
    for end in range(begin, n - gap - horizon + 1, step or horizon):
        keep = size if size or window == "expanding" else begin
        train = list(range(end))[-keep:] if keep else list(range(end))
        expected.append((train, list(range(end + gap, end + gap + horizon))))
    if not expected:
        with pytest.raises(ForecastError, match="rows are too few for one window"):
            folds(split, n)
        return
    assert folds(split, n) == expected
    assert split.get_n_splits(np.zeros(n)) == len(expected)


@quick
@given(n=st.integers(10, 90), splits=st.integers(1, 6), step=st.integers(1, 8), size=st.integers(1, 30))
def test_a_rolling_window_keeps_its_size(n, splits, step, size):
    split = WalkForwardSplit(3, splits, step=step, window="rolling", max_train_size=size)
    assume(n >= size + 3 + step * (splits - 1))
    found = folds(split, n)
    assert [len(train) for train, _ in found] == [size] * splits
    assert [test[-1] for _, test in found] == [n - 1 - step * i for i in reversed(range(splits))]


def test_the_splitter_goes_where_scikit_learns_goes():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 3)), rng.normal(size=80)
    ours, theirs = WalkForwardSplit(10, 4, gap=1), TimeSeriesSplit(4, test_size=10, gap=1)
    assert (cross_val_score(Ridge(), X, y, cv=ours) == cross_val_score(Ridge(), X, y, cv=theirs)).all()
    searches = [GridSearchCV(Ridge(), {"alpha": [0.1, 10.0]}, cv=cv).fit(X, y) for cv in (ours, theirs)]
    tables = [search.cv_results_["mean_test_score"] for search in searches]
    assert (tables[0] == tables[1]).all()
    by_rows = GridSearchCV(Ridge(), {"alpha": [0.1, 10.0]}, cv=WalkForwardSplit(10, initial=30)).fit(X, y)
    assert by_rows.n_splits_ == 5
    assert repr(ours).startswith("WalkForwardSplit(gap=1, horizon=10,")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon=0: a whole number of rows, 1 or more"),
        ({"horizon": 2.5}, "horizon=2.5: a whole number"),
        ({"horizon": None}, "horizon=None: a whole number"),
        ({"horizon": True}, "horizon=True: a whole number"),
        ({"horizon": 7, "n_splits": 0}, "n_splits=0"),
        ({"horizon": 7, "n_splits": 2, "gap": -1}, "gap=-1: a whole number of rows, 0 or more"),
        ({"horizon": 7, "n_splits": 2, "gap": None}, "gap=None"),
        ({"horizon": 7, "n_splits": 2, "step": 0}, "step=0"),
        ({"horizon": 7, "n_splits": 2, "max_train_size": 0}, "max_train_size=0"),
        ({"horizon": 7, "n_splits": 2, "window": "sliding"}, "window='sliding': it is \"expanding\" or"),
        ({"horizon": 7}, "give n_splits"),
    ],
)
def test_wrong_folds(options, message):
    with pytest.raises(ForecastError, match=message):
        WalkForwardSplit(**options)


def test_how_many_folds_depends_on_the_rows():
    with pytest.raises(ForecastError, match=r"get_n_splits\(X\)"):
        WalkForwardSplit(7, initial=30).get_n_splits()
    with pytest.raises(ForecastError, match=r"20 rows are too few for 3 windows, 7 apart.* that takes 22"):
        folds(WalkForwardSplit(7, 3), 20)
    assert len(folds(WalkForwardSplit(7, 3), 22)) == 3


@pytest.mark.parametrize("rows", [series(60), panel(), np.zeros(60)], ids=["frame", "panel", "rows"])
def test_the_plot_has_a_bar_for_training_and_test_of_each_fold(rows):
    ax = WalkForwardSplit(7, 3).plot(rows, matplotlib.figure.Figure().subplots())
    assert len(ax.patches) == 6
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "test"]
    assert [round(patch.get_width(), 6) for patch in ax.patches[1::2]] == [7.0] * 3
    assert ax.patches[1].get_x() == pytest.approx(ax.patches[0].get_x() + ax.patches[0].get_width())


# ---------------------------------------------------------------- features
@quick
@given(
    days=st.integers(3, 60),
    lags=st.lists(st.integers(1, 70), max_size=4, unique=True),
    windows=st.lists(st.integers(2, 20), max_size=2, unique=True),
    horizon=st.integers(1, 5),
    seed=st.integers(0, 10**6),
)
def test_lag_features_are_those_of_pandas(days, lags, windows, horizon, seed):
    assume(lags := [lag for lag in lags if lag >= horizon])
    hows = ["mean", "sum", "min", "max", "std"]
    y = series(days, seed).set_index("ds")["y"]
    found = lag_features(y, lags, dict.fromkeys(windows, hows), horizon)
    expected = pd.DataFrame({f"lag_{lag}": y.shift(lag) for lag in lags}, index=y.index)
    for window in windows:
        for how in hows:
            rolled = y.shift(horizon).rolling(window)
            if how == "std":  # pandas' own goes on from window to window, and its rounding with it
                expected[f"{how}_{window}"] = rolled.apply(lambda part: np.std(part, ddof=1), raw=True)
            else:
                expected[f"{how}_{window}"] = getattr(rolled, how)()
    pd.testing.assert_frame_equal(found, expected, rtol=1e-12, atol=1e-12, check_freq=False)


def test_lag_features_of_many_series_keep_to_their_series_and_rows():
    frame = panel().set_axis(np.arange(383) * 2)
    found = lag_features(frame, 2, {3: "sum"})
    groups = frame.groupby("unique_id")["y"]
    expected = pd.DataFrame({"lag_1": groups.shift(1), "lag_2": groups.shift(2)})
    expected["sum_3"] = groups.transform(lambda y: y.shift(1).rolling(3).sum())
    pd.testing.assert_frame_equal(found, expected)
    mixed = frame.sort_values("ds", kind="stable")
    pd.testing.assert_frame_equal(lag_features(mixed, 2, {3: "sum"}), expected.loc[mixed.index])


def test_a_missing_target_is_a_missing_lag():
    y = series(10).set_index("ds")["y"]
    y.iloc[-1] = np.nan
    assert lag_features(y, 1)["lag_1"].isna().sum() == 1
    assert lag_features(pd.concat([y, pd.Series(np.nan, [y.index[-1] + pd.Timedelta(days=1)])]), 1).shape == (
        11,
        1,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"lags": [14, 7], "horizon": 14},
            "lag 7 is shorter than the horizon of 14: 14 days ahead, y of 7 days",
        ),
        ({"lags": [0]}, "lag 0: a lag is a whole number of days"),
        ({"lags": [1.5]}, "lag 1.5: a lag is"),
        ({"rolling": {1: "mean"}}, "rolling {1: 'mean'}"),
        ({"rolling": {7: ["mean", "mode"]}}, "rolling {7: 'mode'}"),
    ],
)
def test_wrong_lags(options, message):
    with pytest.raises(ForecastError, match=message):
        lag_features(series(40), **options)


def test_calendar_features_on_known_days():
    days = pd.Series(pd.to_datetime(["2015-12-24", "2015-12-25", "2015-12-26", "2016-02-29", "2016-07-04"]))
    found = calendar_features(days.set_axis(list("abcde")), "US", names=True)
    assert found.index.tolist() == list("abcde")
    assert found["weekday"].tolist() == [3, 4, 5, 0, 0]
    assert found["month"].tolist() == [12, 12, 12, 2, 7]
    assert found["day_of_year"].tolist() == [358, 359, 360, 60, 186]
    assert found["holiday"].tolist() == [0, 1, 0, 0, 1]
    assert found["before_holiday"].tolist() == [1, 0, 0, 0, 0]
    assert found["after_holiday"].tolist() == [0, 0, 1, 0, 0]
    assert found["christmas_day"].tolist() == [0, 1, 0, 0, 0]
    assert found["independence_day"].tolist() == [0, 0, 0, 0, 1]


def test_calendar_features_are_those_of_the_holidays_package():
    import holidays

    days = pd.date_range("2001-01-01", "2016-12-31")
    of = holidays.country_holidays("US", years=range(2000, 2018))
    found = calendar_features(days)
    for name, shift in (("holiday", 0), ("before_holiday", 1), ("after_holiday", -1)):
        there = [int((day + pd.Timedelta(days=shift)).date() in of) for day in days]
        assert found[name].tolist() == there
    assert list(calendar_features(days, None)) == ["weekday", "month", "day_of_year"]
    assert calendar_features(days[:0]).empty
    with pytest.raises(ForecastError, match="country='Atlantis': no such calendar"):
        calendar_features(days, "Atlantis")


# ---------------------------------------------------------------- backtest against a naive loop
def evening(data, lags=(), rolling=None, past=None, features=None, **_) -> pd.DataFrame:
    """What is known the evening before each row of the frame, all of it built anew with pandas."""
    groups, out = data.groupby("unique_id"), {}
    for lag in lags:
        out[f"lag_{lag}"] = groups["y"].shift(lag)
    for window, how in (rolling or {}).items():
        days = [groups["y"].shift(i) for i in range(1, window + 1)]
        mean = sum(days[1:], days[0]) / window
        spread = np.sqrt(sum((day - mean) ** 2 for day in days) / (window - 1))
        out[f"{how}_{window}"] = mean if how == "mean" else spread
    for column, column_lags in (past or {}).items():
        for lag in column_lags:
            out[f"{column}_{lag}"] = groups[column].shift(lag)
    out = pd.DataFrame(out, index=data.index)
    return out if features is None else pd.concat([out, features(data)], axis=1)


def in_advance(data, ahead, calendar=None, known=(), **_) -> pd.DataFrame:
    """What is known long before of the day that comes so many days after each row's."""
    parts = [data.groupby("unique_id")[name].shift(-ahead) for name in known]
    if calendar:
        days = data["ds"] + pd.Timedelta(days=ahead)
        parts.insert(0, calendar_features(days, calendar))
    return pd.concat(parts, axis=1) if parts else pd.DataFrame(index=data.index)


def matrix(data, aheads, **what) -> np.ndarray:
    parts = [evening(data, **what), *(in_advance(data, ahead, **what) for ahead in aheads)]
    return pd.concat(parts, axis=1).to_numpy(dtype=float)


def naive(frame, model, splitter, strategy="recursive", refit=True, **what) -> pd.DataFrame:
    """Every fold and every step: cut, build all features anew, fit a fresh model, predict, append."""
    if "unique_id" not in frame:
        frame = frame.assign(unique_id="y")
    frame = frame.sort_values(["unique_id", "ds"], ignore_index=True)
    dates, out = pd.DatetimeIndex(np.sort(frame["ds"].unique())), []
    for fold, (train, test) in enumerate(splitter.split(dates)):
        begin, cutoff, days = dates[train[0]], dates[train[-1]], dates[test]
        steps = test - train[-1]
        groups = {"recursive": [[0]], "direct": [[h - 1] for h in steps], "multi_output": [list(steps - 1)]}
        groups = groups[strategy]
        if fold % (refit or 10**9) == 0:
            models = []
            past = frame[frame["ds"] <= cutoff].reset_index(drop=True)
            for ahead in groups:
                targets = pd.concat(
                    [past.groupby("unique_id")["y"].shift(-a) for a in ahead], axis=1
                ).to_numpy()
                full = evening(past, **what).notna().all(axis=1) & (past["ds"] >= begin)
                rows = full.to_numpy() & np.isfinite(targets).all(axis=1)
                X, target = matrix(past, ahead, **what)[rows], targets[rows]
                fresh = model().set_params(**{"n_jobs": 1} if "n_jobs" in model().get_params() else {})
                models.append(fresh.fit(X, target if strategy == "multi_output" else target[:, 0]))
        data = frame.assign(y=frame["y"].where(frame["ds"] <= cutoff))
        ready = frame.loc[(frame["ds"] == cutoff), "unique_id"]
        yhat = {}
        for step in range(1, steps[-1] + 1) if strategy == "recursive" else [1]:
            today = cutoff + pd.Timedelta(days=step)
            seen = data if known_ahead(what) else data[data["ds"] <= today]
            at = ((seen["ds"] == today) & seen["unique_id"].isin(ready)).to_numpy()
            if step == 1:
                at = at & evening(seen, **what).notna().all(axis=1).to_numpy()
                ready = seen.loc[at, "unique_id"]
            for one, ahead in zip(models, groups, strict=True):
                got = np.reshape(one.predict(matrix(seen, ahead, **what)[at]), (at.sum(), -1))
                for name, values in zip(seen.loc[at, "unique_id"], got, strict=True):
                    for a, value in zip(ahead, values, strict=True):
                        yhat[name, today + pd.Timedelta(days=int(a))] = value
            if strategy == "recursive":
                for name in ready:
                    data.loc[(data["unique_id"] == name) & (data["ds"] == today), "y"] = yhat.get(
                        (name, today)
                    )
        for name, rows in frame[frame["ds"].isin(days)].groupby("unique_id"):
            for day, y in zip(rows["ds"], rows["y"], strict=True):
                if (name, day) in yhat:
                    out.append([name, day, cutoff, (day - cutoff).days, y, float(yhat[name, day])])
    out = pd.DataFrame(out, columns=["unique_id", "ds", "cutoff", "h", "y", "yhat"])
    return out.sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)


def known_ahead(what) -> bool:
    return bool(what.get("known"))


def assert_same_bits(found, expected):
    assert len(found)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)
    assert (found["yhat"].to_numpy().view("i8") == expected["yhat"].to_numpy().view("i8")).all()


def last_weeks(frame) -> pd.DataFrame:
    groups = frame.groupby("unique_id")["y"]
    usual = sum(groups.shift(7 * week) for week in (1, 2, 3)) / 3
    return pd.DataFrame({"usual": usual, "jump": groups.shift(1) - groups.shift(2)})


def long_ago(frame) -> pd.DataFrame:
    return pd.DataFrame({"lag_14": frame.groupby("unique_id")["y"].shift(14)})


LAGS = {"lags": [1, 2, 7]}
ALL = {"lags": [1, 7], "rolling": {7: "mean", 3: "std"}, "past": {"temp": [6, 8]}, "known": ["game"]}
EXPANDING = WalkForwardSplit(5, 3)
TASKS = {
    "recursive": (LAGS, EXPANDING),
    "recursive, all at once": ({"lags": [7, 14], "calendar": "US"}, EXPANDING),
    "recursive, everything": (ALL | {"calendar": "US"}, EXPANDING),
    "recursive, gap": ({"lags": [1, 9], "calendar": "US"}, WalkForwardSplit(4, 3, gap=3)),
    "recursive, rolling window": (LAGS, WalkForwardSplit(5, 3, window="rolling", max_train_size=60)),
    "recursive, daily": (LAGS, WalkForwardSplit(1, 6)),
    "recursive, overlapping folds": (LAGS, WalkForwardSplit(5, 4, step=2)),
    "recursive, refit every second": (LAGS | {"refit": 2}, WalkForwardSplit(4, 5)),
    "recursive, fitted once": (LAGS | {"refit": False}, WalkForwardSplit(4, 3)),
    "recursive, own features": ({"lags": [1], "features": last_weeks, "calendar": "US"}, EXPANDING),
    "recursive, own features at once": ({"features": long_ago, "known": ["game"]}, EXPANDING),
    "direct": (LAGS | {"strategy": "direct"}, EXPANDING),
    "direct, everything": (
        ALL | {"past": {"temp": [1, 2]}, "calendar": "US", "strategy": "direct"},
        EXPANDING,
    ),
    "direct, gap and window": (
        LAGS | {"strategy": "direct"},
        WalkForwardSplit(4, 3, gap=2, window="rolling", max_train_size=50),
    ),
    "direct, own features and refit": (
        {"features": last_weeks, "calendar": "US", "strategy": "direct", "refit": 2},
        EXPANDING,
    ),
    "multi_output": (LAGS | {"strategy": "multi_output"}, EXPANDING),
    "multi_output, gap": (
        LAGS | {"calendar": "US", "strategy": "multi_output"},
        WalkForwardSplit(4, 2, gap=2),
    ),
    "multi_output, one day": (LAGS | {"strategy": "multi_output"}, WalkForwardSplit(1, 2)),
}
MODELS = {"xgboost": partial(XGBRegressor, n_estimators=8, max_depth=3), "ridge": Ridge}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("task", TASKS)
def test_forecasts_are_the_naive_loops_bit_for_bit(task, kind):
    options, splitter = TASKS[task]
    model = MODELS[kind]
    found = backtest(series(), model(), splitter, **options, **quiet)
    expected = naive(series(), model, splitter, **options)
    if kind == "ridge" and "at once" in task:  # BLAS rounds a product of five rows otherwise than five of one
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-14)
    else:
        assert_same_bits(found, expected)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    "task", ["recursive, everything", "direct", "recursive, own features", "multi_output"]
)
def test_forecasts_of_many_series_are_the_naive_loops(task, kind):
    options, splitter = TASKS[task]
    options = {name: value for name, value in options.items() if name != "known"}
    found = backtest(panel(), MODELS[kind](), splitter, **options, **quiet)
    assert set(found["unique_id"]) == {"all", "late", "short"}
    assert_same_bits(found, naive(panel(), MODELS[kind], splitter, **options))


def test_a_series_that_ends_and_known_regressors():
    """Days after a series' end are forecast by nobody and disturb nobody."""
    splitter = WalkForwardSplit(5, 2)
    found = backtest(panel(), Ridge(), splitter, lags=[1], known=["game"], **quiet)
    assert found.groupby("unique_id").size().to_dict() == {"all": 10, "late": 10, "short": 3}
    assert_same_bits(found, naive(panel(), Ridge, splitter, lags=[1], known=["game"]))


def test_a_loop_with_another_lag_is_seen():
    """The comparison itself can fail: in one lag, one day of training, one bit."""
    found = backtest(series(), Ridge(), EXPANDING, lags=[1, 2], **quiet)
    for other in (
        naive(series(), Ridge, EXPANDING, lags=[1, 3]),
        naive(series(), Ridge, WalkForwardSplit(5, 3, gap=1), lags=[1, 2]),
        found.assign(yhat=np.nextafter(found["yhat"], 0)),
    ):
        with pytest.raises(AssertionError):
            assert_same_bits(found, other)


def test_a_backtest_that_reads_today_is_seen(monkeypatch):
    history = features.history

    def one_day_late(y, lags, rolling, horizon=1, first=0):
        return history(y, lags if first else [lag - 1 for lag in lags], rolling, horizon, first)

    monkeypatch.setattr("walkforward.forecasting.matrices.history", one_day_late)
    with pytest.raises(AssertionError):
        test_forecasts_are_the_naive_loops_bit_for_bit("recursive", "ridge")


@pytest.mark.parametrize("model", [XGB, Ridge()], ids=["xgboost", "ridge"])
def test_two_cores_give_the_same_bits(model):
    for options in ({"strategy": "direct"}, {"features": last_weeks}, {"refit": 2}):
        options |= {"lags": [1, 7], "calendar": "US", "progress": False}
        one, two = (backtest(panel(), model, EXPANDING, n_jobs=n, **options) for n in (1, 2))
        assert_same_bits(two, one)


def test_a_backend_of_processes_gives_the_same_bits():
    options = {"lags": [1, 7], "calendar": "US", "features": last_weeks, "progress": False}
    here = backtest(panel(), Ridge(), EXPANDING, n_jobs=1, **options)
    with joblib.parallel_config(backend="loky"):
        elsewhere = backtest(panel(), WhereFitted(), EXPANDING, n_jobs=2, **options)
    assert_same_bits(elsewhere.assign(yhat=here["yhat"]), here)
    assert (elsewhere["yhat"] != os.getpid()).all()
    with joblib.parallel_config(backend="loky"):
        assert_same_bits(backtest(panel(), Ridge(), EXPANDING, n_jobs=2, **options), here)


class WhereFitted(Ridge):
    """Forecasts the number of its process."""

    def predict(self, X):
        return np.full(len(X), float(os.getpid()))


def test_own_features_that_are_honest_only_on_some_days_are_fed_with_predictions():
    """Monday's value carried through the week: at once where no Monday lies ahead, day by day elsewhere."""

    def monday(frame):
        y = frame["y"].where(frame["ds"].dt.dayofweek == 0)
        return pd.DataFrame(
            {"monday": y.groupby(frame["unique_id"]).ffill().groupby(frame["unique_id"]).shift(1)}
        )

    splitter = WalkForwardSplit(3, 6)
    found = backtest(series(), Ridge(), splitter, lags=[7], features=monday, **quiet)
    assert_same_bits(found, naive(series(), Ridge, splitter, lags=[7], features=monday))


def test_prophet_style_models_are_made_anew_for_every_series_and_fold():
    made = []

    class Mean:
        def __init__(self, width):
            self.width = width
            made.append(self)

        def fit(self, frame):
            assert list(frame) == ["ds", "y", "game"]
            self.frame = frame

        def predict(self, future):
            assert list(future) == ["ds", "game"]
            yhat = np.full(len(future), self.frame["y"].mean())
            bounds = {"yhat_upper": yhat + self.width, "yhat_lower": yhat - self.width}
            return pd.DataFrame({"ds": future["ds"], "trend": 0.0, "yhat": yhat, **bounds})

    found = backtest(panel(), partial(Mean, 2.0), EXPANDING, known=["game"], **quiet)
    assert list(found) == ["unique_id", "ds", "cutoff", "h", "y", "yhat", "yhat_lower", "yhat_upper"]
    assert len(made) == 8  # two series in each of three folds, `short` in two of them
    assert found.groupby("unique_id").size().to_dict() == {"all": 15, "late": 15, "short": 8}
    frame = panel()
    for (name, cutoff), rows in found.groupby(["unique_id", "cutoff"]):
        train = frame[(frame["unique_id"] == name) & (frame["ds"] <= cutoff)]
        assert rows["yhat"].tolist() == [train["y"].mean()] * len(rows)
    assert (found["yhat_upper"] - found["yhat_lower"]).tolist() == pytest.approx([4.0] * len(found))
    made.clear()
    backtest(panel(), partial(Mean, 2.0), EXPANDING, known=["game"], refit=False, **quiet)
    assert len(made) == 3


def test_the_frame_is_left_as_it_was():
    frame = panel()
    backtest(
        frame, Ridge(), EXPANDING, lags=3, known=["game"], features=last_weeks, past={"temp": [7]}, **quiet
    )
    pd.testing.assert_frame_equal(frame, panel())


# ---------------------------------------------------------------- baselines
def test_seasonal_naive_and_drift_in_one_line_each():
    frame = series()
    splitter = WalkForwardSplit(10, 3, gap=1)
    naive_found = backtest(frame, SeasonalNaive(7), splitter, **quiet)
    drift_found = backtest(frame, Drift(), splitter, **quiet)
    y = frame["y"].to_numpy()
    for fold, (train, test) in enumerate(splitter.split(frame)):
        rows, h = slice(10 * fold, 10 * fold + 10), test - train[-1]
        assert (naive_found["yhat"][rows] == [y[train][-7:][(i - 1) % 7] for i in h]).all()
        expected = y[train[-1]] + h * (y[train[-1]] - y[0]) / train[-1]
        assert naive_found["h"][rows].tolist() == h.tolist() == list(range(2, 12))
        np.testing.assert_allclose(drift_found["yhat"][rows], expected, rtol=1e-12)
    lagged = frame.set_index("ds")["y"]
    short = backtest(frame, SeasonalNaive(), WalkForwardSplit(7, 5), **quiet)
    assert (short["yhat"].to_numpy() == lagged.shift(7).loc[short["ds"]].to_numpy()).all()


def test_baselines_work_alone():
    frame = series(30)
    ahead = pd.DataFrame({"ds": pd.date_range("2020-02-01", periods=9)})  # after a day left out
    found = SeasonalNaive(7).fit(frame).predict(ahead)
    assert found["yhat"].tolist() == [frame["y"][23 + (i + 1) % 7] for i in range(9)]
    with pytest.raises(ForecastError, match="2020-01-30 is no day after the training, which ends 2020-01-30"):
        Drift().fit(frame).predict(frame.tail(1))
    with pytest.raises(
        ForecastError, match=r"SeasonalNaive\(season=31\) needs 31 days of training; there are 30"
    ):
        SeasonalNaive(31).fit(frame)


# ---------------------------------------------------------------- scores
def forecasts(rows=200, seed=0, **noise) -> pd.DataFrame:
    """Forecasts one day ahead of two series, with errors of a standard deviation of 1."""
    rng = np.random.default_rng(seed)
    ds = pd.date_range("2021-01-01", periods=rows)
    y = rng.normal(10, 3, size=rows)
    frame = pd.DataFrame({"unique_id": "a", "ds": ds, "cutoff": ds - pd.Timedelta(days=1), "h": 1, "y": y})
    return frame.assign(yhat=y + rng.normal(size=rows))


def test_scores_are_those_of_scikit_learn():
    frame = forecasts()
    frame.loc[3, ["y", "yhat"]] = 0.0
    frame = frame.assign(yhat_lower=frame["yhat"] - 1, yhat_upper=frame["yhat"] + 1.5)
    (found,) = score(frame, level=0.6).to_dict("records")
    y, yhat, low, high = (frame[name].to_numpy() for name in ("y", "yhat", "yhat_lower", "yhat_upper"))
    assert list(found) == ["n", "mae", "rmse", "bias", "wape", "smape", "pinball", "coverage", "width"]
    size = np.where(np.abs(y) + np.abs(yhat) > 0, np.abs(y) + np.abs(yhat), 1)
    expected = {
        "n": 200,
        "mae": mean_absolute_error(y, yhat),
        "rmse": root_mean_squared_error(y, yhat),
        "bias": np.mean(yhat - y),
        "wape": np.abs(y - yhat).sum() / np.abs(y).sum(),
        "smape": np.mean(2 * np.abs(y - yhat) / size),
        "pinball": (mean_pinball_loss(y, low, alpha=0.2) + mean_pinball_loss(y, high, alpha=0.8)) / 2,
        "coverage": np.mean((y >= low) & (y <= high)),
        "width": 2.5,
    }
    assert found == pytest.approx(expected, rel=1e-12)


def test_mase_is_the_error_over_that_of_the_seasonal_naive_before_the_first_cutoff():
    frame = panel()
    found = backtest(frame, SeasonalNaive(), WalkForwardSplit(7, 4), **quiet)
    scores = score(found, "unique_id", train=frame).set_index("unique_id")
    for name, rows in found.groupby("unique_id"):
        y = frame[(frame["unique_id"] == name) & (frame["ds"] <= found["cutoff"].min())]["y"]
        mase = (rows["y"] - rows["yhat"]).abs().mean() / y.diff(7).abs().mean()
        assert scores.loc[name, "mase"] == pytest.approx(mase, rel=1e-12)
    whole = score(found, train=frame)["mase"].item()
    assert whole == pytest.approx((scores["mase"] * scores["n"]).sum() / scores["n"].sum())


def test_scores_by_groups():
    found = backtest(panel(), SeasonalNaive(), WalkForwardSplit(7, 4), **quiet)
    by_step = score(found, "h").set_index("h")
    assert by_step.index.tolist() == list(range(1, 8))
    for h, rows in found.groupby("h"):
        assert by_step.loc[h, "mae"] == pytest.approx((rows["y"] - rows["yhat"]).abs().mean())
        assert by_step.loc[h, "n"] == len(rows)
    both = score(found, ["unique_id", "h"])
    assert both["n"].sum() == len(found)
    assert list(both) == ["unique_id", "h", "n", "mae", "rmse", "bias", "wape", "smape"]


def test_scores_of_intervals_that_are_not_there_yet():
    frame = conformal(forecasts(10))
    (found,) = score(frame).to_dict("records")
    inside = frame.dropna()
    assert len(inside) == 6
    assert found["n"] == 10
    assert (
        found["coverage"]
        == ((inside["y"] - inside["yhat"]).abs() <= inside["yhat_upper"] - inside["yhat"]).mean()
    )


# ---------------------------------------------------------------- intervals
def test_conformal_intervals_are_those_of_a_naive_loop():
    frame = backtest(panel(), SeasonalNaive(), WalkForwardSplit(5, 12, step=2), **quiet)
    for level, window in ((0.8, None), (0.6, 5)):
        found = conformal(frame, level, window=window)
        for _, row in found.iterrows():
            seen = frame[(frame["unique_id"] == row["unique_id"]) & (frame["h"] == row["h"])]
            seen = seen[seen["ds"] <= row["cutoff"]]
            errors = np.sort((seen["y"] - seen["yhat"]).abs().to_numpy()[-window if window else None :])
            rank = int(np.ceil(round((len(errors) + 1) * level, 9)))
            half = errors[rank - 1] if rank <= len(errors) else np.nan
            bounds = [row["yhat_lower"], row["yhat_upper"]]
            np.testing.assert_equal(bounds, [row["yhat"] - half, row["yhat"] + half])


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_conformal_coverage_is_near_the_level(level):
    covered = [score(conformal(forecasts(600, seed), level))["coverage"].item() for seed in range(8)]
    assert np.mean(covered) == pytest.approx(level, abs=0.02)


def test_no_interval_uses_an_error_whose_day_had_not_passed():
    frame = backtest(series(), SeasonalNaive(), WalkForwardSplit(5, 12, step=2), **quiet)
    cutoff = frame["cutoff"].unique()[9]
    before = conformal(frame, 0.6)
    later = frame.assign(y=frame["y"].where(frame["ds"] <= cutoff, 1e6))
    after = conformal(later, 0.6)
    told = frame["cutoff"] <= cutoff
    pd.testing.assert_frame_equal(before[told].drop(columns="y"), after[told].drop(columns="y"))
    assert before[told]["yhat_upper"].notna().sum() > 10
    assert not before["yhat_upper"].equals(after["yhat_upper"])  # from then on they do see it


def test_conformal_keeps_rows_and_index():
    frame = forecasts(30).sample(frac=1, random_state=0)
    found = conformal(frame)
    assert found.index.equals(frame.index)
    pd.testing.assert_frame_equal(found.sort_index(), conformal(frame.sort_index()))
    twice = pd.concat([frame, frame.assign(unique_id="b")])  # an index that repeats
    assert conformal(twice)["yhat_lower"].notna().sum() == 2 * found["yhat_lower"].notna().sum()


def test_intervals_of_a_backtest_are_conformal():
    options = {"lags": 7} | quiet
    plain = backtest(series(), Ridge(), WalkForwardSplit(3, 12), **options)
    pd.testing.assert_frame_equal(
        backtest(series(), Ridge(), WalkForwardSplit(3, 12), intervals=0.7, **options), conformal(plain, 0.7)
    )


# ---------------------------------------------------------------- comparison
def pair(seed, better=0.0, days=200) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two models of 5 days ahead on the same days, with errors that last; a's are smaller by `better`."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2, days + 3))
    noise = sum(noise[:, i : i + days] for i in range(4)) / 2
    base = forecasts(days, seed).assign(h=np.resize(np.arange(1, 6), days))
    base["cutoff"] = base["ds"] - pd.to_timedelta(base["h"], unit="D")
    return base.assign(yhat=base["y"] + (1 - better) * noise[0]), base.assign(yhat=base["y"] + noise[1])


def test_the_interval_holds_0_for_equal_models_about_as_often_as_it_says():
    better = [compare(*pair(seed), n=200).better for seed in range(100)]
    assert 0.87 <= better.count("neither") / 100 <= 0.99
    days = [compare(*pair(seed), n=200, block=1).better for seed in range(100)]
    assert days.count("neither") < better.count("neither")  # what the blocks are for


def test_a_planted_difference_is_found():
    assert all(compare(*pair(seed, 0.4), n=400).better == "a" for seed in range(10))
    assert all(compare(*reversed(pair(seed, 0.4)), n=400).better == "b" for seed in range(10))


def test_a_comparison_is_the_difference_of_the_mean_losses():
    a, b = pair(1, 0.3)
    found = compare(a, b)
    assert found.difference == pytest.approx(score(a)["mae"].item() - score(b)["mae"].item())
    assert found.low < found.difference < found.high < 0
    assert compare(a, b) == found
    assert compare(a.sample(frac=1, random_state=0), b) == found
    squared = compare(a, b, loss="squared")
    assert squared.difference == pytest.approx(score(a)["rmse"].item() ** 2 - score(b)["rmse"].item() ** 2)
    flipped = compare(b, a)
    assert (flipped.difference, flipped.better) == (-found.difference, "b")
    wide, narrow = (compare(a, b, level=level) for level in (0.99, 0.5))
    assert wide.low < found.low < narrow.low < narrow.high < found.high < wide.high


def test_a_handful_of_days_proves_little():
    """One block as long as the series would give an interval of no width."""
    a, b = (frame.head(8) for frame in pair(0))
    found = compare(a, b)
    assert found.low < found.difference < found.high


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda b: b.head(50),
            {},
            "a has 200 forecasts, b 50, in common 50: take backtests of the same folds",
        ),
        (lambda b: b.assign(cutoff=b["ds"]), {}, "in common 0"),
        (lambda b: b, {"loss": "mape"}, 'loss=\'mape\': it is "absolute" or "squared"'),
        (lambda b: b, {"block": 101}, "block=101: a whole number of days, at most half of the 200"),
        (lambda b: b, {"block": 0}, "block=0"),
    ],
)
def test_wrong_comparisons(change, options, message):
    a, b = pair(0)
    with pytest.raises(ForecastError, match=message):
        compare(a, change(b), **options)


# ---------------------------------------------------------------- the store
class Counted(RegressorMixin, BaseEstimator):
    """A regressor that writes down each training, and stops in the fifth if the folder says so."""

    def __init__(self, folder, slope=1.0):
        self.folder, self.slope = folder, slope

    def fit(self, X, y):
        folder = Path(self.folder)
        if len(list(folder.glob("fit-*"))) == 4 and (folder / "stop").exists():
            raise KeyboardInterrupt
        (folder / f"fit-{time.monotonic_ns()}").touch()
        self.mean_ = y.mean()
        return self

    def predict(self, X):
        return self.mean_ + self.slope * X[:, 0]


@pytest.fixture
def counted(tmp_path):
    (tmp_path / "fits").mkdir()
    return Counted(str(tmp_path / "fits"))


def fits(model) -> int:
    return len(list(Path(model.folder).glob("fit-*")))


EIGHT = WalkForwardSplit(5, 8)


def test_an_interrupted_backtest_goes_on_where_it_was(counted, tmp_path):
    options = {"lags": 2, "store": tmp_path / "folds"} | quiet
    whole = backtest(panel(), counted, EIGHT, lags=2, **quiet)
    assert fits(counted) == 8
    for file in Path(counted.folder).iterdir():
        file.unlink()
    (Path(counted.folder) / "stop").touch()
    with pytest.raises(KeyboardInterrupt):
        backtest(panel(), counted, EIGHT, **options)
    assert fits(counted) == len(list((tmp_path / "folds").rglob("*.parquet"))) == 4
    (Path(counted.folder) / "stop").unlink()
    pd.testing.assert_frame_equal(backtest(panel(), counted, EIGHT, **options), whole, check_exact=True)
    assert fits(counted) == 8
    pd.testing.assert_frame_equal(backtest(panel(), counted, EIGHT, **options), whole, check_exact=True)
    assert fits(counted) == 8


KILLED = """
import sys, time
import numpy as np, pandas as pd
from sklearn.linear_model import Ridge
from walkforward.forecasting import WalkForwardSplit, backtest

class Slow(Ridge):
    def fit(self, X, y):
        time.sleep(float(sys.argv[3]))
        return super().fit(X, y)

def features(frame):
    return pd.DataFrame({"odd": frame["y"].shift(1) % 2}).fillna(0.0)

frame = pd.read_parquet(sys.argv[1])
options = {"lags": 2, "features": features, "store": sys.argv[2], "n_jobs": 1}
found = backtest(frame, Slow(), WalkForwardSplit(5, 8), **options)
found.to_parquet(sys.argv[4])
"""


def test_a_killed_backtest_loses_no_finished_fold(tmp_path):
    (tmp_path / "run.py").write_text(KILLED, encoding="utf-8")
    series().to_parquet(tmp_path / "series.parquet")
    store, result = tmp_path / "folds", tmp_path / "found.parquet"

    def command(seconds):
        paths = [tmp_path / "run.py", tmp_path / "series.parquet", store]
        return [sys.executable, *map(str, paths), str(seconds), str(result)]

    process = subprocess.Popen(command(0.4))
    try:
        while len(done := sorted(store.rglob("*.parquet"))) < 2:
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.kill()  # SIGKILL; TerminateProcess on Windows
        assert process.wait(30) in (-getattr(signal, "SIGKILL", -1), 1)
    assert not result.exists()
    written = {file: file.stat().st_mtime_ns for file in done}
    subprocess.run(command(0), check=True)
    assert len(list(store.rglob("*.parquet"))) == 8
    assert {file: file.stat().st_mtime_ns for file in done} == written

    def features(frame):
        return pd.DataFrame({"odd": frame["y"].shift(1) % 2}).fillna(0.0)

    whole = backtest(series(), Ridge(), EIGHT, lags=2, features=features, **quiet)
    pd.testing.assert_frame_equal(pd.read_parquet(result), whole, check_exact=True)


def factor(times):
    def features(frame):
        return pd.DataFrame({"scaled": frame.groupby("unique_id")["y"].shift(1) * times})

    return features


SCALE = 1.0


def scaled(y):
    return y * SCALE


def with_global(frame):
    return pd.DataFrame({"scaled": scaled(frame.groupby("unique_id")["y"].shift(1))})


def test_what_is_changed_is_forecast_anew_and_what_is_not_is_not(counted, tmp_path, monkeypatch):
    splitter = WalkForwardSplit(5, 2)

    def run(frame=None, model=counted, **options):
        before = fits(counted)
        options = {"lags": 2, "store": tmp_path / "folds"} | options | quiet
        found = backtest(series() if frame is None else frame, model, splitter, **options)
        plain = backtest(series() if frame is None else frame, model, splitter, **options | {"store": None})
        pd.testing.assert_frame_equal(found, plain, check_exact=True)  # never another call's folds
        return fits(counted) - before - len(found) // 5  # the second has no store

    folds_of = 2
    assert run() == folds_of
    assert run() == 0
    assert run(intervals=0.8) == 0  # computed from the folds
    changed = series()
    changed.loc[100, "y"] += 1e-9
    assert run(changed) == folds_of
    assert run(model=Counted(counted.folder, slope=0.5)) == folds_of
    assert run(lags=3) == folds_of
    assert run(calendar="US") == folds_of
    assert run(known=["game"]) == folds_of
    assert run(known=["temp"]) == folds_of
    assert run(features=factor(1.0)) == folds_of
    assert run(features=factor(1.0)) == 0
    assert run(features=factor(2.0)) == folds_of
    assert run(features=lambda frame: factor(3.0)(frame)) == folds_of
    assert run(features=lambda frame: factor(4.0)(frame)) == folds_of
    other = series()
    other.loc[100, "temp"] += 1.0  # a column that only the builder can read
    assert run(other, features=factor(1.0)) == folds_of
    assert run(other) == 0  # without a builder nobody reads it
    assert run(features=with_global) == folds_of
    assert run(features=with_global) == 0
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 2.0)  # a global that a helper reads
    assert run(features=with_global) == folds_of
    assert run(check=False) == folds_of  # an unchecked fold is not taken for a checked one


def test_folds_that_end_alike_are_kept_apart(tmp_path):
    """The same trainings and the same last day, but other days forecast."""
    options = {"lags": [20], "store": tmp_path} | quiet
    for splitter in (WalkForwardSplit(10, 2, step=10), WalkForwardSplit(4, 2, step=10, gap=6)):
        plain = backtest(series(), Ridge(), splitter, **options | {"store": None})
        pd.testing.assert_frame_equal(backtest(series(), Ridge(), splitter, **options), plain)
    assert len(list(tmp_path.rglob("*.parquet"))) == 4


def test_a_changed_class_of_model_is_another_model(tmp_path):
    def model(times):
        class Mine(Ridge):
            def predict(self, X):
                return times * super().predict(X)

        Mine.__qualname__ = "Mine"
        return Mine()

    first, second = (
        backtest(series(), model(times), EIGHT, lags=2, store=tmp_path, **quiet) for times in (1, 2)
    )
    assert not first["yhat"].equals(second["yhat"])


def test_a_half_written_fold_is_forecast_again(tmp_path):
    options = {"lags": 2, "store": tmp_path} | quiet
    whole = backtest(series(), Ridge(), EIGHT, **options)
    files = sorted(tmp_path.rglob("*.parquet"))
    sizes = [file.stat().st_size for file in files]
    files[1].write_bytes(files[1].read_bytes()[: sizes[1] // 2])
    files[2].write_bytes(b"")
    files[3].rename(files[3].with_suffix(".half"))
    pd.testing.assert_frame_equal(backtest(series(), Ridge(), EIGHT, **options), whole, check_exact=True)
    assert [file.stat().st_size for file in files] == sizes
    assert not list(tmp_path.rglob("*.half"))


# ---------------------------------------------------------------- errors
def swapped(frame):
    order = np.arange(len(frame))
    order[[60, 61]] = 61, 60
    return frame.iloc[order]


def changed(column, row, value):
    def change(frame):
        frame = frame.astype({"y": float})
        frame.loc[row, column] = value
        return frame

    return change


FRAMES = {
    "no frame": (lambda f: f["y"], "the frame is a Series: it has columns ds"),
    "no target": (lambda f: f.drop(columns="y"), "the frame lacks y: it has columns ds"),
    "no columns": (lambda f: f[["temp"]], "the frame lacks ds and y"),
    "no rows": (lambda f: f.head(0), "the frame has no rows"),
    "dates as text": (lambda f: f.assign(ds=f["ds"].astype(str)), "ds is str, not dates: .*pd.to_datetime"),
    "target as text": (lambda f: f.assign(y=f["y"].astype(str)), "y is str, not numbers"),
    "unsorted": (swapped, "series y, 2020-03-01: comes after a later day"),
    "duplicate": (lambda f: f.iloc[[*range(61), *range(60, 140)]], "series y, 2020-03-01: stands twice"),
    "gap": (lambda f: f.drop(index=[60, 61, 90]), r"series y, 2020-03-01: the day is missing \(3 in all\)"),
    "short, with a gap": (
        lambda f: f.head(13).drop(index=6),
        r"series y, 2020-01-07: the day is missing \(1 in all\)",
    ),
    "no date": (changed("ds", 60, pd.NaT), "series y, no date: a row has no date"),
    "NaN": (changed("y", 60, np.nan), r"series y, 2020-03-01: y is missing or infinite \(1 rows in all\)"),
    "infinite": (changed("y", 60, np.inf), "series y, 2020-03-01: y is missing or infinite"),
    "too few": (
        lambda f: f.head(12),
        "series y, 2020-01-01 to 2020-01-12: 12 rows are too few for 3 windows",
    ),
    "no lags": (lambda f: f.head(18), "series y, cutoff 2020-01-03: no training row has all its lags"),
    "one series: gap": (
        lambda f: pd.concat([series(name="a"), series(name="b").drop(index=60)]),
        "series b, 2020-03-01: the day is missing",
    ),
    "one series: off the calendar": (
        lambda f: pd.concat(
            [series(name="a"), series(name="b").assign(ds=lambda b: b["ds"] + pd.Timedelta(hours=6))]
        ),
        r"series (a|b), 2020-01-0\d( 06:00)?: is no day of the calendar|series a, .*missing",
    ),
    "one series: too short": (
        lambda f: pd.concat([series(name="a"), series(9, name="b")]),
        "series b: its 9 days up to 2020-01-09 are too few for any fold",
    ),
    "one series: no name": (
        lambda f: pd.concat([series(name="a"), series(name=None)]),
        "series without a unique_id, 2020-01-01: a row belongs to no series",
    ),
}


@pytest.mark.parametrize("case", FRAMES)
def test_wrong_frames(case):
    change, message = FRAMES[case]
    with pytest.raises(ForecastError, match=f"^{message}") as found:
        backtest(change(series()), LinearRegression(), WalkForwardSplit(5, 3), lags=7, **quiet)
    assert "\n" not in str(found.value)


NAMES_ITSELF = type("Plain", (), {"fit": lambda self, frame: self})()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "chained"}, 'strategy=\'chained\': it is "recursive", "direct" or "multi_output"'),
        ({"refit": 0}, "refit=0: True, False, or every so many folds"),
        ({"refit": 2.5}, "refit=2.5: True, False, or every so many folds"),
        ({"intervals": 80}, "intervals=80: between 0 and 1, such as 0.8"),
        ({"lags": [0]}, "lag 0: a lag is a whole number of days"),
        ({"lags": ()}, "nothing to learn from: give lags="),
        ({"known": ["rain"]}, "regressor 'rain' is not in the frame"),
        ({"known": ["text"]}, "regressor 'text' is str: known= and past= name columns of numbers"),
        ({"past": {"rain": [7]}}, "regressor 'rain' is not in the frame"),
        ({"past": {"temp": [2, 7]}}, "past regressor 'temp', lag 2: 5 days ahead it is not yet known"),
        ({"past": {"temp": [0]}}, "lag 0: a lag is"),
        ({"calendar": "Atlantis"}, "country='Atlantis': no such calendar"),
        ({"features": lambda f: f[["text"]], "known": ["text"]}, "regressor 'text' is str"),
        ({"features": lambda f: f["ds"].dt.day_name().to_frame("day")}, "feature day is .*, not numbers"),
        ({"model": Ridge}, r"model=Ridge is a class: give an object, Ridge\(\)"),
        ({"model": None}, "model=None: a regressor, a baseline, or what makes a fresh model"),
        ({"model": NAMES_ITSELF}, "model is a Plain that can't be cloned .* functools.partial"),
        ({"splitter": WalkForwardSplit(141, 1)}, "series y, 2020-01-01 to 2020-05-19: 140 rows are too few"),
        (
            {"splitter": WalkForwardSplit(60, 1), "lags": 100},
            "series y, cutoff 2020-03-20: no training row has all",
        ),
        (
            {"splitter": WalkForwardSplit(50, 1, max_train_size=30), "strategy": "direct"},
            "series y, cutoff 2020-03",
        ),
    ],
)
def test_wrong_calls(options, message):
    frame = series().assign(text="dry")
    call = {"model": LinearRegression(), "splitter": WalkForwardSplit(5, 3), "lags": 7} | options | quiet
    with pytest.raises(ForecastError, match=f"^{message}") as found:
        backtest(frame, **call)
    assert "\n" not in str(found.value)


def test_a_forecast_that_is_no_number_is_refused():
    class Broken(Ridge):
        def predict(self, X):
            return np.where(X[:, 0] == X[0, 0], np.nan, 0.0)

    with pytest.raises(ForecastError, match="series y, 2020-05-05: the model forecast nan; see to its input"):
        backtest(series(), Broken(), WalkForwardSplit(5, 3), lags=7, **quiet)


def test_series_that_can_be_forecast_in_no_fold_are_told():
    frame = pd.concat([series(140, name="a"), series(20, 1, name="b")])
    with pytest.raises(ForecastError, match="series b: its 20 days"):
        backtest(frame, SeasonalNaive(), WalkForwardSplit(5, 2), **quiet)


# ---------------------------------------------------------------- quiet
@pytest.mark.parametrize("progress", [True, False])
def test_the_progress_bar_is_seen_only_when_it_is_wanted(progress, monkeypatch, capfd):
    bar = backtesting.tqdm
    monkeypatch.setattr(backtesting, "tqdm", lambda **options: bar(**options | {"delay": 0}))
    backtest(series(), Ridge(), EXPANDING, lags=7, progress=progress)
    assert ("folds" in capfd.readouterr().err) == progress


def test_a_short_backtest_prints_nothing(capfd):
    backtest(load_ridership().tail(400), XGB, WalkForwardSplit(14, 2), lags=7, calendar="US", intervals=0.8)
    assert capfd.readouterr() == ("", "")

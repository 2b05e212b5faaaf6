"""The leak guard: the builders told apart, faults named; disarmed, it finds none of them."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, ShuffleSplit, TimeSeriesSplit

from course.data import load_ridership
from walkforward import forecasting
from walkforward.forecasting import ForecastError, LeakError, WalkForwardSplit, backtest, find_leaks

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from leak_cases import CASES, KNOWN

RIDES = load_ridership()
SHORT = RIDES.tail(800).reset_index(drop=True)
LEAKING = [case for case in CASES if case.leaks]


def small(days=120, seed=0, **columns) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ds = pd.date_range("2020-01-01", periods=days)
    y = 10 + 3 * np.sin(np.arange(days) * 2 * np.pi / 7) + rng.normal(size=days)
    return pd.DataFrame({"ds": ds, "y": y, **columns})


def run(frame, features, **options) -> pd.DataFrame:
    options = {"n_jobs": 1, "progress": False, "lags": [14]} | options
    return backtest(frame, Ridge(), WalkForwardSplit(7, 3), features=features, **options)


def test_there_are_cases_of_both_kinds():
    assert len(LEAKING) >= 10
    assert len(CASES) - len(LEAKING) >= 10
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_guard_tells_a_builder_on_rides(case):
    found = find_leaks(case.builder, RIDES, known=KNOWN)
    assert bool(found) == case.leaks, found
    if case.leaks:
        assert list(found) == ["feature"]
        assert "changes with what happens" in found["feature"]


@pytest.mark.parametrize("case", LEAKING, ids=lambda case: case.name)
def test_a_backtest_refuses_and_names_the_feature(case):
    with pytest.raises(LeakError, match=r"^feature feature leaks: its value of \d{4}-\d\d-\d\d changes"):
        run(SHORT, case.builder, known=KNOWN)


@pytest.mark.parametrize(
    "case", [c for c in CASES if not c.leaks and "name" not in c.name], ids=lambda c: c.name
)
def test_a_backtest_takes_an_honest_builder(case):
    def filled(frame):  # Ridge takes no missing value; 0 is known on every day
        return case.builder(frame).astype(float).fillna(0.0)

    if case.name == "weather of the day before":  # honest a day ahead, and only a day
        with pytest.raises(LeakError, match="feature feature leaks"):
            run(SHORT, filled, known=KNOWN)
        assert len(run(SHORT, filled, known=KNOWN, strategy="direct")) == 21
    else:
        assert len(run(SHORT, filled, known=KNOWN)) == 21


def test_check_false_turns_the_guard_off_and_the_leak_buys_nothing():
    """What the builder sees of the days to be forecast is noise: its forecasts are worse than the lags'."""
    frame = small()

    def cheat(frame):
        return pd.DataFrame({"tomorrow": frame["y"].shift(-1), "today": frame["y"]}).ffill()

    with pytest.raises(LeakError):
        run(frame, cheat)
    leaking = run(frame, cheat, check=False, strategy="direct", lags=7)
    honest = run(frame, None, strategy="direct", lags=7)
    error = [(found["y"] - found["yhat"]).abs().mean() for found in (leaking, honest)]
    assert error[0] > error[1]


def test_a_disarmed_guard_is_seen(monkeypatch):
    """Without the noise every leaking case passes: the tests above can fail."""
    monkeypatch.setattr(forecasting._Guard, "scrambled", lambda self, cutoff, **_: self.panel.frame)
    assert not any(find_leaks(case.builder, SHORT, known=KNOWN) for case in LEAKING)


def test_all_faults_are_named_and_honest_features_are_not():
    def features(frame):
        return pd.DataFrame({"honest": frame["y"].shift(1), "now": frame["y"], "next": frame["y"].shift(-1)})

    assert list(find_leaks(features, small())) == ["now", "next"]
    with pytest.raises(LeakError, match=r"feature now leaks: .*\(2 features leak: now, next\)"):
        run(small(), features)


def test_horizon_of_the_guard():
    def features(frame):
        return pd.DataFrame({"lag_3": frame["y"].shift(3)})

    assert find_leaks(features, small(), horizon=3) == {}
    assert list(find_leaks(features, small(), horizon=4)) == ["lag_3"]


def test_cutoffs_are_days_of_the_frame():
    def jubilee(frame):  # leaks on one day only
        return pd.DataFrame({"jubilee": frame["y"].where(frame["ds"] == "2020-02-10")})

    assert find_leaks(jubilee, small(), cutoffs=["2020-02-05"]) == {}
    assert list(find_leaks(jubilee, small(), cutoffs=["2020-02-09"])) == ["jubilee"]
    with pytest.raises(ForecastError, match="cutoff 2024-02-09: no day of the frame"):
        find_leaks(jubilee, small(), cutoffs=["2020-02-09", "2024-02-09"])


def test_a_leak_of_one_fold_is_found_in_that_fold():
    split = WalkForwardSplit(7, 3)
    frame = small()
    cutoff = frame["ds"][list(split.split(frame))[1][0][-1]]

    def features(frame):
        return pd.DataFrame({"f": frame["y"].where(frame["ds"] == cutoff + pd.Timedelta(days=1), 0.0)})

    assert find_leaks(features, frame) == {}
    with pytest.raises(LeakError, match=f"what happens after {cutoff:%Y-%m-%d}"):
        run(frame, features)


@pytest.mark.parametrize(
    "values", [[0, 1], [True, False], ["rain", "sun"], pd.Categorical(["low", "high"])], ids=str
)
def test_undeclared_columns_of_every_kind(values):
    frame = small(kind=np.resize(np.asarray(values, dtype=object), 120))
    frame["kind"] = frame["kind"].astype(getattr(values, "dtype", type(values[0])))

    def features(frame):
        return pd.DataFrame({"kind": (frame["kind"] == values[0]).astype(float)})

    scrambled = forecasting._Guard(features, forecasting._panel(frame), []).scrambled(20)["kind"]
    assert (scrambled == frame["kind"]).tolist() == [True] * 21 + [False] * 99  # never by chance the same
    assert list(find_leaks(features, frame)) == ["kind"]
    assert find_leaks(features, frame, known=["kind"]) == {}
    assert find_leaks(lambda f: features(f).shift(1), frame) == {}


def test_features_that_are_text_or_missing_are_compared():
    def day_type(frame):
        return pd.DataFrame({"high": np.where(frame["y"] > 10, "high", None)})

    assert list(find_leaks(day_type, small())) == ["high"]
    assert find_leaks(lambda f: day_type(f).shift(1), small()) == {}


def test_columns_that_depend_on_the_future():
    def dummies(frame):
        return pd.get_dummies(frame["y"].shift(1).round(0), prefix="y")

    (reason,) = set(find_leaks(dummies, small()).values())
    assert reason == "whether it exists depends on the days to be forecast"


def test_a_builder_may_write_into_its_frame_and_take_logarithms():
    def features(frame):
        frame["lag"] = np.log(frame["y"].shift(1))
        frame["y"] = 0.0
        return frame[["lag"]]

    frame = small()
    before = frame.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # noise of the other sign would make the logarithm warn
        assert find_leaks(features, frame) == {}
        assert len(run(frame, lambda f: features(f).fillna(0.0), strategy="direct")) == 21
    pd.testing.assert_frame_equal(frame, before)


def test_many_series():
    frame = pd.concat([small(120, i).assign(unique_id=name) for i, name in enumerate("ab")])

    def over_series(frame):  # the other series' same day
        return pd.DataFrame({"mean": frame.groupby("ds")["y"].transform("mean")})

    def across_the_seam(frame):  # shift without groupby: the last days of a stand before the first of b
        return pd.DataFrame({"lag": frame["y"].shift(1)})

    def per_series(frame):
        return pd.DataFrame({"lag": frame.groupby("unique_id")["y"].shift(1)})

    assert list(find_leaks(over_series, frame)) == ["mean"]
    assert list(find_leaks(across_the_seam, frame)) == ["lag"]
    assert find_leaks(per_series, frame) == {}


def test_weather_of_the_days_between_is_not_known_in_a_recursive_forecast():
    frame = small(temp=np.random.default_rng(1).normal(size=120))

    def yesterday(frame):
        return pd.DataFrame({"temp_1": frame["temp"].shift(1)})

    with pytest.raises(LeakError, match="feature temp_1 leaks"):
        run(frame, yesterday)
    assert len(run(frame, yesterday, strategy="direct")) == 21
    assert len(run(frame, lambda f: f[["temp"]].shift(7))) == 21


@pytest.mark.parametrize("shape", [[], pd.DataFrame({"a": [1.0]})], ids=["list", "one row"])
def test_what_is_no_frame_of_features(shape):
    with pytest.raises(ForecastError, match=r"features gave (a list|1 rows) for a frame of 120"):
        find_leaks(lambda frame: shape, small())


@pytest.mark.parametrize(
    "splitter",
    [KFold(4), KFold(4, shuffle=True, random_state=0), ShuffleSplit(2, random_state=0)],
    ids=["KFold", "KFold shuffled", "ShuffleSplit"],
)
def test_a_splitter_that_trains_on_later_days_is_refused(splitter):
    with pytest.raises(LeakError, match=r"trains on \d{4}-\d\d-\d\d to forecast \d{4}-\d\d-\d\d"):
        backtest(small(), LinearRegression(), splitter, lags=7, progress=False)


def test_a_splitter_of_scikit_learn_that_keeps_time_is_taken():
    ours = backtest(small(), LinearRegression(), WalkForwardSplit(7, 3, gap=2), lags=9, progress=False)
    split = TimeSeriesSplit(3, test_size=7, gap=2)
    pd.testing.assert_frame_equal(backtest(small(), LinearRegression(), split, lags=9, progress=False), ours)


def test_a_splitter_that_leaves_days_out_is_refused():
    class Purged(TimeSeriesSplit):
        def split(self, X, y=None, groups=None):
            for train, test in super().split(X):
                yield np.delete(train, 5), test

    with pytest.raises(ForecastError, match="leaves days out of the training"):
        backtest(small(), LinearRegression(), Purged(3), lags=7, progress=False)


def test_a_known_regressor_that_is_the_target_is_refused():
    frame = small()
    with pytest.raises(LeakError, match="known regressor 'copy' is the target itself"):
        backtest(
            frame.assign(copy=frame["y"]), Ridge(), WalkForwardSplit(7, 2), known=["copy"], progress=False
        )
    frame = frame.assign(lagged=frame["y"].shift(7, fill_value=0.0))
    assert len(backtest(frame, Ridge(), WalkForwardSplit(7, 2), known=["lagged"], progress=False)) == 14

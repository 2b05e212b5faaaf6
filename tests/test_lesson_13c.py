"""Lesson 13c: tests, correlations, models by hand and by library, few rows: as its text says."""

import re
import sys
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from shown import Shown
from statsmodels.tsa.stattools import adfuller, kpss
from xgboost import XGBRegressor

from course.data import load_ridership, load_stations
from course.exercise import source as exercise_source
from lessons.before_the_model import classical
from walkforward.forecasting import (
    SeasonalNaive,
    WalkForwardSplit,
    backtest,
    calendar_features,
    compare,
    score,
)

ROOT = Path(__file__).resolve().parents[1]
STEM = "13c_before_the_model"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table
HORIZON, FOLDS, TRAIN = 14, 52, 1461
SETTINGS = {"learning_rate": 0.15, "n_jobs": 1}
LIBRARY = pytest.mark.skipif(find_spec("statsforecast") is None, reason="statsforecast has no wheel here")


@pytest.fixture(scope="module")
def rides():
    return load_ridership()[["ds", "y"]]


@pytest.fixture(scope="module")
def four_years(rides):
    """The four years before the first fold."""
    return rides[: -FOLDS * HORIZON][-TRAIN:].reset_index(drop=True)


def test_both_tests_keep_the_rides_stationary_and_neither_sees_the_week():
    assert number("both_tests", r"p = ([\d.]+)") < 0.05 and number("both_tests", r"KPSS: ([\d.]+)") < 0.463
    by_weekday = table("weekdays").astype(float).loc["rides (thousands)"]
    assert by_weekday[:5].min() > 2.5 * by_weekday[5:].max()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_the_two_tests_reject(seed):
    """Both tell a walk; both reject a level that returns to a line; neither sees a week."""
    noise = np.random.default_rng(seed).normal(size=1461)
    walk, line = pd.Series(noise.cumsum()), pd.Series(0.001 * np.arange(1461) + noise)
    week = pd.Series(noise + 10 * (np.arange(1461) % 7 < 5))
    assert classical.adf(walk) > 0.05 and classical.kpss(walk) > 0.463
    assert classical.adf(line) < 0.05 and classical.kpss(line) > 0.463 and classical.kpss(line, "ct") < 0.146
    assert classical.adf(week) < 0.05 and classical.kpss(week) < 0.463
    strong = line + 0.01 * np.arange(1461)
    assert classical.adf(strong) > 0.05 and classical.kpss(strong) > 0.463, "as a unit root would"


def test_the_tests_are_those_of_statsmodels_and_warn_of_nothing(four_years):
    y = four_years["y"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = classical.adf(y), classical.kpss(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = kpss(y, "c", result_object=True)
    assert found == pytest.approx((adfuller(y, result_object=True).pvalue, theirs.statistic))
    assert theirs.critical_values["5%"] == 0.463


def test_one_weekly_difference_is_enough():
    shown = table("differences").astype(float)
    assert shown["sd"].idxmin() == "week"
    assert list(shown["sd"][2:]) == sorted(shown["sd"][2:]), "each further difference adds noise"
    assert shown.loc["week and twice a day", "ACF 1"] < -0.5 < shown.loc["week and day", "ACF 1"]
    assert list(shown.loc["rides", ["ADF rejects", "KPSS rejects", "around a line"]]) == [10, 7, 1]


def test_the_correlations_ask_for_a_seasonal_moving_average(four_years):
    from statsmodels.tsa.stattools import acf, pacf

    weekly = four_years["y"].diff(7).dropna()
    ours, partly = acf(weekly, nlags=28), pacf(weekly, nlags=28)
    band = 1.96 / np.sqrt(TRAIN)
    assert ours[1] > band and ours[7] < -0.3 and np.abs(ours[8:]).max() < 0.15
    assert partly[7] < partly[14] < partly[21] < partly[28] < -band


def test_holidays_are_what_the_model_must_know():
    found = re.search(r"holiday: ([\d.]+) of days, ([\d.]+) of the worst", output("remainder"))
    assert float(found[1]) < 0.1 and float(found[2]) > 0.9
    assert number("residuals", r"near a holiday: ([\d.]+)") == 1.0
    for ordinary, holiday in re.findall(r"holds ([\d.]+) of ordinary days, ([\d.]+) near", output("held")):
        assert float(ordinary) > 0.8 > 0.6 > float(holiday)


def test_the_lines_on_the_page_are_those_of_the_module(four_years):
    airline = classical.Airline().fit(four_years)
    assert output("airline").strip() == "theta {:.2f}, Theta {:.2f}".format(*airline.weights)
    smoothing = classical.Smoothing().fit(four_years)
    assert number("smoothing", r"alpha ([\d.]+)") == pytest.approx(smoothing.weights[0], abs=0.006)


@LIBRARY
def test_by_hand_and_by_library_agree(four_years):
    from statsforecast.models import ARIMA, AutoETS

    y, future = four_years["y"].to_numpy(), pd.DataFrame({"ds": range(HORIZON)})
    airline, smoothing = classical.Airline().fit(four_years), classical.Smoothing().fit(four_years)
    theirs = ARIMA((0, 1, 1), 7, (0, 1, 1)).fit(y)
    assert airline.weights == pytest.approx(
        [theirs.model_["coef"]["ma1"], theirs.model_["coef"]["sma1"]], abs=0.01
    )
    assert airline.predict(future) == pytest.approx(theirs.predict(HORIZON)["mean"], abs=0.1)
    assert smoothing.predict(future) == pytest.approx(
        AutoETS(7, model="MNA").fit(y).predict(HORIZON)["mean"], abs=0.4
    )
    assert "ETS(M,N,A)" in output("library") and "ARIMA(1,0,0)(1,1,1)[7]" in output("library")


@LIBRARY
def test_regressors_by_hand_are_a_regression_with_arima_errors(rides):
    from statsforecast.models import ARIMA

    known = rides.join(classical.careful_calendar(rides["ds"]))
    past, future = known[-HORIZON - TRAIN : -HORIZON], known[-HORIZON:].drop(columns="y")
    airline = classical.Airline().fit(past)
    theirs = ARIMA((0, 1, 1), 7, (0, 1, 1)).fit(past["y"].to_numpy(), X=past.iloc[:, 2:].to_numpy())
    found = theirs.predict(HORIZON, X=future.iloc[:, 1:].to_numpy())["mean"]
    assert airline.predict(future) == pytest.approx(found, abs=0.3)
    assert np.sign(airline.effects[:3]).tolist() == [-1, -1, -1], "on holidays fewer people come"


def test_airline_without_a_season_is_exponential_smoothing(four_years):
    """ARIMA(0, 1, 1): the forecast is that of a level that moves by 1 + θ of each miss."""
    y, alpha = four_years["y"].to_numpy(), 0.3
    level = y[0]
    for value in y[1:]:
        level += alpha * (value - level)
    from scipy.signal import lfilter

    errors = lfilter([1], [1, alpha - 1], np.diff(y))
    assert y[-1] + (alpha - 1) * errors[-1] == pytest.approx(level)


def test_nobody_beats_last_week_without_holidays():
    shown = table("contest")
    assert set(shown["better"]) == {"neither"} and len(shown) == 4
    coverage = shown["coverage"].astype(float)
    assert (coverage[["ETS(M,N,A)", "ARIMA(1,0,0)(1,1,1)"]] > 0.9).all()
    naive = number("contest", r"naive: MAE ([\d.]+)")
    assert naive == Shown("13b_walk_forward").number("bar", r"naive ([\d.]+)"), "one fold set, one scale"


def test_the_same_information_makes_a_tie():
    shown = table("same_information")
    assert list(shown["better"]) == ["neither", "b", "neither"]
    errors = shown[["airline", "trees"]].astype(float)
    assert (errors.diff().dropna() < 0).all(axis=None), "each step of information helps both"
    assert "better: neither" in output("with_the_date")
    p = {name: float(value) for name, value in re.findall(r"(\w+): p = ([\d.]+)", output("hln"))}
    assert p["flags"] < 0.05 < min(p["weekday"], p["careful"])


def test_the_calendar_and_the_scale_were_chosen_before():
    assert list(table("before")["better"]) == ["b", "b"], "careful, without logarithms"


def test_the_old_limit_finds_too_much_on_few_folds():
    shown = table("equal").astype(float)
    assert shown.loc["8 folds", "limit 1.96"] > 0.09 and (shown["corrected"].between(0.04, 0.06)).all()
    assert shown["limit 1.96"].is_monotonic_decreasing
    d = np.random.default_rng(0).normal(0.3, 1, 8)
    assert 2 * stats.t.sf(abs(d.mean()) / (d.std(ddof=1) / np.sqrt(8)), 7) == pytest.approx(_corrected(d)), (
        "with h = 1 the corrected test is the t-test"
    )


def _corrected(d):
    n = len(d)
    statistic = abs(d.mean()) / np.sqrt(d.var() / n) * np.sqrt((n - 1) / n)
    return 2 * stats.t.sf(statistic, n - 1)


def test_with_few_rows_the_classical_model_wins():
    shown = table("history")
    assert list(shown["better"]) == ["a", "a", "neither", "neither"]
    months = table("months")
    assert list(months["better"]) == ["a", "a", "neither"]
    assert (months["stations ahead"].astype(int)[["ETS", "airline"]] >= 18).all()


def test_on_eight_weeks_it_wins_at_most_stations():
    """Four years of every other fortnight at each of the 20; at the first five against smaller trees, too."""
    ahead, beyond_luck, smaller = [], [], []
    for number, (_, frame) in enumerate(load_stations().groupby("unique_id")):
        frame = frame[["ds", "y"]].reset_index(drop=True)
        careful = classical.careful_calendar(frame["ds"])
        known = pd.DataFrame({"weekday": frame["ds"].dt.dayofweek}).join(careful)
        split = WalkForwardSplit(HORIZON, 26, step=28, window="rolling", max_train_size=56)
        ask = partial(backtest, splitter=split, progress=False, n_jobs=1)
        airline = ask(frame.join(careful), classical.Airline, known=list(careful))
        trees = partial(ask, frame.join(known), lags=[14, 21, 28], known=list(known))
        found = compare(airline, trees(XGBRegressor(n_estimators=60, **SETTINGS, max_depth=4)))
        ahead.append(found.difference < 0)
        beyond_luck.append(found.better == "a")
        if number < 5:
            small = trees(XGBRegressor(n_estimators=30, **SETTINGS, max_depth=2))
            smaller.append(compare(airline, small).difference < 0)
    assert sum(ahead) >= 18 and sum(beyond_luck) >= 13 and all(smaller)


def test_the_careful_calendar_leaves_weekends_alone(rides):
    careful = classical.careful_calendar(rides["ds"])
    weekend = rides["ds"].dt.dayofweek > 4
    assert careful[weekend].to_numpy().sum() == 0 and set(np.unique(careful)) == {0.0, 1.0}
    named = careful.set_axis(rides["ds"]).loc["2014-11-26":"2014-11-28"]
    assert named[["before", "big", "after"]].to_numpy().tolist() == np.eye(3).tolist()
    holidays = calendar_features(rides["ds"], "US")["holiday"].to_numpy() == 1
    assert (careful[["big", "small", "other"]].sum(axis=1) == (holidays & ~weekend)).all()


def test_without_the_library_the_lesson_goes_on_by_hand(monkeypatch, capsys):
    """As on a Mac with an Intel chip: the two models by hand stand in, and a line says so."""
    (cell,) = [cell for cell in SHOWN.notebook.cells if cell.get("id") == "library"]
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    known = {"Smoothing": classical.Smoothing, "Airline": classical.Airline, "find_spec": lambda name: None}
    exec(cell.source, known)
    assert list(known["models"]) == ["airline by hand", "ETS by hand"]
    assert "by hand" in capsys.readouterr().out


def test_the_exercises_agree_with_the_text(four_years):
    y = four_years.set_index("ds")["y"]
    assert EXERCISES.how_often(y) == (0, 1)
    level = EXERCISES.damped_trend(y, 0.3, 0, 0.9, 2)
    assert level[0] == pytest.approx(level[1])


def test_monthly_rides_are_whole_months():
    months = classical.monthly_rides()
    assert months["unique_id"].nunique() == 20 and not months.duplicated(["unique_id", "ds"]).any()
    bar = backtest(months, SeasonalNaive(12), WalkForwardSplit(12, 6, step=12), freq="MS", progress=False)
    assert score(bar)["mae"].item() == pytest.approx(float(table("months").loc["ETS", "naive"]), abs=0.001)

"""Lesson 13a: leaks promise too much, the honest loop equals backtest, and each baseline wins once."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shown import Shown
from sklearn.model_selection import KFold, cross_val_predict, train_test_split
from solved import smaller
from xgboost import XGBRegressor

from course.data import load_births, load_ridership
from course.exercise import source as exercise_source
from walkforward.forecasting import (
    SeasonalNaive,
    WalkForwardSplit,
    backtest,
    calendar_features,
    find_leaks,
    lag_features,
    score,
)

ROOT = Path(__file__).resolve().parents[1]
STEM = "13a_time_series"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table


HORIZON, FOLDS, TRAIN = 14, 52, 1461
SPLIT = WalkForwardSplit(HORIZON, FOLDS, window="rolling", max_train_size=TRAIN)


# ------------------------------------------------- recomputed here, with code of its own
@pytest.fixture(scope="module")
def rides():
    return load_ridership()[["ds", "y"]]


def trees():
    return XGBRegressor(n_estimators=60, max_depth=4, learning_rate=0.15, n_jobs=1)


def known(frame):
    return pd.concat([lag_features(frame, [14, 21, 28], horizon=14), calendar_features(frame["ds"])], axis=1)


def leaking(frame):
    y, days = frame["y"], calendar_features(frame["ds"])
    return days.assign(lag_1=y.shift(1), lag_7=y.shift(7), mean_7=y.rolling(7).mean()).bfill()


def delivered(features, rides):
    """Forecasts (52, 14) from features whose frame ends at the cutoff, but for the days themselves."""
    out = []
    for train, test in SPLIT.split(rides):
        seen = rides.iloc[: test[-1] + 1].copy()
        seen.loc[test, "y"] = np.nan
        X = features(seen).to_numpy(float)
        out.append(trees().fit(X[train], rides["y"].to_numpy()[train]).predict(X[test]))
    return np.array(out)


@pytest.fixture(scope="module")
def honest(rides):
    return delivered(known, rides)


def test_the_leak_promises_a_quarter_of_what_it_delivers_for_two_splits(rides):
    X, y = leaking(rides), rides["y"]
    got = np.abs(delivered(leaking, rides).ravel() - y.to_numpy()[-FOLDS * HORIZON :]).mean()
    naive = backtest(rides, SeasonalNaive(), SPLIT, progress=False)
    bar = score(naive).loc[0, "mae"]
    assert got > 1.15 * bar, "delivered, the leaking model loses to repeating last week"
    for seed in (0, 1):
        train, test = train_test_split(rides.index, test_size=0.2, random_state=seed)
        promised = np.abs(trees().fit(X.loc[train], y[train]).predict(X.loc[test]) - y[test])
        assert promised.mean() < 0.3 * got and promised.mean() < 0.4 * bar
        assert promised[promised.index >= len(y) - FOLDS * HORIZON].mean() < 0.4 * got  # on the same years
        if seed == 0:
            assert number("shuffled", r"MAE ([\d.]+)") == pytest.approx(promised.mean(), abs=0.006)
    assert number("honest_score", r"delivered: MAE ([\d.]+)") == pytest.approx(got, abs=0.006)
    assert number("honest_score", r"last week: ([\d.]+)") == pytest.approx(bar, abs=0.006)


def test_a_shuffled_split_alone_is_a_leak(rides, honest):
    days = slice(-TRAIN - FOLDS * HORIZON, None)
    X, y = known(rides)[days].to_numpy(float), rides["y"][days].to_numpy()
    walking = np.abs(honest.ravel() - y[-FOLDS * HORIZON :]).mean()
    assert number("neighbours", r"forward ([\d.]+)") == pytest.approx(walking, abs=0.006)
    for seed in (0, 1):
        errors = np.abs(cross_val_predict(trees(), X, y, cv=KFold(5, shuffle=True, random_state=seed)) - y)
        shuffled = errors[-FOLDS * HORIZON :].mean()
        assert 0.7 * walking < shuffled < 0.92 * walking, f"seed {seed}"


def test_the_other_two_leaks():
    leaks = table("leak_table").astype(float)
    base = number("neighbours", r"forward ([\d.]+)")
    assert (leaks["promised"] < 0.92 * base).all(), "each promises a gain"
    assert (leaks["delivered"] > 1.6 * base).all(), "each ruins the forecast"
    assert (leaks["shifted by 14 days"] - base).abs().max() < 0.06, "repaired, each is worth nothing"


def test_the_loop_is_what_backtest_gives(rides, honest):
    run = backtest(rides, trees(), SPLIT, lags=[14, 21, 28], calendar="US", progress=False)
    assert np.array_equal(run["yhat"].to_numpy(), honest.ravel().astype(float))


def test_each_baseline_wins_once():
    errors = table("baselines").astype(float)
    roster, weather, years = errors.index
    assert errors.loc[roster].idxmin() == "seasonal naive" and errors.loc[roster, "naive"] > 5
    assert errors.loc[weather, "naive"] < 0.7 * errors.loc[weather, "seasonal naive"]
    assert errors.loc[years].idxmin() == "drift"
    assert errors.loc[years, "drift"] < 0.9 * errors.loc[years, "naive"]


def test_the_guard_names_the_features_and_passes_the_honest(rides):
    assert sorted(find_leaks(leaking, rides)) == ["lag_1", "lag_7", "mean_7"]
    assert find_leaks(known, rides, horizon=14) == {}
    said = output("guard")
    assert "ahead: {'mean_7'" in said and "ahead: ['week']" in said and "known, 14 days ahead: {}" in said
    assert "shuffled: KFold" in output("guarded") and "back-filled: feature" in output("guarded")
    assert "mean of all years: {}" in output("unseen") and "declared as known: {}" in output("unseen")


def test_the_exercises_agree_with_the_library():
    births = load_births()
    yhat = EXERCISES.repeat_last_week(births[:-14], 14)
    run = backtest(births, SeasonalNaive(), WalkForwardSplit(14, 1), progress=False)
    assert np.array_equal(yhat, run["yhat"])
    assert find_leaks(EXERCISES.known_at_cutoff, births, horizon=14) == {}


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    """With the parameters of CI: six rosters and smaller models."""
    outcome = smaller(STEM)
    assert outcome.faults == []
    (shuffled, score_cell) = (
        next(cell for cell in outcome.notebook.cells if cell.get("id") == name)
        for name in ("shuffled", "honest_score")
    )
    promised, got = (
        float(re.search(r"MAE ([\d.]+)", "".join(one.get("text") or "" for one in cell.outputs))[1])
        for cell in (shuffled, score_cell)
    )
    assert promised < 0.7 * got

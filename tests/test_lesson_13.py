"""Lesson 13: leaks promise too much, honest forecasts beat the bar, and the loop by hand equals backtest."""

import re
from html import unescape
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, TimeSeriesSplit, cross_val_predict, train_test_split
from solved import solved
from xgboost import XGBRegressor

from course.data import load_births, load_ridership
from course.exercise import source as exercise_source
from walkforward.forecasting import (
    SeasonalNaive,
    WalkForwardSplit,
    backtest,
    calendar_features,
    compare,
    find_leaks,
    lag_features,
    score,
)

ROOT = Path(__file__).resolve().parents[1]
STEM = "13_time_series_and_walk_forward"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(
    ROOT / "src" / "lessons" / "exercises" / "13_time_series_and_walk_forward.py"
)
HORIZON, FOLDS = 14, 26
SPLIT = WalkForwardSplit(HORIZON, FOLDS)


def output(name, notebook=NOTEBOOK):
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id == name]
    return "\n".join(one.get("text") or "" for one in cell.outputs)


def number(name, pattern, notebook=NOTEBOOK):
    return float(re.search(pattern, output(name, notebook))[1])


def table(name, notebook=NOTEBOOK):
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id == name]
    (shown,) = [one.data["text/html"] for one in cell.outputs if "text/html" in one.get("data", {})]
    head = [unescape(text) for text in re.findall(r"<th>(.*?)</th>", shown.split("</tr>")[0])]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", shown.split("<tbody>")[1], re.DOTALL)
    rows = [[unescape(text) for text in re.findall(r"<t[hd]>(.*?)</t[hd]>", row)] for row in rows]
    frame = pd.DataFrame([row[1:] for row in rows], [row[0] for row in rows])
    if len(head) > frame.shape[1]:  # columns of two levels keep their numbers
        frame.columns = head[1:]
    return frame.apply(lambda column: pd.to_numeric(column, errors="coerce").fillna(column))


# ------------------------------------------------- recomputed here, with code of its own
@pytest.fixture(scope="module")
def rides():
    return load_ridership()[["ds", "y"]]


def trees():
    return XGBRegressor(n_estimators=50, max_depth=4, learning_rate=0.2, n_jobs=1)


def known(frame):
    return pd.concat([lag_features(frame, [14, 21, 28], horizon=14), calendar_features(frame["ds"])], axis=1)


def leaking(frame):
    y, days = frame["y"], calendar_features(frame["ds"])
    return days.assign(lag_1=y.shift(1), lag_7=y.shift(7), mean_7=y.rolling(7).mean()).bfill()


def delivered(features, rides):
    """Forecasts (26, 14) from features whose frame ends at the cutoff, but for the days themselves."""
    out = []
    for train, test in SPLIT.split(rides):
        seen = rides.iloc[: test[-1] + 1].copy()
        seen.loc[test, "y"] = np.nan
        X = features(seen).to_numpy(float)
        rows = train[np.isfinite(X[train]).all(axis=1)]
        out.append(trees().fit(X[rows], rides["y"].to_numpy()[rows]).predict(X[test]))
    return np.array(out)


@pytest.fixture(scope="module")
def honest(rides):
    return delivered(known, rides)


@pytest.fixture(scope="module")
def tested(rides):
    return backtest(rides, trees(), SPLIT, lags=[14, 21, 28], calendar="US", progress=False)


def test_the_leak_promises_a_quarter_of_what_it_delivers(rides):
    train, test = train_test_split(rides.index, test_size=0.2, random_state=0)
    X, y = leaking(rides), rides["y"]
    promised = np.abs(trees().fit(X.loc[train], y[train]).predict(X.loc[test]) - y[test])
    got = np.abs(delivered(leaking, rides) - y.to_numpy()[-364:].reshape(26, 14)).mean()
    bar = score(backtest(rides, SeasonalNaive(), SPLIT, progress=False)).loc[0, "mae"]
    assert promised.mean() < 0.3 * got and promised.mean() < 0.4 * bar
    assert got > 1.15 * bar, "delivered, the leaking model loses to repeating last week"
    assert promised[promised.index >= len(y) - 364].mean() < 0.4 * got  # on the same year too
    assert number("shuffled", r"MAE ([\d.]+)") == pytest.approx(promised.mean(), abs=0.006)
    assert number("honest_score", r"delivered: MAE ([\d.]+)") == pytest.approx(got, abs=0.006)
    assert number("honest_score", r"last week: ([\d.]+)") == pytest.approx(bar, abs=0.006)


def test_a_shuffled_split_alone_is_a_leak(rides, honest):
    X = known(rides)
    full = X.notna().all(axis=1)
    X, y = X[full].to_numpy(float), rides["y"][full].to_numpy()
    shuffled = [
        np.abs(cross_val_predict(trees(), X, y, cv=KFold(5, shuffle=True, random_state=seed)) - y)[
            -364:
        ].mean()
        for seed in (0, 1)
    ]
    walking = np.abs(honest.ravel() - y[-364:]).mean()
    assert min(shuffled) > 0.8 * walking, "far from the margin of the leaking notebook: that margin can fail"
    assert max(shuffled) < 0.95 * walking
    assert number("neighbours", r"shuffled ([\d.]+)") == pytest.approx(shuffled[0], abs=0.006)


def test_the_other_two_leaks():
    leaks = table("leaks")
    base = number("neighbours", r"forward ([\d.]+)")
    assert (leaks["promised"] < 0.97 * base).all(), "each promises a gain"
    assert (leaks["delivered"] > 1.7 * base).all(), "each ruins the forecast"
    assert (leaks["shifted by 14 days"] - base).abs().max() < 0.06, "repaired, each is worth next to nothing"


def test_the_loop_is_what_backtest_gives(honest, tested):
    assert np.array_equal(tested["yhat"].to_numpy(), honest.ravel().astype(float))
    assert "True" in output("backtest")


def test_the_taught_model_beats_every_rule(rides, tested):
    """MASE below 1 (in-sample, a week ahead), and relative to each rule on the very same days."""
    mase = score(tested, train=rides).loc[0, "mase"]
    assert mase < 0.75
    errors = (tested["y"] - tested["yhat"]).abs().mean()
    for season, at_most in ((7, 0.6), (364, 0.65)):
        rule = backtest(rides, SeasonalNaive(season), SPLIT, progress=False)
        assert errors < at_most * (rule["y"] - rule["yhat"]).abs().mean()
        assert compare(tested, rule).better == "a"
    rules = table("rules")
    assert rules.loc["boosted trees", "mase"] == pytest.approx(mase, abs=0.0006)
    assert (rules.drop("boosted trees")["mase"] > 1).all()


def test_each_baseline_wins_once():
    errors = table("baselines")
    roster, weather, years = errors.index
    assert errors.loc[roster].idxmin() == "seasonal naive" and errors.loc[roster, "naive"] > 5
    assert errors.loc[weather, "naive"] < 0.7 * errors.loc[weather, "seasonal naive"]
    assert errors.loc[years].idxmin() == "drift"
    assert errors.loc[years, "drift"] < 0.9 * errors.loc[years, "naive"]


def test_folds_and_search():
    assert "the same folds: True" in output("splitters")
    assert number("splitters", r"tests of (\d+) days") > 900
    for ours, theirs in zip(
        SPLIT.split(np.empty(5_670)), TimeSeriesSplit(26, test_size=14).split(np.empty(5_670)), strict=True
    ):
        assert np.array_equal(ours[0], theirs[0]) and np.array_equal(ours[1], theirs[1])


def test_old_information_costs_and_a_gap_of_the_splitter_ages_no_feature():
    gap = table("gap")
    assert gap.loc["7 days, gap 0", "model"] < gap.loc["14 days, gap 0", "model"]
    assert gap.loc["14 days, gap 0", "model"] < gap.loc["14 days, gap 14", "model"]
    assert (gap["model"] < 0.6 * gap["seasonal naive"]).all()
    assert number("gap_trap", r"table: ([\d.]+)") < 0.85 * gap.loc["14 days, gap 14", "model"]
    assert "step 14: one day ahead is 1 different" in output("step")
    assert "step 5: one day ahead is 7 different" in output("step")


def test_cost_of_windows_and_refitting():
    cost = table("cost")
    assert cost.loc["1 year · every roster", "MAE"] > 1.1 * cost.loc["all years · every roster", "MAE"]
    several = cost[~cost.index.str.startswith("1 year")]
    assert several["MAE"].max() - several["MAE"].min() < 0.1
    assert list(
        cost.loc[["all years · every roster", "all years · every 4th", "all years · once"], "fits"]
    ) == [
        26,
        7,
        1,
    ]
    verdicts = table("verdicts")["better"]
    assert list(verdicts) == ["a", "b", "neither", "neither", "neither"]


def test_metrics_by_hand_and_what_they_prefer():
    hand = table("by_hand")
    assert np.allclose(hand["by hand"], hand["score"], atol=1e-3) and len(hand) == 6
    found = re.search(r"error': ([\d.]+), .*error': ([\d.]+), .*0.9': ([\d.]+)", output("minimises")).groups()
    median, mean, quantile = re.search(
        r"median ([\d.]+), mean ([\d.]+), .*quantile ([\d.]+)", output("minimises")
    ).groups()
    assert np.allclose(np.array(found, float), np.array([median, mean, quantile], float), atol=0.11)
    rules = table("rules")
    assert rules.loc["usual week", "mae"] < rules.loc["last year", "mae"]
    assert rules.loc["usual week", "rmse"] > 1.1 * rules.loc["last year", "rmse"]
    kinds = table("kinds")
    assert kinds["mae"].idxmin() == "Sunday" and kinds["smape"].idxmin() == "weekday"
    assert 0.4 < kinds.loc[["Saturday", "Sunday"], "share of smape"].sum() < 0.5
    assert kinds.loc["holiday", "mae"] > 2 * kinds.loc["weekday", "mae"]


def test_the_guard_names_the_features_and_passes_the_honest(rides):
    assert sorted(find_leaks(leaking, rides)) == ["lag_1", "lag_7", "mean_7"]
    assert find_leaks(known, rides, horizon=14) == {}
    said = output("guard")
    assert "one day ahead: ['mean_7']" in said and "known: {}" in said
    assert "shuffled: KFold" in output("guarded") and "back-filled: feature" in output("guarded")
    assert "mean of all years: {}" in output("unseen") and "declared as known: {}" in output("unseen")


def test_blocks_are_more_cautious_than_days():
    blocks = table("blocks")
    low, high = (pd.to_numeric(blocks.iloc[:, i]) for i in (0, 1))
    width = (high - low).to_numpy()
    assert (np.diff(width) > 0).all() and width[2] > 1.4 * width[0]
    assert set(blocks.iloc[:, 2]) == {"neither"} and set(blocks.iloc[:, 5]) == {"a"}


def test_the_exercises_agree_with_the_library():
    births = load_births()
    past, future = births[:-14], births[-14:]
    yhat = EXERCISES.repeat_last_week(past, 14)
    run = backtest(births, SeasonalNaive(), WalkForwardSplit(14, 1), progress=False)
    assert np.array_equal(yhat, run["yhat"])
    assert EXERCISES.mase(future["y"], pd.Series(yhat), past["y"]) == pytest.approx(
        score(run, train=births).loc[0, "mase"]
    )
    assert find_leaks(EXERCISES.known_at_cutoff, births, horizon=14) == {}
    for mine, theirs in zip(
        EXERCISES.forward_folds(len(births), 14, 5, gap=3),
        WalkForwardSplit(14, 5, gap=3).split(births),
        strict=True,
    ):
        assert np.array_equal(mine[0], theirs[0]) and np.array_equal(mine[1], theirs[1])


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    """With the parameters of CI: six rosters and smaller models."""
    outcome = solved("13_time_series_and_walk_forward")
    assert outcome.faults == []
    small = outcome.notebook
    promised, got = number("shuffled", r"MAE ([\d.]+)", small), number("honest_score", r"MAE ([\d.]+)", small)
    assert promised < 0.7 * got
    assert "True" in output("backtest", small)

"""Lesson 13b: folds, information's age, windows, metrics and verdicts are what the text says of them."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from shown import Shown
from sklearn.model_selection import TimeSeriesSplit

from course.data import load_births, load_ridership
from course.exercise import source as exercise_source
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, backtest, compare, score

ROOT = Path(__file__).resolve().parents[1]
STEM = "13b_walk_forward"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table


HORIZON, FOLDS, TRAIN = 14, 52, 1461
SPLIT = WalkForwardSplit(HORIZON, FOLDS, window="rolling", max_train_size=TRAIN)


@pytest.fixture(scope="module")
def rides():
    return load_ridership()[["ds", "y"]]


def test_the_folds_are_those_of_lesson_15():
    """One fold set, one scale: seasonal naive has the same MAE and MASE in 13b, 15a and 15b."""
    naive = number("bar", r"naive ([\d.]+)")
    for stem in ("15a_xgboost_walk_forward", "15b_intervals_and_prophet"):
        notebook = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4)
        (cell,) = [cell for cell in notebook.cells if cell.get("id") == "bar"]
        said = "".join(one.get("text") or "" for one in cell.outputs)
        assert "52 folds, 2014-09-01 to 2016-08-28" in said
        assert float(re.search(r"seasonal naive:?(?: MAE)? ([\d.]+)", said)[1]) == naive
    assert table("rules").astype(float).loc["last week", "mase"] == pytest.approx(1.24, abs=0.005)


def test_folds_are_scikit_learns_with_a_window_of_constant_length():
    assert "the same folds: True" in output("splitters")
    assert number("splitters", r"tests of (\d+) days") > 900
    theirs = TimeSeriesSplit(FOLDS, test_size=HORIZON, max_train_size=TRAIN)
    for ours, other in zip(SPLIT.split(np.empty(5_698)), theirs.split(np.empty(5_698)), strict=True):
        assert np.array_equal(ours[0], other[0]) and np.array_equal(ours[1], other[1])
        assert len(ours[0]) == TRAIN


def test_old_information_costs_and_a_gap_of_the_splitter_ages_no_feature():
    gap = table("gap").astype(float)
    assert gap["trees"].iloc[0] < gap["trees"].iloc[1] < gap["trees"].iloc[2:].min()
    assert not gap["naive"].is_monotonic_increasing
    assert gap["naive on ordinary days"].is_monotonic_increasing
    assert (gap["trees"] < 0.6 * gap["naive"]).all()
    assert number("gap_trap", r"table: ([\d.]+)") < 0.9 * gap.loc["14 days ahead · 14 late", "trees"]


def test_weekdays_at_one_day_ahead_depend_on_the_step(rides):
    for step, weekdays in ((14, 1), (5, 7)):
        run = backtest(rides, SeasonalNaive(7), WalkForwardSplit(HORIZON, 14, step=step), progress=False)
        assert run.loc[run["h"] == 1, "ds"].dt.dayofweek.nunique() == weekdays


def test_cost_of_windows_and_refitting():
    cost = table("cost").astype(float)
    assert list(
        cost.loc[[f"4 years · {when}" for when in ("every roster", "every 13th", "once")], "fits"]
    ) == [
        52,
        4,
        1,
    ]
    assert cost.loc["1 year · every roster", "MAE"] > 1.1 * cost.loc["4 years · every roster", "MAE"]
    assert list(table("verdicts")["better"]) == ["a", "b", "neither", "b", "b"]


def test_metrics_by_hand_and_what_they_prefer():
    hand = table("by_hand").astype(float)
    assert np.allclose(hand["by hand"], hand["score"], atol=1e-3) and len(hand) == 5
    found = re.search(r"absolute': ([\d.]+), .*squared': ([\d.]+), .*0.9': ([\d.]+)", output("minimises"))
    wanted = re.search(r"median ([\d.]+), mean ([\d.]+), .*quantile ([\d.]+)", output("minimises"))
    assert np.allclose(np.array(found.groups(), float), np.array(wanted.groups(), float), atol=0.11)
    rules = table("rules").astype(float)
    assert rules.loc["usual week", "mae"] < rules.loc["last year", "mae"]
    assert rules.loc["usual week", "rmse"] > 1.1 * rules.loc["last year", "rmse"]
    kinds = table("kinds").astype(float)
    assert kinds["mae"].idxmin() == "Sunday" and kinds["smape"].idxmin() == "weekday"
    assert 0.4 < kinds.loc[["Saturday", "Sunday"], "share of smape"].sum() < 0.5
    assert kinds.loc["holiday", "mae"] > 2 * kinds.loc["weekday", "mae"]


def test_blocks_are_more_cautious_than_days_and_diebold_mariano_agrees():
    blocks = table("blocks")
    low, high = blocks["low"].astype(float), blocks["high"].astype(float)
    for span, verdict in (("one year", "neither"), ("four years", "a")):
        width = [high[(span, block)] - low[(span, block)] for block in ("1", "14", "28")]
        assert width[0] < width[1] < width[2] and width[1] > 1.4 * width[0]
        assert {blocks.loc[(span, block), "better"] for block in ("1", "14", "28")} == {verdict}
        paired, alone = map(
            float, re.search(rf"{span}: (-[\d.]+); .* (-[\d.]+)", output("diebold_mariano")).groups()
        )
        assert (abs(paired) > 1.96) == (verdict == "a") and abs(alone) > 1.4 * abs(paired)


def test_the_exercises_agree_with_the_library():
    births = load_births()
    past, future = births[:-14], births[-14:]
    run = backtest(births, SeasonalNaive(), WalkForwardSplit(14, 1), progress=False)
    assert EXERCISES.mase(future["y"], run["yhat"], past["y"]) == pytest.approx(
        score(run, train=births).loc[0, "mase"]
    )
    for mine, theirs in zip(
        EXERCISES.forward_folds(len(births), 14, 5, gap=3),
        WalkForwardSplit(14, 5, gap=3).split(births),
        strict=True,
    ):
        assert np.array_equal(mine[0], theirs[0]) and np.array_equal(mine[1], theirs[1])


def test_a_constant_gain_is_a_verdict_at_any_block(rides):
    run = backtest(rides, SeasonalNaive(7), WalkForwardSplit(HORIZON, 4), progress=False)
    worse = run.assign(yhat=run["yhat"] + np.sign(run["yhat"] - run["y"]))
    assert {compare(run, worse, block=block).better for block in (1, 14)} == {"a"}

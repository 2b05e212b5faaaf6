"""Lesson 15b: what its text says of intervals, contest, store and published task holds in its outputs."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shown import Shown
from xgboost import XGBRegressor

from course.data import load_births, load_ridership
from course.exercise import source as exercise_source
from walkforward.forecasting import LeakError, WalkForwardSplit, backtest, conformal, score

PUBLISHED = 1.508  # Kuhn and Johnson: mean RMSE of 52 folds, boosted trees, thousand rides
ROOT = Path(__file__).resolve().parents[1]
STEM = "15b_intervals_and_prophet"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table


def test_intervals_are_measured_with_their_own_uncertainty():
    shown = table("intervals").astype(float)
    assert shown.loc["conformal", "pinball"] < shown.loc["quantile", "pinball"]
    found = re.findall(r"(\w+): (\d+) % inside, 95 % interval (\d+) to (\d+) %", output("coverage"))
    (_, *quantile), (_, *exact) = found
    assert int(quantile[2]) < 80, "quantile models hold less than they promise, beyond luck"
    assert int(exact[1]) <= 80 <= int(exact[0]) <= int(exact[2]), "conformal's 80 % is not refuted"


def test_a_width_for_all_days_is_too_narrow_on_holidays():
    shown = table("where").astype(float)
    assert shown.loc[("conformal", "holiday"), "coverage"] <= 0.6
    assert shown.loc[("conformal", "working day"), "coverage"] > 0.8
    assert shown.loc[("quantile", "holiday"), "width"] > 3 * shown.loc[("quantile", "working day"), "width"]
    total, daily = number("total", r"total ([\d.]+)"), number("total", r"daily widths ([\d.]+)")
    assert total < 0.6 * daily


def test_the_calendar_was_chosen_before_the_contest():
    assert "(" in output("earlier") and output("earlier").rstrip().endswith("better")


def test_with_the_same_care_they_tie_and_their_mean_beats_both():
    """In the two years of the contest; against the trees in the year before, too."""
    shown = table("contest").astype(float)
    fair, careless, trees = (shown.loc[name] for name in ("Prophet", "Prophet, careless", "XGBoost"))
    assert fair["mae"] < careless["mae"] and careless["rmse"] > 1.2 * trees["rmse"] > fair["rmse"]
    verdicts = dict(re.findall(r"^ *(.+?): +[+-][\d.]+ \(.*\) ([a-z ]+)$", output("verdicts"), re.MULTILINE))
    assert verdicts["MAE, XGBoost against Prophet"] == "no verdict"
    assert verdicts["MSE, XGBoost against Prophet"] == "no verdict"
    for pair in (
        "MAE, the mean against Prophet",
        "MAE, the mean against XGBoost",
        "the same, the year before",
    ):
        assert verdicts[pair] == "better"
    lowest = dict(re.findall(r"'([^']+)': (-?[\d.]+)", output("verdicts")))
    assert float(lowest["Prophet, careless"]) < -5 and float(lowest["Prophet"]) > 0 < float(lowest["XGBoost"])


@pytest.mark.parametrize("model", ["XGBoost", "Prophet", "Prophet, careless", "mean of the two"])
def test_every_model_beats_the_bar(model):
    shown = table("contest").astype(float)
    assert shown.loc[model, "mae"] / shown.loc["seasonal naive", "mae"] < 0.65
    assert shown.loc[model, "mase"] < 0.8 < 1 < shown.loc["seasonal naive", "mase"]
    assert 0.75 < shown.loc[model, "coverage"] < 0.9


def test_the_store_gives_the_backtest_back():
    assert "stored score: True" in output("found")
    assert table("found").index[0] == "mean of the two"


def test_the_published_task_is_done_better():
    folds = table("ladder")["mean RMSE"].astype(float)
    assert folds["share of the level, four years"] < 0.65 * PUBLISHED
    assert folds["+ US holidays"] < 0.75 * folds["dates, rides of 14 to 21 days ago"]
    assert "2014-09-01 to 2016-08-28" in output("bar") and output("bar").startswith("52 folds")


def test_the_scripts_line_leaks_and_is_refused():
    assert "trains on 2014-09-01 to forecast 2014-09-01" in output("their_folds")
    honest, leaked = (number("worth", rf"{who} +folds ([\d.]+)") for who in ("honest", "with that day"))
    first = [float(x) for x in re.findall(r"first day RMSE ([\d.]+)", output("worth"))]
    others = [float(x) for x in re.findall(r"other days ([\d.]+)", output("worth"))]
    assert abs(leaked - PUBLISHED) < 0.05 < 0.08 < honest - leaked
    assert first[1] < 0.75 * first[0] and abs(others[0] - others[1]) < 0.05

    class Overlapping:
        def split(self, X):
            for train, test in WalkForwardSplit(14, 2).split(X):
                yield np.append(train, test[0]), test

    with pytest.raises(LeakError):
        backtest(load_ridership()[["ds", "y"]], XGBRegressor(), Overlapping(), lags=[14], progress=False)


def test_the_exercises_agree_with_the_library():
    y = load_births().set_index("ds")["y"].astype(float)
    rng = np.random.default_rng(0)
    found = pd.DataFrame({"ds": y.index[-700:], "y": y.to_numpy()[-700:], "unique_id": "y", "h": 1})
    found["cutoff"] = found["ds"] - pd.Timedelta(days=1)
    found["yhat"] = found["y"] + rng.normal(0, 300, 700)
    ranges = conformal(found, 0.8)
    half = EXERCISES.conformal_half_width((found["y"] - found["yhat"])[:699], 0.8)
    last = ranges.iloc[-1]
    assert np.isclose((last["yhat_upper"] - last["yhat_lower"]) / 2, half)
    judged = EXERCISES.judge_intervals(ranges["y"], ranges["yhat_lower"], ranges["yhat_upper"])
    theirs = score(ranges, level=0.8).iloc[0]
    assert all(np.isclose(judged[name], theirs[name]) for name in judged)

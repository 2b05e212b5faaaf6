"""Lesson 15a: what its text says of the loop, the strategies and the level holds in its outputs."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from shown import Shown

from course.data import load_births, load_ridership
from course.exercise import source as exercise_source
from walkforward.forecasting import calendar_features, find_leaks, lag_features

ROOT = Path(__file__).resolve().parents[1]
STEM = "15a_xgboost_walk_forward"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table


def test_the_loop_of_the_student_is_the_library():
    assert "agree: True" in output("promise")
    assert "same as backtest(): True" in output("recursive_loop")


def test_tomorrow_is_easier_than_two_weeks():
    tomorrow, two_weeks = number("promise", r"MAE ([\d.]+)"), number("recursive_loop", r"MAE ([\d.]+)")
    bar = number("bar", r"MAE ([\d.]+)")
    assert tomorrow < 0.9 * two_weeks and two_weeks < 0.65 * bar
    first, second = map(float, re.search(r"\[([\d.]+), ([\d.]+)\]", output("growth")).groups())
    assert 1.1 < first < second


def test_one_row_needs_the_calendar_of_all_its_days():
    one = number("one_row", r"MAE ([\d.]+)")
    many, vector = (
        number("all_calendars", rf"{start}.*?MAE ([\d.]+)") for start in ("calendars", "the same, vector")
    )
    assert many < 0.85 * one and many < vector < one
    days = re.findall(r" (\d{4}-\d\d-\d\d)  missed", output("one_row"))
    marks = calendar_features(pd.Series(pd.to_datetime(days)), "US")
    assert len(days) == 5 and (marks["holiday"] == 1).all(), "the five worst days are holidays"


def test_direct_with_aligned_lags_beats_recursive_or_ties_in_both_periods():
    shown = table("strategy_table")
    verdicts = shown["MAE against recursive"].str.extract(r"\) (.*)$")[0]
    last, before = "last two years", "two years before"
    assert verdicts[(last, "direct, lags from the cutoff")] == "worse", "the lost weekday, not the strategy"
    assert verdicts[(last, "direct, lags aligned")] == "better"
    assert verdicts[(before, "direct, lags aligned")] == "no verdict"
    mae = shown["MAE"].astype(float)
    for period in (last, before):
        assert mae[(period, "direct, lags aligned")] < mae[(period, "recursive")]
    assert re.findall(r"\) ([a-z ]+)$", output("once"), re.MULTILINE) == ["no verdict"] * 2
    bias = shown["bias"].astype(float)
    assert all(bias[key] < -0.3 for key in shown.index if key[0] == last)


def test_trees_stay_and_the_level_cures_it():
    then, now = (
        {name: float(mean) for name, mean in re.findall(r"'([^']+)': ([\d.]+)", line)}
        for line in output("flat").splitlines()[:2]
    )
    assert abs(now["XGBoost"] - then["rides"]) < 0.3 and now["rides"] - then["rides"] > 1.5
    cure = table("cure").astype(float)
    plain, level = cure.loc["rides"], cure.loc["share of the level"]
    assert plain["bias"] < -0.3 and abs(level["bias"]) < 0.15
    assert level["mae"] < 0.9 * plain["mae"] and level["rmse"] < 0.95 * plain["rmse"]
    assert output("cure").splitlines()[0].endswith("better")
    chosen = {
        int(d): float(x) for d, x in re.findall(r"(\d+) days against no level: ([+-][\d.]+)", output("level"))
    }
    assert chosen[182] < 0 < chosen[28] and abs(chosen[182] - chosen[364]) < 0.02


def test_the_level_is_known_at_the_cutoff():
    """The best model's divisor passes the perturbation test 14 days ahead; one that ends later does not."""
    frame = load_ridership()[["ds", "y"]].tail(800).reset_index(drop=True)

    def level(shift):
        return lambda frame: pd.DataFrame({"level": frame["y"].rolling(182).mean().shift(shift)})

    assert find_leaks(level(14), frame, horizon=14) == {}
    assert set(find_leaks(level(13), frame, horizon=14)) == {"level"}


def test_the_exercises_agree_with_the_library():
    births = load_births()
    y = births.set_index("ds")["y"].astype(float)

    class LastWeek:
        def predict(self, X):
            return np.asarray(X)[:, 0]

    path = EXERCISES.forecast_recursively(LastWeek(), y, y.index[-15], [7], 14)
    assert np.allclose(path, np.tile(y.iloc[-21:-14], 2))
    lags = lag_features(y, [1])
    matrix = EXERCISES.target_matrix(y, 3, y.index[-1])
    assert np.allclose(matrix[1], lags["lag_1"].shift(-2).loc[matrix.index])

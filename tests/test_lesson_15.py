"""Lesson 15: what its text says of strategies, intervals, contest and published task holds in its outputs."""

import re
from html import unescape
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from authoring import build
from course.data import load_births, load_ridership
from course.exercise import source as exercise_source
from walkforward.forecasting import (
    LeakError,
    WalkForwardSplit,
    backtest,
    calendar_features,
    conformal,
    find_leaks,
    lag_features,
    score,
)

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "15_xgboost_walk_forward.py")
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "15_xgboost_walk_forward.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "15_xgboost_walk_forward.py")
PUBLISHED = 1.508  # Kuhn and Johnson: mean RMSE of 52 folds, boosted trees, thousand rides
NAIVE, BEST, PROPHET = "seasonal naive", "XGBoost, share of level", "Prophet"


def output(name):
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code" and cell.id == name]
    return "\n".join(one.get("text") or one.get("data", {}).get("text/plain", "") for one in cell.outputs)


def number(name, pattern):
    return float(re.search(pattern, output(name))[1])


def table(name):
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code" and cell.id == name]
    (shown,) = [one.data["text/html"] for one in cell.outputs if "text/html" in one.get("data", {})]
    rows = [
        [unescape(text) for text in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", shown, re.DOTALL)
    ]
    body = {row[0]: row[1:] for row in rows[1:] if row and any(row[1:])}
    return pd.DataFrame.from_dict(body, orient="index", columns=rows[0][1:])


def test_the_loop_of_the_student_is_the_library():
    assert "agree to the bit: True" in output("same")
    assert "same as backtest(): True" in output("recursive_loop")
    assert "agree: True" in output("strategies")


def test_tomorrow_is_easier_than_two_weeks():
    tomorrow, two_weeks = number("promise", r"MAE ([\d.]+)"), number("recursive_loop", r"MAE ([\d.]+)")
    bar = number("bar", r"MAE ([\d.]+)")
    assert tomorrow < 0.9 * two_weeks and two_weeks < 0.65 * bar


def test_one_row_needs_the_calendar_of_all_its_days():
    one, many, vector = (
        number("all_calendars", rf"{start}.*?RMSE ([\d.]+)")
        for start in ("calendar of day 1", "calendars of all", "the same, vector")
    )
    assert many < 0.75 * one and many < vector < one
    days = re.findall(r" (\d{4}-\d\d-\d\d)  missed", output("worst"))
    marks = calendar_features(pd.Series(pd.to_datetime(days)), "US")
    assert len(days) == 5 and (marks["holiday"] == 1).all(), "the five worst days are holidays"


def test_strategies_stand_in_their_order():
    shown = table("strategy_table")
    rmse, bias = shown["rmse"].astype(float), shown["bias"].astype(float)
    assert rmse.idxmin() == "all at once" and rmse.idxmax() == "direct"
    assert (bias < -0.3).all(), "trees that forecast rides lie below a growing station"
    assert shown.loc["all at once", "MAE against recursive"].endswith("better")
    assert "longer than recursive: True" in output("strategy_seconds")


def test_trees_stay_and_the_level_cures_it():
    means = {name: float(mean) for name, mean in re.findall(r"'([^']+)': ([\d.]+)", output("flat"))}
    last_year = load_ridership().set_index("ds")["y"]["2011"].mean()
    assert abs(means["XGBoost, trained to 2011"] - last_year) < 0.3 < 1 < means["rides"] - last_year
    cure = table("cure").astype(float)
    plain, level = cure.loc["rides"], cure.loc["share of the level"]
    assert plain["bias"] < -0.3 and abs(level["bias"]) < 0.15
    assert level["mae"] < 0.9 * plain["mae"] and level["rmse"] < 0.95 * plain["rmse"]
    assert output("cure").splitlines()[0].endswith("better")
    chosen = {
        int(days): float(rmse) for days, rmse in re.findall(r"(\d+) days: RMSE ([\d.]+)", output("level"))
    }
    assert chosen[182] < number("level", r"no level: +RMSE ([\d.]+)")
    assert min(chosen, key=chosen.get) == 182, "the level's days are those that the years before chose"


def test_intervals_are_measured():
    shown = table("intervals").astype(float)
    assert 60 < shown.loc["quantile", "coverage (%)"] < 78 < 80 <= shown.loc["conformal", "coverage (%)"] < 90
    assert shown.loc["conformal", "pinball"] < shown.loc["quantile", "pinball"]


@pytest.mark.parametrize(
    "model", ["XGBoost, recursive", "XGBoost, at once", BEST, PROPHET, "mean of the two"]
)
def test_every_model_beats_the_bar(model):
    shown = table("table").astype(float)
    assert shown.loc[model, "mae"] / shown.loc[NAIVE, "mae"] < 0.65
    assert shown.loc[model, "mase"] < 0.8 < 1 < shown.loc[NAIVE, "mase"]
    assert 0.75 < shown.loc[model, "coverage"] < 0.9


def test_neither_wins_and_the_mean_is_better_than_prophet():
    verdicts = re.findall(r"\) ([a-z ]+)$", output("verdicts"), re.MULTILINE)
    assert verdicts == ["no verdict", "no verdict", "better", "no verdict"]
    assert "twice as long: True" in output("verdicts")
    assert number("kinds", r"Prophet (-?[\d.]+)") < 0 < number("kinds", r"XGBoost ([\d.]+)")


def test_the_store_gives_the_backtest_back():
    assert "14 steps; the last: day 14" in output("found") and "stored score: True" in output("found")
    assert table("found").index[0] == BEST
    assert "agrees: True" in output("model")


def test_the_published_task_is_done_better():
    shown = table("ladder")
    folds = shown["mean RMSE of folds"].astype(float)
    assert folds["+ share of the level"] < 0.65 * PUBLISHED
    assert folds["+ US holidays"] < 0.75 * folds["dates, rides of 14 to 21 days ago"]
    assert folds["+ share of the level"] < 0.92 * folds["weekly lags, four years"]
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

    from xgboost import XGBRegressor

    with pytest.raises(LeakError):
        backtest(load_ridership()[["ds", "y"]], XGBRegressor(), Overlapping(), lags=[14], progress=False)


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

    class LastWeek:
        def predict(self, X):
            return np.asarray(X)[:, 0]

    path = EXERCISES.forecast_recursively(LastWeek(), y, y.index[-15], [7], 14)
    assert np.allclose(path, np.tile(y.iloc[-21:-14], 2))
    lags = lag_features(y, [1])
    matrix = EXERCISES.target_matrix(y, 3, y.index[-1])
    assert np.allclose(matrix[1], lags["lag_1"].shift(-2).loc[matrix.index])

"""Lesson 14a: Prophet by hand agrees with Prophet, and the calendar is chosen before the test years."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shown import Shown

from course.data import load_births
from course.exercise import source as exercise_source
from walkforward.forecasting import WalkForwardSplit, backtest, compare, score

ROOT = Path(__file__).resolve().parents[1]
STEM = "14a_prophet_by_hand"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table


@pytest.fixture(scope="module")
def lesson():
    """The names that the cells of the hand-made model define, without the backtests after it."""
    names = {}
    for cell in SHOWN.notebook.cells:
        if cell.cell_type == "code" and "exercise.check" not in cell.source:
            exec(cell.source, names)  # the lesson's own code
        if cell.get("id") == "sigma":
            return names
    raise AssertionError("the lesson has no cell named sigma")


def test_the_hand_made_parts_are_those_of_prophet(lesson):
    hand, library = lesson["hand"], lesson["library"]
    for part, most in {"trend": 0.1, "weekly": 0.01, "yearly": 0.05, "holidays": 0.01, "yhat": 0.1}.items():
        assert np.abs(hand[part].to_numpy() - library[part]).mean() < most, part
    assert np.abs(hand["yhat"].to_numpy() - library["yhat"]).mean() < 0.01 * library["yhat"].std()
    assert number("library", r"by ([\d.]+) thousand") < 0.15


def test_the_noise_comes_from_the_residuals_and_the_error_does_not_hang_on_it(lesson):
    yours, theirs = map(float, re.search(r"yours ([\d.]+), .* ([\d.]+)", output("sigma")).groups())
    assert abs(yours - 0.06) < 0.01 and abs(theirs - 0.06) < 0.01
    rides, split = lesson["rides"], WalkForwardSplit(14, 13, window="rolling", max_train_size=1461)
    errors = []
    for noise in (0.03, 0.06, 0.12):
        model = lambda noise=noise: lesson["ByHand"](lesson["us_holidays"], noise)  # noqa: E731
        errors.append(score(backtest(rides, model, split, progress=False))["mae"].item())
    assert max(errors) < 1.06 * min(errors)


def test_a_model_that_lacks_a_part_is_not_called_close(lesson):
    bare = lesson["ByHand"](lesson["us_holidays"][:0]).fit(lesson["train"]).predict(lesson["train"])
    assert np.abs(bare["yhat"].to_numpy() - lesson["library"]["yhat"]).mean() > 0.3


def test_nothing_of_the_test_years_is_seen(lesson):
    assert lesson["rides"]["ds"].max() == pd.Timestamp("2014-08-31")
    assert "2012-09-03 to 2014-08-31" in output("naive")


def test_holidays_are_the_fault_and_the_length_of_the_history_is_not_proved():
    suspects = table("suspects").astype(float)
    assert suspects.loc["all days", "US holidays"] < 0.8 * suspects.loc["all days", "no holidays"]
    assert suspects.loc["all days", "no holidays"] < number("naive", r"MAE ([\d.]+)")
    assert "better='neither'" in output("worst")


def test_a_holiday_on_a_sunday_takes_more_riders_than_there_are():
    lowest = table("lowest").astype(float)
    assert (lowest["yhat"] < -1).all() and number("lowest", r": ([\d.]+) thousand") > 0
    assert "Sunday" in output("lowest")


def test_both_steps_of_the_calendar_pay_on_the_years_before_and_in_the_test_years(lesson):
    changes = re.findall(r"change (-[\d.]+) \((-[\d.]+) to (-[\d.]+)\)", output("ladder"))
    assert len(changes) == 2, "both intervals are below zero"
    calendar = lesson["us_holidays"]
    working = calendar[calendar["ds"].dt.dayofweek < 5]
    rides = lesson["load_ridership"]()[["ds", "y"]]
    split = WalkForwardSplit(14, 52, window="rolling", max_train_size=1461)
    found = [
        backtest(rides, lambda h=h: lesson["ByHand"](h), split, progress=False) for h in (working, calendar)
    ]
    assert compare(*found).better == "a"


def test_the_exercises_say_what_prophet_says(lesson):
    Prophet, births = lesson["Prophet"], load_births()
    ours = EXERCISES.fourier_columns(births["ds"], 365.25, 4)
    assert np.allclose(ours, Prophet.fourier_series(births["ds"], 365.25, 4))
    calendar = pd.DataFrame({"holiday": "Christmas Day", "ds": pd.to_datetime(["2000-12-25", "2001-12-25"])})
    framed = EXERCISES.with_window(calendar, "Christmas Day", 2, 1)
    columns, _, _ = Prophet(holidays=framed).make_holiday_features(births["ds"], framed)
    touched = births.loc[columns.any(axis=1), "ds"]
    assert list(touched.dt.strftime("%m-%d")) == 2 * ["12-23", "12-24", "12-25", "12-26"]

"""Lesson 14b: what it says of Prophet's score, options, regressors and intervals holds in its outputs."""

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shown import Shown

from course.data import load_births, load_ridership
from course.exercise import source as exercise_source
from walkforward.forecasting import SeasonalNaive, WalkForwardSplit, backtest, score

ROOT = Path(__file__).resolve().parents[1]
STEM = "14b_prophet"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table


@pytest.fixture(scope="module")
def prophet():
    logging.getLogger("prophet.plot").setLevel(logging.CRITICAL)
    logging.getLogger("cmdstanpy").setLevel(logging.CRITICAL)
    import prophet
    from prophet import diagnostics

    return prophet.Prophet, diagnostics.cross_validation


def naive_backtest():
    split = WalkForwardSplit(14, 52, window="rolling", max_train_size=1461)
    rides = load_ridership()[["ds", "y"]]
    return backtest(rides, SeasonalNaive(7), split, progress=False), rides


def test_the_bar_and_its_scale_are_those_of_lessons_13_and_15():
    naive, rides = naive_backtest()
    scores, bar = table("final").replace("NaN", "nan").astype(float), score(naive, train=rides).iloc[0]
    assert scores.loc["naive", "mae"] == pytest.approx(bar["mae"], abs=0.006)
    assert scores.loc["naive", "mase"] == pytest.approx(bar["mase"], abs=0.006)


def test_on_closed_test_years_prophet_is_far_below_the_bar():
    scores = table("final").replace("NaN", "nan").astype(float)
    assert scores.loc["Prophet", "times_naive"] == pytest.approx(0.44, abs=0.03)
    assert "better='a'" in output("final")


def test_the_training_error_can_not_choose_and_the_default_is_sound():
    priors = table("priors").astype(float)
    assert priors["training days"].is_monotonic_decreasing
    for after in ("next 90 days", "next year"):
        assert priors.loc["0.050", after] < 0.8 * priors.loc["0.001", after]
        assert abs(priors.loc["0.050", after] - priors.loc["0.500", after]) < 0.05


def test_a_cap_helps_when_it_is_true_and_hurts_when_it_is_not():
    errors = table("logistic")["MAE"].astype(float)
    assert errors["logistic 16"] < 0.7 * errors["linear"] and errors["logistic 14"] == errors.max()


def test_the_weather_is_worth_what_its_future_is_worth():
    worth = table("worth").astype(float)
    for name in ("known (hindsight)", "climatology"):
        assert worth.loc[name, "95 % from"] <= 0 <= worth.loc[name, "to"], name
    assert worth.loc["training mean", "95 % from"] > 0.02, "a constant future does harm"


def test_eighty_per_cent_is_nowhere_eighty_per_cent():
    near, far = table("coverage").astype(float), table("far").astype(float)
    low = float(re.search(r"interval \[ *([\d.]+)", output("coverage") + output("inside"))[1])
    assert low > 0.8 and 0.84 <= near.loc["all", "inside"] <= 0.94
    assert near.loc["other working days", "inside"] > near.loc["weekends", "inside"] + 0.03
    miss, inside, width, miss5, inside5, _ = (far.iloc[:, i] for i in range(6))
    assert inside.is_monotonic_decreasing and 0.38 <= inside.iloc[-1] <= 0.56
    assert inside5.iloc[-1] > inside.iloc[-1] + 0.15, "freer bends, an honester future"
    assert (miss5 <= miss + 0.02).all()
    assert miss.iloc[-1] / miss.iloc[0] > 2 * width.iloc[-1] / width.iloc[0] - 1


def test_sampling_gives_the_week_an_interval_and_the_forecast_hardly_a_wider_one():
    (week, whole), (sampled, sampled_whole) = re.findall(
        r"about (\d+), the forecast's of (\d+)", output("mcmc")
    )
    assert int(week) == 0 < int(sampled) and abs(int(whole) - int(sampled_whole)) <= 1


@pytest.mark.parametrize("predicted", [False, True])
def test_cross_validation_takes_the_future_of_a_regressor_unless_it_is_predicted(prophet, predicted):
    Prophet, cross_validation = prophet
    rng = np.random.default_rng(0)
    days = pd.DataFrame({"ds": pd.date_range("2014-01-01", periods=200), "x": rng.normal(size=200)})
    days["y"] = 10 + 3 * days["x"] + rng.normal(0, 0.1, 200)
    cutoff = days["ds"].iloc[-15]
    changed = days.assign(x=days["x"].where(days["ds"] <= cutoff, 2.0))
    answers = []
    for frame in (days, changed):
        model = Prophet(uncertainty_samples=0)
        inner = {"uncertainty_samples": 0} if predicted else None
        model.add_regressor("x", standardize=False, regressor_predictor=inner).fit(frame)
        answers.append(
            cross_validation(model, horizon="14 days", cutoffs=[cutoff], disable_tqdm=True)["yhat"]
        )
    moved = (answers[1] - answers[0]).abs().mean()
    assert moved < 1e-6 if predicted else moved > 1


def test_the_baseline_of_the_exercise_is_that_of_the_library():
    naive, rides = naive_backtest()
    halved = naive.assign(yhat=(naive["y"] + naive["yhat"]) / 2)
    assert EXERCISES.times_naive(naive, rides) == pytest.approx(1)
    assert EXERCISES.times_naive(halved, rides) == pytest.approx(0.5)


def test_a_climatology_does_not_move_with_what_comes_after_the_cutoff():
    births = load_births().rename(columns={"y": "x"})
    days = pd.Series(pd.date_range("2013-06-01", periods=14))
    known = births[births["ds"] <= "2013-05-31"]
    assert EXERCISES.climatology(known, days).equals(EXERCISES.climatology(known.copy(), days))
    assert EXERCISES.climatology(known, days).between(known["x"].min(), known["x"].max()).all()


def test_prophet_is_quiet_and_nobody_else_is():
    streams = [
        one for cell in SHOWN.notebook.cells for one in cell.get("outputs", []) if one.get("name") == "stderr"
    ]
    assert not streams
    sources = "\n".join(cell.source for cell in SHOWN.notebook.cells if cell.cell_type == "code")
    assert "filterwarnings" not in sources and "simplefilter" not in sources

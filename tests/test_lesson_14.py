"""Lesson 14: Prophet by hand agrees with Prophet, and what the text says of scores and intervals holds."""

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

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "14_prophet.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "14_prophet.py")
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "14_prophet.py")


def output(name, kind="text/plain"):
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code" and cell.id == name]
    return "\n".join(one.get("text") or one.get("data", {}).get(kind, "") for one in cell.outputs)


def table(name):
    html = output(name, "text/html")
    rows = [
        re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    ]
    head = re.findall(r"<th>(.*?)</th>", re.search(r"<thead>(.*?)</tr>", html, re.DOTALL)[1])
    rows = [[unescape(text) for text in row] for row in rows if row and row[1:] != [""] * len(row[1:])]
    return pd.DataFrame([row[1:] for row in rows], [row[0] for row in rows], map(unescape, head[1:])).map(
        float
    )


def hand_made():
    """Return the names that the cells of the hand-made model define, without the long backtests."""
    names = {}
    skipped = ("cross_validation(", "exercise.check", "plt.show()")
    for cell in NOTEBOOK.cells:
        if cell.cell_type == "code" and not any(word in cell.source for word in skipped):
            exec(cell.source, names)  # the lesson's own code
        if cell.get("id") == "same":
            return names
    raise AssertionError("the lesson has no cell named same")


@pytest.fixture(scope="module")
def lesson():
    return hand_made()


def test_the_taught_model_beats_seasonal_naive_and_the_default_does_not():
    scores = table("final")
    assert scores.loc["Prophet, tuned", "MASE"] == pytest.approx(0.42, abs=0.06)
    assert scores.loc["Prophet, tuned", "× naive"] == pytest.approx(0.38, abs=0.06)
    assert scores.loc["Prophet, tuned", ["MASE", "× naive"]].max() < 1
    assert scores.loc["Prophet, defaults", "× naive"] > 0.97, "the opening says that last week is as good"


def test_the_bar_is_seasonal_naive_and_knows_nothing_after_the_cutoff(lesson):
    known = load_ridership().set_index("ds")["y"]
    misses = []
    for cutoff in lesson["cutoffs"]:
        week = known[:cutoff].tail(7)
        for ahead in range(1, 15):
            misses.append(known[cutoff + pd.Timedelta(days=ahead)] - week.iloc[(ahead - 1) % 7])
    assert np.abs(misses).mean() == pytest.approx(table("final").loc["seasonal naive", "MAE"], abs=0.005)


def test_the_cutoffs_cover_a_year_once(lesson):
    days = lesson["naive"]["ds"]
    assert days.is_unique and len(days) == 364 and pd.Timestamp("2015-12-25") in set(days)


def test_the_hand_made_parts_are_those_of_prophet(lesson):
    hand, library = lesson["hand"], lesson["library"]
    for part, most in {"trend": 0.1, "weekly": 0.01, "yearly": 0.05, "holidays": 0.01, "yhat": 0.1}.items():
        assert (hand[part] - library[part]).abs().mean() < most, part
    assert (hand["yhat"] - library["yhat"]).abs().mean() < 0.01 * library["yhat"].std()


def test_a_model_that_lacks_a_part_is_not_called_close(lesson):
    bare = lesson["by_hand"](lesson["train"], lesson["train"]["ds"], lesson["no_holidays"])
    assert (bare["yhat"] - lesson["library"]["yhat"]).abs().mean() > 0.3


def test_the_hand_made_model_reproduces_the_first_result():
    suspects = table("suspects")
    first = float(re.search(r"all defaults: MAE ([\d.]+)", output("defaults"))[1])
    assert suspects.loc["all days", "no holidays"] == pytest.approx(first, abs=0.05)
    assert suspects.loc["four years", "US holidays"] < suspects.to_numpy().ravel()[:3].min()
    assert table("ladder")["MAE by hand"].is_monotonic_decreasing


def test_a_holiday_on_a_saturday_takes_more_riders_than_there_are():
    july = table("fourth")
    assert (july["yhat"] < -1).all() and (july["y"] > 5).all()


def test_closer_on_the_training_days_then_worse_after_them():
    priors, orders = table("priors"), table("orders")
    assert priors["training days"].diff().max() <= 0.005 and orders["training days"].diff().max() <= 0.005
    for after in (priors["next year"], orders["days after"]):
        assert 0 < after.to_numpy().argmin() < len(after) - 1, "the best one lies inside of the sweep"
    assert priors["next 90 days"].astype(float).idxmin() != priors["next year"].idxmin()


def test_a_cap_helps_when_it_is_true_and_hurts_when_it_is_not():
    errors = table("logistic")["MAE"]
    assert errors["logistic, cap 16"] < 0.7 * errors["linear"] and errors["logistic, cap 14"] == errors.max()
    assert float(re.search(r"lowest day (-?[\d.]+)", output("logistic"))[1]) < 0, (
        "a floor of 0 is of the trend"
    )


def test_the_weather_is_worth_what_its_future_is_worth():
    worth = table("worth")
    known, mean = worth.loc["known (hindsight)"], worth.loc["training mean"]
    assert known["95 % from"] <= 0 <= known["to"] and abs(known["change"]) < 0.02
    assert mean["95 % from"] > 0.02, "a constant future does harm"
    assert worth.loc["climatology", "MAE"] <= worth.loc["absent", "MAE"] + 0.02
    assert output("missing").count("ValueError: ") == 2 and "Found NaN in column 'rain_share'" in output(
        "missing"
    )


def test_eighty_per_cent_is_nowhere_eighty_per_cent():
    near, far = table("coverage"), table("far")
    assert 0.86 <= near.loc["all", "inside"] <= 0.94
    assert near.loc["other working days", "inside"] > near.loc["weekends", "inside"] + 0.05
    assert far["inside"].is_monotonic_decreasing and 0.7 < far["inside"].iloc[0] < 0.87
    assert 0.38 <= far["inside"].iloc[-1] <= 0.56
    assert far["inside 0.5"].iloc[-1] > far["inside"].iloc[-1] + 0.15, "freer bends, an honester future"
    assert (far["miss 0.5"] <= far["miss"] + 0.02).all()
    assert far["miss"].iloc[-1] / far["miss"].iloc[0] > 2 * far["width"].iloc[-1] / far["width"].iloc[0] - 1


def test_sampling_gives_the_week_an_interval_and_the_forecast_hardly_a_wider_one():
    week = re.search(r"weekly part: ([\d.]+); sampled, about (\d+)", output("mcmc"))
    whole = re.search(r"yhat: (\d+); sampled, about (\d+)", output("mcmc"))
    assert float(week[1]) == 0 < float(week[2]) and whole[1] == whole[2]
    assert "below 1.05): True" in output("mcmc")


@pytest.mark.parametrize("predicted", [False, True])
def test_cross_validation_takes_the_future_of_a_regressor_unless_it_is_predicted(lesson, predicted):
    Prophet, cross_validation = lesson["Prophet"], lesson["cross_validation"]
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


def test_the_exercises_say_what_prophet_says(lesson):
    Prophet, births = lesson["Prophet"], load_births()
    ours = EXERCISES.fourier_columns(births["ds"], 365.25, 4)
    assert np.allclose(ours, Prophet.fourier_series(births["ds"], 365.25, 4))
    calendar = pd.DataFrame({"holiday": "Christmas Day", "ds": pd.to_datetime(["2000-12-25", "2001-12-25"])})
    framed = EXERCISES.with_window(calendar, "Christmas Day", 2, 1)
    columns, _, _ = Prophet(holidays=framed).make_holiday_features(births["ds"], framed)
    touched = births.loc[columns.any(axis=1), "ds"]
    assert list(touched.dt.strftime("%m-%d")) == 2 * ["12-23", "12-24", "12-25", "12-26"]


def test_the_baseline_of_the_exercise_is_that_of_the_lesson(lesson):
    naive, rides = lesson["naive"], lesson["rides"]
    halved = naive.assign(yhat=(naive["y"] + naive["yhat"]) / 2)
    assert EXERCISES.times_naive(naive, rides) == pytest.approx(1)
    assert EXERCISES.times_naive(halved, rides) == pytest.approx(0.5)


def test_prophet_is_quiet_and_nobody_else_is():
    streams = [
        one for cell in NOTEBOOK.cells for one in cell.get("outputs", []) if one.get("name") == "stderr"
    ]
    assert not streams
    sources = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code")
    assert "filterwarnings" not in sources and "simplefilter" not in sources
    assert LESSON.ci["folds"] < 26

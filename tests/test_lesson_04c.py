"""Lesson 04c: the winner's curse in the record of trials, days against trips, four verdicts."""

import re
from html import unescape
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from solved import smaller

from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "04c_is_it_better.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "04c_is_it_better.py")
RECORD = pd.read_parquet(ROOT / "benchmarks" / "results" / "tuning.parquet")
SEEDS = range(1000, 1300)  # others than the lesson's


def output(notebook, name, kind="text/plain"):
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id == name]
    return "\n".join(one.get("text") or one.get("data", {}).get(kind, "") for one in cell.outputs)


def number(pattern, text):
    return float(re.search(pattern, text)[1])


def table(notebook, name):
    """The cell's table as text, its index in the first columns."""
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id == name]
    (shown,) = [one.data["text/html"] for one in cell.outputs if "text/html" in one.get("data", {})]
    rows = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        for row in re.findall(r"<tr[^>]*>(.*?)</tr>", shown, re.DOTALL)
    ]
    rows = [[unescape(text) for text in row] for row in rows]
    frame = pd.DataFrame([row[1:] for row in rows[1:]], [row[0] for row in rows[1:]], rows[0][1:])
    return frame.apply(pd.to_numeric)


def default():
    setting = {"learning_rate": 0.3, "max_depth": 6, "min_child_weight": 1}
    setting |= {"subsample": 1, "colsample_bytree": 1, "n_estimators": 100}
    (row,) = RECORD.index[(RECORD[list(setting)] == pd.Series(setting)).all(axis=1)]
    return row


def curses(parts, trials):
    """Promised minus delivered gain over the default, in minutes, of one search for each of SEEDS."""
    squares, row = RECORD.filter(like="part_").to_numpy(float) ** 2, default()
    found = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        order, tried = rng.permutation(20), rng.choice(len(RECORD), trials, replace=False)
        valid, rest = (np.sqrt(squares[:, chosen].mean(axis=1)) for chosen in (order[:parts], order[parts:]))
        best = tried[valid[tried].argmin()]
        found.append((valid[row] - valid[best]) - (rest[row] - rest[best]))
    return np.array(found)


def mean_and_error(values):
    return values.mean(), values.std() / len(values) ** 0.5


def test_the_winners_curse_exists():
    """Seeds 1000 to 1299: far from zero for 50 trials, and none where nothing was chosen."""
    curse, error = mean_and_error(curses(1, 50))
    assert curse > 6 * error
    nothing, error = mean_and_error(curses(1, 1))
    assert abs(nothing) < 3.5 * error


def test_the_curse_grows_with_the_trials():
    few, many = curses(1, 10), curses(1, 200)  # the same months for both: paired by seed
    difference, error = mean_and_error(many - few)
    assert difference > 4 * error


def test_the_curse_shrinks_with_the_validation_set():
    small, middle, large = (curses(parts, 50) for parts in (1, 4, 10))
    for more, less in ((small, middle), (middle, large)):
        difference = more.mean() - less.mean()
        assert difference > 3 * np.hypot(mean_and_error(more)[1], mean_and_error(less)[1])


def test_may_is_harder_for_every_setting():
    assert (RECORD["rmse_fresh"] > RECORD["rmse_valid"]).all()


def world(rng, days=30, trips=100, spread=0.5):
    """Differences of two equal models: a part that a whole day shares, a part that each trip has alone."""
    return spread * rng.normal(size=(days, 1)) + 2 * rng.normal(size=(days, trips))


def test_drawing_trips_promises_too_much_where_days_go_wrong_together():
    """Seeds 0 to 199: how often the 95 % interval of the mean holds the true zero."""
    held = {"trips": 0, "days": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        errors = world(rng)
        days = errors.mean(axis=1)
        drawn = days[rng.integers(0, 30, (400, 30))].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        held["days"] += low < 0 < high
        held["trips"] += abs(errors.mean()) < 1.96 * errors.std() / errors.size**0.5
    assert held["trips"] < 140 and held["days"] > 176


def test_is_better_is_seldom_wrong_about_equal_models():
    """Seeds 0 to 39: equal models with days of their own are not called better or worse."""
    verdicts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        errors, day = rng.normal(0, 4, 3000), np.repeat(np.arange(30), 100)
        days = [(1 + 0.1 * rng.normal(size=30))[day] for _ in "ab"]
        verdicts.append(EXERCISES.is_better(errors * days[0], errors * days[1], day, 0.02, draws=200))
    assert sum(one in {"better", "worse"} for one in verdicts) <= 4


def test_pairing_narrows_and_days_widen():
    ways = table(NOTEBOOK, "intervals")["standard error"]
    assert ways["trips, paired"] < 0.3 * ways["trips, unpaired"]
    assert 0.6 < ways["days, paired"] / ways["trips, paired"] < 1.7  # for this difference days change little
    ratio = table(NOTEBOOK, "level")["ratio"]
    assert ratio["RMSE of the winner"] > 1.3 and ratio["bias of the winner"] > 2


def test_one_lost_trip_moves_the_default_more_than_a_month_of_tuning():
    moved = table(NOTEBOOK, "one_out")
    assert moved.loc["std", "default"] > 0.005
    assert moved.loc["max", "default"] - moved.loc["min", "default"] > 0.02


def test_a_lucky_seed_does_not_last():
    copies = table(NOTEBOOK, "copies")
    won = copies.loc["mean"] - copies.loc["best in March"]
    assert won["March"] > 0.015 and won[["April", "May"]].max() < won["March"] / 2


def test_one_of_fifty_equal_rivals_is_significant_nearly_always():
    said = output(NOTEBOOK, "coins")
    assert 2 < number(r"on average: ([\d.]+)", said) < 3
    assert number(r"at least one is: (\d+)%", said) > 85
    assert number(r"at 0.05 / 50: (\d+)%", said) <= 8


def test_fifty_tests_in_a_known_world():
    rng = np.random.default_rng(7)
    p = np.array([stats.ttest_1samp(rng.normal(size=(50, 31)), 0, axis=1).pvalue for _ in range(400)])
    assert ((p < 0.05).any(axis=1)).mean() > 0.85
    assert ((p < 0.001).any(axis=1)).mean() < 0.1


def test_diebold_and_mariano_allow_for_days_that_are_alike():
    """Seeds 0 to 199, equal models, days with an autocorrelation of 0.6: how often |z| exceeds 1.96.

    The lesson's own lines. Three autocovariances do not hold 5 % with sixty days, and come far nearer.
    """
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.id == "diebold_mariano"]
    code = cell.source[cell.source.index("centred, n") : cell.source.index("for name, variance")]
    false = {"independent": 0, "long run": 0}
    for seed in range(200):
        noise = np.random.default_rng(seed).normal(size=160)
        days = [0.0]
        for one in noise:
            days.append(0.6 * days[-1] + one)
        names = {"daily": pd.Series(days[-60:]), "np": np}
        exec(code, names)
        for name, variance in (("independent", names["covariance"][0]), ("long run", names["long_run"])):
            false[name] += abs(names["daily"].mean()) > 1.96 * (variance / 60) ** 0.5
    assert false["independent"] > 45 and false["long run"] < 0.65 * false["independent"]


def test_equivalence_needs_an_interval_inside_and_not_one_that_holds_zero():
    """300 trips leave two equal models undecided, 30,000 show that they are equal."""
    rng = np.random.default_rng(0)
    for trips, verdict in ((300, "undecided"), (30_000, "no difference")):
        day, a = np.repeat(np.arange(30), trips // 30), rng.normal(0, 4, trips)
        b = a + rng.normal(0, 1, trips) - a / 32  # as good: the noise adds what the shrinkage takes
        b = b * np.sqrt(np.mean(a**2) / np.mean(b**2))
        assert EXERCISES.is_better(a, b, day, 0.05) == verdict


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller("04c_is_it_better")
    assert outcome.faults == []
    for name in ("copies", "one_out", "intervals", "level"):
        small, large = table(outcome.notebook, name), table(NOTEBOOK, name)
        assert list(small.index) == list(large.index) and list(small) == list(large), name

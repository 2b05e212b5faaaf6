"""Lesson 03a: a digest that sees every value, choices before the test month, and a curve that is flat."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from test_lesson_07a import outputs

from course.data import load_trips, months

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src" / "projects" / "trip_tracking"))
SOURCE = (ROOT / "src" / "lessons" / "03a_tracking.py").read_text(encoding="utf-8")


def test_only_the_digest_of_every_value_sees_the_last_row():
    lines = outputs("03a_tracking")["digest"].strip().splitlines()
    mlflows, bytes_ = ([line[18:].split()[place] for line in lines] for place in (0, 1))
    assert mlflows[0] == mlflows[2] != mlflows[1]
    assert len(set(bytes_)) == 3


def test_the_test_month_is_opened_for_one_model():
    """Every other score is one of validation."""
    scored = re.findall(r"rmse\((\w+), test\)", SOURCE)
    assert scored == ["chosen"]
    assert "eval_set=parts" in SOURCE
    assert not re.search(r"for part in \(train, test\)", SOURCE)


@pytest.mark.parametrize(
    ("trained", "validated"), [(("2019-03", "2019-05"), "2019-06"), (("2019-08", "2019-10"), "2019-11")]
)
def test_the_two_best_are_not_told_apart_by_a_month(trained, validated):
    """The interval of their difference, by days, contains zero."""
    import trip_tracking

    train = trip_tracking.with_features(load_trips(months(*trained)))
    valid = trip_tracking.with_features(load_trips([validated]))
    _, code = np.unique(valid["pickup_datetime"].dt.date, return_inverse=True)
    n = code.max() + 1
    drawn = np.random.default_rng(0).multinomial(n, [1 / n] * n, size=1000)
    errors = []
    for settings in [(4, 0.3, 100), (10, 0.1, 100)]:
        model = trip_tracking.boosted(*settings)
        model.fit(train[trip_tracking.FEATURES], train["duration"])
        missed = valid["duration"] - model.predict(valid[trip_tracking.FEATURES])
        errors.append(np.sqrt(drawn @ np.bincount(code, missed**2) / (drawn @ np.bincount(code))))
    low, high = np.quantile(errors[1] - errors[0], [0.025, 0.975])
    assert low < 0 < high


def test_the_curve_is_flat_and_the_title_says_so():
    shown = outputs("03a_tracking")["history"]
    low, high = map(int, re.search(r"rounds (\d+) to (\d+)", shown).groups())
    assert high - low > 20, "no single round is the right one"
    assert "the validation error is flat" in SOURCE


def test_search_runs_stops_at_a_hundred_thousand():
    import inspect

    import mlflow

    assert inspect.signature(mlflow.search_runs).parameters["max_results"].default == 100_000
    assert "100,000" in SOURCE

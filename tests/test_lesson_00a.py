"""Lesson 00a: fresh data beat a better model only after a break; a retraining that nobody judges is none."""

import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_limits

from course.data import load_trips, months
from course.paths import ROOT

NOTEBOOK = nbformat.read(ROOT / "notebooks" / "00a_start_here.ipynb", as_version=4)
COLUMNS = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


def output(name):
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code" and cell.id == name]
    return "\n".join(one.get("text") or "" for one in cell.outputs)


def trips_of(first, last):
    trips = load_trips(months(first, last))
    minutes = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
    clock = trips["pickup_datetime"].dt
    trips = trips.assign(duration=minutes, hour=clock.hour, weekday=clock.dayofweek)
    return trips[minutes.between(1, 60) & (trips["trip_distance"] < 100)]


def miss(model, trips):
    return float(np.sqrt(np.mean((trips["duration"] - model.predict(trips[COLUMNS])) ** 2)))


def line(trips):
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30)
    features = make_column_transformer(("passthrough", COLUMNS[:1]), (one_hot, COLUMNS[1:]))
    return make_pipeline(features, Ridge()).fit(trips[COLUMNS], trips["duration"])


@pytest.mark.parametrize(
    ("trained", "judged", "line_wins"),
    [
        ("2018-01", ["2018-08", "2018-11", "2019-02"], False),  # ordinary months
        ("2019-07", ["2020-05", "2020-06"], True),  # the streets are empty
        ("2019-07", ["2020-10", "2020-12"], False),  # the old model has caught up
    ],
)
def test_fresh_data_beat_a_better_model_only_after_a_break(trained, judged, line_wins):
    half = trips_of(trained, str(pd.Period(trained, "M") + 5))
    with threadpool_limits(1):
        old = HistGradientBoostingRegressor(random_state=0).fit(half[COLUMNS], half["duration"])
        for month in judged:
            valid, last = trips_of(month, month), str(pd.Period(month, "M") - 1)
            assert (miss(line(trips_of(last, last)), valid) < miss(old, valid)) == line_wins, month


def test_the_lesson_says_in_how_many_months():
    before = re.search(r"before 2020-04: the line wins in (\d+) of (\d+) months", output("fresh"))
    after = re.search(r"from 2020-04: the line wins in (\d+) of (\d+) months", output("fresh"))
    assert int(before[1]) == 0 and int(before[2]) == 15
    assert 4 <= int(after[1]) < int(after[2]) == 9


def test_a_retraining_that_no_month_judges_is_not_counted():
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.get("id") == "replay"]
    shown = "\n".join(one.get("data", {}).get("text/plain", "") for one in cell.outputs)
    assert re.search(r"every month +[\d.]+ +11\b", shown)

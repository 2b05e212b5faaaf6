"""Lesson 01a: the bar, the leak and its repairs, and the price of shuffling hold in other months as well."""

import nbformat
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder
from threadpoolctl import threadpool_limits

from course.data import load_trips, months
from course.paths import ROOT

STEM = "01a_pipelines_and_baselines"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
JUDGED = ["2018-05", "2018-10", "2019-02"]  # none of them is a window of the lesson
SIMPLE = ["trip_distance", "hour", "weekday"]
COLUMNS = ["trip_distance", "passenger_count", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def rmse(truth, answers):
    return float(np.sqrt(np.mean((np.asarray(truth) - np.asarray(answers)) ** 2)))


def trips_of(first, last):
    trips = load_trips(months(first, last))
    minutes = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
    clock = trips["pickup_datetime"].dt
    trips = trips.assign(duration=minutes, hour=clock.hour, weekday=clock.dayofweek)
    return trips[trips["duration"].between(1, 60)].reset_index(drop=True)


@pytest.fixture(scope="module")
def windows():
    """For each judged month the three months before it, and the month."""
    found = {}
    for month in JUDGED:
        before = pd.Period(month, "M")
        found[month] = trips_of(str(before - 3), str(before - 1)), trips_of(month, month)
    return found


def test_a_table_of_fifty_means_halves_the_constant_and_a_linear_model_hardly_beats_it(windows):
    for month, (train, valid) in windows.items():
        cuts = np.quantile(train["trip_distance"], np.linspace(0, 1, 51)[1:-1])
        means = train.groupby(np.searchsorted(cuts, train["trip_distance"], "right"))["duration"].mean()
        bar = rmse(valid["duration"], means.loc[np.searchsorted(cuts, valid["trip_distance"], "right")])
        constant = rmse(valid["duration"], train["duration"].mean())
        features = make_column_transformer(
            (SimpleImputer(), COLUMNS[:2]),
            (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30), COLUMNS[2:]),
        )
        linear = make_pipeline(features, LinearRegression()).fit(train, train["duration"])
        pace = (train["duration"] / train["trip_distance"].where(train["trip_distance"] > 0)).median()
        assert bar < 0.62 * constant, month
        assert abs(rmse(valid["duration"], linear.predict(valid)) / bar - 1) < 0.09, month
        assert rmse(valid["duration"], pace * valid["trip_distance"]) > 1.3 * constant, month


def test_averages_before_the_split_promise_what_no_repair_keeps(windows):
    boosting = HistGradientBoostingRegressor(random_state=0)
    for month, (train, valid) in windows.items():
        rows = pd.concat([train, valid], ignore_index=True)
        rows["slot"] = [
            f"{a}-{b}-{hour}"
            for a, b, hour in rows[["pickup_location_id", "dropoff_location_id", "hour"]].to_numpy()
        ]
        rows["slot_mean"] = rows.groupby("slot")["duration"].transform("mean")
        train, valid = rows[: len(train)], rows[len(train) :]
        leaky = LinearRegression().fit(train[[*SIMPLE, "slot_mean"]], train["duration"])
        promised = rmse(valid["duration"], leaky.predict(valid[[*SIMPLE, "slot_mean"]]))
        lookup = train.groupby("slot")["duration"].mean()
        one, other = (
            part[SIMPLE].assign(mean=part["slot"].map(lookup).fillna(train["duration"].mean()))
            for part in (train, valid)
        )
        naive = rmse(valid["duration"], boosting.fit(one, train["duration"]).predict(other))
        plain = rmse(valid["duration"], boosting.fit(train[SIMPLE], train["duration"]).predict(valid[SIMPLE]))
        encoder = TargetEncoder(target_type="continuous", cv=KFold(5, shuffle=True, random_state=0))
        fitted = make_pipeline(
            make_column_transformer(("passthrough", SIMPLE), (encoder, ["slot"])), boosting
        ).fit(train, train["duration"])
        honest = rmse(valid["duration"], fitted.predict(valid))
        assert promised < 0.7 * honest, month
        assert naive > 1.3 * plain, month
        assert abs(honest - plain) < 0.15, month


def test_shuffled_folds_flatter_on_the_same_trips(windows):
    boosting = HistGradientBoostingRegressor(random_state=0)
    for month, (train, valid) in windows.items():
        ahead = boosting.fit(train[COLUMNS], train["duration"]).predict(valid[COLUMNS])
        rows = pd.concat([train, valid], ignore_index=True)
        mixed = cross_val_predict(
            boosting, rows[COLUMNS], rows["duration"], cv=KFold(4, shuffle=True, random_state=0)
        )
        gain = rmse(valid["duration"], ahead) - rmse(valid["duration"], mixed[len(train) :])
        assert 0 < gain < 0.3, month


def test_october_stays_closed():
    code = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code")
    assert "< test_from].copy()" in code
    assert ">= test_from" not in code

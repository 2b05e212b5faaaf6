"""Sitting 09a's claims about the order of columns, on other months than the lesson's."""

import pytest
from xgboost import XGBRegressor

from course.data import load_trips, months, prepare_trips

ZONES = ["pickup_location_id", "dropoff_location_id"]
FEATURES = ["trip_distance", *ZONES, "hour", "weekday"]


def with_clock(first, last):
    trips = prepare_trips(load_trips(months(first, last)))
    trips["hour"], trips["weekday"] = (
        trips["pickup_datetime"].dt.hour,
        trips["pickup_datetime"].dt.dayofweek,
    )
    trips[FEATURES] = trips[FEATURES].astype(float)
    return trips


@pytest.mark.parametrize(
    ("known", "later"), [("2018-04", "2018-05"), ("2018-11", "2018-12"), ("2019-05", "2019-06")]
)
def test_a_wrong_order_is_loud_or_silent_as_the_lesson_says(known, later):
    train, test = with_clock(known, known), with_clock(later, later)
    model = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=100, n_jobs=1)
    model.fit(train[FEATURES].to_numpy(), train["duration"])

    def miss(minutes):
        return float((test["duration"] - minutes).abs().mean())

    def sent(*columns):
        return miss(model.predict(test[list(columns)].to_numpy()))

    right, naive = sent(*FEATURES), miss(train["duration"].median())
    assert sent(*ZONES, "trip_distance", "hour", "weekday") > 2 * naive, "as one says it"
    assert sent(*sorted(FEATURES)) > 2 * naive, "sorted by name"
    assert right < sent("trip_distance", *ZONES, "weekday", "hour") < naive, "weekday before hour"
    assert abs(sent("trip_distance", *reversed(ZONES), "hour", "weekday") - right) < 0.2, "zones swapped"

"""The real trips: which months and columns of 2019 and 2020 alarm against 2018, and how soon April is seen.

A model trained on 2018 sees distance, zones, hour and weekday, and its target is the duration. None of these
alarms before April 2020. The other columns of the file do, and each alarm is a true one:
- 2019-02, passenger_count: 16 % of the trips have no passenger (0.9 % in 2018);
- from 2019-12 on, vendor_id: a slow drift, vendor 2 took 9 % of the trips from vendor 1;
- from 2020-04 on, vendor_id, passenger_count, rate_code_id and payment_type: missing in 6 to 17 % of rows.
"""

import pandas as pd
import pytest

from course.data import load_trips, months, prepare_trips
from walkforward import drift
from walkforward.drift import numeric
from walkforward.drift.measures import Gap

SEEN = ["duration", "trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
OTHER = ["passenger_count", "vendor_id", "rate_code_id", "payment_type", "fare_amount"]
CODES = ["pickup_location_id", "dropoff_location_id", "weekday", "vendor_id", "rate_code_id", "payment_type"]


def trips(first: str, last: str) -> pd.DataFrame:
    found = prepare_trips(load_trips(months(first, last)))
    pickup = found["pickup_datetime"]
    found = found.assign(hour=pickup.dt.hour, weekday=pickup.dt.weekday)
    return found[pickup.dt.strftime("%Y-%m").between(first, last)]


@pytest.fixture(scope="module")
def reference():
    return trips("2018-01", "2018-12")


@pytest.fixture(scope="module")
def alarms(reference):
    # some months are sorted by passengers, and sorted rows look like rows in time
    mixed = (trips(month, month).sample(frac=1, random_state=0) for month in months("2019-01", "2020-12"))
    periods = dict(zip(months("2019-01", "2020-12"), mixed, strict=True))
    history = drift.drift_history(reference, periods, columns=SEEN + OTHER, categorical=CODES)
    return history[history["drift"]]


def of(alarms, columns, first, last):
    part = alarms[alarms["column"].isin(columns) & alarms["period"].between(first, last)]
    return {period: set(rows["column"]) for period, rows in part.groupby("period")}


def test_no_quiet_month_alarms_in_what_the_model_sees(alarms):
    assert of(alarms, SEEN, "2019-01", "2020-03") == {}


def test_every_month_from_april_2020_on_alarms(alarms):
    every = {"duration", "pickup_location_id", "dropoff_location_id", "hour"}
    found = of(alarms, SEEN, "2020-04", "2020-12")
    assert set(found) == set(months("2020-04", "2020-12"))
    assert all(every <= columns for columns in found.values())
    more = {period: columns - every for period, columns in found.items() if columns - every}
    assert more == {
        "2020-04": {"weekday"},
        "2020-05": {"trip_distance"},
        "2020-06": {"trip_distance", "weekday"},
        "2020-07": {"weekday"},
        "2020-12": {"weekday"},
    }


def test_the_alarms_of_the_other_columns_are_true_ones(alarms):
    found = of(alarms, OTHER, "2019-01", "2020-03")
    slow = dict.fromkeys(("2019-12", "2020-01", "2020-02", "2020-03"), {"vendor_id"})
    assert found == {"2019-02": {"passenger_count"}} | slow
    february = alarms[(alarms["period"] == "2019-02")].iloc[0]
    assert "of the current values are at most 0" in february["reason"]
    april = alarms[(alarms["period"] == "2020-04") & alarms["column"].isin(OTHER[:4])]
    assert set(april["test"]) == {"missing share (Fisher)"}
    assert april["effect"].between(0.07, 0.09).all()


def by_week(reference, first, last):
    """The columns that alarm, week by week (Mondays): what the model sees, without the weekday."""
    found = trips(first, last)
    week = found["pickup_datetime"].dt.to_period("W-SUN").dt.start_time
    columns = [column for column in SEEN if column != "weekday"]
    weeks = {f"{start:%Y-%m-%d}": rows for start, rows in found.groupby(week) if first <= f"{start:%Y-%m}"}
    history = drift.drift_history(reference, weeks, columns=columns, categorical=CODES)
    return weeks, {
        period: set(rows["column"]) for period, rows in history[history["drift"]].groupby("period")
    }


def test_april_2020_is_seen_within_one_week(reference):
    weeks, found = by_week(reference, "2020-02", "2020-04")
    assert list(weeks)[:5] == ["2020-02-03", "2020-02-10", "2020-02-17", "2020-02-24", "2020-03-02"]
    # the schools close in the week of 9 March, the city in that of 16 March; 243 trips are enough
    assert list(found) == [week for week in weeks if week >= "2020-03-09"]
    assert found["2020-03-09"] == {"pickup_location_id"}
    assert all(
        found[week] >= {"duration", "hour", "pickup_location_id"} for week in weeks if week > "2020-03-09"
    )
    assert min(map(len, weeks.values())) == 243


def test_two_of_52_quiet_weeks_alarm(reference):
    weeks, found = by_week(reference, "2019-01", "2019-12")
    assert len(weeks) == 52
    assert found == {"2019-01-14": {"duration"}, "2019-12-23": {"hour"}}


def test_a_broken_meter_is_seen_by_the_schema(reference):
    month = trips("2019-01", "2019-01")
    quiet = drift.schema_report(reference, month)
    assert "unit" not in set(quiet["change"])
    assert "unit" not in set(drift.schema_report(reference, trips("2020-04", "2020-04"))["change"])
    kilometres = month.assign(trip_distance=month["trip_distance"] * 1.609344)
    found = drift.schema_report(reference, kilometres)
    assert found[found["change"] == "unit"]["column"].tolist() == ["trip_distance"]


def test_a_detector_that_says_no_is_found_out(reference, monkeypatch):
    monkeypatch.setattr(numeric, "merged", lambda r, c: Gap(0.0, 0.0, 0.0, 0.0, 1.0))
    monkeypatch.setattr(numeric, "_tails", lambda *columns: [])
    report = drift.drift_report(reference, trips("2020-04", "2020-04"), ["duration", "hour"])
    assert not report["drift"].any()

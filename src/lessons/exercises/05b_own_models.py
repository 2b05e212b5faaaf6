"""Exercises of lesson 05b: a predict that prepares, and a signature that lasts."""

import json

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, validate_schema
from mlflow.types import DataType
from mlflow.types.schema import ColSpec, Schema

from course.exercise import also_right, checks, right, wrong

_WANTED = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


def context():
    """Nothing of the notebook is needed: the value exercise takes no names."""
    return {}


# --- predict_raw ------------------------------------------------------------------------------------------------------


@right
def predict_raw(trees, trips):
    """Return the minutes of raw trips: what a model that carries its preparation does inside `predict`.

    `trips` has the columns pickup_datetime, pickup_location_id, dropoff_location_id and trip_distance in any
    order, and others. `trees.predict(features)` returns an array; it wants a table of floats with the columns
    trip_distance, pickup_location_id, dropoff_location_id, hour, weekday (Monday is 0), in this order.
    Return a Series with the index of `trips`, between 1 and 60 minutes, rounded to one decimal. The table
    that you are given stays as it was.
    """
    features = trips[["trip_distance", "pickup_location_id", "dropoff_location_id"]].astype(float)
    features["hour"] = trips["pickup_datetime"].dt.hour.astype(float)
    features["weekday"] = trips["pickup_datetime"].dt.dayofweek.astype(float)
    minutes = trees.predict(features)
    return pd.Series(minutes, index=trips.index).clip(1, 60).round(1)


class _Trees:
    """Stands in for the model: keeps the table it is given, and answers 20 minutes a mile."""

    seen = None

    def predict(self, features):
        self.seen = features
        miles = features["trip_distance"] if "trip_distance" in features else np.ones(len(features))
        return np.asarray(miles, dtype=float) * 20


def _raw():
    """Four trips, their columns in no good order, with an index of their own."""
    return pd.DataFrame(
        {
            "fare_amount": [7.5, 9.0, 52.0, 3.0],
            "dropoff_location_id": [237, 236, 132, 4],
            "trip_distance": [1.2345, 2.0, 17.5, 0.01],
            "pickup_datetime": pd.to_datetime(
                ["2019-10-07 00:05", "2019-10-08 09:30", "2019-10-12 17:15", "2019-10-13 23:59"]
            ),
            "pickup_location_id": [161, 43, 230, 4],
        },
        index=[7, 3, 11, 5],
    )


def _asked(answer):
    """Return what came back and the table that the trees were given; it is a table, that is asserted."""
    trees = _Trees()
    minutes = answer(trees, _raw())
    assert trees.seen is not None, "`trees.predict` was never called"
    assert isinstance(trees.seen, pd.DataFrame), (
        f"the trees were given a {type(trees.seen).__name__} without column names; give them a DataFrame"
    )
    return minutes, trees.seen


@checks(predict_raw)
def trees_get_their_columns_in_order(answer):
    """Which columns does the model know, and in which order? The table you get has others, in its own order."""
    _, seen = _asked(answer)
    assert list(seen.columns) == _WANTED, f"the trees were given {list(seen.columns)}; they want {_WANTED}"


@checks(predict_raw)
def clock_becomes_hour_and_weekday(answer):
    """From which number does the model count weekdays? pandas has two ways of counting them."""
    _, seen = _asked(answer)
    for column, wanted in {"hour": [0, 9, 17, 23], "weekday": [0, 1, 5, 6]}.items():
        given = [round(float(value)) for value in seen[column]]
        assert given == wanted, f"for a Monday, Tuesday, Saturday and Sunday, {column} was {given}: {wanted}"


@checks(predict_raw)
def all_columns_are_floats(answer):
    """What becomes of an integer column when one value is missing? Give the trees a type that stays."""
    _, seen = _asked(answer)
    others = [name for name in seen if not pd.api.types.is_float_dtype(seen[name])]
    assert not others, f"these columns are no floats: {others}"


@checks(predict_raw)
def answers_as_a_series_with_the_index(answer):
    """To which trip does each number belong? An array has lost that, and so has a trip that you dropped."""
    minutes, _ = _asked(answer)
    assert isinstance(minutes, pd.Series), f"you returned a {type(minutes).__name__}, not a Series"
    assert list(minutes.index) == [7, 3, 11, 5], (
        f"your index is {list(minutes.index)}, the trips' [7, 3, 11, 5]"
    )
    gaps = _raw().astype({"fare_amount": float})
    gaps.loc[3, "fare_amount"] = np.nan
    gaps.loc[11, "trip_distance"] = np.nan
    minutes = answer(_Trees(), gaps)
    assert list(minutes.index) == [7, 3, 11, 5], (
        f"one fare and one distance are missing: your index is {list(minutes.index)}, the trips' [7, 3, 11, 5]"
    )


@checks(predict_raw)
def minutes_are_clipped_and_rounded(answer):
    """What can a passenger do with 350 minutes, or with 24.6900? Limits and rounding come after the trees."""
    minutes, _ = _asked(answer)
    given = [round(float(value), 6) for value in minutes]
    assert given == [24.7, 40.0, 60.0, 1.0], (
        f"where the trees say 24.69, 40, 350 and 0.2 minutes you return {given}; [24.7, 40.0, 60.0, 1.0] is asked for"
    )


@checks(predict_raw)
def given_table_stays_as_it_was(answer):
    """Does your function write into the table that the caller gave it? Work on a table of your own."""
    trips = _raw()
    answer(_Trees(), trips)
    assert trips.equals(_raw()), (
        f"after your function the caller's table has the columns {list(trips.columns)}"
    )


@also_right(predict_raw)
def by_assign_and_reindex(trees, trips):
    clock = trips["pickup_datetime"].dt
    features = trips.assign(hour=clock.hour, weekday=clock.weekday).reindex(columns=_WANTED).astype("float64")
    minutes = np.round(np.clip(trees.predict(features), 1, 60), 1)
    return pd.Series(minutes, trips.index)


@also_right(predict_raw)
def row_by_row(trees, trips):
    rows = [
        (
            t.trip_distance,
            t.pickup_location_id,
            t.dropoff_location_id,
            t.pickup_datetime.hour,
            t.pickup_datetime.weekday(),
        )
        for t in trips.itertuples()
    ]
    features = pd.DataFrame(rows, columns=_WANTED, dtype=float)
    minutes = [round(min(max(float(raw), 1.0), 60.0), 1) for raw in trees.predict(features)]
    return pd.Series(minutes, index=trips.index)


@wrong(predict_raw, caught_by=trees_get_their_columns_in_order)
def takes_the_columns_in_the_tables_order(trees, trips):
    ready = trips.assign(
        hour=trips["pickup_datetime"].dt.hour * 1.0, weekday=trips["pickup_datetime"].dt.dayofweek * 1.0
    )
    features = ready[[name for name in ready.columns if name in _WANTED]].astype(float)
    return pd.Series(trees.predict(features), index=trips.index).clip(1, 60).round(1)


@wrong(predict_raw, caught_by=trees_get_their_columns_in_order)
def gives_an_array(trees, trips):
    features = trips[["trip_distance", "pickup_location_id", "dropoff_location_id"]].to_numpy(float)
    return pd.Series(trees.predict(features), index=trips.index)


@wrong(predict_raw, caught_by=clock_becomes_hour_and_weekday)
def counts_days_from_one(trees, trips):
    features = trips[_WANTED[:3]].astype(float)
    features["hour"] = trips["pickup_datetime"].dt.hour.astype(float)
    features["weekday"] = trips["pickup_datetime"].dt.isocalendar().day.astype(float)
    return pd.Series(trees.predict(features), index=trips.index).clip(1, 60).round(1)


@wrong(predict_raw, caught_by=all_columns_are_floats)
def leaves_the_types(trees, trips):
    clock = trips["pickup_datetime"].dt
    features = trips[_WANTED[:3]].assign(hour=clock.hour, weekday=clock.dayofweek)
    return pd.Series(trees.predict(features), index=trips.index).clip(1, 60).round(1)


@wrong(predict_raw, caught_by=answers_as_a_series_with_the_index)
def returns_the_array(trees, trips):
    clock = trips["pickup_datetime"].dt
    features = trips[_WANTED[:3]].assign(hour=clock.hour, weekday=clock.dayofweek).astype(float)
    return np.clip(trees.predict(features), 1, 60).round(1)


@wrong(predict_raw, caught_by=answers_as_a_series_with_the_index)
def numbers_the_rows_anew(trees, trips):
    clock = trips["pickup_datetime"].dt
    features = trips[_WANTED[:3]].assign(hour=clock.hour, weekday=clock.dayofweek).astype(float)
    return pd.Series(trees.predict(features)).clip(1, 60).round(1)


@wrong(predict_raw, caught_by=answers_as_a_series_with_the_index)
def drops_trips_with_a_gap(trees, trips):
    trips = trips.dropna()
    clock = trips["pickup_datetime"].dt
    features = trips[_WANTED[:3]].assign(hour=clock.hour, weekday=clock.dayofweek).astype(float)
    return pd.Series(trees.predict(features), index=trips.index).clip(1, 60).round(1)


@wrong(predict_raw, caught_by=minutes_are_clipped_and_rounded)
def forgets_the_limits(trees, trips):
    clock = trips["pickup_datetime"].dt
    features = trips[_WANTED[:3]].assign(hour=clock.hour, weekday=clock.dayofweek).astype(float)
    return pd.Series(trees.predict(features), index=trips.index).round(1)


@wrong(predict_raw, caught_by=minutes_are_clipped_and_rounded)
def rounds_to_whole_minutes(trees, trips):
    clock = trips["pickup_datetime"].dt
    features = trips[_WANTED[:3]].assign(hour=clock.hour, weekday=clock.dayofweek).astype(float)
    return pd.Series(trees.predict(features), index=trips.index).clip(1, 60).round()


@wrong(predict_raw, caught_by=given_table_stays_as_it_was)
def writes_into_the_callers_table(trees, trips):
    trips["hour"] = trips["pickup_datetime"].dt.hour
    trips["weekday"] = trips["pickup_datetime"].dt.dayofweek
    return pd.Series(trees.predict(trips[_WANTED].astype(float)), index=trips.index).clip(1, 60).round(1)


# --- lasting_signature ----------------------------------------------------------------------------------------------


@right(value=True)
def lasting_signature():
    """Bind `lasting_signature` to a `ModelSignature` for trips that come with gaps.

    The inputs: pickup_datetime, a date; pickup_location_id, dropoff_location_id and passenger_count, numbers
    that arrive as int32 from a batch without gaps and as float64 from one with missing values. The column
    passenger_count may be absent altogether, the other three may not.
    """
    columns = [
        ColSpec("datetime", "pickup_datetime"),
        ColSpec("double", "pickup_location_id"),
        ColSpec("double", "dropoff_location_id"),
        ColSpec("double", "passenger_count", required=False),
    ]
    signature = ModelSignature(inputs=Schema(columns))
    return signature


def _batch():
    """Two trips without a gap; the numbers are int32."""
    numbers = {"pickup_location_id": [161, 43], "dropoff_location_id": [237, 236], "passenger_count": [1, 2]}
    clock = pd.to_datetime(["2019-10-07 08:05", "2019-10-08 09:30"])
    trips = pd.DataFrame(numbers, dtype="int32")
    trips.insert(0, "pickup_datetime", clock)
    return trips


def _refusal(signature, batch):
    """Return MLflow's reason to refuse the batch, None if it takes it."""
    try:
        validate_schema(batch, signature.inputs)
    except MlflowException as refusal:
        return str(refusal).split(" Hint")[0]
    return None


@checks(lasting_signature)
def is_a_signature_of_inputs(answer):
    """What are the three layers, from a column to a signature? The lesson built one from `ColSpec`, `Schema` and `ModelSignature`."""
    assert isinstance(answer, ModelSignature), (
        f"lasting_signature is a {type(answer).__name__}, not a ModelSignature"
    )
    assert isinstance(answer.inputs, Schema), "the signature has no inputs: ModelSignature(inputs=…)"


@checks(lasting_signature)
def takes_complete_trips(answer):
    """Which type does a date have in a signature, and which a number that may arrive as float? Names as in the task."""
    reason = _refusal(answer, _batch())
    assert reason is None, f"two complete trips are refused: {reason}"


@checks(lasting_signature)
def takes_missing_values(answer):
    """Of which type is a column of integers in pandas, once one value is missing?"""
    for column in _batch().columns[1:]:
        reason = _refusal(answer, _batch().assign(**{column: [np.nan, 43.0]}))
        assert reason is None, f"a missing {column} is refused: {reason}"


@checks(lasting_signature)
def passengers_may_be_absent(answer):
    """What tells a column that may be empty from one that may be absent? Look at the arguments of `ColSpec`."""
    reason = _refusal(answer, _batch().drop(columns="passenger_count"))
    assert reason is None, f"trips without the column passenger_count are refused: {reason}"


@checks(lasting_signature)
def still_refuses_what_breaks_the_model(answer):
    """Which batches should still be refused? A signature that takes everything protects nothing."""
    for column in _batch().columns[:3]:
        assert _refusal(answer, _batch().drop(columns=column)), f"trips without {column} are taken"
    for column in _batch().columns[1:]:
        text = _batch().assign(**{column: ["a", "b"]})
        assert _refusal(answer, text), f"texts in {column} are taken"


def _columns(number="double", passengers=False, others=True):
    names = ["pickup_location_id", "dropoff_location_id"]
    return [
        ColSpec("datetime", "pickup_datetime", required=others),
        *(ColSpec(number, name, required=others) for name in names),
        ColSpec(number, "passenger_count", required=passengers),
    ]


@also_right(lasting_signature)
def from_a_dict():
    columns = [{"type": "datetime", "name": "pickup_datetime", "required": True}]
    columns += [
        {"type": "double", "name": name, "required": name != "passenger_count"}
        for name in ("pickup_location_id", "dropoff_location_id", "passenger_count")
    ]
    return ModelSignature.from_dict({"inputs": json.dumps(columns)})


@also_right(lasting_signature)
def with_data_types():
    zones = [ColSpec(DataType.double, f"{end}_location_id") for end in ("pickup", "dropoff")]
    clock = ColSpec(DataType.datetime, "pickup_datetime", required=True)
    return ModelSignature(
        Schema([clock, *zones, ColSpec(DataType.double, "passenger_count", required=False)])
    )


@wrong(lasting_signature, caught_by=is_a_signature_of_inputs)
def stops_at_the_schema():
    return Schema(_columns())


@wrong(lasting_signature, caught_by=is_a_signature_of_inputs)
def describes_the_outputs():
    return ModelSignature(outputs=Schema(_columns()))


@wrong(lasting_signature, caught_by=takes_missing_values)
def keeps_zones_as_integers():
    return ModelSignature(inputs=Schema(_columns("long")))


@wrong(lasting_signature, caught_by=takes_complete_trips)
def takes_the_date_for_a_text():
    return ModelSignature(inputs=Schema([ColSpec("string", "pickup_datetime"), *_columns()[1:]]))


@wrong(lasting_signature, caught_by=passengers_may_be_absent)
def requires_the_passengers():
    return ModelSignature(inputs=Schema(_columns(passengers=True)))


@wrong(lasting_signature, caught_by=still_refuses_what_breaks_the_model)
def makes_everything_optional():
    return ModelSignature(inputs=Schema(_columns(others=False)))


@wrong(lasting_signature, caught_by=still_refuses_what_breaks_the_model)
def leaves_the_passengers_out():
    return ModelSignature(inputs=Schema(_columns()[:3]))

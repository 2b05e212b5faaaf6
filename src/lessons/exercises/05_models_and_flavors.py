"""Exercises of lesson 05: a predict that prepares, a signature that lasts, a metric of one's own, an MLmodel read."""

import json

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, validate_schema
from mlflow.types.schema import ColSpec, Schema

from course.exercise import checks, right, wrong

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
    """Choose columns by name, in the order the model knows: `trips[["trip_distance", …]]`, then add hour and weekday."""
    _, seen = _asked(answer)
    assert list(seen.columns) == _WANTED, f"the trees were given {list(seen.columns)}; they want {_WANTED}"


@checks(predict_raw)
def clock_becomes_hour_and_weekday(answer):
    """`trips["pickup_datetime"].dt.hour` and `.dt.dayofweek`, which counts from Monday, 0."""
    _, seen = _asked(answer)
    for column, wanted in {"hour": [0, 9, 17, 23], "weekday": [0, 1, 5, 6]}.items():
        given = [round(float(value)) for value in seen[column]]
        assert given == wanted, f"for a Monday, Tuesday, Saturday and Sunday, {column} was {given}: {wanted}"


@checks(predict_raw)
def all_columns_are_floats(answer):
    """`.astype(float)`: integers can't hold a missing value, and the first one would change their type."""
    _, seen = _asked(answer)
    others = [name for name in seen if not pd.api.types.is_float_dtype(seen[name])]
    assert not others, f"these columns are no floats: {others}"


@checks(predict_raw)
def answers_as_a_series_with_the_index(answer):
    """`pd.Series(minutes, index=trips.index)`: an array has lost which trip each number belongs to."""
    minutes, _ = _asked(answer)
    assert isinstance(minutes, pd.Series), f"you returned a {type(minutes).__name__}, not a Series"
    assert list(minutes.index) == [7, 3, 11, 5], (
        f"your index is {list(minutes.index)}, the trips' [7, 3, 11, 5]"
    )


@checks(predict_raw)
def minutes_are_clipped_and_rounded(answer):
    """`.clip(1, 60).round(1)`, after the trees and not before."""
    minutes, _ = _asked(answer)
    given = [round(float(value), 6) for value in minutes]
    assert given == [24.7, 40.0, 60.0, 1.0], (
        f"where the trees say 24.69, 40, 350 and 0.2 minutes you return {given}; [24.7, 40.0, 60.0, 1.0] is asked for"
    )


@checks(predict_raw)
def given_table_stays_as_it_was(answer):
    """`trips[[…]].astype(float)` makes a new table; assigning to `trips` itself writes into the caller's."""
    trips = _raw()
    answer(_Trees(), trips)
    assert trips.equals(_raw()), (
        f"after your function the caller's table has the columns {list(trips.columns)}"
    )


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


# --- lasting_signature: a signature is the answer ---------------------------------------------------------------------


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
    """`ModelSignature(inputs=Schema([ColSpec("double", "name"), …]))`: columns, in a schema, in a signature."""
    assert isinstance(answer, ModelSignature), (
        f"lasting_signature is a {type(answer).__name__}, not a ModelSignature"
    )
    assert isinstance(answer.inputs, Schema), "the signature has no inputs: ModelSignature(inputs=…)"


@checks(lasting_signature)
def takes_complete_trips(answer):
    """A date is a "datetime", a number that arrives as float a "double". Names as in the task."""
    reason = _refusal(answer, _batch())
    assert reason is None, f"two complete trips are refused: {reason}"


@checks(lasting_signature)
def takes_missing_values(answer):
    """A column with a gap is a float column in pandas; only "double" (or "float", if it came as float32) takes it."""
    for column in _batch().columns[1:]:
        reason = _refusal(answer, _batch().assign(**{column: [np.nan, 43.0]}))
        assert reason is None, f"a missing {column} is refused: {reason}"


@checks(lasting_signature)
def passengers_may_be_absent(answer):
    """`ColSpec(type, name, required=False)` makes a column optional."""
    reason = _refusal(answer, _batch().drop(columns="passenger_count"))
    assert reason is None, f"trips without the column passenger_count are refused: {reason}"


@checks(lasting_signature)
def still_refuses_what_breaks_the_model(answer):
    """A signature that takes everything protects nothing: all four columns stand in it, three of them required."""
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


# --- close_enough: a metric -------------------------------------------------------------------------------------------


@right
def close_enough(eval_df, builtin_metrics):
    """Return the share of trips, 0 to 1, whose prediction a passenger would call right: a metric for `make_metric`.

    Right means: off by at most 5 minutes, or by at most a fifth of what the trip really took. `eval_df` has
    the columns `prediction` and `target`, in minutes. `builtin_metrics` is not needed.
    """
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    right = (off <= 5) | (off <= eval_df["target"] / 5)
    return float(right.mean())


def _share(answer, *pairs):
    """Return the metric of these pairs of prediction and target; that it is a number is asserted."""
    share = answer(pd.DataFrame(pairs, columns=["prediction", "target"], dtype=float), {})
    assert isinstance(share, (float, int)) and not isinstance(share, bool), (
        f"you returned a {type(share).__name__}; `make_metric` wants one number, for instance float(…)"
    )
    return float(share)


@checks(close_enough)
def returns_a_share(answer):
    """The mean of a column of True and False is the share of True; `float(…)` makes a plain number of it."""
    share = _share(answer, (10, 10), (10, 10), (10, 10), (30, 10))
    assert share == 0.75, f"three of four trips are predicted exactly, the fourth is 20 minutes off: {share}"


@checks(close_enough)
def early_counts_like_late(answer):
    """Take the absolute value of the difference first: `.abs()`."""
    for wrong_by in (-20, 20):
        share = _share(answer, (30 + wrong_by, 30))
        assert share == 0, f"30 minutes predicted as {30 + wrong_by} count as right"


@checks(close_enough)
def five_minutes_are_enough(answer):
    """For short trips the first rule decides. *At most* 5 minutes includes 5."""
    for prediction in (5, 15, 12.5):
        share = _share(answer, (prediction, 10))
        assert share == 1, f"10 minutes predicted as {prediction} do not count as right"


@checks(close_enough)
def a_fifth_of_a_long_trip_is_enough(answer):
    """For long trips the second rule decides: `|`, an *or* for each row, joins the two. The fifth is the target's."""
    for prediction, target in ((40, 50), (60, 50), (49, 59)):
        share = _share(answer, (prediction, target))
        assert share == 1, f"{target} minutes predicted as {prediction} do not count as right"
    share = _share(answer, (51, 42), (39, 32))
    assert share == 0, "42 minutes predicted as 51, or 32 as 39, count as right: the fifth is of the target"


@wrong(close_enough, caught_by=returns_a_share)
def returns_a_column(eval_df, builtin_metrics):
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    return (off <= 5) | (off <= eval_df["target"] / 5)


@wrong(close_enough, caught_by=returns_a_share)
def counts_the_trips(eval_df, builtin_metrics):
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    return float(((off <= 5) | (off <= eval_df["target"] / 5)).sum())


@wrong(close_enough, caught_by=early_counts_like_late)
def forgets_the_sign(eval_df, builtin_metrics):
    off = eval_df["prediction"] - eval_df["target"]
    return float(((off <= 5) | (off <= eval_df["target"] / 5)).mean())


@wrong(close_enough, caught_by=five_minutes_are_enough)
def wants_less_than_five(eval_df, builtin_metrics):
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    return float(((off < 5) | (off < eval_df["target"] / 5)).mean())


@wrong(close_enough, caught_by=five_minutes_are_enough)
def wants_both_rules(eval_df, builtin_metrics):
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    return float(((off <= 5) & (off <= eval_df["target"] / 5)).mean())


@wrong(close_enough, caught_by=a_fifth_of_a_long_trip_is_enough)
def knows_the_first_rule_only(eval_df, builtin_metrics):
    return float(((eval_df["prediction"] - eval_df["target"]).abs() <= 5).mean())


@wrong(close_enough, caught_by=a_fifth_of_a_long_trip_is_enough)
def takes_a_fifth_of_the_prediction(eval_df, builtin_metrics):
    off = (eval_df["prediction"] - eval_df["target"]).abs()
    return float(((off <= 5) | (off <= eval_df["prediction"] / 5)).mean())


# --- read_mlmodel -----------------------------------------------------------------------------------------------------


@right
def read_mlmodel(mlmodel):
    """Answer three questions about a model from its MLmodel file alone.

    `mlmodel` is the file as a dict. Return a dict: "native", the names of its flavors other than
    python_function, sorted; "loader", the module that `mlflow.pyfunc.load_model` hands the work to;
    "required", the names of the input columns that must be there, in their order. A model without a
    signature requires nothing.
    """
    flavors = mlmodel["flavors"]
    signature = mlmodel.get("signature") or {}
    columns = json.loads(signature.get("inputs") or "[]")
    return {
        "native": sorted(name for name in flavors if name != "python_function"),
        "loader": flavors["python_function"]["loader_module"],
        "required": [column["name"] for column in columns if column["required"]],
    }


def _mlmodel(kind):
    """Return the content of an MLmodel file as `yaml.safe_load` reads it."""
    columns = [
        {"type": "double", "name": "trip_distance", "required": True},
        {"type": "double", "name": "hour", "required": True},
        {"type": "double", "name": "passenger_count", "required": False},
    ]
    native = {
        "xgboost": {"xgboost": {"data": "model.ubj", "loader_module": "xgboost.core"}},
        "onnx": {"onnx": {"data": "model.onnx"}, "alternative": {"data": "model.bin"}},
        "custom": {},
    }[kind]
    loader = "mlflow.pyfunc.loaders.code_model" if kind == "custom" else f"mlflow.{kind}"
    python_function = {"python_function": {"loader_module": loader, "python_version": "3.11"}}
    signature = {"inputs": json.dumps(columns), "outputs": '[{"type": "double", "required": true}]'}
    return {
        "flavors": {**native, **python_function},
        **({} if kind == "onnx" else {"signature": signature}),
    }


def _read(answer, kind, key):
    found = answer(_mlmodel(kind))
    assert isinstance(found, dict), f"you returned a {type(found).__name__}, not a dict"
    assert set(found) == {"native", "loader", "required"}, (
        f"the keys of your dict are {sorted(map(str, found))}"
    )
    return found[key]


@checks(read_mlmodel)
def names_the_native_flavors(answer):
    """The keys of `mlmodel["flavors"]`, without `python_function`, as a sorted list; it may be empty."""
    for kind, wanted in {"xgboost": ["xgboost"], "custom": []}.items():
        found = _read(answer, kind, "native")
        assert found == wanted, (
            f"the native flavors of a model of the kind {kind} are {wanted}, you say {found}"
        )


@checks(read_mlmodel)
def names_the_loader_of_pyfunc(answer):
    """`mlmodel["flavors"]["python_function"]["loader_module"]`: pyfunc's own entry says who loads the model."""
    for kind in ("xgboost", "custom"):
        wanted = _mlmodel(kind)["flavors"]["python_function"]["loader_module"]
        found = _read(answer, kind, "loader")
        assert found == wanted, f"pyfunc has a model of the kind {kind} loaded by {wanted}, you say {found}"


@checks(read_mlmodel)
def lists_the_required_columns(answer):
    """The signature's inputs are JSON inside YAML, so a text: `json.loads` it. Leave out what has required false."""
    found = _read(answer, "xgboost", "required")
    assert found == ["trip_distance", "hour"], f"trip_distance and hour are required, you say {found}"


@checks(read_mlmodel)
def reads_a_model_without_a_signature(answer):
    """The key `signature` is absent then: `mlmodel.get("signature")` gives None instead of raising."""
    found = _read(answer, "onnx", "required")
    assert found == [], f"without a signature nothing is required, you say {found}"
    native = _read(answer, "onnx", "native")
    assert native == ["alternative", "onnx"], f"its native flavors are alternative and onnx, you say {native}"


@wrong(read_mlmodel, caught_by=names_the_native_flavors)
def counts_pyfunc_among_them(mlmodel):
    columns = json.loads(mlmodel["signature"]["inputs"])
    return {
        "native": sorted(mlmodel["flavors"]),
        "loader": mlmodel["flavors"]["python_function"]["loader_module"],
        "required": [column["name"] for column in columns if column["required"]],
    }


@wrong(read_mlmodel, caught_by=names_the_native_flavors)
def takes_the_first_flavor(mlmodel):
    return {"native": next(iter(mlmodel["flavors"])), "loader": "mlflow.xgboost", "required": []}


@wrong(read_mlmodel, caught_by=names_the_loader_of_pyfunc)
def guesses_the_loader_from_the_flavor(mlmodel):
    native = sorted(name for name in mlmodel["flavors"] if name != "python_function")
    return {"native": native, "loader": f"mlflow.{(native or ['sklearn'])[0]}", "required": []}


@wrong(read_mlmodel, caught_by=lists_the_required_columns)
def lists_all_columns(mlmodel):
    flavors = mlmodel["flavors"]
    return {
        "native": sorted(set(flavors) - {"python_function"}),
        "loader": flavors["python_function"]["loader_module"],
        "required": [column["name"] for column in json.loads(mlmodel["signature"]["inputs"])],
    }


@wrong(read_mlmodel, caught_by=lists_the_required_columns)
def takes_the_text_for_a_list(mlmodel):
    flavors = mlmodel["flavors"]
    return {
        "native": sorted(set(flavors) - {"python_function"}),
        "loader": flavors["python_function"]["loader_module"],
        "required": list(mlmodel["signature"]["inputs"]),
    }


@wrong(read_mlmodel, caught_by=reads_a_model_without_a_signature)
def relies_on_a_signature(mlmodel):
    flavors = mlmodel["flavors"]
    columns = json.loads(mlmodel["signature"]["inputs"])
    return {
        "native": sorted(set(flavors) - {"python_function"}),
        "loader": flavors["python_function"]["loader_module"],
        "required": [column["name"] for column in columns if column["required"]],
    }

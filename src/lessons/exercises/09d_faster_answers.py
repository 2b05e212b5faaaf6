"""Exercises of sitting 09d: rows in the order of their names, and how many replicas."""

import json
from fractions import Fraction
from math import ceil

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- rows_by_name -----------------------------------------------------------------------------------------------------


@right
def rows_by_name(body, features):
    """Read a request fast, and keep what the DataFrame promised: return its rows as an array of floats, (n, k).

    `body` is the bytes of a JSON object with the field `dataframe_split`: its `columns` are names, its `data` rows in
    that order. `features` are the k names of the model, in its order. Use no DataFrame.

    - The array has the model's columns in the model's order. Columns that the model does not know are left out.
    - `null` becomes NaN.
    - A column that is missing, or a word for a number, raises `ValueError`; for a missing column its name is in the
      message. The server makes a 400 of it.
    """
    table = json.loads(body)["dataframe_split"]
    place = {name: i for i, name in enumerate(table["columns"])}
    for name in features:
        if name not in place:
            raise ValueError(f"no column {name}")
    order = [place[name] for name in features]
    return np.array([[row[i] for i in order] for row in table["data"]], dtype=float)


FEATURES = ["miles", "from", "to"]


def _body(columns, *data):
    return json.dumps({"dataframe_split": {"columns": columns, "data": list(data)}}).encode()


def _rows(answer, body, wanted, what):
    found = answer(body, list(FEATURES))
    assert isinstance(found, np.ndarray), f"you returned a {type(found).__name__}, an array is asked for"
    wanted = np.array(wanted, float)
    assert found.shape == wanted.shape, f"{what}: your array has the shape {found.shape}, not {wanted.shape}"
    assert found.dtype.kind == "f", f"{what}: your array holds {found.dtype}, floats are asked for"
    assert np.array_equal(found, wanted, equal_nan=True), (
        f"{what}: you return {found.tolist()}, it should be {wanted.tolist()}"
    )


@checks(rows_by_name)
def gives_the_rows_of_a_plain_request(answer):
    """What is in the body? Bytes of JSON, with the rows under `dataframe_split`, `data`. Return them as floats."""
    _rows(
        answer,
        _body(FEATURES, [1.5, 161, 237], [2, 7, 9]),
        [[1.5, 161, 237], [2, 7, 9]],
        "the model's own order",
    )


@checks(rows_by_name)
def the_names_decide(answer):
    """Where does each of the model's columns stand in this request? Its names tell."""
    _rows(answer, _body(["to", "miles", "from"], [237, 1.5, 161]), [[1.5, 161, 237]], "another order")


@checks(rows_by_name)
def others_are_left_out(answer):
    """What becomes of a column that the model does not know? MLflow leaves it out, and so do you."""
    body = _body(["colour", "to", "from", "miles"], ["red", 237, 161, 1.5], ["blue", 9, 7, 2])
    _rows(answer, body, [[1.5, 161, 237], [2, 7, 9]], "a column too many")


@checks(rows_by_name)
def null_is_nan(answer):
    """What is None as a float? NumPy knows, when you ask for floats."""
    _rows(answer, _body(FEATURES, [None, 161, 237]), [[np.nan, 161, 237]], "a null")


def _refused(answer, body, what):
    try:
        found = answer(body, list(FEATURES))
    except ValueError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(
            f"{what}: you raise {type(error).__name__}, the server makes a 400 only of a ValueError"
        ) from None
    raise AssertionError(f"{what}: you return {np.asarray(found).tolist()}, it should raise ValueError")


@checks(rows_by_name)
def a_missing_column_is_refused(answer):
    """What would the model do with a column that is not there? It must never be asked: name the column and raise."""
    said = _refused(answer, _body(["miles", "to"], [1.5, 237]), "the column 'from' is missing")
    assert "from" in said, f"the message is {said!r}; the client needs the name of the missing column, 'from'"


@checks(rows_by_name)
def a_word_is_refused(answer):
    """Which number is "far"? None: an array of floats can't hold it, and says so."""
    _refused(answer, _body(FEATURES, ["far", 161, 237]), "'far' for miles")


@also_right(rows_by_name)
def indexes_the_array(body, features):
    table = json.loads(body)["dataframe_split"]
    missing = set(features) - set(table["columns"])
    if missing:
        raise ValueError(f"columns are missing: {sorted(missing)}")
    cells = np.array(table["data"], dtype=object)[:, [table["columns"].index(name) for name in features]]
    return cells.astype(float)


@also_right(rows_by_name)
def turns_columns(body, features):
    table = json.loads(body)["dataframe_split"]
    columns = dict(zip(table["columns"], zip(*table["data"], strict=True), strict=True))
    try:
        return np.column_stack([np.array(columns[name], dtype=float) for name in features])
    except KeyError as error:
        raise ValueError(f"no column {error}") from None


@wrong(rows_by_name, caught_by=gives_the_rows_of_a_plain_request)
def returns_a_frame(body, features):
    table = json.loads(body)["dataframe_split"]
    return pd.DataFrame(table["data"], columns=table["columns"])[features]


@wrong(rows_by_name, caught_by=the_names_decide)
def believes_the_order(body, features):
    return np.array(json.loads(body)["dataframe_split"]["data"], dtype=float)


@wrong(rows_by_name, caught_by=the_names_decide)
def orders_the_other_way_round(body, features):
    table = json.loads(body)["dataframe_split"]
    order = [features.index(name) for name in table["columns"] if name in features]
    return np.array([[row[i] for i in order] for row in table["data"]], dtype=float)


@wrong(rows_by_name, caught_by=others_are_left_out)
def turns_everything_into_floats_first(body, features):
    table = json.loads(body)["dataframe_split"]
    order = [table["columns"].index(name) for name in features]
    return np.array(table["data"], dtype=float)[:, order]


@wrong(rows_by_name, caught_by=null_is_nan)
def fills_with_zero(body, features):
    table = json.loads(body)["dataframe_split"]
    order = [table["columns"].index(name) for name in features]
    return np.array([[row[i] or 0.0 for i in order] for row in table["data"]], dtype=float)


@wrong(rows_by_name, caught_by=a_missing_column_is_refused)
def a_missing_column_is_unknown(body, features):
    table = json.loads(body)["dataframe_split"]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    return np.array([[row.get(name) for name in features] for row in rows], dtype=float)


@wrong(rows_by_name, caught_by=a_missing_column_is_refused)
def raises_what_comes(body, features):
    table = json.loads(body)["dataframe_split"]
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    return np.array([[row[name] for name in features] for row in rows], dtype=float)


@wrong(rows_by_name, caught_by=a_word_is_refused)
def a_word_is_missing(body, features):
    table = json.loads(body)["dataframe_split"]
    frame = pd.DataFrame(table["data"], columns=table["columns"])
    if missing := [name for name in features if name not in frame]:
        raise ValueError(f"no column {missing[0]}")
    return frame[features].apply(pd.to_numeric, errors="coerce").to_numpy(float)


# --- replicas_needed --------------------------------------------------------------------------------------------------


@right
def replicas_needed(rate, per_replica, load=0.6, may_fail=1):
    """Return the smallest number of replicas that carries `rate` requests a second, also when `may_fail` of them are gone.

    `per_replica` is what one replica can take, in requests a second. Of that, none may be asked for more than the share
    `load`: waiting grows without bound towards full load. The requests are shared evenly. At least one replica has to be
    left.
    """
    return max(1, ceil(rate / (load * per_replica))) + may_fail


def _number(answer, *given, **options):
    said = answer(*given, **options)
    assert isinstance(said, int | np.integer) and not isinstance(said, bool), (
        f"you returned {said!r}; a whole number of replicas is asked for"
    )
    return int(said)


def _carries(answer, rate, per_replica, load, may_fail):
    said = _number(answer, rate, per_replica, load=load, may_fail=may_fail)
    left = said - may_fail
    assert left >= 1, (
        f"{rate} requests a second: you take {said}, and when {may_fail} are gone nobody answers"
    )
    asked = Fraction(rate) / left
    assert asked <= Fraction(load) * per_replica, (
        f"{rate} requests a second, {said} replicas of {per_replica}, {may_fail} gone: each of the other {left} is asked "
        f"for {float(asked):.0f}, a load of {float(asked) / per_replica:.0%}; at most {load:.0%} is allowed"
    )
    return said


@checks(replicas_needed)
def is_a_whole_number_that_carries_the_rate(answer):
    """What must a number of replicas be? Whole, and large enough: 2.1 replicas' worth of requests needs three."""
    _carries(answer, 1000, 100, 1.0, 0)
    _carries(answer, 210, 100, 1.0, 0)


@checks(replicas_needed)
def keeps_below_the_load(answer):
    """How much of what it can take may a replica be asked for? Only the share `load` of it."""
    _carries(answer, 3000, 200, 0.5, 0)
    _carries(answer, 1010, 200, 0.75, 0)


@checks(replicas_needed)
def survives_the_loss(answer):
    """How many are left when `may_fail` are gone, and is the load of those still allowed? At least one has to be left."""
    _carries(answer, 3000, 200, 0.5, 2)
    _carries(answer, 3000, 200, 0.5, 1)
    _carries(answer, 1, 200, 0.5, 1)
    _carries(answer, 0, 200, 0.5, 1)


@checks(replicas_needed)
def takes_no_more_than_that(answer):
    """Would one replica fewer do? Round up once, at the end of the division, and add what may be lost once."""
    for rate, each, load, lost, wanted in (
        (3000, 200, 0.5, 2, 32),
        (1000, 100, 1.0, 0, 10),
        (10, 100, 0.5, 1, 2),
    ):
        said = _number(answer, rate, each, load=load, may_fail=lost)
        assert said <= wanted, (
            f"{rate} requests a second, {each} each at a load of {load:.0%}, {lost} may be lost: {wanted} are enough, you "
            f"take {said}"
        )


@also_right(replicas_needed)
def counts_upwards(rate, per_replica, load=0.6, may_fail=1):
    count = 1
    while rate / count > load * per_replica:
        count += 1
    return count + may_fail


@also_right(replicas_needed)
def with_numpy(rate, per_replica, load=0.6, may_fail=1):
    return int(np.maximum(np.ceil(rate / per_replica / load), 1)) + may_fail


@wrong(replicas_needed, caught_by=is_a_whole_number_that_carries_the_rate)
def forgets_to_round(rate, per_replica, load=0.6, may_fail=1):
    return rate / (load * per_replica) + may_fail


@wrong(replicas_needed, caught_by=is_a_whole_number_that_carries_the_rate)
def rounds_to_the_nearest(rate, per_replica, load=0.6, may_fail=1):
    return max(1, round(rate / (load * per_replica))) + may_fail


@wrong(replicas_needed, caught_by=keeps_below_the_load)
def uses_them_fully(rate, per_replica, load=0.6, may_fail=1):
    return max(1, ceil(rate / per_replica)) + may_fail


@wrong(replicas_needed, caught_by=survives_the_loss)
def plans_for_a_good_day(rate, per_replica, load=0.6, may_fail=1):
    return max(1, ceil(rate / (load * per_replica)))


@wrong(replicas_needed, caught_by=survives_the_loss)
def always_keeps_one_more(rate, per_replica, load=0.6, may_fail=1):
    return max(1, ceil(rate / (load * per_replica))) + min(may_fail, 1)


@wrong(replicas_needed, caught_by=takes_no_more_than_that)
def rounds_twice(rate, per_replica, load=0.6, may_fail=1):
    return ceil(ceil(rate / per_replica + 1) / load) + may_fail


@wrong(replicas_needed, caught_by=takes_no_more_than_that)
def one_more_to_be_safe(rate, per_replica, load=0.6, may_fail=1):
    return int(rate // (load * per_replica)) + 1 + may_fail

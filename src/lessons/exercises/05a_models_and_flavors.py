"""Exercises of lesson 05a: a test that compares single predictions, and an MLmodel file read."""

import json

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

# --- rows_that_differ -------------------------------------------------------------------------------------------------


@right
def rows_that_differ(expected, predicted, tolerance=0.01):
    """Return the list of row labels whose prediction is off by more than `tolerance` minutes, in their order.

    `expected` is a Series of the minutes that the author of the model got; `predicted` is what the loaded model gives for
    the same rows, a Series with the same labels in any order. A prediction that is missing differs. If the two
    do not have the same labels, raise ValueError.
    """
    if set(expected.index) != set(predicted.index):
        raise ValueError("expected and predicted are about different rows")
    off = (predicted.reindex(expected.index) - expected).abs()
    return expected.index[~(off <= tolerance)].tolist()


_EXPECTED = pd.Series([12.0, 7.5, 31.2, 9.9], index=["a", "b", "c", "d"])


def _labels(answer, expected, predicted, **how):
    got = answer(expected.copy(), predicted.copy(), **how)
    assert isinstance(got, list), f"return a list of labels, not {type(got).__name__}"
    return got


@checks(rows_that_differ)
def a_small_shift_in_one_row_is_found(answer):
    """Would an average over all rows show that one of them is off? Compare row by row, in both directions."""
    for shift in (0.5, -0.5):
        got = _labels(answer, _EXPECTED, _EXPECTED + [0, shift, 0, 0])
        assert got == ["b"], f"row b is off by {shift:+} minutes: return ['b'], not {got}"
    got = _labels(answer, _EXPECTED, _EXPECTED + [1, -1, 1, -1])
    assert got == ["a", "b", "c", "d"], f"all four rows are off, their mean is not; you return {got}"


@checks(rows_that_differ)
def tolerance_is_used(answer):
    """How far may two machines differ in the last digits? The caller says it; at most that much is still equal."""
    got = _labels(answer, _EXPECTED, _EXPECTED + [0.004, 0.3, 0, 0])
    assert got == ["b"], f"4 thousandths of a minute are within the usual tolerance, you return {got}"
    got = _labels(answer, _EXPECTED, _EXPECTED + [0.004, 0.25, 0, 0.75], tolerance=0.5)
    assert got == ["d"], f"with a tolerance of half a minute only d is off, you return {got}"


@checks(rows_that_differ)
def rows_are_matched_by_label(answer):
    """Does the model answer in the order in which you asked? Go by the labels."""
    got = _labels(answer, _EXPECTED, _EXPECTED[::-1])
    assert got == [], f"the same minutes in another order differ nowhere, you return {got}"


@checks(rows_that_differ)
def a_missing_prediction_differs(answer):
    """Is NaN more than a tolerance away? Ask Python before you rely on it."""
    got = _labels(answer, _EXPECTED, _EXPECTED.where(_EXPECTED.index != "c"))
    assert got == ["c"], f"row c has no prediction: return ['c'], not {got}"


@checks(rows_that_differ)
def other_rows_are_no_comparison(answer):
    """What if the model answered for fewer rows? A test that compares what is there passes on nothing."""
    for predicted in (_EXPECTED.drop("d"), _EXPECTED.rename({"d": "e"})):
        try:
            got = answer(_EXPECTED.copy(), predicted)
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"other rows: ValueError, not {type(error).__name__}") from error
        raise AssertionError(f"rows {list(predicted.index)} instead of a to d: ValueError, you return {got}")


@also_right(rows_that_differ)
def label_by_label(expected, predicted, tolerance=0.01):
    if sorted(expected.index) != sorted(predicted.index):
        raise ValueError("the labels differ")
    return [label for label in expected.index if not abs(predicted[label] - expected[label]) <= tolerance]


@also_right(rows_that_differ)
def by_numpy(expected, predicted, tolerance=0.01):
    if len(expected) != len(predicted) or expected.index.symmetric_difference(predicted.index).size:
        raise ValueError("not the same rows")
    close = np.isclose(predicted.loc[expected.index], expected, rtol=0, atol=tolerance)
    return list(expected.index[np.logical_not(close)])


@wrong(rows_that_differ, caught_by=a_small_shift_in_one_row_is_found)
def compares_the_means(expected, predicted, tolerance=0.01):
    return [] if abs(expected.mean() - predicted.mean()) <= tolerance else expected.index.tolist()


@wrong(rows_that_differ, caught_by=a_small_shift_in_one_row_is_found)
def forgets_the_absolute_value(expected, predicted, tolerance=0.01):
    return expected.index[predicted - expected > tolerance].tolist()


@wrong(rows_that_differ, caught_by=tolerance_is_used)
def wants_the_very_same(expected, predicted, tolerance=0.01):
    return expected.index[(predicted.reindex(expected.index) - expected) != 0].tolist()


@wrong(rows_that_differ, caught_by=rows_are_matched_by_label)
def goes_by_place(expected, predicted, tolerance=0.01):
    off = np.abs(predicted.to_numpy() - expected.to_numpy())
    return expected.index[~(off <= tolerance)].tolist()


@wrong(rows_that_differ, caught_by=a_missing_prediction_differs)
def lets_nan_pass(expected, predicted, tolerance=0.01):
    off = (predicted.reindex(expected.index) - expected).abs()
    return expected.index[off > tolerance].tolist()


@wrong(rows_that_differ, caught_by=other_rows_are_no_comparison)
def compares_what_both_have(expected, predicted, tolerance=0.01):
    shared = expected.index.intersection(predicted.index)
    off = (predicted.loc[shared] - expected.loc[shared]).abs()
    return shared[~(off <= tolerance)].tolist()


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
    """Which flavors are the model's own, and which one does every Python model have? There may be none of its own."""
    for kind, wanted in {"xgboost": ["xgboost"], "custom": []}.items():
        found = _read(answer, kind, "native")
        assert found == wanted, (
            f"the native flavors of a model of the kind {kind} are {wanted}, you say {found}"
        )


@checks(read_mlmodel)
def names_the_loader_of_pyfunc(answer):
    """Who loads the model for pyfunc? Look inside pyfunc's own entry; the name of another flavor is only a guess."""
    for kind in ("xgboost", "custom"):
        wanted = _mlmodel(kind)["flavors"]["python_function"]["loader_module"]
        found = _read(answer, kind, "loader")
        assert found == wanted, f"pyfunc has a model of the kind {kind} loaded by {wanted}, you say {found}"


@checks(read_mlmodel)
def lists_the_required_columns(answer):
    """Of which type are the signature's inputs after YAML was read? One reading is still to do, and not every column is required."""
    found = _read(answer, "xgboost", "required")
    assert found == ["trip_distance", "hour"], f"trip_distance and hour are required, you say {found}"


@checks(read_mlmodel)
def reads_a_model_without_a_signature(answer):
    """What does your code do when a key is absent? Older models have no signature at all."""
    found = _read(answer, "onnx", "required")
    assert found == [], f"without a signature nothing is required, you say {found}"
    native = _read(answer, "onnx", "native")
    assert native == ["alternative", "onnx"], f"its native flavors are alternative and onnx, you say {native}"


@also_right(read_mlmodel)
def by_set_difference(mlmodel):
    flavors, signature = mlmodel["flavors"], mlmodel.get("signature", {"inputs": "[]"})
    required = filter(lambda column: column["required"], json.loads(signature["inputs"]))
    return {
        "native": sorted(flavors.keys() - {"python_function"}),
        "loader": flavors["python_function"]["loader_module"],
        "required": [column["name"] for column in required],
    }


@also_right(read_mlmodel)
def by_a_table(mlmodel):
    native = pd.Index(mlmodel["flavors"]).drop("python_function").sort_values().tolist()
    answer = {
        "native": native,
        "loader": mlmodel["flavors"]["python_function"]["loader_module"],
        "required": [],
    }
    if "signature" in mlmodel:
        columns = pd.DataFrame(json.loads(mlmodel["signature"]["inputs"]))
        answer["required"] = columns.loc[columns["required"], "name"].tolist()
    return answer


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

"""Every kind of model that MLflow serves is served and answered alike: some here, all on record."""

import json
from dataclasses import replace

import mlflow
import numpy as np
import pytest
from benchmark_scripts import FOLDER, script
from mlflow.models import infer_signature
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.tree import DecisionTreeRegressor

from walkforward.serving import App, check
from walkforward.serving import predictor as module
from walkforward.serving.encodings import Refused, coded
from walkforward.serving.forests import trees_of, trees_onnx
from walkforward.serving.predictor import compiled
from walkforward.serving.rows import is_json, plain_rows

RECORD = FOLDER / "results" / "served_models.json"


served = script("served_models")
KINDS = {kind.name: kind for kind in served.all_kinds()}
TRIED = {  # and the path that each takes
    "OneHot by name, error": "onnx",
    "OneHot by name, texts": "onnx",
    "gaps and texts, forest": "onnx",
    "log of the input": "native",
    "centred on the request": "pyfunc",
    "a column called 'screen 24\"'": "onnx",
    "a column called 'two\\nlines'": "onnx",
    "xgboost, categories": "native",
    "pyfunc, dates": "pyfunc",
    "pyfunc, raises TEMPORARILY_UNAVAILABLE": "pyfunc",
    "pyfunc, hints: dates": "pyfunc",
    "pyfunc, hints: bytes": "pyfunc",
    "pyfunc, hints: dicts of dates": "pyfunc",
    "pyfunc, model config": "pyfunc",
    "pyfunc, map column": "pyfunc",
    "pyfunc, tensor": "pyfunc",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What a server sets in its process is gone after a test."""
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "false")


# Against MLflow's own app


@pytest.mark.filterwarnings("ignore")  # MLflow warns about made-up schemas, scikit-learn about made-up data
@pytest.mark.parametrize("name", TRIED)
def test_a_kind_is_served_and_answered_as_mlflow_answers(name):
    found = served.held(KINDS[name])
    assert found["unlike"] == []
    assert found["alike"] + found["close"] == found["requests"]
    assert found["path"] == TRIED[name], found["said"]
    assert "\n" not in found["said"]
    assert (found["compiled"] > 5) == (found["path"] != "pyfunc")


def test_red_an_answer_that_is_off_is_seen():
    right = (200, "application/json", '{"predictions": [1.0, 2.0]}')
    assert served.apart(right, right) == 0
    assert 0 < served.apart(right, (*right[:2], '{"predictions": [1.0, 2.000001]}')) < 1e-5
    assert served.apart(right, (*right[:2], '{"predictions": [1.0, 2.0001]}')) > 1e-5
    for other in ('{"predictions": [1.0]}', '{"predictions": ["1.0", "x"]}', '{"predictions": null}'):
        assert served.apart(right, (*right[:2], other)) == np.inf
    assert served.apart(right, (400, *right[1:])) == np.inf


# The record


def read() -> dict:
    if not RECORD.exists():
        pytest.skip("not recorded yet: benchmarks/served_models.py --write")
    return json.loads(RECORD.read_text(encoding="utf-8"))


def test_the_readme_shows_the_record():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- served-models -->\n")[2].partition("\n<!-- /served-models -->")[0]
    assert shown == served.tables(read())


def test_more_than_a_hundred_kinds_are_on_record_and_all_are_answered_alike():
    kept = read()
    assert [kind["kind"] for kind in kept["kinds"]] == list(KINDS)
    assert len(kept["kinds"]) > 100
    for kind in kept["kinds"]:
        assert kind["unlike"] == [], kind["kind"]
        assert kind["path"] != "pyfunc" or kind["said"].startswith("no fast path: "), kind["kind"]
    assert [one["kind"] for one in kept["real"]] == served.REAL
    assert all(one["alike"] == one["requests"] for one in kept["real"])


# The pieces


@pytest.fixture(scope="module")
def frame():
    return served.trips(300)


def save(model, rows, y, folder):
    model.fit(rows, y)
    more = {"signature": infer_signature(rows, model.predict(rows)), "input_example": rows.head(5)}
    more |= {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}
    mlflow.sklearn.save_model(model, folder / "model", **more)
    return compiled(folder / "model")


def by_name(*encoders):
    return make_pipeline(make_column_transformer(*encoders, (StandardScaler(), ["km"])), Ridge())


def test_columns_by_name_and_texts_are_compiled_and_equal(frame, tmp_path):
    steps = (OneHotEncoder(handle_unknown="ignore"), ["day", "zone"]), (OrdinalEncoder(), ["pay"])
    predictor = save(by_name(*steps), frame[["km", "day", "zone", "pay"]], served.minutes(frame), tmp_path)
    assert predictor.path == "onnx", predictor.reason
    rows = frame[["km", "day", "zone", "pay"]]
    expected = predictor.model.predict(rows)
    np.testing.assert_allclose(predictor.predict(rows.to_numpy(object)), expected, rtol=1e-12)
    stranger = rows.head(1).assign(day="a day never seen", zone=10**6)
    np.testing.assert_allclose(
        predictor.predict(stranger.to_numpy(object)), predictor.model.predict(stranger), rtol=1e-12
    )
    with pytest.raises(Refused):  # as the ordinal encoder refuses it
        predictor.predict(rows.head(1).assign(pay="shells").to_numpy(object))


@pytest.mark.parametrize("column", ["day", "zone", "hour"])
@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder(), TargetEncoder()])
def test_a_table_holds_what_the_encoder_says(frame, encoder, column):
    rows = frame[[column]]
    encoder.fit(rows, served.minutes(frame))
    plain, coding = coded(
        make_pipeline(encoder, LinearRegression()).fit(rows, served.minutes(frame)), [column == "day"]
    )
    expected = encoder.fit(rows, served.minutes(frame)).transform(rows)
    expected = expected.toarray() if hasattr(expected, "toarray") else expected
    np.testing.assert_array_equal(coding(rows.to_numpy(object)), expected)
    if not isinstance(encoder, TargetEncoder):
        with pytest.raises(Refused):
            coding(np.array([["never" if column == "day" else 0.5]], object))
    if column == "hour" and not isinstance(encoder, TargetEncoder):
        with pytest.raises(Refused):
            coding(np.array([[np.nan]]))


def test_what_is_imputed_before_an_encoder_is_in_its_table(frame):
    rows = frame[["hour"]].mask(frame.index.to_numpy()[:, None] % 5 == 0)
    model = make_pipeline(SimpleImputer(), OneHotEncoder(), Ridge()).fit(rows, served.minutes(frame))
    plain, coding = coded(model, [False])
    np.testing.assert_allclose(plain.predict(coding(rows.to_numpy())), model.predict(rows), rtol=1e-12)


class Twice(TransformerMixin, BaseEstimator):
    """A step that nobody else knows."""

    def fit(self, rows, y=None):
        self.fitted_ = True
        return self

    def transform(self, rows):
        return rows * 2


def test_what_can_not_be_parted_is_refused(frame):
    y = served.minutes(frame)
    behind = make_pipeline(Twice(), OneHotEncoder(), Ridge()).fit(frame[["zone"]], y)
    with pytest.raises(Refused, match="behind"):
        coded(behind, [False])
    text = make_pipeline(make_column_transformer(("passthrough", ["day", "km"])), Twice())
    with pytest.raises(Refused, match="a text goes to something else"):
        coded(text.fit(frame[["day", "km"]]), [True, False])


@pytest.mark.parametrize("forest", [RandomForestRegressor, ExtraTreesRegressor, DecisionTreeRegressor])
def test_a_forest_of_any_size_is_one_node_with_the_thresholds_of_its_trees(frame, forest):
    import onnxruntime

    rows = frame[["km", "zone", "hour"]].to_numpy(float)
    holes = np.where(np.arange(rows.size).reshape(rows.shape) % 7, rows, np.nan)
    few = {} if forest is DecisionTreeRegressor else {"n_estimators": 10}
    model = forest(random_state=0, **few).fit(holes, served.minutes(frame))
    session = onnxruntime.InferenceSession(trees_onnx(trees_of(model), 3), providers=["CPUExecutionProvider"])
    edges = np.concatenate([tree.tree_.threshold for tree in trees_of(model)]).astype(np.float32)
    edges = edges[np.isfinite(edges)]  # infinite where a missing value alone goes the other way
    beside = [np.nextafter(edges, np.float32(way)) for way in (np.inf, -np.inf)]
    edges = np.concatenate([edges, *beside])[:3000]
    at = np.resize(edges, (len(edges), 3)).astype(float)
    for asked in (holes, rows, at):
        given = {"X": asked.astype(np.float32).astype(float)}
        np.testing.assert_allclose(session.run(None, given)[0][:, 0], model.predict(asked), rtol=1e-6)


def _shallow(rows):
    """A step with a hole: it refuses what is a little below zero."""
    values = np.asarray(rows)
    if ((values > -40) & (values < 0)).any():
        raise ValueError("below zero, and not far")
    return values


def test_a_form_that_answers_what_the_pyfunc_refuses_is_refused(frame, tmp_path, monkeypatch):
    model = make_pipeline(served.FunctionTransformer(_shallow), LinearRegression())
    predictor = save(model, frame[["km"]], served.minutes(frame), tmp_path)
    assert predictor.path == "native"
    with pytest.raises(ValueError, match="below zero"):
        predictor.predict(np.array([[-1.0]]))
    right = model[-1].predict
    monkeypatch.setattr(module, "_session", lambda *_: right)  # a form that knows nothing of it
    monkeypatch.setattr(module, "_sklearn_onnx", lambda *_: b"")
    predictor = compiled(tmp_path / "model")
    assert predictor.path == "native"
    assert "ONNX Runtime (double): answers a row that the pyfunc refuses" in predictor.reason


def test_a_value_that_overflows_in_the_pipeline_is_left_to_the_pyfunc(frame, tmp_path):
    """A tree compares single precision: the fifth power of 10 million is none, and the pyfunc refuses it."""
    trees = RandomForestRegressor(5, random_state=0)
    steps = served.preprocessing.PolynomialFeatures(5), trees
    predictor = save(make_pipeline(*steps), frame[["km"]], served.minutes(frame), tmp_path)
    body = '{"dataframe_split": {"columns": ["km"], "data": [[1e9]]}}'
    with pytest.raises(Exception, match="1e9|large|at most|expected"):
        predictor.predict(plain_rows(predictor)(body.encode()))


class Slow(RegressorMixin, BaseEstimator):
    """A regressor without a compiled form."""

    def fit(self, rows, y):
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, rows):
        return np.full(len(rows), self.mean_)


def test_a_form_that_is_slower_than_the_pyfunc_is_not_taken(frame, tmp_path, monkeypatch):
    predictor = save(Slow(), frame[["km"]], served.minutes(frame), tmp_path)
    assert predictor.path == "native"
    assert " times as fast on one" in predictor.reason

    def repeat(call, **_):  # the pyfunc is the one that needs the model
        return [1.0 if "check" in call.__code__.co_freevars else 2.0]

    monkeypatch.setattr(module.timeit, "repeat", repeat)
    slower = compiled(tmp_path / "model")
    assert slower.path == "pyfunc"
    assert "slower than pyfunc" in slower.reason


@pytest.mark.parametrize("broken", ["column_types", "Check", "_sklearn_forms"])
def test_whatever_breaks_while_it_compiles_the_pyfunc_serves(frame, tmp_path, monkeypatch, broken):
    save(Ridge(), frame[["km"]], served.minutes(frame), tmp_path)

    def fail(*_, **__):
        raise RuntimeError("it broke\nin two lines")

    monkeypatch.setattr(module, broken, fail)
    predictor = compiled(tmp_path / "model")
    assert (predictor.path, "\n" in predictor.reason) == ("pyfunc", False)
    assert predictor.reason == "no fast path: RuntimeError it broke in two lines; served through pyfunc"


def test_rows_that_can_not_be_read_are_left_to_the_pyfunc(frame, tmp_path, monkeypatch):
    predictor = save(Ridge(), frame[["km"]], served.minutes(frame), tmp_path)
    monkeypatch.setattr("walkforward.serving.app.plain_rows", lambda _: 1 / 0)
    app = App(predictor, str(tmp_path), 256, 30, 10, True)
    assert app.predictor.path == "pyfunc"
    assert app.predictor.reason == "no fast path: ZeroDivisionError division by zero; served through pyfunc"
    assert app._by_any(b'{"inputs": [{"km": 2.0}]}', "application/json").status == 200


def test_the_pyfunc_is_asked_where_a_compiled_form_gives_no_number(frame, tmp_path):
    predictor = save(Ridge(), frame[["km"]], served.minutes(frame), tmp_path)
    app = App(replace(predictor, predict=lambda rows: np.full(len(rows), np.nan)), str(tmp_path), 256, 30, 10)
    answer = app._by_any(b'{"inputs": [{"km": 2.0}]}', "application/json")
    assert (answer.path, answer.status) == ("pyfunc", 200)


def test_halving_leaves_out_what_the_pyfunc_refuses(frame, tmp_path, monkeypatch):
    model = make_pipeline(served.FunctionTransformer(np.sqrt), LinearRegression())
    loaded = save(model, frame[["km"]], served.minutes(frame), tmp_path).model
    checked = check.Check(loaded, module.column_types(loaded), {})
    assert all((rows >= 0).all() for rows, _ in checked.blocks)
    assert (checked.refused < 0).all() and len(checked.refused) > 10
    monkeypatch.setattr(check, "by_pyfunc", lambda *_: 1 / 0)
    with pytest.raises(Refused, match="the pyfunc refuses .* made-up rows"):
        check.Check(loaded, module.column_types(loaded), {})


def test_a_model_config_that_is_none_is_said_and_a_target_transformed_is_compiled(
    frame, tmp_path, monkeypatch
):
    log = TransformedTargetRegressor(
        by_name((OneHotEncoder(), ["day"])), func=np.log1p, inverse_func=np.expm1
    )
    predictor = save(log, frame[["km", "day"]], served.minutes(frame), tmp_path)
    assert predictor.path == "native"
    monkeypatch.setenv("SERVING_MODEL_CONFIG", "{")
    with pytest.raises(ValueError, match="Expecting property name"):
        compiled(tmp_path / "model")


@pytest.mark.parametrize(
    ("content_type", "plain"),
    [
        ("application/json", True),
        ("application/json; charset=UTF-8", True),
        ("application/json ;  charset=Utf-8", True),
        ("application/json;charset=utf-8;charset=utf-8", True),
        ("application/json; charset=latin-1", False),
        ("application/json; version=1", False),
        ("application/json;", False),
        ("Application/JSON", False),  # as MLflow has it
        ("text/csv", False),
        ("", False),
        (None, False),
    ],
)
def test_the_fast_path_takes_the_content_types_that_mlflow_takes(content_type, plain):
    assert is_json(content_type) == plain
    if plain:
        model = type("Model", (), {"metadata": None})
        with pytest.raises(mlflow.MlflowException, match="valid JSON"):  # it got as far as the body
            served.scoring_server.invocations(b"{", content_type, model, None)

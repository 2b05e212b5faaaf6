"""Lesson 08b: relations in a table, behaviour of a model, slices, kinds of equal, explainers."""

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from pandera.pandas import Check, Column, DataFrameSchema
from scipy import stats
from shown import flat_table
from solved import smaller

from course.exercise import source as exercise_source
from projects import trip_checks
from projects.trip_zones import BOROUGH, borough

ROOT = Path(__file__).resolve().parents[1]
STEM = "08b_testing_data_and_models"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")


@pytest.fixture(scope="module")
def trips():
    return trip_checks.released_trips()


@pytest.fixture(scope="module")
def model(trips):
    return trip_checks.trained(trips[trips["month"].between("2019-01", "2019-03")], trip_checks.FEATURES)


def numbers(notebook, name):
    return flat_table(notebook, name).apply(pd.to_numeric)


def test_each_zone_of_the_city_has_a_borough():
    counts = pd.Series(BOROUGH).value_counts().to_dict()
    assert counts == {"Manhattan": 69, "Queens": 69, "Brooklyn": 61, "Bronx": 43, "Staten Island": 20}
    assert borough(pd.Series([132, 230, 1, 265])).tolist() == ["Queens", "Manhattan", "other", "other"]


def test_what_the_schema_refuses_does_no_harm_and_what_it_accepts_does():
    seen = flat_table(NOTEBOOK, "faults")
    rmse, refused = seen["RMSE"].astype(float), seen["schema refuses"] == "True"
    assert rmse[refused].max() < 1.01 * rmse["as it was"]
    harmful = rmse[~refused].drop("as it was")
    assert len(harmful) == 3 and harmful.min() > 1.15 * rmse["as it was"]


def test_each_broken_relation_is_found_in_every_month(trips):
    """The fault is refused by its relation in each month of 2019 from April on, not in May alone."""
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.id == "relations"]
    names = {"np": np, "pd": pd, "trips": trips}
    exec(cell.source, names)
    limits, relations = names["limits"], names["relations"]
    wanted = {
        "distance in kilometres": "median mph",
        "distance of another trip": "distance with fare",
        "hour in UTC": "starts from 2 to 5",
    }
    for month, rows in trips[trips["month"] >= "2019-05"].groupby("month"):
        tables = trip_checks.faulty_tables(rows)
        for fault, name in {"as it was": None, **wanted}.items():
            found = relations(tables[fault])
            out = [
                key
                for key in limits.index
                if not limits.loc[key, "low"] <= found[key] <= limits.loc[key, "high"]
            ]
            assert (name in out) if name else out == [], (month, fault, out)


def test_refused_names_the_broken_rules():
    schema = DataFrameSchema({"miles": Column(float, Check.in_range(0, 100))})
    assert trip_checks.refused(schema, pd.DataFrame({"miles": [1.0, 2.0]})) == []
    assert trip_checks.refused(schema, pd.DataFrame({"miles": [1.0, -2.0]})) == ["in_range(0, 100)"]


def test_passing_every_behavioural_test_says_nothing_about_the_error():
    tests = numbers(NOTEBOOK, "tested")
    assert (tests.loc["straight line"].iloc[:4] == 0).all()
    assert tests.loc["straight line", "RMSE"] > tests["RMSE"].drop("straight line").max() + 1
    assert tests.loc["candidate", "passenger_count"] > 5


def test_invariance_is_free_and_monotone_trees_cost_little_over_seeds(trips):
    """Three other training windows: the two columns are worth at most 0.03 minutes, the promise costs 0.1."""
    live = trips[trips["month"] >= "2019-05"]
    for first, last in (("2018-10", "2018-12"), ("2018-11", "2019-01"), ("2018-12", "2019-02")):
        train = trips[trips["month"].between(first, last)]
        seven, five = (trip_checks.trained(train, c) for c in (trip_checks.SEVEN, trip_checks.FEATURES))
        monotone = trip_checks.trained(train, trip_checks.FEATURES, monotone_constraints={"trip_distance": 1})
        errors = [trip_checks.rmse(one, live) for one in (seven, five, monotone)]
        assert abs(errors[1] - errors[0]) < 0.03 and abs(errors[2] - errors[1]) < 0.1
        miles = live["trip_distance"]
        longer = [trip_checks.answers(monotone, live.assign(trip_distance=k * miles)) for k in (1, 1.1)]
        assert (longer[1] >= longer[0])[miles > 0].all()


def test_a_small_slice_says_little():
    both = numbers(NOTEBOOK, "boroughs")
    assert both["error"].idxmin() == "Bronx" and both["error later"].idxmax() == "Bronx"
    power = numbers(NOTEBOOK, "power")["1 minute worse"]
    assert power["30"] < 60 and power["300"] > 95


def test_holm_holds_the_chance_of_any_false_find_and_no_correction_does_not():
    """Seeds 1000 to 1199: fifty slices of 200 normal errors with a mean absolute error at the limit."""
    limit, groups = (2 / np.pi) ** 0.5, pd.Series(np.repeat(np.arange(50), 200))
    false = {"holm": 0, "none": 0}
    for seed in range(1000, 1200):
        errors = pd.Series(np.random.default_rng(seed).normal(size=len(groups)))
        false["holm"] += bool(EXERCISES.bad_slices(errors, groups, limit))
        sizes = np.abs(errors.to_numpy().reshape(50, 200))
        false["none"] += (stats.ttest_1samp(sizes, limit, axis=1, alternative="greater").pvalue < 0.05).any()
    assert false["holm"] < 20 and false["none"] > 150


def test_three_kinds_of_equal_name_different_boroughs():
    frame = numbers(NOTEBOOK, "by_borough")
    assert frame["error"].idxmax() == frame["% late"].idxmax() == frame["relative"].idxmin() == "Queens"
    gaps = numbers(NOTEBOOK, "gaps")
    buffer, worse, plain = (gaps.loc[name] for name in ("buffer by borough", "others made worse", "as it is"))
    assert buffer["% late"] < plain["% late"] / 2 and buffer["error"] > plain["error"]
    assert worse["error"] < plain["error"] / 2 and worse["relative"] > 2 * plain["relative"]
    assert gaps.loc["no zones", "error"] > 0.9 * plain["error"]


def test_shap_sees_a_shift_against_a_right_month_and_none_that_was_learnt(trips, model):
    train = trips[trips["month"].between("2019-01", "2019-03")]
    half = train.assign(trip_distance=train["trip_distance"] + 0.5)
    blind = trip_checks.trained(half, trip_checks.FEATURES)
    for month in ("2019-06", "2019-09", "2019-12"):
        rows = trips[trips["month"] == month].sample(500, random_state=0)
        longer = rows.assign(trip_distance=rows["trip_distance"] + 0.5)
        usual = trip_checks.reasons(model, rows)
        shift = (trip_checks.reasons(model, longer) - usual).mean()
        assert shift["trip_distance"] > 1.5 and shift.drop("trip_distance").abs().max() < 0.2
        assert np.abs(trip_checks.reasons(blind, longer) - usual).max().max() < 0.01


def test_lime_gives_minutes_to_columns_that_do_nothing(trips):
    """Seeds 100 to 102: the noise on a formula of distance alone; SHAP gives such a column nothing."""
    train = trips[trips["month"].between("2019-01", "2019-03")]
    rows = trips[trips["month"] == "2019-07"].sample(6, random_state=1)

    def formula(values):
        return 4 + 3 * values[:, 0]

    told = pd.concat([trip_checks.lime_reasons(formula, rows, train, seed) for seed in (100, 101, 102)])
    idle = told.drop(columns="trip_distance").abs().mean()
    assert idle.min() > 0.15 and told["trip_distance"].abs().mean() > 5
    one = trip_checks.trained(train.assign(duration=4 + 3 * train["trip_distance"]), trip_checks.FEATURES)
    assert trip_checks.reasons(one, rows).drop(columns="trip_distance").abs().max().max() < 0.05


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
    for name in ("faults", "tested", "gaps", "sides"):
        small, large = flat_table(outcome.notebook, name), flat_table(NOTEBOOK, name)
        assert list(small.index) == list(large.index) and list(small) == list(large), name

"""Lesson 04d: the Pareto front, what AutoML does not find, and what a year of data is worth."""

import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from solved import smaller
from test_lesson_04c import number, output, table
from xgboost import XGBRegressor

from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import tuning  # noqa: E402

NOTEBOOK = nbformat.read(ROOT / "notebooks" / "04d_cheaper_models_and_automl.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "04d_cheaper_models_and_automl.py")
RECORD = pd.read_parquet(tuning.RESULTS)


def test_the_front_has_no_beaten_row_and_no_unbeaten_one_is_off():
    costs = RECORD[["rmse_valid", "bytes", "seconds"]].sample(400, random_state=0)
    front = EXERCISES.pareto_front(costs)
    for label, row in costs.iterrows():
        beaten = ((costs <= row).all(axis=1) & (costs < row).any(axis=1)).any()
        assert (label in front.index) == (not beaten)
    assert 1 < len(front) < 100


def test_flaml_scores_itself_by_months_that_are_past():
    said = output(NOTEBOOK, "by_itself")
    assert number(r"own score ([\d.]+)", said) < number(r"May ([\d.]+)", said) - 0.5
    said = output(NOTEBOOK, "shuffled")
    assert number(r"folds ([\d.]+)", said) < number(r"before ([\d.]+)", said) - 0.1


def test_flaml_takes_the_leak():
    said = output(NOTEBOOK, "leak")
    honest = table(NOTEBOOK, "contest").loc["FLAML", "May"]
    assert number(r"May: ([\d.]+)", said) < 0.6 * honest
    assert number(r"as it is asked: ([\d.]+)", said) > 1.5 * honest


def test_nothing_that_was_tuned_survives_april_2020():
    contest = table(NOTEBOOK, "contest")
    assert (contest["April 2020"] > contest["May"] + 1.5).all()


def test_the_cost_is_not_found_by_a_search_over_squares():
    costs = table(NOTEBOOK, "cost")
    told, quantile = costs.loc["FLAML told the cost"], costs.loc["default, 80 % quantile"]
    assert quantile["cost per trip"] < 0.8 * min(
        told["cost per trip"], costs.loc["FLAML for RMSE", "cost per trip"]
    )
    assert quantile["RMSE"] > told["RMSE"]


def test_a_year_more_is_better_and_half_of_it_is_which_trips_they_are():
    said = output(NOTEBOOK, "more_data")
    assert number(r"all of the year.* to (-[\d.]+) minutes", said) < -0.1


@pytest.mark.slow
def test_so_it_is_in_each_month_from_april_to_december_2019():
    trips = tuning.prepared("2018-01", "2019-12")
    month = trips["pickup_datetime"].dt.strftime("%Y-%m")
    year, few = trips[month < "2019-03"], trips[month.between("2019-01", "2019-02")]
    parts = {"few": few, "year": year, "drawn": year.sample(len(few), random_state=1)}
    errors = {}
    for name, rows in parts.items():
        model = XGBRegressor(n_jobs=1, random_state=0).fit(rows[tuning.FEATURES], rows["duration"])
        squares = (trips["duration"] - model.predict(trips[tuning.FEATURES])) ** 2
        errors[name] = np.sqrt(squares.groupby(month).mean())["2019-04":]
    assert len(errors["few"]) == 9
    assert (errors["year"] < errors["few"] - 0.1).all() and (errors["drawn"] < errors["few"]).all()
    share = (errors["few"] - errors["drawn"]).mean() / (errors["few"] - errors["year"]).mean()
    assert 0.25 < share < 0.7


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller("04d_cheaper_models_and_automl")
    assert outcome.faults == []
    for name in ("contest", "cost", "chosen"):
        small, large = table(outcome.notebook, name), table(NOTEBOOK, name)
        assert list(small.index) == list(large.index) and list(small) == list(large), name

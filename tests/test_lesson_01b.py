"""Lesson 01b: what form, tuning and data are worth holds in other months too; October is opened once."""

import nbformat
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, SplineTransformer
from threadpoolctl import threadpool_limits

from course.data import load_trips, months
from course.paths import ROOT

NOTEBOOK = nbformat.read(ROOT / "notebooks" / "01b_better_models.ipynb", as_version=4)
NUMBERS = ["trip_distance", "passenger_count"]
CATEGORIES = ["pickup_location_id", "dropoff_location_id", "hour", "weekday"]
JUDGED = ["2018-06", "2018-12", "2019-02"]  # none of them is a window of the lesson


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def trips():
    frames = {}
    for month in months("2018-01", "2019-02"):
        frame = load_trips(month)
        minutes = (frame["dropoff_datetime"] - frame["pickup_datetime"]).dt.total_seconds() / 60
        clock = frame["pickup_datetime"].dt
        frame = frame.assign(duration=minutes, hour=clock.hour, weekday=clock.dayofweek)
        frames[month] = frame[minutes.between(1, 60)]
    return frames


def before(trips, month, how_many):
    known = [name for name in trips if name < month][-how_many:]
    return pd.concat([trips[name] for name in known], ignore_index=True)


def miss(model, train, valid):
    columns = NUMBERS + CATEGORIES
    answers = model.fit(train[columns], train["duration"]).predict(valid[columns])
    return float(np.sqrt(np.mean((valid["duration"] - answers) ** 2)))


def boosting(**settings):
    zones = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, min_frequency=30)
    features = make_column_transformer((zones, CATEGORIES), remainder="passthrough")
    settings = {"early_stopping": False, "random_state": 0} | settings
    return make_pipeline(
        features, HistGradientBoostingRegressor(categorical_features=[0, 1, 2, 3], **settings)
    )


def straight(*more):
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30)
    features = make_column_transformer((SimpleImputer(), NUMBERS), (one_hot, CATEGORIES), *more)
    return make_pipeline(features, LinearRegression())


class ByHour(SimpleImputer):
    """A slope of distance for each hour."""

    def fit(self, rows, y=None):
        self.fitted_ = True
        return self

    def transform(self, rows):
        return (rows["hour"].to_numpy()[:, None] == np.arange(24)) * rows[["trip_distance"]].to_numpy()


@pytest.mark.parametrize("month", JUDGED)
def test_the_shape_of_distance_was_missing_and_not_the_rush_hour(trips, month):
    train, valid = before(trips, month, 3), trips[month]
    curve = SplineTransformer(n_knots=8, knots="quantile", extrapolation="linear")
    plain = miss(straight(), train, valid)
    bent = miss(straight((curve, ["trip_distance"])), train, valid)
    slopes = miss(straight((ByHour(), ["trip_distance", "hour"])), train, valid)
    assert plain - bent > 0.5
    assert plain - bent > 3 * (plain - slopes)


@pytest.mark.parametrize("month", JUDGED)
def test_form_pays_more_than_tuning_and_categories_help(trips, month):
    train, valid = before(trips, month, 3), trips[month]
    numbers = HistGradientBoostingRegressor(early_stopping=False, random_state=0)
    by_number, by_category = miss(numbers, train, valid), miss(boosting(), train, valid)
    tuned = miss(boosting(learning_rate=0.05, max_iter=200), train, valid)
    assert 0.02 < by_number - by_category < 0.4
    assert abs(by_category - tuned) < 0.1
    assert miss(straight(), train, valid) - by_category > 0.8


def test_a_year_more_pays_more_than_tuning_and_in_january_half_of_it_is_coverage(trips):
    train, valid = before(trips, "2019-01", 3), trips["2019-01"]
    year = before(trips, "2019-01", 12)
    recent, longer = miss(boosting(), train, valid), miss(boosting(), year, valid)
    spread = np.mean([miss(boosting(), year.sample(len(train), random_state=seed), valid) for seed in (0, 1)])
    assert recent - longer > 0.25
    assert recent - spread > 0.5 * (recent - longer)


def test_october_is_opened_in_one_cell_after_every_choice():
    code = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]
    opened = [place for place, cell in enumerate(code) if ">= test_from" in cell.source]
    assert [code[place].id for place in opened] == ["october"]
    later = "\n".join(cell.source for cell in code[opened[0] + 1 :])
    assert "october" not in later

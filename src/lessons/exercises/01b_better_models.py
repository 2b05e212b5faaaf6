"""Exercises of lesson 01b: a join that loses no trip, and a pipeline of your own that clears the bar."""

from functools import cache

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

from course.data import load_trips
from course.exercise import also_right, checks, right, wrong

# --- add_holiday ------------------------------------------------------------------------------------------------------


def _days() -> pd.DataFrame:
    days = pd.to_datetime(["2019-07-03", "2019-07-04", "2019-07-04", "2008-12-31"])
    return pd.DataFrame({"day": days, "duration": [9.0, 7.0, 8.0, 5.0]})


def _calendar() -> pd.DataFrame:
    return pd.DataFrame({"day": pd.to_datetime(["2019-07-04"]), "holiday": ["Independence Day"]})


@right
def add_holiday(trips, calendar):
    """Return `trips` with the column `holiday` of `calendar`, joined on `day`: every trip once,
    in the same order, NaN on days that are no holidays. Raise an error when `calendar` lists a day
    twice."""
    return trips.merge(calendar, on="day", how="left", validate="many_to_one")


@checks(add_holiday)
def keeps_every_trip(answer):
    """What becomes of a trip whose day is not in the calendar? Look up which rows `merge` keeps by default."""
    joined = answer(_days(), _calendar())
    assert isinstance(joined, pd.DataFrame), (
        f"you returned a {type(joined).__name__}; a DataFrame is asked for"
    )
    assert len(joined) == 4, f"4 trips went in, {len(joined)} came out"
    assert joined["duration"].tolist() == [9.0, 7.0, 8.0, 5.0], "the trips came out in another order"


@checks(add_holiday)
def names_the_holiday(answer):
    """What does the caller want to read in the new column: a name, a flag, or something you filled in?"""
    joined = answer(_days(), _calendar())
    assert "holiday" in joined, f"the columns are {list(joined.columns)}; `holiday` is not among them"
    named = joined["holiday"].tolist()
    assert named[1:3] == ["Independence Day"] * 2, f"4 July became {named[1]!r}"
    assert joined["holiday"].isna().tolist() == [True, False, False, True], (
        "on days that are no holidays the name must be missing"
    )


@checks(add_holiday)
def refuses_a_day_listed_twice(answer):
    """How many rows of the calendar may match one trip? A join can check that itself: look for `validate` in the help of `merge`."""
    christmas = _calendar().assign(day=pd.Timestamp("2019-12-25"), holiday="Christmas Day")
    for named, twice in {
        "4 July twice": [_calendar()] * 2,
        "25 December twice, a day without a trip,": [_calendar(), christmas, christmas],
    }.items():
        refused = False
        try:
            answer(_days(), pd.concat(twice, ignore_index=True))
        except Exception:  # pandas raises MergeError; an assertion of the student's own is as good
            refused = True
        assert refused, f"a calendar that lists {named} was joined, and no error was raised"


@also_right(add_holiday)
def checks_the_calendar_first(trips, calendar):
    if calendar["day"].duplicated().any():
        raise ValueError("a day is listed twice")
    return pd.merge(trips, calendar[["day", "holiday"]], how="left", on="day")


@also_right(add_holiday)
def looks_the_day_up(trips, calendar):
    names = calendar.set_index("day")["holiday"]
    assert names.index.is_unique
    return trips.assign(holiday=trips["day"].map(names))


@also_right(add_holiday)
def joins_on_the_index(trips, calendar):
    assert calendar["day"].is_unique
    return trips.join(calendar.set_index("day"), on="day")


@wrong(add_holiday, caught_by=keeps_every_trip)
def takes_the_default(trips, calendar):
    return trips.merge(calendar, on="day", validate="many_to_one")


@wrong(add_holiday, caught_by=keeps_every_trip)
def keeps_the_calendar_instead(trips, calendar):
    return trips.merge(calendar, on="day", how="right")


@wrong(add_holiday, caught_by=names_the_holiday)
def returns_true_and_false(trips, calendar):
    return trips.assign(holiday=trips["day"].isin(calendar["day"]))


@wrong(add_holiday, caught_by=names_the_holiday)
def fills_the_other_days(trips, calendar):
    return trips.merge(calendar, on="day", how="left", validate="many_to_one").fillna({"holiday": "none"})


@wrong(add_holiday, caught_by=refuses_a_day_listed_twice)
def does_not_validate(trips, calendar):
    return trips.merge(calendar, on="day", how="left")


@wrong(add_holiday, caught_by=refuses_a_day_listed_twice)
def counts_the_trips_afterwards(trips, calendar):
    joined = trips.merge(calendar, on="day", how="left")
    if len(joined) != len(trips):
        raise ValueError("a trip was doubled")
    return joined


@wrong(add_holiday, caught_by=refuses_a_day_listed_twice)
def hides_the_doubles(trips, calendar):
    return trips.merge(calendar.drop_duplicates("day"), on="day", how="left")


# --- champion ---------------------------------------------------------------------------------------------------------

COLUMNS = ["trip_distance", "passenger_count", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


@cache
def _month(month: str) -> pd.DataFrame:
    """The plausible trips of one month of the course, as the lesson prepares them."""
    trips = load_trips(month)
    minutes = (trips["dropoff_datetime"] - trips["pickup_datetime"]).dt.total_seconds() / 60
    clock = trips["pickup_datetime"].dt
    trips = trips.assign(duration=minutes, hour=clock.hour, weekday=clock.dayofweek)
    trips["passenger_count"] = trips["passenger_count"].replace(0, np.nan)
    return trips[minutes.between(1, 60)].reset_index(drop=True)


def context() -> dict:
    """What the notebook has when the value exercise is met, in small."""
    return {"train": _month("2019-09").head(4_000).copy()}


@right(value=True)
def champion(train):
    """Fit a pipeline of your own on `train` and bind it to `champion`. It predicts `duration` from
    `trip_distance`, `passenger_count`, `pickup_location_id`, `dropoff_location_id`, `hour` and
    `weekday`; it copes with a missing count and with a zone that it has never seen. On trips of
    November 2019 it has to beat the mean at the same distance."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    zones = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30, sparse_output=False)
    features = make_column_transformer(
        (numbers, ["trip_distance", "passenger_count", "hour", "weekday"]),
        (zones, ["pickup_location_id", "dropoff_location_id"]),
    )
    return make_pipeline(features, HistGradientBoostingRegressor(random_state=0)).fit(
        train, train["duration"]
    )


def _predict(answer, trips: pd.DataFrame) -> np.ndarray:
    """What the pipeline says of trips, given the six columns in the order that it was fitted on."""
    seen = list(getattr(answer, "feature_names_in_", COLUMNS))
    ordered = seen if sorted(seen) == sorted(COLUMNS) else COLUMNS
    return np.asarray(answer.predict(trips[ordered]), dtype=float)


def _new_trips() -> pd.DataFrame:
    return _month("2019-11")[COLUMNS].dropna().head(3).reset_index(drop=True)


@checks(champion)
def is_a_pipeline(answer):
    """What has to travel with the model when it answers a rider? Put the preparation and the regressor into one Pipeline."""
    assert isinstance(answer, Pipeline), (
        f"champion is a {type(answer).__name__}; a scikit-learn Pipeline is asked for"
    )


@checks(champion)
def is_fitted_on_what_is_known(answer):
    """Is the pipeline fitted, and does it need a column that does not exist yet when the trip begins?"""
    try:
        yhat = _predict(answer, _new_trips())
    except Exception as error:
        raise AssertionError(
            f"predict on three new trips with the six columns raised {type(error).__name__}: {error}"
        ) from None
    assert yhat.shape == (3,), f"three trips gave predictions of shape {yhat.shape}"


@checks(champion)
def fills_the_missing(answer):
    """What does your pipeline do with tomorrow's trip whose passenger count is missing? Rows that you dropped or filled beforehand do not help it."""
    trips = _new_trips().assign(passenger_count=np.nan)
    try:
        finite = bool(np.isfinite(_predict(answer, trips)).all())
    except Exception as error:
        raise AssertionError(f"a missing passenger count raised {type(error).__name__}") from None
    assert finite, "a missing passenger count gave a prediction that is no number"


@checks(champion)
def copes_with_an_unknown_zone(answer):
    """What does your encoder do with a zone that was not in the training months? By default it raises an error."""
    trips = _new_trips().assign(pickup_location_id=999)
    try:
        _predict(answer, trips)
    except Exception as error:
        raise AssertionError(
            f"zone 999 raised {type(error).__name__}: {str(error).splitlines()[0]}"
        ) from None


@checks(champion)
def knows_more_than_the_distance(answer):
    """Do two trips of the same length get the same answer at 5 a.m. and at 5 p.m., from any zone? Then a table of means does as well."""
    trips = _new_trips()
    variants = [trips.assign(hour=hour) for hour in (5, 17)] + [trips.assign(weekday=day) for day in (2, 6)]
    variants += [trips.assign(pickup_location_id=a, dropoff_location_id=b) for a, b in ((161, 236), (132, 7))]
    answers = np.array([_predict(answer, variant) for variant in variants])
    assert np.ptp(answers, axis=0).max() > 0.1, (
        "hour, weekday and zones changed, and no prediction moved by more than a tenth of a minute"
    )


@checks(champion)
def beats_the_mean_at_this_distance(answer):
    """Where does a straight line through the distances fail? Let the distance bend, or take a model that bends by itself; and fit it on the right durations."""
    known, judged = _month("2019-09"), _month("2019-11")
    edges = np.unique(known["trip_distance"].quantile(np.linspace(0, 1, 51)))[1:-1]
    means = known.groupby(np.digitize(known["trip_distance"], edges))["duration"].mean()
    bar = means.loc[np.digitize(judged["trip_distance"], edges)].to_numpy()
    rmse = [np.sqrt(np.mean((judged["duration"] - yhat) ** 2)) for yhat in (_predict(answer, judged), bar)]
    assert rmse[0] < rmse[1], (
        f"on November 2019 your pipeline misses by {rmse[0]:.2f} minutes, the mean at the same distance by {rmse[1]:.2f}"
    )


def _features(**one_hot) -> object:
    return make_column_transformer(
        (SimpleImputer(), ["trip_distance", "passenger_count", "hour", "weekday"]),
        (OneHotEncoder(sparse_output=False, **one_hot), ["pickup_location_id", "dropoff_location_id"]),
    )


@also_right(champion)
def a_linear_model_with_a_curve(train):
    features = make_column_transformer(
        (SplineTransformer(n_knots=8, knots="quantile", extrapolation="linear"), ["trip_distance"]),
        (SimpleImputer(add_indicator=True), ["passenger_count"]),
        (OneHotEncoder(handle_unknown="ignore"), COLUMNS[2:]),
    )
    return make_pipeline(features, Ridge()).fit(train[COLUMNS], train["duration"])


@also_right(champion)
def trees_on_the_six_columns_alone(train):
    columns = sorted(COLUMNS)
    model = HistGradientBoostingRegressor(random_state=0, max_iter=60)
    return Pipeline([("trees", model)]).fit(train[columns], train["duration"].to_numpy())


@also_right(champion)
def selects_columns_by_type(train):
    features = make_column_transformer(
        (SimpleImputer(), make_column_selector(dtype_include="number")), remainder="drop"
    )
    model = HistGradientBoostingRegressor(random_state=0, max_iter=60)
    return make_pipeline(features, model).fit(train[COLUMNS], train["duration"])


@wrong(champion, caught_by=is_a_pipeline)
def gives_the_bare_model(train):
    columns = ["trip_distance", "hour", "weekday"]
    return LinearRegression().fit(train[columns], train["duration"])


@wrong(champion, caught_by=is_a_pipeline)
def gives_the_predictions(train):
    model = make_pipeline(_features(handle_unknown="ignore"), LinearRegression()).fit(
        train, train["duration"]
    )
    return model.predict(train)


@wrong(champion, caught_by=is_fitted_on_what_is_known)
def forgets_to_fit(train):
    return make_pipeline(_features(handle_unknown="ignore"), LinearRegression())


@wrong(champion, caught_by=is_fitted_on_what_is_known)
def takes_the_fare(train):
    features = make_column_transformer(("passthrough", ["trip_distance", "fare_amount"]))
    return make_pipeline(features, LinearRegression()).fit(train, train["duration"])


@wrong(champion, caught_by=fills_the_missing)
def drops_missing_beforehand(train):
    known = train.dropna()
    features = make_column_transformer(
        ("passthrough", ["trip_distance", "passenger_count", "hour", "weekday"])
    )
    return make_pipeline(features, LinearRegression()).fit(known, known["duration"])


@wrong(champion, caught_by=copes_with_an_unknown_zone)
def refuses_new_zones(train):
    return make_pipeline(_features(), LinearRegression()).fit(train, train["duration"])


@wrong(champion, caught_by=knows_more_than_the_distance)
def looks_at_the_distance_alone(train):
    features = make_column_transformer((SimpleImputer(), ["trip_distance"]))
    return make_pipeline(features, HistGradientBoostingRegressor(random_state=0, max_iter=30)).fit(
        train, train["duration"]
    )


@wrong(champion, caught_by=beats_the_mean_at_this_distance)
def draws_straight_lines(train):
    return make_pipeline(_features(handle_unknown="ignore"), LinearRegression()).fit(train, train["duration"])


@wrong(champion, caught_by=beats_the_mean_at_this_distance)
def fits_shuffled_answers(train):
    shuffled = train["duration"].sample(frac=1, random_state=0).to_numpy()
    return make_pipeline(_features(handle_unknown="ignore"), LinearRegression()).fit(train, shuffled)

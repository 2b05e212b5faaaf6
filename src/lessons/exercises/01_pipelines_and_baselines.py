"""Exercises of lesson 01: cleaning, joining and splitting trips, and a pipeline of your own."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from course.exercise import checks, right, wrong

# --- keep_plausible ---------------------------------------------------------------------------------------------------


def _durations() -> pd.DataFrame:
    return pd.DataFrame(
        {"duration": [0.2, 1.0, 30.0, 60.0, 1400.0], "trip_distance": [0.0, 0.3, 5.1, 17.0, 2.0]}
    )


@right
def keep_plausible(trips, low=1.0, high=60.0):
    """Return the trips that last from `low` to `high` minutes, both included. Leave `trips` as it is."""
    return trips[trips["duration"].between(low, high)]


@checks(keep_plausible)
def returns_the_rows(answer):
    """A comparison gives a column of True and False. Index the frame with it: `trips[mask]`."""
    kept = answer(_durations())
    assert isinstance(kept, pd.DataFrame), (
        f"you returned a {type(kept).__name__}; a DataFrame of trips is asked for"
    )
    columns = list(kept.columns)
    assert columns == ["duration", "trip_distance"], (
        f"the trips now have the columns {columns}; keep them as they are"
    )


@checks(keep_plausible)
def drops_the_impossible(answer):
    """Two conditions have to hold at once: combine them with `&`, or use `Series.between`."""
    kept = answer(_durations())["duration"].tolist()
    assert 0.2 not in kept and 1400.0 not in kept, f"from 0.2, 1, 30, 60 and 1400 minutes you kept {kept}"


@checks(keep_plausible)
def keeps_both_ends(answer):
    """`low` and `high` are allowed themselves: `>=` and `<=`."""
    kept = answer(_durations())["duration"].tolist()
    assert kept == [1.0, 30.0, 60.0], (
        f"from 0.2, 1, 30, 60 and 1400 minutes you kept {kept}; 1 and 60 belong to it"
    )


@checks(keep_plausible)
def obeys_its_arguments(answer):
    """Use the names `low` and `high` in the function, not the numbers of today's rule."""
    kept = answer(_durations(), low=10.0, high=1500.0)["duration"].tolist()
    assert kept == [30.0, 60.0, 1400.0], f"with low=10 and high=1500 you kept {kept}"


@checks(keep_plausible)
def leaves_the_input_alone(answer):
    """Return a selection. `inplace=True` and `del` change the frame of whoever called you."""
    trips = _durations()
    answer(trips)
    assert trips.equals(_durations()), "the frame that was passed in is no longer what it was"


@wrong(keep_plausible, caught_by=returns_the_rows)
def returns_the_mask(trips, low=1.0, high=60.0):
    return trips["duration"].between(low, high)


@wrong(keep_plausible, caught_by=returns_the_rows)
def returns_only_the_durations(trips, low=1.0, high=60.0):
    return trips[["duration"]][trips["duration"].between(low, high)]


@wrong(keep_plausible, caught_by=drops_the_impossible)
def joins_with_or(trips, low=1.0, high=60.0):
    return trips[(trips["duration"] >= low) | (trips["duration"] <= high)]


@wrong(keep_plausible, caught_by=drops_the_impossible)
def forgets_the_long_ones(trips, low=1.0, high=60.0):
    return trips[trips["duration"] >= low]


@wrong(keep_plausible, caught_by=keeps_both_ends)
def loses_the_ends(trips, low=1.0, high=60.0):
    return trips[(trips["duration"] > low) & (trips["duration"] < high)]


@wrong(keep_plausible, caught_by=obeys_its_arguments)
def writes_the_numbers_down(trips, low=1.0, high=60.0):
    return trips[trips["duration"].between(1, 60)]


@wrong(keep_plausible, caught_by=leaves_the_input_alone)
def drops_in_place(trips, low=1.0, high=60.0):
    trips.drop(trips[~trips["duration"].between(low, high)].index, inplace=True)
    return trips


# --- passengers_or_missing --------------------------------------------------------------------------------------------


def _passengers() -> pd.DataFrame:
    return pd.DataFrame({"passenger_count": [1.0, 0.0, np.nan, 2.0], "trip_distance": [0.0, 1.0, 2.0, 3.0]})


@right
def passengers_or_missing(trips):
    """Return a copy of `trips` in which a `passenger_count` of zero is missing (NaN).
    Change nothing else."""
    return trips.assign(passenger_count=trips["passenger_count"].replace(0, np.nan))


@checks(passengers_or_missing)
def returns_all_trips(answer):
    """The trips themselves are fine. Only one value of theirs is not known: keep every row and column."""
    cleaned = answer(_passengers())
    assert isinstance(cleaned, pd.DataFrame), (
        f"you returned a {type(cleaned).__name__}; a DataFrame is asked for"
    )
    assert cleaned.shape == (4, 2), (
        f"of 4 trips and 2 columns you returned {cleaned.shape[0]} and {cleaned.shape[1]}"
    )


@checks(passengers_or_missing)
def zero_became_missing(answer):
    """`replace(0, np.nan)` or `where(count > 0)` on that one column; assign the result, it is not changed in place."""
    counts = answer(_passengers())["passenger_count"]
    zeros = int((counts == 0).sum())
    assert zeros == 0, f"there is still {zeros} trip with zero passengers"
    assert counts.isna().sum() == 2, (
        f"two counts are unknown now; you have {int(counts.isna().sum())} missing"
    )


@checks(passengers_or_missing)
def other_columns_are_untouched(answer):
    """A distance of zero is another question. Name the column before you replace."""
    distances = answer(_passengers())["trip_distance"].tolist()
    assert distances == [0.0, 1.0, 2.0, 3.0], f"the distances 0, 1, 2, 3 became {distances}"


@checks(passengers_or_missing)
def the_input_stays_as_it_was(answer):
    """Start from `trips.copy()`, or use `assign`, which copies."""
    trips = _passengers()
    answer(trips)
    assert trips.equals(_passengers()), "the frame that was passed in is no longer what it was"


@wrong(passengers_or_missing, caught_by=returns_all_trips)
def drops_the_rows(trips):
    return trips[trips["passenger_count"] > 0]


@wrong(passengers_or_missing, caught_by=returns_all_trips)
def returns_the_column(trips):
    return trips["passenger_count"].replace(0, np.nan)


@wrong(passengers_or_missing, caught_by=zero_became_missing)
def forgets_to_assign(trips):
    trips = trips.copy()
    trips["passenger_count"].replace(0, np.nan)
    return trips


@wrong(passengers_or_missing, caught_by=zero_became_missing)
def fills_with_the_median(trips):
    counts = trips["passenger_count"].replace(0, np.nan)
    return trips.assign(passenger_count=counts.fillna(counts.median()))


@wrong(passengers_or_missing, caught_by=other_columns_are_untouched)
def replaces_everywhere(trips):
    return trips.replace(0, np.nan)


@wrong(passengers_or_missing, caught_by=the_input_stays_as_it_was)
def writes_into_the_callers_frame(trips):
    trips.loc[trips["passenger_count"] == 0, "passenger_count"] = np.nan
    return trips


# --- add_holiday ------------------------------------------------------------------------------------------------------


def _days() -> pd.DataFrame:
    days = pd.to_datetime(["2019-07-03", "2019-07-04", "2019-07-04", "2008-12-31"])
    return pd.DataFrame({"day": days, "duration": [9.0, 7.0, 8.0, 5.0]})


def _calendar() -> pd.DataFrame:
    return pd.DataFrame({"day": pd.to_datetime(["2019-07-04"]), "holiday": ["Independence Day"]})


@right
def add_holiday(trips, calendar):
    """Return `trips` with the column `holiday` of `calendar`, joined on `day`: every trip once,
    in the same order, NaN where the day is none. Let the join raise an error when `calendar`
    lists a day twice."""
    return trips.merge(calendar, on="day", how="left", validate="many_to_one")


@checks(add_holiday)
def keeps_every_trip(answer):
    """Which rows `merge` keeps is decided by `how=`. Its default keeps the matches only."""
    joined = answer(_days(), _calendar())
    assert isinstance(joined, pd.DataFrame), (
        f"you returned a {type(joined).__name__}; a DataFrame is asked for"
    )
    assert len(joined) == 4, f"4 trips went in, {len(joined)} came out"
    assert joined["duration"].tolist() == [9.0, 7.0, 8.0, 5.0], "the trips came out in another order"


@checks(add_holiday)
def names_the_holiday(answer):
    """Join on `day` and bring the column `holiday` along, as it stands in the calendar."""
    joined = answer(_days(), _calendar())
    assert "holiday" in joined, f"the columns are {list(joined.columns)}; `holiday` is not among them"
    named = joined["holiday"].tolist()
    assert named[1:3] == ["Independence Day"] * 2, f"4 July became {named[1]!r}"
    assert joined["holiday"].isna().tolist() == [True, False, False, True], (
        "days that are no holiday must stay missing"
    )


@checks(add_holiday)
def refuses_a_day_listed_twice(answer):
    """`validate=` states what you expect of the keys: many trips to one day is "many_to_one"."""
    doubled = pd.concat([_calendar(), _calendar()], ignore_index=True)
    refused = False
    try:
        answer(_days(), doubled)
    except Exception:  # pandas raises MergeError; an assertion of the student's own is as good
        refused = True
    assert refused, "a calendar that lists 4 July twice was joined without a word"


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
def hides_the_doubles(trips, calendar):
    return trips.merge(calendar.drop_duplicates("day"), on="day", how="left")


# --- split_at ---------------------------------------------------------------------------------------------------------


def _pickups() -> pd.DataFrame:
    stamps = ["2019-09-30 23:59:59", "2019-10-02 08:00:00", "2019-10-01 00:00:00", "2019-07-01 12:00:00"]
    return pd.DataFrame({"pickup_datetime": pd.to_datetime(stamps), "duration": [1.0, 2.0, 3.0, 4.0]})


@right
def split_at(trips, cutoff):
    """Return `(train, test)`: the trips picked up before `cutoff` (a date as text), and
    those from `cutoff` on."""
    before = trips["pickup_datetime"] < pd.Timestamp(cutoff)
    return trips[before], trips[~before]


def _parts(answer) -> list:
    parts = answer(_pickups(), "2019-10-01")
    assert isinstance(parts, tuple | list) and len(parts) == 2, (
        f"you returned a {type(parts).__name__}, not two frames"
    )
    for part in parts:
        assert isinstance(part, pd.DataFrame), (
            f"one part is a {type(part).__name__}; both must be a DataFrame"
        )
    return [sorted(part["duration"]) for part in parts]


@checks(split_at)
def gives_two_frames(answer):
    """`return train, test`: two frames, with a comma between them."""
    _parts(answer)


@checks(split_at)
def loses_no_trip(answer):
    """Every trip belongs to exactly one side: build the second mask as `~` of the first."""
    train, test = _parts(answer)
    assert sorted(train + test) == [1.0, 2.0, 3.0, 4.0], f"{len(train)} + {len(test)} trips came out of 4"


@checks(split_at)
def no_future_in_training(answer):
    """Compare `pickup_datetime` with the cutoff. Rows are not always in the order of time, and a shuffle knows no time at all."""
    train, _ = _parts(answer)
    assert not {2.0, 3.0} & set(train), "a trip from October is in the training set"


@checks(split_at)
def midnight_belongs_to_the_test(answer):
    """The last second of September is training, midnight is test: mind `<` and `<=`, and a cutoff that is a day, not a month."""
    train, test = _parts(answer)
    assert train == [1.0, 4.0], f"training should hold both trips before midnight, and it has {len(train)}"


@wrong(split_at, caught_by=gives_two_frames)
def returns_the_training_set(trips, cutoff):
    return trips[trips["pickup_datetime"] < cutoff]


@wrong(split_at, caught_by=loses_no_trip)
def drops_the_cutoff(trips, cutoff):
    return trips[trips["pickup_datetime"] < cutoff], trips[trips["pickup_datetime"] > cutoff]


@wrong(split_at, caught_by=no_future_in_training)
def takes_the_cutoff_into_training(trips, cutoff):
    before = trips["pickup_datetime"] <= cutoff
    return trips[before], trips[~before]


@wrong(split_at, caught_by=no_future_in_training)
def splits_by_position(trips, cutoff):
    half = len(trips) // 2
    return trips.iloc[:half], trips.iloc[half:]


@wrong(split_at, caught_by=no_future_in_training)
def shuffles(trips, cutoff):
    train = trips.sample(frac=0.5, random_state=1)
    return train, trips.drop(train.index)


@wrong(split_at, caught_by=midnight_belongs_to_the_test)
def leaves_the_last_day_out_of_training(trips, cutoff):
    before = trips["pickup_datetime"].dt.normalize() < pd.Timestamp(cutoff) - pd.Timedelta(days=1)
    return trips[before], trips[~before]


# --- champion ---------------------------------------------------------------------------------------------------------


def context() -> dict:
    """What the notebook has when the value exercise is met, in small."""
    generator = np.random.default_rng(0)
    n = 400
    train = pd.DataFrame(
        {
            "trip_distance": generator.gamma(2.0, 1.5, n),
            "passenger_count": generator.choice([1.0, 2.0, np.nan], n),
            "pickup_location_id": generator.integers(1, 20, n),
            "dropoff_location_id": generator.integers(1, 20, n),
            "hour": generator.integers(0, 24, n),
            "weekday": generator.integers(0, 7, n),
        }
    )
    train["duration"] = 3 + 3.5 * train["trip_distance"] + generator.normal(0, 1, n)
    train["fare_amount"] = 2.5 + train["duration"] / 2
    return {"train": train}


@right(value=True)
def champion(train):
    """Fit a pipeline of your own on `train` and bind it to `champion`. It takes the columns
    `trip_distance`, `passenger_count`, `pickup_location_id`, `dropoff_location_id`, `hour`
    and `weekday`, fills what is missing, and copes with a zone that it has never seen.
    Any regressor will do."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    zones = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30, sparse_output=False)
    features = make_column_transformer(
        (numbers, ["trip_distance", "passenger_count", "hour", "weekday"]),
        (zones, ["pickup_location_id", "dropoff_location_id"]),
    )
    return make_pipeline(features, HistGradientBoostingRegressor(random_state=0)).fit(
        train, train["duration"]
    )


def _new_trips() -> pd.DataFrame:
    trips = pd.DataFrame(
        {
            "trip_distance": [1.0, 4.0, 9.0],
            "passenger_count": [1.0, 2.0, 1.0],
            "pickup_location_id": [4, 7, 10],
            "dropoff_location_id": [7, 10, 4],
            "hour": [8, 14, 22],
            "weekday": [0, 2, 5],
        }
    )
    # The lesson's own column, so that a pipeline built from its parts is welcome too.
    return trips.assign(is_holiday=0)


@checks(champion)
def is_a_pipeline(answer):
    """`make_pipeline(features, model)`: the preparation has to travel with the model."""
    assert isinstance(answer, Pipeline), (
        f"champion is a {type(answer).__name__}; a scikit-learn Pipeline is asked for"
    )


@checks(champion)
def is_fitted_on_what_is_known(answer):
    """Call `.fit(train, train["duration"])`, and give it only columns that exist when the trip starts: not the fare, not the duration."""
    try:
        yhat = np.asarray(answer.predict(_new_trips()), dtype=float)
    except Exception as error:
        raise AssertionError(f"predict on three new trips raised {type(error).__name__}: {error}") from None
    assert yhat.shape == (3,), f"three trips gave predictions of shape {yhat.shape}"


@checks(champion)
def fills_the_missing(answer):
    """Put a `SimpleImputer` inside the pipeline; a table that was filled beforehand does not help tomorrow's trips."""
    trips = _new_trips().assign(passenger_count=np.nan)
    try:
        finite = bool(np.isfinite(answer.predict(trips)).all())
    except Exception as error:
        raise AssertionError(f"a missing passenger count raised {type(error).__name__}") from None
    assert finite, "a missing passenger count gave a prediction that is no number"


@checks(champion)
def copes_with_an_unknown_zone(answer):
    """`OneHotEncoder(handle_unknown=...)` decides what happens with a zone that was not in the training months; its default is an error."""
    trips = _new_trips().assign(pickup_location_id=999)
    try:
        answer.predict(trips)
    except Exception as error:
        raise AssertionError(
            f"zone 999 raised {type(error).__name__}: {str(error).splitlines()[0]}"
        ) from None


@checks(champion)
def farther_takes_longer(answer):
    """Nine miles must take longer than one. If they do not, look at the order of your columns and at what the model was fitted on."""
    trips = pd.concat([_new_trips().iloc[[0]]] * 2, ignore_index=True).assign(trip_distance=[1.0, 9.0])
    short, long = answer.predict(trips)
    assert long > short + 5, f"one mile takes {short:.1f} minutes and nine miles {long:.1f}"


def _features(**one_hot) -> object:
    return make_column_transformer(
        (SimpleImputer(), ["trip_distance", "passenger_count", "hour", "weekday"]),
        (OneHotEncoder(sparse_output=False, **one_hot), ["pickup_location_id", "dropoff_location_id"]),
    )


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


@wrong(champion, caught_by=farther_takes_longer)
def fits_shuffled_answers(train):
    shuffled = train["duration"].sample(frac=1, random_state=0).to_numpy()
    return make_pipeline(_features(handle_unknown="ignore"), LinearRegression()).fit(train, shuffled)

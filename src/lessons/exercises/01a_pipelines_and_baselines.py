"""Exercises of lesson 01a: disguised missing values, a split in time, and a test that finds a leaking column."""

import numpy as np
import pandas as pd

from course.exercise import also_right, checks, right, wrong

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
    """What is wrong with these trips: the trip, or one number that somebody typed? Keep every row and column."""
    cleaned = answer(_passengers())
    assert isinstance(cleaned, pd.DataFrame), (
        f"you returned a {type(cleaned).__name__}; a DataFrame is asked for"
    )
    assert cleaned.shape == (4, 2), (
        f"of 4 trips and 2 columns you returned {cleaned.shape[0]} and {cleaned.shape[1]}"
    )


@checks(passengers_or_missing)
def zero_became_missing(answer):
    """What is in the column after your function? Methods such as `replace` and `where` return a new column; the old one stays as it was."""
    counts = answer(_passengers())["passenger_count"]
    zeros = int((counts == 0).sum())
    assert zeros == 0, f"there is still {zeros} trip with zero passengers"
    assert counts.isna().sum() == 2, (
        f"two counts are unknown now; you have {int(counts.isna().sum())} missing"
    )


@checks(passengers_or_missing)
def other_columns_are_untouched(answer):
    """Is a distance of zero a missing value as well? Change the column that the task names, no other."""
    distances = answer(_passengers())["trip_distance"].tolist()
    assert distances == [0.0, 1.0, 2.0, 3.0], f"the distances 0, 1, 2, 3 became {distances}"


@checks(passengers_or_missing)
def the_input_stays_as_it_was(answer):
    """Who else holds the frame that you were given? Whatever you write into it, its owner sees. Which methods return a new frame?"""
    trips = _passengers()
    answer(trips)
    assert trips.equals(_passengers()), "the frame that was passed in is no longer what it was"


@also_right(passengers_or_missing)
def masks_the_zeros(trips):
    result = trips.copy()
    result["passenger_count"] = result["passenger_count"].mask(result["passenger_count"] == 0)
    return result


@also_right(passengers_or_missing)
def chooses_with_numpy(trips):
    counts = trips["passenger_count"].to_numpy(dtype=float)
    return trips.assign(passenger_count=np.where(counts == 0, np.nan, counts))


@also_right(passengers_or_missing)
def goes_value_by_value(trips):
    counts = [float("nan") if count == 0 else count for count in trips["passenger_count"]]
    return trips.assign(passenger_count=counts)


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


# --- split_at ---------------------------------------------------------------------------------------------------------


def _pickups() -> pd.DataFrame:
    stamps = ["2019-09-30 23:59:59", "2019-10-02 08:00:00", "2019-10-01 00:00:00", "2019-07-01 12:00:00"]
    return pd.DataFrame({"pickup_datetime": pd.to_datetime(stamps), "duration": [1.0, 2.0, 3.0, 4.0]})


@right
def split_at(trips, cutoff):
    """Return `(train, test)`: the trips picked up before `cutoff` (a date as text, such as
    "2019-10-01"), and those from `cutoff` on."""
    before = trips["pickup_datetime"] < pd.Timestamp(cutoff)
    return trips[before], trips[~before]


def _parts(answer, cutoff: str = "2019-10-01", trips: pd.DataFrame | None = None) -> list:
    parts = answer(_pickups() if trips is None else trips, cutoff)
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
    """How many things does the caller want to have? `train, test = split_at(…)` needs two."""
    _parts(answer)


@checks(split_at)
def loses_no_trip(answer):
    """Is there a trip that is neither before the cutoff nor after it? Every trip belongs to exactly one side."""
    train, test = _parts(answer)
    assert sorted(train + test) == [1.0, 2.0, 3.0, 4.0], f"{len(train)} + {len(test)} trips came out of 4"


@checks(split_at)
def no_future_in_training(answer):
    """Which column knows when a trip began? The rows may be in any order, and a shuffle knows no time at all."""
    train, _ = _parts(answer)
    assert not {2.0, 3.0} & set(train), "a trip from October is in the training set"


@checks(split_at)
def midnight_belongs_to_the_test(answer):
    """On which side are the last second of September and the first of October? A trip from the cutoff on is test."""
    train, test = _parts(answer)
    assert train == [1.0, 4.0], f"training should hold both trips before midnight, and it has {len(train)}"


@checks(split_at)
def obeys_the_cutoff(answer):
    """What if somebody asks for another day, or the trips span two years? The only date in your function is `cutoff`."""
    train, _ = _parts(answer, "2019-08-15")
    assert train == [4.0], (
        f"with the cutoff 15 August one of the trips is training, and you have {len(train)}"
    )
    years = _pickups()
    years.loc[1, "pickup_datetime"] = pd.Timestamp("2020-03-05 10:00:00")
    train, _ = _parts(answer, "2020-01-10", years)
    assert train == [1.0, 3.0, 4.0], (
        f"with the cutoff 10 January 2020 the 3 trips of 2019 are training, and you have {len(train)}"
    )


@also_right(split_at)
def queries_twice(trips, cutoff):
    return trips.query("pickup_datetime < @cutoff"), trips.query("pickup_datetime >= @cutoff")


@also_right(split_at)
def searches_the_sorted_times(trips, cutoff):
    ordered = trips.sort_values("pickup_datetime")
    place = ordered["pickup_datetime"].searchsorted(pd.Timestamp(cutoff), side="left")
    return ordered.iloc[:place], ordered.iloc[place:]


@also_right(split_at)
def compares_days_as_numpy(trips, cutoff):
    late = trips["pickup_datetime"].to_numpy() >= np.datetime64(cutoff)
    return [trips.loc[~late], trips.loc[late]]


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


@wrong(split_at, caught_by=obeys_the_cutoff)
def writes_the_date_down(trips, cutoff):
    before = trips["pickup_datetime"] < "2019-10-01"
    return trips[before], trips[~before]


@wrong(split_at, caught_by=obeys_the_cutoff)
def compares_the_month_of_the_year(trips, cutoff):
    before = trips["pickup_datetime"].dt.month < pd.Timestamp(cutoff).month
    return trips[before], trips[~before]


@wrong(split_at, caught_by=obeys_the_cutoff)
def knows_that_october_is_ten(trips, cutoff):
    before = trips["pickup_datetime"].dt.month < 10
    return trips[before], trips[~before]


# --- leaking_columns --------------------------------------------------------------------------------------------------


def _trips() -> pd.DataFrame:
    """Trips on three routes; the last three are judged, one of them on a route that is new."""
    return pd.DataFrame(
        {
            "route": ["a", "a", "b", "b", "a", "b", "c"],
            "trip_distance": [1.0, 1.2, 4.0, 4.4, 1.1, 4.2, 9.0],
            "duration": [5.0, 7.0, 16.0, 20.0, 30.0, 18.0, 41.0],
        },
        index=[10, 11, 12, 13, 14, 15, 16],
    )


def _judged() -> pd.Series:
    trips = _trips()
    return pd.Series(trips.index >= 14, index=trips.index)


def _averages_of_all_rows(trips):
    overall = trips.groupby("route")["duration"].transform("mean")
    return trips[["trip_distance"]].assign(route_mean=overall)


def _averages_of_training_rows(trips):
    known = trips[trips.index < 14]
    means = known.groupby("route")["duration"].mean()  # a new route gets NaN
    return trips[["trip_distance"]].assign(route_mean=trips["route"].map(means))


def _several(trips):
    longest = trips["duration"].max()
    return pd.DataFrame(
        {
            "share_of_longest": trips["trip_distance"] / longest,
            "trip_distance": trips["trip_distance"],
            "is_long": trips["duration"] > 25,
            "route": trips["route"],
        }
    )


def _in_place(trips):
    trips["minutes"] = trips["duration"].round()
    return trips[["minutes", "trip_distance"]]


@right
def leaking_columns(make_features, trips, is_judged):
    """`make_features(trips)` returns a frame of features, a row a trip. Return a sorted list of
    the columns in which the `duration` of the judged trips is hidden. `is_judged` is a Series of
    True and False with the index of `trips`. Leave `trips` as it is."""
    changed = trips.copy()
    changed.loc[is_judged, "duration"] += 1_000
    before, after = make_features(trips.copy()), make_features(changed)
    return sorted(column for column in before if not before[column].equals(after[column]))


def _found(answer, make, trips=None) -> list:
    columns = answer(make, _trips() if trips is None else trips, _judged())
    assert isinstance(columns, list | tuple | set | pd.Index | np.ndarray), (
        f"you returned a {type(columns).__name__}; a list of column names is asked for"
    )
    return list(columns)


@checks(leaking_columns)
def finds_the_average_of_all_rows(answer):
    """What would happen to an honest column if the judged trips had taken an hour longer? Build the features twice and compare."""
    columns = _found(answer, _averages_of_all_rows)
    assert "route_mean" in columns, (
        f"an average over all rows holds the judged answers, and you found {columns or 'nothing'}"
    )
    assert columns == ["route_mean"], f"only 'route_mean' leaks here, and you found {columns}"


@checks(leaking_columns)
def training_rows_may_be_used(answer):
    """Whose answers did you change? Averages of the training rows are no leak: leave the answers of the training rows as they are."""
    columns = _found(answer, lambda trips: _averages_of_training_rows(trips).fillna(0))
    assert columns == [], f"averages of the training rows alone leak nothing, and you found {columns}"


@checks(leaking_columns)
def what_is_missing_twice_has_not_changed(answer):
    """Is NaN equal to NaN? For a route that training has never seen the average is missing, before and after."""
    columns = _found(answer, _averages_of_training_rows)
    assert columns == [], f"a missing value stayed missing, and you report {columns}"


@checks(leaking_columns)
def finds_every_leak_by_name(answer):
    """Can your change of the answers pass unnoticed? A flag "longer than 25 minutes" moves only if the change is large, and not every column is a number."""
    columns = _found(answer, _several)
    assert columns == ["is_long", "share_of_longest"], (
        f"'is_long' and 'share_of_longest' are made of the durations; you found {columns}"
    )


@checks(leaking_columns)
def leaves_the_trips_alone(answer):
    """What if `make_features` writes into the frame that it gets? Give it a copy, and change a copy."""
    trips = _trips()
    _found(answer, _averages_of_all_rows, trips)
    assert trips.equals(_trips()), "the frame that was passed in is no longer what it was"
    columns = _found(answer, _in_place, trips)
    assert trips.equals(_trips()), "`make_features` wrote into the frame that was passed in"
    assert columns == ["minutes"], f"'minutes' leaks and nothing else; you found {columns}"


@also_right(leaking_columns)
def negates_and_compares_with_numpy(make_features, trips, is_judged):
    other = trips.assign(duration=np.where(is_judged, -trips["duration"] - 500, trips["duration"]))
    first, second = make_features(trips.copy()), make_features(other)
    leaks = []
    for column in sorted(first.columns):
        a, b = first[column].to_numpy(), second[column].to_numpy()
        same = (a == b) | (pd.isna(a) & pd.isna(b))
        if not same.all():
            leaks.append(column)
    return leaks


@also_right(leaking_columns)
def uses_the_comparison_of_pandas(make_features, trips, is_judged):
    other = trips.copy()
    other["duration"] = other["duration"].mask(is_judged, 10_000.0)
    return sorted(
        make_features(trips.copy()).compare(make_features(other)).columns.get_level_values(0).unique()
    )


@also_right(leaking_columns)
def compares_the_judged_rows_only(make_features, trips, is_judged):
    other = trips.copy()
    other.loc[is_judged, "duration"] = other.loc[is_judged, "duration"] * 100 + 7
    a, b = (make_features(frame)[is_judged.to_numpy()].astype(object) for frame in (trips.copy(), other))
    differs = (a != b) & ~(a.isna() & b.isna())
    return sorted(differs.columns[differs.any()])


@wrong(leaking_columns, caught_by=finds_the_average_of_all_rows)
def asks_the_names(make_features, trips, is_judged):
    return sorted(column for column in make_features(trips.copy()) if "duration" in column)


@wrong(leaking_columns, caught_by=finds_the_average_of_all_rows)
def measures_the_correlation(make_features, trips, is_judged):
    features = make_features(trips.copy()).select_dtypes("number")
    return sorted(column for column in features if abs(features[column].corr(trips["duration"])) > 0.8)


@wrong(leaking_columns, caught_by=training_rows_may_be_used)
def changes_all_answers(make_features, trips, is_judged):
    changed = trips.assign(duration=trips["duration"] + 1_000)
    before, after = make_features(trips.copy()), make_features(changed)
    return sorted(column for column in before if not before[column].equals(after[column]))


@wrong(leaking_columns, caught_by=what_is_missing_twice_has_not_changed)
def takes_nan_for_a_change(make_features, trips, is_judged):
    changed = trips.copy()
    changed.loc[is_judged, "duration"] += 1_000
    before, after = make_features(trips.copy()), make_features(changed)
    return sorted(column for column in before if (before[column] != after[column]).any())


@wrong(leaking_columns, caught_by=finds_every_leak_by_name)
def changes_the_answers_a_little(make_features, trips, is_judged):
    changed = trips.copy()
    changed.loc[is_judged, "duration"] += 0.001
    before, after = make_features(trips.copy()), make_features(changed)
    return sorted(column for column in before if not before[column].equals(after[column]))


@wrong(leaking_columns, caught_by=finds_every_leak_by_name)
def looks_at_the_numbers_only(make_features, trips, is_judged):
    changed = trips.copy()
    changed.loc[is_judged, "duration"] += 1_000
    before, after = (make_features(frame).select_dtypes("number") for frame in (trips.copy(), changed))
    return sorted(column for column in before if not before[column].equals(after[column]))


@wrong(leaking_columns, caught_by=leaves_the_trips_alone)
def writes_into_the_trips(make_features, trips, is_judged):
    before = make_features(trips.copy())
    trips.loc[is_judged, "duration"] += 1_000
    after = make_features(trips.copy())
    return sorted(column for column in before if not before[column].equals(after[column]))

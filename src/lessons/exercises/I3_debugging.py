"""Exercises of I3: eight faults named by their runs, each of them mended, and the days of two jumps."""

import logging
import math
import uuid
from datetime import datetime
from itertools import combinations
from zoneinfo import ZoneInfo

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from scipy import stats
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import mean_absolute_error

from course.exercise import also_right, checks, right, wrong
from course.stores import own_store

logging.getLogger("mlflow").setLevel(logging.WARNING)  # else it reports the making of tables on stderr

ZONES = ["pickup_location_id", "dropoff_location_id"]


# --- diagnosis --------------------------------------------------------------------------------------------------------


@right(value=True)
def diagnosis():
    """Name the fault behind each ticket. Bind `diagnosis` to a dict from "A" … "H" to one of these, each used once.

    "scaler sees the future", "target encoded before the split", "shuffled time split", "unit changed upstream",
    "wrong metric direction", "stale model served", "train/serve skew", "seed luck".
    """
    return {
        "A": "target encoded before the split",
        "B": "unit changed upstream",
        "C": "shuffled time split",
        "D": "stale model served",
        "E": "seed luck",
        "F": "scaler sees the future",
        "G": "wrong metric direction",
        "H": "train/serve skew",
    }


_FAULTS = {
    "scaler sees the future",
    "target encoded before the split",
    "shuffled time split",
    "unit changed upstream",
    "wrong metric direction",
    "stale model served",
    "train/serve skew",
    "seed luck",
}


def _named(answer, letters, why):
    """Refuse the first of `letters` that has another fault's name, and say where to look."""
    due = {
        "A": "target encoded before the split",
        "B": "unit changed upstream",
        "C": "shuffled time split",
        "D": "stale model served",
        "E": "seed luck",
        "F": "scaler sees the future",
        "G": "wrong metric direction",
        "H": "train/serve skew",
    }
    for letter in letters:
        assert answer[letter] == due[letter], f"ticket {letter} is not {answer[letter]!r}: {why[letter]}"


@checks(diagnosis)
def each_ticket_has_a_fault_of_its_own(answer):
    """Which letters are there, and which names? Each name of the task stands behind one ticket, spelled as it is there."""
    assert isinstance(answer, dict), f"diagnosis is a {type(answer).__name__}, a dict is asked for"
    assert set(answer) == set("ABCDEFGH"), f"the letters are {sorted(map(str, answer))}; A to H are asked for"
    odd = sorted({str(value) for value in answer.values()} - _FAULTS)
    assert not odd, f"{odd} is no fault of the list; copy the names from the task"
    unused = sorted(_FAULTS - set(answer.values()))
    assert not unused, f"each fault stands behind one ticket; you have no ticket for {unused}"


@checks(diagnosis)
def leaks_are_told_apart(answer):
    """All three move when later answers are spoilt. Ask what carries them: a column, the choice of rows, or the target itself?"""
    _named(
        answer,
        "ACF",
        {
            "A": "remove the new column and the score is the old one, so the answers travel in that column",
            "C": "every column is known in advance, so look at which rows are in training",
            "F": "with honest columns and a split at a date, what is left is what was done to the target",
        },
    )


@checks(diagnosis)
def faults_of_the_input_are_told_apart(answer):
    """Did the world's numbers change on a day, for training and serving alike, or do two programs differ on the same trip?"""
    _named(
        answer,
        "BH",
        {
            "B": "one column moved by one factor, on one day",
            "H": "the inputs are the same trips, and two programs make other features of them",
        },
    )


@checks(diagnosis)
def faults_of_the_process_are_told_apart(answer):
    """Here every model is what its run says. Look at how one was chosen, and at which one answers."""
    _named(
        answer,
        "DEG",
        {
            "D": "the answers are those of version 1, to the last digit",
            "E": "the runs differ in nothing but one number that has no meaning",
            "G": "the run chosen is in the table, at its wrong end",
        },
    )


@also_right(diagnosis)
def turned_round():
    behind = {
        "stale model served": "D",
        "train/serve skew": "H",
        "seed luck": "E",
        "unit changed upstream": "B",
        "wrong metric direction": "G",
        "shuffled time split": "C",
        "scaler sees the future": "F",
        "target encoded before the split": "A",
    }
    return {letter: fault for fault, letter in behind.items()}


@also_right(diagnosis)
def as_two_lists():
    faults = [
        "target encoded before the split",
        "unit changed upstream",
        "shuffled time split",
        "stale model served",
        "seed luck",
        "scaler sees the future",
        "wrong metric direction",
        "train/serve skew",
    ]
    return dict(zip("ABCDEFGH", faults, strict=True))


@wrong(diagnosis, caught_by=each_ticket_has_a_fault_of_its_own)
def calls_everything_a_leak():
    return dict.fromkeys("ABCDEFGH", "scaler sees the future")


@wrong(diagnosis, caught_by=each_ticket_has_a_fault_of_its_own)
def says_drift():
    return {**diagnosis(), "B": "drift"}


@wrong(diagnosis, caught_by=each_ticket_has_a_fault_of_its_own)
def lists_the_faults():
    return list(diagnosis().values())


@wrong(diagnosis, caught_by=leaks_are_told_apart)
def takes_the_scaler_for_the_split():
    return {**diagnosis(), "F": "shuffled time split", "C": "scaler sees the future"}


@wrong(diagnosis, caught_by=leaks_are_told_apart)
def takes_the_encoding_for_skew():
    return {**diagnosis(), "A": "train/serve skew", "H": "target encoded before the split"}


@wrong(diagnosis, caught_by=faults_of_the_input_are_told_apart)
def takes_the_unit_for_skew():
    return {**diagnosis(), "B": "train/serve skew", "H": "unit changed upstream"}


@wrong(diagnosis, caught_by=faults_of_the_input_are_told_apart)
def takes_the_unit_for_a_stale_model():
    return {**diagnosis(), "B": "stale model served", "D": "unit changed upstream"}


@wrong(diagnosis, caught_by=faults_of_the_process_are_told_apart)
def takes_luck_for_the_direction():
    return {**diagnosis(), "E": "wrong metric direction", "G": "seed luck"}


@wrong(diagnosis, caught_by=faults_of_the_process_are_told_apart)
def takes_the_stale_model_for_luck():
    return {**diagnosis(), "D": "seed luck", "E": "stale model served"}


# --- route_minutes ----------------------------------------------------------------------------------------------------


@right
def route_minutes(trips, test_from):
    """Return a Series with the mean `duration` of each trip's route, on the index of `trips`, without a leak.

    A route is a pair of `pickup_location_id` and `dropoff_location_id`. Trips with `pickup_datetime` before
    `test_from` are the training trips; only their durations are used. A training trip gets the mean of the
    *other* training trips on its route. Where there is none, the mean of all training trips.
    """
    zones = ["pickup_location_id", "dropoff_location_id"]
    is_train = trips["pickup_datetime"] < test_from
    train = trips[is_train]
    route = train.groupby(zones)["duration"]
    others = (route.transform("sum") - train["duration"]) / (route.transform("count") - 1)  # 0 / 0 is missing
    looked_up = trips[~is_train].join(route.mean().rename("minutes"), on=zones)["minutes"]
    minutes = pd.concat([others, looked_up]).reindex(trips.index)
    return minutes.fillna(train["duration"].mean())


_FIRST_TEST_DAY = pd.Timestamp("2019-10-01")


def _route_trips():
    """Ten trips in no order; train: route 1→2 with 10, 20, 60, route 3→4 with 14; test: 1→2 twice, 3→4, 5→6 twice."""
    rows = [
        ("2019-10-02", 1, 2, 300.0),
        ("2019-09-01", 1, 2, 10.0),
        ("2019-10-01", 5, 6, 200.0),
        ("2019-09-03", 3, 4, 14.0),
        ("2019-09-02", 1, 2, 20.0),
        ("2019-10-05", 3, 4, 500.0),
        ("2019-09-30", 1, 2, 60.0),
        ("2019-10-09", 1, 2, 400.0),
        ("2019-10-09", 5, 6, 100.0),
    ]
    trips = pd.DataFrame(rows, columns=["pickup_datetime", *ZONES, "duration"], index=range(50, 59))
    return trips.assign(pickup_datetime=pd.to_datetime(trips["pickup_datetime"]))


def _minutes(answer):
    trips = _route_trips()
    got = answer(trips.copy(), _FIRST_TEST_DAY)
    assert isinstance(got, pd.Series), f"return a Series, not a {type(got).__name__}"
    assert len(got) == len(trips) and set(got.index) == set(trips.index), (
        "the Series must have the index of `trips`, each row once; a merge numbers the rows anew"
    )
    return got.astype(float)


@checks(route_minutes)
def test_answers_stay_out(answer):
    """On the day of a test trip, which durations are known? Learn from those alone, and look the result up for the later rows."""
    got = _minutes(answer)
    for row in (50, 57):
        assert abs(got[row] - 30) < 1e-9, (
            f"route 1→2 took 10, 20 and 60 minutes in training: a test trip gets 30, yours {got[row]:g}"
        )
    assert abs(got[55] - 14) < 1e-9, f"route 3→4 took 14 minutes in training, a test trip gets {got[55]:g}"


@checks(route_minutes)
def own_duration_stays_out(answer):
    """What would a training row learn if its own answer were part of its feature? A route's sum and count are enough to leave one trip out."""
    got = _minutes(answer)
    for row, due in {51: 40, 54: 35, 56: 15}.items():
        assert abs(got[row] - due) < 1e-9, (
            f"of 10, 20, 60 each trip gets the mean of the other two, {due} here; yours {got[row]:g}"
        )


@checks(route_minutes)
def unknown_routes_get_the_training_mean(answer):
    """Which trips have no other training trip on their route? There are two kinds, and both get the mean of all training trips."""
    got = _minutes(answer)
    for row, what in {
        52: "a route that training never saw",
        53: "the only training trip of its route",
    }.items():
        assert abs(got[row] - 26) < 1e-9, f"{what} gets the training mean, 26; yours {got[row]:g}"


@also_right(route_minutes)
def trip_by_trip(trips, test_from):
    train = trips[trips["pickup_datetime"] < test_from]
    minutes = {}
    for row, trip in trips.iterrows():
        others = train[(train[ZONES] == trip[ZONES]).all(axis=1) & (train.index != row)]
        minutes[row] = (others if len(others) else train)["duration"].mean()
    return pd.Series(minutes)


@also_right(route_minutes)
def counts_itself_out_in_one_formula(trips, test_from):
    known = (trips["pickup_datetime"] < test_from).astype(float)
    route = trips.assign(known=known, total=known * trips["duration"]).groupby(ZONES)
    others = route["known"].transform("sum") - known
    total = route["total"].transform("sum") - known * trips["duration"]
    overall = (known * trips["duration"]).sum() / known.sum()
    return (total / others.where(others > 0)).fillna(overall)


@wrong(route_minutes, caught_by=test_answers_stay_out)
def averages_all_rows(trips, test_from):
    return trips.groupby(ZONES)["duration"].transform("mean")


@wrong(route_minutes, caught_by=test_answers_stay_out)
def leaves_out_only_itself(trips, test_from):
    route = trips.groupby(ZONES)["duration"]
    others = (route.transform("sum") - trips["duration"]) / (route.transform("count") - 1)
    return others.fillna(trips["duration"].mean())


@wrong(route_minutes, caught_by=test_answers_stay_out)
def merges_and_loses_the_index(trips, test_from):
    train = trips[trips["pickup_datetime"] < test_from]
    means = train.groupby(ZONES)["duration"].mean().rename("minutes").reset_index()
    return trips.merge(means, on=ZONES, how="left")["minutes"].fillna(train["duration"].mean())


@wrong(route_minutes, caught_by=own_duration_stays_out)
def looks_its_own_row_up(trips, test_from):
    train = trips[trips["pickup_datetime"] < test_from]
    means = train.groupby(ZONES)["duration"].mean().rename("minutes")
    return trips.join(means, on=ZONES)["minutes"].fillna(train["duration"].mean())


@wrong(route_minutes, caught_by=own_duration_stays_out)
def gives_training_rows_the_mean(trips, test_from):
    train = trips[trips["pickup_datetime"] < test_from]
    means = train.groupby(ZONES)["duration"].mean().rename("minutes")
    minutes = trips.join(means, on=ZONES)["minutes"]
    return minutes.where(trips["pickup_datetime"] >= test_from).fillna(train["duration"].mean())


@wrong(route_minutes, caught_by=unknown_routes_get_the_training_mean)
def leaves_the_unknown_missing(trips, test_from):
    is_train = trips["pickup_datetime"] < test_from
    train = trips[is_train]
    route = train.groupby(ZONES)["duration"]
    others = (route.transform("sum") - train["duration"]) / (route.transform("count") - 1)
    looked_up = trips[~is_train].join(route.mean().rename("minutes"), on=ZONES)["minutes"]
    return pd.concat([others, looked_up]).reindex(trips.index)


@wrong(route_minutes, caught_by=unknown_routes_get_the_training_mean)
def fills_with_the_mean_of_all(trips, test_from):
    return leaves_the_unknown_missing(trips, test_from).fillna(trips["duration"].mean())


# --- in_miles ---------------------------------------------------------------------------------------------------------


@right
def in_miles(trips, reference):
    """Return a copy of `trips` with every `trip_distance` in miles; `reference` holds trips known to be in miles.

    Look at each day of `pickup_datetime` by itself. It is in kilometres when its three quartiles (25, 50, 75 %)
    are all 1.27 to 2.04 times those of the reference; then divide by 1.609344. Other days stay as they are.
    """
    levels = [0.25, 0.5, 0.75]
    known = reference["trip_distance"].quantile(levels)
    miles = trips["trip_distance"].copy()
    for _, day in trips.groupby(trips["pickup_datetime"].dt.normalize())["trip_distance"]:
        if (day.quantile(levels) / known).between(1.27, 2.04).all():
            miles.loc[day.index] = day / 1.609344
    return trips.assign(trip_distance=miles)


def _day(date, factor=1.0, shape=None):
    """Forty trips of one day, 0.2 to 8 miles; `factor` makes another unit of them, `shape` another world."""
    miles = np.linspace(0.2, 8, 40)
    miles = miles if shape is None else shape(miles)
    times = pd.date_range(date, periods=40, freq="30min")
    return pd.DataFrame({"pickup_datetime": times, "trip_distance": miles * factor, "fare_amount": miles * 3})


def _converted(answer, *days, start=0):
    trips = pd.concat(days, ignore_index=True).set_axis(range(start, start + 40 * len(days)))
    before = trips.copy()
    got = answer(trips, _day("2019-09-01"))
    assert isinstance(got, pd.DataFrame), f"return a DataFrame, not a {type(got).__name__}"
    assert list(got.columns) == list(before.columns) and got.index.equals(before.index), (
        "return the same rows and columns, in the same order"
    )
    pd.testing.assert_frame_equal(
        trips, before, obj="your function changed its input: the table that it was given"
    )
    return got["trip_distance"].to_numpy()


@checks(in_miles)
def kilometres_become_miles(answer):
    """Is a mile more or fewer kilometres than one, so do the numbers grow or shrink? The table that you are given stays as it is."""
    got = _converted(answer, _day("2019-10-16", 1.609344), _day("2019-10-17", 1.609344), start=7)
    assert np.allclose(got, [*np.linspace(0.2, 8, 40)] * 2), (
        "two days in kilometres: the distances that come back are not the miles"
    )


@checks(in_miles)
def days_are_judged_one_by_one(answer):
    """Could a break be taken back the next day? Judge each day against the reference, not against the day before."""
    days = [_day("2019-10-14"), _day("2019-10-15", 1.609344), _day("2019-10-16")]
    got = _converted(answer, *days)
    assert np.allclose(got, [*np.linspace(0.2, 8, 40)] * 3), (
        "miles, kilometres, miles: after the repair all three days must be alike"
    )


@checks(in_miles)
def a_changed_world_is_left_alone(answer):
    """What does a change of unit do to short trips and to long ones, and what does a strike do? One number a day can't tell them apart."""
    strike = _day("2019-10-14", shape=lambda miles: np.where(miles > 4, miles * 2.5, miles))
    spread = _day("2019-10-15", shape=lambda miles: np.where(miles > 2.5, miles * 1.6, miles))
    got = _converted(answer, strike, spread)
    due = np.concatenate([strike["trip_distance"], spread["trip_distance"]])
    assert np.allclose(got, due), (
        "on a day of a strike the long trips are longer and the short ones as ever: that is no unit, leave it"
    )


@also_right(in_miles)
def by_transform(trips, reference):
    day, broken = trips["pickup_datetime"].dt.date, True
    for level in (0.25, 0.5, 0.75):
        quartile = trips.groupby(day)["trip_distance"].transform("quantile", level)
        broken &= (quartile / reference["trip_distance"].quantile(level)).between(1.27, 2.04)
    return trips.assign(trip_distance=trips["trip_distance"] / np.where(broken, 1.609344, 1.0))


@also_right(in_miles)
def by_numpy_and_a_mask(trips, reference):
    mended = trips.copy()
    distance, day = mended["trip_distance"].to_numpy(copy=True), mended["pickup_datetime"].dt.floor("D")
    known = np.percentile(reference["trip_distance"], [25, 50, 75])
    for date in day.unique():
        rows = (day == date).to_numpy()
        ratio = np.percentile(distance[rows], [25, 50, 75]) / known
        if ratio.min() >= 1.27 and ratio.max() <= 2.04:
            distance[rows] /= 1.609344
    mended["trip_distance"] = distance
    return mended


@wrong(in_miles, caught_by=kilometres_become_miles)
def multiplies(trips, reference):
    return trips.assign(trip_distance=trips["trip_distance"] * 1.609344)


@wrong(in_miles, caught_by=kilometres_become_miles)
def clips_to_the_known_range(trips, reference):
    return trips.assign(trip_distance=trips["trip_distance"].clip(upper=reference["trip_distance"].max()))


@wrong(in_miles, caught_by=kilometres_become_miles)
def writes_into_the_input(trips, reference):
    trips["trip_distance"] /= 1.609344
    return trips


@wrong(in_miles, caught_by=days_are_judged_one_by_one)
def converts_everything(trips, reference):
    return trips.assign(trip_distance=trips["trip_distance"] / 1.609344)


@wrong(in_miles, caught_by=days_are_judged_one_by_one)
def converts_from_the_first_break_on(trips, reference):
    day = trips["pickup_datetime"].dt.normalize()
    ratio = trips.groupby(day)["trip_distance"].median() / reference["trip_distance"].median()
    broken = day >= ratio.index[ratio > 1.27].min()
    return trips.assign(
        trip_distance=trips["trip_distance"].where(~broken, trips["trip_distance"] / 1.609344)
    )


@wrong(in_miles, caught_by=a_changed_world_is_left_alone)
def asks_the_median(trips, reference):
    day = trips.groupby(trips["pickup_datetime"].dt.normalize())["trip_distance"].transform("median")
    broken = day / reference["trip_distance"].median() > 1.27
    return trips.assign(
        trip_distance=trips["trip_distance"].where(~broken, trips["trip_distance"] / 1.609344)
    )


@wrong(in_miles, caught_by=a_changed_world_is_left_alone)
def asks_the_mean(trips, reference):
    day = trips.groupby(trips["pickup_datetime"].dt.normalize())["trip_distance"].transform("mean")
    broken = (day / reference["trip_distance"].mean()).between(1.27, 2.04)
    return trips.assign(
        trip_distance=trips["trip_distance"].where(~broken, trips["trip_distance"] / 1.609344)
    )


# --- forward_mae ------------------------------------------------------------------------------------------------------


@right
def forward_mae(model, X, y, days, test_from):
    """Return the mean absolute error of `model` on all rows from the day `test_from` on, trained on all before it.

    `X` (DataFrame), `y` and `days` (Series of dates) have the same index; rows may be in any order. Fit a
    clone (`sklearn.base.clone`), so that the caller's model stays as it is. ValueError when either side has no row.
    """
    from sklearn.base import clone

    train = days < test_from
    if train.all() or not train.any():
        raise ValueError(
            f"no rows {'from' if train.all() else 'before'} {test_from}: choose a day inside the data"
        )
    fitted = clone(model).fit(X[train], y[train])
    return float(np.abs(y[~train] - fitted.predict(X[~train])).mean())


class _Mean(BaseEstimator):
    """Predicts the mean of its training answers, and remembers on which rows it was fitted and asked."""

    fitted_on: list
    asked: list

    def fit(self, X, y):
        _Mean.fitted_on, self.mean_ = sorted(X.index), float(np.mean(y))
        return self

    def predict(self, X):
        _Mean.asked = sorted(X.index)
        return np.full(len(X), self.mean_)


def _scored(answer, test_from="2015-01-07"):
    """Ten days, rows in disorder: row n is day n (1 … 10) with the answer n²."""
    order = [4, 9, 1, 7, 10, 2, 6, 3, 8, 5]
    X = pd.DataFrame({"day": order}, index=order, dtype=float)
    days = pd.Series(pd.to_datetime([f"2015-01-{n:02d}" for n in order]), index=order)
    model = _Mean()
    _Mean.fitted_on, _Mean.asked = [], []
    return answer(model, X, X["day"] ** 2, days, pd.Timestamp(test_from)), model


@checks(forward_mae)
def trains_on_the_past_only(answer):
    """What decides whether a row is past or future: its place in the table, or its date?"""
    _scored(answer)
    late = [n for n in _Mean.fitted_on if n >= 7]
    assert not late, f"the test begins on 7 January, and the model was trained on rows of the {late} as well"
    assert _Mean.fitted_on == [1, 2, 3, 4, 5, 6], (
        f"all days before the 7th are training days, you took {_Mean.fitted_on}"
    )


@checks(forward_mae)
def tests_on_all_that_follows(answer):
    """On which side is the day `test_from` itself? Every row that is no training row is tested, and no other."""
    got, _ = _scored(answer)
    assert _Mean.asked == [7, 8, 9, 10], f"the test days are 7 to 10, you asked for {_Mean.asked}"
    due = np.mean([n**2 for n in (7, 8, 9, 10)]) - np.mean([n**2 for n in range(1, 7)])
    assert isinstance(got, float) and abs(got - due) < 1e-9, (
        f"the mean absolute error is {due:.3f}, yours {got}"
    )


@checks(forward_mae)
def leaves_the_model_alone(answer):
    """Is the model that came in still unfitted afterwards? A model that a score has fitted is one that somebody will serve by mistake."""
    _, model = _scored(answer)
    assert not hasattr(model, "mean_"), "the model that was passed in is fitted now; fit a clone"


@checks(forward_mae)
def refuses_an_empty_side(answer):
    """What is the score of no row at all? Ask before you fit, and name the day in the ValueError."""
    for day, what in {"2014-12-31": "training", "2015-02-01": "test"}.items():
        try:
            _scored(answer, day)
        except ValueError as error:
            assert day in str(error), f"name the day in the message: {str(error)!r} does not say {day}"
            continue
        except Exception as error:
            raise AssertionError(f"no {what} row: ValueError, not {type(error).__name__}") from error
        raise AssertionError(f"no {what} row, and no ValueError")


@also_right(forward_mae)
def sorts_by_date_first(model, X, y, days, test_from):
    ordered = days.sort_values()
    past, future = ordered[ordered < test_from].index, ordered[ordered >= test_from].index
    if past.empty or future.empty:
        raise ValueError(f"{test_from} leaves one side without a row")
    fitted = clone(model)
    fitted.fit(X.loc[past], y.loc[past])
    return float(np.mean(np.abs(fitted.predict(X.loc[future]) - y.loc[future].to_numpy())))


@also_right(forward_mae)
def by_the_library(model, X, y, days, test_from):
    future = days >= pd.Timestamp(test_from)
    if future.nunique() < 2:
        raise ValueError(f"no rows on one side of {test_from}")
    yhat = clone(model).fit(X.loc[~future], y.loc[~future]).predict(X.loc[future])
    return float(mean_absolute_error(y.loc[future], yhat))


@wrong(forward_mae, caught_by=trains_on_the_past_only)
def shuffles_again(model, X, y, days, test_from):
    rows = np.random.default_rng(0).permutation(len(X))
    train, test = rows[: int((days < test_from).sum())], rows[int((days < test_from).sum()) :]
    fitted = clone(model).fit(X.iloc[train], y.iloc[train])
    return float(np.abs(y.iloc[test] - fitted.predict(X.iloc[test])).mean())


@wrong(forward_mae, caught_by=trains_on_the_past_only)
def cuts_by_place(model, X, y, days, test_from):
    n = int((days < test_from).sum())
    fitted = clone(model).fit(X.iloc[:n], y.iloc[:n])
    return float(np.abs(y.iloc[n:] - fitted.predict(X.iloc[n:])).mean())


@wrong(forward_mae, caught_by=trains_on_the_past_only)
def refits_on_all(model, X, y, days, test_from):
    fitted = clone(model).fit(X, y)
    return float(np.abs(y - fitted.predict(X))[days >= test_from].mean())


@wrong(forward_mae, caught_by=tests_on_all_that_follows)
def forgets_the_first_day(model, X, y, days, test_from):
    train, test = days < test_from, days > test_from
    fitted = clone(model).fit(X[train], y[train])
    return float(np.abs(y[test] - fitted.predict(X[test])).mean())


@wrong(forward_mae, caught_by=tests_on_all_that_follows)
def scores_the_training_rows_too(model, X, y, days, test_from):
    train = days < test_from
    fitted = clone(model).fit(X[train], y[train])
    return float(np.abs(y - fitted.predict(X)).mean())


@wrong(forward_mae, caught_by=leaves_the_model_alone)
def fits_the_model_it_was_given(model, X, y, days, test_from):
    train = days < test_from
    model.fit(X[train], y[train])
    return float(np.abs(y[~train] - model.predict(X[~train])).mean())


@wrong(forward_mae, caught_by=refuses_an_empty_side)
def gives_nan_for_nothing(model, X, y, days, test_from):
    train = days < test_from
    if train.all() or not train.any():
        return float("nan")
    fitted = clone(model).fit(X[train], y[train])
    return float(np.abs(y[~train] - fitted.predict(X[~train])).mean())


# --- release_approved -------------------------------------------------------------------------------------------------


@right
def release_approved(client, name):
    """Let the alias "champion" of the model `name` point to its newest approved version; return that version's number (int).

    Approved means: the version has the tag `approved` with the value "yes". Other aliases stay where they are.
    When no version is approved, raise ValueError and leave the alias alone.
    """
    versions = client.search_model_versions(f"name = '{name}'")
    approved = [int(one.version) for one in versions if one.tags.get("approved") == "yes"]
    if not approved:
        raise ValueError(f"{name} has no approved version: approve one first")
    newest = max(approved)
    client.set_registered_model_alias(name, "champion", str(newest))
    return newest


def _released(answer, versions, approved, raises=False):
    """Release from a fresh model with so many versions, champion and trial on 1; return answer, aliases, error."""
    with own_store():
        client, name, error, got = MlflowClient(), f"trips-{uuid.uuid4().hex[:8]}", None, None
        client.create_registered_model(name)
        try:
            for number in range(1, versions + 1):
                client.create_model_version(name, source="file:///nowhere")
                state = "yes" if number in approved else "no"
                client.set_model_version_tag(name, str(number), "approved", state)
            for alias in ("champion", "trial"):
                client.set_registered_model_alias(name, alias, "1")
            try:
                got = answer(client, name)
            except ValueError as refusal:
                if not raises:
                    raise
                error = refusal
            except (TypeError, MlflowException) as other:
                raise AssertionError(f"{type(other).__name__}: {other}") from other
            return got, dict(client.get_registered_model(name).aliases), error
        finally:
            client.delete_registered_model(name)


@checks(release_approved)
def champion_points_to_the_approved_version(answer):
    """Which versions have the tag, and which alias does the service read? Upper and lower case make two aliases."""
    _, aliases, _ = _released(answer, 3, {1, 2})
    assert str(aliases.get("champion")) == "2", (
        f"versions 1 and 2 are approved, 3 is not: the champion is 2, yours {aliases.get('champion')}"
    )


@checks(release_approved)
def newest_is_by_number(answer):
    """Which is larger, "9" or "10"? Look at the type of a version."""
    _, aliases, _ = _released(answer, 11, {2, 9, 10})
    assert str(aliases.get("champion")) == "10", (
        f"approved are 2, 9 and 10: the newest is 10, yours {aliases.get('champion')}"
    )


@checks(release_approved)
def returns_the_number_and_touches_nothing_else(answer):
    """What was asked for besides the move? One alias changes, one number comes back."""
    got, aliases, _ = _released(answer, 3, {1, 2})
    assert type(got) is int and got == 2, f"return the version as int, 2 here, not {got!r}"
    rest = {alias: str(version) for alias, version in aliases.items() if alias != "champion"}
    assert rest == {"trial": "1"}, f"besides the champion there was `trial` on version 1; now {rest}"


@checks(release_approved)
def nothing_approved_nothing_released(answer):
    """What should a release do when nobody has approved anything? Find out before any alias moves."""
    _, aliases, error = _released(answer, 2, set(), raises=True)
    assert error is not None, "no version is approved, and there was no ValueError"
    assert str(aliases.get("champion")) == "1", "no version is approved, and the champion has moved"


@also_right(release_approved)
def asks_the_store_for_the_tag(client, name):
    found = client.search_model_versions(f"name = '{name}' and tag.approved = 'yes'")
    if not found:
        raise ValueError(f"nothing of {name} is approved")
    newest = sorted(found, key=lambda one: int(one.version))[-1]
    client.set_registered_model_alias(name=name, alias="champion", version=newest.version)
    return int(newest.version)


@also_right(release_approved)
def counts_down(client, name):
    numbers = sorted((int(v.version) for v in client.search_model_versions(f"name='{name}'")), reverse=True)
    for number in numbers:
        if client.get_model_version(name, str(number)).tags.get("approved") == "yes":
            client.set_registered_model_alias(name, "champion", number)
            return number
    raise ValueError(f"none of {len(numbers)} versions of {name} is approved")


@wrong(release_approved, caught_by=champion_points_to_the_approved_version)
def takes_the_latest(client, name):
    newest = max(int(one.version) for one in client.search_model_versions(f"name = '{name}'"))
    client.set_registered_model_alias(name, "champion", str(newest))
    return newest


@wrong(release_approved, caught_by=champion_points_to_the_approved_version)
def sets_another_alias(client, name):
    versions = client.search_model_versions(f"name = '{name}'")
    newest = max(int(one.version) for one in versions if one.tags.get("approved") == "yes")
    client.set_registered_model_alias(name, "Champion", str(newest))
    return newest


@wrong(release_approved, caught_by=champion_points_to_the_approved_version)
def only_names_the_version(client, name):
    versions = client.search_model_versions(f"name = '{name}'")
    return max(int(one.version) for one in versions if one.tags.get("approved") == "yes")


@wrong(release_approved, caught_by=newest_is_by_number)
def compares_texts(client, name):
    versions = client.search_model_versions(f"name = '{name}'")
    newest = max(str(one.version) for one in versions if one.tags.get("approved") == "yes")
    client.set_registered_model_alias(name, "champion", newest)
    return int(newest)


@wrong(release_approved, caught_by=returns_the_number_and_touches_nothing_else)
def returns_a_text(client, name):
    return str(release_approved(client, name))


@wrong(release_approved, caught_by=returns_the_number_and_touches_nothing_else)
def moves_every_alias(client, name):
    newest = release_approved(client, name)
    for alias in client.get_registered_model(name).aliases:
        client.set_registered_model_alias(name, alias, str(newest))
    return newest


@wrong(release_approved, caught_by=nothing_approved_nothing_released)
def falls_back_to_the_latest(client, name):
    try:
        return release_approved(client, name)
    except ValueError:
        return takes_the_latest(client, name)


# --- seed_verdict -----------------------------------------------------------------------------------------------------


@right
def seed_verdict(old, new):
    """Return "better", "worse" or "no difference": is the new setting's error lower than the old one's?

    `old` and `new` are dicts from seed to RMSE. Take the differences new − old of the seeds that both have. With
    their mean m, standard deviation s (ddof=1) and count n, the interval is m ± t · s / √n, where t is
    `scipy.stats.t.ppf(0.975, n - 1)`. All below zero is better, all above is worse. ValueError for fewer than three seeds.
    """
    from scipy import stats

    shared = sorted(old.keys() & new.keys())
    if len(shared) < 3:
        raise ValueError(f"{len(shared)} shared seeds: run at least three")
    differences = np.array([new[seed] - old[seed] for seed in shared])
    half = stats.t.ppf(0.975, len(shared) - 1) * differences.std(ddof=1) / len(shared) ** 0.5
    if differences.mean() + half < 0:
        return "better"
    return "worse" if differences.mean() - half > 0 else "no difference"


_OLD = dict(enumerate([5.14, 5.13, 5.12, 5.12, 5.11, 5.16, 5.11, 5.13, 5.10, 5.11]))


def _verdict(answer, new, due, why, old=None):
    got = answer(dict(_OLD if old is None else old), dict(new))
    assert got in ("better", "worse", "no difference"), (
        f'return "better", "worse" or "no difference", not {got!r}'
    )
    assert got == due, f"{why}: {due}, yours {got}"


@checks(seed_verdict)
def one_lucky_seed_is_no_progress(answer):
    """Would the verdict be the same without the luckiest seed? Ask for the mean of the differences, and how much they spread."""
    lucky = {seed: rmse + 0.01 for seed, rmse in _OLD.items()} | {3: 4.95}
    _verdict(answer, lucky, "no difference", "one seed is far better, the other nine are a little worse")


@checks(seed_verdict)
def same_seeds_are_paired(answer):
    """What does a seed do to both settings? Subtract it away, whatever the order in which the seeds were given."""
    steady = {seed: rmse - 0.01 + (0.002 if seed % 2 else -0.002) for seed, rmse in _OLD.items()}
    turned = dict(reversed(steady.items()))
    _verdict(answer, turned, "better", "each seed is about 0.01 better, given in another order")
    _verdict(answer, _OLD, "worse", "the same turned round", old=steady)


@checks(seed_verdict)
def only_shared_seeds_count(answer):
    """What is the difference of a seed that only one side ran? Keep the seeds that both have."""
    some = {seed: rmse - 0.02 + 0.001 * seed for seed, rmse in _OLD.items() if seed < 5} | {77: 9.0, 78: 9.5}
    _verdict(answer, some, "better", "five shared seeds gain, two that only the new setting ran are bad")


@checks(seed_verdict)
def few_seeds_few_words(answer):
    """How sure can three seeds make you, compared with three hundred? The t distribution knows; two seeds give no verdict, but a ValueError."""
    three = {0: 5.04, 1: 5.10, 2: 5.09}  # gains of 0.10, 0.03, 0.03: within 2 s/√n, not within t · s/√n
    _verdict(answer, three, "no difference", "three seeds gain 0.10, 0.03 and 0.03, t is 4.3")
    try:
        answer({0: 5.1, 1: 5.2}, {0: 5.0, 1: 5.1})
    except ValueError:
        return
    except Exception as error:
        raise AssertionError(f"two seeds: ValueError, not {type(error).__name__}") from error
    raise AssertionError("two seeds, and no ValueError")


@also_right(seed_verdict)
def by_a_paired_t_test(old, new):
    shared = [seed for seed in new if seed in old]
    if len(shared) < 3:
        raise ValueError(f"only {len(shared)} shared seeds")
    test = stats.ttest_rel([new[seed] for seed in shared], [old[seed] for seed in shared])
    if test.pvalue >= 0.05:
        return "no difference"
    return "better" if test.statistic < 0 else "worse"


@also_right(seed_verdict)
def by_an_aligned_table(old, new):
    gain = (pd.Series(new) - pd.Series(old)).dropna()
    if gain.size < 3:
        raise ValueError("too few shared seeds")
    low, high = stats.t.interval(0.95, gain.size - 1, loc=gain.mean(), scale=gain.sem())
    return "better" if high < 0 else "worse" if low > 0 else "no difference"


@wrong(seed_verdict, caught_by=one_lucky_seed_is_no_progress)
def compares_the_best(old, new):
    return "better" if min(new.values()) < min(old.values()) else "worse"


@wrong(seed_verdict, caught_by=one_lucky_seed_is_no_progress)
def compares_the_means(old, new):
    return "better" if np.mean(list(new.values())) < np.mean(list(old.values())) else "worse"


@wrong(seed_verdict, caught_by=one_lucky_seed_is_no_progress)
def asks_whether_most_are_worse(old, new):
    worse = sum(new[seed] > old[seed] for seed in old.keys() & new.keys())
    return "worse" if worse > len(old) / 2 else "better"


@wrong(seed_verdict, caught_by=same_seeds_are_paired)
def tests_unpaired(old, new):
    test = stats.ttest_ind(list(new.values()), list(old.values()), equal_var=False)
    if test.pvalue >= 0.05:
        return "no difference"
    return "better" if test.statistic < 0 else "worse"


@wrong(seed_verdict, caught_by=same_seeds_are_paired)
def pairs_by_place(old, new):
    return seed_verdict(dict(enumerate(old.values())), dict(enumerate(new.values())))


@wrong(seed_verdict, caught_by=same_seeds_are_paired)
def takes_more_for_better(old, new):
    return {"better": "worse", "worse": "better"}.get(said := seed_verdict(old, new), said)


@wrong(seed_verdict, caught_by=only_shared_seeds_count)
def counts_a_missing_seed_as_zero(old, new):
    seeds = old.keys() | new.keys()
    return seed_verdict({s: old.get(s, 0.0) for s in seeds}, {s: new.get(s, 0.0) for s in seeds})


@wrong(seed_verdict, caught_by=few_seeds_few_words)
def takes_two_for_t(old, new):
    shared = sorted(old.keys() & new.keys())
    gain = np.array([new[seed] - old[seed] for seed in shared])
    half = 1.96 * gain.std(ddof=1) / math.sqrt(len(shared))
    return "better" if gain.mean() + half < 0 else "worse" if gain.mean() - half > 0 else "no difference"


# --- scaled_by_the_past -----------------------------------------------------------------------------------------------


@right
def scaled_by_the_past(rides):
    """Return y standardised by the mean and standard deviation (ddof=1) of the week before, as a Series on the same index.

    `rides` has the columns ds (days) and y. A week runs from Monday to Sunday: `rides["ds"].dt.to_period("W")`.
    Where the data hold no day of the week before, the value is missing.
    """
    week = rides["ds"].dt.to_period("W")
    level = rides.groupby(week)["y"]
    return (rides["y"] - (week - 1).map(level.mean())) / (week - 1).map(level.std())


def _weeks(gap=False):
    """Three weeks from Monday 1 June 2015 (means 13, 30, 54; deviations 2.16, 4.32, 2.16); `gap` drops the second."""
    y = [10, 11, 12, 13, 14, 15, 16, 24, 26, 28, 30, 32, 34, 36, 51, 52, 53, 54, 55, 56, 57]
    days = pd.DataFrame({"ds": pd.date_range("2015-06-01", periods=21), "y": np.array(y, float)})
    days.index = range(100, 121)
    return days.drop(index=range(107, 114)) if gap else days


def _scaled(answer, rides):
    got = answer(rides.copy())
    assert isinstance(got, pd.Series), f"return a Series, not a {type(got).__name__}"
    assert list(got.index) == list(rides.index), "the Series must have the index of `rides`, in its order"
    return got.astype(float)


@checks(scaled_by_the_past)
def sunday_does_not_move_monday(answer):
    """On Monday, who knows Sunday's rides? No value of the own week may be part of its scale."""
    rides, spoilt = _weeks(), _weeks()
    spoilt.loc[120, "y"] = 500
    moved = [
        row
        for row in range(107, 120)
        if abs(_scaled(answer, rides)[row] - _scaled(answer, spoilt)[row]) > 1e-9
    ]
    assert not moved, f"the last Sunday was changed, and {len(moved)} earlier days have another value"


@checks(scaled_by_the_past)
def scale_is_that_of_the_week_before(answer):
    """Which week do you look up for a Monday? Each week has one mean and one deviation; check the deviation's ddof."""
    got = _scaled(answer, _weeks())
    for row, due in {107: (24 - 13) / 2.160247, 120: (57 - 30) / 4.320494}.items():
        assert abs(got[row] - due) < 1e-4, f"row {row}: {due:.3f} by the week before, yours {got[row]:.3f}"


@checks(scaled_by_the_past)
def first_week_has_no_scale(answer):
    """What do you know about the week before the first? Missing is an honest answer, zero is a claim."""
    got = _scaled(answer, _weeks()).loc[100:106]
    assert got.isna().all(), f"the first week has no week before it: missing, yours {got.round(2).tolist()}"


@checks(scaled_by_the_past)
def a_gap_is_a_gap(answer):
    """If a week is absent from the data, which week is "the row before"? Go by the calendar."""
    got = _scaled(answer, _weeks(gap=True)).loc[114:]
    assert got.isna().all(), (
        "the second week is not in the data, so the third has no scale; yours took an older one"
    )


@also_right(scaled_by_the_past)
def by_a_join_on_the_next_week(rides):
    week = rides["ds"].dt.to_period("W")
    scale = rides["y"].groupby(week).agg(["mean", "std"])
    scale.index += 1  # what a week tells is used in the next
    own = scale.reindex(week).set_axis(rides.index)
    return (rides["y"] - own["mean"]) / own["std"]


@also_right(scaled_by_the_past)
def day_by_day(rides):
    monday = rides["ds"] - pd.to_timedelta(rides["ds"].dt.weekday, unit="D")
    scaled = []
    for start, value in zip(monday, rides["y"], strict=True):
        before = rides.loc[monday == start - pd.Timedelta(days=7), "y"]
        scaled.append((value - before.mean()) / before.std() if len(before) else float("nan"))
    return pd.Series(scaled, index=rides.index)


@wrong(scaled_by_the_past, caught_by=sunday_does_not_move_monday)
def scales_by_its_own_week(rides):
    level = rides.groupby(rides["ds"].dt.to_period("W"))["y"]
    return (rides["y"] - level.transform("mean")) / level.transform("std")


@wrong(scaled_by_the_past, caught_by=sunday_does_not_move_monday)
def scales_by_everything(rides):
    return (rides["y"] - rides["y"].mean()) / rides["y"].std()


@wrong(scaled_by_the_past, caught_by=scale_is_that_of_the_week_before)
def divides_by_another_deviation(rides):
    week = rides["ds"].dt.to_period("W")
    level = rides.groupby(week)["y"]
    return (rides["y"] - (week - 1).map(level.mean())) / (week - 1).map(level.std(ddof=0))


@wrong(scaled_by_the_past, caught_by=scale_is_that_of_the_week_before)
def scales_by_all_that_was_before(rides):
    before = rides["y"].shift().expanding()
    return (rides["y"] - before.mean()) / before.std()


@wrong(scaled_by_the_past, caught_by=scale_is_that_of_the_week_before)
def only_subtracts_the_level(rides):
    week = rides["ds"].dt.to_period("W")
    return rides["y"] - (week - 1).map(rides.groupby(week)["y"].mean())


@wrong(scaled_by_the_past, caught_by=first_week_has_no_scale)
def fills_with_zero(rides):
    return scaled_by_the_past(rides).fillna(0)


@wrong(scaled_by_the_past, caught_by=first_week_has_no_scale)
def fills_backwards(rides):
    return scaled_by_the_past(rides).bfill()


@wrong(scaled_by_the_past, caught_by=a_gap_is_a_gap)
def shifts_the_table_of_weeks(rides):
    week = rides["ds"].dt.to_period("W")
    level = rides.groupby(week)["y"]
    return (rides["y"] - week.map(level.mean().shift())) / week.map(level.std().shift())


# --- best_finished ----------------------------------------------------------------------------------------------------


@right
def best_finished(experiment_id):
    """Return the id of the run with the lowest metric `rmse` among the runs of the experiment that have finished.

    Runs that failed, are still running, or have no `rmse`, do not count. ValueError when none is left.
    """
    runs = mlflow.search_runs(
        [experiment_id],
        "attributes.status = 'FINISHED'",
        order_by=["metrics.rmse ASC"],
        output_format="list",
    )
    scored = [run for run in runs if pd.notna(run.data.metrics.get("rmse"))]
    if not scored:
        raise ValueError("no finished run has an rmse: nothing to choose from")
    return min(scored, key=lambda run: run.data.metrics["rmse"]).info.run_id


def _chosen(answer, runs):
    """Log `runs` (name, status, rmse or None) into a fresh experiment; return the name of the answer's choice."""
    with own_store() as experiment_id:
        names, client = {}, MlflowClient()
        for name, status, rmse in runs:
            run = client.create_run(experiment_id, run_name=name)
            names[run.info.run_id] = name
            if rmse is not None:
                client.log_metric(run.info.run_id, "rmse", rmse)
            if status != "RUNNING":
                client.set_terminated(run.info.run_id, status)
        got = answer(experiment_id)
        assert isinstance(got, str) and got in names, "return the id of a run of this experiment"
        return names[got]


def _chooses(answer, due, why, runs):
    got = _chosen(answer, runs)
    assert got == due, f"{why}: {due} is asked for, you chose {got}"


@checks(best_finished)
def lowest_error_wins(answer):
    """Is a high RMSE good or bad? And in which order do runs come when you name none?"""
    sweep = [("wide", "FINISHED", 5.4), ("deep", "FINISHED", 4.9), ("flat", "FINISHED", 10.2)]
    _chooses(answer, "deep", "of 5.4, 4.9 and 10.2 minutes", sweep)


@checks(best_finished)
def unfinished_runs_do_not_count(answer):
    """What is the score of a run that broke off halfway worth? A run has a status; there are more than two."""
    sweep = [
        ("ok", "FINISHED", 5.1),
        ("broke off", "FAILED", 1.2),
        ("at work", "RUNNING", 2.0),
        ("killed", "KILLED", 0.5),
    ]
    _chooses(answer, "ok", "three runs with lower numbers have not finished", sweep)


@checks(best_finished)
def a_missing_score_is_not_the_best(answer):
    """What does your comparison do with a run that has no score, or the score NaN?"""
    sweep = [("silent", "FINISHED", None), ("nan", "FINISHED", math.nan), ("ok", "FINISHED", 5.1)]
    _chooses(answer, "ok", "the two others have no score", sweep)


@checks(best_finished)
def nothing_to_choose_from_is_an_error(answer):
    """What would the caller do with None? Say that nothing is left where it happens."""
    try:
        _chosen(answer, [("broke off", "FAILED", 1.2), ("silent", "FINISHED", None)])
    except ValueError:
        return
    except AssertionError:
        raise AssertionError("no finished run has a score, and no ValueError was raised") from None
    except Exception as error:
        raise AssertionError(
            f"no finished run has a score: ValueError, not {type(error).__name__}"
        ) from error
    raise AssertionError("no finished run has a score, and you chose one")


@also_right(best_finished)
def by_a_table(experiment_id):
    runs = mlflow.search_runs(experiment_ids=[experiment_id])
    finished = runs[runs["status"] == "FINISHED"].dropna(subset=["metrics.rmse"])
    if finished.empty:
        raise ValueError("no finished run with an rmse")
    return finished.sort_values("metrics.rmse")["run_id"].iloc[0]


@also_right(best_finished)
def by_the_client(experiment_id):
    best, lowest = None, math.inf
    for run in MlflowClient().search_runs([experiment_id]):
        error = run.data.metrics.get("rmse", math.nan)
        if run.info.status == "FINISHED" and error < lowest:
            best, lowest = run.info.run_id, error
    if best is None:
        raise ValueError("nothing has finished with a score")
    return best


@wrong(best_finished, caught_by=lowest_error_wins)
def takes_the_largest(experiment_id):
    return mlflow.search_runs([experiment_id], order_by=["metrics.rmse DESC"])["run_id"].iloc[0]


@wrong(best_finished, caught_by=lowest_error_wins)
def takes_the_first_row(experiment_id):
    return mlflow.search_runs([experiment_id], "metrics.rmse > 0")["run_id"].iloc[0]


@wrong(best_finished, caught_by=lowest_error_wins)
def takes_idxmax(experiment_id):
    runs = mlflow.search_runs([experiment_id])
    return runs.loc[runs["metrics.rmse"].idxmax(), "run_id"]


@wrong(best_finished, caught_by=unfinished_runs_do_not_count)
def counts_failures(experiment_id):
    return mlflow.search_runs([experiment_id], order_by=["metrics.rmse ASC"])["run_id"].iloc[0]


@wrong(best_finished, caught_by=unfinished_runs_do_not_count)
def drops_only_the_failed(experiment_id):
    runs = mlflow.search_runs([experiment_id], "attributes.status != 'FAILED'", order_by=["metrics.rmse ASC"])
    return runs["run_id"].iloc[0]


@wrong(best_finished, caught_by=a_missing_score_is_not_the_best)
def takes_missing_for_zero(experiment_id):
    runs = mlflow.search_runs([experiment_id], "attributes.status = 'FINISHED'")
    return runs.loc[runs["metrics.rmse"].fillna(0).idxmin(), "run_id"]


@wrong(best_finished, caught_by=nothing_to_choose_from_is_an_error)
def stumbles_over_nothing(experiment_id):
    runs = mlflow.search_runs([experiment_id], "attributes.status = 'FINISHED'", output_format="list")
    scored = [run for run in runs if not math.isnan(run.data.metrics.get("rmse", math.nan))]
    return sorted(scored, key=lambda run: run.data.metrics["rmse"])[0].info.run_id


# --- features_as_trained ----------------------------------------------------------------------------------------------


@right
def features_as_trained(requests):
    """Return a DataFrame with `hour` and `weekday` (Monday is 0) on New York's clock, on the index of `requests`.

    The service receives `pickup_utc`, texts such as "2019-10-05T01:30:00Z". The model was trained on the clock in the
    cab. The time zone is called "America/New_York", and it knows when summer ends.
    """
    clock = pd.to_datetime(requests["pickup_utc"], utc=True).dt.tz_convert("America/New_York")
    return pd.DataFrame({"hour": clock.dt.hour, "weekday": clock.dt.dayofweek})


def _made(answer, *times):
    requests = pd.DataFrame({"pickup_utc": list(times)}, index=range(20, 20 + len(times)))
    before = requests.copy()
    got = answer(requests)
    assert isinstance(got, pd.DataFrame), f"return a DataFrame, not a {type(got).__name__}"
    assert list(got.columns) == ["hour", "weekday"], (
        f"the columns are {list(got.columns)}, not hour and weekday"
    )
    assert got.index.equals(before.index), "the rows must keep the index of `requests`"
    assert requests.equals(before), "your function changed the requests that it was given"
    return [(int(hour), int(weekday)) for hour, weekday in got.to_numpy()]


def _clock(answer, time, due, why):
    (got,) = _made(answer, time)
    assert got == due, f"{time}, {why}: hour and weekday are {due}, yours {got}"


@checks(features_as_trained)
def hour_is_that_of_the_cab(answer):
    """What time is it in the cab when it is 17:45 UTC? The texts say an instant; the hour depends on where you read the clock."""
    _clock(answer, "2019-10-02T17:45:00Z", (13, 2), "a Wednesday's early afternoon in New York")
    _clock(answer, "2019-10-02T04:10:00Z", (0, 2), "ten past midnight in New York")


@checks(features_as_trained)
def evening_belongs_to_its_own_day(answer):
    """At 21:30 on a Friday in New York, which weekday is it in London? Take hour and weekday from the same clock."""
    _clock(answer, "2019-10-05T01:30:00Z", (21, 4), "Friday evening")
    _clock(answer, "2019-10-07T03:59:00Z", (23, 6), "Sunday, a minute before midnight")


@checks(features_as_trained)
def winter_has_another_offset(answer):
    """How many hours is New York behind UTC in July, and how many in December?"""
    _clock(answer, "2019-12-10T17:45:00Z", (12, 1), "a Tuesday in winter")
    _clock(answer, "2019-11-03T05:30:00Z", (1, 6), "the night the clocks go back")
    _clock(answer, "2019-11-03T06:30:00Z", (1, 6), "an hour later, the same hour once more")


@checks(features_as_trained)
def a_table_keeps_its_rows(answer):
    """Does each row use its own date, and keep its own label? Else the answers go to other passengers."""
    got = _made(answer, "2019-12-10T17:45:00Z", "2019-07-10T17:45:00Z", "2019-10-05T01:30:00Z")
    due = [(12, 1), (13, 2), (21, 4)]
    assert got == due, f"three requests of winter, summer and autumn: {due}, yours {got}"


@also_right(features_as_trained)
def by_the_standard_library(requests):
    zone = ZoneInfo("America/New_York")
    clock = [datetime.fromisoformat(text).astimezone(zone) for text in requests["pickup_utc"]]
    rows = [(time.hour, time.weekday()) for time in clock]
    return pd.DataFrame(rows, columns=["hour", "weekday"], index=requests.index)


@also_right(features_as_trained)
def localised_then_converted(requests):
    naive = pd.to_datetime(requests["pickup_utc"].str.removesuffix("Z"))
    clock = naive.dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt
    return pd.concat([clock.hour.rename("hour"), clock.weekday.rename("weekday")], axis="columns")


@wrong(features_as_trained, caught_by=hour_is_that_of_the_cab)
def takes_the_hour_as_it_comes(requests):
    clock = pd.to_datetime(requests["pickup_utc"], utc=True)
    return pd.DataFrame({"hour": clock.dt.hour, "weekday": clock.dt.dayofweek})


@wrong(features_as_trained, caught_by=hour_is_that_of_the_cab)
def calls_utc_new_york(requests):
    clock = pd.to_datetime(requests["pickup_utc"].str.rstrip("Z")).dt.tz_localize(
        "America/New_York", ambiguous=True
    )
    return pd.DataFrame({"hour": clock.dt.hour, "weekday": clock.dt.dayofweek})


@wrong(features_as_trained, caught_by=hour_is_that_of_the_cab)
def counts_to_twelve(requests):
    clock = pd.to_datetime(requests["pickup_utc"], utc=True).dt.tz_convert("America/New_York")
    return pd.DataFrame({"hour": clock.dt.hour % 12, "weekday": clock.dt.dayofweek})


@wrong(features_as_trained, caught_by=evening_belongs_to_its_own_day)
def converts_only_the_hour(requests):
    utc = pd.to_datetime(requests["pickup_utc"], utc=True)
    return pd.DataFrame({"hour": utc.dt.tz_convert("America/New_York").dt.hour, "weekday": utc.dt.dayofweek})


@wrong(features_as_trained, caught_by=winter_has_another_offset)
def subtracts_four_hours(requests):
    clock = pd.to_datetime(requests["pickup_utc"], utc=True) - pd.Timedelta(hours=4)
    return pd.DataFrame({"hour": clock.dt.hour, "weekday": clock.dt.dayofweek})


@wrong(features_as_trained, caught_by=a_table_keeps_its_rows)
def takes_the_offset_of_the_first_row(requests):
    utc = pd.to_datetime(requests["pickup_utc"], utc=True)
    offset = utc.dt.tz_convert("America/New_York").iloc[0].utcoffset()
    clock = utc + offset
    return pd.DataFrame({"hour": clock.dt.hour, "weekday": clock.dt.dayofweek})


# --- jump_days --------------------------------------------------------------------------------------------------------


@right
def jump_days(errors, jumps=2):
    """Return the places at which a new level begins, a list of `jumps` whole numbers in order; the first day is 0.

    `errors` is a list with a number for each day. Cut the days into `jumps` + 1 pieces, none of them empty, so that the squared
    distances of all days from the mean of their own piece have the smallest sum.
    """
    from itertools import combinations

    def loss(cuts):
        return sum(((piece - piece.mean()) ** 2).sum() for piece in np.split(np.asarray(errors, float), cuts))

    return list(min(combinations(range(1, len(errors)), jumps), key=loss))


def _jumps(answer, errors, *args):
    got = answer(list(errors), *args)
    assert isinstance(got, list | tuple | np.ndarray | pd.Series | pd.Index), (
        f"return a list of places, not a {type(got).__name__}"
    )
    return [int(place) for place in got]


@checks(jump_days)
def two_clear_jumps(answer):
    """Which two places cut the days into three pieces that hardly vary in themselves? A place is where the new level begins."""
    errors = [2.0, 2.1, 1.9, 2.0, 5.0, 5.1, 4.9, 8.0, 8.2, 7.9]
    got = _jumps(answer, errors)
    assert got == [4, 7], f"{errors}: new levels begin at 4 and 7, you returned {got}"


@checks(jump_days)
def noise_is_no_jump(answer):
    """Is the largest step from one day to the next always a new level? Compare whole pieces, not neighbours."""
    errors = [2.0, 4.4, 2.2, 4.5, 2.1, 4.3, 5.2, 7.6, 5.0, 7.5, 5.1, 9.1, 11.4, 9.0, 11.5, 9.2]
    got = _jumps(answer, errors)
    due = jump_days(errors)
    assert got == due, (
        f"days that swing by 2.4 around 3.2, 6.1 and 10.0: new levels begin at {due}, you returned {got}"
    )


@checks(jump_days)
def a_level_can_fall(answer):
    """A repair is a jump as well. Does your answer hold when the error goes down?"""
    errors = [6.0, 6.2, 5.9, 9.0, 9.1, 8.8, 2.0, 2.1, 1.9]
    got = _jumps(answer, errors)
    assert got == [3, 6], f"{errors}: up at 3, down at 6; you returned {got}"


@checks(jump_days)
def as_many_jumps_as_asked(answer):
    """How many places are asked for? With one jump there are two pieces, with three there are four."""
    errors = [1.0, 1.1, 3.0, 3.1, 6.0, 6.1, 9.0, 9.2]
    for jumps in (1, 3):
        got, due = _jumps(answer, errors, jumps), jump_days(errors, jumps)
        assert got == due, f"{errors} with {jumps} jump{'s' * (jumps > 1)}: {due} is due, you returned {got}"


@also_right(jump_days)
def with_sums_of_squares(errors, jumps=2):
    total = np.concatenate([[0.0], np.cumsum(errors)])
    squares = np.concatenate([[0.0], np.cumsum(np.square(errors))])

    def loss(cuts):
        edges = [0, *cuts, len(errors)]
        return sum(
            squares[b] - squares[a] - (total[b] - total[a]) ** 2 / (b - a)
            for a, b in zip(edges, edges[1:], strict=False)
        )

    best = None
    for cuts in combinations(range(1, len(errors)), jumps):
        if best is None or loss(cuts) < loss(best):
            best = cuts
    return list(best)


@also_right(jump_days)
def piece_by_piece(errors, jumps=2):
    days = pd.Series(errors, dtype=float)

    def within(start, end):
        return float(days.iloc[start:end].var(ddof=0) * (end - start))

    best = {(0, end): (within(0, end), []) for end in range(1, len(days) + 1)}
    for count in range(1, jumps + 1):
        for end in range(count + 1, len(days) + 1):
            best[count, end] = min(
                (best[count - 1, cut][0] + within(cut, end), [*best[count - 1, cut][1], cut])
                for cut in range(count, end)
            )
    return best[jumps, len(days)][1]


@wrong(jump_days, caught_by=two_clear_jumps)
def names_the_last_day_of_a_level(errors, jumps=2):
    return [place - 1 for place in jump_days(errors, jumps)]


@wrong(jump_days, caught_by=two_clear_jumps)
def finds_the_first_jump_only(errors, jumps=2):
    return jump_days(errors, 1)


@wrong(jump_days, caught_by=noise_is_no_jump)
def takes_the_largest_steps(errors, jumps=2):
    steps = np.abs(np.diff(errors))
    return sorted(int(place) + 1 for place in np.argsort(steps)[-jumps:])


@wrong(jump_days, caught_by=a_level_can_fall)
def looks_upwards_only(errors, jumps=2):
    whole = np.asarray(errors, float)

    def loss(cuts):
        pieces = np.split(whole, cuts)
        rises = all(a.mean() < b.mean() for a, b in zip(pieces, pieces[1:], strict=False))
        return sum(((piece - piece.mean()) ** 2).sum() for piece in pieces) if rises else np.inf

    return list(min(combinations(range(1, len(errors)), jumps), key=loss))


@wrong(jump_days, caught_by=as_many_jumps_as_asked)
def has_two_jumps_built_in(errors, jumps=2):
    return jump_days(errors, 2)

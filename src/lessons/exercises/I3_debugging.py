"""Exercises of I3: eight faults named by their runs, and each of them mended."""

import logging
import math
import uuid

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from scipy import stats
from sklearn.base import BaseEstimator, clone

from course.exercise import checks, right, wrong
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
    """`{"A": "...", …, "H": "..."}`: eight letters, eight names as the task writes them, each once."""
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
    """Learn the averages from the rows before `test_from`, then look them up for the later rows."""
    got = _minutes(answer)
    for row in (50, 57):
        assert abs(got[row] - 30) < 1e-9, (
            f"route 1→2 took 10, 20 and 60 minutes in training: a test trip gets 30, yours {got[row]:g}"
        )
    assert abs(got[55] - 14) < 1e-9, f"route 3→4 took 14 minutes in training, a test trip gets {got[55]:g}"


@checks(route_minutes)
def own_duration_stays_out(answer):
    """(sum of the route − own duration) / (count − 1): the mean of the others."""
    got = _minutes(answer)
    for row, due in {51: 40, 54: 35, 56: 15}.items():
        assert abs(got[row] - due) < 1e-9, (
            f"of 10, 20, 60 each trip gets the mean of the other two, {due} here; yours {got[row]:g}"
        )


@checks(route_minutes)
def unknown_routes_get_the_training_mean(answer):
    """`fillna` with the mean duration of the training trips: for routes never seen, and for a route's only training trip."""
    got = _minutes(answer)
    for row, what in {
        52: "a route that training never saw",
        53: "the only training trip of its route",
    }.items():
        assert abs(got[row] - 26) < 1e-9, f"{what} gets the training mean, 26; yours {got[row]:g}"


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
    """`day / 1.609344` for the rows of that day. Write into a copy: `trips.assign(trip_distance=…)`."""
    got = _converted(answer, _day("2019-10-16", 1.609344), _day("2019-10-17", 1.609344), start=7)
    assert np.allclose(got, [*np.linspace(0.2, 8, 40)] * 2), (
        "two days in kilometres: the distances that come back are not the miles"
    )


@checks(in_miles)
def days_are_judged_one_by_one(answer):
    """Group by the day and compare each group with the reference. A break has a date, and may be taken back."""
    days = [_day("2019-10-14"), _day("2019-10-15", 1.609344), _day("2019-10-16")]
    got = _converted(answer, *days)
    assert np.allclose(got, [*np.linspace(0.2, 8, 40)] * 3), (
        "miles, kilometres, miles: after the repair all three days must be alike"
    )


@checks(in_miles)
def a_changed_world_is_left_alone(answer):
    """A unit multiplies all quartiles by one factor. Ask all three; the mean or the median alone can't tell."""
    strike = _day("2019-10-14", shape=lambda miles: np.where(miles > 4, miles * 2.5, miles))
    spread = _day("2019-10-15", shape=lambda miles: np.where(miles > 2.5, miles * 1.6, miles))
    got = _converted(answer, strike, spread)
    due = np.concatenate([strike["trip_distance"], spread["trip_distance"]])
    assert np.allclose(got, due), (
        "on a day of a strike the long trips are longer and the short ones as ever: that is no unit, leave it"
    )


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
    """`days < test_from` marks the training rows. Their place in the table says nothing about their date."""
    _scored(answer)
    late = [n for n in _Mean.fitted_on if n >= 7]
    assert not late, f"the test begins on 7 January, and the model was trained on rows of the {late} as well"
    assert _Mean.fitted_on == [1, 2, 3, 4, 5, 6], (
        f"all days before the 7th are training days, you took {_Mean.fitted_on}"
    )


@checks(forward_mae)
def tests_on_all_that_follows(answer):
    """The rest is the test, the day `test_from` included: `~train`."""
    got, _ = _scored(answer)
    assert _Mean.asked == [7, 8, 9, 10], f"the test days are 7 to 10, you asked for {_Mean.asked}"
    due = np.mean([n**2 for n in (7, 8, 9, 10)]) - np.mean([n**2 for n in range(1, 7)])
    assert isinstance(got, float) and abs(got - due) < 1e-9, (
        f"the mean absolute error is {due:.3f}, yours {got}"
    )


@checks(forward_mae)
def leaves_the_model_alone(answer):
    """`clone(model).fit(…)`: a model that was fitted by a score is one that somebody will serve by mistake."""
    _, model = _scored(answer)
    assert not hasattr(model, "mean_"), "the model that was passed in is fitted now; fit a clone"


@checks(forward_mae)
def refuses_an_empty_side(answer):
    """`train.all()` means no test, `not train.any()` means no training. Raise ValueError and name the day."""
    for day, what in {"2014-12-31": "training", "2015-02-01": "test"}.items():
        try:
            _scored(answer, day)
        except ValueError as error:
            assert day in str(error), f"name the day in the message: {str(error)!r} does not say {day}"
            continue
        except Exception as error:
            raise AssertionError(f"no {what} row: ValueError, not {type(error).__name__}") from error
        raise AssertionError(f"no {what} row, and no ValueError")


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
    """`client.set_registered_model_alias(name, "champion", version)`, small c: `Champion` is another alias."""
    _, aliases, _ = _released(answer, 3, {1, 2})
    assert str(aliases.get("champion")) == "2", (
        f"versions 1 and 2 are approved, 3 is not: the champion is 2, yours {aliases.get('champion')}"
    )


@checks(release_approved)
def newest_is_by_number(answer):
    """A version is a text, and "9" > "10". Turn it into int before you take the largest."""
    _, aliases, _ = _released(answer, 11, {2, 9, 10})
    assert str(aliases.get("champion")) == "10", (
        f"approved are 2, 9 and 10: the newest is 10, yours {aliases.get('champion')}"
    )


@checks(release_approved)
def returns_the_number_and_touches_nothing_else(answer):
    """Return an int that a log can hold; move one alias, and make none."""
    got, aliases, _ = _released(answer, 3, {1, 2})
    assert type(got) is int and got == 2, f"return the version as int, 2 here, not {got!r}"
    rest = {alias: str(version) for alias, version in aliases.items() if alias != "champion"}
    assert rest == {"trial": "1"}, f"besides the champion there was `trial` on version 1; now {rest}"


@checks(release_approved)
def nothing_approved_nothing_released(answer):
    """Collect the approved versions first. If there are none, raise ValueError before any alias moves."""
    _, aliases, error = _released(answer, 2, set(), raises=True)
    assert error is not None, "no version is approved, and there was no ValueError"
    assert str(aliases.get("champion")) == "1", "no version is approved, and the champion has moved"


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
    """Never compare the best with the best. The mean of the differences counts, measured against their spread."""
    lucky = {seed: rmse + 0.01 for seed, rmse in _OLD.items()} | {3: 4.95}
    _verdict(answer, lucky, "no difference", "one seed is far better, the other nine are a little worse")


@checks(seed_verdict)
def same_seeds_are_paired(answer):
    """Subtract seed by seed: what a seed does to both settings cancels, and a small steady gain shows."""
    steady = {seed: rmse - 0.01 + (0.002 if seed % 2 else -0.002) for seed, rmse in _OLD.items()}
    turned = dict(reversed(steady.items()))
    _verdict(answer, turned, "better", "each seed is about 0.01 better, given in another order")
    _verdict(answer, _OLD, "worse", "the same turned round", old=steady)


@checks(seed_verdict)
def only_shared_seeds_count(answer):
    """`old.keys() & new.keys()`: a seed that one side never ran has no difference."""
    some = {seed: rmse - 0.02 + 0.001 * seed for seed, rmse in _OLD.items() if seed < 5} | {77: 9.0, 78: 9.5}
    _verdict(answer, some, "better", "five shared seeds gain, two that only the new setting ran are bad")


@checks(seed_verdict)
def few_seeds_few_words(answer):
    """The wider t for few seeds is in `scipy.stats.t.ppf`. Below three seeds there is no verdict: ValueError."""
    three = {0: 5.04, 1: 5.10, 2: 5.09}  # gains of 0.10, 0.03, 0.03: within 2 s/√n, not within t · s/√n
    _verdict(answer, three, "no difference", "three seeds gain 0.10, 0.03 and 0.03, t is 4.3")
    try:
        answer({0: 5.1, 1: 5.2}, {0: 5.0, 1: 5.1})
    except ValueError:
        return
    except Exception as error:
        raise AssertionError(f"two seeds: ValueError, not {type(error).__name__}") from error
    raise AssertionError("two seeds, and no ValueError")


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
    """No value of the own week may stand in the scale: on Monday nobody knows Sunday's rides."""
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
    """`level.mean()` has one value a week; `(week - 1).map(…)` looks up the one before. `std` has ddof=1 in pandas."""
    got = _scaled(answer, _weeks())
    for row, due in {107: (24 - 13) / 2.160247, 120: (57 - 30) / 4.320494}.items():
        assert abs(got[row] - due) < 1e-4, f"row {row}: {due:.3f} by the week before, yours {got[row]:.3f}"


@checks(scaled_by_the_past)
def first_week_has_no_scale(answer):
    """Missing is an honest answer, zero is a claim. `map` leaves NaN where the week before is not known."""
    got = _scaled(answer, _weeks()).loc[100:106]
    assert got.isna().all(), f"the first week has no week before it: missing, yours {got.round(2).tolist()}"


@checks(scaled_by_the_past)
def a_gap_is_a_gap(answer):
    """`shift` takes the row before, whatever its date. Subtract 1 from the period: that is the calendar week before."""
    got = _scaled(answer, _weeks(gap=True)).loc[114:]
    assert got.isna().all(), (
        "the second week is not in the data, so the third has no scale; yours took an older one"
    )


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
    """`order_by=["metrics.rmse ASC"]`; ASC because it is an error. Without an order the newest run comes first."""
    sweep = [("wide", "FINISHED", 5.4), ("deep", "FINISHED", 4.9), ("flat", "FINISHED", 10.2)]
    _chooses(answer, "deep", "of 5.4, 4.9 and 10.2 minutes", sweep)


@checks(best_finished)
def unfinished_runs_do_not_count(answer):
    """Filter by `attributes.status = 'FINISHED'`: a run that broke off has scored whatever it had."""
    sweep = [
        ("ok", "FINISHED", 5.1),
        ("broke off", "FAILED", 1.2),
        ("at work", "RUNNING", 2.0),
        ("killed", "KILLED", 0.5),
    ]
    _chooses(answer, "ok", "three runs with lower numbers have not finished", sweep)


@checks(best_finished)
def a_missing_score_is_not_the_best(answer):
    """A run may have no `rmse`, or NaN. Keep the runs whose metric is a number, then take the minimum."""
    sweep = [("silent", "FINISHED", None), ("nan", "FINISHED", math.nan), ("ok", "FINISHED", 5.1)]
    _chooses(answer, "ok", "the two others have no score", sweep)


@checks(best_finished)
def nothing_to_choose_from_is_an_error(answer):
    """When no run is left, raise ValueError; None or an IndexError would surface somewhere else."""
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
    """`pd.to_datetime(…, utc=True)`, then `.dt.tz_convert("America/New_York")`, then `.dt.hour`."""
    _clock(answer, "2019-10-02T17:45:00Z", (13, 2), "a Wednesday's early afternoon in New York")
    _clock(answer, "2019-10-02T04:10:00Z", (0, 2), "ten past midnight in New York")


@checks(features_as_trained)
def evening_belongs_to_its_own_day(answer):
    """The weekday comes from the same converted time as the hour. At 21:30 in New York it is tomorrow in London."""
    _clock(answer, "2019-10-05T01:30:00Z", (21, 4), "Friday evening")
    _clock(answer, "2019-10-07T03:59:00Z", (23, 6), "Sunday, a minute before midnight")


@checks(features_as_trained)
def winter_has_another_offset(answer):
    """New York is 4 hours behind in summer and 5 in winter. A time zone knows that, a subtraction does not."""
    _clock(answer, "2019-12-10T17:45:00Z", (12, 1), "a Tuesday in winter")
    _clock(answer, "2019-11-03T05:30:00Z", (1, 6), "the night the clocks go back")
    _clock(answer, "2019-11-03T06:30:00Z", (1, 6), "an hour later, the same hour once more")


@checks(features_as_trained)
def a_table_keeps_its_rows(answer):
    """Return the index of the input, or the answers go to other passengers."""
    got = _made(answer, "2019-12-10T17:45:00Z", "2019-07-10T17:45:00Z", "2019-10-05T01:30:00Z")
    due = [(12, 1), (13, 2), (21, 4)]
    assert got == due, f"three requests of winter, summer and autumn: {due}, yours {got}"


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

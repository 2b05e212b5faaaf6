"""Exercises of lesson 06a: predictions that agree, and a training that repeats."""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

from course.exercise import also_right, checks, right, wrong

# --- train_repeatably -------------------------------------------------------------------------------------------------


@right
def train_repeatably(rows, new, seed):
    """Train `RandomForestRegressor(n_estimators=10, min_samples_leaf=5)`; return its predictions for `new`.

    The target is `duration`, the features are all other columns of `rows`. The same rows and the same `seed` give
    the same predictions, in whatever order the rows and the columns of both tables come, and another seed gives
    others. NumPy's global generator is left alone.
    """
    features = sorted(rows.columns.drop("duration"))
    rows = rows.sort_values([*features, "duration"])
    model = RandomForestRegressor(n_estimators=10, min_samples_leaf=5, random_state=seed, n_jobs=1)
    return model.fit(rows[features], rows["duration"]).predict(new[features])


def _trips(n=600, seed=0):
    rng = np.random.default_rng(seed)
    hours, miles = rng.integers(0, 24, n), rng.choice(np.arange(1, 80) / 8, n)
    rows = pd.DataFrame({"hour": hours, "trip_distance": miles})
    rows["zone"] = rng.integers(1, 30, n)
    rows["duration"] = 4 * rows["trip_distance"] + 3 * np.sin(rows["hour"] / 4) + rng.normal(0, 3, n)
    return rows


def _predicted(answer, rows, new, seed=1):
    given = answer(rows.copy(), new.copy(), seed)
    assert given is not None and np.shape(given) == (len(new),), (
        f"return one prediction for each of the {len(new)} rows of `new`"
    )
    return np.asarray(given, dtype=float)


_NEW = _trips(200, seed=9).drop(columns="duration")


@checks(train_repeatably)
def answers_are_good(answer):
    """Does each target still belong to its row, and each prediction to its row of `new`? Only whole rows of training may move."""
    rows, new = _trips(), _trips(200, seed=9)
    error = np.abs(_predicted(answer, rows, new.drop(columns="duration")) - new["duration"]).mean()
    assert error < 4, f"the mean error is {error:.1f} minutes; the forest as given reaches about 3"


@checks(train_repeatably)
def same_seed_same_bits(answer):
    """Which object in your function draws random numbers, and who tells it with which seed?"""
    rows = _trips()
    first, second = (_predicted(answer, rows, _NEW) for _ in range(2))
    assert (first == second).all(), (
        f"twice the same call, and {np.mean(first != second):.0%} of the predictions differ"
    )


@checks(train_repeatably)
def seed_is_used(answer):
    """What should the caller see with another seed? A fixed one hides how much luck is in a result."""
    rows = _trips()
    assert (_predicted(answer, rows, _NEW, 1) != _predicted(answer, rows, _NEW, 2)).any(), (
        "seeds 1 and 2 give the same predictions"
    )


@checks(train_repeatably)
def order_of_rows_is_nothing(answer):
    """The seed picks positions. Which trip is at a position? The index may be new as well, so only the values can decide, and no tie may stay open."""
    rows = _trips()
    other = rows.sample(frac=1, random_state=0)
    first = _predicted(answer, rows, _NEW)
    for part, what in ((other, ""), (other.reset_index(drop=True), " and with a new index")):
        assert (first == _predicted(answer, part, _NEW)).all(), (
            f"the same rows in another order{what} gave other predictions"
        )


@checks(train_repeatably)
def order_of_columns_is_nothing(answer):
    """In which order do the columns come, and from which table? Give the features an order of their own."""
    rows = _trips()
    turned = rows[["duration", "zone", "hour", "trip_distance"]]
    first, second = (_predicted(answer, part, _NEW) for part in (rows, turned))
    third = _predicted(answer, rows, _NEW[["zone", "hour", "trip_distance"]])
    assert (first == second).all(), "the same columns of `rows` in another order gave other predictions"
    assert (first == third).all(), "the same columns of `new` in another order gave other predictions"


@checks(train_repeatably)
def global_generator_is_left_alone(answer):
    """Who else in the process draws from NumPy's global generator? Leave it alone."""
    np.random.seed(123)
    expected = np.random.random()
    np.random.seed(123)
    _predicted(answer, _trips(), _NEW)
    assert np.random.random() == expected, "after your function, NumPy's global generator draws other numbers"


@also_right(train_repeatably)
def by_lexsort(rows, new, seed):
    features = sorted(set(rows.columns) - {"duration"})
    order = np.lexsort([rows["duration"], *(rows[name] for name in features)])
    forest = RandomForestRegressor(10, min_samples_leaf=5, random_state=seed)
    return forest.fit(rows[features].iloc[order], rows["duration"].iloc[order]).predict(new[features])


@also_right(train_repeatably)
def with_a_generator(rows, new, seed):
    target, features = "duration", sorted(name for name in rows if name != "duration")
    table = pd.DataFrame(
        sorted(rows[[*features, target]].itertuples(index=False)), columns=[*features, target]
    )
    forest = RandomForestRegressor(
        n_estimators=10, min_samples_leaf=5, random_state=np.random.RandomState(seed)
    )
    forest.fit(table[features], table[target])
    return forest.predict(new.loc[:, features])


def _forest(seed):
    return RandomForestRegressor(n_estimators=10, min_samples_leaf=5, random_state=seed, n_jobs=1)


@wrong(train_repeatably, caught_by=answers_are_good)
def sorts_the_target_alone(rows, new, seed):
    features = sorted(rows.columns.drop("duration"))
    return _forest(seed).fit(rows[features], np.sort(rows["duration"])).predict(new[features])


@wrong(train_repeatably, caught_by=same_seed_same_bits)
def forgets_the_seed(rows, new, seed):
    features = sorted(rows.columns.drop("duration"))
    rows = rows.sort_values([*features, "duration"])
    return _forest(None).fit(rows[features], rows["duration"]).predict(new[features])


@wrong(train_repeatably, caught_by=seed_is_used)
def writes_42_into_it(rows, new, seed):
    return train_repeatably(rows, new, 42)


@wrong(train_repeatably, caught_by=order_of_rows_is_nothing)
def trusts_the_seed_alone(rows, new, seed):
    features = sorted(rows.columns.drop("duration"))
    return _forest(seed).fit(rows[features], rows["duration"]).predict(new[features])


@wrong(train_repeatably, caught_by=order_of_rows_is_nothing)
def sorts_by_one_column(rows, new, seed):
    return trusts_the_seed_alone(rows.sort_values("trip_distance", kind="stable"), new, seed)


@wrong(train_repeatably, caught_by=order_of_rows_is_nothing)
def sorts_by_the_index(rows, new, seed):
    return trusts_the_seed_alone(rows.sort_index(), new, seed)


@wrong(train_repeatably, caught_by=order_of_columns_is_nothing)
def takes_the_columns_as_they_come(rows, new, seed):
    features = list(rows.columns.drop("duration"))
    rows = rows.sort_values(sorted(rows.columns))
    return _forest(seed).fit(rows[features], rows["duration"]).predict(new[features])


@wrong(train_repeatably, caught_by=order_of_columns_is_nothing)
def takes_new_as_it_comes(rows, new, seed):
    features = sorted(rows.columns.drop("duration"))
    rows = rows.sort_values([*features, "duration"])
    return _forest(seed).fit(rows[features].to_numpy(), rows["duration"]).predict(new.to_numpy())


@wrong(train_repeatably, caught_by=answers_are_good)
def sorts_new_as_well(rows, new, seed):
    return train_repeatably(rows, new.sort_values(sorted(new.columns)), seed)


@wrong(train_repeatably, caught_by=global_generator_is_left_alone)
def seeds_the_world(rows, new, seed):
    np.random.seed(seed)
    features = sorted(rows.columns.drop("duration"))
    rows = rows.sort_values([*features, "duration"])
    return _forest(None).fit(rows[features], rows["duration"]).predict(new[features])


# --- same_predictions -------------------------------------------------------------------------------------------------


@right
def same_predictions(old, new, tolerance=1e-4):
    """Return True when two arrays of predictions agree, else False.

    They agree when they have the same shape and no prediction differs by more than `tolerance` minutes. A missing
    value agrees with nothing, not even with another one.
    """
    old, new = np.asarray(old, dtype=float), np.asarray(new, dtype=float)
    return old.shape == new.shape and bool((np.abs(old - new) <= tolerance).all())


def _minutes(n=1_000, seed=0):
    return np.random.default_rng(seed).uniform(2, 59, n)


def _verdict(answer, old, new, **options):
    try:
        given = answer(old.copy(), new.copy(), **options)
    except ValueError as error:
        raise AssertionError(f"arrays of {old.shape} and {new.shape} raised an error: {error}") from None
    assert isinstance(given, bool | np.bool_), f"return True or False, not a {type(given).__name__}"
    return bool(given)


@checks(same_predictions)
def noise_agrees(answer):
    """Would another processor give the very same bits? Decide how far apart two predictions may be."""
    old = _minutes()
    assert _verdict(answer, old, old), "an array does not agree with itself"
    noisy = np.nextafter(old, np.inf)
    assert _verdict(answer, old, noisy), "predictions that differ by 1e-14 minutes do not agree with you"
    rounded = old.astype("float32")
    assert _verdict(answer, old, rounded), "predictions that were rounded to 32 bits do not agree with you"


@checks(same_predictions)
def one_changed_trip_is_seen(answer):
    """What happens to one changed trip of a thousand in a mean or an RMSE? Ask for the worst one."""
    old = _minutes()
    new = old.copy()
    new[500] += 0.01
    assert not _verdict(answer, old, new), (
        "one of 1,000 predictions changed by 0.01 minutes, and you saw nothing"
    )


@checks(same_predictions)
def trips_are_compared_one_by_one(answer):
    """Are the predictions still the same when two trips swap theirs? Each trip has its own place."""
    old = _minutes()
    new = old.copy()
    new[[3, 700]] = new[[700, 3]]
    assert not _verdict(answer, old, new), "two trips got each other's prediction, and you saw nothing"


@checks(same_predictions)
def minutes_are_not_shares(answer):
    """How much does your comparison allow for a trip of an hour? Some functions add a share of the value to the tolerance."""
    old = np.full(10, 59.0)
    assert not _verdict(answer, old, old + 3e-4), "0.0003 minutes are more than the tolerance of 0.0001"
    assert _verdict(answer, old, old + 3e-4, tolerance=1e-3), (
        "0.0003 minutes are less than a tolerance of 0.001"
    )


@checks(same_predictions)
def a_missing_prediction_is_a_difference(answer):
    """What does Python answer when it compares with NaN? Asking whether all are near differs from asking whether any is far."""
    old = _minutes()
    new = old.copy()
    new[0] = np.nan
    assert not _verdict(answer, old, new), "one prediction is missing, and you call it the same"


@checks(same_predictions)
def all_trips_are_there(answer):
    """What does NumPy do with arrays of different length? Look at the shapes before you subtract."""
    old = np.full(10, 12.5)
    assert not _verdict(answer, old, old[:1]), "ten predictions agree with one"
    assert not _verdict(answer, old, old[:9]), "ten predictions agree with nine"


@also_right(same_predictions)
def by_isclose(old, new, tolerance=1e-4):
    return np.shape(old) == np.shape(new) and np.isclose(new, old, rtol=0, atol=tolerance).all()


@also_right(same_predictions)
def one_by_one(old, new, tolerance=1e-4):
    if len(old) != len(new):
        return False
    return all(abs(float(a) - float(b)) <= tolerance for a, b in zip(old, new, strict=True))


@wrong(same_predictions, caught_by=noise_agrees)
def asks_for_the_same_bits(old, new, tolerance=1e-4):
    return np.array_equal(old, new)


@wrong(same_predictions, caught_by=one_changed_trip_is_seen)
def compares_the_means(old, new, tolerance=1e-4):
    return old.shape == new.shape and bool(abs(old.mean() - new.mean()) < 1e-3)


@wrong(same_predictions, caught_by=trips_are_compared_one_by_one)
def compares_sorted_values(old, new, tolerance=1e-4):
    return same_predictions(np.sort(old), np.sort(new), tolerance)


@wrong(same_predictions, caught_by=minutes_are_not_shares)
def keeps_the_relative_tolerance(old, new, tolerance=1e-4):
    return old.shape == new.shape and bool(np.allclose(old, new, atol=tolerance))


@wrong(same_predictions, caught_by=a_missing_prediction_is_a_difference)
def asks_whether_any_is_far(old, new, tolerance=1e-4):
    return old.shape == new.shape and not bool((np.abs(old - new) > tolerance).any())


@wrong(same_predictions, caught_by=all_trips_are_there)
def trusts_the_shapes(old, new, tolerance=1e-4):
    return bool((np.abs(old - new) <= tolerance).all())

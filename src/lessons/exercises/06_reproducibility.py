"""Exercises of lesson 06: predictions that agree, a training that repeats, ten seeds in one line, and who is suspect."""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

from course.exercise import checks, right, wrong

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
    """The last bits differ between processors; the same hash is too much to ask. Compare with the tolerance."""
    old = _minutes()
    assert _verdict(answer, old, old), "an array does not agree with itself"
    noisy = np.nextafter(old, np.inf)
    assert _verdict(answer, old, noisy), "predictions that differ by 1e-14 minutes do not agree with you"
    rounded = old.astype("float32")
    assert _verdict(answer, old, rounded), "predictions that were rounded to 32 bits do not agree with you"


@checks(same_predictions)
def one_changed_trip_is_seen(answer):
    """Look at the largest of the differences. In a mean or an RMSE one trip of a thousand vanishes."""
    old = _minutes()
    new = old.copy()
    new[500] += 0.01
    assert not _verdict(answer, old, new), (
        "one of 1,000 predictions changed by 0.01 minutes, and you saw nothing"
    )


@checks(same_predictions)
def trips_are_compared_one_by_one(answer):
    """Sums and sorted values are the same when two trips swap places. Compare element by element."""
    old = _minutes()
    new = old.copy()
    new[[3, 700]] = new[[700, 3]]
    assert not _verdict(answer, old, new), "two trips got each other's prediction, and you saw nothing"


@checks(same_predictions)
def minutes_are_not_shares(answer):
    """`np.allclose` adds a relative tolerance of 1e-5 of its own: with `rtol=0, atol=tolerance` it has none."""
    old = np.full(10, 59.0)
    assert not _verdict(answer, old, old + 3e-4), "0.0003 minutes are more than the tolerance of 0.0001"
    assert _verdict(answer, old, old + 3e-4, tolerance=1e-3), (
        "0.0003 minutes are less than a tolerance of 0.001"
    )


@checks(same_predictions)
def a_missing_prediction_is_a_difference(answer):
    """Every comparison with NaN is False: ask whether all are near, not whether any is far."""
    old = _minutes()
    new = old.copy()
    new[0] = np.nan
    assert not _verdict(answer, old, new), "one prediction is missing, and you call it the same"


@checks(same_predictions)
def all_trips_are_there(answer):
    """Compare `shape` first: NumPy stretches an array of one to any length, and raises for others."""
    old = np.full(10, 12.5)
    assert not _verdict(answer, old, old[:1]), "ten predictions agree with one"
    assert not _verdict(answer, old, old[:9]), "ten predictions agree with nine"


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
    """A prediction belongs to the row of `new` at its place, a target to its row: sort whole rows, of training alone."""
    rows, new = _trips(), _trips(200, seed=9)
    error = np.abs(_predicted(answer, rows, new.drop(columns="duration")) - new["duration"]).mean()
    assert error < 4, f"the mean error is {error:.1f} minutes; the forest as given reaches about 3"


@checks(train_repeatably)
def same_seed_same_bits(answer):
    """Pass the seed on: `random_state=seed`."""
    rows = _trips()
    first, second = (_predicted(answer, rows, _NEW) for _ in range(2))
    assert (first == second).all(), (
        f"twice the same call, and {np.mean(first != second):.0%} of the predictions differ"
    )


@checks(train_repeatably)
def seed_is_used(answer):
    """A seed written into the function makes every run the same run, and hides how much luck is in it."""
    rows = _trips()
    assert (_predicted(answer, rows, _NEW, 1) != _predicted(answer, rows, _NEW, 2)).any(), (
        "seeds 1 and 2 give the same predictions"
    )


@checks(train_repeatably)
def order_of_rows_is_nothing(answer):
    """The seed picks positions, not trips: sort the rows first, by **all** columns, so that no tie is left open."""
    rows = _trips()
    first, second = (_predicted(answer, part, _NEW) for part in (rows, rows.sample(frac=1, random_state=0)))
    assert (first == second).all(), "the same rows in another order gave other predictions"


@checks(train_repeatably)
def order_of_columns_is_nothing(answer):
    """Give the features an order of their own, `sorted(...)`, and take them by name from both tables."""
    rows = _trips()
    turned = rows[["duration", "zone", "hour", "trip_distance"]]
    first, second = (_predicted(answer, part, _NEW) for part in (rows, turned))
    third = _predicted(answer, rows, _NEW[["zone", "hour", "trip_distance"]])
    assert (first == second).all(), "the same columns of `rows` in another order gave other predictions"
    assert (first == third).all(), "the same columns of `new` in another order gave other predictions"


@checks(train_repeatably)
def global_generator_is_left_alone(answer):
    """`np.random.seed` changes the draws of everybody else in the process. `random_state=seed` stays inside."""
    np.random.seed(123)
    expected = np.random.random()
    np.random.seed(123)
    _predicted(answer, _trips(), _NEW)
    assert np.random.random() == expected, "after your function, NumPy's global generator draws other numbers"


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


# --- seed_report ------------------------------------------------------------------------------------------------------


@right
def seed_report(errors, baseline):
    """Return a dict that reports runs of one method with several seeds against a baseline.

    `errors` has one error per seed, a Series by seed, NaN where the run crashed; `baseline` has the errors of the
    other method with the same seeds, none missing. The dict: `n` (runs that ended), `failed`, `mean`, `sd` (of a
    sample: divided by n - 1), and `wins`, the share of the seeds with both errors in which the method has the
    lower one.
    """
    ended = errors.dropna()
    return {
        "n": len(ended),
        "failed": len(errors) - len(ended),
        "mean": ended.mean(),
        "sd": ended.std(),
        "wins": (ended < baseline.reindex(ended.index)).mean(),
    }


_SEEDS = [3, 1, 4, 15, 9, 2, 6, 5]


def _runs():
    """Return the errors of eight seeds, two of which crashed, and of a baseline, in another order of the seeds."""
    errors = pd.Series([4.60, 4.66, np.nan, 4.58, 4.62, 4.64, np.nan, 4.56], index=_SEEDS)
    baseline = pd.Series([4.61, 4.67, 4.70, 4.52, 4.63, 4.60, 4.50, 4.58], index=_SEEDS).sort_index()
    return errors, baseline


def _reported(answer, key):
    errors, baseline = _runs()
    report = answer(errors, baseline)
    keys = ["n", "failed", "mean", "sd", "wins"]
    assert isinstance(report, dict) and sorted(report) == sorted(keys), (
        f"return a dict with the keys {keys}, not {sorted(report) if isinstance(report, dict) else report!r}"
    )
    return float(report[key])


@checks(seed_report)
def crashed_runs_are_counted(answer):
    """A run that crashed is a result too. `dropna()` leaves those that ended; the others are `failed`."""
    n, failed = _reported(answer, "n"), _reported(answer, "failed")
    assert (n, failed) == (6, 2), (
        f"of 8 runs 6 ended and 2 crashed; you report n = {n:.0f}, failed = {failed:.0f}"
    )


@checks(seed_report)
def mean_is_reported_not_the_best(answer):
    """The lowest error of several is what luck gave. The mean is what the next run may expect."""
    mean = _reported(answer, "mean")
    assert abs(mean - 4.61) < 1e-9, f"the mean of the six errors is 4.61, you report {mean:.4g}"


@checks(seed_report)
def spread_is_that_of_a_sample(answer):
    """`Series.std()` divides by n - 1, `np.std` by n. Neither is the standard error of the mean."""
    expected = _runs()[0].std()
    sd = _reported(answer, "sd")
    assert abs(sd - expected) < 1e-9, (
        f"the sample's standard deviation is {expected:.4f}, you report {sd:.4f}"
    )


@checks(seed_report)
def seeds_are_compared_in_pairs(answer):
    """Pair by the seed, `baseline.reindex(ended.index)`. A crashed run is in no pair: it neither wins nor loses."""
    wins = _reported(answer, "wins")
    assert abs(wins - 4 / 6) < 1e-9, (
        f"of six seeds with both errors, four are lower than the baseline with the same seed; you report {wins:.3g}"
    )


@wrong(seed_report, caught_by=crashed_runs_are_counted)
def drops_crashed_runs_in_silence(errors, baseline):
    return seed_report(errors, baseline) | {"failed": 0}


@wrong(seed_report, caught_by=crashed_runs_are_counted)
def counts_every_run(errors, baseline):
    return seed_report(errors, baseline) | {"n": len(errors)}


@wrong(seed_report, caught_by=mean_is_reported_not_the_best)
def publishes_the_best(errors, baseline):
    return seed_report(errors, baseline) | {"mean": errors.min()}


@wrong(seed_report, caught_by=spread_is_that_of_a_sample)
def divides_by_n(errors, baseline):
    return seed_report(errors, baseline) | {"sd": np.std(errors.dropna().to_numpy())}


@wrong(seed_report, caught_by=spread_is_that_of_a_sample)
def reports_the_standard_error(errors, baseline):
    return seed_report(errors, baseline) | {"sd": errors.sem()}


@wrong(seed_report, caught_by=seeds_are_compared_in_pairs)
def pairs_by_position(errors, baseline):
    ended = errors.notna().to_numpy()
    return seed_report(errors, baseline) | {
        "wins": (errors.to_numpy()[ended] < baseline.to_numpy()[ended]).mean()
    }


@wrong(seed_report, caught_by=seeds_are_compared_in_pairs)
def lets_crashed_runs_lose(errors, baseline):
    return seed_report(errors, baseline) | {"wins": (errors < baseline.reindex(errors.index)).mean()}


# --- suspects ---------------------------------------------------------------------------------------------------------


@right
def suspects(old, new):
    """Return the groups of facts in which two runs differ, a sorted list without repetition.

    `old` and `new` are the facts of two runs, dicts with texts; the group is what stands before the first dot:
    `library.numpy` is of the group `library`. A fact that only one of the runs has differs. The group `result` is the
    effect and never a suspect. If results differ and nothing else does, return `["not recorded"]`.
    """
    differ = {name.split(".")[0] for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    causes = sorted(differ - {"result"})
    return causes or (["not recorded"] if differ else [])


_FACTS = {
    "code.commit": "4f1c9d2",
    "data.digest": "a81f03c7",
    "data.sha256": "9b0e77",
    "library.numpy": "2.4.6",
    "library.xgboost": "3.2.0",
    "machine.threads": "1",
    "result.rmse": "4.583",
    "setting.features": "trip_distance, hour, weekday",
    "setting.random_state": "0",
}


def _named(answer, changed, without=()):
    old = dict(_FACTS)
    new = {name: value for name, value in (old | changed).items() if name not in without}
    given = answer(dict(old), dict(new))
    assert isinstance(given, list), f"return a list, not a {type(given).__name__}"
    return given


@checks(suspects)
def names_the_group(answer):
    """`name.split(".")[0]` is the group. A set keeps each group once, `sorted` makes a list of it."""
    for changed, expected in [
        ({"library.numpy": "2.4.5", "library.xgboost": "3.1.0", "result.rmse": "4.601"}, ["library"]),
        ({"setting.random_state": "1", "data.sha256": "c01d55", "result.rmse": "4.601"}, ["data", "setting"]),
    ]:
        given = _named(answer, changed)
        assert given == expected, f"{sorted(changed)} differ: {expected}, you returned {given}"


@checks(suspects)
def result_is_no_cause(answer):
    """Take `result` out of the groups: another error is what you want to explain."""
    given = _named(answer, {"code.commit": "77aa01b", "result.rmse": "4.601"})
    assert given == ["code"], f"the commit and the error differ: ['code'], you returned {given}"


@checks(suspects)
def every_text_counts(answer):
    """Texts agree or differ as a whole: the order of the columns matters, and 2.4.6 is not 2.4.5."""
    given = _named(answer, {"setting.features": "hour, trip_distance, weekday", "result.rmse": "4.601"})
    assert given == ["setting"], f"the features come in another order: ['setting'], you returned {given}"


@checks(suspects)
def a_fact_of_one_run_counts(answer):
    """Go through the names of both, `old.keys() | new.keys()`, and fetch with `.get(name)`."""
    given = _named(answer, {"result.rmse": "4.601"}, without=["machine.threads"])
    assert given == ["machine"], f"only the old run says its threads: ['machine'], you returned {given}"
    given = _named(answer, {"machine.kernels": "Haswell"})
    assert given == ["machine"], f"only the new run says its kernels: ['machine'], you returned {given}"


@checks(suspects)
def silence_is_reported(answer):
    """When nothing recorded differs and the result does, the cause is something that nobody wrote down."""
    given = _named(answer, {"result.rmse": "4.601"})
    assert given == ["not recorded"], f"only the error differs: ['not recorded'], you returned {given}"
    given = _named(answer, {})
    assert given == [], f"nothing differs: [], you returned {given}"


@wrong(suspects, caught_by=names_the_group)
def names_the_facts(old, new):
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


@wrong(suspects, caught_by=names_the_group)
def repeats_the_group(old, new):
    return sorted(n.split(".")[0] for n in old if old[n] != new.get(n) and not n.startswith("result"))


@wrong(suspects, caught_by=names_the_group)
def stops_at_the_first(old, new):
    return suspects(old, new)[:1]


@wrong(suspects, caught_by=result_is_no_cause)
def suspects_the_result(old, new):
    differ = {name.split(".")[0] for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    return sorted(differ - {"result"} if "library" in differ or "data" in differ else differ)


@wrong(suspects, caught_by=every_text_counts)
def compares_the_columns_as_a_set(old, new):
    def parts(facts):
        return {name: ", ".join(sorted(text.split(", "))) for name, text in facts.items()}

    return suspects(parts(old), parts(new))


@wrong(suspects, caught_by=a_fact_of_one_run_counts)
def looks_at_common_facts_only(old, new):
    common = old.keys() & new.keys()
    return suspects({name: old[name] for name in common}, {name: new[name] for name in common})


@wrong(suspects, caught_by=silence_is_reported)
def says_nothing_of_the_unknown(old, new):
    return [group for group in suspects(old, new) if group != "not recorded"]

"""Exercises of lesson 04b: stop a training on a later month, and see when the best trials lie at the edge of the space."""

import functools

import numpy as np
import pandas as pd
import xgboost
from sklearn.metrics import root_mean_squared_error
from xgboost import XGBRegressor

from course.exercise import also_right, checks, right, wrong

# --- stop_early -------------------------------------------------------------------------------------------------------


@right
def stop_early(trips, features):
    """Train `XGBRegressor(n_estimators=200, learning_rate=0.3, early_stopping_rounds=10, n_jobs=1, random_state=0)` honestly.

    The last `month` of `trips` (text like "2019-03") tests, the one before it decides when to stop, all earlier ones train on
    `features` for `duration`. Return how many trees predict, and the RMSE of the test month. (A refit before it is allowed.)
    """
    *earlier, later, last = sorted(trips["month"].unique())
    train, valid, test = (trips[trips["month"].isin(chosen)] for chosen in (earlier, [later], [last]))
    model = XGBRegressor(
        n_estimators=200, learning_rate=0.3, early_stopping_rounds=10, n_jobs=1, random_state=0
    )
    model.fit(
        train[features],
        train["duration"],
        eval_set=[(valid[features], valid["duration"])],
        verbose=False,
    )
    rmse = root_mean_squared_error(test["duration"], model.predict(test[features]))
    return model.best_iteration + 1, float(rmse)


_FEATURES = ["miles", "noise"]


@functools.cache
def _four_months():
    """Return trips of four months, in no order; in the last one the streets are twice as fast."""
    rng = np.random.default_rng(0)
    trips = pd.DataFrame({"miles": rng.uniform(0.5, 12, 2400), "noise": rng.normal(0, 1, 2400)})
    trips["month"] = np.repeat(["2020-01", "2020-02", "2020-03", "2020-04"], 600)
    pace = trips["month"].map({"2020-01": 4.0, "2020-02": 4.2, "2020-03": 3.9, "2020-04": 2.0})
    trips["duration"] = pace * trips["miles"] + rng.normal(0, 3, 2400)
    return trips.sample(frac=1, random_state=0)


def _stopped(answer):
    """Return what the answer says of the four months, and what is right."""
    found = answer(_four_months().copy(), list(_FEATURES))
    assert isinstance(found, (tuple, list)) and len(found) == 2, "return two numbers: the trees, and the RMSE"
    trees, honest = stop_early(_four_months().copy(), _FEATURES)
    return (int(found[0]), float(found[1])), (trees, honest, _refitted(trees))


@functools.cache
def _refitted(trees):
    """Return the RMSE on the test month of so many trees, trained on all months before it."""
    trips = _four_months()
    train, test = trips[trips["month"] < "2020-04"], trips[trips["month"] == "2020-04"]
    model = XGBRegressor(n_estimators=trees, learning_rate=0.3, n_jobs=1, random_state=0)
    model.fit(train[_FEATURES], train["duration"])
    return root_mean_squared_error(test["duration"], model.predict(test[_FEATURES]))


@checks(stop_early)
def returns_trees_and_error(answer):
    """What does `best_iteration` count from? Round 0 is the first tree. Return the trees and the RMSE, in this order."""
    (trees, rmse), _ = _stopped(answer)
    assert 0 < trees <= 200, f"{trees} trees can't be: at most 200 are trained"
    assert rmse > 0, f"an RMSE of {rmse:.3g} minutes can't be"


@checks(stop_early)
def the_test_month_decides_nothing(answer):
    """Which months may the training look at, and which one alone may choose the number of trees?"""
    (trees, rmse), (wanted, honest, refitted) = _stopped(answer)
    assert rmse > 0.99 * min(honest, refitted), (
        f"your RMSE is {rmse:.2f} with {trees} trees. Without looking at the test month it is {honest:.2f} with {wanted} "
        f"({refitted:.2f} fitted again on all months before): yours is too good to be true"
    )


@checks(stop_early)
def the_error_is_that_of_the_test_month(answer):
    """On which month, and in which unit, is the error asked for? An RMSE is in minutes."""
    (_, rmse), (_, honest, refitted) = _stopped(answer)
    assert min(abs(rmse - one) for one in (honest, refitted)) < 0.03 * honest, (
        f"your RMSE is {rmse:.2f}, on the last month it is {honest:.2f}"
    )


@checks(stop_early)
def the_later_month_stops_the_training(answer):
    """How many trees did the month before the last choose? `predict` uses `best_iteration` itself, counted from 0."""
    (trees, _), (wanted, *_) = _stopped(answer)
    assert trees == wanted, f"you say that {trees} trees predict, it should be {wanted}"


def _stop_on(trips, features, months, eval_month, rounds=10):
    """Train on `months`, stop on `eval_month`, test on the last month: what the wrong answers share."""
    model = XGBRegressor(
        n_estimators=200, learning_rate=0.3, early_stopping_rounds=rounds, n_jobs=1, random_state=0
    )
    train, last = trips[trips["month"].isin(months)], trips[trips["month"] == "2020-04"]
    decides = trips[trips["month"] == eval_month]
    evaluated = [(decides[features], decides["duration"])]
    model.fit(train[features], train["duration"], eval_set=evaluated, verbose=False)
    return model, root_mean_squared_error(last["duration"], model.predict(last[features]))


@wrong(stop_early, caught_by=returns_trees_and_error)
def returns_the_rmse_alone(trips, features):
    return [stop_early(trips, features)[1]]


@wrong(stop_early, caught_by=the_test_month_decides_nothing)
def stops_on_the_test_month(trips, features):
    model, rmse = _stop_on(trips, features, ["2020-01", "2020-02"], "2020-04")
    return model.best_iteration + 1, rmse


@wrong(stop_early, caught_by=the_test_month_decides_nothing)
def trains_on_all_months(trips, features):
    model, rmse = _stop_on(trips, features, ["2020-01", "2020-02", "2020-03", "2020-04"], "2020-03")
    return model.best_iteration + 1, rmse


@wrong(stop_early, caught_by=the_test_month_decides_nothing)
def returns_the_error_it_stopped_on(trips, features):
    model, _ = _stop_on(trips, features, ["2020-01", "2020-02"], "2020-03")
    return model.best_iteration + 1, model.best_score


@wrong(stop_early, caught_by=the_later_month_stops_the_training)
def counts_the_best_round_from_zero(trips, features):
    trees, rmse = stop_early(trips, features)
    return trees - 1, rmse


@wrong(stop_early, caught_by=the_later_month_stops_the_training)
def counts_all_rounds(trips, features):
    model, rmse = _stop_on(trips, features, ["2020-01", "2020-02"], "2020-03")
    return model.get_booster().num_boosted_rounds(), rmse


@wrong(stop_early, caught_by=the_later_month_stops_the_training)
def stops_on_a_training_month(trips, features):
    model, rmse = _stop_on(trips, features, ["2020-01", "2020-02"], "2020-02")
    return model.best_iteration + 1, rmse


@wrong(stop_early, caught_by=the_error_is_that_of_the_test_month)
def forgets_the_root(trips, features):
    trees, rmse = stop_early(trips, features)
    return trees, rmse**2


@also_right(stop_early)
def fits_again_with_the_month_that_decided(trips, features):
    months = np.unique(trips["month"])
    model, _ = _stop_on(trips, features, list(months[:-2]), months[-2])
    trees = model.best_iteration + 1
    last = trips["month"] == months[-1]
    again = XGBRegressor(n_estimators=trees, learning_rate=0.3, n_jobs=1, random_state=0)
    again.fit(trips.loc[~last, features], trips.loc[~last, "duration"])
    error = again.predict(trips.loc[last, features]) - trips.loc[last, "duration"]
    return trees, np.sqrt(np.mean(error**2))


@also_right(stop_early)
def trains_with_the_booster(trips, features):
    months = sorted(set(trips["month"]))
    parts = {m: xgboost.DMatrix(rows[features], rows["duration"]) for m, rows in trips.groupby("month")}
    early = trips[~trips["month"].isin(months[-2:])]
    booster = xgboost.train(
        {"eta": 0.3, "seed": 0, "nthread": 1},
        xgboost.DMatrix(early[features], early["duration"]),
        num_boost_round=200,
        evals=[(parts[months[-2]], "decides")],
        early_stopping_rounds=10,
        verbose_eval=False,
    )
    best = booster[: booster.best_iteration + 1]
    answers = best.predict(parts[months[-1]])
    return booster.best_iteration + 1, root_mean_squared_error(parts[months[-1]].get_label(), answers)


# --- at_the_edge ------------------------------------------------------------------------------------------------------


@right
def at_the_edge(trials, limits):
    """Return the parameters whose best values lie at a limit of the space: name → "lowest" or "highest".

    `trials` has a column for each parameter and `error`, `limits` maps a parameter to (lowest, highest). It is at an edge
    when more than half of the best tenth of the trials (20 of 200) lie within 5 % of its axis from one of its limits.
    """
    best = trials.nsmallest(len(trials) // 10, "error")
    found = {}
    for name, (low, high) in limits.items():
        share = (best[name] - low) / (high - low)
        if (share <= 0.05).mean() > 0.5:
            found[name] = "lowest"
        elif (share >= 0.95).mean() > 0.5:
            found[name] = "highest"
    return found


_LIMITS = {
    "max_depth": (2, 12),
    "min_child_weight": (1.0, 81.0),
    "subsample": (0.5, 1.0),
    "n_estimators": (50, 450),
}


def _trials(seed=0, slopes=(0, 0, 0, 0), rows=200):
    """Return trials whose error falls towards the high end of a parameter (slope 1), the low end (-1) or neither."""
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0, 1, (rows, 4))
    shares[: rows // 4] = np.where(
        np.array(slopes) > 0, 1, np.where(np.array(slopes) < 0, 0, shares[: rows // 4])
    )
    table = pd.DataFrame(
        {n: low + s * (high - low) for (n, (low, high)), s in zip(_LIMITS.items(), shares.T, strict=True)}
    )
    table["error"] = 5 - shares @ np.array(slopes) + rng.normal(0, 0.02, rows)
    return table.sample(frac=1, random_state=seed)


def _edges(answer, table, limits=None):
    found = answer(table.copy(), dict(limits or _LIMITS))
    assert isinstance(found, dict), f"return a dict; you returned a {type(found).__name__}"
    return found


@checks(at_the_edge)
def returns_a_dict_of_ends(answer):
    """What would a colleague want to read: which axis, and which end of it? A dict has both."""
    found = _edges(answer, _trials(slopes=(0, 1, 0, -1)))
    assert set(found.values()) <= {"lowest", "highest"}, f"the values are {sorted(map(str, found.values()))}"
    assert set(found) <= set(_LIMITS), f"the names are {sorted(map(str, found))}"


@checks(at_the_edge)
def finds_each_edge(answer):
    """Where on its axis does each of the best trials lie, as a share from 0 to 1? More than half near one end is an edge."""
    for slopes, wanted in (
        ((0, 0, 0, 1), {"n_estimators": "highest"}),
        ((-1, 0, 0, 1), {"max_depth": "lowest", "n_estimators": "highest"}),
    ):
        found = _edges(answer, _trials(1, slopes))
        assert found == wanted, f"the best 20 of 200 trials lie at {wanted}; you return {found}"


@checks(at_the_edge)
def an_axis_has_its_own_length(answer):
    """How long is the axis? Near means 5 % of it: two depths of ten are not near, two trees of four hundred are."""
    table = _trials(2, (0, 0, 0, 1))
    best = table["error"].nsmallest(20).index
    table.loc[best, "n_estimators"] = 440 + np.arange(20) / 2  # near the limit, never at it
    table.loc[best, "min_child_weight"] = (
        70.0 + np.arange(20) / 10
    )  # above 90 % of the largest value, not near
    found = _edges(answer, table)
    assert found == {"n_estimators": "highest"}, (
        "440 to 450 trees are near the limit of 450, child weights of 70 to 72 are not near 81 on an axis from 1; "
        f"you return {found}"
    )


@checks(at_the_edge)
def only_the_best_count(answer):
    """Whose values are asked about? A search tries the edge often; what matters is whether the best trials lie there."""
    table = _trials(3)
    table.loc[table["error"].nlargest(150).index, "subsample"] = 1.0
    table.loc[table["error"].nsmallest(20).index, "subsample"] = 0.7
    found = _edges(answer, table)
    assert found == {}, f"150 of 200 trials have subsample 1.0, the best 20 have 0.7; you return {found}"


@wrong(at_the_edge, caught_by=returns_a_dict_of_ends)
def returns_the_names(trials, limits):
    return list(at_the_edge(trials, limits))


@wrong(at_the_edge, caught_by=returns_a_dict_of_ends)
def returns_the_limit(trials, limits):
    return {name: limits[name][end == "highest"] for name, end in at_the_edge(trials, limits).items()}


@wrong(at_the_edge, caught_by=finds_each_edge)
def takes_the_worst(trials, limits):
    return at_the_edge(trials.assign(error=-trials["error"]), limits)


@wrong(at_the_edge, caught_by=finds_each_edge)
def looks_at_the_upper_end_only(trials, limits):
    return {name: end for name, end in at_the_edge(trials, limits).items() if end == "highest"}


@wrong(at_the_edge, caught_by=an_axis_has_its_own_length)
def wants_the_limit_itself(trials, limits):
    best = trials.nsmallest(len(trials) // 10, "error")
    ends = {
        name: ((best[name] == low).mean(), (best[name] == high).mean())
        for name, (low, high) in limits.items()
    }
    return {name: ("highest" if b > a else "lowest") for name, (a, b) in ends.items() if max(a, b) > 0.5}


@wrong(at_the_edge, caught_by=an_axis_has_its_own_length)
def measures_in_shares_of_the_limit(trials, limits):
    best = trials.nsmallest(len(trials) // 10, "error")
    found = {}
    for name, (low, high) in limits.items():
        if (best[name] <= 1.05 * low).mean() > 0.5:
            found[name] = "lowest"
        elif (best[name] >= 0.85 * high).mean() > 0.5:
            found[name] = "highest"
    return found


@wrong(at_the_edge, caught_by=only_the_best_count)
def counts_all_trials(trials, limits):
    found = {}
    for name, (low, high) in limits.items():
        share = (trials[name] - low) / (high - low)
        if (share >= 0.95).mean() > 0.5:
            found[name] = "highest"
    return at_the_edge(trials, limits) | found


@also_right(at_the_edge)
def in_plain_python(trials, limits):
    rows = sorted(trials.to_dict("records"), key=lambda row: row["error"])[: len(trials) // 10]
    found = {}
    for name, (low, high) in limits.items():
        near = 0.05 * (high - low)
        if sum(row[name] - low <= near for row in rows) > len(rows) / 2:
            found[name] = "lowest"
        if sum(high - row[name] <= near for row in rows) > len(rows) / 2:
            found[name] = "highest"
    return found


@also_right(at_the_edge)
def in_numpy(trials, limits):
    names = list(limits)
    low, high = np.array([limits[name] for name in names], float).T
    best = trials.sort_values("error")[names].to_numpy(float)[: len(trials) // 10]
    shares = (best - low) / (high - low)
    lowest, highest = np.median(shares, axis=0) <= 0.05, np.median(shares, axis=0) >= 0.95
    ends = {name: "lowest" for name, yes in zip(names, lowest, strict=True) if yes}
    return ends | {name: "highest" for name, yes in zip(names, highest, strict=True) if yes}

"""Lesson 12a: what its text says of windows, updates and alarms holds in its outputs and on other trips."""

import itertools
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from shown import Shown
from solved import smaller

from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
STEM = "12a_when_to_retrain"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
sys.path[:0] = [str(ROOT / "src")]

from lessons.retraining import worlds  # noqa: E402
from lessons.retraining.months import (  # noqa: E402
    FEATURES,
    hindsight,
    mean_interval,
    misses,
    sampled_trips,
    with_arrival,
)

KINDS = ["quiet", "shock", "harmless drift", "silent shift", "nothing helps"]


def table(name):
    return SHOWN.table(name).apply(pd.to_numeric)


@pytest.fixture(scope="module", params=[0, 1], ids=["the lesson's trips", "the other half"])
def told(request):
    """The lesson's names up to its policies, on the trips that it takes or on those that it leaves out."""
    trips = with_arrival(sampled_trips("2018-01", "2020-12", 1)[request.param :: 2], 14)
    names = {}
    (given,) = [
        cell for cell in SHOWN.notebook.cells if "parameters" in cell.get("metadata", {}).get("tags", [])
    ]
    for source in (given.source, SHOWN.cell("trips").source, SHOWN.cell("known").source):
        exec(source, names)
    names["trips"] = trips
    names["world"], names["limit"] = names["Months"](trips, names["known"], names["trained"]), 3.7
    names["WINDOWS"] = [1, 3, 12, 24]
    exec(SHOWN.cell("replay").source, names)
    exec(SHOWN.cell("policies").source, names)
    names["first_model"] = names["world"].model(names["live_months"][0], 3)
    return SimpleNamespace(**names)


def live(told, window, months):
    world = told.world
    if window is None:
        return np.array([world.live(told.first_model, now) for now in months])
    models = [world.model(now, window) for now in months]
    world.fit(models)
    return np.array([world.live(model, now) for model, now in zip(models, months, strict=True)])


def test_long_windows_win_in_quiet_years_and_short_ones_after_the_break():
    windows = table("windows")
    assert windows["2018–19"].sort_values().index.tolist() == ["24", "12", "never", "3", "1"]
    assert windows["2020"].sort_values().index.tolist() == ["1", "3", "12", "24", "never"]
    assert windows.loc["1", "low 2018–19"] > 0 and (windows.loc[["12", "24"], "high 2018–19"] < 0).all()
    assert (windows.loc[["1", "3", "12"], "high 2020"] < 0).all()


def test_the_order_of_the_windows_turns_round_on_any_half_of_the_trips(told):
    quiet, broken = told.live_months[9:21:2], told.after[4:7]
    errors = {
        span[0]: [live(told, window, span).mean() for window in (None, 1, 12)] for span in (quiet, broken)
    }
    never, one, twelve = errors[quiet[0]]
    assert twelve < never < one
    never, one, twelve = errors[broken[0]]
    assert one + 0.5 < twelve < never


def test_labels_that_are_not_there_flatter_and_late_ones_leave_may_as_it_was():
    delays = table("delays")
    april, may = delays["2020-04"], delays["2020-05"]
    assert april["after 0 days"] < april["after 14 days"] - 0.3
    assert may["after 44 days"] > may["after 14 days"] + 1.5


def test_half_of_the_last_month_has_no_label_yet(told):
    april = told.trips[told.trips["month"] == pd.Period("2020-04")]
    assert (april["arrives"] > pd.Period("2020-04")).mean() == pytest.approx(0.5, abs=0.1)


def test_the_lessons_rows_are_those_of_the_exercise(told):
    for now, window in (("2018-05", 1), ("2019-03", 12), ("2020-05", 1)):
        rows = told.known(told.trips, pd.Period(now), window)
        assert rows.equals(EXERCISES.known_labels(told.trips, pd.Timestamp(now), window, 14))


def test_updates():
    ways = table("updates")
    assert ways.loc["refresh", "2018–19"] < ways.loc["retrain", "2018–19"]
    assert ways.loc["add 5 trees", "2020"] > ways.loc[["retrain", "refresh"], "2020"].max() + 0.2
    assert ways.loc["add 5 trees", "trees"] == 50 + 32 * 5
    intervals = SHOWN.output("update_intervals")
    assert "2018–19: refresh minus retrain -" in intervals and "interval -0.0" in intervals.split("2020:")[1]


def test_adding_more_trees_a_month_is_no_better(told):
    """Five trees are no unlucky choice: from September 2019 on, ten and twenty end worse after the break."""
    told.world.live(told.first_model, told.after[0])
    errors = {}
    for trees in (5, 10, 20):
        model, found = told.world.boosters[told.first_model], []
        for now in told.live_months[17:29]:
            model = told.trained(told.known(told.trips, now, 1), trees, model)
            if now in told.after[4:8]:
                found.append(misses(model, told.trips[told.trips["month"] == now]).mean())
        errors[trees] = np.mean(found)
    assert errors[5] < errors[10] < errors[20]


def made_up(seed, slope):
    rng = np.random.default_rng(seed)
    rows = rng.uniform(0, 10, (3_000, 2))
    return xgb.DMatrix(rows, label=slope * rows[:, 0] + 4 + rng.normal(0, 1, len(rows))), rows


@pytest.mark.parametrize("seed", range(3))
def test_what_a_refresh_does(seed):
    """It keeps splits, forgets old leaves, drops trees beyond its rounds and empties unreached leaves."""
    (old_rows, _), (new_rows, points) = made_up(seed, 3), made_up(seed + 10, 2)
    given = {"max_depth": 4, "learning_rate": 0.2, "nthread": 1}
    refresh = given | {"process_type": "update", "updater": "refresh", "refresh_leaf": True, "verbosity": 0}
    old = xgb.train(given, old_rows, 30)
    once = xgb.train(refresh, new_rows, 30, xgb_model=old)
    twice = xgb.train(refresh, new_rows, 30, xgb_model=xgb.train(refresh, old_rows, 30, xgb_model=old))
    assert np.allclose(once.predict(new_rows), twice.predict(new_rows), atol=1e-4)
    assert once.trees_to_dataframe()["Split"].dropna().equals(old.trees_to_dataframe()["Split"].dropna())
    assert xgb.train(refresh, new_rows, 10, xgb_model=old).num_boosted_rounds() == 10
    assert old.num_boosted_rounds() == 30
    with pytest.raises(xgb.core.XGBoostError, match="No more tree left for updating"):
        xgb.train(refresh, new_rows, 31, xgb_model=old)
    low = points[:, 0] < 5
    half = xgb.DMatrix(points[low], label=new_rows.get_label()[low])
    told = xgb.train(refresh, half, 30, xgb_model=old).predict(xgb.DMatrix(points[points[:, 0] > 9]))
    truth = 2 * 9.5 + 4
    assert abs(told.mean() - truth) > 2 * abs(
        once.predict(xgb.DMatrix(points[points[:, 0] > 9])).mean() - truth
    )


def test_the_wrapper_refuses_a_refresh():
    rows = np.random.default_rng(0).uniform(size=(200, 2))
    old = xgb.XGBRegressor(n_estimators=5, n_jobs=1).fit(rows, rows[:, 0])
    again = xgb.XGBRegressor(n_estimators=5, n_jobs=1, process_type="update", updater="refresh", verbosity=0)
    with pytest.raises(xgb.core.XGBoostError, match="Not implemented for `QuantileDMatrix`"):
        again.fit(rows, rows[:, 1], xgb_model=old.get_booster())


def test_traps_of_a_refresh():
    june = table("june")
    assert june.loc["refresh, 10 rounds", "trees"] == 10
    assert june.loc["refresh, trips below 5 miles", "far"] > 2 * june.loc["as it was", "far"]


def test_quiet_years_choose_a_silent_limit_and_rehearsals_a_short_window():
    choose = table("choose")
    silent = choose.loc["3.7":]
    assert (silent[["times, 1", "times, 12"]] == 0).all(axis=None) and silent["dollars, 1"].nunique() == 1
    rings = choose.loc[:"3.6"]
    assert (rings[["times, 1", "times, 12"]] > 0).all(axis=None)
    assert (rings[["dollars, 1", "dollars, 12"]] > silent["dollars, 1"].iloc[0]).all(axis=None)
    rehearsed = table("rehearse")
    assert set(rehearsed[["0", "1", "3", "12"]].idxmin(axis=1)) == {"1", "3"}
    assert rehearsed.loc["durations × 0.75", "12"] > rehearsed.loc["durations × 0.75", "0"]


def test_the_bill():
    bill = table("opened")
    monthly = bill[bill.index.str.startswith("monthly")]
    assert (monthly["2018–19"] > bill.loc["never", "2018–19"]).all()
    assert (monthly["high"] > 0).all() and bill.loc["monthly, 24", "low"] > 0
    short = bill.loc[["error, 1", "error, 3", "drift, 1", "drift, 3"]]
    assert (short["high"] < 0).all() and (short["2018–19"] == bill.loc["never", "2018–19"]).all()
    assert bill.loc["error, 12", "2020"] > bill.loc["never", "2020"]
    assert bill.loc["both, 1"].equals(bill.loc["error, 1"])
    assert bill["times"].tolist() == [0, 12, 12, 12, 12, 2, 2, 4, 5, 6, 2, 12]
    parts = bill[["error", "labels", "releases"]].sum(axis=1)
    assert (parts - bill["2020"]).abs().max() <= 1


def test_alarms_are_silent_until_the_break_and_pay_after_it(told):
    policies = told.policies | {
        "either": lambda model, now: (
            told.policies["error, 1"](model, now) or told.policies["drift, 1"](model, now)
        )
    }
    spent, times = {}, {}
    for name in ("never", "error, 1", "drift, 1", "either"):
        diary = told.replay(told.world, policies[name], told.live_months)
        times[name] = [str(now) for now in diary.index[diary["released"] == 1]]
        spent[name] = told.cost(**diary)
    assert times["never"] == []
    for name in ("error, 1", "drift, 1"):
        assert times[name][0] == "2020-05" and len(times[name]) <= 6
        assert (spent[name] - spent["never"])[told.after].mean() < -100
    assert times["either"] == times["drift, 1"]


def test_regrets():
    regrets = table("regrets")
    assert (regrets >= 0).all(axis=None)
    assert regrets["2020"].idxmin() == "drift, 1" and regrets.loc["drift, 1", "2020"] < 50
    assert "2020: 1653 dollars: 2020-05 on 1, 2020-06 on 3" in SHOWN.output("hindsight")


@pytest.mark.parametrize("seed", range(5))
def test_hindsight_is_the_cheapest_of_all_ways(seed):
    """Against all ways of keeping or retraining in four months with two windows."""
    rng = np.random.default_rng(seed)
    months = list(pd.period_range(pd.Period("2020-01"), pd.Period("2020-04")))
    errors = rng.uniform(1, 5, (5, 4, 4))

    def model(start, window):
        return start, window

    def live_error(one, now):
        return errors[(one[0] - pd.Period("2019-12")).n, one[1], months.index(now)]

    def price(error, bought, released):
        return error + 0.3 * bought + 0.5 * released

    def spent(way, one):
        total = 0.0
        for now, window in zip(months, way, strict=True):
            new = (now, window) if window else one
            old_labels = {one[0] - back for back in range(1, one[1] + 1)}
            bought = {new[0] - back for back in range(1, new[1] + 1)} - old_labels
            total, one = total + price(live_error(new, now), len(bought), new != one), new
        return total

    first = (pd.Period("2019-12"), 3)
    all_ways = [spent(way, first) for way in itertools.product((0, 1, 3), repeat=4)]
    world = SimpleNamespace(model=model, live=live_error)
    total, path = hindsight(world, first, months, (1, 3), price)
    assert total == pytest.approx(min(all_ways))
    window_of = dict(path)
    assert spent([window_of.get(now, 0) for now in months], first) == pytest.approx(total)


def test_doing_nothing_is_right_in_a_small_city_even_in_2020():
    sizes = SHOWN.table("sizes")
    assert (sizes.loc["1,000 trips"] == "never").all()
    assert (sizes.loc[["100,000 trips", "1,000,000 trips"], "2018–19"] == "monthly, 24").all()
    bill = table("opened").drop("never")
    assert bill["error"].idxmax() == bill["2020"].idxmax() == "monthly, 24"  # small cities and large
    assert bill.loc["growing", "2018–19"] == bill.loc["monthly, 24", "2018–19"]
    assert sizes.loc["1,000,000 trips", "all"] == "growing"


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_covers_the_mean_of_dependent_months(seed):
    """Neighbours share half of their noise; blocks cover more often than single months do."""
    rng, hits = np.random.default_rng(seed), {1: 0, 3: 0}
    for _ in range(150):
        noise = rng.normal(size=34)
        series = pd.Series(noise[1:] + noise[:-1])
        for block in hits:
            low, high = mean_interval(series, 200, block)
            hits[block] += low <= 0 <= high
    assert hits[3] > hits[1] and hits[3] / 150 > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_no_policy_beats_hindsight_in_a_made_up_world(kind):
    world = worlds.made_up(kind)
    best = worlds.cheapest(world, 500, 300)
    for limit, window, age in itertools.product((2.9, 3.4, 4.0), (1, 3, 12), (1, 4)):
        policy = (  # noqa: E731
            lambda error, drift, old, limit=limit, window=window, age=age: (
                window * (error > limit and old >= age)
            )
        )
        assert worlds.spent(world, policy, 500, 300) >= best - 1e-6


def test_quiet_worlds_stay_in_the_range_that_the_exercise_names():
    world = worlds.made_up("quiet")
    seen = [world.seen((0, 3), now) for now in range(1, worlds.MONTHS)]
    assert min(seen) >= 2.9 and max(seen) <= 3.6


def test_features_are_known_at_the_pickup():
    assert FEATURES == ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    """With the parameters of CI: a third of the trips."""
    outcome = smaller(STEM)
    assert outcome.faults == []

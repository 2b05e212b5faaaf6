"""Lesson 12b: estimates of the next month's error, the refit, the winner's score, weights, slices, copies."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from shown import flat_table
from sklearn.model_selection import KFold, cross_val_predict
from solved import smaller
from xgboost import XGBClassifier

from course.exercise import source as exercise_source
from lessons.which_data import replay

ROOT = Path(__file__).resolve().parents[1]
STEM = "12b_which_data"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")


@pytest.fixture(scope="module")
def by_month():
    return replay.trips_by_month("2018-01", "2020-12")


def cell(name, notebook=NOTEBOOK):
    (found,) = [one for one in notebook.cells if one.cell_type == "code" and one.id == name]
    return found


def table(name, notebook=NOTEBOOK):
    """The cell's table as text, its index in the first column."""
    return flat_table(notebook, name)


def output(name):
    return "".join(one.text for one in cell(name).outputs if one.output_type == "stream")


def limits(text):
    """Both ends of the interval that is told as "0.032 (0.020 to 0.045)"."""
    return [float(end) for end in re.search(r"\((-?[\d.]+) to (-?[\d.]+)\)", text).groups()]


def lesson_functions(*names):
    given = {"np": np, "pd": pd, "FEATURES": replay.FEATURES, "KFold": KFold, "XGBClassifier": XGBClassifier}
    given |= {"cross_val_predict": cross_val_predict, "trained": replay.trained, "missed": replay.missed}
    for name in names:
        exec(cell(name).source, given)
    return given


def test_no_estimate_surely_beats_the_baseline_in_quiet_months():
    told = table("misses")
    for name, text in told["miss above the baseline's"].drop("this month's error").items():
        assert limits(text)[1] > 0, name
    assert limits(told.loc["training rows", "miss above the baseline's"])[0] > 0
    bias = told["bias"].astype(float)
    assert bias["training rows"] < -0.25 and bias["random fifth"] < -0.03
    assert bias.drop(["training rows", "random fifth"]).abs().max() < 0.02


def test_a_year_before_wins_while_the_world_repeats_itself_and_loses_when_not():
    periods = table("periods").astype(float)
    assert periods["April 2019 on"].idxmin() == "a year before"
    assert periods["March 2020 on"].idxmax() == "a year before"
    assert periods["March 2020 on"].idxmin() == "last fortnight"
    year, late = [limits(line) for line in output("periods").splitlines()[:2]]
    assert year[1] < 0 and late[1] < 0


@pytest.mark.parametrize("window", [2, 4])
def test_the_year_before_and_the_refit_hold_for_other_windows(by_month, window):
    """Windows of two and four months: last year's month misses less in 2019, the refit is rarely worse."""
    months = list(by_month)
    live, gain = {}, []
    for month in months[4:24]:
        rows = replay.before(month, by_month, window)
        late = rows["day"] > rows["day"].max() - pd.Timedelta(days=14)
        live[month] = replay.missed(replay.trained(rows), by_month[month]).mean()
        if month >= "2019":
            gain.append(replay.missed(replay.trained(rows[~late]), by_month[month]).mean() - live[month])
    live = pd.Series(live)
    both = pd.DataFrame({"year": live.shift(12), "month": live.shift(1)}).sub(live, axis=0).dropna().abs()
    assert len(both) == 8 and both["year"].mean() < 0.7 * both["month"].mean()
    assert np.mean(gain) > 0.01 and np.mean(np.array(gain) > 0) >= 0.75


def test_the_interval_covers_what_it_promises_for_independent_months():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        low, high = replay.interval(rng.normal(1, 1, 30), 200, block=3)
        hits += low <= 1 <= high
    assert 0.85 <= hits / 300 <= 0.99


def test_the_refit_wins_nearly_always_and_little_in_quiet_months():
    said = output("refit").splitlines()
    assert limits(said[0])[0] > 0 and limits(said[0])[1] < 0.06 and limits(said[1])[0] > 0
    assert "refit better in 29 of 30 months" in said


def test_differences_are_told_better_than_levels():
    rivals, level = table("rivals"), table("misses").loc["last fortnight", "miss"]
    assert rivals["miss"].astype(float).max() < float(level) / 2
    assert (rivals["same winner"].astype(float) == 1).all()


def test_the_winner_flatters_itself_the_more_the_smaller_the_test():
    flat = table("winners").astype(float)
    assert flat["winner"].is_monotonic_increasing and flat["winner"].iloc[-1] < -0.01
    assert flat["fixed before"].abs().max() < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_a_winner_among_equals_flatters_itself(seed):
    """Twelve candidates of the same quality, where the truth is known: the lowest score is luck."""
    flattery = lesson_functions("flattery")["flattery"]
    rng = np.random.default_rng(seed)
    told = pd.DataFrame([flattery(rng.exponential(3, (3_000, 12)), 100, one) for one in range(60)]).mean()
    assert told["winner"] < -0.3 and abs(told["fixed before"]) < 0.15


@pytest.mark.parametrize("seed", [1, 2])
def test_weights_find_a_planted_mix_on_other_draws(by_month, seed):
    by_classifier = lesson_functions("weights")["by_classifier"]
    plain, weighted, sizes = [], [], {}
    for month in ("2018-11", "2019-03", "2019-08", "2020-10"):
        model = replay.trained(replay.before(month, by_month, 3))
        for shift in ("none", "airports × 8", "airports × 100"):
            old, now = replay.planted(by_month[month], shift, seed=seed)
            errors, truth = replay.missed(model, old), replay.missed(model, now).mean()
            told = replay.weighed(errors, by_classifier(old, now))
            sizes.setdefault(shift, []).append(told["n_eff / n"])
            if shift == "airports × 8":
                plain.append(abs(errors.mean() - truth))
                weighted.append(abs(told["weighted"] - truth))
    assert np.mean(weighted) < np.mean(plain) / 2
    assert np.mean(sizes["none"]) > 0.9 > 0.6 > np.mean(sizes["airports × 8"])
    assert np.mean(sizes["airports × 100"]) < 0.25


def test_april_2020_is_no_covariate_shift_and_nothing_warns():
    real = table("real").astype(float)
    april = real.loc["2020-04"]
    assert april["truth"] - april["weighted"] > 1.5
    assert april["n_eff / n"] > 0.7 and april["mean weight"] > 0.9
    for line in output("real").splitlines()[:2]:
        low, high = limits(line)
        assert low < 0 < high


def test_the_date_destroys_the_overlap_and_only_the_mean_weight_says_so():
    for share, weight in re.findall(r"n ([\d.]+), mean weight ([\d.]+)", output("date")):
        assert float(share) > 0.99 and float(weight) < 0.01


def test_slices_need_fewer_trips_and_miss_what_nobody_named():
    sides = table("sides")
    few, many = limits(sides.iloc[0, -1]), limits(sides.iloc[3, -1])
    assert few[1] < 0 < many[0]
    unnamed = sides.loc["midday × 8, 3,000 trips"]
    assert float(unnamed["slices"]) > float(unnamed["plain"]) > float(unnamed["classifier"])
    named = sides.loc["airports × 8, 3,000 trips"]
    assert max(float(named["slices"]), float(named["classifier"])) < 0.3 * float(named["plain"])


def test_the_exercise_agrees_with_weights_on_slices_that_do_not_overlap(by_month):
    """One slice a trip: the simple form and the regression give the same estimate."""
    rows = by_month["2019-05"]
    old, now = replay.planted(rows, "airports × 8")
    errors = replay.missed(replay.trained(by_month["2019-04"]), old)
    names = [np.where(replay.airport(one), "airport", "city") for one in (old, now)]
    estimate, share = EXERCISES.by_slices(errors, pd.Series(names[0], old.index), pd.Series(names[1]))
    weights = replay.by_logistic(
        *(pd.DataFrame({"airport": one == "airport"}).astype(float) for one in names)
    )
    assert share == 1 and estimate == pytest.approx(replay.weighed(errors, weights)["weighted"], abs=0.02)


def test_copies_hurt_faster_copies_help_and_labels_help_most():
    gap = table("gap")
    change = {name: limits(text) for name, text in gap["change"].items()}
    assert change["copies"][0] > 1 and change["copies, faster"][1] < 0 and change["all labels"][1] < 0
    assert change["each 30 times"][0] < 0 < change["each 30 times"][1]
    assert np.ptp(gap["others"].astype(float)) < 0.03


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_the_copies_holds_for_other_twenty_labels(by_month, seed):
    names = {"night": replay.night, "pace": replay.pace}
    functions = lesson_functions("patched") | names
    source = cell("patched").source.replace("random_state=0", f"random_state={seed}")
    exec(source.replace("default_rng(0)", f"default_rng({seed})"), functions)
    found = []
    for month in ("2018-08", "2018-12", "2019-04", "2019-10"):
        now = by_month[month]
        group = now[replay.night(now) & (now["trip_distance"] >= 5)]
        sets = functions["training_sets"](replay.before(month, by_month, 3))
        found.append({name: replay.missed(replay.trained(rows), group).mean() for name, rows in sets.items()})
    mean = pd.DataFrame(found).mean()
    assert mean["all labels"] < mean["copies, faster"] < mean["20 labels"] < mean["copies"] - 1


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    """With the parameters of CI: fewer draws, fewer months with candidates."""
    outcome = smaller(STEM)
    assert outcome.faults == []
    for name in ("misses", "periods", "rivals", "winners", "mixes", "sides", "gap"):
        small, large = table(name, outcome.notebook), table(name)
        assert list(small.index) == list(large.index) and list(small) == list(large), name

"""Lesson 02b: labelling functions, uncertainty, self-training on one budget; labels that may be wrong."""

import sys
from itertools import combinations
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from cleanlab.filter import find_label_issues
from scipy.special import expit, logit
from shown import flat_table
from sklearn.model_selection import cross_val_predict
from solved import smaller
from xgboost import XGBClassifier

from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
STEM = "02b_fewer_labels"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
sys.path[:0] = [str(ROOT / "src")]

from lessons.flat_fares import task  # noqa: E402

FRESH = range(100, 110)  # pools that the lesson does not draw


def cell(name):
    (found,) = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code" and cell.id == name]
    return found


def table(notebook, name):
    """The cell's table as numbers."""
    return flat_table(notebook, name).apply(pd.to_numeric)


@pytest.fixture(scope="module")
def lesson():
    """The lesson's names, on another half year of trips as its test."""
    trips = task.coded_trips()
    names = {**vars(task), "np": np, "pd": pd, "expit": expit, "logit": logit, "trips": trips}
    names |= {"budget": 200, "first": 40, "batch": 20, "pool_size": 5_000}
    names["early"] = trips[trips["month"] < "2019-01"]
    spring = trips[trips["month"].between("2019-01", "2019-06")]
    names["test"] = spring.sample(20_000, random_state=1)
    for name in ("tested", "functions", "votes", "label_model", "rivals", "ask", "self", "ways"):
        exec(cell(name).source, names)
    return names


@pytest.fixture(scope="module")
def fresh(lesson):
    rows = []
    for pool in map(lesson["pool_of"], FRESH):
        chosen, (model, _) = pool.iloc[lesson["asked"](pool)], lesson["self_trained"](pool)
        row = {"random": lesson["tested"](pool[:200], pool["flat"][:200])}
        row["uncertainty"] = lesson["tested"](chosen, chosen["flat"])
        row["self"] = task.hits(task.score(model, lesson["test"]), lesson["test"]["flat"])
        row["chosen"], row["cold"] = chosen["flat"].mean(), pool["flat"][:40].sum() == 0
        rows.append(row | lesson["by_functions"](pool) | {"all": lesson["tested"](pool, pool["flat"])})
    return pd.DataFrame(rows)


def test_hits_are_precision_and_recall_at_once():
    truth = pd.Series([0, 1, 1, 0, 1])
    assert task.hits(np.array([0.1, 0.9, 0.8, 0.7, 0.2]), truth) == pytest.approx(2 / 3)
    ties = np.zeros(5, bool)
    assert list(task.highest(ties, 3)) == list(task.highest(ties, 3))


def test_the_order_of_the_ways_on_pools_and_months_that_the_lesson_does_not_use(fresh):
    """Seeds 100 to 109, tested on January to June 2019."""
    mean = fresh.mean()
    assert mean["random"] < mean["uncertainty"] - 0.05 < mean["label model"]
    assert (fresh["label model"] > fresh["majority"]).all()
    assert mean["all"] - mean["label model"] < 0.05
    assert fresh["uncertainty"].std() > 2 * fresh["label model"].std()
    assert abs(mean["self"] - mean["random"]) < 0.1


def test_what_uncertainty_chose_is_no_sample(fresh):
    assert fresh["chosen"].mean() > 5 * 0.018


def test_the_lessons_own_intervals_say_what_it_says():
    race = table(NOTEBOOK, "race")
    assert race.loc["uncertainty", "low of gain"] > 0 and race.loc["label model", "low of gain"] > 0
    assert race.loc["self-training", "low of gain"] < 0 < race.loc["self-training", "high of gain"]
    assert race.loc["uncertainty", "worst"] < 0.1 < 0.6 < race.loc["majority", "worst"]
    paid = table(NOTEBOOK, "cash")
    assert paid.loc["gain", "low"] < 0 < paid.loc["gain", "high"]


def test_uncertainty_gains_nothing_on_a_target_that_the_columns_do_not_hold(lesson):
    """Seeds 100 to 109: paid in cash."""
    gains = []
    for pool in map(lesson["pool_of"], FRESH):
        chosen = pool.iloc[lesson["asked"](pool, "cash")]
        at_random = lesson["tested"](pool[:200], pool["cash"][:200], "cash")
        gains.append(lesson["tested"](chosen, chosen["cash"], "cash") - at_random)
    assert abs(np.mean(gains)) < 0.015


def test_the_label_model_wins_in_months_that_it_was_not_shown_with_and_copies_ruin_it(lesson):
    """The twelve months of 2019."""
    months = {}
    for month, rows in lesson["trips"].groupby("month"):
        if month >= "2019":
            scores = lesson["rivals"](lesson["votes_of"](rows))
            months[month] = {name: task.hits(one, rows["flat"]) for name, one in scores.items()}
    found = pd.DataFrame(months).T
    assert len(found) == 12 and (found["label model"] > found["majority"]).sum() >= 11
    assert found["label model, copies"].max() < 0.4 and found["majority, copies"].min() > 0.6
    assert (found["a rule"] - found["label model"]).abs().mean() < 0.03
    assert found["share guessed"].mean() < found["label model"].mean() - 0.03


def test_the_win_of_the_label_model_hangs_on_the_set_of_functions(lesson):
    """Seeds 100 and 101: over all sets of three or more functions it loses more often than it wins."""
    votes_of, lead_of, label_model = (lesson[name] for name in ("votes_of", "lead_of", "label_model"))
    for seed in (100, 101):
        rows, gains = lesson["early"].sample(20_000, random_state=seed), []
        votes = votes_of(rows)
        for size in range(3, 7):
            for names in map(list, combinations(votes, size)):
                some = votes[names]
                two = [task.hits(one, rows["flat"]) for one in (lead_of(some), label_model(some, 0.02))]
                gains.append(two[1] - two[0])
        gains = np.array(gains)
        assert len(gains) == 42 and (gains > 0.01).sum() < 10 <= (gains < -0.01).sum()


def test_independent_functions_are_what_the_label_model_needs(lesson):
    """Seeds 100 to 109: six made-up functions that err independently; probabilities are right as well."""
    for seed in FRESH:
        rng = np.random.default_rng(seed)
        truth = rng.random(20_000) < 0.1
        right = rng.random((len(truth), 6)) < [0.9, 0.85, 0.8, 0.75, 0.7, 0.65]
        votes = pd.DataFrame(np.where(right, truth[:, None], ~truth[:, None]).astype(int))
        p = lesson["label_model"](votes, share=0.1)
        assert abs((p > 0.5).mean() - truth.mean()) < 0.03
        assert abs(truth[p > 0.5].mean() - p[p > 0.5].mean()) < 0.06
        majority = (votes == 1).sum(axis=1) - (votes == 0).sum(axis=1)
        assert task.hits(p, pd.Series(truth)) > task.hits(majority, pd.Series(truth)) + 0.02


def test_votes_combined_are_one_step_of_the_label_model(lesson):
    rows = lesson["early"].sample(3_000, random_state=7)
    votes, words = lesson["votes_of"](rows), [1, 0, -1]
    said = {c: votes[rows["flat"] == c] for c in (0, 1)}
    rates = {
        c: pd.DataFrame({name: [(v[name] == w).mean() + 1e-4 for w in words] for name in v}, words)
        for c, v in said.items()
    }
    p = EXERCISES.combine_votes(votes, rates[1], rates[0], 0.02)
    assert task.hits(p, rows["flat"]) > 0.8


def test_suspects_are_those_of_cleanlab_and_the_zones_tell_the_two_lists_apart(lesson):
    """Each quarter: those coded flat are nearly all wrong, most of those coded standard are not."""
    judge = XGBClassifier(n_estimators=50, max_depth=4, learning_rate=0.2, n_jobs=1)
    for quarter in ("2018 Q2", "2019 Q1", "2019 Q4"):
        rows = lesson["trips"][lesson["trips"]["quarter"] == quarter]
        features, flat = rows[task.COLUMNS].to_numpy(float), rows["flat"].to_numpy()
        p = cross_val_predict(judge, features, flat, cv=4, method="predict_proba")
        issue = find_label_issues(flat, p, filter_by="confident_learning", n_jobs=1)
        assert sorted(EXERCISES.label_suspects(flat, p)) == list(np.flatnonzero(issue))
        wrong = flat != rows["due"].to_numpy()
        assert wrong[issue & (flat == 1)].mean() > 0.9 and wrong[issue & (flat == 0)].mean() < 0.4
        assert rows["miles"].to_numpy()[issue & (flat == 1)].mean() < 10


def test_most_suspects_coded_flat_are_short_trips_inside_manhattan_and_the_others_lead_to_queens(lesson):
    """What the prose says of the two lists, over the lesson's own quarters."""
    names = {**lesson, "cross_val_predict": cross_val_predict, "find_label_issues": find_label_issues}
    names["XGBClassifier"] = XGBClassifier
    exec(cell("judged").source, names)
    suspects = pd.concat(names["found"]).query("suspect")
    flat, standard = (suspects[suspects["flat"] == code] for code in (1, 0))
    inside = (flat["start"] == "Manhattan") & (flat["end"] == "Manhattan")
    assert inside.mean() > 0.5 and (flat["miles"] < 10).mean() > 0.9
    queens = standard[standard["due"] == 0][["start", "end"]].eq("Queens").any(axis=1)
    assert queens.mean() > 0.8 and (standard["miles"] > 14).all()


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
    for name in ("random", "described", "combined", "race", "issues"):
        small, large = table(outcome.notebook, name), table(NOTEBOOK, name)
        assert list(small.index) == list(large.index) and list(small) == list(large), name

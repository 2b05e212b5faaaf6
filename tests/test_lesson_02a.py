"""Lesson 02a: kappas of printed tables, readers and guidelines, votes, what may leave, one class more."""

import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from shown import flat_table
from sklearn.metrics import cohen_kappa_score
from solved import smaller

from course.data import DATA
from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
STEM = "02a_labels"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
sys.path[:0] = [str(ROOT / "src")]

from lessons.trip_labels import privacy, readers  # noqa: E402
from lessons.trip_labels.form import Form  # noqa: E402


@pytest.fixture(scope="module")
def trips():
    return readers.records("2019-01", "2019-12")


def functions(*cells):
    """What these cells of the notebook define, without their outputs."""
    names = {"np": np, "pd": pd, "DATA": DATA, "cohen_kappa_score": cohen_kappa_score, "draws": 200}
    for name in cells:
        (cell,) = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code" and cell.id == name]
        exec(cell.source, names)
    return names


def table(notebook, name):
    """The cell's table as numbers."""
    return flat_table(notebook, name).apply(pd.to_numeric)


# ---------------------------------------------------------------- the printed tables
def test_the_diagnoses_have_the_published_kappa():
    names = functions("diagnoses", "fleiss")
    counts = names["diagnoses"].to_numpy()
    assert counts.shape == (30, 5) and (counts.sum(axis=1) == 6).all()
    assert counts.sum(axis=0).tolist() == [26, 26, 30, 55, 43]
    assert names["fleiss"](counts) == pytest.approx((0.556, 0.220, 0.430), abs=5e-4)


def test_fleiss_on_two_raters_differs_from_cohen_only_by_pooled_shares():
    fleiss = functions("diagnoses", "fleiss")["fleiss"]
    assert fleiss(np.array([[2, 0], [0, 2], [1, 1], [1, 1]]))[2] == pytest.approx(0)
    assert fleiss(np.array([[2, 0], [0, 2], [2, 0]]))[2] == pytest.approx(1)


def test_the_anaesthetists_have_the_published_estimates():
    """Dawid and Skene 1979: tables 2 and 3."""
    names = functions("doctors", "em", "settled")
    assert len(names["doctors"]) == 45
    assert names["truth"].mean(axis=0) == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.005)
    wanted = [[0.89, 0.11, 0, 0], [0.07, 0.88, 0.05, 0], [0, 0.34, 0.66, 0], [0, 0, 0.56, 0.44]]
    assert names["says"][:, 0] == pytest.approx(np.array(wanted), abs=0.006)


@pytest.mark.parametrize("answer", ["cohen", "with_a_crosstab", "in_plain_python"])
def test_cohen_is_the_librarys(answer):
    doctors = pd.read_csv(DATA / "ratings" / "anaesthetists.csv", index_col="patient")
    for name in list(doctors)[1:]:
        wanted = cohen_kappa_score(doctors["first"], doctors[name])
        assert getattr(EXERCISES, answer)(doctors["first"], doctors[name]) == pytest.approx(wanted)


# ---------------------------------------------------------------- twenty trips
def test_a_sheet_holds_two_of_each_kind(trips):
    for seed in range(20):
        kinds = readers.sheet(trips, seed)["kind"].value_counts()
        assert kinds.pop("plain") == 8 and set(kinds) == {2} and len(kinds) == 6


def test_without_a_click_the_stand_in_answers_and_each_click_counts(trips, monkeypatch):
    shown = []
    monkeypatch.setattr("lessons.trip_labels.form.display", shown.append)
    rows = readers.sheet(trips, 0)
    form = Form(rows, version=1, by_hand=True)
    assert form.labels.equals(readers.read(rows, "stand-in", 1).rename("you")) and form.seconds is None
    form._ipython_display_()
    assert len(form.rows) == 20 and len(shown) == 2
    opposite = form.labels.map({"yes": "no", "no": "yes"})
    for buttons, label in list(zip(form.rows, opposite, strict=True))[:12]:
        buttons.value = label
    assert (form.labels[:12] == opposite[:12]).all() and (form.labels[12:] != opposite[12:]).all()
    assert form.seconds >= 0 and repr(form).startswith("12 of 20 labels are yours")
    form._ipython_display_()  # shown again: the answers are still there
    assert [buttons.value for buttons in form.rows[:12]] == opposite[:12].tolist()


def test_what_is_stored_holds_no_widget():
    for cell in NOTEBOOK.cells:
        for output in cell.get("outputs", []):
            assert not any("widget" in kind for kind in output.get("data", {}))


def test_the_disagreement_is_systematic_and_the_guideline_ends_it(trips):
    """Seeds 5000 to 5049, other sheets than the lesson's."""
    rows = [readers.sheet(trips, seed) for seed in range(5000, 5050)]
    kappa = {v: np.mean([readers.compared(one, v, 7)["kappa"] for one in rows]) for v in (1, 2)}
    assert kappa[1] < 0.45 and kappa[2] > 0.75
    for reader in readers.READERS:
        assert readers.read(trips, reader, 1).equals(readers.read(trips, reader, 1))


def test_the_paradox_holds_in_each_month(trips):
    for _, rows in trips.groupby("month"):
        told = readers.compared(rows, 2, seed=11)
        assert told["agreement"] > 0.92 and told["kappa"] < 0.55 and told["both no"] < 0.6


# ---------------------------------------------------------------- votes
def test_dawid_and_skene_win_and_lose_where_the_lesson_says():
    """Seeds 1000 to 1059."""
    names = functions("em", "simulate")
    simulated, scored = names["simulated"], names["scored"]

    def gain(right, *rest):
        runs = pd.DataFrame([scored(*simulated(seed, right, *rest), right) for seed in range(1000, 1060)])
        return runs["Dawid–Skene"] - runs["majority"]

    mixed, alike = [0.6, 0.6, 0.6, 0.9, 0.9], [0.8] * 5
    assert gain(mixed, 500).mean() > 3
    assert abs(gain(alike, 500).mean()) < 0.5
    assert gain(alike, 20).mean() < -0.5
    copied = gain([0.7, 0.7, 0.7, 0.9, 0.9], 500, True)
    assert copied.mean() < -12 and (copied < 0).mean() > 0.95


def test_weigh_is_what_the_known_quality_computes():
    names, right = functions("em", "simulate"), np.array([0.6, 0.6, 0.6, 0.9, 0.9])
    truth, votes = names["simulated"](3, right, 300)
    quality = pd.Series(right)
    told = EXERCISES.weigh(pd.DataFrame(votes.astype(float)), quality, 1 - quality, 0.5)
    wanted = names["scored"](truth, votes, right)["known quality"]
    assert 100 * ((told > 0.5) == truth).mean() == pytest.approx(wanted)


# ---------------------------------------------------------------- money, privacy, one class more
def test_votes_cure_slips_and_the_guideline_cures_misreadings(trips):
    """Seeds 300 to 304: in each of them."""
    for seed in range(300, 305):
        plans = pd.DataFrame([row for v in (1, 2) for row in readers.job(trips, seed, v)]).set_index("plan")
        wrong, found = plans["wrong"], plans["bad found"]
        assert wrong["one reading, version 1"] > 2 * wrong["yes to all"]
        assert wrong["two or three, version 1"] < wrong["one reading, version 2"]
        assert found["two or three, version 1"] < 75 and found["one reading, version 2"] > 90
        assert wrong["two or three, version 2"] < 0.6


def test_a_keyed_pseudonym_gives_a_zone_away_only_to_one_who_knows_its_habits(trips):
    rows = trips.assign(zone=trips["pickup_location_id"])
    october, november = (rows[rows["month"] == month] for month in (10, 11))
    assert privacy.read_back(november, october, b"another key") > 0.3
    shuffled = november.assign(hour=np.random.default_rng(0).permutation(november["hour"]))
    busiest = november["zone"].value_counts(normalize=True).iloc[0]
    assert busiest < 0.1 and privacy.read_back(shuffled, october, b"another key") < 0.3


def test_rounding_hides_rows_in_each_month_and_costs_labels(trips):
    for _, rows in trips.groupby("month"):
        columns = ["minutes", "trip_distance", "fare_amount"]
        assert privacy.alone(rows[columns]) > 90
        assert privacy.alone(readers.rounded(rows, 1, 0.1, 1)[columns]) < 30
        assert privacy.alone(readers.rounded(rows, 5, 1, 5)[columns]) < 5
    owner = readers.read(trips, "owner", 2)
    fine, coarse = (readers.rounded(trips, *steps) for steps in ((1, 0.1, 1), (5, 1, 5)))
    assert cohen_kappa_score(owner, readers.read(fine, "owner", 2)) > 0.9
    assert cohen_kappa_score(owner, readers.read(coarse, "owner", 2)) < 0.5


def test_relabelling_one_old_class_misses_much_of_the_new_one(trips):
    for seed in range(50, 55):
        told = readers.relabelled(trips.sample(10_000, random_state=seed), seed)
        assert 45 < told["% found there"] < 75 and told["old no"] < 700


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []
    for name in ("paradox", "em_trial", "people"):
        small, large = table(outcome.notebook, name), table(NOTEBOOK, name)
        assert list(small.index) == list(large.index) and list(small) == list(large), name

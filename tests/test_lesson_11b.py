"""Lesson 11b: what its text says of shifts, measures and rules holds in its outputs and in known worlds."""

import re
from html import unescape
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from solved import solved

from course.exercise import source as exercise_source
from walkforward.drift import drift_report

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "11b_drift.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "11b_drift.py")
OURS = "p and effect (drift_report)"


def output(notebook, name, kind="text/plain"):
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id == name]
    return "\n".join(one.get("text") or one.get("data", {}).get(kind, "") for one in cell.outputs)


def table(notebook, name):
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id == name]
    (shown,) = [one.data["text/html"] for one in cell.outputs if "text/html" in one.get("data", {})]
    rows = [
        re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)
    ]
    head = re.findall(r"<th>(.*?)</th>", re.search(r"<thead>(.*?)</tr>", shown, re.DOTALL)[1])
    rows = [[unescape(text) for text in row] for row in rows if row and row[1:] != [""] * len(row[1:])]
    frame = pd.DataFrame([row[1:] for row in rows], [row[0] for row in rows], map(unescape, head[1:]))
    for column in frame:
        numbers = pd.to_numeric(frame[column], errors="coerce")
        frame[column] = frame[column] == "True" if set(frame[column]) <= {"True", "False"} else frame[column]
        frame[column] = numbers if numbers.notna().all() else frame[column]
    return frame


def test_each_pure_shift_moves_what_its_name_says():
    parts = table(NOTEBOOK, "parts")
    covariate, label, concept = (
        parts.loc[[name for name in parts.index if name.startswith(kind)][0]]
        for kind in ("covariate", "label", "concept")
    )
    control, april = parts.loc["the same trips, drawn again"], parts.loc["April 2020"]
    assert covariate["P(X): KS"] > 0.1 and abs(covariate["P(Y|X): min"]) < 0.1
    assert covariate["RMSE (min)"] > 1.15 * control["RMSE (min)"]
    assert abs(covariate["bias (min)"] - control["bias (min)"]) < 0.1
    assert label["P(Y): KS"] > 0.1 and abs(label["P(X|Y): miles"]) < 0.1 and label["P(Y|X): min"] > 1
    assert concept["P(X): KS"] == 0 and concept["P(Y|X): min"] < -3
    assert april["P(X): KS"] < 0.06 and april["P(Y|X): min"] < -4 and april["bias (min)"] > 4


def test_the_twin_has_the_same_summary():
    same = table(NOTEBOOK, "same")
    assert np.abs(same.loc["2019"] - same.loc["its twin"]).max() < 0.15


def test_the_measures_by_hand_are_the_reports():
    shown = table(NOTEBOOK, "bins")
    assert np.allclose(shown["by hand"], shown["drift_report"], atol=1e-4)
    twin = shown["2019 and its twin"] / shown["by hand"]
    assert 2.5 < twin["psi"] < 3.5 and 0.25 < twin["wasserstein"] < 0.4


def test_psi_alarms_on_few_rows_and_p_on_many():
    rates = table(NOTEBOOK, "sizes")
    assert rates.loc["50", "PSI > 0.1"] > 0.9 and rates.loc["50", "PSI > 0.2"] > 0.7
    assert (rates.loc["1000":, ["PSI > 0.1", "PSI > 0.2"]] == 0).all(axis=None)
    assert rates.loc["50", "p < 0.05"] < 0.15 and rates.loc["100000", "p < 0.05"] == 1
    both = rates["p < 0.05 and KS ≥ 0.06"]
    assert both.max() <= 0.1 and (both.loc["5000":] == 0).all()


@pytest.mark.parametrize(("n", "m"), [(50, 50), (200, 1_000)])
def test_psi_of_nothing_is_what_the_formula_says(n, m):
    """(B - 1)(1/n + 1/m) for bins that are given; half rows change it little."""
    rng = np.random.default_rng(0)
    shares = [rng.multinomial(size, [0.1] * 10, 4_000).clip(0.5) / size for size in (n, m)]
    measured = ((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum(axis=1).mean()
    assert measured == pytest.approx(9 * (1 / n + 1 / m), rel=0.25)


def test_family_wise_errors():
    rates = table(NOTEBOOK, "family").iloc[:, 0]
    assert rates["p < 0.05"] > 0.25 and rates["p < 0.05 / 10"] <= 0.09
    assert rates["PSI > 0.1"] == 1


def test_anderson_darling_finds_more_at_the_same_rate_of_false_alarms():
    power = table(NOTEBOOK, "power")
    assert (power.loc["no drift"] <= 0.08).all()
    assert (power["Anderson-Darling"] >= power["KS"]).all()
    assert power.loc["same median, wider", "Anderson-Darling"] > 1.5 * power.loc["same median, wider", "KS"]


def test_the_classifier_sees_the_zones_and_not_the_hours():
    pairs = table(NOTEBOOK, "pairs")
    assert (pairs["inputs, smallest p"] > 0.05).all() and (pairs["answers, effect"] < 0.06).all()
    found = pairs["classifier, p"] < 0.05
    assert found.to_dict() == {
        "as it was": False,
        "dropoff_location_id of another trip": True,
        "hour of another trip": False,
    }
    assert pairs["RMSE"].is_monotonic_increasing


def test_detectors_on_trial():
    trial = table(NOTEBOOK, "trial")
    alarms, first = trial["quiet weeks with an alarm"], trial["first alarm of 2020 in the week of"]
    assert alarms["any p < 0.05"] == 47 and alarms["Holm, p < 0.05"] > 34
    assert alarms[OURS] <= 1 and (trial["of 5 with February's fault"] >= 4).all()
    assert trial.loc[OURS, "of 5 with February's fault"] == 5  # from the first three days on
    assert first[OURS] == "09 Mar" and first["PSI > 0.1"] == "16 Mar"
    said = output(NOTEBOOK, "trial")
    assert "23 Dec 2019: hour" in said


def test_days_are_not_independent_rows():
    rates = table(NOTEBOOK, "days").iloc[:, 0]
    assert rates["as if independent"] > 0.4 and rates['time="day"'] <= 0.07
    assert output(NOTEBOOK, "days").startswith("neighbouring rows are alike in rides, tips, delays")


def test_few_rows_are_enough_for_april():
    rows = table(NOTEBOOK, "rows")
    assert rows.loc["200", "April 2020"] >= 0.95 and (rows["October 2019"] <= 0.1).all()


def test_the_table_of_decisions_tells_what_the_months_show():
    shown = table(NOTEBOOK, "examples")
    columns = ["features drift", "other columns drift", "answers drift"]
    expected = {
        "2019-02": [False, True, False],
        "2019-06": [False, False, False],
        "2020-04": [True, True, False],
        "2020-05": [True, True, True],
    }
    assert {month: list(shown.loc[month, columns]) for month in expected} == expected
    assert (shown["RMSE"] < shown["naive"]).all()


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    """With the parameters of CI: half of the training data, fewer simulations."""
    outcome = solved("11b_drift")
    assert outcome.faults == []
    for name in (
        "parts",
        "same",
        "bins",
        "sizes",
        "family",
        "power",
        "days",
        "pairs",
        "trial",
        "rows",
        "examples",
    ):
        small, large = table(outcome.notebook, name), table(NOTEBOOK, name)
        assert list(small.index) == list(large.index) and list(small) == list(large), name
    assert table(outcome.notebook, "trial").loc[OURS, "quiet weeks with an alarm"] <= 4


# The exercises against the library ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_exercises_agree_with_the_report(seed):
    rng = np.random.default_rng(seed)
    old = pd.DataFrame(
        {"a": rng.lognormal(0, 1, 800), "b": rng.normal(0, 1, 800), "c": rng.uniform(0, 1, 800)}
    )
    new = pd.DataFrame(
        {"a": rng.lognormal(0.1, 1, 500), "b": rng.normal(0, 1, 500), "c": rng.uniform(0, 1.1, 500)}
    )
    report = drift_report(old, new).set_index("column")
    assert np.allclose(EXERCISES.holm(report["p_value"]), report["p_corrected"], rtol=1e-12)
    for name in old:
        assert EXERCISES.psi(old[name], new[name]) == pytest.approx(report.loc[name, "psi"], abs=1e-9)


def test_the_split_is_exact_where_the_world_is_known():
    """Trips at 4 minutes a mile become trips at 3: the parts are known from the distances alone."""
    rng = np.random.default_rng(0)
    old, new = (
        pd.DataFrame({"trip_distance": rng.choice([1.0, 5.0], 4_000, p=[p, 1 - p])}) for p in (0.8, 0.6)
    )
    old, new = old.assign(duration=4 * old["trip_distance"]), new.assign(duration=3 * new["trip_distance"])
    other_trips, streets = EXERCISES.split_gap(old, new, [0, 2, 8])
    miles = new["trip_distance"].mean()
    assert other_trips == pytest.approx(4 * (miles - old["trip_distance"].mean()))
    assert streets == pytest.approx(-miles)


def test_holm_keeps_the_family_wise_rate_and_bonferroni_finds_less():
    rng = np.random.default_rng(0)
    true, found = [], {"holm": 0, "bonferroni": 0}
    for _ in range(400):
        shifts = np.r_[np.zeros(5), np.full(5, 3.0)]
        p = pd.Series(stats.norm.sf(rng.normal(shifts)))
        holm = EXERCISES.holm(p) < 0.05
        true.append(holm[:5].any())
        found["holm"] += holm[5:].sum()
        found["bonferroni"] += (p[5:] * 10 < 0.05).sum()
    assert np.mean(true) < 0.08
    assert found["holm"] > found["bonferroni"]

"""Lesson 11c: what its text says of shifts and measures holds in its outputs and in known worlds."""

import re
from html import unescape
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from solved import smaller

from course.exercise import source as exercise_source
from walkforward.drift import drift_report

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "11c_drift.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "11c_drift.py")


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
    shown = table(NOTEBOOK, "measures")
    assert np.allclose(shown["by hand"], shown["drift_report"], atol=1e-4)
    twin = shown["2019 and its twin"] / shown["by hand"]
    assert 2.5 < twin["psi"] < 3.5 and 0.25 < twin["wasserstein"] < 0.4


def test_a_missing_value_silences_the_textbook_alarm():
    """SciPy's p-value is NaN, and NaN < 0.05 is no alarm: from July 2019 the column is not tested."""
    numbers = np.r_[np.random.default_rng(0).normal(size=99), np.nan]
    p = stats.ks_2samp(numbers, numbers + 10, method="asymp").pvalue
    assert np.isnan(p) and not p < 0.05
    said = output(NOTEBOOK, "year")
    assert "with no p-value for passenger_count: 6" in said and "with an alarm: 11" in said


@pytest.mark.parametrize("seed", range(5))
def test_ks_on_codes_depends_on_how_they_are_numbered(seed):
    """Another numbering of the same zones gives another KS; the total variation stays."""
    rng = np.random.default_rng(seed)
    old, new = rng.integers(0, 50, 2_000), rng.choice(50, 2_000, p=np.arange(1, 51) / 1275)
    other = rng.permutation(50)
    ks = [stats.ks_2samp(code[old], code[new]).statistic for code in (np.arange(50), other)]
    assert abs(ks[0] - ks[1]) > 0.05
    sides = [np.bincount(code[side], minlength=50) for code in (np.arange(50), other) for side in (old, new)]
    tv = [np.abs(sides[0] - sides[1]).sum(), np.abs(sides[2] - sides[3]).sum()]
    assert tv[0] == tv[1]


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    """With the parameters of CI: half of the training data."""
    outcome = smaller("11c_drift")
    assert outcome.faults == []
    for name in ("parts", "same", "measures", "psi_bins"):
        small, large = table(outcome.notebook, name), table(NOTEBOOK, name)
        assert list(small.index) == list(large.index) and list(small) == list(large), name


@pytest.mark.parametrize("seed", range(3))
def test_psi_agrees_with_the_report(seed):
    rng = np.random.default_rng(seed)
    old = pd.DataFrame({"a": rng.lognormal(0, 1, 800), "b": rng.uniform(0, 1, 800)})
    new = pd.DataFrame({"a": rng.lognormal(0.1, 1, 500), "b": rng.uniform(0, 1.1, 500)})
    report = drift_report(old, new).set_index("column")
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

"""Lesson 11d: what its text says of rules, classifiers and references holds in its outputs and elsewhere."""

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from solved import smaller
from test_lesson_11c import output, table
from xgboost import XGBClassifier

from course.data import load_trips
from course.exercise import source as exercise_source
from projects.trip_watch import FEATURES, ZONES, six_reports, under_watch
from walkforward.drift import drift_report

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "11d_detectors.ipynb", as_version=4)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "11d_detectors.py")
MONTHS = ["2018-12", "2019-03", "2019-04", "2019-05", "2019-06", "2020-04", "2020-09", "2020-10"]


@pytest.fixture(scope="module")
def by_month():
    trips, _ = under_watch(load_trips(MONTHS), "2018-12", "2019-01", "2020-10")
    return {month: rows.sample(frac=1, random_state=0) for month, rows in trips.groupby("month")}


def source_of(name):
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.id == name]
    return cell.source


def test_psi_alarms_on_few_rows_and_p_on_many():
    rates = table(NOTEBOOK, "rates")
    assert rates.loc["50", "PSI > 0.1"] > 0.9 and rates.loc["50", "PSI > 0.2"] > 0.7
    assert (rates.loc["1000":, ["PSI > 0.1", "PSI > 0.2"]] == 0).all(axis=None)
    assert rates.loc["50", "p < 0.05"] < 0.15 and rates.loc["20000", "p < 0.05"] == 1
    both = rates["p < 0.05 and KS ≥ 0.06"]
    assert both.max() <= 0.2 and (both.loc["5000":] == 0).all()


@pytest.mark.parametrize(("n", "m"), [(50, 50), (200, 1_000)])
def test_psi_of_nothing_is_what_the_formula_says(n, m):
    """(B - 1)(1/n + 1/m) for bins that are given; half rows change it little."""
    rng = np.random.default_rng(0)
    shares = [rng.multinomial(size, [0.1] * 10, 4_000).clip(0.5) / size for size in (n, m)]
    measured = ((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum(axis=1).mean()
    assert measured == pytest.approx(9 * (1 / n + 1 / m), rel=0.25)


def test_family_wise_errors():
    rates = table(NOTEBOOK, "family").iloc[:, 0]
    assert rates["p < 0.05"] > 0.2 and rates["p < 0.05 / 10"] <= 0.1
    assert rates["PSI > 0.1"] > 0.9


def test_k_alpha_is_reached_when_no_two_tests_reject_together_and_holm_holds():
    """Ten p-values whose rejections never overlap: family-wise .50, not the .40 of independent tests."""
    rng, u = np.random.default_rng(0), np.random.default_rng(1).random(4_000)
    p = (u[:, None] - np.arange(10) * 0.05) % 1  # each uniform, at most one of them below 0.05
    assert (p < 0.05).sum(axis=1).max() == 1
    assert (p < 0.05).any(axis=1).mean() == pytest.approx(0.5, abs=0.03)
    independent = rng.random((4_000, 10)).min(axis=1) < 0.05
    assert independent.mean() == pytest.approx(1 - 0.95**10, abs=0.03)
    holm = [EXERCISES.holm(pd.Series(row)).min() < 0.05 for row in p[:600]]
    assert np.mean(holm) <= 0.07


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


def test_the_classifier_sees_both_joins_and_its_size_was_counted():
    pairs = table(NOTEBOOK, "pairs").astype(float)
    assert (pairs["single columns, smallest p"] > 0.05).all()
    assert (pairs["its p"] < 0.05).tolist() == [False, True, True]
    assert pairs["RMSE"].is_monotonic_increasing
    assert "splits with broken hours found: 8 of 8" in output(NOTEBOOK, "size")


@pytest.mark.parametrize("two", [("2019-03", "2019-05"), ("2020-09", "2020-10")])
def test_held_out_rows_show_the_broken_hours_in_other_months(by_month, two):
    names = {"pd": pd, "np": np, "stats": stats, "XGBClassifier": XGBClassifier, "FEATURES": FEATURES}
    exec(source_of("apart"), names)
    found = {"hour": [], None: []}
    for seed in range(4):
        rows = pd.concat([by_month[month] for month in two]).sample(frac=1, random_state=seed)
        half, other = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        hours = np.random.default_rng(seed).permutation(other["hour"])
        found["hour"].append(names["apart"](half, other.assign(hour=hours), seed)[1])
        found[None].append(names["apart"](half, other, seed)[1])
    assert max(found["hour"]) < 0.001
    assert sum(p < 0.01 for p in found[None]) <= 1


def test_a_reference_that_moves_along_goes_quiet_while_the_error_stays():
    counts = table(NOTEBOOK, "reference")
    assert (counts.loc["2020-07":, "last month"] == 0).all() and (
        counts.loc["2020-07":, "training data"] >= 3
    ).all()
    assert counts.loc["2020-07", "RMSE"] > 1.35 * counts.loc["2019-12", "RMSE"]
    assert (counts.loc[["2019-06", "2019-12"], ["training data", "a year before", "last month"]] == 0).all(
        axis=None
    )


def test_detectors_on_trial():
    trial = table(NOTEBOOK, "trial")
    alarms = trial["alarms in 24 quiet weeks"]
    assert alarms["p < 0.05 (Holm)"] > 12 and alarms["drift_report"] == alarms["PSI > 0.1"] == 0
    assert alarms["tuned: PSI"] > 0  # silent on the weeks that set the limit, not on the next
    seen = trial[["rides 15 % longer", "1 in 10 without destination"]]
    assert (seen.loc["drift_report"] == "100%").all() and (seen.loc["PSI > 0.1"] == "0%").all()
    first = trial["first alarm of the next year"]
    assert (first["drift_report"], first["PSI > 0.1"]) == ("09 Mar", "16 Mar")


def test_a_sum_sees_what_no_single_week_shows():
    said = output(NOTEBOOK, "small")
    assert "beyond 3 standard deviations: 0 of 24" in said and "week: 4 | without the fault: None" in said


def test_days_are_not_independent_rows():
    rates = table(NOTEBOOK, "days").iloc[:, 0]
    assert rates["as if independent"] > 0.4 and rates['time="day"'] <= 0.07
    assert output(NOTEBOOK, "days").startswith("neighbouring rows are alike in rides, tips, delays")


def test_the_six_reports_are_what_the_trips_give(by_month):
    told = six_reports().set_index(["report", "column"])
    for name, old, new in (("A", "2019-05", "2019-06"), ("E", "2019-04", "2020-04")):
        columns = ["trip_distance", *ZONES, "hour", "passenger_count"]
        report = drift_report(by_month[old], by_month[new], columns, categorical=ZONES).set_index("column")
        shared = report.index.intersection(told.loc[name].index)
        assert len(shared) == 2
        assert np.allclose(report.loc[shared, "effect"], told.loc[name].loc[shared, "effect"], atol=0.002)
        assert len(by_month[new]) == told.loc[name, "rows"].iloc[0]


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    """With the parameters of CI: half of the training data, fewer simulations."""
    outcome = smaller("11d_detectors")
    assert outcome.faults == []
    for name in ("rates", "family", "pairs", "days", "reference", "trial"):
        small, large = table(outcome.notebook, name), table(NOTEBOOK, name)
        assert list(small.index) == list(large.index) and set(small) == set(large), name


@pytest.mark.parametrize("seed", range(3))
def test_holm_agrees_with_the_report(seed):
    rng = np.random.default_rng(seed)
    old = pd.DataFrame({name: rng.normal(size=800) for name in "abc"})
    new = pd.DataFrame({name: rng.normal(0.1, 1, 500) for name in "abc"})
    report = drift_report(old, new).set_index("column")
    assert np.allclose(EXERCISES.holm(report["p_value"]), report["p_corrected"], rtol=1e-12)

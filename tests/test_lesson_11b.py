"""Lesson 11b: what its text says of delays, seasons, limits and rules holds in its outputs."""

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from scipy import stats
from solved import smaller
from test_lesson_11c import output, table

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "11b_alarms.ipynb", as_version=4)


def test_the_answers_drift_six_weeks_after_the_error():
    weeks = table(NOTEBOOK, "weeks")
    error = weeks.index[(weeks["RMSE"] > 6).to_numpy()][0]
    answers = weeks.index[(weeks["answers drift"] == "alarm").to_numpy()][0]
    features = weeks.index[(weeks["features that drift"] > 0).to_numpy()][0]
    assert (error, features, answers) == ("16 Mar", "16 Mar", "27 Apr")
    assert weeks.loc["16 Mar", "known on"] == "06 Apr"


def test_an_estimated_error_follows_other_trips_and_not_other_streets():
    rows = table(NOTEBOOK, "estimate")
    estimated, real = rows["estimated error"], rows["real error (min)"]
    gap = real - estimated
    assert estimated["four times the long trips"] > 1.15 * estimated["quiet"]
    assert abs(gap["four times the long trips"] - gap["quiet"]) < 0.2 and gap["2020-04"] > 2


def test_2019_is_season_and_april_2020_is_not():
    season = table(NOTEBOOK, "season")
    assert season.loc["2019-12", "RMSE"] > 1.2 * season.loc["2019-03", "RMSE"]
    assert season.loc["2019-02":"2020-03", "ratio"].between(0.9, 1.11).all()
    assert season.loc["2020-02", "RMSE"] < season.loc["2019-12", "RMSE"] - 0.5
    assert (season.loc["2020-04":"2020-08", "ratio"] > 1.4).all()


def test_false_alarms_are_those_of_students_distribution():
    """The simulated counts against the exact ones: a quiet month to come, mean and spread from twelve."""
    counted = float(re.search(r"really: +([\d.]+)", output(NOTEBOOK, "fatigue"))[1])
    assert counted == pytest.approx(240 * 2 * stats.t.sf(2 / np.sqrt(1 + 1 / 12), 11), abs=0.6)
    k = float(re.search(r"k = ([\d.]+)", output(NOTEBOOK, "budget"))[1])
    assert 240 * 2 * stats.t.sf(k / np.sqrt(1 + 1 / 12), 11) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("seed", range(3))
def test_months_that_are_alike_break_the_budget(seed):
    """AR(1) with 0.5: about three times as many; the same k for independent months keeps it."""
    k, counts = stats.t.ppf(1 - 1 / 480, 11) * np.sqrt(1 + 1 / 12), {}
    for alike in (0.0, 0.5):
        months = np.random.default_rng(seed).normal(size=(36, 800, 10))
        for now in range(1, 36):
            months[now] = alike * months[now - 1] + np.sqrt(1 - alike**2) * months[now]
        past, future = months[:12], months[12:]
        counts[alike] = (
            (np.abs(future - past.mean(axis=0)) > k * past.std(axis=0, ddof=1)).sum(axis=(0, 2)).mean()
        )
    assert counts[0.0] == pytest.approx(1, abs=0.25) and 2.2 < counts[0.5] < 4.2


def test_the_limit_of_the_real_signals_is_that_of_their_checks():
    shown = table(NOTEBOOK, "beyond")
    own = stats.t.ppf(1 - 1 / (2 * 48), 11) * np.sqrt(1 + 1 / 12)
    assert list(shown) == ["beyond 2.0 sigma", f"beyond {own:.1f} sigma"]
    error = shown.loc["RMSE / usual"]
    assert error["beyond 2.0 sigma"] == error[f"beyond {own:.1f} sigma"] + 2  # January and March 2020


def rules():
    (cell,) = [cell for cell in NOTEBOOK.cells if cell.id == "rules"]
    names = {}
    exec(cell.source, names)
    return names["RULES"]


def test_one_rule_speaks_of_a_metric_that_nobody_exports():
    said = output(NOTEBOOK, "page")
    assert said.count("nobody exports") == 1 and "MonitorSilent    nobody exports" in said
    for rule in yaml.safe_load(rules())["groups"][0]["rules"]:
        assert {"alert", "expr", "labels"} <= set(rule) and re.fullmatch(r"\d+[mh]", rule.get("for", "0m"))


PLAYED = """
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'walkforward_requests_total{outcome="ok"}', values: '0+90x60'}
      - {series: 'walkforward_requests_total{outcome="lacks hour"}', values: '0+10x60'}
      - {series: walkforward_rmse_ratio, values: '1.0x10 1.8x200'}
      - {series: walkforward_report_timestamp_seconds, values: '-200000x300'}
    alert_rule_test:
      - {eval_time: 30m, alertname: RequestsRefused, exp_alerts: [{exp_labels: {severity: page}}]}
      - {eval_time: 120m, alertname: ErrorOverLimit, exp_alerts: [{exp_labels: {severity: ticket}}]}
      - {eval_time: 60m, alertname: MonitorSilent, exp_alerts: MONITOR}
"""


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("mended", [False, True])
def test_prometheus_own_tool_accepts_the_rules_and_the_misspelt_one_never_rings(tmp_path, mended):
    name = "walkforward_report_timestamp"
    (tmp_path / "rules.yml").write_text(rules().replace(name, name + "_seconds") if mended else rules())
    expected = "[{exp_labels: {severity: page}}]" if mended else "[]"
    (tmp_path / "played.yml").write_text(PLAYED.replace("MONITOR", expected))
    for call in (["check", "rules", "rules.yml"], ["test", "rules", "played.yml"]):
        done = subprocess.run(["promtool", *call], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    """With the parameters of CI: fewer months, fewer simulations."""
    outcome = smaller("11b_alarms")
    assert outcome.faults == []
    for name in ("weeks", "estimate", "season", "beyond"):
        assert list(table(outcome.notebook, name)), name

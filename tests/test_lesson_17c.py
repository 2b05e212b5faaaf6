"""Lesson 17c: the clock, what breaks first, and the reader's own flow are as told, with other seeds too."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shown import Shown
from solved import smaller
from weekly import weekly

from course.exercise import source as exercise_source
from lessons.tell_it import measured, own
from projects.capstone.new import make
from projects.capstone.schedule import cron_job
from projects.capstone.state import STEPS
from walkforward.forecasting import SeasonalNaive

ROOT = Path(__file__).resolve().parents[1]
STEM = "17c_tell_it"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
TEXT = (ROOT / "src" / "lessons" / f"{STEM}.py").read_text(encoding="utf-8")
LIMITS = {"CPU s": 3600, "memory GB": 2 * 1024**3 / 1e9, "disk MB": 50_000 / 36}
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    folder = make(str(tmp_path_factory.mktemp("new") / "mine"))
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(folder))
        spec = importlib.util.spec_from_file_location("their_flow_17c", folder / "flow.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules.pop("table")
    return module


def test_the_page_shows_each_step_of_the_flow_once():
    (drawn,) = re.findall(r"```mermaid\n(.*?)```", TEXT, re.DOTALL)
    assert [step for step in STEPS if drawn.count(f"[{step}]") != 1] == []


def test_the_same_parts_in_another_order_are_heard_earlier():
    clock = table("clock").astype(int)
    assert clock.loc["tools first", "5 min"] == 0 and clock.loc["what is waited for first", "5 min"] >= 3
    assert clock["10 min"].tolist() == [5, 5]


def test_the_model_beats_the_better_of_two_rules_in_each_year():
    diary = measured.diary().dropna()
    assert len(measured.diary()) == 36 and (diary["line by miles"] < diary["usual pace"]).mean() > 0.9
    for year in ("2018", "2019", "2020"):
        some = diary[diary.index.str.startswith(year)]
        assert (some["error"] - some["line by miles"]).mean() < 0, year
    rides = (diary["demand"] - diary["last year"]).groupby(diary.index.str[:4]).mean()
    assert (rides < 0).all() and rides["2019"] > -0.1 > rides["2020"]
    for seed in range(3):
        shuffled = np.random.default_rng(seed).permutation(diary["error"] - diary["line by miles"])
        assert measured.interval(pd.Series(shuffled))[1] < 0


def test_the_interval_covers_a_known_mean_about_as_often_as_it_says():
    inside = 0
    for seed in range(100):
        low, high = measured.interval(pd.Series(np.random.default_rng(seed).normal(1, 1, 36)), draws=500)
        inside += low < 1 < high
    assert 84 <= inside <= 99


def test_memory_breaks_before_time_whichever_load_is_left_out():
    needs = measured.needs()
    assert [*needs.index] == measured.TIMES
    for left in needs.index:
        name, load = EXERCISES.breaks_first(needs.drop(index=left), LIMITS)
        assert name == "memory GB" and load < 100, (left, load)
    proportional = {name: LIMITS[name] / needs.loc[1, name] for name in LIMITS}
    assert proportional["memory GB"] < EXERCISES.breaks_first(needs, LIMITS)[1]
    assert proportional["CPU s"] > 100


def test_a_line_through_the_smaller_loads_forecasts_the_largest():
    needs = measured.needs()
    for name, (slope, fixed) in measured.lines(needs.iloc[:-1]).items():
        assert fixed + slope * needs.index[-1] == pytest.approx(needs[name].iloc[-1], rel=0.05), name
    times = needs.iloc[-1] / needs.iloc[0]
    assert 6 < times["CPU s"] < 8 and times["memory GB"] < 2 and needs.index[-1] == 16


def test_the_limits_are_those_of_the_cron_job():
    job = cron_job()["spec"]["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] == LIMITS["CPU s"]
    assert job["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "2Gi"


def test_the_record_is_of_the_flow_that_stands():
    one = measured.record()
    assert all(list(load["seconds"]) == list(STEPS) for load in one["loads"].values())
    assert one["journal"]["lines"] == 36 * len(STEPS)
    trips = [load["bytes"]["trips"] for load in one["loads"].values()]
    assert all(later > before for before, later in zip(trips, trips[1:], strict=False))


@weekly("test_memory_breaks_before_time_whichever_load_is_left_out holds what was recorded")
def test_a_month_needs_what_the_record_says():
    """One load anew: bytes as recorded, CPU seconds and memory within a factor that machines differ by."""
    pytest.importorskip("resource")
    told, then = measured.in_a_process(2), measured.record()["loads"]["2"]
    for name in ("raw", "trips", "predictions.db"):
        assert told["bytes"][name] == pytest.approx(then["bytes"][name], rel=0.1), name
    assert 0.25 < sum(told["seconds"].values()) / sum(then["seconds"].values()) < 4
    assert 0.5 < told["memory"] / then["memory"] < 2


def test_the_cheapest_change_is_the_sample_then_the_machine_and_at_half_the_load_none():
    shown = table("options").astype(float)
    now, cost = shown.loc["no change"].drop("cost").to_dict(), shown.pop("cost")
    changes = {
        name: {"cost": cost[name], "times": (row / shown.loc["no change"]).to_dict()}
        for name, row in shown.drop("no change").iterrows()
    }
    limits = dict.fromkeys(now, 1.0)
    assert EXERCISES.cheapest_change(now, limits, changes, 3_000) == ["train on a tenth of the trips"]
    dearer = {**changes, "train on a tenth of the trips": {"cost": 5_000, "times": {}}}
    assert EXERCISES.cheapest_change(now, limits, dearer, 3_000) == ["larger machine"]
    assert cost["larger machine"] - cost["train on a tenth of the trips"] == 120
    half = {
        name: (fixed + 50 * slope) / LIMITS[name]
        for name, (slope, fixed) in measured.lines(measured.needs()).items()
    }
    assert EXERCISES.cheapest_change(half, limits, changes, 3_000) == []


@pytest.mark.parametrize("start", [0, 1400, 2800])
def test_a_week_of_zeros_costs_in_other_years_too(flow, start):
    from course.data import load_births

    days = load_births().iloc[start : start + 1461].reset_index(drop=True)
    _, _, low, _ = own.with_zeros(days, lambda: flow.Trees("D"), 6)
    assert low > 0
    told = own.judged(days, lambda: own.AfterZeros(SeasonalNaive(7)), "D", 28, 6)
    assert (told["yhat"] == 0).all()


def test_what_the_notebook_shows_of_the_reader_s_own_flow():
    assert "passed" in output("tests") and "failed" not in output("tests")
    assert len(output("refused").splitlines()) == 3
    hair = table("hair")
    rides = hair.loc["rides by month"]
    assert [*rides["answers"]][:2] == ["trees", "naive"]
    low, high = rides["from"].astype(float), rides["to"].astype(float)
    assert (low < 0).all() and (high > 0).all()


def test_a_smaller_lesson_runs_too():
    assert smaller(STEM).faults == []

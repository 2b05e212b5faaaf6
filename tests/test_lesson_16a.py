"""Lesson 16a: what a cluster costs and keeps is what the text says, with other parts and seeds too."""

import random
from pathlib import Path

import numpy as np
import pytest
from shown import Shown

from course.exercise import source as exercise_source
from lessons.the_cluster import record

ROOT = Path(__file__).resolve().parents[1]
STEM = "16a_the_same_call_on_a_cluster"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
output, number, table = SHOWN.output, SHOWN.number, SHOWN.table


def test_only_the_last_job_asks_for_many_machines():
    hours = table("jobs").astype(float)
    assert (hours["hours on 1"].iloc[:2] < 0.1).all()
    assert hours["hours on 8"].iloc[2] < 1 < 24 < hours["hours on 8"].iloc[3]


@pytest.mark.parametrize("serial", [0.01, 0.05, 0.2])
def test_amdahl_is_what_a_job_with_a_serial_part_needs(serial):
    shown = table("amdahl").astype(float)
    for workers in (2, 8, 64, 256):
        parallel = EXERCISES.finished([(1 - serial) / 512] * 512, workers)
        assert shown.loc[f"{100 * serial:g} %", str(workers)] == pytest.approx(
            1 / (serial + parallel), abs=0.06
        )
    assert shown.loc[f"{100 * serial:g} %"].max() < 1 / serial


def test_the_line_beats_naive_and_the_cluster_has_its_bits():
    naive = number("threads", r"naive ([\d.]+)")
    assert number("threads", r"line ([\d.]+)") < naive
    assert "the same bits: True" in output("start")


def test_a_job_in_the_task_sends_all_with_each_and_a_name_does_not():
    assert number("wire", r"object: (\d+) ×") >= 1
    assert "a task: True" in output("wire")


def test_a_lost_worker_and_a_lost_file_cost_no_bit():
    assert "a worker died: True · the same bits: True" in output("killed")
    assert number("resumed", r"(\d+) files kept") >= 6
    assert "the same bits: True" in output("resumed")


def test_the_record_has_the_bits_and_long_tasks_fill_a_cluster_better():
    scale = record.scale()
    assert all(scale["equal"].values()) and scale["lost"]["equal"] and scale["lost"]["killed"]
    short, long = record.efficiency().values()
    assert list(short.index) == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert (long.loc[8:128] > short.loc[8:128]).all()
    assert short.loc[256] < short.loc[8] and long.loc[8] > 0.85


def test_the_record_is_of_a_thousand_series_and_within_its_limits():
    scale = record.scale()
    assert (scale["series"], scale["days"]) == (1000, 700) and scale["runs"] >= 3
    assert scale["efficiency"] >= 0.85 and scale["times_threads"] <= 1.15
    assert scale["wire"]["bytes_per_task"] < 20_000


def test_the_work_grows_with_the_series_and_a_global_model_is_level_with_mlforecast():
    growth = record.growth()
    assert list(growth.index) == [250, 500, 1000]
    slopes = np.log(growth.loc[1000] / growth.loc[250]) / np.log(4)
    assert slopes.between(0.85, 1.15).all(), slopes
    assert growth.loc[1000, "one global model"] <= 1.1 * growth.loc[1000, "one global model, mlforecast"]


@pytest.mark.parametrize("seed", range(20))
def test_small_equal_parts_finish_no_later_than_large_ones(seed):
    """Within one long task: the bound of greedy scheduling."""
    rng = random.Random(seed)
    ids = list(range(rng.randint(40, 400)))
    lengths = {one: rng.expovariate(1.0) for one in ids}
    for most in (4, 16):
        tasks = [sum(lengths[one] for one in part) for part in EXERCISES.in_parts(ids, most)]
        assert np.isclose(sum(tasks), sum(lengths.values()))
        ideal = sum(tasks) / 4
        assert ideal <= EXERCISES.finished(tasks, 4) <= ideal + max(tasks) + 1e-9

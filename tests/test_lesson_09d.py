"""Sitting 09d: what its record of servers shows and what it does not; merged rows; replicas."""

import ast
import json
from math import log
from pathlib import Path

import numpy as np
import pytest

from authoring import build
from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "09d_faster_answers.py")
RESULTS = ROOT / "benchmarks" / "results"
RECORD = json.loads((RESULTS / "serving.json").read_text("utf-8"))
RUNGS = {rung["key"]: rung for rung in RECORD["rungs"]}


def apart(slower, faster):
    """Whether the slowest run of one is above the fastest of the other."""
    return RUNGS[faster]["rps_min"] > RUNGS[slower]["rps_max"]


def test_the_steps_that_the_lesson_calls_shown_are_and_the_others_are_not():
    assert not apart("stock", "stock-1")
    for slower, faster in (
        ("stock-1", "fastapi"),
        ("fastapi", "granian"),
        ("granian", "native"),
        ("native", "onnx"),
    ):
        assert apart(slower, faster), (slower, faster)
    assert apart("ours", "onnx"), "with its checks walkforward serve is slower than the rung above"
    gains = {
        key: RUNGS[key]["rps"] / RUNGS[RUNGS[key]["over"]]["rps"] for key in ("granian", "native", "onnx")
    }
    assert sorted(gains, key=gains.get)[-2:] == ["onnx", "native"]


def test_the_soak_was_on_schedule_at_the_share_that_the_lesson_says():
    soak = json.loads((RESULTS / "serving_soak.json").read_text("utf-8"))
    assert soak["rate"] == pytest.approx(0.8 * soak["max_rps"], rel=0.01)
    assert soak["errors"] == 0 and soak["requests"] > 10_000_000


def test_p99_of_the_simplest_queue_is_4_6_times_its_mean():
    rng = np.random.default_rng(0)
    for load in (0.6, 0.8):
        gaps, work = rng.exponential(1 / load, 200_000), rng.exponential(1.0, 200_000)
        arrives, free, seen = np.cumsum(gaps), 0.0, []
        for at, takes in zip(arrives, work, strict=True):
            free = max(at, free) + takes
            seen.append(free - at)
        assert np.mean(seen) == pytest.approx(1 / (1 - load), rel=0.1)
        assert np.percentile(seen, 99) == pytest.approx(log(100) / (1 - load), rel=0.15)


def test_the_replicas_of_the_lesson_are_those_of_its_exercise():
    module = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "09d_faster_answers.py")
    found = {
        key: [module.replicas_needed(goal, RECORD[key]) for goal in (50, 3_000, 10_000)]
        for key in ("mlflow_rps", "ours_rps")
    }
    assert found == {"mlflow_rps": [2, 25, 80], "ours_rps": [2, 2, 3]}


def test_merged_rows_that_depend_on_each_other_are_wrong_and_others_are_not():
    (cell,) = [cell for cell in LESSON.cells if cell.metadata.get("name") == "merged"]
    functions = [node for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)]
    names = {"np": np}
    exec(compile(ast.Module(functions, []), "merged", "exec"), names)
    from_the_mean = names["from_the_mean"]
    ada, bo = [1.0, 3.0], [10.0, 30.0]
    assert from_the_mean(ada).tolist() == [-1, 1]
    assert from_the_mean(ada + bo)[:2].tolist() == [-10, -8]
    assert from_the_mean([5.0]).tolist() == from_the_mean([7.0]).tolist() == [0]  # one row can't tell

"""Lesson 12c: the loop is killed at each step, for real too; the year's story; the diary."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import mlflow
import nbformat
import numpy as np
import pandas as pd
import pytest
from shown import Shown
from solved import smaller

from course.data import load_trips, months, prepare_trips
from course.exercise import source as exercise_source

ROOT = Path(__file__).resolve().parents[1]
STEM = "12c_the_loop_closed"
NOTEBOOK = nbformat.read(ROOT / "notebooks" / f"{STEM}.ipynb", as_version=4)
output = Shown(STEM).output
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
sys.path[:0] = [str(ROOT / "src")]

from lessons.loop import loop as loops  # noqa: E402
from projects.release_gate import registry  # noqa: E402
from projects.release_gate.release import Release  # noqa: E402

LOOP = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {src!r})
import pandas as pd
from lessons.loop.loop import begin
from projects.release_gate import registry

def kill(where):
    if where == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path({folder!r})
registry.use_store(folder / "store")
begin(folder / "loop", pd.read_parquet(folder / "trips.parquet"), "loop", "2020-01", kill=kill).run("2020-04")
"""


@pytest.fixture(scope="module")
def trips():
    trips = prepare_trips(load_trips(months("2019-10", "2020-05")))
    trips["month"] = trips["pickup_datetime"].dt.strftime("%Y-%m")
    return trips[trips["month"].between("2019-10", "2020-05")]


@pytest.fixture(scope="module")
def undisturbed(trips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    registry.use_store(folder / "store")
    loop = loops.begin(folder / "loop", trips, "loop", "2020-01")
    loop.run("2020-04")
    return loop.journal.lines()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_loop_that_is_killed_for_real_ends_like_the_undisturbed_one(trips, undisturbed, tmp_path):
    trips.to_parquet(tmp_path / "trips.parquet")
    script = tmp_path / "run.py"
    script.write_text(LOOP.format(src=str(ROOT / "src"), folder=str(tmp_path)), encoding="utf-8")
    for place in ("after retrain", "after register", "after promote"):
        done = subprocess.run([sys.executable, script, place], check=False, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
    subprocess.run([sys.executable, script, "never"], check=True, capture_output=True)
    registry.use_store(tmp_path / "store")
    assert loops.Journal(tmp_path / "loop" / "journal.jsonl").lines() == undisturbed
    client = mlflow.MlflowClient()
    assert len(client.search_model_versions("name = 'loop'")) == 2
    assert {name: str(one) for name, one in client.get_registered_model("loop").aliases.items()} == {
        "champion": "2",
        "previous": "1",
    }


def test_a_line_that_a_kill_has_cut_off_does_not_count(tmp_path):
    journal = loops.Journal(tmp_path / "journal.jsonl")
    journal.write("2020-04", "watch", {"stop": False})
    with journal.file.open("a", encoding="utf-8") as file:
        file.write('{"month": "2020-04", "step": "retr')
    assert journal.find("2020-04", "retrain") is None
    journal.write("2020-04", "retrain", {"trips": 1})
    assert [one["step"] for one in journal.lines()] == ["watch", "retrain"]


def test_the_retraining_learns_only_what_is_known_on_the_15th_and_the_rest_judges(trips, tmp_path):
    registry.use_store(tmp_path / "store")
    loop = loops.begin(tmp_path / "loop", trips, "loop", "2020-01")
    loop.journal.write("2020-03", "retrain", loop.retrain("2020-03"))
    rows, case = Release(tmp_path / "loop" / "2020-03").rows, loop.case("2020-03")
    assert rows["dropoff_datetime"].max() < pd.Timestamp("2020-03-15") <= case.rows["pickup_datetime"].min()
    assert rows["pickup_datetime"].min() >= pd.Timestamp("2020-01-01")
    assert loop.retrain("2020-03")["rows"] == case.new.record["rows"]


def test_the_canarys_rule_holds_its_false_alarms_and_finds_kilometres():
    """Seeds 200 to 599: canaries that are as good as the champion; at most 5 % are worse, with luck 8 %."""
    alarms = [loops.verdict(np.random.default_rng(seed).normal(0, 4, 500))[0] for seed in range(200, 600)]
    assert alarms.count("worse") <= 32
    assert loops.verdict(np.random.default_rng(0).normal(1.5, 4, 500))[0] == "worse"
    assert loops.verdict(np.array([])) == ("not worse", 0)


def test_the_lesson_tells_the_year_that_it_lived():
    strict, again = output("strict"), output("again")
    assert re.findall(r"(2020-\d+) .*data: mph", strict) == [
        "2020-05",
        "2020-06",
        "2020-07",
        "2020-08",
        "2020-09",
    ]
    assert re.findall(r"(2020-\d+) .*champion is", strict) == ["2020-04", "2020-11"]
    assert re.findall(r"(2020-\d+) .*data: mph", again) == ["2020-05"]
    assert re.findall(r"(2020-\d+) .*rolled back", again) == ["2020-07"]
    assert "the same lines as undisturbed: True" in output("same")


def test_two_shorter_windows_are_blocked_by_the_same_question(tmp_path):
    """The claim does not hang on three months of rows: with one or two May is refused for its speed too."""
    trips = prepare_trips(load_trips(months("2019-10", "2020-06")))
    trips["month"] = trips["pickup_datetime"].dt.strftime("%Y-%m")
    trips = trips[trips["month"].between("2019-10", "2020-06")]
    for window in (1, 2):
        registry.use_store(tmp_path / f"store {window}")
        loop = loops.begin(tmp_path / f"loop {window}", trips, "loop", "2020-01", window=window)
        loop.run("2020-05")
        assert "mph" in loop.journal.find("2020-05", "judge")["noes"]["data"]


def test_the_diary_answers_what_was_champion():
    printed = output("diary")
    lines = [
        re.match(
            r"(\S+) +(alarm|retrained|refused|limit changed|passed|canary|promoted|rolled back) +(\d?)", one
        )
        for one in printed.splitlines()
    ]
    diary = [dict(zip(("on", "event", "version"), one.groups(), strict=True)) for one in lines if one]
    assert len(diary) == len(printed.strip().splitlines()) - 1  # the first names the index
    assert [EXERCISES.answered(diary, day) for day in ("2020-07-11", "2020-08-20", "2020-09-11")] == [
        "3",
        "3",
        "5",
    ]


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    outcome = smaller(STEM)
    assert outcome.faults == []

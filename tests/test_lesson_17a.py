"""Lesson 17a: a second start, locks after a kill, faults, tries, nights of cron, Metaflow, histories."""

import http.server
import itertools
import os
import random
import threading
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from shown import Shown
from solved import smaller

from course.data import load_ridership, load_trips, months
from course.exercise import source as exercise_source
from lessons.one_flow.engine import FLOW, by_metaflow, lines
from lessons.one_flow.kills import Killed, after_a_kill, begin, dies_at, ends
from projects.capstone import loop, schedule, steps, trips
from projects.capstone.state import STEPS, CapstoneError, Settings, State
from projects.release_gate.release import digest
from walkforward.prediction_log import PredictionLog

ROOT = Path(__file__).resolve().parents[1]
STEM = "17a_one_flow"
SHOWN = Shown(STEM)
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / f"{STEM}.py")
PLACES = ["nowhere", "half a file", "answers logged", "version made", "alias set"]


def defined(cell, *names, **given):
    """What a cell of the lesson defines, with these names in its reach."""
    reach = {"np": np, "pd": pd, "trips": trips, "steps": steps, "load_trips": load_trips} | given
    exec(compile(SHOWN.cell(cell).source, cell, "exec"), reach)
    return [reach[name] for name in names] if len(names) > 1 else reach[names[0]]


# A second start ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("month", ["2019-07", "2020-11"])
def test_the_script_never_ends_well_after_a_kill_and_the_mended_month_always_does(tmp_path, month):
    """Two months that the lesson does not show, every twentieth trip."""
    raw = load_trips(month).iloc[::20].reset_index(drop=True)
    reach = {"april": trips.divided(trips.checked(raw, month), month)[0], "begin": begin, "folder": tmp_path}
    reach |= {"digest": digest, "PredictionLog": PredictionLog}
    script, client, half, pace = defined("script", "script", "client", "half", "usual_pace", **reach)
    reach |= {"client": client, "half": half, "usual_pace": pace}
    reach["version_of"], reach["log_answers"] = defined("looks_first", "version_of", "log_answers", **reach)
    mended = defined("mended", "mended", **reach)
    told, whole = ends(script, PLACES, client, tmp_path), ends(mended, PLACES, client, tmp_path)
    assert not (told.iloc[1:] == told.iloc[0]).all(axis=1).any()
    assert (whole == told.iloc[0]).all(axis=None)
    assert 0.4 < told.loc["half a file", "trips"] / told.loc["nowhere", "trips"] < 0.6


def test_an_id_that_comes_back_with_another_answer_is_refused(tmp_path):
    log = PredictionLog(tmp_path / "answers.db")
    log.record({"miles": 1.0}, 4.0, request_id="a")
    log.record({"miles": 1.0}, 4.0, request_id="a")
    with pytest.raises(Exception, match="another prediction's"):
        log.record({"miles": 1.0}, 5.0, request_id="a")
    assert len(log.read()) == 1
    log.close()


def test_a_killed_process_leaves_its_file_and_not_the_lock(tmp_path):
    told = after_a_kill(tmp_path)
    assert told == {"lock file": "taken, and will be", "lock of the system": "free"}
    assert str(told) in SHOWN.output("locks")


def test_the_flow_dies_where_the_lesson_says_and_shows_as_many_lines():
    table = SHOWN.table("deaths")
    assert list(table.columns) == list(STEPS)
    numbers = list(map(str, range(len(STEPS))))
    assert list(table.loc["before"]) == list(table.loc["after"]) == numbers
    inside = {step: number for step, number in table.loc["inside"].items() if number != "·"}
    assert inside == {
        step: numbers[STEPS.index(step)] for step in ("ingest", "validate", "features", "train")
    }
    assert "the journal is that of the undisturbed run: True" in SHOWN.output("same")


def test_kill_raises_at_its_place_only():
    with pytest.raises(Killed):
        dies_at("here")("here")
    assert dies_at("here")("there") is None


# Faults and tries ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["ingest"])
def test_each_fault_of_the_lesson_is_told_and_leaves_nothing(tmp_path, step):
    def few(month):
        return load_trips(month).iloc[::50].reset_index(drop=True)

    names = ("away", "full", "renamed", "defect")
    import requests

    functions = defined("faults", *names, few=few, requests=requests)
    shown = SHOWN.output("told").splitlines()
    for function, line in zip(functions, shown, strict=True):
        state = State(tmp_path, Settings("2020-05"), function, load_ridership)
        with pytest.raises(CapstoneError if line.startswith("a line") else KeyError) as told:
            loop.do(state, "2020-05", step)
        assert str(told.value) in line
        assert state.journal.lines() == [] and not list(tmp_path.rglob("*.parquet"))


class _Away(http.server.BaseHTTPRequestHandler):
    calls = 0

    def do_POST(self):
        type(self).calls += 1
        self.send_response(503)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *words):
        pass


def test_a_client_with_n_retries_calls_n_and_one_times(monkeypatch):
    """Each layer makes one try more than its retries; here MLflow's, which the others start anew."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Away)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        with pytest.raises(mlflow.exceptions.MlflowException):
            mlflow.MlflowClient(f"http://127.0.0.1:{server.server_port}").search_experiments()
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
    assert _Away.calls == 3


def test_the_tries_are_those_of_the_real_layers():
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES

    job = schedule.cron_job()["spec"]["jobTemplate"]["spec"]
    calls = (1 + MLFLOW_HTTP_REQUEST_MAX_RETRIES.default) * 2 * (1 + job["backoffLimit"])
    assert SHOWN.number("layers", r"= (\d+)") == calls


# Nights --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(1, 6))
def test_other_years_of_cron_tell_the_same_story(seed):
    """Half of a script's spread, and twice: the nights change, the order of the four ways does not."""
    for sigma in (0.2, 0.4, 0.8):
        minutes = np.random.default_rng(seed).lognormal(np.log(30), sigma, (100, 365, 5))
        stale = [(minutes[:, :, :-1] > gap).any(axis=2).sum(axis=1).mean() for gap in (60, 90, 120)]
        assert stale[0] >= stale[1] >= stale[2] >= 0
        assert np.median(minutes.sum(axis=2)) < np.median(4 * 60 + minutes[:, :, -1])
        if sigma == 0.4:
            assert 50 < stale[0] < 64


def test_the_nights_are_those_of_the_formula():
    from statistics import NormalDist

    late = 1 - NormalDist(np.log(30), 0.4).cdf(np.log(60))
    assert round(1 / late) == 24
    table = SHOWN.table("cron").apply(pd.to_numeric)
    assert table.loc["60 minutes apart", "stale nights"] == pytest.approx(365 * (1 - (1 - late) ** 4), abs=2)


# The engine ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Metaflow does not run on Windows")
def test_metaflow_resumes_at_the_step_that_failed_and_does_it_from_its_beginning(tmp_path):
    first = by_metaflow(tmp_path / "flow", "run")
    assert first == {"ends": "with a fault", "ran": ["start", "log"], "answers": 3}
    (tmp_path / "flow" / "store").touch()
    again = by_metaflow(tmp_path / "flow", "resume")
    assert again == {"ends": "well", "ran": ["start", "log", "log", "end"], "answers": 6}
    assert f"{first}\n{again}" in SHOWN.output("engine")


def test_on_windows_the_engine_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr("lessons.one_flow.engine.os.name", "nt")
    assert by_metaflow(tmp_path, "run") is None
    monkeypatch.undo()
    assert lines(tmp_path / "nothing") == [] and FLOW.exists()


# Histories -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("today", ["2020-10", "2020-11"])
def test_a_later_champion_moves_the_worst_month(today):
    """Two other months as today: live April is the worst of spring, and answered anew it is May."""
    late, live = usual_pace(_month_of(today)), usual_pace(_month_of("2020-02"))
    found = {}
    for month in months("2020-03", "2020-06"):
        known = _month_of(month)
        there = known["label_at"] < (pd.Period(month) + 1).start_time
        errors = [(known["duration"] - pace * known["trip_distance"]).abs() for pace in (live, late)]
        found[month] = [errors[0][there].mean(), errors[0].mean(), errors[1][there].mean()]
        live = usual_pace(known[there])
    table = pd.DataFrame(found, ["live", "all labels", "today"]).T
    assert table["live"].idxmax() == "2020-04" and table["today"].idxmax() == "2020-05"
    assert (table["live"] - table["all labels"]).abs().max() < 0.2


def usual_pace(rows):
    return (rows["duration"] / rows["trip_distance"])[rows["trip_distance"] > 0].median()


def _month_of(month):
    taken, _ = trips.divided(trips.checked(load_trips(month), month), month)
    return trips.known_at_pickup(taken, label_days=5)


def test_the_table_of_histories_says_what_the_prose_says():
    table = SHOWN.table("as_of").apply(pd.to_numeric)
    assert (table["on the 1st"] - table["all labels"]).abs().max() < 0.2
    assert table["on the 1st"].idxmax() == "2020-04" and table["today"].idxmax() == "2020-05"
    assert (table["today less by"].abs() > table["±"]).all()


def test_the_schedule_is_that_of_the_command():
    job = yaml.safe_load(schedule.manifest())
    shown = SHOWN.output("schedule")
    for name in ("schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds"):
        assert f"{name!r}: {job['spec'][name]!r}" in shown


# The exercises -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_take_in_ends_right_after_any_kills(seed):
    """Months in a random order, delivered again and corrected, each call killed at random."""
    rng = random.Random(seed)
    disk = EXERCISES._Disk()
    wanted = {"2020-03": ["a", "b"]}
    for _ in range(12):
        month, rows = f"2020-{rng.randrange(1, 6):02}", ["x"] * rng.randrange(5)
        for _ in range(rng.randrange(3)):
            disk.left = rng.randrange(8)
            EXERCISES._run(EXERCISES.take_in, disk, month, rows)
            assert set(map(len, [disk.seen()["total"]])) == {1}
        disk.left = None
        wanted[month] = rows
        assert EXERCISES.take_in(disk, month, rows) == sum(map(len, wanted.values()))
        assert {name: disk.seen()[name] for name in wanted} == wanted


@pytest.mark.parametrize("faults", [*itertools.product(["away", "lost", None], repeat=3)])
def test_deliver_keeps_a_delivery_once_whatever_is_lost(faults):
    errors = {"away": (EXERCISES._AWAY, False), "lost": (EXERCISES._LOST, True)}
    first = list(itertools.takewhile(lambda one: one is not None, faults))
    store = EXERCISES._Store(*(errors[one] for one in first))
    assert store.take(EXERCISES.deliver) == 2
    assert store.rows == ["a", "b"] and store.waits == [1, 2, 4][: len(first)]


@pytest.mark.slow
def test_a_smaller_run_tells_the_same_story():
    assert smaller(STEM).faults == []

"""The capstone's steps, each on its own: small tables in, what the journal line says out."""

import contextlib
import dataclasses
import errno
import json
import multiprocessing
import os
import shlex
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kubernetes_validate
import numpy as np
import pandas as pd
import pytest
import sqlalchemy
import yaml
from mlflow.exceptions import MlflowException

from course.data import load_ridership, load_trips
from projects.capstone import answered, command, demand, loop, new, pages, policies, schedule, steps, trips
from projects.capstone.state import (
    PATHS,
    STEPS,
    CapstoneError,
    Journal,
    Settings,
    State,
    opened,
    told_plainly,
)

MONTH = "2019-03"


@pytest.fixture(scope="module")
def raw():
    return trips.checked(load_trips(MONTH), MONTH)


@pytest.fixture
def state(tmp_path):
    made = State(tmp_path, Settings("2019-04", serve=False), load_trips, load_ridership)
    made.at = "test"
    return made


# The month of trips


def test_a_delivery_without_a_column_or_with_text_for_numbers_is_refused_in_a_line(raw):
    with pytest.raises(CapstoneError, match=r"^the trips of 2019-03 have no fare_amount: ask"):
        trips.checked(raw.drop(columns="fare_amount"), MONTH)
    with pytest.raises(CapstoneError, match=r"^the trips of 2019-03 are of another type"):
        trips.checked(raw.assign(trip_distance="far"), MONTH)
    with pytest.raises(CapstoneError, match=r"^there is no trip of 2019-03"):
        trips.checked(raw.head(0), MONTH)
    with pytest.raises(CapstoneError, match=r"^the trips of 2019-03 have fare_amount twice"):
        trips.checked(pd.concat([raw, raw[["fare_amount"]]], axis=1), MONTH)
    with pytest.raises(CapstoneError, match=r"no trip of 2019-05 can be taken \(50 picked up in another"):
        trips.divided(raw.head(50), "2019-05")


def test_a_change_of_unit_upstream_is_told(raw):
    assert trips.changes(raw, trips.checked(load_trips("2019-04"), "2019-04")) == []
    changed = trips.changes(raw, raw.assign(trip_distance=1.609344 * raw["trip_distance"]))
    assert changed == ["trip_distance: unit"]


def test_every_trip_is_taken_or_set_aside_with_the_reason_that_was_planted(raw):
    good = raw[trips.reasons(raw, MONTH) == ""].head(8).reset_index(drop=True)
    bad = good.copy()
    bad.loc[0, "dropoff_datetime"] = pd.NaT
    bad.loc[1, ["pickup_datetime", "dropoff_datetime"]] += pd.Timedelta(days=-4_000)
    bad.loc[2, "dropoff_datetime"] = bad.loc[2, "pickup_datetime"] - pd.Timedelta(minutes=1)
    bad.loc[3, "dropoff_datetime"] = bad.loc[3, "pickup_datetime"] + pd.Timedelta(seconds=59)
    bad.loc[4, "dropoff_datetime"] = bad.loc[4, "pickup_datetime"] + pd.Timedelta(minutes=61)
    bad.loc[5, "trip_distance"] = np.nan
    bad.loc[6, "dropoff_location_id"] = 300
    bad.loc[7] = good.loc[0]
    both = pd.concat([good, bad], ignore_index=True)
    taken, aside = trips.divided(both, MONTH)
    assert set(taken["trip"]) | set(aside["trip"]) == {f"{MONTH}/{row}" for row in range(16)}
    assert len(taken) == len(aside) == 8
    assert aside.set_index("trip")["reason"].to_dict() == {
        f"{MONTH}/8": "a clock is missing",
        f"{MONTH}/9": "picked up in another month",
        f"{MONTH}/10": "dropped off before it was picked up",
        f"{MONTH}/11": "under 1 minute",
        f"{MONTH}/12": "over 60 minutes",
        f"{MONTH}/13": "an impossible distance",
        f"{MONTH}/14": "no such zone",
        f"{MONTH}/15": "the same trip twice",
    }


def test_no_trip_of_the_course_is_lost(raw):
    taken, aside = trips.divided(raw, MONTH)
    assert len(taken) + len(aside) == len(raw) == 10_000
    assert len(taken) > 9_500 and aside["reason"].ne("").all()


def test_features_know_nothing_of_what_comes_later_and_a_guard_would_see_it(raw, monkeypatch):
    taken, _ = trips.divided(raw, MONTH)
    assert trips.looks_ahead(taken, 5) == []
    table = trips.known_at_pickup(taken, 5)
    assert (table["label_at"] >= table["asked_at"] + pd.Timedelta(days=5)).all()

    def leaky(some, days):
        return table.assign(hour=some["duration"].mean()).loc[some.index]

    monkeypatch.setattr(trips, "known_at_pickup", leaky)
    assert trips.looks_ahead(taken, 5) == ["hour"]


# Who answers


def test_a_canary_s_users_are_always_the_same_and_about_the_share():
    names = pd.Series([f"2020-05/{row}" for row in range(10_000)])
    first = answered.users(names, 0.2)
    assert first.equals(answered.users(names, 0.2)) and 0.18 < first.mean() < 0.22


def test_a_canary_that_is_worse_is_seen_early_and_an_equal_one_is_not_blamed():
    rng = np.random.default_rng(0)
    assert answered.verdict(rng.normal(2, 3, 500)) == ("worse", 50)
    blamed = [answered.verdict(rng.normal(0, 3, 500))[0] == "worse" for _ in range(1_000)]
    assert 0.02 < np.mean(blamed) < 0.08
    assert answered.verdict(np.zeros(10)) == ("not worse", 0)


def test_who_answers_changes_at_the_rollback_and_at_the_verdict():
    days = pd.Series(pd.date_range("2020-05-01", "2020-05-20", freq="D"))
    users = pd.Series([True] * len(days))
    told = {"before": "1", "canary": "2", "champion": "2"}
    found = answered.versions(days, users, pd.Timestamp("2020-05-01"), 5, told)
    assert "".join(found) == "2" * 10 + "1" * 5 + "2" * 5
    back = {"before": "1", "canary": "2", "champion": "1", "stopped": "2020-05-06 10:00"}
    assert "".join(answered.versions(days, users, pd.Timestamp("2020-05-01"), 5, back)) == "2" * 6 + "1" * 14
    others = answered.versions(days, ~users, pd.Timestamp("2020-05-01"), 5, told)
    assert "".join(others) == "1" * 15 + "2" * 5


# The policy


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("never", [0, 0, 0]),
        ("monthly", [3, 3, 3]),
        ("error", [0, 0, 3]),
        ("drift", [0, 3, 0]),
        ("drift or error", [0, 3, 3]),
    ],
)
def test_each_policy_says_when(name, windows):
    seen = [policies.Seen(MONTH, 3.0), policies.Seen(MONTH, 3.0, ["hour"]), policies.Seen(MONTH, 3.8)]
    assert [policies.POLICIES[name](one) for one in seen] == windows


# The demand model


@pytest.fixture(scope="module")
def rides():
    rides = load_ridership()[["ds", "y"]]
    return rides[rides["ds"] < "2014-03-01"].reset_index(drop=True)


def test_no_column_of_a_day_ahead_depends_on_a_day_after_the_history(rides):
    days = pd.Series(pd.date_range("2014-02-01", "2014-02-28"), name="ds")
    history = rides[rides["ds"] < "2014-02-01"].tail(800)
    known = demand.columns(history, days)
    assert known.notna().all(axis=None)
    pd.testing.assert_frame_equal(known, demand.columns(rides.tail(828), days))
    late = demand.columns(history, days + pd.Timedelta(days=40))
    assert late["lag_35"].isna().any() and late["lag_364"].notna().all()  # not known is missing


def test_both_kinds_of_model_beat_last_year_on_the_folds(rides):
    errors = demand.judged(rides, folds=2, learns=800)
    assert set(errors) == {"naive", "prophet", "xgboost"}
    assert max(errors["prophet"], errors["xgboost"]) < errors["naive"]
    days = steps.days_of("2019-03", 60)
    for kind in demand.KINDS:
        model = demand.fitted(kind, rides, 800)
        said = demand.forecast(model, days)
        assert said.shape == (31,) and np.isfinite(said).all() and said.min() > 0


# The state


def test_a_line_that_a_kill_has_cut_off_does_not_count(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write(MONTH, "ingest", {"trips": 3})
    with journal.file.open("a", encoding="utf-8") as file:
        file.write('{"month": "2019-03", "step": "vali')
    assert journal.find(MONTH, "ingest") == {"month": MONTH, "step": "ingest", "trips": 3}
    journal.write(MONTH, "validate", {"taken": 2})
    assert [one["step"] for one in journal.lines()] == ["ingest", "validate"]


def test_what_is_half_written_has_no_name_and_goes(state):
    with pytest.raises(ZeroDivisionError), state.whole("a", "b.txt") as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert not state.file("a", "b.txt").exists()
    with state.whole("a", "b.txt") as part:
        assert not part.exists()
        part.write_text("whole")
    assert [one.name for one in state.file("a").iterdir()] == ["b.txt"]


def test_a_state_is_not_taken_up_with_other_settings(tmp_path):
    opened(tmp_path, Settings("2018-01"), load_trips, load_ridership)
    with pytest.raises(CapstoneError, match="was begun with policy 'drift or error', not 'never'"):
        opened(tmp_path, Settings("2018-01", policy="never"), load_trips, load_ridership)
    assert opened(tmp_path, Settings("2019-01"), load_trips, load_ridership).settings.first == "2018-01"


# A state that is damaged, lost in part, moved, or none at all


@pytest.fixture
def begun(tmp_path):
    """A folder as a flow leaves it after a month, without the content of its files."""
    folder = tmp_path / "flow"
    state = opened(folder, Settings("2019-04", serve=False), load_trips, load_ridership)
    found = {"monitor": {"answered": {"1": 3}}, "register": {"duration": "1", "demand": "1"}}
    for step in STEPS:
        state.journal.write("2019-04", step, found.get(step, {}))
    made = ("trips/2019-04/taken.parquet", "trips/2019-04/features.parquet", "releases/2019-04/model.ubj")
    for name in (*made, "demand/2019-04.forecast.parquet", "demand/2019-04/MLmodel", "predictions.db"):
        state.file(name).parent.mkdir(parents=True, exist_ok=True)
        state.file(name).write_text("")
    store(folder)
    return folder


def store(folder):
    (folder / "store").mkdir()
    place = (folder / "store" / "artifacts").as_uri()
    with contextlib.closing(sqlite3.connect(folder / "store" / "mlflow.db")) as sql, sql:
        for table, columns in PATHS.items():
            sql.execute(f"create table {table} (name, {', '.join(columns)})")
            row = ["releases", *[f"{place}/1/model"] * len(columns)]
            row = ["releases", place] if table == "experiments" else row
            sql.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)


def again(folder, **more):
    return opened(folder, Settings("2019-04", serve=False), load_trips, load_ridership, **more)


def all_bytes(folder):
    return {
        one: (one.read_bytes(), one.stat().st_mtime_ns)
        for one in folder.rglob("*")
        if one.is_file() and one.name != "lock"
    }


def test_a_state_that_is_opened_again_keeps_every_byte(begun):
    before = all_bytes(begun)
    again(begun)
    assert all_bytes(begun) == before


def changed(change):
    def apply(folder):
        file = folder / "journal.jsonl"
        file.write_bytes(b"\n".join(change(file.read_bytes().split(b"\n"))))

    return apply


def set_to(**values):
    def apply(folder):
        file = folder / "settings.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return apply


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            changed(lambda lines: [*lines[:4], lines[4][:9], *lines[5:]]),
            "journal.jsonl is damaged in line 5: take",
        ),
        (changed(lambda lines: [*lines[:4], b"null", *lines[5:]]), "damaged in line 5"),
        (changed(lambda lines: [*lines[:4], b"{}", *lines[5:]]), "damaged in line 5"),
        (changed(lambda lines: [*lines[:4], b"\xff", *lines[5:]]), "damaged in line 5"),
        (changed(lambda lines: [*lines[:4], *lines[5:]]), "has lost the line of monitor of 2019-04"),
        (changed(lambda lines: [*lines[:2], b""]), "2019-04.* is there, and journal.jsonl has no line of"),
        (changed(lambda lines: [*lines[:8], b""]), "forecast.parquet is there, .* no line of register"),
        (changed(lambda lines: []), "has no line of"),
        (lambda folder: (folder / "journal.jsonl").unlink(), "has no line of"),
        (lambda folder: (folder / "settings.json").unlink(), "has journal.jsonl and no settings.json"),
        (lambda folder: (folder / "predictions.db").unlink(), "the log of the answers, is gone"),
        (lambda folder: (folder / "store" / "mlflow.db").unlink(), "name it by CAPSTONE_STORE; else take"),
        (lambda folder: (folder / "store" / "mlflow.db").write_bytes(b"x" * 9000), "is not a database"),
        (lambda folder: (folder / "store" / "mlflow.db").write_bytes(b""), "no such table"),
        (set_to(first=5), "settings.json is damaged in first: take the whole folder"),
        (set_to(first="2019-13"), "damaged in first"),
        (set_to(label_days="5"), "damaged in label_days"),
        (set_to(reviews=[{"month": "2019-04"}]), "damaged in reviews"),
        (set_to(reviews=[1]), "settings.json is damaged"),
        (set_to(reviews=3), "damaged in reviews"),
    ],
)
def test_a_state_that_is_damaged_or_lost_in_part_is_refused_in_a_line(begun, change, said):
    change(begun)
    before = all_bytes(begun)
    with pytest.raises(CapstoneError, match=said) as told:
        again(begun)
    assert "\n" not in str(told.value) and all_bytes(begun) == before


def test_a_line_that_stands_twice_changes_nothing(begun):
    changed(lambda lines: [*lines[:4], lines[3], *lines[4:]])(begun)
    assert list(again(begun).journal.of("2019-04")) == list(STEPS)


def test_the_store_follows_a_folder_that_was_moved(begun, tmp_path):
    there = tmp_path / "ein Ördner #1" / "flow"
    there.parent.mkdir()
    begun.rename(there)
    again(there)
    place = (there / "store" / "artifacts").as_uri()
    with contextlib.closing(sqlite3.connect(there / "store" / "mlflow.db")) as sql:
        for table, columns in PATHS.items():
            for column in columns:
                (found,) = sql.execute(f"select {column} from {table}").fetchone()
                assert found == place + "/1/model" * (table != "experiments")


def test_a_folder_of_somebody_else_s_is_left_alone(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "mine.txt").write_text("mine")
    with pytest.raises(CapstoneError, match="has raw and no settings.json: .* if not, name another"):
        again(tmp_path)
    assert {one.name for one in tmp_path.rglob("*")} == {"lock", "raw", "mine.txt"}


@pytest.mark.parametrize("sign", "?%")
def test_a_name_that_no_store_can_have_is_refused(tmp_path, sign):
    with pytest.raises(CapstoneError, match="keeps no store below a name with"):
        again(tmp_path / f"a{sign}b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows takes it, or says it is not there")
def test_a_name_that_is_too_long_is_a_line(tmp_path):
    name = str(tmp_path / ("a" * 300))
    with pytest.raises(CapstoneError, match=r"settings.json \(File name too long\): see that"):
        command.run(None, None, MONTH, False, name, None, None, "loop", False, print)
    with pytest.raises(CapstoneError, match=r"can't be written \(File name too long\): name another"):
        new.make(name)


def test_a_file_that_was_cut_is_named(state):
    for month in (MONTH, "2019-04"):
        with state.whole("raw", month, "trips.parquet") as part:
            pd.DataFrame({"a": range(99)}).to_parquet(part)
    cut = state.file("raw", MONTH, "trips.parquet")
    cut.write_bytes(cut.read_bytes()[:200])
    with pytest.raises(CapstoneError, match=r"2019-03, train: .*raw.2019-03.trips.parquet is damaged"):
        with told_plainly("2019-03, train", state.folder):
            pd.read_parquet(cut)


def hold(folder, held, done):
    state = State(folder, Settings("2019-04"), load_trips, load_ridership)
    with state.locked():
        held.set()
        done.wait(60)


def test_another_process_waits_for_the_lock_and_says_so(state):
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(state.folder, held, done))
    other.start()
    try:
        assert held.wait(60)
        state.patience = 0.2
        with pytest.raises(CapstoneError, match="another run is at work in"), state.locked():
            pass
    finally:
        done.set()
        other.join(60)
    with state.locked():
        pass


def sql_error(text):
    """As SQLAlchemy tells it."""
    first = "(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block) "
    words = f"{first}(sqlite3.OperationalError) {text}\n[SQL: INSERT INTO runs]"
    return sqlalchemy.exc.DBAPIError(words, None, Exception(words))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full: make room; what is finished"),
        (OSError(errno.EACCES, "Permission denied", "/there"), r"/there \(Permission denied\): see that"),
        (OSError(errno.EROFS, "Read-only file system", "/there"), r"/there \(Read-only file system\): see"),
        (sql_error("attempt to write a readonly database"), "the store can't be written: see to its folder"),
        (
            sql_error("database disk image is malformed"),
            r"the store is damaged \(database disk image is",
        ),
        (sql_error("database is locked"), r"the store does not answer \(database is locked"),
        (
            MlflowException("API request failed with error code 503 != 200"),
            "does not answer .*code 503",
        ),
    ],
)
def test_a_fault_of_the_surroundings_is_one_line(error, said):
    with pytest.raises(CapstoneError, match=said), told_plainly("2019-03, train"):
        raise error


def test_a_fault_of_the_program_stays_one():
    with pytest.raises(KeyError), told_plainly("2019-03, train"):
        raise KeyError("id")


# Steps that only read the journal


def test_ingest_validate_and_features_leave_whole_files_and_digests(state):
    told = steps.ingest(state, MONTH)
    assert (told["trips"], told["changed"]) == (10_000, [])
    assert told == steps.ingest(state, MONTH)
    state.journal.write(MONTH, "ingest", told)
    valid = steps.validate(state, MONTH)
    assert valid["taken"] + valid["aside"] == 10_000 == sum(valid["reasons"].values()) + valid["taken"]
    known = steps.features(state, MONTH)
    assert known["rows"] == valid["taken"] and 0 < known["late"] < 2_500
    rides = pd.read_parquet(state.file("raw", MONTH, "rides.parquet"))
    assert rides["ds"].max() == pd.Timestamp("2014-03-31")  # five years before, and no day more
    assert not list(state.folder.rglob("*.part"))


def test_rides_that_end_too_early_are_refused(state):
    state.rides = lambda: load_ridership().query("ds < '2014-03-20'")
    with pytest.raises(CapstoneError, match="the rides end before 2014-04-01"):
        steps.ingest(state, MONTH)


def test_rides_that_are_not_a_number_a_day_are_refused():
    rides = load_ridership()[["ds", "y"]]
    assert demand.checked(rides[::-1]).equals(demand.checked(rides))
    ask = ".*: ask whoever delivers them$"
    for wrong, said in [
        (rides.rename(columns={"y": "rides"}), "the rides have no y"),
        (rides.assign(y="many"), "the rides are of another type"),
        (
            pd.concat([rides, rides.tail(1)]),
            "of 2016-08-28 are no number, or not one day after the last",
        ),
        (rides.drop(index=9), "the rides of 2001-02-01 are"),
        (rides.assign(y=rides["y"].where(rides.index != 9)), "the rides of 2001-01-31 are"),
    ]:
        with pytest.raises(CapstoneError, match=said + ask):
            demand.checked(wrong)


def test_decide_asks_the_policy_and_warms_up_before_the_first_month(state):
    state.journal.write("2019-01", "canary", {"champion": None})
    state.journal.write("2019-01", "monitor", {"skip": "no model"})
    assert steps.decide(state, "2019-01") == {"window": 0, "why": "warming up"}
    state.journal.write(MONTH, "canary", {"champion": None})
    assert steps.decide(state, MONTH) == {"window": 3, "why": "no champion yet"}


def test_a_person_s_change_of_a_limit_holds_from_its_month_on(state):
    review = {"month": "2020-06", "question": "data", "limit": {"mph": [8.5, 18.0]}, "who": "me", "why": "w"}
    state.settings = Settings("2019-04", reviews=(review,))
    before, after = (steps.limits(state, one)["data"]["limit"] for one in ("2020-05", "2020-06"))
    assert before["mph"] == [8.5, 11.0] and after["mph"] == [8.5, 18.0]
    assert before["distance_with_fare"] == after["distance_with_fare"]


def test_a_step_is_not_done_before_the_one_before_it_nor_a_month_after_a_gap(state):
    with pytest.raises(CapstoneError, match="2019-03: ingest comes before train"):
        loop.do(state, MONTH, "train")
    with pytest.raises(CapstoneError, match="2019-04 has not been run: run it first, or --from 2019-04"):
        loop.needed(state, "2019-05")
    with pytest.raises(CapstoneError, match="this state begins with 2019-04"):
        loop.needed(state, "2018-12")
    assert loop.needed(state, "2019-04") == ["2019-01", "2019-02", "2019-03", "2019-04"]


@pytest.mark.parametrize("asked", [[("2019-04", "2019-05"), ("2019-04", "2019-06")], ["next", "next"]])
def test_two_at_once_do_each_step_once(tmp_path, monkeypatch, asked):
    done, at_work = [], []

    def step(state, month):
        at_work.append(1)
        done.append(state.at)
        assert len(at_work) == 1  # nobody else is inside
        at_work.pop()
        return {}

    monkeypatch.setattr(steps, "DO", dict.fromkeys(STEPS, step))
    monkeypatch.setattr(loop, "line", lambda row: "")
    monkeypatch.setattr(loop, "diary", lambda state: pd.DataFrame({"month": state.journal.months()}))

    def one(months):
        state = opened(tmp_path, Settings("2019-04", serve=False), load_trips, load_ridership)
        if months == "next":
            return loop.run(state, command.following(state))
        return loop.backfill(state, *months)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, asked))
    months = sorted({one.partition(" of ")[2] for one in done})
    assert months[:4] == ["2019-01", "2019-02", "2019-03", "2019-04"] and months[-1] <= "2019-06"
    assert sorted(done) == sorted(f"{step} of {month}" for month in months for step in STEPS)
    journal = Journal(tmp_path / "journal.jsonl").lines()
    assert [f"{one['step']} of {one['month']}" for one in journal] == done


def test_ctrl_c_ends_a_run_at_once_as_a_kill_does(monkeypatch, capfd):
    def ends(code):
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", ends)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit, match="130"), loop.stopped_at_once():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err == "Stopped. The same command goes on.\n"


def test_a_planted_fault_is_kept_by_the_state_and_is_in_a_month_that_has_a_canary(tmp_path, monkeypatch):
    def stop(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(command, "run_one", stop)  # nothing is run here
    asked = dict.fromkeys(("first", "last", "policy")) | {"next_month": False, "engine": "loop"}
    asked |= {"month": "2020-04", "serve": False, "told": print}
    with pytest.raises(CapstoneError, match="no canary answers in 2020-04: the flow begins with 2020-04"):
        command.run(**asked, state=str(tmp_path / "a"), plant="2020-04")
    assert not (tmp_path / "a").exists()
    for plant in ("2020-08", None, "2020-08"):
        with pytest.raises(ZeroDivisionError):
            command.run(**asked, state=str(tmp_path / "b"), plant=plant)
        assert command.taken_up(tmp_path / "b").settings.planted == "2020-08"
    with pytest.raises(CapstoneError, match="was begun with planted '2020-08', not '2020-09'"):
        command.run(**asked, state=str(tmp_path / "b"), plant="2020-09")


# The schedule and the pages


def test_the_schedule_is_a_cron_job_that_kubernetes_takes():
    job = yaml.safe_load(schedule.manifest())
    kubernetes_validate.validate(job, "1.34", strict=True)
    assert job["metadata"]["annotations"]["walkforward/steps"].split() == list(STEPS)
    assert job["spec"]["concurrencyPolicy"] == "Forbid"


def test_the_line_for_a_crontab_takes_a_folder_of_any_name(tmp_path, monkeypatch):
    folder = tmp_path / "my flow 100%"
    folder.mkdir()
    monkeypatch.chdir(folder)
    line = schedule.manifest().splitlines()[0].partition("crontab: ")[2]
    words = shlex.split(line.replace("\\%", "%"))[5:]
    assert "%" not in line.replace("\\%", "") and words[-1] == str(Path.cwd() / "capstone")


def test_the_page_of_a_month_is_written_last(state, monkeypatch):
    for step in STEPS:
        state.journal.write(MONTH, step, {"before": "1"} if step == "canary" else {})
    for name in ("run_page", "model_page"):
        monkeypatch.setattr(pages, name, lambda state, what: what)
    state.kill = lambda where: written.append(sorted(state.folder.glob("pages/*.html")))
    written = []
    pages.write(state, MONTH)
    assert [len(one) for one in written] == [0, 1] and written[1][0].name == "model-1.html"


def test_what_a_page_shows_is_escaped():
    shown = pages.page("<b>", pages.table([("<i>", "<a href='x.html'>its card</a>")], ["&"]))
    assert "<b>" not in shown.partition("<body>")[2] and "<i>" not in shown
    assert "<a href='x.html'>its card</a>" in shown


def test_settings_survive_json():
    review = {"month": "2020-06", "question": "size", "limit": 3, "who": "a", "why": "b"}
    known = json.loads(json.dumps(dataclasses.asdict(Settings("2018-01", reviews=(review,)))))
    assert Settings(**known | {"reviews": tuple(known["reviews"])}) == Settings("2018-01", reviews=(review,))

"""The capstone's flow: killed in each step, two at once, a full disk, a store that is away, its pages."""

import base64
import contextlib
import ctypes
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pandas as pd
import psutil
import pytest
from weekly import weekly

from course.data import load_ridership, load_trips
from course.servers import base_environment, free_port
from projects.capstone import command, demand, loop, pages
from projects.capstone.state import DEMAND, DURATION, STEPS, CapstoneError, Journal, Settings, opened
from walkforward.errors import WalkForwardError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has neither SIGKILL nor a fork server")
FIRST, WRITES = "2020-04", ("ingest", "validate", "features", "train", "deploy")
REVIEW = (command.REVIEW | {"month": FIRST},)  # or the gate would refuse April's model
LOADED = ("mlflow", "mlflow.xgboost", "prophet", "projects.release_gate.registry", "projects.capstone.steps")
LOADED += ("projects.release_gate.gate", "walkforward.prediction_log", "projects.capstone.pages")


@cache
def raw(month):
    return load_trips(month).iloc[::5].reset_index(drop=True)


def begun(folder, **more):
    demand.judged.__defaults__, demand.fitted.__defaults__ = (1, 500), (500,)
    demand.saved.__defaults__ = (500,)
    settings = Settings(FIRST, policy="monthly", serve=False, reviews=REVIEW)
    return opened(folder, settings, raw, load_ridership, **more)


def work(folder, until, place, store=""):
    """Run the months up to this one in a process of its own, and die at a place; 3 and a line for a fault."""
    command.quiet()
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"

    def kill(where):
        if where == place:
            os.kill(os.getpid(), signal.SIGKILL)

    state = begun(folder, kill=kill, store=store)
    try:
        loop.backfill(state, FIRST, until)
    except CapstoneError as error:
        (folder.parent / f"{folder.name}.error").write_text(str(error))
        os._exit(3)


@pytest.fixture(scope="module")
def start():
    """Start `work` in a process that has its imports already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))

    def start(*arguments, **more):
        process = context.Process(target=work, args=arguments, kwargs=more)
        process.start()
        return process

    yield start
    from multiprocessing import forkserver

    forkserver._forkserver._stop()


def ended(process):
    process.join(300)
    return process.exitcode


def lines(folder):
    """The journal without its seconds."""
    found = Journal(folder / "journal.jsonl").lines()
    return [{name: value for name, value in one.items() if name != "seconds"} for one in found]


def store_of(folder):
    """Versions, aliases and runs of both models."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{(folder / 'store' / 'mlflow.db').as_posix()}")
    found = {}
    for name in (DURATION, DEMAND):
        versions = client.search_model_versions(f"name = '{name}'")
        aliases = client.get_registered_model(name).aliases
        found[name] = len(versions), {alias: str(one) for alias, one in aliases.items()}
    experiment = client.get_experiment_by_name("releases")
    runs = client.search_runs([experiment.experiment_id])
    return found | {"runs": len(runs), "status": {run.info.status for run in runs}}


def answers_of(folder):
    from walkforward.prediction_log import PredictionLog

    with contextlib.closing(PredictionLog(folder / "predictions.db")) as log:
        return log.read().drop(columns="labelled_at")


def files(folder):
    """Each file with its size and the time it was written; readers touch SQLite's side files and the lock."""
    return {
        str(one.relative_to(folder)): (one.stat().st_size, one.stat().st_mtime_ns)
        for one in sorted(folder.rglob("*"))
        if one.is_file() and one.suffix not in (".db-shm", ".db-wal") and one.name != "lock"
    }


@pytest.fixture(scope="module")
def undisturbed(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "flow"
    assert ended(start(folder, "2020-05", None)) == 0
    return folder


def same(folder, other):
    assert lines(folder) == lines(other)
    assert store_of(folder) == store_of(other)
    pd.testing.assert_frame_equal(answers_of(folder), answers_of(other))
    assert not list(folder.rglob("*.part"))
    assert {one for one in files(folder) if "store" not in one} == {
        one for one in files(other) if "store" not in one
    }


def test_the_undisturbed_flow_does_what_its_journal_says(undisturbed):
    told = lines(undisturbed)
    assert [one["step"] for one in told] == list(STEPS) * 5  # three months fill the window
    assert {one["month"] for one in told} == {f"2020-0{n}" for n in range(1, 6)}
    done = begun(undisturbed).journal.of("2020-05")
    assert done["canary"]["canary"] == "2" and done["canary"]["champion"] == "2"
    assert set(done["monitor"]["answered"]) == {"1", "2"}
    assert done["monitor"]["late"] == begun(undisturbed).journal.of("2020-04")["features"]["late"] > 0
    held = store_of(undisturbed)
    assert held[DURATION] == (3, {"champion": "2", "previous": "1", "canary": "3"})
    assert held[DEMAND][0] == 3 and held["runs"] == 6 and held["status"] == {"FINISHED"}


def test_each_answer_is_in_the_log_once_and_labels_join_when_they_have_come(undisturbed):
    journal, rows = begun(undisturbed).journal, answers_of(undisturbed)
    assert rows["request_id"].is_unique
    assert len(rows) == sum(journal.find(month, "validate")["taken"] for month in ("2020-04", "2020-05"))
    may = rows[rows["request_id"].str.startswith("2020-05")]
    assert may["y"].notna().sum() == journal.find("2020-05", "monitor")["labels"] < len(may)
    assert rows.loc[rows["request_id"].str.startswith("2020-04"), "y"].notna().all()


@pytest.mark.slow
def test_a_flow_that_is_killed_in_each_step_in_turn_ends_like_the_undisturbed_one(
    start, undisturbed, tmp_path
):
    folder, died = tmp_path / "flow", []
    for month in ("2020-04", "2020-05"):
        for step in STEPS if month == "2020-04" else ("canary", "register"):
            for when in ("before", "inside", "after"):
                if when == "inside" and step not in WRITES:
                    continue
                died.append(ended(start(folder, month, f"{when} {step} of {month}")))
                assert not begun(folder).journal.find(month, step)
    assert set(died) == {-signal.SIGKILL}
    assert ended(start(folder, "2020-05", None)) == 0
    same(folder, undisturbed)


def test_a_month_twice_changes_nothing(start, undisturbed):
    before = files(undisturbed)
    assert ended(start(undisturbed, "2020-05", None)) == 0
    assert files(undisturbed) == before


@pytest.mark.slow
def test_two_at_once_don_t_cross(start, undisturbed, tmp_path):
    both = [start(tmp_path / "flow", "2020-05", None) for _ in range(2)]
    assert [ended(one) for one in both] == [0, 0]
    same(tmp_path / "flow", undisturbed)


def on_a_small_disk(folder, copy):
    """Run the months on a disk that is full again and again, and then larger; 4 where none can be made."""
    libc, user, group = ctypes.CDLL(None, use_errno=True), os.getuid(), os.getgid()
    if libc.unshare(0x10000000 | 0x00020000):  # a user and mounts of its own
        os._exit(4)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        Path(f"/proc/self/{name}").write_text(text)
    folder.parent.mkdir()
    kind = ctypes.c_char_p(b"tmpfs")
    where = ctypes.c_char_p(str(folder.parent).encode())

    def sized(kilobytes, flags):
        return libc.mount(kind, where, kind, flags, ctypes.c_char_p(f"size={kilobytes}k".encode()))

    if sized(200, 0):
        os._exit(4)
    command.quiet()
    kilobytes, said = 200, []
    while kilobytes < 100_000:
        try:
            loop.backfill(begun(folder), FIRST, "2020-05")
            break
        except CapstoneError as error:
            said.append(str(error))
            kilobytes = int(kilobytes * 1.25)
            assert sized(kilobytes, 32) == 0  # remounted
    copy.with_name("said").write_text("\n".join(said), encoding="utf-8")
    shutil.copytree(folder, copy)
    copy.with_name("said").write_text("\n".join(said), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="makes a small disk as only Linux can")
def test_a_full_disk_is_a_line_and_nothing_is_lost(start, undisturbed, tmp_path):
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=on_a_small_disk, args=(tmp_path / "disk" / "flow", tmp_path / "flow"))
    process.start()
    if ended(process) == 4:
        pytest.skip("this system gives no disk of one's own")
    assert process.exitcode == 0
    said = (tmp_path / "said").read_text(encoding="utf-8").splitlines()
    assert len(said) > 8
    assert [one for one in said if "the disk is full: make room; what is finished stays" not in one] == []
    same(tmp_path / "flow", undisturbed)


def test_a_store_that_is_away_is_a_line_and_nothing_is_lost(start, undisturbed, tmp_path):
    folder, away = tmp_path / "flow", f"http://127.0.0.1:{free_port()}"
    assert ended(start(folder, "2020-05", None, store=away)) == 3
    said = (tmp_path / "flow.error").read_text()
    assert said.startswith("2020-03, register: the store does not answer (") and "\n" not in said
    assert len(lines(folder)) == 2 * len(STEPS) + STEPS.index("register")
    assert ended(start(folder, "2020-04", None)) == 0
    assert lines(folder) == lines(undisturbed)[: 4 * len(STEPS)]
    assert store_of(folder)["status"] == {"FINISHED"} and not list(folder.rglob("*.part"))


def test_a_folder_that_was_moved_goes_on_where_it_is(start, undisturbed, tmp_path):
    folder, before = tmp_path / "ein Ördner #1" / "flow", files(undisturbed)
    shutil.copytree(undisturbed, folder)
    assert ended(start(folder, "2020-06", None)) == 0
    assert lines(folder)[: 5 * len(STEPS)] == lines(undisturbed) and len(lines(folder)) == 6 * len(STEPS)
    assert files(undisturbed) == before  # what was made since lies in the new place
    assert {one.parent.name for one in folder.parent.rglob("store")} == {"flow"}
    made = store_of(folder)
    assert made[DEMAND][0] == 4 and len(list((folder / "store").rglob("MLmodel"))) > made[DEMAND][0]


def test_both_kinds_of_demand_model_answer_behind_one_signature(undisturbed, tmp_path):
    import mlflow

    from projects.capstone import front
    from projects.capstone.steps import days_of

    rides = load_ridership().query("ds < '2015-04-01'")[["ds", "y"]]
    days = days_of("2020-04", 60)
    for kind in demand.KINDS:
        folder = tmp_path / kind
        folder.mkdir()
        model = demand.fitted(kind, rides, 800)
        demand.saved(kind, model, rides, folder, 800)
        assert kind in mlflow.models.Model.load(folder / "model").flavors
        served = front.Demand()
        context = mlflow.pyfunc.PythonModelContext(
            {"model": str(folder / "model"), "history": str(folder / "history.parquet")}, None
        )
        served.load_context(context)
        said = served.predict(context, pd.DataFrame({"ds": days}))
        assert said["yhat"].tolist() == pytest.approx(demand.forecast(model, days).tolist(), rel=1e-6)
        with pytest.raises(ValueError, match="2015-03-31 is over: ask for days after the history"):
            served.predict(context, pd.DataFrame({"ds": ["2015-03-31"]}))
    client = mlflow.MlflowClient(f"sqlite:///{(undisturbed / 'store' / 'mlflow.db').as_posix()}")
    kinds = {one.tags["kind"] for one in client.search_model_versions(f"name = '{DEMAND}'")}
    assert kinds <= set(demand.KINDS)


def test_a_page_a_run_a_card_a_model_and_an_incident_are_made_of_what_is_kept(undisturbed):
    state = begun(undisturbed)
    with state.locked():
        made = pages.write(state, "2020-04") + pages.write(state, "2020-05")
    texts = {one.name: one.read_text(encoding="utf-8") for one in made}
    assert set(texts) >= {"2020-04.html", "2020-05.html", "model-1.html", "model-2.html", "model-3.html"}
    run = texts["2020-04.html"]
    assert all(f">{step}</text>" in run for step in STEPS)
    assert state.journal.find("2020-04", "ingest")["digest"] in run
    assert "models:/trip-duration/2" in run and "Alarm: drift of" in run
    assert "the person on call" in texts["model-2.html"]
    incident = texts["incident-2020-04.html"]
    assert "answers with a label, from the log of the answers" in incident and "<polyline" in incident
    before = dict(texts)
    with state.locked():
        again = {one.name: one.read_text(encoding="utf-8") for one in pages.write(state, "2020-05")}
    assert again.items() <= before.items()


# The command, and the other engine, on the course's whole months


@pytest.fixture(scope="module")
def april(tmp_path_factory):
    """A folder that `walkforward capstone --month 2020-04` has filled, and what it printed."""
    folder = tmp_path_factory.mktemp("april") / "flow"
    return folder, said_by("--month", "2020-04", "--state", str(folder))


def said_by(*words):
    done = subprocess.run(
        [sys.executable, "-m", "course", "capstone", *words],
        capture_output=True,
        text=True,
        env=base_environment(drop="MLFLOW_|CAPSTONE_"),
        timeout=1_800,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_the_command_runs_a_month_serves_what_it_made_and_leaves_nothing_running(april):
    folder, (code, said, wrong) = april
    assert (code, wrong) == (0, "")
    first, last = said.splitlines()
    assert first.startswith("2020-04   5.01 min  champion  1") and first.endswith("version 2 is a canary")
    assert last == f"The pages are in {folder / 'pages'}"
    done = command.taken_up(folder).journal
    assert (
        done.find("2020-03", "deploy")["served"] <= 0.01 and done.find("2020-04", "deploy")["served"] <= 0.01
    )
    assert {one.name for one in (folder / "pages").iterdir()} == {
        "2020-04.html",
        "incident-2020-04.html",
        "model-1.html",
        "model-2.html",
    }
    here = str(folder)
    left = [one for one in psutil.process_iter(["cmdline"]) if here in " ".join(one.info["cmdline"] or [])]
    assert left == []


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["--month", "2020-07"], "2020-04 has not been run: run it first, or --from 2020-04 --to 2020-07"),
        (
            ["--month", "2019-07"],
            "this state begins with 2020-04: name another folder with --state for 2019-07",
        ),
        (["--month", "July"], "'July' is not a month: write year and month, as in '2019-01'"),
        (["--month", ""], "'' is not a month: write year and month"),  # a variable that was not set
        (["--month", "2020-05", "--policy", ""], "there is no policy ''"),
        (["--month", "2020-05", "--next"], "--month, --next and --from/--to exclude each other"),
        (
            ["--month", "2020-05", "--policy", "weekly"],
            "there is no policy 'weekly': take one of never, monthly",
        ),
        (["--month", "2020-05", "--policy", "never"], "was begun with policy 'drift or error', not 'never'"),
        (["--month", "2020-05", "--plant", "2020-06"], "was begun with planted '', not '2020-06'"),
        (["--month", "2020-05", "--plant", "2021-06"], "no trips of 2021-06"),
    ],
)
def test_a_wrong_call_is_a_line(tmp_path, words, wrong):
    opened(tmp_path, Settings(FIRST, reviews=(command.REVIEW,)), raw, load_ridership)
    options = dict.fromkeys(("first", "last", "month", "policy", "plant"))
    options |= {"month": words[1]} | ({words[2][2:]: words[3]} if len(words) > 3 else {})
    options |= {"next_month": "--next" in words, "state": str(tmp_path), "engine": "loop", "serve": False}
    with pytest.raises(WalkForwardError) as said:
        command.run(**options, told=print)
    assert wrong in str(said.value) and "\n" not in str(said.value)


def shown(card):
    """What a card of Metaflow shows: it is in the page in base 64."""
    parts = re.findall(r'"(eyJ[A-Za-z0-9+/=]+)"', card.read_text(encoding="utf-8"))
    return "".join(base64.b64decode(one).decode() for one in parts)


@pytest.mark.slow
def test_metaflow_s_run_whose_parent_is_killed_is_resumed_without_doing_a_step_twice(april):
    folder, _ = april
    state = command.taken_up(folder)
    words = [sys.executable, str(command.HERE / "flow.py"), "--no-pylint", "--quiet"]
    options = {"cwd": folder, "env": command.surroundings(state), "stdout": subprocess.DEVNULL}
    options["stderr"] = subprocess.DEVNULL
    parent = subprocess.Popen([*words, "run", "--month", "2020-05", "--state", str(folder)], **options)
    end = time.monotonic() + 600
    while not state.journal.find("2020-05", "features"):  # the next step's process is on its way
        assert parent.poll() is None and time.monotonic() < end
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    subprocess.run([*words, "resume"], **options, check=True, timeout=1_200)
    assert [one["step"] for one in state.journal.lines() if one["month"] == "2020-05"] == list(STEPS)
    cards = list((folder / ".metaflow" / "mf.cards").rglob("*.html"))
    assert any("# Run of 2020-05" in shown(one) for one in cards)
    assert answers_of(folder)["request_id"].is_unique


DIARY = {
    "2018-01": "version 1 answers",
    "2018-11": "refused: metric -0.689 to +0.147",
    "2018-12": "version 2 is a canary",
    "2020-04": "version 3 is a canary",
    "2020-05": "refused: data mph 13.24",
    "2020-06": "version 4 is a canary",
    "2020-07": "version 5 is a canary",
    "2020-08": "version 6 is a canary",
    "2020-09": "version 7 is a canary",
    "2020-10": "version 8 is a canary",
}
SETTLED = {
    "2019-01": "rolled back",
    "2020-05": "champion is 3",
    "2020-07": "champion is 4",
    "2020-08": "rolled back",
    "2020-09": "champion is 6",
    "2020-10": "champion is 7",
    "2020-11": "champion is 8",
}


NINE = {
    "2020-04": "version 2 is a canary",
    "2020-05": "refused: data mph 13.24",
    "2020-06": "version 3 is a canary",
    "2020-07": "version 4 is a canary",
    "2020-08": "version 5 is a canary",
    "2020-09": "version 6 is a canary",
}
NINE_SETTLED = {
    "2020-05": "champion is 2",
    "2020-07": "champion is 3",
    "2020-08": "rolled back",
    "2020-09": "champion is 5",
}


def the_months(folder, first, last):
    """Whole months, with a short search for the demand model, on which no decision below depends."""
    command.quiet()
    begun(folder.with_name("defaults"))
    settings = Settings(first, serve=False, reviews=(command.REVIEW,), planted="2020-08")
    loop.backfill(opened(folder, settings, load_trips, load_ridership), first, last)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "last", "months", "decisions", "settled", "most"),
    [
        pytest.param("2020-01", "2020-09", 9, NINE, NINE_SETTLED, 3.2, id="nine"),
        pytest.param(
            "2018-01", "2020-12", 36, DIARY, SETTLED, 3, id="all", marks=weekly("nine of its months")
        ),
    ],
)
def test_the_backfill_keeps_its_diary(start, tmp_path, first, last, months, decisions, settled, most):
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=the_months, args=(tmp_path / "flow", first, last))
    process.start()
    process.join(1_800)
    assert process.exitcode == 0
    told = loop.diary(command.taken_up(tmp_path / "flow")).set_index("month")
    assert len(told) == months and (told["trips"] + told["aside"] == 10_000).all()
    decided = told["decision"][told["decision"] != "kept"]
    assert decided.to_dict() == decisions
    assert told["canary"][told["canary"] != ""].to_dict() == settled
    alarmed = told.index[told["alarm"] != ""]
    assert alarmed.min() == "2020-04" and told.loc["2020-04", "error"] > 5
    assert told.loc[last, "error"] < most

"""The trip-duration project: `mlflow run` from clean folders, with git and without; linters on its files."""

import gzip
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.exceptions import ExecutionException
from mlflow.projects.utils import load_project
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler import MatchSpec
from rattler.exceptions import InvalidMatchSpecError
from xgboost import XGBRegressor

from course.data import load_trips, prepare_trips
from course.servers import base_environment
from course.stores import sqlite_server

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "projects" / "trip_duration"
DOCKERFILES = sorted((ROOT / "src" / "projects").glob("*/Dockerfile"))
HADOLINT = shutil.which("hadolint", path=base_environment()["PATH"])
ROUNDS = 12
posix = pytest.mark.skipif(os.name != "posix", reason="a PATH without git is made of links here")
with_git = pytest.mark.skipif(not shutil.which("git"), reason="no git here")
LOCK = {
    (canonicalize_name(Requirement(line.split("#")[0]).name), line.split("#")[0].strip())
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line.split("#")[0].strip()
}


def copied(folder):
    return Path(shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__")))


def git(folder, *words):
    who = ["-c", "user.name=Ana", "-c", "user.email=ana@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def listed(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if ".git" not in path.parts)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a space in its name: data, a store, the project in a git repository of its own."""
    folder = tmp_path_factory.mktemp("a clean place")
    trips = load_trips("2019-09")
    trips[:1500].to_parquet(folder / "to learn.parquet")
    trips[1500:2500].to_parquet(folder / "to test.parquet")
    (folder / "temporary").mkdir()
    project = copied(folder / "my project")
    if shutil.which("git"):
        git(project, "init")
        git(project, "add", ".")
        git(project, "commit", "--message", "as it is")
    return folder


@pytest.fixture(scope="module")
def store(place):
    """The store's address and an experiment in it; MLflow points there, in this process too."""
    before = mlflow.get_tracking_uri()
    uri = f"sqlite:///{(place / 'mlflow.db').as_posix()}"
    mlflow.set_tracking_uri(uri)
    experiment = mlflow.create_experiment("project", artifact_location=(place / "artifacts").as_uri())
    yield uri, experiment
    mlflow.set_tracking_uri(before)


def mlflow_run(place, uri, project, options, environment, parameters):
    """`mlflow run` in `place` with the store `uri`, whatever experiment this process has set."""
    env = base_environment() | {"MLFLOW_TRACKING_URI": uri, "GIT_PYTHON_REFRESH": "quiet"}
    env.pop("MLFLOW_EXPERIMENT_ID", None)
    env |= dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(place / "temporary")) | dict(environment)
    command = [sys.executable, "-m", "mlflow", "run", str(project), *options]
    for name, value in parameters.items():
        command += ["-P", f"{name}={value}"]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=place, check=False)


@pytest.fixture(scope="module")
def run_project(place, store):
    """Call `mlflow run` as one does in a terminal; returns what it printed and the newest run."""
    uri, experiment = store

    def call(project, entry_point="main", env_manager="local", environment=(), options=(), **parameters):
        options = ["-e", entry_point, "--env-manager", env_manager, "--experiment-id", experiment, *options]
        done = mlflow_run(place, uri, project, options, environment, parameters)
        return done, newest(experiment)

    return call


def newest(experiment):
    order = ["attributes.start_time DESC"]
    return mlflow.search_runs([experiment], order_by=order, max_results=1, output_format="list")[0]


@pytest.fixture(scope="module")
def data(place):
    return {"train": str(place / "to learn.parquet"), "test": str(place / "to test.parquet")}


@pytest.fixture(scope="module")
def trained(place, run_project, data):
    project, before = place / "my project", listed(place / "my project")
    done, run = run_project(project, **data, n_estimators=ROUNDS)
    assert done.returncode == 0, done.stderr
    assert listed(project) == before  # no database, no mlruns, nothing
    return done, run


@pytest.fixture(scope="module")
def script():
    return module_of(SOURCE)


def module_of(folder):
    path = Path(folder) / "trip_duration.py"
    spec = importlib.util.spec_from_file_location("trip_duration", path)
    module = importlib.util.module_from_spec(spec)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


# `mlflow run` -------------------------------------------------------------------------------------------


def test_main_leaves_all_that_an_auditor_asks_for(trained, place, data, script):
    done, run = trained
    tags = run.data.tags
    assert (run.info.status, tags["mlflow.source.type"]) == ("FINISHED", "PROJECT")
    assert Path(tags["mlflow.source.name"].removeprefix("file://")).name == "my project"
    assert tags["mlflow.project.entryPoint"] == "main"
    assert tags["mlflow.project.backend"] == "local"
    assert "mlflow.project.env" not in tags  # the local environment is nobody's: the script's tags tell
    assert tags["env.python"] == sys.version.split()[0]
    packages = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/environment/packages.txt").split()
    assert f"mlflow=={mlflow.__version__}" in packages
    params = {name: value.strip("'\"") for name, value in run.data.params.items()}
    assert {"max_depth": "6", "learning_rate": "0.1", "seed": "0", **data}.items() <= params.items()
    assert json.loads(done.stdout.splitlines()[-1])["rmse"] == round(run.data.metrics["rmse"], 4)
    used = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}
    for context, path in (("training", data["train"]), ("test", data["test"])):
        fingerprint = script.sha256(Path(path))
        assert run.data.tags[f"data.{context}.sha256"] == fingerprint
        assert used[context].digest == fingerprint[:32]
        assert used[context].name == Path(path).name


@with_git
def test_a_server_gets_the_run_with_source_entry_point_and_commit(place, data):
    """The store of a team, or of `make lab`: the same command, and the server's address."""
    with sqlite_server(place / "server") as server:
        options = ["--env-manager", "local", "--experiment-name", "trips"]
        parameters = {**data, "n_estimators": ROUNDS}
        done = mlflow_run(place, server.uri, place / "my project", options, (), parameters)
        assert done.returncode == 0, done.stderr
        client = MlflowClient(server.uri)
        (run,) = client.search_runs([client.get_experiment_by_name("trips").experiment_id])
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.source.name"].endswith("my project")
        assert run.data.tags["mlflow.project.entryPoint"] == "main"
        commit = git(place / "my project", "rev-parse", "HEAD")
        assert run.data.tags["mlflow.source.git.commit"] == commit
        files = client.list_artifacts(run.info.run_id, "environment")
        assert [file.path for file in files] == ["environment/differences.json", "environment/packages.txt"]


def test_the_metric_is_that_of_the_same_training_by_hand(trained, data, script):
    learn, test = (script.read_trips(Path(data[name])) for name in ("train", "test"))
    model = XGBRegressor(max_depth=6, learning_rate=0.1, n_estimators=ROUNDS, random_state=0, n_jobs=1)
    model.fit(learn[script.FEATURES], learn["duration"])
    off = model.predict(test[script.FEATURES]) - test["duration"]
    assert trained[1].data.metrics["rmse"] == pytest.approx(np.sqrt((off**2).mean()), abs=1e-5)
    assert trained[1].data.metrics["rmse"] != pytest.approx(test["duration"].std(), abs=0.1)


@with_git
def test_the_commit_is_recorded_and_the_tree_was_clean(trained, place):
    tags = trained[1].data.tags
    assert tags["mlflow.source.git.commit"] == git(place / "my project", "rev-parse", "HEAD")
    assert tags["code.state"] == "committed"


@posix
def test_evaluate_runs_from_a_zip_where_there_is_no_git(trained, place, run_project, data, script):
    package = shutil.make_archive(str(place / "package"), "zip", copied(place / "to pack"))
    links = place / "bin"
    links.mkdir()
    (links / "bash").symlink_to(shutil.which("bash"))
    path = os.pathsep.join([str(Path(sys.executable).parent), str(links)])
    assert shutil.which("git", path=path) is None
    model = f"models:/{trained[1].outputs.model_outputs[0].model_id}"
    done, run = run_project(package, "evaluate", environment={"PATH": path}, model=model, data=data["test"])
    assert done.returncode == 0, done.stderr
    assert run.info.run_id != trained[1].info.run_id
    assert run.data.tags["mlflow.project.entryPoint"] == "evaluate"
    assert run.data.tags["code.state"] == "no git"
    assert "mlflow.source.git.commit" not in run.data.tags
    assert run.data.tags["code.sha256"] == trained[1].data.tags["code.sha256"]
    assert run.data.metrics["rmse"] == pytest.approx(trained[1].data.metrics["rmse"], abs=1e-6)
    assert run.inputs.dataset_inputs[0].dataset.digest == script.sha256(Path(data["test"]))[:32]


@with_git
def test_a_commit_runs_as_committed_whatever_was_changed_since(trained, place, run_project, data):
    changed = place / "my project" / "trip_duration.py"
    text = changed.read_text(encoding="utf-8")
    commit = git(changed.parent, "rev-parse", "HEAD")
    # An address in which the space is %20 is no local path to MLflow: it clones, as it would from a server.
    address = changed.parent.as_uri()
    assert "%20" in address
    try:
        changed.write_text(text.replace("MAX_MINUTES = 1, 60", "MAX_MINUTES = 1, 45"), encoding="utf-8")
        dirty = module_of(changed.parent)
        assert (dirty.MAX_MINUTES, dirty.code_state()) == (45, "changed since the commit")
        options = ["--version", commit]
        done, run = run_project(address, options=options, **data, n_estimators=ROUNDS)
    finally:
        changed.write_text(text, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert run.info.run_id != trained[1].info.run_id
    assert run.data.tags["mlflow.source.git.commit"] == commit
    assert run.data.tags["code.state"] == "committed"
    assert run.data.tags["code.sha256"] == trained[1].data.tags["code.sha256"]
    assert run.data.metrics == trained[1].data.metrics  # and it is deterministic


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("env_manager", ["uv", "virtualenv"])
def test_a_fresh_environment_gives_the_same(trained, run_project, data, env_manager, tmp_path):
    if not os.environ.get("WALKFORWARD_NETWORK"):
        pytest.skip("set WALKFORWARD_NETWORK=1 to install the project's environment (network)")
    if env_manager == "virtualenv" and not shutil.which("pyenv"):
        pytest.skip("no pyenv here, which virtualenv asks for the Python")
    keep = {"MLFLOW_ENV_ROOT": str(tmp_path / "environments")}  # MLflow can't do with a space there
    done, run = run_project(SOURCE, env_manager=env_manager, environment=keep, **data, n_estimators=ROUNDS)
    assert done.returncode == 0, done.stderr
    assert run.data.tags["mlflow.project.env"] == env_manager
    assert run.data.tags["env.differs"] == "0"
    assert run.data.tags["env.sha256"] != trained[1].data.tags["env.sha256"]  # no JupyterLab in it
    assert run.data.metrics["rmse"] == pytest.approx(trained[1].data.metrics["rmse"], abs=1e-6)


# What is refused, by whom, and what it leaves -----------------------------------------------------------


def runs_in(store):
    return mlflow.search_runs([store[1]], output_format="list")


def in_process(place, store, **parameters):
    """`mlflow.projects.run`: without the seconds of a second import of MLflow."""
    options = {"env_manager": "local", "experiment_id": store[1], "storage_dir": str(place / "temporary")}
    mlflow.projects.run(str(place / "my project"), parameters=parameters, **options)


def test_a_missing_parameter_leaves_no_run(trained, place, store, data):
    before = len(runs_in(store))
    with pytest.raises(ExecutionException, match="missing parameters: 'test'"):
        in_process(place, store, train=data["train"])
    assert len(runs_in(store)) == before


def test_a_file_that_is_not_there_leaves_a_run_that_runs_for_ever(trained, place, store, data):
    before = len(runs_in(store))
    with pytest.raises(ExecutionException, match="no such file or directory"):
        in_process(place, store, **data | {"test": str(place / "gone.parquet")})
    assert len(runs_in(store)) == before + 1
    left = newest(store[1])
    assert left.info.status == "RUNNING"
    MlflowClient().set_terminated(left.info.run_id, "FAILED")


def test_what_mlflow_lets_through_the_script_refuses(trained, place, store, data, monkeypatch, capfd):
    monkeypatch.setenv("PATH", base_environment()["PATH"])
    with pytest.raises(ExecutionException, match="failed"):
        in_process(place, store, **data, max_dept="9")
    assert "unrecognized arguments: --max_dept 9" in capfd.readouterr().err
    assert newest(store[1]).info.status == "FAILED"
    assert newest(store[1]).data.params["max_dept"] == "9"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--max-depth", "deep"], "'deep' is no int"),
        (["--max-depth", "99"], "99 is not between 1 and 20"),
        (["--learning-rate", "2"], "2 is not between 0 and 1"),
        (["--max-dept", "9"], "unrecognized arguments: --max-dept 9"),
        (["--objective", "rmse"], "invalid choice: 'rmse'"),
        (["--test", "gone.parquet"], "there is no file 'gone.parquet'"),
    ],
)
def test_the_command_line_is_strict(given, said, data, script, capsys):
    whole = ["train", "--train", data["train"], "--test", data["test"]]
    assert script.arguments().parse_args(whole).max_depth == 6
    with pytest.raises(SystemExit):
        script.arguments().parse_args([*whole, *given])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("uri", "fine"), [("sqlite:///mlflow.db", False), ("http://127.0.0.1:5001", True)])
def test_a_relative_store_is_refused_under_mlflow_run(uri, fine, script, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    script.refuse_relative_store()  # started by hand, it is where you are
    monkeypatch.setenv("MLFLOW_RUN_ID", "1")
    if fine:
        script.refuse_relative_store()
    else:
        with pytest.raises(SystemExit, match="is relative; give sqlite:/// and the whole path"):
            script.refuse_relative_store()


def test_the_store_by_its_whole_path_is_not_refused(store, script, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store[0])
    monkeypatch.setenv("MLFLOW_RUN_ID", "1")
    script.refuse_relative_store()


# The script by itself -----------------------------------------------------------------------------------


def test_it_prepares_trips_as_the_course_does(script, place):
    theirs = prepare_trips(load_trips("2019-09"))
    ours = script.read_trips(ROOT / "data" / "trips" / "2019-09.parquet")
    assert list(ours["duration"]) == list(theirs["duration"])
    assert (ours["hour"] == theirs["pickup_datetime"].dt.hour).all()
    assert (ours["weekday"] == theirs["pickup_datetime"].dt.dayofweek).all()
    assert set(map(str, ours.dtypes)) == {"float64"}


def test_it_reads_csv_and_names_what_it_can_not_read(script, place, tmp_path):
    table = pd.read_parquet(place / "to test.parquet")
    table.to_csv(tmp_path / "trips.csv", index=False)
    pd.testing.assert_frame_equal(
        script.read_trips(tmp_path / "trips.csv"), script.read_trips(place / "to test.parquet")
    )
    table.drop(columns="trip_distance").to_parquet(tmp_path / "less.parquet")
    with pytest.raises(SystemExit, match="less.parquet has no column trip_distance"):
        script.read_trips(tmp_path / "less.parquet")
    with pytest.raises(SystemExit, match="not a .parquet or .csv file"):
        script.read_trips(tmp_path / "trips.xlsx")


HEADER = "trip_distance,pickup_location_id,dropoff_location_id,pickup_datetime,dropoff_datetime\n"
TRIP = "1.5,151,239,2019-01-02 10:00:00,2019-01-02 10:09:00\n"  # a Wednesday


@pytest.mark.parametrize(
    ("old", "new", "distance"),
    [
        ("2019-01-02 10", "2019-01-02T10", 1.5),
        ("2019-01-02", "2019-1-2", 1.5),
        (":00,2", ":00-05:00,2", 1.5),  # the local clock
        ("\n", "\r\n", 1.5),
        ("1.5", "NA", np.nan),
    ],
)
def test_other_forms_of_the_same_trip(old, new, distance, script, tmp_path):
    path = tmp_path / "trips.CSV"
    path.write_text(HEADER + TRIP.replace(old, new), encoding="utf-8", newline="")
    row = script.read_trips(path).to_numpy()
    np.testing.assert_array_equal(row, [[distance, 151, 239, 10, 2, 9]])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "zone", "text", "period", "category"])
def test_clocks_of_other_makes(unit, script, tmp_path):
    trips = pd.read_csv(io.StringIO(HEADER + TRIP), parse_dates=["pickup_datetime", "dropoff_datetime"])
    make = {
        "zone": lambda clock: clock.dt.tz_localize("America/New_York"),
        "text": lambda clock: clock.astype(str),
        "period": lambda clock: clock.dt.to_period("s"),
        "category": lambda clock: clock.astype("category"),
    }.get(unit, lambda clock: clock.astype(f"datetime64[{unit}]"))
    for clock in ("pickup_datetime", "dropoff_datetime"):
        trips[clock] = make(trips[clock])
    trips.to_parquet(tmp_path / "trips.parquet")
    assert script.read_trips(tmp_path / "trips.parquet").to_numpy().tolist() == [[1.5, 151, 239, 10, 2, 9]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "is not a readable .csv file"),
        ("cut.parquet", b"PAR1 and no more", "is not a readable .parquet file"),
        ("wide.csv", (HEADER + TRIP).encode("utf-16"), "is not a readable .csv file"),
        ("packed.csv", gzip.compress((HEADER + TRIP).encode()), "is not a readable .csv file"),
        ("names.csv", HEADER, "is not a readable .csv file"),
        ("other.csv", (HEADER + TRIP).replace(",", ";"), "has no column trip_distance"),
        ("index.csv", HEADER + "0," + TRIP, "6 fields in a row for 5 names; export it without its index"),
        ("longer.csv", HEADER + TRIP + "0," + TRIP, "is not a date"),
        ("day_first.csv", HEADER + TRIP.replace("2019-01-02", "02/01/2019"), "0, '02/01/2019 10:00:00'"),
        ("word.csv", HEADER + TRIP + TRIP.replace("2019-01-02 10:00:00", "unknown"), "1, 'unknown'"),
        ("seconds.csv", HEADER + "1,2,3,1546423200,1546423740\n", "is not a date"),
        ("number.csv", HEADER + TRIP.replace("1.5", '"1,234.5"'), "is not a number like 1234.5 in 1 row "),
        ("infinite.csv", HEADER + TRIP.replace("151", "1e999"), "0, '1e999'"),
        ("truth.csv", HEADER + TRIP.replace("1.5", "True"), "is not a number"),
        ("none.csv", HEADER + TRIP.replace("10:09", "10:00"), "none of its 1 trips takes 1 to 60 minutes"),
        ("no_clock.csv", HEADER + "1.5,151,239,,\n", "none of its 1 trips"),
    ],
)
def test_a_file_that_can_not_be_used_is_one_line(name, content, said, script, tmp_path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SystemExit) as stopped:
        script.read_trips(path)
    assert str(stopped.value).startswith(name)
    assert said in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert stopped.value.__cause__ is None


@pytest.mark.parametrize("empty", ["train", "test"])
def test_no_trip_left_is_no_run_and_no_model(empty, place, store, data, script, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", store[1])
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    table = pd.read_parquet(place / "to test.parquet")
    table.assign(dropoff_datetime=table["pickup_datetime"]).to_parquet(tmp_path / "none.parquet")
    before = len(runs_in(store))
    given = data | {empty: str(tmp_path / "none.parquet")}
    monkeypatch.setattr(sys, "argv", ["x", "train", "--train", given["train"], "--test", given["test"]])
    with pytest.raises(SystemExit, match="none.parquet: none of its 1,000 trips takes 1 to 60 minutes"):
        script.main()
    assert len(runs_in(store)) == before


@pytest.mark.parametrize(
    "minutes", [[np.nan, 1.0], [np.inf, 1.0], [1.0], ["a", "1"], [[1.0, 2.0], [3.0, 4.0]]]
)
def test_predictions_that_are_not_one_number_a_trip(minutes, script):
    trips = pd.DataFrame({"duration": [1.0, 3.0]})
    with pytest.raises(SystemExit, match="the model gave no 2 numbers for 2 trips"):
        script.errors(trips, np.array(minutes))
    assert script.errors(trips, np.array([[2.0], [4.0]])) == {"rmse": 1.0, "mae": 1.0, "bias": 1.0}


def test_one_byte_of_the_file_is_another_digest(script, tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"a" * 1000)
    other.write_bytes(b"a" * 999 + b"b")
    assert script.sha256(one) != script.sha256(other)


def test_started_by_hand_it_makes_a_run_of_its_own(trained, store, data, script, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", store[1])
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    words = ["train", "--train", data["train"], "--test", data["test"], "--n-estimators", str(ROUNDS)]
    asked = script.arguments().parse_args(words)
    assert asked.act(asked)["rmse"] == pytest.approx(trained[1].data.metrics["rmse"], abs=1e-6)
    run = newest(store[1])
    assert run.info.run_id != trained[1].info.run_id
    assert "mlflow.project.entryPoint" not in run.data.tags
    assert run.data.params["max_depth"] == "6"
    assert Path(run.data.params["train"]) == Path(data["train"])


def test_it_says_how_far_the_environment_is_from_the_lock(script, tmp_path, monkeypatch):
    assert script.differences() == [] or "not ==" in script.differences()[0]
    (tmp_path / "requirements.txt").write_text("pandas==1.0\nno-such-package==1\nnumpy>=1 # fine\n")
    monkeypatch.setattr(script, "HERE", tmp_path)
    assert script.differences() == [
        f"pandas {pd.__version__}, not ==1.0",
        "no-such-package is not installed",
    ]


# The files beside it ------------------------------------------------------------------------------------


def hadolint(text):
    command = [HADOLINT, "--no-color", "--format", "json", "-"]
    found = subprocess.run(command, input=text, capture_output=True, text=True, check=False).stdout
    return {one["code"] for one in json.loads(found)}


# What MLflow's own template of a serving image breaks; lesson 09 shows it as MLflow writes it.
BROKEN = {"trip_duration": set(), "trip_service": {"DL3008", "DL3009", "DL3042", "DL3059"}}


@pytest.mark.skipif(not HADOLINT, reason="no hadolint here: it is not made for this system")
@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_hadolint_reads_the_dockerfile(path):
    text = path.read_text(encoding="utf-8")
    broken = BROKEN[path.parent.name]
    assert hadolint(text) == broken
    assert hadolint(re.sub(r"FROM (\w+):\S+", r"FROM \1:latest", text)) == broken | {"DL3007"}
    assert hadolint(text + "RUN sudo pip install mlflow\n") > broken


def test_the_image_holds_what_the_project_needs():
    text = (SOURCE / "Dockerfile").read_text(encoding="utf-8")
    copied_in = set(" ".join(re.findall(r"^COPY (.*) \S+$", text, re.M)).split())
    assert copied_in == {"requirements.txt", "MLproject", "python_env.yaml", "trip_duration.py"}
    assert all((SOURCE / name).is_file() for name in copied_in)
    python = yaml.safe_load((SOURCE / "python_env.yaml").read_text(encoding="utf-8"))["python"]
    assert f"FROM python:{python}-" in text
    assert "ENTRYPOINT" not in text  # `mlflow run` hands its command to the image


def conda_faults(text):
    """What is wrong with the dependencies of a conda.yaml, one text each."""
    found, described = [], yaml.safe_load(text)
    for item in described["dependencies"]:
        for line in item["pip"] if isinstance(item, dict) else [item]:
            try:
                if isinstance(item, dict):
                    line == "-r requirements.txt" or Requirement(line)
                elif MatchSpec(line, strict=True).version is None or "==" not in line:
                    found.append(f"{line}: no exact version")
            except (InvalidMatchSpecError, ValueError) as error:
                found.append(f"{line}: {error}")
    return found


def test_conda_reads_its_file_and_it_names_the_same_python():
    text = (SOURCE / "conda.yaml").read_text(encoding="utf-8")
    assert conda_faults(text) == []
    python = yaml.safe_load((SOURCE / "python_env.yaml").read_text(encoding="utf-8"))["python"]
    assert f"python=={python}" in yaml.safe_load(text)["dependencies"]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("python==3.11.7", "python==3..11"),
        ("python==3.11.7", "python"),
        ("python==3.11.7", "python=3.11"),
        ("pip==24.0", "pip 24.0"),
        ("-r requirements.txt", "mlflow=3.17.2"),
    ],
)
def test_a_bad_line_in_the_conda_file_is_noticed(good, bad):
    text = (SOURCE / "conda.yaml").read_text(encoding="utf-8")
    assert good in text
    assert len(conda_faults(text.replace(good, bad))) == 1


def lines_of(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def unlike_the_lock(text):
    """Lines that the course's lock has not: another version, another marker, another package."""
    return [line for line in lines_of(text) if (canonicalize_name(Requirement(line).name), line) not in LOCK]


def test_every_requirement_is_a_line_of_the_lock_and_none_is_missing():
    text = (SOURCE / "requirements.txt").read_text(encoding="utf-8")
    assert unlike_the_lock(text) == []
    assert unlike_the_lock(text.replace("pandas==3.0.6", "pandas==3.0.5")) == ["pandas==3.0.5"]
    assert unlike_the_lock(text.replace("numpy==", "numpy>="))
    names = {canonicalize_name(Requirement(line).name) for line in lines_of(text)}
    locked = {name for name, _ in LOCK}
    for name in names:
        try:
            wanted = [Requirement(one) for one in distribution(name).requires or []]
        except PackageNotFoundError:
            continue  # another system's
        needed = {canonicalize_name(one.name) for one in wanted if not one.marker or one.marker.evaluate()}
        assert needed & locked <= names, f"{name} needs {sorted((needed & locked) - names)}"
    assert {"mlflow", "pandas", "pyarrow", "numpy", "packaging", "xgboost", "xgboost-cpu"} <= names


@pytest.mark.parametrize("folder", [SOURCE, SOURCE / "docker"], ids=["local", "docker"])
def test_mlflow_reads_both_projects_and_their_commands_fit_the_script(folder, data, script):
    project = load_project(str(folder))
    assert project.name == "trip-duration"
    given = {"main": data, "evaluate": {"model": "models:/trips/1", "data": data["test"]}}
    for name, parameters in given.items():
        command = project.get_entry_point(name).compute_command(parameters, str(folder))
        words = shlex.split(command, posix=os.name == "posix")
        assert words[:2] == ["python", "trip_duration.py"]
        asked = vars(script.arguments().parse_args([word.strip('"') for word in words[2:]]))
        for key, value in parameters.items():
            assert str(asked[key]) == value
    described = yaml.safe_load((folder / "MLproject").read_text(encoding="utf-8"))["entry_points"]
    assert described == yaml.safe_load((SOURCE / "MLproject").read_text(encoding="utf-8"))["entry_points"]


def test_the_docker_project_starts_the_image_and_shows_it_the_data():
    project = load_project(str(SOURCE / "docker"))
    assert project.env_type == "docker_env"
    assert project.docker_env["image"] == "trip-duration:1"
    for volume in project.docker_env["volumes"]:
        host, inside, mode = volume.split(":")
        assert (host, mode) == (inside, "ro")


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("python_env: python_env.yaml", "python_env: gone.yaml", "no such file was found"),
        ("python_env: python_env.yaml", "python_env: a\nconda_env: b", "multiple environment fields"),
        ("main:", "train:", "Could not find main among entry points"),
    ],
)
def test_mlflow_refuses_a_broken_mlproject(old, new, error, tmp_path):
    folder = copied(tmp_path / "project")
    path = folder / "MLproject"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ExecutionException, match=error):
        load_project(str(folder)).get_entry_point("main")

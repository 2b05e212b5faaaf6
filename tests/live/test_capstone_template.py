"""The template of a reader's own flow: in an empty folder, on tables of other shapes, with its own tests."""

import importlib.util
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from course.cli import main
from course.servers import base_environment
from lessons.the_pipeline import checkers
from projects.capstone import new
from projects.capstone.new import make
from projects.capstone.state import CapstoneError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("new") / "mein Ördner #1"
    said = CliRunner().invoke(main, ["capstone", "--new", str(made)], standalone_mode=False)
    assert said.exception is None and said.output == f"{made}: read its README.md\n"
    return made


@pytest.fixture(scope="module")
def flow(folder):
    spec = importlib.util.spec_from_file_location("their_flow", folder / "flow.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        spec.loader.exec_module(module)
        del sys.modules["table"]
    return module


def table(freq, rows, season):
    rng = np.random.default_rng(0)
    wave = 20 + 5 * np.sin(np.arange(rows) * 2 * np.pi / season) + rng.normal(0, 1, rows)
    return pd.DataFrame({"when": pd.date_range("2015-01-01", periods=rows, freq=freq), "sold": wave.round(2)})


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for there in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(CapstoneError, match="is there and not empty: name a new folder"):
            make(str(there))
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]
    assert (tmp_path / "mine.txt").read_text() == "mine"
    made = make(str(tmp_path / "new"))
    (made / "sales.csv").write_text("mine")
    with pytest.raises(CapstoneError, match="not empty"):
        make(str(made))
    assert (made / "sales.csv").read_text() == "mine"
    with pytest.raises(CapstoneError, match="in the template itself"):
        make(str(new.TEMPLATE / "mine"))
    assert not (new.TEMPLATE / "mine").exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_copy_that_ends_early_leaves_nothing_half(tmp_path, monkeypatch, there):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(new, "wheel", full)
    mine = tmp_path / "mine"
    if there:
        mine.mkdir()
    with pytest.raises(CapstoneError, match="can't be written .No space left on device.: name another"):
        make(str(mine))
    assert mine.exists() == there and list(tmp_path.rglob("*")) == [mine] * there


def test_what_it_holds_is_what_it_needs(folder):
    names = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
    assert {".github/workflows/test.yml", ".gitignore", "README.md", "requirements.txt", "sales.csv"} < names
    assert not [one for one in names if "__pycache__" in one or one.startswith("state")]
    assert checkers.actionlint((folder / ".github/workflows/test.yml").read_text(encoding="utf-8")) == []
    needs = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    (wheel,) = [one for one in needs if one.endswith(".whl")]
    with zipfile.ZipFile(folder / wheel) as held:
        assert held.testzip() is None
        assert {one.partition("/")[0].partition("-")[0] for one in held.namelist()} == {"walkforward"}


@pytest.mark.parametrize(
    ("freq", "rows", "season", "calendar", "ahead"),
    [
        ("MS", 96, 12, "MS", 6),
        ("h", 600, 24, "h", 24),
        ("W-SUN", 200, 52, "W-SUN", 8),
    ],
)
def test_a_table_of_another_shape_runs(flow, tmp_path, freq, rows, season, calendar, ahead):
    table(freq, rows, season).to_csv(tmp_path / "sales.csv", index=False)
    frame, found, gaps = flow.complete(flow.table.read(tmp_path / "sales.csv", "when", "sold"))
    assert found == calendar and gaps == []
    errors = flow.judge(frame, calendar)
    assert errors["trees"] < 3 and errors["naive"] < 3
    days = pd.date_range(frame["ds"].iloc[-1], periods=ahead + 1, freq=calendar)[1:]
    forecast = flow.Trees(calendar).fit(frame).predict(pd.DataFrame({"ds": days}))
    assert forecast["yhat"].between(10, 30).all()


@pytest.mark.parametrize("sign", "?%")
def test_a_name_that_no_store_can_have_is_refused(flow, tmp_path, sign):
    with pytest.raises(SystemExit, match="keeps no store below a name with"):
        flow.run(tmp_path / "sales.csv", "when", "sold", tmp_path / f"a{sign}b" / "state")
    assert list(tmp_path.iterdir()) == []


def test_the_naive_forecast_takes_the_alias_away_and_a_folder_may_have_any_name(flow, tmp_path):
    state = tmp_path / "ein Ördner #1" / "state"
    days = table("D", 300, 7)
    days.to_csv(tmp_path / "sales.csv", index=False)
    told = flow.run(tmp_path / "sales.csv", "when", "sold", state)
    assert told["answers"] == "trees" and told["version"] == "1"
    client = flow.mlflow.MlflowClient()
    assert client.get_registered_model("my-forecast").aliases == {"champion": 1}
    assert len(flow.mlflow.xgboost.load_model("models:/my-forecast@champion").get_booster().get_dump()) == 200
    assert {one.name for one in state.parent.iterdir()} == {"state"}
    assert {one.name for one in tmp_path.iterdir()} == {"sales.csv", state.parent.name}
    days.assign(sold=5).to_csv(tmp_path / "flat.csv", index=False)
    assert flow.run(tmp_path / "flat.csv", "when", "sold", state)["answers"] == "naive"
    assert client.get_registered_model("my-forecast").aliases == {}


def test_missing_days_are_named_and_a_text_target_is_refused(flow, tmp_path):
    days = table("D", 300, 7).drop(index=[100, 150])
    days.sample(frac=1, random_state=0).to_csv(tmp_path / "sales.csv", index=False)  # in any order
    gaps = flow.complete(flow.table.read(tmp_path / "sales.csv", "when", "sold"))[2]
    assert gaps == ["2015-04-11 00:00:00", "2015-05-31 00:00:00"]
    days.assign(sold="some").to_csv(tmp_path / "text.csv", index=False)
    with pytest.raises(
        SystemExit, match=r"text.csv: sold is no number like 12.5 in 298 rows \(the first: 'some'\)"
    ):
        flow.run(tmp_path / "text.csv", "when", "sold", tmp_path / "state")


@pytest.mark.slow
def test_its_own_tests_pass_with_the_wheel_that_it_holds(folder, tmp_path):
    """Nothing else of ours is there: no course, no projects."""
    (wheel,) = (folder / "wheels").iterdir()
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target"]
    subprocess.run([*install, tmp_path / "installed", wheel], check=True)
    names = "('course', 'projects', 'lessons', 'authoring')"
    alone = f"import sys; sys.modules.update(dict.fromkeys({names})); sys.dont_write_bytecode = True; "
    alone += "import walkforward, pytest; "
    alone += f"assert walkforward.__file__.startswith({str(tmp_path)!r}), walkforward.__file__; "
    alone += "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '.']))"
    environment = base_environment(drop="MLFLOW_|PYTEST_") | {"PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(
        [sys.executable, "-c", alone], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""The template of a reader's own flow: in an empty folder, on tables of other shapes, with its own tests."""

import importlib.util
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from course.cli import main
from course.servers import base_environment
from projects.capstone.new import make
from projects.capstone.state import CapstoneError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("new") / "mine"
    said = CliRunner().invoke(main, ["capstone", "--new", str(made)], standalone_mode=False)
    assert said.exception is None and said.output == f"{made}: read its README.md\n"
    return made


@pytest.fixture(scope="module")
def flow(folder):
    spec = importlib.util.spec_from_file_location("their_flow", folder / "flow.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(freq, rows, season):
    rng = np.random.default_rng(0)
    wave = 20 + 5 * np.sin(np.arange(rows) * 2 * np.pi / season) + rng.normal(0, 1, rows)
    return pd.DataFrame({"when": pd.date_range("2015-01-01", periods=rows, freq=freq), "sold": wave.round(2)})


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CapstoneError, match="is there and not empty: name a new folder"):
        make(str(tmp_path))
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("freq", "rows", "season", "calendar", "ahead"),
    [
        ("MS", 96, 12, "MS", 6),
        ("ME", 96, 12, "ME", 6),
        ("h", 600, 24, "h", 24),
        ("W-SUN", 200, 52, "W-SUN", 8),
    ],
)
def test_a_table_of_another_shape_runs(flow, tmp_path, freq, rows, season, calendar, ahead):
    table(freq, rows, season).to_csv(tmp_path / "sales.csv", index=False)
    told = flow.run(tmp_path / "sales.csv", "when", "sold", tmp_path / "state")
    assert told["calendar"] == calendar and told["filled in"] == []
    forecast = pd.read_csv(tmp_path / "state" / "forecast.csv")
    assert len(forecast) == ahead and np.isfinite(forecast["yhat"]).all()
    assert told["errors"]["trees"] < told["errors"]["naive"] or told["answers"] == "naive"


def test_missing_days_are_named_and_a_text_target_is_refused(flow, tmp_path):
    days = table("D", 300, 7).drop(index=[100, 150])
    days.sample(frac=1, random_state=0).to_csv(tmp_path / "sales.csv", index=False)  # in any order
    told = flow.run(tmp_path / "sales.csv", "when", "sold", tmp_path / "state")
    assert told["filled in"] == ["2015-04-11 00:00:00", "2015-05-31 00:00:00"]
    days.assign(sold="some").to_csv(tmp_path / "text.csv", index=False)
    with pytest.raises(
        SystemExit, match=r"text.csv: sold is no number as 12.5 in 298 rows \(the first: 'some'\)"
    ):
        flow.run(tmp_path / "text.csv", "when", "sold", tmp_path / "state")


@pytest.mark.slow
def test_its_own_tests_pass(folder):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    environment = base_environment(drop="MLFLOW_|PYTEST_")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

"""Environments beside the course's own: whole or not there, one for each lock, an error with the way out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from course import environments
from course.environments import OtherEnvironmentError
from course.student.commands import env


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A lock without packages, so that nothing is fetched, and a folder of its own."""
    lock = tmp_path / "requirements.txt"
    lock.write_text("# nothing\n", encoding="utf-8")
    monkeypatch.setattr(environments, "LOCKS", {"platforms": lock})
    monkeypatch.setattr(environments, "PLACE", tmp_path / "environments")
    return tmp_path


def test_an_environment_is_made_once_and_its_python_runs(place):
    assert environments.interpreter("platforms") is None
    python = environments.make("platforms")
    assert python == environments.interpreter("platforms")
    prefix = subprocess.run(
        [str(python), "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert Path(prefix).resolve() == python.parents[1].resolve() != Path(sys.prefix).resolve()
    written = python.parents[1] / "mark"
    written.touch()
    assert environments.make("platforms") == python
    assert written.exists(), "it was not made again"
    assert [one.name for one in environments.PLACE.iterdir()] == [python.parents[1].name]


def test_another_lock_is_another_environment(place):
    first = environments.make("platforms")
    environments.LOCKS["platforms"].write_text("# nothing else\n", encoding="utf-8")
    assert environments.interpreter("platforms") is None
    assert environments.make("platforms") != first


def test_what_can_not_be_had_is_one_line_and_leaves_nothing(place, monkeypatch):
    environments.LOCKS["platforms"].write_text("no-such-package==9 @ nowhere\n", encoding="utf-8")
    with pytest.raises(
        OtherEnvironmentError, match=r"^the environment 'platforms' can't be made \(.+\): with a"
    ):
        environments.make("platforms")
    assert environments.interpreter("platforms") is None
    assert list(environments.PLACE.iterdir()) == []


def test_an_unknown_name_says_which_there_are(place):
    with pytest.raises(OtherEnvironmentError, match="no environment is called 'azure'; there is platforms"):
        environments.make("azure")


def test_the_command_says_where_it_is(place):
    said = CliRunner().invoke(env, ["platforms"], catch_exceptions=False)
    assert said.output == f"platforms: {environments.interpreter('platforms')}\n"


@pytest.mark.parametrize(
    ("folder", "packages"),
    [
        ("projects/platforms", {"azure-ai-ml", "azure-identity", "marshmallow"}),
        ("lessons/on_spark", {"pyspark", "mlflow-skinny", "pandas", "pyarrow"}),
    ],
)
def test_a_lock_has_every_package_of_its_list(folder, packages):
    folder = Path(environments.__file__).parents[1] / folder
    lock = (folder / "requirements.txt").read_text(encoding="utf-8")
    wanted = {
        re.split("[=<>]", line)[0]
        for line in (folder / "requirements.in").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    }
    assert wanted >= packages and all(f"\n{name}==" in lock for name in wanted)


def test_spark_reads_models_with_the_versions_that_the_course_writes_them_with():
    root = Path(environments.__file__).parents[2]
    course = set((root / "requirements.txt").read_text(encoding="utf-8").splitlines())
    spark = (root / "src" / "lessons" / "on_spark" / "requirements.txt").read_text(encoding="utf-8")
    shared = [
        line for line in spark.splitlines() if re.match("(mlflow-skinny|numpy|pandas|pyarrow|xgboost)", line)
    ]
    assert len(shared) == 6 and set(shared) <= course

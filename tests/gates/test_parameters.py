"""Every name of every parameters cell can be set, to what the text means there; paths are the user's."""

import ast
from pathlib import Path

import jupytext
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_notebook
from papermill.parameterize import parameterize_notebook

from course.paths import ROOT
from course.student.parameters import COMPUTED, defaults, read
from course.student.workspace import WorkspaceError

LESSONS = sorted((ROOT / "src" / "lessons").glob("[0-9I]*_*.py"))


def book(source, *others):
    return new_notebook(cells=[new_code_cell(source, metadata={"tags": ["parameters"]}), *others])


def after_injection(notebook, values):
    """What the names are once the parameters cell and the injected one have run."""
    notebook.metadata.papermill = {}
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
    made = parameterize_notebook(notebook, values, kernel_name="python3", language="python")
    names = {}
    tagged = {"parameters", "injected-parameters"}
    for cell in [cell for cell in made.cells if tagged & set(cell.metadata.get("tags", []))]:
        exec(cell.source, names)
    return {name: value for name, value in names.items() if name != "__builtins__"}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_name_of_every_parameters_cell_can_be_set_alone(path):
    notebook = jupytext.read(path)
    before = after_injection(notebook, {})
    assert before == defaults(notebook)
    for name in before:
        changed = after_injection(notebook, {name: "another's"})
        assert changed == before | {name: "another's"}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_later_cell_of_a_lesson_sets_a_parameter_again(path):
    notebook = jupytext.read(path)
    names, cells = defaults(notebook), [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in [cell for cell in cells if "parameters" not in cell.metadata.get("tags", [])]:
        for node in ast.parse(TransformerManager().transform_cell(cell.source)).body:
            targets = [one for one in (*getattr(node, "targets", []), getattr(node, "target", None)) if one]
            parts = [one for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
            stored = {one.id for one in parts if isinstance(one.ctx, ast.Store)}
            assert not stored & set(names), ast.unparse(node)


def test_the_cell_is_read_as_python_reads_it():
    source = """%matplotlib inline
first, (second, third) = "2019-01", ("a", 2.5)
[fourth, *rest] = [1, 2, 3]
fifth: int = 5
sixth: str
seventh = eighth = None
ninth, tenth = pair()
eleventh = -1 + len("x")
object.attribute, table["item"] = 1, 2
if True:
    not_at_the_top = 1
"""
    assert defaults(book(source)) == {
        **{"first": "2019-01", "second": "a", "third": 2.5, "fourth": COMPUTED, "rest": COMPUTED},
        **{"fifth": 5, "sixth": COMPUTED, "seventh": None, "eighth": None, "ninth": COMPUTED},
        **{"tenth": COMPUTED, "eleventh": COMPUTED},
    }
    assert defaults(new_notebook(cells=[new_code_cell("months = 3")])) == {}
    with pytest.raises(SyntaxError):
        defaults(book("months = "))


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("2019-10", "2019-07", "2019-10"),
        ("1.10", "1.34", "1.10"),
        ("007", "a", "007"),
        ("12", "a", "12"),
        ("NA", "a", "NA"),
        ("true", "a", "true"),
        ("['a']", "a", "['a']"),
        ("'12'", "a", "12"),
        ('"it\'s"', "a", "it's"),
        ("None", "a", None),
        ("null", 3, None),
        ("3", 5, 3),
        ("1e3", 5, 1000),
        ("1_000", 5, 1000),
        ("0.5", 5, 0.5),
        ("2", 0.1, 2),
        ("True", False, True),
        ("false", True, False),
        ("[2, 4]", [1], [2, 4]),
        ("(2, 4)", [1], [2, 4]),
        ("['2019-01','2019-02']", ["2018-01"], ["2019-01", "2019-02"]),
        ("2019-10", COMPUTED, "2019-10"),
        ("2019-10", None, "2019-10"),
        ("{1, 2}", COMPUTED, "{1, 2}"),
        ("1+2j", COMPUTED, "1+2j"),
        ("(" * 300, COMPUTED, "(" * 300),
    ],
)
def test_a_text_means_what_the_default_is(text, default, value):
    found = read("name", text, default)
    assert found == value
    assert type(found) is type(value)
    assert after_injection(book("name = 1"), {"name": found})["name"] == value


@pytest.mark.parametrize(
    ("text", "default", "says"),
    [
        ("many", 100, "name is 'many': give a number .the lesson has 100."),
        ("true", 100, "give a number"),
        ("NaN", 0.1, "give a number"),
        ("2019-05", 100, "give a number"),
        ("no", False, "name is 'no': give true or false"),
        ("1", False, "give true or false"),
        ("2019-05", ["2019-06"], "give a list, such as \"\\['one', 'two'\\]\""),
        ("[2019-10]", ["2019-06"], "give a list"),
    ],
)
def test_a_text_that_means_nothing_there_is_refused(text, default, says):
    with pytest.raises(WorkspaceError, match=says) as caught:
        read("name", text, default)
    assert "\n" not in str(caught.value)


# Paths


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with files, in which the user stands; its parent is their home."""
    folder = tmp_path / "a user's folder"
    names = ("my month.parquet", "2024-01.csv", "odd:name.csv", "a[1].csv", "2024", "{month}.txt")
    for name in (*names, "taxi/2024-01.parquet", "../home.csv"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return folder


@pytest.mark.parametrize("name", ["trips_path", "ridership_path", "my_story"])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("my month.parquet", "{here}/my month.parquet"),
        ("'my month.parquet'", "{here}/my month.parquet"),
        ("./2024-01.csv", "{here}/2024-01.csv"),
        ("../home.csv", "{here}/../home.csv"),
        ("~/home.csv", "{home}/home.csv"),
        ("2024", "{here}/2024"),
        ("odd:name.csv", "{here}/odd:name.csv"),
        ("a[1].csv", "{here}/a[1].csv"),
        ("taxi", "{here}/taxi"),
        ("taxi/{month}.parquet", "{here}/taxi/{month}.parquet"),
        ("{month}.csv", "{here}/{month}.csv"),
        ("{month}.txt", "{here}/{month}.txt"),
        ("taxi/*.parquet", "{here}/taxi/*.parquet"),
        ("['2024-01.csv', \"my month.parquet\"]", ["{here}/2024-01.csv", "{here}/my month.parquet"]),
        ('["taxi/{month}.parquet"]', ["{here}/taxi/{month}.parquet"]),
        ("null", None),
        ("None", None),
        ("https://example.org/a.csv?b=c", "https://example.org/a.csv?b=c"),
        ("['http://x/a.csv', '2024']", ["http://x/a.csv", "{here}/2024"]),
        ("file:/tmp/a.csv", "file:/tmp/a.csv"),
        ("s3://bucket/{month}.parquet", "s3://bucket/{month}.parquet"),
        ("models:/taxi@champion", "models:/taxi@champion"),
        ("runs:/abc/model", "runs:/abc/model"),
        ("mlflow-artifacts:/1/a", "mlflow-artifacts:/1/a"),
        (r"C:\data\a.csv", r"C:\data\a.csv"),
    ],
)
def test_a_path_is_the_users(here, name, text, value):
    def meant(one):
        return one.replace("{here}", str(here)).replace("{home}", str(here.parent))

    found = read(name, text, None)
    assert found == ([meant(one) for one in value] if isinstance(value, list) else value and meant(value))


@pytest.mark.parametrize(
    "text",
    [
        "nowhere.parquet",
        "2019-10",
        "1.10",
        "true",
        "taxi/{month}.csv",
        "nowhere/{month}.parquet",
        "~nobody-of-this-name/a.csv",
        "2024/a.csv",
        "x" * 5_000,
        "['2024-01.csv', 'nowhere.parquet']",
    ],
)
def test_a_path_that_is_nowhere_is_refused_with_where_it_was_looked_for(here, text):
    with pytest.raises(WorkspaceError, match="and there is no .*: give a file's path or URL") as caught:
        read("trips_path", text, None)
    looked_for = text if "[" not in text else "nowhere.parquet"
    assert str(here / looked_for) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "trips_path is empty"), (" ", "is empty"), ("[]", "give a file, or a list"), ("[1]", "or a list")],
)
def test_what_is_no_path_is_refused(here, text, says):
    with pytest.raises(WorkspaceError, match=says):
        read("trips_path", text, None)


def test_a_folder_that_may_not_be_looked_into_is_no_crash(here, monkeypatch):
    def refuse(self, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(WorkspaceError, match="there is no"):
        read("trips_path", "my month.parquet", None)

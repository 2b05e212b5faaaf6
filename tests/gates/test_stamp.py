"""What a lesson's outputs depend on: one execution is recorded, then each input is changed."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny
from compared import reference

from authoring import build, stamp
from authoring.execute import Outcome, environment, recording

ROOT = Path(__file__).resolve().parents[2]
USES = """
# %% name="uses"
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import joblib

COURSE = Path(os.environ["TINY_COURSE"])
sys.path.insert(0, str(COURSE / "src"))
from shop import total

print(total(n), joblib.hash(1)[:4])

# %% name="text"
from shop import shown, talks

print(len(inspect.getsource(shown)), talks.said())

# %% name="data"
data = COURSE / "data"
print(pd.read_csv(data / "rides.csv").size, len(pd.read_parquet(data / "trips.parquet")))
print(sorted(path.stem for path in (data / "questions").glob("*.yaml")))

# %% name="children"
code = "import sys, chevron, shop.child; print(len(open(sys.argv[1]).read()))"
path = os.pathsep.join([os.environ["PYTHONPATH"], str(COURSE / "src")])
command = [sys.executable, "-c", code, "data/child.txt"]
subprocess.run(command, cwd=COURSE, env=os.environ | {"PYTHONPATH": path}, check=True)
project = COURSE / "src" / "projects" / "training"
linter = shutil.which("ruff", path=Path(sys.executable).parent)
subprocess.run([linter, "--version"], capture_output=True, check=True)
assert subprocess.run([sys.executable, "-I", "-c", "pass", f"--project={project}"], check=True)
"""
SHOP = {
    "pyproject.toml": "[tool.ruff]\nline-length = 110\n",
    "src/shop/__init__.py": """\
'A shop.'

from shop.prices import price


def total(n):
    return n * price()
""",
    "src/shop/prices.py": """\
def price():
    'The price.'
    text = "as it is"  # a word
    return len(text)
""",
    "src/shop/shown.py": "def f():\n    return 1\n",
    "src/shop/talks.py": "def said():\n    'Said.'\n    return said.__doc__\n",
    "src/shop/child.py": "sold = 1\n",
    "src/shop/idle.py": "sold = 1\n",
    "src/projects/training/train.py": "rounds = 3\n",
    "src/projects/other/train.py": "rounds = 3\n",
    "data/rides.csv": "rides\n1\n",
    "data/other.csv": "rides\n1\n",
    "data/child.txt": "one",
    "data/questions/coding.yaml": "- id: one\n",
}


def write(course: build.Course, files: dict[str, str]) -> None:
    for name, text in files.items():
        (course.root / name).parent.mkdir(parents=True, exist_ok=True)
        (course.root / name).write_text(text, encoding="utf-8")


def shop(root: Path) -> build.Course:
    lesson = tiny.source(USES).replace("20 minutes of study", "25 minutes of study")  # more code to read
    course = tiny.course(root, lesson)
    write(course, SHOP)
    shutil.copy(ROOT / "data" / "births.parquet", course.root / "data" / "trips.parquet")
    shutil.copy(ROOT / "requirements.txt", course.root)
    return course


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A course whose lesson uses much; built once."""
    course = shop(tmp_path_factory.mktemp("a shop"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINY_COURSE", str(course.root))
        (one,) = build.build(course, [])
    assert one.faults == []
    return course


@pytest.fixture
def course(recorded, tmp_path):
    """A copy of it, to change."""
    copy = shop(tmp_path)
    shutil.copy(recorded.notebooks / "07_tiny.ipynb", copy.notebooks)
    assert build.check(copy) == []
    return copy


def edited(course: build.Course, name: str, old: str, new: str) -> list[str]:
    """Return what is stale after this edit of one file."""
    text = (course.root / name).read_text(encoding="utf-8")
    assert old in text
    (course.root / name).write_text(text.replace(old, new), encoding="utf-8")
    faults = build.check(course)
    assert len(faults) <= 1
    return [fault.partition(" stale: ")[2].partition(" changed since")[0] for fault in faults]


@pytest.mark.parametrize(
    "name, old, new, said",
    [
        ("src/shop/prices.py", "as it is", "as it was", ""),
        ("src/shop/child.py", "sold = 1", "sold = 2", ""),
        ("src/shop/shown.py", "return 1", "return 1  # one", "text of src/shop/shown.py"),
        ("src/shop/talks.py", "Said.", "Told.", ""),
        ("src/lessons/exercises/07_tiny.py", "return 2 * x", "return 2 * x  # twice", ""),
        ("data/rides.csv", "1", "2", ""),
        ("data/child.txt", "one", "two", ""),
        ("src/projects/training/train.py", "3", "4", ""),
        ("requirements.txt", "\njoblib==", "\njoblib==9.", "pin of joblib"),
        ("requirements.txt", "\nchevron==", "\nchevron==9.", "pin of chevron"),
        ("requirements.txt", "\nruff==", "\nruff==9.", "pin of ruff"),
        ("requirements.txt", "\nipykernel==", "\nipykernel==9.", "pin of ipykernel"),
    ],
    ids=[
        "a word in a module that another one imports",
        "a module that a child imports",
        "a comment in a module that is shown as text",
        "a docstring that is shown",
        "a comment in a solution, which is shown",
        "a file",
        "a file that a child reads",
        "a folder that is given to a program",
        "the pin of what is imported",
        "the pin of what a child imports",
        "the pin of a program",
        "the pin of the kernel",
    ],
)
def test_a_change_of_what_was_used_is_stale(course, name, old, new, said):
    assert edited(course, name, old, new) == [said or name]


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("src/shop/prices.py", "  # a word", "  # another\n    # and one more"),
        ("src/shop/prices.py", "The price.", "What it costs."),
        ("src/shop/prices.py", '"as it is"', "(\n        'as it '\n        'is'\n    )"),
        ("src/shop/__init__.py", "'A shop.'\n", ""),
        ("src/shop/idle.py", "1", "2"),
        ("data/other.csv", "1", "2"),
        ("src/projects/other/train.py", "3", "4"),
        ("requirements.txt", "\nshap==", "\nshap==9."),
    ],
    ids=[
        "a comment",
        "a docstring",
        "the layout",
        "no docstring",
        "a module that nobody imports",
        "a file that nobody reads",
        "another project",
        "the pin of what nobody imports",
    ],
)
def test_a_change_of_what_was_not_used_is_not(course, name, old, new):
    assert edited(course, name, old, new) == []


def test_a_file_more_is_stale_where_the_folder_was_listed(course):
    write(course, {"data/more.csv": "", "src/shop/more.py": ""})
    assert build.check(course) == []
    write(course, {"data/questions/more.yaml": ""})
    (fault,) = build.check(course)
    assert "stale: files in data/questions changed" in fault


def test_a_file_that_is_gone_is_stale(course):
    (course.root / "src" / "shop" / "prices.py").unlink()
    (fault,) = build.check(course)
    assert "stale: src/shop/prices.py changed" in fault


def test_a_binary_file_that_pandas_reads_is_seen(course):
    trips = course.root / "data" / "trips.parquet"
    trips.write_bytes(trips.read_bytes() + b"\n")
    (fault,) = build.check(course)
    assert "stale: data/trips.parquet changed" in fault


def test_a_module_that_is_edited_while_the_lesson_is_executed(course):
    """Its new hash would stand beside the outputs of the old one."""
    module = course.root / "src" / "shop" / "prices.py"

    class Editing:
        def run(self, notebook, on_cell):
            outcome = Outcome(build.load(course.notebooks / "07_tiny.ipynb"), 1.0, [], [f"run {module}"])
            future = time.time() + 1
            os.utime(module, (future, future))
            return outcome

    built = build.build_one(course, course.lessons / "07_tiny.py", Editing(), force=True)
    assert "07_tiny: src/shop/prices.py changed while the lesson was executed; build it again" in built.faults


def test_other_line_ends_are_no_change(course):
    for name in ("src/projects/training/train.py", "src/shop/shown.py", "data/rides.csv"):
        path = course.root / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert build.check(course) == []


def test_the_record_is_the_same_without_caches(recorded, tmp_path, monkeypatch):
    """No byte code, no font cache, another home folder, another place of the checkout."""
    cold = shop(tmp_path / "elsewhere")
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("TINY_COURSE", str(cold.root))
    (one,) = build.build(cold, [])
    assert one.faults == []
    stored = [course.notebooks / "07_tiny.ipynb" for course in (recorded, cold)]
    assert stored[0].read_bytes() == stored[1].read_bytes()


def test_what_the_loaders_read_is_seen(tmp_path):
    """pyarrow opens files in C, where no hook sees it; our loaders look into a file before."""
    code = "from course.data import *\nload_trips(), load_ridership(), load_stations(), load_births()"
    log = tmp_path / "record.log"
    env = environment(tmp_path) | recording(log, ROOT)
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    used = stamp.used(build.Course(ROOT), log.read_text(encoding="utf-8").splitlines())
    data = {name for name in used if name.startswith("data/")}
    assert data == {f"data/{name}.parquet" for name in ("trips/2019-01", "ridership", "stations", "births")}


def test_a_copy_of_the_checkout_is_built_from_its_own_modules(tmp_path):
    """With the environment of another checkout, whose modules would be run and the copy's hashed."""
    copy, log = tmp_path / "copy", tmp_path / "record.log"
    write(build.Course(copy), {"src/walkforward/__init__.py": ""})
    env = environment(tmp_path) | recording(log, copy)
    subprocess.run([sys.executable, "-c", "import walkforward"], env=env, check=True)
    used = stamp.used(build.Course(copy), log.read_text(encoding="utf-8").splitlines())
    assert used == {"src/walkforward/__init__.py"}


def test_nothing_is_recorded_of_this_machine(recorded):
    text = (recorded.notebooks / "07_tiny.ipynb").read_text(encoding="utf-8")
    assert str(recorded.root) not in text
    assert "site-packages" not in text
    inputs = build.load(recorded.notebooks / "07_tiny.ipynb").metadata.walkforward.inputs
    assert list(inputs) == sorted(inputs)
    versions = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for name in stamp.pinned(build.load(recorded.notebooks / "07_tiny.ipynb")):
        assert f"\n{name}=={inputs[f'pin of {name}'].split()[0]}" in versions


def test_outputs_are_compared_where_what_was_imported_has_its_version(course, monkeypatch):
    if "is not the reference" in reference(course)[1]:
        pytest.skip("nothing is compared here")
    lock = course.root / "requirements.txt"
    text = lock.read_text(encoding="utf-8")
    lock.write_text(text.replace("\nshap==", "\nshap==9."), encoding="utf-8")
    assert reference(course)[0]
    lock.write_text(text.replace("\njoblib==", "\njoblib==9."), encoding="utf-8")
    same, why = reference(course)
    assert not same
    assert "joblib" in why


# Code as parsed --------------------------------------------------------------------------------------------

SHOWN = '''
@click.command()
def run():
    """Run it."""


class Row(pydantic.BaseModel):
    """A row."""
'''


@pytest.mark.parametrize("word", ["Run it.", "A row."])
def test_a_docstring_that_a_library_may_show_counts(word):
    assert stamp.as_parsed(SHOWN) != stamp.as_parsed(SHOWN.replace(word, "Other."))


def test_docstrings_count_where_they_are_asked_for():
    one, other = 'def f():\n    """One."""\n    return 1\n', 'def f():\n    """Two."""\n    return 1\n'
    assert stamp.as_parsed(one) == stamp.as_parsed(other)
    assert stamp.as_parsed(one, docstrings=True) != stamp.as_parsed(other, docstrings=True)


@pytest.mark.parametrize(
    "cell, asks",
    [
        ("load_trips?", True),
        ("??course.data.load_trips", True),
        ("help(load_trips)", True),
        ("print(load_trips.__doc__)", True),
        ("rows = 1  # how many?", False),
        ("print('Why?')", False),
        ("parser.print_help()", False),
    ],
)
def test_which_cells_ask_for_docstrings(cell, asks):
    assert bool(stamp.ASKS_FOR_DOCSTRINGS.search(f"x = 1\n{cell}\n")) == asks


@pytest.mark.parametrize(
    "one, other",
    [
        ("x = 1", "x = 1.0"),
        ("x = 'a'", "x = b'a'"),
        ("f(a, b=1)", "f(a, c=1)"),
        ("x = f'{a}b'", "x = f'{a!r}b'"),
        ("def f(a, *, b=1): pass", "def f(a, b=1): pass"),
        ("{**a}", "{None: a}"),
        ("def f():\n    'a'\n    return 1", "def f():\n    return 1\n    'a'"),
        ("x = None", "x = True"),
    ],
)
def test_other_code_is_other(one, other):
    assert stamp.as_parsed(one) != stamp.as_parsed(other)


SYNTAX = """
from __future__ import annotations


@right(value=True)
async def f(a: int, /, b=(1, 2.5e-7, 3j, ...), *c, d=None, **e) -> "str":
    'Ein Docstring.'
    async with a as g, b:
        return f"{a!r:>{b}} {{x}} " "é\N{DEGREE SIGN}" f'{d=} {c["k"]}' + b"\\0".decode()


match x:
    case {"a": [1, *_], **rest} if not rest:
        lambda *, k=1: (yield)
    case Point(x=0) | None:
        del y[1:2, ::3]
try:
    z: int = [i async for i in q if (w := i)]
except* OSError as error:
    raise X from error
else:
    print(*{**u}, sep=u"", end=1_000 if a < b <= c else -1)
"""


def test_code_is_parsed_alike_by_every_python():
    """The gate also runs on Pythons that do not build the notebooks: this hash is of 3.11, 3.12 and 3.13."""
    digest = hashlib.sha256(stamp.as_parsed(SYNTAX, docstrings=True).encode()).hexdigest()
    assert digest == "f140c636aa1a732fba6d9b2637dbfebf600aa289d85d6198ce17e87cde6dd792"

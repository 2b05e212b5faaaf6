"""Each gate goes red when it should: a lesson without a fault is spoiled in one way, and the gate says so."""

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import compared
import psutil
import pytest
import run
import tiny
from solved import solved
from weekly import weekly

from authoring import build, execute
from authoring.execute import Runner

RUN = str(Path(run.__file__).resolve())
BUILD = str(Path(build.__file__).resolve())


def built(course: build.Course, force: bool = False) -> list[str]:
    (one,) = build.build(course, [], force=force)
    return one.faults


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A course whose lesson is built; the folder has a space in its name."""
    course = tiny.course(tmp_path_factory.mktemp("good course"), tiny.source(figure=tiny.FIGURE))
    assert built(course) == []
    return course


@pytest.fixture
def spoilable(good, tmp_path):
    """A copy of the good course, to spoil."""
    course = tiny.course(tmp_path, tiny.source(figure=tiny.FIGURE))
    stored = good.notebooks / "07_tiny.ipynb"
    (course.notebooks / stored.name).write_bytes(stored.read_bytes())
    assert build.check(course) == []
    return course


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def only(faults: list[str], *words: str) -> None:
    """Exactly one fault, with these words in it."""
    assert len(faults) == 1, faults
    for word in words:
        assert word in faults[0]


# What executing brings to light ----------------------------------------------------------------------------

BAD_CELLS = r"""
# %% name="warns"
import warnings

warnings.warn("old ways", stacklevel=1)

# %% name="volatile"
import uuid

print(uuid.UUID(int=7).hex, object(), "http://127.0.0.1:4567/#/runs")

# %% name="paths"
import os
import sys

print(os.path.abspath("data.csv"))

# %% name="clock"
from datetime import datetime, timezone

print(datetime.now(tz=timezone.utc))

# %% name="network"
import socket

try:
    socket.create_connection(("example.com", 80), timeout=1)
except OSError as error:
    message = str(error)

# %% name="subprocess"
import subprocess

call = "import socket; socket.socket().connect(('192.0.2.1', 80))"
hidden = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True).stderr

# %% name="loopback"
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
server.close()

# %% name="heavy"
import matplotlib.pyplot as plt
import numpy as np

plt.figure(figsize=(4, 4))
plt.imshow(np.random.default_rng(0).random((300, 300)))

# %% name="leaves"
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)

# %% name="raises"
1 / 0

# %% name="never"
print("a cell after the error")
"""


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """One lesson with every fault that only its execution shows; the course and its faults."""
    course = tiny.course(tmp_path_factory.mktemp("bad"), tiny.source(BAD_CELLS))
    return course, built(course)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["raises", "ZeroDivisionError: division by zero"], id="a raising cell"),
        pytest.param(["(warns)", "writes to stderr", "old ways"], id="a warning"),
        pytest.param(["(volatile)", "a run or model id"], id="a run id"),
        pytest.param(["(volatile)", "a memory address"], id="an address"),
        pytest.param(["(volatile)", "a port"], id="a port"),
        pytest.param(["(paths)", "an absolute path"], id="an absolute path"),
        pytest.param(["(clock)", "today's date"], id="the clock"),
        pytest.param(["reaches for the network", "example.com:80"], id="a network call, swallowed"),
        pytest.param(["reaches for the network", "192.0.2.1:80"], id="a network call of a subprocess"),
        pytest.param(["(heavy)", "at most 60"], id="a heavy figure"),
        pytest.param(["leaves a process running", "time.sleep(60)"], id="a process left"),
    ],
)
def test_what_executing_brings_to_light(bad, words):
    assert [fault for fault in bad[1] if all(word in fault for word in words)], "\n".join(bad[1])


def test_a_faulty_lesson_is_no_notebook_but_a_draft(bad):
    course, faults = bad
    assert not list(course.notebooks.iterdir())
    draft = json.loads((course.drafts / "07_tiny.ipynb").read_text(encoding="utf-8"))
    cells = {cell["id"]: cell for cell in draft["cells"]}
    assert "7" in "".join(cells["volatile"]["outputs"][0]["text"])
    assert not cells["never"]["outputs"]
    assert "loopback" not in "\n".join(faults)
    assert build.check(course), "the gate must be red as long as there is no notebook"


def test_the_network_guard_says_what_to_do(tmp_path):
    from authoring.execute import environment

    call = "import socket; socket.create_connection(('example.com', 443))"
    done = subprocess.run(
        [sys.executable, "-c", call], env=environment(tmp_path), capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 1
    assert "NetworkBlocked: the network is blocked while lessons are built" in done.stderr
    assert "example.com:443" in (tmp_path / "network.log").read_text(encoding="utf-8")


def test_an_exception_shown_on_purpose_is_no_fault(tmp_path):
    lesson = tiny.source('\n# %% tags=["raises-exception"]\n1 / 0\n\n# %% name="after"\nprint("on")\n')
    course = tiny.course(tmp_path, lesson)
    assert built(course) == []
    cells = {cell.id: cell for cell in build.load(course.notebooks / "07_tiny.ipynb").cells}
    assert cells["after"].outputs[0].text == "on\n"


# Stale (what a lesson used: test_stamp.py), edited, missing, orphaned --------------------------------------


def test_building_again_changes_no_byte(good):
    path = good.notebooks / "07_tiny.ipynb"
    before = path.read_bytes()
    assert built(good, force=True) == []
    assert path.read_bytes() == before


def test_what_has_not_changed_is_not_executed(good):
    (one,) = build.build(good, [])
    assert one.seconds is None


def test_a_changed_text_is_stale_and_executes_nothing(spoilable):
    source = spoilable.lessons / "07_tiny.py"
    source.write_text(
        source.read_text(encoding="utf-8").replace("Counting works", "Counting helps"), encoding="utf-8"
    )
    only(build.check(spoilable), "stale", "its text changed")
    (one,) = build.build(spoilable, [])
    assert (one.seconds, one.faults) == (None, [])
    assert build.check(spoilable) == []


def test_changed_code_is_stale(spoilable):
    edit(spoilable.lessons / "07_tiny.py", "n = 3", "n = 4")
    only(build.check(spoilable), "stale", "code changed")


def test_a_changed_exercise_module_is_stale(spoilable):
    module = spoilable.lessons / "exercises" / "07_tiny.py"
    module.write_text(module.read_text(encoding="utf-8") + "\n# more\n", encoding="utf-8")
    only(build.check(spoilable), "stale", "src/lessons/exercises/07_tiny.py changed")


@pytest.mark.parametrize(
    "old, new",
    [
        ("You can count", "You could count"),
        ("5.824", "5.834"),
        ('"execution_count": 2', '"execution_count": 9'),
    ],
    ids=["text", "output", "count"],
)
def test_a_notebook_edited_by_hand(spoilable, old, new):
    edit(spoilable.notebooks / "07_tiny.ipynb", old, new)
    only(build.check(spoilable), "edited by hand")


def test_a_missing_notebook(spoilable):
    (spoilable.notebooks / "07_tiny.ipynb").unlink()
    only(build.check(spoilable), "missing")


def test_a_broken_notebook(spoilable):
    (spoilable.notebooks / "07_tiny.ipynb").write_text('{"cells": [', encoding="utf-8")
    only(build.check(spoilable), "is not a notebook")


def test_a_notebook_without_a_source(spoilable):
    (spoilable.notebooks / "08_gone.ipynb").write_text("{}", encoding="utf-8")
    only(build.check(spoilable), "08_gone.ipynb has no source")


# Prose against outputs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("**5.82**", "**5.92**", ["the number 5.92", "says 5.824"]),
        ("70,000<", "80,000<", ["the number 80,000", "says 69812"]),
        ("Counting works", "Counting takes 1.5 minutes", ["the number 1.5", "has no mark"]),
        ("[linear, rmse]", "[lasso, rmse]", ["no table of scores has [lasso, rmse]"]),
        ("=scores[linear, rmse]", "=gone[linear, rmse]", ["no code cell is named 'gone'"]),
    ],
    ids=["wrong", "wrong, rounded", "unmarked", "no such row", "no such cell"],
)
def test_a_number_in_prose(spoilable, old, new, words):
    edit(spoilable.lessons / "07_tiny.py", old, new)
    faults = built(spoilable)
    only(faults[:-1], *words)  # the last line says where the draft is
    assert build.check(spoilable)


def test_a_figure_that_no_words_describe(spoilable):
    source = spoilable.lessons / "07_tiny.py"
    text = source.read_text(encoding="utf-8")
    source.write_text(
        text.replace("*Figure: a line that rises from one to three.*", "A line."), encoding="utf-8"
    )
    only(built(spoilable)[:-1], "(figure) shows a figure without alt text")


# Outputs against a new execution ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def again(good):
    """The good lesson executed once more, with its exercises filled in and another order of sets."""
    (path,) = good.sources()
    notebook = build.generate(build.read_lesson(path), solved=True)
    return Runner().run(notebook, strict=True, hash_seed=1)


@pytest.fixture
def stored(good):
    return build.load(good.notebooks / "07_tiny.ipynb")


def cell(notebook, name):
    (found,) = [one for one in notebook.cells if one.id == name]
    return found


def test_solved_again_it_gives_what_is_stored(again, stored):
    assert again.faults == []
    assert compared.differences(stored, again.notebook) == []
    assert cell(stored, "figure").outputs


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        (
            "scores",
            lambda c: c.outputs[0].update(text="linear  rmse 5.825 of 3\n"),
            ["-linear  rmse 5.825", "+linear  rmse 5.824"],
        ),
        ("scores", lambda c: c.outputs.pop(0), ["+linear  rmse 5.824"]),
        ("scores", lambda c: c.outputs[0].update(name="stderr"), ["-[stderr]"]),
        (
            "scores",
            lambda c: c.outputs[1].data.update({"text/html": "another"}),
            ["the same text, another text/html"],
        ),
        ("figure", lambda c: c.outputs[0].data.update({"image/png": picture(90)}), ["another image/png"]),
    ],
    ids=["a number", "an output more", "a warning", "another table", "another figure"],
)
def test_an_output_that_is_not_the_stored_one_is_seen(again, stored, name, spoil, words):
    spoil(cell(stored, name))
    only(compared.differences(stored, again.notebook), f"cell {name} (", "gives other outputs", *words)


def test_a_cell_that_shows_what_a_machine_has_is_not_compared(again, stored):
    scores = cell(stored, "scores")
    scores.outputs = []
    scores.metadata["tags"] = ["nbval-ignore-output"]
    assert compared.differences(stored, again.notebook) == []


def picture(lightness, spots=0):
    """A PNG of a hundred by eighty pixels in one grey, `spots` of them black; encoded as in a notebook."""
    from PIL import Image

    image, file = Image.new("L", (100, 80), lightness), io.BytesIO()
    for spot in range(spots):
        image.putpixel((spot, spot), 0)
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_figure_may_differ_in_a_pixel_of_a_thousand_and_not_in_more():
    assert compared.same_picture(picture(200), picture(200, spots=8))
    assert not compared.same_picture(picture(200), picture(200, spots=9))
    assert compared.same_picture(picture(200), picture(201)), "rounding"
    assert not compared.same_picture(picture(200), picture(230))


def test_another_lesson_than_the_stored_one_is_no_comparison(again, stored):
    del stored.cells[-4]
    only(compared.differences(stored, again.notebook), "the stored notebook has other cells", "build it")
    only(compared.differences(None, again.notebook), "there is no stored notebook", "build it")


CHECKS_ITSELF = """
# %%
import os


def check(answer):
    right = answer(2) in (4, 6)
    if not right and os.environ.get("WALKFORWARD_STRICT") == "1":
        raise AssertionError(f"{answer.__name__} does not pass")
    return right
"""


def test_a_failing_solution_and_a_check_that_stays_blank_are_seen(tmp_path):
    """Strict, the first raises; and whatever a check is, it must say that the exercise has passed."""
    lesson = tiny.source().replace("\ncheck = type\n", CHECKS_ITSELF)
    course = tiny.course(tmp_path, lesson)
    module = course.lessons / "exercises" / "07_tiny.py"
    edit(module, "return 2 * x", "return 5 * x")
    (path,) = course.sources()
    outcome = Runner().run(build.generate(build.read_lesson(path), solved=True), strict=True)
    assert len(outcome.faults) == 1 and "AssertionError: double does not pass" in outcome.faults[0]


def test_each_exercise_must_say_that_it_has_passed(again):
    notebook = deepcopy(again.notebook)
    double, triple = (one for one in notebook.cells if one.source.startswith("check("))
    says = "exercise double: filled with its solution, its check says"
    assert compared.unpassed(notebook)[0].startswith(f"{says} 'function'")
    double.outputs[0].data["text/plain"] = "✓ double: 1 of 1 checks passed"
    triple.outputs[0].data["text/plain"] = "○ triple: not attempted yet."
    only(compared.unpassed(notebook), "exercise triple", "its check says '○ triple: not attempted yet.'")
    triple.outputs = []
    only(compared.unpassed(notebook), "exercise triple", "its check says ''")
    triple.source += "; 1"
    only(compared.unpassed(notebook), "exercise triple: no cell is its check alone")


@weekly("the comparison is tests/compared.py's; nbval compares the blank notebooks weekly")
def test_nbval_sees_a_changed_output(good, tmp_path):
    stored = (good.notebooks / "07_tiny.ipynb").read_text(encoding="utf-8")
    (tmp_path / "same.ipynb").write_text(stored, encoding="utf-8")
    (tmp_path / "changed.ipynb").write_text(stored.replace("rmse 5.824", "rmse 5.825"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--nbval", "-p", "no:cacheprovider", "--rootdir", ".", "."],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
    )
    failed = re.findall(r"^FAILED (\w+)\.ipynb", done.stdout, flags=re.MULTILINE)
    assert (done.returncode, failed) == (1, ["changed"]), done.stdout


def test_a_wrong_solution_is_seen(tmp_path):
    """The run with the exercises filled in fails when a check does."""
    lesson = build.read_lesson(tiny.course(tmp_path, tiny.source()).lessons / "07_tiny.py")
    notebook = build.generate(lesson, solved=True)
    assert "return 2 * x" in "".join(cell.source for cell in notebook.cells)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    code[-3].source = "assert double(2) == n + 3, n"
    outcome = Runner().run(notebook, parameters=lesson.ci, strict=True)
    assert "AssertionError: 2" in outcome.faults[0], "the parameters of the small run must arrive"


# The whole run --------------------------------------------------------------------------------------------


SWALLOWED = """
import socket


def test_it():
    try:
        socket.create_connection(("example.com", 80))
    except OSError:
        pass
"""


def test_the_whole_run_is_red_when_a_test_reached_for_the_network(tmp_path):
    test = tmp_path / "test_swallowed.py"
    test.write_text(SWALLOWED, encoding="utf-8")
    command = [sys.executable, RUN, str(test), "-n", "0"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert "reached for the network: example.com:80" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 passed, 1 error in")


@pytest.mark.parametrize(("weekly", "spared"), [("0", 1), ("1", 0)], ids=["each push", "WEEKLY=1"])
def test_the_whole_run_is_red_when_a_part_has_no_test(tmp_path, monkeypatch, weekly, spared):
    monkeypatch.setenv("WALKFORWARD_WEEKLY", weekly)
    monkeypatch.setenv("WALKFORWARD_OFFLINE_LOG", str(tmp_path / "network.log"))

    class Session:
        exitstatus = 0
        stats: ClassVar[dict] = {}

        class config:
            class pluginmanager:
                @staticmethod
                def get_plugin(name):
                    return Session

    run.Parts(narrowed=False, compared="").pytest_sessionfinish(Session)
    assert Session.exitstatus == 1
    said = [report.longrepr for report in Session.stats["error"]]
    assert f"no test of the part «{run.BROWSER}» ran" in said
    assert len(said) == len(run.PARTS) - spared


def test_each_test_belongs_to_a_part_and_a_lesson_stays_together():
    assert run.part_of("../x y/03_tracking-again.ipynb::Cell 3") == run.BLANK
    assert run.part_of("tests/gates/test_lessons.py::test_solved[03_tracking]") == run.SOLVED
    assert run.part_of("tests/gates/test_lessons.py::test_smaller[03_tracking]") == run.SMALLER
    assert run.part_of("tests/gates/test_lessons.py::test_check[03_tracking]") == run.LESSONS
    assert run.part_of("tests/live/test_servers.py::test_x") == run.UNIT
    lesson = ["a/11b_drift.ipynb::Cell 1", "a/11b_drift-again.ipynb::Cell 9"]
    lesson += [
        "tests/gates/test_lessons.py::test_solved[11b_drift]",
        "tests/gates/test_lessons.py::test_smaller[11b_drift]",
    ]
    lesson += ["tests/test_lesson_11b.py::test_x[1]"]
    lesson += ["tests/lessons/test_lesson_11b.py::test_y"]
    assert {run.group_of(test) for test in lesson} == {"lesson_11b"}
    assert run.group_of("a/11a_monitoring.ipynb::Cell 1") == "lesson_11a"
    assert run.group_of("tests/gates/test_lessons.py::test_check[11b_drift]") == "tests/gates/test_lessons.py"
    assert run.group_of("tests/live/test_servers.py::test_x") == "tests/live/test_servers.py"


EXECUTES = """
from pathlib import Path
from authoring import build
from authoring.execute import Runner

def test_it():
    lesson = build.read_lesson(Path({root!r}) / "src" / "lessons" / "I4_behavioural.py")
    notebook = build.generate(lesson)
    notebook.cells = notebook.cells[:1]
    assert Runner().run(notebook).faults == []
"""


@pytest.mark.parametrize(("allowed", "exit_code"), [(1, 0), (0, 1)], ids=["within", "over"])
def test_the_whole_run_is_red_when_lessons_are_executed_too_often(tmp_path, monkeypatch, allowed, exit_code):
    """What really ran is counted, by the executor."""
    test = tmp_path / "test_executes.py"
    test.write_text(EXECUTES.format(root=str(run.ROOT)), encoding="utf-8")
    monkeypatch.setenv("WALKFORWARD_WEEKLY", "0")
    code = (
        f"import sys; sys.path[:0] = [{str(Path(RUN).parent)!r}]; import run; run.VARIATIONS = {allowed}; "
        f"run.over_budget = lambda executed, lessons, judge=run.over_budget: judge(executed, 0); "
        f"sys.exit(run.inner({str(tmp_path)!r}, [{str(test)!r}, '-n', '0']))"
    )
    env = execute.environment(tmp_path) | {
        "WALKFORWARD_EXECUTIONS": str(tmp_path / "network.log.executions"),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", env=env)
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert "executions of notebooks: 1 by tests, 0 by nbval" in done.stdout
    assert ("executed 1 times, allowed are 0 + 0" in done.stdout) == bool(exit_code)


def test_the_budget_is_one_execution_a_lesson_and_the_variations():
    assert run.over_budget(20 + run.VARIATIONS, 20) == ""
    assert "tests/weekly.py" in run.over_budget(21 + run.VARIATIONS, 20)


def test_quick_skips_what_passed_with_the_fingerprint_that_it_has_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PASSED", tmp_path / "build" / "passed.json")
    monkeypatch.setattr(run, "fingerprints", lambda: {"a": "1", "b": "2", "11b_c": "3"})
    assert run.passed_before() == []
    run.Parts(narrowed=False, compared="notebooks: executed, outputs not compared")._remember()
    parts = run.Parts(narrowed=False, compared="notebooks: outputs compared")
    parts.solved, parts.failed = {"a", "11b_c"}, {"lesson_11b"}
    parts._remember()
    assert run.passed_before() == ["a"]
    monkeypatch.setattr(run, "fingerprints", lambda: {"a": "another", "b": "2"})
    assert run.passed_before() == []
    parts.failed.add("lesson_a")
    parts._remember()
    assert json.loads(run.PASSED.read_text("utf-8")) == {}


def test_quick_says_what_it_does_not_solve_again(monkeypatch):
    monkeypatch.setenv("WALKFORWARD_PASSED", "00_start_here 03_tracking")
    with pytest.raises(pytest.skip.Exception, match="QUICK=1: the lesson passed with this stamp"):
        solved("03_tracking")


def test_the_record_is_what_a_run_has_printed(tmp_path, monkeypatch):
    log = tmp_path / "log"
    log.write_text(
        "==== time by part ====\nunit tests                    79.8 s   1 failed\n"
        "executions of notebooks: 26 by tests, 0 by nbval\n"
        "==== longest groups ====\nlesson_03                    104.0 s\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(run, "RECORD", tmp_path / "tests.md")
    run.record(log)
    assert "executions of notebooks: 26 by tests, 0 by nbval" in run.RECORD.read_text("utf-8")
    assert "| unit tests | 79.8 |" in run.RECORD.read_text("utf-8")
    assert run.recorded_seconds()["lesson_03"] == 104.0
    assert run.recorded_seconds()["lesson_I1"] < 60, "of a lesson alone: benchmarks/lessons.md"


def test_what_was_never_measured_is_not_started_last():
    recorded = {"lesson_03a": 40.0, "lesson_04": 90.0, "tests/live/test_servers.py": 60.0}
    assert run.expected("lesson_03a", recorded) == 40
    assert run.expected("lesson_04b", recorded) == 90, "cut from lesson 04"
    assert run.expected("lesson_20", recorded) == run.A_LESSON
    assert run.expected("tests/unit/test_data.py", recorded) == 0


ENDED = "import os; print(os.getpid())"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the place")
def test_what_tests_write_is_kept_in_memory_only_where_there_is_room_for_it(tmp_path, monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(run, "MEMORY", tmp_path)
    plenty = SimpleNamespace(f_bavail=2**40, f_frsize=1, f_flag=0)
    monkeypatch.setattr(run.psutil, "virtual_memory", lambda: SimpleNamespace(available=2**40))
    ended = subprocess.run([sys.executable, "-c", ENDED], capture_output=True, encoding="utf-8").stdout
    for pid in (ended.strip(), os.getpid(), "x"):
        (tmp_path / f"walkforward-{pid}-abc").mkdir()

    def found(**change):
        monkeypatch.setattr(run.os, "statvfs", lambda path: SimpleNamespace(**vars(plenty) | change))
        return run.in_memory()

    assert found() == tmp_path
    left = sorted(path.name for path in tmp_path.glob("walkforward-*"))
    assert left == sorted([f"walkforward-{os.getpid()}-abc", "walkforward-x-abc"]), "a killed run's is gone"
    assert found(f_bavail=run.ROOM - 1) is None
    assert found(f_flag=os.ST_NOEXEC) is None
    monkeypatch.setattr(run.psutil, "virtual_memory", lambda: SimpleNamespace(available=run.ROOM))
    assert found() is None, "half of the memory stays free"
    monkeypatch.setattr(run, "MEMORY", tmp_path / "no such place")
    assert found() is None
    monkeypatch.setattr(run, "MEMORY", tmp_path)
    monkeypatch.setattr(run.psutil, "virtual_memory", lambda: SimpleNamespace(available=2**40))
    assert found() == tmp_path
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    assert found() is None, "who names a place gets it"


# Ctrl-C ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process alone")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_ending_a_build_leaves_nothing(tmp_path, end):
    sleeps = "\n# %%\nimport pathlib\nimport time\n\npathlib.Path({!r}).touch()\ntime.sleep(120)\n"
    started = tmp_path / "started"
    course = tiny.course(tmp_path / "a course", tiny.source(sleeps.format(str(started))))
    old = course.notebooks / "07_tiny.ipynb"
    old.write_text("as it was", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, BUILD, "--root", str(course.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not started.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert started.exists()
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 2, "the process that executes, and its kernel"
    os.kill(process.pid, end)
    _, errors = process.communicate(timeout=30)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert [path.name for path in course.notebooks.iterdir()] == ["07_tiny.ipynb"]
    assert old.read_text(encoding="utf-8") == "as it was"
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert "stopped: no notebook is half written, no kernel is left" in errors
        assert "Traceback" not in errors

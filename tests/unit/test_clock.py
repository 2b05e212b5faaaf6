"""The clock of a kata in a notebook: said after the check of an attempt, and stored nowhere."""

from types import SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell

from course import exercise
from course.exercise import clock


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path))
    monkeypatch.setattr(clock, "_started", {})
    monkeypatch.setattr(exercise, "_last", {})


def middle_element(items):
    return items[0]


def test_the_check_of_an_attempt_reads_the_clock(monkeypatch):
    now = iter([0.0, 372.0, 1000.0])
    monkeypatch.setattr(clock, "monotonic", lambda: next(now))
    assert clock.start("middle_element").startswith("15 minutes for `middle_element`")
    assert clock.taken("exercise.check(middle_element)") == [], "nothing was checked yet"
    exercise.check(middle_element)
    assert clock.taken("exercise.check(middle_element)") == ["middle_element: 6:12 of 15:00"]
    assert clock.taken("exercise.check( middle_element )") == ["middle_element: 16:40 of 15:00, 1:40 over"]


def test_a_stub_and_another_cell_say_nothing():
    clock.start("middle_element", minutes=5)
    stub = lambda items: exercise.TODO  # noqa: E731
    stub.__name__ = "middle_element"
    exercise.check(stub)
    assert clock.taken("exercise.check(middle_element)") == []
    exercise.check(middle_element)
    assert clock.taken("middle_element([1, 2])") == []
    assert clock.taken("exercise.check(middle_element_of_mine)") == []


def test_an_unknown_exercise_is_refused():
    with pytest.raises(exercise.ExerciseError, match="no exercise is called 'midle_element'"):
        clock.start("midle_element")


@pytest.fixture
def shell(monkeypatch):
    """An IPython shell, as a notebook's kernel has one; its own, whatever ran in this process before."""
    shell = InteractiveShell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    return shell


def test_in_a_notebook_the_line_follows_the_cell(shell, capsys):
    shell.user_ns.update(exercise=exercise, clock=clock, middle_element=middle_element)
    shell.run_cell('clock.start("middle_element");')
    shell.run_cell("exercise.check(middle_element);")
    assert "middle_element: 0:00 of 15:00" in capsys.readouterr().out
    shell.run_cell("other = 1")
    assert capsys.readouterr().out == ""


def test_without_a_source_nothing_is_said(capsys):
    clock._say(SimpleNamespace(info=SimpleNamespace(raw_cell=None)))
    assert capsys.readouterr().out == ""

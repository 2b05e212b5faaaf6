"""Exercises: what a student calls in a notebook, and what an author writes in a module.

Notebook: `check(keep_plausible)`, `check(champion=champion)` for what is not a function; `hint`, `solution`.
Module `src/lessons/exercises/<stem>.py`: `@right` marks the solution (its docstring is the task), `@checks` a
check (it asserts; its docstring is the hint), `@wrong` a wrong answer that people give, `@also_right` a right
one written in another way. With `@right(value=True)` the answer is what the function returns; its
parameters are names of the notebook, which the module's `context()` gives when it is proved.
"""

import os
from typing import Any

from course import progress
from course.exercise.result import Exercise, Note, Result, also_right, checks, right, wrong
from course.exercise.source import TODO, ExerciseError, find, load, solution_source, stub_source

__all__ = ["TODO", "Exercise", "ExerciseError", "ExerciseFailed", "Note", "Result", "check", "checks", "hint"]
__all__ += ["also_right", "load", "right", "solution", "solution_source", "stub_source", "wrong"]


class ExerciseFailed(AssertionError):
    """Raised in strict mode only: the answer did not pass."""


_last: dict[str, Result] = {}  # by exercise: what hint("champion") speaks of


def _run(answer: tuple, named: dict[str, Any]) -> Result:
    """Find the exercise that is meant and run its checks; a bare name brings back its last result."""
    if len(answer) + len(named) != 1:
        raise ExerciseError("one answer at a time: check(my_function), or check(name=value) for a value")
    ((name, given),) = named.items() if named else [(getattr(answer[0], "__name__", answer[0]), answer[0])]
    if not isinstance(name, str):
        raise ExerciseError(
            f"whose answer is this {type(given).__name__}? Use check(my_function) or check(name=value)"
        )
    exercise = getattr(load(find(name)), name).exercise
    if named or not isinstance(given, str):
        _last[name] = exercise.run(given)
    return _last.get(name, Result(exercise, "not attempted"))


def check(*answer: Any, strict: bool | None = None, **named: Any) -> Result:
    """Check one answer, `check(my_function)` or `check(champion=champion)`, and keep the progress.

    Unknown name: `ExerciseError`. No pass and `strict` (or WALKFORWARD_STRICT=1): `ExerciseFailed`.
    """
    if answer and isinstance(answer[0], str):
        raise ExerciseError(f"give the answer itself, by its name: check({answer[0]}={answer[0]})")
    result = _run(answer, named)
    if result.status != "not attempted":
        progress.record(result.exercise.name, result.exercise.path.stem, result.status)
    strict = os.environ.get("WALKFORWARD_STRICT", "") not in ("", "0") if strict is None else strict
    if strict and not result.passed:
        raise ExerciseFailed(repr(result))
    return result


def hint(*answer: Any, **named: Any) -> Note:
    """Return the hint for your answer as it is now; for a value give its name: `hint("champion")`."""
    return _run(answer, named).hint()


def solution(*answer: Any, **named: Any) -> Note:
    """Return the course's solution: `solution(my_function)` or `solution("champion")`."""
    return _run(answer, named).solution()

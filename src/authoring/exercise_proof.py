"""The proof of an exercise module: its checks accept the solution, and each refuses what it is there for."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from course.exercise import TODO, Exercise, ExerciseError, load, solution_source, stub_source


def prove(path: Path | str, only: str | None = None) -> list[str]:
    """Return the problems of every exercise in a module (or of `only` one); empty means proved.

    Proved means: the blank stub is "not attempted"; `None` fails; each wrong answer is refused first by the
    check it names, with a message and without that check crashing; each check refuses at least one wrong
    answer; every right answer written in another way passes; and after all that the solution, as students
    see it, passes. Records no progress.
    """
    return list(problems(path, only))


def problems(path: Path | str, only: str | None = None) -> Iterator[str]:
    """Give the problems that `prove` returns, one by one as they are found."""
    path = Path(path)
    try:
        module = load(path)
    except Exception as error:
        yield f"{path.name} can't be loaded: {type(error).__name__}: {error}"
        return
    found = [f.exercise for f in vars(module).values() if isinstance(getattr(f, "exercise", None), Exercise)]
    chosen = [exercise for exercise in found if only in (None, exercise.name)]
    if not chosen:
        yield f"{path.name} holds no exercise {only or ''}".rstrip()
    for exercise in chosen:
        yield from (f"{exercise.name}: {problem}" for problem in _problems(exercise, module))


def _problems(exercise: Exercise, module: ModuleType) -> Iterator[str]:
    checks = [check.__name__ for check in exercise.checks]
    named = [check.__name__ for _, check in exercise.wrong]
    yield from (f"two checks are called {name}" for name, count in Counter(checks).items() if count > 1)
    yield from (
        f"check {c.__name__} has no docstring: it is the hint" for c in exercise.checks if not c.__doc__
    )
    yield from (f"check {name} has no wrong answer to catch" for name in checks if name not in named)
    if not checks:
        yield "it has no check"
        return
    for label, make, status, caught_by in _answers(exercise, module):
        try:
            result = exercise.run(make())
        except Exception as error:
            yield f"{label} can't be made: {type(error).__name__}: {error}"
            continue
        at = checks[result.done] if result.status == "failed" and result.done < len(checks) else "no check"
        if result.crashed:
            yield f"check {at} crashes on {label}: {result.message}; assert the type first"
        elif result.status != status:
            yield f"{label} is {result.status}, must be {status} ({at}: {result.message})"
        elif caught_by not in (None, at):
            yield f"{label} is caught by {at}, not by {caught_by}, which it names"
        elif status == "failed" and not result.message:
            yield f"check {at} refuses {label} without a message"


def _answers(
    exercise: Exercise, module: ModuleType
) -> Iterator[tuple[str, Callable[[], Any], str, str | None]]:
    """Give what is tried: label, how the answer is made, status it must get, check that must refuse it."""
    names = getattr(module, "context", dict)

    def run(source: Callable[[Path, str], str]) -> Any:
        cell = {**vars(module), **names(), "TODO": TODO}
        exec(compile(source(exercise.path, exercise.name), exercise.name, "exec"), cell)
        return cell[exercise.name]

    def value(function: Callable) -> Any:
        given, wanted = names(), inspect.signature(function).parameters
        if missing := [name for name in wanted if name not in given]:
            raise ExerciseError(f"context() gives no {', '.join(missing)}")
        return function(**{name: given[name] for name in wanted})

    yield "the blank stub", lambda: run(stub_source), "not attempted", None
    yield "None", lambda: None if exercise.value else lambda *args, **kwargs: None, "failed", None
    for wrong, check in exercise.wrong:
        make = (lambda wrong=wrong: value(wrong)) if exercise.value else (lambda wrong=wrong: wrong)
        yield f"wrong answer {wrong.__name__}", make, "failed", check.__name__
    for other in exercise.also_right:
        make = (lambda other=other: value(other)) if exercise.value else (lambda other=other: other)
        yield f"right answer {other.__name__}", make, "passed", None
    # Last, because by then a wrong answer has spoilt any data that checks share instead of making it afresh.
    yield "the solution (tried last)", lambda: run(solution_source), "passed", None

"""An exercise with its checks, and what a student sees of them; `course.exercise` is the door."""

import functools
import html
import inspect
import linecache
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course.exercise.source import TODO, NotAttempted, solution_source


@dataclass
class Exercise:
    """One exercise: its checks in order, pairs of wrong answer and catching check, other right answers."""

    name: str
    path: Path
    value: bool
    checks: list[Callable] = field(default_factory=list)
    wrong: list[tuple[Callable, Callable]] = field(default_factory=list)
    also_right: list[Callable] = field(default_factory=list)

    def run(self, answer: Any) -> "Result":
        """Run the checks in order on `answer`, up to the first that fails. Records nothing."""
        if answer is TODO:
            return Result(self, "not attempted")
        if not (self.value or callable(answer)):
            return Result(self, "failed", message=f"Give a function, not this {type(answer).__name__}.")
        raised: list[BaseException] = []  # by the student's function, as opposed to a check

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                returned = answer(*args, **kwargs)
                return TODO() if returned is TODO else returned
            except BaseException as error:
                raised.append(error)
                raise

        given = answer if self.value else functools.wraps(answer)(call)
        for done, one in enumerate(self.checks):
            message, crashed = None, False
            try:
                one(given)
            except (Exception, SystemExit) as error:
                theirs = any(error is other for other in raised)
                crashed = not (theirs or isinstance(error, AssertionError))
                message = str(error)
                if theirs or crashed:
                    message = f"{type(error).__name__}: {error}{_line(error, answer)}"
            # Asked after every check, because a check may swallow what a TODO raises.
            if any(isinstance(error, NotAttempted) for error in raised):
                return Result(self, "not attempted")
            if message is not None:
                return Result(self, "failed", done, re.sub(r" at 0x[0-9a-fA-F]+", "", message), crashed)
        return Result(self, "passed", len(self.checks))


def _line(error: BaseException, function: Any) -> str:
    """Say where in `function` the error came up, or nothing."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    for line in [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code is code][-1:]:
        source = linecache.getline(code.co_filename, line).strip()
        return f"\nin line {line - code.co_firstlineno + 1} of your function: {source}"
    return ""


class Note(str):
    """A hint or a solution: text, shown as Markdown where that can be."""

    __repr__ = _repr_markdown_ = str.__str__


@dataclass(repr=False)
class Result:
    """What the checks said; `done` of them passed. `crashed`: a check stopped instead of judging."""

    exercise: Exercise
    status: str
    done: int = 0
    message: str = ""
    crashed: bool = False

    @property
    def passed(self) -> bool:
        """Did every check pass?"""
        return self.status == "passed"

    def hint(self) -> Note:
        """Return the hint of the first check that does not pass yet."""
        return Note("It passes." if self.passed else inspect.getdoc(self.exercise.checks[self.done]))

    def solution(self) -> Note:
        """Return the course's solution as code."""
        return Note(f"```python\n{solution_source(self.exercise.path, self.exercise.name)}\n```")

    def _lines(self) -> list[str]:
        name, titles = self.exercise.name, [one.__name__.replace("_", " ") for one in self.exercise.checks]
        if self.status == "not attempted":
            return [f"○ {name}: not attempted yet. Replace TODO with your answer and run this cell again."]
        failing = titles[self.done : self.done + 1]
        shown = [*map("✓ {}".format, titles[: self.done]), *map("✗ {}".format, failing)]
        return [f"{'✓' if self.passed else '✗'} {name}: {self.done} of {len(titles)} checks passed", *shown]

    def __repr__(self) -> str:
        call = f'"{self.exercise.name}"' if self.exercise.value else self.exercise.name
        more = "" if self.passed else f"\nStuck? exercise.hint({call}), then exercise.solution({call})"
        return "\n  ".join(self._lines()) + f"\n{self.message}".rstrip().replace("\n", "\n      ") + more

    def _repr_html_(self) -> str:
        # A sign, words, and blue or vermilion, which every kind of colour vision tells apart; no background.
        colour = {"passed": "#0072B2", "failed": "#D55E00"}.get(self.status, "#888888")
        head, *rest = map(html.escape, self._lines())
        text = f"<pre>{html.escape(self.message)}</pre>" if self.message else ""
        hint = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(self.hint()))
        code = html.escape(solution_source(self.exercise.path, self.exercise.name))
        hint = "" if self.passed else f"<details><summary>Hint</summary><p>{hint}</p></details>"
        code = f"<details><summary>Solution</summary><pre><code>{code}</code></pre></details>"
        body = f"<b>{head}</b>{''.join(f'<br>{line}' for line in rest)}{text}{hint}{code}"
        return f'<div style="border-left: 4px solid {colour}; padding-left: 12px">{body}</div>'


def right(function: Callable | None = None, *, value: bool = False) -> Callable:
    """Mark the solution of an exercise named like the function."""
    if function is None:
        return functools.partial(right, value=value)
    function.exercise = Exercise(function.__name__, Path(function.__code__.co_filename), value)
    return function


def checks(target: Callable) -> Callable:
    """Mark a check of the exercise `target`; checks run in the order in which they are written."""
    return lambda one: target.exercise.checks.append(one) or one


def wrong(target: Callable, *, caught_by: Callable) -> Callable:
    """Mark a wrong answer to the exercise `target` that the check `caught_by` must be the first to refuse."""
    return lambda answer: target.exercise.wrong.append((answer, caught_by)) or answer


def also_right(target: Callable) -> Callable:
    """Mark a right answer to the exercise `target` written in another way; every check must accept it."""
    return lambda answer: target.exercise.also_right.append(answer) or answer

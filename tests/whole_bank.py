"""The question bank of the course, read once in a process: many modules of tests ask for it as they load."""

from functools import cache

from course.practice.bank import FOLDER, Question, load_bank


@cache
def _read() -> tuple[Question, ...]:
    return tuple(load_bank(FOLDER))


def whole_bank() -> list[Question]:
    """Return the questions of the course's bank, in a list of the caller's own; don't change a question."""
    return list(_read())

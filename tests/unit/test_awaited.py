"""What the bank still owes: questions whose lesson is to come, counted down lesson by lesson."""

from collections import Counter

import pytest

from course.practice.bank import NOTEBOOKS, Question, load_bank

# The lessons to come, and how many questions at most await each. Lower a number when a question got its cell
# (`shows` in place of `awaits`), take the line out when the lesson stands; no number ever rises.
TO_COME = {
    "17c": 0,
    "I5": 0,
}


def faults(bank: list[Question], there: set[str]) -> list[str]:
    """Return a line for each awaited lesson that stands, that is unknown, or that too many await."""
    found = []
    for lesson, awaiting in sorted(Counter(one.awaits for one in bank if one.awaits).items()):
        ids = ", ".join(one.id for one in bank if one.awaits == lesson)
        if lesson in there:
            found.append(f"lesson {lesson} stands; give {ids} the cells that show the answer")
        elif lesson not in TO_COME:
            found.append(f"no lesson {lesson} is planned; let {ids} await one of {', '.join(TO_COME)}")
        elif awaiting > TO_COME[lesson]:
            found.append(
                f"{awaiting} questions await {lesson}, at most {TO_COME[lesson]} may; show them: {ids}"
            )
    return found


def standing() -> set[str]:
    return {path.stem.split("_")[0] for path in NOTEBOOKS.glob("*.ipynb")}


def test_no_question_awaits_a_lesson_that_stands_or_is_unknown_and_no_more_do_than_before():
    assert faults(load_bank(), standing()) == []


def test_the_numbers_are_no_higher_than_what_awaits():
    awaiting = Counter(one.awaits for one in load_bank())
    slack = {lesson: most for lesson, most in TO_COME.items() if most > awaiting[lesson]}
    assert slack == {}, "lower these numbers in TO_COME to what is left"


@pytest.mark.parametrize(
    ("lesson", "there", "line"),
    [
        ("98", {"98"}, "lesson 98 stands; give new-question the cells that show the answer"),
        ("99", set(), "no lesson 99 is planned; let new-question await one of "),
        ("98", set(), "1 questions await 98, at most 0 may; show them: new-question"),
    ],
)
def test_each_fault_is_told(lesson, there, line, monkeypatch):
    monkeypatch.setitem(TO_COME, "98", 0)
    bank = load_bank()
    new = bank[0].model_copy(update={"id": "new-question", "awaits": lesson})
    (told,) = faults([*bank, new], there)
    assert line in told

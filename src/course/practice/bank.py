"""The question bank: the form of a question, what it is held to, and which are asked.

A question is a rubric, not a text to compare with: points that an answer must have, points that lift it, what
people say and why it is wrong, and `shows`: the executed cell of a lesson that demonstrates the answer.
`cards.practice_card` asks in a notebook, `sitting` in the terminal; `reviews` keeps what was answered.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Hashable, Iterable
from datetime import date
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from course import lessons
from course.paths import ROOT
from course.practice.kinds import CORE, KINDS, LEVELS, ROUNDS, TOPICS
from walkforward.errors import WalkForwardError

WALKTHROUGHS = {"coding": "I1", "design": "I2", "debugging": "I3", "behavioural": "I4"}
FOLDER, NOTEBOOKS = ROOT / "data" / "questions", ROOT / "notebooks"
LESSON_FILE = r"((?:\d\d|I\d)[a-z]?)_"

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3)]
Subject = Annotated[str, StringConstraints(pattern=r"^[a-z]+( [a-z]+)*$", max_length=30)]
Lesson = Annotated[str, StringConstraints(pattern=r"^(\d\d|I\d)[a-z]?$")]


class BankError(WalkForwardError, ValueError):
    """The bank can't be used, or has no such question; a line for each fault: place, value, rule, way out."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Wrong(_Strict):
    """What people say, and why it is wrong."""

    says: Text
    why: Text


class FollowUp(_Strict):
    """What the interviewer asks next, with the gist of the answer in one sentence."""

    ask: Text
    gist: Text


class Shows(_Strict):
    """The executed cell of a lesson that demonstrates the answer, and a part of what it prints."""

    lesson: Lesson | None = Field(None, description="The question's lesson, when it is left out")
    cell: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    text: Annotated[str, StringConstraints(min_length=1, max_length=60)]


class Levels(_Strict):
    """What each level would say to the same question: the difference that an interviewer listens for."""

    junior: Text
    mid: Text
    senior: Text


class Source(_Strict):
    """A public text, and the day on which it was looked up."""

    title: Text
    url: Annotated[str, StringConstraints(pattern=r"^https://\S+$")]
    checked: date


class Question(_Strict):
    """A question of the bank; the manner of its parts is in data/questions/README.md."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    lesson: Lesson | None = Field(None, description='Quoted: "11b"; left out only in the general files')
    subject: Subject | None = Field(None, description="The topic, where that is not the lesson")
    awaits: Lesson | None = Field(None, description="The lesson to come that will show the answer")
    kind: Literal[KINDS]
    asked_in: list[Literal[ROUNDS]] = Field([], max_length=3, description="Rounds that ask it first")
    level: Literal[LEVELS]
    minutes: int = Field(ge=1, le=45, description="An honest time for the spoken answer")
    prompt: Text
    must: list[Text] = Field(min_length=1, max_length=5, description="Without one of them the answer fails")
    good: list[Text] = Field([], max_length=5, description="What lifts the answer")
    seen: list[Text] = Field([], max_length=5, description="What the lesson measured; shown, never required")
    levels: Levels | None = Field(None, description="What a junior, a mid and a senior would have said")
    wrong: list[Wrong] = Field(min_length=1, max_length=4)
    follow_ups: list[FollowUp] = Field(min_length=1, max_length=3)
    shows: list[Shows] = Field([], max_length=3)
    sources: list[Source] = Field([], max_length=3)

    @model_validator(mode="after")
    def _points_to_a_lesson(self) -> Self:
        if self.lesson is None and any(shown.lesson is None for shown in self.shows):
            raise ValueError("a cell in `shows` has no lesson; name it there or in the question")
        if self.awaits and self.shows:
            raise ValueError(
                f"awaits {self.awaits!r}, but `shows` has cells; drop awaits, the lesson is there"
            )
        points = [*self.must, *self.good, *self.seen]
        if len(set(points)) < len(points):
            raise ValueError("a point stands twice in `must`, `good` and `seen`; keep it once")
        return self

    @property
    def topic(self) -> str:
        """What practice asks by turns: a subject of TOPICS, else the lesson's number, else the kind."""
        return self.subject if self.subject in TOPICS else self.lesson or self.kind

    @property
    def by_level(self) -> list[tuple[str, str]]:
        """What each level would say, from junior to senior; empty where it was not written."""
        return [(level, getattr(self.levels, level)) for level in LEVELS] if self.levels else []

    @cached_property
    def links(self) -> list[tuple[str, str, str]]:
        """Lesson, cell and text of each `shows`."""
        return [(shown.lesson or self.lesson or "", shown.cell, shown.text) for shown in self.shows]


if yaml.__with_libyaml__:

    class _Safe(Composer, yaml.cyaml.CParser, SafeConstructor, Resolver):
        """Read in C, five times as fast; composed in Python, where too deep a nest raises and no more."""

        def __init__(self, stream: str) -> None:
            yaml.cyaml.CParser.__init__(self, stream)
            for part in (Composer, SafeConstructor, Resolver):
                part.__init__(self)

else:
    _Safe = yaml.SafeLoader


class _Loader(_Safe):
    """YAML in which a key that stands twice is an error and not the last one's win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _place(path: Path) -> tuple[int, str]:
    """Return where a file's questions stand: lessons, then CORE in its order, then the others by name."""
    if re.match(LESSON_FILE, path.name):
        return 0, path.name
    return (CORE.index(path.stem) + 1 if path.stem in CORE else len(CORE) + 1), path.name


def load_bank(folder: Path | None = None) -> list[Question]:
    """Return the questions of a folder's YAML files (data/questions), by file and place, CORE first.

    Raises BankError with every fault: a file that is no list of questions, an unknown or missing key, a value
    against its rule, an id given twice, a lesson file's question of another lesson or without `shows`.
    """
    bank: dict[str, Question] = {}
    faults, files = [], {}
    for path in sorted((folder or FOLDER).glob("*.yaml"), key=_place):
        try:
            entries = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a SafeLoader
        except OSError as error:
            faults.append(f"{path.name}: can't be read ({error.strerror}); restore it with git")
            continue
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
            # What is none of yaml's own comes of values: the 45th of May, !!int with nothing behind it.
            line = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
            problem = getattr(error, "problem", None) or error
            faults.append(f"{path.name}{line}: can't be read as YAML ({problem}); write text as a block (>-)")
            continue
        if not isinstance(entries, list) or not entries:
            faults.append(f"{path.name}: not a list of questions; begin each with `- id: …`")
            continue
        number = match[1] if (match := re.match(LESSON_FILE, path.name)) else None
        for place, entry in enumerate(entries, start=1):
            name = entry.get("id") if isinstance(entry, dict) else None
            where = f"{path.name}, question {name or f'number {place}'}: "
            try:
                question = Question.model_validate(entry)
            except ValidationError as error:
                faults += [where + _said(fault) for fault in error.errors()]
                continue
            if question.id in bank:
                faults.append(f"{where}id taken in {files[question.id]}; ids are unique, give another")
            if number and question.lesson != number:
                faults.append(f"{where}lesson {question.lesson!r} in the file of {number}; move or mend it")
            if number and not question.shows:
                faults.append(f"{where}`shows` is empty; name the cell that demonstrates the answer")
            files.setdefault(question.id, path.name)
            bank.setdefault(question.id, question)
    if faults:
        raise BankError("\n".join(faults))
    if not bank:
        raise BankError(f"no questions in {folder or FOLDER}; restore the folder with git")
    return list(bank.values())


def _said(fault: Any) -> str:
    """Return a fault of pydantic's in the manner of the house: place, value, rule, way out."""
    key = ".".join(map(str, fault["loc"])) or "the question"
    if fault["type"] == "extra_forbidden":
        return f"{key} is no known key; known are {', '.join(Question.model_fields)} (README.md shows each)"
    if fault["type"] == "missing":
        return f"{key} is missing; add it (README.md shows how)"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    value = str(fault["input"])
    value = value if len(value) <= 40 else value[:40] + "…"
    rule = fault["msg"][0].lower() + fault["msg"][1:]
    return f"{key} is {value!r}: {rule}; mend it (README.md shows the form)"


def schema() -> str:
    """Return the JSON Schema of a question file, for editors: data/questions/schema.json."""
    form = TypeAdapter(list[Question]).json_schema() | {"title": "Questions of the Walk-Forward bank"}
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"} | form, indent=2) + "\n"


def broken(questions: Iterable[Question], notebooks: Path | None = None) -> list[str]:
    """Return a line for each `shows` that an executed notebook no longer demonstrates.

    A cell is found by its id (the name that the lesson gives it); the text must stand in what it printed or
    in the plain text of what it returned, where any run of white space counts as one blank.
    """
    known: dict[str, dict[str, str] | None] = {}
    faults = []
    for question, (lesson, cell, text) in [(one, link) for one in questions for link in one.links]:
        if lesson not in known:
            paths = sorted((notebooks or NOTEBOOKS).glob(f"{lesson}_*.ipynb"))
            known[lesson] = _printed(paths[0]) if paths else None
        cells = known[lesson]
        if cells is None:
            faults.append(f"{question.id}: there is no lesson {lesson}; name one that exists")
        elif cell not in cells:
            named = [name for name, out in cells.items() if out and not re.fullmatch("[0-9a-f]{8}", name)]
            what = f"{question.id}: lesson {lesson} has no cell {cell!r}"
            faults.append(f"{what}; cells that print: {', '.join(named)}")
        elif " ".join(text.split()) not in cells[cell]:
            what = f"{question.id}: cell {cell!r} of lesson {lesson} does not print {text!r}"
            faults.append(f"{what}; mend the answer first, then the text")
    return faults


def _printed(notebook: Path) -> dict[str, str]:
    """Return, by cell id, what code cells printed or returned as plain text, with single blanks."""
    found = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            parts = [out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell["outputs"]]
            found[cell["id"]] = " ".join(" ".join("".join(part) for part in parts).split())
    return found


def choose(
    bank: Iterable[Question],
    lesson: str | None = None,
    kind: str | None = None,
    level: str | None = None,
    subject: str | None = None,
) -> list[Question]:
    """Return the questions of a lesson ("11b", or "11" for the chapter), a kind, a level, a subject.

    A walkthrough (I1 to I5) has the questions whose cells are in it, and those of its kind that belong to no
    lesson. Raises BankError if there is none. Prints a line where the lesson's number was another's before.
    """
    found = list(bank)
    if lesson is not None:
        found = _of_lesson(found, lesson)
    for name, value in {"kind": kind, "level": level, "subject": subject}.items():
        there = sorted({getattr(question, name) for question in found} - {None})
        if value is not None:
            found = [question for question in found if getattr(question, name) == value]
        if not found:
            raise BankError(f"no question has {name} {value!r} here; there is {', '.join(there) or 'none'}")
    return found


def named(bank: Iterable[Question], ids: Iterable[str]) -> list[Question]:
    """Return the questions of these ids, in their order, each once; BankError names the nearest ids."""
    by_id = {question.id: question for question in bank}
    for name in ids:
        if name not in by_id:
            near = ", ".join(difflib.get_close_matches(name, by_id))
            meant = f"did you mean: {near}" if near else "they are in data/questions"
            raise BankError(f"there is no question {name!r}; {meant}")
    return [by_id[name] for name in dict.fromkeys(ids)]


def ids(folder: Path | None = None) -> list[str]:
    """Return the ids of a folder's questions by their lines, quickly and unchecked: for completion."""
    return _values("- id", folder)


def subjects(folder: Path | None = None) -> list[str]:
    """Return the subjects of a folder's questions by their lines, each once: for completion."""
    return sorted(set(_values("  subject", folder)))


def _values(key: str, folder: Path | None) -> list[str]:
    texts = [path.read_text(encoding="utf-8") for path in sorted((folder or FOLDER).glob("*.yaml"))]
    return [value for text in texts for value in re.findall(rf"^{key}: *(.+?) *$", text, re.MULTILINE)]


def lessons_of(question: Question) -> set[str]:
    """The lessons that a question is practised for: its own, the walkthroughs that show it or its kind."""
    found = {question.lesson} | {lesson for lesson, _, _ in question.links if lesson.startswith("I")}
    if question.lesson is None:
        awaits_one = (question.awaits or "").startswith("I")
        found.add(question.awaits if awaits_one else WALKTHROUGHS.get(question.kind))
    return found - {None}


def _of_lesson(bank: list[Question], lesson: str) -> list[Question]:
    there = sorted(set().union(*map(lessons_of, bank)))
    stems = [path.stem for path in NOTEBOOKS.glob("*.ipynb")]
    wanted = lessons.named(lessons.number(lesson), there)
    if not wanted or lessons.moved(lesson, stems):
        listed = ", ".join(there) or "none"
        raise BankError(
            lessons.moved(lesson, stems) or f"no question has lesson {lesson!r} here; there is {listed}"
        )
    if line := lessons.renumbered(lesson, stems):
        print(line)
    return [question for question in bank if lessons_of(question) & set(wanted)]


def __getattr__(name: str) -> Any:
    """`practice_card` stood here once, and copies of lessons import it from here."""
    if name == "practice_card":
        return import_module("course.practice.cards").practice_card
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

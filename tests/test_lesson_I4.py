"""I4, behavioural: the rubric is that of `walkforward story`, and the tellings differ as the page says."""

import re
from pathlib import Path

import nbformat
import pytest

from authoring import build
from authoring.execute import Runner
from authoring.marks import tables_of, text_of
from course.exercise import source as exercise_source
from course.practice import stories

ROOT = Path(__file__).resolve().parents[1]
LESSON = build.read_lesson(ROOT / "src" / "lessons" / "I4_behavioural.py")
NOTEBOOK = nbformat.read(ROOT / "notebooks" / "I4_behavioural.ipynb", as_version=4)
CELLS = {cell.id: cell for cell in NOTEBOOK.cells}
PROSE = "\n\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")
CODE = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code")
EXERCISES = exercise_source.load(ROOT / "src" / "lessons" / "exercises" / "I4_behavioural.py")


def telling(name):
    return re.search(rf'^{name} = """(.*?)"""', CODE, re.DOTALL | re.MULTILINE)[1]


def defined(name):
    """A function that the page defines, beside those that it calls."""
    names = {"re": re}
    for cell in CELLS.values():
        if cell.cell_type == "code" and re.search(r"^(?:def |CLAIMS)", cell.source, re.MULTILINE):
            exec(cell.source, names)
    return names[name]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I asked support. We found the cause. Then I rolled back.", ["We found the cause."]),
        ("It rose from 3.1 to 4.4. Was it AI? I'd say so.", ["It rose from 3.1 to 4.4.", "Was it AI?"]),
        (" ", []),
    ],
)
def test_a_sentence_without_the_teller_is_found(text, found):
    assert defined("without_i")(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Much was said. The build took 3 minutes less.", ["Much was said."]),
        ("It took 4 days. Then it was faster.", ["Then it was faster."]),
        ("The supplier sat in Germany. Unless somebody asks, nothing changes.", []),
    ],
)
def test_a_claim_without_a_number_is_found(text, found):
    assert defined("unmeasured")(text) == found


def test_the_rubric_on_the_page_is_the_one_that_rehearse_asks():
    rows = re.findall(r"^\| \*\*(\w[\w ]*)\*\* \| (.*?) \| \d+ seconds \|$", PROSE, re.MULTILINE)
    assert len(rows) == len(stories.RUBRIC)
    for (_, had), point in zip(rows, stories.RUBRIC, strict=True):
        spoken = point.replace("The situation took", "it took").rstrip(".").lower()
        assert had.lower().startswith(spoken), (had, point)


def test_the_seconds_are_three_minutes():
    seconds = re.findall(r"\| (\d+) seconds \|", PROSE)
    assert sum(map(int, seconds)) == 60 * stories.MINUTES


@pytest.mark.parametrize("name", ["weak", "strong"])
def test_a_telling_has_the_form_that_story_new_writes(name):
    assert re.findall(r"^## (.*)$", telling(name), re.MULTILINE) == list(stories.PARTS)


def test_the_measures_tell_the_tellings_apart():
    (table,) = tables_of(CELLS["both_measured"])
    weak, strong = ([float(row[column]) for row in table.body] for column in (0, 1))
    situation, share, acts, with_i, numbers, minutes = range(6)
    assert weak[situation] > 2 == strong[situation] and weak[share] > 50 > 20 > strong[share]
    assert weak[with_i] == weak[numbers] == 0 and strong[with_i] >= strong[acts] / 2
    assert strong[minutes] < stories.MINUTES
    acts = re.search(r"## What I did\n(.*?)\n##", telling("strong"), re.DOTALL)[1]
    without = defined("without_i")(" ".join(acts.split()))
    assert [one.split()[:2] for one in without] == [["So", "nobody"], ["On", "day"]]


def test_the_numbers_of_the_strong_telling_fit_together():
    quotes, before, after, rides = re.search(
        r"([\d,]+) quotes.*from (\d+) % to (\d+) %, about (\d+) rides", telling("strong")
    ).groups()
    lost = int(quotes.replace(",", "")) * (int(before) - int(after)) / 100
    assert abs(lost - int(rides)) < 0.02 * lost


def test_the_three_tellings_lack_what_the_solution_says():
    told = dict(re.findall(r"^> \*\*([ABC]) · .*?\*\* (.*?)(?=\n\n|\Z)", PROSE, re.M | re.S))
    lacks = EXERCISES.missing()
    assert set(told) == set(lacks) and set.union(*lacks.values()) == EXERCISES._POINTS
    plain = {name: re.sub(r"<!--.*?-->|\n> ", " ", text) for name, text in told.items()}
    for name, text in plain.items():
        assert bool(re.search(r"\d", text)) == ("number" not in lacks[name]), name
        if "your part" not in lacks[name]:
            before_acting = text[: text.index(" I ")]
            told_first = len(re.findall(r"[.]", before_acting))
            assert (told_first > 2) == ("situation" in lacks[name]), name


def test_made_up_is_said_wherever_a_story_is_told():
    for heading in (
        "A weak telling",
        "The same failure, told well",
        "An initiative and a standard, told well",
        "The hinge",
    ):
        section = PROSE.split(f"## {heading}\n")[1].split("\n## ")[0]
        assert "ade up" in section, heading
    assert "Every story in this walkthrough is made up for the course" in PROSE


def test_a_story_of_your_own_is_measured(tmp_path):
    file = tmp_path / "mine.md"
    file.write_text(telling("weak"), encoding="utf-8")
    outcome = Runner().run(
        build.generate(LESSON, solved=True), parameters={"my_story": str(file)}, strict=True
    )
    assert not outcome.faults
    (cell,) = [cell for cell in outcome.notebook.cells if cell.get("id") == "mine"]
    shown = text_of(cell)
    assert "We noticed that customers complained." in shown and "It was quite bad for a while" in shown


def test_each_card_is_of_the_behavioural_bank():
    cards = re.findall(r'practice_card\("([\w-]+)"\)', CODE)
    assert len(cards) == 3 and all(name.startswith("behave-") for name in cards)

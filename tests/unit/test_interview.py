"""The question bank and its cards: nothing enters that breaks a rule, no answer outlives what shows it."""

import importlib.util
import json
import re
import shutil
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import nbformat
import pytest
import yaml
from whole_bank import whole_bank

from authoring.lint import VOICE
from course.practice import anki, cards
from course.practice.bank import (
    FOLDER,
    KINDS,
    LEVELS,
    NOTEBOOKS,
    BankError,
    Question,
    broken,
    choose,
    load_bank,
    schema,
)
from course.practice.cards import practice_card
from course.practice.kinds import TOPICS
from course.practice.reviews import State
from course.practice.rounds import FULL_CASE
from course.student import browser
from course.student.workspace import find_lesson

GOOD = {
    "id": "leak-scaler",
    "lesson": "01",
    "kind": "debugging",
    "level": "mid",
    "minutes": 4,
    "prompt": "The backtest is better than the world. Where do you look?",
    "must": ["The scaler was fitted on all rows.", "Fit it inside the fold."],
    "good": ["A pipeline makes it impossible."],
    "wrong": [{"says": "More data.", "why": "It leaks as before."}],
    "follow_ups": [{"ask": "And encoders?", "gist": "The same, and worse."}],
    "shows": [{"cell": "folds", "text": "RMSE 4.2"}],
    "sources": [{"title": "A text", "url": "https://example.org/text", "checked": "2026-11-20"}],
}


@pytest.fixture(autouse=True)
def state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))


@pytest.fixture
def folder(tmp_path):
    """Write files of questions, return their folder."""

    def write(**files):
        bank = tmp_path / "bank"
        bank.mkdir(exist_ok=True)
        for name, content in files.items():
            text = content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True)
            (bank / f"{name.removeprefix('_')}.yaml").write_text(text, encoding="utf-8")
        return bank

    return write


# The real bank


def texts(question):
    pairs = [(wrong.says, wrong.why) for wrong in question.wrong]
    pairs += [(follow.ask, follow.gist) for follow in question.follow_ups]
    told = [*question.must, *question.good, *question.seen, *[text for _, text in question.by_level]]
    return [question.prompt, *told, *[text for pair in pairs for text in pair]]


# A figure that may stand in a point though the prompt does not give it, and why any expert would say it.
CONSTANTS = {
    **dict.fromkeys(
        ["200", "400", "403", "408", "429", "500", "502", "503", "504", "4xx", "5xx"], "HTTP status"
    ),
    **dict.fromkeys(["p50", "p95", "p99"], "the name of a percentile"),
    **dict.fromkeys(["P(X|Y)", "log2", "sha256", "crc32", "S3", "ISO 8601", "32-bit"], "a name"),
    "1.609": "kilometres in a mile",
}
GIVEN = {  # by question: figures that follow from the prompt, or that the field uses as a rule of thumb
    "load-little-s-law": {"27": "8 requests by 300 a second"},
    "load-plan-a-load-test": {"200": "an example of too few requests"},
    "sql-row-number-rank-dense-rank": dict.fromkeys("123", "what the three functions give, by definition"),
    "fsdp-memory-of-seven-billion": {
        "112": "7 billion parameters by 16 bytes",
        "56": "half of it",
        "14": "an eighth of it",
    },
    "spark-python-function-is-slow": {"4.2": "the release in which the default changed"},
    "spark-upgrade-breaks-casts": {"4.0": "the release in which the default changed"},
    "faster-how-many-replicas": {"60 %": "the usual target of utilisation", "70 %": "the same"},
}
FIGURE = re.compile(r"(?<![\w.,])[-−+]?\d(?:[\d.,]*\d)?(?: ?%)?(?!\w)")


def rubric_faults(question: Question) -> list[str]:
    """Why a very good engineer who never saw the course would not get a point, as a line for each.

    A figure stands in a point only where the prompt gives it or a list above says why anybody knows it;
    what a lesson measured goes to `seen`. One idea a point: at most 30 words and at most two times "and".
    """
    found = []
    given = {*FIGURE.findall(question.prompt), *CONSTANTS, *GIVEN.get(question.id, {})}
    given |= {figure.removesuffix("%").strip(" +-−") for figure in given}
    for point in [*question.must, *question.good]:
        where = f"{question.id}: {point!r} "
        read = re.sub(r"`[^`]*`", "", point)
        for name in CONSTANTS:
            read = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.]*\w)", "", read)
        figures = [
            one for one in FIGURE.findall(read) if one not in given and one.strip(" +-−%") not in given
        ]
        if question.shows and figures:
            found.append(f"{where}has {', '.join(figures)}; move what the lesson measured to `seen`")
        if re.search(r"\b[Ii]n (the|this|our) (lesson|course|record|clinic)\b", point):
            found.append(f"{where}speaks of the course; move it to `seen`")
        if len(point.split()) > 30:
            found.append(f"{where}has {len(point.split())} words; at most 30, one idea")
        if len(re.findall(r"\band\b", read)) > 2:
            found.append(f'{where}says "and" more than twice; split it')
    return found


def test_the_bank_is_shown_by_the_executed_lessons():
    assert broken(whole_bank()) == []


def test_the_bank_covers_every_kind_and_every_lesson():
    """The least that a candidate needs; a question taken out is replaced by one as good."""
    bank = whole_bank()
    kinds = Counter(question.kind for question in bank)
    assert len(bank) >= 260
    assert kinds["behavioural"] >= 15
    assert min(kinds["design"], kinds["coding"], kinds["debugging"]) >= 20
    assert {question.level for question in bank} == set(LEVELS)
    subjects = Counter(question.subject for question in bank)
    least = {"models": 12, "metrics and experiments": 13, "time series": 8, "sql and pandas": 8}
    least |= {
        "azure": 8,
        "databricks and spark": 10,
        "lake and warehouse": 12,
        "pipelines and containers": 10,
    }
    least |= {"language models": 6, "introducing yourself": 6, "the client": 4}
    assert {name: subjects[name] for name, few in least.items() if subjects[name] < few} == {}
    assert set(least) == set(TOPICS)
    sittings = {path.stem.split("_")[0] for path in NOTEBOOKS.glob("[0-9]*.ipynb")}
    of_sitting = Counter(question.lesson for question in bank if question.lesson in sittings)
    of_chapter = Counter(question.lesson[:2] for question in bank if question.lesson in sittings)
    assert all(of_sitting[sitting] >= 3 for sitting in sittings), of_sitting
    assert all(of_chapter[sitting[:2]] >= 6 for sitting in sittings), of_chapter


def test_the_bank_has_the_voice_of_the_course():
    found = [
        f"{question.id}: {rule} in {text!r}"
        for question in whole_bank()
        for text in texts(question)
        for pattern, rule in VOICE.items()
        if re.search(pattern, re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL))
    ]
    assert found == []


def test_no_point_asks_for_what_only_this_course_measured():
    assert [fault for question in whole_bank() for fault in rubric_faults(question)] == []


@pytest.mark.parametrize(
    ("point", "fault"),
    [
        ("It promised 0.093 and kept 0.002.", "has 0.093, 0.002; move"),
        ("The table loses 46,826 rows.", "has 46,826; move"),
        ("Half of it, 69 %, is saved.", "has 69 %; move"),
        ("Two of 28 fail.", "has 28; move"),
        ("The interval is -0.05 to +0.01.", "has -0.05, +0.01; move"),
        ("In the lesson the fold was half as long.", "speaks of the course; move"),
        (" ".join(["word"] * 31), "has 31 words; at most 30"),
        ("Data and code and settings and seeds are kept.", 'says "and" more than twice; split it'),
    ],
)
@pytest.mark.parametrize("part", ["must", "good"])
def test_a_point_that_nobody_outside_could_say_is_a_fault(part, point, fault):
    entry = GOOD | {part: ["A point that anybody could say.", point]}
    (line,) = rubric_faults(Question.model_validate(entry))
    assert line.startswith(f"leak-scaler: {point!r} ")
    assert fault in line


@pytest.mark.parametrize(
    "point",
    [
        "It says 5.1 where 4.2 came, as the prompt says.",
        "A wrong body gets 400 and a full queue 503; 4xx are counted.",
        "`round(2.5)` rounds to the even neighbour.",
        "p99 needs more rows than p50; the key is a sha256.",
        " ".join(["word"] * 30),
    ],
)
def test_a_figure_of_the_prompt_or_of_the_field_is_none(point):
    entry = GOOD | {"prompt": "It promised 4.2 and gave 5.1. Why?", "must": [point]}
    assert rubric_faults(Question.model_validate(entry)) == []


def stale(question: Question, notebooks: Path = NOTEBOOKS) -> list[str]:
    """Return the figures with a decimal point in `seen` that no lesson of the question prints or says.

    A printed figure counts when it rounds to the one that is said, as it stands or as a percentage.
    """
    told = "".join(
        "".join(cell["source"])
        + "".join("".join(out.get("text") or out.get("data", {}).get("text/plain", "")) + " " for out in outs)
        for number in {lesson for lesson, _, _ in question.links}
        for path in notebooks.glob(f"{number}_*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for outs in [cell.get("outputs", [])]
    ).replace(",", "")
    figures = {float(one) for one in re.findall(r"\d+\.\d+|\d+", told)}
    found = []
    for said in re.findall(r"\d+\.\d+", " ".join(question.seen).replace(",", "")):
        digits = len(said.split(".")[1])
        if not any(round(one * by, digits) == float(said) for one in figures for by in (1, 100)):
            found.append(f"{question.id}: no lesson of its cells says {said}; mend `seen`")
    return found


def test_what_was_seen_is_still_what_the_lessons_say():
    assert [fault for question in whole_bank() if question.links for fault in stale(question)] == []


def test_a_seen_figure_that_the_lesson_no_longer_says_is_a_fault():
    told = {"lesson": LESSON, "shows": [{"lesson": LESSON, "cell": SHOWN, "text": TEXT}]}
    seen = ["In the lesson: 0.85 of the draws ring, and 0.8517 too."]
    assert stale(Question.model_validate(GOOD | told | {"seen": seen})) == [
        "leak-scaler: no lesson of its cells says 0.8517; mend `seen`"
    ]


def test_every_figure_that_is_let_through_is_said_somewhere():
    """A list of exceptions that nobody needs any more would let the next figure through."""
    bank = {question.id: question for question in whole_bank()}
    for name, figures in GIVEN.items():
        said = " ".join([*bank[name].must, *bank[name].good])
        assert [figure for figure in figures if figure not in said] == [], name


def test_the_bank_has_what_a_first_call_asks_and_says_what_each_level_would_have_said():
    bank = whole_bank()
    assert sum("screen" in question.asked_in for question in bank) >= 40
    assert sum(question.levels is not None and question.level != "junior" for question in bank) >= 40
    assert [one.id for one in bank if "screen" in one.asked_in and one.minutes > 6] == []
    cases = [one for one in bank if one.kind == "design" and one.minutes >= FULL_CASE]
    assert [one.id for one in cases if not 25 <= one.minutes <= 35] == []  # a design round is one of them


def test_the_bank_has_no_source_of_tomorrow_and_no_point_of_many_sentences():
    for question in whole_bank():
        assert all(source.checked <= date.today() for source in question.sources), question.id
        long = [text for text in [*question.must, *question.good] if len(text) > 300]
        assert not long, (question.id, long)


def test_the_schema_for_editors_is_current():
    way = "write it anew: data/questions/README.md, Check"
    assert (FOLDER / "schema.json").read_text(encoding="utf-8") == schema(), way


def test_the_schema_knows_what_the_model_knows():
    form = json.loads(schema())["$defs"]["Question"]
    assert set(form["properties"]) == set(Question.model_fields)
    assert form["additionalProperties"] is False
    assert form["properties"]["kind"]["enum"] == list(KINDS)
    assert set(form["required"]) == set(GOOD) - {"lesson", "good", "shows", "sources"}


def test_the_readme_explains_every_key():
    said = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [key for key in Question.model_fields if f"| `{key}` |" not in said] == []


# Loading


def test_a_bank_comes_in_the_order_of_files_and_places(folder):
    second = GOOD | {"id": "second"}
    general = GOOD | {"id": "general", "lesson": None, "shows": []}
    usual, core = (general | {"id": name} for name in ("usual", "core"))
    bank = load_bank(folder(design=[general], _01_pipelines=[GOOD, second], azure=[usual], basics=[core]))
    assert [question.id for question in bank] == ["leak-scaler", "second", "core", "general", "usual"]
    assert [question.topic for question in bank] == ["01", "01", *["debugging"] * 3]
    assert bank[0].links == [("01", "folds", "RMSE 4.2")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hint": "x"}, "hint is no known key; known are id, lesson"),
        ({"must": None}, "must is 'None': input should be a valid list"),
        ({"must": []}, "must is '[]': list should have at least 1 item"),
        ({"must": list("abcdef")}, "must is "),
        ({"must": ["One point.", "One point."]}, "a point stands twice"),
        ({"good": ["Fit it inside the fold."]}, "a point stands twice"),
        ({"wrong": []}, "wrong is '[]': list should have at least 1 item"),
        ({"wrong": [{"says": "More data."}]}, "wrong.0.why is missing; add it"),
        ({"wrong": [{"says": "a b c", "why": "d e f", "who": "g"}]}, "wrong.0.who is no known key"),
        ({"follow_ups": []}, "follow_ups is '[]'"),
        ({"kind": "quiz"}, "kind is 'quiz': input should be 'concept', 'design'"),
        ({"level": "lead"}, "level is 'lead': input should be 'junior', 'mid' or 'senior'"),
        ({"minutes": 0}, "minutes is '0': input should be greater than or equal to 1"),
        ({"minutes": 90}, "minutes is '90': input should be less than or equal to 45"),
        ({"id": "Leak Scaler"}, "id is 'Leak Scaler': string should match pattern"),
        ({"lesson": 1}, "lesson is '1': input should be a valid string"),
        ({"prompt": "  "}, "prompt is '  ': string should have at least 3 characters"),
        ({"shows": [{"cell": "folds", "text": "x" * 61}]}, "shows.0.text is 'xxxx"),
        ({"shows": []}, "`shows` is empty; name the cell that demonstrates the answer"),
        ({"lesson": "03"}, "lesson '03' in the file of 01; move or mend it"),
        ({"lesson": None}, "a cell in `shows` has no lesson"),
        ({"sources": [{"title": "A text", "url": "example.org", "checked": "2026-11-20"}]}, "sources.0.url"),
        (
            {"sources": [{"title": "A text", "url": "https://a.org", "checked": "lately"}]},
            "sources.0.checked",
        ),
    ],
)
def test_a_question_against_a_rule_is_refused_with_file_id_rule_and_way_out(folder, change, message):
    with pytest.raises(BankError) as caught:
        load_bank(folder(_01_pipelines=[GOOD | change]))
    line = str(caught.value).splitlines()[0]
    assert line.startswith("01_pipelines.yaml, question ")
    assert message in line
    assert ";" in line or "name it" in line  # the way out


@pytest.mark.parametrize("key", ["id", "kind", "level", "minutes", "prompt", "must", "wrong", "follow_ups"])
def test_what_is_missing_is_named(folder, key):
    entry = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(BankError, match=rf"{key} is missing; add it"):
        load_bank(folder(_01_pipelines=[entry]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- id: a\n  id: b\n", "01_x.yaml, line 1: can't be read as YAML (the key 'id' twice)"),
        ("- id: [\n", "01_x.yaml, line 2: can't be read as YAML"),
        (
            "- prompt: a: b\n",
            "01_x.yaml, line 1: can't be read as YAML (mapping values are not allowed",
        ),
        ("id: a\n", "01_x.yaml: not a list of questions; begin each with `- id: …`"),
        ("", "01_x.yaml: not a list of questions"),
        ("- only words\n", "01_x.yaml, question number 1: the question is 'only words'"),
        ("- !!python/object/apply:os.system [ls]\n", "01_x.yaml, line 1: can't be read as YAML"),
        pytest.param(
            "[" * 1_000_000, "01_x.yaml: can't be read as YAML (maximum recursion", id="a deep nest"
        ),
    ],
)
def test_a_file_that_is_no_bank_is_refused(folder, text, message):
    with pytest.raises(BankError) as caught:
        load_bank(folder(_01_x=text))
    assert message in str(caught.value)


def test_all_faults_are_told_at_once_and_an_id_is_given_once(folder):
    bad = GOOD | {"kind": "quiz", "hint": "x"}
    with pytest.raises(BankError) as caught:
        load_bank(folder(_01_x=[GOOD, GOOD], coding=[bad, GOOD]))
    told = str(caught.value).splitlines()
    assert len(told) == 4
    assert told[0] == "01_x.yaml, question leak-scaler: id taken in 01_x.yaml; ids are unique, give another"
    assert told[3] == "coding.yaml, question leak-scaler: id taken in 01_x.yaml; ids are unique, give another"


def test_an_empty_folder_is_no_bank(tmp_path):
    with pytest.raises(BankError, match="restore the folder with git"):
        load_bank(tmp_path)


@pytest.mark.parametrize(
    ("lesson", "subject", "topic"),
    [
        ("01", None, "01"),
        (None, None, "debugging"),
        ("01", "models", "models"),
        (None, "azure", "azure"),
        (None, "failure", "debugging"),
        ("01", "failure", "01"),
    ],
)
def test_a_topic_is_a_listed_subject_else_the_lesson_else_the_kind(lesson, subject, topic):
    entry = GOOD | {"lesson": lesson, "subject": subject, "shows": []}
    assert Question.model_validate(entry).topic == topic


def test_questions_are_chosen_by_lesson_kind_and_level(folder):
    entries = [GOOD, GOOD | {"id": "b", "level": "senior"}, GOOD | {"id": "c", "kind": "design"}]
    bank = load_bank(folder(_01_x=entries, _09b_y=[GOOD | {"id": "d", "lesson": "09b"}]))
    assert [question.id for question in choose(bank, "1", level="mid")] == ["leak-scaler", "c"]
    assert [question.id for question in choose(bank, "9B")] == ["d"]
    assert choose(bank) == bank
    with pytest.raises(ValueError, match="no question has lesson '12' here; there is 01, 09b"):
        choose(bank, "12")
    with pytest.raises(ValueError, match="no question has kind 'design' here; there is debugging"):
        choose(bank, "09b", "design")


# What the lessons show: red when they no longer do


def drift() -> Question:
    """A question that two executed cells demonstrate."""
    return next(question for question in whole_bank() if question.id == "drift-p-value-zero")


LESSON, SHOWN, TEXT = drift().links[0]
(NOTEBOOK,) = NOTEBOOKS.glob(f"{LESSON}_*.ipynb")


@pytest.fixture
def lessons(tmp_path):
    """Copy one executed notebook; return its folder and a function that changes a cell."""
    shutil.copy(NOTEBOOK, tmp_path)
    path = tmp_path / NOTEBOOK.name

    def change(cell, function):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        function(next(one for one in notebook["cells"] if one["id"] == cell))
        path.write_text(json.dumps(notebook), encoding="utf-8")

    return tmp_path, change


def asked() -> list[Question]:
    shown = {"lesson": LESSON, "cell": SHOWN, "text": TEXT}
    return [Question.model_validate(GOOD | {"lesson": LESSON, "shows": [shown]})]


def test_a_number_that_moved_turns_the_bank_red(lessons):
    notebooks, change = lessons
    assert broken(asked(), notebooks) == []
    change(SHOWN, lambda cell: cell["outputs"][0].update(text=["another number: 10\n"], data={}))
    assert broken(asked(), notebooks) == [
        f"leak-scaler: cell {SHOWN!r} of lesson {LESSON} does not print {TEXT!r}; "
        "mend the answer first, then the text"
    ]


def test_a_cell_renamed_or_not_executed_and_a_lesson_gone_turn_the_bank_red(lessons, tmp_path):
    notebooks, change = lessons
    change(SHOWN, lambda cell: cell.update(outputs=[]))
    assert f"cell {SHOWN!r} of lesson {LESSON} does not print" in broken(asked(), notebooks)[0]
    change(SHOWN, lambda cell: cell.update(id="renamed"))
    (fault,) = broken(asked(), notebooks)
    assert f"lesson {LESSON} has no cell {SHOWN!r}; cells that print: " in fault
    (tmp_path / NOTEBOOK.name).unlink()
    assert broken(asked(), notebooks)[0] == (
        f"leak-scaler: there is no lesson {LESSON}; name one that exists"
    )


def test_what_stands_in_the_source_only_is_not_shown(lessons):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    (source,) = ["".join(cell["source"]) for cell in cells if cell["id"] == SHOWN]
    shown = {"cell": SHOWN, "text": source.splitlines()[0][:60]}
    question = Question.model_validate(GOOD | {"lesson": LESSON, "shows": [shown]})
    assert len(broken([question], lessons[0])) == 1


# Cards in a notebook


def test_a_card_is_markdown_where_nobody_is_there(folder):
    entry = GOOD | {"prompt": "It costs $5. Why?\n\n```python\nx = 1\n```\n"}
    shown = cards.PracticeCard(load_bank(folder(_01_x=[entry])))._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/markdown"}
    assert r"It costs \$5" in shown["text/markdown"]
    for text in (*GOOD["must"], *GOOD["good"], "It leaks as before.", "<details>"):
        assert text in shown["text/markdown"]
    assert GOOD["must"][0] not in shown["text/plain"]


def test_a_card_names_the_section_of_its_lesson():
    name, address = cards.places(drift())[0]
    assert address == f"{NOTEBOOK.name}#cell-id={SHOWN}"
    number, _, heading = name.partition(" · ")
    assert number == LESSON
    assert re.search(rf"^##+ {re.escape(heading)}$", prose_of(NOTEBOOK), re.MULTILINE)
    assert f"({address})" in cards.markdown(drift())


def prose_of(notebook) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def test_a_card_of_an_unknown_question_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean: drift-p-value-zero"):
        practice_card("drift-p-value-zer")
    assert practice_card(lesson="11", level="senior").questions[0].level == "senior"


def parts(widget):
    """Return the buttons and boxes of a card."""
    head, buttons, typed, points, told, after = widget.children
    before, *rows, save = points.children
    return buttons.children, [row.children[0] for row in rows], save, points, told, after


def test_the_widget_logs_the_answer_in_the_same_state():
    card = practice_card("drift-alarm-good-model")
    (_, show), boxes, save, points, told, after = parts(card.widget())
    assert points.layout.display == "none"
    show.click()
    assert points.layout.display is None
    for box in boxes[:3]:
        box.value = True
    save.click()
    save.click()
    (review,) = State().reviews()
    assert (review.question, review.rating.name, review.source) == (
        "drift-alarm-good-model",
        "Good",
        "notebook",
    )
    assert (review.must, review.good, review.seconds) == ([True] * 3, [False] * 2, None)
    assert told.value.startswith("<b>Good</b>, logged.")
    assert "Mute the alarm" in after.outputs[0]["data"]["text/markdown"]


def test_the_widget_keeps_what_is_typed_and_shows_it_the_next_time(monkeypatch):
    monkeypatch.setenv("WALKFORWARD_NOW", "2026-11-21T12:00+00:00")
    card = practice_card("drift-alarm-good-model")
    widget = card.widget()
    (_, show), _, save, points, *_ = parts(widget)
    widget.children[2].value = "First <b>the joined</b> truth.\n"
    show.click()
    assert points.children[0].value == ""
    save.click()
    assert [one.said for one in State().reviews()] == ["First <b>the joined</b> truth."]
    widget = card.widget()
    (_, show), _, _, points, *_ = parts(widget)
    assert points.children[0].value == ""  # not before the answer
    show.click()
    shown = "Your answer of 21 Nov 2026: <i>First &lt;b&gt;the joined&lt;/b&gt; truth.</i>"
    assert points.children[0].value == shown


def test_the_widget_measures_only_a_clock_that_was_started(monkeypatch):
    times = iter([100.0, 100.0 + 60 * 6])
    monkeypatch.setattr(cards.time, "monotonic", lambda: next(times))
    (start, show), boxes, save, _, told, _ = parts(practice_card("drift-alarm-good-model").widget())
    start.click()
    show.click()
    assert told.value == "6:00 of 3:00"
    for box in boxes:
        box.value = True
    save.click()
    assert [(one.rating.name, one.seconds) for one in State().reviews()] == [("Hard", 360.0)]


def test_the_widget_asks_what_is_due_before_what_is_new():
    bank = practice_card(lesson="11").questions
    State().record(bank[0], [False] * len(bank[0].must), [], 60, "practice")
    head = practice_card(lesson="11").widget().children[0].value
    others = [one for one in bank if cards.as_html(one.prompt) in head]  # the first comes in ten minutes
    assert [one.lesson == bank[0].lesson for one in others] == [False]  # and its lesson had its turn
    late = State().reviews()[0].reviewed - timedelta(hours=1)
    State().record(bank[1], [False] * len(bank[1].must), [], 60, "practice", late)
    assert cards.as_html(bank[1].prompt) in practice_card(lesson="11").widget().children[0].value


def test_the_widget_keeps_the_answer_when_the_log_can_not_be_written(tmp_path, monkeypatch):
    _, boxes, save, _, told, _ = parts(practice_card("drift-alarm-good-model").widget())
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "file"))
    save.click()
    assert "set WALKFORWARD_STATE to a folder you may write" in told.value
    assert not save.disabled


CELL = "from course.practice.cards import practice_card\npractice_card('drift-p-value-zero')"


def test_an_executed_notebook_holds_a_card_that_is_equal_every_time(tmp_path):
    from nbclient import NotebookClient

    stored = []
    for _ in range(2):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL, id="card")])
        NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
        assert "widgets" not in notebook.metadata
        stored.append(notebook.cells[0].outputs)
    assert stored[0] == stored[1]
    assert set(stored[0][0].data) == {"text/plain", "text/markdown"}


def test_a_frontend_with_somebody_at_it_gets_the_widget(tmp_path):
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(cwd=str(tmp_path))
    try:
        content = {"code": CELL, "silent": False, "store_history": True, "allow_stdin": False}
        content |= {"user_expressions": {}, "stop_on_error": True}
        asked = client.session.msg("execute_request", content, metadata={"cellId": "card"})
        client.shell_channel.send(asked)
        while True:
            message = client.get_iopub_msg(timeout=60)
            if message["msg_type"] in ("execute_result", "error"):
                break
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "application/vnd.jupyter.widget-view+json" in message["content"].get("data", message["content"])


# Anki

HAS_ANKI = pytest.mark.skipif(importlib.util.find_spec("anki") is None, reason="anki has no wheel here")


@HAS_ANKI
def test_an_edited_question_updates_its_note_and_nothing_doubles(tmp_path):
    from anki.collection import Collection, ImportAnkiPackageOptions, ImportAnkiPackageRequest

    bank = whole_bank()
    edited = bank[0].model_copy(update={"prompt": "What does the `p` of 0 & < 1 say?"})
    first, second = tmp_path / "first.apkg", tmp_path / "second.apkg"
    assert anki.export(first, bank, now=1_800_000_000) == len(bank)
    anki.export(second, [edited, *bank[1:]], now=1_800_000_000)  # in the same second
    collection = Collection(str(tmp_path / "collection.anki2"))
    try:
        logs = []
        for package in (first, second, second):
            options = ImportAnkiPackageOptions()
            request = ImportAnkiPackageRequest(package_path=str(package), options=options)
            logs.append(collection.import_anki_package(request).log)
            assert collection.note_count() == collection.card_count() == len(bank)
        assert len(logs[0].new) == len(bank)
        assert (len(logs[1].new), len(logs[1].updated)) == (0, len(bank))
        (note,) = [collection.get_note(one) for one in collection.find_notes(f"Id:{edited.id}")]
        assert note["Prompt"] == "<p>What does the <code>p</code> of 0 &amp; &lt; 1 say?</p>"
        assert edited.must[0] in note["Answer"]
        assert f"walkforward::{edited.topic}" in note.tags
        assert "Mean" not in note.cards()[0].question() and "<hr" in note.cards()[0].answer()
        assert [deck.name for deck in collection.decks.all_names_and_ids() if "Walk" in deck.name] == [
            "Walk-Forward interview"
        ]
    finally:
        collection.close()


@HAS_ANKI
def test_a_note_of_the_form_before_gets_what_questions_have_since(tmp_path):
    from anki.collection import Collection, ImportAnkiPackageOptions, ImportAnkiPackageRequest

    whole = next(one for one in whole_bank() if one.seen and one.levels and one.asked_in)
    before = whole.model_copy(update={"seen": [], "levels": None, "asked_in": []})
    old, new = tmp_path / "old.apkg", tmp_path / "new.apkg"
    anki.export(old, [before], now=1_700_000_000)
    anki.export(new, [whole], now=1_800_000_000)
    collection = Collection(str(tmp_path / "collection.anki2"))
    try:
        answers = []
        for package in (old, new):
            request = ImportAnkiPackageRequest(package_path=str(package), options=ImportAnkiPackageOptions())
            collection.import_anki_package(request)
            (note,) = [collection.get_note(one) for one in collection.find_notes("")]
            answers.append(note["Answer"])
            assert list(note.keys()) == ["Id", "Title", "Prompt", "Answer", "Where"]  # as the first export
        for text in (whole.seen[0], whole.levels.senior):
            assert [cards.as_html(text) in answer for answer in answers] == [False, True]
        assert f"walkforward::round::{whole.asked_in[0]}" in note.tags
        assert collection.note_count() == collection.card_count() == 1
    finally:
        collection.close()


def test_the_export_says_what_is_missing_and_writes_nothing(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"bank.zip is no name that Anki imports; end it with .apkg"):
        anki.export(tmp_path / "bank.zip")
    with pytest.raises(ValueError, match="there is no folder .*nowhere; make it first"):
        anki.export(tmp_path / "nowhere" / "bank.apkg")
    monkeypatch.setitem(sys.modules, "genanki", None)
    with pytest.raises(ValueError, match="genanki is not installed: `.*python.* -m pip install genanki`"):
        anki.export(tmp_path / "bank.apkg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One\nline & `a<b`.", "<p>One<br>line &amp; <code>a&lt;b</code>.</p>"),
        (
            "Look:\n\n```python\nif a < b:\n    c\n```\n\nWhy?",
            "<p>Look:</p><pre>if a &lt; b:\n    c</pre><p>Why?</p>",
        ),
    ],
)
def test_text_as_html(text, shown):
    assert cards.as_html(text) == shown


def test_the_command_offers_the_kinds_and_levels_of_the_bank():
    from course.practice.commands import KIND, LEVEL

    assert (tuple(KIND.choices), tuple(LEVEL.choices)) == (KINDS, LEVELS)


# In JupyterLab


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(browser.program() is None, reason="no Chromium here")
def test_a_card_in_jupyterlab_is_answered_and_logged(tmp_path_factory, monkeypatch):
    pytest.importorskip("playwright.sync_api", reason="no Playwright here: pip install playwright")
    from test_browser import CELLS, run_all, shoot, wait_until_idle
    from test_cli import Lab

    lab = Lab(tmp_path_factory.mktemp("a card") / "work")
    try:
        code = [nbformat.v4.new_code_cell(CELL, id="card")]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=code, metadata={"kernelspec": kernel})
        nbformat.write(notebook, lab.work / "card.ipynb")
        with browser.headless() as chromium:
            page = chromium.new_page(viewport={"width": 1100, "height": 1300})
            page.set_default_timeout(60_000)
            page.goto(lab.jupyter.replace(find_lesson("00").stem, "card"))
            page.locator(CELLS).first.wait_for()
            wait_until_idle(page)
            run_all(page)
            page.get_by_role("button", name="Start the clock").click()
            shoot(page, "card-asked")
            assert not page.get_by_text("A p-value says how sure").is_visible()
            page.get_by_role("button", name="Show the points").click()
            for box in page.locator(".widget-checkbox input").all()[:3]:
                box.click()
            shoot(page, "card-points")
            page.get_by_role("button", name="Log my answer").click()
            page.get_by_text("logged. It is due").wait_for()
            page.get_by_text("Then use a stricter level").wait_for()
            shoot(page, "card-logged")
            page.get_by_role("link", name="11d · The number of rows decides").click()
            page.wait_for_function(
                "() => [...document.querySelectorAll('.jp-CodeCell .cm-content')].some(cell =>"
                " cell.textContent.startsWith('sizes = ') && cell.getBoundingClientRect().top > 0"
                " && cell.getBoundingClientRect().top < innerHeight)"
            )
            shoot(page, "card-link")
    finally:
        lab.end()
    monkeypatch.setenv("WALKFORWARD_STATE", lab.home["WALKFORWARD_STATE"])
    (review,) = State().reviews()
    assert (review.must, review.good, review.source) == ([True] * 3, [False] * len(drift().good), "notebook")
    assert review.seconds is not None

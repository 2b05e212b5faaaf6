"""The browser's plan is the terminal's: the same days from the same dates, hours, paths and logs."""

import json
import random
import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from in_node import needs_node, node
from test_advertisement import CONSULTING, FORECASTING, FRENCH, GERMAN, PLATFORM

from authoring.site import bank as site_bank
from authoring.site import expressions
from authoring.site import plan as site_plan
from course import outline, progress
from course.practice import advertisement, agenda, timetable
from course.practice import plan as planning
from course.practice.advertisement import Term
from course.practice.bank import load_bank
from course.practice.kinds import ROUNDS
from course.practice.plan import Plan
from course.practice.reviews import State
from course.practice.timetable import Item, Piece, Wishes

BANK, LESSONS = load_bank(), outline.course()
ROUTES = {path.name: path for path in outline.paths()}
QUESTIONS = [
    {"id": one.id, "topic": one.topic, "kind": one.kind, "lesson": site_bank.entry(one)["lesson"]}
    for one in BANK
]
ADS = ("", CONSULTING, FORECASTING, PLATFORM, GERMAN, FRENCH, "A baker for the early hours.")


@cache
def entries():
    """What plan.js reads; seconds, so a run that only collects this file does without."""
    return json.loads(json.dumps(site_plan.entries()))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A state folder of the test's own; notebooks, paths and bank are read once."""
    monkeypatch.setattr(outline, "course", lambda notebooks=None: LESSONS)
    monkeypatch.setattr(outline, "path_named", lambda name, notebooks=None: ROUTES[name])
    for module in (planning, agenda):
        monkeypatch.setattr(module, "load_bank", lambda: BANK)
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path))


@pytest.fixture
def zone(request, monkeypatch):
    """A calendar of another place; the days of a plan are the student's own."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


# The days ------------------------------------------------------------------------------------------------


def wishes(rng):
    """Some sittings that need each other, and what else a plan may wish."""
    number = rng.randrange(16)
    pieces = [
        Piece(
            f"{at:02}a_p{at % 3}",
            rng.randrange(1, 14) * 5,
            tuple(f"{need:02}a_p{need % 3}" for need in rng.sample(range(at), min(at, rng.randrange(3)))),
        )
        for at in range(number)
    ]
    names = [piece.name for piece in pieces]
    return Wishes(
        pieces,
        rank=rng.sample(names, number),
        first=rng.sample(names, rng.randrange(number + 1)),
        terms=[
            (rng.choice([0.5, 1]), rng.sample([*names, "not there"], rng.randrange(1, min(number, 3) + 2)))
            for _ in range(rng.randrange(6))
        ],
        held=[rng.choice(ROUNDS) for _ in range(rng.randrange(8))],
        told=rng.randrange(9),
        katas=[f"k{at}" for at in range(rng.randrange(9))],
        solved=rng.randrange(9),
        elapsed=rng.randrange(20),
        kept=rng.choice(
            [
                [],
                [Item(what="round", name="coding", minutes=45)],
                [Item(what="story", minutes=15), timetable.questions(3)],
            ]
        ),
    )


def as_json(filled):
    """Days and what is left, as the browser has them."""
    return {
        "days": [[item.model_dump() for item in day] for day in filled.days],
        "left": [one.model_dump() for one in filled.left],
    }


@needs_node
def test_days_are_filled_as_in_the_terminal():
    rng = random.Random(20)
    cases = [(rng.randrange(25), rng.randrange(15, 721), wishes(rng)) for _ in range(1500)]
    given = [
        [
            count,
            budget,
            vars(wish)
            | {"pieces": [vars(one) for one in wish.pieces], "kept": [one.model_dump() for one in wish.kept]},
        ]
        for count, budget, wish in cases
    ]
    script = (
        "return given.map((one) => { const {days, left} = timetable.fill(...one); return {days, left}; });"
    )
    found = node(script, given, ("timetable",))
    for case, mine in zip(cases, found, strict=True):
        assert mine == as_json(timetable.fill(*case)), case
    assert sum(bool(one["left"]) for one in found) > 300
    assert sum(any(item["part"] for day in one["days"] for item in day) for one in found) > 40


# Advertisements ------------------------------------------------------------------------------------------


def test_the_questions_about_a_term_are_those_of_the_terminal():
    asked, terms = site_plan.Asked(BANK), advertisement.load_terms()
    for term in random.Random(7).sample(terms, 15):
        assert asked.about(term) == [one.id for one in BANK if term.asks(one)], term.term
    assert sum(bool(one["asks"]) for one in entries()["advertisement"]["terms"]) > 50


def texts():
    """Advertisements, and texts with each name in a list, in a sentence or within a word."""
    rng, found = random.Random(3), [*ADS[1:]]
    names = [name for term in advertisement.load_terms() for name in (term.term, *term.also)]
    forms = (
        "Python, {}, English.",
        "({})",
        "xq{}zq",
        "We use {} a lot",
        "{0}s and {0}-like, R&D",
        "in {}\nor SQL",
        "Go {} Go",
        "you, {}? R\u00b2",
    )
    for name in names:
        written = rng.choice([str, str.upper, str.lower, str.title])(rng.choice(forms).format(name))
        found.append(written.replace(" ", rng.choice([" ", "\u00a0", "-", "\u2011"])))
    found += [" ".join(rng.sample(found, 6)) for _ in range(50)]
    return found


@needs_node
def test_an_advertisement_names_the_same_terms_by_the_same_words():
    written = texts()
    script = """
    const read = new advertisement.Advertisements(given.rules);
    return given.texts.map((text) => { const plain = advertisement.plain(text);
      return [plain, read.named(plain).map((term) => [term.term, read.word(term, plain)])]; });"""
    given = {"rules": entries()["advertisement"], "texts": written}
    found = node(script, given, ("advertisement",))
    for text, (plain, terms) in zip(written, found, strict=True):
        assert plain == advertisement.plain(text)
        assert terms == [[one.term, one.word(plain)] for one in advertisement.named(plain)], text
    assert sum(len(terms) for _, terms in found) > 1000


@needs_node
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (" \n", "is empty"),
        ("<!DOCTYPE html><p>MLOps", "web page"),
        ("%PDF-1.7", "no text"),
        ("MLOps\0", "no text"),
        ("MLOps " * 170_000, "longer"),
    ],
)
def test_what_is_no_advertisement_is_refused_with_a_line(text, said):
    script = "try { return advertisement.read(given); } catch (error) { return error.message; }"
    told = node(script, text, ("advertisement",))
    assert said in told and "\n" not in told
    assert node(script, "MLOps\r\nand Go", ("advertisement",)) == "MLOps\nand Go"


# Expressions ---------------------------------------------------------------------------------------------


@needs_node
def test_an_expression_finds_in_javascript_what_it_finds_in_python():
    """Words, blanks and edges of other alphabets too; the end of a text is before its last line's end."""
    patterns = [
        r"\b\w+\b",
        r"[\w#+&]+",
        r"\s+",
        r"(?<!\w)\d{1,3}(?!\w)",
        r"a.c",
        r"b$",
        r"[^\s.]+$",
        r"\bn't\b|\W+",
        r"x\-\#\&y",
    ]
    written = [
        "größe naïve ١٢ 3½ x²",
        "a\u2028c a\nc b\n",
        "b",
        "don't n't",
        "a\u00a0b\u3000c\u1680",
        "x-#&y 1234 12",
        "ß\u0345e\u0301",
    ]
    script = """return given.patterns.map((one) => given.texts.map((text) =>
      [...text.matchAll(new RegExp(one, "gu"))].map((hit) => hit[0])));"""
    given = {"patterns": [expressions.javascript(one) for one in patterns], "texts": written}
    wanted = [[[hit[0] for hit in re.finditer(one, text)] for text in written] for one in patterns]
    assert node(script, given, ()) == wanted


@pytest.mark.parametrize("pattern", [r"(?i)a", r"(?P<x>a)", r"[]a]", r"[\W]", r"a\Z"])
def test_what_javascript_has_not_is_refused(pattern):
    with pytest.raises(ValueError, match=r"Python's alone|within a class|member of its class"):
        expressions.javascript(pattern)


# The plan, day by day ------------------------------------------------------------------------------------

WALK = """
const {outline, bank, steps} = given, ads = new advertisement.Advertisements(outline.advertisement);
let held = null, interview = "";
return steps.map(({now, facts, wishes, moved}) => {
  const done = new plan.Done(facts);
  if (moved) interview = moved;
  if (wishes) {
    const {text, forget, ...rest} = wishes, read = text && advertisement.read(text);
    const terms = read && ads.named(read).map((one) => [one.term, ads.word(one, read)]);
    if (read) Object.assign(rest, {job: "ad.txt", terms: Object.fromEntries(terms)});
    if (forget) Object.assign(rest, {job: "", terms: {}});
    held = plan.asked(outline, held, interview, rest, done, now);
  } else held = plan.current(outline, held, interview, done, now);
  if (held && (wishes || interview > plan.dayOf(now))) interview = held.interview;
  return [held, plan.today(outline, bank, held, interview, done, now)];
});"""


class Student:
    """Somebody who follows a plan, more or less; the terminal's log has it, and the browser is given it."""

    def __init__(self, rng, monkeypatch):
        self.rng, self.monkeypatch, self.state = rng, monkeypatch, State()
        self.progress = []
        self.sittings = {one.name: one for lesson in LESSONS for one in lesson.sittings}

    def at(self, moment):
        self.now = moment
        self.monkeypatch.setenv("WALKFORWARD_NOW", moment.isoformat())

    def passes(self, names):
        file = progress.progress_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as out:
            for name in names:
                self.progress.append({"exercise": name, "time": self.now.isoformat()})
                out.write(json.dumps(self.progress[-1] | {"lesson": "x", "status": "passed"}) + "\n")

    def does(self, item):
        if item.what == "sitting" and item.name in self.sittings:
            own = self.sittings[item.name].exercises
            self.passes(own if self.rng.random() < 0.7 else own[:1])
        elif item.what in ("round", "kata"):
            self.state.record_attempt(
                item.what, item.name, item.what == "round" or self.rng.random() < 0.8, 900.0, {}
            )
        elif item.what == "story":
            self.state.record_rehearsal("mine", 100.0, [True] * 5)

    def answers(self, ids, source="practice"):
        by_id = {one.id: one for one in BANK}
        for place, one in enumerate(ids):
            question, moment = by_id[one], self.now + timedelta(minutes=place)
            must = [self.rng.random() < 0.9 for _ in question.must]
            self.state.record(question, must, [False] * len(question.good), 60.0, source, moment)

    def facts(self):
        return {
            "progress": list(self.progress),
            "reviews": [
                {
                    "question": one.question,
                    "rating": int(one.rating),
                    "reviewed": one.reviewed.isoformat(),
                    "source": one.source,
                }
                for one in self.state.reviews()
            ],
            "attempts": [
                {"what": one.what, "name": one.name, "passed": one.passed, "ended": one.ended.isoformat()}
                for one in self.state.attempts()
            ],
            "told": [when.isoformat() for _, when, *_ in self.state.rehearsals()],
        }

    def asks(self, wishes):
        """Make or change the plan in the terminal."""
        text, told = wishes.get("text"), {"day": None, "hours": None, "path": None} | wishes
        read = advertisement.plain(text) if text else None
        job = "ad.txt" if text else "none" if "forget" in wishes else None
        agenda._ask(self.state, self.now, told["day"], told["hours"], told["path"], (), read, job)


def walk(rng, monkeypatch):
    """Go through some days; return what the browser is given, and what the terminal has after each step."""
    student, steps, wanted = Student(rng, monkeypatch), [], []
    start = datetime(
        2026, rng.randrange(1, 13), rng.randrange(1, 28), rng.randrange(24), rng.randrange(60), tzinfo=UTC
    )
    days = rng.choice([2, 5, 9, 14, 21, 40])
    for number in range(min(days + 2, 11)):
        student.at(start + timedelta(days=number, minutes=rng.randrange(-300, 300)))
        wishes, moved, left = None, None, days - number
        if number == 0 or (left > 3 and rng.random() < 0.15):
            wishes = {
                "hours": rng.choice(["0.25", "0.5", "1", "1,5", "2.2", "4", "12"]),
                "path": rng.choice(list(ROUTES)),
            }
            if number == 0 or rng.random() < 0.3:
                wishes["day"] = str(planning.day_of(student.now) + timedelta(days=left))
            if ad := rng.choice(ADS):
                wishes["text"] = ad
            elif rng.random() < 0.5:
                wishes["forget"] = True
            facts = student.facts()
            student.asks(wishes)
        else:
            facts = student.facts()
            if left > 4 and rng.random() < 0.1:
                moved = str(planning.day_of(student.now) + timedelta(days=left - 1))
                student.state.set("interview", moved)
            planning.current(student.state, student.now)
        plan = Plan.model_validate_json(student.state.setting("plan"))
        today = planning.today(student.state, student.now)
        steps.append(
            {"now": student.now.timestamp() * 1000, "facts": facts, "wishes": wishes, "moved": moved}
        )
        wanted.append([plan.model_dump(mode="json"), today and vars(today)])
        for item in planning.items_of(plan, planning.day_of(student.now)):
            if rng.random() < 0.6:
                student.does(item)
        if today and rng.random() < 0.8:
            student.answers(rng.sample(today.questions, rng.randrange(len(today.questions) + 1)))
        if rng.random() < 0.2:
            student.answers([rng.choice(BANK).id], "mock")
    return steps, wanted


@needs_node
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"], indirect=True)
def test_each_day_of_a_plan_is_the_terminals(zone, tmp_path, monkeypatch):
    """Same days, sittings, questions, katas, rounds, stories, day off; what was missed moves on."""
    asks = {one["term"]: set(one["asks"]) for one in entries()["advertisement"]["terms"]}
    monkeypatch.setattr(Term, "asks", lambda term, one: one.id in asks[term.term])  # proved above; it is slow
    seen = Counter()
    for seed in range(4):
        monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / str(seed)))
        steps, wanted = walk(random.Random(f"{zone} {seed}"), monkeypatch)
        given = {"outline": entries(), "bank": QUESTIONS, "steps": steps}
        found = node(WALK, given, ("plan", "advertisement"), zone)
        for place, ((mine, left), (theirs, today)) in enumerate(zip(found, wanted, strict=True)):
            begun = [datetime.fromisoformat(one.pop("begun")) for one in (mine, theirs)]
            assert abs(begun[0] - begun[1]) < timedelta(seconds=1)
            for key in theirs:
                assert mine[key] == theirs[key], (seed, place, key)
            assert mine.keys() == theirs.keys()
            assert left == today, (seed, place)
            seen += Counter(key for key in ("missed", "fallen", "left", "terms") if theirs[key])
            seen += Counter(key for key, value in (today or {"over": True}).items() if value)
    wanted = {"missed", "left", "terms", "questions", "sittings", "katas", "rounds", "stories", "off", "over"}
    assert wanted <= seen.keys(), "each of these was met, or the test says little"

"""What the plan in the browser follows: sittings and their needs, paths, katas, words of advertisements."""

from __future__ import annotations

import json
from bisect import bisect
from itertools import accumulate, zip_longest
from pathlib import Path
from typing import Any

from authoring.site.expressions import javascript
from course import outline
from course.files import write_whole
from course.practice import advertisement, kata
from course.practice.advertisement import Term
from course.practice.bank import Question, load_bank

BETWEEN = "\n\0\n"  # between two prompts: no name reaches over it
RULES = {
    "before": advertisement.BEFORE,
    "saidOf": advertisement.SAID_OF,
    "after": advertisement.AFTER,
    "noLanguage": advertisement.NO_LANGUAGE,
}


class Asked:
    """Which questions ask about a term, found in all prompts at once: term by term it takes seconds."""

    def __init__(self, bank: list[Question]) -> None:
        self.bank, prompts = bank, [advertisement.plain(one.prompt) for one in bank]
        self.text = BETWEEN.join(prompts)
        self.ends = list(accumulate(len(prompt) + len(BETWEEN) for prompt in prompts))

    def about(self, term: Term) -> list[str]:
        """Return the ids for which `Term.asks` holds, in the bank's order."""
        said = {bisect(self.ends, place) for place in term.where(self.text)}
        return [
            one.id
            for place, one in enumerate(self.bank)
            if place in said or one.id in term.questions or one.subject in term.subjects
        ]


def entries() -> dict[str, Any]:
    """Return the outline of the course and the rules of advertisements, as plan.js reads them."""
    course, asked = outline.course(), Asked(load_bank())
    stems = [lesson.stem for lesson in course]
    turns = zip_longest(*(kata.names(lesson) for lesson in kata.LESSONS))
    return {
        "lessons": [
            {"stem": one.stem, "needs": one.needs, "sittings": [_sitting(each) for each in one.sittings]}
            for one in course
        ],
        "paths": [
            {
                "name": one.name,
                "title": one.title,
                "sittings": [each.name for each in one.sittings],
                "assumed": list(one.assumed),
            }
            for one in outline.paths()
        ],
        "katas": [name for turn in turns for name in turn if name is not None],
        "advertisement": {
            "rules": {name: javascript(pattern.pattern) for name, pattern in RULES.items()},
            "terms": [_term(one, stems, asked) for one in advertisement.load_terms()],
        },
    }


def _sitting(one: outline.Sitting) -> dict[str, Any]:
    return vars(one) | {"name": one.name, "number": one.number}


def _term(one: Term, stems: list[str], asked: Asked) -> dict[str, Any]:
    return {
        "term": one.term,
        "exact": one.exact,
        "listed": one.listed,
        "idea": one.idea,
        "stems": one.stems(stems),
        "coming": one.coming(stems),
        "patterns": [javascript(pattern.pattern) for pattern in one._patterns],
        "asks": asked.about(one),
    }


def write(target: Path) -> None:
    """Write plan.json."""
    target.mkdir(parents=True, exist_ok=True)
    text = json.dumps(entries(), ensure_ascii=False, separators=(",", ":"))
    write_whole(target / "plan.json", text.encode())

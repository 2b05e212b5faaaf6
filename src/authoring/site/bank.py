"""The question bank as the practice page reads it: one JSON file, its texts as HTML already."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course import outline
from course.files import write_whole
from course.practice.bank import Question, lessons_of, load_bank
from course.practice.cards import as_html, places
from course.practice.rounds import forms

FRONT = "drift-psi-threshold"  # the front page's question, to answer at once


def short(text: str) -> str:
    """Return a point as HTML for a list's item: without paragraphs."""
    return as_html(text).replace("</p><p>", "<br>").replace("<p>", "").replace("</p>", " ").strip()


def entry(question: Question) -> dict[str, Any]:
    """Return a question as the page has it."""
    return {
        "id": question.id,
        "topic": question.topic,
        "subject": question.subject,
        "lesson": question.lesson,
        "lessons": sorted(lessons_of(question)),
        "kind": question.kind,
        "level": question.level,
        "minutes": question.minutes,
        "asked": list(question.asked_in),
        "prompt": as_html(question.prompt),
        "must": [short(text) for text in question.must],
        "good": [short(text) for text in question.good],
        "seen": [short(text) for text in question.seen],
        "levels": [[name, short(text)] for name, text in question.by_level],
        "wrong": [[short(pair.says), short(pair.why)] for pair in question.wrong],
        "next": [[short(pair.ask), short(pair.gist)] for pair in question.follow_ups],
        "shows": [
            [name, f"notebooks/{address.replace('.ipynb', '.html')}"] for name, address in places(question)
        ],
        "sources": [[source.title, source.url] for source in question.sources],
    }


def write(target: Path, questions: Sequence[Question] | None = None) -> None:
    """Write bank.json (questions, paths, forms of the rounds) and front.json (one question)."""
    entries = [entry(one) for one in (load_bank() if questions is None else questions)]
    whole = {
        "questions": entries,
        "paths": [
            {"name": path.name, "title": path.title, "lessons": sorted({one.number for one in path.sittings})}
            for path in outline.paths()
        ],
        "rounds": {name: form.model_dump() for name, form in forms().items()},
    }
    first = next((one for one in entries if one["id"] == FRONT), entries[0])
    target.mkdir(parents=True, exist_ok=True)
    for name, content in (("bank", whole), ("front", first)):
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        write_whole(target / f"{name}.json", text.encode())

"""`walkforward export-anki`: the question bank as an Anki package that can be imported again and again."""

from __future__ import annotations

import html
import sqlite3
import sys
import time
from pathlib import Path

from course.files import written_whole
from course.practice.bank import Question, load_bank
from course.practice.cards import answer_html, as_html, places, title
from course.practice.reviews import State
from walkforward.errors import WalkForwardError

MODEL_ID, DECK_ID = 1_607_392_001, 2_059_400_001  # never change them: Anki would make a second deck
FRONT = '<div class="title">{{Title}}</div>{{Prompt}}'
BACK = FRONT + '<hr id="answer">{{Answer}}<div class="title">{{Where}}</div>'
CSS = """.card { font-family: sans-serif; font-size: 18px; max-width: 44em; margin: auto; text-align: left; }
.title { color: #777; font-size: 14px; } pre { background: #8882; padding: 6px; overflow-x: auto; }
li p { margin: 0.2em 0; }"""


class ExportError(WalkForwardError, ValueError):
    """The package can't be written; the message says why, and the way out."""


def export(file: Path, bank: list[Question] | None = None, now: float | None = None) -> int:
    """Write the bank to an .apkg file, whole or not at all; return how many notes are in it.

    A note's GUID comes from the question's id, and each export is newer than the one before, even in the same
    second: an edited question updates its note on import, and nothing doubles. What a question has got since
    goes into the fields that there are: notes with another field were of another model to Anki, and the old
    ones would stay as they are. `now`: seconds since 1970.
    Raises ExportError when genanki is not installed, the name is not one of a package, or the disk is full.
    """
    try:
        import genanki
    except ImportError:
        raise ExportError(
            f"genanki is not installed: `{sys.executable} -m pip install genanki` brings it"
        ) from None
    if file.suffix != ".apkg":
        raise ExportError(f"{file} is no name that Anki imports; end it with .apkg")
    if not file.absolute().parent.is_dir():
        raise ExportError(f"there is no folder {file.parent}; make it first")
    model = genanki.Model(
        MODEL_ID,
        "Walk-Forward question",
        fields=[{"name": name} for name in ("Id", "Title", "Prompt", "Answer", "Where")],
        templates=[{"name": "Answer aloud", "qfmt": FRONT, "afmt": BACK}],
        css=CSS,
        sort_field_index=0,
    )
    deck = genanki.Deck(DECK_ID, "Walk-Forward interview", "Answer aloud, then tick the points.")
    bank = load_bank() if bank is None else bank
    for question in bank:
        where = ", ".join(f"{name} ({address})" for name, address in places(question))
        fields = [question.id, html.escape(title(question)), as_html(question.prompt), answer_html(question)]
        names = (question.topic.replace(" ", "-"), question.kind, question.level)  # no blank in a tag
        tags = [f"walkforward::{name}" for name in names]
        tags += [f"walkforward::round::{name}" for name in question.asked_in]
        guid = genanki.guid_for("walkforward", question.id)
        note = genanki.Note(model, [*fields, html.escape(where)], guid=guid, tags=list(dict.fromkeys(tags)))
        deck.add_note(note)
    state = State()
    last = str(state.setting("exported"))
    stamp = max(int(time.time() if now is None else now), int(last) + 1 if last.isdecimal() else 0)
    state.set("exported", str(stamp))
    try:
        with written_whole(file) as beside:
            genanki.Package(deck).write_to_file(str(beside), timestamp=stamp)
    except (OSError, sqlite3.Error) as error:  # genanki makes its database in the system's temporary folder
        why = getattr(error, "strerror", None) or error
        raise ExportError(f"{file} can't be written ({why}): make room, or choose another folder") from error
    return len(bank)

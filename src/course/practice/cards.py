"""A question as a card: in a notebook, as a widget or as Markdown, and as the HTML that Anki shows."""

from __future__ import annotations

import html
import json
import re
import time
from pathlib import Path
from typing import Any

from course.practice.bank import NOTEBOOKS, Question, choose, load_bank, named
from walkforward.errors import WalkForwardError

SEEN = "Seen in the lesson (not asked of you)"


def section(lesson: str, cell: str, notebooks: Path = NOTEBOOKS) -> tuple[Path, str]:
    """Return a lesson's notebook and the heading under which a cell stands, empty when it has none."""
    paths = sorted(notebooks.glob(f"{lesson}_*.ipynb"))
    heading = ""
    try:
        cells = json.loads(paths[0].read_text(encoding="utf-8"))["cells"] if paths else []
    except (OSError, ValueError, LookupError, TypeError):  # its link is worth showing without a heading
        cells = []
    for one in cells:
        if one.get("id") == cell:
            return paths[0], heading
        if one["cell_type"] == "markdown":
            heading = ([heading] + re.findall(r"^##+ (.+)$", "".join(one["source"]), re.MULTILINE))[-1]
    return paths[0] if paths else Path(lesson), ""


def as_html(text: str) -> str:
    """Return a question's text as HTML: paragraphs, `code`, and code between ``` as it stands."""
    parts = []
    for place, part in enumerate(re.split(r"^\s*```\w*\s*$", text, flags=re.MULTILINE)):
        if place % 2:
            parts.append(f"<pre>{html.escape(part.strip(chr(10)))}</pre>")
            continue
        for paragraph in filter(str.strip, re.split(r"\n\s*\n", part)):
            lines = html.escape(paragraph.strip(), quote=False).replace("\n", "<br>")
            parts.append("<p>" + re.sub(r"`([^`]+)`", r"<code>\1</code>", lines) + "</p>")
    return "".join(parts)


def title(question: Question) -> str:
    """Return topic, kind, level and minutes in a line."""
    return " · ".join(
        dict.fromkeys([question.topic, question.kind, question.level, f"{question.minutes} min"])
    )


def answer_html(question: Question) -> str:
    """Return the answer's side of a card: the points, what people say, what comes next, sources."""
    parts = []
    for heading, texts in (("Must", question.must), ("Good", question.good), (SEEN, question.seen)):
        if texts:
            parts.append(f"<b>{heading}</b><ul>{''.join(f'<li>{as_html(text)}</li>' for text in texts)}</ul>")
    for level, text in question.by_level:
        parts.append(f"<b>What a {level} says</b>{as_html(text)}")
    pairs = {
        "What people say, and why it is wrong": [(wrong.says, wrong.why) for wrong in question.wrong],
        "What comes next": [(follow.ask, follow.gist) for follow in question.follow_ups],
    }
    for heading, rows in pairs.items():
        items = "".join(f"<li><i>{as_html(first)}</i>{as_html(second)}</li>" for first, second in rows)
        parts.append(f"<b>{heading}</b><ul>{items}</ul>")
    for source in question.sources:
        name = f"{html.escape(source.title)}</a> (checked {source.checked})"
        parts.append(f'<p>Source: <a href="{html.escape(source.url)}">{name}</p>')
    return "".join(parts)


def places(question: Question) -> list[tuple[str, str]]:
    """Return, for each cell that demonstrates the answer, its name and its address beside the lessons."""
    found = []
    for lesson, cell, _ in question.links:
        notebook, heading = section(lesson, cell)
        found.append((f"{lesson} · {heading or cell}", f"{notebook.name}#cell-id={cell}"))
    return list(dict.fromkeys(found))


def markdown(question: Question) -> str:
    """Return a question as Markdown, its answer folded away; the same on every build."""
    lines = [f"**Practice** · {title(question)}", "", question.prompt, ""]
    lines += ["<details><summary>The points</summary>", ""]
    lines += [f"- **must** {text}" for text in question.must] + [f"- good: {text}" for text in question.good]
    whole = "\n".join([*lines, "", explanation(question), "", "</details>"])
    return whole.replace("$", r"\$")  # no formula begins there


def explanation(question: Question) -> str:
    """Return what stands below the points, as Markdown: what people say, what comes next, where to see it."""
    lines = []
    if question.seen:
        lines += [f"**{SEEN}**", "", *(f"- {text}" for text in question.seen), ""]
    for level, text in question.by_level:
        lines += [f"**What a {level} says**", "", text, ""]
    lines += ["**What people say, and why it is wrong**", ""]
    lines += [f"- *{wrong.says}* {wrong.why}" for wrong in question.wrong]
    lines += ["", "**What comes next**", ""]
    lines += [f"- *{follow.ask}* {follow.gist}" for follow in question.follow_ups]
    if links := [_link(name, address) for name, address in places(question)]:
        lines += ["", "See it run: " + ", ".join(links)]
    for source in question.sources:
        lines += ["", f"Source: {_link(source.title, source.url)} (checked {source.checked})"]
    return "\n".join(lines)


def _link(text: str, address: str) -> str:
    """A link in Markdown, whatever brackets and line breaks are in the text, and in the address."""
    shown = re.sub(r"([\[\]])", r"\\\1", " ".join(text.split()))
    return f"[{shown}]({address.replace('(', '%28').replace(')', '%29')})"


def somebody_is_there() -> bool:
    """Return whether a frontend runs this cell, and not a program that executes notebooks.

    JupyterLab, Notebook and VS Code say which cell they run; nbclient, papermill and nbval don't. A widget in
    what they store would carry a random id into the notebook, and nobody could click it.
    """
    try:
        from IPython import get_ipython

        return "cellId" in get_ipython().get_parent().get("metadata", {})
    except (ImportError, AttributeError):
        return False


class PracticeCard:
    """A card for the last line of a cell: the first question, or with a learner there the next one due."""

    def __init__(self, questions: list[Question]) -> None:
        self.questions = questions

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        if somebody_is_there():
            return self.widget()._repr_mimebundle_()
        return {"text/plain": repr(self), "text/markdown": markdown(self.questions[0])}

    def __repr__(self) -> str:
        question = self.questions[0]
        return f"{title(question)}\n{question.prompt}\n(walkforward practice asks for the points)"

    def widget(self) -> Any:
        """Return the card as a widget: clock, points to tick, and a button that logs the answer."""
        import ipywidgets
        from IPython.display import Markdown

        from course.practice.reviews import State, utc_now
        from course.practice.schedule import Schedule
        from course.practice.terminal import minutes, when

        schedule = Schedule(self.questions, State(), utc_now())
        waiting = (
            sorted(self.questions, key=lambda one: schedule.cards[one.id].due) if not schedule.new else []
        )
        question = [*schedule.due, *schedule.following(1), *waiting][0]
        clock: dict[str, float] = {}
        start, show = (ipywidgets.Button(description=text) for text in ("Start the clock", "Show the points"))
        save = ipywidgets.Button(description="Log my answer", button_style="primary")
        told = ipywidgets.HTML(f"Answer aloud, or type it; {question.minutes} minutes are fair.")
        typed = ipywidgets.Textarea(placeholder="Your answer, if you type it", layout={"width": "100%"})
        before = ipywidgets.HTML()  # what was typed the last time, beside the points
        after = ipywidgets.Output()  # Markdown there has links that stay inside of JupyterLab
        boxes = [
            ipywidgets.Checkbox(indent=False, layout={"flex": "0 0 28px"})
            for _ in question.must + question.good
        ]
        labels = [f"<b>must</b> {text}" for text in map(as_html, question.must)]
        labels += [f"good {text}" for text in map(as_html, question.good)]
        rows = [
            ipywidgets.HBox([box, ipywidgets.HTML(label.replace("<p>", "").replace("</p>", " "))])
            for box, label in zip(boxes, labels, strict=True)
        ]
        points = ipywidgets.VBox([before, *rows, save], layout={"display": "none"})

        def begin(_: Any) -> None:
            clock["from"] = time.monotonic()
            start.disabled, told.value = True, "The clock is running."

        def unfold(_: Any) -> None:
            if "from" in clock:
                clock["spent"] = time.monotonic() - clock["from"]
                told.value = f"{minutes(clock['spent'])} of {minutes(60 * question.minutes)}"
            start.disabled = show.disabled = True
            points.layout.display = None
            try:
                own = [one for one in State().reviews() if one.question == question.id and one.said]
            except WalkForwardError:  # it is told when the answer is logged
                return
            if own:
                earlier = html.escape(own[-1].said).replace("\n", "<br>")
                before.value = f"Your answer of {own[-1].reviewed.astimezone():%d %b %Y}: <i>{earlier}</i>"

        def log(_: Any) -> None:
            if save.disabled:  # the second of two quick clicks
                return
            save.disabled = True
            had = [box.value for box in boxes]
            must, good = had[: len(question.must)], had[len(question.must) :]
            try:
                said = typed.value.strip()
                review = State().record(question, must, good, clock.get("spent"), "notebook", said=said)
                due = State().due(question.id)
            except WalkForwardError as error:
                save.disabled, told.value = False, html.escape(str(error))
                return
            for box in [*boxes, typed]:
                box.disabled = True
            told.value = f"<b>{review.rating.name}</b>, logged. It is due {when(due, utc_now())}."
            after.append_display_data(Markdown(explanation(question).replace("$", r"\$")))

        start.on_click(begin)
        show.on_click(unfold)
        save.on_click(log)
        head = ipywidgets.HTML(f"<b>Practice</b> · {html.escape(title(question))}{as_html(question.prompt)}")
        return ipywidgets.VBox([head, ipywidgets.HBox([start, show]), typed, points, told, after])


def practice_card(
    question: str | None = None, lesson: str | None = None, kind: str | None = None, level: str | None = None
) -> Any:
    """Return a card to show in a notebook: a question by its id, or the next one that meets the filter.

    Where somebody sits at the notebook it is a widget that logs the answer with those of the terminal;
    elsewhere (the build, GitHub) the first question that fits, as Markdown. BankError when there is none.
    """
    bank = load_bank()
    if question is None:
        return PracticeCard(choose(bank, lesson, kind, level))
    return PracticeCard(named(bank, [question]))

"""The pages' sources for Sphinx: notebooks as the web needs them, a page a part and a path, the front."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

from course import lessons, outline
from course.files import write_whole
from course.paths import ROOT

NOTEBOOKS = ROOT / "notebooks"
MARK = re.compile(r"<!--\s*(?:[=~]|given\b).*?-->", re.DOTALL)  # what measures a number in the prose
FIGURE = re.compile(r"^\*Figure: (.+?)\*\s*$", re.DOTALL | re.MULTILINE)
# scikit-learn's button inside of a summary: two things to press in one
IN_SUMMARY = re.compile(
    r'<div class="image-container">\s*<button[^>]*>\s*</button>\s*</div>(?=\s*</summary>)'
)
OUTSIDE = re.compile(r"(!?\[[^\]]*\])\(\.\./(?!images/)([^)]*)\)")  # a link to a file that is no page
PARTS = (
    (
        "before_you_build",
        "Before you build",
        "What a machine-learning system is, and whether to build one.",
        ("00",),
    ),
    (
        "build",
        "Build",
        "A model that you can defend: labels, tracking, tuning, packaging.",
        ("01", "02", "03", "04", "05", "06"),
    ),
    (
        "ship",
        "Ship",
        "From a model to an answer: registry, release gates, serving, platforms.",
        ("07", "08", "09", "10"),
    ),
    ("watch", "Watch", "What goes wrong afterwards, who notices, and when to retrain.", ("11", "12")),
    ("forecast", "Forecast", "Time series, judged as they will be used.", ("13", "14", "15", "16")),
    ("together", "Together", "One flow from new data to a watched model.", ("17",)),
    ("interview", "The interview", "Walkthroughs of each round.", ("I1", "I2", "I3", "I4", "I5")),
)
COMMANDS = """```sh
make lab     # the environment, JupyterLab and a tracking server; needs Python 3.11 or newer, git, make
make test    # proves every lesson, number and exercise
```
"""


def write(target: Path, repository: str = "") -> None:
    """Lay the sources into a folder; a file that holds the same already is not touched.

    repository: the address of the course's repository, for links that open a lesson elsewhere.
    """
    course = outline.course(NOTEBOOKS)
    stems = [lesson.stem for lesson in course]
    for stem in stems:
        notebook = json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))
        text = json.dumps(for_the_web(notebook, stem, repository), ensure_ascii=False, indent=1)
        write_whole(target / "notebooks" / f"{stem}.ipynb", text.encode())
    shutil.copytree(
        ROOT / "images",
        target / "images",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("*.py", "__pycache__"),
    )
    write_whole(target / "images" / "front.png", first_figure()[0])
    written = {"index": front(course), **parts(course), **paths(), **tools()}
    for name, text in written.items():
        write_whole(target / f"{name}.md", text.encode())
    _drop(target / "notebooks", {f"{stem}.ipynb" for stem in stems})
    for folder in ("parts", "paths"):
        _drop(
            target / folder, {f"{name.partition('/')[2]}.md" for name in written if name.startswith(folder)}
        )


def _drop(folder: Path, wanted: set[str]) -> None:
    """Take away the sources of pages that are no more."""
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()


def for_the_web(notebook: dict[str, Any], stem: str, repository: str) -> dict[str, Any]:
    """Return a notebook as a page needs it: no marks, alt texts, names that links reach, what to do next."""
    cells = notebook["cells"]
    for place, cell in enumerate(cells):
        cell["metadata"] = {"name": cell["id"]}
        if cell["cell_type"] == "markdown":
            cell["source"] = prose(_text(cell), repository)
            continue
        following = cells[place + 1] if place + 1 < len(cells) else {"cell_type": "code", "source": ""}
        told = FIGURE.search(_text(following)) if following["cell_type"] == "markdown" else None
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "text/html" in data:  # the corner of a table heads nothing
                text = "".join(data["text/html"]).replace("<th></th>", "<td></td>")
                data["text/html"] = IN_SUMMARY.sub("", text)
            if "image/png" in data:
                alt = " ".join(MARK.sub("", told[1]).replace("`", "").split()) if told else "A figure"
                cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
    cells.append(
        {"cell_type": "markdown", "id": "what-next", "metadata": {}, "source": after(stem, repository)}
    )
    notebook["metadata"] = {key: notebook["metadata"][key] for key in ("kernelspec", "language_info")}
    return notebook


def _text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def prose(text: str, repository: str) -> str:
    """Return Markdown without marks; a link to a file of the repository leads there, or is only its text."""
    text = MARK.sub("", text)
    if repository:
        return OUTSIDE.sub(rf"\1({repository}/blob/main/\2)", text)
    return OUTSIDE.sub(lambda hit: hit[1].strip("[]"), text)


def after(stem: str, repository: str) -> str:
    """Return what a reader can do next, as HTML: open this sitting, practise its questions, run its katas."""
    number = lessons.number(stem)
    rows = [f'<a href="../practice.html?lesson={number}">Practise the questions of {number}</a>']
    if number == "I1":
        rows.append('<a href="../katas.html">Run its katas in the browser</a>')
    if number == "I5":
        rows.append(
            '<a href="../katas.html?kata=payment_summary">Run its SQL katas in the browser</a>; '
            "with their pandas halves in your terminal: <code>walkforward kata</code>"
        )
    clone = f"git clone {repository}.git && cd {repository.rpartition('/')[2]} && " if repository else ""
    rows.append(f"Open it on your machine: <code>{clone}make lab ARGS={number}</code>")
    if repository:
        owner = repository.removeprefix("https://github.com/")
        binder = f"https://mybinder.org/v2/gh/{owner}/main?urlpath=lab/tree/notebooks/{stem}.ipynb"
        rows.append(
            f'Open it elsewhere: <a href="{binder}">Binder</a> or '
            f'<a href="https://codespaces.new/{owner}">Codespaces</a>'
        )
    items = "".join(f"<li>{row}</li>" for row in rows)
    return f'<nav class="wf-next" aria-label="What next"><p>What next</p><ul>{items}</ul></nav>'


def rows(sittings: list[outline.Lesson], folder: str) -> str:
    """Return lessons as a table: what you can do after each, its minutes."""
    lines = ["| Lesson | After it | Minutes |", "|---|---|---|"]
    for one in sittings:
        minutes = " + ".join(str(sitting.minutes or "?") for sitting in one.sittings)
        link = f"[{lessons.number(one.stem)} · {one.title}]({folder}notebooks/{one.stem}.ipynb)"
        promise = MARK.sub("", one.promise).replace("|", "\\|")
        lines.append(f"| {link} | {promise} | {minutes} |")
    return "\n".join(lines)


def parts(course: list[outline.Lesson]) -> dict[str, str]:
    """Return a page for each part that has a lesson, with its lessons below it in the navigation."""
    pages = {}
    for name, title, about, chapters in PARTS:
        own = [one for one in course if lessons.chapter(one.stem) in chapters]
        if own:
            entries = "\n".join(f"/notebooks/{one.stem}" for one in own)
            toc = f"```{{toctree}}\n:hidden:\n\n{entries}\n```"
            pages[f"parts/{name}"] = f"# {title}\n\n{about}\n\n{rows(own, '../')}\n\n{toc}\n"
    return pages


def paths() -> dict[str, str]:
    """Return a page for each path: its sittings in order, each opened on the path."""
    pages = {}
    for path in outline.paths(NOTEBOOKS):
        hours = round(sum(one.minutes or 0 for one in path.sittings) / 60)
        lines = [f"# {path.title}", "", f"{len(path.sittings)} sittings, {hours} hours: {path.about}.", ""]
        if path.assumed:
            lines += [f"It takes for granted that you know {'; '.join(path.assumed.values())}.", ""]
        items = []
        for one in path.sittings:
            address = f"../notebooks/{one.stem}.html?path={path.name}"
            minutes = f"{one.minutes} min" if one.minutes else ""
            items.append(
                f'<li><a href="{address}">{one.number} · {html.escape(one.title)}</a> {minutes}</li>'
            )
        lines += [f'<ol class="wf-path" data-path="{path.name}">', *items, "</ol>", ""]
        pages[f"paths/{path.name}"] = "\n".join(lines)
    return pages


def tools() -> dict[str, str]:
    """Return the pages that a program of the site fills."""
    named = {
        "practice": "Practise the interview",
        "plan": "The plan until the interview",
        "katas": "Katas in the browser",
    }
    return {
        name: f"# {title}\n\n" + _raw(f'<div id="{name}"><noscript>It needs JavaScript.</noscript></div>')
        for name, title in named.items()
    }


def first_figure(stem: str = "00a_start_here") -> tuple[bytes, str]:
    """Return a lesson's first figure, as PNG, and what it says of it."""
    cells = json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"]
    for cell, following in pairwise(cells):
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                told = FIGURE.search(_text(following))
                return base64.b64decode(picture), " ".join(MARK.sub("", told[1]).split()) if told else ""
    raise ValueError(f"{stem} has no figure")


def _raw(text: str) -> str:
    return f"```{{raw}} html\n{text}\n```"


def front(course: list[outline.Lesson]) -> str:
    """Return the front page: what this is, for whom, and a figure, a question and a kata to begin with."""
    there = [
        name for name, _, _, chapters in PARTS if any(lessons.chapter(one.stem) in chapters for one in course)
    ]
    routes = outline.paths(NOTEBOOKS)
    listed = " · ".join(
        f"[{one.title}](paths/{one.name}.md) ({len(one.sittings)} sittings)" for one in routes
    )
    _, alt = first_figure()
    toc = [
        "```{toctree}\n:hidden:\n:caption: Paths\n",
        *(f"paths/{one.name}" for one in routes),
        "```\n\n```{toctree}\n:hidden:\n:caption: Practice\n\npractice\nplan\nkatas\n```\n",
        "```{toctree}\n:hidden:\n:caption: Lessons\n",
        *(f"parts/{name}" for name in there),
        "```",
    ]
    return "\n\n".join(
        [
            "# Walk-Forward",
            "A course and an interview practice for engineers who put models into production: tracking, "
            "registry, serving, drift and walk-forward forecasting, on real data. Its tests execute every "
            "lesson, every number in the prose is true of the output beside it, and nothing needs the "
            "network.",
            _raw('<div class="wf-front"><div>'),
            f"![{alt}](images/front.png)",
            "*A model that nobody changed meets April 2020.* "
            "[Start with that lesson](notebooks/00a_start_here.ipynb).",
            _raw('</div><div id="wf-question"></div></div>'),
            f"**Choose a path**: {listed}.",
            "**Run a kata now**: [the middle of a list in one pass](katas.md), in your browser. "
            "**Practise the interview**: [the whole bank](practice.md), five minutes at a time. "
            "**Plan the days until it**: [what to do on which day](plan.md).",
            "**On your machine**, offline:",
            COMMANDS,
            *toc,
        ]
    )

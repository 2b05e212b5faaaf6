"""What Sphinx and MyST-NB lack for the lessons: Jupyter's anchors, Mermaid, formulas as MathML."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any, NoReturn

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PROGRAMS = {"index": "front", "practice": "practice", "plan": "agenda", "katas": "katas"}


def slug(title: str) -> str:
    """Return a heading's anchor as Jupyter makes it."""
    return title.strip().replace(" ", "-")


class Mermaid(SphinxDirective):
    """A diagram, drawn in the browser by the copy of Mermaid that lies on the site."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the diagram as its text, which is what is shown without JavaScript."""
        source = html.escape("\n".join(self.content))
        shown = f'<pre class="mermaid" tabindex="0">{source}</pre>'
        return [nodes.raw("", shown, format="html")]


def mathml(self: Any, node: nodes.Element) -> NoReturn:
    """Write a formula as MathML."""
    block = isinstance(node, nodes.math_block)
    formula = convert(node.astext(), display="block" if block else "inline")
    self.body.append(f'<div class="formula" tabindex="0">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Let links reach a cell by its id, as they do in JupyterLab: #cell-id=scores."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") == "cell_code" and (name := cell["cell_metadata"].get("name")):
            cell["ids"].append(f"cell-id={name}")
            slugs[f"cell-id={name}"] = (cell.line or 0, f"cell-id={name}", name)


def scripts(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    """Give a page the programs that it needs, and no other."""
    if doctree and any('class="mermaid"' in one.astext() for one in doctree.findall(nodes.raw)):
        app.add_js_file("diagrams.js", type="module")
    if page in PROGRAMS:
        app.add_js_file(f"{PROGRAMS[page]}.js", type="module")


MENDED = (
    (
        r'<div id="pst-primary-sidebar"',
        '<div id="pst-primary-sidebar" role="complementary" aria-label="Course"',
    ),
    (r'<summary>(?=<span class="toctree-toggle")', '<summary aria-label="Its lessons">'),
    (r'<link rel="search"[^>]*>', ""),
    (r'<th class="head"><p></p></th>', "<td></td>"),
    # 1.6 MB that draw a dozen icons again, which the theme's own font has drawn already.
    (r'<script[^>]* src="[^"]*/fontawesome\.js[^"]*"></script>', ""),
    # Pagefind finds sections by the ids of their headings; MyST sets the id before the heading.
    (r'<span id="([^"]+)"></span><h([2-4])>', r'<h\2 id="\1">'),
)


def mended(app: Sphinx, error: Exception | None) -> None:
    """Mend what axe-core finds in the theme's own pages."""
    for page in Path(app.outdir).rglob("*.html") if not error else ():
        text = better = page.read_text(encoding="utf-8")
        for pattern, to in MENDED:
            better = re.sub(pattern, to, better)
        if better != text:
            page.write_text(better, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx what is here."""
    app.add_directive("mermaid", Mermaid)
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))
    app.connect("doctree-read", anchors)
    app.connect("html-page-context", scripts)
    app.connect("build-finished", mended)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Addresses of lessons that were cut into sittings: each leads on to the first sitting that it became."""

from __future__ import annotations

import html
from pathlib import Path

from course import lessons

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="0; url={first}">
<title>This lesson has moved</title>
<main><h1>This lesson has moved</h1>
<p>It was cut into sittings of an hour: {links}.</p></main>
<script>location.replace("{first}" + location.hash)</script>
</html>
"""


def write(site: Path) -> list[str]:
    """Write a page at each old address whose lesson is gone; return their names."""
    stems = [page.stem for page in (site / "notebooks").glob("*.html")]
    written = []
    for old in lessons.CUT:
        became = lessons.cut_into(old, stems)
        if became and old not in stems:
            names = [f"{one}.html" for one in became]
            links = lessons.listed(f'<a href="{name}">{html.escape(name[:-5])}</a>' for name in names)
            (site / "notebooks" / f"{old}.html").write_text(
                PAGE.format(first=names[0], links=links), encoding="utf-8"
            )
            written.append(old)
    return written

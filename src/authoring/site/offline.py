"""What makes the site work without a network: a manifest, an icon, a service worker that knows its files."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

MANIFEST = {
    "name": "Walk-Forward: course and interview practice",
    "short_name": "Walk-Forward",
    "start_url": "practice.html",
    "scope": "./",
    "display": "standalone",
    "background_color": "#ffffff",
    "theme_color": "#0b5cad",
    "icons": [{"src": "icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any"}],
}
KEPT, LARGE = (
    {".css", ".js", ".json", ".woff2"},
    {"pyodide", "mermaid", "codemirror", "duckdb", "arrow", "sql-tables.json"},
)
SEARCH = (
    "pagefind/pagefind-component-ui.css",
    "pagefind/pagefind-component-ui.js",
)  # each page asks for them
HERE = Path(__file__).resolve().parent / "theme"


def first(site: Path) -> list[str]:
    """Return the files that are kept from the first visit on: front page, practice, and what they use."""
    static = [
        path.relative_to(site).as_posix()
        for path in sorted((site / "_static").rglob("*"))
        if path.suffix in KEPT and not LARGE & set(path.parts)
    ]
    return [
        "./",
        "index.html",
        "practice.html",
        "plan.html",
        "manifest.webmanifest",
        "icon.svg",
        *SEARCH,
        *static,
    ]


def write(site: Path) -> None:
    """Write the manifest, the icon, and a worker whose name changes with any file of the site."""
    (site / "manifest.webmanifest").write_text(json.dumps(MANIFEST, indent=1), encoding="utf-8")
    shutil.copyfile(HERE / "icon.svg", site / "icon.svg")
    seen = hashlib.sha256()
    for path in sorted(one for one in site.rglob("*") if one.is_file() and "vendor" not in one.parts):
        if path.name != "sw.js":
            seen.update(path.relative_to(site).as_posix().encode())
            seen.update(hashlib.sha256(path.read_bytes()).digest())
    worker = (HERE / "sw.js").read_text(encoding="utf-8")
    for place, value in {"VERSION": seen.hexdigest()[:12], "FIRST": first(site)}.items():
        worker = worker.replace(f'"{{{place}}}"', json.dumps(value))
    (site / "sw.js").write_text(worker, encoding="utf-8")

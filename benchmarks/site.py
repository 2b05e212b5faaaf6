"""Measure the web site: how long a build takes, and when its heaviest pages can be read, beside a bare page.

    python benchmarks/site.py                  everything: 3 builds, 11 visits
    python benchmarks/site.py --only page      parts: build, page (of a site that it builds first)
    python benchmarks/site.py --runs 1         once each: to try it
    python benchmarks/site.py --write          into the record and README.md

build: `make site` without the Makefile, each time in an empty folder (cold; npm's packages are fetched,
its cache is empty: that is the network's share, and is shown) and then once more with nothing changed (warm).
Seconds by the clock, and CPU seconds of all processes. The environment of Sphinx is there before.

page: the largest lesson, the practice, and a page of two lines, from the same server on this machine, in
headless Chromium at 1280 px, each visit with an empty cache, in turn; one visit of each is thrown away.
Painted: the first words are on the screen. Ready: everything that the page names is there (the load event);
for the practice, its first button. Bytes are uncompressed, as this server sends them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import shared

from course.student.browser import headless

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "src")]

from authoring.site import vendored  # noqa: E402 - found on the path above
from authoring.site.build import build as build_site  # noqa: E402
from authoring.site.build import server, size  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results" / "site.json"
PARTS = ("build", "page")
BARE = "<!doctype html><html lang=en><meta charset=utf-8><title>Bare</title><h1>Bare</h1><p>Two lines.\n"
# The limits that the record is held to: seconds, and bytes of a page.
COLD, WARM, READY, LARGEST = 90, 20, 1.5, 2e6
SEEN = """() => ({
  painted: performance.getEntriesByName("first-contentful-paint")[0].startTime / 1000,
  loaded: performance.getEntriesByType("navigation")[0].loadEventEnd / 1000,
  bytes: [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .reduce((sum, one) => sum + one.encodedBodySize, 0),
})"""


def built(folder: str) -> None:
    """Build the site in a folder, in this process; print the seconds that npm's packages took."""
    began = time.perf_counter()
    lacks = vendored.bring(Path(folder) / "work" / "static" / "vendor")
    brought = time.perf_counter() - began
    lacks += build_site(Path(folder) / "site", Path(folder) / "work", "https://github.com/owner/name")
    print(json.dumps({"npm": brought, "lacks": lacks}))


def timed(folder: str) -> dict[str, float]:
    """Build in a process of its own: seconds by the clock, and of the processor with all that it starts."""
    import resource

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before, began = spent(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--built", folder],
        env=os.environ | {"npm_config_cache": f"{folder}/npm"},
        check=True,
        capture_output=True,
        text=True,
    )
    seconds = {"wall": time.perf_counter() - began, "cpu": spent() - before}
    said = json.loads(done.stdout.splitlines()[-1])
    if said["lacks"]:
        raise SystemExit(
            "the site would lack a part, and its figures be another site's:\n" + said["lacks"][0]
        )
    return seconds | {"npm": said["npm"]}


def build(options: argparse.Namespace) -> dict[str, Any]:
    """Cold and warm builds, in turn."""
    rounds: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as folder:
            for name, runs in rounds.items():
                runs.append(timed(folder))
                print(name, runs[-1], file=sys.stderr, flush=True)
            site = Path(folder) / "site"
            found = {"mb": size(site), "files": sum(1 for one in site.rglob("*") if one.is_file())}
    medians = {
        name: {key: median(one[key] for one in runs) for key in runs[0]} for name, runs in rounds.items()
    }
    return medians | found | {"runs": options.runs}


@contextmanager
def served() -> Iterator[tuple[Path, str]]:
    """Build the site once, and serve it with a bare page beside it."""
    with tempfile.TemporaryDirectory() as folder:
        timed(folder)
        site = Path(folder) / "site"
        (site / "bare.html").write_text(BARE, encoding="utf-8")
        with server(site) as serving:
            threading.Thread(target=serving.serve_forever, daemon=True).start()
            yield site, f"http://127.0.0.1:{serving.server_address[1]}/"
            serving.shutdown()


def visit(browser: Any, address: str, button: bool) -> dict[str, float]:
    """One visit with an empty cache: when it was painted and ready, and what it loaded."""
    view = browser.new_context(viewport={"width": 1280, "height": 900})
    page = view.new_page()
    page.goto(address)
    ready = (
        page.wait_for_selector("#practice button") and page.evaluate("performance.now() / 1000")
        if button
        else 0
    )
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    seen = page.evaluate(SEEN)
    view.close()
    return {"painted": seen["painted"], "ready": max(seen["loaded"], ready), "bytes": seen["bytes"]}


def page(options: argparse.Namespace) -> dict[str, Any]:
    """The pages in turn."""
    with served() as (site, address), headless() as browser:
        pages = {one: one.stat().st_size for one in site.rglob("*.html") if "vendor" not in one.parts}
        largest = max(pages, key=pages.get)
        names = {
            "largest": largest.relative_to(site).as_posix(),
            "practice": "practice.html",
            "bare": "bare.html",
        }
        visits: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for number in range(options.visits + 1):
            for name, at in names.items():
                seen = visit(browser, address + at, name == "practice")
                if number:
                    visits[name].append(seen)
    rows = {
        name: {"address": names[name], "html": (pages | {site / "bare.html": len(BARE)})[site / names[name]]}
        | {key: median(one[key] for one in some) for key in some[0]}
        for name, some in visits.items()
    }
    ratios = {name: rows[name]["ready"] / rows["bare"]["ready"] for name in ("largest", "practice")}
    return {"rows": rows, "times_bare": ratios, "visits": options.visits}


def tables(record: dict[str, Any]) -> str:
    """Return the record as one table."""
    lines = []
    if "build" in record:
        found = record["build"]
        for name, limit in (("cold", COLD), ("warm", WARM)):
            row = found[name]
            share = f", npm's packages {row['npm']:.1f} s of it" if name == "cold" else ""
            seconds = f"{row['wall']:.1f} s, {row['cpu']:.1f} CPU s{share}"
            lines.append([f"build, {name}", seconds, f"under {limit} s"])
        lines.append(["the site", f"{found['mb']:.0f} MB, {found['files']} files", ""])
    if "page" in record:
        rows, ratios = record["page"]["rows"], record["page"]["times_bare"]
        for name, row in rows.items():
            seconds = f"painted {row['painted']:.2f} s, ready {row['ready']:.2f} s"
            weight = f"{row['html'] / 1e6:.2f} MB, with all that it loads {row['bytes'] / 1e6:.2f}"
            limit = "" if name == "bare" else f"under {READY} s"
            lines.append([f"{name}: `{row['address']}`", f"{weight}; {seconds}", limit])
        lines += [[f"{name}, ready × bare", f"{ratio:.1f}", ""] for name, ratio in ratios.items()]
        lines.append(
            ["largest page", f"{rows['largest']['html'] / 1e6:.2f} MB", f"under {LARGEST / 1e6:.0f} MB"]
        )
    return shared.table(["", "measured", "limit"], lines)


def main() -> None:
    """Measure the parts that are asked for, print the table, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--visits", type=int, default=11)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--built", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.built:
        built(options.built)
        return
    record = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for part in options.only:
        before = shared.machine()
        record[part] = {"build": build, "page": page}[part](options) | {"machine": before}
        if options.write:
            RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if options.write:
        shared.put("site", tables(record))
    print(tables({part: record[part] for part in options.only}))


if __name__ == "__main__":
    main()

"""Build the web site: the lessons to read, the question bank to practise, the katas to run.

`make site` writes build/site, for any static host; SERVE=1 shows it on a free port. No page asks another host
for anything. Sphinx has an environment of its own (`walkforward env site`); what the pages carry beside the
lessons is brought by npm, and a site without npm lacks those parts and says so.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from authoring.site import (  # noqa: E402
    bank,
    clinic,
    katas,
    moved,
    offline,
    pages,
    plan,
    sql,
    vendored,
)
from course import environments  # noqa: E402
from course.paths import ROOT  # noqa: E402
from walkforward.errors import WalkForwardError  # noqa: E402

HERE = Path(__file__).resolve().parent
WORK, SITE = ROOT / "build" / "site-work", ROOT / "build" / "site"
LEFT_OUT = (
    "fontawesome.js*",
    "_sources",
    "objects.inv",
    "search*",
    "genindex*",
    ".buildinfo*",
    "*.map",
    "*webpack-macros.html",
)
KINDS = {
    ".js": "text/javascript",  # Windows' registry may know others
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}


class SiteError(WalkForwardError, RuntimeError):
    """The site can't be built; the message says what failed."""


def build(site: Path = SITE, work: Path = WORK, repository: str = "") -> list[str]:
    """Write the site, and return a line for each part that it lacks.

    What has not changed since the last call is not made again. repository: its address on GitHub
    (`https://github.com/owner/name`), for the links that open a lesson elsewhere; without one they are left
    out. Raises SiteError and OtherEnvironmentError.
    """
    python = environments.make("site")
    static = work / "static"
    lacks = vendored.bring(static / "vendor")
    bank.write(static)
    katas.write(static)
    sql.write(static)
    plan.write(static)
    clinic.write(static)
    pages.write(work / "source", repository)
    _run(
        [python, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "2", "-b", "html"]
        + ["-d", work / "doctrees", "-c", HERE / "theme", work / "source", work / "html"],
        WALKFORWARD_SITE_STATIC=str(static),
    )
    shutil.rmtree(site, ignore_errors=True)  # a copy: Sphinx needs its own leavings to make only what changed
    shutil.copytree(work / "html", site, ignore=shutil.ignore_patterns(*LEFT_OUT))
    moved.write(site)
    _run(
        [python, "-m", "pagefind", "--silent", "--site", site, "--root-selector", "article.bd-article"]
        + ["--glob", "{index,notebooks/*,parts/*}.html"]
        + ["--exclude-selectors", "a.headerlink,.copybtn,details,.wf-next"]
    )
    offline.write(site)
    (site / ".nojekyll").touch()  # or a branch-deployed Pages leaves _static out
    return lacks


def _run(command: list[str | Path], **variables: str) -> None:
    done = subprocess.run(
        list(map(str, command)),
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SiteError(f"{Path(command[2]).name} failed:\n{done.stdout[-4000:]}")


def size(site: Path) -> float:
    """Return the megabytes of a folder's files."""
    return sum(one.stat().st_size for one in site.rglob("*") if one.is_file()) / 1e6


class Handler(http.server.SimpleHTTPRequestHandler):
    """A static host's answers, without a line a request."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | KINDS

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Says nothing of a page that was left before all of it had come; that is no fault."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show any other fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def server(folder: Path) -> Server:
    """Return a server of a folder on a free port of this machine; it answers once it is told to serve."""
    return Server(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))


def main() -> None:
    """Read the command line, build, and serve where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--serve", action="store_true", help="show it on a free port until Ctrl-C")
    named = os.environ.get("GITHUB_REPOSITORY", "")
    parser.add_argument(
        "--repository",
        default=f"https://github.com/{named}" if named else "",
        help="https://github.com/owner/name, for links that open a lesson elsewhere",
    )
    given = parser.parse_args()
    try:
        lacks = build(repository=given.repository)
    except WalkForwardError as error:
        sys.exit(f"Error: {error}")
    print(*lacks, f"{SITE.relative_to(ROOT)}: {size(SITE):.0f} MB", sep="\n")
    if given.serve:
        with server(SITE) as serving:
            print(f"http://127.0.0.1:{serving.server_address[1]}/  (Ctrl-C stops)", flush=True)
            try:
                serving.serve_forever()
            except KeyboardInterrupt:
                print()


if __name__ == "__main__":
    main()

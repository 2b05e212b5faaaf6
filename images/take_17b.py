"""Takes the pictures of lesson 17b, a run's page and the incident page, with headless Chromium.

python images/take_17b.py            lives through 2020 in a temporary folder, then takes them
python images/take_17b.py FOLDER     takes them from the state that `walkforward capstone` has filled
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chromium import browser, save
from playwright.sync_api import Page


def take(state: Path) -> None:
    """Write the upper parts of two pages of the flow in `state`."""
    with opened(state, "2020-05") as page:
        save(page, "17b_run", 30, 20, 1050, above(page, "Inputs"))
    with opened(state, "incident-2020-04") as page:
        save(page, "17b_incident", 30, 20, 1050, above(page, "What was done"))


@contextmanager
def opened(state: Path, name: str) -> Iterator[Page]:
    """Open a page of the flow in `state`."""
    with browser((state / "pages" / f"{name}.html").resolve().as_uri()) as page:
        page.set_viewport_size({"width": 1080, "height": 900})
        yield page


def above(page: Page, heading: str) -> float:
    """Where a heading begins."""
    return page.get_by_role("heading", name=heading).bounding_box()["y"] - 12


def main() -> None:
    """Take them from the folder on the command line, or fill one first."""
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]))
        return
    from projects.capstone import command

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        asked = dict.fromkeys(("month", "policy", "plant"))
        command.run(
            "2018-01",
            "2020-12",
            **asked,
            next_month=False,
            state=folder,
            engine="loop",
            serve=False,
            told=print,
        )
        take(Path(folder))


if __name__ == "__main__":
    main()

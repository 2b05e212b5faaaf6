"""A headless Chromium for the browser tests, the screenshots and the start's benchmark; lessons need none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
FLAGS = (  # works as root and in a container, and asks nobody outside for anything
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def program() -> str | None:
    """Where a Chromium is that can be driven; None without one."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    return found or next((name for name in APPLICATIONS if Path(name).exists()), None)


@contextmanager
def headless() -> Iterator[Browser]:
    """Run it, through Playwright, for the length of a `with` block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=FLAGS)
        yield browser
        browser.close()

"""What the scripts that take screenshots share: a headless Chromium, and a small file."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from walkforward import ROOT

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-dev-shm-usage"
).split()


@contextmanager
def browser(address: str, storage: Mapping[str, str] | None = None) -> Iterator[Page]:
    """Open `address` in a window of 1280 x 760; `storage` is put into the page's localStorage first."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        context = chromium.new_context(viewport={"width": 1280, "height": 760})
        answers = "".join(f"localStorage.setItem({k!r}, {v!r});" for k, v in (storage or {}).items())
        context.add_init_script(answers)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        yield page
        chromium.close()


def save(page: Page, name: str, left: float, top: float, right: float, bottom: float) -> None:
    """Write what lies in this rectangle, in 256 colours: the file is half as large and looks the same."""
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip)))
    path = ROOT / "images" / f"{name}.png"
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {picture.width} x {picture.height}, {path.stat().st_size / 1000:.0f} KB")

"""Takes the picture of the README: lesson 00 in JupyterLab, as `make lab` opens it.

python images/take_00.py
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile

from chromium import browser, save


def main() -> None:
    """Start a lab in a temporary folder, scroll lesson 00 to its finding, take the picture, stop the lab."""
    with tempfile.TemporaryDirectory() as work:
        lab = subprocess.Popen(
            [sys.executable, "-m", "course", "lab", "--no-browser"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"WALKFORWARD_WORK": work, "PYTHONUNBUFFERED": "1"},
        )
        try:
            assert lab.stdout is not None
            address = next(found[0] for line in lab.stdout if (found := re.search(r"http\S+token=\w+", line)))
            with browser(address) as page:
                page.get_by_role("main").get_by_text("00a_start_here.ipynb").first.wait_for()
                page.locator(".jp-CodeCell").first.wait_for()
                title = page.locator("h2", has_text="Closing the loop").locator("visible=true")
                page.mouse.move(640, 400)
                for _ in range(200):  # the notebook draws its cells as they come into view
                    page.mouse.wheel(0, 200)
                    page.wait_for_timeout(100)
                    if title.count() and (box := title.first.bounding_box()) and box["y"] < 760:
                        break
                page.mouse.wheel(0, -570)
                caption = page.get_by_text("Figure: error of the unchanged model").locator("visible=true")
                for _ in range(10):  # cells that are drawn late move the others
                    page.wait_for_timeout(500)
                    if caption.count() and (box := caption.first.bounding_box()):
                        page.mouse.wheel(0, box["y"] - 480)
                save(page, "00_lab", 0, 0, 1280, 760)
        finally:
            lab.send_signal(signal.SIGINT)
            lab.wait(30)


if __name__ == "__main__":
    main()

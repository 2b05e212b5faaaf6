"""Takes the picture of the web site: a question of the bank.

python images/take_site.py
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from chromium import save

from course.student.browser import headless

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "src")]

from authoring.site.build import SITE, build, server  # noqa: E402 - found on the path above


def main() -> None:
    """Build the site, open a question, type an answer, take the picture."""
    build()
    with server(SITE) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        with headless() as browser:
            page = browser.new_page(viewport={"width": 1000, "height": 620})
            page.goto(
                f"http://127.0.0.1:{serving.server_address[1]}/practice.html?question=drift-psi-threshold"
            )
            page.locator("#practice textarea").fill(
                "No. I would ask what the alarm is for, and who acts on it."
            )
            save(page, "site_practice", 0, 0, 1000, 620)
        serving.shutdown()


if __name__ == "__main__":
    main()

"""Takes the screenshot of lesson 07b from the lesson's own registry, with headless Chromium.

python images/take_07b.py            executes the lesson in a temporary folder, then takes the picture
python images/take_07b.py FOLDER     takes it from FOLDER/07b_promotion_files, where it has run already
"""

from __future__ import annotations

from pathlib import Path

from chromium import save, shoot, ui
from playwright.sync_api import Page

NAME = "trip-duration"


def take(folder: Path) -> None:
    """Write the picture from the registry in `folder`/07b_promotion_files."""
    with ui(folder / "07b_promotion_files" / "mlflow.db") as (page, uri, client):
        page.goto(f"{uri}/#/models")
        page.get_by_role("button", name="Try it now").click()  # a greeting at the first visit
        one_version(page, uri, client.get_model_version_by_alias(NAME, "champion").version)


def one_version(page: Page, uri: str, version: str) -> None:
    """The page of one version with its columns unfolded."""
    page.set_viewport_size({"width": 1280, "height": 1100})
    page.goto(f"{uri}/#/models/{NAME}/versions/{version}")
    page.get_by_text("Inputs (5)").click()
    page.wait_for_timeout(1200)
    bottom = page.get_by_text("Outputs (1)").bounding_box()
    save(page, "07b_version", 200, 10, 1272, bottom["y"] + 30)
    page.set_viewport_size({"width": 1280, "height": 760})


if __name__ == "__main__":
    shoot("07b_promotion_and_lineage", take)

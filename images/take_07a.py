"""Takes the screenshots of lesson 07a from the lesson's own registry, with headless Chromium.

python images/take_07a.py            executes the lesson in a temporary folder, then takes the pictures
python images/take_07a.py FOLDER     takes them from FOLDER/07a_registry_files, where it has run already
"""

from __future__ import annotations

import re
from pathlib import Path

from chromium import save, shoot, ui
from playwright.sync_api import Page

NAME = "trip-duration"


def take(folder: Path) -> None:
    """Write the five pictures from the registry in `folder`/07a_registry_files."""
    with ui(folder / "07a_registry_files" / "mlflow.db") as (page, uri, client):
        champion = client.get_model_version_by_alias(NAME, "champion")
        model = client.get_logged_model(champion.source.rpartition("/")[2])
        names(page, uri)
        one_name(page, uri)
        alias(page, uri)
        add(page, uri, model.experiment_id, model.model_id)
        stages(page, uri, champion.version)


def names(page: Page, uri: str) -> None:
    """The list of names, searched by a tag."""
    page.goto(f"{uri}/#/models")
    page.get_by_role("button", name="Try it now").click()  # a greeting at the first visit
    page.get_by_placeholder("Search registered models").fill("tags.owner = 'pricing'")
    page.keyboard.press("Enter")
    page.get_by_text(NAME).first.wait_for()
    page.get_by_text(re.compile(r"^\+\d$")).first.click()  # unfolds the aliases
    page.wait_for_timeout(1500)
    save(page, "07a_models", 200, 10, 1272, 330)


def one_name(page: Page, uri: str) -> None:
    """The page of the name with its menu open, above the table of versions."""
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(f"{uri}/#/models/{NAME}")
    first = page.get_by_role("link", name="Version 1", exact=True)
    first.wait_for()
    page.get_by_role("button", name="Open header dropdown menu").click()
    page.get_by_role("menuitem", name="Delete").wait_for()
    page.wait_for_timeout(800)
    bottom = first.bounding_box()
    save(page, "07a_model", 200, 10, 1272, bottom["y"] + 30)
    page.keyboard.press("Escape")


def alias(page: Page, uri: str) -> None:
    """The dialog in which aliases are moved."""
    page.set_viewport_size({"width": 1280, "height": 760})
    page.goto(f"{uri}/#/models/{NAME}")
    champion = page.get_by_role("row").filter(has_text="champion")
    champion.locator("button").last.click()
    page.get_by_role("dialog").wait_for()
    page.wait_for_timeout(1000)
    save(page, "07a_alias", 200, 60, 1160, 640)
    page.keyboard.press("Escape")


def add(page: Page, uri: str, experiment_id: str, model_id: str) -> None:
    """The page of a logged model, from which it is registered."""
    page.goto(f"{uri}/#/experiments/{experiment_id}/models/{model_id}")
    page.get_by_role("button", name="Register model").wait_for()
    page.get_by_text("Model versions").wait_for()
    page.wait_for_timeout(2000)
    save(page, "07a_add", 200, 10, 1272, 550)


def stages(page: Page, uri: str, version: str) -> None:
    """The menu of stages, which the old form of the page still has."""
    page.goto(f"{uri}/#/models/{NAME}/versions/{version}")
    page.get_by_text("Inputs (5)").wait_for()
    page.get_by_role("switch").click()
    page.get_by_role("button", name="Disable").click()
    page.wait_for_timeout(2000)
    page.get_by_text("None", exact=True).first.click()
    page.wait_for_timeout(800)
    save(page, "07a_stages", 200, 10, 1272, 240)


if __name__ == "__main__":
    shoot("07a_registry", take)

"""Takes the screenshots of lesson 07 from the lesson's own registry, with headless Chromium.

python images/take_07.py            executes the lesson in a temporary folder, then takes the pictures
python images/take_07.py FOLDER     takes them from FOLDER/07_registry_files, where the lesson has run already
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from chromium import browser, save
from mlflow import MlflowClient
from playwright.sync_api import Page

from walkforward import ROOT
from walkforward.servers import tracking_server

# The UI opens an assistant and asks what you work on at the first visit; these are the answers.
SETTINGS = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
}
NAME = "trip-duration"


def run_lesson(folder: Path) -> None:
    """Execute lesson 07 in `folder`."""
    sys.path.insert(0, str(ROOT / "src"))
    from nbclient import NotebookClient

    from authoring.build import generate, read_lesson

    notebook = generate(read_lesson(ROOT / "src" / "lessons" / "07_registry.py"))
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()


def take(folder: Path) -> None:
    """Write the six pictures from the registry in `folder`/07_registry_files."""
    store = folder / "07_registry_files" / "mlflow.db"
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "mlflow.db"
        shutil.copyfile(store, copy)
        with tracking_server(scratch, backend_store_uri=f"sqlite:///{copy.as_posix()}") as server:
            client = MlflowClient(server.uri)
            champion = client.get_model_version_by_alias(NAME, "champion")
            model = client.get_logged_model(champion.source.rpartition("/")[2])
            with browser(server.uri, SETTINGS) as page:
                names(page, server.uri)
                one_name(page, server.uri)
                alias(page, server.uri)
                one_version(page, server.uri, champion.version)
                add(page, server.uri, model.experiment_id, model.model_id)
                stages(page, server.uri, champion.version)


def names(page: Page, uri: str) -> None:
    """The list of names, searched by a tag."""
    page.goto(f"{uri}/#/models")
    page.get_by_role("button", name="Try it now").click()  # a greeting at the first visit
    page.get_by_placeholder("Search registered models").fill("tags.owner = 'pricing'")
    page.keyboard.press("Enter")
    page.get_by_text(NAME).first.wait_for()
    page.get_by_text("+3").first.click()  # unfolds the aliases
    page.wait_for_timeout(1500)
    save(page, "07_models", 200, 10, 1272, 330)


def one_name(page: Page, uri: str) -> None:
    """The page of the name with its menu open, above the table of versions."""
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(f"{uri}/#/models/{NAME}")
    page.get_by_text("Version 1", exact=True).wait_for()
    page.get_by_role("button", name="Open header dropdown menu").click()
    page.get_by_role("menuitem", name="Delete").wait_for()
    page.wait_for_timeout(800)
    bottom = page.get_by_text("Version 1", exact=True).bounding_box()
    save(page, "07_model", 200, 10, 1272, bottom["y"] + 30)
    page.keyboard.press("Escape")


def alias(page: Page, uri: str) -> None:
    """The dialog in which aliases are moved."""
    page.set_viewport_size({"width": 1280, "height": 760})
    page.goto(f"{uri}/#/models/{NAME}")
    champion = page.get_by_role("row").filter(has_text="champion")
    champion.locator("button").last.click()
    page.get_by_role("dialog").wait_for()
    page.wait_for_timeout(1000)
    save(page, "07_alias", 200, 60, 1160, 640)
    page.keyboard.press("Escape")


def one_version(page: Page, uri: str, version: str) -> None:
    """The page of one version with its columns unfolded."""
    page.set_viewport_size({"width": 1280, "height": 1100})
    page.goto(f"{uri}/#/models/{NAME}/versions/{version}")
    page.get_by_text("Inputs (5)").click()
    page.wait_for_timeout(1200)
    bottom = page.get_by_text("Outputs (1)").bounding_box()
    save(page, "07_version", 200, 10, 1272, bottom["y"] + 30)
    page.set_viewport_size({"width": 1280, "height": 760})


def add(page: Page, uri: str, experiment_id: str, model_id: str) -> None:
    """The page of a logged model, from which it is registered."""
    page.goto(f"{uri}/#/experiments/{experiment_id}/models/{model_id}")
    page.get_by_role("button", name="Register model").wait_for()
    page.get_by_text("Model versions").wait_for()
    page.wait_for_timeout(2000)
    save(page, "07_add", 200, 10, 1272, 550)


def stages(page: Page, uri: str, version: str) -> None:
    """The menu of stages, which the old form of the page still has."""
    page.goto(f"{uri}/#/models/{NAME}/versions/{version}")
    page.get_by_text("Inputs (5)").wait_for()
    page.get_by_role("switch").click()
    page.get_by_role("button", name="Disable").click()
    page.wait_for_timeout(2000)
    page.get_by_text("None", exact=True).first.click()
    page.wait_for_timeout(800)
    save(page, "07_stages", 200, 10, 1272, 240)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch_folder:
            run_lesson(Path(scratch_folder))
            take(Path(scratch_folder))

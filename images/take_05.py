"""Takes the screenshot of lesson 05 from the lesson's own store, with headless Chromium.

python images/take_05.py            executes the lesson in a temporary folder, then takes the picture
python images/take_05.py FOLDER     takes it from the folder in which the lesson has run already
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from chromium import browser, save
from mlflow import MlflowClient
from take_03 import SETTINGS

from walkforward import ROOT
from walkforward.servers import tracking_server

LESSON = "05_models_and_flavors"


def run_lesson(folder: Path) -> None:
    """Execute lesson 05 in `folder`."""
    sys.path.insert(0, str(ROOT / "src"))
    from nbclient import NotebookClient

    from authoring.build import generate, read_lesson

    os.environ["LOGNAME"] = "ana"  # whom the page names as the model's maker
    notebook = generate(read_lesson(ROOT / "src" / "lessons" / f"{LESSON}.py"))
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()


def take(folder: Path) -> None:
    """Write the picture of the model's page from the store in `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "mlflow.db"
        shutil.copyfile(folder / f"{LESSON}_files" / "mlflow.db", copy)
        with tracking_server(scratch, backend_store_uri=f"sqlite:///{copy.as_posix()}") as server:
            client = MlflowClient(server.uri)
            champion = client.get_model_version_by_alias("trip-duration", "champion")
            model = client.get_logged_model(champion.source.rpartition("/")[2])  # models:/m-…
            with browser(server.uri, SETTINGS) as page:
                page.goto(f"{server.uri}/#/experiments/{model.experiment_id}/models/{model.model_id}")
                page.reload()
                page.get_by_text("Model ID").first.wait_for()
                page.wait_for_timeout(4000)
                bottom = page.get_by_text("Parameters (").bounding_box()
                save(page, "05_model", 210, 90, 1256, bottom["y"] - 12)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch_folder:
            run_lesson(Path(scratch_folder))
            take(Path(scratch_folder))

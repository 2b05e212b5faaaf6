"""Takes the screenshot of lesson 05c from the lesson's own store, with headless Chromium.

python images/take_05c.py            executes the lesson in a temporary folder, then takes the picture
python images/take_05c.py FOLDER     takes it from the folder in which the lesson has run already
"""

from __future__ import annotations

import os
from pathlib import Path

from chromium import save, shoot, ui

LESSON = "05c_judged_and_explained"


def take(folder: Path) -> None:
    """Write the picture of the model's page from the store in `folder`."""
    with ui(folder / f"{LESSON}_files" / "mlflow.db") as (page, uri, client):
        champion = client.get_model_version_by_alias("trip-duration", "champion")
        model = client.get_logged_model(champion.source.rpartition("/")[2])  # models:/m-…
        page.goto(f"{uri}/#/experiments/{model.experiment_id}/models/{model.model_id}")
        page.reload()
        page.get_by_text("Model ID").first.wait_for()
        page.wait_for_timeout(4000)
        bottom = page.get_by_text("Parameters (").bounding_box()
        save(page, "05c_model", 210, 90, 1256, bottom["y"] - 12)


if __name__ == "__main__":
    os.environ["LOGNAME"] = "ana"  # whom the page names as the model's maker
    shoot(LESSON, take)

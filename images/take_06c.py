"""Takes the screenshot of lesson 06c from the lesson's own store, with headless Chromium.

python images/take_06c.py            executes the lesson in a temporary folder, then takes the picture
python images/take_06c.py FOLDER     takes it from the folder in which the lesson has run already
"""

from __future__ import annotations

import os
from pathlib import Path

from chromium import newest, save, shoot, ui

LESSON = "06c_packaging"


def take(folder: Path) -> None:
    """Write the picture of the first run's page from the store in `folder`."""
    with ui(folder / f"{LESSON}_files" / "mlflow.db") as (page, uri, client):
        experiment = newest(client, "packaging")
        runs = client.search_runs([experiment], order_by=["attributes.start_time ASC"])
        first = next(run for run in runs if run.data.tags.get("mlflow.project.entryPoint") == "main")
        page.goto(f"{uri}/#/experiments/{experiment}/runs/{first.info.run_id}")
        page.reload()
        page.get_by_text("Source").first.wait_for()
        page.wait_for_timeout(4000)
        bottom = page.get_by_text("Parameters (").bounding_box()  # below stand paths of this machine
        save(page, "06c_run", 210, 90, 1256, bottom["y"] - 12)


if __name__ == "__main__":
    os.environ["LOGNAME"] = "ana"  # whom the page names as the run's maker
    shoot(LESSON, take)

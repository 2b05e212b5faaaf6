"""Takes the screenshots of lesson 03a from the lesson's own runs, with headless Chromium.

python images/take_03a.py            executes the lesson in a temporary folder, then takes the pictures
python images/take_03a.py FOLDER     takes them from FOLDER/03a_tracking_files, where it has run already
"""

from __future__ import annotations

from pathlib import Path

from chromium import newest, open_comparison, save, shoot, ui
from mlflow.entities import Run
from playwright.sync_api import Page


def take(folder: Path) -> None:
    """Write the two pictures from the store in `folder`/03a_tracking_files."""
    with ui(folder / "03a_tracking_files" / "mlflow.db") as (page, uri, client):
        experiment = newest(client, "trip duration")
        boosted = client.search_runs(
            [experiment],
            "tags.model = 'xgboost' and params.n_estimators = '100'",
            order_by=["metrics.rmse ASC"],
        )
        compare(page, uri, experiment, boosted)
        parallel(page, uri, experiment, boosted)


def compare(page: Page, uri: str, experiment: str, runs: list[Run]) -> None:
    """The table of the compare page for the four best of `runs`."""
    page.set_viewport_size({"width": 1280, "height": 1800})
    open_comparison(page, uri, experiment, runs[:4])
    top = page.get_by_text("Run Name:").bounding_box()
    bottom = page.get_by_text("Artifacts", exact=True).bounding_box()
    save(page, "03a_compare", 210, top["y"], 1256, bottom["y"] - 16)
    page.set_viewport_size({"width": 1280, "height": 760})


def parallel(page: Page, uri: str, experiment: str, runs: list[Run]) -> None:
    """The parallel coordinates of all `runs`, over the test error."""
    open_comparison(page, uri, experiment, runs)
    page.get_by_text("rmse_train").first.click()  # opens the choice of metrics, where it is chosen
    page.get_by_text("rmse", exact=True).last.click()
    page.get_by_text("rmse_train", exact=True).last.click()
    page.keyboard.press("Escape")
    page.mouse.click(360, 560)
    page.wait_for_timeout(2500)  # the chart is drawn again
    save(page, "03a_parallel", 210, 130, 1256, 590)


if __name__ == "__main__":
    shoot("03a_tracking", take)

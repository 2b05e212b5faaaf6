"""Takes the screenshots of lesson 04 from the lesson's own trials, with headless Chromium.

python images/take_04.py            executes the lesson in a temporary folder, then takes the pictures
python images/take_04.py FOLDER     takes them from FOLDER/04_tuning_files, where the lesson has run already
"""

from __future__ import annotations

from pathlib import Path

from chromium import newest, open_comparison, save, shoot, ui
from playwright.sync_api import Page


def take(folder: Path) -> None:
    """Write the pictures from the store in `folder`/04_tuning_files."""
    with ui(folder / "04_tuning_files" / "mlflow.db") as (page, uri, client):
        experiment = newest(client, "trip duration, tuned")
        searches = client.search_runs([experiment], "tags.`mlflow.parentRunId` IS NULL")
        (tpe,) = [run for run in searches if run.info.run_name == "TPE, short start"]
        trials = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{tpe.info.run_id}'")
        open_comparison(page, uri, experiment, trials)
        save(page, "04_parallel", 210, 130, 1256, 590)
        page.get_by_text("Scatter Plot", exact=True).click()
        choose(page, "X-axis:", "learning_rate")
        save(page, "04_scatter", 210, 130, 1256, 640)
        page.get_by_text("Contour Plot", exact=True).click()
        choose(page, "X-axis:", "learning_rate")
        choose(page, "Y-axis:", "max_depth")
        label = page.get_by_text("Reverse color").bounding_box()
        page.mouse.click(label["x"] + 8, label["y"] + 28)  # the switch below it
        page.wait_for_timeout(2500)  # the chart is drawn again
        save(page, "04_contour", 210, 130, 1256, 640)


def choose(page: Page, axis: str, name: str) -> None:
    """Put the parameter `name` on an axis of the tab that is open."""
    shown = page.locator(f"text={axis}").locator("visible=true").first
    shown.locator("xpath=following::button[@role='combobox'][1]").click()
    page.get_by_role("option", name=name, exact=True).locator("visible=true").first.click()
    page.wait_for_timeout(2500)  # the chart is drawn again


if __name__ == "__main__":
    shoot("04_tuning", take)

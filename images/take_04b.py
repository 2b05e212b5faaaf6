"""Takes the screenshots of lesson 04b from the lesson's own trials, with headless Chromium.

python images/take_04b.py           executes the lesson in a temporary folder, then takes the pictures
python images/take_04b.py FOLDER    takes them from FOLDER, where the lesson has run already
"""

from __future__ import annotations

from pathlib import Path

from chromium import newest, open_comparison, save, shoot, ui
from playwright.sync_api import Page

LESSON = "04b_early_stopping_and_pruning"


def take(folder: Path) -> None:
    """Write the pictures from the store in the lesson's folder of files."""
    with ui(folder / f"{LESSON}_files" / "mlflow.db") as (page, uri, client):
        experiment = newest(client, "trip duration, pruned")
        (search,) = client.search_runs([experiment], "tags.`mlflow.runName` = 'Optuna, 64 trials'")
        trials = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{search.info.run_id}'")
        open_comparison(page, uri, experiment, trials)
        brush(page, "rmse_valid")
        save(page, "04b_parallel", 210, 130, 1256, 590)
        page.get_by_text("Contour Plot", exact=True).click()
        choose(page, "X-axis:", "learning_rate")
        choose(page, "Y-axis:", "max_depth")
        label = page.get_by_text("Reverse color").bounding_box()
        page.mouse.click(label["x"] + 8, label["y"] + 28)  # the switch below it
        page.wait_for_timeout(2500)  # the chart is drawn again
        save(page, "04b_contour", 210, 130, 1256, 640)


def brush(page: Page, metric: str) -> None:
    """Drag over the low fifth of a metric's axis."""
    axis = page.locator(".y-axis", has=page.locator(".axis-title", has_text=metric)).locator(".axis-brush")
    box = axis.bounding_box()
    x, bottom = box["x"] + box["width"] / 2, box["y"] + box["height"] - 12
    page.mouse.move(x, bottom)
    page.mouse.down()
    page.mouse.move(x, bottom - 30, steps=5)
    page.mouse.up()
    page.wait_for_timeout(1500)


def choose(page: Page, axis: str, name: str) -> None:
    """Put the parameter `name` on an axis of the tab that is open."""
    shown = page.locator(f"text={axis}").locator("visible=true").first
    shown.locator("xpath=following::button[@role='combobox'][1]").click()
    page.get_by_role("option", name=name, exact=True).locator("visible=true").first.click()
    page.wait_for_timeout(2500)  # the chart is drawn again


if __name__ == "__main__":
    shoot(LESSON, take)

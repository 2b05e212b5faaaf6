"""What the scripts that take screenshots share: a lesson that has run, its MLflow UI, and a small file."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image
from playwright.sync_api import Page

from course.paths import ROOT
from course.servers import tracking_server
from course.student.browser import headless

# The UI opens an assistant and asks what you work on at the first visit; these are the answers.
SETTINGS = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
}


def shoot(lesson: str, take: Callable[[Path], None]) -> None:
    """Take a lesson's pictures from the folder on the command line, or run the lesson in one first."""
    if len(sys.argv) > 1:
        take(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        run_lesson(lesson, Path(folder))
        take(Path(folder))


def run_lesson(lesson: str, folder: Path) -> None:
    """Execute the lesson in `folder`."""
    sys.path.insert(0, str(ROOT / "src"))
    from nbclient import NotebookClient

    from authoring.build import generate, read_lesson

    notebook = generate(read_lesson(ROOT / "src" / "lessons" / f"{lesson}.py"))
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()


@contextmanager
def ui(store: Path) -> Iterator[tuple[Page, str, MlflowClient]]:
    """Open MLflow on a copy of the SQLite file `store`; yield the page, the server's address and a client."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copyfile(store, Path(scratch) / "mlflow.db"))
        with tracking_server(scratch, backend_store_uri=f"sqlite:///{copy.as_posix()}") as server:
            with browser(server.uri, SETTINGS) as page:
                yield page, server.uri, MlflowClient(server.uri)


@contextmanager
def browser(address: str, storage: Mapping[str, str] | None = None) -> Iterator[Page]:
    """Open `address` in a window of 1280 x 760; `storage` is put into the page's localStorage first."""
    with headless() as chromium:
        context = chromium.new_context(viewport={"width": 1280, "height": 760})
        answers = "".join(f"localStorage.setItem({k!r}, {v!r});" for k, v in (storage or {}).items())
        context.add_init_script(answers)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        yield page


def newest(client: MlflowClient, title: str) -> str:
    """Return the id of the latest experiment whose name begins with `title`."""
    found = client.search_experiments(
        filter_string=f"name LIKE '{title} · %'", order_by=["creation_time DESC"]
    )
    if not found:
        raise SystemExit(f"the store has no experiment {title!r}: run the lesson in that folder first")
    return found[0].experiment_id


def open_comparison(page: Page, address: str, experiment: str, runs: list[Run]) -> None:
    """Show MLflow's page that compares `runs`, with its parallel coordinates."""
    state = {
        "runs": json.dumps([run.info.run_id for run in runs]),
        "experiments": json.dumps([experiment]),
    }
    page.goto(f"{address}/#/compare-runs?{urlencode(state, quote_via=quote)}")
    page.reload()
    page.get_by_text("Parallel Coordinates Plot").wait_for()
    page.wait_for_timeout(4000)  # the chart draws itself after its data


def save(page: Page, name: str, left: float, top: float, right: float, bottom: float) -> None:
    """Write what lies in this rectangle, in 256 colours: the file is half as large and looks the same."""
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip)))
    path = ROOT / "images" / f"{name}.png"
    picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {picture.width} x {picture.height}, {path.stat().st_size / 1000:.0f} KB")

"""What a student sees: JupyterLab in headless Chromium, a lesson run as a whole, an exercise answered."""

import inspect
import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from test_cli import Lab

from authoring.build import read_lesson
from course import progress
from course.exercise.source import find, load, solution_source
from course.paths import ROOT
from course.student import browser
from course.student.workspace import find_lesson

EXERCISE = "keep_plausible"
LESSON = find(EXERCISE).stem
CELLS = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell"  # of the notebook in front
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(
        browser.program() is None, reason="no Chromium here: install it to see what a student sees"
    ),
]


@pytest.fixture
def lab(tmp_path_factory):
    running = Lab(tmp_path_factory.mktemp("a student's lab") / "work")
    yield running
    running.end()


@pytest.fixture
def page():
    pytest.importorskip("playwright.sync_api", reason="no Playwright here: pip install playwright")
    with browser.headless() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(60_000)
        yield page


def wait_until_idle(page) -> None:
    """Wait until the status bar says that the kernel is idle; earlier, "Run All" does nothing."""
    page.wait_for_function(
        "() => document.querySelector('#jp-main-statusbar').textContent.includes('| Idle')"
    )


def run_all(page) -> None:
    """Choose "Run All Cells" from the menu; again where JupyterLab was not ready to act on it."""
    started = page.locator(CELLS).first.locator(".jp-InputPrompt").filter(has_not_text="[ ]:")
    for _ in range(5):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        for _ in range(100):
            if started.count():
                return
            page.wait_for_timeout(100)
    raise AssertionError("Run All Cells starts nothing")


def prepare(notebook: Path) -> int:
    """Set the lesson's parameters for tests and drop its outputs; return how many code cells it has."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    (parameters,) = [cell for cell in code if "parameters" in cell["metadata"].get("tags", [])]
    small = read_lesson(ROOT / "src" / "lessons" / f"{LESSON}.py").ci
    parameters["source"] += [f"\n{name} = {value!r}" for name, value in small.items()]
    for cell in code:
        cell |= {"outputs": [], "execution_count": None}  # what is seen later was made in the test
    notebook.write_text(json.dumps(content), encoding="utf-8")
    return len(code)


def wait_for_prompts(page, pattern: str, count: int) -> None:
    """Wait until all of the lesson's code cells are there and show a prompt like this."""
    page.wait_for_function(
        """([cells, pattern, count]) => {
            const prompts = [...document.querySelectorAll(`${cells} .jp-InputPrompt`)];
            const fits = prompt => new RegExp(pattern).test(prompt.textContent);
            return prompts.length == count && prompts.every(fits);
        }""",
        arg=[CELLS, pattern, count],
        timeout=180_000,
    )


def answer(page, source: str) -> str:
    """Type an answer into the exercise's cell, run it and the check below; return what the page then says."""
    cells = page.locator(CELLS)
    stub = cells.filter(has=page.locator(".cm-content", has_text=f"def {EXERCISE}")).first
    check = cells.filter(has=page.locator(".cm-content", has_text=f"exercise.check({EXERCISE})")).first
    before = check.locator(".jp-InputPrompt").text_content()
    stub.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(source)
    page.keyboard.press("Shift+Enter")
    check.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_function(
        "([cell, before]) => !['[*]:', before].includes(cell.querySelector('.jp-InputPrompt').textContent)",
        arg=[check.element_handle(), before],
    )
    wait_until_idle(page)
    feedback = check.locator(".jp-OutputArea-output").first
    feedback.scroll_into_view_if_needed()
    shoot(page, re.sub(r"\W.*", "", feedback.inner_text().split(": ")[-1]))
    return feedback.inner_text()


def shoot(page, name: str) -> None:
    """Keep a picture of the page where WALKFORWARD_SHOTS says, for a look at it."""
    if folder := os.environ.get("WALKFORWARD_SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_student_runs_a_lesson_and_answers_an_exercise_wrong_and_then_right(lab, page, monkeypatch):
    asked_outside = []
    page.on("request", lambda request: asked_outside.append(request.url) if is_outside(request.url) else None)

    page.goto(lab.jupyter)
    page.get_by_role("main").get_by_text(find_lesson("00").name).first.wait_for()
    shoot(page, "start")

    code_cells = prepare(lab.work / f"{LESSON}.ipynb")
    page.goto(lab.jupyter.replace(find_lesson("00").stem, LESSON))
    page.locator(CELLS).first.wait_for()
    wait_until_idle(page)
    wait_for_prompts(page, r"^\[ \]:$", code_cells)
    run_all(page)
    wait_for_prompts(page, r"^\[\d+\]:$", code_cells)
    wait_until_idle(page)
    shoot(page, "run")
    assert page.locator(".Toastify__toast").count() == 0  # no question about news in front of the lesson

    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    assert page.get_by_text("not attempted yet").count() >= 1  # unfilled stubs are no error
    assert page.get_by_text("checks passed").count() == 0

    path = find(EXERCISE)
    wrong, caught_by = getattr(load(path), EXERCISE).exercise.wrong[0]
    given = re.sub(r"\A(@.*\n)+", "", inspect.getsource(wrong)).replace(wrong.__name__, EXERCISE)
    said = answer(page, given)
    assert said.startswith(f"✗ {EXERCISE}: ")
    assert "✗ " + caught_by.__name__.replace("_", " ") in said
    assert "Hint" in said

    said = answer(page, solution_source(path, EXERCISE))
    count = len(getattr(load(path), EXERCISE).exercise.checks)
    assert said.startswith(f"✓ {EXERCISE}: {count} of {count} checks passed")
    assert "✗" not in said
    monkeypatch.setenv("WALKFORWARD_STATE", lab.home["WALKFORWARD_STATE"])
    records, _ = progress.read()
    assert [(record["exercise"], record["status"]) for record in records] == [
        (EXERCISE, "failed"),
        (EXERCISE, "passed"),
    ]

    assert not asked_outside  # the course works offline


def is_outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1"


def test_what_is_said_of_a_kata_is_folded_until_it_is_opened(lab, page):
    page.goto(lab.jupyter.replace(find_lesson("00").stem, "I1_coding"))
    page.locator(CELLS).first.wait_for()
    wait_until_idle(page)
    shown = """() => {
        const cell = [...document.querySelectorAll('.jp-CodeCell')]
            .find(one => one.textContent.includes('round gives place'));
        return cell !== undefined && cell.getClientRects().length > 0;
    }"""
    heading = page.locator(".jp-MarkdownCell", has_text="After your first check: the middle of an array")
    heading.scroll_into_view_if_needed()
    text = heading.locator(".jp-RenderedMarkdown")
    assert text.get_by_text("The idea, the counted steps, the follow-up").is_visible()
    assert not text.get_by_text("Work the place out").is_visible(), "the text is folded"
    assert not page.evaluate(shown), "and the cells below its heading are"
    text.get_by_text("The idea, the counted steps, the follow-up").click()
    assert text.get_by_text("Work the place out").is_visible()
    heading.get_by_text("2 cells hidden").click()
    page.wait_for_function(shown)
    shoot(page, "kata")

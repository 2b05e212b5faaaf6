"""The course on the web: links, pages in headless Chromium under a sub-path, practice, katas, search."""

import html.parser
import json
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections import defaultdict
from datetime import UTC, datetime
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from weekly import weekly

from authoring.site import build as site_build
from authoring.site import moved, vendored
from course import environments, lessons
from course.exercise.source import solution_source
from course.practice.bank import load_bank
from course.student import browser

REPOSITORY = "https://github.com/owner/walk-forward"
AXE = vendored.Package(
    "axe-core",
    "4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    "pages are not looked at by axe",
    {"axe.min.js": "axe/axe.min.js"},
)
LOOKS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
needs_chromium = pytest.mark.skipif(browser.program() is None, reason="no Chromium here: install it")
needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="no npm here: the site lacks its programs")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site in a folder below the server's root, as on a project's Pages."""
    folder = tmp_path_factory.mktemp("web")
    try:
        site_build.build(folder / "some" / "course", folder / "work", REPOSITORY)
    except environments.OtherEnvironmentError as error:
        pytest.skip(f"the site can't be built here: {error}")
    return folder / "some" / "course"


class _Page(html.parser.HTMLParser):
    """What a page points to, what it loads, its ids, and pictures without a word for who can't see them."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.ids, self.silent = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in {"script", "img", "iframe", "source"} and given.get("src"):
            self.loads.append(given["src"])
        if tag == "link" and "canonical" not in (given.get("rel") or "") and given.get("href"):
            self.loads.append(given["href"])
        if tag == "img" and not (given.get("alt") or "").strip():
            self.silent.append(given.get("src"))


@pytest.fixture(scope="module")
def parsed(site):
    found = {}
    for path in sorted(site.rglob("*.html")):
        if not {"vendor", "pagefind"} & set(path.parts):
            found[path.relative_to(site).as_posix()] = _Page(path.read_text(encoding="utf-8"))
    return found


def broken(parsed, site):
    """Return each link and file that leads to nothing, by page."""
    found = []
    for name, page in parsed.items():
        for link in [*page.links, *page.loads]:
            whole = urlsplit(urljoin(f"http://here/{name}", link))
            if link.startswith("data:") or whole.netloc != "here":
                continue
            path = unquote(whole.path).lstrip("/")
            path = f"{path}index.html" if path in ("",) or path.endswith("/") else path
            if not (site / path).is_file():
                found.append(f"{name}: {link}")
            elif whole.fragment and path in parsed and unquote(whole.fragment) not in parsed[path].ids:
                found.append(f"{name}: {link}")
    return found


def test_every_link_and_every_anchor_leads_somewhere(parsed, site):
    assert broken(parsed, site) == []
    assert sum(len(page.links) for page in parsed.values()) > 5000


def test_a_broken_anchor_and_a_missing_page_are_seen(parsed, site):
    lesson = "notebooks/11c_drift.html"
    bad = _Page('<a href="11c_drift.html#cell-id=nowhere">a</a><a href="nowhere.html">b</a>')
    told = broken(parsed | {"notebooks/bad.html": bad}, site)
    assert [line.partition(": ")[2] for line in told] == ["11c_drift.html#cell-id=nowhere", "nowhere.html"]
    assert lesson in parsed


def test_no_page_loads_anything_from_another_host(parsed, site):
    other = {load for page in parsed.values() for load in page.loads if urlsplit(load).netloc}
    assert other == set()
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    asked = [hit for text in styles for hit in re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:|//)", text)]
    assert asked == []


def test_every_picture_says_what_it_shows(parsed):
    assert {name: page.silent for name, page in parsed.items() if page.silent} == {}


def test_no_page_is_heavy(site):
    heaviest = max(site.rglob("*.html"), key=lambda path: path.stat().st_size)
    assert heaviest.stat().st_size < 2e6, heaviest


def test_every_lesson_is_a_page_and_old_addresses_lead_on(site):
    stems = {path.stem for path in (site_build.ROOT / "notebooks").glob("*.ipynb")}
    there = {path.stem for path in (site / "notebooks").glob("*.html")}
    old = set(lessons.CUT) - stems
    assert there == stems | old
    page = (site / "notebooks" / "11b_drift.html").read_text(encoding="utf-8")
    assert 'content="0; url=11c_drift.html"' in page
    assert 'href="11d_detectors.html"' in page


def test_a_page_says_what_to_do_next(site):
    page = (site / "notebooks" / "11c_drift.html").read_text(encoding="utf-8")
    said = page[page.index('aria-label="What next"') :]
    assert "make lab ARGS=11c" in said
    assert f"git clone {REPOSITORY}.git" in said
    assert "https://codespaces.new/owner/walk-forward" in said
    assert "../practice.html?lesson=11c" in said
    assert "mybinder.org/v2/gh/owner/walk-forward/main?urlpath=lab/tree/notebooks/11c_drift.ipynb" in said


def test_no_mark_of_a_number_is_left_in_the_pages(site):
    for path in (site / "notebooks").glob("*.html"):
        assert not re.search(r"&lt;!-- *[=~]", path.read_text(encoding="utf-8")), path.name


def test_a_package_of_other_content_is_refused(tmp_path, monkeypatch):
    """And where npm gives none, the part is left out, with a word."""
    with tarfile.open(tmp_path / "one.tgz", "w:gz") as archive:
        (tmp_path / "file").write_text("not what was pinned", encoding="utf-8")
        archive.add(tmp_path / "file", "package/file")

    def pack(command, cwd, **_):
        shutil.copyfile(tmp_path / "one.tgz", f"{cwd}/one.tgz")
        return subprocess.CompletedProcess(command, 0, "", "")

    package = vendored.Package("one", "1.0.0", "another", "one thing is missing", {"file": "one/file"})
    monkeypatch.setattr(vendored.shutil, "which", lambda _: "npm")
    monkeypatch.setattr(vendored.subprocess, "run", pack)
    with pytest.raises(vendored.VendoredError, match="one 1.0.0 is not what was pinned"):
        vendored.bring(tmp_path / "static", (package,))
    assert not (tmp_path / "static").exists()
    monkeypatch.setattr(vendored.shutil, "which", lambda _: None)
    assert vendored.bring(tmp_path / "static", (package,)) == [
        "Left out, one thing is missing: one can't be had (there is no npm on PATH)"
    ]


def test_only_lessons_that_are_gone_get_a_page_that_leads_on(tmp_path):
    (tmp_path / "notebooks").mkdir()
    for stem in ("11b_drift", "11c_drift", "13a_time_series"):
        (tmp_path / "notebooks" / f"{stem}.html").touch()
    assert moved.write(tmp_path) == ["13_time_series_and_walk_forward"]


# In the browser


@pytest.fixture(scope="module")
def address(site):
    with site_build.server(site.parents[1]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/some/course/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    pytest.importorskip("playwright.sync_api", reason="no Playwright here: pip install playwright")
    with browser.headless() as running:
        yield running


@pytest.fixture
def context(chromium, address):
    """A visitor whose requests to other hosts, and whose pages' errors, are faults."""
    visitor, faults = chromium.new_context(viewport={"width": 1280, "height": 900}), []
    visitor.set_default_timeout(60_000)
    visitor.on("request", lambda one: faults.append(one.url) if _elsewhere(one.url, address) else None)
    visitor.on("weberror", lambda one: faults.append(str(one.error)))
    visitor.on("console", lambda one: faults.append(one.text) if one.type == "error" else None)
    yield visitor
    visitor.close()
    assert faults == []


def _elsewhere(url, address):
    return urlsplit(url).scheme.startswith("http") and not url.startswith(address)


def kinds(site):
    """Return a page of each kind, and some lessons."""
    found = ["index.html", "practice.html", "katas.html", "paths/interview.html", "parts/ship.html"]
    stems = sorted(path.stem for path in (site_build.ROOT / "notebooks").glob("*.ipynb"))
    return [*found, *(f"notebooks/{stem}.html" for stem in stems[::14])]


def look(chromium, address, pages, axe):
    """Return what is wrong with pages in four looks: axe's faults, what is wider than the screen."""
    faults = []
    for width, colours in LOOKS:
        view = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
        page = view.new_page()
        page.set_default_timeout(60_000)
        for name in pages:
            page.goto(address + name)
            page.wait_for_load_state("networkidle")
            where = f"{name} at {width} px, {colours}"
            if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
                faults.append(f"{where}: {wide} px wide")
            page.evaluate(axe)
            found = page.evaluate("async () => (await axe.run(document)).violations")
            faults += [f"{where}: {one['id']}, {one['nodes'][0]['html'][:160]}" for one in found]
        view.close()
    return faults


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("axe")
    if lacks := vendored.bring(folder, (AXE,)):
        pytest.skip(lacks[0])
    return (folder / "axe" / "axe.min.js").read_text(encoding="utf-8")


@needs_chromium
@needs_npm
def test_pages_are_for_everybody(site, chromium, address, axe):
    assert look(chromium, address, kinds(site), axe) == []


@needs_chromium
@needs_npm
@weekly("each push looks at a page of each kind and at some lessons")
def test_every_page_is_for_everybody(parsed, chromium, address, axe):
    pages = [name for name, page in parsed.items() if page.ids]  # one that only leads on has none
    assert look(chromium, address, pages, axe) == []


def told(page):
    return page.locator("#practice [role=status]").text_content()


def answer(page, had=True, said=""):
    """Answer the question on the screen and tick all of its points."""
    if said:
        page.locator("#practice textarea").fill(said)
    page.get_by_role("button", name="I have answered").click()
    tick = page.get_by_role("button", name="I had it" if had else "I missed it")
    while tick.count():
        tick.click()


@needs_chromium
def test_a_question_is_answered_and_comes_back_when_it_is_due(context, address):
    """Missed: in ten minutes. Had: the next day, as the terminal's schedule has it. The answer is kept."""
    page = context.new_page()
    page.clock.install(time=datetime(2026, 11, 2, 9, tzinfo=UTC))
    page.goto(f"{address}practice.html?question=drift-psi-threshold")
    page.get_by_text("industry standard").wait_for()
    page.locator("#practice textarea").fill("No: which column")
    page.reload()
    assert page.locator("#practice textarea").input_value() == "No: which column"  # a draft outlives its page
    page.clock.fast_forward(60_000)
    answer(page, had=False)
    assert told(page) == "Again. It comes back in 10 minutes."
    page.goto(f"{address}practice.html?lesson=11c")
    assert told(page).startswith("0 due")
    page.clock.fast_forward(11 * 60_000)
    page.reload()
    assert told(page).startswith("1 due")
    page.get_by_role("button", name="Practise", exact=True).click()
    page.get_by_text("industry standard").wait_for()
    page.clock.fast_forward(60_000)
    answer(page)
    assert "It comes back tomorrow." in told(page)
    assert page.get_by_text("See it run").is_visible()
    page.goto(f"{address}practice.html?lesson=11c")
    assert told(page).startswith("0 due")
    page.clock.fast_forward(26 * 3600 * 1000)
    page.reload()
    assert told(page).startswith("1 due")


@needs_chromium
def test_what_was_typed_is_shown_beside_the_points_the_next_time(context, address):
    page = context.new_page()
    for said in ("First words", ""):
        page.goto(f"{address}practice.html?question=drift-psi-threshold")
        answer(page, said=said)
    page.goto(f"{address}practice.html?question=drift-psi-threshold")
    page.get_by_role("button", name="I have answered").click()
    assert "First words" in page.locator(".wf-said").text_content()


@needs_chromium
def test_two_tabs_lose_nothing_and_a_copy_can_be_brought_in_twice(context, address, tmp_path):
    one, other = context.new_page(), context.new_page()
    for page, name in ((one, "drift-psi-threshold"), (other, "drift-kinds-on-data")):
        page.goto(f"{address}practice.html?question={name}")
        page.get_by_role("button", name="I have answered").wait_for()
    for page in (one, other):
        answer(page)
    one.goto(f"{address}practice.html")
    one.locator("summary", has_text="Your answers").click()
    with one.expect_download() as waiting:
        one.get_by_role("button", name="Save a copy").click()
    copy = tmp_path / "answers.jsonl"
    waiting.value.save_as(copy)
    kept = [json.loads(line) for line in copy.read_text(encoding="utf-8").splitlines()]
    assert {review["question"] for review in kept} == {"drift-psi-threshold", "drift-kinds-on-data"}
    one.evaluate("localStorage.clear()")
    for told in ("2 answers are new here.", "0 answers are new here."):
        one.goto(f"{address}practice.html")
        one.locator("summary", has_text="Your answers").click()
        one.locator("input[type=file]").set_input_files(copy)
        one.get_by_text(told).wait_for()
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"question": "a", "rating": 7}\n', encoding="utf-8")
    one.locator("summary", has_text="Your answers").click()
    one.locator("input[type=file]").set_input_files(bad)
    one.get_by_text("Nothing was taken in: line 1 has no reviewed.").wait_for()


@needs_chromium
@pytest.mark.parametrize(
    ("held", "criteria"), [("screen", True), ("design", True), ("of all kinds, 20", False)]
)
def test_a_round_is_finished(context, address, held, criteria):
    """Everything is asked first, then the rubric, then how it sounded, then the sheet."""
    page = context.new_page()
    page.goto(f"{address}practice.html")
    page.get_by_role("button", name=held).click()
    steps = int(re.match(r"1 of (\d+)", page.locator(".wf-title").text_content())[1])
    for _ in range(steps):
        page.get_by_role("button", name="I have answered").click()
    had = page.get_by_role("button", name="I had it")
    while had.count():
        had.click()
    if criteria:
        for group in page.locator("fieldset").all():
            group.locator("input").nth(2).check()
        page.get_by_role("button", name="Sum it up").click()
        assert page.get_by_text("Level: mid").is_visible()
    assert page.get_by_text(f"Score: {steps} of {steps} passed").is_visible()


@needs_chromium
def test_practice_goes_on_without_a_network(context, address):
    page = context.new_page()
    page.goto(f"{address}practice.html")
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    context.set_offline(True)
    page.goto(f"{address}practice.html?question=drift-psi-threshold")
    answer(page)
    assert "It comes back" in told(page)
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("button", name="I have answered").wait_for()
    context.set_offline(False)


@needs_chromium
@needs_npm
def test_katas_fail_pass_and_an_endless_loop_is_ended(chromium, address):
    module = site_build.katas.KATAS
    solution = solution_source(module, "middle_element")
    view = chromium.new_context()
    page = view.new_page()
    page.set_default_timeout(180_000)
    page.goto(f"{address}katas.html#middle_element")
    page.locator(".CodeMirror").wait_for()

    def check(text):
        page.evaluate("text => document.querySelector('.CodeMirror').CodeMirror.setValue(text)", text)
        page.get_by_role("button", name="Check").click()
        page.locator("#katas button.wf-main:not([disabled])").wait_for()
        return page.locator("#katas [role=status]").text_content(), page.locator(".wf-result").text_content()

    assert check("def middle_element(items):\n    return items[0]\n")[0] == "Not yet."
    assert "NameError" in check("def middle_element(items):\n    return item\n")[1]
    assert check("def middle(items):\n    return 1\n")[1].startswith("There is no function middle_element")
    page.evaluate("text => { const cm = document.querySelector('.CodeMirror').CodeMirror; cm.setValue(''); "
                  "cm.replaceSelection(text); }", solution)  # fmt: skip
    page.reload()
    page.locator(".CodeMirror").wait_for()
    kept = page.evaluate("document.querySelector('.CodeMirror').CodeMirror.getValue()")
    assert kept == solution  # the draft outlives its page
    assert check(solution)[0] == "Passed."
    assert "was ended" in check("def middle_element(items):\n    while True:\n        pass\n")[0]
    assert check(solution)[0] == "Passed."  # Python starts again
    view.close()


KATAS = """
import sys
sys.path.insert(0, sys.argv[1] + "/src")
from course.exercise.source import load, names
from pathlib import Path
path = Path(sys.argv[1]) / "src/lessons/exercises/I1_coding.py"
module = load(path)
for name in names(path):
    one = getattr(module, name).exercise
    assert one.run(getattr(module, name)).passed, name
    for wrong, _ in one.wrong:
        assert not one.run(wrong).passed, (name, wrong.__name__)
print(len(names(path)))
"""


def test_the_packed_katas_need_nothing_but_themselves(tmp_path):
    """In a Python with no package at all, every solution passes and every wrong answer is refused."""
    (tmp_path / "katas.zip").write_bytes(site_build.katas.packed())
    with zipfile.ZipFile(tmp_path / "katas.zip") as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", KATAS, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(site_build.katas.entries())


SEARCHES = {
    "random split leak time series": "13a_time_series",
    "seasonal naive baseline": "13a_time_series",
    "expanding window refit": "13b_walk_forward",
    "population stability index": "11c_drift",
    "KS test": "11c_drift",
    "concept drift": "11c_drift",
    "conformal": "15b_intervals_and_prophet",
    "quantile forecast interval coverage": "15b_intervals_and_prophet",
    "changepoint prior": "14b_prophet",
    "alias champion": "07a_registry",
    "cohen kappa": "02a_labels",
    "labelling functions": "02b_fewer_labels",
    "confident learning": "02b_fewer_labels",
    "unity catalog": "10b_databricks_registry_and_endpoint",
    "presigned url": "10e_object_storage_and_the_lake",
    "teradata": "10f_the_warehouse",
    "false alarms quiet": "11d_detectors",
    "dockerfile": "09b_deploying",
    "circuit breaker fallback": "09e_failing_gracefully",
    "p99 latency": "09c_serving_under_load",
    "mutants": "08a_code_that_others_can_change",
    "shap": "05c_judged_and_explained",
    "paired bootstrap": "04c_is_it_better",
    "learning curve": "01b_better_models",
    "autologging": "03a_tracking",
    "STAR story": "I4_behavioural",
}


@needs_chromium
def test_search_finds_the_section(context, address):
    page = context.new_page()
    page.goto(f"{address}index.html")
    script = """async (queries) => {
      const pagefind = await import(new URL("pagefind/pagefind.js", location.href).href);
      await pagefind.init();
      const found = {};
      for (const query of queries) {
        const { results } = await pagefind.search(query);
        const first = results[0] && await results[0].data();
        found[query] = first && [first.url, ...first.sub_results.map((one) => one.url)];
      }
      return found;
    }"""
    found = page.evaluate(script, list(SEARCHES))
    first = {query: hit and hit[0].rpartition("/")[2].removesuffix(".html") for query, hit in found.items()}
    assert first == SEARCHES
    assert [
        query for query, hit in found.items() if not any("#" in url for url in hit)
    ] == []  # a section, too


@needs_chromium
def test_a_path_leads_from_sitting_to_sitting(context, address):
    page = context.new_page()
    page.goto(f"{address}paths/interview.html")
    page.locator(".wf-path a").nth(1).click()
    bar = page.get_by_role("navigation", name="Path").first
    assert "sitting 2 of 20" in bar.text_content()
    bar.get_by_role("link", name="Next").click()
    assert "sitting 3 of 20" in page.get_by_role("navigation", name="Path").first.text_content()


def test_the_bank_on_the_site_is_the_whole_bank(site):
    whole = json.loads((site / "_static" / "bank.json").read_text(encoding="utf-8"))
    assert [one["id"] for one in whole["questions"]] == [one.id for one in load_bank()]
    by_lesson = defaultdict(int)
    for one in whole["questions"]:
        for lesson in one["lessons"]:
            by_lesson[lesson] += 1
    assert by_lesson["11c"] >= 4

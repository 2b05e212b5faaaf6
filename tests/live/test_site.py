"""The course on the web: links, pages in headless Chromium under a sub-path, practice, katas, search."""

import html.parser
import json
import random
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from click.testing import CliRunner
from weekly import weekly

from authoring.site import build as site_build
from authoring.site import clinic, moved, sql, vendored
from course import environments, lessons
from course.cli import main
from course.data.database import connect
from course.exercise import Exercise
from course.exercise.source import solution_source
from course.practice.bank import load_bank
from course.practice.plan import Plan, today
from course.practice.reviews import State
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
        self.ids |= {given[name] for name in ("id", "name") if given.get(name) and tag != "meta"}
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


def test_a_package_of_which_more_is_wanted_is_brought_again(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(vendored.shutil, "which", lambda _: "npm")
    monkeypatch.setattr(vendored, "_bring", lambda _, package, __: asked.append(sorted(package.files)) or "")
    for files in ({"a": "a"}, {"a": "a"}, {"a": "a", "b": "b"}):
        vendored.bring(tmp_path, (vendored.Package("one", "1.0.0", "", "", files),))
    assert asked == [["a"], ["a", "b"]]


def test_only_lessons_that_are_gone_get_a_page_that_leads_on(tmp_path):
    (tmp_path / "notebooks").mkdir()
    for stem in ("11b_drift", "11c_drift", "13a_time_series"):
        (tmp_path / "notebooks" / f"{stem}.html").touch()
    assert moved.write(tmp_path) == ["13_time_series_and_walk_forward"]


@pytest.mark.parametrize(
    ("error", "shown"), [(BrokenPipeError(), False), (ConnectionResetError(), False), (ValueError("x"), True)]
)
def test_a_page_that_is_left_early_is_no_fault_and_another_fault_is_shown(tmp_path, capsys, error, shown):
    with site_build.server(tmp_path) as server:
        try:
            raise error
        except (OSError, ValueError):
            server.handle_error(None, ("127.0.0.1", 1))
    assert ("Traceback" in capsys.readouterr().err) is shown


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
    found = [
        "index.html",
        "practice.html",
        "plan.html",
        "katas.html",
        "katas.html#unused_types",
        "paths/interview.html",
        "parts/ship.html",
    ]
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
            faults += seen_in(page, f"{name} at {width} px, {colours}", width, axe)
        view.close()
    return faults


def seen_in(page, where, width, axe):
    """Return what is wrong with a page as it stands."""
    faults = []
    if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
        faults.append(f"{where}: {wide} px wide")
    page.evaluate(axe)
    found = page.evaluate("async () => (await axe.run(document)).violations")
    return faults + [f"{where}: {one['id']}, {one['nodes'][0]['html'][:160]}" for one in found]


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


def wide(chromium, address, pages):
    """Return the pages that are wider than a phone's screen, with their width."""
    view = chromium.new_context(viewport={"width": 390, "height": 800}, service_workers="block")
    page, found = view.new_page(), {}
    page.set_default_timeout(60_000)
    for name in pages:
        page.goto(address + name)
        if (width := page.evaluate("document.documentElement.scrollWidth")) > 390:
            found[name] = width
    view.close()
    return found


@needs_chromium
def test_no_page_is_wider_than_a_phone(parsed, site, chromium, address):
    assert wide(chromium, address, [name for name, one in parsed.items() if one.ids]) == {}
    broad = '<!doctype html><title>Broad</title><p style="width: 500px">A table</p>'
    (site / "broad.html").write_text(broad, encoding="utf-8")
    assert wide(chromium, address, ["broad.html"]) == {"broad.html": 508}
    (site / "broad.html").unlink()


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
    one.locator("summary", has_text="What you know").click()
    met = one.locator(".wf-known tbody tr")
    assert [row.split() for row in met.all_inner_texts()] == [["11c", "100", "%,", "seen", "2", "of", "4"]]
    assert one.get_by_text("Not asked yet: 00a (6), ").is_visible()
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


# The plan, and the rounds that are not only spoken

MORNING = datetime(2026, 11, 30, 9, tzinfo=UTC)
AD = "MLOps engineer: data drift, alarms in Prometheus, Prophet. Terraform, Kafka and Go are welcome."


def planned(page, address, day="2026-12-14", hours="1.5", text=""):
    page.goto(f"{address}plan.html")
    page.locator("#plan [role=status]").wait_for()
    if not page.get_by_label("Interview on").is_visible():
        page.locator("summary", has_text="Change the plan").click()
    page.get_by_label("Interview on").fill(day)
    page.get_by_label("Hours a day").fill(hours)
    page.locator("#plan textarea").fill(text)
    page.locator("#plan form .wf-main").click()


def days(page):
    """Return the rows of all days: each its day, its minutes, what it holds without the topics."""
    rows = page.locator(".wf-days tbody tr").all()
    return [
        [re.sub(r" \(\D.*?\)", "", cell) for cell in row.locator("th, td").all_text_contents()]
        for row in rows
    ]


def status(page):
    return page.locator("#plan [role=status]").text_content()


@pytest.fixture
def terminal(tmp_path, monkeypatch):
    """The terminal's plan of that morning, made with the same wishes."""
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("WALKFORWARD_NOW", MORNING.isoformat())

    def plan(*options):
        shown = CliRunner().invoke(main, ["plan", *options])
        assert shown.exit_code == 0, shown.output
        return Plan.model_validate_json(State().setting("plan"))

    return plan


@needs_chromium
def test_a_plan_has_the_days_of_the_terminals_and_what_was_missed_moves_on(
    chromium, address, terminal, tmp_path
):
    (tmp_path / "ad.txt").write_text(AD, encoding="utf-8")
    wanted = terminal("--date", "2026-12-14", "--hours", "1.5", "--job", str(tmp_path / "ad.txt"))
    view = chromium.new_context(timezone_id="UTC")
    page = view.new_page()
    page.clock.install(time=MORNING)
    planned(page, address, text=AD)
    page.get_by_role("heading", name="Today").wait_for()
    assert status(page) == "14 days to the interview on Mon 14 Dec. Today: 90 of 90 minutes."
    kept = json.loads(page.evaluate("localStorage.getItem('walkforward.plan')"))
    for key, value in wanted.model_dump(mode="json").items():
        assert kept[key] == value or key in ("begun", "job"), key
    shown = days(page)
    assert [row[0] for row in shown[:2]] == ["Mon 30 Nov", "Tue 1 Dec"]
    assert [int(row[1]) for row in shown[:-1]] == [
        sum(item.minutes for item in day.items) for day in wanted.days
    ]
    assert shown[-2:] == [["Sun 13 Dec", "0", "off"], ["Mon 14 Dec", "", "the interview"]]
    first = next(item.name for item in wanted.days[0].items if item.what == "sitting")
    number = lessons.number(first)
    assert page.get_by_text("names 7 terms that are known here").count() == 1
    page.locator("summary", has_text="names 7 terms").click()
    assert "Not taught here: Terraform" in page.locator("#plan").text_content()

    page.get_by_role("button", name="I told one").click()  # a story is told, the sitting is passed over
    assert page.locator(".wf-over", has_text="a story of yours").count() == 1
    page.clock.fast_forward(24 * 3600 * 1000)
    page.reload()
    page.get_by_role("heading", name="Today").wait_for()
    assert f"Missed since Mon 30 Nov: sittings {number}; questions" in page.locator("#plan").text_content()
    assert page.locator(".wf-today a", has_text=f"{number} ").count() == 1
    page.get_by_label(f"I have done {number}").check()  # now it is done, and the day after does not have it
    page.clock.fast_forward(24 * 3600 * 1000)
    page.reload()
    page.get_by_role("heading", name="Today").wait_for()
    assert not any(part.split()[0] == number for row in days(page) for part in row[2].split(" · "))
    page.locator("summary", has_text="Change the plan").click()
    page.get_by_role("button", name="Drop the plan").click()
    assert status(page) == "The plan is dropped. What you did is kept."
    view.close()


@needs_chromium
@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"day": "2026-11-30"}, "2026-11-30 is today: choose a day to come, such as 2026-12-14."),
        ({"day": "2026-11-01"}, "2026-11-01 is over: choose a day to come, such as 2026-12-14."),
        ({"day": "2028-01-01"}, "2028-01-01 is 397 days away: a plan reaches 365."),
        ({"day": ""}, "Nothing is no day: choose a day to come, such as 2026-12-14."),
        ({"hours": "13"}, "Hours 13: write the hours of a day, from 0.25 to 12, such as 1.5."),
        ({"hours": "many"}, "Hours many: write the hours of a day, from 0.25 to 12, such as 1.5."),
        ({"text": "<html><p>MLOps"}, "This is a web page with its tags: paste the text that it shows."),
    ],
)
def test_what_can_be_no_plan_is_refused_with_a_line(context, address, wishes, said):
    page = context.new_page()
    page.clock.install(time=MORNING)
    planned(page, address, **wishes)
    assert page.locator("#plan [role=alert]").text_content() == said
    assert page.evaluate("localStorage.getItem('walkforward.plan')") is None


@needs_chromium
def test_a_plan_that_can_not_be_read_is_told_and_can_be_dropped(context, address):
    page = context.new_page()
    page.goto(f"{address}plan.html")
    page.evaluate("localStorage.setItem('walkforward.plan', '{\"version\": 1')")
    page.goto(f"{address}practice.html")
    page.get_by_role("link", name="Plan the days until the interview").click()
    page.get_by_text("can't be read: drop it").wait_for()
    page.get_by_role("button", name="Drop the plan").click()
    assert page.get_by_role("button", name="Make the plan").is_visible()


@needs_chromium
def test_practice_asks_what_the_plan_has_for_today(chromium, address, terminal):
    """The same questions as `walkforward practice --today`, in their order; then the plan ticks them."""
    terminal("--date", "2026-12-14", "--hours", "1")
    asked = today(State(), MORNING).questions
    view = chromium.new_context(timezone_id="UTC")
    page = view.new_page()
    page.clock.install(time=MORNING)
    planned(page, address, hours="1")
    page.locator(".wf-today a", has_text="question").click()
    bank = {one.id: one for one in load_bank()}
    for one in asked:
        page.get_by_text(f"{bank[one].minutes}:00", exact=False).first.wait_for()
        answer(page)
        page.get_by_role("button", name="Next", exact=True).click()
    assert told(page) == "The questions that the plan has for today are done."
    kept = page.evaluate(
        "Object.keys(localStorage).filter((one) => one.startsWith('walkforward.review.')).sort()"
    )
    assert [name.rpartition(".")[2] for name in kept] == asked
    page.get_by_role("link", name="the rest of the day").click()
    page.locator(".wf-over", has_text="question").wait_for()
    view.close()


def summed_up(page):
    """Tick every point, choose the middle level of each criterion, and return the sheet."""
    had = page.get_by_role("button", name="I had it")
    while had.count():
        had.click()
    for group in page.locator("fieldset").all():
        group.locator("input").nth(2).check()
    page.get_by_role("button", name="Sum it up").click()
    page.get_by_text("Score:").wait_for()
    return page.locator("#practice").inner_text()


@needs_chromium
@needs_npm
def test_a_coding_round_is_held_with_its_clock_and_the_real_check(chromium, address):
    view = chromium.new_context()
    page = view.new_page()
    page.set_default_timeout(180_000)
    page.add_init_script("Math.random = () => 0")  # the first of each
    page.clock.install(time=MORNING)
    page.goto(f"{address}practice.html?round=coding")
    page.locator(".CodeMirror").wait_for()
    assert page.locator(".wf-title").text_content() == "1 of 4 · kata middle_element"
    page.clock.fast_forward(10 * 60_000)
    solution = solution_source(site_build.katas.KATAS, "middle_element")
    for text, said in ((solution.replace("return", "return 1 +"), "Not yet."), (solution, "Passed.")):
        page.evaluate("text => document.querySelector('.CodeMirror').CodeMirror.setValue(text)", text)
        page.get_by_role("button", name="Check").click()
        page.get_by_text(said, exact=True).wait_for()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="I have answered").click()
    page.locator(".CodeMirror").wait_for()
    assert page.locator(".wf-title").text_content().startswith("3 of 4 · kata ")
    page.clock.fast_forward(30 * 60_000)
    page.get_by_role("button", name="Leave it, not solved").click()
    page.get_by_role("button", name="I have answered").click()
    sheet = summed_up(page)
    assert "Score: 3 of 4 passed" in sheet
    assert re.search(r"✓ kata middle_element: passed, 10:\d\d of 20:30", sheet)
    assert re.search(r"✗ kata \w+: not passed, 30:\d\d of 20:30", sheet)
    assert "Level: mid; 2 of 6 points" in sheet  # a kata counts as two
    (kept,) = page.evaluate(
        "Object.keys(localStorage).filter((one) => one.includes('.attempt.'))"
        ".map((one) => JSON.parse(localStorage.getItem(one)))"
    )
    assert (kept["what"], kept["name"], kept["passed"]) == ("round", "coding", True)
    page.goto(f"{address}katas.html#middle_element")
    page.get_by_text("✓ middle element").first.wait_for(state="attached")
    view.close()


def diagnosed(page, diagnosis, remedy):
    for text in (diagnosis, remedy):
        page.locator("#practice textarea").fill(text)
        page.get_by_role("button", name="That is it").click()


@needs_chromium
def test_a_debugging_round_is_held_and_its_ticket_judged_by_the_same_rule(context, address):
    page = context.new_page()
    page.add_init_script("Math.random = () => 0")
    page.clock.install(time=MORNING)
    case = next(one for name, _, one in clinic.chosen() if name == "broken_release")
    shadow = "a file of ours hides a module of the standard library"
    assert [fault.name for fault in case.faults] == [shadow]
    page.goto(f"{address}practice.html?round=debugging")
    field = page.get_by_label("Ask for evidence")
    for number, need in enumerate(case.needs, 1):
        field.fill(need[0])
        field.press("Enter")
        page.locator(".wf-evidence pre").nth(number - 1).wait_for()
    field.fill("a horoscope")
    field.press("Enter")
    assert "Nobody knows what" in page.locator("#practice form + [role=status]").text_content()
    page.clock.fast_forward(5 * 60_000)
    page.get_by_role("button", name="Diagnose").click()
    page.locator("#practice textarea").fill("I can't say")
    page.get_by_role("button", name="That is it").click()
    page.get_by_text("No fault could be read in this.").wait_for()
    diagnosed(page, "Our calendar.py shadows the standard library's module.", case.remedy)
    page.get_by_role("heading", name="The ticket: passed").wait_for()
    page.get_by_role("button", name="Go on").click()
    for _ in range(2):
        page.get_by_role("button", name="I have answered").click()
    sheet = summed_up(page)
    assert re.search(r"✓ ticket broken_release: passed, 5:\d\d of 39:00", sheet)
    assert "Score: 3 of 3 passed" in sheet
    page.goto(f"{address}practice.html?round=debugging")  # the next ticket is one that was not met
    assert "broken_release" not in page.locator(".wf-title").text_content()
    page.get_by_role("button", name="Diagnose").click()
    diagnosed(page, "", "restart it")
    while (no := page.get_by_role("button", name="No", exact=True)).count():
        no.click()
    page.get_by_role("heading", name="The ticket: not passed").wait_for()


@needs_chromium
def test_a_round_ends_when_its_time_is_over(context, address):
    page = context.new_page()
    page.clock.install(time=MORNING)
    page.goto(f"{address}practice.html?round=design&minutes=30")
    page.get_by_role("button", name="I have answered").wait_for()
    page.clock.fast_forward(31 * 60_000)
    page.get_by_role("button", name="I have answered").click()
    page.get_by_text("Did your answer have it?").wait_for()
    assert "31:0" in summed_up(page)


@needs_chromium
def test_a_round_that_was_left_waits_to_be_graded(context, address):
    """Its answers and its ticks are kept, and none is logged twice."""
    page = context.new_page()
    page.clock.install(time=MORNING)
    page.goto(f"{address}practice.html?round=design")
    page.locator("#practice textarea").fill("A case in my words")
    page.clock.fast_forward(7 * 60_000)
    for _ in range(2):
        page.get_by_role("button", name="I have answered").click()
    page.goto(f"{address}practice.html")
    page.get_by_text("A round waits to be graded (design, answers: 2)").wait_for()
    page.get_by_role("button", name="Grade it").click()
    assert "A case in my words" in page.locator(".wf-said").first.text_content()
    asked = page.locator(".wf-prompt").inner_text()
    while page.locator(".wf-prompt").inner_text() == asked:
        page.get_by_role("button", name="I had it").click()
    page.goto(f"{address}practice.html")  # left again, between the first answer and the second
    page.get_by_role("button", name="Grade it").click()
    assert page.locator(".wf-prompt").inner_text() != asked
    sheet = summed_up(page)
    assert "Score: 2 of 2 passed" in sheet and "7:0" in sheet
    names = page.evaluate("Object.keys(localStorage)")
    assert sum(".review." in name for name in names) == sum(".attempt." in name for name in names) == 1
    page.goto(f"{address}practice.html")
    assert "new, of" in told(page)
    assert page.get_by_text("waits to be graded").count() == 0


@needs_chromium
@needs_npm
def test_the_plan_and_the_rounds_are_for_everybody(chromium, address, axe):
    """Made with an advertisement and opened; a kata on the clock; evidence, verdict: in all looks."""
    faults = []
    for width, colours in LOOKS:
        where = f"at {width} px, {colours}"
        view = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
        page = view.new_page()
        page.set_default_timeout(60_000)
        page.clock.install(time=MORNING)
        planned(page, address, text=AD)
        for one in page.locator("#plan details").all():
            one.locator("summary").click()
        faults += seen_in(page, f"the plan {where}", width, axe)
        page.goto(f"{address}practice.html?round=coding")
        page.locator(".CodeMirror").wait_for()
        faults += seen_in(page, f"a kata {where}", width, axe)
        page.goto(f"{address}practice.html?round=debugging")
        page.locator("summary", has_text="What people ask for").click()
        for name in ("logs", "metric by slice", "code", "deploy diff"):
            page.get_by_role("button", name=name, exact=True).click()
        faults += seen_in(page, f"evidence {where}", width, axe)
        page.get_by_role("button", name="Diagnose").click()
        diagnosed(page, "", "")
        faults += seen_in(page, f"a verdict {where}", width, axe)
        view.close()
    assert faults == []


def kept(page, address):
    """Open a page, and wait until the service worker has what is needed without a network."""
    page.goto(address)
    page.wait_for_function("navigator.serviceWorker.controller !== null")


@needs_chromium
def test_the_plan_and_a_ticket_are_there_without_a_network(context, address):
    page = context.new_page()
    kept(page, f"{address}practice.html")
    context.set_offline(True)
    planned(page, address, day=str(date.today() + timedelta(days=9)))
    page.get_by_role("heading", name="Today").wait_for()
    page.goto(f"{address}practice.html?round=debugging")
    page.get_by_label("Ask for evidence").fill("logs")
    page.get_by_label("Ask for evidence").press("Enter")
    page.locator(".wf-evidence pre").wait_for()
    context.set_offline(False)


@needs_chromium
def test_practice_goes_on_without_a_network(context, address):
    page = context.new_page()
    kept(page, f"{address}practice.html")
    context.set_offline(True)
    page.goto(f"{address}practice.html?question=drift-psi-threshold")
    answer(page)
    assert "It comes back" in told(page)
    page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("button", name="I have answered").wait_for()
    context.set_offline(False)


TYPED = """text => {
  const field = document.querySelector(".CodeMirror").CodeMirror;
  field.setValue("");
  field.replaceSelection(text);
}"""


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
    hidden = "(one => one.scrollWidth - one.clientWidth)(document.querySelector('.CodeMirror-scroll'))"
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate(hidden) <= 1, "what is asked is read without pushing the text to and fro"

    def check(text):
        page.evaluate("text => document.querySelector('.CodeMirror').CodeMirror.setValue(text)", text)
        page.get_by_role("button", name="Check").click()
        page.locator("#katas button.wf-main:not([disabled])").wait_for()
        return page.locator("#katas [role=status]").text_content(), page.locator(".wf-result").text_content()

    assert check("def middle_element(items):\n    return items[0]\n")[0] == "Not yet."
    assert "NameError" in check("def middle_element(items):\n    return item\n")[1]
    assert check("def middle(items):\n    return 1\n")[1].startswith("There is no function middle_element")
    page.evaluate(TYPED, solution)
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


def queries():
    """Each answer to the SQL katas: its kata, its query, and what the course's own check says of that."""
    found = []
    for name, check, _ in sql.found():
        solution = check.__globals__[name]
        exercise = solution.exercise
        must = dict.fromkeys([solution, *exercise.also_right], True)
        must |= {answer: caught is not check for answer, caught in exercise.wrong}
        for answer, passes in must.items():
            query, said = answer()[0], ""
            try:
                check(lambda query=query: (query, None))
            except AssertionError as error:
                said = str(error)
            assert passes == (said == ""), (name, answer.__name__)
            found.append((name, query, said))
    return found


JUDGED = """async (asked) => {
  const { checked } = await import(new URL("_static/checker.js", location.href).href), said = [];
  for (const [name, source] of asked) said.push((await checked(name, source, undefined, "I5")).text);
  return said;
}"""


def same(here, there):
    """Two messages that say the same: rows come in any order, and each DuckDB marks an error in its way."""
    if here.startswith("the query does not run"):
        return here.splitlines()[0] == there.splitlines()[0]
    return sorted(here.splitlines()) == sorted(there.splitlines())


@needs_chromium
@needs_npm
def test_each_query_is_judged_as_by_the_course(chromium, address):
    """Another version of DuckDB, on the tables as scripts: the same verdicts, in the same words."""
    known = queries()
    assert (len(known), sum(said == "" for *_, said in known)) == (187, 113)
    kata = known[0][0]
    pivot = "PIVOT (SELECT zone, {} AS way FROM trips) ON way USING COUNT(*)"
    way = "CASE payment_type WHEN 1 THEN 'card' WHEN 2 THEN 'cash' ELSE 'other' END"
    more = [
        (kata, "", "write one SELECT, not 0 statements"),
        (kata, "/* é; */ SELECT 'é;'; -- ;\nSELECT 2", "write one SELECT, not 2 statements"),
        (kata, "SELECT ';' AS x -- ;", "with_passengers, mean_fare; yours are x"),
        (kata, "CREATE TABLE z AS SELECT 1", "yours are Count"),
        (kata, "SELECT * FROM z", "Table with name z does not exist"),  # each check has a database of its own
        (kata, "SELECT * FROM read_csv('x.csv')", "file system operations are disabled"),
        (kata, "SELECT json_array(1)", "In the browser DuckDB is without its extensions (json, icu)"),
        ("payments_pivot", pivot.format(way), "card, cash, other; yours are zone, card, cash"),
        ("payments_pivot", f"SELECT zone, card, cash, other FROM ({pivot.format(way)})".replace(
            "ON way", "ON way IN ('card', 'cash', 'other')"), ""),
    ]  # fmt: skip
    view = chromium.new_context()
    page = view.new_page()
    page.set_default_timeout(180_000)
    elsewhere = []
    page.on("request", lambda one: elsewhere.append(one.url) if _elsewhere(one.url, address) else None)
    page.goto(f"{address}katas.html")
    said = page.evaluate(JUDGED, [(name, query) for name, query, _ in known + more])
    view.close()
    other = [
        (name, query, there, here)
        for (name, query, there), here in zip(known, said, strict=False)
        if not same(there, here)
    ]
    assert other == []
    for (_, query, there), here in zip(more, said[len(known) :], strict=True):
        assert there in here, query
        assert there or not here, query
    assert elsewhere == []


@needs_chromium
def test_numbers_are_rounded_and_written_as_in_python(context, address):
    page = context.new_page()
    page.goto(f"{address}katas.html")
    chance = random.Random(20)
    numbers = [chance.uniform(-1, 1) * 10 ** chance.randint(-9, 22) for _ in range(20_000)]
    numbers += [0.0, -0.0, 5e-7, 1e21, 999999.7, 0.0001, 0.00009999995, 1e-300, 1e300]
    numbers += [chance.randint(-(10**n), 10**n) / 128 for n in range(2, 14) for _ in range(500)]  # ties
    rounded, written = page.evaluate(
        """async (numbers) => {
          const { rounded, general } = await import(new URL("_static/verdict.js", location.href).href);
          return [numbers.map(rounded), numbers.map((one) => general(rounded(one)))];
        }""",
        numbers,
    )
    assert list(map(float, rounded)) == [round(one, 6) + 0.0 for one in numbers]
    whole = len(numbers) - 6_000  # of two equally near numbers of six digits the other one may be shown
    assert written[:whole] == [f"{round(one, 6) + 0.0:g}" for one in numbers[:whole]]


def test_the_scripts_make_the_tables_of_the_course():
    held = [one.items() for _, _, task in sql.found() for one in task.databases.values()]
    tables = {id(table): (name, table) for items in held for name, table in items}
    with connect(threads=1) as database:
        for name, table in tables.values():
            table.create(database, "ours")
            for statement in sql.script(name, table):
                database.execute(statement)
            for query in ("FROM {}", "DESCRIBE {}"):
                ours, theirs = (database.execute(query.format(one)).fetchall() for one in ("ours", name))
                assert ours == theirs
    assert len(tables) > 40


def test_a_check_that_does_more_than_judge_a_query_is_refused():
    task = sql.found()[0][2]

    def answer():
        return "", None

    exercise = Exercise("answer", sql.KATAS, False)
    exercise.checks = [lambda given: (print("and more"), task.sql(given))]
    with pytest.raises(sql.SqlKataError, match="the browser can't judge it"):
        sql.judge(exercise)


@needs_chromium
@needs_npm
def test_a_sql_kata_fails_passes_and_an_endless_query_is_ended(context, address):
    page = context.new_page()
    page.set_default_timeout(180_000)
    page.clock.install()
    kept(page, f"{address}index.html")
    page.goto(f"{address}katas.html#unused_types")
    said = page.locator("#katas [role=status]")

    def check(text=""):
        page.locator(".CodeMirror").wait_for()
        if text:
            page.evaluate(TYPED, text)
        page.get_by_role("button", name="Check").click()

    def answered():
        page.locator("#katas button.wf-main:not([disabled])").wait_for()
        return said.text_content()

    page.get_by_text("walkforward kata unused_types").wait_for()  # where its other half is
    check("SELECT name FROM payment_types WHERE payment_type NOT IN (SELECT payment_type FROM trips)")
    assert answered().startswith("Not yet.")
    assert "«NULLs»: 2 rows are wanted, you have 0" in page.locator(".wf-result").text_content()
    check("SELECT SUM(a.range * b.range) AS name FROM range(1000000000) a, range(1000000000) b")
    said.filter(has_text="The checks are running.").wait_for()
    page.clock.fast_forward(31_000)
    assert "was ended" in answered()
    right = next(one["solution"] for one in sql.entries() if one["name"] == "unused_types")
    check(right)  # DuckDB starts again
    assert answered().startswith("Passed.")
    assert page.locator("option", has_text="unused types").text_content() == "✓ unused types"
    context.set_offline(True)
    page.reload()
    page.locator(".CodeMirror").wait_for()
    assert page.evaluate("document.querySelector('.CodeMirror').CodeMirror.getValue()") == right  # the draft
    check()
    assert answered().startswith("Passed.")
    context.set_offline(False)


EVERY_COLOUR = """-- a comment
SELECT "name" AS n, 3.5 > 2 AND TRUE AS x FROM payment_types
WHERE payment_type IN (SELECT payment_type FROM trips) AND name <> 'cash' -- another"""


@needs_chromium
@needs_npm
def test_a_verdict_and_the_editor_are_for_everybody(chromium, address, axe):
    faults = []
    for width, colours in LOOKS:
        view = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
        page = view.new_page()
        page.set_default_timeout(180_000)
        page.goto(f"{address}katas.html?kata=unused_types")
        page.locator(".CodeMirror").click()
        page.evaluate(TYPED, EVERY_COLOUR)
        page.keyboard.press("Control+Enter")
        page.locator(".wf-verdict").wait_for()
        page.evaluate(
            "document.querySelectorAll('.wf-verdict details').forEach((one) => { one.open = true; })"
        )
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            faults.append(f"{width} px, {colours}: {wide} px wide")
        page.evaluate(axe)
        found = page.evaluate("async () => (await axe.run(document)).violations")
        faults += [f"{width} px, {colours}: {one['id']}, {one['nodes'][0]['html'][:160]}" for one in found]
        view.close()
    assert faults == []


@needs_chromium
def test_a_site_without_duckdb_says_where_the_kata_runs(chromium, address):
    view = chromium.new_context(service_workers="block")  # what it fetches is not routed
    page = view.new_page()
    page.set_default_timeout(60_000)
    page.route("**/vendor/**", lambda route: route.abort())
    page.goto(f"{address}katas.html#unused_types")
    page.locator("#katas textarea").fill("SELECT 1")
    assert page.locator("#katas textarea").get_attribute("aria-label") == "Your answer, in SQL"
    page.get_by_role("button", name="Check").click()
    page.locator("#katas [role=status]", has_text="DuckDB can't be started here").wait_for()
    assert (
        "In a terminal: walkforward kata unused_types" in page.locator("#katas [role=status]").text_content()
    )
    view.close()


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
    first = json.loads((site / "_static" / "front.json").read_text(encoding="utf-8"))
    assert first == next(one for one in whole["questions"] if one["id"] == "drift-psi-threshold")

"""benchmarks/drift.py: what the README shows is what the record says, and its new parts run."""

import json
import sys

import pytest

from course.paths import ROOT

FOLDER = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(FOLDER))
    try:
        import drift as script
        import shared
    finally:
        sys.path.remove(str(FOLDER))
    yield script, shared
    for name in ("drift", "shared"):
        sys.modules.pop(name, None)


def test_the_page_shows_the_record(benchmark):
    script, shared = benchmark
    record = json.loads(script.RESULTS.read_text(encoding="utf-8"))
    page = shared.README.read_text(encoding="utf-8")
    assert f"<!-- drift -->\n{script.tables(record)}\n<!-- /drift -->" in page


def test_a_few_runs_of_what_is_ours_alone(benchmark, monkeypatch):
    script, _ = benchmark
    monkeypatch.setattr(script, "SIZES", ((100, 100), (300, 100)))
    quick = [name for name in script.PAIRS if "50,000" not in name and "5,000 rows" not in name]
    monkeypatch.setattr(script, "PAIRS", {name: script.PAIRS[name] for name in quick})
    found = {
        "independent": script.independent("walkforward", 1),
        "in time": script.in_time("walkforward", 1),
        "shares": script.one_column("walkforward", 1),
    }
    assert list(found["independent"]) == list(script.WORLDS)
    assert found["in time"]["0.7, 365 / 90"]["warned"] == 1
    assert len(script.tables(found).split("\n\n")) == 6


def test_no_name_breaks_a_table(benchmark):
    _, shared = benchmark
    assert shared.table(["a|b", "n"], [["line\nbreak", "1"]]) == (
        "| a\\|b | n |\n| --- | ---: |\n| line break | 1 |"
    )

"""benchmarks/site.py: what the README shows is what the record says, and the record keeps the limits."""

import json

import pytest
from benchmark_scripts import FOLDER, script

RECORD = FOLDER / "results" / "site.json"


site = script("site")
ROWS = {
    name: {"address": f"{name}.html", "html": 1.5e6, "bytes": 3e6, "painted": 0.25, "ready": 0.5}
    for name in ("largest", "practice", "bare")
}
MADE_UP = {
    "build": {
        "cold": {"wall": 50.04, "cpu": 30.0, "npm": 7.0},
        "warm": {"wall": 10.0, "cpu": 8.0, "npm": 0.0},
        "mb": 71.2,
        "files": 500,
    },
    "page": {"rows": ROWS, "times_bare": {"largest": 12.34, "practice": 10.0}},
}


def record():
    if not RECORD.exists():
        pytest.skip("not recorded yet: benchmarks/site.py --write")
    return json.loads(RECORD.read_text(encoding="utf-8"))


def kept(found):
    """Return the limits that a record does not keep."""
    rows = found["page"]["rows"]
    limits = {
        "cold": (found["build"]["cold"]["wall"], site.COLD),
        "warm": (found["build"]["warm"]["wall"], site.WARM),
        "largest": (rows["largest"]["html"], site.LARGEST),
    }
    limits |= {f"{name}, ready": (rows[name]["ready"], site.READY) for name in ("largest", "practice")}
    return [name for name, (measured, limit) in limits.items() if measured >= limit]


def test_the_readme_shows_the_record():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert site.shared.marked("site", site.tables(record()), text) == text


def test_the_record_keeps_the_limits():
    assert kept(record()) == []


def test_a_broken_limit_is_seen():
    assert kept(MADE_UP) == []
    slow = MADE_UP | {"build": MADE_UP["build"] | {"warm": {"wall": 20.5}}}
    assert kept(slow) == ["warm"]
    assert kept(slow | {"page": {"rows": ROWS | {"practice": {"ready": 1.6}}}}) == ["warm", "practice, ready"]


def test_the_table_says_what_was_measured():
    told = site.tables(MADE_UP)
    assert "| build, cold | 50.0 s, 30.0 CPU s, npm's packages 7.0 s of it | under 90 s |" in told
    assert "| build, warm | 10.0 s, 8.0 CPU s | under 20 s |" in told
    assert "| largest, ready × bare | 12.3 |  |" in told
    assert "| largest page | 1.50 MB | under 2 MB |" in told

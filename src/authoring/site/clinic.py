"""The clinic's tickets for the browser: some seeds of each, with all evidence that can be asked for."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from authoring.site.expressions import javascript
from course.files import write_whole
from course.paths import ROOT
from course.practice import diagnosis, tickets
from course.practice.tickets import Case, Fault

SEEDS, EACH = range(16), 1  # seeds that are looked at; of those with the same faults, so many are packed
RULES = {
    "sentence": diagnosis._SENTENCE.pattern,
    "clause": diagnosis._CLAUSE.pattern,
    "and": diagnosis._AND.pattern,
    "before": diagnosis._BEFORE.pattern,
    "after": diagnosis._AFTER.pattern,
    "pronoun": diagnosis._PRONOUN.pattern,
    "head": diagnosis._HEAD.pattern,
    "verb": rf"\b{diagnosis._VERB}\b",
}


def chosen() -> list[tuple[str, int, Case]]:
    """Return the cases that are packed: of each ticket and each set of faults the first seeds."""
    found: dict[tuple[str, ...], list[tuple[str, int, Case]]] = {}
    for name in tickets.names():
        for seed in SEEDS:
            case = tickets.case(name, seed)
            key = (name, *(fault.name for fault in case.faults))
            found.setdefault(key, []).append((name, seed, case))
    return [one for same in found.values() for one in same[:EACH]]


def shown(name: str, seed: int, case: Case) -> dict[str, str]:
    """Return all evidence that can be asked for."""
    return {what: tickets.evidence(case, what, name, seed) for what in tickets.catalogue()}


def entry(name: str, seed: int, case: Case, evidence: dict[str, str]) -> dict[str, Any]:
    """Return a case as clinic.js has it."""
    return {
        "ticket": name,
        "seed": seed,
        "report": case.report,
        "evidence": evidence,
        "faults": [_fault(one) for one in case.faults],
        "suspects": [_fault(one) for one in case.suspects],
        "needs": case.needs,
        "order": case.order,
        "story": case.story,
        "remedy": case.remedy,
        "mends": [[_parts(pattern) for pattern in group] for group in case.mends],
        "harm": [[_parts(pattern), why] for pattern, why in case.harm],
    }


def _fault(one: Fault) -> dict[str, Any]:
    return {"name": one.name, "says": [_parts(pattern) for pattern in one.says]}


def _parts(pattern: str) -> list[str]:
    return [javascript(rf"(?<!\w)(?:{part})") for part in pattern.split(" & ")]


def write(target: Path) -> None:
    """Write tickets.json; one that was made of the same sources stays, since its evidence takes seconds."""
    target.mkdir(parents=True, exist_ok=True)
    file, digest = target / "tickets.json", _digest()
    if file.exists() and json.loads(file.read_bytes()).get("made") == digest:
        return
    with ThreadPoolExecutor(2) as threads:  # the evidence runs in processes of its own
        cases = list(threads.map(lambda one: entry(*one, shown(*one)), chosen()))
    text = json.dumps(whole(cases, digest), ensure_ascii=False, separators=(",", ":"))
    write_whole(file, text.encode())


def whole(cases: list[dict[str, Any]], made: str) -> dict[str, Any]:
    """Return what the clinic reads: the cases, and the rules of judging them; `made`: of which sources."""
    return {
        "made": made,
        "catalogue": {name: javascript(rf"\b(?:{words})\b") for name, words in tickets.catalogue().items()},
        "rules": {name: javascript(pattern) for name, pattern in RULES.items()},
        "budget": tickets.BUDGET,
        "starts": tickets.STARTS,
        "cases": cases,
    }


def _digest() -> str:
    seen = hashlib.sha256(f"{sys.version_info[:2]} {EACH} {SEEDS}".encode())
    for file in _sources():
        seen.update(file.read_bytes())
    return seen.hexdigest()[:16]


def _sources() -> Iterable[Path]:
    practice = ROOT / "src" / "course" / "practice"
    yield from sorted(tickets.FOLDER.glob("*.py"))
    yield from (practice / name for name in ("diagnosis.py", "evidence.py", "tickets.py"))
    yield Path(__file__)
    yield Path(__file__).with_name("expressions.py")

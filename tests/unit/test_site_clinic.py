"""The clinic in the browser: what a request means, and what a diagnosis is worth, as in the terminal."""

import json
import random
from pathlib import Path

import pytest
import yaml
from in_node import needs_node, node

from authoring.site import clinic
from course.practice import tickets
from course.practice.diagnosis import read

WORDS = yaml.safe_load(Path(__file__).with_name("ticket_words.yaml").read_text("utf-8"))
FORMS = (
    "{}",
    "It is not the {}.",
    "The {} is a red herring. Nothing else.",
    "Ruled out: {}",
    "{}, but {}",
    "{} and so on",
)


@pytest.fixture(scope="module")
def packed():
    """The cases that are packed, and what the browser reads of them; their evidence is left out."""
    chosen = clinic.chosen()
    cases = [json.loads(json.dumps(clinic.entry(*one, evidence={}))) for one in chosen]
    return chosen, clinic.whole(cases, "now")


def said():
    """Diagnoses and remedies as people write them: each form of each name, and several at once."""
    found = [text for texts in WORDS["faults"].values() for text in texts] + list(WORDS["herrings"].values())
    found += [text for kinds in WORDS["sentences"].values() for texts in kinds.values() for text in texts]
    found += [text for texts in WORDS["denied"].values() for text in texts]
    rng = random.Random(4)
    found += [rng.choice(FORMS).format(*rng.sample(found, 2)) for _ in range(400)]
    return list(dict.fromkeys(found))


@needs_node
def test_a_diagnosis_blames_and_clears_what_it_does_in_the_terminal(packed):
    chosen, whole = packed
    written = said()
    known = {
        pattern for _, _, one in chosen for fault in (*one.faults, *one.suspects) for pattern in fault.says
    }
    known |= {pattern for _, _, one in chosen for group in one.mends for pattern in group}
    known |= {pattern for _, _, one in chosen for pattern, _ in one.harm}
    patterns = random.Random(8).sample(sorted(known), 120)
    given = {"rules": whole["rules"], "patterns": [clinic._parts(one) for one in patterns], "texts": written}
    script = """
    const reader = new diagnosis.Reader(given.rules);
    return given.texts.map((text) => given.patterns.map((one) => {
      const {blamed, cleared} = reader.read(text, [one]);
      return blamed ? 2 : cleared ? 1 : 0; }));"""
    found, blamed, cleared = node(script, given, ("diagnosis",)), 0, 0
    for text, row in zip(written, found, strict=True):
        for pattern, mine in zip(patterns, row, strict=True):
            theirs = read(text, [pattern])
            assert mine == (2 if theirs.blamed else int(theirs.cleared)), (text, pattern)
            blamed, cleared = blamed + theirs.blamed, cleared + theirs.cleared
    assert blamed > 500 and cleared > 100


@needs_node
def test_a_sitting_is_worth_what_it_is_in_the_terminal(packed):
    chosen, whole = packed
    rng, rows, wanted = random.Random(5), [], []
    for place, (_, _, one) in enumerate(chosen):
        right = " ".join(f"{WORDS['faults'][fault.name][0].rstrip('.')}." for fault in one.faults)
        for diagnosis in (
            right,
            right + " " + rng.choice(list(WORDS["herrings"].values())),
            "",
            rng.choice(said()),
        ):
            asked = [need[0] for need in one.needs][: rng.choice([9, 9, 1])]
            remedy = rng.choice([one.remedy, one.remedy, "give it more memory", " ", "restart it"])
            same = rng.choice([[], [one.faults[0].name]])
            mended = rng.choice([None, None, True, False])
            judged = tickets.judge(one, asked, diagnosis, remedy, same, mended)
            rows.append([place, asked, diagnosis, remedy, same, mended])
            wanted.append(vars(judged) | {"passed": judged.passed})
    script = """
    const clinic = new tickets.Clinic(given.whole);
    return given.rows.map(([place, ...rest]) => clinic.judge(clinic.cases[place], ...rest));"""
    found = node(script, {"whole": whole, "rows": rows}, ("tickets",))
    assert found == json.loads(json.dumps(wanted))
    assert {one["passed"] for one in found} == {True, False}


@needs_node
def test_a_request_means_what_it_does_in_the_terminal(packed):
    rng = random.Random(6)
    requests = [
        *tickets.catalogue(),
        *map(str, range(32)),
        "",
        " Logs ",
        "the explain plan of the query",
        "kubectl describe pods",
    ]
    words = sorted(
        {word for line in said() for word in line.split()}
        | {word for name in tickets.catalogue() for word in name.split()}
    )
    requests += [" ".join(rng.sample(words, rng.randrange(1, 4))) for _ in range(1500)]
    script = """
    const clinic = new tickets.Clinic(given.whole);
    return given.requests.map((one) => clinic.meant(one));"""
    found = node(script, {"whole": packed[1], "requests": requests}, ("tickets",))
    assert found == [tickets.meant(one) for one in requests]
    assert {len(one) for one in found} >= {0, 1, 2}


def test_each_ticket_is_packed_with_three_faults_at_least():
    faults = {}
    for name, _, one in clinic.chosen():
        faults.setdefault(name, set()).add(tuple(fault.name for fault in one.faults))
    assert faults.keys() == set(tickets.names())
    assert min(map(len, faults.values())) >= 3


def test_a_ticket_has_all_evidence_and_is_made_again_only_when_its_sources_change(tmp_path, monkeypatch):
    monkeypatch.setattr(clinic, "chosen", lambda: [("volume_alarm", 3, tickets.case("volume_alarm", 3))])
    clinic.write(tmp_path)
    (one,) = json.loads((tmp_path / "tickets.json").read_bytes())["cases"]
    shown = {
        what: tickets.evidence(tickets.case("volume_alarm", 3), what, "volume_alarm", 3)
        for what in tickets.catalogue()
    }
    assert one["evidence"] == shown
    monkeypatch.setattr(clinic, "entry", None)  # it would raise
    clinic.write(tmp_path)
    monkeypatch.setattr(clinic, "EACH", 7)
    with pytest.raises(TypeError):
        clinic.write(tmp_path)

"""Blind tickets: what passes and what does not, on many seeds; evidence that shows its fault and no other."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from spawned import environment

from course.practice import evidence as produced
from course.practice import terminal, tickets
from course.practice.diagnosis import NOT, read
from course.practice.reviews import State
from course.practice.tickets import TicketError, case, catalogue, judge, meant, names

WORDS = yaml.safe_load(Path(__file__).with_name("ticket_words.yaml").read_text("utf-8"))
SAID, BLAME, DENIED = WORDS["faults"], WORDS["herrings"], WORDS["denied"]
SEEDS = range(20)
pexpect = pytest.importorskip("pexpect") if os.name == "posix" else None
TERMINAL = pytest.mark.skipif(os.name != "posix", reason="pexpect's terminal is POSIX")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A state folder of the test's own."""
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@cache
def shown(name, seed, what):
    """A piece of evidence, produced once for all tests."""
    return tickets.evidence(case(name, seed), what, name, seed)


def wanted(one):
    """The least evidence that is asked for: the first of each need."""
    return [need[0] for need in one.needs]


@cache
def cases():
    return [(name, seed, case(name, seed)) for name in names() for seed in SEEDS]


# What is judged -----------------------------------------------------------------------------------------


def test_there_are_at_least_seven_tickets_and_three_faults_behind_each_name():
    assert len(names()) >= 7
    for name in names():
        found = {tuple(fault.name for fault in case(name, seed).faults) for seed in SEEDS}
        assert len(found) >= 3, f"{name}: {found}"
    several = {name for name, _, one in cases() if len(one.faults) == 2}
    nothing = {name for name, _, one in cases() if "nothing" in one.faults[0].name}
    assert several and nothing
    assert not {
        name for name in nothing if all("nothing" in case(name, seed).faults[0].name for seed in SEEDS)
    }


@pytest.mark.parametrize("phrasing", range(3))
def test_the_right_diagnosis_passes_in_each_phrasing(phrasing):
    failed = []
    for name, seed, one in cases():
        said = " ".join(f"{SAID[fault.name][phrasing].rstrip('.')}." for fault in one.faults)
        judged = judge(one, wanted(one), said, one.remedy)
        if not judged.passed:
            failed.append((name, seed, said, judged))
    assert not failed, "\n".join(map(str, failed[:12])) + f"\n{len(failed)} in all"


@pytest.mark.parametrize("name", names())
def test_other_ways_to_say_it_are_read_and_blame_nothing_else(name):
    missed = []
    for kind, sentences in WORDS["sentences"][name].items():
        known = known_faults(name)
        one = next(
            one
            for _, _, one in cases()
            if one.faults[0].name == known[kind].name or known[kind] in one.faults
        )
        if name == "broken_release":  # the sentences have the packages of one seed
            others = [
                fault
                for other, fault in known.items()
                if {kind, other} != {"pickle", "drifted"} and other != kind
            ]
            others += [fault for fault in one.suspects if fault.trace is None]
        else:
            others = one.suspects
        for said in sentences:
            if not read(said, known[kind].says).blamed:
                missed.append((kind, said))
            missed += [(kind, said, fault.name) for fault in others if read(said, fault.says).blamed]
    assert not missed, "\n".join(map(str, missed))


def known_faults(name):
    module = tickets.content(name)
    if name == "broken_release":
        return module.faults("rowkit", "chartkit", "feedkit", r"(?:statistics|calendar|secrets)")
    return module.FAULTS


def test_what_a_senior_asks_is_enough_and_fits_into_the_time_of_the_story():
    for name, seed, one in cases():
        order = [what for what, _ in one.order]
        lacking = [need for need in one.needs if not set(need) & set(order)]
        assert not lacking and len(order) <= tickets.BUDGET, (name, seed, lacking)


def test_a_guess_without_evidence_does_not_pass():
    for name, seed, one in cases():
        said = " ".join(f"{SAID[fault.name][0]}." for fault in one.faults)
        judged = judge(one, ["users", "disk"], said, one.remedy)
        assert not judged.passed and judged.missing and not judged.unnamed, (name, seed)


def test_naming_every_fault_does_not_pass():
    for name, seed, one in cases():
        others = [fault for fault in one.suspects if fault.name in SAID]
        assert others
        said = ". ".join(SAID[fault.name][0] for fault in (*one.faults, *others))
        assert not judge(one, list(catalogue()), said, one.remedy).passed, (name, seed)
        hedged = ". ".join(f"It could be this: {SAID[fault.name][0]}" for fault in (*one.faults, *others))
        assert not judge(one, list(catalogue()), hedged, one.remedy).passed, (name, seed)


def test_another_fault_of_the_same_ticket_does_not_pass():
    for name, seed, one in cases():
        for fault in one.suspects:
            for said in SAID.get(fault.name, ()):
                judged = judge(one, list(catalogue()), said, one.remedy)
                assert not judged.passed, (name, seed, said, judged)


def test_blaming_the_herring_does_not_pass_even_beside_the_fault():
    for name, seed, one in cases():
        herrings = [fault for fault in one.suspects if fault.name not in SAID]
        assert herrings, name
        for herring in herrings:
            alone = judge(one, list(catalogue()), BLAME[herring.name], one.remedy)
            assert not alone.passed and alone.blamed == (herring.name,), (name, seed, herring.name, alone)
            both = (
                " ".join(f"{SAID[fault.name][0]}." for fault in one.faults) + f" Also {BLAME[herring.name]}."
            )
            assert herring.name in judge(one, list(catalogue()), both, one.remedy).blamed, (
                name,
                herring.name,
            )


def test_nothing_said_does_not_pass():
    for name, seed, one in cases():
        assert not judge(one, list(catalogue()), "", "").passed, (name, seed)
        said = " ".join(f"{SAID[fault.name][0]}." for fault in one.faults)
        assert not judge(one, list(catalogue()), said, " ").passed, (name, seed)


def test_one_of_two_faults_does_not_pass():
    for name, seed, one in cases():
        for few in combinations(one.faults, len(one.faults) - 1):
            said = " ".join(f"{SAID[fault.name][0]}." for fault in few)
            judged = judge(one, list(catalogue()), said, one.remedy)
            assert not judged.passed and len(judged.unnamed) == 1, (name, seed)


def test_a_fault_that_is_denied_is_not_named():
    for name, _, one in cases():
        for form in (
            "It is not the {}.",
            "It isn't a {}.",
            "I ruled out the {}.",
            "The {} is not the cause.",
            "The {} is a red herring.",
        ):
            for fault in one.faults:
                for name_of in DENIED.get(fault.name, ()):
                    judged = judge(one, list(catalogue()), form.format(name_of), one.remedy)
                    assert fault.name in judged.unnamed, (name, form.format(name_of))


def test_a_remedy_that_does_harm_does_not_pass_and_one_that_refuses_it_does():
    one = next(one for _, _, one in cases() if one.faults[0].name == "a cache without a limit")
    said = SAID["a cache without a limit"][0]
    worse = judge(one, list(catalogue()), said, "give it more memory")
    assert not worse.passed and "more rows" in worse.harm[0]
    assert judge(one, list(catalogue()), said, "bound the cache; do not raise the memory limit").passed
    retrain = next(
        one for _, _, one in cases() if one.faults[0].name.startswith("the last days have no labels")
    )
    said = SAID[retrain.faults[0].name][0]
    for kind in (
        "don't retrain",
        "retraining would only teach it the zeros",
        "no retraining",
        "retraining won't help",
    ):
        assert judge(retrain, list(catalogue()), said, f"wait for the labels; {kind}").passed, kind
    assert not judge(retrain, list(catalogue()), said, "wait for the labels and retrain").passed


# What is shown ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_the_evidence_has_the_trace_of_its_fault_and_of_no_other(name):
    known = {fault.name: fault for seed in SEEDS for fault in case(name, seed).faults}
    for seed in range(16 if name != "broken_release" else 9):
        one = case(name, seed)
        here = {fault.name for fault in one.faults}
        for fault in known.values():
            what, pattern = fault.trace
            assert bool(re.search(pattern, shown(name, seed, what), re.M)) == (fault.name in here), (
                seed, fault.name, shown(name, seed, what),
            )  # fmt: skip


@pytest.mark.parametrize("name", names())
def test_a_seed_is_the_same_ticket_again_and_another_seed_another(name):
    one, again, other = case(name, 3), case(name, 3), case(name, 4)
    assert one.report == again.report != other.report
    for what in catalogue():
        if what not in ("install log",):  # seconds to resolve
            assert tickets.evidence(one, what, name, 3) == tickets.evidence(again, what, name, 3), what


@pytest.mark.parametrize("name", names())
def test_all_that_can_be_asked_for_has_an_answer_and_the_report_names_no_fault(name):
    for seed in range(6):
        one = case(name, seed)
        assert set(one.evidence) <= set(catalogue())
        assert {what for need in one.needs for what in need} | {what for what, _ in one.order} <= set(
            catalogue()
        )
        assert all(shown(name, seed, what).strip() for what in catalogue() if what != "install log")
        for fault in one.faults:
            assert not read(one.report, fault.says).blamed, (seed, fault.name)
        told = "".join(shown(name, seed, what) for what in one.evidence if what != "install log")
        assert "/tmp" not in told and tempfile.gettempdir() not in told


def test_the_plan_is_the_databases_own():
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (a TEXT, b REAL)")
    assert produced.query_plan(db, "SELECT b FROM t WHERE a = ?", ("x",)) == "SCAN t"
    db.executemany("INSERT INTO t VALUES (?, 1)", [(str(n),) for n in range(5000)])
    scanned = produced.steps(db, "SELECT b FROM t WHERE a = ?", ("x",))
    db.execute("CREATE INDEX t_a ON t (a)")
    assert "SEARCH t USING INDEX t_a" in produced.query_plan(db, "SELECT b FROM t WHERE a = ?", ("x",))
    assert produced.steps(db, "SELECT b FROM t WHERE a = ?", ("x",)) < scanned / 20


# How it is asked ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "what"), WORDS["asked"].items())
def test_free_words_mean_evidence(words, what):
    assert meant(words) == [what]


def test_unclear_and_unknown_words_cost_nothing_and_are_said():
    assert len(meant("cpu or disk")) == 2
    assert meant("the weather on mars, perhaps") == ["calendar"]
    assert meant("xyzzy") == []


@pytest.mark.parametrize(
    ("text", "index", "memory"),
    [
        ("it is not the memory, an index is missing", True, False),
        ("missing index on shop, memory fine", True, False),
        ("The deploy, the memory and the network are fine. The index was dropped", True, False),
        ("Ruled out: memory, deploy. Cause: missing index", True, False),
        ("memory grew by 8 %, which does not explain it. no index.", True, False),
        ("Memory grew 8 %. That is not the cause. The index was dropped", True, False),
        ("I don't think it is a missing index. The memory is the cause", False, True),
        ("neither the memory nor the deploy; the table has lost its index", True, False),
        ("It's memory, not the index that is missing", False, True),
        ("the missing index isn't the problem, memory is", False, True),
        ("rather than memory, it\u2019s the missing index", True, False),
        ("Memory could be it, or a missing index", True, True),
        ("Memory isn't it. The INDEX was dropped", True, False),
        ("I suspected memory first, but the index was dropped", True, False),
        ("I first thought of memory; the index is missing", True, False),
        ("more memory would only hide it: the index is missing", True, False),
        ("memory won't help, there is no index", True, False),
        ("", False, False),
    ],
)
def test_what_is_denied_is_not_blamed(text, index, memory):
    patterns = (r"(?:no|missing|lost|dropped)(?: \w+){0,3} index", r"index\w* & (?:missing|gone|dropped)")
    assert (read(text, patterns).blamed, read(text, (r"memory",)).blamed) == (index, memory)


def test_a_fault_that_is_a_negation_itself_is_named():
    patterns = (rf"connections? & {NOT} (?:\w+ ){{0,3}}(?:returned|closed)",)
    assert read("The connections aren't closed on errors", patterns).blamed
    assert read("connections are never given back or closed", patterns).blamed
    assert not read("It is not true that connections are closed", patterns).blamed


# The sitting --------------------------------------------------------------------------------------------


def walkforward(*arguments, typed=""):
    return subprocess.run(
        [sys.executable, "-m", "course", *arguments],
        input=typed,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def seed_of(name, fault):
    return next(seed for seed in range(200) if [one.name for one in case(name, seed).faults] == [fault])


INDEX = ("orders_page", seed_of("orders_page", "an index is missing"))


def test_a_sitting_that_passes_is_recorded():
    name, seed = INDEX
    typed = "latency\nqueries\nxyzzy\nschema\nd\nthe migration lost the index\n\ncreate the index again\n\n"
    done = walkforward("ticket", name, "--seed", str(seed), typed=typed)
    assert done.returncode == 0, done.stderr
    assert " passed" in done.stdout and "not passed" not in done.stdout
    assert "Nobody knows what 'xyzzy' is" in done.stdout and "indexes: (none)" in done.stdout
    (attempt,) = State().attempts("ticket")
    assert (attempt.name, attempt.passed) == (name, True)
    assert attempt.detail["asked"] == ["latency", "queries", "schema"] and attempt.detail["seed"] == seed
    assert "lost the index" in attempt.detail["diagnosis"]


def test_a_diagnosis_that_cannot_be_read_is_asked_for_once_more():
    name, seed = INDEX
    typed = "queries\nschema\nd\nthe db is unhappy\n\nthe table has no index\n\nadd the index\n\n"
    done = walkforward("ticket", name, "--seed", str(seed), typed=typed)
    assert "Say it once more" in done.stdout and " passed" in done.stdout and "not passed" not in done.stdout
    for reply, result in (("n", False), ("y", True)):  # what is still not read, the candidate compares
        typed = f"queries\nschema\nd\nthe db is unhappy\n\nit is still unhappy\n\nadd the index\n\n{reply}\n"
        done = walkforward("ticket", name, "--seed", str(seed), typed=typed)
        assert done.stdout.count("Say it once more") == 1
        assert "Not read in your diagnosis: an index is missing." in " ".join(done.stdout.split())
        last = State().attempts("ticket")[-1]
        assert (last.passed, last.detail["compared"]) == (result, ["an index is missing"] if result else [])


def test_q_leaves_the_comparison_too_and_all_is_kept():
    name, seed = INDEX
    typed = "queries\nschema\nd\nmissing index\n\nmake lookups cheap as before\n\nwhat\nq\n"
    done = walkforward("ticket", name, "--seed", str(seed), typed=typed)
    assert "y or n; q stops" in done.stdout and "Verdict" not in done.stdout
    assert done.returncode == 0 and State().attempts("ticket") == []
    done = walkforward("ticket", typed="y\n")
    assert [one.passed for one in State().attempts("ticket")] == [True]


def test_without_the_evidence_there_is_nothing_to_compare():
    name, seed = INDEX
    typed = "logs\nd\nthe db is unhappy\n\nit is still unhappy\n\nadd the index\n\n"
    done = walkforward("ticket", name, "--seed", str(seed), typed=typed)
    assert "come to the same" not in done.stdout and "not passed" in done.stdout


def test_a_remedy_that_is_not_read_is_compared_by_the_candidate():
    name, seed = INDEX
    for reply, result in (("y", True), ("n", False)):
        typed = f"queries\nschema\nd\nmissing index\n\nmake lookups cheap as before\n\nwhat\n{reply}\n"
        done = walkforward("ticket", name, "--seed", str(seed), typed=typed)
        assert "Does yours come to the same?" in done.stdout
        assert State().attempts("ticket")[-1].passed == result


def test_the_call_begins_when_the_minutes_are_used_up():
    name, seed = INDEX
    asked = list(catalogue())[: tickets.BUDGET]
    done = walkforward("ticket", name, "--seed", str(seed), typed="\n".join(asked) + "\n\n\n")
    assert "The call begins." in done.stdout and "not passed" in done.stdout
    assert State().attempts("ticket")[0].detail["asked"] == asked


def test_the_same_evidence_again_costs_nothing():
    name, seed = INDEX
    walkforward("ticket", name, "--seed", str(seed), typed="logs\nlogs\nthe logs\nd\n\n\n")
    assert State().attempts("ticket")[0].detail["asked"] == ["logs"]


@pytest.mark.parametrize("end", ["q\n", ""])
def test_what_was_asked_and_typed_is_kept_when_it_is_stopped(end):
    name, seed = INDEX
    done = walkforward(
        "ticket", name, "--seed", str(seed), typed=f"queries\nschema\nd\nthe index is gone\n{end}"
    )
    code, said = (0, done.stdout) if end else (130, done.stderr)
    assert done.returncode == code and "is kept. walkforward ticket continues." in " ".join(said.split())
    assert State().attempts("ticket") == []
    done = walkforward("ticket", typed="\ncreate the index again\n\n")  # no name: what is open
    assert f"Ticket {name} · seed {seed}" in done.stdout and "You asked for: queries, schema" in done.stdout
    assert "> the index is gone" in done.stdout and "not passed" not in done.stdout
    assert [one.passed for one in State().attempts("ticket")] == [True]


def test_a_torn_line_costs_no_other(home):
    name, seed = INDEX
    walkforward("ticket", name, "--seed", str(seed), typed="queries\nschema\nq\n")
    with tickets.file().open("ab") as out:
        out.write(b'{"sitting": "torn", "tick')
    walkforward("ticket", name, "--seed", str(seed), typed="logs\nq\n")
    (open_one,) = [one for one in tickets.sittings() if "closed" not in one.done]
    assert open_one.asked == ["queries", "schema", "logs"]


def test_two_at_once_lose_nothing():
    name, seed = INDEX
    one, other = tickets.Sitting("a" * 16, name, seed), tickets.Sitting("b" * 16, name, seed)
    known = list(catalogue())

    def ask(sitting):
        for what in known:
            tickets.keep(sitting, "asked", what, 1.0)

    threads = [threading.Thread(target=ask, args=(sitting,)) for sitting in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = {sitting.id: sitting.asked for sitting in tickets.sittings()}
    assert kept == {one.id: known, other.id: known}
    lines = tickets.file().read_text("utf-8").split("\n")  # one may be empty: nobody waits for the other
    assert sum(bool(json.loads(line)) for line in lines if line) == 2 * len(known)


def test_a_new_round_is_another_fault():
    name = "restarts"
    met = [{"seed": 1, "faults": [fault.name for fault in case(name, 1).faults]}]
    for _ in range(6):
        seed = tickets._fresh(name, met)
        assert [fault.name for fault in case(name, seed).faults] != met[-1]["faults"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ticket", "slow"), "there is no ticket 'slow': choose one of broken_release"),
        (("ticket", "--seed", "3"), "--seed wants"),
    ],
)
def test_a_wrong_call_is_one_line(arguments, says):
    done = walkforward(*arguments)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and says in done.stderr


def test_a_folder_that_cannot_be_written_is_one_error(home, monkeypatch):
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file, no folder")
    with pytest.raises(TicketError, match="WALKFORWARD_STATE"):
        tickets.keep(tickets.Sitting("a", *INDEX), "asked", "logs", 0.0)


def test_your_own_time_ends_the_evidence(monkeypatch, capsys):
    times = iter(range(0, 100_000, 100))
    monkeypatch.setattr(terminal, "monotonic", lambda: next(times))
    lines = iter(["queries", "schema", "logs", "", "", "", ""])
    monkeypatch.setattr(tickets, "ask", lambda prompt: next(lines))
    ticket = tickets.sit(*INDEX, minutes=5)
    assert "Your time for the evidence is over" in capsys.readouterr().out
    assert len(ticket.asked) < 3 and not ticket.passed


# In a real terminal -------------------------------------------------------------------------------------


def opened(home, *arguments):
    """`walkforward ticket` in a terminal of 60 columns, whatever width the tests were started with."""
    return pexpect.spawn(
        sys.executable,
        ["-m", "course", "ticket", *arguments],
        env=environment(WALKFORWARD_STATE=str(home), TERM="xterm", NO_COLOR="1"),
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 60),
    )


def spawned(home, *arguments):
    child = opened(home, *arguments)
    child.expect("q: stop and keep")
    return child


@TERMINAL
def test_at_width_60_no_line_is_wider_and_ctrl_c_keeps_what_was_asked(home):
    name, seed = "two_steps", 3
    child = spawned(home, name, "--seed", str(seed))
    seen = child.before + child.after
    for what, last in (
        ("metric over time", "Sun this"),
        ("sample rows", "kg:"),
        ("?", "reproduce"),
        ("packages", "requirements"),
    ):
        child.expect(r"\d\d:\d\d > ")
        seen += child.before
        child.sendline(what)
        child.expect(last)
        seen += child.before + child.after
    child.expect(r"\d\d:\d\d > ")
    child.sendintr()
    child.expect("is kept")
    child.wait()
    assert child.exitstatus == 130
    assert max(len(line) for line in seen.splitlines()) <= 60
    (kept,) = tickets.sittings()
    assert kept.asked == ["metric over time", "sample rows", "packages"]


@TERMINAL
def test_a_killed_sitting_loses_at_most_the_line_on_the_screen(home):
    name, seed = INDEX
    child = spawned(home, name, "--seed", str(seed))
    for what in ("queries", "schema", "d"):
        child.expect(r"\d\d:\d\d > ")
        child.sendline(what)
    child.expect("Your diagnosis")
    child.sendline("the index is missing")
    child.expect(r"> the index is missing\r\n.*> ")
    child.send("half a li")
    child.kill(signal.SIGKILL)
    child.wait()
    child = opened(home)
    child.expect("You asked for: queries, schema")
    child.expect("> the index is missing")
    child.sendline("")
    child.expect("Your remedy")
    child.sendline("create the index")
    child.sendline("")
    child.expect("passed")
    assert "not" not in child.before[-10:]
    child.expect(pexpect.EOF)
    assert [one.passed for one in State().attempts("ticket")] == [True]

"""Answers between terminal and browser: nothing twice, nothing lost, all of a file or none."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from course.cli import main
from course.practice import transfer
from course.practice.bank import load_bank
from course.practice.reviews import State
from course.practice.transfer import TransferError


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("WALKFORWARD_STATE", str(tmp_path / "state"))
    state, moment = State(), datetime(2026, 11, 3, 8, 0, 0, 123456, tzinfo=UTC)
    for place, one in enumerate(load_bank()[:3]):
        must, good = [True] * len(one.must), [False] * len(one.good)
        state.record(
            one, must, good, 31.5, "practice", moment + timedelta(days=place), said=f"Wörter {place}"
        )
    return state


def line(**changed):
    row = {"question": "drift-psi-threshold", "rating": 3, "reviewed": "2026-11-05T08:00:00.250Z"}
    return json.dumps(row | {"seconds": 12.5, "must": [True], "good": [], "source": "practice"} | changed)


def test_what_is_written_can_be_taken_in_elsewhere_and_is_the_same(state, tmp_path, monkeypatch):
    file = tmp_path / "answers.jsonl"
    assert transfer.export(file, state) == 3
    assert transfer.take_in(file, state) == (0, 3)
    other = State(tmp_path / "other.sqlite")
    assert transfer.take_in(file, other) == (3, 0)
    assert other.reviews() == state.reviews()
    assert {name: card.due for name, card in other.cards().items()} == {
        name: card.due for name, card in state.cards().items()
    }


def test_a_browsers_moment_is_the_terminals(state, tmp_path):
    """A browser keeps milliseconds, and writes Z: the answer is not another one for that."""
    first = state.reviews()[0]
    browsers = first.reviewed.strftime("%Y-%m-%dT%H:%M:%S.") + "123Z"
    file = tmp_path / "browser.jsonl"
    rows = [line(question=first.question, reviewed=browsers), line(), line()]
    file.write_text("\n".join(rows) + "\n\n", encoding="utf-8")
    assert transfer.take_in(file, state) == (1, 2)
    assert len(state.reviews()) == 4


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("{", "it is no JSON"),
        ("[" * 5000, "it is no JSON"),
        ("[1]", "the line: "),
        (line(rating=5), "rating: "),
        (line(rating=True), "rating: "),
        (line(reviewed="2026-11-05T08:00:00"), "reviewed: "),
        (line(reviewed="yesterday"), "reviewed: "),
        (line(seconds=-1), "seconds: "),
        (line(must=["yes"]), "must.0: "),
        (line(source="dream"), "source: "),
        (line(question="../x"), "question: "),
    ],
)
def test_a_line_that_is_no_answer_keeps_the_whole_file_out(state, tmp_path, bad, why):
    file = tmp_path / "bad.jsonl"
    file.write_text(f"{line()}\n{bad}\n", encoding="utf-8")
    with pytest.raises(TransferError) as raised:
        transfer.take_in(file, state)
    assert f"line 2 is no answer ({why}" in str(raised.value)
    assert len(state.reviews()) == 3


def test_a_file_that_is_there_is_not_written_over(state, tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text("mine\n", encoding="utf-8")
    with pytest.raises(TransferError, match="is there already: give a new name"):
        transfer.export(file, state)
    assert file.read_text(encoding="utf-8") == "mine\n"


def test_a_file_that_can_not_be_read_is_one_line(state, tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, why in (("none", "No such file"), ("binary", "it is no text"), (".", "Is a directory")):
        with pytest.raises(TransferError, match=why):
            transfer.take_in(tmp_path / name, state)


def test_the_command_takes_in_and_writes(state, tmp_path):
    (tmp_path / "in.jsonl").write_text(line() + "\n", encoding="utf-8")
    run = CliRunner().invoke(
        main, ["practice", "--import", str(tmp_path / "in.jsonl")], catch_exceptions=False
    )
    assert run.output == "New answers: 1; there already: 0.\n"
    out = tmp_path / "out.jsonl"
    run = CliRunner().invoke(main, ["practice", "--export", str(out)], catch_exceptions=False)
    assert run.output == f"Answers: 4, in {out}.\n"
    assert len(out.read_text(encoding="utf-8").splitlines()) == 4

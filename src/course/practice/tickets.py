"""`walkforward ticket`: a report as a user writes it, evidence on request, a diagnosis in free text.

What a ticket is about is in src/lessons/tickets/NAME.py: `case(rng)` returns a `Case`. A seed decides which
fault is there, where, and every name and number. What is asked for is appended to a file as it is answered,
so a sitting that is stopped, or killed, goes on where it was.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import random
import re
import secrets
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from course import progress
from course.paths import ROOT
from course.practice import terminal
from course.practice.diagnosis import read
from course.practice.reviews import State, utc_now
from course.practice.terminal import ask, colour, forgive, rule, say
from walkforward.errors import WalkForwardError

FOLDER = ROOT / "src" / "lessons" / "tickets"
USUAL = "_usual"  # what can be asked for in every ticket, and the answers where nothing is the matter
STARTS = 9 * 60 + 12  # minutes of the story's day
BUDGET = 12  # requests: the call begins when they are used up


class TicketError(WalkForwardError, ValueError):
    """A ticket that can't be opened or kept; the message says why, and the way out."""


@dataclass(frozen=True)
class Fault:
    """Something that can be wrong, or be taken for it."""

    name: str  # as a verdict calls it
    says: tuple[str, ...]  # patterns of diagnosis.read: how people name it
    trace: tuple[str, str] | None = (
        None  # evidence, and a pattern that is found in it if and only if it is there
    )


@dataclass(frozen=True)
class Case:
    """One ticket with one seed."""

    report: str
    evidence: Mapping[str, str | Callable[[], str]]  # by the names of the catalogue
    faults: tuple[Fault, ...]  # all of them are to be named
    suspects: tuple[Fault, ...]  # none of them is to be blamed
    needs: tuple[tuple[str, ...], ...]  # of each, one piece of evidence at least
    order: tuple[tuple[str, str], ...]  # what a senior asks for, and why
    story: str  # what it was
    remedy: str
    mends: tuple[tuple[str, ...], ...]  # patterns of remedies: one of each group mends it
    harm: tuple[tuple[str, str], ...] = ()  # patterns of remedies that do harm, and why


@dataclass(frozen=True)
class Judged:
    """What a sitting is worth, criterion by criterion."""

    missing: tuple[tuple[str, ...], ...]  # needs that were not asked for
    named: tuple[str, ...]
    unnamed: tuple[str, ...]
    blamed: tuple[str, ...]  # innocent
    mended: bool
    harm: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the evidence was asked for, each fault named, nothing else blamed, and the remedy mends."""
        return not (self.missing or self.unnamed or self.blamed or self.harm) and self.mended


@dataclass(frozen=True)
class Ticket:
    """A sitting that was judged; seconds are yours, not the story's."""

    name: str
    seed: int
    passed: bool
    asked: list[str]
    seconds: float


# What there is ------------------------------------------------------------------------------------------


def names() -> list[str]:
    """Return the names of the tickets; a name says nothing about the fault."""
    return sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))


@cache
def content(name: str) -> ModuleType:
    """Return a module of src/lessons/tickets, once run."""
    spec = importlib.util.spec_from_file_location(f"walkforward_tickets_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def case(name: str, seed: int) -> Case:
    """Return the ticket with this seed: the same seed, the same ticket, to the last number."""
    if name not in names():
        raise TicketError(f"there is no ticket {name!r}: choose one of {', '.join(names())}")
    return content(name).case(random.Random(f"{name}/{seed}"))


def catalogue() -> dict[str, str]:
    """Return what can be asked for in any ticket: its name, and a pattern of the words it goes by."""
    return content(USUAL).CATALOGUE


def evidence(one: Case, name: str, ticket: str, seed: int) -> str:
    """Return a piece of evidence as text; what the ticket is silent on is as it always is."""
    found = one.evidence.get(name)
    if found is None:
        return content(USUAL).usual(name, random.Random(f"{ticket}/{seed}/{name}"))
    return found if isinstance(found, str) else found()


def meant(words: str) -> list[str]:
    """Return which evidence a request means: one, several between which it does not decide, or none."""
    words = " ".join(words.lower().split())
    known = list(catalogue())
    if words in known:
        return [words]
    if words.isdigit() and 0 < int(words) <= len(known):
        return [known[int(words) - 1]]
    scores = {}
    for name, pattern in catalogue().items():
        found = {one.group() for one in re.finditer(rf"\b(?:{pattern})\b", words)}
        if found:
            scores[name] = sum(map(len, found))
    best = max(scores.values(), default=0)
    return [name for name, score in scores.items() if score > 0.6 * best]


# Judging ------------------------------------------------------------------------------------------------


def judge(
    one: Case,
    asked: Sequence[str],
    diagnosis: str,
    remedy: str,
    said: Sequence[str] = (),
    mended: bool | None = None,
) -> Judged:
    """Return what a sitting is worth.

    said: faults that the candidate found in the diagnosis where it could not be read. mended: overrules what
    is read of the remedy.
    """
    claims = {fault.name: read(diagnosis, fault.says).blamed for fault in (*one.faults, *one.suspects)}
    claims |= dict.fromkeys(said, True)
    innocent = [fault.name for fault in one.suspects if claims[fault.name]]
    return Judged(
        missing=tuple(need for need in one.needs if not set(need) & set(asked)),
        named=tuple(fault.name for fault in one.faults if claims[fault.name]),
        unnamed=tuple(fault.name for fault in one.faults if not claims[fault.name]),
        blamed=tuple(innocent),
        mended=bool(remedy.strip()) and (_mends(one, remedy) if mended is None else mended),
        harm=tuple(why for pattern, why in one.harm if read(remedy, [pattern]).blamed),
    )


def _mends(one: Case, remedy: str) -> bool:
    return all(read(remedy, group).blamed for group in one.mends)


# What is kept -------------------------------------------------------------------------------------------


@dataclass
class Sitting:
    """A sitting as it was kept: what was asked and typed so far."""

    id: str
    ticket: str
    seed: int
    asked: list[str] = field(default_factory=list)
    typed: dict[str, list[str]] = field(default_factory=dict)  # the lines of the diagnosis, the remedy
    done: set[str] = field(default_factory=set)  # parts that are finished; "closed" with the verdict
    seconds: float = 0.0


def file() -> Path:
    """Return where sittings are kept, in the user's state folder: a line for each thing asked or typed."""
    return progress.progress_file().with_name("tickets.jsonl")


def keep(sitting: Sitting, what: str, value: object, seconds: float) -> None:
    """Append one line, on the disk when this returns."""
    line = {"sitting": sitting.id, "ticket": sitting.ticket, "seed": sitting.seed, what: value}
    line |= {"seconds": round(seconds, 1), "time": utc_now().isoformat(timespec="seconds")}
    text = json.dumps(line).encode() + b"\n"
    try:
        file().parent.mkdir(parents=True, exist_ok=True)
        with file().open("ab+") as out:
            if out.tell():
                out.seek(-1, os.SEEK_END)
                text = text if out.read(1) == b"\n" else b"\n" + text  # a line that was torn stays alone
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise TicketError(
            f"{file()} can't be written ({error.strerror}): set WALKFORWARD_STATE to a folder you may write"
        ) from error
    _apply(sitting, line)


def _apply(sitting: Sitting, line: Mapping[str, Any]) -> None:
    sitting.seconds = max(sitting.seconds, float(line.get("seconds", 0)))
    if "asked" in line and line["asked"] not in sitting.asked:
        sitting.asked.append(str(line["asked"]))
    for part in ("diagnosis", "remedy"):
        if part in line:
            sitting.typed.setdefault(part, []).append(str(line[part]))
    if "done" in line:
        sitting.done.add(str(line["done"]))
    if "again" in line:
        sitting.typed.pop(str(line["again"]), None)
        sitting.done = (sitting.done - {str(line["again"])}) | {"again"}


def sittings() -> list[Sitting]:
    """Return what was kept, in the order of their last lines; a line that can't be read is passed over."""
    try:
        text = file().read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TicketError(
            f"{file()} can't be read ({error.strerror}): set WALKFORWARD_STATE to a folder of your own"
        ) from error
    found: dict[str, Sitting] = {}
    for raw in text.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            line = json.loads(raw)
            known = Sitting(str(line["sitting"]), str(line["ticket"]), int(line["seed"]))
            sitting = found.pop(known.id, known)
            _apply(sitting, line)
            found[sitting.id] = sitting
    return [one for one in found.values() if one.ticket in names()]


def _begin(name: str | None, seed: int | None) -> Sitting:
    """Return the sitting that is open and meant, or a new one."""
    if name is not None and name not in names():
        raise TicketError(f"there is no ticket {name!r}: choose one of {', '.join(names())}")
    if seed is not None and name is None:
        raise TicketError("--seed wants a ticket's name: walkforward ticket NAME --seed 7")
    for one in reversed(sittings()):
        if "closed" not in one.done and name in (None, one.ticket) and seed in (None, one.seed):
            return one
    attempts = State().attempts("ticket")
    if name is None:
        count = {one: sum(attempt.name == one for attempt in attempts) for one in names()}
        name = random.choice([one for one in names() if count[one] == min(count.values())])
    if seed is None:
        seed = _fresh(name, [attempt.detail for attempt in attempts if attempt.name == name])
    return Sitting(secrets.token_hex(8), name, seed)


def _fresh(name: str, met: Sequence[Mapping[str, Any]]) -> int:
    """Return a seed whose faults are not those of the last sittings, where there are others."""
    faults = [sorted(detail.get("faults", [])) for detail in met]
    best = (len(met) + 1, 0)
    for _ in range(12):
        seed = secrets.randbelow(100_000)
        times = faults.count(sorted(fault.name for fault in case(name, seed).faults))
        best = min(best, (times, seed))
        if not times:
            break
    return best[1]


# The sitting --------------------------------------------------------------------------------------------

PARTS = {
    "diagnosis": "Your diagnosis: what is broken, and where? What is innocent? An empty line ends it.",
    "remedy": "Your remedy: what do you do now, and what so that it stays away? An empty line ends it.",
}


def sit(name: str | None = None, seed: int | None = None, minutes: float | None = None) -> Ticket:
    """Hold one ticket in the terminal, and record the attempt.

    name, seed: None continues what is open, else takes the ticket met least and a new seed. minutes: your own
    time for the evidence; None has no limit but the story's clock. Raises KeyboardInterrupt for Ctrl-C and
    `q`, EOFError at the end of input; what was asked and typed is kept.
    """
    sitting = _begin(name, seed)
    one, before, started = case(sitting.ticket, sitting.seed), sitting.seconds, terminal.monotonic()

    def spent() -> float:
        return before + terminal.monotonic() - started

    rule(f"Ticket {sitting.ticket} · seed {sitting.seed}")
    say(one.report)
    click.echo()
    if sitting.asked:
        say(f"Continued. You asked for: {', '.join(sitting.asked)}. Ask again to read one again.")
    else:
        keep(sitting, "opened", True, 0.0)
    if "evidence" not in sitting.done:
        _investigate(sitting, one, spent, minutes)
    for part in PARTS:
        if part not in sitting.done:
            _typed(sitting, part, spent)
            if part == "diagnosis":
                _once_more(sitting, one, spent)
    seconds = spent()
    return _close(sitting, one, seconds)


def _investigate(sitting: Sitting, one: Case, spent: Callable[[], float], limit: float | None) -> None:
    say("Ask for evidence in your own words. ?: what people ask for, d: diagnose, q: stop and keep.")
    say(f"An answer costs a minute. The call about this ticket begins at {_clock(BUDGET)}.")
    while len(sitting.asked) < BUDGET and (limit is None or spent() < 60 * limit):
        click.echo()
        words = ask(f"  {_clock(len(sitting.asked))} > ")
        if words.lower() in ("q", "quit"):
            raise terminal.Left
        if words.lower() in ("d", "diagnose", "diagnosis"):
            break
        if words in ("", "?", "help"):
            _list()
            continue
        found = meant(words)
        if len(found) != 1:
            _unclear(words, found)
            continue
        shown = evidence(one, found[0], sitting.ticket, sitting.seed)
        if found[0] not in sitting.asked:
            keep(sitting, "asked", found[0], spent())
        click.echo(f"\n  {colour(found[0].capitalize(), bold=True)}\n")
        for line in shown.splitlines():
            _line(line)
    else:
        click.echo()
        say("The call begins." if len(sitting.asked) >= BUDGET else "Your time for the evidence is over.")
    keep(sitting, "done", "evidence", spent())


def _clock(minutes: int) -> str:
    return f"{(STARTS + minutes) // 60:02d}:{(STARTS + minutes) % 60:02d}"


def _line(text: str) -> None:
    """Print a line of evidence; one that is too long goes on below, further in."""
    room = terminal.width() - 4
    lead = len(text) - len(text.lstrip())
    parts = textwrap.wrap(
        text, room, subsequent_indent=" " * min(lead + 4, 16), break_on_hyphens=False, drop_whitespace=False
    )
    for part in parts or [""]:
        click.echo(f"    {part.rstrip()}")


def _list() -> None:
    known = [f"{number:>2} {name}" for number, name in enumerate(catalogue(), 1)]
    wide = max(map(len, known)) + 2
    columns = max(1, (terminal.width() - 4) // wide)
    for row in range(0, len(known), columns):
        click.echo("    " + "".join(f"{one:<{wide}}" for one in known[row : row + columns]).rstrip())


def _unclear(words: str, found: list[str]) -> None:
    if found:
        say(f"Which one: {', '.join(found)}? This costs nothing.")
    else:
        say(f"Nobody knows what {words[:40]!r} is. Say it in other words; ? lists what people ask for.")


def _typed(sitting: Sitting, part: str, spent: Callable[[], float]) -> None:
    click.echo()
    say(PARTS[part])
    for text in sitting.typed.get(part, []):
        click.echo(f"  > {text}")
    while line := ask("  > "):
        if line.lower() in ("q", "quit"):
            raise terminal.Left
        keep(sitting, part, line, spent())
    keep(sitting, "done", part, spent())


def _text(sitting: Sitting, part: str) -> str:
    return "\n".join(sitting.typed.get(part, []))


def _once_more(sitting: Sitting, one: Case, spent: Callable[[], float]) -> None:
    """Where a diagnosis was typed and nothing could be read in it, ask for other words, once."""
    text = _text(sitting, "diagnosis")
    claims = [read(text, fault.says) for fault in (*one.faults, *one.suspects)]
    if not text or "again" in sitting.done or any(claim.blamed for claim in claims):
        return
    say("No fault could be read in this. Say it once more: one sentence, the thing that is broken and how.")
    keep(sitting, "again", "diagnosis", spent())
    _typed(sitting, "diagnosis", spent)


def _close(sitting: Sitting, one: Case, seconds: float) -> Ticket:
    diagnosis, remedy = _text(sitting, "diagnosis"), _text(sitting, "remedy")
    judged = judge(one, sitting.asked, diagnosis, remedy)
    compared = []
    if diagnosis.strip() and not (judged.missing or judged.blamed):
        compared = [name for name in judged.unnamed if _same(f"Not read in your diagnosis: {name}.")]
        judged = judge(one, sitting.asked, diagnosis, remedy, said=compared)
    if remedy.strip() and not judged.mended and not judged.harm:
        mended = _same(f"What mends it: {one.remedy}.")
        judged = judge(one, sitting.asked, diagnosis, remedy, said=compared, mended=mended)
    _verdict(sitting, one, judged, seconds)
    faults = [fault.name for fault in one.faults]
    detail = {"seed": sitting.seed, "asked": sitting.asked, "faults": faults, "unnamed": list(judged.unnamed)}
    detail |= {"missing": [list(need) for need in judged.missing], "blamed": list(judged.blamed)}
    detail |= {"diagnosis": diagnosis, "remedy": remedy, "mended": judged.mended}
    detail |= {"compared": compared}
    State().record_attempt("ticket", sitting.ticket, judged.passed, seconds, detail)
    keep(sitting, "done", "closed", seconds)
    return Ticket(sitting.ticket, sitting.seed, judged.passed, list(sitting.asked), seconds)


def _same(text: str) -> bool:
    """Show what is due and let the candidate compare: no pattern knows every way to say it."""
    click.echo()
    say(text)
    while (reply := ask("  Does yours come to the same? y/n: ").lower()) not in ("y", "n", "yes", "no"):
        if reply in ("q", "quit"):
            raise terminal.Left
        say("y or n; q stops, and what you typed is kept.")
    return reply.startswith("y")


def _verdict(sitting: Sitting, one: Case, judged: Judged, seconds: float) -> None:
    result = colour("passed", "green", bold=True) if judged.passed else colour("not passed", "red", bold=True)
    story = f"{len(sitting.asked)} minute{'s' * (len(sitting.asked) != 1)} of the story"
    rule(f"Verdict · {terminal.minutes(seconds)} of yours, {story}")
    click.echo(f"  {result}\n")
    _criterion(
        not judged.missing, "the evidence was asked for", [" or ".join(need) for need in judged.missing]
    )
    for fault in one.faults:
        _criterion(fault.name in judged.named, f"named: {fault.name}", [])
    _criterion(not judged.blamed, "nothing innocent was blamed", list(judged.blamed))
    _criterion(judged.mended and not judged.harm, f"the remedy mends it: {one.remedy}", list(judged.harm))
    cleared = [fault.name for fault in one.suspects if read(_text(sitting, "diagnosis"), fault.says).cleared]
    if cleared:
        say(f"Read as innocent: {', '.join(cleared)}.")
    click.echo("\n  " + colour("What it was", bold=True))
    say(one.story)
    click.echo("\n  " + colour("What a senior asks for, in this order", bold=True))
    for number, (name, why) in enumerate(one.order, 1):
        mark = "" if name in sitting.asked else " (you did not)"
        say(f"{number}. {name}{mark}: {why}", hang=3)
    click.echo()
    say(f"Once more: walkforward ticket {sitting.ticket} --seed {sitting.seed}")
    say(f"Another fault: walkforward ticket {sitting.ticket}")


def _criterion(held: bool, text: str, lacks: Sequence[str]) -> None:
    mark = colour("✓", "green") if held else colour("✗", "red")
    say(f"{mark} {text}" + (f" ({'; '.join(lacks)})" if lacks else ""), hang=2)


def ticket(name: str | None, seed: int | None) -> int:
    """Hold one ticket; return 0, or 130 when it was stopped by Ctrl-C or the end of input."""
    forgive()
    kept = "Stopped; what you asked and typed is kept. walkforward ticket continues."
    try:
        sit(name, seed)
    except terminal.Left:
        say(kept, indent=0)
    except (KeyboardInterrupt, EOFError):
        click.echo()
        sys.stdout.flush()
        say(kept, indent=0, err=True)
        return 130
    return 0

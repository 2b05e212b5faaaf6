"""How the days up to an interview are filled: what gets in, on which day, and what is left out and why.

Nothing here reads the clock, the log or a file: the same wishes give the same days. `plan` says the wishes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from course import lessons

ROUND = {"coding": 45, "design": 45, "behavioural": 45, "screen": 30, "debugging": 45, "cv": 45}
"""Minutes of each round as `mock` holds it, in the order in which they are kept when not all fit."""
QUESTION, STORY, KATA = 5, 15, 20  # minutes of one, with its rubric
ROUNDS_SHARE, SITTINGS_SHARE, STORIES_SHARE, KATAS_SHARE = 0.25, 0.5, 0.1, 0.1  # of all minutes, at most
QUESTIONS_SHARE = 0.3  # of a day's minutes, at least, where a sitting leaves them
MOST_QUESTIONS, MOST_KATAS = 12, 3  # a day
LEAST_KATAS = 2  # in all: as many as a coding round has
PASSES = 2  # times that all six rounds are held, at most
LONGEST = 60  # minutes of a sitting, at most


class Item(BaseModel):
    """A part of a day: `name` is a sitting's, a round's or a kata's, `count` that of questions."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    what: str
    name: str = ""
    minutes: int
    count: int = 1
    part: str = ""


class Left(BaseModel):
    """What does not fit, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    what: str
    name: str
    minutes: int
    why: str


@dataclass(frozen=True)
class Piece:
    """A sitting that is to be done: its minutes that are left, and the sittings that come before it."""

    name: str
    minutes: int
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wishes:
    """What the days are to hold, without what is done.

    pieces: the sittings in the order in which they are worked through; first: names of those that an
    advertisement asks for, the most wanted first; terms: its terms, the one that is named most
    first, each with its weight and the names of what teaches it, where one that is no piece is done; rank:
    names by worth, for when not all fit; held: names of the rounds that were held; told and solved: how many
    stories and katas were; elapsed: days since the plan was begun, from which on all of these count; kept:
    what today has seen already.
    """

    pieces: Sequence[Piece]
    rank: Sequence[str]
    first: Sequence[str] = ()
    terms: Sequence[tuple[float, Sequence[str]]] = ()
    held: Sequence[str] = ()
    told: int = 0
    katas: Sequence[str] = ()
    solved: int = 0
    elapsed: int = 0
    kept: Sequence[Item] = ()


@dataclass
class Days:
    """The days as they are filled: for each its items; and what is left out, in order of worth."""

    budget: int
    days: list[list[Item]]
    left: list[Left] = field(default_factory=list)

    def room(self, day: int) -> int:
        """Return the minutes of a day that are not taken."""
        return self.budget - sum(item.minutes for item in self.days[day])

    def has(self, day: int, what: str) -> int:
        """Return how many items of a kind a day has."""
        return sum(item.what == what for item in self.days[day])

    def total(self, what: str) -> int:
        """Return the minutes of a kind in all days."""
        return sum(item.minutes for day in self.days for item in day if item.what == what)


def fill(count: int, budget: int, wishes: Wishes) -> Days:
    """Fill `count` days of `budget` minutes each; no day gets more, but what it has `kept` already.

    Rounds come first (a quarter of the minutes at most, in the later two thirds of the days), then sittings
    in order, each after what it needs, then stories, katas and questions in what is left of each day.
    """
    filled = Days(budget, [[] for _ in range(count)])
    if not count:
        filled.left = [
            Left(what="sitting", name=one.name, minutes=one.minutes, why="no day is left")
            for one in _by_rank(wishes)
        ]
        return filled
    filled.days[0] = list(wishes.kept)
    _rounds(filled, wishes)
    _sittings(filled, wishes)
    _stories(filled, wishes)
    _katas(filled, wishes)
    for day, items in enumerate(filled.days):
        asked = sum(item.count for item in items if item.what == "questions")
        number = asked + max(0, min(MOST_QUESTIONS - asked, filled.room(day) // QUESTION))
        items[:] = [item for item in items if item.what != "questions"]
        if number:
            items.append(questions(number))
    return filled


def questions(number: int) -> Item:
    """Return so many questions as an item of a day."""
    return Item(what="questions", minutes=number * QUESTION, count=number)


def short(name: str) -> str:
    """Return a sitting as a reader says it: "13b", "I3.2"."""
    stem, _, part = name.partition(" ")
    return lessons.number(stem) + (f".{part}" if part else "")


def _spread(number: int, first: int, last: int) -> list[int]:
    """Return so many days from first to last, evenly; the last one is among them."""
    if number == 1:
        return [last]
    return [first + round(at * (last - first) / (number - 1)) for at in range(number)]


def _rounds(filled: Days, wishes: Wishes) -> None:
    """Put each round on its day of the whole plan; one whose day is over comes as soon as there is room."""
    whole = wishes.elapsed + len(filled.days)
    share = int(ROUNDS_SHARE * whole * filled.budget)
    lasts = {name: min(minutes, filled.budget) for name, minutes in ROUND.items()}
    wanted: list[Item] = []
    first = min(whole // 3, whole - 1)
    for again in range(1, PASSES + 1):
        if again > 1 and again * sum(lasts.values()) > share:
            break
        for name, minutes in lasts.items():
            if minutes <= share - sum(item.minutes for item in wanted):
                if again == 1 or len(wanted) < whole - first:
                    wanted.append(Item(what="round", name=name, minutes=minutes))
            elif again == 1 and name not in wishes.held:
                why = f"rounds take a quarter of all {hours(whole * filled.budget)} at most"
                filled.left.append(Left(what="round", name=name, minutes=minutes, why=why))
    if not wanted:
        return
    beside = max(lasts.values()) + LONGEST + _reserve(filled.budget)
    alone = filled.budget >= beside  # a sitting fits beside a round
    bundles: list[list[Item]] = []
    for item in wanted:
        fits = bundles and len(bundles[-1]) < 2 and bundles[-1][0].minutes + item.minutes <= filled.budget
        if fits and not alone:
            bundles[-1].append(item)
        else:
            bundles.append([item])
    held, open_ = list(wishes.held), []
    for day, bundle in zip(_spread(len(bundles), first, whole - 1), bundles, strict=True):
        for item in bundle:
            if item.name in held:
                held.remove(item.name)
            else:
                open_.append((day < wishes.elapsed, day, item))
    for missed, day, item in sorted(open_, key=lambda row: row[0]):  # what was missed makes way
        days = _days_for_missed(filled, item, wishes) if missed else range(len(filled.days))
        if not _put(filled, item, max(0, day - wishes.elapsed), days):
            why = "no day has room for it"
            filled.left.append(Left(what="round", name=item.name, minutes=item.minutes, why=why))


def _days_for_missed(filled: Days, item: Item, wishes: Wishes) -> list[int]:
    """Return the days for a round whose own day is over: without another; every other, where it fills one.

    So who passes the rounds over is still asked questions.
    """
    free = [day for day in range(len(filled.days)) if not filled.has(day, "round")]
    if 2 * item.minutes <= filled.budget:
        return free
    return [day for day in free if (day + wishes.elapsed) % 2]


def _put(filled: Days, item: Item, day: int, days: Iterable[int], reserve: int = 0) -> bool:
    """Put an item on the day that is nearest to `day` and has room for it; False where none has."""
    for other in sorted(days, key=lambda other: (abs(other - day), other)):
        if filled.room(other) - reserve >= item.minutes:
            filled.days[other].append(item)
            return True
    return False


def _by_rank(wishes: Wishes) -> list[Piece]:
    there = {piece.name: piece for piece in wishes.pieces}
    names = dict.fromkeys([*_wanted(wishes, there), *wishes.rank, *there])
    return [there[name] for name in names if name in there]


def _wanted(wishes: Wishes, there: dict[str, Piece]) -> list[str]:
    """Names of what an advertisement asks for, by worth, for when not all fit.

    What teaches the term that is named most stands first, whatever it costs. Then always what teaches most
    that nothing before it teaches, against the minutes that it adds with what it needs: so one dear term does
    not take the days of four others.
    """
    waiting = [name for name in wishes.first if name in there]
    open_ = [(weight, names) for weight, names in wishes.terms if all(name in there for name in names)]
    found, taken = [], set[str]()

    def adds(name: str) -> set[str]:
        return (before(name, there) | {name}) - taken

    def worth(name: str) -> float:
        added, taught = adds(name), 0.0
        for weight, names in open_:
            place = next((at for at, one in enumerate(names, start=1) if one in added), None)
            taught += weight / place if place else 0  # not `sum`, which rounds anew from Python 3.12 on
        return taught / max(1, sum(there[one].minutes for one in added))

    leading = open_[0][1] if open_ and open_[0] == wishes.terms[0] else []
    while waiting:
        leads = [name for name in leading if name in waiting] if not found else []
        name = leads[0] if leads else max(waiting, key=worth)  # the earlier one of a tie
        found.append(name)
        waiting.remove(name)
        taken |= adds(name)
        open_ = [(weight, names) for weight, names in open_ if taken.isdisjoint(names)]
    return found


def _sittings(filled: Days, wishes: Wishes) -> None:
    there = {piece.name: piece for piece in wishes.pieces}
    chosen: set[str] = set()
    placed: list[list[Item]] | None = None
    if found := _placed(filled, ordered(wishes.pieces, wishes.first, set(there))):
        chosen, placed = set(there), found
    else:
        for piece in _by_rank(wishes):
            wider = chosen | {piece.name} | before(piece.name, there)
            if wider != chosen and (found := _placed(filled, ordered(wishes.pieces, wishes.first, wider))):
                chosen, placed = wider, found
    for day, items in enumerate(placed or []):
        filled.days[day] += items
    for piece in _by_rank(wishes):
        if piece.name not in chosen:
            needs = [short(name) for name in there if name in before(piece.name, there) - chosen]
            why = f"no time is left with {lessons.listed(needs)} before it" if needs else ""
            why = why or "no time is left"
            filled.left.append(Left(what="sitting", name=piece.name, minutes=piece.minutes, why=why))


def before(name: str, there: dict[str, Piece]) -> set[str]:
    """Return what a sitting needs, and what that needs, of those that are there."""
    found: set[str] = set()
    waiting = list(there[name].needs)
    while waiting:
        need = waiting.pop()
        if need in there and need not in found and need != name:
            found.add(need)
            waiting += there[need].needs
    return found


def ordered(pieces: Sequence[Piece], first: Iterable[str], chosen: set[str]) -> list[Piece]:
    """Return the chosen sittings: those that are wanted first, then the others, each after what it needs."""
    there = {piece.name: piece for piece in pieces}
    names: dict[str, None] = {}
    for name in dict.fromkeys([*first, *there]):
        if name in there:
            needs = before(name, there)
            names |= dict.fromkeys(_sorted(needs, there))
            names[name] = None
    return [there[name] for name in names if name in chosen]


def _sorted(names: set[str], there: dict[str, Piece]) -> list[str]:
    """Names in the order of the path, each after what it needs."""
    found: dict[str, None] = {}

    def put(name: str) -> None:
        if name not in found:
            for need in there:
                if need in names and need in there[name].needs and need != name:
                    put(need)
            found[name] = None

    for name in there:
        if name in names:
            put(name)
    return list(found)


def _placed(filled: Days, pieces: Sequence[Piece]) -> list[list[Item]] | None:
    """Return the items by day, None when the days can't hold them; spread out where there is time."""
    count, budget = len(filled.days), filled.budget
    total = sum(piece.minutes for piece in pieces)
    even = max(LONGEST, math.ceil(total / (0.8 * count)))
    reserve = _reserve(budget)
    attempts = [(even, reserve), (max(LONGEST, int(0.6 * budget)), reserve), (budget, reserve)]
    if total <= SITTINGS_SHARE * count * budget:
        attempts.append((budget, reserve // 2))
    for most, kept in attempts:
        if found := _first_fit(filled, pieces, most, kept):
            return found
    return None


def _reserve(budget: int) -> int:
    """Return the minutes of a day that are kept for questions, where a sitting leaves them."""
    return int(QUESTIONS_SHARE * budget) // QUESTION * QUESTION


def _first_fit(filled: Days, pieces: Sequence[Piece], most: int, reserve: int) -> list[list[Item]] | None:
    """Return the items by day, at most so many minutes of sittings a day; None where not all fit."""
    count, budget = len(filled.days), filled.budget
    least = QUESTION if budget >= 3 * QUESTION else 0
    taken = [[] for _ in range(count)]
    day = 0

    def space(at: int, kept: int) -> int:
        sat = sum(item.minutes for item in taken[at])
        return min(filled.room(at) - sat - kept, most - sat if sat else budget)

    for piece in pieces:
        kept = reserve if piece.minutes <= budget - reserve else 0
        parts = [piece.minutes]
        if piece.minutes > budget:
            number = math.ceil(piece.minutes / (budget - least))
            parts = [piece.minutes // number + (at < piece.minutes % number) for at in range(number)]
            kept = least
        for at, part in enumerate(parts, start=1):
            while day < count and space(day, kept) < part:
                day += 1
            if day == count:
                return None
            label = f"{at}/{len(parts)}" if len(parts) > 1 else ""
            taken[day].append(Item(what="sitting", name=piece.name, minutes=part, part=label))
    return taken


def _stories(filled: Days, wishes: Wishes) -> None:
    count, whole = len(filled.days), wishes.elapsed + len(filled.days)
    number = min(8 if whole > 20 else 4, int(STORIES_SHARE * whole * filled.budget) // STORY)
    for day in _spread(number, 0, whole - 1)[wishes.told :] if number else []:
        free = [other for other in range(count) if not filled.has(other, "story")]
        story = Item(what="story", minutes=STORY)
        near = max(0, day - wishes.elapsed)
        _put(filled, story, near, free)


def _katas(filled: Days, wishes: Wishes) -> None:
    """Put katas on days that have room beside the questions; two at least, though they take some of these."""
    names = list(wishes.katas)
    count, whole = len(filled.days), wishes.elapsed + len(filled.days)
    number = min(len(names) + wishes.solved, int(KATAS_SHARE * whole * filled.budget) // KATA)
    reserve = _reserve(filled.budget)
    kata, placed = Item(what="kata", minutes=KATA), wishes.solved
    for most, kept in ((number, reserve), (min(number, LEAST_KATAS), reserve // 2)):
        for day in _spread(number, 0, whole - 1)[placed:] if number else []:
            free = [other for other in range(count) if filled.has(other, "kata") < MOST_KATAS]
            if placed < most:
                placed += _put(filled, kata, max(0, day - wishes.elapsed), free, max(QUESTION, kept))
    for items in filled.days:
        items[:] = [
            item.model_copy(update={"name": names.pop(0)}) if item.what == "kata" and not item.name else item
            for item in items
        ]


def hours(minutes: int) -> str:
    """Return minutes as one says them: 45 minutes, 1 hour, 9.8 hours."""
    if minutes < 60:
        return f"{minutes} minutes"
    return "1 hour" if minutes == 60 else f"{round(minutes / 60, 1):g} hours"

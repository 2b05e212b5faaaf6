"""What a learner has answered: a review log that only grows, and the schedule that follows from it.

The log is one SQLite file in the user's state folder. Cards are never stored: they are replayed from the log
by fsrs, so two terminals can't disagree, and a scheduler of another version can't break them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from fsrs import Card, Rating, ReviewLog, Scheduler

from course import progress
from walkforward.errors import WalkForwardError

if TYPE_CHECKING:
    from course.practice.bank import Question

TEN_MINUTES = timedelta(minutes=10)
# One step of ten minutes: an answer takes minutes, so fsrs' step of one minute would be over at once. No
# fuzzing: a replay must give the same cards.
SCHEDULER = Scheduler(learning_steps=[TEN_MINUTES], relearning_steps=[TEN_MINUTES], enable_fuzzing=False)
NOW = "WALKFORWARD_NOW"
TABLES = """
CREATE TABLE IF NOT EXISTS reviews (id INTEGER PRIMARY KEY, question TEXT NOT NULL, rating INTEGER NOT NULL,
    reviewed TEXT NOT NULL, seconds REAL, must TEXT NOT NULL, good TEXT NOT NULL, source TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rehearsals (id INTEGER PRIMARY KEY, story TEXT NOT NULL, rehearsed TEXT NOT NULL,
    seconds REAL NOT NULL, points TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
ATTEMPTS = """
ALTER TABLE reviews ADD COLUMN said TEXT NOT NULL DEFAULT '';
CREATE TABLE unfinished (id INTEGER PRIMARY KEY, question TEXT NOT NULL, answered TEXT NOT NULL, seconds REAL,
    said TEXT NOT NULL, ticks TEXT NOT NULL, process TEXT NOT NULL);
CREATE TABLE attempts (id INTEGER PRIMARY KEY, what TEXT NOT NULL, name TEXT NOT NULL,
    passed INTEGER NOT NULL, seconds REAL NOT NULL, ended TEXT NOT NULL, detail TEXT NOT NULL);
"""
STEPS = (TABLES, ATTEMPTS)  # from each version of the log to the next; a step that is out never changes
VERSION = len(STEPS)
WHATS = ("kata", "ticket", "round")
SECONDS_A_POINT = 4  # no point of an answer is said aloud in less


class StateError(WalkForwardError, ValueError):
    """The review log can't be read or written; the message says which file, and the way out."""


def utc_now() -> datetime:
    """Return the time, in UTC: that of WALKFORWARD_NOW, where it is set, so that days can be played through.

    Raises StateError when it is set to what is no time with a zone.
    """
    if not (given := os.environ.get(NOW)):
        return datetime.now(UTC)
    try:
        return _moment(given).astimezone(UTC)
    except (ValueError, OverflowError):
        raise StateError(
            f"{NOW} is {given!r}, no time with a zone; write 2026-12-05T09:00+00:00, or unset it"
        ) from None


def rate(minutes: float, must: Sequence[bool], good: Sequence[bool], seconds: float | None) -> Rating:
    """Return the rating that follows from the points that an answer had and from its time.

    Again: a `must` point is missing. Hard: none is, but it took over one and a half times the question's
    minutes. Easy: every `must` and every `good` point, of which there is one at least, within the minutes,
    but not too soon to have been said. Good: everything else. Without a measured time (None) neither Hard nor
    Easy is given.
    """
    if not all(must):
        return Rating.Again
    if seconds is None:
        return Rating.Good
    if seconds > 90 * minutes:
        return Rating.Hard
    easy = good and all(good) and seconds <= 60 * minutes and not too_soon(must, good, seconds)
    return Rating.Easy if easy else Rating.Good


def too_soon(must: Sequence[bool], good: Sequence[bool], seconds: float) -> bool:
    """Return whether an answer ended before its points can have been said: under four seconds a point."""
    return seconds < SECONDS_A_POINT * (sum(must) + sum(good))


def rebuilt(question: str, logs: list[ReviewLog], interview: date | None = None) -> Card:
    """Return a question's card, replayed from its reviews; an interview date caps the interval.

    The cap is half of the days that are left at the last review, one day at least: each question comes back
    before the interview, and more often as it nears. It is fsrs' own maximum_interval, for that many days.
    """
    first = Card(card_id=_card_id(question), due=datetime.min.replace(tzinfo=UTC))
    card = SCHEDULER.reschedule_card(first, logs)
    left = (interview - card.last_review.date()).days if interview and card.last_review else 0
    if left > 0:
        card.due = min(card.due, card.last_review + timedelta(days=max(1, left // 2)))
    return card


def _card_id(question: str) -> int:
    return zlib.crc32(question.encode())


@dataclass(frozen=True)
class Review:
    """One answer as it was graded; seconds is None when nobody measured."""

    question: str
    rating: Rating
    reviewed: datetime
    seconds: float | None
    must: list[bool]
    good: list[bool]
    source: str
    said: str = ""  # what was typed as the answer


@dataclass
class Draft:
    """An answer that is not graded yet: what was typed, its seconds, and the ticks given so far.

    ticks: pairs of a point's text and whether the answer had it; None while the answer goes on. id: its row
    in the log, None while it has none.
    """

    question: str
    answered: datetime
    seconds: float = 0.0
    said: str = ""
    ticks: list[tuple[str, bool]] | None = None
    id: int | None = None


@dataclass(frozen=True)
class Attempt:
    """One kata, ticket of the clinic or round, as it ended."""

    what: str
    name: str
    passed: bool
    seconds: float
    ended: datetime
    detail: dict[str, Any]


def replayed(reviews: Iterable[Review], interview: date | None) -> dict[str, Card]:
    """Return the card of each question in the log, by its id."""
    logs: dict[str, list[ReviewLog]] = {}
    for one in reviews:
        lasted = None if one.seconds is None else int(1000 * one.seconds)
        log = ReviewLog(_card_id(one.question), one.rating, one.reviewed, lasted)
        logs.setdefault(one.question, []).append(log)
    return {question: rebuilt(question, own, interview) for question, own in logs.items()}


class State:
    """The log and the settings in one SQLite file. Every call opens and closes it: nothing is held back."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or progress.progress_file().with_name("interview.sqlite")
        with self._open() as db:
            if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                with contextlib.suppress(sqlite3.OperationalError):  # another process is at it: the next call
                    db.execute("PRAGMA journal_mode=WAL")  # readers don't wait for a writer
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise StateError(f"{self.path} is of a newer version of the course; update it (git pull)")
            if version < VERSION:
                self._migrate(db)

    @staticmethod
    def _migrate(db: sqlite3.Connection) -> None:
        """Bring the file to this version in one transaction; two processes at once do it once."""
        db.execute("BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        for statement in ";".join(STEPS[version:]).split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version={max(version, VERSION)}")
        db.execute("COMMIT")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        way_out = "set WALKFORWARD_STATE to a folder you may write"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous=FULL")  # a commit is on the disk
                yield db
        except (OSError, sqlite3.OperationalError) as error:
            raise StateError(f"{self.path} can't be written ({error}): {way_out}") from error
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # a statement of ours is wrong, not the file
                raise
            raise self._unreadable(error) from error

    def _unreadable(self, why: object) -> StateError:
        return StateError(f"{self.path} can't be read ({why}): move it away; a new one is begun, empty")

    def record(
        self,
        question: Question,
        must: Sequence[bool],
        good: Sequence[bool],
        seconds: float | None,
        source: str,
        reviewed: datetime | None = None,
        said: str = "",
        draft: int | None = None,
    ) -> Review:
        """Append one graded answer, on the disk when this returns, and return it with its rating.

        said: the answer as it was typed, empty when it was only spoken. draft: its row while it was not
        graded, which goes with the same commit.
        """
        rating, points = rate(question.minutes, must, good, seconds), (list(must), list(good))
        review = Review(question.id, rating, reviewed or utc_now(), seconds, *points, source, said)
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            _append(db, [review])
            db.execute("DELETE FROM unfinished WHERE id = ?", (draft,))
            db.execute("COMMIT")
        return review

    def add(self, reviews: Sequence[Review]) -> tuple[int, int]:
        """Append answers that were given elsewhere, all or none; return how many are new, and how many not.

        An answer is one question at one moment, to the millisecond, which is what a browser keeps of it.
        """
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            there = {
                (name, _millisecond(_moment(when)))
                for name, when in db.execute("SELECT question, reviewed FROM reviews")
            }
            fresh = {(one.question, _millisecond(one.reviewed)): one for one in reversed(reviews)}
            new = [one for key, one in reversed(fresh.items()) if key not in there]
            _append(db, new)
            db.execute("COMMIT")
        return len(new), len(reviews) - len(new)

    def keep(self, draft: Draft) -> None:
        """Put an answer that is not graded yet on the disk, as this process' own."""
        row = (draft.question, draft.answered.isoformat(), draft.seconds, draft.said, json.dumps(draft.ticks))
        with self._open() as db:
            if draft.id is None:
                draft.id = db.execute(
                    "INSERT INTO unfinished (question, answered, seconds, said, ticks, process) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (*row, _me()),
                ).lastrowid
            else:
                db.execute(
                    "UPDATE unfinished SET question=?, answered=?, seconds=?, said=?, ticks=? WHERE id=?",
                    (*row, draft.id),
                )

    def release(self, draft: Draft) -> None:
        """Leave an answer that is not graded yet to whoever practises next."""
        with self._open() as db:
            db.execute("UPDATE unfinished SET process = '' WHERE id = ?", (draft.id,))

    def take(self, question: str) -> Draft | None:
        """Return the last answer to a question that was left without its grade; it is this process' own now.

        None when there is none, or when it is on another terminal's screen.
        """
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            rows = db.execute(
                "SELECT question, answered, seconds, said, ticks, id, process FROM unfinished "
                "WHERE question = ? ORDER BY id DESC",
                (question,),
            ).fetchall()
            for name, answered, seconds, said, ticks, row, process in rows:
                if _is_free(process):
                    db.execute("UPDATE unfinished SET process = ? WHERE id = ?", (_me(), row))
                    db.execute("COMMIT")
                    try:
                        pairs = json.loads(ticks)
                        pairs = pairs if pairs is None else [(text, bool(had)) for text, had in pairs]
                        return Draft(name, _moment(answered), float(seconds), said, pairs, row)
                    except (ValueError, TypeError) as error:
                        raise self._unreadable(f"an answer in it: {error}") from error
        return None

    def unfinished(self) -> list[str]:
        """Return the ids of questions whose answer was left without its grade, the first left first."""
        with self._open() as db:
            rows = db.execute("SELECT question, process FROM unfinished ORDER BY id").fetchall()
        return list(dict.fromkeys(question for question, process in rows if _is_free(process)))

    def reviews(self) -> list[Review]:
        """Return the whole log, in the order of time."""
        with self._open() as db:
            rows = db.execute(
                "SELECT question, rating, reviewed, seconds, must, good, source, said FROM reviews"
            )
            try:
                found = [
                    Review(name, Rating(rating), _moment(when), seconds, *map(json.loads, points), by, said)
                    for name, rating, when, seconds, *points, by, said in rows
                ]
            except (ValueError, TypeError) as error:
                raise self._unreadable(f"a review in it: {error}") from error
        return sorted(found, key=lambda review: review.reviewed)

    def cards(self) -> dict[str, Card]:
        """Return the card of each question that was ever graded, by its id."""
        return replayed(self.reviews(), self.interview())

    def due(self, question: str) -> datetime:
        """Return when a question that was graded is due again."""
        own = [review for review in self.reviews() if review.question == question]
        return replayed(own, self.interview())[question].due

    def setting(self, name: str) -> str | None:
        """Return a setting, None when it was never set."""
        with self._open() as db:
            row = db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set(self, name: str, value: str) -> None:
        """Keep a setting; the last one counts."""
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    def change(self, values: Mapping[str, str], seen: Mapping[str, str | None]) -> bool:
        """Keep several settings, all or none; False when one of `seen` is no longer what it was.

        Who read a setting, thought about it and writes it back thus never drops what another terminal wrote.
        """
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            there = dict(db.execute("SELECT name, value FROM settings").fetchall())
            if same := all(there.get(name) == value for name, value in seen.items()):
                db.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", list(values.items()))
            db.execute("COMMIT")
        return same

    def interview(self) -> date | None:
        """Return the day of the interview, None when it is not known."""
        day = self.setting("interview")
        try:
            return date.fromisoformat(day) if day else None
        except (ValueError, TypeError) as error:
            way_out = "`walkforward practice --interview-date none` forgets it"
            raise StateError(f"the interview's day in {self.path} is {day!r}: {way_out}") from error

    def record_rehearsal(self, story: str, seconds: float, points: Sequence[bool]) -> None:
        """Append one telling of a story of the learner's own."""
        row = (story, utc_now().isoformat(), seconds, json.dumps(list(points)))
        with self._open() as db:
            db.execute("INSERT INTO rehearsals (story, rehearsed, seconds, points) VALUES (?, ?, ?, ?)", row)

    def rehearsals(self) -> list[tuple[str, datetime, float, list[bool]]]:
        """Return every telling: story, time, seconds, points; in the order of time."""
        with self._open() as db:
            rows = db.execute(
                "SELECT story, rehearsed, seconds, points FROM rehearsals ORDER BY id"
            ).fetchall()
        try:
            return [
                (story, _moment(when), lasted, json.loads(points)) for story, when, lasted, points in rows
            ]
        except (ValueError, TypeError) as error:
            raise self._unreadable(f"a rehearsal in it: {error}") from error

    def record_attempt(
        self, what: str, name: str, passed: bool, seconds: float, detail: dict[str, Any]
    ) -> Attempt:
        """Append a kata, a ticket or a round, on the disk when this returns; detail goes through JSON.

        Raises ValueError when `what` is none of the three.
        """
        if what not in WHATS:
            raise ValueError(f"an attempt is of {', '.join(WHATS)}, not of {what!r}")
        attempt = Attempt(what, name, bool(passed), float(seconds), utc_now(), detail)
        row = (what, name, int(attempt.passed), attempt.seconds, attempt.ended.isoformat())
        with self._open() as db:
            db.execute(
                "INSERT INTO attempts (what, name, passed, seconds, ended, detail) VALUES (?, ?, ?, ?, ?, ?)",
                (*row, json.dumps(detail)),
            )
        return attempt

    def attempts(self, what: str | None = None) -> list[Attempt]:
        """Return the attempts at katas ("kata"), tickets, rounds, or all of them, in the order of time."""
        with self._open() as db:
            rows = db.execute(
                "SELECT what, name, passed, seconds, ended, detail FROM attempts "
                "WHERE ?1 IS NULL OR what = ?1 ORDER BY id",
                (what,),
            ).fetchall()
        try:
            found = [
                Attempt(kind, name, bool(passed), float(seconds), _moment(ended), json.loads(detail))
                for kind, name, passed, seconds, ended, detail in rows
            ]
        except (ValueError, TypeError) as error:
            raise self._unreadable(f"an attempt in it: {error}") from error
        return sorted(found, key=lambda attempt: attempt.ended)


def _me() -> str:
    """This process, told apart from a later one of the same number."""
    me = psutil.Process()
    return f"{me.pid} {me.create_time()}"


def _is_free(process: str) -> bool:
    """Whether nobody has an answer on the screen: it was released, or its process is gone."""
    try:
        number, began = process.split()
        return psutil.Process(int(number)).create_time() != float(began)
    except (ValueError, psutil.NoSuchProcess):
        return True
    except psutil.AccessDenied:  # somebody else's, so not one of ours
        return True


def _append(db: sqlite3.Connection, reviews: Iterable[Review]) -> None:
    """Write rows of the log, in the transaction that is open."""
    db.executemany(
        "INSERT INTO reviews (question, rating, reviewed, seconds, must, good, source, said) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(one.question, int(one.rating), one.reviewed.isoformat(), one.seconds),
                *(json.dumps(one.must), json.dumps(one.good), one.source, one.said),
            )
            for one in reviews
        ],
    )


def _millisecond(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)


def _moment(text: str) -> datetime:
    """A time as it was logged, in UTC; ValueError for one without a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {text!r} has no zone")
    return moment

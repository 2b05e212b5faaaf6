"""Where a flow keeps all that it knows: a folder with a journal, files that are whole or absent, and a lock.

`Journal` and the idea of `kill` are those of lesson 12c, copied because a project imports no lesson.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from walkforward.errors import WalkForwardError

STEPS = (
    "ingest",
    "validate",
    "features",
    "canary",
    "monitor",
    "decide",
    "train",
    "gate",
    "register",
    "deploy",
)
DURATION, DEMAND = "trip-duration", "station-demand"
FULL_WORDS = "disk is full|No space left|Write incomplete"  # SQLite, the system, XGBoost
ROOM = 1_000_000  # bytes; SQLite asks for 32 KB at once, beside its log
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DAMAGED = "take the whole folder from a backup, or begin anew in another"
OURS = ("journal.jsonl", "raw", "trips", "releases", "demand", "store", "predictions.db", "pages")
# What a step makes of a month, and the last step before it: its line was written before that was made.
MADE = {
    "trips/{}/taken.parquet": "ingest",
    "trips/{}/features.parquet": "validate",
    "releases/{}": "decide",
    "demand/{}": "decide",
    "demand/{}.forecast.parquet": "register",
}
PATHS = {  # MLflow's, which begin with the place of its artifacts
    "experiments": ["artifact_location"],
    "runs": ["artifact_uri"],
    "model_versions": ["source", "storage_location"],
    "logged_models": ["artifact_location"],
}
KINDS = {"first": str, "policy": str, "label_days": int, "share": float | int, "offset": int}
KINDS |= {"planted": str, "reviews": list, "serve": bool}


class CapstoneError(WalkForwardError, RuntimeError):
    """Something outside the flow is wrong; the line says where, what, and how to go on."""


@dataclass(frozen=True)
class Settings:
    """What a state was begun with; it stays, so that each month of it is comparable with the others."""

    first: str
    policy: str = "drift or error"
    label_days: int = 5  # from a drop-off until its label is there
    share: float = 0.2  # of the users ask a canary, in the first ten days of a month
    offset: int = 60  # months from the ridership's days to the trips' (README.md says why)
    planted: str = ""  # in this month the canary is sent kilometres
    reviews: tuple[
        dict[str, Any], ...
    ] = ()  # changes of a limit by a person: month, question, limit, who, why
    serve: bool = True  # each new version is started with `walkforward serve` and asked over HTTP


class Journal:
    """A file with a line of JSON for each finished step, which is written last and has all that was found."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def lines(self) -> list[dict[str, Any]]:
        """All that was written; a last line that a kill has cut off does not count."""
        lines: list[dict[str, Any]] = []
        try:
            text = self.file.read_bytes() if self.file.exists() else b""
            for line in text.split(b"\n")[:-1]:
                one = json.loads(line.decode("utf-8"))
                if not (one["month"] and one["step"] in STEPS):
                    raise ValueError(line)
                lines.append(one)
        except (ValueError, TypeError, KeyError):
            raise CapstoneError(f"{self.file} is damaged in line {len(lines) + 1}: {DAMAGED}") from None
        except OSError as error:
            raise CapstoneError(f"{self.file} can't be read ({error.strerror}): see to it") from None
        return lines

    def find(self, month: str, step: str) -> dict[str, Any]:
        """The line of this step of this month; an empty one where there is none."""
        return next((one for one in self.lines() if (one["month"], one["step"]) == (month, step)), {})

    def of(self, month: str) -> dict[str, dict[str, Any]]:
        """The lines of a month by step."""
        return {one["step"]: one for one in self.lines() if one["month"] == month}

    def months(self) -> list[str]:
        """The months that have a line, in their order."""
        return sorted({one["month"] for one in self.lines()})

    def write(self, month: str, step: str, told: dict[str, Any]) -> None:
        """Add a line: the whole file takes the old one's place."""
        lines = [*self.lines(), {"month": month, "step": step, **told}]
        part = self.file.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            file.write("".join(json.dumps(one) + "\n" for one in lines))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.file)


@dataclass
class State:
    """The folder of one flow. `kill(where)` may end the process before, inside or after a step.

    Args:
        folder: all that the flow writes; throw it away to begin anew.
        settings: what it was begun with.
        trips: the raw trips of a month, from whoever delivers them.
        rides: the daily rides, columns ds and y.
        store: MLflow's address; default: an SQLite file in the folder.
        patience: seconds to wait for another run that is at work in the folder.
    """

    folder: Path
    settings: Settings
    trips: Callable[[str], pd.DataFrame]
    rides: Callable[[], pd.DataFrame]
    store: str = ""
    patience: float = 600
    kill: Callable[[str], None] = lambda where: None
    at: str = ""  # the step of the month that is being done
    journal: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "journal.jsonl")

    @contextlib.contextmanager
    def whole(self, *parts: str) -> Iterator[Path]:
        """Give a file or folder to write, which gets its name when the block ends; a half one goes."""
        path = self.folder.joinpath(*parts)
        part = path.with_name(f".{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        yield part
        self.kill(f"inside {self.at}")
        if path.is_dir():  # a file gives way to the new one at once, a folder does not
            _remove(path)
        part.replace(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other run in while the block lasts. The system takes the lock of a process that dies."""
        self.folder.mkdir(parents=True, exist_ok=True)
        end = time.monotonic() + self.patience
        with (self.folder / "lock").open("a+b") as file:
            while not _taken(file):
                if time.monotonic() > end:
                    raise CapstoneError(
                        f"another run is at work in {self.folder}: wait until it ends, or name another "
                        "folder with --state"
                    )
                time.sleep(0.05)
            yield

    def file(self, *parts: str) -> Path:
        """A path in the folder."""
        return self.folder.joinpath(*parts)


def opened(
    folder: Path,
    wanted: Settings,
    trips: Callable[[str], pd.DataFrame],
    rides: Callable[[], pd.DataFrame],
    **more: Any,
) -> State:
    """The state in a folder; a new one is begun with the settings that are wanted, an old one keeps its own.

    Raises: CapstoneError, when an old one was begun with others.
    """
    state = State(Path(folder).resolve(), wanted, trips, rides, **more)
    if set("?%") & set(str(state.folder)):
        raise CapstoneError(f"{state.folder}: MLflow keeps no store below a name with ? or %: name another")
    with told_plainly(f"{folder}"), state.locked():
        file = state.file("settings.json")
        if not file.exists():
            if there := [one for one in OURS if state.file(one).exists()]:
                raise CapstoneError(
                    f"{state.folder} has {there[0]} and no settings.json: if it is a flow's, {DAMAGED}; if "
                    "not, name another with --state"
                )
            with state.whole("settings.json") as part:
                part.write_text(json.dumps(dataclasses.asdict(wanted), indent=1) + "\n", encoding="utf-8")
        known = read_settings(file)
        refuse_lost(state)
    state.settings = Settings(**known)
    for name, value in dataclasses.asdict(wanted).items():
        if name not in ("first", "serve") and _as_json(value) != _as_json(known[name]):
            begun = f"{folder} was begun with {name} {known[name]!r}, not {value!r}"
            raise CapstoneError(f"{begun}: name another folder with --state")
    state.settings = dataclasses.replace(state.settings, serve=wanted.serve)
    return state


def read_settings(file: Path) -> dict[str, Any]:
    """The settings that a state was begun with. Raises: CapstoneError."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        settings = dataclasses.asdict(Settings(**known))
        odd = [name for name, kind in KINDS.items() if not isinstance(settings[name], kind)]
        odd += ["first"] * (not odd and re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", known["first"]) is None)
        for review in [] if odd else settings["reviews"]:
            odd += ["reviews"] * (not {"month", "question", "limit", "who", "why"} <= set(review))
        if odd:
            raise ValueError(odd[0])
        return settings | {"reviews": tuple(known["reviews"])}
    except (ValueError, TypeError, KeyError) as error:
        where = f" in {error}" if str(error) in KINDS else ""
        raise CapstoneError(f"{file} is damaged{where}: {DAMAGED}") from None


def refuse_lost(state: State) -> None:
    """Refuse a folder that a part of is lost, and let MLflow's store follow a folder that was moved.

    Raises: CapstoneError, when the journal lacks a line of what was made, or the store is not the journal's.
    """
    lines = state.journal.lines()
    done = {(one["month"], one["step"]) for one in lines}
    for month in {month for month, _ in done}:
        steps = [step for step in STEPS if (month, step) in done]
        if steps != list(STEPS[: len(steps)]):
            lost = next(one for one in STEPS if one not in steps)
            raise CapstoneError(f"{state.journal.file} has lost the line of {lost} of {month}: {DAMAGED}")
    for made, before in MADE.items():
        folder, _, rest = made.partition("/")
        pattern = re.compile(re.escape(rest.partition("/")[0]).replace(r"\{\}", r"(\d{4}-\d\d)"))
        for one in state.file(folder).glob("*") if state.file(folder).exists() else ():
            month = pattern.fullmatch(one.name)
            if month and state.file(made.format(month[1])).exists() and (month[1], before) not in done:
                what = (
                    f"{made.format(month[1])} is there, and {state.journal.file.name} has no line of {before}"
                )
                raise CapstoneError(f"{state.folder}: {what} of that month: {DAMAGED}")
    if any(one["step"] == "monitor" and "answered" in one for one in lines):
        if not state.file("predictions.db").exists():
            raise CapstoneError(f"{state.file('predictions.db')}, the log of the answers, is gone: {DAMAGED}")
    versions = [one for one in lines if one["step"] == "register" and {"duration", "demand"} & set(one)]
    if state.store or not (versions or state.file("store", "mlflow.db").exists()):
        return
    file = state.file("store", "mlflow.db")
    if not file.exists():
        known = "if the journal's versions are in another store, name it by CAPSTONE_STORE"
        raise CapstoneError(f"{file} is not there: {known}; else {DAMAGED}")
    here = state.file("store", "artifacts")
    try:
        with contextlib.closing(sqlite3.connect(file)) as sql, sql:
            found = sql.execute(
                "select artifact_location from experiments where name = 'releases'"
            ).fetchone()
            if found and found[0] != here.as_uri():
                for table, columns in PATHS.items():
                    for column in columns:
                        change = f"update {table} set {column} = replace({column}, ?, ?)"
                        sql.execute(change, (found[0], here.as_uri()))
    except sqlite3.DatabaseError as error:
        if _says_full(str(error)):
            raise
        raise CapstoneError(
            f"{file} can't be used ({error}): see that it can be written; or {DAMAGED}"
        ) from None


def _as_json(value: Any) -> str:
    return json.dumps(value)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _taken(file: Any) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True


@contextlib.contextmanager
def told_plainly(where: str, folder: Path | None = None) -> Iterator[None]:
    """Make a full disk, a store that is away and a file of `folder` that is damaged one line."""
    again = "what is finished stays; then give the same command again"
    try:
        yield
    except WalkForwardError as error:
        if isinstance(error, CapstoneError):
            raise
        cause = _root(error)
        if isinstance(cause, OSError) and cause.errno in FULL or _says_full(str(error)):
            raise CapstoneError(f"{where}: the disk is full: make room; {again}") from error
        raise CapstoneError(f"{where}: {error}") from error
    except Exception as error:
        text = " ".join(str(error).split())
        if inner := re.search(r"\(sqlite3\.\w+\) ([^\[]+)", text):  # SQLAlchemy says where it was at length
            text = inner[1] + text[inner.end() :]
        if isinstance(error, OSError) and error.errno in FULL or _says_full(text):
            raise CapstoneError(f"{where}: the disk is full: make room; {again}") from error
        module = type(error).__module__.partition(".")[0]
        if module in ("pyarrow", "xgboost"):
            file = _damaged(folder) or f"a file of {module}"
            raise CapstoneError(f"{where}: {file} is damaged ({text[:80]}): {DAMAGED}") from error
        if re.search("disk image is malformed|file is not a database", text):
            raise CapstoneError(f"{where}: the store is damaged ({text[:120]}): {DAMAGED}") from error
        if re.search("readonly database|unable to open database", text):
            raise CapstoneError(f"{where}: the store can't be written: see to its folder; {again}") from error
        if _is_away(error):
            raise CapstoneError(
                f"{where}: the store does not answer ({text[:120]}): start it; {again}"
            ) from error
        if isinstance(error, OSError) and error.filename:
            reason = f"{error.filename} ({error.strerror})"
            raise CapstoneError(f"{where}: {reason}: see that it can be read and written; {again}") from error
        raise


def _says_full(text: str) -> bool:
    """Whether a message tells of a full disk; SQLite says "disk I/O error" where its file has no room."""
    if re.search(FULL_WORDS, text):
        return True
    file = re.search(r"sqlite:///(.+?\.db)\b", text)
    if "disk I/O error" not in text or file is None:
        return False
    return shutil.disk_usage(Path(file[1]).parent).free < ROOM


def _damaged(folder: Path | None) -> Path | None:
    """The first Parquet file that has lost its end."""
    import pyarrow
    import pyarrow.parquet

    for file in sorted(folder.rglob("*.parquet")) if folder else ():
        try:
            pyarrow.parquet.read_metadata(file)
        except (pyarrow.ArrowException, OSError):
            return file
    return None


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_away(error: BaseException) -> bool:
    """Whether MLflow, or what it asks, says that nobody is there."""
    module = type(error).__module__.partition(".")[0]
    if module in ("requests", "urllib3", "sqlalchemy"):
        return True
    words = (
        "failed with exception",
        "Max retries",
        "Connection",
        "OperationalError",
        "failed with error code 5",  # a proxy before it
    )
    return module == "mlflow" and any(word in str(error) for word in words)

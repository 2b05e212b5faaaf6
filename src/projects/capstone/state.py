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
        text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        try:
            return [json.loads(line) for line in text.split("\n")[:-1]]
        except ValueError:
            raise CapstoneError(f"{self.file} is damaged: take it from a backup, or begin anew") from None

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
    with told_plainly(f"{folder}"), state.locked():
        file = state.file("settings.json")
        if not file.exists():
            with state.whole("settings.json") as part:
                part.write_text(json.dumps(dataclasses.asdict(wanted), indent=1) + "\n", encoding="utf-8")
        known = read_settings(file)
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
        return dataclasses.asdict(Settings(**known)) | {"reviews": tuple(known["reviews"])}
    except (ValueError, TypeError, KeyError):
        raise CapstoneError(f"{file} is damaged: take it from a backup, or begin anew") from None


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
def told_plainly(where: str) -> Iterator[None]:
    """Make a full disk and a store that is away one line; what is done stays done."""
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
        if isinstance(error, OSError) and error.errno in FULL or _says_full(text):
            raise CapstoneError(f"{where}: the disk is full: make room; {again}") from error
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
        "unable to open database",
    )
    return module == "mlflow" and any(word in str(error) for word in words)

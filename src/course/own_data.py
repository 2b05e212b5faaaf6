"""What a lesson needs of a file of the reader's own, checked in its first cell.

A lesson's parameters are the course's: its months, its days. Those that do not fit the file are chosen by
it, and the line that is printed names them. Where the reader chose one that does not fit, or the file is too
small for the lesson, an `OwnDataError` says what was found, what is needed and which parameter helps.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from course.data import (
    FIRST_MONTH,
    LAST_MONTH,
    DataError,
    Source,
    load_ridership,
    load_trips,
    months,
    prepare_trips,
)
from walkforward.errors import WalkForwardError

COURSE_DAY = "2019-10-01"  # of `test_from` and `live_from` in the lessons with one cut
TRAINING, TEST = 200, 50  # plausible trips that a lesson wants on the two sides of its cut
A_MONTH, DAYS = 200, 4  # plausible trips, and days that have some, that make a month


class OwnDataError(WalkForwardError, ValueError):
    """A file that a lesson can't run on, or a parameter that does not fit it. The message is one line."""


# ---------------------------------------------------------------- trips on two sides of a day
def split_trips(
    path: Source | Sequence[Source], first: str, last: str, max_trips: int, **cut: str
) -> tuple[pd.DataFrame, str]:
    """The trips of `path` as `load_trips` gives them, at most `max_trips`, and the day that splits them.

    `cut` is the lesson's parameter by name (`test_from="2019-10-01"`). The course's day, where it leaves too
    few trips on a side, gives way to one that leaves a quarter behind it. Prints one line; raises
    `OwnDataError`.
    """
    [(name, wanted)] = cut.items()
    trips, size = _read(path, _span_of_months(first, last, path), max_trips)
    pickup = _plausible(trips)["pickup_datetime"].sort_values(ignore_index=True)
    if len(pickup) < TRAINING + TEST:
        raise OwnDataError(
            f"{_shown(path)} has {len(pickup):,} trips of 1 to 60 minutes, the lesson needs "
            f"{TRAINING + TEST}: give a file of more trips, -p trips_path FILE"
        )
    best = _last_quarter(pickup)
    chosen = best if wanted == COURSE_DAY and not _splits(pickup, wanted) else wanted
    if not _splits(pickup, chosen):
        raise OwnDataError(
            f"{name} {wanted!r} does not split {_shown(path)}, whose trips lie from {_span(pickup)}; the "
            f"lesson wants {TRAINING} trips before it and {TEST} from it on: -p {name} {_word(best)}"
        )
    _say(f"{size}, {_span(pickup)}", {} if chosen == wanted else {name: chosen})
    return trips, chosen


def _splits(pickup: pd.Series, day: Any) -> bool:
    """Whether enough trips lie on both sides of this day; False for what is no day."""
    try:
        before = int((pickup < pd.Timestamp(day)).sum()) if isinstance(day, str) else 0
    except (ValueError, TypeError):  # no date, or one with a time zone
        return False
    return before >= TRAINING and len(pickup) - before >= TEST


def _last_quarter(pickup: pd.Series) -> str:
    """A day that leaves about a quarter of the trips behind it; in files of a few days, a minute."""
    late = pickup[3 * len(pickup) // 4]
    for unit in ("D", "h", "min", "s"):
        for moment in (late.floor(unit), late.ceil(unit)):
            form = "%Y-%m-%d" if unit == "D" else "%Y-%m-%d %H:%M:%S"
            if _splits(pickup, moment.strftime(form)):
                return moment.strftime(form)
    return str(late)


def with_counts(trips: pd.DataFrame, column: str) -> pd.DataFrame:
    """The trips, with 1 for an unknown count where hardly any is known; a line says so."""
    known = trips[column] > 0
    if known.mean() >= 0.2:
        return trips
    print(f"{column} is known of {known.mean():.0%} of the trips: the lesson takes 1 for the others.")
    return trips.assign(**{column: trips[column].where(known, 1)})


def day_before(trips: pd.DataFrame, wanted: str, cut: str) -> str:
    """`wanted` where trips before `cut` lie on both sides of it, else the day in their middle."""
    pickup = _plausible(trips)["pickup_datetime"]
    before = pickup[pickup < cut]
    if isinstance(wanted, str) and before.min() < pd.Timestamp(wanted) <= before.max():
        return wanted
    return str(before.quantile(0.5, "nearest"))


# ---------------------------------------------------------------- trips by month
# For chapters that compare months, the parameters of their sittings in order: where in the file's months one
# lies by default (0 the first, 1 the last, None as late as the others leave), and at least how many months
# after the one before it.
PLACES: dict[str, dict[str, tuple[float | None, int]]] = {
    "00": {
        "train_from": (0, 0),
        "train_to": (None, 0),
        "live_from": (0.33, 1),
        "shock_month": (0.6, 0),
        "live_to": (1, 1),
    },
    "04": {
        "more_from": (0, 0),
        "first_month": (0.5, 0),
        "valid_month": (None, 1),
        "test_month": (1, 1),
    },
    "11a": {
        "first_month": (0, 0),
        "live_from": (0.2, 1),
        "quiet_from": (0.45, 0),
        "incident_month": (0.55, 1),
        "calm_until": (None, 0),
        "shock_month": (0.72, 1),
        "last_month": (1, 0),
    },
    "11b": {
        "first_month": (0, 0),
        "live_from": (0.33, 1),
        "before_month": (0.43, 0),
        "quiet_month": (0.46, 0),
        "next_month": (0.49, 1),
        "calm_until": (None, 0),
        "shock_month": (0.77, 1),
        "last_month": (1, 0),
    },
}


def places_of(lesson: str, names: Collection[str]) -> dict[str, tuple[float | None, int]]:
    """The places of a sitting's parameters `names`, in order, from the entry of its chapter that has all."""
    of_chapter = [places for key, places in PLACES.items() if key[:2] == lesson[:2] and key != lesson]
    for places in [PLACES.get(lesson, {}), *of_chapter]:
        if set(names) <= set(places):
            return {name: place for name, place in places.items() if name in names}
    raise KeyError(f"lesson {lesson}: no place is known for the months {', '.join(sorted(names))}")


def monthly_trips(
    lesson: str, path: Source | Sequence[Source], max_trips: int, note: str = "", **wanted: str
) -> tuple[pd.DataFrame, list[str]]:
    """The trips of `path`, at most `max_trips`, and a month of the file for each parameter of the lesson.

    `wanted` holds those parameters; the months come in the order of `PLACES`. A month that the file has
    stays, one of the course that it lacks is chosen anew. Prints one line, with `note` at its end; raises
    `OwnDataError`.
    """
    places = places_of(lesson, wanted)
    wanted = {name: wanted[name] for name in places}
    asked = [month for month in wanted.values() if _is_month(month)]
    trips, size = _read(path, months(min(asked), max(asked)) if asked else [], max_trips)
    pickup = _plausible(trips)["pickup_datetime"]
    found = _in_a_row(pickup)
    least = 1 + sum(apart for _, apart in places.values())
    if len(found) < least:
        raise OwnDataError(
            f"the lesson compares {least} months in a row of {A_MONTH} trips or more, {_shown(path)} has "
            f"{_listed(found)}: give files of more months, -p trips_path 'FOLDER/{{month}}.parquet'"
        )
    for name, month in wanted.items():
        if month not in found and not (_is_month(month) and FIRST_MONTH <= month <= LAST_MONTH):
            raise OwnDataError(
                f"{name} {month!r} is no month of {_shown(path)}, which has {_listed(found)}: "
                f"-p {name} {_placed(found, places, {})[name]}"
            )
    chosen = _placed(found, places, wanted)
    at = [found.index(month) for month in chosen.values()]
    if any(b - a < apart for a, b, (_, apart) in zip(at, at[1:], list(places.values())[1:], strict=False)):
        kept = ", ".join(f"{name} {month}" for name, month in wanted.items() if month in found)
        way_out = " ".join(f"-p {name} {month}" for name, month in _placed(found, places, {}).items())
        raise OwnDataError(
            f"{kept} in a file of {_listed(found)} leaves no month for the lesson's other parameters, which "
            f"come in this order: {way_out}"
        )
    _say(f"{size}, {_span(pickup)}", {k: v for k, v in chosen.items() if v != wanted[k]}, note)
    in_them = trips["pickup_datetime"].dt.strftime("%Y-%m").isin(found)
    mixed = trips[in_them].sample(frac=1, random_state=0)  # in no order, as the course's are
    return mixed.reset_index(drop=True), list(chosen.values())


def by_month(trips: pd.DataFrame) -> Callable[[str | Sequence[str]], pd.DataFrame]:
    """What gives the trips that began in a month or in several, as `load_trips` does for the course's."""
    month_of = trips["pickup_datetime"].dt.strftime("%Y-%m")
    return lambda month: trips[month_of.isin([month] if isinstance(month, str) else month)]


def day_within(trips: pd.DataFrame) -> int:
    """A day of the month with trips before it, about as many as from it on."""
    days = _plausible(trips)["pickup_datetime"].dt.day
    return max(int(days.median()), int(days.min()) + 1)


def _in_a_row(pickup: pd.Series) -> list[str]:
    """The longest run of months without a hole, each with trips on some days; the latest of equal ones."""
    counted = pickup.dt.day.groupby(pickup.dt.strftime("%Y-%m")).agg(["size", "nunique"])
    runs: list[list[str]] = [[]]
    for month in counted.index[(counted["size"] >= A_MONTH) & (counted["nunique"] >= DAYS)]:
        if runs[-1] and pd.Period(runs[-1][-1], "M") + 1 != pd.Period(month, "M"):
            runs.append([])
        runs[-1].append(month)
    return max(reversed(runs), key=len)


def _placed(
    found: list[str], places: Mapping[str, tuple[float | None, int]], wanted: Mapping[str, str]
) -> dict[str, str]:
    """A month for each parameter: its own where the file has it, else the place of its share."""
    names = list(places)
    room = [apart for _, apart in places.values()]
    at = {name: found.index(wanted[name]) for name in names if wanted.get(name) in found}
    free = [name for name in names if name not in at]
    for name in sorted(free, key=lambda name: places[name][0] is None):  # those with a share first
        i, share = names.index(name), places[name][0]
        low = max(
            [sum(room[1 : i + 1])]
            + [at[n] + sum(room[j + 1 : i + 1]) for j, n in enumerate(names[:i]) if n in at]
        )
        later = [(j, at[n]) for j, n in enumerate(names) if n in at and j > i]
        high = min(
            [len(found) - 1 - sum(room[i + 1 :])] + [where - sum(room[i + 1 : j + 1]) for j, where in later]
        )
        best = high if share is None else round(share * (len(found) - 1))
        at[name] = max(0, min(max(low, best), high))
    return {name: found[at[name]] for name in names}


# ---------------------------------------------------------------- series
# For the sittings of a chapter on a daily series: folds and days of training by default and at least, and the
# days that they take besides: `days` in any case (a year of lags and levels among them), `a_fold` for each
# fold.
TWO_YEARS = {
    "days": 378,
    "a_fold": 28,
    "folds": 52,
    "least_folds": 6,
    "train_days": 1461,
    "least_train_days": 180,
}
SERIES: dict[str, dict[str, int]] = {"13": TWO_YEARS, "15": TWO_YEARS}


def series_of(lesson: str) -> dict[str, int]:
    """What a sitting wants of a series: its own entry's, else its chapter's ("13" for "13b")."""
    return SERIES[lesson if lesson in SERIES else lesson[:2]]


def daily_series(lesson: str, path: Source, folds: int, train_days: int = 0) -> tuple[pd.DataFrame, int, int]:
    """The series of `path` as `load_ridership` gives it, and the folds and days of training that fit it.

    The course's `folds` and `train_days` give way where the series is too short for them. Prints one line;
    raises `OwnDataError`.
    """
    size = series_of(lesson)
    with _named("ridership_path"):
        frame = load_ridership(path)
    names = ["folds", "train_days"][: 2 if size["train_days"] else 1]
    wanted = {"folds": folds, "train_days": train_days}
    least = size["days"] + size["a_fold"] * size["least_folds"] + size["least_train_days"]
    if len(frame) < least:
        raise OwnDataError(
            f"{path} has {len(frame):,} days, the lesson needs {least}: give a longer series, "
            "-p ridership_path FILE"
        )
    if frame["y"].nunique() == 1:
        raise OwnDataError(
            f"{path} has the same y on all {len(frame):,} days, nothing to forecast: -p ridership_path FILE"
        )
    fits = _folds_and_days(len(frame) - size["days"], size, {})
    kept = {name: value for name, value in wanted.items() if value != size[name]}
    chosen = _folds_and_days(len(frame) - size["days"], size, kept)
    whole = all(isinstance(value, int) and value >= size[f"least_{name}"] for name, value in chosen.items())
    if not whole or size["days"] + size["a_fold"] * chosen["folds"] + chosen["train_days"] > len(frame):
        asked = ", ".join(f"{name} {chosen[name]}" for name in names)
        raise OwnDataError(
            f"{path} has {len(frame):,} days, which do not go with {asked}: "
            + " ".join(f"-p {name} {fits[name]}" for name in names)
        )
    span = f"{frame['ds'].iloc[0]:%Y-%m-%d} to {frame['ds'].iloc[-1]:%Y-%m-%d}"
    _say(f"{len(frame):,} days, {span}", {k: v for k, v in chosen.items() if v != wanted[k]})
    return frame, chosen["folds"], chosen["train_days"]


def _folds_and_days(days: int, size: Mapping[str, int], kept: Mapping[str, Any]) -> dict[str, Any]:
    """As many folds and days of training as fit into so many days beside what is kept, up to the course's."""
    for_folds = int(0.4 * days) if size["train_days"] else days
    if isinstance(kept.get("train_days"), int):
        for_folds = days - kept["train_days"]
    folds = kept.get("folds", min(max(for_folds // size["a_fold"], size["least_folds"]), size["folds"]))
    rest = days - size["a_fold"] * folds if isinstance(folds, int) else 0
    return {"folds": folds, "train_days": kept.get("train_days", min(rest, size["train_days"]))}


def regressor(frame: pd.DataFrame, wanted: str | None) -> str | None:
    """The column `wanted`, else the first besides ds and y, that varies and is known on all days."""
    names = [wanted, *frame.columns] if wanted in frame else list(frame.columns)
    known = [name for name in names if name not in ("ds", "y") and frame[name].notna().all()]
    return next((name for name in known if frame[name].nunique() > 1), None)


# ---------------------------------------------------------------- reading, words
def _read(path: Source | Sequence[Source], wanted: list[str], max_trips: int) -> tuple[pd.DataFrame, str]:
    """At most `max_trips` of the trips that have a distance, and how many there are, in words."""
    if not (isinstance(max_trips, int) and max_trips >= TRAINING + TEST):
        raise OwnDataError(f"max_trips {max_trips!r}: a whole number, {TRAINING + TEST} or more")
    sources = [path] if isinstance(path, str | Path) else list(path)
    files = [file for source in sources for file in _files(source, wanted)]
    with _named("trips_path"), contextlib.redirect_stdout(io.StringIO()) as printed:
        trips = load_trips(path=files, sample=max(max_trips // max(len(files), 1), 1))
    drawn = re.search(r"[\d,]+ of [\d,]+ trips, drawn at random", printed.getvalue())
    size = f"{drawn[0]} (max_trips)" if drawn else f"{len(trips):,} trips"
    known = np.isfinite(trips["trip_distance"])
    lacking = f", {int((~known).sum()):,} of them without a distance and left out" if not known.all() else ""
    return trips[known].reset_index(drop=True), f"{size}{lacking}"


@contextlib.contextmanager
def _named(parameter: str) -> Iterator[None]:
    """What the loader refuses, with the parameter that names the file."""
    try:
        yield
    except DataError as error:
        raise OwnDataError(f"{error} (-p {parameter} FILE takes another file)") from None


def _span_of_months(first: str, last: str, path: Any) -> list[str]:
    if "{month}" not in str(path):  # a file is read whole
        return []
    if _is_month(first) and _is_month(last) and first > last:
        raise OwnDataError(f"first_month {first} comes after last_month {last}: -p last_month {first}")
    return months(first, last)


def _files(source: Source, wanted: list[str]) -> list[Source]:
    """The file, or one for each month: those wanted where they are all there, else the last that are."""
    text = str(source)
    if "{month}" not in text:
        return [source]
    by_month = [text.replace("{month}", month) for month in wanted]
    if by_month and (
        re.match(r"\w+://", text) or all(Path(file).expanduser().is_file() for file in by_month)
    ):
        return list(by_month)
    file = Path(text).expanduser()
    name = re.compile(r"\d{4}-(0[1-9]|1[0-2])".join(map(re.escape, file.name.split("{month}"))))
    folder = sorted(file.parent.iterdir()) if file.parent.is_dir() else []
    there = [one for one in folder if name.fullmatch(one.name)]
    if not there:
        raise OwnDataError(f"no file is named {text}, with a month as 2024-01 in it: -p trips_path FILE")
    return list(there[-max(len(wanted), 1) :])


def _plausible(trips: pd.DataFrame) -> pd.DataFrame:
    return prepare_trips(trips[["pickup_datetime", "dropoff_datetime"]])


def _is_month(month: Any) -> bool:
    return isinstance(month, str) and re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month) is not None


def _shown(path: Any) -> str:
    return str(path) if isinstance(path, str | Path) else f"{path[0]} and the other files"


def _span(pickup: pd.Series) -> str:
    """First and last day, without the few trips whose clock is in another year."""
    first, last = pickup.quantile(0.001, "lower"), pickup.quantile(0.999, "higher")
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _listed(found: list[str]) -> str:
    return (", ".join(found) or "none") if len(found) < 4 else f"{found[0]} to {found[-1]}"


def _word(value: str) -> str:
    return f"'{value}'" if " " in value else value


def _say(file: str, chosen: Mapping[str, Any], note: str = "") -> None:
    by_it = ", ".join(f"{name} {value}" for name, value in chosen.items())
    print(
        f"Your file: {file}{f'; chosen by it: {by_it}' if by_it else ''}. The numbers in the text are the "
        f"course's own; yours are in the outputs.{f' {note}' if note else ''}"
    )

"""What is given to the prediction log, settled by type and shape, then brought into its columns' form."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Integral
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd

from walkforward.errors import WalkForwardError
from walkforward.makes import missing

_BYTES = bytes | bytearray | memoryview
_ONE_AXIS = pd.Series | pd.Index | pd.api.extensions.ExtensionArray
_NO_NUMBERS = Iterable | complex | np.complexfloating | np.timedelta64 | np.datetime64 | np.void
_ARGUMENTS = {"yhat": "prediction"}  # what the caller calls it


class MonitoringError(WalkForwardError, ValueError):
    """What can't be logged or read. The message is one line: the value, the rule, the way out."""


# Containers


def feature_rows(features: Any) -> list[Mapping[Any, Any]]:
    """A mapping a row: many of a frame or a list of mappings; one of a mapping, a Series, a list of pairs."""
    if isinstance(features, pd.DataFrame | pd.Series):
        names = features.columns if isinstance(features, pd.DataFrame) else features.index
        if twice := names[names.duplicated()].tolist():
            kind = "frame needs columns" if isinstance(features, pd.DataFrame) else "Series needs features"
            raise MonitoringError(f"a {kind} that differ in name: {shown(twice[0])} stands twice, rename one")
        return features.to_dict("records") if isinstance(features, pd.DataFrame) else [features.to_dict()]
    if isinstance(features, Mapping):
        return [features]
    parts = list(features) if isinstance(features, list | tuple) else []
    if parts and all(isinstance(part, Mapping) for part in parts):
        return parts
    if parts and all(_is_pair(part) and isinstance(part[0], str) for part in parts):
        if len({name for name, _ in parts}) == len(parts):
            return [dict(parts)]
        raise MonitoringError("features: a name stands twice in the list of pairs: give each its own")
    what = f"features: {shown(features)}, a {type(features).__name__!r}, is no row"
    raise MonitoringError(f"{what}: give a mapping or a Series for one row, a DataFrame for many")


def label_columns(labels: Any) -> tuple[list[Any], list[Any]]:
    """Request ids and labels of a frame with these columns, a Series, a mapping or a list of pairs."""
    if isinstance(labels, pd.DataFrame):
        if labels.index.name == "request_id" and "request_id" not in labels:
            labels = labels.reset_index()
        if lacking := {"request_id", "y"} - set(labels):
            raise MonitoringError(f"the labels have no column {', '.join(sorted(lacking))}: name it so")
        return values("request_id", labels["request_id"]), values("y", labels["y"])
    if isinstance(labels, pd.Series):
        return list(labels.index), list(labels)
    if isinstance(labels, Mapping):
        if set(labels) == {"request_id", "y"} and not is_one(labels["y"]):  # columns, as of a frame
            return values("request_id", labels["request_id"]), values("y", labels["y"])
        return list(labels), list(labels.values())
    if isinstance(labels, list | tuple) and all(map(_is_pair, labels)):
        return [key for key, _ in labels], [y for _, y in labels]
    what = f"labels: {shown(labels)} is a {type(labels).__name__}"
    raise MonitoringError(
        f"{what}: give {{request_id: y}}, a Series, or a frame with columns request_id and y"
    )


def values(name: str, given: Any) -> list[Any]:
    """The values of a container, a row each; a list of one for what is no container.

    A column, (n, 1), of a frame, an array or nested lists is n values; more columns than one are refused.
    """
    if isinstance(given, pd.DataFrame):
        if given.shape[1] != 1:
            raise _too_wide(name, given.shape, ".iloc[:, 0]")
        return list(given.iloc[:, 0])
    if isinstance(given, _ONE_AXIS):
        return list(given)
    if _is_array(given):
        array = given if isinstance(given, np.ma.MaskedArray) else np.asarray(given)
        if array.ndim > 1 and array.shape[1:] != (1,):
            raise _too_wide(name, array.shape, "[:, 0]" if array.ndim == 2 else "[:, 0, 0]")
        return list(array.reshape(-1)) if array.ndim else [array[()]]
    if is_one(given):
        return [given]
    if not isinstance(given, Sequence):
        raise MonitoringError(f"{name} is a {type(given).__name__}: give a list, an array or a Series")
    return [one[0] for one in given] if all(map(_is_lone, given)) else list(given)


def column(
    name: str, given: Any, n: int, form: Callable[[Any], Any], index: pd.Index | None = None
) -> list[Any]:
    """A value a row, brought into its form; `given` is one for all rows, or as many as there are rows.

    index: that of the features. A Series or a frame must share it: by place or by name would be a guess.
    """
    found = values(name, given)
    labelled = isinstance(given, pd.Series | pd.DataFrame) and index is not None and len(given) == n > 1
    if labelled and not given.index.equals(index):
        by_place = f"pass {_ARGUMENTS.get(name, name)}.to_numpy() if the rows belong together by place"
        raise MonitoringError(f"{name} has another index than the features: {by_place}")
    for_all = is_one(given)
    if len(found) != n and not for_all:
        many = "; many rows of features are a DataFrame" if n == 1 else ""
        raise MonitoringError(f"{name} has {len(found)} values for {n} rows: give one a row{many}")
    try:
        made = [form(one) for one in found]
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise MonitoringError(f"{name}: {' '.join(str(error).split())}") from None
    return made * n if for_all else made


def is_one(given: Any) -> bool:
    """Whether it is one value and no container."""
    if _is_array(given):
        return np.ndim(given) == 0
    return isinstance(given, str | _BYTES) or not isinstance(given, Iterable | _ONE_AXIS)


def _is_array(given: Any) -> bool:
    """An array of NumPy, or of a library that makes one of its own."""
    return hasattr(given, "__array__") and not isinstance(given, pd.DataFrame | _ONE_AXIS | np.generic)


def _is_lone(part: Any) -> bool:
    return (isinstance(part, list | tuple) and len(part) == 1) or (
        isinstance(part, np.ndarray) and part.shape == (1,)
    )


def _is_pair(part: Any) -> bool:
    return isinstance(part, list | tuple) and len(part) == 2


def _too_wide(name: str, shape: tuple[int, ...], way_out: str) -> MonitoringError:
    column_of = f"pass one column, such as {_ARGUMENTS.get(name, name)}{way_out}"
    return MonitoringError(f"{name} has the shape {shape}, and one value a row is logged: {column_of}")


# Forms


def text(value: Any) -> str:
    """An id or a version: a text, a whole number or a UUID."""
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str | Integral) or isinstance(value, bool | np.timedelta64):
        kind = f"{shown(value)} is a {type(value).__name__}"
        way_out = ", such as value.decode()" if isinstance(value, bytes | bytearray) else ""
        way_out = ", such as int(value)" if isinstance(value, float) and value.is_integer() else way_out
        raise ValueError(f"{kind}: give a text or a whole number{way_out}")
    if len(str(value)) > 200:
        raise ValueError(f"{str(value)[:50]!r} is not a text of at most 200 printable characters: shorten it")
    if not str(value).isprintable():
        raise ValueError(f"{str(value)[:50]!r} has characters that can't be printed: leave them out")
    return str(value)


def utc(value: Any) -> datetime:
    """A time in UTC, as it is unless it has a zone; a text is ISO 8601: no day is taken for a month."""
    try:
        if isinstance(value, str) and re.match(r"\d{4}", value):
            moment = pd.to_datetime(value, format="ISO8601")
        elif isinstance(value, date | np.datetime64):
            moment = pd.Timestamp(value)
        else:
            moment = pd.NaT
        if moment is pd.NaT:
            raise ValueError("no time")
        return pd.to_datetime(moment, utc=True).tz_localize(None).to_pydatetime(warn=False)
    except (ValueError, TypeError, OverflowError):
        way_out = "give a datetime, or a text such as 2020-04-01T12:30Z"
        raise ValueError(f"{shown(value)} is no time: {way_out}") from None


def utc_now() -> datetime:
    """This moment, in the form of `utc`."""
    return utc(datetime.now(UTC))


def number(value: Any) -> float | None:
    """A number; None for what is missing."""
    if missing(value) or value is np.ma.masked:
        return None
    plain = np.asarray(value)[()] if _is_array(value) and np.ndim(value) == 0 else value
    if isinstance(plain, str | _BYTES):
        raise ValueError(f"{shown(plain)} is a text: give a number")
    if isinstance(plain, _NO_NUMBERS) or not hasattr(plain, "__float__"):
        raise ValueError(f"{shown(plain)} is a {type(plain).__name__}: give a number")
    try:
        found = float(plain)
    except OverflowError:
        raise ValueError(f"{shown(plain)} is beyond the range of a float: give a smaller number") from None
    except (TypeError, ValueError):
        raise ValueError(f"{shown(plain)} is a {type(plain).__name__}: give a number") from None
    return None if math.isnan(found) else found


def features_json(row: Mapping[Any, Any], reserved: Collection[str]) -> str:
    """The features of a row as JSON; `reserved` are names that the log has itself."""
    named = {_name(key): value for key, value in row.items()}
    if len(named) < len(row):
        raise ValueError("two features have the same name once they are texts: rename one")
    if taken := [name for name in named if name in reserved]:
        raise ValueError(f"{taken[0]!r} is a column of the log, rename the feature")
    # NaN is missing, and every reader takes 1e999 for infinity; neither word of Python's is JSON. Texts stay.
    words = {"NaN": "null", "Infinity": "1e999"}
    try:
        written = json.dumps(named, default=_as_json)
    except RecursionError:
        raise ValueError("lists lie too deep within lists: log numbers, texts, dates or flat lists") from None
    except ValueError as error:
        circular = str(error).startswith("Circular")
        raise ValueError("a list holds itself: log a copy without it") if circular else error from None
    _refuse_unreadable(written)
    return re.sub(r'"(?:[^"\\]|\\.)*"|NaN|Infinity', lambda part: words.get(part[0], part[0]), written)


def _refuse_unreadable(written: str) -> None:
    """JSON holds two things that no frame does: whole numbers beyond a float, and halves of characters."""
    if re.search(r"\d{309}", written):
        json.loads(written, parse_int=_within_a_float)
    if r"\ud" in written:
        try:
            json.dumps(json.loads(written), ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = ascii(error.object[error.start : error.end])
            raise ValueError(
                f"{half} is half a character: log text.encode(errors='replace').decode()"
            ) from None


def _within_a_float(digits: str) -> float:
    """The whole number that these digits write."""
    try:
        return float(int(digits))
    except (OverflowError, ValueError):
        shortened = f"{digits[:10]}… ({len(digits)} digits)"
        raise ValueError(f"{shortened} is beyond the range of a float: log it as a text") from None


def _name(key: Any) -> str:
    """A feature's name, as JSON writes a key."""
    plain = key.item() if isinstance(key, np.generic) and not isinstance(key, np.str_) else key
    if isinstance(plain, str):
        return plain
    if plain is None or isinstance(plain, bool | int | float):
        return json.dumps(plain)
    raise ValueError(f"the name {shown(key)} is a {type(key).__name__}: name features by texts")


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "mMO":  # `tolist` makes numbers of some times
        return list(value) if value.ndim else value[()]
    if isinstance(value, np.floating):
        return float(value)  # of a long double `tolist` is a long double
    if isinstance(value, np.ndarray) or (isinstance(value, np.generic) and value.dtype.kind in "biuUV"):
        return value.tolist()
    if value is pd.NA or value is pd.NaT or isinstance(value, date | np.datetime64):
        return None if pd.isna(value) else pd.Timestamp(value).isoformat()
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, UUID):
        return str(value)
    way_out = "log numbers, texts, dates or lists"
    raise TypeError(f"{shown(value)!r} is a {type(value).__name__}: {way_out}")


def shown(value: Any) -> str:
    """A value in at most 50 characters of one line."""
    try:
        words = " ".join(repr(value).split())
    except Exception:  # a whole number of 5,000 digits; a class whose repr fails
        words = f"this {type(value).__name__}"
    return words if len(words) <= 50 else f"{words[:49]}…"

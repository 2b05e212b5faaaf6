"""A log of predictions, in SQLite or PostgreSQL: what it acknowledged is there once, and labels join it."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from walkforward.errors import needs_extra
from walkforward.log_values import (
    MonitoringError,
    column,
    feature_rows,
    features_json,
    is_one,
    label_columns,
    number,
    shown,
    text,
    utc,
    utc_now,
)

with needs_extra("monitoring", "walkforward.prediction_log"):
    import sqlalchemy as sa
    from sqlalchemy.dialects import postgresql, sqlite

PATIENCE = 30  # seconds that a writer waits for others
_LOG = sa.Table(
    "prediction_log_1",  # the number is that of this layout
    sa.MetaData(),
    sa.Column("request_id", sa.String(200), primary_key=True),
    sa.Column("at", sa.DateTime, nullable=False, index=True),  # UTC, and so is labelled_at
    sa.Column("model_version", sa.String(200), nullable=False),
    sa.Column("features", sa.JSON, nullable=False),
    *(sa.Column(name, sa.Double) for name in ("yhat", "y", "seconds")),
    sa.Column("labelled_at", sa.DateTime),
)
_JSON = partial(features_json, reserved=_LOG.c.keys())


class Joined(int):
    """How many labels were joined: an int, with the ids of the others.

    Args:
        count (int): how many were joined.
        unknown (list[str]): no such prediction: nothing is kept, come again.
        repeated (list[str]): this label stood there already.
        differing (list[str]): another label stands there, and stays.

    >>> joined = Joined(2, unknown=["z"])  # as `PredictionLog.add_labels` returns it
    >>> joined, joined.unknown
    (2, ['z'])
    """

    unknown: list[str]
    repeated: list[str]
    differing: list[str]

    def __new__(cls, count: int = 0, unknown: Any = (), repeated: Any = (), differing: Any = ()) -> Joined:
        """Make the number, with the ids."""
        joined = super().__new__(cls, count)
        joined.unknown, joined.repeated, joined.differing = list(unknown), list(repeated), list(differing)
        return joined


class PredictionLog:
    """Predictions in an SQLite file (`where` is its path) or in PostgreSQL (`where` is its URL).

    Threads and processes may write at once. What `record` and `add_labels` have returned is on disk: it
    outlives a kill and a power cut.

    Args:
        where (str | Path): an SQLite file's path (its folders are made), or `postgresql://user@host/name`.

    Raises:
        MonitoringError: Whatever goes wrong, here and in each method: one line with a way out.

    >>> log = PredictionLog("predictions.db")
    >>> log.record({"miles": 2.5}, 11.0, request_id="a", model_version="1")
    'a'
    >>> log.add_labels({"a": 12.5})
    1
    >>> log.read()[["request_id", "miles", "yhat", "y"]].values.tolist()
    [['a', 2.5, 11.0, 12.5]]
    >>> log.close()
    """

    def __init__(self, where: str | Path) -> None:
        if not isinstance(where, str | Path) or "\0" in str(where):
            raise MonitoringError(f"{shown(where)} keeps no log: give a file's path or postgresql://…/name")
        self._name, self._pid, self._inherited = "the log", os.getpid(), []
        with self._one_line(ValueError, RuntimeError):  # of an address's port; of a ~ without a home
            path = None if "://" in str(where) else Path(where).expanduser()
            url = sa.make_url(str(where)) if path is None else sa.URL.create("sqlite", database=str(path))
            self._name, kind = url.render_as_string(hide_password=True), url.get_backend_name()
            if kind not in ("sqlite", "postgresql") or url.database in (None, "", ":memory:"):
                raise MonitoringError(f"{self._name} keeps no log: give a file's path or postgresql://…/name")
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._lite, self._insert = kind == "sqlite", {"sqlite": sqlite}.get(kind, postgresql).insert
            url = url.set(drivername="sqlite" if self._lite else "postgresql+psycopg")
            patient = {"timeout" if self._lite else "connect_timeout": PATIENCE}
            self._sql = sa.create_engine(url, connect_args=patient, pool_pre_ping=True, json_serializer=str)
        if self._lite:
            sa.event.listen(self._sql, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=FULL"))
        with contextlib.ExitStack() as stack:
            stack.callback(self.close)  # when it fails
            self._make_table()
            stack.pop_all()

    def record(
        self,
        features: Any,
        prediction: Any,
        *,
        request_id: Any = None,
        model_version: Any = "",
        seconds: Any = None,
        at: Any = None,
    ) -> Any:
        """Keep one prediction or many. All but features and prediction is one value for all, or one a row.

        Args:
            features: one row (a mapping, a Series, a list of pairs) or many (a frame, a list of mappings), of
                what JSON can hold, dates (read back as text), and NaN or None (read back as missing).
            prediction: a number a row: a number, an array (n,) or (n, 1), a frame of one column, a list, or a
                Series with the index of the frame.
            request_id: texts, whole numbers or UUIDs; default: made up. One that comes again with the same
                content changes nothing, so repeat the call until it returns.
            model_version: text or whole number; default "".
            seconds: inference time in seconds; default: missing.
            at: time of the request, UTC unless it has a zone; default: now.

        Returns:
            The id of one row, the list of ids of many.

        Raises:
            MonitoringError: What can't be logged, or an id that another prediction has.
        """
        many = isinstance(features, pd.DataFrame) or (
            isinstance(features, list | tuple) and all(isinstance(row, Mapping) for row in features)
        )
        rows, index = feature_rows(features), getattr(features, "index", None) if many else None
        if len(rows) > 1 and is_one(prediction):
            what = f"{len(rows)} rows, and yhat is {shown(prediction)}"
            raise MonitoringError(f"a frame needs not one for all but one prediction a row ({what})")
        ids = [uuid.uuid4().hex for _ in rows] if request_id is None else request_id
        given = {"request_id": (ids, text), "at": (utc_now() if at is None else at, utc)}
        given |= {"model_version": (model_version, text), "features": (rows, _JSON)}
        given |= {"yhat": (prediction, number), "seconds": (seconds, number)}
        columns = [column(name, value, len(rows), form, index) for name, (value, form) in given.items()]
        for key, times in Counter(columns[0]).items():
            if times > 1 or not key:
                what = f"a request id is empty or stands twice in one call ({key!r})"
                raise MonitoringError(f"{what}: an id is one request's")
        new = {row[0]: dict(zip(given, row, strict=True)) for row in zip(*columns, strict=True)}
        insert = self._insert(_LOG).on_conflict_do_nothing().returning(_LOG.c.request_id)
        with self._begin() as sql:
            in_order = [new[key] for key in sorted(new)]  # or two writers could wait for each other
            done = set(sql.scalars(insert, in_order)) if new else set()
            for key, old in self._stored(sql, new.keys() - done).items():
                again = new[key] | {"features": json.loads(new[key]["features"])}
                if any(again[part] != old[part] for part in ("features", "yhat", "model_version")):
                    raise MonitoringError(f"request id {key!r} is another prediction's: give each its own")
        return columns[0] if many else columns[0][0]

    def add_labels(self, labels: Any, at: Any = None) -> Joined:
        """Join what happened to what was predicted.

        Args:
            labels: {request_id: y}, a Series with the ids as index, a list of pairs, or a frame with columns
                request_id and y.
            at: when they were known, UTC unless it has a zone; default: now.

        Returns:
            How many were joined, with the ids of the others.

        Raises:
            MonitoringError: A label is missing or no number, or an id no text.
        """
        keys, known_ys = label_columns(labels)
        ids = column("request_id", keys, len(keys), text)
        ys = column("y", known_ys, len(keys), number)
        now = column("at", utc_now() if at is None else at, 1, utc)[0]
        if None in ys:
            raise MonitoringError(f"label {ids[ys.index(None)]!r} is missing: leave it out until it is known")
        kinds: dict[str, list[str]] = {"joined": [], "unknown": [], "repeated": [], "differing": []}
        with self._begin() as sql:
            known = {key: old["y"] for key, old in self._stored(sql, set(ids)).items()}
            for key, y in zip(ids, ys, strict=True):
                before = known.get(key)
                kind = "joined" if before is None else "repeated" if before == y else "differing"
                kinds[kind if key in known else "unknown"].append(key)
                known |= {key: y} if key in known and before is None else {}
            if fresh := [{"key": key, "label": known[key]} for key in kinds["joined"]]:
                update = _LOG.update().where(_LOG.c.request_id == sa.bindparam("key"))
                sql.execute(update.values(y=sa.bindparam("label"), labelled_at=now), fresh)
        return Joined(len(kinds.pop("joined")), **kinds)

    def read(
        self,
        since: Any = None,
        until: Any = None,
        model_version: Any = None,
        with_labels: bool | None = None,
    ) -> pd.DataFrame:
        """Read rows back, by time.

        Args:
            since: the first time, UTC unless it has a zone; default: from the beginning.
            until: the time before which it ends; default: to the end.
            model_version: only this one's; default: all.
            with_labels (bool | None): True: rows with a label; False: those without; default: both.

        Returns:
            A row a prediction: request_id, at (UTC), model_version, the features, yhat, y, seconds,
            labelled_at (UTC).

        Raises:
            MonitoringError: An argument can't be read.
        """
        query = sa.select(_LOG).order_by(_LOG.c.at, _LOG.c.request_id)
        for name, moment, kept in (("since", since, _LOG.c.at.__ge__), ("until", until, _LOG.c.at.__lt__)):
            if moment is not None:
                query = query.where(kept(column(name, moment, 1, utc)[0]))
        if model_version is not None:
            query = query.where(_LOG.c.model_version == column("model_version", model_version, 1, text)[0])
        if not isinstance(with_labels, bool | np.bool_ | None):
            raise MonitoringError(f"with_labels is {shown(with_labels)}: give True, False or None")
        if with_labels is not None:
            query = query.where(_LOG.c.y.is_not(None) == bool(with_labels))
        with self._begin(write=False) as sql:
            frame = pd.DataFrame(sql.execute(query).all(), columns=_LOG.c.keys())
        for name in ("at", "labelled_at"):
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        frame = frame.astype(dict.fromkeys(("yhat", "y", "seconds"), float))
        features = pd.DataFrame(list(frame["features"]), index=frame.index)
        return pd.concat([frame.iloc[:, :3], features, frame.iloc[:, 4:]], axis=1)

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._sql.dispose()

    @contextlib.contextmanager
    def _one_line(self, *further: type[Exception]) -> Iterator[None]:
        try:
            yield
        except MonitoringError:
            raise
        except (sa.exc.SQLAlchemyError, OSError, *further) as error:
            cause = " ".join(str(getattr(error, "orig", None) or error).split())
            way_out = "check the address, your rights there, and that its server runs"
            raise MonitoringError(f"{self._name}: {cause}; {way_out}") from error

    @contextlib.contextmanager
    def _begin(self, write: bool = True) -> Iterator[sa.Connection]:
        if self._pid != os.getpid():  # after a fork the parent's connections are not ours, not even to close
            self._inherited.append(self._sql.pool)
            self._sql.dispose(close=False)
            self._pid = os.getpid()
        with self._one_line(), self._sql.begin() as sql:  # committed at the end of the block
            if write and self._lite:
                sql.exec_driver_sql("BEGIN IMMEDIATE")  # a reader that turns writer would fail at once
            yield sql

    def _stored(self, sql: sa.Connection, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The rows of these ids, locked until the end of the transaction."""
        keys, found = sorted(ids), {}
        for start in range(0, len(keys), 1_000):  # a statement takes some 30,000 values
            some = sa.select(_LOG).where(_LOG.c.request_id.in_(keys[start : start + 1_000]))
            rows = sql.execute(some.order_by(_LOG.c.request_id).with_for_update()).mappings()
            found |= {row["request_id"]: row for row in rows}
        return found

    def _make_table(self) -> None:
        with self._begin() as sql:
            if not self._lite:  # one program at a time
                sql.exec_driver_sql("SELECT pg_advisory_xact_lock(20190401)")
            else:  # else a file that may only be read would be noticed at the first request
                sql.exec_driver_sql("PRAGMA user_version = 1")
            _LOG.metadata.create_all(sql)
            there = sa.inspect(sql)
            other = [t for t in there.get_table_names() if t.startswith("prediction_log_") and t != _LOG.name]
            lacking = set(_LOG.c.keys()) - {column["name"] for column in there.get_columns(_LOG.name)}
            if other or lacking:
                what = f"another version's table {other[0]}" if other else f"a table without {min(lacking)}"
                raise MonitoringError(f"{self._name} holds {what}: name a new place, or update walkforward")
        for _ in range(PATIENCE * 50 if self._lite else 0):  # readers and the writer need not wait then
            with contextlib.suppress(sa.exc.OperationalError), self._sql.connect() as sql:
                if sql.exec_driver_sql("PRAGMA journal_mode=WAL").scalar() == "wal":
                    return
            time.sleep(0.02)  # another program opens it for the first time, too

"""What a model in production leaves behind: a log of predictions, a page of metrics, a trend of drift."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from numbers import Integral, Number
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import prometheus_client as prometheus
import psutil
import sqlalchemy as sa
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy.dialects import postgresql, sqlite

from walkforward.errors import WalkForwardError

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


class MonitoringError(WalkForwardError, ValueError):
    """What can't be logged or read. The message is one line: the value, the rule, the way out."""


class Joined(int):
    """How many labels were joined, with the ids of the others."""

    unknown: list[str]  # no such prediction: nothing is kept, come again
    repeated: list[str]  # this label stood there already
    differing: list[str]  # another label stands there, and stays


class PredictionLog:
    """Predictions in an SQLite file (`where` is its path) or in PostgreSQL (`where` is its URL).

    Threads and processes may write at once. What `record` and `add_labels` have returned is on disk: it
    outlives a kill and a power cut. Whatever goes wrong is a MonitoringError.
    """

    def __init__(self, where: str | Path) -> None:
        path = None if "://" in str(where) else Path(where)
        self._name, self._pid, self._inherited = "the log", os.getpid(), []
        with self._one_line():
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
        features: Mapping[str, Any] | pd.DataFrame,
        prediction: Any,
        *,
        request_id: Any = None,
        model_version: Any = "",
        seconds: Any = None,
        at: Any = None,
    ) -> Any:
        """Keep one prediction (a mapping, a number) or many (a frame, a number a row); returns the id or ids.

        The rest is one value for all or one a row. An id is made up where none is given; one that comes again
        with the same content changes nothing, so repeat the call until it returns. `seconds`: inference time.
        `at`: time of the request, by default now; UTC unless it has a zone. Features are what JSON can hold,
        dates (read back as text), and NaN or None (read back as missing).
        """
        many = isinstance(features, pd.DataFrame)
        if many and not (features.columns.is_unique and np.ndim(prediction)):
            raise MonitoringError("a frame needs columns that differ in name, and one prediction a row")
        rows = features.to_dict("records") if many else [features]
        ids = [uuid.uuid4().hex for _ in rows] if request_id is None else request_id
        given = {"request_id": (ids, _text), "at": (at, _utc), "model_version": (model_version, _text)}
        given |= {"features": (rows, _json), "yhat": (prediction, _number), "seconds": (seconds, _number)}
        columns = [_each(name, value, len(rows), form) for name, (value, form) in given.items()]
        new = {row[0]: dict(zip(given, row, strict=True)) for row in zip(*columns, strict=True)}
        if len(new) < len(rows) or "" in new:
            raise MonitoringError("a request id is empty or stands twice in one call: an id is one request's")
        insert = self._insert(_LOG).on_conflict_do_nothing().returning(_LOG.c.request_id)
        with self._begin() as sql:
            in_order = [new[key] for key in sorted(new)]  # or two writers could wait for each other
            done = set(sql.scalars(insert, in_order)) if new else set()
            for key, old in self._stored(sql, new.keys() - done).items():
                again = new[key] | {"features": json.loads(new[key]["features"])}
                if any(again[part] != old[part] for part in ("features", "yhat", "model_version")):
                    raise MonitoringError(f"request id {key!r} is another prediction's: give each its own")
        return columns[0] if many else columns[0][0]

    def add_labels(self, labels: Mapping[str, float] | pd.DataFrame, at: Any = None) -> Joined:
        """Join what happened: {request_id: y}, or a frame with these two columns. `at`: when it was known."""
        if not isinstance(labels, pd.DataFrame):
            labels = pd.DataFrame({"request_id": list(labels), "y": list(labels.values())}, dtype=object)
        if lacking := {"request_id", "y"} - set(labels):
            raise MonitoringError(f"the labels have no column {', '.join(sorted(lacking))}: name it so")
        ids = _each("request_id", labels["request_id"], len(labels), _text)
        ys, now = _each("y", labels["y"], len(labels), _number), _each("at", at, 1, _utc)[0]
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
        joined = Joined(len(kinds.pop("joined")))
        vars(joined).update(kinds)
        return joined

    def read(
        self,
        since: Any = None,
        until: Any = None,
        model_version: str | int | None = None,
        with_labels: bool | None = None,
    ) -> pd.DataFrame:
        """Rows from `since` until before `until`, by time; `with_labels=False`: those without a label.

        Columns: request_id, at (UTC), model_version, the features, yhat, y, seconds, labelled_at (UTC).
        """
        query = sa.select(_LOG).order_by(_LOG.c.at, _LOG.c.request_id)
        for name, moment, kept in (("since", since, _LOG.c.at.__ge__), ("until", until, _LOG.c.at.__lt__)):
            if moment is not None:
                query = query.where(kept(_each(name, moment, 1, _utc)[0]))
        if model_version is not None:
            query = query.where(_LOG.c.model_version == str(model_version))
        if with_labels is not None:
            query = query.where(_LOG.c.y.is_not(None) == with_labels)
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
    def _one_line(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, OSError) as error:
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


def _each(name: str, given: Any, n: int, form: Callable[[Any], Any]) -> list[Any]:
    """A value a row, brought into its form; `given` is one for all rows, or as many as there are rows."""
    values = list(given) if np.ndim(given) else [given] * n
    if len(values) != n:
        raise MonitoringError(f"{name} has {len(values)} values for {n} rows: give one a row")
    try:
        return [form(value) for value in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise MonitoringError(f"{name}: {' '.join(str(error).split())}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str | Integral) or len(str(value)) > 200 or not str(value).isprintable():
        raise ValueError(f"{str(value)[:50]!r} is not a text of at most 200 printable characters: shorten it")
    return str(value)


def _utc(value: Any) -> datetime:
    moment = pd.Timestamp(datetime.now(UTC) if value is None else value)
    if moment is pd.NaT or isinstance(value, Number):
        raise ValueError(f"{value!r} is no time: give a datetime, or a text such as 2020-04-01T12:30Z")
    return pd.to_datetime(moment, utc=True).tz_localize(None).to_pydatetime(warn=False)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        raise ValueError(f"{value[:50]!r} is a text: give a number")
    return None if pd.isna(value) else float(value)


def _json(row: Mapping[str, Any]) -> str:
    if taken := set(row) & set(_LOG.c.keys()):
        raise ValueError(f"{taken.pop()!r} is a column of the log, rename the feature")
    # NaN is missing, and every reader takes 1e999 for infinity; neither word of Python's is JSON. Texts stay.
    words = {"NaN": "null", "Infinity": "1e999"}
    text = json.dumps(dict(row), default=_as_json)
    return re.sub(r'"(?:[^"\\]|\\.)*"|NaN|Infinity', lambda part: words.get(part[0], part[0]), text)


def _as_json(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray) and not isinstance(value, np.datetime64):
        return value.tolist()
    if value is pd.NA or value is pd.NaT or isinstance(value, date | np.datetime64):
        return None if pd.isna(value) else pd.Timestamp(value).isoformat()
    raise TypeError(f"{str(value)[:50]!r} is a {type(value).__name__}: log numbers, texts, dates or lists")


class Monitor:
    """The page that Prometheus reads: requests by outcome, rows, latency, CPU, memory, drift by column."""

    def __init__(self, registry: prometheus.CollectorRegistry | None = None) -> None:
        self.registry = prometheus.CollectorRegistry() if registry is None else registry
        page = {"namespace": "walkforward", "registry": self.registry}
        self._requests = prometheus.Counter("requests", "Requests by outcome", ["outcome"], **page)
        self._rows = prometheus.Counter("rows", "Rows predicted", **page)
        self._latency = prometheus.Histogram("latency_seconds", "From request to answer", **page)
        self._process, self._drift = psutil.Process(), pd.DataFrame()
        self.registry.register(self)

    def observe(self, seconds: float, rows: int = 1, outcome: str = "ok") -> None:
        """Count one request: how long it took, how many rows it had, and how it ended."""
        self._latency.observe(seconds)
        self._rows.inc(rows)
        self._requests.labels(outcome).inc()

    def set_drift(self, report: pd.DataFrame) -> None:
        """Show this drift report in place of the one before; columns that it does not have disappear."""
        self._drift = _drift_of(report)

    def collect(self) -> Iterator[Metric]:
        """What is asked for when the page is made; called by the registry."""
        used = self._process.cpu_times()
        yield CounterMetricFamily("walkforward_cpu_seconds", "CPU time used", used.user + used.system)
        memory = self._process.memory_info().rss
        yield GaugeMetricFamily("walkforward_memory_bytes", "Memory in use", memory)
        for kind, values in self._drift.items():
            family = GaugeMetricFamily(f"walkforward_drift_{kind}", "Of the last report", labels=["column"])
            for column, value in values.dropna().items():
                family.add_metric([column], value)
            yield family

    def page(self) -> bytes:
        """The page as it is now, in Prometheus' text format."""
        return prometheus.generate_latest(self.registry)

    @contextlib.contextmanager
    def serve(self, port: int = 0) -> Iterator[str]:
        """Serve the page on 127.0.0.1 (port 0: a free one) while the block runs; yields its URL."""
        try:
            server, thread = prometheus.start_http_server(port, "127.0.0.1", self.registry)
        except (OSError, OverflowError) as error:
            words = f"port {port} can't be had ({error}): leave it out for a free one"
            raise MonitoringError(words) from None
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _drift_of(report: pd.DataFrame) -> pd.DataFrame:
    """Columns effect, p_corrected and detected (1 or 0) of a report, a row a column."""
    if lacking := sorted({"column", "effect", "p_corrected", "drift"} - set(report)):
        raise MonitoringError(f"the report has no {', '.join(lacking)}: pass what drift_report returns")
    rows = report.rename(columns={"drift": "detected"}).set_index(report["column"].astype(str))
    if not rows.index.is_unique:
        raise MonitoringError("a column stands twice in the report: pass that of one period")
    return rows[["effect", "p_corrected", "detected"]].astype(float)


def drift_metric(kind: str, column: str) -> str:
    """The name that `log_drift` uses, as in `drift_effect/fare_amount`; MLflow refuses odd characters."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", str(column))[:200] or "_"
    digest = hashlib.sha256(str(column).encode("utf-8", "replace")).hexdigest()[:8]
    return f"drift_{kind}/{plain}" + ("" if plain == str(column) else f"_{digest}")


def log_drift(
    report: pd.DataFrame, *, step: int = 0, run_id: str | None = None, experiment: str | None = None
) -> str:
    """Log a drift report as metrics at this step, a `drift_history` from it on, a step a period.

    Metrics: `drift_metric(kind, column)` for effect, p_corrected and detected, and `drift_columns`, how many
    drift. They go to `run_id`, else to the active run, else to a new one in `experiment` (a name).
    Returns the run's id.
    """
    import mlflow
    from mlflow.entities import Metric as Point

    periods = [rows for _, rows in report.groupby("period", sort=False)] if "period" in report else [report]
    now, points = int(time.time() * 1_000), []
    for at, rows in enumerate(periods, step):
        table = _drift_of(rows)
        points.append(Point("drift_columns", float(table["detected"].sum()), now, at))
        for (column, kind), value in table[np.isfinite(table)].stack().dropna().items():
            points.append(Point(drift_metric(kind, column), value, now, at))
    client = mlflow.MlflowClient()
    with contextlib.ExitStack() as stack:
        if run_id is None and (run := mlflow.active_run()) is None:
            if experiment is not None:
                found = client.get_experiment_by_name(experiment)
                experiment = found.experiment_id if found else client.create_experiment(experiment)
            run = stack.enter_context(mlflow.start_run(experiment_id=experiment, run_name="drift"))
        run_id = run_id or run.info.run_id
        for start in range(0, len(points), 1_000):  # what one call may carry
            client.log_batch(run_id, points[start : start + 1_000])
    return run_id

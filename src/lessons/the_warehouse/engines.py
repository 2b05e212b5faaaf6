"""Two engines for lesson 10f: PostgreSQL as a server, DuckDB in this process; what they read and hand over."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString, cast

import duckdb
import pandas as pd
import psycopg

from course.stores import postgres
from projects.trip_checks import released_trips

BLOCK = 16_384  # bytes of a block of DuckDB's file, the smallest that it allows
PAGE = 8_192  # bytes of a page of PostgreSQL
_TYPES = {"datetime64": "timestamp", "int": "bigint", "float": "double precision"}


def warehouse_trips() -> pd.DataFrame:
    """Trips of January to September 2019 in the order of their pickup, nine columns, `seconds` a whole number."""
    trips = released_trips()
    trips = trips[trips["month"].between("2019-01", "2019-09")].sort_values("pickup_datetime", kind="stable")
    return pd.DataFrame(
        {
            "trip_id": range(len(trips)),
            "pickup_at": trips["pickup_datetime"].to_numpy(),
            "month": trips["pickup_datetime"].dt.month.to_numpy(dtype="int64"),
            "zone": trips["pickup_location_id"].to_numpy(dtype="int64"),
            "to_zone": trips["dropoff_location_id"].to_numpy(dtype="int64"),
            "miles": trips["trip_distance"].to_numpy(),
            "passengers": trips["passenger_count"].to_numpy(dtype="int64"),
            "vendor": trips["vendor_id"].to_numpy(dtype="int64"),
            "seconds": (trips["duration"] * 60).round().to_numpy(dtype="int64"),
        }
    )


class RowStore:
    """PostgreSQL: rows lie whole in pages of 8 KB. Statistics are collected only when you ask: ANALYZE."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def run(self, sql: str) -> None:
        """Run a statement that answers nothing."""
        self.connection.execute(cast(LiteralString, sql))

    def ask(self, sql: str, *values: Any) -> pd.DataFrame:
        """Return the answer; `values` fill the %s."""
        cursor = self.connection.execute(cast(LiteralString, sql), values or None)
        return pd.DataFrame(cursor.fetchall(), columns=[one.name for one in cursor.description or []])

    def load(self, name: str, rows: pd.DataFrame) -> None:
        """Append rows to a table in bulk, by COPY; a table that is not there is made."""
        kinds = [next(_TYPES[key] for key in _TYPES if str(kind).startswith(key)) for kind in rows.dtypes]
        columns = ", ".join(f"{column} {kind}" for column, kind in zip(rows.columns, kinds, strict=True))
        self.run(
            "SET default_statistics_target = 1000; SET client_min_messages = warning"
        )  # ANALYZE reads all
        self.run(f"CREATE TABLE IF NOT EXISTS {name} ({columns}) WITH (autovacuum_enabled = false)")
        into = cast(LiteralString, f"COPY {name} FROM STDIN WITH (FORMAT csv)")
        with self.connection.cursor() as cursor, cursor.copy(into) as copy:
            copy.write(rows.to_csv(index=False, header=False))

    def crossing(self, sql: str) -> int:
        """Return the bytes of an answer as they leave the server."""
        out = cast(LiteralString, f"COPY ({sql}) TO STDOUT")
        with self.connection.cursor() as cursor, cursor.copy(out) as copy:
            return sum(len(chunk) for chunk in copy)

    def _plan(self, sql: str, form: str) -> dict[str, Any]:
        found = self.connection.execute(cast(LiteralString, f"EXPLAIN ({form}, FORMAT json) {sql}"))
        (row,) = found.fetchall()
        return cast(dict[str, Any], row[0][0]["Plan"])

    def kilobytes(self, sql: str) -> int:
        """Return the size of the pages that a query touches; its first run in a session reads the index's own page too."""
        self._plan(sql, "ANALYZE, BUFFERS, TIMING off")
        plan = self._plan(sql, "ANALYZE, BUFFERS, TIMING off")
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]) * PAGE // 1024

    def expected(self, sql: str) -> int:
        """Return how many rows the planner expects; the query is not run."""
        return int(self._plan(sql, "COSTS")["Plan Rows"])


class ColumnStore:
    """DuckDB: each column lies by itself, compressed, in blocks of 16 KB."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def run(self, sql: str) -> None:
        """Run a statement that answers nothing."""
        self.connection.execute(sql)

    def ask(self, sql: str) -> pd.DataFrame:
        """Return the answer."""
        return self.connection.sql(sql).df()

    def load(self, name: str, rows: pd.DataFrame) -> None:
        """Make a table of these rows."""
        self.connection.register("given_rows", rows)
        self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given_rows")
        self.connection.unregister("given_rows")

    def crossing(self, sql: str) -> int:
        """Return the bytes of an answer, counted batch by batch: no table of it is made."""
        return sum(batch.nbytes for batch in self.connection.sql(sql).to_arrow_reader(100_000))

    def kilobytes(self, table: str, *columns: str) -> int:
        """Return the size of the blocks that hold these columns."""
        self.connection.execute("CHECKPOINT")
        wanted = ", ".join(f"'{one}'" for one in columns)
        found = self.connection.sql(
            f"SELECT COUNT(DISTINCT block_id) FROM pragma_storage_info('{table}') "
            f"WHERE block_id >= 0 AND column_name IN ({wanted})"
        )
        return int(found.fetchall()[0][0]) * BLOCK // 1024


@contextlib.contextmanager
def engines() -> Iterator[tuple[RowStore, ColumnStore]]:
    """Run PostgreSQL, and DuckDB on a file; both are gone at the end."""
    with contextlib.ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        server = running.enter_context(postgres(Path(folder) / "postgres"))
        address = server.uri.replace("+psycopg", "")
        rows = running.enter_context(psycopg.connect(address, autocommit=True))
        columns = running.enter_context(duckdb.connect(config={"threads": 2, "memory_limit": "500MB"}))
        columns.execute(f"ATTACH '{Path(folder, 'columns.db').as_posix()}' AS own (BLOCK_SIZE {BLOCK})")
        columns.execute("USE own")
        for name in ("enable_external_access", "python_enable_replacements", "enable_progress_bar"):
            columns.execute(f"SET {name} = false")
        yield RowStore(rows), ColumnStore(columns)

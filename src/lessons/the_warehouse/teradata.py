"""Teradata's SQL on DuckDB, through sqlglot: what runs, and whether it says what Teradata would say."""

from __future__ import annotations

import datetime as dt
import logging
from decimal import Decimal
from typing import Any

import duckdb
import pandas as pd
import sqlglot
from sqlglot.errors import SqlglotError

from course.data.database import connect

RIDES = pd.DataFrame(
    {
        "zone": ["A", "A", "B", "B"],
        "day": [dt.date(2019, 1, 31), dt.date(2019, 2, 1), dt.date(2019, 1, 31), dt.date(2019, 2, 2)],
        "miles": [3, 5, 5, 2],
        "kind": ["bus", "BUS", "bus", "taxi"],
    }
)

# A statement, and the answer that Teradata gives by its rules on the four rides, worked out by hand.
STATEMENTS: dict[str, Any] = {
    "SEL TOP 1 zone FROM rides ORDER BY day DESC": "B",
    "SEL day + 7 FROM rides WHERE miles = 3": dt.date(2019, 2, 7),
    "SEL miles FROM rides WHERE kind LIKE ANY ('t%')": 2,
    "SEL 7 / 2": 3,
    "SEL SUM(miles) / COUNT(*) FROM rides": 3,
    "SEL CAST(3.7 AS INTEGER)": 3,
    "SEL COUNT(*) FROM rides WHERE kind = 'BUS'": 3,
    "SEL ADD_MONTHS(day, 1) FROM rides WHERE miles = 3": dt.date(2019, 2, 28),
    "SEL ZEROIFNULL(NULL)": 0,
    "SEL TRUNC(day, 'MM') FROM rides WHERE miles = 3": dt.date(2019, 1, 1),
    "SEL TOP 1 WITH TIES zone FROM rides ORDER BY day": "A, B",
    "COLLECT STATISTICS COLUMN (zone) ON rides": "done",
}


def translated(sql: str) -> str:
    """Return the statement in DuckDB's SQL. Raises SqlglotError where sqlglot can't read it."""
    log = logging.getLogger("sqlglot")
    level = log.level
    log.setLevel(logging.ERROR)  # it warns of what it hands on as it is
    try:
        return sqlglot.transpile(sql, read="teradata", write="duckdb")[0]
    finally:
        log.setLevel(level)


def rows(sql: str) -> list[tuple[Any, ...]]:
    """Return what DuckDB answers to the translation, on the four rides."""
    with connect() as connection:
        connection.register("given_rows", RIDES)
        connection.execute("CREATE TABLE rides AS SELECT zone, day::DATE AS day, miles, kind FROM given_rows")
        return connection.execute(translated(sql)).fetchall()


def checked(statements: dict[str, Any] | None = None) -> pd.DataFrame:
    """Return by statement the answer, the one made by hand, and a verdict: same, different, fails."""
    found = {}
    for sql, by_hand in (statements or STATEMENTS).items():
        try:
            answer = rows(sql)[0][0]
        except (duckdb.Error, SqlglotError):
            found[sql] = {"Teradata": by_hand, "translated": "", "verdict": "fails"}
            continue
        answer = float(answer) if isinstance(answer, Decimal) else answer
        same = type(answer) is type(by_hand) and answer == by_hand
        found[sql] = {"Teradata": by_hand, "translated": answer, "verdict": "same" if same else "DIFFERENT"}
    return pd.DataFrame(found).T.rename_axis("statement").astype(str)

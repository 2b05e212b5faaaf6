"""Judge answers that turn tables into a table, in SQL and in pandas, on made-up databases.

An exercise's function returns two things: the text of a query and a function of DataFrames. `Task` runs both
on each made-up database and compares with what plain Python finds: as rows without an order, unless the task
asks for one. A message names the database, shows its tables when they are small, and the rows that differ.
"""

from __future__ import annotations

import datetime
import math
from collections import Counter, namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd

from course.data.database import connect
from course.exercise.source import TODO

Row = tuple[Any, ...]
MOST_ROWS = 12  # of a table that a message shows
_SQL = {"int": "INTEGER", "float": "DOUBLE", "text": "VARCHAR", "day": "DATE", "time": "TIMESTAMP"}
_READ: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "text": str,
    "day": datetime.date.fromisoformat,
    "time": datetime.datetime.fromisoformat,
}


class Table:
    """A small table: its columns with their kinds, and rows of Python values, None for NULL.

    `kinds` is "trip_id int, day day, fare float"; `rows` tuples, or a text: a line a row, `-` for NULL.
    """

    def __init__(self, kinds: str, rows: str | Sequence[Row]) -> None:
        self.kinds = dict(column.split() for column in kinds.split(", "))
        if isinstance(rows, str):
            read = list(map(_READ.__getitem__, self.kinds.values()))
            lines = [line.split() for line in rows.splitlines() if line.strip()]
            rows = [
                tuple(None if cell == "-" else of(cell) for of, cell in zip(read, line, strict=True))
                for line in lines
            ]
        self.rows = list(map(namedtuple("Row", self.kinds)._make, rows))

    def frame(self) -> pd.DataFrame:
        """Return it as the loaders would: days and clocks datetime64, numbers with NULL float64."""
        frame = pd.DataFrame([tuple(row) for row in self.rows], columns=list(self.kinds))
        for column, kind in self.kinds.items():
            if kind in ("day", "time"):
                frame[column] = pd.to_datetime(frame[column]).astype("datetime64[us]")
            elif kind == "text":
                frame[column] = frame[column].astype("str")
            else:
                whole = kind == "int" and not frame[column].isna().any()
                frame[column] = frame[column].astype("int64" if whole else "float64")
        return frame

    def create(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Make the table in a database, in the place of one of the same name."""
        columns = ", ".join(f"{column} {_SQL[kind]}" for column, kind in self.kinds.items())
        connection.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")
        if self.rows:
            one = f"({', '.join('?' * len(self.kinds))})"
            values = [value for row in self.rows for value in row]
            connection.execute(f"INSERT INTO {name} VALUES {', '.join([one] * len(self.rows))}", values)


Database = dict[str, Table]


@dataclass(frozen=True)
class Task:
    """What is asked: the columns of the result, made-up databases by name, and the answer in plain Python.

    `wanted` takes the rows of each table, in the order of the database, and gives the rows of the result.
    """

    columns: str
    databases: dict[str, Database]
    wanted: Callable[..., list[Row]]
    ordered: bool = False

    @property
    def names(self) -> list[str]:
        """The columns of the result."""
        return self.columns.split()

    def sql(self, answer: Callable[[], Any]) -> None:
        """Run the query on each database; AssertionError with the first difference."""
        query, _ = self._both(answer)
        assert isinstance(query, str), f"the first thing to return is the text of a query, not {query!r:.60}"
        connection = connect(threads=1)
        try:
            for name, database in self.databases.items():
                for table, content in database.items():
                    content.create(connection, table)
                try:
                    statements = connection.extract_statements(query)
                    assert len(statements) == 1, f"write one SELECT, not {len(statements)} statements"
                    cursor = connection.execute(query)
                    got, names = cursor.fetchall(), [column[0] for column in cursor.description or []]
                except duckdb.Error as error:
                    raise AssertionError(f"the query does not run: {_first_lines(error)}") from None
                self._compare(f"SQL, made-up database «{name}»", database, names, got)
        finally:
            connection.close()

    def pandas(self, answer: Callable[[], Any]) -> None:
        """Call the function with each database's tables; AssertionError with the first difference."""
        _, frames = self._both(answer)
        assert frames is not None and frames is not TODO, (
            "the query is right. Now return the second thing as well: a function of the DataFrames"
        )
        assert callable(frames), f"the second thing to return is a function of DataFrames, not {frames!r:.60}"
        for name, database in self.databases.items():
            where = f"pandas, made-up database «{name}»"
            try:
                got = frames(**{table: content.frame() for table, content in database.items()})
            except Exception as error:  # whatever a student's function may raise
                shown = f"{type(error).__name__}: {_first_lines(error)}"
                raise AssertionError(f"{where}: {shown}\n{_shown(database)}") from None
            assert isinstance(got, pd.DataFrame), f"{where}: return a DataFrame, not a {type(got).__name__}"
            columns = list(map(str, got.columns))
            if set(self.names) - set(columns) and set(self.names) & set(map(str, got.index.names)):
                raise AssertionError(
                    f"{where}: {', '.join(map(str, got.index.names))} is in the index; reset it"
                )
            rows = [
                tuple(None if pd.isna(value) else value for value in row)
                for row in got.itertuples(index=False, name=None)
            ]
            self._compare(where, database, columns, rows)

    def _both(self, answer: Callable[[], Any]) -> tuple[Any, Any]:
        given = answer()
        assert isinstance(given, tuple) and len(given) == 2, (
            "return two things, `return sql, frames`: the text of a query and a function of DataFrames; "
            "until the second is written, `return sql, None`"
        )
        return given

    def _compare(self, where: str, database: Database, columns: list[str], got: Sequence[Row]) -> None:
        assert sorted(columns) == sorted(self.names), (
            f"{where}: the columns are {', '.join(self.names)}; yours are {', '.join(columns) or 'none'}"
        )
        places = [columns.index(name) for name in self.names]
        yours = [tuple(_plain(row[place]) for place in places) for row in got]
        ours = [tuple(map(_plain, row)) for row in self.wanted(*(table.rows for table in database.values()))]
        if yours == ours or (not self.ordered and Counter(yours) == Counter(ours)):
            return
        missing = list((Counter(ours) - Counter(yours)).elements())
        extra = list((Counter(yours) - Counter(ours)).elements())
        if not missing and not extra:
            told = "the rows are right, their order is not; wanted is\n" + _grid(self.names, ours)
        else:
            marked = [("wanted", *row) for row in missing[:MOST_ROWS]]
            marked += [("got", *row) for row in extra[:MOST_ROWS]]
            rows = "1 row is" if len(ours) == 1 else f"{len(ours)} rows are"
            told = (
                f"{rows} wanted, you have {len(yours)}; these differ\n"
                + _grid(["", *self.names], marked)
                + _more(len(missing) - MOST_ROWS, "wanted")
                + _more(len(extra) - MOST_ROWS, "got")
            )
        raise AssertionError(f"{where}: {told}\n{_shown(database)}".rstrip())


def _more(rows: int, what: str) -> str:
    return f"\n… and {rows} more {what}" if rows > 0 else ""


def _plain(value: Any) -> Any:
    """Return a value so that equal ones of SQL and Python are equal: 3 and 3.0, a day and its midnight."""
    if value is None or value is pd.NaT:
        return None
    if isinstance(value, pd.Period):
        value = value.to_timestamp()
    if isinstance(value, datetime.datetime):
        return datetime.datetime.fromisoformat(value.isoformat())
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day)
    if isinstance(value, str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return repr(value)
    if math.isnan(number):
        return "nan"  # of SQL only, where it is a number and no NULL; equal to itself, unlike the float
    return number if math.isinf(number) else round(number, 6) + 0.0


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime.datetime):
        clock = "" if value.time() == datetime.time() else " %H:%M:%S" if value.second else " %H:%M"
        return value.strftime("%Y-%m-%d" + clock)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _grid(names: Sequence[str], rows: Sequence[Row]) -> str:
    """Return rows as text in columns."""
    table = [list(names), *([_cell(value) for value in row] for row in rows)]
    if not rows:
        table.append(["(no rows)", *[""] * (len(names) - 1)])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def _shown(database: Database) -> str:
    """Return the tables of a database as text, those that are small."""
    small = {name: table for name, table in database.items() if len(table.rows) <= MOST_ROWS}
    return "\n".join(f"{name}\n{_grid(list(table.kinds), table.rows)}" for name, table in small.items())


def _first_lines(error: Exception) -> str:
    return "\n".join([line for line in str(error).splitlines() if line.strip()][:5])

"""The SQL katas of I5 for the browser: their made-up databases as scripts, and the rows that each is to give.

The rows are what the check's own plain Python finds; the browser runs the query and compares by the rule of
`course.exercise.tables`. The pandas half of a kata stays in the notebook and the terminal.
"""

from __future__ import annotations

import datetime
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from authoring.site.bank import short
from course.exercise.result import Exercise
from course.exercise.source import load, names
from course.exercise.tables import _SQL, Database, Table, Task, _plain, _shown
from course.files import write_whole
from course.paths import ROOT
from walkforward.errors import WalkForwardError

KATAS = ROOT / "src" / "lessons" / "exercises" / "I5_sql_and_pandas.py"
BOLD = re.compile(r"\*\*(.+?)\*\*")
OF_BOTH = re.compile(r"^Return `\(sql, frames\)`: | `frames\([^)]*\)` gives the same.*$")


class SqlKataError(WalkForwardError, ValueError):
    """A kata's check does something that the browser can't do in the same way."""


def judge(exercise: Exercise) -> tuple[Callable, Task]:
    """Return the check of an exercise's query, and its task.

    Raises SqlKataError where no check is `TASK.sql(answer)` and nothing more.
    """
    for check in exercise.checks:
        name, *called = check.__code__.co_names
        task = check.__globals__.get(name)
        if called == ["sql"] and isinstance(task, Task):
            return check, task
    raise SqlKataError(
        f"{exercise.name}: no check is `TASK.sql(answer)` alone, so the browser can't judge it"
    )


def literal(value: Any) -> str:
    """Return a value as SQL writes it, of the type that its column has."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, datetime.datetime):
        return f"TIMESTAMP '{value}'"
    if isinstance(value, datetime.date):
        return f"DATE '{value}'"
    return f"'{value}'::DOUBLE" if isinstance(value, float) else str(value)


def script(name: str, table: Table) -> list[str]:
    """Return the statements that make a table with its rows, in the place of one of the same name."""
    columns = ", ".join(f"{column} {_SQL[kind]}" for column, kind in table.kinds.items())
    rows = ", ".join(f"({', '.join(map(literal, row))})" for row in table.rows)
    made = [f"CREATE OR REPLACE TABLE {name} ({columns})"]
    return [*made, f"INSERT INTO {name} VALUES {rows}"] if rows else made


def database(held: Database) -> dict[str, Any]:
    """Return a made-up database: what makes it, and its small tables as a message shows them."""
    return {"make": sum((script(name, table) for name, table in held.items()), []), "shown": _shown(held)}


def value(one: Any) -> Any:
    """Return a value that is wanted as JSON has it: a moment as its microseconds in a list."""
    plain = _plain(one)
    if isinstance(plain, datetime.datetime):
        return [round((plain - datetime.datetime(1970, 1, 1)) / datetime.timedelta(microseconds=1))]
    return plain


def tasks() -> dict[str, Any]:
    """Return what the worker judges with: each database once, by kata the columns and the rows wanted."""
    databases: dict[str, int] = {}
    katas = {}
    for name, _, task in found():
        on = []
        for title, held in task.databases.items():
            text = json.dumps(database(held), ensure_ascii=False)
            wanted = task.wanted(*(table.rows for table in held.values()))
            rows = [list(map(value, row)) for row in wanted]
            on.append([title, databases.setdefault(text, len(databases)), rows])
        katas[name] = {"columns": task.names, "ordered": task.ordered, "on": on}
    return {"databases": list(map(json.loads, databases)), "katas": katas}


def found() -> list[tuple[str, Callable, Task]]:
    """Return each kata with the check of its query and its task."""
    module = load(KATAS)
    return [(name, *judge(getattr(module, name).exercise)) for name in names(KATAS)]


def entries() -> list[dict[str, Any]]:
    """Return the katas in order: task, tables, the field's first text, the check, its hint, the solution."""
    listed = []
    for name, check, task in found():
        solution = check.__globals__[name]
        text = OF_BOTH.sub("", " ".join(inspect.getdoc(solution).split()))
        tables = next(iter(task.databases.values()))
        listed.append(
            {
                "name": name,
                "task": BOLD.sub(r"<b>\1</b>", short(text[0].upper() + text[1:])),
                "tables": [
                    f"{one}({', '.join(f'{c} {k}' for c, k in table.kinds.items())})"
                    for one, table in tables.items()
                ],
                "stub": "-- one SELECT\n",
                "check": check.__name__.replace("_", " "),
                "hint": short(inspect.getdoc(check)),
                "solution": inspect.cleandoc(solution()[0]),
            }
        )
    return listed


def write(target: Path) -> None:
    """Write sql.json, and sql-tables.json, which is asked for when a kata is checked."""
    target.mkdir(parents=True, exist_ok=True)
    for name, whole in {"sql.json": entries(), "sql-tables.json": tasks()}.items():
        text = json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        write_whole(target / name, text.encode())

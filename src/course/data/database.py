"""The course's data as tables of DuckDB, a database inside this process: no server, no port, no download.

`open_database` makes the tables from data/, in memory or in a file of your own; `plan` shows what the
planner does with a query. The database reads no file by itself, so that what a lesson reads is what the
loaders of `course.data` read; extensions, which are downloads, stay off.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from course.data import DataError, load_ridership, load_stations, load_trips, months

# TLC's dictionary of the trip records; 5 and 6 occur in no trip of the course.
PAYMENT_TYPES = {1: "card", 2: "cash", 3: "no charge", 4: "dispute", 5: "unknown", 6: "voided"}
HOME_GAMES = {"bulls_home": "Bulls", "blackhawks_home": "Blackhawks", "bears_home": "Bears"}

_MODEST = {"threads": 2, "memory_limit": "500MB", "temp_directory": ""}
_CLOSED = ("enable_external_access", "python_enable_replacements", "autoinstall_known_extensions")


def connect(file: Path | str = ":memory:", *, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """Return a connection: two threads, 500 MB, no access to files, Python's variables or extensions."""
    connection = duckdb.connect(str(file), config=_MODEST | {"threads": threads})
    for name in _CLOSED:
        connection.execute(f"SET {name} = false")
    return connection


def open_database(
    first: str = "2019-07", last: str = "2019-12", file: Path | str | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a connection to the course's tables; close it when you are done.

    trips: trip_id, zone (of the pickup), pickup_at, payment_type and passengers (NULL where unknown),
    distance (miles), fare (USD), of the months `first` to `last`. payment_types: payment_type, name.
    rides: station, day, rides (thousand). games: day, team, a row a home game in Chicago.
    `file`: written there and not only kept in memory, for a client of your own.

    Raises DataError for a month that the course does not have, and for a file that exists already.
    """
    if file is not None and Path(file).exists():
        raise DataError(f"{file} exists already: open it with duckdb.connect, or give another name")
    tables = _tables(first, last)
    connection = connect(file or ":memory:")
    for name, (query, frame) in tables.items():
        connection.register("source", frame)
        connection.execute(f"CREATE TABLE {name} AS {query}")
        connection.unregister("source")
    return connection


def _tables(first: str, last: str) -> dict[str, tuple[str, pd.DataFrame]]:
    """Return by table the query that makes it and the frame, called `source` there, that it is made from."""
    trips = load_trips(months(first, last))
    trips = trips.assign(trip_id=range(1, len(trips) + 1)).rename(
        columns={
            "pickup_location_id": "zone",
            "pickup_datetime": "pickup_at",
            "passenger_count": "passengers",
            "trip_distance": "distance",
            "fare_amount": "fare",
        }
    )
    weather = load_ridership()
    games = weather.melt("ds", list(HOME_GAMES), "team").query("value == 1").replace({"team": HOME_GAMES})
    names = pd.DataFrame({"payment_type": list(PAYMENT_TYPES), "name": list(PAYMENT_TYPES.values())})
    return {
        "trips": (
            "SELECT trip_id, zone, pickup_at, CAST(payment_type AS INTEGER) AS payment_type, "
            "CAST(passengers AS INTEGER) AS passengers, distance, fare FROM source ORDER BY trip_id",
            trips,
        ),
        "payment_types": (
            "SELECT CAST(payment_type AS INTEGER) AS payment_type, name FROM source ORDER BY 1",
            names,
        ),
        "rides": (
            "SELECT unique_id AS station, CAST(ds AS DATE) AS day, y AS rides FROM source ORDER BY 1, 2",
            load_stations(),
        ),
        "games": ("SELECT CAST(ds AS DATE) AS day, team FROM source ORDER BY 1, 2", games),
    }


def plan(connection: duckdb.DuckDBPyConnection, query: str, analyze: bool = False) -> pd.DataFrame:
    """Return the operators of a query's plan, the last to run first, each below the one that takes its rows.

    Columns: operator (indented), what (table, condition, groups), estimate (rows, as the planner guesses)
    and, with `analyze`, rows (as counted: the query is run). No seconds: they are others each time.
    """
    form = "ANALYZE, FORMAT json" if analyze else "FORMAT json"
    found = json.loads(connection.execute(f"EXPLAIN ({form}) {query}").fetchall()[0][1])
    roots = found["operator"] if isinstance(found, dict) else found
    rows: list[dict[str, Any]] = []

    def walk(node: dict[str, Any], depth: int) -> None:
        name = node["name"].strip()
        if name not in ("RESULT_COLLECTOR", "EXPLAIN_ANALYZE", "PROJECTION", "ROOT"):
            said = node.get("extra_info") or {}
            what = [_text(said[key]) for key in _SAID if said.get(key)]
            row = {"operator": "· " * depth + name.lower().replace("_", " "), "what": ", ".join(what)}
            row["estimate"] = said.get("Estimated Cardinality", "")
            if analyze:
                row["rows"] = node.get("intermediate_rows", "")
            rows.append(row)
            depth += 1
        for child in node.get("children", []):
            walk(child, depth)

    for root in roots:
        walk(root, 0)
    return pd.DataFrame(rows)


_SAID = (
    "Table",
    "Join Type",
    "Conditions",
    "Groups",
    "Aggregates",
    "Expression",
    "Filters",
    "Order By",
    "Top",
)


def _text(value: Any) -> str:
    words = value if isinstance(value, str) else ", ".join(map(str, value))
    return words.replace("memory.main.", "").replace("\n", ", ")

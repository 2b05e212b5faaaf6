"""SQL on tables that are open already: DuckDB opens no file of its own."""

import duckdb
import pandas as pd


def query(sql: str, **tables: object) -> pd.DataFrame:
    """Return the answer of DuckDB; `tables` are Arrow datasets or DataFrames by the names that the SQL uses."""
    with duckdb.connect() as connection:
        for name, rows in tables.items():
            connection.register(name, rows)
        return connection.sql(sql).df()

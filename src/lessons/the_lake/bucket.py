"""Small helpers on the lesson's bucket: clients, what lies under a prefix, what a read costs, two jobs at once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
from deltalake import DeltaTable, write_deltalake

from lessons.the_lake.wire import Wire

BUCKET = "lake"
_KEYS = {"aws_access_key_id": "course", "aws_secret_access_key": "course"}


def client(address: str) -> Any:
    """A boto3 client of the store at this address."""
    return boto3.client("s3", endpoint_url=address, region_name="us-east-1", **_KEYS)


def storage_options(address: str) -> dict[str, str]:
    """What deltalake needs; plain http must be allowed, and only on 127.0.0.1."""
    place = {"AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
    return place | {name.upper(): value for name, value in _KEYS.items()}


def iceberg_catalog(folder: str | Path, address: str) -> Any:
    """An Iceberg catalog: a row in SQLite for each table, its files in the bucket."""
    from pyiceberg.catalog.sql import SqlCatalog

    logging.getLogger("pyiceberg").setLevel(logging.ERROR)  # it warns of each new try
    place = {"uri": f"sqlite:///{Path(folder).as_posix()}/catalog.db", "warehouse": f"s3://{BUCKET}/iceberg"}
    keys = {"s3.access-key-id": "course", "s3.secret-access-key": "course", "s3.region": "us-east-1"}
    catalog = SqlCatalog("course", **place, **keys, **{"s3.endpoint": address})
    catalog.create_namespace("trips")
    return catalog


def upload(s3: Any, prefix: str, trips: pd.DataFrame) -> None:
    """A Parquet object for each month, under the prefix."""
    for month, rows in trips.groupby("month"):
        s3.put_object(Bucket=BUCKET, Key=f"{prefix}{month}.parquet", Body=rows.to_parquet())


def listed(s3: Any, prefix: str) -> list[str]:
    """The keys that begin with `prefix`."""
    return [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def entries(s3: Any, table: str) -> pd.DataFrame:
    """How many files each entry of a Delta table's log adds and removes."""
    found = []
    for key in listed(s3, f"{table}/_delta_log/"):
        lines = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().splitlines()
        kinds = [next(iter(json.loads(line))) for line in lines]
        found.append({kind: kinds.count(kind) for kind in ("add", "remove")})
    return pd.DataFrame(found).rename_axis("version")


def as_plain_parquet(s3: Any, prefix: str) -> pd.DataFrame:
    """All Parquet files under the prefix, as a reader sees them who knows nothing of a log."""
    keys = [key for key in listed(s3, prefix) if key.endswith(".parquet")]
    bodies = [s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys]
    return pd.concat([pd.read_parquet(BytesIO(body)) for body in bodies])


def digest(rows: pd.DataFrame) -> str:
    """Eight letters that hang on the values of all rows, and not on their order."""
    ordered = rows.sort_values("trip_id").reset_index(drop=True)
    return f"{int(pd.util.hash_pandas_object(ordered, index=False).sum()):016x}"[:8]


def at_once(wire: Wire, job: Callable[[str], Any], name: str) -> tuple[list[Any], list[int]]:
    """Run the job in two threads whose first commits meet; what they return, and what the store said."""
    wire.meet(2)
    wire.calls()
    with ThreadPoolExecutor(2) as two:
        said = list(two.map(job, [name] * 2))
    return said, sorted(wire.calls("_delta_log/").query("method == 'PUT'")["status"])


def proof(wire: Wire, rows: pd.DataFrame, writers: int = 8) -> dict[str, str | int]:
    """What a store does when two create one key, two commits meet, and `writers` append as luck has it."""
    s3, options = client(wire.endpoint_url), storage_options(wire.endpoint_url)
    s3.delete_object(Bucket=BUCKET, Key="proof")

    def create(body: bytes) -> int:
        try:
            answer = s3.put_object(Bucket=BUCKET, Key="proof", Body=body, IfNoneMatch="*")
        except s3.exceptions.ClientError as error:
            answer = error.response
        return answer["ResponseMetadata"]["HTTPStatusCode"]

    def append(name: str, mode: str = "append") -> None:
        write_deltalake(f"s3://{BUCKET}/{name}", rows, mode=mode, storage_options=options)

    def count(name: str) -> int:
        return DeltaTable(f"s3://{BUCKET}/{name}", storage_options=options).to_pyarrow_table().num_rows

    with ThreadPoolExecutor(writers) as many:
        created = sorted(many.map(create, (b"mine", b"yours")))
        for name in ("proof-of-two", "proof-of-many"):
            append(name, "overwrite")
        _, statuses = at_once(wire, append, "proof-of-two")
        list(many.map(append, ["proof-of-many"] * writers))
    return {
        "two create a key": " ".join(map(str, created)),
        "two commits meet": " ".join(map(str, statuses)),
        "rows of 3 appends": count("proof-of-two"),
        f"rows of {writers + 1} appends": count("proof-of-many"),
    }


def reading(wire: Wire, table: Any, columns: list[str] | None = None, where: Any = None) -> dict[str, int]:
    """Read a Delta table through the proxy: rows, data files, requests and KB (of 1,000 bytes)."""
    wire.calls()
    rows = table.to_pyarrow_dataset().to_table(columns=columns, filter=where).num_rows
    read = wire.calls(".parquet").query("method == 'GET'")
    size = int(read["bytes"].sum()) // 1000
    return {"rows": rows, "files": read["key"].nunique(), "requests": len(read), "KB": size}

"""A day's work on Spark, run by the environment `spark`: `python job.py FOLDER`.

FOLDER holds `trips/` (Parquet), `model/` (an MLflow model) and takes `told.json`: what was found. What Spark did is
read from its own event log, the file from which its UI is drawn.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

FEATURES = ["trip_distance", "pickup_location_id", "dropoff_location_id", "hour", "weekday"]
PARTITIONS, SALTS, ROW_BY_ROW = 8, 24, 2_000
PLANNED = ("filter and group",)  # steps that must start no job
SETTINGS = {
    "spark.sql.shuffle.partitions": PARTITIONS,
    "spark.sql.adaptive.enabled": "false",  # so that the plan is carried out as it was written
    "spark.sql.files.maxPartitionBytes": "4m",  # a partition for each of the small files
    "spark.sql.autoBroadcastJoinThreshold": -1,  # a broadcast is asked for
    "spark.driver.maxResultSize": "1m",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
}


def main(folder: Path) -> None:
    """Do the day's work and write what was found."""
    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    from pyspark.sql import SparkSession

    log = folder / "log"
    log.mkdir()
    started = time.perf_counter()
    builder = SparkSession.builder.master("local[2]").appName("day")
    for name, value in (SETTINGS | {"spark.eventLog.dir": log.as_uri()}).items():
        builder = builder.config(name, str(value))
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    told: dict[str, Any] = {"seconds": {"a session starts": time.perf_counter() - started}}
    try:
        for step in (grouped, joined, cached, scored, cast, collected):
            told |= step(spark, folder, told["seconds"])
    finally:
        spark.stop()
    told["work"] = work(log)
    told["seconds"] = {name: round(value, 2) for name, value in told["seconds"].items()}
    (folder / "told.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def now(spark: Any, name: str) -> None:
    """From here on, what Spark does is logged under this name."""
    spark.sparkContext.setJobDescription(name)


def read(spark: Any, folder: Path) -> Any:
    """The trips, as a plan."""
    return spark.read.parquet(str(folder / "trips"))


def grouped(spark: Any, folder: Path, seconds: dict[str, float]) -> dict[str, Any]:
    """Long trips by borough: what is planned, what is run, and what pandas says."""
    now(spark, "read the schema")
    trips = read(spark, folder)
    now(spark, PLANNED[0])
    long = trips.where("trip_distance > 5").groupBy("borough").count()
    now(spark, "collect")
    began = time.perf_counter()
    by_spark = {row["borough"]: row["count"] for row in long.collect()}
    seconds["the first query"] = time.perf_counter() - began
    now(spark, "repartition, then collect")
    first = trips.repartition("borough").where("trip_distance > 5").groupBy("borough").count()
    again = {row["borough"]: row["count"] for row in first.collect()}
    began = time.perf_counter()
    rows = pd.read_parquet(folder / "trips", columns=["borough", "trip_distance"])
    by_pandas = rows[rows["trip_distance"] > 5].groupby("borough").size().to_dict()
    seconds["the same query in pandas"] = time.perf_counter() - began
    now(spark, "count")
    lines = plan(long)
    pushed = re.search(r"PushedFilters: \[(.*?)\], ReadSchema", lines[-1])[1].split(", ")
    return {"plan": lines, "pushed": pushed, "rows": trips.count(), "same": by_spark == again == by_pandas}


def joined(spark: Any, folder: Path, _: dict[str, float]) -> dict[str, Any]:
    """A fee for each borough, joined to its trips in three ways."""
    from pyspark.sql import functions as F

    trips = read(spark, folder)
    now(spark, "fees")
    names = [row["borough"] for row in trips.select("borough").distinct().collect()]
    fees = spark.createDataFrame([(name, len(name)) for name in sorted(names)], ["borough", "fee"])
    salted_trips = trips.withColumn("salt", F.pmod(F.hash("trip_id"), F.lit(SALTS)))
    salted_fees = fees.withColumn("salt", F.explode(F.sequence(F.lit(0), F.lit(SALTS - 1))))
    ways = {
        "join": trips.join(fees.hint("merge"), "borough"),
        "join, salted": salted_trips.join(salted_fees.hint("merge"), ["borough", "salt"]),
        "join, broadcast": trips.join(F.broadcast(fees), "borough"),
    }
    sums = {}
    for name, way in ways.items():
        now(spark, name)
        sums[name] = way.select(F.sum("fee")).first()[0]
    assert len(set(sums.values())) == 1, sums
    return {
        "joins": {name: re.findall(r"\w+Join", plan(way)[0] + plan(way)[1])[0] for name, way in ways.items()}
    }


def cached(spark: Any, folder: Path, _: dict[str, float]) -> dict[str, Any]:
    """How often a function is called for two sums, with the column kept and without."""
    from pyspark.sql import functions as F

    calls = spark.sparkContext.accumulator(0)

    @F.udf("double")
    def expensive(distance: float) -> float:
        calls.add(1)
        return distance**0.5

    found = {}
    for name in ("without", "with"):
        now(spark, f"cache: {name}")
        before, frame = calls.value, read(spark, folder).withColumn("root", expensive("trip_distance"))
        if name == "with":
            frame = frame.cache()
        found[f"{name}, before the first action"] = calls.value - before
        for sort in (F.sum, F.max):
            frame.select(sort("root")).first()
            found[f"{name}, {sort.__name__}"] = calls.value - before
        frame.unpersist()
    return {"cache": found}


def scored(spark: Any, folder: Path, seconds: dict[str, float]) -> dict[str, Any]:
    """One model by a function of a row, by a function of a batch, and by MLflow's."""
    import mlflow
    from pyspark.sql import functions as F

    where, trips = str(folder / "model"), read(spark, folder)
    calls, loads = spark.sparkContext.accumulator(0), spark.sparkContext.accumulator(0)

    @F.udf("double")
    def by_row(*row: float) -> float:
        if "model" not in globals():
            globals()["model"] = mlflow.pyfunc.load_model(where)
            loads.add(1)
        calls.add(1)
        return float(globals()["model"].predict(pd.DataFrame([row], columns=FEATURES))[0])

    @F.pandas_udf("double")
    def by_batch(batches: Iterator[pd.DataFrame]) -> Iterator[pd.Series]:
        model = mlflow.pyfunc.load_model(where)
        loads.add(1)
        for batch in batches:
            calls.add(1)
            yield pd.Series(model.predict(batch)).astype(float)

    now(spark, "score")
    ways = {
        "a plain function": (trips.limit(ROW_BY_ROW), by_row(*FEATURES)),
        "a function of batches": (trips, by_batch(F.struct(*FEATURES))),
        "mlflow.pyfunc.spark_udf": (
            trips,
            mlflow.pyfunc.spark_udf(spark, where, env_manager="local", result_type="double")(
                F.struct(*FEATURES)
            ),
        ),
    }
    found = {}
    for name, (rows, column) in ways.items():
        before, began = calls.value, time.perf_counter()
        gap = F.max(F.abs(column - F.col("expected")))
        count, largest = rows.select(F.count("expected"), gap).first()
        seconds[name] = time.perf_counter() - began
        found[name] = {"rows": count, "calls": calls.value - before, "largest difference": largest}
    found["mlflow.pyfunc.spark_udf"]["calls"] = None  # it counts for itself
    return {"scored": found}


def cast(spark: Any, _: Path, __: dict[str, float]) -> dict[str, Any]:
    """What text that is no number becomes."""
    from pyspark.errors import PySparkException

    spark.createDataFrame([("7",), ("n/a",), ("12",)], ["text"]).createOrReplaceTempView("fares")
    found = {}
    for ansi, call in (("true", "cast"), ("true", "try_cast"), ("false", "cast")):
        spark.conf.set("spark.sql.ansi.enabled", ansi)
        try:
            rows = spark.sql(f"select {call}(text as int) as fare from fares").collect()
            found[f"{call}, ANSI {ansi}"] = str([row["fare"] for row in rows])
        except PySparkException as error:
            found[f"{call}, ANSI {ansi}"] = error.getCondition()
    spark.conf.set("spark.sql.ansi.enabled", "true")
    return {"cast": found}


def collected(spark: Any, folder: Path, _: dict[str, float]) -> dict[str, Any]:
    """What the driver says to all rows at once."""
    try:
        read(spark, folder).collect()
    except Exception as error:  # py4j's, whose text has the JVM's
        text = re.search(r"Total size of serialized results .*?maxResultSize", str(error))
        return {"collect": re.sub(r" of \d+ tasks \([^)]*\)", "", text[0]) if text else str(error)[:200]}
    return {"collect": "all rows came"}


def plan(frame: Any) -> list[str]:
    """The physical plan, line by line, without its numbers."""
    text = frame._jdf.queryExecution().executedPlan().toString()
    for pattern, by in (
        (r"#\d+L?", ""),
        (r", \[plan_id=\d+\]", ""),
        (r"\*\(\d+\) ", ""),
        (r"Location:.*?\], ", ""),
    ):
        text = re.sub(pattern, by, text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def work(log: Path) -> dict[str, dict[str, Any]]:
    """Jobs, stages, tasks and shuffled rows under each name, from the event log."""
    lines = [
        json.loads(line) for path in sorted(log.rglob("events_*")) for line in path.read_text().splitlines()
    ]
    names: dict[int, str] = {}  # stage: name
    found: dict[str, dict[str, Any]] = {}
    for event in lines:
        if event["Event"] == "SparkListenerJobStart":
            name = (event.get("Properties") or {}).get("spark.job.description", "other")
            names |= dict.fromkeys(event["Stage IDs"], name)
            one = found.setdefault(name, {"jobs": 0, "stages": set(), "tasks": 0, "shuffled": 0, "read": {}})
            one["jobs"] += 1
        elif event["Event"] == "SparkListenerTaskEnd":
            one, metrics = found[names[event["Stage ID"]]], event.get("Task Metrics")
            one["tasks"] += 1
            if metrics is None:  # of a task that failed
                continue
            one["stages"].add(event["Stage ID"])
            one["shuffled"] += metrics["Shuffle Write Metrics"]["Shuffle Records Written"]
            taken = metrics["Shuffle Read Metrics"]["Total Records Read"]
            one["read"].setdefault(event["Stage ID"], []).append(taken)
    for name in PLANNED:
        assert name not in found, f"{name}: a job ran, and only a plan was meant"
        found[name] = {"jobs": 0, "stages": set(), "tasks": 0, "shuffled": 0, "read": {}}
    for one in found.values():
        fullest = max(one.pop("read").values(), key=sum, default=[])  # of the stage that reads most
        one["stages"], one["rows of each task"] = len(one["stages"]), sorted(fullest, reverse=True)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       rounds: 1
# ---

# %% [markdown]
# # 10e · Object storage and the lake
#
# After this lesson you can say what a bucket guarantees, prove whether a store loses commits, and keep last month's training data readable.

# %% [markdown]
# > **You will learn to** write to keys so that no reader sees half a result · test a store before you trust it · read Delta's log · upsert late changes · measure the bytes a query reads · choose a way to version data
# >
# > **Before you start** [06a · Reproducibility](06a_reproducibility.ipynb) · the S3 store of [03b · Tracking servers](03b_tracking_servers.ipynb)
# >
# > **Time** 60 minutes of study; it runs in 30 seconds
# >
# > **Interview questions it answers** In which ways is object storage not a file system? · Twenty jobs append and report success. Why are rows missing? · The version that your model was trained on can't be read. What happened?

# %% tags=["parameters"]
rounds = 3  # races between two writers, for each store
small_writes = 12  # days that are appended one by one

# %% name="trips"
import contextlib
import tempfile
from pathlib import Path

import pandas as pd
import requests
from botocore.exceptions import ClientError

from course import exercise
from course.exercise import TODO
from lessons.the_lake import bucket
from lessons.the_lake.seaweed import watched_seaweed
from lessons.the_lake.wire import watched_store
from projects.trip_checks import FEATURES, released_trips, rmse, trained

trips = released_trips()[["pickup_datetime", "month", *FEATURES, "duration"]]
trips = trips[trips["month"].between("2019-01", "2019-06")].sort_values("pickup_datetime", kind="stable")
trips = trips.assign(trip_id=range(len(trips))).reset_index(drop=True)
print(f"{len(trips):,} trips of {trips['month'].nunique()} months")


# %% [markdown]
# ## Keys, not folders
#
# moto, a program that speaks S3, holds the bucket. A proxy in front of it, `wire`, counts each request.

# %% name="store"
running = contextlib.ExitStack()  # whatever is entered here ends with running.close()
folder = running.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
store, wire = running.enter_context(watched_store(folder, "lake"))
s3 = bucket.client(wire.endpoint_url)  # boto3.client("s3", endpoint_url=…)
bucket.upload(s3, "tmp/", trips)  # an object for each month
print(s3.list_objects_v2(Bucket="lake", Delimiter="/")["CommonPrefixes"])


# %% [markdown]
# That looks like a folder. It is the beginning that six **keys** share, cut at `/` for the listing; a key is a name, an **object** its bytes.
#
# A job writes to `tmp` and renames the folder at the end, so that readers see all or nothing. **Predict first.** What does a reader see who lists in the middle?


# %% name="rename"
seen = []
for key in bucket.listed(s3, "tmp/"):
    s3.copy_object(Bucket="lake", Key=key.replace("tmp", "final"), CopySource=f"lake/{key}")
    s3.delete_object(Bucket="lake", Key=key)
    seen.append(len(bucket.listed(s3, "final/")))
print("months that a reader sees, step by step:", *seen)


# %% [markdown]
# One month, then two, up to 6<!-- =rename: (\d+)$ -->: a part until the last step. S3 has no rename: each object is copied and deleted, two requests apiece. (Azure's storage with a hierarchical namespace does rename a folder in one step.) So write under new keys, and let **one** small object say which of them count.
#
# No waiting is needed: since December 2020<!-- given --> S3 is **strongly consistent**. A read or listing after a finished write sees it.

# %% [markdown]
# ## One of two writers
#
# Two jobs write that one object. Both read it, both add a line, the later write erases the earlier one. A **conditional write** asks the store to decide: `IfNoneMatch="*"` means *only if this key is new*, `IfMatch=etag` means *only if the object is as I read it*. An **ETag** names the content.


# %% name="conditional"
def put(key, body, **condition):
    try:
        s3.put_object(Bucket="lake", Key=key, Body=body, **condition)
        return "written"
    except ClientError as error:
        return error.response["Error"]["Code"]


answers = {"create": put("current", b"v1", IfNoneMatch="*")}
answers["create again"] = put("current", b"v2", IfNoneMatch="*")
etag = s3.head_object(Bucket="lake", Key="current")["ETag"]
answers["replace what I read"] = put("current", b"v2", IfMatch=etag)
answers["replace what another replaced"] = put("current", b"v3", IfMatch=etag)
pd.Series(answers, name="answer").to_frame()

# %% [markdown]
# S3 has the first since August 2024<!-- given -->, the second since November 2024<!-- given -->. "S3-compatible" means that the calls are accepted; it does not mean that the condition is checked. So test a store before use. The first line is the proxy told to ignore conditions, as `rclone serve s3` does.


# %% name="probe"
def lets_one_win(key):
    both = [put(key, body, IfNoneMatch="*") for body in (b"mine", b"yours")]
    return both[1] == "PreconditionFailed"


for keeps in (False, True):
    wire.keep_conditions(keeps)
    print("conditions passed on:", keeps, "· one writer wins:", lets_one_win(f"probe-{keeps}"))


# %% [markdown]
# Three more things you are asked about. A **presigned URL** carries a signature and an end, so that a browser fetches one object without a key. **Versioning** keeps what was overwritten or deleted; a deletion only adds a marker. A **lifecycle rule** deletes or moves objects by prefix and age, and without one old versions are paid for as long as the bucket lives.

# %% name="three_more"
url = s3.generate_presigned_url("get_object", {"Bucket": "lake", "Key": "current"}, ExpiresIn=600)
print("without a key:", requests.get(url, timeout=10).text)

s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
put("labels.csv", b"first"), put("labels.csv", b"second")
s3.delete_object(Bucket="lake", Key="labels.csv")
kept = s3.list_object_versions(Bucket="lake", Prefix="labels.csv")
print(len(kept["Versions"]), "versions and", len(kept["DeleteMarkers"]), "marker are kept")
print("listed:", bucket.listed(s3, "labels"))


# %% [markdown]
# The URL works for whoever has it, until it ends. (moto checks no signature; a real store does.)
#
# **MinIO** is the name you will hear for S3 in a client's own data centre. Its server went from Apache 2.0<!-- given --> to the **AGPL v3** in 2021<!-- given -->; the open-source repository took no changes from December 2025<!-- given --> and was archived in April 2026<!-- given -->. The company sells AIStor. Take a store that is maintained (Ceph, SeaweedFS, a vendor's), and run the probe on it.

# %% [markdown]
# ## From files to a table
#
# A **data lake** is files of any kind in open formats. A **warehouse** is modelled tables inside an engine. A **lakehouse** adds a *table format* to the lake's files: transactions, schema, versions, and several engines on the same bytes. Its layers are called bronze (as it arrived), silver (cleaned) and gold (made for one use).

# %% name="layers"
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError, SchemaMismatchError

from course.data import load_trips, months
from lessons.the_lake.sql import query

lake = bucket.storage_options(wire.endpoint_url)
day = trips["pickup_datetime"].dt.normalize()
gold = trips.groupby(day)["duration"].agg(["mean", "size"]).reset_index()
for name, rows in {"bronze": load_trips(months("2019-01", "2019-06")), "silver": trips, "gold": gold}.items():
    write_deltalake(f"s3://lake/{name}", rows, storage_options=lake)
    print(f"{name}: {len(rows):,} rows")
late = (trips["pickup_datetime"].dt.hour >= 9).mean()
print(f"of a day's mean, {late:.0%} of the trips start after 9:00")


# %% [markdown]
# Gold here is right for a report and a leak for training: at nine in the morning 81<!-- =layers: mean, (\d+)% --> % of the trips behind the day's mean have not started. Train on tables that hold what was known at each moment.
#
# Two engines, one table; DuckDB reads it through Arrow.


# %% name="engines"
def table(name, **version):
    return DeltaTable(f"s3://lake/{name}", storage_options=lake, **version)


silver = table("silver").to_pyarrow_dataset()
by_sql = query("select avg(duration) as minutes from silver group by month order by month", silver=silver)
by_pandas = table("silver").to_pandas().groupby("month")["duration"].mean()
print("largest difference:", round(abs(by_sql["minutes"] - by_pandas.to_numpy()).max(), 9))


# %% [markdown]
# ## The log is the table
#
# Delta puts a folder of numbered JSON entries beside the Parquet files. A write puts its files first; then one new entry *adds* and *removes* names. No file is changed.

# %% name="log"
for mode in ("append", "append", "append", "overwrite"):
    write_deltalake("s3://lake/log", gold[:30], mode=mode, storage_options=lake)
s3.put_object(Bucket="lake", Key="log/killed.parquet", Body=gold[:30].to_parquet())  # the job died here
print("the log says", len(table("log").to_pandas()), "rows")
print("the folder says", len(bucket.as_plain_parquet(s3, "log/")))
bucket.entries(s3, "log")


# %% [markdown]
# The table has 30<!-- =log: log says (\d+) --> rows. Whoever reads the folder as plain Parquet counts 150<!-- =log: folder says (\d+) -->: three removed files, and the file of a job that died before its entry. Readers of the table never saw that one.
#
# Now two jobs append at the same moment. Both want to create the entry with the same number. **Predict first.** How many rows arrive on a store that checks the condition, and how many on one that does not?


# %% name="race"
def append(name):
    write_deltalake(f"s3://lake/{name}", gold[:100], mode="append", storage_options=lake)
    return "success"


told = {}
for keeps, number in [(keeps, number) for keeps in (True, False) for number in range(rounds)]:
    name = f"{'checks' if keeps else 'ignores'} {number + 1}"
    append(name)
    wire.keep_conditions(keeps)
    said, statuses = bucket.at_once(wire, append, name)
    told[name] = {"jobs say": " ".join(said), "store says": " ".join(map(str, statuses))}
    told[name]["rows"] = len(table(name).to_pandas())
wire.keep_conditions(True)
pd.DataFrame(told).T


# %% [markdown]
# The proxy lets both commits meet, so the race happens each time. On the checking store one gets 412<!-- =race: (412) -->, reads the other's entry, and takes the next number: 300<!-- =race[checks 1, rows] --> rows. On the other both get 200<!-- given -->, both report success, and the table has 200<!-- =race[ignores 1, rows] -->: one file is in no entry.
#
# Until the store is replaced, one writer at a time.
#
# moto is a program for tests, **SeaweedFS** a server that firms run. Is the answer the same?

# %% name="real_store" tags=["nbval-ignore-output"]
with watched_seaweed(folder, "lake") as other:
    stores = {"moto": wire, "SeaweedFS": other}
    proofs = {name: bucket.proof(one, gold[:100]) for name, one in stores.items() if one}
if other is None:
    print("SeaweedFS is not run here: it needs Linux or a newer Mac, and `walkforward env lake`")
pd.DataFrame(proofs)

# %% [markdown]
# It is, and nine appends give 900<!-- =real_store[rows of 9 appends, moto] --> rows.
#
# ### Your turn

# %% exercise="commit"

# %%
exercise.check(commit)

# %% [markdown]
# ## Upstream renames a column
#
# In June `trip_distance` arrives as `distance`. A table format checks the **schema** on write.

# %% name="schema"
write_deltalake("s3://lake/feed", trips[trips["month"] < "2019-06"], storage_options=lake)
renamed = trips[trips["month"] == "2019-06"].rename(columns={"trip_distance": "distance"})
try:
    write_deltalake("s3://lake/feed", renamed, mode="append", storage_options=lake)
except SchemaMismatchError as refused:
    print("refused:", refused)


# %% [markdown]
# At night somebody finds a switch that makes the red job green: `schema_mode="merge"`. What does the model that was trained from January to March say to June?

# %% name="silent"
write_deltalake("s3://lake/feed", renamed, mode="append", schema_mode="merge", storage_options=lake)
fed = table("feed").to_pandas().query("month == '2019-06'")
spring, june = trips[trips["month"] <= "2019-03"], trips[trips["month"] == "2019-06"]
model = trained(spring, FEATURES)
errors = {"as it was": rmse(model, june), "merged schema": rmse(model, fed)}
errors["no model"] = ((june["duration"] - spring["duration"].mean()) ** 2).mean() ** 0.5
print(f"trip_distance missing: {fed['trip_distance'].isna().mean():.0%}")
pd.Series(errors, name="RMSE").round(2).to_frame()


# %% [markdown]
# The column is there, empty, and the trees send *missing* down a branch that no training row chose: 33.09<!-- =silent[merged schema, RMSE] --> minutes instead of 4.96<!-- =silent[as it was, RMSE] -->. The mean without a model misses by 10.61<!-- =silent[no model, RMSE] -->. A renamed column is a decision with a migration: write both names for a time, then drop one.

# %% [markdown]
# ## The auditor's question
#
# A model is trained on version 0<!-- given --> of a table. Its run logs the version and a hash of the rows. Then late corrections arrive: 300<!-- given --> trips, 20<!-- given --> of them twice.


# %% name="merge_fails"
def merge(changes):
    on = "old.trip_id = new.trip_id and old.month = new.month"
    merging = table("clean").merge(changes, on, source_alias="new", target_alias="old")
    return merging.when_matched_update_all().when_not_matched_insert_all().execute()


write_deltalake("s3://lake/clean", spring, storage_options=lake)
run = {"version": table("clean").version(), "digest": bucket.digest(spring)}
late = spring.sample(300, random_state=0).assign(duration=lambda rows: rows["duration"] + 10)
twice = pd.concat([late, late[:20].assign(duration=9.0)])
try:
    merge(twice)
except DeltaError as error:
    print(str(error).partition("MERGE ")[2].partition(" (file")[0])


# %% [markdown]
# `MERGE` updates rows that match and inserts the others. Two changes for one row have no winner, so Delta refuses. You reduce the batch to one change per key first, here the last one.

# %% name="merge"
done = merge(twice.drop_duplicates("trip_id", keep="last"))
print({name: done[f"num_target_rows_{name}"] for name in ("updated", "inserted", "copied")})
print("the run read ", run["digest"])
for version in (0, 1):
    rows = table("clean", version=version).to_pandas()
    print(f"version {version} is {bucket.digest(rows)}, mean {rows['duration'].mean():.3f} minutes")


# %% [markdown]
# To change 300<!-- =merge: 'updated': (\d+) --> rows Delta copied 29,222<!-- =merge: 'copied': (\d+) --> others into a new file: updates are expensive. And version 0<!-- given --> has the digest of the run: **time travel** answers the auditor. Next month somebody cleans up; this time you have made a copy before.

# %% name="vacuum"
copied = table("clean", version=0).to_pyarrow_table()
write_deltalake("s3://lake/released/model-1", copied, storage_options=lake)
try:
    table("clean").vacuum(retention_hours=0, dry_run=False)
except DeltaError as error:
    print("refused:", str(error).partition(": ")[2])
gone = table("clean").vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
try:
    table("clean", version=0).to_pandas()
except FileNotFoundError:
    print(f"{len(gone)} file deleted; the log still names version 0, its file is not found")
print("the copy is", bucket.digest(table("released/model-1").to_pandas()))


# %% [markdown]
# `vacuum` deletes files that left the table longer ago than the retention, by default seven days (Databricks runs it by itself where predictive optimization is on). At zero hours it also takes files from readers and writers at work, so it has to be forced.
#
# Time travel undoes yesterday's mistake; it is no archive. What a released model read is kept on purpose: a copy, with the digest that proves it. And when a customer's data must be deleted, the copies are part of the search.
#
# ### Your turn

# %% exercise="upsert"

# %%
exercise.check(upsert)

# %% [markdown]
# ## The bytes a query reads
#
# June of six months, the same rows in four layouts. The log holds each file's smallest and largest value per column (its **statistics**); a reader skips files that can't match. A **partition** is a column written into the path.

# %% name="layouts"
import pyarrow.compute as pc

mixed = trips.sample(frac=1, random_state=0).reset_index(drop=True)
sixths = [rows for _, rows in mixed.groupby(mixed.index // (len(mixed) // 6 + 1))]
layouts = {
    "one file": [trips],
    "six mixed": sixths,
    "six by month": [rows for _, rows in trips.groupby("month")],
}
for name, parts in layouts.items():
    for rows in parts:
        write_deltalake(f"s3://lake/{name}", rows, mode="append", storage_options=lake)
write_deltalake("s3://lake/partitioned", trips, partition_by=["month"], storage_options=lake)


# %% name="bytes_read"
in_june = pc.field("pickup_datetime") >= pd.Timestamp("2019-06-01")
read = {name: bucket.reading(wire, table(name), where=in_june) for name in layouts}
partitioned, month = table("partitioned"), pc.field("month") == "2019-06"
read["partitioned"] = bucket.reading(wire, partitioned, where=month)
read["and one column"] = bucket.reading(wire, partitioned, ["duration"], month)
pd.DataFrame(read).T


# %% [markdown]
# One file can't be skipped. Sorted by time into six, statistics alone are as good as the partition: 1<!-- =bytes_read[six by month, files] --> file. Mixed rows make every file's range the whole half-year, so all 6<!-- =bytes_read[six mixed, files] --> are read. Lay data out by the columns that you filter on. Partition by a column with few values; a customer's number makes as many folders of tiny files.
#
# A feed that writes every day makes tiny files too.

# %% name="compact"
for _, rows in list(june.groupby(june["pickup_datetime"].dt.day))[:small_writes]:
    write_deltalake("s3://lake/daily", rows, mode="append", storage_options=lake)
before = bucket.reading(wire, table("daily"))
table("daily").optimize.compact()
print("files in the folder:", sum(key.endswith("parquet") for key in bucket.listed(s3, "daily/")))
pd.DataFrame({"daily files": before, "after optimize": bucket.reading(wire, table("daily"))}).T


# %% [markdown]
# `optimize` makes one file of twelve. The old ones stay until a vacuum, so storage grows first: 13<!-- =compact: folder: (\d+) --> files. Requests fall from 24<!-- =compact[daily files, requests] --> to 2<!-- =compact[after optimize, requests] -->.

# %% [markdown]
# ## Iceberg: same, different
#
# Iceberg has snapshots and files with statistics as Delta has. What differs: a **catalog** says which metadata is current. Here that is a row in SQLite, so the database decides which of two writers wins, whatever the bucket guarantees.

# %% name="iceberg"
catalog = bucket.iceberg_catalog(folder, store.endpoint_url)  # SqlCatalog(uri="sqlite:///…", …)
some = table("gold").to_pyarrow_table().slice(0, 100)
catalog.create_table("trips.days", schema=some.schema).append(some)
two = [catalog.load_table("trips.days") for _ in range(2)]  # both begin at the same snapshot
for writer in two:
    writer.append(some)

days = catalog.load_table("trips.days")
first = days.metadata.snapshots[0].snapshot_id
print("rows:", days.scan().to_arrow().num_rows)
print("at the first snapshot:", days.scan(snapshot_id=first).to_arrow().num_rows)
with days.update_schema() as change:
    change.rename_column("mean", "minutes")
print("missing after the rename:", catalog.load_table("trips.days").scan().to_arrow()["minutes"].null_count)

# %% [markdown]
# Nothing is lost: the second commit found a newer row and tried again. Iceberg knows a column by its number, so a rename changes no file. (Delta can too, with column mapping on.)
#
# Plain Parquet is enough while one job writes whole months and nobody updates. Else take the format that the client's engines can **write**: Delta around Databricks and Spark, Iceberg for several engines.

# %% [markdown]
# ## Versions of data: four ideas
#
# | | a version is | kept in | suits |
# |---|---|---|---|
# | dated copies | a folder's name | the bucket | small data, until somebody overwrites one |
# | table format | a number or snapshot of one table | log or catalog | tables that grow every day |
# | DVC | a hash of files, committed to Git | a remote store | images and labels that people change |
# | lakeFS | a commit on a branch of the whole bucket | a server before the store | many tables changed together, tried on a branch |
# | Pachyderm | the input of each pipeline step | a server on Kubernetes | pipelines that run when data change |
#
# Whichever you take: the training run names the version, the query and a digest, and somebody decides how long it is kept.
#
# DVC, run once: the trips of spring (v1), then with the late changes (v2).

# %% name="dvc" tags=["nbval-ignore-output"]
from lessons.the_lake import data_versions

changed = table("clean").to_pandas()
day = data_versions.dvc_day(Path(folder) / "dvc", spring, changed)
running.close()
"DVC is not there: it needs git, and `walkforward env lake`" if day is None else day

# %% [markdown]
# Git keeps the hash, the remote the bytes, all of them again for 300<!-- given --> changed rows. `git checkout v1` alone leaves v2's rows in place: a training would read them under v1's name. `repro` runs a step only when what it reads has changed.

# %% [markdown]
# ## Take-aways
#
# - A bucket has keys, whole objects and no rename. Write new keys, then switch one pointer by a conditional write.
# - "S3-compatible" is a claim; two conditional writes of one key test it.
# - A table format is a log of added and removed files; one new entry is the transaction.
# - Time travel ends at the vacuum. Keep what a released model read, with a digest.
# - Skipping needs similar values together: sort or partition by what you filter on, compact small files.

# %% [markdown]
# ## In an interview
#
# - *In which ways is object storage not a file system?* Shown in [Keys, not folders](#Keys,-not-folders).
# - *Twenty jobs append and report success. Why are rows missing?* Shown in [The log is the table](#The-log-is-the-table).
# - *The version that your model was trained on can't be read. What happened?* Shown in [The auditor's question](#The-auditor's-question).
#
# More, with the points of a good answer: `walkforward practice --lesson 10e` in a terminal.

# %% [markdown]
# ## Up next
#
# The files are in order. Next is the engine that you push the work to: [10f · The warehouse](10f_the_warehouse.ipynb).

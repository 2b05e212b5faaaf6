# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       n_estimators: 40
# ---

# %% [markdown]
# # 06d · The auditor
#
# After this lesson, when somebody asks which data, code and environment made the model that answered on 20 November, you answer with a query.

# %% [markdown]
# > **You will learn to** answer an auditor from the store alone · write deployments down so that the past can be asked · find a file that was overwritten under its old name · tell a process, a container and a virtual machine apart, with their cost
# >
# > **Before you start** [06c · Packaging](06c_packaging.ipynb)
# >
# > **Time** 45 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** Which data made the model that answered on that day? · How do you notice that a file was overwritten? · Container or virtual machine?

# %% [markdown]
# ## Parameters
#
# Two months to train on, one to test on. A taxi file of your own goes into `trips_path`; the dates are then taken from that file.

# %% tags=["parameters"]
trips_path = None  # a Parquet or CSV file of your own; None takes the course's trips
max_trips = 40_000  # of a file of your own, drawn at random; more take more time and memory
first_month, last_month = "2019-08", "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set
changed_from = "2019-09-15"  # a night job will change the trips from here on
n_estimators = 100  # boosting rounds of each model
env_manager = "local"  # "uv" or "virtualenv": `mlflow run` installs the project's own environment (network)

# %%
from course import own_data

if trips_path is not None:  # your file: what the lesson needs of it, or a line that says what it lacks
    trips, test_from = own_data.split_trips(
        trips_path, first_month, last_month, max_trips, test_from=test_from
    )
    changed_from = own_data.day_before(trips, changed_from, test_from)

# %%
import json
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient

from course import exercise
from course.data import load_trips, months
from course.exercise import TODO
from course.paths import ROOT
from projects.trip_desk import in_kilometres, open_desk, trained_on

# %%
desk = open_desk(Path("06d_the_auditor_files"), "auditor", env_manager)

# %% [markdown]
# ## Two versions took turns
#
# In [06c](06c_packaging.ipynb) Ben changed a line of the training script without committing it: his version left out rides over 45 minutes, in training and in the test. (So its error below is lower, and no proof of a better model.) Train both versions from the project, and register them.

# %% name="versions"
trips = load_trips(months(first_month, last_month)) if trips_path is None else trips
trips = trips.sort_values("pickup_datetime", kind="stable", ignore_index=True)
desk.put(trips, test_from)
first = desk.run(**desk.files, n_estimators=n_estimators)
script = desk.project / "trip_duration.py"
text = script.read_text(encoding="utf-8")
script.write_text(text.replace("MAX_MINUTES = 1, 60", "MAX_MINUTES = 1, 45"), encoding="utf-8")
second = desk.run(**desk.files, n_estimators=n_estimators)
desk.restore()  # Ben's change is gone
for version, run in enumerate((first, second), 1):
    print(f"version {version}: RMSE {run.data.metrics['rmse']:.2f}, code {run.data.tags['code.state']}")

# %% [markdown]
# Ben's went live on 18 November. A week later somebody noticed, and version 1 came back. The auditor asks about a ride on **20 November at noon**: *which data, which code, which environment and which parameters made the model that answered?*

# %%
client = MlflowClient()
NAME = f"trip-duration-{desk.name}"
client.create_registered_model(NAME)
for run in (first, second):
    made = run.outputs.model_outputs[0].model_id
    client.create_model_version(NAME, f"models:/{made}", run_id=run.info.run_id, model_id=made)

# %%
deployments = client.create_experiment(f"deployments of {NAME}")


def deploy(version, moment):
    """What a deployment job does when a version goes live: move the alias, and write it down."""
    client.set_registered_model_alias(NAME, "champion", version)
    start = int(moment.timestamp() * 1000)
    run = client.create_run(deployments, start_time=start, tags={"version": version})
    client.set_terminated(run.info.run_id, end_time=start)


# %% [markdown]
# First the obvious attempt: ask the registry for the champion.

# %% name="deployments"
deploy("1", datetime(2019, 11, 4, 8, tzinfo=UTC))
deploy("2", datetime(2019, 11, 18, 14, tzinfo=UTC))
deploy("1", datetime(2019, 11, 25, 9, tzinfo=UTC))
print("the champion is version", client.get_model_version_by_alias(NAME, "champion").version)

# %% [markdown]
# Version 1, with a clean commit. The audit would be over, and wrong. **An alias tells you about today.** MLflow keeps no history of aliases: moving one overwrites it, and the version's page does not say when.
#
# So `deploy` writes a line of its own: one run for each deployment, which starts when the version goes live. (Here the dates are set by hand; a job in November would need no `start_time`.) One query finds the last deployment before a moment.

# %% name="live"
noon = datetime(2019, 11, 20, 12, tzinfo=UTC)
live = mlflow.search_runs(
    [deployments],
    filter_string=f"attributes.start_time <= {int(noon.timestamp() * 1000)}",
    order_by=["attributes.start_time DESC"],
    max_results=1,
    output_format="list",
)
version = live[0].data.tags["version"]
print("live at that time: version", version)

# %% [markdown]
# Version 2<!-- =live: version (\d+) -->, not 1. From the version it is one step to the run that trained it, and the run has the four answers.

# %% name="audit"
answering = client.get_run(client.get_model_version(NAME, version).run_id)
used, told, params = trained_on(answering), answering.data.tags, answering.data.params
settings = ("learning_rate", "max_depth", "objective", "seed", "threads")
answer = {
    "which data": f"{used.name}, sha256 {used.digest[:12]}…",
    "which code": f"HEAD, {told['code.state']}; the script is an artifact",
    "which environment": f"Python {told['env.python']}, {told['env.differs']} packages differ from the lock",
    "which parameters": ", ".join(f"{name} {params[name]}" for name in settings),
}
pd.Series(answer, name="20 November, noon").to_frame()

# %% [markdown]
# | question | where the answer is |
# |---|---|
# | which data | `run.inputs.dataset_inputs`, the one with the context `training`: name **and** digest |
# | which code | the tags `mlflow.source.git.commit` and `code.state`, the artifact `code/` |
# | which environment | the tags `mlflow.project.env` and `env.…`, the artifact `environment/packages.txt` |
# | which parameters | `run.data.params`, each of them, as they reached the script |
#
# (`HEAD` stands for the commit, which is another one on each machine.) The model comes from code that was changed since the commit. The auditor has her finding.

# %% [markdown]
# Two limits. The record of deployments says what *should* have answered; a server that was not restarted may answer with another version for months. What *did* answer is in the **log of predictions**, which keeps `model_version` with each answer ([11a · Monitoring](11a_monitoring.ipynb)). Where the two disagree, believe the log. And whoever may write to the store may write tags: for a court you need a store to which only the job has the key.
#
# ### Your turn

# %% exercise="behind"
# %%
exercise.check(behind)

# %% [markdown]
# ## Somebody overwrote the file
#
# A night job writes `trips.parquet` anew, and you type the same command: same project, same parameters, same path.
#
# **Predict first.** Which lines of the record will differ?


# %%
def told_of(run):
    data = trained_on(run)
    told = {"file": data.name, "parameters equal": run.data.params == first.data.params}
    told |= {"code.sha256": run.data.tags["code.sha256"][:8], "digest": data.digest[:12]}
    return told | {"RMSE (min)": round(run.data.metrics["rmse"], 2)}


# %% name="overwritten"
desk.put(in_kilometres(trips, changed_from, test_from), test_from)  # the night job
third = desk.run(**desk.files, n_estimators=n_estimators)
pd.DataFrame({"version 1": told_of(first), "after the night job": told_of(third)})

# %% [markdown]
# Equal name, path, parameters and code, and 5.28<!-- =overwritten[RMSE (min), after the night job] --> minutes where it was 4.86<!-- =overwritten[RMSE (min), version 1] -->. One line tells why: the digest. It is the beginning of the file's `SHA-256`, a fingerprint of every byte, which the script computes and hands to `mlflow.data.from_pandas(…, digest=…)`. MLflow's own digest reads 10,000<!-- given --> rows and would have been equal. MLflow keeps at most 36 characters of a digest; a tag keeps all 64.
#
# A digest does not say what has changed. It says that you must look: the new exporter writes kilometres for miles from the middle of September on. The tag, `data.training.sha256`, is also how you search. Which models were trained on the new file?

# %% name="search"
fingerprint = third.data.tags["data.training.sha256"]
only_these = f"tags.`data.training.sha256` = '{fingerprint}'"
hit = {run.info.run_id for run in mlflow.search_runs([desk.experiment_id], only_these, output_format="list")}
versions = client.search_model_versions(f"name = '{NAME}'")
print(f"runs on the new content: {len(hit)}, of them registered: {sum(v.run_id in hit for v in versions)}")

# %% [markdown]
# None of the registered models was. To train version 1 again you still need the old file: a digest **shows** that it is another file, it does not restore it. Keep inputs where a name can't be overwritten: a bucket with versioning, a table format with snapshots, or a file name that contains the digest.
#
# A digest of bytes is strict: the same rows written by another version of pyarrow have another one. That is a false alarm, and you look once more than you need. MLflow's own digest errs in the other direction: it misses a change, and the audit fails.
#
# ### Your turn

# %% exercise="other_content"
# %%
exercise.check(other_content)

# %% [markdown]
# ## Process, container, virtual machine
#
# The auditor's last question: *could somebody else's job have changed your files?* That depends on what separates the jobs. The **kernel** is the core of an operating system: all programs reach files, network and memory through it. Look at where it is in each picture.
#
# ```mermaid
# flowchart BT
#     subgraph P["process"]
#         direction BT
#         pk["host kernel"] --> pa["your training<br/>host's files"]
#     end
#     subgraph C["container"]
#         direction BT
#         ck["host kernel<br/>namespaces, cgroups"] --> ca["your training<br/>files of the image"]
#     end
#     subgraph V2["VM on a type 2 hypervisor"]
#         direction BT
#         hk["host operating system"] --> h2["hypervisor: a program<br/>VirtualBox, QEMU"] --> gk2["guest kernel"] --> ga2["your training"]
#     end
#     subgraph V1["VM on a type 1 hypervisor"]
#         direction BT
#         hw["hardware"] --> h1["hypervisor<br/>ESXi, Hyper-V, Xen"] --> gk1["guest kernel"] --> ga1["your training"]
#     end
# ```

# %% [markdown]
# A **process** has memory of its own, and shares everything else with the other processes. A **container** is a process to which the kernel shows other files, other processes, another network (**namespaces**), and of which it limits memory and CPU (**cgroups**). A **virtual machine** is a computer made of software, with a kernel of its own on virtual hardware. The program that makes it is the **hypervisor**: type 1 runs on the bare machine, type 2 is a program of an operating system. KVM is in between: it turns the Linux kernel itself into a hypervisor of type 1.
#
# What does each cost? The course has measured it, without Docker: a container needs no more than the kernel. The table is a record (`benchmarks/isolation.py`), and yours will differ. `MB` is what you have to copy to another machine, not memory.

# %% name="isolation"
record = json.loads((ROOT / "benchmarks" / "results" / "isolation.json").read_text(encoding="utf-8"))
machine = record["machine"]
print(f"{machine['system']}, {machine['cores']} cores of {machine['processor']}")
rows = [
    (row["what"], f"{row['seconds']:.3g}", "" if row["megabytes"] is None else f"{row['megabytes']:.3g}")
    for row in record["rows"]
]
pd.DataFrame(rows, columns=["started, and ended", "seconds", "MB"]).set_index("started, and ended")

# %% [markdown]
# The container starts nearly as fast as a process, because it is one. The VM boots a kernel. Here its processor is imitated by software, instruction by instruction (*translated*), because the machine of the record is itself virtual and can't run a guest directly. Where the processor runs the guest, a small VM needs less: Firecracker, which runs AWS Lambda, promises 125<!-- given --> ms and 5 MB of overhead ([NSDI 2020](https://www.usenix.org/conference/nsdi20/presentation/agache)). The isolation is the small part. **Your libraries** are the large one, in time and in size.
#
# | | isolation | escapes through | use it for |
# |---|---|---|---|
# | process, virtual environment | memory; no protection of files | any program of the same user | your own code on your own machine |
# | container | files, processes, network, limits | a hole in the one kernel that all share | your own code on shared machines |
# | virtual machine | a kernel and hardware of its own | a hole in the hypervisor | code of strangers, another kernel, drivers |
#
# So the answer to the auditor: a job that ran under your user could have changed your files. A job in a container could not, unless your folder was mounted into it. For training, take a container: it freezes the files, and costs next to nothing.

# %% [markdown]
# ## Take-aways
#
# - An alias tells who answers today. Write each deployment down, or you can't say who answered on a day.
# - From version to run to data, code, environment and parameters is one query, if the run recorded them.
# - Data have the name that somebody gave them, and the digest of what they are. Hash the whole file.
# - A container is a process with its own view of files and network; a VM has a kernel of its own.

# %% [markdown]
# ## In an interview
#
# - *An auditor asks what made the model that answered on 20 November. How do you find out?* Shown in [Two versions took turns](#Two-versions-took-turns).
# - *The file has the same name, and the model is worse. What do you compare?* Shown in [Somebody overwrote the file](#Somebody-overwrote-the-file).
# - *What is the difference between a container and a virtual machine, and which one do you take for training?* Shown in [Process, container, virtual machine](#Process,-container,-virtual-machine).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 06d` in a terminal.

# %% [markdown]
# ## Up next
#
# You know what is behind a version. In [07a · Registry](07a_registry.ipynb) you decide which version answers: names, aliases, promotion and the way back.

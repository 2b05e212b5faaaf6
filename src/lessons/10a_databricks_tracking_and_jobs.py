# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       month: "2019-02"
# ---

# %% [markdown]
# # 10a · Databricks: the same code, another address
#
# After this lesson you can move a training script to Databricks without changing it, say under whose name it runs, check its job before you deploy it, and say what a night of it costs.

# %% [markdown]
# > **You will learn to** point MLflow at a workspace · choose between a personal token and a service principal · run a file as a job · find what a job's definition silently loses · compare interactive, jobs and serverless compute in dollars
# >
# > **Before you start** [03b · Tracking servers](03b_tracking_servers.ipynb) · [06c · Packaging](06c_packaging.ipynb)
# >
# > **Time** 60 minutes of study; it runs in half a minute
# >
# > **Interview questions it answers** Why a service principal? · What of this is Databricks and what is MLflow? · Jobs compute, an interactive cluster, or serverless?

# %% [markdown]
# You need no account. A small server on your machine, the **stand-in**, speaks Databricks' protocol: Databricks' own SDK and MLflow's own client talk to it unchanged, tokens are checked, jobs run. What it can't do it refuses.

# %% tags=["parameters"]
month = "2019-03"  # trips that the script learns from and is judged on
minutes, nights = 40, 30  # the nightly training whose bill you compare

# %% name="imports"
import logging
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from projects.platforms.databricks import local, tour

os.environ |= tour.QUIET  # MLflow's own settings: no links, progress bars and tips in the output

import mlflow
import pandas as pd
import requests
import yaml
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import jobs

from course import exercise
from course.data import DATA
from course.exercise import TODO

logging.getLogger("mlflow").setLevel(logging.WARNING)  # progress notes carry clock times
FILES = tour.fresh(Path("10a_databricks_files"))
TRIPS = DATA / "trips" / f"{month}.parquet"

# %% [markdown]
# ## A script that works
#
# The script fits minutes on miles: the first three weeks of a month train, the rest judges. It names a table and an experiment, and no server.

# %%
# %%writefile 10a_databricks_files/train.py
import sys

import mlflow
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error


def train(table, experiment):
    trips = pd.read_parquet(table)
    took = trips["dropoff_datetime"] - trips["pickup_datetime"]
    trips["minutes"] = took.dt.total_seconds() / 60
    trips = trips[trips["minutes"].between(1, 60)]
    return fit(trips, trips["pickup_datetime"].dt.day <= 21, experiment)


# %%
# %%writefile -a 10a_databricks_files/train.py


def fit(trips, early, experiment):
    X, y = trips[["trip_distance"]], trips["minutes"]
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name="linear"):
        model = LinearRegression().fit(X[early], y[early])
        error = root_mean_squared_error(y[~early], model.predict(X[~early]))
        mlflow.log_metric("rmse", error)
        mlflow.log_dict({"minutes a mile": model.coef_[0]}, "model.json")
    return f"RMSE {error:.2f} minutes"


if __name__ == "__main__":
    print(train(*sys.argv[1:]))

# %% name="here"
sys.path.insert(0, str(FILES))
from train import train

mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")
print(train(TRIPS, "trips"))

# %% [markdown]
# ## Another address
#
# For Databricks the tracking URI is the word `databricks`. The address of your workspace and your credentials come from the environment: `DATABRICKS_HOST` and `DATABRICKS_TOKEN`. `coming_as` sets them for a block; `said` returns a refusal as one line.
#
# **Predict first.** The script is the same, the name of the experiment is the same. What happens?

# %% name="there"
servers = ExitStack()
workspace = servers.enter_context(local.workspace(FILES / "workspace"))
mlflow.set_tracking_uri("databricks")
with tour.coming_as(workspace.as_person):
    print(tour.said(train, TRIPS, "trips"))

# %% [markdown]
# The name is refused. In a workspace an experiment is an object in a tree of folders, with rights of its own, so its name is an absolute path. A bare name works on any plain MLflow server, and never here. So the experiment is configuration, like the address:

# %% name="named"
MINE = f"/Users/{local.PERSON}/trips"
with tour.coming_as(workspace.as_person):
    print(tour.said(train, TRIPS, MINE))
    found = mlflow.search_runs(experiment_names=[MINE])
    print(f"{len(found)} run, artifacts in", mlflow.get_experiment_by_name(MINE).artifact_location)

# %% [markdown]
# The error is the same to the last digit, and `search_runs` reads the run back. The artifacts went elsewhere: into a **Volume**, a folder for files under Unity Catalog, named by three parts (`catalog.schema.volume`). Here the stand-in chose it; in your workspace pass `artifact_location="dbfs:/Volumes/…"` to `create_experiment`, or the files go to storage that Databricks manages.

# %% [markdown]
# A colleague asks why your script logs runs but does not find her model. Tracking and registry are **two** addresses:

# %% name="registry"
with tour.coming_as(workspace.as_person):
    print("registry:", mlflow.get_registry_uri())
    client = mlflow.MlflowClient()
    for name in ("churn", "main.demand.churn"):
        print(f"{name}:", tour.said(client.get_model_version_by_alias, name, "champion"))

# %% [markdown]
# MLflow 3 takes Unity Catalog as registry when tracking is on Databricks; older clients took the workspace's own registry, and `mlflow.set_registry_uri("databricks-uc")` was your line to write. There a model's name has three parts. With them the answer is an honest *not there*: nobody has registered it yet (10b does).

# %% [markdown]
# ## The night it stops
#
# Now the script should run each night. So you make a **personal access token** for 90<!-- given --> days and put it on the machine that calls it. It works, for months. Then you leave, and your tokens are ended (here by `delete`).

# %% name="nightly"
with tour.coming_as(workspace.as_person):
    person = WorkspaceClient()
token = person.tokens.create(comment="nightly", lifetime_seconds=90 * 24 * 3600)
script = {"DATABRICKS_HOST": workspace.uri, "DATABRICKS_TOKEN": token.token_value}
with tour.coming_as(script):
    print("as long as you are there:", tour.said(train, TRIPS, MINE))
    person.tokens.delete(token.token_info.token_id)
    print("the night after:", tour.said(train, TRIPS, MINE))

# %% [markdown]
# Nothing in the code changed. A personal token **is** you: it carries all your rights, and it ends with its date, its deletion or your account. The refusal doesn't say which of the three.
#
# A machine gets an identity of its own, a **service principal**. It has a client id and a secret, belongs to no person, and holds only the rights that you grant. It never sends the secret to the API. It exchanges it for an access token (OAuth 2, *client credentials*):

# %% name="exchange"
ask = {"grant_type": "client_credentials", "scope": "all-apis"}
for secret in (workspace.client_secret, "a wrong one"):
    who = (workspace.client_id, secret)
    answer = requests.post(f"{workspace.uri}/oidc/v1/token", data=ask, auth=who, timeout=30)
    print(answer.status_code, {k: v for k, v in answer.json().items() if k != "access_token"})

# %% [markdown]
# The token lives 3,600<!-- =exchange: 'expires_in': (\d+) --> seconds. The clients ask for the next one themselves, so your code is again the same:

# %% name="principal"
SHARED = "/Shared/trips"  # no person's folder
with tour.coming_as(workspace.as_principal):
    print(tour.said(train, TRIPS, SHARED))

# %% [markdown]
# | | personal token | service principal, OAuth |
# |---|---|---|
# | is | a person | a machine |
# | what leaks | a token for up to its whole life | an hour's token; the secret stays at home |
# | ends when | its date, its deletion, the person leaves | the secret is deleted or its date comes |
# | rights | all of the person's | what you grant |
# | use it for | your own laptop | jobs, CI, services |
#
# A secret ends too, so write down who renews it. Where the platform can vouch for the machine (a managed identity, a CI's own token), there is no secret at all.
#
# One trap of the move: the old token is still set.

# %% name="both"
with tour.coming_as(workspace.as_person | workspace.as_principal):
    print(tour.said(WorkspaceClient))

# %% [markdown]
# The SDK does not guess. Name one: `DATABRICKS_AUTH_TYPE=oauth-m2m`.

# %% [markdown]
# ## Where code and data lie
#
# ```mermaid
# flowchart LR
#     you["you, your CI"] -- "HTTPS, a token" --> control["control plane<br/>at Databricks:<br/>interface, scheduler,<br/>metadata, MLflow"]
#     control -- starts --> classic["classic compute<br/>in your cloud account"]
#     control -- starts --> serverless["serverless compute<br/>in Databricks' account"]
#     classic --> store[("tables, volumes<br/>as a rule in<br/>your storage")]
#     serverless --> store
# ```
#
# *Where is our data?* The tables as a rule in your own object storage, in open formats; results that the interface shows pass the control plane; a serverless workspace begins with storage that Databricks manages. Put script and table where the job can read them:

# %% name="upload"
VOLUME = "/Volumes/main/demand/code"
for path in (FILES / "train.py", TRIPS):
    with path.open("rb") as content:
        person.files.upload(f"{VOLUME}/{path.name}", content, overwrite=True)
print(*[one.path for one in person.files.list_directory_contents(VOLUME)], sep="\n")

# %% [markdown]
# ## A job that says too little
#
# A **job** is a definition (tasks, compute, schedule, identity) and its runs. Keep it as a file beside the code; Databricks calls such a file a **bundle** (Declarative Automation Bundles, until 2026 Asset Bundles). The whole file also has targets, development and production, each with a workspace and an identity. Here is its job, for serverless compute:

# %% name="bundle"
BUNDLE = """
resources:
  jobs:
    train:
      name: train trips
      runas:
        service_principal_name: PRINCIPAL
      timeout_seconds: 1800
      environments: [{environment_key: default, spec: {environment_version: "4"}}]
      tasks:
      - task_key: train
        environment_key: default
        max_retries: 1
        spark_python_task:
          python_file: /Volumes/main/demand/code/train.py
          parameters: [TABLE, /Shared/trips]
"""
text = BUNDLE.replace("PRINCIPAL", workspace.client_id).replace("TABLE", f"{VOLUME}/{TRIPS.name}")
job = yaml.safe_load(text)["resources"]["jobs"]["train"]

# %% [markdown]
# The SDK reads it with `JobSettings.from_dict`, and `jobs.create` takes it. Under whose name will it run?


# %% name="created"
def created(job):
    settings = jobs.JobSettings.from_dict(job)
    return person.jobs.create(**settings.as_shallow_dict()).job_id


print("runs as", person.jobs.get(created(job)).run_as_user_name)

# %% [markdown]
# As **you**: the personal token by another door. The field is `run_as`; `runas` was dropped without a word, and the default is whoever creates the job. So ask what a check sees. Five faults, read by the SDK, and whether they are still there when it writes them again:

# %% name="faults"
faults = {"runas, misspelt": {"runas": {"user_name": "x"}}}
faults["an unknown value"] = {"performance_target": "STANDART"}
faults["text for a number"] = {"timeout_seconds": "half an hour"}
faults["five fields of cron"] = {"schedule": {"quartz_cron_expression": "0 2 * * *", "timezone_id": "UTC"}}
faults["text for a list"] = {"tasks": "train"}
seen = {}
for name, fault in faults.items():
    try:
        kept = jobs.JobSettings.from_dict(fault).as_dict()
        seen[name] = {"from_dict": "accepts", "round trip": "same" if kept == fault else "lost"}
    except AttributeError:
        seen[name] = {"from_dict": "raises", "round trip": "-"}
pd.DataFrame(seen).T

# %% [markdown]
# `from_dict` refuses one of five. It reads answers of a server that may be newer than itself, so it drops what it does not know. Reading and writing again finds two more. The other two (Quartz, the form of the schedule, wants six fields or more) are values: a schema or the server must refuse them. `databricks bundle validate` and `Job.from_dict` of the package `databricks-bundles` do refuse unknown fields; neither is installed here, so you write that check.
#
# ### Your turn

# %% exercise="lost_fields"

# %%
exercise.check(lost_fields)

# %% [markdown]
# Now the field has its right name. `run_now` starts a run and returns at once; `.result()` asks again and again, with growing pauses, until the run has ended.

# %% name="ran"
job["run_as"] = job.pop("runas")
number = created(job)
run = person.jobs.run_now(number).result()
told = person.jobs.get_run_output(run.tasks[0].run_id).logs
print(f"{run.state.result_state.value}, as", person.jobs.get(number).run_as_user_name)
print("last line:", told.splitlines()[-1])

# %% [markdown]
# A third place, the same error. `result()` returns for a failed run too: look at `result_state`, or a red night is green in your pipeline.

# %% [markdown]
# ## What is Databricks', what is MLflow's
#
# The stand-in writes down each request. *Proxied* went on to a plain MLflow server behind it; *served* is Databricks' own. Different calls by part:

# %% name="wire"
print("a list of clusters is", tour.said(lambda: list(person.clusters.list())))
calls = workspace.calls()
calls["part"] = calls["path"].map(tour.part_of)
starts = calls[calls["path"].str.endswith("runs/create")]
print("runs were started by", *starts["caller"], sep="\n  ")
different = calls.drop_duplicates(["method", "path", "how"])
servers.close()
pd.crosstab(different["part"], different["how"])

# %% [markdown]
# The nightly script's run carries *your* name, on its token's word; the principal and the job carry theirs.
#
# Runs and experiments are MLflow's: they move to another server by an address. Identity, volumes and jobs are Databricks': if you leave, you write new code for them. The training stays as it is, because it never names them. So keep the platform in the definition and the model in the script.

# %% [markdown]
# ## What a night costs
#
# Databricks bills **DBUs** (Databricks units), by the second; the price of a unit depends on the kind of compute. Classic compute has a second bill, the cloud's machines. The prices are **examples** in US dollars, list prices for AWS Premium as guides gave them in 2026, looked up on 30 November 2026; guides differ (0.40<!-- given --> or 0.55<!-- given --> for interactive), and your contract differs more.
#
# The training works 40<!-- given --> minutes on three machines. A cluster needs five minutes to start (the machines are billed, units not yet). An interactive one stops after two idle hours, if nobody switched that off.
#
# **Predict first.** By which factor do the dearest and the cheapest differ?

# %% name="prices"
PRICES = pd.DataFrame({"DBU": [0.55, 0.15, 0.35], "machine an hour": [0.312, 0.312, 0]})
PRICES.index = ["interactive", "jobs", "serverless"]
MACHINES, START, IDLE = 3, 5, 120  # each machine takes 1 DBU an hour
PRICES

# %% name="bills"
work = minutes * nights / 60
hours = {"interactive, never stops": (24 * nights, 24 * nights, "interactive")}
idle = work + IDLE * nights / 60
hours["interactive, stops when idle"] = (idle, idle + START * nights / 60, "interactive")
hours["jobs"] = (work, work + START * nights / 60, "jobs")
hours["serverless"] = (work, 0, "serverless")
bills = pd.DataFrame(hours, ["unit hours", "machine hours", "kind"]).T
price = PRICES.loc[bills["kind"]].set_axis(bills.index)
bills["dollars"] = MACHINES * (bills["unit hours"] * price["DBU"] + bills["machine hours"] * price.iloc[:, 1])
bills["% idle"] = 100 * (1 - work / bills["unit hours"].astype(float))
bills.drop(columns="kind").astype(float).round(1)

# %% [markdown]
# For the same work you pay 1,862<!-- ~bills: interactive, never stops .* ([\d.]+) +97 --> dollars, or 30<!-- ~bills[jobs, dollars] --> on jobs compute, or 21<!-- ~bills[serverless, dollars] --> on serverless. The price of a unit explains a factor below four; the rest is idle time. *The cluster runs anyway*, people say, and the job becomes the reason to leave it on.
#
# And jobs or serverless? Serverless is one bill, and you don't choose machines, so its units for your work must be measured (`system.billing.usage`). How many times the classic units may it take before jobs compute is cheaper?

# %% name="even"
even = {}
for took in (2, 40, 480):
    row = {}
    for name, discount in {"full price": 1, "spot": 0.4}.items():
        machine = PRICES.loc["jobs", "machine an hour"] * discount
        classic = took * PRICES.loc["jobs", "DBU"] + (took + START) * machine
        row[name] = classic / (took * PRICES.loc["serverless", "DBU"])
    even[f"{took} minutes"] = row
pd.DataFrame(even).T.round(2)

# %% [markdown]
# A job of two minutes belongs on serverless: it may take 3.55<!-- =even[2 minutes, full price] --> times the units. At eight hours on spot machines (60<!-- given --> % off) the limit is 0.79<!-- =even[480 minutes, spot] -->: serverless loses unless it needs fewer units. Long, repeatable work goes to a jobs cluster; the rest begins on serverless, and you read the usage table after a week. And if the work fits a machine that you pay for anyway (here 20<!-- =bills[jobs, unit hours] --> hours a month), the cheapest platform for it is none.

# %% [markdown]
# ### Your turn
#
# Not nightly but every `every` minutes. When does an interactive cluster never stop?

# %% exercise="node_hours"

# %%
exercise.check(node_hours)

# %% [markdown]
# ## The bill has doubled
#
# *We do the same as before*, says the team. Split the usage before you cut anything. These hours are made up; your workspace has them in `system.billing.usage`, by job, cluster, person and tag.

# %% name="doubled"
usage = pd.DataFrame(
    {
        "what": ["team cluster", "table rewrite", "training"] * 2,
        "kind": ["interactive", "jobs", "jobs"] * 2,
        "month": ["April"] * 3 + ["May"] * 3,
        "hours": [420, 600, 60, 1080, 1170, 66],
        "work": [250, 590, 58, 240, 1150, 64],
    }
)
usage["dollars"] = usage["hours"] * usage["kind"].map(PRICES.sum(axis=1))
usage["idle"] = 100 * (1 - usage["work"] / usage["hours"])
split = usage.pivot(index="what", columns="month", values=["dollars", "idle"]).round(0).astype(int)
split.columns = [" ".join(names) for names in split]
split

# %% [markdown]
# Two causes, two cures. The team's cluster does no more work and is idle for 78<!-- =doubled[team cluster, idle May] --> % of its hours: somebody switched its automatic stop off. The rewrite is hardly idle and has twice the work: smaller machines would only stretch it; write the changed rows alone (10e). Then tags on each job, a policy that enforces the stop, and a budget with an alarm.

# %% [markdown]
# ## On your own workspace
#
# ```
# export DATABRICKS_HOST=https://…  DATABRICKS_TOKEN=…  MLFLOW_TRACKING_URI=databricks
# python 10a_databricks_files/train.py 2019-03.parquet /Shared/trips
# ```
#
# The same file, and a fourth place. A free edition is enough. The stand-in has no notebooks, clusters, schedules or rights on experiments; what this lesson says of those is not run.

# %% [markdown]
# ## Take-aways
#
# - The tracking URI is `databricks`, the experiment an absolute path; both are configuration, and the training code does not change.
# - A personal token is a person and ends with one. What runs without you runs as a service principal, by OAuth with tokens of an hour.
# - A definition that is accepted may have lost a field. Read it back, and look at `run_as`.
# - MLflow's part moves by an address; identity, files and jobs are the platform's. Keep them out of the script.
# - Idle hours cost more than prices. Scheduled work goes to jobs compute or serverless, and you split a bill before you cut it.

# %% [markdown]
# ## In an interview
#
# - *Your nightly training is a notebook scheduled on the team's interactive cluster. What do you change?* Shown in [What a night costs](#What-a-night-costs).
# - *Runs arrive from your laptop, but the model is not found. What do you check?* Shown in [Another address](#Another-address).
# - *The bill has doubled in a month. How do you find out why?* Shown in [The bill has doubled](#The-bill-has-doubled).
#
# More, with the points of a good answer: `walkforward practice --lesson 10a` in a terminal.

# %% [markdown]
# ## Up next
#
# The run is there, its model has no name yet: [10b · Databricks: registry and endpoint](10b_databricks_registry_and_endpoint.ipynb).

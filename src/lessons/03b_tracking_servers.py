# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       first_month: "2019-09"
# ---

# %% [markdown]
# # 03b · Tracking servers
#
# After this lesson you can set up tracking for one person, a small team, and colleagues who should not be able to delete your work, and say what each set-up protects and what it does not.

# %% [markdown]
# > **You will learn to** tell the backend store from the artifact store · run a tracking server and speak to it over HTTP · put PostgreSQL, S3 and passwords behind it ·
# > name what it protects and what it does not
# >
# > **Before you start** [03a · Tracking](03a_tracking.ipynb)
# >
# > **Time** 55 minutes of study; it runs in under a minute
# >
# > **Interview questions it answers** What lives in the backend store, and what in the artifact store? · Your tracking server is up. Who can delete or alter a run?

# %% [markdown]
# ## Parameters
#
# Three months to train on, one to test on.

# %% tags=["parameters"]
first_month, last_month = "2019-07", "2019-10"
test_from = "2019-10-01"  # trips that start on or after this day are the test set
n_trees = 100  # boosting rounds

# %% name="imports"
import secrets
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import boto3
import pandas as pd
import requests
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sqlalchemy import create_engine, text
from xgboost import XGBRegressor

from course import exercise
from course.data import load_trips, months
from course.exercise import TODO
from course.paths import ROOT
from course.servers import ServerError, tracking_server
from course.stores import course_server, object_store, postgres

# %% name="trips"
sys.path.insert(0, str(ROOT / "src" / "projects" / "trip_tracking"))
import mlflow
import trip_tracking  # features, store and `track`, as built in lesson 03a
from trip_tracking import FEATURES, boosted, signed_in

trips = trip_tracking.with_features(load_trips(months(first_month, last_month)))
train, test = trip_tracking.split(trips, test_from)
FILES, CODE = Path("03b_servers_files"), trip_tracking.code_tags("03b_tracking_servers.ipynb")
experiment_id = trip_tracking.use_store(FILES, "trip duration")  # a file, as in lesson 03a

# %% [markdown]
# ## A server in front of the store
#
# In 03a the store was a file, and you were alone. Then a colleague wants to see your runs. You could send the file, and tomorrow there are two versions of the truth.
#
# A **server** is a program that waits for requests at an address and answers them. The address has two parts: the **host**
# says which machine, the **port** which program on it. The host `127.0.0.1` is special. It is the **loopback**: always the machine itself, so that
# nobody from outside can ask. A server that colleagues should reach listens on the machine's address in the network.
#

# %% [markdown]
# The tracking server sits between your code and two stores:
#
# ```mermaid
# flowchart LR
#     code["your code<br/>mlflow.log_metric(…)"] -- HTTP --> server
#     browser["your browser<br/>the UI"] -- HTTP --> server
#     server["tracking server<br/>host and port"] -- SQL --> backend[("backend store<br/>SQLite, PostgreSQL<br/><b>rows</b>")]
#     server -- files, proxied --> artifacts[("artifact store<br/>a folder, S3<br/><b>files</b>")]
#     code -. "files, without the proxy:<br/>every client needs the keys" .-> artifacts
# ```
#
# The **backend store** holds what you search: runs, parameters, metrics, tags, the descriptions of datasets and models. It has
# to be a database. The **artifact store** holds what you fetch: files of any size, in a folder or in an object store that speaks S3.

# %% [markdown]
# MLflow names the database by a URI of the form `dialect+driver://user:password@host:port/database`. The driver is the Python package that speaks to it.
#
# | database | URI |
# |---|---|
# | SQLite: a file, no server | `sqlite:///mlflow.db` |
# | PostgreSQL | `postgresql+psycopg://user:password@host:5432/mlflow` |
# | MySQL | `mysql+pymysql://user:password@host:3306/mlflow` |
# | Microsoft SQL Server | `mssql+pyodbc://user:password@host:1433/mlflow?driver=…` |
#
# ### Your turn

# %% exercise="kept_in"

# %%
exercise.check(kept_in=kept_in)

# %% [markdown]
# ## A team with one data scientist: a local server
#
# You train; an analyst and a product owner look. One server on your machine is enough, with SQLite behind it:
#
# ```
# mlflow server --host 127.0.0.1 --port 8080 --backend-store-uri sqlite:///mlflow.db --artifacts-destination ./artifacts
# ```
#
# This notebook starts one on a free port, or takes the one that `make lab` has started.

# %% name="server"
servers = ExitStack()  # whatever is entered here ends with servers.close()
try:
    server = servers.enter_context(course_server(FILES / "server"))
    mlflow.set_tracking_uri(server.uri)
    print("the server says", requests.get(f"{server.uri}/health", timeout=10).text)
except ServerError as reason:
    server = None
    print(f"No server starts on this machine, read on without it: {reason}")

# %% [markdown]
# For your code one line has changed: the tracking URI is now a web address.

# %% name="team_runs"
if server:
    experiment_id = trip_tracking.new_experiment("trip duration, team")
    trip_tracking.track("linear", LinearRegression(), train, test, tags=CODE)
    boosted_run = trip_tracking.track("boosted", boosted(4, 0.3, n_trees), train, test, tags=CODE)
    print("artifacts go to", mlflow.get_experiment(experiment_id).artifact_location.split(":")[0])

# %% [markdown]
# `mlflow-artifacts` means **proxied**: files travel through the server too. No client needs to know where they end up, nor a key.
#
# Between the two is only HTTP and JSON. So any program can ask, in any language, without MLflow installed:

# %% name="rest"
if server:
    API = f"{server.uri}/api/2.0/mlflow"
    question = {"experiment_ids": [experiment_id], "order_by": ["metrics.rmse ASC"]}
    for found in requests.post(f"{API}/runs/search", json=question, timeout=10).json()["runs"]:
        rmse = {metric["key"]: metric["value"] for metric in found["data"]["metrics"]}["rmse"]
        print(f"{found['info']['run_name']:8} {rmse:.2f}")

# %% [markdown]
# **Predict first.** A program without any password asks the server to delete a run. What does the server answer?

# %% name="open_door"
if server:
    answer = requests.post(f"{API}/runs/delete", json={"run_id": boosted_run.info.run_id}, timeout=10)
    print("status of the answer:", answer.status_code)
    print("runs that are left:  ", len(mlflow.search_runs([experiment_id])))
    mlflow.MlflowClient().restore_run(boosted_run.info.run_id)
    print("after restoring:     ", len(mlflow.search_runs([experiment_id])))

# %% [markdown]
# Everybody who reaches the port may delete. On loopback that is every program and every user on the machine, and only those. A deleted run can be restored
# until somebody runs `mlflow gc`; a deleted file can't.
#
# Now record a run of your own, through the server.
#
# ### Your turn

# %% exercise="my_run"

# %%
exercise.check(my_run=my_run)

# %% [markdown]
# One guard is on by default. A page in your browser runs on your machine too, so it could try to reach `127.0.0.1`. The server
# therefore looks at two headers of each request: for whom it was meant, and which site sent it.

# %% name="headers"
if server:
    for header in ({}, {"Host": "mlflow.example.com"}, {"Origin": "https://a-page-you-opened.example"}):
        url, question = f"{API}/experiments/search", {"max_results": 1}
        answer = requests.post(url, json=question, headers=header, timeout=10)
        print(header or "no header of note", answer.status_code, "" if answer.ok else answer.text)

servers.close()

# %% [markdown]
# You will meet this 403<!-- =headers: example.com'\} (\d+) --> on the day you move the server to a machine with a name. Say which names are yours:
# `mlflow server --host 0.0.0.0 --allowed-hosts "mlflow.example.com,mlflow.example.com:*"`. Do not answer it with `--allowed-hosts "*"`, which switches the guard off, and ask for a password before you leave loopback.

# %% [markdown]
# ## Several data scientists: PostgreSQL, S3 and passwords
#
# Three people train at the same time. SQLite lets one writer in at a time, the others wait or fail; a folder on your machine is gone when your
# machine is; and nobody should delete by accident what another has made. So each part is replaced:
#
# | part | alone | here |
# |---|---|---|
# | backend store | SQLite, a file | PostgreSQL, a database server |
# | artifact store | a folder | a bucket in an object store that speaks S3 |
# | who may | whoever reaches the file | users with passwords and permissions |
#
# All three servers run on your machine now. In a company they are three machines; the addresses change, the code does not.

# %% name="start_team"
servers.close()  # if this cell runs twice
TEAM, admin = FILES / "team", ("admin", secrets.token_urlsafe(16))
shutil.rmtree(TEAM, ignore_errors=True)  # this section starts from empty stores
try:
    database = servers.enter_context(postgres(TEAM / "postgres"))
    bucket = servers.enter_context(object_store(TEAM / "s3", bucket="trips"))
    stores = {"backend_store_uri": database.uri, "artifacts_destination": "s3://trips"}
    team = servers.enter_context(tracking_server(TEAM / "mlflow", **stores, auth=admin, env=bucket.env))
    mlflow.set_tracking_uri(team.uri)
    print("stores:", database.uri.split(":")[0], "and", stores["artifacts_destination"])
except ServerError as reason:
    team = None
    servers.close()
    print(f"One of the three does not start on this machine, read on without it: {reason}")

# %% [markdown]
# The administrator makes two accounts. A client signs in with the variables `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, which `signed_in` sets for a block, so that no password is written in a notebook.

# %% name="accounts"
people = {name: secrets.token_urlsafe(16) for name in ("ana", "ben")}
if team:
    url = f"{team.uri}/api/2.0/mlflow/users/create"
    for name, password in people.items():
        account = {"username": name, "password": password}
        print(name, requests.post(url, json=account, auth=admin, timeout=10).status_code)

# %% [markdown]
# Ana opens an experiment, records a run with the same `track`, and keeps the model.

# %% name="ana"
if team:
    with signed_in("ana", people["ana"]):
        shared_experiment = trip_tracking.new_experiment("trip duration, several people")
        model = XGBRegressor(max_depth=4, learning_rate=0.3, n_estimators=n_trees, n_jobs=1)
        ana_run = trip_tracking.track("boosted", model, train, test, tags=CODE)
        info_of_ana = trip_tracking.keep(model, ana_run, test)
    print(f"Ana's model: {root_mean_squared_error(test['duration'], model.predict(test[FEATURES])):.2f}")

# %% [markdown]
# Now the passwords. Three requests about Ana's run, by different people. 200<!-- given --> means done, 401<!-- given --> *who are you?*, 403<!-- given --> *I know you, and no*.


# %% name="three_requests"
def three_requests(user, password):
    """The status of three requests about Ana's run: read it, tag it, delete it."""
    url, run_id = f"{team.uri}/api/2.0/mlflow/runs", {"run_id": ana_run.info.run_id}
    how = {"auth": (user, password), "timeout": 10}
    read = requests.get(f"{url}/get", params=run_id, **how)
    tag = requests.post(f"{url}/set-tag", json={**run_id, "key": "seen by", "value": user}, **how)
    delete = requests.post(f"{url}/delete", json=run_id, **how)
    return {"read": read.status_code, "tag": tag.status_code, "delete": delete.status_code}


# %% name="who_may"
may = {}
if team:
    may["Ana, wrong password"] = three_requests("ana", "let me in, please")
    may["Ben"] = three_requests("ben", people["ben"])
    may["Ana"] = three_requests("ana", people["ana"])
    with signed_in("ana", people["ana"]):
        mlflow.MlflowClient().restore_run(ana_run.info.run_id)
pd.DataFrame(may).T

# %% [markdown]
# The default permission is `READ`, so Ben sees all and changes nothing. Ana manages what she created; the local server had no such guard. She can also share: `EDIT` lets Ben write into her experiment, but not delete.

# %% name="grant"
if team:
    url = f"{team.uri}/api/3.0/mlflow/users/permissions/grant"
    grant = {"username": "ben", "resource_type": "experiment", "resource_id": shared_experiment}
    answer = requests.post(url, json={**grant, "permission": "EDIT"}, auth=("ana", people["ana"]), timeout=10)
    print("granted:", answer.status_code)

# %% name="ben"
if team:
    with signed_in("ben", people["ben"]):
        mlflow.set_experiment(experiment_id=shared_experiment)
        ben_run = trip_tracking.track("linear", LinearRegression(), train, test, tags=CODE)
        mlflow.MlflowClient().set_tag(ben_run.info.run_id, "mlflow.user", "ana")
        made_by = mlflow.get_run(ben_run.info.run_id).data.tags["mlflow.user"]
        print("the linear model was made by", made_by)

# %% [markdown]
# The last line is a lie, and the store believes it. `mlflow.user` is a tag that the client fills in, and whoever may edit a run may edit it. If you have to prove who trained what, let a CI job do the training: people can't edit its log.
#
# Did everything land where it should? Ask the database and the bucket themselves, past MLflow.

# %% name="rows"
if team:
    engine = create_engine(database.uri)
    for table in ("runs", "params", "metrics", "datasets", "logged_models"):
        print(table, pd.read_sql(f"SELECT count(*) FROM {table}", engine).iloc[0, 0])

# %% name="objects"
if team:
    keys = {name.lower(): bucket.env[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    s3 = boto3.client("s3", endpoint_url=bucket.endpoint_url, region_name="us-east-1", **keys)
    objects = [one["Key"] for one in s3.list_objects_v2(Bucket="trips")["Contents"]]
    print(*sorted(key.split("/")[-1] for key in objects), sep="\n")

# %% [markdown]
# Rows here, files there, and none of it in a folder of Ana's or Ben's.
#
# Is the record safe now? **Predict first.** Somebody has the password of the database, which is in a configuration file of whoever runs the server. What can they change, and who notices?

# %% name="bypass"
if team:
    with engine.begin() as sql:
        cheat = "UPDATE latest_metrics SET value = 1.23 WHERE key = 'rmse' AND run_uuid = :run_id"
        sql.execute(text(cheat), {"run_id": ana_run.info.run_id})
    engine.dispose()
    with signed_in("ben", people["ben"]):
        print("Ben sees an error of", mlflow.get_run(ana_run.info.run_id).data.metrics["rmse"])

# %% name="files_gone"
if team:
    for key in objects:
        s3.delete_object(Bucket="trips", Key=key)
    with signed_in("ana", people["ana"]):
        print("without its files, Ana's model is", mlflow.get_logged_model(info_of_ana.model_id).status)

servers.close()
mlflow.set_tracking_uri(f"sqlite:///{(FILES / 'mlflow.db').as_posix()}")

# %% [markdown]
# The error is rewritten, the model is gone, and the store still calls it ready. MLflow asked nobody for a name. Passwords on the tracking server do not protect the database and the bucket: whoever has their keys can read, rewrite and delete everything.

# %% [markdown]
# ## What the server protects, and what it does not
#
# | against | SQLite alone | local server | server, PostgreSQL, S3, passwords |
# |---|---|---|---|
# | two people writing at once | one waits or fails | yes, through one server | yes |
# | a disk that dies | no | no | yes, if both stores have backups |
# | a colleague who deletes by mistake | no | no: anyone on the host can | yes, by permissions |
# | a web page that calls the server | there is none | yes: the Host and Origin headers | yes, until `--allowed-hosts "*"` |
# | a password read on the wire | there is none | there is none | only behind HTTPS: a reverse proxy in front |
# | the database password or the S3 keys in wrong hands | – | – | no: they bypass the server |
# | a model file that runs code when loaded | no | no | no: only load what you trust |

# %% [markdown]
# **Two rules.** Keep artifacts **proxied** (`--artifacts-destination`), so that only the server has the keys of the bucket; with `--default-artifact-root s3://…
# --no-serve-artifacts` every client needs them, which is faster for files of many gigabytes, and every client can go around the server. And give the server's keys to the
# server alone.
#
# **Costs.** Every `log_metric` is now a request over the network, and each request checks a password, slowly on purpose: log metrics together with `log_metrics`, or pass `synchronous=False`. If the server is down, your training stops at the next call. Single sign-on needs a plugin, a proxy or a managed service. PostgreSQL, the bucket and the server need updates and backups: somebody's working
# time.

# %% [markdown]
# **Alternatives.** Managed MLflow (Databricks, Azure ML, Amazon SageMaker) is this section run by others, under the same code (lesson 10). Weights & Biases,
# Comet and ClearML are services with richer charts. DVC keeps the record in git, next to the code.
#
# **When not to.** One person, even for months: SQLite without a server. Go one step further on the day the step before hurts.

# %% [markdown]
# ## Take-aways
#
# - The backend store holds rows to search, the artifact store files to fetch, and no transaction ties the two.
# - A tracking URI is a file or a web address; the code that logs does not change.
# - Without authentication everybody who reaches the port may delete. With it, colleagues read by default and change what is theirs.
# - The server controls only what passes through it: the password of the database and the keys of the bucket go around it.
# - `mlflow.user` is a tag that the client fills in. Let CI train what has to be proved.

# %% [markdown]
# ## In an interview
#
# - *What goes to the backend store, what to the artifact store, and why are they two?* Shown in
#   [A server in front of the store](#A-server-in-front-of-the-store).
# - *Your tracking server is up. Who can delete or alter a run?* Shown in
#   [Several data scientists](#Several-data-scientists:-PostgreSQL,-S3-and-passwords).
# - *Clients are refused after you moved the server to a named host. What do you change?* Shown in
#   [A team with one data scientist](#A-team-with-one-data-scientist:-a-local-server).
#
# With the points of a good answer, and more of them: `walkforward practice --lesson 03b` in a terminal.
#
# ## Up next
#
# You compared nine settings that somebody chose by hand. In [04a · Tuning](04a_tuning.ipynb) a search chooses them, and every trial becomes a run below its search.

# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   walkforward:
#     ci:
#       fridays: 100
#       draws: 100
# ---

# %% [markdown]
# # 10g · Who runs the pipeline
#
# After this lesson you can keep one pipeline that people, Jenkins and GitHub call, say what its green means, and keep its secrets, approvals and caches from harming you.

# %% [markdown]
# > **You will learn to** bring a change from the ticket to the release · let two systems call one pipeline · check pipelines before they run · keep a secret out of a log · free a stuck agent · name a cache so that it is never stale
# >
# > **Before you start** [08c · The gate](08c_the_gate.ipynb) · Git's branches and commits
# >
# > **Time** 50 minutes of study; it runs in 15 seconds
# >
# > **Interview questions it answers** Both pull requests were green, and main is red. How? · Jenkins masks secrets. Why was one in the log? · Builds have been waiting since Friday. Where do you look?

# %% tags=["parameters"]
fridays = 200  # afternoons of builds that are simulated
draws = 300  # trainings in miniature, for each number of rides

# %% name="repository"
import contextlib
import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from course import exercise
from course.data import load_trips, months, prepare_trips
from course.exercise import TODO
from lessons.the_pipeline import agents, checkers, jenkinsfile, runner, scratch, secrets

running = contextlib.ExitStack()  # whatever is entered here ends with running.close()
folder = Path(running.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
raw = load_trips(months("2019-01", "2019-01")).sample(1000, random_state=2).sort_values("pickup_datetime")
repo = scratch.repository(folder / "rides", raw[["pickup_datetime", "dropoff_datetime", "trip_distance"]])
print(repo.git("ls-files"))

# %% [markdown]
# A scratch repository, as a team of six would have it on GitHub. Its Makefile is the **pipeline**:

# %% name="makefile"
print(repo.read("Makefile"))
print(repo.make("test", "train")[0])

# %% [markdown]
# `train` is a training in miniature: it ends in a second, and it fails unless the model beats the median.
#
# ## Two green branches
#
# Two tickets from Jira:
#
# | ticket | why | done when |
# |---|---|---|
# | RIDE-7 | billing needs seconds | `duration` returns seconds, the checks say so |
# | RIDE-8 | some rides look too fast | there is a speed in miles per hour, with a check |
#
# Each gets a branch whose name and commit carry the ticket's number. What is reviewed is its difference to main, small enough to be read in one go. (An experiment has no "done when": its ticket has a question and a time limit.)

# %% name="branches"
repo.branch("RIDE-7-seconds", scratch.SECONDS, "RIDE-7: durations in seconds")
repo.branch("RIDE-8-speed", scratch.SPEED, "RIDE-8: a ride's speed")
for branch in ("RIDE-7-seconds", "RIDE-8-speed"):
    print(repo.git("diff", "--stat=80", f"main...{branch}"))
    print(f"{branch} green: {repo.passes(branch)}\n")

# %% [markdown]
# Both are green in a fresh clone, both are approved, and no line is changed by both.
#
# **Predict first.** Git merges both without a conflict. Is main green?

# %% name="merged"
for branch in ("RIDE-7-seconds", "RIDE-8-speed"):
    repo.git("merge", "--quiet", "--no-ff", branch, "--message", f"Merge {branch}")
print(repo.fresh("main").make("test")[0])

# %% [markdown]
# The speed is computed from minutes, and minutes are seconds now. Git compares lines; it does not know what a number means. Each branch was tested on a main that no longer exists.
#
# So test **what main would be**. This loop is a **merge queue**: each branch is merged onto the newest main in a clone, and enters only if that is green.

# %% name="queue"
repo.git("reset", "--quiet", "--hard", "v1.0.0")  # never on a main that others have: revert there
for branch in ("RIDE-7-seconds", "RIDE-8-speed"):
    trial = repo.fresh("main")
    trial.git("merge", "--quiet", "--no-ff", f"origin/{branch}", "--message", f"Merge {branch}")
    green = trial.make("test")[1]
    if green:
        repo.git("pull", "--quiet", trial.folder.as_posix(), "HEAD")
    print(branch, "is merged" if green else "goes back to its author")

# %% [markdown]
# GitHub has this as the *merge queue* (event `merge_group`). Its smaller form is *require branches to be up to date*: after each merge the five others update and test again. A multibranch pipeline of Jenkins can build the merge with the target branch. For two people who merge twice a week none of this pays: test main after each merge, and revert.

# %% [markdown]
# ## One pipeline, two callers
#
# 08c let a workflow and a Jenkinsfile call the same targets. Here both call the same four; this is how each releases:

# %% name="callers"
jenkins, workflow = repo.read("Jenkinsfile"), repo.read(".github/workflows/pipeline.yml")
print("Jenkins:", *checkers.called(jenkins), "\nGitHub: ", *checkers.called(workflow))
print(jenkins[jenkins.index("        stage('release')") :])
print(workflow[workflow.index("  release:") :])

# %% [markdown]
# The parts are the same (`beforeInput`: Jenkins asks only for a tag):
#
# | | Jenkins | GitHub Actions |
# |---|---|---|
# | where it runs | **agent** with executors, chosen by label | **runner**, theirs (fresh each time) or your own |
# | handed to the next part | `stash` | **artifact** |
# | approval | `input` with `submitter` | **environment** with reviewers |
# | secret | credentials, bound in a stage | secrets, or a token by OpenID Connect |
# | shared by forty repositories | **shared library**, with a version | reusable workflow, with a version |
#
# A typo in a pipeline shows when it runs. Who sees it before? **actionlint** reads workflows. For Jenkinsfiles the true check is a running Jenkins; our *reader* knows the syntax and a white list of names. The third column compares the targets that a file calls with the list of them.
#
# **Predict first.** Four workflows and three Jenkinsfiles have one fault each: a job that is not there, a target that is not there, no tests … Which can nobody find who sees only the file?

# %% name="faults"
TARGETS = ["test", "train", "package", "release"]
files = checkers.broken(jenkins, workflow)  # seven copies, each with one fault
pd.DataFrame({name: checkers.who_sees(text, TARGETS) for name, text in files.items()}).T

# %% [markdown]
# actionlint finds the missing job, and the title: whoever opens a pull request called `"; curl …` would run it as your command. It can't know your Makefile. *The tests left out* is valid everywhere and green for ever. Only a test that compares both callers with the list of targets sees it, as in 08c.
#
# ## Run it here
#
# **act** runs a job of a workflow on your machine. Its environment is made on first use (21<!-- given --> MB, no Docker).

# %% name="act" tags=["nbval-ignore-output"]
steps, log = runner.run_job(repo.folder, "check") or (["act is not there: `walkforward env ci` makes it"], [])
print(*steps, *log, sep="\n")

# %% [markdown]
# (The error is in seconds since RIDE-7.) What act does not have: GitHub's runners, its approvals, its tokens. Because the steps are targets, you rarely need it: `make test` is the same test.
#
# ### How small may the miniature be?
#
# Each push trains on a few rides. If the model loses to the median by bad luck, the push is red for nothing. How often is that, in per cent, with a 95<!-- given --> % interval?

# %% name="miniature"
from scipy import stats

trips = prepare_trips(load_trips(months("2019-01", "2019-12")))[["trip_distance", "duration"]].to_numpy()
rng, rows = np.random.default_rng(0), {}
for size in (10, 30, 100, 300):
    drawn = (trips[rng.choice(len(trips), size, replace=False)] for _ in range(draws))
    lost = sum(agents.loses_to_the_median(rides) for rides in drawn)
    low, high = stats.binomtest(lost, draws).proportion_ci(method="exact")
    rows[f"{size} rides"] = {"red for nothing": 100 * lost / draws, "from": 100 * low, "to": 100 * high}
pd.DataFrame(rows).T.round(1)

# %% [markdown]
# With 10<!-- given --> rides 27.7<!-- =miniature[10 rides, red for nothing] --> % of all pushes are red for nothing, and people learn to press *run again*. With 300<!-- given --> rides it happened in no trial (the interval ends at 1.2<!-- =miniature[300 rides, to] --> %). A training of hours is no part of CI: the pipeline starts it elsewhere and does not wait.

# %% [markdown]
# ## What the log shows
#
# Jenkins writes a `sh` step to a file on the agent, runs it with `sh -xe` (`-x` prints each command), and **masks** secrets in the log. Four ways to use a token (`push` is a program that needs it), and where eight characters of it in a row can be read:

# %% name="secret"
TOKEN = "trips-0123456789abcdefgh"
ways = {
    "double quotes": f'push --token "{TOKEN}"',  # Groovy has put it in
    "single quotes": 'push --token "$TOKEN"',  # the shell does
    "only its beginning": 'echo "token begins with $(printf %.8s "$TOKEN")"',
    "push reads it itself": "push",  # from its environment
}
shown = {name: secrets.run_step(command, TOKEN) for name, command in ways.items()}
pd.DataFrame(shown).T.map(lambda text: "READ" if secrets.readable(text, TOKEN) else "·")

# %% [markdown]
# With double quotes Groovy writes the secret into the script. Single quotes are the usual advice, and the script is clean; but `-x` prints the command with the value, so only the mask keeps the log clean, and whoever is on that agent sees it in the list of processes. The mask looks for the whole text (Jenkins and GitHub also for some encodings): a part passes. Only the last way leaves nothing there (the agent's own user can still read the environment).
#
# A token that was in a log is stolen: replace it first, then look for the cause.
#
# Better is no stored secret. With **OpenID Connect** a run gets a signed token that says who it is, and the cloud exchanges it for one that lives for minutes, if the **subject** is the one it trusts:

# %% name="subject"
trusted = "repo:client/rides:environment:production"
runs = {
    "job of the environment production": "repo:client/rides:environment:production",
    "push to main": "repo:client/rides:ref:refs/heads/main",
    "the tag v1.1.0": "repo:client/rides:ref:refs/tags/v1.1.0",
    "pull request": "repo:client/rides:pull_request",
}
for name, subject in runs.items():
    print(f"{name:34}", "gets a token" if subject == trusted else "gets nothing")

# %% [markdown]
# Had the cloud trusted main's subject, the ticket would be "it works from main and fails from the tag". Trust the environment, and limit it to tags and reviewers, or any branch can name it. (Read the subject in a run of yours first: its form can be configured.)

# %% [markdown]
# ## Friday, noon
#
# Two executors, 5<!-- given --> builds an hour, 15<!-- given --> minutes each. One release waits for an approval with `agent any` at the top, so its executor waits too, over the weekend. The table shows an afternoon's mean wait in minutes; low to high holds 95<!-- given --> % of the afternoons.
#
# **Predict first.** Half of the executors are gone. Do the other builds wait twice as long?

# %% name="friday"
means = {"two free": [], "one held": []}
for seed in range(fridays):
    arrivals = agents.afternoon(np.random.default_rng(seed), per_hour=5, hours=6)
    for name, executors in {"two free": 2, "one held": 1}.items():
        means[name].append(agents.waits(arrivals, 15, executors).mean())
middle = [0.025, 0.5, 0.975]
pd.DataFrame(means).quantile(middle).T.set_axis(["low", "median", "high"], axis=1).round(1)

# %% [markdown]
# The median grows from 3.6<!-- =friday[two free, median] --> minutes to 60.9<!-- =friday[one held, median] -->. **Utilisation** is arrivals × duration ÷ executors: here 5<!-- given --> × 0.25<!-- given --> ÷ 2<!-- given --> = 0.63<!-- given -->. With one executor it is 1.25<!-- given -->: above 1<!-- given --> the queue grows until people go home. Another agent hides the fault until the second approval.
#
# When builds wait, look in this order: what does the queue say it waits for? Is there an agent with that **label**, and is it online? What do the busy executors do: train, hang without a timeout, or wait for a person?
#
# In a Jenkinsfile the cause is one line, `agent any`. The reader turns the file into data; our last stage:

# %% name="as_data"
pipeline = jenkinsfile.pipeline(jenkins)
print("agent of the pipeline:", pipeline["agent"])
pipeline["stages"][-1]

# %% [markdown]
# `input: True` is the *directive* of the stage: the person is asked before the stage takes its agent. The *step* `input`, among the steps, asks while the agent is held.
#
# ### Your turn

# %% exercise="held_for_a_person"

# %%
exercise.check(held_for_a_person)

# %% [markdown]
# ## The fix that changed nothing
#
# RIDE-9: some meters report rides that last a day. The author drops these, and the pipeline is green. To save time, somebody lets the pipeline restore `build/` from a **cache** whose key is the digest of `rides.csv`.

# %% name="stale"
import shutil


def key(clone):
    return hashlib.sha256(clone.read("rides.csv").encode()).hexdigest()


before = repo.fresh("main")
print("before:          ", before.make("train")[0])
repo.branch("RIDE-9-long", scratch.LONG_RIDES, "RIDE-9: no rides above an hour")
agent = repo.fresh("RIDE-9-long")
if key(agent) == key(before):
    shutil.copytree(before.folder / "build", agent.folder / "build")
print("with the cache:  ", agent.make("train")[0])
print("without a cache: ", repo.fresh("RIDE-9-long").make("train")[0])

# %% [markdown]
# The fix is in the code, and the error is the same to the last digit: `train` found `build/rows.json` and did not make it anew. Without the cache the error falls from 568.52<!-- =stale: with the cache: +train: \d+ rides, MAE ([\d.]+) --> to 280.56<!-- =stale: without a cache: +train: \d+ rides, MAE ([\d.]+) --> seconds. (The median's falls too: the broken rides have left the test.) The other way round it is worse: a change that does harm enters main green.
#
# The key names *all* that the result is made from: `rows-${{ hashFiles('rides.csv', '*.py') }}`, and the packages and Python where they count. Once a week the pipeline runs without a cache.
#
# ### Your turn

# %% exercise="cache_key"

# %%
exercise.check(cache_key)

# %% [markdown]
# ## The release
#
# A **cache** may be empty at any moment and only saves time. An **artifact** is what is handed on: built once, tested, approved, released. `release` refuses a commit without a tag, and a model that is not the one that was packaged.

# %% name="release"
repo.git("merge", "--quiet", "--no-ff", "RIDE-9-long", "--message", "Merge RIDE-9-long")
built = repo.fresh("main")
print(built.make("package", "release")[0])
repo.git("tag", "--annotate", "v1.1.0", "--message", "version 1.1.0")
built.git("fetch", "--quiet", "--tags")
(built.folder / "dist" / "model.json").write_text('{"slope": 1, "start": 0}')  # by hand
print(built.make("release")[0])
print(built.make("package", "release")[0].splitlines()[-1])

# %% name="notes"
print(repo.git("log", "v1.0.0..v1.1.0", "--first-parent", "--format=%s"))
running.close()

# %% [markdown]
# Where merges carry tickets, this is the draft of the release notes.
#
# ## Jenkins in the interview
#
# - **Shared library**: forty copies of a Jenkinsfile become steps in a repository of their own, loaded as `@Library('rides@v3')`. Pin the version, or one commit breaks forty pipelines. A *global* library runs outside the sandbox, with the controller's rights: few people may change it.
# - **Controller**: it plans and keeps the credentials; builds run on agents only.
# - **Jenkins or Actions?** Ask what hurts. Jenkins reaches machines inside and costs somebody's time; Actions needs no server. With targets in a Makefile the move is one file.
#
# ## When less is enough
#
# Two people with a release a month need a Makefile, one workflow that calls `make test`, and a tag. Somebody has to keep up each system above.

# %% [markdown]
# ## Take-aways
#
# - A pipeline is targets that run on a laptop. Jenkins and GitHub are files that call them, compared by a test.
# - Green says: this commit, on that base. Test what main would be.
# - A mask hides only the whole secret. Pass none as an argument, and best store none.
# - An approval holds no agent and has a time limit.
# - A cache's key names all that the result is made from. What is released is the artifact that was tested.

# %% [markdown]
# ## In an interview
#
# - *Both pull requests were green, and main is red. How?* Shown in [Two green branches](#Two-green-branches).
# - *Jenkins masks secrets. Why was one in the log?* Shown in [What the log shows](#What-the-log-shows).
# - *Builds have been waiting since Friday. Where do you look?* Shown in [Friday, noon](#Friday,-noon).
#
# More, with the points of a good answer: `walkforward practice --lesson 10g` in a terminal.
#
# ## Up next
#
# The release is out, and from now on it is the world that changes: [11a · Monitoring](11a_monitoring.ipynb).

"""The ten steps of a month. Each takes the state and the month, and returns what its journal line says.

A run of a month stands on the first of the next one: the month is over, but for the labels that come late.
Each step may be killed at any moment and is done again: what it makes is whole or not there, and a step looks
for what it made before it makes it again.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from projects.capstone import answered, demand, trips
from projects.capstone.policies import POLICIES, Seen
from projects.capstone.state import DEMAND, DURATION, CapstoneError, State
from projects.release_gate.questions import Case
from projects.release_gate.release import Release, build, digest

WINDOW, JUDGED_FROM, KILOMETRES = 3, 14, 1.609  # months; days of a month that are learnt from; in a mile
ZONES = ["pickup_location_id", "dropoff_location_id"]
WATCHED = ["trip_distance", "hour", "yhat", *ZONES]
SAMPLE = 5_000  # rows a side that are compared
OWNER = "the person on call"
HERE = Path(__file__).resolve().parent


def begins(month: str) -> pd.Timestamp:
    """The first moment of a month."""
    return pd.Period(month).start_time


def shifted(month: str, by: int) -> str:
    """The month so many months later."""
    return str(pd.Period(month) + by)


# What arrives ---------------------------------------------------------------------------------------------


def ingest(state: State, month: str) -> dict[str, Any]:
    """Take in the month's raw trips and the month's rides, in the agreed form, and name them by digest."""
    file, before = (
        state.file("raw", month, "trips.parquet"),
        state.file("raw", shifted(month, -1), "trips.parquet"),
    )
    if not file.exists():
        raw = trips.checked(state.trips(month), month)
        with state.whole("raw", month, "trips.parquet") as part:
            raw.to_parquet(part)
    raw = pd.read_parquet(file)
    rides_until = begins(shifted(month, 1 - state.settings.offset))
    rides = demand.checked(state.rides())
    rides = rides[rides["ds"] < rides_until]
    if rides.empty or rides["ds"].max() != rides_until - pd.Timedelta(days=1):
        raise CapstoneError(f"the rides end before {rides_until:%Y-%m-%d}: ask for the days up to it")
    with state.whole("raw", month, "rides.parquet") as part:
        rides.to_parquet(part)
    changed = trips.changes(pd.read_parquet(before), raw) if before.exists() else []
    return {"trips": len(raw), "digest": digest(raw), "rides": digest(rides), "changed": changed}


def validate(state: State, month: str) -> dict[str, Any]:
    """Divide the trips into those that are taken and those that are set aside, with the reason."""
    raw = pd.read_parquet(state.file("raw", month, "trips.parquet"))
    taken, aside = trips.divided(raw, month)
    for name, table in (("taken", taken), ("aside", aside)):
        with state.whole("trips", month, f"{name}.parquet") as part:
            table.to_parquet(part)
    counts = {str(name): int(number) for name, number in aside["reason"].value_counts().sort_index().items()}
    return {"taken": len(taken), "aside": len(aside), "reasons": counts}


def features(state: State, month: str) -> dict[str, Any]:
    """What is known of each trip when it is asked, and when its label is there; nothing of later."""
    taken = pd.read_parquet(state.file("trips", month, "taken.parquet"))
    days = state.settings.label_days
    if ahead := trips.looks_ahead(taken, days):
        raise CapstoneError(
            f"{', '.join(ahead)} of {month} looks ahead: compute it from what is known at the pick-up"
        )
    table = trips.known_at_pickup(taken, days)
    with state.whole("trips", month, "features.parquet") as part:
        table.to_parquet(part)
    late = int((table["label_at"] >= begins(shifted(month, 1))).sum())
    return {"rows": len(table), "digest": digest(table), "late": late}


# What the live models have said ---------------------------------------------------------------------------


def canary(state: State, month: str) -> dict[str, Any]:
    """Settle last month's canary by its users' trips of the first ten days: promote it, or roll back."""
    before = champion_before(state, month)
    begun = state.journal.find(shifted(month, -1), "deploy")
    if not begun.get("canary"):
        return {"before": before, "champion": before}
    from projects.release_gate import gate

    client, version, last = use_store(state), begun["canary"], shifted(month, -1)
    case = case_of(state, last)
    rows = of_month(state, month)
    start = begins(month)
    users = answered.users(rows["trip"], state.settings.share)
    ends = start + pd.Timedelta(days=answered.CANARY_DAYS)
    asked = rows[users & (rows["pickup_datetime"] < ends)].sort_values("dropoff_datetime", kind="stable")
    told_by = [minutes(state, one, asked, month, one is case.new) for one in (case.new, case.old)]
    errors = [(asked["duration"] - one).abs() for one in told_by]
    said, after = answered.verdict((errors[0] - errors[1]).to_numpy())
    told = {"before": before, "canary": version, "verdict": said, "requests": after}
    if said == "worse":
        client.set_model_version_tag(DURATION, version, "refused", "canary")
        told |= {"champion": before, "said": "rolled back"}
        labels = asked["dropoff_datetime"].iloc[after - 1] + pd.Timedelta(days=state.settings.label_days)
        told["stopped"] = str(labels)
    else:
        was = gate.promote(client, DURATION, version, before, case)
        told["said"] = was.removesuffix(" already")  # done by a process that died before it wrote so
        told["champion"] = version if told["said"].startswith("champion") else before
    client.delete_registered_model_alias(DURATION, "canary")
    return told


def monitor(state: State, month: str) -> dict[str, Any]:
    """Log what was answered this month, join the labels that are there, and look for drift."""
    settled = state.journal.find(month, "canary")
    if not settled["champion"]:
        return {"skip": "no model answers yet"}
    from walkforward.prediction_log import PredictionLog

    rows, now, start = of_month(state, month), begins(shifted(month, 1)), begins(month)
    users, days = answered.users(rows["trip"], state.settings.share), state.settings.label_days
    version = answered.versions(rows["pickup_datetime"], users, start, days, settled)
    sent = pd.read_parquet(state.file("trips", month, "features.parquet"))
    yhat = pd.Series(np.nan, index=rows.index)
    for one in sorted(set(version)):
        inside, is_canary = version == one, one == settled.get("canary")
        yhat[inside] = minutes(state, release_of(state, one), rows[inside], month, is_canary)
        sent.loc[inside, "trip_distance"] = as_sent(state, rows[inside], month, is_canary)["trip_distance"]
    label_at, late = sent["label_at"], late_labels(state, month)
    come = rows[label_at < now]
    log = PredictionLog(state.file("predictions.db"))
    try:
        log.record(
            sent[trips.FEATURES],
            yhat.to_numpy(),
            request_id=rows["trip"].tolist(),
            model_version=version.tolist(),
            at=rows["pickup_datetime"].tolist(),
        )
        log.add_labels(dict(zip(come["trip"], come["duration"], strict=True)), at=now)
        joined = log.add_labels(late, at=now) if late else 0
    finally:
        log.close()
    there = label_at < now
    missed = (rows["duration"] - yhat).abs()[there]
    champion = release_of(state, settled["champion"])
    told = {"answered": {str(k): int(v) for k, v in version.value_counts().sort_index().items()}}
    told |= {"labels": int(there.sum()), "late": len(late), "unknown": len(getattr(joined, "unknown", []))}
    told |= {"error": round(float(missed.mean()), 3), "drifted": drifted(champion, rows)}
    told |= {"by length": by_length(missed, rows)}
    told["by version"] = {
        one: {"all": round(float(some.mean()), 3), **by_length(some, rows)}
        for one, some in missed.groupby(version[there])
    }
    return told | {"demand": demand_seen(state, month)}


def decide(state: State, month: str) -> dict[str, Any]:
    """Ask the policy whether to retrain, and on how many months; take up what a person has changed."""
    seen, settled = state.journal.find(month, "monitor"), state.journal.find(month, "canary")
    reviews = [one for one in state.settings.reviews if one["month"] == month]
    told = {"limits": reviews} if reviews else {}
    if not settled["champion"]:
        last = month >= shifted(state.settings.first, -1)
        return told | {"window": WINDOW if last else 0, "why": "no champion yet" if last else "warming up"}
    trained = release_of(state, settled["champion"]).folder.name
    age = (pd.Period(month) - pd.Period(trained)).n
    known = Seen(month, seen["error"], seen["drifted"], age)
    if state.settings.policy not in POLICIES:
        raise CapstoneError(
            f"there is no policy {state.settings.policy!r}: take one of {', '.join(POLICIES)}"
        )
    window = int(POLICIES[state.settings.policy](known))
    alarms = [f"drift of {', '.join(known.drifted)}"] * bool(known.drifted)
    told |= {
        "alarms": alarms + [f"the schema: {one}" for one in state.journal.find(month, "ingest")["changed"]]
    }
    return told | {
        "window": window,
        "why": "; ".join(alarms) or f"error {known.error:.2f}",
        "seen": asdict(known),
    }


# What is made ---------------------------------------------------------------------------------------------


def train(state: State, month: str) -> dict[str, Any]:
    """Train the duration model if that was decided, and judge the demand models by walk-forward folds."""
    window = state.journal.find(month, "decide")["window"]
    told: dict[str, Any] = {"trips": 0}
    if window:
        if not state.file("releases", month).exists():
            with state.whole("releases", month) as part:
                build(part, rows_known(state, month, window))
        release = Release(state.file("releases", month))
        told = {"trips": len(release.rows), "rows": release.record["rows"], "digest": release.digest}
        told["against"] = state.journal.find(month, "canary")["champion"]
    if warming(state, month):
        return told
    if not state.file("demand", month).exists():
        history = pd.read_parquet(state.file("raw", month, "rides.parquet"))
        errors = demand.judged(history)
        kind = min(demand.KINDS, key=lambda one: errors[one])
        with state.whole("demand", month) as part:
            part.mkdir()
            demand.saved(kind, demand.fitted(kind, history), history, part)
            table = pd.DataFrame({"kind": list(errors), "error": list(errors.values())})
            table.assign(chosen=table["kind"] == kind).to_parquet(part / "folds.parquet")
    folds = pd.read_parquet(state.file("demand", month, "folds.parquet"))
    kind = folds.loc[folds["chosen"], "kind"].iloc[0]
    errors = {one["kind"]: round(one["error"], 3) for _, one in folds.iterrows()}
    return told | {"demand": {"kind": kind, "errors": errors}}


def gate(state: State, month: str) -> dict[str, Any]:
    """Ask the release gate (08c) about the new duration model, and two questions about the demand model."""
    made = state.journal.find(month, "train")
    told: dict[str, Any] = {}
    if made["trips"]:
        from projects.release_gate import gate as gates

        case, table = case_of(state, month), limits(state, month)
        answers = gates.ask(case, table=table)
        (case.new.folder / gates.ANSWERS).unlink(missing_ok=True)  # a full disk may have left a half one
        gates.keep(case, answers)
        told["noes"] = {name: row["found"] for name, row in answers.iterrows() if not row["yes"]}
        told["metric"] = answers.loc["metric", "found"]
        naive = beats_naive(case)
        told["noes"] |= {} if naive < 1 else {"naive": f"{naive:.2f} times the error of a usual pace"}
    if "demand" in made:
        errors, kind = made["demand"]["errors"], made["demand"]["kind"]
        worse = errors[kind] >= errors["naive"]
        told["demand"] = {"naive": f"{errors[kind]} against {errors['naive']}"} if worse else {}
    return told


def register(state: State, month: str) -> dict[str, Any]:
    """Make a version of what has passed, unless there is one already."""
    made, passed = state.journal.find(month, "train"), state.journal.find(month, "gate")
    told: dict[str, Any] = {}
    if "noes" in passed and not passed["noes"]:
        from projects.release_gate import registry

        client, release = use_store(state), Release(state.file("releases", month))
        version = version_of(client, DURATION, release.digest)
        if version is None:
            forget_halves(client, month)
            version = registry.register(DURATION, release)
        client.set_model_version_tag(DURATION, version, "month", month)
        client.set_registered_model_tag(DURATION, "owner", OWNER)
        told["duration"] = version
    if "demand" in made and not passed["demand"]:
        told["demand"] = register_demand(state, month, made["demand"]["kind"])
    return told


def deploy(state: State, month: str) -> dict[str, Any]:
    """Start what was registered, ask it, and let it answer: the first as champion, another as a canary."""
    there = state.journal.find(month, "register")
    told: dict[str, Any] = {}
    if "duration" in there:
        client, version = use_store(state), there["duration"]
        if state.settings.serve:
            told["served"] = ask_served(state, month, version)
        champion = state.journal.find(month, "canary")["champion"]
        name = "canary" if champion else "champion"
        client.set_registered_model_alias(DURATION, name, version)
        told[name] = version
    if version := there.get("demand") or demand_before(state, month):
        client = use_store(state)
        days = days_of(shifted(month, 1), state.settings.offset)
        if not state.file("demand", f"{month}.forecast.parquet").exists():
            yhat = demand.forecast(demand_model(version), days)
            with state.whole("demand", f"{month}.forecast.parquet") as part:
                pd.DataFrame({"ds": days, "yhat": yhat}).to_parquet(part)
        client.set_registered_model_alias(DEMAND, "champion", version)
        told["demand"] = version
    return told


# What they share ------------------------------------------------------------------------------------------


def use_store(state: State) -> Any:
    """Point MLflow at the flow's store, and return a client."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a store that is away is told in seconds
    import mlflow

    from projects.release_gate import registry

    logging.getLogger("alembic").setLevel(logging.WARNING)
    if not state.store:
        make_store(state)
        registry.use_store(state.file("store"))
    else:
        mlflow.set_tracking_uri(state.store)
        mlflow.set_experiment("releases")
    return mlflow.MlflowClient()


def make_store(state: State) -> None:
    """Make the store's tables, all or none: MLflow makes one by one, and can't go on from some of them."""
    if state.file("store", "mlflow.db").exists():
        return
    import mlflow

    with state.whole("store", "mlflow.db") as part:
        for half in part.parent.glob("making-*"):
            half.unlink()
        making = part.with_name(f"making-{uuid.uuid4().hex}.part")  # MLflow keeps open what it has made
        mlflow.MlflowClient(f"sqlite:///{making.as_posix()}").search_experiments()
        shutil.copyfile(making, part)
    with contextlib.suppress(PermissionError):
        making.unlink()


def of_month(state: State, month: str) -> pd.DataFrame:
    """The trips that are taken, in order of pick-up."""
    return pd.read_parquet(state.file("trips", month, "taken.parquet"))


def warming(state: State, month: str) -> bool:
    """Whether the month lies before the first that the flow answers for, and only fills the window."""
    return month < shifted(state.settings.first, -1)


def champion_before(state: State, month: str) -> str | None:
    """The version that answers when the month begins, by the journal: an alias may be set already."""
    last = shifted(month, -1)
    settled, begun = state.journal.find(last, "canary"), state.journal.find(last, "deploy")
    return begun.get("champion") or settled.get("champion")


def release_of(state: State, version: str) -> Release:
    """The release that a version holds, by the journal."""
    lines = state.journal.lines()
    month = next(
        one["month"] for one in lines if one["step"] == "register" and one.get("duration") == version
    )
    return Release(state.file("releases", month))


def rows_known(state: State, month: str, window: int) -> pd.DataFrame:
    """The trips of the last months up to the 14th of this one: the rest is left to judge."""
    wanted = [shifted(month, -back) for back in range(window - 1, -1, -1)]
    found = [of_month(state, one) for one in wanted if state.file("trips", one, "taken.parquet").exists()]
    rows = pd.concat(found, ignore_index=True)
    return rows[rows["dropoff_datetime"] < begins(month) + pd.Timedelta(days=JUDGED_FROM)]


def case_of(state: State, month: str) -> Case:
    """The new model, the champion of then (for the first: itself), and the trips that judge them."""
    rows, days = of_month(state, month), pd.Timedelta(days=state.settings.label_days)
    judge = (rows["pickup_datetime"] >= begins(month) + pd.Timedelta(days=JUDGED_FROM)) & (
        rows["dropoff_datetime"] + days < begins(shifted(month, 1))
    )
    new, against = Release(state.file("releases", month)), state.journal.find(month, "train")["against"]
    old = release_of(state, against) if against else Release(new.folder)
    return Case(new, old, rows[judge].reset_index(drop=True))


def limits(state: State, month: str) -> dict[str, Any]:
    """The gate's table, with what people have changed up to this month."""
    from projects.release_gate.gate import TABLE

    table = dict(TABLE)
    for one in (one for one in state.settings.reviews if one["month"] <= month):
        old, new = table[one["question"]]["limit"], one["limit"]
        table[one["question"]] = {
            **table[one["question"]],
            "limit": old | new if isinstance(old, dict) else new,
        }
    return table


def pace(rows: pd.DataFrame) -> float:
    """The median minutes a mile."""
    known = rows[rows["trip_distance"] > 0]
    return float((known["duration"] / known["trip_distance"]).median())


def beats_naive(case: Case) -> float:
    """The new model's absolute error over that of the usual minutes a mile."""
    naive = (case.rows["duration"] - pace(case.new.rows) * case.rows["trip_distance"]).abs().mean()
    return float(case.errors["new"].abs().mean() / naive)


def as_sent(state: State, rows: pd.DataFrame, month: str, is_canary: bool) -> pd.DataFrame:
    """The trips as the feature service sends them: in kilometres to the canary of the planted month."""
    wrong = is_canary and month == state.settings.planted
    return rows.assign(trip_distance=rows["trip_distance"] * (KILOMETRES if wrong else 1))


def minutes(state: State, release: Release, rows: pd.DataFrame, month: str, is_canary: bool) -> np.ndarray:
    """What a release answers to these trips."""
    return release.answers(as_sent(state, rows, month, is_canary))


def late_labels(state: State, month: str) -> dict[str, float]:
    """The labels of last month's trips that have come since, where those trips were answered."""
    last = shifted(month, -1)
    if not state.journal.find(last, "monitor").get("answered"):
        return {}
    table = pd.read_parquet(state.file("trips", last, "features.parquet"))
    late = table[(table["label_at"] >= begins(month)) & (table["label_at"] < begins(shifted(month, 1)))]
    return dict(zip(late["trip"], late["duration"], strict=True))


def drifted(champion: Release, rows: pd.DataFrame) -> list[str]:
    """The columns that have moved from what the champion has learnt from, for sure and by enough (11d)."""
    from walkforward.drift import drift_report

    known, seen = (
        some.sample(min(SAMPLE, len(some)), random_state=0).assign(
            yhat=lambda table: champion.answers(table), hour=lambda table: table["pickup_datetime"].dt.hour
        )
        for some in (champion.rows, rows)
    )
    report = drift_report(known, seen, WATCHED, categorical=ZONES)
    return sorted(report.loc[report["drift"], "column"])


def by_length(missed: pd.Series, rows: pd.DataFrame) -> dict[str, float]:
    """The mean absolute error by the length of the trip."""
    names = ["under 1 mile", "1 to 5 miles", "over 5 miles"]
    group = pd.cut(rows.loc[missed.index, "trip_distance"], [-1, 1, 5, 1e9], labels=names, right=False)
    return {
        str(name): round(float(value), 3)
        for name, value in missed.groupby(group, observed=True).mean().items()
    }


def days_of(month: str, offset: int) -> pd.Series:
    """The days of the ridership that stand for a month."""
    there = pd.Period(month) - offset
    return pd.Series(pd.date_range(there.start_time, periods=there.days_in_month, freq="D"), name="ds")


def demand_seen(state: State, month: str) -> dict[str, Any]:
    """How wrong last month's forecast of this month was, and last year's same weekdays."""
    file = state.file("demand", f"{shifted(month, -1)}.forecast.parquet")
    if not file.exists():
        return {}
    rides = pd.read_parquet(state.file("raw", month, "rides.parquet")).set_index("ds")["y"]
    said = pd.read_parquet(file)
    truth = rides.reindex(said["ds"]).to_numpy()
    last_year = rides.reindex(said["ds"] - pd.Timedelta(days=364)).to_numpy()
    errors = {"error": np.abs(truth - said["yhat"]).mean(), "naive": np.abs(truth - last_year).mean()}
    return {name: round(float(value), 3) for name, value in errors.items()}


def demand_before(state: State, month: str) -> str | None:
    """The demand version of last month, which goes on where the gate has refused a new one."""
    return state.journal.find(shifted(month, -1), "deploy").get("demand")


def version_of(client: Any, name: str, key: str) -> str | None:
    """The version with this digest, if there is one."""
    found = client.search_model_versions(f"name = '{name}' and tags.digest = '{key}'")
    return str(min(int(one.version) for one in found)) if found else None


def forget_halves(client: Any, month: str, kind: str = "") -> None:
    """Delete the runs of this month that a killed process has left without a version."""
    experiment = client.get_experiment_by_name("releases")
    for run in client.search_runs([experiment.experiment_id], f"attributes.run_name = '{kind}{month}'"):
        client.delete_run(run.info.run_id)


def register_demand(state: State, month: str, kind: str) -> str:
    """Log the demand model behind the signature that all of them have, and register it."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    client, folder = use_store(state), state.file("demand", month)
    key = f"{month} {state.journal.find(month, 'ingest')['rides']}"
    if version := version_of(client, DEMAND, key):
        return version
    forget_halves(client, month, "demand ")
    signature = ModelSignature(Schema([ColSpec("datetime", "ds")]), Schema([ColSpec("double", "yhat")]))
    with mlflow.start_run(run_name=f"demand {month}"):
        errors = state.journal.find(month, "train")["demand"]["errors"]
        mlflow.log_metrics({f"mae_{name}": value for name, value in errors.items()})
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(HERE / "front.py"),
            artifacts={"model": str(folder / "model"), "history": str(folder / "history.parquet")},
            signature=signature,
            input_example=pd.DataFrame({"ds": days_of(shifted(month, 1), state.settings.offset)[:2]}),
            pip_requirements=[],
        )
    tags = {"digest": key, "kind": kind, "month": month}
    with contextlib.redirect_stderr(io.StringIO()):  # MLflow reports success there
        return str(mlflow.register_model(info.model_uri, DEMAND, tags=tags).version)


def demand_model(version: str) -> Any:
    """The demand model of a version, whatever is behind it."""
    import mlflow

    return mlflow.pyfunc.load_model(f"models:/{DEMAND}/{version}")


def ask_served(state: State, month: str, version: str) -> float:
    """Start the version with `walkforward serve`, ask it the same as the release, and stop it.

    Returns the largest difference in minutes. Raises: CapstoneError, when it is more than a hundredth.
    """
    import requests

    from course.servers import fast_server

    rows, release = of_month(state, month).tail(50), Release(state.file("releases", month))
    body = {"dataframe_split": release.code.features(rows).to_dict("split", index=False)}
    folder = state.file("servers", f"{month} {version}")
    with fast_server(f"models:/{DURATION}/{version}", folder) as server:
        try:
            answer = requests.post(f"{server.uri}/invocations", json=body, timeout=30)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise CapstoneError(
                f"version {version} does not answer over HTTP ({error}): look into {folder / 'model.log'}"
            ) from error
        apart = float(np.abs(np.array(answer.json()["predictions"]) - release.answers(rows)).max())
    shutil.rmtree(folder.parent, ignore_errors=True)
    if apart > 0.01:
        raise CapstoneError(
            f"version {version} answers {apart:.2f} minutes otherwise over HTTP: look at its features"
        )
    return round(apart, 4)


Step = Callable[[State, str], dict[str, Any]]
DO: dict[str, Step] = {
    one.__name__: one
    for one in (ingest, validate, features, canary, monitor, decide, train, gate, register, deploy)
}

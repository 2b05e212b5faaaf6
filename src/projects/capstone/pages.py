"""The pages of a flow, self-contained HTML: one a run (a DAG card), one a model, one for an incident.

The DAG card is Tagliabue et al.'s idea: what a model card is for a model, for the flow that made it. All is
read from the journal, the store and the log, so that a page that was lost is written again alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from projects.capstone.loop import decision, diary
from projects.capstone.state import DEMAND, DURATION, STEPS, State

MEDIANS = {
    "y": "minutes",
    "yhat": "minutes, as answered",
    "trip_distance": "miles",
    "missed": "error, minutes",
}
SLICES = ["all", "under 1 mile", "1 to 5 miles", "over 5 miles"]
DONE, STOPPED, IDLE = "#dfeaf4", "#f6d5ce", "#f2f2f2"
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem .2rem 0;text-align:left;
vertical-align:top;border-bottom:1px solid #ddd}
td:first-child{white-space:nowrap}svg{max-width:100%;height:auto}
.alarm{background:#f6d5ce;padding:.5rem 1rem}.calm{background:#dfeaf4;padding:.5rem 1rem}
"""


def page(title: str, *parts: str) -> str:
    """A whole page."""
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{STYLE}</style>"
    head += "<meta name='viewport' content='width=device-width'>"
    body = f"<h1>{escape(title)}</h1>{''.join(parts)}"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{body}</body></html>\n"


def table(rows: Iterable[Iterable[Any]], heads: Iterable[str] = ()) -> str:
    """A table; a cell that is a link already stays one."""

    def cell(value: Any) -> str:
        text = str(value)
        return text if text.startswith("<a ") else escape(text)

    top = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell(one)}</td>" for one in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{top}</tr>' if top else ''}{body}</table>"


def outcome(step: str, done: dict[str, Any]) -> tuple[str, str]:
    """What a step has come to in a few words, and its colour."""
    told = done[step]
    words = {
        "ingest": lambda: f"{told['trips']:,} trips",
        "validate": lambda: f"{told['aside']:,} set aside",
        "features": lambda: f"{told['late']:,} labels late",
        "canary": lambda: told.get("said", ""),
        "monitor": lambda: f"error {told['error']:.2f} min" if "error" in told else "",
        "decide": lambda: f"retrain on {told['window']}" if told["window"] else "keep",
        "train": lambda: f"{told['trips']:,} trips" if told["trips"] else "demand only",
        "gate": lambda: "no" if refused(told) else "yes" if "noes" in told else "demand only",
        "register": lambda: f"version {told['duration']}" if "duration" in told else "demand only",
        "deploy": lambda: (
            "canary" if "canary" in told else "champion" if "champion" in told else "demand only"
        ),
    }[step]()
    stopped = words in ("no", "rolled back") or (step == "decide" and bool(told.get("alarms")))
    return words, STOPPED if stopped else DONE if words not in ("", "demand only", "keep") else IDLE


def short(state: State, month: str) -> list[list[str]]:
    """What each step of a run has come to, and its seconds."""
    done = state.journal.of(month)
    return [[step, outcome(step, done)[0], f"{done[step]['seconds']:.2f}"] for step in STEPS]


def refused(told: dict[str, Any]) -> dict[str, str]:
    """The gate's noes, of both models."""
    return told.get("noes", {}) | {f"demand {name}": found for name, found in told.get("demand", {}).items()}


def dag(done: dict[str, Any]) -> str:
    """The steps as boxes with what came of each and its seconds, in two rows."""
    wide, high, gap = 176, 74, 24
    half, shapes = len(STEPS) // 2, []
    for at, step in enumerate(STEPS):
        row, column = divmod(at, half)
        x, y = column * (wide + gap) + 2, row * (high + 40) + 2
        words, colour = outcome(step, done)
        text = f"<text x='{x + 10}' y='{y + 24}' font-weight='600'>{step}</text>"
        text += f"<text x='{x + 10}' y='{y + 44}' font-size='14'>{escape(words)}</text>"
        text += (
            f"<text x='{x + 10}' y='{y + 63}' font-size='12' fill='#555'>{done[step]['seconds']:.2f} s</text>"
        )
        box = f"<rect x='{x}' y='{y}' width='{wide}' height='{high}' rx='6' fill='{colour}' stroke='#555'/>"
        shapes.append(box + text)
        if column < half - 1:
            shapes.append(line(x + wide, y + high / 2, x + wide + gap, y + high / 2))
    right, middle = (half - 1) * (wide + gap) + 2 + wide / 2, high + 22
    way = f"M{right},{high + 2} V{middle} H{2 + wide / 2} V{high + 42}"
    shapes.append(f"<path d='{way}' fill='none' stroke='#555'/>")
    size = f"viewBox='0 0 {half * (wide + gap)} {2 * high + 46}' role='img'"
    title = "<title>The ten steps of the run, with what came of each and its seconds</title>"
    start = f"<svg xmlns='http://www.w3.org/2000/svg' {size} font-family='system-ui'>"
    return f"{start}{title}{''.join(shapes)}</svg>"


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A stroke from a box to the next."""
    return f"<line x1='{x1}' y1='{y1}' x2='{x2}' y2='{y2}' stroke='#555'/>"


def run_page(state: State, month: str) -> str:
    """What one run did: the DAG, inputs by digest, metrics, alarms, and where model and version are."""
    done = state.journal.of(month)
    seen, decided, made = done["monitor"], done["decide"], done["train"]
    alarms = decided.get("alarms", [])
    kind = "alarm" if alarms else "calm"
    told = f"Alarm: {'; '.join(alarms)}." if alarms else "No alarm."
    said = f"<p class='{kind}'>{escape(told)} Decision: {escape(decision(done))}.</p>"
    inputs = [("trips", done["ingest"]["digest"]), ("rides", done["ingest"]["rides"])]
    inputs += [("features", done["features"]["digest"])]
    inputs += [("training rows", made["rows"]), ("model", made["digest"])] if made["trips"] else []
    metrics = [("trips taken", f"{done['validate']['taken']:,}")]
    metrics += [(f"set aside: {why}", f"{number:,}") for why, number in done["validate"]["reasons"].items()]
    if "error" in seen:
        metrics += [("mean absolute error, minutes", f"{seen['error']:.2f}")]
        metrics += [(f"… {name}", f"{value:.2f}") for name, value in seen["by length"].items()]
        metrics += [("labels there", f"{seen['labels']:,}"), ("late labels joined", f"{seen['late']:,}")]
        metrics += [(f"answered by version {name}", f"{count:,}") for name, count in seen["answered"].items()]
    chosen = made["demand"]
    metrics += [(f"demand, {name}, folds", f"{value:.2f}") for name, value in chosen["errors"].items()]
    links = []
    if "duration" in done["register"]:
        version = done["register"]["duration"]
        links += [
            ("duration", f"models:/{DURATION}/{version}", f"<a href='model-{version}.html'>its card</a>")
        ]
    if "demand" in done["register"]:
        links += [("demand", f"models:/{DEMAND}/{done['register']['demand']}", chosen["kind"])]
    noes = refused(done["gate"]).items()
    parts = [said, dag(done), "<h2>Inputs</h2>", table(inputs), "<h2>What was found</h2>", table(metrics)]
    parts += ["<h2>What the gate refused</h2>", table(noes)] if noes else []
    parts += ["<h2>Versions</h2>", table(links)] if links else []
    return page(f"Run of {month}", *parts)


def model_page(state: State, version: str) -> str:
    """The card of a version, made from the store and the journal."""
    from projects.capstone.steps import limits, release_of, use_store

    client = use_store(state)
    held, release = client.get_model_version(DURATION, version), release_of(state, version)
    run, rows = client.get_run(held.run_id), release.rows
    facts = [
        ("what for", "minutes of a taxi trip in New York, asked at the pick-up"),
        ("owner", client.get_registered_model(DURATION).tags.get("owner", "nobody")),
        ("registered as", f"models:/{DURATION}/{version}"),
        ("run", run.info.run_id),
        ("model", held.tags["digest"]),
        ("training rows", f"{len(rows):,}, digest {run.inputs.dataset_inputs[0].dataset.digest}"),
        (
            "picked up",
            f"{rows['pickup_datetime'].min():%Y-%m-%d} to {rows['pickup_datetime'].max():%Y-%m-%d}",
        ),
        ("refused", held.tags.get("refused", "no")),
    ]
    answered = []
    for month in state.journal.months():
        seen = state.journal.find(month, "monitor")
        if version in seen.get("answered", {}):
            its = seen["by version"].get(version, {})
            errors = [f"{its[name]:.2f}" if name in its else "none" for name in SLICES]
            answered.append([month, f"{seen['answered'][version]:,}", *errors])
    heads = ["month", "trips", *SLICES]
    asked = [(name, one["asks"], one["limit"]) for name, one in limits(state, held.tags["month"]).items()]
    bounds = (
        "<p>Trips of 1 to 60 minutes, in the zones of New York. A month that differs from the training rows"
    )
    bounds += " is outside what the model knows: look at the runs' alarms. It says nothing of demand.</p>"
    return page(
        f"Model card: {DURATION}, version {version}",
        table(facts),
        "<h2>What it has answered</h2><p>Mean absolute error in minutes, on the labels that were there.</p>",
        table(answered, heads),
        "<h2>What the gate asked</h2>",
        table(asked, ["question", "asks", "limit"]),
        "<h2>Limits</h2>",
        bounds,
    )


def incident_page(state: State, month: str) -> str:
    """What happened in a month of alarm and after it, from the log of the answers and the journal."""
    from walkforward.prediction_log import PredictionLog

    begin = pd.Period(month)
    log = PredictionLog(state.file("predictions.db"))
    try:
        rows = log.read(since=(begin - 1).start_time, until=(begin + 1).start_time, with_labels=True)
    finally:
        log.close()
    rows["missed"] = (rows["y"] - rows["yhat"]).abs()
    days = rows.groupby(rows["at"].dt.strftime("%Y-%m-%d"))
    daily = days["missed"].mean()
    inside = rows["at"].dt.strftime("%Y-%m") == month
    moved = [
        (said, f"{rows.loc[~inside, name].median():.2f}", f"{rows.loc[inside, name].median():.2f}")
        for name, said in MEDIANS.items()
    ]
    told = diary(state)
    after = told[(told["month"] >= month) & (told["month"] <= str(begin + 6))]
    wide = [
        (
            one["month"],
            f"{one['error']:.2f}",
            one["champion"],
            one["alarm"] or "none",
            one["canary"],
            one["decision"],
        )
        for _, one in after.iterrows()
    ]
    reviews = [
        (one["month"], one["who"], one["why"]) for one in state.settings.reviews if one["month"] >= month
    ]
    seen = state.journal.find(month, "monitor")
    what = f"{', '.join(seen['drifted']) or 'nothing'} drifted; {seen['error']:.2f} minutes of error."
    parts = [f"<p class='alarm'>{escape(what)}</p>", "<h2>The error by day</h2>", chart(daily)]
    parts += ["<h2>What moved</h2>", table(moved, ["median", str(begin - 1), month])]
    heads = ["month", "error", "champion", "alarm", "canary", "decision"]
    parts += ["<h2>What was done</h2>", table(wide, heads)]
    parts += ["<h2>What people changed</h2>", table(reviews, ["from", "who", "why"])] if reviews else []
    parts += [f"<p>{len(rows):,} answers with a label, from the log of the answers.</p>"]
    return page(f"Incident: {month}", *parts)


def chart(values: pd.Series) -> str:
    """A line over days, with the ends of its axes."""
    wide, high, top = 900, 200, float(values.max()) * 1.1
    steps = wide / max(1, len(values) - 1)
    points = " ".join(
        f"{60 + at * steps:.1f},{high - value / top * high:.1f}" for at, value in enumerate(values)
    )
    labels = f"<text x='60' y='{high + 20}'>{values.index[0]}</text>"
    labels += f"<text x='{60 + wide}' y='{high + 20}' text-anchor='end'>{values.index[-1]}</text>"
    labels += f"<text x='52' y='14' text-anchor='end'>{top:.1f}</text>"
    labels += f"<text x='52' y='{high}' text-anchor='end'>0</text>"
    title = "<title>Mean absolute error of the answers by day, in minutes</title>"
    axis = line(60, high, 60 + wide, high)
    size = f"viewBox='0 0 {wide + 70} {high + 30}' role='img' font-family='system-ui' font-size='13'"
    curve = f"<polyline points='{points}' fill='none' stroke='#b3371f' stroke-width='2'/>"
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size}>{title}{axis}{curve}{labels}</svg>"


def write(state: State, month: str) -> list[Path]:
    """The pages of a month's run: its own, of a version that it made, of an incident that begins with it."""
    state.at = f"pages of {month}"
    made = {f"{month}.html": run_page(state, month)}
    if version := state.journal.find(month, "register").get("duration"):
        made[f"model-{version}.html"] = model_page(state, version)
    settled = state.journal.find(month, "canary")
    for version in {settled.get("before"), settled.get("champion"), settled.get("canary")} - {None}:
        made[f"model-{version}.html"] = model_page(state, version)
    for one in incidents(state):
        if one <= month <= str(pd.Period(one) + 6):
            made[f"incident-{one}.html"] = incident_page(state, one)
    made[f"{month}.html"] = made.pop(f"{month}.html")  # last: where it is, all are
    for name, text in made.items():
        with state.whole("pages", name) as part:
            part.write_text(text, encoding="utf-8")
    return [state.file("pages", name) for name in made]


def incidents(state: State) -> list[str]:
    """The months of alarm after a month without one."""
    found, before = [], False
    for month in state.journal.months():
        alarm = bool(state.journal.find(month, "decide").get("alarms"))
        if alarm and not before:
            found.append(month)
        before = alarm
    return found

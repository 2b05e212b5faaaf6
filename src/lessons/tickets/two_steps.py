"""Estimates that became worse, for two reasons at once: two of four, and each hides behind the other."""

from random import Random

import numpy as np
import pandas as pd

from course.practice.diagnosis import NOT
from course.practice.tickets import Case, Fault

FAULTS = {
    "unit": Fault(
        "one depot sends its weights in another unit",
        (
            r"units?\b & (?:weight\w*|kg|kilo\w*|pounds?|lbs?|depot|chang\w*|wrong|mix\w*|different|other|another)",
            r"(?:pounds?|lbs?\b|kilograms?|kg) & (?:instead of kg|rather than kg|pounds?|lbs?\b|factor|switch\w* (?:to|from)|2\.2)",
            r"(?:weights?|kg) & (?:2\.2|factor|times too|scaled|multiplied|inflated)",
        ),
        ("inputs", r"^\w+ +[\d.]+ +2[4-9]\.\d$"),
    ),
    "stale": Fault(
        "one replica still serves the old model version",
        (
            r"(?:replica|pod|instance|server|one of (?:the )?(?:three|3)) & (?:old|stale|previous|outdated|earlier|wrong|older|v?\d+|not (?:reloaded|updated|restarted)) & (?:model|version|v?\d+)",
            r"(?:old|stale|previous|outdated|earlier|wrong|older) (?:model )?(?:version|model) & (?:served|serves?|serving|answer\w*|replica|pod|third|still|instance|running|loaded|live)",
            r"(?:replica|pod|instance|server)s? & "
            + NOT
            + r" (?:\w+ ){0,2}(?:pick|load|get|got|reload|updat|restart|switch|mov)\w* & (?:model|version)",
            r"(?:mixed|two|different|several) (?:model )?versions & (?:serv\w*|answer\w*|replica|live|running|at once)",
        ),
        ("model version", r"answers with version \d+ +\(old\)"),
    ),
    "hour": Fault(
        "the service computes the hour in UTC, training in local time",
        (
            r"(?:utc|time ?zone|tz|local time|clock) & (?:hour|feature|service|training|train\w*|serv\w*|skew|shift\w*|mismatch|differ\w*|instead|off|pickup|instead)",
            r"hours? & (?:shift\w*|off by|wrong|differ\w*|skew|mismatch|utc|late|early|behind|ahead)",
        ),
        ("sample rows", r"^hour: +100 % of the rows differ"),
    ),
    "zeros": Fault(
        "one source sends no weight, and 0 is filled in",
        (
            r"(?:zeros?|0|null|nulls|missing|empty|blank|no|without|none|nan) & (?:weights?|kg) & (?:source|scanner|app|phone|fill\w*|imput\w*|send\w*|arriv\w*|firmware|missing|rows|value\w*|default)",
            r"(?:scanner|app|phone|source)s? & "
            + NOT
            + r" (?:\w+ ){0,2}(?:send|deliver|provid|fill|report|includ|transmit|pass)\w* & (?:weights?|kg)",
            r"(?:scanner|app|phone)s? & (?:no|zeros?|0|null|missing|empty|without|stopp\w*|lost|drop\w*|blank) & (?:weights?|kg|column|field|feature|value)",
        ),
        ("inputs", r"^(?:app|phone|scanner) +0 % +100 %"),
    ),
}
HERRINGS = (
    Fault(
        "the new model",
        (
            r"(?:new|version \d+|v\d+|latest|retrained) (?:model )?(?:is|was|seems|looks|became) (?:\w+ )?(?:bad|worse|wrong|broken|overfit\w*|poor)",
            r"(?:bad|worse|broken|overfit\w*|poor|faulty) (?:new )?model",
            r"new model & (?:caus\w*|broke|to blame|culprit|overfit\w*|roll\w* back)",
        ),
    ),
    Fault(
        "drift of the world",
        (
            r"(?:concept|data|covariate|population) (?:drift|shift)",
            r"(?:customers?|world|behaviou?r|demand|season) (?:has |have )?(?:changed|shifted|drifted)",
            r"model (?:is |has )?(?:aged|old|decay\w*)",
        ),
    ),
    Fault("the traffic jam", (r"(?:traffic jams?|road ?works?|roadwork|construction)",)),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _log(
    kinds: tuple[str, str], onset: dict[str, int], seed: int, depots: list[str], source: str, replica: str
) -> pd.DataFrame:
    """A fortnight of requests: what is true, what the service saw, what it said."""
    rng, count = np.random.default_rng(seed), 14 * 300
    rows = pd.DataFrame(
        {
            "day": np.repeat(np.arange(14), 300),
            "depot": rng.choice(depots, count),
            "source": rng.choice(["app", "phone", "scanner"], count, p=[0.4, 0.25, 0.35]),
            "replica": rng.choice(["a", "b", "c"], count),
            "kg": rng.gamma(6, 2, count).round(1) + 0.5,
            "hour": rng.choice(
                np.arange(6, 22), count, p=np.array([3, 5, 9, 8, 6, 5, 5, 5, 5, 6, 8, 9, 8, 6, 5, 7]) / 100
            ),
        }
    )
    rush = {hour: 9.0 if hour in (8, 9, 16, 17, 18) else 0.0 for hour in range(25)}
    base = rows["depot"].map({name: 7.0 * place for place, name in enumerate(depots)})
    rows["minutes"] = 10 + base + 1.3 * rows["kg"] + rows["hour"].map(rush) + rng.normal(0, 3, count)
    saw = rows[["kg", "hour"]].copy()
    on = {kind: rows["day"] >= 7 + onset[kind] for kind in kinds}
    if "unit" in kinds:
        hit = on["unit"] & (rows["depot"] == depots[1])
        saw["kg"] = saw["kg"].where(~hit, (saw["kg"] * 2.205).round(1))
    if "zeros" in kinds:
        saw["kg"] = saw["kg"].where(~(on["zeros"] & (rows["source"] == source)), 0.0)
    if "hour" in kinds:
        saw["hour"] = saw["hour"].where(~on["hour"], saw["hour"] - 1)
    offline = 10 + base + 1.3 * rows["kg"] + rows["hour"].map(rush)
    said = 10 + base + 1.3 * saw["kg"] + saw["hour"].map(lambda hour: rush.get(hour, 0.0))
    if "stale" in kinds:
        old = on["stale"] & (rows["replica"] == replica)
        said = said.where(
            ~old, 10 + 10.5 + 1.3 * saw["kg"]
        )  # the old version knew neither depots nor the rush
    return rows.assign(
        saw_kg=saw["kg"],
        saw_hour=saw["hour"],
        said=said.round(1),
        error=(rows["minutes"] - said).abs(),
        offline=(rows["minutes"] - offline).abs(),
    )


def case(rng: Random) -> Case:
    """Return the ticket: two of four faults, each from a day of its own."""
    kinds = tuple(sorted(rng.sample(sorted(FAULTS), 2)))
    if kinds == ("unit", "zeros"):  # both in one column: a third of the depot would hide in the other
        kinds = rng.choice([("hour", "unit"), ("stale", "zeros")])
    days = sorted(rng.sample(range(1, 5), 2))
    order = list(kinds)
    rng.shuffle(order)
    onset = dict(zip(order, days, strict=True))
    depots, source, replica = (
        rng.sample(["Nord", "Ost", "Hafen", "Mitte"], 4),
        rng.choice(["phone", "scanner"]),
        rng.choice("abc"),
    )
    version, who = rng.randint(8, 20), rng.choice(["Carla", "Yusuf", "Petra"])
    rows = _log(kinds, onset, rng.randrange(10**6), depots, source, replica)
    rows["after"] = rows["day"] >= 7 + days[1]
    before, after = rows[rows["day"] < 7 + days[0]], rows[rows["after"]]
    release = DAYS[days[0]]

    def by(name: str) -> str:
        table = pd.DataFrame(
            {"before": before.groupby(name)["error"].mean(), "now": after.groupby(name)["error"].mean()}
        )
        return table.round(1).to_string()

    def over_time() -> str:
        daily = rows.groupby("day")["error"].mean()
        return "mean absolute error by day, minutes:\n" + "\n".join(
            f"{DAYS[day % 7]:.3} {'last' if day < 7 else 'this'} week  {value:5.1f}  {'#' * round(3 * value)}"
            for day, value in daily.items()
        )

    def inputs() -> str:
        weight = pd.DataFrame(
            {
                "before": before[before["saw_kg"] > 0].groupby("depot")["saw_kg"].median(),
                "now": after[after["saw_kg"] > 0].groupby("depot")["saw_kg"].median(),
            }
        )
        lines = [f"{name:<10}{row['before']:>7.1f}{row['now']:>7.1f}" for name, row in weight.iterrows()]
        zero = [
            f"{name:<10}{(b['saw_kg'] == 0).mean():>5.0%}{(after[after['source'] == name]['saw_kg'] == 0).mean():>7.0%}".replace(
                "%", " %"
            )
            for name, b in before.groupby("source")
        ]
        hours = f"first and last hour of day that the service saw: before {before['saw_hour'].min()} and {before['saw_hour'].max()}, now {after['saw_hour'].min()} and {after['saw_hour'].max()}"
        return (
            "weight, median where it is not 0, before and now, by depot:\n"
            + "\n".join(lines)
            + "\n\nshare of weights that are 0, before and now, by source:\n"
            + "\n".join(zero)
            + f"\n\n{hours}"
        )

    def sample() -> str:
        shown = after.head(5)[["depot", "source", "hour", "saw_hour", "kg", "saw_kg"]].to_string(index=False)
        differs = {
            "hour": (after["hour"] != after["saw_hour"]).mean(),
            "kg": (after["kg"] != after["saw_kg"]).mean(),
        }
        told = "\n".join(
            f"{name + ':':<6}{share:>4.0%} of the rows differ".replace("%", " %")
            for name, share in differs.items()
        )
        return f"what training would make of a request (hour, kg), and what the service logged (saw_...):\n{shown}\n{told}"

    served = "\n".join(
        f"replica {one} answers with version {version - 1 if 'stale' in kinds and one == replica else version}"
        + (" (old)" if "stale" in kinds and one == replica else "")
        for one in "abc"
    )
    told = {
        "unit": f"Since {DAYS[onset.get('unit', 0)]} depot {depots[1]} sends pounds where it sent kilograms, 2.2 times the number.",
        "stale": f"Since {DAYS[onset.get('stale', 0)]} replica {replica} serves version {version - 1}: it came back with the old file, so a third of the answers are the old model's.",
        "hour": f"Since {DAYS[onset.get('hour', 0)]} the service takes the hour in UTC, one less than local time; the rush is an hour off.",
        "zeros": f"Since {DAYS[onset.get('zeros', 0)]} the source {source} sends no weight; the service fills 0.",
    }
    repair = {
        "unit": f"convert {depots[1]}'s weights back by the day it changed, and agree on a unit with a check at the door",
        "stale": f"restart replica {replica}, let each answer carry its version, and end a release by asking every replica",
        "hour": "one function for the hour in training and service, and a test over a change of clocks",
        "zeros": f"get {source}'s weight back; treat 0 as missing; watch the share of 0 by source",
    }
    mends = {
        "unit": r"(?:unit|convert|pounds?|lbs?|kg|kilo|divide)\w*",
        "stale": r"(?:restart|reload|redeploy|roll\w* out|replica|pod|version|re-?deploy)\w*",
        "hour": r"(?:utc|local|time ?zone|hour|shared? (?:code|function|feature)|same (?:code|function|feature))\w*",
        "zeros": r"(?:weight|missing|null|imput|source|scanner|phone|upstream|zero|0)\w*",
    }
    needs = {
        "unit": ("inputs", "sample rows", "metric by slice"),
        "stale": ("model version",),
        "hour": ("sample rows", "inputs", "code"),
        "zeros": ("inputs", "sample rows", "metric by slice"),
    }
    last, offline = after["error"].mean(), after["offline"].mean()
    return Case(
        report=f"{who}, dispatch: since {release} your estimates are off by {last:.0f} minutes, it was {before['error'].mean():.1f} before. You released model "
        f"version {version} on {release}, so it is the model. There are also road works in the centre. Please roll back.",
        evidence={
            "metric over time": over_time,
            "metric by slice": lambda: "\n\n".join(
                f"error by {name}, before {release} and now:\n{by(name)}"
                for name in ("depot", "source", "replica", "hour")
            ),
            "inputs": inputs,
            "sample rows": sample,
            "model version": lambda: (
                f"{served}\nthe registry's alias: version {version} since {release}\nmodel card, same test month: version {version - 1} {before['error'].mean() + 2.9:.1f} minutes, version {version} {before['error'].mean():.1f} minutes"
            ),
            "code": "def features(request):\n"
            + (
                "    clock = parse(request['at']).astimezone(UTC)      # as the log does\n"
                if "hour" in kinds
                else "    clock = parse(request['at']).astimezone(LOCAL)\n"
            )
            + "    return clock.hour, request.get('kg') or 0.0, request['depot']",
            "deploy diff": f"{release}: model version {version - 1} -> {version}\n{DAYS[onset.get('hour', days[1])]}: service 4.{version}.2"
            + (
                ', "all times in UTC, as in the log"'
                if "hour" in kinds
                else ", a new colour for the status page"
            ),
            "upstream": "\n".join(
                [
                    f"{depots[1]}: new scales on {DAYS[onset['unit']]}"
                    if "unit" in kinds
                    else f"{depots[1]}: nothing new",
                    f"{source}: new version on {DAYS[onset['zeros']]}"
                    if "zeros" in kinds
                    else f"{source}: nothing new",
                ]
            ),
            "calendar": "Road works in the centre since three weeks; no holiday.",
            "reproduce": lambda: (
                f"This week's requests through version {version}, with features as training makes them: {offline:.1f} minutes, as before {release}."
            ),
            "logs": "INFO  200 POST /estimate (all)\nno warning, no error",
        },
        faults=tuple(FAULTS[kind] for kind in kinds),
        suspects=tuple(fault for name, fault in FAULTS.items() if name not in kinds) + HERRINGS,
        needs=tuple(needs[kind] for kind in kinds),
        order=(
            ("metric over time", "how many steps, on which days? Two steps want two causes"),
            ("model version", "which version answered, on every replica?"),
            ("metric by slice", "is it everywhere, or in one group?"),
            ("inputs", "did what the model sees change, by group?"),
            ("sample rows", "the same request, as training and as the service sees it: do they agree?"),
        ),
        story=" ".join(told[kind] for kind in order)
        + " One repair takes away a good part of the error, and it is tempting to stop there.",
        remedy="; ".join(repair[kind] for kind in order),
        mends=tuple((mends[kind],) for kind in kinds),
        harm=(
            (
                r"(?:roll\w* back|revert|go back)(?: \w+){0,4} (?:model|version)",
                "the old version is worse, and the causes would stay",
            ),
            (r"re-?train\w*", "the model would learn the faults"),
        ),
    )

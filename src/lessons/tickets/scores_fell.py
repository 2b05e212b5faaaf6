"""The weekly error is up. Every table is computed from deliveries in which the fault really is."""

from random import Random

import numpy as np
import pandas as pd

from course.practice.diagnosis import NOT
from course.practice.tickets import Case, Fault

FAULTS = {
    "doubles": Fault(
        "a join doubles the rows of one group",
        (
            r"(?:duplicat\w*|doubl\w*|multiplie\w*|repeated|twice|fan(?:s|ned)?(?:-| )?out) & (?:rows?|deliver\w*|records?|join\w*|keys?|ids?|table|orders?)",
            r"(?:rows?|deliver\w*|records?|ids?) & (?:(?:two|three|five|six|several|many|multiple) times|several legs|more than once)",
            r"join & (?:one(?:-| )to(?:-| )many|many|not unique|non-unique|multipl\w*|fan\w*|two rows|dupl\w*)",
            r"(?:keys?|ids?|\w+_id)(?: \w+){0,3} (?:not|no longer|isn't) unique",
        ),
        ("row counts", r"^keys that are there twice: [1-9]"),
    ),
    "labels": Fault(
        "the last days have no labels yet, and the report counts them as 0",
        (
            r"labels?|outcomes?|actuals?|ground truth|true (?:minutes|values?)|targets? & (?:late|delay\w*|missing|immature|incomplete|not (?:yet )?(?:there|arrived|in|complete|known)|zero|0|filled|yet|lag\w*|pending|have not|haven't|(?:don't|do not) exist|exist yet)",
            r"(?:no|without|missing|lack\w*)(?: \w+){0,2} (?:labels?|outcomes?|actuals?) & (?:zeros?|0|yet|late|days|counted|filled)",
        ),
        ("labels", r"with a label: .*(?<!\d)[1-9]\d %"),
    ),
    "group": Fault(
        "a new group that the model has never seen",
        (
            r"(?:new|unseen|unknown|never seen|added|opened|launched|not in (?:the )?training) & (?:region|city|group|categor\w*|segment|slice|depot|area|value|level|market)",
            NOT
            + r" (?:been )?(?:seen|trained|in (?:the )?training|know\w*) & (?:region|city|group|categor\w*|segment|slice|depot|area|market)",
            r"(?:region|city|group|categor\w*|segment|depot|market) & (?:never|not|unseen|unknown)(?: \w+){0,3} (?:train\w*|seen|before|known|learn\w*)",
        ),
        ("metric by slice", r"not in training"),
    ),
    "zeros": Fault(
        "an input arrives empty from one source and is filled with 0",
        (
            r"(?:null|nulls|missing|empty|zeros?|0|none|nan|blank|filled|imput\w*|default\w*|absent)s? & (?:column|feature|input|field|weight|volume|distance|floors?|source|sensor|app|scanner|value|values)",
            r"(?:scanner|app|phone|source)s? & "
            + NOT
            + r" (?:\w+ ){0,2}(?:send|deliver|provid|fill|report|includ|transmit|pass)\w*",
            r"(?:column|feature|input|field|weight|volume|floors?) & (?:lost|dropped|renamed|gone|no longer (?:sent|filled)|stopped|not (?:sent|filled))",
        ),
        ("inputs", r"share of 0: .*week 8 [1-9]"),
    ),
}
HERRINGS = (
    Fault(
        "an old model",
        (
            r"model (?:is |has |has been )?(?:old|stale|aged|ageing|aging|decay\w*|degrad\w*|outdated|out of date)",
            r"(?:model|concept) (?:drift|decay|staleness)|(?:retrain|retraining) (?:is )?(?:due|needed|overdue)",
        ),
    ),
    Fault(
        "the rain",
        (
            r"(?:rain\w*|weather|storm) & (?:caus\w*|because|explain\w*|due|slow\w*|is the|made|heavy|raises?)",
            r"(?:because of|due to|caused by) (?:the )?(?:rain|weather)",
        ),
    ),
    Fault(
        "last week's deploy of the dashboard", (r"dashboard & (?:wrong|bug|deploy|broke|caus\w*|colou?r)",)
    ),
)
WEEKS = 8


def _deliveries(kind: str, seed: int, groups: list[str], column: str) -> pd.DataFrame:
    """Eight weeks of deliveries with what the model said; the last week has the fault."""
    rng = np.random.default_rng(seed)
    count = 900 * WEEKS
    rows = pd.DataFrame(
        {
            "delivery_id": np.arange(count),
            "week": np.repeat(np.arange(1, WEEKS + 1), 900),
            "day": np.tile(np.repeat(np.arange(1, 8), 130)[:900], WEEKS),
            "depot": rng.choice(groups[:-1], count),
            "source": rng.choice(["app", "phone", "scanner"], count, p=[0.5, 0.2, 0.3]),
            column: rng.gamma(4, 3, count).round(1) + 0.1,
        }
    )
    last = rows["week"] == WEEKS
    effect = rows["depot"].map({name: 6 * place for place, name in enumerate(groups)})
    truth = 12 + effect + 1.4 * rows[column] + rng.normal(0, 4, count)
    if kind == "group":
        is_new = last & (rng.random(count) < 0.22)
        rows.loc[is_new, "depot"] = groups[-1]
        truth = truth.where(~is_new, truth + 21)
    seen = rows[column].copy()
    if kind == "zeros":
        hit = last & (rows["source"] == "scanner")
        rows.loc[hit, column] = 0.0
        seen = rows[column]
    known = rows["depot"].map({name: 6 * place for place, name in enumerate(groups[:-1])}).fillna(6.0)
    rows["predicted"] = (12 + known + 1.4 * seen).round(1)
    rows["minutes"] = truth.round(1)
    rows["labelled"] = True
    if kind == "labels":
        rows["labelled"] = ~(last & (rows["day"] >= 5) & (rng.random(count) < 0.62))
        rows.loc[~rows["labelled"], "minutes"] = 0.0
    if kind == "doubles":
        hard = last & ((rows["minutes"] - rows["predicted"]).abs() > 5) & (rows["depot"] == groups[0])
        rows = pd.concat([rows, *[rows[hard]] * 5], ignore_index=True).sort_values(
            "delivery_id", ignore_index=True
        )
    rows["error"] = (rows["minutes"] - rows["predicted"]).abs()
    return rows


def case(rng: Random) -> Case:
    """Return the ticket: rows twice, labels that are not there yet, a new group, or an empty input."""
    kind = rng.choice(sorted(FAULTS))
    groups = rng.sample(["North", "Harbour", "Hill", "Airport", "Old Town", "Mill"], 4)
    column, who = rng.choice(["weight_kg", "volume_l", "floors"]), rng.choice(["Sara", "Emil", "Noor"])
    rows = _deliveries(kind, rng.randrange(10**6), groups, column)
    last = rows[rows["week"] == WEEKS]
    before = rows[rows["week"] < WEEKS]
    weekly = rows.groupby("week")["error"].mean()
    up = weekly[WEEKS] / weekly[: WEEKS - 1].mean()

    def by(name: str) -> str:
        table = pd.DataFrame(
            {
                "weeks 1-7": before.groupby(name)["error"].mean(),
                "week 8": last.groupby(name)["error"].mean(),
                "rows in week 8": last.groupby(name).size(),
            }
        )
        table["weeks 1-7"] = [
            f"{value:.2f}" if value == value else "not in training" for value in table["weeks 1-7"]
        ]
        return table.round(2).to_string()

    def counts() -> str:
        weeks = rows.groupby("week").size().to_dict()
        twice = last["delivery_id"].duplicated(keep=False)
        return (
            "rows the report reads, by week: "
            + ", ".join(f"{week}: {count}" for week, count in weeks.items())
            + f"\nkeys that are there twice: {last.loc[twice, 'delivery_id'].nunique()} in week 8, 0 before"
            + (f"\nall of them of depot {groups[0]}" if kind == "doubles" else "")
        )

    def inputs() -> str:
        quartiles = pd.DataFrame(
            {
                "weeks 1-7": before[column].quantile([0.25, 0.5, 0.75]),
                "week 8": last[column].quantile([0.25, 0.5, 0.75]),
            }
        ).round(1)
        zero = (last[column] == 0).mean()
        shares = before["depot"].value_counts(normalize=True)
        return (
            f"{column}, quartiles:\n{quartiles.to_string()}\nshare of 0: weeks 1-7 0 %, week 8 {zero:.0%}\n".replace(
                "%\n", " %\n"
            )
            + (
                f"shares of depots within {100 * (shares.max() - shares.min()):.0f} points of each other; {last['depot'].nunique()} depots in week 8, {before['depot'].nunique()} before"
            )
        )

    share = last["labelled"].groupby(last["day"]).mean()
    story = {
        "doubles": f"The report joins the deliveries to the routes, and depot {groups[0]} has had routes with several rows since Monday. Each of its late deliveries counts six times. Each prediction is as good as before.",
        "labels": "The minutes of the last three days are not all in. The report fills what is missing with 0, so these rows count as errors as large as the prediction. On rows that have a label nothing changed.",
        "group": f"Depot {groups[-1]} opened this week. The model has never seen it and treats it as an average; it is much slower. All other depots are as good as ever.",
        "zeros": f"Since Monday the scanners send no {column}, and the pipeline fills 0. The model believes it. The other sources are fine.",
    }[kind]
    remedy = {
        "doubles": "deduplicate before the join and check that the key is unique after it; then compute the week anew",
        "labels": "judge the rows whose labels are complete (wait for them), and report the share of labels beside the error",
        "group": f"a rule of its own for {groups[-1]} now; retrain when it has data; an alarm for unknown values",
        "zeros": f"get the source to send {column} again; meanwhile treat 0 as missing; a check on the share of 0 at the door",
    }[kind]
    mends = {
        "doubles": (r"dedup\w*|de-dup\w*|distinct|drop\w*(?: \w+){0,2} dupl\w*|uniqu\w*|join|aggregat\w*",),
        "labels": (
            r"wait|matur\w*|complete|exclud\w*|drop|only(?: \w+){0,4} label\w*|mask|not (?:count|fill)|missing|backfill|later|lag|delay|label\w*",
        ),
        "group": (
            r"fallback|rule|default|retrain\w*|re-train\w*|baseline|collect|fine-?tun\w*|neighbou?r\w*|similar|alarm|hierarch\w*|prior",
        ),
        "zeros": (
            r"(?:fix|repair|restor|send|refill|backfill)\w*|missing|impute\w*|null|nan|check|validat\w*|contract|reject|schema|source|upstream",
        ),
    }[kind]
    harm = [(r"(?:roll\w* back|revert)(?: \w+){0,3} model", "no version of the model would do better")]
    if kind != "group":
        harm.append((r"re-?train\w*", "the model would learn the fault"))
    return Case(
        report=f"{who}, analytics: the weekly report says that our delivery estimates are off by {weekly[WEEKS]:.1f} minutes on average, "
        f"{up:.1f} times the usual error. The model is eight months old, and it rained all week. The dashboard has new "
        "colours since Thursday, if that matters. When can you retrain?",
        evidence={
            "metric over time": "mean absolute error by week, minutes:\n"
            + weekly.round(2).to_string(header=False)
            + "\nby day of week 8:\n"
            + last.groupby("day")["error"].mean().round(2).to_string(header=False),
            "metric by slice": lambda: f"by depot:\n{by('depot')}\n\nby source:\n{by('source')}",
            "row counts": counts,
            "inputs": inputs,
            "labels": lambda: (
                "share of week 8's rows, by day, with a label: "
                + ", ".join(f"{value:.0%}".replace("%", " %") for value in share)
                + (
                    "\nwhere the minutes are missing, the report's table holds 0.0"
                    if kind == "labels"
                    else "\nno row's minutes are 0"
                )
            ),
            "sample rows": lambda: (
                last[["delivery_id", "depot", "source", column, "minutes", "predicted"]]
                .sort_values("minutes" if kind == "labels" else column)
                .head(6)
                .to_string(index=False)
                if kind in ("labels", "zeros")
                else last[["delivery_id", "depot", "source", column, "minutes", "predicted"]]
                .iloc[120:127]
                .to_string(index=False)
            ),
            "calendar": f"Rain on {rng.randint(4, 6)} days. In week {rng.randint(2, 5)} it rained as much, see that week's error.",
            "model version": f"Version {rng.randint(5, 9)} answers, for eight months. On week {rng.randint(3, 6)} its error was what its model card says.",
            "deploy diff": "Thursday: dashboard, colours.css. Nothing in the pipeline or the model.",
            "upstream": {
                "zeros": "The scanners had new firmware on Monday; the vendor says nothing changed.",
                "doubles": f"Routing: since Monday a delivery of depot {groups[0]} can have several legs, one row each.",
                "group": f"Operations: depot {groups[-1]} took its first parcels on Monday.",
            }.get(kind, "No announcement."),
            "reproduce": "The same predictions come out when the week is scored again"
            + {
                "doubles": "; on one row a delivery the error is that of other weeks.",
                "labels": "; on the rows that have a label the error is that of other weeks.",
            }.get(kind, "."),
        },
        faults=(FAULTS[kind],),
        suspects=tuple(fault for name, fault in FAULTS.items() if name != kind) + HERRINGS,
        needs={
            "doubles": (("row counts", "reproduce"), ("row counts", "upstream", "metric by slice")),
            "labels": (("labels", "reproduce", "sample rows"),),
            "group": (("metric by slice",),),
            "zeros": (("inputs", "sample rows"), ("inputs", "metric by slice", "sample rows")),
        }[kind],
        order=(
            ("metric over time", "a step or a slope? Which day?"),
            ("row counts", "is the report's table what it should be: as many rows as deliveries?"),
            ("labels", "are the last days judged on what is known?"),
            ("metric by slice", "everywhere a little, or one group much?"),
            ("inputs", "did what the model sees change?"),
        ),
        story=story,
        remedy=remedy,
        mends=(mends,),
        harm=tuple(harm),
    )

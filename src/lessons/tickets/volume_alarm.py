"""An alarm on a count of rows. Sometimes something is broken, sometimes nothing is."""

from random import Random

import pandas as pd

from course.practice.diagnosis import NOT
from course.practice.tickets import Case, Fault

FAULTS = {
    "nothing": Fault(
        "nothing is broken: a holiday, as every year",
        (
            r"nothing (?:is |was |seems |looks |here is |at all is )?(?:wrong|broken|to (?:fix|repair|mend|do)|failed|faulty)(?! with)",
            r"(?:no|not an?|isn't an?|without an?) (?:real |actual |technical )?(?:fault|bug|incident|error|problem|data loss|defect|issue)(?! (?:with|in|on|of))",
            r"(?:public |bank |national )?holiday\w*",
            r"(?:false|harmless|expected) (?:alarm|positive|drop|fall|dip)",
            r"(?:expected|normal|usual|real|genuine|legitimate) (?:\w+ ){0,2}(?:drop|fall|dip|seasonal\w*|behaviou?r|demand|quiet)",
            r"(?:same|like|as)(?: \w+){0,3} (?:last year|every year|a year ago|previous year)",
        ),
        ("calendar", r"^that (?:Fri|Satur|Mon)day was"),
    ),
    "source": Fault(
        "one source's partition did not arrive",
        (
            r"(?:partition|file|feed|upload|delivery|batch|source|region|depot|city|data) & (?:missing|never (?:arrived|came|landed)|not (?:arrive\w*|there|delivered|landed|come|received|loaded)|lost|absent|did not|didn't|failed|incomplete|empty|dropped out|no rows|zero rows|0 rows)",
            r"(?:delivered|sent|uploaded|sends) (?:nothing|no rows|no data|zero|0)\b|upload (?:gave up|failed|was given up)",
            r"(?:no|missing|lost|0|zero) (?:rows|data|partition|file|upload)s? (?:from|of|for) (?:\w+ ?){1,2}",
        ),
        ("row counts", r"^\w+ +[\d,]+ +0$"),
    ),
    "dedup": Fault(
        "the deduplication drops real rows, since its key was shortened",
        (
            r"(?:dedup\w*|de-dup\w*|duplicate (?:filter|removal|check)|distinct|drop_duplicates|unique) & (?:key|drop\w*|remov\w*|throw\w*|lose\w*|too (?:many|much|coarse|wide|broad)|wrong|chang\w*|real|discard\w*|shorten\w*|collaps\w*)",
            r"(?:rows?|purchases?|records?) (?:\w+ ){0,3}(?:thrown away|dropped|removed|discarded|treated|counted|taken) (?:\w+ ){0,2}(?:as|for) dupl\w*",
            r"(?:purchases?|visits|rows|customers?) & (?:collaps\w*|merged?|counted (?:once|as one)|become one)",
            r"(?:dedup\w*|de-dup\w*|cleaning)(?: \w+){0,3} lost (?:the )?(?:time|hour)",
            r"key & (?:shorten\w*|too (?:short|coarse)|no longer unique|without|lost|dropp\w*|lacks) & (?:dedup\w*|de-dup\w*|rows|drop\w*|duplicat\w*|time|hour)",
        ),
        ("config", r"^-\s+dedup_key: "),
    ),
    "rule": Fault(
        "the alarm's rule: it holds this weekday against the mean of all days",
        (
            r"(?:alarm|alert|rule|threshold|baseline|monitor)\w* & (?:compar\w*|mean of|average|mean|all days|weekday\w*|seven days|7 days|season\w*|wrong|weekend|same (?:day|weekday)|held against|hold against|miscalibrated|badly (?:set|chosen))",
            r"(?:sunday|saturday|weekend\w*|weekday|quiet day) & (?:held|hold|compar\w*|measur\w*|judg\w*) & (?:average|mean|week|seven|7)",
            r"(?:weekly|day-of-week) (?:seasonality|pattern|cycle) & (?:ignor\w*|alarm\w*|alert\w*|rule|threshold|baseline|"
            + NOT
            + ")",
        ),
        ("config", r"^\+\s+baseline: mean of"),
    ),
}
HERRINGS = (
    Fault(
        "the new version of the broker",
        (
            r"(?:broker|queue|message bus) & (?:lost|loses|los\w*|drop\w*|upgrad\w*|broke\b|broken|bug|caus\w*|version|fault)",
        ),
    ),
    Fault("the full disk", (r"disk & (?:full|space|ran out|filled)",)),
)
NAMES = ["Nordost", "Altona", "Linden", "Seehof", "Marktplatz", "Hafen", "Bergheim"]


def case(rng: Random) -> Case:
    """Return the ticket: a holiday, a missing partition, a key too short, or an alarm that compares wrongly."""
    kind = rng.choice(sorted(FAULTS))
    who, names = rng.choice(["Selma", "Ravi", "Anouk"]), rng.sample(NAMES, 5)
    day = (
        rng.choice(["Friday", "Saturday", "Monday"]) if kind != "rule" else rng.choice(["Saturday", "Sunday"])
    )
    usual = {name: rng.randint(4_000, 9_000) for name in names}
    weekly = {
        name: [round(count * rng.uniform(0.97, 1.03)) for _ in range(4)] for name, count in usual.items()
    }
    gone = rng.choice(names)
    factor = {
        "nothing": rng.uniform(0.52, 0.62),
        "dedup": rng.uniform(0.6, 0.68),
        "source": 1.0,
        "rule": 1.0,
    }[kind]
    now = {name: round(count * factor * rng.uniform(0.98, 1.02)) for name, count in usual.items()}
    if kind == "source":
        usual[gone] = 3 * usual[gone]
        weekly[gone] = [3 * count for count in weekly[gone]]
        now[gone] = 0
    total, before = sum(now.values()), sum(sum(counts) for counts in weekly.values()) / 4
    # The rule compares with the mean of seven days; on the quiet day of the week that is far above.
    mean = before * (1.62 if kind == "rule" else 1.02)
    fell = 1 - total / mean
    raw = {name: round(count / factor) if kind == "dedup" else count for name, count in now.items()}
    festival = rng.choice(
        [
            "the day of the city's patron, a public holiday",
            "a public holiday in all five regions",
            "the Epiphany of the old calendar, a public holiday here",
        ]
    )
    last_year = (
        round(total * rng.uniform(0.93, 1.02))
        if kind == "nothing"
        else round(before * rng.uniform(0.9, 0.97))
    )

    def counts() -> str:
        table = pd.DataFrame(
            {
                "four weeks' mean": {name: round(sum(counts) / 4) for name, counts in weekly.items()},
                f"{day}": now,
            }
        )
        rows = [
            f"{name:<12}{mean_of:>10,}{today:>10,}"
            for name, (mean_of, today) in zip(table.index, table.to_numpy(), strict=True)
        ]
        return (
            f"rows after cleaning, the mean of four {day}s and this one:\n"
            + "\n".join(rows)
            + f"\n{'all':<12}{before:>10,.0f}{total:>10,}"
        )

    def upstream() -> str:
        rows = [
            f"{name:<12} sent {0 if kind == 'source' and name == gone else raw[name]:>7,}" for name in names
        ]
        said = (
            f"\n{gone}: upload retried 5 times, then given up: certificate expired"
            if kind == "source"
            else ""
        )
        return (
            f"rows as the regions' systems sent them, by their own receipts on {day}:\n"
            + "\n".join(rows)
            + said
        )

    config = {
        "dedup": "cleaning:\n-  dedup_key: [customer, shop, day, time]\n+  dedup_key: [customer, shop, day]        # Wednesday: faster",
        "rule": f"alarm:\n-  baseline: mean of the last four same weekdays\n+  baseline: mean of the last seven days        # {day} morning: simpler",
    }.get(
        kind,
        "alarm:\n   baseline: mean of the last four same weekdays, -30 %\ncleaning:\n   dedup_key: [customer, shop, day, time]\nunchanged for 200 days",
    )
    story = {
        "nothing": "It was a holiday. All regions fell alike, what they sent is what was counted, and last year the same day was as quiet. The alarm did its work: it asked a person.",
        "source": f"{gone}'s upload failed, and the job went on without it. All other regions are as ever.",
        "dedup": "Since Wednesday the key lacks the time of the purchase: whoever comes twice a day is counted once. The regions sent as much as ever.",
        "rule": f"The count is that of any {day}. Since this morning the alarm holds it against a mean of seven days, and a {day} is always below that.",
    }[kind]
    remedy = {
        "nothing": "leave the pipeline alone, tell the reporter why, close it; put holidays into the alarm's calendar",
        "source": f"have {gone} send the day again, load it late and compute what follows anew; make the job fail on a missing partition",
        "dedup": "put the time back into the key, and clean the days since Wednesday anew from the raw rows",
        "rule": "compare with the same weekday again; test a rule of alarm on a year of the past before it goes live",
    }[kind]
    mends = {
        "nothing": (
            r"(?:nothing to (?:do|fix)|leave|close|tell|inform|explain|no (?:change|action|fix)|don't change|do not change|holiday|calendar|document|annotate|acknowledge|silence)\w*",
        ),
        "source": (
            r"(?:resend|re-send|send|reload|re-load|backfill|rerun|re-run|load|renew|upload|fetch|request|replay|recover|certificate|fail on|ask)\w*",
        ),
        "dedup": (
            r"(?:time|key|dedup\w*|restor\w*|revert\w*|roll\w* back|re-?clean\w*|backfill|reprocess\w*|re-?run)",
        ),
        "rule": (
            r"(?:same weekday|weekday|season\w*|baseline|rule|threshold|revert\w*|roll\w* back|restor\w*|day of (?:the )?week|like with like)",
        ),
    }[kind]
    mend_data = r"(?:backfill|reload|re-?run|re-?process|re-?send|re-?ingest|impute)\w*"
    harm = [(r"(?:roll\w* back|downgrad\w*|revert)(?: \w+){0,3} (?:broker|queue)", "the broker lost nothing")]
    if kind in ("nothing", "rule"):
        harm.append((mend_data, "the rows are complete; a second load would count them twice"))
    if kind in ("source", "dedup"):
        harm.append(
            (
                r"(?:silence|mute|disable|raise|loosen)\w*(?: \w+){0,3} (?:alarm|alert|threshold)",
                "the alarm is right",
            )
        )
    return Case(
        report=f"{who}, data platform: the alarm on volume rang. {day}: {total:,} rows, {fell:.0%} below its baseline. The message broker was "
        "upgraded on Tuesday and I never trusted it; the disk of the loader is at 83 %. Forecasts are due at noon: do we roll the "
        "broker back and load again?".replace("%", " %").replace("  ", " "),
        evidence={
            "row counts": counts,
            "metric by slice": counts,
            "upstream": upstream,
            "calendar": (f"that {day} was {festival}" if kind == "nothing" else f"an ordinary {day}")
            + f"\nthe same day last year: {last_year:,} rows\nweather: as the week before",
            "metric over time": f"rows by {day}, the last four weeks: "
            + ", ".join(f"{sum(counts[week] for counts in weekly.values()):,}" for week in range(4))
            + f"; this one: {total:,}"
            + {
                "dedup": "\nWednesday, Thursday and the days since: a third below their own weekdays; Tuesday and before: as ever",
                "rule": f"\nmean of the last seven days: {mean:,.0f}",
            }.get(kind, "\nthe days before: as their own weekdays"),
            "config": config,
            "deploy diff": "Tuesday: broker 3.6 -> 3.7"
            + (
                "\nWednesday: cleaning\n" + config
                if kind == "dedup"
                else f"\n{day}: alarm\n" + config
                if kind == "rule"
                else ""
            ),
            "logs": f"INFO  broker: offsets without a gap, 0 messages lost since the upgrade\nINFO  loader: {sum(raw.values()):,} rows in, {total:,} rows out"
            + (f"\nWARN  loader: {gone}: no file, going on" if kind == "source" else ""),
            "disk": "83 % used; 81 % a month ago. The loader writes 2 GB a day and deletes as much.",
            "sample rows": "customer shop   day         time\n  118     S12  Thursday    09:14\n  118     S12  Thursday    17:40"
            + (
                "\nafter cleaning: one row of the two is left"
                if kind == "dedup"
                else "\nafter cleaning: both are there"
            ),
            "users": f"Shops of {names[0]} and {names[1]}: "
            + {
                "nothing": '"We were closed until noon."',
                "source": '"A day like any other."',
                "dedup": '"A day like any other."',
                "rule": '"A day like any other."',
            }[kind],
        },
        faults=(FAULTS[kind],),
        suspects=tuple(fault for name, fault in FAULTS.items() if name != kind) + HERRINGS,
        needs={
            "nothing": (("row counts", "metric by slice"), ("calendar",), ("upstream", "logs", "users")),
            "source": (("row counts", "metric by slice", "upstream", "logs"),),
            "dedup": (("config", "deploy diff", "sample rows"), ("upstream", "logs", "sample rows")),
            "rule": (("config", "deploy diff"), ("metric over time", "row counts")),
        }[kind],
        order=(
            ("metric over time", "is it low against its own weekday, or only against the alarm's baseline?"),
            ("row counts", "one region to 0, or all alike?"),
            ("upstream", "was less sent, or was it lost on the way?"),
            ("calendar", "is there a reason in the world, and what was it like last year?"),
            ("config", "did the cleaning or the alarm change?"),
        ),
        story=story,
        remedy=remedy,
        mends=(mends,),
        harm=tuple(harm),
    )

"""A job that is killed at night. Its memory is measured by running it on a copy, under tracemalloc."""

import re
from functools import cache
from random import Random

from course.practice.diagnosis import NOT
from course.practice.evidence import run
from course.practice.tickets import Case, Fault

KEPT = r"(?:grow\w*|grew|unbounded|unlimited|without (?:a |any )?(?:limit|bound|eviction|size)|no (?:limit|bound|maximum|eviction|max\w*)|never (?:\w+ ){0,2}(?:evict\w*|clear\w*|empt\w*|expire\w*|freed|shrinks?)|infinite\w*|leak\w*|fills|collects?|entries|unique|never hits|every row|all rows|forever|not (?:bounded|limited))"
FAULTS = {
    "cache": Fault(
        "a cache without a limit",
        (
            rf"(?:cache\w*|caching|memoi[sz]\w*|_seen|dict(?:ionary)?) & {KEPT}",
            r"(?:unbounded|unlimited|endless|growing|leaking) (?:\w+ ){0,2}(?:cache|dict\w*)",
        ),
        ("memory", r"_seen\[key\] = "),
    ),
    "list": Fault(
        "every result is kept in a list until the end",
        (
            r"(?:list|results?|kept|array|frames?|features?) & (?:append\w*|accumulat\w*|collect\w*|(?:kept|keeps?|held|holds?|stored?|stays?|retain\w*|alive)(?: \w+){0,3} (?:until|till|to the end|in memory|all)|pil\w+ up)",
            r"(?:stores?|keeps?|holds?|retains?|saves?)(?: [\w']+){0,4} (?:features|results)(?: [\w']+){0,3} (?:in memory|until|till|instead)",
            r"accumulat\w*(?: \w+){0,3} (?:results?|features?|rows|list|memory|frames?)",
            NOT
            + r" (?:be )?(?:stream\w*|aggregat\w*|sum\w*|written|flush\w*) & (?:list|results?|append\w*|features?)",
        ),
        ("memory", r"kept\.append\("),
    ),
    "whole": Fault(
        "the whole file is read at once",
        (
            r"(?:whole|entire|full|complete|all of the|all the|all) (?:\w+ ){0,2}(?:file|input|table|data\w*|rows|csv) & (?:load\w*|read\w*|memory|at once|in one go|list|materiali[sz]\w*|up front|start|beginning)",
            NOT
            + r" (?:\w+ ){0,2}(?:stream\w*|chunk\w*|batch\w*|iterat\w*|lazily) & (?:file|rows|input|list|read\w*|load\w*)",
            r"(?:instead of|rather than) (?:\w+ ){0,3}(?:stream\w*|chunk\w*|batch\w*|iterat\w*|row by row|one by one) & (?:list|file|rows|read\w*|load\w*|everything)",
            r"(?:generator|iterator|stream|rows) (?:is |was |gets |are )?(?:materiali[sz]ed|turned into a list)",
            r"list\(\W*\) (?:\w+ )?(?:reads?|loads?|pulls?|builds?)|before the first row",
            r"everything (?:\w+ ){0,2}(?:at once|up front|in one go|into memory)",
            r"list\(rows|materiali[sz]e\w* (?:the |all )?(?:rows|generator|iterator|input|file)",
        ),
        ("memory", r"everything = list\("),
    ),
    "limit": Fault(
        "the memory limit was lowered below what the job has always used",
        (
            r"limits? & (?:lower\w*|reduc\w*|cut|halv\w*|too (?:low|small|tight)|decreas\w*|shr[aiu]nk|dropped|tighten\w*|below|changed|from|set to|smaller)",
            r"(?:lower\w*|reduc\w*|cut|halv\w*|decreas\w*|tighten\w*|smaller|too low|too small|chang\w*)(?: \w+){0,4} (?:limit|quota|request)s?",
            r"new (?:default )?(?:memory )?limit|(?:cut|lower\w*|reduc\w*|halv\w*)(?: \w+){0,2} (?:memory|ram)\b",
            r"(?:quota|memory request) & (?:lower\w*|reduc\w*|cut|too (?:low|small))",
        ),
        ("config", r"^-\s+memory: \d+Gi"),
    ),
}
HERRINGS = (
    Fault(
        "the new model",
        (
            r"(?:new|bigger|larger|retrained|retraining) (?:\w+ ){0,2}model",
            r"model (?:is |was |got )?(?:bigger|larger|grew|too (?:big|large)|retrained)",
            r"more trees",
        ),
    ),
    Fault(
        "more rows",
        (
            r"(?:more|too many|extra|additional|growing number of) (?:rows|data|records)",
            r"(?:data|rows|file|input) (?:has |have )?(?:grew|grown|got larger|increased)",
        ),
    ),
    Fault("the disk", (r"disk & (?:full|space|ran out|too small|filled)",)),
)
HEAD = """
import os
import tracemalloc


def rows(count):  # the file, a row at a time
    for number in range(count):
        yield {"id": number, "PLACE": f"P{number % 400:03d}", "note": "n" * 24}


def features(row):
    return [float(row["id"] % day) for day in (7, 30, 365)]


"""
SCORE = """def score(row):
    return sum(features(row))


"""
CACHED = """_seen = {}


def score(row):
    key = (row["PLACE"], row["id"])
    if key not in _seen:
        _seen[key] = features(row)
    return sum(_seen[key])


"""
MAIN = """def main(count):
    total = 0.0
    for number, row in enumerate(rows(count)):
        total += score(row)
        watch(number, count)
    return total
"""
KEEPS = """def main(count):
    kept = []
    for number, row in enumerate(rows(count)):
        kept.append(features(row))
        watch(number, count)
    return sum(sum(one) for one in kept)
"""
WHOLE = """def main(count):
    everything = list(rows(count))
    total = 0.0
    for number, row in enumerate(everything):
        total += score(row)
        watch(number, count)
    return total
"""
PROGRAMS = {"cache": CACHED + MAIN, "list": SCORE + KEEPS, "whole": SCORE + WHOLE, "limit": SCORE + MAIN}
WATCH = """

def watch(number, count):
    if number % (count // 10) == 0:
        print(100 * number // count, tracemalloc.get_traced_memory()[0])
    if number == count - 1:
        from linecache import getline
        found = tracemalloc.take_snapshot().statistics("lineno")
        here = [one for one in found if one.traceback[0].filename.endswith("job.py") and one.size > 9_000]
        for one in here[:5]:
            frame = one.traceback[0]
            print("line", frame.lineno, one.size, getline(frame.filename, frame.lineno).strip())


tracemalloc.start()
main(20_000)
"""


@cache
def _measured(kind: str, place: str) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
    """Run the job on a copy; return (percent, bytes) as it goes, and (bytes, line) of what holds memory."""
    said = run({"job.py": (HEAD + PROGRAMS[kind]).replace("PLACE", place) + WATCH}, "job.py")
    course = [(int(a), int(b)) for a, b in re.findall(r"^(\d+) (\d+)$", said, re.M)]
    return course, [(int(size), line) for size, line in re.findall(r"^line \d+ (\d+) (.*)$", said, re.M)]


def case(rng: Random) -> Case:
    """Return the ticket; three ways to hold too much, and one where the job is as it always was."""
    kind = rng.choice(sorted(FAULTS))
    place, job = rng.choice(
        [("shop", "score-shops"), ("depot", "score-depots"), ("station", "score-stations")]
    )
    who, hour, trees = rng.choice(["Priya", "Olu", "Hanna"]), rng.randint(1, 4), rng.choice([200, 300, 400])
    limit, low = (2048, 512) if rng.random() < 0.5 else (4096, 1024)
    allowed = low if kind == "limit" else limit
    peak = rng.randint(118, 145) * allowed // 100
    grown, ago = rng.randint(2, 5), rng.choice(["Tuesday", "Wednesday"])
    first = {
        "cache": '+    key = (row["PLACE"], row["id"])\n+    if key not in _seen:\n+        _seen[key] = features(row)        # features are slow',
        "list": "+        kept.append(features(row))         # for the debug report\n+    return sum(sum(one) for one in kept)",
        "whole": "-    for number, row in enumerate(rows(count)):\n+    everything = list(rows(count))         # len() for the progress bar",
        "limit": "(no change to the job)",
    }[kind].replace("PLACE", place)
    config = (
        f"resources:\n  limits:\n-    memory: {limit // 1024}Gi\n+    memory: {low}Mi     # {ago}, by the platform team: default for all jobs\n    cpu: 2"
        if kind == "limit"
        else f"resources:\n  limits:\n    memory: {limit // 1024}Gi     # unchanged for 200 days\n    cpu: 2"
    )

    def memory() -> str:
        course, lines = _measured(kind, place)
        scale = peak / max(size for _, size in course)
        if kind == "limit":  # flat: what a run has always taken
            shown = [(percent, peak - 4 + percent % 7) for percent, _ in course]
        else:
            base = 0.2 * allowed
            shown = [(percent, base + (peak - base) * size * scale / peak) for percent, size in course]
        rows = [
            f"{percent:>4} %  {size:>6,.0f} MiB  {'#' * round(30 * size / (1.5 * allowed))}"
            for percent, size in shown
        ]
        held = (
            "\n".join(f"{size / 1024:>8,.0f} KiB  {line}" for size, line in lines)
            or "     nothing above 9 KiB"
        )
        before = (
            f"{peak} MiB, the same every night for 90 days"
            if kind == "limit"
            else f"{0.22 * allowed:,.0f} MiB, flat"
        )
        return (
            "share of the rows that is done, and the memory at that point (run on a machine without a limit):\n"
            + "\n".join(rows)
            + f"\nlast month's runs: {before}\nlimit of the container: {allowed:,} MiB"
            + f"\ntracemalloc on a copy of 20,000 rows, at the end, by line of job.py:\n{held}"
        )

    def code() -> str:
        return (HEAD + PROGRAMS[kind]).replace("PLACE", place).replace("import tracemalloc\n", "").strip()

    died = {"whole": 0, "limit": 0}.get(kind, 60)
    story = {
        "cache": "score() keeps the features of every row in _seen. Its key holds the row's id, so it never hits and never ends: memory grows with the rows until the kernel kills the job.",
        "list": "main() keeps the features of every row in a list, for a sum that could be made on the way. Memory grows with the rows.",
        "whole": "list(rows(...)) turns a stream into the whole file in memory, before the first row is scored: a step at the start, and no growth after it.",
        "limit": f"The job takes what it has taken for months, {peak} MiB. The platform's new default allows {low} MiB. Nothing leaks.",
    }[kind]
    remedy = {
        "cache": "take the cache out, or bound it (lru_cache with a maxsize) and key it by what repeats",
        "list": "add up on the way, or write results out by batches; keep nothing",
        "whole": "stream the rows again, or read in chunks",
        "limit": f"set the job's own limit above its measured peak of {peak} MiB, and agree on who changes limits",
    }[kind]
    mends = {
        "cache": (
            r"(?:remove|drop|take|delete|revert|roll back|bound|limit|cap|clear|evict|maxsize|lru|ttl|key)\w*",
        ),
        "list": (
            r"(?:sum|add|aggregat|accumulat|stream|write|flush|batch|running|generator|yield|drop|remove|revert|roll back)\w*",
        ),
        "whole": (
            r"(?:stream|chunk|batch|iterat|generator|lazy|lazily|row by row|one by one|revert|roll back)\w*",
        ),
        "limit": (
            r"(?:rais|increas|restor|set|put|lift|revert|higher|more|bring|roll back)\w*(?: \w+){0,5} (?:limit|memory|mi\b|gi\b|quota|back)",
            r"limit(?:\s\w+){0,4} (?:back|up|above|higher)",
        ),
    }[kind]
    harm = (
        (
            (
                r"(?:rais\w*|increas\w*|more|bigger|double) (?:\w+ ){0,3}(?:limit|memory|ram|machine|node)",
                "more memory moves the kill to a night with more rows",
            ),
        )
        if kind != "limit"
        else (
            (
                r"(?:rewrite|refactor|optimi[sz]e) (?:\w+ ){0,2}(?:job|code)",
                "the code is as it was; the limit is what changed",
            ),
        )
    )
    return Case(
        report=f"{who}, on call: {job} was killed again at {hour}:{rng.randint(10, 59)}, the third night in a row; no error in its output, it is "
        f"just gone. On {ago} the model was retrained with {trees} trees, and there are {grown} % more rows than last month. "
        "I have restarted it twice. Can we have a bigger node?",
        evidence={
            "logs": f"{hour}:02:11 INFO  {job} starts, {rng.randint(31, 48)} million rows\n"
            + (f"{hour}:09:40 INFO  {died} % done\n" if died else "")
            + "(nothing after this)",
            "events": f"{job}-7f: Last State: Terminated   Reason: OOMKilled   Exit Code: 137\n{job}-7f: Back-off restarting failed container\nnode: no memory pressure, {rng.randint(40, 55)} % used",
            "traceback": "None. The process got SIGKILL (exit code 137 = 128 + 9), which Python can't catch.",
            "memory": memory,
            "code": code,
            "config": config,
            "deploy diff": f"{ago}:\n  model: {trees - 100} -> {trees} trees, file 41 MB -> 49 MB\n  job.py:\n{first}"
            + (f"\n  platform repository, by another team:\n{config}" if kind == "limit" else ""),
            "model version": f"Version {rng.randint(9, 20)}, {trees} trees, 49 MB on disk, 61 MB when loaded; the one before took 52 MB.",
            "row counts": f"{grown} % more rows than last month, as every month.",
            "disk": f"{rng.randint(78, 84)} % used; the job writes one file of 40 MB at its end.",
            "reproduce": "With a tenth of the rows it ends well"
            + {
                "whole": ", at a tenth of the memory.",
                "limit": " on a laptop, and so does the whole file.",
                "cache": ", at a tenth of the memory.",
                "list": ", at a tenth of the memory.",
            }[kind],
        },
        faults=(FAULTS[kind],),
        suspects=tuple(fault for name, fault in FAULTS.items() if name != kind) + HERRINGS,
        needs=(
            ("memory",),
            ("config", "deploy diff") if kind == "limit" else ("memory", "code", "deploy diff"),
        ),
        order=(
            ("events", "who ended it? 137 with OOMKilled is the kernel, at the limit"),
            ("memory", "a slope, a step at the start, or flat? Against the limit, and against last month"),
            ("config", "is the limit the one it was?"),
            ("deploy diff", "what changed between the good night and the bad one?"),
            ("code", "which line holds what tracemalloc counts?"),
        ),
        story=story,
        remedy=remedy,
        mends=(mends,),
        harm=harm,
    )

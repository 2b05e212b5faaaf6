"""A page that was quick on Friday. The database answers for itself: its plan, its schema, its work."""

import sqlite3
from dataclasses import replace
from random import Random

from course.practice.diagnosis import NOT
from course.practice.evidence import query_plan, steps
from course.practice.tickets import Case, Fault

FAULTS = {
    "index": Fault(
        "an index is missing",
        (
            r"(?:no|missing|lost|dropped|drops|lacks?|without|lose|loses|deleted|removed|absent)(?:\s[\w.'-]+){0,3}\s(?:index|indices|indexes)",
            r"ind(?:ex|exes|ices)\b & (?:missing|gone|dropped|lost|lacking|absent|removed|not there|does not exist|doesn't exist|disappeared|(?:not|never|n't) (?:been )?(?:re-?)?created|not recreated|(?:is|was) no longer)",
            NOT
            + r"(?:\s[\w']+){0,2} (?:carr|cop|keep|kept|bring|re-?creat|mov|tak)\w*(?:\s[\w']+){0,3} ind(?:ex|exes|ices)",
            r"ind(?:ex|exes|ices)\b & \(?none\b",
            r"(?:lost|dropped|missing|no) (?:the )?idx",
            r"(?:re-?created|rebuilt|re-?built)(?:\s[\w.'-]+){0,4} (?:without|lost)(?:\s[\w.'-]+){0,3} ind(?:ex|exes|ices)",
        ),
        ("schema", r"^indexes: \(none\)"),
    ),
    "function": Fault(
        "a function around the column keeps the index from being used",
        (
            r"(?:wrap\w*|function|expression|cast|casts|casting|substr|date\(|date function|sargable|lower\(|upper\(|trim\() & (?:index|column|where|predicate|condition|filter|sargable|scan)",
            NOT
            + r" (?:be )?(?:use|used|using)(?:\s[\w.'-]+){0,3} index & (?:wrap\w*|function|expression|cast\w*|substr|lower|upper)",
            r"ind(?:ex|exes|ices)(?:\s[\w.'-]+){0,4} (?:cannot|can't|not|isn't|never) (?:be )?used & (?:wrap\w*|function|expression|cast\w*|substr|lower|upper)",
            r"(?:prevent|stop|keep|hinder)\w*(?:\s\w+){0,4} us(?:e|ing)(?:\s\w+){0,2} index",
            r"(?:not|\w+n't|no longer|non)[-\s](?:\w+\s)?sargable|unsargable",
        ),
        ("queries", r"WHERE (?:substr|lower|trim)\("),
    ),
    "n+1": Fault(
        "one query for each row (N+1)",
        (
            r"n\s?\+\s?1",
            r"(?:each|every) row(?:\s[\w']+){0,5} (?:own|separate|another|a|one|extra) (?:select|query|statement|lookup)",
            r"(?:one|a|separate|single|extra|own) (?:query|statement|select|call|lookup|round ?trip)s?(?:\s[\w.'-]+){0,3} (?:for each|for every|per|each|every)",
            r"(?:query|queries|select|selects|statements?|lookups?) (?:is |are )?(?:run |sent |made )?(?:in|inside|within) (?:a|the) loop",
            r"(?:lazy|lazily)(?: |-)load\w*",
            r"(?:hundreds|thousands|too many|\d{3,}) (?:of )?(?:small |single |tiny )?(?:queries|statements|selects|round ?trips)",
        ),
        ("queries", r"^ *[2-9]\d\d x SELECT"),
    ),
    "offset": Fault(
        "all rows before the page are read and thrown away (OFFSET)",
        (
            r"offset & (?:page|pagin\w*|deep|read\w*|skip\w*|throw\w*|discard\w*|large|huge|rows|slow|limit)",
            r"(?:deep|offset)(?: |-)pagina\w+",
        ),
        ("queries", r"OFFSET [1-9]\d{4}"),
    ),
}
HERRINGS = (
    Fault(
        "the traffic",
        (
            r"(?:traffic|load|requests|callers|visitors) (?:has |have |is |are )?(?:grew|grown|too high|too much|increased|rose|risen|spiked?|overload\w*)",
            r"(?:more|too much|too many|higher|increased|growing|extra) (?:traffic|load|visitors|users|requests)",
            r"overload\w*|ddos",
        ),
    ),
    Fault("the new banner", (r"banner", r"front-?end & (?:slow|deploy|cause|bug)")),
    Fault(
        "too little CPU or memory",
        (
            r"(?:too little|not enough|more|insufficient|low|lack of) (?:cpu|memory|ram)",
            r"(?:cpu|memory|ram) (?:is |was )?(?:exhausted|full|saturated|too small|overloaded)",
            r"(?:database|server|machine|instance) (?:is |was )?(?:too small|undersized|underpowered)",
        ),
    ),
)


def _database(kind: str, table: str, key: str, rng: Random) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute(
        f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {key} TEXT NOT NULL, day TEXT NOT NULL, total REAL NOT NULL)"
    )
    db.execute("CREATE TABLE customers (name TEXT PRIMARY KEY, city TEXT NOT NULL)")
    rows = (
        (
            f"{key[0].upper()}{rng.randrange(400):04d}",
            f"2026-{rng.randint(1, 11):02d}-{rng.randint(1, 28):02d}",
            rng.randint(5, 90),
        )
        for _ in range(20_000)
    )
    db.executemany(f"INSERT INTO {table} ({key}, day, total) VALUES (?, ?, ?)", rows)
    if kind != "index":
        db.execute(f"CREATE INDEX {table}_{key} ON {table} ({key})")
    db.execute(f"CREATE INDEX {table}_day ON {table} (day)" if kind == "offset" else "SELECT 1")
    return db


def case(rng: Random) -> Case:
    """Return the ticket; one of four reasons why a page reads too much."""
    kind = rng.choice(sorted(FAULTS))
    table, key = rng.choice(
        [("orders", "shop"), ("bookings", "depot"), ("invoices", "branch"), ("deliveries", "route")]
    )
    wanted = f"{key[0].upper()}{rng.randrange(400):04d}"
    page, before, now = (
        rng.choice(["overview", "history", "search"]),
        rng.randint(120, 240),
        rng.randint(61, 97) / 10,
    )
    growth, who, day = (
        rng.randint(6, 11),
        rng.choice(["Amara", "Jonas", "Mei", "Tomás"]),
        rng.choice(["Monday", "Tuesday"]),
    )
    wrapper = rng.choice([f"substr({key}, 1, 5)", f"lower({key})", f"trim({key})"])
    value = wanted.lower() if "lower" in wrapper else wanted
    offset = rng.randint(12, 18) * 1000
    loop = rng.randint(210, 890)
    plain = f"SELECT id, day, total FROM {table} WHERE {key} = ?"
    query, values = {
        "index": (plain, (wanted,)),
        "function": (f"SELECT id, day, total FROM {table} WHERE {wrapper} = ?", (value,)),
        "n+1": ("SELECT city FROM customers WHERE name = ?", (f"C{loop:04d}",)),
        "offset": (f"SELECT id, {key}, total FROM {table} ORDER BY day LIMIT 50 OFFSET {offset}", ()),
    }[kind]
    seconds = {"n+1": now / loop}.get(kind, now)

    def log() -> str:
        first = f"   1 x {plain}\n" if kind == "n+1" else ""
        count = loop if kind == "n+1" else 1
        where = f" [{', '.join(map(repr, values))}]" if values else ""
        return (
            f"statements of one slow request to /{page}, by the driver's log:\n{first}"
            f"{count:>4} x {query}{where}\n"
            f"  each {1000 * seconds:,.0f} ms, together {now:.1f} s; the template renders in 0.04 s"
        )

    def plan() -> str:
        db = _database(kind, table, key, Random(7))
        work = steps(db, query, values)
        healthy = steps(_database("function", table, key, Random(7)), plain, (wanted,))
        if kind == "n+1":
            return f"{query}\n{query_plan(db, query, values)}\nwork: {work} hundred steps of the database's machine for one"
        return (
            f"{query}\n{query_plan(db, query, values)}\nwork: {work:,} hundred steps of the database's machine;"
            f"\na lookup by an index of this table takes {max(healthy, 1):,}"
        )

    def schema() -> str:
        db = _database(kind, table, key, Random(7))
        made = db.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = 'table'", (table,)
        ).fetchone()[0]
        found = db.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = 'index'", (table,)
        ).fetchall()
        listed = "\n".join(one for (one,) in found) or "(none)"
        made = made.replace(", ", ",\n  ")
        return f"{made}\nindexes: {listed}\nrows: 20,000 in the copy that you were given; 4 million live"

    changed = {
        "index": f"+  ALTER TABLE {table} RENAME TO {table}_old\n+  CREATE TABLE {table} (id ..., {key} ..., day ..., total ...)\n+  INSERT INTO {table} SELECT * FROM {table}_old\n+  DROP TABLE {table}_old",
        "function": f"-    WHERE {key} = ?\n+    WHERE {wrapper} = ?        # some callers send it in another form",
        "n+1": "-    rows = db.all(ORDERS_WITH_CITY, place)\n+    rows = db.all(ORDERS, place)\n+    for row in rows:\n+        row.city = db.one(CITY, row.customer)    # nicer to read",
        "offset": f"-    WHERE day > :last_seen ORDER BY day LIMIT 50\n+    ORDER BY day LIMIT 50 OFFSET :offset     # {who} wants page numbers",
    }[kind]
    story = {
        "index": f"A migration rebuilt the table {table}; indexes are not copied by INSERT ... SELECT, and {table}_{key} was gone. The plan says SCAN where it said SEARCH: every request reads the whole table.",
        "function": f"The filter is {wrapper} = ?, and the index is on {key} itself. A database can't look up the result of a function in an index of its argument, so it scans.",
        "n+1": f"Each statement is quick and uses its index. There are {loop} of them in a request, one for each row that the first one returned.",
        "offset": f"The page asks for 50 rows behind the first {offset:,}. To skip rows a database has to read them; page by page it gets slower.",
    }[kind]
    remedy = {
        "index": f"create the index on {table}({key}) again (concurrently, on a live table), and add it to the migration",
        "function": f"compare the bare column, with the value brought into its form before, or index the expression {wrapper}",
        "n+1": "fetch all cities in one query: a join, or one IN over the keys",
        "offset": "page by the last key seen (keyset), not by OFFSET, with the index on the key",
    }[kind]
    mends = {
        "index": (
            r"(?:create|add|recreate|re-create|restore|build|put|rebuild|make)\w*(?:\s[\w.()'-]+){0,4} (?:index|it|back)",
            r"index(?:\s[\w.()'-]+){0,3} back",
        ),
        "function": (
            r"(?:remove|drop|without|take|avoid|rewrite|bare|no)\w*(?:\s[\w.()'-]+){0,5} (?:function|expression|wrap\w*|substr|lower|trim|column|condition|filter|predicate|query)",
            r"(?:functional|expression|computed|generated) (?:index|column)",
            r"index(?:\s[\w.()'-]+){0,3} (?:expression|function)",
            r"normali[sz]e",
        ),
        "n+1": (
            r"join\w*",
            r"(?:one|single|batch\w*|bulk) (?:query|statement|select|fetch|load)",
            r"prefetch|eager|select_related|in\s?\(|\bin clause|batch\w*",
        ),
        "offset": (
            r"key-?set",
            r"cursor",
            r"last[ -](?:seen|key|id|day|row|value)",
            r"seek (?:method|pagination)",
            r"where(?:\s[\w.>':-]+){1,6} (?:limit|last)",
        ),
    }[kind]
    suspects = {name: fault for name, fault in FAULTS.items() if name != kind}
    if kind == "function":  # "so no index" is then what follows, not what is broken
        suspects["index"] = replace(FAULTS["index"], says=FAULTS["index"].says[1:])
    return Case(
        report=f"{who} from the {page} team, {day} morning: the {page} page of {table} takes {now:.0f} seconds for every {key}. On Friday it "
        f"was there at once. We had a release on Friday evening, with the new banner, and we have {growth} % more visitors than "
        "last month. Please give us a bigger database.",
        evidence={
            "users": f"Every {key}, every browser, since the release of Friday evening. Other pages are as quick as ever.",
            "latency": f"/{page}: p50 {now:.1f} s, last week {before} ms. Of {now:.1f} s the database takes {now - 0.1:.1f}.\nOther routes: as last week.",
            "traffic": f"{growth} % more requests than last month, spread over all routes. No peak this morning.",
            "cpu": f"application {rng.randint(9, 15)} %; database {rng.randint(71, 88)} %, last week {rng.randint(18, 26)} %",
            "queries": log,
            "query plan": plan,
            "schema": schema,
            "deploy diff": f"Friday 18:40, two changes:\n  static/banner.css\n+  .banner {{ background: teal }}\n  {'migrations/0042.sql' if kind == 'index' else f'pages/{page}.py'}\n{changed}",
            "code": f"def {page}(request, db):\n    ...\n{changed}",
            "logs": f"WARN  slow request GET /{page} {1000 * now:.0f} ms\nWARN  slow request GET /{page} {1000 * now + 310:.0f} ms\nINFO  banner.css 200 3 ms",
            "reproduce": f"On a copy with a tenth of the rows the page takes a tenth of the time{', the number of statements is the same' if kind == 'n+1' else ''}.",
        },
        faults=(FAULTS[kind],),
        suspects=tuple(suspects.values()) + HERRINGS,
        needs=(
            ("queries", "code", "deploy diff"),
            ("query plan", "schema") if kind in ("index", "function") else ("queries",),
        ),
        order=(
            ("latency", "where do the seconds go: the page, the network, the database?"),
            ("queries", "how many statements, and which one takes the time?"),
            ("query plan", "does it search by an index or scan?"),
            ("schema", "which indexes are there?"),
            ("deploy diff", "what changed that statement?"),
        ),
        story=story,
        remedy=remedy,
        mends=(mends,),
        harm=(
            (
                r"(?:bigger|larger|scale up|upgrade|more)(?:\s\w+){0,2} (?:database|machine|server|cpu|instance|memory)",
                "a bigger machine hides it until the table has grown again",
            ),
        ),
    )

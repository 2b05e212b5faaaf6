"""Some requests fail, most do not. Each traceback comes from a program that fails in this way."""

from random import Random

from course.practice.diagnosis import NOT
from course.practice.evidence import run
from course.practice.tickets import Case, Fault

FAULTS = {
    "pool": Fault(
        "connections are not given back to the pool when a request fails",
        (
            rf"(?:connections?|sessions?|pool|handles?) & {NOT}(?:\s[\w'-]+){{0,4}} (?:return|releas|giv|clos|put|hand|free)\w*",
            r"(?:connections?|sessions?|pool|handles?) & leak\w*",
            r"(?:connections?|sessions?) & (?:lost|kept|held|stay\w*|remain\w*|checked out|stuck) & (?:error|exception|fail\w*|rais\w*|invalid|forever|for ever)",
            r"(?:no|missing|lacks?|without)(?:\s\w+){0,2} (?:finally|context manager|with block|with statement) & (?:connections?|sessions?|pool|release|close)",
            r"never (?:go|goes|come|comes|get|gets) back (?:\w+ ){0,2}pool|missing (?:\w+[ /]){0,2}finally",
            NOT + r"(?:\s\w+){0,3} (?:finally|with block|context manager)",
            r"release(?:\s\w+){0,4} (?:skipped|not reached|never reached|missed|not called)",
        ),
        ("traceback", r"PoolTimeout"),
    ),
    "lock": Fault(
        "a long write transaction of another job locks the database",
        (
            r"(?:transaction|export|job|writer|write|commit|report) & (?:lock\w*|block\w*)",
            r"(?:keeps?|kept|holds?|held|leaves?)(?: \w+){0,2} transaction(?: \w+){0,2} open|transaction (?:is |stays |stayed |was )?(?:kept |left |held )?open",
            r"(?:long|open|uncommitted|exclusive)(?:-running)?(?:\s\w+){0,2} (?:write )?transaction",
            r"(?:holds?|keeps?|held)(?:\s\w+){0,3} transaction|(?:one|single) writer",
            r"database (?:is )?locked & (?:export|job|transaction|write\w*|commit\w*|report|while|by)",
            r"(?:lock|locks) & (?:held|holds|hold|contention) & (?:export|job|transaction|writer|report)",
        ),
        ("traceback", r"database is locked"),
    ),
    "race": Fault(
        "a dict is changed by one thread while another iterates over it",
        (
            r"race(?: condition)?\b",
            r"(?:dict\w*|cache|shared|iterat\w*|loop\w*) & (?:threads?|concurren\w*|while|during|simultaneous\w*|at the same time) & (?:chang\w*|modif\w*|mutat\w*|insert\w*|add\w*|writ\w*|updat\w*|iterat\w*)",
            r"(?:not|isn't|un)(?:-|\s)?(?:thread|threads)(?:-|\s)?safe|thread(?:-|\s)?unsafe|unsynchroni[sz]ed",
            r"(?:no|missing|without)(?:\s\w+){0,2} lock & (?:dict\w*|cache|thread\w*|shared)",
        ),
        ("traceback", r"dictionary changed size during iteration"),
    ),
    "clock": Fault(
        "times with a zone are compared with times without one",
        (
            r"(?:without (?:a )?(?:tzinfo|time ?zone|zone|offset)|naive|aware|time ?zones?|tz|utc|offset|zone|tzinfo|\+0\d:00) & (?:compar\w*|mix\w*|datetime\w*|timestamp\w*|clients?|pars\w*|naive|without|missing|times?)",
        ),
        ("traceback", r"can't compare offset-naive and offset-aware"),
    ),
}
HERRINGS = (
    Fault(
        "the size of the pool",
        (
            r"pool & (?:too small|is small|size|bigger|larger|increase|more connections|undersized)",
            r"(?:too few|not enough|more) connections",
            r"(?:bigger|larger|increase(?:d)? the|small) pool",
        ),
    ),
    Fault(
        "the load balancer",
        (r"load ?balancer|gateway (?:is|was|upgrade|update|caus\w*|broke)|proxy (?:is|was|upgrade|update)",),
    ),
    Fault(
        "the peak of traffic",
        (
            r"(?:traffic|load|requests|peak|rps) & (?:too high|too much|peak\w*|spik\w*|overload\w*|grew|grown|rose|increase\w*)",
            r"overload\w*|(?:too much|too many|more|high) (?:traffic|load|requests)",
        ),
    ),
)
POOL = """
import queue


class PoolTimeout(Exception):
    pass


class Pool:
    def __init__(self, size):
        self.free = queue.SimpleQueue()
        for number in range(size):
            self.free.put(number)

    def acquire(self, timeout):
        try:
            return self.free.get(timeout=timeout)
        except queue.Empty:
            raise PoolTimeout(f"no connection within {timeout} s") from None

    def release(self, connection):
        self.free.put(connection)


pool = Pool(SIZE)


def handle(order):
    connection = pool.acquire(timeout=0.05)
    row = parse(order)
    pool.release(connection)
    return row


def parse(order):
    return {"pieces": int(order["pieces"])}
"""
LOCK = """
import sqlite3


def handle(order):
    db = sqlite3.connect("orders.db", timeout=0.05)
    with db:
        db.execute("INSERT INTO orders (pieces) VALUES (?)", (int(order["pieces"]),))
    db.close()
"""
RACE = """
import threading

prices = {"P1": 3.0, "P2": 4.5}  # filled by refresh(), which runs in a thread of its own


def refresh(new):
    for name, price in new.items():
        prices[name] = price


def handle(order):
    total = 0.0
    for name, price in prices.items():
        total += price * pieces(order, name)
    return total


def pieces(order, name):
    return order["pieces"].get(name, 0)  # what the stock does not have is taken off, by a call
"""
CLOCK = """
from datetime import datetime

CLOSES = datetime(2026, 12, 24, 14, 0)


def handle(order):
    wanted = datetime.fromisoformat(order["wanted"])
    return wanted < CLOSES
"""
DRIVERS = {
    "pool": "import handler\nfor _ in range(SIZE):\n    try:\n        handler.handle({'pieces': ''})\n    except ValueError:\n        pass\nhandler.handle({'pieces': '3'})\n",
    "lock": "import sqlite3\nimport handler\nexport = sqlite3.connect('orders.db', isolation_level=None)\nexport.execute('CREATE TABLE orders (pieces INT)')\nexport.execute('BEGIN IMMEDIATE')\nhandler.handle({'pieces': '3'})\n",
    "race": "import handler\nstock = handler.pieces\n\n\ndef meanwhile(*asked):\n    handler.refresh({'P3': 1.0})\n    return stock(*asked)\n\n\nhandler.pieces = meanwhile\nhandler.handle({'pieces': {'P1': 2}})\n",
    "clock": "import handler\nhandler.handle({'wanted': '2026-12-24T11:30:00+01:00'})\n",
}
SOURCES = {"pool": POOL, "lock": LOCK, "race": RACE, "clock": CLOCK}


def case(rng: Random) -> Case:
    """Return the ticket: a leak of connections, a lock, a race, or two kinds of time."""
    kind = rng.choice(sorted(FAULTS))
    share, size = rng.randint(3, 9), rng.randint(4, 8)
    who, service = rng.choice(["Ines", "Kofi", "Marek"]), rng.choice(["order", "basket", "booking"])
    job, since = rng.choice(["nightly-export", "stock-report", "archive"]), rng.randint(20, 55)
    client = rng.choice(["the new Android app", "the partner in Vienna", "the kiosk terminals"])
    source = SOURCES[kind].replace("SIZE", str(size))

    def crash() -> str:
        said = run({"handler.py": source, "main.py": DRIVERS[kind].replace("SIZE", str(size))})
        return said.replace("main.py", "server.py").replace("0.05", "5")

    status = {
        "pool": f"08:00 restart, 0 %   08:30 0 %   08:50 {share} %   09:00 {4 * share} %   09:05 restart, 0 %   now {share} %",
        "lock": f"08:{since - 4}-08:{since} every write fails, none before and after; the same at 07:{since - 4}-07:{since} and 06:{since - 4}-06:{since}",
        "race": f"{share} % of the requests, scattered; more when prices are refreshed (every minute, on the minute)",
        "clock": f"{share} % of the requests since 07:00, at every minute of the hour",
    }[kind]
    slices = {
        "pool": "All clients, all routes alike, once it begins. Before it begins, orders with an empty number of pieces get a 400, as they should.",
        "lock": "Writes alone; reads answer. All clients.",
        "race": "All clients, all routes that add up prices; the same request passes when it is sent again.",
        "clock": f"All of them from {client}; it passes for every other client. The same request fails each time.",
    }[kind]
    log = {
        "pool": f"INFO  pool: {size} of {size} checked out, 0 requests in progress\nWARN  400 invalid number of pieces ''\nERROR 500 POST /{service} PoolTimeout\nERROR 500 GET /{service} PoolTimeout",
        "lock": f"INFO  {job}: begin\nERROR 500 POST /{service} OperationalError\nERROR 500 POST /{service} OperationalError\nINFO  {job}: commit, 4 min 02 s",
        "race": f"INFO  prices: refresh, {rng.randint(2, 9)} new\nERROR 500 POST /{service} RuntimeError\nINFO  200 POST /{service} (second try of the same)",
        "clock": f"ERROR 500 POST /{service} TypeError\nINFO  200 POST /{service}\nERROR 500 POST /{service} TypeError",
    }[kind]
    sample = {
        "clock": '{"wanted": "2026-12-24T11:30:00"}         200\n{"wanted": "2026-12-24T11:30:00+01:00"}   500',
        "pool": '{"pieces": "3"}   500 now, 200 after a restart\n{"pieces": ""}    400',
    }.get(kind, f'{{"pieces": {"3" if kind == "lock" else "{...}"}}}   500, then 200 with the same body')
    story = {
        "pool": f"When parse() raises, release() is never reached. After {size} such requests the pool is empty for good, and every request waits for a connection that nobody uses. A larger pool would only last longer.",
        "lock": f"{job} writes for four minutes in one transaction. SQLite lets one writer in at a time, so all others wait until their timeout is over.",
        "race": "refresh() adds to the dict from its thread while a request iterates over it. It takes a new name in that moment, so it comes and goes.",
        "clock": f"{client[0].upper()}{client[1:]} sends the zone with its times. Python does not compare a time with a zone and one without.",
    }[kind]
    remedy = {
        "pool": "give the connection back in `finally` (or a `with` block), and test the path that fails",
        "lock": f"let {job} commit in small batches, or work on a copy (WAL does not admit two writers)",
        "race": "replace the dict as a whole (or copy it under a lock) instead of changing it in place",
        "clock": "bring every time to UTC with a zone where it comes in, and refuse the ones without",
    }[kind]
    mends = {
        "pool": (
            r"finally|context manager|with (?:block|statement|pool|the)|try|releas\w*|clos\w*|return\w*|give\w* back",
        ),
        "lock": (
            r"batch\w*|commit\w*|short\w*|smaller|split|chunk\w*|copy|replica|snapshot|another (?:database|time)|at night|postgres\w*|move",
        ),
        "race": (r"lock|mutex|copy|snapshot|swap|replac\w*|atomic\w*|list\(|immutab\w*|thread-?safe",),
        "clock": (r"utc|aware|time ?zone|zone|normali[sz]e|convert|pars\w*|validat\w*|reject|refuse",),
    }[kind]
    return Case(
        report=f'{who}, support: some customers get "500" from the {service} service, others are served. If they try often enough it '
        "works, or it does not. The load balancer was updated on Sunday, and this is the busiest week of the year. Please make the "
        "pool of connections bigger, that helped two years ago.",
        evidence={
            "metric over time": f"share of answers 500 by time: {status}",
            "metric by slice": slices,
            "logs": log,
            "traceback": crash,
            "code": source.strip().replace("0.05", "5"),
            "config": f"pool size {size}, timeout 5 s; {job} every hour; unchanged for {rng.randint(60, 200)} days",
            "traffic": f"{rng.randint(12, 25)} % more than last week, as every year; the peak is at noon, and it is nine.",
            "sample rows": sample,
            "network": "The load balancer passes all requests on; its update changed a certificate. No 502, no 504.",
            "deploy diff": {
                "pool": "Thursday: parse() raises on an empty number, it returned 0 before",
                "lock": f"Sunday: load balancer.  Friday: {job} writes its marks in one transaction, for consistency",
                "race": "Friday: prices refresh every minute, by a thread; they were read once at the start",
                "clock": f"Nothing of ours. {client[0].upper()}{client[1:]} had a release at 07:00 today",
            }[kind],
            "latency": {
                "pool": "p50 14 ms; failing ones 5,000 ms",
                "lock": "p50 14 ms; failing writes 5,000 ms",
            }.get(kind, "p50 14 ms; failing ones 3 ms"),
            "queries": f"{job}: UPDATE orders SET exported = 1 ... in one transaction, 4 min 02 s"
            if kind == "lock"
            else "None above 20 ms.",
        },
        faults=(FAULTS[kind],),
        suspects=tuple(fault for name, fault in FAULTS.items() if name != kind) + HERRINGS,
        needs={
            "pool": (("traceback", "logs"), ("code", "deploy diff")),
            "lock": (("traceback", "logs"), ("logs", "queries", "metric over time", "deploy diff")),
            "race": (("traceback",),),
            "clock": (("traceback",),),
        }[kind],
        order=(
            ("traceback", "what fails, in whose line?"),
            ("metric over time", "since when, in bursts or scattered, and what ends it?"),
            ("metric by slice", "who fails and who does not?"),
            ("logs", "what happens right before the first failure?"),
            ("code", "which path leaves something behind?"),
        ),
        story=story,
        remedy=remedy,
        mends=(mends,),
        harm=(
            (
                r"(?:bigger|larger|increas\w*|rais\w*|enlarg\w*)(?: \w+){0,3} (?:pool|connections)",
                "a larger pool is empty a little later",
            ),
            (
                r"(?:roll\w* back|revert|downgrad\w*)(?: \w+){0,3} (?:load ?balancer|gateway)",
                "the load balancer passes everything on",
            ),
        ),
    )

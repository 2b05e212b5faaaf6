"""Pods that do not stay up. What the cluster says, and what the process said last."""

from random import Random

from course.practice.diagnosis import NOT
from course.practice.evidence import run
from course.practice.tickets import Case, Fault

FAULTS = {
    "probe": Fault(
        "the liveness probe kills it before it has started",
        (
            r"(?:liveness|probe|health ?check) & (?:kill\w*|gives? up|too (?:early|short|strict|tight|soon|impatient)|before|slow\w*|start\w*|timeout|initial\w*|delay|fail\w*|not ready|long\w*)",
            r"(?:probe|liveness)(?: \w+)? (?:without|has no|lacks)(?: \w+){0,3} delay",
            r"(?:slow|long\w*|takes)(?: \w+){0,4} (?:start\w*|load\w*|warm\w*) & (?:probe|liveness|killed)",
        ),
        ("events", r"Liveness probe failed"),
    ),
    "variable": Fault(
        "an environment variable is missing or has another name",
        (
            r"(?:env\w*|variables?|settings?|config\w*|secret|keys?|[a-z]+_(?:url|dsn|uri)) & (?:missing|not set|unset|undefined|absent|renamed|rename|wrong name|misspel\w*|not (?:there|defined|found)|another name|no longer|lacks?|keyerror|old name|different name)",
            r"\w+_uri & \w+_url",
            r"(?:env\w*|variables?|settings?|\w+_ur[li]) & "
            + NOT
            + r" (?:\w+ ){0,2}(?:set|defined|there|present|exist\w*|found|passed|given)",
            r"keyerror & (?:env\w*|variable|config\w*|setting|\w+_url)",
        ),
        ("traceback", r"KeyError: '[A-Z]+_URL'"),
    ),
    "memory": Fault(
        "it is killed for memory: more worker processes than the limit allows, each with a model of its own",
        (
            r"(?:workers?|processes|copies|replicas of the model|each (?:with|has|loads)) & (?:memory|limit|oom\w*|too many|model|ram|fit|2 ?gi\w*|gigs?|\w*mib)",
            r"(?:oom\w*|out of memory|memory limit|memory) & (?:workers?|processes|model (?:each|per)|copies|killed|exceed\w*|too (?:low|small)|limit)",
        ),
        ("events", r"OOMKilled"),
    ),
    "image": Fault(
        "the image is built for another processor",
        (
            r"(?:image|binary|build|built|container) & (?:arm\w*|amd64|x86\w*|aarch64|architecture|platform|processor|cpu type|wrong cpu|apple|m1|m2|m3)",
            r"exec format error|(?:wrong|other|different|another) (?:architecture|platform|processor)",
        ),
        ("logs", r"exec format error"),
    ),
}
HERRINGS = (
    Fault(
        "the node that was drained",
        (
            r"node & (?:drain\w*|broken|bad|faulty|caus\w*|replac\w*|sick|unhealthy)",
            r"(?:bad|broken|faulty|sick) node",
        ),
    ),
    Fault(
        "the certificate",
        (
            r"certificate & (?:expired|expir\w*|invalid|wrong|caus\w*|renew\w*)",
            r"(?:expired|invalid) (?:tls |ssl )?certificate",
        ),
    ),
)


def case(rng: Random) -> Case:
    """Return the ticket: a probe, a variable, too many workers, or an image for other machines."""
    kind = rng.choice(sorted(FAULTS))
    service, who = rng.choice(["ranker", "forecaster", "pricer"]), rng.choice(["Bea", "Tariq", "Lena"])
    slow, period, failures = rng.randint(48, 75), 5, rng.choice([3, 4])
    workers, each = rng.choice([6, 8]), rng.randint(420, 560)
    limit = 2048
    variable = rng.choice(["FEATURES", "REGISTRY", "CATALOG"])
    count = rng.randint(7, 19)
    started = f"INFO  {service} starts\nINFO  loading the model, {each - 60} MB"

    def crash() -> str:
        if kind != "variable":
            return "None: the process says nothing before it ends."
        return run(
            {
                "settings.py": f'import os\n\nSTORE = os.environ["{variable}_URL"]\n',
                "main.py": "import settings\n\nprint(settings.STORE)\n",
            }
        )

    events = {
        "probe": f"Liveness probe failed: dial tcp :8080: connection refused (x{failures} over {failures * period} s)\nKilling: container {service} failed liveness probe, will be restarted\nLast State: Terminated  Exit Code: 143 (SIGTERM)",
        "variable": "Back-off restarting failed container\nLast State: Terminated  Reason: Error  Exit Code: 1, 1 s after its start",
        "memory": "Back-off restarting failed container\nLast State: Terminated  Reason: OOMKilled  Exit Code: 137",
        "image": "Back-off restarting failed container\nLast State: Terminated  Reason: Error  Exit Code: 255, 0 s after its start",
    }[kind]
    log = {
        "probe": f"{started}\nINFO  {rng.randint(40, 70)} % loaded\nINFO  got SIGTERM, stopping",
        "variable": lambda: crash().splitlines()[-1],
        "memory": "\n".join(
            [started, *(f"INFO  worker {number} ready" for number in range(1, limit // each + 1))]
        ),
        "image": f"exec /usr/local/bin/{service}: exec format error",
    }[kind]
    config = (
        f"replicas: 3\nresources:\n  limits: {{memory: {limit}Mi, cpu: 4}}\nenv:\n"
        f"  {variable}_{'URI' if kind == 'variable' else 'URL'}: http://{variable.lower()}:8000\n  WORKERS: {workers if kind == 'memory' else 2}\n"
        f"livenessProbe: {{port: 8080, initialDelaySeconds: {0 if kind == 'probe' else 120}, periodSeconds: {period}, failureThreshold: {failures}}}"
    )
    changed = {
        "probe": "-  initialDelaySeconds: 120\n+  initialDelaySeconds: 0        # find dead pods sooner",
        "variable": f"-  {variable}_URL: http://{variable.lower()}:8000\n+  {variable}_URI: http://{variable.lower()}:8000        # one style for all",
        "memory": f"-  WORKERS: 2\n+  WORKERS: {workers}        # use all cores",
        "image": "-  image: built by CI\n+  image: built on a laptop, CI was down",
    }[kind]
    story = {
        "probe": f"The model takes {slow} seconds to load; the probe asks from the start and gives up after {failures * period}. It kills a healthy process again and again.",
        "variable": f"The code reads {variable}_URL; the manifest sets {variable}_URI since the release.",
        "memory": f"Each worker loads a model of its own, {each} MiB. {workers} of them need {workers * each} MiB, the limit is {limit}.",
        "image": "The image was built on a laptop with another processor (arm64); the nodes are amd64. The kernel can't run its program.",
    }[kind]
    remedy = {
        "probe": f"a startup probe (or an initial delay) above {slow} s; liveness only from then on",
        "variable": f"give {variable}_URL its name back; check settings at the start and say which are missing",
        "memory": "fewer workers, or a limit for all of them, or one model that the workers share (loaded before the fork)",
        "image": "build in CI for the nodes' platform (linux/amd64) and release that one",
    }[kind]
    mends = {
        "probe": (
            r"(?:startup|start-up) ?probe|initial\s?delay\w*|(?:longer|more|increas\w*|rais\w*|relax\w*|restor\w*|revert\w*|roll\w* back)|failure ?threshold|delay",
        ),
        "variable": (
            r"(?:renam|set|add|restor|revert|fix|correct|put|roll\w* back|change|provide|defin)\w*",
        ),
        "memory": (
            r"(?:fewer|less|reduc\w*|lower\w*|2) (?:\w+ ){0,2}(?:workers?|processes)|workers?|shar\w*|preload|fork|(?:rais\w*|increas\w*|higher|bigger) (?:\w+ ){0,3}(?:limit|memory)|revert\w*|roll\w* back",
        ),
        "image": (
            r"(?:re-?build|build|buildx|multi-?arch|platform|amd64|ci\b|roll\w* back|revert|previous image)\w*",
        ),
    }[kind]
    harm = [
        (r"(?:delete|restart|kill|recreate)\w*(?: \w+){0,2} pods?", "they come back as they were"),
        (r"(?:replace|cordon|remove|new)(?: \w+){0,2} node", "the nodes are well"),
    ]
    if kind != "memory":
        harm.append(
            (r"(?:more|rais\w*|increas\w*|double)(?: \w+){0,3} memory", "memory is not what it lacks")
        )
    if kind == "probe":
        harm.append(
            (
                r"(?:remove|disable|drop|delete)(?: \w+){0,3} (?:probe|liveness)",
                "without a probe a process that hangs stays as it is",
            )
        )
    return Case(
        report=f"{who}, on call: the new {service} does not come up, {count} restarts so far; the old pods still answer. A node was drained at seven, "
        "and the certificate of the ingress expires this week. I have deleted the pods twice. More memory?",
        evidence={
            "events": f"{events}\nrestarts: {count}, the same on all three nodes",
            "logs": log,
            "traceback": crash,
            "config": config,
            "deploy diff": f"the release of 08:50:\n{changed}\n+  retries: 3        # for calls to the catalogue",
            "memory": {
                "memory": "\n".join(
                    f"{number} worker{'s' * (number > 1)} ready: {number * each:>5,} MiB"
                    for number in range(1, limit // each + 1)
                )
                + f"\nlimit {limit:,} MiB",
                "probe": f"rises to {each} MiB while the model loads, limit {limit:,} MiB",
            }.get(kind, f"below 60 MiB until it ends, limit {limit:,} MiB"),
            "reproduce": {
                "probe": f"On a machine without a probe: up after {slow} s, and it answers.",
                "variable": "On a laptop it starts: its .env file still has the old name.",
                "memory": f"With WORKERS=1 it is up, at {each} MiB.",
                "image": "On the laptop that built it: it starts. On a node, by hand: the same error.",
            }[kind],
            "install log": f"image {service}:new, "
            + (
                "built on a laptop, os/arch linux/arm64"
                if kind == "image"
                else "built by CI, os/arch linux/amd64"
            ),
            "packages": "As in the old pods.",
            "cpu": "nodes: linux/amd64, 30 % busy",
            "network": "The drained node is out of the set; the pods run on three others. The certificate is valid for four more days.",
            "latency": f"start of the old pods, from log to first answer: {slow} s"
            + (" (their probe waited 120 s)" if kind == "probe" else ""),
        },
        faults=(FAULTS[kind],),
        suspects=tuple(fault for name, fault in FAULTS.items() if name != kind) + HERRINGS,
        needs={
            "probe": (("events",), ("config", "deploy diff", "reproduce", "latency")),
            "variable": (("traceback", "logs"), ("config", "deploy diff", "reproduce")),
            "memory": (("events", "memory"), ("config", "deploy diff", "reproduce", "memory")),
            "image": (("logs",), ("install log", "deploy diff", "cpu")),
        }[kind],
        order=(
            ("events", "how does it end: which exit code, who killed it, after how long?"),
            ("logs", "what did it say last?"),
            ("traceback", "if it is Python that ended it"),
            ("deploy diff", "what of the release can do that?"),
            ("config", "what is set now, against what the process needs?"),
        ),
        story=story,
        remedy=remedy,
        mends=(mends,),
        harm=tuple(harm),
    )

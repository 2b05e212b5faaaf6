"""Exercises of sitting 09b: the cheapest way to serve, and ports that lead nowhere."""

import copy

from course.exercise import also_right, checks, right, wrong

# --- way_to_serve -----------------------------------------------------------------------------------------------------


@right
def way_to_serve(waits, inputs, max_age, seconds_each):
    """Return the cheapest way that gives each answer in time: "batch", "lookup" or "online".

    - `waits`: True when somebody waits for the answer to one input; False when all rows are known beforehand and
      nobody waits.
    - `inputs`: how many different inputs can be asked; `float("inf")` when they can't be counted.
    - `max_age`: how many seconds old an answer may be; 0 when the input comes into being with the request.
    - `seconds_each`: what the model takes for one input.

    A job of one process can fill a table with the answers to all inputs, over and over. A lookup is cheaper than an
    online model, if the table is never older than `max_age`: it takes as long to fill as all its answers together.
    """
    if not waits:
        return "batch"
    return "lookup" if inputs * seconds_each <= max_age else "online"


HOUR = 3600
_REASONS = {
    "a mailing to 2 million customers on Monday": (False, 2_000_000, 48 * HOUR, 0.001, "batch"),
    "drivers per zone for tomorrow, planned each evening": (False, 265, 24 * HOUR, 0.01, "batch"),
    "a price by zone pair and hour, from a list that is made once a day": (
        True,
        265 * 265 * 24,
        24 * HOUR,
        0.001,
        "lookup",
    ),
    "a home page by country and device; last night's popularity will do": (
        True,
        800,
        24 * HOUR,
        0.05,
        "lookup",
    ),
    "arrival time from the position of this second": (True, float("inf"), 0, 0.001, "online"),
    "fraud, from the payment itself": (True, float("inf"), 0, 0.002, "online"),
    "the price list again, from traffic that is 5 minutes old at most": (
        True,
        265 * 265 * 24,
        5 * HOUR / 60,
        0.001,
        "online",
    ),
    "one price for each of 800 products, 5 minutes old at most": (True, 800, 5 * HOUR / 60, 0.01, "lookup"),
    "a text by any of 100 million users, a day old at most, half a second each": (
        True,
        10**8,
        24 * HOUR,
        0.5,
        "online",
    ),
    "an input that can be counted, but changes with the request": (True, 265, 0, 0.001, "online"),
    "inputs without number; an answer of last night will do": (
        True,
        float("inf"),
        24 * HOUR,
        0.001,
        "online",
    ),
}


def _says(answer, *cases):
    for case in cases:
        *facts, wanted = _REASONS[case]
        said = answer(*facts)
        assert said in ("batch", "lookup", "online"), (
            f"you returned {said!r}; the ways to serve are 'batch', 'lookup' and 'online'"
        )
        waits, inputs, max_age, each = facts
        assert said == wanted, (
            f"{case} (waits={waits}, inputs={inputs:,}, max_age={max_age:g} s, seconds_each={each:g}): "
            f"you say {said!r}, it should be {wanted!r}"
        )


@checks(way_to_serve)
def nobody_waits_for_a_batch(answer):
    """Does anybody wait? If all rows are known and nobody does, a failed job can be repeated before the answers are needed."""
    _says(answer, *list(_REASONS)[:2])


@checks(way_to_serve)
def new_inputs_are_online(answer):
    """Could anything have been computed before the request came? Not where the input comes into being with it."""
    _says(answer, *list(_REASONS)[4:6])


@checks(way_to_serve)
def few_inputs_are_looked_up(answer):
    """How long does it take to fill a table with all answers, and how old may they be?"""
    _says(answer, *list(_REASONS)[2:4])


@checks(way_to_serve)
def the_table_must_keep_up(answer):
    """Is the table ready in time? Compare all answers together, `inputs` times `seconds_each`, with the age that is allowed."""
    _says(answer, *list(_REASONS)[6:])


@also_right(way_to_serve)
def asks_from_the_other_end(waits, inputs, max_age, seconds_each):
    if waits and max_age < inputs * seconds_each:
        return "online"
    return "lookup" if waits else "batch"


@also_right(way_to_serve)
def counts_answers_per_age(waits, inputs, max_age, seconds_each):
    can_be_filled = max_age / seconds_each  # answers
    return ("lookup" if inputs <= can_be_filled else "online") if waits else "batch"


@wrong(way_to_serve, caught_by=nobody_waits_for_a_batch)
def serves_everything_online(waits, inputs, max_age, seconds_each):
    return "online"


@wrong(way_to_serve, caught_by=nobody_waits_for_a_batch)
def says_real_time(waits, inputs, max_age, seconds_each):
    return "real-time" if waits else "nightly"


@wrong(way_to_serve, caught_by=new_inputs_are_online)
def looks_everything_up(waits, inputs, max_age, seconds_each):
    return "lookup" if waits else "batch"


@wrong(way_to_serve, caught_by=few_inputs_are_looked_up)
def knows_two_ways_alone(waits, inputs, max_age, seconds_each):
    return "online" if waits else "batch"


@wrong(way_to_serve, caught_by=the_table_must_keep_up)
def forgets_how_old_it_may_be(waits, inputs, max_age, seconds_each):
    return "batch" if not waits else "lookup" if inputs < float("inf") and max_age else "online"


@wrong(way_to_serve, caught_by=the_table_must_keep_up)
def draws_the_line_at_a_day(waits, inputs, max_age, seconds_each):
    return "batch" if not waits else "lookup" if max_age >= 24 * 3600 else "online"


# --- dangling_ports ---------------------------------------------------------------------------------------------------


@right
def dangling_ports(documents):
    """Return the ports that lead nowhere in a manifest: a sorted list of texts.

    `documents` is a list of dicts with one Deployment (with one container) and any number of Services. The
    container names its `ports`: each has a `containerPort` and perhaps a `name`. Refer to one of them by name
    or by number

    - each probe of the container (`startupProbe`, `readinessProbe`, `livenessProbe`, where there is one) in
      its `httpGet.port`: give the probe's name, as `"livenessProbe"`;
    - each Service in the `targetPort` of its `ports` (its `port`, where there is no `targetPort`): give
      `"Service "` and its name, once.
    """
    (deployment,) = [document for document in documents if document["kind"] == "Deployment"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    known = {port[key] for port in container["ports"] for key in ("name", "containerPort") if key in port}
    found = {
        name
        for name, probe in container.items()
        if name.endswith("Probe") and probe["httpGet"]["port"] not in known
    }
    for document in documents:
        if document["kind"] == "Service":
            targets = {port.get("targetPort", port["port"]) for port in document["spec"]["ports"]}
            if targets - known:
                found.add(f"Service {document['metadata']['name']}")
    return sorted(found)


def _probe(port):
    return {"httpGet": {"path": "/health", "port": port}}


def _service(name, *ports):
    return {"kind": "Service", "metadata": {"name": name}, "spec": {"ports": list(ports)}}


def _manifest(*services, ports=None, **probes):
    """A manifest with one container; its port is 8000 under the name http, where nothing else is given."""
    container = {"name": "server", "ports": ports or [{"name": "http", "containerPort": 8000}]}
    container |= {f"{name}Probe": _probe(port) for name, port in probes.items()}
    spec = {"template": {"spec": {"containers": [container]}}}
    deployment = {"kind": "Deployment", "metadata": {"name": "trip-service"}, "spec": spec}
    others = [{"kind": "ConfigMap", "metadata": {"name": "trip-service"}, "data": {}}]
    return others + [deployment, *services]


def _expect(answer, documents, wanted, what):
    before = copy.deepcopy(documents)
    got = answer(documents)
    assert isinstance(got, list), f"you returned a {type(got).__name__}, a list is asked for"
    assert got == wanted, f"{what}: you found {got}, it should be {wanted}"
    assert documents == before, "the manifest was changed by looking at it"


@checks(dangling_ports)
def a_sound_manifest_has_none(answer):
    """What can a reference point to? Collect the container's names *and* numbers in a set first."""
    service = _service("trips", {"port": 80, "targetPort": "http"})
    _expect(answer, _manifest(service, liveness="http", readiness=8000), [], "all ports are there")


@checks(dangling_ports)
def finds_the_probe(answer):
    """Where does a probe say which port it asks? Follow `httpGet` down to `port`, for each probe that is there."""
    _expect(answer, _manifest(liveness="web", readiness="http"), ["livenessProbe"], "a probe asks at 'web'")


@checks(dangling_ports)
def finds_every_probe(answer):
    """How many kinds of probes are there, and how many can be wrong at once? None of them has to be there."""
    wanted = ["readinessProbe", "startupProbe"]
    _expect(answer, _manifest(startup=8080, readiness="web"), wanted, "two probes ask at 8080 and 'web'")


@checks(dangling_ports)
def finds_the_service(answer):
    """To which of its two ports does a Service send? To a port of the container; the one it listens on may be another."""
    service = _service("trips", {"port": 80, "targetPort": 8080})
    _expect(answer, _manifest(service, liveness="http"), ["Service trips"], "a Service sends to 8080")


@checks(dangling_ports)
def without_a_target_the_port_counts(answer):
    """What does Kubernetes do when no `targetPort` is written? It takes the Service's own `port`."""
    service = _service("trips", {"port": 80})
    _expect(answer, _manifest(service), ["Service trips"], "a Service of port 80 has no targetPort")
    service = _service("trips", {"port": 8000})
    _expect(answer, _manifest(service), [], "a Service of port 8000 has no targetPort")


@checks(dangling_ports)
def names_and_numbers_are_all_ports(answer):
    """Does every port have a name, and is there only one? Not always; and a Service is named once, however many of its ports are wrong."""
    ports = [{"containerPort": 8000}, {"name": "metrics", "containerPort": 9090}]
    services = [_service("b", {"port": 1, "targetPort": "metrics"}), _service("a", {"port": 2}, {"port": 3})]
    documents = _manifest(*services, ports=ports, liveness=8000, startup="http")
    wanted = ["Service a", "startupProbe"]
    _expect(answer, documents, wanted, "two ports, of which one has a name; Service a has two wrong ones")


@also_right(dangling_ports)
def with_plain_loops(documents):
    offered, found = [], []
    for document in documents:
        if document["kind"] == "Deployment":
            box = document["spec"]["template"]["spec"]["containers"][0]
    for port in box["ports"]:
        offered += [port["containerPort"], port.get("name")]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if probe in box and box[probe]["httpGet"]["port"] not in offered:
            found.append(probe)
    for document in documents:
        if document["kind"] == "Service" and not all(
            (port["targetPort"] if "targetPort" in port else port["port"]) in offered
            for port in document["spec"]["ports"]
        ):
            found.append(f"Service {document['metadata']['name']}")
    return sorted(found)


@also_right(dangling_ports)
def with_all_references_in_one_table(documents):
    box = next(
        document["spec"]["template"]["spec"]["containers"][0]
        for document in documents
        if document["kind"] == "Deployment"
    )
    asks = [(name, box[name]["httpGet"]["port"]) for name in box if name.endswith("Probe")]
    asks += [
        (f"Service {document['metadata']['name']}", port.get("targetPort", port["port"]))
        for document in documents
        if document["kind"] == "Service"
        for port in document["spec"]["ports"]
    ]
    named = {port.get("name"): port["containerPort"] for port in box["ports"]}
    return sorted({who for who, port in asks if port not in named and port not in named.values()})


@wrong(dangling_ports, caught_by=a_sound_manifest_has_none)
def knows_names_alone(documents):
    container = documents[1]["spec"]["template"]["spec"]["containers"][0]
    known = {port.get("name") for port in container["ports"]}
    return sorted(
        n for n in container if n.endswith("Probe") and container[n]["httpGet"]["port"] not in known
    )


@wrong(dangling_ports, caught_by=finds_the_probe)
def looks_at_services_alone(documents):
    container = documents[1]["spec"]["template"]["spec"]["containers"][0]
    known = {port[key] for port in container["ports"] for key in port}
    return sorted(
        f"Service {document['metadata']['name']}"
        for document in documents
        if document["kind"] == "Service"
        and any(port.get("targetPort", port["port"]) not in known for port in document["spec"]["ports"])
    )


@wrong(dangling_ports, caught_by=finds_every_probe)
def stops_at_the_first(documents):
    return dangling_ports(documents)[:1]


@wrong(dangling_ports, caught_by=finds_every_probe)
def knows_liveness_alone(documents):
    return [name for name in dangling_ports(documents) if name not in {"readinessProbe", "startupProbe"}]


@wrong(dangling_ports, caught_by=finds_the_service)
def compares_the_services_own_port(documents):
    others = [document for document in documents if document["kind"] != "Service"]
    mine = [document for document in documents if document["kind"] == "Service"]
    mine = [document for document in mine if any(port["port"] == 8080 for port in document["spec"]["ports"])]
    return dangling_ports(others + mine)


@wrong(dangling_ports, caught_by=without_a_target_the_port_counts)
def skips_services_without_a_target(documents):
    kept = []
    for document in copy.deepcopy(documents):
        if document["kind"] == "Service":
            ports = document["spec"]["ports"]
            document["spec"]["ports"] = [port for port in ports if "targetPort" in port]
        kept.append(document)
    return dangling_ports(kept)


@wrong(dangling_ports, caught_by=names_and_numbers_are_all_ports)
def takes_the_first_port_alone(documents):
    documents = copy.deepcopy(documents)
    container = documents[1]["spec"]["template"]["spec"]["containers"][0]
    container["ports"] = container["ports"][:1]
    return dangling_ports(documents)


@wrong(dangling_ports, caught_by=names_and_numbers_are_all_ports)
def names_a_service_for_each_port(documents):
    container = documents[1]["spec"]["template"]["spec"]["containers"][0]
    known = {port[key] for port in container["ports"] for key in port}
    found = [n for n in container if n.endswith("Probe") and container[n]["httpGet"]["port"] not in known]
    for document in documents:
        for port in document["spec"]["ports"] if document["kind"] == "Service" else []:
            if port.get("targetPort", port["port"]) not in known:
                found.append(f"Service {document['metadata']['name']}")
    return sorted(found)

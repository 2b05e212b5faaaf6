"""Exercises of lesson 09: the body of a request, what to do with its answer, a way to serve, and dangling ports."""

import copy
import json

import numpy as np
import pandas as pd

from course.exercise import checks, right, wrong

# --- build_request ----------------------------------------------------------------------------------------------------


@right
def build_request(frame):
    """Return the body of a request to MLflow's server: the rows of the table `frame`, as a JSON text.

    Use the field `dataframe_split`, so that the columns keep their names. A missing value becomes `null`, a
    date the text of ISO 8601, as `2019-10-03T13:05:00`. `frame` stays as it was.
    """
    content = json.loads(frame.to_json(orient="split", index=False, date_format="iso", date_unit="s"))
    return json.dumps({"dataframe_split": content})


def _frame():
    """Two trips under index labels that don't count from 0, one zone missing, one date."""
    return pd.DataFrame(
        {
            "trip_distance": [1.3, 0.26],
            "pickup_location_id": [161.0, np.nan],
            "pickup_datetime": pd.to_datetime(["2019-10-03 13:05:00", "2019-10-02 09:15:29"]),
        },
        index=[29276, 8],
    )


def _strict(text):
    """Parse JSON as the standard has it, without NaN."""

    def refuse(name):
        raise AssertionError(f"the body contains {name}, which is no JSON: a missing value is `null`")

    return json.loads(text, parse_constant=refuse)


def _split(answer):
    """Return the content of `dataframe_split` that the answer builds; its frame is asserted."""
    body = _strict(answer(_frame()))
    assert isinstance(body, dict) and set(body) == {"dataframe_split"}, (
        f"the body has the fields {sorted(body) if isinstance(body, dict) else type(body).__name__}; "
        "it should be an object with the one field `dataframe_split`"
    )
    content = body["dataframe_split"]
    assert isinstance(content, dict), (
        f"`dataframe_split` holds a {type(content).__name__}, it should be an object with columns and data"
    )
    return content


@checks(build_request)
def returns_a_text_of_json(answer):
    """`frame.to_json(...)` knows dates and missing values, `json.dumps` knows neither; `json.loads` takes its text apart again."""
    text = answer(_frame())
    assert isinstance(text, str), f"you returned a {type(text).__name__}, a JSON text is asked for"
    try:
        _strict(text)
    except ValueError as error:
        raise AssertionError(f"this is no JSON: {error}") from None


@checks(build_request)
def wraps_it_in_one_field(answer):
    """`{"dataframe_split": {"columns": […], "data": […]}}`: an object in an object, not a text in an object."""
    _split(answer)


@checks(build_request)
def names_the_columns(answer):
    """`orient="split"` gives columns, data and the index; leave the index out with `index=False`, or let it be."""
    content = _split(answer)
    extra = set(content) - {"columns", "index", "data"}
    assert not extra, f"MLflow refuses {sorted(extra)} in `dataframe_split`"
    assert content.get("columns") == list(_frame()), (
        f"the columns are {content.get('columns')}, they should be {list(_frame())}"
    )
    lengths = [len(row) for row in content.get("data", [])]
    assert lengths == [3, 3], f"`data` should be two rows of three values, its rows have {lengths}"


@checks(build_request)
def missing_is_null(answer):
    """A missing value stays missing: `null`. Filled with 0 it is another zone, and the model believes it."""
    first, second = (row[1] for row in _split(answer)["data"])
    assert second is None, f"the missing zone was sent as {second!r}, it should be null"
    assert first == 161, f"the zone 161 was sent as {first!r}"


@checks(build_request)
def dates_are_iso_texts(answer):
    """`date_format="iso"`. The server takes a number for nanoseconds since 1970, whatever you meant."""
    sent = [row[2] for row in _split(answer)["data"]]
    assert all(isinstance(one, str) for one in sent), f"the dates were sent as {sent}, they should be texts"
    for one, wanted in zip(sent, ["2019-10-03T13:05:00", "2019-10-02T09:15:29"], strict=True):
        assert one.removesuffix(".000") == wanted, f"{wanted} was sent as {one!r}"


@checks(build_request)
def leaves_the_table_alone(answer):
    """Change a copy: `frame = frame.assign(...)`. The caller goes on with its table."""
    frame = _frame()
    answer(frame)
    pd.testing.assert_frame_equal(frame, _frame())


@wrong(build_request, caught_by=returns_a_text_of_json)
def dumps_the_dict(frame):
    return json.dumps({"dataframe_split": frame.to_dict(orient="split")})


@wrong(build_request, caught_by=returns_a_text_of_json)
def dumps_with_default_str(frame):
    return json.dumps({"dataframe_split": frame.to_dict(orient="split")}, default=str)


@wrong(build_request, caught_by=returns_a_text_of_json)
def returns_the_object(frame):
    return {"dataframe_split": json.loads(frame.to_json(orient="split", date_format="iso"))}


@wrong(build_request, caught_by=wraps_it_in_one_field)
def forgets_the_field(frame):
    return frame.to_json(orient="split", date_format="iso")


@wrong(build_request, caught_by=wraps_it_in_one_field)
def encodes_twice(frame):
    return json.dumps({"dataframe_split": frame.to_json(orient="split", date_format="iso")})


@wrong(build_request, caught_by=names_the_columns)
def sends_rows_without_names(frame):
    content = json.loads(frame.to_json(orient="split", date_format="iso"))
    return json.dumps({"dataframe_split": {"data": content["data"]}})


@wrong(build_request, caught_by=missing_is_null)
def fills_with_zero(frame):
    content = json.loads(frame.fillna(0).to_json(orient="split", date_format="iso"))
    return json.dumps({"dataframe_split": content})


@wrong(build_request, caught_by=missing_is_null)
def makes_everything_text(frame):
    rows = [[str(value) for value in row] for row in frame.to_numpy()]
    return json.dumps({"dataframe_split": {"columns": list(frame), "data": rows}})


@wrong(build_request, caught_by=dates_are_iso_texts)
def sends_milliseconds(frame):
    content = json.loads(frame.to_json(orient="split", date_format="iso"))
    for row, moment in zip(content["data"], frame["pickup_datetime"], strict=True):
        row[2] = int(moment.timestamp() * 1000)
    return json.dumps({"dataframe_split": content})


@wrong(build_request, caught_by=dates_are_iso_texts)
def drops_the_time(frame):
    frame = frame.assign(pickup_datetime=frame["pickup_datetime"].dt.strftime("%Y-%m-%d"))
    return json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split"))})


@wrong(build_request, caught_by=leaves_the_table_alone)
def writes_into_the_table(frame):
    frame["pickup_datetime"] = frame["pickup_datetime"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    return json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split"))})


# --- next_step --------------------------------------------------------------------------------------------------------


@right
def next_step(status):
    """Return what a client does after an answer with this status: "use", "fix", "retry" or "report".

    - "use": the prediction is there.
    - "fix": the request is wrong, and would be wrong again; somebody has to change the client.
    - "retry": the server, or something on the way, is busy or away for the moment. Wait, then try again.
    - "report": the server failed in itself; tell its owner.

    `status` is an int, or None when no answer came (no connection, or time out).
    """
    if status is None or status in {408, 429, 502, 503, 504}:
        return "retry"
    if status == 200:
        return "use"
    return "fix" if 400 <= status < 500 else "report"


def _steps(answer, wanted, why):
    for status in wanted:
        got = answer(status)
        assert got in {"use", "fix", "retry", "report"}, (
            f"for {status} you returned {got!r}, which is none of the four steps"
        )
        assert got == wanted[status], f"status {status}: you say {got!r}. {why[status]}"


@checks(next_step)
def a_200_is_used(answer):
    """Return one of the four words. 200 is the only status with a prediction in it."""
    _steps(answer, {200: "use"}, {200: "The prediction is there."})


@checks(next_step)
def clients_faults_are_fixed(answer):
    """Most of 4xx: sent again, the same request is refused again."""
    why = {
        400: "The body or its columns are wrong; ten more tries make ten more refusals.",
        404: "There is nothing at this address.",
        405: "`/invocations` wants POST.",
        413: "The body is too large, and will be next time.",
        415: "The content type is wrong.",
        422: "The values were understood and refused.",
    }
    _steps(answer, dict.fromkeys(why, "fix"), why)


@checks(next_step)
def a_crash_is_reported(answer):
    """500 comes from an error in the server's program: the same request meets the same error."""
    why = {
        500: "Something raised in the server; the same request would raise again.",
        501: "The server can't do this, now or later.",
    }
    _steps(answer, dict.fromkeys(why, "report"), why)


@checks(next_step)
def what_passes_is_retried(answer):
    """502, 503 and 504 come from a gateway or a full queue: in a second another copy may answer."""
    why = {
        502: "A gateway met a copy that was going away; another one may be there.",
        503: "The server says that it is overloaded, or draining.",
        504: "It took too long this time.",
    }
    _steps(answer, dict.fromkeys(why, "retry"), why)


@checks(next_step)
def no_answer_is_retried(answer):
    """None: no connection, or no answer in time. A prediction changes nothing, so asking twice does no harm."""
    _steps(answer, {None: "retry"}, {None: "A prediction can be asked for twice without harm."})


@checks(next_step)
def two_of_4xx_pass_too(answer):
    """429 says: too many requests for now. 408 says: your request took too long to arrive."""
    why = {
        429: "You sent too many; wait, and the same request is welcome.",
        408: "Your request took too long on its way; it was not wrong.",
    }
    _steps(answer, dict.fromkeys(why, "retry"), why)


@wrong(next_step, caught_by=a_200_is_used)
def answers_yes_or_no(status):
    return status == 200


@wrong(next_step, caught_by=clients_faults_are_fixed)
def retries_whatever_fails(status):
    return "use" if status == 200 else "retry"


@wrong(next_step, caught_by=clients_faults_are_fixed)
def knows_400_alone(status):
    if status is None or status in {408, 429, 502, 503, 504}:
        return "retry"
    return {200: "use", 400: "fix"}.get(status, "report")


@wrong(next_step, caught_by=a_crash_is_reported)
def retries_all_of_5xx(status):
    if status is None or status >= 500 or status in {408, 429}:
        return "retry"
    return "use" if status == 200 else "fix"


@wrong(next_step, caught_by=what_passes_is_retried)
def reports_all_of_5xx(status):
    if status is None or status in {408, 429}:
        return "retry"
    if status >= 500:
        return "report"
    return "use" if status == 200 else "fix"


@wrong(next_step, caught_by=no_answer_is_retried)
def compares_none(status):
    if status in {408, 429, 502, 503, 504}:
        return "retry"
    if status == 200:
        return "use"
    return "fix" if 400 <= status < 500 else "report"


@wrong(next_step, caught_by=no_answer_is_retried)
def reports_silence(status):
    if status is None:
        return "report"
    return next_step(status)


@wrong(next_step, caught_by=two_of_4xx_pass_too)
def fixes_all_of_4xx(status):
    if status is None or status in {502, 503, 504}:
        return "retry"
    if status == 200:
        return "use"
    return "fix" if 400 <= status < 500 else "report"


# --- serving_mode -----------------------------------------------------------------------------------------------------


def context():
    """`serving_mode` needs no name of the notebook."""
    return {}


@right(value=True)
def serving_mode():
    """How would you answer each of these? Bind `serving_mode` to a dict from each name to "batch", "lookup" or "online".

    - "drivers per zone tomorrow": planned each evening from the day's data.
    - "churn letter": a list of 2 million customers for a mailing on Monday.
    - "price shown before booking": by zone pair and hour; the price list is made once a day.
    - "arrival time on the way": from the position and the traffic of this minute.
    - "fraud at payment": from the payment itself, before it goes through.
    - "home page for a new visitor": known of them are the country and the device; popularity of last night will do.
    """
    return {
        "drivers per zone tomorrow": "batch",
        "churn letter": "batch",
        "price shown before booking": "lookup",
        "arrival time on the way": "online",
        "fraud at payment": "online",
        "home page for a new visitor": "lookup",
    }


_CASES = (
    "drivers per zone tomorrow",
    "churn letter",
    "price shown before booking",
    "arrival time on the way",
    "fraud at payment",
    "home page for a new visitor",
)


@checks(serving_mode)
def answers_each_case(answer):
    """`{"churn letter": "...", …}` with all six names as keys, and "batch", "lookup" or "online" as values."""
    assert isinstance(answer, dict), f"serving_mode is a {type(answer).__name__}, a dict is asked for"
    odd = sorted(set(map(str, answer)) ^ set(_CASES))
    assert not odd, f"these names are missing or unknown: {odd}"
    odd = sorted({str(value) for value in answer.values()} - {"batch", "lookup", "online"})
    assert not odd, f"{odd} is no way to serve; there are 'batch', 'lookup' and 'online'"


@checks(serving_mode)
def known_rows_are_batch(answer):
    """Nobody waits for these answers, and all rows are there the evening before."""
    for case in ("drivers per zone tomorrow", "churn letter"):
        assert answer[case] == "batch", (
            f"{case}: every row is known hours before, and a failed job can be repeated; "
            f"what does {answer[case]!r} add?"
        )


@checks(serving_mode)
def new_inputs_are_online(answer):
    """Ask for each: could anything have been computed before the request came?"""
    for case in ("arrival time on the way", "fraud at payment"):
        assert answer[case] == "online", (
            f"{case}: the input comes into being in that moment, so a {answer[case]} has no answer to it"
        )


@checks(serving_mode)
def few_inputs_are_looked_up(answer):
    """The request comes unannounced, but it is one of a few thousand possible ones, and last night's answer will do."""
    for case in ("price shown before booking", "home page for a new visitor"):
        assert answer[case] == "lookup", (
            f"{case}: all possible inputs fit into a table that is made once a day, and somebody waits for one "
            f"of them; {answer[case]!r} is slower or dearer"
        )


@wrong(serving_mode, caught_by=answers_each_case)
def gives_six_words():
    return ["batch", "batch", "lookup", "online", "online", "lookup"]


@wrong(serving_mode, caught_by=answers_each_case)
def says_real_time():
    return dict.fromkeys(_CASES, "real-time")


@wrong(serving_mode, caught_by=known_rows_are_batch)
def serves_everything():
    return dict.fromkeys(_CASES, "online")


@wrong(serving_mode, caught_by=new_inputs_are_online)
def looks_up_fraud():
    online = {"arrival time on the way": "online"}
    return {**dict.fromkeys(_CASES, "lookup"), **dict.fromkeys(_CASES[:2], "batch"), **online}


@wrong(serving_mode, caught_by=few_inputs_are_looked_up)
def knows_two_ways_alone():
    return {**dict.fromkeys(_CASES, "online"), **dict.fromkeys(_CASES[:2], "batch")}


@wrong(serving_mode, caught_by=few_inputs_are_looked_up)
def takes_a_visitor_for_new():
    return {**serving_mode(), "home page for a new visitor": "online"}


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
    """Collect what the container offers in a set first: names *and* numbers. A reference may be either."""
    service = _service("trips", {"port": 80, "targetPort": "http"})
    _expect(answer, _manifest(service, liveness="http", readiness=8000), [], "all ports are there")


@checks(dangling_ports)
def finds_the_probe(answer):
    """`container["livenessProbe"]["httpGet"]["port"]`, and the same for the other two, where there is one."""
    _expect(answer, _manifest(liveness="web", readiness="http"), ["livenessProbe"], "a probe asks at 'web'")


@checks(dangling_ports)
def finds_every_probe(answer):
    """Three kinds of probes, none of them must be there. Don't stop at the first that is wrong."""
    wanted = ["readinessProbe", "startupProbe"]
    _expect(answer, _manifest(startup=8080, readiness="web"), wanted, "two probes ask at 8080 and 'web'")


@checks(dangling_ports)
def finds_the_service(answer):
    """A Service sends to its `targetPort`, which is a port of the container; its own `port` may be another."""
    service = _service("trips", {"port": 80, "targetPort": 8080})
    _expect(answer, _manifest(service, liveness="http"), ["Service trips"], "a Service sends to 8080")


@checks(dangling_ports)
def without_a_target_the_port_counts(answer):
    """`port.get("targetPort", port["port"])`: Kubernetes takes the Service's own port where no target is named."""
    service = _service("trips", {"port": 80})
    _expect(answer, _manifest(service), ["Service trips"], "a Service of port 80 has no targetPort")
    service = _service("trips", {"port": 8000})
    _expect(answer, _manifest(service), [], "a Service of port 8000 has no targetPort")


@checks(dangling_ports)
def names_and_numbers_are_all_ports(answer):
    """A port without a name is referred to by its number, and there may be more than one."""
    ports = [{"containerPort": 8000}, {"name": "metrics", "containerPort": 9090}]
    services = [_service("b", {"port": 1, "targetPort": "metrics"}), _service("a", {"port": 2}, {"port": 3})]
    documents = _manifest(*services, ports=ports, liveness=8000, startup="http")
    wanted = ["Service a", "startupProbe"]
    _expect(answer, documents, wanted, "two ports, of which one has a name; Service a has two wrong ones")


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

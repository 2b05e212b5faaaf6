"""Ours and `mlflow models serve` answer every kind of request alike, or the difference is explained."""

import http.client
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from prometheus_client.parser import text_string_to_metric_families
from xgboost import XGBRegressor

from course.servers import HOST, fast_server, model_server

COLUMNS = ["distance", "zone", "hour", "weekend"]
ROW = [2.31, 151, 8.0, True]
JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
DATES = """
import mlflow

class Dated(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        late = model_input["at"].dt.hour.ge(20)
        letters = model_input["name"].str.len()
        return (letters + late * (params or {}).get("factor", 1)).astype(float).to_numpy()

mlflow.models.set_model(Dated())
"""


def body(rows=(ROW,), columns=COLUMNS, form="dataframe_split", **more) -> bytes:
    if form == "dataframe_split":
        content = {"columns": list(columns), "data": [list(row) for row in rows]}
    elif form == "inputs":
        content = {name: [row[i] for row in rows] for i, name in enumerate(columns)}
    else:
        content = [dict(zip(columns, row, strict=True)) for row in rows]
    return json.dumps({form: content} | more).encode()


def changed(column: str, value) -> dict[str, bytes]:
    """The row with one value replaced, in each format."""
    row = [value if name == column else old for name, old in zip(COLUMNS, ROW, strict=True)]
    return {form: body([row], form=form) for form in FORMS}


FORMS = ["dataframe_split", "dataframe_records", "instances", "inputs"]
VALUES = {
    "null in a double": ("distance", None),
    "NaN in a double": ("distance", float("nan")),
    "Infinity in a double": ("distance", float("inf")),
    "whole number in a double": ("distance", 3),
    "huge number in a double": ("distance", 1e300),
    "huge whole number in a double": ("distance", 10**25),
    "2**53 + 1 in a double": ("distance", 2**53 + 1),
    "string in a double": ("distance", "far"),
    "number as a string in a double": ("distance", "2.5"),
    "bool in a double": ("distance", True),
    "list in a double": ("distance", [2.5]),
    "object in a double": ("distance", {"km": 2.5}),
    "null in an integer": ("zone", None),
    "fraction in an integer": ("zone", 1.5),
    "whole float in an integer": ("zone", 151.0),
    "number as a string in an integer": ("zone", "151"),
    "bool in an integer": ("zone", True),
    "2**63 in an integer": ("zone", 2**63),
    "-(2**63) in an integer": ("zone", -(2**63)),
    "huge whole number in an integer": ("zone", 10**25),
    "number in a bool": ("weekend", 1),
    "null in a bool": ("weekend", None),
    "string in a bool": ("weekend", "false"),
}
OTHER = [name.replace("hour", "time") for name in COLUMNS]
SPLIT = {"columns": COLUMNS, "data": [ROW]}
REQUESTS = {
    **{f"{form}, one row": (JSON, body(form=form)) for form in FORMS},
    **{f"{form}, three rows": (JSON, body([ROW] * 3, form=form)) for form in FORMS},
    **{f"{form}, other order": (JSON, body([ROW[::-1]], COLUMNS[::-1], form)) for form in FORMS},
    **{f"{form}, extra column": (JSON, body([[*ROW, "x"]], [*COLUMNS, "note"], form)) for form in FORMS},
    **{f"{form}, renamed column": (JSON, body(columns=OTHER, form=form)) for form in FORMS},
    **{f"{form}, missing column": (JSON, body([ROW[1:]], COLUMNS[1:], form)) for form in FORMS},
    **{f"{form}, no rows": (JSON, body([], form=form)) for form in FORMS},
    **{f"{form}, params": (JSON, body(form=form, params={"factor": 2})) for form in FORMS},
    **{f"{form}, null": (JSON, json.dumps({form: None}).encode()) for form in FORMS},
    **{f"{form}, number": (JSON, json.dumps({form: 5}).encode()) for form in FORMS},
    **{f"{form}, nested list": (JSON, json.dumps({form: [[[1.0]]]}).encode()) for form in FORMS},
    **{
        f"{form}, {what}": (JSON, content)
        for what, (column, value) in VALUES.items()
        for form, content in changed(column, value).items()
    },
    "inputs as records": (JSON, json.dumps({"inputs": [dict(zip(COLUMNS, ROW, strict=True))]}).encode()),
    "inputs as one row of scalars": (
        JSON,
        json.dumps({"inputs": dict(zip(COLUMNS, ROW, strict=True))}).encode(),
    ),
    "inputs of two lengths": (
        JSON,
        json.dumps({"inputs": dict.fromkeys(COLUMNS, [1]) | {"zone": [1, 2]}}).encode(),
    ),
    "instances as lists": (JSON, json.dumps({"instances": [ROW]}).encode()),
    "records that differ": (JSON, json.dumps({"dataframe_records": [{"zone": 1}, {"hour": 2.0}]}).encode()),
    "split without columns": (JSON, json.dumps({"dataframe_split": {"data": [ROW]}}).encode()),
    "split with an index": (JSON, json.dumps({"dataframe_split": SPLIT | {"index": [7]}}).encode()),
    "split with a strange key": (JSON, json.dumps({"dataframe_split": SPLIT | {"rows": []}}).encode()),
    "split with short rows": (JSON, json.dumps({"dataframe_split": SPLIT | {"data": [ROW[1:]]}}).encode()),
    "split with a column twice": (JSON, body([[*ROW, 1]], [*COLUMNS, "zone"])),
    "two formats": (JSON, json.dumps({"dataframe_split": SPLIT, "inputs": {}}).encode()),
    "a format beside something else": (JSON, json.dumps({"dataframe_split": SPLIT, "id": 3}).encode()),
    "no format": (JSON, b'{"data": [[1]]}'),
    "format twice": (JSON, b'{"inputs": 1, ' + body()[1:]),
    "a chat": (JSON, b'{"messages": [{"role": "user", "content": "hi"}]}'),
    "a list": (JSON, b"[1, 2]"),
    "a number": (JSON, b"7"),
    "wrong JSON": (JSON, b'{"dataframe_split": {"columns": ['),
    "JSON and more": (JSON, body() + b"}"),
    "not UTF-8": (JSON, b'{"inputs": "\xff"}'),
    "UTF-16": (JSON, body().decode().encode("utf-16")),
    "byte order mark": (JSON, b"\xef\xbb\xbf" + body()),
    "nul byte": (JSON, body() + b"\0"),
    "spaces around": (JSON, b" \n" + body() + b"\t\r\n"),
    "nested too deeply": (JSON, b'{"inputs": ' + b"[" * 3000 + b"]" * 3000 + b"}"),
    "nested far too deeply": (JSON, b"[" * 200_000),
    "whole number of 5,000 digits": (JSON, b'{"inputs": ' + b"1" * 5000 + b"}"),
    "empty body": (JSON, b""),
    "empty object": (JSON, b"{}"),
    "charset": ({"content-type": "application/json; charset=utf-8"}, body()),
    "charset in capitals": ({"content-type": "application/json; charset=UTF-8"}, body()),
    "charset without a space": ({"content-type": "application/json;charset=utf-8"}, body()),
    "other charset": ({"content-type": "application/json; charset=latin-1"}, body()),
    "other parameter": ({"content-type": "application/json; version=1"}, body()),
    "type in capitals": ({"content-type": "Application/JSON"}, body()),
    "other content type": ({"content-type": "text/html"}, body()),
    "empty content type": ({"content-type": ""}, body()),
    "no content type": ({}, body()),
    "csv": (CSV, b"distance,zone,hour,weekend\n2.31,151,8.0,True\n"),
    "csv, missing value": (CSV, b"distance,zone,hour,weekend\n,151,8.0,True\n"),
    "csv, missing column": (CSV, b"distance,zone\n2.31,151\n"),
    "csv, text in an integer": (CSV, b"distance,zone,hour,weekend\n2.31,far,8.0,True\n"),
    "csv, empty": (CSV, b""),
    "csv, not UTF-8": (CSV, b"\xff\xfe"),
    "parquet that is none": ({"content-type": "application/vnd.apache.parquet"}, b"PAR1"),
}
AT = {"columns": ["at", "name"], "data": [["2019-01-05T21:30:00", "Ada"], ["2019-01-05 08:00", "Bo"]]}
DATED = {
    "dates": (JSON, json.dumps({"dataframe_split": AT}).encode()),
    "dates, params": (JSON, json.dumps({"dataframe_split": AT, "params": {"factor": 3}}).encode()),
    "dates, param of another type": (
        JSON,
        json.dumps({"dataframe_split": AT, "params": {"factor": "x"}}).encode(),
    ),
    "dates, unknown param": (JSON, json.dumps({"dataframe_split": AT, "params": {"speed": 3}}).encode()),
    "dates, params that are none": (JSON, json.dumps({"dataframe_split": AT, "params": [3]}).encode()),
    "dates, no date": (JSON, json.dumps({"dataframe_split": AT | {"data": [["soon", "Ada"]]}}).encode()),
    "dates, a missing one": (JSON, json.dumps({"dataframe_split": AT | {"data": [[None, "Ada"]]}}).encode()),
    "dates, instances": (
        JSON,
        json.dumps({"instances": [{"at": "2019-01-05T21:30:00", "name": "Ada"}]}).encode(),
    ),
    "dates, csv": (CSV, b"at,name\n2019-01-05T21:30:00,Ada\n"),
}
ASKED = {
    "GET /ping": ("GET", "/ping"),
    "GET /health": ("GET", "/health"),
    "GET /version": ("GET", "/version"),
    "HEAD /ping": ("HEAD", "/ping"),
    "POST /ping": ("POST", "/ping"),
    "GET /invocations": ("GET", "/invocations"),
    "DELETE /invocations": ("DELETE", "/invocations"),
    "GET /nothing": ("GET", "/nothing"),
    "GET /": ("GET", "/"),
    "GET /ping/": ("GET", "/ping/"),
    "GET /ping?x=1": ("GET", "/ping?x=1"),
    "GET /metrics": ("GET", "/metrics"),
    "GET /docs": ("GET", "/docs"),
}
FAILS = "the request is at fault, and MLflow's server fails on it: ours says what is wrong"
DIFFERENCES = {  # our status, MLflow's, why
    **({"nested too deeply": (400, 500, FAILS)} if sys.version_info < (3, 12) else {}),  # read there since
    "nested far too deeply": (400, 500, FAILS),
    "whole number of 5,000 digits": (400, 500, FAILS),
    "no content type": (400, 500, FAILS),
    "GET /metrics": (200, 404, "ours has counts to offer"),
    "GET /docs": (
        404,
        200,
        "FastAPI's page on itself loads scripts from the network; no part of the protocol",
    ),
}


def ask(server, method: str, path: str, headers=None, content: bytes | None = None) -> tuple[int, str, str]:
    """Status, body and content type, without what differs from call to call."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
    try:
        connection.putrequest(method, path)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if content is not None:
            connection.putheader("content-length", str(len(content)))
        connection.endheaders(content)
        answer = connection.getresponse()
        text, kind = answer.read().decode(), answer.getheader("content-type", "")
        extra = "".join(
            f" {answer.getheader(name)}" for name in ("allow", "location") if answer.getheader(name)
        )
        extra = extra.replace(str(server.port), "PORT")
    finally:
        connection.close()
    if text.startswith("{") and "stack_trace" in text:
        told = json.loads(text)
        told["stack_trace"] = told["stack_trace"].strip().splitlines()[-1]  # the frames are the server's own
        text = json.dumps(told)
    return answer.status, re.sub(r"0x[0-9a-f]{6,}", "0x…", text), kind + extra


def same(ours: tuple[int, str, str], theirs: tuple[int, str, str]) -> bool:
    """Equal to the byte, but for predictions: equal to a relative 1e-5."""
    start = '{"predictions": ['
    if not (ours[1].startswith(start) and theirs[1].startswith(start)):
        return ours == theirs
    numbers = [json.loads(text)["predictions"] for _, text, _ in (ours, theirs)]
    return ours[::2] == theirs[::2] and numbers[0] == pytest.approx(numbers[1], rel=1e-5, abs=0)


def compare(ours, theirs, requests) -> dict[str, tuple]:
    """The requests that the two answer differently, with both answers."""
    found = {}
    for name, request in requests.items():
        answers = ask(ours, *request), ask(theirs, *request)
        if not same(*answers):
            found[name] = answers
    return found


def counts(server) -> dict[tuple[str, str], float]:
    """Requests by path and status, as /metrics has them."""
    samples = [
        s for f in text_string_to_metric_families(ask(server, "GET", "/metrics")[1]) for s in f.samples
    ]
    named = [s for s in samples if s.name == "walkforward_requests_total"]
    return {(s.labels["path"], s.labels["status"]): s.value for s in named}


def save_trees(folder) -> None:
    random = np.random.default_rng(0)
    rows = pd.DataFrame(random.uniform(0, 20, (500, 4)), columns=COLUMNS).round(2)
    rows = rows.astype({"zone": "int64"}).assign(weekend=rows.weekend > 10)
    y = rows.distance * 3 + rows.zone + rows.weekend + 20
    more = {"signature": infer_signature(rows, y.to_numpy()), "input_example": rows.head(5)}
    model = XGBRegressor(n_estimators=20, n_jobs=1).fit(rows, y)
    mlflow.xgboost.save_model(model, folder, pip_requirements=["xgboost"], **more)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Ours and MLflow's server, for a model that compiles and for one with dates and params."""
    folder = tmp_path_factory.mktemp("contract")
    save_trees(folder / "trees")
    (folder / "dated.py").write_text(DATES, encoding="utf-8")
    example = pd.DataFrame({"at": pd.to_datetime(["2019-01-05T21:30"]), "name": ["Ada"]})
    more = {"signature": infer_signature(example, np.array([4.0]), params={"factor": 1})}
    more |= {"pip_requirements": ["pandas"]}
    mlflow.pyfunc.save_model(folder / "dated", python_model=folder / "dated.py", **more)

    def start(model, serve):
        return stack.enter_context(serve(str(folder / model), folder / f"{model}-{serve.__name__}"))

    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        patch.setenv("PYTHONHASHSEED", "0")  # MLflow writes a set into its messages
        patch.setenv("PYTHONWARNINGS", "ignore")
        jobs = {
            model: [pool.submit(start, model, serve) for serve in (fast_server, model_server)]
            for model in ("trees", "dated")
        }
        yield {model: tuple(job.result() for job in both) for model, both in jobs.items()}


def posts(requests):
    return {name: ("POST", "/invocations", headers, content) for name, (headers, content) in requests.items()}


def test_every_difference_is_explained(pairs):
    found = compare(*pairs["trees"], posts(REQUESTS) | ASKED) | compare(*pairs["dated"], posts(DATED))
    statuses = {name: (ours[0], theirs[0]) for name, (ours, theirs) in found.items()}
    assert statuses == {name: (ours, theirs) for name, (ours, theirs, _) in DIFFERENCES.items()}, found
    for name, (ours, _) in found.items():
        if DIFFERENCES[name][2] is FAILS:
            message = json.loads(ours[1])["message"]
            assert message and "\n" not in message


def test_the_plain_common_case_takes_the_fast_path_and_the_rest_does_not(pairs):
    """Or the comparison would be one of MLflow with itself."""
    server = pairs["trees"][0]
    fast = []
    for name, request in posts(REQUESTS).items():
        before = counts(server).get(("fast", "200"), 0)
        ask(server, *request)
        if counts(server).get(("fast", "200"), 0) > before:
            fast.append(name)
    assert {f"{form}, {rows}" for form in FORMS for rows in ("one row", "three rows", "other order")} <= set(
        fast
    )
    assert {f"{form}, null in a double" for form in FORMS} <= set(fast)  # XGBoost takes missing values
    strange = (
        "extra",
        "renamed",
        "missing column",
        "no rows",
        "params",
        "in a bool",
        "string",
        "huge",
        "2**",
        "index",
    )
    assert not [name for name in fast if any(word in name for word in strange)]


def test_red_a_planted_difference_is_seen(pairs):
    (ours, _), (_, other) = pairs["trees"], pairs["dated"]
    requests = posts(
        {name: REQUESTS[name] for name in ("csv", "empty body", "dataframe_split, missing column")}
    )
    found = compare(ours, other, requests | {"GET /version": ASKED["GET /version"]})
    assert set(found) == {"csv", "dataframe_split, missing column"}
    assert [both[0] for both in found["csv"]] == [200, 400]  # by its status
    assert [both[0] for both in found["dataframe_split, missing column"]] == [400, 400]  # by its words

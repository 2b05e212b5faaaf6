"""Spoiled bodies get a 4xx and harm nothing; what the fast path accepts, MLflow accepts and answers alike."""

import http.client
import json
import random
from concurrent.futures import ThreadPoolExecutor

import mlflow
import psutil
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations
from test_serving_contract import FORMS, JSON, ROW, body, counts, save_trees
from threadpoolctl import threadpool_limits
from weekly import WEEKLY

from course.servers import HOST, fast_server
from walkforward.serving import compiled, plain_rows

TOKENS = (
    "null true false NaN Infinity -Infinity 1e999 -0 -0.0 01 1. .5 +1 1e5 1E-400 0x10 9007199254740993 "
    '18446744073709551616 1e22 [] {} [[]] "" "1" "é" "\\ud800" "\\u0000" [1] {"a":1} 2147483648 0.1 5 , : ] }'
).split()
VALUES = [
    "2.31",
    "151",
    "8.0",
    "true",
    '"zone"',
    '"hour"',
    '"columns"',
    '"data"',
    *(f'"{form}"' for form in FORMS),
]
BODIES = [body(form=form) for form in FORMS] + [body([ROW] * 3, form=form) for form in FORMS]


LOADED = 20_000 if WEEKLY else 4_000  # requests to a server; the first two fifths warm it up
CLIENTS = 8


def spoiled(dice: random.Random, gently: bool = False) -> bytes:
    """A valid body with one to three faults; when `gently`, in its values alone."""
    content = dice.choice(BODIES)
    for _ in range(dice.choice([1, 1, 2, 3])):
        at, way = dice.randrange(len(content)), 9 if gently else dice.randrange(10)
        if way == 0:
            content = content[:at] or b"{"
        elif way == 1:
            content = content[:at] + bytes([dice.randrange(256)]) + content[at + 1 :]
        elif way == 2:
            content = content[:at] + content[at + dice.randrange(1, 9) :] or b"["
        elif way == 3:
            content = content[:at] + dice.randbytes(dice.randrange(1, 6)) + content[at:]
        elif way == 4:
            content = content[:at] + content[at : at + dice.randrange(40)] + content[at:]
        elif way == 5:
            content = content[at:] + content[:at]
        elif way == 6:
            content = content + dice.choice([b"}", b"\0", b"{}", b",", b"x"])
        else:
            old = dice.choice(VALUES[: 4 if gently else None]).encode()
            content = content.replace(old, dice.choice(TOKENS).encode(), dice.choice([1, 1, -1]))
    return content


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    save_trees(folder / "trees")
    return folder


def test_spoiled_bodies_never_get_a_5xx_and_the_server_neither_dies_nor_grows(trees):
    def send(seed: int, count: int) -> list[int]:
        dice, statuses = random.Random(seed), []
        connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
        for _ in range(count):
            connection.request("POST", "/invocations", spoiled(dice), JSON)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        return statuses

    with fast_server(str(trees / "trees"), trees) as server, ThreadPoolExecutor(CLIENTS) as pool:

        def memory() -> int:
            family = psutil.Process(server.process.pid).children(recursive=True)
            return sum(process.memory_info().rss for process in family)

        statuses = sum(pool.map(send, range(CLIENTS), [LOADED * 2 // 5 // CLIENTS] * CLIENTS), [])
        warm = memory()
        statuses += sum(
            pool.map(send, range(CLIENTS, 2 * CLIENTS), [LOADED * 3 // 5 // CLIENTS] * CLIENTS), []
        )
        assert len(statuses) == LOADED
        assert set(statuses) == {200, 400}  # some are still valid
        assert statuses.count(400) > 0.75 * LOADED
        assert memory() - warm < 40 * 2**20
        assert sum(counts(server).values()) == LOADED
        model = mlflow.pyfunc.load_model(str(trees / "trees"))
        theirs = invocations(BODIES[0], "application/json", model, model.metadata.get_input_schema())
        connection = http.client.HTTPConnection(HOST, server.port, timeout=30)
        connection.request("POST", "/invocations", BODIES[0], JSON)
        ours = json.loads(connection.getresponse().read())["predictions"]
        assert ours == pytest.approx(json.loads(theirs.response)["predictions"], rel=1e-5, abs=0)
        connection.close()


def test_what_the_fast_path_accepts_mlflow_answers_alike(trees):
    predictor = compiled(trees / "trees")
    assert predictor.path == "onnx"
    read, model = plain_rows(predictor), predictor.model
    schema, dice = model.metadata.get_input_schema(), random.Random(1)
    accepted = {}
    for turn in range(30_000):
        content = spoiled(dice, gently=turn % 3 > 0)
        try:
            accepted[content] = read(content)
        except ValueError:
            continue
        if len(accepted) == 400:
            break
    assert len(accepted) >= 300
    with threadpool_limits(1):
        for content, rows in accepted.items():
            answer = invocations(content, "application/json", model, schema)  # raises what it refuses
            expected = json.loads(answer.response)["predictions"]
            assert predictor.predict(rows).tolist() == pytest.approx(expected, rel=1e-5, abs=0), content


def test_red_a_reader_that_accepts_too_much_is_seen(trees):
    """What MLflow refuses, `invocations` raises for, whatever a reader says."""
    model = mlflow.pyfunc.load_model(str(trees / "trees"))
    content = BODIES[0].replace(b"2.31", b'"far"')
    with pytest.raises(MlflowException):
        invocations(content, "application/json", model, model.metadata.get_input_schema())
    with pytest.raises(ValueError, match="str"):
        plain_rows(compiled(model))(content)

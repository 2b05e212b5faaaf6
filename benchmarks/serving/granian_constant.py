"""The limit: the server reads the body and answers a constant as long as a real answer."""

from typing import Any

ANSWER = b'{"predictions": [12.345678329467773]}'
JSON = [("content-type", "application/json")]


async def app(scope: Any, protocol: Any) -> None:
    if scope.path != "/invocations":
        return protocol.response_empty(200, [])
    await protocol()
    protocol.response_bytes(200, JSON, ANSWER)

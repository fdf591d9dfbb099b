"""The other side: rows asked of a running server, in their order, again with the same request id when the connection fails."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelway.errors import DataError, NotFoundError, ServerError, StateError
from modelway.serving.protocol import format_request
from modelway.serving.replies import parse_answers, parse_error

if TYPE_CHECKING:
    import httpx

CHUNK = 1_000
"""Rows in one request."""
TRIES = 6
_BUSY = 429
_FIRST_PAUSE_SECONDS = 0.1


def infer(
    client: "httpx.Client",
    url: str,
    model: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    request: str,
    version: int | None = None,
    routing_key: str = "",
    chunk: int = CHUNK,
    tries: int = TRIES,
    pause: Callable[[float], None] = time.sleep,
    tell: Callable[[int], None] = lambda done: None,
) -> list[dict[str, Any]]:
    """One dict a row, in order: prediction, probabilities by class, reason, version (see `replies.parse_answers`).

    `request` names the request (of several chunks: with their number behind it); what is asked twice bears the same id, and is
    one row in the lake. Raises DataError (400), NotFoundError (404), StateError (401, 403), ServerError when the server
    does not answer.
    """
    place = f"{url}/v2/models/{model}" + (f"/versions/{version}" if version is not None else "") + "/infer"
    starts = range(0, len(rows), chunk)
    answers: list[dict[str, Any]] = []
    for start in starts:
        part = rows[start : start + chunk]
        name = request if len(starts) == 1 else f"{request}-{start // chunk}"
        body = format_request(_columns(part), id=name, routing_key=routing_key)
        answers += parse_answers(_post(client, place, body, tries, pause))
        tell(len(answers))
    return answers


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _post(client: "httpx.Client", place: str, body: bytes, tries: int, pause: Callable[[float], None]) -> bytes:
    import httpx

    problem = ""
    for attempt in range(tries):
        if attempt:
            pause(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            reply = client.post(place, content=body, headers={"content-type": "application/json"})
        except httpx.TransportError as error:
            problem = f"{type(error).__name__}: {error}"
            continue
        if reply.status_code == 200:
            return reply.content
        said, fix = parse_error(reply.content)
        if reply.status_code == 404:
            raise NotFoundError(said, fix)
        if reply.status_code in (401, 403):
            raise StateError(said, fix)
        if reply.status_code < 500 and reply.status_code != _BUSY:
            raise DataError(said, fix)
        problem = said
    raise ServerError(
        f"{place} did not answer in {tries} tries: {problem}", "see .modelway/logs/server.log", transient=True
    )

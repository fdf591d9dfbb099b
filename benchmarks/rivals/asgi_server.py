"""uvicorn (uvloop, httptools), one raw ASGI function, orjson, ONNX Runtime: no framework, no validation, no log."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import orjson
import uvicorn

from benchmarks.rivals.session import open_session

JSON = [(b"content-type", b"application/json")]


def application(graph: str) -> Callable[..., Awaitable[None]]:
    """Answers any path: with a body by inference, without one by `ready`."""
    session = open_session(graph)

    async def answer(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        del scope
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        said = _infer(session, body) if body else b'{"ready":true}'
        headers = [*JSON, (b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    return answer


def _infer(session: Any, body: bytes) -> bytes:
    tensor = orjson.loads(body)["inputs"][0]
    rows = np.array(tensor["data"], dtype=np.float64).reshape(tensor["shape"])
    scores = session.run(["scores"], {"numbers": rows})[0]
    output = {"name": "scores", "datatype": "FP64", "shape": scores.shape, "data": scores.ravel().tolist()}
    return orjson.dumps({"model_name": "loans", "model_version": "1", "outputs": [output]})


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[1]),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
    )

"""Run by the Python of the clients' environment: tritonclient over TLS with a token; prints what it saw.

GRPC HTTP CERTIFICATE TOKEN: two ports of localhost, a file, and a token of the role infer.
"""

import asyncio
import json
import sys

import gevent.ssl
import numpy as np
import tritonclient.grpc as grpc
import tritonclient.grpc.aio as asynchronous
import tritonclient.http as http
from tritonclient.utils import InferenceServerException


def inputs(kind):
    income = kind.InferInput("income", [1], "FP64")
    income.set_data_from_numpy(np.array([3.0]))
    return [income]


def code(call):
    try:
        call()
    except InferenceServerException as error:
        return str(error.status())
    return "OK"


def ask(client, kind, headers):
    return {
        "live": client.is_server_live(),
        "with": float(client.infer("loans", inputs(kind), headers=headers).as_numpy("probability_good")[0]),
        "model": client.get_model_metadata("loans", headers=headers) is not None,
        "without": code(lambda: client.infer("loans", inputs(kind))),
        "wrong": code(lambda: client.infer("loans", inputs(kind), headers={"authorization": "Bearer no"})),
        "index": code(lambda: client.get_model_repository_index(headers=headers)),
    }


async def aio(url, certificate, headers):
    async with asynchronous.InferenceServerClient(url, ssl=True, root_certificates=certificate) as client:
        result = await client.infer("loans", inputs(asynchronous), headers=headers)
        return float(result.as_numpy("probability_good")[0])


def main(grpc_port, http_port, certificate, token):
    headers = {"authorization": f"Bearer {token}"}
    url = f"localhost:{grpc_port}"
    with grpc.InferenceServerClient(url, ssl=True, root_certificates=certificate) as client:
        found = {"grpc": ask(client, grpc, headers)}

    def trusting():
        return gevent.ssl.create_default_context(cafile=certificate)

    with http.InferenceServerClient(f"localhost:{http_port}", ssl=True, ssl_context_factory=trusting) as client:
        found["http"] = ask(client, http, dict(headers))  # it writes into them
    found["aio"] = asyncio.run(aio(url, certificate, headers))
    print(json.dumps(found))


main(*sys.argv[1:])

"""Run by the Python of the clients' environment: tritonclient over HTTP, blocking and asyncio, on ADDRESS; prints what it saw."""

import asyncio
import json
import sys

import numpy as np
import tritonclient.http as blocking
import tritonclient.http.aio as asynchronous
from tritonclient.utils import InferenceServerException

INCOMES = [3.0, 0.25, np.nan, -4.0]
IDS = ["a", "ä", "c", "d"]


def inputs(kind, binary=True, dtype=np.float64):
    datatype = {np.float64: "FP64", np.float32: "FP32", np.float16: "FP16"}[dtype]
    income, names = kind.InferInput("income", [4], datatype), kind.InferInput("id", [4, 1], "BYTES")
    incomes = INCOMES if binary else [*INCOMES[:2], 1.0, INCOMES[3]]  # its JSON knows no missing number
    income.set_data_from_numpy(np.array(incomes, dtype), binary_data=binary)
    names.set_data_from_numpy(np.array(IDS, dtype=object).reshape(4, 1), binary_data=binary)
    return [income, names]


def seen(result):
    return {
        "id": result.get_response()["id"],
        "version": result.get_response()["model_version"],
        "probability_good": [None if np.isnan(p) else float(p) for p in result.as_numpy("probability_good")],
        "prediction": [t.decode() if isinstance(t, bytes) else t for t in result.as_numpy("prediction")],
    }


def refused(call):
    try:
        call()
    except InferenceServerException as error:
        return [str(error.status()), error.message()]
    return ["OK", ""]


def ask(address):
    with blocking.InferenceServerClient(address, concurrency=8) as client:
        chosen = [
            blocking.InferRequestedOutput("probability_good", binary_data=True),
            blocking.InferRequestedOutput("prediction", binary_data=False),
        ]
        together = [client.async_infer("loans", inputs(blocking), request_id=f"c{number}") for number in range(20)]
        return {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model_ready": client.is_model_ready("loans", "1"),
            "server": client.get_server_metadata(),
            "model": client.get_model_metadata("loans"),
            "index": client.get_model_repository_index(),
            "raw": seen(client.infer("loans", inputs(blocking), request_id="t1", timeout=10_000_000)),
            "json": seen(client.infer("loans", inputs(blocking, binary=False), request_id="t2")),
            "narrow": seen(client.infer("loans", inputs(blocking, dtype=np.float16), model_version="1")),
            "chosen": seen(client.infer("loans", inputs(blocking), outputs=chosen)),
            "packed": seen(
                client.infer(
                    "loans",
                    inputs(blocking),
                    request_compression_algorithm="gzip",
                    response_compression_algorithm="deflate",
                )
            ),
            "called": [one.get_result().get_response()["id"] for one in together],
            "unknown": refused(lambda: client.infer("nobody", inputs(blocking))),
            "bad": refused(lambda: client.infer("loans", inputs(blocking)[1:])),
            "load": refused(lambda: client.load_model("loans")),
            "unload": refused(lambda: client.unload_model("loans")),
        }


async def ask_on_a_loop(address):
    async with asynchronous.InferenceServerClient(address) as client:
        asked = [client.infer("loans", inputs(asynchronous), request_id=f"l{number}") for number in range(50)]
        together = [seen(result) for result in await asyncio.gather(*asked)]
        return {
            "live": await client.is_server_live(),
            "metadata": (await client.get_model_metadata("loans"))["name"],
            "ids": [one.pop("id") for one in together],
            "same": all(one == together[0] for one in together),
            "infer": together[0],
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"blocking": ask(sys.argv[1]), "loop": asyncio.run(ask_on_a_loop(sys.argv[1]))}))

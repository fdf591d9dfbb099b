"""Run by the Python of the clients' environment: tritonclient over gRPC, blocking and asyncio, on ADDRESS; prints what it saw."""

import asyncio
import json
import queue
import sys

import numpy as np
import tritonclient.grpc as blocking
import tritonclient.grpc.aio as asynchronous
from tritonclient.utils import InferenceServerException

INCOMES = [3.0, 0.25, None, -4.0]
IDS = ["a", "ä", "c", "d"]


def inputs(kind, dtype=np.float64):
    datatype = {np.float64: "FP64", np.float32: "FP32", np.float16: "FP16", np.int64: "INT64"}[dtype]
    values = [np.nan if value is None else value for value in INCOMES]
    if dtype is np.int64:
        values = [3, 0, 7, -4]
    income, names = kind.InferInput("income", [4], datatype), kind.InferInput("id", [4, 1], "BYTES")
    income.set_data_from_numpy(np.array(values, dtype))
    names.set_data_from_numpy(np.array(IDS, dtype=object).reshape(4, 1))
    return [income, names]


def seen(result):
    return {
        "id": result.get_response().id,
        "version": result.get_response().model_version,
        "probability_good": [None if np.isnan(p) else float(p) for p in result.as_numpy("probability_good")],
        "prediction": [text.decode() for text in result.as_numpy("prediction")],
        "reason": [text.decode() for text in result.as_numpy("reason")],
    }


def code(call):
    try:
        call()
    except InferenceServerException as error:
        return [str(error.status()), error.message()]
    return ["OK", ""]


def ask(address):
    with blocking.InferenceServerClient(address) as client:
        index = client.get_model_repository_index().models
        found = {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model_ready": client.is_model_ready("loans", "1"),
            "server": client.get_server_metadata(as_json=True),
            "model": client.get_model_metadata("loans", as_json=True),
            "index": [[one.name, one.version, one.state] for one in index],
            "infer": seen(client.infer("loans", inputs(blocking), request_id="t1", timeout=10_000_000)),
            "version": seen(client.infer("loans", inputs(blocking), model_version="1", client_timeout=20))["version"],
            "packed": seen(client.infer("loans", inputs(blocking), compression_algorithm="gzip")),
            "parameters": seen(client.infer("loans", inputs(blocking), parameters={"routing_key": "me"})),
            "narrow": {
                str(np.dtype(dtype)): seen(client.infer("loans", inputs(blocking, dtype)))
                for dtype in (np.float32, np.float16, np.int64)
            },
            "unknown": code(lambda: client.infer("nobody", inputs(blocking))),
            "bad": code(lambda: client.infer("loans", inputs(blocking)[1:])),
            "load": code(lambda: client.load_model("loans")),
            "unload": code(lambda: client.unload_model("loans")),
            "statistics": code(lambda: client.get_inference_statistics("loans")),
        }
        wanted = [blocking.InferRequestedOutput("probability_good")]
        chosen = client.infer("loans", inputs(blocking), outputs=wanted).get_response()
        found["chosen"] = [output.name for output in chosen.outputs]
        called = queue.Queue()
        for number in range(20):
            client.async_infer(
                "loans", inputs(blocking), lambda result, error: called.put((result, error)), request_id=f"c{number}"
            )
        done = [called.get(timeout=30) for _ in range(20)]
        found["called_back"] = sorted(result.get_response().id for result, error in done if error is None)
        streamed = queue.Queue()
        client.start_stream(callback=lambda result, error: streamed.put((result, error)))
        client.async_stream_infer("loans", inputs(blocking), request_id="s1")
        client.async_stream_infer("loans", inputs(blocking)[1:], request_id="s2")
        client.async_stream_infer("loans", inputs(blocking), request_id="s3")
        said = [streamed.get(timeout=30) for _ in range(3)]
        client.stop_stream()
        found["stream"] = [None if error else seen(result)["id"] for result, error in said]
        found["stream_error"] = next(str(error) for _, error in said if error)
        return found


async def ask_on_a_loop(address):
    async with asynchronous.InferenceServerClient(address) as client:
        asked = [client.infer("loans", inputs(asynchronous), request_id=f"l{number}") for number in range(50)]
        together = [seen(result) for result in await asyncio.gather(*asked)]
        return {
            "live": await client.is_server_live(),
            "metadata": (await client.get_model_metadata("loans")).name,
            "ids": [one.pop("id") for one in together],
            "same": all(one == together[0] for one in together),
            "infer": together[0],
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"blocking": ask(sys.argv[1]), "loop": asyncio.run(ask_on_a_loop(sys.argv[1]))}))

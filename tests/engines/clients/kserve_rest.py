"""Run by the Python of the clients' environment: KServe's InferenceRESTClient on ADDRESS; prints what it saw."""

import asyncio
import json
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


def request(name, binary):
    income, ids = InferInput("income", [3], "FP64"), InferInput("id", [3], "BYTES")
    income.set_data_from_numpy(np.array([3.0, 0.25, -4.0]), binary_data=binary)
    ids.set_data_from_numpy(np.array(["a", "b", "c"], dtype=object), binary_data=binary)
    return InferRequest("loans", [income, ids], request_id=name)


def seen(response):
    outputs = {output.name: output for output in response.outputs}
    numbers = outputs["probability_good"].data
    return {
        "id": response.id,
        "probability_good": list(numbers),
        "prediction": [p.decode() if isinstance(p, bytes) else p for p in outputs["prediction"].data],
    }


async def main(base):
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=1))
    found = {
        "live": await client.is_server_live(base),
        "ready": await client.is_server_ready(base),
        "model_ready": await client.is_model_ready(base, "loans"),
        "plain": seen(await client.infer(base, request("k1", False), model_name="loans")),
        "binary": seen(await client.infer(base, request("k2", True), model_name="loans")),
    }
    try:
        await client.infer(base, request("x", False), model_name="nobody")
    except httpx.HTTPStatusError as error:
        found["unknown"] = error.response.status_code
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1]))))

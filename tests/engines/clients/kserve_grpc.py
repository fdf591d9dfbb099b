"""Run by the Python of the clients' environment: KServe's InferenceGRPCClient on ADDRESS; prints what it saw."""

import asyncio
import json
import sys

import grpc
import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages

INCOMES = [3.0, 0.25, -4.0]


def request(name, binary):
    income, ids = InferInput("income", [3], "FP64"), InferInput("id", [3], "BYTES")
    income.set_data_from_numpy(np.array(INCOMES), binary_data=binary)
    ids.set_data_from_numpy(np.array(["a", "b", "c"], dtype=object), binary_data=binary)
    return InferRequest("loans", [income, ids], request_id=name)


def seen(response):
    outputs = {output.name: output for output in response.outputs}
    return {
        "id": response.id,
        "version": response.model_version,
        "probability_good": [float(p) for p in outputs["probability_good"].as_numpy()],
        "prediction": [p.decode() if isinstance(p, bytes) else p for p in outputs["prediction"].as_numpy()],
    }


async def main(address):
    async with InferenceGRPCClient(address) as client:
        found = {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model_ready": await client.is_model_ready("loans"),
            "plain": seen(await client.infer(request("k1", False))),
            "binary": seen(await client.infer(request("k2", True))),
        }
        try:
            await client.infer(InferRequest("nobody", request("x", True).inputs))
        except grpc.RpcError as error:
            found["unknown"] = [error.code().name, error.details()]
    async with grpc.aio.insecure_channel(address) as channel:
        load = channel.unary_unary(
            "/inference.GRPCInferenceService/RepositoryModelLoad",
            request_serializer=messages.RepositoryModelLoadRequest.SerializeToString,
            response_deserializer=messages.RepositoryModelLoadResponse.FromString,
        )
        answer = await load(messages.RepositoryModelLoadRequest(model_name="loans"))
        found["load"] = [answer.model_name, answer.isLoaded]
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1]))))

"""The limit of gRPC in Python, no server to use: grpcio's own server for asyncio that sends the same bytes to everybody."""

import sys

import grpc
from grpc import aio

METHOD = "inference.GRPCInferenceService"


async def serve(port: int, reply: bytes) -> None:
    """Until it is ended."""

    async def infer(request: bytes, context: aio.ServicerContext) -> bytes:
        return reply

    server = aio.server()
    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(METHOD, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), bytes(int(sys.argv[2]))))

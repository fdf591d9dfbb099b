"""The Open Inference Protocol over gRPC: a second edge of the same data plane, on a port of its own and the same event loop.

`inference_pb2.py` is generated from `inference.proto` (tools/protocol.sh).
"""

#!/usr/bin/env bash
# Generates serving/grpc/inference_pb2.py anew, with the last generator whose code runs on protobuf 5.26 and on 6 alike (26.1: later
# ones demand their own version or a newer one). $1: the folder of an environment of its own.
set -euo pipefail
venv=${1:-.venv-protocol}
boot=.venv-uv
command -v uv >/dev/null || { [ -x "$boot/bin/uv" ] || { python3 -m venv "$boot" && "$boot/bin/pip" install --quiet uv; }; PATH="$PWD/$boot/bin:$PATH"; }
uv venv --quiet --allow-existing --python 3.11 "$venv"
uv pip install --quiet --python "$venv/bin/python" "grpcio-tools==1.65.5" "setuptools<80"
"$venv/bin/python" -m grpc_tools.protoc -I src --python_out=src src/modelway/serving/grpc/inference.proto

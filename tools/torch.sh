#!/usr/bin/env bash
# Proves the exact export of PyTorch modules (skorch), and training and serving with them, with the Python $1, in an environment of its own,
# from the lock. PyPI's wheel for Linux brings CUDA: some 5 GB to unpack, 50 s the first time and 4 s from a warm cache (measured).
set -euo pipefail
python=$1 place=.venv-torch
if [ ! -e "$place/.ready" ]; then
  "$python" -m venv --without-pip "$place"
  PATH="$PWD/.venv-uv/bin:$PATH" uv pip install --quiet --python "$place/bin/python" --require-hashes -r requirements/torch.txt
  PATH="$PWD/.venv-uv/bin:$PATH" uv pip install --quiet --python "$place/bin/python" --no-deps --editable .
  touch "$place/.ready"
fi
"$place/bin/python" -m pytest -m "slow or not slow" -n 2 --dist worksteal tests/unit/export/test_skorch.py tests/unit/training/test_torch.py tests/e2e/test_torch.py

#!/usr/bin/env bash
# Makes the environment $1 for Python $2 from the committed lock. Needs Python 3.11+ with pip or uv; everything else comes from PyPI.
set -euo pipefail
venv=$1 python=$2
unset PYTHONDONTWRITEBYTECODE
if ! command -v uv >/dev/null; then
  boot=.venv-uv
  [ -x "$boot/bin/uv" ] || { python3 -m venv "$boot" && "$boot/bin/pip" install --quiet --disable-pip-version-check uv; }
  PATH="$PWD/$boot/bin:$PATH"
fi
echo "setting up $venv (Python $python) from requirements/dev.txt"
uv venv --quiet --allow-existing --python "$python" "$venv"
uv pip install --quiet --python "$venv/bin/python" --compile-bytecode --require-hashes -r requirements/dev.txt
uv pip install --quiet --python "$venv/bin/python" --no-deps --editable .
touch "$venv/.ready"

#!/usr/bin/env bash
# Installs the core with the Python library of every engine to come from the lock, and imports them all in one process.
set -euo pipefail
venv=${1:-.venv-stack}
unset PYTHONDONTWRITEBYTECODE
boot=.venv-uv
command -v uv >/dev/null || { [ -x "$boot/bin/uv" ] || { python3 -m venv "$boot" && "$boot/bin/pip" install --quiet uv; }; PATH="$PWD/$boot/bin:$PATH"; }
uv venv --quiet --allow-existing --python 3.11 "$venv"
uv pip install --quiet --python "$venv/bin/python" --compile-bytecode --require-hashes -r requirements/stack.txt
uv pip install --quiet --python "$venv/bin/python" --no-deps --editable .
uv pip check --python "$venv/bin/python"
"$venv/bin/python" tools/import_stack.py

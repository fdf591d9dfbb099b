#!/usr/bin/env bash
# Makes the environment $1 with clients that others wrote (tritonclient, KServe's SDK), from the lock. An environment of its own:
# their files of the protocol and ours have the same names.
set -euo pipefail
venv=${1:?the folder of the environment to make} python=${2:-3.11}
here=$(cd "$(dirname "$0")/.." && pwd)
boot=$here/.venv-uv
command -v uv >/dev/null || { [ -x "$boot/bin/uv" ] || { python3 -m venv "$boot" && "$boot/bin/pip" install --quiet uv; }; PATH="$boot/bin:$PATH"; }
uv venv --quiet --allow-existing --python "$python" "$venv"
uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$here/requirements/clients.txt"
touch "$venv/.clients-ready"

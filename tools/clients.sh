#!/usr/bin/env bash
# Makes the environment $1 with clients that others wrote (tritonclient, KServe's SDK, schemathesis), and in it $1/mlserver, from the locks.
# Environments of their own: their files of the protocol and ours have the same names. One that is as the locks say is left as it is.
set -euo pipefail
venv=${1:?the folder of the environment to make} python=${2:-3.11}
here=$(cd "$(dirname "$0")/.." && pwd)
boot=$here/.venv-uv ready=$venv/.clients-ready
locks=$(cat "$here/requirements/clients.txt" "$here/requirements/mlserver.txt" | sha256sum)
[ ! -f "$ready" ] || [ "$(cat "$ready")" != "$locks" ] || exit 0
command -v uv >/dev/null || { [ -x "$boot/bin/uv" ] || { python3 -m venv "$boot" && "$boot/bin/pip" install --quiet uv; }; PATH="$boot/bin:$PATH"; }
make() {
  uv venv --quiet --allow-existing --python "$python" "$2"
  uv pip install --quiet --python "$2/bin/python" --require-hashes -r "$here/requirements/$1.txt"
}
make clients "$venv"
make mlserver "$venv/mlserver"
echo "$locks" >"$ready"

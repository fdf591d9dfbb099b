#!/usr/bin/env bash
# Three locks that agree: stack (all engines), dev (core, extras, tools), core (what a user needs). exports: dev with the libraries whose
# models and transformers are exported, too heavy for every day; torch: dev with PyTorch, heavier still. engines (servers out of wheels), spark, clients and mlserver (of others).
set -euo pipefail
compile() { uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --quiet "$@"; }
extras=(--extra examples --extra great-expectations --extra kafka --extra mlflow --extra postgres --extra tracing --extra valkey)
exported=(--extra catboost --extra category-encoders --extra feature-engine --extra optbinning --extra xgboost)
compile "${extras[@]}" --group dev --group stack -o requirements/stack.txt
compile "${extras[@]}" --group dev -c requirements/stack.txt -o requirements/dev.txt
compile -c requirements/stack.txt -o requirements/core.txt
compile "${extras[@]}" "${exported[@]}" --group dev -c requirements/stack.txt -o requirements/exports.txt
compile --extra torch --group dev -c requirements/stack.txt -o requirements/torch.txt
for group in engines spark clients mlserver; do
  uv pip compile --group "$group" --universal --python-version 3.11 --generate-hashes --no-header --quiet -o "requirements/$group.txt"
done

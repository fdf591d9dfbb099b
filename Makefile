# Two commands on a fresh machine: `make demo`, `make test`. Each sets up what it needs with PyPI alone.
.PHONY: help setup demo fraud test test-all test-thorough check engines spark clients bench bench-data bench-serving prove-canary soak stack lock docs clean
PYTHON ?= 3.11
VENV ?= .venv
PY := $(VENV)/bin/python
export PYTHONDONTWRITEBYTECODE :=

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.ready: pyproject.toml requirements/dev.txt tools/setup.sh
	@bash tools/setup.sh $(VENV) $(PYTHON)

setup: $(VENV)/.ready  ## the Python environment, from the hash-pinned lock

demo: setup  ## replay twenty years of the market example through the whole loop, and write the report
	@$(PY) -m examples.market_risk

fraud: setup  ## the fraud example: a stream of card payments through the whole loop, judged as the Fraud Detection Handbook does
	@$(PY) -m examples.card_fraud

test: setup  ## every test that needs PyPI alone; of kills and broken frames a part
	@$(PY) -m pytest -n 2 --dist worksteal
	@$(PY) -m pytest -n 2 --dist worksteal -m "slow and not engines"

test-all: ## the tests on Python 3.12 and 3.13 too
	@for v in 3.12 3.13; do $(MAKE) test VENV=.venv-$$v PYTHON=$$v || exit 1; done

test-thorough: setup  ## the tests that kill and fuzz at full size: each point of a kill, a million broken frames
	@MODELWAY_TEST_THOROUGH=1 $(PY) -m pytest -n 2 --dist worksteal -m "slow and not engines"

check: setup  ## lint, format, types, import rules
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy && $(VENV)/bin/lint-imports

engines: setup  ## contract tests on the real engines (PostgreSQL, Kafka, S3, Valkey, Spark, Great Expectations), exported libraries, clients of others
	@bash tools/engines.sh $(PY)

spark:  ## an environment of its own with Spark (Java 17 and Maven are needed); `make engines` uses it
	@bash tools/spark.sh .venv-spark

clients:  ## an environment of its own with clients that others wrote (tritonclient, KServe's, mlserver, schemathesis); `make engines` uses it
	@bash tools/clients.sh .venv-clients

bench: setup  ## the benchmarks; writes benchmarks/results/
	@$(PY) -m benchmarks

bench-data: setup  ## Kafka to Delta beside Spark Structured Streaming (Java 17 and Maven are needed)
	@$(PY) -m benchmarks data delays catching_up backfill

bench-serving: setup  ## one row over HTTP beside MLServer, uvicorn and the least that Python can do (wrk and two cores are needed)
	@$(PY) -m benchmarks serving_speed serving_grpc serving_workers many_models

prove-canary: setup  ## what releases promise and what they do, on simulated traffic, beside threshold rules; writes benchmarks/results/
	@$(PY) -m benchmarks.prove_canary

soak: setup  ## a million requests over HTTP and gRPC while serving processes are killed, ended and renewed; writes benchmarks/results/
	@$(PY) -m benchmarks.soak

stack:  ## install the core with the Python library of every engine to come, and import them all in one process
	@bash tools/stack.sh

lock:  ## renew the lock (hash-pinned, universal, without registry hosts)
	@bash tools/lock.sh

"""Imports the library of every engine, now and to come, in one process: they are known to fit together."""

import importlib
import os
import sys
import time
from importlib.metadata import version

os.environ.setdefault("AIRFLOW_HOME", "/tmp/modelway-airflow")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

LIBRARIES = {
    "modelway": "modelway",
    "deltalake": "deltalake",
    "duckdb": "duckdb",
    "ibis": "ibis-framework",
    "lightgbm": "lightgbm",
    "mlflow": "mlflow",
    "onnxruntime": "onnxruntime",
    "optuna": "optuna",
    "pandas": "pandas",
    "polars": "polars",
    "skl2onnx": "skl2onnx",
    "airflow": "apache-airflow",
    "confluent_kafka": "confluent-kafka",
    "dvc.repo": "dvc",
    "evidently": "evidently",
    "great_expectations": "great-expectations",
    "grpc": "grpcio",
    "kfp": "kfp",
    "kubernetes": "kubernetes",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "prometheus_client": "prometheus-client",
    "psycopg": "psycopg",
    "ray": "ray",
    "redis": "redis",
    "xgboost": "xgboost-cpu",
}


def main() -> int:
    """Print each library's version and the seconds that its import took; 1 when one failed."""
    failed = 0
    for module, package in LIBRARIES.items():
        started = time.perf_counter()
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - a library may fail in any way; each is reported
            failed += 1
            print(f"{package:24} FAILED  {type(error).__name__}: {error}")
            continue
        print(f"{package:24} {version(package):12} {time.perf_counter() - started:6.2f} s")
    print(f"{len(LIBRARIES) - failed} of {len(LIBRARIES)} libraries in one process")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""What is imported when: the package nothing heavy, the command line nothing but what it needs to say its help."""

import subprocess
import sys

HEAVY = {
    "numpy", "pandas", "polars", "sklearn", "scipy", "mlflow", "lightgbm", "onnx", "onnxruntime", "ibis", "duckdb", "deltalake",
         "pyarrow", "matplotlib", "optuna", "sqlalchemy", "alembic", "pydantic", "httpx", "uvicorn", "jinja2"}  # fmt: skip


def imported(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after running this code."""
    said = f"{code}\nimport sys\nprint('MODULES', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("MODULES")[2].split())


def test_importing_the_package_imports_nothing_heavy():
    assert imported("import modelway") & HEAVY == set()


def test_the_help_imports_nothing_heavy():
    code = "import sys\nfrom modelway.cli.app import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass"
    assert imported(code) & HEAVY == set()


def test_records_errors_and_ports_import_no_engine():
    modules = "records, errors, clock, faults"
    assert (
        imported(f"from modelway import {modules}\nimport modelway.events.log, modelway.artifacts.store") & HEAVY
        == set()
    )

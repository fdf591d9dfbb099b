"""What a figure was measured on: cores, memory, Python, libraries, how busy the machine was; no names and no paths."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

LIBRARIES = (
    "modelway",
    "deltalake",
    "duckdb",
    "lightgbm",
    "mlflow-skinny",
    "numpy",
    "onnxruntime",
    "orjson",
    "polars",
    "pyarrow",
    "scikit-learn",
    "sqlalchemy",
    "uvicorn",
)


def machine() -> dict[str, Any]:
    """Of this machine and this environment."""
    return {
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS", "not set"),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def user_environment() -> dict[str, str]:
    """This process's environment, without what a developer or CI may set and a user does not: bytecode is kept."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def load() -> float:
    """The mean number of processes that wanted to run in the last minute."""
    return round(os.getloadavg()[0], 2)

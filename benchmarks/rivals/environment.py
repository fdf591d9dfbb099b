"""Environments of rivals: one a rival in `benchmarks/.envs`, pinned, from PyPI; made on first use, kept after."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import user_environment

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "benchmarks" / ".envs"
PINS: Mapping[str, tuple[str, ...]] = {
    "dagster": ("dagster==1.13.29",),
    "evidently": ("evidently==0.7.23", "pandas==2.3.3", "pyarrow>=18"),
    "feast": ("feast[duckdb]==0.67.0",),
    "great_expectations": ("great_expectations==1.24.1", "pandas==2.3.3", "pyarrow>=18"),
    "mlserver": ("mlserver==1.7.1", "uvloop<0.22", "onnxruntime==1.32.0", "numpy"),
    "pandera": ("pandera[polars]==0.35.0", "polars==2.1.0"),
    "prefect": ("prefect==3.9.1",),
    "spark": ("pyspark==4.2.0",),
}
QUIET = {
    "DO_NOT_TRACK": "1",
    "FEAST_USAGE": "False",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
_INSTALL_SECONDS = 900


class MissingRivalError(Exception):
    """A rival that could not be installed or did not run; the text says why, in a line."""


def pin(rival: str) -> str:
    """Its name and version."""
    return PINS[rival][0].replace("==", " ").replace("[polars]", "").replace("[duckdb]", "")


def ask(
    rival: str, settings: Mapping[str, Any], *, seconds: float = 1_800, before: Sequence[str] = ()
) -> dict[str, Any]:
    """Run `benchmarks.rivals.<rival>` in its environment and return what it tells; raises MissingRivalError.

    `before` stands in front of the command (`taskset`).
    """
    command = [*before, str(python_of(rival)), "-m", f"benchmarks.rivals.{rival}_rival", json.dumps(dict(settings))]
    environment = {**user_environment(), **QUIET, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    try:
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MissingRivalError(f"{pin(rival)} was stopped after {seconds:.0f} s") from error
    if done.returncode != 0:
        raise MissingRivalError(f"{pin(rival)} failed: {_last(done.stderr)}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def python_of(rival: str) -> Path:
    """Its environment's interpreter; a half-made environment is made again; raises MissingRivalError."""
    place = ENVS / rival
    python, ready = place / "bin" / "python", place / ".ready"
    wanted = "\n".join(PINS[rival])
    if ready.is_file() and ready.read_text() == wanted:
        return python
    sys.stderr.write(f"  making an environment for {pin(rival)}\n")
    shutil.rmtree(place, ignore_errors=True)
    for command in _commands(place, python, PINS[rival]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise MissingRivalError(f"{pin(rival)} was not installed within {_INSTALL_SECONDS} s") from error
        if done.returncode != 0:
            raise MissingRivalError(f"{pin(rival)} could not be installed: {_last(done.stderr)}")
    ready.write_text(wanted)
    return python


def _commands(place: Path, python: Path, pins: tuple[str, ...]) -> list[list[str]]:
    if place.name == "spark":  # with the jars of Delta and Kafka, which are not on PyPI
        return [["bash", str(ROOT / "tools" / "spark.sh"), str(place)]]
    uv = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".venv-uv" / "bin"))
    if uv:
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(place)],
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *pins],
        ]
    return [
        [sys.executable, "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins],
    ]


def _last(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return (lines[-1] if lines else "no word").replace(str(ROOT), ".")[:200]

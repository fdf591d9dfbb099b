"""Functions run in processes of their own, which are killed at a named point; forked from one that has imported everything."""

import multiprocessing
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

KILLED = -9
_fork = multiprocessing.get_context("forkserver")
_fork.set_forkserver_preload(
    [
        "modelway.lifecycle", "tests.support.world", "deltalake", "ibis.backends.duckdb", "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.tracking.client", "matplotlib.backends.backend_svg", "onnx", "onnxruntime", "pandas", "scipy.stats",
        "sklearn.linear_model", "sklearn.pipeline", "tests.support.killing",
    ]
)  # fmt: skip


def run_apart(target: Callable[..., Any], *args: Any, kill_at: str = "", trace: Path | None = None) -> int:
    """The exit code: 0, KILLED, or 1 with the traceback on standard error."""
    process = _fork.Process(target=_child, args=(target, args, kill_at, str(trace or "")))
    process.start()
    process.join(240)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{target.__name__} did not end")
    return process.exitcode


def start_apart(target: Callable[..., Any], *args: Any) -> Any:
    """Started, to be joined by the caller."""
    process = _fork.Process(target=_child, args=(target, args, "", ""))
    process.start()
    return process


def passages(target: Callable[..., Any], *args: Any, trace: Path) -> list[str]:
    """The named points that an undisturbed run passes, in order."""
    assert run_apart(target, *args, trace=trace) == 0
    return trace.read_text().split()


def _child(target: Callable[..., Any], args: tuple[Any, ...], kill_at: str, trace: str) -> None:
    from modelway import faults

    for name, value in (("MODELWAY_KILL_AT", kill_at), ("MODELWAY_TRACE_POINTS", trace)):
        os.environ.pop(name, None)
        if value:
            os.environ[name] = value
    faults.point = faults._from_environment()
    try:
        target(*args)
    except BaseException:  # noqa: BLE001 - whatever happened, the parent must see it as exit code 1
        traceback.print_exc()
        os._exit(1)

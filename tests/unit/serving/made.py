"""Small versions with hand-made graphs, a workspace that holds them, and a server process over it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from modelway.clock import Clock
from modelway.contracts.contract import contract_of, to_plain
from modelway.events.block import STATES, rows_of, unpack
from modelway.events.log import BLOCK
from modelway.features.plan import plan_of
from modelway.records import Composition, Manifest, OperatingPoint, Pinned, Route, dumps
from modelway.spec.model import Spec
from modelway.workspace import Places, Workspace

CLASSES = ("bad", "good")
LOANS: dict[str, Any] = {
    "model": "loans",
    "task": "binary",
    "data": {"source": "loans", "key": "id", "target": "ok"},
    "contract": {"id": {"type": "string"}, "income": {"type": "float", "min": 0}, "ok": {"type": "string"}},
}
CARDS: dict[str, Any] = {
    "model": "cards",
    "task": "binary",
    "data": {"source": "cards", "key": "id", "event_time": "at", "entities": ["card"], "target": "fraud"},
    "contract": {
        "id": {"type": "string"},
        "at": {"type": "datetime"},
        "card": {"type": "string"},
        "amount": {"type": "float", "min": 0},
        "fraud": {"type": "int"},
    },
    "features": {
        "many": {"stat": "count", "by": "card", "window": "1d"},
        "spent": {"of": "amount", "stat": "sum", "by": "card", "window": "1d"},
        "bad_share": {"of": "target", "stat": "mean", "by": "card", "window": "30d", "delay": "1h"},
    },
}


def graph_of(width: int, bias: float) -> bytes:
    """Scores: softmax of (0, first number − bias + the others)."""
    weights = np.zeros((width, 2))
    weights[:, 1] = 1.0
    nodes = [
        helper.make_node("MatMul", ["numbers", "w"], ["raw"]),
        helper.make_node("Add", ["raw", "b"], ["moved"]),
        helper.make_node("Softmax", ["moved"], ["scores"], axis=1),
    ]
    inputs = [helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, [None, width])]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.DOUBLE, [None, 2])]
    held = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array([0.0, -bias]), "b")]
    made = helper.make_graph(nodes, "g", inputs, outputs, held)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def put_version(workspace: Workspace, given: dict[str, Any] = LOANS, bias: float = 0.0, **changes: Any) -> str:
    """A version as an artefact; returns its digest."""
    spec = Spec.model_validate(given)
    plan = plan_of(spec)
    manifest = Manifest(
        model=spec.model,
        task=spec.task,
        graph=workspace.artifacts.put(graph_of(len(plan.columns), bias)),
        columns=plan.columns,
        classes=CLASSES,
        exactness="double",
        contract=to_plain(contract_of(spec)),
        features=plan.to_plain(),
        operating_point=OperatingPoint(),
        key=spec.data.key or "",
        event_time=spec.data.event_time or "",
        entities=spec.data.entities,
        spec=workspace.artifacts.put(dumps(spec.model_dump(mode="json", by_alias=True, exclude_unset=True))),
        **changes,
    )
    return workspace.artifacts.put(dumps(manifest))


def put_composition(
    workspace: Workspace, compose: dict[str, Any], members: dict[str, float | str], **changes: Any
) -> str:
    """The digest of a composition of versions 1: of models that differ in their bias alone, or by their digests."""
    given = {**LOANS, "model": "pricing", "compose": compose}
    features = {f"when {b['when']}": {"expr": b["when"]} for b in compose.get("route", ()) if "when" in b}
    spec = Spec.model_validate({**given, "features": features})
    plan = plan_of(spec)
    pinned = tuple(
        Pinned(
            name,
            1,
            told if isinstance(told, str) else put_version(workspace, {**LOANS, "model": name}, bias=told, **changes),
        )
        for name, told in members.items()
    )
    assert spec.compose is not None
    made = Composition(plan.columns, "binary", 2, compose, pinned)
    manifest = Manifest(
        model="pricing",
        task="binary",
        graph=workspace.artifacts.put(dumps(made)),
        columns=plan.columns,
        classes=CLASSES,
        exactness="double",
        contract=to_plain(contract_of(spec)),
        features=plan.to_plain(),
        operating_point=OperatingPoint(),
        key="id",
        event_time="",
        entities=(),
        spec=workspace.artifacts.put(dumps(spec.model_dump(mode="json", by_alias=True, exclude_unset=True))),
        form="composed",
    )
    return workspace.artifacts.put(dumps(manifest))


def make_workspace(root: Path, clock: Clock | None = None) -> Workspace:
    """A workspace whose server takes a free port."""
    places = Places(root)
    for folder in (places.models, places.inner, places.logs):
        folder.mkdir(parents=True, exist_ok=True)
    places.stack.write_text("serving: {port: 0}\n")
    made = Workspace(places, clock)
    made.database.migrate()
    return made


def route(
    model: str, digests: dict[int, str], shares: dict[int, float] | None = None, shadow: int | None = None
) -> Route:
    shares = shares or {min(digests): 1.0}
    return Route(
        model, {str(n): s for n, s in shares.items()}, {str(n): digest for n, digest in digests.items()}, shadow
    )


def request(rows: list[dict[str, Any]], **extra: Any) -> dict[str, Any]:
    from modelway.serving.protocol import format_request

    names = list(rows[0])
    return {**json.loads(format_request({n: [r.get(n) for r in rows] for n in names})), **extra}


def predictions(workspace: Workspace, model: str = "loans") -> list[dict[str, Any]]:
    """All predictions in the log, as an event of one row says them."""
    events = workspace.log.read(f"{model}_predictions", {}, 1_000_000)
    return [row for e in events for row in (_in_block(e.value) if e.content == BLOCK else [json.loads(e.value)])]


def _in_block(value: bytes) -> list[dict[str, Any]]:
    block = unpack(value)
    found = zip(rows_of(block), block.states.tolist(), block.scores.tolist(), block.places.tolist(), strict=True)
    return [
        {
            **block.common,
            **row,
            "status": STATES[state],
            "reason": block.reasons.get(n, ""),
            "scores": [] if state else scores,
            "prediction": None if state else block.classes[place] if block.classes else scores[0],
        }
        for n, (row, state, scores, place) in enumerate(found)
    ]


def becomes(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """The condition's value as soon as it is true; fails after the bound."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {condition}")


SCRIPT = """
import sys
from pathlib import Path
from modelway.control.serve import main
code = main(sys.argv[1])
if len(sys.argv) > 2:
    Path(sys.argv[2]).write_text("\\n".join(sys.modules))
sys.exit(code)
"""


@contextmanager
def running(
    workspace: Workspace, *more: str, env: dict[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen]]:
    """A server process that is ready: its address and itself."""
    workspace.places.server.unlink(missing_ok=True)
    errors = workspace.places.logs / "server.log"
    with errors.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(workspace.places.root), *more],
            stderr=out,
            env={**os.environ, **(env or {})},
        )
    try:
        becomes(lambda: workspace.places.server.exists() or process.poll() is not None, 60)
        assert process.poll() is None, errors.read_text()
        yield json.loads(workspace.places.server.read_text())["url"], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

"""One row over gRPC on one core, beside MLServer's gRPC, and grpcio's own server that does nothing."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import servers
from benchmarks.bank import MODEL
from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.grpc_load import Calls, fire
from benchmarks.measure import Spread
from benchmarks.report import alone
from benchmarks.rivals.environment import MissingRivalError, pin
from benchmarks.serving_model import COLUMNS, loads, numbers, released
from benchmarks.wrk import Shot, there
from benchmarks.wrk import fire as fire_http

OURS, ML, ECHO, ML_JSON = "modelway", "MLServer", "grpcio's echo", "MLServer, JSON over HTTP"
CALLS = 16
Shots = Mapping[str, Sequence[Shot]]


def measure(quick: bool) -> Result:
    """All stand at once and are asked in turn."""
    title = "one row over gRPC, one core"
    if not there():
        return Result(title, (), ("No figures: wrk, taskset and two cores are needed (apt install wrk util-linux).",))
    rows, rounds, seconds = (1_000, 1, 1) if quick else (6_000, 5, 4)
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        served = released(folder, rows)
        stack_yaml = served.bank / "stack.yaml"
        stack_yaml.write_text("serving: {host: 127.0.0.1, port: 0, grpc: {port: 0}}\n")
        ours = stack.enter_context(servers.ours(served.bank, folder / "ours.log"))
        told = json.loads((served.bank / ".modelway" / "server.json").read_text())
        body = _message(folder / "request.bin")
        field = {OURS: (ours.pid, told["grpc"])}
        echo = stack.enter_context(servers.grpc_echo(_reply_bytes(told["grpc"], body), folder / "echo.log"))
        field[ECHO] = (echo.pid, echo.grpc)
        theirs = None
        try:
            theirs = stack.enter_context(servers.mlserver(served.graph, folder / "mlserver.log"))
            field[ML] = (theirs.pid, theirs.grpc)
        except MissingRivalError as error:
            notes.append(f"No figure: {error}")
        shots: dict[str, list[Shot]] = {}
        load = loads(folder, 1)["matrix"]
        for number in range(rounds + 1):
            for who, (pid, address) in field.items():
                shot = fire(pid, Calls(address, body, CALLS, seconds if number else 1))
                if number:  # the first round warms up
                    shots.setdefault(who, []).append(shot)
            if theirs is not None and number:
                shots.setdefault(ML_JSON, []).append(fire_http(theirs.url, theirs.pid, load, CALLS, seconds))
    notes = [
        f"{rounds} rounds of {seconds} s each, in turn, medians; {CALLS} calls under way at once over one connection, by grpcio's "
        "client for asyncio on the other core. It is busier than our server, so rates are the client's and the goals are for "
        "processor time.",
        "All run the same graph but the echo, which sends as many bytes as our reply has and does nothing else. Ours routes, "
        "validates, counts and logs each prediction before it answers.",
        *notes,
    ]
    return Result(
        title, tuple(_figures(shots)), tuple(notes), dict([pin("mlserver").split(" ")]) if ML in shots else {}
    )


def _message(place: Path) -> Path:
    """A ModelInferRequest of one row as one tensor."""
    from modelway.serving.grpc.inference_pb2 import ModelInferRequest

    made = ModelInferRequest(model_name=MODEL)
    tensor = made.inputs.add(name="input-0", datatype="FP64", shape=[1, len(COLUMNS)])
    tensor.contents.fp64_contents.extend(numbers(0, 1)[0].tolist())
    place.write_bytes(made.SerializeToString())
    return place


def _reply_bytes(address: str, body: Path) -> int:
    import grpc

    from benchmarks.grpc_load import METHOD

    with grpc.insecure_channel(address) as channel:
        return len(channel.unary_unary(METHOD)(body.read_bytes()))


def _figures(shots: Shots) -> Iterator[Figure]:
    for who, found in shots.items():
        yield figure(f"{who}: rate", Spread.of([one.rate for one in found]), "calls/s")
        yield figure(f"{who}: p99", Spread.of([one.p99 for one in found]).times(1e3), "ms")
        busy = Spread.of([one.busy for one in found]).median
        note = f"{busy:.0%} of its core"
        yield figure(f"{who}: processor", Spread.of([one.cpu for one in found]).times(1e6), "µs", note=note)
    goals = {ML: Target(at_least=4), ECHO: Target(at_least=0.8), ML_JSON: Target(at_least=20)}
    for rival, goal in goals.items():
        if rival in shots:
            each = Spread.of([b.cpu / a.cpu for a, b in zip(shots[OURS], shots[rival], strict=True)])
            yield figure(f"modelway ÷ {rival}: calls by processor second", each, "×", goal)


if __name__ == "__main__":
    alone("serving_grpc", measure)

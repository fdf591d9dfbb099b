"""What is told of a request costs: our server as it is beside itself without metrics, without the log, and with traces of 1 %."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import servers
from benchmarks.bank import MODEL
from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.measure import Spread
from benchmarks.report import alone
from benchmarks.servers import Server
from benchmarks.serving_model import Served, loads, released
from benchmarks.wrk import Load, Shot, fire, there

CLIENTS, SHARE = 16, 0.01
AS_IS, SILENT, TRACED, UNLOGGED = "as it is", "without metrics", "traces of 1 %", "without the log"
Shots = Mapping[str, Sequence[Shot]]


def measure(quick: bool) -> Result:
    """`python -m benchmarks.serving_cost`: the same rows as in `serving_speed`, alone."""
    title = "what is told of a request, and its cost"
    if not there():
        return Result(title, (), ("No figures: wrk, taskset and two cores are needed (apt install wrk util-linux).",))
    rows, rounds, seconds = (1_000, 1, 1) if quick else (6_000, 12, 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = released(folder, rows)
        return Result(title, costs(served, loads(folder, 1)["matrix"], folder, rounds, seconds), (NOTE,))


NOTE = (
    "Cost of metrics, traces and log: four processes of our server, each on a copy of the workspace, asked in turn by "
    f"{CLIENTS} clients. Without metrics nothing is told of a request, and no level or count is kept. Traces go to a collector on "
    "the other core; the exporter's thread is in the figure. Ratios are of requests by processor second, round by round."
)


def costs(served: Served, load: Load, folder: Path, rounds: int, seconds: int) -> tuple[Figure, ...]:
    """Processor time a request of each, and what is left of the rate."""
    with ExitStack() as stack:
        collector = stack.enter_context(servers.collector(folder / "collector.log"))
        field = {
            AS_IS: stack.enter_context(_one(served, folder, "as-is")),
            SILENT: stack.enter_context(_one(served, folder, "silent", "metrics")),
            UNLOGGED: stack.enter_context(_one(served, folder, "unlogged", "log")),
            TRACED: stack.enter_context(_one(served, folder, "traced", collector=collector.url)),
        }
        shots = _rounds({who: (one, folder / one.name) for who, one in field.items()}, load, rounds, seconds)
    return tuple(_figures(shots))


@contextmanager
def _one(served: Served, folder: Path, name: str, without: str = "", collector: str = "") -> Iterator[Server]:
    place = Path(shutil.copytree(served.bank, folder / name))
    if collector:
        with (place / "stack.yaml").open("a") as stack:
            stack.write(f"tracing: {{endpoint: '{collector}', sample: {SHARE}}}\n")
    with servers.ours(place, folder / f"{name}.log", without, name) as server:
        yield server


def _rounds(field: Mapping[str, tuple[Server, Path]], load: Load, rounds: int, seconds: int) -> dict[str, list[Shot]]:
    shots: dict[str, list[Shot]] = {who: [] for who in field}
    for number in range(rounds + 1):
        for who, (server, place) in field.items():
            shot = fire(server.url, server.pid, load, CLIENTS, seconds if number else 1)
            for closed in sorted((place / ".modelway" / "events" / f"{MODEL}_predictions").glob("*.log"))[:-1]:
                closed.unlink()  # nobody takes it to the lake here, and it would fill the disk
            if number:  # the first round warms up
                shots[who].append(shot)
    return shots


def _figures(shots: Shots) -> Iterator[Figure]:
    for who, found in shots.items():
        cpu = Spread.of([one.cpu for one in found]).times(1e6)
        yield figure(f"modelway, matrix, {CLIENTS} clients, {who}: processor", cpu, "µs")
    for name, dearer, plainer in (
        ("metrics", AS_IS, SILENT),
        ("metrics and traces of 1 %", TRACED, SILENT),
        ("prediction log", AS_IS, UNLOGGED),
    ):
        left = [b.cpu / a.cpu for a, b in zip(shots[dearer], shots[plainer], strict=True)]
        target = None if name == "metrics" else Target(at_least=0.9)
        yield figure(f"rate that is left with {name}", Spread.of(left), "×", target)


if __name__ == "__main__":
    alone("serving_cost", measure)

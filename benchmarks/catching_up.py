"""Kafka to Delta, far behind: memory of one process, and what a second process adds."""

import tempfile
from pathlib import Path

from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.ingesters import ONE_THREAD, Caught, by_one, caught_up, demand, ingesters, workspace
from benchmarks.report import alone
from benchmarks.topics import TOPIC, broker, fill

MEMORY = Target(at_most=600)


def measure(quick: bool) -> Result:
    """On a broker of our own; each part in a workspace of its own."""
    rows, many = (20_000, 40_000) if quick else (2_000_000, 10_000_000)
    with broker() as bootstrap:
        figures = [*_processes(bootstrap, rows), *_memory(bootstrap, many)]
    return Result("Kafka to Delta, far behind", tuple(figures), ("The broker runs on the same two cores.",))


def _processes(bootstrap: str, rows: int) -> list[Figure]:
    """The same topic of four partitions, by one process and by two."""
    fill(bootstrap, "four.", rows, 4)
    found: dict[int, Caught] = {}
    for count in (1, 2):
        with (
            tempfile.TemporaryDirectory() as folder,
            workspace(Path(folder) / "w", bootstrap, "four.", batch=min(50_000, rows // 20)) as opened,
        ):
            with ingesters(opened.places.root, count, more=ONE_THREAD) as running:
                found[count] = caught_up(opened, running)
            demand(opened.lake.read(TOPIC, ["id"]), rows)
    figures = []
    for count, one in found.items():
        name = f"four partitions, {count} {'process' if count == 1 else 'processes'}"
        figures.append(figure(f"{name}: processor", one.per_million, "s/M"))
        figures.append(figure(f"{name}: clock", one.events / one.wall, "rows/s"))
    share = found[1].per_million / found[2].per_million
    figures.append(figure("rows a processor second, two processes / one", share, "times", Target(at_least=0.85)))
    return figures


def _memory(bootstrap: str, rows: int) -> list[Figure]:
    fill(bootstrap, "many.", rows, 1)
    caught = by_one(bootstrap, "many.", rows)
    half = len(caught.memory) // 2
    first, second = max(caught.memory[:half]) / 2**20, max(caught.memory[half:]) / 2**20
    return [
        figure(f"{rows:,} rows to catch up: the most memory of the process", max(first, second), "MB", MEMORY),
        figure("the most in the second half / in the first", second / first, "times", Target(at_most=1.15)),
        figure(f"{rows:,} rows to catch up: processor", caught.per_million, "s/M"),
    ]


if __name__ == "__main__":
    alone("catching_up", measure)

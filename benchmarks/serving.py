"""A sanity check of the server: single rows over HTTP, one client on one connection, a real process; every answer is logged."""

import http.client
import json
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.bank import MODEL, TARGET, Bank, rows, write
from benchmarks.figures import Result, figure
from benchmarks.measure import Spread
from benchmarks.report import alone
from modelway.serving.protocol import format_request


def measure(quick: bool) -> Result:
    """Requests one after the other, in rounds; the first round warms up and does not count."""
    learn, requests, rounds = (2_000, 50, 1) if quick else (6_000, 3_000, 5)
    everything = rows()
    with tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        write(bank.root / "train.csv", everything[:learn])
        bank.started()
        bank.run()
        bank.type("release", "release", MODEL)
        bodies = [_body(row) for row in everything[learn : learn + 500]]
        with bank.up() as url:
            taken = [_round(url, bodies, requests) for _ in range(rounds + 1)][1:]
    p50, p99 = (Spread.of([float(np.quantile(one, q)) for one in taken]) for q in (0.5, 0.99))
    rate = Spread.of([len(one) / sum(one) for one in taken])
    figures = (
        figure("one row, p50", p50.times(1e3), "ms"),
        figure("one row, p99", p99.times(1e3), "ms"),
        figure("requests, one client", rate, "requests/s"),
    )
    notes = (
        f"{rounds} rounds of {requests:,} requests over one kept connection; the credit-card model (23 columns), JSON of the Open "
        "Inference Protocol; client, server and control loop share the cores. No target: the speed of serving is another matter.",
    )
    return Result("one row over HTTP", figures, notes)


def _body(row: dict[str, str]) -> bytes:
    return format_request({name: [float(value)] for name, value in row.items() if name != TARGET})


def _round(url: str, bodies: list[bytes], requests: int) -> list[float]:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)
    taken = []
    for number in range(requests):
        body = bodies[number % len(bodies)]
        started = time.perf_counter()
        connection.request("POST", f"/v2/models/{MODEL}/infer", body, {"content-type": "application/json"})
        reply = connection.getresponse()
        said = reply.read()
        taken.append(time.perf_counter() - started)
        if reply.status != 200 or "outputs" not in json.loads(said):
            raise AssertionError(f"{reply.status}: {said[:200]!r}")
    connection.close()
    return taken


if __name__ == "__main__":
    alone("serving", measure)

"""A client of gRPC in a process of its own, on the other core: so many calls under way at once, each of serialised bytes."""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.open_loop import CORE
from benchmarks.rivals.environment import ROOT
from benchmarks.wrk import Shot, processor

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class Calls:
    """`body`: a serialised ModelInferRequest."""

    address: str
    body: Path
    calls: int
    seconds: float


def fire(pid: int, asked: Calls) -> Shot:
    """Ask as fast as answers come; raises RuntimeError when nothing is answered."""
    told = {**asked.__dict__, "body": str(asked.body)}
    cpu = processor(pid)
    command = [*CORE, sys.executable, "-m", "benchmarks.grpc_load", json.dumps(told)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    cpu = processor(pid) - cpu
    if done.returncode != 0:
        raise RuntimeError(f"the client of gRPC failed: {done.stderr.strip()[-300:]}")
    heard = json.loads(done.stdout.splitlines()[-1])
    count, wall = heard["answered"], heard["seconds"]
    if not count:
        raise RuntimeError(f"{heard['failed']} calls to {asked.address} failed: {heard['why']}")
    return Shot(count, heard["failed"], count / wall, heard["p50"], heard["p99"], cpu / count, cpu / wall)


async def _run(asked: Calls) -> dict[str, object]:
    from grpc import aio

    body, took, failed, why = asked.body.read_bytes(), list[float](), 0, ""
    async with aio.insecure_channel(asked.address) as channel:
        call = channel.unary_unary(METHOD)
        await call(body)
        began = time.perf_counter()

        async def ask() -> None:
            nonlocal failed, why
            while (at := time.perf_counter()) - began < asked.seconds:
                try:
                    await call(body)
                    took.append(time.perf_counter() - at)
                except aio.AioRpcError as error:
                    failed, why = failed + 1, str(error.details())

        await asyncio.gather(*[ask() for _ in range(asked.calls)])
        seconds = time.perf_counter() - began
    p50, p99 = np.quantile(took, [0.5, 0.99]).tolist() if took else (0.0, 0.0)
    return {"answered": len(took), "failed": failed, "why": why, "seconds": seconds, "p50": p50, "p99": p99}


def main() -> None:
    import uvloop

    given = json.loads(sys.argv[1])
    asked = Calls(given["address"], Path(given["body"]), given["calls"], given["seconds"])
    sys.stdout.write(json.dumps(uvloop.run(_run(asked))) + "\n")


if __name__ == "__main__":
    main()

"""All benchmarks one after the other, or those that are named."""

import argparse
from importlib import import_module

from benchmarks.report import measured

NAMES = (
    "start",
    "step",
    "ingest",
    "backfill",
    "data",
    "delays",
    "catching_up",
    "contracts",
    "features",
    "lookup",
    "drift",
    "release_look",
    "run",
    "serving",
    "serving_speed",
    "serving_grpc",
    "serving_workers",
    "many_models",
    "python_model",
    "broken_models",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="small sizes, a sanity check; no results are written")
    asked = parser.parse_args()
    missed = 0
    for name in asked.names or NAMES:
        result = measured(name, import_module(f"benchmarks.{name}").measure, asked.quick)
        missed += sum(one.met is False for one in result.figures)
    print(f"{missed} targets missed" if missed else "no target missed")


if __name__ == "__main__":
    main()

"""What `modelway run` does, with a clock between its parts: run by `benchmarks.run` in a process of its own, inside a workspace."""

import json
import sys
import time
from itertools import pairwise


def main() -> None:
    """Prints the seconds by part as JSON; `MLflow` is what a run takes beside its steps, once they are done."""
    marks = [time.perf_counter()]
    from modelway import lifecycle
    from modelway.cli.context import HERE, opened
    from modelway.records import Trigger

    marks.append(time.perf_counter())
    with opened(HERE) as workspace:
        name = lifecycle.open_run(workspace, sys.argv[1], Trigger("manual", "benchmark", "benchmark"))
        marks.append(time.perf_counter())
        lifecycle.run(workspace, name)
        marks.append(time.perf_counter())
        report = lifecycle.run_report(workspace, name)
    marks.append(time.perf_counter())
    imports, opening, run, reporting = (b - a for a, b in pairwise(marks))
    steps = sum(step["seconds"] for step in report["steps"].values())
    parts = {
        "imports of ours": imports,
        "checks before it opens (loads model.py, and so scikit-learn)": opening,
        "its six steps": steps,
        "MLflow, plots, lease": run - steps,
        "report": reporting,
    }
    sys.stdout.write(json.dumps(parts) + "\n")


if __name__ == "__main__":
    main()

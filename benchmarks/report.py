"""Results on the terminal, in results/NAME.json, and in results/README.md, which is made from all of these."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Result
from benchmarks.machine import load, machine

RESULTS = Path(__file__).parent / "results"
Measure = Callable[[bool], Result]
HEADS = ("what", "figure", "spread", "target", "met")


def measured(name: str, measure: Measure, quick: bool) -> Result:
    """Run a benchmark and show it; at full size its results are kept."""
    before = load()
    sys.stderr.write(f"{name} …\n")
    result = measure(quick)
    after = load()
    show(result)
    if not quick:
        keep(name, result, {**machine(), "load_before": before, "load_after": after})
    return result


def alone(name: str, measure: Measure) -> None:
    """`python -m benchmarks.NAME [--quick]`."""
    measured(name, measure, "--quick" in sys.argv[1:])


def show(result: Result) -> None:
    """The table for a terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=result.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in (*HEADS, "note"):
        shown.add_column(head, overflow="fold")
    for one in result.figures:
        shown.add_row(*_cells(one), one.note)
    console = Console(width=None if sys.stdout.isatty() else 170, highlight=False)
    console.print(shown)
    for note in result.notes:
        console.print(f"  {note}")


def keep(name: str, result: Result, about: dict[str, Any]) -> None:
    """Write the result, and the page of all results."""
    RESULTS.mkdir(exist_ok=True)
    kept = {"benchmark": name, "machine": about, **asdict(result)}
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    (RESULTS / "README.md").write_text(page([json.loads(p.read_text()) for p in sorted(RESULTS.glob("*.json"))]))


def page(kept: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "# Results of the benchmarks",
        "",
        "Made by `python -m benchmarks`; do not edit. The figure is the median of the repetitions, the spread their least and",
        "greatest. Each benchmark says when it was taken and how busy the machine was: load is the mean number of processes",
        "that wanted to run in the minute before. Rivals run in environments of their own, in the same run, on the same data.",
        "",
        *_machine([one["machine"] for one in kept]),
    ]
    for one in kept:
        lines += ["", f"## {one['benchmark']}: {one['title']}", "", _taken(one), ""]
        lines += [_row((*HEADS, "note")), "| --- " * (len(HEADS) + 1) + "|"]
        figures = [Figure(**plain) for plain in one["figures"]]
        lines += [_row((*_cells(f), f.note)) for f in figures]
        lines += ["", *(f"- {note}" for note in one["notes"])] if one["notes"] else []
    return "\n".join(lines) + "\n"


def _machine(machines: Sequence[dict[str, Any]]) -> list[str]:
    newest = max(machines, key=lambda about: about["taken"])
    libraries = ", ".join(f"{name} {number}" for name, number in newest["libraries"].items())
    return [
        f"Machine: {newest['cores']} cores, {newest['memory_gib']} GiB, {newest['system']}, "
        f"Python {newest['python']}, OMP_NUM_THREADS {newest['omp_num_threads']}.",
        f"Libraries: {libraries}.",
    ]


def _taken(one: dict[str, Any]) -> str:
    about = one["machine"]
    said = f"Taken {about['taken']}, load {about['load_before']} before and {about['load_after']} after."
    rivals = ", ".join(f"{name} {number}" for name, number in one["versions"].items())
    return f"{said} Against {rivals}." if rivals else said


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cells(one: Figure) -> tuple[str, str, str, str, str]:
    spread = ""
    if one.low is not None and one.high is not None:
        spread = f"{number(one.low)}–{number(one.high)} ({one.repetitions})"
    met = {None: "", True: "yes", False: "**no**"}[one.met]
    return one.name, f"{number(one.value)} {one.unit}".strip(), spread, one.target, met


def number(value: float) -> str:
    """Three digits that count; whole numbers with thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}".replace("-", "−")

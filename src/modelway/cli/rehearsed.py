"""A rehearsal as tables for a person."""

from collections.abc import Iterator, Mapping
from typing import Any

from modelway.cli.output import note, say, table
from modelway.flow.rehearsing import Rehearsal
from modelway.validation.rehearsal import Figures, Share
from modelway.validation.words import number

_HEADS = ("column", "value", "rows", "decisions change", "no answer", "answered now", "|Δscore| mean", "p99", "largest")


def show_rehearsal(done: Rehearsal) -> None:
    """Verdicts, figures of all rows and by segment, where the values came from, how quick it was."""
    name = f"{done.model}@{done.version}"
    verdicts = [(v.gate, v.outcome + (" (warns only)" if v.warn_only else ""), v.reason) for v in done.verdicts]
    table(f"{name}: rehearsal", ("limit", "verdict", "reason"), verdicts)
    if done.whole is None:
        return
    against = ", ".join(f"@{one}" for one in done.against)
    rows = [_row("all", "", done.whole), *(_row(one.column, one.value, one.figures) for one in done.segments)]
    table(f"beside the answers of {against}", _HEADS, rows)
    if done.decisions:
        table("decisions that change", ("before → after", "rows"), list(done.decisions.items()))
    if done.reasons:
        table("why rows get no answer", ("reason", "rows"), list(done.reasons.items()))
    for line in _lines(done):
        say(line)
    for column in done.not_sent:
        note(f"{column}: no request has this column, so there are no segments by it")
    say(f"{name}: {done.outcome}")


def _lines(done: Rehearsal) -> Iterator[str]:
    if done.served_values:
        yield f"on the values that were served: {', '.join(done.served_values)}"
    if done.recomputed:
        yield f"computed again, since they are defined otherwise or were not logged: {', '.join(done.recomputed)}"
    if done.whole is not None:
        speed = f"{done.whole.rows:,} rows in {done.seconds:.1f} s, {done.rows_per_second:,.0f} a second"
        before = f" (before: {_quick(done.latency_before)})" if done.latency_before else ""
        yield f"{speed}; one row by itself: {_quick(done.latency)}{before}"


def _quick(latency: Mapping[str, float]) -> str:
    return f"p50 {latency['p50_ms']:.2g} ms, p99 {latency['p99_ms']:.2g} ms"


def _row(column: str, value: str, of: Figures) -> tuple[Any, ...]:
    p99, largest = of.quantiles[2:] if of.quantiles else (None, None)
    return column, value, of.rows, _share(of.changed), _share(of.invalid), of.new, of.moved, p99, largest


def _share(of: Share | None) -> str | None:
    if of is None or of.share is None:
        return None
    ends = "" if of.low is None or of.high is None else f" ({number(of.low * 100)} to {number(of.high * 100)})"
    return f"{number(of.share * 100)} %{ends}"

"""What the holdout has the power to show, in sentences: where margins come from, for `modelway explain`."""

from collections.abc import Mapping

import numpy as np

from modelway.errors import TooLittleDataError
from modelway.evidence import power
from modelway.evidence.bootstrap import block_length
from modelway.spec.model import Spec
from modelway.validation.gates import named
from modelway.validation.intervals import ALPHA
from modelway.validation.metrics import definition
from modelway.validation.words import count, number

ALIKE = 0.9
"""Assumed correlation of the losses of two good models on the same rows, before two models exist."""


def margins(
    spec: Spec, n_holdout: int | None, losses: Mapping[str, np.ndarray] | None = None, *, horizon_rows: int = 0
) -> list[str]:
    """A sentence for each gate against the champion; `n_holdout` is None before there is a version.

    `losses`: by metric, a champion's loss row by row on its holdout (log_loss, brier, mae; the square for rmse);
    `horizon_rows`: how many rows ahead a label reaches (`judged.reach`).
    """
    out: list[str] = []
    if not spec.data.target:  # nothing can be compared that asks for labels
        return out
    for name, gate in named(spec):
        if gate.against != "champion" or definition(gate.metric, spec.task) is None:
            continue
        kept = (losses or {}).get(gate.metric)
        if n_holdout is None:
            out.append(f"{name}: {_to_come(gate.metric, gate.margin)}")
            continue
        try:
            out.append(f"{name}: {_told(gate.metric, gate.margin, n_holdout, kept, horizon_rows)}")
        except TooLittleDataError as error:
            out.append(f"{name}: {error.problem}")
    return out


def _told(metric: str, margin: float | None, n: int, losses: np.ndarray | None, horizon: int) -> str:
    block = block_length(n, horizon)
    sd, unit = _spread(metric, losses)
    able = power.smallest_margin(sd, n, block=block, alpha=ALPHA, unit=unit)
    guess = "" if losses is None else f" (assuming that two good models' losses are correlated by {ALIKE:g})"
    if margin is None:
        return f"{able.words}{guess}; that is the margin, but never more than half of the champion's gain over the baseline"
    if losses is None:
        return f"the margin of the spec is {number(margin)} ({metric}); {able.words}"
    wanted = power.rows_for(margin, sd, alpha=ALPHA) * block
    enough = "enough" if wanted <= n else "too few"
    return f"the margin of the spec is {number(margin)}; it takes about {count(wanted)} rows, and {count(n)} are {enough}{guess}"


def _to_come(metric: str, margin: float | None) -> str:
    if margin is not None:
        return f"the margin of the spec is {number(margin)} ({metric})"
    examples = " and ".join(
        f"{power.smallest_margin(1.0, n, alpha=ALPHA).margin:.3f} with {count(n)} rows" for n in (250, 1_000, 10_000)
    )
    return (
        "the margin is what the holdout has the power to show, never more than half of the champion's gain over the "
        f"baseline: in standard deviations of the paired difference in {metric} of one row, {examples}; "
        "the first `modelway run` gives the number of rows"
    )


def _spread(metric: str, losses: np.ndarray | None) -> tuple[float, str]:
    """Standard deviation of one row's paired difference, and its unit."""
    if losses is None:
        return 1.0, f"standard deviations of the paired difference in {metric} of one row"
    spread = float(np.std(losses, ddof=1)) * float(np.sqrt(2 * (1 - ALIKE)))
    if metric == "rmse":
        return spread / (2 * float(np.sqrt(np.mean(losses)))), metric
    return spread, metric

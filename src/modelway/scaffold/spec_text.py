"""modelway.yaml of a new model: short, commented, and without a key that says what is so anyway."""

from typing import Any

from modelway.records import Task
from modelway.scaffold.learned import CATEGORIES, TYPES, key_rule, rule_of
from modelway.scaffold.look import Look
from modelway.scaffold.target import FEWEST_ROWS, Target
from modelway.scaffold.yaml_text import flow, scalar

_MIN_ROWS = 30
_TO_USE = "  # to use one: take it out here, give it a line under contract, name it in model.py"
NOTHING_LEARNED = (
    "training: {holdout: 50%}  # nothing is learned: one half judges, the other is what drift is judged against",
    "retraining: {on: []}",
)


def spec_text(model: str, source: str, look: Look, *, brought: bool = False) -> str:
    """The file; `source` is the data file as the workspace names it, `brought`: a graph stands ready, nothing is learned."""
    target, rows = look.target, look.target.facts.rows
    lines = [
        f"# Written by `modelway new` from {rows:,} rows. Every setting that is not here has a default:",
        f"# `modelway explain {model}` shows them all, and `modelway check {model}` checks what you change.",
        f"model: {model}",
        f"task: {target.task}",
        "data:",
        f"  source: {flow({'files': [source]})}",
        f"  target: {scalar(target.facts.name)}",
    ]
    if target.positive is not None:
        lines.append(f"  positive: {scalar(target.positive)}  # the rarer class")
    if look.key:
        lines.append(f"  key: {scalar(look.key.name)}  # identifies a row")
    if look.event_time:
        lines.append(f"  event_time: {scalar(look.event_time.name)}  # the latest rows are held out")
    if look.ignored:
        lines.append("  ignore:" + ("" if brought else _TO_USE))
        lines += [f"    - {scalar(one.name)}  # {_one_line(one.why)}" for one in look.ignored]
    lines += ["", "contract:  # a row that breaks a rule is set aside (on_breach: quarantine) or only told of (warn)"]
    order = look.event_time.values if look.event_time else None
    if look.key:
        lines.append(f"  {scalar(look.key.name)}: {flow(key_rule(look.key))}")
    if look.event_time:
        lines.append(f"  {scalar(look.event_time.name)}: {flow({'type': TYPES[look.event_time.kind]})}")
    lines += [f"  {scalar(c.name)}: {flow(rule_of(c, order))}" for c in look.used]
    lines.append(f"  {scalar(target.facts.name)}: {flow(target_rule(target))}")
    if brought:
        lines += ["", *NOTHING_LEARNED]
    elif target.rows < _MIN_ROWS:
        lines += ["", f"training: {flow({'min_rows': FEWEST_ROWS})}  # few rows: figures will be uncertain"]
    else:
        lines += ["", "# training: {search: {trials: 30}}  # look for better parameters: search_space in model.py"]
    lines += [
        "",
        "gates:  # beside these: better than a guess, not worse than the champion, quick enough",
        f"  - {flow(_gate(target.task, target))}  # warn_only: told, but refuses nothing; set min to what you need",
    ]
    return "\n".join(lines) + "\n"


def target_rule(target: Target) -> dict[str, Any]:
    """Its type and, for classes, which there are: a label that is none of them is set aside."""
    rule: dict[str, Any] = {"type": TYPES[target.facts.kind]}
    if target.task == "regression":
        rule["type"] = "float"
    elif target.facts.kind != "truth" and len(target.counts) <= CATEGORIES:
        rule["in"] = sorted(target.facts.values.drop_nulls().unique().to_list())
    return rule


def _gate(task: Task, target: Target) -> dict[str, Any]:
    if task == "binary":
        return {"metric": "roc_auc", "min": 0.6, "warn_only": True}
    if task == "regression":
        return {"metric": "r2", "min": 0.1, "warn_only": True}
    most = max(target.counts.values()) / target.rows
    return {"metric": "accuracy", "min": round(most + 0.1 * (1 - most), 2), "warn_only": True}


def _one_line(text: str) -> str:
    return " ".join(text.split())

"""Tables for a person: what a run did, and how the workspace stands."""

from collections.abc import Mapping
from typing import Any

from modelway.cli.output import cell, say, table
from modelway.flow.runs import STEPS
from modelway.records import Candidate, Fit, TrainingSet, Version, loads

_MOST = 5
_ANSWERS = {"graph": "the graph", "python": "no exact graph: a Python process of its own"}


def show_run(report: Mapping[str, Any], version: Version) -> None:
    """Metrics with intervals, gates with verdicts, where the time went, where to look, and the next command."""
    import json

    steps = report["steps"]

    def record(name: str, kind: type[Any]) -> Any:
        return loads(kind, json.dumps(steps[name]["record"]))

    made, fitted, candidate = record("prepare", TrainingSet), record("train", Fit), record("export", Candidate)
    tables = ", ".join(f"{t.table} version {t.version}" for t in made.tables)
    say(f"{made.train_rows:,} rows to learn from, {made.holdout_rows:,} held out, of {tables}")
    if made.empty:
        say(f"missing in every row to learn from, so that nothing can be learned of it: {', '.join(made.empty)}")
    if report["quarantined"]:
        say(f"{report['quarantined']:,} rows broke the contract: modelway quarantine list {version.model}")
    if report["breaches"]:
        say(f"values that broke the contract so far, by rule: {by_rule(report['breaches'])}")
    proof = candidate.graph.parity
    allowed = f"allowed {proof.tolerance:.0e}, {candidate.graph.exactness} precision"
    if candidate.graph.form == "composed":
        say(f"a row alone is answered as it is among others, on {proof.rows:,} rows to {proof.worst:.1e} ({allowed})")
    else:
        who = _ANSWERS[candidate.graph.form]
        say(f"{who} equals the Python model on {proof.rows:,} rows to {proof.worst:.1e} ({allowed})")
    table(
        f"{version}: metrics on the holdout",
        ("metric", "value", "95 % from", "to", "rows"),
        [(m.name, m.value, m.low, m.high, m.rows) for m in version.validation.metrics],
    )
    table(
        f"{version}: gates",
        ("gate", "verdict", "reason"),
        [(v.gate, v.outcome + (" (warns only)" if v.warn_only else ""), v.reason) for v in version.validation.verdicts],
    )
    timed = ", ".join(f"{name} {steps[name]['seconds']:.1f} s" for name in STEPS if name in steps)
    say(f"time: {timed}; {fitted.trials} trials" if fitted.trials else f"time: {timed}")
    say(f"MLflow: run {report['run'].id} in experiment {version.model} (modelway mlflow opens the UI)")
    if version.accepted:
        say(f"{version} is accepted and registered.")
        say(f"next: modelway release {version.model}")
    else:
        say(f"{version} is refused, and registered with its verdicts: it cannot be released.")
        say(f"next: see the gates above; change models/{version.model}/, then modelway run {version.model}")


def show_status(found: Mapping[str, Any]) -> None:
    """One line a model, then what is wrong."""
    grpc = f", gRPC {found['grpc']}" if found["grpc"] else ""
    say(f"server: {found['server'] or 'not running (start it with: modelway up)'}{grpc}")
    rows = []
    for model, state in found["models"].items():
        release, run = state["release"], state["run"]
        rows.append(
            (
                model,
                f"@{state['champion']}" if state["champion"] else None,
                f"@{release.version} {release.state} {release.weight:.0%}" if release else None,
                f"{run.id} {run.state}" if run else None,
                state["versions"],
                len(state["alerts"]),
                state["frozen"],
            )
        )
    table("models", ("model", "champion", "release", "last run", "versions", "open alerts", "frozen"), rows)
    if found["topics"]:
        heads = ("topic", "behind", "for", "events/s", "refused", "breaches", "last")
        table("ingestion", heads, [_topic(name, told) for name, told in found["topics"].items()])
    if found["spool"] and found["spool"]["waiting"]:
        waiting = found["spool"]["waiting"].items()
        lines = [(name, f"{one['events']:,} events", f"{one['seconds']:.1f} s") for name, one in waiting]
        table("spool", ("topic", "waiting for the brokers", "for"), lines)
        say(f"the spool takes {found['spool']['bytes'] / 1e6:,.1f} MB of {found['spool']['limit'] / 1e6:,.0f} MB")
    for model, state in found["models"].items():
        release = state["release"]
        if release and (release.state in ("waiting", "shadow", "canary") or "watch" in release.evidence):
            say(f"{model}: {state['release'].reason}")
        experiment = state["experiment"]
        if experiment and experiment.state in ("waiting", "starting", "running"):
            say(f"{model}: experiment {experiment.state}; {experiment.reason} (modelway experiment status {model})")
        if state["run"] and state["run"].error:
            say(f"{model}: run {state['run'].id} failed: {state['run'].error}")
        for alert in state["alerts"]:
            say(f"{model}: {alert.severity} since {cell(alert.opened)}: {alert.text}")
    for one in found["erasures"]:
        late = "OVERDUE since" if one["overdue"] else "due"
        say(f"{one['model']}: erasure {one['id']} is open, {late} {cell(one['due'])}: modelway erase --resume")
    for facts in found["tables"]:
        say(
            f"table {facts.table}: {facts.rows:,} rows in {facts.files:,} files ({facts.small:,} small), "
            f"log {facts.log_bytes / 1e6:.1f} MB"
        )
    if not found["models"]:
        say("next: modelway new NAME --data FILE --target COLUMN")


def _topic(name: str, told: Mapping[str, Any]) -> tuple[Any, ...]:
    away = told["lag_rows"] is None
    behind = "the log does not answer" if away else f"{told['lag_rows']:,} events"
    behind = "the log has no such topic" if told["absent"] else behind
    since = None if away or not told["lag_rows"] else f"{told['lag_seconds']:.1f} s"
    refused, breaches = f"{told['quarantine_share']:.2%}", sum(told["breaches"].values())
    return name, behind, since, round(told["per_second"], 1), refused, breaches, told["last"]


def by_rule(breaches: Mapping[str, int]) -> str:
    """The rules that were broken most."""
    most = sorted(breaches.items(), key=lambda one: (-one[1], one[0]))
    told = "; ".join(f"{rule} {count:,}" for rule, count in most[:_MOST])
    return told if len(most) <= _MOST else f"{told}; and {len(most) - _MOST} rules more"

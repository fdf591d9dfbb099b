"""Rules of the contract that have a severity, and were broken by what came in: each is an alert while it lasts."""

from modelway.contracts.contract import contract_of
from modelway.contracts.severity import severities
from modelway.monitoring import alerts
from modelway.records import Ingested
from modelway.spec.model import Spec
from modelway.workspace import Workspace

FAMILY = "contract"


def tell_of_breaches(workspace: Workspace, spec: Spec, ingested: Ingested) -> None:
    """Open an alert for each rule that was broken, and close those of rules that hold again; the control loop sends them."""
    watched = severities(contract_of(spec))
    causes = {
        f"{FAMILY}: {rule}": (watched[rule], f"{spec.model}: {_words(rule, count, ingested)}")
        for rule, count in ingested.breaches.items()
        if rule in watched
    }
    if watched or causes:
        alerts.book(workspace.database, spec.model, causes, workspace.clock.now(), scope={FAMILY})


def _words(rule: str, count: int, ingested: Ingested) -> str:
    times = "once" if count == 1 else f"{count:,} times"
    return f"{rule} of the contract was broken {times} in {ingested.read:,} rows of {ingested.topic}"

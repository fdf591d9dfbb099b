"""Which alert a broken rule opens: the severity that the spec gives it, by the name under which its breaches are counted."""

from collections.abc import Iterator, Mapping

from modelway.contracts.checked import named
from modelway.contracts.conditions import columns_of
from modelway.contracts.contract import Contract
from modelway.spec.contract import RULES, Check, Distribution, Rule, Severity


def severities(contract: Contract) -> Mapping[str, Severity]:
    """`amount: min` → ticket; rules without a severity open no alert, and are not in it."""
    found = {name: severity for column, rule in contract.rules.items() for name, severity in _of_column(column, rule)}
    told = {named(_columns(check, contract), check.label): check.severity for check in contract.checks}
    return found | {name: severity for name, severity in told.items() if severity is not None}


def _of_column(column: str, rule: Rule) -> Iterator[tuple[str, Severity]]:
    by_rule = rule.severity if isinstance(rule.severity, dict) else {}
    alike = rule.severity if isinstance(rule.severity, str) else None
    for name in RULES:
        if (severity := by_rule.get(name, alike)) is not None:
            yield named(column, name), severity
    wanted = rule.distribution
    if wanted is not None and wanted.severity is not None:
        for name in figures(wanted):
            yield named(column, name), wanted.severity


def figures(wanted: Distribution) -> list[str]:
    """Names of what a distribution asks for."""
    quantiles = [f"quantile {share}" for share in wanted.quantiles]
    return [*["mean"] * bool(wanted.mean), *quantiles, *["new_categories"] * bool(wanted.new_categories)]


def _columns(check: Check, contract: Contract) -> str:
    """As breaches of the check name the column."""
    return contract.event_time if check.freshness is not None else ", ".join(columns_of(check))

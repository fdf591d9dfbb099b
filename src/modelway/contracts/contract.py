"""A contract: rules by column, and checks across columns and rows; columns that it does not name are no matter of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelway.contracts.conditions import columns_of
from modelway.spec.contract import Check, Rule
from modelway.spec.model import Spec

CHECKS = "_checks"
"""In the plain form the key of the checks: no column has such a name."""


@dataclass(frozen=True)
class Contract:
    """Rules by column and checks, in the order of the spec; `event_time` is the column that freshness looks at."""

    rules: Mapping[str, Rule] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    event_time: str = ""

    def only(self, columns: tuple[str, ...]) -> "Contract":
        """What is asked of these columns alone."""
        rules = {name: rule for name, rule in self.rules.items() if name in columns}
        return replace(self, rules=rules, checks=tuple(c for c in self.checks if set(columns_of(c)) <= set(rules)))

    def by_row(self) -> "Contract":
        """What can be asked of a row by itself, as the server does: nothing of batches, nothing of other tables."""
        rules = {
            name: rule.model_copy(update=_OF_BATCHES | ({"nulls": None} if rule.nulls else {}))
            for name, rule in self.rules.items()
        }
        return replace(self, rules=rules, checks=tuple(c for c in self.checks if c.kind == "expr"))

    def row_by_row(self) -> "Contract":
        """Without what is asked of a batch as a whole: rows that come again are a batch of another kind."""
        rules = {name: rule.model_copy(update={"distribution": None}) for name, rule in self.rules.items()}
        return replace(self, rules=rules, checks=tuple(c for c in self.checks if c.blames_rows))


_OF_BATCHES: dict[str, Any] = {"unique": False, "references": None, "distribution": None}


def contract_of(spec: Spec) -> Contract:
    return Contract(dict(spec.contract), spec.checks, spec.data.event_time or "")


def to_plain(contract: Contract) -> dict[str, Any]:
    """For `Manifest.contract`: by column, and the checks under a name that no column has."""
    plain: dict[str, Any] = {name: _plain(rule) for name, rule in contract.rules.items()}
    return plain | ({CHECKS: [_plain(check) for check in contract.checks]} if contract.checks else {})


def from_plain(plain: Mapping[str, Any]) -> Contract:
    rules = {name: Rule.model_validate(rule) for name, rule in plain.items() if name != CHECKS}
    return Contract(rules, tuple(Check.model_validate(check) for check in plain.get(CHECKS, ())))


def _plain(part: Rule | Check) -> dict[str, Any]:
    return part.model_dump(mode="json", by_alias=True, exclude_defaults=True)

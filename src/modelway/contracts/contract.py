"""A contract: one rule a column; columns that it does not name are no matter of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelway.spec.model import Rule, Spec


@dataclass(frozen=True)
class Contract:
    """Rules by column, in the order of the spec."""

    rules: Mapping[str, Rule] = field(default_factory=dict)

    def only(self, columns: tuple[str, ...]) -> "Contract":
        """The rules of these columns."""
        return Contract({name: rule for name, rule in self.rules.items() if name in columns})


def contract_of(spec: Spec) -> Contract:
    return Contract(dict(spec.contract))


def to_plain(contract: Contract) -> dict[str, Any]:
    """For `Manifest.contract`."""
    return {n: r.model_dump(mode="json", by_alias=True, exclude_defaults=True) for n, r in contract.rules.items()}


def from_plain(plain: Mapping[str, Any]) -> Contract:
    return Contract({name: Rule.model_validate(rule) for name, rule in plain.items()})

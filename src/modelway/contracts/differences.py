"""Two contracts, rule by rule: what became tighter, what looser, and what is another rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modelway.contracts.contract import Contract
from modelway.contracts.lines import Line, lines_of

How = Literal["tighter", "looser", "changed"]
_WEIGHT = {"warn": 0, "quarantine": 1, "reject_batch": 2}


@dataclass(frozen=True, slots=True)
class Difference:
    """`then` and `now` are what was wanted and what is, with the action where it differs; "" where there is no rule."""

    column: str
    rule: str
    how: How
    then: str
    now: str


def differences(then: Contract, now: Contract) -> list[Difference]:
    """A rule that is new is tighter, and one that is gone is looser. In the order of `now`; what is gone comes last."""
    before, after = _by_place(then), _by_place(now)
    found = [_compared(place, before.get(place), line) for place, line in after.items() if before.get(place) != line]
    gone = [_compared(place, line, None) for place, line in before.items() if place not in after]
    return [*found, *gone]


def _by_place(contract: Contract) -> Mapping[tuple[str, str, int], Line]:
    """Lines by column and rule; of several of one name, by their order."""
    found: dict[tuple[str, str, int], Line] = {}
    for line in lines_of(contract):
        number = sum(place[:2] == (line.column, line.rule) for place in found)
        found[(line.column, line.rule, number)] = line
    return found


def _compared(place: tuple[str, str, int], then: Line | None, now: Line | None) -> Difference:
    column, rule, _ = place
    if then is None or now is None:
        how: How = "tighter" if then is None else "looser"
        return Difference(column, rule, how, then.text if then else "", now.text if now else "")
    hows = {_how_wanted(then, now), _how_acted(then, now)} - {None}
    how = hows.pop() if len(hows) == 1 else "changed"  # type: ignore[assignment]
    return Difference(column, rule, how, _told(then, now), _told(now, then))


def _told(line: Line, other: Line) -> str:
    action = f" ({line.action})" if line.action != other.action else ""
    severity = f" ({line.severity or 'no alert'})" if line.severity != other.severity else ""
    return f"{line.text}{action}{severity}"


def _how_acted(then: Line, now: Line) -> How | None:
    if then.action == now.action:
        return "changed" if then.severity != now.severity else None
    return "tighter" if _WEIGHT[now.action] > _WEIGHT[then.action] else "looser"


def _how_wanted(then: Line, now: Line) -> How | None:
    if then.wanted == now.wanted:
        return None if then.text == now.text else "changed"
    if now.rule == "type":
        return {("int", "float"): "looser", ("float", "int"): "tighter"}.get((then.wanted, now.wanted), "changed")  # type: ignore[return-value]
    if then.sense != now.sense or type(then.wanted) is not type(now.wanted):
        return "changed"
    if now.sense == "at_least":
        return "tighter" if now.wanted > then.wanted else "looser"
    if now.sense == "at_most":
        return "tighter" if now.wanted < then.wanted else "looser"
    if now.sense == "among":
        return "tighter" if now.wanted < then.wanted else "looser" if now.wanted > then.wanted else "changed"
    return _how_within(then.wanted, now.wanted) if now.sense == "within" else "changed"


def _how_within(then: tuple[Any, Any], now: tuple[Any, Any]) -> How:
    inf = float("inf")
    (a, b), (c, d) = ((-inf if low is None else low, inf if high is None else high) for low, high in (then, now))
    return "tighter" if a <= c and d <= b else "looser" if c <= a and b <= d else "changed"

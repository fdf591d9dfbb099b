"""Looking at a table: what each column is for."""

from dataclasses import dataclass

import polars as pl

from modelway.errors import TooLittleDataError
from modelway.files.header import UNNAMED
from modelway.scaffold import roles, texts
from modelway.scaffold.columns import Facts, facts_of
from modelway.scaffold.decisions import Decision, Decisions, grouped, named
from modelway.scaffold.leaks import leak
from modelway.scaffold.target import Target, target_of

_USE = "remove it from data.ignore, give it a line under contract, and name it in model.py"
_IF_KNOWN = "if it is known when a prediction is made: " + _USE
_ENOUGH = 1000
"""Rows with a target from which boosted trees beat a linear model on most real tables; with fewer they learn noise."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A column that does not enter the model, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """What the project is written from; `used` are the columns that enter the model, in the order of the file."""

    target: Target
    key: Facts | None
    event_time: Facts | None
    used: tuple[Facts, ...]
    ignored: tuple[Ignored, ...]
    decisions: Decisions

    @property
    def linear(self) -> bool:
        """Whether model.py begins with a regularised linear model; else with boosted trees."""
        return _few(self.target)

    @property
    def numbers(self) -> list[str]:
        return [c.name for c in self.used if not c.word]

    @property
    def words(self) -> list[str]:
        return [c.name for c in self.used if c.word]


def look(frame: pl.DataFrame, target_name: str) -> Look:
    """Find task, roles and usable columns. Raises TooLittleDataError, UsageError."""
    target = target_of(facts_of(frame[target_name]))
    columns = [facts_of(frame[name]) for name in frame.columns if name != target_name]
    doubled = _doubled(frame)
    free = [c for c in columns if not c.name.startswith("_")]
    found = roles.identifier(free, doubled)
    key = found[0] if found else None
    rest = [c for c in columns if c is not key]
    moment, other_dates = roles.event_time([c for c in free if c is not key], target)
    rest = [c for c in rest if c is not moment]
    ignored = {c.name: why for c in rest if (why := _useless(c))}
    leaks = {c.name: why for c in rest if c.name not in ignored and (why := leak(c, target))}
    used = tuple(c for c in rest if c.name not in ignored and c.name not in leaks)
    _demand_some(used, ignored | leaks, target_name)
    decisions = [
        *target.decisions,
        _key_decision(found, doubled),
        _time_decision(moment, other_dates),
        _model_decision(target),
        *(Decision(name, "ignored: it may give the target away", why, _IF_KNOWN) for name, why in leaks.items()),
        *grouped(Decision(name, "ignored", why, _USE) for name, why in ignored.items()),
        *_use_decisions(used, linear=_few(target)),
        *_protected_decisions(used),
        *_header_decisions(frame.columns),
    ]
    out = [Ignored(name, why) for name, why in (ignored | {n: f"may leak: {w}" for n, w in leaks.items()}).items()]
    order = {name: place for place, name in enumerate(frame.columns)}
    return Look(target, key, moment, used, tuple(sorted(out, key=lambda i: order[i.name])), Decisions(tuple(decisions)))


def _doubled(frame: pl.DataFrame) -> pl.Series | None:
    """Which rows are exact copies of an earlier one; None when none is."""
    copies = ~frame.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    return copies if copies.any() else None


def _useless(c: Facts) -> str:
    if c.name.startswith("_"):
        return "names that start with _ are Modelway's own: rename it in the file to use it"
    if c.present == 0:
        return "no row has a value"
    if c.distinct == 1 and (not c.missing or c.missing == c.rows):
        return "all rows have the same value"
    if c.distinct == c.rows and c.kind in ("whole", "text") and c.rows >= 20 and roles.named_like_id(c.name):
        return "another value in each row: it identifies, and tells nothing"
    if c.kind == "whole" and roles.named_like_id(c.name) and c.distinct > max(50, c.rows // 20):
        return "named like an identifier, with many values (of an entity? then write data.entities)"
    return texts.unusable(c) if c.word else ""


def _demand_some(used: tuple[Facts, ...], ignored: dict[str, str], target: str) -> None:
    if not used:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(ignored.items())[:8]) or "there is no other column"
        raise TooLittleDataError(
            f"no column is left from which {target!r} could be predicted ({reasons})", "bring a file with more columns"
        )


def _key_decision(found: tuple[Facts, str] | None, doubled: pl.Series | None) -> Decision:
    if found:
        return Decision("identifier", found[0].name, found[1], "data.key in modelway.yaml")
    why = "no column is another in each row and named or shaped like an identifier"
    if doubled is not None:
        why += f"; {int(doubled.sum())} rows are exact copies of others"
    return Decision("identifier", "none: rows are known by their content", why, "data.key in modelway.yaml")


def _time_decision(moment: Facts | None, others: list[tuple[str, str]]) -> Decision:
    if moment:
        first, last = moment.values.min(), moment.values.max()
        why = f"a {'date' if moment.kind == 'date' else 'time'} from {first!s} to {last!s} ({moment.distinct} values)"
        return Decision(
            "event time", f"{moment.name}: the latest rows are held out", why, "data.event_time in modelway.yaml"
        )
    why = "; ".join(f"{name}: {reason}" for name, reason in others) or "the file has no column of dates or times"
    return Decision("event time", "none: the holdout is drawn at random", why, "data.event_time in modelway.yaml")


def _few(target: Target) -> bool:
    return target.rows < _ENOUGH


def _model_decision(target: Target) -> Decision:
    if _few(target):
        name = "ridge regression" if target.task == "regression" else "logistic regression"
        why = f"fewer than {_ENOUGH:,} rows have a target ({target.rows}): trees would learn noise"
        return Decision("model", name, why, "build in model.py")
    why = f"{_ENOUGH:,} rows or more have a target ({target.rows:,})"
    return Decision("model", "boosted trees", why, "build in model.py")


def _use_decisions(used: tuple[Facts, ...], *, linear: bool) -> list[Decision]:
    groups = {
        "numbers": [c.name for c in used if c.numeric or c.kind == "truth"],
        "dates": [c.name for c in used if c.kind in ("date", "time")],
        "categories": [c.name for c in used if c.word],
    }
    kept = "" if linear else "; missing ones stay missing, the trees take them"
    why = {
        "numbers": "every value is a number or a truth value" + kept,
        "dates": "they enter as numbers: days since 1970",
        "categories": "text with values that come again; a missing one is a category of its own",
    }
    how = "contract in modelway.yaml, and the lists in model.py"
    made = [Decision(what, named(names), why[what], how) for what, names in groups.items() if names]
    missing = [c for c in used if c.missing]
    if missing:
        told = [f"{c.name} ({c.missing / c.rows:.1%})" for c in sorted(missing, key=lambda c: -c.missing)]
        filled = "the median stands for a number, beside a column that says that it is missing"
        why_missing = filled if linear else "they are told to the model as missing, not filled"
        made.append(Decision("missing values", named(told), why_missing, "model.py"))
    return made + grouped([d for c in used if c.word for d in texts.remarks(c)])


def _protected_decisions(used: tuple[Facts, ...]) -> list[Decision]:
    found = [c.name for c in used if roles.named_like_protected(c.name)]
    if not found:
        return []
    return [
        Decision(
            named(found),
            "used, though the law may protect it",
            "by its name it says who somebody is, not what somebody did",
            "move it from contract and model.py to data.protected: then it serves the fairness audit only",
        )
    ]


def _header_decisions(names: list[str]) -> list[Decision]:
    nameless = [name for name in names if name.startswith(UNNAMED) and name.removeprefix(UNNAMED).isdigit()]
    twice = [n for n in names if (parts := n.rpartition("."))[2].isdigit() and parts[0] in names]
    made = []
    if nameless:
        made.append(Decision(named(nameless), "named by place", "the header has no name there", "name it in the file"))
    if twice:
        made.append(
            Decision(named(twice), "numbered", "the header has that name more than once", "rename one in the file")
        )
    return made

"""The target: which task it makes, which rows have it, which class is positive."""

from dataclasses import dataclass

import polars as pl

from modelway.errors import TooLittleDataError, UsageError
from modelway.records import Task
from modelway.scaffold.columns import Facts
from modelway.scaffold.decisions import Decision, named
from modelway.scaffold.texts import numbers_kept_as_text

FEWEST_ROWS = 10
_MOST_CODES = 10
_MOST_CLASSES = 200
_PAIRS = ({"0", "1"}, {"no", "yes"}, {"n", "y"}, {"false", "true"}, {"-1", "1"}, {"negative", "positive"})
"""Pairs of which training knows the positive one by itself."""


@dataclass(frozen=True, slots=True)
class Target:
    """`values` are those of the rows that have one: class names as text, or doubles."""

    facts: Facts
    task: Task
    values: pl.Series
    counts: dict[str, int]
    """Rows by class, the commonest first; empty for a regression."""
    positive: str | None
    """Set where training would choose by rarity: what is rarer may change with the data."""
    decisions: tuple[Decision, ...]

    @property
    def rows(self) -> int:
        return len(self.values)

    @property
    def present(self) -> pl.Series:
        """Which rows of the file have a target."""
        return self.facts.values.is_not_null()


def target_of(facts: Facts) -> Target:
    """Raises TooLittleDataError for a target that teaches nothing, UsageError for one that cannot be predicted."""
    _demand_teachable(facts)
    task, why = _task(facts)
    values = facts.values.drop_nulls()
    decisions = [Decision("task", task, why, f"write task: {_other(task)} in modelway.yaml, and change model.py")]
    if facts.missing:
        decisions.append(
            Decision(
                facts.name,
                f"{facts.missing} of {facts.rows} rows are not learned from",
                "their target is missing",
                "fill the target in",
            )
        )
    if task == "regression":
        numbers = values.cast(pl.Float64)
        if not numbers.is_finite().all():
            raise UsageError(
                f"the target {facts.name!r} has infinite values", "remove those rows, or choose another target"
            )
        return Target(facts, task, numbers, {}, None, tuple(decisions))
    names = class_names(values)
    counts = dict(names.value_counts(sort=True).sort(["count", names.name], descending=[True, False]).iter_rows())
    _demand_learnable(facts.name, task, counts)
    return Target(facts, task, names, counts, *_positive(facts.name, task, counts, decisions))


def class_names(values: pl.Series) -> pl.Series:
    """Classes as text, as training names them: 1 and 1.0 are the same class."""
    if values.dtype.is_float() and bool((values == values.round()).all()):
        values = values.cast(pl.Int64)
    return values.cast(pl.String).str.strip_chars()


def _demand_teachable(facts: Facts) -> None:
    if facts.present == 0:
        raise TooLittleDataError(
            f"the target {facts.name!r} is missing in all {facts.rows} rows", "name another column with --target"
        )
    if facts.distinct == 1:
        raise TooLittleDataError(
            f"the target {facts.name!r} has only one value: {facts.values.drop_nulls()[0]!r} in all {facts.present} rows",
            "a model needs rows of at least two classes: bring in more rows, or name another column with --target",
        )
    if facts.present < FEWEST_ROWS:
        raise TooLittleDataError(
            f"only {facts.present} rows have a target; a model needs at least {FEWEST_ROWS}", "bring in more rows"
        )
    if facts.kind in ("date", "time"):
        raise UsageError(
            f"the target {facts.name!r} is a date, which no model here predicts",
            "predict a number of days, or whether something happens within some days: make such a column",
        )


def _task(facts: Facts) -> tuple[Task, str]:
    if facts.distinct == 2:
        return "binary", f"{facts.name!r} has two values"
    if facts.kind == "text":
        if numbers_kept_as_text(facts.values):
            raise UsageError(
                f"the target {facts.name!r} is numbers kept as text, for example {facts.values.drop_nulls()[0]!r}",
                "write plain numbers in the file, such as 1234.5",
            )
        if facts.distinct > min(_MOST_CLASSES, facts.present / 2):
            raise UsageError(
                f"the target {facts.name!r} has {facts.distinct} different texts in {facts.present} rows: too many for classes",
                "name another column with --target, or put rare classes together",
            )
        return "multiclass", f"{facts.name!r} is text with {facts.distinct} values"
    values = facts.values.drop_nulls()
    whole = facts.kind == "whole" or bool((values == values.round()).all())
    if not whole:
        return "regression", f"{facts.name!r} is a number with decimals"
    span = int(values.max() - values.min()) + 1  # type: ignore[operator, arg-type]
    if facts.distinct <= _MOST_CODES and facts.present >= 5 * facts.distinct and span <= 2 * facts.distinct:
        return (
            "multiclass",
            f"{facts.name!r} has {facts.distinct} whole numbers close together, as codes of classes have",
        )
    return "regression", f"{facts.name!r} has {facts.distinct} different whole numbers"


def _other(task: Task) -> str:
    return "multiclass" if task == "regression" else "regression (for a number)"


def _demand_learnable(name: str, task: Task, counts: dict[str, int]) -> None:
    rarest = min(counts, key=lambda label: counts[label])
    if task == "binary" and counts[rarest] < 2:
        raise TooLittleDataError(
            f"the target {name!r} has only one row of class {rarest!r}: it cannot be both learned and judged",
            "bring in more rows of that class",
        )
    if sum(count >= 2 for count in counts.values()) < 2:
        raise TooLittleDataError(
            f"the target {name!r} has fewer than two classes of two rows or more", "bring in more rows of each class"
        )


def _positive(
    name: str, task: Task, counts: dict[str, int], decisions: list[Decision]
) -> tuple[str | None, tuple[Decision, ...]]:
    rare = {label: count for label, count in counts.items() if count < 10}
    if rare:
        told = named([f"{label} ({count} rows)" for label, count in rare.items()])
        decisions.append(
            Decision(
                name,
                f"rare classes are kept: {told}",
                "few rows: figures for them will be uncertain",
                "bring in more rows",
            )
        )
    if task != "binary":
        return None, tuple(decisions)
    rarer = min(counts, key=lambda label: (counts[label], [-ord(c) for c in label]))
    if {label.casefold() for label in counts} in _PAIRS:
        return None, tuple(decisions)
    share = counts[rarer] / sum(counts.values())
    decisions.append(
        Decision("positive class", rarer, f"the rarer one ({share:.1%} of the rows)", "data.positive in modelway.yaml")
    )
    return rarer, tuple(decisions)

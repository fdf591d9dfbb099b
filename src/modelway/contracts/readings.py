"""What single expectations of Great Expectations say, in the words of a contract; one reader a type of expectation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelway.contracts.arguments import Arguments, NoCounterpartError, finite
from modelway.contracts.conditions import alike
from modelway.contracts.values import EXACT
from modelway.spec.contract import ColumnType

_PLACES = frozenset({"column", "column_A", "column_B", "column_list"})


@dataclass
class Draft:
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    """Columns that are compared as numbers are: what stands in for a type that is not named."""
    notes: list[str] = field(default_factory=list)
    """What is left out because it says nothing."""

    def of(self, column: Any) -> dict[str, Any]:
        return self.rules.setdefault(str(column), {})

    def put(self, column: Any, key: str, value: Any) -> None:
        """A rule of a column, which has each rule once."""
        if self.of(column).setdefault(key, value) != value:
            raise NoCounterpartError(f"a column has one `{key}`, and another expectation gave it")


@dataclass(frozen=True, slots=True)
class Said:
    """The arguments of an expectation, and what a suite of ours carries in `meta`."""

    given: Arguments
    ours: Mapping[str, Any]


Read = Callable[[Draft, Said], None]
"""Adds to the draft what the expectation says; raises NoCounterpartError."""


def _demand_only(given: Mapping[str, Any], *known: str) -> None:
    """Arguments that would be dropped silently are told instead."""
    for name, value in given.items():
        if name not in _PLACES and name not in known and not (name == "mostly" and value == 1):
            told = (
                "a share of breaches is allowed for missing values and new categories only" if name == "mostly" else ""
            )
            raise NoCounterpartError(told or f"its argument {name} has no counterpart")


_BY_NAME: dict[str, ColumnType] = {
    **dict.fromkeys(("float", "float64", "float32", "Float64", "Float32", "double", "FLOAT", "DoubleType"), "float"),
    **dict.fromkeys(("int", "int64", "int32", "int16", "int8", "Int64", "INTEGER", "LongType", "IntegerType"), "int"),
    **dict.fromkeys(("str", "string", "object", "StringDtype", "TEXT", "VARCHAR", "StringType"), "string"),
    **dict.fromkeys(("bool", "boolean", "BooleanDtype", "BooleanType"), "bool"),
    **dict.fromkeys(("date", "DateType"), "date"),
    **dict.fromkeys(("datetime", "Timestamp", "datetime64", "datetime64[ns]", "datetime64[us]", "TimestampType"), "datetime"),
}  # fmt: skip


def _type(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "type_", "type_list")
    names = one.given.get("type_list") or [one.given["type_"]]
    kinds = list(dict.fromkeys(_BY_NAME[name] for name in names if name in _BY_NAME))
    if not kinds or (len(kinds) > 1 and set(kinds) != {"int", "float"}):
        raise NoCounterpartError(f"{', '.join(map(str, names))} is none of a contract's types")
    draft.put(one.given["column"], "type", "float" if len(kinds) > 1 else kinds[0])
    if "rule" in one.ours:
        kept = {key: value for key, value in dict(one.ours["rule"]).items() if key in _UNSAID}
        draft.of(one.given["column"]).update({"on_breach": "quarantine"} | kept)


_UNSAID = ("on_breach", "severity", "references")


def _nulls(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "mostly")
    draft.put(one.given["column"], "nulls", round(1 - float(one.given.get("mostly", 1)), 9))


def _unique(draft: Draft, one: Said) -> None:
    _demand_only(one.given)
    draft.of(one.given["column"])["unique"] = True


def _set(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "value_set", "mostly")
    if "new_categories" in one.ours.get("rules", ()) or one.given.get("mostly", 1) != 1:
        most = round(1 - float(one.given.get("mostly", 1)), 9)
        _lying(draft, one)["new_categories"] = {"known": _there(draft, one), "most": most}
    else:
        draft.put(one.given["column"], "in", _there(draft, one))


def _there(draft: Draft, one: Said) -> list[Any]:
    """The values of a set; null among them says nothing, as missing values are not asked."""
    values = [value for value in one.given["value_set"] if value is not None]
    if not values:
        raise NoCounterpartError("its value_set names no value")
    if len(values) < len(one.given["value_set"]):
        draft.notes.append(f"{one.given['column']}: null in a value_set says nothing, as missing values are not asked")
    return values


def _regex(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "regex")
    draft.put(one.given["column"], "pattern", str(one.given["regex"]))


def _not_regex(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "regex")
    draft.put(one.given["column"], "pattern", rf"\A(?![\s\S]*(?:{one.given['regex']}))")


def _any_regex(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "regex_list", "match_on")
    if one.given.get("match_on", "any") == "any":
        draft.put(one.given["column"], "pattern", "|".join(f"(?:{regex})" for regex in one.given["regex_list"]))
    else:
        every = "".join(rf"(?=[\s\S]*(?:{regex}))" for regex in one.given["regex_list"])
        draft.put(one.given["column"], "pattern", rf"\A{every}")


def _between(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "min_value", "max_value", "strict_min", "strict_max")
    for side, sign in (("min", ">"), ("max", "<")):
        bound = one.given.get(f"{side}_value")
        if bound is None:
            continue
        if one.given.get(f"strict_{side}") or "check" in one.ours:
            if isinstance(bound, str):
                raise NoCounterpartError(f"strict_{side} of a time has no counterpart")
            draft.of(one.given["column"])
            draft.numbers.add(str(one.given["column"]))
            strict = "" if one.given.get(f"strict_{side}") else "="
            _check(draft, one, {"expr": f"{_name(one.given['column'])} {sign}{strict} {_number(bound)}"})
        else:
            draft.put(one.given["column"], side, bound)


def _lengths(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "min_value", "max_value", "value")
    column = f"length({_name(one.given['column'])})"
    pairs = (("value", "=="), ("min_value", ">="), ("max_value", "<="))
    said = [f"{column} {sign} {_number(one.given[key])}" for key, sign in pairs if key in one.given]
    draft.of(one.given["column"]).setdefault("type", "string")
    if not said:
        raise NoCounterpartError("it has no bound")
    _check(draft, one, {"expr": " and ".join(said)})


def _not_in(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "value_set")
    words = [_literal(value) for value in _there(draft, one)]
    draft.of(one.given["column"])
    _check(draft, one, {"expr": f"{_name(one.given['column'])} not in [{', '.join(words)}]"})


def _null(draft: Draft, one: Said) -> None:
    _demand_only(one.given)
    draft.of(one.given["column"])
    _check(draft, one, {"expr": f"is_missing({_name(one.given['column'])})"})


def _greater(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "or_equal", "ignore_row_if")
    _demand_missing_ignored(one.given, "either_value_is_missing")
    sign = ">=" if one.given.get("or_equal") else ">"
    draft.numbers |= {str(one.given["column_A"]), str(one.given["column_B"])}
    _pair(draft, one, sign)


def _equal(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "ignore_row_if")
    _demand_missing_ignored(one.given, "either_value_is_missing")
    _pair(draft, one, "==")


def _pair(draft: Draft, one: Said, sign: str) -> None:
    draft.of(one.given["column_A"]), draft.of(one.given["column_B"])
    _check(draft, one, {"expr": f"{_name(one.given['column_A'])} {sign} {_name(one.given['column_B'])}"})


def _compound(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "ignore_row_if")
    _demand_missing_ignored(one.given, "any_value_is_missing")
    for name in one.given["column_list"]:
        draft.of(name)
    _check(draft, one, {"unique": list(one.given["column_list"])})


def _demand_missing_ignored(given: Mapping[str, Any], ours: str) -> None:
    """A check breaks nothing where a value is missing; a suite may see it otherwise."""
    if given.get("ignore_row_if", ours) != ours:
        raise NoCounterpartError(
            f"ignore_row_if {given['ignore_row_if']}: a check passes over rows with a missing value"
        )


def _count(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "min_value", "max_value", "value", "strict_min", "strict_max")
    if one.given.get("strict_min") or one.given.get("strict_max"):
        raise NoCounterpartError("a count has no strict bounds; write the next whole number")
    low, high = (
        one.given.get("value", one.given.get("min_value", 0)),
        one.given.get("value", one.given.get("max_value")),
    )
    _check(draft, one, {"volume": {"min": _whole(low)} | ({"max": _whole(high)} if high is not None else {})})


def _mean(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "min_value", "max_value")
    _lying(draft, one)["mean"] = _within(one.given.get("min_value"), one.given.get("max_value"))


def _quantiles(draft: Draft, one: Said) -> None:
    _demand_only(one.given, "quantile_ranges", "allow_relative_error")
    if one.given.get("allow_relative_error") not in (None, False, "nearest"):
        raise NoCounterpartError("a contract takes the nearest value as the quantile")
    ranges = one.given["quantile_ranges"]
    for share, (low, high) in zip(ranges["quantiles"], ranges["value_ranges"], strict=True):
        _lying(draft, one).setdefault("quantiles", {})[f"{round(share * 100, 9):g}%"] = _within(low, high)


def _lying(draft: Draft, one: Said) -> dict[str, Any]:
    """The column's distribution; a suite judges every batch, however small."""
    kept = {key: value for key, value in dict(one.ours.get("distribution") or {}).items() if key in _UNSAID_OF_ALL}
    wanted: dict[str, Any] = draft.of(one.given["column"]).setdefault(
        "distribution", {} if kept or one.ours else {"min_rows": 0}
    )
    wanted |= kept
    return wanted


_UNSAID_OF_ALL = ("min_rows", "on_breach", "severity")


def _within(low: float | None, high: float | None) -> dict[str, float]:
    return {key: bound for key, bound in (("min", low), ("max", high)) if bound is not None}


def _check(draft: Draft, one: Said, said: dict[str, Any]) -> None:
    """A check of ours keeps its name, its action, and its expression as it was written while it still says the same."""
    if "check" in one.ours:
        was = dict(one.ours["check"])
        kept = {key: was.get(key) for key in ("name", "on_breach", "severity") if key in was or key == "on_breach"}
        if "expr" in said and alike(str(was.get("expr")), str(said["expr"])):
            said["expr"] = was["expr"]
        said |= kept
    draft.checks.append(said)


def _whole(value: Any) -> int:
    number = finite(value)
    if number < 0 or not number.is_integer():
        raise NoCounterpartError(f"{value} is no count of rows")
    return int(number)


def _name(column: Any) -> str:
    text = str(column)
    if text.isidentifier() and text.lower() not in ("and", "or", "not", "in", "true", "false"):
        return text
    if "`" in text or not text:
        raise NoCounterpartError(f"an expression cannot name the column {text!r}")
    return f"`{text}`"


def _number(value: Any) -> str:
    number = finite(value)
    return str(int(number)) if number.is_integer() and abs(number) < EXACT else repr(number)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value)
    if '"' in str(value) and "'" in str(value):
        raise NoCounterpartError(f"an expression cannot hold the word {value!r}: it has quotes of both kinds")
    quote = "'" if '"' in str(value) else '"'
    return f"{quote}{value}{quote}"


READERS: Mapping[str, Read] = {
    "expect_column_values_to_be_of_type": _type,
    "expect_column_values_to_be_in_type_list": _type,
    "expect_column_values_to_not_be_null": _nulls,
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_unique": _unique,
    "expect_column_values_to_be_in_set": _set,
    "expect_column_values_to_not_be_in_set": _not_in,
    "expect_column_values_to_match_regex": _regex,
    "expect_column_values_to_not_match_regex": _not_regex,
    "expect_column_values_to_match_regex_list": _any_regex,
    "expect_column_values_to_be_between": _between,
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_value_lengths_to_equal": _lengths,
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_column_pair_values_to_be_equal": _equal,
    "expect_compound_columns_to_be_unique": _compound,
    "expect_table_row_count_to_be_between": _count,
    "expect_table_row_count_to_equal": _count,
    "expect_column_mean_to_be_between": _mean,
    "expect_column_quantile_values_to_be_between": _quantiles,
}

WITHOUT: Mapping[str, str] = {
    "expect_column_median_to_be_between": "its median may lie between two values; a contract's `50%` quantile is one of them",
    "expect_column_to_exist": "a column of the contract must be in every file; in events it may be missing (nulls: 0 demands it)",
}
"""Why some have no reader."""

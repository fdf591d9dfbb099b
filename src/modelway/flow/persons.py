"""Which rows are a person's: by the rows' keys, or by an entity's value; in tables and in events."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from modelway.expressions.values import as_word
from modelway.flow.sources import joined_tables, labels_topic, predictions_topic
from modelway.spec.model import Spec


@dataclass(frozen=True)
class Person:
    """Keys of rows; and with an entity, the column and its value, whose rows' keys are added once they are found."""

    keys: tuple[str, ...]
    column: str = ""
    value: str = ""

    @property
    def words(self) -> tuple[bytes, ...]:
        """What may stand in a record that nobody could read."""
        return tuple(word.encode() for word in (*self.keys, self.value) if word)


def tables_of(spec: Spec) -> dict[str, Callable[[Person, Spec], pl.Expr]]:
    """The tables that hold rows of a model's persons, each with what tells theirs."""
    labels, asked = labels_topic(spec), predictions_topic(spec)
    joined = [table for table in joined_tables(spec) if table not in (spec.topic, labels, asked)]
    return {
        spec.topic: _source,
        f"{spec.topic}_quarantine": _refused,
        labels: _by_key,
        f"{labels}_quarantine": _refused,
        asked: _asked,
        f"{asked}_quarantine": _refused,
        **{table: _stated(table) for table in joined},
        **{f"{table}_quarantine": _refused for table in joined},
    }


def topics_of(spec: Spec) -> dict[str, Callable[[Person, Spec], Callable[[Mapping[str, Any]], bool]]]:
    """The topics, likewise."""
    joined = {table: _statement(table) for table in joined_tables(spec)}
    return joined | {spec.topic: _event, labels_topic(spec): _label, predictions_topic(spec): _answer}


def _is(column: pl.Expr, values: tuple[str, ...]) -> pl.Expr:
    text = column.cast(pl.String)
    return text.str.replace(r"^(-?\d+)\.0$", "${1}").is_in(list(values))


def _by_key(person: Person, spec: Spec) -> pl.Expr:
    del spec
    return _is(pl.col("_key"), person.keys)


def _source(person: Person, spec: Spec) -> pl.Expr:
    found = _by_key(person, spec)
    return found | _is(pl.col(person.column), (person.value,)).fill_null(False) if person.column else found


def _refused(person: Person, spec: Spec) -> pl.Expr:
    """Raw text names its columns; what is no JSON is taken when it holds the word at all."""
    found = _is(pl.col("_key"), (*person.keys, *([person.value] if person.value else ()))).fill_null(False)
    for word in (*person.keys, person.value):
        if word:
            there = pl.col("_raw").str.contains(word, literal=True).fill_null(False)
            found = found | (there & _names(spec, person, word)) | _in_bytes(word)
    return found


def _in_bytes(word: str) -> pl.Expr:
    """Of an event that held no row, whose text may differ from its bytes."""
    return pl.col("_bytes").cast(pl.Binary).bin.contains(word.encode()).fill_null(False)


def _names(spec: Spec, person: Person, word: str) -> pl.Expr:
    """Whether the raw record holds the word in the column that it belongs to, or is no object with such a column."""
    column = person.column if word == person.value else (spec.data.key or "key")
    told = pl.col("_raw").map_elements(lambda raw: _told(raw, column), return_dtype=pl.String, skip_nulls=True)
    return told.is_null() | (told == word)


def _told(raw: str, column: str) -> str | None:
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError):  # what is nested too deeply to be read is no object either
        return None
    return _word(row[column]) if isinstance(row, dict) and column in row else None


def _word(value: Any) -> str:
    """As text; what is nested too deeply to be written is nobody's name."""
    try:
        return as_word(value)
    except RecursionError:
        return ""


def _stated(table: str) -> Callable[[Person, Spec], pl.Expr]:
    """Statements of a joined table about the person."""

    def theirs(person: Person, spec: Spec) -> pl.Expr:
        columns = _about(spec, table, person)
        hits = [_is(pl.col(column), (person.value,)).fill_null(False) for column in columns]
        return pl.any_horizontal(hits) if hits else pl.lit(False)

    return theirs


def _statement(table: str) -> Callable[[Person, Spec], Callable[[Mapping[str, Any]], bool]]:
    def theirs(person: Person, spec: Spec) -> Callable[[Mapping[str, Any]], bool]:
        columns = _about(spec, table, person)
        return lambda row: any(_word(row.get(column)) == person.value for column in columns)

    return theirs


def _about(spec: Spec, table: str, person: Person) -> list[str]:
    """The columns by which the table names the things of the person's column."""
    joins = [f.join for f in spec.features.values() if f.join and f.join.table == table and f.join.on == person.column]
    return list(dict.fromkeys(join.key or join.on for join in joins))


def _asked(person: Person, spec: Spec) -> pl.Expr:
    del spec
    found = _is(pl.col("key"), person.keys).fill_null(False)
    if not person.column:
        return found
    value = pl.col("row").map_elements(lambda raw: _told(raw, person.column), return_dtype=pl.String, skip_nulls=True)
    return found | (value == person.value).fill_null(False)


def _event(person: Person, spec: Spec) -> Callable[[Mapping[str, Any]], bool]:
    key = spec.data.key or "_key"
    return lambda row: _word(row.get(key)) in person.keys or _entity(row, person)


def _label(person: Person, spec: Spec) -> Callable[[Mapping[str, Any]], bool]:
    del spec
    return lambda row: _word(row.get("key")) in person.keys


def _answer(person: Person, spec: Spec) -> Callable[[Mapping[str, Any]], bool]:
    del spec
    return lambda row: _word(row.get("key")) in person.keys or _entity(row.get("row"), person)


def _entity(row: Any, person: Person) -> bool:
    return bool(person.column) and isinstance(row, Mapping) and _word(row.get(person.column)) == person.value

"""Rows by column name: as people type them, and in the forms of MLflow's scoring server; pure."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import orjson

from modelway.errors import DataError
from modelway.serving.matrix import demand_few, matrix_of_rows
from modelway.serving.protocol import identity
from modelway.serving.servable import Row, Servable

_ID, _ROUTING, _ROWS = "_id", "_routing_key", "rows"
_LONGEST = 200
"""Letters of a name that is compared with others: the comparison takes the square of them."""
_EXAMPLE = 'write {"amount": 12.5, "country": "DE"}, or a list of such rows'


@dataclass(frozen=True, slots=True)
class NamedRows:
    """A request whose rows are not yet looked at."""

    id: str
    routing_key: str
    given: Sequence[Mapping[str, Any] | Sequence[Any]]
    """By name; or the one value of a model with one input."""
    single: bool = False
    """One row, not a list of one."""
    timeout: float | None = None

    def first(self, name: str) -> Any:
        """The first row's value of a column; None when there is none."""
        row = self.given[0] if self.given else None
        return row.get(name) if isinstance(row, Mapping) else None


def parse_named(body: bytes) -> NamedRows:
    """A row, a list of rows, or {"rows": [...]}; `_id` and `_routing_key` stand beside the columns. Raises DataError."""
    given = _json(body)
    if isinstance(given, list):
        return NamedRows("", "", _objects(given))
    if not isinstance(given, dict):
        raise DataError("the body is no row and no list of rows", _EXAMPLE)
    name, routing = identity(given.pop(_ID, None)), given.pop(_ROUTING, "")
    if not isinstance(routing, str | int):
        raise DataError(f"{_ROUTING}: expected text", "send a text that names the caller")
    if isinstance(rows := given.get(_ROWS), list) and set(given) == {_ROWS}:
        return NamedRows(name, str(routing), _objects(rows))
    return NamedRows(name, str(routing), [given], single=True)


def parse_invocations(body: bytes, kind: bytes) -> NamedRows:
    """dataframe_split, dataframe_records, instances, inputs, or CSV. Raises DataError."""
    if kind.partition(b";")[0].strip().lower() == b"text/csv":
        return NamedRows("", "", _csv(body))
    given = _json(body)
    forms = [name for name in _FORMS if name in given] if isinstance(given, dict) else []
    if len(forms) != 1:
        raise DataError(
            f"the body holds {' and '.join(forms) or 'none'} of {', '.join(_FORMS)}",
            'write for example {"dataframe_split": {"columns": ["amount"], "data": [[12.5]]}}',
        )
    return NamedRows("", "", _FORMS[forms[0]](given[forms[0]]))


def rows_for(asked: NamedRows, servable: Servable) -> Sequence[Row]:
    """The columns that the version wants. What a row leaves out is missing; a name that is not known while one that is wanted is
    missing is taken for an error. Raises DataError."""
    if not asked.given:
        raise DataError("there are no rows", _EXAMPLE)
    if servable.plain is not None:
        matrix = matrix_of_rows(asked.given, servable.required, servable.optional)
        if matrix is not None:
            return matrix
    demand_few(len(asked.given), len(servable.inputs))
    return [_row(servable, index, row) for index, row in enumerate(asked.given)]


def _row(servable: Servable, index: int, given: Mapping[str, Any] | Sequence[Any]) -> Row:
    required = servable.required
    if not isinstance(given, Mapping):
        if len(required) != 1 or len(given) != 1:  # whose order it is would be a guess
            raise DataError(
                f"row {index} is a list of values, and the model's columns have names",
                'send them by name: {"dataframe_split": {"columns": […], "data": [[…]]}}, or rows as objects',
            )
        given = {required[0]: given[0]}
    row = {name: given.get(name) for name in required}
    row |= {name: given[name] for name in servable.optional if name in given}
    for name, value in row.items():
        if isinstance(value, list | dict):
            raise DataError(f"row {index}, {name!r}: a list or an object", "send a number, text, true, false or null")
    if len(given) > len(row) or any(name not in given for name in required):
        _demand_known(servable, index, given)
    return row


def _demand_known(servable: Servable, index: int, given: Mapping[str, Any]) -> None:
    absent = [name for name in servable.required if name not in given]
    strange = [str(name) for name in given if name not in servable.required and name not in servable.optional]
    if absent and strange:
        near = get_close_matches(strange[0][:_LONGEST], absent, 1)
        fix = f"did you mean {near[0]!r}?" if near else f"the model takes {', '.join(servable.required)}"
        raise DataError(f"row {index}: {strange[0]!r} is no column of the model, and {absent[0]!r} is missing", fix)
    if len(absent) == len(servable.required):
        raise DataError(f"row {index}: none of the model's columns", f"the model takes {', '.join(servable.required)}")


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DataError(f"the body is not JSON: {error}", _EXAMPLE) from error


def _objects(given: Sequence[Any]) -> list[dict[str, Any]]:
    for index, row in enumerate(given):
        if not isinstance(row, dict):
            raise DataError(f"row {index} is no object", _EXAMPLE)
    return list(given)


def _split(given: Any) -> list[dict[str, Any]]:
    columns, data = (given.get("columns"), given.get("data")) if isinstance(given, dict) else (None, None)
    if not isinstance(columns, list) or not isinstance(data, list):
        raise DataError("dataframe_split: columns and data are lists", 'write {"columns": [...], "data": [[...], ...]}')
    if any(isinstance(name, list | dict) for name in columns):
        raise DataError("dataframe_split: a column's name is a list or an object", 'write {"columns": ["amount"], …}')
    for index, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(columns):
            raise DataError(f"dataframe_split: row {index} has not {len(columns)} values", "one value a column")
    return [dict(zip(map(str, columns), row, strict=True)) for row in data]


def _records(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list):
        raise DataError("dataframe_records is no list", 'write [{"amount": 12.5}]')
    return _objects(given)


def _instances(given: Any) -> list[Any]:
    """Rows as objects, as lists, or as single values of a model with one input."""
    if not isinstance(given, list):
        raise DataError("instances is no list", "write a list of rows")
    return [row if isinstance(row, dict | list) else [row] for row in given]


def _inputs(given: Any) -> list[Any]:
    """Columns by name, each a list; or rows as lists."""
    if not isinstance(given, dict):
        return _instances(given)
    columns = {str(name): values if isinstance(values, list) else [values] for name, values in given.items()}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise DataError("inputs: the columns differ in length", "send as many values in each")
    flat = {
        name: [v[0] if isinstance(v, list) and len(v) == 1 else v for v in values] for name, values in columns.items()
    }
    return [dict(zip(flat, row, strict=True)) for row in zip(*flat.values(), strict=True)]


def _csv(body: bytes) -> list[dict[str, Any]]:
    try:
        reader = csv.DictReader(io.StringIO(body.decode()), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"the body is no CSV in UTF-8: {error}", "send a line of column names, then a line a row"
        ) from error
    for index, row in enumerate(rows):
        if None in row or None in row.values():
            raise DataError(f"row {index} has not as many values as there are columns", "one value a column")
    return rows


_FORMS: Mapping[str, Callable[[Any], list[Any]]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _instances,
    "inputs": _inputs,
}

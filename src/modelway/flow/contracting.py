"""A model's contract: shown, compared, checked on a file, and carried to Great Expectations and back."""

import json
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelway.contracts.contract import Contract, contract_of, from_plain
from modelway.contracts.counterparts import Without, counterparts
from modelway.contracts.differences import Difference, differences
from modelway.contracts.lines import Line, lines_of
from modelway.contracts.row import compile_row
from modelway.contracts.suites import Imported, contract_of_suite, plain_of
from modelway.errors import SpecError, UnreadableFileError, UsageError
from modelway.records import Manifest, loads
from modelway.registry import versions
from modelway.spec.document import with_line
from modelway.spec.model import Spec
from modelway.workspace import Workspace

if TYPE_CHECKING:
    import polars as pl

    from modelway.contracts.checked import Checked


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and the rules that Great Expectations has no counterpart for."""

    files: tuple[str, ...]
    expectations: int
    without: tuple[Without, ...]


def contract_at(workspace: Workspace, name: str) -> Contract:
    """Of MODEL as its spec is now, or of MODEL@VERSION as it was registered."""
    model, _, number = name.partition("@")
    workspace.demand_model(model)
    if not number:
        return _of_spec(workspace, model)
    if not number.isdigit():
        raise UsageError(
            f"{name!r} is no version", f"write for example {model}@1, or {model} for its spec as it is now"
        )
    version = versions.get(workspace.database, model, int(number))
    return from_plain(loads(Manifest, workspace.artifacts.get(version.digest)).contract)


def shown(workspace: Workspace, name: str) -> list[Line]:
    """A line for each rule."""
    return lines_of(contract_at(workspace, name))


def compared(workspace: Workspace, then: str, now: str) -> list[Difference]:
    """What is tighter, looser or changed from `then` to `now`; [] when the contracts are alike."""
    return differences(contract_at(workspace, then), contract_at(workspace, now))


def export(workspace: Workspace, name: str, file: Path, docs: Path | None = None, data: Path | None = None) -> Exported:
    """Write the contract as a suite of Great Expectations, and its Data Docs (with verdicts on `data`, if given)."""
    from modelway.contracts.great_expectations import suite_json, write_docs

    contract, suite = contract_at(workspace, name), name.replace("@", "_")
    made, text = counterparts(contract), json.dumps(suite_json(contract, suite), indent=2, ensure_ascii=False)
    frame = _rows(contract, data) if docs is not None and data is not None else None
    if docs is not None:
        _demand_folder(docs)
    _write(file, text + "\n")
    files = [str(file)]
    if docs is not None:
        files.append(str(write_docs(contract, suite, docs, workspace.clock.now(), frame)))
    return Exported(tuple(files), len(made.expectations), made.without)


def read_suite(file: Path) -> Imported:
    """A suite's JSON as a contract; raises UnreadableFileError."""
    try:
        suite = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UnreadableFileError(f"{file} does not exist", "give the JSON file of a suite") from error
    except OSError as error:
        raise UnreadableFileError(f"cannot read {file}: {error.strerror}", "give the JSON file of a suite") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{file} is no JSON: {error}", "give the JSON file of a suite") from error
    return contract_of_suite(suite if isinstance(suite, dict) else {})


def section(contract: Contract) -> str:
    """`contract` and `checks` as text for modelway.yaml."""
    from modelway.scaffold.yaml_text import flow, scalar

    plain: dict[str, Any] = _whole(plain_of(contract))
    lines = ["contract:", *(f"  {scalar(name)}: {flow(rule)}" for name, rule in plain["contract"].items())]
    checks = plain.get("checks", [])
    return "\n".join([*lines, *(["checks:"] if checks else []), *(f"  - {flow(check)}" for check in checks)]) + "\n"


def check_file(workspace: Workspace, name: str, data: Path) -> "Checked":
    """Every breach in a data file, other tables of the lake asked too, and every row without key or event time.

    Nothing is written. Raises ContractError when a column is not in the file, or is there twice; the target may be wanting, as in
    rows to predict.
    """
    from modelway.contracts.table import check_table
    from modelway.flow.columns import demand_columns, demand_single, named_columns
    from modelway.flow.sources import values_in

    contract, spec = contract_at(workspace, name), workspace.spec(name.partition("@")[0])
    rows = _rows(contract, data)
    wanting = [name for name, rule in contract.rules.items() if name == spec.data.target and rule.nulls is None]
    wanted = [name for name in named_columns(spec, contract.rules) if name not in wanting]
    demand_columns(rows.columns, wanted, spec, data.name)
    demand_single(data, wanted, spec)
    return _with_nameless(check_table(rows, contract, spec.data.key, values_in(workspace.lake)), spec)


def _with_nameless(checked: "Checked", spec: Spec) -> "Checked":
    """With a breach for each row that the contract takes and that ingesting refuses: no key, or no event time."""
    import polars as pl

    from modelway.contracts.breaches import of_values
    from modelway.flow.sources import source_of
    from modelway.ingest.batch import known_rows, nameless

    source = source_of(spec)
    taken = replace(checked, rows=checked.rows.with_row_index("_row")).accepted
    known = known_rows(taken, source)
    reasons = nameless(known, source)
    if reasons is None:
        return checked
    found = [checked.table]
    without_key = known["_key"].is_null()
    for role, column, these in (("key", source.key, without_key), ("event_time", source.event_time, ~without_key)):
        here = known.with_columns(reasons).filter(these & reasons.is_not_null())
        if column and here.height:
            words = partial(_always, str(here["_reasons"][0]))
            broken = of_values(column, role, "quarantine", here["_row"].cast(pl.Int64), checked.rows[column], words)
            found.append(broken.with_columns(here["_key"].alias("key")))
    return replace(checked, table=pl.concat(found).sort("row", maintain_order=True))


def _always(words: str, value: Any) -> str:
    """The same of every value."""
    del value
    return words


def _rows(contract: Contract, data: Path) -> "pl.DataFrame":
    from modelway.files.read import read_table

    return read_table(data, text=[name for name, rule in contract.rules.items() if rule.type == "string"])


def _of_spec(workspace: Workspace, model: str) -> Contract:
    contract = contract_of(workspace.spec(model))
    try:
        compile_row(contract)
    except SpecError as error:
        raise with_line(error, workspace.places.spec(model)) from error
    return contract


def _demand_folder(folder: Path) -> None:
    """Raises UsageError before anything is written where no pages can be."""
    fix = "name a folder that you can write, or one that is not there yet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{folder} is a file and no folder: there is no place for Data Docs", fix) from error
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}", fix) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {folder}: it may only be read", fix)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}", "name a file that you can write") from error


def _whole(value: Any) -> Any:
    """Whole numbers without a fraction, as people write them."""
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value

"""Whether a data file has the columns that a spec names, asked once of the file and not of each row."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from modelway.errors import ContractError
from modelway.spec.fields import nearest
from modelway.spec.model import Spec


def demand_columns(there: Sequence[str], wanted: Collection[str], spec: Spec, file: str) -> None:
    """Raises ContractError naming each column that is gone, and the nearest of those that nothing names."""
    gone = [name for name in wanted if name not in there]
    if not gone:
        return
    free = [name for name in there if name not in wanted]
    near = {name: found for name in gone if (found := nearest(name, free))}
    told = ", ".join(f"{name} (but {near[name]})" if name in near else name for name in gone)
    renamed = "".join(f"call {found} {name} there, or " for name, found in near.items())
    raise ContractError(
        f"{file} has no column {told}, which the contract or data in {_file(spec)} names (there: {listed(there)})",
        f"add the column to the file, or {renamed}take it out of {_file(spec)}",
    )


def demand_single(path: Path, wanted: Collection[str], spec: Spec) -> None:
    """Raises ContractError when a wanted column is in the file's header twice: which of them is meant nobody has said.

    Where the contract names the later ones too, as they are called when the file is read, somebody has.
    """
    from modelway.files.header import again
    from modelway.files.heads import heads_of

    for name, others in again(heads_of(path)).items():
        if name in wanted and not set(others) <= set(wanted):
            raise ContractError(
                f"{path.name} has {len(others) + 1} columns {name}, and {_file(spec)} names one: the first is read as {name},"
                f" then {listed(others)}",
                f"keep one of them in the file, or name {listed(others)} in the contract too",
            )


def named_columns(spec: Spec, rules: Iterable[str]) -> list[str]:
    """What each file must have: the columns with rules, and those that rows are known by."""
    roles = [name for name in (spec.data.key, spec.data.event_time) if name]
    return list(dict.fromkeys((*rules, *roles)))


def listed(names: Sequence[str]) -> str:
    """The first names, for a message."""
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def _file(spec: Spec) -> str:
    return f"models/{spec.model}/modelway.yaml"

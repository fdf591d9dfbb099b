"""A person's events and labels erased from the online values of every version, while servers go on reading them."""

from collections.abc import Iterator

from modelway.features.online import OnlineValues, statements
from modelway.features.plan import Plan
from modelway.features.rows import groups_of
from modelway.flow.persons import Person
from modelway.flow.serving import copies, values_name
from modelway.records import Manifest, loads
from modelway.registry import versions
from modelway.workspace import Workspace


def from_online_values(workspace: Workspace, models: list[str], person: Person) -> dict[str, int]:
    """After the log and the tables: what is read again from there knows the person no more."""
    rows, stores = 0, 0
    for values, plan in _stores(workspace, models):
        try:
            entities = {person.column: person.value} if person.column else {}
            entities |= {statements(one.table): person.value for one in plan.joins if one.on == person.column}
            rows += values.erase(person.keys, entities)
            stores += 1
        finally:
            values.close()
    return {"rows": rows, "stores": stores}


def _stores(workspace: Workspace, models: list[str]) -> Iterator[tuple[OnlineValues, Plan]]:
    """The values of each version; versions with equal features and contract share theirs."""
    seen: set[str] = set()
    for model in models:
        for version in versions.all_versions(workspace.database, model):
            manifest = loads(Manifest, workspace.artifacts.get(version.digest))
            plan, name = Plan.from_plain(manifest.features), values_name(manifest)
            if not plan.looks_back or name in seen:
                continue
            seen.add(name)
            for one in copies(workspace, name):
                if workspace.has_online(one):
                    yield workspace.online(one, groups_of(plan)), plan

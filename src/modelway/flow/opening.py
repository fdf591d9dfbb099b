"""Before a run that a person asks for: everything that can be known to be wrong is said now, before anything is written."""

import hashlib

from modelway.contracts.contract import contract_of
from modelway.contracts.row import compile_row
from modelway.errors import SpecError
from modelway.features.plan import Plan, plan_of
from modelway.flow import composing, sending, targets
from modelway.flow.holding import hold, holder_name, insist
from modelway.flow.runs import open_new, spec_bytes
from modelway.flow.sending import Tell, silent
from modelway.records import Fit, Sources, Trigger, loads
from modelway.spec.document import with_line
from modelway.spec.model import Spec
from modelway.state import runs
from modelway.state.runs import Run
from modelway.training.user_code import load_user_code
from modelway.workspace import Workspace


def open_manual(workspace: Workspace, model: str, trigger: Trigger, tell: Tell = silent) -> str:
    """The id of the run to do: one that was stopped on the way goes on if spec and model.py are what they were, else a new one.

    Raises what is wrong with the spec, with model.py or with the files, and StateError while another process works on such a run:
    two at once would make two equal versions. Then no run is opened and nothing has changed.
    """
    spec = workspace.spec(model)
    planned(workspace, model)
    code = code_of(workspace, spec)
    composing.pinned(workspace, spec)
    for left in _asked_for(workspace, model):
        with insist(workspace, f"run/{left.id}", holder_name()):
            pass
    files = sending.unsent(workspace, spec, tell)
    targets.demand_learnable(workspace, spec, files)
    sending.send(workspace, spec, files, [file.path for file in files], tell)
    for left in _asked_for(workspace, model):
        if _can_go_on(workspace, left, spec, code):
            return left.id
    return open_new(workspace, model, trigger)


def code_of(workspace: Workspace, spec: Spec) -> str:
    """The digest of the project's code, which builds an estimator; a composition has none. Raises UserCodeError."""
    if spec.compose is not None:
        return hashlib.sha256(composing.NO_CODE).hexdigest()
    code = load_user_code(workspace.places.project(spec.model))
    code.build(spec.training.params, spec.task)
    return code.digest


def _asked_for(workspace: Workspace, model: str) -> list[Run]:
    return [run for run in runs.pending(workspace.database, model) if run.trigger.kind == "manual"]


def planned(workspace: Workspace, model: str) -> Plan:
    """The plan of a model's spec; a refusal names file and line. Rules of the contract are compiled too: a bound may not fit."""
    spec = workspace.spec(model)
    try:
        compile_row(contract_of(spec))
        composing.demand_features_of_rows(spec)
        plan = plan_of(spec)
        composing.demand_members(workspace, spec, plan)
        return plan
    except SpecError as error:
        error = composing.at_rule(spec, error)
        raise with_line(error, workspace.places.spec(model)) from error


def _can_go_on(workspace: Workspace, left: Run, spec: Spec, code: str) -> bool:
    """Whether nobody works on it and it is still what is wanted; if it is no longer, it is closed with the reason."""
    with hold(workspace, f"run/{left.id}", holder_name()) as lease:
        if lease is None:
            return False
        gathered, trained = (runs.step(workspace.database, left.id, name) for name in ("ingest", "train"))
        wanted = hashlib.sha256(spec_bytes(spec)).hexdigest()
        same_spec = gathered is None or loads(Sources, gathered).spec == wanted
        if same_spec and (trained is None or loads(Fit, trained).code == code):
            return True
        reason = "given up: it was stopped on the way, and the spec or model.py has changed since"
        runs.finish(workspace.database, left.id, workspace.clock.now(), error=reason, kind="given up", lease=lease)
        return False

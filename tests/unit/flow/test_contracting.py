"""`modelway contract`: of a spec and of a registered version, to Great Expectations and back, and on a file."""

import json
import re

import polars as pl
import pytest
import yaml

from modelway.contracts.contract import contract_of, to_plain
from modelway.errors import ContractError, NotFoundError, SpecError, UnreadableFileError, UsageError
from modelway.flow import contracting
from modelway.flow.feeding import ingest
from modelway.flow.sending import send_files
from modelway.flow.targets import demand_single_columns
from modelway.records import Manifest, OperatingPoint, Validation, dumps
from modelway.registry import versions
from modelway.spec.model import Spec
from modelway.workspace import create_workspace
from tests.support.projects import modelway, ok

SPEC = """\
model: loans
task: binary
data: {source: rows, key: id, target: bad}
contract:
  id: {type: string, unique: true}
  amount: {type: float, min: 0, nulls: 0, on_breach: {min: warn}}
  limit: {type: float}
  bad: {type: int, in: [0, 1]}
checks:
  - {expr: amount <= limit, severity: ticket}
  - {change: {of: limit, by: id, min: 0}}
"""


@pytest.fixture
def workspace(tmp_path):
    made = create_workspace(tmp_path / "bank", "")
    project = made.places.project("loans")
    project.mkdir()
    (project / "modelway.yaml").write_text(SPEC)
    yield made
    made.close()


def registered(workspace, spec: Spec) -> None:
    manifest = Manifest(
        "loans", "binary", "", (), (), "double", to_plain(contract_of(spec)), {}, OperatingPoint(), "id", "", (), ""
    )
    digest = workspace.artifacts.put(dumps(manifest))
    versions.register(
        workspace.database, "loans", "r1", digest, Validation((), (), OperatingPoint()), workspace.clock.now()
    )


def test_a_version_is_compared_with_the_spec_as_it_is_now(workspace):
    registered(workspace, workspace.spec("loans"))
    assert contracting.compared(workspace, "loans@1", "loans") == []
    path = workspace.places.spec("loans")
    path.write_text(
        SPEC.replace("min: 0, nulls: 0", "min: 5, nulls: 10%").replace(
            "  limit: {type: float}\n", "  limit: {type: int}\n"
        )
    )
    found = [(d.column, d.rule, d.how, d.then, d.now) for d in contracting.compared(workspace, "loans@1", "loans")]
    assert found == [
        ("amount", "nulls", "looser", "0", "0.1"),
        ("amount", "min", "tighter", "0", "5"),
        ("limit", "type", "tighter", "float", "int"),
    ]


@pytest.mark.parametrize(
    ("name", "error"), [("loans@x", UsageError), ("loans@7", NotFoundError), ("laons", NotFoundError)]
)
def test_a_contract_that_is_not_there_is_said(workspace, name, error):
    with pytest.raises(error):
        contracting.contract_at(workspace, name)


def test_a_mistake_in_an_expression_names_file_and_line(workspace):
    path = workspace.places.spec("loans")
    path.write_text(SPEC.replace("amount <= limit", "amuont <= limit"))
    with pytest.raises(
        SpecError, match=r"modelway.yaml:10: checks\[0\]: there is no column 'amuont', did you mean 'amount'"
    ):
        contracting.shown(workspace, "loans")


def test_the_command_shows_checks_exports_and_imports(workspace, tmp_path):
    root = workspace.places.root
    registered(workspace, workspace.spec("loans"))
    rules = json.loads(ok("contract", "show", "loans", "--json", cwd=root))
    assert {
        "column": "amount",
        "rule": "min",
        "wanted": "0",
        "asked_of": "value",
        "on_breach": "warn",
        "severity": None,
    } in rules
    assert "have the same contract" in ok("contract", "diff", "loans@1", cwd=root)
    said = ok("contract", "export", "loans", "--great-expectations", "suite.json", "--docs", "pages", cwd=root)
    assert "change" in said
    assert "no expectation compares a row with the one before it" in said
    assert (root / "pages" / "index.html").is_file()
    read = modelway("contract", "import", "--great-expectations", "suite.json", cwd=root)
    assert read.code == 0
    section = yaml.safe_load(read.out)
    assert section["contract"]["amount"] == {"type": "float", "min": 0, "nulls": 0, "on_breach": {"min": "warn"}}
    assert section["checks"] == [{"expr": "amount <= limit", "severity": "ticket"}]


def test_the_command_names_every_breach_of_a_file(workspace, tmp_path):
    root = workspace.places.root
    frame = pl.DataFrame({"id": ["a", "b", "a"], "amount": [5, -1, 7], "limit": [9, 9, 6], "bad": [0, 1, 2]})
    frame.write_csv(root / "june.csv")
    said = modelway("contract", "check", "loans", "--data", "june.csv", "--json", cwd=root)
    assert said.code == 1
    found = json.loads(said.out)
    assert (found["rows"], found["accepted"]) == (3, 2)
    told = [(b["row"], b["key"], b["rule"], b["action"]) for b in found["breaches"]]
    assert told == [
        (1, "b", "min", "warn"), (2, "a", "unique", "quarantine"), (2, "a", "in", "quarantine"),
        (2, "a", "amount <= limit", "quarantine"), (2, "a", "change", "quarantine"),
    ]  # fmt: skip
    shown = modelway("contract", "check", "loans", "--data", "june.csv", cwd=root)
    assert "2 of 3 rows would be accepted" in shown.out
    assert shown.code == 1


KEYED = """\
model: loans
task: binary
data: {source: {files: ["*.csv"]}, key: id, event_time: at, target: bad}
contract:
  id: {type: string}
  at: {type: datetime, on_breach: warn}
  amount: {type: float, min: 0}
  bad: {type: int}
"""


def test_rows_without_key_or_event_time_are_breaches_as_they_are_when_the_file_is_ingested(workspace):
    workspace.places.spec("loans").write_text(KEYED)
    file = workspace.places.root / "june.csv"
    lines = [
        "a,2026-01-01,1,0",
        ",2026-01-01,2,1",
        "c,,3,0",
        "d,yesterday,4,0",
        ",,5,0",
        ",2026-01-01,-1,0",
        '" ",2026-01-02,7,1',
    ]
    file.write_text("\n".join(["id,at,amount,bad", *lines]))
    found = contracting.check_file(workspace, "loans", file)
    told = [(b.row, b.key, b.column, b.rule, b.action, b.reason) for b in found.breaches if b.rule != "type"]
    assert told == [
        (1, None, "id", "key", "quarantine", "id: the key is missing"),
        (2, "c", "at", "event_time", "quarantine", "at: no event time"),
        (3, "d", "at", "event_time", "quarantine", "at: no event time"),
        (4, None, "id", "key", "quarantine", "id: the key is missing"),
        (5, None, "amount", "min", "quarantine", "amount: -1 is below 0"),
        (6, None, "id", "key", "quarantine", "id: the key is missing"),
    ]
    spec = workspace.spec("loans")
    send_files(workspace, spec)
    (done,) = ingest(workspace, spec)
    assert (found.accepted.height, found.rows.height - found.accepted.height) == (done.accepted, done.quarantined)


def test_a_column_that_is_not_in_the_file_is_said_once_with_the_nearest_one(workspace):
    workspace.places.spec("loans").write_text(KEYED)
    file = workspace.places.root / "june.csv"
    file.write_text("key,at,amonut,bad\na,2026-01-01,1,0\nb,2026-01-01,2,1\n")
    words = r"june\.csv has no column id, amount \(but amonut\), which the contract or data in models/loans/modelway\.yaml names"
    with pytest.raises(ContractError, match=words) as caught:
        contracting.check_file(workspace, "loans", file)
    assert "call amonut amount there" in caught.value.fix
    with pytest.raises(ContractError, match=words):
        send_files(workspace, workspace.spec("loans"))


def test_a_column_that_is_there_twice_is_refused_where_the_contract_names_one(workspace):
    root, path = workspace.places.root, workspace.places.spec("loans")
    path.write_text(KEYED)
    (root / "june.csv").write_text(
        "id,at,amount,bad,Amount,amount,x,x\na,2026-01-01,1,0,2,3,4,5\nb,2026-01-01,2,1,2,3,4,5\n"
    )
    words = "june.csv has 2 columns amount, and models/loans/modelway.yaml names one: the first is read as amount, then amount.1"
    for refuse in (
        lambda: contracting.check_file(workspace, "loans", root / "june.csv"),
        lambda: send_files(workspace, workspace.spec("loans")),
        lambda: demand_single_columns(workspace, workspace.spec("loans")),
    ):
        with pytest.raises(ContractError, match=re.escape(words)) as caught:
            refuse()
        assert "keep one of them" in caught.value.fix
    path.write_text(KEYED + "  amount.1: {type: int}\n")
    assert contracting.check_file(workspace, "loans", root / "june.csv").breaches == ()
    demand_single_columns(workspace, workspace.spec("loans"))


def test_rows_to_predict_have_no_target_and_are_checked(workspace):
    workspace.places.spec("loans").write_text(KEYED)
    file = workspace.places.root / "score.csv"
    file.write_text("id,at,amount\na,2026-01-01,1\nb,2026-01-01,2\n")
    assert contracting.check_file(workspace, "loans", file).breaches == ()
    workspace.places.spec("loans").write_text(KEYED.replace("bad: {type: int}", "bad: {type: int, nulls: 0}"))
    with pytest.raises(ContractError, match="no column bad"):
        contracting.check_file(workspace, "loans", file)


def test_what_is_no_suite_is_said_with_the_fix(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UnreadableFileError, match="no JSON"):
        contracting.read_suite(tmp_path / "x.json")
    with pytest.raises(UnreadableFileError, match="does not exist"):
        contracting.read_suite(tmp_path / "y.json")
    with pytest.raises(UnreadableFileError, match=r"cannot read .*: Is a directory"):
        contracting.read_suite(tmp_path)
    (tmp_path / "z.json").write_text("[" * 100_000)
    with pytest.raises(UnreadableFileError, match="no JSON"):
        contracting.read_suite(tmp_path / "z.json")


def test_pages_that_have_no_place_are_said_before_anything_is_written(workspace, tmp_path):
    (tmp_path / "taken").write_text("mine")
    for docs in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(UsageError, match=r"taken is a file and no folder|cannot write") as caught:
            contracting.export(workspace, "loans", tmp_path / "suite.json", docs)
        assert "name a folder" in caught.value.fix
    assert not (tmp_path / "suite.json").exists()
    assert (tmp_path / "taken").read_text() == "mine"

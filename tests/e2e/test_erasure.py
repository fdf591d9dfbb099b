"""A person erased from everything that a workspace holds of them; killed anywhere, it goes on; the rest can be made again."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import polars as pl
import pytest

from modelway.errors import DataError, UsageError
from modelway.events.log import NewEvent
from modelway.features.online import FAR, Look
from modelway.flow.erasing import ask, work_off
from modelway.flow.erasing_texts import GONE
from modelway.flow.feeding import ingest
from modelway.flow.online import rows_of
from modelway.flow.parity import Difference, Parity
from modelway.flow.persons import Person
from modelway.flow.pins import pinned
from modelway.flow.positions import set_positions
from modelway.flow.serving import loader, values_name
from modelway.monitoring import alerts
from modelway.monitoring.sinks import FileSink
from modelway.records import Manifest, Trigger, loads
from modelway.registry import versions
from modelway.state import ledger, runs
from modelway.workspace import Workspace, open_workspace
from tests.support.killing import KILLED, passages, run_apart
from tests.support.projects import SPEC, applicants, bank, modelway, ok, records
from tests.support.thorough import part

NAME = "erna mustermann"
START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = {"L00010", "L00200", "L00599"}
SPEC_OF_PERSONS = SPEC.replace(
    "  key: loan_id\n", "  key: loan_id\n  event_time: at\n  entities: [customer]\n  ignore: [customer]\n"
) + (
    "features:\n  seen: {stat: count, by: customer, window: 30d}\n  usual: {stat: mean, of: income, by: customer, window: 30d}\n"
)
TOLD = {"served": "2026-01-01T00:00:00Z", "at": "2026-01-01T00:00:00Z", "version": 1, "digest": "d", "shadow": False,
        "upto": {}, "ms": 1.0, "status": "ok", "reason": "", "scores": [0.1], "prediction": "0"}  # fmt: skip
WORDS = ("erase", "loans", "--entity", f"customer={NAME}", "--reason", "request 2026-114")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on 600 loans, three of them a person's; labels and a refused row of theirs, and rows that came later."""
    root = bank(tmp_path_factory.mktemp("erase"), spec=SPEC_OF_PERSONS)
    rows = applicants(600).with_columns(
        customer=pl.when(pl.col("loan_id").is_in(["L00010", "L00200", "L00599"]))
        .then(pl.lit(NAME))
        .otherwise(pl.lit("c")),
        at=pl.datetime_range(START, START + timedelta(hours=599), "1h", time_zone="UTC", eager=True),
    )
    broken = rows.head(1).with_columns(loan_id=pl.lit("L09999"), customer=pl.lit(NAME), income=pl.lit(-5.0))
    pl.concat([rows, broken]).write_csv(root / "train.csv")
    ok("run", "loans", cwd=root)
    rows.slice(9, 1).with_columns(loan_id=pl.lit("L00700")).write_csv(root / "late.csv")
    outcomes = pl.DataFrame({"loan_id": ["L00010", "L00011"], "label": [1, 0], "at": ["2026-01-01T00:00:00Z"] * 2})
    outcomes.write_csv(root / "outcomes.csv")
    ok("labels", "loans", "--data", "outcomes.csv", cwd=root)
    workspace = open_workspace(root)
    asked = {"request": "r1", "index": 0, "key": "L00010", "row": {"customer": NAME}, "features": [3.0, 4321.5]}
    workspace.log.append("loans_predictions", [NewEvent("r1/0/1", orjson.dumps({**TOLD, **asked}))])
    workspace.log.append("loans", [NewEvent("torn", f'{{"customer": "{NAME}", "inc'.encode())])
    ok("ingest", "loans", cwd=root)
    loader(workspace)(versions.get(workspace.database, "loans", 1).digest, "loans", 1)
    quote(workspace)
    workspace.close()
    for name in ("train.csv", "late.csv", "outcomes.csv"):
        (root / name).unlink()
    return root


def quote(workspace: Workspace) -> None:
    """Texts that name the person, where they come to stand: alerts, an error of a run, the alerts' file, a log."""
    now = workspace.clock.now()
    served = Difference("usual", "L00010", now, 4321.5, 4000.25, ("L00200 at 2026-01-01 00:00:00",))
    parity = Parity(7, (served,)).causes
    trouble = {f"trouble: the cell {NAME} is no number": ("ticket", f"could not convert '{NAME}'")}
    others = {"parity: seen": ("page", "seen of row L00011 was served as 1.0")}
    alerts.book(workspace.database, "loans", {**parity, **trouble, **others}, now)  # type: ignore[arg-type]
    alerts.deliver(workspace.database, [FileSink(workspace.places.inner / "alerts.ndjson")], now)
    run = runs.open_run(workspace.database, "loans-0009", "loans", Trigger("schedule", "due"), now)
    error = DataError(f"no number: {NAME!r} in row L00599")
    runs.finish(workspace.database, run.id, now, error=error.problem, kind="DataError")
    log = workspace.places.logs / "loop.log"
    log.write_text(f"one line\n{error.problem}\nanother line\n")


@pytest.fixture
def root(untouched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(untouched, tmp_path / "bank"))


def erase(root: Path) -> None:
    workspace = open_workspace(root)
    work_off(workspace, ask(workspace, "loans", Person((), "customer", NAME), "ann", "request 2026-114"))
    workspace.close()


def demand_erased(root: Path) -> None:
    """No table, no version, no artefact, no file knows the person; all others are there."""
    workspace = open_workspace(root)
    lake = workspace.lake
    assert lake.read("loans").height == 597
    for version in pinned(workspace.database, "loans"):
        assert lake.read(f"loans@{version}").filter(pl.col("_key").is_in(KEYS)).height == 0
        assert lake.read(f"loans@{version}").height == 597
    assert lake.read("loans_labels")["_key"].to_list() == ["L00011"]
    assert lake.read("loans_quarantine").filter(pl.col("_raw").str.strip_chars() != "").height == 0
    assert lake.read("loans_predictions").height == 0
    for topic in workspace.log.topics():
        told = [row for event in workspace.log.read(topic, {}) for row in rows_of(event)]
        assert not any(word in str(told) for word in (NAME, *KEYS))
    manifest = loads(Manifest, workspace.artifacts.get(versions.get(workspace.database, "loans", 1).digest))
    values = workspace.online(values_name(manifest), [("customer",)])
    kept = [len(values.look([Look(("customer",), (who,), FAR, -FAR)], None)[0].at) for who in ("c", NAME)]
    assert kept == [597, 0]
    assert values.upto() == workspace.log.ends("loans")
    values.close()
    workspace.close()
    demand_no_byte(root)
    entries = records(root, "history")["entries"]
    assert [e["action"] for e in entries].count("erased") == 1


def demand_no_byte(root: Path) -> None:
    """Every file, read as it is, and every table as its rows."""
    tables = 0
    for file in root.rglob("*"):
        if not file.is_file():
            continue
        content = file.read_bytes()
        for word in (NAME, *KEYS):
            assert word.encode() not in content, (word, file)
        if content[:4] == b"PAR1" and "_delta_log" not in file.parts:
            frame, tables = pl.read_parquet(file), tables + 1
            assert not any(word in str(frame.rows()) for word in (NAME, *KEYS)), file
    assert tables >= 4


def test_a_person_is_erased_everywhere_and_the_version_can_still_be_made_again(root):
    assert records(root, "status")["erasures"] == []
    done = records(root, *WORDS)[0]
    assert done["report"]["table loans"]["rows"] == 3
    assert sum(done["report"]["table loans"]["pinned"].values()) == 3
    assert done["report"]["training sets"]["rows"] == 3
    assert done["report"]["log loans"]["rows"] == 5
    assert done["report"]["online values"] == {"rows": 3, "stores": 1}
    assert done["report"]["texts"] == {"rows": 3, "lines of logs": 3}
    assert done["done"]
    demand_erased(root)
    workspace = open_workspace(root)
    assert {a.text for a in alerts.open_alerts(workspace.database, "loans")} == {
        GONE,
        "seen of row L00011 was served as 1.0",
    }
    assert runs.get(workspace.database, "loans-0009").error == GONE
    assert ledger.verify(workspace.database) > 0
    workspace.close()
    assert [line for line in (root / ".modelway/logs/loop.log").read_text().split("\n") if line.strip()] == [
        "one line",
        "another line",
    ]
    again = json.loads(ok("reproduce", "loans@1", "--json", cwd=root))
    assert (again["erased"], again["missing"], again["differing"]) == (3, 0, 0)
    said = ok("reproduce", "loans@1", cwd=root)
    assert "equal up to 3 erased rows" in said
    workspace = open_workspace(root)
    with pytest.raises(UsageError, match="is no entity"):
        ask(workspace, "loans", Person((), "income", "5"), "ann", "x")
    workspace.close()
    ok("maintain", cwd=root)
    demand_erased(root)
    assert records(root, *WORDS)[0]["report"]["table loans"]["rows"] == 0


def test_an_open_request_is_shown_with_its_deadline_and_names_nobody(root):
    killed = modelway(*WORDS, "--within", "2d", cwd=root, env={"MODELWAY_KILL_AT": "lake.before-erase"})
    assert killed.code == -9
    told = records(root, "status")["erasures"]
    assert [(one["model"], one["overdue"]) for one in told] == [("loans", False)]
    said = [line for line in ok("status", cwd=root).splitlines() if "erasure" in line]
    assert said
    assert NAME not in "".join(said)
    ok("erase", "--resume", cwd=root)
    demand_erased(root)
    assert records(root, "status")["erasures"] == []


def test_what_follows_after_it_does_not_bring_the_person_back(root):
    ok(*WORDS, cwd=root)
    workspace = open_workspace(root)
    set_positions(workspace, "loans", "oldest", "ann", "again")
    ingest(workspace, workspace.spec("loans"))
    (workspace.places.inner / "online").rename(root / "lost")
    shutil.rmtree(root / "lost")
    loader(workspace)(versions.get(workspace.database, "loans", 1).digest, "loans", 1)
    workspace.close()
    demand_erased(root)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_any_point_the_same_command_ends_it(untouched, tmp_path):
    undisturbed = Path(shutil.copytree(untouched, tmp_path / "undisturbed"))
    points = passages(erase, undisturbed, trace=tmp_path / "points")
    demand_erased(undisturbed)
    for passage, point in part(list(enumerate(points)), 15):
        root = Path(shutil.copytree(untouched, tmp_path / "killed"))
        assert run_apart(erase, root, kill_at=f"{point}:{points[: passage + 1].count(point)}") == KILLED
        assert run_apart(erase, root) == 0
        demand_erased(root)
        shutil.rmtree(root)

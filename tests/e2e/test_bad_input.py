"""Bad input and bad luck: the exit code, words that name place and fix, no traceback, and nothing changed."""

import gzip
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.support.projects import MODEL, SPEC, applicants, bank, modelway, ok, standing


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bank(tmp_path_factory.mktemp("bad"), rows=200)


@pytest.fixture
def root(untouched: Path, tmp_path: Path) -> Path:
    """A workspace of its own."""
    return Path(shutil.copytree(untouched, tmp_path / "bank"))


def demand(root: Path, *words: str, code: int, says: tuple[str, ...]) -> None:
    """The command fails in words, and leaves lake, ledger and processes as they were."""
    before = standing(root)
    said = modelway(*words, cwd=root)
    assert said.code == code, (said.out, said.err)
    for part in (*says, "fix: "):
        assert part in said.err, (part, said.err)
    assert "Traceback" not in said.err + said.out
    assert standing(root) == before


def spec(root: Path, text: str) -> None:
    (root / "models/loans/modelway.yaml").write_text(text)


def test_a_misspelt_key_is_named_with_file_line_and_what_was_meant(root):
    spec(root, SPEC.replace("  target: BAD", "  tagret: BAD"))
    demand(root, "run", "loans", code=3, says=("modelway.yaml:6", "tagret", "did you mean", "target"))


def test_every_mistake_of_a_spec_is_said_at_once(root):
    spec(root, SPEC.replace("task: binary", "task: binery").replace("min: 0,", "minn: 0,"))
    demand(root, "check", "loans", code=3, says=("modelway.yaml:2", "modelway.yaml:10", "minn"))


def test_a_feature_or_a_rule_that_cannot_be_is_named_with_its_line(root):
    spec(root, SPEC + "features:\n  twice: {expr: incme * 2}\n")
    demand(root, "run", "loans", code=3, says=("modelway.yaml:15", "features.twice", "income"))
    spec(root, SPEC.replace("debt: {type: float, min: 0}", "debt: {type: float, min: low}"))
    demand(root, "check", "loans", code=3, says=("modelway.yaml:11", "contract.debt.min"))


def test_an_unknown_model_and_a_folder_without_a_workspace(root, tmp_path):
    demand(root, "run", "lones", code=2, says=("lones", "did you mean loans?"))
    said = modelway("status", cwd=tmp_path.parent)
    assert (said.code, "modelway init" in said.err) == (2, True)


def test_a_file_that_is_not_there(root):
    (root / "train.csv").unlink()
    demand(root, "run", "loans", code=2, says=("train.csv", "data.source.files"))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"loan_id,income,debt,job,BAD\n", "no rows"), (b"\x00\x01\x02" * 99, "train.csv")],
)
def test_an_empty_file_and_one_that_is_no_table(root, content, says):
    (root / "train.csv").write_bytes(content)
    demand(root, "run", "loans", code=4, says=("train.csv", says))


def test_a_torn_file(root):
    (root / "train.csv").write_bytes(gzip.compress((root / "train.csv").read_bytes())[:-40])
    demand(root, "run", "loans", code=4, says=("train.csv", "torn"))
    frame = applicants(200)
    frame.write_parquet(root / "train.parquet")
    whole = (root / "train.parquet").read_bytes()
    (root / "train.parquet").write_bytes(whole[: len(whole) // 2])
    spec(root, SPEC.replace("train.csv", "train.parquet"))
    demand(root, "run", "loans", code=4, says=("train.parquet",))


def test_a_missing_target_when_a_project_is_made(root):
    demand(root, "new", "cards", "--data", "train.csv", "--target", "BED", code=2, says=("BED", "BAD"))
    assert not (root / "models/cards").exists()


def test_one_class_only_when_a_project_is_made(root):
    applicants(100).with_columns(BAD=pl.lit(0)).write_csv(root / "one.csv")
    demand(root, "new", "cards", "--data", "one.csv", "--target", "BAD", code=4, says=("BAD",))


def test_one_class_only_in_data_of_an_existing_model(root):
    applicants(100).with_columns(BAD=pl.lit(0)).write_csv(root / "train.csv")
    demand(root, "run", "loans", code=4, says=("'BAD' has only one class in train.csv: 0 (100 rows)",))
    assert standing(root).lake == {}
    ok("ingest", "loans", cwd=root)  # the rows may get labels later, so the run itself refuses
    said = modelway("run", "loans", cwd=root)
    assert said.code == 4
    assert "only one class" in said.err
    assert [e["action"] for e in ledger(root)] == ["run", "run_failed"]


def test_one_number_only_as_the_target_of_a_regression_and_none_at_all(root):
    number = SPEC.replace("binary", "regression").replace('  positive: "1"\n', "")
    spec(root, number.replace("int, in: [0, 1]", "float"))
    applicants(100).with_columns(BAD=pl.lit(2.5)).write_csv(root / "train.csv")
    demand(root, "run", "loans", code=4, says=("'BAD' is the same number in all 100 rows of train.csv: 2.5",))
    applicants(100).with_columns(BAD=pl.lit(None, pl.Float64)).write_csv(root / "train.csv")
    demand(root, "run", "loans", code=4, says=("'BAD' is missing in every row of train.csv", "modelway labels loans"))


def test_a_target_that_no_file_has_is_refused_before_anything_is_written(root):
    spec(root, SPEC.replace("target: BAD", "target: BDA"))
    told = ("modelway.yaml:6: data.target: ", "'BDA' (there: loan_id, income, debt, job, BAD)", "did you mean 'BAD'?")
    demand(root, "run", "loans", code=3, says=told)
    demand(root, "check", "loans", code=3, says=told)
    assert standing(root).lake == {}
    (root / "train.csv").rename(root / "gone.csv")
    ok("check", "loans", cwd=root)  # `check` needs no data


def test_a_target_that_the_lake_does_not_have_is_refused_too(root):
    ok("ingest", "loans", cwd=root)
    spec(root, SPEC.replace("target: BAD", "target: BDA"))
    demand(root, "run", "loans", code=3, says=("modelway.yaml:6", "did you mean 'BAD'?"))
    demand(root, "check", "loans", code=3, says=("modelway.yaml:6", "did you mean 'BAD'?"))


def test_labels_that_were_sent_may_be_the_only_targets(root):
    frame = applicants(200)
    frame.drop("BAD").write_csv(root / "train.csv")
    spec(root, SPEC.replace("  BAD: {type: int, in: [0, 1]}\n", ""))
    told = ("modelway.yaml:6", "no column 'BAD'", "modelway labels loans --data FILE")
    demand(root, "run", "loans", code=3, says=told)
    frame.select("loan_id", "BAD").write_csv(root / "outcomes.csv")
    ok("labels", "loans", "--data", "outcomes.csv", cwd=root)
    ok("check", "loans", cwd=root)
    said = modelway("run", "loans", cwd=root)
    assert "rows to learn from" in said.out, said.err


def ledger(root: Path) -> list[dict[str, object]]:
    return json.loads(ok("history", "loans", "--json", cwd=root))["entries"]


def test_a_column_that_is_gone_from_new_data(root):
    ok("ingest", "loans", cwd=root)
    applicants(100, seed=1).drop("income").write_csv(root / "train.csv")
    demand(root, "run", "loans", code=4, says=("train.csv", "income", "contract"))


def test_a_column_of_another_type_in_new_data(root):
    applicants(100, seed=1).with_columns(income=pl.lit("high")).write_csv(root / "train.csv")
    demand(root, "run", "loans", code=4, says=("train.csv", "income", "'high' is no number", "100 rows"))


def test_an_exception_in_model_py_is_shown_with_the_users_own_lines(root):
    broken = MODEL.replace("    numbers =", "    rate = 1 / params.get('rate', 0)\n    numbers =")
    (root / "models/loans/model.py").write_text(broken)
    demand(root, "run", "loans", code=5, says=("model.py", "rate = 1 / params.get('rate', 0)", "ZeroDivisionError"))
    (root / "models/loans/model.py").write_text("def build(params:\n")
    demand(root, "run", "loans", code=5, says=("model.py", "build(params:"))


def test_an_exception_while_fitting_is_the_users_too(root):
    lines = "class Odd(LogisticRegression):\n    def fit(self, X, y):\n        raise RuntimeError('too odd')\n"
    broken = MODEL.replace("\n\ndef build", f"\n\n{lines}\n\ndef build").replace("LogisticRegression(C", "Odd(C")
    (root / "models/loans/model.py").write_text(broken)
    said = modelway("run", "loans", cwd=root)
    assert said.code == 5
    assert "raise RuntimeError('too odd')" in said.err
    assert "site-packages" not in said.err
    assert "Traceback" not in said.err
    assert [e["action"] for e in ledger(root)] == ["run", "run_failed"]


def test_predict_before_there_is_a_version_names_the_next_command(root):
    demand(root, "predict", "loans", "--data", "train.csv", "--out", "p.csv", code=7, says=("modelway run loans",))


def test_release_of_what_is_not_there(root):
    demand(root, "release", "loans", code=7, says=("modelway run loans",))
    demand(root, "release", "loans", "--version", "3", code=2, says=("loans@3", "none yet"))


def test_debug_shows_our_traceback(root):
    said = modelway("--debug", "run", "nope", cwd=root)
    assert "Traceback" in said.err


def test_a_workspace_cannot_be_made_where_a_file_stands(tmp_path):
    (tmp_path / "bank").write_text("")
    said = modelway("init", "bank", cwd=tmp_path)
    assert said.code != 0
    assert "Traceback" not in said.err
    assert "fix: " in said.err


def test_a_damaged_control_database_is_said_with_the_way_out_and_hides_no_other_engine(root):
    place = root / ".modelway/control.db"
    place.write_bytes(place.read_bytes()[:5000])
    for command in (("status",), ("run", "loans"), ("up",)):
        said = modelway(*command, cwd=root)
        assert said.code == 8
        assert "control database cannot be used" in said.err
        assert "Traceback" not in said.err
    found = {line["engine"]: line["found"] for line in json.loads(modelway("doctor", "--json", cwd=root).out)}
    assert "cannot be used" in found["control database"]
    assert (found["lake"], found["artefacts"]) == ("answers", "answers")


def test_a_damaged_table_is_said_with_the_way_out_and_doctor_sees_it(root):
    ok("ingest", "loans", cwd=root)
    place = root / ".modelway/lake/loans"
    file = next(place.glob("*.parquet"))
    kept = file.read_bytes()
    file.unlink()
    demand(root, "run", "loans", code=8, says=(f"table loans is damaged: {file} is missing", "from a backup"))
    said = modelway("doctor", "--json", cwd=root)
    assert said.code == 8
    lake = next(line for line in json.loads(said.out) if line["engine"] == "lake")
    assert lake["found"] == f"table loans is damaged: {file} is missing"
    file.write_bytes(kept)
    ok("doctor", cwd=root)
    log = place / "_delta_log" / f"{0:020d}.json"
    log.write_text('{"x\n')
    said = modelway("run", "loans", cwd=root, env={"RUST_BACKTRACE": "1"})
    assert said.code == 8
    assert f"table loans is damaged: {log} cannot be read\n  fix: restore it from a backup\n" in said.err
    assert "unknown" not in said.err

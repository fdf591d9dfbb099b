"""The fraud example in a village: events, a version, a server asked of every payment, labels, and a report that reconciles."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from examples.card_fraud.command import asked_for, main
from examples.card_fraud.project import MODEL
from examples.card_fraud.replay import Replayed, replay
from examples.card_fraud.report import write_report
from examples.card_fraud.setting import FULL, QUICK, SMALL
from examples.card_fraud.stream import DRAWN_DELAYS

from modelway.errors import EventLogError
from tests.support.fraud import MUCH
from tests.support.projects import ok, processes

SETTING = replace(QUICK, faults=MUCH)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return replay(tmp_path_factory.mktemp("fraud") / "village", SETTING, lambda what, share: None)


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestVillage:
    def test_every_event_and_every_request_is_found_again(self, done):
        assert done.reckoning.holds, done.reckoning
        assert done.reconciled
        assert done.asked.requests == done.logged > 400
        assert (done.asked.failed, done.asked.refused) == (0, 0)

    def test_every_answer_is_computed_again_from_the_lake_to_the_last_bit(self, done):
        assert done.parity == (done.asked.requests, 0.0)

    def test_the_server_ranks_as_the_lake_does_but_for_what_came_late(self, done):
        assert done.served is not None
        assert done.served.rows == done.shipped.rows
        assert done.served.average_precision == pytest.approx(done.shipped.average_precision, abs=0.05)
        for name, mine in done.book.items():
            assert mine.auc_roc > 0.6, name
            assert mine.average_precision > 2 * mine.frauds / mine.rows, name
        assert done.shipped.auc_roc > 0.75

    def test_the_report_says_so_and_needs_nothing_else(self, done, tmp_path):
        page = write_report(done, tmp_path / "report.html").read_text()
        assert "NOT RECONCILED" not in page
        assert page.count("reconciled") == 2
        assert "src=" not in page
        assert "0.658" in page  # the book's forest
        assert "A smaller world" in page

    def test_the_command_line_sees_the_same_workspace(self, done):
        said = ok("quarantine", "list", MODEL, "--json", cwd=done.root)
        assert 0 < said.count('"reason"') <= done.reckoning.kinds["quarantine"]  # what was mended waits no more
        assert f"{MODEL}@2" in ok("reproduce", f"{MODEL}@2", cwd=done.root)

    def test_no_process_is_left(self, done):
        assert processes(done.root) == ()


def test_the_arguments_name_the_setting(tmp_path: Path):
    assert asked_for([]) == (Path("fraud"), SMALL, None)
    assert asked_for(["--quick"])[1] == QUICK
    words = ["--book", "--labels", "drawn", "--cents", "0.01", "--seed", "9", "--kafka", "broker:9092"]
    root, setting, kafka = asked_for([*words, "--root", str(tmp_path)])
    assert (root, kafka) == (tmp_path, "broker:9092")
    assert (setting.city, setting.delays, setting.faults.in_cents, setting.seed) == (FULL.city, DRAWN_DELAYS, 0.01, 9)
    assert not setting.is_book


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_labels_that_come_late_or_never_are_waited_for_and_said(tmp_path):
    setting = replace(SETTING, delays=DRAWN_DELAYS, serve=False)
    done = replay(tmp_path / "village", setting, lambda what, share: None)
    assert done.reckoning.holds
    assert done.found.unlabelled > 0
    known = pl.concat([done.found.train["fraud"], done.found.test["fraud"]])
    assert known.null_count() == 0
    assert done.book.keys() >= {"logistic regression", "random forest"}


def test_a_broker_that_is_not_there_is_said_in_a_sentence(tmp_path, capsys):
    pytest.importorskip("confluent_kafka")
    assert main(["--kafka", "127.0.0.1:1", "--root", str(tmp_path / "fraud")]) == EventLogError.exit_code
    assert "no Kafka at 127.0.0.1:1" in capsys.readouterr().out

"""The market example with planted breaks: the loop must both promote and refuse, and what it says must reconcile."""

import shutil
from pathlib import Path

import pytest
from examples.market_risk import bars
from examples.market_risk.replay import PROJECT, Replayed, planted, replay
from examples.market_risk.report import write_report

from tests.support.projects import processes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RELEASE = """\
release: {shadow: 30 requests, canary: [50%, 100%], promote_on: losses, at_most: 1y, guard: {loss_margin: 0.05}}
"""
RETRAINING = """\
retraining: {on: [drift, performance, "every 60d"], cooldown: 50d, at_most: 10 per 365d}
"""


def hurried(place: Path) -> Path:
    """The example's project with policies that act within months, so that two years tell the story."""
    shutil.copytree(PROJECT, place)
    text = (place / "modelway.yaml").read_text()
    before, _, rest = text.partition("release:")
    middle = rest[rest.index("monitoring:") : rest.index("retraining:")]
    (place / "modelway.yaml").write_text(before + RELEASE + middle + RETRAINING)
    return place


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    root = tmp_path_factory.mktemp("planted")
    days = planted(list(bars.days())[:1700], at=1300, noise_at=1450)
    return replay(root / "demo", days, lambda what, share: None, project=hurried(root / "market-risk"))


def total(replayed: Replayed, name: str) -> int:
    return sum(getattr(year, name) for year in replayed.story.years)


def test_it_promotes_and_it_refuses(replayed):
    assert total(replayed, "alarms") >= 1
    assert total(replayed, "retrainings") >= 2
    assert total(replayed, "promoted") >= 1
    assert total(replayed, "refused") >= 1
    assert len(replayed.asked.versions) >= 2


def test_no_request_failed_and_everything_reconciles(replayed):
    assert replayed.asked.failed == 0
    assert replayed.asked.requests == 450
    assert replayed.story.reconciled(replayed.asked)


def test_every_answer_is_computed_again_from_the_lake_to_the_last_bits(replayed):
    assert replayed.story.recomputed == 450
    assert replayed.story.worst_parity <= 1e-12


def test_the_report_needs_nothing_else(replayed, tmp_path):
    page = write_report(replayed.story, replayed.asked, replayed.seconds, tmp_path / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "src=" not in page
    assert "href=" not in page.replace('xlink:href="#', "")
    assert "NOT RECONCILED" not in page


def test_no_process_is_left(replayed):
    assert processes(replayed.root) == ()

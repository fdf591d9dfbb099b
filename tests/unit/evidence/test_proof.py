"""The proof of all stated error rates, with few runs; `tools/prove_evidence.py` does it with many."""

import importlib.util
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[3] / "tools" / "prove_evidence.py"


@pytest.fixture(scope="module")
def proof():
    found = importlib.util.spec_from_file_location("prove_evidence", TOOL)
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    yield module
    del sys.modules[found.name]


@pytest.mark.slow
def test_no_stated_rate_is_broken(proof):
    claims = list(proof.prove(scale=0.15, seed=1))
    assert len(claims) > 30
    assert [c for c in claims if not c.holds(errors=4.0)] == []


def test_a_broken_claim_is_seen(proof):
    assert not proof.share("", "at most", 0.05, 100, 1_000).holds()
    assert proof.share("", "at most", 0.05, 60, 1_000).holds()
    assert not proof.share("", "at least", 0.95, 900, 1_000).holds()

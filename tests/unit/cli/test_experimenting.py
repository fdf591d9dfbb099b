"""Experiments at the command line: what is refused before anything is asked, and how one is shown."""

import pytest

from modelway.cli.experimenting import _arms, show
from modelway.errors import UsageError
from tests.unit.rollout.test_experiment import EVEN, T0, after, judged, running, seen


def test_arms_are_versions_with_shares():
    assert _arms(["3=20%", "loans@4=0.25"]) == {3: 0.2, 4: 0.25}
    for given in (["3"], ["3=20%", "3=10%"], ["new=20%"], ["3=lots"], ["3=120%"]):
        with pytest.raises(UsageError, match="--arm") as refused:
            _arms(given)
        assert "3=20%" in refused.value.fix


def test_an_experiment_is_shown_before_while_and_after(capsys):
    experiment = running()
    show(experiment)
    assert "loans: experiment running, until 2026-01-06" in capsys.readouterr().out
    turn = judged(experiment, seen(**{**EVEN, "v3": (2_000, 60)}), T0)
    show(after(experiment, turn, T0))
    out = capsys.readouterr().out
    assert "@3 was stopped: it fails more: 60 of 2,000 requests" in out
    assert "of 60" in out  # three arms at 5 %: an e-value of 60 stops one

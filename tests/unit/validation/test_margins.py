import numpy as np

from modelway.validation.margins import margins
from tests.unit.validation.cases import spec_of


def test_a_sentence_for_each_gate_against_the_champion():
    [told] = margins(spec_of(), 1_000)
    assert told.startswith("champion: 1,000 rows can show")
    assert "0.0887 (standard deviations of the paired difference in log_loss" in told
    assert "half of the champion's gain" in told


def test_a_margin_of_the_spec_is_held_against_the_rows_it_takes():
    loss = np.random.default_rng(0).gamma(2, 0.2, 1_000)
    gate = {"metric": "log_loss", "against": "champion"}
    [enough] = margins(spec_of(gates=[{**gate, "margin": 0.05}]), 1_000, {"log_loss": loss})
    [short] = margins(spec_of(gates=[{**gate, "margin": 0.001}]), 1_000, {"log_loss": loss})
    assert "1,000 are enough" in enough
    assert "1,000 are too few" in short


def test_overlapping_labels_are_counted_in_blocks_and_too_few_rows_are_told():
    assert "250 rows in 16 blocks of 15" in margins(spec_of("regression"), 250, horizon_rows=5)[0]
    assert "cannot show a difference of any size" in margins(spec_of(), 1)[0]


def test_before_a_version_there_is_an_outlook():
    [told] = margins(spec_of(), None)
    assert "0.089 with 1,000 rows" in told

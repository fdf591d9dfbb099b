import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from modelway.errors import TooLittleDataError
from modelway.evidence import power


def test_the_margin_is_the_one_at_which_a_paired_t_test_has_the_power():
    able = power.smallest_margin(0.02, 500)
    effect = able.margin / 0.02
    assert TTestPower().power(effect, 500, 0.025, alternative="larger") == pytest.approx(0.8, abs=0.005)


def test_rows_and_margins_are_one_formula():
    assert power.rows_for(power.smallest_margin(0.3, 100_000).margin, 0.3) == pytest.approx(100_000, rel=1e-3)


def test_an_equal_challenger_passes_with_the_stated_power():
    rng, n, sd, passed = np.random.default_rng(0), 200, 0.1, 0
    able = power.smallest_margin(sd, n)
    runs = 4000
    for _ in range(runs):
        d = rng.normal(0, sd, n)
        passed += d.mean() - stats.t.ppf(0.975, n - 1) * d.std(ddof=1) / math.sqrt(n) >= -able.margin
    assert passed / runs == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / runs))


def test_blocks_count_as_rows_and_the_words_say_so():
    able = power.smallest_margin(0.1, 1000, block=10)
    assert able.units == 100
    assert able.error == pytest.approx(0.1 / 10)
    assert "1,000 rows in 100 blocks of 10" in able.words
    assert "80%" in able.words


def test_the_margin_of_independent_differences_is_that_of_their_spread():
    d = np.random.default_rng(0).normal(size=2000)
    assert power.margin_of_differences(d).margin == pytest.approx(power.smallest_margin(d.std(), 2000).margin, rel=1e-3)


def test_too_few_rows_show_nothing():
    with pytest.raises(TooLittleDataError, match="blocks of 10"):
        power.smallest_margin(0.1, 15, block=10)

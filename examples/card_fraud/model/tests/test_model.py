"""The model can be built, and has what a binary task needs."""

from model import build


def test_it_gives_probabilities():
    assert hasattr(build({}), "predict_proba")

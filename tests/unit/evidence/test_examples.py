"""The examples in the docstrings run and give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import modelway.evidence

MODULES = [f"modelway.evidence.{m.name}" for m in pkgutil.iter_modules(modelway.evidence.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    tried = doctest.testmod(module)
    assert tried.attempted > 0
    assert tried.failed == 0

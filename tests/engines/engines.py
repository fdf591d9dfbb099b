"""A real engine that is neither given nor can be started here: its tests are skipped, or fail where it is promised."""

import os

import pytest


def missing(engine: str) -> None:
    """Never returns."""
    assert not os.environ.get("MODELWAY_ENGINES_PROMISED"), f"{engine} is promised here: run `make engines`"
    pytest.skip(f"needs {engine}: make engines")

"""The control database of the state tests."""

from tests.unit.state.conftest import database

__all__ = ["database"]

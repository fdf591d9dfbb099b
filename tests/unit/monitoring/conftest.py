"""A control database of its own for each test."""

from tests.unit.state.conftest import database

__all__ = ["database"]

"""What an alert of parity names, and that what it names can be found again when a person is erased."""

from datetime import UTC, datetime

from modelway.features.plan import plan_of
from modelway.flow.erasing_texts import naming
from modelway.flow.parity import Difference, Parity, entities_of
from modelway.flow.persons import Person
from tests.unit.features.worlds import spec_of

JOIN = {"table": "people", "on": "who", "key": "id", "valid_from": "since", "column": "limit", "type": "float"}


def test_the_entity_of_a_feature_is_that_of_its_window_its_join_or_what_it_uses():
    plan = plan_of(
        spec_of(
            {
                "here": {"stat": "count", "by": ["who", "where"], "window": "1h"},
                "all": {"stat": "count", "window": "1h"},
                "limit": {"join": JOIN},
                "own": {"expr": "x + 1"},
                "late": {"expr": "own + here + limit"},
            }
        )
    )
    assert entities_of(plan, "here") == ("who", "where")
    assert entities_of(plan, "limit") == ("who",)
    assert entities_of(plan, "late") == ("who", "where")
    assert (entities_of(plan, "all"), entities_of(plan, "own")) == ((), ())


def test_the_entity_is_named_such_that_a_short_one_is_found_when_it_is_erased():
    at = datetime(2026, 1, 5, 4, 1, tzinfo=UTC)
    many = Difference("spent", "q2", at, 4.0, 43.0, (), (("card", "17"), ("shop", "a")))
    severity, text = Parity(2, (many,)).causes["parity: spent"]
    assert severity == "page"
    assert text.startswith("spent of row q2 (card '17', shop 'a', 2026-01-05 04:01:00) was served as 4.0")
    named = naming(Person((), "card", "17"))
    assert named is not None
    assert named.search(text.encode())

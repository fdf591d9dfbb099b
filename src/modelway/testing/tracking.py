"""What every tracking adapter must keep: subclass TrackingChecks in a test module and give it a `tracking` fixture."""

from datetime import UTC, datetime

import pytest

from modelway.errors import TrackingError
from modelway.training.tracking import Tracking

AT = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


class TrackingChecks:
    """Each check takes the fixture `tracking`: an empty tracking database."""

    def test_a_run_is_started_once(self, tracking: Tracking) -> None:
        first = tracking.start("loans", "run-1", AT, {"modelway.trigger": "manual"})
        assert tracking.start("loans", "run-1", AT) == first
        assert tracking.start("loans", "run-2", AT) != first
        assert tracking.start("other", "run-1", AT) != first

    def test_telling_twice_is_telling_once(self, tracking: Tracking) -> None:
        tracked = tracking.start("loans", "run-1", AT)
        for c in (1.0, 2.0):
            tracking.log(tracked, params={"C": c}, metrics={"holdout.roc_auc": 0.8, "nothing": None}, tags={"a": "b"})
            tracking.file(tracked, "plots/roc.svg", b"<svg/>")
            tracking.finish(tracked, AT)

    def test_names_and_numbers_that_an_engine_may_not_take_are_written_somehow(self, tracking: Tracking) -> None:
        tracked = tracking.start("loans", "run-1", AT)
        tracking.log(
            tracked,
            params={"a (b)=ä": "x" * 10_000, "list": [1, 2], "none": None},
            metrics={"per cent %": float("nan"), "ä": 1.0, "many": float("inf")},
            tags={"modelway.gate.roc_auc ≥ 0.8": "pass"},
        )

    def test_hundreds_of_lines_in_one_call(self, tracking: Tracking) -> None:
        tracked = tracking.start("loans", "run-1", AT)
        many = {f"name {i}": float(i) for i in range(250)}
        tracking.log(tracked, params=many, metrics=dict(many))

    def test_aliases_are_set_once_moved_and_removed(self, tracking: Tracking) -> None:
        for number in (1, 2):
            tracking.register("loans", number, tracking.start("loans", f"run-{number}", AT))
        assert len(tracking.mirror("loans", {"champion": 1, "challenger": None})) == 1
        assert tracking.mirror("loans", {"champion": 1, "challenger": None}) == ()
        moved = tracking.mirror("loans", {"champion": 2, "challenger": 1})
        assert len(moved) == 2
        assert "loans@2" in moved[0]
        assert len(tracking.mirror("loans", {"champion": 2, "challenger": None})) == 1

    def test_registering_twice_is_registering_once(self, tracking: Tracking) -> None:
        tracked = tracking.start("loans", "run-1", AT)
        tracking.register("loans", 1, tracked)
        tracking.register("loans", 1, tracked)
        tracking.mirror("loans", {"champion": 1})
        assert tracking.mirror("loans", {"champion": 1}) == ()

    def test_an_alias_may_name_a_version_that_was_never_told(self, tracking: Tracking) -> None:
        tracking.mirror("loans", {"champion": 7})
        assert tracking.mirror("loans", {"champion": 7}) == ()

    def test_an_unknown_run_is_an_error(self, tracking: Tracking) -> None:
        with pytest.raises(TrackingError):
            tracking.log("0" * 32, metrics={"a": 1.0})

    def test_the_link_names_the_run(self, tracking: Tracking) -> None:
        tracked = tracking.start("loans", "run-1", AT)
        assert tracked in tracking.link(tracked)

    def test_ping_returns(self, tracking: Tracking) -> None:
        tracking.ping()

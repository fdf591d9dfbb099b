"""What is told beside answers: bounded lines, levels that nobody keeps, and figures of several processes."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import EventLogError
from modelway.events.log import NewEvent
from modelway.metrics.memory import MemoryMetrics
from modelway.metrics.shared import SharedMetrics
from modelway.serving.log import PredictionLog
from modelway.serving.telemetry import Bucket
from modelway.testing.metrics import parse_exposition, sample


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 3), max_size=200))
def test_lines_are_bounded_and_none_is_forgotten(pauses):
    now, taken, left_out = [0.0], 0, 0
    bucket = Bucket(2, 5, lambda: now[0])
    for pause in pauses:
        now[0] += pause
        found = bucket.take()
        taken, left_out = (taken, left_out + 1) if found is None else (taken + 1, left_out - found)
    assert taken <= 5 + 2 * now[0] + 1e-6
    now[0] += 10
    assert bucket.take() == left_out


def test_what_is_not_fsynced_is_known_until_it_is():
    fails = [True]

    def flush() -> None:
        if fails[0]:
            raise EventLogError("the disk is away")

    log = PredictionLog(lambda topic, events: None, flush)
    log.write("loans", [NewEvent("a", b"{}"), NewEvent("b", b"{}")])
    log.flush()
    assert log.unsynced == 2
    fails[0] = False
    log.write("loans", [NewEvent("c", b"{}")])
    assert log.unsynced == 3
    log.flush()
    assert log.unsynced == 0


def test_what_is_written_while_it_is_fsynced_waits_for_the_next_time():
    begun, go = threading.Event(), threading.Event()

    def flush() -> None:
        begun.set()
        assert go.wait(20)

    log = PredictionLog(lambda topic, events: None, flush)
    log.write("loans", [NewEvent("a", b"{}")])
    thread = threading.Thread(target=log.flush)
    thread.start()
    assert begun.wait(20)
    log.write("loans", [NewEvent("b", b"{}")])
    go.set()
    thread.join(20)
    assert log.unsynced == 1


@pytest.fixture
def workers(tmp_path):
    return [SharedMetrics(MemoryMetrics(), tmp_path, number) for number in range(2)]


def test_levels_of_each_worker_are_shown_by_any(workers):
    for number, one in enumerate(workers):
        one.watch(lambda one=one, number=number: one.level("modelway_requests_in_flight", number + 1))
        one.observe("modelway_run_requests", 4, model="loans")
        one.leave()
    for one in workers:
        found = parse_exposition(one.exposition())
        for number in range(2):
            worker = str(number)
            assert found[sample("modelway_requests_in_flight", worker=worker)] == number + 1
            assert found[sample("modelway_run_requests_bucket", model="loans", worker=worker, le="4")] == 1
            assert found[sample("modelway_run_requests_bucket", model="loans", worker=worker, le="2")] == 0

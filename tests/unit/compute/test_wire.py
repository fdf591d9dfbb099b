import io
import os
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway import errors
from modelway.compute.local import LocalCompute
from modelway.compute.port import run
from modelway.compute.wire import Message, error_of, failure_of, receive, send


@given(st.text(), st.binary(max_size=2000), st.data())
def test_what_was_sent_is_received_and_a_torn_message_is_the_end(job, body, data):
    pipe = io.BytesIO()
    send(pipe, Message("told", job), body)
    whole = pipe.getvalue()
    assert receive(io.BytesIO(whole)) == (Message("told", job), body)
    torn = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert receive(io.BytesIO(torn)) is None


def _all_errors(kind=errors.ModelwayError):
    yield kind
    for child in kind.__subclasses__():
        yield from _all_errors(child)


@pytest.mark.parametrize(
    "kind", sorted({k for k in _all_errors() if k.__module__ == "modelway.errors"}, key=lambda k: k.__name__)
)
def test_every_error_of_the_product_crosses_as_itself(kind):
    error = kind("kafka", "stack") if kind is errors.MissingExtraError else kind("the problem", "the fix")
    back = error_of(failure_of(error, "modelway.x:y"))
    assert type(back) is kind
    assert (str(back), back.exit_code) == (str(error), error.exit_code)


def test_transience_crosses_and_the_workers_lines_are_kept_for_debugging():
    try:
        raise errors.LakeError("busy", transient=True)
    except errors.LakeError as raised:
        back = error_of(failure_of(raised, "modelway.x:y"))
    assert back.transient
    assert "test_wire.py" in back.__notes__[0]


def test_a_worker_that_was_killed_while_idle_is_replaced():
    compute = LocalCompute()
    try:
        first = int(run(compute, "a", "modelway.testing.tasks:process", b""))
        worker = compute._worker
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while compute._worker is worker and time.monotonic() < deadline:
            time.sleep(0.01)
        assert int(run(compute, "b", "modelway.testing.tasks:process", b"")) != first
    finally:
        compute.close()


def test_results_of_long_ago_are_forgotten():
    compute = LocalCompute()
    try:
        for number in range(205):
            run(compute, f"job {number}", "modelway.testing.tasks:process", b"")
        assert len(compute._jobs) <= 201
        assert compute.wait("job 204", 0)
    finally:
        compute.close()

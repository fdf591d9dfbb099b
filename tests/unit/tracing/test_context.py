"""W3C trace context as OpenTelemetry reads it, and which requests are sampled."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from modelway.tracing.context import Parent, format_response, parse_parent
from modelway.tracing.sampling import Sampler

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-%b"
_digits = st.text("0123456789abcdef", min_size=1, max_size=33)


def theirs(header: bytes) -> Parent | None:
    context = TraceContextTextMapPropagator().extract({"traceparent": header.decode("latin-1")})
    found = get_current_span(context).get_span_context()
    return Parent(found.trace_id, found.span_id, found.trace_flags.sampled) if found.is_valid else None


headers = st.one_of(
    st.tuples(_digits, _digits, _digits, _digits).map("-".join),
    st.tuples(
        st.sampled_from(["00", "01", "cc", "ff", "0"]),
        st.sampled_from(["0" * 32, "0af7651916cd43dd8448eb211c80319c", "0AF7651916CD43DD8448EB211C80319C", "1" * 31]),
        st.sampled_from(["0" * 16, "b7ad6b7169203331", "zzad6b7169203331"]),
        st.sampled_from(["00", "01", "02", "03", "fe", "ff", "1", "x1"]),
        st.sampled_from(["", "-", "-what-is-to-come"]),
    ).map(lambda parts: "-".join(parts[:4]) + parts[4]),
)


@settings(max_examples=300, deadline=None)
@given(headers)
def test_a_traceparent_is_read_as_opentelemetry_reads_it(header):
    assert parse_parent(header.encode()) == theirs(header.encode())


def test_what_is_sampled_says_so_in_the_form_of_the_draft():
    assert format_response(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331) == PARENT % b"01"
    assert re.fullmatch(rb"00-0{31}1-0{15}2-01", format_response(1, 2))


def test_who_has_a_caller_does_as_the_caller_does():
    never, always = Sampler(0.0), Sampler(1.0)
    for flags, sampled in ((b"01", True), (b"03", True), (b"00", False), (b"02", False)):
        for sampler in (never, always):
            found = sampler.begin(PARENT % flags, [(b"tracestate", b"a=1"), (b"x", b"y"), (b"tracestate", b"b=2")])
            assert (found is not None) == sampled
            if found is not None:
                assert (found.name, found.parent) == ("0af7651916cd43dd8448eb211c80319c", 0xB7AD6B7169203331)
                assert (found.state, found.span != found.parent) == ("a=1,b=2", True)


@pytest.mark.parametrize("header", [None, b"", b"rubbish", b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01"])
def test_who_has_none_is_drawn(header):
    assert Sampler(0.0).begin(header, []) is None
    found = Sampler(1.0).begin(header, [(b"tracestate", b"of=nobody")])
    assert found is not None
    assert (found.parent, found.state) == (0, "")
    assert found.trace
    assert found.span


def test_the_share_is_drawn_as_opentelemetry_draws_it():
    sampler, ratio = Sampler(0.01, seed=7), TraceIdRatioBased(0.01)
    made = [found for _ in range(100_000) if (found := sampler.begin(None, ())) is not None]
    assert 850 <= len(made) <= 1_150
    assert len({one.trace for one in made}) == len(made)
    assert all(ratio.should_sample(None, one.trace, "infer").decision.is_sampled() for one in made)


def test_two_processes_draw_different_traces():
    one, other = ([Sampler(1.0).begin(None, ()) for _ in range(9)] for _ in range(2))
    assert len({*one, *other}) == 18

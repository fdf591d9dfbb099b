"""The checks of metrics over memory, and what is memory's own: buckets, and Prometheus' text format."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.metrics.memory import BUCKETS, MemoryMetrics
from modelway.testing.metrics import MetricsChecks, Seen, parse_exposition, sample


@pytest.fixture
def metrics() -> MemoryMetrics:
    return MemoryMetrics()


@pytest.fixture
def seen(metrics: MemoryMetrics) -> Seen:
    return lambda: parse_exposition(metrics.exposition())


class TestMemory(MetricsChecks): ...


def test_the_text_is_prometheus_own(metrics):
    metrics.count("modelway_swaps_total", model='a"b')
    metrics.observe("a_seconds", 0.3)
    metrics.observe("a_seconds", 99)
    lines = metrics.exposition().decode().splitlines()
    assert lines == [
        "# TYPE a_seconds histogram",
        *(f'a_seconds_bucket{{le="{b}"}} 0' for b in map(str, BUCKETS[:10])),
        *(f'a_seconds_bucket{{le="{b}"}} 1' for b in ("0.5", "1", "2.5", "5", "10")),
        'a_seconds_bucket{le="+Inf"} 2',
        "a_seconds_sum 99.3",
        "a_seconds_count 2",
        "# HELP modelway_swaps_total Exchanges of the versions that answer, under load, by model.",
        "# TYPE modelway_swaps_total counter",
        'modelway_swaps_total{model="a\\"b"} 1',
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(BUCKETS), st.floats(-1, 20)), max_size=30))
def test_each_bucket_counts_what_is_not_above_its_bound(values):
    metrics = MemoryMetrics()
    for value in values:
        metrics.observe("took_seconds", value)
    found = parse_exposition(metrics.exposition())
    for bound in BUCKETS if values else ():
        named = sample("took_seconds_bucket", le=repr(bound) if bound < 1 or bound % 1 else str(int(bound)))
        assert found[named] == sum(value <= bound for value in values)
    assert found.get(sample("took_seconds_sum"), 0.0) == pytest.approx(math.fsum(values))


@pytest.mark.parametrize("name", ["", "Asked", "a-b", "1a", "a b", "ä"])
def test_what_the_format_cannot_name_is_refused(metrics, name):
    with pytest.raises(ValueError, match="names no metric or label"):
        metrics.count(name)
    with pytest.raises(ValueError, match="names no metric or label"):
        metrics.observe("took_seconds", 1, **{name: "x"})
    assert metrics.exposition() == b""


def test_a_name_is_counted_or_observed_and_never_both(metrics):
    metrics.count("a")
    with pytest.raises(ValueError, match="a is a counter already"):
        metrics.observe("a", 1)
    with pytest.raises(ValueError, match="a is a counter already"):
        metrics.level("a", 1)


def test_prometheus_own_parser_reads_it(metrics):
    parser = pytest.importorskip("prometheus_client.parser")
    metrics.count("modelway_ingested_rows_total", 7, topic='a"b', outcome="accepted")
    metrics.level("modelway_ingestion_lag_seconds", 0.25, topic="loans")
    metrics.observe("modelway_request_seconds", 0.3, model="loans", version="1")
    found = {one.name: one for one in parser.text_string_to_metric_families(metrics.exposition().decode())}
    assert {name: one.type for name, one in found.items()} == {
        "modelway_ingested_rows": "counter",
        "modelway_ingestion_lag_seconds": "gauge",
        "modelway_request_seconds": "histogram",
    }
    assert [(one.labels, one.value) for one in found["modelway_ingestion_lag_seconds"].samples] == [
        ({"topic": "loans"}, 0.25)
    ]


@pytest.mark.parametrize(
    "text", ["a", "a 1 2 3", "# TYPE a counter\na", 'a{x="} 1', "a 1\na 2", 'a{x="1",x=2} 1', "a 1 "]
)
def test_what_is_no_exposition_is_not_read_as_one(text):
    with pytest.raises(ValueError):
        parse_exposition(text.encode() + b"\n")

from modelway.validation.latency import measure


def test_every_call_is_measured_after_a_warm_up():
    calls = []
    found = measure(lambda: calls.append(1), 200)
    assert len(calls) == 220
    assert 0 <= found["p50_ms"] <= found["p99_ms"]


def test_a_slow_call_shows_in_the_99th_percentile_and_not_in_the_median():
    def run(state=[0]):  # noqa: B006 - counts its own calls
        state[0] += 1
        return sum(range(300_000 if state[0] % 10 == 0 else 10))

    found = measure(run, 100)
    assert found["p99_ms"] > 5 * found["p50_ms"]

"""What every metrics adapter must keep: subclass MetricsChecks in a test module and give it the fixtures `metrics` and `seen`."""

import re
import threading
from collections.abc import Callable, Mapping

import pytest

from modelway.metrics.port import Metrics

Sample = tuple[str, frozenset[tuple[str, str]]]
Seen = Callable[[], Mapping[Sample, float]]
"""What has arrived: counts under their name, of what was observed NAME_count and NAME_sum; more may be there."""

_LINE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


def sample(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


def parse_exposition(body: bytes) -> dict[Sample, float]:
    """The samples of Prometheus' text format; raises ValueError for a line that is none, or a sample that is there twice."""
    found: dict[Sample, float] = {}
    text = body.decode()
    if text and not text.endswith("\n"):
        raise ValueError("the last line has no end")
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"no sample: {line}")
        labels = {
            name: _ESCAPED.sub(lambda one: "\n" if one[1] == "n" else one[1], value)
            for name, value in _LABEL.findall(match[2] or "")
        }
        if (named := sample(match[1], **labels)) in found:
            raise ValueError(f"twice: {line}")
        found[named] = float(match[3])
    return found


class MetricsChecks:
    """Each check takes the fixtures `metrics` and `seen`; at the start nothing was told."""

    def test_at_the_start_there_is_nothing(self, seen: Seen) -> None:
        assert seen() == {}

    def test_counts_add_up_by_name_and_labels(self, metrics: Metrics, seen: Seen) -> None:
        metrics.count("asked_total", model="loans", status="200")
        metrics.count("asked_total", 2, status="200", model="loans")
        metrics.count("asked_total", 0.5, model="loans", status="400")
        metrics.count("others_total")
        assert seen() == {
            sample("asked_total", model="loans", status="200"): 3,
            sample("asked_total", model="loans", status="400"): 0.5,
            sample("others_total"): 1,
        }

    def test_what_was_observed_is_counted_and_added_up(self, metrics: Metrics, seen: Seen) -> None:
        for value in (0.25, 0.5, 100.0):
            metrics.observe("took_seconds", value, model="loans")
        metrics.observe("took_seconds", 0.0, model="cards")
        found = seen()
        assert found[sample("took_seconds_count", model="loans")] == 3
        assert found[sample("took_seconds_sum", model="loans")] == 100.75
        assert found[sample("took_seconds_count", model="cards")] == 1

    @pytest.mark.parametrize("text", ['"', "\\", "a\nb", "\\n", '",x="', "ä €", "", "} 1"])
    def test_any_text_may_be_a_labels_value(self, metrics: Metrics, seen: Seen, text: str) -> None:
        metrics.count("asked_total", model=text, status="200")
        assert seen() == {sample("asked_total", model=text, status="200"): 1}

    @pytest.mark.parametrize("wrong", [float("-inf"), float("nan"), float("inf")])
    def test_what_is_no_number_is_refused_and_leaves_no_trace(self, metrics: Metrics, seen: Seen, wrong: float) -> None:
        with pytest.raises(ValueError, match="asked_total"):
            metrics.count("asked_total", wrong)
        with pytest.raises(ValueError, match="took_seconds"):
            metrics.observe("took_seconds", wrong)
        with pytest.raises(ValueError, match="waiting"):
            metrics.level("waiting", wrong)
        assert seen() == {}

    def test_a_count_never_goes_down(self, metrics: Metrics, seen: Seen) -> None:
        metrics.count("asked_total", 2)
        with pytest.raises(ValueError, match="asked_total"):
            metrics.count("asked_total", -1)
        assert seen() == {sample("asked_total"): 2}

    def test_a_level_is_what_was_said_last_and_gone_when_it_is_not_known(self, metrics: Metrics, seen: Seen) -> None:
        for value in (3.0, -1.5):
            metrics.level("waiting", value, topic="loans")
        metrics.level("waiting", 0, topic="cards")
        assert seen() == {sample("waiting", topic="loans"): -1.5, sample("waiting", topic="cards"): 0}
        metrics.level("waiting", None, topic="loans")
        metrics.level("waiting", None, topic="nobody's")
        assert seen() == {sample("waiting", topic="cards"): 0}

    def test_who_is_watched_is_asked_whenever_somebody_looks(self, metrics: Metrics, seen: Seen) -> None:
        heights = iter((3.0, 1.0))
        metrics.watch(lambda: metrics.level("waiting", next(heights)))
        assert [seen()[sample("waiting")] for _ in range(2)] == [3, 1]

    def test_threads_at_once_lose_nothing(self, metrics: Metrics, seen: Seen) -> None:
        def tell(model: str) -> None:
            for _ in range(500):
                metrics.count("asked_total", model="all")
                metrics.observe("took_seconds", 0.5, model=model)

        threads = [threading.Thread(target=tell, args=(f"m{n % 2}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        found = seen()
        assert found[sample("asked_total", model="all")] == 2000
        assert [found[sample("took_seconds_sum", model=f"m{n}")] for n in range(2)] == [500, 500]

    def test_ping_returns(self, metrics: Metrics) -> None:
        metrics.ping()

"""Simulated traffic of a canary, minute by minute: what both versions answered, failed at, and took; and what is planted in it."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from modelway.evidence.slower import QUANTILES
from modelway.flow.arms import TIMED_A_SECOND

SIGMA = 0.5
"""Of the log-normal latency, whose median is 1: the 99th percentile is 3.2 times that."""
EARLIER = tuple(float(t) for t in np.exp(SIGMA * norm.ppf(QUANTILES)))
"""The quantiles of the champion's latency before: where the guard has its thresholds."""
INVALID = 0.1
"""Unusable outputs, for each error."""


@dataclass(frozen=True)
class Scene:
    """One kind of traffic. Rates are shares of the requests; factors are of the canary alone, the rest is of both."""

    name: str
    per_second: float = 10.0
    looks: int = 240
    errors: float = 0.005
    times_errors: float = 1.0
    more_errors: float = 0.0
    """Added to the canary's rate (0–1)."""
    times_latency: float = 1.0
    waving: bool = False
    """Traffic, errors and latency go up and down within the day, all of both versions."""
    outage: int | None = None
    """From this look on, for thirty, a fifth of all requests fails besides, of both versions, and all take four times as long."""
    share: float = 0.1
    """Of the requests, that the canary really gets; asked for is always 10 %."""
    burst: int = 1
    """How many errors one failing caller makes, one a minute, all with the version that he is given to."""
    counted: str = "requests"
    """Of such callers each error is counted (requests), or each caller once (callers)."""
    stalls: bool = False
    """Each version stands still for 0.2 s about three times a minute, by itself: what it is asked then takes ten times as long."""
    alike: bool = False
    """The two versions are equal: to stop is a false alarm."""


@dataclass(frozen=True)
class Minutes:
    """By look: int[looks] of the canary and of the champion; slow[looks, thresholds] of those that are timed
    (`flow/arms.py` takes the latency of a few in each second); the 99th percentiles of each minute."""

    requests: np.ndarray
    errors: np.ndarray
    invalid: np.ndarray
    slow: np.ndarray
    p99: np.ndarray


def traffic(scene: Scene, rng: np.random.Generator) -> tuple[Minutes, Minutes]:
    """Canary and champion of one run."""
    day = np.arange(scene.looks) / 1440
    wave = 1 + 0.8 * np.sin(2 * np.pi * day) if scene.waving else np.ones(scene.looks)
    since = np.arange(scene.looks) - (scene.looks if scene.outage is None else scene.outage)
    down = (since >= 0) & (since < 30)
    rate = scene.errors * wave
    pace = (1 + 0.3 * (wave - 1)) * np.where(down, 4.0, 1.0)
    whole = rng.poisson(60 * scene.per_second * (wave if scene.waving else 1.0), scene.looks)
    ours = rng.binomial(whole, scene.share)
    planted = rate * scene.times_errors + scene.more_errors
    canary = _answers(scene, ours, planted + 0.2 * down, pace * scene.times_latency, rng)
    champion = _answers(scene, whole - ours, rate + 0.2 * down, pace, rng)
    if scene.burst > 1:
        failing = rng.poisson(whole * rate / scene.burst)
        drawn = rng.binomial(failing, scene.share)
        errors = (_spread(n, scene) for n in (drawn, failing - drawn))
        canary, champion = (_with_errors(arm, n) for arm, n in zip((canary, champion), errors, strict=True))
    return canary, champion


def _answers(
    scene: Scene, requests: np.ndarray, rate: np.ndarray, pace: np.ndarray, rng: np.random.Generator
) -> Minutes:
    errors = rng.binomial(requests, np.minimum(rate, 1.0))
    invalid = rng.binomial(requests - errors, scene.errors * INVALID)
    timed = rng.binomial(requests, min(1.0, TIMED_A_SECOND / scene.per_second))
    stalled = np.zeros_like(timed)
    if scene.stalls:
        stood = 0.2 / 60 * rng.poisson(3, len(timed))
        stalled = np.minimum(rng.poisson(timed * stood), timed)
    slow = _slow(timed - stalled, pace, rng) + _slow(stalled, 10 * pace, rng)
    place = np.ceil(0.99 * requests)
    rank = rng.beta(np.maximum(place, 1), np.maximum(requests - place + 1, 1))
    return Minutes(requests, errors, invalid, slow, np.exp(np.log(pace) + SIGMA * norm.ppf(rank)))


def _slow(requests: np.ndarray, pace: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """int[looks, thresholds]: how many took longer."""
    above = norm.sf((np.log(np.array(EARLIER))[None, :] - np.log(pace)[:, None]) / SIGMA)
    cells = -np.diff(np.column_stack([np.ones(len(requests)), above, np.zeros(len(requests))]), axis=1)
    drawn = rng.multinomial(requests, cells)
    return drawn[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]


def _spread(failing: np.ndarray, scene: Scene) -> np.ndarray:
    """Errors of callers who begin to fail in each minute: one each, or `burst` in as many minutes."""
    if scene.counted == "callers":
        return failing
    return np.convolve(failing, np.ones(scene.burst, dtype=int))[: scene.looks]


def _with_errors(arm: Minutes, errors: np.ndarray) -> Minutes:
    requests = np.maximum(arm.requests, errors)
    return Minutes(requests, errors, np.zeros_like(errors), arm.slow, arm.p99)


def pairs(n: int, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Paired differences of two versions that are as good as one another."""
    return np.clip(rng.normal(0, sd, n), -1, 1)

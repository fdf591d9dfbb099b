"""Every error rate that the decision engine states, against what simulation finds.

    python tools/prove_evidence.py [--json] [--scale 1.0] [--seed 0]

Each line is one claim: the event, its stated probability ("at most" or "at least"), the share of simulated runs in which it
happened, and the standard error of that share. Exit code 1 if a share breaks its claim by more than three standard errors.
The runs at scale 1 take three to four minutes on two cores.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from modelway.evidence import betting, bootstrap, counts, delong, slower, split
from modelway.evidence.bootstrap import Resampling
from modelway.evidence.multiplicity import benjamini_hochberg, e_bh
from modelway.evidence.multiply import needed_log_e, reached
from modelway.evidence.two_sample import chi2, ks
from modelway.records import Metric
from modelway.spec.model import Gate
from modelway.validation import absolute, against
from modelway.validation.fairness import four_fifths
from modelway.validation.intervals import measured
from modelway.validation.metrics import Definition, Sample, definition

ALPHA = 0.05
LOOKS = 60
_MANY = 1_000_000


@dataclass(frozen=True)
class Claim:
    """`measured` is a share of `runs`, or a mean with its own standard error."""

    what: str
    side: str
    stated: float
    measured: float
    runs: int
    error: float

    def holds(self, errors: float = 3.0) -> bool:
        """Whether the measured value is within so many standard errors of what is stated."""
        beyond = self.measured - self.stated if self.side == "at most" else self.stated - self.measured
        return beyond <= errors * self.error


def share(what: str, side: str, stated: float, hits: int, runs: int) -> Claim:
    """A claim on how often something happens; the standard error is that of the stated share."""
    return Claim(what, side, stated, hits / runs, runs, math.sqrt(stated * (1 - stated) / runs))


Proof = Callable[[float, np.random.Generator], Iterator[Claim]]


# The canary: any number of looks


def canary_counts(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    """Poisson errors by the minute, 10 % of the traffic in the canary, a look each minute for an hour."""
    runs = _runs(1_000, scale)
    for per_second, rate in ((10, 0.005), (100, 0.001), (1, 0.01)):
        what = f"canary stopped though equal: {LOOKS} looks, {per_second}/s, {rate:.1%} errors"
        hits = sum(_stopped(rng, per_second * 60 * np.full(LOOKS, rate), 1.0) for _ in range(runs))
        yield share(what, "at most", ALPHA, hits, runs)
    hours = np.arange(24 * 60)
    wave = 0.005 * (1 + np.sin(2 * np.pi * hours / 1440)) + 0.2 * ((hours > 700) & (hours < 730))
    few = _runs(100, scale)
    hits = sum(_stopped(rng, 600 * wave, 1.0) for _ in range(few))
    yield share("canary stopped though equal: 1,440 looks, waving rate, an outage of both", "at most", ALPHA, hits, few)
    hits = sum(_stopped(rng, np.full(LOOKS, 10 * 60 * 0.005), 5.0) for _ in range(runs))
    yield share("canary with 5 × the errors stopped within an hour, 10/s, 0.5 %", "at least", 0.98, hits, runs)


def _stopped(rng: np.random.Generator, per_look: np.ndarray, factor: float, w: float = 0.1) -> bool:
    ours = rng.poisson(per_look * w * factor).cumsum()
    theirs = rng.poisson(per_look * (1 - w)).cumsum()
    return any(reached(counts.log_e_worse(int(k), int(s), w), ALPHA) for k, s in zip(ours, theirs, strict=True))


def canary_promotion(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    """A canary that is worse by exactly the margin must not be promoted; routing that is even must not look broken."""
    runs, margin = _runs(500, scale), 0.002
    for base in (0.0, 0.005):
        hits = 0
        for _ in range(runs):
            k = rng.binomial(60, base + margin, LOOKS).cumsum()
            s = rng.binomial(540, base, LOOKS).cumsum()
            hits += any(
                counts.not_worse(int(k[i]), 60 * (i + 1), int(s[i]), 540 * (i + 1), margin=margin, alpha=ALPHA).answer
                == "not_worse"
                for i in range(0, LOOKS, 6)
            )
        yield share(f"canary worse by the margin (0.2 points on {base:.1%}) promoted", "at most", ALPHA, hits, runs)
    hits = 0
    for _ in range(runs):
        ours = rng.binomial(600, 0.1, LOOKS).cumsum()
        hits += any(
            reached(counts.log_e_uneven(int(k), 600 * (i + 1) - int(k), 0.1), ALPHA) for i, k in enumerate(ours)
        )
    yield share(f"even routing called broken, {LOOKS} looks", "at most", ALPHA, hits, runs)


def canary_latency(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    """Log-normal latency that waves for both arms alike, a look each minute; and a band that must hold its distribution."""
    runs, at = _runs(300, scale), slower.thresholds(rng.lognormal(0, 0.5, 5_000))
    for factor, growth, side, stated in (
        (1.0, 0.0, "at most", ALPHA),
        (1.2, 0.2, "at most", ALPHA),
        (1.1, 0.0, "at least", 0.9),
    ):
        hits = sum(_slower(rng, at, factor, growth) for _ in range(runs))
        what = f"latency × {factor:g} called slower, {growth:.0%} tolerated: {LOOKS} looks, 10/s, waving"
        yield share(what, side, stated, hits, runs)
    few = _runs(200, scale)
    beyond = 0
    for _ in range(few):
        draws, n = np.sort(rng.random((20, 200)), axis=1), 0
        seen = np.empty(0)
        for piece in draws:
            seen = np.sort(np.concatenate([seen, piece]))
            n = len(seen)
            steps = np.arange(n + 1) / n
            if max(np.max(steps[1:] - seen), np.max(seen - steps[:-1])) > slower.radius(n, ALPHA, 200):
                beyond += 1
                break
    yield share("band of Howard and Ramdas misses the distribution at any look", "at most", ALPHA, beyond, few)


def _slower(rng: np.random.Generator, at: Sequence[float], factor: float, growth: float, w: float = 0.1) -> bool:
    ours, theirs = np.zeros(len(at), dtype=int), np.zeros(len(at), dtype=int)
    for minute in range(LOOKS):
        pace = 1 + 0.8 * math.sin(minute / 9)
        n = rng.binomial(600, w)
        ours += slower.slow_counts(rng.lognormal(0, 0.5, n) * pace * factor, at, growth)
        theirs += slower.slow_counts(rng.lognormal(0, 0.5, 600 - n) * pace, at)
        if reached(slower.log_e_slower(ours.tolist(), theirs.tolist(), w), ALPHA):
            return True
    return False


def splits(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    """Three arms; and the bound on what an arm can have got."""
    runs, asked = _runs(500, scale), np.array([0.6, 0.3, 0.1])
    for got, side, stated in ((asked, "at most", ALPHA), (np.array([0.6, 0.27, 0.13]), "at least", 0.98)):
        hits = 0
        for _ in range(runs):
            seen = rng.multinomial(600, got, LOOKS).cumsum(axis=0).tolist()
            hits += any(reached(split.log_e_split(row, asked.tolist()), ALPHA) for row in seen)
        shown = "/".join(f"{part:.0%}" for part in got)
        yield share(f"split of 60/30/10 called broken, got {shown}, {LOOKS} looks", side, stated, hits, runs)
    missed = 0
    for _ in range(runs):
        k = rng.binomial(600, 0.13, LOOKS).cumsum()
        missed += any(
            split.most(int(n), 600 * (i + 1) - int(n), 0.1, alpha=ALPHA) < 0.13 for i, n in enumerate(k) if i % 6 == 5
        )
    yield share("largest possible share is less than the true one at any look", "at most", ALPHA, missed, runs)


def paired_bets(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    """The confidence sequence of a mean difference misses it at any of 20 looks; challengers worse by the margin."""
    runs = _runs(400, scale)
    kinds = {"symmetric": lambda n: rng.normal(0.02, 0.2, n), "skewed": lambda n: 0.05 - rng.exponential(0.07, n)}
    for name, draw in kinds.items():
        mean = float(np.clip(draw(1_000_000), -1, 1).mean())
        missed = sum(_misses(draw(400), mean) for _ in range(runs))
        yield share(f"confidence sequence misses the mean at any look, {name} losses", "at most", ALPHA, missed, runs)
    for name, horizon in (("independent rows", 1), ("labels over 5 days, blocks of 5", 5)):
        promoted = sum(_promoted(rng, horizon) for _ in range(runs))
        yield share(f"shadow loss worse by the margin promoted, any look, {name}", "at most", ALPHA, promoted, runs)


def _misses(d: np.ndarray, mean: float) -> bool:
    return any(
        max(
            betting.log_e_not_worse(d[:n], span=1.0, margin=-mean), betting.log_e_harm(d[:n], span=1.0, tolerated=-mean)
        )
        >= needed_log_e(ALPHA / 2)
        for n in range(20, len(d) + 1, 20)
    )


def _promoted(rng: np.random.Generator, horizon: int) -> bool:
    """Differences of mean −0.05, each the mean of `horizon` shocks that it shares with its neighbours."""
    shocks = rng.normal(size=500 + horizon - 1) * 0.45
    d = -0.05 + np.convolve(shocks, np.ones(horizon) / math.sqrt(horizon), mode="valid")
    found = betting.blocks(np.clip(d, -1.05, 0.95), horizon)
    looks = range(4, len(found) + 1, max(1, len(found) // 20))
    return any(reached(betting.log_e_not_worse(found[:n], span=1.05, margin=0.05), ALPHA) for n in looks)


# The gates: fresh holdouts


def area_gate(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    """Binormal scores whose areas differ by exactly the margin."""
    runs, margin, n, positives = _runs(2_000, scale), 0.02, 1_000, 150
    strong = 1.3
    weak = _slope(_area(strong) - margin)
    y = np.repeat([1, 0], [positives, n - positives])
    promoted = covered = 0
    for _ in range(runs):
        common = rng.normal(size=n)
        a, b = (y * m + math.sqrt(0.8) * common + math.sqrt(0.2) * rng.normal(size=n) for m in (strong, weak))
        promoted += delong.compare(y, a, b, margin=margin, alpha=ALPHA).answer in ("better", "not_worse")
        found = delong.area(y, a, ALPHA)
        covered += found.low <= _area(strong) <= found.high
    yield share("challenger worse by the margin promoted, roc_auc by DeLong", "at most", ALPHA / 2, promoted, runs)
    yield share("interval of roc_auc holds the truth", "at least", 1 - ALPHA, covered, runs)


def _area(slope: float) -> float:
    return 0.5 * (1 + math.erf(slope / 2))


def _slope(area: float) -> float:
    low, high = 0.0, 10.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if _area(middle) < area else (low, middle)
    return low


def champion_gate(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    """The gate of validation itself; the margin of each metric is the two models' difference on four million rows."""
    watched = [
        d for name in ("log_loss", "brier", "average_precision", "accuracy") if (d := definition(name, "binary"))
    ]
    runs, how = _runs(1_000, scale), Resampling(draws=1_000)
    gaps = _gaps(watched)
    promoted = dict.fromkeys(gaps, 0)
    for _ in range(runs):
        a, b, base = _models(rng, 500)
        for d in watched:
            verdict = against.champion("gate", against.Pair(d, a, b, how), base, margin=gaps[d.name])
            promoted[d.name] += verdict.outcome == "pass"
    for name, hits in promoted.items():
        stated = 0.035 if name == "average_precision" else ALPHA / 2
        yield share(
            f"challenger worse by the margin promoted, {name} by paired bootstrap", "at most", stated, hits, runs
        )


def _gaps(watched: Sequence[Definition]) -> dict[str, float]:
    """By how much the challenger is worse, from four million rows."""
    total = dict.fromkeys([d.name for d in watched], 0.0)
    ones = np.ones((1, _MANY))
    for seed in range(4):
        a, b, _ = _models(np.random.default_rng(seed), _MANY)
        for d in watched:
            total[d.name] += d.sign * float(d.statistic(a)(ones)[0] - d.statistic(b)(ones)[0]) / 4
    return total


def _models(rng: np.random.Generator, n: int) -> tuple[Sample, Sample, Sample]:
    """A champion, a noisier challenger, and the baseline."""
    z = rng.normal(size=n)
    y = (rng.random(n) < _logistic(1.5 * z - 0.8)).astype(np.int64)
    p = [_logistic(1.5 * z - 0.8 + sd * rng.normal(size=n)) for sd in (0.3, 0.8)]
    a, b = (Sample(y, np.column_stack([1 - q, q]), (q >= 0.5).astype(np.int64)) for q in p)
    return a, b, Sample(y, np.tile([0.65, 0.35], (n, 1)), np.zeros(n, dtype=np.int64))


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def loss_gate(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    """Mean losses: rows of one customer, and a year of daily labels that overlap over five days."""
    runs, margin = _runs(1_000, scale), 0.1
    customers = np.repeat(np.arange(60), 5)
    promoted = {"rows": 0, "customers": 0, "blocks of a daily series": 0}
    for seed in range(runs):
        how = {"draws": 1_000, "seed": seed}
        skewed = 0.4 - rng.exponential(0.5, 300)
        hung = np.repeat(rng.normal(-margin, 0.5, 60), 5) + rng.normal(0, 0.3, 300)
        shocks = rng.normal(size=254) * 0.5
        daily = -margin + np.convolve(shocks, np.ones(5) / math.sqrt(5), mode="valid")
        cases = {
            "rows": (skewed, Resampling(**how)),
            "customers": (hung, Resampling(clusters=customers, **how)),
            "blocks of a daily series": (daily, Resampling(horizon=5, **how)),
        }
        for name, (d, drawn) in cases.items():
            finding = bootstrap.mean_difference(d, np.zeros(len(d)), how=drawn, margin=margin, alpha=ALPHA)
            promoted[name] += finding.answer in ("better", "not_worse")
    for name, hits in promoted.items():
        yield share(f"challenger worse by the margin promoted, mean loss by {name}", "at most", ALPHA / 2, hits, runs)


def bounds(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    """A model whose true value lies exactly on the bound of a gate, and groups exactly at four fifths."""
    import polars as pl

    rows = _models(np.random.default_rng(2), 2 * _MANY)[0]
    for names, runs in ((("accuracy", "recall", "roc_auc"), _runs(6_000, scale)), (("log_loss",), _runs(1_500, scale))):
        truth = {m.name: m.value for m in _measured(names, rows, Resampling(draws=2))}
        passed = dict.fromkeys(names, 0)
        for _ in range(runs):
            for metric in _measured(names, _models(rng, 300)[0], Resampling(draws=1_000)):
                side = "max" if metric.name == "log_loss" else "min"
                gate = Gate.model_validate({"metric": metric.name, side: truth[metric.name]})
                passed[metric.name] += absolute.bounded("gate", gate, metric).outcome == "pass"
        for name, hits in passed.items():
            yield share(f"model exactly on the bound passes, {name}", "at most", ALPHA / 2, hits, runs)
    groups, many = pl.DataFrame({"g": np.repeat(["a", "b"], 300)}), _runs(2_000, scale)
    gate = Gate(metric="four_fifths", by="g")
    called = (rng.random(600) < np.repeat([0.32, 0.4], 300) for _ in range(many))
    hits = sum(four_fifths("gate", gate, row, groups).outcome == "fail" for row in called)
    yield share("ratio of exactly four fifths fails", "at most", ALPHA / 2, hits, many)


def _measured(names: Sequence[str], sample: Sample, how: Resampling) -> list[Metric]:
    return list(measured([d for name in names if (d := definition(name, "binary"))], sample, how).values())


# Drift: two samples, many columns


def two_samples(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    runs = _runs(2_000, scale)
    for n, m in ((1_000, 200), (200, 200), (5_000, 100)):
        hits = sum(ks(np.sort(rng.normal(size=n)), np.sort(rng.normal(size=m)))[1] <= ALPHA for _ in range(runs))
        yield share(f"numbers called different, {n:,} against {m:,} rows (KS)", "at most", ALPHA, hits, runs)
    for n, m, k in ((1_000, 1_000, 10), (1_000, 200, 10), (1_000, 200, 300)):
        p = 1 / np.arange(1, k + 1)
        p /= p.sum()
        hits = sum(chi2(rng.multinomial(n, p), rng.multinomial(m, p))[1] <= ALPHA for _ in range(runs))
        what = f"counts called different, {k} categories, {n:,} against {m:,} rows (χ²)"
        yield share(what, "at most", ALPHA, hits, runs)


def many_questions(scale: float, rng: np.random.Generator) -> Iterator[Claim]:
    """Thirty columns; BH on KS p-values, e-BH on e-values that all rest on one number."""
    runs, q, moved = _runs(400, scale), 0.05, 10
    shares, any_alarm = [], 0
    reference = np.sort(rng.normal(size=(30, 1_000)), axis=1)
    for _ in range(runs):
        reference = np.sort(rng.normal(size=(30, 1_000)), axis=1)
        still = rng.normal(size=(30, 200))
        shifted = still + np.where(np.arange(30) < moved, 0.3, 0.0)[:, None]
        alarms = benjamini_hochberg(_ks_all(reference, shifted), q)
        shares.append(alarms[moved:].sum() / max(1, alarms.sum()))
        any_alarm += benjamini_hochberg(_ks_all(reference, still), q).any()
    yield share("any alarm though none of 30 columns moved (BH)", "at most", q, int(any_alarm), runs)
    error = float(np.std(shares)) / math.sqrt(runs)
    yield Claim("share of false alarms, 10 of 30 columns moved (BH)", "at most", q, float(np.mean(shares)), runs, error)
    many = _runs(20_000, scale)
    hits = 0
    for z in rng.normal(size=many):
        bets = 3.0 * np.linspace(0.5, 1.0, 30)
        hits += bool(e_bh(bets * z - bets**2 / 2, q).any())
    yield share("any alarm though nothing moved, 30 wholly dependent e-values (e-BH)", "at most", q, hits, many)


def _ks_all(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    return np.array([ks(a, np.sort(b))[1] for a, b in zip(reference, current, strict=True)])


PROOFS: tuple[Proof, ...] = (
    canary_counts,
    canary_promotion,
    canary_latency,
    splits,
    paired_bets,
    area_gate,
    champion_gate,
    loss_gate,
    bounds,
    two_samples,
    many_questions,
)


def prove(scale: float = 1.0, seed: int = 0) -> Iterator[Claim]:
    """All claims; `scale` multiplies the number of runs."""
    for i, proof in enumerate(PROOFS):
        yield from proof(scale, np.random.default_rng([seed, i]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Stated error rates of the decision engine against simulation.")
    parser.add_argument("--json", action="store_true", help="print the claims as JSON")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of runs")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    start, claims = time.perf_counter(), []
    if not asked.json:
        print(f"{'stated':>14}  {'measured':>18}  {'runs':>6}  claim")
    for claim in prove(asked.scale, asked.seed):
        claims.append(claim)
        if not asked.json:
            _print(claim)
    broken = sum(not claim.holds() for claim in claims)
    seconds = time.perf_counter() - start
    if asked.json:
        told = [{**asdict(claim), "holds": claim.holds()} for claim in claims]
        print(json.dumps({"seconds": round(seconds, 1), "broken": broken, "claims": told}, indent=1))
    else:
        print(f"{len(claims)} claims, {broken} broken, {seconds:.0f} s")
    return 1 if broken else 0


def _print(claim: Claim) -> None:
    sign = "≤" if claim.side == "at most" else "≥"
    mark = "" if claim.holds() else "   BROKEN"
    figure = f"{claim.measured:8.2%} ± {claim.error:.2%}"
    print(f"{sign} {claim.stated:>11.2%}  {figure:>18}  {claim.runs:>6}  {claim.what}{mark}", flush=True)


def _runs(at_scale_one: int, scale: float) -> int:
    return max(20, round(at_scale_one * scale))


if __name__ == "__main__":
    sys.exit(main())

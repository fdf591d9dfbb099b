"""What releases promise and what they do: the release's own state machine on simulated traffic, beside threshold rules.

    python -m benchmarks.prove_canary [--runs 500] [--processes 2] [--quick]          `make prove-canary`

Each run drives `modelway.rollout.release.next_move` with one look a minute, as the control loop does, with all five guards on
(errors, invalid outputs, latency at nine thresholds, scores, losses) and one α of 5 % for all of them. Nothing of the statistics is
written a second time here: the simulation makes counts, the machine decides.
"""

import argparse
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.canary_rules import RULES
from benchmarks.canary_traffic import EARLIER, Minutes, Scene, pairs, traffic
from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.report import RESULTS, measured
from modelway.records import Release
from modelway.rollout.evidence import Arm, Evidence
from modelway.rollout.guards import SPLIT_ALPHA
from modelway.rollout.release import next_move
from modelway.spec.model import Guard, Rollout

ALPHA = 0.05
WEIGHT = 0.1
T0 = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PAIRS_EVERY = 20
"""Minutes between two labelled pairs and two pairs of scores: labels are few."""
GUARDED = Rollout(
    canary=(WEIGHT, 1.0),
    promote_on="errors",
    guard=Guard(errors=0.001, latency=0.0, scores=0.05),
    alpha=ALPHA,
    at_least=timedelta(days=30),
    at_most=timedelta(days=60),
)
"""Never promoted within the day, so that every look may stop it."""
_DAY = 1440


@dataclass(frozen=True)
class Outcome:
    """How a run ended, at which look (from 1); `broken`: the split was called broken at some look."""

    state: str
    look: int
    broken: bool


def drive(ours: Minutes, theirs: Minutes, settings: Rollout, rng: np.random.Generator) -> Outcome:
    """The machine on one run's minutes, from the canary's first request on, until it is over or the minutes are."""
    standing = Release(1, "loans", 2, 1, "canary", 0, WEIGHT, T0, T0, "", {"basis": settings.promote_on})
    n = len(ours.requests)
    sums = [_cumulated(arm) for arm in (ours, theirs)]
    d, moved = (tuple(pairs(n // PAIRS_EVERY, sd, rng).tolist()) for sd in (0.1, 0.02))
    limits = tuple((t, t) for t in EARLIER)
    broken = False
    for look in range(n):
        seen = (look + 1) // PAIRS_EVERY
        evidence = Evidence(
            *(Arm(arm[0][look], arm[1][look], arm[2][look], arm[3][look]) for arm in sums),
            losses=d[:seen],
            span=0.5,
            margin=0.05,
            slow_ms=limits,
            scores=(moved[:seen],),
        )
        move = next_move(standing, evidence, settings, T0 + (look + 1) * MINUTE)
        broken = broken or move.evidence["split"]["broken"]
        if move.state != "canary":
            return Outcome(move.state, look + 1, broken)
        standing = replace(standing, evidence=move.evidence)
    return Outcome("canary", n, broken)


def from_the_shadow(scene: Scene, settings: Rollout, rng: np.random.Generator) -> Outcome:
    """The whole way from waiting on, minute by minute, with an equal number of looks in which to be stopped or to be full."""
    here = Release(1, "loans", 2, 1, "waiting", 0, 0.0, T0, T0, "")
    both = [np.zeros(3, dtype=int), np.zeros(3, dtype=int)]
    limits = tuple((t, t) for t in EARLIER)
    for look in range(scene.looks):
        now = T0 + (look + 1) * MINUTE
        evidence = Evidence(*(Arm(*arm.tolist()) for arm in both), span=0.5, margin=0.05, slow_ms=limits, scores=())
        move = next_move(here, evidence, settings, now)
        if (move.state, move.weight) != (here.state, here.weight):
            both = [np.zeros(3, dtype=int), np.zeros(3, dtype=int)]
            here = replace(here, state=move.state, step=move.step, weight=move.weight, moved=now)
        here = replace(here, evidence=move.evidence)
        if here.state in ("rolled_back", "full"):
            return Outcome(here.state, look + 1, False)
        whole = int(rng.poisson(60 * scene.per_second))
        ours = int(rng.binomial(whole, here.weight)) if here.state == "canary" else whole
        theirs = whole - ours if here.state == "canary" else whole
        for arm, asked, factor, more in zip(
            both, (ours, theirs), (scene.times_errors, 1.0), (scene.more_errors, 0.0), strict=True
        ):
            arm += np.array([asked, rng.binomial(asked, scene.errors * factor + more), 0])
    return Outcome(here.state, scene.looks, False)


def _cumulated(arm: Minutes) -> tuple[list[int], list[int], list[int], list[tuple[int, ...]]]:
    slow = [tuple(row) for row in arm.slow.cumsum(axis=0).tolist()]
    return arm.requests.cumsum().tolist(), arm.errors.cumsum().tolist(), arm.invalid.cumsum().tolist(), slow


@dataclass(frozen=True)
class Found:
    """Of one scene and one rule: how often it stopped, and the median minute of those that did."""

    scene: str
    rule: str
    stopped: float
    minute: float | None
    runs: int
    broken: float = 0.0
    passed: float = 0.0

    @property
    def words(self) -> str:
        return f"{self.stopped:.1%}" + ("" if self.minute is None else f", {self.minute:.0f} min")


OURS = "modelway"


def play(scene: Scene, runs: int, seed: Sequence[int], drives: bool = True) -> list[Found]:
    """All rules and the machine on the same runs."""
    rng = np.random.default_rng(seed)
    stops: dict[str, list[int | None]] = {OURS: [], **{rule.name: [] for rule in RULES}}
    broken = 0
    for _ in range(runs):
        ours, theirs = traffic(scene, rng)
        outcome = drive(ours, theirs, GUARDED, rng)
        broken += outcome.broken
        stops[OURS].append(outcome.look if outcome.state == "rolled_back" else None)
        for rule in RULES:
            found = rule.stops(ours, theirs)
            stops[rule.name].append(None if found is None else found + 1)
    return [_found(scene, name, found, broken / runs if name == OURS else 0.0) for name, found in stops.items()]


def _found(scene: Scene, rule: str, stops: Sequence[int | None], broken: float) -> Found:
    hits = [one for one in stops if one is not None]
    minute = float(np.median(hits)) if hits else None
    return Found(scene.name, rule, len(hits) / len(stops), minute, len(stops), broken)


ALIKE = (
    Scene("equal, 10/s", 10, _DAY, alike=True),
    Scene("equal, 1/s", 1, _DAY, alike=True),
    Scene("equal, 100/s, 0.1 % errors", 100, _DAY, errors=0.001, alike=True),
    Scene("equal, 10/s, waving by the hour, an outage of both", 10, _DAY, waving=True, outage=700, alike=True),
    Scene("equal, 100/s, each version stalls by itself", 100, _DAY, errors=0.001, stalls=True, alike=True),
    Scene(
        "equal, failing callers make 10 errors, counted by caller", 10, _DAY, burst=10, counted="callers", alike=True
    ),
    Scene("equal, failing callers make 10 errors, counted singly (not ours)", 10, _DAY, burst=10, alike=True),
    Scene("equal, but it gets 13 % of the requests, not 10 %", 10, _DAY, share=0.13, alike=True),
    Scene("equal, but it gets 50 % of the requests, not 10 %", 10, _DAY, share=0.5, alike=True),
)
PLANTED = (
    *(Scene(f"errors × {factor}, {per}/s", per, times_errors=factor) for factor in (2, 5, 50) for per in (1, 10, 100)),
    Scene("errors × 5, 10/s, an outage of both from the 3rd minute on", 10, times_errors=5, outage=2),
    Scene("errors × 5, 10/s, but it gets 30 % of the requests, not 10 %", 10, times_errors=5, share=0.3),
    *(
        Scene(f"latency {words}, {per}/s", per, times_latency=factor)
        for factor, words in ((1.1, "+ 10 %"), (2.0, "× 2"))
        for per in (1, 10, 100)
    ),
)
WHOLE = (
    Scene("whole way: equal, 10/s", 10, 480, alike=True),
    Scene("whole way: worse by the margin (0.5 points), 10/s", 10, 480, more_errors=0.005),
    Scene("whole way: errors × 5, 10/s", 10, 480, times_errors=5),
)
WIDE = GUARDED.model_copy(update={"at_least": timedelta(0), "guard": Guard(errors=0.005), "watch": timedelta(0)})


def whole_way(scene: Scene, runs: int, seed: Sequence[int]) -> Found:
    """From waiting to full or back, with a margin of half a point."""
    rng = np.random.default_rng(seed)
    ends = [from_the_shadow(scene, WIDE, rng) for _ in range(runs)]
    found = _found(scene, OURS, [one.look if one.state == "rolled_back" else None for one in ends], 0.0)
    full = [one.look for one in ends if one.state == "full"]
    minute = found.minute if found.stopped >= 0.5 or not full else float(np.median(full))
    return replace(found, minute=minute, passed=len(full) / runs)


def prove(runs: int, processes: int = 1, say: Callable[[str], None] = lambda _: None) -> Iterator[Found]:
    """All scenes; those of a day's looks, which cost the most, with 3/10 of the runs but for the first and the fourth.

    Each scene has a seed of its own: how many processes share them changes nothing.
    """
    full = (ALIKE[0], ALIKE[3])
    asked: list[tuple[Callable[..., Found | list[Found]], Scene, int, tuple[int, int]]] = [
        (play, scene, runs if scene.looks < _DAY or scene in full else max(20, runs * 3 // 10), (7, number))
        for number, scene in enumerate((*ALIKE, *PLANTED))
    ]
    asked += [(whole_way, scene, max(20, runs // 2), (8, number)) for number, scene in enumerate(WHOLE)]
    with ProcessPoolExecutor(processes) as pool:
        for job, (_, scene, many, _) in zip([pool.submit(*one) for one in asked], asked, strict=True):
            done = job.result()
            found = done if isinstance(done, list) else [done]
            say(f"{scene.name}: {found[0].words} of {many}")
            yield from found


def result_of(found: Sequence[Found], seconds: float) -> Result:
    """Ours as figures with what was promised; the rules stand beside them in a table of their own."""
    scenes = {scene.name: scene for scene in (*ALIKE, *PLANTED, *WHOLE)}
    figures = [row for one in found if one.rule == OURS for row in _figures(one, scenes[one.scene])]
    even = [one for one in found if one.rule == OURS and scenes[one.scene].alike and scenes[one.scene].share == WEIGHT]
    figures.append(_called_broken([one for one in even if one.scene not in {scene.name for scene in WHOLE}]))
    notes = (
        f"{ALPHA:.0%} for all guards together: errors, invalid outputs, latency (nine thresholds, no growth tolerated), scores and "
        f"losses (a pair each every {PAIRS_EVERY} minutes). 0.5 % errors where nothing else is said, 10 % of the requests in the "
        "canary, a look each minute, 1,440 where both are equal and 240 else. Minutes are medians of the runs that were stopped.",
        f"{seconds:,.0f} processor seconds. The rules beside are in canary.md.",
    )
    return Result("releases, promised and realised", tuple(figures), notes)


def _figures(one: Found, scene: Scene) -> Iterator[Figure]:
    note = f"{one.runs:,} runs"
    if one.scene.startswith("whole way"):
        yield figure(f"{one.scene}: promoted", 100 * one.passed, "%", _most(one, scene), note)
        said = "" if one.minute is None else f"{note}; median minute {one.minute:.0f} of what most came to"
        yield figure(f"{one.scene}: stopped", 100 * one.stopped, "%", _stopped(scene), said)
        return
    if scene.alike:
        promised = None if "singly" in scene.name else Target(at_most=100 * ALPHA)
        yield figure(f"{one.scene}: stopped", 100 * one.stopped, "%", promised, note)
        if scene.share != WEIGHT:
            yield figure(f"{one.scene}: called broken routing", 100 * one.broken, "%", Target(at_least=99), note)
        return
    yield figure(f"{one.scene}: stopped", 100 * one.stopped, "%", None, note)
    if one.minute is not None:
        goal = Target(at_most=12) if one.scene == "errors × 5, 10/s" else None
        yield figure(f"{one.scene}: median", one.minute, "min", goal, note)


def _called_broken(even: Sequence[Found]) -> Figure:
    """Over all runs with an even split: each scene alone has too few for a promise of one in a thousand."""
    runs = sum(one.runs for one in even)
    share = sum(one.broken * one.runs for one in even) / max(runs, 1)
    note = f"{runs:,} runs of {len(even)} scenes"
    return figure(
        "even split, all scenes: called broken routing", 100 * share, "%", Target(at_most=100 * SPLIT_ALPHA), note
    )


def _most(one: Found, scene: Scene) -> Target | None:
    return Target(at_most=100 * ALPHA) if scene.more_errors else None


def _stopped(scene: Scene) -> Target | None:
    return Target(at_most=100 * ALPHA) if scene.alike else None


def page(found: Sequence[Found], runs: int) -> str:
    """Ours and the threshold rules, as Markdown."""
    rules = [OURS, *(rule.name for rule in RULES)]
    by = {(one.scene, one.rule): one for one in found}
    lines = [
        "# Releases and threshold rules on the same simulated traffic",
        "",
        f"Made by `make prove-canary` with {runs:,} runs a scene, three tenths of that where README.md says so; do not edit.",
        "Share of the runs that were stopped, and the median minute of those. Settings are in the style of the projects'",
        "documented examples, not the projects themselves. Where callers are counted, the rules see these counts too.",
    ]
    for title, scenes in (
        ("Both versions are equal: to stop is a false alarm", ALIKE),
        ("Something is planted", PLANTED),
    ):
        lines += ["", f"## {title}", "", "| traffic | " + " | ".join(rules) + " |", "| --- " * (len(rules) + 1) + "|"]
        for scene in scenes:
            cells = [by[scene.name, rule].words for rule in rules if (scene.name, rule) in by]
            lines.append(f"| {scene.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prove_canary", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="runs of a scene")
    parser.add_argument(
        "--processes", type=int, default=2, help="how many run at the same time; the results are the same"
    )
    parser.add_argument("--quick", action="store_true", help="few runs, a sanity check; no results are written")
    asked = parser.parse_args()
    runs = 20 if asked.quick else asked.runs
    found: list[Found] = []

    def measure(quick: bool) -> Result:
        found.extend(prove(runs, asked.processes, lambda text: print(text, file=sys.stderr, flush=True)))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return result_of(found, used.ru_utime + used.ru_stime)

    result = measured("canary", measure, asked.quick)
    if not asked.quick:
        (RESULTS / "canary.md").write_text(page(found, runs))
    sys.exit(any(one.met is False for one in result.figures))


if __name__ == "__main__":
    main()

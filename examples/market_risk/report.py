"""The replay as one HTML file that needs nothing else: figures as SVG, the table of the years, every decision."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from examples.market_risk.story import Seen, Told, interval, log_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOP, FIRST, GREY = "#1f6f8b", "#c8553d", "#9aa0a6"

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Market risk: twenty years through the loop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
 :root { color-scheme: light; } body { font: 15px/1.5 system-ui, sans-serif; color: #202124; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
 h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } p.lead { color: #5f6368; margin-top: 0; }
 table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
 th { text-align: right; font-weight: 600; border-bottom: 2px solid #dadce0; padding: .3rem .5rem; } td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid #eceff1; }
 td.text, th.text { text-align: left; } .tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }
 .tile { border: 1px solid #dadce0; border-radius: 8px; padding: .6rem 1rem; min-width: 9rem; } .tile b { display: block; font-size: 1.35rem; }
 svg { width: 100%; height: auto; } details { margin-top: 1rem; } footer { margin-top: 3rem; color: #5f6368; font-size: .85rem; }
</style>
<h1>Will the coming five days be turbulent?</h1>
<p class="lead">S&amp;P 500 and NASDAQ, {{ days[0] }} to {{ days[1] }}, replayed day by day through the running server and control loop.</p>
<div class="tiles">{% for name, value in tiles %}<div class="tile"><b>{{ value }}</b>{{ name }}</div>{% endfor %}</div>
{% for line in summary %}<p>{{ line }}</p>{% endfor %}
<h2>What was expected, and what came</h2>{{ expected }}
<h2>Loss of the loop and of the frozen first model</h2>{{ losses }}
<h2>The years</h2>
<table><tr><th>year</th><th>predictions</th><th>turbulent</th><th>drift alarms</th><th>retrainings</th><th>promoted</th><th>refused</th>
<th>loss: loop</th><th>loss: first</th><th>gain (95 %, moving blocks)</th></tr>
{% for y in years %}<tr><td>{{ y.year }}</td><td>{{ y.predictions }}</td><td>{{ "%.0f%%" % (100 * y.turbulent) }}</td><td>{{ y.alarms }}</td>
<td>{{ y.retrainings }}</td><td>{{ y.promoted }}</td><td>{{ y.refused }}</td><td>{{ "%.3f" % y.loop_loss }}</td><td>{{ "%.3f" % y.first_loss }}</td>
<td>{{ interval(y.gain) }}</td></tr>{% endfor %}</table>
<details><summary>All {{ entries | length }} decisions, as the ledger has them</summary>
<table><tr><th class="text">when</th><th class="text">who</th><th class="text">what</th><th class="text">of what</th><th class="text">why</th></tr>
{% for e in entries %}<tr><td class="text">{{ e.at.date() }}</td><td class="text">{{ e.who }}</td><td class="text">{{ e.action }}</td>
<td class="text">{{ e.subject }}</td><td class="text">{{ e.reason }}</td></tr>{% endfor %}</table></details>
<details><summary>All {{ alarms | length }} alerts</summary><table>{% for at, severity, cause in alarms %}
<tr><td class="text">{{ at.date() }}</td><td class="text">{{ severity }}</td><td class="text">{{ cause }}</td></tr>{% endfor %}</table></details>
<footer>Prices as packaged by arch (Yahoo Finance). Whatever the figures show is what is reported: intervals come from moving blocks,
no shorter than the five days that neighbouring outcomes share.</footer></html>
"""


def write_report(story: Told, seen: Seen, seconds: Mapping[str, float], path: Path) -> Path:
    """Write the page; returns its path."""
    from jinja2 import Environment

    page = Environment(autoescape=True).from_string(PAGE)
    path.write_text(
        page.render(
            days=(story.days["at"].min().date(), story.days["at"].max().date()),  # type: ignore[union-attr]
            tiles=_tiles(story, seen, seconds),
            summary=story.summary(seen, seconds),
            years=story.years,
            interval=interval,
            entries=story.entries,
            alarms=story.alarms,
            expected=_svg(lambda axes: draw_expected(axes, story), 4.2),
            losses=_svg(lambda axes: draw_losses(axes, story), 3.2),
        ),
        encoding="utf-8",
    )
    return path


def _tiles(story: Told, seen: Seen, seconds: Mapping[str, float]) -> list[tuple[str, Any]]:
    total = {
        name: sum(getattr(y, name) for y in story.years) for name in ("alarms", "retrainings", "promoted", "refused")
    }
    return [
        ("requests, none failed" if not seen.failed else f"requests, {seen.failed} failed", f"{seen.requests:,}"),
        ("drift alarms", total["alarms"]),
        ("retrainings", total["retrainings"]),
        ("promoted", total["promoted"]),
        ("refused or rolled back", total["refused"]),
        ("gain in log loss", interval(story.gain).split(" ")[0]),
        ("for all the years", f"{seconds['whole replay']:.0f} s"),
    ]


def draw_expected(axes: "Axes", story: Told) -> None:
    """The probability as a line, days of turbulence as a band, changes of the champion as lines, alarms as ticks."""
    days = story.days
    at = days["at"].to_list()
    axes.fill_between(
        at, 0, days["outcome"].fill_null(0).to_numpy(), step="mid", color=GREY, alpha=0.3, lw=0, label="turbulent"
    )
    axes.plot(at, days["score"].to_numpy(), color=LOOP, lw=0.8, label="probability, as answered")
    for change in (entry for entry in story.entries if entry.action == "champion" and at[0] < entry.at):
        axes.axvline(change.at, color=FIRST, lw=0.8, ls="--")
        number = change.subject.partition("@")[2]
        axes.annotate(f"@{number}", (change.at, 1.02), xycoords=("data", "axes fraction"), fontsize=7, color=FIRST)
    drift = [when for when, _, cause in story.alarms if "drift" in cause and at[0] <= when <= at[-1]]
    axes.plot(drift, [-0.03] * len(drift), "|", color="black", ms=7, label="drift alarm")
    axes.set_ylim(-0.06, 1)
    axes.legend(loc="upper left", fontsize=8, frameon=False)


def draw_losses(axes: "Axes", story: Told) -> None:
    """Means over the 250 days before, of both models."""
    known = story.days.drop_nulls("outcome")
    outcome, window = known["outcome"].to_numpy(), 250
    if known.height <= window:
        return
    at = known["at"].to_list()[window - 1 :]
    for name, colour, words in (("first", FIRST, "frozen first model"), ("score", LOOP, "the loop")):
        means = np.convolve(log_loss(outcome, known[name].to_numpy()), np.ones(window) / window, "valid")
        axes.plot(at, means, color=colour, lw=1.4, label=words)
    axes.set_ylabel("log loss, mean of 250 days")
    axes.legend(fontsize=8, frameon=False)


def _svg(draw: Callable[["Axes"], None], height: float) -> Any:
    from markupsafe import Markup
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return Markup(out.getvalue()[out.getvalue().index("<svg") :])  # drawn by us, from numbers alone

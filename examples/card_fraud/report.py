"""The short report of a replay: what became of every event, and the quality beside the book's."""

import html
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from examples.card_fraud.book import PUBLISHED, SELECTED, TEST_FRAUDS, TEST_ROWS, TRAIN_FRAUDS, TRAIN_ROWS
from examples.card_fraud.quality import Quality
from examples.card_fraud.replay import Replayed

if TYPE_CHECKING:
    from rich.table import Table

BOOK_PAGE = (
    "https://fraud-detection-handbook.github.io/fraud-detection-handbook/Chapter_3_GettingStarted/BaselineModeling.html"
)
HEADS = ("classifier", "AUC ROC", "average precision", "card precision@{cards}")


def rows(done: Replayed) -> Iterator[tuple[str, Quality, tuple[str, str, str]]]:
    """Name, our figures, and the book's as printed (empty where it has none)."""
    for name, mine in done.book.items():
        theirs = PUBLISHED[name]
        yield name, mine, (f"{theirs.auc_roc:.3f}", f"{theirs.average_precision:.3f}", f"{theirs.card_precision:.3f}")
    yield f"{done.version}, its graph", done.shipped, ("", "", "")
    if done.served is not None:
        yield f"{done.version}, as the server answered", done.served, ("", "", "")


def summary(done: Replayed) -> list[str]:
    """What the figures rest on, in sentences."""
    lines = done.reckoning.lines()
    if done.asked.requests:
        asked = done.asked
        recomputed, worst = done.parity
        lines += [
            f"requests {asked.requests:,} = answers in the lake {done.logged:,}: "
            f"{'reconciled' if done.reconciled else 'NOT RECONCILED'}; {asked.failed} failed, {asked.refused} rows refused;"
            f" {asked.seconds / asked.requests * 1000:.1f} ms each on this machine",
            f"{recomputed:,} answers computed again from the lake, as of their moment: worst difference {worst:.1g}",
        ]
    train, test = done.found.train, done.shipped
    lines.append(
        f"learned from {train.height:,} payments of {done.setting.protocol.train_days} days, {int(train['fraud'].sum())} fraud;"
        f" judged on {test.rows:,} of {done.setting.protocol.test_days} days, {test.frauds} fraud,"
        f" without cards known to be compromised"
    )
    if done.found.unlabelled:
        lines.append(f"{done.found.unlabelled:,} payments of the test days have no label yet and are not judged")
    return lines


def apart(done: Replayed) -> list[str]:
    """Where our set-up is not the book's."""
    city, protocol = done.setting.city, done.setting.protocol
    lines = [] if done.setting.is_book else [
        f"A smaller world: {city.customers:,} customers and {city.terminals:,} terminals instead of 5,000 and 10,000,"
        f" {protocol.train_days} days to learn from instead of 7, {protocol.cards} cards a day instead of 100."
        f" Levels cannot be compared with the book's; `--book` replays its size."
    ]  # fmt: skip
    return [
        *lines,
        "Another draw of the same rules: the generator is ours. The book has"
        f" {TRAIN_ROWS:,} payments ({TRAIN_FRAUDS} fraud) to learn from and {TEST_ROWS:,} ({TEST_FRAUDS} fraud) to be judged on.",
        "A stream instead of a table: some payments come late, twice, or broken; a window sees only what had arrived,"
        " and labels count from their arrival. Where everything arrives in time the columns are the book's to the last digit.",
        "Newer libraries: the book used scikit-learn and XGBoost of 2021 with their defaults, we today's with theirs.",
    ]


def table(done: Replayed) -> "Table":
    """For the terminal."""
    from rich import box
    from rich.table import Table

    heads = [head.format(cards=done.setting.protocol.cards) for head in HEADS]
    beside = done.setting.is_book
    shown = Table(*heads, *(["the book:", "", ""] if beside else []), box=box.SIMPLE_HEAD, pad_edge=False)
    for name, mine, theirs in rows(done):
        shown.add_row(name, *_told(mine), *(theirs if beside else ()))
    return shown


def _told(mine: Quality) -> tuple[str, str, str]:
    return f"{mine.auc_roc:.3f}", f"{mine.average_precision:.3f}", f"{mine.card_precision:.3f}"


STYLE = """
 body { font: 15px/1.5 system-ui, sans-serif; color: #202124; max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
 h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } .lead, footer { color: #5f6368; }
 table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
 th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid #eceff1; } th:first-child, td:first-child { text-align: left; }
 footer { margin-top: 3rem; font-size: .85rem; }
"""


def write_report(done: Replayed, path: Path) -> Path:
    """Write the page; returns its path."""
    city, protocol = done.setting.city, done.setting.protocol
    first, last = (protocol.moment(city, day) for day in (protocol.first, protocol.end))
    heads = [head.format(cards=protocol.cards) for head in HEADS]
    quality = _table(
        [*heads, "the book: AUC ROC", "average precision", "card precision@100"],
        [(name, *_told(mine), *theirs) for name, mine, theirs in rows(done)],
    )
    days = [f"{protocol.moment(city, protocol.test_first + n):%d %b}" for n in range(protocol.test_days)]
    daily = _table(
        ["classifier", *days], [(name, *(f"{share:.2f}" for share in mine.daily)) for name, mine, _ in rows(done)]
    )
    selected = _table(
        ["the book, chapter 5", *HEADS[1:3], "card precision@100"],
        [(n, f"{f.auc_roc:.3f}", f"{f.average_precision:.3f}", f"{f.card_precision:.3f}") for n, f in SELECTED.items()],
    )
    seconds = ", ".join(f"{name} {spent:.0f} s" for name, spent in done.seconds.items())
    page = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>card-fraud</title><style>{STYLE}</style>",
        "<h1>Is this card payment a fraud?</h1>",
        f"<p class=lead>{city.customers:,} customers, {city.terminals:,} terminals, {first:%d %B} to {last:%d %B %Y}, event by event</p>",
        *(f"<p>{html.escape(line)}</p>" for line in summary(done)),
        "<h2>Quality on the test days</h2>",
        quality,
        "<h2>Of the cards looked into each day, the share that was compromised</h2>",
        daily,
        "<h2>The book with chosen parameters</h2>",
        selected,
        "<h2>What is not alike</h2>",
        "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in apart(done)) + "</ul>",
        f'<footer>Figures of the book: Le Borgne, Siblini, Lebichot, Bontempi, <a href="{BOOK_PAGE}">Fraud Detection Handbook</a>,'
        f" chapters 3 and 5. {seconds}.</footer></html>",
    ]
    path.write_text("\n".join(page), encoding="utf-8")
    return path


def _table(heads: list[str], lines: list[tuple[str, ...]]) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "<table>" + row(tuple(heads), "th") + "".join(row(line, "td") for line in lines) + "</table>"

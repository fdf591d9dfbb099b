"""Real daily bars of S&P 500 and NASDAQ, 1999–2018, from the `arch` package, and what became of the days after each.

Prices: Yahoo Finance, as packaged by arch (K. Sheppard; NCSA licence).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time

import numpy as np

AHEAD = 5
MOVE = 0.02


@dataclass(frozen=True)
class Day:
    """One trading day: `row` is known at its close; `label`, about the five days after it, at the close of the fifth."""

    key: str
    close: datetime
    row: dict[str, float | str]
    label: str | None
    """"1" if the S&P 500 moved by 2 % or more on any of the five days; None for the last days of the series."""


def days() -> Iterator[Day]:
    """All days in order; the first has no return and is left out."""
    import arch.data.nasdaq
    import arch.data.sp500

    sp, nq = arch.data.sp500.load(), arch.data.nasdaq.load()
    both = sp.join(nq, lsuffix="_sp", rsuffix="_nq", how="inner")
    sp_return = np.diff(np.log(both["Adj Close_sp"].to_numpy()))
    nq_return = np.diff(np.log(both["Adj Close_nq"].to_numpy()))
    volume = both["Volume_sp"].to_numpy(float)
    for i in range(1, len(both)):
        moment = datetime.combine(both.index[i].date(), time(21), UTC)
        coming = np.abs(sp_return[i : i + AHEAD])
        row: dict[str, float | str] = {
            "day": moment.date().isoformat(),
            "close": moment.isoformat(),
            "sp_return": float(sp_return[i - 1]),
            "sp_range": float(np.log(both["High_sp"].iloc[i] / both["Low_sp"].iloc[i])),
            "nq_return": float(nq_return[i - 1]),
            "nq_range": float(np.log(both["High_nq"].iloc[i] / both["Low_nq"].iloc[i])),
            "volume": float(volume[i] / volume[max(0, i - 250) : i].mean()),
        }
        label = str(int(coming.max() >= MOVE)) if len(coming) == AHEAD else None
        yield Day(str(row["day"]), moment, row, label)

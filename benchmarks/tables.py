"""Tables that benchmarks measure on, made from a seed; polars is imported here, and never by a rival."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

RANGES = 19
"""Number columns with a range, of which 15 must be there."""
WORDS = tuple(f"set_{number}" for number in range(5))
TEXTS = {
    "post_code": r"^[0-9]{5}$",
    "phone": r"^\+?[0-9 ]{6,16}$",
    "account": r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11}$",
    "mail": r"^[^@ ]+@[^@ ]+\.[a-z]{2,}$",
    "booked": r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]$",
}
ALLOWED = tuple(f"word_{number}" for number in range(12))


def loans(rows: int, seed: int = 0) -> pl.DataFrame:
    """Thirty columns: an id, 19 numbers, 5 of few words, 5 texts (`account` and `mail` differ row by row); 0.1 % of the values of
    each column break their rule."""
    random = np.random.default_rng(seed)
    columns = [pl.Series("id", _ids(rows, random))]
    for number in range(RANGES):
        values = random.gamma(2.0, 20.0, rows).clip(0, 990)
        values[_some(rows, random)] = 2_000.0
        columns.append(pl.Series(f"number_{number}", values))
    for name in WORDS:
        words = np.array([*ALLOWED, "other"])[random.integers(0, len(ALLOWED), rows)]
        words[_some(rows, random)] = "other"
        columns.append(pl.Series(name, words))
    columns += [pl.Series(name, values, dtype=pl.String) for name, values in _texts(rows, random).items()]
    return pl.DataFrame(columns)


def drifted(rows: int, columns: int, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Reference and current, numbers only; each third column has moved by a fifth of its standard deviation."""
    random = np.random.default_rng(seed)
    before = {f"c{c}": random.normal(c, 1 + c / 10, rows) for c in range(columns)}
    after = {f"c{c}": random.normal(c + 0.2 * (1 + c / 10) * (c % 3 == 0), 1 + c / 10, rows) for c in range(columns)}
    return pl.DataFrame(before), pl.DataFrame(after)


def payments(rows: int, seed: int = 0) -> pl.DataFrame:
    """Twenty columns, about 390 bytes a row as JSON: ids, words, numbers, a time; 1 % have an amount out of range."""
    random = np.random.default_rng(seed)
    amounts = random.gamma(2.0, 40.0, rows).round(2)
    amounts[::100] = -1.0
    start = datetime(2026, 1, 1)
    moments = [(start + timedelta(seconds=second)).isoformat() + "Z" for second in range(rows)]
    words = {f"word_{n}": np.array(ALLOWED)[random.integers(0, len(ALLOWED), rows)] for n in range(5)}
    numbers = {f"number_{n}": random.normal(0, 10, rows).round(4) for n in range(10)}
    ids = {"id": [f"p{number:09d}" for number in range(rows)], "customer": random.integers(0, 50_000, rows)}
    counts = random.integers(0, 40, rows)
    return pl.DataFrame({**ids, "at": moments, "amount": amounts, "count": counts, **words, **numbers})


def _ids(rows: int, random: np.random.Generator) -> np.ndarray:
    ids = random.permutation(rows)
    ids[_some(rows, random)] = 0
    return ids


def _some(rows: int, random: np.random.Generator) -> np.ndarray:
    """One row of a thousand."""
    return random.choice(rows, max(1, rows // 1_000), replace=False)


def _texts(rows: int, random: np.random.Generator) -> dict[str, list[str]]:
    code = random.integers(0, 20_000, rows)
    serial = random.permutation(rows)
    texts = {
        "post_code": [f"{number:05d}" for number in code],
        "phone": [f"+44 {number:09d}" for number in code],
        "account": [f"GB{number % 90 + 10}BANK{number:07d}" for number in serial],
        "mail": [f"client{number}@bank.example" for number in serial],
        "booked": [f"20{number % 26:02d}-{number % 12 + 1:02d}-{number % 28 + 1:02d}" for number in code],
    }
    for values in texts.values():
        for at in _some(rows, random):
            values[at] = "?"
    return texts

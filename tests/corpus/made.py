"""Generated tables: the ways in which people's files are odd, one at a time."""

import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tests.corpus.case import Case

WORDS = ["red", "green", "blue", "black"]


def loans(rows: int = 400, seed: int = 0) -> dict[str, list[Any]]:
    """Columns whose target is known to depend on amount and colour."""
    rng = np.random.default_rng(seed)
    amount, age = rng.lognormal(8, 1, rows), rng.integers(18, 80, rows)
    colour = rng.choice(WORDS, rows)
    lean = np.log(amount) - 8 + (colour == "red") + rng.normal(size=rows)
    return {
        "amount": [round(float(a), 2) for a in amount],
        "age": [int(a) for a in age],
        "colour": [str(c) for c in colour],
        "bad": [int(x > 0.8) for x in lean],
    }


def csv_text(columns: dict[str, list[Any]], separator: str = ",") -> str:
    return pl.DataFrame(columns, strict=False).write_csv(separator=separator)


def text(name: str, content: Callable[[], str], encoding: str = "utf-8") -> Callable[[Path], Path]:
    return raw(name, lambda: content().encode(encoding))


def raw(name: str, content: Callable[[], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content())
        return path

    return make


def with_column(name: str, values: Callable[[np.random.Generator, int], list[Any]], rows: int = 400) -> str:
    """The loans with one more column before the target."""
    columns = loans(rows)
    bad = columns.pop("bad")
    rng = np.random.default_rng(1)
    return csv_text({**columns, name: values(rng, rows), "bad": bad})


def blanks() -> str:
    columns = loans()
    rng = np.random.default_rng(2)
    for name, missing in (("amount", ["", " ", "NA"]), ("age", ["", "?", "null"]), ("colour", ["", "  "])):
        gone = rng.random(400) < 0.2
        columns[name] = [str(rng.choice(missing)) if g else v for g, v in zip(gone, columns[name], strict=True)]
    return "amount,age,colour,bad\n" + "".join(
        f"{a},{b},{c},{d}\n" for a, b, c, d in zip(*columns.values(), strict=True)
    )


def mixed_case() -> str:
    columns = loans()
    columns["colour"] = [
        c.upper() if i % 3 == 0 else c.title() if i % 3 == 1 else c for i, c in enumerate(columns["colour"])
    ]
    return csv_text(columns)


def rare_class() -> str:
    columns = loans(600)
    columns["bad"] = ["fraud" if i in (100, 300, 500) else "fine" for i in range(600)]
    return csv_text(columns)


def wide() -> str:
    rng = np.random.default_rng(3)
    columns = {f"x{i}": rng.normal(size=400).round(4).tolist() for i in range(500)}
    return csv_text({**columns, "y": [int(a + b > 0) for a, b in zip(columns["x0"], columns["x1"], strict=True)]})


def kept_as_text() -> str:
    columns = loans()
    income = [f"{1000 + (i * 37) % 9000:,}" for i in range(400)]
    return csv_text(
        {
            "income": income,
            "rate": [f"{i % 12} %" for i in range(400)],
            "zip": [f"0{1000 + i % 7}" for i in range(400)],
            **columns,
        }
    )


def german() -> str:
    columns = loans()
    amounts = [f"{a:,.2f}".translate(str.maketrans(",.", ".,")) for a in columns["amount"]]
    lines = zip(amounts, columns["age"], columns["colour"], columns["bad"], strict=True)
    return "Betrag;Alter;Farbe;Ausfall\r\n" + "".join(f"{a};{b};{c};{d}\r\n" for a, b, c, d in lines)


def latin() -> str:
    columns = loans()
    columns["colour"] = ["Grün" if c == "green" else "Weiß" if c == "blue" else c for c in columns["colour"]]
    return csv_text(columns).replace("colour", "Größe")


def quoted_newlines() -> str:
    columns = loans()
    columns["colour"] = [f'{c},\n"{c}"' for c in columns["colour"]]
    return csv_text(columns).replace("amount", '"amount\nin EUR"')


def dates() -> str:
    columns = loans()
    days = [date(2022, 1, 1) + timedelta(days=i) for i in range(400)]
    birth = [date(1960, 1, 1) + timedelta(days=13 * i) for i in range(400)]
    return csv_text(
        {
            "created_at": [f"{d.isoformat()}T08:30:00+02:00" for d in days],
            "birth_date": [d.strftime("%d.%m.%Y") for d in birth],
            "us": [d.strftime("%m/%d/%Y") for d in birth],
            "month_name": [d.strftime("%d %b %Y") for d in birth],
            "unclear": [date(2020, 1 + i % 12, 1 + (i * 7) % 12).strftime("%d/%m/%Y") for i in range(400)],
            **columns,
        }
    )


def json_lines() -> str:
    columns = loans()
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    kept = ({k: v for k, v in row.items() if k == "bad" or (i + len(k)) % 5} for i, row in enumerate(rows))
    return "".join(json.dumps(row) + "\n" for row in kept)


def parquet() -> bytes:
    columns = loans()
    start = datetime(2024, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "amount": pl.Series([Decimal(str(a)) for a in columns["amount"]], dtype=pl.Decimal(12, 2)),
            "age": pl.Series(columns["age"], dtype=pl.UInt8),
            "colour": pl.Series(columns["colour"], dtype=pl.Categorical),
            "event_time": pl.Series([start + timedelta(hours=i) for i in range(400)]).cast(pl.Datetime("ns", "UTC")),
            "waited": pl.Series([timedelta(minutes=i % 50) for i in range(400)]),
            "tags": [[i % 3, 1] for i in range(400)],
            "score": pl.Series([float(i % 17) if i % 9 else float("nan") for i in range(400)], dtype=pl.Float32),
            "bad": [b == 1 for b in columns["bad"]],
        }
    )
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def doubled() -> str:
    head, *lines = csv_text(loans(200)).splitlines()
    return "\n".join([head, *lines, *lines, *lines[:50]]) + "\n"


def spaced() -> str:
    return csv_text(loans()).replace("bad", "Loan default (yes: 1)").replace("age", '"no, yes: {#1}"')


def yes_no() -> str:
    columns = loans()
    columns["bad"] = ["Yes" if b else "No" for b in columns["bad"]]
    return csv_text(columns)


def truth() -> str:
    columns = loans()
    columns["bad"] = ["TRUE" if b else "FALSE" for b in columns["bad"]]
    return csv_text({"flag": ["True", "False", ""] * 133 + ["True"], **columns})


def whole_target(span: int) -> Callable[[], str]:
    def content() -> str:
        columns = loans()
        columns["bad"] = [
            int(a) % span + (c == "red") for a, c in zip(columns["amount"], columns["colour"], strict=True)
        ]
        return csv_text(columns)

    return content


def headers() -> str:
    """Two columns of one name, one without, one that starts with _, and a delimiter at the end of each line."""
    head, *lines = csv_text(loans()).splitlines()
    more = [f"{i % 7},{i % 5},{i % 3},{i % 11},{line}," for i, line in enumerate(lines)]
    return "\n".join([f"amount,,age,_note,{head},", *more]) + "\n"


def nested() -> str:
    columns = loans()
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    told = (
        {"customer": {"age": row["age"], "tags": ["new"] if i % 2 else []}, **({"note": None} if i % 3 else {}), **row}
        for i, row in enumerate(rows)
    )
    return "".join(json.dumps(row) + "\n" for row in told)


def codes_as_text() -> str:
    """NDJSON in which numbers are quoted."""
    columns = loans()
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return "".join(json.dumps({**row, "amount": str(row["amount"]), "age": str(row["age"])}) + "\n" for row in rows)


def one_class() -> str:
    columns = loans()
    columns["bad"] = [0] * 400
    return csv_text(columns)


def no_target() -> str:
    columns: dict[str, list[Any]] = loans()
    columns["bad"] = [None] * 400
    return csv_text(columns)


def leaking() -> str:
    columns = loans()
    bad = np.array(columns["bad"])
    rng = np.random.default_rng(4)
    more = {
        "recovered": [round(float(b * 900 + rng.normal()), 3) for b in bad],
        "status": ["written off" if b else "open" for b in bad],
        "default_date": [f"2023-05-{1 + i % 28:02d}" if b else "" for i, b in enumerate(bad)],
    }
    return csv_text({**more, **columns})


def identified() -> str:
    return csv_text({"LoanID": [f"L-{7 * i:06d}" for i in range(400)], "row": list(range(400)), **loans()})


def ragged() -> str:
    return csv_text(loans()).replace("\n", ",surplus\n", 3).replace(",surplus", "", 1)


def torn() -> bytes:
    return gzip.compress(csv_text(loans()).encode())[:-600]


MADE = (
    Case("blanks", "blanks and NA in numbers and categories", "bad", "binary", text("a.csv", blanks),
         says=("missing values: colour",), exact=True),
    Case("mixed-case", "RED, Red, red", "bad", "binary", text("a.csv", mixed_case), says=("colour: kept apart",), exact=True),
    Case("many-categories", "3,000 categories, usable", "bad", "binary", text("a.csv", lambda: with_column(
        "shop", lambda r, n: [f"s{int(v)}" for v in r.zipf(1.3, n).clip(1, 3000)], 20_000)),
        says=("shop: a category of",)),
    Case("too-many-categories", "3,000 categories of about 1 row", "bad", "binary", text("a.csv", lambda: with_column(
        "shop", lambda r, n: [f"s{v}" for v in r.integers(0, 3000, n)], 4000)), ignored=("shop",)),
    Case("rare-class", "3 rows of one class", "bad", "binary", text("a.csv", rare_class),
         says=("bad: rare classes", "positive class: fraud"), exact=True),
    Case("wide", "500 columns", "y", "binary", text("a.csv", wide)),
    Case("numbers-as-text", "1,234; 12 %; leading zeros", "bad", "binary", text("a.csv", kept_as_text),
         says=("income: numbers kept as text", "rate: kept as text", "zip: not a number"), ignored=("income",), exact=True),
    Case("german", "semicolons, decimal commas, CRLF", "Ausfall", "binary", text("a.csv", german)),
    Case("latin-1", "Latin-1, umlauts in a name", "bad", "binary", text("a.csv", latin, "latin-1")),
    Case("bom", "UTF-8 with BOM", "bad", "binary", text("a.csv", lambda: csv_text(loans()), "utf-8-sig")),
    Case("utf-16", "Excel's Unicode text: UTF-16, tabs", "bad", "binary",
         text("a.txt", lambda: csv_text(loans(), "\t"), "utf-16")),
    Case("tabs", "tabs", "bad", "binary", text("a.tsv", lambda: csv_text(loans(), "\t"))),
    Case("quoted-newlines", "line ends and commas within quotes, in a name too", "bad", "binary",
         text("a.csv", quoted_newlines)),
    Case("dates", "dates in five forms, a time with a zone", "bad", "binary", text("a.csv", dates),
         event_time="created_at", says=("dates: birth_date, us, month_name",), exact=True),
    Case("ndjson", "NDJSON with keys missing", "bad", "binary", text("a.ndjson", json_lines)),
    Case("ndjson-gz", "the same, gzipped", "bad", "binary",
         raw("a.jsonl.gz", lambda: gzip.compress(json_lines().encode()))),
    Case("parquet", "dictionary, decimal, timestamp, duration, list, NaN", "bad", "binary", raw("a.parquet", parquet),
         event_time="event_time", exact=True),
    Case("gz", "CSV, gzipped", "bad", "binary", raw("a.csv.gz", lambda: gzip.compress(csv_text(loans()).encode()))),
    Case("ndjson-nested", "NDJSON with objects and lists in it, and null", "bad", "binary", text("a.ndjson", nested),
         ignored=("note",)),
    Case("ndjson-quoted", "NDJSON with numbers in quotes", "bad", "binary", text("a.ndjson", codes_as_text),
         says=("numbers: every value is a number",), exact=True),
    Case("headers", "a name twice, no name, a name with _, an empty last column", "bad", "binary", text("a.csv", headers),
         ignored=("_note",), says=("column_2: named by place", "amount.1: more than once")),
    Case("all-missing", "a column without a value", "bad", "binary",
         text("a.csv", lambda: with_column("empty", lambda r, n: [None] * n)), ignored=("empty",)),
    Case("constant", "a column with one value", "bad", "binary",
         text("a.csv", lambda: with_column("currency", lambda r, n: ["EUR"] * n)), ignored=("currency",)),
    Case("doubled", "250 of 450 rows are copies", "bad", "binary", text("a.csv", doubled),
         says=("identifier: 250 rows are exact copies",)),
    Case("leaks", "near-perfect number, copy as words, date only where bad", "bad", "binary", text("a.csv", leaking),
         ignored=("recovered", "status", "default_date"), says=("recovered: give the target away",)),
    Case("identifiers", "serial numbers and a row number", "bad", "binary", text("a.csv", identified), key="LoanID",
         ignored=("row",)),
    Case("spaces", "spaces, colon, braces in names", "Loan default (yes: 1)", "binary", text("a.csv", spaced), exact=True),
    Case("truth-target", "TRUE and FALSE", "bad", "binary", text("a.csv", truth)),
    Case("yes-no", "Yes and No", "bad", "binary", text("a.csv", yes_no)),
    Case("whole-regression", "whole numbers 0–300", "bad", "regression", text("a.csv", whole_target(300))),
    Case("whole-classes", "whole numbers 0–4", "bad", "multiclass", text("a.csv", whole_target(4)), exact=True),
    Case("index-by-r", "R's write.table: the header is one name short", "bad", "binary", text("a.csv", lambda:
         "".join(f"{i},{line}\n" if i else f"{line}\n" for i, line in enumerate(csv_text(loans()).splitlines()))),
         key="column_1"),
)  # fmt: skip

REFUSED = (
    Case("one-class", "the target is 0 in all rows", "bad", "", text("a.csv", one_class), "TooLittleDataError",
         ("only one value: 0 in all 400 rows", "two classes")),
    Case("no-target", "the target is never there", "bad", "", text("a.csv", no_target), "TooLittleDataError",
         ("missing in all 400 rows",)),
    Case("misspelt", "the target is called bad", "Bat", "", text("a.csv", lambda: csv_text(loans())), "UsageError",
         ("no column 'Bat'", "did you mean --target 'bad'?")),
    Case("underscore", "the target is called _bad", "_bad", "", text("a.csv", lambda: csv_text(loans()).replace("bad", "_bad")),
         "UsageError", ("starts with _", "rename it")),
    Case("identifier-only", "no column but an identifier", "y", "", text("a.csv", lambda: csv_text(
        {"id": list(range(50)), "y": [0, 1] * 25})), "TooLittleDataError", ("no column is left",)),
    Case("empty", "0 bytes", "bad", "", raw("a.csv", lambda: b""), "UnreadableFileError", ("is empty", "header")),
    Case("header-only", "a header and nothing else", "bad", "", raw("a.csv", lambda: b"a,bad\n"),
         "UnreadableFileError", ("no rows",)),
    Case("torn-gz", "gzip, cut", "bad", "", raw("a.csv.gz", torn), "UnreadableFileError",
         ("torn", "after byte", "copy the file again")),
    Case("torn-parquet", "Parquet, cut", "bad", "", raw("a.parquet", lambda: parquet()[:-100]), "UnreadableFileError",
         ("torn", "after byte")),
    Case("torn-csv", "CSV, cut within a row", "bad", "", raw("a.csv", lambda: csv_text(loans()).encode()[:-4]),
         "UnreadableFileError", ("line 401", "torn")),
    Case("ragged", "a row with a field too many", "bad", "", text("a.csv", ragged), "UnreadableFileError",
         ("line 2", "saw 5")),
    Case("broken-ndjson", "NDJSON, last line cut", "bad", "", raw("a.ndjson", lambda: json_lines().encode()[:-9]),
         "UnreadableFileError", ("line 400", "not JSON")),
    Case("binary", "random bytes called .csv", "bad", "",
         raw("a.csv", lambda: np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()),
         "UnreadableFileError", ("is not text", "byte")),
    Case("excel", "a workbook called .csv", "bad", "", raw("a.csv", lambda: b"PK\x03\x04" + b"\0" * 100),
         "UnreadableFileError", ("Excel", "save the sheet as CSV")),
)  # fmt: skip

"""What is asked of Rust's engine is answered as Python's would, for any pattern of the alike ones and any text."""

import re

import polars as pl
import pytest
from benchmarks.tables import TEXTS
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from modelway.contracts.contract import Contract
from modelway.contracts.patterns import certain, read_alike
from modelway.contracts.table import check_table
from modelway.spec.model import Rule

ATOMS = st.sampled_from(
    [*"abzAZ09 _-.@/#'", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\b", r"\.",
     r"\-", r"\+", r"\$", r"\\", r"\]", "[a-z]", "[^a-c]", "[0-9]",
     r"[\w.-]", r"[^@ ]", "[A-Z0-9]", "[a-]", "[-a]", r"[\d\s]", "[+*?.(){}|$]", "(ab|c)", "(?:a|)", "^", "$", "|"]
)  # fmt: skip
TIMES = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?", "{1,2}?"])
PATTERNS = st.lists(st.tuples(ATOMS, TIMES), min_size=1, max_size=6).map(
    lambda parts: "".join(atom if atom in ("^", "$", "|", r"\b") else atom + times for atom, times in parts)
)
TEXT = st.one_of(
    st.text("abczAZ019 _-.@/#'+$\\]", max_size=8), st.text(max_size=6),
    st.sampled_from(["a\n", "\n", "é", "٣", "K", "\x1c", "a\x0b", "ß"])
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(pattern=PATTERNS, texts=st.lists(TEXT, min_size=1, max_size=8))
@example(pattern=r"^\d+$", texts=["12", "12\n", "٣", "", "1a"])
@example(pattern=r"\W|a", texts=["ß", "b", " "])
def test_a_table_says_what_python_says(pattern, texts):
    try:
        wanted = re.compile(pattern)
    except re.error:
        assume(False)
    assert read_alike(pattern)
    contract = Contract({"word": Rule(type="string", pattern=pattern)})
    found = check_table(pl.DataFrame({"word": texts}), contract, None)
    broken = [n for n, text in enumerate(texts) if text and wanted.search(text) is None]
    assert found.table["row"].to_list() == broken


def test_a_pattern_too_large_for_rust_goes_through_python():
    assert read_alike(r"^\w{900}$")
    rule = Rule(type="string", pattern=r"^\w{900}$")
    found = check_table(pl.DataFrame({"word": ["a" * 900, "a" * 899]}), Contract({"word": rule}), None)
    assert found.table["row"].to_list() == [1]


@pytest.mark.parametrize("pattern", TEXTS.values())
def test_the_usual_patterns_are_alike(pattern):
    assert read_alike(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["a*+", "a{2}+", r"\<a", r"a\>", "[a&&b]", "[a--b]", "[a~~b]", "[[:alpha:]]", "[a[b]", "(?i)a", "(?x)a b", "(?=a)", r"(a)\1",
     r"\Ba", r"a\Z", "é", "{,3}", "a{,3}", r"\x41", "&", "<", "~"],
)  # fmt: skip
def test_what_the_engines_may_read_otherwise_is_left_to_python(pattern):
    assert not read_alike(pattern)


@pytest.mark.parametrize(
    ("pattern", "narrowed"),
    [
        (r"^\d+$", "^[0-9]+$"),
        (r"[\w.-]+@", "[0-9A-Za-z_.-]+@"),
        ("[^@ ]", "[^@ ]"),
        (r"[^\\d]", r"[^\\d]"),
        (r"[^\d]", None),
        (r"\bno\b", None),
        (r"\W", None),
        ("(?=a)", None),
    ],
)
def test_a_certain_pattern_finds_less_never_more(pattern, narrowed):
    assert certain(pattern) == narrowed


@settings(max_examples=300, deadline=None)
@given(pattern=PATTERNS, texts=st.lists(TEXT, min_size=1, max_size=8))
def test_what_a_certain_pattern_finds_python_finds(pattern, texts):
    assume((narrowed := certain(pattern)) is not None)
    try:
        wanted = re.compile(pattern)
    except re.error:
        assume(False)
    found = pl.Series(texts).str.contains(narrowed)
    assert all(wanted.search(text) for text, there in zip(texts, found, strict=True) if there)

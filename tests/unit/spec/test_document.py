"""YAML 1.2's scalars, lines, doubles and torn files."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.errors import NotFoundError, SpecError
from modelway.spec.document import read_document


def read(tmp_path: Path, text: str):
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    return read_document(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, word) for word in ("on", "off", "yes", "No", "y", "n", "2024-01-31", "2024-01-31T08:00:00Z", "12:30")],
        *[("true", True), ("FALSE", False), ("~", None), ("null", None), ("", None)],
        *[("0", 0), ("-7", -7), ("+3", 3), ("0123", "0123"), ("1_000", "1_000"), ("0x1f", "0x1f")],
        *[("0.5", 0.5), (".5", 0.5), ("1e3", 1000.0), ("-2.5E-3", -0.0025), ("5.", 5.0), ("1.2.3", "1.2.3"), ("01.5", "01.5")],
        *[('"1"', "1"), ("'yes'", "yes"), (".inf", float("inf")), ("=", "="), ("<<", "<<")],
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(tmp_path, text, value):
    found = read(tmp_path, f"key: {text}\n").value["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_as_written(tmp_path):
    assert read(tmp_path, "{on: 1, yes: 2, 3: 4, 2024-01-01: 5, null: 6}").value == {
        "on": 1, "yes": 2, "3": 4, "2024-01-01": 5, "null": 6,
    }  # fmt: skip


def test_each_place_has_its_line(tmp_path):
    document = read(tmp_path, "a: 1\n\nb:\n  - x\n  - {c: 2,\n     d: 3}\n")
    assert [document.line(p) for p in ((), ("a",), ("b",), ("b", 0), ("b", 1, "c"), ("b", 1, "d"))] == [
        1,
        1,
        3,
        4,
        5,
        6,
    ]
    assert document.line(("b", 1, "nowhere", 0)) == 5


def test_doubles_are_mistakes_at_any_depth(tmp_path):
    found = read(tmp_path, "a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert [(m.place, m.what) for m in found.mistakes] == [
        (("b", "c"), "is there twice, in lines 2 and 2"),
        (("a",), "is there twice, in lines 1 and 3"),
    ]
    assert found.value == {"a": 1, "b": {"c": 1}}


@pytest.mark.parametrize(
    ("text", "line", "says", "fix"),
    [
        ("a:\n\tb: 1\n", 2, "cannot start any token", "blanks, not with tabs"),
        ("a: b: c\n", 1, "mapping values", "quotes"),
        ("a: [1, 2\nb: 3\n", 2, "flow sequence", "brackets"),
        ("a: 1\n---\nb: 2\n", 2, "single document", ""),
        ("a: *b\n", 1, "undefined alias", ""),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_line(tmp_path, text, line, says, fix):
    with pytest.raises(SpecError, match=says) as caught:
        read(tmp_path, text)
    assert f"a.yaml:{line}:" in caught.value.problem
    assert fix in caught.value.fix


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xff\n")
    with pytest.raises(SpecError, match="not UTF-8 at byte 3"):
        read_document(path)
    path.write_bytes(b"a: \x00\n")
    with pytest.raises(SpecError, match="not YAML"):
        read_document(path)
    with pytest.raises(NotFoundError, match="does not exist"):
        read_document(tmp_path / "b.yaml")


def test_aliases_are_read_and_circles_and_tags_refused(tmp_path):
    assert read(tmp_path, "a: &x {b: 1}\nc: *x\n").value == {"a": {"b": 1}, "c": {"b": 1}}
    assert "holds itself" in read(tmp_path, "a: &x [*x]\n").mistakes[0].what
    assert "tag" in read(tmp_path, "a: !!python/name:os.system\n").mistakes[0].what
    assert read(tmp_path, "a: !!str 12\n").value == {"a": "12"}
    assert "key must be text" in read(tmp_path, "? [a, b]\n: 1\n").mistakes[0].what


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_what_a_library_writes_reads_back_as_itself(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_text(yaml.safe_dump(value, allow_unicode=False), encoding="utf-8")
    assert (read_document(path).value or {}) == value


def test_a_refusal_in_words_is_given_the_line_of_its_place(written):
    from modelway.errors import SpecError
    from modelway.spec.document import with_line

    path = written("model: m\nchecks:\n  - {expr: a > 1}\n  - {expr: b > 1}\n")
    assert (
        ":4: checks[1]: there is no column" in with_line(SpecError("checks[1]: there is no column 'b'"), path).problem
    )

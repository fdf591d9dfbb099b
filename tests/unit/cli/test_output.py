"""What commands print of values that came from outside."""

import pytest

from modelway.cli.output import brief, note, say, table

ODD = "a\x1b[2Jb\x9b1m\x7f ü\tc\nd"


def test_no_control_character_of_a_value_reaches_the_terminal(capsys):
    say(ODD)
    note(ODD)
    table(ODD, ("head",), [(ODD,)])
    told = capsys.readouterr()
    for text in (told.out, told.err):
        assert r"a\x1b[2Jb\x9b1m\x7f ü" in text
        assert not any(character in text for character in "\x1b\x9b\x7f")


@pytest.mark.parametrize(
    ("value", "shown"), [("short", "short"), (7, 7), ("x" * 1_200, "x" * 300 + " … (1,200 characters)")]
)
def test_a_long_text_is_shown_by_its_beginning(value, shown):
    assert brief(value) == shown

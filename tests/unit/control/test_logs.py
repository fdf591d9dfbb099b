"""Each line of a process's log is one JSON object, whatever it says."""

import json
import logging
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from modelway.control.logs import JsonLines

ALPHABET = st.sampled_from('a"\\\n\r\0ä\u2028\ud800{}%')


def written(text: str, fields: dict | None = None, error: bool = False) -> dict:
    info = None
    if error:
        try:
            raise ValueError(text)
        except ValueError:
            info = sys.exc_info()
    record = logging.LogRecord("modelway.serving", logging.WARNING, "here", 1, "%s", (text,), info)
    if fields is not None:
        record.fields = fields
    line = JsonLines().format(record)
    assert "\n" not in line
    assert line.encode()  # no half of a surrogate pair
    return json.loads(line)


@settings(max_examples=100, deadline=None)
@given(st.text(ALPHABET), st.dictionaries(st.sampled_from(["request", "model"]), st.text()), st.booleans())
def test_any_text_is_one_line(text, fields, error):
    told = written(text, fields, error)
    assert told["level"] == "WARNING"
    assert told["text"] == text
    assert {name: told[name] for name in fields} == fields
    assert ("traceback" in told) == error


def test_what_is_no_json_is_written_as_text():
    assert written("x", {"request": b"raw"})["request"] == "b'raw'"

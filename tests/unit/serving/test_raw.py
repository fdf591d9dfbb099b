"""Raw tensors: what is written is what is read, in the bytes that numpy and tritonclient agree on."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.errors import DataError
from modelway.serving.raw import WIDTHS, listed, read_raw, write_raw

WHOLE = {
    **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
FLOATS = {"FP16": 16, "FP32": 32, "FP64": 64}
LARGEST_BF16 = struct.unpack("<f", struct.pack("<I", 0x7F7F8000))[0]
"""From here on a number is nearer to infinity than to the largest BF16, or as near."""


def tensors():
    """(datatype, values that it holds exactly)."""
    kinds = {name: st.integers(*span) for name, span in WHOLE.items()}
    for name, width in FLOATS.items():
        kinds[name] = st.none() | st.floats(allow_nan=False, allow_infinity=False, width=width)
    kinds |= {"BOOL": st.booleans(), "BYTES": st.text(st.characters(exclude_categories=["Cs"]), max_size=9)}
    return st.one_of([st.tuples(st.just(name), st.lists(value, max_size=40)) for name, value in kinds.items()])


@given(tensors())
def test_what_is_written_is_read(tensor):
    datatype, values = tensor
    read = listed("x", read_raw("x", datatype, len(values), write_raw("x", datatype, values)))
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


@given(st.sampled_from(sorted(WIDTHS.keys() - {"BF16", "BOOL"})), st.binary(max_size=400))
def test_any_bytes_read_as_numpy_reads_them(datatype, data):
    count = len(data) // WIDTHS[datatype]
    kind = {"F": "f", "I": "i", "U": "u"}[datatype[0]]
    expected = np.frombuffer(data[: count * WIDTHS[datatype]], f"<{kind}{WIDTHS[datatype]}")
    buffer = memoryview(data)[: count * WIDTHS[datatype]]
    if kind == "f" and np.isinf(expected).any():
        with pytest.raises(DataError, match="infinite"):
            listed("x", read_raw("x", datatype, count, buffer))
        return
    assert listed("x", read_raw("x", datatype, count, buffer)) == [None if v != v else v for v in expected.tolist()]


@given(st.lists(st.floats(width=32, allow_infinity=False) | st.none(), max_size=40))
def test_bf16_is_the_nearest_of_the_upper_halves(values):
    if max((abs(v) for v in values if v is not None and not math.isnan(v)), default=0.0) >= LARGEST_BF16:
        with pytest.raises(DataError, match="beyond what BF16 holds"):
            write_raw("x", "BF16", values)
        return
    read = listed("x", read_raw("x", "BF16", len(values), write_raw("x", "BF16", values)))
    for value, kept in zip(values, read, strict=True):
        if value is None or math.isnan(value):
            assert kept is None
            continue
        low = struct.unpack("<f", struct.pack("<I", struct.unpack("<I", struct.pack("<f", value))[0] & 0xFFFF0000))[0]
        ulp = max(2.0**-133, 2.0 ** (math.frexp(low)[1] - 8)) if low else 2.0**-133
        assert abs(kept - value) <= ulp / 2


@given(st.integers(0, 50), st.binary(max_size=300))
def test_texts_of_any_bytes_are_read_whole_or_refused(count, data):
    try:
        texts = read_raw("x", "BYTES", count, data)
    except DataError as error:
        named = "input 'x'" in error.problem and bool(error.fix)
    else:
        named = len(texts) == count and write_raw("x", "BYTES", texts) == data
    assert named


@pytest.mark.parametrize(
    ("datatype", "count", "data", "said"),
    [
        ("FP64", 2, b"\0" * 15, "input 'amount': 15 bytes, expected 16 for 2 values of FP64"),
        ("FP64", 2**60, b"", "expected 9223372036854775808"),
        ("BOOL", 2, b"\1\2", "index 1: byte 2 is no BOOL"),
        ("BOOL", 20, b"\1" * 19 + b"\7", "index 19: byte 7"),
        ("FP32", 1, struct.pack("<f", math.inf), "index 0: infinite"),
        ("FP32", 20, struct.pack("<20f", *[1.0] * 19, -math.inf), "index 19: infinite"),
        ("BYTES", 2**61, b"", "cannot hold"),
        ("BYTES", 1, b"\5\0\0\0ab", "index 0: the bytes end within the text"),
        ("BYTES", 2, b"\4\0\0\0abcd\0\0", "index 1: the bytes end within the text"),
        ("BYTES", 1, b"\1\0\0\0ab", "1 bytes after the last of 1 texts"),
        ("BYTES", 1, b"\1\0\0\0\xff", "index 0: no UTF-8"),
        ("FP8", 1, b"\0", "datatype is 'FP8'"),
    ],
)
def test_bad_bytes_are_refused_by_name(datatype, count, data, said):
    with pytest.raises(DataError, match="input 'amount'") as refused:
        listed("amount", read_raw("amount", datatype, count, data))
    assert said in refused.value.problem
    assert refused.value.fix


@pytest.mark.parametrize(
    ("datatype", "values", "said"),
    [
        ("INT32", [1, None], "a value is missing"),
        ("INT8", [200], "a value is no INT8"),
        ("FP16", [1e6], "beyond what FP16 holds"),
        ("FP32", [1e300], "beyond what FP32 holds"),
        ("COMPLEX", [1], "datatype is 'COMPLEX'"),
    ],
)
def test_what_a_datatype_cannot_hold_is_not_written(datatype, values, said):
    with pytest.raises(DataError, match=said):
        write_raw("x", datatype, values)

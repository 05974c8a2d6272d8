"""JSON without the json package."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.client import wirejson

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_it_reads_and_writes_what_the_standard_library_does(value: Any) -> None:
    assert wirejson.decode(json.dumps(value)) == value
    assert json.loads(wirejson.encode(value)) == value
    assert json.loads(wirejson.encode_sorted(value)) == value


@pytest.mark.parametrize("text", ["", "{", "{}{}", "nope", '{"a":}', "[1,]", "\xff", "[" * 100_000])
def test_what_is_not_one_value_is_refused(text: str) -> None:
    with pytest.raises(wirejson.NotJson):
        wirejson.decode(text)


def test_bytes_that_are_not_utf8_do_not_stop_it() -> None:
    assert wirejson.decode(b'"a\xffb"') == "a�b"


@given(st.lists(VALUES, max_size=5), st.integers(1, 30))
def test_a_stream_gives_each_value_as_it_ends(values: list[Any], step: int) -> None:
    data = "".join(json.dumps(value) + "\r\n" for value in values).encode()
    stream, found = wirejson.Stream(), []
    for start in range(0, len(data), step):
        found += stream.feed(data[start : start + step])
    assert found + stream.feed(b"") == values


def test_values_without_a_line_end_between_them_are_split() -> None:
    assert wirejson.Stream().feed(b'{"a":1} {"b":2}[3]\n') == [{"a": 1}, {"b": 2}, [3]]

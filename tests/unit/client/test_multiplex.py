"""The frames of stdout and stderr."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.client.errors import ProtocolError
from dockwright.client.multiplex import Demultiplexer


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.binary(max_size=40)), max_size=8),
    st.sets(st.integers(0, 400), max_size=10),
)
def test_frames_are_the_same_however_they_are_cut(frames: list[tuple[int, bytes]], cuts: set[int]) -> None:
    data = b"".join(frame(*one) for one in frames)
    splitter, found, start = Demultiplexer(), dict[int, bytes](), 0
    for cut in sorted({*(cut for cut in cuts if cut < len(data)), len(data)}):
        for stream, payload in splitter.feed(data[start:cut]):
            found[stream] = found.get(stream, b"") + payload
        start = cut
    expected: dict[int, bytes] = {}
    for stream, payload in frames:
        if payload:
            expected[stream] = expected.get(stream, b"") + payload
    assert found == expected
    assert splitter.between_frames


def test_a_payload_is_handed_on_before_its_frame_is_whole() -> None:
    splitter = Demultiplexer()
    assert splitter.feed(frame(1, b"x" * 1000)[:108]) == [(1, b"x" * 100)]
    assert not splitter.between_frames


@pytest.mark.parametrize("data", [b"hello world", b"\x04\0\0\0\0\0\0\1a", b"\x01\0\1\0\0\0\0\1a"])
def test_a_stream_that_is_not_multiplexed_is_told(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Demultiplexer().feed(data)

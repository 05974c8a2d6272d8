"""The HTTP/1.1 core: requests out, responses in, however they are cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.client.errors import ProtocolError
from dockwright.client.http1 import MAX_HEAD_BYTES, ResponseParser, encode_chunk, encode_head

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: 1\r\n\r\n"
)
SIZED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-A: 1\r\nx-a: 2\r\n\r\nbody"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED


def parse(data: bytes, *cuts: int, method: str = "GET") -> tuple[ResponseParser, bytes]:
    parser, body, start = ResponseParser(method), b"", 0
    for cut in sorted({*cuts, len(data)}):
        if data[start:cut]:
            parser.receive(data[start:cut])
        body += parser.take()
        start = cut
    return parser, body


@given(st.sampled_from([CHUNKED, SIZED, INTERIM]), st.sets(st.integers(0, 120), max_size=8))
def test_a_response_is_the_same_however_it_is_cut_into_pieces(data: bytes, cuts: set[int]) -> None:
    parser, body = parse(data, *(cut for cut in cuts if cut <= len(data)))
    assert parser.finished
    assert parser.keep_alive
    assert body == (b"hello world" if data is CHUNKED else b"body")


def test_repeated_headers_are_joined_and_names_are_lower_case() -> None:
    parser, _ = parse(SIZED)
    assert parser.head is not None
    assert parser.head.get("x-a") == "1, 2"
    assert (parser.head.status, parser.head.reason) == (404, "Not Found")


def test_after_a_switch_of_protocols_everything_is_the_stream() -> None:
    parser, body = parse(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n\x01\0\0")
    assert parser.raw
    assert body == b"\x01\0\0"
    parser.receive(b"more")
    assert parser.take() == b"more"
    parser.receive(b"")
    assert parser.finished


def test_an_answer_without_a_length_lasts_until_the_connection_closes() -> None:
    parser, body = parse(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nraw")
    assert body == b"raw"
    assert not parser.finished
    parser.receive(b"")
    assert parser.finished
    assert not parser.keep_alive


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_is_finished_with_its_head(status: int) -> None:
    parser, body = parse(f"HTTP/1.1 {status} X\r\nContent-Length: 10\r\n\r\n".encode())
    assert parser.finished
    assert body == b""


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    parser, _ = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", method="HEAD")
    assert parser.finished


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 20000,
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (MAX_HEAD_BYTES + 1),
    ],
)
def test_broken_framing_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(data)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_an_answer_or_an_error(data: bytes) -> None:
    try:
        parse(b"HTTP/1.1 200 OK\r\n" + data)
    except ProtocolError:
        pass


@pytest.mark.parametrize("cut", [0, 10, len(CHUNKED) - 1, len(CHUNKED) - 20])
def test_a_connection_that_closes_early_is_an_error(cut: int) -> None:
    parser = ResponseParser("GET")
    if cut:
        parser.receive(CHUNKED[:cut])
    with pytest.raises(ProtocolError):
        parser.receive(b"")


def test_a_request_has_its_line_and_headers() -> None:
    assert (
        encode_head("GET", "/v1.51/info", [("Host", "docker")]) == b"GET /v1.51/info HTTP/1.1\r\nHost: docker\r\n\r\n"
    )
    assert encode_chunk(b"abc") + encode_chunk(b"") == b"3\r\nabc\r\n0\r\n\r\n"


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/a\ny"])
def test_an_address_cannot_smuggle_a_second_request(target: str) -> None:
    with pytest.raises(ProtocolError):
        encode_head("GET", target, [])


def test_a_header_cannot_smuggle_another_one() -> None:
    with pytest.raises(ProtocolError):
        encode_head("GET", "/", [("X", "a\r\nY: b")])

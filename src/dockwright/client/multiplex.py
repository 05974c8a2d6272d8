"""The 8-byte frames that carry stdout and stderr of a container without a terminal over one stream.

Engine API, "Stream format": one byte of stream kind (0 stdin, 1 stdout, 2 stderr, 3 an error of the engine itself), three
zero bytes, the payload's length in four bytes big-endian, the payload.
"""

from __future__ import annotations

from dockwright.client.errors import ProtocolError

STDIN, STDOUT, STDERR, SYSTEM_ERROR = 0, 1, 2, 3
MEDIA_TYPE = "application/vnd.docker.multiplexed-stream"


class Demultiplexer:
    """Bytes in, `(stream, payload)` out; a payload is handed on as it arrives, not once its frame is whole."""

    __slots__ = ("_header", "_left", "_stream")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._stream = STDOUT

    @property
    def between_frames(self) -> bool:
        """True where a stream may end without having been cut short."""
        return not self._header and not self._left

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The payloads in `data`. Raises `ProtocolError` for a frame of an unknown stream."""
        found: list[tuple[int, bytes]] = []
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                found.append((self._stream, piece))
                self._left -= len(piece)
                at += len(piece)
                continue
            piece = data[at : at + 8 - len(self._header)]
            self._header += piece
            at += len(piece)
            if len(self._header) == 8:
                self._open_frame()
        return found

    def _open_frame(self) -> None:
        stream, zeros = self._header[0], self._header[1:4]
        if stream > SYSTEM_ERROR or zeros != b"\0\0\0":
            raise ProtocolError(f"not a multiplexed stream: frame header {self._header.hex()}")
        self._stream = stream
        self._left = int.from_bytes(self._header[4:], "big")
        self._header = b""

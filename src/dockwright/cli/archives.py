"""Tar streams to and from files: never onto a terminal, and never half a file where a whole one is expected."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.session import STDIN, STDOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockwright.cli.session import Session
    from dockwright.client.call import Call

_PIECE_BYTES = 256 * 1024


def download(session: Session, call: Call, path: str, *, what: str) -> None:
    """The answer's body to `path`, or to standard output where that is empty. Raises `errors.Invalid`."""
    if not path:
        if os.isatty(STDOUT):
            raise errors.Invalid("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        for piece in session.client.send(call):
            session.write(STDOUT, piece)
        return
    check_output(path, what)
    response = session.client.send(call)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb", buffering=0) as file:
            for piece in response:
                file.write(piece)
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "xb") as file:
            for piece in response:
                file.write(piece)
        os.rename(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def check_output(path: str, what: str) -> None:
    """Raises `errors.Invalid` before any work where `path` cannot be written."""
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise errors.Invalid(f"failed to {what}: invalid output path: stat {directory}: no such file or directory")
    if os.path.isdir(path):
        raise errors.Invalid(f"failed to {what}: cannot write to a directory")


def upload(path: str, *, what: str) -> Iterator[bytes]:
    """The content of `path`, or of standard input where that is empty, piece by piece. Raises `errors.Invalid`."""
    if not path and os.isatty(STDIN):
        raise errors.Invalid(f"requested {what} from stdin, but stdin is empty")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path else STDIN
    return read_pieces(descriptor, close=bool(path))


def read_pieces(descriptor: int, *, close: bool = False) -> Iterator[bytes]:
    """Everything an open file has to give."""
    try:
        while piece := os.read(descriptor, _PIECE_BYTES):
            yield piece
    finally:
        if close:
            os.close(descriptor)

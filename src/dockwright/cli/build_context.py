"""What `build` sends: a directory without what its ignore file leaves out, a tar from standard input, or a lone Dockerfile."""

from __future__ import annotations

import io
import os
import tarfile

from dockwright import errors
from dockwright.cli.packing import Packer
from dockwright.cli.session import STDIN
from dockwright.ignoring import Patterns, read_ignore_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TAR_HEADS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_LIMIT_BYTES = 16 * 1024 * 1024


class Context:
    """`body` is the tar to send; `dockerfile` the Dockerfile's name in it."""

    def __init__(self, body: Iterable[bytes], dockerfile: str) -> None:
        self.body, self.dockerfile = body, dockerfile


def of_directory(path: str, dockerfile: str) -> Context:
    """The directory `path`. A Dockerfile that lies outside of it, or is `-`, goes along under a name of its own.

    Raises `errors.Invalid`.
    """
    if not os.path.isdir(path):
        raise errors.Invalid(f'unable to prepare context: path "{path}" not found')
    if dockerfile == "-":
        return _beside(path, _read(STDIN))
    name = dockerfile or "Dockerfile"
    place = name if dockerfile and os.path.exists(name) else os.path.join(path, name)
    if not os.path.isfile(place):
        raise errors.Invalid(
            f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: {place}: not found"
        )
    inside = os.path.relpath(os.path.realpath(place), os.path.realpath(path))
    if inside.startswith(".." + os.sep):
        with open(place, "rb") as file:
            return _beside(path, file.read(_LIMIT_BYTES))
    return Context(_Kept(path, _patterns(path, inside), {inside, ".dockerignore"}).pieces(), inside)


def of_stdin(dockerfile: str) -> Context:
    """A tar, compressed or not, or a lone Dockerfile, on standard input. Raises `errors.Invalid`."""
    head = _read(STDIN, 512)
    if head[257:262] == b"ustar" or head.startswith(_TAR_HEADS):
        from dockwright.cli.archives import read_pieces

        return Context(_after(head, read_pieces(STDIN)), dockerfile or "Dockerfile")
    if dockerfile:
        raise errors.Invalid("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles")
    return Context([_lone("Dockerfile", head + _read(STDIN))], "Dockerfile")


def _beside(path: str, text: bytes) -> Context:
    name = ".dockerfile." + os.urandom(10).hex()
    packed = _Kept(path, _patterns(path, ""), {".dockerignore"})
    return Context(_after(_lone(name, text, end=False), packed.pieces()), name)


def _patterns(path: str, dockerfile: str) -> Patterns:
    names = [f"{dockerfile}.dockerignore"] if dockerfile else []
    for name in (*names, ".dockerignore"):
        try:
            with open(os.path.join(path, name), encoding="utf-8", errors="replace") as file:
                return read_ignore_file(file.read(_LIMIT_BYTES))
        except FileNotFoundError:
            continue
    return Patterns([])


class _Kept(Packer):
    """A directory's members, without those that are left out; `needed` are sent all the same."""

    def __init__(self, path: str, patterns: Patterns, needed: set[str]) -> None:
        super().__init__(path, ".")
        self._patterns, self._needed = patterns, needed

    def wanted(self, name: str, is_directory: bool) -> bool:
        inside = name.removeprefix("./")
        if inside in self._needed or not self._patterns.matches(inside):
            return True
        if not is_directory:
            return False
        return self._patterns.may_hold_exceptions(inside) or any(one.startswith(f"{inside}/") for one in self._needed)


def _lone(name: str, text: bytes, *, end: bool = True) -> bytes:
    """A tar of one file; with `end`, of nothing else."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text), 0o644
    head = entry.tobuf(tarfile.PAX_FORMAT)
    return head + text + b"\0" * (-len(text) % 512) + (b"\0" * 1024 if end else b"")


def _read(descriptor: int, size: int = _LIMIT_BYTES) -> bytes:
    found = io.BytesIO()
    while found.tell() < size and (piece := os.read(descriptor, min(size - found.tell(), 1 << 16))):
        found.write(piece)
    return found.getvalue()


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest

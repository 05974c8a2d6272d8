"""Reading a tar stream entry by entry, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dockwright.archive import tarformat as tar
from dockwright.archive.source import CHUNK, Source
from dockwright.archive.tarformat import BLOCK, Entry, Overrides
from dockwright.errors import Corrupt

# What the extension headers of one entry may hold: names and attributes, not data. Linux limits an attribute to 64 KiB.
EXTENSION_LIMIT = 1024 * 1024
_SPARSE_PIECES = 1_000_000
_HEADER_ONLY = frozenset({tar.DIRECTORY, tar.SYMLINK, tar.HARDLINK, tar.FIFO, tar.CHARACTER, tar.BLOCK_DEVICE})


class TarReader:
    """The entries of a tar. After each entry its `data` may be read; what was not read is skipped.

        reader = TarReader(source)
        for entry in reader.entries():
            for piece in reader.data():
                ...

    `record(raw)` is shown every byte of the archive that is not file data: headers, padding, the end and what follows.
    """

    def __init__(self, source: Source, record: Callable[[bytes], object] | None = None) -> None:
        self._source, self._record = source, record
        self._buffer = b""
        self._position = 0
        self._left = 0  # of the present entry's data
        self._padding = 0
        self._extensions = 0  # bytes of extension headers since the last entry

    def entries(self) -> Iterator[Entry]:
        """Every member in order. Raises `Corrupt`, also when the archive ends in the middle of an entry.

        An archive without its end marker is complete, as for other tars, also when the last entry's padding is missing
        (the docker CLI sends such contexts for `-f -`); an empty one has no entries.
        """
        over = Overrides()
        defaults: dict[bytes, bytes] = {}
        while (block := self._block(end_is_fine=not over.pax and over.name is None)) is not None:
            entry = tar.parse_header(block)
            if entry is None:
                break
            if self._extension(entry, over, defaults):
                continue
            if defaults:
                over.pax = defaults | over.pax
            tar.apply(entry, over)
            if entry.kind == tar.GNU_SPARSE:
                self._old_sparse(entry, block)
            # These have no data whatever their size says: of a hard link, some writers give that of the file.
            self._left = 0 if entry.kind in _HEADER_ONLY else entry.size
            self._padding = -self._left % BLOCK
            if over.pax.get(b"GNU.sparse.major") == b"1":
                self._sparse_map(entry, over)
            over = Overrides()
            self._extensions = 0
            yield entry
            for _ in self.data():
                pass
            if not self._pad():
                break
        self._rest()

    def data(self) -> Iterator[memoryview]:
        """The present entry's data in pieces; a piece is valid until the next one is asked for."""
        while self._left:
            if self._position == len(self._buffer) and not self._fill():
                raise Corrupt("tar archive ends in the middle of an entry")
            end = min(len(self._buffer), self._position + self._left)
            piece = memoryview(self._buffer)[self._position : end]
            self._left -= end - self._position
            self._position = end
            yield piece

    def _extension(self, entry: Entry, over: Overrides, defaults: dict[bytes, bytes]) -> bool:
        """Take in a header that speaks of the next entry; whether this was one."""
        if entry.kind in (tar.PAX, tar.SOLARIS_PAX):
            tar.parse_pax(self._document(entry), over)
        elif entry.kind == tar.PAX_GLOBAL:
            everywhere = Overrides()
            tar.parse_pax(self._document(entry), everywhere)
            defaults.update(everywhere.pax)
            self._extensions = 0  # what stays is counted instead
            _check_extension(sum(len(key) + len(value) for key, value in defaults.items()))
        elif entry.kind == tar.GNU_LONGNAME:
            over.name = self._document(entry).rstrip(b"\0")
        elif entry.kind == tar.GNU_LONGLINK:
            over.target = self._document(entry).rstrip(b"\0")
        else:
            return False
        return True

    def _document(self, entry: Entry) -> bytes:
        self._extensions += entry.size
        _check_extension(self._extensions)
        return self._literal(entry.size + -entry.size % BLOCK)[: entry.size]

    def _old_sparse(self, entry: Entry, block: bytes) -> None:
        pieces, more = block[386:482], block[482] != 0
        while more:
            extra = self._literal(BLOCK)
            pieces, more = pieces + extra[:504], extra[504] != 0
            if len(pieces) > 24 * _SPARSE_PIECES:
                raise Corrupt("tar entry with too many sparse pieces")
        tar.parse_old_sparse(entry, pieces, block[483:495])

    def _sparse_map(self, entry: Entry, over: Overrides) -> None:
        """Format 1.0: the number of pieces, then each offset and length, one decimal a line, padded to a block."""
        text = b""
        while (lines := text.split(b"\n")) and (len(lines) < 2 or len(lines) - 2 < 2 * self._count(lines[0])):
            if self._left < BLOCK:
                raise Corrupt(f"malformed map of the sparse file {entry.name!r}")
            self._left -= BLOCK
            text += self._literal(BLOCK)
        numbers = [self._count(line) for line in lines[1 : 1 + 2 * self._count(lines[0])]]
        tar.set_sparse_map(entry, numbers, over)

    def _count(self, line: bytes) -> int:
        if not line.isdigit() or len(line) > 19:
            raise Corrupt("malformed map of a sparse file")
        return int(line)

    def _block(self, *, end_is_fine: bool) -> bytes | None:
        if self._position == len(self._buffer) and not self._fill():
            if not end_is_fine:
                raise Corrupt("tar archive ends in the middle of an entry")
            return None
        return self._literal(BLOCK)

    def _pad(self) -> bool:
        """Pass over what fills the entry's last block; whether all of it is there: else the archive ends here."""
        while len(self._buffer) - self._position < self._padding and self._fill():
            pass
        there = min(self._padding, len(self._buffer) - self._position)
        self._literal(there)
        return there == self._padding

    def _literal(self, size: int) -> bytes:
        """Exactly `size` bytes that are no file data."""
        while len(self._buffer) - self._position < size:
            if not self._fill():
                raise Corrupt("tar archive ends in the middle of an entry")
        raw = self._buffer[self._position : self._position + size]
        self._position += size
        if self._record is not None and raw:
            self._record(raw)
        return raw

    def _rest(self) -> None:
        """Read what follows the end, so that whoever counts or hashes the source saw all of it."""
        while True:
            if self._record is not None and self._position < len(self._buffer):
                self._record(self._buffer[self._position :])
            self._position = len(self._buffer)
            if not self._fill():
                return

    def _fill(self) -> bool:
        more = self._source.read(CHUNK)
        self._buffer = self._buffer[self._position :] + more if self._position < len(self._buffer) else more
        self._position = 0
        return bool(more)


def _check_extension(size: int) -> None:
    if size > EXTENSION_LIMIT:
        raise Corrupt(f"tar extension headers of {size} bytes: the limit is {EXTENSION_LIMIT}")

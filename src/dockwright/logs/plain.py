"""The driver `none`, and the one that writes to two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dockwright.logs.files import FileDriver
from dockwright.logs.record import LogDriver, Mark, Query, Reader, Record


class NoneDriver:
    """Keeps nothing."""

    name = "none"

    def write(self, records: Sequence[Record]) -> None:
        """See `LogDriver.write`."""

    def mark(self) -> Mark:
        """See `LogDriver.mark`."""
        return Mark()

    def rotate_if_full(self) -> bool:
        """See `LogDriver.rotate_if_full`."""
        return False

    def rewind(self, mark: Mark | None) -> None:
        """See `LogDriver.rewind`."""

    def close(self) -> None:
        """See `LogDriver.close`."""


class CachedDriver:
    """A driver that only sends, and a file beside it that `logs` reads. The file is written first: it can go back."""

    def __init__(self, sender: LogDriver, cache: FileDriver) -> None:
        self.name = sender.name
        self._sender = sender
        self._cache = cache

    def write(self, records: Sequence[Record]) -> None:
        """See `LogDriver.write`."""
        self._cache.write(records)
        self._sender.write(records)

    def mark(self) -> Mark:
        """See `LogDriver.mark`."""
        return self._cache.mark()

    def rotate_if_full(self) -> bool:
        """See `LogDriver.rotate_if_full`."""
        return self._cache.rotate_if_full()

    def rewind(self, mark: Mark | None) -> None:
        """See `LogDriver.rewind`."""
        self._cache.rewind(mark)

    def attributes(self) -> Mapping[str, str]:
        """See `Readable.attributes`."""
        return self._cache.attributes()

    def open_reader(self, query: Query) -> Reader:
        """See `Readable.open_reader`."""
        return self._cache.open_reader(query)

    def close(self) -> None:
        """See `LogDriver.close`."""
        self._sender.close()
        self._cache.close()

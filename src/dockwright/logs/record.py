"""One piece of a container's output, and the seam every log driver implements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

#: Longer lines are cut into pieces of this many bytes, as Docker does.
PIECE_BYTES = 16 * 1024

STREAMS = ("stdout", "stderr")


class Record(NamedTuple):
    """`data` ends with a newline when the line is complete; else it is a piece (or the unfinished last line)."""

    stream: str
    time_ns: int
    data: bytes

    @property
    def partial(self) -> bool:
        """Whether more of the same line follows, or would have."""
        return not self.data.endswith(b"\n")


class Mark(NamedTuple):
    """Where a driver's file ended: `inode` 0 for drivers that cannot take anything back."""

    inode: int = 0
    size: int = 0


@dataclass(frozen=True)
class Query:
    """What to read. `tail` is a number of records from the end, None for all; times are nanoseconds since 1970, inclusive."""

    stdout: bool = True
    stderr: bool = True
    since_ns: int = 0
    until_ns: int = 0
    tail: int | None = None
    follow: bool = False

    def wants(self, record: Record) -> bool:
        """Whether the record is of a wanted stream and not before `since_ns`."""
        return (self.stdout if record.stream == "stdout" else self.stderr) and record.time_ns >= self.since_ns


@dataclass(frozen=True)
class LogInfo:
    """What a driver may know of its container. `folder` is the container's directory in the data root."""

    container_id: str
    name: str
    folder: str
    image_id: str = ""
    image_name: str = ""
    command: str = ""
    daemon_name: str = "dockwright"
    labels: Mapping[str, str] = field(default_factory=dict)
    env: Sequence[str] = ()


class LogDriver(Protocol):
    """Where records go. Calls block and come from one thread at a time; the pump orders them:

    driver.write(records); mark = driver.mark()     # ...the mark is stored with the position in the spool...
    driver.rewind(mark)                             # after a crash: forget what was written after the mark
    """

    name: str

    def write(self, records: Sequence[Record]) -> None:
        """Keep or send records, in order. Raises `OSError` when that fails: the caller tries again later."""
        ...

    def mark(self) -> Mark:
        """The end of what was written."""
        ...

    def rotate_if_full(self) -> bool:
        """Begin a new file when the newest is full: whether it did, and a new mark has to be stored.

        Called when everything written is marked and the mark is stored.
        """
        ...

    def rewind(self, mark: Mark | None) -> None:
        """Forget what was written after `mark`, a mark of an earlier process; None when the mark is lost.

        Called once, before the first write. Drivers that only send do nothing: after a crash they may send the records
        since the last mark again.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections. Safe to call twice."""
        ...


@runtime_checkable
class Readable(Protocol):
    """What drivers that keep data offer besides."""

    def attributes(self) -> Mapping[str, str]:
        """The labels, variables and tag that go with every record (`details` of the API)."""
        ...

    def open_reader(self, query: Query) -> Reader:
        """A reader that sees what is written from now on too."""
        ...


class Reader(Protocol):
    """Reads in a worker thread, a bounded amount at a time."""

    def read(self) -> Iterator[Record]:
        """The records there are now; called again, those that came since."""
        ...

    @property
    def finished(self) -> bool:
        """Whether a record past `until_ns` was seen: nothing else will be yielded."""
        ...

    def close(self) -> None:
        """Let go of files. Safe to call twice."""
        ...

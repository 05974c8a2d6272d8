"""What a pull or a push tells while it runs: messages with Docker's words, bounded in number and rate."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import msgspec

from dockwright.oci import Digest
from dockwright.oci import digest as digests

INTERVAL_S = 0.1


class Progress(msgspec.Struct):
    """One message. `id` names a layer or a tag, `current` and `total` are bytes, None where nothing is counted.

    `aux` is for programs: at the end of a push `{"Tag", "Digest", "Size"}`.
    """

    status: str
    id: str = ""
    current: int | None = None
    total: int | None = None
    aux: dict[str, object] | None = None


# Told a status, and bytes done and to be done where they are counted.
Tell = Callable[[str, int | None, int | None], None]


class Board:
    """Messages between the work and its listener. Never waits: of counts that nobody read yet the last one stands, and
    each layer's are told ten times a second at most, the final one always."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._messages: deque[Progress] = deque()
        self._unread: dict[str, Progress] = {}
        self._counted_at: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._ended = False

    def tell(self, status: str, id: str = "", current: int | None = None, total: int | None = None) -> None:
        """Say `status` of `id`."""
        if current is not None:
            unread = self._unread.get(id)
            if unread is not None and unread.status == status:
                unread.current, unread.total = current, total
                return
            now = self._clock()
            if current != total and now - self._counted_at.get(id, 0.0) < INTERVAL_S:
                return
            self._counted_at[id] = now
        self._put(Progress(status, id, current, total))

    def tell_aux(self, aux: dict[str, object]) -> None:
        """Say something to programs alone."""
        self._put(Progress("", aux=aux))

    def of(self, id: str) -> Tell:
        """`tell` for one layer."""
        return lambda status, current, total: self.tell(status, id, current, total)

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._changed.set()

    async def next(self) -> Progress | None:
        """The next message; None at the end."""
        while not self._messages:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        message = self._messages.popleft()
        if self._unread.get(message.id) is message:
            del self._unread[message.id]
        return message

    def _put(self, message: Progress) -> None:
        self._messages.append(message)
        self._unread[message.id] = message
        self._changed.set()


def short(digest: Digest) -> str:
    """How Docker calls a layer in these messages."""
    return digests.encoded(digest)[:12]

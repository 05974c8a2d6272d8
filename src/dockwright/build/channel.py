"""Between a build and whoever follows it: what is said waits until it is read, output not without bound."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from dockwright.build.dockerfile import checks
from dockwright.build.progress import Progress, Said, Warned

# What a client that reads too slowly is spared.
PENDING_BYTES = 4 * 1024 * 1024
CLIPPED = b"\n[output left out: it came faster than it was read]\n"


class Channel:
    """What a build says, until it is read; of output, as much as is fair."""

    def __init__(self) -> None:
        self._waiting: deque[Progress] = deque()
        self._pending = 0
        self._clipped = False
        self._changed = asyncio.Event()
        self._ended = False

    def tell(self, one: Progress) -> None:
        """Say it."""
        if isinstance(one, Said):
            if self._pending > PENDING_BYTES:
                if not self._clipped:
                    self._waiting.append(Said(one.number, CLIPPED))
                self._clipped = True
                return
            self._pending += len(one.data)
        self._waiting.append(one)
        self._changed.set()

    def warn(self, findings: Iterable[checks.Finding]) -> None:
        """Say what the build checks found."""
        for found in findings:
            rule, line = found.rule, found.line
            self.tell(Warned(line.start, rule.name, found.message, rule.about, rule.url, line.end))

    def end(self) -> None:
        """Nothing more will be said."""
        self._ended = True
        self._changed.set()

    async def next(self) -> Progress | None:
        """The next thing; None at the end."""
        while not self._waiting:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        one = self._waiting.popleft()
        if isinstance(one, Said):
            self._pending -= len(one.data)
            self._clipped = self._clipped and self._pending > PENDING_BYTES // 2
        return one

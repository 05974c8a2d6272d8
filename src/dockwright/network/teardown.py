"""The end of links and namespaces, in batches and off everybody's way.

Deleting a veth waits for RCU grace periods: measured 30 ms each, one after another, and 30 ms for twenty in one device group.
So what is to go is collected for a moment, put into a group and deleted at once; namespaces are let go of after that.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from dockwright import workers
from dockwright.errors import HostFailure
from dockwright.network.namespaces import Namespaces
from dockwright.network.netlink import Netlink, NetlinkError
from dockwright.tasks import Background

log = logging.getLogger(__name__)

#: How long the first of a batch waits for company.
COLLECT_S = 0.1
_GROUP_BASE = 0x44570000


@dataclass(frozen=True, slots=True)
class Remains:
    """A link of the host and a namespace handle, either may be empty; `done` is called (in the loop) when they are gone."""

    link: str = ""
    sandbox: str = ""
    done: Callable[[], None] | None = None


class Teardown:
    """Removes remains. `add` returns at once; `settle` waits until everything added so far is gone."""

    def __init__(self, namespaces: Namespaces, background: Background) -> None:
        self._namespaces = namespaces
        self._queue: list[Remains] = []
        #: Links of the host that are still to go, or going.
        self.going: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = background.start(self._run(), name="teardown")

    def add(self, remains: Remains) -> None:
        """Hand over what is to go. May name things that are gone already."""
        self._queue.append(remains)
        if remains.link:
            self.going[remains.link] += 1
        self._idle.clear()
        self._wake.set()

    async def settle(self) -> None:
        """Wait until what was added is gone, without the usual wait for company."""
        self._hurry.set()
        try:
            await self._idle.wait()
        finally:
            self._hurry.clear()

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._collect()
                while self._queue:
                    batch, self._queue = self._queue, []
                    await self._bury(batch)
                self._idle.set()
        finally:
            self._idle.set()  # nobody waits for a task that has ended

    async def _collect(self) -> None:
        try:
            async with asyncio.timeout(COLLECT_S):
                await self._hurry.wait()
        except TimeoutError:
            pass

    async def _bury(self, batch: list[Remains]) -> None:
        try:
            # Not in the namespace thread: whoever attaches meanwhile would wait for the grace periods too.
            await workers.quick(self._delete, batch)
        except HostFailure as error:
            log.warning("teardown: %s", error)  # the next start collects what stayed
        for remains in batch:
            if remains.link:
                self.going[remains.link] -= 1
            if remains.done is not None:
                remains.done()
        self.going = +self.going  # what has gone is not counted as nought for ever

    def _delete(self, batch: list[Remains]) -> None:
        try:
            with Netlink() as netlink:
                delete_links(netlink, [remains.link for remains in batch if remains.link])
        finally:
            for remains in batch:
                if remains.sandbox:
                    self._namespaces.remove(remains.sandbox)


def delete_links(netlink: Netlink, names: list[str]) -> None:
    """Delete links of the namespace `netlink` speaks to, together; names that are gone are no error."""
    if not names:
        return
    if len(names) == 1:
        netlink.delete_link(names[0])
        return
    group = 0
    for name in names:
        link = netlink.link(name)
        if link is None:
            continue
        group = group or _GROUP_BASE | (link.index & 0xFFFF)  # an index of our own link: nobody else's group
        try:
            netlink.set_group(link.index, group)
        except NetlinkError:
            if netlink.link(name) is not None:
                raise
    if group:
        netlink.delete_group(group)

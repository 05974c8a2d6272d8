"""One container's log: its driver, the pump that feeds it while the container runs, and the readers.

log = await logs.open("json-file", {"max-size": "10m"}, info, spool=spool, control=ctl)
log.start()                      # before conmon starts; or after a restart of the daemon, while the container runs
async for record in log.read(Query(tail=10, follow=True)): ...
await log.end()                  # conmon has ended: everything is delivered, followers end, the spool is gone
await log.aclose()               # the daemon stops: the position is kept
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from itertools import islice
from pathlib import Path

from dockwright import workers
from dockwright.errors import HostFailure, Unsupported
from dockwright.logs import drivers
from dockwright.logs.journald import JournaldDriver, read_journal
from dockwright.logs.pump import Follower, Pump
from dockwright.logs.record import LogDriver, LogInfo, Query, Readable, Reader, Record
from dockwright.logs.watch import Watcher
from dockwright.tasks import Background

log = logging.getLogger(__name__)

_READ_RECORDS = 512


class Logs:
    """What the logs of one daemon share. Open one, close it last."""

    def __init__(self) -> None:
        """For the running event loop. Raises `HostFailure` when inotify instances are used up."""
        self._watcher = Watcher()
        self._background = Background("logs")

    async def open(
        self,
        driver: str,
        options: Mapping[str, str],
        info: LogInfo,
        *,
        spool: Path,
        control: Path | None = None,
    ) -> Log:
        """The log of one container; the spool is made when it is not there, or taken up where it was left.

        Raises `Invalid` for the options, `Unavailable` when a log service does not answer, `HostFailure` when files cannot
        be written.
        """
        return await workers.quick(self._open, driver, options, info, spool, control)

    async def aclose(self) -> None:
        """After every log was closed. Safe to call twice."""
        await self._background.aclose()
        self._watcher.close()

    def _open(self, name: str, options: Mapping[str, str], info: LogInfo, spool: Path, control: Path | None) -> Log:
        try:
            driver = drivers.open_driver(name, options, info)
            try:
                pump = Pump(spool, driver, control=control)
            except BaseException:
                driver.close()
                raise
        except OSError as error:
            raise HostFailure(f"log of container {info.container_id[:12]}: {error}") from error
        return Log(info, driver, pump, Follower(pump, spool, self._watcher, self._background))


async def read_stored(
    driver: str, options: Mapping[str, str], info: LogInfo, query: Query
) -> AsyncGenerator[Record, None]:
    """The log of a container that does not run. Raises `Unsupported` where the driver keeps nothing."""
    if driver == "journald":
        async with aclosing(read_journal(info.container_id, _without_follow(query))) as records:
            async for record in records:
                yield record
        return
    stored = await workers.quick(drivers.open_stored, driver, options, info)
    if stored is None:
        raise not_readable()
    try:
        async with aclosing(_read(stored.open_reader(_without_follow(query)))) as pieces:
            async for record in pieces:
                yield record
    finally:
        await workers.quick(stored.close)


class Log:
    """See the module. Made by `Logs.open`."""

    def __init__(self, info: LogInfo, driver: LogDriver, pump: Pump, follower: Follower) -> None:
        self._info = info
        self._driver = driver
        self._pump = pump
        self._follower = follower
        self._readers = 0
        self._changed = asyncio.Event()
        self._ended = False
        follower.followed = lambda: self._readers > 0
        follower.delivered = self._tell

    @property
    def followed(self) -> bool:
        """Whether somebody reads it."""
        return self._readers > 0

    @property
    def attributes(self) -> Mapping[str, str]:
        """What `details` shows with each record."""
        driver = self._driver
        return driver.attributes() if isinstance(driver, Readable | JournaldDriver) else {}

    def start(self) -> None:
        """Follow the spool. A daemon that takes up a running container delivers first what it missed."""
        self._follower.start()

    async def flush(self) -> None:
        """Deliver everything conmon has written up to now (not lines that are incomplete)."""
        if not self._ended:
            await self._deliver(last=False)
            self._tell()

    async def read(self, query: Query) -> AsyncGenerator[Record, None]:
        """Records, oldest first; with `query.follow` on until `until_ns` or the container's end.

        Memory is bounded whatever the log holds; a slow caller slows nothing else. Raises `Unsupported` where the driver
        keeps nothing.
        """
        await self.flush()
        if isinstance(self._driver, JournaldDriver):
            records = read_journal(self._info.container_id, query, lambda: self._ended)
        elif isinstance(self._driver, Readable):
            records = self._read_driver(self._driver.open_reader(query), query.follow)
        else:
            raise not_readable()
        self._readers += 1
        self._follower.hurry()
        try:
            async with aclosing(records):
                async for record in records:
                    yield record
        finally:
            self._readers -= 1

    async def end(self) -> None:
        """The container has ended, and conmon with it: deliver the rest, end followers, remove the spool.

        Safe to call twice. When the driver's file cannot be written (a full disk) that is logged and the spool stays: the
        next `Logs.open` of the container delivers the rest.
        """
        if self._ended:
            return
        self._follower.stop()
        delivered = await self._deliver(last=True)
        self._ended = True
        self._tell()
        if delivered:
            await workers.quick(self._pump.clean)
        else:
            await self._pump.aclose()
        await workers.quick(self._driver.close)

    async def aclose(self) -> None:
        """The daemon stops and the container goes on: the next daemon takes the log up. Safe to call twice."""
        self._follower.stop()
        if not self._ended:
            self._ended = True
            self._tell()
            await self._pump.aclose()
            await workers.quick(self._driver.close)

    async def _deliver(self, *, last: bool) -> bool:
        try:
            await self._pump.pump(last=last)
        except OSError as error:
            log.warning("log of %s: %s", self._info.container_id[:12], error)
            return False
        return True

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _read_driver(self, reader: Reader, follow: bool) -> AsyncGenerator[Record, None]:
        try:
            while True:
                changed, ended = self._changed, self._ended
                async with aclosing(_read(reader, close=False)) as records:
                    async for record in records:
                        yield record
                if not follow or ended or reader.finished:
                    return
                await changed.wait()
        finally:
            await workers.quick(reader.close)


async def _read(reader: Reader, *, close: bool = True) -> AsyncGenerator[Record, None]:
    """What there is now, a bounded number of records a step, each step in a worker thread."""
    try:
        pieces = reader.read()
        while batch := await workers.quick(lambda: list(islice(pieces, _READ_RECORDS))):
            for record in batch:
                yield record
    finally:
        if close:
            await workers.quick(reader.close)


def not_readable() -> Unsupported:
    """Docker's words."""
    return Unsupported("configured logging driver does not support reading")


def _without_follow(query: Query) -> Query:
    return Query(query.stdout, query.stderr, query.since_ns, query.until_ns, query.tail)

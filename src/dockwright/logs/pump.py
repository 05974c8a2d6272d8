"""From conmon's spool to the driver: followed while the container runs, remembered over kill -9, rotated when it grows.

    conmon ──> spool ──> Assembler ──> driver.write ──> position stored
                 └── inotify, once; then a short wait for more

The position and the driver's mark are stored together after each delivery. A daemon that died in between finds the driver
ahead of the position, and takes the driver back to the mark before it reads the spool again: nothing is lost or doubled in
drivers that keep files; drivers that only send may send one delivery twice.

Rotation of the spool: a second name `<spool>.old` is linked, conmon told to reopen (`2 0 0` into its `ctl` FIFO; it writes to a
new file and renames that over the spool), the old file read to its end through the second name, and that removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from dockwright import faults, workers
from dockwright.errors import HostFailure
from dockwright.logs.record import LogDriver, Record
from dockwright.logs.spool import Assembler, Position, PositionFile
from dockwright.logs.watch import Watcher
from dockwright.tasks import Background
from dockwright.undo import shielded

log = logging.getLogger(__name__)

#: How long a first write waits for more; shorter while somebody follows.
BATCH_S = 0.1
FOLLOWED_BATCH_S = 0.01
READ_BYTES = 256 * 1024
ROTATE_BYTES = 16 * 1024 * 1024
_RETRY_S = 1.0
_REOPEN_S = 5.0
_REOPEN_COMMAND = b"2 0 0\n"


class Pump:
    """Moves one container's output. Open it before conmon starts; one event loop."""

    def __init__(
        self, spool: Path, driver: LogDriver, *, control: Path | None, rotate_bytes: int = ROTATE_BYTES
    ) -> None:
        """`control` is conmon's `ctl` FIFO; without it the spool is never rotated. Blocking: a few small files."""
        self._spool = spool
        self._old = spool.with_name(spool.name + ".old")
        self._driver = driver
        self._control = control
        self._rotate_bytes = rotate_bytes
        self._lock = asyncio.Lock()
        self._positions, self._position = self._recover()
        self._assembler = Assembler(self._position)
        self._fd = os.open(self._reading(), os.O_RDONLY | os.O_CLOEXEC)
        self._position.inode = os.fstat(self._fd).st_ino
        self._positions.store(self._position)
        self._reopening_since = 0.0
        self._closed = False

    def _recover(self) -> tuple[PositionFile, Position]:
        positions = PositionFile(self._spool.with_name(self._spool.name + ".pos"))
        position = positions.load()
        if position is not None and position.finished:
            # The process died between the end of the last run and its cleaning up.
            self._spool.unlink(missing_ok=True)
            self._old.unlink(missing_ok=True)
            position = None
        self._spool.touch(mode=0o600)
        if position is None:
            self._driver.rewind(None)
            position = Position(mark=self._driver.mark())
        elif position.inode in (_inode(self._spool), _inode(self._old)) and not self._shrunk(position):
            self._driver.rewind(position.mark)
        else:
            self._driver.rewind(position.mark)
            position = Position(mark=self._driver.mark())
        return positions, position

    def _shrunk(self, position: Position) -> bool:
        """Whether the spool lost its end, which the position is past: in a power cut, when it is on a disk."""
        path = self._old if position.inode == _inode(self._old) else self._spool
        return path.stat().st_size < max(place.offset for place in position.places.values())

    def _reading(self) -> Path:
        """The file to read from: an old one that was not read to its end comes first."""
        if self._old.exists():
            if _inode(self._old) != _inode(self._spool) and self._position.inode in (_inode(self._old), 0):
                return self._old
            if _inode(self._old) != _inode(self._spool):
                self._old.unlink()
        return self._spool

    async def pump(self, *, last: bool = False) -> int:
        """Deliver what the spool holds now; with `last` incomplete lines too. Returns the number of records.

        A cancelled call has delivered some of it, and the next goes on there. Raises `OSError` when the driver's file
        cannot be written; nothing is lost, and the next call tries again.
        """
        async with self._lock:
            count = 0
            while not self._closed:
                more, delivered = await shielded(workers.quick(self._deliver_some, last))
                count += delivered
                if not more:
                    break
            return count

    def clean(self) -> None:
        """The container has ended and everything is delivered: remove spool and position. Blocking."""
        self._position.finished = True
        self._positions.store(self._position)
        faults.point("logs.clean")
        self._old.unlink(missing_ok=True)
        self._spool.unlink(missing_ok=True)
        self._positions.remove()
        self.close()

    def close(self) -> None:
        """Let go of descriptors. Safe to call twice."""
        if not self._closed:
            self._closed = True
            os.close(self._fd)
            self._positions.close()

    async def aclose(self) -> None:
        """`close`, once a delivery under way has ended."""
        async with self._lock:
            self.close()

    @property
    def behind(self) -> bool:
        """Whether the spool holds bytes that were not read yet."""
        try:
            return os.fstat(self._fd).st_size > self._assembler.offset or _inode(self._spool) != self._position.inode
        except OSError:
            return False

    # -- in a worker thread, one at a time ---------------------------------------------------------------------------

    def _deliver_some(self, last: bool) -> tuple[bool, int]:
        """One read's worth. Returns whether there is more, and how many records were delivered."""
        data = os.pread(self._fd, READ_BYTES, self._assembler.offset)
        records, taken = self._assembler.feed(data)
        if taken:
            self._commit(records)
            if self._assembler.offset > self._rotate_bytes:
                self._ask_to_reopen()
            return True, len(records)
        if self._replaced() and not os.pread(self._fd, 1, self._assembler.offset + len(data)):
            return True, self._switch()
        if last and (rest := self._assembler.leftover()):
            self._commit(rest)
            return False, len(rest)
        return False, 0

    def _commit(self, records: list[Record]) -> None:
        self._write(records)
        faults.point("logs.position")
        self._store()

    def _write(self, records: list[Record]) -> None:
        try:
            self._driver.write(records)
        except OSError:
            self._assembler = Assembler(self._position)  # and read it again
            raise

    def _store(self) -> None:
        self._position.places = self._assembler.places()
        self._position.mark = self._driver.mark()
        self._positions.store(self._position)
        if self._driver.rotate_if_full():
            faults.point("logs.rotate")
            self._position.mark = self._driver.mark()
            self._positions.store(self._position)

    def _replaced(self) -> bool:
        """Whether conmon writes to another file by now than the one that is read."""
        inode = _inode(self._spool)
        return inode not in (0, self._position.inode)

    def _switch(self) -> int:
        """The old file is read to its end (conmon closed it before it renamed the new one over): go on with the new."""
        rest = self._assembler.leftover()
        self._write(rest)
        fd = os.open(self._spool, os.O_RDONLY | os.O_CLOEXEC)
        os.close(self._fd)
        self._fd = fd
        self._assembler.moved()
        self._position.inode = os.fstat(fd).st_ino
        self._store()
        faults.point("logs.switch")
        self._old.unlink(missing_ok=True)
        self._reopening_since = 0.0
        return len(rest)

    def _ask_to_reopen(self) -> None:
        if self._control is None or time.monotonic() - self._reopening_since < _REOPEN_S:
            return
        try:
            control = os.open(self._control, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENOENT):  # conmon has ended: there is nothing to rotate
                log.warning("%s: %s", self._control, error.strerror)
            return
        try:
            with contextlib.suppress(FileExistsError):
                os.link(self._spool, self._old)
            faults.point("logs.reopen")
            os.write(control, _REOPEN_COMMAND)
            self._reopening_since = time.monotonic()
        except BlockingIOError:
            pass  # the FIFO is full of resizes: the next delivery asks again
        finally:
            os.close(control)


class Follower:
    """Runs a `Pump` when the spool is written to, and tells who waits for records."""

    def __init__(self, pump: Pump, spool: Path, watcher: Watcher, background: Background) -> None:
        self._pump = pump
        self._spool = spool
        self._watcher = watcher
        self._background = background
        self._handle: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self.followed: Callable[[], bool] = lambda: False
        self.delivered: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Follow from now on, beginning with what is there."""
        self._schedule()

    def hurry(self) -> None:
        """Somebody begins to follow: deliver soon."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._schedule()

    def stop(self) -> None:
        """Follow no more. Safe to call twice."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._handle is not None:
            self._watcher.forget(self._handle)

    def _woken(self) -> None:
        self._handle = None
        self._schedule()

    def _schedule(self, wait_s: float | None = None) -> None:
        if self._timer is None and not self._stopped:
            pause_s = wait_s if wait_s is not None else FOLLOWED_BATCH_S if self.followed() else BATCH_S
            self._timer = asyncio.get_running_loop().call_later(pause_s, self._due)

    def _due(self) -> None:
        self._timer = None
        if not self._stopped:
            self._background.start(self._run(), name=f"pump {self._spool}")

    async def _run(self) -> None:
        try:
            if await self._pump.pump():
                self.delivered()
        except OSError as error:
            log.warning("log of %s: %s", self._spool, error)
            self._schedule(_RETRY_S)
            return
        if self._stopped:
            return
        try:
            self._handle = self._watcher.once(self._spool, self._woken)
        except (FileNotFoundError, HostFailure) as error:
            log.warning("log of %s: %s", self._spool, error)
            self._schedule(_RETRY_S)
            return
        behind = await workers.quick(lambda: self._pump.behind)  # written to before the watch was set
        if behind and self._handle is not None and not self._stopped:
            self._watcher.forget(self._handle)
            self._woken()


def _inode(path: Path) -> int:
    """0 when there is no such file."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0

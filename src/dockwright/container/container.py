"""The owner of one container: with what it is made of (`owned`, `signalling`) the only code that changes its state.

Each transition is: do, persist, tell. The lock is held over transitions and never over a wait for a process to end, so that
kill works while stop waits. What a verb does beside changing the state lives in a module of its own.
"""

from __future__ import annotations

import asyncio
import logging
import signal as signals
import time
from typing import TYPE_CHECKING

from dockwright import faults
from dockwright.container import health, linking, mounting, restart, starting, state, telling
from dockwright.container.attaching import Attachments
from dockwright.container.execs import Execs
from dockwright.container.others import Others
from dockwright.container.parts import Parts
from dockwright.container.record import Record
from dockwright.container.signalling import Signalled
from dockwright.container.signals import parse_signal
from dockwright.container.starting import Live, Start
from dockwright.container.state import Status
from dockwright.container.waiting import Ending
from dockwright.errors import Conflict, DockwrightError, InUse, StartFailed
from dockwright.runtime import Monitor
from dockwright.undo import shielded

if TYPE_CHECKING:
    from dockwright.container.health import HealthChecker

log = logging.getLogger(__name__)

LET_GO_LIMIT_S = 10.0
LOST_EXIT_CODE = 137


class Container(Signalled):
    """One container. `others` is the index it stands in."""

    def __init__(self, parts: Parts, record: Record, others: Others) -> None:
        super().__init__(parts, record, others)
        self.execs = Execs(self)
        self.attachments = Attachments(self)
        self._delay_s = 0.0
        self._health: HealthChecker | None = None

    # -- start -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start it. Raises `NotModified` when it runs, `StartFailed` and what `starting.Start.run` raises.

        A failed start is recorded with its exit code and leaves nothing behind; a cancelled one too.
        """
        async with self._lock:
            state.check("start", self.status, self.id)
            self._cancel_restart()
            self.record.state.stopped_by_hand = False
            self.record.state.restart_count = 0
            try:
                await self._start()
            except BaseException as error:
                if self.live is None:  # else it was only the telling that was cancelled
                    await shielded(self._start_failed(error))
                raise
        # Not under the lock: another container's is taken, and somebody may hold that one and wait for this one.
        await linking.follow(self)

    async def _start(self) -> None:
        if self._teardown is not None:
            await asyncio.wait((self._teardown,))
        spool = await self.log.open()
        begin = Start(self.parts, self.record, self.others, spool, self._on_created)
        with self.parts.expediting.starting():
            live = await begin.run()
        try:
            now = self.record.state
            now.status, now.pid, now.exit_code, now.error = Status.RUNNING, live.pid, 0, ""
            now.oom_killed, now.started_ns = False, time.time_ns()
            self._health = health.checker(self)
            faults.point("start.persist")
            await self.parts.table.save_state(self.record)
        except BaseException:
            self._health = None
            now.status, now.pid = Status.EXITED, 0
            await live.held.aclose()
            raise
        self._run(live)
        await telling.tell_volumes(self.parts, self.record, "mount")
        await telling.tell_networks(self.parts, self.record, "connect", self.parts.networks.attachment(self.id))
        await self.tell("start")

    def _run(self, live: Live) -> None:
        self.live = live
        self.parts.background.start(self._watch(live), name=f"watch {self.id[:12]}")
        if self._health is not None:
            self._health.start()

    async def _on_created(self, monitor: Monitor) -> None:
        self.attachments.connect(monitor)

    async def _start_failed(self, error: BaseException) -> None:
        now = self.record.state
        code = error.exit_code if isinstance(error, StartFailed) else 128
        now.status = Status.EXITED if now.finished_ns else Status.CREATED
        now.pid, now.exit_code, now.error = 0, code, str(error) or "the start was cancelled"
        self.attachments.end()
        await self.log.ended()
        await self.parts.table.save_state(self.record)
        self._waiters.ended(Ending(code, str(error)))
        if self.record.spec.host.auto_remove:
            self.parts.background.start(self._auto_remove(), name=f"remove {self.id[:12]}")

    # -- end -------------------------------------------------------------------------------------------------------

    async def _watch(self, live: Live) -> None:
        code = await live.monitor.wait()
        if live.monitor.closed:
            return  # the daemon is going, not the container
        await shielded(self._on_exit(live, code))

    async def _on_exit(self, live: Live, code: int | None) -> None:
        async with self._lock:
            if self.live is not live:
                return
            if code is None:  # conmon was killed: nobody holds the container's stdio any more
                live.monitor.signal(signals.SIGKILL)
            self.live = None
            now = self.record.state
            now.oom_killed = live.monitor.out_of_memory()
            await self.record_exit(LOST_EXIT_CODE if code is None else code, time.time_ns())
            self._teardown = self.parts.background.start(live.held.aclose(), name=f"tear down {self.id[:12]}")

    async def record_exit(self, code: int, finished_ns: int) -> None:
        """The process has ended: decide about a restart, release the network, persist, tell. The lock is held."""
        now, host = self.record.state, self.record.spec.host
        if self._health is not None:
            self._health.stop()
            self._health = None
        ran_s = max(0.0, (finished_ns - now.started_ns) / 1e9)
        again = restart.again(host.restart_policy, code, now.restart_count, now.stopped_by_hand)
        self.log.ending()  # before anybody can see the end
        try:
            now.status = Status.RESTARTING if again else Status.EXITED
            now.pid, now.exit_code, now.finished_ns = 0, code, finished_ns
            faults.point("exit.persist")
            attachment = self.parts.networks.attachment(self.id)
            await self.parts.networks.detach(self.id)
            await self.parts.table.save_state(self.record)
            self.execs.container_ended()
            self._waiters.ended(Ending(code))
            if now.oom_killed:
                await self.tell("oom")
            await self.tell("die", exitCode=str(code), execDuration=str(int(ran_s)))
            await telling.tell_networks(self.parts, self.record, "disconnect", attachment)
            await telling.tell_volumes(self.parts, self.record, "unmount")
            if again:
                self._delay_s = restart.next_delay_s(self._delay_s, ran_s)
                later = self._restart_later(self._delay_s)
                self._restart = self.parts.background.start(later, name=f"restart {self.id[:12]}")
        finally:
            # After the telling: whoever reads the log meanwhile waits for the whole of it, and a start for the lock.
            if again or not host.auto_remove:
                await self.log.ended()
        if not again and host.auto_remove:
            self.parts.background.start(self._auto_remove(), name=f"remove {self.id[:12]}")

    async def _restart_later(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        async with self._lock:
            if self.status is not Status.RESTARTING:
                return
            self.record.state.restart_count += 1
            self._restart = None
            try:
                await self._start()
            except DockwrightError as error:
                log.warning("restart of %s: %s", self.id[:12], error)
                await self._start_failed(error)
        await linking.follow(self)

    async def restart(self, timeout_s: int | None = None, signal: str = "") -> None:
        """Stop it, when it runs, and start it again."""
        if self.alive:
            number = parse_signal(signal or self.record.spec.config.stop_signal or "SIGTERM")
            auto_remove, self.record.spec.host.auto_remove = self.record.spec.host.auto_remove, False
            try:
                await self._stop_by_hand()
                await self._end(number, self._stop_timeout_s(timeout_s))
            finally:
                self.record.spec.host.auto_remove = auto_remove
        elif self.status is Status.RESTARTING:
            await self._stop_by_hand()
        await self.start()
        await self.tell("restart")

    # -- removal ---------------------------------------------------------------------------------------------------

    async def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it with its writable layer, log and (with `volumes`) anonymous volumes.

        Raises `Conflict` when it runs and `force` is not given, or is being removed already. When it returns nothing is left.
        """
        if self.alive and not force:
            what = "is paused and must be unpaused first" if self.status is Status.PAUSED else "is running"
            hint = "" if self.status is Status.PAUSED else ": stop the container before removing or force remove"
            raise InUse(f'cannot remove container "/{self.name}": container {what}{hint}')
        if self.status is Status.REMOVING:
            raise Conflict(f"removal of container {self.id} is already in progress")
        await self._stop_by_hand()
        if self.alive:
            await self.tell("kill", signal="9")
            await self._end(signals.SIGKILL, None)
        await shielded(self._remove(volumes))

    async def _auto_remove(self) -> None:
        try:
            await self._remove(volumes=True)
        except Conflict:
            pass  # somebody removed it by hand meanwhile

    async def _remove(self, volumes: bool) -> None:
        async with self._lock:
            if self.status is Status.REMOVING:
                raise Conflict(f"removal of container {self.id} is already in progress")
            self.record.state.status = Status.REMOVING
            faults.point("remove.persist")
            if not volumes:
                await mounting.keep_anonymous(self.parts, self.record)
            # The row goes first: from here on what is left of it is garbage, which a start of the daemon collects.
            await self.parts.table.delete(self.id)
            self.others.forget(self)
            # With the row, before anybody is told: who waited for the removal may remove the volumes next.
            doomed = mounting.release_volumes(self.parts, self.record, remove_anonymous=volumes)
            self.attachments.end()
            self._waiters.removed(Ending(self.record.state.exit_code))
            await self.tell("destroy")
            if self._teardown is not None:
                await asyncio.wait((self._teardown,))
            faults.point("remove.release")
            await self.log.discard()
            await self.parts.snapshots.remove(self.id)
            await mounting.remove_volumes(self.parts, self.record, doomed)
            await starting.remove_home(self.parts, self.id)

    # -- the daemon's life -----------------------------------------------------------------------------------------

    async def adopt(self) -> bool:
        """At the daemon's start: take over the process a former daemon started. False when there is none any more."""
        monitor = await self.parts.conmon.adopt(self.id, self.parts.paths.bundle(self.id))
        runtime = self.parts.runtime(self.record.spec.host.runtime)
        seen = await runtime.state(self.id)
        if monitor is None or seen is None or seen.status not in ("running", "paused"):
            if monitor is not None:
                monitor.close()
            return False
        now = self.record.state
        if seen.status == "paused" and now.status is not Status.PAUSED:
            await runtime.resume(self.id)  # it stood still for a former daemon, which nobody asked to last
        paused = seen.status == "paused" and now.status is Status.PAUSED
        now.status = Status.PAUSED if paused else Status.RUNNING
        now.pid = monitor.pid
        now.started_ns = now.started_ns or time.time_ns()
        await self.log.open()
        self._health = health.checker(self, keep=True)
        await self.parts.table.save_state(self.record)
        self._run(await starting.adopt(self.parts, self.record, monitor))
        return True

    async def recover(self, exit_code: int, finished_ns: int) -> None:
        """At the daemon's start: it ended while no daemon ran. Record it, and clear what its start had acquired."""
        async with self._lock:
            await starting.tear_down(self.parts, self.record)
            await self.log.open()
            await self.record_exit(exit_code, finished_ns)

    @property
    def restart_pending(self) -> bool:
        """Whether a restart by policy is under way."""
        return self._restart is not None

    async def end_with_daemon(self, limit_s: int) -> None:
        """Stop it because the daemon stops, within `limit_s`: its restart policy starts it again with the next daemon."""
        self._cancel_restart()
        number = parse_signal(self.record.spec.config.stop_signal or "SIGTERM")
        by_hand, self.record.state.stopped_by_hand = self.record.state.stopped_by_hand, True
        try:
            own_s = self._stop_timeout_s(None)
            await self._end(number, limit_s if own_s < 0 else min(limit_s, own_s))
        finally:
            self.record.state.stopped_by_hand = by_hand
            await self.parts.table.save_state(self.record)

    async def let_go(self) -> None:
        """At the daemon's end: stop watching; the process goes on. An exit that is being recorded is recorded first."""
        self._cancel_restart()
        if self._health is not None:
            self._health.stop()
        if self.live is not None:
            self.live.monitor.close()
        self.execs.close()
        self.attachments.end()
        try:
            async with asyncio.timeout(LET_GO_LIMIT_S), self._lock:
                pass
        except TimeoutError:
            log.warning("container %s is left in the middle of a transition", self.id[:12])
        await self.log.close()

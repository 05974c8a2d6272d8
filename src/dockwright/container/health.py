"""Health checks: a probe run in the container at intervals, and what its results make of the container's health."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockwright.container.config import HealthConfig
from dockwright.container.execs import ExecConfig
from dockwright.container.record import Health, HealthProbe
from dockwright.errors import DockwrightError, Invalid

if TYPE_CHECKING:
    from dockwright.container.container import Container

INTERVAL_NS = TIMEOUT_NS = 30_000_000_000
START_INTERVAL_NS = 5_000_000_000
RETRIES = 3
KEPT_PROBES = 5
OUTPUT_BYTES = 4096
_LEAST_NS = 1_000_000


def validate(config: HealthConfig | None) -> None:
    """Raises `Invalid` with Docker's wording."""
    if config is None:
        return
    for name, value in (
        ("Interval", config.interval),
        ("Timeout", config.timeout),
        ("StartPeriod", config.start_period),
        ("StartInterval", config.start_interval),
    ):
        if value and value < _LEAST_NS:
            raise Invalid(f"{name} in Healthcheck cannot be less than 1ms")
    if config.retries < 0:
        raise Invalid("Retries in Healthcheck cannot be negative")
    if config.test and config.test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise Invalid(f"Unknown healthcheck type '{config.test[0]}' (expected 'CMD')")


def checker(container: Container, *, keep: bool = False) -> HealthChecker | None:
    """The checker of a container that has a check, its health set to starting (or kept); None without one."""
    config = container.record.spec.config.healthcheck
    if config is None or not config.test or config.test[0] == "NONE":
        container.record.state.health = None
        return None
    if not keep or container.record.state.health is None:
        container.record.state.health = Health()
    return HealthChecker(container, config)


@dataclass
class HealthChecker:
    """Probes while the container runs. Docker's rules: failures in the start period do not count, a success ends it."""

    container: Container
    config: HealthConfig
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to probe."""
        self._task = self.container.parts.background.start(self._run(), name=f"health {self.container.id[:12]}")

    def stop(self) -> None:
        """Probe no more."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def _run(self) -> None:
        began = time.monotonic_ns()
        while True:
            in_start_period = time.monotonic_ns() - began < self.config.start_period
            await asyncio.sleep(self._pause_ns(in_start_period) / 1e9)
            if self.container.status.value != "running":
                if not self.container.alive:
                    return
                continue
            probe = await self._probe()
            await self._judge(probe, time.monotonic_ns() - began < self.config.start_period)

    def _pause_ns(self, in_start_period: bool) -> int:
        health = self.container.record.state.health
        interval = self.config.interval or INTERVAL_NS
        if in_start_period and health is not None and health.status == "starting":
            return min(self.config.start_interval or START_INTERVAL_NS, interval)
        return interval

    async def _probe(self) -> HealthProbe:
        kind, *command = self.config.test or []
        if kind == "CMD-SHELL":
            command = [*(self.container.record.spec.config.shell or ["/bin/sh", "-c"]), *command]
        started = time.time_ns()
        timeout_s = (self.config.timeout or TIMEOUT_NS) / 1e9
        try:
            code, output = await _run_probe(self.container, command, timeout_s)
        except DockwrightError as error:
            code, output = -1, str(error)
        return HealthProbe(started, time.time_ns(), code, output)

    async def _judge(self, probe: HealthProbe, in_start_period: bool) -> None:
        health = self.container.record.state.health
        if health is None or not self.container.alive:
            return
        health.log = [*health.log, probe][-KEPT_PROBES:]
        before = health.status
        if probe.exit_code == 0:
            health.failing_streak = 0
            health.status = "healthy"
        elif not (in_start_period and before == "starting"):
            health.failing_streak += 1
            if health.failing_streak >= (self.config.retries or RETRIES):
                health.status = "unhealthy"
        await self.container.save_state()
        if health.status != before:
            await self.container.tell(f"health_status: {health.status}")


async def _run_probe(container: Container, command: list[str], timeout_s: float) -> tuple[int, str]:
    probe = await container.execs.create(ExecConfig(cmd=command, attach_stdout=True, attach_stderr=True))
    stdio = await probe.start(detach=False)
    output = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            while stdio is not None and (chunk := await stdio.read()) is not None:
                output += chunk[1][: max(0, OUTPUT_BYTES - len(output))]
            await probe.ended.wait()
    except TimeoutError:
        await probe.kill()
        return -1, f"Health check exceeded timeout ({timeout_s:g}s)"
    finally:
        if stdio is not None:
            stdio.close()
    code = probe.exit_code or 0
    # Docker: 0 is healthy, 1 unhealthy, 2 reserved; anything else counts as unhealthy too and is shown as it is.
    return code, (probe.error or output.decode(errors="replace"))
